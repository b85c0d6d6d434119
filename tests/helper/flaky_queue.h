/*
 * flaky_queue.h: a queue in front of a real one, whose operations fail as often
 * as a test says and count what passes.
 *
 *   struct flaky flaky = {.base.ops = &flaky_ops, .inner = queue};
 *   atomic_store(&flaky.commit_fails, 2);      -1: always
 *   ... &flaky.base is given to the queue thread ...
 *
 * Any thread may set the numbers. It has no open and no close: both queues stay
 * the test's.
 */
#ifndef DARKROOM_TEST_FLAKY_QUEUE_H
#define DARKROOM_TEST_FLAKY_QUEUE_H

#include <semaphore.h>
#include <stdatomic.h>

#include "queue.h"

struct flaky {
    struct queue base;
    struct queue *inner;
    atomic_int begin_fails, put_fails, update_fails, commit_fails;
    atomic_int claim_fails; /* of jobs and of bodies */
    atomic_int look_fails;  /* what is due, the latest, the numbers */
    atomic_int puts_before_failure;
    _Atomic enum status failure;
    atomic_bool begin_waits; /* for a post of `begin_may` */
    atomic_int begins_held;  /* so far */
    sem_t begin_may;
    atomic_bool commit_waits; /* likewise */
    atomic_int commits_held;
    sem_t commit_may;
    atomic_int begins, commits;
    atomic_int updates;      /* since the last begin */
    atomic_int most_updates; /* in one commit */
    atomic_int puts, most_puts;
    atomic_llong extended_until;
    atomic_llong told_ready; /* stats as they are told, if > 0 */
};

extern const struct queue_ops flaky_ops;

#endif
