/*
 * overdue: told once if it takes too long, never if it does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>

#include "overdue.h"

#define LONG_MS 60000 /* longer than any test may take */

struct told {
    sem_t once;
    int count;
};

static void tell(void *arg)
{
    struct told *told = arg;

    told->count++;
    (void)sem_post(&told->once);
}

static void what_takes_too_long_is_told_once(void **state)
{
    struct told told = {.count = 0};
    struct overdue overdue;

    (void)state;
    assert_int_equal(sem_init(&told.once, 0, 0), 0);
    overdue_begin(&overdue, 1, tell, &told);
    assert_int_equal(sem_wait(&told.once), 0);
    overdue_end(&overdue);
    assert_int_equal(told.count, 1);
    (void)sem_destroy(&told.once);
}

static void what_does_not_is_not_told(void **state)
{
    struct told told = {.count = 0};
    struct overdue overdue;

    (void)state;
    assert_int_equal(sem_init(&told.once, 0, 0), 0);
    for (int i = 0; i < 100; i++) {
        overdue_begin(&overdue, LONG_MS, tell, &told);
        overdue_end(&overdue);
    }
    assert_int_equal(told.count, 0);
    (void)sem_destroy(&told.once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_too_long_is_told_once),
        cmocka_unit_test(what_does_not_is_not_told),
    };

    return cmocka_run_group_tests_name("overdue", tests, NULL, NULL);
}
