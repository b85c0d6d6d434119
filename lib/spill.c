/*
 * spill.c:     front  [ memory: start..end ][ file: file_start..file_end ] back
 *
 * Appends go to memory while the file is empty and they fit as a whole, else to
 * the file. When memory has been used up it is filled again from the file.
 */
#include "spill.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <unistd.h>

void spill_init(struct spill *s, const char *dir, size_t memory_max,
                size_t total_max)
{
    *s = (struct spill){
        .dir = dir, .memory_max = memory_max, .total_max = total_max, .fd = -1};
}

void spill_release(struct spill *s)
{
    free(s->memory);
    if (s->fd >= 0)
        close(s->fd);
    spill_init(s, s->dir, s->memory_max, s->total_max);
}

static size_t file_len(const struct spill *s)
{
    return (size_t)(s->file_end - s->file_start);
}

size_t spill_len(const struct spill *s)
{
    return s->end - s->start + file_len(s);
}

/* ---- file */

/* For file systems without O_TMPFILE. */
static int open_unlinked(const char *dir)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/spill.XXXXXX", dir);
    int fd;

    if (len < 0 || (size_t)len >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

static enum status open_file(struct spill *s)
{
    if (s->fd >= 0)
        return STATUS_OK;
    s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
        s->fd = open_unlinked(s->dir);
    return s->fd >= 0 ? STATUS_OK : status_from_errno(errno);
}

static enum status append_to_file(struct spill *s, const uint8_t *bytes,
                                  size_t len)
{
    enum status status = open_file(s);
    size_t done = 0;

    if (status != STATUS_OK)
        return status;
    while (done < len) {
        ssize_t n =
            pwrite(s->fd, bytes + done, len - done, s->file_end + (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? status_from_errno(errno) : STATUS_IO;
        done += (size_t)n;
    }
    s->file_end += (off_t)len;
    return STATUS_OK;
}

/* The file has been read to its end: give its blocks back. A failure only
 * means that they stay in use until the file is closed. */
static void empty_file(struct spill *s)
{
    s->file_start = 0;
    s->file_end = 0;
    (void)!ftruncate(s->fd, 0);
}

static enum status refill_memory(struct spill *s)
{
    size_t wanted = size_min(s->memory_max, file_len(s));
    ssize_t n;

    do {
        n = pread(s->fd, s->memory, wanted, s->file_start);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return STATUS_IO;
    s->start = 0;
    s->end = (size_t)n;
    s->file_start += n;
    if (s->file_start == s->file_end)
        empty_file(s);
    return STATUS_OK;
}

/* ---- both */

static enum status reserve_memory(struct spill *s)
{
    if (s->memory == NULL)
        s->memory = malloc(s->memory_max);
    return s->memory != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status spill_append(struct spill *s, const void *bytes, size_t len)
{
    size_t held = s->end - s->start;
    size_t total;
    enum status status;

    if (len == 0)
        return STATUS_OK;
    if (!size_add(spill_len(s), len, &total) || total > s->total_max)
        return STATUS_TOO_LARGE;
    status = reserve_memory(s);
    if (status != STATUS_OK)
        return status;
    if (file_len(s) > 0 || len > s->memory_max - held)
        return append_to_file(s, bytes, len);
    if (len > s->memory_max - s->end) {
        memmove(s->memory, s->memory + s->start, held);
        s->start = 0;
        s->end = held;
    }
    memcpy(s->memory + s->end, bytes, len);
    s->end += len;
    return STATUS_OK;
}

enum status spill_peek(struct spill *s, const uint8_t **bytes, size_t *len)
{
    if (s->start == s->end && file_len(s) > 0) {
        enum status status = refill_memory(s);

        if (status != STATUS_OK)
            return status;
    }
    *bytes = s->memory + s->start;
    *len = s->end - s->start;
    return STATUS_OK;
}

void spill_consume(struct spill *s, size_t len)
{
    s->start += size_min(len, s->end - s->start);
    if (s->start == s->end) {
        s->start = 0;
        s->end = 0;
    }
}
