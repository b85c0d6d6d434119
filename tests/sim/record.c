/*
 * record.c: a line is built in a buffer and written at once.
 */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "json.h"

#define LINE_MAX_BYTES (64 * 1024)

enum status recorder_open(struct recorder *recorder, const char *path)
{
    recorder->fd = -1;
    if (path == NULL)
        return STATUS_OK;
    recorder->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return recorder->fd >= 0 ? STATUS_OK : status_from_errno(errno);
}

void recorder_close(struct recorder *recorder)
{
    if (recorder->fd >= 0)
        (void)close(recorder->fd);
    recorder->fd = -1;
}

static enum status build(struct buf *line, const char *kind,
                         const struct record_field *fields)
{
    struct json_out out;

    json_out_init(&out, line);
    json_object(&out);
    json_key(&out, "ts_ms");
    json_int(&out, wall_ms());
    json_key(&out, "kind");
    json_str(&out, kind);
    for (; fields->key != NULL; fields++) {
        json_key(&out, fields->key);
        if (fields->str != NULL)
            json_str(&out, fields->str);
        else
            json_int(&out, fields->num);
    }
    json_object_end(&out);
    return json_out_finish(&out);
}

void record_write(const struct recorder *recorder, const char *kind,
                  const struct record_field *fields)
{
    struct buf line;
    ssize_t written;

    if (recorder->fd < 0)
        return;
    buf_init(&line, LINE_MAX_BYTES);
    if (build(&line, kind, fields) != STATUS_OK) {
        buf_clear(&line);
        if (build(&line, kind,
                  (const struct record_field[]){
                      REC_STR("error", "not UTF-8 or too long"),
                      {NULL, NULL, 0}}) != STATUS_OK)
            buf_clear(&line);
    }
    if (buf_append_str(&line, "\n") == STATUS_OK) {
        do {
            written = write(recorder->fd, line.data, line.len);
        } while (written < 0 && errno == EINTR);
    }
    buf_release(&line);
}
