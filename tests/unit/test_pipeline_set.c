/*
 * test_pipeline_set.c: image sets, answered together; messages that are taken
 * back, at every point of a picture's way; and workers that die.
 *
 * A worker that dies is played by what it has noted by then: the rows are read
 * while LINE's answer is awaited, and given to another play.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../helper/play.h"

#define USED                                                                   \
    {                                                                          \
        .status = 400, .body = used_token, .len = sizeof(used_token) - 1       \
    }

static const char used_token[] = "{\"message\":\"Invalid reply token\"}";

static struct job member(int n, int total)
{
    struct job job = play_job(n);

    (void)str_copy(job.set_id, sizeof(job.set_id), "A1");
    job.set_index = n;
    job.set_total = total;
    return job;
}

/* Published by a worker before. */
static struct job published_member(int n, int total)
{
    struct job job = member(n, total);

    job.stage = JOB_STAGE_REPLY;
    (void)snprintf(job.original_name, sizeof(job.original_name), "ab/%do.png",
                   n);
    (void)snprintf(job.preview_name, sizeof(job.preview_name), "ab/%dp.png", n);
    return job;
}

static struct job unsend_of(int n)
{
    struct job job = play_job(n);

    job.kind = JOB_UNSEND;
    job.reply_token[0] = '\0';
    (void)snprintf(job.event_id, sizeof(job.event_id), "unsend-%d", n);
    return job;
}

static void assert_withdrawn(const struct job *row)
{
    assert_int_equal(row->state, JOB_DONE);
    assert_int_equal(row->outcome, JOB_OUTCOME_WITHDRAWN);
}

static void assert_removed(const struct job *row, const char *reason)
{
    assert_int_equal(row->state, JOB_DONE);
    assert_int_equal(row->outcome, JOB_OUTCOME_REMOVED);
    assert_string_equal(row->reason, reason);
}

/* The nth request with these words holds the names in this order, and no
 * other picture. */
static void assert_pictures(struct play *play, const char *words, size_t nth,
                            const struct job *rows, size_t count)
{
    struct line_seen seen;
    const char *at;
    size_t pictures = 0;

    line_double_seen(play->line, words, nth, &seen);
    at = seen.text;
    for (size_t i = 0; i < count; i++) {
        at = strstr(at, rows[i].original_name);
        assert_non_null(at);
    }
    for (at = seen.text; (at = strstr(at, "originalContentUrl")) != NULL; at++)
        pictures++;
    assert_int_equal(pictures, count);
}

/* Two replies, each by a connection of its own, come in any order: which one
 * has this picture. */
static size_t find_reply(struct play *play, const char *original_name)
{
    struct line_seen seen;

    line_double_seen(play->line, PLAY_REPLY, 0, &seen);
    return strstr(seen.text, original_name) != NULL ? 0 : 1;
}

static size_t pushes(struct play *play)
{
    return line_double_count(play->line, PLAY_PUSH);
}

/* ---- sets */

static void test_set_is_answered_together(void **state)
{
    struct play *play = *state;
    struct job rows[3];

    play->channel.set_wait_ms = 20000;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    for (int n = 3; n >= 1; n--) {
        rows[n - 1] = member(n, 3);
        rows[n - 1].received_ms += n == 2 ? 50 : 0;
        fake_queue_store(&play->queue, &rows[n - 1]);
    }
    play_start(play);
    play_run_until(play, play_is_over);
    for (int i = 0; i < 3; i++) {
        rows[i] = play_row(play, rows[i].id);
        play_assert_replied(&rows[i], 1);
    }
    play_assert_requests(play, 3, 1);
    assert_pictures(play, PLAY_REPLY, 0, rows, 3);
    /* the freshest */
    assert_int_equal(line_double_count(play->line, "\"token-2\""), 1);
}

/* Of the token that came with the picture of this index. */
static size_t token_uses(struct play *play, int index)
{
    char token[32];

    (void)snprintf(token, sizeof(token), "\"token-%d\"", index);
    return line_double_count(play->line, token);
}

static void test_large_set_takes_two_replies(void **state)
{
    struct play *play = *state;
    struct job rows[7];
    size_t first, tokens = 0;

    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    for (int n = 1; n <= 7; n++) {
        rows[n - 1] = published_member(n, 7);
        fake_queue_store(&play->queue, &rows[n - 1]);
    }
    play_start(play);
    play_run_until(play, play_is_over);
    play_assert_requests(play, 0, 2);
    first = find_reply(play, rows[0].original_name);
    assert_pictures(play, PLAY_REPLY, first, rows, 5);
    assert_pictures(play, PLAY_REPLY, 1 - first, rows + 5, 2);
    for (int i = 0; i < 7; i++) {
        rows[i] = play_row(play, rows[i].id);
        play_assert_replied(&rows[i], 1);
        tokens += token_uses(play, i + 1);
        assert_true(token_uses(play, i + 1) <= 1);
    }
    assert_int_equal(tokens, 2);
}

static void test_quote_takes_a_place(void **state)
{
    struct play *play = *state;
    struct job rows[5];
    size_t first;

    (void)str_copy(play->channel.quote_text, sizeof(play->channel.quote_text),
                   "Here:");
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    for (int n = 1; n <= 5; n++) {
        rows[n - 1] = published_member(n, 5);
        fake_queue_store(&play->queue, &rows[n - 1]);
    }
    play_start(play);
    play_run_until(play, play_is_over);
    play_assert_requests(play, 0, 2);
    first = find_reply(play, rows[0].original_name);
    assert_pictures(play, PLAY_REPLY, first, rows, 4);
    assert_pictures(play, PLAY_REPLY, 1 - first, rows + 4, 1);
}

/* Waited for as long as the channel says, then answered with what is there. */
static void test_set_that_stays_incomplete(void **state)
{
    struct play *play = *state;
    struct job rows[2];

    play->channel.set_wait_ms = 1000;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    for (int n = 1; n <= 2; n++) {
        rows[n - 1] = member(n, 3);
        fake_queue_store(&play->queue, &rows[n - 1]);
    }
    play_start(play);
    play_run_until(play, play_is_over);
    play_assert_requests(play, 2, 1);
    for (int i = 0; i < 2; i++)
        rows[i] = play_row(play, rows[i].id);
    assert_pictures(play, PLAY_REPLY, 0, rows, 2);
}

static void test_set_with_a_bad_member(void **state)
{
    struct play *play = *state;
    struct job rows[3], bad;

    play->channel.set_wait_ms = 20000;
    play_script(play, "600000002", PLAY_ANSWERS({.status = 404}));
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    for (int n = 1; n <= 3; n++) {
        rows[n - 1] = member(n, 3);
        fake_queue_store(&play->queue, &rows[n - 1]);
    }
    play_start(play);
    play_run_until(play, play_is_over);
    play_assert_requests(play, 3, 1);
    bad = play_row(play, rows[1].id);
    assert_int_equal(bad.outcome, JOB_OUTCOME_DEAD);
    rows[0] = play_row(play, rows[0].id);
    rows[1] = play_row(play, rows[2].id);
    assert_pictures(play, PLAY_REPLY, 0, rows, 2);
}

static void test_set_is_pushed_as_one(void **state)
{
    struct play *play = *state;
    struct job rows[3];

    play->channel.push = 1;
    play->channel.push_budget = 1; /* it is one push */
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(USED));
    play_script(
        play, PLAY_PUSH,
        PLAY_ANSWERS({.status = 500}, {.status = 200}, {.status = 409}));
    for (int n = 1; n <= 3; n++) {
        rows[n - 1] = published_member(n, 3);
        fake_queue_store(&play->queue, &rows[n - 1]);
    }
    play_start(play);
    play_run_until(play, play_is_over);
    play_assert_requests(play, 0, 1);
    /* Each member repeats the push of all, with the same key. */
    assert_int_equal(pushes(play), 4);
    for (size_t i = 0; i < 4; i++) {
        struct line_seen seen;

        assert_pictures(play, PLAY_PUSH, i, rows, 3);
        line_double_seen(play->line, PLAY_PUSH, i, &seen);
        assert_string_equal(seen.retry_key,
                            play_row(play, rows[0].id).push_key);
    }
    for (int i = 0; i < 3; i++) {
        rows[i] = play_row(play, rows[i].id);
        assert_int_equal(rows[i].outcome, JOB_OUTCOME_PUSHED);
    }
}

/* ---- taken back */

static void test_unsend_after_the_reply(void **state)
{
    struct play *play = *state;
    struct job row, unsend = unsend_of(1);

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->large_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    fake_queue_put(&play->queue, &unsend);
    play_run_until(play, play_is_over);
    unsend = play_row(play, unsend.id);
    assert_removed(&unsend, "the published picture was removed");
    play_assert_nothing_published(play);
    row = play_row(play, row.id);
    play_assert_replied(&row, 1);
}

static void test_unsend_before_the_picture(void **state)
{
    struct play *play = *state;
    struct job unsend = unsend_of(1), row = play_job(1);

    fake_queue_put(&play->queue, &unsend);
    fake_queue_put(&play->queue, &row);
    play_start(play);
    play_run_until(play, play_is_over);
    unsend = play_row(play, unsend.id);
    assert_removed(&unsend, "nothing was published");
    row = play_row(play, row.id);
    assert_withdrawn(&row);
    play_assert_requests(play, 0, 0);
}

static bool has_asked_once(struct play *play)
{
    return line_double_count(play->line, "GET /") == 1;
}

static void test_unsend_while_it_is_fetched(void **state)
{
    struct play *play = *state;
    struct job unsend = unsend_of(1), row = play_job(1);

    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .stall = 1000}));
    fake_queue_store(&play->queue, &row);
    play_start(play);
    play_run_until(play, has_asked_once);
    fake_queue_put(&play->queue, &unsend);
    play_run_until(play, play_is_over);
    unsend = play_row(play, unsend.id);
    assert_removed(&unsend, "nothing was published");
    row = play_row(play, row.id);
    assert_withdrawn(&row);
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

/* Another worker has the unsend in hand; this one meets it at its note. */
static void test_unsend_that_another_worker_has(void **state)
{
    struct play *play = *state;
    struct job unsend = unsend_of(1), row = play_job(1);

    play->config.max_transfers = 1;
    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .step = play->small_jpeg.len / 4,
                              .pause_ms = 100}));
    fake_queue_store(&play->queue, &row);
    play_start(play);
    play_run_until(play, has_asked_once);
    fake_queue_put(&play->queue, &unsend);
    play_run_until(play, play_is_over);
    row = play_row(play, row.id);
    assert_withdrawn(&row);
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
    unsend = play_row(play, unsend.id);
    assert_removed(&unsend, "nothing was published");
}

static void *put_unsend(void *arg)
{
    struct play *play = arg;
    struct job unsend = unsend_of(1);

    assert_int_equal(
        queue_thread_put(play->queue_thread, &unsend, 1, NULL, NULL),
        STATUS_OK);
    return NULL;
}

static bool has_one_in_hand(struct play *play)
{
    return pipeline_load(play->pipeline) == 1;
}

/* One commit brings the note of the reply and then the unsend: both are known
 * before anything is sent. */
static void test_unsend_right_after_the_note(void **state)
{
    const struct timespec pause = {.tv_nsec = 200 * 1000000L};
    struct play *play = *state;
    struct job row = published_member(1, 1);
    pthread_t acceptor;

    fake_queue_store(&play->queue, &row);
    fake_queue_fail(&play->queue, FAKE_UPDATE, 0, 1000, STATUS_BUSY);
    play_start(play);
    play_run_until(play, has_one_in_hand);
    assert_int_equal(queue_begin(&play->queue.base), STATUS_OK);
    fake_queue_fail(&play->queue, FAKE_UPDATE, 0, 0, STATUS_OK);
    assert_int_equal(pthread_create(&acceptor, NULL, put_unsend, play), 0);
    (void)nanosleep(&pause, NULL); /* until it waits, as the note does */
    queue_rollback(&play->queue.base);
    assert_int_equal(pthread_join(acceptor, NULL), 0);
    play_run_until(play, play_is_over);
    row = play_row(play, row.id);
    assert_withdrawn(&row);
    play_assert_requests(play, 0, 0);
}

/* This worker stood still beyond its lease: another one has replied, and the
 * unsend has come and gone. */
static void test_unsend_beyond_a_lost_lease(void **state)
{
    struct play *play = *state;
    struct job unsend = unsend_of(1), row = play_job(1), done;

    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .step = play->small_jpeg.len / 4,
                              .pause_ms = 100}));
    fake_queue_store(&play->queue, &row);
    play_start(play);
    play_run_until(play, has_asked_once);
    done = play_row(play, row.id);
    done.state = JOB_DONE;
    done.stage = JOB_STAGE_REPLY;
    done.outcome = JOB_OUTCOME_REPLIED;
    unsend.state = JOB_DONE;
    unsend.outcome = JOB_OUTCOME_REMOVED;
    assert_int_equal(queue_begin(&play->queue.base), STATUS_OK);
    assert_int_equal(queue_update(&play->queue.base, &done, NULL, wall_ms()),
                     STATUS_OK);
    assert_int_equal(queue_commit(&play->queue.base), STATUS_OK);
    fake_queue_store(&play->queue, &unsend);
    play_run_until(play, play_is_idle);
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
    row = play_row(play, row.id);
    assert_int_equal(row.outcome, JOB_OUTCOME_REPLIED);
}

static void test_unsend_of_a_parked_member(void **state)
{
    struct play *play = *state;
    struct job rows[3], unsend = unsend_of(2);

    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    for (int n = 1; n <= 3; n++) {
        rows[n - 1] = published_member(n, 3);
        fake_queue_store(&play->queue, &rows[n - 1]);
    }
    fake_queue_put(&play->queue, &unsend);
    play_start(play);
    play_run_until(play, play_is_over);
    play_assert_requests(play, 0, 1);
    rows[1] = play_row(play, rows[1].id);
    assert_withdrawn(&rows[1]);
    rows[1] = rows[2];
    assert_pictures(play, PLAY_REPLY, 0, rows, 2);
}

static void test_removing_is_repeated(void **state)
{
    struct play *play = *state;
    struct job unsend = unsend_of(1), row;

    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    fake_fault_set(&play->fake_store.remove, 0, 2, STATUS_IO);
    fake_queue_put(&play->queue, &unsend);
    play_run_until(play, play_is_over);
    unsend = play_row(play, unsend.id);
    assert_removed(&unsend, "the published picture was removed");
    assert_int_equal(unsend.attempts, 3);
    play_assert_nothing_published(play);
}

/* ---- workers that die */

/* What is noted when the request with these words is out is all that is left;
 * then LINE says that the token was used. */
static bool reply_is_out(struct play *play)
{
    return line_double_count(play->line, PLAY_REPLY) == 1;
}

static void take_over(void **state, struct job *rows, size_t count)
{
    struct play *play = *state;

    for (size_t i = 0; i < count; i++)
        rows[i] = play_row(play, rows[i].id);
    play_drain(play); /* what it notes from now on is not looked at */
    play_run_until(play, play_is_idle);
    play_tear_down(state);
    play_set_up(state);
    for (size_t i = 0; i < count; i++) {
        rows[i].state = JOB_READY;
        rows[i].due_ms = 0;
        fake_queue_store(&play->queue, &rows[i]);
    }
}

static void test_worker_dies_during_the_reply_of_a_set(void **state)
{
    struct play *play = *state;
    struct job rows[3];

    play_script(
        play, PLAY_REPLY,
        PLAY_ANSWERS({.pause_ms = 500, .step = 1, .body = "{}", .len = 2}));
    for (int n = 1; n <= 3; n++) {
        rows[n - 1] = published_member(n, 3);
        rows[n - 1].received_ms += n;
        fake_queue_store(&play->queue, &rows[n - 1]);
    }
    play_start(play);
    play_run_until(play, reply_is_out);
    take_over(state, rows, 3);
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(USED));
    play_start(play);
    play_run_until(play, play_is_over);
    play_assert_requests(play, 0, 1);
    assert_int_equal(line_double_count(play->line, "\"token-3\""), 1);
    for (int i = 0; i < 3; i++) {
        rows[i] = play_row(play, rows[i].id);
        assert_int_equal(rows[i].outcome, JOB_OUTCOME_REPLIED);
        assert_true(rows[i].reply_in_doubt);
    }
}

static bool push_is_out(struct play *play)
{
    return pushes(play) == 1;
}

static void test_worker_dies_during_a_push(void **state)
{
    struct play *play = *state;
    struct line_seen first, second;
    struct job row = published_member(1, 1);

    play->channel.push = 1;
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(USED));
    play_script(
        play, PLAY_PUSH,
        PLAY_ANSWERS({.pause_ms = 500, .step = 1, .body = "{}", .len = 2}));
    fake_queue_store(&play->queue, &row);
    play_start(play);
    play_run_until(play, push_is_out);
    line_double_seen(play->line, PLAY_PUSH, 0, &first);
    take_over(state, &row, 1);
    play->channel.push = 1;
    assert_int_equal(row.stage, JOB_STAGE_PUSH);
    play_script(play, PLAY_PUSH, PLAY_ANSWERS({.status = 409}));
    play_start(play);
    play_run_until(play, play_is_over);
    row = play_row(play, row.id);
    assert_int_equal(row.outcome, JOB_OUTCOME_PUSHED);
    assert_int_equal(pushes(play), 1);
    line_double_seen(play->line, PLAY_PUSH, 0, &second);
    assert_string_equal(first.text, second.text);
    assert_string_equal(first.retry_key, second.retry_key);
}

/* ---- main */

#define CASE(name)                                                             \
    cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_set_is_answered_together),
        CASE(test_large_set_takes_two_replies),
        CASE(test_quote_takes_a_place),
        CASE(test_set_that_stays_incomplete),
        CASE(test_set_with_a_bad_member),
        CASE(test_set_is_pushed_as_one),
        CASE(test_unsend_after_the_reply),
        CASE(test_unsend_before_the_picture),
        CASE(test_unsend_while_it_is_fetched),
        CASE(test_unsend_that_another_worker_has),
        CASE(test_unsend_right_after_the_note),
        CASE(test_unsend_beyond_a_lost_lease),
        CASE(test_unsend_of_a_parked_member),
        CASE(test_removing_is_repeated),
        CASE(test_worker_dies_during_the_reply_of_a_set),
        CASE(test_worker_dies_during_a_push),
    };

    return cmocka_run_group_tests_name("pipeline_set", tests, play_new,
                                       play_free);
}
