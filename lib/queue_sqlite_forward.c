/*
 * queue_sqlite_forward.c: webhook bodies. The oldest unfinished body of a
 * channel is its head; only heads are ever leased, so their order is kept over
 * the whole pool:
 *
 *   put ──▶ READY ──claim, as head──▶ LEASED ──DONE──▶ (removed)
 *             ▲────RETRY, reaping────────┘ └───DROP──▶ DEAD, without its bytes
 *
 * Heads are found by steps through the index forward_open: a few microseconds
 * for each channel that has any, whatever their number.
 */
#include "log.h"
#include "queue_sqlite.h"

enum status sqlite_body_put(struct queue *queue, struct queue_body *body,
                            int64_t now_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    queue_db_text(q->db, SQL_BODY_PUT, 1, body->channel);
    queue_db_text(q->db, SQL_BODY_PUT, 2, body->signature);
    queue_db_int(q->db, SQL_BODY_PUT, 3, body->received_ms);
    queue_db_int(q->db, SQL_BODY_PUT, 4, now_ms);
    queue_db_int(q->db, SQL_BODY_PUT, 5, (int64_t)body->body.len);
    queue_db_bytes(q->db, SQL_BODY_PUT, 6, body->body.data, body->body.len);
    status = queue_db_step(q->db, SQL_BODY_PUT);
    if (status == STATUS_OK)
        body->id = queue_db_last_id(q->db);
    return status;
}

/* ---- heads */

struct head {
    char channel[CHANNEL_NAME_MAX + 1];
    int64_t id;
    int64_t due_ms; /* of a LEASED one: until */
};

/* The head of the next channel after head->channel, in place; NOT_FOUND. */
static enum status next_head(struct sqlite_queue *q, struct head *head)
{
    struct queue_row row = queue_db_row(q->db, SQL_BODY_HEAD);
    char channel[CHANNEL_NAME_MAX + 1] = "";
    enum status status;

    queue_db_text(q->db, SQL_BODY_HEAD, 1, head->channel);
    status = queue_db_step(q->db, SQL_BODY_HEAD);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    queue_row_text(&row, 0, channel, sizeof(channel));
    head->id = queue_row_int(&row, 1, INT64_MIN, INT64_MAX);
    head->due_ms = queue_row_int(&row, 2, INT64_MIN, INT64_MAX);
    queue_db_reset(q->db, SQL_BODY_HEAD);
    memcpy(head->channel, channel, sizeof(channel));
    if (row.bad == NULL)
        return STATUS_OK;
    LOG(ERROR, "queue_body_damaged", LOG_INT("body", head->id),
        LOG_STR("column", row.bad));
    return STATUS_NOT_FOUND; /* the jobs must not wait for it */
}

/* The head that is due first, or has been for the longest time. */
static enum status first_head(struct sqlite_queue *q, struct head *first)
{
    struct head head = {0};
    enum status status;

    first->due_ms = INT64_MAX;
    while ((status = next_head(q, &head)) == STATUS_OK) {
        if (head.due_ms < first->due_ms)
            *first = head;
    }
    if (status != STATUS_NOT_FOUND)
        return status;
    return first->id != 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

enum status sqlite_body_next_due(struct queue *queue, int64_t *due_ms)
{
    struct head first = {0};
    enum status status = first_head(sqlite_of(queue), &first);

    if (status == STATUS_OK)
        *due_ms = first.due_ms;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* ---- claim */

/* IO: the row is damaged. */
static enum status read_body(struct sqlite_queue *q, struct queue_body *body)
{
    struct queue_row row = queue_db_row(q->db, SQL_BODY_LEASE);
    enum status status;

    body->id = queue_row_int(&row, B_ID, 1, INT64_MAX);
    queue_row_text(&row, B_CHANNEL, body->channel, sizeof(body->channel));
    queue_row_text(&row, B_SIGNATURE, body->signature, sizeof(body->signature));
    body->received_ms =
        queue_row_int(&row, B_RECEIVED_MS, INT64_MIN, INT64_MAX);
    body->attempts = (int32_t)queue_row_int(&row, B_ATTEMPTS, 0, INT32_MAX - 1);
    status = queue_row_bytes(&row, B_BODY, &body->body);
    if (status != STATUS_OK || row.bad == NULL)
        return status;
    LOG(ERROR, "queue_body_damaged", LOG_INT("body", body->id),
        LOG_STR("column", row.bad));
    return STATUS_IO;
}

static enum status lease(struct sqlite_queue *q, int64_t id, int64_t until_ms,
                         struct queue_body *body)
{
    enum status status;

    queue_db_int(q->db, SQL_BODY_LEASE, 1, id);
    queue_db_text(q->db, SQL_BODY_LEASE, 2, q->lock.owner);
    queue_db_int(q->db, SQL_BODY_LEASE, 3, until_ms);
    status = queue_db_step(q->db, SQL_BODY_LEASE);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    status = read_body(q, body);
    queue_db_reset(q->db, SQL_BODY_LEASE);
    return status;
}

static enum status claim_head(struct sqlite_queue *q, int64_t id,
                              int64_t until_ms, struct queue_body **out)
{
    struct queue_body *body = queue_body_new(WEBHOOK_BODY_MAX_BYTES);
    enum status status = STATUS_NO_MEMORY;

    if (body != NULL)
        status = lease(q, id, until_ms, body);
    if (status == STATUS_OK)
        *out = body;
    else
        queue_body_free(body);
    return status;
}

/* A damaged body must not stop its channel. */
enum status sqlite_body_claim(struct queue *queue, int64_t now_ms,
                              int64_t lease_ms, struct queue_body **body)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    do {
        struct head first = {0};

        status = first_head(q, &first);
        if (status != STATUS_OK || first.due_ms > now_ms)
            return status == STATUS_OK ? STATUS_NOT_FOUND : status;
        status = claim_head(q, first.id, now_ms + lease_ms, body);
        if (status != STATUS_IO)
            return status;
        status = sqlite_body_end(queue, first.id, QUEUE_BODY_DROP, 0,
                                 "the stored body is damaged");
    } while (status == STATUS_OK);
    return status;
}

/* ---- end */

static enum status trim_dropped(struct sqlite_queue *q)
{
    queue_db_int(q->db, SQL_BODY_TRIM, 1, FORWARD_DROPPED_MAX);
    return queue_db_step(q->db, SQL_BODY_TRIM);
}

enum status sqlite_body_end(struct queue *queue, int64_t id,
                            enum queue_body_end end, int64_t due_ms,
                            const char *why)
{
    static const enum sql statements[] = {
        [QUEUE_BODY_DONE] = SQL_BODY_REMOVE,
        [QUEUE_BODY_RETRY] = SQL_BODY_RETRY,
        [QUEUE_BODY_DROP] = SQL_BODY_DROP,
    };
    struct sqlite_queue *q = sqlite_of(queue);
    enum sql sql = statements[end];
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    queue_db_int(q->db, sql, 1, id);
    queue_db_text(q->db, sql, 2, q->lock.owner);
    if (end == QUEUE_BODY_RETRY)
        queue_db_int(q->db, sql, 3, due_ms);
    if (end == QUEUE_BODY_DROP)
        queue_db_text(q->db, sql, 3, why);
    status = queue_db_step(q->db, sql);
    if (status != STATUS_OK)
        return status;
    if (queue_db_changes(q->db) == 0)
        return STATUS_LEASE_LOST;
    return end == QUEUE_BODY_DROP ? trim_dropped(q) : STATUS_OK;
}

/* ---- chores */

enum status sqlite_body_reap(struct sqlite_queue *q, int64_t now_ms)
{
    char owner[QUEUE_OWNER_MAX + 1] = "";
    enum status status;

    while ((status = sqlite_next_owner(q, SQL_BODY_NEXT_OWNER, owner,
                                       sizeof(owner))) == STATUS_OK) {
        if (!queue_lock_owner_is_dead(&q->lock, owner))
            continue;
        queue_db_text(q->db, SQL_BODY_RELEASE, 1, owner);
        queue_db_int(q->db, SQL_BODY_RELEASE, 2, now_ms);
        status = queue_db_step(q->db, SQL_BODY_RELEASE);
        if (status != STATUS_OK)
            return status;
        LOG(WARN, "queue_owner_died", LOG_STR("owner", owner),
            LOG_INT("bodies", (int64_t)queue_db_changes(q->db)));
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status sqlite_body_purge(struct sqlite_queue *q, int64_t before_ms)
{
    queue_db_int(q->db, SQL_BODY_PURGE, 1, before_ms);
    return queue_db_step(q->db, SQL_BODY_PURGE);
}

enum status sqlite_body_stats(struct sqlite_queue *q, struct queue_stats *stats)
{
    struct queue_row row = queue_db_row(q->db, SQL_BODY_STATS);
    enum status status = queue_db_step(q->db, SQL_BODY_STATS);

    if (status != STATUS_AGAIN)
        return status;
    stats->bodies = queue_row_int(&row, 0, 0, INT64_MAX);
    stats->body_bytes = queue_row_int(&row, 1, 0, INT64_MAX);
    queue_db_reset(q->db, SQL_BODY_STATS);
    return queue_db_number(q->db, SQL_BODY_DROPPED, &stats->dropped_bodies);
}
