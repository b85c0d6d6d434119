/*
 * queue_backend.h: what queue.c and the backends share: the tables of
 * operations it chooses from, and small rules. Private to them; users include
 * queue.h.
 *
 * What a backend may rely on, because queue.c checked it: no pointer is NULL,
 * strings of a job end within their arrays, its enum values are in range, the
 * key is not empty, ids and leases are not negative. What it checks itself:
 * that changes come inside a transaction, and what it reads back.
 */
#ifndef DARKROOM_QUEUE_BACKEND_H
#define DARKROOM_QUEUE_BACKEND_H

#include "queue.h"

extern const struct queue_ops queue_sqlite_ops;
extern const struct queue_ops queue_memory_ops;

/* ---- rules that every backend follows */

/* What was received before this is to be purged. */
int64_t queue_kept_since_ms(int64_t now_ms, int64_t keep_ms);

/* As a DONE job is stored: without the user's id, the tokens, the address. */
void queue_forget_sender(struct job *job);

/* As a picture is stored whose message was taken back before. */
void queue_withdraw(struct job *job, int64_t now_ms);

/* Published or not, it does not keep its set waiting any more. */
bool queue_is_over_with_fetching(const struct job *job);

/* Its claim leases the others of its set, too. */
bool queue_is_parked_member(const struct job *job);

/* By set_index. */
void queue_sort_set(struct queue_lease *leases, size_t count);

/* "2026-11", UTC. */
#define QUEUE_MONTH_SIZE 8
void queue_month(int64_t now_ms, char month[QUEUE_MONTH_SIZE]);

#endif
