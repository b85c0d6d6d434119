/*
 * test_queue_thread.c: group commit, room, refusals, retries, the end.
 *
 * Failures come from flaky_queue. The test's own thread is the acceptor; a loop
 * runs in a thread of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "../helper/flaky_queue.h"
#include "../helper/test_dir.h"
#include "queue_thread.h"

#define SEEN_MAX 64
#define PATIENCE_MS 20000 /* of a test for what must come */

/* ---- fixture */

struct bench {
    char dir[TEST_DIR_MAX];
    char url[TEST_DIR_MAX + 32];
    struct flaky flaky;
    struct loop *loop;
    pthread_t loop_thread;
    bool loop_runs;
    struct queue_thread *qt;

    pthread_mutex_t lock; /* guards the rest */
    struct job seen[SEEN_MAX];
    size_t seen_count;
    bool seen_elsewhere; /* on a thread that is not the loop's */
    bool loop_known;
    pthread_t loop_self;
    enum status answers[SEEN_MAX];
    size_t answer_count;
};

static struct bench bench;

static struct queue *open_queue(void)
{
    struct queue *queue = NULL;
    char why[512] = "";

    assert_int_equal(queue_open(&queue, bench.url, why, sizeof(why)),
                     STATUS_OK);
    return queue;
}

static void on_claimed(void *arg, const struct queue_lease *leases,
                       size_t count)
{
    struct bench *b = arg;

    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < count; i++) {
        free(leases[i].messages);
        if (b->seen_count < SEEN_MAX)
            b->seen[b->seen_count++] = leases[i].job;
    }
    if (!b->loop_known || !pthread_equal(pthread_self(), b->loop_self))
        b->seen_elsewhere = true;
    pthread_mutex_unlock(&b->lock);
}

static void on_done(struct queue_change *change, enum status status)
{
    (void)change;
    pthread_mutex_lock(&bench.lock);
    if (bench.answer_count < SEEN_MAX)
        bench.answers[bench.answer_count++] = status;
    pthread_mutex_unlock(&bench.lock);
}

static void *run_loop(void *arg)
{
    pthread_mutex_lock(&bench.lock);
    bench.loop_self = pthread_self();
    bench.loop_known = true;
    pthread_mutex_unlock(&bench.lock);
    assert_int_equal(loop_run(bench.loop), STATUS_OK);
    return arg;
}

static void start_loop(void)
{
    bench.loop_runs = true;
    assert_int_equal(pthread_create(&bench.loop_thread, NULL, run_loop, NULL),
                     0);
}

static void stop_loop(void)
{
    if (!bench.loop_runs)
        return;
    loop_stop(bench.loop);
    pthread_join(bench.loop_thread, NULL);
    bench.loop_runs = false;
}

static void prepare(const char *url)
{
    memset(&bench, 0, sizeof(bench));
    test_dir_make(bench.dir);
    if (url != NULL)
        assert_true(str_copy(bench.url, sizeof(bench.url), url));
    else
        (void)snprintf(bench.url, sizeof(bench.url), "sqlite:%s/queue.db",
                       bench.dir);
    bench.flaky.base.ops = &flaky_ops;
    bench.flaky.inner = open_queue();
    atomic_store(&bench.flaky.failure, STATUS_IO);
    assert_int_equal(sem_init(&bench.flaky.begin_may, 0, 0), 0);
    pthread_mutex_init(&bench.lock, NULL);
    assert_int_equal(loop_new(&bench.loop), STATUS_OK);
}

static void start_queue_thread(void)
{
    struct queue_thread_options options = {
        .queue = &bench.flaky.base,
        .loop = bench.loop,
        .on_claimed = on_claimed,
        .arg = &bench,
    };

    assert_int_equal(queue_thread_start(&bench.qt, &options), STATUS_OK);
}

static int set_up_memory(void **state)
{
    (void)state;
    prepare("memory:");
    start_queue_thread();
    start_loop();
    return 0;
}

static int set_up_sqlite(void **state)
{
    (void)state;
    prepare(NULL);
    start_queue_thread();
    start_loop();
    return 0;
}

/* The loop ends first: nothing may run on it once the queue thread is gone. */
static void stop_threads(void)
{
    stop_loop();
    queue_thread_free(bench.qt);
    bench.qt = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    stop_threads();
    loop_free(bench.loop);
    queue_close(bench.flaky.inner);
    (void)sem_destroy(&bench.flaky.begin_may);
    pthread_mutex_destroy(&bench.lock);
    test_dir_remove(bench.dir);
    return 0;
}

/* ---- shorthands */

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Waits until the condition holds; fails the test if it never does. */
#define WAIT_UNTIL(condition)                                                  \
    do {                                                                       \
        int64_t give_up_ms = mono_ms() + PATIENCE_MS;                          \
        while (!(condition)) {                                                 \
            assert_true(mono_ms() < give_up_ms);                               \
            nap();                                                             \
        }                                                                      \
    } while (0)

static size_t seen_count(void)
{
    size_t count;

    pthread_mutex_lock(&bench.lock);
    count = bench.seen_count;
    pthread_mutex_unlock(&bench.lock);
    return count;
}

static size_t answer_count(void)
{
    size_t count;

    pthread_mutex_lock(&bench.lock);
    count = bench.answer_count;
    pthread_mutex_unlock(&bench.lock);
    return count;
}

static struct job make_job(int number)
{
    struct job job = {.channel = "main", .received_ms = wall_ms()};

    (void)snprintf(job.event_id, sizeof(job.event_id), "event%d", number);
    (void)snprintf(job.message_id, sizeof(job.message_id), "%d", number);
    return job;
}

static enum status put_some(int first, size_t count)
{
    struct job jobs[16];

    assert_true(count <= ARRAY_COUNT(jobs));
    for (size_t i = 0; i < count; i++)
        jobs[i] = make_job(first + (int)i);
    return queue_thread_put(bench.qt, jobs, count, NULL, NULL);
}

/* What the store holds; the queue thread must be gone. */
static struct queue_stats stored(void)
{
    struct queue_stats stats;

    assert_null(bench.qt);
    assert_int_equal(queue_stats(bench.flaky.inner, &stats), STATUS_OK);
    return stats;
}

/* A change submitted on the loop's thread. */
struct submission {
    struct loop_call call;
    struct queue_change change;
};

static void submit_on_loop(struct loop_call *call)
{
    struct submission *s = CONTAINER_OF(call, struct submission, call);

    queue_thread_submit(bench.qt, &s->change);
}

static void submit(struct submission *s, const struct job *job,
                   enum job_state state)
{
    *s = (struct submission){.call.fn = submit_on_loop};
    s->change.job = *job;
    s->change.job.state = state;
    s->change.done = on_done;
    loop_post(bench.loop, &s->call);
}

/* One job that the engine has in hand. */
static struct job obtain_job(int number)
{
    size_t before = seen_count();

    queue_thread_add_room(bench.qt, 1);
    assert_int_equal(put_some(number, 1), STATUS_OK);
    WAIT_UNTIL(seen_count() == before + 1);
    return bench.seen[before];
}

/* ---- puts */

#define PUTTERS 8
#define PUTS_EACH 25

static atomic_int putters_ready;

static void *put_many(void *arg)
{
    int base = *(int *)arg;

    atomic_fetch_add(&putters_ready, 1);
    for (int i = 0; i < PUTS_EACH; i++)
        assert_int_equal(put_some(base + i, 1), STATUS_OK);
    return NULL;
}

static void puts_of_many_threads_share_commits(void **state)
{
    pthread_t threads[PUTTERS];
    int bases[PUTTERS];

    (void)state;
    atomic_store(&putters_ready, 0);
    atomic_store(&bench.flaky.begin_waits, true);
    for (int i = 0; i < PUTTERS; i++) {
        bases[i] = i * PUTS_EACH;
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, &bases[i]),
                         0);
    }
    WAIT_UNTIL(atomic_load(&putters_ready) == PUTTERS);
    for (int i = 0; i < 50; i++)
        nap(); /* let them reach their wait; more come later anyway */
    atomic_store(&bench.flaky.begin_waits, false);
    assert_int_equal(sem_post(&bench.flaky.begin_may), 0);
    for (int i = 0; i < PUTTERS; i++)
        pthread_join(threads[i], NULL);
    stop_threads();
    assert_int_equal(stored().ready, PUTTERS * PUTS_EACH);
    assert_in_range(atomic_load(&bench.flaky.commits), 1,
                    PUTTERS * PUTS_EACH - 1);
}

static void duplicates_are_success_and_counted(void **state)
{
    struct job jobs[3] = {make_job(1), make_job(2), make_job(1)};
    size_t duplicates = 99;

    (void)state;
    assert_int_equal(queue_thread_put(bench.qt, jobs, 3, NULL, &duplicates),
                     STATUS_OK);
    assert_int_equal(duplicates, 1);
    assert_int_equal(jobs[2].id, jobs[0].id);
    assert_int_equal(queue_thread_put(bench.qt, jobs, 3, NULL, &duplicates),
                     STATUS_OK);
    assert_int_equal(duplicates, 3);
    assert_int_equal(queue_thread_put(bench.qt, jobs, 0, NULL, &duplicates),
                     STATUS_OK);
    assert_int_equal(duplicates, 0);
}

static void a_put_larger_than_a_batch_is_whole(void **state)
{
    static struct job jobs[QUEUE_BATCH_MAX + 50];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(jobs); i++)
        jobs[i] = make_job((int)i);
    assert_int_equal(
        queue_thread_put(bench.qt, jobs, ARRAY_COUNT(jobs), NULL, NULL),
        STATUS_OK);
    stop_threads();
    assert_int_equal(stored().ready, ARRAY_COUNT(jobs));
}

/* ---- room */

static void room_is_respected(void **state)
{
    (void)state;
    queue_thread_add_room(bench.qt, 2);
    assert_int_equal(put_some(0, 5), STATUS_OK);
    WAIT_UNTIL(seen_count() == 2);
    assert_int_equal(put_some(5, 1), STATUS_OK);
    queue_thread_add_room(bench.qt, 1);
    WAIT_UNTIL(seen_count() == 3);
    assert_int_equal(put_some(6, 1), STATUS_OK);
    stop_threads();
    assert_int_equal(seen_count(), 3);
    assert_int_equal(stored().leased, 3);
    assert_int_equal(stored().ready, 4);
}

static void what_waits_goes_before_what_comes(void **state)
{
    (void)state;
    assert_int_equal(put_some(0, 1), STATUS_OK);
    nap();
    nap(); /* the later job is due later, by the clock of milliseconds */
    queue_thread_add_room(bench.qt, 1);
    assert_int_equal(put_some(1, 1), STATUS_OK);
    WAIT_UNTIL(seen_count() == 1);
    assert_string_equal(bench.seen[0].event_id, "event0");
}

static void claimed_jobs_come_on_the_loop_and_leased(void **state)
{
    struct job job, row;

    (void)state;
    job = obtain_job(1);
    stop_threads();
    assert_false(bench.seen_elsewhere);
    assert_int_equal(job.state, JOB_LEASED);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(queue_get(bench.flaky.inner, job.id, &row), STATUS_OK);
    assert_string_equal(row.event_id, job.event_id);
    assert_int_equal(row.state, JOB_LEASED);
    assert_int_equal(row.due_ms, job.due_ms);
}

static void jobs_of_other_workers_are_found(void **state)
{
    struct queue *other = open_queue();
    struct job ready = make_job(1), leased = make_job(2);

    (void)state;
    assert_int_equal(queue_begin(other), STATUS_OK);
    assert_int_equal(queue_put(other, &ready, wall_ms(), 0), STATUS_OK);
    assert_int_equal(queue_put(other, &leased, wall_ms(), 60000), STATUS_OK);
    assert_int_equal(queue_commit(other), STATUS_OK);
    queue_thread_add_room(bench.qt, 2);
    WAIT_UNTIL(seen_count() == 1);
    assert_int_equal(bench.seen[0].id, ready.id);
    queue_close(other); /* its owner is dead from here on */
    WAIT_UNTIL(seen_count() == 2);
    assert_int_equal(bench.seen[1].id, leased.id);
    assert_int_equal(bench.seen[1].attempts, 2);
}

/* The thread waits in a begin of its own, which room for one more job causes.
 */
static void hold_the_queue(void)
{
    int held = atomic_load(&bench.flaky.begins_held);

    atomic_store(&bench.flaky.begin_waits, true);
    queue_thread_add_room(bench.qt, 1);
    WAIT_UNTIL(atomic_load(&bench.flaky.begins_held) > held);
}

static void let_the_queue_go(void)
{
    atomic_store(&bench.flaky.begin_waits, false);
    assert_int_equal(sem_post(&bench.flaky.begin_may), 0);
}

/* ---- looks */

static void the_latest_jobs_are_told(void **state)
{
    struct job jobs[2];
    size_t count = 99;

    (void)state;
    assert_int_equal(queue_thread_recent(bench.qt, jobs, 2, &count), STATUS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(put_some(1, 3), STATUS_OK);
    assert_int_equal(queue_thread_recent(bench.qt, jobs, 2, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_true(jobs[0].id > jobs[1].id);
    queue_thread_quiesce(bench.qt);
    assert_int_equal(queue_thread_recent(bench.qt, jobs, 2, &count),
                     STATUS_STOPPING);
}

static void a_look_at_a_stuck_queue_ends(void **state)
{
    struct job job;
    size_t count;

    (void)state;
    hold_the_queue();
    assert_int_equal(queue_thread_recent(bench.qt, &job, 1, &count),
                     STATUS_BUSY);
    let_the_queue_go();
}

static bool pulse_is(bool beats, bool is_due)
{
    struct queue_pulse pulse;

    queue_thread_pulse(bench.qt, &pulse);
    return (pulse.silent_ms < 2 * QUEUE_POLL_MS) == beats &&
           (pulse.due_ms <= wall_ms()) == is_due;
}

static void the_pulse_tells_silence_and_what_is_due(void **state)
{
    (void)state;
    WAIT_UNTIL(pulse_is(true, false));
    assert_int_equal(put_some(1, 1), STATUS_OK); /* there is no room for it */
    WAIT_UNTIL(pulse_is(true, true));
    atomic_store(&bench.flaky.begin_fails, -1);
    WAIT_UNTIL(pulse_is(false, true));
}

/* ---- refusals */

/* One put, and what the log says meanwhile. */
static enum status put_and_listen(int first, char *log, size_t size)
{
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), fds[2];
    enum status status;
    ssize_t n;

    assert_true(saved >= 0);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    status = put_some(first, 1);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    n = read(fds[0], log, size - 1);
    log[n > 0 ? n : 0] = '\0';
    close(saved);
    close(fds[0]);
    close(fds[1]);
    return status;
}

static void a_put_is_busy_while_the_gate_is_held(void **state)
{
    struct queue *other = open_queue();
    struct queue_stats stats;
    char log[4096];

    (void)state;
    assert_int_equal(queue_begin(other), STATUS_OK);
    assert_int_equal(put_some(1, 3), STATUS_BUSY);
    assert_int_equal(put_and_listen(1, log, sizeof(log)), STATUS_BUSY);
    assert_non_null(strstr(log, "event=queue_wait_over"));
    assert_non_null(strstr(log, "another process has locked the queue"));
    queue_rollback(other);
    assert_int_equal(put_some(9, 1), STATUS_OK);
    assert_int_equal(queue_stats(other, &stats), STATUS_OK);
    assert_int_equal(stats.ready, 1);
    assert_int_equal(put_some(1, 3), STATUS_OK);
    assert_int_equal(queue_stats(other, &stats), STATUS_OK);
    assert_int_equal(stats.ready, 4);
    queue_close(other);
}

static void a_put_is_busy_while_begin_is_busy(void **state)
{
    (void)state;
    atomic_store(&bench.flaky.failure, STATUS_BUSY);
    atomic_store(&bench.flaky.begin_fails, -1);
    assert_int_equal(put_some(1, 2), STATUS_BUSY);
    atomic_store(&bench.flaky.begin_fails, 0);
    assert_int_equal(put_some(7, 1), STATUS_OK);
    stop_threads();
    assert_int_equal(stored().ready, 1);
}

static void a_put_survives_a_short_busy_time(void **state)
{
    (void)state;
    atomic_store(&bench.flaky.failure, STATUS_BUSY);
    atomic_store(&bench.flaky.begin_fails, 3);
    assert_int_equal(put_some(1, 2), STATUS_OK);
    stop_threads();
    assert_int_equal(stored().ready, 2);
}

static void a_broken_begin_is_told_at_once(void **state)
{
    (void)state;
    atomic_store(&bench.flaky.failure, STATUS_NO_SPACE);
    atomic_store(&bench.flaky.begin_fails, -1);
    assert_int_equal(put_some(1, 2), STATUS_NO_SPACE);
    atomic_store(&bench.flaky.begin_fails, 0);
}

static void a_put_is_stored_whole_or_not_at_all(void **state)
{
    (void)state;
    queue_thread_add_room(bench.qt, 3);
    atomic_store(&bench.flaky.failure, STATUS_NO_SPACE);
    atomic_store(&bench.flaky.puts_before_failure, 3);
    atomic_store(&bench.flaky.put_fails, 1);
    assert_int_equal(put_some(0, 5), STATUS_NO_SPACE);
    assert_int_equal(put_some(10, 1), STATUS_OK);
    WAIT_UNTIL(seen_count() == 1);
    stop_threads();
    assert_int_equal(stored().ready + stored().leased, 1);
    assert_int_equal(seen_count(), 1);
    assert_string_equal(bench.seen[0].event_id, "event10");
}

static void a_failed_commit_accepts_nothing(void **state)
{
    (void)state;
    queue_thread_add_room(bench.qt, 4);
    atomic_store(&bench.flaky.commit_fails, 1);
    /* An idle turn may have used up the failure. */
    while (put_some(0, 2) == STATUS_OK) {
        assert_int_equal(atomic_load(&bench.flaky.commit_fails), 0);
        queue_thread_add_room(bench.qt, 4);
        atomic_store(&bench.flaky.commit_fails, 1);
    }
    stop_threads();
    assert_int_equal(stored().ready + stored().leased, seen_count());
}

static void a_deep_queue_is_busy(void **state)
{
    struct queue_stats stats = {0};

    (void)state;
    atomic_store(&bench.flaky.told_ready, QUEUE_DEPTH_MAX);
    WAIT_UNTIL(
        (queue_thread_stats(bench.qt, &stats), stats.ready == QUEUE_DEPTH_MAX));
    assert_int_equal(put_some(0, 1), STATUS_BUSY);
    atomic_store(&bench.flaky.told_ready, 0);
    WAIT_UNTIL((queue_thread_stats(bench.qt, &stats), stats.ready == 0));
    assert_int_equal(put_some(0, 1), STATUS_OK);
}

/* ---- changes */

static void a_change_is_durable_when_told(void **state)
{
    struct submission s;
    struct job job, row;

    (void)state;
    job = obtain_job(1);
    submit(&s, &job, JOB_DONE);
    WAIT_UNTIL(answer_count() == 1);
    assert_int_equal(bench.answers[0], STATUS_OK);
    stop_threads();
    assert_int_equal(queue_get(bench.flaky.inner, job.id, &row), STATUS_OK);
    assert_int_equal(row.state, JOB_DONE);
}

static void a_failed_change_is_tried_again(void **state)
{
    struct submission s;
    struct job job;

    (void)state;
    job = obtain_job(1);
    atomic_store(&bench.flaky.update_fails, 4);
    submit(&s, &job, JOB_DONE);
    WAIT_UNTIL(answer_count() == 1);
    assert_int_equal(bench.answers[0], STATUS_OK);
    assert_int_equal(atomic_load(&bench.flaky.update_fails), 0);
    stop_threads();
    assert_int_equal(stored().done, 1);
    assert_int_equal(answer_count(), 1);
}

static void changes_keep_their_order(void **state)
{
    struct submission note, end;
    struct job job, row;

    (void)state;
    job = obtain_job(1);
    atomic_store(&bench.flaky.update_fails, 1);
    submit(&note, &job, JOB_LEASED);
    submit(&end, &job, JOB_DEAD);
    WAIT_UNTIL(answer_count() == 2);
    assert_int_equal(bench.answers[0], STATUS_OK);
    assert_int_equal(bench.answers[1], STATUS_OK);
    stop_threads();
    assert_int_equal(queue_get(bench.flaky.inner, job.id, &row), STATUS_OK);
    assert_int_equal(row.state, JOB_DEAD);
}

static void a_lost_lease_is_told_and_harms_no_other(void **state)
{
    struct submission lost, kept;
    struct job job, stranger;

    (void)state;
    job = obtain_job(1);
    stranger = job;
    stranger.id = job.id + 1000;
    submit(&lost, &stranger, JOB_DONE);
    submit(&kept, &job, JOB_DONE);
    WAIT_UNTIL(answer_count() == 2);
    assert_int_equal(bench.answers[0], STATUS_LEASE_LOST);
    assert_int_equal(bench.answers[1], STATUS_OK);
}

#define SINGLES (QUEUE_BATCH_MAX - 1)

/* One change less than a batch, and three that belong together. */
struct many {
    struct loop_call call;
    struct queue_change changes[SINGLES + 3];
    atomic_bool submitted;
};

static atomic_int many_answers;

static void on_one_of_many(struct queue_change *change, enum status status)
{
    (void)change;
    assert_int_equal(status, STATUS_LEASE_LOST);
    atomic_fetch_add(&many_answers, 1);
}

static void submit_many(struct loop_call *call)
{
    struct many *many = CONTAINER_OF(call, struct many, call);
    struct queue_change *together[3];

    for (size_t i = 0; i < ARRAY_COUNT(many->changes); i++) {
        many->changes[i].job = make_job((int)i);
        many->changes[i].job.id = 1000 + (int64_t)i;
        many->changes[i].done = on_one_of_many;
        if (i < SINGLES)
            queue_thread_submit(bench.qt, &many->changes[i]);
        else
            together[i - SINGLES] = &many->changes[i];
    }
    queue_thread_submit_all(bench.qt, together, 3);
    atomic_store(&many->submitted, true);
}

/* The thread is held in a look of its own while they are submitted, so its next
 * batch begins with all of them. */
static void changes_that_belong_together_are_one_commit(void **state)
{
    static struct many many;

    (void)state;
    many = (struct many){.call.fn = submit_many};
    atomic_store(&many_answers, 0);
    hold_the_queue();
    loop_post(bench.loop, &many.call);
    WAIT_UNTIL(atomic_load(&many.submitted));
    let_the_queue_go();
    WAIT_UNTIL(atomic_load(&many_answers) == SINGLES + 3);
    assert_int_equal(atomic_load(&bench.flaky.most_updates), SINGLES + 3);
}

static void a_handed_back_job_comes_again(void **state)
{
    struct submission s;
    struct job job;

    (void)state;
    job = obtain_job(1);
    job.due_ms = wall_ms() + 20;
    submit(&s, &job, JOB_READY);
    WAIT_UNTIL(answer_count() == 1);
    queue_thread_add_room(bench.qt, 1);
    WAIT_UNTIL(seen_count() == 2);
    assert_int_equal(bench.seen[1].id, job.id);
    assert_int_equal(bench.seen[1].attempts, 2);
    assert_true(wall_ms() >= job.due_ms);
}

static void extend_moves_the_leases(void **state)
{
    struct job job, row;

    (void)state;
    job = obtain_job(1);
    nap();
    nap();
    queue_thread_extend(bench.qt, &job.id, 1);
    WAIT_UNTIL(atomic_load(&bench.flaky.extended_until) != 0);
    stop_threads();
    assert_int_equal(queue_get(bench.flaky.inner, job.id, &row), STATUS_OK);
    assert_true(row.due_ms > job.due_ms);
    assert_int_equal(row.due_ms, atomic_load(&bench.flaky.extended_until));
}

/* ---- the end */

static void a_quiet_thread_takes_nothing_but_changes(void **state)
{
    struct submission s;
    struct job job;

    (void)state;
    assert_int_equal(put_some(5, 1), STATUS_OK);
    job = obtain_job(1); /* the one or the other */
    queue_thread_quiesce(bench.qt);
    queue_thread_add_room(bench.qt, 5);
    assert_int_equal(put_some(2, 1), STATUS_STOPPING);
    submit(&s, &job, JOB_DONE);
    WAIT_UNTIL(answer_count() == 1);
    stop_threads();
    assert_int_equal(seen_count(), 1);
    assert_int_equal(stored().done, 1);
    assert_int_equal(stored().ready, 1);
}

static void *put_one(void *arg)
{
    atomic_fetch_add(&putters_ready, 1);
    *(enum status *)arg = put_some(1, 1);
    return NULL;
}

static void *let_begin_go(void *arg)
{
    for (int i = 0; i < 50; i++)
        nap();
    atomic_store(&bench.flaky.begin_waits, false);
    assert_int_equal(sem_post(&bench.flaky.begin_may), 0);
    return arg;
}

static void free_does_what_is_waiting(void **state)
{
    enum status status = STATUS_BUG;
    pthread_t putter, helper;
    int begins;

    (void)state;
    atomic_store(&putters_ready, 0);
    begins = atomic_load(&bench.flaky.begins);
    atomic_store(&bench.flaky.begin_waits, true);
    assert_int_equal(pthread_create(&putter, NULL, put_one, &status), 0);
    WAIT_UNTIL(atomic_load(&putters_ready) == 1 &&
               atomic_load(&bench.flaky.begins) > begins);
    for (int i = 0; i < 50; i++)
        nap();
    assert_int_equal(pthread_create(&helper, NULL, let_begin_go, NULL), 0);
    stop_threads();
    pthread_join(putter, NULL);
    pthread_join(helper, NULL);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(stored().ready, 1);
}

static void *put_until_stopped(void *arg)
{
    int base = *(int *)arg;
    enum status status = STATUS_OK;
    int accepted = 0;

    for (int i = 0; status != STATUS_STOPPING; i++) {
        status = put_some(base + i, 1); /* BUSY if the queue gets deep */
        accepted += status == STATUS_OK;
    }
    *(int *)arg = accepted;
    return NULL;
}

static void every_accepted_put_survives_the_end(void **state)
{
    pthread_t threads[PUTTERS];
    int counts[PUTTERS];
    struct queue_stats stats;
    int total = 0;

    (void)state;
    queue_thread_add_room(bench.qt, 20);
    for (int i = 0; i < PUTTERS; i++) {
        counts[i] = i * 1000000;
        assert_int_equal(
            pthread_create(&threads[i], NULL, put_until_stopped, &counts[i]),
            0);
    }
    WAIT_UNTIL(seen_count() == 20);
    queue_thread_quiesce(bench.qt);
    for (int i = 0; i < PUTTERS; i++) {
        pthread_join(threads[i], NULL);
        total += counts[i];
    }
    stop_threads();
    stats = stored();
    assert_int_equal(stats.ready + stats.leased, total);
    assert_int_equal(stats.leased, 20);
}

/* Jobs that were never delivered, and a change that cannot be written. */
static void the_end_comes_even_if_nothing_works(void **state)
{
    struct submission s;
    struct job job;

    (void)state;
    job = obtain_job(1);
    stop_loop();
    queue_thread_add_room(bench.qt, 3);
    assert_int_equal(put_some(10, 3), STATUS_OK);
    atomic_store(&bench.flaky.update_fails, -1);
    s = (struct submission){.change.job = job, .change.done = on_done};
    queue_thread_submit(bench.qt, &s.change);
    stop_threads();
    assert_int_equal(s.change.status, STATUS_IO);
    assert_int_equal(seen_count(), 1);
    assert_int_equal(stored().leased, 4);
}

#define ON_MEMORY(name)                                                        \
    cmocka_unit_test_setup_teardown(name, set_up_memory, tear_down)
#define ON_SQLITE(name)                                                        \
    cmocka_unit_test_setup_teardown(name, set_up_sqlite, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SQLITE(puts_of_many_threads_share_commits),
        ON_SQLITE(duplicates_are_success_and_counted),
        ON_SQLITE(a_put_larger_than_a_batch_is_whole),
        ON_MEMORY(room_is_respected),
        ON_SQLITE(room_is_respected),
        ON_MEMORY(what_waits_goes_before_what_comes),
        ON_SQLITE(claimed_jobs_come_on_the_loop_and_leased),
        ON_SQLITE(jobs_of_other_workers_are_found),
        ON_MEMORY(the_latest_jobs_are_told),
        ON_MEMORY(a_look_at_a_stuck_queue_ends),
        ON_MEMORY(the_pulse_tells_silence_and_what_is_due),
        ON_SQLITE(a_put_is_busy_while_the_gate_is_held),
        ON_MEMORY(a_put_is_busy_while_begin_is_busy),
        ON_MEMORY(a_put_survives_a_short_busy_time),
        ON_MEMORY(a_broken_begin_is_told_at_once),
        ON_MEMORY(a_put_is_stored_whole_or_not_at_all),
        ON_SQLITE(a_put_is_stored_whole_or_not_at_all),
        ON_MEMORY(a_failed_commit_accepts_nothing),
        ON_SQLITE(a_failed_commit_accepts_nothing),
        ON_MEMORY(a_deep_queue_is_busy),
        ON_SQLITE(a_change_is_durable_when_told),
        ON_SQLITE(a_failed_change_is_tried_again),
        ON_MEMORY(changes_keep_their_order),
        ON_MEMORY(a_lost_lease_is_told_and_harms_no_other),
        ON_SQLITE(changes_that_belong_together_are_one_commit),
        ON_SQLITE(a_handed_back_job_comes_again),
        ON_MEMORY(extend_moves_the_leases),
        ON_MEMORY(a_quiet_thread_takes_nothing_but_changes),
        ON_MEMORY(free_does_what_is_waiting),
        ON_SQLITE(every_accepted_put_survives_the_end),
        ON_MEMORY(the_end_comes_even_if_nothing_works),
    };

    return cmocka_run_group_tests_name("queue_thread", tests, NULL, NULL);
}
