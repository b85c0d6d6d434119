/*
 * config.h: the settings of a worker, from the environment.
 *
 *   buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
 *   status = config_load(&config, environ, &errors);
 *   ... one line in `errors` for each thing that is wrong, all at once ...
 *   config_release(&config);           wipes the secrets
 *
 * Every setting is DARKROOM_<SECTION>_<KEY>, e.g. DARKROOM_SERVER_PUBLIC_URL;
 * a channel's is DARKROOM_CHANNEL_<NAME>_<KEY>. For one channel the names that
 * LINE's samples use suffice: LINE_CHANNEL_SECRET, LINE_CHANNEL_ACCESS_TOKEN
 * and PUBLIC_URL; it is then called "default". A secret may be given as a file
 * that holds it: the same name with _FILE; a secret given by two names is an
 * error. So are unknown DARKROOM_ names: a typing mistake does not pass as a
 * default.
 *
 * config_load() reads secret files and nothing else. The result is plain data,
 * read-only once loaded and then safe for any thread.
 */
#ifndef DARKROOM_CONFIG_H
#define DARKROOM_CONFIG_H

#include "buf.h"
#include "limits.h"
#include "status.h"

#define CONFIG_VALUE_MAX 1024 /* bytes of a value that is no secret */
#define CONFIG_ERRORS_MAX_BYTES (64 * 1024)

struct config_channel {
    char name[CHANNEL_NAME_MAX + 1];
    /* Any of them signs: the old and the new one while a secret is replaced. */
    char secrets[CHANNEL_SECRETS_MAX][SECRET_MAX + 1];
    size_t secret_count;
    char access_token[TOKEN_MAX + 1];
};

struct config {
    /* [server] */
    char public_url[CONFIG_VALUE_MAX + 1]; /* https, no slash at the end */
    char state_dir[CONFIG_VALUE_MAX + 1];
    int64_t acceptors;     /* threads */
    int64_t max_transfers; /* pictures in hand at once, per worker; fewer if
                              the limit on descriptors does not allow them */
    char log_level[16];
    /* [line] */
    char api_url[CONFIG_VALUE_MAX + 1]; /* no slash at the end */
    char data_api_url[CONFIG_VALUE_MAX + 1];
    char ca_file[CONFIG_VALUE_MAX + 1]; /* "": the system's */
    /* [queue], [store] */
    char queue_url[CONFIG_VALUE_MAX + 1];
    char store_url[CONFIG_VALUE_MAX + 1];
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

    struct config_channel *channels; /* sorted by nothing; at least one */
    size_t channel_count;
};

/* `environment` is like environ(7). BAD_CONFIG: see `errors`. config_release()
 * is due either way. */
enum status config_load(struct config *config, char *const *environment,
                        struct buf *errors) MUST_CHECK;
void config_release(struct config *config);

/* Overwrites the values of the channels' settings in place, so that they are
 * not to be found in /proc/PID/environ. After config_load(). */
void config_wipe_environment(char *const *environment);

/* The channel of /webhook/<name>; NULL if there is none. For "" (/webhook) the
 * channel "default", or the only one. */
const struct config_channel *config_channel(const struct config *config,
                                            const char *name);

#endif
