/*
 * check.c: the order of the check, from the inside out, and the loop that its
 * requests run on: one at a time, each until it is done.
 */
#include <stdarg.h>

#include "check_parts.h"
#include "utf8.h"

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

/* What is found is in part the words of others. */
PRINTF_LIKE(4, 0)
static void tell_words(struct check *check, const struct check_line *line,
                       const struct config_channel *channel, const char *format,
                       va_list args)
{
    struct check_line told = *line;
    char found[LINE_BYTES];

    (void)vsnprintf(found, sizeof(found), format, args);
    utf8_clean(found);
    told.found = found;
    tell(check, &told, channel);
}

void check_pass(struct check *check, const char *name,
                const struct config_channel *channel, const char *format, ...)
{
    const struct check_line line = {name, "", CHECK_PASS, "", ""};
    va_list args;

    va_start(args, format);
    tell_words(check, &line, channel, format, args);
    va_end(args);
}

void check_skip(struct check *check, const char *name,
                const struct config_channel *channel, const char *format, ...)
{
    const struct check_line line = {name, "", CHECK_SKIP, "", ""};
    va_list args;

    va_start(args, format);
    tell_words(check, &line, channel, format, args);
    va_end(args);
}

void check_fail(struct check *check, const char *name,
                const struct config_channel *channel, const char *advice,
                const char *format, ...)
{
    const struct check_line line = {name, "", CHECK_FAIL, "", advice};
    va_list args;

    va_start(args, format);
    tell_words(check, &line, channel, format, args);
    va_end(args);
}

void check_skip_late(struct check *check, const char *name,
                     const struct config_channel *channel)
{
    check_skip(check, name, channel,
               "no time left: this check has taken its %d s; mend what failed "
               "above, or what is slow, and check again",
               CHECK_MAX_MS / 1000);
}

/* ---- what the parts ask */

int64_t check_time_ms(const struct check *check)
{
    return int64_max(
        int64_min(check->until_ms - mono_ms(), HTTP_API_TIMEOUT_MS), 0);
}

/* ---- the engine */

static enum status build(struct check *check)
{
    enum status status = line_once_open(&check->once, check->config);

    if (status != STATUS_OK)
        return status;
    check->user_ids =
        calloc(check->config->channel_count, sizeof(check->user_ids[0]));
    return check->user_ids != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static void tear_down(struct check *check)
{
    store_close(check->store);
    line_once_close(&check->once);
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
