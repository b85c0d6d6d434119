/*
 * line_api.c: builds requests, keeps the body of an API answer (bounded) while
 * it comes, and judges what came of it.
 *
 * Statuses decide, never message texts, which LINE may change (line-platform
 * 4.1); the one thing read from an error's body is whether it has "details".
 */
#include "line_api.h"

#include "json.h"

#define URL_MAX 2048

struct line_api {
    struct http *http;
    char *api_url;
    char *data_api_url;
};

struct line_call {
    struct http_transfer *transfer;
    bool is_content;
    bool has_content;  /* the answer is 200: its body is the picture */
    struct buf answer; /* body of any other answer */
    void *arg;
    void (*on_head)(void *arg, int64_t content_length);
    enum http_body_answer (*on_body)(void *arg, const char *bytes, size_t len);
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

/* ---- judging */

/* Answers that mean the same for every call. */
static enum status judge_common(int http_status)
{
    if (http_status == 401 || http_status == 403)
        return STATUS_UNAUTHORIZED;
    if (http_status == 413)
        return STATUS_TOO_LARGE;
    if (http_status == 408)
        return STATUS_TIMEOUT;
    if (http_status == 429)
        return STATUS_RATE_LIMITED;
    if (http_status >= 500)
        return STATUS_SERVER_ERROR;
    return STATUS_REFUSED;
}

static void fill_outcome(const struct http_result *result,
                         struct line_outcome *outcome)
{
    *outcome = (struct line_outcome){
        .status = result->status,
        .http_status = result->head.status,
        .body_bytes = result->body_bytes,
        .elapsed_ms = result->elapsed_ms,
    };
    if (result->head.retry_after_s > 0)
        outcome->retry_after_ms =
            int64_min(result->head.retry_after_s, 3600) * 1000;
    (void)str_copy(outcome->request_id, sizeof(outcome->request_id),
                   result->head.request_id);
    if (result->error != NULL)
        (void)snprintf(outcome->detail, sizeof(outcome->detail), "%s",
                       result->error);
}

static void say_http_status(struct line_outcome *outcome)
{
    if (outcome->status != STATUS_OK)
        (void)snprintf(outcome->detail, sizeof(outcome->detail), "HTTP %d",
                       outcome->http_status);
}

void line_judge_content(const struct http_result *result,
                        struct line_outcome *outcome)
{
    int http_status = result->head.status;

    fill_outcome(result, outcome);
    if (http_status == 200) {
        if (result->status == STATUS_OK && result->body_bytes == 0)
            outcome->status = STATUS_EMPTY;
        return;
    }
    /* An error's body may be cut or too long: its status is what counts. */
    if (http_status == 0)
        return;
    if (http_status == 202)
        outcome->status = STATUS_NOT_READY;
    else if (http_status == 404)
        outcome->status = STATUS_NOT_FOUND;
    else if (http_status == 410)
        outcome->status = STATUS_GONE;
    else
        outcome->status = judge_common(http_status);
    say_http_status(outcome);
}

static enum status find_details(void *arg, const struct json_event *event)
{
    bool *found = arg;

    if (json_path_is(event, "details.#"))
        *found = true;
    return STATUS_OK;
}

/* "details" comes with an error in the message objects, not with a bad token
 * (line-platform 4.1); it is left out when empty. */
static bool has_details(const char *body, size_t len)
{
    bool found = false;

    /* Cut or broken further on, it still had them. */
    (void)!json_read(body, len, find_details, &found);
    return found;
}

void line_judge_reply(const struct http_result *result, const char *body,
                      size_t len, struct line_outcome *outcome)
{
    int http_status = result->head.status;

    fill_outcome(result, outcome);
    if (http_status == 0) {
        outcome->in_doubt = result->sent;
        return;
    }
    if (http_status >= 200 && http_status < 300)
        outcome->status = STATUS_OK;
    else if (http_status == 400 && has_details(body, len))
        outcome->status = STATUS_REFUSED;
    else if (http_status == 400 && result->status == STATUS_OK)
        outcome->status = STATUS_TOKEN_EXPIRED;
    else if (http_status != 400)
        outcome->status = judge_common(http_status);
    /* LINE sends nothing with an error, but a 502 or 504 is the word of a
     * gateway that does not know. */
    outcome->in_doubt = http_status >= 500;
    say_http_status(outcome);
}

/* ---- calls */

static void call_free(struct line_call *call)
{
    buf_release(&call->answer);
    free(call);
}

static void on_head(void *arg, const struct http_head *head)
{
    struct line_call *call = arg;

    call->has_content = call->is_content && head->status == 200;
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

static void on_done(void *arg, const struct http_result *result)
{
    struct line_call *call = arg;
    struct line_outcome outcome;

    if (call->is_content)
        line_judge_content(result, &outcome);
    else
        line_judge_reply(result, buf_str(&call->answer), call->answer.len,
                         &outcome);
    call->on_done(call->arg, &outcome);
    call_free(call);
}

static enum status start(struct line_api *api, struct line_call *call,
                         struct http_request *request, const char *access_token)
{
    char authorization[TOKEN_MAX + 32];
    const char *headers[] = {authorization, NULL, NULL};

    (void)snprintf(authorization, sizeof(authorization),
                   "Authorization: Bearer %s", access_token);
    if (request->body != NULL)
        headers[1] = "Content-Type: application/json";
    request->headers = headers;
    request->arg = call;
    request->on_head = on_head;
    request->on_body = on_body;
    request->on_done = on_done;
    return http_start(api->http, request, &call->transfer);
}

enum status line_content_get(struct line_api *api,
                             const struct line_content_request *request,
                             struct line_call **out)
{
    struct line_call *call = calloc(1, sizeof(*call));
    char url[URL_MAX];
    struct http_request http = {.method = "GET",
                                .url = url,
                                .timeout_ms = request->timeout_ms,
                                .max_bytes = request->max_bytes};
    enum status status;

    if (call == NULL)
        return STATUS_NO_MEMORY;
    buf_init(&call->answer, HTTP_RESPONSE_MAX_BYTES);
    call->is_content = true;
    call->arg = request->arg;
    call->on_head = request->on_head;
    call->on_body = request->on_body;
    call->on_done = request->on_done;
    (void)snprintf(url, sizeof(url), "%s/v2/bot/message/%s/content",
                   api->data_api_url, request->message_id);
    status = start(api, call, &http, request->access_token);
    if (status != STATUS_OK)
        call_free(call);
    else
        *out = call;
    return status;
}

static enum status reply_body(const struct line_reply_request *request,
                              struct buf *body)
{
    struct json_out out;

    json_out_init(&out, body);
    json_object(&out);
    json_key(&out, "replyToken");
    json_str(&out, request->reply_token);
    json_key(&out, "messages");
    json_array(&out);
    json_object(&out);
    json_key(&out, "type");
    json_str(&out, "image");
    json_key(&out, "originalContentUrl");
    json_str(&out, request->original_url);
    json_key(&out, "previewImageUrl");
    json_str(&out, request->preview_url);
    json_object_end(&out);
    json_array_end(&out);
    json_object_end(&out);
    return json_out_finish(&out);
}

enum status line_reply_image(struct line_api *api,
                             const struct line_reply_request *request,
                             struct line_call **out)
{
    struct line_call *call = calloc(1, sizeof(*call));
    char url[URL_MAX];
    struct buf body;
    enum status status;

    if (call == NULL)
        return STATUS_NO_MEMORY;
    buf_init(&call->answer, HTTP_RESPONSE_MAX_BYTES);
    buf_init(&body, HTTP_RESPONSE_MAX_BYTES);
    call->arg = request->arg;
    call->on_done = request->on_done;
    (void)snprintf(url, sizeof(url), "%s/v2/bot/message/reply", api->api_url);
    status = reply_body(request, &body);
    if (status == STATUS_OK) {
        struct http_request http = {.method = "POST",
                                    .url = url,
                                    .body = body.data,
                                    .body_len = body.len,
                                    .timeout_ms = request->timeout_ms,
                                    .max_bytes = HTTP_RESPONSE_MAX_BYTES};

        status = start(api, call, &http, request->access_token);
    }
    buf_release(&body);
    if (status != STATUS_OK)
        call_free(call);
    else
        *out = call;
    return status;
}

void line_call_cancel(struct line_call *call)
{
    http_cancel(call->transfer);
    call_free(call);
}

void line_call_resume(struct line_call *call)
{
    http_resume(call->transfer);
}

/* ---- the api itself */

enum status line_api_new(struct line_api **out, struct http *http,
                         const char *api_url, const char *data_api_url)
{
    struct line_api *api = calloc(1, sizeof(*api));

    if (api == NULL)
        return STATUS_NO_MEMORY;
    api->http = http;
    api->api_url = strdup(api_url);
    api->data_api_url = strdup(data_api_url);
    if (api->api_url == NULL || api->data_api_url == NULL) {
        line_api_free(api);
        return STATUS_NO_MEMORY;
    }
    *out = api;
    return STATUS_OK;
}

void line_api_free(struct line_api *api)
{
    if (api == NULL)
        return;
    free(api->api_url);
    free(api->data_api_url);
    free(api);
}
