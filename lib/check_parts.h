/*
 * check_parts.h: what the files of the check share; private to them.
 *
 *   check.c          the order, the loop, how a line is told
 *   check_machine.c  files, queue, jail, secrets: this machine
 *   check_line.c     what LINE says of each channel
 *   check_web.c      the way from outside, through nginx
 */
#ifndef DARKROOM_CHECK_PARTS_H
#define DARKROOM_CHECK_PARTS_H

#include "check.h"
#include "line_once.h"
#include "store.h"

#define CHECK_PATH_BYTES (CONFIG_VALUE_MAX + 64)

struct check {
    const struct check_options *options;
    const struct config *config;
    struct lab_keeper keeper; /* until the lab takes it over */
    int64_t until_ms;         /* mono */
    struct line_once once;
    struct store *store; /* NULL: not there, or not to be opened */
    bool clock_told;
    bool web_answers; /* at public_url, whatever: it can be reached */
    /* The first directory above the published files that a stranger to this
     * user cannot enter, "" if there is none. */
    char closed_dir[CHECK_PATH_BYTES];
    int closed_mode;
    char (*user_ids)[SOURCE_ID_MAX + 1]; /* by channel; "" if not known */
};

/* ---- check.c: `channel` NULL: of all */

PRINTF_LIKE(4, 5)
void check_pass(struct check *check, const char *name,
                const struct config_channel *channel, const char *format, ...);
PRINTF_LIKE(4, 5)
void check_skip(struct check *check, const char *name,
                const struct config_channel *channel, const char *format, ...);
PRINTF_LIKE(5, 6)
void check_fail(struct check *check, const char *name,
                const struct config_channel *channel, const char *advice,
                const char *format, ...);

/* What a request may take; 0: there is no time left. */
int64_t check_time_ms(const struct check *check);

/* Tells that there was no time left for it. */
void check_skip_late(struct check *check, const char *name,
                     const struct config_channel *channel);

/* ---- the parts */

void check_directories(struct check *check);
void check_access(struct check *check);
void check_space(struct check *check);
void check_queue(struct check *check);
void check_lab(struct check *check);
void check_secrets(struct check *check);

void check_channel_at_line(struct check *check, size_t index);
void check_bots_differ(struct check *check);

void check_published(struct check *check);
void check_webhook(struct check *check, const struct config_channel *channel);

#endif
