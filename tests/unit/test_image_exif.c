/*
 * exif: the orientation where there is one, upright for everything else. Blocks
 * are copied to memory of their exact size, so that a read beyond the end is
 * one a sanitizer sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/exif.h"
#include "../helper/picture.h"

static uint8_t orientation_of(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    uint8_t orientation;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    orientation = exif_orientation(copy, len);
    free(copy);
    return orientation;
}

static void make(struct buf *block, uint8_t orientation, bool big_endian)
{
    buf_init(block, 1024);
    exif_append(block, orientation, big_endian);
}

static void test_both_endians(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct buf block;
        uint8_t orientation = (uint8_t)(i / 2);

        make(&block, orientation, i % 2 == 1);
        assert_int_equal(orientation_of(block.data, block.len),
                         orientation >= 1 && orientation <= 8 ? orientation
                                                              : 1);
        buf_release(&block);
    }
}

static void test_truncated(void **state)
{
    struct buf block;

    (void)state;
    make(&block, 6, false);
    for (size_t len = 0; len < block.len; len++)
        assert_int_equal(orientation_of(block.data, len), len >= 32 ? 6 : 1);
    buf_release(&block);
}

/* Every byte at every place: an answer in range, no read out of bounds. */
static void test_damaged(void **state)
{
    (void)state;
    for (unsigned big = 0; big < 2; big++) {
        struct buf block;

        make(&block, 6, big == 1);
        for (size_t at = 0; at < block.len; at++)
            for (unsigned value = 0; value < 256; value++) {
                char saved = block.data[at];
                uint8_t orientation;

                block.data[at] = (char)value;
                orientation = orientation_of(block.data, block.len);
                assert_in_range(orientation, 1, 8);
                block.data[at] = saved;
            }
        buf_release(&block);
    }
}

static void test_offsets_out_of_bounds(void **state)
{
    static const uint8_t offsets[][4] = {
        {0, 0, 0, 0}, /* onto the header itself */
        {0xff, 0xff, 0xff, 0xff},
        {36, 0, 0, 0}, /* the end */
        {0xff, 0xff, 0xff, 0x7f},
    };
    struct buf block;

    (void)state;
    make(&block, 6, false);
    for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
        memcpy(block.data + 4, offsets[i], 4);
        assert_int_equal(orientation_of(block.data, block.len), 1);
    }
    buf_release(&block);
}

static void test_wrong_type_or_count(void **state)
{
    struct buf block;

    (void)state;
    make(&block, 6, false);
    block.data[24] = 4; /* LONG */
    assert_int_equal(orientation_of(block.data, block.len), 1);
    block.data[24] = 3;
    block.data[26] = 2; /* two values */
    assert_int_equal(orientation_of(block.data, block.len), 1);
    buf_release(&block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_endians),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_offsets_out_of_bounds),
        cmocka_unit_test(test_wrong_type_or_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
