/*
 * line_token.c: given tokens.
 */
#include "line_token.h"

struct line_tokens {
    struct line_tokens_options options;
};

enum status line_tokens_new(struct line_tokens **out,
                            const struct line_tokens_options *options)
{
    struct line_tokens *tokens = calloc(1, sizeof(*tokens));

    if (tokens == NULL)
        return STATUS_NO_MEMORY;
    tokens->options = *options;
    *out = tokens;
    return STATUS_OK;
}

void line_tokens_free(struct line_tokens *tokens)
{
    free(tokens);
}

enum status line_token_get(struct line_tokens *tokens,
                           const struct config_channel *channel,
                           uint64_t refused, struct line_token_wait *wait,
                           struct line_token *token)
{
    (void)tokens;
    (void)wait;
    if (refused != 0 || channel->access_token[0] == '\0')
        return STATUS_UNAUTHORIZED;
    *token = (struct line_token){channel->access_token, 1};
    return STATUS_OK;
}

void line_token_cancel(struct line_token_wait *wait)
{
    (void)wait;
}

enum line_token_age line_token_age(int64_t issued_ms, int64_t expires_ms,
                                   int64_t now_ms)
{
    int64_t life_ms = expires_ms - issued_ms, left_ms = expires_ms - now_ms;

    if (left_ms <= int64_min(LINE_TOKEN_MARGIN_MS, life_ms / 8))
        return LINE_TOKEN_OLD;
    if (left_ms <= int64_min(LINE_TOKEN_RENEW_MS, life_ms / 4))
        return LINE_TOKEN_RENEW;
    return LINE_TOKEN_FRESH;
}
