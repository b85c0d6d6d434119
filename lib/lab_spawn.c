/*
 * lab_spawn.c: starts and ends the keeper process. Apart from lab_keeper.c, so
 * that a worker does not link what runs inside the jail.
 *
 * posix_spawn: no code of the worker runs between fork and exec. The child gets
 * three descriptors (socket, /dev/null, standard error), default signal
 * actions, a session of its own, an empty environment, and the level of the log
 * as its only argument.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

#define PROGRAM "darkroom-lab"

/* The program beside the running one. */
static enum status default_path(char *path, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", path, size - 1);
    char *slash;
    size_t dir_len;

    if (len <= 0)
        return STATUS_IO;
    path[len] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL)
        return STATUS_IO;
    dir_len = (size_t)(slash + 1 - path);
    return str_copy(path + dir_len, size - dir_len, PROGRAM) ? STATUS_OK
                                                             : STATUS_NOT_FOUND;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    int err;

    sigfillset(&all);
    sigemptyset(&none);
    err = posix_spawnattr_setsigdefault(attributes, &all);
    if (err == 0)
        err = posix_spawnattr_setsigmask(attributes, &none);
    if (err == 0)
        err = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF |
                                                       POSIX_SPAWN_SETSIGMASK |
                                                       POSIX_SPAWN_SETSID);
    return err;
}

static int set_descriptors(posix_spawn_file_actions_t *actions, int socket_fd)
{
    int err =
        posix_spawn_file_actions_adddup2(actions, socket_fd, STDIN_FILENO);

    if (err == 0)
        err = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO,
                                               "/dev/null", O_WRONLY, 0);
    if (err == 0)
        err = posix_spawn_file_actions_addclosefrom_np(actions,
                                                       STDERR_FILENO + 1);
    return err;
}

static int spawn(const char *path, int socket_fd, pid_t *pid)
{
    char name[] = PROGRAM;
    char level[8], format[8];
    char *const argv[] = {name, level, format, NULL};
    char *const empty[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int err;

    (void)str_copy(level, sizeof(level), log_level_name());
    (void)str_copy(format, sizeof(format), log_format_name());
    err = posix_spawn_file_actions_init(&actions);
    if (err != 0)
        return err;
    err = posix_spawnattr_init(&attributes);
    if (err == 0) {
        err = set_attributes(&attributes);
        if (err == 0)
            err = set_descriptors(&actions, socket_fd);
        if (err == 0)
            err = posix_spawn(pid, path, &actions, &attributes, argv, empty);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

enum status lab_keeper_spawn(const char *path, struct lab_keeper *keeper)
{
    char beside[PATH_MAX];
    int pair[2];
    int err;

    *keeper = (struct lab_keeper){.fd = -1};
    if (path == NULL) {
        enum status status = default_path(beside, sizeof(beside));

        if (status != STATUS_OK)
            return status;
        path = beside;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return status_from_errno(errno);
    err = spawn(path, pair[1], &keeper->pid);
    close(pair[1]);
    if (err != 0) {
        close(pair[0]);
        return err == ENOENT ? STATUS_NOT_FOUND : status_from_errno(err);
    }
    keeper->fd = pair[0];
    return STATUS_OK;
}

/* The keeper's end closes when it is done; true if that was in time. */
static bool wait_for_end(int fd)
{
    int64_t until_ms = mono_ms() + LAB_STOP_MS;
    struct pollfd end = {fd, 0, 0}; /* POLLHUP comes unasked */
    int64_t left_ms;

    while ((left_ms = until_ms - mono_ms()) > 0) {
        int n = poll(&end, 1, (int)left_ms);

        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
    return false;
}

void lab_keeper_end(struct lab_keeper *keeper)
{
    if (keeper->fd < 0)
        return;
    (void)shutdown(keeper->fd, SHUT_WR);
    if (!wait_for_end(keeper->fd))
        (void)kill(keeper->pid, SIGKILL);
    close(keeper->fd);
    while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *keeper = (struct lab_keeper){.fd = -1};
}
