/*
 * fake_queue.h: a memory queue that fails on demand and may be looked into
 * while a queue thread works on it.
 *
 *   fake_queue_open(&fake);
 *   options.queue = &fake.base;
 *   fake_queue_fail(&fake, FAKE_UPDATE, 0, 1, STATUS_IO);
 *   ...
 *   fake_queue_get(&fake, 1, &job);
 *   fake_queue_close(&fake);            after the queue thread
 */
#ifndef DARKROOM_TEST_FAKE_QUEUE_H
#define DARKROOM_TEST_FAKE_QUEUE_H

#include <pthread.h>

#include "queue.h"

enum fake_call {
    FAKE_BEGIN,
    FAKE_PUT,
    FAKE_UPDATE,
    FAKE_COMMIT,
    FAKE_BODY_PUT,
    FAKE_BODY_END,
    FAKE__COUNT
};

struct fake_queue {
    struct queue base;
    struct queue *inner;
    pthread_mutex_t lock; /* held from begin to commit or rollback; who holds
                             it may look, too */
    pthread_mutex_t faults_lock;
    struct {
        int after, count;
        enum status status;
    } faults[FAKE__COUNT];
};

void fake_queue_open(struct fake_queue *fake);
void fake_queue_close(struct fake_queue *fake);

/* After `after` calls that work, the next `count` calls answer `status`. */
void fake_queue_fail(struct fake_queue *fake, enum fake_call call, int after,
                     int count, enum status status);

/* Any thread: what is committed. */
enum status fake_queue_get(struct fake_queue *fake, int64_t id,
                           struct job *job) MUST_CHECK;
void fake_queue_stats(struct fake_queue *fake, struct queue_stats *stats);

/* Stores a job that stands as `job` says in all that queue_update() writes;
 * sets job->id. Of attempts, a claim adds one. */
void fake_queue_store(struct fake_queue *fake, struct job *job);

/* The same, with the messages that a note left; NULL: none. */
void fake_queue_store_noted(struct fake_queue *fake, struct job *job,
                            const char *messages);

/* As a webhook would: READY, and what that does to others. Any thread. */
void fake_queue_put(struct fake_queue *fake, struct job *job);

#endif
