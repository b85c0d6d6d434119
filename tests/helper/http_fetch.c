/*
 * http_fetch.c: callbacks that check the contract of http.h as they go: the
 * order of calls, none after the end, none from inside a call of ours.
 */
#include "http_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "test_server.h"

/* ---- the bench */

static void on_guard(void *arg)
{
    (void)arg;
    fail_msg("still waiting after %d ms", FETCH_GUARD_MS);
}

void bench_open(struct bench *b, struct test_server *server,
                const char *ca_file, int64_t window_ms)
{
    struct http_options options = {
        .user_agent = "darkroom-test",
        .ca_file = ca_file,
        .low_speed_window_ms = window_ms,
    };

    *b = (struct bench){.server = server};
    assert_non_null(server);
    assert_int_equal(loop_new(&b->loop), STATUS_OK);
    assert_int_equal(http_new(&b->http, b->loop, &options), STATUS_OK);
    loop_timer_init(&b->guard, on_guard, b);
}

void bench_close(struct bench *b)
{
    http_free(b->http);
    loop_timer_cancel(b->loop, &b->guard);
    loop_free(b->loop);
    test_server_stop(b->server);
}

const char *bench_url(struct bench *b, const char *path)
{
    (void)snprintf(b->url, sizeof(b->url), "http://127.0.0.1:%d%s",
                   test_server_port(b->server), path);
    return b->url;
}

void bench_run(struct bench *b)
{
    assert_int_equal(loop_timer_set(b->loop, &b->guard,
                                    loop_now_ms(b->loop) + FETCH_GUARD_MS),
                     STATUS_OK);
    while (b->left > 0)
        assert_int_equal(loop_run(b->loop), STATUS_OK);
}

/* ---- a fetch */

static void fetch_over(struct fetch *f)
{
    assert_false(f->over);
    f->over = true;
    f->transfer = NULL;
    if (--f->bench->left == 0)
        loop_stop(f->bench->loop);
}

void fetch_cancel(struct fetch *f)
{
    http_cancel(f->transfer);
    loop_timer_cancel(f->bench->loop, &f->resume_timer);
    fetch_over(f);
}

void fetch_start(struct fetch *f)
{
    f->bench->left++;
    assert_int_equal(http_start(f->bench->http, &f->request, &f->transfer),
                     STATUS_OK);
    assert_int_equal(f->heads + f->dones, 0); /* no callback from inside */
}

static void on_head(void *arg, const struct http_head *head)
{
    struct fetch *f = arg;

    assert_false(f->over);
    f->heads++;
    f->head = *head;
    assert_true(f->received == 0);
    if (f->start_in_head != NULL)
        fetch_start(f->start_in_head);
    if (f->cancel_in_head)
        fetch_cancel(f);
}

void fetch_resume(struct fetch *f)
{
    int64_t received = f->received;

    assert_true(f->paused);
    f->paused = false;
    loop_timer_cancel(f->bench->loop, &f->resume_timer);
    http_resume(f->transfer);
    http_resume(f->transfer);             /* twice is once */
    assert_true(f->received == received); /* nothing comes from inside */
}

static void on_resume_timer(void *arg)
{
    fetch_resume(arg);
}

static enum http_body_answer fetch_pause(struct fetch *f)
{
    f->paused = true;
    f->pauses++;
    f->next_pause += f->pause_every;
    assert_int_equal(loop_timer_set(f->bench->loop, &f->resume_timer,
                                    loop_now_ms(f->bench->loop) + f->pause_ms),
                     STATUS_OK);
    return HTTP_BODY_PAUSE;
}

static enum http_body_answer on_body(void *arg, const char *bytes, size_t len)
{
    struct fetch *f = arg;

    assert_false(f->over);
    assert_false(f->paused);
    assert_false(f->aborted);
    assert_int_equal(f->heads, 1);
    if (f->cancel_in_body) {
        fetch_cancel(f);
        return HTTP_BODY_OK;
    }
    if (f->pause_every > 0 && f->received >= f->next_pause)
        return fetch_pause(f);
    if (f->abort_at > 0 && f->received + (int64_t)len >= f->abort_at) {
        f->aborted = true;
        return HTTP_BODY_ABORT;
    }
    for (size_t i = 0; i < len; i++)
        f->exact =
            f->exact && bytes[i] == test_server_byte((uint64_t)f->received + i);
    f->received += (int64_t)len;
    if (f->expect_text)
        assert_int_equal(buf_append(&f->text, bytes, len), STATUS_OK);
    return HTTP_BODY_OK;
}

static void on_done(void *arg, const struct http_result *result)
{
    struct fetch *f = arg;

    f->dones++;
    f->result = *result;
    assert_non_null(result->error);
    assert_true(str_copy(f->error, sizeof(f->error), result->error));
    assert_int_equal(result->error[0] == '\0', result->status == STATUS_OK);
    f->result.error = f->error;
    assert_true(result->body_bytes == f->received);
    loop_timer_cancel(f->bench->loop, &f->resume_timer);
    if (f->cancel_in_done != NULL && !f->cancel_in_done->over)
        fetch_cancel(f->cancel_in_done);
    fetch_over(f);
}

void fetch_init(struct fetch *f, struct bench *b, const char *url)
{
    *f = (struct fetch){.bench = b, .exact = true};
    f->request = (struct http_request){
        .method = "GET",
        .url = url,
        .timeout_ms = FETCH_GUARD_MS,
        .max_bytes = 64 * MIB,
        .arg = f,
        .on_head = on_head,
        .on_body = on_body,
        .on_done = on_done,
    };
    loop_timer_init(&f->resume_timer, on_resume_timer, f);
    buf_init(&f->text, MIB);
}

void fetch_get(struct fetch *f, struct bench *b, const char *path)
{
    fetch_init(f, b, bench_url(b, path));
    fetch_start(f);
}

void fetch_now(struct fetch *f, struct bench *b, const char *path)
{
    fetch_get(f, b, path);
    bench_run(b);
}

void fetch_assert_whole(const struct fetch *f, int64_t bytes)
{
    assert_string_equal(f->error, "");
    assert_int_equal(f->result.status, STATUS_OK);
    assert_int_equal(f->dones, 1);
    assert_int_equal(f->heads, 1);
    assert_true(f->exact);
    assert_true(f->received == bytes);
    assert_true(f->result.sent);
}

void fetch_assert_failed(const struct fetch *f, enum status status)
{
    assert_string_equal(status_name(f->result.status), status_name(status));
    assert_int_equal(f->dones, 1);
}
