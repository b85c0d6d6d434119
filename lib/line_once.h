/*
 * line_once.h: calls to LINE for who has nothing else to do: one at a time,
 * each waited for. For subcommands; a worker never waits.
 *
 *   line_once_open(&once, &config);
 *   query = line_once_query(&once, channel, timeout_ms);
 *   status = line_once_wait(
 *       &once, line_bot_info(once.line, &query, &bot, &once.call));
 *     ... once.outcome says the rest ...
 *   line_once_close(&once);
 *
 * The loop and the HTTP client may be used for other requests in between.
 * Certificates are verified by [line] ca_file, or the system's. Stateless
 * tokens are not shared with the pool: nothing is written.
 */
#ifndef DARKROOM_LINE_ONCE_H
#define DARKROOM_LINE_ONCE_H

#include "line_setup.h"

struct line_once {
    struct loop *loop;
    struct offload *offload;
    struct http *http;
    struct line_api *line;
    struct line_call *call; /* for the calls to write to */
    struct line_outcome outcome;
};

/* line_once_close() is due either way. `config` outlives it. */
enum status line_once_open(struct line_once *once,
                           const struct config *config) MUST_CHECK;
void line_once_close(struct line_once *once);

struct line_query line_once_query(struct line_once *once,
                                  const struct config_channel *channel,
                                  int64_t timeout_ms);

/* Waits for a call that was started with this status; its outcome's. */
enum status line_once_wait(struct line_once *once,
                           enum status started) MUST_CHECK;

#endif
