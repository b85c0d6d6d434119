/*
 * behaviour.h: how a content or an endpoint misbehaves, as plain values, and
 * the pure rules that turn one into what is done for the n-th try. No I/O.
 *
 *   content_behaviour_init(&b);
 *   content_behaviour_set(&b, "cut_after_bytes", &event);   from JSON
 *   content_plan(&b, tries_before, size_bytes, &plan);
 */
#ifndef SIM_BEHAVIOUR_H
#define SIM_BEHAVIOUR_H

#include "json.h"

/* How the end of the body is told. */
enum content_framing {
    CONTENT_FRAMING_LENGTH,  /* Content-Length */
    CONTENT_FRAMING_CHUNKED, /* Transfer-Encoding: chunked */
    CONTENT_FRAMING_CLOSE,   /* by closing: a cut can't be told from the end */
};

/* "_tries": for the first K requests only; 0 = for all. */
struct content_behaviour {
    int64_t rate_bytes_s; /* 0 = as fast as it goes */
    int64_t chunk_bytes;  /* at most so many in one write */
    int64_t delay_ms;     /* before the answer */
    enum content_framing framing;
    char content_type[64]; /* "" = by the file's first bytes */

    int64_t status; /* answered instead of 200 */
    int64_t status_tries;
    int64_t retry_after_s; /* header of a 202, 429 or 5xx; -1 = none */

    int64_t short_bytes;     /* Content-Length promises so many more */
    int64_t cut_after_bytes; /* the connection is closed; -1 = never */
    int64_t cut_tries;
    int64_t stall_after_bytes; /* -1 = never */
    int64_t stall_ms;          /* 0 = until the client leaves */
    int64_t stall_tries;
    bool empty; /* 200 and no bytes */
    bool drop;  /* the connection is closed instead of any answer */
};

/* What is done for one request. */
struct content_plan {
    int status;
    int64_t declared_bytes; /* Content-Length, -1 = none */
    int64_t send_bytes;     /* then: the end, or a cut if cut is true */
    bool cut;
    int64_t stall_at_bytes; /* -1 = never */
    int64_t stall_ms;
};

enum fault_kind {
    FAULT_NONE,
    FAULT_STATUS, /* answer `status` */
    FAULT_HANG,   /* never answer (for hang_ms, 0 = until the client leaves) */
    FAULT_CLOSE,  /* close the connection without an answer */
};

/* A misbehaving endpoint (reply, push, ...). */
struct fault {
    enum fault_kind kind;
    int64_t status;
    bool effect;  /* the request is obeyed all the same */
    bool details; /* a status 400 that names what is wrong with the body */
    int64_t tries;
    int64_t retry_after_s; /* -1 = no header */
    int64_t hang_ms;
    int64_t delay_ms; /* before any answer, with or without a fault */
};

void content_behaviour_init(struct content_behaviour *b);

/* Sets the member `key` from a JSON value. BAD_INPUT: no such member, or a
 * value out of range. */
enum status content_behaviour_set(struct content_behaviour *b, const char *key,
                                  const struct json_event *event) MUST_CHECK;

void fault_init(struct fault *fault);
enum status fault_set(struct fault *fault, const char *key,
                      const struct json_event *event) MUST_CHECK;

/* `tries_before`: requests for this content before this one. */
void content_plan(const struct content_behaviour *b, int64_t tries_before,
                  int64_t size_bytes, struct content_plan *plan);

/* Whether something limited to `tries` still applies. */
bool behaviour_applies(int64_t tries, int64_t tries_before);

#endif
