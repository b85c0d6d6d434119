/*
 * Pictures at a stranger's URL: which URLs are refused, what becomes of every
 * kind of answer, and whole bodies over TLS.
 */
#include "external.h"

#include <signal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../helper/http_fetch.h"
#include "../helper/test_cert.h"
#include "../helper/test_server.h"

static struct test_cert cert;

static int group_setup(void **state)
{
    (void)state;
    test_cert_make(&cert);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    test_cert_remove(&cert);
    return 0;
}

static void use_http(struct bench *b, bool loopback_is_public)
{
    struct http_options options = {.user_agent = "darkroom-test",
                                   .ca_file = cert.cert_file,
                                   .loopback_is_public = loopback_is_public};

    http_free(b->http);
    assert_int_equal(http_new(&b->http, b->loop, &options), STATUS_OK);
}

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return -1;
    bench_open(b, test_server_start(cert.key.data, cert.cert.data), NULL, 0);
    use_http(b, true);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench_close(*state);
    free(*state);
    return 0;
}

/* ---- a receiver */

struct picture {
    struct bench *bench;
    struct external_call *call;
    int heads, dones;
    int64_t content_length;
    int64_t received;
    bool exact;
    bool pause_once;
    bool cancel;
    struct loop_timer timer;
    struct line_outcome outcome;
};

static void over(struct picture *p)
{
    p->call = NULL;
    p->bench->left--;
    loop_stop(p->bench->loop);
}

static void on_head(void *arg, int64_t content_length)
{
    struct picture *p = arg;

    assert_int_equal(p->heads++, 0);
    p->content_length = content_length;
}

static void resume(void *arg)
{
    struct picture *p = arg;

    external_resume(p->call);
}

static enum http_body_answer on_body(void *arg, const char *bytes, size_t len)
{
    struct picture *p = arg;

    assert_int_equal(p->heads, 1);
    if (p->cancel) {
        external_cancel(p->call);
        over(p);
        return HTTP_BODY_OK;
    }
    if (p->pause_once && p->received > 0) {
        p->pause_once = false;
        assert_int_equal(loop_timer_set(p->bench->loop, &p->timer,
                                        loop_now_ms(p->bench->loop) + 5),
                         STATUS_OK);
        return HTTP_BODY_PAUSE;
    }
    for (size_t i = 0; i < len; i++)
        p->exact =
            p->exact && bytes[i] == test_server_byte((uint64_t)p->received + i);
    p->received += (int64_t)len;
    return HTTP_BODY_OK;
}

static void on_done(void *arg, const struct line_outcome *outcome)
{
    struct picture *p = arg;

    assert_int_equal(p->dones++, 0);
    p->outcome = *outcome;
    over(p);
}

static enum status start(struct picture *p, struct bench *b, const char *url)
{
    struct external_request request = {
        .url = url,
        .timeout_ms = FETCH_GUARD_MS,
        .max_bytes = MIB,
        .arg = p,
        .on_head = on_head,
        .on_body = on_body,
        .on_done = on_done,
    };

    p->bench = b;
    p->exact = true;
    loop_timer_init(&p->timer, resume, p);
    return external_get(b->http, &request, &p->call);
}

static void get(struct picture *p, struct bench *b, const char *path)
{
    char url[256];

    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d%s",
                   test_server_port(b->server), path);
    assert_int_equal(start(p, b, url), STATUS_OK);
    b->left++;
    bench_run(b);
}

static void assert_outcome(const struct picture *p, enum status status,
                           const char *detail)
{
    assert_string_equal(status_name(p->outcome.status), status_name(status));
    assert_string_equal(p->outcome.detail, detail);
    assert_int_equal(p->dones, 1);
    assert_false(p->outcome.in_doubt);
    assert_string_equal(p->outcome.request_id, "");
}

/* ---- tests */

static void test_a_whole_picture(void **state)
{
    struct picture p = {.pause_once = true};

    get(&p, *state, "/get?bytes=300000");
    assert_outcome(&p, STATUS_OK, "");
    assert_true(p.exact && p.received == 300000 && p.content_length == 300000);
    assert_int_equal(p.outcome.http_status, 200);
    assert_true(p.outcome.body_bytes == 300000);
    assert_false(p.pause_once);
}

static void test_other_answers(void **state)
{
    static const struct {
        const char *path;
        enum status status;
        const char *detail;
    } cases[] = {
        {"/get?bytes=0", STATUS_EMPTY, ""},
        {"/get?status=404&bytes=9", STATUS_NOT_FOUND, "HTTP 404"},
        {"/get?status=410&bytes=9", STATUS_NOT_FOUND, "HTTP 410"},
        {"/get?status=403&bytes=9", STATUS_REFUSED, "HTTP 403"},
        {"/get?status=206&bytes=9", STATUS_REFUSED, "HTTP 206"},
        {"/get?status=301&bytes=9", STATUS_REFUSED,
         "HTTP 301, redirects are refused"},
        {"/get?status=307&bytes=0", STATUS_REFUSED,
         "HTTP 307, redirects are refused"},
        {"/get?status=408", STATUS_TIMEOUT, "HTTP 408"},
        {"/get?status=429&retry=3", STATUS_RATE_LIMITED, "HTTP 429"},
        {"/get?status=500&bytes=100000", STATUS_SERVER_ERROR, "HTTP 500"},
        {"/get?status=503", STATUS_SERVER_ERROR, "HTTP 503"},
        {"/get?bytes=2000000", STATUS_TOO_LARGE, "the body is over the limit"},
        {"/get?bytes=2000000&chunked=1", STATUS_TOO_LARGE,
         "the body is over the limit"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct picture p = {0};

        get(&p, *state, cases[i].path);
        assert_outcome(&p, cases[i].status, cases[i].detail);
        assert_int_equal(p.heads, p.outcome.http_status == 200);
        assert_true(p.outcome.http_status == 200 || p.received == 0);
    }
}

static void test_retry_after_has_a_bound(void **state)
{
    struct picture p = {0}, q = {0};

    get(&p, *state, "/get?status=503&retry=7");
    assert_int_equal(p.outcome.retry_after_ms, 7000);
    get(&q, *state, "/get?status=503&retry=999999999999");
    assert_int_equal(q.outcome.retry_after_ms, RETRY_AFTER_MAX_S * 1000);
}

static void test_a_body_that_is_cut(void **state)
{
    struct picture p = {0};

    get(&p, *state, "/get?bytes=100000&cut=50000");
    assert_int_equal(p.outcome.status, STATUS_CUT);
    assert_true(status_is_retry(p.outcome.status));
    assert_true(p.outcome.detail[0] != '\0');
}

static void test_cancel(void **state)
{
    struct bench *b = *state;
    struct picture p = {.cancel = true}, q = {0};

    get(&p, b, "/get?bytes=300000");
    get(&q, b, "/get?bytes=10");
    assert_int_equal(p.dones, 0);
    assert_outcome(&q, STATUS_OK, "");
}

static void test_urls_against_the_rules(void **state)
{
    static const char *const urls[] = {
        "http://127.0.0.1/a.jpg",
        "http://example.com/a.jpg",
        "ftp://example.com/a.jpg",
        "file:///etc/passwd",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://example.com:80/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:1023/",
        "https://",
        "example.com/a.jpg",
        "",
    };
    struct bench *b = *state;

    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct picture p = {0};

        if (start(&p, b, urls[i]) != STATUS_ADDRESS_REFUSED)
            fail_msg("'%s' should be refused", urls[i]);
    }
}

static void test_addresses_that_are_not_public(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost",
                                        "[::ffff:127.0.0.1]", "10.0.0.1"};
    struct bench *b = *state;

    use_http(b, false);
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        struct picture p = {0};
        char url[128];

        (void)snprintf(url, sizeof(url), "https://%s:%d/get?bytes=1", hosts[i],
                       test_server_port(b->server));
        assert_int_equal(start(&p, b, url), STATUS_OK);
        b->left++;
        bench_run(b);
        assert_int_equal(p.outcome.status, STATUS_ADDRESS_REFUSED);
        assert_int_equal(p.heads, 0);
    }
    assert_int_equal(test_server_connections(b->server), 0);
}

/* Nothing of ours but the user agent goes to a stranger. */
static bool is_bare(void *arg, const struct test_request *request,
                    struct test_answer *answer)
{
    (void)arg;
    answer->status = str_eq(request->method, "GET") &&
                             request->authorization[0] == '\0' &&
                             request->body[0] == '\0'
                         ? 200
                         : 403;
    answer->len = 5;
    return true;
}

static void test_no_token_goes_there(void **state)
{
    struct bench *b = *state;
    struct picture p = {0};

    test_server_set_handler(b->server, is_bare, NULL);
    get(&p, b, "/");
    assert_outcome(&p, STATUS_OK, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_whole_picture),
        TEST(test_other_answers),
        TEST(test_retry_after_has_a_bound),
        TEST(test_a_body_that_is_cut),
        TEST(test_cancel),
        TEST(test_urls_against_the_rules),
        TEST(test_addresses_that_are_not_public),
        TEST(test_no_token_goes_there),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("external", tests, group_setup,
                                       group_teardown);
}
