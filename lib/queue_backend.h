/*
 * queue_backend.h: what queue.c and the backends share: the tables of
 * operations it chooses from. Private to them; users include queue.h.
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

#endif
