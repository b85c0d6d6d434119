/*
 * queue.c: finds the backend by the scheme of the URL, and checks arguments
 * once for all of them.
 */
#include "queue.h"

#include "queue_backend.h"

static const struct queue_ops *const backends[] = {
    &queue_sqlite_ops,
    &queue_memory_ops,
};

static const struct queue_ops *find_backend(const char *url, size_t scheme_len)
{
    for (size_t i = 0; i < ARRAY_COUNT(backends); i++) {
        const char *scheme = backends[i]->scheme;

        if (strlen(scheme) == scheme_len &&
            memcmp(scheme, url, scheme_len) == 0)
            return backends[i];
    }
    return NULL;
}

enum status queue_open(struct queue **out, const char *url, char *why,
                       size_t why_size)
{
    size_t scheme_len = strcspn(url, ":");
    const struct queue_ops *ops = find_backend(url, scheme_len);
    enum status status;

    if (ops == NULL || url[scheme_len] != ':') {
        (void)snprintf(why, why_size,
                       "%s: not a queue; use sqlite:PATH or memory:", url);
        return STATUS_BAD_CONFIG;
    }
    status = ops->open(out, url + scheme_len + 1);
    if (status == STATUS_BAD_VERSION)
        (void)snprintf(why, why_size,
                       "%s: made by a newer darkroom or another program", url);
    else if (status != STATUS_OK)
        (void)snprintf(why, why_size, "%s: %s", url, status_text(status));
    return status;
}

void queue_close(struct queue *queue)
{
    if (queue != NULL)
        queue->ops->close(queue);
}

enum status queue_begin(struct queue *queue)
{
    return queue->ops->begin(queue);
}

enum status queue_commit(struct queue *queue)
{
    return queue->ops->commit(queue);
}

void queue_rollback(struct queue *queue)
{
    queue->ops->rollback(queue);
}

/* ---- arguments */

static bool ends_within(const char *s, size_t size)
{
    return memchr(s, '\0', size) != NULL;
}

static bool in_range(int value, int max)
{
    return value >= 0 && value <= max;
}

static bool origin_is_sound(const struct job *job)
{
    return ends_within(job->channel, sizeof(job->channel)) &&
           ends_within(job->event_id, sizeof(job->event_id)) &&
           ends_within(job->message_id, sizeof(job->message_id)) &&
           ends_within(job->reply_token, sizeof(job->reply_token)) &&
           ends_within(job->source_id, sizeof(job->source_id)) &&
           ends_within(job->quote_token, sizeof(job->quote_token)) &&
           ends_within(job->read_token, sizeof(job->read_token)) &&
           ends_within(job->set_id, sizeof(job->set_id)) &&
           ends_within(job->external_url, sizeof(job->external_url)) &&
           job->channel[0] != '\0' && job->event_id[0] != '\0' &&
           in_range((int)job->kind, JOB_UNSEND) &&
           in_range((int)job->source, JOB_SOURCE_ROOM) &&
           in_range(job->set_index, SET_TOTAL_MAX) &&
           in_range(job->set_total, SET_TOTAL_MAX);
}

static bool progress_is_sound(const struct job *job)
{
    return in_range((int)job->state, JOB_DEAD) &&
           in_range((int)job->stage, JOB_STAGE_FAILURE) &&
           in_range((int)job->outcome, JOB_OUTCOME_REMOVED) &&
           in_range((int)job->last_status, STATUS__COUNT - 1) &&
           job->attempts >= 0 &&
           ends_within(job->push_key, sizeof(job->push_key)) &&
           ends_within(job->reason, sizeof(job->reason)) &&
           ends_within(job->original_name, sizeof(job->original_name)) &&
           ends_within(job->preview_name, sizeof(job->preview_name));
}

enum status queue_put(struct queue *queue, struct job *job, int64_t now_ms,
                      int64_t lease_ms)
{
    if (lease_ms < 0 || !origin_is_sound(job) || !progress_is_sound(job))
        return STATUS_BUG;
    return queue->ops->put(queue, job, now_ms, lease_ms);
}

enum status queue_claim(struct queue *queue, int64_t now_ms, int64_t lease_ms,
                        struct queue_lease *leases, size_t max, size_t *count)
{
    *count = 0;
    if (lease_ms <= 0)
        return STATUS_BUG;
    if (max == 0)
        return STATUS_OK;
    return queue->ops->claim(queue, now_ms, lease_ms, leases, max, count);
}

enum status queue_extend(struct queue *queue, const int64_t *ids, size_t count,
                         int64_t until_ms)
{
    if (count == 0)
        return STATUS_OK;
    return queue->ops->extend(queue, ids, count, until_ms);
}

static bool extra_is_sound(const struct queue_extra *extra,
                           const struct job *job)
{
    if (extra->messages != NULL &&
        strnlen(extra->messages, MESSAGES_MAX_BYTES + 1) > MESSAGES_MAX_BYTES)
        return false;
    if (extra->adopt_token &&
        !ends_within(job->reply_token, sizeof(job->reply_token)))
        return false;
    return extra->push_budget >= 0;
}

enum status queue_update(struct queue *queue, struct job *job,
                         const struct queue_extra *extra, int64_t now_ms)
{
    static const struct queue_extra nothing = {0};

    if (extra == NULL)
        extra = &nothing;
    if (job->id <= 0 || !progress_is_sound(job) || !extra_is_sound(extra, job))
        return STATUS_BUG;
    return queue->ops->update(queue, job, extra, now_ms);
}

enum status queue_reap(struct queue *queue, int64_t now_ms, size_t *count)
{
    *count = 0;
    return queue->ops->reap(queue, now_ms, count);
}

enum status queue_next_due(struct queue *queue, int64_t *due_ms)
{
    *due_ms = INT64_MAX;
    return queue->ops->next_due(queue, due_ms);
}

enum status queue_get(struct queue *queue, int64_t id, struct job *job)
{
    return queue->ops->get(queue, id, job);
}

enum status queue_list(struct queue *queue, const struct queue_filter *filter,
                       struct job *jobs, size_t max, size_t *count)
{
    *count = 0;
    if (max == 0)
        return STATUS_OK;
    return queue->ops->list(queue, filter, jobs, max, count);
}

enum status queue_current(struct queue *queue, int64_t since_ms,
                          int64_t above_id, int64_t *ids, size_t max,
                          size_t *count)
{
    *count = 0;
    if (max == 0)
        return STATUS_OK;
    return queue->ops->current(queue, since_ms, above_id, ids, max, count);
}

enum status queue_recent(struct queue *queue, struct job *jobs, size_t max,
                         size_t *count)
{
    struct queue_filter pictures = QUEUE_FILTER_ALL;

    pictures.pictures_only = true;
    return queue_list(queue, &pictures, jobs, max, count);
}

enum status queue_requeue(struct queue *queue, int64_t id, int64_t now_ms)
{
    return queue->ops->requeue(queue, id, now_ms);
}

enum status queue_drop(struct queue *queue, int64_t id, const char *reason,
                       int64_t now_ms)
{
    if (strnlen(reason, JOB_REASON_MAX + 1) > JOB_REASON_MAX)
        return STATUS_BUG;
    return queue->ops->drop(queue, id, reason, now_ms);
}

enum status queue_stats(struct queue *queue, struct queue_stats *stats)
{
    *stats = (struct queue_stats){0};
    return queue->ops->stats(queue, stats);
}

enum status queue_purge(struct queue *queue, const struct queue_keep *keep,
                        int64_t now_ms, size_t max, size_t *count)
{
    *count = 0;
    if (max == 0)
        return STATUS_OK;
    return queue->ops->purge(queue, keep, now_ms, max, count);
}

/* ---- bodies */

struct queue_body *queue_body_new(size_t ceiling)
{
    struct queue_body *body = calloc(1, sizeof(*body));

    if (body != NULL)
        buf_init(&body->body, ceiling);
    return body;
}

void queue_body_free(struct queue_body *body)
{
    if (body == NULL)
        return;
    buf_release(&body->body);
    free(body);
}

enum status queue_body_put(struct queue *queue, struct queue_body *body,
                           int64_t now_ms)
{
    if (!ends_within(body->channel, sizeof(body->channel)) ||
        !ends_within(body->signature, sizeof(body->signature)) ||
        body->channel[0] == '\0' || body->body.len > WEBHOOK_BODY_MAX_BYTES)
        return STATUS_BUG;
    return queue->ops->body_put(queue, body, now_ms);
}

enum status queue_body_claim(struct queue *queue, int64_t now_ms,
                             int64_t lease_ms, struct queue_body **body)
{
    *body = NULL;
    if (lease_ms <= 0)
        return STATUS_BUG;
    return queue->ops->body_claim(queue, now_ms, lease_ms, body);
}

enum status queue_body_end(struct queue *queue, int64_t id,
                           enum queue_body_end end, int64_t due_ms,
                           const char *why)
{
    if (id <= 0 || !in_range((int)end, QUEUE_BODY_DROP))
        return STATUS_BUG;
    return queue->ops->body_end(queue, id, end, due_ms, why);
}

enum status queue_body_next_due(struct queue *queue, int64_t *due_ms)
{
    *due_ms = INT64_MAX;
    return queue->ops->body_next_due(queue, due_ms);
}

/* ---- rules for the backends */

int64_t queue_kept_since_ms(int64_t now_ms, int64_t keep_ms)
{
    return keep_ms > 0 ? now_ms - keep_ms : INT64_MIN;
}

void queue_forget_sender(struct job *job)
{
    job->reply_token[0] = '\0';
    job->source_id[0] = '\0';
    job->quote_token[0] = '\0';
    job->read_token[0] = '\0';
    job->external_url[0] = '\0';
}

void queue_withdraw(struct job *job, int64_t now_ms)
{
    queue_forget_sender(job);
    job->state = JOB_DONE;
    job->outcome = JOB_OUTCOME_WITHDRAWN;
    job->attempts = 0;
    job->due_ms = now_ms;
    job->last_status = STATUS_GONE;
    (void)str_copy(job->reason, sizeof(job->reason), status_text(STATUS_GONE));
}

bool queue_is_over_with_fetching(const struct job *job)
{
    return job->stage != JOB_STAGE_FETCH || job->state == JOB_DONE ||
           job->state == JOB_DEAD;
}

bool queue_is_parked_member(const struct job *job)
{
    return job->set_id[0] != '\0' && job->stage == JOB_STAGE_REPLY;
}

static int compare_members(const void *a, const void *b)
{
    const struct job *x = &((const struct queue_lease *)a)->job;
    const struct job *y = &((const struct queue_lease *)b)->job;

    if (x->set_index != y->set_index)
        return x->set_index < y->set_index ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

void queue_sort_set(struct queue_lease *leases, size_t count)
{
    qsort(leases, count, sizeof(*leases), compare_members);
}

void queue_month(int64_t now_ms, char month[QUEUE_MONTH_SIZE])
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm = {0};

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(month, QUEUE_MONTH_SIZE, "%Y-%m", &tm);
}
