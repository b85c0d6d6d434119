/*
 * config_table.h: the table of settings, one row each. Everything that must
 * agree about a setting comes from its row: the key of the file, the name in
 * the environment, default, bounds, words of help, what `darkroom check` shows.
 *
 *   [server] acceptors = 4            in a file
 *   DARKROOM_SERVER_ACCEPTORS=4       in the environment
 *   [channel shop] push = on          DARKROOM_CHANNEL_SHOP_PUSH=on
 *
 * A row says where its value is in struct config, or in struct config_channel
 * for [channel NAME]. Pure: no I/O, no state; safe from any thread.
 */
#ifndef DARKROOM_CONFIG_TABLE_H
#define DARKROOM_CONFIG_TABLE_H

#include "config.h"

#define CONFIG_NAME_PREFIX "DARKROOM_"
#define CONFIG_CHANNEL_PREFIX "DARKROOM_CHANNEL_"
#define CONFIG_LABEL_MAX (CONFIG_VALUE_MAX + 2 * CONFIG_NAME_MAX)
#define CONFIG_WHY_MAX 256 /* bytes of what is wrong with a value */

enum config_kind {
    CONFIG_MESSAGE,      /* UTF-8, may have several lines */
    CONFIG_FAILURE,      /* failure_text: a message, or "off" */
    CONFIG_SENDER,       /* UTF-8 of SENDER_NAME_MAX_CHARS */
    CONFIG_NUMBER,       /* int64_t in [min, max] */
    CONFIG_AGE,          /* int64_t: milliseconds in [min, max], 0 for ever */
    CONFIG_SWITCH,       /* int64_t: on 1, off 0 */
    CONFIG_WORD,         /* an enum whose values are the places in `words` */
    CONFIG_LEVEL,        /* one of `words`, as text */
    CONFIG_PATH,         /* absolute */
    CONFIG_PLACE,        /* begins with one of `words`, "sqlite:" */
    CONFIG_URL,          /* https */
    CONFIG_URL_LOOPBACK, /* https, or http to this machine */
    CONFIG_URL_PRIVATE,  /* also http to a private address, as digits */
    CONFIG_MODE,         /* image_mode */
    CONFIG_DIGITS,       /* a decimal id, as text */
    CONFIG_TOKEN,        /* fit for a header */
    CONFIG_SECRETS,      /* several with commas between */
};

struct config_setting {
    const char *section; /* "server", ... or "channel" */
    const char *key;     /* as in a file */
    const char *alias;   /* environment name that LINE bots use, or NULL */
    enum config_kind kind;
    bool secret;          /* never shown; may be given as a file, <key>_file */
    bool at_start;        /* a change needs a restart */
    size_t offset;        /* of the value in its struct */
    size_t size;          /* of a text there */
    size_t path_offset;   /* keeps the name of the <key>_file; 0: none */
    const char *fallback; /* as in a file; "": none */
    int64_t min, max;     /* of a number */
    const char *words;    /* with single blanks between */
    const char *help;     /* one sentence without its full stop */
};

struct config_table {
    const struct config_setting *settings;
    size_t count;
};

/* Of struct config, and of struct config_channel. */
extern const struct config_table config_table_worker;
extern const struct config_table config_table_channel;

/* The row of that key, or -1. `section` may be NULL: any. */
int config_table_find(const struct config_table *table, const char *section,
                      const char *key);

/* True if some row of the table is of that section. */
bool config_table_has_section(const struct config_table *table,
                              const char *section);

/* The name in the environment: DARKROOM_SERVER_ACCEPTORS. `channel` is the name
 * of the channel for a row of channels, else not used. */
void config_table_env_name(const struct config_setting *setting,
                           const char *channel, char *out, size_t size);

/* The known name that `word` was perhaps meant to be: of the sections, of the
 * keys of a section, of the environment's names. NULL or false: none is near.
 */
const char *config_table_near_section(const char *word);
const char *config_table_near_key(const struct config_table *table,
                                  const char *section, const char *word);
bool config_table_near_env(const char *word, char *out, size_t size);

/* Edits (a byte put in, left out, changed, or two swapped) from a to b. */
size_t config_edits(const char *a, const char *b);

/* How an error names a value: where it is to be corrected, or how it could be
 * given. */
void config_origin_label(const struct config *config,
                         const struct config_setting *setting,
                         const char *channel,
                         const struct config_origin *origin, char *out,
                         size_t size);

/* ---- values (config_value.c) */

/* Puts `text` into the row's place in `base`. False: `why` says what is wrong,
 * after the name of the setting and a colon; it never holds a secret. */
bool config_value_set(const struct config_setting *setting, void *base,
                      const char *text, char *why, size_t why_size) MUST_CHECK;

/* The value as it would be written in a file; a secret as "(set)". */
void config_value_print(const struct config_setting *setting, const void *base,
                        char *out, size_t size);

/* What a value may be: "1 to 64", "on, off". */
void config_value_expects(const struct config_setting *setting, char *out,
                          size_t size);

#endif
