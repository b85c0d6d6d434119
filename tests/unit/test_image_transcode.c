/*
 * transcode: the calling sequence, both size bounds under noise, slices, sinks
 * that fail, limits on the input, and pictures damaged at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"
#include "limits.h"

static void make_noise_png(struct buf *png, uint32_t width_px,
                           uint32_t height_px, size_t channels)
{
    struct picture p;

    buf_init(png, 128 * 1024 * 1024);
    picture_init(&p, width_px, height_px, channels);
    picture_fill_noise(&p, 1);
    picture_to_png(&p, png);
    picture_release(&p);
}

static void make_scene_jpeg(struct buf *jpeg, uint32_t width_px,
                            uint32_t height_px, const struct jpeg_spec *spec)
{
    struct picture p;

    buf_init(jpeg, 16 * 1024 * 1024);
    picture_init(&p, width_px, height_px, 3);
    picture_fill_scene(&p);
    picture_to_jpeg(&p, spec, jpeg);
    picture_release(&p);
}

/* ---- sizes */

static void check_bounds(const struct buf *png, size_t original_max_bytes,
                         size_t preview_max_bytes)
{
    struct transcode_options options;
    struct transcoding run;

    transcode_options_default(&options);
    options.original_max_bytes = original_max_bytes;
    options.preview_max_bytes = preview_max_bytes;
    transcoding_run(&run, png, &options, FEED_AT_ONCE);
    assert_int_equal(run.status, STATUS_OK);
    assert_int_equal(run.report.original_bytes, run.original.len);
    assert_int_equal(run.report.preview_bytes, run.preview.len);
    assert_true(run.original.len <= original_max_bytes);
    assert_true(run.preview.len <= preview_max_bytes);
    assert_int_equal(run.report.preview_is_original, run.preview.len == 0);
    transcoding_release(&run);
}

static void test_noise_at_the_bounds(void **state)
{
    (void)state;
    for (size_t channels = 1; channels <= 4; channels++) {
        struct buf png;

        make_noise_png(&png, 700, 500, channels);
        for (size_t bytes = 20000; bytes < 2000000; bytes = bytes * 3 / 2) {
            check_bounds(&png, bytes, bytes / 10);
            check_bounds(&png, bytes + 1, bytes);
        }
        buf_release(&png);
    }
}

/* What LINE allows, with pictures just within and just beyond it. */
static void test_noise_at_the_default_bounds(void **state)
{
    static const uint32_t sizes[][2] = {{1825, 1826}, {1824, 1826}};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct buf png;

        make_noise_png(&png, sizes[i][0], sizes[i][1], 3);
        check_bounds(&png, ORIGINAL_MAX_BYTES, PREVIEW_MAX_BYTES);
        buf_release(&png);
    }
}

/* ---- the calling sequence */

static enum status swallow(void *arg, const uint8_t *bytes, size_t len)
{
    size_t *total = arg;

    (void)bytes;
    *total += len;
    return STATUS_OK;
}

static struct transcode *open_transcode(size_t *total)
{
    struct transcode_sinks sinks = {swallow, total, swallow, total, NULL};
    struct transcode_options options;
    struct transcode *t;

    transcode_options_default(&options);
    assert_int_equal(transcode_new(&t, &options, &sinks), STATUS_OK);
    return t;
}

static const uint8_t *bytes_of(const struct buf *b)
{
    return (const uint8_t *)b->data;
}

static void test_order_of_calls(void **state)
{
    struct jpeg_spec spec = {.quality = 80};
    size_t total = 0;
    struct transcode *t = open_transcode(&total);
    struct buf jpeg;
    enum status status;

    (void)state;
    make_scene_jpeg(&jpeg, 600, 600, &spec); /* more than one slice */
    assert_int_equal(transcode_run(t), STATUS_BUG);
    transcode_free(t);

    t = open_transcode(&total);
    status = transcode_push(t, bytes_of(&jpeg), jpeg.len);
    assert_int_equal(status, STATUS_AGAIN);
    assert_int_equal(transcode_push(t, bytes_of(&jpeg), 1), STATUS_BUG);
    assert_int_equal(transcode_end(t), STATUS_BUG);
    while (status == STATUS_AGAIN)
        status = transcode_run(t);
    assert_int_equal(status, STATUS_OK); /* all rows came */
    assert_int_equal(transcode_push(t, bytes_of(&jpeg), 1), STATUS_OK);
    assert_int_equal(transcode_end(t), STATUS_OK);
    assert_int_equal(transcode_report(t)->input_bytes, jpeg.len + 1);
    transcode_free(t);
    buf_release(&jpeg);
}

static void test_errors_stick(void **state)
{
    size_t total = 0;
    struct transcode *t = open_transcode(&total);

    (void)state;
    assert_int_equal(transcode_push(t, (const uint8_t *)"<html>", 6),
                     STATUS_NOT_AN_IMAGE);
    assert_int_equal(transcode_push(t, (const uint8_t *)"x", 1),
                     STATUS_NOT_AN_IMAGE);
    assert_int_equal(transcode_run(t), STATUS_NOT_AN_IMAGE);
    assert_int_equal(transcode_end(t), STATUS_NOT_AN_IMAGE);
    transcode_free(t);
    t = open_transcode(&total);
    assert_int_equal(transcode_end(t), STATUS_EMPTY);
    assert_int_equal(transcode_end(t), STATUS_EMPTY);
    transcode_free(t);
    transcode_free(NULL);
    assert_int_equal(total, 0);
}

/* Whatever is in the bytes of one push, a slice ends after its pixels: so many
 * calls at least, for a picture of so many pixels. */
static void check_slices(const struct buf *input, uint64_t pixels)
{
    size_t total = 0;
    struct transcode *t = open_transcode(&total);
    uint64_t calls = 1;
    enum status status = transcode_push(t, bytes_of(input), input->len);

    for (; status == STATUS_AGAIN; calls++)
        status = transcode_run(t);
    assert_int_equal(status, STATUS_OK);
    assert_true(calls >= pixels / IMAGE_SLICE_PX / 3);
    transcode_free(t);
}

static void test_slices(void **state)
{
    struct jpeg_spec spec = {.quality = 20, .h_samp = 2, .v_samp = 2};
    struct picture flat;
    struct buf input;

    (void)state;
    make_scene_jpeg(&input, 2000, 2000, &spec);
    check_slices(&input, 4000000);
    buf_release(&input);
    spec.progressive = true;
    make_scene_jpeg(&input, 2000, 2000, &spec);
    check_slices(&input, 4000000);
    buf_release(&input);
    for (size_t channels = 1; channels <= 4; channels += 3) {
        picture_init(&flat, 2000, 2000, channels);
        buf_init(&input, 1024 * 1024);
        picture_to_png(&flat, &input); /* 4 to 16 MB in some 10 KB */
        check_slices(&input, 4000000);
        picture_release(&flat);
        buf_release(&input);
    }
}

/* The report is known in time for whoever waits for it. */
static void test_report_comes_before_the_pixels(void **state)
{
    struct jpeg_spec spec = {.quality = 80, .orientation = 6};
    size_t total = 0;
    struct transcode *t = open_transcode(&total);
    struct buf jpeg;
    size_t at = 0;

    (void)state;
    make_scene_jpeg(&jpeg, 100, 60, &spec);
    while (transcode_report(t)->source_width_px == 0)
        assert_int_equal(transcode_push(t, bytes_of(&jpeg) + at++, 1),
                         STATUS_MORE);
    assert_int_equal(total, 0);
    assert_int_equal(transcode_report(t)->source_type, IMAGE_TYPE_JPEG);
    assert_int_equal(transcode_report(t)->source_width_px, 100);
    assert_int_equal(transcode_report(t)->source_height_px, 60);
    assert_int_equal(transcode_report(t)->orientation, 6);
    assert_int_equal(transcode_report(t)->original_width_px, 60);
    transcode_free(t);
    buf_release(&jpeg);
}

static void test_input_limit(void **state)
{
    struct jpeg_spec spec = {.quality = 80, .progressive = true};
    struct transcode_options options;
    struct transcoding run;
    struct buf jpeg;

    (void)state;
    make_scene_jpeg(&jpeg, 100, 60, &spec);
    transcode_options_default(&options);
    options.input_max_bytes = jpeg.len;
    transcoding_run_all_ways(&run, &jpeg, &options);
    assert_int_equal(run.status, STATUS_OK);
    transcoding_release(&run);
    options.input_max_bytes = jpeg.len - 1;
    transcoding_run_all_ways(&run, &jpeg, &options);
    assert_int_equal(run.status, STATUS_TOO_LARGE);
    transcoding_release(&run);
    buf_release(&jpeg);
}

/* ---- sinks */

struct failing {
    size_t calls_left;
    enum status status;
};

static enum status fail_later(void *arg, const uint8_t *bytes, size_t len)
{
    struct failing *failing = arg;

    (void)bytes;
    (void)len;
    return failing->calls_left-- > 0 ? STATUS_OK : failing->status;
}

static enum status run_with_sinks(const struct buf *input,
                                  struct failing *original,
                                  struct failing *preview)
{
    struct transcode_sinks sinks = {fail_later, original, fail_later, preview,
                                    NULL};
    struct transcode_options options;
    struct transcode *t;
    enum status status;

    transcode_options_default(&options);
    options.preview_max_bytes = 20000;
    assert_int_equal(transcode_new(&t, &options, &sinks), STATUS_OK);
    status = transcode_push(t, bytes_of(input), input->len);
    while (status == STATUS_AGAIN)
        status = transcode_run(t);
    if (status == STATUS_MORE)
        status = transcode_end(t);
    if (status != STATUS_OK)
        assert_int_equal(transcode_end(t), status);
    transcode_free(t);
    return status;
}

static void check_failing_sinks(const struct buf *input)
{
    for (size_t calls = 0; calls < 100; calls++) {
        struct failing failing = {calls, STATUS_NO_SPACE};
        struct failing fine = {1000, STATUS_OK};
        enum status status = run_with_sinks(input, &failing, &fine);

        if (status == STATUS_OK && failing.calls_left == 0)
            break; /* so many calls there are */
        assert_int_equal(status, STATUS_NO_SPACE);
        assert_true(calls < 99);
    }
    for (size_t calls = 0; calls < 3; calls++) {
        struct failing failing = {calls, STATUS_CUT};
        struct failing fine = {1000, STATUS_OK};

        assert_int_equal(run_with_sinks(input, &fine, &failing), STATUS_CUT);
    }
}

static void test_sink_failures_come_back(void **state)
{
    struct jpeg_spec spec = {.quality = 90, .orientation = 6};
    struct buf input;

    (void)state;
    make_scene_jpeg(&input, 300, 300, &spec);
    check_failing_sinks(&input);
    buf_release(&input);
    make_noise_png(&input, 200, 200, 4);
    check_failing_sinks(&input);
    buf_release(&input);
}

/* ---- damage */

/* A status that fits, within bounds, without a report from a sanitizer. */
static void check_damaged(const struct buf *input, uint32_t *random)
{
    struct transcode_options options;
    struct transcoding run;
    struct buf copy;

    buf_init(&copy, input->len);
    assert_int_equal(buf_append(&copy, input->data, input->len), STATUS_OK);
    for (uint32_t flips = picture_random(random) % 8 + 1; flips > 0; flips--)
        copy.data[picture_random(random) % copy.len] =
            (char)picture_random(random);
    if (picture_random(random) % 8 == 0)
        copy.len = picture_random(random) % copy.len;
    transcoding_options_all(&options);
    options.pixels_max = 300000;
    options.original_max_bytes = 10000;
    options.preview_max_bytes = 1000;
    transcoding_run(&run, &copy, &options, FEED_RANDOM);
    assert_true(run.original.len <= 10000);
    assert_true(run.preview.len <= 1000);
    assert_int_not_equal(status_class(run.status), STATUS_CLASS_BUG);
    assert_int_not_equal(status_class(run.status), STATUS_CLASS_RETRY);
    transcoding_release(&run);
    buf_release(&copy);
}

static void check_damages(struct buf *input, uint32_t *random)
{
    for (int k = 0; k < 60; k++)
        check_damaged(input, random);
    buf_release(input);
}

static void test_random_damage_of_other_types(void **state)
{
    uint32_t random = 2025;

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        struct gif_spec spec = {60, 50, .bits = i / 2 + 1, .transparent = -1};
        struct picture p;
        struct buf input;

        spec.interlaced = i % 2 == 1;
        spec.left = i % 3;
        picture_init(&p, 60, 50, 1);
        picture_fill_scene(&p);
        for (size_t k = 0; k < (size_t)60 * 50; k++)
            p.pixels[k] &= (uint8_t)((1U << spec.bits) - 1);
        buf_init(&input, 100000);
        picture_to_gif(&p, &spec, &input);
        check_damages(&input, &random);
        picture_release(&p);
        picture_init(&p, 60, 50, i % 2 == 0 ? 3 : 4);
        picture_fill_scene(&p);
        buf_init(&input, 100000);
        picture_to_webp(&p, i % 4 < 2, &input);
        check_damages(&input, &random);
        picture_release(&p);
    }
}

static void test_random_splits(void **state)
{
    struct transcode_options options;

    (void)state;
    transcode_options_default(&options);
    options.preview_max_bytes = 2000;
    for (unsigned flags = 0; flags < 4; flags++) {
        struct jpeg_spec jpeg = {.quality = 70,
                                 .progressive = (flags & 1) != 0,
                                 .orientation = (flags & 2) != 0 ? 6 : 1};
        struct png_spec png = {.width_px = 40,
                               .height_px = 30,
                               .color_type = (flags & 2) != 0 ? 3 : 6,
                               .depth = 8,
                               .interlaced = (flags & 1) != 0};
        struct buf input;

        make_scene_jpeg(&input, 50, 40, &jpeg);
        transcoding_check_splits(&input, &options, 1000);
        buf_release(&input);
        buf_init(&input, 100000);
        picture_random_png(&png, &input);
        transcoding_check_splits(&input, &options, 1000);
        buf_release(&input);
    }
}

static void test_random_damage(void **state)
{
    uint32_t random = 2024;

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct jpeg_spec jpeg = {
            .quality = 70,
            .h_samp = 2,
            .v_samp = (int)i % 2 + 1,
            .progressive = i % 3 == 1,
            .arithmetic = i % 4 == 3,
            .restart_rows = i % 5 == 4 ? 1 : 0,
            .orientation = (uint8_t)(i % 9),
        };
        struct png_spec png = {
            .width_px = 41,
            .height_px = 33,
            .color_type = (int[]){0, 2, 3, 4, 6, 3}[i % 6],
            .depth = 8,
            .interlaced = i >= 6,
            .transparent = i % 6 < 3,
            .orientation = (uint8_t)(i % 9),
        };
        struct buf input;

        make_scene_jpeg(&input, 60, 50, &jpeg);
        check_damages(&input, &random);
        buf_init(&input, 1024 * 1024);
        picture_random_png(&png, &input);
        check_damages(&input, &random);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise_at_the_bounds),
        cmocka_unit_test(test_noise_at_the_default_bounds),
        cmocka_unit_test(test_order_of_calls),
        cmocka_unit_test(test_errors_stick),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_report_comes_before_the_pixels),
        cmocka_unit_test(test_input_limit),
        cmocka_unit_test(test_sink_failures_come_back),
        cmocka_unit_test(test_random_splits),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_random_damage_of_other_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
