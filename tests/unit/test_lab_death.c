/*
 * test_lab_death.c: labs, keepers and workers that die, what they leave behind,
 * and what a lab is given to begin with.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/lab_bench.h"
#include "sandbox.h"

#include <cmocka.h>

/* ---- accidents */

static void a_dead_lab_is_replaced(void **state)
{
    struct lab_shots batch = {.count = 5}; /* 3 in the lab, 2 wait */
    struct lab_bench bench;
    pid_t pid;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    pid = lab_bench_pid(&bench);
    for (size_t i = 0; i < batch.count; i++) {
        batch.shots[i].hold_at = 3000;
        lab_shot_start(&batch.shots[i], &bench, &lab_samples.jpeg);
    }
    lab_bench_run(&bench, lab_shot_holds, &batch.shots[batch.count - 1]);
    assert_int_equal(kill(pid, SIGKILL), 0);
    lab_bench_run(&bench, lab_shot_is_done, &batch.shots[0]);
    for (size_t i = 3; i < batch.count; i++)
        batch.shots[i].hold_at = 0;
    lab_shot_feed(&batch.shots[3]);
    lab_shot_feed(&batch.shots[4]);
    lab_bench_run(&bench, lab_shots_are_done, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        assert_int_equal(batch.shots[i].dones, 1);
        assert_int_equal(batch.shots[i].status,
                         i < 3 ? STATUS_LAB_DIED : STATUS_OK);
        lab_shot_release(&batch.shots[i]);
    }
    assert_true(lab_bench_pid(&bench) != pid);
    assert_int_equal(bench.broken, 0);
    lab_bench_stop(&bench);
}

static void who_kills_alone_is_poison(void **state)
{
    struct lab_shot shot = {.alone = true, .hold_at = 3000};
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    for (int i = 0; i < 3; i++) {
        pid_t pid = lab_bench_pid(&bench);

        shot = (struct lab_shot){.alone = true, .hold_at = 3000};
        lab_shot_start(&shot, &bench, &lab_samples.jpeg);
        lab_bench_run(&bench, lab_shot_holds, &shot);
        assert_int_equal(kill(pid, SIGKILL), 0);
        lab_bench_run(&bench, lab_shot_is_done, &shot);
        assert_int_equal(shot.status, STATUS_POISON);
        lab_shot_release(&shot);
    }
    shot = (struct lab_shot){.alone = true};
    lab_shot_run(&shot, &bench, &lab_samples.jpeg);
    lab_shot_assert_good(&shot, IMAGE_TYPE_JPEG);
    lab_shot_release(&shot);
    lab_bench_stop(&bench);
}

static void a_silent_lab_is_killed(void **state)
{
    struct lab_shot shot = {0};
    struct lab_bench bench;
    pid_t pid;

    (void)state;
    lab_bench_start(&bench, 1, 200);
    pid = lab_bench_pid(&bench);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    lab_shot_run(&shot, &bench, &lab_samples.jpeg);
    assert_int_equal(shot.status, STATUS_LAB_DIED);
    lab_shot_release(&shot);
    assert_true(lab_bench_pid(&bench) != pid);
    lab_bench_stop(&bench);
}

struct hold_up {
    struct lab_bench *bench;
    struct loop_timer timer;
    int left;
};

/* The whole machine stands still, runs for a moment, stands still again. */
static void hold_up(void *arg)
{
    struct hold_up *h = arg;

    (void)usleep(195000);
    if (--h->left > 0)
        assert_int_equal(
            loop_timer_set(h->bench->loop, &h->timer, mono_ms() + 1),
            STATUS_OK);
}

static bool is_over(void *arg)
{
    const struct hold_up *h = arg;

    return h->left == 0;
}

/* Of five times 195 ms the turns, 50 ms apart, count 250 at most. */
static void silence_of_all_is_no_stall(void **state)
{
    struct lab_shot shot = {0};
    struct lab_bench bench;
    struct hold_up h = {.bench = &bench, .left = 5};
    pid_t pid;

    (void)state;
    lab_bench_start(&bench, 1, 400);
    pid = lab_bench_pid(&bench);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    loop_timer_init(&h.timer, hold_up, &h);
    lab_shot_start(&shot, &bench, &lab_samples.jpeg);
    hold_up(&h);
    lab_bench_run(&bench, is_over, &h);
    assert_int_equal(kill(pid, SIGCONT), 0);
    lab_bench_run(&bench, lab_shot_is_done, &shot);
    lab_shot_assert_good(&shot, IMAGE_TYPE_JPEG);
    lab_shot_release(&shot);
    lab_bench_stop(&bench);
}

static void deaths_in_a_row_slow_down(void **state)
{
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    for (int i = 0; i < 2 + LAB_DEATHS_MAX; i++)
        lab_bench_kill(&bench);
    lab_bench_check(&bench, &lab_samples.png, IMAGE_TYPE_PNG, 0);
    lab_bench_stop(&bench);
}

static bool is_broken(void *arg)
{
    struct lab_bench *bench = arg;

    return bench->broken > 0;
}

static void without_keeper_the_worker_is_told(void **state)
{
    struct lab_shots batch = {.count = 6};
    struct lab_bench bench;
    pid_t pid;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    pid = lab_bench_pid(&bench);
    for (size_t i = 0; i < batch.count; i++) {
        batch.shots[i].hold_at = 3000;
        batch.shots[i].alone = i == 0;
        lab_shot_start(&batch.shots[i], &bench, &lab_samples.jpeg);
    }
    lab_bench_run(&bench, lab_shot_holds, &batch.shots[batch.count - 1]);
    assert_int_equal(kill(bench.keeper_pid, SIGKILL), 0);
    lab_bench_run(&bench, is_broken, &bench);
    for (size_t i = 0; i < batch.count; i++) {
        assert_int_equal(batch.shots[i].status, STATUS_BUSY);
        assert_int_equal(batch.shots[i].dones, 1);
    }
    assert_int_equal(lab_shot_open(&batch.shots[0]), STATUS_BUSY);
    assert_int_equal(bench.broken, 1);
    for (size_t i = 0; i < batch.count; i++)
        lab_shot_release(&batch.shots[i]);
    lab_bench_stop(&bench);
    lab_bench_assert_dies(pid);
}

/* ---- what is left behind */

static bool all_labs_are_up(void *arg)
{
    struct lab_bench *bench = arg;

    return lab_pids(bench->lab, NULL, 0) == 3;
}

static void free_leaves_no_process(void **state)
{
    struct lab_shot shot = {.hold_at = 3000};
    struct lab_bench bench;
    pid_t pids[3];

    (void)state;
    lab_bench_start(&bench, 3, 0);
    lab_bench_run(&bench, all_labs_are_up, &bench);
    assert_int_equal(lab_pids(bench.lab, pids, 3), 3);
    lab_shot_start(&shot, &bench, &lab_samples.jpeg);
    lab_bench_run(&bench, lab_shot_holds, &shot);
    lab_shot_release(&shot);
    lab_bench_stop(&bench);
    for (int i = 0; i < 3; i++)
        lab_bench_assert_dies(pids[i]);
    assert_int_equal(shot.dones, 0);
}

/* In a child: a worker that tells its pids and then hangs. */
static _Noreturn void be_a_worker(int fd)
{
    struct lab_bench bench;
    pid_t pids[2];

    lab_bench_start(&bench, 1, 0);
    pids[0] = bench.keeper_pid;
    pids[1] = lab_bench_pid(&bench);
    if (write(fd, pids, sizeof(pids)) != (ssize_t)sizeof(pids))
        _exit(1);
    for (;;)
        (void)pause();
}

static void a_killed_worker_leaves_no_process(void **state)
{
    pid_t worker, pids[2];
    int pipe_fds[2];

    (void)state;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    worker = fork();
    assert_true(worker >= 0);
    if (worker == 0)
        be_a_worker(pipe_fds[1]);
    close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], pids, sizeof(pids)), sizeof(pids));
    close(pipe_fds[0]);
    assert_false(lab_bench_is_dead(pids[0]));
    assert_false(lab_bench_is_dead(pids[1]));
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    lab_bench_assert_dies(pids[1]);
    lab_bench_assert_dies(pids[0]);
}

/* ---- what a lab is given */

static void read_proc(pid_t pid, const char *name, struct buf *out)
{
    char path[64], bytes[4096];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        assert_int_equal(buf_append(out, bytes, (size_t)n), STATUS_OK);
    close(fd);
}

static void assert_status_line(pid_t pid, const char *line)
{
    struct buf status;

    buf_init(&status, 1 << 16);
    read_proc(pid, "status", &status);
    assert_non_null(strstr(buf_str(&status), line));
    buf_release(&status);
}

/* Counts the descriptors by kind; anything else fails. */
static void count_fds(pid_t pid, int *sockets, int *nulls, int *others)
{
    char path[64], target[256];
    struct dirent *entry;
    DIR *fds;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    fds = opendir(path);
    assert_non_null(fds);
    *sockets = *nulls = *others = 0;
    while ((entry = readdir(fds)) != NULL) {
        ssize_t n =
            readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

        if (n < 0)
            continue; /* . and .. */
        target[n] = '\0';
        if (strncmp(target, "socket:", 7) == 0)
            ++*sockets;
        else if (str_eq(target, "/dev/null"))
            ++*nulls;
        else
            ++*others;
    }
    closedir(fds);
}

static void a_lab_inherits_nothing(void **state)
{
    int sockets, nulls, others, stray;
    struct buf environment;
    struct lab_bench bench;
    pid_t pid;

    (void)state;
    if (geteuid() != 0) {
        /* others may not look into a process that is not dumpable */
        (void)fprintf(stderr, "# not run: a_lab_inherits_nothing needs root\n");
        return;
    }
    assert_int_equal(setenv("LINE_CHANNEL_SECRET", "hush", 1), 0);
    stray = open("/etc/passwd", O_RDONLY); /* no close-on-exec */
    assert_true(stray >= 0);
    lab_bench_start(&bench, 1, 0);
    pid = lab_bench_pid(&bench);
    lab_bench_check(&bench, &lab_samples.png, IMAGE_TYPE_PNG, 0);

    buf_init(&environment, 1 << 16);
    read_proc(pid, "environ", &environment);
    read_proc(bench.keeper_pid, "environ", &environment);
    assert_int_equal(environment.len, 0);
    buf_release(&environment);
    count_fds(pid, &sockets, &nulls, &others);
    assert_int_equal(sockets, 1);
    if (sandbox_is_real()) {
        assert_int_equal(nulls, 2);
        assert_int_equal(others, 0);
        assert_status_line(pid, "Seccomp:\t2\n");
        assert_status_line(pid, "NoNewPrivs:\t1\n");
        assert_status_line(pid, "CapPrm:\t0000000000000000\n");
        assert_status_line(bench.keeper_pid, "Seccomp:\t2\n");
    }
    close(stray);
    lab_bench_stop(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_lab_is_replaced),
        cmocka_unit_test(who_kills_alone_is_poison),
        cmocka_unit_test(a_silent_lab_is_killed),
        cmocka_unit_test(silence_of_all_is_no_stall),
        cmocka_unit_test(deaths_in_a_row_slow_down),
        cmocka_unit_test(without_keeper_the_worker_is_told),
        cmocka_unit_test(free_leaves_no_process),
        cmocka_unit_test(a_killed_worker_leaves_no_process),
        cmocka_unit_test(a_lab_inherits_nothing),
    };

    return cmocka_run_group_tests_name("lab_death", tests, lab_bench_set_up,
                                       lab_bench_tear_down);
}
