/*
 * forward.c: a fixed number of tasks, each with at most one body.
 *
 *   FREE ─body claimed─▶ POSTING ─answer─▶ ENDING ─recorded─▶ FREE
 *                           └── drain's time is up ──▲
 *
 *   POSTING  the request is under way
 *   ENDING   what became of it is being recorded by the queue thread, which
 *            then may hand over the next body
 *
 * A task needs no allocation, and nothing waits here. Order and leases are the
 * queue's.
 *
 * A bot that is down for long: each body would be tried once more when its turn
 * comes, though it is too old by then, and with timeouts the backlog would grow
 * for ever. So while a bot is not there, bodies beyond their life are dropped
 * untried. One that answers with an error of its own is there: it may be that
 * it cannot stand this one body, behind which the others have become as old.
 */
#include "forward.h"

#include "crypto.h"
#include "log.h"
#include "metrics.h"

#define USER_AGENT "User-Agent: LineBotWebhook/2.0 (darkroom)"
#define CONTENT_TYPE "Content-Type: application/json; charset=utf-8"
#define SIGNATURE_HEADER "X-Line-Signature: "

/* A new body may come before the loop has told of the one that made room. */
#define TASKS_MAX ((size_t)2 * FORWARD_ROOM_MAX)

struct task {
    struct forward *forward;
    struct queue_body *body;        /* NULL: FREE */
    struct http_transfer *transfer; /* POSTING */
    struct queue_body_change change;
};

struct forward {
    struct forward_parts parts;
    struct queue_thread *queue;
    struct task tasks[TASKS_MAX];
    size_t load;
    /* Names of the channels whose bot was not there at the last try. */
    char failing[CHANNELS_MAX][CHANNEL_NAME_MAX + 1];
    size_t failing_count;
    bool draining;
    struct loop_timer drain_timer;
    void (*on_idle)(void *arg);
    void *on_idle_arg;
};

/* ---- the end of a task */

static void tell_idle(struct forward *forward)
{
    void (*on_idle)(void *arg) = forward->on_idle;

    if (!forward->draining || forward->load > 0 || on_idle == NULL)
        return;
    forward->on_idle = NULL;
    loop_timer_cancel(forward->parts.loop, &forward->drain_timer);
    on_idle(forward->on_idle_arg);
}

/* LEASE_LOST: this worker was too slow, and another one has the body. All other
 * failures are the queue thread's to repeat. */
static void on_recorded(struct queue_body_change *change, enum status status)
{
    struct task *task = CONTAINER_OF(change, struct task, change);
    struct forward *forward = task->forward;

    if (status != STATUS_OK)
        LOG(WARN, "forward_unrecorded", LOG_INT("body", change->id),
            LOG_STR("channel", task->body->channel),
            LOG_STR("reason", status_name(status)));
    queue_body_free(task->body);
    task->body = NULL;
    forward->load--;
    tell_idle(forward);
}

static void end(struct task *task, enum queue_body_end how, int64_t due_ms,
                const char *why)
{
    static const enum metrics_counter counters[] = {
        [QUEUE_BODY_DONE] = METRIC_FORWARD_DELIVERED,
        [QUEUE_BODY_RETRY] = METRIC_FORWARD_RETRY,
        [QUEUE_BODY_DROP] = METRIC_FORWARD_DROPPED,
    };
    struct queue_body_change *change = &task->change;

    METRIC_ADD(counters[how], 1);
    *change = (struct queue_body_change){.id = task->body->id,
                                         .end = how,
                                         .due_ms = due_ms,
                                         .done = on_recorded};
    (void)snprintf(change->why, sizeof(change->why), "%s", why);
    queue_thread_end_body(task->forward->queue, change);
}

static void drop(struct task *task, const char *why)
{
    LOG(ERROR, "forward_dropped", LOG_INT("body", task->body->id),
        LOG_STR("channel", task->body->channel),
        LOG_INT("bytes", task->body->body.len),
        LOG_INT("attempts", task->body->attempts), LOG_STR("text", why));
    end(task, QUEUE_BODY_DROP, 0, why);
}

static void hand_back(struct task *task)
{
    end(task, QUEUE_BODY_RETRY, wall_ms(), "");
}

static int64_t life_end_ms(const struct task *task)
{
    return task->body->received_ms + FORWARD_LIFE_MS;
}

/* Again later, if its life allows. */
static void retry_or_drop(struct task *task, const char *why, int64_t hint_ms)
{
    int64_t now_ms = wall_ms(), delay_ms;
    uint32_t random = 0;

    /* without it, just no jitter */
    (void)!crypto_random(&random, sizeof(random));
    delay_ms = job_backoff_ms(task->body->attempts, random, hint_ms);
    if (now_ms + delay_ms >= life_end_ms(task)) {
        drop(task, why);
        return;
    }
    LOG(WARN, "forward_failed", LOG_INT("body", task->body->id),
        LOG_STR("channel", task->body->channel),
        LOG_INT("attempts", task->body->attempts), LOG_STR("text", why),
        LOG_INT("retry_ms", delay_ms));
    end(task, QUEUE_BODY_RETRY, now_ms + delay_ms, "");
}

/* ---- a request */

/* The place of the name, or where the next one goes. */
static size_t find_failing(const struct forward *forward, const char *channel)
{
    size_t i = 0;

    while (i < forward->failing_count && !str_eq(forward->failing[i], channel))
        i++;
    return i;
}

static bool is_failing(const struct forward *forward, const char *channel)
{
    return find_failing(forward, channel) < forward->failing_count;
}

/* With more names than there is room for, one is as good as delivered. */
static void set_failing(struct forward *forward, const char *channel,
                        bool failing)
{
    size_t i = find_failing(forward, channel);

    if (failing && i == forward->failing_count && i < CHANNELS_MAX) {
        (void)str_copy(forward->failing[i], sizeof(forward->failing[i]),
                       channel);
        forward->failing_count++;
    } else if (!failing && i < forward->failing_count) {
        forward->failing_count--;
        memmove(forward->failing[i], forward->failing[forward->failing_count],
                sizeof(forward->failing[i]));
    }
}

/* NULL if the channel, or its forward_url, was taken out of the settings. */
static const char *url_of(const struct config *config, const char *name)
{
    const struct config_channel *channel = config_channel(config, name);

    if (channel == NULL || channel->forward_url[0] == '\0')
        return NULL;
    return channel->forward_url;
}

/* No answer, or a gateway's word that it got none. */
static bool is_down(int http_status)
{
    return http_status == 0 || (http_status >= 502 && http_status <= 504);
}

/* The status of the head decides, even if the rest did not come: a bot that
 * said 200 has the body. */
static void on_done(void *arg, const struct http_result *result)
{
    struct task *task = arg;
    int http_status = result->head.status;
    bool delivered = http_status >= 200 && http_status < 300;
    char why[JOB_REASON_MAX + 1];

    task->transfer = NULL;
    set_failing(task->forward, task->body->channel, is_down(http_status));
    if (delivered) {
        LOG(INFO, "forwarded", LOG_INT("body", task->body->id),
            LOG_STR("channel", task->body->channel),
            LOG_INT("bytes", task->body->body.len),
            LOG_INT("attempts", task->body->attempts),
            LOG_INT("elapsed_ms", result->elapsed_ms));
        end(task, QUEUE_BODY_DONE, 0, "");
        return;
    }
    if (http_status != 0)
        (void)snprintf(why, sizeof(why), "HTTP %d", http_status);
    else
        (void)snprintf(why, sizeof(why), "%s", result->error);
    retry_or_drop(
        task, why,
        int64_min(int64_max(result->head.retry_after_s, 0), RETRY_AFTER_MAX_S) *
            1000);
}

static enum status post(struct task *task, const char *url)
{
    char signature[sizeof(SIGNATURE_HEADER) + SIGNATURE_MAX];
    const char *headers[] = {CONTENT_TYPE, USER_AGENT, signature, NULL};
    struct http_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = buf_str(&task->body->body),
        .body_len = task->body->body.len,
        .timeout_ms = FORWARD_TIMEOUT_MS,
        .max_bytes = FORWARD_ANSWER_MAX_BYTES,
        .arg = task,
        .on_done = on_done,
    };

    (void)snprintf(signature, sizeof(signature), "%s%s", SIGNATURE_HEADER,
                   task->body->signature);
    return http_start(task->forward->parts.http, &request, &task->transfer);
}

static void start(struct task *task, const struct config *config)
{
    const char *url = url_of(config, task->body->channel);
    enum status status;

    if (url == NULL) {
        drop(task, "the channel has no forward_url any more");
        return;
    }
    if (is_failing(task->forward, task->body->channel) &&
        wall_ms() >= life_end_ms(task)) {
        drop(task, "the bot behind did not take it within 20 minutes");
        return;
    }
    status = post(task, url);
    if (status != STATUS_OK)
        retry_or_drop(task, status_text(status), 0);
}

/* ---- bodies from the queue */

static void on_body(void *arg, struct queue_body *body)
{
    struct forward *forward = arg;
    const struct config *config = config_live_hold(forward->parts.config);
    size_t i = 0;

    while (forward->tasks[i].body != NULL) /* one is: TASKS_MAX */
        i++;
    forward->tasks[i].body = body;
    forward->load++;
    if (forward->draining)
        hand_back(&forward->tasks[i]);
    else
        start(&forward->tasks[i], config);
    config_drop(config);
}

void forward_start(struct forward *forward, struct queue_thread *queue)
{
    forward->queue = queue;
    queue_thread_take_bodies(queue, FORWARD_ROOM_MAX, on_body, forward);
}

/* ---- draining */

static void on_drain_over(void *arg)
{
    struct forward *forward = arg;

    for (size_t i = 0; i < TASKS_MAX; i++) {
        struct task *task = &forward->tasks[i];

        if (task->transfer == NULL)
            continue;
        http_cancel(task->transfer);
        task->transfer = NULL;
        hand_back(task);
    }
}

void forward_drain(struct forward *forward, void (*on_idle)(void *arg),
                   void *arg)
{
    struct loop *loop = forward->parts.loop;

    forward->draining = true;
    forward->on_idle = on_idle;
    forward->on_idle_arg = arg;
    if (loop_timer_set(loop, &forward->drain_timer,
                       loop_now_ms(loop) + FORWARD_DRAIN_MS) != STATUS_OK)
        on_drain_over(forward);
    tell_idle(forward);
}

size_t forward_load(const struct forward *forward)
{
    return forward->load;
}

/* ---- */

enum status forward_new(struct forward **out, const struct forward_parts *parts)
{
    struct forward *forward = calloc(1, sizeof(*forward));

    if (forward == NULL)
        return STATUS_NO_MEMORY;
    forward->parts = *parts;
    for (size_t i = 0; i < TASKS_MAX; i++)
        forward->tasks[i].forward = forward;
    loop_timer_init(&forward->drain_timer, on_drain_over, forward);
    *out = forward;
    return STATUS_OK;
}

void forward_free(struct forward *forward)
{
    if (forward == NULL)
        return;
    for (size_t i = 0; i < TASKS_MAX; i++)
        queue_body_free(forward->tasks[i].body);
    loop_timer_cancel(forward->parts.loop, &forward->drain_timer);
    free(forward);
}
