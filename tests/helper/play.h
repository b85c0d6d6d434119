/*
 * play.h: jobs on their way through the real parts of a worker (loop, offload,
 * http, line_api, lab, store_dir, queue thread) to their outcome. LINE is
 * played by line_double.h; queue and store fail when a test says so.
 *
 *   play_script(play, "GET", PLAY_ANSWERS({.status = 500}, PLAY_WHOLE(jpeg)));
 *   play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
 *   row = play_one(play, play_job(1));
 *   play_assert_replied(&row, 2);
 *
 * The fixture is a cmocka one: play_new and play_free for the group,
 * play_set_up and play_tear_down around each test; *state is the struct play.
 * Time is real: tries are 125 to 250 ms apart at first (job.h).
 */
#ifndef DARKROOM_TEST_PLAY_H
#define DARKROOM_TEST_PLAY_H

#include "buf.h"
#include "fake_queue.h"
#include "fake_store.h"
#include "lab_program.h"
#include "line_double.h"
#include "pipeline.h"
#include "test_dir.h"

#define PLAY_REPLY "POST /v2/bot/message/reply"
#define PLAY_PUSH "POST /v2/bot/message/push"
#define PLAY_MAX_INPUT_BYTES 2000000

/* A list of answers and their number, as line_double_script() takes them. */
#define PLAY_ANSWERS(...)                                                      \
    (const struct test_answer[]){__VA_ARGS__},                                 \
        sizeof((const struct test_answer[]){__VA_ARGS__}) /                    \
            sizeof(struct test_answer)
#define PLAY_WHOLE(picture)                                                    \
    {                                                                          \
        .body = (picture).data, .len = (picture).len                           \
    }
#define PLAY_TEXT(text)                                                        \
    {                                                                          \
        .body = (text), .len = sizeof(text) - 1                                \
    }

struct play {
    /* for all tests of the program */
    char lab_program[LAB_PROGRAM_MAX];
    struct buf small_jpeg; /* 321 x 123: one file serves as both */
    struct buf large_jpeg; /* 1600 x 1200: has a preview of its own */
    struct buf small_png;  /* 200 x 150 */

    /* for one test */
    char dir[TEST_DIR_MAX];
    struct line_double *line;
    struct config config;
    struct config_live *live;      /* of `config` */
    struct config_channel channel; /* "default", access token "access-1" */
    uint8_t name_key[STORE_NAME_KEY_BYTES];
    struct store *store;
    struct fake_store fake_store;
    struct fake_queue queue;
    struct loop *loop;
    struct offload *offload;
    struct http *http;
    struct line_api *api;
    struct lab *lab;
    struct pipeline *pipeline;
    struct queue_thread *queue_thread;
    struct loop_timer poll;
    int64_t guard_ms;
    bool (*until)(struct play *play);
    int idle; /* calls of the drain's on_idle */
};

int play_new(void **state);
int play_free(void **state);
int play_set_up(void **state);
int play_tear_down(void **state);

/* `words` and `answers` are lent for the test. */
void play_script(struct play *play, const char *words,
                 const struct test_answer *answers, size_t count);

/* Job n is message "60000000n" with the token "token-n". Not stored. */
struct job play_job(int n);

/* Starts the queue thread, which claims at once what is stored already. */
void play_start(struct play *play);

/* Runs the loop; the test fails if it does not come true. */
void play_run_until(struct play *play, bool (*until)(struct play *play));
bool play_is_idle(struct play *play); /* no job in hand */
bool play_is_over(struct play *play); /* and none in the queue */

/* Quiesces the queue and drains; play->idle counts on_idle. */
void play_drain(struct play *play);

struct job play_row(struct play *play, int64_t id);

/* Stores the job, starts, runs until it is over. */
struct job play_one(struct play *play, struct job job);

/* Content requests and replies so far. */
void play_assert_requests(struct play *play, size_t gets, size_t replies);

/* The nth reply was this, to the letter (line-platform 4.1 and 5). */
void play_assert_reply(struct play *play, const char *token, size_t nth,
                       const struct job *row);

void play_assert_replied(const struct job *row, int attempts);
void play_assert_dead(const struct job *row, enum status status,
                      const char *reason);

/* Published files: names by the contract, sound PNG, no more than the bytes. */
void play_assert_name(struct play *play, const char *name,
                      const struct job *row, bool preview);
void play_assert_png(struct play *play, const char *name, uint32_t width_px,
                     int64_t max_bytes); /* width 0: any */
void play_assert_small_jpeg(struct play *play, const struct job *row);
void play_assert_large_jpeg(struct play *play, const struct job *row);

void play_assert_no_temporary_file(struct play *play);

/* No file in the store, temporary or published. */
void play_assert_nothing_published(struct play *play);

#endif
