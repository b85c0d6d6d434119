/*
 * test_pipeline_reply.c: a job from its published files to its outcome: the
 * reply and its doubts, what the queue does meanwhile, and draining.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../helper/play.h"

#define REFUSED_AS_USED                                                        \
    {                                                                          \
        .status = 400, .body = used_token, .len = sizeof(used_token) - 1       \
    }

static const char used_token[] = "{\"message\":\"Invalid reply token\"}";
static const char bad_message[] =
    "{\"message\":\"The request body has 1 error(s)\",\"details\":"
    "[{\"message\":\"must be https\",\"property\":\"messages[0]\"}]}";

static bool has_asked_once(struct play *play)
{
    return line_double_count(play->line, "GET /") == 1;
}

/* As if it had never been claimed. */
static void assert_handed_back(const struct job *row, enum job_stage stage,
                               int attempts)
{
    assert_int_equal(row->state, JOB_READY);
    assert_int_equal(row->outcome, JOB_OUTCOME_NONE);
    assert_int_equal(row->stage, stage);
    assert_int_equal(row->attempts, attempts);
    assert_true(row->due_ms <= wall_ms());
}

/* ---- the reply */

static void test_reply_with_the_same_token(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY,
                PLAY_ANSWERS({.status = 500}, PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 2);
    assert_false(row.reply_in_doubt);
    play_assert_requests(play, 1, 2);
    play_assert_reply(play, "token-1", 0, &row);
    play_assert_reply(play, "token-1", 1, &row);
}

static void test_reply_token_is_over(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(REFUSED_AS_USED));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_TOKEN_EXPIRED,
                     "reply token expired or used: HTTP 400: "
                     "Invalid reply token");
    assert_int_equal(row.stage, JOB_STAGE_REPLY);
    assert_false(row.reply_in_doubt);
    play_assert_requests(play, 1, 1);
}

/* Refused without doubt, then refused: nothing has arrived. */
static void test_reply_token_is_over_at_the_second_try(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY,
                PLAY_ANSWERS({.status = 429}, REFUSED_AS_USED));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_TOKEN_EXPIRED,
                     "reply token expired or used: HTTP 400: "
                     "Invalid reply token");
    play_assert_requests(play, 1, 2);
}

static void test_reply_whose_answer_is_lost(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY,
                PLAY_ANSWERS({.drop = true}, REFUSED_AS_USED));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 2);
    assert_true(row.reply_in_doubt);
    assert_string_equal(row.reason,
                        "assumed: the token was used by an earlier try");
    play_assert_requests(play, 1, 2);
    play_assert_reply(play, "token-1", 0, &row);
    play_assert_reply(play, "token-1", 1, &row);
}

/* A clear refusal in between does not take the doubt away. */
static void test_reply_stays_in_doubt(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY,
                PLAY_ANSWERS({.drop = true}, {.status = 500}, REFUSED_AS_USED));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 3);
    assert_true(row.reply_in_doubt);
}

static void test_reply_that_never_arrived_is_sent_again(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY,
                PLAY_ANSWERS({.drop = true}, PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 2);
    assert_false(row.reply_in_doubt);
    assert_string_equal(row.reason, "");
}

static void test_reply_is_refused(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY,
                PLAY_ANSWERS({.status = 400,
                              .body = bad_message,
                              .len = sizeof(bad_message) - 1}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_REFUSED,
                     "refused by the server: HTTP 400: "
                     "The request body has 1 error(s), messages[0]");
    play_assert_requests(play, 1, 1);
}

/* A token that may be too old proves nothing when it is refused. */
static void test_refusal_in_the_last_moment_is_no_delivery(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    job.received_ms -= REPLY_TOKEN_LIFE_MS - 1500;
    job.reply_in_doubt = true;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(REFUSED_AS_USED));
    row = play_one(play, job);
    play_assert_dead(&row, STATUS_TOKEN_EXPIRED,
                     "reply token expired or used: HTTP 400: "
                     "Invalid reply token; a reply may have arrived");
    assert_true(row.reply_in_doubt);
}

/* A gateway's error says nothing about what LINE did. */
static void test_reply_behind_a_gateway(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY,
                PLAY_ANSWERS({.status = 504}, REFUSED_AS_USED));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 2);
    assert_true(row.reply_in_doubt);
}

/* No answer, and no time for another try: the receipt tells the doubt. */
static void test_reply_without_answer_until_the_deadline(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    job.received_ms -= REPLY_TOKEN_LIFE_MS - 3000;
    job.attempts = 8; /* the next wait is 4 s at least */
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS({.drop = true}));
    row = play_one(play, job);
    assert_int_equal(row.state, JOB_DEAD);
    assert_int_equal(row.last_status, STATUS_NETWORK);
    assert_true(row.reply_in_doubt);
    play_assert_requests(play, 1, 1);
}

/* ---- jobs of a worker that died */

static struct job published_job(void)
{
    struct job job = play_job(1);

    job.stage = JOB_STAGE_REPLY;
    job.attempts = 1;
    (void)str_copy(job.original_name, sizeof(job.original_name), "ab/o.png");
    (void)str_copy(job.preview_name, sizeof(job.preview_name), "ab/p.png");
    return job;
}

static void test_published_job_is_replied_without_a_fetch(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, published_job());
    play_assert_replied(&row, 2);
    assert_false(row.reply_in_doubt);
    play_assert_requests(play, 0, 1);
    play_assert_reply(play, "token-1", 0, &row);
    assert_string_equal(row.original_name, "ab/o.png");
    assert_string_equal(row.preview_name, "ab/p.png");
}

static void test_reply_of_a_dead_worker_had_arrived(void **state)
{
    struct play *play = *state;
    struct job job = published_job(), row;

    job.reply_in_doubt = true;
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(REFUSED_AS_USED));
    row = play_one(play, job);
    play_assert_replied(&row, 2);
    assert_true(row.reply_in_doubt);
    play_assert_requests(play, 0, 1);
}

static void test_published_job_without_doubt(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, PLAY_REPLY, PLAY_ANSWERS(REFUSED_AS_USED));
    row = play_one(play, published_job());
    play_assert_dead(&row, STATUS_TOKEN_EXPIRED,
                     "reply token expired or used: HTTP 400: "
                     "Invalid reply token");
}

/* ---- the queue */

static void hand_over(struct play *play, const struct job *job)
{
    const struct queue_lease lease = {.job = *job};

    pipeline_take(play->pipeline, &lease, 1);
}

static void test_job_handed_over_twice(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    job.state = JOB_LEASED;
    job.attempts = 1;
    fake_queue_store(&play->queue, &job);
    play_start(play);
    hand_over(play, &job);
    hand_over(play, &job);
    assert_int_equal(pipeline_load(play->pipeline), 1);
    play_run_until(play, play_is_over);
    row = play_row(play, job.id);
    play_assert_replied(&row, 1);
    play_assert_requests(play, 1, 1);
}

static bool one_by_one_until_over(struct play *play)
{
    assert_in_range(pipeline_load(play->pipeline), 0, 1);
    return play_is_over(play);
}

/* One at a time, and all are done: each end of a job makes room. */
static void test_room_comes_back(void **state)
{
    struct play *play = *state;

    play->config.max_transfers = 1;
    play_script(play, "GET", PLAY_ANSWERS({.status = 404}));
    for (int n = 1; n <= 3; n++) {
        struct job job = play_job(n);

        fake_queue_store(&play->queue, &job);
    }
    play_start(play);
    play_run_until(play, one_by_one_until_over);
    for (int n = 1; n <= 3; n++)
        assert_int_equal(play_row(play, n).state, JOB_DEAD);
}

/* The lease went to another worker while the picture was published: whoever
 * has it replies, and this one keeps nothing. */
static void test_lease_lost_before_the_reply(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1);

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    fake_queue_fail(&play->queue, FAKE_UPDATE, 0, 1, STATUS_LEASE_LOST);
    fake_queue_store(&play->queue, &job);
    play_start(play);
    play_run_until(play, has_asked_once);
    play_run_until(play, play_is_idle);
    play_assert_requests(play, 1, 0);
    play_assert_no_temporary_file(play);
    assert_int_equal(play_row(play, job.id).state, JOB_LEASED);
}

static void test_lease_lost_after_the_reply(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1);

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    fake_queue_fail(&play->queue, FAKE_UPDATE, 1, 1, STATUS_LEASE_LOST);
    fake_queue_store(&play->queue, &job);
    play_start(play);
    play_run_until(play, has_asked_once);
    play_run_until(play, play_is_idle);
    play_assert_requests(play, 1, 1);
    play_assert_no_temporary_file(play);
}

/* What the queue cannot write now is written later, and not done twice. */
static void test_queue_fails_for_a_while(void **state)
{
    struct play *play = *state;
    struct job row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    fake_queue_fail(&play->queue, FAKE_UPDATE, 0, 3, STATUS_IO);
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    play_assert_requests(play, 1, 1);
}

/* ---- draining */

static bool has_drained(struct play *play)
{
    return play->idle > 0;
}

static void test_drain_when_idle(void **state)
{
    struct play *play = *state;

    play_start(play);
    play_drain(play);
    play_run_until(play, has_drained);
    assert_int_equal(play->idle, 1);
}

static bool three_are_under_way(struct play *play)
{
    return line_double_count(play->line, "600000001") == 1 &&
           line_double_count(play->line, "token-2") == 1 &&
           line_double_count(play->line, "600000003") == 1;
}

/* Before the answer comes the row says that a reply may be out. */
static void assert_noted(struct play *play, int64_t id)
{
    struct job row = play_row(play, id);

    assert_int_equal(row.state, JOB_LEASED);
    assert_int_equal(row.stage, JOB_STAGE_REPLY);
    assert_true(row.reply_in_doubt);
}

/* DRAIN_MS long: job 1 stalls in its content, 2 in its reply, 3 takes half a
 * second, 4 comes when it is too late. */
static void test_drain_hands_back_what_is_slow(void **state)
{
    struct play *play = *state;
    struct job job, row;

    play_script(play, "600000001",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .stall = 1000}));
    play_script(play, "token-2", PLAY_ANSWERS({.silent = true}));
    play_script(play, "600000002", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "600000003",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .step = play->small_jpeg.len / 5,
                              .pause_ms = 100}));
    play_script(play, "token-3", PLAY_ANSWERS(PLAY_TEXT("{}")));
    for (int n = 1; n <= 3; n++) {
        job = play_job(n);
        fake_queue_store(&play->queue, &job);
    }
    play_start(play);
    play_run_until(play, three_are_under_way);
    assert_noted(play, 2);
    play_drain(play);
    job = play_job(4);
    job.state = JOB_LEASED;
    job.attempts = 3;
    fake_queue_store(&play->queue, &job);
    hand_over(play, &job);
    play_run_until(play, has_drained);
    assert_int_equal(play->idle, 1);
    row = play_row(play, 1);
    assert_handed_back(&row, JOB_STAGE_FETCH, 0);
    row = play_row(play, 2);
    assert_handed_back(&row, JOB_STAGE_REPLY, 0);
    assert_true(row.reply_in_doubt);
    play_assert_small_jpeg(play, &row);
    row = play_row(play, 3);
    play_assert_replied(&row, 1);
    row = play_row(play, 4);
    assert_handed_back(&row, JOB_STAGE_FETCH, 2);
    assert_int_equal(line_double_count(play->line, "600000004"), 0);
    play_assert_no_temporary_file(play);
}

/* ---- main */

#define CASE(name)                                                             \
    cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_reply_with_the_same_token),
        CASE(test_reply_token_is_over),
        CASE(test_reply_token_is_over_at_the_second_try),
        CASE(test_reply_whose_answer_is_lost),
        CASE(test_reply_stays_in_doubt),
        CASE(test_reply_that_never_arrived_is_sent_again),
        CASE(test_reply_is_refused),
        CASE(test_refusal_in_the_last_moment_is_no_delivery),
        CASE(test_reply_behind_a_gateway),
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

    return cmocka_run_group_tests_name("pipeline_reply", tests, play_new,
                                       play_free);
}
