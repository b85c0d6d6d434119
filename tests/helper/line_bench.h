/*
 * line_bench.h: a line_api with all it stands on, towards a line_double.
 *
 *   line_bench_open(&bench);
 *   line_reply(bench.api, ...arg = &call, on_done = line_bench_done...)
 *   line_bench_run(&bench, &call);        until on_done
 *   line_bench_close(&bench);
 *
 * For the test's thread. Failed checks fail the running test.
 */
#ifndef DARKROOM_TEST_LINE_BENCH_H
#define DARKROOM_TEST_LINE_BENCH_H

#include "line_api.h"
#include "line_double.h"
#include "test_dir.h"

struct line_bench {
    char dir[TEST_DIR_MAX]; /* the state directory */
    struct line_double *line;
    struct loop *loop;
    struct offload *offload;
    struct http *http;
    struct line_api *api;
    struct loop_timer poll, guard;
    bool (*is_over)(void *arg);
    void *is_over_arg;
    struct config_channel channel; /* "default", with a given token */
};

/* A call and its end. */
struct line_bench_call {
    struct line_call *call;
    int dones;
    struct line_outcome outcome;
};

void line_bench_open(struct line_bench *bench);
void line_bench_close(struct line_bench *bench);

/* on_done of requests whose arg is a struct line_bench_call. */
void line_bench_done(void *call, const struct line_outcome *outcome);

/* Runs the loop until the call is over; until `is_over` says so. */
void line_bench_run(struct line_bench *bench, struct line_bench_call *call);
void line_bench_run_until(struct line_bench *bench, bool (*is_over)(void *arg),
                          void *arg);

#endif
