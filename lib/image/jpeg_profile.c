/*
 * jpeg_profile.c: parts are appended as they come, with a note where each is.
 * Nearly always that is their order, and then nothing more has to be done.
 */
#include "jpeg_profile.h"

#include "../limits.h"

#define NAME "ICC_PROFILE" /* and the terminator */
#define HEAD_BYTES (sizeof(NAME) + 2)

static enum status append(struct jpeg_profile *p, const uint8_t *bytes,
                          size_t len)
{
    uint8_t *grown = realloc(p->bytes, p->len + len);

    if (grown == NULL)
        return STATUS_NO_MEMORY;
    memcpy(grown + p->len, bytes, len);
    p->bytes = grown;
    p->len += len;
    return STATUS_OK;
}

enum status jpeg_profile_add(struct jpeg_profile *p, const uint8_t *data,
                             size_t len)
{
    size_t number;

    if (len < HEAD_BYTES || memcmp(data, NAME, sizeof(NAME)) != 0 || p->is_bad)
        return STATUS_OK;
    number = data[sizeof(NAME)];
    if (p->count == 0)
        p->count = data[sizeof(NAME) + 1];
    len -= HEAD_BYTES;
    p->is_bad = data[sizeof(NAME) + 1] != p->count || number == 0 ||
                number > p->count || len == 0 || p->parts[number - 1].len > 0 ||
                len > IMAGE_ICC_MAX_BYTES - p->len;
    if (p->is_bad)
        return STATUS_OK;
    p->parts[number - 1].start = p->len;
    p->parts[number - 1].len = len;
    p->added++;
    return append(p, data + HEAD_BYTES, len);
}

static bool is_sorted(const struct jpeg_profile *p)
{
    for (size_t i = 1; i < p->count; i++)
        if (p->parts[i].start < p->parts[i - 1].start)
            return false;
    return true;
}

static enum status sort(struct jpeg_profile *p)
{
    size_t at = 0;

    free(p->sorted);
    p->sorted = malloc(p->len);
    if (p->sorted == NULL)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < p->count; i++) {
        memcpy(p->sorted + at, p->bytes + p->parts[i].start, p->parts[i].len);
        at += p->parts[i].len;
    }
    return STATUS_OK;
}

enum status jpeg_profile_get(struct jpeg_profile *p, const uint8_t **bytes,
                             size_t *len)
{
    enum status status = STATUS_OK;

    *bytes = NULL;
    *len = 0;
    if (p->is_bad || p->count == 0 || p->added < p->count)
        return STATUS_OK;
    if (!is_sorted(p))
        status = sort(p);
    if (status != STATUS_OK)
        return status;
    *bytes = p->sorted != NULL ? p->sorted : p->bytes;
    *len = p->len;
    return STATUS_OK;
}

void jpeg_profile_release(struct jpeg_profile *p)
{
    free(p->bytes);
    free(p->sorted);
    *p = (struct jpeg_profile){0};
}
