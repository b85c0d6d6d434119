/*
 * janitor.c: the timer, and whose turn it is.
 *
 *   look (every JANITOR_LOOK_MS)  ->  offload: lock, old enough?  ->  sweep
 *
 * The lock is a file whose time of change is that of the last sweep; an empty
 * one is new. Who dies leaves the lock free and its time as it was before, or
 * is done.
 */
#include "janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define LOCK_NAME "janitor.lock"
#define PATH_BYTES (CONFIG_VALUE_MAX + 32)

struct janitor {
    struct janitor_parts parts;
    struct loop_timer timer;
    struct offload_task task;
};

enum status janitor_sweep(struct store *store, const struct config *config,
                          struct store_sweep *sweep)
{
    sweep->before_ms =
        config->retention_ms > 0 ? wall_ms() - config->retention_ms : INT64_MIN;
    return store_sweep(store, sweep);
}

/* ---- on an offload thread */

static void sweep_and_tell(struct store *store, const struct config *config)
{
    struct store_sweep sweep = {.dry_run = false};
    enum status status = janitor_sweep(store, config, &sweep);

    if (status != STATUS_OK)
        LOG(ERROR, "sweep_failed", LOG_STR("reason", status_text(status)),
            LOG_INT("files", sweep.files));
    else if (sweep.files + sweep.leftovers > 0)
        LOG(INFO, "swept", LOG_INT("files", sweep.files),
            LOG_INT("leftovers", sweep.leftovers),
            LOG_INT("bytes", sweep.bytes));
}

/* The lock, if it is this worker's turn; else -1. */
static int take_turn(const char *state_dir)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATH_BYTES];
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/" LOCK_NAME, state_dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        LOG(ERROR, "sweep_failed", LOG_STR("file", path),
            LOG_STR("reason", strerror(errno)));
        return -1;
    }
    if (fcntl(fd, F_OFD_SETLK, &all) == 0 && fstat(fd, &st) == 0 &&
        (st.st_size == 0 ||
         wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000 >= JANITOR_EVERY_MS))
        return fd;
    close(fd);
    return -1;
}

static void work(void *arg)
{
    struct janitor *janitor = arg;
    const struct config *config = config_live_hold(janitor->parts.config);
    int fd = take_turn(config->state_dir);

    if (fd >= 0) {
        sweep_and_tell(janitor->parts.store, config);
        if (pwrite(fd, "\n", 1, 0) != 1)
            LOG(WARN, "sweep_time", LOG_STR("reason", strerror(errno)));
        close(fd);
    }
    config_drop(config);
}

/* ---- on the loop */

static void worked(void *arg)
{
    struct janitor *janitor = arg;
    struct loop *loop = janitor->parts.loop;

    if (loop_timer_set(loop, &janitor->timer,
                       loop_now_ms(loop) + JANITOR_LOOK_MS) != STATUS_OK)
        LOG(WARN, "janitor", LOG_STR("reason", "no timer, it ends"));
}

static void look(void *arg)
{
    struct janitor *janitor = arg;

    offload_submit(janitor->parts.offload, &janitor->task);
}

enum status janitor_new(struct janitor **out, const struct janitor_parts *parts)
{
    struct janitor *janitor = calloc(1, sizeof(*janitor));

    if (janitor == NULL)
        return STATUS_NO_MEMORY;
    janitor->parts = *parts;
    janitor->task =
        (struct offload_task){.work = work, .done = worked, .arg = janitor};
    loop_timer_init(&janitor->timer, look, janitor);
    *out = janitor;
    return STATUS_OK;
}

enum status janitor_start(struct janitor *janitor)
{
    struct loop *loop = janitor->parts.loop;

    return loop_timer_set(loop, &janitor->timer, loop_now_ms(loop));
}

void janitor_free(struct janitor *janitor)
{
    if (janitor == NULL)
        return;
    loop_timer_cancel(janitor->parts.loop, &janitor->timer);
    free(janitor);
}
