/*
 * picture_png.c: libpng as its manual has it, all in memory.
 */
#include "picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <png.h>
#include <zlib.h>

static void on_error(png_structp png, png_const_charp message)
{
    (void)png;
    fail_msg("libpng: %s", message);
    abort();
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* ---- writing */

static void on_write(png_structp png, png_bytep bytes, size_t len)
{
    assert_int_equal(buf_append(png_get_io_ptr(png), bytes, len), STATUS_OK);
}

static void on_flush(png_structp png)
{
    (void)png;
}

static png_structp open_writer(struct buf *out, png_infop *info)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL,
                                              on_error, on_warning);

    assert_non_null(png);
    *info = png_create_info_struct(png);
    assert_non_null(*info);
    png_set_write_fn(png, out, on_write, on_flush);
    return png;
}

static void set_palette(png_structp png, png_infop info,
                        const struct png_spec *spec, uint32_t *random)
{
    int count = 1 << spec->depth;
    png_color colors[256];
    png_byte alpha[256];

    for (int i = 0; i < count; i++) {
        uint32_t value = picture_random(random);

        colors[i].red = (png_byte)value;
        colors[i].green = (png_byte)(value >> 8);
        colors[i].blue = (png_byte)(value >> 16);
        alpha[i] = (png_byte)(value >> 24);
    }
    png_set_PLTE(png, info, colors, count);
    if (spec->transparent)
        png_set_tRNS(png, info, alpha, count / 2 + 1, NULL);
}

static void set_ancillary(png_structp png, png_infop info,
                          const struct png_spec *spec, uint32_t *random)
{
    png_color_16 key = {0, 1, 1, 1, 1};

    if (spec->color_type == PNG_COLOR_TYPE_PALETTE)
        set_palette(png, info, spec, random);
    else if (spec->transparent)
        png_set_tRNS(png, info, NULL, 0, &key);
    if (spec->text_bytes > 0) {
        png_text text = {.compression = PNG_TEXT_COMPRESSION_NONE};
        char key_word[] = "Comment";

        text.key = key_word;
        text.text = malloc(spec->text_bytes + 1);
        assert_non_null(text.text);
        memset(text.text, 'x', spec->text_bytes);
        text.text[spec->text_bytes] = '\0';
        png_set_text(png, info, &text, 1);
        free(text.text);
    }
    if (spec->orientation > 0) {
        struct buf exif;

        buf_init(&exif, 1024);
        exif_append(&exif, spec->orientation, spec->orientation % 2 == 0);
        png_set_eXIf_1(png, info, (png_uint_32)exif.len, (png_bytep)exif.data);
        buf_release(&exif);
    }
}

/* Small values half of the time, so that the transparent one is hit. */
static void fill_row(uint8_t *row, size_t len, uint32_t *random)
{
    for (size_t i = 0; i < len; i++) {
        uint32_t value = picture_random(random);

        row[i] = (uint8_t)(value % 2 == 0 ? value >> 9 : (value >> 9) % 2);
    }
}

void picture_random_png(const struct png_spec *spec, struct buf *out)
{
    uint32_t random = spec->seed + 1;
    png_infop info;
    png_structp png = open_writer(out, &info);
    uint8_t *pixels;
    png_bytepp rows;
    size_t len;

    png_set_IHDR(png, info, spec->width_px, spec->height_px, spec->depth,
                 spec->color_type,
                 spec->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    set_ancillary(png, info, spec, &random);
    len = png_get_rowbytes(png, info);
    pixels = malloc(len * spec->height_px);
    rows = calloc(spec->height_px, sizeof(*rows));
    assert_non_null(pixels);
    assert_non_null(rows);
    fill_row(pixels, len * spec->height_px, &random);
    for (size_t y = 0; y < spec->height_px; y++)
        rows[y] = pixels + y * len;
    png_set_rows(png, info, rows);
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&png, &info);
    free(rows);
    free(pixels);
}

void picture_to_png(const struct picture *p, struct buf *out)
{
    static const int types[] = {0, PNG_COLOR_TYPE_GRAY,
                                PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                PNG_COLOR_TYPE_RGB_ALPHA};
    png_infop info;
    png_structp png = open_writer(out, &info);

    png_set_IHDR(png, info, p->width_px, p->height_px, 8, types[p->channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 1);
    png_write_info(png, info);
    for (size_t y = 0; y < p->height_px; y++)
        png_write_row(png, picture_at(p, 0, y));
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
}

/* ---- reading */

struct source {
    const struct buf *bytes;
    size_t at;
};

static void on_read(png_structp png, png_bytep bytes, size_t len)
{
    struct source *source = png_get_io_ptr(png);

    if (len > source->bytes->len - source->at)
        on_error(png, "read beyond the end");
    memcpy(bytes, source->bytes->data + source->at, len);
    source->at += len;
}

void picture_from_png(struct picture *p, const struct buf *bytes)
{
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL,
                                             on_error, on_warning);
    struct source source = {bytes, 0};
    png_infop info;
    int passes;

    assert_non_null(png);
    info = png_create_info_struct(png);
    assert_non_null(info);
    png_set_read_fn(png, &source, on_read);
    png_read_info(png, info);
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    picture_init(p, png_get_image_width(png, info),
                 png_get_image_height(png, info), 4);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < p->height_px; y++)
            png_read_row(png, picture_at(p, 0, y), NULL);
    png_read_end(png, NULL);
    png_destroy_read_struct(&png, &info, NULL);
}

/* ---- chunks */

static void append_u32(struct buf *out, uint32_t value)
{
    uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                       (uint8_t)(value >> 8), (uint8_t)value};

    assert_int_equal(buf_append(out, bytes, sizeof(bytes)), STATUS_OK);
}

void png_append_chunk(struct buf *out, const char *name, const void *data,
                      size_t len)
{
    size_t start = out->len + 4;

    append_u32(out, (uint32_t)len);
    assert_int_equal(buf_append(out, name, 4), STATUS_OK);
    if (len > 0)
        assert_int_equal(buf_append(out, data, len), STATUS_OK);
    append_u32(out, (uint32_t)crc32(0, (const Bytef *)out->data + start,
                                    (uInt)(len + 4)));
}

void picture_png_head(struct buf *out, uint32_t width_px, uint32_t height_px)
{
    uint8_t header[13] = {[8] = 8 /* bits a sample */, [9] = 2 /* RGB */};

    for (int i = 0; i < 4; i++) {
        header[i] = (uint8_t)(width_px >> (24 - 8 * i));
        header[4 + i] = (uint8_t)(height_px >> (24 - 8 * i));
    }
    assert_int_equal(buf_append(out, "\x89PNG\r\n\x1a\n", 8), STATUS_OK);
    png_append_chunk(out, "IHDR", header, sizeof(header));
}
