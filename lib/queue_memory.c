/*
 * queue_memory.c: the queue as an array of rows, for tests: the rules of
 * queue.h without a disk.
 *
 * Rollback is real: before a row is changed its old content goes to an undo
 * log, which rollback() plays backwards; rows added since begin() are cut off.
 * Bodies and counts of pushes are few: begin() copies them.
 * A purged row keeps its place (id 0) until the next begin(). One process, one
 * owner: a lease is the state LEASED and nothing else, and there is never
 * anything to reap.
 */
#include "queue_memory.h"

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

    for (size_t i = 0; i < mem->kept_count; i++)
        free(mem->kept[i]);
    free(mem->kept);
    memory_bodies_free(mem);
    free(mem->pushes.rows);
    free(mem->pushes_before.rows);
    free(mem->rows);
    free(mem->undos);
    free(mem);
}

enum status memory_reserve(void **array, size_t *capacity, size_t count,
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

const char *memory_keep(struct memory_queue *mem, const char *bytes, size_t len)
{
    void *kept = mem->kept;
    char *copy;

    if (memory_reserve(&kept, &mem->kept_capacity, mem->kept_count,
                       sizeof(*mem->kept)) != STATUS_OK)
        return NULL;
    mem->kept = kept;
    copy = malloc(len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    mem->kept[mem->kept_count++] = copy;
    return copy;
}

/* ---- transactions */

static void drop_purged(struct memory_queue *mem)
{
    size_t kept = 0;

    for (size_t i = 0; i < mem->row_count; i++) {
        if (mem->rows[i].job.id != 0)
            mem->rows[kept++] = mem->rows[i];
    }
    mem->row_count = kept;
}

static enum status copy_pushes(struct memory_pushes *to,
                               const struct memory_pushes *from)
{
    size_t bytes = from->count * sizeof(*from->rows);

    free(to->rows);
    *to = (struct memory_pushes){.rows = malloc(bytes + 1)};
    if (to->rows == NULL)
        return STATUS_NO_MEMORY;
    if (bytes > 0)
        memcpy(to->rows, from->rows, bytes);
    to->count = to->capacity = from->count;
    return STATUS_OK;
}

static enum status memory_begin(struct queue *queue)
{
    struct memory_queue *mem = memory_of(queue);
    enum status status;

    if (mem->in_transaction)
        return STATUS_BUG;
    drop_purged(mem);
    status = memory_bodies_begin(mem);
    if (status == STATUS_OK)
        status = copy_pushes(&mem->pushes_before, &mem->pushes);
    if (status != STATUS_OK)
        return status;
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
        const struct memory_undo *undo = &mem->undos[--mem->undo_count];

        mem->rows[undo->row] = undo->before;
    }
    mem->row_count = mem->rows_at_begin;
    memory_bodies_rollback(mem);
    free(mem->pushes.rows);
    mem->pushes = mem->pushes_before;
    mem->pushes_before = (struct memory_pushes){0};
    mem->in_transaction = false;
}

/* To be called before rows[row] is changed. */
static enum status remember(struct memory_queue *mem, size_t row)
{
    void *undos = mem->undos;
    enum status status;

    if (!mem->in_transaction)
        return STATUS_BUG;
    status = memory_reserve(&undos, &mem->undo_capacity, mem->undo_count,
                            sizeof(struct memory_undo));
    if (status != STATUS_OK)
        return status;
    mem->undos = undos;
    mem->undos[mem->undo_count++] =
        (struct memory_undo){.row = row, .before = mem->rows[row]};
    return STATUS_OK;
}

/* ---- rows */

static bool is_unfinished(const struct job *job)
{
    return job->id != 0 &&
           (job->state == JOB_READY || job->state == JOB_LEASED);
}

static struct memory_row *find_id(struct memory_queue *mem, int64_t id)
{
    for (size_t i = 0; i < mem->row_count; i++) {
        if (mem->rows[i].job.id == id)
            return &mem->rows[i];
    }
    return NULL;
}

static bool is_of_message(const struct job *a, const struct job *b)
{
    return a->id != 0 && str_eq(a->message_id, b->message_id) &&
           str_eq(a->channel, b->channel);
}

static struct memory_row *find_key(struct memory_queue *mem,
                                   const struct job *job)
{
    for (size_t i = 0; i < mem->row_count; i++) {
        struct memory_row *row = &mem->rows[i];

        if (is_of_message(&row->job, job) &&
            str_eq(row->job.event_id, job->event_id))
            return row;
    }
    return NULL;
}

static bool is_unsent(const struct memory_queue *mem, const struct job *job)
{
    for (size_t i = 0; i < mem->row_count; i++) {
        const struct job *row = &mem->rows[i].job;

        if (row->kind == JOB_UNSEND && is_of_message(row, job))
            return true;
    }
    return false;
}

static bool is_of_set(const struct job *a, const struct job *b)
{
    return a->id != 0 && b->set_id[0] != '\0' && str_eq(a->set_id, b->set_id) &&
           str_eq(a->channel, b->channel);
}

/* ---- image sets */

static int32_t count_over_with_fetching(const struct memory_queue *mem,
                                        const struct job *member)
{
    int32_t count = 0;

    for (size_t i = 0; i < mem->row_count; i++) {
        const struct job *row = &mem->rows[i].job;

        count +=
            is_of_set(row, member) && queue_is_over_with_fetching(row) ? 1 : 0;
    }
    return count;
}

static enum status wake_set(struct memory_queue *mem, const struct job *member,
                            int64_t now_ms)
{
    int32_t over = count_over_with_fetching(mem, member);

    for (size_t i = 0; i < mem->row_count; i++) {
        struct job *row = &mem->rows[i].job;
        enum status status;

        if (!is_of_set(row, member) || row->state != JOB_READY ||
            row->stage != JOB_STAGE_REPLY || row->set_total == 0 ||
            over < row->set_total)
            continue;
        status = remember(mem, i);
        if (status != STATUS_OK)
            return status;
        row->due_ms = int64_min(row->due_ms, now_ms);
    }
    return STATUS_OK;
}

/* ---- put */

static enum status renew(struct memory_queue *mem, struct memory_row *row,
                         struct job *job)
{
    enum status status;

    job->id = row->job.id;
    if (!is_unfinished(&row->job) || row->job.reply_in_doubt ||
        row->job.token_spent)
        return STATUS_DUPLICATE;
    status = remember(mem, (size_t)(row - mem->rows));
    if (status != STATUS_OK)
        return status;
    memcpy(row->job.reply_token, job->reply_token, sizeof(job->reply_token));
    row->job.received_ms = job->received_ms;
    return STATUS_DUPLICATE;
}

static enum status insert(struct memory_queue *mem, struct job *job)
{
    struct memory_row *known = find_key(mem, job);
    void *rows = mem->rows;
    enum status status;

    if (known != NULL)
        return renew(mem, known, job);
    status = memory_reserve(&rows, &mem->row_capacity, mem->row_count,
                            sizeof(struct memory_row));
    if (status != STATUS_OK)
        return status;
    mem->rows = rows;
    job->id = ++mem->last_id;
    mem->rows[mem->row_count++] = (struct memory_row){.job = *job};
    return STATUS_OK;
}

/* A leased one is its owner's to end. */
static enum status withdraw_pictures(struct memory_queue *mem,
                                     const struct job *unsend, int64_t now_ms)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < mem->row_count && status == STATUS_OK; i++) {
        struct memory_row *row = &mem->rows[i];
        struct job after = row->job;

        if (!is_of_message(&row->job, unsend) || row->job.kind == JOB_UNSEND ||
            row->job.state == JOB_LEASED || row->job.state == JOB_DONE)
            continue;
        status = remember(mem, i);
        if (status != STATUS_OK)
            return status;
        queue_withdraw(&after, row->job.due_ms);
        after.attempts = row->job.attempts;
        *row = (struct memory_row){.job = after};
        status = wake_set(mem, &row->job, now_ms);
    }
    return status;
}

static enum status memory_put(struct queue *queue, struct job *job,
                              int64_t now_ms, int64_t lease_ms)
{
    struct memory_queue *mem = memory_of(queue);
    enum status status;
    bool withdrawn;

    if (!mem->in_transaction)
        return STATUS_BUG;
    job->state = lease_ms > 0 ? JOB_LEASED : JOB_READY;
    job->attempts = lease_ms > 0 ? 1 : 0;
    job->claim = job->attempts;
    job->due_ms = now_ms + lease_ms;
    withdrawn = job->kind != JOB_UNSEND && is_unsent(mem, job);
    if (withdrawn)
        queue_withdraw(job, now_ms);
    status = insert(mem, job);
    if (status == STATUS_OK && job->kind == JOB_UNSEND)
        status = withdraw_pictures(mem, job, now_ms);
    if (status == STATUS_OK && withdrawn)
        status = wake_set(mem, job, now_ms);
    return status;
}

/* ---- claim and lease */

static enum status lease(struct memory_queue *mem, struct memory_row *row,
                         int64_t until_ms, struct queue_lease *out)
{
    enum status status = remember(mem, (size_t)(row - mem->rows));

    if (status != STATUS_OK)
        return status;
    row->job.state = JOB_LEASED;
    row->job.attempts++;
    row->job.claim++;
    row->job.due_ms = until_ms;
    *out = (struct queue_lease){.job = row->job};
    if (row->messages == NULL)
        return STATUS_OK;
    out->messages = strdup(row->messages);
    return out->messages != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static struct memory_row *oldest_due(struct memory_queue *mem, int64_t now_ms)
{
    struct memory_row *oldest = NULL;

    for (size_t i = 0; i < mem->row_count; i++) {
        struct memory_row *row = &mem->rows[i];

        if (is_unfinished(&row->job) && row->job.due_ms <= now_ms &&
            (oldest == NULL || row->job.due_ms < oldest->job.due_ms))
            oldest = row;
    }
    return oldest;
}

/* Adds the rest of the set of leases[0]. */
static enum status lease_set(struct memory_queue *mem, int64_t now_ms,
                             int64_t until_ms, struct queue_lease *leases,
                             size_t *count)
{
    enum status status = STATUS_OK;

    for (size_t i = 0;
         i < mem->row_count && status == STATUS_OK && *count < SET_TOTAL_MAX;
         i++) {
        struct job *row = &mem->rows[i].job;

        if (!is_of_set(row, &leases[0].job) || row->stage != JOB_STAGE_REPLY ||
            !is_unfinished(row) ||
            (row->state == JOB_LEASED && row->due_ms > now_ms))
            continue;
        status = lease(mem, &mem->rows[i], until_ms, &leases[*count]);
        (*count)++;
    }
    queue_sort_set(leases, *count);
    return status;
}

static enum status memory_claim(struct queue *queue, int64_t now_ms,
                                int64_t lease_ms, struct queue_lease *leases,
                                size_t max, size_t *count)
{
    struct memory_queue *mem = memory_of(queue);
    struct memory_row *row;
    enum status status = STATUS_OK;

    while (*count < max && status == STATUS_OK &&
           (row = oldest_due(mem, now_ms)) != NULL) {
        size_t more = 1;

        status = lease(mem, row, now_ms + lease_ms, &leases[*count]);
        if (status == STATUS_OK && queue_is_parked_member(&row->job))
            status = lease_set(mem, now_ms, now_ms + lease_ms, leases + *count,
                               &more);
        *count += more;
    }
    while (status != STATUS_OK && *count > 0)
        free(leases[--*count].messages);
    return status;
}

static enum status memory_extend(struct queue *queue, const int64_t *ids,
                                 size_t count, int64_t until_ms)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < count; i++) {
        struct memory_row *row = find_id(mem, ids[i]);
        enum status status;

        if (row == NULL || row->job.state != JOB_LEASED)
            continue;
        status = remember(mem, (size_t)(row - mem->rows));
        if (status != STATUS_OK)
            return status;
        row->job.due_ms = until_ms;
    }
    return STATUS_OK;
}

/* ---- the budget of pushes */

/* True if this update begins a push that counts. */
static bool push_is_new(const struct memory_queue *mem, const struct job *row,
                        const struct job *job)
{
    if (job->stage != JOB_STAGE_PUSH || job->push_key[0] == '\0' ||
        row->push_key[0] != '\0')
        return false;
    for (size_t i = 0; i < mem->row_count; i++) {
        if (is_of_set(&mem->rows[i].job, row) &&
            str_eq(mem->rows[i].job.push_key, job->push_key))
            return false;
    }
    return true;
}

static enum status find_count(struct memory_queue *mem, const char *channel,
                              int64_t now_ms, struct memory_push_count **found)
{
    struct memory_push_count fresh = {0};
    void *rows = mem->pushes.rows;
    enum status status;

    queue_month(now_ms, fresh.month);
    (void)str_copy(fresh.channel, sizeof(fresh.channel), channel);
    for (size_t i = 0; i < mem->pushes.count; i++) {
        *found = &mem->pushes.rows[i];
        if (str_eq((*found)->channel, channel) &&
            str_eq((*found)->month, fresh.month))
            return STATUS_OK;
    }
    status = memory_reserve(&rows, &mem->pushes.capacity, mem->pushes.count,
                            sizeof(fresh));
    if (status != STATUS_OK)
        return status;
    mem->pushes.rows = rows;
    *found = &mem->pushes.rows[mem->pushes.count++];
    **found = fresh;
    return STATUS_OK;
}

static enum status count_push(struct memory_queue *mem, const char *channel,
                              int64_t budget, int64_t now_ms)
{
    struct memory_push_count *count = NULL;
    enum status status = find_count(mem, channel, now_ms, &count);

    if (status != STATUS_OK)
        return status;
    if (budget > 0 && count->pushes >= budget)
        return STATUS_OVER_BUDGET;
    count->pushes++;
    return STATUS_OK;
}

/* ---- update */

static bool is_over(const struct job *job)
{
    return job->state == JOB_DONE || job->state == JOB_DEAD;
}

/* NULL where there are to be none. */
static enum status next_messages(struct memory_queue *mem,
                                 const struct memory_row *row,
                                 const struct job *job,
                                 const struct queue_extra *extra,
                                 const char **messages)
{
    bool is_kept =
        !is_over(job) || (job->state == JOB_DEAD && job->push_key[0] != '\0');

    *messages = is_kept ? row->messages : NULL;
    if (!is_kept || extra->messages == NULL)
        return STATUS_OK;
    *messages = memory_keep(mem, extra->messages, strlen(extra->messages));
    return *messages != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static void write_row(struct memory_row *row, struct job *job,
                      const struct queue_extra *extra)
{
    struct job changed = *job;

    memcpy(&changed, &row->job, offsetof(struct job, state)); /* what came in */
    if (extra->adopt_token) {
        memcpy(changed.reply_token, job->reply_token, sizeof(job->reply_token));
        changed.received_ms = job->received_ms;
    }
    if (changed.state == JOB_LEASED) {
        changed.due_ms = int64_max(row->job.due_ms, job->due_ms);
        memcpy(job->reply_token, changed.reply_token, sizeof(job->reply_token));
        job->received_ms = changed.received_ms;
    }
    if (changed.state == JOB_DONE)
        queue_forget_sender(&changed);
    row->job = changed;
}

static enum status memory_update(struct queue *queue, struct job *job,
                                 const struct queue_extra *extra,
                                 int64_t now_ms)
{
    struct memory_queue *mem = memory_of(queue);
    struct memory_row *row = find_id(mem, job->id);
    bool was_fetching;
    enum status status;

    if (!mem->in_transaction)
        return STATUS_BUG;
    if (row == NULL || row->job.state != JOB_LEASED ||
        row->job.claim != job->claim)
        return job->kind != JOB_UNSEND && job->state != JOB_DONE &&
                       is_unsent(mem, job)
                   ? STATUS_GONE
                   : STATUS_LEASE_LOST;
    if (job->state != JOB_DONE && row->job.kind != JOB_UNSEND &&
        is_unsent(mem, &row->job))
        return STATUS_GONE;
    if (push_is_new(mem, &row->job, job)) {
        status = count_push(mem, row->job.channel, extra->push_budget, now_ms);
        if (status != STATUS_OK)
            return status;
    }
    status = remember(mem, (size_t)(row - mem->rows));
    if (status != STATUS_OK)
        return status;
    was_fetching = row->job.stage == JOB_STAGE_FETCH;
    status = next_messages(mem, row, job, extra, &row->messages);
    if (status != STATUS_OK)
        return status;
    write_row(row, job, extra);
    return was_fetching && queue_is_over_with_fetching(&row->job)
               ? wake_set(mem, &row->job, now_ms)
               : STATUS_OK;
}

/* ---- chores */

static enum status memory_reap(struct queue *queue, int64_t now_ms,
                               size_t *count)
{
    (void)now_ms;
    (void)count;
    return memory_of(queue)->in_transaction ? STATUS_OK : STATUS_BUG;
}

static bool is_too_old(const struct job *row, const struct queue_keep *keep,
                       int64_t now_ms)
{
    if (row->id == 0 || is_unfinished(row))
        return false;
    return row->received_ms < queue_kept_since_ms(now_ms, row->state == JOB_DONE
                                                              ? keep->done_ms
                                                              : keep->dead_ms);
}

static enum status memory_purge(struct queue *queue,
                                const struct queue_keep *keep, int64_t now_ms,
                                size_t max, size_t *count)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < mem->row_count && *count < max; i++) {
        struct job *row = &mem->rows[i].job;
        enum status status;

        if (!is_too_old(row, keep, now_ms))
            continue;
        status = remember(mem, i);
        if (status != STATUS_OK)
            return status;
        row->id = 0;
        (*count)++;
    }
    memory_bodies_purge(mem, queue_kept_since_ms(now_ms, keep->done_ms));
    return STATUS_OK;
}

/* ---- looks */

static enum status memory_next_due(struct queue *queue, int64_t *due_ms)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < mem->row_count; i++) {
        if (is_unfinished(&mem->rows[i].job))
            *due_ms = int64_min(*due_ms, mem->rows[i].job.due_ms);
    }
    return STATUS_OK;
}

static enum status memory_get(struct queue *queue, int64_t id, struct job *job)
{
    const struct memory_row *row =
        id > 0 ? find_id(memory_of(queue), id) : NULL;

    if (row == NULL)
        return STATUS_NOT_FOUND;
    *job = row->job;
    return STATUS_OK;
}

static bool is_of_filter(const struct job *job,
                         const struct queue_filter *filter)
{
    return job->id != 0 && job->id < filter->before_id &&
           job->received_ms >= filter->since_ms &&
           (filter->state < 0 || (int)job->state == filter->state) &&
           (filter->outcome < 0 || (int)job->outcome == filter->outcome) &&
           (filter->channel[0] == '\0' ||
            str_eq(job->channel, filter->channel)) &&
           (filter->message_id[0] == '\0' ||
            str_eq(job->message_id, filter->message_id)) &&
           !(filter->pictures_only && job->kind == JOB_UNSEND);
}

/* Rows are in the order of their ids. */
static enum status memory_list(struct queue *queue,
                               const struct queue_filter *filter,
                               struct job *jobs, size_t max, size_t *count)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = mem->row_count; i > 0 && *count < max; i--) {
        const struct job *row = &mem->rows[i - 1].job;

        if (is_of_filter(row, filter))
            jobs[(*count)++] = *row;
    }
    return STATUS_OK;
}

static enum status memory_current(struct queue *queue, int64_t since_ms,
                                  int64_t above_id, int64_t *ids, size_t max,
                                  size_t *count)
{
    const struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < mem->row_count && *count < max; i++) {
        const struct job *job = &mem->rows[i].job;

        if (job->id > above_id &&
            (job->state < JOB_DONE || job->received_ms >= since_ms))
            ids[(*count)++] = job->id;
    }
    return STATUS_OK;
}

/* ---- by hand */

static enum status memory_requeue(struct queue *queue, int64_t id,
                                  int64_t now_ms)
{
    struct memory_queue *mem = memory_of(queue);
    struct memory_row *row = id > 0 ? find_id(mem, id) : NULL;
    enum status status;

    if (!mem->in_transaction)
        return STATUS_BUG;
    if (row == NULL || row->job.state != JOB_DEAD)
        return STATUS_NOT_FOUND;
    status = remember(mem, (size_t)(row - mem->rows));
    if (status != STATUS_OK)
        return status;
    row->job.state = JOB_READY;
    row->job.stage =
        row->job.push_key[0] != '\0' ? JOB_STAGE_PUSH : JOB_STAGE_FETCH;
    row->job.outcome = JOB_OUTCOME_NONE;
    row->job.attempts = 0;
    row->job.due_ms = now_ms;
    row->job.received_ms = now_ms;
    row->job.reply_in_doubt = false;
    row->job.token_spent = true;
    return STATUS_OK;
}

static enum status memory_drop(struct queue *queue, int64_t id,
                               const char *reason, int64_t now_ms)
{
    struct memory_queue *mem = memory_of(queue);
    struct memory_row *row = id > 0 ? find_id(mem, id) : NULL;
    enum status status;

    if (!mem->in_transaction)
        return STATUS_BUG;
    if (row == NULL || !is_unfinished(&row->job))
        return STATUS_NOT_FOUND;
    status = remember(mem, (size_t)(row - mem->rows));
    if (status != STATUS_OK)
        return status;
    row->job.state = JOB_DEAD;
    row->job.outcome = JOB_OUTCOME_DEAD;
    row->job.due_ms = now_ms;
    (void)str_copy(row->job.reason, sizeof(row->job.reason), reason);
    if (row->job.push_key[0] == '\0')
        row->messages = NULL;
    return wake_set(mem, &row->job, now_ms);
}

static enum status memory_stats(struct queue *queue, struct queue_stats *stats)
{
    struct memory_queue *mem = memory_of(queue);

    for (size_t i = 0; i < mem->row_count; i++) {
        const struct job *row = &mem->rows[i].job;

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
    memory_bodies_stats(mem, stats);
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
    .list = memory_list,
    .current = memory_current,
    .requeue = memory_requeue,
    .drop = memory_drop,
    .stats = memory_stats,
    .purge = memory_purge,
    .body_put = memory_body_put,
    .body_claim = memory_body_claim,
    .body_end = memory_body_end,
    .body_next_due = memory_body_next_due,
};
