/*
 * http_fetch.h: HTTP transfers for tests. A bench is a server, a loop and a
 * client; a fetch is one transfer, what its callbacks shall do, and all that
 * happened to it. Failed checks fail the running cmocka test.
 *
 *   bench_open(&b, test_server_start(NULL, NULL), NULL, 0);
 *   fetch_init(&f, &b, bench_url(&b, "/get?bytes=1000"));
 *   f.pause_every = 100;
 *   fetch_start(&f);
 *   bench_run(&b);
 *   fetch_assert_whole(&f, 1000);
 *   bench_close(&b);
 */
#ifndef DARKROOM_HTTP_FETCH_H
#define DARKROOM_HTTP_FETCH_H

#include "buf.h"
#include "http.h"

#define FETCH_GUARD_MS 60000 /* a test that hangs fails */
#define FETCH_WINDOW_MS 500  /* of low speed, in the tests about it */
#define MIB (1024 * 1024)

struct test_server;

struct bench {
    struct test_server *server;
    struct loop *loop;
    struct http *http;
    struct loop_timer guard;
    size_t left; /* fetches under way; bench_run() ends at 0 */
    char url[512];
};

/* One transfer and all that happened to it. */
struct fetch {
    struct bench *bench;
    struct http_request request;
    struct http_transfer *transfer;

    /* what to do in callbacks */
    int64_t pause_every; /* bytes, from next_pause on; 0 for never */
    int64_t pause_ms;
    int64_t abort_at; /* bytes; 0 for never */
    bool cancel_in_head;
    bool cancel_in_body;
    struct fetch *cancel_in_done;
    struct fetch *start_in_head;
    bool expect_text; /* keep the body as text */

    /* what happened */
    int heads, dones;
    bool over;  /* on_done came or it was cancelled */
    bool exact; /* every byte was test_server_byte() of its place */
    bool paused;
    bool aborted; /* on_body answered so */
    int pauses;
    int64_t received;
    int64_t next_pause;
    struct http_head head; /* as on_head saw it */
    struct http_result result;
    char error[256];
    struct buf text;
    struct loop_timer resume_timer;
};

/* Takes the server over; fails if it is NULL. `ca_file` and `window_ms` are
 * http_options of the client. */
void bench_open(struct bench *b, struct test_server *server,
                const char *ca_file, int64_t window_ms);
void bench_close(struct bench *b);

/* The URL of a path on the server; good until the next call. */
const char *bench_url(struct bench *b, const char *path);

/* Runs the loop until every fetch is over. */
void bench_run(struct bench *b);

/* A GET that checks every byte of the body, to be changed before it starts. */
void fetch_init(struct fetch *f, struct bench *b, const char *url);
void fetch_start(struct fetch *f);
void fetch_cancel(struct fetch *f);

/* Continues a fetch that paused itself, before its pause_ms are over. */
void fetch_resume(struct fetch *f);

/* Init and start; init, start and run. */
void fetch_get(struct fetch *f, struct bench *b, const char *path);
void fetch_now(struct fetch *f, struct bench *b, const char *path);

/* It ended well, with so many bytes, each of them right. */
void fetch_assert_whole(const struct fetch *f, int64_t bytes);

/* It ended with `status`, told once. */
void fetch_assert_failed(const struct fetch *f, enum status status);

#endif
