/*
 * scale: two levels at most from an area average in double precision, and
 * 51 dB on the whole, of noise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/scale.h"
#include "../helper/picture.h"

struct collected {
    struct picture picture;
    size_t rows;
};

static enum status collect(void *arg, const uint8_t *row)
{
    struct collected *to = arg;

    assert_true(to->rows < to->picture.height_px);
    memcpy(picture_at(&to->picture, 0, to->rows++), row,
           to->picture.width_px * to->picture.channels);
    return STATUS_OK;
}

static enum pixel_kind kind_of(size_t channels)
{
    return (enum pixel_kind)(channels - 1);
}

static void scale_picture(const struct picture *p,
                          const struct pixel_format *format, uint32_t width_px,
                          uint32_t height_px, struct picture *out)
{
    struct pixel_format plain;
    struct collected to = {.rows = 0};
    struct scale_job job = {
        .format = *format,
        .source_width_px = p->width_px,
        .source_height_px = p->height_px,
        .width_px = width_px,
        .height_px = height_px,
        .sink = {collect, &to},
    };
    struct scale *s;

    pixel_format_plain(format, &plain);
    picture_init(&to.picture, width_px, height_px, pixel_bytes(&plain));
    assert_int_equal(scale_new(&s, &job), STATUS_OK);
    for (size_t y = 0; y < p->height_px; y++)
        assert_int_equal(scale_row(s, picture_at(p, 0, y)), STATUS_OK);
    assert_int_equal(to.rows, height_px);
    assert_int_equal(scale_row(s, p->pixels), STATUS_BUG);
    scale_free(s);
    *out = to.picture;
}

/* ---- the reference */

static double overlap(double a, double b, double c, double d)
{
    double low = a > c ? a : c;
    double high = b < d ? b : d;

    return high > low ? high - low : 0;
}

/* Sums of sample * alpha and of alpha over the area of one pixel. */
static void average(const struct picture *p, size_t x, size_t y, double rx,
                    double ry, double out[4])
{
    bool has_alpha = p->channels % 2 == 0;
    size_t a = p->channels - 1;
    double sums[4] = {0, 0, 0, 0};
    double alpha_sum = 0;
    double area = 0;

    for (size_t j = (size_t)((double)y * ry);
         j < p->height_px && (double)j < (double)(y + 1) * ry; j++)
        for (size_t i = (size_t)((double)x * rx);
             i < p->width_px && (double)i < (double)(x + 1) * rx; i++) {
            const uint8_t *pixel = picture_at(p, i, j);
            double part = overlap((double)i, (double)i + 1, (double)x * rx,
                                  (double)(x + 1) * rx) *
                          overlap((double)j, (double)j + 1, (double)y * ry,
                                  (double)(y + 1) * ry);
            double alpha = has_alpha ? pixel[a] / 255.0 : 1;

            area += part;
            alpha_sum += part * alpha;
            for (size_t k = 0; k < p->channels; k++)
                sums[k] += part * alpha * pixel[k];
        }
    for (size_t k = 0; k < p->channels; k++)
        out[k] = alpha_sum > 0 ? sums[k] / alpha_sum : 0;
    if (has_alpha)
        out[a] = alpha_sum / area * 255;
}

/* Colour under little alpha is coarse: what counts is what can be seen. */
static void check_scaled(const struct picture *p, uint32_t width_px,
                         uint32_t height_px)
{
    struct pixel_format format = {.kind = kind_of(p->channels), .depth = 8};
    double rx = (double)p->width_px / width_px;
    double ry = (double)p->height_px / height_px;
    double squares = 0;
    struct picture out;

    scale_picture(p, &format, width_px, height_px, &out);
    for (size_t y = 0; y < height_px; y++)
        for (size_t x = 0; x < width_px; x++) {
            const uint8_t *pixel = picture_at(&out, x, y);
            double expected[4];
            double seen = 1;

            average(p, x, y, rx, ry, expected);
            if (p->channels % 2 == 0)
                seen = expected[p->channels - 1] / 255;
            for (size_t k = 0; k < p->channels; k++) {
                double error = (pixel[k] - expected[k]) * seen;

                squares += error * error;
                if (error > 2 || error < -2)
                    fail_msg("%zu,%zu sample %zu: %d, not %.2f", x, y, k,
                             pixel[k], expected[k]);
            }
        }
    squares /= (double)width_px * height_px * (double)p->channels;
    assert_true(squares < 0.5); /* 51 dB */
    picture_release(&out);
}

static void test_against_double_precision(void **state)
{
    static const uint32_t sizes[][4] = {
        {64, 48, 64, 48}, {64, 48, 32, 24},    {64, 48, 63, 47},
        {64, 48, 33, 48}, {64, 48, 64, 25},    {101, 67, 40, 13},
        {200, 3, 17, 1},  {3, 200, 1, 17},     {1, 1, 1, 1},
        {50, 1, 7, 1},    {1, 50, 1, 7},       {301, 199, 30, 20},
        {97, 89, 1, 1},   {160, 120, 100, 75},
    };

    (void)state;
    for (size_t channels = 1; channels <= 4; channels++)
        for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
            struct picture p;

            picture_init(&p, sizes[i][0], sizes[i][1], channels);
            picture_fill_noise(&p, (uint32_t)(i + 1));
            check_scaled(&p, sizes[i][2], sizes[i][3]);
            picture_fill_scene(&p);
            check_scaled(&p, sizes[i][2], sizes[i][3]);
            picture_release(&p);
        }
}

static void test_flat_area_keeps_its_value(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        struct pixel_format format = {.kind = PIXEL_GRAY, .depth = 8};
        struct picture p;
        struct picture out;

        picture_init(&p, 1000, 300, 1);
        memset(p.pixels, (int)value, (size_t)1000 * 300);
        scale_picture(&p, &format, 7, 1, &out);
        for (size_t x = 0; x < 7; x++)
            assert_int_equal(picture_at(&out, x, 0)[0], value);
        picture_release(&out);
        scale_picture(&p, &format, 999, 299, &out);
        assert_int_equal(picture_at(&out, 500, 150)[0], value);
        picture_release(&out);
        picture_release(&p);
    }
}

static void test_same_size_changes_nothing(void **state)
{
    struct pixel_format format = {.kind = PIXEL_RGB, .depth = 8};
    struct picture p;
    struct picture out;

    (void)state;
    picture_init(&p, 40, 30, 3);
    picture_fill_noise(&p, 3);
    scale_picture(&p, &format, 40, 30, &out);
    assert_picture_equal(&p, &out);
    picture_release(&out);
    picture_release(&p);
}

/* A tie may go either way. */
static void assert_near(const uint8_t *samples, const uint8_t *expected,
                        size_t count)
{
    for (size_t k = 0; k < count; k++)
        assert_in_range(samples[k] + 1, expected[k], expected[k] + 2);
}

static void test_transparent_colour_does_not_bleed(void **state)
{
    static uint8_t pixels[] = {255, 0, 0, 0, 0, 200, 0, 255};
    struct pixel_format format = {.kind = PIXEL_RGBA, .depth = 8};
    struct picture p = {2, 1, 4, pixels};
    struct picture out;

    (void)state;
    scale_picture(&p, &format, 1, 1, &out);
    assert_near(out.pixels, (const uint8_t[]){0, 200, 0, 128}, 4);
    picture_release(&out);
}

static void test_indexed_and_keyed(void **state)
{
    static uint8_t pixels[] = {0, 1};
    struct pixel_format indexed = {
        .kind = PIXEL_INDEXED,
        .depth = 1,
        .palette = {{10, 20, 30}, {110, 120, 130}},
    };
    struct pixel_format bits = {.kind = PIXEL_GRAY, .depth = 1};
    struct picture p = {2, 1, 1, pixels};
    struct picture out;

    (void)state;
    scale_picture(&p, &indexed, 1, 1, &out);
    assert_int_equal(out.channels, 3);
    assert_near(out.pixels, (const uint8_t[]){60, 70, 80}, 3);
    picture_release(&out);
    indexed.alpha_count = 1; /* the first entry is transparent */
    scale_picture(&p, &indexed, 1, 1, &out);
    assert_int_equal(out.channels, 4);
    assert_near(out.pixels, (const uint8_t[]){110, 120, 130, 128}, 4);
    picture_release(&out);
    scale_picture(&p, &bits, 1, 1, &out);
    assert_int_equal(out.channels, 1);
    assert_near(out.pixels, (const uint8_t[]){128}, 1);
    picture_release(&out);
    bits.has_key = true; /* black is transparent */
    scale_picture(&p, &bits, 1, 1, &out);
    assert_int_equal(out.channels, 2);
    assert_near(out.pixels, (const uint8_t[]){255, 128}, 2);
    picture_release(&out);
}

static void test_never_enlarges(void **state)
{
    struct scale_job job = {
        .format = {.kind = PIXEL_RGB, .depth = 8},
        .source_width_px = 10,
        .source_height_px = 10,
        .width_px = 11,
        .height_px = 5,
    };
    struct scale *s;

    (void)state;
    assert_int_equal(scale_new(&s, &job), STATUS_BUG);
    job.width_px = 0;
    assert_int_equal(scale_new(&s, &job), STATUS_BUG);
}

static enum status refuse(void *arg, const uint8_t *row)
{
    (void)arg;
    (void)row;
    return STATUS_IO;
}

static void test_gives_back_the_sinks_status(void **state)
{
    struct scale_job job = {
        .format = {.kind = PIXEL_GRAY, .depth = 8},
        .source_width_px = 2,
        .source_height_px = 2,
        .width_px = 1,
        .height_px = 1,
        .sink = {refuse, NULL},
    };
    struct scale *s;

    (void)state;
    assert_int_equal(scale_new(&s, &job), STATUS_OK);
    assert_int_equal(scale_row(s, (const uint8_t *)"ab"), STATUS_OK);
    assert_int_equal(scale_row(s, (const uint8_t *)"ab"), STATUS_IO);
    scale_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_double_precision),
        cmocka_unit_test(test_flat_area_keeps_its_value),
        cmocka_unit_test(test_same_size_changes_nothing),
        cmocka_unit_test(test_transparent_colour_does_not_bleed),
        cmocka_unit_test(test_indexed_and_keyed),
        cmocka_unit_test(test_never_enlarges),
        cmocka_unit_test(test_gives_back_the_sinks_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
