/*
 * line_call.h: how a call to LINE is made: token, turn, request, once more with
 * another token if that is refused. The engine under line_api.c and
 * line_setup.c, and for nobody else.
 *
 *   call = line_call_new(api, channel, LINE_REPLY, line_judge_reply,
 * timeout_ms)
 *   ... call->body, call->on_done ...
 *   line_call_start(call, STATUS_OK, &out)
 *
 * Each answer goes to on_answer(), which ends the call with line_call_finish()
 * or goes on with line_call_follow(). Unless told otherwise it judges and ends.
 */
#ifndef DARKROOM_LINE_CALL_H
#define DARKROOM_LINE_CALL_H

#include <sys/queue.h>

#include "bucket.h"
#include "buf.h"
#include "line_api.h"
#include "line_token.h"

enum line_endpoint {
    LINE_CONTENT,
    LINE_REPLY,
    LINE_PUSH,
    LINE_QUOTA,
    LINE_CONSUMPTION,
    LINE_LOADING,
    LINE_MARK_AS_READ,
    LINE_BOT_INFO,
    LINE_WEBHOOK_GET,
    LINE_WEBHOOK_SET,
    LINE_WEBHOOK_TEST,
    LINE_ENDPOINTS
};

typedef void line_answer_fn(struct line_call *call,
                            const struct http_result *result);
typedef void line_then_fn(struct line_call *call, struct line_outcome *outcome);

struct line_call {
    TAILQ_ENTRY(line_call) link;
    struct line_api *api;
    const struct config_channel *channel; /* held */
    enum line_endpoint endpoint;
    line_judge_fn *judge;
    line_answer_fn *on_answer;
    char message_id[MESSAGE_ID_MAX + 1];
    char retry_key[RETRY_KEY_MAX + 1];
    struct buf body; /* of the request; without one it is a GET */
    int64_t max_bytes;
    int64_t started_ms, deadline_ms;

    struct line_token_wait wait;
    bool waits;               /* for a token */
    uint64_t generation;      /* of the token that was sent */
    uint64_t refused;         /* of one to be replaced, or 0 */
    bool renewed;             /* this is the second token */
    struct http_head refusal; /* of the first */
    struct loop_timer timer;  /* the next step, or the end of patience */
    struct http_transfer *transfer;
    bool has_content;  /* the answer is 200: its body is the picture */
    struct buf answer; /* body of any other answer */

    struct line_outcome outcome; /* of a push, while it asks for the quota */
    struct line_quota quota;     /* what was heard of it */
    line_then_fn *then;
    const struct line_member *members; /* line_setup.c: what is read ... */
    void *into;                        /* ... into which struct */
    void *arg;
    void (*on_head)(void *arg, int64_t content_length);
    enum http_body_answer (*on_body)(void *arg, const char *bytes, size_t len);
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

/* A call with nothing in it but its end, NULL without memory. */
struct line_call *line_call_new(struct line_api *api,
                                const struct config_channel *channel,
                                enum line_endpoint endpoint,
                                line_judge_fn *judge, int64_t timeout_ms);

/* Without callbacks; ends what is under way. */
void line_call_free(struct line_call *call);

/* on_answer comes from the loop. With another status than OK, or when it cannot
 * be started, the call is freed and the reason returned. */
enum status line_call_start(struct line_call *call, enum status status,
                            struct line_call **out) MUST_CHECK;

/* From on_answer, the last act in it: on_done, and the call is gone. */
void line_call_finish(struct line_call *call, struct line_outcome *outcome);

/* From on_answer, the last act in it: a GET by the same call. */
void line_call_follow(struct line_call *call, enum line_endpoint endpoint,
                      line_answer_fn *on_answer);

/* line_quota.c: an on_answer for LINE_QUOTA. It asks on and calls `then` with
 * call->quota filled if the outcome is OK. */
line_answer_fn line_quota_answered;

#endif
