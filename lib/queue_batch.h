/*
 * queue_batch.h: what one transaction of the queue thread does, without its
 * threads and locks. Private to queue_thread.c.
 *
 *   struct batch batch = {...what waited...};
 *   queue_begin(queue);
 *   status = batch_run(&batch, queue, wall_ms());
 *   queue_commit(queue);              or queue_rollback(queue)
 *   ... answer batch.puts and batch.changes, hand over batch.claimed ...
 *
 * The lists own their nodes as said at each; a batch frees nothing.
 */
#ifndef DARKROOM_QUEUE_BATCH_H
#define DARKROOM_QUEUE_BATCH_H

#include <pthread.h>

#include "queue_thread.h"

/* See queue_thread.c. */
enum put_state { PUT_WAITING, PUT_TAKEN, PUT_ANSWERED };

/* On the acceptor's stack. */
struct put {
    struct job *jobs;
    size_t count;
    size_t duplicates;
    enum put_state state;
    enum status status;
    pthread_cond_t answered;
    struct put *next;
};

/* A job on its way to the engine; from malloc(). */
struct claimed {
    struct job job;
    struct claimed *next;
};

struct claimed_list {
    struct claimed *first, *last;
    size_t count;
};

void claimed_list_append(struct claimed_list *list, struct claimed *claimed);
struct claimed *claimed_list_take(struct claimed_list *list); /* or NULL */
void claimed_list_free(struct claimed_list *list);

/* Changes stay the engine's. */
struct change_list {
    struct queue_change *first, *last;
};

void change_list_append(struct change_list *list, struct queue_change *change);
void change_list_prepend_all(struct change_list *list,
                             const struct change_list *before);
struct queue_change *change_list_take(struct change_list *list); /* or NULL */

struct id_list {
    int64_t *ids; /* from malloc() */
    size_t count;
};

struct batch {
    struct put *puts;
    struct change_list changes;
    struct id_list extend;
    size_t room; /* how many jobs may be leased in all */
    bool reap, claim, purge;

    /* what came of it, to be believed after the commit */
    struct claimed_list claimed;
    size_t stored; /* new jobs */
    size_t purged;
};

/* Inside a transaction. OK: commit; the status of each change is in it. */
enum status batch_run(struct batch *batch, struct queue *queue,
                      int64_t now_ms) MUST_CHECK;

#endif
