/*
 * config.h: the settings of a worker, from a file and from the environment.
 *
 *   buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
 *   status = config_load(&config, path, environ, &errors);
 *   config_check_places(&config, &errors)      can it write where it must?
 *   ... one line in `errors` for each thing that is wrong, all at once ...
 *   config_release(&config);                   wipes the secrets
 *
 * The rows of config_table.h say what there is. A setting is `key = value` in a
 * [section] of the file, or DARKROOM_<SECTION>_<KEY> in the environment, which
 * wins; an empty value is as good as none. A channel's are in [channel NAME],
 * or DARKROOM_CHANNEL_<NAME>_<KEY>, where '-' in a name becomes '_'. For one
 * channel the names that LINE's samples use suffice: LINE_CHANNEL_SECRET,
 * LINE_CHANNEL_ACCESS_TOKEN and PUBLIC_URL; it is then called "default".
 *
 * A secret may be given as a file that holds it: <key>_file, ..._FILE. A
 * setting that is given twice in one place is an error. So are unknown names: a
 * typing mistake does not pass as a default.
 *
 * config_load() reads the file, the secret files, and nothing else. The result
 * is plain data, read-only once loaded and then safe for any thread; for how it
 * is replaced while a worker runs, see config_live.h.
 */
#ifndef DARKROOM_CONFIG_H
#define DARKROOM_CONFIG_H

#include "buf.h"
#include "limits.h"
#include "status.h"

#define CONFIG_VALUE_MAX 1024 /* bytes of a value that is no secret */
#define CONFIG_ERRORS_MAX_BYTES (64 * 1024)
#define CONFIG_NAME_MAX 127   /* bytes of an environment name */
#define CONFIG_ORIGINS_MAX 32 /* rows of one table, at most */

struct config_snapshot; /* config_live.h */

/* Where a value is from. */
enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT };

struct config_origin {
    enum config_source source;
    int line;                       /* in the file, from 1 */
    bool by_file;                   /* given as <key>_file */
    char name[CONFIG_NAME_MAX + 1]; /* in the environment */
};

/* What to do when the reply token's minute is nearly over and the picture is
 * not ready. */
enum config_late {
    CONFIG_LATE_FAILURE, /* reply with the failure text */
    CONFIG_LATE_BUSY,    /* reply with the busy text, push the picture later */
    CONFIG_LATE_PUSH,    /* let the token lapse, push the picture later */
};

/* Of the built-in texts (texts.h). */
enum config_language { CONFIG_EN, CONFIG_JA, CONFIG_ZH_TW };

enum config_forward {
    CONFIG_FORWARD_ALL,   /* every webhook body */
    CONFIG_FORWARD_OTHER, /* those with an event that darkroom does not want */
};

struct config_channel {
    char name[CHANNEL_NAME_MAX + 1];
    /* Any of them signs: the old and the new one while a secret is replaced. */
    char secrets[CHANNEL_SECRETS_MAX][SECRET_MAX + 1];
    size_t secret_count;
    char secret_file[CONFIG_VALUE_MAX + 1]; /* read from; "": given itself */
    char access_token[TOKEN_MAX + 1];
    /* Where access_token was read from, "" if it was given itself: it is read
     * again when LINE refuses the token. */
    char access_token_file[CONFIG_VALUE_MAX + 1];
    /* Without an access token, stateless ones are issued from this and the
     * first secret (line-platform 7). */
    char channel_id[CHANNEL_ID_MAX + 1];

    int64_t files;        /* 0 or 1: pictures sent as files are answered */
    int64_t external;     /* 0 or 1: pictures that are not kept at LINE */
    int64_t loading;      /* 0 or 1: show the loading animation */
    int64_t mark_as_read; /* 0 or 1: after the answer */
    int64_t push;         /* 0 or 1: may push what can't be replied */
    int64_t push_budget;  /* pushes in a calendar month (UTC), 0: no bound */
    int64_t set_wait_ms;  /* for the rest of an image set */
    enum config_late late;
    enum config_language language;
    bool failure_off;                      /* no failure text is sent */
    char failure_text[TEXT_MAX_BYTES + 1]; /* "": the built-in one */
    char busy_text[TEXT_MAX_BYTES + 1];    /* "": the built-in one */
    char quote_text[TEXT_MAX_BYTES + 1];   /* beside the picture; "": none */
    char sender_name[SENDER_NAME_MAX_CHARS * 4 + 1]; /* "": the account's */
    char forward_url[CONFIG_VALUE_MAX + 1];          /* "": none */
    enum config_forward forward_events;
    char processor_url[CONFIG_VALUE_MAX + 1]; /* "": none */
    int64_t processor_timeout_ms;
    struct config_origin origins[CONFIG_ORIGINS_MAX]; /* by row of the table */
    struct config_snapshot *snapshot; /* private: it is part of; or NULL */
};

struct config {
    /* [server] */
    char public_url[CONFIG_VALUE_MAX + 1]; /* https, no slash at the end */
    char state_dir[CONFIG_VALUE_MAX + 1];
    int64_t acceptors;     /* threads */
    int64_t max_transfers; /* pictures in hand at once, per worker; fewer if
                              the limit on descriptors does not allow them */
    char log_level[16];
    char log_format[16];
    /* [line] */
    char api_url[CONFIG_VALUE_MAX + 1]; /* no slash at the end */
    char data_api_url[CONFIG_VALUE_MAX + 1];
    char ca_file[CONFIG_VALUE_MAX + 1]; /* "": the system's */
    /* [queue], [store] */
    char queue_url[CONFIG_VALUE_MAX + 1];
    int64_t keep_done_ms, keep_dead_ms; /* receipts; 0: for ever */
    char store_url[CONFIG_VALUE_MAX + 1];
    int64_t retention_ms; /* of published pictures; 0: for ever */
    /* [image] */
    int64_t labs; /* decoder processes per worker */
    int64_t max_pixels;
    int64_t max_input_bytes;
    int64_t max_memory_bytes;
    int64_t webp, gif;    /* 0 or 1: taken besides JPEG and PNG */
    char image_mode[24];  /* as it was given; it means: */
    bool max_pixels_mode; /* as many pixels as LINE's limit allows */
    int64_t box_width_px; /* 0: no box */
    int64_t box_height_px;
    int64_t truncated_min_percent; /* 0: cut pictures are refused */

    /* At least one: those of the file in its order, then by name those of which
     * only the environment speaks. */
    struct config_channel *channels;
    size_t channel_count;
    char file[CONFIG_VALUE_MAX + 1]; /* that was read; "": none */
    struct config_origin origins[CONFIG_ORIGINS_MAX]; /* by row of the table */
    struct config_snapshot *snapshot; /* private: it is part of; or NULL */
};

/*
 * `path` is the file; NULL: the one that DARKROOM_CONFIG names, if any.
 * `environment` is like environ(7). BAD_CONFIG: see `errors`. config_release()
 * is due either way.
 */
enum status config_load(struct config *config, const char *path,
                        char *const *environment,
                        struct buf *errors) MUST_CHECK;

/* [server] log_format as given, "" if it is not, unchecked: so that what is
 * said about all the rest is said in that format. */
void config_peek_log_format(const char *path, char *const *environment,
                            char *out, size_t size);

/* Whether the directories that will be written to can be, or can be made: state
 * directory, queue, store. BAD_CONFIG and lines in `errors` if not. Settings
 * may be wrong otherwise. */
enum status config_check_places(const struct config *config,
                                struct buf *errors) MUST_CHECK;
void config_release(struct config *config);

/* "90s", "15m", "12h", "30d" in milliseconds; false for anything else. */
bool config_parse_age(const char *text, int64_t *ms);

/* "darkroom.conf:12", "DARKROOM_SERVER_LABS", "default". */
void config_origin_text(const struct config *config,
                        const struct config_origin *origin, char *out,
                        size_t size);

/* Overwrites the values of the channels' settings in place, so that they are
 * not to be found in /proc/PID/environ. After config_load(). */
void config_wipe_environment(char *const *environment);

/* The channel of /webhook/<name>; NULL if there is none. For "" (/webhook) the
 * channel "default", or the only one. */
const struct config_channel *config_channel(const struct config *config,
                                            const char *name);

/* The URL that LINE is to call for a channel: with the short path if that one
 * leads to it. */
void config_webhook_url(const struct config *config,
                        const struct config_channel *channel, char *url,
                        size_t size);

#endif
