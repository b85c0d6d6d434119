/*
 * test_queue_thread_flow.c: what the queue thread hands over and takes back:
 * image sets, answers to changes, webhook bodies. Its batches, waits and
 * failures are in test_queue_thread.c.
 *
 * The loop runs on the test's thread, and only inside run_until().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../helper/fake_queue.h"
#include "queue_thread.h"

#define SEEN_MAX 32
#define PATIENCE_MS 30000

struct bench {
    struct fake_queue queue;
    struct loop *loop;
    struct loop_timer poll;
    bool (*until)(void);
    int64_t guard_ms;
    struct queue_thread *qt;

    /* what on_claimed got, in calls */
    struct job jobs[SEEN_MAX];
    char *messages[SEEN_MAX];
    size_t job_count;
    size_t call_sizes[SEEN_MAX];
    size_t calls;

    struct queue_body *bodies[SEEN_MAX];
    size_t body_count;
    enum status answers[SEEN_MAX];
    size_t answer_count;
    size_t wanted;
};

static struct bench bench;

/* ---- waiting */

static void look(void *arg)
{
    (void)arg;
    if (bench.until() || mono_ms() > bench.guard_ms)
        loop_stop(bench.loop);
    else
        (void)!loop_timer_set(bench.loop, &bench.poll, mono_ms() + 1);
}

static void run_until(bool (*until)(void), size_t wanted)
{
    bench.until = until;
    bench.wanted = wanted;
    bench.guard_ms = mono_ms() + PATIENCE_MS;
    assert_int_equal(loop_timer_set(bench.loop, &bench.poll, mono_ms()),
                     STATUS_OK);
    assert_int_equal(loop_run(bench.loop), STATUS_OK);
    assert_true(until());
}

static bool has_jobs(void)
{
    return bench.job_count >= bench.wanted;
}

static bool has_bodies(void)
{
    return bench.body_count >= bench.wanted;
}

static bool has_answers(void)
{
    return bench.answer_count >= bench.wanted;
}

/* As many polls as may happen by then: enough for what must not come. */
static bool a_while_is_over(void)
{
    return mono_ms() > bench.guard_ms - PATIENCE_MS + 2 * QUEUE_POLL_MS;
}

/* ---- callbacks */

static void on_claimed(void *arg, const struct queue_lease *leases,
                       size_t count)
{
    assert_ptr_equal(arg, &bench);
    assert_true(bench.job_count + count <= SEEN_MAX);
    bench.call_sizes[bench.calls++] = count;
    for (size_t i = 0; i < count; i++) {
        bench.jobs[bench.job_count] = leases[i].job;
        bench.messages[bench.job_count++] = leases[i].messages;
    }
}

static void on_body(void *arg, struct queue_body *body)
{
    assert_ptr_equal(arg, &bench);
    assert_true(bench.body_count < SEEN_MAX);
    bench.bodies[bench.body_count++] = body;
}

static void on_change(struct queue_change *change, enum status status)
{
    (void)change;
    bench.answers[bench.answer_count++] = status;
}

static void on_body_change(struct queue_body_change *change, enum status status)
{
    (void)change;
    bench.answers[bench.answer_count++] = status;
}

/* ---- fixture */

static int set_up(void **state)
{
    struct queue_thread_options options = {
        .on_claimed = on_claimed,
        .arg = &bench,
    };

    (void)state;
    memset(&bench, 0, sizeof(bench));
    fake_queue_open(&bench.queue);
    assert_int_equal(loop_new(&bench.loop), STATUS_OK);
    loop_timer_init(&bench.poll, look, NULL);
    options.queue = &bench.queue.base;
    options.loop = bench.loop;
    assert_int_equal(queue_thread_start(&bench.qt, &options), STATUS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    queue_thread_free(bench.qt);
    loop_free(bench.loop);
    fake_queue_close(&bench.queue);
    for (size_t i = 0; i < bench.job_count; i++)
        free(bench.messages[i]);
    for (size_t i = 0; i < bench.body_count; i++)
        queue_body_free(bench.bodies[i]);
    return 0;
}

/* ---- shorthands */

static struct job make_member(int index, int total)
{
    struct job job = {
        .channel = "main",
        .event_id = "event",
        .set_id = "set",
        .reply_token = "token",
        .received_ms = wall_ms(),
        .set_index = index,
        .set_total = total,
    };

    (void)snprintf(job.message_id, sizeof(job.message_id), "%d", index);
    return job;
}

static void put_jobs(struct job *jobs, size_t count)
{
    assert_int_equal(queue_thread_put(bench.qt, jobs, count, NULL, NULL),
                     STATUS_OK);
}

static void put_members(int count)
{
    struct job jobs[SEEN_MAX];

    for (int i = 0; i < count; i++)
        jobs[i] = make_member(i + 1, count);
    put_jobs(jobs, (size_t)count);
}

/* As the engine does it: the room comes back when it is durable. */
static void park(struct queue_change *change, const struct job *job)
{
    *change = (struct queue_change){.job = *job, .done = on_change};
    change->job.state = JOB_READY;
    change->job.stage = JOB_STAGE_REPLY;
    change->job.due_ms = wall_ms() + 60000;
    queue_thread_submit(bench.qt, change);
}

static int64_t put_body(const char *channel, const char *text)
{
    struct queue_body *body = queue_body_new(64);
    int64_t id;

    assert_non_null(body);
    assert_true(str_copy(body->channel, sizeof(body->channel), channel));
    assert_int_equal(buf_append_str(&body->body, text), STATUS_OK);
    assert_int_equal(queue_thread_put(bench.qt, NULL, 0, body, NULL),
                     STATUS_OK);
    id = body->id;
    queue_body_free(body);
    return id;
}

static void end_body(struct queue_body_change *change, int64_t id,
                     enum queue_body_end end)
{
    *change = (struct queue_body_change){
        .id = id,
        .end = end,
        .due_ms = wall_ms(),
        .why = "no answer",
        .done = on_body_change,
    };
    queue_thread_end_body(bench.qt, change);
}

/* ---- image sets */

static void a_set_is_handed_over_in_one_call(void **state)
{
    struct queue_change changes[3];

    (void)state;
    queue_thread_add_room(bench.qt, 4);
    put_members(3);
    run_until(has_jobs, 3);
    assert_int_equal(bench.calls, 3);
    for (int i = 0; i < 3; i++)
        park(&changes[i], &bench.jobs[i]);
    run_until(has_jobs, 6);
    assert_int_equal(bench.calls, 4);
    assert_int_equal(bench.call_sizes[3], 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bench.jobs[3 + i].set_index, i + 1);
        assert_int_equal(bench.jobs[3 + i].state, JOB_LEASED);
    }
}

static bool row_is_wanted(void)
{
    struct job row;

    return fake_queue_get(&bench.queue, (int64_t)bench.wanted, &row) ==
               STATUS_OK &&
           row.state == JOB_READY;
}

/* Room for one is enough for a set, and what it took too much is paid back
 * before anything else comes. */
static void room_that_a_set_overdraws_is_paid_back(void **state)
{
    struct queue_change changes[3];
    struct job other = make_member(9, 0);

    (void)state;
    queue_thread_add_room(bench.qt, 3);
    put_members(3);
    run_until(has_jobs, 3);
    for (int i = 0; i < 3; i++)
        park(&changes[i], &bench.jobs[i]);
    run_until(has_answers, 3);
    queue_thread_add_room(bench.qt, 1);
    run_until(has_jobs, 6);
    assert_int_equal(bench.call_sizes[3], 3);
    other.set_id[0] = '\0';
    put_jobs(&other, 1);
    queue_thread_add_room(bench.qt, 2); /* the debt */
    run_until(a_while_is_over, 0);
    assert_int_equal(bench.job_count, 6);
    run_until(row_is_wanted, (size_t)other.id);
    queue_thread_add_room(bench.qt, 1);
    run_until(has_jobs, 7);
    assert_int_equal(bench.jobs[6].id, other.id);
}

static void sets_that_were_not_handed_over_are_freed(void **state)
{
    static struct queue_change changes[2]; /* used after this returns */

    (void)state;
    queue_thread_add_room(bench.qt, 4);
    put_members(2);
    run_until(has_jobs, 2);
    for (int i = 0; i < 2; i++)
        park(&changes[i], &bench.jobs[i]);
    changes[0].messages = "[]";
    queue_thread_quiesce(bench.qt); /* the loop never runs again */
}

/* ---- changes */

static void changes_say_what_became_of_them(void **state)
{
    struct job unsend = make_member(1, 0);
    struct queue_change note = {.done = on_change};

    (void)state;
    queue_thread_add_room(bench.qt, 1);
    put_members(1);
    run_until(has_jobs, 1);
    note.job = bench.jobs[0];
    note.job.stage = JOB_STAGE_PUSH;
    (void)str_copy(note.job.push_key, sizeof(note.job.push_key), "k");
    note.push_budget = 1;
    note.messages = "[1]";
    queue_thread_submit(bench.qt, &note);
    run_until(has_answers, 1);
    assert_int_equal(bench.answers[0], STATUS_OK);
    unsend.kind = JOB_UNSEND;
    (void)str_copy(unsend.event_id, sizeof(unsend.event_id), "unsend");
    put_jobs(&unsend, 1);
    queue_thread_submit(bench.qt, &note);
    run_until(has_answers, 2);
    assert_int_equal(bench.answers[1], STATUS_GONE);
}

static void a_push_over_the_budget_is_told(void **state)
{
    struct queue_change notes[2];

    (void)state;
    queue_thread_add_room(bench.qt, 2);
    put_members(2);
    run_until(has_jobs, 2);
    for (int i = 0; i < 2; i++) {
        notes[i] = (struct queue_change){
            .job = bench.jobs[i], .push_budget = 1, .done = on_change};
        notes[i].job.stage = JOB_STAGE_PUSH;
        (void)snprintf(notes[i].job.push_key, sizeof(notes[i].job.push_key),
                       "k%d", i);
        queue_thread_submit(bench.qt, &notes[i]);
    }
    run_until(has_answers, 2);
    assert_int_equal(bench.answers[0], STATUS_OK);
    assert_int_equal(bench.answers[1], STATUS_OVER_BUDGET);
}

static void a_note_brings_the_token_of_a_redelivery(void **state)
{
    struct job again = make_member(1, 1);
    struct queue_change note = {.done = on_change};

    (void)state;
    queue_thread_add_room(bench.qt, 1);
    put_members(1);
    run_until(has_jobs, 1);
    (void)str_copy(again.reply_token, sizeof(again.reply_token), "new");
    put_jobs(&again, 1);
    note.job = bench.jobs[0];
    fake_queue_fail(&bench.queue, FAKE_COMMIT, 0, 1, STATUS_IO);
    queue_thread_submit(bench.qt, &note);
    run_until(has_answers, 1);
    assert_int_equal(bench.answers[0], STATUS_OK);
    assert_string_equal(note.job.reply_token, "new");
}

static void messages_come_with_the_job(void **state)
{
    struct queue_change retry = {.done = on_change, .messages = "[2]"};

    (void)state;
    queue_thread_add_room(bench.qt, 2);
    put_members(1);
    run_until(has_jobs, 1);
    assert_null(bench.messages[0]);
    retry.job = bench.jobs[0];
    retry.job.state = JOB_READY;
    retry.job.due_ms = wall_ms();
    queue_thread_submit(bench.qt, &retry);
    run_until(has_jobs, 2);
    assert_string_equal(bench.messages[1], "[2]");
}

/* ---- bodies */

static void bodies_come_one_after_the_other(void **state)
{
    int64_t first, second;
    struct queue_body_change changes[3];

    (void)state;
    first = put_body("main", "first");
    second = put_body("main", "second");
    queue_thread_take_bodies(bench.qt, 4, on_body, &bench);
    run_until(has_bodies, 1);
    assert_int_equal(bench.bodies[0]->id, first);
    assert_string_equal(bench.bodies[0]->body.data, "first");
    end_body(&changes[0], first, QUEUE_BODY_RETRY);
    run_until(has_bodies, 2);
    assert_int_equal(bench.bodies[1]->id, first);
    assert_int_equal(bench.bodies[1]->attempts, 2);
    end_body(&changes[1], first, QUEUE_BODY_DONE);
    run_until(has_bodies, 3);
    assert_int_equal(bench.bodies[2]->id, second);
    end_body(&changes[2], second, QUEUE_BODY_DROP);
    run_until(has_answers, 3);
    end_body(&changes[2], second, QUEUE_BODY_DONE);
    run_until(has_answers, 4);
    assert_int_equal(bench.answers[2], STATUS_OK);
    assert_int_equal(bench.answers[3], STATUS_LEASE_LOST);
}

static void bodies_keep_to_their_room(void **state)
{
    struct queue_body_change change;

    (void)state;
    (void)put_body("a", "a");
    (void)put_body("b", "b");
    (void)put_body("c", "c");
    queue_thread_take_bodies(bench.qt, 2, on_body, &bench);
    run_until(a_while_is_over, 0);
    assert_int_equal(bench.body_count, 2);
    end_body(&change, bench.bodies[0]->id, QUEUE_BODY_DONE);
    run_until(has_bodies, 3);
}

static void the_end_of_a_body_survives_failures(void **state)
{
    struct queue_body_change change;
    struct queue_stats stats;
    int64_t id = put_body("main", "x");

    (void)state;
    queue_thread_take_bodies(bench.qt, 1, on_body, &bench);
    run_until(has_bodies, 1);
    fake_queue_fail(&bench.queue, FAKE_BODY_END, 0, 2, STATUS_IO);
    end_body(&change, id, QUEUE_BODY_DONE);
    run_until(has_answers, 1);
    assert_int_equal(bench.answers[0], STATUS_OK);
    fake_queue_stats(&bench.queue, &stats);
    assert_int_equal(stats.bodies, 0);
}

/* Jobs and body are one transaction. */
static void a_body_that_cannot_be_stored_refuses_its_jobs(void **state)
{
    struct queue_body *body = queue_body_new(16);
    struct job job = make_member(1, 1);
    struct queue_stats stats;
    size_t known = 9;

    (void)state;
    assert_non_null(body);
    (void)str_copy(body->channel, sizeof(body->channel), "main");
    fake_queue_fail(&bench.queue, FAKE_BODY_PUT, 0, 1, STATUS_NO_SPACE);
    assert_int_equal(queue_thread_put(bench.qt, &job, 1, body, &known),
                     STATUS_NO_SPACE);
    fake_queue_stats(&bench.queue, &stats);
    assert_int_equal(stats.ready + stats.bodies, 0);
    assert_int_equal(queue_thread_put(bench.qt, &job, 1, body, &known),
                     STATUS_OK);
    assert_int_equal(known, 0);
    assert_int_equal(queue_thread_put(bench.qt, &job, 1, body, &known),
                     STATUS_OK);
    assert_int_equal(known, 1);
    fake_queue_stats(&bench.queue, &stats);
    assert_int_equal(stats.ready, 1);
    assert_int_equal(stats.bodies, 2); /* a redelivery is forwarded, too */
    queue_body_free(body);
}

static void too_many_bytes_to_forward_are_busy(void **state)
{
    struct queue_body *body = queue_body_new(WEBHOOK_BODY_MAX_BYTES);
    struct job job = make_member(1, 1);
    char *bytes = calloc(1, WEBHOOK_BODY_MAX_BYTES);
    int64_t stored = 0;

    (void)state;
    assert_true(body != NULL && bytes != NULL);
    (void)str_copy(body->channel, sizeof(body->channel), "main");
    assert_int_equal(buf_append(&body->body, bytes, WEBHOOK_BODY_MAX_BYTES),
                     STATUS_OK);
    while (queue_thread_put(bench.qt, NULL, 0, body, NULL) == STATUS_OK)
        stored += WEBHOOK_BODY_MAX_BYTES;
    assert_true(stored >= FORWARD_DEPTH_MAX_BYTES);
    assert_true(stored <= FORWARD_DEPTH_MAX_BYTES + WEBHOOK_BODY_MAX_BYTES);
    assert_int_equal(queue_thread_put(bench.qt, &job, 1, body, NULL),
                     STATUS_BUSY);
    assert_int_equal(queue_thread_put(bench.qt, &job, 1, NULL, NULL),
                     STATUS_OK);
    queue_body_free(body);
    free(bytes);
}

static void bodies_that_were_not_handed_over_are_freed(void **state)
{
    struct queue_stats stats;

    (void)state;
    (void)put_body("main", "x");
    queue_thread_take_bodies(bench.qt, 1, on_body, &bench);
    (void)put_body("main", "y"); /* the turn before has claimed x */
    fake_queue_stats(&bench.queue, &stats);
    assert_int_equal(stats.bodies, 2);
}

/* ---- */

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_set_is_handed_over_in_one_call),
        TEST(room_that_a_set_overdraws_is_paid_back),
        TEST(sets_that_were_not_handed_over_are_freed),
        TEST(changes_say_what_became_of_them),
        TEST(a_push_over_the_budget_is_told),
        TEST(a_note_brings_the_token_of_a_redelivery),
        TEST(messages_come_with_the_job),
        TEST(bodies_come_one_after_the_other),
        TEST(bodies_keep_to_their_room),
        TEST(the_end_of_a_body_survives_failures),
        TEST(a_body_that_cannot_be_stored_refuses_its_jobs),
        TEST(too_many_bytes_to_forward_are_busy),
        TEST(bodies_that_were_not_handed_over_are_freed),
    };

    return cmocka_run_group_tests_name("queue thread flow", tests, NULL, NULL);
}
