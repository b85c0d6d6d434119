/*
 * cmd_check.c: `darkroom check`: are the settings complete and sound, which are
 * in force, and which are there?
 */
#include <getopt.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "config_show.h"

static const char usage[] =
    "usage: darkroom check [--config FILE] [--json]\n"
    "       darkroom check --list-settings [--json]\n\n"
    "Reads the settings as `darkroom serve` would, reports everything that is\n"
    "wrong with them at once, and shows which are in force and where each is\n"
    "from. Secrets are not shown.\n\n"
    "  --config FILE    the file; default is what DARKROOM_CONFIG names\n"
    "  --list-settings  all settings there are, as a file to begin with\n"
    "  --json           for programs\n\n"
    "Exit status: 0 sound, 64 wrong arguments, 78 something is wrong.\n";

struct check_command {
    const char *path;
    bool json;
    bool list;
};

/* -1: go on; else an exit status. */
static int parse_options(struct check_command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"list-settings", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            command->path = optarg;
            break;
        case 'j':
            command->json = true;
            break;
        case 'l':
            command->list = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_OK;
        default:
            (void)fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    (void)fputs(usage, stderr);
    return EXIT_USAGE;
}

static int print(const struct buf *text, enum status status)
{
    if (status == STATUS_OK && fputs(buf_str(text), stdout) != EOF &&
        fflush(stdout) == 0)
        return EXIT_OK;
    (void)fputs("darkroom check: cannot write what it found\n", stderr);
    return EXIT_IO;
}

static int list_settings(bool json)
{
    struct buf text;
    struct json_out out;
    enum status status;
    int exit_status;

    buf_init(&text, CONFIG_SHOW_MAX_BYTES);
    if (json) {
        json_out_init(&out, &text);
        json_object(&out);
        config_list_json(&out);
        json_object_end(&out);
        status = json_out_finish(&out);
        if (status == STATUS_OK)
            status = buf_append_str(&text, "\n");
    } else {
        status = config_list(&text);
    }
    exit_status = print(&text, status);
    buf_release(&text);
    return exit_status;
}

static enum status report_json(const struct config *config, char *errors,
                               struct buf *text)
{
    struct json_out out;
    char *rest = NULL;
    enum status status;

    json_out_init(&out, text);
    json_object(&out);
    json_key(&out, "ok");
    json_bool(&out, *errors == '\0');
    json_key(&out, "errors");
    json_array(&out);
    for (char *line = strtok_r(errors, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        json_str(&out, line);
    json_array_end(&out);
    config_show_json(config, &out);
    json_object_end(&out);
    status = json_out_finish(&out);
    return status == STATUS_OK ? buf_append_str(text, "\n") : status;
}

static enum status report(const struct config *config, const char *errors,
                          struct buf *text)
{
    enum status status;

    if (*errors != '\0') {
        (void)fputs(errors, stderr);
        return STATUS_OK;
    }
    status = config_show(config, text);
    if (status == STATUS_OK)
        status = buf_printf(text,
                            "\nsettings: ok, %zu channel%s, pictures at "
                            "%s/static/\n",
                            config->channel_count,
                            config->channel_count == 1 ? "" : "s",
                            config->public_url);
    return status;
}

static int check(const struct check_command *command)
{
    struct config config;
    struct buf errors, text;
    char none[] = "";
    enum status loaded, places, status;
    int exit_status;

    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    buf_init(&text, CONFIG_SHOW_MAX_BYTES);
    loaded = config_load(&config, command->path, environ, &errors);
    places = config_check_places(&config, &errors);
    status =
        command->json
            ? report_json(&config, errors.len > 0 ? errors.data : none, &text)
            : report(&config, buf_str(&errors), &text);
    exit_status = print(&text, status);
    if (loaded != STATUS_OK || places != STATUS_OK)
        exit_status = EXIT_CONFIG;
    buf_release(&text);
    buf_release(&errors);
    config_release(&config);
    return exit_status;
}

int cmd_check(int argc, char **argv)
{
    struct check_command command = {0};
    int exit_status = parse_options(&command, argc, argv);

    if (exit_status >= 0)
        return exit_status;
    return command.list ? list_settings(command.json) : check(&command);
}
