/*
 * queue_thread.h: the only thread that touches the queue. It takes everything
 * that waits, does it in one transaction (group commit) and hands the results
 * back: acceptors sleep on a condition variable, the engine gets a posted call.
 *
 *   queue_thread_start(&qt, &options);
 *   queue_thread_put(qt, jobs, n, body, &known)
 *                                            acceptor: returns when durable
 *   queue_thread_submit(qt, &change)         engine: change.done on the loop
 *   queue_thread_add_room(qt, n)             engine: it can take n jobs more
 *   queue_thread_quiesce(qt); queue_thread_free(qt);
 *
 * Room: while the engine has room, new jobs are inserted already leased to this
 * worker and handed to on_claimed with no claim transaction; beyond it they are
 * stored READY. Whenever there is room and something is due (its own or another
 * worker's, looked at when due and at most every QUEUE_POLL_MS), the thread
 * claims. It starts without room; each job that on_claimed gets uses one unit,
 * and the engine adds one when a job ends. An image set is handed over whole,
 * even if it is more than the room: nothing more comes until the engine has
 * added what is missing.
 *
 * Bodies: queue_thread_take_bodies() starts their flow; at most `room` of them
 * are in hand. Each ends by a struct queue_body_change, which makes room for
 * the next one in the same transaction.
 */
#ifndef DARKROOM_QUEUE_THREAD_H
#define DARKROOM_QUEUE_THREAD_H

#include "loop.h"
#include "queue.h"

struct queue_thread;

struct queue_thread_options {
    struct queue *queue; /* lent; closed by the caller after _free() */
    struct loop *loop;
    /* On the loop's thread: a copy of a job leased to this owner, or `count` of
     * one image set, all in stage REPLY. The array is lent; what `messages`
     * points to becomes the receiver's. */
    void (*on_claimed)(void *arg, const struct queue_lease *leases,
                       size_t count);
    void *arg;
};

/* One change to a leased job; embedded in the engine's task struct. */
struct queue_change {
    struct job job; /* as it shall be, then as it is; see queue_update() */
    const char *messages; /* these three: struct queue_extra; lent until done */
    int64_t push_budget;
    bool adopt_token;
    /* On the loop's thread, exactly once, durable when status is OK. */
    void (*done)(struct queue_change *change, enum status status);
    enum status status;        /* private */
    bool with_next;            /* private: in one transaction */
    struct queue_change *next; /* private */
    struct loop_call call;     /* private */
};

/* How a body ended; embedded in the forwarder's struct. */
struct queue_body_change {
    int64_t id;
    enum queue_body_end end;
    int64_t due_ms;               /* of a RETRY, wall clock */
    char why[JOB_REASON_MAX + 1]; /* of a DROP */
    /* As done of struct queue_change. */
    void (*done)(struct queue_body_change *change, enum status status);
    enum status status;             /* private */
    struct queue_body_change *next; /* private */
    struct loop_call call;          /* private */
};

enum status
queue_thread_start(struct queue_thread **out,
                   const struct queue_thread_options *options) MUST_CHECK;

/*
 * Any thread but the loop's. All jobs and the body (optional) are stored, or
 * nothing: OK when every one is durable (or was known: job.state tells nothing,
 * duplicates are success). On failure nothing was accepted: BUSY when the queue
 * is above QUEUE_DEPTH_MAX, or what waits to be forwarded above
 * FORWARD_DEPTH_MAX or FORWARD_DEPTH_MAX_BYTES and there is a body, or when the
 * queue did not answer within QUEUE_WAIT_MS (what was still waiting is taken
 * back), STOPPING, NO_SPACE, IO. `body` stays the caller's. `duplicates`
 * (optional) counts the known jobs.
 */
enum status queue_thread_put(struct queue_thread *qt, struct job *jobs,
                             size_t count, struct queue_body *body,
                             size_t *duplicates) MUST_CHECK;

/* Any thread: whether there is room for another body, see above. */
bool queue_thread_takes_bodies(struct queue_thread *qt);

/* The loop's thread. Failures other than LEASE_LOST, GONE and OVER_BUDGET are
 * retried inside with backoff until the thread is stopped. */
void queue_thread_submit(struct queue_thread *qt, struct queue_change *change);

/* The same for changes of which, if the machine stops, either all are durable
 * or none is. Each has an answer of its own. */
void queue_thread_submit_all(struct queue_thread *qt,
                             struct queue_change *const *changes, size_t count);

/* The loop's thread, once: on_body is called on it with bodies that are leased
 * for FORWARD_LEASE_MS and become the receiver's (queue_body_free()). */
void queue_thread_take_bodies(struct queue_thread *qt, size_t room,
                              void (*on_body)(void *arg,
                                              struct queue_body *body),
                              void *arg);

/* The loop's thread; like queue_thread_submit(). */
void queue_thread_end_body(struct queue_thread *qt,
                           struct queue_body_change *change);

/* Any thread: the engine can take this many jobs more. */
void queue_thread_add_room(struct queue_thread *qt, size_t jobs);

/* Any thread: how long jobs are kept from now on; at first for ever. */
void queue_thread_keep(struct queue_thread *qt, const struct queue_keep *keep);

/* The loop's thread: the jobs in hand, whose leases are to be kept alive. The
 * thread copies the ids and extends by LEASE_MS in its next transaction. */
void queue_thread_extend(struct queue_thread *qt, const int64_t *ids,
                         size_t count);

/* Any thread: the numbers of a moment ago (at most a second old). */
void queue_thread_stats(struct queue_thread *qt, struct queue_stats *stats);

/*
 * Any thread but the loop's: queue_recent() on the queue's thread, `max` up to
 * QUEUE_RECENT_MAX. BUSY when it did not answer within QUEUE_WAIT_MS, STOPPING.
 */
enum status queue_thread_recent(struct queue_thread *qt, struct job *jobs,
                                size_t max, size_t *count) MUST_CHECK;

struct queue_pulse {
    int64_t silent_ms; /* since the last transaction that worked */
    int64_t due_ms;    /* queue_next_due() of a moment ago, wall clock */
};

/* Any thread. */
void queue_thread_pulse(struct queue_thread *qt, struct queue_pulse *pulse);

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
