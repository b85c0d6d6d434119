/*
 * carry: bytes come back in order, kept or not, and what is allocated for them
 * keeps to what its owner counts on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/carry.h"

#define PIECE 7

/* Each byte is its place in the stream. */
static void append(struct carry *carry, size_t at, size_t len)
{
    uint8_t bytes[256];

    assert_true(len <= sizeof(bytes));
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(at + i);
    assert_int_equal(carry_append(carry, bytes, len), STATUS_OK);
}

static void assert_front(const struct carry *carry, size_t at, size_t len)
{
    assert_int_equal(carry->len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(carry_front(carry)[i], (uint8_t)(at + i));
}

/* More comes than is taken, then all is taken. */
static void test_bytes_keep_their_order(void **state)
{
    (void)state;
    for (int keeps = 0; keeps < 2; keeps++) {
        struct carry carry = {.keeps = keeps == 1, .limit = 100};
        size_t taken = 0;

        for (size_t at = 0; at < 50 * PIECE; at += PIECE) {
            append(&carry, at, PIECE);
            carry_consume(&carry, PIECE - 2);
            taken += PIECE - 2;
            assert_front(&carry, taken, at + PIECE - taken);
        }
        carry_consume(&carry, carry.len);
        carry_rewind(&carry);
        assert_front(&carry, 0, keeps == 1 ? 50 * PIECE : 0);
        carry_release(&carry);
        assert_int_equal(carry.capacity, 0);
    }
}

static void test_kept_bytes_may_be_dropped(void **state)
{
    struct carry carry = {.keeps = true, .limit = 100};

    (void)state;
    append(&carry, 0, 90);
    carry_consume(&carry, 80);
    carry.keeps = false;
    append(&carry, 90, 10);
    assert_front(&carry, 80, 20);
    assert_int_equal(carry.start, 0);
    carry_release(&carry);
}

static void test_memory_keeps_to_the_limit(void **state)
{
    struct carry carry = {.keeps = true, .limit = 1000};

    (void)state;
    for (size_t at = 0; at < 994; at += PIECE) {
        append(&carry, at, PIECE);
        assert_true(carry.capacity <= 1000);
    }
    append(&carry, 994, 6);
    assert_int_equal(carry.capacity, 1000);
    append(&carry, 1000, PIECE);
    assert_int_equal(carry.capacity, 1000 + PIECE);
    assert_front(&carry, 0, 1000 + PIECE);
    carry_release(&carry);
}

static void test_trimmed(void **state)
{
    struct carry carry = {.keeps = true, .limit = 1000};

    (void)state;
    carry_trim(&carry);
    append(&carry, 0, 200);
    carry_consume(&carry, 50);
    assert_true(carry.capacity > 200);
    carry_trim(&carry);
    assert_int_equal(carry.capacity, 200);
    carry_rewind(&carry);
    assert_front(&carry, 0, 200);
    carry_release(&carry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_keep_their_order),
        cmocka_unit_test(test_kept_bytes_may_be_dropped),
        cmocka_unit_test(test_memory_keeps_to_the_limit),
        cmocka_unit_test(test_trimmed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
