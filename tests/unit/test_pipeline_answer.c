/*
 * test_pipeline_answer.c: what is said to the user besides the plain picture:
 * failure texts, quotes, pushes, a processor's messages, late words; and the
 * small courtesies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../helper/play.h"
#include "texts.h"

#define USED                                                                   \
    {                                                                          \
        .status = 400, .body = used_token, .len = sizeof(used_token) - 1       \
    }
#define DETAILED                                                               \
    {                                                                          \
        .status = 400, .body = bad_message, .len = sizeof(bad_message) - 1     \
    }

static const char html[] = "<html>This is not a picture.</html>";
static const char used_token[] = "{\"message\":\"Invalid reply token\"}";
static const char bad_message[] =
    "{\"message\":\"The request body has 1 error(s)\",\"details\":"
    "[{\"message\":\"must be https\",\"property\":\"messages[0]\"}]}";

static struct job quoted_job(int n)
{
    struct job job = play_job(n);

    (void)str_copy(job.quote_token, sizeof(job.quote_token), "quote-1");
    (void)str_copy(job.read_token, sizeof(job.read_token), "read-1");
    return job;
}

static void assert_told(const struct job *row, enum status status)
{
    assert_int_equal(row->state, JOB_DONE);
    assert_int_equal(row->outcome, JOB_OUTCOME_FAILURE_TEXT);
    assert_int_equal(row->stage, JOB_STAGE_FAILURE);
    assert_int_equal(row->last_status, status);
}

static void assert_pushed(const struct job *row)
{
    assert_int_equal(row->state, JOB_DONE);
    assert_int_equal(row->outcome, JOB_OUTCOME_PUSHED);
    assert_int_equal(row->stage, JOB_STAGE_PUSH);
    assert_int_equal(strlen(row->push_key), RETRY_KEY_MAX);
}

static void assert_said(struct play *play, const char *words, size_t nth,
                        const char *text)
{
    struct line_seen seen;

    line_double_seen(play->line, words, nth, &seen);
    if (strstr(seen.text, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, seen.text);
}

static size_t pushes(struct play *play)
{
    return line_double_count(play->line, PLAY_PUSH);
}

/* ---- the failure text */

static void test_failure_is_told(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.failure_off = false;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_TEXT(html)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, quoted_job(1));
    assert_told(&row, STATUS_NOT_AN_IMAGE);
    assert_string_equal(row.reason, "not a picture of a known type");
    assert_false(row.reply_in_doubt);
    play_assert_requests(play, 1, 1);
    assert_said(play, PLAY_REPLY, 0, "\"replyToken\":\"token-1\"");
    assert_said(play, PLAY_REPLY, 0,
                texts_failure(CONFIG_EN, STATUS_NOT_AN_IMAGE));
    assert_said(play, PLAY_REPLY, 0, "\"quoteToken\":\"quote-1\"");
    play_assert_nothing_published(play);
}

static void test_failure_in_the_owners_words(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.failure_off = false;
    (void)str_copy(play->channel.failure_text,
                   sizeof(play->channel.failure_text), "Nope.");
    play_script(play, "GET", PLAY_ANSWERS({.status = 404}));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    assert_told(&row, STATUS_NOT_FOUND);
    assert_said(play, PLAY_REPLY, 0, "\"text\":\"Nope.\"");
}

static void test_failure_text_whose_answer_is_lost(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.failure_off = false;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_TEXT(html)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS({.drop = true}, USED));
    row = play_one(play, play_job(1));
    assert_told(&row, STATUS_NOT_AN_IMAGE);
    assert_string_equal(row.reason,
                        "not a picture of a known type; "
                        "assumed told: token used");
    assert_true(row.reply_in_doubt);
    play_assert_requests(play, 1, 2);
}

static void test_failure_text_is_refused(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.failure_off = false;
    play->channel.push = 1;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_TEXT(html)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(USED));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_NOT_AN_IMAGE,
                     "not a picture of a known type; the user was not told: "
                     "reply token expired or used");
    assert_int_equal(pushes(play), 0);
}

static void test_bad_set_up_is_not_the_users_business(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.failure_off = false;
    play_script(play, "GET", PLAY_ANSWERS({.status = 401}));
    row = play_one(play, play_job(1));
    assert_int_equal(row.outcome, JOB_OUTCOME_DEAD);
    assert_int_equal(row.last_status, STATUS_UNAUTHORIZED);
    assert_int_equal(line_double_count(play->line, PLAY_REPLY), 0);
}

/* A worker died after it noted the failure. */
static void test_failure_is_told_by_another(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    job.stage = JOB_STAGE_FAILURE;
    job.attempts = 1;
    job.reply_in_doubt = true;
    job.last_status = STATUS_TOO_LARGE;
    (void)str_copy(job.reason, sizeof(job.reason), "larger than the limit");
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, job);
    assert_told(&row, STATUS_TOO_LARGE);
    play_assert_requests(play, 0, 1);
    assert_said(play, PLAY_REPLY, 0,
                texts_failure(CONFIG_EN, STATUS_TOO_LARGE));
}

/* ---- files and pictures from elsewhere */

static void test_file_that_is_no_picture(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    play->channel.failure_off = false;
    job.kind = JOB_FILE;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_TEXT(html)));
    row = play_one(play, job);
    assert_int_equal(row.state, JOB_DONE);
    assert_int_equal(row.outcome, JOB_OUTCOME_SKIPPED);
    play_assert_requests(play, 1, 0);
    play_assert_nothing_published(play);
}

static void test_file_that_is_a_picture(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    job.kind = JOB_FILE;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, job);
    play_assert_replied(&row, 1);
    play_assert_small_jpeg(play, &row);
}

static void test_file_that_is_half_a_picture(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    play->channel.failure_off = false;
    job.kind = JOB_FILE;
    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_png.data,
                              .len = play->small_png.len / 2}));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, job);
    assert_told(&row, STATUS_IMAGE_TRUNCATED);
}

static void test_external_picture_at_a_private_address(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    play->channel.failure_off = false;
    job.kind = JOB_EXTERNAL;
    (void)snprintf(job.external_url, sizeof(job.external_url), "%s/x.jpg",
                   line_double_url(play->line));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, job);
    assert_told(&row, STATUS_ADDRESS_REFUSED);
    play_assert_requests(play, 0, 1);
}

/* ---- words beside the picture */

static void test_quote_and_sender(void **state)
{
    struct play *play = *state;
    struct job row;

    (void)str_copy(play->channel.quote_text, sizeof(play->channel.quote_text),
                   "Here it is:");
    (void)str_copy(play->channel.sender_name, sizeof(play->channel.sender_name),
                   "Lab");
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, quoted_job(1));
    play_assert_replied(&row, 1);
    assert_said(play, PLAY_REPLY, 0,
                "\"messages\":[{\"type\":\"text\",\"text\":\"Here it is:\"");
    assert_said(play, PLAY_REPLY, 0, "\"quoteToken\":\"quote-1\"");
    assert_said(play, PLAY_REPLY, 0, "\"sender\":{\"name\":\"Lab\"}");
    assert_said(play, PLAY_REPLY, 0, row.original_name);
}

static bool is_over_and_marked(struct play *play)
{
    return play_is_over(play) &&
           line_double_count(play->line, "markAsRead") == 1 &&
           line_double_count(play->line, "loading/start") == 1;
}

static void test_courtesies(void **state)
{
    struct play *play = *state;
    struct job job = quoted_job(1), row;

    play->channel.loading = 1;
    play->channel.mark_as_read = 1;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "POST", PLAY_ANSWERS(PLAY_TEXT("{}")));
    fake_queue_store(&play->queue, &job);
    play_start(play);
    play_run_until(play, is_over_and_marked);
    row = play_row(play, job.id);
    play_assert_replied(&row, 1);
    assert_said(play, "markAsRead", 0, "read-1");
    assert_said(play, "loading/start", 0, "\"chatId\":\"U1\"");
}

/* ---- pushes */

static void test_push_after_a_refused_token(void **state)
{
    struct play *play = *state;
    struct line_seen first, second;
    struct job row;

    play->channel.push = 1;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(USED));
    play_script(play, PLAY_PUSH, PLAY_ANSWERS({.drop = true}, {.status = 409}));
    row = play_one(play, play_job(1));
    assert_pushed(&row);
    play_assert_requests(play, 1, 1);
    assert_int_equal(pushes(play), 2);
    line_double_seen(play->line, PLAY_PUSH, 0, &first);
    line_double_seen(play->line, PLAY_PUSH, 1, &second);
    assert_string_equal(first.text, second.text);
    assert_string_equal(first.retry_key, row.push_key);
    assert_string_equal(second.retry_key, row.push_key);
    assert_non_null(strstr(first.text, "\"to\":\"U1\""));
    play_assert_small_jpeg(play, &row);
}

static void test_no_push_while_a_reply_is_in_doubt(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.push = 1;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS({.drop = true}, USED));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 2);
    assert_true(row.reply_in_doubt);
    assert_int_equal(pushes(play), 0);
}

static void test_push_over_the_budget(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.push = 1;
    play->channel.push_budget = 1;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(USED));
    play_script(play, PLAY_PUSH, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    assert_pushed(&row);
    row = play_job(2);
    fake_queue_store(&play->queue, &row);
    play_run_until(play, play_is_over);
    row = play_row(play, row.id);
    play_assert_dead(&row, STATUS_OVER_BUDGET,
                     "the channel's push_budget is used up");
    assert_int_equal(pushes(play), 1);
}

/* A worker died after the push went out. */
static void test_push_is_repeated_by_another(void **state)
{
    static const char noted[] = "[{\"type\":\"text\",\"text\":\"as noted\"}]";
    struct play *play = *state;
    struct line_seen seen;
    struct job job = play_job(1), row;

    play->channel.push = 1;
    job.stage = JOB_STAGE_PUSH;
    job.attempts = 1;
    job.received_ms -= 2 * REPLY_TOKEN_LIFE_MS;
    (void)str_copy(job.push_key, sizeof(job.push_key),
                   "0b9f3c52-6d1e-4c0a-9f37-5a2f4e1c7d10");
    fake_queue_store_noted(&play->queue, &job, noted);
    play_script(play, PLAY_PUSH, PLAY_ANSWERS({.status = 409}));
    play_start(play);
    play_run_until(play, play_is_over);
    row = play_row(play, job.id);
    assert_pushed(&row);
    line_double_seen(play->line, PLAY_PUSH, 0, &seen);
    assert_string_equal(seen.retry_key, job.push_key);
    assert_non_null(strstr(seen.text, noted));
    play_assert_requests(play, 0, 0);
}

/* ---- late */

static struct job late_job(int n, int64_t in_ms)
{
    struct job job = play_job(n);

    job.received_ms -= REPLY_TOKEN_LIFE_MS - LATE_MARGIN_MS - in_ms;
    return job;
}

static void test_late_picture_is_given_up(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.failure_off = false;
    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .stall = 1000}));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, late_job(1, 300));
    assert_told(&row, STATUS_TIMEOUT);
    assert_string_equal(row.reason,
                        "timed out: no picture within the minute of the reply");
    assert_int_equal(row.attempts, 1);
    play_assert_requests(play, 1, 1);
    play_assert_nothing_published(play);
}

static void test_late_picture_is_pushed_after_the_busy_text(void **state)
{
    struct play *play = *state;
    struct job row;

    play->channel.push = 1;
    play->channel.late = CONFIG_LATE_BUSY;
    play_script(play, "GET",
                PLAY_ANSWERS({.body = play->small_jpeg.data,
                              .len = play->small_jpeg.len,
                              .step = play->small_jpeg.len / 5,
                              .pause_ms = 200}));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    play_script(play, PLAY_PUSH, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, late_job(1, 200));
    assert_pushed(&row);
    assert_true(row.token_spent);
    assert_int_equal(row.attempts, 1);
    play_assert_requests(play, 1, 1);
    assert_said(play, PLAY_REPLY, 0, texts_busy(CONFIG_EN));
    assert_int_equal(pushes(play), 1);
    play_assert_small_jpeg(play, &row);
}

/* The busy text is said once, whoever takes the job next. */
static void test_busy_text_is_not_repeated(void **state)
{
    struct play *play = *state;
    struct job job = late_job(1, -100), row;

    play->channel.push = 1;
    play->channel.late = CONFIG_LATE_BUSY;
    job.token_spent = true;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_PUSH, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, job);
    assert_pushed(&row);
    assert_string_equal(row.reason,
                        "reply token expired or used: the busy "
                        "text has used it");
    play_assert_requests(play, 1, 0);
}

static void test_late_picture_is_pushed_silently(void **state)
{
    struct play *play = *state;
    struct job job = play_job(1), row;

    play->channel.push = 1;
    play->channel.late = CONFIG_LATE_PUSH;
    job.received_ms -= REPLY_TOKEN_LIFE_MS + 1000;
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, PLAY_PUSH, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, job);
    assert_pushed(&row);
    play_assert_requests(play, 1, 0);
}

/* ---- the processor */

static void use_processor(struct play *play)
{
    (void)snprintf(play->channel.processor_url,
                   sizeof(play->channel.processor_url), "%s/process",
                   line_double_url(play->line));
    play->channel.processor_timeout_ms = 5000;
    (void)str_copy(play->channel.secrets[0], sizeof(play->channel.secrets[0]),
                   "secret");
    play->channel.secret_count = 1;
}

static void test_processors_messages_are_sent(void **state)
{
    struct play *play = *state;
    struct job row;

    use_processor(play);
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "POST /process",
                PLAY_ANSWERS(PLAY_TEXT("{\"messages\":[{\"type\":\"text\","
                                       "\"text\":\"a cat\"}]}")));
    play_script(play, PLAY_REPLY,
                PLAY_ANSWERS({.status = 429}, PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 2);
    assert_int_equal(line_double_count(play->line, "POST /process"), 1);
    assert_said(play, PLAY_REPLY, 0, "\"text\":\"a cat\"");
    assert_said(play, PLAY_REPLY, 1, "\"text\":\"a cat\"");
    play_assert_small_jpeg(play, &row);
}

static void test_processor_that_fails(void **state)
{
    struct play *play = *state;
    struct job row;

    use_processor(play);
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "POST /process", PLAY_ANSWERS({.status = 500}));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    play_assert_reply(play, "token-1", 0, &row);
}

static void test_processors_messages_are_refused(void **state)
{
    struct play *play = *state;
    struct job row;

    use_processor(play);
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "POST /process",
                PLAY_ANSWERS(PLAY_TEXT("{\"messages\":[{\"type\":\"text\","
                                       "\"text\":\"\"}]}")));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS(DETAILED, PLAY_TEXT("{}")));
    row = play_one(play, play_job(1));
    play_assert_replied(&row, 1);
    play_assert_reply(play, "token-1", 1, &row);
}

/* It is not the messages that LINE does not take. */
static void test_processors_messages_and_no_access(void **state)
{
    struct play *play = *state;
    struct job row;

    use_processor(play);
    play_script(play, "GET", PLAY_ANSWERS(PLAY_WHOLE(play->small_jpeg)));
    play_script(play, "POST /process",
                PLAY_ANSWERS(PLAY_TEXT("{\"messages\":[{\"type\":\"text\","
                                       "\"text\":\"a\"}]}")));
    play_script(play, PLAY_REPLY, PLAY_ANSWERS({.status = 403}));
    row = play_one(play, play_job(1));
    play_assert_dead(&row, STATUS_REFUSED, "refused by the server: HTTP 403");
    play_assert_requests(play, 1, 1);
}

/* ---- main */

#define CASE(name)                                                             \
    cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_failure_is_told),
        CASE(test_failure_in_the_owners_words),
        CASE(test_failure_text_whose_answer_is_lost),
        CASE(test_failure_text_is_refused),
        CASE(test_bad_set_up_is_not_the_users_business),
        CASE(test_failure_is_told_by_another),
        CASE(test_file_that_is_no_picture),
        CASE(test_file_that_is_a_picture),
        CASE(test_file_that_is_half_a_picture),
        CASE(test_external_picture_at_a_private_address),
        CASE(test_quote_and_sender),
        CASE(test_courtesies),
        CASE(test_push_after_a_refused_token),
        CASE(test_no_push_while_a_reply_is_in_doubt),
        CASE(test_push_over_the_budget),
        CASE(test_push_is_repeated_by_another),
        CASE(test_late_picture_is_given_up),
        CASE(test_late_picture_is_pushed_after_the_busy_text),
        CASE(test_busy_text_is_not_repeated),
        CASE(test_late_picture_is_pushed_silently),
        CASE(test_processors_messages_are_sent),
        CASE(test_processor_that_fails),
        CASE(test_processors_messages_are_refused),
        CASE(test_processors_messages_and_no_access),
    };

    return cmocka_run_group_tests_name("pipeline_answer", tests, play_new,
                                       play_free);
}
