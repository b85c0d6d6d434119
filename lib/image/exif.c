/*
 * exif.c: byte order mark, offset of the first directory, its entries of 12
 * bytes; the orientation is an entry there (IFD0) and nowhere else, so no
 * offset is ever followed twice and nothing can cycle.
 */
#include "exif.h"

#define HEADER_BYTES 8
#define ENTRY_BYTES 12
#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3

struct reader {
    const uint8_t *bytes;
    size_t len;
    bool little_endian;
};

/* 0 beyond the end: no valid tag, type or count is 0. */
static uint32_t read_uint(const struct reader *r, size_t at, size_t size)
{
    uint32_t value = 0;

    if (at > r->len || size > r->len - at)
        return 0;
    for (size_t i = 0; i < size; i++) {
        size_t k = r->little_endian ? size - 1 - i : i;

        value = value << 8 | r->bytes[at + k];
    }
    return value;
}

static bool read_header(struct reader *r, const uint8_t *tiff, size_t len)
{
    *r = (struct reader){.bytes = tiff, .len = len};
    if (len < HEADER_BYTES)
        return false;
    if (memcmp(tiff, "II", 2) == 0)
        r->little_endian = true;
    else if (memcmp(tiff, "MM", 2) != 0)
        return false;
    return read_uint(r, 2, 2) == 42;
}

static uint8_t read_orientation(const struct reader *r, size_t entry)
{
    uint32_t value = read_uint(r, entry + 8, 2);

    if (read_uint(r, entry + 2, 2) != TYPE_SHORT ||
        read_uint(r, entry + 4, 4) != 1)
        return ORIENTATION_UPRIGHT;
    return value >= 1 && value <= 8 ? (uint8_t)value : ORIENTATION_UPRIGHT;
}

uint8_t exif_orientation(const uint8_t *tiff, size_t len)
{
    struct reader r;
    size_t directory;
    size_t count;

    if (!read_header(&r, tiff, len))
        return ORIENTATION_UPRIGHT;
    directory = read_uint(&r, 4, 4);
    count = read_uint(&r, directory, 2);
    for (size_t i = 0; i < count; i++) {
        size_t entry = directory + 2 + i * ENTRY_BYTES;

        if (read_uint(&r, entry, 2) == TAG_ORIENTATION)
            return read_orientation(&r, entry);
    }
    return ORIENTATION_UPRIGHT;
}
