/*
 * PNG through the door: pixels equal to libpng's own decode for every colour
 * type, depth and interlacing, however the bytes arrive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"

#include <zlib.h>

static const struct png_kind {
    int color_type;
    int depths[6]; /* up to a 0 */
} kinds[] = {
    {0, {1, 2, 4, 8, 16}}, {2, {8, 16}}, {3, {1, 2, 4, 8}},
    {4, {8, 16}},          {6, {8, 16}},
};

static void make_png(struct buf *png, const struct png_spec *spec)
{
    buf_init(png, 64 * 1024 * 1024);
    picture_random_png(spec, png);
}

static struct png_spec spec_of(uint32_t width_px, uint32_t height_px)
{
    return (struct png_spec){.width_px = width_px,
                             .height_px = height_px,
                             .color_type = 2,
                             .depth = 8};
}

static enum status status_of(const struct buf *png,
                             const struct transcode_options *options)
{
    struct transcoding run;
    enum status status;

    transcoding_run_all_ways(&run, png, options);
    status = run.status;
    transcoding_release(&run);
    return status;
}

static void check_full_size(const struct buf *png)
{
    struct transcoding run;
    struct picture expected;
    struct picture original;

    transcoding_run_all_ways(&run, png, NULL);
    assert_int_equal(run.status, STATUS_OK);
    assert_only_allowed_chunks(&run.original);
    picture_from_png(&expected, png);
    picture_from_png(&original, &run.original);
    assert_picture_equal(&original, &expected);
    picture_release(&expected);
    picture_release(&original);
    transcoding_release(&run);
}

static void check_kind(const struct png_spec *spec)
{
    struct buf png;

    make_png(&png, spec);
    check_full_size(&png);
    buf_release(&png);
}

static void test_every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        for (const int *depth = kinds[i].depths; *depth > 0; depth++)
            for (unsigned flags = 0; flags < 4; flags++) {
                struct png_spec spec = spec_of(37, 23);

                spec.color_type = kinds[i].color_type;
                spec.depth = *depth;
                spec.interlaced = flags % 2 == 1;
                spec.transparent = flags >= 2 && spec.color_type < 4;
                spec.seed = flags;
                check_kind(&spec);
            }
}

/* Interlaced ones have passes without pixels. */
static void test_every_small_size(void **state)
{
    (void)state;
    for (uint32_t width = 1; width <= 10; width++)
        for (uint32_t height = 1; height <= 10; height++)
            for (unsigned flags = 0; flags < 4; flags++) {
                struct png_spec spec = spec_of(width, height);

                spec.interlaced = flags % 2 == 1;
                if (flags >= 2) {
                    spec.color_type = 3;
                    spec.depth = 2;
                }
                check_kind(&spec);
            }
}

static void test_thin(void **state)
{
    struct png_spec wide = spec_of(5000, 1);
    struct png_spec high = spec_of(1, 5000);

    (void)state;
    check_kind(&wide);
    check_kind(&high);
}

/* Bytes 24 and 25 of the file: depth and colour type of IHDR. */
static void test_indexed_and_gray_stay(void **state)
{
    (void)state;
    for (int color_type = 0; color_type <= 3; color_type += 3)
        for (int depth = 1; depth <= 8; depth *= 2) {
            struct png_spec spec = spec_of(50, 50);
            struct transcoding run;
            struct buf png;

            spec.color_type = color_type;
            spec.depth = depth;
            make_png(&png, &spec);
            transcoding_run(&run, &png, NULL, FEED_AT_ONCE);
            assert_int_equal(run.original.data[24], depth);
            assert_int_equal(run.original.data[25], color_type);
            assert_true(run.report.preview_is_original);
            assert_int_equal(run.preview.len, 0);
            transcoding_release(&run);
            buf_release(&png);
        }
}

static void test_reduced(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        for (unsigned flags = 0; flags < 8; flags++) {
            struct png_spec spec = spec_of(150, 100);
            struct transcode_options options;
            struct transcoding run;
            struct picture picture;
            struct buf png;

            spec.color_type = kinds[i].color_type;
            spec.depth = kinds[i].depths[flags / 2 % 2];
            spec.interlaced = flags % 2 == 1;
            spec.transparent = flags >= 4 && spec.color_type < 4;
            transcode_options_default(&options);
            options.original_max_bytes = 2000;
            options.preview_max_bytes = 500;
            make_png(&png, &spec);
            transcoding_run_all_ways(&run, &png, &options);
            assert_int_equal(run.status, STATUS_OK);
            assert_true(run.original.len <= 2000);
            assert_only_allowed_chunks(&run.original);
            picture_from_png(&picture, &run.original);
            assert_int_equal(picture.width_px, run.report.original_width_px);
            picture_release(&picture);
            if (!run.report.preview_is_original) {
                assert_true(run.preview.len <= 500);
                assert_only_allowed_chunks(&run.preview);
            }
            transcoding_release(&run);
            buf_release(&png);
        }
}

static void test_orientation(void **state)
{
    (void)state;
    for (uint8_t o = 1; o <= 8; o++)
        for (unsigned interlaced = 0; interlaced < 2; interlaced++) {
            struct png_spec spec = spec_of(30, 20);
            struct transcoding run;
            struct buf png;

            spec.orientation = o;
            spec.interlaced = interlaced == 1;
            make_png(&png, &spec);
            transcoding_run_all_ways(&run, &png, NULL);
            assert_int_equal(run.status, STATUS_OK);
            assert_int_equal(run.report.orientation, o);
            assert_int_equal(run.report.original_width_px, o >= 5 ? 20 : 30);
            transcoding_release(&run);
            buf_release(&png);
        }
}

/* ---- chunks */

/* Copies the file and puts a chunk behind IHDR. */
static void insert_chunk(const struct buf *png, const char *name,
                         const void *data, size_t len, struct buf *out)
{
    buf_init(out, 64 * 1024 * 1024);
    assert_int_equal(buf_append(out, png->data, 33), STATUS_OK);
    png_append_chunk(out, name, data, len);
    assert_int_equal(buf_append(out, png->data + 33, png->len - 33), STATUS_OK);
}

static enum status status_with_chunk(const char *name, size_t len,
                                     bool break_crc)
{
    struct png_spec spec = spec_of(20, 20);
    uint8_t *data = calloc(1, len + 1);
    struct transcode_options options;
    enum status status;
    struct buf png;
    struct buf with;

    assert_non_null(data);
    transcode_options_default(&options);
    options.chunk_max_bytes = 1000;
    make_png(&png, &spec);
    insert_chunk(&png, name, data, len, &with);
    if (break_crc)
        with.data[33 + 8 + len] ^= 1;
    status = status_of(&with, &options);
    buf_release(&png);
    buf_release(&with);
    free(data);
    return status;
}

static void test_chunks(void **state)
{
    (void)state;
    /* Nobody has to see them: any size, any content, any checksum. */
    assert_int_equal(status_with_chunk("tEXt", 50000, false), STATUS_OK);
    assert_int_equal(status_with_chunk("iCCP", 50000, true), STATUS_OK);
    assert_int_equal(status_with_chunk("acTL", 8, false), STATUS_OK);
    /* Held as a whole: bounded. */
    assert_int_equal(status_with_chunk("eXIf", 1000, false), STATUS_OK);
    assert_int_equal(status_with_chunk("eXIf", 1000, true), STATUS_OK);
    assert_int_equal(status_with_chunk("eXIf", 1001, false),
                     STATUS_IMAGE_CHUNK_TOO_LARGE);
    assert_int_equal(status_with_chunk("PLTE", 1002, false),
                     STATUS_IMAGE_CHUNK_TOO_LARGE);
    /* Critical, and unknown. */
    assert_int_equal(status_with_chunk("ABCD", 4, false),
                     STATUS_IMAGE_UNSUPPORTED);
    /* Critical, and damaged. */
    assert_int_equal(status_with_chunk("PLTE", 30, true), STATUS_IMAGE_BROKEN);
    assert_int_equal(status_with_chunk("IHDR", 13, false), STATUS_IMAGE_BROKEN);
}

static void test_bad_exif_checksum_is_ignored(void **state)
{
    struct png_spec spec = spec_of(20, 10);
    struct transcoding run;
    struct buf png;
    size_t at = 33;

    (void)state;
    spec.orientation = 6;
    make_png(&png, &spec);
    while (memcmp(png.data + at, "eXIf", 4) != 0)
        at++;
    png.data[at + 5] ^= 1;
    transcoding_run_all_ways(&run, &png, NULL);
    assert_int_equal(run.status, STATUS_OK);
    assert_int_equal(run.report.orientation, 1);
    transcoding_release(&run);
    buf_release(&png);
}

static void test_apple_variant(void **state)
{
    struct png_spec spec = spec_of(20, 10);
    struct buf png;
    struct buf apple;

    (void)state;
    make_png(&png, &spec);
    buf_init(&apple, 100000);
    assert_int_equal(buf_append(&apple, png.data, 8), STATUS_OK);
    png_append_chunk(&apple, "CgBI", "\x50\0\x20\2", 4);
    assert_int_equal(buf_append(&apple, png.data + 8, png.len - 8), STATUS_OK);
    assert_int_equal(status_of(&apple, NULL), STATUS_IMAGE_UNSUPPORTED);
    buf_release(&png);
    buf_release(&apple);
}

static void test_first_picture_of_an_animation(void **state)
{
    struct png_spec spec = spec_of(20, 10);
    uint8_t frame[600] = {0, 0, 0, 1};
    struct buf png;
    struct buf animated;

    (void)state;
    make_png(&png, &spec);
    insert_chunk(&png, "acTL", "\0\0\0\2\0\0\0\0", 8, &animated);
    buf_consume(&png, png.len - 12); /* IEND */
    animated.len -= 12;
    png_append_chunk(&animated, "fdAT", frame, sizeof(frame));
    assert_int_equal(buf_append(&animated, png.data, 12), STATUS_OK);
    check_full_size(&animated);
    buf_release(&png);
    buf_release(&animated);
}

/* ---- damage */

static void check_cuts(bool interlaced)
{
    struct png_spec spec = spec_of(16, 16);
    struct buf png;
    size_t len;
    size_t idat_end;

    spec.interlaced = interlaced;
    make_png(&png, &spec);
    len = png.len;
    idat_end = len - 12 - 4; /* the checksum of IDAT */
    for (png.len = 8; png.len < len; png.len++) {
        enum status status = status_of(&png, NULL);

        if (!interlaced && png.len >= idat_end)
            assert_int_equal(status, STATUS_OK);
        else if (interlaced || png.len < idat_end - 10)
            assert_int_equal(status, STATUS_IMAGE_TRUNCATED);
    }
    buf_release(&png);
}

static void test_truncated(void **state)
{
    (void)state;
    check_cuts(false);
    check_cuts(true);
}

static void test_garbage_behind_is_swallowed(void **state)
{
    struct png_spec spec = spec_of(20, 20);
    struct buf png;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        spec.interlaced = i == 1;
        make_png(&png, &spec);
        for (int k = 0; k < 200; k++)
            assert_int_equal(buf_append(&png, "garbage", 7), STATUS_OK);
        check_full_size(&png);
        buf_release(&png);
    }
}

/* Every single bit of the pixel data: the checksum knows. */
static void test_flipped_bits(void **state)
{
    (void)state;
    for (unsigned interlaced = 0; interlaced < 2; interlaced++) {
        struct png_spec spec = spec_of(12, 8);
        struct buf png;

        spec.interlaced = interlaced == 1;
        make_png(&png, &spec);
        for (size_t at = 41; at < png.len - 12; at++) {
            png.data[at] ^= (char)(1 << (at % 8));
            assert_int_equal(status_of(&png, NULL), STATUS_IMAGE_BROKEN);
            png.data[at] ^= (char)(1 << (at % 8));
        }
        buf_release(&png);
    }
}

/* The deflate stream of a lower picture under a higher header: both are whole
 * and all checksums right, only rows are missing. */
static void test_missing_rows(void **state)
{
    (void)state;
    for (unsigned interlaced = 0; interlaced < 2; interlaced++) {
        struct png_spec low = spec_of(20, 8);
        struct png_spec high = spec_of(20, 16);
        struct buf a;
        struct buf b;

        low.interlaced = high.interlaced = interlaced == 1;
        make_png(&a, &low);
        make_png(&b, &high);
        memcpy(a.data, b.data, 33);
        assert_int_equal(status_of(&a, NULL), STATUS_IMAGE_BROKEN);
        buf_release(&a);
        buf_release(&b);
    }
}

/* ---- streams that do not end with the last row */

/* 8 x 8 pixels, and what their rows are before deflate (PNG 9.2, 8.2). */
static const struct stream_kind {
    uint8_t depth, color_type, interlaced;
    size_t bytes, last_row_bytes;
} stream_kinds[] = {
    {16, 0, 0, 8 * 17, 17},
    {8, 2, 0, 8 * 25, 25},
    {8, 2, 1, 4 + 4 + 7 + 2 * 7 + 2 * 13 + 4 * 13 + 4 * 25, 25},
    {16, 6, 1, 9 + 9 + 17 + 2 * 17 + 2 * 33 + 4 * 33 + 4 * 65, 65},
};

/* A zlib stream of so many zeros that is flushed, not ended. */
static void pack_zeros(struct buf *out, size_t len, int strategy)
{
    uint8_t zeros[1000] = {0};
    uint8_t packed[2000];
    z_stream z = {.next_in = zeros,
                  .avail_in = (uInt)len,
                  .next_out = packed,
                  .avail_out = sizeof(packed)};

    assert_true(len <= sizeof(zeros));
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15, 8, strategy), Z_OK);
    assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(buf_append(out, packed, z.total_out), STATUS_OK);
    (void)deflateEnd(&z);
}

/* `tail` follows the flushed rows and `surplus` bytes more. */
static void check_stream(const struct stream_kind *kind, size_t surplus,
                         const char *tail, int strategy)
{
    const uint8_t ihdr[] = {0,
                            0,
                            0,
                            8,
                            0,
                            0,
                            0,
                            8,
                            kind->depth,
                            kind->color_type,
                            0,
                            0,
                            kind->interlaced};
    struct transcode_options options;
    struct buf zlib;
    struct buf png;

    buf_init(&zlib, 10000);
    buf_init(&png, 10000);
    pack_zeros(&zlib, kind->bytes + surplus, strategy);
    assert_int_equal(buf_append(&zlib, tail, strlen(tail)), STATUS_OK);
    assert_int_equal(buf_append(&png, "\x89PNG\r\n\x1a\n", 8), STATUS_OK);
    png_append_chunk(&png, "IHDR", ihdr, sizeof(ihdr));
    png_append_chunk(&png, "IDAT", zlib.data, zlib.len);
    transcode_options_default(&options);
    options.truncated_min_percent = 1;
    (void)status_of(&png, &options);
    png_append_chunk(&png, "IEND", NULL, 0);
    (void)status_of(&png, &options);
    transcoding_check_splits(&png, &options, 20);
    buf_release(&zlib);
    buf_release(&png);
}

/* Never ended, ended by an invalid block, one more block that is empty, or
 * garbage: no answer is wrong, but it is the same for all splits. */
static void test_streams_without_an_end(void **state)
{
    static const char *const tails[] = {"", "\7", "\3", "\7garbage",
                                        "\x63\x60\x18\5\x44"};
    static const int strategies[] = {Z_FIXED, Z_HUFFMAN_ONLY};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(stream_kinds); i++)
        for (size_t k = 0; k < ARRAY_COUNT(tails); k++)
            for (size_t n = 0; n < 2 * ARRAY_COUNT(strategies); n++) {
                const struct stream_kind *kind = &stream_kinds[i];
                int strategy = strategies[n / 2];

                check_stream(kind, 0, tails[k], strategy);
                check_stream(kind, n % 2 == 0 ? 1 : 300, tails[k], strategy);
                check_stream(kind, kind->last_row_bytes - 1, tails[k],
                             strategy);
            }
}

/* Decoders show black for an index beyond the palette; so does the result. */
static void test_index_beyond_the_palette(void **state)
{
    struct png_spec spec = spec_of(16, 16);
    struct transcoding run;
    struct picture original;
    struct buf png;
    struct buf cut;

    (void)state;
    spec.color_type = 3;
    spec.depth = 4;
    make_png(&png, &spec);
    buf_init(&cut, 100000);
    assert_int_equal(buf_append(&cut, png.data, 33), STATUS_OK);
    png_append_chunk(&cut, "PLTE", "\xff\xff\xff", 3);
    assert_int_equal(
        buf_append(&cut, png.data + 33 + 12 + 48, png.len - 33 - 12 - 48),
        STATUS_OK);
    transcoding_run_all_ways(&run, &cut, NULL);
    assert_int_equal(run.status, STATUS_OK);
    picture_from_png(&original, &run.original);
    for (size_t i = 0; i < (size_t)16 * 16; i++)
        assert_true(original.pixels[4 * i] == 0 ||
                    original.pixels[4 * i] == 255);
    picture_release(&original);
    transcoding_release(&run);
    buf_release(&png);
    buf_release(&cut);
}

/* ---- limits */

static void test_dimensions(void **state)
{
    struct png_spec spec = spec_of(60, 40);
    struct transcode_options options;
    struct buf png;

    (void)state;
    make_png(&png, &spec);
    transcode_options_default(&options);
    options.width_max_px = 59;
    assert_int_equal(status_of(&png, &options), STATUS_IMAGE_TOO_WIDE);
    options.width_max_px = 60;
    options.height_max_px = 39;
    assert_int_equal(status_of(&png, &options), STATUS_IMAGE_TOO_HIGH);
    options.height_max_px = 40;
    options.pixels_max = 2399;
    assert_int_equal(status_of(&png, &options), STATUS_IMAGE_TOO_MANY_PIXELS);
    options.pixels_max = 2400;
    assert_int_equal(status_of(&png, &options), STATUS_OK);
    memset(png.data + 16, 0, 4);
    assert_int_equal(status_of(&png, &options), STATUS_IMAGE_BROKEN);
    buf_release(&png);
}

static void test_interlaced_memory(void **state)
{
    struct png_spec spec = spec_of(60, 40);
    struct transcode_options options;
    struct buf png;

    (void)state;
    spec.interlaced = true;
    make_png(&png, &spec);
    transcode_options_default(&options);
    options.memory_max_bytes = (size_t)60 * 40 * 3;
    assert_int_equal(status_of(&png, &options), STATUS_OK);
    options.memory_max_bytes--;
    assert_int_equal(status_of(&png, &options), STATUS_IMAGE_TOO_MUCH_MEMORY);
    buf_release(&png);
    /* Together with a rotation's buffer. */
    spec.orientation = 3;
    make_png(&png, &spec);
    options.memory_max_bytes = (size_t)2 * 60 * 40 * 3;
    assert_int_equal(status_of(&png, &options), STATUS_OK);
    options.memory_max_bytes--;
    assert_int_equal(status_of(&png, &options), STATUS_IMAGE_TOO_MUCH_MEMORY);
    buf_release(&png);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_every_small_size),
        cmocka_unit_test(test_thin),
        cmocka_unit_test(test_indexed_and_gray_stay),
        cmocka_unit_test(test_reduced),
        cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_bad_exif_checksum_is_ignored),
        cmocka_unit_test(test_apple_variant),
        cmocka_unit_test(test_first_picture_of_an_animation),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_garbage_behind_is_swallowed),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_missing_rows),
        cmocka_unit_test(test_streams_without_an_end),
        cmocka_unit_test(test_index_beyond_the_palette),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_interlaced_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
