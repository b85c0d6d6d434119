/*
 * The growing buffer: its ceiling, its terminator, and that failures leave the
 * content alone.
 */
#include "buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void append(struct buf *b, const char *s)
{
    assert_int_equal(buf_append_str(b, s), STATUS_OK);
    assert_int_equal(b->data == NULL ? 0 : b->data[b->len], '\0');
}

static void test_starts_empty(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    assert_null(b.data);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_append(&b, NULL, 0), STATUS_OK);
    assert_int_equal(buf_printf(&b, "%s", ""), STATUS_OK);
    buf_consume(&b, 5);
    buf_clear(&b);
    assert_null(b.data); /* until the first byte arrives */
    buf_release(&b);
}

static void test_append_and_printf(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    append(&b, "one");
    assert_int_equal(buf_printf(&b, "-%d-%s", 2, "three"), STATUS_OK);
    append(&b, "");
    assert_int_equal(buf_append(&b, "\0x", 2), STATUS_OK);
    assert_int_equal(b.len, 13);
    assert_memory_equal(b.data, "one-2-three\0x", 14);
    buf_release(&b);
    assert_null(b.data);
    append(&b, "again");
    assert_string_equal(buf_str(&b), "again");
    buf_release(&b);
}

static void test_ceiling_is_exact(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 8);
    append(&b, "12345678");
    assert_int_equal(buf_append(&b, "9", 1), STATUS_TOO_LARGE);
    assert_int_equal(buf_printf(&b, "%d", 9), STATUS_TOO_LARGE);
    assert_string_equal(buf_str(&b), "12345678");
    buf_clear(&b);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_append(&b, "123456789", 9), STATUS_TOO_LARGE);
    assert_int_equal(buf_printf(&b, "%s", "12345678"), STATUS_OK);
    assert_string_equal(buf_str(&b), "12345678");
    buf_release(&b);
}

static void test_memory_stays_below_the_ceiling(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (int i = 0; i < 1000; i++) {
        append(&b, "x");
        assert_true(b.capacity > b.len && b.capacity <= 1001);
    }
    assert_int_equal(buf_append(&b, "x", 1), STATUS_TOO_LARGE);
    buf_release(&b);
}

static void test_a_ceiling_of_nothing(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    assert_int_equal(buf_append(&b, "x", 1), STATUS_TOO_LARGE);
    assert_int_equal(buf_append(&b, "", 0), STATUS_OK);
    buf_release(&b);
}

static void test_sizes_that_overflow(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX);
    append(&b, "x");
    assert_int_equal(buf_append(&b, "", SIZE_MAX), STATUS_TOO_LARGE);
    assert_int_equal(buf_append(&b, "", SIZE_MAX - 1), STATUS_TOO_LARGE);
    assert_string_equal(buf_str(&b), "x");
    buf_release(&b);
}

static void test_consume(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    append(&b, "abcdef");
    buf_consume(&b, 0);
    assert_string_equal(buf_str(&b), "abcdef");
    buf_consume(&b, 2);
    assert_int_equal(b.len, 4);
    assert_string_equal(buf_str(&b), "cdef");
    append(&b, "g");
    assert_string_equal(buf_str(&b), "cdefg");
    buf_consume(&b, 5);
    assert_int_equal(b.len, 0);
    append(&b, "h");
    buf_consume(&b, 99); /* at most all */
    assert_string_equal(buf_str(&b), "");
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_empty),
        cmocka_unit_test(test_append_and_printf),
        cmocka_unit_test(test_ceiling_is_exact),
        cmocka_unit_test(test_memory_stays_below_the_ceiling),
        cmocka_unit_test(test_a_ceiling_of_nothing),
        cmocka_unit_test(test_sizes_that_overflow),
        cmocka_unit_test(test_consume),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
