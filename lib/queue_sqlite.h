/*
 * queue_sqlite.h: what the files of the SQLite queue share; private to them.
 *
 *   queue_sqlite.c          open, transactions, the life of a job
 *   queue_sqlite_row.c      struct job to parameters and back
 *   queue_sqlite_message.c  what a job does to others: unsend, image sets, the
 *                           budget of pushes
 *   queue_sqlite_forward.c  webhook bodies
 *   queue_sqlite_hand.c     what people ask for: lists, requeue, drop
 */
#ifndef DARKROOM_QUEUE_SQLITE_H
#define DARKROOM_QUEUE_SQLITE_H

#include "queue_backend.h"
#include "queue_db.h"
#include "queue_lock.h"

struct sqlite_queue {
    struct queue base;
    struct queue_lock lock;
    struct queue_db *db;
    bool in_transaction; /* and inside the gate */
};

static inline struct sqlite_queue *sqlite_of(struct queue *queue)
{
    return CONTAINER_OF(queue, struct sqlite_queue, base);
}

/* ---- queue_sqlite_row.c */

void sqlite_bind_origin(struct queue_db *db, enum sql sql,
                        const struct job *job);
void sqlite_bind_progress(struct queue_db *db, enum sql sql,
                          const struct job *job);

/* OK; IO: the row is damaged, which is logged, and *id is set nevertheless. */
enum status sqlite_read_job(struct queue_db *db, enum sql sql, struct job *job,
                            int64_t *id) MUST_CHECK;

/* ---- queue_sqlite.c */

/* The first owner after `owner` that `next` finds, in place; NOT_FOUND. */
enum status sqlite_next_owner(struct sqlite_queue *q, enum sql next,
                              char *owner, size_t size) MUST_CHECK;

/* ---- queue_sqlite_message.c */

/* OK or NOT_FOUND: an UNSEND of this job's message is known. */
enum status sqlite_is_unsent(struct sqlite_queue *q,
                             const struct job *job) MUST_CHECK;

/* Makes the READY jobs of this message WITHDRAWN. */
enum status sqlite_withdraw(struct sqlite_queue *q, const struct job *unsend,
                            int64_t now_ms) MUST_CHECK;

/* Makes the parked members of a set due if all are over with fetching. */
enum status sqlite_wake_set(struct sqlite_queue *q, const char *set_id,
                            const char *channel, int64_t now_ms) MUST_CHECK;

/* What an update has to know of the row before it. */
struct sqlite_before {
    enum job_stage stage;
    bool push_is_new; /* the update will begin a push that counts */
};

/* LEASE_LOST, or OVER_BUDGET. */
enum status sqlite_look_before(struct sqlite_queue *q, const struct job *job,
                               const struct queue_extra *extra, int64_t now_ms,
                               struct sqlite_before *before) MUST_CHECK;
enum status sqlite_follow_up(struct sqlite_queue *q, const struct job *job,
                             const struct sqlite_before *before,
                             int64_t now_ms) MUST_CHECK;

/* ---- queue_sqlite_hand.c */

enum status sqlite_list(struct queue *queue, const struct queue_filter *filter,
                        struct job *jobs, size_t max, size_t *count);
enum status sqlite_current(struct queue *queue, int64_t since_ms,
                           int64_t above_id, int64_t *ids, size_t max,
                           size_t *count);
enum status sqlite_requeue(struct queue *queue, int64_t id, int64_t now_ms);
enum status sqlite_drop(struct queue *queue, int64_t id, const char *reason,
                        int64_t now_ms);

/* ---- queue_sqlite_forward.c */

enum status sqlite_body_put(struct queue *queue, struct queue_body *body,
                            int64_t now_ms);
enum status sqlite_body_claim(struct queue *queue, int64_t now_ms,
                              int64_t lease_ms, struct queue_body **body);
enum status sqlite_body_end(struct queue *queue, int64_t id,
                            enum queue_body_end end, int64_t due_ms,
                            const char *why);
enum status sqlite_body_next_due(struct queue *queue, int64_t *due_ms);
enum status sqlite_body_reap(struct sqlite_queue *q, int64_t now_ms) MUST_CHECK;
enum status sqlite_body_purge(struct sqlite_queue *q,
                              int64_t before_ms) MUST_CHECK;
enum status sqlite_body_stats(struct sqlite_queue *q,
                              struct queue_stats *stats) MUST_CHECK;

#endif
