/*
 * carry.c: one buffer, consumed | not consumed | free. What is left is moved to
 * the front when more comes, unless all of it is kept.
 */
#include "carry.h"

static size_t capacity_for(const struct carry *carry, size_t needed)
{
    size_t ahead = needed + needed / 2;

    return needed > carry->limit ? needed : size_min(ahead, carry->limit);
}

enum status carry_append(struct carry *carry, const uint8_t *bytes, size_t len)
{
    size_t needed;

    if (len == 0)
        return STATUS_OK;
    if (carry->start > 0 && !carry->keeps) {
        memmove(carry->bytes, carry->bytes + carry->start, carry->len);
        carry->start = 0;
    }
    if (!size_add(carry->start + carry->len, len, &needed))
        return STATUS_NO_MEMORY;
    if (needed > carry->capacity) {
        size_t capacity = capacity_for(carry, needed);
        uint8_t *grown = realloc(carry->bytes, capacity);

        if (grown == NULL)
            return STATUS_NO_MEMORY;
        carry->bytes = grown;
        carry->capacity = capacity;
    }
    memcpy(carry->bytes + carry->start + carry->len, bytes, len);
    carry->len += len;
    return STATUS_OK;
}

void carry_consume(struct carry *carry, size_t len)
{
    carry->start += len;
    carry->len -= len;
    if (carry->len == 0 && !carry->keeps)
        carry->start = 0;
}

void carry_rewind(struct carry *carry)
{
    carry->len += carry->start;
    carry->start = 0;
}

void carry_trim(struct carry *carry)
{
    size_t used = carry->start + carry->len;
    uint8_t *trimmed = used > 0 ? realloc(carry->bytes, used) : NULL;

    if (trimmed == NULL)
        return;
    carry->bytes = trimmed;
    carry->capacity = used;
}

void carry_release(struct carry *carry)
{
    free(carry->bytes);
    *carry = (struct carry){.limit = carry->limit};
}

const uint8_t *carry_front(const struct carry *carry)
{
    return carry->bytes + carry->start;
}
