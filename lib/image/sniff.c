/*
 * sniff.c: a table of magic numbers, compared as far as there are bytes.
 */
#include "sniff.h"

/* '.' stands for any byte; no magic number here contains a 0x2E. */
#define ANY '.'

struct magic {
    const char *bytes;
    size_t len;
    enum image_type type; /* UNKNOWN: recognized, not decoded */
};

#define MAGIC(bytes, type)                                                     \
    {                                                                          \
        bytes, sizeof(bytes) - 1, type                                         \
    }

static const struct magic magics[] = {
    MAGIC("\xff\xd8\xff", IMAGE_TYPE_JPEG),
    MAGIC("\x89PNG\r\n\x1a\n", IMAGE_TYPE_PNG),
    MAGIC("GIF87a", IMAGE_TYPE_GIF),
    MAGIC("GIF89a", IMAGE_TYPE_GIF),
    MAGIC("RIFF....WEBP", IMAGE_TYPE_WEBP),
    MAGIC("....ftyphei", IMAGE_TYPE_UNKNOWN), /* heic, heix, heis ... */
    MAGIC("....ftypmif1", IMAGE_TYPE_UNKNOWN),
    MAGIC("....ftypavif", IMAGE_TYPE_UNKNOWN),
    MAGIC("II*\0", IMAGE_TYPE_UNKNOWN), /* TIFF and most raw formats */
    MAGIC("MM\0*", IMAGE_TYPE_UNKNOWN),
    MAGIC("\0\0\0\x0cJXL ", IMAGE_TYPE_UNKNOWN),
    MAGIC("\xff\x4f\xff\x51", IMAGE_TYPE_UNKNOWN), /* JPEG 2000 */
};

static bool agrees(const struct magic *magic, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (magic->bytes[i] != ANY && (uint8_t)magic->bytes[i] != bytes[i])
            return false;
    return true;
}

enum status sniff(const uint8_t *bytes, size_t len, enum image_type *type)
{
    enum status answer = STATUS_NOT_AN_IMAGE;

    for (size_t i = 0; i < ARRAY_COUNT(magics); i++) {
        const struct magic *magic = &magics[i];

        if (!agrees(magic, bytes, size_min(len, magic->len)))
            continue;
        if (len < magic->len) {
            answer = STATUS_MORE;
            continue;
        }
        *type = magic->type;
        return magic->type == IMAGE_TYPE_UNKNOWN ? STATUS_IMAGE_UNSUPPORTED
                                                 : STATUS_OK;
    }
    return answer;
}
