/*
 * play.c: builds and takes down a worker's parts as fcgi/serve.c does. The loop
 * runs on the test's thread, and only inside play_run_until().
 */
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "picture.h"
#include "png_file.h"

#define PUBLIC_URL "https://bot.example.com"
#define WATCHDOG_S 120    /* of the program */
#define PATIENCE_MS 30000 /* for what must come */
#define PATH_BYTES (TEST_DIR_MAX + JOB_FILE_NAME_MAX + 32)

/* ---- waiting */

static void on_poll(void *arg)
{
    struct play *play = arg;

    if (play->until(play) || mono_ms() > play->guard_ms) {
        loop_stop(play->loop);
        return;
    }
    assert_int_equal(loop_timer_set(play->loop, &play->poll, mono_ms() + 1),
                     STATUS_OK);
}

void play_run_until(struct play *play, bool (*until)(struct play *play))
{
    play->until = until;
    play->guard_ms = mono_ms() + PATIENCE_MS;
    assert_int_equal(loop_timer_set(play->loop, &play->poll, mono_ms()),
                     STATUS_OK);
    assert_int_equal(loop_run(play->loop), STATUS_OK);
    assert_true(until(play));
}

bool play_is_idle(struct play *play)
{
    return pipeline_load(play->pipeline) == 0;
}

bool play_is_over(struct play *play)
{
    struct queue_stats stats;

    fake_queue_stats(&play->queue, &stats);
    return stats.ready == 0 && stats.leased == 0 && play_is_idle(play);
}

/* ---- the fixture */

int play_new(void **state)
{
    const struct png_spec png = {
        .width_px = 200, .height_px = 150, .color_type = 2, .depth = 8};
    struct play *play = calloc(1, sizeof(*play));

    (void)alarm(WATCHDOG_S);
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    if (play == NULL)
        return -1;
    *state = play;
    lab_program_find(play->lab_program);
    buf_init(&play->small_jpeg, PLAY_MAX_INPUT_BYTES);
    buf_init(&play->large_jpeg, PLAY_MAX_INPUT_BYTES);
    buf_init(&play->small_png, PLAY_MAX_INPUT_BYTES);
    picture_make_jpeg(&play->small_jpeg, 321, 123, false);
    picture_make_jpeg(&play->large_jpeg, 1600, 1200, false);
    picture_random_png(&png, &play->small_png);
    return 0;
}

int play_free(void **state)
{
    struct play *play = *state;

    buf_release(&play->small_jpeg);
    buf_release(&play->large_jpeg);
    buf_release(&play->small_png);
    free(play);
    return 0;
}

static char *const nothing[] = {NULL};

static void fill_config(struct play *play)
{
    struct config *config = &play->config;

    play->channel = (struct config_channel){
        .name = "default",
        .access_token = "access-1",
        .failure_off = true,
    };
    *config = (struct config){
        .public_url = PUBLIC_URL,
        .max_transfers = 8,
        .max_pixels = IMAGE_PIXELS_MAX,
        .max_input_bytes = PLAY_MAX_INPUT_BYTES,
        .max_memory_bytes = IMAGE_MEMORY_MAX_BYTES,
        .channels = &play->channel,
        .channel_count = 1,
    };
}

static void open_store(struct play *play)
{
    char url[TEST_DIR_MAX + 32], why[TEST_DIR_MAX + 128];

    (void)snprintf(url, sizeof(url), "dir:%s/public", play->dir);
    assert_int_equal(store_open(&play->store, url, why, sizeof(why)),
                     STATUS_OK);
    fake_store_init(&play->fake_store, play->store);
    memset(play->name_key, 7, sizeof(play->name_key));
}

static void open_engine(struct play *play)
{
    struct lab_options lab = {.labs = 1, .spill_dir = play->dir};
    struct http_options http = {.user_agent = "test"};
    struct line_api_options line = {
        .api_url = line_double_url(play->line),
        .data_api_url = line_double_url(play->line),
        .state_dir = play->dir,
    };

    assert_int_equal(lab_keeper_spawn(play->lab_program, &lab.keeper),
                     STATUS_OK);
    assert_int_equal(loop_new(&play->loop), STATUS_OK);
    loop_timer_init(&play->poll, on_poll, play);
    assert_int_equal(lab_new(&play->lab, play->loop, &lab), STATUS_OK);
    assert_int_equal(offload_new(&play->offload, play->loop, 2), STATUS_OK);
    assert_int_equal(http_new(&play->http, play->loop, &http), STATUS_OK);
    line.loop = play->loop;
    line.http = play->http;
    line.offload = play->offload;
    assert_int_equal(line_api_new(&play->api, &line), STATUS_OK);
}

static void open_pipeline(struct play *play)
{
    const struct pipeline_parts parts = {
        .loop = play->loop,
        .offload = play->offload,
        .store = &play->fake_store.base,
        .lab = play->lab,
        .http = play->http,
        .line = play->api,
        .config = play->live,
        .name_key = play->name_key,
    };

    assert_int_equal(pipeline_new(&play->pipeline, &parts), STATUS_OK);
    play->queue_thread = NULL;
    play->idle = 0;
}

int play_set_up(void **state)
{
    struct play *play = *state;

    test_dir_make(play->dir);
    play->line = line_double_start();
    fill_config(play);
    assert_int_equal(config_live_new(&play->live, &play->config, NULL, nothing),
                     STATUS_OK);
    open_store(play);
    fake_queue_open(&play->queue);
    open_engine(play);
    open_pipeline(play);
    return 0;
}

void play_start(struct play *play)
{
    const struct queue_thread_options options = {
        .queue = &play->queue.base,
        .loop = play->loop,
        .on_claimed = pipeline_take,
        .arg = play->pipeline,
    };

    assert_int_equal(queue_thread_start(&play->queue_thread, &options),
                     STATUS_OK);
    pipeline_start(play->pipeline, play->queue_thread,
                   (size_t)play->config.max_transfers);
}

int play_tear_down(void **state)
{
    struct play *play = *state;

    line_double_stop(play->line);
    queue_thread_free(play->queue_thread);
    pipeline_free(play->pipeline);
    offload_free(play->offload);
    line_api_free(play->api);
    config_live_free(play->live);
    http_free(play->http);
    lab_free(play->lab);
    loop_free(play->loop);
    fake_queue_close(&play->queue);
    store_close(play->store);
    test_dir_remove(play->dir);
    return 0;
}

static void on_idle(void *arg)
{
    struct play *play = arg;

    play->idle++;
}

void play_drain(struct play *play)
{
    queue_thread_quiesce(play->queue_thread);
    pipeline_drain(play->pipeline, on_idle, play);
}

/* ---- jobs */

void play_script(struct play *play, const char *words,
                 const struct test_answer *answers, size_t count)
{
    line_double_script(play->line, words, answers, count);
}

struct job play_job(int n)
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

struct job play_row(struct play *play, int64_t id)
{
    struct job row;

    assert_int_equal(fake_queue_get(&play->queue, id, &row), STATUS_OK);
    return row;
}

struct job play_one(struct play *play, struct job job)
{
    fake_queue_store(&play->queue, &job);
    play_start(play);
    play_run_until(play, play_is_over);
    return play_row(play, job.id);
}

/* ---- what became of them */

void play_assert_replied(const struct job *row, int attempts)
{
    assert_int_equal(row->state, JOB_DONE);
    assert_int_equal(row->outcome, JOB_OUTCOME_REPLIED);
    assert_int_equal(row->last_status, STATUS_OK);
    assert_int_equal(row->stage, JOB_STAGE_REPLY);
    assert_int_equal(row->attempts, attempts);
}

void play_assert_dead(const struct job *row, enum status status,
                      const char *reason)
{
    assert_int_equal(row->state, JOB_DEAD);
    assert_int_equal(row->outcome, JOB_OUTCOME_DEAD);
    assert_int_equal(row->last_status, status);
    assert_string_equal(row->reason, reason);
}

void play_assert_requests(struct play *play, size_t gets, size_t replies)
{
    assert_int_equal(line_double_count(play->line, "GET /"), gets);
    assert_int_equal(line_double_count(play->line, PLAY_REPLY), replies);
}

void play_assert_reply(struct play *play, const char *token, size_t nth,
                       const struct job *row)
{
    struct line_seen seen;
    char expected[sizeof(seen.text)];

    (void)snprintf(expected, sizeof(expected),
                   PLAY_REPLY
                   " {\"replyToken\":\"%s\",\"messages\":[{"
                   "\"type\":\"image\",\"originalContentUrl\":"
                   "\"" PUBLIC_URL
                   "/static/%s\","
                   "\"previewImageUrl\":"
                   "\"" PUBLIC_URL "/static/%s\"}]}",
                   token, row->original_name, row->preview_name);
    line_double_seen(play->line, PLAY_REPLY, nth, &seen);
    assert_string_equal(seen.text, expected);
    assert_string_equal(seen.authorization, "Bearer access-1");
    assert_string_equal(seen.content_type, "application/json");
}

/* ---- files */

void play_assert_name(struct play *play, const char *name,
                      const struct job *row, bool preview)
{
    char expected[JOB_FILE_NAME_MAX + 1];

    assert_int_equal(store_name(play->name_key, row->channel, row->message_id,
                                preview, expected, sizeof(expected)),
                     STATUS_OK);
    assert_string_equal(name, expected);
}

void play_assert_png(struct play *play, const char *name, uint32_t width_px,
                     int64_t max_bytes)
{
    char path[PATH_BYTES];
    uint32_t w = 0, h = 0;
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/public/%s", play->dir, name);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 1, max_bytes);
    assert_true(png_file_decode(path, &w, &h));
    if (width_px > 0)
        assert_int_equal(w, width_px);
}

void play_assert_small_jpeg(struct play *play, const struct job *row)
{
    play_assert_name(play, row->original_name, row, false);
    assert_string_equal(row->preview_name, row->original_name);
    play_assert_png(play, row->original_name, 321, PREVIEW_MAX_BYTES);
    play_assert_no_temporary_file(play);
}

void play_assert_large_jpeg(struct play *play, const struct job *row)
{
    play_assert_name(play, row->original_name, row, false);
    play_assert_name(play, row->preview_name, row, true);
    play_assert_png(play, row->original_name, 1600, ORIGINAL_MAX_BYTES);
    play_assert_png(play, row->preview_name, 0, PREVIEW_MAX_BYTES);
    play_assert_no_temporary_file(play);
}

/* nftw(3) has no argument for its caller. */
static size_t files_counted;

static int count_file(const char *path, const struct stat *st, int kind,
                      struct FTW *ftw)
{
    (void)path;
    (void)st;
    (void)ftw;
    files_counted += kind == FTW_F;
    return 0;
}

static size_t count_files(const struct play *play, const char *leaf)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/public/%s", play->dir, leaf);
    files_counted = 0;
    assert_int_equal(nftw(path, count_file, 8, FTW_PHYS), 0);
    return files_counted;
}

void play_assert_no_temporary_file(struct play *play)
{
    assert_int_equal(count_files(play, ".incoming"), 0);
}

void play_assert_nothing_published(struct play *play)
{
    assert_int_equal(count_files(play, ""), 0);
}
