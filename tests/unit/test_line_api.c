/*
 * line_api, line_setup: what goes out for each call, and what its answers lead
 * to. The tables of statuses are in test_line_judge.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "../helper/line_bench.h"
#include "line_setup.h"

#define REPLY "POST /v2/bot/message/reply"
#define PUSH "POST /v2/bot/message/push"
#define QUOTA "GET /v2/bot/message/quota "
#define CONSUMPTION "GET /v2/bot/message/quota/consumption"
#define WEBHOOK "/v2/bot/channel/webhook/endpoint"
#define MESSAGES "[{\"type\":\"text\",\"text\":\"hi\"}]"
#define KEY "0b9f3c52-6d1e-4c0a-9f37-5a2f4e1c7d10"
#define TIMEOUT_MS 10000
#define ANSWER(code, text)                                                     \
    {                                                                          \
        .status = (code), .body = (text), .len = sizeof(text) - 1, .id = "r-1" \
    }

static int set_up(void **state)
{
    struct line_bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    line_bench_open(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    line_bench_close(*state);
    free(*state);
    return 0;
}

static void start_reply(struct line_bench *bench, struct line_bench_call *call,
                        int64_t timeout_ms)
{
    const struct line_reply_request request = {
        .channel = &bench->channel,
        .reply_token = "t\"1",
        .messages = MESSAGES,
        .messages_len = strlen(MESSAGES),
        .timeout_ms = timeout_ms,
        .arg = call,
        .on_done = line_bench_done,
    };

    assert_int_equal(line_reply(bench->api, &request, &call->call), STATUS_OK);
}

static void push(struct line_bench *bench, struct line_bench_call *call)
{
    const struct line_push_request request = {
        .channel = &bench->channel,
        .to = "U1",
        .retry_key = KEY,
        .messages = MESSAGES,
        .messages_len = strlen(MESSAGES),
        .timeout_ms = TIMEOUT_MS,
        .arg = call,
        .on_done = line_bench_done,
    };

    assert_int_equal(line_push(bench->api, &request, &call->call), STATUS_OK);
    line_bench_run(bench, call);
}

static void test_reply(void **state)
{
    static const struct test_answer ok[] = {ANSWER(200, "{}")};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};
    struct line_seen seen;

    line_double_script(bench->line, REPLY, ok, 1);
    start_reply(bench, &call, TIMEOUT_MS);
    assert_int_equal(call.dones, 0); /* nothing from inside the start */
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_OK);
    assert_string_equal(call.outcome.request_id, "r-1");
    line_double_seen(bench->line, REPLY, 0, &seen);
    assert_string_equal(seen.text, REPLY
                        " {\"replyToken\":\"t\\\"1\",\"messages\":" MESSAGES
                        "}");
    assert_string_equal(seen.authorization, "Bearer access-1");
    assert_string_equal(seen.content_type, "application/json");
    assert_string_equal(seen.retry_key, ""); /* 4.1: refused with 400 */
}

static void test_push(void **state)
{
    static const struct test_answer ok[] = {ANSWER(200, "{}")};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};
    struct line_seen seen;

    line_double_script(bench->line, PUSH, ok, 1);
    push(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_OK);
    line_double_seen(bench->line, PUSH, 0, &seen);
    assert_string_equal(seen.text,
                        PUSH " {\"to\":\"U1\",\"messages\":" MESSAGES "}");
    assert_string_equal(seen.retry_key, KEY);
    assert_string_equal(seen.authorization, "Bearer access-1");
}

/* Quota and rate have the same status and texts that may change; here they are
 * the wrong way round. */
static void test_push_over_the_limit(void **state)
{
    static const struct test_answer rate[] = {
        ANSWER(429, "{\"message\":\"The API rate limit has been exceeded.\"}")};
    static const struct test_answer quotas[] = {
        ANSWER(200, "{\"type\":\"limited\",\"value\":200}"),
        ANSWER(200, "{\"type\":\"limited\",\"value\":200}"),
        ANSWER(200, "{\"type\":\"none\"}"),
        ANSWER(500, ""),
        ANSWER(200, "{\"type\":\"limited\",\"value\":200}"),
        ANSWER(200, "{\"type\":\"limited\"}"),
    };
    static const struct test_answer uses[] = {
        ANSWER(200, "{\"totalUsage\":200}"),
        ANSWER(200, "{\"totalUsage\":199}"),
        ANSWER(200, "{\"totalUsage\":999}"),
        ANSWER(200, "nonsense"),
    };
    static const enum status expected[] = {
        STATUS_OVER_QUOTA,   STATUS_RATE_LIMITED, STATUS_RATE_LIMITED,
        STATUS_RATE_LIMITED, STATUS_RATE_LIMITED, STATUS_RATE_LIMITED,
    };
    struct line_bench *bench = *state;

    line_double_script(bench->line, PUSH, rate, 1);
    line_double_script(bench->line, CONSUMPTION, uses, ARRAY_COUNT(uses));
    line_double_script(bench->line, QUOTA, quotas, ARRAY_COUNT(quotas));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        struct line_bench_call call = {.dones = 0};

        push(bench, &call);
        assert_int_equal(call.outcome.status, expected[i]);
        assert_int_equal(call.outcome.http_status, 429);
        if (i == 0)
            assert_string_equal(call.outcome.detail,
                                "200 of 200 pushes are used");
    }
    assert_int_equal(line_double_count(bench->line, QUOTA), 6);
    assert_int_equal(line_double_count(bench->line, CONSUMPTION), 4);
}

static void test_push_without_a_key(void **state)
{
    struct line_bench *bench = *state;
    const struct line_push_request request = {
        .channel = &bench->channel,
        .to = "U1",
        .retry_key = "",
        .messages = MESSAGES,
        .timeout_ms = TIMEOUT_MS,
    };
    struct line_call *call = NULL;

    assert_int_equal(line_push(bench->api, &request, &call), STATUS_BUG);
    assert_null(call);
}

/* A given token that is refused: there is no other, and LINE's words stay. */
static void test_given_token_is_refused(void **state)
{
    static const struct test_answer no[] = {
        ANSWER(401, "{\"message\":\"Authentication failed\"}")};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};

    line_double_script(bench->line, REPLY, no, 1);
    start_reply(bench, &call, TIMEOUT_MS);
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_UNAUTHORIZED);
    assert_int_equal(call.outcome.http_status, 401);
    assert_string_equal(call.outcome.request_id, "r-1");
    assert_string_equal(call.outcome.detail, "HTTP 401: Authentication failed");
    assert_int_equal(line_double_count(bench->line, REPLY), 1);
}

#define TOKEN_FILE                                                             \
    "{\"channel_id\":\"1\",\"access_token\":\"t-old\",\"issued_ms\":%lld,"     \
    "\"expires_ms\":%lld}"

/* A stateless token that was issued five minutes ago, as the pool shares it. */
static void share_old_token(struct line_bench *bench)
{
    char path[TEST_DIR_MAX + 64];
    int64_t issued_ms = wall_ms() - 300000;
    FILE *file;

    bench->channel = (struct config_channel){.name = "default",
                                             .channel_id = "1",
                                             .secrets = {"s"},
                                             .secret_count = 1};
    (void)snprintf(path, sizeof(path), "%s/tokens", bench->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/tokens/default.json", bench->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, TOKEN_FILE, (long long)issued_ms,
                        (long long)issued_ms + 900000) > 0);
    assert_int_equal(fclose(file), 0);
}

/* Ten calls are refused, one asks for a new token, ten are repeated. */
static void test_token_is_renewed_once(void **state)
{
    enum { CALLS = 10 };
    static const struct test_answer issued[] = {
        ANSWER(200, "{\"access_token\":\"t-new\",\"expires_in\":900}")};
    static const struct test_answer ok[] = {ANSWER(200, "{}")};
    struct line_bench *bench = *state;
    struct line_bench_call calls[CALLS] = {{.dones = 0}};
    struct line_seen seen;

    share_old_token(bench);
    line_double_refuse(bench->line, "t-old");
    line_double_script(bench->line, REPLY, ok, 1);
    line_double_script(bench->line, "POST /oauth2/v3/token", issued, 1);
    for (size_t i = 0; i < CALLS; i++)
        start_reply(bench, &calls[i], TIMEOUT_MS);
    for (size_t i = 0; i < CALLS; i++) {
        line_bench_run(bench, &calls[i]);
        assert_int_equal(calls[i].outcome.status, STATUS_OK);
    }
    assert_int_equal(line_double_count(bench->line, "/oauth2/"), 1);
    assert_int_equal(line_double_count(bench->line, REPLY), 2 * CALLS);
    line_double_seen(bench->line, REPLY, 0, &seen);
    assert_string_equal(seen.authorization, "Bearer t-old");
    line_double_seen(bench->line, REPLY, 2 * CALLS - 1, &seen);
    assert_string_equal(seen.authorization, "Bearer t-new");
}

/* The new one is refused as well: that is the end of it. */
static void test_second_token_is_refused(void **state)
{
    static const struct test_answer issued[] = {
        ANSWER(200, "{\"access_token\":\"t-new\",\"expires_in\":900}")};
    static const struct test_answer no[] = {ANSWER(401, "{}")};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};

    share_old_token(bench);
    line_double_script(bench->line, REPLY, no, 1);
    line_double_script(bench->line, "POST /oauth2/v3/token", issued, 1);
    start_reply(bench, &call, TIMEOUT_MS);
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_UNAUTHORIZED);
    assert_int_equal(line_double_count(bench->line, REPLY), 2);
    assert_int_equal(line_double_count(bench->line, "/oauth2/"), 1);
}

/* LINE issues no token: the call was never sent, so nothing is in doubt. */
static void test_no_token(void **state)
{
    static const struct test_answer no[] = {ANSWER(500, "")};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};

    bench->channel.access_token[0] = '\0';
    bench->channel.secret_count = 1;
    line_double_script(bench->line, "POST /oauth2/v3/token", no, 1);
    start_reply(bench, &call, TIMEOUT_MS);
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_SERVER_ERROR);
    assert_string_equal(call.outcome.detail, "no access token");
    assert_false(call.outcome.in_doubt);
    assert_int_equal(line_double_count(bench->line, REPLY), 0);
}

static void test_token_takes_too_long(void **state)
{
    static const struct test_answer never[] = {{.silent = true}};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};

    bench->channel.access_token[0] = '\0';
    line_double_script(bench->line, "POST /oauth2/v3/token", never, 1);
    start_reply(bench, &call, 50);
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_TIMEOUT);
    assert_false(call.outcome.in_doubt);
}

static void test_cancel(void **state)
{
    static const struct test_answer never[] = {{.silent = true}};
    struct line_bench *bench = *state;
    struct line_bench_call early = {.dones = 0}, late = {.dones = 0};
    struct line_bench_call last = {.dones = 0};

    line_double_script(bench->line, REPLY, never, 1);
    start_reply(bench, &early, TIMEOUT_MS);
    line_call_cancel(early.call);
    start_reply(bench, &late, TIMEOUT_MS);
    start_reply(bench, &last, 50);
    line_bench_run(bench, &last);
    assert_int_equal(last.outcome.status, STATUS_TIMEOUT);
    assert_true(last.outcome.in_doubt);
    line_call_cancel(late.call);
    assert_int_equal(early.dones + late.dones, 0);
}

static bool both_came(void *arg)
{
    return line_double_count(arg, "POST /v2/bot/chat/") >= 2;
}

static void test_courtesies(void **state)
{
    static const struct test_answer ok[] = {ANSWER(202, "{}")};
    struct line_bench *bench = *state;
    struct line_seen seen;

    line_double_script(bench->line, "/v2/bot/chat/", ok, 1);
    line_loading_start(bench->api, &bench->channel, "U1", 17);
    line_mark_as_read(bench->api, &bench->channel, "m-1");
    line_bench_run_until(bench, both_came, bench->line);
    line_double_seen(bench->line, "loading", 0, &seen);
    assert_string_equal(seen.text,
                        "POST /v2/bot/chat/loading/start "
                        "{\"chatId\":\"U1\",\"loadingSeconds\":20}");
    line_double_seen(bench->line, "markAsRead", 0, &seen);
    assert_string_equal(seen.text,
                        "POST /v2/bot/chat/markAsRead "
                        "{\"markAsReadToken\":\"m-1\"}");
}

static void test_loading_seconds(void **state)
{
    static const struct test_answer ok[] = {ANSWER(202, "{}")};
    static const int wanted[] = {-1, 1000};
    struct line_bench *bench = *state;

    line_double_script(bench->line, "/v2/bot/chat/", ok, 1);
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++)
        line_loading_start(bench->api, &bench->channel, "U1", wanted[i]);
    line_bench_run_until(bench, both_came, bench->line);
    assert_int_equal(line_double_count(bench->line, "Seconds\":5}"), 1);
    assert_int_equal(line_double_count(bench->line, "Seconds\":60}"), 1);
}

/* ---- setting up */

static struct line_query query_of(struct line_bench *bench,
                                  struct line_bench_call *call)
{
    return (struct line_query){&bench->channel, TIMEOUT_MS, call,
                               line_bench_done};
}

static void test_bot_info(void **state)
{
    static const struct test_answer answers[] = {
        ANSWER(200,
               "{\"userId\":\"U9\",\"basicId\":\"@b\",\"displayName\":"
               "\"\\u6697\\u001b[2J\",\"chatMode\":\"bot\",\"markAsReadMode\":"
               "\"auto\",\"news\":[{\"userId\":1}]}"),
        ANSWER(200, "{\"userId\":\"U9\"}"),
        ANSWER(200, "{\"userId\":9,\"chatMode\":\"bot\"}"),
        ANSWER(200, "<html>"),
    };
    struct line_bench *bench = *state;

    line_double_script(bench->line, "GET /v2/bot/info", answers, 4);
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        struct line_bench_call call = {.dones = 0};
        struct line_query query = query_of(bench, &call);
        struct line_bot bot;

        assert_int_equal(line_bot_info(bench->api, &query, &bot, &call.call),
                         STATUS_OK);
        line_bench_run(bench, &call);
        assert_int_equal(call.outcome.status,
                         i == 0 ? STATUS_OK : STATUS_BAD_INPUT);
        if (i > 0)
            continue;
        assert_string_equal(bot.user_id, "U9");
        assert_string_equal(bot.display_name, "\xe6\x9a\x97 [2J");
        assert_false(bot.chat_is_on);
        assert_true(bot.reads_by_itself);
    }
}

static void test_webhook_get(void **state)
{
    static const struct test_answer answers[] = {
        ANSWER(200, "{\"endpoint\":\"https://a/webhook\",\"active\":true}"),
        ANSWER(404, "{\"message\":\"Webhook endpoint not found\"}"),
    };
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0}, none = {.dones = 0};
    struct line_query query = query_of(bench, &call);
    struct line_webhook webhook;

    line_double_script(bench->line, "GET " WEBHOOK, answers, 2);
    assert_int_equal(line_webhook_get(bench->api, &query, &webhook, &call.call),
                     STATUS_OK);
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_OK);
    assert_string_equal(webhook.url, "https://a/webhook");
    assert_true(webhook.active);
    query.arg = &none;
    assert_int_equal(line_webhook_get(bench->api, &query, &webhook, &none.call),
                     STATUS_OK);
    line_bench_run(bench, &none);
    assert_int_equal(none.outcome.status, STATUS_NOT_FOUND);
}

static void test_webhook_set(void **state)
{
    static const struct test_answer ok[] = {ANSWER(200, "{}")};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};
    struct line_query query = query_of(bench, &call);
    struct line_seen seen;

    line_double_script(bench->line, "PUT " WEBHOOK, ok, 1);
    assert_int_equal(
        line_webhook_set(bench->api, &query, "https://a/b", &call.call),
        STATUS_OK);
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_OK);
    line_double_seen(bench->line, "PUT", 0, &seen);
    assert_string_equal(seen.text,
                        "PUT " WEBHOOK " {\"endpoint\":\"https://a/b\"}");
}

static void test_webhook_test(void **state)
{
    static const struct test_answer failed[] = {
        ANSWER(200,
               "{\"success\":false,\"timestamp\":\"2026-01-01T00:00:00Z\","
               "\"statusCode\":-1,\"reason\":\"COULD_NOT_CONNECT\","
               "\"detail\":\"TLS handshake failure: https://a\"}")};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};
    struct line_query query = query_of(bench, &call);
    struct line_webhook_result result;
    struct line_seen seen;

    line_double_script(bench->line, "webhook/test", failed, 1);
    assert_int_equal(
        line_webhook_test(bench->api, &query, NULL, &result, &call.call),
        STATUS_OK);
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_OK);
    assert_false(result.success);
    assert_int_equal(result.http_status, -1);
    assert_string_equal(result.reason, "COULD_NOT_CONNECT");
    assert_string_equal(result.detail, "TLS handshake failure: https://a");
    line_double_seen(bench->line, "webhook/test", 0, &seen);
    assert_string_equal(seen.text, "POST /v2/bot/channel/webhook/test {}");
}

/* A period's turns pass at once. The next is minutes away, which is more than
 * the call has; the turns of other endpoints are others. Settings that are read
 * again give no more of them. */
static void test_turns(void **state)
{
    enum { BURST = 60 / LINE_POOL_SHARE };
    static const struct test_answer ok[] = {
        ANSWER(200, "{\"success\":true,\"statusCode\":200,\"reason\":\"OK\"}")};
    struct line_bench *bench = *state;
    const struct config_channel read_again = bench->channel;
    struct line_webhook_result result;
    struct line_bench_call reply = {.dones = 0};

    line_double_script(bench->line, "POST", ok, 1);
    for (size_t i = 0; i <= BURST; i++) {
        struct line_bench_call call = {.dones = 0};
        struct line_query query = query_of(bench, &call);

        if (i > BURST / 2)
            query.channel = &read_again;
        assert_int_equal(
            line_webhook_test(bench->api, &query, NULL, &result, &call.call),
            STATUS_OK);
        line_bench_run(bench, &call);
        assert_int_equal(call.outcome.status,
                         i < BURST ? STATUS_OK : STATUS_RATE_LIMITED);
        assert_int_equal(call.outcome.http_status, i < BURST ? 200 : 0);
    }
    start_reply(bench, &reply, TIMEOUT_MS);
    line_bench_run(bench, &reply);
    assert_int_equal(reply.outcome.status, STATUS_OK);
}

static void test_quota(void **state)
{
    static const struct test_answer quota[] = {
        ANSWER(200, "{\"type\":\"limited\",\"value\":1000}")};
    static const struct test_answer used[] = {
        ANSWER(200, "{\"totalUsage\":500}")};
    struct line_bench *bench = *state;
    struct line_bench_call call = {.dones = 0};
    struct line_query query = query_of(bench, &call);
    struct line_quota result;

    line_double_script(bench->line, CONSUMPTION, used, 1);
    line_double_script(bench->line, QUOTA, quota, 1);
    assert_int_equal(line_quota_get(bench->api, &query, &result, &call.call),
                     STATUS_OK);
    line_bench_run(bench, &call);
    assert_int_equal(call.outcome.status, STATUS_OK);
    assert_true(result.limited);
    assert_int_equal(result.value, 1000);
    assert_int_equal(result.used, 500);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reply),
        TEST(test_push),
        TEST(test_push_over_the_limit),
        TEST(test_push_without_a_key),
        TEST(test_given_token_is_refused),
        TEST(test_token_is_renewed_once),
        TEST(test_second_token_is_refused),
        TEST(test_no_token),
        TEST(test_token_takes_too_long),
        TEST(test_cancel),
        TEST(test_courtesies),
        TEST(test_loading_seconds),
        TEST(test_bot_info),
        TEST(test_webhook_get),
        TEST(test_webhook_set),
        TEST(test_webhook_test),
        TEST(test_turns),
        TEST(test_quota),
    };

    return cmocka_run_group_tests_name("line_api", tests, NULL, NULL);
}
