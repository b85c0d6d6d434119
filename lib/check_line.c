/*
 * check_line.c: what LINE says of a channel: token, bot, webhook and its test,
 * whether the webhooks that came are for that bot, quota. One call at a time; a
 * token that is refused makes the rest pointless.
 */
#include "check_parts.h"
#include "metrics.h"

/* Every call begins here. False: there is no time left for it, which is told
 * in its place. */
static bool begin(struct check *check, const char *name,
                  const struct config_channel *channel,
                  struct line_query *query)
{
    int64_t time_ms = check_time_ms(check);

    *query = line_once_query(&check->once, channel, time_ms);
    if (time_ms == 0)
        check_skip_late(check, name, channel);
    return time_ms > 0;
}

/* ---- failures that any of the calls may have */

static const char *advice_for(const struct line_outcome *outcome,
                              const struct config_channel *channel)
{
    switch (outcome->status) {
    case STATUS_UNAUTHORIZED:
        return channel->access_token[0] != '\0'
                   ? "issue a channel access token in LINE's console "
                     "(Messaging "
                     "API), put it into the settings, reload the workers"
                   : "channel_id and secret must be those of Basic settings in "
                     "LINE's console";
    case STATUS_NETWORK:
    case STATUS_TIMEOUT:
        return "this machine must reach LINE by https: look at DNS, firewall, "
               "https_proxy, and https://api.line-status.info/";
    default:
        return "try again later; https://api.line-status.info/ tells of "
               "outages";
    }
}

static void tell_failure(struct check *check, const char *name,
                         const struct line_query *query)
{
    const struct config_channel *channel = query->channel;
    const struct line_outcome *outcome = &check->once.outcome;

    if (outcome->status == STATUS_TIMEOUT &&
        query->timeout_ms < HTTP_API_TIMEOUT_MS) {
        check_skip_late(check, name, channel); /* it was cut short by us */
        return;
    }
    check_fail(check, name, channel, advice_for(outcome, channel), "%s%s%s",
               status_text(outcome->status),
               outcome->detail[0] != '\0' ? ": " : "", outcome->detail);
}

/* ---- the clock */

/* An answer's Date is the only other clock here. */
static void compare_clocks(struct check *check)
{
    const struct line_outcome *outcome = &check->once.outcome;
    int64_t off_ms = wall_ms() - outcome->date_ms;

    if (check->clock_told || outcome->http_status == 0 || outcome->date_ms < 0)
        return;
    check->clock_told = true;
    if (off_ms > -CHECK_CLOCK_MS && off_ms < CHECK_CLOCK_MS)
        check_pass(check, "clock", NULL, "agrees with LINE's");
    else
        check_fail(check, "clock", NULL,
                   "switch time synchronisation on: timedatectl set-ntp true",
                   "this machine's clock is %lld s %s LINE's",
                   (long long)(off_ms < 0 ? -off_ms : off_ms) / 1000,
                   off_ms < 0 ? "behind" : "ahead of");
}

/* ---- token and bot */

static bool ask_bot(struct check *check, size_t index)
{
    const struct config_channel *channel = &check->config->channels[index];
    struct line_bot bot = {0};
    struct line_query query;
    enum status status;

    if (!begin(check, "token", channel, &query))
        return false;
    status =
        line_once_wait(&check->once, line_bot_info(check->once.line, &query,
                                                   &bot, &check->once.call));
    compare_clocks(check);
    if (status != STATUS_OK) {
        tell_failure(check, "token", &query);
        return false;
    }
    (void)str_copy(check->user_ids[index], sizeof(check->user_ids[index]),
                   bot.user_id);
    check_pass(check, "token", channel, "valid; bot %s %s, destination %s%s",
               bot.display_name, bot.basic_id, bot.user_id,
               bot.chat_is_on ? "; people answer in its chats, too" : "");
    return true;
}

void check_bots_differ(struct check *check)
{
    const struct config *config = check->config;

    for (size_t i = 0; i < config->channel_count; i++) {
        for (size_t j = i + 1; j < config->channel_count; j++) {
            if (check->user_ids[i][0] == '\0' ||
                !str_eq(check->user_ids[i], check->user_ids[j]))
                continue;
            check_fail(check, "bot", &config->channels[j],
                       "one bot is one channel: take one of them out, or give "
                       "it its own token",
                       "channels %s and %s are the same bot (%s)",
                       config->channels[i].name, config->channels[j].name,
                       check->user_ids[i]);
        }
    }
}

/* ---- webhook */

static bool is_our_url(const struct config *config,
                       const struct config_channel *channel, const char *url)
{
    char wanted[LINE_WEBHOOK_MAX + CHANNEL_NAME_MAX + CONFIG_VALUE_MAX];

    config_webhook_url(config, channel, wanted, sizeof(wanted));
    if (str_eq(url, wanted))
        return true;
    (void)snprintf(wanted, sizeof(wanted), "%s/webhook/%s", config->public_url,
                   channel->name);
    return str_eq(url, wanted);
}

/* True if LINE calls us. */
static bool ask_webhook(struct check *check,
                        const struct config_channel *channel)
{
    struct line_webhook webhook = {0};
    char wanted[CHECK_PATH_BYTES], advice[128];
    struct line_query query;
    enum status status;

    if (!begin(check, "webhook", channel, &query))
        return false;
    status = line_once_wait(&check->once,
                            line_webhook_get(check->once.line, &query, &webhook,
                                             &check->once.call));
    config_webhook_url(check->config, channel, wanted, sizeof(wanted));
    (void)snprintf(advice, sizeof(advice), "darkroom webhook set --channel %s",
                   channel->name);
    if (status == STATUS_NOT_FOUND)
        check_fail(check, "webhook", channel, advice,
                   "LINE has no webhook URL; it should be %s", wanted);
    else if (status != STATUS_OK)
        tell_failure(check, "webhook", &query);
    else if (!is_our_url(check->config, channel, webhook.url))
        check_fail(check, "webhook", channel, advice,
                   "LINE calls %s and not %s", webhook.url, wanted);
    else if (!webhook.active)
        check_fail(check, "webhook", channel,
                   "switch 'Use webhook' on in LINE's console (Messaging API); "
                   "no program can",
                   "LINE knows %s but does not use it", webhook.url);
    else
        check_pass(check, "webhook", channel, "LINE calls %s", webhook.url);
    return status == STATUS_OK &&
           is_our_url(check->config, channel, webhook.url);
}

static const char *test_advice(const struct line_webhook_result *result)
{
    switch (result->http_status) {
    case 401:
        return "the channel secret is not LINE's: copy it from Basic settings "
               "in LINE's console, then reload the workers";
    case 404:
        return "no such channel in the running workers, or nginx sends the "
               "path elsewhere";
    case 502:
    case 504:
        return "nginx does not reach the workers: are they running, is their "
               "socket the one of fastcgi_pass?";
    case 503:
        return "the workers refuse: disk full or queue stuck, see their log";
    default:
        break;
    }
    if (str_eq(result->reason, "REQUEST_TIMEOUT"))
        return "LINE waits 2 s: look at the log of the workers";
    return "LINE must reach this address from outside: DNS, firewall, port "
           "443, and a certificate with its complete chain";
}

static void ask_test(struct check *check, const struct config_channel *channel)
{
    struct line_webhook_result result = {0};
    struct line_query query;
    enum status status;

    if (!begin(check, "webhook test", channel, &query))
        return;
    status = line_once_wait(&check->once,
                            line_webhook_test(check->once.line, &query, NULL,
                                              &result, &check->once.call));
    if (status == STATUS_RATE_LIMITED)
        check_skip(check, "webhook test", channel,
                   "LINE tests 60 times an hour, no more");
    else if (status != STATUS_OK)
        tell_failure(check, "webhook test", &query);
    else if (result.success)
        check_pass(check, "webhook test", channel,
                   "LINE called it and got 200");
    else
        check_fail(check, "webhook test", channel, test_advice(&result),
                   "LINE called it: %s, HTTP %lld, %s", result.reason,
                   (long long)result.http_status, result.detail);
}

/* ---- destination */

/* A secret and a token may each be right and still be of two bots. What the
 * workers keep is of the last webhook, be it of before LINE's test: with a
 * secret that is not this bot's, the test is refused, and only webhooks of the
 * secret's own bot come. */
static void compare_destination(struct check *check, size_t index)
{
    const struct config_channel *channel = &check->config->channels[index];
    char path[CHECK_PATH_BYTES], seen[BOT_ID_LEN + 1];
    enum status status;

    (void)snprintf(path, sizeof(path), "%s/" METRICS_FILE,
                   check->config->state_dir);
    status = metrics_read_destination(path, channel->name, seen);
    if (status == STATUS_NOT_FOUND)
        check_skip(check, "destination", channel,
                   "no webhook of LINE's is remembered yet");
    else if (status != STATUS_OK)
        check_skip(check, "destination", channel, "'%s': %s", path,
                   status_text(status));
    else if (str_eq(seen, check->user_ids[index]))
        check_pass(check, "destination", channel,
                   "the last webhook was for this bot");
    else
        check_fail(check, "destination", channel,
                   "secret and access token are of two different channels: "
                   "take both from one channel's page in LINE's console "
                   "(Basic settings and Messaging API), reload the workers, "
                   "send the bot a message, check again",
                   "webhooks come for %s, the token is of bot %s", seen,
                   check->user_ids[index]);
}

/* ---- quota */

static void ask_quota(struct check *check, const struct config_channel *channel)
{
    struct line_quota quota = {0};
    struct line_query query;
    enum status status;

    if (!begin(check, "quota", channel, &query))
        return;
    status =
        line_once_wait(&check->once, line_quota_get(check->once.line, &query,
                                                    &quota, &check->once.call));
    if (status != STATUS_OK)
        tell_failure(check, "quota", &query);
    else if (!quota.limited)
        check_pass(check, "quota", channel, "%lld pushed, no limit",
                   (long long)quota.used);
    else if (quota.used < quota.value)
        check_pass(check, "quota", channel, "%lld of %lld pushed this month",
                   (long long)quota.used, (long long)quota.value);
    else
        check_fail(check, "quota", channel,
                   "late pictures are lost until next month, or with a larger "
                   "plan (LINE Official Account Manager)",
                   "all %lld pushes of this month are used",
                   (long long)quota.value);
}

void check_channel_at_line(struct check *check, size_t index)
{
    const struct config_channel *channel = &check->config->channels[index];

    if (!ask_bot(check, index)) {
        check_skip(check, "destination", channel,
                   "without an answer to the token the bot is not known");
        return;
    }
    if (ask_webhook(check, channel) || check_time_ms(check) == 0)
        ask_test(check, channel); /* late: tells that it is */
    else
        check_skip(check, "webhook test", channel, "it would not come here");
    compare_destination(check, index);
    if (channel->push == 1)
        ask_quota(check, channel);
}
