/*
 * Pixel data of a PNG that are copied: when, what exactly, and that a picture
 * which cannot be copied comes out as if copying did not exist. The reference
 * for the latter is the same door with sinks that cannot start anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"
#include "image/png_writer.h"

#include <png.h>
#include <zlib.h>

#define FILE_MAX_BYTES (16 * 1024 * 1024)
#define HEAD_BYTES 33 /* signature and IHDR */
#define CHUNK_EXTRA_BYTES 12
#define SECRET "what was cropped away"

/* ---- files, piece by piece */

struct shape {
    uint32_t width_px, height_px;
    uint8_t depth, color_type;
    uint8_t interlaced;
};

static const struct shape rgb = {60, 40, 8, 2, 0};

static size_t row_bytes(const struct shape *shape)
{
    static const uint8_t channels[] = {1, 0, 3, 1, 2, 0, 4};
    size_t bits = (size_t)shape->width_px * shape->depth;

    return (bits * channels[shape->color_type] + 7) / 8;
}

/* Rows as a file has them, filter Sub; they compress well but not to nothing.
 * One more than the picture has. */
static void make_rows(struct buf *rows, const struct shape *shape)
{
    uint32_t random = 7;

    buf_init(rows, FILE_MAX_BYTES);
    for (uint32_t y = 0; y <= shape->height_px; y++) {
        assert_int_equal(buf_append(rows, "\1", 1), STATUS_OK);
        for (size_t x = 0; x < row_bytes(shape); x++) {
            uint8_t byte = (uint8_t)(x == y % 32);

            if (x % 16 == 0)
                byte = (uint8_t)(picture_random(&random) % 4);
            assert_int_equal(buf_append(rows, &byte, 1), STATUS_OK);
        }
    }
    rows->len -= row_bytes(shape) + 1;
}

static void pack(struct buf *out, const struct buf *rows, int level, int window)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)rows->data,
                  .avail_in = (uInt)rows->len};
    size_t room = rows->len + 10000;
    uint8_t *bytes = malloc(room);

    assert_non_null(bytes);
    assert_int_equal(
        deflateInit2(&z, level, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    z.next_out = bytes;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    buf_init(out, FILE_MAX_BYTES);
    assert_int_equal(buf_append(out, bytes, z.total_out), STATUS_OK);
    assert_int_equal(deflateEnd(&z), Z_OK);
    free(bytes);
}

static void begin(struct buf *png, const struct shape *shape)
{
    uint8_t ihdr[13] = {0};

    for (int i = 0; i < 4; i++) {
        ihdr[i] = (uint8_t)(shape->width_px >> (24 - 8 * i));
        ihdr[4 + i] = (uint8_t)(shape->height_px >> (24 - 8 * i));
    }
    ihdr[8] = shape->depth;
    ihdr[9] = shape->color_type;
    ihdr[12] = shape->interlaced;
    buf_init(png, FILE_MAX_BYTES);
    assert_int_equal(buf_append(png, "\x89PNG\r\n\x1a\n", 8), STATUS_OK);
    png_append_chunk(png, "IHDR", ihdr, sizeof(ihdr));
}

static void append_palette(struct buf *png, unsigned count)
{
    uint8_t colors[256][3];

    for (unsigned i = 0; i < count; i++)
        memcpy(colors[i], (uint8_t[]){(uint8_t)(i * 5), 99, (uint8_t)~i}, 3);
    png_append_chunk(png, "PLTE", colors, count * sizeof(colors[0]));
}

static void append_idats(struct buf *png, const struct buf *zlib, size_t each)
{
    for (size_t at = 0; at < zlib->len; at += each)
        png_append_chunk(png, "IDAT", zlib->data + at,
                         size_min(each, zlib->len - at));
}

static void append_end(struct buf *png)
{
    png_append_chunk(png, "IEND", NULL, 0);
}

/* The zlib stream of `shape`. */
static void make_zlib(struct buf *zlib, const struct shape *shape)
{
    struct buf rows;

    make_rows(&rows, shape);
    pack(zlib, &rows, 9, 15);
    buf_release(&rows);
}

static void make_plain(struct buf *png, const struct shape *shape)
{
    struct buf zlib;

    begin(png, shape);
    if (shape->color_type == 3)
        append_palette(png, 1U << shape->depth);
    make_zlib(&zlib, shape);
    append_idats(png, &zlib, 100);
    append_end(png);
    buf_release(&zlib);
}

/* ---- what comes out */

static bool contains(const struct buf *bytes, const char *text)
{
    return memmem(bytes->data, bytes->len, text, strlen(text)) != NULL;
}

static uint32_t get_u32(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 |
           b[3];
}

/* The data of all IDAT chunks. */
static void join_idats(struct buf *out, const struct buf *png)
{
    buf_init(out, FILE_MAX_BYTES);
    for (size_t at = 8; at < png->len;) {
        size_t len = get_u32(png->data + at);

        if (memcmp(png->data + at + 4, "IDAT", 4) == 0)
            assert_int_equal(buf_append(out, png->data + at + 8, len),
                             STATUS_OK);
        at += CHUNK_EXTRA_BYTES + len;
    }
}

/* zlib itself, which knows no mercy: all of it, to the last byte. */
static void assert_stream_is_sound(const struct buf *png, size_t raw_bytes)
{
    struct buf zlib;
    uint8_t *raw = malloc(raw_bytes + 1);
    z_stream z = {0};

    assert_non_null(raw);
    join_idats(&zlib, png);
    assert_int_equal(inflateInit(&z), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)zlib.data;
    z.avail_in = (uInt)zlib.len;
    z.next_out = raw;
    z.avail_out = (uInt)raw_bytes + 1;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_in, zlib.len);
    assert_int_equal(z.total_out, raw_bytes);
    assert_int_equal(inflateEnd(&z), Z_OK);
    free(raw);
    buf_release(&zlib);
}

static struct transcode_options defaults(void)
{
    struct transcode_options options;

    transcode_options_default(&options);
    return options;
}

static void assert_same_picture(const struct buf *a, const struct buf *b)
{
    struct picture first, second;

    picture_from_png(&first, a);
    picture_from_png(&second, b);
    assert_picture_equal(&first, &second);
    picture_release(&first);
    picture_release(&second);
}

/* Runs it in all ways, and without copying: the same status, and the same
 * picture if that has the same size. */
static void run_both(struct transcoding *run, struct transcoding *fresh,
                     const struct buf *png,
                     const struct transcode_options *options)
{
    transcoding_run_all_ways(run, png, options);
    transcoding_run_straight(fresh, png, options);
    assert_int_equal(run->status, fresh->status);
    if (run->status != STATUS_OK)
        return;
    assert_false(fresh->report.idat_copied);
    assert_int_equal(fresh->report.decodes, 1);
    assert_only_allowed_chunks(&run->original);
    assert_int_equal(run->original.len, run->report.original_bytes);
    if (run->report.original_width_px == fresh->report.original_width_px)
        assert_same_picture(&run->original, &fresh->original);
}

static void release_both(struct transcoding *run, struct transcoding *fresh)
{
    transcoding_release(run);
    transcoding_release(fresh);
}

/* Copied in one go; the stream is that of the source but for its header. */
static void check_copied(const struct buf *png, const struct shape *shape,
                         const struct transcode_options *options)
{
    struct transcoding run, fresh;
    struct buf from, to;

    run_both(&run, &fresh, png, options);
    assert_int_equal(run.status, STATUS_OK);
    assert_true(run.report.idat_copied);
    assert_int_equal(run.report.decodes, 1);
    assert_int_equal(run.report.original_width_px, shape->width_px);
    assert_same_picture(&run.original, png);
    assert_stream_is_sound(&run.original,
                           shape->height_px * (row_bytes(shape) + 1));
    join_idats(&from, png);
    join_idats(&to, &run.original);
    assert_int_equal(from.len, to.len);
    assert_memory_equal(to.data, "\x78\x01", 2);
    assert_memory_equal(to.data + 2, from.data + 2, from.len - 2);
    assert_false(contains(&run.original, SECRET));
    buf_release(&from);
    buf_release(&to);
    release_both(&run, &fresh);
}

/* Accepted and not copied, by `decodes` of them: byte by byte what comes out
 * if nothing can be. */
static void check_made(const struct buf *png,
                       const struct transcode_options *options,
                       unsigned decodes)
{
    struct transcoding run, fresh;

    run_both(&run, &fresh, png, options);
    assert_int_equal(run.status, STATUS_OK);
    assert_false(run.report.idat_copied);
    assert_int_equal(run.report.decodes, decodes);
    assert_int_equal(run.original.len, fresh.original.len);
    assert_memory_equal(run.original.data, fresh.original.data,
                        fresh.original.len);
    assert_int_equal(run.preview.len, fresh.preview.len);
    assert_int_equal(run.report.preview_bytes, fresh.report.preview_bytes);
    assert_false(contains(&run.original, SECRET));
    release_both(&run, &fresh);
}

/* ---- what is copied */

static void test_every_kind(void **state)
{
    static const struct shape shapes[] = {
        {61, 40, 1, 0, 0},  {61, 40, 2, 0, 0},  {61, 40, 4, 0, 0},
        {61, 40, 8, 0, 0},  {61, 40, 8, 2, 0},  {161, 40, 1, 3, 0},
        {161, 40, 2, 3, 0}, {161, 40, 4, 3, 0}, {161, 40, 8, 3, 0},
        {61, 40, 8, 4, 0},  {61, 40, 8, 6, 0},
    };
    struct transcode_options options = defaults();

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        struct buf png;

        make_plain(&png, &shapes[i]);
        check_copied(&png, &shapes[i], &options);
        buf_release(&png);
    }
}

/* Only what a picture needs gets through, from before, between and behind. */
static void test_chunks_that_stay_behind(void **state)
{
    static const struct shape shape = {161, 60, 4, 3, 0};
    struct transcode_options options = defaults();
    struct buf png, zlib;

    (void)state;
    begin(&png, &shape);
    png_append_chunk(&png, "tEXt", "GPS\0" SECRET, 4 + strlen(SECRET));
    png_append_chunk(&png, "sRGB", "\0", 1);
    append_palette(&png, 9); /* of 16 */
    png_append_chunk(&png, "tRNS", "\0\x80\xff", 3);
    make_zlib(&zlib, &shape);
    append_idats(&png, &zlib, 17);
    png_append_chunk(&png, "tIME", "\7\xea\1\2\3\4\5", 7);
    png_append_chunk(&png, "fdAT", SECRET, strlen(SECRET));
    append_end(&png);
    assert_int_equal(buf_append(&png, SECRET, strlen(SECRET)), STATUS_OK);
    check_copied(&png, &shape, &options);
    buf_release(&png);
    buf_release(&zlib);
}

static void test_transparent_gray(void **state)
{
    static const struct shape shape = {61, 40, 4, 0, 0};
    struct transcode_options options = defaults();
    struct buf png, zlib;

    (void)state;
    begin(&png, &shape);
    png_append_chunk(&png, "tRNS", "\0\1", 2);
    make_zlib(&zlib, &shape);
    append_idats(&png, &zlib, 1000);
    append_end(&png);
    check_copied(&png, &shape, &options);
    buf_release(&png);
    buf_release(&zlib);
}

/* IDATs of any length are cut anew; some are empty. */
static void test_chunk_sizes(void **state)
{
    static const struct shape shape = {1100, 900, 8, 2, 0};
    static const size_t sizes[] = {50, 8192, 65536, 65537, FILE_MAX_BYTES};
    struct transcode_options options = defaults();
    struct buf zlib;

    (void)state;
    make_zlib(&zlib, &shape);
    assert_true(zlib.len > 65536);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct buf png;

        begin(&png, &shape);
        png_append_chunk(&png, "IDAT", NULL, 0);
        append_idats(&png, &zlib, sizes[i]);
        png_append_chunk(&png, "IDAT", NULL, 0);
        append_end(&png);
        if (i == 0)
            transcoding_check_splits(&png, NULL, 4);
        check_copied(&png, &shape, &options);
        buf_release(&png);
    }
    buf_release(&zlib);
}

/* A window too small for the stream's distances: libpng forgives it here, but
 * not everybody does there. */
static void test_window_that_lies(void **state)
{
    static const struct shape shape = {700, 40, 8, 2, 0};
    struct transcode_options options = defaults();
    struct transcoding run, fresh;
    struct buf png, zlib;

    (void)state;
    make_zlib(&zlib, &shape);
    zlib.data[0] = 0x18; /* 512 bytes */
    zlib.data[1] = 0x19;
    begin(&png, &shape);
    append_idats(&png, &zlib, 5000);
    append_end(&png);
    run_both(&run, &fresh, &png, &options);
    assert_int_equal(run.status, STATUS_OK);
    assert_true(run.report.idat_copied);
    assert_stream_is_sound(&run.original,
                           shape.height_px * (row_bytes(&shape) + 1));
    release_both(&run, &fresh);
    buf_release(&png);
    buf_release(&zlib);
}

/* The preview is made of the same rows, whichever way the original goes. */
static void test_preview(void **state)
{
    static const struct shape shape = {300, 200, 8, 2, 0};
    struct transcode_options options = defaults();
    struct transcoding run, fresh;
    struct buf png;

    (void)state;
    options.preview_max_bytes = 50000;
    make_plain(&png, &shape);
    check_copied(&png, &shape, &options);
    run_both(&run, &fresh, &png, &options);
    assert_false(run.report.preview_is_original);
    assert_in_range(run.report.preview_bytes, 100, 50000);
    assert_only_allowed_chunks(&run.preview);
    assert_int_equal(run.preview.len, fresh.preview.len);
    assert_memory_equal(run.preview.data, fresh.preview.data,
                        fresh.preview.len);
    release_both(&run, &fresh);
    buf_release(&png);
}

/* Full size is not sure to fit, but it does. */
static void test_keeps_its_size(void **state)
{
    static const struct shape shape = {300, 200, 8, 2, 0};
    static const enum transcode_mode modes[] = {TRANSCODE_FIT, TRANSCODE_MAX,
                                                TRANSCODE_BOX};
    struct transcode_options options = defaults();
    struct buf png;

    (void)state;
    make_plain(&png, &shape);
    options.box_width_px = options.box_height_px = 300;
    options.original_max_bytes = 100000;
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        struct transcoding run, fresh;

        options.mode = modes[i];
        options.input_bytes_hint = 0;
        check_copied(&png, &shape, &options);
        run_both(&run, &fresh, &png, &options);
        assert_true(fresh.report.original_width_px < 300);
        release_both(&run, &fresh);
        options.input_bytes_hint = png.len;
        check_copied(&png, &shape, &options);
    }
    buf_release(&png);
}

/* ---- what is not even tried */

static void test_pixels_that_change(void **state)
{
    static const struct png_spec specs[] = {
        {40, 30, 0, 16, false, false, 0, 0, 1},
        {40, 30, 2, 16, false, false, 0, 0, 1},
        {40, 30, 2, 8, false, true, 0, 0, 1},
        {40, 30, 2, 8, false, false, 3, 0, 1},
        {40, 30, 3, 8, false, false, 6, 0, 1},
    };
    struct transcode_options options = defaults();

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(specs); i++) {
        struct transcoding run;
        struct buf png;

        buf_init(&png, FILE_MAX_BYTES);
        picture_random_png(&specs[i], &png);
        transcoding_run_all_ways(&run, &png, &options);
        assert_int_equal(run.status, STATUS_OK);
        assert_false(run.report.idat_copied);
        assert_int_equal(run.report.decodes, 1);
        transcoding_release(&run);
        buf_release(&png);
    }
}

static void test_colours_that_change(void **state)
{
    static const struct shape indexed = {161, 40, 4, 3, 0};
    struct transcode_options options = defaults();

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct buf png, zlib;

        begin(&png, i == 0 ? &rgb : &indexed);
        png_append_chunk(&png, "gAMA", "\0\1\x86\xa0", 4); /* 1.0 */
        if (i == 1)
            append_palette(&png, 16);
        make_zlib(&zlib, i == 0 ? &rgb : &indexed);
        append_idats(&png, &zlib, 1000);
        append_end(&png);
        check_made(&png, &options, 1);
        buf_release(&png);
        buf_release(&zlib);
    }
}

static void test_box_and_memory(void **state)
{
    static const struct shape shape = {300, 200, 8, 2, 0};
    struct transcode_options options = defaults();
    struct buf png;

    (void)state;
    make_plain(&png, &shape);
    options.mode = TRANSCODE_BOX;
    options.box_width_px = options.box_height_px = 299;
    check_made(&png, &options, 1);
    options = defaults();
    options.memory_max_bytes = options.original_max_bytes - 1;
    check_made(&png, &options, 1);
    options.memory_max_bytes++;
    check_copied(&png, &shape, &options);
    options.input_bytes_hint = png.len; /* then this much is kept */
    options.memory_max_bytes = png.len;
    check_copied(&png, &shape, &options);
    options.memory_max_bytes--;
    check_made(&png, &options, 1);
    buf_release(&png);
}

/* ---- what is given up */

/* A file longer than the original may be, whatever makes it so, is not copied;
 * if its length was told that is known before. */
static void test_over_the_limit(void **state)
{
    static const struct shape shape = {300, 200, 8, 2, 0};
    static const char text[3000] = "x";
    struct transcode_options options = defaults();

    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        struct buf png, zlib;

        begin(&png, &shape);
        if (behind == 0)
            png_append_chunk(&png, "tEXt", text, sizeof(text));
        make_zlib(&zlib, &shape);
        append_idats(&png, &zlib, 4000);
        if (behind == 1)
            png_append_chunk(&png, "tEXt", text, sizeof(text));
        append_end(&png);
        options.original_max_bytes = png.len;
        check_copied(&png, &shape, &options);
        options.original_max_bytes--;
        check_made(&png, &options, 2);
        options.input_bytes_hint = png.len;
        check_made(&png, &options, 1);
        options.input_bytes_hint = 0;
        buf_release(&png);
        buf_release(&zlib);
    }
}

/* Stored, so badly packed; but not so badly as to give pixels away for it. */
static void test_stored(void **state)
{
    static const struct shape shape = {300, 200, 8, 2, 0};
    struct transcode_options options = defaults();
    struct buf png, rows, zlib;
    size_t bound;

    (void)state;
    make_rows(&rows, &shape);
    pack(&zlib, &rows, 0, 15);
    begin(&png, &shape);
    append_idats(&png, &zlib, FILE_MAX_BYTES);
    append_end(&png);
    check_made(&png, &options, 2);
    assert_true(png_writer_bound(
        300, 200, &(struct pixel_format){.kind = PIXEL_RGB, .depth = 8},
        &bound));
    options.original_max_bytes = bound - 1;
    assert_true(png.len < bound);
    check_copied(&png, &shape, &options);
    buf_release(&zlib);
    buf_release(&png);
    buf_release(&rows);
}

/* Damage behind the last row is damage, however the bytes come: a block of the
 * type that there is not. */
static void test_bad_block_behind(void **state)
{
    static const size_t sizes[] = {1, 3, 1000};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct transcoding run;
        struct buf png, rows, zlib;

        make_rows(&rows, &rgb);
        pack(&zlib, &rows, 0, 15);
        zlib.data[2] &= ~1; /* the only block, now not the last */
        zlib.len -= 4;
        assert_int_equal(buf_append(&zlib, "\7abcdefgh", 9), STATUS_OK);
        begin(&png, &rgb);
        append_idats(&png, &zlib, sizes[i]);
        append_end(&png);
        transcoding_run_all_ways(&run, &png, NULL);
        assert_int_equal(run.status, STATUS_IMAGE_BROKEN);
        transcoding_release(&run);
        buf_release(&png);
        buf_release(&rows);
        buf_release(&zlib);
    }
}

/* A checksum alone is forgiven, also where nothing could be copied; by a libpng
 * that can be told to. */
#ifdef PNG_IGNORE_ADLER32
static const bool checksum_is_forgiven = true;
#else
static const bool checksum_is_forgiven = false;
#endif

static void test_wrong_checksum_of_colours(void **state)
{
    static const size_t sizes[] = {1, 4, 5, 1000};
    struct transcode_options options = defaults();

    (void)state;
    for (size_t i = 0; checksum_is_forgiven && i < ARRAY_COUNT(sizes); i++) {
        struct buf png, zlib;

        begin(&png, &rgb);
        png_append_chunk(&png, "gAMA", "\0\1\x86\xa0", 4);
        make_zlib(&zlib, &rgb);
        zlib.data[zlib.len - 1] ^= 1;
        append_idats(&png, &zlib, sizes[i]);
        append_end(&png);
        check_made(&png, &options, 1);
        buf_release(&png);
        buf_release(&zlib);
    }
}

enum damage {
    BEHIND_THE_STREAM,
    BEHIND_IN_ANOTHER_IDAT,
    BEHIND_THE_ROWS,
    HALF_A_ROW_BEHIND,
    WRONG_CHECKSUM,
    DAMAGE_COUNT,
};

static void make_damaged(struct buf *png, enum damage damage)
{
    struct buf rows, zlib;

    make_rows(&rows, &rgb);
    if (damage == BEHIND_THE_ROWS || damage == HALF_A_ROW_BEHIND) {
        memcpy(rows.data + rows.len, "\0" SECRET, 1 + strlen(SECRET));
        rows.len += damage == BEHIND_THE_ROWS ? row_bytes(&rgb) + 1 : 1;
    }
    pack(&zlib, &rows, 9, 15);
    if (damage == BEHIND_THE_STREAM)
        assert_int_equal(buf_append(&zlib, SECRET, strlen(SECRET)), STATUS_OK);
    if (damage == WRONG_CHECKSUM)
        zlib.data[zlib.len - 1] ^= 1;
    begin(png, &rgb);
    append_idats(png, &zlib, 200);
    if (damage == BEHIND_IN_ANOTHER_IDAT)
        png_append_chunk(png, "IDAT", SECRET, strlen(SECRET));
    append_end(png);
    buf_release(&rows);
    buf_release(&zlib);
}

static void test_unsound_streams(void **state)
{
    struct transcode_options options = defaults();

    (void)state;
    for (enum damage damage = 0; damage < DAMAGE_COUNT; damage++)
        for (int max = 0; max < 2; max++) {
            struct buf png;

            if (damage == WRONG_CHECKSUM && !checksum_is_forgiven)
                continue;
            make_damaged(&png, damage);
            options.mode = max == 0 ? TRANSCODE_FIT : TRANSCODE_MAX;
            check_made(&png, &options, 2);
            buf_release(&png);
        }
}

/* Each byte of a file cut off in turn: the same verdict as without copying, and
 * what is accepted although it is cut is made anew. */
static void test_cuts(void **state)
{
    struct transcode_options options = defaults();
    struct transcoding run, fresh;
    struct buf png;
    size_t len;

    (void)state;
    make_plain(&png, &rgb);
    len = png.len;
    options.truncated_min_percent = 50;
    for (png.len = HEAD_BYTES; png.len < len - CHUNK_EXTRA_BYTES; png.len++) {
        run_both(&run, &fresh, &png, &options);
        assert_false(run.report.idat_copied && run.status == STATUS_OK);
        release_both(&run, &fresh);
    }
    for (; png.len < len; png.len++)
        check_made(&png, &options, 2);
    check_copied(&png, &rgb, &options);
    buf_release(&png);
}

/* Bytes changed at random, with checksums that are right again in one half:
 * never another verdict, never another picture, and no copy that is not whole.
 */
static void mend_checksums(struct buf *png)
{
    for (size_t at = 8; at + CHUNK_EXTRA_BYTES <= png->len;) {
        size_t len = get_u32(png->data + at);
        uint32_t crc;

        if (len > png->len - at - CHUNK_EXTRA_BYTES)
            return;
        crc = (uint32_t)crc32(0, (const Bytef *)png->data + at + 4,
                              (uInt)len + 4);
        for (int i = 0; i < 4; i++)
            png->data[at + 8 + len + (size_t)i] = (char)(crc >> (24 - 8 * i));
        at += CHUNK_EXTRA_BYTES + len;
    }
}

static void check_mutant(const struct buf *png,
                         const struct transcode_options *options)
{
    struct transcoding run, fresh;

    run_both(&run, &fresh, png, options);
    if (run.status == STATUS_OK && run.report.idat_copied) {
        struct shape shape = {.width_px = get_u32(png->data + 16),
                              .height_px = get_u32(png->data + 20),
                              .depth = (uint8_t)png->data[24],
                              .color_type = (uint8_t)png->data[25]};

        assert_stream_is_sound(&run.original,
                               shape.height_px * (row_bytes(&shape) + 1));
    }
    release_both(&run, &fresh);
}

static void test_random_changes(void **state)
{
    static const struct shape shape = {30, 20, 8, 2, 0};
    struct transcode_options options = defaults();
    uint32_t random = 4711;
    struct buf whole;

    (void)state;
    options.pixels_max = 100000;
    make_plain(&whole, &shape);
    for (unsigned i = 0; i < 1500; i++) {
        struct buf png;

        buf_init(&png, FILE_MAX_BYTES);
        assert_int_equal(buf_append(&png, whole.data, whole.len), STATUS_OK);
        options.truncated_min_percent = i % 3 == 0 ? 40 : 0;
        for (unsigned k = picture_random(&random) % 3; k < 3; k++)
            png.data[8 + picture_random(&random) % (png.len - 8)] ^=
                (char)(1 << picture_random(&random) % 8);
        if (i % 2 == 0)
            mend_checksums(&png);
        check_mutant(&png, &options);
        buf_release(&png);
    }
    buf_release(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_chunks_that_stay_behind),
        cmocka_unit_test(test_transparent_gray),
        cmocka_unit_test(test_chunk_sizes),
        cmocka_unit_test(test_window_that_lies),
        cmocka_unit_test(test_preview),
        cmocka_unit_test(test_keeps_its_size),
        cmocka_unit_test(test_pixels_that_change),
        cmocka_unit_test(test_colours_that_change),
        cmocka_unit_test(test_box_and_memory),
        cmocka_unit_test(test_over_the_limit),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_bad_block_behind),
        cmocka_unit_test(test_wrong_checksum_of_colours),
        cmocka_unit_test(test_unsound_streams),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_random_changes),
    };

    return cmocka_run_group_tests_name("image_copy", tests, NULL, NULL);
}
