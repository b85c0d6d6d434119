/*
 * check.c: the order of the check, from the inside out, and the loop that its
 * requests run on: one at a time, each until it is done.
 */
#include <stdarg.h>

#include "check_parts.h"

#define LINE_BYTES 512

const char *check_result_name(enum check_result result)
{
    static const char *const names[] = {"pass", "fail", "skip"};

    return names[result];
}

/* ---- telling */

static void tell(struct check *check, const struct check_line *line,
                 const struct config_channel *channel)
{
    struct check_line told = *line;

    told.channel = channel != NULL ? channel->name : "";
    check->options->on_line(check->options->arg, &told);
}

void check_pass(struct check *check, const char *name,
                const struct config_channel *channel, const char *format, ...)
{
    char found[LINE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(found, sizeof(found), format, args);
    va_end(args);
    tell(check, &(struct check_line){name, "", CHECK_PASS, found, ""}, channel);
}

void check_skip(struct check *check, const char *name,
                const struct config_channel *channel, const char *format, ...)
{
    char found[LINE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(found, sizeof(found), format, args);
    va_end(args);
    tell(check, &(struct check_line){name, "", CHECK_SKIP, found, ""}, channel);
}

void check_fail(struct check *check, const char *name,
                const struct config_channel *channel, const char *advice,
                const char *format, ...)
{
    char found[LINE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(found, sizeof(found), format, args);
    va_end(args);
    tell(check, &(struct check_line){name, "", CHECK_FAIL, found, advice},
         channel);
}

/* ---- what the parts ask */

int64_t check_time_ms(const struct check *check)
{
    return int64_max(
        int64_min(check->until_ms - mono_ms(), HTTP_API_TIMEOUT_MS), 0);
}

void check_webhook_url(const struct config *config,
                       const struct config_channel *channel, char *url,
                       size_t size)
{
    bool short_path = config_channel(config, "") == channel;

    (void)snprintf(url, size, "%s/webhook%s%s", config->public_url,
                   short_path ? "" : "/", short_path ? "" : channel->name);
}

/* ---- the engine */

static enum status build(struct check *check)
{
    const struct config *config = check->config;
    struct http_options http = {
        .user_agent = "darkroom/" DARKROOM_VERSION " (check)",
        .ca_file = config->ca_file[0] != '\0' ? config->ca_file : NULL,
    };
    struct line_api_options line = {
        .api_url = config->api_url,
        .data_api_url = config->data_api_url,
    };
    enum status status = loop_new(&check->loop);

    if (status == STATUS_OK)
        status = offload_new(&check->offload, check->loop, 1);
    if (status == STATUS_OK)
        status = http_new(&check->http, check->loop, &http);
    line.loop = check->loop;
    line.http = check->http;
    line.offload = check->offload;
    if (status == STATUS_OK)
        status = line_api_new(&check->line, &line);
    check->user_ids = calloc(config->channel_count, sizeof(check->user_ids[0]));
    return status == STATUS_OK && check->user_ids == NULL ? STATUS_NO_MEMORY
                                                          : status;
}

static void tear_down(struct check *check)
{
    store_close(check->store);
    offload_free(check->offload);
    line_api_free(check->line);
    http_free(check->http);
    loop_free(check->loop);
    free(check->user_ids);
}

static void run_parts(struct check *check)
{
    const struct config *config = check->config;

    check_secrets(check);
    check_directories(check);
    check_access(check);
    check_space(check);
    check_queue(check);
    check_lab(check);
    if (check->options->offline) {
        check_skip(check, "line", NULL, "not asked (--offline)");
        return;
    }
    check_published(check);
    for (size_t i = 0; i < config->channel_count; i++) {
        check_webhook(check, &config->channels[i]);
        check_channel_at_line(check, i);
    }
    check_bots_differ(check);
}

enum status check_run(const struct check_options *options)
{
    struct check check = {
        .options = options,
        .keeper = options->keeper,
        .config = options->config,
        .until_ms = mono_ms() + CHECK_MAX_MS,
    };
    enum status status = build(&check);

    if (status == STATUS_OK)
        run_parts(&check);
    tear_down(&check);
    lab_keeper_end(&check.keeper);
    return status;
}
