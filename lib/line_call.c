/*
 * line_call.c: the steps of a call, and the api that all calls belong to.
 *
 *   start ─▶ turn ─▶ token ─▶ request ─▶ on_answer ─▶ finish, gone
 *             ▲                  │ 401      └─ follow ─▶ turn
 *             └── first token ───┘
 *
 * The timer runs while a turn or a token is waited for; a request has its own
 * time in http.c. It is always set (to NEVER_MS when it waits for nothing),
 * because setting it again cannot fail then (loop.h).
 *
 * A step that fails before there is an answer makes one up, with no HTTP status
 * and nothing sent, so that on_answer is the only end.
 */
#include "line_call.h"

#include "config_live.h"
#include "log.h"

#define URL_MAX (CONFIG_VALUE_MAX + MESSAGE_ID_MAX + 64)
#define NEVER_MS INT64_MAX
#define WEBHOOK_PATH "/v2/bot/channel/webhook/endpoint"

/* Limits per channel: line-platform 4.3. What is not named there has the limit
 * of most. */
static const struct endpoint {
    const char *method;
    const char *path; /* the content's is between its two parts */
    const char *path_end;
    bool at_data_host;
    int64_t count, period_ms;
} endpoints[] = {
    [LINE_CONTENT] = {"GET", "/v2/bot/message/", "/content", true, 2000, 1000},
    [LINE_REPLY] = {"POST", "/v2/bot/message/reply", "", false, 2000, 1000},
    [LINE_PUSH] = {"POST", "/v2/bot/message/push", "", false, 2000, 1000},
    [LINE_QUOTA] = {"GET", "/v2/bot/message/quota", "", false, 2000, 1000},
    [LINE_CONSUMPTION] = {"GET", "/v2/bot/message/quota/consumption", "", false,
                          2000, 1000},
    [LINE_LOADING] = {"POST", "/v2/bot/chat/loading/start", "", false, 100,
                      1000},
    [LINE_MARK_AS_READ] = {"POST", "/v2/bot/chat/markAsRead", "", false, 2000,
                           1000},
    [LINE_BOT_INFO] = {"GET", "/v2/bot/info", "", false, 2000, 1000},
    [LINE_WEBHOOK_GET] = {"GET", WEBHOOK_PATH, "", false, 1000, 60000},
    [LINE_WEBHOOK_SET] = {"PUT", WEBHOOK_PATH, "", false, 1000, 60000},
    [LINE_WEBHOOK_TEST] = {"POST", "/v2/bot/channel/webhook/test", "", false,
                           60, 3600000},
};

/* By name: settings that are read again do not give LINE's limits anew. */
struct turns {
    struct turns *next;
    char channel[CHANNEL_NAME_MAX + 1];
    struct bucket buckets[LINE_ENDPOINTS];
};

struct line_api {
    struct loop *loop;
    struct http *http;
    struct line_tokens *tokens;
    char *api_url;
    char *data_api_url;
    struct turns *turns;
    TAILQ_HEAD(call_list, line_call) calls;
};

static int64_t now_ms(const struct line_call *call)
{
    return loop_now_ms(call->api->loop);
}

static void set_timer(struct line_call *call, int64_t due_ms)
{
    (void)!loop_timer_set(call->api->loop, &call->timer, due_ms);
}

/* An answer of our own: there will be none from LINE. */
static void fail(struct line_call *call, enum status status, const char *words)
{
    struct http_result result = {
        .status = status,
        .head = {.content_length = -1, .retry_after_s = -1},
        .error = words,
    };

    call->on_answer(call, &result);
}

/* ---- the request */

static void on_head(void *arg, const struct http_head *head)
{
    struct line_call *call = arg;

    call->has_content = call->endpoint == LINE_CONTENT && head->status == 200;
    if (call->has_content && call->on_head != NULL)
        call->on_head(call->arg, head->content_length);
}

static enum http_body_answer on_body(void *arg, const char *bytes, size_t len)
{
    struct line_call *call = arg;

    if (call->has_content)
        return call->on_body(call->arg, bytes, len);
    /* What does not fit is not needed to judge. */
    if (buf_append(&call->answer, bytes, len) != STATUS_OK)
        return HTTP_BODY_ABORT;
    return HTTP_BODY_OK;
}

static void take_turn(struct line_call *call);

/* 401 means that the request had no effect, so it can be made again. */
static void on_transfer_done(void *arg, const struct http_result *result)
{
    struct line_call *call = arg;

    call->transfer = NULL;
    if (result->head.status == 401 && !call->renewed) {
        LOG(WARN, "token_refused", LOG_STR("channel", call->channel->name),
            LOG_STR("path", endpoints[call->endpoint].path),
            LOG_STR("request_id", result->head.request_id));
        call->renewed = true;
        call->refused = call->generation;
        call->refusal = result->head;
        take_turn(call);
        return;
    }
    call->on_answer(call, result);
}

static enum status send(struct line_call *call, const char *access_token)
{
    const struct endpoint *endpoint = &endpoints[call->endpoint];
    char url[URL_MAX], authorization[TOKEN_MAX + 32];
    char retry_key[RETRY_KEY_MAX + 32];
    const char *headers[] = {authorization, NULL, NULL, NULL};
    size_t header_count = 1;
    struct http_request request = {
        .method = endpoint->method,
        .url = url,
        .headers = headers,
        .body = call->body.data,
        .body_len = call->body.len,
        .timeout_ms = int64_max(call->deadline_ms - now_ms(call), 1),
        .max_bytes = call->max_bytes,
        .arg = call,
        .on_head = on_head,
        .on_body = on_body,
        .on_done = on_transfer_done,
    };

    (void)snprintf(url, sizeof(url), "%s%s%s%s",
                   endpoint->at_data_host ? call->api->data_api_url
                                          : call->api->api_url,
                   endpoint->path, call->message_id, endpoint->path_end);
    (void)snprintf(authorization, sizeof(authorization),
                   "Authorization: Bearer %s", access_token);
    (void)snprintf(retry_key, sizeof(retry_key), "X-Line-Retry-Key: %s",
                   call->retry_key);
    if (call->body.len > 0)
        headers[header_count++] = "Content-Type: application/json";
    if (call->endpoint == LINE_PUSH)
        headers[header_count] = retry_key;
    buf_clear(&call->answer);
    return http_start(call->api->http, &request, &call->transfer);
}

/* ---- the token */

/* There is no other token: then the refusal of the first is the answer. */
static void deliver_refusal(struct line_call *call)
{
    struct http_result result = {
        .status = STATUS_OK, .sent = true, .head = call->refusal, .error = ""};

    call->on_answer(call, &result);
}

static void have_token(struct line_call *call, enum status status,
                       const struct line_token *token)
{
    if (status == STATUS_UNAUTHORIZED && call->refused != 0) {
        deliver_refusal(call);
        return;
    }
    if (status != STATUS_OK) {
        fail(call, status, "no access token");
        return;
    }
    call->generation = token->generation;
    call->refused = 0;
    status = send(call, token->text);
    if (status != STATUS_OK)
        fail(call, status, "cannot start");
}

static void on_token(struct line_token_wait *wait, enum status status,
                     const struct line_token *token)
{
    struct line_call *call = CONTAINER_OF(wait, struct line_call, wait);

    call->waits = false;
    set_timer(call, NEVER_MS);
    have_token(call, status, token);
}

static void take_token(struct line_call *call)
{
    struct line_token token = {NULL, 0};
    enum status status;

    call->wait.done = on_token;
    status = line_token_get(call->api->tokens, call->channel, call->refused,
                            &call->wait, &token);
    call->waits = status == STATUS_AGAIN;
    if (call->waits)
        set_timer(call, call->deadline_ms);
    else
        have_token(call, status, &token);
}

/* ---- the turn */

static struct bucket *bucket_of(struct line_call *call)
{
    struct line_api *api = call->api;
    struct turns *turns = api->turns;

    while (turns != NULL && !str_eq(turns->channel, call->channel->name))
        turns = turns->next;
    if (turns == NULL) {
        turns = calloc(1, sizeof(*turns));
        if (turns == NULL)
            return NULL;
        (void)str_copy(turns->channel, sizeof(turns->channel),
                       call->channel->name);
        for (size_t i = 0; i < LINE_ENDPOINTS; i++)
            bucket_init(&turns->buckets[i],
                        int64_max(endpoints[i].count / LINE_POOL_SHARE, 1),
                        endpoints[i].period_ms);
        turns->next = api->turns;
        api->turns = turns;
    }
    return &turns->buckets[call->endpoint];
}

static void take_turn(struct line_call *call)
{
    struct bucket *bucket = bucket_of(call);
    int64_t left_ms = call->deadline_ms - now_ms(call), wait_us = 0;

    if (bucket == NULL)
        fail(call, STATUS_NO_MEMORY, "cannot start");
    else if (left_ms <= 0)
        fail(call, STATUS_TIMEOUT, "the call took too long");
    else if (!bucket_take(bucket, now_ms(call) * 1000, left_ms * 1000,
                          &wait_us))
        fail(call, STATUS_RATE_LIMITED,
             "held back: LINE would refuse more calls now");
    else if (wait_us > 0)
        set_timer(call, now_ms(call) + (wait_us + 999) / 1000);
    else
        take_token(call);
}

/* The first step, a turn that has come, or the end of patience. */
static void on_timer(void *arg)
{
    struct line_call *call = arg;

    set_timer(call, NEVER_MS);
    if (call->waits) {
        call->waits = false;
        line_token_cancel(&call->wait);
        fail(call, STATUS_TIMEOUT, "no access token in time");
    } else if (call->started_ms < 0) {
        call->started_ms = now_ms(call);
        take_turn(call);
    } else {
        take_token(call);
    }
}

/* ---- life of a call */

static void judge_answer(struct line_call *call,
                         const struct http_result *result)
{
    struct line_outcome outcome;

    call->judge(result, buf_str(&call->answer), call->answer.len, &outcome);
    line_call_finish(call, &outcome);
}

struct line_call *line_call_new(struct line_api *api,
                                const struct config_channel *channel,
                                enum line_endpoint endpoint,
                                line_judge_fn *judge, int64_t timeout_ms)
{
    struct line_call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->api = api;
    config_channel_hold(channel);
    call->channel = channel;
    call->endpoint = endpoint;
    call->judge = judge;
    call->on_answer = judge_answer;
    call->started_ms = -1;
    call->deadline_ms = now_ms(call) + timeout_ms;
    call->max_bytes = HTTP_RESPONSE_MAX_BYTES;
    buf_init(&call->body, MESSAGES_MAX_BYTES + 2 * SECRET_MAX);
    buf_init(&call->answer, HTTP_RESPONSE_MAX_BYTES);
    loop_timer_init(&call->timer, on_timer, call);
    TAILQ_INSERT_TAIL(&api->calls, call, link);
    return call;
}

void line_call_free(struct line_call *call)
{
    TAILQ_REMOVE(&call->api->calls, call, link);
    if (call->waits)
        line_token_cancel(&call->wait);
    if (call->transfer != NULL)
        http_cancel(call->transfer);
    loop_timer_cancel(call->api->loop, &call->timer);
    buf_release(&call->body);
    buf_release(&call->answer);
    config_channel_drop(call->channel);
    free(call);
}

enum status line_call_start(struct line_call *call, enum status status,
                            struct line_call **out)
{
    if (status == STATUS_OK)
        status = loop_timer_set(call->api->loop, &call->timer, now_ms(call));
    if (status == STATUS_OK)
        *out = call;
    else
        line_call_free(call);
    return status;
}

void line_call_finish(struct line_call *call, struct line_outcome *outcome)
{
    outcome->elapsed_ms = now_ms(call) - call->started_ms;
    call->on_done(call->arg, outcome);
    line_call_free(call);
}

void line_call_follow(struct line_call *call, enum line_endpoint endpoint,
                      line_answer_fn *on_answer)
{
    call->endpoint = endpoint;
    call->on_answer = on_answer;
    buf_clear(&call->body);
    take_turn(call);
}

void line_call_cancel(struct line_call *call)
{
    line_call_free(call);
}

void line_call_resume(struct line_call *call)
{
    if (call->transfer != NULL)
        http_resume(call->transfer);
}

/* ---- the api itself */

enum status line_api_new(struct line_api **out,
                         const struct line_api_options *options)
{
    struct line_tokens_options tokens = {
        .loop = options->loop,
        .http = options->http,
        .offload = options->offload,
        .api_url = options->api_url,
        .state_dir = options->state_dir,
    };
    struct line_api *api = calloc(1, sizeof(*api));
    enum status status = STATUS_NO_MEMORY;

    if (api == NULL)
        return STATUS_NO_MEMORY;
    TAILQ_INIT(&api->calls);
    api->loop = options->loop;
    api->http = options->http;
    api->api_url = strdup(options->api_url);
    api->data_api_url = strdup(options->data_api_url);
    if (api->api_url != NULL && api->data_api_url != NULL)
        status = line_tokens_new(&api->tokens, &tokens);
    if (status != STATUS_OK) {
        line_api_free(api);
        return status;
    }
    *out = api;
    return STATUS_OK;
}

void line_api_free(struct line_api *api)
{
    if (api == NULL)
        return;
    while (!TAILQ_EMPTY(&api->calls))
        line_call_free(TAILQ_FIRST(&api->calls));
    while (api->turns != NULL) {
        struct turns *turns = api->turns;

        api->turns = turns->next;
        free(turns);
    }
    line_tokens_free(api->tokens);
    free(api->api_url);
    free(api->data_api_url);
    free(api);
}
