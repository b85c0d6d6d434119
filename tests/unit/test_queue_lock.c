/*
 * test_queue_lock.c: the gate when it is held: the bounded wait of an open.
 * What the gate and the owners' files are for is tested with the queue
 * (test_queue_sqlite.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>

#include "../helper/test_dir.h"
#include "queue_lock.h"

#define LONG_MS 60000 /* longer than any test may take */

/* Two open file descriptions: as good as two processes to the kernel. */
struct fixture {
    char dir[TEST_DIR_MAX];
    struct queue_lock holder, comer;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    char path[TEST_DIR_MAX + 16];

    test_dir_make(fixture.dir);
    (void)snprintf(path, sizeof(path), "%s/queue.db", fixture.dir);
    assert_int_equal(queue_lock_open(&fixture.holder, path), STATUS_OK);
    assert_int_equal(queue_lock_open(&fixture.comer, path), STATUS_OK);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    queue_lock_close(&f->comer);
    queue_lock_close(&f->holder);
    test_dir_remove(f->dir);
    return 0;
}

static void a_free_gate_is_entered(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(queue_lock_enter_within(&f->comer, 0), STATUS_OK);
    queue_lock_leave(&f->comer);
    assert_int_equal(queue_lock_enter_within(&f->holder, 0), STATUS_OK);
    queue_lock_leave(&f->holder);
}

static void a_held_gate_is_busy_after_a_while(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(queue_lock_enter(&f->holder), STATUS_OK);
    assert_int_equal(queue_lock_enter_within(&f->comer, 30), STATUS_BUSY);
    queue_lock_close(&f->comer);
    queue_lock_leave(&f->holder);
    assert_int_equal(queue_lock_enter_within(&f->holder, 0), STATUS_OK);
}

static void *leave_after_a_while(void *arg)
{
    const struct timespec nap = {.tv_nsec = 30 * 1000 * 1000};

    (void)nanosleep(&nap, NULL);
    queue_lock_leave(arg);
    return NULL;
}

static void a_gate_that_is_left_lets_in(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;

    assert_int_equal(queue_lock_enter(&f->holder), STATUS_OK);
    assert_int_equal(
        pthread_create(&thread, NULL, leave_after_a_while, &f->holder), 0);
    assert_int_equal(queue_lock_enter_within(&f->comer, LONG_MS), STATUS_OK);
    pthread_join(thread, NULL);
    assert_int_equal(queue_lock_enter_within(&f->holder, 0), STATUS_BUSY);
}

static void a_stop_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    sigset_t stop, before;
    int signal_number;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &stop, &before), 0);
    assert_int_equal(queue_lock_enter(&f->holder), STATUS_OK);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(queue_lock_enter_within(&f->comer, LONG_MS),
                     STATUS_STOPPING);
    assert_int_equal(sigwait(&stop, &signal_number), 0); /* still there */
    assert_int_equal(signal_number, SIGTERM);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_free_gate_is_entered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_held_gate_is_busy_after_a_while,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gate_that_is_left_lets_in, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stop_ends_the_wait, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("queue lock", tests, NULL, NULL);
}
