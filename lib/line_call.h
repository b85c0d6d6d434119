/*
 * line_call.h: how a call to LINE is made: token, turn, request, once more with
 * another token if that is refused. The engine under line_api.c and
 * line_setup.c, and for nobody else.
 *
 * A call is described by a struct line_call_plan and made by line_call_start().
 * Each answer goes to on_answer(), which ends the call with line_call_finish()
 * or goes on with line_call_follow().
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
    LINE_ENDPOINTS
};

typedef void line_answer_fn(struct line_call *call,
                            const struct http_result *result);

struct line_call {
    TAILQ_ENTRY(line_call) link;
    struct line_api *api;
    const struct config_channel *channel;
    enum line_endpoint endpoint;
    line_judge_fn *judge;
    line_answer_fn *on_answer;
    char message_id[MESSAGE_ID_MAX + 1];
    char retry_key[RETRY_KEY_MAX + 1];
    struct buf body; /* of the request; without one it is a GET */
    int64_t max_bytes;
    int64_t started_ms, deadline_ms;

    struct line_token_wait wait;
    bool waits; /* for a token */
    uint64_t generation;
    bool renewed;             /* this is the second token */
    struct http_head refusal; /* of the first */
    struct loop_timer timer;  /* the next step, or the end of patience */
    struct http_transfer *transfer;
    bool has_content;  /* the answer is 200: its body is the picture */
    struct buf answer; /* body of any other answer */

    struct line_outcome outcome; /* line_api.c: of a push, while it asks on */
    struct line_quota quota;
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

/* on_answer comes from the loop. */
enum status line_call_start(struct line_call *call) MUST_CHECK;

/* From on_answer, the last act in it: on_done, and the call is gone. */
void line_call_finish(struct line_call *call, struct line_outcome *outcome);

/* From on_answer, the last act in it: another GET by the same call. */
void line_call_follow(struct line_call *call, enum line_endpoint endpoint,
                      line_answer_fn *on_answer);

#endif
