/*
 * line_api.h: the calls darkroom makes to LINE, and the one place where the
 * outcome of an HTTP request becomes a decision.
 *
 *   line_api_new(&api, http, api_url, data_api_url)
 *   line_content_get(api, &request, &call)    a picture's bytes
 *   line_reply_image(api, &request, &call)    the answer
 *     ... on_done exactly once and last, unless line_call_cancel() ...
 *
 * The rules for callbacks are those of http.h. A call is the api's from its
 * start until on_done begins or line_call_cancel() returns. Strings in requests
 * are borrowed for the call that starts them.
 *
 * All on the loop's thread.
 */
#ifndef DARKROOM_LINE_API_H
#define DARKROOM_LINE_API_H

#include "http.h"

struct line_api;
struct line_call;

/*
 * What became of a call. `status` says what to do by its class (status.h):
 *
 *   OK             done
 *   retry class    try again later, not before retry_after_ms from now
 *   GONE           content: the sender took the picture back
 *   TOKEN_EXPIRED  reply: a whole 400 without details: the token is used or
 *                  too old
 *   other          give up, the reason is fit for a receipt
 */
struct line_outcome {
    enum status status;
    /* The request may have had its effect although no answer was seen. */
    bool in_doubt;
    int64_t retry_after_ms; /* LINE's wish, or 0 */
    int http_status;        /* 0 without an answer */
    int64_t body_bytes;
    int64_t elapsed_ms;
    char request_id[64]; /* LINE's, for its support; "" if none */
    char detail[96];     /* words for people about a failure, or "" */
};

struct line_content_request {
    const char *access_token;
    const char *message_id; /* [0-9A-Za-z_-]+, checked by webhook.c */
    int64_t timeout_ms;
    int64_t max_bytes;
    void *arg;
    /* Optional: the picture's bytes will come. -1: length not told. */
    void (*on_head)(void *arg, int64_t content_length);
    /* Only bytes of the picture, never those of an error's body. */
    enum http_body_answer (*on_body)(void *arg, const char *bytes, size_t len);
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

struct line_reply_request {
    const char *access_token;
    const char *reply_token;
    const char *original_url; /* https, line-platform 5 */
    const char *preview_url;
    int64_t timeout_ms;
    void *arg;
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

/* `http` outlives it; the URLs are copied and have no slash at their end. */
enum status line_api_new(struct line_api **out, struct http *http,
                         const char *api_url,
                         const char *data_api_url) MUST_CHECK;
void line_api_free(struct line_api *api);

enum status line_content_get(struct line_api *api,
                             const struct line_content_request *request,
                             struct line_call **out) MUST_CHECK;
enum status line_reply_image(struct line_api *api,
                             const struct line_reply_request *request,
                             struct line_call **out) MUST_CHECK;

void line_call_cancel(struct line_call *call);

/* After on_body answered HTTP_BODY_PAUSE. */
void line_call_resume(struct line_call *call);

/* The decisions, as pure functions (line-platform 3.4 and 4.1). `body` is that
 * of the answer, as far as it was kept. */
void line_judge_content(const struct http_result *result,
                        struct line_outcome *outcome);
void line_judge_reply(const struct http_result *result, const char *body,
                      size_t len, struct line_outcome *outcome);

#endif
