/*
 * queue_turn.c: group commit. One turn of the thread is one transaction:
 *
 *   sleep ──▶ begin ──▶ cut ──▶ changes, claim, puts ──▶ commit ──▶ settle
 *     ▲         │failed            │failed: rollback        │failed     │
 *     └─────────┴──────────────────┴────────────────────────┴───────────┘
 *
 * The batch is cut after begin() came back, that is after the wait for the
 * other processes: what arrived meanwhile rides along (architecture-study 2:
 * twice the rows per commit).
 *
 * Changes keep their order: what a failed transaction held goes back to the
 * head of the list. A put is never tried twice: its acceptor is told, and LINE
 * sends again.
 */
#include "queue_turn.h"

#include "log.h"

/* ---- answers; the lock is held in these */

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

static void answer_put(struct put *put, enum status status)
{
    put->state = PUT_ANSWERED;
    put->status = status;
    pthread_cond_signal(&put->answered);
}

static void answer_puts(struct put *put, enum status status)
{
    while (put != NULL) {
        struct put *next = put->next; /* it is gone once answered */

        answer_put(put, status);
        put = next;
    }
}

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

struct timespec queue_turn_timespec(int64_t mono_ms)
{
    return (struct timespec){
        .tv_sec = (time_t)(mono_ms / 1000),
        .tv_nsec = (long)(mono_ms % 1000) * 1000000,
    };
}

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
        struct timespec until = queue_turn_timespec(turn_ms);

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
    enum status why;

    pthread_mutex_lock(&qt->lock);
    why = qt->failures > 0 ? qt->last_failure : STATUS_STOPPING;
    answer_puts(qt->puts, STATUS_STOPPING);
    qt->puts = NULL;
    answer_recents(qt, 0, STATUS_STOPPING);
    while ((change = change_list_take(&qt->changes)) != NULL) {
        change->status = why;
        LOG(WARN, "queue_change_given_up", LOG_INT("job", change->job.id),
            LOG_STR("status", status_name(change->status)));
        answer_change(qt, change);
    }
    while ((body_change = body_change_list_take(&qt->body_changes)) != NULL) {
        body_change->status = why;
        answer_body_change(qt, body_change);
    }
    pthread_mutex_unlock(&qt->lock);
}

void *queue_turn_main(void *arg)
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
