/*
 * The HTTP client against a server in this process: bodies of every kind, all
 * ways to fail, back-pressure, and what callbacks may do.
 */
#include "http.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../helper/http_fetch.h"
#include "../helper/test_server.h"

static int setup_bench(void **state, int64_t window_ms)
{
    struct bench *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return -1;
    bench_open(b, test_server_start(NULL, NULL), NULL, window_ms);
    *state = b;
    return 0;
}

static int setup(void **state)
{
    return setup_bench(state, 0);
}

static int setup_window(void **state)
{
    return setup_bench(state, FETCH_WINDOW_MS);
}

static int teardown(void **state)
{
    bench_close(*state);
    free(*state);
    return 0;
}

/* ---- whole answers */

static void test_whole_body(void **state)
{
    struct fetch f;

    fetch_now(&f, *state,
              "/get?bytes=300000&retry=7&id=6b1c8f6e-2f40-4a39-9a4e-0c8f5d");
    fetch_assert_whole(&f, 300000);
    assert_int_equal(f.head.status, 200);
    assert_true(f.head.content_length == 300000);
    assert_true(f.head.retry_after_s == 7);
    assert_string_equal(f.head.request_id, "6b1c8f6e-2f40-4a39-9a4e-0c8f5d");
    assert_in_range(f.head.date_ms, wall_ms() - 60000, wall_ms());
    assert_memory_equal(&f.head, &f.result.head, sizeof(f.head));
    assert_true(f.result.elapsed_ms >= 0);
}

static void test_chunked_body(void **state)
{
    struct fetch f;

    fetch_now(&f, *state, "/get?bytes=300000&chunked=1");
    fetch_assert_whole(&f, 300000);
    assert_true(f.head.content_length == -1);
    assert_true(f.head.retry_after_s == -1);
    assert_string_equal(f.head.request_id, "");
}

static void test_empty_body(void **state)
{
    struct fetch f;

    fetch_now(&f, *state, "/get?bytes=0");
    fetch_assert_whole(&f, 0);
    assert_true(f.head.content_length == 0);
}

static void test_slow_body(void **state)
{
    struct fetch f;

    fetch_now(&f, *state, "/get?bytes=20000&step=1000&pause_ms=5");
    fetch_assert_whole(&f, 20000);
}

static void test_error_answers_are_answers(void **state)
{
    static const struct {
        const char *path;
        int status;
        int64_t bytes;
    } cases[] = {
        {"/get?status=404&bytes=23", 404, 23},
        {"/get?status=500&bytes=5000", 500, 5000},
        {"/get?status=202&bytes=0", 202, 0},
        {"/get?status=429&bytes=11&retry=2", 429, 11},
        {"/get?status=302&bytes=3", 302, 3},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct fetch f;

        fetch_now(&f, *state, cases[i].path);
        fetch_assert_whole(&f, cases[i].bytes);
        assert_int_equal(f.result.head.status, cases[i].status);
    }
}

/* The date form, a negative or an overlong value count as not given. */
static void test_odd_header_values(void **state)
{
    char path[256], id[80];
    struct fetch f;

    fetch_now(&f, *state, "/get?retry=Wed,%2021%20Oct%202026%2007:28:00%20GMT");
    assert_true(f.head.retry_after_s == -1);
    fetch_now(&f, *state, "/get?retry=-5");
    assert_true(f.head.retry_after_s == -1);
    fetch_now(&f, *state, "/get?retry=99999999999999999999");
    assert_true(f.head.retry_after_s == -1);
    memset(id, 'x', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    (void)snprintf(path, sizeof(path), "/get?id=%s", id);
    fetch_now(&f, *state, path);
    fetch_assert_whole(&f, 0);
    assert_string_equal(f.head.request_id, "");
}

static void test_post_body_arrives_exactly(void **state)
{
    static const char *const headers[] = {"Content-Type: application/json",
                                          "X-Test: one", NULL};
    static const size_t sizes[] = {0, 1, 1000, MIB - 1};
    struct bench *b = *state;

    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        char *body = malloc(sizes[i] + 1);
        struct fetch f;

        assert_non_null(body);
        for (size_t k = 0; k < sizes[i]; k++)
            body[k] = test_server_byte(k); /* zero bytes too */
        fetch_init(&f, b, bench_url(b, "/echo"));
        f.request.method = "POST";
        f.request.headers = headers;
        f.request.body = sizes[i] > 0 ? body : NULL;
        f.request.body_len = sizes[i];
        fetch_start(&f);
        free(body); /* copied by http_start() */
        bench_run(b);
        fetch_assert_whole(&f, (int64_t)sizes[i]);
    }
}

static void test_put(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/method"));
    f.request.method = "PUT";
    f.request.body = "123";
    f.request.body_len = 3;
    f.expect_text = true;
    fetch_start(&f);
    bench_run(b);
    assert_string_equal(buf_str(&f.text), "PUT 123");
    buf_release(&f.text);
}

static void test_request_headers_are_sent(void **state)
{
    static const char *const headers[] = {"X-Test: a value", NULL};
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/header"));
    f.request.headers = headers;
    f.expect_text = true;
    fetch_start(&f);
    bench_run(b);
    assert_string_equal(buf_str(&f.text), "a value");
    buf_release(&f.text);
}

static void test_body_without_a_receiver_is_dropped(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=100000"));
    f.request.on_body = NULL;
    f.request.on_head = NULL;
    f.received = 100000; /* what body_bytes shall say */
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_OK);
    assert_int_equal(f.result.head.status, 200);
}

/* ---- what http_start() refuses */

static void test_bad_requests_are_refused(void **state)
{
    static const char *const split[] = {"X-Test: a\r\nX-Other: b", NULL};
    struct bench *b = *state;
    struct http_transfer *t = NULL;
    struct fetch f;

    fetch_init(&f, b, "ftp://127.0.0.1/x");
    assert_int_equal(http_start(b->http, &f.request, &t), STATUS_BAD_INPUT);
    fetch_init(&f, b, "file:///etc/passwd");
    assert_int_equal(http_start(b->http, &f.request, &t), STATUS_BAD_INPUT);
    fetch_init(&f, b, "http://");
    assert_int_equal(http_start(b->http, &f.request, &t), STATUS_BAD_INPUT);
    fetch_init(&f, b, bench_url(b, "/get"));
    f.request.headers = split;
    assert_int_equal(http_start(b->http, &f.request, &t), STATUS_BAD_INPUT);
    fetch_init(&f, b, bench_url(b, "/get"));
    f.request.method = "DELETE";
    assert_int_equal(http_start(b->http, &f.request, &t), STATUS_BUG);
    fetch_init(&f, b, bench_url(b, "/get"));
    f.request.timeout_ms = 0;
    assert_int_equal(http_start(b->http, &f.request, &t), STATUS_BUG);
    assert_null(t);
    fetch_now(&f, b, "/get?bytes=10"); /* and it still works */
    fetch_assert_whole(&f, 10);
}

/* ---- back-pressure */

static void test_pause_and_resume_lose_nothing(void **state)
{
    static const char *const paths[] = {"/get?bytes=5000000",
                                        "/get?bytes=5000000&chunked=1"};
    struct bench *b = *state;

    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct fetch f;

        fetch_init(&f, b, bench_url(b, paths[i]));
        f.pause_every = 100000;
        fetch_start(&f);
        bench_run(b);
        fetch_assert_whole(&f, 5000000);
        assert_true(f.pauses >= 40);
    }
}

static void test_resume_of_what_is_not_paused_is_nothing(void **state)
{
    struct bench *b = *state;
    struct fetch f, other;

    fetch_get(&f, b, "/get?bytes=100000&step=10000&pause_ms=5");
    http_resume(f.transfer); /* not even begun */
    fetch_init(&other, b, bench_url(b, "/get?bytes=1000"));
    fetch_start(&other);
    b->left--; /* come back in the middle of the first */
    bench_run(b);
    b->left++;
    if (!f.over)
        http_resume(f.transfer);
    bench_run(b);
    fetch_assert_whole(&f, 100000);
}

static void test_paused_before_the_first_and_last_byte(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=3"));
    f.pause_every = 1;
    f.pause_ms = 5;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_whole(&f, 3);
    assert_true(f.pauses >= 1);
}

static void test_a_paused_transfer_holds_up_no_other(void **state)
{
    struct bench *b = *state;
    struct fetch paused, other;

    fetch_init(&paused, b, bench_url(b, "/get?bytes=2000000"));
    paused.pause_every = 50000;
    paused.pause_ms = FETCH_GUARD_MS; /* until cancelled */
    fetch_start(&paused);
    fetch_init(&other, b, bench_url(b, "/get?bytes=2000000"));
    other.cancel_in_done = &paused;
    fetch_start(&other);
    bench_run(b);
    fetch_assert_whole(&other, 2000000);
    assert_int_equal(paused.dones, 0);
}

/* Paused for longer than the window of low speed: that is our slowness. */
static void test_a_pause_is_not_low_speed(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=200000"));
    f.pause_every = 100000;
    f.pause_ms = 2 * FETCH_WINDOW_MS + 100;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_whole(&f, 200000);
    assert_true(f.pauses >= 2);
}

static void test_the_total_time_counts_while_paused(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=200000"));
    f.pause_every = 100000;
    f.pause_ms = FETCH_GUARD_MS;
    f.request.timeout_ms = 50;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_TIMEOUT);
    assert_true(f.result.elapsed_ms >= 50);
}

/* ---- limits and failures */

static void test_max_bytes(void **state)
{
    static const struct {
        const char *path;
        int64_t max_bytes;
        enum status status;
    } cases[] = {
        {"/get?bytes=100000", 100000, STATUS_OK},
        {"/get?bytes=100000", 99999, STATUS_TOO_LARGE},
        {"/get?bytes=100000&chunked=1", 100000, STATUS_OK},
        {"/get?bytes=100000&chunked=1", 99999, STATUS_TOO_LARGE},
        {"/get?bytes=0", 0, STATUS_OK},
        {"/get?bytes=1&chunked=1", 0, STATUS_TOO_LARGE},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct fetch f;

        fetch_init(&f, b, bench_url(b, cases[i].path));
        f.request.max_bytes = cases[i].max_bytes;
        fetch_start(&f);
        bench_run(b);
        fetch_assert_failed(&f, cases[i].status);
        assert_true(f.received <= cases[i].max_bytes);
        assert_int_equal(f.result.head.status, 200);
    }
}

static void test_a_length_over_the_limit_brings_no_byte(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=100000"));
    f.request.max_bytes = 50000;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_TOO_LARGE);
    assert_true(f.received == 0);
}

static void test_cut_short(void **state)
{
    struct fetch f;

    fetch_now(&f, *state, "/get?bytes=100000&cut=60000");
    fetch_assert_failed(&f, STATUS_CUT);
    assert_true(f.result.sent);
    assert_true(f.exact);
    assert_true(f.received == 60000);
    fetch_now(&f, *state, "/get?bytes=100000&chunked=1&cut=60000");
    fetch_assert_failed(&f, STATUS_CUT);
}

static void test_aborted_by_the_receiver(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=1000000"));
    f.abort_at = 200000;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_CUT);
    assert_true(f.received < 200000);
}

static void test_aborted_out_of_a_pause(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=1000000"));
    f.pause_every = 100000;
    f.abort_at = 1; /* the first bytes after the pause */
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_CUT);
    assert_int_equal(f.pauses, 1);
}

static void test_stalled_body_is_low_speed(void **state)
{
    struct fetch f;

    fetch_now(&f, *state, "/get?bytes=100000&stall=5000");
    fetch_assert_failed(&f, STATUS_TIMEOUT);
    assert_true(f.received == 5000);
    assert_true(f.result.sent);
    assert_non_null(strstr(f.error, "slow"));
    assert_true(f.result.elapsed_ms >= FETCH_WINDOW_MS);
}

static void test_stalled_after_a_pause_is_low_speed(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=100000&stall=50000"));
    f.pause_every = 20000;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_TIMEOUT);
    assert_true(f.pauses >= 1);
    assert_true(f.received == 50000);
}

static void test_a_silent_server_is_low_speed_for_get_only(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_now(&f, b, "/silent");
    fetch_assert_failed(&f, STATUS_TIMEOUT);
    assert_non_null(strstr(f.error, "slow"));
    assert_int_equal(f.heads, 0);
    assert_int_equal(f.result.head.status, 0);
    assert_true(f.result.head.content_length == -1);
    fetch_init(&f, b, bench_url(b, "/silent"));
    f.request.method = "POST";
    f.request.timeout_ms = 2 * FETCH_WINDOW_MS;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_TIMEOUT);
    assert_null(strstr(f.error, "slow"));
    assert_true(f.result.elapsed_ms >= 2 * FETCH_WINDOW_MS);
    assert_true(f.result.sent);
}

static void test_connection_refused(void **state)
{
    static const char *const methods[] = {"GET", "POST"};
    char url[64];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/",
                   test_server_free_port());
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        struct fetch f;

        fetch_init(&f, *state, url);
        f.request.method = methods[i];
        fetch_start(&f);
        bench_run(*state);
        fetch_assert_failed(&f, STATUS_NETWORK);
        assert_false(f.result.sent);
        assert_int_equal(f.heads, 0);
        assert_int_equal(f.result.head.status, 0);
    }
}

static void test_closed_without_an_answer(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/drop"));
    f.request.method = "POST";
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_NETWORK);
    assert_true(f.result.sent);
    assert_int_equal(test_server_requests(b->server), 1);
}

/* curl by itself would send it again: on a kept connection it takes the silence
 * for a dead one. */
static void test_a_post_is_never_sent_twice(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_now(&f, b, "/get?bytes=10");
    fetch_assert_whole(&f, 10);
    fetch_init(&f, b, bench_url(b, "/drop"));
    f.request.method = "POST";
    f.request.body = "{}";
    f.request.body_len = 2;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_NETWORK);
    assert_true(f.result.sent);
    assert_int_equal(test_server_requests(b->server), 2);
}

static void test_a_get_on_a_dead_connection_is_repeated(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_now(&f, b, "/get?bytes=10");
    fetch_assert_whole(&f, 10);
    fetch_now(&f, b, "/drop");
    fetch_assert_failed(&f, STATUS_NETWORK);
    assert_int_equal(test_server_requests(b->server), 3);
}

/* ---- many, and what callbacks may do */

static void test_200_at_once(void **state)
{
    struct bench *b = *state;
    struct fetch *f = calloc(200, sizeof(*f));

    assert_non_null(f);
    for (size_t i = 0; i < 200; i++) {
        fetch_init(&f[i], b, bench_url(b, "/get?bytes=50000&step=10000"));
        if (i % 2 == 0)
            f[i].pause_every = 20000;
        fetch_start(&f[i]);
    }
    bench_run(b);
    for (size_t i = 0; i < 200; i++)
        fetch_assert_whole(&f[i], 50000);
    assert_int_equal(test_server_requests(b->server), 200);
    free(f);
}

static void test_connections_are_kept(void **state)
{
    struct bench *b = *state;

    for (int i = 0; i < 20; i++) {
        struct fetch f;

        fetch_now(&f, b, "/get?bytes=1000");
        fetch_assert_whole(&f, 1000);
    }
    assert_int_equal(test_server_requests(b->server), 20);
    assert_int_equal(test_server_connections(b->server), 1);
}

/* Runs another fetch to its end: time in which a cancelled one would be heard
 * of if it still lived. */
static void assert_silent(struct fetch *f)
{
    struct fetch other;
    int64_t received = f->received;

    fetch_now(&other, f->bench, "/get?bytes=100000&step=10000&pause_ms=2");
    fetch_assert_whole(&other, 100000);
    assert_int_equal(f->dones, 0);
    assert_true(f->received == received);
}

static void test_cancel_in_on_head(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=1000000"));
    f.cancel_in_head = true;
    fetch_start(&f);
    bench_run(b);
    assert_int_equal(f.heads, 1);
    assert_silent(&f);
}

static void test_cancel_in_on_body(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    fetch_init(&f, b, bench_url(b, "/get?bytes=1000000"));
    f.cancel_in_body = true;
    fetch_start(&f);
    bench_run(b);
    assert_int_equal(f.heads, 1);
    assert_silent(&f);
}

static void test_cancel_another_in_on_done(void **state)
{
    struct bench *b = *state;
    struct fetch f[2];

    /* both are ready together; whichever ends first cancels the other */
    for (int i = 0; i < 2; i++) {
        fetch_init(&f[i], b, bench_url(b, "/get?bytes=1000"));
        f[i].cancel_in_done = &f[1 - i];
        fetch_start(&f[i]);
    }
    bench_run(b);
    assert_int_equal(f[0].dones + f[1].dones, 1);
    assert_silent(f[0].dones == 0 ? &f[0] : &f[1]);
}

static void test_cancel_before_and_while_paused(void **state)
{
    struct bench *b = *state;
    struct fetch f, paused, other;

    fetch_get(&f, b, "/get?bytes=1000000");
    fetch_cancel(&f); /* before the loop ever saw it */
    assert_silent(&f);
    assert_int_equal(f.heads, 0);
    assert_int_equal(test_server_requests(b->server), 1);

    fetch_init(&paused, b, bench_url(b, "/get?bytes=1000000"));
    paused.pause_every = 100000;
    paused.pause_ms = FETCH_GUARD_MS;
    fetch_start(&paused);
    fetch_get(&other, b, "/get?bytes=100000&step=10000&pause_ms=2");
    other.cancel_in_done = &paused;
    bench_run(b);
    assert_int_equal(paused.pauses, 1);
    assert_silent(&paused);
}

/* Resumed and cancelled in one breath: the cancel counts. */
static void test_cancel_after_resume(void **state)
{
    struct bench *b = *state;
    struct fetch paused, other;

    fetch_init(&paused, b, bench_url(b, "/get?bytes=1000000"));
    paused.pause_every = 100000;
    paused.pause_ms = FETCH_GUARD_MS;
    fetch_start(&paused);
    fetch_get(&other, b, "/get?bytes=100000&step=10000&pause_ms=2");
    b->left--; /* come back when `other` is done */
    bench_run(b);
    assert_int_equal(paused.pauses, 1);
    b->left++;
    http_resume(paused.transfer);
    fetch_cancel(&paused);
    assert_silent(&paused);
}

static void test_start_in_a_callback(void **state)
{
    struct bench *b = *state;
    struct fetch first, second;
    char url[512];

    fetch_init(&first, b, bench_url(b, "/get?bytes=50000"));
    assert_true(str_copy(url, sizeof(url), bench_url(b, "/get?bytes=60000")));
    fetch_init(&second, b, url);
    first.start_in_head = &second;
    b->url[0] = '\0';
    first.request.url = url;
    fetch_start(&first);
    bench_run(b);
    fetch_assert_whole(&first, 60000);
    fetch_assert_whole(&second, 60000);
}

static void test_free_with_transfers_under_way(void **state)
{
    static const char *const paths[] = {
        "/get?bytes=10000000&step=1000&pause_ms=1", "/silent",
        "/get?bytes=1000000&stall=500000", "/get?bytes=1000000"};
    struct bench *b = *state;
    struct fetch f[4], last, end;

    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        fetch_get(&f[i], b, paths[i]);
    f[3].pause_every = 100000;
    f[3].pause_ms = FETCH_GUARD_MS;
    b->left -= ARRAY_COUNT(paths);
    fetch_now(&end, b, "/get?bytes=100000&step=10000&pause_ms=2");
    fetch_get(&last, b, "/get?bytes=1"); /* not even begun */
    loop_timer_cancel(b->loop, &f[3].resume_timer);
    http_free(b->http);
    b->http = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        assert_int_equal(f[i].dones, 0);
    assert_int_equal(last.dones, 0);
}

/* ---- names that take long to resolve */

/*
 * curl resolves in threads of its own by getaddrinfo(3); this one takes its
 * place and keeps them waiting until the test lets them go. A test that would
 * never come to that point is freed after GATE_S, which it then notices.
 */
#define GATE_S 10

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside; /* threads that wait */
    bool open;
    bool late;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .changed = PTHREAD_COND_INITIALIZER};

int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
    struct timespec until;

    (void)service;
    (void)hints;
    (void)out;
    if (strncmp(name, "unknown.", 8) == 0)
        return EAI_NONAME;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GATE_S;
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    while (!gate.open &&
           pthread_cond_timedwait(&gate.changed, &gate.lock, &until) == 0)
        ;
    gate.late = gate.late || !gate.open;
    gate.inside--;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return EAI_AGAIN;
}

/* Lets the resolver threads go. True if they were still waiting. */
static bool gate_release(void)
{
    bool in_time;

    pthread_mutex_lock(&gate.lock);
    in_time = gate.inside > 0 && !gate.late;
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    while (gate.inside > 0)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.open = false;
    pthread_mutex_unlock(&gate.lock);
    return in_time;
}

static void test_a_slow_name_holds_up_nobody(void **state)
{
    struct bench *b = *state;
    struct fetch slow, cancelled, other;

    fetch_init(&slow, b, "http://slow.invalid/");
    slow.request.timeout_ms = 200;
    fetch_start(&slow);
    fetch_init(&cancelled, b, "http://slower.invalid/");
    fetch_start(&cancelled);
    fetch_init(&other, b,
               bench_url(b, "/get?bytes=20000&step=1000&pause_ms=5"));
    other.cancel_in_done = &cancelled;
    fetch_start(&other);
    bench_run(b);
    fetch_assert_whole(&other, 20000);
    fetch_assert_failed(&slow, STATUS_TIMEOUT);
    assert_false(slow.result.sent);
    assert_true(gate_release());
}

static void test_free_while_a_name_is_looked_up(void **state)
{
    struct bench *b = *state;
    struct fetch slow, other;

    fetch_init(&slow, b, "http://slow.invalid/");
    fetch_start(&slow);
    fetch_get(&other, b, "/get?bytes=20000&step=1000&pause_ms=5");
    b->left--;
    bench_run(b);
    fetch_assert_whole(&other, 20000);
    http_free(b->http);
    b->http = NULL;
    assert_true(gate_release());
}

static void test_an_unknown_name_spoils_no_later_transfer(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    for (int i = 0; i < 3; i++) {
        fetch_init(&f, b, "http://unknown.invalid/");
        fetch_start(&f);
        bench_run(b);
        fetch_assert_failed(&f, STATUS_NETWORK);
    }
    fetch_now(&f, b, "/get?bytes=10");
    fetch_assert_whole(&f, 10);
}

static void test_nor_does_one_cancelled_before_it_connects(void **state)
{
    struct bench *b = *state;
    struct fetch slow, other;

    fetch_init(&slow, b, "http://slow.invalid/");
    fetch_start(&slow);
    fetch_init(&other, b,
               bench_url(b, "/get?bytes=20000&step=1000&pause_ms=5"));
    other.cancel_in_done = &slow;
    fetch_start(&other);
    bench_run(b);
    fetch_assert_whole(&other, 20000);
    assert_true(gate_release());
    for (int i = 0; i < 3; i++) {
        fetch_now(&other, b, "/get?bytes=10");
        fetch_assert_whole(&other, 10);
    }
}

/* ---- proxies */

static void test_no_proxy_for_this_machine(void **state)
{
    struct bench *b = *state;
    struct fetch f;
    char proxy[64];

    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d",
                   test_server_free_port());
    assert_int_equal(setenv("http_proxy", proxy, 1), 0);
    fetch_now(&f, b, "/get?bytes=10");
    fetch_assert_whole(&f, 10);
    assert_int_equal(unsetenv("http_proxy"), 0);
}

static void test_a_proxy_for_the_rest(void **state)
{
    struct bench *b = *state;
    struct fetch f;
    char proxy[64];

    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d",
                   test_server_port(b->server));
    assert_int_equal(setenv("http_proxy", proxy, 1), 0);
    fetch_init(&f, b, "http://content.invalid/get?bytes=10");
    fetch_start(&f);
    bench_run(b);
    assert_int_equal(unsetenv("http_proxy"), 0);
    fetch_assert_whole(&f, 10);
    assert_int_equal(test_server_requests(b->server), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_WINDOW(name)                                                      \
    cmocka_unit_test_setup_teardown(name, setup_window, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole_body),
        TEST(test_chunked_body),
        TEST(test_empty_body),
        TEST(test_slow_body),
        TEST(test_error_answers_are_answers),
        TEST(test_odd_header_values),
        TEST(test_post_body_arrives_exactly),
        TEST(test_put),
        TEST(test_request_headers_are_sent),
        TEST(test_body_without_a_receiver_is_dropped),
        TEST(test_bad_requests_are_refused),
        TEST(test_pause_and_resume_lose_nothing),
        TEST(test_resume_of_what_is_not_paused_is_nothing),
        TEST(test_paused_before_the_first_and_last_byte),
        TEST(test_a_paused_transfer_holds_up_no_other),
        TEST_WINDOW(test_a_pause_is_not_low_speed),
        TEST(test_the_total_time_counts_while_paused),
        TEST(test_max_bytes),
        TEST(test_a_length_over_the_limit_brings_no_byte),
        TEST(test_cut_short),
        TEST(test_aborted_by_the_receiver),
        TEST(test_aborted_out_of_a_pause),
        TEST_WINDOW(test_stalled_body_is_low_speed),
        TEST_WINDOW(test_stalled_after_a_pause_is_low_speed),
        TEST_WINDOW(test_a_silent_server_is_low_speed_for_get_only),
        TEST(test_connection_refused),
        TEST(test_closed_without_an_answer),
        TEST(test_a_post_is_never_sent_twice),
        TEST(test_a_get_on_a_dead_connection_is_repeated),
        TEST(test_200_at_once),
        TEST(test_connections_are_kept),
        TEST(test_cancel_in_on_head),
        TEST(test_cancel_in_on_body),
        TEST(test_cancel_another_in_on_done),
        TEST(test_cancel_before_and_while_paused),
        TEST(test_cancel_after_resume),
        TEST(test_start_in_a_callback),
        TEST(test_free_with_transfers_under_way),
        TEST(test_a_slow_name_holds_up_nobody),
        TEST(test_an_unknown_name_spoils_no_later_transfer),
        TEST(test_nor_does_one_cancelled_before_it_connects),
        TEST(test_free_while_a_name_is_looked_up),
        TEST(test_no_proxy_for_this_machine),
        TEST(test_a_proxy_for_the_rest),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
