/*
 * cut: pictures that end early, at every share of their rows: delivered with
 * the rest gray, or refused with what was there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"

static void make_jpeg(struct buf *jpeg, const struct jpeg_spec *spec)
{
    struct picture p;

    buf_init(jpeg, 1024 * 1024);
    picture_init(&p, 200, 160, 3);
    picture_fill_noise(&p, 3);
    picture_to_jpeg(&p, spec, jpeg);
    picture_release(&p);
}

static void make_png(struct buf *png, int color_type, int depth,
                     bool interlaced)
{
    const struct png_spec spec = {.width_px = 200,
                                  .height_px = 160,
                                  .color_type = color_type,
                                  .depth = depth,
                                  .interlaced = interlaced};

    buf_init(png, 1024 * 1024);
    picture_random_png(&spec, png);
}

/* The first `percent` of `whole`, in all ways. */
static void run_cut(struct transcoding *run, const struct buf *whole,
                    size_t percent, uint8_t min_percent)
{
    struct transcode_options options;
    struct buf part = *whole;

    transcode_options_default(&options);
    options.truncated_min_percent = min_percent;
    part.len = whole->len * percent / 100;
    transcoding_run_all_ways(run, &part, &options);
}

static void check_upper_rows(const struct transcoding *run,
                             const struct buf *whole, bool exact)
{
    size_t rows = 160U * run->report.decoded_percent / 100;
    struct picture shown, expected;
    struct transcoding full;

    transcoding_run(&full, whole, NULL, FEED_AT_ONCE);
    picture_from_png(&shown, &run->original);
    picture_from_png(&expected, &full.original);
    assert_int_equal(shown.width_px, 200);
    assert_int_equal(shown.height_px, 160);
    if (!exact) /* upsampling looks into the row below */
        rows = rows > 16 ? rows - 16 : 0;
    assert_memory_equal(shown.pixels, expected.pixels, rows * 200 * 4);
    picture_release(&shown);
    picture_release(&expected);
    transcoding_release(&full);
}

static void check_cuts(const struct buf *whole, bool exact)
{
    for (size_t percent = 15; percent < 100; percent += 14) {
        struct transcoding run;
        uint8_t found;

        run_cut(&run, whole, percent, 0);
        assert_int_equal(run.status, STATUS_IMAGE_TRUNCATED);
        found = run.report.decoded_percent;
        assert_in_range(found, 1, 99);
        transcoding_release(&run);
        run_cut(&run, whole, percent, found);
        assert_int_equal(run.status, STATUS_OK);
        assert_int_equal(run.report.decoded_percent, found);
        assert_only_allowed_chunks(&run.original);
        check_upper_rows(&run, whole, exact);
        transcoding_release(&run);
        run_cut(&run, whole, percent, (uint8_t)(found + 1));
        assert_int_equal(run.status, STATUS_IMAGE_TRUNCATED);
        assert_int_equal(run.report.decoded_percent, found);
        transcoding_release(&run);
    }
}

static void test_jpeg(void **state)
{
    for (unsigned i = 0; i < 3; i++) {
        const struct jpeg_spec spec = {.quality = 80,
                                       .h_samp = 2,
                                       .v_samp = (int)i % 2 + 1,
                                       .restart_rows = i == 2};
        struct buf jpeg;

        (void)state;
        make_jpeg(&jpeg, &spec);
        check_cuts(&jpeg, false);
        buf_release(&jpeg);
    }
}

/* Past the first scan every row is there, if only coarsely. */
static void test_progressive_jpeg(void **state)
{
    const struct jpeg_spec spec = {.quality = 80, .progressive = true};
    struct transcoding run;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, &spec);
    for (size_t percent = 50; percent < 100; percent++) {
        run_cut(&run, &jpeg, percent, 0);
        assert_int_equal(run.status, STATUS_IMAGE_TRUNCATED);
        transcoding_release(&run);
        run_cut(&run, &jpeg, percent, 99);
        assert_int_equal(run.status, STATUS_OK);
        assert_int_equal(run.report.decoded_percent, 99);
        transcoding_release(&run);
    }
    buf_release(&jpeg);
}

static void test_png(void **state)
{
    static const int kinds[][2] = {{0, 1}, {0, 8}, {2, 8}, {2, 16},
                                   {3, 4}, {4, 8}, {6, 8}};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct buf png;

        make_png(&png, kinds[i][0], kinds[i][1], false);
        check_cuts(&png, true);
        buf_release(&png);
    }
}

static void test_missing_rows_are_gray_or_transparent(void **state)
{
    static const struct {
        int color_type;
        uint8_t pixel[4];
    } cases[] = {{2, {128, 128, 128, 255}}, {6, {0, 0, 0, 0}}};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct transcoding run;
        struct picture shown;
        struct buf png;

        make_png(&png, cases[i].color_type, 8, false);
        run_cut(&run, &png, 50, 1);
        assert_int_equal(run.status, STATUS_OK);
        picture_from_png(&shown, &run.original);
        assert_memory_equal(picture_at(&shown, 199, 159), cases[i].pixel, 4);
        picture_release(&shown);
        transcoding_release(&run);
        buf_release(&png);
    }
}

/* Whole, but for what nobody misses; and those that cannot be mended. */
static void test_ends(void **state)
{
    const struct jpeg_spec arithmetic = {.quality = 80, .arithmetic = true};
    struct transcoding run;
    struct buf picture;

    (void)state;
    make_png(&picture, 2, 8, false);
    run_cut(&run, &picture, 100, 50);
    assert_int_equal(run.status, STATUS_OK);
    assert_int_equal(run.report.decoded_percent, 100);
    transcoding_release(&run);
    run_cut(&run, &picture, 0, 1);
    assert_int_equal(run.status, STATUS_EMPTY);
    transcoding_release(&run);
    buf_release(&picture);
    make_png(&picture, 2, 8, true);
    run_cut(&run, &picture, 90, 1);
    assert_int_equal(run.status, STATUS_IMAGE_TRUNCATED);
    transcoding_release(&run);
    buf_release(&picture);
    make_jpeg(&picture, &arithmetic);
    run_cut(&run, &picture, 90, 1);
    assert_int_equal(run.status, STATUS_IMAGE_TRUNCATED);
    transcoding_release(&run);
    buf_release(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpeg),
        cmocka_unit_test(test_progressive_jpeg),
        cmocka_unit_test(test_png),
        cmocka_unit_test(test_missing_rows_are_gray_or_transparent),
        cmocka_unit_test(test_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
