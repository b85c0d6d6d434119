/*
 * Colours from the file to the output: profiles in segments of a JPEG and in a
 * chunk of a PNG or a WebP, gAMA and cHRM, whole, damaged and made to harm, fed
 * in all ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/profile.h"
#include "../helper/transcoding.h"
#include "limits.h"

#include <math.h>
#include <zlib.h>

#define FILE_MAX_BYTES (16 * 1024 * 1024)
#define NAME "ICC_PROFILE"
#define PNG_HEAD_BYTES 33

static void append(struct buf *out, const void *bytes, size_t len)
{
    assert_int_equal(buf_append(out, bytes, len), STATUS_OK);
}

static void make_scene(struct picture *p, size_t channels)
{
    picture_init(p, 60, 40, channels);
    picture_fill_scene(p);
}

/* ---- PNG */

/* `chunks` after IHDR. */
static void make_png(struct buf *out, const struct picture *p,
                     const struct buf *chunks)
{
    struct buf plain;

    buf_init(&plain, FILE_MAX_BYTES);
    buf_init(out, FILE_MAX_BYTES);
    picture_to_png(p, &plain);
    append(out, plain.data, PNG_HEAD_BYTES);
    append(out, chunks->data, chunks->len);
    append(out, plain.data + PNG_HEAD_BYTES, plain.len - PNG_HEAD_BYTES);
    buf_release(&plain);
}

static void append_gamma(struct buf *out, uint32_t gamma_e5)
{
    uint8_t data[] = {(uint8_t)(gamma_e5 >> 24), (uint8_t)(gamma_e5 >> 16),
                      (uint8_t)(gamma_e5 >> 8), (uint8_t)gamma_e5};

    png_append_chunk(out, "gAMA", data, sizeof(data));
}

static void append_points(struct buf *out, const struct profile_space *space)
{
    uint8_t data[32];

    for (size_t i = 0; i < 8; i++) {
        long value = lround(space->points[i / 2][i % 2] * 1e5);

        for (size_t k = 0; k < 4; k++)
            data[4 * i + k] = (uint8_t)(value >> (24 - 8 * k));
    }
    png_append_chunk(out, "cHRM", data, sizeof(data));
}

static void append_profile(struct buf *out, const void *profile, size_t len)
{
    uLongf packed_len = compressBound(len);
    uint8_t *data = malloc(packed_len + 3);

    assert_non_null(data);
    memcpy(data, "n\0", 3); /* name, its end, method 0 */
    assert_int_equal(compress2(data + 3, &packed_len, profile, len, 9), Z_OK);
    png_append_chunk(out, "iCCP", data, packed_len + 3);
    free(data);
}

/* Runs it in all ways; what comes out is in `out`. */
static void run(const struct buf *file, bool converted, struct picture *out)
{
    struct transcode_options options;
    struct transcoding run;

    transcoding_options_all(&options);
    transcoding_run_all_ways(&run, file, &options);
    assert_int_equal(run.status, STATUS_OK);
    assert_int_equal(run.report.colour_converted, converted);
    assert_only_allowed_chunks(&run.original);
    picture_from_png(out, &run.original);
    transcoding_release(&run);
}

/* `in` and `out` are RGBA. */
static void check_space(const struct picture *in, const struct picture *out,
                        const struct profile_space *space)
{
    assert_int_equal(in->width_px, out->width_px);
    assert_int_equal(in->height_px, out->height_px);
    for (size_t i = 0; i < (size_t)in->width_px * in->height_px * 4; i += 4) {
        double expected[3];

        profile_space_to_srgb(space, in->pixels + i, expected);
        for (size_t k = 0; k < 3; k++)
            assert_true(fabs(out->pixels[i + k] - expected[k]) <= 1);
        assert_int_equal(out->pixels[i + 3], in->pixels[i + 3]);
    }
}

/* What libpng makes of the file is the input of the reference. */
static void check_png(const struct buf *file, const struct profile_space *space)
{
    struct picture in;
    struct picture out;

    picture_from_png(&in, file);
    run(file, space != NULL, &out);
    if (space != NULL)
        check_space(&in, &out, space);
    else
        assert_picture_equal(&in, &out);
    picture_release(&in);
    picture_release(&out);
}

static void check_chunks(struct buf *chunks, size_t channels,
                         const struct profile_space *space)
{
    struct picture p;
    struct buf file;

    make_scene(&p, channels);
    make_png(&file, &p, chunks);
    check_png(&file, space);
    buf_release(&file);
    buf_release(chunks);
    buf_init(chunks, FILE_MAX_BYTES);
    picture_release(&p);
}

static void test_png_gamma_and_points(void **state)
{
    struct profile_space dark = profile_srgb;
    struct profile_space adobe = profile_adobe;
    struct buf chunks;

    (void)state;
    dark.gamma = 1e5 / 55556;
    adobe.gamma = 1e5 / 45455;
    buf_init(&chunks, FILE_MAX_BYTES);
    for (size_t channels = 1; channels <= 4; channels++) {
        append_gamma(&chunks, 55556);
        check_chunks(&chunks, channels, &dark);
        append_gamma(&chunks, 45455);
        append_points(&chunks, &profile_srgb);
        check_chunks(&chunks, channels, NULL);
        append_gamma(&chunks, 45455);
        append_points(&chunks, &adobe);
        check_chunks(&chunks, channels, channels < 3 ? NULL : &adobe);
        append_points(&chunks, &profile_p3);
        append_gamma(&chunks, 55556);
        png_append_chunk(&chunks, "sRGB", "", 1);
        check_chunks(&chunks, channels, NULL);
    }
    png_append_chunk(&chunks, "gAMA", "\0\0", 2);
    png_append_chunk(&chunks, "cHRM", "\0\0", 2);
    check_chunks(&chunks, 3, NULL);
    append_gamma(&chunks, 55556);
    chunks.data[chunks.len - 1] ^= 1; /* of the CRC */
    check_chunks(&chunks, 3, NULL);
    buf_release(&chunks);
}

static void test_png_profiles(void **state)
{
    struct buf profile;
    struct buf chunks;

    (void)state;
    buf_init(&chunks, FILE_MAX_BYTES);
    profile_make_rgb(&profile, &profile_p3, 4);
    for (size_t channels = 1; channels <= 4; channels++) {
        append_gamma(&chunks, 45455);
        append_profile(&chunks, profile.data, profile.len);
        png_append_chunk(&chunks, "sRGB", "", 1);
        check_chunks(&chunks, channels, channels < 3 ? NULL : &profile_p3);
    }
    buf_release(&profile);
    profile_make_rgb(&profile, &profile_srgb, 2);
    append_profile(&chunks, profile.data, profile.len);
    append_gamma(&chunks, 45455);
    check_chunks(&chunks, 3, NULL);
    buf_release(&profile);
    buf_release(&chunks);
}

/* Every colour type and depth; after 8 bits it is all one. */
static void check_type(int color_type, int depth, bool transparent)
{
    struct profile_space linear = profile_srgb;
    struct png_spec spec = {.width_px = 23,
                            .height_px = 19,
                            .color_type = color_type,
                            .depth = depth,
                            .transparent = transparent,
                            .interlaced = depth == 4,
                            .seed = 5};
    struct buf plain;
    struct buf file;

    linear.gamma = 1.8;
    buf_init(&plain, FILE_MAX_BYTES);
    buf_init(&file, FILE_MAX_BYTES);
    picture_random_png(&spec, &plain);
    append(&file, plain.data, PNG_HEAD_BYTES);
    append_gamma(&file, 55556);
    append(&file, plain.data + PNG_HEAD_BYTES, plain.len - PNG_HEAD_BYTES);
    check_png(&file, &linear);
    buf_release(&plain);
    buf_release(&file);
}

static void test_png_types(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 16; depth *= 2)
        for (int transparent = 0; transparent < 2; transparent++) {
            check_type(0, depth, transparent);
            if (depth <= 8)
                check_type(3, depth, transparent);
            if (depth >= 8)
                check_type(2, depth, transparent);
            if (depth >= 8 && !transparent) {
                check_type(4, depth, false);
                check_type(6, depth, false);
            }
        }
}

static void test_palette_stays(void **state)
{
    struct png_spec spec = {
        .width_px = 50, .height_px = 50, .color_type = 3, .depth = 4};
    struct transcoding run;
    struct buf plain;
    struct buf file;

    (void)state;
    buf_init(&plain, FILE_MAX_BYTES);
    buf_init(&file, FILE_MAX_BYTES);
    picture_random_png(&spec, &plain);
    append(&file, plain.data, PNG_HEAD_BYTES);
    append_gamma(&file, 100000);
    append(&file, plain.data + PNG_HEAD_BYTES, plain.len - PNG_HEAD_BYTES);
    transcoding_run(&run, &file, NULL, FEED_AT_ONCE);
    assert_int_equal(run.status, STATUS_OK);
    assert_memory_equal(run.original.data + 24, plain.data + 24, 2);
    transcoding_release(&run);
    buf_release(&plain);
    buf_release(&file);
}

/* A chunk that inflates a thousandfold, one that is no deflate stream, one cut
 * short, one above the bound: none of them is a profile, and nothing else. */
static void test_png_profiles_that_harm(void **state)
{
    size_t len = 64 * 1024 * 1024;
    uint8_t *flat = calloc(1, len);
    uint8_t *large = calloc(1, IMAGE_CHUNK_MAX_BYTES + 1);
    struct buf profile;
    struct buf chunks;

    (void)state;
    assert_non_null(flat);
    assert_non_null(large);
    buf_init(&chunks, FILE_MAX_BYTES);
    profile_make_rgb(&profile, &profile_p3, 4);
    memcpy(flat, profile.data, profile.len);
    append_profile(&chunks, flat, len); /* its header tells the true size */
    check_chunks(&chunks, 3, &profile_p3);
    memcpy(flat, "\x04\0\0\0", 4); /* and here the false one */
    append_profile(&chunks, flat, len);
    check_chunks(&chunks, 3, NULL);
    memcpy(large, "n\0", 2);
    png_append_chunk(&chunks, "iCCP", large, IMAGE_CHUNK_MAX_BYTES + 1);
    check_chunks(&chunks, 3, NULL);
    png_append_chunk(&chunks, "iCCP", "n\0\0no deflate", 13);
    check_chunks(&chunks, 3, NULL);
    png_append_chunk(&chunks, "iCCP", "", 0);
    check_chunks(&chunks, 3, NULL);
    append_profile(&chunks, profile.data, profile.len / 2);
    check_chunks(&chunks, 3, NULL);
    append_profile(&chunks, profile.data, profile.len);
    chunks.data[chunks.len - 1] ^= 1; /* of the CRC */
    check_chunks(&chunks, 3, NULL);
    buf_release(&chunks);
    buf_release(&profile);
    free(large);
    free(flat);
}

/* ---- WebP */

#define FLAG_ALPHA 0x10
#define FLAG_PROFILE 0x20

/* `chunks` between VP8X and the picture, `behind` after it. */
static void check_webp(size_t channels, uint8_t flags, const struct buf *chunks,
                       const struct buf *behind,
                       const struct profile_space *space)
{
    struct picture p, in, out;
    struct buf plain, file;

    buf_init(&plain, FILE_MAX_BYTES);
    buf_init(&file, FILE_MAX_BYTES);
    make_scene(&p, channels);
    picture_to_webp(&p, true, &plain);
    webp_begin(&file);
    webp_append_vp8x(&file, flags | (channels == 4 ? FLAG_ALPHA : 0),
                     p.width_px, p.height_px);
    append(&file, chunks->data, chunks->len);
    webp_append_picture(&file, &plain);
    append(&file, behind->data, behind->len);
    webp_end(&file);
    picture_from_webp(&in, &plain);
    run(&file, space != NULL, &out);
    if (space != NULL)
        check_space(&in, &out, space);
    else
        assert_picture_equal(&in, &out);
    picture_release(&p);
    picture_release(&in);
    picture_release(&out);
    buf_release(&plain);
    buf_release(&file);
}

static void test_webp_profiles(void **state)
{
    uint8_t *large = calloc(1, IMAGE_CHUNK_MAX_BYTES + 1);
    struct buf profile, other, chunks, none;

    (void)state;
    assert_non_null(large);
    buf_init(&chunks, FILE_MAX_BYTES);
    buf_init(&none, FILE_MAX_BYTES);
    profile_make_rgb(&profile, &profile_p3, 4);
    profile_make_rgb(&other, &profile_adobe, 2);
    webp_append_chunk(&chunks, "ICCP", profile.data, profile.len);
    check_webp(3, FLAG_PROFILE, &chunks, &none, &profile_p3);
    check_webp(4, FLAG_PROFILE, &chunks, &none, &profile_p3);
    /* not promised; behind the picture */
    check_webp(3, 0, &chunks, &none, NULL);
    check_webp(3, FLAG_PROFILE, &none, &chunks, NULL);
    /* the first one of two */
    webp_append_chunk(&chunks, "ICCP", other.data, other.len);
    check_webp(3, FLAG_PROFILE, &chunks, &chunks, &profile_p3);
    /* no profile, none at all, too large */
    buf_clear(&chunks);
    webp_append_chunk(&chunks, "ICCP", "none", 4);
    check_webp(4, FLAG_PROFILE, &chunks, &none, NULL);
    buf_clear(&chunks);
    webp_append_chunk(&chunks, "ICCP", "", 0);
    check_webp(3, FLAG_PROFILE, &chunks, &none, NULL);
    memcpy(large, profile.data, profile.len);
    buf_clear(&chunks);
    webp_append_chunk(&chunks, "ICCP", large, IMAGE_CHUNK_MAX_BYTES + 1);
    check_webp(3, FLAG_PROFILE, &chunks, &none, NULL);
    free(large);
    buf_release(&profile);
    buf_release(&other);
    buf_release(&chunks);
    buf_release(&none);
}

/* ---- JPEG */

static void append_segment(struct buf *out, const struct buf *profile,
                           size_t start, size_t len, unsigned number,
                           unsigned count)
{
    size_t size = 2 + sizeof(NAME) + 2 + len;
    uint8_t head[] = {0xff, 0xe2, (uint8_t)(size >> 8), (uint8_t)size};
    uint8_t numbers[] = {(uint8_t)number, (uint8_t)count};

    append(out, head, sizeof(head));
    append(out, NAME, sizeof(NAME));
    append(out, numbers, sizeof(numbers));
    if (len > 0)
        append(out, profile->data + start, len);
}

/* After SOI. */
static void insert(struct buf *out, const struct buf *jpeg,
                   const struct buf *segments)
{
    buf_init(out, FILE_MAX_BYTES);
    append(out, jpeg->data, 2);
    append(out, segments->data, segments->len);
    append(out, jpeg->data + 2, jpeg->len - 2);
}

static void make_jpeg(struct buf *out, size_t channels, bool progressive)
{
    struct jpeg_spec spec = {
        .quality = 95, .progressive = progressive, .ycck = progressive};
    struct picture p;

    buf_init(out, FILE_MAX_BYTES);
    make_scene(&p, channels);
    picture_to_jpeg(&p, &spec, out);
    picture_release(&p);
}

/* The parts of the profile that the numbers tell, in that order. */
static void check_parts(const struct buf *profile, const char *numbers,
                        unsigned count, bool usable)
{
    size_t part = profile->len / count + 1;
    struct picture in;
    struct picture rgba;
    struct picture out;
    struct buf jpeg;
    struct buf segments;
    struct buf file;

    make_jpeg(&jpeg, 3, false);
    buf_init(&segments, FILE_MAX_BYTES);
    append(&segments, "\xff\xe2\0\x0aMPF\0xxxx", 12); /* of another kind */
    for (; *numbers != '\0'; numbers++) {
        size_t start = (size_t)(*numbers - '1') % count * part;

        append_segment(&segments, profile, start,
                       size_min(part, profile->len - start),
                       (unsigned)(*numbers - '0'), count);
    }
    insert(&file, &jpeg, &segments);
    run(&file, usable, &out);
    picture_from_jpeg(&in, &jpeg, 8);
    picture_init(&rgba, in.width_px, in.height_px, 4);
    for (size_t i = 0; i < (size_t)in.width_px * in.height_px; i++) {
        memcpy(rgba.pixels + 4 * i, in.pixels + 3 * i, 3);
        rgba.pixels[4 * i + 3] = 255;
    }
    if (usable)
        check_space(&rgba, &out, &profile_p3);
    else
        assert_picture_equal(&rgba, &out);
    picture_release(&in);
    picture_release(&rgba);
    picture_release(&out);
    buf_release(&jpeg);
    buf_release(&segments);
    buf_release(&file);
}

static void test_jpeg_parts(void **state)
{
    struct buf profile;

    (void)state;
    profile_make_rgb(&profile, &profile_p3, 2);
    check_parts(&profile, "1", 1, true);
    check_parts(&profile, "123", 3, true);
    check_parts(&profile, "312", 3, true);
    check_parts(&profile, "654321", 6, true);
    check_parts(&profile, "13", 3, false);   /* missing */
    check_parts(&profile, "1223", 3, false); /* twice */
    check_parts(&profile, "0123", 3, false); /* no such number */
    check_parts(&profile, "1234", 3, false);
    buf_release(&profile);
}

/* A count of 0, a count that changes, a part of nothing. */
static void test_jpeg_parts_that_contradict(void **state)
{
    struct buf profile;
    struct buf jpeg;
    struct buf segments;
    struct buf file;
    struct picture out;

    (void)state;
    profile_make_rgb(&profile, &profile_p3, 2);
    make_jpeg(&jpeg, 3, false);
    for (unsigned i = 0; i < 3; i++) {
        buf_init(&segments, FILE_MAX_BYTES);
        if (i < 2)
            append_segment(&segments, &profile, 0, profile.len, 1, i * 2);
        else
            append_segment(&segments, &profile, 0, 0, 1, 1);
        append_segment(&segments, &profile, 0, profile.len, 1, 1);
        insert(&file, &jpeg, &segments);
        run(&file, false, &out);
        picture_release(&out);
        buf_release(&file);
        buf_release(&segments);
    }
    buf_release(&jpeg);
    buf_release(&profile);
}

/* As many parts as there may be, beyond the ceiling all together. */
static void test_jpeg_profile_too_large(void **state)
{
    struct buf profile;
    struct buf jpeg;
    struct buf segments;
    struct buf file;
    struct transcoding run;

    (void)state;
    buf_init(&profile, FILE_MAX_BYTES);
    for (size_t i = 0; i < 65000; i++)
        append(&profile, "x", 1);
    make_jpeg(&jpeg, 3, false);
    buf_init(&segments, 2 * FILE_MAX_BYTES);
    for (unsigned number = 1; number <= 200; number++)
        append_segment(&segments, &profile, 0, profile.len, number, 200);
    insert(&file, &jpeg, &segments);
    transcoding_run(&run, &file, NULL, FEED_RANDOM);
    assert_int_equal(run.status, STATUS_OK);
    assert_false(run.report.colour_converted);
    transcoding_release(&run);
    buf_release(&file);
    buf_release(&segments);
    buf_release(&jpeg);
    buf_release(&profile);
}

static void check_gray_jpeg(const struct buf *file, const struct buf *jpeg)
{
    struct picture in;
    struct picture out;

    picture_from_jpeg(&in, jpeg, 8);
    run(file, true, &out);
    for (size_t i = 0; i < (size_t)in.width_px * in.height_px; i++) {
        double expected = profile_gray_to_srgb(1.8, in.pixels[i]);

        for (size_t k = 0; k < 3; k++)
            assert_true(fabs(out.pixels[4 * i + k] - expected) <= 1);
    }
    picture_release(&in);
    picture_release(&out);
}

static void test_jpeg_gray(void **state)
{
    struct buf profile;
    struct buf jpeg;
    struct buf segments;
    struct buf file;

    (void)state;
    profile_make_gray(&profile, 1.8);
    make_jpeg(&jpeg, 1, false);
    buf_init(&segments, FILE_MAX_BYTES);
    append_segment(&segments, &profile, 0, profile.len, 1, 1);
    insert(&file, &jpeg, &segments);
    check_gray_jpeg(&file, &jpeg);
    buf_release(&file);
    buf_release(&segments);
    buf_release(&jpeg);
    buf_release(&profile);
}

static void check_inks(const struct buf *file, const struct buf *jpeg,
                       const struct buf *profile)
{
    struct picture in;
    struct picture exact;
    struct picture out;
    size_t pixels;
    double sum = 0;

    picture_from_jpeg(&in, jpeg, 8);
    pixels = (size_t)in.width_px * in.height_px;
    picture_init(&exact, in.width_px, in.height_px, 3);
    profile_convert(profile, 4, true, in.pixels, pixels, exact.pixels);
    run(file, true, &out);
    for (size_t i = 0; i < pixels * 3; i++) {
        double difference = exact.pixels[i] - out.pixels[i / 3 * 4 + i % 3];

        assert_true(fabs(difference) <= 12);
        sum += difference * difference;
    }
    assert_true(sqrt(sum / (double)(pixels * 3)) < 1);
    picture_release(&in);
    picture_release(&exact);
    picture_release(&out);
}

static void test_jpeg_inks(void **state)
{
    struct buf profile;
    struct buf rgb;
    struct buf jpeg;
    struct buf segments;
    struct buf file;
    struct picture out;

    (void)state;
    profile_make_lut(&profile, 4);
    profile_make_rgb(&rgb, &profile_p3, 2);
    for (int progressive = 0; progressive < 2; progressive++) {
        make_jpeg(&jpeg, 4, progressive != 0);
        buf_init(&segments, FILE_MAX_BYTES);
        append_segment(&segments, &profile, 0, profile.len, 1, 1);
        insert(&file, &jpeg, &segments);
        check_inks(&file, &jpeg, &profile);
        buf_release(&file);
        buf_clear(&segments);
        append_segment(&segments, &rgb, 0, rgb.len, 1, 1);
        insert(&file, &jpeg, &segments);
        run(&file, false, &out); /* RGB is no word about inks */
        picture_release(&out);
        buf_release(&file);
        buf_release(&segments);
        buf_release(&jpeg);
    }
    buf_release(&rgb);
    buf_release(&profile);
}

/* ---- with the other stages */

/* Scaled and rotated, a flat colour is still one, and both outputs have it. */
static void test_scaled_and_rotated(void **state)
{
    struct jpeg_spec spec = {.quality = 98, .orientation = 6};
    uint8_t colour[] = {40, 200, 90};
    struct transcode_options options;
    struct transcoding run;
    struct picture p;
    struct buf profile;
    struct buf jpeg;
    struct buf segments;
    struct buf file;
    struct picture out;
    double expected[3];

    (void)state;
    picture_init(&p, 300, 200, 3);
    for (size_t i = 0; i < 300 * 200 * 3; i++)
        p.pixels[i] = colour[i % 3];
    profile_make_rgb(&profile, &profile_p3, 4);
    buf_init(&jpeg, FILE_MAX_BYTES);
    picture_to_jpeg(&p, &spec, &jpeg);
    buf_init(&segments, FILE_MAX_BYTES);
    append_segment(&segments, &profile, 0, profile.len, 1, 1);
    insert(&file, &jpeg, &segments);
    transcode_options_default(&options);
    options.original_max_bytes = 60000;
    options.preview_max_bytes = 10000;
    transcoding_run(&run, &file, &options, FEED_RANDOM);
    assert_int_equal(run.status, STATUS_OK);
    assert_true(run.report.colour_converted);
    profile_space_to_srgb(&profile_p3, colour, expected);
    for (int i = 0; i < 2; i++) {
        picture_from_png(&out, i == 0 ? &run.original : &run.preview);
        assert_true(out.width_px < out.height_px && out.height_px < 300);
        for (size_t k = 0; k < 3; k++)
            assert_true(fabs(out.pixels[k] - expected[k]) <= 3);
        for (size_t k = 0; k < (size_t)out.width_px * out.height_px * 4; k++)
            assert_true(abs(out.pixels[k] - out.pixels[k % 4]) <= 2);
        picture_release(&out);
    }
    transcoding_release(&run);
    buf_release(&file);
    buf_release(&segments);
    buf_release(&jpeg);
    buf_release(&profile);
    picture_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_gamma_and_points),
        cmocka_unit_test(test_png_profiles),
        cmocka_unit_test(test_png_types),
        cmocka_unit_test(test_palette_stays),
        cmocka_unit_test(test_png_profiles_that_harm),
        cmocka_unit_test(test_webp_profiles),
        cmocka_unit_test(test_jpeg_parts),
        cmocka_unit_test(test_jpeg_parts_that_contradict),
        cmocka_unit_test(test_jpeg_profile_too_large),
        cmocka_unit_test(test_jpeg_gray),
        cmocka_unit_test(test_jpeg_inks),
        cmocka_unit_test(test_scaled_and_rotated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
