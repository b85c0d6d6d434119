/*
 * GIF through the door: pixels equal to what was encoded, for every palette
 * and place of the frame, however the bytes arrive; codes that cannot be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"
#include "limits.h"

#define OPAQUE (-1)

static struct gif_spec spec_of(uint32_t width_px, uint32_t height_px,
                               unsigned bits)
{
    return (struct gif_spec){.screen_width_px = width_px,
                             .screen_height_px = height_px,
                             .bits = bits,
                             .transparent = OPAQUE};
}

/* Runs of one colour and noise: long strings and a full table. */
static void fill_indices(struct picture *p, unsigned bits)
{
    uint32_t random = 7;

    for (size_t y = 0; y < p->height_px; y++)
        for (size_t x = 0; x < p->width_px; x++) {
            uint32_t value = x / 5 % 3 == 0 ? picture_random(&random)
                                            : (uint32_t)(x / 7 + y);

            *picture_at(p, x, y) = (uint8_t)(value & ((1U << bits) - 1));
        }
}

static void make_gif(struct buf *gif, uint32_t width_px, uint32_t height_px,
                     const struct gif_spec *spec, struct picture *frame)
{
    buf_init(gif, 16 * 1024 * 1024);
    picture_init(frame, width_px, height_px, 1);
    fill_indices(frame, spec->bits);
    picture_to_gif(frame, spec, gif);
}

static enum status status_of(const struct buf *gif,
                             const struct transcode_options *options)
{
    struct transcode_options all;
    struct transcoding run;
    enum status status;

    transcoding_options_all(&all);
    transcoding_run_all_ways(&run, gif, options != NULL ? options : &all);
    assert_int_equal(run.report.source_type, IMAGE_TYPE_GIF);
    status = run.status;
    transcoding_release(&run);
    return status;
}

/* The screen as a viewer shows it; no colour where it is transparent. */
static void compose(struct picture *screen, const struct picture *frame,
                    const struct gif_spec *spec)
{
    picture_init(screen, spec->screen_width_px, spec->screen_height_px, 4);
    for (size_t y = 0; y < frame->height_px; y++)
        for (size_t x = 0; x < frame->width_px; x++) {
            size_t left = spec->left + x, top = spec->top + y;
            uint8_t index = *picture_at(frame, x, y);

            if (left >= screen->width_px || top >= screen->height_px ||
                (int)index == spec->transparent)
                continue;
            gif_color(index, picture_at(screen, left, top));
            picture_at(screen, left, top)[3] = 255;
        }
}

static void hide_transparent(struct picture *p)
{
    for (size_t i = 0; i < (size_t)p->width_px * p->height_px; i++)
        if (p->pixels[4 * i + 3] == 0)
            memset(p->pixels + 4 * i, 0, 3);
}

/* `type` is the colour type that the PNG must have. */
static void check(uint32_t width_px, uint32_t height_px,
                  const struct gif_spec *spec, int type)
{
    struct transcode_options options;
    struct picture frame, expected, got;
    struct transcoding run;
    struct buf gif;

    transcoding_options_all(&options);
    make_gif(&gif, width_px, height_px, spec, &frame);
    transcoding_run_all_ways(&run, &gif, &options);
    assert_int_equal(run.status, STATUS_OK);
    assert_int_equal(run.report.source_type, IMAGE_TYPE_GIF);
    assert_int_equal(run.report.progressive, spec->interlaced);
    assert_int_equal(run.original.data[25], type);
    assert_only_allowed_chunks(&run.original);
    compose(&expected, &frame, spec);
    picture_from_png(&got, &run.original);
    hide_transparent(&got);
    assert_picture_equal(&got, &expected);
    picture_release(&frame);
    picture_release(&expected);
    picture_release(&got);
    transcoding_release(&run);
    buf_release(&gif);
}

static void test_every_palette(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 8; bits++)
        for (unsigned flags = 0; flags < 8; flags++) {
            struct gif_spec spec = spec_of(53, 41, bits);

            spec.interlaced = (flags & 1) != 0;
            spec.local = (flags & 2) != 0;
            spec.transparent = (flags & 4) != 0 ? (int)bits / 2 : OPAQUE;
            check(53, 41, &spec, 3);
        }
}

static void test_every_small_size(void **state)
{
    (void)state;
    for (uint32_t width = 1; width <= 10; width++)
        for (uint32_t height = 1; height <= 10; height++) {
            struct gif_spec spec = spec_of(width, height, 3);

            check(width, height, &spec, 3);
            spec.interlaced = true;
            check(width, height, &spec, 3);
        }
}

/* The table is full, stays full for a while, and is cleared. */
static void test_full_table(void **state)
{
    struct gif_spec spec = spec_of(300, 200, 8);

    (void)state;
    check(300, 200, &spec, 3);
    spec.bits = 2;
    check(300, 200, &spec, 3);
}

/* Pixels of more bits than the palette has are black beyond it. */
static void test_root_bits(void **state)
{
    struct gif_spec spec = spec_of(30, 20, 1);

    (void)state;
    spec.root_bits = 1;
    check(30, 20, &spec, 3);
    for (spec.root_bits = 2; spec.root_bits <= 8; spec.root_bits++)
        check(30, 20, &spec, 3);
}

static void test_places_of_the_frame(void **state)
{
    static const struct {
        uint32_t left, top, width_px, height_px;
    } places[] = {
        {5, 7, 10, 12},   {0, 0, 40, 29},  {0, 1, 40, 29},  {39, 29, 1, 1},
        {20, 20, 60, 70}, {0, 20, 40, 40}, {39, 0, 9, 300}, {0, 29, 400, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        for (unsigned flags = 0; flags < 8; flags++) {
            struct gif_spec spec = spec_of(40, 30, (flags & 4) != 0 ? 8 : 3);

            spec.left = places[i].left;
            spec.top = places[i].top;
            spec.interlaced = (flags & 1) != 0;
            spec.transparent = (flags & 2) != 0 ? 1 : OPAQUE;
            /* 256 opaque colours leave no index for what is free. */
            check(places[i].width_px, places[i].height_px, &spec,
                  (flags & 6) == 4 ? 6 : 3);
        }
}

static void test_reduced(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 4; flags++) {
        struct gif_spec spec = spec_of(100, 80, 8);
        struct transcode_options options;
        struct transcoding run;
        struct picture frame;
        struct buf gif;

        spec.interlaced = (flags & 1) != 0;
        spec.left = (flags & 2) != 0 ? 20 : 0;
        transcoding_options_all(&options);
        options.original_max_bytes = 3000;
        options.preview_max_bytes = 500;
        make_gif(&gif, 100, 80, &spec, &frame);
        transcoding_run_all_ways(&run, &gif, &options);
        assert_int_equal(run.status, STATUS_OK);
        assert_true(run.original.len <= 3000 && run.preview.len <= 500);
        assert_only_allowed_chunks(&run.original);
        assert_only_allowed_chunks(&run.preview);
        picture_release(&frame);
        transcoding_release(&run);
        buf_release(&gif);
    }
}

static enum status status_of_spec(uint32_t width_px, uint32_t height_px,
                                  const struct gif_spec *spec)
{
    struct picture frame;
    struct buf gif;
    enum status status;

    make_gif(&gif, width_px, height_px, spec, &frame);
    status = status_of(&gif, NULL);
    picture_release(&frame);
    buf_release(&gif);
    return status;
}

static void test_no_picture(void **state)
{
    struct gif_spec spec = spec_of(20, 10, 4);

    (void)state;
    spec.left = 20;
    assert_int_equal(status_of_spec(5, 5, &spec), STATUS_IMAGE_BROKEN);
    spec.left = 0;
    spec.top = 10;
    assert_int_equal(status_of_spec(5, 5, &spec), STATUS_IMAGE_BROKEN);
    spec.top = 0;
    spec.no_palette = true;
    assert_int_equal(status_of_spec(20, 10, &spec), STATUS_IMAGE_BROKEN);
}

/* A screen of nothing is as large as the frame, wherever that is. */
static void test_empty_screen(void **state)
{
    struct gif_spec spec = spec_of(0, 10, 4);
    struct transcode_options options;
    struct transcoding run;
    struct picture frame;
    struct buf gif;

    (void)state;
    spec.left = spec.top = 100;
    transcoding_options_all(&options);
    make_gif(&gif, 30, 20, &spec, &frame);
    transcoding_run_all_ways(&run, &gif, &options);
    assert_int_equal(run.status, STATUS_OK);
    assert_int_equal(run.report.source_width_px, 30);
    assert_int_equal(run.report.source_height_px, 20);
    picture_release(&frame);
    transcoding_release(&run);
    buf_release(&gif);
}

/* Every cut: too early, until the last row is there. */
static void check_cuts(bool interlaced)
{
    struct gif_spec spec = spec_of(31, 17, 4);
    struct picture frame;
    struct buf gif;
    size_t len;

    spec.interlaced = interlaced;
    make_gif(&gif, 31, 17, &spec, &frame);
    for (len = gif.len, gif.len = 6; gif.len < len; gif.len++)
        if (gif.len < len - 4)
            assert_int_equal(status_of(&gif, NULL), STATUS_IMAGE_TRUNCATED);
        else if (gif.len >= len - 2)
            assert_int_equal(status_of(&gif, NULL), STATUS_OK);
    gif.len = len;
    for (int i = 0; i < 100; i++)
        assert_int_equal(buf_append(&gif, "garbage", 7), STATUS_OK);
    assert_int_equal(status_of(&gif, NULL), STATUS_OK);
    picture_release(&frame);
    buf_release(&gif);
}

static void test_truncated(void **state)
{
    (void)state;
    check_cuts(false);
    check_cuts(true);
}

/* ---- data that no encoder makes, for 4 x 4 pixels of 2 bits: codes of 3 bits
 * at first, clear is 4 and end is 5 */

static enum status status_of_data(unsigned root_bits, const char *data,
                                  size_t len)
{
    struct gif_spec spec = spec_of(4, 4, 2);
    struct picture frame;
    enum status status;
    struct buf gif;

    spec.root_bits = root_bits;
    buf_init(&gif, 100000);
    picture_init(&frame, 4, 4, 1);
    gif_append_head(&frame, &spec, &gif);
    assert_int_equal(buf_append(&gif, data, len), STATUS_OK);
    status = status_of(&gif, NULL);
    picture_release(&frame);
    buf_release(&gif);
    return status;
}

#define STATUS_OF(root_bits, data)                                             \
    status_of_data(root_bits, data, sizeof(data) - 1)

static void test_bad_codes(void **state)
{
    (void)state;
    /* 4 0 6 7 8 9 0, three codes of 4 bits at last: 1+2+3+4+5+1 pixels. */
    assert_int_equal(STATUS_OF(2, "\x03\x84\x8f\x09\0;"), STATUS_OK);
    /* 4 7: a string before there is any. */
    assert_int_equal(STATUS_OF(2, "\x01\x3c\0;"), STATUS_IMAGE_BROKEN);
    /* 4 6: likewise, the first that will be. */
    assert_int_equal(STATUS_OF(2, "\x01\x34\0;"), STATUS_IMAGE_BROKEN);
    /* 4 0 7: beyond the one that comes next. */
    assert_int_equal(STATUS_OF(2, "\x02\xc4\x01\0;"), STATUS_IMAGE_BROKEN);
    /* 4 0 5: the end, too early; and what follows is of no use. */
    assert_int_equal(STATUS_OF(2, "\x02\x44\x01\0;"), STATUS_IMAGE_BROKEN);
    /* No data at all; data that stops. */
    assert_int_equal(STATUS_OF(2, "\0;"), STATUS_IMAGE_BROKEN);
    assert_int_equal(STATUS_OF(2, "\x01\x04\0;"), STATUS_IMAGE_BROKEN);
    /* Codes that would not fit. */
    assert_int_equal(STATUS_OF(9, "\x01\x04\0;"), STATUS_IMAGE_BROKEN);
    assert_int_equal(STATUS_OF(255, "\x01\x04\0;"), STATUS_IMAGE_BROKEN);
    /* Empty blocks' worth of clear codes, and then the file ends. */
    assert_int_equal(STATUS_OF(2, "\x03\x24\x49\x92"), STATUS_IMAGE_TRUNCATED);
}

static void test_bad_blocks(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum status status;
    } files[] = {
        {"GIF89a\4\0\4\0\0\0\0;", 14, STATUS_IMAGE_BROKEN},
        {"GIF89a\4\0\4\0\0\0\0\0", 14, STATUS_IMAGE_BROKEN},
        {"GIF89a\4\0\4\0\x80\0\0abcde", 18, STATUS_IMAGE_TRUNCATED},
        {"GIF89a\4\0\4\0\x80\0\0abcdef,\0\0\0\0\0\0\1\0\0\2", 30,
         STATUS_IMAGE_BROKEN},
        {"GIF89a\4\0\4\0\x80\0\0abcdef,\0\0\0\0\1\0\0\0\0\2", 30,
         STATUS_IMAGE_BROKEN},
        {"GIF89a\4\0\4\0\x80\0\0abcdef!\xff\x80xxxxxxxx", 30,
         STATUS_IMAGE_TRUNCATED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct buf gif;

        buf_init(&gif, 1000);
        assert_int_equal(buf_append(&gif, files[i].bytes, files[i].len),
                         STATUS_OK);
        assert_int_equal(status_of(&gif, NULL), files[i].status);
        buf_release(&gif);
    }
}

/* ---- limits */

static void test_off_by_default(void **state)
{
    struct gif_spec spec = spec_of(4, 4, 2);
    struct transcode_options options;
    struct picture frame;
    struct buf gif;

    (void)state;
    transcode_options_default(&options);
    make_gif(&gif, 4, 4, &spec, &frame);
    assert_int_equal(status_of(&gif, &options), STATUS_IMAGE_UNSUPPORTED);
    picture_release(&frame);
    buf_release(&gif);
}

static void test_limits(void **state)
{
    struct gif_spec spec = spec_of(60, 40, 5);
    struct transcode_options options;
    struct picture frame;
    struct buf gif;

    (void)state;
    spec.interlaced = true;
    make_gif(&gif, 60, 40, &spec, &frame);
    transcoding_options_all(&options);
    options.width_max_px = 59;
    assert_int_equal(status_of(&gif, &options), STATUS_IMAGE_TOO_WIDE);
    options.width_max_px = 60;
    options.height_max_px = 39;
    assert_int_equal(status_of(&gif, &options), STATUS_IMAGE_TOO_HIGH);
    options.height_max_px = 40;
    options.pixels_max = 2399;
    assert_int_equal(status_of(&gif, &options), STATUS_IMAGE_TOO_MANY_PIXELS);
    options.pixels_max = 2400;
    options.memory_max_bytes = 2399; /* interlaced: a byte a pixel */
    assert_int_equal(status_of(&gif, &options), STATUS_IMAGE_TOO_MUCH_MEMORY);
    options.memory_max_bytes = 2400;
    assert_int_equal(status_of(&gif, &options), STATUS_OK);
    picture_release(&frame);
    buf_release(&gif);
}

static void test_random_splits(void **state)
{
    struct transcode_options options;

    (void)state;
    transcoding_options_all(&options);
    options.preview_max_bytes = 700;
    for (unsigned interlaced = 0; interlaced < 2; interlaced++) {
        struct gif_spec spec = spec_of(40, 30, 6);
        struct picture frame;
        struct buf gif;

        spec.interlaced = interlaced == 1;
        spec.left = 3;
        make_gif(&gif, 40, 30, &spec, &frame);
        transcoding_check_splits(&gif, &options, 1000);
        picture_release(&frame);
        buf_release(&gif);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_palette),
        cmocka_unit_test(test_every_small_size),
        cmocka_unit_test(test_full_table),
        cmocka_unit_test(test_root_bits),
        cmocka_unit_test(test_places_of_the_frame),
        cmocka_unit_test(test_reduced),
        cmocka_unit_test(test_no_picture),
        cmocka_unit_test(test_empty_screen),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_bad_codes),
        cmocka_unit_test(test_bad_blocks),
        cmocka_unit_test(test_off_by_default),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_random_splits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
