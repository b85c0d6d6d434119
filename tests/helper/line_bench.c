/*
 * line_bench.c: the loop is run for a while, asked, run again; a guard ends a
 * test that hangs.
 */
#include "line_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define POLL_MS 2
#define GUARD_MS 60000

static void on_poll(void *arg)
{
    struct line_bench *bench = arg;

    if (bench->is_over(bench->is_over_arg))
        loop_stop(bench->loop);
    else
        assert_int_equal(loop_timer_set(bench->loop, &bench->poll,
                                        loop_now_ms(bench->loop) + POLL_MS),
                         STATUS_OK);
}

static void on_guard(void *arg)
{
    (void)arg;
    fail_msg("the test hangs");
}

void line_bench_open(struct line_bench *bench)
{
    struct http_options http = {.user_agent = "test"};
    struct line_api_options line = {.state_dir = bench->dir};

    *bench = (struct line_bench){
        .channel = {.name = "default", .access_token = "access-1"}};
    test_dir_make(bench->dir);
    bench->line = line_double_start();
    assert_int_equal(loop_new(&bench->loop), STATUS_OK);
    loop_timer_init(&bench->poll, on_poll, bench);
    loop_timer_init(&bench->guard, on_guard, bench);
    assert_int_equal(offload_new(&bench->offload, bench->loop, 2), STATUS_OK);
    assert_int_equal(http_new(&bench->http, bench->loop, &http), STATUS_OK);
    line.loop = bench->loop;
    line.http = bench->http;
    line.offload = bench->offload;
    line.api_url = line_double_url(bench->line);
    line.data_api_url = line.api_url;
    assert_int_equal(line_api_new(&bench->api, &line), STATUS_OK);
}

void line_bench_close(struct line_bench *bench)
{
    line_double_stop(bench->line);
    offload_free(bench->offload);
    line_api_free(bench->api);
    http_free(bench->http);
    loop_timer_cancel(bench->loop, &bench->poll);
    loop_timer_cancel(bench->loop, &bench->guard);
    loop_free(bench->loop);
    test_dir_remove(bench->dir);
}

void line_bench_done(void *arg, const struct line_outcome *outcome)
{
    struct line_bench_call *call = arg;

    call->call = NULL;
    call->dones++;
    call->outcome = *outcome;
}

static bool call_is_over(void *arg)
{
    const struct line_bench_call *call = arg;

    return call->dones > 0;
}

void line_bench_run_until(struct line_bench *bench, bool (*is_over)(void *arg),
                          void *arg)
{
    int64_t now_ms = loop_now_ms(bench->loop);

    bench->is_over = is_over;
    bench->is_over_arg = arg;
    assert_int_equal(
        loop_timer_set(bench->loop, &bench->guard, now_ms + GUARD_MS),
        STATUS_OK);
    assert_int_equal(loop_timer_set(bench->loop, &bench->poll, now_ms),
                     STATUS_OK);
    assert_int_equal(loop_run(bench->loop), STATUS_OK);
    loop_timer_cancel(bench->loop, &bench->guard);
}

void line_bench_run(struct line_bench *bench, struct line_bench_call *call)
{
    line_bench_run_until(bench, call_is_over, call);
    assert_int_equal(call->dones, 1);
}
