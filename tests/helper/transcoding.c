/*
 * transcoding.c: the loop of transcode.h's manual.
 */
#include "transcoding.h"

#include "picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <zlib.h>

#define OUTPUT_MAX_BYTES (32 * 1024 * 1024)
#define PIECE_MAX_BYTES 300
#define SEED 12345

/* How the bytes of a picture come. */
struct pieces {
    enum feeding feeding;
    uint32_t random;
    size_t max_bytes;
};

static enum status gather(void *arg, const uint8_t *bytes, size_t len)
{
    assert_true(len > 0);
    return buf_append(arg, bytes, len);
}

static size_t next_piece(struct pieces *pieces, size_t left)
{
    switch (pieces->feeding) {
    case FEED_AT_ONCE:
        return left;
    case FEED_BYTE_BY_BYTE:
        return 1;
    default:
        return size_min(left, picture_random(&pieces->random) %
                                  (pieces->max_bytes + 1));
    }
}

static enum status run_to_rest(struct transcode *t, enum status status)
{
    while (status == STATUS_AGAIN)
        status = transcode_run(t);
    return status;
}

static enum status feed(struct transcode *t, const struct buf *input,
                        struct pieces *pieces)
{
    enum status status = STATUS_MORE;
    size_t at = 0;

    while (at < input->len) {
        size_t len = next_piece(pieces, input->len - at);

        status = run_to_rest(
            t, transcode_push(t, (const uint8_t *)input->data + at, len));
        if (status != STATUS_MORE && status != STATUS_OK)
            break;
        at += len;
    }
    return status == STATUS_MORE || status == STATUS_OK
               ? run_to_rest(t, transcode_end(t))
               : status;
}

static enum status forget(void *arg)
{
    buf_clear(arg);
    return STATUS_OK;
}

static void run_pieces(struct transcoding *run, const struct buf *input,
                       const struct transcode_options *options,
                       struct pieces *pieces, bool restarts)
{
    struct transcode_sinks sinks = {.original = gather,
                                    .original_arg = &run->original,
                                    .preview = gather,
                                    .preview_arg = &run->preview,
                                    .restart = restarts ? forget : NULL};
    struct transcode_options defaults;
    struct transcode *t;

    transcode_options_default(&defaults);
    *run = (struct transcoding){0};
    buf_init(&run->original, OUTPUT_MAX_BYTES);
    buf_init(&run->preview, OUTPUT_MAX_BYTES);
    assert_int_equal(
        transcode_new(&t, options != NULL ? options : &defaults, &sinks),
        STATUS_OK);
    run->status = feed(t, input, pieces);
    memcpy(&run->report, transcode_report(t), sizeof(run->report));
    transcode_free(t);
}

void transcoding_run(struct transcoding *run, const struct buf *input,
                     const struct transcode_options *options,
                     enum feeding feeding)
{
    struct pieces pieces = {feeding, SEED, PIECE_MAX_BYTES};

    run_pieces(run, input, options, &pieces, true);
}

void transcoding_run_straight(struct transcoding *run, const struct buf *input,
                              const struct transcode_options *options)
{
    struct pieces pieces = {.feeding = FEED_AT_ONCE};

    run_pieces(run, input, options, &pieces, false);
}

void transcoding_options_all(struct transcode_options *options)
{
    transcode_options_default(options);
    options->webp = options->gif = true;
}

void transcoding_release(struct transcoding *run)
{
    buf_release(&run->original);
    buf_release(&run->preview);
}

static void assert_same_bytes(const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->len, b->len);
    if (a->len > 0)
        assert_memory_equal(a->data, b->data, a->len);
}

/* How much was read before an error depends on the pieces. */
static void assert_same_run(struct transcoding *a, struct transcoding *b)
{
    assert_int_equal(a->status, b->status);
    if (a->status != STATUS_OK)
        return;
    assert_memory_equal(&a->report, &b->report, sizeof(a->report));
    assert_same_bytes(&a->original, &b->original);
    assert_same_bytes(&a->preview, &b->preview);
}

void transcoding_run_all_ways(struct transcoding *run, const struct buf *input,
                              const struct transcode_options *options)
{
    struct transcoding other;

    transcoding_run(run, input, options, FEED_AT_ONCE);
    transcoding_run(&other, input, options, FEED_BYTE_BY_BYTE);
    assert_same_run(run, &other);
    transcoding_release(&other);
    transcoding_run(&other, input, options, FEED_RANDOM);
    assert_same_run(run, &other);
    transcoding_release(&other);
}

void transcoding_check_splits(const struct buf *input,
                              const struct transcode_options *options,
                              unsigned count)
{
    struct transcoding whole;

    transcoding_run(&whole, input, options, FEED_AT_ONCE);
    for (unsigned i = 1; i <= count; i++) {
        struct pieces pieces = {FEED_RANDOM, SEED * i, 0};
        struct transcoding other;

        pieces.max_bytes =
            input->len / (1 + picture_random(&pieces.random) % 60) + 1;
        run_pieces(&other, input, options, &pieces, true);
        assert_same_run(&whole, &other);
        transcoding_release(&other);
    }
    transcoding_release(&whole);
}

static uint32_t get_u32(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 |
           b[3];
}

/* The rank of a chunk, which never decreases. */
static int rank(const char *name)
{
    static const char *const order[] = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"};

    for (size_t i = 0; i < ARRAY_COUNT(order); i++)
        if (memcmp(name, order[i], 4) == 0)
            return (int)i;
    fail_msg("chunk %.4s", name);
    return -1;
}

void assert_only_allowed_chunks(const struct buf *png)
{
    size_t at = 8;
    int last = -1;

    while (at < png->len) {
        size_t len = get_u32(png->data + at);
        int now = rank(png->data + at + 4);

        assert_true(now > last || (now == last && now == 3));
        assert_true(at + 12 + len <= png->len);
        assert_int_equal(
            get_u32(png->data + at + 8 + len),
            crc32(0, (const Bytef *)png->data + at + 4, (uInt)len + 4));
        last = now;
        at += 12 + len;
    }
    assert_int_equal(last, 4);
    assert_int_equal(at, png->len);
}
