/*
 * platform_call.h: what the calls of LINE's side have in common; private to
 * platform_*.c.
 *
 *   call_begin(&call, app, exchange, "reply");
 *   if (call_authorize(&call) && call_check_json(&call) && ...)
 *       ... obey, or call_answer_message() ...
 *   call_end(&call);
 */
#ifndef SIM_PLATFORM_CALL_H
#define SIM_PLATFORM_CALL_H

#include "rules.h"
#include "server.h"
#include "sim.h"

/* One call while it is answered. */
struct call {
    struct sim *sim;
    struct exchange *ex;
    const char *name; /* of the record */
    char request_id[37];
    char message_id[MESSAGE_ID_MAX + 1]; /* of the photo it is about, or "" */
};

void call_begin(struct call *call, struct sim *sim, struct exchange *ex,
                const char *name);
void call_end(struct call *call);

/* False, and 401 or 429 answered, without a good access token or when it is one
 * call too many. */
bool call_authorize(struct call *call, enum rate_kind kind);

/* False, and 413 or 415 answered. The body is recorded. */
bool call_check_json(struct call *call);

/* True if the call ends here, without effect. */
bool call_fault_before(struct call *call, const struct fault *fault);
void call_fault_after(struct call *call, const struct fault *fault);

void call_violate(struct call *call, const char *kind, const char *why);

/* {"message":"..."} */
void call_answer_message(struct exchange *ex, int status, const char *message);

/* 400 with details (platform notes 4.1). */
void call_answer_problems(struct exchange *ex, bool is_json,
                          const struct rules_problem *problems, size_t count);

void platform_uuid(char out[37]);

#endif
