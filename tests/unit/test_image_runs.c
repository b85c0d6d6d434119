/*
 * huffman and runs: codes are complete and as short as they can be, zlib reads
 * back what was written, and it is as long as was said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/huffman.h"
#include "image/runs.h"
#include "../helper/picture.h"

#include <zlib.h>

/* ---- huffman */

static void assert_complete(const uint8_t *lengths, size_t symbols,
                            unsigned max_bits)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < symbols; i++) {
        assert_true(lengths[i] <= max_bits);
        if (lengths[i] > 0)
            sum += 1U << (max_bits - lengths[i]);
    }
    assert_int_equal(sum, 1U << max_bits);
}

static void test_known_code(void **state)
{
    /* RFC 1951 3.2.2: ABCDEFGH */
    static const uint8_t lengths[] = {3, 3, 3, 3, 3, 2, 4, 4};
    static const uint16_t codes[] = {2, 6, 1, 5, 3, 0, 7, 15};
    static const uint32_t counts[] = {5, 0, 1, 1, 2, 0};
    static const uint8_t shortest[] = {1, 0, 3, 3, 2, 0};
    uint16_t made[8];
    uint8_t made_lengths[6];

    (void)state;
    huffman_codes(lengths, 8, made);
    assert_memory_equal(made, codes, sizeof(codes));
    huffman_lengths(counts, 6, 7, made_lengths);
    assert_memory_equal(made_lengths, shortest, sizeof(shortest));
}

/* Fibonacci's numbers make the deepest tree there is. */
static void test_depth_is_limited(void **state)
{
    uint32_t counts[26] = {1, 1};
    uint8_t lengths[26];

    (void)state;
    for (size_t i = 2; i < 26; i++)
        counts[i] = counts[i - 1] + counts[i - 2];
    for (unsigned max_bits = 5; max_bits <= HUFFMAN_BITS_MAX; max_bits++) {
        huffman_lengths(counts, 26, max_bits, lengths);
        assert_complete(lengths, 26, max_bits);
        for (size_t i = 1; i < 26; i++)
            assert_true(lengths[i] <= lengths[i - 1]);
    }
}

static void test_any_counts(void **state)
{
    uint32_t counts[HUFFMAN_SYMBOLS_MAX];
    uint8_t lengths[HUFFMAN_SYMBOLS_MAX];
    uint32_t random = 1;

    (void)state;
    for (size_t symbols = 2; symbols <= HUFFMAN_SYMBOLS_MAX; symbols++) {
        for (size_t i = 0; i < symbols; i++)
            counts[i] = picture_random(&random) % 10000 >> i % 16;
        counts[0] = counts[symbols - 1] = 1;
        huffman_lengths(counts, symbols, 10, lengths);
        assert_complete(lengths, symbols, 10);
        for (size_t i = 0; i < symbols; i++)
            assert_int_equal(counts[i] > 0, lengths[i] > 0);
    }
}

/* ---- runs */

static uint8_t bytes[RUNS_SEGMENT_MAX];
static uint8_t back[RUNS_SEGMENT_MAX + 1];
static uint8_t room[2 * RUNS_SEGMENT_MAX + RUNS_SLACK_BYTES];

/* Returns the length of what was made. */
static size_t check(size_t count)
{
    struct runs *r = runs_new();
    z_stream stream = {0};
    size_t len;

    assert_non_null(r);
    len = runs_encode(r, bytes, count, room, 2 * RUNS_SEGMENT_MAX);
    assert_true(len > 0);
    assert_int_equal(inflateInit2(&stream, -15), Z_OK);
    stream.next_in = room;
    stream.avail_in = (uInt)len;
    stream.next_out = back;
    stream.avail_out = sizeof(back);
    assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, count);
    assert_memory_equal(back, bytes, count);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    assert_int_equal(runs_encode(r, bytes, count, room, len), len);
    memset(room, 1, sizeof(room));
    assert_int_equal(runs_encode(r, bytes, count, room, len - 1), 0);
    assert_int_equal(room[0], 1);
    runs_free(r);
    return len;
}

static void test_short_segments(void **state)
{
    (void)state;
    memset(bytes, 7, sizeof(bytes));
    for (size_t count = 1; count < 700; count++)
        (void)check(count);
    for (size_t count = 1; count < 700; count++) {
        bytes[count - 1] = (uint8_t)(count % 5 / 4);
        (void)check(count);
    }
}

static void test_one_long_run(void **state)
{
    (void)state;
    memset(bytes, 0, sizeof(bytes));
    assert_in_range(check(RUNS_SEGMENT_MAX), 60, 250);
    memset(bytes + 1, 255, sizeof(bytes) - 1);
    assert_in_range(check(RUNS_SEGMENT_MAX), 60, 250);
}

/* Runs of every length, at every place in a word. */
static void test_all_runs(void **state)
{
    uint32_t random = 2;

    (void)state;
    for (size_t shift = 0; shift < 64; shift += 3) {
        size_t length = 1;

        for (size_t i = 0; i < sizeof(bytes); i += length, length++) {
            size_t end = size_min(i + length, sizeof(bytes));

            memset(bytes + i, (int)(picture_random(&random) >> 9 & 3), end - i);
            length = length > 350 ? 1 + shift % 5 : length;
        }
        memset(bytes, 9, shift);
        (void)check(sizeof(bytes) - shift);
    }
}

/* Byte i half as often as byte i - 1: beyond any limit of bits. */
static void test_skewed_bytes(void **state)
{
    uint32_t random = 3;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] =
            (uint8_t)__builtin_ctz(picture_random(&random) >> 3 | 1U << 20);
    assert_in_range(check(sizeof(bytes)), 16000, 18000);
}

static void test_noise_is_refused(void **state)
{
    struct runs *r = runs_new();
    uint32_t random = 4;

    (void)state;
    assert_non_null(r);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(picture_random(&random) >> 9);
    assert_int_equal(
        runs_encode(r, bytes, sizeof(bytes), room, sizeof(bytes) + 5), 0);
    (void)check(sizeof(bytes));
    runs_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_code),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_any_counts),
        cmocka_unit_test(test_short_segments),
        cmocka_unit_test(test_one_long_run),
        cmocka_unit_test(test_all_runs),
        cmocka_unit_test(test_skewed_bytes),
        cmocka_unit_test(test_noise_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
