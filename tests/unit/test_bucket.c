/*
 * bucket: turns as they fall due, on a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bucket.h"

#define PATIENT INT64_MAX

static int64_t take(struct bucket *bucket, int64_t now_us)
{
    int64_t wait_us = -1;

    assert_true(bucket_take(bucket, now_us, PATIENT, &wait_us));
    return wait_us;
}

static void test_burst_then_rate(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 4, 1000);
    for (int i = 0; i < 4; i++)
        assert_int_equal(take(&b, 5000000), 0);
    /* nobody is given another's turn */
    assert_int_equal(take(&b, 5000000), 250000);
    assert_int_equal(take(&b, 5000000), 500000);
    assert_int_equal(take(&b, 5100000), 650000);
    assert_int_equal(take(&b, 6000000), 0);
    assert_int_equal(take(&b, 6000000), 250000);
}

static void test_fills_up_and_no_further(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 2, 1000);
    assert_int_equal(take(&b, 0), 0);
    assert_int_equal(take(&b, 0), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(take(&b, 1000000000), 0);
    assert_int_equal(take(&b, 1000000000), 500000);
}

static void test_impatience_takes_nothing(void **state)
{
    struct bucket b;
    int64_t wait_us = 0;

    (void)state;
    bucket_init(&b, 1, 1000);
    assert_int_equal(take(&b, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_false(bucket_take(&b, 0, 999999, &wait_us));
        assert_int_equal(wait_us, 1000000);
    }
    assert_true(bucket_take(&b, 0, 1000000, &wait_us));
    assert_int_equal(wait_us, 1000000);
}

/* In any window of the period there pass the burst and the rate, no more. */
static void test_long_run(void **state)
{
    struct bucket b;
    int64_t passed = 0, wait_us = 0;

    (void)state;
    bucket_init(&b, 12, 1000);
    for (int64_t now_us = 0; now_us < 10000000; now_us += 1000)
        passed += bucket_take(&b, now_us, 0, &wait_us);
    assert_in_range(passed, 130, 132);
}

static void test_fast(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 10000000, 1000); /* less than a microsecond apart */
    assert_int_equal(take(&b, 0), 0);
    assert_int_equal(take(&b, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_fills_up_and_no_further),
        cmocka_unit_test(test_impatience_takes_nothing),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_fast),
    };

    return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
