/*
 * store_dir.c: temporary file on the same file system, no writer left, mode,
 * fsync, rename, fsync of the directory (and of the root when the directory is
 * new): after a power cut the file is there whole or not at all.
 *
 * All names are relative to a descriptor of the root, so a renamed or remounted
 * path cannot lead a write elsewhere.
 */
#include "store_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "atomicfile.h"
#include "crypto.h"
#include "log.h"

#define INCOMING ".incoming"
#define RANDOM_BYTES 12
#define SHELF_MODE 0755
#define BASE32 "abcdefghijklmnopqrstuvwxyz234567"
#define STORE_FILE_LETTERS 30 /* of the 32, behind the shelf */

struct store_dir {
    struct store store;
    int root_fd;
    int incoming_fd;
};

static struct store_dir *dir_of(struct store *store)
{
    return CONTAINER_OF(store, struct store_dir, store);
}

static int open_directory(int at_fd, const char *path)
{
    return openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- sweeping */

/* Whether a file of the directory is one of the store's. */
typedef bool is_ours_fn(const char *name);

/* Removes the files of a directory that were written before; the counts are
 * added to. */
static enum status sweep_directory(int at_fd, const char *path,
                                   is_ours_fn *is_ours, int64_t before_ms,
                                   struct store_sweep *sweep, size_t *files)
{
    int fd = open_directory(at_fd, path);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return status_from_errno(errno);
    }
    while (*files < SWEEP_MAX && (entry = readdir(directory)) != NULL) {
        struct stat st;

        if (!is_ours(entry->d_name) ||
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode) || st.st_mtim.tv_sec >= before_ms / 1000 ||
            (!sweep->dry_run && unlinkat(fd, entry->d_name, 0) < 0))
            continue;
        (*files)++;
        sweep->bytes += (uint64_t)st.st_size;
    }
    closedir(directory);
    return STATUS_OK;
}

static bool is_leftover(const char *name)
{
    return name[0] != '.';
}

static bool is_shelf(const char *name)
{
    return strlen(name) == 2 && strspn(name, BASE32) == 2;
}

/* "yyyy...y.png" and "yyyy...y.p.png", see store_name(). */
static bool is_picture(const char *name)
{
    size_t letters = strspn(name, BASE32);

    return letters == STORE_FILE_LETTERS &&
           (str_eq(name + letters, ".png") || str_eq(name + letters, ".p.png"));
}

/* A live writer's file is younger than any transfer lasts. */
static enum status sweep_leftovers(struct store_dir *dir,
                                   struct store_sweep *sweep)
{
    return sweep_directory(dir->incoming_fd, ".", is_leftover,
                           wall_ms() - STORE_LEFTOVER_MS, sweep,
                           &sweep->leftovers);
}

static enum status dir_sweep(struct store *store, struct store_sweep *sweep)
{
    struct store_dir *dir = dir_of(store);
    int fd = open_directory(dir->root_fd, ".");
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    enum status status = sweep_leftovers(dir, sweep);
    const struct dirent *entry;

    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return STATUS_IO;
    }
    while (sweep->before_ms != INT64_MIN && sweep->files < SWEEP_MAX &&
           (entry = readdir(directory)) != NULL) {
        enum status swept;

        if (!is_shelf(entry->d_name))
            continue;
        swept = sweep_directory(fd, entry->d_name, is_picture, sweep->before_ms,
                                sweep, &sweep->files);
        status = status == STATUS_OK ? swept : status;
    }
    closedir(directory);
    return status;
}

/* ---- opening */

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
    struct store_sweep leftovers = {.dry_run = false};
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
    (void)!sweep_leftovers(dir, &leftovers);
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

/* The mode is set apart from mkdirat(), which takes bits of the umask away, and
 * checked however the shelf came to be: who made it may have died in between,
 * and the front server must be able to read. The root is synced by whoever
 * finishes the shelf. */
static enum status finish_shelf(struct store_dir *dir, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return status_from_errno(errno);
    if ((st.st_mode & 07777) == SHELF_MODE)
        return STATUS_OK;
    if (fsync(dir->root_fd) < 0 || fchmod(fd, SHELF_MODE) < 0)
        return status_from_errno(errno);
    return STATUS_OK;
}

/* Opens "xx" of a name "xx/...", making it durably if it is not there. */
static enum status open_shelf(struct store_dir *dir, const char *name, int *fd)
{
    char shelf[8];
    const char *slash = strchr(name, '/');

    if (slash == NULL || name[0] == '.' ||
        !str_copy_n(shelf, sizeof(shelf), name, (size_t)(slash - name)))
        return STATUS_BUG;
    if (mkdirat(dir->root_fd, shelf, 0700) < 0 && errno != EEXIST)
        return status_from_errno(errno);
    *fd = open_directory(dir->root_fd, shelf);
    return *fd >= 0 ? finish_shelf(dir, *fd) : status_from_errno(errno);
}

/* ---- publishing */

/* Trades the descriptor for one that reads. Opened before the other is closed,
 * so no error of writing back is lost in between. */
static enum status reopen(struct store_dir *dir, struct store_file *file,
                          int *fd)
{
    enum status status = STATUS_OK;

    *fd = openat(dir->incoming_fd, file->temp_name,
                 O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        status = status_from_errno(errno);
    if (close(file->fd) < 0 && status == STATUS_OK)
        status = status_from_errno(errno);
    file->fd = -1;
    return status;
}

static enum status check_size(int fd, uint64_t bytes)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return status_from_errno(errno);
    if ((uint64_t)st.st_size == bytes)
        return STATUS_OK;
    LOG(ERROR, "store_refused", LOG_STR("why", "not of the size it had"),
        LOG_INT("bytes", st.st_size), LOG_INT("expected", bytes));
    return STATUS_IO;
}

static enum status copy_bytes(int to_fd, int from_fd, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t n = sendfile(to_fd, from_fd, NULL, bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? status_from_errno(errno) : STATUS_IO;
        bytes -= (uint64_t)n;
    }
    return STATUS_OK;
}

/* A file of our own in the place of one that others may hold. */
static enum status copy(struct store_dir *dir, struct store_file *file,
                        uint64_t bytes, int *fd)
{
    struct store_file fresh = {.fd = -1};
    enum status status = check_size(*fd, bytes);
    enum status reopened;

    if (status == STATUS_OK)
        status = dir_begin(&dir->store, &fresh);
    if (status != STATUS_OK)
        return status;
    status = copy_bytes(fresh.fd, *fd, bytes);
    (void)unlinkat(dir->incoming_fd, file->temp_name, 0);
    close(*fd);
    *file = fresh;
    reopened = reopen(dir, file, fd);
    return status != STATUS_OK ? status : reopened;
}

/*
 * A read lease is granted only while no writer is left, descriptor or mapping
 * (fcntl(2), F_SETLEASE), and the file's temporary name is ours alone, so no
 * writer comes after it; it ends with the descriptor. Where a file system has
 * no leases, the bytes move to a file that nobody else has ever held.
 */
static enum status shut_out_writers(struct store_dir *dir,
                                    struct store_file *file, uint64_t bytes,
                                    int *fd)
{
    if (fcntl(*fd, F_SETLEASE, F_RDLCK) < 0) {
        if (errno != EAGAIN)
            return copy(dir, file, bytes, fd);
        LOG(ERROR, "store_refused",
            LOG_STR("why", "output still held by its writer"));
        return STATUS_BUSY;
    }
    return check_size(*fd, bytes);
}

/* From here on the content is what was checked, and durable. */
static enum status seal(struct store_dir *dir, struct store_file *file,
                        uint64_t bytes)
{
    int fd = -1;
    enum status status = reopen(dir, file, &fd);

    if (status == STATUS_OK)
        status = shut_out_writers(dir, file, bytes, &fd);
    if (status == STATUS_OK && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
        status = status_from_errno(errno);
    if (fd >= 0)
        close(fd);
    return status;
}

static enum status dir_publish(struct store *store, struct store_file *file,
                               uint64_t bytes, const char *name)
{
    struct store_dir *dir = dir_of(store);
    int shelf_fd = -1;
    enum status status = seal(dir, file, bytes);

    if (status == STATUS_OK)
        status = open_shelf(dir, name, &shelf_fd);
    if (status == STATUS_OK &&
        renameat(dir->incoming_fd, file->temp_name, dir->root_fd, name) < 0)
        status = status_from_errno(errno);
    if (status != STATUS_OK)
        (void)unlinkat(dir->incoming_fd, file->temp_name, 0);
    else if (fsync(shelf_fd) < 0)
        status = status_from_errno(errno);
    if (shelf_fd >= 0)
        close(shelf_fd);
    return status;
}

static enum status dir_remove(struct store *store, const char *name,
                              bool *was_there)
{
    struct store_dir *dir = dir_of(store);
    int shelf_fd = -1;
    enum status status;

    *was_there = unlinkat(dir->root_fd, name, 0) == 0;
    if (!*was_there)
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
    .sweep = dir_sweep,
};
