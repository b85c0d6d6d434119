/*
 * loop.h: the engine thread's event loop: descriptors, timers, and calls posted
 * by other threads, over one epoll.
 *
 *   loop_new(&loop);
 *   loop_watch(loop, &watch, fd, EPOLLIN, on_readable, arg);
 *   loop_timer_set(loop, &timer, loop_now_ms(loop) + 500);
 *   loop_run(loop);                  until loop_stop()
 *   loop_free(loop);
 *
 * struct loop_watch, loop_timer and loop_call are embedded in the caller's own
 * structs, which own them; the loop only links them. Before such a struct is
 * freed its watch must be unwatched and its timer cancelled; a posted call must
 * have run. Callbacks may watch, unwatch, set, cancel and post anything,
 * themselves included, and may free the struct they are embedded in: the loop
 * does not touch it after the callback began.
 *
 * Threads: everything is for the loop's own thread, but loop_post() and
 * loop_stop(), which are for any thread. Callbacks must not block.
 */
#ifndef DARKROOM_LOOP_H
#define DARKROOM_LOOP_H

#include "base.h"
#include "status.h"

struct loop;

/* `events` are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as of epoll_wait(2). */
typedef void loop_fd_fn(void *arg, uint32_t events);
typedef void loop_timer_fn(void *arg);

struct loop_watch {
    int fd; /* -1 when not watched; set by loop_watch() */
    loop_fd_fn *fn;
    void *arg;
    uint64_t generation; /* private: tells stale events of a reused fd */
};

struct loop_timer {
    loop_timer_fn *fn;
    void *arg;
    int64_t due_ms;    /* loop_now_ms() scale */
    uint64_t sequence; /* private: of the setting; orders equal due times */
    size_t heap_index; /* private: position + 1, 0 when not set */
};

/* A call to be made on the loop's thread; embedded in the caller's struct. */
struct loop_call {
    struct loop_call *next; /* private */
    void (*fn)(struct loop_call *call);
};

enum status loop_new(struct loop **out) MUST_CHECK;
void loop_free(struct loop *loop);

/* Runs callbacks until loop_stop(). Each stop ends one run, the next one if
 * none is under way; the loop can be run again after that. */
enum status loop_run(struct loop *loop) MUST_CHECK;
void loop_stop(struct loop *loop);

/* The clock reading of this turn, CLOCK_MONOTONIC milliseconds; outside
 * loop_run() that of now. */
int64_t loop_now_ms(const struct loop *loop);

/* Starts watching `fd`. The descriptor stays the caller's. */
enum status loop_watch(struct loop *loop, struct loop_watch *watch, int fd,
                       uint32_t events, loop_fd_fn *fn, void *arg) MUST_CHECK;

/* Changes the events of a watched descriptor. */
enum status loop_rewatch(struct loop *loop, struct loop_watch *watch,
                         uint32_t events) MUST_CHECK;

/* Stops watching; no callback comes after. Nothing if it is not watched. Call
 * it before the descriptor is closed. */
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

/* A timer must be initialised with fn, arg and zeros before its first use. */
void loop_timer_init(struct loop_timer *timer, loop_timer_fn *fn, void *arg);

/* (Re)arms the timer; it fires once, at or after due_ms. Timers fire by due
 * time, those of the same time in the order of setting. A timer that a timer's
 * callback sets fires in a later turn even if it is due at once, so no timer
 * keeps the loop from its descriptors. Setting a timer that is set cannot fail;
 * nor can it as the first act of the timer's own callback. */
enum status loop_timer_set(struct loop *loop, struct loop_timer *timer,
                           int64_t due_ms) MUST_CHECK;
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* Any thread: `call->fn(call)` runs on the loop's thread, in order of posting.
 * The struct must stay alive until then and not be posted twice at a time. */
void loop_post(struct loop *loop, struct loop_call *call);

#endif
