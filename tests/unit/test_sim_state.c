/*
 * test_sim_state.c: the life of a reply token, retry keys, access tokens,
 * faults and the settable clock. Time is an argument but for the clock itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../sim/state.h"

#define KEY "0b9f3c52-6d1e-4c0a-9f37-5a2f4e1c7d10"

static const struct state_options options = {
    .access_token = "token",
    .channel_secret = "secret",
    .destination = "U0123456789abcdef0123456789abcdef",
    .token_life_ms = LINE_TOKEN_LIFE_MS};

static int set_up(void **arg)
{
    struct state *state;

    if (state_new(&state, &options) != STATUS_OK)
        return -1;
    *arg = state;
    return 0;
}

static int tear_down(void **arg)
{
    state_free(*arg);
    return 0;
}

static struct photo *add(struct state *state)
{
    struct photo_spec spec = {.url_path = ""};
    struct photo *photo;

    assert_int_equal(state_add_photo(state, &spec, &photo), STATUS_OK);
    return photo;
}

static enum token_verdict use(struct state *state, const struct photo *photo,
                              int64_t now_ms)
{
    struct photo *found;

    return state_use_token(state, photo->reply_token, now_ms, &found);
}

static void test_names(void **arg)
{
    struct state *state = *arg;
    const struct photo *a = add(state), *b = add(state);

    assert_string_not_equal(a->message_id, b->message_id);
    assert_string_not_equal(a->reply_token, b->reply_token);
    assert_string_not_equal(a->user_id, b->user_id);
    assert_int_equal(strlen(a->event_id), 26);
    assert_int_equal(strlen(a->reply_token), 32);
    assert_ptr_equal(state_find_message(state, a->message_id), a);
    assert_ptr_equal(state_find_token(state, b->reply_token), b);
    assert_ptr_equal(state_find_source(state, b->user_id), b);
    assert_null(state_find_message(state, "1"));
}

static void test_token_once(void **arg)
{
    struct state *state = *arg;
    struct photo *photo = add(state), *found;

    assert_int_equal(use(state, photo, 1000), TOKEN_EXPIRED); /* not sent */
    state_delivery_begins(state, photo, 1000);
    assert_int_equal(use(state, photo, 1000), TOKEN_OK);
    assert_int_equal(use(state, photo, 1001), TOKEN_USED);
    assert_int_equal(state_use_token(state, "unknown", 1000, &found),
                     TOKEN_UNKNOWN);
    assert_null(found);
}

static void test_token_minute(void **arg)
{
    struct state *state = *arg;
    struct photo *late = add(state), *in_time = add(state);

    state_delivery_begins(state, late, 1000);
    state_delivery_begins(state, in_time, 1000);
    assert_int_equal(use(state, in_time, 1000 + LINE_TOKEN_LIFE_MS), TOKEN_OK);
    assert_int_equal(use(state, late, 1001 + LINE_TOKEN_LIFE_MS),
                     TOKEN_EXPIRED);
}

static void test_redelivery_renews(void **arg)
{
    struct state *state = *arg;
    struct photo *photo = add(state), *used = add(state);
    int64_t t = photo->event_ms;

    state_delivery_begins(state, photo, t);
    state_delivery_begins(state, used, t);
    assert_int_equal(use(state, used, t), TOKEN_OK);
    t += 5 * LINE_TOKEN_LIFE_MS;
    assert_int_equal(use(state, photo, t), TOKEN_EXPIRED);
    state_delivery_begins(state, photo, t);
    state_delivery_begins(state, used, t);
    assert_int_equal(use(state, photo, t), TOKEN_OK);
    assert_int_equal(use(state, used, t), TOKEN_USED);
}

static void test_redelivery_after_20_minutes(void **arg)
{
    struct state *state = *arg;
    struct photo *photo = add(state);
    int64_t t = photo->event_ms;

    state_delivery_begins(state, photo, t);
    t += LINE_TOKEN_EVENT_LIFE_MS + 1;
    state_delivery_begins(state, photo, t);
    assert_int_equal(use(state, photo, t), TOKEN_EXPIRED);
}

static void test_clock(void **arg)
{
    struct state *state = *arg;
    int64_t before_ms = state_now_ms(state);

    state_advance_clock(state, LINE_RETRY_KEY_LIFE_MS);
    assert_true(state_now_ms(state) >= before_ms + LINE_RETRY_KEY_LIFE_MS);
    state_reset(state);
    assert_true(state_now_ms(state) < before_ms + LINE_RETRY_KEY_LIFE_MS);
}

static void test_retry_keys(void **arg)
{
    struct state *state = *arg;
    char first[37] = "first", second[37] = "second", third[37] = "third";
    int64_t one = 1, two = 2, three = 3;
    int64_t day = LINE_RETRY_KEY_LIFE_MS;
    bool same = true;

    assert_false(state_retry_key_seen(state, KEY, 0, 7, first, &one, &same));
    assert_true(state_retry_key_seen(state, KEY, day, 7, second, &two, &same));
    assert_string_equal(second, "first");
    assert_int_equal(two, 1);
    assert_true(same);
    assert_true(state_retry_key_seen(state, KEY, day, 8, second, &two, &same));
    assert_false(same);
    /* After a day it is a new request (platform notes 4.2). */
    assert_false(
        state_retry_key_seen(state, KEY, day + 1, 7, third, &three, &same));
    assert_int_equal(three, 3);
}

static void test_bearers(void **arg)
{
    struct state *state = *arg;
    int64_t life_ms = LINE_STATELESS_LIFE_S * 1000LL;

    assert_true(state_knows_bearer(state, "token", 0));
    assert_false(state_knows_bearer(state, "toke", 0));
    assert_false(state_knows_bearer(state, "", 0));
    state_add_stateless(state, "short", 1000);
    assert_true(state_knows_bearer(state, "short", 999 + life_ms));
    assert_false(state_knows_bearer(state, "short", 1000 + life_ms));
}

static void test_faults(void **arg)
{
    struct state *state = *arg;
    struct photo *photo = add(state);
    struct fault fault;

    fault_init(&fault);
    fault.kind = FAULT_CLOSE;
    fault.tries = 2;
    state_set_fault(state, ENDPOINT_REPLY, &fault);
    for (int i = 0; i < 4; i++)
        assert_int_equal(state_next_fault(state, ENDPOINT_REPLY, photo).kind,
                         i < 2 ? FAULT_CLOSE : FAULT_NONE);
    assert_int_equal(state_next_fault(state, ENDPOINT_PUSH, NULL).kind,
                     FAULT_NONE);

    /* A photo's own fault goes first, and counts its own requests. */
    photo->reply_fault = fault;
    photo->reply_fault.kind = FAULT_HANG;
    photo->reply_requests = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(state_next_fault(state, ENDPOINT_REPLY, photo).kind,
                         i < 2 ? FAULT_HANG : FAULT_NONE);
}

static void test_reset_hides(void **arg)
{
    struct state *state = *arg;
    struct photo *old = add(state), *photo;

    state_delivery_begins(state, old, 1000);
    state_add_violation(state, "kind", old->message_id, "why \xff");
    assert_string_equal(state->violations[0].why, "why ?");
    state_reset(state);
    photo = add(state);
    assert_null(state_find_message(state, old->message_id));
    assert_int_equal(use(state, old, 1000), TOKEN_UNKNOWN);
    assert_ptr_equal(state_find_message(state, photo->message_id), photo);
    assert_int_equal(state->totals.violations, 0);
    assert_ptr_equal(state_totals_of(state, old), &state->hidden_totals);
    assert_ptr_equal(state_totals_of(state, photo), &state->totals);
}

static void test_duplicate_ids(void **arg)
{
    struct state *state = *arg;
    struct photo_spec spec = {.message_id = "77", .url_path = ""};
    struct photo *first, *second;

    assert_int_equal(state_add_photo(state, &spec, &first), STATUS_OK);
    assert_int_equal(state_add_photo(state, &spec, &second), STATUS_DUPLICATE);
    assert_ptr_equal(first, second);
}

static void test_wait(void **arg)
{
    struct state *state = *arg;

    assert_true(state_wait(state, &state->totals.pushes, 0, 0));
    assert_false(state_wait(state, &state->totals.pushes, 1, 0));
    state_count(state, &state->totals.pushes, 1);
    assert_true(state_wait(state, &state->totals.pushes, 1, 0));
    state_stop(state);
    assert_false(state_wait(state, &state->totals.pushes, 2, 60000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_redelivery_renews, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_redelivery_after_20_minutes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retry_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bearers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reset_hides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_duplicate_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wait, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
