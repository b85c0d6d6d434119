/*
 * check_line: what is said when the time of the check ends between two calls,
 * or within one. What it says of LINE's answers: tests/smoke/75-mistakes.t.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/line_double.h"
#include "../helper/test_dir.h"
#include "check_parts.h"

#define BOT "U0123456789abcdef0123456789abcdef"
#define ANSWER(text)                                                           \
    {                                                                          \
        .status = 200, .body = (text), .len = sizeof(text) - 1                 \
    }

struct bench {
    char dir[TEST_DIR_MAX];
    struct line_double *line;
    struct config config;
    struct config_channel channel;
    char user_id[1][SOURCE_ID_MAX + 1];
    struct check_options options;
    struct check check;
    char told[1024];     /* "pass token, ..." */
    const char *ends_by; /* the line with which the time is over */
};

static void on_line(void *arg, const struct check_line *line)
{
    struct bench *bench = arg;
    size_t len = strlen(bench->told);
    bool late = strstr(line->found, "no time left") != NULL;

    (void)snprintf(bench->told + len, sizeof(bench->told) - len, "%s%s %s%s",
                   len > 0 ? ", " : "", check_result_name(line->result),
                   line->name, late ? ": late" : "");
    if (bench->ends_by != NULL && str_eq(line->name, bench->ends_by))
        bench->check.until_ms = mono_ms();
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    test_dir_make(bench->dir);
    bench->line = line_double_start();
    bench->channel = (struct config_channel){
        .name = "default", .access_token = "access-1", .push = 1};
    bench->config = (struct config){
        .public_url = "https://bot.example",
        .channels = &bench->channel,
        .channel_count = 1,
    };
    (void)str_copy(bench->config.state_dir, sizeof(bench->config.state_dir),
                   bench->dir);
    (void)str_copy(bench->config.api_url, sizeof(bench->config.api_url),
                   line_double_url(bench->line));
    (void)str_copy(bench->config.data_api_url,
                   sizeof(bench->config.data_api_url),
                   line_double_url(bench->line));
    bench->options.arg = bench;
    bench->options.on_line = on_line;
    bench->check = (struct check){
        .options = &bench->options,
        .config = &bench->config,
        .until_ms = mono_ms() + CHECK_MAX_MS,
        .clock_told = true,
        .user_ids = bench->user_id,
    };
    assert_int_equal(line_once_open(&bench->check.once, &bench->config),
                     STATUS_OK);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    line_once_close(&bench->check.once);
    line_double_stop(bench->line);
    test_dir_remove(bench->dir);
    free(bench);
    return 0;
}

static const struct test_answer info[] = {
    ANSWER("{\"userId\":\"" BOT "\",\"basicId\":\"@1\",\"displayName\":\"b\","
           "\"chatMode\":\"bot\",\"markAsReadMode\":\"auto\"}")};
static const struct test_answer endpoint[] = {
    ANSWER("{\"endpoint\":\"https://bot.example/webhook\",\"active\":true}")};
static const struct test_answer tested[] = {
    ANSWER("{\"success\":true,\"timestamp\":\"2026-01-01T00:00:00Z\","
           "\"statusCode\":200,\"reason\":\"OK\",\"detail\":\"200\"}")};
static const struct test_answer quota[] = {ANSWER("{\"type\":\"none\"}")};
static const struct test_answer used[] = {ANSWER("{\"totalUsage\":1}")};
static const struct test_answer silent[] = {{.silent = true}};

static void answer_all(struct bench *bench)
{
    struct line_double *line = bench->line;

    line_double_script(line, "GET /v2/bot/info", info, 1);
    line_double_script(line, "POST /v2/bot/channel/webhook/test", tested, 1);
    line_double_script(line, "GET /v2/bot/channel/webhook/endpoint", endpoint,
                       1);
    line_double_script(line, "GET /v2/bot/message/quota/consumption", used, 1);
    line_double_script(line, "GET /v2/bot/message/quota ", quota, 1);
}

static void test_all_is_asked(void **state)
{
    struct bench *bench = *state;

    answer_all(bench);
    check_channel_at_line(&bench->check, 0);
    assert_string_equal(bench->told,
                        "pass token, pass webhook, pass webhook test, skip "
                        "destination, pass quota");
}

static void test_time_that_ends_between_two_calls(void **state)
{
    static const struct {
        const char *ends_by, *told;
    } cases[] = {
        {"token",
         "pass token, skip webhook: late, skip webhook test: late, "
         "skip destination, skip quota: late"},
        {"webhook",
         "pass token, pass webhook, skip webhook test: late, skip "
         "destination, skip quota: late"},
        {"webhook test",
         "pass token, pass webhook, pass webhook test, skip "
         "destination, skip quota: late"},
    };
    struct bench *bench = *state;

    answer_all(bench);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        bench->told[0] = '\0';
        bench->ends_by = cases[i].ends_by;
        bench->check.until_ms = mono_ms() + CHECK_MAX_MS;
        check_channel_at_line(&bench->check, 0);
        assert_string_equal(bench->told, cases[i].told);
    }
    bench->told[0] = '\0';
    check_channel_at_line(&bench->check, 0);
    assert_string_equal(bench->told, "skip token: late, skip destination");
}

/* It failed for the check's sake and not for LINE's. */
static void test_time_that_ends_within_a_call(void **state)
{
    struct bench *bench = *state;

    line_double_script(bench->line, "GET /v2/bot/info", silent, 1);
    bench->check.until_ms = mono_ms() + 20;
    check_channel_at_line(&bench->check, 0);
    assert_string_equal(bench->told, "skip token: late, skip destination");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time_that_ends_between_two_calls,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time_that_ends_within_a_call,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("check_line", tests, NULL, NULL);
}
