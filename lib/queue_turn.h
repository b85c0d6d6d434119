/*
 * queue_turn.h: what the queue's thread and those who call it share, and the
 * thread itself. Private to queue_thread.c and queue_turn.c.
 *
 *   pthread_create(&qt->thread, NULL, queue_turn_main, qt);
 *   ... under qt->lock: leave a request, signal qt->work ...
 *   ... under qt->lock: qt->stopping = true, signal qt->work ...
 *   pthread_join(qt->thread, NULL);         all that was left is answered
 */
#ifndef DARKROOM_QUEUE_TURN_H
#define DARKROOM_QUEUE_TURN_H

#include "queue_batch.h"

/* On the stack of who wants to see the latest jobs. */
struct recent {
    struct job *jobs;
    size_t max, count;
    bool answered;
    enum status status;
    pthread_cond_t is_answered;
    struct recent *next;
};

struct queue_thread {
    struct queue_thread_options options;
    pthread_t thread;

    pthread_mutex_t lock; /* guards this group */
    pthread_cond_t work;
    pthread_cond_t no_puts;
    struct put *puts; /* WAITING ones, oldest first */
    size_t puts_inside;
    struct recent *recents;
    struct change_list changes;
    struct id_list extend;
    struct claimed_list claimed;
    bool delivery_posted;
    int64_t room; /* below 0 after an image set */
    struct body_change_list body_changes;
    struct body_list bodies;
    bool bodies_posted;
    size_t body_room;
    bool quiescing, stopping;
    struct queue_keep keep;
    int64_t stop_by_ms; /* mono */
    int64_t gate_ms;    /* mono: since when it waits for others, 0: not */
    struct queue_stats stats;
    int64_t worked_ms;        /* mono: the last transaction */
    int64_t due_ms;           /* next_due_wall_ms, when it was looked at */
    int failures;             /* transactions in a row */
    enum status last_failure; /* if there are any */
    size_t stored_since_stats;
    size_t bodies_since_stats, body_bytes_since_stats;

    struct loop_call delivery, body_delivery;
    void (*on_body)(void *arg, struct queue_body *body);
    void *on_body_arg;

    /* the thread's own; times are mono unless they say wall */
    int64_t next_due_wall_ms, next_body_due_wall_ms;
    struct job *recent_jobs;    /* QUEUE_RECENT_MAX */
    struct queue_lease *leases; /* QUEUE_LEASES_MAX(QUEUE_CLAIM_MAX) */
    int64_t poll_ms, stats_ms, purge_ms;
    int64_t retry_ms;
};

/* Turns until it is told to stop; `arg` is the struct queue_thread. */
void *queue_turn_main(void *arg);

/* A time of mono_ms(), as a condition wants it. */
struct timespec queue_turn_timespec(int64_t mono_ms);

#endif
