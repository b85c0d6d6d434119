/*
 * atomicfile.c: temporary file beside the target, write, fsync, close, link,
 * unlink, fsync of the directory. link(2) instead of rename(2), because it
 * fails when the target exists: the first of several processes wins.
 */
#include "atomicfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define HALF_MADE_MODE 0100 /* survives any umask of a service */

static enum status write_all(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_from_errno(errno);
        p += n;
        len -= (size_t)n;
    }
    return STATUS_OK;
}

/* Leaves a synced file at `path` or none. */
static enum status write_synced(char *path, const void *bytes, size_t len,
                                mode_t mode)
{
    int fd = mkostemp(path, O_CLOEXEC);
    enum status status;

    if (fd < 0)
        return status_from_errno(errno);
    status = write_all(fd, bytes, len);
    if (status == STATUS_OK && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        status = status_from_errno(errno);
    if (close(fd) < 0 && status == STATUS_OK)
        status = status_from_errno(errno);
    if (status != STATUS_OK)
        (void)unlink(path);
    return status;
}

enum status atomicfile_sync_parent(const char *path)
{
    char parent[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    enum status status = STATUS_OK;
    int fd;

    if (slash == NULL) {
        (void)str_copy(parent, sizeof(parent), ".");
    } else if (!str_copy_n(parent, sizeof(parent), path,
                           slash == path ? 1 : (size_t)(slash - path))) {
        return STATUS_BUG;
    }
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return status_from_errno(errno);
    if (fsync(fd) < 0)
        status = status_from_errno(errno);
    close(fd);
    return status;
}

enum status atomicfile_create(const char *path, const void *bytes, size_t len,
                              mode_t mode)
{
    char temporary[PATH_BYTES];
    enum status status;
    int written;

    if (access(path, F_OK) == 0)
        return STATUS_DUPLICATE;
    written = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    if (written < 0 || (size_t)written >= sizeof(temporary))
        return STATUS_BAD_CONFIG;
    status = write_synced(temporary, bytes, len, mode);
    if (status != STATUS_OK)
        return status;
    if (link(temporary, path) < 0)
        status = errno == EEXIST ? STATUS_DUPLICATE : status_from_errno(errno);
    (void)unlink(temporary);
    if (status == STATUS_OK)
        status = atomicfile_sync_parent(path);
    return status;
}

enum status atomicfile_read(const char *path, void *bytes, size_t size,
                            size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char extra;
    ssize_t n = 1;

    if (fd < 0)
        return errno == ENOENT ? STATUS_NOT_FOUND : status_from_errno(errno);
    *len = 0;
    while (*len < size && n > 0) {
        n = read(fd, (char *)bytes + *len, size - *len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            *len += (size_t)n;
    }
    if (n > 0 && *len == size && read(fd, &extra, 1) == 1) {
        close(fd);
        return STATUS_TOO_LARGE;
    }
    close(fd);
    return n < 0 ? STATUS_IO : STATUS_OK;
}

/* Not yet finished by who made it: it died before it could set the mode. Other
 * directories are left as their owner wants them. */
static bool is_left_half_made(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
           st.st_uid == geteuid() && (st.st_mode & 0777) == HALF_MADE_MODE;
}

/* The mode is set apart from mkdir(2), which takes bits of the umask away, and
 * replaces one that nobody chooses, so that a death in between shows. */
static enum status make_directory(const char *path, mode_t mode)
{
    if (mkdir(path, HALF_MADE_MODE) < 0) {
        if (errno != EEXIST)
            return status_from_errno(errno);
        if (!is_left_half_made(path))
            return STATUS_OK;
    }
    return chmod(path, mode) == 0 ? STATUS_OK : status_from_errno(errno);
}

enum status atomicfile_make_directories(const char *path, mode_t mode)
{
    char partial[PATH_BYTES];
    enum status status = STATUS_OK;

    if (!str_copy(partial, sizeof(partial), path))
        return STATUS_BAD_CONFIG;
    for (char *p = partial + 1; *p != '\0' && status == STATUS_OK; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        status = make_directory(partial, mode);
        *p = '/';
    }
    return status == STATUS_OK ? make_directory(partial, mode) : status;
}
