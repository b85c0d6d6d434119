/*
 * queue_memory_forward.c: webhook bodies in an array, oldest first. Rollback
 * puts back the copy of it that begin made. A body that is gone has the id 0.
 */
#include "queue_memory.h"

enum status memory_bodies_begin(struct memory_queue *mem)
{
    struct memory_bodies *bodies = &mem->bodies;

    free(bodies->before);
    bodies->before = calloc(bodies->count + 1, sizeof(*bodies->before));
    if (bodies->before == NULL)
        return STATUS_NO_MEMORY;
    if (bodies->count > 0)
        memcpy(bodies->before, bodies->rows,
               bodies->count * sizeof(*bodies->rows));
    bodies->before_count = bodies->count;
    return STATUS_OK;
}

void memory_bodies_rollback(struct memory_queue *mem)
{
    struct memory_bodies *bodies = &mem->bodies;

    bodies->count = bodies->before_count;
    if (bodies->count > 0)
        memcpy(bodies->rows, bodies->before,
               bodies->count * sizeof(*bodies->rows));
}

void memory_bodies_free(struct memory_queue *mem)
{
    free(mem->bodies.rows);
    free(mem->bodies.before);
}

enum status memory_body_put(struct queue *queue, struct queue_body *body,
                            int64_t now_ms)
{
    struct memory_queue *mem = memory_of(queue);
    struct memory_bodies *bodies = &mem->bodies;
    void *rows = bodies->rows;
    struct memory_body row = {.due_ms = now_ms, .len = body->body.len};
    enum status status;

    if (!mem->in_transaction)
        return STATUS_BUG;
    status = memory_reserve(&rows, &bodies->capacity, bodies->count,
                            sizeof(struct memory_body));
    if (status != STATUS_OK)
        return status;
    bodies->rows = rows;
    row.bytes = memory_keep(mem, buf_str(&body->body), body->body.len);
    if (row.bytes == NULL)
        return STATUS_NO_MEMORY;
    body->id = ++mem->last_id;
    row.head = *body;
    row.head.attempts = 0;
    bodies->rows[bodies->count++] = row;
    return STATUS_OK;
}

static bool is_waiting(const struct memory_body *row)
{
    return row->head.id != 0 &&
           (row->state == JOB_READY || row->state == JOB_LEASED);
}

/* Only the oldest of a channel is ever leased. */
static bool is_head(const struct memory_queue *mem,
                    const struct memory_body *row)
{
    for (const struct memory_body *before = mem->bodies.rows; before < row;
         before++) {
        if (is_waiting(before) &&
            str_eq(before->head.channel, row->head.channel))
            return false;
    }
    return is_waiting(row);
}

static struct memory_body *first_head(struct memory_queue *mem)
{
    struct memory_body *first = NULL;

    for (size_t i = 0; i < mem->bodies.count; i++) {
        struct memory_body *row = &mem->bodies.rows[i];

        if (is_head(mem, row) && (first == NULL || row->due_ms < first->due_ms))
            first = row;
    }
    return first;
}

enum status memory_body_next_due(struct queue *queue, int64_t *due_ms)
{
    const struct memory_body *first = first_head(memory_of(queue));

    if (first != NULL)
        *due_ms = first->due_ms;
    return STATUS_OK;
}

static struct queue_body *copy_body(const struct memory_body *row)
{
    struct queue_body *body = queue_body_new(WEBHOOK_BODY_MAX_BYTES);
    struct buf bytes;

    if (body == NULL)
        return NULL;
    bytes = body->body;
    *body = row->head;
    body->body = bytes;
    if (buf_append(&body->body, row->bytes, row->len) == STATUS_OK)
        return body;
    queue_body_free(body);
    return NULL;
}

enum status memory_body_claim(struct queue *queue, int64_t now_ms,
                              int64_t lease_ms, struct queue_body **body)
{
    struct memory_queue *mem = memory_of(queue);
    struct memory_body *first = first_head(mem);

    if (!mem->in_transaction)
        return STATUS_BUG;
    if (first == NULL || first->due_ms > now_ms)
        return STATUS_NOT_FOUND;
    first->state = JOB_LEASED;
    first->due_ms = now_ms + lease_ms;
    first->head.attempts++;
    *body = copy_body(first);
    return *body != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static struct memory_body *find_leased(struct memory_queue *mem, int64_t id)
{
    for (size_t i = 0; i < mem->bodies.count; i++) {
        struct memory_body *row = &mem->bodies.rows[i];

        if (row->head.id == id && row->state == JOB_LEASED)
            return row;
    }
    return NULL;
}

/* The oldest of too many. */
static void trim_dropped(struct memory_queue *mem)
{
    struct memory_body *oldest = NULL;
    size_t dropped = 0;

    for (size_t i = mem->bodies.count; i > 0; i--) {
        struct memory_body *row = &mem->bodies.rows[i - 1];

        if (row->head.id == 0 || row->state != JOB_DEAD)
            continue;
        oldest = row;
        dropped++;
    }
    if (dropped > FORWARD_DROPPED_MAX)
        oldest->head.id = 0;
}

enum status memory_body_end(struct queue *queue, int64_t id,
                            enum queue_body_end end, int64_t due_ms,
                            const char *why)
{
    struct memory_queue *mem = memory_of(queue);
    struct memory_body *row = find_leased(mem, id);

    (void)why;
    if (!mem->in_transaction)
        return STATUS_BUG;
    if (row == NULL)
        return STATUS_LEASE_LOST;
    if (end == QUEUE_BODY_DONE) {
        row->head.id = 0;
    } else if (end == QUEUE_BODY_RETRY) {
        row->state = JOB_READY;
        row->due_ms = due_ms;
    } else {
        row->state = JOB_DEAD;
        trim_dropped(mem);
    }
    return STATUS_OK;
}

void memory_bodies_purge(struct memory_queue *mem, int64_t before_ms)
{
    for (size_t i = 0; i < mem->bodies.count; i++) {
        struct memory_body *row = &mem->bodies.rows[i];

        if (row->state == JOB_DEAD && row->head.received_ms < before_ms)
            row->head.id = 0;
    }
}

void memory_bodies_stats(struct memory_queue *mem, struct queue_stats *stats)
{
    for (size_t i = 0; i < mem->bodies.count; i++) {
        const struct memory_body *row = &mem->bodies.rows[i];

        stats->dropped_bodies += row->head.id != 0 && row->state == JOB_DEAD;
        if (!is_waiting(row))
            continue;
        stats->bodies++;
        stats->body_bytes += (int64_t)row->len;
    }
}
