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
 * lease belongs to an owner; a change to a leased job by anyone else answers
 * LEASE_LOST and changes nothing, so a worker that was too slow cannot undo the
 * work of its successor. A worker that died is noticed at once by
 * queue_reap(), which makes its jobs READY again.
 *
 * Duplicates: (channel, event_id, message_id) is unique (line-platform 1.5). A
 * put of a known key stores nothing and answers DUPLICATE; if that job is
 * unfinished its reply token and received_ms are renewed, for the redelivered
 * webhook starts a new minute.
 *
 * URLs: "sqlite:PATH" (one machine, durable), "memory:" (tests: one process,
 * gone with it).
 */
#ifndef DARKROOM_QUEUE_H
#define DARKROOM_QUEUE_H

#include "job.h"

struct queue;

struct queue_stats {
    int64_t ready, leased, done, dead;
    int64_t oldest_ms; /* received_ms of the oldest unfinished job, 0 if none */
};

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
                         struct job *jobs, size_t max, size_t *count);
    enum status (*extend)(struct queue *queue, const int64_t *ids, size_t count,
                          int64_t until_ms);
    enum status (*update)(struct queue *queue, const struct job *job);
    enum status (*reap)(struct queue *queue, int64_t now_ms, size_t *count);
    enum status (*next_due)(struct queue *queue, int64_t *due_ms);
    enum status (*get)(struct queue *queue, int64_t id, struct job *job);
    enum status (*stats)(struct queue *queue, struct queue_stats *stats);
    enum status (*purge)(struct queue *queue, int64_t before_ms, size_t max,
                         size_t *count);
};

/* First member of every backend's struct. */
struct queue {
    const struct queue_ops *ops;
};

/* Opens or creates. BAD_CONFIG: unknown scheme. BAD_VERSION: made by a newer
 * darkroom. `why` receives words for people on failure. */
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

/* Leases up to `max` jobs that are due, oldest due first, READY or with an
 * expired lease; attempts is counted up. */
enum status queue_claim(struct queue *queue, int64_t now_ms, int64_t lease_ms,
                        struct job *jobs, size_t max, size_t *count) MUST_CHECK;

/* Moves the lease of the ids that this owner still holds; others are skipped:
 * their next update says LEASE_LOST. */
enum status queue_extend(struct queue *queue, const int64_t *ids, size_t count,
                         int64_t until_ms) MUST_CHECK;

/*
 * Writes the second and third group of the fields of struct job. What
 * job->state says decides what becomes of the lease: LEASED keeps it (a note),
 * READY gives it back until due_ms (retry), DONE and DEAD end it. LEASE_LOST if
 * this owner does not hold it.
 */
enum status queue_update(struct queue *queue, const struct job *job) MUST_CHECK;

/* Makes the jobs of dead owners READY and due now; `count` of them. */
enum status queue_reap(struct queue *queue, int64_t now_ms,
                       size_t *count) MUST_CHECK;

/* The earliest due_ms of all unfinished jobs, INT64_MAX if there is none. Also
 * outside a transaction. */
enum status queue_next_due(struct queue *queue, int64_t *due_ms) MUST_CHECK;

/* One job by id; NOT_FOUND. Also outside a transaction. */
enum status queue_get(struct queue *queue, int64_t id,
                      struct job *job) MUST_CHECK;

/* Also outside a transaction. */
enum status queue_stats(struct queue *queue,
                        struct queue_stats *stats) MUST_CHECK;

/* Removes up to `max` DONE jobs received before `before_ms`. */
enum status queue_purge(struct queue *queue, int64_t before_ms, size_t max,
                        size_t *count) MUST_CHECK;

#endif
