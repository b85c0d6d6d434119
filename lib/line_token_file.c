/*
 * line_token_file.c: {"channel_id":...,"access_token":...,"issued_ms":...,
 * "expires_ms":...}. The lock is one of an open file description (F_OFD_SETLK),
 * so it ends with its process, and with nothing else of that process.
 */
#include "line_token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "crypto.h"
#include "json.h"

#define FILE_MAX_BYTES (TOKEN_MAX * 2 + 1024)

bool line_token_is_valid(const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    }
    return len > 0;
}

enum status line_token_file_init(struct line_token_file *file,
                                 const char *state_dir,
                                 const struct config_channel *channel)
{
    size_t size = sizeof(file->path);

    file->channel = channel;
    file->lock_fd = -1;
    (void)snprintf(file->directory, size, "%s/tokens", state_dir);
    (void)snprintf(file->path, size, "%s/tokens/%s.json", state_dir,
                   channel->name);
    return (size_t)snprintf(file->lock_path, size, "%s/tokens/%s.lock",
                            state_dir, channel->name) < size
               ? STATUS_OK
               : STATUS_BAD_CONFIG;
}

/* ---- the lock */

static int open_lock(const struct line_token_file *file)
{
    return open(file->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                0600);
}

enum status line_token_file_lock(struct line_token_file *file)
{
    struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    enum status status;
    int fd;

    if (file->lock_fd >= 0)
        return STATUS_OK;
    fd = open_lock(file);
    if (fd < 0 && errno == ENOENT) {
        status = atomicfile_make_directories(file->directory, 0700);
        if (status != STATUS_OK)
            return status;
        fd = open_lock(file);
    }
    if (fd < 0)
        return status_from_errno(errno);
    if (fcntl(fd, F_OFD_SETLK, &byte) < 0) {
        status = errno == EACCES || errno == EAGAIN ? STATUS_BUSY : STATUS_IO;
        close(fd);
        return status;
    }
    file->lock_fd = fd;
    return STATUS_OK;
}

void line_token_file_unlock(struct line_token_file *file)
{
    if (file->lock_fd >= 0)
        close(file->lock_fd);
    file->lock_fd = -1;
}

/* ---- the file */

struct reading {
    struct line_token_record *record;
    char channel_id[CHANNEL_ID_MAX + 1];
};

static enum status on_value(void *arg, const struct json_event *event)
{
    struct reading *reading = arg;
    struct line_token_record *record = reading->record;

    if (json_path_is(event, "access_token"))
        (void)json_copy_str(event, record->text, sizeof(record->text));
    else if (json_path_is(event, "channel_id"))
        (void)json_copy_str(event, reading->channel_id,
                            sizeof(reading->channel_id));
    else if (json_path_is(event, "issued_ms") && event->kind == JSON_INT)
        record->issued_ms = event->num;
    else if (json_path_is(event, "expires_ms") && event->kind == JSON_INT)
        record->expires_ms = event->num;
    return STATUS_OK;
}

static bool makes_sense(const struct reading *reading, const char *channel_id)
{
    const struct line_token_record *record = reading->record;

    return str_eq(reading->channel_id, channel_id) &&
           line_token_is_valid(record->text) && record->issued_ms > 0 &&
           record->expires_ms > record->issued_ms;
}

enum status line_token_file_read(const struct line_token_file *file,
                                 struct line_token_record *record)
{
    struct reading reading = {.record = record};
    char text[FILE_MAX_BYTES];
    size_t len = 0;
    enum status status = atomicfile_read(file->path, text, sizeof(text), &len);

    *record = (struct line_token_record){.issued_ms = 0};
    if (status == STATUS_OK &&
        (json_read(text, len, on_value, &reading) != STATUS_OK ||
         !makes_sense(&reading, file->channel->channel_id)))
        status = STATUS_NOT_FOUND;
    crypto_wipe(text, sizeof(text));
    return status;
}

static enum status make_text(const struct line_token_file *file,
                             const struct line_token_record *record,
                             struct buf *text)
{
    struct json_out out;

    json_out_init(&out, text);
    json_object(&out);
    json_key(&out, "channel_id");
    json_str(&out, file->channel->channel_id);
    json_key(&out, "access_token");
    json_str(&out, record->text);
    json_key(&out, "issued_ms");
    json_int(&out, record->issued_ms);
    json_key(&out, "expires_ms");
    json_int(&out, record->expires_ms);
    json_object_end(&out);
    return json_out_finish(&out);
}

static enum status write_all(int fd, const struct buf *text)
{
    /* A regular file takes all of so little, or none. */
    ssize_t written = write(fd, text->data, text->len);

    if (written < 0)
        return status_from_errno(errno);
    return (size_t)written == text->len ? STATUS_OK : STATUS_NO_SPACE;
}

enum status line_token_file_write(const struct line_token_file *file,
                                  const struct line_token_record *record)
{
    struct atomicfile_writer writer = {.fd = -1};
    struct buf text;
    enum status status;

    buf_init(&text, FILE_MAX_BYTES);
    status = make_text(file, record, &text);
    if (status == STATUS_OK)
        status = atomicfile_begin(&writer, file->path);
    if (status == STATUS_OK)
        status = write_all(writer.fd, &text);
    if (status == STATUS_OK)
        status = atomicfile_commit(&writer, 0600);
    atomicfile_discard(&writer);
    if (text.len > 0)
        crypto_wipe(text.data, text.len);
    buf_release(&text);
    return status;
}
