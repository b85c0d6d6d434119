/*
 * cmd_webhook.c: `darkroom webhook`: the address that LINE calls, as LINE knows
 * it (line-platform 8).
 */
#include <getopt.h>

#include "commands.h"
#include "json.h"
#include "line_once.h"
#include "operate.h"
#include "utf8.h"

static const char usage[] =
    "usage: darkroom webhook show [--channel NAME] [--json]\n"
    "       darkroom webhook set [--channel NAME] [--url URL]\n"
    "       darkroom webhook test [--channel NAME] [--url URL] [--json]\n"
    "\n"
    "show prints the webhook URL that LINE has for a channel, and whether "
    "LINE\n"
    "uses it. set changes it, by default to public_url with the channel's\n"
    "path; that takes up to a minute to come into force. test has LINE call "
    "it\n"
    "(60 times an hour at most). 'Use webhook' and 'Webhook redelivery' can "
    "be\n"
    "switched in the LINE Developers console only.\n"
    "\n"
    "  --channel NAME  default: the only one, or the one named default\n"
    "  --url URL       set or test this URL\n"
    "  --json          print JSON\n"
    "  --config FILE   settings (or DARKROOM_CONFIG; "
    "/etc/darkroom/darkroom.conf)\n"
    "\n"
    "Exit status: 0 done, or the webhook works; 1 LINE refuses, or it does "
    "not\n"
    "work; 64 wrong arguments; 74 LINE cannot be reached; 78 the settings are\n"
    "wrong.\n";

struct webhook_command {
    const char *path, *channel_name, *url;
    bool json;
    uint32_t given; /* OPERATE_OPTION() of each */
    struct config config;
    const struct config_channel *channel;
    struct line_once once;
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"channel", required_argument, NULL, 'n'},
    {"url", required_argument, NULL, 'u'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* -1: go on; else an exit status. */
static int parse_options(struct webhook_command *command, int argc, char **argv)
{
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            command->path = optarg;
            break;
        case 'n':
            command->channel_name = optarg;
            break;
        case 'u':
            command->url = optarg;
            break;
        case 'j':
            command->json = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_OK;
        default:
            return operate_bad_option("webhook", option, argv[optind - 1]);
        }
        command->given |= OPERATE_OPTION(option);
    }
    return -1;
}

static int fail(const struct webhook_command *command)
{
    const struct line_outcome *outcome = &command->once.outcome;

    operate_complain("webhook", "channel %s: %s%s%s", command->channel->name,
                     status_text(outcome->status),
                     outcome->detail[0] != '\0' ? ": " : "", outcome->detail);
    return status_is_retry(outcome->status) ? EXIT_IO : EXIT_FAILED;
}

static int print_json(struct json_out *out, struct buf *text)
{
    enum status status = json_out_finish(out);

    if (status == STATUS_OK && puts(buf_str(text)) == EOF)
        status = STATUS_IO;
    buf_release(text);
    return status == STATUS_OK ? EXIT_OK : EXIT_IO;
}

/* ---- show */

static int show(struct webhook_command *command, struct line_query *query)
{
    struct line_webhook webhook = {0};
    enum status status = line_once_wait(
        &command->once, line_webhook_get(command->once.line, query, &webhook,
                                         &command->once.call));
    struct json_out out;
    struct buf text;

    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return fail(command);
    if (!command->json) {
        (void)printf("%s %s\n",
                     status == STATUS_NOT_FOUND ? "(none is set)" : webhook.url,
                     webhook.active ? "in use" : "not in use");
        return EXIT_OK;
    }
    buf_init(&text, 4 * LINE_WEBHOOK_MAX);
    json_out_init(&out, &text);
    json_object(&out);
    json_key(&out, "channel");
    json_str(&out, command->channel->name);
    json_key(&out, "url");
    json_str(&out, webhook.url);
    json_key(&out, "active");
    json_bool(&out, webhook.active);
    json_object_end(&out);
    return print_json(&out, &text);
}

/* ---- set */

static int set(struct webhook_command *command, struct line_query *query)
{
    char url[CONFIG_VALUE_MAX + CHANNEL_NAME_MAX + 16];
    const char *wanted = command->url != NULL ? command->url : url;
    enum status status;

    config_webhook_url(&command->config, command->channel, url, sizeof(url));
    status = line_once_wait(&command->once,
                            line_webhook_set(command->once.line, query, wanted,
                                             &command->once.call));
    if (status != STATUS_OK)
        return fail(command);
    if (wanted != url)
        (void)snprintf(url, sizeof(url), "%s", wanted);
    utf8_clean(url);
    (void)printf("%s is set, in force within a minute\n", url);
    return EXIT_OK;
}

/* ---- test */

static int test_json(const struct webhook_command *command,
                     const struct line_webhook_result *result)
{
    struct json_out out;
    struct buf text;

    buf_init(&text, 4 * LINE_WEBHOOK_MAX);
    json_out_init(&out, &text);
    json_object(&out);
    json_key(&out, "channel");
    json_str(&out, command->channel->name);
    json_key(&out, "success");
    json_bool(&out, result->success);
    json_key(&out, "http_status");
    json_int(&out, result->http_status);
    json_key(&out, "reason");
    json_str(&out, result->reason);
    json_key(&out, "detail");
    json_str(&out, result->detail);
    json_object_end(&out);
    return print_json(&out, &text);
}

static int test(struct webhook_command *command, struct line_query *query)
{
    struct line_webhook_result result = {0};
    int exit_status = EXIT_OK;

    if (line_once_wait(&command->once,
                       line_webhook_test(command->once.line, query,
                                         command->url, &result,
                                         &command->once.call)) != STATUS_OK)
        return fail(command);
    if (command->json)
        exit_status = test_json(command, &result);
    else
        (void)printf("%s: HTTP %lld, %s\n", result.reason,
                     (long long)result.http_status, result.detail);
    if (exit_status != EXIT_OK)
        return exit_status;
    return result.success ? EXIT_OK : EXIT_FAILED;
}

/* ---- */

static const struct verb {
    const char *name;
    int (*run)(struct webhook_command *command, struct line_query *query);
    const char *takes; /* options, by letter */
} verbs[] = {
    {"show", show, "cnj"}, {"set", set, "cnu"}, {"test", test, "cnuj"}};

static int run(struct webhook_command *command, const struct verb *verb)
{
    struct line_query query;
    int exit_status = operate_load(&command->config, "webhook", command->path);

    if (exit_status != EXIT_OK)
        return exit_status;
    command->channel =
        operate_channel(&command->config, "webhook", command->channel_name);
    if (command->channel == NULL)
        return EXIT_USAGE;
    exit_status = EXIT_IO;
    if (line_once_open(&command->once, &command->config) == STATUS_OK) {
        query = line_once_query(&command->once, command->channel,
                                HTTP_API_TIMEOUT_MS);
        exit_status = verb->run(command, &query);
    }
    line_once_close(&command->once);
    return exit_status;
}

int cmd_webhook(int argc, char **argv)
{
    struct webhook_command command = {0};
    int exit_status = parse_options(&command, argc, argv);

    if (exit_status >= 0)
        return exit_status;
    if (optind + 1 != argc)
        return operate_usage_error("webhook",
                                   "say what to do: show, set or test");
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        if (!str_eq(argv[optind], verbs[i].name))
            continue;
        exit_status = operate_check_options("webhook", verbs[i].name, options,
                                            command.given, verbs[i].takes);
        if (exit_status != EXIT_OK)
            return exit_status;
        exit_status = run(&command, &verbs[i]);
        config_release(&command.config);
        return exit_status;
    }
    return operate_usage_error("webhook", "'%s' is none of show, set, test",
                               argv[optind]);
}
