/*
 * test_lab.c: worker, keeper and labs end to end, with the real program and
 * real pictures: what comes out, what is refused, who waits for whom.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/lab_bench.h"
#include "../helper/picture.h"

#include <cmocka.h>

/* ---- pictures */

static void pictures_become_png(void **state)
{
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    lab_bench_check(&bench, &lab_samples.jpeg, IMAGE_TYPE_JPEG, 0);
    lab_bench_check(&bench, &lab_samples.png, IMAGE_TYPE_PNG, 0);
    lab_bench_check(&bench, &lab_samples.large_jpeg, IMAGE_TYPE_JPEG, 0);
    lab_bench_stop(&bench);
}

static void any_split_will_do(void **state)
{
    static const size_t steps[] = {1, 2, 7, 1000, 100 * 1024};
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        lab_bench_check(&bench, &lab_samples.jpeg, IMAGE_TYPE_JPEG, steps[i]);
        lab_bench_check(&bench, &lab_samples.png, IMAGE_TYPE_PNG, steps[i]);
    }
    lab_bench_stop(&bench);
}

static void many_at_once(void **state)
{
    struct lab_shots batch = {.count = LAB_SHOTS_MAX};
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 2, 0);
    for (size_t i = 0; i < batch.count; i++) {
        batch.shots[i].step = 1 + 997 * (i % 5);
        lab_shot_start(&batch.shots[i], &bench,
                       i % 2 == 0 ? &lab_samples.jpeg : &lab_samples.png);
    }
    assert_true(lab_waiting(bench.lab) > 0);
    lab_bench_run(&bench, lab_shots_are_done, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        lab_shot_assert_good(&batch.shots[i],
                             i % 2 == 0 ? IMAGE_TYPE_JPEG : IMAGE_TYPE_PNG);
        lab_shot_release(&batch.shots[i]);
    }
    assert_int_equal(lab_waiting(bench.lab), 0);
    lab_bench_stop(&bench);
}

static void bad_pictures_have_their_status(void **state)
{
    struct buf empty, cut, huge;
    struct lab_bench bench;

    (void)state;
    buf_init(&empty, 16);
    buf_init(&cut, 1 << 20);
    buf_init(&huge, 1 << 20);
    assert_int_equal(
        buf_append(&cut, lab_samples.png.data, lab_samples.png.len / 2),
        STATUS_OK);
    picture_png_head(&huge, 60000, 60000);
    lab_bench_start(&bench, 1, 0);
    lab_shot_expect(&bench, &lab_samples.text, STATUS_NOT_AN_IMAGE);
    lab_shot_expect(&bench, &empty, STATUS_EMPTY);
    lab_shot_expect(&bench, &huge, STATUS_IMAGE_TOO_MANY_PIXELS);
    lab_shot_expect(&bench, &cut, STATUS_IMAGE_TRUNCATED);
    lab_bench_check(&bench, &lab_samples.png, IMAGE_TYPE_PNG, 0);
    lab_bench_stop(&bench);
    buf_release(&cut);
    buf_release(&huge);
}

/* Noise is denser than predicted: the files are begun anew inside the jail. */
static void outputs_are_begun_anew(void **state)
{
    struct transcode_options options;
    struct lab_shot shot = {.limits = &options};
    struct lab_bench bench;
    struct buf noise;

    (void)state;
    transcode_options_default(&options);
    options.mode = TRANSCODE_MAX;
    options.original_max_bytes = 300000;
    options.preview_max_bytes = 20000;
    buf_init(&noise, 1 << 24);
    picture_make_jpeg(&noise, 600, 400, false);
    options.input_bytes_hint = noise.len / 4; /* makes the guess too high */
    lab_bench_start(&bench, 1, 0);
    lab_shot_run(&shot, &bench, &noise);
    assert_int_equal(shot.status, STATUS_TOO_LARGE);
    lab_shot_release(&shot);
    shot = (struct lab_shot){.limits = &options};
    options.input_bytes_hint = noise.len;
    lab_shot_run(&shot, &bench, &noise);
    lab_shot_assert_good(&shot, IMAGE_TYPE_JPEG);
    assert_true(shot.report.decodes > 1);
    lab_shot_release(&shot);
    lab_bench_stop(&bench);
    buf_release(&noise);
}

static void a_full_disk_is_told(void **state)
{
    struct lab_shot shot = {.output = "/dev/full"};
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    lab_shot_run(&shot, &bench, &lab_samples.jpeg);
    assert_int_equal(shot.status, STATUS_NO_SPACE);
    lab_shot_release(&shot);
    lab_bench_stop(&bench);
}

/* ---- contract of the calls */

static void never_called(void *arg, enum status status,
                         const struct transcode_report *report)
{
    (void)arg;
    (void)report;
    fail_msg("%s", status_name(status));
}

static void misuse_is_refused(void **state)
{
    struct lab_request request = {0};
    struct lab_shot shot = {.hold_at = 1};
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    lab_shot_start(&shot, &bench, &lab_samples.jpeg);
    assert_int_equal(
        lab_stream_write(shot.stream, "", IMAGE_INPUT_MAX_BYTES + 1),
        STATUS_TOO_LARGE);
    assert_int_equal(lab_stream_end(shot.stream), STATUS_OK);
    assert_int_equal(lab_stream_end(shot.stream), STATUS_BUG);
    assert_int_equal(lab_stream_write(shot.stream, "x", 1), STATUS_BUG);
    assert_int_equal(shot.dones, 0); /* never from inside a call */
    lab_stream_abort(shot.stream);

    request.on_done = never_called;
    assert_int_equal(lab_stream_open(bench.lab, &request, &shot.stream),
                     STATUS_BUG); /* no limits */
    transcode_options_default(&request.limits);
    request.limits.original_max_bytes = ORIGINAL_MAX_BYTES + 1;
    assert_int_equal(lab_stream_open(bench.lab, &request, &shot.stream),
                     STATUS_BUG);
    transcode_options_default(&request.limits);
    request.original_fd = request.preview_fd = -1;
    assert_int_equal(lab_stream_open(bench.lab, &request, &shot.stream),
                     STATUS_IO);
    lab_shot_release(&shot);
    lab_bench_stop(&bench);
}

static void no_program_no_keeper(void **state)
{
    struct lab_keeper keeper;

    (void)state;
    assert_int_equal(lab_keeper_spawn("/nowhere/darkroom-lab", &keeper),
                     STATUS_NOT_FOUND);
    assert_int_equal(keeper.fd, -1);
    lab_keeper_end(&keeper);
    assert_int_equal(lab_keeper_spawn(lab_samples.program, &keeper), STATUS_OK);
    lab_keeper_end(&keeper);
    assert_int_equal(keeper.fd, -1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void aborted_streams_say_nothing(void **state)
{
    struct lab_shots batch = {.count = 12};
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < batch.count; i++) {
            batch.shots[i] = (struct lab_shot){.hold_at = 5000};
            lab_shot_start(&batch.shots[i], &bench, &lab_samples.jpeg);
        }
        lab_bench_run(&bench, lab_shot_holds, &batch.shots[batch.count - 1]);
        for (size_t i = 0; i < batch.count; i++) {
            assert_int_equal(batch.shots[i].dones, 0);
            lab_stream_abort(batch.shots[i].stream);
            lab_shot_release(&batch.shots[i]);
        }
    }
    lab_stream_abort(NULL);
    lab_bench_check(&bench, &lab_samples.jpeg, IMAGE_TYPE_JPEG, 0);
    for (size_t i = 0; i < batch.count; i++)
        assert_int_equal(batch.shots[i].dones, 0);
    lab_bench_stop(&bench);
}

/* ---- flow */

/* Transfers that trickle have all places but the last; it serves the rest. */
static void slow_transfers_shut_nobody_out(void **state)
{
    struct lab_shots slow = {.count = 10};
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    for (size_t i = 0; i < slow.count; i++) {
        slow.shots[i].hold_at = 2000;
        lab_shot_start(&slow.shots[i], &bench, &lab_samples.jpeg);
    }
    lab_bench_run(&bench, lab_shot_holds, &slow.shots[slow.count - 1]);
    lab_bench_check(&bench, &lab_samples.large_jpeg, IMAGE_TYPE_JPEG, 0);
    lab_bench_check(&bench, &lab_samples.png, IMAGE_TYPE_PNG, 0);
    for (size_t i = 0; i < slow.count; i++) {
        slow.shots[i].hold_at = 0;
        lab_shot_feed(&slow.shots[i]);
    }
    lab_bench_run(&bench, lab_shots_are_done, &slow);
    for (size_t i = 0; i < slow.count; i++) {
        lab_shot_assert_good(&slow.shots[i], IMAGE_TYPE_JPEG);
        lab_shot_release(&slow.shots[i]);
    }
    lab_bench_stop(&bench);
}

static void busy_until_there_is_room(void **state)
{
    struct lab_shot shot = {0};
    struct lab_bench bench;
    pid_t pid;

    (void)state;
    assert_true(lab_samples.large_jpeg.len >
                2 * LAB_WINDOW_BYTES + SPILL_MEMORY_BYTES);
    lab_bench_start(&bench, 1, 0);
    pid = lab_bench_pid(&bench);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    lab_shot_start(&shot, &bench, &lab_samples.large_jpeg);
    lab_bench_run(&bench, lab_shot_is_paused, &shot);
    assert_true(shot.sent >= LAB_WINDOW_BYTES);
    assert_true(shot.sent <= LAB_WINDOW_BYTES + SPILL_MEMORY_BYTES);
    assert_int_equal(shot.rooms, 0);
    assert_int_equal(kill(pid, SIGCONT), 0);
    lab_bench_run(&bench, lab_shot_is_done, &shot);
    assert_true(shot.rooms > 0);
    lab_shot_assert_good(&shot, IMAGE_TYPE_JPEG);
    lab_shot_release(&shot);
    lab_bench_stop(&bench);
}

/* A picture that waits is taken in as a whole, whatever the labs do. */
static void waiting_pictures_spill(void **state)
{
    struct lab_shots batch = {.count = 6};
    struct lab_bench bench;
    pid_t pid;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    pid = lab_bench_pid(&bench);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    for (size_t i = 0; i < batch.count; i++)
        lab_shot_start(&batch.shots[i], &bench, &lab_samples.large_jpeg);
    lab_bench_run(&bench, lab_shot_is_sent, &batch.shots[batch.count - 1]);
    assert_true(batch.shots[0].paused);
    assert_int_equal(kill(pid, SIGCONT), 0);
    lab_bench_run(&bench, lab_shots_are_done, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        lab_shot_assert_good(&batch.shots[i], IMAGE_TYPE_JPEG);
        lab_shot_release(&batch.shots[i]);
    }
    lab_bench_stop(&bench);
}

#define TIGHT_BYTES (100 * 1024)

/* Three trickle into the lab, which is stopped, and the fourth has its last
 * place as soon as it is whole. The fifth is the oldest that waits. */
static bool all_but_the_oldest_are_paused(void *arg)
{
    struct lab_shots *batch = arg;

    return batch->shots[3].ended && batch->shots[4].ended &&
           batch->shots[5].paused && batch->shots[6].paused;
}

static void start_seven(struct lab_bench *bench, struct lab_shots *batch)
{
    pid_t pid;

    lab_bench_start_tight(bench, TIGHT_BYTES);
    pid = lab_bench_pid(bench);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    for (size_t i = 0; i < batch->count; i++)
        lab_shot_start(&batch->shots[i], bench, &lab_samples.large_jpeg);
    lab_bench_run(bench, all_but_the_oldest_are_paused, batch);
    assert_true(lab_held_bytes(bench->lab) <=
                TIGHT_BYTES + 2 * lab_samples.large_jpeg.len +
                    3 * (size_t)SPILL_MEMORY_BYTES);
}

/* Together they may not hold more than the ceiling, but the oldest goes on, and
 * so do all others in their turn. */
static void what_waits_has_a_ceiling(void **state)
{
    struct lab_shots batch = {.count = 7};
    struct lab_bench bench;

    (void)state;
    start_seven(&bench, &batch);
    assert_int_equal(kill(lab_bench_pid(&bench), SIGCONT), 0);
    lab_bench_run(&bench, lab_shots_are_done, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        lab_shot_assert_good(&batch.shots[i], IMAGE_TYPE_JPEG);
        assert_true(i < 5 || batch.shots[i].rooms > 0);
        lab_shot_release(&batch.shots[i]);
    }
    assert_int_equal(lab_held_bytes(bench.lab), 0);
    lab_bench_stop(&bench);
}

static void the_next_becomes_the_oldest(void **state)
{
    struct lab_shots batch = {.count = 7};
    struct lab_bench bench;

    (void)state;
    start_seven(&bench, &batch);
    lab_stream_abort(batch.shots[4].stream);
    lab_bench_run(&bench, lab_shot_is_sent, &batch.shots[5]);
    lab_stream_abort(batch.shots[5].stream);
    lab_bench_run(&bench, lab_shot_is_sent, &batch.shots[6]);
    for (size_t i = 0; i < batch.count; i++) {
        if (i != 4 && i != 5)
            lab_stream_abort(batch.shots[i].stream);
        lab_shot_release(&batch.shots[i]);
    }
    assert_int_equal(lab_held_bytes(bench.lab), 0);
    lab_bench_stop(&bench);
}

/* It starts when the others have ended, and those that come later wait. */
static void alone_means_alone(void **state)
{
    struct lab_shot before = {.hold_at = 3000}, alone = {.alone = true};
    struct lab_shot after = {0};
    struct lab_bench bench;

    (void)state;
    lab_bench_start(&bench, 1, 0);
    (void)lab_bench_pid(&bench);
    lab_shot_start(&before, &bench, &lab_samples.jpeg);
    lab_bench_run(&bench, lab_shot_holds, &before);
    lab_shot_start(&alone, &bench, &lab_samples.jpeg);
    lab_shot_start(&after, &bench, &lab_samples.jpeg);
    lab_bench_run(&bench, lab_shot_is_sent, &after);
    assert_int_equal(lab_waiting(bench.lab), 2);
    assert_int_equal(after.dones, 0);
    before.hold_at = 0;
    lab_shot_feed(&before);
    lab_bench_run(&bench, lab_shot_is_done, &after);
    assert_int_equal(alone.dones, 1);
    lab_shot_assert_good(&before, IMAGE_TYPE_JPEG);
    lab_shot_assert_good(&alone, IMAGE_TYPE_JPEG);
    lab_shot_assert_good(&after, IMAGE_TYPE_JPEG);
    lab_shot_release(&before);
    lab_shot_release(&alone);
    lab_shot_release(&after);
    lab_bench_stop(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_become_png),
        cmocka_unit_test(any_split_will_do),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(bad_pictures_have_their_status),
        cmocka_unit_test(outputs_are_begun_anew),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(no_program_no_keeper),
        cmocka_unit_test(aborted_streams_say_nothing),
        cmocka_unit_test(slow_transfers_shut_nobody_out),
        cmocka_unit_test(busy_until_there_is_room),
        cmocka_unit_test(waiting_pictures_spill),
        cmocka_unit_test(what_waits_has_a_ceiling),
        cmocka_unit_test(the_next_becomes_the_oldest),
        cmocka_unit_test(alone_means_alone),
    };

    return cmocka_run_group_tests_name("lab", tests, lab_bench_set_up,
                                       lab_bench_tear_down);
}
