/*
 * record.h: everything the simulator sends and receives, as JSON lines.
 *
 *   recorder_open(&recorder, path);          NULL path: records nothing
 *   RECORD(recorder, "reply", REC_STR("message_id", id),
 *          REC_INT("status", 200));
 *   {"ts_ms":1790000000123,"kind":"reply","message_id":"6...","status":200}
 *
 * ts_ms is the wall clock, not the settable clock of the rules. A line is one
 * write(2) to a file opened for appending: lines of threads do not mix and
 * nothing is kept in memory. A line that can not be built (a string that is not
 * UTF-8) is replaced by one that says so.
 * Access tokens and secrets are never passed here.
 */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include "base.h"
#include "status.h"

struct recorder {
    int fd; /* -1 = off */
};

struct record_field {
    const char *key; /* NULL ends the list */
    const char *str; /* NULL = a number */
    int64_t num;
};

#define REC_STR(k, v)                                                          \
    {                                                                          \
        (k), (v), 0                                                            \
    }
#define REC_INT(k, v)                                                          \
    {                                                                          \
        (k), NULL, (int64_t)(v)                                                \
    }

#define RECORD(recorder, kind, ...)                                            \
    record_write((recorder), (kind),                                           \
                 (const struct record_field[]){__VA_ARGS__, {NULL, NULL, 0}})

enum status recorder_open(struct recorder *recorder,
                          const char *path) MUST_CHECK;
void recorder_close(struct recorder *recorder);

void record_write(const struct recorder *recorder, const char *kind,
                  const struct record_field *fields);

#endif
