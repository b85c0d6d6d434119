/*
 * queue_memory.c: the queue as an array of rows, for tests: the rules of
 * queue.h without a disk.
 *
 * Rollback is real: before a row is changed its old content goes to an undo
 * log, which rollback() plays backwards; rows added since begin() are cut off.
 * A purged row keeps its place (id 0) until the next begin(). One process, one
 * owner: a lease is the state LEASED and nothing else, and there is never
 * anything to reap.
 */
#include "queue_backend.h"

struct undo {
    size_t row;
    struct job before;
};

struct memory_queue {
    struct queue base;
    bool in_transaction;
    int64_t last_id;

    struct job *rows;
    size_t row_count, row_capacity;
    size_t rows_at_begin;

    struct undo *undos;
    size_t undo_count, undo_capacity;
};

static struct memory_queue *memory_of(struct queue *queue)
{
    return CONTAINER_OF(queue, struct memory_queue, base);
}

static enum status memory_open(struct queue **out, const char *path)
{
    struct memory_queue *mem;

    if (path[0] != '\0')
        return STATUS_BAD_CONFIG;
    mem = calloc(1, sizeof(*mem));
    if (mem == NULL)
        return STATUS_NO_MEMORY;
    mem->base.ops = &queue_memory_ops;
    *out = &mem->base;
    return STATUS_OK;
}

static void memory_close(struct queue *queue)
{
    struct memory_queue *mem = memory_of(queue);

    free(mem->rows);
    free(mem->undos);
    free(mem);
}

/* ---- transactions */

static void drop_purged(struct memory_queue *mem)
{
    size_t kept = 0;

    for (size_t i = 0; i < mem->row_count; i++) {
        if (mem->rows[i].id != 0)
            mem->rows[kept++] = mem->rows[i];
    }
    mem->row_count = kept;
}

static enum status memory_begin(struct queue *queue)
{
    struct memory_queue *mem = memory_of(queue);

    if (mem->in_transaction)
        return STATUS_BUG;
    drop_purged(mem);
    mem->in_transaction = true;
    mem->rows_at_begin = mem->row_count;
    mem->undo_count = 0;
    return STATUS_OK;
}

static enum status memory_commit(struct queue *queue)
{
    struct memory_queue *mem = memory_of(queue);

    if (!mem->in_transaction)
        return STATUS_BUG;
    mem->in_transaction = false;
    return STATUS_OK;
}

static void memory_rollback(struct queue *queue)
{
    struct memory_queue *mem = memory_of(queue);

    if (!mem->in_transaction)
        return;
    while (mem->undo_count > 0) {
        const struct undo *undo = &mem->undos[--mem->undo_count];

        mem->rows[undo->row] = undo->before;
    }
    mem->row_count = mem->rows_at_begin;
    mem->in_transaction = false;
}

/* Room for `count` + 1 elements in a growing array. */
static enum status reserve(void **array, size_t *capacity, size_t count,
                           size_t element_bytes)
{
    size_t wanted = *capacity > 0 ? *capacity * 2 : 16;
    size_t bytes;
    void *grown;

    if (count < *capacity)
        return STATUS_OK;
    if (count >= QUEUE_MEMORY_ROWS_MAX)
        return STATUS_NO_SPACE;
    if (!size_mul(wanted, element_bytes, &bytes))
        return STATUS_NO_MEMORY;
    grown = realloc(*array, bytes);
    if (grown == NULL)
        return STATUS_NO_MEMORY;
    *array = grown;
    *capacity = wanted;
    return STATUS_OK;
}

/* To be called before rows[row] is changed. */
static enum status remember(struct memory_queue *mem, size_t row)
{
    void *undos = mem->undos;
    enum status status;

    if (!mem->in_transaction)
        return STATUS_BUG;
    status = reserve(&undos, &mem->undo_capacity, mem->undo_count,
                     sizeof(struct undo));
    if (status != STATUS_OK)
        return status;
    mem->undos = undos;
    mem->undos[mem->undo_count++] =
        (struct undo){.row = row, .before = mem->rows[row]};
    return STATUS_OK;
}

/* ---- changes */

static bool is_unfinished(const struct job *job)
{
    return job->id != 0 &&
           (job->state == JOB_READY || job->state == JOB_LEASED);
}

static struct job *find_id(struct memory_queue *mem, int64_t id)
{
    for (size_t i = 0; i < mem->row_count; i++) {
        if (mem->rows[i].id == id)
            return &mem->rows[i];
    }
    return NULL;
}

static struct job *find_key(struct memory_queue *mem, const struct job *job)
{
    for (size_t i = 0; i < mem->row_count; i++) {
        struct job *row = &mem->rows[i];

        if (row->id != 0 && str_eq(row->channel, job->channel) &&
            str_eq(row->event_id, job->event_id) &&
            str_eq(row->message_id, job->message_id))
            return row;
    }
    return NULL;
}

static enum status renew(struct memory_queue *mem, struct job *row,
                         struct job *job)
{
    enum status status;

    job->id = row->id;
    if (!is_unfinished(row))
        return STATUS_DUPLICATE;
    status = remember(mem, (size_t)(row - mem->rows));
    if (status != STATUS_OK)
        return status;
    memcpy(row->reply_token, job->reply_token, sizeof(row->reply_token));
    row->received_ms = job->received_ms;
    return STATUS_DUPLICATE;
}

static enum status memory_put(struct queue *queue, struct job *job,
                              int64_t now_ms, int64_t lease_ms)
{
    struct memory_queue *mem = memory_of(queue);
    struct job *known = find_key(mem, job);
    void *rows = mem->rows;
    enum status status;

    if (!mem->in_transaction)
        return STATUS_BUG;
    if (known != NULL)
        return renew(mem, known, job);
    status =
        reserve(&rows, &mem->row_capacity, mem->row_count, sizeof(struct job));
    if (status != STATUS_OK)
        return status;
    mem->rows = rows;
    job->id = ++mem->last_id;
    job->state = lease_ms > 0 ? JOB_LEASED : JOB_READY;
    job->attempts = lease_ms > 0 ? 1 : 0;
    job->due_ms = now_ms + lease_ms;
    mem->rows[mem->row_count++] = *job;
    return STATUS_OK;
}

static struct job *oldest_due(struct memory_queue *mem, int64_t now_ms)
{
    struct job *oldest = NULL;

    for (size_t i = 0; i < mem->row_count; i++) {
        struct job *row = &mem->rows[i];

        if (is_unfinished(row) && row->due_ms <= now_ms &&
            (oldest == NULL || row->due_ms < oldest->due_ms))
            oldest = row;
    }
    return oldest;
}

static enum status memory_claim(struct queue *queue, int64_t now_ms,
                                int64_t lease_ms, struct queue_lease *leases,
                                size_t max, size_t *count)
{
    struct memory_queue *mem = memory_of(queue);
    struct job *row;

    while (*count < max && (row = oldest_due(mem, now_ms)) != NULL) {
        enum status status = remember(mem, (size_t)(row - mem->rows));

        if (status != STATUS_OK)
            return status;
        row->state = JOB_LEASED;
        row->attempts++;
        row->due_ms = now_ms + lease_ms;
        leases[(*count)++] = (struct queue_lease){.job = *row};
    }
    return STATUS_OK;
}

static enum status memory_extend(struct queue *queue, const int64_t *ids,
                                 size_t count, int64_t until_ms)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < count; i++) {
        struct job *row = find_id(mem, ids[i]);
        enum status status;

        if (row == NULL || row->state != JOB_LEASED)
            continue;
        status = remember(mem, (size_t)(row - mem->rows));
        if (status != STATUS_OK)
            return status;
        row->due_ms = until_ms;
    }
    return STATUS_OK;
}

static enum status memory_update(struct queue *queue, struct job *job,
                                 const struct queue_extra *extra,
                                 int64_t now_ms)
{
    struct memory_queue *mem = memory_of(queue);
    struct job *row = find_id(mem, job->id);
    struct job changed;
    enum status status;

    (void)extra;
    (void)now_ms;
    if (!mem->in_transaction)
        return STATUS_BUG;
    if (row == NULL || row->state != JOB_LEASED)
        return STATUS_LEASE_LOST;
    status = remember(mem, (size_t)(row - mem->rows));
    if (status != STATUS_OK)
        return status;
    changed = *job;
    memcpy(&changed, row, offsetof(struct job, state)); /* what came in */
    if (changed.state == JOB_LEASED)
        changed.due_ms = int64_max(row->due_ms, job->due_ms);
    *row = changed;
    return STATUS_OK;
}

static enum status memory_reap(struct queue *queue, int64_t now_ms,
                               size_t *count)
{
    (void)now_ms;
    (void)count;
    return memory_of(queue)->in_transaction ? STATUS_OK : STATUS_BUG;
}

static enum status memory_purge(struct queue *queue, int64_t before_ms,
                                size_t max, size_t *count)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < mem->row_count && *count < max; i++) {
        struct job *row = &mem->rows[i];
        enum status status;

        if (row->id == 0 || row->state != JOB_DONE ||
            row->received_ms >= before_ms)
            continue;
        status = remember(mem, i);
        if (status != STATUS_OK)
            return status;
        row->id = 0;
        (*count)++;
    }
    return STATUS_OK;
}

/* ---- looks */

static enum status memory_next_due(struct queue *queue, int64_t *due_ms)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < mem->row_count; i++) {
        if (is_unfinished(&mem->rows[i]))
            *due_ms = int64_min(*due_ms, mem->rows[i].due_ms);
    }
    return STATUS_OK;
}

static enum status memory_get(struct queue *queue, int64_t id, struct job *job)
{
    const struct job *row = id > 0 ? find_id(memory_of(queue), id) : NULL;

    if (row == NULL)
        return STATUS_NOT_FOUND;
    *job = *row;
    return STATUS_OK;
}

static enum status memory_stats(struct queue *queue, struct queue_stats *stats)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < mem->row_count; i++) {
        const struct job *row = &mem->rows[i];

        if (row->id == 0)
            continue;
        stats->ready += row->state == JOB_READY;
        stats->leased += row->state == JOB_LEASED;
        stats->done += row->state == JOB_DONE;
        stats->dead += row->state == JOB_DEAD;
        if (is_unfinished(row) &&
            (stats->oldest_ms == 0 || row->received_ms < stats->oldest_ms))
            stats->oldest_ms = row->received_ms;
    }
    return STATUS_OK;
}

static enum status memory_body_put(struct queue *queue, struct queue_body *body,
                                   int64_t now_ms)
{
    (void)queue;
    (void)body;
    (void)now_ms;
    return STATUS_NO_SPACE;
}

static enum status memory_body_claim(struct queue *queue, int64_t now_ms,
                                     int64_t lease_ms, struct queue_body **body)
{
    (void)queue;
    (void)now_ms;
    (void)lease_ms;
    (void)body;
    return STATUS_NOT_FOUND;
}

static enum status memory_body_end(struct queue *queue, int64_t id,
                                   enum queue_body_end end, int64_t due_ms,
                                   const char *why)
{
    (void)queue;
    (void)id;
    (void)end;
    (void)due_ms;
    (void)why;
    return STATUS_LEASE_LOST;
}

static enum status memory_body_next_due(struct queue *queue, int64_t *due_ms)
{
    (void)queue;
    (void)due_ms;
    return STATUS_OK;
}

const struct queue_ops queue_memory_ops = {
    .scheme = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .put = memory_put,
    .claim = memory_claim,
    .extend = memory_extend,
    .update = memory_update,
    .reap = memory_reap,
    .next_due = memory_next_due,
    .get = memory_get,
    .stats = memory_stats,
    .purge = memory_purge,
    .body_put = memory_body_put,
    .body_claim = memory_body_claim,
    .body_end = memory_body_end,
    .body_next_due = memory_body_next_due,
};
