/*
 * line_setup.h: the calls that look at a bot's settings at LINE and change
 * them, for people who set one up (`darkroom check`, `darkroom webhook`).
 *
 *   struct line_query query = {channel, timeout_ms, arg, on_done};
 *   line_bot_info(api, &query, &info, &call);
 *     ... on_done; `info` is filled if the outcome's status is OK ...
 *
 * The results are lent until on_done has returned. An answer that is not what
 * LINE describes gives BAD_INPUT. All else as in line_api.h.
 */
#ifndef DARKROOM_LINE_SETUP_H
#define DARKROOM_LINE_SETUP_H

#include "line_api.h"

#define LINE_NAME_MAX 255    /* display name, basic id: opaque */
#define LINE_WEBHOOK_MAX 500 /* characters of its URL, line-platform 1.7 */
#define LINE_TEST_TEXT_MAX 255

struct line_query {
    const struct config_channel *channel;
    int64_t timeout_ms;
    void *arg;
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

/* line-platform 6. Texts that are too long are left empty. */
struct line_bot {
    char user_id[SOURCE_ID_MAX + 1]; /* the `destination` of its webhooks */
    char basic_id[LINE_NAME_MAX + 1];
    char display_name[LINE_NAME_MAX + 1];
    bool chat_is_on;      /* chatMode: people answer, too */
    bool reads_by_itself; /* markAsReadMode: auto */
};

enum status line_bot_info(struct line_api *api, const struct line_query *query,
                          struct line_bot *bot,
                          struct line_call **out) MUST_CHECK;

/* line-platform 8 */
struct line_webhook {
    char url[LINE_WEBHOOK_MAX + 1];
    bool active; /* "Use webhook" is on; only people can turn it on */
};

/* NOT_FOUND: no URL is set. */
enum status line_webhook_get(struct line_api *api,
                             const struct line_query *query,
                             struct line_webhook *webhook,
                             struct line_call **out) MUST_CHECK;

/* In effect after up to a minute. REFUSED: not a URL that LINE takes. */
enum status line_webhook_set(struct line_api *api,
                             const struct line_query *query, const char *url,
                             struct line_call **out) MUST_CHECK;

/* A test that fails is an answer like another: the outcome is OK. */
struct line_webhook_result {
    bool success;
    int64_t http_status; /* what the webhook answered; 0 or less: nothing */
    char reason[LINE_TEST_TEXT_MAX + 1]; /* OK, COULD_NOT_CONNECT, ... */
    char detail[LINE_TEST_TEXT_MAX + 1];
};

/* LINE calls the webhook; 60 times in an hour. `url`: NULL for the one that is
 * set. REFUSED: its name does not resolve. */
enum status line_webhook_test(struct line_api *api,
                              const struct line_query *query, const char *url,
                              struct line_webhook_result *result,
                              struct line_call **out) MUST_CHECK;

/* line-platform 4.2; two requests. */
enum status line_quota_get(struct line_api *api, const struct line_query *query,
                           struct line_quota *quota,
                           struct line_call **out) MUST_CHECK;

#endif
