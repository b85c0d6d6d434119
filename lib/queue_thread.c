/*
 * queue_thread.c: group commit. One turn of the thread is one transaction:
 *
 *   sleep ──▶ begin ──▶ cut ──▶ changes, claim, puts ──▶ commit ──▶ settle
 *     ▲         │failed            │failed: rollback        │failed     │
 *     └─────────┴──────────────────┴────────────────────────┴───────────┘
 *
 * The batch is cut after begin() came back, that is after the wait for the
 * other processes: what arrived meanwhile rides along (architecture-study 2:
 * twice the rows per commit).
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
 * Changes keep their order: what a failed transaction held goes back to the
 * head of the list. Claimed jobs wait in a list owned here, which one posted
 * call empties on the loop; what is in it at the end is dropped, and the queue
 * reaps it.
 */
#include "queue_thread.h"

#include <errno.h>
#include <signal.h>

#include "log.h"
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
    int64_t worked_ms; /* mono: the last transaction */
    int64_t due_ms;    /* next_due_wall_ms, when it was looked at */
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
    int failures; /* transactions in a row */
    enum status last_failure;
};

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

static void run_done(struct loop_call *call)
{
    struct queue_change *change = CONTAINER_OF(call, struct queue_change, call);

    change->done(change, change->status);
}

static void answer_change(struct queue_thread *qt, struct queue_change *change)
{
    change->call.fn = run_done;
    loop_post(qt->options.loop, &change->call);
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

static void run_body_done(struct loop_call *call)
{
    struct queue_body_change *change =
        CONTAINER_OF(call, struct queue_body_change, call);

    change->done(change, change->status);
}

static void answer_body_change(struct queue_thread *qt,
                               struct queue_body_change *change)
{
    change->call.fn = run_body_done;
    loop_post(qt->options.loop, &change->call);
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

static void answer_put(struct put *put, enum status status)
{
    put->state = PUT_ANSWERED;
    put->status = status;
    pthread_cond_signal(&put->answered);
}

static struct timespec timespec_of(int64_t ms)
{
    return (struct timespec){
        .tv_sec = (time_t)(ms / 1000),
        .tv_nsec = (long)(ms % 1000) * 1000000,
    };
}

static void wait_for_answer(struct queue_thread *qt, struct put *put)
{
    struct timespec until = timespec_of(mono_ms() + QUEUE_WAIT_MS);

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
    struct timespec until = timespec_of(mono_ms() + QUEUE_WAIT_MS);
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

/* The lock is held. */
static void answer_recents(struct queue_thread *qt, size_t count,
                           enum status status)
{
    struct recent *recent = qt->recents;

    for (qt->recents = NULL; recent != NULL; recent = recent->next) {
        recent->count = size_min(count, recent->max);
        if (recent->count > 0)
            memcpy(recent->jobs, qt->recent_jobs,
                   recent->count * sizeof(struct job));
        recent->status = status;
        recent->answered = true;
        pthread_cond_signal(&recent->is_answered);
    }
}

static void look_at_recent(struct queue_thread *qt)
{
    size_t count = 0;
    enum status status;
    bool wanted;

    pthread_mutex_lock(&qt->lock);
    wanted = qt->recents != NULL;
    pthread_mutex_unlock(&qt->lock);
    if (!wanted)
        return;
    status = queue_recent(qt->options.queue, qt->recent_jobs, QUEUE_RECENT_MAX,
                          &count);
    pthread_mutex_lock(&qt->lock);
    answer_recents(qt, status == STATUS_OK ? count : 0, status);
    pthread_mutex_unlock(&qt->lock);
}

/* ---- the transaction */

/* The lock is held. At least one put, then as many as fit. */
static struct put *cut_puts(struct queue_thread *qt, size_t rows)
{
    struct put *first = qt->puts;
    struct put **link = &qt->puts;

    while (*link != NULL) {
        struct put *put = *link;

        if (put != first && rows + put->count > QUEUE_BATCH_MAX)
            break;
        rows += put->count + (put->body != NULL);
        put->state = PUT_TAKEN;
        link = &put->next;
    }
    qt->puts = *link;
    *link = NULL;
    return first;
}

/* Those that belong together are more than the batch rather than parted. */
static size_t cut_changes(struct queue_thread *qt, struct batch *batch)
{
    size_t count = 0;
    bool parted = false;

    while ((count < QUEUE_BATCH_MAX || parted) && qt->changes.first != NULL) {
        struct queue_change *change = change_list_take(&qt->changes);

        parted = change->with_next;
        change_list_append(&batch->changes, change);
        count++;
    }
    while (count < QUEUE_BATCH_MAX && qt->body_changes.first != NULL) {
        body_change_list_append(&batch->body_changes,
                                body_change_list_take(&qt->body_changes));
        count++;
    }
    return count;
}

static void cut(struct queue_thread *qt, struct batch *batch)
{
    int64_t now_ms = mono_ms();
    bool poll = now_ms >= qt->poll_ms;
    size_t rows;

    if (poll)
        qt->poll_ms = now_ms + QUEUE_POLL_MS;
    batch->purge = poll && now_ms >= qt->purge_ms;
    pthread_mutex_lock(&qt->lock);
    batch->keep = qt->keep;
    rows = cut_changes(qt, batch);
    batch->puts = cut_puts(qt, rows);
    batch->extend = qt->extend;
    qt->extend = (struct id_list){0};
    if (!qt->quiescing) {
        batch->room = (size_t)int64_max(0, qt->room);
        batch->body_room = qt->body_room;
        batch->claim_bodies = qt->on_body != NULL;
    }
    pthread_mutex_unlock(&qt->lock);
    batch->leases = qt->leases;
    batch->claim_bodies =
        batch->claim_bodies && (poll || batch->body_changes.first != NULL ||
                                qt->next_body_due_wall_ms <= wall_ms());
    batch->reap = batch->room > 0 && poll;
    batch->claim =
        batch->room > 0 && (poll || qt->next_due_wall_ms <= wall_ms());
}

/* ---- what became of it; the lock is held in these */

static void hand_over(struct queue_thread *qt, struct claimed_list *list)
{
    struct claimed *claimed;

    qt->room -= (int64_t)list->jobs;
    while ((claimed = claimed_list_take(list)) != NULL)
        claimed_list_append(&qt->claimed, claimed);
    if (qt->claimed.jobs > 0 && !qt->delivery_posted) {
        qt->delivery_posted = true;
        loop_post(qt->options.loop, &qt->delivery);
    }
}

/* In hand are never more than FORWARD_ROOM_MAX, so there is room. */
static void hand_over_bodies(struct queue_thread *qt, struct body_list *list)
{
    while (list->count > 0) {
        qt->bodies.bodies[qt->bodies.count++] = list->bodies[--list->count];
        qt->body_room--;
    }
    if (qt->bodies.count > 0 && !qt->bodies_posted) {
        qt->bodies_posted = true;
        loop_post(qt->options.loop, &qt->body_delivery);
    }
}

static void answer_puts(struct put *put, enum status status)
{
    while (put != NULL) {
        struct put *next = put->next; /* it is gone once answered */

        answer_put(put, status);
        put = next;
    }
}

static void settle_success(struct queue_thread *qt, struct batch *batch)
{
    struct queue_body_change *body_change;
    struct queue_change *change;

    qt->failures = 0;
    qt->worked_ms = mono_ms();
    qt->stored_since_stats += batch->stored;
    qt->bodies_since_stats += batch->stored_bodies;
    qt->body_bytes_since_stats += batch->stored_body_bytes;
    qt->body_room += batch->ended_bodies;
    hand_over(qt, &batch->claimed);
    hand_over_bodies(qt, &batch->bodies);
    answer_puts(batch->puts, STATUS_OK);
    while ((change = change_list_take(&batch->changes)) != NULL)
        answer_change(qt, change);
    while ((body_change = body_change_list_take(&batch->body_changes)) != NULL)
        answer_body_change(qt, body_change);
    free(batch->extend.ids);
    if (batch->purge && batch->purged < QUEUE_PURGE_MAX)
        qt->purge_ms = mono_ms() + QUEUE_PURGE_EVERY_MS;
}

/* What may be tried again goes back to the head of its list. */
static void settle_failure(struct queue_thread *qt, struct batch *batch,
                           enum status status)
{
    int64_t wait_ms = QUEUE_RETRY_MAX_MS;

    if (qt->failures < 6)
        wait_ms = int64_min(wait_ms, QUEUE_RETRY_MIN_MS << qt->failures);
    qt->failures++;
    qt->last_failure = status;
    qt->retry_ms = mono_ms() + wait_ms;
    claimed_list_free(&batch->claimed);
    body_list_free(&batch->bodies);
    answer_puts(batch->puts, status);
    change_list_prepend_all(&qt->changes, &batch->changes);
    body_change_list_prepend_all(&qt->body_changes, &batch->body_changes);
    if (qt->extend.ids == NULL)
        qt->extend = batch->extend;
    else
        free(batch->extend.ids);
}

/* BUSY: the puts have their own patience. Else they would wait for nothing. */
static void refuse_waiting_puts(struct queue_thread *qt, enum status status)
{
    struct put *puts = qt->puts;

    if (status == STATUS_BUSY)
        return;
    qt->puts = NULL;
    answer_puts(puts, status);
}

/* Waits for the other processes. */
static enum status begin(struct queue_thread *qt)
{
    enum status status;

    pthread_mutex_lock(&qt->lock);
    qt->gate_ms = mono_ms();
    pthread_mutex_unlock(&qt->lock);
    status = queue_begin(qt->options.queue);
    pthread_mutex_lock(&qt->lock);
    qt->gate_ms = 0;
    pthread_mutex_unlock(&qt->lock);
    return status;
}

static void run_transaction(struct queue_thread *qt)
{
    struct queue *queue = qt->options.queue;
    struct batch batch = {0};
    enum status status = begin(qt);
    bool begun = status == STATUS_OK;

    if (begun) {
        cut(qt, &batch);
        status = batch_run(&batch, queue, wall_ms());
        if (status == STATUS_OK)
            status = queue_commit(queue);
        if (status != STATUS_OK)
            queue_rollback(queue);
    }
    pthread_mutex_lock(&qt->lock);
    if (status == STATUS_OK)
        settle_success(qt, &batch);
    else
        settle_failure(qt, &batch, status);
    if (!begun)
        refuse_waiting_puts(qt, status);
    pthread_mutex_unlock(&qt->lock);
}

/* ---- the thread */

/* Reads what the sleep and the depth check go by. A failure here is seen by
 * the next transaction, too. */
static void look(struct queue_thread *qt)
{
    struct queue_stats stats;
    int64_t now_ms = mono_ms();

    if (queue_next_due(qt->options.queue, &qt->next_due_wall_ms) != STATUS_OK)
        qt->next_due_wall_ms = INT64_MAX;
    if (queue_body_next_due(qt->options.queue, &qt->next_body_due_wall_ms) !=
        STATUS_OK)
        qt->next_body_due_wall_ms = INT64_MAX;
    if (now_ms < qt->stats_ms)
        return;
    qt->stats_ms = now_ms + QUEUE_STATS_MS;
    if (queue_stats(qt->options.queue, &stats) != STATUS_OK)
        return;
    pthread_mutex_lock(&qt->lock);
    qt->stats = stats;
    qt->due_ms = qt->next_due_wall_ms;
    qt->stored_since_stats = 0;
    qt->bodies_since_stats = 0;
    qt->body_bytes_since_stats = 0;
    pthread_mutex_unlock(&qt->lock);
}

static bool has_requests(const struct queue_thread *qt)
{
    return qt->puts != NULL || qt->changes.first != NULL ||
           qt->body_changes.first != NULL || qt->extend.ids != NULL ||
           qt->recents != NULL;
}

/* Wall: when there is something that this worker has room for. */
static int64_t next_claim_ms(const struct queue_thread *qt)
{
    int64_t next_ms = INT64_MAX;

    if (qt->quiescing)
        return next_ms;
    if (qt->room > 0)
        next_ms = qt->next_due_wall_ms;
    if (qt->body_room > 0)
        next_ms = int64_min(next_ms, qt->next_body_due_wall_ms);
    return next_ms;
}

/* Mono: when the next transaction shall begin. */
static int64_t next_turn_ms(const struct queue_thread *qt, int64_t now_ms)
{
    int64_t claim_ms;

    if (qt->failures > 0)
        return qt->retry_ms;
    if (has_requests(qt))
        return now_ms;
    claim_ms = next_claim_ms(qt);
    if (claim_ms == INT64_MAX)
        return qt->poll_ms;
    claim_ms = now_ms + int64_max(0, claim_ms - wall_ms());
    return int64_min(qt->poll_ms, claim_ms);
}

/* False: the thread is to end. */
static bool wait_for_turn(struct queue_thread *qt)
{
    bool more = true;

    pthread_mutex_lock(&qt->lock);
    for (;;) {
        int64_t now_ms = mono_ms();
        int64_t turn_ms = next_turn_ms(qt, now_ms);
        struct timespec until = timespec_of(turn_ms);

        more = !qt->stopping || (has_requests(qt) && now_ms < qt->stop_by_ms);
        if (!more || turn_ms <= now_ms)
            break;
        (void)pthread_cond_timedwait(&qt->work, &qt->lock, &until);
    }
    pthread_mutex_unlock(&qt->lock);
    return more;
}

/* No job is lost by this: they stay leased and are reaped. */
static void give_up_the_rest(struct queue_thread *qt)
{
    struct queue_body_change *body_change;
    struct queue_change *change;

    pthread_mutex_lock(&qt->lock);
    answer_puts(qt->puts, STATUS_STOPPING);
    qt->puts = NULL;
    answer_recents(qt, 0, STATUS_STOPPING);
    while ((change = change_list_take(&qt->changes)) != NULL) {
        change->status = qt->last_failure;
        LOG(WARN, "queue_change_given_up", LOG_INT("job", change->job.id),
            LOG_STR("status", status_name(change->status)));
        answer_change(qt, change);
    }
    while ((body_change = body_change_list_take(&qt->body_changes)) != NULL) {
        body_change->status = qt->last_failure;
        answer_body_change(qt, body_change);
    }
    pthread_mutex_unlock(&qt->lock);
}

static void *thread_main(void *arg)
{
    struct queue_thread *qt = arg;

    do {
        run_transaction(qt);
        look(qt);
        look_at_recent(qt);
    } while (wait_for_turn(qt));
    give_up_the_rest(qt);
    return NULL;
}

/* With all signals blocked: they are another thread's business. */
static enum status spawn(struct queue_thread *qt)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&qt->thread, NULL, thread_main, qt);
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
    qt->last_failure = STATUS_STOPPING;
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
