/*
 * decide.h: what to do next about a job. Pure functions: time and chance are
 * arguments, nothing is read or written. The one place that knows the rules of
 * line-platform 3.4 (content) and 4 (reply and push), of late pictures and of
 * image sets; tests/data/decisions.tsv lists what it says, case by case.
 *
 *   decision = decide_claimed(&job, channel, now_ms);      a job came in hand
 *   decision = decide_tried(&job, channel, &attempt);      ... and was tried
 *   decision = decide_published(&job, channel, now_ms);    both files are there
 *   decision = decide_late(&job, channel, is_picture, now_ms);
 *                                                  at decide_late_ms()
 *   decide_apply(&decision, &job);
 *
 * What a decision asks for next is in `act`; what the receipt is to say is in
 * the other fields.
 */
#ifndef DARKROOM_DECIDE_H
#define DARKROOM_DECIDE_H

#include "config.h"
#include "job.h"

enum decide_act {
    DECIDE_FETCH,  /* get the content */
    DECIDE_BUSY,   /* the same, and reply the busy text */
    DECIDE_PARK,   /* READY until due_ms, for the rest of its image set */
    DECIDE_REPLY,  /* the pictures, by the reply token */
    DECIDE_PUSH,   /* the pictures, without it */
    DECIDE_TELL,   /* the failure text, by the reply token */
    DECIDE_REMOVE, /* what was published of a message that was taken back */
    DECIDE_RETRY,  /* READY until due_ms, then the same again */
    DECIDE_END,    /* `state` and `outcome` are final */
};

struct decision {
    enum decide_act act;
    int64_t due_ms; /* PARK, RETRY: wall clock */
    enum job_state state;
    enum job_outcome outcome;
    bool in_doubt; /* of the reply, from now on */
    enum status status;
    char reason[JOB_REASON_MAX + 1]; /* for people */
};

/* What came of a try of the job's stage. */
struct decide_attempt {
    enum status status;
    const char *detail;     /* words about a failure, or "" */
    bool in_doubt;          /* it may have had its effect all the same */
    bool doubted_before;    /* one before it may have */
    bool is_picture;        /* FETCH: the bytes are known to be a picture */
    int64_t retry_after_ms; /* the server's wish, or 0 */
    int64_t posted_ms;      /* REPLY, FAILURE: wall clock, when it was sent */
    int64_t now_ms;         /* wall clock */
    uint32_t random;
};

struct decision decide_claimed(const struct job *job,
                               const struct config_channel *channel,
                               int64_t now_ms);

struct decision decide_tried(const struct job *job,
                             const struct config_channel *channel,
                             const struct decide_attempt *attempt);

/* REPLY, PUSH, PARK or END. */
struct decision decide_published(const struct job *job,
                                 const struct config_channel *channel,
                                 int64_t now_ms);

/* When something has to be said although the picture is not there (wall clock);
 * INT64_MAX if never. `is_picture`: see decide_attempt; always so for what was
 * sent as a picture. */
int64_t decide_late_ms(const struct job *job,
                       const struct config_channel *channel, bool is_picture);

/* At that moment: TELL, or BUSY. */
struct decision decide_late(const struct job *job,
                            const struct config_channel *channel);

/* Until when content is worth fetching: the end of the reply token's minute, or
 * later where the picture may be pushed. */
int64_t decide_fetch_until_ms(const struct job *job,
                              const struct config_channel *channel);

/* A fresh picture of a one-to-one chat, in hand for the first time. */
bool decide_shows_loading(const struct job *job,
                          const struct config_channel *channel, int64_t now_ms);

/* Whether it waits for the rest of its image set before it is answered. */
bool decide_is_set_member(const struct job *job,
                          const struct config_channel *channel);

/* The job as the decision wants it; its stage follows from what is done. */
void decide_apply(const struct decision *decision, struct job *job);

const char *decide_act_name(enum decide_act act);

#endif
