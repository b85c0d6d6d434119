/*
 * test_pipeline.c: a job from its claim to its published files: what LINE
 * answers to the fetch, what the lab and the store do. The reply and the ends
 * of a job are in test_pipeline_reply.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "../helper/play.h"
#include "pipeline_task.h"

static const char html[] = "<html>This is not a picture.</html>";

static bool has_asked_once(struct play *play)
{
    return line_double_count(play->line, "GET /") == 1;
}

/* A decoder has it: to be seen only from inside. */
static bool is_in_lab(struct play *play)
{
    const struct task *task = play->pipeline->first;

    return has_asked_once(play) && task != NULL && task->stream != NULL &&
           lab_waiting(play->lab) == 0;
}

static bool is_in_lab_again(struct play *play)
{
    const struct task *task = play->pipeline->first;

    return line_double_count(play->line, "GET /") == 2 && task != NULL &&
           task->stream != NULL && lab_waiting(play->lab) == 0;
}

/* ---- content */

static void test_picture_is_published_and_replied(void **state)
{
    struct play *play = *state;
    struct line_seen seen;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    assert_string_equal(row.reason, "");
    assert_false(row.reply_in_doubt);
    play_assert_requests(play, 1, 1);
    line_double_seen(play->line, "GET", 0, &seen);
    assert_string_equal(seen.text, "GET /v2/bot/message/600000001/content ");
    assert_string_equal(seen.authorization, "Bearer access-1");
    play_assert_reply(play, "token-1", 0, &row);
    play_assert_small_jpeg(play, &row);
}

/* Larger than what a lab and the worker hold, so that the transfer pauses. */
static void test_large_picture_has_a_preview(void **state)
{
    struct play *play = *state;
    struct job row;

    assert_true(play->large_jpeg.len > 4 * LAB_WINDOW_BYTES);
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->large_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    play_assert_reply(play, "token-1", 0, &row);
    play_assert_large_jpeg(play, &row);
}

static void test_png_of_unknown_length(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_png.data,
                              .len = play->small_png.len,
                              .chunked = true,
                              .step = 5000}));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    play_assert_png(play, row.original_name, 200, PREVIEW_MAX_BYTES);
}

/* So many that the transfer is still going, or paused for want of room, when
 * the lab is done. */
static void test_bytes_after_the_picture_do_no_harm(void **state)
{
    struct play *play = *state;
    struct buf padded;
    char zeros[4096] = {0};
    struct job row;

    play->config.max_input_bytes = IMAGE_INPUT_MAX_BYTES;
    buf_init(&padded, play->large_jpeg.len + 16 * LAB_WINDOW_BYTES);
    assert_int_equal(
        buf_append(&padded, play->large_jpeg.data, play->large_jpeg.len),
        STATUS_OK);
    while (buf_append(&padded, zeros, sizeof(zeros)) == STATUS_OK)
        continue;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(padded)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    play_assert_large_jpeg(play, &row);
    buf_release(&padded);
}

/* The transfer is whole, the picture in it is not. */
static void test_half_a_picture(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_png.data,
                              .len = play->small_png.len / 2}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_IMAGE_TRUNCATED,
                     "the picture ends too early: 50 % was there");
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

static void test_content_not_found(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS({.status = 404}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_NOT_FOUND, "not found: HTTP 404");
    assert_int_equal(row.attempts, 1);
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

static void test_unsent_content_is_withdrawn(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS({.status = 410}));
    row = play_one(play, play_job(1));
    assert_int_equal(row.state, JOB_DONE);
    assert_int_equal(row.outcome, JOB_OUTCOME_WITHDRAWN);
    assert_int_equal(row.last_status, STATUS_GONE);
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

static void test_content_with_a_bad_token(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS({.status = 401}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_UNAUTHORIZED,
                     "access token refused: HTTP 401");
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

/* These pass: then the picture comes. */
static void test_content_comes_at_the_second_try(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "600000001",
                PLAY_ANSWERS({.status = 202}, PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "600000002",
                PLAY_ANSWERS({.status = 500}, PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "600000003",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .cut = play->small_jpeg.len / 2},
                             PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "600000004",
                PLAY_ANSWERS({.drop = true}, PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    for (int n = 1; n <= 4; n++) {
        struct job job = play_job(n);

        fake_queue_store(&play->queue, &job);
    }
    play_start(play);
    play_run_until(play, play_is_over);
    for (int n = 1; n <= 4; n++) {
        row = play_row(play, n);
        /* A connection without an answer may be tried again by curl. */
        play_assert_replied(&row, n == 4 ? row.attempts : 2);
        assert_string_equal(row.reason, "");
        play_assert_small_jpeg(play, &row);
    }
    play_assert_requests(play, 8, 4);
}

static void test_not_a_picture(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_TEXT(html)));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_NOT_AN_IMAGE,
                     "not a picture of a known type");
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

/* Its transfer is under way, and is ended, when the lab refuses it. */
static void test_not_a_picture_and_slow(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(
        play, "GET",
        PLAY_ANSWERS({.body = html, .len = sizeof(html) - 1, .stall = 30}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_NOT_AN_IMAGE,
                     "not a picture of a known type");
    play_assert_nothing_published(play);
}

static void test_empty_content(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS({0}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_EMPTY, "the content is empty");
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

static void test_content_above_the_limit(void **state)
{
    struct play *play = *state;
    struct job row;

    play->config.max_input_bytes = (int64_t)play->large_jpeg.len - 1;
    play_script(play, "600000001", PLAY_ANSWERS(PLAY_WHOLE(play->large_jpeg)));
    play_script(play, "600000002",
                PLAY_ANSWERS({.body = play->large_jpeg.data,
                              .len = play->large_jpeg.len,
                              .chunked = true}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_TOO_LARGE,
                     "larger than the limit: the body is over the limit");
    row = play_job(2);
    fake_queue_store(&play->queue, &row);
    play_run_until(play, play_is_over);
    row = play_row(play, 2);
    play_assert_dead(&row, STATUS_TOO_LARGE,
                     "larger than the limit: the body is over the limit");
    play_assert_requests(play, 2, 0);
    play_assert_nothing_published(play);
}

static void test_server_wants_a_pause_beyond_the_deadline(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS({.status = 429, .retry = "120"}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_RATE_LIMITED,
                     "rate limited by the server: HTTP 429");
    assert_int_equal(row.attempts, 1);
}

static void test_no_try_after_the_deadline(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    job.received_ms -= REPLY_TOKEN_LIFE_MS;
    row = play_one(play, job);
    play_assert_dead(&row, STATUS_TOKEN_EXPIRED,
                     "reply token expired or used: the minute is over");
    play_assert_requests(play, 0, 0);
}

static void test_the_last_try(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    job.attempts = JOB_ATTEMPTS_MAX - 1;
    play_script(play, "GET", PLAY_ANSWERS({.status = 500}));
    row = play_one(play, job);
    play_assert_dead(&row, STATUS_SERVER_ERROR, "server error: HTTP 500");
    assert_int_equal(row.attempts, JOB_ATTEMPTS_MAX);
    play_assert_requests(play, 1, 0);
}

/* A job that takes its workers down with it gets here. */
static void test_no_try_is_left(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    job.attempts = JOB_ATTEMPTS_MAX;
    (void)str_copy(job.reason, sizeof(job.reason), "before");
    row = play_one(play, job);
    play_assert_dead(&row, STATUS_TOO_MANY_TRIES,
                     "gave up after repeated tries: before");
    play_assert_requests(play, 0, 0);
}

/* Left to a worker that knows it, as long as there is time. */
static void test_channel_that_is_gone(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    (void)str_copy(job.channel, sizeof(job.channel), "former");
    job.received_ms -= REPLY_TOKEN_LIFE_MS - 1000;
    row = play_one(play, job);
    play_assert_dead(&row, STATUS_TOKEN_EXPIRED,
                     "reply token expired or used: the minute is over");
    assert_int_equal(row.attempts, 1);
    play_assert_requests(play, 0, 0);
    play_assert_nothing_published(play);
}

/* More of them than a lab has places: none keeps one. */
static void test_dead_jobs_leave_the_lab(void **state)
{
    struct play *play = *state;

    play_script(play, "GET", PLAY_ANSWERS({.status = 404}));
    for (int n = 1; n <= LAB_STREAMS_MAX + 1; n++) {
        struct job job = play_job(n);

        fake_queue_store(&play->queue, &job);
    }
    play_start(play);
    play_run_until(play, play_is_over);
    play_assert_requests(play, LAB_STREAMS_MAX + 1, 0);
    assert_int_equal(lab_waiting(play->lab), 0);
}

/* ---- the lab */

static void kill_lab(struct play *play)
{
    pid_t pid = 0;

    assert_int_equal(lab_pids(play->lab, &pid, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_killed_lab_costs_a_try(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .stall = 1000},
                             PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    fake_queue_store(&play->queue, &job);
    play_start(play);
    play_run_until(play, is_in_lab);
    kill_lab(play);
    play_run_until(play, play_is_over);
    row = play_row(play, job.id);
    play_assert_replied(&row, 2);
    assert_true(row.alone);
    play_assert_small_jpeg(play, &row);
}

static bool is_cut(struct play *play)
{
    return play->pipeline->first->cut_status != STATUS_OK;
}

/* A host that cuts its own transfers must not hide what they do to labs. */
static void test_lab_dies_of_a_cut_transfer(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;
    pid_t pid = 0;

    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .step = play->small_jpeg.len / 8,
                              .pause_ms = 50,
                              .cut = play->small_jpeg.len / 2},
                             PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    fake_queue_store(&play->queue, &job);
    play_start(play);
    play_run_until(play, is_in_lab);
    assert_int_equal(lab_pids(play->lab, &pid, 1), 1);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    play_run_until(play, is_cut);
    kill_lab(play);
    play_run_until(play, play_is_over);
    row = play_row(play, job.id);
    play_assert_replied(&row, 2);
    assert_true(row.alone);
}

static void test_picture_that_kills_labs(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .stall = 1000}));
    fake_queue_store(&play->queue, &job);
    play_start(play);
    play_run_until(play, is_in_lab);
    kill_lab(play);
    play_run_until(play, is_in_lab_again);
    kill_lab(play);
    play_run_until(play, play_is_over);
    row = play_row(play, job.id);
    play_assert_dead(&row, STATUS_POISON, "the picture crashes its decoder");
    assert_int_equal(row.attempts, 2);
    play_assert_nothing_published(play);
}

/* ---- the store */

static void test_no_room_for_temporary_files(void **state)
{
    struct play *play = *state;
    struct job row;

    fake_fault_set(&play->fake_store.begin, 1, 1, STATUS_NO_SPACE);
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 2);
    play_assert_requests(play, 1, 1);
    play_assert_small_jpeg(play, &row);
}

static void test_publishing_fails_once(void **state)
{
    struct play *play = *state;
    struct job row;

    fake_fault_set(&play->fake_store.publish, 1, 1, STATUS_IO);
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->large_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 2);
    play_assert_requests(play, 2, 1);
    play_assert_large_jpeg(play, &row);
}

static void test_publishing_fails_for_good(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    fake_fault_set(&play->fake_store.publish, 0, 1, STATUS_IO);
    job.attempts = JOB_ATTEMPTS_MAX - 1;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    row = play_one(play, job);
    play_assert_dead(&row, STATUS_IO, "input/output error: publishing");
    assert_int_equal(row.stage, JOB_STAGE_FETCH);
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

/* The first try published one of two files; then the sender takes the picture
 * back: it must not stay. */
static void test_withdrawn_when_half_published(void **state)
{
    struct play *play = *state;
    struct job row;

    fake_fault_set(&play->fake_store.publish, 1, 1, STATUS_IO);
    play_script(play, "GET",
                PLAY_ANSWERS(PLAY_WHOLE(play->large_jpeg), {.status = 410}));
    row = play_one(play, play_job(1));
    assert_int_equal(row.outcome, JOB_OUTCOME_WITHDRAWN);
    play_assert_requests(play, 2, 0);
    play_assert_nothing_published(play);
}

/* ---- claimed once more by the worker that has it in hand */

static bool content_is_asked_for(struct play *play)
{
    return line_double_count(play->line, "GET") > 0;
}

static bool is_claimed_again(struct play *play)
{
    return play_row(play, 1).claim == 2;
}

static void change_queue(struct play *play,
                         enum status (*change)(struct queue *queue))
{
    pthread_mutex_lock(&play->queue.lock);
    assert_int_equal(queue_begin(play->queue.inner), STATUS_OK);
    assert_int_equal(change(play->queue.inner), STATUS_OK);
    assert_int_equal(queue_commit(play->queue.inner), STATUS_OK);
    pthread_mutex_unlock(&play->queue.lock);
}

static enum status end_lease(struct queue *queue)
{
    const int64_t id = 1;

    return queue_extend(queue, &id, 1, 0);
}

static enum status drop_and_retry(struct queue *queue)
{
    enum status status = queue_drop(queue, 1, "by hand", wall_ms());

    return status == STATUS_OK ? queue_requeue(queue, 1, wall_ms()) : status;
}

/* The first answer takes its time; meanwhile `change` happens. */
static struct job play_again(struct play *play,
                             enum status (*change)(struct queue *queue))
{
    struct job job = play_job(1);

    play->channel.push = 1;
    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .step = 1000,
                              .pause_ms = 100},
                             PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    play_script(play, PLAY_PUSH, PLAY_ANSWERS(PLAY_TEXT("{}")));
    fake_queue_store(&play->queue, &job);
    play_start(play);
    play_run_until(play, content_is_asked_for);
    change_queue(play, change);
    play_run_until(play, is_claimed_again);
    play_run_until(play, play_is_over);
    return play_row(play, 1);
}

static void test_work_goes_on_under_a_new_lease(void **state)
{
    struct play *play = *state;
    struct job row = play_again(play, end_lease);

    play_assert_replied(&row, 1);
    play_assert_requests(play, 1, 1);
    play_assert_small_jpeg(play, &row);
}

static void test_a_retry_does_not_go_on_with_the_token(void **state)
{
    struct play *play = *state;
    struct job row = play_again(play, drop_and_retry);

    assert_int_equal(row.state, JOB_DONE);
    assert_int_equal(row.outcome, JOB_OUTCOME_PUSHED);
    play_assert_requests(play, 2, 0);
    assert_int_equal(line_double_count(play->line, PLAY_PUSH), 1);
    play_assert_no_temporary_file(play);
}

/* ---- main */

#define CASE(name)                                                             \
    cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_picture_is_published_and_replied),
        CASE(test_work_goes_on_under_a_new_lease),
        CASE(test_a_retry_does_not_go_on_with_the_token),
        CASE(test_large_picture_has_a_preview),
        CASE(test_png_of_unknown_length),
        CASE(test_bytes_after_the_picture_do_no_harm),
        CASE(test_half_a_picture),
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
        CASE(test_dead_jobs_leave_the_lab),
        CASE(test_killed_lab_costs_a_try),
        CASE(test_lab_dies_of_a_cut_transfer),
        CASE(test_picture_that_kills_labs),
        CASE(test_no_room_for_temporary_files),
        CASE(test_publishing_fails_once),
        CASE(test_publishing_fails_for_good),
        CASE(test_withdrawn_when_half_published),
    };

    return cmocka_run_group_tests_name("pipeline", tests, play_new, play_free);
}
