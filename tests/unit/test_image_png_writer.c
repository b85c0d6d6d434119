/*
 * deflate and png_writer: zlib and libpng read back what was written, and no
 * input makes more bytes than the bound says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/deflate.h"
#include "image/png_writer.h"
#include "../helper/picture.h"
#include "../helper/transcoding.h"

#include <zlib.h>

static enum status gather(void *arg, const uint8_t *bytes, size_t len)
{
    return buf_append(arg, bytes, len);
}

/* ---- deflate */

static void compress_bytes(const uint8_t *bytes, size_t len, size_t piece,
                           enum deflate_kind kind, struct buf *out)
{
    struct deflate *d;

    buf_init(out, 16 * 1024 * 1024);
    assert_int_equal(deflate_new(&d, kind, &(struct byte_sink){gather, out}),
                     STATUS_OK);
    for (size_t at = 0; at < len; at += size_min(piece, len - at))
        assert_int_equal(
            deflate_write(d, bytes + at, size_min(piece, len - at)), STATUS_OK);
    assert_int_equal(deflate_finish(d), STATUS_OK);
    deflate_free(d);
}

static void check_kind(const uint8_t *bytes, size_t len, size_t piece,
                       enum deflate_kind kind)
{
    struct buf out;
    uLongf back_len = len + 1;
    uint8_t *back = malloc(back_len);
    size_t bound;

    assert_non_null(back);
    compress_bytes(bytes, len, piece, kind, &out);
    assert_true(deflate_bound(len, &bound));
    assert_true(out.len <= bound);
    assert_int_equal(
        uncompress(back, &back_len, (const Bytef *)out.data, out.len), Z_OK);
    assert_int_equal(back_len, len);
    assert_memory_equal(back, bytes, len);
    buf_release(&out);
    free(back);
}

static void check_round_trip(const uint8_t *bytes, size_t len, size_t piece)
{
    check_kind(bytes, len, piece, DEFLATE_MATCHES);
    check_kind(bytes, len, piece, DEFLATE_RUNS);
}

static void test_deflate_round_trip(void **state)
{
    static const size_t lengths[] = {0,     1,      100,    65534,  65535,
                                     65536, 131069, 131070, 131071, 300000};
    uint8_t *bytes = malloc(300000);
    uint32_t random = 1;

    (void)state;
    assert_non_null(bytes);
    /* Noise of 1, 4 and 8 bits a byte: with and without matches. */
    for (unsigned bits = 1; bits <= 8; bits += bits < 4 ? 3 : 4) {
        for (size_t i = 0; i < 300000; i++)
            bytes[i] =
                (uint8_t)((picture_random(&random) >> 9) & ((1U << bits) - 1));
        for (size_t i = 0; i < ARRAY_COUNT(lengths); i++)
            check_round_trip(bytes, lengths[i], 777);
        check_round_trip(bytes, 300000, 300000);
    }
    free(bytes);
}

/* Noise that is now and then interrupted by a short match far back, which is
 * what costs a deflater most, and runs of zeros in between. */
static void test_deflate_bound_holds(void **state)
{
    size_t len = 2000000;
    uint8_t *bytes = malloc(len);
    uint32_t random = 5;

    (void)state;
    assert_non_null(bytes);
    for (unsigned gap = 4; gap < 2000; gap *= 5) {
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(picture_random(&random) >> 9);
        for (size_t i = 32768; i + 300 < len; i += gap + 4)
            memcpy(bytes + i, bytes + i - 32000, 4);
        for (size_t i = 70000; i + 70000 < len; i += 200000)
            memset(bytes + i, 0, 70000);
        check_round_trip(bytes, len, 4096);
    }
    free(bytes);
}

/* What a page of text is between two photos: one line again and again, which
 * has no runs. It is long enough to be seen, and what is left out by one way of
 * packing is not referred to by the other. */
static void test_runs_give_way_to_matches(void **state)
{
    const size_t third = (size_t)40 * 65535;
    uint8_t *bytes = malloc(3 * third);
    struct buf noise, all;
    uint32_t random = 6;

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < 3 * third; i++)
        bytes[i] = i < third + 3000 || i >= 2 * third
                       ? (uint8_t)(picture_random(&random) >> 9 & 15)
                       : bytes[i - 3000];
    check_round_trip(bytes, 3 * third, 10000);
    compress_bytes(bytes, third, 10000, DEFLATE_RUNS, &noise);
    compress_bytes(bytes, 3 * third, 10000, DEFLATE_RUNS, &all);
    assert_in_range(noise.len, third / 2, third / 2 + third / 50);
    assert_true(all.len < 3 * noise.len - noise.len / 4);
    buf_release(&noise);
    buf_release(&all);
    free(bytes);
}

static void test_crc(void **state)
{
    (void)state;
    assert_int_equal(deflate_crc32(0, (const uint8_t *)"123456789", 9),
                     0xcbf43926);
    assert_int_equal(deflate_crc32(deflate_crc32(0, (const uint8_t *)"1234", 4),
                                   (const uint8_t *)"56789", 5),
                     0xcbf43926);
}

static enum status refuse(void *arg, const uint8_t *bytes, size_t len)
{
    int *calls_left = arg;

    (void)bytes;
    (void)len;
    return (*calls_left)-- > 0 ? STATUS_OK : STATUS_NO_SPACE;
}

static void test_deflate_gives_back_the_sinks_status(void **state)
{
    static uint8_t bytes[200000];
    uint32_t random = 3;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(picture_random(&random) >> 9);
    for (int i = 0; i < 2 * 8; i++) {
        struct deflate *d;
        int left = i / 2;
        enum status status;

        assert_int_equal(
            deflate_new(&d, i % 2 == 0 ? DEFLATE_MATCHES : DEFLATE_RUNS,
                        &(struct byte_sink){refuse, &left}),
            STATUS_OK);
        status = deflate_write(d, bytes, sizeof(bytes));
        if (status == STATUS_OK)
            status = deflate_finish(d);
        assert_int_equal(status, STATUS_NO_SPACE);
        deflate_free(d);
    }
}

/* ---- png_writer */

static void write_png(const struct picture *p,
                      const struct pixel_format *format, enum png_filter filter,
                      struct buf *out)
{
    struct png_image image = {p->width_px, p->height_px, *format,
                              filter,      DEFLATE_RUNS, false};
    struct png_writer *w;
    size_t bound;

    buf_init(out, 16 * 1024 * 1024);
    assert_int_equal(
        png_writer_new(&w, &image, &(struct byte_sink){gather, out}),
        STATUS_OK);
    for (size_t y = 0; y < p->height_px; y++)
        assert_int_equal(png_writer_row(w, picture_at(p, 0, y)), STATUS_OK);
    assert_int_equal(png_writer_finish(w), STATUS_OK);
    png_writer_free(w);
    assert_true(png_writer_bound(p->width_px, p->height_px, format, &bound));
    assert_true(out->len <= bound);
}

static void to_rgba(const struct picture *p, const struct pixel_format *format,
                    uint8_t rgba[4], size_t x, size_t y)
{
    const uint8_t *pixel = picture_at(p, x, y);
    bool has_alpha = p->channels % 2 == 0;

    for (size_t k = 0; k < 3; k++)
        rgba[k] = pixel[p->channels >= 3 ? k : 0];
    rgba[3] = has_alpha ? pixel[p->channels - 1] : 255;
    if (format->kind == PIXEL_INDEXED) {
        memcpy(rgba, format->palette[pixel[0]], 3);
        rgba[3] =
            pixel[0] < format->alpha_count ? format->alpha[pixel[0]] : 255;
    } else if (format->depth < 8) {
        memset(rgba, pixel[0] * 255 / ((1 << format->depth) - 1), 3);
    }
    if (format->has_key && pixel[0] == format->key)
        rgba[3] = 0;
}

static void check_written(const struct picture *p,
                          const struct pixel_format *format,
                          enum png_filter filter)
{
    struct picture back;
    struct buf out;

    write_png(p, format, filter, &out);
    assert_only_allowed_chunks(&out);
    picture_from_png(&back, &out);
    assert_int_equal(back.width_px, p->width_px);
    assert_int_equal(back.height_px, p->height_px);
    for (size_t y = 0; y < p->height_px; y++)
        for (size_t x = 0; x < p->width_px; x++) {
            uint8_t expected[4];

            to_rgba(p, format, expected, x, y);
            assert_memory_equal(picture_at(&back, x, y), expected, 4);
        }
    picture_release(&back);
    buf_release(&out);
}

static void test_every_plain_format_and_filter(void **state)
{
    static const enum pixel_kind kinds[] = {PIXEL_GRAY, PIXEL_GRAY_ALPHA,
                                            PIXEL_RGB, PIXEL_RGBA};
    static const enum png_filter filters[] = {PNG_WRITER_NONE,
                                              PNG_WRITER_PAETH};
    static const uint32_t sizes[][2] = {{1, 1}, {1, 40}, {40, 1}, {217, 131}};

    (void)state;
    for (size_t i = 0; i < 4 * 2 * 4; i++) {
        struct pixel_format format = {.kind = kinds[i % 4], .depth = 8};
        const uint32_t *size = sizes[i / 8];
        struct picture p;

        picture_init(&p, size[0], size[1], i % 4 + 1);
        picture_fill_noise(&p, (uint32_t)i + 1);
        check_written(&p, &format, filters[i / 4 % 2]);
        picture_fill_scene(&p);
        check_written(&p, &format, filters[i / 4 % 2]);
        picture_release(&p);
    }
}

static void test_low_depths(void **state)
{
    (void)state;
    for (uint8_t depth = 1; depth <= 8; depth *= 2)
        for (uint32_t width = 1; width < 20; width++)
            for (unsigned kind = 0; kind < 3; kind++) {
                struct pixel_format format = {
                    .kind = kind == 0 ? PIXEL_INDEXED : PIXEL_GRAY,
                    .depth = depth,
                    .has_key = kind == 2,
                    .key = 1,
                    .alpha_count = kind == 0 ? 2 : 0,
                    .alpha = {0, 77},
                };
                struct picture p;

                for (size_t i = 0; i < PALETTE_MAX; i++)
                    memset(format.palette[i], (int)i * 3, 3);
                picture_init(&p, width, 9, 1);
                picture_fill_noise(&p, width + depth);
                for (size_t i = 0; i < width * 9; i++)
                    p.pixels[i] &= (uint8_t)((1 << depth) - 1);
                check_written(&p, &format, PNG_WRITER_NONE);
                picture_release(&p);
            }
}

static void test_noise_at_the_bound(void **state)
{
    struct pixel_format format = {.kind = PIXEL_RGB, .depth = 8};
    struct picture p;
    struct buf out;
    size_t bound;

    (void)state;
    picture_init(&p, 1000, 700, 3);
    picture_fill_noise(&p, 11);
    write_png(&p, &format, PNG_WRITER_NONE, &out);
    assert_true(png_writer_bound(1000, 700, &format, &bound));
    assert_true(out.len <= bound);
    assert_true(out.len > bound - 700); /* the filter bytes compress */
    buf_release(&out);
    picture_release(&p);
}

static void test_bound_overflows(void **state)
{
    struct pixel_format format = {.kind = PIXEL_RGBA, .depth = 8};
    size_t bytes = 17;

    (void)state;
    assert_true(png_writer_bound(65535, 65535, &format, &bytes));
    assert_true(bytes > 4UL * 65535 * 65535);
    assert_false(png_writer_bound(UINT32_MAX, UINT32_MAX, &format, &bytes));
}

static void test_rows_are_counted(void **state)
{
    struct png_image image = {2,
                              2,
                              {.kind = PIXEL_GRAY, .depth = 8},
                              PNG_WRITER_PAETH,
                              DEFLATE_MATCHES,
                              false};
    struct png_writer *w;
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    assert_int_equal(
        png_writer_new(&w, &image, &(struct byte_sink){gather, &out}),
        STATUS_OK);
    assert_int_equal(png_writer_row(w, (const uint8_t *)"ab"), STATUS_OK);
    assert_int_equal(png_writer_finish(w), STATUS_BUG);
    assert_int_equal(png_writer_row(w, (const uint8_t *)"ab"), STATUS_OK);
    assert_int_equal(png_writer_row(w, (const uint8_t *)"ab"), STATUS_BUG);
    png_writer_free(w);
    image.format.depth = 4;
    assert_int_equal(
        png_writer_new(&w, &image, &(struct byte_sink){gather, &out}),
        STATUS_BUG);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deflate_round_trip),
        cmocka_unit_test(test_deflate_bound_holds),
        cmocka_unit_test(test_runs_give_way_to_matches),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_deflate_gives_back_the_sinks_status),
        cmocka_unit_test(test_every_plain_format_and_filter),
        cmocka_unit_test(test_low_depths),
        cmocka_unit_test(test_noise_at_the_bound),
        cmocka_unit_test(test_bound_overflows),
        cmocka_unit_test(test_rows_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
