/*
 * test_pipeline.c: jobs on their way through the real parts of a worker (loop,
 * offload, http, line_api, lab, store_dir, queue thread) to their one outcome.
 * LINE is played by line_double.h; queue and store fail when a test says so.
 *
 * Most tests are a scenario: how LINE answers, and how the job must end. Time
 * is real; tries are 125 to 250 ms apart at first (job.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../helper/fake_queue.h"
#include "../helper/fake_store.h"
#include "../helper/lab_program.h"
#include "../helper/line_double.h"
#include "../helper/picture.h"
#include "../helper/png_file.h"
#include "../helper/test_dir.h"
#include "buf.h"
#include "log.h"
#include "pipeline.h"

#define WATCHDOG_S 120
#define PATIENCE_MS 30000 /* for what must come */
#define PUBLIC_URL "https://bot.example.com"
#define REPLY "POST /v2/bot/message/reply"
#define MAX_INPUT_BYTES 2000000
#define PATH_BYTES (TEST_DIR_MAX + JOB_FILE_NAME_MAX + 32)

/* The beginning of a list of answers, and their number. */
#define ANSWERS(...)                                                           \
    (const struct test_answer[]){__VA_ARGS__},                                 \
        sizeof((const struct test_answer[]){__VA_ARGS__}) /                    \
            sizeof(struct test_answer)
#define WHOLE(picture)                                                         \
    {                                                                          \
        .body = (picture).data, .len = (picture).len                           \
    }
#define TEXT(text)                                                             \
    {                                                                          \
        .body = (text), .len = sizeof(text) - 1                                \
    }
#define REFUSED_AS_USED                                                        \
    {                                                                          \
        .status = 400, .body = used_token, .len = sizeof(used_token) - 1       \
    }

struct bench {
    char dir[TEST_DIR_MAX];
    struct line_double *line;
    struct config config;
    struct config_channel channel;
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
    bool (*until)(void);
    int idle;     /* calls of on_idle */
    size_t files; /* counted */
};

static struct bench bench;
static char lab_program[LAB_PROGRAM_MAX];
static struct buf small_jpeg, large_jpeg, small_png;

static const char used_token[] = "{\"message\":\"Invalid reply token\"}";
static const char bad_message[] =
    "{\"message\":\"The request body has 1 error(s)\",\"details\":"
    "[{\"message\":\"must be https\",\"property\":\"messages[0]\"}]}";
static const char html[] = "<html>This is not a picture.</html>";

/* ---- waiting */

static void on_poll(void *arg)
{
    (void)arg;
    if (bench.until() || mono_ms() > bench.guard_ms) {
        loop_stop(bench.loop);
        return;
    }
    assert_int_equal(loop_timer_set(bench.loop, &bench.poll, mono_ms() + 1),
                     STATUS_OK);
}

static void run_until(bool (*until)(void))
{
    bench.until = until;
    bench.guard_ms = mono_ms() + PATIENCE_MS;
    assert_int_equal(loop_timer_set(bench.loop, &bench.poll, mono_ms()),
                     STATUS_OK);
    assert_int_equal(loop_run(bench.loop), STATUS_OK);
    assert_true(until());
}

static bool is_idle(void)
{
    return pipeline_load(bench.pipeline) == 0;
}

static bool all_are_over(void)
{
    struct queue_stats stats;

    fake_queue_stats(&bench.queue, &stats);
    return stats.ready == 0 && stats.leased == 0 && is_idle();
}

static bool has_asked_once(void)
{
    return line_double_count(bench.line, "GET") == 1;
}

static bool has_asked_twice(void)
{
    return line_double_count(bench.line, "GET") == 2;
}

/* The stream is opened before the content is asked for. */
static bool is_in_lab(void)
{
    return has_asked_once() && lab_waiting(bench.lab) == 0;
}

static bool is_in_lab_again(void)
{
    return has_asked_twice() && lab_waiting(bench.lab) == 0;
}

/* ---- the bench */

static void fill_config(void)
{
    struct config *config = &bench.config;

    (void)str_copy(config->public_url, sizeof(config->public_url), PUBLIC_URL);
    config->max_transfers = 8;
    config->max_pixels = IMAGE_PIXELS_MAX;
    config->max_input_bytes = MAX_INPUT_BYTES;
    config->max_memory_bytes = IMAGE_MEMORY_MAX_BYTES;
    config->channels = &bench.channel;
    config->channel_count = 1;
    (void)str_copy(bench.channel.name, sizeof(bench.channel.name), "default");
    (void)str_copy(bench.channel.access_token,
                   sizeof(bench.channel.access_token), "access-1");
    memset(bench.name_key, 7, sizeof(bench.name_key));
}

static void open_store(void)
{
    char url[TEST_DIR_MAX + 32], why[TEST_DIR_MAX + 128];

    (void)snprintf(url, sizeof(url), "dir:%s/public", bench.dir);
    assert_int_equal(store_open(&bench.store, url, why, sizeof(why)),
                     STATUS_OK);
    fake_store_init(&bench.fake_store, bench.store);
}

static void open_engine(void)
{
    struct lab_options lab = {.labs = 1, .spill_dir = bench.dir};
    struct http_options http = {.user_agent = "test"};

    assert_int_equal(lab_keeper_spawn(lab_program, &lab.keeper), STATUS_OK);
    assert_int_equal(loop_new(&bench.loop), STATUS_OK);
    assert_int_equal(lab_new(&bench.lab, bench.loop, &lab), STATUS_OK);
    assert_int_equal(offload_new(&bench.offload, bench.loop, 2), STATUS_OK);
    assert_int_equal(http_new(&bench.http, bench.loop, &http), STATUS_OK);
    assert_int_equal(line_api_new(&bench.api, bench.http,
                                  line_double_url(bench.line),
                                  line_double_url(bench.line)),
                     STATUS_OK);
}

static int set_up(void **state)
{
    struct pipeline_parts parts = {0};

    (void)state;
    bench = (struct bench){0};
    test_dir_make(bench.dir);
    bench.line = line_double_start();
    fill_config();
    open_store();
    fake_queue_open(&bench.queue);
    open_engine();
    loop_timer_init(&bench.poll, on_poll, NULL);
    parts.loop = bench.loop;
    parts.offload = bench.offload;
    parts.store = &bench.fake_store.base;
    parts.lab = bench.lab;
    parts.line = bench.api;
    parts.config = &bench.config;
    parts.name_key = bench.name_key;
    assert_int_equal(pipeline_new(&bench.pipeline, &parts), STATUS_OK);
    return 0;
}

/* What is stored already is claimed at once. */
static void start(void)
{
    struct queue_thread_options options = {
        .queue = &bench.queue.base,
        .loop = bench.loop,
        .on_claimed = pipeline_take,
        .arg = bench.pipeline,
    };

    assert_int_equal(queue_thread_start(&bench.queue_thread, &options),
                     STATUS_OK);
    pipeline_start(bench.pipeline, bench.queue_thread);
}

static int tear_down(void **state)
{
    (void)state;
    line_double_stop(bench.line);
    queue_thread_free(bench.queue_thread);
    pipeline_free(bench.pipeline);
    line_api_free(bench.api);
    http_free(bench.http);
    lab_free(bench.lab);
    offload_free(bench.offload);
    loop_free(bench.loop);
    fake_queue_close(&bench.queue);
    store_close(bench.store);
    test_dir_remove(bench.dir);
    return 0;
}

/* ---- jobs and what became of them */

/* Job n asks for message 60000000n and answers with the token "token-n". */
static struct job new_job(int n)
{
    struct job job = {
        .channel = "default",
        .source_id = "U1",
        .state = JOB_READY,
        .received_ms = wall_ms(),
    };

    (void)snprintf(job.event_id, sizeof(job.event_id), "event-%d", n);
    (void)snprintf(job.message_id, sizeof(job.message_id), "60000000%d", n);
    (void)snprintf(job.reply_token, sizeof(job.reply_token), "token-%d", n);
    return job;
}

static struct job row_of(int64_t id)
{
    struct job row;

    assert_int_equal(fake_queue_get(&bench.queue, id, &row), STATUS_OK);
    return row;
}

static void assert_replied(const struct job *row, int attempts)
{
    assert_int_equal(row->state, JOB_DONE);
    assert_int_equal(row->outcome, JOB_OUTCOME_REPLIED);
    assert_int_equal(row->last_status, STATUS_OK);
    assert_int_equal(row->stage, JOB_STAGE_REPLY);
    assert_int_equal(row->attempts, attempts);
}

static void assert_dead(const struct job *row, enum status status,
                        const char *reason)
{
    assert_int_equal(row->state, JOB_DEAD);
    assert_int_equal(row->outcome, JOB_OUTCOME_DEAD);
    assert_int_equal(row->last_status, status);
    assert_string_equal(row->reason, reason);
}

/* Handed back as if it had never been claimed. */
static void assert_handed_back(const struct job *row, enum job_stage stage,
                               int attempts)
{
    assert_int_equal(row->state, JOB_READY);
    assert_int_equal(row->outcome, JOB_OUTCOME_NONE);
    assert_int_equal(row->stage, stage);
    assert_int_equal(row->attempts, attempts);
    assert_true(row->due_ms <= wall_ms());
}

static size_t count_gets(void)
{
    return line_double_count(bench.line, "GET");
}

static size_t count_replies(void)
{
    return line_double_count(bench.line, REPLY);
}

static void assert_requests(size_t gets, size_t replies)
{
    assert_int_equal(count_gets(), gets);
    assert_int_equal(count_replies(), replies);
}

static int count_file(const char *path, const struct stat *st, int kind,
                      struct FTW *ftw)
{
    (void)path;
    (void)st;
    (void)ftw;
    bench.files += kind == FTW_F;
    return 0;
}

static size_t count_files(const char *leaf)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/public/%s", bench.dir, leaf);
    bench.files = 0;
    assert_int_equal(nftw(path, count_file, 8, FTW_PHYS), 0);
    return bench.files;
}

static void assert_no_temporary_file(void)
{
    assert_int_equal(count_files(".incoming"), 0);
}

/* Nor is one left that is half made. */
static void assert_nothing_published(void)
{
    assert_int_equal(count_files(""), 0);
}

/* The file is a PNG, sound to its end, of this width (0: any). */
static void assert_png(const char *name, uint32_t width_px, off_t max_bytes)
{
    char path[PATH_BYTES];
    uint32_t w = 0, h = 0;
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/public/%s", bench.dir, name);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 1, max_bytes);
    assert_true(png_file_decode(path, &w, &h));
    if (width_px > 0)
        assert_int_equal(w, width_px);
}

/* The name of the contract, not the one in the row. */
static void assert_name(const char *name, const struct job *job, bool preview)
{
    char expected[JOB_FILE_NAME_MAX + 1];

    assert_int_equal(store_name(bench.name_key, job->channel, job->message_id,
                                preview, expected, sizeof(expected)),
                     STATUS_OK);
    assert_string_equal(name, expected);
}

static void assert_small_published(const struct job *row)
{
    assert_name(row->original_name, row, false);
    assert_string_equal(row->preview_name, row->original_name);
    assert_png(row->original_name, 321, PREVIEW_MAX_BYTES);
    assert_no_temporary_file();
}

/* The nth reply was this, to the letter (line-platform 4.1 and 5). */
static void assert_reply(const char *token, size_t nth, const struct job *row)
{
    struct line_seen seen;
    char expected[sizeof(seen.text)];

    (void)snprintf(expected, sizeof(expected),
                   REPLY
                   " {\"replyToken\":\"%s\",\"messages\":[{"
                   "\"type\":\"image\",\"originalContentUrl\":"
                   "\"" PUBLIC_URL
                   "/static/%s\",\"previewImageUrl\":"
                   "\"" PUBLIC_URL "/static/%s\"}]}",
                   token, row->original_name, row->preview_name);
    line_double_seen(bench.line, REPLY, nth, &seen);
    assert_string_equal(seen.text, expected);
    assert_string_equal(seen.authorization, "Bearer access-1");
    assert_string_equal(seen.content_type, "application/json");
}

static void script(const char *words, const struct test_answer *answers,
                   size_t count)
{
    line_double_script(bench.line, words, answers, count);
}

/* Runs the job until it is over. */
static struct job finish(struct job job)
{
    fake_queue_store(&bench.queue, &job);
    start();
    run_until(all_are_over);
    return row_of(job.id);
}

/* ---- content */

static void test_picture_is_published_and_replied(void **state)
{
    struct line_seen seen;
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    row = finish(new_job(1));
    assert_replied(&row, 1);
    assert_string_equal(row.reason, "");
    assert_false(row.reply_in_doubt);
    assert_requests(1, 1);
    line_double_seen(bench.line, "GET", 0, &seen);
    assert_string_equal(seen.text, "GET /v2/bot/message/600000001/content ");
    assert_string_equal(seen.authorization, "Bearer access-1");
    assert_reply("token-1", 0, &row);
    assert_small_published(&row);
}

/* Larger than what a lab and the worker hold, so that the transfer pauses. */
static void test_large_picture_has_a_preview(void **state)
{
    struct job row;

    (void)state;
    assert_true(large_jpeg.len > 4 * LAB_WINDOW_BYTES);
    script("GET", ANSWERS(WHOLE(large_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    row = finish(new_job(1));
    assert_replied(&row, 1);
    assert_name(row.original_name, &row, false);
    assert_name(row.preview_name, &row, true);
    assert_reply("token-1", 0, &row);
    assert_png(row.original_name, 1600, ORIGINAL_MAX_BYTES);
    assert_png(row.preview_name, 0, PREVIEW_MAX_BYTES);
    assert_no_temporary_file();
}

static void test_png_of_unknown_length(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS({.body = small_png.data,
                           .len = small_png.len,
                           .chunked = true,
                           .step = 5000}));
    script(REPLY, ANSWERS(TEXT("{}")));
    row = finish(new_job(1));
    assert_replied(&row, 1);
    assert_png(row.original_name, 200, PREVIEW_MAX_BYTES);
}

static void test_bytes_after_the_picture_do_no_harm(void **state)
{
    struct buf padded;
    char zeros[4096] = {0};
    struct job row;

    (void)state;
    buf_init(&padded, MAX_INPUT_BYTES);
    assert_int_equal(buf_append(&padded, small_jpeg.data, small_jpeg.len),
                     STATUS_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(buf_append(&padded, zeros, sizeof(zeros)), STATUS_OK);
    script("GET", ANSWERS(WHOLE(padded)));
    script(REPLY, ANSWERS(TEXT("{}")));
    row = finish(new_job(1));
    assert_replied(&row, 1);
    assert_small_published(&row);
    buf_release(&padded);
}

static void test_content_not_found(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS({.status = 404}));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_NOT_FOUND, "not found: HTTP 404");
    assert_int_equal(row.attempts, 1);
    assert_requests(1, 0);
    assert_nothing_published();
}

static void test_unsent_content_is_withdrawn(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS({.status = 410}));
    row = finish(new_job(1));
    assert_int_equal(row.state, JOB_DONE);
    assert_int_equal(row.outcome, JOB_OUTCOME_WITHDRAWN);
    assert_int_equal(row.last_status, STATUS_GONE);
    assert_requests(1, 0);
    assert_nothing_published();
}

static void test_content_with_a_bad_token(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS({.status = 401}));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_UNAUTHORIZED, "access token refused: HTTP 401");
    assert_requests(1, 0);
    assert_nothing_published();
}

/* These pass: then the picture comes. */
static void test_content_comes_at_the_second_try(void **state)
{
    struct job row;

    (void)state;
    script("600000001", ANSWERS({.status = 202}, WHOLE(small_jpeg)));
    script("600000002", ANSWERS({.status = 500}, WHOLE(small_jpeg)));
    script("600000003", ANSWERS({.body = small_jpeg.data,
                                 .len = small_jpeg.len,
                                 .cut = small_jpeg.len / 2},
                                WHOLE(small_jpeg)));
    script("600000004", ANSWERS({.drop = true}, WHOLE(small_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    for (int n = 1; n <= 4; n++) {
        struct job job = new_job(n);

        fake_queue_store(&bench.queue, &job);
    }
    start();
    run_until(all_are_over);
    for (int n = 1; n <= 4; n++) {
        row = row_of(n);
        /* A connection without an answer may be tried again by curl. */
        assert_replied(&row, n == 4 ? row.attempts : 2);
        assert_string_equal(row.reason, "");
        assert_small_published(&row);
    }
    assert_requests(8, 4);
}

static void test_not_a_picture(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(TEXT(html)));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_NOT_AN_IMAGE, "not a picture of a known type");
    assert_requests(1, 0);
    assert_nothing_published();
}

/* Its transfer is under way, and is ended, when the lab refuses it. */
static void test_not_a_picture_and_slow(void **state)
{
    struct job row;

    (void)state;
    script("GET",
           ANSWERS({.body = html, .len = sizeof(html) - 1, .stall = 30}));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_NOT_AN_IMAGE, "not a picture of a known type");
    assert_nothing_published();
}

static void test_empty_content(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS({0}));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_EMPTY, "empty content");
    assert_requests(1, 0);
    assert_nothing_published();
}

static void test_content_above_the_limit(void **state)
{
    struct job row;

    (void)state;
    bench.config.max_input_bytes = (int64_t)large_jpeg.len - 1;
    script("600000001", ANSWERS(WHOLE(large_jpeg)));
    script("600000002", ANSWERS({.body = large_jpeg.data,
                                 .len = large_jpeg.len,
                                 .chunked = true}));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_TOO_LARGE,
                "larger than the limit: the body is over the limit");
    row = new_job(2);
    fake_queue_store(&bench.queue, &row);
    run_until(all_are_over);
    row = row_of(2);
    assert_dead(&row, STATUS_TOO_LARGE,
                "larger than the limit: the body is over the limit");
    assert_requests(2, 0);
    assert_nothing_published();
}

static void test_server_wants_a_pause_beyond_the_deadline(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS({.status = 429, .retry = "120"}));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_RATE_LIMITED,
                "rate limited by the server: HTTP 429");
    assert_int_equal(row.attempts, 1);
}

static void test_no_try_after_the_deadline(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    job.received_ms -= REPLY_TOKEN_LIFE_MS;
    script("GET", ANSWERS({.status = 500}));
    row = finish(job);
    assert_dead(&row, STATUS_SERVER_ERROR, "server error: HTTP 500");
    assert_requests(1, 0);
}

static void test_the_last_try(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    job.attempts = JOB_ATTEMPTS_MAX - 1;
    script("GET", ANSWERS({.status = 500}));
    row = finish(job);
    assert_dead(&row, STATUS_SERVER_ERROR, "server error: HTTP 500");
    assert_int_equal(row.attempts, JOB_ATTEMPTS_MAX);
    assert_requests(1, 0);
}

/* A job that takes its workers down with it gets here. */
static void test_no_try_is_left(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    job.attempts = JOB_ATTEMPTS_MAX;
    (void)str_copy(job.reason, sizeof(job.reason), "before");
    row = finish(job);
    assert_dead(&row, STATUS_TOO_MANY_TRIES,
                "gave up after repeated tries: before");
    assert_requests(0, 0);
}

static void test_channel_that_is_gone(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    (void)str_copy(job.channel, sizeof(job.channel), "former");
    row = finish(job);
    assert_dead(&row, STATUS_BAD_CONFIG, "bad configuration: cannot start");
    assert_requests(0, 0);
    assert_nothing_published();
}

/* ---- the lab */

static void kill_lab(void)
{
    pid_t pid = 0;

    assert_int_equal(lab_pids(bench.lab, &pid, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_killed_lab_costs_a_try(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    script(
        "GET",
        ANSWERS({.body = small_jpeg.data, .len = small_jpeg.len, .stall = 1000},
                WHOLE(small_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    fake_queue_store(&bench.queue, &job);
    start();
    run_until(is_in_lab);
    kill_lab();
    run_until(all_are_over);
    row = row_of(job.id);
    assert_replied(&row, 2);
    assert_true(row.alone);
    assert_small_published(&row);
}

static void test_picture_that_kills_labs(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    script("GET", ANSWERS({.body = small_jpeg.data,
                           .len = small_jpeg.len,
                           .stall = 1000}));
    fake_queue_store(&bench.queue, &job);
    start();
    run_until(is_in_lab);
    kill_lab();
    run_until(is_in_lab_again);
    kill_lab();
    run_until(all_are_over);
    row = row_of(job.id);
    assert_dead(&row, STATUS_POISON, "the picture kills its decoder");
    assert_int_equal(row.attempts, 2);
    assert_nothing_published();
}

/* ---- the store */

static void test_no_room_for_temporary_files(void **state)
{
    struct job row;

    (void)state;
    fake_fault_set(&bench.fake_store.begin, 1, 1, STATUS_NO_SPACE);
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    row = finish(new_job(1));
    assert_replied(&row, 2);
    assert_requests(1, 1);
    assert_small_published(&row);
}

static void test_publishing_fails_once(void **state)
{
    struct job row;

    (void)state;
    fake_fault_set(&bench.fake_store.publish, 1, 1, STATUS_IO);
    script("GET", ANSWERS(WHOLE(large_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    row = finish(new_job(1));
    assert_replied(&row, 2);
    assert_requests(2, 1);
    assert_png(row.original_name, 1600, ORIGINAL_MAX_BYTES);
    assert_png(row.preview_name, 0, PREVIEW_MAX_BYTES);
    assert_no_temporary_file();
}

static void test_publishing_fails_for_good(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    fake_fault_set(&bench.fake_store.publish, 0, 1, STATUS_IO);
    job.attempts = JOB_ATTEMPTS_MAX - 1;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    row = finish(job);
    assert_dead(&row, STATUS_IO, "input/output error: publishing");
    assert_int_equal(row.stage, JOB_STAGE_FETCH);
    assert_requests(1, 0);
    assert_nothing_published();
}

/* ---- the reply */

static void test_reply_with_the_same_token(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS({.status = 500}, TEXT("{}")));
    row = finish(new_job(1));
    assert_replied(&row, 2);
    assert_false(row.reply_in_doubt);
    assert_requests(1, 2);
    assert_reply("token-1", 0, &row);
    assert_reply("token-1", 1, &row);
}

static void test_reply_token_is_over(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS(REFUSED_AS_USED));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_TOKEN_EXPIRED,
                "reply token expired or used: HTTP 400");
    assert_int_equal(row.stage, JOB_STAGE_REPLY);
    assert_false(row.reply_in_doubt);
    assert_requests(1, 1);
}

/* Refused without doubt, then refused: nothing has arrived. */
static void test_reply_token_is_over_at_the_second_try(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS({.status = 429}, REFUSED_AS_USED));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_TOKEN_EXPIRED,
                "reply token expired or used: HTTP 400");
    assert_requests(1, 2);
}

static void test_reply_whose_answer_is_lost(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS({.drop = true}, REFUSED_AS_USED));
    row = finish(new_job(1));
    assert_replied(&row, 2);
    assert_true(row.reply_in_doubt);
    assert_string_equal(row.reason, "the token was used by an earlier try");
    assert_requests(1, 2);
    assert_reply("token-1", 0, &row);
    assert_reply("token-1", 1, &row);
}

/* A clear refusal in between does not take the doubt away. */
static void test_reply_stays_in_doubt(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS({.drop = true}, {.status = 500}, REFUSED_AS_USED));
    row = finish(new_job(1));
    assert_replied(&row, 3);
    assert_true(row.reply_in_doubt);
}

static void test_reply_that_never_arrived_is_sent_again(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS({.drop = true}, TEXT("{}")));
    row = finish(new_job(1));
    assert_replied(&row, 2);
    assert_false(row.reply_in_doubt);
    assert_string_equal(row.reason, "");
}

static void test_reply_is_refused(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS({.status = 400,
                           .body = bad_message,
                           .len = sizeof(bad_message) - 1}));
    row = finish(new_job(1));
    assert_dead(&row, STATUS_REFUSED, "refused by the server: HTTP 400");
    assert_requests(1, 1);
}

/* No answer, and no time for another try: the receipt tells the doubt. */
static void test_reply_without_answer_until_the_deadline(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    job.received_ms -= REPLY_TOKEN_LIFE_MS;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS({.drop = true}));
    row = finish(job);
    assert_int_equal(row.state, JOB_DEAD);
    assert_int_equal(row.last_status, STATUS_NETWORK);
    assert_true(row.reply_in_doubt);
    assert_requests(1, 1);
}

/* ---- jobs of a worker that died */

static struct job published_job(void)
{
    struct job job = new_job(1);

    job.stage = JOB_STAGE_REPLY;
    job.attempts = 1;
    (void)str_copy(job.original_name, sizeof(job.original_name), "ab/o.png");
    (void)str_copy(job.preview_name, sizeof(job.preview_name), "ab/p.png");
    return job;
}

static void test_published_job_is_replied_without_a_fetch(void **state)
{
    struct job row;

    (void)state;
    script(REPLY, ANSWERS(TEXT("{}")));
    row = finish(published_job());
    assert_replied(&row, 2);
    assert_false(row.reply_in_doubt);
    assert_requests(0, 1);
    assert_reply("token-1", 0, &row);
    assert_string_equal(row.original_name, "ab/o.png");
    assert_string_equal(row.preview_name, "ab/p.png");
}

static void test_reply_of_a_dead_worker_had_arrived(void **state)
{
    struct job job = published_job(), row;

    (void)state;
    job.reply_in_doubt = true;
    script(REPLY, ANSWERS(REFUSED_AS_USED));
    row = finish(job);
    assert_replied(&row, 2);
    assert_true(row.reply_in_doubt);
    assert_requests(0, 1);
}

static void test_published_job_without_doubt(void **state)
{
    struct job row;

    (void)state;
    script(REPLY, ANSWERS(REFUSED_AS_USED));
    row = finish(published_job());
    assert_dead(&row, STATUS_TOKEN_EXPIRED,
                "reply token expired or used: HTTP 400");
}

/* ---- the queue */

static void test_job_handed_over_twice(void **state)
{
    struct job job = new_job(1), row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    job.state = JOB_LEASED;
    job.attempts = 1;
    fake_queue_store(&bench.queue, &job);
    start();
    pipeline_take(bench.pipeline, &job);
    pipeline_take(bench.pipeline, &job);
    assert_int_equal(pipeline_load(bench.pipeline), 1);
    run_until(all_are_over);
    row = row_of(job.id);
    assert_replied(&row, 1);
    assert_requests(1, 1);
}

static bool one_by_one_until_over(void)
{
    assert_in_range(pipeline_load(bench.pipeline), 0, 1);
    return all_are_over();
}

/* One at a time, and all are done: each end of a job makes room. */
static void test_room_comes_back(void **state)
{
    (void)state;
    bench.config.max_transfers = 1;
    script("GET", ANSWERS({.status = 404}));
    for (int n = 1; n <= 3; n++) {
        struct job job = new_job(n);

        fake_queue_store(&bench.queue, &job);
    }
    start();
    run_until(one_by_one_until_over);
    for (int n = 1; n <= 3; n++)
        assert_int_equal(row_of(n).state, JOB_DEAD);
}

/* The lease went to another worker while the picture was published: whoever
 * has it replies, and this one keeps nothing. */
static void test_lease_lost_before_the_reply(void **state)
{
    struct job job = new_job(1);

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    fake_queue_fail(&bench.queue, FAKE_UPDATE, 0, 1, STATUS_LEASE_LOST);
    fake_queue_store(&bench.queue, &job);
    start();
    run_until(has_asked_once);
    run_until(is_idle);
    assert_requests(1, 0);
    assert_no_temporary_file();
    assert_int_equal(row_of(job.id).state, JOB_LEASED);
}

static void test_lease_lost_after_the_reply(void **state)
{
    struct job job = new_job(1);

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    fake_queue_fail(&bench.queue, FAKE_UPDATE, 1, 1, STATUS_LEASE_LOST);
    fake_queue_store(&bench.queue, &job);
    start();
    run_until(has_asked_once);
    run_until(is_idle);
    assert_requests(1, 1);
    assert_no_temporary_file();
}

/* What the queue cannot write now is written later, and not done twice. */
static void test_queue_fails_for_a_while(void **state)
{
    struct job row;

    (void)state;
    script("GET", ANSWERS(WHOLE(small_jpeg)));
    script(REPLY, ANSWERS(TEXT("{}")));
    fake_queue_fail(&bench.queue, FAKE_UPDATE, 0, 3, STATUS_IO);
    row = finish(new_job(1));
    assert_replied(&row, 1);
    assert_requests(1, 1);
}

/* ---- draining */

static void on_idle(void *arg)
{
    assert_ptr_equal(arg, &bench);
    bench.idle++;
}

static bool has_drained(void)
{
    return bench.idle > 0;
}

static void drain(void)
{
    queue_thread_quiesce(bench.queue_thread);
    pipeline_drain(bench.pipeline, on_idle, &bench);
}

static void test_drain_when_idle(void **state)
{
    (void)state;
    start();
    drain();
    run_until(has_drained);
    assert_int_equal(bench.idle, 1);
}

static bool three_are_under_way(void)
{
    return line_double_count(bench.line, "600000001") == 1 &&
           line_double_count(bench.line, "token-2") == 1 &&
           line_double_count(bench.line, "600000003") == 1;
}

/* Before the answer comes the row says that a reply may be out. */
static void assert_noted(int64_t id)
{
    struct job row = row_of(id);

    assert_int_equal(row.state, JOB_LEASED);
    assert_int_equal(row.stage, JOB_STAGE_REPLY);
    assert_true(row.reply_in_doubt);
}

/* DRAIN_MS long: job 1 stalls in its content, 2 in its reply, 3 takes half a
 * second, 4 comes when it is too late. */
static void test_drain_hands_back_what_is_slow(void **state)
{
    struct job job, row;

    (void)state;
    script("600000001", ANSWERS({.body = small_jpeg.data,
                                 .len = small_jpeg.len,
                                 .stall = 1000}));
    script("token-2", ANSWERS({.silent = true}));
    script("600000002", ANSWERS(WHOLE(small_jpeg)));
    script("600000003", ANSWERS({.body = small_jpeg.data,
                                 .len = small_jpeg.len,
                                 .step = small_jpeg.len / 5,
                                 .pause_ms = 100}));
    script("token-3", ANSWERS(TEXT("{}")));
    for (int n = 1; n <= 3; n++) {
        job = new_job(n);
        fake_queue_store(&bench.queue, &job);
    }
    start();
    run_until(three_are_under_way);
    assert_noted(2);
    drain();
    job = new_job(4);
    job.state = JOB_LEASED;
    job.attempts = 3;
    fake_queue_store(&bench.queue, &job);
    pipeline_take(bench.pipeline, &job);
    run_until(has_drained);
    assert_int_equal(bench.idle, 1);
    row = row_of(1);
    assert_handed_back(&row, JOB_STAGE_FETCH, 0);
    row = row_of(2);
    assert_handed_back(&row, JOB_STAGE_REPLY, 0);
    assert_true(row.reply_in_doubt);
    assert_small_published(&row);
    row = row_of(3);
    assert_replied(&row, 1);
    row = row_of(4);
    assert_handed_back(&row, JOB_STAGE_FETCH, 2);
    assert_int_equal(line_double_count(bench.line, "600000004"), 0);
    assert_no_temporary_file();
}

/* ---- main */

static int make_pictures(void **state)
{
    const struct png_spec png = {
        .width_px = 200, .height_px = 150, .color_type = 2, .depth = 8};

    (void)state;
    lab_program_find(lab_program);
    buf_init(&small_jpeg, MAX_INPUT_BYTES);
    buf_init(&large_jpeg, MAX_INPUT_BYTES);
    buf_init(&small_png, MAX_INPUT_BYTES);
    picture_make_jpeg(&small_jpeg, 321, 123, false);
    picture_make_jpeg(&large_jpeg, 1600, 1200, false);
    picture_random_png(&png, &small_png);
    return 0;
}

static int free_pictures(void **state)
{
    (void)state;
    buf_release(&small_jpeg);
    buf_release(&large_jpeg);
    buf_release(&small_png);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_picture_is_published_and_replied),
        CASE(test_large_picture_has_a_preview),
        CASE(test_png_of_unknown_length),
        CASE(test_bytes_after_the_picture_do_no_harm),
        CASE(test_content_not_found),
        CASE(test_unsent_content_is_withdrawn),
        CASE(test_content_with_a_bad_token),
        CASE(test_content_comes_at_the_second_try),
        CASE(test_not_a_picture),
        CASE(test_not_a_picture_and_slow),
        CASE(test_empty_content),
        CASE(test_content_above_the_limit),
        CASE(test_server_wants_a_pause_beyond_the_deadline),
        CASE(test_no_try_after_the_deadline),
        CASE(test_the_last_try),
        CASE(test_no_try_is_left),
        CASE(test_channel_that_is_gone),
        CASE(test_killed_lab_costs_a_try),
        CASE(test_picture_that_kills_labs),
        CASE(test_no_room_for_temporary_files),
        CASE(test_publishing_fails_once),
        CASE(test_publishing_fails_for_good),
        CASE(test_reply_with_the_same_token),
        CASE(test_reply_token_is_over),
        CASE(test_reply_token_is_over_at_the_second_try),
        CASE(test_reply_whose_answer_is_lost),
        CASE(test_reply_stays_in_doubt),
        CASE(test_reply_that_never_arrived_is_sent_again),
        CASE(test_reply_is_refused),
        CASE(test_reply_without_answer_until_the_deadline),
        CASE(test_published_job_is_replied_without_a_fetch),
        CASE(test_reply_of_a_dead_worker_had_arrived),
        CASE(test_published_job_without_doubt),
        CASE(test_job_handed_over_twice),
        CASE(test_room_comes_back),
        CASE(test_lease_lost_before_the_reply),
        CASE(test_lease_lost_after_the_reply),
        CASE(test_queue_fails_for_a_while),
        CASE(test_drain_when_idle),
        CASE(test_drain_hands_back_what_is_slow),
    };

    (void)alarm(WATCHDOG_S);
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests_name("pipeline", tests, make_pictures,
                                       free_pictures);
}
