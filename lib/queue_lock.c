/*
 * queue_lock.c: locks of open file descriptions (F_OFD_SETLK): they are queued
 * by the kernel, and end with the process however it ends.
 *
 *   PATH.gate       one byte; who holds it may write. The order of arrival is
 *                   kept, which SQLite's polling does not (architecture-study
 *                   2: worst wait 1,231 ms without, 12 ms with the gate).
 *   PATH.owners/    a file per owner, locked as long as its queue is open:
 *                   (missing) ──name_owner──▶ locked ──death──▶ unlocked
 *                       ▲────────────────── reaped ────────────────┘
 *
 * Owner files are made, tried and removed inside the gate only, so nobody sees
 * one that is made and not yet locked, and two reapers never meet. A missing
 * file means dead, too: a reaper may remove it before its changes are durable,
 * and who lost that transaction finds the owner dead again.
 */
#include "queue_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static enum status lock_failed(const char *what, const char *name)
{
    int err = errno;

    LOG(ERROR, "queue_lock_failed", LOG_STR("call", what),
        LOG_STR("file", name), LOG_STR("error", strerrordesc_np(err)));
    return status_from_errno(err);
}

static int set_lock(int fd, int command, short type)
{
    struct flock byte = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
    int rc;

    do
        rc = fcntl(fd, command, &byte);
    while (rc < 0 && errno == EINTR);
    return rc;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

enum status queue_lock_open(struct queue_lock *lock, const char *path)
{
    char name[PATH_MAX];

    *lock = (struct queue_lock){.gate_fd = -1, .owners_fd = -1, .owner_fd = -1};
    if ((size_t)snprintf(name, sizeof(name), "%s.owners", path) >= sizeof(name))
        return STATUS_BAD_CONFIG;
    if (mkdir(name, 0700) < 0 && errno != EEXIST)
        return lock_failed("mkdir", name);
    lock->owners_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock->owners_fd < 0)
        return lock_failed("open", name);
    (void)snprintf(name, sizeof(name), "%s.gate", path);
    lock->gate_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock->gate_fd < 0)
        return lock_failed("open", name);
    return STATUS_OK;
}

void queue_lock_close(struct queue_lock *lock)
{
    close_fd(&lock->owner_fd);
    close_fd(&lock->owners_fd);
    close_fd(&lock->gate_fd);
}

enum status queue_lock_enter(struct queue_lock *lock)
{
    if (set_lock(lock->gate_fd, F_OFD_SETLKW, F_WRLCK) < 0)
        return lock_failed("fcntl", "gate");
    return STATUS_OK;
}

/* A worker blocks the signals that stop it and waits for them later; here it
 * only looks. */
static bool stop_is_wanted(void)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
    sigset_t pending;

    if (sigpending(&pending) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(stops); i++) {
        if (sigismember(&pending, stops[i]) == 1)
            return true;
    }
    return false;
}

/* A thread that stands in the kernel's line; fcntl() may be cancelled there. */
static void *wait_in_line(void *arg)
{
    const struct queue_lock *lock = arg;

    return set_lock(lock->gate_fd, F_OFD_SETLKW, F_WRLCK) == 0 ? arg : NULL;
}

/* AGAIN: the thread still waits. */
static enum status try_join(pthread_t thread)
{
    void *lock = NULL;

    if (pthread_tryjoin_np(thread, &lock) == EBUSY)
        return STATUS_AGAIN;
    return lock != NULL ? STATUS_OK : lock_failed("fcntl", "gate");
}

/* What ends the wait before its time, else AGAIN. */
static enum status patience(int64_t start_ms, int64_t wait_ms, bool *told)
{
    int64_t waited_ms = mono_ms() - start_ms;

    if (stop_is_wanted())
        return STATUS_STOPPING;
    if (waited_ms >= wait_ms)
        return STATUS_BUSY;
    if (waited_ms >= QUEUE_OPEN_TELL_MS && !*told) {
        LOG(WARN, "queue_gate_is_held", LOG_INT("waited_ms", waited_ms),
            LOG_INT("patience_ms", wait_ms));
        *told = true;
    }
    return STATUS_AGAIN;
}

static enum status wait_for_thread(pthread_t thread, int64_t wait_ms)
{
    const struct timespec pause = {.tv_nsec = QUEUE_OPEN_PAUSE_MS * 1000000L};
    int64_t start_ms = mono_ms();
    enum status status = STATUS_AGAIN;
    bool told = false;

    while (status == STATUS_AGAIN) {
        (void)nanosleep(&pause, NULL);
        status = try_join(thread);
        if (status != STATUS_AGAIN)
            return status;
        status = patience(start_ms, wait_ms, &told);
    }
    (void)pthread_cancel(thread);
    (void)pthread_join(thread, NULL);
    return status;
}

/* The kernel's line has no wait with an end, and whoever only looks from time
 * to time finds the gate of a busy pool always taken: so a thread waits there.
 * If it is let in as it is cancelled, the lock goes with the descriptor. */
enum status queue_lock_enter_within(struct queue_lock *lock, int64_t wait_ms)
{
    pthread_t thread;
    int err;

    if (set_lock(lock->gate_fd, F_OFD_SETLK, F_WRLCK) == 0)
        return STATUS_OK;
    if (errno != EAGAIN && errno != EACCES)
        return lock_failed("fcntl", "gate");
    err = pthread_create(&thread, NULL, wait_in_line, lock);
    if (err != 0)
        return status_from_errno(err);
    return wait_for_thread(thread, wait_ms);
}

void queue_lock_leave(struct queue_lock *lock)
{
    if (set_lock(lock->gate_fd, F_OFD_SETLK, F_UNLCK) < 0)
        (void)lock_failed("fcntl", "gate");
}

/* ---- owners */

bool queue_lock_owner_is_dead(struct queue_lock *lock, const char *owner)
{
    bool dead;
    int fd;

    if (str_eq(owner, lock->owner))
        return false;
    if (owner[0] == '.' || strchr(owner, '/') != NULL)
        return true; /* no name of ours */
    fd = openat(lock->owners_fd, owner, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT;
    dead = set_lock(fd, F_OFD_SETLK, F_WRLCK) == 0;
    if (dead)
        (void)unlinkat(lock->owners_fd, owner, 0);
    close(fd);
    return dead;
}

static void remove_dead_owners(struct queue_lock *lock)
{
    int fd = openat(lock->owners_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (dir == NULL) {
        close_fd(&fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        (void)queue_lock_owner_is_dead(lock, entry->d_name);
    closedir(dir);
}

static enum status make_name(char *name, size_t size)
{
    char host[HOST_NAME_MAX + 1] = "";
    uint64_t random;

    if (gethostname(host, sizeof(host) - 1) < 0 ||
        getrandom(&random, sizeof(random), 0) != sizeof(random))
        return STATUS_IO;
    for (char *c = host; *c != '\0'; c++) {
        if (*c == '/' || *c == '.')
            *c = '_'; /* it becomes a file name */
    }
    (void)snprintf(name, size, "%s:%ld:%016llx", host, (long)getpid(),
                   (unsigned long long)random);
    return STATUS_OK;
}

enum status queue_lock_name_owner(struct queue_lock *lock)
{
    enum status status = make_name(lock->owner, sizeof(lock->owner));

    if (status != STATUS_OK)
        return status;
    remove_dead_owners(lock);
    lock->owner_fd = openat(lock->owners_fd, lock->owner,
                            O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (lock->owner_fd < 0)
        return lock_failed("openat", lock->owner);
    if (set_lock(lock->owner_fd, F_OFD_SETLK, F_WRLCK) < 0)
        return lock_failed("fcntl", lock->owner);
    return STATUS_OK;
}
