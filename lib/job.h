/*
 * job.h: one picture to be answered, as a plain value, and the pure rules about
 * it: keys, deadlines, backoff. No I/O, no clock: time is an argument.
 *
 * A job is copied freely. What is durable about it is exactly what is in this
 * struct; a queue backend stores and returns it field by field.
 *
 *   stage:   FETCH ──published──▶ REPLY ──▶ (outcome)
 *              │                    └─ may be followed by PUSH
 *              └──cannot be used──▶ FAILURE ──▶ (outcome)
 *   state:   READY ──claim──▶ LEASED ──▶ DONE | DEAD
 *              ▲───retry_at─────┘
 */
#ifndef DARKROOM_JOB_H
#define DARKROOM_JOB_H

#include "limits.h"
#include "status.h"

/* What the row asks for. Values are stored: new ones go to the end. */
enum job_kind {
    JOB_IMAGE,    /* an image message whose content is at LINE */
    JOB_FILE,     /* a file: answered if its bytes are a picture */
    JOB_EXTERNAL, /* an image message whose content is at external_url */
    JOB_UNSEND,   /* message_id was taken back: remove what was published.
                     The row stays as a mark, for a picture that comes later */
};

enum job_state { JOB_READY, JOB_LEASED, JOB_DONE, JOB_DEAD };

/* How far it got; survives a crash, so nothing is done twice. */
enum job_stage {
    JOB_STAGE_FETCH,   /* nothing published yet */
    JOB_STAGE_REPLY,   /* both files are published, the reply is to be sent */
    JOB_STAGE_PUSH,    /* as REPLY, but the reply token is of no use any more */
    JOB_STAGE_FAILURE, /* cannot be used; the user is to be told by a reply */
};

/* The one outcome of a finished job (design section 2, promise 2). */
enum job_outcome {
    JOB_OUTCOME_NONE,
    JOB_OUTCOME_REPLIED,
    JOB_OUTCOME_PUSHED,
    JOB_OUTCOME_FAILURE_TEXT,
    JOB_OUTCOME_WITHDRAWN,
    JOB_OUTCOME_DEAD,
    JOB_OUTCOME_SKIPPED, /* a file that is no picture: nothing is owed */
    JOB_OUTCOME_REMOVED, /* of an UNSEND: nothing is published any more */
};

enum job_source { JOB_SOURCE_USER, JOB_SOURCE_GROUP, JOB_SOURCE_ROOM };

/* Room for "ab/cdef....png": see store.h. */
#define JOB_FILE_NAME_MAX 80

struct job {
    /* what came in; never changes */
    int64_t id;    /* given by the queue */
    int64_t claim; /* which lease this copy is of: of the queue alone */
    enum job_kind kind;
    char channel[CHANNEL_NAME_MAX + 1];
    char event_id[EVENT_ID_MAX + 1];
    char message_id[MESSAGE_ID_MAX + 1];
    char reply_token[REPLY_TOKEN_MAX + 1]; /* a redelivery may renew it */
    enum job_source source;
    char source_id[SOURCE_ID_MAX + 1];     /* where a push would go */
    char quote_token[QUOTE_TOKEN_MAX + 1]; /* "" if none */
    char read_token[QUOTE_TOKEN_MAX + 1];  /* markAsReadToken, "" if none */
    char set_id[SET_ID_MAX + 1];           /* imageSet, "" if none */
    int32_t set_index, set_total;          /* from 1; 0 if not told */
    char external_url[EXTERNAL_URL_MAX + 1];
    int64_t event_ms;    /* wall clock: LINE's time of the event */
    int64_t received_ms; /* wall clock: when the webhook came (last one) */

    /* how it stands; every change goes through the queue */
    enum job_state state;
    enum job_stage stage;
    enum job_outcome outcome;
    int32_t attempts; /* claims so far, this one included */
    int64_t due_ms;   /* wall clock: READY: not before; LEASED: until; DONE and
                         DEAD: when it ended */
    bool reply_in_doubt; /* a reply was sent and its answer not seen */
    bool token_spent;    /* another message used it: only a push is left */
    char push_key[RETRY_KEY_MAX + 1]; /* fixed before the first push, or "" */
    bool alone;                       /* its lab died: decode it by itself */
    enum status last_status;
    char reason[JOB_REASON_MAX + 1]; /* of the last failure, for people */

    /* wall clock: when all of the content was there, and when both files were
     * published; both are set by the latter, and 0 until then */
    int64_t fetched_ms, published_ms;

    /* what was published; set when stage becomes REPLY */
    char original_name[JOB_FILE_NAME_MAX + 1];
    char preview_name[JOB_FILE_NAME_MAX + 1];
};

/* Last moment (wall clock) at which the reply token may still be used. */
int64_t job_deadline_ms(const struct job *job);

/*
 * When to try again after `attempts` tries: exponential from 250 ms to 8 s,
 * with jitter: `random` (any 32 bits) spreads it over the upper half of the
 * step, so jobs that failed together do not return together. `hint_ms` is the
 * server's own wish (Retry-After) or 0; the later one counts.
 */
int64_t job_backoff_ms(int32_t attempts, uint32_t random, int64_t hint_ms);

const char *job_kind_name(enum job_kind kind);
const char *job_state_name(enum job_state state);
const char *job_stage_name(enum job_stage stage);
const char *job_outcome_name(enum job_outcome outcome);

#endif
