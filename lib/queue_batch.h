/*
 * queue_batch.h: what one transaction of the queue thread does, without its
 * threads and locks. Private to queue_thread.c and queue_turn.c.
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
    struct queue_body *body; /* or NULL */
    size_t duplicates;
    enum put_state state;
    enum status status;
    pthread_cond_t answered;
    struct put *next;
};

/* A job, or those of an image set, on the way to the engine. */
struct claimed {
    struct claimed *next;
    size_t count;
    struct queue_lease leases[];
};

struct claimed_list {
    struct claimed *first, *last;
    size_t jobs;
};

struct claimed *claimed_new(size_t count); /* or NULL: no memory */
void claimed_free(struct claimed *claimed);

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

/* The same for the ends of bodies, which are the forwarder's. */
struct body_change_list {
    struct queue_body_change *first, *last;
};

void body_change_list_append(struct body_change_list *list,
                             struct queue_body_change *change);
void body_change_list_prepend_all(struct body_change_list *list,
                                  const struct body_change_list *before);
struct queue_body_change *body_change_list_take(struct body_change_list *list);

/* Bodies on the way to the forwarder. */
struct body_list {
    struct queue_body *bodies[FORWARD_ROOM_MAX];
    size_t count;
};

void body_list_free(struct body_list *list);

struct id_list {
    int64_t *ids; /* from malloc() */
    size_t count;
};

struct batch {
    struct put *puts;
    struct change_list changes;
    struct body_change_list body_changes;
    struct id_list extend;
    size_t room;      /* how many jobs may be leased in all, but for a set */
    size_t body_room; /* how many bodies */
    bool reap, claim, claim_bodies, purge;
    struct queue_keep keep;     /* of a purge */
    struct queue_lease *leases; /* lent: QUEUE_LEASES_MAX(QUEUE_CLAIM_MAX) */

    /* what came of it, to be believed after the commit */
    struct claimed_list claimed;
    struct body_list bodies;
    size_t stored; /* new jobs */
    size_t stored_bodies, stored_body_bytes;
    size_t ended_bodies; /* room for as many is free */
    size_t purged;
};

/* Inside a transaction. OK: commit; the status of each change is in it. */
enum status batch_run(struct batch *batch, struct queue *queue,
                      int64_t now_ms) MUST_CHECK;

#endif
