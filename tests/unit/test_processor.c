/*
 * The processor: what it is told, to the letter, what its answers mean, and
 * everything that ends in the picture being sent.
 */
#include "processor.h"

#include <pthread.h>
#include <signal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../helper/http_fetch.h"
#include "../helper/test_server.h"
#include "webhook.h"

#define ORIGINAL "https://bot.example.com/static/6f/6f0c.png"
#define PREVIEW "https://bot.example.com/static/6f/6f0c.p.png"

static struct config_channel channel = {
    .name = "shop",
    .secrets = {"0f1e2d3c4b5a69788796a5b4c3d2e1f0", "the-next-one"},
    .secret_count = 2,
};

static const struct job job = {
    .kind = JOB_FILE,
    .channel = "shop",
    .event_id = "01K2A0000000000000000000A1",
    .message_id = "600000000000000001",
    .source = JOB_SOURCE_GROUP,
    .source_id = "Caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    .received_ms = 1790000000456,
};

static const struct transcode_report report = {
    .source_type = IMAGE_TYPE_JPEG,
    .source_width_px = 4000,
    .source_height_px = 3000,
    .orientation = 6,
    .original_width_px = 1500,
    .original_height_px = 2000,
    .preview_width_px = 384,
    .preview_height_px = 512,
    .original_bytes = 7654321,
    .preview_bytes = 234567,
};

static struct processor_picture picture_of(const struct transcode_report *r)
{
    return (struct processor_picture){.channel = &channel,
                                      .job = &job,
                                      .original_url = ORIGINAL,
                                      .preview_url = PREVIEW,
                                      .report = r};
}

/* ---- the request */

#define BEFORE                                                                 \
    "{\"version\":1,\"channel\":\"shop\","                                     \
    "\"message_id\":\"600000000000000001\","                                   \
    "\"event_id\":\"01K2A0000000000000000000A1\",\"kind\":\"file\","           \
    "\"source\":{\"type\":\"group\","                                          \
    "\"id\":\"Caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},"                           \
    "\"original\":{\"url\":\"" ORIGINAL "\""
#define BETWEEN "},\"preview\":{\"url\":\"" PREVIEW "\""
#define AFTER "\"received_ms\":1790000000456}"
#define SOURCE_IMAGE                                                           \
    "\"source_image\":{\"type\":\"jpeg\",\"width\":4000,\"height\":3000},"
#define WHOLE_REQUEST                                                          \
    BEFORE                                                                     \
    ",\"width\":1500,\"height\":2000,\"bytes\":7654321" BETWEEN                \
    ",\"width\":384,\"height\":512,\"bytes\":234567}," SOURCE_IMAGE AFTER

static void assert_request(const struct transcode_report *r,
                           const char *expected)
{
    struct processor_picture picture = picture_of(r);
    struct buf out;

    buf_init(&out, PROCESSOR_REQUEST_MAX_BYTES);
    assert_int_equal(processor_request_json(&picture, &out), STATUS_OK);
    assert_string_equal(buf_str(&out), expected);
    buf_release(&out);
}

static void test_the_request(void **state)
{
    (void)state;
    assert_request(&report, WHOLE_REQUEST);
}

static void test_one_file_for_both(void **state)
{
    struct transcode_report same = report;

    (void)state;
    same.preview_is_original = true;
    same.preview_width_px = 0;
    same.preview_height_px = 0;
    same.preview_bytes = 0;
    assert_request(
        &same, BEFORE
        ",\"width\":1500,\"height\":2000,\"bytes\":7654321" BETWEEN
        ",\"width\":1500,\"height\":2000,\"bytes\":7654321}," SOURCE_IMAGE
            AFTER);
}

static void test_a_picture_that_was_taken_over(void **state)
{
    (void)state;
    assert_request(NULL, BEFORE BETWEEN "}," AFTER);
}

/* ---- the answer */

#define TEXT "{\"type\":\"text\",\"text\":\"\xe7\x8c\xab\"}"

static void assert_answer(int http_status, const char *body, enum status status,
                          const char *expected)
{
    const char *messages;
    size_t len;
    char why[96] = "";

    if (processor_read_answer(http_status, body, strlen(body), &messages, &len,
                              why, sizeof(why)) != status)
        fail_msg("%d %s", http_status, body);
    assert_int_equal(why[0] == '\0', status == STATUS_OK);
    if (expected == NULL) {
        assert_null(messages);
        assert_int_equal(len, 0);
        return;
    }
    assert_non_null(messages);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(messages, expected, len);
}

static void test_answers_with_messages(void **state)
{
    static const char *const arrays[] = {
        "[" TEXT "]", "[ " TEXT " ,\n" TEXT " ]",
        "[" TEXT "," TEXT "," TEXT "," TEXT "," TEXT "]",
        "[{\"type\":\"image\",\"originalContentUrl\":\"" ORIGINAL
        "\",\"previewImageUrl\":\"" PREVIEW "\"}]"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(arrays); i++) {
        char body[2048];

        (void)snprintf(body, sizeof(body), "{\"messages\":%s}", arrays[i]);
        assert_answer(200, body, STATUS_OK, arrays[i]);
        (void)snprintf(body, sizeof(body),
                       " {\"x\":[{\"messages\":[1]}], \"messages\" : %s ,"
                       "\"more\":null}\n",
                       arrays[i]);
        assert_answer(200, body, STATUS_OK, arrays[i]);
    }
}

static void test_answers_that_leave_it_as_it_is(void **state)
{
    (void)state;
    assert_answer(204, "", STATUS_OK, NULL);
    assert_answer(200, "{}", STATUS_OK, NULL);
    assert_answer(200, "{\"seen\":true,\"inner\":{\"messages\":[1]}}",
                  STATUS_OK, NULL);
}

static void test_wrong_answers(void **state)
{
    static const struct {
        int http_status;
        const char *body;
        enum status status;
    } cases[] = {
        {200, "", STATUS_BAD_INPUT},
        {200, "ok", STATUS_BAD_INPUT},
        {200, "[" TEXT "]", STATUS_BAD_INPUT},
        {200, "null", STATUS_BAD_INPUT},
        {200, "\"messages\"", STATUS_BAD_INPUT},
        {200, "{\"messages\":null}", STATUS_BAD_INPUT},
        {200, "{\"messages\":" TEXT "}", STATUS_BAD_INPUT},
        {200, "{\"messages\":\"" ORIGINAL "\"}", STATUS_BAD_INPUT},
        {200, "{\"messages\":[]}", STATUS_BAD_INPUT},
        {200, "{\"messages\":[\"hello\"]}", STATUS_BAD_INPUT},
        {200, "{\"messages\":[{\"text\":\"no type\"}]}", STATUS_BAD_INPUT},
        {200, "{\"messages\":[{\"type\":\"nonsense\"}]}", STATUS_BAD_INPUT},
        {200,
         "{\"messages\":[" TEXT "," TEXT "," TEXT "," TEXT "," TEXT "," TEXT
         "]}",
         STATUS_TOO_LARGE},
        {200, "{\"messages\":[" TEXT "],\"messages\":[" TEXT "]}",
         STATUS_BAD_INPUT},
        {200, "{\"messages\":[" TEXT "]", STATUS_BAD_INPUT},
        {200, "{\"messages\":[" TEXT "]}{}", STATUS_BAD_INPUT},
        {201, "{\"messages\":[" TEXT "]}", STATUS_REFUSED},
        {302, "", STATUS_REFUSED},
        {404, "not found", STATUS_REFUSED},
        {500, "{\"messages\":[" TEXT "]}", STATUS_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_answer(cases[i].http_status, cases[i].body, cases[i].status,
                      NULL);
}

/* ---- calls */

struct program {
    pthread_mutex_t lock;
    struct test_answer answer;
    bool request_right;
};

static bool handle(void *arg, const struct test_request *request,
                   struct test_answer *answer)
{
    struct program *program = arg;
    const char *secret = channel.secrets[0];

    pthread_mutex_lock(&program->lock);
    program->request_right =
        str_eq(request->method, "POST") && str_eq(request->path, "/process") &&
        str_eq(request->content_type, "application/json") &&
        str_eq(request->user_agent, "darkroom-test") &&
        str_eq(request->authorization, "") &&
        str_eq(request->body, WHOLE_REQUEST) &&
        webhook_verify(&secret, 1, request->body, request->body_len,
                       request->darkroom_signature) == STATUS_OK;
    *answer = program->answer;
    pthread_mutex_unlock(&program->lock);
    return true;
}

struct call {
    struct bench *bench;
    struct processor_call *call;
    int dones;
    char messages[256]; /* "" for none */
};

static void on_done(void *arg, const char *messages, size_t len)
{
    struct call *call = arg;

    call->dones++;
    if (messages != NULL)
        assert_true(
            str_copy_n(call->messages, sizeof(call->messages), messages, len));
    call->bench->left--;
    loop_stop(call->bench->loop);
}

static void start(struct call *call, struct bench *b, int64_t timeout_ms)
{
    struct processor_request request = {
        .picture = picture_of(&report),
        .timeout_ms = timeout_ms,
        .arg = call,
        .on_done = on_done,
    };

    *call = (struct call){.bench = b};
    (void)snprintf(channel.processor_url, sizeof(channel.processor_url), "%s",
                   bench_url(b, "/process"));
    assert_int_equal(processor_call(b->http, &request, &call->call), STATUS_OK);
    assert_int_equal(call->dones, 0);
    b->left++;
}

/* What comes of a call that is answered so. */
static void assert_call(const struct test_answer *answer, int64_t timeout_ms,
                        const char *expected)
{
    struct program program = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .answer = *answer};
    struct bench b;
    struct call call;

    bench_open(&b, test_server_start(NULL, NULL), NULL, 0);
    test_server_set_handler(b.server, handle, &program);
    start(&call, &b, timeout_ms);
    bench_run(&b);
    assert_int_equal(call.dones, 1);
    assert_string_equal(call.messages, expected);
    assert_int_equal(test_server_requests(b.server), 1);
    bench_close(&b);
    assert_true(program.request_right);
}

#define BODY(text) .body = (text), .len = sizeof(text) - 1

static void test_calls(void **state)
{
    static const char big[PROCESSOR_ANSWER_MAX_BYTES + 1];
    static const struct {
        struct test_answer answer;
        const char *expected;
    } cases[] = {
        {{BODY("{\"messages\":[" TEXT "]}")}, "[" TEXT "]"},
        {{BODY("{\"messages\":[" TEXT "]}"), .chunked = true, .step = 3},
         "[" TEXT "]"},
        {{BODY("{}")}, ""},
        {{.status = 204}, ""},
        {{BODY("nonsense")}, ""},
        {{.status = 500, BODY("{\"messages\":[" TEXT "]}")}, ""},
        {{BODY("{\"messages\":[" TEXT "]}"), .cut = 20}, ""},
        {{.body = big, .len = sizeof(big)}, ""},
        {{.body = big, .len = sizeof(big), .chunked = true}, ""},
        {{.drop = true}, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_call(&cases[i].answer, FETCH_GUARD_MS, cases[i].expected);
}

static void test_no_answer_in_time(void **state)
{
    static const struct test_answer silent = {.silent = true};

    (void)state;
    assert_call(&silent, 200, "");
}

static void test_nobody_there(void **state)
{
    struct bench b;
    struct call call;
    struct processor_request request = {.picture = picture_of(&report),
                                        .timeout_ms = FETCH_GUARD_MS,
                                        .arg = &call,
                                        .on_done = on_done};

    (void)state;
    bench_open(&b, test_server_start(NULL, NULL), NULL, 0);
    call = (struct call){.bench = &b};
    (void)snprintf(channel.processor_url, sizeof(channel.processor_url),
                   "http://127.0.0.1:%d/", test_server_free_port());
    assert_int_equal(processor_call(b.http, &request, &call.call), STATUS_OK);
    b.left++;
    bench_run(&b);
    assert_int_equal(call.dones, 1);
    assert_string_equal(call.messages, "");
    bench_close(&b);
}

static void test_a_url_that_is_none(void **state)
{
    struct bench b;
    struct call call = {0};
    struct processor_request request = {.picture = picture_of(&report),
                                        .timeout_ms = FETCH_GUARD_MS,
                                        .arg = &call,
                                        .on_done = on_done};

    (void)state;
    bench_open(&b, test_server_start(NULL, NULL), NULL, 0);
    (void)snprintf(channel.processor_url, sizeof(channel.processor_url), "x:y");
    assert_int_equal(processor_call(b.http, &request, &call.call),
                     STATUS_BAD_INPUT);
    bench_close(&b);
}

static void test_cancel(void **state)
{
    struct program program = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .answer = {BODY("{}")}};
    struct bench b;
    struct call cancelled, other;

    (void)state;
    bench_open(&b, test_server_start(NULL, NULL), NULL, 0);
    test_server_set_handler(b.server, handle, &program);
    start(&cancelled, &b, FETCH_GUARD_MS);
    processor_cancel(cancelled.call);
    b.left--;
    start(&other, &b, FETCH_GUARD_MS);
    bench_run(&b);
    assert_int_equal(cancelled.dones, 0);
    assert_int_equal(other.dones, 1);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_request),
        cmocka_unit_test(test_one_file_for_both),
        cmocka_unit_test(test_a_picture_that_was_taken_over),
        cmocka_unit_test(test_answers_with_messages),
        cmocka_unit_test(test_answers_that_leave_it_as_it_is),
        cmocka_unit_test(test_wrong_answers),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_no_answer_in_time),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_a_url_that_is_none),
        cmocka_unit_test(test_cancel),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("processor", tests, NULL, NULL);
}
