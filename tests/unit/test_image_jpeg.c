/*
 * JPEG through the door: pixels equal to libjpeg's own decode, whatever the
 * coding and however the bytes arrive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"

static void make_jpeg(struct buf *jpeg, uint32_t width_px, uint32_t height_px,
                      size_t channels, const struct jpeg_spec *spec)
{
    struct picture p;

    buf_init(jpeg, 16 * 1024 * 1024);
    picture_init(&p, width_px, height_px, channels);
    picture_fill_scene(&p);
    picture_to_jpeg(&p, spec, jpeg);
    picture_release(&p);
}

/* RGBA of what a decode gave; CMYK by the rule of decoder_jpeg.c. */
static void widen(const struct picture *p, bool adobe, struct picture *rgba)
{
    picture_init(rgba, p->width_px, p->height_px, 4);
    for (size_t y = 0; y < p->height_px; y++)
        for (size_t x = 0; x < p->width_px; x++) {
            const uint8_t *from = picture_at(p, x, y);
            uint8_t *to = picture_at(rgba, x, y);

            for (size_t k = 0; k < 3; k++) {
                to[k] = from[p->channels >= 3 ? k : 0];
                if (p->channels == 4) {
                    double ink = adobe ? from[k] : 255 - from[k];
                    double black = adobe ? from[3] : 255 - from[3];

                    to[k] = (uint8_t)(ink * black / 255 + 0.5);
                }
            }
            to[3] = 255;
        }
}

static void check_full_size(const struct buf *jpeg, bool adobe)
{
    struct transcoding run;
    struct picture reference;
    struct picture expected;
    struct picture original;

    transcoding_run_all_ways(&run, jpeg, NULL);
    assert_int_equal(run.status, STATUS_OK);
    assert_only_allowed_chunks(&run.original);
    picture_from_jpeg(&reference, jpeg, 8);
    widen(&reference, adobe, &expected);
    picture_from_png(&original, &run.original);
    assert_picture_equal(&original, &expected);
    picture_release(&reference);
    picture_release(&expected);
    picture_release(&original);
    transcoding_release(&run);
}

static void check_spec(uint32_t width_px, uint32_t height_px, size_t channels,
                       const struct jpeg_spec *spec)
{
    struct buf jpeg;

    make_jpeg(&jpeg, width_px, height_px, channels, spec);
    check_full_size(&jpeg, !spec->no_adobe);
    buf_release(&jpeg);
}

static void test_codings(void **state)
{
    static const struct jpeg_spec specs[] = {
        {.quality = 90},
        {.quality = 90, .h_samp = 2, .v_samp = 2},
        {.quality = 90, .h_samp = 2},
        {.quality = 90, .v_samp = 2},
        {.quality = 90, .h_samp = 4},
        {.quality = 90, .rgb = true},
        {.quality = 90, .h_samp = 2, .v_samp = 2, .restart_rows = 1},
        {.quality = 90, .h_samp = 2, .v_samp = 2, .progressive = true},
        {.quality = 90, .progressive = true, .restart_rows = 2},
        {.quality = 90, .separate_scans = true},
        {.quality = 90, .h_samp = 2, .v_samp = 2, .separate_scans = true},
        {.quality = 90, .arithmetic = true},
        {.quality = 90, .h_samp = 2, .arithmetic = true, .progressive = true},
        {.quality = 30, .comment_bytes = 5000},
        {.quality = 100, .h_samp = 2, .v_samp = 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(specs); i++)
        check_spec(101, 67, 3, &specs[i]);
}

static void test_gray(void **state)
{
    (void)state;
    check_spec(101, 67, 1, &(struct jpeg_spec){.quality = 85});
    check_spec(101, 67, 1,
               &(struct jpeg_spec){.quality = 85, .progressive = true});
}

static void test_four_inks(void **state)
{
    (void)state;
    check_spec(61, 40, 4, &(struct jpeg_spec){.quality = 95});
    check_spec(61, 40, 4, &(struct jpeg_spec){.quality = 95, .no_adobe = true});
    check_spec(61, 40, 4, &(struct jpeg_spec){.quality = 95, .ycck = true});
}

static void test_thin(void **state)
{
    struct jpeg_spec spec = {.quality = 90, .h_samp = 2, .v_samp = 2};

    (void)state;
    for (uint32_t side = 1; side < 20; side++) {
        check_spec(1, side, 3, &spec);
        check_spec(side, 1, 3, &spec);
    }
    check_spec(1, 3000, 3, &spec);
    check_spec(3000, 1, 3, &spec);
    spec.progressive = true;
    check_spec(1, 300, 3, &spec);
    check_spec(300, 1, 3, &spec);
}

/* Snapped: libjpeg's own 4/8. */
static void test_snaps_to_half(void **state)
{
    struct jpeg_spec spec = {.quality = 80, .h_samp = 2, .v_samp = 2};
    struct transcode_options options;
    struct transcoding run;
    struct picture reference;
    struct picture expected;
    struct picture original;
    struct buf jpeg;

    (void)state;
    transcode_options_default(&options);
    options.original_max_bytes = 40000;
    options.preview_max_bytes = 10000;
    make_jpeg(&jpeg, 220, 221, 3, &spec);
    transcoding_run_all_ways(&run, &jpeg, &options);
    assert_int_equal(run.status, STATUS_OK);
    picture_from_jpeg(&reference, &jpeg, 4);
    widen(&reference, false, &expected);
    picture_from_png(&original, &run.original);
    assert_picture_equal(&original, &expected);
    assert_int_equal(run.report.original_width_px, 110);
    assert_int_equal(run.report.original_height_px, 111);
    assert_false(run.report.preview_is_original);
    assert_true(run.preview.len <= 10000);
    picture_release(&reference);
    picture_release(&expected);
    picture_release(&original);
    transcoding_release(&run);
    buf_release(&jpeg);
}

static void test_orientation_is_baked_in(void **state)
{
    static const uint8_t corners[9][2] = {
        /* which corner of the stored picture the visible top left is */
        {0, 0}, {0, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}, {0, 1}, {1, 1}, {1, 0},
    };

    (void)state;
    for (uint8_t o = 1; o <= 8; o++) {
        struct jpeg_spec spec = {
            .quality = 100, .orientation = o, .big_endian = o % 2 == 0};
        struct transcoding run;
        struct picture stored;
        struct picture upright;
        struct buf jpeg;

        make_jpeg(&jpeg, 40, 24, 3, &spec);
        transcoding_run_all_ways(&run, &jpeg, NULL);
        assert_int_equal(run.status, STATUS_OK);
        assert_int_equal(run.report.orientation, o);
        assert_int_equal(run.report.source_width_px, 40);
        picture_from_jpeg(&stored, &jpeg, 8);
        picture_from_png(&upright, &run.original);
        assert_int_equal(upright.width_px, o >= 5 ? 24 : 40);
        assert_memory_equal(picture_at(&upright, 0, 0),
                            picture_at(&stored, corners[o][0] * (size_t)39,
                                       corners[o][1] * (size_t)23),
                            3);
        picture_release(&stored);
        picture_release(&upright);
        transcoding_release(&run);
        buf_release(&jpeg);
    }
}

/* ---- damage */

static enum status status_of(const struct buf *jpeg,
                             const struct transcode_options *options)
{
    struct transcoding run;
    enum status status;

    transcoding_run_all_ways(&run, jpeg, options);
    status = run.status;
    transcoding_release(&run);
    return status;
}

/* Cut anywhere: truncated, or (the end marker is all that is missing) whole. */
static void check_cuts(const struct jpeg_spec *spec, size_t tail_bytes)
{
    struct buf jpeg;
    size_t len;

    make_jpeg(&jpeg, 50, 30, 3, spec);
    len = jpeg.len;
    for (jpeg.len = 0; jpeg.len < len; jpeg.len++) {
        enum status status = status_of(&jpeg, NULL);

        if (jpeg.len == 0)
            assert_int_equal(status, STATUS_EMPTY);
        else if (jpeg.len < 3)
            assert_int_equal(status, STATUS_NOT_AN_IMAGE);
        else if (jpeg.len < len - tail_bytes)
            assert_int_equal(status, STATUS_IMAGE_TRUNCATED);
        else if (tail_bytes > 0 && jpeg.len >= len - 2)
            assert_int_equal(status, STATUS_OK);
    }
    jpeg.len = len;
    assert_int_equal(status_of(&jpeg, NULL), STATUS_OK);
    buf_release(&jpeg);
}

static void test_truncated(void **state)
{
    (void)state;
    /* The last byte may hold nothing but padding. */
    check_cuts(&(struct jpeg_spec){.quality = 60, .h_samp = 2}, 3);
    check_cuts(&(struct jpeg_spec){.quality = 60, .progressive = true}, 0);
    check_cuts(&(struct jpeg_spec){.quality = 60, .separate_scans = true}, 0);
    check_cuts(&(struct jpeg_spec){.quality = 60, .arithmetic = true}, 0);
}

static void test_corrupt_entropy_data(void **state)
{
    struct jpeg_spec spec = {.quality = 90, .restart_rows = 1};
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 100, 100, 3, &spec);
    memset(jpeg.data + jpeg.len / 2, 0x55, 40);
    assert_int_equal(status_of(&jpeg, NULL), STATUS_IMAGE_BROKEN);
    buf_release(&jpeg);
}

static void test_garbage_behind_is_swallowed(void **state)
{
    struct jpeg_spec spec = {.quality = 90};
    struct buf jpeg;

    (void)state;
    for (int i = 0; i < 2; i++) {
        spec.progressive = i == 1;
        make_jpeg(&jpeg, 33, 33, 3, &spec);
        for (int k = 0; k < 200; k++)
            assert_int_equal(buf_append(&jpeg, "garbage \xff\xd8\xff", 11),
                             STATUS_OK);
        check_full_size(&jpeg, false);
        buf_release(&jpeg);
    }
}

/* Where FF C0 is; behind it length, precision, height and width. */
static size_t find_frame(const struct buf *jpeg)
{
    for (size_t i = 2; i + 9 < jpeg->len; i++)
        if (memcmp(jpeg->data + i, "\xff\xc0\0", 3) == 0)
            return i;
    fail_msg("no frame header");
    return 0;
}

static void test_unsupported_kinds(void **state)
{
    struct jpeg_spec spec = {.quality = 90};
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 16, 16, 3, &spec);
    jpeg.data[find_frame(&jpeg) + 1] = (char)0xc3; /* lossless */
    assert_int_equal(status_of(&jpeg, NULL), STATUS_IMAGE_UNSUPPORTED);
    buf_release(&jpeg);
    make_jpeg(&jpeg, 16, 16, 3, &spec);
    jpeg.data[find_frame(&jpeg) + 4] = 12; /* bits a sample */
    assert_int_equal(status_of(&jpeg, NULL), STATUS_IMAGE_UNSUPPORTED);
    buf_release(&jpeg);
}

/* ---- limits */

static void test_dimensions(void **state)
{
    struct jpeg_spec spec = {.quality = 50};
    struct transcode_options options;
    struct transcoding run;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 60, 40, 3, &spec);
    transcode_options_default(&options);
    options.width_max_px = 59;
    assert_int_equal(status_of(&jpeg, &options), STATUS_IMAGE_TOO_WIDE);
    options.width_max_px = 60;
    options.height_max_px = 39;
    assert_int_equal(status_of(&jpeg, &options), STATUS_IMAGE_TOO_HIGH);
    options.height_max_px = 40;
    options.pixels_max = 2399;
    transcoding_run(&run, &jpeg, &options, FEED_AT_ONCE);
    assert_int_equal(run.status, STATUS_IMAGE_TOO_MANY_PIXELS);
    assert_int_equal(run.report.source_width_px, 60);
    assert_int_equal(run.original.len, 0);
    transcoding_release(&run);
    options.pixels_max = 2400;
    assert_int_equal(status_of(&jpeg, &options), STATUS_OK);
    memcpy(jpeg.data + find_frame(&jpeg) + 5, "\xff\xff\xff\xff", 4);
    transcode_options_default(&options);
    options.pixels_max = UINT64_MAX;
    assert_int_equal(status_of(&jpeg, &options), STATUS_IMAGE_TOO_WIDE);
    buf_release(&jpeg);
}

static void test_scans(void **state)
{
    struct jpeg_spec spec = {.quality = 50, .progressive = true};
    struct transcode_options options;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 60, 40, 3, &spec); /* libjpeg's script has 10 scans */
    transcode_options_default(&options);
    options.scans_max = 10;
    assert_int_equal(status_of(&jpeg, &options), STATUS_OK);
    options.scans_max = 9;
    assert_int_equal(status_of(&jpeg, &options), STATUS_IMAGE_TOO_MANY_SCANS);
    buf_release(&jpeg);
}

/* 64 x 48 at 4:2:0 is 48 blocks of luma and 12 of each chroma: 9216 bytes. */
static void test_coefficient_memory(void **state)
{
    struct jpeg_spec spec = {
        .quality = 50, .h_samp = 2, .v_samp = 2, .progressive = true};
    struct transcode_options options;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 64, 48, 3, &spec);
    transcode_options_default(&options);
    options.memory_max_bytes = 9216;
    assert_int_equal(status_of(&jpeg, &options), STATUS_OK);
    options.memory_max_bytes = 9215;
    assert_int_equal(status_of(&jpeg, &options), STATUS_IMAGE_TOO_MUCH_MEMORY);
    buf_release(&jpeg);
    spec.progressive = false;
    make_jpeg(&jpeg, 64, 48, 3, &spec);
    options.memory_max_bytes = 0;
    assert_int_equal(status_of(&jpeg, &options), STATUS_OK);
    buf_release(&jpeg);
}

/* The file itself, less what comes before the pixels. */
static void test_arithmetic_memory(void **state)
{
    struct jpeg_spec spec = {.quality = 90, .arithmetic = true};
    struct transcode_options options;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 64, 48, 3, &spec);
    transcode_options_default(&options);
    options.memory_max_bytes = jpeg.len;
    assert_int_equal(status_of(&jpeg, &options), STATUS_OK);
    options.memory_max_bytes = jpeg.len / 2;
    assert_int_equal(status_of(&jpeg, &options), STATUS_IMAGE_TOO_MUCH_MEMORY);
    buf_release(&jpeg);
}

static void test_rotation_memory(void **state)
{
    struct jpeg_spec spec = {.quality = 50, .orientation = 6};
    struct transcode_options options;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 64, 48, 3, &spec);
    transcode_options_default(&options);
    options.memory_max_bytes = (size_t)64 * 48 * 3;
    assert_int_equal(status_of(&jpeg, &options), STATUS_OK);
    options.memory_max_bytes--;
    assert_int_equal(status_of(&jpeg, &options), STATUS_IMAGE_TOO_MUCH_MEMORY);
    buf_release(&jpeg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codings),
        cmocka_unit_test(test_gray),
        cmocka_unit_test(test_four_inks),
        cmocka_unit_test(test_thin),
        cmocka_unit_test(test_snaps_to_half),
        cmocka_unit_test(test_orientation_is_baked_in),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_corrupt_entropy_data),
        cmocka_unit_test(test_garbage_behind_is_swallowed),
        cmocka_unit_test(test_unsupported_kinds),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_scans),
        cmocka_unit_test(test_coefficient_memory),
        cmocka_unit_test(test_arithmetic_memory),
        cmocka_unit_test(test_rotation_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
