/*
 * job: the pure rules about time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "job.h"

static void test_deadline(void **state)
{
    const struct job job = {.event_ms = 1, .received_ms = 1000};

    (void)state;
    assert_int_equal(job_deadline_ms(&job), 1000 + REPLY_TOKEN_LIFE_MS);
}

static void test_backoff_grows_and_stops_growing(void **state)
{
    static const int64_t steps_ms[] = {250,  250,  500,  1000,
                                       2000, 4000, 8000, 8000};

    (void)state;
    for (int32_t attempts = 0; attempts < 8; attempts++) {
        int64_t step_ms = steps_ms[attempts];

        assert_int_equal(job_backoff_ms(attempts, 0, 0), step_ms / 2);
        for (uint32_t random = 1; random != 0; random *= 3) {
            int64_t wait_ms = job_backoff_ms(attempts, random, 0);

            assert_in_range(wait_ms, step_ms / 2, step_ms);
            if (random > UINT32_MAX / 3)
                break;
        }
    }
    assert_int_equal(job_backoff_ms(INT32_MAX, 0, 0), 4000);
}

static void test_backoff_honours_the_server(void **state)
{
    (void)state;
    assert_int_equal(job_backoff_ms(1, 0, 3000), 3000);
    assert_int_equal(job_backoff_ms(6, 0, 3000), 4000);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(job_state_name(JOB_DEAD), "dead");
    assert_string_equal(job_stage_name(JOB_STAGE_REPLY), "reply");
    assert_string_equal(job_outcome_name(JOB_OUTCOME_DEAD), "dead");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_backoff_grows_and_stops_growing),
        cmocka_unit_test(test_backoff_honours_the_server),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
