/*
 * test_sim_rules.c: what LINE takes as a reply, a push and a loading request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../sim/rules.h"

#define O "https://127.0.0.1:8443/static/a.png"
#define P "https://127.0.0.1:8443/static/a.p.png"
#define IMAGE                                                                  \
    "{\"type\":\"image\",\"originalContentUrl\":\"" O                          \
    "\",\"previewImageUrl\":\"" P "\"}"
#define REPLY(messages) "{\"replyToken\":\"t\",\"messages\":[" messages "]}"
#define IMAGE_WITH(members)                                                    \
    REPLY("{\"type\":\"image\",\"originalContentUrl\":\"" O                    \
          "\",\"previewImageUrl\":\"" P "\"," members "}")

static void parse(enum rules_call call, const char *body,
                  struct message_request *request)
{
    assert_int_equal(rules_parse_messages(call, body, strlen(body), request),
                     STATUS_OK);
}

static void assert_good(enum rules_call call, const char *body)
{
    struct message_request request;

    parse(call, body, &request);
    if (request.problem_count > 0)
        print_error("%s: %s\n", request.problems[0].property,
                    request.problems[0].message);
    assert_int_equal(request.problem_count, 0);
    message_request_release(&request);
}

/* The first problem is about `property`. */
static void assert_bad(enum rules_call call, const char *body,
                       const char *property)
{
    struct message_request request;

    parse(call, body, &request);
    assert_true(request.problem_count > 0);
    assert_string_equal(request.problems[0].property, property);
    message_request_release(&request);
}

static void test_image_reply(void **state)
{
    struct message_request request;

    (void)state;
    parse(RULES_REPLY, REPLY(IMAGE), &request);
    assert_true(request.is_json);
    assert_int_equal(request.problem_count, 0);
    assert_string_equal(request.reply_token, "t");
    assert_int_equal(request.count, 1);
    assert_int_equal(request.messages[0].kind, RULES_MESSAGE_IMAGE);
    assert_string_equal(request.messages[0].original_url, O);
    assert_string_equal(request.messages[0].preview_url, P);
    message_request_release(&request);
}

static void test_good_bodies(void **state)
{
    static const char *const bodies[] = {
        REPLY(IMAGE "," IMAGE "," IMAGE "," IMAGE "," IMAGE),
        REPLY("{\"type\":\"text\",\"text\":\"hi\",\"quoteToken\":\"q\"}"),
        REPLY("{\"text\":\"type comes last\",\"type\":\"text\"}"),
        REPLY("{\"type\":\"flex\",\"altText\":\"x\",\"contents\":{\"a\":[1]}}"),
        IMAGE_WITH("\"sender\":{\"name\":\"x\"}"),
        "{\"notificationDisabled\":true,\"messages\":[" IMAGE
        "],\"replyToken\":\"t\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++)
        assert_good(RULES_REPLY, bodies[i]);
}

static void test_bad_replies(void **state)
{
    static const struct {
        const char *body;
        const char *property;
    } cases[] = {
        {"", ""},
        {"{", ""},
        {"[]", ""},
        {"\"text\"", ""},
        {"{}", "replyToken"},
        {"{\"messages\":[" IMAGE "]}", "replyToken"},
        {"{\"replyToken\":1,\"messages\":[" IMAGE "]}", "replyToken"},
        {"{\"replyToken\":\"t\"}", "messages"},
        {"{\"replyToken\":\"t\",\"messages\":{}}", "messages"},
        {REPLY(""), "messages"},
        {REPLY(IMAGE "," IMAGE "," IMAGE "," IMAGE "," IMAGE "," IMAGE),
         "messages"},
        {REPLY("1"), "messages[0]"},
        {REPLY("{}"), "messages[0].type"},
        {REPLY("{\"type\":\"picture\"}"), "messages[0].type"},
        {REPLY("{\"type\":7}"), "messages[0].type"},
        {REPLY("{\"type\":\"image\",\"originalContentUrl\":\"" O "\"}"),
         "messages[0].previewImageUrl"},
        {REPLY("{\"type\":\"image\",\"previewImageUrl\":\"" P "\"}"),
         "messages[0].originalContentUrl"},
        {REPLY(IMAGE ",{\"type\":\"text\"}"), "messages[1].text"},
        {REPLY("{\"type\":\"text\",\"text\":\"\"}"), "messages[0].text"},
        {REPLY("{\"type\":\"text\",\"text\":null}"), "messages[0].text"},
        {IMAGE_WITH("\"quoteToken\":\"q\""), "messages[0].quoteToken"},
        {IMAGE_WITH("\"originalContentURL\":\"x\""),
         "messages[0].originalContentURL"},
        {"{\"replyToken\":\"t\",\"messages\":[" IMAGE "],\"to\":\"U\"}", "to"},
        {"{\"replyToken\":\"t\",\"messages\":[" IMAGE
         "],\"notificationDisabled\":1}",
         "notificationDisabled"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_bad(RULES_REPLY, cases[i].body, cases[i].property);
}

static void test_push(void **state)
{
    (void)state;
    assert_good(RULES_PUSH, "{\"to\":\"U1\",\"messages\":[" IMAGE
                            "],\"customAggregationUnits\":[\"a\"]}");
    assert_bad(RULES_PUSH, "{\"messages\":[" IMAGE "]}", "to");
    assert_bad(RULES_PUSH,
               "{\"to\":\"U1\",\"replyToken\":\"t\",\"messages\":[" IMAGE "]}",
               "replyToken");
}

static void test_urls(void **state)
{
    char url[LINE_URL_MAX + 2] = "https://h/";

    (void)state;
    assert_null(rules_url_problem("https://h/a.png"));
    assert_null(rules_url_problem("HTTPS://h"));
    assert_null(rules_url_problem("https://h/%E3%81%82?x=1"));
    assert_non_null(rules_url_problem(""));
    assert_non_null(rules_url_problem("http://h/a.png"));
    assert_non_null(rules_url_problem("https:///a.png"));
    assert_non_null(rules_url_problem("https://"));
    assert_non_null(rules_url_problem("https://h/a b"));
    assert_non_null(rules_url_problem("https://h/\xe3\x81\x82"));
    memset(url + 10, 'a', LINE_URL_MAX - 10);
    assert_null(rules_url_problem(url));
    url[LINE_URL_MAX] = 'a';
    assert_non_null(rules_url_problem(url));
}

/* One character beyond the Basic Multilingual Plane counts as two. */
static void test_text_length(void **state)
{
    char body[3 * LINE_TEXT_MAX], *end = body;
    const char *head =
        "{\"replyToken\":\"t\",\"messages\":[{\"type\":"
        "\"text\",\"text\":\"";

    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        end = body;
        memcpy(end, head, strlen(head));
        end += strlen(head);
        for (size_t i = 0; i < LINE_TEXT_MAX / 2; i++, end += 4)
            memcpy(end, "\xf0\x9f\x98\x80", 4);
        for (size_t i = 0; i < extra; i++)
            *end++ = 'x';
        memcpy(end, "\"}]}", 5);
        if (extra == 0)
            assert_good(RULES_REPLY, body);
        else
            assert_bad(RULES_REPLY, body, "messages[0].text");
    }
}

static void test_loading(void **state)
{
    static const struct {
        const char *body;
        bool good;
    } cases[] = {
        {"{\"chatId\":\"U0123456789abcdef0123456789abcdef\"}", true},
        {"{\"chatId\":\"U0123456789abcdef0123456789abcdef\","
         "\"loadingSeconds\":5}",
         true},
        {"{\"chatId\":\"U0123456789abcdef0123456789abcdef\","
         "\"loadingSeconds\":60}",
         true},
        {"{\"chatId\":\"U0123456789abcdef0123456789abcdef\","
         "\"loadingSeconds\":7}",
         false},
        {"{\"chatId\":\"U0123456789abcdef0123456789abcdef\","
         "\"loadingSeconds\":65}",
         false},
        {"{\"chatId\":\"U0123456789abcdef0123456789abcdef\","
         "\"loadingSeconds\":0}",
         false},
        {"{\"chatId\":\"C0123456789abcdef0123456789abcdef\"}", false},
        {"{\"loadingSeconds\":20}", false},
        {"{\"chatId\":\"U0123456789abcdef0123456789abcdef\",\"x\":1}", false},
        {"nonsense", false},
    };
    struct loading_request request;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        rules_parse_loading(cases[i].body, strlen(cases[i].body), &request);
        assert_int_equal(request.problem_count == 0, cases[i].good);
    }
}

static void test_ids(void **state)
{
    const char *user = "U0123456789abcdef0123456789abcdef";

    (void)state;
    assert_true(rules_is_source_id(user, "UCR"));
    assert_false(rules_is_source_id(user, "C"));
    assert_false(rules_is_source_id(user + 1, "UCR"));
    assert_false(rules_is_source_id("", "UCR"));
    assert_false(
        rules_is_source_id("U0123456789ABCDEF0123456789ABCDEF", "UCR"));
    assert_true(rules_is_uuid("0b9f3c52-6d1e-4c0a-9f37-5a2f4e1c7d10"));
    assert_true(rules_is_uuid("0B9F3C52-6D1E-4C0A-9F37-5A2F4E1C7D10"));
    assert_false(rules_is_uuid("0b9f3c52-6d1e-4c0a-9f37-5a2f4e1c7d1"));
    assert_false(rules_is_uuid("0b9f3c52-6d1e-4c0a-9f37-5a2f4e1c7d100"));
    assert_false(rules_is_uuid("0b9f3c52x6d1e-4c0a-9f37-5a2f4e1c7d10"));
    assert_false(rules_is_uuid(""));
}

/* Many mistakes in one body stay within the list. */
static void test_many_problems(void **state)
{
    struct message_request request;

    (void)state;
    parse(RULES_REPLY,
          "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,"
          "\"i\":1,\"j\":1,\"k\":1,\"l\":1}",
          &request);
    assert_int_equal(request.problem_count, RULES_PROBLEMS_MAX);
    message_request_release(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_reply),
        cmocka_unit_test(test_good_bodies),
        cmocka_unit_test(test_bad_replies),
        cmocka_unit_test(test_push),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_text_length),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_many_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
