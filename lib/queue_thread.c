/*
 * queue_thread.c: what other threads see of the queue's thread: where they
 * leave what they want, and wait. What the thread does with it is in
 * queue_turn.c.
 *
 * A put is in one of three states, changed under the lock only:
 *
 *   WAITING ──cut──▶ TAKEN ──settle──▶ ANSWERED
 *      └── patience over: the acceptor takes it back
 *
 * A WAITING put has touched nothing, so BUSY is true when it is taken back. A
 * TAKEN put is part of a transaction past all waiting for others; its acceptor
 * stays until the commit or the rollback is known, and is told that. So no put
 * that was refused is ever stored. All rows of a put are in one transaction.
 *
 * Claimed jobs wait in a list owned here, which one posted call empties on the
 * loop; what is in it at the end is dropped, and the queue reaps it.
 */
#include "queue_thread.h"

#include <errno.h>
#include <signal.h>

#include "log.h"
#include "queue_turn.h"

/* ---- the loop's side */

/* The lock is let go for each job: the engine may submit from within. */
static void deliver(struct loop_call *call)
{
    struct queue_thread *qt = CONTAINER_OF(call, struct queue_thread, delivery);
    struct claimed *claimed;

    for (;;) {
        pthread_mutex_lock(&qt->lock);
        claimed = claimed_list_take(&qt->claimed);
        if (claimed == NULL)
            qt->delivery_posted = false;
        pthread_mutex_unlock(&qt->lock);
        if (claimed == NULL)
            return;
        qt->options.on_claimed(qt->options.arg, claimed->leases,
                               claimed->count);
        free(claimed);
    }
}

static struct queue_body *take_body(struct queue_thread *qt)
{
    struct queue_body *body = NULL;

    pthread_mutex_lock(&qt->lock);
    if (qt->bodies.count > 0)
        body = qt->bodies.bodies[--qt->bodies.count];
    else
        qt->bodies_posted = false;
    pthread_mutex_unlock(&qt->lock);
    return body;
}

static void deliver_bodies(struct loop_call *call)
{
    struct queue_thread *qt =
        CONTAINER_OF(call, struct queue_thread, body_delivery);
    struct queue_body *body;

    while ((body = take_body(qt)) != NULL)
        qt->on_body(qt->on_body_arg, body);
}

void queue_thread_submit_all(struct queue_thread *qt,
                             struct queue_change *const *changes, size_t count)
{
    pthread_mutex_lock(&qt->lock);
    for (size_t i = 0; i < count; i++) {
        changes[i]->with_next = i + 1 < count;
        change_list_append(&qt->changes, changes[i]);
    }
    pthread_cond_signal(&qt->work);
    pthread_mutex_unlock(&qt->lock);
}

void queue_thread_submit(struct queue_thread *qt, struct queue_change *change)
{
    queue_thread_submit_all(qt, &change, 1);
}

void queue_thread_end_body(struct queue_thread *qt,
                           struct queue_body_change *change)
{
    pthread_mutex_lock(&qt->lock);
    body_change_list_append(&qt->body_changes, change);
    pthread_cond_signal(&qt->work);
    pthread_mutex_unlock(&qt->lock);
}

void queue_thread_take_bodies(struct queue_thread *qt, size_t room,
                              void (*on_body)(void *arg,
                                              struct queue_body *body),
                              void *arg)
{
    pthread_mutex_lock(&qt->lock);
    qt->on_body = on_body;
    qt->on_body_arg = arg;
    qt->body_room = size_min(room, FORWARD_ROOM_MAX);
    pthread_cond_signal(&qt->work);
    pthread_mutex_unlock(&qt->lock);
}

void queue_thread_add_room(struct queue_thread *qt, size_t jobs)
{
    pthread_mutex_lock(&qt->lock);
    qt->room += (int64_t)jobs;
    pthread_cond_signal(&qt->work);
    pthread_mutex_unlock(&qt->lock);
}

void queue_thread_keep(struct queue_thread *qt, const struct queue_keep *keep)
{
    pthread_mutex_lock(&qt->lock);
    qt->keep = *keep;
    pthread_mutex_unlock(&qt->lock);
}

void queue_thread_extend(struct queue_thread *qt, const int64_t *ids,
                         size_t count)
{
    int64_t *copy = count > 0 ? malloc(count * sizeof(*copy)) : NULL;

    if (copy == NULL)
        return; /* the engine asks again long before the lease is over */
    memcpy(copy, ids, count * sizeof(*copy));
    pthread_mutex_lock(&qt->lock);
    free(qt->extend.ids);
    qt->extend = (struct id_list){.ids = copy, .count = count};
    pthread_cond_signal(&qt->work);
    pthread_mutex_unlock(&qt->lock);
}

/* ---- the acceptors' side */

/* The lock is held. */
static int64_t depth_of(const struct queue_thread *qt)
{
    return qt->stats.ready + qt->stats.leased + (int64_t)qt->stored_since_stats;
}

/* Likewise. */
static bool has_room_for_bodies(const struct queue_thread *qt)
{
    return qt->stats.bodies + (int64_t)qt->bodies_since_stats <
               FORWARD_DEPTH_MAX &&
           qt->stats.body_bytes + (int64_t)qt->body_bytes_since_stats <
               FORWARD_DEPTH_MAX_BYTES;
}

/* Likewise. */
static bool is_too_deep(const struct queue_thread *qt,
                        const struct queue_body *body)
{
    return depth_of(qt) >= QUEUE_DEPTH_MAX ||
           (body != NULL && !has_room_for_bodies(qt));
}

bool queue_thread_takes_bodies(struct queue_thread *qt)
{
    bool takes;

    pthread_mutex_lock(&qt->lock);
    takes = has_room_for_bodies(qt);
    pthread_mutex_unlock(&qt->lock);
    return takes;
}

static void put_append(struct queue_thread *qt, struct put *put)
{
    struct put **end = &qt->puts;

    while (*end != NULL)
        end = &(*end)->next;
    *end = put;
}

/* Who it is that holds the gate cannot be said: the kernel does not tell of a
 * lock of an open file description whose it is. The lock is held. */
static void tell_of_the_wait(const struct queue_thread *qt)
{
    const char *text = "this worker's own transaction is slow; is the disk?";

    if (qt->gate_ms != 0)
        text = "another process has locked the queue; is it stopped?";
    else if (qt->failures > 0)
        text = status_text(qt->last_failure);
    LOG(WARN, "queue_wait_over", LOG_INT("waited_ms", QUEUE_WAIT_MS),
        LOG_INT("gate_ms", qt->gate_ms != 0 ? mono_ms() - qt->gate_ms : 0),
        LOG_INT("failures", qt->failures), LOG_STR("text", text));
}

static void put_take_back(struct queue_thread *qt, struct put *put)
{
    struct put **link = &qt->puts;

    while (*link != put)
        link = &(*link)->next;
    *link = put->next;
    put->state = PUT_ANSWERED;
    put->status = STATUS_BUSY;
}

static void wait_for_answer(struct queue_thread *qt, struct put *put)
{
    struct timespec until = queue_turn_timespec(mono_ms() + QUEUE_WAIT_MS);

    while (put->state != PUT_ANSWERED) {
        int rc = 0;

        if (put->state == PUT_WAITING)
            rc = pthread_cond_timedwait(&put->answered, &qt->lock, &until);
        else
            pthread_cond_wait(&put->answered, &qt->lock);
        if (rc == ETIMEDOUT && put->state == PUT_WAITING) {
            put_take_back(qt, put);
            tell_of_the_wait(qt);
        }
    }
}

/* A condition that waits by the clock that does not jump. */
static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

enum status queue_thread_put(struct queue_thread *qt, struct job *jobs,
                             size_t count, struct queue_body *body,
                             size_t *duplicates)
{
    struct put put = {.jobs = jobs, .count = count, .body = body};

    cond_init(&put.answered);
    pthread_mutex_lock(&qt->lock);
    qt->puts_inside++;
    if (qt->quiescing) {
        put.status = STATUS_STOPPING;
    } else if (is_too_deep(qt, body)) {
        put.status = STATUS_BUSY;
    } else if (count > 0 || body != NULL) {
        put_append(qt, &put);
        pthread_cond_signal(&qt->work);
        wait_for_answer(qt, &put);
    }
    if (--qt->puts_inside == 0)
        pthread_cond_signal(&qt->no_puts);
    pthread_mutex_unlock(&qt->lock);
    pthread_cond_destroy(&put.answered);
    if (duplicates != NULL)
        *duplicates = put.status == STATUS_OK ? put.duplicates : 0;
    return put.status;
}

void queue_thread_stats(struct queue_thread *qt, struct queue_stats *stats)
{
    pthread_mutex_lock(&qt->lock);
    *stats = qt->stats;
    pthread_mutex_unlock(&qt->lock);
}

void queue_thread_pulse(struct queue_thread *qt, struct queue_pulse *pulse)
{
    pthread_mutex_lock(&qt->lock);
    pulse->silent_ms = mono_ms() - qt->worked_ms;
    pulse->due_ms = qt->due_ms;
    pthread_mutex_unlock(&qt->lock);
}

/* ---- the latest jobs */

/* A recent is touched under the lock only, so it can be taken back any time. */
static void recent_unlink(struct queue_thread *qt, struct recent *recent)
{
    struct recent **link = &qt->recents;

    while (*link != NULL && *link != recent)
        link = &(*link)->next;
    if (*link != NULL)
        *link = recent->next;
}

static void wait_for_recent(struct queue_thread *qt, struct recent *recent)
{
    struct timespec until = queue_turn_timespec(mono_ms() + QUEUE_WAIT_MS);
    int rc = 0;

    recent->next = qt->recents;
    qt->recents = recent;
    pthread_cond_signal(&qt->work);
    while (!recent->answered && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&recent->is_answered, &qt->lock, &until);
    recent_unlink(qt, recent);
}

enum status queue_thread_recent(struct queue_thread *qt, struct job *jobs,
                                size_t max, size_t *count)
{
    struct recent recent = {.jobs = jobs,
                            .max = size_min(max, QUEUE_RECENT_MAX),
                            .status = STATUS_BUSY};

    cond_init(&recent.is_answered);
    pthread_mutex_lock(&qt->lock);
    qt->puts_inside++;
    if (qt->quiescing)
        recent.status = STATUS_STOPPING;
    else
        wait_for_recent(qt, &recent);
    if (--qt->puts_inside == 0)
        pthread_cond_signal(&qt->no_puts);
    pthread_mutex_unlock(&qt->lock);
    pthread_cond_destroy(&recent.is_answered);
    *count = recent.count;
    return recent.status;
}

/* ---- life */

/* With all signals blocked: they are another thread's business. */
static enum status spawn(struct queue_thread *qt)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&qt->thread, NULL, queue_turn_main, qt);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err == 0 ? STATUS_OK : status_from_errno(err);
}

static void destroy(struct queue_thread *qt)
{
    claimed_list_free(&qt->claimed);
    body_list_free(&qt->bodies);
    free(qt->leases);
    free(qt->recent_jobs);
    free(qt->extend.ids);
    pthread_cond_destroy(&qt->no_puts);
    pthread_cond_destroy(&qt->work);
    pthread_mutex_destroy(&qt->lock);
    free(qt);
}

enum status queue_thread_start(struct queue_thread **out,
                               const struct queue_thread_options *options)
{
    struct queue_thread *qt = calloc(1, sizeof(*qt));
    enum status status;

    if (qt == NULL)
        return STATUS_NO_MEMORY;
    qt->options = *options;
    qt->leases =
        calloc(QUEUE_LEASES_MAX(QUEUE_CLAIM_MAX), sizeof(struct queue_lease));
    qt->recent_jobs = calloc(QUEUE_RECENT_MAX, sizeof(struct job));
    if (qt->leases == NULL || qt->recent_jobs == NULL) {
        free(qt->leases);
        free(qt->recent_jobs);
        free(qt);
        return STATUS_NO_MEMORY;
    }
    qt->delivery.fn = deliver;
    qt->body_delivery.fn = deliver_bodies;
    qt->next_body_due_wall_ms = INT64_MAX;
    qt->due_ms = INT64_MAX;
    qt->worked_ms = mono_ms();
    pthread_mutex_init(&qt->lock, NULL);
    cond_init(&qt->work);
    cond_init(&qt->no_puts);
    status = spawn(qt);
    if (status != STATUS_OK) {
        destroy(qt);
        return status;
    }
    *out = qt;
    return STATUS_OK;
}

void queue_thread_quiesce(struct queue_thread *qt)
{
    pthread_mutex_lock(&qt->lock);
    qt->quiescing = true;
    pthread_mutex_unlock(&qt->lock);
}

void queue_thread_free(struct queue_thread *qt)
{
    if (qt == NULL)
        return;
    pthread_mutex_lock(&qt->lock);
    qt->quiescing = true;
    qt->stopping = true;
    qt->stop_by_ms = mono_ms() + QUEUE_STOP_MS;
    pthread_cond_signal(&qt->work);
    pthread_mutex_unlock(&qt->lock);
    pthread_join(qt->thread, NULL);
    pthread_mutex_lock(&qt->lock);
    while (qt->puts_inside > 0)
        pthread_cond_wait(&qt->no_puts, &qt->lock);
    pthread_mutex_unlock(&qt->lock);
    destroy(qt);
}
