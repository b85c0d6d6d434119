/*
 * Limits and bombs: small files that ask for much. Each is refused, or done,
 * with its own status, in a process whose address space has little room, after
 * a number of slices that is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/picture.h"
#include "../helper/transcoding.h"
#include "limits.h"

#include <zlib.h>

#define ROOM_BYTES (16UL * 1024 * 1024)
#define PIECE_BYTES (16UL * 1024)
#define FEW_CALLS 10 /* to refuse what is refused at its header */
#define STATUS_TOO_MANY_CALLS 255

static const uint8_t *bytes_of(const struct buf *b)
{
    return (const uint8_t *)b->data;
}

static void append(struct buf *out, const void *bytes, size_t len)
{
    assert_int_equal(buf_append(out, bytes, len), STATUS_OK);
}

/* ---- one picture, in a child with little memory */

static enum status swallow(void *arg, const uint8_t *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return STATUS_OK;
}

/* What is mapped now, and ROOM_BYTES. A sanitizer maps what it likes. */
static void limit_memory(void)
{
#ifndef DARKROOM_SANITIZE
    char text[32] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    int64_t pages = 0;
    struct rlimit limit;

    if (file == NULL || fgets(text, sizeof(text), file) == NULL)
        _exit(STATUS_TOO_MANY_CALLS);
    fclose(file);
    for (const char *c = text; *c >= '0' && *c <= '9'; c++)
        pages = 10 * pages + *c - '0';
    limit.rlim_cur = limit.rlim_max =
        (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + ROOM_BYTES;
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        _exit(STATUS_TOO_MANY_CALLS);
#endif
}

/* Work is counted in slices: no clock is asked. */
static unsigned decode(const struct buf *input,
                       const struct transcode_options *options, uint64_t calls)
{
    struct transcode_sinks sinks = {swallow, NULL, swallow, NULL, NULL};
    enum status status = STATUS_MORE;
    struct transcode *t;

    if (transcode_new(&t, options, &sinks) != STATUS_OK)
        return STATUS_NO_MEMORY;
    for (size_t at = 0; status == STATUS_MORE; at += PIECE_BYTES) {
        size_t len =
            at < input->len ? size_min(PIECE_BYTES, input->len - at) : 0;

        status = len > 0 ? transcode_push(t, bytes_of(input) + at, len)
                         : transcode_end(t);
        while (status == STATUS_AGAIN && calls-- > 0)
            status = transcode_run(t);
    }
    transcode_free(t);
    return status == STATUS_AGAIN ? STATUS_TOO_MANY_CALLS : status;
}

static void expect(const struct buf *input,
                   const struct transcode_options *options, uint64_t calls,
                   enum status expected)
{
    struct transcode_options all;
    int state = 0;
    pid_t pid;

    transcoding_options_all(&all);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        limit_memory();
        _exit((int)decode(input, options != NULL ? options : &all, calls));
    }
    assert_int_equal(waitpid(pid, &state, 0), pid);
    assert_true(WIFEXITED(state));
    assert_string_equal(status_name((enum status)WEXITSTATUS(state)),
                        status_name(expected));
}

static void refuse(struct buf *input, enum status expected)
{
    expect(input, NULL, FEW_CALLS, expected);
    buf_release(input);
}

/* ---- giants */

static void put_be(struct buf *b, size_t at, uint32_t value, size_t bytes)
{
    for (; bytes > 0; bytes--, value >>= 8)
        b->data[at + bytes - 1] = (char)value;
}

static void test_giant_jpeg(void **state)
{
    (void)state;
    for (unsigned progressive = 0; progressive < 2; progressive++) {
        struct buf jpeg;
        size_t at = 2;

        buf_init(&jpeg, 1024 * 1024);
        picture_make_jpeg(&jpeg, 40, 40, progressive == 1);
        while ((uint8_t)jpeg.data[at + 1] != (progressive == 1 ? 0xc2 : 0xc0))
            at += 2U + (size_t)((uint8_t)jpeg.data[at + 2] << 8 |
                                (uint8_t)jpeg.data[at + 3]);
        put_be(&jpeg, at + 5, 64250, 2);
        put_be(&jpeg, at + 7, 64250, 2);
        assert_true(jpeg.len < 8000);
        refuse(&jpeg, STATUS_IMAGE_TOO_MANY_PIXELS);
    }
}

static void refuse_png(uint32_t width_px, uint32_t height_px,
                       enum status expected)
{
    struct buf png;

    buf_init(&png, 1000);
    picture_png_head(&png, width_px, height_px);
    png_append_chunk(&png, "IDAT", "x\1\3\0\0\0\0\1", 8);
    refuse(&png, expected);
}

static void test_giant_png(void **state)
{
    (void)state;
    refuse_png(30000, 30000, STATUS_IMAGE_TOO_MANY_PIXELS);
    refuse_png(65535, 65535, STATUS_IMAGE_TOO_MANY_PIXELS);
    refuse_png(65536, 65536, STATUS_IMAGE_TOO_WIDE); /* 0 in 32 bits */
    refuse_png(1, 65536, STATUS_IMAGE_TOO_HIGH);
    refuse_png(0x7fffffff, 0x7fffffff, STATUS_IMAGE_TOO_WIDE);
    refuse_png(0x80000001, 2, STATUS_IMAGE_TOO_WIDE);
}

static void test_giant_gif(void **state)
{
    struct gif_spec screen = {65535, 65535, .bits = 1, .transparent = -1};
    struct gif_spec frame = {10, 10, .bits = 1, .transparent = -1};
    struct picture small = {10, 10, 1, NULL}, large = {65535, 65535, 1, NULL};
    struct buf gif;

    (void)state;
    buf_init(&gif, 1000);
    gif_append_head(&small, &screen, &gif);
    refuse(&gif, STATUS_IMAGE_TOO_MANY_PIXELS);
    buf_init(&gif, 1000);
    gif_append_head(&large, &frame, &gif);
    refuse(&gif, STATUS_IMAGE_TOO_MANY_PIXELS);
}

static void test_giant_webp(void **state)
{
    /* Key frame of 16383 x 16383 (RFC 6386 9.1). */
    static const uint8_t frame[] = {0x10, 0,    0, 0x9d, 1, 0x2a, 0xff, 0x3f,
                                    0xff, 0x3f, 0, 0,    0, 0,    0,    0};
    struct buf webp;

    (void)state;
    buf_init(&webp, 1000);
    webp_begin(&webp);
    webp_append_vp8x(&webp, 0, 1U << 24, 1U << 24);
    webp_end(&webp);
    refuse(&webp, STATUS_IMAGE_TOO_WIDE);
    buf_init(&webp, 1000);
    webp_begin(&webp);
    webp_append_chunk(&webp, "VP8 ", frame, sizeof(frame));
    webp_end(&webp);
    refuse(&webp, STATUS_IMAGE_TOO_MANY_PIXELS);
    buf_init(&webp, 1000);
    append(&webp, "RIFF\xf6\xff\xff\xffWEBPVP8 \xe0\xff\xff\xff", 20);
    append(&webp, frame, sizeof(frame));
    refuse(&webp, STATUS_IMAGE_TOO_MUCH_MEMORY);
}

/* ---- much out of little */

/* 60 MB of zeros, as zlib packs them. */
static void make_deflate_bomb(struct buf *bomb)
{
    uLong len = 60UL * 1024 * 1024;
    uLongf packed = compressBound(len);
    uint8_t *zeros = calloc(1, len), *bytes = malloc(packed);

    assert_non_null(zeros);
    assert_non_null(bytes);
    assert_int_equal(compress2(bytes, &packed, zeros, len, 9), Z_OK);
    buf_init(bomb, 1024 * 1024);
    append(bomb, bytes, packed);
    free(zeros);
    free(bytes);
}

/* Ancillary: nobody inflates it. */
static void test_deflate_bombs(void **state)
{
    static const struct {
        const char *name, *head;
        size_t len;
    } chunks[] = {
        {"iCCP", "a\0", 3}, {"zTXt", "a\0", 3}, {"iTXt", "a\0\1\0\0", 6}};
    struct buf bomb, body, png;

    (void)state;
    make_deflate_bomb(&bomb);
    for (size_t i = 0; i < ARRAY_COUNT(chunks); i++) {
        struct png_spec spec = {
            .width_px = 20, .height_px = 20, .color_type = 2, .depth = 8};
        struct buf plain;

        buf_init(&plain, 100000);
        buf_init(&body, 1024 * 1024);
        buf_init(&png, 1024 * 1024);
        picture_random_png(&spec, &plain);
        append(&body, chunks[i].head, chunks[i].len);
        append(&body, bomb.data, bomb.len);
        append(&png, plain.data, 33);
        png_append_chunk(&png, chunks[i].name, body.data, body.len);
        append(&png, plain.data + 33, plain.len - 33);
        expect(&png, NULL, FEW_CALLS, STATUS_OK);
        buf_release(&plain);
        buf_release(&body);
        buf_release(&png);
    }
    buf_release(&bomb);
}

/* The last scan again and again. */
static void test_thousand_scans(void **state)
{
    struct buf jpeg, scans;
    size_t at;

    (void)state;
    buf_init(&jpeg, 1024 * 1024);
    picture_make_jpeg(&jpeg, 64, 64, true);
    at = jpeg.len - 2;
    while (memcmp(jpeg.data + at, "\xff\xda", 2) != 0)
        at--;
    buf_init(&scans, 64 * 1024 * 1024);
    append(&scans, jpeg.data, at);
    for (int i = 0; i < 1000; i++)
        append(&scans, jpeg.data + at, jpeg.len - 2 - at);
    append(&scans, "\xff\xd9", 2);
    /* A scan of 64 x 64 pixels is a sixteenth of a slice. */
    expect(&scans, NULL, IMAGE_SCANS_MAX, STATUS_IMAGE_TOO_MANY_SCANS);
    buf_release(&jpeg);
    buf_release(&scans);
}

/* 40 MB of application data in front of a small picture. */
static void test_huge_segments(void **state)
{
    struct buf plain, jpeg;
    char *segment = calloc(1, 65535 + 2);

    (void)state;
    assert_non_null(segment);
    buf_init(&plain, 1024 * 1024);
    buf_init(&jpeg, 64 * 1024 * 1024);
    picture_make_jpeg(&plain, 40, 40, false);
    append(&jpeg, plain.data, 2);
    for (int i = 0; i < 610; i++) {
        memcpy(segment, i % 2 == 0 ? "\xff\xe1\xff\xff" : "\xff\xef\xff\xff",
               4);
        append(&jpeg, segment, 65535 + 2);
    }
    append(&jpeg, plain.data + 2, plain.len - 2);
    expect(&jpeg, NULL, FEW_CALLS, STATUS_OK);
    free(segment);
    buf_release(&plain);
    buf_release(&jpeg);
}

/* Blank rows of a wide screen out of a frame of one pixel: sliced. */
static void test_gif_rows_out_of_nothing(void **state)
{
    struct gif_spec spec = {3000, 3000, .bits = 1, .transparent = -1};
    struct transcode_options options;
    struct picture frame;
    struct buf gif;

    (void)state;
    transcoding_options_all(&options);
    buf_init(&gif, 1000);
    picture_init(&frame, 1, 1, 1);
    picture_to_gif(&frame, &spec, &gif);
    expect(&gif, &options, 2 * 3000 * 3000 / IMAGE_SLICE_PX, STATUS_OK);
    expect(&gif, &options, 3000 * 3000 / IMAGE_SLICE_PX / 2,
           (enum status)STATUS_TOO_MANY_CALLS);
    picture_release(&frame);
    buf_release(&gif);
}

/* ---- options, for every type */

static void make_inputs(struct buf inputs[4])
{
    struct gif_spec spec = {300, 200, .bits = 8, .transparent = -1};
    struct picture p, indices;

    for (int i = 0; i < 4; i++)
        buf_init(&inputs[i], 4 * 1024 * 1024);
    picture_init(&p, 300, 200, 3);
    picture_fill_scene(&p);
    picture_init(&indices, 300, 200, 1);
    picture_fill_scene(&indices);
    picture_to_jpeg(&p, &(struct jpeg_spec){.quality = 80}, &inputs[0]);
    picture_to_png(&p, &inputs[1]);
    picture_to_webp(&p, false, &inputs[2]);
    picture_to_gif(&indices, &spec, &inputs[3]);
    picture_release(&p);
    picture_release(&indices);
}

static void test_input_bytes(void **state)
{
    struct buf inputs[4];

    (void)state;
    make_inputs(inputs);
    for (int i = 0; i < 4; i++) {
        struct transcode_options options;

        transcoding_options_all(&options);
        options.input_max_bytes = inputs[i].len;
        expect(&inputs[i], &options, 1000, STATUS_OK);
        options.input_max_bytes = inputs[i].len - 1;
        expect(&inputs[i], &options, 1000, STATUS_TOO_LARGE);
        buf_release(&inputs[i]);
    }
}

/* The smaller the slice, the more of them. */
static void test_slice(void **state)
{
    struct buf inputs[4];

    (void)state;
    make_inputs(inputs);
    for (int i = 0; i < 4; i++) {
        struct transcode_options options;

        transcoding_options_all(&options);
        expect(&inputs[i], &options, 4, STATUS_OK);
        options.slice_px = 3000; /* ten rows of 200 */
        expect(&inputs[i], &options, 10, (enum status)STATUS_TOO_MANY_CALLS);
        expect(&inputs[i], &options, 200, STATUS_OK);
        buf_release(&inputs[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_giant_jpeg),
        cmocka_unit_test(test_giant_png),
        cmocka_unit_test(test_giant_gif),
        cmocka_unit_test(test_giant_webp),
        cmocka_unit_test(test_deflate_bombs),
        cmocka_unit_test(test_thousand_scans),
        cmocka_unit_test(test_huge_segments),
        cmocka_unit_test(test_gif_rows_out_of_nothing),
        cmocka_unit_test(test_input_bytes),
        cmocka_unit_test(test_slice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
