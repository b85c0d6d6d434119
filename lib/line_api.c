/*
 * line_api.c: what is particular to each call: its body, and what its answer
 * leads to. How a call is made is in line_call.c, what an answer means in
 * line_judge.c.
 *
 *   push ─429─▶ quota ─limited─▶ consumption ─▶ OVER_QUOTA or RATE_LIMITED
 */
#include "line_api.h"

#include "json.h"
#include "line_call.h"
#include "log.h"
#include "metrics.h"

#define LOADING_STEP_S 5 /* line-platform 6 */
#define LOADING_MAX_S 60

/* ---- content */

enum status line_content_get(struct line_api *api,
                             const struct line_content_request *request,
                             struct line_call **out)
{
    struct line_call *call =
        line_call_new(api, request->channel, LINE_CONTENT, line_judge_content,
                      request->timeout_ms);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    call->max_bytes = request->max_bytes;
    call->arg = request->arg;
    call->on_head = request->on_head;
    call->on_body = request->on_body;
    call->on_done = request->on_done;
    return line_call_start(call,
                           str_copy(call->message_id, sizeof(call->message_id),
                                    request->message_id)
                               ? STATUS_OK
                               : STATUS_BUG,
                           out);
}

/* ---- reply and push */

/* {"key":"value"} */
static enum status write_pair(struct buf *body, const char *key,
                              const char *value)
{
    struct json_out out;

    json_out_init(&out, body);
    json_object(&out);
    json_key(&out, key);
    json_str(&out, value);
    json_object_end(&out);
    return json_out_finish(&out);
}

/* {"key":"value","messages":[...]}: the array is put in as it is, so that a
 * repeated push has the same body to the byte. */
static enum status write_messages(struct buf *body, const char *key,
                                  const char *value, const char *messages,
                                  size_t len)
{
    enum status status = write_pair(body, key, value);

    if (status != STATUS_OK)
        return status;
    body->data[--body->len] = '\0'; /* the brace */
    status = buf_append_str(body, ",\"messages\":");
    if (status == STATUS_OK)
        status = buf_append(body, messages, len);
    if (status == STATUS_OK)
        status = buf_append_str(body, "}");
    return status;
}

enum status line_reply(struct line_api *api,
                       const struct line_reply_request *request,
                       struct line_call **out)
{
    struct line_call *call =
        line_call_new(api, request->channel, LINE_REPLY, line_judge_reply,
                      request->timeout_ms);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    call->arg = request->arg;
    call->on_done = request->on_done;
    return line_call_start(
        call,
        write_messages(&call->body, "replyToken", request->reply_token,
                       request->messages, request->messages_len),
        out);
}

/* The push was refused with 429; now it is known whether there is a quota. If
 * not, it counts as the refusal that may pass. */
static void on_quota(struct line_call *call, struct line_outcome *outcome)
{
    struct line_outcome push = call->outcome;

    if (outcome->status == STATUS_OK)
        push.status = line_judge_quota(&call->quota);
    if (push.status == STATUS_OVER_QUOTA)
        (void)snprintf(
            push.detail, sizeof(push.detail), "%lld of %lld pushes are used",
            (long long)call->quota.used, (long long)call->quota.value);
    line_call_finish(call, &push);
}

static void on_pushed(struct line_call *call, const struct http_result *result)
{
    line_judge_push(result, buf_str(&call->answer), call->answer.len,
                    &call->outcome);
    if (call->outcome.http_status == 429) {
        call->then = on_quota;
        line_call_follow(call, LINE_QUOTA, line_quota_answered);
    } else {
        line_call_finish(call, &call->outcome);
    }
}

enum status line_push(struct line_api *api,
                      const struct line_push_request *request,
                      struct line_call **out)
{
    struct line_call *call = line_call_new(
        api, request->channel, LINE_PUSH, line_judge_push, request->timeout_ms);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    METRIC_ADD(METRIC_PUSHES, 1);
    call->on_answer = on_pushed;
    call->arg = request->arg;
    call->on_done = request->on_done;
    return line_call_start(call,
                           str_copy(call->retry_key, sizeof(call->retry_key),
                                    request->retry_key) &&
                                   call->retry_key[0] != '\0'
                               ? write_messages(&call->body, "to", request->to,
                                                request->messages,
                                                request->messages_len)
                               : STATUS_BUG,
                           out);
}

/* ---- fire and forget */

static void tell(const struct config_channel *channel, const char *what,
                 enum status status, const struct line_outcome *outcome)
{
    if (status == STATUS_OK)
        LOG(DEBUG, what, LOG_STR("channel", channel->name),
            LOG_INT("http", outcome->http_status),
            LOG_INT("call_ms", outcome->elapsed_ms),
            LOG_STR("request_id", outcome->request_id));
    else
        LOG(WARN, what, LOG_STR("channel", channel->name),
            LOG_STR("reason", status_name(status)),
            LOG_STR("text", outcome->detail),
            LOG_STR("request_id", outcome->request_id));
}

static void on_courtesy_done(void *arg, const struct line_outcome *outcome)
{
    const struct line_call *call = arg;

    tell(call->channel, call->endpoint == LINE_LOADING ? "loading" : "read",
         outcome->status, outcome);
}

static struct line_call *new_courtesy(struct line_api *api,
                                      const struct config_channel *channel,
                                      enum line_endpoint endpoint)
{
    struct line_call *call = line_call_new(
        api, channel, endpoint, line_judge_other, LINE_COURTESY_TIMEOUT_MS);

    if (call != NULL) {
        call->arg = call;
        call->on_done = on_courtesy_done;
    }
    return call;
}

static void start_courtesy(struct line_call *call, enum status status)
{
    const struct config_channel *channel = call->channel;
    struct line_call *ignored;

    status = line_call_start(call, status, &ignored);
    if (status != STATUS_OK)
        tell(channel, "courtesy", status, &(struct line_outcome){.detail = ""});
}

static enum status write_loading(struct buf *body, const char *chat_id,
                                 int seconds)
{
    int64_t steps = (seconds + LOADING_STEP_S - 1) / LOADING_STEP_S;
    struct json_out out;

    steps = int64_max(1, int64_min(steps, LOADING_MAX_S / LOADING_STEP_S));
    json_out_init(&out, body);
    json_object(&out);
    json_key(&out, "chatId");
    json_str(&out, chat_id);
    json_key(&out, "loadingSeconds");
    json_int(&out, steps * LOADING_STEP_S);
    json_object_end(&out);
    return json_out_finish(&out);
}

void line_loading_start(struct line_api *api,
                        const struct config_channel *channel,
                        const char *chat_id, int seconds)
{
    struct line_call *call = new_courtesy(api, channel, LINE_LOADING);

    METRIC_ADD(METRIC_LOADING_CALLS, 1);
    if (call != NULL)
        start_courtesy(call, write_loading(&call->body, chat_id, seconds));
}

void line_mark_as_read(struct line_api *api,
                       const struct config_channel *channel,
                       const char *read_token)
{
    struct line_call *call = new_courtesy(api, channel, LINE_MARK_AS_READ);

    if (call != NULL)
        start_courtesy(call,
                       write_pair(&call->body, "markAsReadToken", read_token));
}
