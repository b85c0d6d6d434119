/*
 * check_machine.c: what can be told without a request: secrets, directories,
 * disk, queue, jail.
 *
 * Nothing is made that is not there yet: who runs a check is perhaps not who
 * runs the workers, and would own it.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_parts.h"
#include "config_table.h"
#include "crypto.h"
#include "overdue.h"
#include "queue.h"

/* ---- secrets */

static bool share_a_secret(const struct config_channel *a,
                           const struct config_channel *b)
{
    for (size_t i = 0; i < a->secret_count; i++) {
        for (size_t j = 0; j < b->secret_count; j++) {
            if (crypto_equal(a->secrets[i], strlen(a->secrets[i]),
                             b->secrets[j], strlen(b->secrets[j])))
                return true;
        }
    }
    return false;
}

static bool share_a_token(const struct config_channel *a,
                          const struct config_channel *b)
{
    return a->access_token[0] != '\0' &&
           crypto_equal(a->access_token, strlen(a->access_token),
                        b->access_token, strlen(b->access_token));
}

static bool compare_channels(struct check *check,
                             const struct config_channel *a,
                             const struct config_channel *b)
{
    bool secret = share_a_secret(a, b), token = share_a_token(a, b);

    if (!secret && !token)
        return true;
    check_fail(check, "secrets", b,
               "every channel has a secret (Basic settings) and a token "
               "(Messaging API) of its own in LINE's console: copy them again",
               "channels %s and %s have the same %s", a->name, b->name,
               secret && token ? "secret and the same access token"
               : secret        ? "secret"
                               : "access token");
    return false;
}

/* By the modes: of the file, and of the directories that its name names. */
static bool others_may_read(const char *path)
{
    char part[CHECK_PATH_BYTES];
    struct stat st;

    if (*path == '\0' || stat(path, &st) < 0 || (st.st_mode & S_IROTH) == 0)
        return false;
    for (size_t len = 1; path[len] != '\0'; len++) {
        if (path[len] != '/')
            continue;
        if (!str_copy_n(part, sizeof(part), path, len) || stat(part, &st) < 0 ||
            (st.st_mode & S_IXOTH) == 0)
            return false;
    }
    return true;
}

static bool check_readers(struct check *check,
                          const struct config_channel *channel,
                          const char *path)
{
    char advice[CHECK_PATH_BYTES + 64];

    if (!others_may_read(path))
        return true;
    (void)snprintf(advice, sizeof(advice),
                   "chmod o= '%s', and chgrp it to the group of the workers",
                   path);
    check_fail(check, "secrets", channel, advice,
               "every user of this machine may read '%s', with a secret in it",
               path);
    return false;
}

/* In the settings' file itself, not in a file that it names. */
static bool has_secret_in_file(const struct config *config)
{
    for (size_t i = 0; i < config->channel_count; i++) {
        const struct config_channel *channel = &config->channels[i];

        for (size_t row = 0; row < config_table_channel.count; row++) {
            if (config_table_channel.settings[row].secret &&
                channel->origins[row].source == CONFIG_FILE &&
                !channel->origins[row].by_file)
                return true;
        }
    }
    return false;
}

static bool check_files(struct check *check)
{
    const struct config *config = check->config;
    bool ok =
        !has_secret_in_file(config) || check_readers(check, NULL, config->file);

    for (size_t i = 0; i < config->channel_count; i++) {
        const struct config_channel *channel = &config->channels[i];

        ok = check_readers(check, channel, channel->secret_file) && ok;
        ok = check_readers(check, channel, channel->access_token_file) && ok;
    }
    return ok;
}

void check_secrets(struct check *check)
{
    const struct config *config = check->config;
    bool ok = check_files(check);

    for (size_t i = 0; i < config->channel_count; i++) {
        for (size_t j = i + 1; j < config->channel_count; j++)
            ok = compare_channels(check, &config->channels[i],
                                  &config->channels[j]) &&
                 ok;
    }
    if (ok)
        check_pass(
            check, "secrets", NULL, "%zu channel%s", config->channel_count,
            config->channel_count == 1 ? ", given" : "s, no two the same");
}

/* ---- directories */

static const char *path_of(const char *url, const char *scheme)
{
    return strncmp(url, scheme, strlen(scheme)) == 0 ? url + strlen(scheme)
                                                     : "";
}

void check_directories(struct check *check)
{
    const struct config *config = check->config;
    struct buf errors;
    char *rest = NULL;

    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    if (config_check_places(config, &errors) == STATUS_OK &&
        access(config->state_dir, F_OK) < 0)
        check_skip(check, "directories", NULL,
                   "no '%s' yet: the first worker makes it", config->state_dir);
    else if (errors.len == 0)
        check_pass(check, "directories", NULL, "'%s' can be written to",
                   config->state_dir);
    for (char *line = errors.len > 0 ? strtok_r(errors.data, "\n", &rest)
                                     : NULL;
         line != NULL; line = strtok_r(NULL, "\n", &rest))
        check_fail(check, "directories", NULL,
                   "give it to the user that the workers run as (chown), or "
                   "run this check as that user",
                   "%s", line);
    buf_release(&errors);
}

/* The first directory from the root to `path` that others may not enter. */
static bool find_closed(struct check *check, const char *path)
{
    char part[CHECK_PATH_BYTES];
    struct stat st;

    for (size_t len = 1; len <= strlen(path); len++) {
        if (path[len] != '/' && path[len] != '\0')
            continue;
        if (!str_copy_n(part, sizeof(part), path, len) || stat(part, &st) < 0)
            return false;
        if ((st.st_mode & S_IXOTH) == 0) {
            (void)str_copy(check->closed_dir, sizeof(check->closed_dir), part);
            check->closed_mode = (int)(st.st_mode & 07777);
            return true;
        }
    }
    return false;
}

/* Where the mode says no, nginx may be of the group or the same user: only the
 * fetch through it knows. */
void check_access(struct check *check)
{
    const char *path = path_of(check->config->store_url, "dir:");

    if (access(path, F_OK) < 0)
        check_skip(check, "access", NULL, "no '%s' yet", path);
    else if (!find_closed(check, path))
        check_pass(check, "access", NULL, "any user may enter '%s'", path);
    else if (check->options->offline)
        check_fail(check, "access", NULL,
                   "chmod o+x on it, unless nginx runs as a user or group that "
                   "may enter",
                   "others may not enter '%s' (mode %04o)", check->closed_dir,
                   (unsigned)check->closed_mode);
    else
        check_skip(check, "access", NULL,
                   "others may not enter '%s' (mode %04o); 'published' tells "
                   "whether nginx may",
                   check->closed_dir, (unsigned)check->closed_mode);
}

/* ---- disk */

void check_space(struct check *check)
{
    const char *url = check->config->store_url;
    char why[CHECK_PATH_BYTES + 128] = "";
    enum status status;

    if (access(path_of(url, "dir:"), W_OK) < 0) {
        check_skip(check, "disk", NULL, "no '%s' to write to",
                   path_of(url, "dir:"));
        return;
    }
    status = store_open(&check->store, url, why, sizeof(why));
    if (status == STATUS_OK)
        status = store_check_space(check->store);
    if (status == STATUS_OK)
        check_pass(check, "disk", NULL, "has room for pictures");
    else if (status == STATUS_NO_SPACE)
        check_fail(check, "disk", NULL,
                   "free some: until then every webhook with a picture is "
                   "answered 503; a shorter [store] retention and 'darkroom "
                   "janitor' remove old pictures",
                   "less than %ld MB or %d inodes are left for '%s'",
                   STORE_FREE_MIN_BYTES / (1024 * 1024), STORE_FREE_MIN_FILES,
                   path_of(url, "dir:"));
    else
        check_fail(check, "disk", NULL, "look at the directory", "%s",
                   why[0] != '\0' ? why : status_text(status));
}

/* ---- queue */

static void tell_queue(struct check *check, struct queue *queue)
{
    struct queue_stats stats;
    enum status status = queue_begin(queue);

    if (status == STATUS_OK) {
        status = queue_stats(queue, &stats);
        queue_rollback(queue);
    }
    if (status == STATUS_OK)
        check_pass(check, "queue", NULL,
                   "opens; %lld waiting, %lld in hand, %lld dead",
                   (long long)stats.ready, (long long)stats.leased,
                   (long long)stats.dead);
    else
        check_fail(check, "queue", NULL, "look at the log of the workers", "%s",
                   status_text(status));
}

static const char *queue_advice(enum status status)
{
    switch (status) {
    case STATUS_BUSY:
        return "a process keeps the queue's gate: find it with fuser on the "
               ".gate file beside the queue";
    case STATUS_BAD_VERSION:
        return "install the newer darkroom again, or name another [queue] url";
    case STATUS_NO_SPACE:
        return "free space on the disk of the queue";
    default:
        return "the line above says why: the files of the queue must belong to "
               "the user that the workers run as, and be what they left";
    }
}

void check_queue(struct check *check)
{
    const char *url = check->config->queue_url;
    char why[CHECK_PATH_BYTES + 128] = "";
    struct overdue overdue;
    struct queue *queue = NULL;
    enum status status;

    if (access(path_of(url, "sqlite:"), F_OK) < 0) {
        check_skip(check, "queue", NULL,
                   "no '%s' yet: the first worker makes "
                   "it",
                   path_of(url, "sqlite:"));
        return;
    }
    overdue_begin(&overdue, QUEUE_OPEN_TELL_MS, check->options->on_queue_wait,
                  check->options->arg);
    status = queue_open(&queue, url, why, sizeof(why));
    if (status == STATUS_OK)
        tell_queue(check, queue);
    else
        check_fail(check, "queue", NULL, queue_advice(status), "%s", why);
    overdue_end(&overdue);
    queue_close(queue);
}

/* ---- the jail */

/* A baseline JPEG of one gray pixel. */
static const uint8_t picture[] = {
    0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 0x4a, 0x46, 0x49, 0x46, 0x00, 0x01,
    0x01, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0xff, 0xdb, 0x00, 0x43,
    0x00, 0x10, 0x0b, 0x0c, 0x0e, 0x0c, 0x0a, 0x10, 0x0e, 0x0d, 0x0e, 0x12,
    0x11, 0x10, 0x13, 0x18, 0x28, 0x1a, 0x18, 0x16, 0x16, 0x18, 0x31, 0x23,
    0x25, 0x1d, 0x28, 0x3a, 0x33, 0x3d, 0x3c, 0x39, 0x33, 0x38, 0x37, 0x40,
    0x48, 0x5c, 0x4e, 0x40, 0x44, 0x57, 0x45, 0x37, 0x38, 0x50, 0x6d, 0x51,
    0x57, 0x5f, 0x62, 0x67, 0x68, 0x67, 0x3e, 0x4d, 0x71, 0x79, 0x70, 0x64,
    0x78, 0x5c, 0x65, 0x67, 0x63, 0xff, 0xc0, 0x00, 0x0b, 0x08, 0x00, 0x01,
    0x00, 0x01, 0x01, 0x01, 0x11, 0x00, 0xff, 0xc4, 0x00, 0x14, 0x00, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3f, 0x00,
    0x3f, 0xff, 0xd9,
};

struct decoding {
    struct check *check;
    struct lab *lab;
    struct lab_stream *stream; /* NULL: over */
    struct loop_timer timer;
    enum status status;
    struct transcode_report report;
};

static void on_decoded(void *arg, enum status status,
                       const struct transcode_report *report)
{
    struct decoding *decoding = arg;

    decoding->stream = NULL;
    decoding->status = status;
    decoding->report = *report;
    loop_stop(decoding->check->once.loop);
}

static void on_too_slow(void *arg)
{
    struct decoding *decoding = arg;

    decoding->status = STATUS_TIMEOUT;
    loop_stop(decoding->check->once.loop);
}

static enum status send_picture(struct decoding *decoding, int original_fd,
                                int preview_fd)
{
    struct lab_request request = {
        .original_fd = original_fd,
        .preview_fd = preview_fd,
        .arg = decoding,
        .on_done = on_decoded,
    };
    enum status status;

    transcode_options_default(&request.limits);
    status = lab_stream_open(decoding->lab, &request, &decoding->stream);
    if (status == STATUS_OK)
        status = lab_stream_write(decoding->stream, picture, sizeof(picture));
    if (status == STATUS_OK)
        status = lab_stream_end(decoding->stream);
    return status;
}

static enum status decode(struct decoding *decoding)
{
    struct loop *loop = decoding->check->once.loop;
    int original_fd = memfd_create("original", MFD_CLOEXEC);
    int preview_fd = memfd_create("preview", MFD_CLOEXEC);
    enum status status = original_fd < 0 || preview_fd < 0
                             ? status_from_errno(errno)
                             : STATUS_OK;

    loop_timer_init(&decoding->timer, on_too_slow, decoding);
    if (status == STATUS_OK)
        status = loop_timer_set(loop, &decoding->timer,
                                loop_now_ms(loop) + CHECK_LAB_MS);
    if (status == STATUS_OK)
        status = send_picture(decoding, original_fd, preview_fd);
    if (status == STATUS_OK)
        status = loop_run(loop);
    if (decoding->stream != NULL)
        lab_stream_abort(decoding->stream);
    loop_timer_cancel(loop, &decoding->timer);
    if (original_fd >= 0)
        close(original_fd);
    if (preview_fd >= 0)
        close(preview_fd);
    return status == STATUS_OK ? decoding->status : status;
}

void check_lab(struct check *check)
{
    struct decoding decoding = {.check = check, .status = STATUS_BUG};
    struct lab_options options = {
        .keeper = check->keeper,
        .labs = 1,
        .spill_dir = "/tmp",
    };
    enum status status = STATUS_NOT_FOUND;

    check->keeper.fd = -1;
    if (options.keeper.fd >= 0)
        status = lab_new(&decoding.lab, check->once.loop, &options);
    if (status == STATUS_OK)
        status = decode(&decoding);
    lab_free(decoding.lab);
    if (status == STATUS_OK && decoding.report.original_width_px == 1)
        check_pass(check, "jail", NULL, "a picture was decoded in it");
    else
        check_fail(check, "jail", NULL,
                   status == STATUS_NOT_FOUND
                       ? "install darkroom-lab beside darkroom"
                       : "the log above says why; the kernel needs seccomp and "
                         "user processes need to be allowed (ulimit -u, "
                         "TasksMax)",
                   "no picture can be decoded: %s", status_text(status));
}
