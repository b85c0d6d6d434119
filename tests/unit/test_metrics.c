/*
 * Counts of several processes in one file. This process is one worker, forked
 * ones are the others.
 */
#include "metrics.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../helper/test_dir.h"

#define NOW INT64_C(1790000000000)
#define MINUTE 60000
#define THREADS 4
#define TIMES 20000
#define LOOKS 500
#define BOT_A "U0123456789abcdef0123456789abcdef"
#define BOT_B "Ufedcba9876543210fedcba9876543210"

static char dir[TEST_DIR_MAX], path[TEST_DIR_MAX + 16];
static char known[BOT_ID_LEN + 1], was[BOT_ID_LEN + 1];
static struct metrics_totals totals;

static int setup(void **state)
{
    (void)state;
    test_dir_make(dir);
    (void)snprintf(path, sizeof(path), "%s/metrics", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    metrics_close();
    test_dir_remove(dir);
    return 0;
}

static void open_here(void)
{
    assert_int_equal(metrics_open(path), STATUS_OK);
}

static uint64_t counted(enum metrics_counter counter)
{
    assert_true(metrics_sum(&totals, NOW));
    return totals.counts.counters[counter];
}

/* A worker that counts and then waits to be killed. */
static pid_t start_worker(uint64_t pushes)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        metrics_close(); /* the parent's, if it has one */
        if (metrics_open(path) != STATUS_OK)
            _exit(1);
        METRIC_ADD(METRIC_PUSHES, pushes);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void kill_worker(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_nothing_is_open(void **state)
{
    (void)state;
    METRIC_ADD(METRIC_PUSHES, 1);
    metrics_observe_us(METRIC_SECONDS_ACK, 1);
    metrics_job_ended("shop", 1, NOW);
    metrics_failure(STATUS_IO);
    metrics_retry(STATUS_IO);
    metrics_answered(1, NOW);
    metrics_crash_loop(NOW);
    metrics_name_channel("shop");
    assert_false(metrics_saw_destination("shop", BOT_A, was));
    assert_false(metrics_sum(&totals, NOW));
    assert_int_equal(totals.workers, 0);
    assert_int_equal(totals.counts.counters[METRIC_PUSHES], 0);
}

static void test_counts(void **state)
{
    (void)state;
    open_here();
    METRIC_ADD(METRIC_FETCHED_BYTES, 1000);
    METRIC_ADD(METRIC_FETCHED_BYTES, 24);
    metrics_failure(STATUS_IMAGE_BROKEN);
    metrics_retry(STATUS_TIMEOUT);
    metrics_retry(STATUS_TIMEOUT);
    metrics_crash_loop(NOW - 5);
    assert_int_equal(counted(METRIC_FETCHED_BYTES), 1024);
    assert_int_equal(totals.counts.failures[STATUS_IMAGE_BROKEN], 1);
    assert_int_equal(totals.counts.retries[STATUS_TIMEOUT], 2);
    assert_int_equal(totals.crash_loop_ms, NOW - 5);
    assert_int_equal(totals.workers, 1);
    assert_true(totals.started_ms > 0);
}

static void test_a_histogram(void **state)
{
    const uint64_t *buckets = totals.counts.seconds[METRIC_SECONDS_FETCH];

    (void)state;
    open_here();
    metrics_observe_us(METRIC_SECONDS_FETCH, 500); /* bounds are inclusive */
    metrics_observe_us(METRIC_SECONDS_FETCH, 501);
    METRIC_OBSERVE_MS(METRIC_SECONDS_FETCH, 60001);
    metrics_observe_us(METRIC_SECONDS_FETCH, -7); /* the clock was set */
    assert_true(metrics_sum(&totals, NOW));
    assert_int_equal(buckets[0], 2);
    assert_int_equal(buckets[1], 1);
    assert_int_equal(buckets[METRICS_BOUNDS], 1);
    assert_int_equal(totals.counts.seconds_us[METRIC_SECONDS_FETCH],
                     500 + 501 + 60001000);
}

static void test_quantiles(void **state)
{
    uint64_t buckets[METRICS_BUCKETS] = {0};

    (void)state;
    assert_int_equal(metrics_quantile_us(buckets, 0.5), -1);
    buckets[1] = 100; /* 500 to 1000 us */
    assert_int_equal(metrics_quantile_us(buckets, 0.5), 750);
    assert_int_equal(metrics_quantile_us(buckets, 1), 1000);
    buckets[2] = 100; /* to 2000 us */
    assert_int_equal(metrics_quantile_us(buckets, 0.5), 1000);
    assert_int_equal(metrics_quantile_us(buckets, 0.75), 1500);
    buckets[METRICS_BOUNDS] = 1000; /* beyond: the last bound is all we know */
    assert_int_equal(metrics_quantile_us(buckets, 0.99),
                     metrics_bounds_us[METRICS_BOUNDS - 1]);
}

static void test_channels(void **state)
{
    char name[CHANNEL_NAME_MAX + 1];

    (void)state;
    open_here();
    for (int i = 0; i < METRICS_CHANNELS_MAX + 2; i++) {
        (void)snprintf(name, sizeof(name), "channel-%d", i);
        metrics_name_channel(name);
        metrics_name_channel(name);
        metrics_job_ended(name, 1, NOW);
    }
    metrics_job_ended("channel-1", 5, NOW + 1);
    metrics_job_ended("channel-1", METRICS_OUTCOMES, NOW + 2);
    assert_true(metrics_sum(&totals, NOW));
    assert_int_equal(totals.channels, METRICS_CHANNELS_MAX);
    assert_string_equal(totals.names[1], "channel-1");
    assert_int_equal(totals.counts.jobs[1][1], 1);
    assert_int_equal(totals.counts.jobs[1][5], 1);
    assert_int_equal(totals.counts.jobs[METRICS_CHANNELS_MAX][1], 2);
    assert_int_equal(totals.last_end_ms, NOW + 1);
}

static uint32_t in_minute(size_t minute)
{
    uint32_t sum = 0;

    for (size_t b = 0; b < METRICS_BUCKETS; b++)
        sum += totals.minutes[minute][b];
    return sum;
}

static void test_minutes(void **state)
{
    const size_t last = METRICS_MINUTES - 1;

    (void)state;
    open_here();
    metrics_answered(700000, NOW);
    metrics_answered(700000, NOW);
    metrics_answered(300, NOW + MINUTE);
    assert_true(metrics_sum(&totals, NOW + MINUTE));
    assert_int_equal(in_minute(last), 1);
    assert_int_equal(totals.minutes[last][0], 1);
    assert_int_equal(in_minute(last - 1), 2);
    assert_int_equal(in_minute(last - 2), 0);
    assert_true(metrics_sum(&totals, NOW + (int64_t)METRICS_MINUTES * MINUTE));
    assert_int_equal(in_minute(0), 1); /* the two are an hour old */
    metrics_answered(300, NOW + (int64_t)METRICS_MINUTES * MINUTE);
    assert_true(metrics_sum(&totals, NOW + (int64_t)METRICS_MINUTES * MINUTE));
    assert_int_equal(in_minute(last), 1); /* in the cell of the two */
}

static void test_processes_share(void **state)
{
    pid_t other;

    (void)state;
    open_here();
    METRIC_ADD(METRIC_PUSHES, 1);
    other = start_worker(10);
    assert_int_equal(counted(METRIC_PUSHES), 11);
    assert_int_equal(totals.workers, 2);
    kill_worker(other);
    assert_int_equal(counted(METRIC_PUSHES), 11);
    assert_int_equal(totals.workers, 1);
}

/* More deaths than there are slots. */
static void test_a_slot_is_inherited(void **state)
{
    struct metrics_totals before;
    pid_t other;

    (void)state;
    open_here();
    kill_worker(start_worker(10));
    assert_int_equal(counted(METRIC_PUSHES), 10);
    before = totals;
    for (int i = 0; i < METRICS_SLOTS + 1; i++)
        kill_worker(start_worker(1));
    other = start_worker(1);
    assert_int_equal(counted(METRIC_PUSHES),
                     before.counts.counters[METRIC_PUSHES] + METRICS_SLOTS + 2);
    assert_int_equal(totals.workers, 2);
    kill_worker(other);
}

static void test_the_file_outlives_the_pool(void **state)
{
    (void)state;
    open_here();
    METRIC_ADD(METRIC_PUSHES, 3);
    metrics_name_channel("shop");
    metrics_close();
    METRIC_ADD(METRIC_PUSHES, 100);
    open_here();
    METRIC_ADD(METRIC_PUSHES, 4);
    assert_int_equal(counted(METRIC_PUSHES), 7);
    assert_string_equal(totals.names[0], "shop");
    assert_int_equal(totals.workers, 1);
}

static void test_all_slots_are_taken(void **state)
{
    struct flock range = {
        .l_type = F_WRLCK, .l_start = 1, .l_len = METRICS_SLOTS};
    int fd;

    (void)state;
    open_here();
    metrics_close();
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
    assert_int_equal(metrics_open(path), STATUS_BUSY);
    close(fd);
    open_here();
}

/* `bytes` at `offset` make it the file of another version. */
static void spoil(const char *bytes, off_t offset)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), offset), strlen(bytes));
    close(fd);
}

static void test_another_version_is_replaced(void **state)
{
    static const off_t offsets[] = {0, 8}; /* magic, fingerprint */

    (void)state;
    open_here();
    for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
        METRIC_ADD(METRIC_PUSHES, 3);
        spoil("other", offsets[i]);
        assert_int_equal(counted(METRIC_PUSHES), 3); /* it counts on */
        metrics_close();
        open_here();
        assert_int_equal(counted(METRIC_PUSHES), 0);
    }
}

static void test_half_a_file_is_replaced(void **state)
{
    (void)state;
    open_here();
    metrics_close();
    assert_int_equal(truncate(path, 100), 0);
    open_here();
    METRIC_ADD(METRIC_PUSHES, 1);
    assert_int_equal(counted(METRIC_PUSHES), 1);
}

static void test_bad_places(void **state)
{
    char target[TEST_DIR_MAX + 32];

    (void)state;
    (void)snprintf(target, sizeof(target), "%s/no/metrics", dir);
    assert_int_not_equal(metrics_open(target), STATUS_OK);
    (void)snprintf(target, sizeof(target), "%s/elsewhere", dir);
    assert_int_equal(symlink(target, path), 0);
    assert_int_not_equal(metrics_open(path), STATUS_OK); /* not followed */
}

/* ---- whom the webhooks are for */

static enum status look(const char *channel)
{
    return metrics_read_destination(path, channel, known);
}

static void open_named(void)
{
    open_here();
    metrics_name_channel("shop");
    metrics_name_channel("club");
}

static void test_a_destination(void **state)
{
    (void)state;
    open_named();
    assert_int_equal(look("shop"), STATUS_NOT_FOUND);
    assert_false(metrics_saw_destination("shop", BOT_A, was));
    assert_int_equal(look("shop"), STATUS_OK);
    assert_string_equal(known, BOT_A);
    assert_false(metrics_saw_destination("shop", BOT_A, was));
    assert_true(metrics_saw_destination("shop", BOT_B, was));
    assert_string_equal(was, BOT_A);
    assert_false(metrics_saw_destination("shop", BOT_B, was));
    assert_int_equal(look("club"), STATUS_NOT_FOUND);
    metrics_close();
    assert_int_equal(look("shop"), STATUS_OK); /* no worker, no less known */
    assert_string_equal(known, BOT_B);
    open_here();
    assert_true(metrics_saw_destination("shop", BOT_A, was));
    assert_string_equal(was, BOT_B);
}

/* As a bot's id may be: its digits are no number with a sign or an end. */
static void test_odd_destinations(void **state)
{
    static const char *const kept[] = {"U00000000000000000000000000000001",
                                       "U10000000000000000000000000000000",
                                       "Uffffffffffffffffffffffffffffffff"};
    static const char *const not_kept[] = {
        "",
        "U",
        "U0",
        "V0123456789abcdef0123456789abcdef",
        "U0123456789ABCDEF0123456789ABCDEF",
        "U0123456789abcdef0123456789abcde",
        "U0123456789abcdef0123456789abcdef0",
        "U0123456789abcdef0123456789abcde\x80",
        " U0123456789abcdef0123456789abcde",
    };

    (void)state;
    open_named();
    for (size_t i = 0; i < ARRAY_COUNT(kept); i++) {
        assert_int_equal(metrics_saw_destination("shop", kept[i], was), i > 0);
        assert_int_equal(look("shop"), STATUS_OK);
        assert_string_equal(known, kept[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(not_kept); i++)
        assert_false(metrics_saw_destination("shop", not_kept[i], was));
    assert_int_equal(look("shop"), STATUS_OK);
    assert_string_equal(known, kept[ARRAY_COUNT(kept) - 1]);
}

static void test_a_destination_without_a_row(void **state)
{
    char name[CHANNEL_NAME_MAX + 1];

    (void)state;
    open_here();
    for (int i = 0; i < METRICS_CHANNELS_MAX + 1; i++) {
        (void)snprintf(name, sizeof(name), "channel-%d", i);
        metrics_name_channel(name);
        assert_false(metrics_saw_destination(name, BOT_A, was));
        assert_int_equal(look(name), i < METRICS_CHANNELS_MAX
                                         ? STATUS_OK
                                         : STATUS_NOT_FOUND);
    }
    assert_int_equal(look("nobody"), STATUS_NOT_FOUND);
}

static void test_workers_agree_on_a_destination(void **state)
{
    int exit_status = -1;
    pid_t pid;

    (void)state;
    open_named();
    assert_false(metrics_saw_destination("shop", BOT_A, was));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        metrics_close();
        _exit(metrics_open(path) == STATUS_OK &&
                      metrics_saw_destination("shop", BOT_B, was) &&
                      str_eq(was, BOT_A)
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &exit_status, 0), pid);
    assert_int_equal(exit_status, 0);
    assert_false(metrics_saw_destination("shop", BOT_B, was));
}

/* A slot would be one worker more, a lock that stays one worker less. */
static void test_who_looks_is_no_worker(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(look("shop"), STATUS_NOT_FOUND);
    assert_int_equal(stat(path, &st), -1); /* nothing was made */
    open_named();
    assert_false(metrics_saw_destination("shop", BOT_A, was));
    assert_int_equal(look("shop"), STATUS_OK);
    assert_true(metrics_sum(&totals, NOW));
    assert_int_equal(totals.workers, 1);
    metrics_close();
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(look("shop"), STATUS_OK);
    assert_int_equal(chmod(path, 0600), 0);
}

static void test_a_file_of_others_is_left_alone(void **state)
{
    struct stat st;

    (void)state;
    open_named();
    assert_false(metrics_saw_destination("shop", BOT_A, was));
    metrics_close();
    spoil("other", 8);
    assert_int_equal(look("shop"), STATUS_NOT_FOUND);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 0);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(look("shop"), STATUS_NOT_FOUND);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(look("shop"), STATUS_IO); /* not followed */
}

/* An acceptor does not wait for a process that is stopped there. */
static void test_a_destination_and_a_shut_gate(void **state)
{
    struct flock gate = {.l_type = F_WRLCK, .l_len = 1};
    int fd;

    (void)state;
    open_named();
    assert_false(metrics_saw_destination("shop", BOT_A, was));
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &gate), 0);
    assert_false(metrics_saw_destination("shop", BOT_B, was));
    assert_int_equal(look("shop"), STATUS_BUSY);
    close(fd);
    assert_int_equal(look("shop"), STATUS_OK);
    assert_string_equal(known, BOT_A);
    assert_true(metrics_saw_destination("shop", BOT_B, was));
}

/* Sets `arg` if what it was told is not the other one, whole. */
static void *see_two_bots(void *arg)
{
    char other[BOT_ID_LEN + 1];
    bool *wrong = arg;

    for (int i = 0; i < TIMES; i++) {
        bool even = i % 2 == 0;

        if (metrics_saw_destination("shop", even ? BOT_A : BOT_B, other) &&
            !str_eq(other, even ? BOT_B : BOT_A))
            *wrong = true;
    }
    return NULL;
}

static void test_threads_and_a_destination(void **state)
{
    pthread_t threads[THREADS];
    bool wrong[THREADS] = {false};

    (void)state;
    open_named();
    assert_false(metrics_saw_destination("shop", BOT_A, was));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, see_two_bots, &wrong[i]), 0);
    for (int i = 0; i < LOOKS; i++) {
        enum status status = look("shop");

        /* Whole, whenever it is; BUSY if the others leave no room. */
        assert_true(status == STATUS_BUSY ||
                    (status == STATUS_OK &&
                     (str_eq(known, BOT_A) || str_eq(known, BOT_B))));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(wrong[i]);
    }
}

static void *count_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        METRIC_ADD(METRIC_LAB_DEATHS, 1);
        metrics_answered(300, NOW);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    open_here();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_much, NULL),
                         0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counted(METRIC_LAB_DEATHS), THREADS * TIMES);
    assert_int_equal(in_minute(METRICS_MINUTES - 1), THREADS * TIMES);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_is_open),
        CASE(test_counts),
        CASE(test_a_histogram),
        CASE(test_quantiles),
        CASE(test_channels),
        CASE(test_minutes),
        CASE(test_processes_share),
        CASE(test_a_slot_is_inherited),
        CASE(test_the_file_outlives_the_pool),
        CASE(test_all_slots_are_taken),
        CASE(test_another_version_is_replaced),
        CASE(test_half_a_file_is_replaced),
        CASE(test_bad_places),
        CASE(test_threads),
        CASE(test_a_destination),
        CASE(test_odd_destinations),
        CASE(test_a_destination_without_a_row),
        CASE(test_workers_agree_on_a_destination),
        CASE(test_who_looks_is_no_worker),
        CASE(test_a_file_of_others_is_left_alone),
        CASE(test_a_destination_and_a_shut_gate),
        CASE(test_threads_and_a_destination),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
