/*
 * pixels.c: indexed, low depth and keyed gray pixels are all "one byte looked
 * up in a table", so one table of 256 entries expands them all.
 */
#include "pixels.h"

size_t pixel_bytes(const struct pixel_format *format)
{
    static const uint8_t bytes[] = {
        [PIXEL_GRAY] = 1, [PIXEL_GRAY_ALPHA] = 2, [PIXEL_RGB] = 3,
        [PIXEL_RGBA] = 4, [PIXEL_INDEXED] = 1,
    };

    return bytes[format->kind];
}

size_t pixel_file_bits(const struct pixel_format *format)
{
    return pixel_bytes(format) * format->depth;
}

bool pixel_is_plain(const struct pixel_format *format)
{
    return format->kind != PIXEL_INDEXED && format->depth == 8 &&
           !format->has_key;
}

static bool has_transparent_entry(const struct pixel_format *format)
{
    for (size_t i = 0; i < format->alpha_count; i++)
        if (format->alpha[i] < 255)
            return true;
    return false;
}

void pixel_format_plain(const struct pixel_format *format,
                        struct pixel_format *plain)
{
    enum pixel_kind kind = format->kind;

    if (kind == PIXEL_INDEXED)
        kind = has_transparent_entry(format) ? PIXEL_RGBA : PIXEL_RGB;
    else if (kind == PIXEL_GRAY && format->has_key)
        kind = PIXEL_GRAY_ALPHA;
    *plain = (struct pixel_format){.kind = kind, .depth = 8};
}

static void set_indexed(uint8_t entry[4], const struct pixel_format *format,
                        size_t i)
{
    memcpy(entry, format->palette[i], 3);
    entry[3] = i < format->alpha_count ? format->alpha[i] : 255;
}

static void set_gray(uint8_t entry[4], const struct pixel_format *format,
                     size_t i)
{
    size_t max = ((size_t)1 << format->depth) - 1;

    entry[0] = (uint8_t)(size_min(i, max) * 255 / max);
    entry[1] = format->has_key && i == format->key ? 0 : 255;
}

void pixel_table_init(struct pixel_table *table,
                      const struct pixel_format *format)
{
    struct pixel_format plain;

    pixel_format_plain(format, &plain);
    memset(table, 0, sizeof(*table));
    table->bytes = pixel_bytes(&plain);
    for (size_t i = 0; i < PALETTE_MAX; i++) {
        if (format->kind == PIXEL_INDEXED)
            set_indexed(table->entry[i], format, i);
        else
            set_gray(table->entry[i], format, i);
    }
}

void pixel_table_expand(const struct pixel_table *table, const uint8_t *row,
                        size_t width_px, uint8_t *out)
{
    for (size_t i = 0; i < width_px; i++)
        for (size_t k = 0; k < table->bytes; k++)
            *out++ = table->entry[row[i]][k];
}
