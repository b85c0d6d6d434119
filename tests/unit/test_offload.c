/*
 * The threads for blocking calls: every task is worked and done exactly once,
 * off the loop's thread and on it.
 */
#include "offload.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "limits.h"

#define TASKS 1000

struct fixture {
    struct loop *loop;
    struct offload *offload;
    pthread_t loop_thread;
    int left;
};

struct job {
    struct fixture *fixture;
    struct offload_task task;
    atomic_int worked;
    int done;
    bool on_loop_thread; /* work() was, which is wrong */
    bool takes_signals;
    int again; /* times to submit itself from done() */
};

static void work(void *arg)
{
    struct job *job = arg;
    sigset_t blocked;

    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    job->takes_signals = sigismember(&blocked, SIGTERM) != 1 ||
                         sigismember(&blocked, SIGHUP) != 1;
    job->on_loop_thread =
        pthread_equal(pthread_self(), job->fixture->loop_thread) != 0;
    atomic_fetch_add(&job->worked, 1);
}

static void done(void *arg)
{
    struct job *job = arg;

    assert_true(pthread_equal(pthread_self(), job->fixture->loop_thread) != 0);
    job->done++;
    assert_int_equal(atomic_load(&job->worked), job->done);
    if (job->again > 0) {
        job->again--;
        offload_submit(job->fixture->offload, &job->task);
        return;
    }
    if (--job->fixture->left == 0)
        loop_stop(job->fixture->loop);
}

static void submit(struct job *job, struct fixture *f)
{
    *job = (struct job){.fixture = f, .task = {work, done, job, {0}, NULL}};
    f->left++;
    offload_submit(f->offload, &job->task);
}

static void open_fixture(struct fixture *f, size_t threads)
{
    *f = (struct fixture){.loop_thread = pthread_self()};
    assert_int_equal(loop_new(&f->loop), STATUS_OK);
    assert_int_equal(offload_new(&f->offload, f->loop, threads), STATUS_OK);
}

static void close_fixture(struct fixture *f)
{
    offload_free(f->offload);
    loop_free(f->loop);
}

static void test_each_task_once(void **state)
{
    static const size_t threads[] = {1, 4, OFFLOAD_THREADS_MAX};
    struct job *jobs = calloc(TASKS, sizeof(*jobs));

    (void)state;
    assert_non_null(jobs);
    for (size_t k = 0; k < ARRAY_COUNT(threads); k++) {
        struct fixture f;

        open_fixture(&f, threads[k]);
        for (size_t i = 0; i < TASKS; i++)
            submit(&jobs[i], &f);
        assert_int_equal(loop_run(f.loop), STATUS_OK);
        for (size_t i = 0; i < TASKS; i++) {
            assert_int_equal(jobs[i].done, 1);
            assert_int_equal(jobs[i].worked, 1);
            assert_false(jobs[i].on_loop_thread);
            assert_false(jobs[i].takes_signals);
        }
        close_fixture(&f);
    }
    free(jobs);
}

static void test_done_may_submit_the_same_task(void **state)
{
    struct fixture f;
    struct job job;

    (void)state;
    open_fixture(&f, 2);
    job = (struct job){
        .fixture = &f, .task = {work, done, &job, {0}, NULL}, .again = 9};
    f.left = 1;
    offload_submit(f.offload, &job.task);
    assert_int_equal(loop_run(f.loop), STATUS_OK);
    assert_int_equal(job.done, 10);
    close_fixture(&f);
}

/* A task that waits until the pool is being freed, and some behind it. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
};

static struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                           false};

static void work_behind_gate(void *arg)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.open)
        pthread_cond_wait(&gate.opened, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    work(arg);
}

static void *open_gate(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_signal(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
    return NULL;
}

static void test_free_works_off_what_was_submitted(void **state)
{
    struct fixture f;
    struct job jobs[10];
    pthread_t thread;

    (void)state;
    open_fixture(&f, 1);
    for (size_t i = 0; i < ARRAY_COUNT(jobs); i++) {
        jobs[i] = (struct job){
            .fixture = &f,
            .task = {
                i == 0 ? work_behind_gate : work, done, &jobs[i], {0}, NULL}};
        f.left++;
        offload_submit(f.offload, &jobs[i].task);
    }
    assert_int_equal(pthread_create(&thread, NULL, open_gate, NULL), 0);
    offload_free(f.offload);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(jobs); i++) {
        assert_int_equal(jobs[i].worked, 1);
        assert_int_equal(jobs[i].done, 0);
    }
    assert_int_equal(loop_run(f.loop), STATUS_OK); /* done() still comes */
    for (size_t i = 0; i < ARRAY_COUNT(jobs); i++)
        assert_int_equal(jobs[i].done, 1);
    loop_free(f.loop);
}

static void test_number_of_threads_is_bounded(void **state)
{
    struct offload *offload = NULL;
    struct loop *loop;

    (void)state;
    assert_int_equal(loop_new(&loop), STATUS_OK);
    assert_int_equal(offload_new(&offload, loop, 0), STATUS_BUG);
    assert_int_equal(offload_new(&offload, loop, OFFLOAD_THREADS_MAX + 1),
                     STATUS_BUG);
    assert_null(offload);
    offload_free(NULL);
    loop_free(loop);
}

/* A stack for which there is no room in any address space. */
static void test_a_thread_that_cannot_be_made_is_told(void **state)
{
    struct offload *offload = NULL;
    pthread_attr_t usual, huge;
    struct loop *loop;

    (void)state;
    assert_int_equal(loop_new(&loop), STATUS_OK);
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 60), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    assert_int_equal(offload_new(&offload, loop, 2), STATUS_BUSY);
    assert_null(offload);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    (void)pthread_attr_destroy(&usual);
    (void)pthread_attr_destroy(&huge);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_task_once),
        cmocka_unit_test(test_done_may_submit_the_same_task),
        cmocka_unit_test(test_free_works_off_what_was_submitted),
        cmocka_unit_test(test_number_of_threads_is_bounded),
        cmocka_unit_test(test_a_thread_that_cannot_be_made_is_told),
    };

    return cmocka_run_group_tests_name("offload", tests, NULL, NULL);
}
