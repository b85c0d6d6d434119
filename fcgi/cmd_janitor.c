/*
 * cmd_janitor.c: `darkroom janitor`: one sweep now, as the workers make one
 * every hour.
 */
#include <getopt.h>
#include <unistd.h>

#include "commands.h"
#include "janitor.h"
#include "operate.h"

static const char usage[] =
    "usage: darkroom janitor [--dry-run] [--config FILE]\n"
    "\n"
    "Removes published pictures older than [store] retention, unfinished "
    "files\n"
    "of workers that died, and receipts of jobs that ended longer ago than\n"
    "[queue] keep_done and keep_dead. The workers do the same by themselves;\n"
    "run this to do it now, or to see what would be removed.\n"
    "\n"
    "  --dry-run      only count, remove nothing\n"
    "  --config FILE  settings (or DARKROOM_CONFIG; "
    "/etc/darkroom/darkroom.conf)\n"
    "\n"
    "Exit status: 0 done, 64 wrong arguments, 74 something could not be\n"
    "removed, 78 the settings are wrong.\n";

/* In one transaction, which a dry run takes back. */
static enum status forget_some(struct queue *queue, const struct config *config,
                               bool dry_run, size_t *count)
{
    const struct queue_keep keep = {.done_ms = config->keep_done_ms,
                                    .dead_ms = config->keep_dead_ms};
    enum status status = operate_begin(queue, "janitor");

    if (status != STATUS_OK)
        return status;
    status = queue_purge(queue, &keep, wall_ms(), QUEUE_PURGE_MAX, count);
    if (status == STATUS_OK && !dry_run)
        status = queue_commit(queue);
    if (status != STATUS_OK || dry_run)
        queue_rollback(queue);
    return status;
}

/* The workers take their turns between the transactions. */
static enum status forget_jobs(struct queue *queue, const struct config *config,
                               size_t *forgotten)
{
    enum status status = STATUS_OK;
    size_t count = QUEUE_PURGE_MAX;

    *forgotten = 0;
    while (status == STATUS_OK && count == QUEUE_PURGE_MAX) {
        status = forget_some(queue, config, false, &count);
        if (status == STATUS_OK)
            *forgotten += count;
    }
    return status;
}

static int fail(const char *what, const char *why)
{
    operate_complain("janitor", "%s: %s", what, why);
    return EXIT_IO;
}

static int sweep_files(const struct config *config, bool dry_run)
{
    const char *path = strchr(config->store_url, ':');
    struct store_sweep sweep = {.dry_run = dry_run};
    char why[CONFIG_VALUE_MAX + 256] = "";
    struct store *store = NULL;
    enum status status;

    if (path == NULL || access(path + 1, W_OK) < 0)
        return fail(config->store_url,
                    "it is missing, or this user may not write to it");
    status = store_open(&store, config->store_url, why, sizeof(why));
    if (status != STATUS_OK)
        return fail(config->store_url, why);
    status = janitor_sweep(store, config, &sweep);
    store_close(store);
    (void)printf("%zu file%s beyond retention, %zu leftover%s, %.1f MB%s\n",
                 sweep.files, sweep.files == 1 ? "" : "s", sweep.leftovers,
                 sweep.leftovers == 1 ? "" : "s", (double)sweep.bytes / 1e6,
                 dry_run ? " would be removed" : " removed");
    return status == STATUS_OK ? EXIT_OK
                               : fail(config->store_url, status_text(status));
}

static int sweep_jobs(const struct config *config, bool dry_run)
{
    struct queue *queue = NULL;
    size_t forgotten = 0;
    int exit_status = operate_open_queue(config, "janitor", &queue);
    enum status status;

    if (exit_status != EXIT_OK)
        return exit_status;
    status = dry_run ? forget_some(queue, config, true, &forgotten)
                     : forget_jobs(queue, config, &forgotten);
    queue_close(queue);
    (void)printf(
        "%zu%s receipt%s beyond keep_done and keep_dead, %s\n", forgotten,
        dry_run && forgotten == QUEUE_PURGE_MAX ? " or more" : "",
        forgotten == 1 ? "" : "s", dry_run ? "would be removed" : "removed");
    return status == STATUS_OK ? EXIT_OK : fail("queue", status_text(status));
}

int cmd_janitor(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"dry-run", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    struct config config;
    bool dry_run = false;
    int option, exit_status;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return EXIT_OK;
        }
        if (option != 'c' && option != 'd')
            return operate_bad_option("janitor", option, argv[optind - 1]);
        dry_run = dry_run || option == 'd';
        path = option == 'c' ? optarg : path;
    }
    if (optind < argc)
        return operate_usage_error("janitor", "'%s' is one argument too many",
                                   argv[optind]);
    exit_status = operate_load(&config, "janitor", path);
    if (exit_status == EXIT_OK)
        exit_status = sweep_files(&config, dry_run);
    if (exit_status == EXIT_OK)
        exit_status = sweep_jobs(&config, dry_run);
    config_release(&config);
    return exit_status;
}
