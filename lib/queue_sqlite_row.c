/*
 * queue_sqlite_row.c: struct job to parameters, columns to struct job. What is
 * read back is checked field by field.
 */
#include "log.h"
#include "queue_sqlite.h"

void sqlite_bind_origin(struct queue_db *db, enum sql sql,
                        const struct job *job)
{
    queue_db_text(db, sql, C_CHANNEL, job->channel);
    queue_db_text(db, sql, C_EVENT_ID, job->event_id);
    queue_db_text(db, sql, C_MESSAGE_ID, job->message_id);
    queue_db_text(db, sql, C_REPLY_TOKEN, job->reply_token);
    queue_db_int(db, sql, C_SOURCE, job->source);
    queue_db_text(db, sql, C_SOURCE_ID, job->source_id);
    queue_db_int(db, sql, C_EVENT_MS, job->event_ms);
    queue_db_int(db, sql, C_RECEIVED_MS, job->received_ms);
    queue_db_int(db, sql, C_KIND, job->kind);
    queue_db_text(db, sql, C_QUOTE_TOKEN, job->quote_token);
    queue_db_text(db, sql, C_READ_TOKEN, job->read_token);
    queue_db_text(db, sql, C_SET_ID, job->set_id);
    queue_db_int(db, sql, C_SET_INDEX, job->set_index);
    queue_db_int(db, sql, C_SET_TOTAL, job->set_total);
    queue_db_text(db, sql, C_EXTERNAL_URL, job->external_url);
}

void sqlite_bind_progress(struct queue_db *db, enum sql sql,
                          const struct job *job)
{
    queue_db_int(db, sql, C_STATE, job->state);
    queue_db_int(db, sql, C_STAGE, job->stage);
    queue_db_int(db, sql, C_OUTCOME, job->outcome);
    queue_db_int(db, sql, C_ATTEMPTS, job->attempts);
    queue_db_int(db, sql, C_DUE_MS, job->due_ms);
    queue_db_int(db, sql, C_REPLY_IN_DOUBT, job->reply_in_doubt);
    queue_db_int(db, sql, C_ALONE, job->alone);
    queue_db_text(db, sql, C_LAST_STATUS, status_name(job->last_status));
    queue_db_text(db, sql, C_REASON, job->reason);
    queue_db_text(db, sql, C_ORIGINAL_NAME, job->original_name);
    queue_db_text(db, sql, C_PREVIEW_NAME, job->preview_name);
    queue_db_int(db, sql, C_TOKEN_SPENT, job->token_spent);
    queue_db_text(db, sql, C_PUSH_KEY, job->push_key);
    queue_db_int(db, sql, C_FETCHED_MS, job->fetched_ms);
    queue_db_int(db, sql, C_PUBLISHED_MS, job->published_ms);
}

static void read_origin(struct queue_row *row, struct job *job)
{
    queue_row_text(row, C_CHANNEL, job->channel, sizeof(job->channel));
    queue_row_text(row, C_EVENT_ID, job->event_id, sizeof(job->event_id));
    queue_row_text(row, C_MESSAGE_ID, job->message_id, sizeof(job->message_id));
    queue_row_text(row, C_REPLY_TOKEN, job->reply_token,
                   sizeof(job->reply_token));
    job->source =
        (enum job_source)queue_row_int(row, C_SOURCE, 0, JOB_SOURCE_ROOM);
    queue_row_text(row, C_SOURCE_ID, job->source_id, sizeof(job->source_id));
    job->event_ms = queue_row_int(row, C_EVENT_MS, INT64_MIN, INT64_MAX);
    job->received_ms = queue_row_int(row, C_RECEIVED_MS, INT64_MIN, INT64_MAX);
    job->kind = (enum job_kind)queue_row_int(row, C_KIND, 0, JOB_UNSEND);
    queue_row_text(row, C_QUOTE_TOKEN, job->quote_token,
                   sizeof(job->quote_token));
    queue_row_text(row, C_READ_TOKEN, job->read_token, sizeof(job->read_token));
    queue_row_text(row, C_SET_ID, job->set_id, sizeof(job->set_id));
    job->set_index = (int32_t)queue_row_int(row, C_SET_INDEX, 0, SET_TOTAL_MAX);
    job->set_total = (int32_t)queue_row_int(row, C_SET_TOTAL, 0, SET_TOTAL_MAX);
    queue_row_text(row, C_EXTERNAL_URL, job->external_url,
                   sizeof(job->external_url));
}

static enum status read_status(struct queue_row *row, int column)
{
    char name[64] = "";

    queue_row_text(row, column, name, sizeof(name));
    for (int i = 0; i < STATUS__COUNT; i++) {
        if (str_eq(name, status_name((enum status)i)))
            return (enum status)i;
    }
    queue_row_spoil(row, column);
    return STATUS_BUG;
}

static void read_progress(struct queue_row *row, struct job *job)
{
    job->state = (enum job_state)queue_row_int(row, C_STATE, 0, JOB_DEAD);
    job->stage =
        (enum job_stage)queue_row_int(row, C_STAGE, 0, JOB_STAGE_FAILURE);
    job->outcome =
        (enum job_outcome)queue_row_int(row, C_OUTCOME, 0, JOB_OUTCOME_REMOVED);
    job->attempts = (int32_t)queue_row_int(row, C_ATTEMPTS, 0, INT32_MAX - 1);
    job->due_ms = queue_row_int(row, C_DUE_MS, INT64_MIN, INT64_MAX);
    job->reply_in_doubt = queue_row_int(row, C_REPLY_IN_DOUBT, 0, 1) == 1;
    job->alone = queue_row_int(row, C_ALONE, 0, 1) == 1;
    job->last_status = read_status(row, C_LAST_STATUS);
    queue_row_text(row, C_REASON, job->reason, sizeof(job->reason));
    queue_row_text(row, C_ORIGINAL_NAME, job->original_name,
                   sizeof(job->original_name));
    queue_row_text(row, C_PREVIEW_NAME, job->preview_name,
                   sizeof(job->preview_name));
    job->token_spent = queue_row_int(row, C_TOKEN_SPENT, 0, 1) == 1;
    queue_row_text(row, C_PUSH_KEY, job->push_key, sizeof(job->push_key));
    job->fetched_ms = queue_row_int(row, C_FETCHED_MS, 0, INT64_MAX);
    job->published_ms = queue_row_int(row, C_PUBLISHED_MS, 0, INT64_MAX);
}

enum status sqlite_read_job(struct queue_db *db, enum sql sql, struct job *job,
                            int64_t *id)
{
    struct queue_row row = queue_db_row(db, sql);

    *job = (struct job){0};
    *id = queue_row_int(&row, C_ID, INT64_MIN, INT64_MAX);
    job->id = queue_row_int(&row, C_ID, 1, INT64_MAX);
    job->claim = queue_row_int(&row, C_CLAIM, 0, INT64_MAX - 1);
    read_origin(&row, job);
    read_progress(&row, job);
    if (row.bad == NULL)
        return STATUS_OK;
    LOG(ERROR, "queue_row_damaged", LOG_INT("job", *id),
        LOG_STR("column", row.bad));
    return STATUS_IO;
}
