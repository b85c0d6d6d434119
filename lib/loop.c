/*
 * loop.c: one epoll set; an eventfd wakes it for posted calls; timers in a
 * binary heap whose first one bounds the wait.
 *
 * One turn: wait, read the clock, descriptors, timers, posted calls.
 *
 * A callback may unwatch a descriptor whose event is still in the batch at
 * hand. Each slot of the table (indexed by fd) therefore carries the watch and
 * a generation that is also in the epoll data: an event of an older generation
 * is dropped.
 */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_PER_TURN 64

struct loop {
    int epoll_fd;
    int wake_fd;
    atomic_bool stopping;
    bool running;
    int64_t now_ms; /* of this turn, when running */

    struct loop_watch **watches; /* by fd */
    size_t watch_capacity;
    uint32_t generation;

    struct loop_timer **heap; /* heap[0] is due first */
    uint64_t timer_sequence;
    size_t timer_count;
    size_t heap_capacity;

    pthread_mutex_t lock; /* guards the two below */
    struct loop_call *first_call;
    struct loop_call **last_call;
};

enum status loop_new(struct loop **out)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};

    if (loop == NULL)
        return STATUS_NO_MEMORY;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
        enum status status = status_from_errno(errno);

        if (loop->epoll_fd >= 0)
            close(loop->epoll_fd);
        if (loop->wake_fd >= 0)
            close(loop->wake_fd);
        free(loop);
        return status;
    }
    pthread_mutex_init(&loop->lock, NULL);
    loop->last_call = &loop->first_call;
    *out = loop;
    return STATUS_OK;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    close(loop->epoll_fd);
    close(loop->wake_fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop->watches);
    free(loop->heap);
    free(loop);
}

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->running ? loop->now_ms : mono_ms();
}

/* ---- descriptors */

static enum status reserve_watch(struct loop *loop, size_t fd)
{
    struct loop_watch **watches;
    size_t capacity = loop->watch_capacity > 0 ? loop->watch_capacity : 64;

    while (capacity <= fd)
        capacity *= 2;
    if (capacity == loop->watch_capacity)
        return STATUS_OK;
    watches = realloc(loop->watches, capacity * sizeof(struct loop_watch *));
    if (watches == NULL)
        return STATUS_NO_MEMORY;
    memset(watches + loop->watch_capacity, 0,
           (capacity - loop->watch_capacity) * sizeof(struct loop_watch *));
    loop->watches = watches;
    loop->watch_capacity = capacity;
    return STATUS_OK;
}

enum status loop_watch(struct loop *loop, struct loop_watch *watch, int fd,
                       uint32_t events, loop_fd_fn *fn, void *arg)
{
    struct epoll_event event = {.events = events};
    enum status status;

    if (fd < 0)
        return STATUS_BUG;
    status = reserve_watch(loop, (size_t)fd);
    if (status != STATUS_OK)
        return status;
    loop->generation++;
    event.data.u64 = (uint64_t)loop->generation << 32 | (uint32_t)fd;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return status_from_errno(errno);
    *watch = (struct loop_watch){fd, fn, arg, event.data.u64};
    loop->watches[fd] = watch;
    return STATUS_OK;
}

enum status loop_rewatch(struct loop *loop, struct loop_watch *watch,
                         uint32_t events)
{
    struct epoll_event event = {.events = events,
                                .data.u64 = watch->generation};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        return status_from_errno(errno);
    return STATUS_OK;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    if (watch->fn == NULL || watch->fd < 0)
        return;
    if (loop->watches[watch->fd] == watch) {
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
        loop->watches[watch->fd] = NULL;
    }
    watch->fd = -1;
}

static void run_event(struct loop *loop, const struct epoll_event *event)
{
    size_t fd = event->data.u64 & UINT32_MAX;
    struct loop_watch *watch;

    if (event->data.u64 == UINT64_MAX) {
        uint64_t count;

        (void)!read(loop->wake_fd, &count, sizeof(count));
        return;
    }
    watch = loop->watches[fd];
    if (watch != NULL && watch->generation == event->data.u64)
        watch->fn(watch->arg, event->events);
}

/* ---- timers: heap_index is the position plus one */

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    return a->sequence < b->sequence;
}

static void heap_place(struct loop *loop, struct loop_timer *timer, size_t i)
{
    loop->heap[i] = timer;
    timer->heap_index = i + 1;
}

static void heap_up(struct loop *loop, struct loop_timer *timer, size_t i)
{
    while (i > 0 && is_before(timer, loop->heap[(i - 1) / 2])) {
        heap_place(loop, loop->heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    heap_place(loop, timer, i);
}

static void heap_down(struct loop *loop, struct loop_timer *timer, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= loop->timer_count)
            break;
        if (child + 1 < loop->timer_count &&
            is_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (is_before(timer, loop->heap[child]))
            break;
        heap_place(loop, loop->heap[child], i);
        i = child;
    }
    heap_place(loop, timer, i);
}

void loop_timer_init(struct loop_timer *timer, loop_timer_fn *fn, void *arg)
{
    *timer = (struct loop_timer){.fn = fn, .arg = arg};
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
    return timer->heap_index > 0;
}

enum status loop_timer_set(struct loop *loop, struct loop_timer *timer,
                           int64_t due_ms)
{
    loop_timer_cancel(loop, timer);
    if (loop->timer_count == loop->heap_capacity) {
        size_t capacity =
            loop->heap_capacity > 0 ? loop->heap_capacity * 2 : 64;
        struct loop_timer **heap =
            realloc(loop->heap, capacity * sizeof(struct loop_timer *));

        if (heap == NULL)
            return STATUS_NO_MEMORY;
        loop->heap = heap;
        loop->heap_capacity = capacity;
    }
    /* Not into the past: it would overtake what has waited longer. */
    timer->due_ms = int64_max(due_ms, loop->now_ms);
    timer->sequence = ++loop->timer_sequence;
    heap_up(loop, timer, loop->timer_count++);
    return STATUS_OK;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    size_t i = timer->heap_index;
    struct loop_timer *last;

    if (i == 0)
        return;
    i--;
    timer->heap_index = 0;
    last = loop->heap[--loop->timer_count];
    if (last == timer)
        return;
    if (i > 0 && is_before(last, loop->heap[(i - 1) / 2]))
        heap_up(loop, last, i);
    else
        heap_down(loop, last, i);
}

/* Only what was set before this turn's timers began, see loop.h. */
static void run_due_timers(struct loop *loop)
{
    uint64_t last = loop->timer_sequence;

    while (loop->timer_count > 0 && loop->heap[0]->due_ms <= loop->now_ms &&
           loop->heap[0]->sequence <= last) {
        struct loop_timer *timer = loop->heap[0];

        loop_timer_cancel(loop, timer);
        timer->fn(timer->arg);
    }
}

static int wait_ms(const struct loop *loop)
{
    int64_t wait;

    if (loop->timer_count == 0)
        return -1;
    wait = loop->heap[0]->due_ms - mono_ms();
    return (int)int64_max(0, int64_min(wait, 60000));
}

/* ---- posted calls */

static void wake(struct loop *loop)
{
    uint64_t one = 1;

    (void)!write(loop->wake_fd, &one, sizeof(one));
}

void loop_post(struct loop *loop, struct loop_call *call)
{
    bool was_empty;

    call->next = NULL;
    pthread_mutex_lock(&loop->lock);
    was_empty = loop->first_call == NULL;
    *loop->last_call = call;
    loop->last_call = &call->next;
    pthread_mutex_unlock(&loop->lock);
    if (was_empty)
        wake(loop);
}

static void run_posted_calls(struct loop *loop)
{
    struct loop_call *call;

    pthread_mutex_lock(&loop->lock);
    call = loop->first_call;
    loop->first_call = NULL;
    loop->last_call = &loop->first_call;
    pthread_mutex_unlock(&loop->lock);
    while (call != NULL) {
        struct loop_call *next = call->next;

        call->fn(call);
        call = next;
    }
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    wake(loop);
}

static enum status run_turn(struct loop *loop)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, wait_ms(loop));

    if (n < 0 && errno != EINTR)
        return status_from_errno(errno);
    loop->now_ms = mono_ms();
    for (int i = 0; i < n; i++)
        run_event(loop, &events[i]);
    run_due_timers(loop);
    run_posted_calls(loop);
    return STATUS_OK;
}

enum status loop_run(struct loop *loop)
{
    enum status status = STATUS_OK;

    loop->now_ms = mono_ms();
    loop->running = true;
    while (status == STATUS_OK && !atomic_exchange(&loop->stopping, false))
        status = run_turn(loop);
    loop->running = false;
    return status;
}
