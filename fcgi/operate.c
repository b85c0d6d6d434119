/*
 * operate.c: see operate.h.
 */
#include "operate.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "log.h"
#include "overdue.h"
#include "utf8.h"

#define WHY_BYTES (CONFIG_VALUE_MAX + 256)

static void complain(const char *command, const char *format, va_list args)
{
    char words[2 * WHY_BYTES];

    (void)vsnprintf(words, sizeof(words), format, args);
    utf8_clean(words);
    (void)fprintf(stderr, "darkroom%s%s: %s\n", *command != '\0' ? " " : "",
                  command, words);
}

void operate_complain(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(command, format, args);
    va_end(args);
}

int operate_usage_error(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(command, format, args);
    va_end(args);
    (void)fprintf(stderr, "'darkroom %s --help' tells the arguments.\n",
                  command);
    return EXIT_USAGE;
}

int operate_bad_option(const char *command, int option, const char *word)
{
    if (option == ':')
        return operate_usage_error(command, "'%s' needs a value", word);
    /* A letter of "-xy": the word may be the one before. */
    if (optopt != 0 && strchr(word, '=') == NULL)
        return operate_usage_error(command, "'-%c' is not an option of %s",
                                   optopt, command);
    return operate_usage_error(command,
                               "'%s' is not an option of %s, or takes no value",
                               word, command);
}

int operate_check_options(const char *command, const char *verb,
                          const struct option *options, uint32_t given,
                          const char *takes)
{
    for (; options->name != NULL; options++) {
        if ((given & OPERATE_OPTION(options->val)) != 0 &&
            strchr(takes, options->val) == NULL)
            return operate_usage_error(command, "%s %s takes no --%s", command,
                                       verb, options->name);
    }
    return EXIT_OK;
}

/* ---- settings and user */

/* Root without a state directory, or with one of its own, stays root. */
static bool become_owner(const struct config *config, const char *command)
{
    struct stat st;
    const struct passwd *owner;

    if (geteuid() != 0 || stat(config->state_dir, &st) < 0 || st.st_uid == 0)
        return true;
    owner = getpwuid(st.st_uid);
    if ((owner != NULL ? initgroups(owner->pw_name, owner->pw_gid)
                       : setgroups(0, NULL)) == 0 &&
        setgid(owner != NULL ? owner->pw_gid : st.st_gid) == 0 &&
        setuid(st.st_uid) == 0)
        return true;
    operate_complain(command, "cannot become the owner of '%s': %s",
                     config->state_dir, strerror(errno));
    return false;
}

const char *operate_config_file(const char *argument)
{
    if (argument != NULL || getenv("DARKROOM_CONFIG") != NULL)
        return argument;
    return access(OPERATE_CONFIG_FILE, R_OK) == 0 ? OPERATE_CONFIG_FILE : NULL;
}

static bool is_file_named(const char *file)
{
    const char *variable = getenv("DARKROOM_CONFIG");

    return file != NULL || (variable != NULL && *variable != '\0');
}

void operate_say_settings_wrong(const char *command, const char *file)
{
    operate_complain(command, "the settings are wrong; %s",
                     is_file_named(file)
                         ? "'darkroom check --list-settings' lists them"
                         : "no file was given: --config FILE or "
                           "DARKROOM_CONFIG names one");
}

int operate_load(struct config *config, const char *command, const char *path)
{
    const char *file = operate_config_file(path);
    struct buf errors;
    enum status status;

    log_set_level(LOG_LEVEL_ERROR);
    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    status = config_load(config, file, environ, &errors);
    if (errors.len > 0)
        (void)fputs(buf_str(&errors), stderr);
    if (status != STATUS_OK)
        operate_say_settings_wrong(command, file);
    buf_release(&errors);
    return status == STATUS_OK && become_owner(config, command) ? EXIT_OK
                                                                : EXIT_CONFIG;
}

/* ---- the queue */

void operate_say_queue_wait(const char *command)
{
    operate_complain(command,
                     "the queue is held by another process; waiting for it");
}

static void say_wait(void *arg)
{
    const char *const *command = arg;

    operate_say_queue_wait(*command);
}

enum status operate_begin(struct queue *queue, const char *command)
{
    struct overdue overdue;
    enum status status;

    overdue_begin(&overdue, QUEUE_OPEN_TELL_MS, say_wait, &command);
    status = queue_begin(queue);
    overdue_end(&overdue);
    return status;
}

int operate_open_queue(const struct config *config, const char *command,
                       struct queue **queue)
{
    const char *path = strchr(config->queue_url, ':');
    char why[WHY_BYTES] = "";
    struct overdue overdue;
    enum status status;

    if (path == NULL || access(path + 1, R_OK | W_OK) < 0) {
        operate_complain(command, "no queue at '%s': %s", config->queue_url,
                         strerror(errno));
        return EXIT_IO;
    }
    overdue_begin(&overdue, QUEUE_OPEN_TELL_MS, say_wait, &command);
    status = queue_open(queue, config->queue_url, why, sizeof(why));
    overdue_end(&overdue);
    if (status == STATUS_OK)
        return EXIT_OK;
    operate_complain(command, "%s", why);
    return EXIT_IO;
}

/* ---- the channel */

const struct config_channel *operate_channel(const struct config *config,
                                             const char *command,
                                             const char *name)
{
    const struct config_channel *channel =
        config_channel(config, name != NULL ? name : "");
    enum status status = STATUS_OK;
    struct buf names;

    if (channel != NULL)
        return channel;
    buf_init(&names, CHANNELS_MAX * (CHANNEL_NAME_MAX + 1) + 1);
    for (size_t i = 0; i < config->channel_count && status == STATUS_OK; i++)
        status = buf_printf(&names, " %s", config->channels[i].name);
    if (name != NULL)
        operate_complain(command, "there is no channel '%s'; there are:%s",
                         name, buf_str(&names));
    else
        operate_complain(command, "which channel? --channel NAME; there are:%s",
                         buf_str(&names));
    buf_release(&names);
    return NULL;
}

/* ---- times */

void operate_time(int64_t wall_ms, char out[OPERATE_TIME_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm = {0};

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(out, OPERATE_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
