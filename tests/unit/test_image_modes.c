/*
 * modes: boxes, predictions that hold and that do not, and the ceiling of every
 * mode under noise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"
#include "image/predict.h"
#include "limits.h"

static struct transcode_options options_for(enum transcode_mode mode)
{
    struct transcode_options options;

    transcode_options_default(&options);
    options.mode = mode;
    options.box_width_px = 400;
    options.box_height_px = 300;
    return options;
}

/* Slopes above, noise below the row `noise_from`. */
static void make_jpeg(struct buf *jpeg, uint32_t noise_from,
                      const struct jpeg_spec *spec)
{
    struct picture p;
    uint32_t random = 5;

    buf_init(jpeg, 16 * 1024 * 1024);
    picture_init(&p, 600, 400, 3);
    picture_fill_scene(&p);
    for (size_t y = noise_from; y < 400; y++)
        for (size_t i = 0; i < (size_t)600 * 3; i++)
            picture_at(&p, 0, y)[i] = (uint8_t)picture_random(&random);
    picture_to_jpeg(&p, spec, jpeg);
    picture_release(&p);
}

/* Ends well within the limits, whatever the pieces. */
static void check_run(struct transcoding *run, const struct buf *input,
                      const struct transcode_options *options)
{
    transcoding_run_all_ways(run, input, options);
    assert_int_equal(run->status, STATUS_OK);
    assert_int_equal(run->report.original_bytes, run->original.len);
    assert_int_equal(run->report.preview_bytes, run->preview.len);
    assert_true(run->original.len <= options->original_max_bytes);
    assert_true(run->preview.len <= options->preview_max_bytes);
    assert_only_allowed_chunks(&run->original);
}

static uint64_t pixels_of(const struct transcoding *run)
{
    return (uint64_t)run->report.original_width_px *
           run->report.original_height_px;
}

/* ---- boxes */

static void test_box(void **state)
{
    struct transcode_options options = options_for(TRANSCODE_BOX);
    struct jpeg_spec spec = {.quality = 90, .orientation = 6};
    struct transcoding run;
    struct picture shown;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 400, &spec);
    check_run(&run, &jpeg, &options); /* 400 by 600 upright */
    assert_int_equal(run.report.original_width_px, 200);
    assert_int_equal(run.report.original_height_px, 300);
    picture_from_png(&shown, &run.original);
    assert_int_equal(shown.width_px, 200);
    assert_int_equal(shown.height_px, 300);
    picture_release(&shown);
    transcoding_release(&run);
    options.box_width_px = options.box_height_px = 10000;
    check_run(&run, &jpeg, &options);
    assert_int_equal(pixels_of(&run), 600 * 400);
    transcoding_release(&run);
    buf_release(&jpeg);
}

/* ---- predictions */

static void test_prediction_gains_pixels(void **state)
{
    struct transcode_options options = options_for(TRANSCODE_MAX);
    struct jpeg_spec spec = {.quality = 80};
    struct transcoding max, fit;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 400, &spec);
    options.original_max_bytes = 300000;
    check_run(&max, &jpeg, &options);
    assert_int_equal(max.report.decodes, 1);
    options.mode = TRANSCODE_FIT;
    check_run(&fit, &jpeg, &options);
    assert_true(pixels_of(&max) > pixels_of(&fit) * 3 / 2);
    transcoding_release(&max);
    transcoding_release(&fit);
    buf_release(&jpeg);
}

/* Told beforehand or found at the end, the length leads to the same. */
static void test_length_is_told_or_found(void **state)
{
    struct transcode_options options = options_for(TRANSCODE_MAX);
    struct jpeg_spec spec = {.quality = 80, .progressive = true};
    struct transcoding told, found;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 200, &spec);
    options.original_max_bytes = 300000;
    check_run(&found, &jpeg, &options);
    options.input_bytes_hint = jpeg.len;
    check_run(&told, &jpeg, &options);
    assert_memory_equal(&told.report, &found.report, sizeof(told.report));
    assert_int_equal(told.original.len, found.original.len);
    transcoding_release(&told);
    transcoding_release(&found);
    options.input_bytes_hint = jpeg.len - 1;
    transcoding_run_all_ways(&told, &jpeg, &options);
    assert_int_equal(told.status, STATUS_TOO_LARGE);
    transcoding_release(&told);
    buf_release(&jpeg);
}

/* Noise is denser than any photo: begun anew, and in the end a sure size. */
static void test_wrong_predictions(void **state)
{
    static const uint32_t noise_from[] = {0, 260};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(noise_from); i++) {
        struct transcode_options options = options_for(TRANSCODE_MAX);
        struct jpeg_spec spec = {.quality = 30, .orientation = 8};
        struct transcoding run;
        struct buf jpeg;

        make_jpeg(&jpeg, noise_from[i], &spec);
        options.original_max_bytes = 250000;
        options.preview_max_bytes = 20000;
        check_run(&run, &jpeg, &options);
        assert_in_range(run.report.decodes, 2, 3);
        assert_true(pixels_of(&run) > 80000); /* 83,000 are sure to fit */
        transcoding_release(&run);
        buf_release(&jpeg);
    }
}

static void check_is_fit(const struct buf *jpeg,
                         const struct transcode_options *options)
{
    struct transcode_options plain = *options;
    struct transcoding run, fit;

    plain.mode = TRANSCODE_FIT;
    check_run(&run, jpeg, options);
    check_run(&fit, jpeg, &plain);
    assert_int_equal(run.original.len, fit.original.len);
    assert_memory_equal(run.original.data, fit.original.data, fit.original.len);
    transcoding_release(&run);
    transcoding_release(&fit);
}

static void test_no_memory_to_keep_the_input(void **state)
{
    struct transcode_options options = options_for(TRANSCODE_MAX);
    struct jpeg_spec spec = {.quality = 90};
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 200, &spec);
    options.original_max_bytes = 300000;
    options.memory_max_bytes = jpeg.len - 1;
    check_is_fit(&jpeg, &options);
    options.input_bytes_hint = jpeg.len;
    check_is_fit(&jpeg, &options);
    buf_release(&jpeg);
}

/* What was held for its length counts, also if it is of no more use. */
static void test_held_input_counts(void **state)
{
    struct transcode_options options = options_for(TRANSCODE_MAX);
    struct jpeg_spec spec = {.quality = 90, .progressive = true};
    const size_t coefficients = (size_t)600 * 400 * 3 * 2;
    struct transcoding run;
    struct buf jpeg;

    (void)state;
    make_jpeg(&jpeg, 200, &spec);
    options.original_max_bytes = 300000;
    options.memory_max_bytes = coefficients + coefficients / 2;
    assert_true(jpeg.len < coefficients / 4);
    check_run(&run, &jpeg, &options);
    transcoding_release(&run);
    options.memory_max_bytes = coefficients + jpeg.len / 2;
    transcoding_run_all_ways(&run, &jpeg, &options);
    assert_int_equal(run.status, STATUS_IMAGE_TOO_MUCH_MEMORY);
    transcoding_release(&run);
    options.input_bytes_hint = jpeg.len;
    check_is_fit(&jpeg, &options);
    buf_release(&jpeg);
}

static void test_predictions_are_sane(void **state)
{
    struct predict_request request = {
        .type = IMAGE_TYPE_JPEG,
        .source_px = 12000000,
        .pixel_bytes = 3,
        .max_bytes = 10000000,
    };
    uint64_t last = request.source_px;

    (void)state;
    assert_int_equal(predict_px(&request), 0);
    for (request.source_bytes = 1; request.source_bytes < 1ULL << 40;
         request.source_bytes *= 2) {
        uint64_t px = predict_px(&request);

        assert_true(px <= last);
        assert_true(px >= 3333333);
        last = px;
    }
    request.type = IMAGE_TYPE_GIF;
    assert_int_equal(predict_px(&request), 0);
    request.source_px = 0;
    assert_int_equal(predict_px(&request), 0);
    assert_in_range(predict_again(6000000, 20000000, 10000000), 2800000,
                    2900000);
}

/* ---- ceilings */

static void check_noise(const struct buf *input, size_t max_bytes)
{
    for (int mode = TRANSCODE_FIT; mode <= TRANSCODE_BOX; mode++)
        for (int told = 0; told < 2; told++) {
            struct transcode_options options =
                options_for((enum transcode_mode)mode);
            struct transcoding run;

            options.original_max_bytes = max_bytes;
            options.preview_max_bytes = max_bytes / 10;
            options.input_bytes_hint = told ? input->len : 0;
            transcoding_run(&run, input, &options, FEED_AT_ONCE);
            assert_int_equal(run.status, STATUS_OK);
            assert_true(run.original.len <= max_bytes);
            assert_true(run.preview.len <= max_bytes / 10);
            assert_int_equal(run.report.original_bytes, run.original.len);
            transcoding_release(&run);
        }
}

static void test_noise_at_the_bounds_of_all_modes(void **state)
{
    (void)state;
    for (size_t channels = 1; channels <= 4; channels++) {
        struct picture p;
        struct buf png, jpeg;

        buf_init(&png, 16 * 1024 * 1024);
        buf_init(&jpeg, 16 * 1024 * 1024);
        picture_init(&p, 700, 500, channels);
        picture_fill_noise(&p, 1);
        picture_to_png(&p, &png);
        if (channels != 2)
            picture_to_jpeg(&p, &(struct jpeg_spec){.quality = 40}, &jpeg);
        for (size_t bytes = 20000; bytes < 2000000; bytes = bytes * 3 / 2) {
            check_noise(&png, bytes);
            if (channels != 2)
                check_noise(&jpeg, bytes);
        }
        picture_release(&p);
        buf_release(&png);
        buf_release(&jpeg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_box),
        cmocka_unit_test(test_prediction_gains_pixels),
        cmocka_unit_test(test_length_is_told_or_found),
        cmocka_unit_test(test_wrong_predictions),
        cmocka_unit_test(test_no_memory_to_keep_the_input),
        cmocka_unit_test(test_held_input_counts),
        cmocka_unit_test(test_predictions_are_sane),
        cmocka_unit_test(test_noise_at_the_bounds_of_all_modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
