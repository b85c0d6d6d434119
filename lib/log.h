/*
 * log.h: one line per state change, in logfmt or JSON, to standard error.
 *
 *   log_set_level(LOG_LEVEL_INFO);
 *   LOG(INFO, "fetched", LOG_STR("job", id), LOG_INT("bytes", n));
 *
 *   ts=2026-11-22T10:00:00.123Z level=info pid=71 event=fetched job=6 bytes=9
 *
 * or, with log_set_format(LOG_FORMAT_JSON), the same fields as an object:
 *
 *   {"ts":"...","level":"info","pid":71,"event":"fetched","job":"6","bytes":9}
 *
 * A line is written with a single write(2), so lines of several threads and
 * processes do not mix. Values are quoted and escaped where needed, control
 * characters become spaces, bytes that are no UTF-8 become '?'. A line has
 * LOG_LINE_MAX bytes at most: a text that does not fit is cut, a field of which
 * nothing fits is left out; what is written is always well-formed. Never pass a
 * secret or a token: this module does not know which values are.
 *
 * It does not wait for a reader: a line for which standard error has no room is
 * dropped, and the next that gets through is preceded by event=log_lost with
 * the number of lines. A reader that is stuck costs lines, never pictures.
 *
 * All is for any thread.
 */
#ifndef DARKROOM_LOG_H
#define DARKROOM_LOG_H

#include "base.h"

#define LOG_LINE_MAX 2048

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_INT };

struct log_field {
    enum log_kind kind;
    const char *key; /* [a-z_]+ */
    const char *str; /* borrowed for the call */
    int64_t num;
};

#define LOG_STR(k, v)                                                          \
    {                                                                          \
        LOG_KIND_STR, (k), (v), 0                                              \
    }
#define LOG_INT(k, v)                                                          \
    {                                                                          \
        LOG_KIND_INT, (k), NULL, (int64_t)(v)                                  \
    }
#define LOG_END                                                                \
    {                                                                          \
        LOG_KIND_END, NULL, NULL, 0                                            \
    }

/* At least one field: an event without a fact is not worth a line. */
#define LOG(level, event, ...)                                                 \
    log_write(LOG_LEVEL_##level, (event),                                      \
              (const struct log_field[]){__VA_ARGS__, LOG_END})

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* "logfmt", "json"; false if unknown. Before threads start. */
bool log_format_parse(const char *name, enum log_format *format);
void log_set_format(enum log_format format);
const char *log_format_name(void);

/* `level` by its name ("error", "warn", "info", "debug"); false if unknown. */
bool log_level_parse(const char *name, enum log_level *level);

void log_set_level(enum log_level level);

/* The name of the level that is set. */
const char *log_level_name(void);

void log_write(enum log_level level, const char *event,
               const struct log_field *fields);

#endif
