/*
 * atomicfile.c: temporary file beside the target, write, fsync, close, then
 *
 *   create   link, unlink: link(2) fails when the target exists, so the first
 *            of several processes wins
 *   commit   rename, which replaces it; a file without a name is linked first
 *
 * and fsync of the directory.
 */
#include "atomicfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limits.h"

#define PATH_BYTES ATOMICFILE_PATH_BYTES
#define HALF_MADE_MODE 0100 /* survives any umask of a service */

/* errno stays what it was. */
static void close_quietly(int fd)
{
    int saved = errno;

    close(fd);
    errno = saved;
}

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

/* "." for a bare name. */
static bool parent_of(const char *path, char parent[PATH_BYTES])
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return str_copy(parent, PATH_BYTES, ".");
    return str_copy_n(parent, PATH_BYTES, path,
                      slash == path ? 1 : (size_t)(slash - path));
}

enum status atomicfile_sync_parent(const char *path)
{
    char parent[PATH_BYTES];
    enum status status = STATUS_OK;
    int fd;

    if (!parent_of(path, parent))
        return STATUS_BUG;
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

/* errno is 0 if there is something to read, or the end. */
static void look_at(int fd)
{
    struct pollfd in = {.fd = fd, .events = POLLIN};
    struct stat st;

    errno = 0;
    if (fstat(fd, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode))
        errno = EISDIR;
    else if (!S_ISREG(st.st_mode) && poll(&in, 1, ATOMICFILE_WAIT_MS) == 0)
        errno = ENODATA;
}

enum status atomicfile_open(const char *path, int *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *out = -1;
    if (fd < 0)
        return errno == ENOENT ? STATUS_NOT_FOUND : status_from_errno(errno);
    look_at(fd);
    if (errno == 0 && fcntl(fd, F_SETFL, 0) == 0) {
        *out = fd;
        return STATUS_OK;
    }
    close_quietly(fd);
    return status_from_errno(errno);
}

enum status atomicfile_read(const char *path, void *bytes, size_t size,
                            size_t *len)
{
    char extra;
    ssize_t n = 1;
    int fd;
    enum status status = atomicfile_open(path, &fd);

    if (status != STATUS_OK)
        return status;
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
    close_quietly(fd);
    return n < 0 ? status_from_errno(errno) : STATUS_OK;
}

/* ---- piece by piece */

/* ".NAME.random" beside `path`. */
static enum status name_temporary(struct atomicfile_writer *writer)
{
    const char *slash = strrchr(writer->path, '/');
    const char *name = slash != NULL ? slash + 1 : writer->path;
    uint64_t random = 0;
    int written;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return STATUS_IO;
    written = snprintf(writer->temp_path, sizeof(writer->temp_path),
                       "%.*s.%s.%016" PRIx64, (int)(name - writer->path),
                       writer->path, name, random);
    return written > 0 && (size_t)written < sizeof(writer->temp_path)
               ? STATUS_OK
               : STATUS_BAD_CONFIG;
}

static int open_unnamed(const char *path)
{
    char parent[PATH_BYTES];

    if (!parent_of(path, parent))
        return -1;
    return open(parent, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

enum status atomicfile_begin(struct atomicfile_writer *writer, const char *path)
{
    enum status status;

    *writer = (struct atomicfile_writer){.fd = -1};
    if (!str_copy(writer->path, sizeof(writer->path), path))
        return STATUS_BAD_CONFIG;
    status = name_temporary(writer);
    if (status != STATUS_OK)
        return status;
    writer->fd = open_unnamed(path);
    if (writer->fd >= 0)
        return STATUS_OK;
    writer->named = true;
    writer->fd =
        open(writer->temp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (writer->fd >= 0)
        return STATUS_OK;
    return errno == ENOENT ? STATUS_NOT_FOUND : status_from_errno(errno);
}

static enum status give_name(struct atomicfile_writer *writer)
{
    char self[64];

    if (writer->named)
        return STATUS_OK;
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", writer->fd);
    if (linkat(AT_FDCWD, self, AT_FDCWD, writer->temp_path, AT_SYMLINK_FOLLOW) <
        0)
        return status_from_errno(errno);
    writer->named = true;
    return STATUS_OK;
}

enum status atomicfile_commit(struct atomicfile_writer *writer, mode_t mode)
{
    enum status status = STATUS_OK;
    int closed;

    if (writer->fd < 0)
        return STATUS_BUG;
    if (fchmod(writer->fd, mode) < 0 || fsync(writer->fd) < 0)
        status = status_from_errno(errno);
    if (status == STATUS_OK)
        status = give_name(writer);
    closed = close(writer->fd);
    writer->fd = -1;
    if (status == STATUS_OK &&
        (closed < 0 || rename(writer->temp_path, writer->path) < 0))
        status = status_from_errno(errno);
    if (status != STATUS_OK && writer->named)
        (void)unlink(writer->temp_path);
    return status == STATUS_OK ? atomicfile_sync_parent(writer->path) : status;
}

void atomicfile_discard(struct atomicfile_writer *writer)
{
    if (writer->fd < 0)
        return;
    close(writer->fd);
    writer->fd = -1;
    if (writer->named)
        (void)unlink(writer->temp_path);
}

/* ---- directories */

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
