/*
 * buf.h: a growing byte buffer that is born with a ceiling.
 *
 *   struct buf b;
 *   buf_init(&b, 64 * 1024);
 *   status = buf_append(&b, bytes, len);
 *   ... b.data, b.len ...
 *   buf_release(&b);
 *
 * The content is always followed by a '\0' that len does not count, so b.data
 * of a non-empty buffer is a C string when the content is text. b.data is NULL
 * until the first byte arrives; use buf_str() where an empty string will do.
 *
 * Going over the ceiling gives STATUS_TOO_LARGE, a failed allocation
 * STATUS_NO_MEMORY; either leaves the content as it was.
 *
 * Not thread safe; a buffer has one owner.
 */
#ifndef DARKROOM_BUF_H
#define DARKROOM_BUF_H

#include "base.h"
#include "status.h"

struct buf {
    char *data;
    size_t len;
    size_t capacity; /* bytes allocated, one more than fits */
    size_t ceiling;  /* len never exceeds it */
};

void buf_init(struct buf *b, size_t ceiling);

/* Frees the content; the buffer may be used again. */
void buf_release(struct buf *b);

/* Empties it and keeps the memory. */
void buf_clear(struct buf *b);

enum status buf_append(struct buf *b, const void *bytes, size_t len) MUST_CHECK;
enum status buf_append_str(struct buf *b, const char *s) MUST_CHECK;
enum status buf_printf(struct buf *b, const char *format, ...)
    PRINTF_LIKE(2, 3) MUST_CHECK;

/* Drops the first `len` bytes (at most all) and moves the rest down. */
void buf_consume(struct buf *b, size_t len);

static inline const char *buf_str(const struct buf *b)
{
    return b->len > 0 ? b->data : "";
}

#endif
