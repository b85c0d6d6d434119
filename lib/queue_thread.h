/*
 * queue_thread.h: the only thread that touches the queue. It takes everything
 * that waits, does it in one transaction (group commit) and hands the results
 * back: acceptors sleep on a condition variable, the engine gets a posted call.
 *
 *   queue_thread_start(&qt, &options);
 *   queue_thread_put(qt, jobs, n, &known)    acceptor: returns when durable
 *   queue_thread_submit(qt, &change)         engine: change.done on the loop
 *   queue_thread_add_room(qt, n)             engine: it can take n jobs more
 *   queue_thread_quiesce(qt); queue_thread_free(qt);
 *
 * Room: while the engine has room, new jobs are inserted already leased to this
 * worker and handed to on_claimed with no claim transaction; beyond it they are
 * stored READY. Whenever there is room and something is due (its own or another
 * worker's, looked at when due and at most every QUEUE_POLL_MS), the thread
 * claims. It starts without room; each job that on_claimed gets uses one unit,
 * and the engine adds one when a job ends.
 */
#ifndef DARKROOM_QUEUE_THREAD_H
#define DARKROOM_QUEUE_THREAD_H

#include "loop.h"
#include "queue.h"

struct queue_thread;

struct queue_thread_options {
    struct queue *queue; /* lent; closed by the caller after _free() */
    struct loop *loop;
    /* On the loop's thread; the job is a copy, leased to this owner. */
    void (*on_claimed)(void *arg, const struct job *job);
    void *arg;
};

/* One change to a leased job; embedded in the engine's task struct. */
struct queue_change {
    struct job job; /* as it shall be; see queue_update() */
    /* On the loop's thread, exactly once, durable when status is OK. */
    void (*done)(struct queue_change *change, enum status status);
    enum status status;        /* private */
    struct queue_change *next; /* private */
    struct loop_call call;     /* private */
};

enum status
queue_thread_start(struct queue_thread **out,
                   const struct queue_thread_options *options) MUST_CHECK;

/*
 * Any thread but the loop's. All jobs are stored, or none: OK when every one is
 * durable (or was known: job.state tells nothing, duplicates are success). On
 * failure nothing was accepted: BUSY when the queue is above QUEUE_DEPTH_MAX or
 * did not answer within QUEUE_WAIT_MS (what was still waiting is taken back),
 * STOPPING, NO_SPACE, IO. `duplicates` (optional) counts the known ones.
 */
enum status queue_thread_put(struct queue_thread *qt, struct job *jobs,
                             size_t count, size_t *duplicates) MUST_CHECK;

/* The loop's thread. Failures other than LEASE_LOST are retried inside with
 * backoff until the thread is stopped. */
void queue_thread_submit(struct queue_thread *qt, struct queue_change *change);

/* Any thread: the engine can take this many jobs more. */
void queue_thread_add_room(struct queue_thread *qt, size_t jobs);

/* The loop's thread: the jobs in hand, whose leases are to be kept alive. The
 * thread copies the ids and extends by LEASE_MS in its next transaction. */
void queue_thread_extend(struct queue_thread *qt, const int64_t *ids,
                         size_t count);

/* Any thread: the numbers of a moment ago (at most a second old). */
void queue_thread_stats(struct queue_thread *qt, struct queue_stats *stats);

/* Puts are refused from now on and nothing more is claimed; changes are still
 * done. */
void queue_thread_quiesce(struct queue_thread *qt);

/*
 * Does what is waiting, then ends the thread; what cannot be written within
 * QUEUE_STOP_MS is given up, and its jobs are reaped. Call it when loop_run()
 * has returned and the acceptors put no more: what was posted to the loop is
 * dropped with it. It waits for the gate if a process holds it.
 */
void queue_thread_free(struct queue_thread *qt);

#endif
