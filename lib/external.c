/*
 * external.c: a GET under http.c's rule for strangers' URLs; only the body of a
 * 200 is passed on.
 */
#include "external.h"

struct external_call {
    struct http_transfer *transfer;
    bool has_content; /* the answer is 200: its body is the picture */
    void *arg;
    void (*on_head)(void *arg, int64_t content_length);
    enum http_body_answer (*on_body)(void *arg, const char *bytes, size_t len);
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

/* ---- judging */

static enum status judge_answer(const struct http_result *result)
{
    int http_status = result->head.status;

    if (http_status == 200)
        return result->status == STATUS_OK && result->body_bytes == 0
                   ? STATUS_EMPTY
                   : result->status;
    if (http_status == 404 || http_status == 410)
        return STATUS_NOT_FOUND;
    if (http_status == 408)
        return STATUS_TIMEOUT;
    if (http_status == 429)
        return STATUS_RATE_LIMITED;
    if (http_status >= 500)
        return STATUS_SERVER_ERROR;
    return STATUS_REFUSED;
}

void external_judge(const struct http_result *result,
                    struct line_outcome *outcome)
{
    int http_status = result->head.status;

    *outcome = (struct line_outcome){
        .status = http_status == 0 ? result->status : judge_answer(result),
        .http_status = http_status,
        .body_bytes = result->body_bytes,
        .elapsed_ms = result->elapsed_ms,
    };
    if (result->head.retry_after_s > 0)
        outcome->retry_after_ms =
            int64_min(result->head.retry_after_s, RETRY_AFTER_MAX_S) * 1000;
    if (http_status == 0 || http_status == 200)
        (void)snprintf(outcome->detail, sizeof(outcome->detail), "%s",
                       result->error != NULL ? result->error : "");
    else
        (void)snprintf(outcome->detail, sizeof(outcome->detail), "HTTP %d%s",
                       http_status,
                       http_status / 100 == 3 ? ", redirects are refused" : "");
}

/* ---- calls */

static void on_head(void *arg, const struct http_head *head)
{
    struct external_call *call = arg;

    call->has_content = head->status == 200;
    if (call->has_content && call->on_head != NULL)
        call->on_head(call->arg, head->content_length);
}

/* An error's body is of no use; the connection is not worth reading it. */
static enum http_body_answer on_body(void *arg, const char *bytes, size_t len)
{
    struct external_call *call = arg;

    if (!call->has_content)
        return HTTP_BODY_ABORT;
    return call->on_body(call->arg, bytes, len);
}

static void on_done(void *arg, const struct http_result *result)
{
    struct external_call *call = arg;
    struct line_outcome outcome;

    external_judge(result, &outcome);
    call->on_done(call->arg, &outcome);
    free(call);
}

/* Ports below 1024 but that of https belong to services that never serve
 * pictures. */
static enum status check_url(const char *text)
{
    struct http_url url;
    enum status status = http_url_read(text, &url);

    if (status == STATUS_BAD_INPUT)
        return STATUS_ADDRESS_REFUSED;
    if (status != STATUS_OK)
        return status;
    if (!url.tls || url.credentials || (url.port != 443 && url.port < 1024))
        return STATUS_ADDRESS_REFUSED;
    return STATUS_OK;
}

enum status external_get(struct http *http,
                         const struct external_request *request,
                         struct external_call **out)
{
    enum status status = check_url(request->url);
    struct external_call *call;
    struct http_request get = {.method = "GET",
                               .url = request->url,
                               .public_only = true,
                               .timeout_ms = request->timeout_ms,
                               .max_bytes = request->max_bytes,
                               .on_head = on_head,
                               .on_body = on_body,
                               .on_done = on_done};

    if (status != STATUS_OK)
        return status;
    call = calloc(1, sizeof(*call));
    if (call == NULL)
        return STATUS_NO_MEMORY;
    call->arg = request->arg;
    call->on_head = request->on_head;
    call->on_body = request->on_body;
    call->on_done = request->on_done;
    get.arg = call;
    status = http_start(http, &get, &call->transfer);
    if (status != STATUS_OK)
        free(call);
    else
        *out = call;
    return status;
}

void external_cancel(struct external_call *call)
{
    http_cancel(call->transfer);
    free(call);
}

void external_resume(struct external_call *call)
{
    http_resume(call->transfer);
}
