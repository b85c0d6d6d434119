/*
 * line_token.h: the channels' access tokens (line-platform 7). Where one comes
 * from follows from the channel's settings:
 *
 *   given      access_token: used as it is
 *   file       access_token_file: as given at first; read again when LINE
 *              refuses it, so a new token needs no restart
 *   stateless  no access token: issued by LINE for channel_id and the first
 *              secret, valid for 15 minutes
 *
 *   line_tokens_new(&tokens, &options)
 *   status = line_token_get(tokens, channel, 0, &wait, &token)
 *     OK     token.text is good for a request that starts now
 *     AGAIN  wait.done(&wait, status, &token) follows from the loop
 *   ... LINE answers 401 ...
 *   line_token_get(tokens, channel, token.generation, &wait, &token)
 *     UNAUTHORIZED if there is no other one to be had
 *
 * Stateless tokens are shared by the pool through a file per channel,
 * STATE_DIR/tokens/CHANNEL.json (0600, directory 0700). Whoever needs a new one
 * holds the lock CHANNEL.lock from looking into the file to writing it, so of
 * many workers one asks LINE. The lock ends with its holder however that ends;
 * nobody waits for it longer than LINE_TOKEN_LOCK_WAIT_MS, after that he asks
 * for a token of his own: LINE does not limit their number. A file or a
 * directory that cannot be used costs a log line and some more requests,
 * nothing else. Inside a process all who wait for a channel's token wait for
 * the same one.
 *
 * A token is renewed in the background while it can still be used, so that
 * ordinarily nobody waits. A refused one is renewed once: whoever reports a
 * token that was replaced meanwhile gets the new one, and a token that is
 * refused within LINE_TOKEN_RENEW_MIN_MS of its birth is not replaced at once.
 *
 * All on the loop's thread; files are touched on offload threads only.
 */
#ifndef DARKROOM_LINE_TOKEN_H
#define DARKROOM_LINE_TOKEN_H

#include <sys/queue.h>

#include "config.h"
#include "http.h"
#include "offload.h"

struct line_tokens;

struct line_token {
    const char *text;    /* borrowed until the loop goes on */
    uint64_t generation; /* tells it from others of its channel; never 0 */
};

/* Embedded in the caller's struct, which owns it. Must stay alive until done()
 * begins or line_token_cancel() returns. */
struct line_token_wait {
    /* `token` is NULL unless status is OK. May start anything. */
    void (*done)(struct line_token_wait *wait, enum status status,
                 const struct line_token *token);
    bool waits; /* private, as is the rest; zeros at first */
    LIST_ENTRY(line_token_wait) link;
};

/* All are lent and outlive the tokens; the URL is copied. */
struct line_tokens_options {
    struct loop *loop;
    struct http *http;
    struct offload *offload;
    const char *api_url;   /* no slash at the end */
    const char *state_dir; /* NULL: tokens are not shared with others */
    /* Wall clock in milliseconds; NULL for the real one. For tests. */
    int64_t (*clock_ms)(void *arg);
    void *clock_arg;
};

enum status
line_tokens_new(struct line_tokens **out,
                const struct line_tokens_options *options) MUST_CHECK;

/* Nobody may be waiting. After offload_free(), for what is under way on its
 * threads belongs to the tokens, and when the loop does not run any more. */
void line_tokens_free(struct line_tokens *tokens);

/*
 * `refused`: the generation of a token that LINE refused, or 0. `channel` is
 * lent for the call; settings that were read again and have the same
 * credentials share a token. Returns OK, AGAIN, UNAUTHORIZED (the token was
 * refused and there is no other), NO_MEMORY, or what the last attempt to issue
 * one ended with, for LINE_TOKEN_RENEW_MIN_MS after it.
 */
enum status line_token_get(struct line_tokens *tokens,
                           const struct config_channel *channel,
                           uint64_t refused, struct line_token_wait *wait,
                           struct line_token *token) MUST_CHECK;

/* done() does not come after. Nothing if it does not wait. */
void line_token_cancel(struct line_token_wait *wait);

enum line_token_age {
    LINE_TOKEN_FRESH,
    LINE_TOKEN_RENEW, /* still good, but time to get the next one */
    LINE_TOKEN_OLD,   /* a request with it might come too late */
};

/* The rule of renewal. Wall clock times; `issued_ms` is that of the request for
 * it. Margins shrink with the life of the token, so that one of any life can be
 * used. */
enum line_token_age line_token_age(int64_t issued_ms, int64_t expires_ms,
                                   int64_t now_ms);

#endif
