/*
 * line_api.h: the calls darkroom makes to LINE.
 *
 *   line_api_new(&api, &options)
 *   line_content_get(api, &request, &call)    a picture's bytes
 *   line_reply(api, &request, &call)          the answer
 *   line_push(api, &request, &call)           an answer without reply token
 *     ... on_done exactly once and last, unless line_call_cancel() ...
 *   line_loading_start(api, channel, chat_id, seconds)
 *   line_mark_as_read(api, channel, read_token)
 *
 * Each call gets the channel's access token (line_token.h), waits for its turn
 * (below), sends, and sends once more with a new token when the first is
 * refused; UNAUTHORIZED comes only after that. A push that is answered with 429
 * also asks for the account's quota, to tell "not this month" from "not now".
 * timeout_ms is for all of that together.
 *
 * A token goes to the two hosts given in the options and to no other: redirects
 * are not followed.
 *
 * Turns: per channel and endpoint a token bucket with LINE's limits
 * (line-platform 4.3) divided by LINE_POOL_SHARE, since the workers of a pool
 * do not count together. Endpoints do not wait for each other. A turn that
 * would come after the call's time is not waited for: RATE_LIMITED.
 *
 * The rules for callbacks are those of http.h, and nothing is called from
 * inside the function that starts a call. A call is the api's from its start
 * until on_done begins or line_call_cancel() returns. Strings in requests are
 * borrowed for the call that starts them; channels outlive the api.
 *
 * All on the loop's thread.
 */
#ifndef DARKROOM_LINE_API_H
#define DARKROOM_LINE_API_H

#include "config.h"
#include "line_judge.h"
#include "offload.h"

struct line_api;
struct line_call;

/* All are lent and outlive the api; strings are copied. */
struct line_api_options {
    struct loop *loop;
    struct http *http;
    struct offload *offload;
    const char *api_url; /* no slash at the end */
    const char *data_api_url;
    const char *state_dir; /* for tokens shared by the pool, or NULL */
};

struct line_content_request {
    const struct config_channel *channel;
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
    const struct config_channel *channel;
    const char *reply_token;
    const char *messages; /* JSON array, see line_message.h */
    size_t messages_len;
    int64_t timeout_ms;
    void *arg;
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

struct line_push_request {
    const struct config_channel *channel;
    const char *to;        /* user, group or room, from a webhook */
    const char *retry_key; /* UUID, the same for each try of a push */
    const char *messages;  /* the same for each try, too */
    size_t messages_len;
    int64_t timeout_ms;
    void *arg;
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

enum status line_api_new(struct line_api **out,
                         const struct line_api_options *options) MUST_CHECK;

/* Ends what is under way, without callbacks. When the loop does not run any
 * more, after offload_free() (see line_token.h) and before http_free(). */
void line_api_free(struct line_api *api);

enum status line_content_get(struct line_api *api,
                             const struct line_content_request *request,
                             struct line_call **out) MUST_CHECK;
enum status line_reply(struct line_api *api,
                       const struct line_reply_request *request,
                       struct line_call **out) MUST_CHECK;
enum status line_push(struct line_api *api,
                      const struct line_push_request *request,
                      struct line_call **out) MUST_CHECK;

/* Fire and forget: what becomes of them is logged, and no other call waits for
 * them. One-to-one chats only; `seconds` is made a number that LINE takes. */
void line_loading_start(struct line_api *api,
                        const struct config_channel *channel,
                        const char *chat_id, int seconds);
void line_mark_as_read(struct line_api *api,
                       const struct config_channel *channel,
                       const char *read_token);

/* No callback of it comes after; the struct is gone. */
void line_call_cancel(struct line_call *call);

/* After on_body answered HTTP_BODY_PAUSE. */
void line_call_resume(struct line_call *call);

#endif
