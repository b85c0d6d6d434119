/*
 * test_queue_thread_faults.c: the queue's thread when the queue is slow, fails
 * between two steps, or does so at the end. What it does when all goes well is
 * in test_queue_thread.c and test_queue_thread_flow.c.
 *
 * The queue is held at a begin or at a commit, so each test knows what arrived
 * before and what after. The loop runs on the test's thread, and only inside
 * run_until(); who puts has a thread of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "../helper/flaky_queue.h"
#include "queue_thread.h"

#define SEEN_MAX 16
#define PATIENCE_MS 30000

struct bench {
    struct flaky flaky;
    struct loop *loop;
    struct loop_timer poll;
    int64_t guard_ms;
    struct queue_thread *qt;

    struct job jobs[SEEN_MAX];
    size_t job_count;
    int64_t bodies[SEEN_MAX];
    size_t body_count;
    enum status answers[SEEN_MAX];
    const void *answered[SEEN_MAX];
    size_t answer_count;

    const size_t *count; /* run_until() */
    size_t wanted;
};

static struct bench bench;

/* ---- waiting */

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void wait_for(const atomic_int *count, int more_than)
{
    int64_t give_up_ms = mono_ms() + PATIENCE_MS;

    while (atomic_load(count) <= more_than) {
        assert_true(mono_ms() < give_up_ms);
        nap();
    }
}

static void look(void *arg)
{
    (void)arg;
    if (*bench.count >= bench.wanted || mono_ms() > bench.guard_ms)
        loop_stop(bench.loop);
    else
        (void)!loop_timer_set(bench.loop, &bench.poll, mono_ms() + 1);
}

static void run_until(const size_t *count, size_t wanted)
{
    bench.count = count;
    bench.wanted = wanted;
    bench.guard_ms = mono_ms() + PATIENCE_MS;
    assert_int_equal(loop_timer_set(bench.loop, &bench.poll, mono_ms()),
                     STATUS_OK);
    assert_int_equal(loop_run(bench.loop), STATUS_OK);
    assert_int_equal(*count, wanted);
}

/* ---- callbacks */

static void on_claimed(void *arg, const struct queue_lease *leases,
                       size_t count)
{
    (void)arg;
    assert_true(bench.job_count + count <= SEEN_MAX);
    for (size_t i = 0; i < count; i++) {
        bench.jobs[bench.job_count++] = leases[i].job;
        free(leases[i].messages);
    }
}

static void on_body(void *arg, struct queue_body *body)
{
    (void)arg;
    assert_true(bench.body_count < SEEN_MAX);
    bench.bodies[bench.body_count++] = body->id;
    queue_body_free(body);
}

static void note_answer(const void *change, enum status status)
{
    assert_true(bench.answer_count < SEEN_MAX);
    bench.answered[bench.answer_count] = change;
    bench.answers[bench.answer_count++] = status;
}

static void on_change(struct queue_change *change, enum status status)
{
    note_answer(change, status);
}

static void on_body_change(struct queue_body_change *change, enum status status)
{
    note_answer(change, status);
}

/* ---- fixture */

static const struct queue_thread_options *options(void)
{
    static struct queue_thread_options o;

    o = (struct queue_thread_options){.queue = &bench.flaky.base,
                                      .loop = bench.loop,
                                      .on_claimed = on_claimed};
    return &o;
}

static int set_up(void **state)
{
    char why[256] = "";

    (void)state;
    memset(&bench, 0, sizeof(bench));
    bench.flaky.base.ops = &flaky_ops;
    assert_int_equal(
        queue_open(&bench.flaky.inner, "memory:", why, sizeof(why)), STATUS_OK);
    atomic_store(&bench.flaky.failure, STATUS_IO);
    assert_int_equal(sem_init(&bench.flaky.begin_may, 0, 0), 0);
    assert_int_equal(sem_init(&bench.flaky.commit_may, 0, 0), 0);
    assert_int_equal(loop_new(&bench.loop), STATUS_OK);
    loop_timer_init(&bench.poll, look, NULL);
    assert_int_equal(queue_thread_start(&bench.qt, options()), STATUS_OK);
    return 0;
}

static void end_thread(void)
{
    queue_thread_free(bench.qt);
    bench.qt = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    end_thread();
    loop_free(bench.loop);
    queue_close(bench.flaky.inner);
    (void)sem_destroy(&bench.flaky.begin_may);
    (void)sem_destroy(&bench.flaky.commit_may);
    return 0;
}

/* ---- shorthands */

/* The thread takes a turn by itself every QUEUE_POLL_MS at the latest. */
static void hold(atomic_bool *waits, const atomic_int *held)
{
    int before = atomic_load(held);

    atomic_store(waits, true);
    wait_for(held, before);
}

static void let_go(atomic_bool *waits, sem_t *may)
{
    atomic_store(waits, false);
    assert_int_equal(sem_post(may), 0);
}

static void hold_begin(void)
{
    hold(&bench.flaky.begin_waits, &bench.flaky.begins_held);
}

static void let_begin_go(void)
{
    let_go(&bench.flaky.begin_waits, &bench.flaky.begin_may);
}

static void let_commit_go(void)
{
    let_go(&bench.flaky.commit_waits, &bench.flaky.commit_may);
}

/* The commit that is held has what was asked for while the begin was. */
static void go_on_to_commit(void)
{
    int before = atomic_load(&bench.flaky.commits_held);

    atomic_store(&bench.flaky.commit_waits, true);
    let_begin_go();
    wait_for(&bench.flaky.commits_held, before);
}

/* Nothing tells when a putter has reached its wait: commits that are without
 * its rows go by. */
static void hold_commit_of(int rows)
{
    go_on_to_commit();
    while (atomic_load(&bench.flaky.puts) != rows) {
        int before = atomic_load(&bench.flaky.begins_held);

        atomic_store(&bench.flaky.begin_waits, true);
        let_commit_go();
        wait_for(&bench.flaky.begins_held, before);
        nap();
        go_on_to_commit();
    }
}

static struct queue_stats stored(void)
{
    struct queue_stats stats;

    assert_null(bench.qt);
    assert_int_equal(queue_stats(bench.flaky.inner, &stats), STATUS_OK);
    return stats;
}

static struct job row(int64_t id)
{
    struct job job;

    assert_null(bench.qt);
    assert_int_equal(queue_get(bench.flaky.inner, id, &job), STATUS_OK);
    return job;
}

/* Somebody who puts, with a thread of its own. */
struct putter {
    pthread_t thread;
    int first;
    size_t count;
    enum status status;
};

static void *put(void *arg)
{
    struct putter *putter = arg;
    struct job *jobs = calloc(putter->count, sizeof(*jobs));

    assert_non_null(jobs);
    for (size_t i = 0; i < putter->count; i++) {
        int number = putter->first + (int)i;

        jobs[i] = (struct job){.channel = "main", .received_ms = wall_ms()};
        (void)snprintf(jobs[i].event_id, sizeof(jobs[i].event_id), "e%d",
                       number);
        (void)snprintf(jobs[i].message_id, sizeof(jobs[i].message_id), "%d",
                       number);
    }
    putter->status =
        queue_thread_put(bench.qt, jobs, putter->count, NULL, NULL);
    free(jobs);
    return NULL;
}

static void start_putter(struct putter *putter, int first, size_t count)
{
    *putter = (struct putter){.first = first, .count = count};
    assert_int_equal(pthread_create(&putter->thread, NULL, put, putter), 0);
}

static enum status status_of(struct putter *putter)
{
    assert_int_equal(pthread_join(putter->thread, NULL), 0);
    return putter->status;
}

static void nap_longer_than(int64_t ms)
{
    int64_t until_ms = mono_ms() + ms;

    while (mono_ms() <= until_ms)
        nap();
}

static void obtain_jobs(size_t count)
{
    struct putter putter;

    queue_thread_add_room(bench.qt, count);
    start_putter(&putter, 1, count);
    assert_int_equal(status_of(&putter), STATUS_OK);
    run_until(&bench.job_count, count);
}

static void submit(struct queue_change *change, const struct job *job)
{
    *change = (struct queue_change){.job = *job, .done = on_change};
    change->job.state = JOB_DONE;
    queue_thread_submit(bench.qt, change);
}

static void obtain_bodies(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct queue_body *body = queue_body_new(16);

        assert_non_null(body);
        (void)snprintf(body->channel, sizeof(body->channel), "c%zu", i);
        assert_int_equal(buf_append_str(&body->body, "x"), STATUS_OK);
        assert_int_equal(queue_thread_put(bench.qt, NULL, 0, body, NULL),
                         STATUS_OK);
        queue_body_free(body);
    }
    queue_thread_take_bodies(bench.qt, count, on_body, NULL);
    run_until(&bench.body_count, count);
}

static void end_body(struct queue_body_change *change, int64_t id)
{
    *change = (struct queue_body_change){
        .id = id, .end = QUEUE_BODY_DONE, .done = on_body_change};
    queue_thread_end_body(bench.qt, change);
}

/* ---- puts */

/* Refused while it is part of a commit, it would be stored and refused. */
static void a_slow_commit_outlasts_patience(void **state)
{
    struct putter putter;

    (void)state;
    hold_begin();
    start_putter(&putter, 1, 2);
    hold_commit_of(2);
    nap_longer_than(QUEUE_WAIT_MS);
    let_commit_go();
    assert_int_equal(status_of(&putter), STATUS_OK);
    end_thread();
    assert_int_equal(stored().ready, 2);
}

static void a_slow_commit_that_fails_is_told_as_that(void **state)
{
    struct putter putter;

    (void)state;
    hold_begin();
    start_putter(&putter, 1, 2);
    hold_commit_of(2);
    nap_longer_than(QUEUE_WAIT_MS);
    atomic_store(&bench.flaky.commit_fails, 1);
    let_commit_go();
    assert_int_equal(status_of(&putter), STATUS_IO);
    end_thread();
    assert_int_equal(stored().ready, 0);
}

static void *look_at_recent(void *arg)
{
    struct putter *looker = arg;
    struct job job;
    size_t count = 9;

    looker->status = queue_thread_recent(bench.qt, &job, 1, &count);
    looker->count = count;
    return NULL;
}

/* Each gives up by itself, from wherever it stands in its list. */
static void all_who_wait_are_refused_and_leave_nothing(void **state)
{
    struct putter putters[4], lookers[3];

    (void)state;
    hold_begin();
    for (size_t i = 0; i < ARRAY_COUNT(putters); i++)
        start_putter(&putters[i], (int)i, 1);
    for (size_t i = 0; i < ARRAY_COUNT(lookers); i++)
        assert_int_equal(pthread_create(&lookers[i].thread, NULL,
                                        look_at_recent, &lookers[i]),
                         0);
    for (size_t i = 0; i < ARRAY_COUNT(putters); i++)
        assert_int_equal(status_of(&putters[i]), STATUS_BUSY);
    for (size_t i = 0; i < ARRAY_COUNT(lookers); i++) {
        assert_int_equal(status_of(&lookers[i]), STATUS_BUSY);
        assert_int_equal(lookers[i].count, 0);
    }
    let_begin_go();
    start_putter(&putters[0], 100, 1);
    assert_int_equal(status_of(&putters[0]), STATUS_OK);
    end_thread();
    assert_int_equal(stored().ready, 1);
}

static void what_a_batch_cannot_hold_is_in_the_next(void **state)
{
    const size_t rows = QUEUE_BATCH_MAX - 50;
    struct putter putters[3];

    (void)state;
    hold_begin();
    for (size_t i = 0; i < ARRAY_COUNT(putters); i++)
        start_putter(&putters[i], (int)i * 1000, rows);
    nap_longer_than(100); /* most will be waiting; the others come later */
    let_begin_go();
    for (size_t i = 0; i < ARRAY_COUNT(putters); i++)
        assert_int_equal(status_of(&putters[i]), STATUS_OK);
    assert_int_equal(atomic_load(&bench.flaky.most_puts), rows);
    end_thread();
    assert_int_equal(stored().ready, 3 * rows);
}

/* ---- claims and looks */

static void a_claim_that_fails_is_made_again(void **state)
{
    struct putter putter;

    (void)state;
    start_putter(&putter, 1, 2);
    assert_int_equal(status_of(&putter), STATUS_OK);
    atomic_store(&bench.flaky.claim_fails, 3);
    queue_thread_add_room(bench.qt, 2);
    run_until(&bench.job_count, 2);
    assert_int_equal(atomic_load(&bench.flaky.claim_fails), 0);
    assert_int_equal(bench.jobs[0].attempts, 1);
    assert_int_equal(bench.jobs[1].attempts, 1);
    atomic_store(&bench.flaky.claim_fails, 1);
    obtain_bodies(2);
    assert_int_equal(atomic_load(&bench.flaky.claim_fails), 0);
}

/* Without them it goes by its poll. */
static void looks_that_fail_cost_time_alone(void **state)
{
    struct putter putter;
    struct job job;
    size_t count = 9;

    (void)state;
    atomic_store(&bench.flaky.look_fails, -1);
    start_putter(&putter, 1, 2);
    assert_int_equal(status_of(&putter), STATUS_OK);
    assert_int_equal(queue_thread_recent(bench.qt, &job, 1, &count), STATUS_IO);
    assert_int_equal(count, 0);
    queue_thread_add_room(bench.qt, 2);
    run_until(&bench.job_count, 2);
    atomic_store(&bench.flaky.look_fails, 0);
    assert_int_equal(queue_thread_recent(bench.qt, &job, 1, &count), STATUS_OK);
    assert_int_equal(count, 1);
}

/* ---- what a failed transaction held */

/* The second list of ids was given while the first was being lost. */
static void a_lost_extension_gives_way_to_a_newer_one(void **state)
{
    int64_t first, second;

    (void)state;
    obtain_jobs(2);
    first = bench.jobs[0].id;
    second = bench.jobs[1].id;
    hold_begin();
    queue_thread_extend(bench.qt, &first, 1);
    go_on_to_commit();
    queue_thread_extend(bench.qt, &second, 1);
    atomic_store(&bench.flaky.extended_until, 0);
    atomic_store(&bench.flaky.commit_fails, 1);
    nap();
    nap();
    let_commit_go();
    obtain_bodies(1); /* a turn that works */
    end_thread();
    assert_int_equal(row(first).due_ms, bench.jobs[0].due_ms);
    assert_true(row(second).due_ms > bench.jobs[1].due_ms);
}

static void what_failed_goes_before_what_came_meanwhile(void **state)
{
    struct queue_body_change bodies[3];
    struct queue_change changes[3];

    (void)state;
    obtain_jobs(3);
    obtain_bodies(3);
    hold_begin();
    submit(&changes[0], &bench.jobs[0]);
    submit(&changes[1], &bench.jobs[1]);
    end_body(&bodies[0], bench.bodies[0]);
    end_body(&bodies[1], bench.bodies[1]);
    go_on_to_commit();
    submit(&changes[2], &bench.jobs[2]);
    end_body(&bodies[2], bench.bodies[2]);
    atomic_store(&bench.flaky.commit_fails, 1);
    let_commit_go();
    run_until(&bench.answer_count, 6);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(bench.answered[i], &changes[i]);
        assert_ptr_equal(bench.answered[3 + i], &bodies[i]);
        assert_int_equal(bench.answers[i], STATUS_OK);
        assert_int_equal(bench.answers[3 + i], STATUS_OK);
    }
    end_thread();
    assert_int_equal(stored().done, 3);
    assert_int_equal(stored().bodies, 0);
}

/* ---- the end */

static void the_end_tells_what_could_not_be_written(void **state)
{
    struct queue_body_change body;
    struct queue_change change;

    (void)state;
    obtain_jobs(1);
    obtain_bodies(1);
    atomic_store(&bench.flaky.failure, STATUS_NO_SPACE);
    atomic_store(&bench.flaky.update_fails, -1);
    submit(&change, &bench.jobs[0]);
    end_body(&body, bench.bodies[0]);
    end_thread();
    run_until(&bench.answer_count, 2);
    assert_int_equal(bench.answers[0], STATUS_NO_SPACE);
    assert_int_equal(bench.answers[1], STATUS_NO_SPACE);
    assert_int_equal(stored().leased, 1);
    assert_int_equal(stored().bodies, 1);
}

/* Later than what the end waits for, from when it has begun. */
static void *let_commit_go_late(void *arg)
{
    struct queue_thread *qt = arg;

    while (queue_thread_put(qt, NULL, 0, NULL, NULL) != STATUS_STOPPING)
        nap();
    nap_longer_than(QUEUE_STOP_MS);
    let_commit_go();
    return NULL;
}

/* A failure that is long over is not why. */
static void the_end_blames_no_failure_of_before(void **state)
{
    struct queue_change written, late;
    pthread_t thread;

    (void)state;
    obtain_jobs(2);
    atomic_store(&bench.flaky.update_fails, 1);
    hold_begin();
    submit(&written, &bench.jobs[0]);
    let_begin_go();
    run_until(&bench.answer_count, 1);
    assert_int_equal(bench.answers[0], STATUS_OK);
    hold(&bench.flaky.commit_waits, &bench.flaky.commits_held);
    submit(&late, &bench.jobs[1]);
    assert_int_equal(
        pthread_create(&thread, NULL, let_commit_go_late, bench.qt), 0);
    end_thread();
    assert_int_equal(pthread_join(thread, NULL), 0);
    run_until(&bench.answer_count, 2);
    assert_int_equal(bench.answers[1], STATUS_STOPPING);
    assert_int_equal(stored().leased, 1);
}

/* ---- the start */

/* A stack for which there is no room in any address space. */
static void a_thread_that_cannot_be_made_is_told(void **state)
{
    struct queue_thread *none = NULL;
    pthread_attr_t usual, huge;

    (void)state;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 60), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    assert_int_equal(queue_thread_start(&none, options()), STATUS_BUSY);
    assert_null(none);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    (void)pthread_attr_destroy(&usual);
    (void)pthread_attr_destroy(&huge);
}

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slow_commit_outlasts_patience),
        TEST(a_slow_commit_that_fails_is_told_as_that),
        TEST(all_who_wait_are_refused_and_leave_nothing),
        TEST(what_a_batch_cannot_hold_is_in_the_next),
        TEST(a_claim_that_fails_is_made_again),
        TEST(looks_that_fail_cost_time_alone),
        TEST(a_lost_extension_gives_way_to_a_newer_one),
        TEST(what_failed_goes_before_what_came_meanwhile),
        TEST(the_end_tells_what_could_not_be_written),
        TEST(the_end_blames_no_failure_of_before),
        TEST(a_thread_that_cannot_be_made_is_told),
    };

    return cmocka_run_group_tests_name("queue_thread faults", tests, NULL,
                                       NULL);
}
