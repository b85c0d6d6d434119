/*
 * plan: sizes at their bounds. "Largest that fits" is checked from both sides:
 * the size fits, and one more pixel on the longer side would not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/plan.h"
#include "image/png_writer.h"
#include "../helper/picture.h"

static const struct pixel_format rgb = {.kind = PIXEL_RGB, .depth = 8};
static const struct pixel_format rgba = {.kind = PIXEL_RGBA, .depth = 8};
static const struct pixel_format gray = {.kind = PIXEL_GRAY, .depth = 8};

static struct plan_request request_for(uint32_t width_px, uint32_t height_px,
                                       const struct pixel_format *format)
{
    return (struct plan_request){
        .width_px = width_px,
        .height_px = height_px,
        .orientation = 1,
        .dct_scales = true,
        .format = *format,
        .original_max_bytes = 10000000,
        .preview_max_bytes = 1000000,
        .preview_side_max_px = 1024,
    };
}

static struct plan plan_of(const struct plan_request *request)
{
    struct plan plan;

    assert_int_equal(plan_make(&plan, request), STATUS_OK);
    return plan;
}

static void assert_size(const struct plan_size *size, uint32_t width_px,
                        uint32_t height_px)
{
    assert_int_equal(size->width_px, width_px);
    assert_int_equal(size->height_px, height_px);
}

static size_t bound(const struct plan_size *size,
                    const struct pixel_format *format)
{
    size_t bytes;

    assert_true(
        png_writer_bound(size->width_px, size->height_px, format, &bytes));
    return bytes;
}

static void test_dct_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(plan_dct_px(1, 1), 1);
    assert_int_equal(plan_dct_px(8, 1), 1);
    assert_int_equal(plan_dct_px(9, 1), 2);
    assert_int_equal(plan_dct_px(4032, 4), 2016);
    assert_int_equal(plan_dct_px(4033, 4), 2017);
    assert_int_equal(plan_dct_px(65535, 8), 65535);
    assert_int_equal(plan_dct_px(UINT32_MAX, 8), UINT32_MAX);
}

/* performance-study 6: every 12 MP phone photo. */
static void test_phone_photo_snaps(void **state)
{
    struct plan_request request = request_for(4032, 3024, &rgb);
    struct plan plan = plan_of(&request);

    (void)state;
    assert_int_equal(plan.dct_eighths, 4);
    assert_size(&plan.decoded, 2016, 1512);
    assert_size(&plan.scaled, 2016, 1512);
    assert_size(&plan.original, 2016, 1512);
    assert_false(plan.preview_is_original);
    assert_true(bound(&plan.preview, &rgb) <= 1000000);
}

static void test_snap_keeps_seventy_percent(void **state)
{
    struct plan_request request = request_for(4000, 2332, &rgb);
    struct plan plan = plan_of(&request);

    (void)state;
    assert_int_equal(plan.dct_eighths, 4); /* 2.33 of 3.33 MP */
    request = request_for(4000, 2328, &rgb);
    plan = plan_of(&request);
    assert_int_equal(plan.dct_eighths, 8);
    assert_size(&plan.decoded, 4000, 2328);
    assert_true(bound(&plan.original, &rgb) <= 10000000);
}

static void test_full_size_at_the_bound(void **state)
{
    struct plan_request request = request_for(2000, 1600, &rgb);
    size_t bytes = bound(&(struct plan_size){2000, 1600}, &rgb);
    struct plan plan;

    (void)state;
    request.original_max_bytes = bytes;
    plan = plan_of(&request);
    assert_size(&plan.original, 2000, 1600);
    request.original_max_bytes = bytes - 1;
    plan = plan_of(&request);
    assert_true(plan.original.width_px < 2000);
    assert_true(bound(&plan.original, &rgb) <= bytes - 1);
}

/* Full size whatever the bound says, unless it has to be turned or boxed; the
 * copy of what is sure to fit must be packed somewhat. */
static void test_copies(void **state)
{
    struct plan_request request = request_for(3000, 4000, &rgb);
    struct plan plan;

    (void)state;
    request.can_copy = true;
    plan = plan_of(&request);
    assert_true(plan.copies && !plan.is_sure);
    assert_size(&plan.original, 3000, 4000);
    assert_int_equal(plan.limit_bytes, 10000000);
    request.orientation = 6;
    assert_false(plan_of(&request).copies);
    request.orientation = 1;
    request.mode = TRANSCODE_BOX;
    request.box = (struct plan_size){2999, 4000};
    assert_false(plan_of(&request).copies);
    request.box.width_px++;
    assert_true(plan_of(&request).copies);
    request.original_max_bytes = 40000000;
    plan = plan_of(&request);
    assert_int_equal(plan.limit_bytes,
                     bound(&plan.original, &rgb) * COPY_PERCENT / 100);
    request.can_copy = false;
    assert_true(plan_of(&request).is_sure);
}

static void test_smallest_dct_above_the_target(void **state)
{
    struct plan_request request = request_for(8000, 6000, &gray);
    struct plan plan = plan_of(&request);

    (void)state; /* 48 MP: 10 fit, 4/8 has 12, 2/8 has 3 */
    assert_int_equal(plan.dct_eighths, 4);
    assert_size(&plan.decoded, 4000, 3000);
    assert_true(plan.original.width_px < 4000);
    assert_true((uint64_t)plan.original.width_px * plan.original.height_px >
                9900000);
}

static void test_without_dct_the_decoder_gives_full_size(void **state)
{
    struct plan_request request = request_for(4032, 3024, &rgba);
    struct plan plan;

    (void)state;
    request.dct_scales = false;
    plan = plan_of(&request);
    assert_int_equal(plan.dct_eighths, 8);
    assert_size(&plan.decoded, 4032, 3024);
    assert_true(plan.original.width_px > 1800);
    assert_true(plan.original.width_px < 1850);
}

static void test_preview_is_the_original_at_its_bound(void **state)
{
    struct plan_request request = request_for(600, 500, &rgb);
    size_t bytes = bound(&(struct plan_size){600, 500}, &rgb);
    struct plan plan;

    (void)state;
    request.preview_max_bytes = bytes;
    plan = plan_of(&request);
    assert_true(plan.preview_is_original);
    assert_size(&plan.preview, 600, 500);
    request.preview_max_bytes = bytes - 1;
    plan = plan_of(&request);
    assert_false(plan.preview_is_original);
    assert_true(bound(&plan.preview, &rgb) <= bytes - 1);
}

static void test_preview_side_is_bounded(void **state)
{
    struct plan_request request = request_for(3000, 3000, &gray);
    struct plan plan;

    (void)state;
    request.preview_side_max_px = 300;
    plan = plan_of(&request);
    assert_size(&plan.preview, 300, 300);
}

static void test_low_depth_stays_packed(void **state)
{
    struct pixel_format bits = {.kind = PIXEL_GRAY, .depth = 1};
    struct plan_request request = request_for(8000, 8000, &bits);
    struct plan plan;

    (void)state;
    request.dct_scales = false;
    plan = plan_of(&request);
    assert_size(&plan.original, 8000, 8000);
    assert_int_equal(plan.original_format.depth, 1);
    request.width_px = 10000;
    request.height_px = 10000;
    plan = plan_of(&request);
    assert_int_equal(plan.original_format.depth, 8);
    assert_true(bound(&plan.original, &gray) <= 10000000);
}

static void test_orientation_turns_sizes(void **state)
{
    struct plan_request request = request_for(4032, 3024, &rgb);
    struct plan plan;

    (void)state;
    request.orientation = 6;
    plan = plan_of(&request);
    assert_size(&plan.decoded, 2016, 1512);
    assert_size(&plan.scaled, 2016, 1512);
    assert_size(&plan.original, 1512, 2016);
    assert_true(plan.preview.width_px < plan.preview.height_px);
}

static void test_thin_pictures_keep_a_pixel(void **state)
{
    struct plan_request request = request_for(65535, 100, &rgb);
    struct plan plan = plan_of(&request);

    (void)state;
    assert_int_equal(plan.preview.width_px, 1024);
    assert_int_equal(plan.preview.height_px, 2);
    request = request_for(65535, 1, &rgb);
    request.preview_max_bytes = 10000;
    plan = plan_of(&request);
    assert_int_equal(plan.preview.height_px, 1);
}

/* ---- boxes */

static void test_box_is_kept_after_rotation(void **state)
{
    struct plan_request request = request_for(4032, 3024, &rgb);
    struct plan plan;

    (void)state;
    request.mode = TRANSCODE_BOX;
    request.box = (struct plan_size){1000, 600};
    plan = plan_of(&request);
    assert_size(&plan.original, 800, 600);
    assert_int_equal(plan.dct_eighths, 2); /* 1008 by 756 */
    request.orientation = 6;
    plan = plan_of(&request);
    assert_size(&plan.original, 450, 600);
    assert_size(&plan.scaled, 600, 450);
    assert_int_equal(plan.dct_eighths, 2);
    assert_true(plan.is_sure);
}

static void test_box_takes_the_scale_that_is_just_large_enough(void **state)
{
    struct plan_request request = request_for(4032, 3024, &rgb);
    struct plan plan;

    (void)state;
    request.mode = TRANSCODE_BOX;
    request.box = (struct plan_size){1008, 5000};
    plan = plan_of(&request);
    assert_int_equal(plan.dct_eighths, 2);
    assert_size(&plan.decoded, 1008, 756);
    assert_size(&plan.scaled, 1008, 756);
    request.box.width_px = 1009;
    plan = plan_of(&request);
    assert_int_equal(plan.dct_eighths, 4);
    assert_size(&plan.decoded, 2016, 1512);
    assert_size(&plan.scaled, 1009, 757);
}

static void test_box_never_enlarges_and_keeps_the_ceiling(void **state)
{
    struct plan_request request = request_for(300, 200, &rgb);
    struct plan plan;

    (void)state;
    request.mode = TRANSCODE_BOX;
    request.box = (struct plan_size){5000, 5000};
    plan = plan_of(&request);
    assert_size(&plan.original, 300, 200);
    request.width_px = 6000;
    request.height_px = 6000;
    plan = plan_of(&request);
    assert_true(bound(&plan.original, &rgb) <= 10000000);
    assert_true(plan.original.width_px > 1800);
    request.box = (struct plan_size){1, 1};
    plan = plan_of(&request);
    assert_size(&plan.original, 1, 1);
}

/* ---- as many pixels as predicted */

static void test_max_heeds_the_prediction(void **state)
{
    struct plan_request request = request_for(4032, 3024, &rgb);
    struct plan plan;

    (void)state;
    request.mode = TRANSCODE_MAX;
    request.predicted_px = 6000000;
    plan = plan_of(&request);
    assert_false(plan.is_sure);
    assert_int_equal(plan.dct_eighths, 8);
    assert_size(&plan.original, 2828, 2121);
    request.predicted_px = 20000000;
    plan = plan_of(&request);
    assert_false(plan.is_sure);
    assert_size(&plan.original, 4032, 3024);
}

static void test_max_keeps_what_is_sure(void **state)
{
    struct plan_request request = request_for(4032, 3024, &rgb);
    struct plan plan;

    (void)state;
    request.mode = TRANSCODE_MAX;
    for (request.predicted_px = 0; request.predicted_px < 3000000;
         request.predicted_px += 2999999) {
        plan = plan_of(&request);
        assert_true(plan.is_sure);
        assert_true((uint64_t)plan.original.width_px * plan.original.height_px >
                    3300000);
        assert_true(bound(&plan.original, &rgb) <= 10000000);
    }
    request.width_px = 1600;
    request.height_px = 1200;
    request.predicted_px = 1;
    plan = plan_of(&request);
    assert_true(plan.is_sure);
    assert_size(&plan.original, 1600, 1200);
}

static void test_requests_out_of_range(void **state)
{
    struct plan_request request = request_for(0, 10, &rgb);
    struct plan plan;

    (void)state;
    assert_int_equal(plan_make(&plan, &request), STATUS_BUG);
    request = request_for(10, 10, &rgb);
    request.orientation = 9;
    assert_int_equal(plan_make(&plan, &request), STATUS_BUG);
    request = request_for(10, 10, &rgb);
    request.preview_max_bytes = 20;
    assert_int_equal(plan_make(&plan, &request), STATUS_BUG);
}

static void check_largest(const struct plan_size *full, size_t max_bytes,
                          const struct pixel_format *format)
{
    uint32_t longer =
        full->width_px > full->height_px ? full->width_px : full->height_px;
    const struct plan_size none = {UINT32_MAX, UINT32_MAX};
    struct plan_size fit;
    struct plan_size other;
    uint32_t side;

    assert_true(plan_fit(full, &none, format, max_bytes, &fit));
    assert_true(bound(&fit, format) <= max_bytes);
    assert_true(fit.width_px <= full->width_px);
    assert_true(fit.height_px <= full->height_px);
    side = fit.width_px > fit.height_px ? fit.width_px : fit.height_px;
    if (side == longer)
        return;
    assert_true(plan_fit(full, &(struct plan_size){side + 1, side + 1}, format,
                         SIZE_MAX, &other));
    assert_true(bound(&other, format) > max_bytes);
}

static void test_fit_is_the_largest(void **state)
{
    uint32_t random = 99;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct plan_size full = {1 + picture_random(&random) % 65535,
                                 1 + picture_random(&random) % 65535};
        size_t max_bytes = 1000 + picture_random(&random) % 10000000;

        check_largest(&full, max_bytes, i % 2 == 0 ? &rgb : &gray);
    }
}

/* Whatever comes in: both bounds hold, and the chain of sizes is consistent. */
static void test_any_request(void **state)
{
    static const uint8_t depths[] = {1, 2, 4, 8};
    uint32_t random = 7;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct pixel_format format = {
            .kind = (enum pixel_kind)(picture_random(&random) % 5),
            .depth = 8,
        };
        struct plan_request request;
        struct plan plan;

        if (format.kind == PIXEL_INDEXED || format.kind == PIXEL_GRAY)
            format.depth = depths[picture_random(&random) % 4];
        request = request_for(1 + (picture_random(&random) % 65535 >>
                                   picture_random(&random) % 12),
                              1 + (picture_random(&random) % 65535 >>
                                   picture_random(&random) % 12),
                              &format);
        request.orientation = (uint8_t)(1 + picture_random(&random) % 8);
        request.dct_scales = picture_random(&random) % 2 == 0;
        request.mode = i % 2 == 0 ? TRANSCODE_FIT : TRANSCODE_BOX;
        request.box.width_px = 1 + picture_random(&random) % 5000;
        request.box.height_px = 1 + picture_random(&random) % 5000;
        plan = plan_of(&request);
        assert_true(plan.is_sure);
        assert_true(bound(&plan.original, &plan.original_format) <= 10000000);
        assert_true(plan.scaled.width_px <= plan.decoded.width_px);
        assert_true(plan.scaled.height_px <= plan.decoded.height_px);
        assert_true(plan.preview.width_px <= plan.original.width_px);
        assert_true(plan.preview.height_px <= plan.original.height_px);
        pixel_format_plain(&plan.original_format, &format);
        assert_true(bound(&plan.preview, plan.preview_is_original
                                             ? &plan.original_format
                                             : &format) <= 1000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dct_rounds_up),
        cmocka_unit_test(test_phone_photo_snaps),
        cmocka_unit_test(test_snap_keeps_seventy_percent),
        cmocka_unit_test(test_full_size_at_the_bound),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_smallest_dct_above_the_target),
        cmocka_unit_test(test_without_dct_the_decoder_gives_full_size),
        cmocka_unit_test(test_preview_is_the_original_at_its_bound),
        cmocka_unit_test(test_preview_side_is_bounded),
        cmocka_unit_test(test_low_depth_stays_packed),
        cmocka_unit_test(test_orientation_turns_sizes),
        cmocka_unit_test(test_thin_pictures_keep_a_pixel),
        cmocka_unit_test(test_box_is_kept_after_rotation),
        cmocka_unit_test(test_box_takes_the_scale_that_is_just_large_enough),
        cmocka_unit_test(test_box_never_enlarges_and_keeps_the_ceiling),
        cmocka_unit_test(test_max_heeds_the_prediction),
        cmocka_unit_test(test_max_keeps_what_is_sure),
        cmocka_unit_test(test_requests_out_of_range),
        cmocka_unit_test(test_fit_is_the_largest),
        cmocka_unit_test(test_any_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
