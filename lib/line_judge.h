/*
 * line_judge.h: the one place where the outcome of an HTTP request to LINE
 * becomes a decision. Pure functions: no I/O, no state, any thread.
 *
 * The tables are those of line-platform 3.4, 4.1 and 4.2. Statuses decide,
 * never message texts, which LINE may change (line-platform 4.1).
 */
#ifndef DARKROOM_LINE_JUDGE_H
#define DARKROOM_LINE_JUDGE_H

#include "http.h"

/*
 * What became of a call. `status` says what to do by its class (status.h):
 *
 *   OK             done; of a push also: done before, with the same key
 *   retry class    try again later, not before retry_after_ms from now; a push
 *                  with the same key
 *   GONE           content: the sender took the picture back
 *   TOKEN_EXPIRED  reply: a whole 400 without details: the token is used or
 *                  too old
 *   UNAUTHORIZED   the access token was refused, and the one after it, too
 *   OVER_QUOTA     push: the month's quota is used up
 *   other          give up, the reason is fit for a receipt
 */
struct line_outcome {
    enum status status;
    /* The request may have had its effect although no answer was seen. */
    bool in_doubt;
    int64_t retry_after_ms; /* LINE's wish, or 0 */
    int http_status;        /* 0 without an answer */
    int64_t body_bytes;
    int64_t elapsed_ms;  /* all of the call, waiting included */
    int64_t date_ms;     /* LINE's clock when it answered; -1: not told */
    char request_id[64]; /* LINE's, for its support; "" if none */
    char detail[96];     /* words for people about a failure, or "" */
};

/* `body` is that of the answer, as far as it was kept. */
typedef void line_judge_fn(const struct http_result *result, const char *body,
                           size_t len, struct line_outcome *outcome);

line_judge_fn line_judge_content;
line_judge_fn line_judge_reply;
line_judge_fn line_judge_push; /* 429: RATE_LIMITED; then judge_quota */
line_judge_fn line_judge_other;

/* The account's monthly allowance of pushed messages. */
struct line_quota {
    bool limited;
    int64_t value; /* when limited */
    int64_t used;  /* approximate, as LINE says */
};

/* What a push's 429 means: OVER_QUOTA or RATE_LIMITED. A group of many may go
 * over a quota of which something is left; nobody can tell that from the
 * numbers, so it counts as the one that may pass. */
enum status line_judge_quota(const struct line_quota *quota);

#endif
