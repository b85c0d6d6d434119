/*
 * queue_sqlite.c: the queue of one machine: a SQLite file and its gate.
 *
 *   begin:   gate, then BEGIN IMMEDIATE      (queue_lock.h; SQLite's own busy
 *   commit:  COMMIT, then the gate is left    handler is only a backstop
 *   rollback: likewise                        against foreign programs)
 *
 * A row that does not read back as a job is logged and set DEAD with the rest
 * of it untouched: a person must look, and the next claim must not find it
 * again.
 */
#include "queue_sqlite.h"

#include "log.h"

/* ---- open and close */

static void sqlite_close(struct queue *queue)
{
    struct sqlite_queue *q = sqlite_of(queue);

    queue_db_close(q->db);
    queue_lock_close(&q->lock);
    free(q);
}

/* Inside the gate: nobody else is at the same. */
static enum status set_up(struct sqlite_queue *q, const char *path)
{
    enum status status = queue_db_open(&q->db, path);

    return status == STATUS_OK ? queue_lock_name_owner(&q->lock) : status;
}

static enum status sqlite_open(struct queue **out, const char *path)
{
    struct sqlite_queue *q;
    enum status status;

    if (path[0] == '\0')
        return STATUS_BAD_CONFIG;
    q = calloc(1, sizeof(*q));
    if (q == NULL)
        return STATUS_NO_MEMORY;
    q->base.ops = &queue_sqlite_ops;
    status = queue_lock_open(&q->lock, path);
    if (status == STATUS_OK)
        status = queue_lock_enter_within(&q->lock, QUEUE_OPEN_WAIT_MS);
    if (status == STATUS_OK) {
        status = set_up(q, path);
        queue_lock_leave(&q->lock);
    }
    if (status != STATUS_OK) {
        sqlite_close(&q->base);
        return status;
    }
    *out = &q->base;
    return STATUS_OK;
}

/* ---- transactions */

static enum status sqlite_begin(struct queue *queue)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (q->in_transaction)
        return STATUS_BUG;
    status = queue_lock_enter(&q->lock);
    if (status != STATUS_OK)
        return status;
    status = queue_db_step(q->db, SQL_BEGIN);
    if (status == STATUS_OK)
        q->in_transaction = true;
    else
        queue_lock_leave(&q->lock);
    return status;
}

static void end_transaction(struct sqlite_queue *q)
{
    q->in_transaction = false;
    queue_lock_leave(&q->lock);
}

static enum status sqlite_commit(struct queue *queue)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    status = queue_db_step(q->db, SQL_COMMIT);
    if (status == STATUS_OK)
        end_transaction(q);
    return status;
}

static void sqlite_rollback(struct queue *queue)
{
    struct sqlite_queue *q = sqlite_of(queue);

    if (!q->in_transaction)
        return;
    /* SQLite rolls back by itself after some failures, a full disk for one. */
    if (queue_db_in_transaction(q->db))
        (void)!queue_db_step(q->db, SQL_ROLLBACK);
    end_transaction(q);
}

/* ---- put */

static enum status renew(struct sqlite_queue *q, struct job *job)
{
    struct queue_row row = queue_db_row(q->db, SQL_FIND);
    bool unfinished;
    enum status status;

    queue_db_text(q->db, SQL_FIND, 1, job->channel);
    queue_db_text(q->db, SQL_FIND, 2, job->event_id);
    queue_db_text(q->db, SQL_FIND, 3, job->message_id);
    status = queue_db_step(q->db, SQL_FIND);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_IO : status;
    job->id = queue_row_int(&row, 0, INT64_MIN, INT64_MAX);
    unfinished = queue_row_int(&row, 1, 0, 1) == 1;
    queue_db_reset(q->db, SQL_FIND);
    if (!unfinished)
        return STATUS_DUPLICATE;
    queue_db_int(q->db, SQL_RENEW, 1, job->id);
    queue_db_text(q->db, SQL_RENEW, 2, job->reply_token);
    queue_db_int(q->db, SQL_RENEW, 3, job->received_ms);
    status = queue_db_step(q->db, SQL_RENEW);
    return status == STATUS_OK ? STATUS_DUPLICATE : status;
}

/* DUPLICATE, or OK and the job has its id. */
static enum status insert(struct sqlite_queue *q, struct job *job)
{
    enum status status;

    sqlite_bind_origin(q->db, SQL_INSERT, job);
    sqlite_bind_progress(q->db, SQL_INSERT, job);
    if (job->state == JOB_LEASED)
        queue_db_text(q->db, SQL_INSERT, P_OWNER, q->lock.owner);
    queue_db_int(q->db, SQL_INSERT, P_CLAIM, job->claim);
    status = queue_db_step(q->db, SQL_INSERT);
    if (status != STATUS_OK)
        return status;
    if (queue_db_changes(q->db) == 0)
        return renew(q, job);
    job->id = queue_db_last_id(q->db);
    return STATUS_OK;
}

static enum status put_unsend(struct sqlite_queue *q, struct job *job,
                              int64_t now_ms)
{
    enum status status = insert(q, job);

    return status == STATUS_OK ? sqlite_withdraw(q, job, now_ms) : status;
}

static enum status put_picture(struct sqlite_queue *q, struct job *job,
                               int64_t now_ms)
{
    enum status status = sqlite_is_unsent(q, job);

    if (status == STATUS_NOT_FOUND)
        return insert(q, job);
    if (status != STATUS_OK)
        return status;
    queue_withdraw(job, now_ms);
    status = insert(q, job);
    return status == STATUS_OK
               ? sqlite_wake_set(q, job->set_id, job->channel, now_ms)
               : status;
}

static enum status sqlite_put(struct queue *queue, struct job *job,
                              int64_t now_ms, int64_t lease_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);

    if (!q->in_transaction)
        return STATUS_BUG;
    job->state = lease_ms > 0 ? JOB_LEASED : JOB_READY;
    job->attempts = lease_ms > 0 ? 1 : 0;
    job->claim = job->attempts;
    job->due_ms = now_ms + lease_ms;
    return job->kind == JOB_UNSEND ? put_unsend(q, job, now_ms)
                                   : put_picture(q, job, now_ms);
}

/* ---- claim and lease */

static enum status condemn(struct sqlite_queue *q, int64_t id)
{
    queue_db_int(q->db, SQL_CONDEMN, 1, id);
    return queue_db_step(q->db, SQL_CONDEMN);
}

/* A row of `sql`. IO: it is damaged. */
static enum status read_lease(struct sqlite_queue *q, enum sql sql,
                              struct queue_lease *lease, int64_t *id)
{
    struct queue_row row = queue_db_row(q->db, sql);
    enum status status = sqlite_read_job(q->db, sql, &lease->job, id);

    lease->messages = NULL;
    if (status == STATUS_OK)
        status = queue_row_optional(&row, C_MESSAGES, &lease->messages);
    return status;
}

/* The job that has been due for the longest time; NOT_FOUND. */
static enum status find_first(struct sqlite_queue *q, int64_t now_ms,
                              struct queue_lease *lease)
{
    enum status status;
    int64_t id;

    do {
        queue_db_int(q->db, SQL_DUE, 1, now_ms);
        status = queue_db_step(q->db, SQL_DUE);
        if (status != STATUS_AGAIN)
            return status == STATUS_OK ? STATUS_NOT_FOUND : status;
        status = read_lease(q, SQL_DUE, lease, &id);
        queue_db_reset(q->db, SQL_DUE);
        if (status != STATUS_IO)
            return status;
        status = condemn(q, id);
    } while (status == STATUS_OK);
    return status;
}

/* All of the set of leases[0], which is found again. A row that is damaged is
 * left out: it will be found as the first of its own. */
static enum status find_set(struct sqlite_queue *q, int64_t now_ms,
                            struct queue_lease *leases, size_t *count)
{
    const struct job first = leases[0].job;
    enum status status;

    free(leases[0].messages);
    *count = 0;
    queue_db_int(q->db, SQL_DUE_SET, 1, now_ms);
    queue_db_text(q->db, SQL_DUE_SET, 2, first.set_id);
    queue_db_text(q->db, SQL_DUE_SET, 3, first.channel);
    queue_db_int(q->db, SQL_DUE_SET, 4, SET_TOTAL_MAX);
    while ((status = queue_db_step(q->db, SQL_DUE_SET)) == STATUS_AGAIN) {
        int64_t id;

        status = read_lease(q, SQL_DUE_SET, &leases[*count], &id);
        if (status == STATUS_OK)
            (*count)++;
        else if (status != STATUS_IO)
            break;
    }
    if (status != STATUS_OK)
        queue_db_reset(q->db, SQL_DUE_SET);
    return status;
}

static enum status lease(struct sqlite_queue *q, struct job *job,
                         int64_t until_ms)
{
    job->state = JOB_LEASED;
    job->due_ms = until_ms;
    job->attempts++;
    job->claim++;
    queue_db_int(q->db, SQL_LEASE, 1, job->id);
    queue_db_text(q->db, SQL_LEASE, 2, q->lock.owner);
    queue_db_int(q->db, SQL_LEASE, 3, until_ms);
    return queue_db_step(q->db, SQL_LEASE);
}

static enum status claim_one(struct sqlite_queue *q, int64_t now_ms,
                             int64_t until_ms, struct queue_lease *leases,
                             size_t *count)
{
    enum status status = find_first(q, now_ms, &leases[0]);

    *count = status == STATUS_OK ? 1 : 0;
    if (status == STATUS_OK && queue_is_parked_member(&leases[0].job))
        status = find_set(q, now_ms, leases, count);
    for (size_t i = 0; i < *count && status == STATUS_OK; i++)
        status = lease(q, &leases[i].job, until_ms);
    return status;
}

static enum status sqlite_claim(struct queue *queue, int64_t now_ms,
                                int64_t lease_ms, struct queue_lease *leases,
                                size_t max, size_t *count)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status = STATUS_OK;

    if (!q->in_transaction)
        return STATUS_BUG;
    while (*count < max && status == STATUS_OK) {
        size_t more;

        status =
            claim_one(q, now_ms, now_ms + lease_ms, leases + *count, &more);
        *count += more;
    }
    if (status == STATUS_OK || status == STATUS_NOT_FOUND)
        return STATUS_OK;
    while (*count > 0)
        free(leases[--*count].messages);
    return status;
}

static enum status sqlite_extend(struct queue *queue, const int64_t *ids,
                                 size_t count, int64_t until_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status = STATUS_OK;

    if (!q->in_transaction)
        return STATUS_BUG;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        queue_db_int(q->db, SQL_EXTEND, 1, ids[i]);
        queue_db_text(q->db, SQL_EXTEND, 2, q->lock.owner);
        queue_db_int(q->db, SQL_EXTEND, 3, until_ms);
        status = queue_db_step(q->db, SQL_EXTEND);
    }
    return status;
}

/* ---- update */

/* The statement changed nothing: not our lease, or not our picture any more. */
static enum status why_not(struct sqlite_queue *q, const struct job *job)
{
    enum status status;

    queue_db_text(q->db, SQL_HELD, P_OWNER, q->lock.owner);
    queue_db_int(q->db, SQL_HELD, P_ID, job->id);
    queue_db_int(q->db, SQL_HELD, P_CLAIM, job->claim);
    status = queue_db_exists(q->db, SQL_HELD);
    if (status == STATUS_OK)
        return STATUS_GONE;
    return status == STATUS_NOT_FOUND ? STATUS_LEASE_LOST : status;
}

static enum status read_token(struct sqlite_queue *q, struct job *job)
{
    struct queue_row row = queue_db_row(q->db, SQL_TOKEN);
    enum status status;

    queue_db_int(q->db, SQL_TOKEN, 1, job->id);
    status = queue_db_step(q->db, SQL_TOKEN);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_IO : status;
    queue_row_text(&row, 0, job->reply_token, sizeof(job->reply_token));
    job->received_ms = queue_row_int(&row, 1, INT64_MIN, INT64_MAX);
    queue_db_reset(q->db, SQL_TOKEN);
    return row.bad == NULL ? STATUS_OK : STATUS_IO;
}

static enum status adopt_token(struct sqlite_queue *q, const struct job *job)
{
    queue_db_int(q->db, SQL_ADOPT, 1, job->id);
    queue_db_text(q->db, SQL_ADOPT, 2, job->reply_token);
    queue_db_int(q->db, SQL_ADOPT, 3, job->received_ms);
    return queue_db_step(q->db, SQL_ADOPT);
}

static enum status write_update(struct sqlite_queue *q, struct job *job,
                                const struct queue_extra *extra)
{
    enum status status;

    sqlite_bind_progress(q->db, SQL_UPDATE, job);
    if (extra->messages != NULL)
        queue_db_text(q->db, SQL_UPDATE, C_MESSAGES, extra->messages);
    queue_db_text(q->db, SQL_UPDATE, P_OWNER, q->lock.owner);
    queue_db_int(q->db, SQL_UPDATE, P_ID, job->id);
    queue_db_int(q->db, SQL_UPDATE, P_CLAIM, job->claim);
    status = queue_db_step(q->db, SQL_UPDATE);
    if (status != STATUS_OK)
        return status;
    if (queue_db_changes(q->db) == 0)
        return why_not(q, job);
    if (extra->adopt_token)
        return adopt_token(q, job);
    return job->state == JOB_LEASED ? read_token(q, job) : STATUS_OK;
}

/* Not held any more: what else its former owner has to know. */
static enum status why_lost(struct sqlite_queue *q, const struct job *job)
{
    enum status status;

    if (job->kind == JOB_UNSEND || job->state == JOB_DONE)
        return STATUS_LEASE_LOST;
    status = sqlite_is_unsent(q, job);
    if (status == STATUS_OK)
        return STATUS_GONE;
    return status == STATUS_NOT_FOUND ? STATUS_LEASE_LOST : status;
}

static enum status sqlite_update(struct queue *queue, struct job *job,
                                 const struct queue_extra *extra,
                                 int64_t now_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);
    struct sqlite_before before = {.stage = job->stage};
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    status = sqlite_look_before(q, job, extra, now_ms, &before);
    if (status == STATUS_OK)
        status = write_update(q, job, extra);
    if (status == STATUS_OK)
        status = sqlite_follow_up(q, job, &before, now_ms);
    return status == STATUS_LEASE_LOST ? why_lost(q, job) : status;
}

/* ---- chores */

enum status sqlite_next_owner(struct sqlite_queue *q, enum sql next,
                              char *owner, size_t size)
{
    struct queue_row row = queue_db_row(q->db, next);
    char found[QUEUE_OWNER_MAX + 1] = "";
    enum status status;

    queue_db_text(q->db, next, 1, owner);
    status = queue_db_step(q->db, next);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    queue_row_text(&row, 0, found, sizeof(found));
    queue_db_reset(q->db, next);
    if (row.bad != NULL)
        return STATUS_NOT_FOUND; /* its leases will run out */
    (void)str_copy(owner, size, found);
    return STATUS_OK;
}

static enum status reap_jobs(struct sqlite_queue *q, int64_t now_ms,
                             size_t *count)
{
    char owner[QUEUE_OWNER_MAX + 1] = "";
    enum status status;

    while ((status = sqlite_next_owner(q, SQL_NEXT_OWNER, owner,
                                       sizeof(owner))) == STATUS_OK) {
        size_t jobs;

        if (!queue_lock_owner_is_dead(&q->lock, owner))
            continue;
        queue_db_text(q->db, SQL_RELEASE, 1, owner);
        queue_db_int(q->db, SQL_RELEASE, 2, now_ms);
        status = queue_db_step(q->db, SQL_RELEASE);
        if (status != STATUS_OK)
            return status;
        jobs = queue_db_changes(q->db);
        *count += jobs;
        LOG(WARN, "queue_owner_died", LOG_STR("owner", owner),
            LOG_INT("jobs", (int64_t)jobs));
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* Looks only at those who hold leases, by steps through the index of owners: a
 * few microseconds, whatever the number of jobs. */
static enum status sqlite_reap(struct queue *queue, int64_t now_ms,
                               size_t *count)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    status = reap_jobs(q, now_ms, count);
    return status == STATUS_OK ? sqlite_body_reap(q, now_ms) : status;
}

/* Counts on from what `count` is, up to `max`. */
static enum status purge_state(struct sqlite_queue *q, enum job_state state,
                               int64_t before_ms, size_t max, size_t *count)
{
    enum status status;

    queue_db_int(q->db, SQL_PURGE, 1, state);
    queue_db_int(q->db, SQL_PURGE, 2, before_ms);
    queue_db_int(q->db, SQL_PURGE, 3, (int64_t)(max - *count));
    status = queue_db_step(q->db, SQL_PURGE);
    if (status == STATUS_OK)
        *count += queue_db_changes(q->db);
    return status;
}

static enum status sqlite_purge(struct queue *queue,
                                const struct queue_keep *keep, int64_t now_ms,
                                size_t max, size_t *count)
{
    struct sqlite_queue *q = sqlite_of(queue);
    int64_t done_ms = queue_kept_since_ms(now_ms, keep->done_ms);
    int64_t dead_ms = queue_kept_since_ms(now_ms, keep->dead_ms);
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    status = purge_state(q, JOB_DONE, done_ms, max, count);
    if (status == STATUS_OK)
        status = purge_state(q, JOB_DEAD, dead_ms, max, count);
    return status == STATUS_OK ? sqlite_body_purge(q, done_ms) : status;
}

/* ---- looks */

static enum status sqlite_next_due(struct queue *queue, int64_t *due_ms)
{
    enum status status =
        queue_db_number(sqlite_of(queue)->db, SQL_NEXT_DUE, due_ms);

    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status sqlite_get(struct queue *queue, int64_t id, struct job *job)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    queue_db_int(q->db, SQL_GET, 1, id);
    status = queue_db_step(q->db, SQL_GET);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    status = sqlite_read_job(q->db, SQL_GET, job, &id);
    queue_db_reset(q->db, SQL_GET);
    return status;
}

static enum status sqlite_stats(struct queue *queue, struct queue_stats *stats)
{
    struct sqlite_queue *q = sqlite_of(queue);
    struct queue_row row = queue_db_row(q->db, SQL_TALLY);
    int64_t *const counts[] = {
        [JOB_READY] = &stats->ready,
        [JOB_LEASED] = &stats->leased,
        [JOB_DONE] = &stats->done,
        [JOB_DEAD] = &stats->dead,
    };
    enum status status;

    while ((status = queue_db_step(q->db, SQL_TALLY)) == STATUS_AGAIN) {
        int64_t state = queue_row_int(&row, 0, 0, JOB_DEAD);

        *counts[state] = queue_row_int(&row, 1, INT64_MIN, INT64_MAX);
    }
    if (status == STATUS_OK)
        status = queue_db_number(q->db, SQL_OLDEST, &stats->oldest_ms);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    return sqlite_body_stats(q, stats);
}

const struct queue_ops queue_sqlite_ops = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .put = sqlite_put,
    .claim = sqlite_claim,
    .extend = sqlite_extend,
    .update = sqlite_update,
    .reap = sqlite_reap,
    .next_due = sqlite_next_due,
    .get = sqlite_get,
    .list = sqlite_list,
    .current = sqlite_current,
    .requeue = sqlite_requeue,
    .drop = sqlite_drop,
    .stats = sqlite_stats,
    .purge = sqlite_purge,
    .body_put = sqlite_body_put,
    .body_claim = sqlite_body_claim,
    .body_end = sqlite_body_end,
    .body_next_due = sqlite_body_next_due,
};
