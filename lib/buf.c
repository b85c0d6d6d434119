/*
 * buf.c: doubling growth up to the ceiling, one spare byte for the terminator,
 * and never an allocation beyond the two.
 */
#include "buf.h"

#include <stdarg.h>

#define FIRST_CAPACITY 256

void buf_init(struct buf *b, size_t ceiling)
{
    *b = (struct buf){.ceiling = ceiling};
}

void buf_release(struct buf *b)
{
    free(b->data);
    buf_init(b, b->ceiling);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->data != NULL)
        b->data[0] = '\0';
}

/* Makes room for `extra` more bytes and the terminator. */
static enum status reserve(struct buf *b, size_t extra)
{
    size_t needed, capacity;
    char *data;

    if (!size_add(b->len, extra, &needed) || needed > b->ceiling)
        return STATUS_TOO_LARGE;
    if (needed < b->capacity)
        return STATUS_OK;
    capacity = b->capacity > 0 ? b->capacity : FIRST_CAPACITY;
    while (capacity <= needed) {
        if (!size_mul(capacity, 2, &capacity))
            return STATUS_TOO_LARGE;
    }
    if (capacity - 1 > b->ceiling)
        capacity = b->ceiling + 1;
    data = realloc(b->data, capacity);
    if (data == NULL)
        return STATUS_NO_MEMORY;
    b->data = data;
    b->capacity = capacity;
    return STATUS_OK;
}

enum status buf_append(struct buf *b, const void *bytes, size_t len)
{
    enum status status;

    if (len == 0)
        return STATUS_OK;
    status = reserve(b, len);
    if (status != STATUS_OK)
        return status;
    memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
    return STATUS_OK;
}

enum status buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

enum status buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    enum status status;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len <= 0)
        return len == 0 ? STATUS_OK : STATUS_BUG;
    status = reserve(b, (size_t)len);
    if (status != STATUS_OK)
        return status;
    va_start(args, format);
    (void)vsnprintf(b->data + b->len, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
    return STATUS_OK;
}

void buf_consume(struct buf *b, size_t len)
{
    if (len >= b->len) {
        buf_clear(b);
        return;
    }
    memmove(b->data, b->data + len, b->len - len + 1);
    b->len -= len;
}
