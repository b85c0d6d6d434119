/*
 * check.h: proves a set-up as a whole, from the inside out: directories, queue,
 * jail, LINE, the way from outside. Each thing that was looked at is told by
 * one line, and a failure with what to do about it.
 *
 *   lab_keeper_spawn(NULL, &options.keeper)     first act, as in a worker
 *   check_run(&options)
 *     ... on_line for each ...
 *
 * It works beside a pool that runs and disturbs nothing: it publishes one file
 * and removes it, sends each channel's webhook an empty body as LINE's "Verify"
 * does, and asks LINE for one test of each webhook (60 an hour, line-platform
 * 8). What is not there yet (queue, store) is not made.
 *
 * Bounded: CHECK_MAX_MS for all of it; what has no time left is skipped. Blocks
 * meanwhile; on the main thread.
 */
#ifndef DARKROOM_CHECK_H
#define DARKROOM_CHECK_H

#include "config.h"
#include "lab.h"

enum check_result { CHECK_PASS, CHECK_FAIL, CHECK_SKIP };

struct check_line {
    const char *name;    /* "webhook test" */
    const char *channel; /* "" if it is about all of them */
    enum check_result result;
    const char *found;  /* one line */
    const char *advice; /* what to do; "" unless it failed */
};

struct check_options {
    const struct config *config;
    struct lab_keeper keeper; /* taken over, also on failure; fd -1: none */
    bool offline;             /* nothing but this machine's files */
    void *arg;
    void (*on_line)(void *arg, const struct check_line *line);
    /* The queue is held by another process; from another thread, while
     * check_run() waits for it. */
    void (*on_queue_wait)(void *arg);
};

/* OK: everything was told, whatever came of it. Else it could not begin. */
enum status check_run(const struct check_options *options) MUST_CHECK;

/* "pass", "fail", "skip" */
const char *check_result_name(enum check_result result);

#endif
