/*
 * WebP through the door: pixels equal to libwebp's own decode of the whole
 * file, however the bytes arrive; containers of every kind around them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"
#include "limits.h"

#define FLAG_ANIMATION 0x02
#define FLAG_EXIF 0x08
#define FLAG_ALPHA 0x10
#define PLAIN_HEAD_BYTES 12

static void make_webp(struct buf *webp, uint32_t width_px, uint32_t height_px,
                      size_t channels, bool lossless)
{
    struct picture p;

    buf_init(webp, 16 * 1024 * 1024);
    picture_init(&p, width_px, height_px, channels);
    picture_fill_scene(&p);
    picture_to_webp(&p, lossless, webp);
    picture_release(&p);
}

static void run_all(struct transcoding *run, const struct buf *webp)
{
    struct transcode_options options;

    transcoding_options_all(&options);
    transcoding_run_all_ways(run, webp, &options);
    assert_int_equal(run->report.source_type, IMAGE_TYPE_WEBP);
}

static enum status status_of(const struct buf *webp,
                             const struct transcode_options *options)
{
    struct transcode_options all;
    struct transcoding run;
    enum status status;

    transcoding_options_all(&all);
    transcoding_run_all_ways(&run, webp, options != NULL ? options : &all);
    status = run.status;
    transcoding_release(&run);
    return status;
}

/* `webp` shows what `reference` does. */
static void check_against(const struct buf *webp, const struct buf *reference)
{
    struct picture expected, got;
    struct transcoding run;

    run_all(&run, webp);
    assert_int_equal(run.status, STATUS_OK);
    assert_only_allowed_chunks(&run.original);
    picture_from_webp(&expected, reference);
    picture_from_png(&got, &run.original);
    assert_picture_equal(&got, &expected);
    picture_release(&expected);
    picture_release(&got);
    transcoding_release(&run);
}

static void check_size(uint32_t width_px, uint32_t height_px)
{
    for (unsigned flags = 0; flags < 4; flags++) {
        struct buf webp;

        make_webp(&webp, width_px, height_px, (flags & 1) != 0 ? 4 : 3,
                  (flags & 2) != 0);
        check_against(&webp, &webp);
        buf_release(&webp);
    }
}

static void test_pixels(void **state)
{
    (void)state;
    for (uint32_t side = 1; side <= 20; side++)
        check_size(side, 21 - side);
    check_size(200, 150);
    check_size(3000, 1);
    check_size(1, 3000);
}

static void test_large(void **state)
{
    struct transcode_options options;

    (void)state;
    transcoding_options_all(&options);
    for (unsigned flags = 0; flags < 4; flags++) {
        struct transcoding run;
        struct buf webp;

        make_webp(&webp, 1200, 900, (flags & 1) != 0 ? 4 : 3, (flags & 2) != 0);
        options.original_max_bytes = 500000;
        options.preview_max_bytes = 50000;
        transcoding_run(&run, &webp, &options, FEED_RANDOM);
        assert_int_equal(run.status, STATUS_OK);
        assert_true(run.original.len <= 500000 && run.preview.len <= 50000);
        transcoding_release(&run);
        transcoding_check_splits(&webp, &options, 10);
        buf_release(&webp);
    }
}

/* ---- containers */

static void append_exif(struct buf *out, uint8_t orientation, bool prefix)
{
    struct buf exif;

    buf_init(&exif, 1000);
    if (prefix)
        assert_int_equal(buf_append(&exif, "Exif\0", 6), STATUS_OK);
    exif_append(&exif, orientation, orientation % 2 == 0);
    webp_append_chunk(out, "EXIF", exif.data, exif.len);
    buf_release(&exif);
}

static void test_orientation(void **state)
{
    struct buf plain;

    (void)state;
    make_webp(&plain, 30, 20, 4, true);
    for (uint8_t o = 1; o <= 8; o++)
        for (unsigned flags = 0; flags < 4; flags++) {
            struct transcoding run;
            struct buf webp;

            buf_init(&webp, 100000);
            webp_begin(&webp);
            webp_append_vp8x(&webp, FLAG_EXIF | FLAG_ALPHA, 30, 20);
            webp_append_chunk(&webp, "ICCP", "odd", 3);
            if ((flags & 1) != 0)
                append_exif(&webp, o, (flags & 2) != 0);
            webp_append_picture(&webp, &plain);
            webp_append_chunk(&webp, "XMP ", "odd too", 7);
            if ((flags & 1) == 0)
                append_exif(&webp, o, (flags & 2) != 0);
            webp_end(&webp);
            run_all(&run, &webp);
            assert_int_equal(run.status, STATUS_OK);
            assert_int_equal(run.report.orientation, o);
            assert_int_equal(run.report.original_width_px, o >= 5 ? 20 : 30);
            transcoding_release(&run);
            buf_release(&webp);
        }
    buf_release(&plain);
}

/* A promise that is not kept, and a chunk that nothing promised. */
static void test_no_orientation(void **state)
{
    struct buf plain, webp;

    (void)state;
    make_webp(&plain, 30, 20, 3, false);
    for (unsigned promised = 0; promised < 2; promised++) {
        buf_init(&webp, 100000);
        webp_begin(&webp);
        webp_append_vp8x(&webp, promised == 1 ? FLAG_EXIF : 0, 30, 20);
        webp_append_picture(&webp, &plain);
        if (promised == 0)
            append_exif(&webp, 6, false);
        webp_end(&webp);
        check_against(&webp, &plain);
        if (promised == 1) { /* the same, but it looks as if it were cut */
            webp.data[4] = 127;
            webp.data[5] = 127;
            check_against(&webp, &plain);
        }
        buf_release(&webp);
    }
    buf_release(&plain);
}

static void begin_frame(struct buf *out, const struct buf *plain, uint32_t left,
                        uint32_t top, uint32_t width_px, uint32_t height_px)
{
    uint8_t head[16] = {(uint8_t)(left / 2), 0, 0, (uint8_t)(top / 2)};
    struct buf body;

    head[6] = (uint8_t)(width_px - 1);
    head[9] = (uint8_t)(height_px - 1);
    buf_init(&body, 100000);
    assert_int_equal(buf_append(&body, head, sizeof(head)), STATUS_OK);
    webp_append_picture(&body, plain);
    webp_append_chunk(out, "ANMF", body.data, body.len);
    buf_release(&body);
}

static void make_animation(struct buf *webp, const struct buf *plain,
                           uint32_t left, uint32_t top)
{
    buf_init(webp, 100000);
    webp_begin(webp);
    webp_append_vp8x(webp, FLAG_ANIMATION | FLAG_EXIF, 40, 30);
    webp_append_chunk(webp, "ANIM", "\0\0\0\0\0\0", 6);
    begin_frame(webp, plain, left, top, 20, 10);
    begin_frame(webp, plain, 0, 0, 20, 10);
    append_exif(webp, 6, false);
    webp_end(webp);
}

/* The first frame at its place, nothing elsewhere. */
static void check_animation(size_t channels, bool lossless)
{
    struct picture frame, expected, got;
    struct transcoding run;
    struct buf plain, webp;

    make_webp(&plain, 20, 10, channels, lossless);
    make_animation(&webp, &plain, 6, 8);
    run_all(&run, &webp);
    assert_int_equal(run.status, STATUS_OK);
    assert_int_equal(run.report.orientation, 1);
    picture_from_webp(&frame, &plain);
    picture_init(&expected, 40, 30, 4);
    for (size_t y = 0; y < 10; y++)
        memcpy(picture_at(&expected, 6, 8 + y), picture_at(&frame, 0, y), 80);
    picture_from_png(&got, &run.original);
    assert_picture_equal(&got, &expected);
    picture_release(&frame);
    picture_release(&expected);
    picture_release(&got);
    transcoding_release(&run);
    buf_release(&plain);
    buf_release(&webp);
}

static void test_first_frame_of_an_animation(void **state)
{
    struct buf plain, webp;

    (void)state;
    for (unsigned flags = 0; flags < 4; flags++)
        check_animation((flags & 1) != 0 ? 4 : 3, (flags & 2) != 0);
    make_webp(&plain, 20, 10, 3, true);
    make_animation(&webp, &plain, 22, 8); /* two pixels beyond the canvas */
    assert_int_equal(status_of(&webp, NULL), STATUS_IMAGE_BROKEN);
    buf_release(&plain);
    buf_release(&webp);
}

static void test_bad_containers(void **state)
{
    static const char *const orders[] = {"X", "XE", "XEI", ""};
    struct buf plain, webp;

    (void)state;
    make_webp(&plain, 30, 20, 3, true);
    for (size_t i = 0; i < ARRAY_COUNT(orders); i++) { /* no picture */
        buf_init(&webp, 100000);
        webp_begin(&webp);
        for (const char *c = orders[i]; *c != '\0'; c++)
            if (*c == 'X')
                webp_append_vp8x(&webp, 0, 30, 20);
            else
                webp_append_chunk(&webp, *c == 'E' ? "EXIF" : "ICCP", "abcd",
                                  4);
        webp_end(&webp);
        assert_int_equal(status_of(&webp, NULL), STATUS_IMAGE_BROKEN);
        buf_release(&webp);
    }
    buf_init(&webp, 100000); /* a canvas that is not the picture's */
    webp_begin(&webp);
    webp_append_vp8x(&webp, 0, 31, 20);
    webp_append_picture(&webp, &plain);
    webp_end(&webp);
    assert_int_equal(status_of(&webp, NULL), STATUS_IMAGE_BROKEN);
    buf_release(&webp);
    plain.data[4] = 40; /* a RIFF that ends within its chunk */
    plain.data[5] = 0;
    assert_int_equal(status_of(&plain, NULL), STATUS_IMAGE_BROKEN);
    buf_release(&plain);
}

/* ---- damage */

static void test_truncated(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 4; flags++) {
        struct buf webp;
        size_t len;

        make_webp(&webp, 60, 40, (flags & 1) != 0 ? 4 : 3, (flags & 2) != 0);
        len = webp.len;
        for (webp.len = 12; webp.len < len - 16; webp.len++)
            assert_int_equal(status_of(&webp, NULL), STATUS_IMAGE_TRUNCATED);
        webp.len = len;
        for (int i = 0; i < 100; i++)
            assert_int_equal(buf_append(&webp, "garbage", 7), STATUS_OK);
        assert_int_equal(status_of(&webp, NULL), STATUS_OK);
        buf_release(&webp);
    }
}

/* Zeros in the picture's own header and behind. */
static void test_broken(void **state)
{
    (void)state;
    for (unsigned lossless = 0; lossless < 2; lossless++) {
        struct buf webp;

        make_webp(&webp, 60, 40, 3, lossless == 1);
        memset(webp.data + 20, 0, 10);
        assert_int_equal(status_of(&webp, NULL), STATUS_IMAGE_BROKEN);
        buf_release(&webp);
    }
}

/* ---- limits */

static void test_off_by_default(void **state)
{
    struct transcode_options options;
    struct transcoding run;
    struct buf webp;

    (void)state;
    transcode_options_default(&options);
    make_webp(&webp, 20, 10, 3, false);
    transcoding_run_all_ways(&run, &webp, &options);
    assert_int_equal(run.status, STATUS_IMAGE_UNSUPPORTED);
    assert_int_equal(run.report.source_type, IMAGE_TYPE_WEBP);
    transcoding_release(&run);
    buf_release(&webp);
}

static void test_dimensions(void **state)
{
    struct transcode_options options;
    struct buf webp;

    (void)state;
    transcoding_options_all(&options);
    make_webp(&webp, 60, 40, 3, false);
    options.width_max_px = 59;
    assert_int_equal(status_of(&webp, &options), STATUS_IMAGE_TOO_WIDE);
    options.width_max_px = 60;
    options.height_max_px = 39;
    assert_int_equal(status_of(&webp, &options), STATUS_IMAGE_TOO_HIGH);
    options.height_max_px = 40;
    options.pixels_max = 2399;
    assert_int_equal(status_of(&webp, &options), STATUS_IMAGE_TOO_MANY_PIXELS);
    options.pixels_max = 2400;
    assert_int_equal(status_of(&webp, &options), STATUS_OK);
    buf_release(&webp);
}

/* What is kept, what libwebp writes, and what it works in. */
static void test_memory(void **state)
{
    static const struct {
        size_t channels;
        bool lossless;
        size_t bytes_per_px;
    } kinds[] = {{3, false, 3}, {4, false, 9}, {3, true, 7}, {4, true, 8}};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct transcode_options options;
        struct buf webp;
        size_t kept;

        transcoding_options_all(&options);
        make_webp(&webp, 60, 40, kinds[i].channels, kinds[i].lossless);
        kept = webp.len - PLAIN_HEAD_BYTES;
        if (memcmp(webp.data + PLAIN_HEAD_BYTES, "VP8X", 4) == 0)
            kept -= 18;
        options.memory_max_bytes = kinds[i].bytes_per_px * 60 * 40 + kept;
        assert_int_equal(status_of(&webp, &options), STATUS_OK);
        options.memory_max_bytes--;
        assert_int_equal(status_of(&webp, &options),
                         STATUS_IMAGE_TOO_MUCH_MEMORY);
        options.memory_max_bytes = kept - 1; /* before there is a header */
        assert_int_equal(status_of(&webp, &options),
                         STATUS_IMAGE_TOO_MUCH_MEMORY);
        buf_release(&webp);
    }
}

static void test_chunk_size(void **state)
{
    struct transcode_options options;
    struct buf plain, webp;
    uint8_t *bytes = calloc(1, 2000);

    (void)state;
    assert_non_null(bytes);
    transcoding_options_all(&options);
    options.chunk_max_bytes = 1000;
    make_webp(&plain, 30, 20, 3, false);
    for (size_t len = 999; len <= 1001; len++) {
        buf_init(&webp, 100000);
        webp_begin(&webp);
        webp_append_vp8x(&webp, FLAG_EXIF, 30, 20);
        webp_append_chunk(&webp, "ICCP", bytes, 2000); /* nobody reads it */
        webp_append_picture(&webp, &plain);
        webp_append_chunk(&webp, "EXIF", bytes, len);
        webp_end(&webp);
        assert_int_equal(status_of(&webp, &options),
                         len <= 1000 ? STATUS_OK
                                     : STATUS_IMAGE_CHUNK_TOO_LARGE);
        buf_release(&webp);
    }
    buf_release(&plain);
    free(bytes);
}

static void test_random_splits(void **state)
{
    struct transcode_options options;

    (void)state;
    transcoding_options_all(&options);
    options.preview_max_bytes = 2000;
    for (unsigned flags = 0; flags < 4; flags++) {
        struct buf webp;

        make_webp(&webp, 50, 40, (flags & 1) != 0 ? 4 : 3, (flags & 2) != 0);
        transcoding_check_splits(&webp, &options, 1000);
        buf_release(&webp);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_no_orientation),
        cmocka_unit_test(test_first_frame_of_an_animation),
        cmocka_unit_test(test_bad_containers),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_off_by_default),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_chunk_size),
        cmocka_unit_test(test_random_splits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
