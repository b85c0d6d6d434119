/*
 * cmd_check.c: `darkroom check`: does all of it work? check.h finds out; here
 * are the arguments and how it is told. With --settings, no more than which
 * settings are in force; with --list-settings, which there are.
 */
#include <getopt.h>
#include <unistd.h>

#include "check.h"
#include "commands.h"
#include "config_show.h"
#include "operate.h"

static const char usage[] =
    "usage: darkroom check [--config FILE] [--offline] [--json]\n"
    "       darkroom check --settings [--config FILE] [--json]\n"
    "       darkroom check --list-settings [--json]\n"
    "\n"
    "Tests the whole installation: settings, directories, disk, queue and\n"
    "jail; a file published and fetched back through public_url; the workers;\n"
    "each channel's token and webhook at LINE, and that both are of one bot;\n"
    "the clock. Each failure is followed by what to do about it. Run it at\n"
    "any time, also while workers run. Under root it works as the owner of\n"
    "the state directory. It takes two minutes at most. LINE allows 60 tests\n"
    "of a webhook in an hour.\n"
    "\n"
    "  --config FILE    settings (or DARKROOM_CONFIG; "
    "/etc/darkroom/darkroom.conf)\n"
    "  --offline        test only this machine: ask neither nginx nor LINE\n"
    "  --settings       show only which settings are in force, and from where\n"
    "  --list-settings  list all settings there are, as a file to start from\n"
    "  --json           print JSON\n"
    "\n"
    "Exit status: 0 nothing failed, 1 something failed, 64 wrong arguments,\n"
    "74 the check itself could not work, 78 the settings are wrong.\n";

struct check_command {
    const char *path;
    bool json, list, settings, offline;
    struct json_out out; /* with --json */
    int passed, failed, skipped;
};

/* -1: go on; else an exit status. */
static int parse_options(struct check_command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"list-settings", no_argument, NULL, 'l'},
        {"offline", no_argument, NULL, 'o'},
        {"settings", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
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
        case 'o':
            command->offline = true;
            break;
        case 's':
            command->settings = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_OK;
        default:
            return operate_bad_option("check", option, argv[optind - 1]);
        }
    }
    return optind == argc
               ? -1
               : operate_usage_error("check", "'%s' is one argument too many",
                                     argv[optind]);
}

static int print(const struct buf *text, enum status status)
{
    if (status == STATUS_OK) {
        (void)fputs(buf_str(text), stdout); /* main() sees whether it could */
        return EXIT_OK;
    }
    operate_complain("check", "%s", status_text(status));
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

static enum status report(const struct config *config, const char *path,
                          const char *errors, struct buf *text)
{
    enum status status;

    if (*errors != '\0') {
        (void)fputs(errors, stderr);
        if (config->file[0] == '\0')
            operate_say_settings_wrong("check", path);
        return STATUS_OK;
    }
    status = config_show(config, text);
    if (status == STATUS_OK)
        status = buf_printf(
            text,
            "\nsettings: ok, %s, %zu channel%s, pictures at "
            "%s/static/\n",
            config->file[0] != '\0' ? "from the file and the environment"
                                    : "from the environment alone",
            config->channel_count, config->channel_count == 1 ? "" : "s",
            config->public_url);
    return status;
}

/* ---- --settings */

static int show_settings(const struct check_command *command)
{
    struct config config;
    struct buf errors, text;
    char none[] = "";
    enum status loaded, places, status;
    int exit_status;

    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    buf_init(&text, CONFIG_SHOW_MAX_BYTES);
    loaded = config_load(&config, operate_config_file(command->path), environ,
                         &errors);
    places = config_check_places(&config, &errors);
    status =
        command->json
            ? report_json(&config, errors.len > 0 ? errors.data : none, &text)
            : report(&config, command->path, buf_str(&errors), &text);
    exit_status = print(&text, status);
    if (loaded != STATUS_OK || places != STATUS_OK)
        exit_status = EXIT_CONFIG;
    buf_release(&text);
    buf_release(&errors);
    config_release(&config);
    return exit_status;
}

/* ---- the check */

static void tell(void *arg, const struct check_line *line)
{
    struct check_command *command = arg;

    command->passed += line->result == CHECK_PASS;
    command->failed += line->result == CHECK_FAIL;
    command->skipped += line->result == CHECK_SKIP;
    (void)printf("%s  %-12s %s%s%s\n", check_result_name(line->result),
                 line->name, line->channel,
                 line->channel[0] != '\0' ? ": " : "", line->found);
    if (line->advice[0] != '\0')
        (void)printf("      -> %s\n", line->advice);
    (void)fflush(stdout);
}

static void tell_json(void *arg, const struct check_line *line)
{
    struct check_command *command = arg;
    struct json_out *out = &command->out;

    command->failed += line->result == CHECK_FAIL;
    json_object(out);
    json_key(out, "name");
    json_str(out, line->name);
    json_key(out, "channel");
    json_str(out, line->channel);
    json_key(out, "result");
    json_str(out, check_result_name(line->result));
    json_key(out, "found");
    json_str(out, line->found);
    json_key(out, "advice");
    json_str(out, line->advice);
    json_object_end(out);
}

static void tell_queue_wait(void *arg)
{
    (void)arg;
    operate_say_queue_wait("check");
}

static enum status run(struct check_command *command,
                       const struct config *config)
{
    struct check_options options = {
        .config = config,
        .offline = command->offline,
        .arg = command,
        .on_line = command->json ? tell_json : tell,
        .on_queue_wait = tell_queue_wait,
    };

    (void)!lab_keeper_spawn(NULL, &options.keeper); /* fd -1 tells */
    return check_run(&options);
}

static int run_json(struct check_command *command, const struct config *config)
{
    struct json_out *out = &command->out;
    struct buf text;
    enum status status, written;
    int exit_status;

    buf_init(&text, CONFIG_SHOW_MAX_BYTES);
    json_out_init(out, &text);
    json_object(out);
    json_key(out, "checks");
    json_array(out);
    status = run(command, config);
    json_array_end(out);
    json_key(out, "ok");
    json_bool(out, status == STATUS_OK && command->failed == 0);
    json_object_end(out);
    written = json_out_finish(out);
    if (written == STATUS_OK)
        written = buf_append_str(&text, "\n");
    exit_status = print(&text, written);
    buf_release(&text);
    return status == STATUS_OK ? exit_status : EXIT_IO;
}

static int check(struct check_command *command)
{
    struct config config;
    int exit_status = operate_load(&config, "check", command->path);

    if (exit_status != EXIT_OK && command->json) {
        (void)show_settings(command); /* says "ok": false, and why */
    } else if (exit_status == EXIT_OK && command->json) {
        exit_status = run_json(command, &config);
    } else if (exit_status == EXIT_OK) {
        exit_status = run(command, &config) == STATUS_OK ? EXIT_OK : EXIT_IO;
        (void)printf("\n%d passed, %d failed, %d skipped\n", command->passed,
                     command->failed, command->skipped);
    }
    config_release(&config);
    return exit_status == EXIT_OK && command->failed > 0 ? EXIT_FAILED
                                                         : exit_status;
}

int cmd_check(int argc, char **argv)
{
    struct check_command command = {0};
    int exit_status = parse_options(&command, argc, argv);

    if (exit_status >= 0)
        return exit_status;
    if (command.list)
        return list_settings(command.json);
    return command.settings ? show_settings(&command) : check(&command);
}
