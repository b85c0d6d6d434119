/*
 * queue_sqlite_hand.c: what people ask for: lists of jobs, a dead job once
 * more, an unfinished one ended.
 *
 * A list is one statement that ends with its page, so that no reader is in the
 * way of a checkpoint for longer than that.
 */
#include "queue_sqlite.h"

enum status sqlite_list(struct queue *queue, const struct queue_filter *filter,
                        struct job *jobs, size_t max, size_t *count)
{
    struct queue_db *db = sqlite_of(queue)->db;
    bool of_message = filter->message_id[0] != '\0';
    enum sql sql = of_message ? SQL_LIST_MESSAGE : SQL_LIST;
    enum status status;
    int64_t id;

    queue_db_int(db, sql, 1, filter->before_id);
    queue_db_int(db, sql, 2, filter->since_ms);
    queue_db_int(db, sql, 3, filter->state);
    queue_db_int(db, sql, 4, filter->outcome);
    queue_db_text(db, sql, 5, filter->channel);
    queue_db_int(db, sql, 6, (int64_t)max);
    queue_db_int(db, sql, 7, filter->pictures_only);
    if (of_message)
        queue_db_text(db, sql, 8, filter->message_id);
    while ((status = queue_db_step(db, sql)) == STATUS_AGAIN) {
        if (sqlite_read_job(db, sql, &jobs[*count], &id) == STATUS_OK)
            (*count)++;
    }
    return status;
}

enum status sqlite_current(struct queue *queue, int64_t since_ms,
                           int64_t above_id, int64_t *ids, size_t max,
                           size_t *count)
{
    struct queue_db *db = sqlite_of(queue)->db;
    struct queue_row row = queue_db_row(db, SQL_CURRENT);
    enum status status;

    queue_db_int(db, SQL_CURRENT, 1, above_id);
    queue_db_int(db, SQL_CURRENT, 2, since_ms);
    queue_db_int(db, SQL_CURRENT, 3, (int64_t)max);
    while ((status = queue_db_step(db, SQL_CURRENT)) == STATUS_AGAIN)
        ids[(*count)++] = queue_row_int(&row, 0, INT64_MIN, INT64_MAX);
    return status;
}

enum status sqlite_requeue(struct queue *queue, int64_t id, int64_t now_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    queue_db_int(q->db, SQL_REQUEUE, 1, id);
    queue_db_int(q->db, SQL_REQUEUE, 2, now_ms);
    status = queue_db_step(q->db, SQL_REQUEUE);
    if (status == STATUS_OK && queue_db_changes(q->db) == 0)
        return STATUS_NOT_FOUND;
    return status;
}

/* It may have been the last of its set that the others waited for. */
enum status sqlite_drop(struct queue *queue, int64_t id, const char *reason,
                        int64_t now_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);
    struct queue_row row = queue_db_row(q->db, SQL_DROP);
    char set_id[SET_ID_MAX + 1] = "", channel[CHANNEL_NAME_MAX + 1] = "";
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    queue_db_int(q->db, SQL_DROP, 1, id);
    queue_db_int(q->db, SQL_DROP, 2, JOB_OUTCOME_DEAD);
    queue_db_text(q->db, SQL_DROP, 3, reason);
    queue_db_int(q->db, SQL_DROP, 4, now_ms);
    status = queue_db_step(q->db, SQL_DROP);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    queue_row_text(&row, 0, set_id, sizeof(set_id));
    queue_row_text(&row, 1, channel, sizeof(channel));
    queue_db_reset(q->db, SQL_DROP);
    return sqlite_wake_set(q, set_id, channel, now_ms);
}
