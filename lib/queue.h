/*
 * queue.h: the contract of the durable queue, and the door to its backends.
 *
 * A backend is a const table of operations (struct queue_ops). All calls block
 * and belong to one thread, the queue thread (queue_thread.h): nothing else may
 * touch a queue. Time is an argument (wall clock, ms).
 *
 * Changes happen inside a transaction, and are durable when queue_commit()
 * returned OK:
 *
 *   queue_begin(q);                       waits its turn among the processes
 *   queue_put(q, &job, lease, &result);   ...any number of changes...
 *   queue_commit(q);
 *
 * After any failure inside a transaction the caller calls queue_rollback() and
 * nothing of it has happened.
 *
 * Owner and fencing: every worker process is an owner with a name of its own. A
 * lease belongs to an owner, and has a number (job.claim) that no other lease
 * of its job has; a change by anyone else, or by an earlier lease, answers
 * LEASE_LOST and changes nothing. So a worker that was too slow cannot undo the
 * work of its successor, be that itself. A worker that died is noticed at once
 * by queue_reap(), which makes its jobs READY again.
 *
 * Duplicates: (channel, event_id, message_id) is unique (line-platform 1.5). A
 * put of a known key stores nothing and answers DUPLICATE; if that job is
 * unfinished its reply token and received_ms are renewed, for the redelivered
 * webhook starts a new minute. Not so a job whose reply is in doubt or whose
 * token is spent: what is known about the old token must not be forgotten.
 *
 * Unsend: a job of kind UNSEND takes back (channel, message_id). Its put makes
 * every READY picture of that message DONE and WITHDRAWN, and every DEAD one,
 * which could be tried again else; a put of such a picture that comes later is
 * stored as DONE and WITHDRAWN at once, and the owner of a leased one learns it
 * by GONE from its next queue_update(). The UNSEND job itself is leased and
 * claimed like any other.
 *
 * Who sent it: with the update (or unsend) by which a job is DONE the queue
 * forgets the id of its user, its tokens and its external_url; nothing is sent
 * for it any more. Of a DEAD one they stay, for it may be tried again.
 *
 * Image sets: jobs of one (channel, set_id) are answered together. A member
 * that is published is parked: one update from FETCH to READY in stage REPLY,
 * due when the set is to be answered with what is there. When set_total jobs of
 * a set are over with fetching (any later stage, or finished), its READY jobs
 * in stage REPLY become due at once; that happens in the call by which the last
 * one leaves stage FETCH, and not again, so a retry keeps its delay. A claim
 * that finds one of them leases all of them, next to each other in its answer,
 * by set_index.
 *
 * Bodies: webhook bodies on their way to another server (struct queue_body), in
 * the order of arrival: of each channel only the oldest is ever leased, and the
 * next one follows when it has ended. They are leased, fenced and reaped like
 * jobs.
 *
 * URLs: "sqlite:PATH" (one machine, durable), "memory:" (tests: one process,
 * gone with it).
 */
#ifndef DARKROOM_QUEUE_H
#define DARKROOM_QUEUE_H

#include "buf.h"
#include "job.h"

struct queue;

struct queue_stats {
    int64_t ready, leased, done, dead;
    int64_t oldest_ms; /* received_ms of the oldest unfinished job, 0 if none */
    int64_t bodies, body_bytes; /* not yet forwarded */
    int64_t dropped_bodies;
};

/* A job leased to this owner, and the messages a note has left with it: from
 * malloc(), the receiver's, or NULL. */
struct queue_lease {
    struct job job;
    char *messages;
};

/* What an update may do besides; all zero: nothing. */
struct queue_extra {
    const char *messages; /* kept until the job ends, beyond that with a DEAD
                             push, and given to who claims it; at most
                             MESSAGES_MAX_BYTES. NULL: as it was */
    int64_t push_budget;  /* pushes of the channel in a month, 0: no bound */
    bool adopt_token;     /* job->reply_token and received_ms are to be written:
                             those of the reply that this job is part of */
};

/* One webhook body. From queue_body_new(). */
struct queue_body {
    int64_t id; /* given by the queue */
    char channel[CHANNEL_NAME_MAX + 1];
    char signature[SIGNATURE_MAX + 1]; /* x-line-signature, as it came */
    int64_t received_ms;               /* wall clock */
    int32_t attempts;                  /* claims so far, this one included */
    struct buf body;                   /* byte for byte, as it came */
};

enum queue_body_end {
    QUEUE_BODY_DONE,  /* delivered: removed */
    QUEUE_BODY_RETRY, /* READY again at due_ms; the channel waits for it */
    QUEUE_BODY_DROP,  /* given up: a row without its bytes stays for a while */
};

/* How long jobs are kept that have ended, from received_ms; 0: for ever. */
struct queue_keep {
    int64_t done_ms;
    int64_t dead_ms;
};

/* Which jobs a list is of; all that it says must be so. */
struct queue_filter {
    int state;              /* enum job_state; -1: any */
    int outcome;            /* enum job_outcome; -1: any */
    const char *channel;    /* "": any */
    const char *message_id; /* "": any */
    int64_t since_ms;       /* received_ms, at least */
    int64_t before_id;      /* an id below it: the next page of a list */
    bool pictures_only;     /* no UNSEND jobs */
};
#define QUEUE_FILTER_ALL                                                       \
    {                                                                          \
        -1, -1, "", "", INT64_MIN, INT64_MAX, false                            \
    }

struct queue_ops {
    const char *scheme; /* "sqlite" */
    enum status (*open)(struct queue **out, const char *path);
    void (*close)(struct queue *queue);
    enum status (*begin)(struct queue *queue);
    enum status (*commit)(struct queue *queue);
    void (*rollback)(struct queue *queue);
    enum status (*put)(struct queue *queue, struct job *job, int64_t now_ms,
                       int64_t lease_ms);
    enum status (*claim)(struct queue *queue, int64_t now_ms, int64_t lease_ms,
                         struct queue_lease *leases, size_t max, size_t *count);
    enum status (*extend)(struct queue *queue, const int64_t *ids, size_t count,
                          int64_t until_ms);
    enum status (*update)(struct queue *queue, struct job *job,
                          const struct queue_extra *extra, int64_t now_ms);
    enum status (*reap)(struct queue *queue, int64_t now_ms, size_t *count);
    enum status (*next_due)(struct queue *queue, int64_t *due_ms);
    enum status (*get)(struct queue *queue, int64_t id, struct job *job);
    enum status (*list)(struct queue *queue, const struct queue_filter *filter,
                        struct job *jobs, size_t max, size_t *count);
    enum status (*current)(struct queue *queue, int64_t since_ms,
                           int64_t above_id, int64_t *ids, size_t max,
                           size_t *count);
    enum status (*requeue)(struct queue *queue, int64_t id, int64_t now_ms);
    enum status (*drop)(struct queue *queue, int64_t id, const char *reason,
                        int64_t now_ms);
    enum status (*stats)(struct queue *queue, struct queue_stats *stats);
    enum status (*purge)(struct queue *queue, const struct queue_keep *keep,
                         int64_t now_ms, size_t max, size_t *count);
    enum status (*body_put)(struct queue *queue, struct queue_body *body,
                            int64_t now_ms);
    enum status (*body_claim)(struct queue *queue, int64_t now_ms,
                              int64_t lease_ms, struct queue_body **body);
    enum status (*body_end)(struct queue *queue, int64_t id,
                            enum queue_body_end end, int64_t due_ms,
                            const char *why);
    enum status (*body_next_due)(struct queue *queue, int64_t *due_ms);
};

/* First member of every backend's struct. */
struct queue {
    const struct queue_ops *ops;
};

/* Opens or creates, and leads an older queue to this version. BAD_CONFIG:
 * unknown scheme. BAD_VERSION: made by a newer darkroom. BUSY: another process
 * held the queue for QUEUE_OPEN_WAIT_MS. STOPPING: a signal to stop came while
 * it waited. `why` receives words for people on failure. */
enum status queue_open(struct queue **out, const char *url, char *why,
                       size_t why_size) MUST_CHECK;

/* Gives up the owner's name; leases still held become READY by reaping. */
void queue_close(struct queue *queue);

/* BUSY: another process holds the queue for too long. */
enum status queue_begin(struct queue *queue) MUST_CHECK;
enum status queue_commit(struct queue *queue) MUST_CHECK;
void queue_rollback(struct queue *queue);

/*
 * Stores a new job and sets job->id. With lease_ms > 0 it is inserted already
 * leased to this owner (job->state LEASED, due_ms = now + lease, attempts 1);
 * with 0 it is READY and due now. DUPLICATE: see above; job->id is the known
 * one and the job is not leased by this call.
 */
enum status queue_put(struct queue *queue, struct job *job, int64_t now_ms,
                      int64_t lease_ms) MUST_CHECK;

/*
 * Leases jobs that are due, oldest due first, READY or with an expired lease,
 * until there are `max`; attempts is counted up. The rest of an image set comes
 * with its first member even beyond `max`: `leases` has room for
 * QUEUE_LEASES_MAX(max).
 */
#define QUEUE_LEASES_MAX(max) ((max) + SET_TOTAL_MAX - 1)
enum status queue_claim(struct queue *queue, int64_t now_ms, int64_t lease_ms,
                        struct queue_lease *leases, size_t max,
                        size_t *count) MUST_CHECK;

/* Moves the lease of the ids that this owner still holds; others are skipped:
 * their next update says LEASE_LOST. */
enum status queue_extend(struct queue *queue, const int64_t *ids, size_t count,
                         int64_t until_ms) MUST_CHECK;

/*
 * Writes the second and third group of the fields of struct job. What
 * job->state says decides what becomes of the lease: LEASED keeps it (a note),
 * READY gives it back until due_ms (retry, parking), DONE and DEAD end it. A
 * note brings job->reply_token and received_ms up to date: a redelivery may
 * have renewed them. `extra` may be NULL.
 *
 * Nothing is changed by: LEASE_LOST, this owner does not hold it; GONE, the
 * sender took the message back and the job is not DONE by this update (the
 * lease is still held, or is lost: what this owner has published meanwhile is
 * its own to remove); OVER_BUDGET, the first update that gives the job its
 * push_key in stage PUSH would be one push too many for its channel in the
 * month of now_ms (UTC). Jobs of a set with one push_key are one push.
 */
enum status queue_update(struct queue *queue, struct job *job,
                         const struct queue_extra *extra,
                         int64_t now_ms) MUST_CHECK;

/* Makes the jobs and bodies of dead owners READY and due now; `count` jobs. */
enum status queue_reap(struct queue *queue, int64_t now_ms,
                       size_t *count) MUST_CHECK;

/* The earliest due_ms of all unfinished jobs, INT64_MAX if there is none. Also
 * outside a transaction. */
enum status queue_next_due(struct queue *queue, int64_t *due_ms) MUST_CHECK;

/* One job by id; NOT_FOUND. Also outside a transaction. */
enum status queue_get(struct queue *queue, int64_t id,
                      struct job *job) MUST_CHECK;

/* Up to `max` jobs, latest id first. A damaged row is left out: only a list of
 * none is the last page. Costs a look at each row above the last one that is
 * found, but at the message's rows alone with a message_id. Also outside a
 * transaction. */
enum status queue_list(struct queue *queue, const struct queue_filter *filter,
                       struct job *jobs, size_t max, size_t *count) MUST_CHECK;

/* The ids, ascending and above `above_id`, of up to `max` jobs that are
 * unfinished, or were received at since_ms or later; a requeue counts as that.
 * Costs a look at each of these and at no other row. Also outside a
 * transaction. */
enum status queue_current(struct queue *queue, int64_t since_ms,
                          int64_t above_id, int64_t *ids, size_t max,
                          size_t *count) MUST_CHECK;

/* The pictures that came last, in any state. Also outside a transaction. */
enum status queue_recent(struct queue *queue, struct job *jobs, size_t max,
                         size_t *count) MUST_CHECK;

/*
 * A DEAD job is to be tried once more: READY and due now, as if it had come now
 * but without a reply token, so that it can only be pushed. A push that was
 * begun goes on with its key (LINE takes it once, line-platform 4.2), all else
 * begins with fetching. NOT_FOUND: there is no DEAD job of this id.
 */
enum status queue_requeue(struct queue *queue, int64_t id,
                          int64_t now_ms) MUST_CHECK;

/* Ends an unfinished job: DEAD, for `reason`. Who has leased it learns that by
 * LEASE_LOST, perhaps after its answer. NOT_FOUND: no such unfinished job. */
enum status queue_drop(struct queue *queue, int64_t id, const char *reason,
                       int64_t now_ms) MUST_CHECK;

/* Also outside a transaction. */
enum status queue_stats(struct queue *queue,
                        struct queue_stats *stats) MUST_CHECK;

/* Removes up to `max` jobs that are older than they are kept, and the dropped
 * bodies of the age of DONE ones. Of what is removed a duplicate is not known
 * any more. */
enum status queue_purge(struct queue *queue, const struct queue_keep *keep,
                        int64_t now_ms, size_t max, size_t *count) MUST_CHECK;

/* An empty body of at most `ceiling` bytes; NULL: no memory. */
struct queue_body *queue_body_new(size_t ceiling);
void queue_body_free(struct queue_body *body);

/* Stores a body, due now, and sets its id. A known one is stored again: LINE
 * itself sends a webhook more than once. */
enum status queue_body_put(struct queue *queue, struct queue_body *body,
                           int64_t now_ms) MUST_CHECK;

/* Leases the body that has been due for the longest time among the oldest ones
 * of all channels. NOT_FOUND: none is due. */
enum status queue_body_claim(struct queue *queue, int64_t now_ms,
                             int64_t lease_ms,
                             struct queue_body **body) MUST_CHECK;

/* Ends this owner's lease of a body; `why` of a DROP is for people, due_ms is a
 * RETRY's. LEASE_LOST as in queue_update(). */
enum status queue_body_end(struct queue *queue, int64_t id,
                           enum queue_body_end end, int64_t due_ms,
                           const char *why) MUST_CHECK;

/* As queue_next_due(), of what queue_body_claim() would find. */
enum status queue_body_next_due(struct queue *queue,
                                int64_t *due_ms) MUST_CHECK;

#endif
