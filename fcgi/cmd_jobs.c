/*
 * cmd_jobs.c: `darkroom jobs`: looks at the queue and takes things in hand,
 * beside the workers: every look is one short statement, every change one
 * transaction that waits its turn at the gate like theirs.
 */
#include <getopt.h>
#include <stdarg.h>

#include "commands.h"
#include "jobs_print.h"
#include "jobs_watch.h"
#include "operate.h"

static const char usage[] =
    "usage: darkroom jobs list [FILTER...]      jobs, latest first\n"
    "       darkroom jobs watch [FILTER...]     each change as it happens\n"
    "       darkroom jobs show ID...            everything about a job\n"
    "       darkroom jobs retry [--force] ID... try a dead job once more\n"
    "       darkroom jobs drop ID...            give up an unfinished job\n"
    "\n"
    "Each picture is a job. ID is the message's id, as in the log (job=...),\n"
    "or the job's number. A retry pushes the picture, since the reply token\n"
    "has expired: that needs push = on, and counts towards LINE's quota. Jobs\n"
    "that have ended are kept for [queue] keep_done and keep_dead.\n"
    "  --state S        ready, leased, done, dead\n"
    "  --outcome O      replied, pushed, failure_text, withdrawn, dead,\n"
    "                   skipped, removed\n"
    "  --channel NAME   of this channel, also with IDs\n"
    "  --since AGE      received within the last 90s, 15m, 12h, 7d, ...\n"
    "  --limit N        list: at most N jobs (default 20)\n"
    "  --reason TEXT    drop: why, for the receipt\n"
    "  --force          retry: even if a reply may have arrived already\n"
    "  --json           list, watch, show: one JSON object per line\n"
    "  --config FILE    settings (or DARKROOM_CONFIG; "
    "/etc/darkroom/darkroom.conf)\n"
    "Exit status: 0 done, 1 not all of it could be done, 64 wrong arguments,\n"
    "74 the queue cannot be read, 78 the settings are wrong.\n";

#define PAGE 64
#define LIST_DEFAULT 20
#define LIST_MAX 10000000
#define WORDS_BYTES 256

struct jobs_command {
    const char *path, *reason;
    bool json, force;
    uint32_t given; /* OPERATE_OPTION() of each */
    int64_t limit;
    struct queue_filter filter;
    struct config config;
    struct queue *queue;
};

/* ---- options */

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"state", required_argument, NULL, 's'},
    {"outcome", required_argument, NULL, 'o'},
    {"channel", required_argument, NULL, 'n'},
    {"since", required_argument, NULL, 'a'},
    {"limit", required_argument, NULL, 'l'},
    {"reason", required_argument, NULL, 'r'},
    {"force", no_argument, NULL, 'f'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* The place of `word` among names that a function gives; -1: none of them. */
static int place_of(const char *word, const char *(*name)(int), int count)
{
    for (int i = 0; i < count; i++) {
        if (str_eq(word, name(i)))
            return i;
    }
    return -1;
}

static const char *state_name(int state)
{
    return job_state_name((enum job_state)state);
}

static const char *outcome_name(int outcome)
{
    return job_outcome_name((enum job_outcome)outcome);
}

static bool take_filter(struct jobs_command *command, int option)
{
    struct queue_filter *filter = &command->filter;
    int64_t age_ms = 0;

    switch (option) {
    case 's':
        filter->state = place_of(optarg, state_name, JOB_DEAD + 1);
        return filter->state >= 0;
    case 'o':
        filter->outcome =
            place_of(optarg, outcome_name, JOB_OUTCOME_REMOVED + 1);
        return filter->outcome >= 0;
    case 'a':
        if (!config_parse_age(optarg, &age_ms))
            return false;
        filter->since_ms = wall_ms() - age_ms;
        return true;
    default:
        return str_to_int64(optarg, 1, LIST_MAX, &command->limit);
    }
}

/* Of an option's value. */
static const char *expected(int option)
{
    switch (option) {
    case 's':
        return "a state is ready, leased, done or dead";
    case 'o':
        return "an outcome is one that --help lists";
    case 'a':
        return "an age is such as 90s, 15m, 12h, 7d";
    default:
        return "a limit is a number from 1 on";
    }
}

static int take_option(struct jobs_command *command, int option,
                       const char *word)
{
    switch (option) {
    case 'c':
        command->path = optarg;
        return EXIT_OK;
    case 'n':
        command->filter.channel = optarg;
        return EXIT_OK;
    case 'r':
        command->reason = optarg;
        return strlen(optarg) <= JOB_REASON_MAX
                   ? EXIT_OK
                   : operate_usage_error("jobs",
                                         "a reason may have %d bytes at most",
                                         JOB_REASON_MAX);
    case 'f':
        command->force = true;
        return EXIT_OK;
    case 'j':
        command->json = true;
        return EXIT_OK;
    case 's':
    case 'o':
    case 'a':
    case 'l':
        return take_filter(command, option)
                   ? EXIT_OK
                   : operate_usage_error("jobs", "'%s': %s", optarg,
                                         expected(option));
    default:
        return operate_bad_option("jobs", option, word);
    }
}

/* -1: go on; else an exit status. */
static int parse_options(struct jobs_command *command, int argc, char **argv)
{
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        int exit_status;

        if (option == 'h') {
            (void)fputs(usage, stdout);
            return EXIT_OK;
        }
        exit_status = take_option(command, option, argv[optind - 1]);
        if (exit_status != EXIT_OK)
            return exit_status;
        command->given |= OPERATE_OPTION(option);
    }
    return -1;
}

/* ---- list */

static int fail(enum status status)
{
    operate_complain("jobs", "%s", status_text(status));
    return EXIT_IO;
}

static enum status print(const struct jobs_command *command,
                         const struct job *job)
{
    if (command->json)
        return jobs_print_json(&command->config, job);
    jobs_print_row(job);
    return STATUS_OK;
}

static int list(struct jobs_command *command, char **ids, int count)
{
    struct job *jobs = calloc(PAGE, sizeof(*jobs));
    enum status status = jobs != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    size_t found = 1;

    (void)ids;
    (void)count;
    if (!command->json)
        jobs_print_head();
    while (status == STATUS_OK && found > 0 && command->limit > 0) {
        status = queue_list(command->queue, &command->filter, jobs,
                            size_min(PAGE, (size_t)command->limit), &found);
        for (size_t i = 0; status == STATUS_OK && i < found; i++)
            status = print(command, &jobs[i]);
        if (found > 0)
            command->filter.before_id = jobs[found - 1].id;
        command->limit -= (int64_t)found;
    }
    free(jobs);
    return status == STATUS_OK ? EXIT_OK : fail(status);
}

/* ---- one at a time */

typedef int each_fn(struct jobs_command *command, const struct job *job);

/* What the jobs of a message, or the one of a number, come to. */
static int for_id(struct jobs_command *command, const char *id, each_fn *fn,
                  struct job *jobs)
{
    struct queue_filter filter = QUEUE_FILTER_ALL;
    int worst = EXIT_OK;
    int64_t number = 0;
    size_t count = 0;
    enum status status;

    if (*id == '\0') /* of a variable that is not set; "" would be all */
        return operate_usage_error("jobs", "an empty ID is no job");
    filter.message_id = id;
    filter.channel = command->filter.channel;
    status = queue_list(command->queue, &filter, jobs, PAGE, &count);
    if (status == STATUS_OK && count == 0 &&
        str_to_int64(id, 1, INT64_MAX, &number)) {
        status = queue_get(command->queue, number, &jobs[0]);
        count = status == STATUS_OK ? 1 : 0;
    } else if (status == STATUS_OK && count == 0) {
        status = STATUS_NOT_FOUND;
    }
    if (status == STATUS_NOT_FOUND) {
        operate_complain("jobs", "%s: no such job (any more)", id);
        return EXIT_FAILED;
    }
    if (status != STATUS_OK)
        return fail(status);
    for (size_t i = 0; i < count; i++) {
        int exit_status = fn(command, &jobs[i]);

        worst = exit_status > worst ? exit_status : worst;
    }
    return worst;
}

static int for_ids(struct jobs_command *command, char **ids, int count,
                   each_fn *fn)
{
    struct job *jobs = calloc(PAGE, sizeof(*jobs));
    int worst = EXIT_OK;

    if (jobs == NULL)
        return fail(STATUS_NO_MEMORY);
    for (int i = 0; i < count; i++) {
        int exit_status = for_id(command, ids[i], fn, jobs);

        worst = exit_status > worst ? exit_status : worst;
    }
    free(jobs);
    if (count == 0)
        return operate_usage_error(
            "jobs", "name a job: its number, or its message's id");
    return worst;
}

static int show_one(struct jobs_command *command, const struct job *job)
{
    if (command->json)
        return jobs_print_json(&command->config, job) == STATUS_OK ? EXIT_OK
                                                                   : EXIT_IO;
    jobs_print_receipt(&command->config, job);
    return EXIT_OK;
}

static int show(struct jobs_command *command, char **ids, int count)
{
    return for_ids(command, ids, count, show_one);
}

/* ---- retry and drop */

PRINTF_LIKE(2, 3)
static int refuse(const struct job *job, const char *format, ...)
{
    char words[WORDS_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    operate_complain("jobs", "job %lld, message %s: %s", (long long)job->id,
                     job->message_id, words);
    return EXIT_FAILED;
}

/* One transaction; what came of it in words. */
static int change(struct jobs_command *command, const struct job *job,
                  const char *reason, const char *done)
{
    enum status status = operate_begin(command->queue, "jobs");

    if (status != STATUS_OK)
        return fail(status);
    status = reason == NULL
                 ? queue_requeue(command->queue, job->id, wall_ms())
                 : queue_drop(command->queue, job->id, reason, wall_ms());
    if (status == STATUS_OK)
        status = queue_commit(command->queue);
    if (status != STATUS_OK)
        queue_rollback(command->queue);
    if (status == STATUS_NOT_FOUND)
        return refuse(job, "it has changed meanwhile: look at it again");
    if (status != STATUS_OK)
        return fail(status);
    (void)printf("job %lld, message %s: %s\n", (long long)job->id,
                 job->message_id, done);
    return EXIT_OK;
}

static int retry_one(struct jobs_command *command, const struct job *job)
{
    const struct config_channel *channel =
        config_channel(&command->config, job->channel);

    if (job->state != JOB_DEAD)
        return refuse(job, "it is %s and not dead: there is nothing to retry",
                      job_state_name(job->state));
    if (job->kind == JOB_UNSEND)
        return change(command, job, NULL, "its files are removed once more");
    if (channel == NULL)
        return refuse(job, "its channel %s is not in the settings",
                      job->channel);
    if (channel->push != 1)
        return refuse(job,
                      "its reply token has expired and channel %s may not "
                      "push: set push = on, reload the workers, retry again",
                      job->channel);
    if (job->source_id[0] == '\0')
        return refuse(job, "LINE did not say who sent it: nobody to push to");
    if (job->reply_in_doubt && !command->force)
        return refuse(job,
                      "a reply may have arrived; --force pushes all the "
                      "same");
    return change(command, job, NULL, "is tried once more, to be pushed");
}

static int retry(struct jobs_command *command, char **ids, int count)
{
    return for_ids(command, ids, count, retry_one);
}

static int drop_one(struct jobs_command *command, const struct job *job)
{
    if (job->state == JOB_DONE || job->state == JOB_DEAD)
        return refuse(job, "it is %s already", job_state_name(job->state));
    return change(command, job, command->reason,
                  job->state == JOB_LEASED
                      ? "is dead; a worker has it in hand and may still answer"
                      : "is dead");
}

static int drop(struct jobs_command *command, char **ids, int count)
{
    return for_ids(command, ids, count, drop_one);
}

/* ---- watch */

static enum status print_change(void *arg, const struct job *job)
{
    enum status status = print(arg, job);

    return status == STATUS_OK && fflush(stdout) == EOF ? STATUS_IO : status;
}

static int watch(struct jobs_command *command, char **ids, int count)
{
    (void)ids;
    (void)count;
    if (!command->json)
        jobs_print_head();
    if (fflush(stdout) == EOF)
        return fail(STATUS_IO);
    return fail(
        jobs_watch(command->queue, &command->filter, print_change, command));
}

/* ---- */

static const struct {
    const char *name;
    int (*run)(struct jobs_command *command, char **ids, int count);
    bool takes_ids;
    const char *takes; /* options, by letter */
} verbs[] = {
    {"list", list, false, "csonalj"}, {"watch", watch, false, "csonaj"},
    {"show", show, true, "cnj"},      {"retry", retry, true, "cnf"},
    {"drop", drop, true, "cnr"},
};

static int run(struct jobs_command *command, char **words, int count)
{
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        int exit_status;

        if (!str_eq(words[0], verbs[i].name))
            continue;
        if (!verbs[i].takes_ids && count > 1)
            return operate_usage_error("jobs", "'%s' is one argument too many",
                                       words[1]);
        exit_status = operate_check_options("jobs", verbs[i].name, options,
                                            command->given, verbs[i].takes);
        if (exit_status != EXIT_OK)
            return exit_status;
        exit_status = operate_load(&command->config, "jobs", command->path);
        if (exit_status == EXIT_OK)
            exit_status =
                operate_open_queue(&command->config, "jobs", &command->queue);
        if (exit_status == EXIT_OK)
            exit_status = verbs[i].run(command, words + 1, count - 1);
        queue_close(command->queue);
        config_release(&command->config);
        return exit_status;
    }
    return operate_usage_error("jobs",
                               "'%s' is none of list, watch, show, "
                               "retry, drop",
                               words[0]);
}

int cmd_jobs(int argc, char **argv)
{
    struct jobs_command command = {
        .reason = "dropped by hand",
        .limit = LIST_DEFAULT,
        .filter = QUEUE_FILTER_ALL,
    };
    int exit_status = parse_options(&command, argc, argv);

    if (exit_status >= 0)
        return exit_status;
    if (optind == argc)
        return operate_usage_error(
            "jobs", "say what to do: list, watch, show, retry or drop");
    return run(&command, argv + optind, argc - optind);
}
