/*
 * cmd_purge.c: `darkroom purge`: a picture is to be seen no more. What an
 * unsend of the sender does, by hand: a job of that kind is put down first, so
 * that whatever has the picture in hand meets it (queue.h), then the files go.
 */
#include <getopt.h>
#include <unistd.h>

#include "commands.h"
#include "crypto.h"
#include "operate.h"
#include "store.h"

static const char usage[] =
    "usage: darkroom purge --message ID [--channel NAME] [--config FILE]\n"
    "\n"
    "Deletes the published pictures of a message, and treats the message as\n"
    "unsent by its sender: a picture that is still being worked on is not\n"
    "published, and one that LINE sends again within a day is not answered.\n"
    "Phones that have fetched the picture may keep it for a while.\n"
    "\n"
    "  --message ID    the message's id, as in the log (job=...)\n"
    "  --channel NAME  default: the only one, or the one named default\n"
    "  --config FILE   settings (or DARKROOM_CONFIG; "
    "/etc/darkroom/darkroom.conf)\n"
    "\n"
    "Exit status: 0 done, 64 wrong arguments, 74 something could not be\n"
    "removed, 78 the settings are wrong.\n";

#define PATH_BYTES (CONFIG_VALUE_MAX + 64)

struct purge_command {
    const char *path, *message_id, *channel_name;
    struct config config;
    struct queue *queue;
    struct store *store;
    bool was_there;
};

static int fail(const char *what, enum status status)
{
    operate_complain("purge", "%s: %s", what, status_text(status));
    return EXIT_IO;
}

/* ---- the mark */

static enum status settle(struct queue *queue, enum status status)
{
    if (status == STATUS_OK)
        status = queue_commit(queue);
    if (status != STATUS_OK)
        queue_rollback(queue);
    return status;
}

/* Leased to this process: no worker is to do the same meanwhile. */
static enum status put_mark(struct queue *queue,
                            const struct config_channel *channel,
                            const char *message_id, struct job *job)
{
    char uuid[UUID_SIZE];
    enum status status = crypto_uuid(uuid);

    *job = (struct job){
        .kind = JOB_UNSEND, .event_ms = wall_ms(), .received_ms = wall_ms()};
    (void)str_copy(job->channel, sizeof(job->channel), channel->name);
    (void)str_copy(job->message_id, sizeof(job->message_id), message_id);
    (void)snprintf(job->event_id, sizeof(job->event_id), "purge-%s", uuid);
    if (status == STATUS_OK)
        status = operate_begin(queue, "purge");
    if (status != STATUS_OK)
        return status;
    return settle(queue, queue_put(queue, job, wall_ms(), LEASE_MS));
}

/* After a failure the lease is left to be reaped: a worker removes the rest. */
static enum status end_mark(struct queue *queue, struct job *job,
                            bool was_there)
{
    enum status status = operate_begin(queue, "purge");

    if (status != STATUS_OK)
        return status;
    job->state = JOB_DONE;
    job->outcome = JOB_OUTCOME_REMOVED;
    job->due_ms = wall_ms();
    (void)snprintf(job->reason, sizeof(job->reason), "purged by hand: %s",
                   was_there ? "the published picture was removed"
                             : "nothing was published");
    return settle(queue, queue_update(queue, job, NULL, wall_ms()));
}

/* ---- the files */

static enum status remove_files(struct purge_command *command,
                                const struct job *job)
{
    uint8_t key[STORE_NAME_KEY_BYTES];
    char path[PATH_BYTES], name[JOB_FILE_NAME_MAX + 1];
    enum status status;

    (void)snprintf(path, sizeof(path), "%s/name.key",
                   command->config.state_dir);
    status = store_name_key(path, key);
    for (int preview = 0; preview < 2 && status == STATUS_OK; preview++) {
        bool was_there = false;

        status = store_name(key, job->channel, job->message_id, preview == 1,
                            name, sizeof(name));
        if (status == STATUS_OK)
            status = store_remove(command->store, name, &was_there);
        command->was_there = command->was_there || was_there;
    }
    crypto_wipe(key, sizeof(key));
    return status;
}

static int purge(struct purge_command *command,
                 const struct config_channel *channel)
{
    char why[CONFIG_VALUE_MAX + 256] = "";
    struct job job;
    enum status status = store_open(&command->store, command->config.store_url,
                                    why, sizeof(why));

    if (status != STATUS_OK)
        return fail(command->config.store_url, status);
    status = put_mark(command->queue, channel, command->message_id, &job);
    if (status != STATUS_OK)
        return fail(
            "nothing was removed: the message could not be marked as unsent",
            status);
    status = remove_files(command, &job);
    if (status != STATUS_OK)
        return fail("the files could not be removed; a worker will try again",
                    status);
    status = end_mark(command->queue, &job, command->was_there);
    if (status != STATUS_OK)
        return fail("the files are removed, but that is not recorded", status);
    (void)printf("message %s of channel %s: %s; it will not come back\n",
                 job.message_id, job.channel,
                 command->was_there ? "the published picture was removed"
                                    : "nothing was published");
    return EXIT_OK;
}

/* ---- arguments */

static bool is_message_id(const char *id)
{
    size_t len = strlen(id);

    return len > 0 && len <= MESSAGE_ID_MAX &&
           strspn(id,
                  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
                  "abcdefghijklmnopqrstuvwxyz") == len;
}

static int run(struct purge_command *command)
{
    const struct config_channel *channel;
    int exit_status = operate_load(&command->config, "purge", command->path);

    if (exit_status != EXIT_OK)
        return exit_status;
    channel = operate_channel(&command->config, "purge", command->channel_name);
    if (channel == NULL)
        return EXIT_USAGE;
    exit_status =
        operate_open_queue(&command->config, "purge", &command->queue);
    return exit_status == EXIT_OK ? purge(command, channel) : exit_status;
}

int cmd_purge(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"message", required_argument, NULL, 'm'},
        {"channel", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct purge_command command = {0};
    int option, exit_status;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return EXIT_OK;
        }
        if (option == 'c')
            command.path = optarg;
        else if (option == 'm')
            command.message_id = optarg;
        else if (option == 'n')
            command.channel_name = optarg;
        else
            return operate_bad_option("purge", option, argv[optind - 1]);
    }
    if (optind < argc)
        return operate_usage_error("purge", "'%s' is one argument too many",
                                   argv[optind]);
    if (command.message_id == NULL || !is_message_id(command.message_id))
        return operate_usage_error("purge",
                                   "give the message's id: --message ID");
    exit_status = run(&command);
    store_close(command.store);
    queue_close(command.queue);
    config_release(&command.config);
    return exit_status;
}
