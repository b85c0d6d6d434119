/*
 * offload.h: threads for calls that may block (files, directories, fsync), so
 * that the engine thread never does.
 *
 *   task.work = publish;  task.done = published;  task.arg = job;
 *   offload_submit(offload, &task);
 *     ... work(arg) on a thread of the pool, then done(arg) on the loop
 *
 * The task is embedded in the caller's struct, which must stay alive until
 * done() begins. done() comes exactly once for each submitted task, in no
 * particular order. work() must touch nothing that the loop's thread touches
 * meanwhile.
 *
 * The threads take tasks in the order of submission and block all signals.
 *
 * offload_free() waits until all that was submitted is worked off; done() of
 * those tasks is posted to the loop and must still be run by it or dropped with
 * it.
 */
#ifndef DARKROOM_OFFLOAD_H
#define DARKROOM_OFFLOAD_H

#include "loop.h"

struct offload;

struct offload_task {
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct loop_call call;     /* private */
    struct offload_task *next; /* private */
};

/* `threads`: 1..OFFLOAD_THREADS_MAX. */
enum status offload_new(struct offload **out, struct loop *loop,
                        size_t threads) MUST_CHECK;
void offload_free(struct offload *offload);

/* The loop's thread only. */
void offload_submit(struct offload *offload, struct offload_task *task);

#endif
