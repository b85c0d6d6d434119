/*
 * store_dir.c: temporary file on the same file system, fsync, mode, close,
 * rename, fsync of the directory (and of the root when the directory is new):
 * after a power cut the file is there whole or not at all.
 *
 * All names are relative to a descriptor of the root, so a renamed or remounted
 * path cannot lead a write elsewhere.
 */
#include "store_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "atomicfile.h"
#include "crypto.h"

#define INCOMING ".incoming"
#define RANDOM_BYTES 12

struct store_dir {
    struct store store;
    int root_fd;
    int incoming_fd;
};

static struct store_dir *dir_of(struct store *store)
{
    return CONTAINER_OF(store, struct store_dir, store);
}

/* ---- opening */

/* Files of writers that died; a live one is younger than any transfer lasts. */
static void sweep(int incoming_fd)
{
    int fd = openat(incoming_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    int64_t oldest_s = (wall_ms() - STORE_LEFTOVER_MS) / 1000;
    const struct dirent *entry;

    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(directory)) != NULL) {
        struct stat st;

        if (fstatat(incoming_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
                0 &&
            S_ISREG(st.st_mode) && st.st_mtime < oldest_s)
            (void)unlinkat(incoming_fd, entry->d_name, 0);
    }
    closedir(directory);
}

static int open_directory(int at_fd, const char *path)
{
    return openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static enum status open_directories(struct store_dir *dir, const char *path)
{
    enum status status = atomicfile_make_directories(path, 0755);

    if (status != STATUS_OK)
        return status;
    dir->root_fd = open_directory(AT_FDCWD, path);
    if (dir->root_fd < 0 ||
        (mkdirat(dir->root_fd, INCOMING, 0700) < 0 && errno != EEXIST))
        return status_from_errno(errno);
    dir->incoming_fd = open_directory(dir->root_fd, INCOMING);
    if (dir->incoming_fd < 0 ||
        faccessat(dir->incoming_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
        return status_from_errno(errno);
    return STATUS_OK;
}

static void dir_close(struct store *store)
{
    struct store_dir *dir = dir_of(store);

    if (dir->incoming_fd >= 0)
        close(dir->incoming_fd);
    if (dir->root_fd >= 0)
        close(dir->root_fd);
    free(dir);
}

static enum status dir_open(struct store **out, const char *path, char *why,
                            size_t why_size)
{
    struct store_dir *dir = calloc(1, sizeof(*dir));
    enum status status;

    if (dir == NULL)
        return STATUS_NO_MEMORY;
    dir->store.ops = &store_dir_ops;
    dir->root_fd = -1;
    dir->incoming_fd = -1;
    status = open_directories(dir, path);
    if (status != STATUS_OK) {
        (void)snprintf(why, why_size, "cannot write to directory '%s': %s",
                       path, strerror(errno));
        dir_close(&dir->store);
        return status;
    }
    sweep(dir->incoming_fd);
    *out = &dir->store;
    return STATUS_OK;
}

/* ---- files */

static enum status dir_begin(struct store *store, struct store_file *file)
{
    struct store_dir *dir = dir_of(store);
    uint8_t random[RANDOM_BYTES];
    enum status status = crypto_random(random, sizeof(random));
    size_t len = 0;

    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < sizeof(random); i++)
        len +=
            (size_t)snprintf(file->temp_name + len,
                             sizeof(file->temp_name) - len, "%02x", random[i]);
    file->fd = openat(dir->incoming_fd, file->temp_name,
                      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return file->fd >= 0 ? STATUS_OK : status_from_errno(errno);
}

static void dir_discard(struct store *store, struct store_file *file)
{
    struct store_dir *dir = dir_of(store);

    close(file->fd);
    file->fd = -1;
    (void)unlinkat(dir->incoming_fd, file->temp_name, 0);
}

/* Opens "xx" of a name "xx/...", making it durably if it is not there. */
static enum status open_shelf(struct store_dir *dir, const char *name, int *fd)
{
    char shelf[8];
    const char *slash = strchr(name, '/');

    if (slash == NULL || name[0] == '.' ||
        !str_copy_n(shelf, sizeof(shelf), name, (size_t)(slash - name)))
        return STATUS_BUG;
    if (mkdirat(dir->root_fd, shelf, 0755) == 0) {
        /* Whatever the umask: the front server must be able to read. */
        if (fchmodat(dir->root_fd, shelf, 0755, 0) < 0 ||
            fsync(dir->root_fd) < 0)
            return status_from_errno(errno);
    } else if (errno != EEXIST) {
        return status_from_errno(errno);
    }
    *fd = open_directory(dir->root_fd, shelf);
    return *fd >= 0 ? STATUS_OK : status_from_errno(errno);
}

static enum status dir_publish(struct store *store, struct store_file *file,
                               const char *name)
{
    struct store_dir *dir = dir_of(store);
    int shelf_fd = -1;
    int closed;
    enum status status = open_shelf(dir, name, &shelf_fd);

    if (status == STATUS_OK &&
        (fchmod(file->fd, 0644) < 0 || fsync(file->fd) < 0))
        status = status_from_errno(errno);
    closed = close(file->fd);
    file->fd = -1;
    if (status == STATUS_OK &&
        (closed < 0 ||
         renameat(dir->incoming_fd, file->temp_name, dir->root_fd, name) < 0))
        status = status_from_errno(errno);
    if (status != STATUS_OK)
        (void)unlinkat(dir->incoming_fd, file->temp_name, 0);
    else if (fsync(shelf_fd) < 0)
        status = status_from_errno(errno);
    if (shelf_fd >= 0)
        close(shelf_fd);
    return status;
}

static enum status dir_remove(struct store *store, const char *name)
{
    struct store_dir *dir = dir_of(store);
    int shelf_fd = -1;
    enum status status;

    if (unlinkat(dir->root_fd, name, 0) < 0)
        return errno == ENOENT ? STATUS_OK : status_from_errno(errno);
    status = open_shelf(dir, name, &shelf_fd);
    if (status == STATUS_OK && fsync(shelf_fd) < 0)
        status = status_from_errno(errno);
    if (shelf_fd >= 0)
        close(shelf_fd);
    return status;
}

static enum status dir_check_space(struct store *store)
{
    struct statvfs st;

    if (fstatvfs(dir_of(store)->root_fd, &st) < 0)
        return status_from_errno(errno);
    if ((uint64_t)st.f_bavail * st.f_frsize < STORE_FREE_MIN_BYTES)
        return STATUS_NO_SPACE;
    /* File systems without a fixed number of inodes say 0. */
    if (st.f_files > 0 && st.f_favail < STORE_FREE_MIN_FILES)
        return STATUS_NO_SPACE;
    return STATUS_OK;
}

const struct store_ops store_dir_ops = {
    .scheme = "dir",
    .open = dir_open,
    .close = dir_close,
    .begin = dir_begin,
    .publish = dir_publish,
    .discard = dir_discard,
    .remove = dir_remove,
    .check_space = dir_check_space,
};
