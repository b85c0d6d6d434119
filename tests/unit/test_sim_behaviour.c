/*
 * test_sim_behaviour.c: what is planned for the n-th request of a content.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../sim/behaviour.h"
#include "../sim/sim_limits.h"

#define SIZE 1000

static struct content_plan plan_of(const struct content_behaviour *b,
                                   int64_t tries_before)
{
    struct content_plan plan;

    content_plan(b, tries_before, SIZE, &plan);
    return plan;
}

static void test_plain(void **state)
{
    struct content_behaviour b;
    struct content_plan plan;

    (void)state;
    content_behaviour_init(&b);
    plan = plan_of(&b, 0);
    assert_int_equal(plan.status, 200);
    assert_int_equal(plan.declared_bytes, SIZE);
    assert_int_equal(plan.send_bytes, SIZE);
    assert_int_equal(plan.stall_at_bytes, -1);
    assert_false(plan.cut);
    b.framing = CONTENT_FRAMING_CHUNKED;
    assert_int_equal(plan_of(&b, 0).declared_bytes, -1);
}

static void test_status_then_fine(void **state)
{
    struct content_behaviour b;

    (void)state;
    content_behaviour_init(&b);
    b.status = 202;
    b.status_tries = 2;
    assert_int_equal(plan_of(&b, 0).status, 202);
    assert_int_equal(plan_of(&b, 1).status, 202);
    assert_int_equal(plan_of(&b, 2).status, 200);
    b.status_tries = 0;
    assert_int_equal(plan_of(&b, 1000).status, 202);
}

static void test_cut(void **state)
{
    struct content_behaviour b;
    struct content_plan plan;

    (void)state;
    content_behaviour_init(&b);
    b.cut_after_bytes = 10;
    b.cut_tries = 1;
    plan = plan_of(&b, 0);
    assert_true(plan.cut);
    assert_int_equal(plan.send_bytes, 10);
    assert_int_equal(plan.declared_bytes, SIZE);
    assert_false(plan_of(&b, 1).cut);
    b.cut_after_bytes = SIZE; /* nothing to cut off */
    assert_false(plan_of(&b, 0).cut);
}

static void test_short(void **state)
{
    struct content_behaviour b;
    struct content_plan plan;

    (void)state;
    content_behaviour_init(&b);
    b.short_bytes = 5;
    plan = plan_of(&b, 7);
    assert_true(plan.cut);
    assert_int_equal(plan.declared_bytes, SIZE + 5);
    assert_int_equal(plan.send_bytes, SIZE);
}

static void test_empty(void **state)
{
    struct content_behaviour b;
    struct content_plan plan;

    (void)state;
    content_behaviour_init(&b);
    b.empty = true;
    plan = plan_of(&b, 0);
    assert_int_equal(plan.declared_bytes, 0);
    assert_int_equal(plan.send_bytes, 0);
    assert_false(plan.cut);
}

static void test_stall(void **state)
{
    struct content_behaviour b;

    (void)state;
    content_behaviour_init(&b);
    b.stall_after_bytes = 0;
    b.stall_tries = 1;
    assert_int_equal(plan_of(&b, 0).stall_at_bytes, 0);
    assert_int_equal(plan_of(&b, 0).stall_ms, SIM_SLEEP_MAX_MS);
    assert_int_equal(plan_of(&b, 1).stall_at_bytes, -1);
    b.stall_ms = 20;
    assert_int_equal(plan_of(&b, 0).stall_ms, 20);
}

static void test_members(void **state)
{
    struct content_behaviour b;
    struct fault fault;
    struct json_event five = {.kind = JSON_INT, .num = 5};
    struct json_event text = {.kind = JSON_STR, .str = "close", .len = 5};

    (void)state;
    content_behaviour_init(&b);
    fault_init(&fault);
    assert_int_equal(content_behaviour_set(&b, "delay_ms", &five), STATUS_OK);
    assert_int_equal(b.delay_ms, 5);
    assert_int_equal(content_behaviour_set(&b, "framing", &text), STATUS_OK);
    assert_int_equal(b.framing, CONTENT_FRAMING_CLOSE);
    assert_int_equal(content_behaviour_set(&b, "delay", &five),
                     STATUS_BAD_INPUT);
    assert_int_equal(content_behaviour_set(&b, "status", &five),
                     STATUS_BAD_INPUT);
    assert_int_equal(content_behaviour_set(&b, "delay_ms", &text),
                     STATUS_BAD_INPUT);
    assert_int_equal(fault_set(&fault, "fault", &text), STATUS_OK);
    assert_int_equal(fault.kind, FAULT_CLOSE);
    assert_int_equal(fault_set(&fault, "effect", &five), STATUS_BAD_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),   cmocka_unit_test(test_status_then_fine),
        cmocka_unit_test(test_cut),     cmocka_unit_test(test_short),
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_stall),
        cmocka_unit_test(test_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
