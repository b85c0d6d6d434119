/*
 * lab_bench.h: a worker's loop with keeper and labs for tests, and pictures on
 * their way through them ("shots"). A failure is a failed assertion of cmocka.
 *
 *   lab_bench_start(&bench, labs, 0);
 *   lab_shot_start(&shot, &bench, &lab_samples.jpeg);
 *   lab_bench_run(&bench, lab_shot_is_done, &shot);
 *   lab_shot_assert_good(&shot, IMAGE_TYPE_JPEG);
 *   lab_shot_release(&shot);
 *   lab_bench_stop(&bench);
 */
#ifndef DARKROOM_TEST_LAB_BENCH_H
#define DARKROOM_TEST_LAB_BENCH_H

#include "buf.h"
#include "lab.h"

#define LAB_SHOTS_MAX 24

struct lab_samples {
    char dir[64];
    char program[512]; /* darkroom-lab */
    struct buf jpeg, large_jpeg, png, text;
};

extern struct lab_samples lab_samples;

struct lab_bench {
    struct loop *loop;
    struct lab *lab;
    pid_t keeper_pid, killed_pid;
    int broken;
    struct loop_timer poll;
    int64_t guard_ms;
    bool (*until)(void *arg);
    void *until_arg;
};

/* One picture on its way through a lab. */
struct lab_shot {
    struct lab_bench *bench;
    const struct buf *input;
    size_t step;    /* bytes per write; 0: all that a tick allows */
    size_t hold_at; /* stays unfinished after so many bytes; 0: does not */
    bool alone;
    const char *output; /* path of both outputs; NULL: temporary files */
    const struct transcode_options *limits; /* NULL: the default */
    struct lab_stream *stream;
    struct loop_timer feed;
    size_t sent;
    bool ended, paused;
    int heads, rooms, dones;
    enum status status;
    struct transcode_report head, report;
    int original_fd, preview_fd;
};

struct lab_shots {
    struct lab_shot shots[LAB_SHOTS_MAX];
    size_t count;
};

/* Group fixtures: sample pictures, a temporary directory. */
int lab_bench_set_up(void **state);

int lab_bench_tear_down(void **state);

/* stall_ms 0: the default. */
void lab_bench_start(struct lab_bench *bench, size_t labs, int64_t stall_ms);

/* The same with one lab, and a ceiling for what waits. */
void lab_bench_start_tight(struct lab_bench *bench, size_t spill_max_bytes);

/* Frees the lab; the keeper must be gone by then. */
void lab_bench_stop(struct lab_bench *bench);

/* Runs the loop until `until(arg)`; fails after two minutes. */
void lab_bench_run(struct lab_bench *bench, bool (*until)(void *arg),
                   void *arg);

/* The first lab, once it is up. */
pid_t lab_bench_pid(struct lab_bench *bench);

/* Ends the only lab and waits for the next. */
void lab_bench_kill(struct lab_bench *bench);

/* Gone, or waiting for its parent to notice. */
bool lab_bench_is_dead(pid_t pid);

void lab_bench_assert_dies(pid_t pid);

/* The whole of `input`, written in steps, ends well. */
void lab_bench_check(struct lab_bench *bench, const struct buf *input,
                     enum image_type type, size_t step);

/* Opens it and begins to write. */
void lab_shot_start(struct lab_shot *shot, struct lab_bench *bench,
                    const struct buf *input);

enum status lab_shot_open(struct lab_shot *shot);

/* Goes on writing, from the loop. */
void lab_shot_feed(struct lab_shot *shot);

void lab_shot_run(struct lab_shot *shot, struct lab_bench *bench,
                  const struct buf *input);

/* The whole of `input` ends with `status`. */
void lab_shot_expect(struct lab_bench *bench, const struct buf *input,
                     enum status status);

/* It ended well, and the files are what the report says. */
void lab_shot_assert_good(const struct lab_shot *shot, enum image_type type);

void lab_shot_release(struct lab_shot *shot);

/* For lab_bench_run(): `arg` is a struct lab_shot ... */
bool lab_shot_is_done(void *arg);

/* All that it may send before hold_at has been taken. */
bool lab_shot_holds(void *arg);

bool lab_shot_is_paused(void *arg);

bool lab_shot_is_sent(void *arg);

/* ... or a struct lab_shots. */
bool lab_shots_are_done(void *arg);

#endif
