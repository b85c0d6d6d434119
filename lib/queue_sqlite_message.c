/*
 * queue_sqlite_message.c: what a job does to others: an UNSEND to the pictures
 * of its message, the last member of an image set to the parked ones, a push to
 * the budget of its channel. The rules are in queue.h; each costs nothing where
 * it does not apply, but for one look into the unique key.
 */
#include "queue_sqlite.h"

enum status sqlite_is_unsent(struct sqlite_queue *q, const struct job *job)
{
    queue_db_text(q->db, SQL_IS_UNSENT, 1, job->message_id);
    queue_db_text(q->db, SQL_IS_UNSENT, 2, job->channel);
    return queue_db_exists(q->db, SQL_IS_UNSENT);
}

/* ---- image sets */

enum status sqlite_wake_set(struct sqlite_queue *q, const char *set_id,
                            const char *channel, int64_t now_ms)
{
    if (set_id[0] == '\0')
        return STATUS_OK;
    queue_db_text(q->db, SQL_WAKE_SET, 1, set_id);
    queue_db_text(q->db, SQL_WAKE_SET, 2, channel);
    queue_db_int(q->db, SQL_WAKE_SET, 3, now_ms);
    return queue_db_step(q->db, SQL_WAKE_SET);
}

/* ---- unsend */

struct picture_row {
    int64_t id;
    char set_id[SET_ID_MAX + 1];
};

static enum status find_unsent(struct sqlite_queue *q, const struct job *unsend,
                               struct picture_row *found)
{
    struct queue_row row = queue_db_row(q->db, SQL_FIND_UNSENT);
    enum status status;

    queue_db_text(q->db, SQL_FIND_UNSENT, 1, unsend->message_id);
    queue_db_text(q->db, SQL_FIND_UNSENT, 2, unsend->channel);
    status = queue_db_step(q->db, SQL_FIND_UNSENT);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    found->id = queue_row_int(&row, 0, INT64_MIN, INT64_MAX);
    queue_row_text(&row, 1, found->set_id, sizeof(found->set_id));
    queue_db_reset(q->db, SQL_FIND_UNSENT);
    return STATUS_OK;
}

static enum status withdraw_one(struct sqlite_queue *q, int64_t id)
{
    queue_db_int(q->db, SQL_WITHDRAW, 1, id);
    queue_db_int(q->db, SQL_WITHDRAW, 2, JOB_OUTCOME_WITHDRAWN);
    queue_db_text(q->db, SQL_WITHDRAW, 3, status_name(STATUS_GONE));
    queue_db_text(q->db, SQL_WITHDRAW, 4, status_text(STATUS_GONE));
    return queue_db_step(q->db, SQL_WITHDRAW);
}

/* It may have been the last of its set that the others waited for. */
enum status sqlite_withdraw(struct sqlite_queue *q, const struct job *unsend,
                            int64_t now_ms)
{
    struct picture_row found;
    enum status status;

    while ((status = find_unsent(q, unsend, &found)) == STATUS_OK) {
        status = withdraw_one(q, found.id);
        if (status == STATUS_OK)
            status = sqlite_wake_set(q, found.set_id, unsend->channel, now_ms);
        if (status != STATUS_OK)
            return status;
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* ---- the budget of pushes */

static enum status read_held(struct sqlite_queue *q, const struct job *job,
                             struct sqlite_before *before, bool *has_key)
{
    struct queue_row row = queue_db_row(q->db, SQL_HELD);
    char key[RETRY_KEY_MAX + 1] = "";
    enum status status;

    queue_db_text(q->db, SQL_HELD, P_OWNER, q->lock.owner);
    queue_db_int(q->db, SQL_HELD, P_ID, job->id);
    queue_db_int(q->db, SQL_HELD, P_CLAIM, job->claim);
    status = queue_db_step(q->db, SQL_HELD);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_LEASE_LOST : status;
    before->stage =
        (enum job_stage)queue_row_int(&row, 0, 0, JOB_STAGE_FAILURE);
    queue_row_text(&row, 1, key, sizeof(key));
    *has_key = row.bad != NULL || key[0] != '\0';
    queue_db_reset(q->db, SQL_HELD);
    return STATUS_OK;
}

/* OK: another member of the set has this key; NOT_FOUND. */
static enum status set_has_key(struct sqlite_queue *q, const struct job *job)
{
    if (job->set_id[0] == '\0')
        return STATUS_NOT_FOUND;
    queue_db_text(q->db, SQL_SET_HAS_KEY, 1, job->set_id);
    queue_db_text(q->db, SQL_SET_HAS_KEY, 2, job->channel);
    queue_db_text(q->db, SQL_SET_HAS_KEY, 3, job->push_key);
    return queue_db_exists(q->db, SQL_SET_HAS_KEY);
}

static enum status check_budget(struct sqlite_queue *q, const struct job *job,
                                int64_t budget, int64_t now_ms)
{
    char month[QUEUE_MONTH_SIZE];
    int64_t pushes = 0;
    enum status status;

    if (budget == 0)
        return STATUS_OK;
    queue_month(now_ms, month);
    queue_db_text(q->db, SQL_PUSHES, 1, job->channel);
    queue_db_text(q->db, SQL_PUSHES, 2, month);
    status = queue_db_number(q->db, SQL_PUSHES, &pushes);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    return pushes < budget ? STATUS_OK : STATUS_OVER_BUDGET;
}

/* Also without a budget: one that is set in the middle of a month is right. */
static enum status count_push(struct sqlite_queue *q, const struct job *job,
                              int64_t now_ms)
{
    char month[QUEUE_MONTH_SIZE];

    queue_month(now_ms, month);
    queue_db_text(q->db, SQL_COUNT_PUSH, 1, job->channel);
    queue_db_text(q->db, SQL_COUNT_PUSH, 2, month);
    return queue_db_step(q->db, SQL_COUNT_PUSH);
}

/* ---- around an update */

enum status sqlite_look_before(struct sqlite_queue *q, const struct job *job,
                               const struct queue_extra *extra, int64_t now_ms,
                               struct sqlite_before *before)
{
    bool pushes = job->stage == JOB_STAGE_PUSH && job->push_key[0] != '\0';
    bool has_key = false;
    enum status status;

    if (!pushes && job->set_id[0] == '\0')
        return STATUS_OK;
    status = read_held(q, job, before, &has_key);
    if (status != STATUS_OK || !pushes || has_key)
        return status;
    status = set_has_key(q, job);
    if (status != STATUS_NOT_FOUND)
        return status;
    before->push_is_new = true;
    return check_budget(q, job, extra->push_budget, now_ms);
}

enum status sqlite_follow_up(struct sqlite_queue *q, const struct job *job,
                             const struct sqlite_before *before, int64_t now_ms)
{
    enum status status = STATUS_OK;

    if (before->push_is_new)
        status = count_push(q, job, now_ms);
    if (status == STATUS_OK && before->stage == JOB_STAGE_FETCH &&
        queue_is_over_with_fetching(job))
        status = sqlite_wake_set(q, job->set_id, job->channel, now_ms);
    return status;
}
