/*
 * picture_gif.c: a GIF encoder, straight from the specification and slow: a
 * string is found by looking at all that are known. It clears its table only
 * when it has been full for a while, as encoders may.
 */
#include "picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define CODES 4096
#define FULL_FOR 300 /* codes that come after the table is full */

struct encoder {
    struct buf *out;
    uint8_t block[255];
    size_t fill;
    uint32_t bits;
    unsigned bit_count, code_bits, root_bits, next, full_for;
    uint16_t child[CODES][256];
};

static void append(struct buf *out, const void *bytes, size_t len)
{
    assert_int_equal(buf_append(out, bytes, len), STATUS_OK);
}

static void append_u8(struct buf *out, unsigned value)
{
    uint8_t byte = (uint8_t)value;

    append(out, &byte, 1);
}

static void append_u16(struct buf *out, uint32_t value)
{
    append_u8(out, value & 0xff);
    append_u8(out, value >> 8);
}

void gif_color(unsigned index, uint8_t rgb[3])
{
    rgb[0] = (uint8_t)(index * 37 + 11);
    rgb[1] = (uint8_t)(255 - index * 5);
    rgb[2] = (uint8_t)(index * 91);
}

static void append_palette(struct buf *out, unsigned bits, bool wrong)
{
    for (unsigned i = 0; i < 1U << bits; i++) {
        uint8_t rgb[3];

        gif_color(wrong ? i + 1 : i, rgb);
        append(out, rgb, sizeof(rgb));
    }
}

void gif_append_head(const struct picture *p, const struct gif_spec *spec,
                     struct buf *out)
{
    unsigned palette = spec->no_palette ? 0 : 0x80 | (spec->bits - 1);

    append(out, "GIF89a", 6);
    append_u16(out, spec->screen_width_px);
    append_u16(out, spec->screen_height_px);
    append_u8(out, palette);
    append(out, "\0\0", 2); /* background, aspect */
    if (!spec->no_palette)
        append_palette(out, spec->bits, spec->local);
    append(out,
           "!\xfe\x03"
           "hi!\0",
           7);
    if (spec->transparent >= 0) {
        append(out, "!\xf9\x04\x01\0\0", 6);
        append_u8(out, (unsigned)spec->transparent);
        append_u8(out, 0);
    }
    append_u8(out, 0x2c);
    append_u16(out, spec->left);
    append_u16(out, spec->top);
    append_u16(out, p->width_px);
    append_u16(out, p->height_px);
    append_u8(out,
              (spec->local ? palette : 0) | (spec->interlaced ? 0x40U : 0));
    if (spec->local)
        append_palette(out, spec->bits, false);
    append_u8(out, spec->root_bits > 0 ? spec->root_bits
                                       : spec->bits + (spec->bits == 1));
}

/* ---- LZW */

static void flush_block(struct encoder *e)
{
    if (e->fill == 0)
        return;
    append_u8(e->out, (unsigned)e->fill);
    append(e->out, e->block, e->fill);
    e->fill = 0;
}

static void put_byte(struct encoder *e)
{
    e->block[e->fill++] = (uint8_t)e->bits;
    e->bits >>= 8;
    e->bit_count = e->bit_count > 8 ? e->bit_count - 8 : 0;
    if (e->fill == sizeof(e->block))
        flush_block(e);
}

static void put_code(struct encoder *e, unsigned code)
{
    e->bits |= code << e->bit_count;
    e->bit_count += e->code_bits;
    while (e->bit_count >= 8)
        put_byte(e);
}

static void clear(struct encoder *e)
{
    put_code(e, 1U << e->root_bits);
    memset(e->child, 0, sizeof(e->child));
    e->code_bits = e->root_bits + 1;
    e->next = (1U << e->root_bits) + 2;
    e->full_for = 0;
}

static void define(struct encoder *e, unsigned code, uint8_t pixel)
{
    if (e->next < CODES) {
        e->child[code][pixel] = (uint16_t)e->next;
        if (e->next == 1U << e->code_bits)
            e->code_bits++;
        e->next++;
    } else if (++e->full_for == FULL_FOR) {
        clear(e);
    }
}

static void encode_row(struct encoder *e, const uint8_t *row, size_t len,
                       int *code)
{
    for (size_t i = 0; i < len; i++) {
        unsigned child = *code < 0 ? 0 : e->child[*code][row[i]];

        if (*code >= 0 && child == 0) {
            put_code(e, (unsigned)*code);
            define(e, (unsigned)*code, row[i]);
        }
        *code = child > 0 ? (int)child : row[i];
    }
}

void picture_to_gif(const struct picture *p, const struct gif_spec *spec,
                    struct buf *out)
{
    static const uint8_t first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    struct encoder *e = calloc(1, sizeof(*e));
    int code = -1;

    assert_non_null(e);
    gif_append_head(p, spec, out);
    e->out = out;
    e->root_bits = (uint8_t)out->data[out->len - 1];
    e->code_bits = e->root_bits + 1;
    clear(e);
    for (unsigned pass = 0; pass < (spec->interlaced ? 4U : 1U); pass++)
        for (size_t y = spec->interlaced ? first[pass] : 0; y < p->height_px;
             y += spec->interlaced ? step[pass] : 1)
            encode_row(e, picture_at(p, 0, y), p->width_px, &code);
    put_code(e, (unsigned)code);
    define(e, 0, 0); /* the decoder does, and its codes may grow */
    put_code(e, (1U << e->root_bits) + 1);
    if (e->bit_count > 0)
        put_byte(e);
    flush_block(e);
    append(out, "\0;", 2);
    free(e);
}
