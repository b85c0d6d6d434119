/*
 * Checked arithmetic, bounded copies and number parsing at their edges.
 */
#include "base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_size_add(void **state)
{
    size_t out = 7;

    (void)state;
    assert_true(size_add(2, 3, &out));
    assert_true(out == 5);
    assert_true(size_add(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
    out = 7;
    assert_false(size_add(SIZE_MAX, 1, &out));
    assert_false(size_add(1, SIZE_MAX, &out));
    assert_true(out == 7);                 /* untouched */
    assert_true(size_add(out, out, &out)); /* may be its own operand */
    assert_true(out == 14);
}

static void test_size_mul(void **state)
{
    const size_t half = (size_t)1 << 63;
    size_t out = 7;

    (void)state;
    assert_true(size_mul(6, 7, &out));
    assert_true(out == 42);
    assert_true(size_mul(0, SIZE_MAX, &out));
    assert_true(out == 0);
    assert_true(size_mul(half / 2, 2, &out));
    assert_true(out == half);
    out = 7;
    assert_false(size_mul(half, 2, &out));
    assert_false(size_mul((size_t)1 << 32, (size_t)1 << 32, &out));
    assert_true(out == 7);
}

static void test_min_and_max(void **state)
{
    (void)state;
    assert_true(size_min(1, 2) == 1 && size_min(2, 1) == 1);
    assert_true(int64_min(-1, 1) == -1 && int64_min(INT64_MIN, 0) == INT64_MIN);
    assert_true(int64_max(-1, 1) == 1 && int64_max(INT64_MAX, 0) == INT64_MAX);
}

static void test_str_copy(void **state)
{
    char dst[4] = "???";

    (void)state;
    assert_true(str_copy(dst, sizeof(dst), "abc"));
    assert_string_equal(dst, "abc");
    assert_false(str_copy(dst, sizeof(dst), "abcd"));
    assert_string_equal(dst, "");
    assert_true(str_copy_n(dst, sizeof(dst), "abcdef", 2));
    assert_string_equal(dst, "ab");
    assert_true(str_copy(dst, 1, ""));
    assert_string_equal(dst, "");
    dst[0] = 'x';
    assert_false(str_copy(dst, 0, ""));
    assert_int_equal(dst[0], 'x'); /* no room, no byte */
}

static void test_str_eq(void **state)
{
    (void)state;
    assert_true(str_eq("", ""));
    assert_true(str_eq("abc", "abc"));
    assert_false(str_eq("abc", "abd"));
    assert_false(str_eq("abc", "ab"));
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t min, max;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", 0, 10, true, 0},
        {"-0", 0, 10, true, 0},
        {"007", 0, 10, true, 7},
        {"10", 0, 10, true, 10},
        {"11", 0, 10, false, 0},
        {"-1", 0, 10, false, 0},
        {"-5", -5, 10, true, -5},
        {"-6", -5, 10, false, 0},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
        {"92233720368547758070", INT64_MIN, INT64_MAX, false, 0},
        {"99999999999999999999999", INT64_MIN, INT64_MAX, false, 0},
        {"", INT64_MIN, INT64_MAX, false, 0},
        {"-", INT64_MIN, INT64_MAX, false, 0},
        {"+1", INT64_MIN, INT64_MAX, false, 0},
        {"--1", INT64_MIN, INT64_MAX, false, 0},
        {" 1", INT64_MIN, INT64_MAX, false, 0},
        {"1 ", INT64_MIN, INT64_MAX, false, 0},
        {"1x", INT64_MIN, INT64_MAX, false, 0},
        {"0x10", INT64_MIN, INT64_MAX, false, 0},
        {"1.0", INT64_MIN, INT64_MAX, false, 0},
        {"/", INT64_MIN, INT64_MAX, false, 0},
        {":", INT64_MIN, INT64_MAX, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t value = -77;
        bool ok =
            str_to_int64(cases[i].text, cases[i].min, cases[i].max, &value);

        if (ok != cases[i].ok)
            fail_msg("\"%s\" is %s", cases[i].text, ok ? "taken" : "refused");
        assert_true(value == (ok ? cases[i].value : -77));
    }
}

struct outer {
    int first;
    int member;
};

static void test_container_of(void **state)
{
    struct outer outer = {1, 2};

    (void)state;
    assert_ptr_equal(CONTAINER_OF(&outer.member, struct outer, member), &outer);
}

static void test_clocks(void **state)
{
    int64_t before = mono_ms();

    (void)state;
    assert_true(mono_ms() >= before);
    /* milliseconds, not seconds or microseconds: between 2020 and 2500 */
    assert_true(wall_ms() > INT64_C(1577836800000));
    assert_true(wall_ms() < INT64_C(16725225600000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_add),     cmocka_unit_test(test_size_mul),
        cmocka_unit_test(test_min_and_max),  cmocka_unit_test(test_str_copy),
        cmocka_unit_test(test_str_eq),       cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_container_of), cmocka_unit_test(test_clocks),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
