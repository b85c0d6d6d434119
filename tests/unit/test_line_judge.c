/*
 * line_judge: the decision tables of line-platform 3.4, 4.1 and 4.2, row by
 * row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "line_judge.h"

static struct http_result result_of(enum status status, int http_status,
                                    int64_t body_bytes)
{
    return (struct http_result){
        .status = status,
        .sent = true,
        .head = {.status = http_status,
                 .content_length = -1,
                 .retry_after_s = -1,
                 .request_id = "r-1"},
        .body_bytes = body_bytes,
        .error = "",
    };
}

static void test_content_table(void **state)
{
    static const struct {
        enum status transport;
        int http_status;
        int64_t body_bytes;
        enum status expected;
    } rows[] = {
        {STATUS_OK, 200, 9, STATUS_OK},
        {STATUS_OK, 200, 0, STATUS_EMPTY},
        {STATUS_CUT, 200, 5, STATUS_CUT},
        {STATUS_TIMEOUT, 200, 5, STATUS_TIMEOUT},
        {STATUS_TOO_LARGE, 200, 5, STATUS_TOO_LARGE},
        {STATUS_OK, 202, 0, STATUS_NOT_READY},
        {STATUS_OK, 204, 0, STATUS_REFUSED},
        {STATUS_OK, 302, 0, STATUS_REFUSED},
        {STATUS_OK, 400, 9, STATUS_REFUSED},
        {STATUS_OK, 401, 9, STATUS_UNAUTHORIZED},
        {STATUS_OK, 403, 9, STATUS_REFUSED},
        {STATUS_OK, 404, 9, STATUS_NOT_FOUND},
        {STATUS_CUT, 404, 9, STATUS_NOT_FOUND},
        {STATUS_OK, 410, 9, STATUS_GONE},
        {STATUS_OK, 429, 9, STATUS_RATE_LIMITED},
        {STATUS_OK, 500, 0, STATUS_SERVER_ERROR},
        {STATUS_OK, 503, 0, STATUS_SERVER_ERROR},
        {STATUS_NETWORK, 0, 0, STATUS_NETWORK},
        {STATUS_TIMEOUT, 0, 0, STATUS_TIMEOUT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http_result result = result_of(
            rows[i].transport, rows[i].http_status, rows[i].body_bytes);
        struct line_outcome outcome;

        line_judge_content(&result, "", 0, &outcome);
        assert_int_equal(outcome.status, rows[i].expected);
        assert_false(outcome.in_doubt);
        assert_string_equal(outcome.request_id, "r-1");
    }
}

static void test_reply_table(void **state)
{
    static const char *const bare = "{\"message\":\"Invalid reply token\"}";
    static const char *const detailed =
        "{\"message\":\"The request body has 1 error(s)\",\"details\":"
        "[{\"message\":\"x\",\"property\":\"messages[0]\"}]}";
    static const char *const empty = "{\"message\":\"x\",\"details\":[]}";
    const struct {
        enum status transport;
        int http_status;
        const char *body;
        enum status expected;
        bool in_doubt;
    } rows[] = {
        {STATUS_OK, 200, "{}", STATUS_OK, false},
        {STATUS_CUT, 200, "{", STATUS_OK, false},
        {STATUS_OK, 400, bare, STATUS_TOKEN_EXPIRED, false},
        {STATUS_OK, 400, "", STATUS_TOKEN_EXPIRED, false},
        {STATUS_OK, 400, empty, STATUS_TOKEN_EXPIRED, false},
        {STATUS_OK, 400, detailed, STATUS_REFUSED, false},
        {STATUS_OK, 401, bare, STATUS_UNAUTHORIZED, false},
        {STATUS_OK, 413, "", STATUS_TOO_LARGE, false},
        {STATUS_OK, 429, bare, STATUS_RATE_LIMITED, false},
        {STATUS_OK, 202, "", STATUS_OK, false},
        {STATUS_CUT, 400, bare, STATUS_CUT, false},
        {STATUS_CUT, 400, detailed, STATUS_REFUSED, false},
        {STATUS_OK, 408, "", STATUS_TIMEOUT, false},
        {STATUS_OK, 500, "", STATUS_SERVER_ERROR, true},
        {STATUS_OK, 504, "", STATUS_SERVER_ERROR, true},
        {STATUS_OK, 302, "", STATUS_REFUSED, false},
        {STATUS_TIMEOUT, 0, "", STATUS_TIMEOUT, true},
        {STATUS_NETWORK, 0, "", STATUS_NETWORK, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http_result result =
            result_of(rows[i].transport, rows[i].http_status, 1);
        struct line_outcome outcome;

        line_judge_reply(&result, rows[i].body, strlen(rows[i].body), &outcome);
        assert_int_equal(outcome.status, rows[i].expected);
        assert_int_equal(outcome.in_doubt, rows[i].in_doubt);
    }
}

/* As for a reply, but for the row of the retry key. */
static void test_push_table(void **state)
{
    static const struct {
        enum status transport;
        int http_status;
        enum status expected;
        bool in_doubt;
    } rows[] = {
        {STATUS_OK, 200, STATUS_OK, false},
        {STATUS_CUT, 200, STATUS_OK, false},
        {STATUS_OK, 202, STATUS_OK, false},
        {STATUS_OK, 409, STATUS_OK, false},
        {STATUS_CUT, 409, STATUS_OK, false},
        {STATUS_OK, 400, STATUS_REFUSED, false},
        {STATUS_CUT, 400, STATUS_REFUSED, false},
        {STATUS_OK, 401, STATUS_UNAUTHORIZED, false},
        {STATUS_OK, 403, STATUS_REFUSED, false},
        {STATUS_OK, 404, STATUS_NOT_FOUND, false},
        {STATUS_OK, 413, STATUS_TOO_LARGE, false},
        {STATUS_OK, 429, STATUS_RATE_LIMITED, false},
        {STATUS_OK, 500, STATUS_SERVER_ERROR, true},
        {STATUS_OK, 504, STATUS_SERVER_ERROR, true},
        {STATUS_OK, 302, STATUS_REFUSED, false},
        {STATUS_TIMEOUT, 0, STATUS_TIMEOUT, true},
        {STATUS_NETWORK, 0, STATUS_NETWORK, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http_result result =
            result_of(rows[i].transport, rows[i].http_status, 1);
        struct line_outcome outcome;

        line_judge_push(&result, "{\"message\":\"x\"}", 15, &outcome);
        assert_int_equal(outcome.status, rows[i].expected);
        assert_int_equal(outcome.in_doubt, rows[i].in_doubt);
    }
}

/* Questions: half an answer is none, and nothing is ever in doubt. */
static void test_other_table(void **state)
{
    static const struct {
        enum status transport;
        int http_status;
        enum status expected;
    } rows[] = {
        {STATUS_OK, 200, STATUS_OK},
        {STATUS_OK, 202, STATUS_OK},
        {STATUS_CUT, 200, STATUS_CUT},
        {STATUS_OK, 404, STATUS_NOT_FOUND},
        {STATUS_CUT, 404, STATUS_NOT_FOUND},
        {STATUS_OK, 400, STATUS_REFUSED},
        {STATUS_OK, 409, STATUS_REFUSED},
        {STATUS_OK, 500, STATUS_SERVER_ERROR},
        {STATUS_TIMEOUT, 0, STATUS_TIMEOUT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http_result result =
            result_of(rows[i].transport, rows[i].http_status, 1);
        struct line_outcome outcome;

        line_judge_other(&result, "", 0, &outcome);
        assert_int_equal(outcome.status, rows[i].expected);
        assert_false(outcome.in_doubt);
    }
}

static void test_quota_table(void **state)
{
    static const struct {
        struct line_quota quota;
        enum status expected;
    } rows[] = {
        {{true, 200, 199}, STATUS_RATE_LIMITED},
        {{true, 200, 200}, STATUS_OVER_QUOTA},
        {{true, 200, 201}, STATUS_OVER_QUOTA},
        {{true, 0, 0}, STATUS_OVER_QUOTA},
        {{false, -1, 5000}, STATUS_RATE_LIMITED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(line_judge_quota(&rows[i].quota), rows[i].expected);
}

/* What LINE says of an error goes to people, as far as there is room. */
static void test_words(void **state)
{
    static const char *const detailed =
        "{\"message\":\"The request body has 1 error(s)\",\"details\":"
        "[{\"message\":\"x\",\"property\":\"messages[0].text\"}]}";
    struct http_result result = result_of(STATUS_OK, 400, 1);
    struct line_outcome outcome;
    char longest[300];

    (void)state;
    line_judge_reply(&result, detailed, strlen(detailed), &outcome);
    assert_string_equal(
        outcome.detail,
        "HTTP 400: The request body has 1 error(s), messages[0].text");
    (void)snprintf(longest, sizeof(longest), "{\"message\":\"%0200d\"}", 0);
    line_judge_reply(&result, longest, strlen(longest), &outcome);
    assert_int_equal(strlen(outcome.detail), strlen("HTTP 400: ") + 40);
    (void)snprintf(longest, sizeof(longest), "{\"message\":\"%039d\u5199\"}",
                   0);
    line_judge_reply(&result, longest, strlen(longest), &outcome);
    assert_int_equal(strlen(outcome.detail), strlen("HTTP 400: ") + 39);
    line_judge_reply(&result, "<html>", 6, &outcome);
    assert_string_equal(outcome.detail, "HTTP 400");
}

static void test_reply_never_sent_is_no_doubt(void **state)
{
    struct http_result result = result_of(STATUS_NETWORK, 0, 0);
    struct line_outcome outcome;

    (void)state;
    result.sent = false;
    result.error = "connection refused";
    line_judge_reply(&result, "", 0, &outcome);
    assert_false(outcome.in_doubt);
    assert_string_equal(outcome.detail, "connection refused");
}

static void test_retry_after(void **state)
{
    struct http_result result = result_of(STATUS_OK, 429, 0);
    struct line_outcome outcome;

    (void)state;
    result.head.retry_after_s = 7;
    line_judge_content(&result, "", 0, &outcome);
    assert_int_equal(outcome.retry_after_ms, 7000);
    assert_string_equal(outcome.detail, "HTTP 429");
    result.head.retry_after_s = INT64_MAX;
    line_judge_content(&result, "", 0, &outcome);
    assert_int_equal(outcome.retry_after_ms, 3600000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_table),
        cmocka_unit_test(test_reply_table),
        cmocka_unit_test(test_push_table),
        cmocka_unit_test(test_other_table),
        cmocka_unit_test(test_quota_table),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_reply_never_sent_is_no_doubt),
        cmocka_unit_test(test_retry_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
