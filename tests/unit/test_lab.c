/*
 * test_lab.c: worker, keeper and labs end to end, with the real program, real
 * pictures and real accidents.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/picture.h"
#include "lab.h"
#include "sandbox.h"

#include <cmocka.h>

#define GUARD_MS 120000 /* a test that hangs fails */
#define TICK_BYTES (16 * 1024)
#define SHOTS_MAX 24

struct bench {
    struct loop *loop;
    struct lab *lab;
    pid_t keeper_pid, killed_pid;
    int broken;
    struct loop_timer poll;
    int64_t guard_ms;
    bool (*until)(void *arg);
    void *until_arg;
};

/* One picture on its way through a lab. */
struct shot {
    struct bench *bench;
    const struct buf *input;
    size_t step;    /* bytes per write; 0: all that a tick allows */
    size_t hold_at; /* stays unfinished after so many bytes; 0: does not */
    bool alone;
    struct lab_stream *stream;
    struct loop_timer feed;
    size_t sent;
    bool ended, paused;
    int heads, rooms, dones;
    enum status status;
    struct transcode_report head, report;
    int original_fd, preview_fd;
};

static char dir[64];
static char lab_program[512];
static struct buf jpeg, large_jpeg, png, text;

/* ---- files */

static int temp_file(void)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static size_t file_bytes(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return (size_t)st.st_size;
}

static void read_file(int fd, struct buf *out)
{
    char bytes[4096];
    off_t at = 0;
    ssize_t n;

    buf_init(out, ORIGINAL_MAX_BYTES);
    while ((n = pread(fd, bytes, sizeof(bytes), at)) > 0) {
        assert_int_equal(buf_append(out, bytes, (size_t)n), STATUS_OK);
        at += n;
    }
    assert_int_equal(n, 0);
}

static void assert_png(int fd, uint32_t width_px, uint32_t height_px)
{
    struct picture picture;
    struct buf file;

    read_file(fd, &file);
    picture_from_png(&picture, &file);
    assert_int_equal(picture.width_px, width_px);
    assert_int_equal(picture.height_px, height_px);
    picture_release(&picture);
    buf_release(&file);
}

/* ---- bench */

static void on_poll(void *arg)
{
    struct bench *bench = arg;

    if (bench->until(bench->until_arg) || mono_ms() > bench->guard_ms) {
        loop_stop(bench->loop);
        return;
    }
    assert_int_equal(loop_timer_set(bench->loop, &bench->poll, mono_ms() + 1),
                     STATUS_OK);
}

static void run_until(struct bench *bench, bool (*until)(void *arg), void *arg)
{
    bench->until = until;
    bench->until_arg = arg;
    bench->guard_ms = mono_ms() + GUARD_MS;
    assert_int_equal(loop_timer_set(bench->loop, &bench->poll, mono_ms()),
                     STATUS_OK);
    assert_int_equal(loop_run(bench->loop), STATUS_OK);
    loop_timer_cancel(bench->loop, &bench->poll);
    assert_true(until(arg));
}

static void on_broken(void *arg)
{
    struct bench *bench = arg;

    bench->broken++;
}

static bool labs_are_up(void *arg)
{
    struct bench *bench = arg;

    return lab_pids(bench->lab, NULL, 0) > 0;
}

static pid_t first_pid(struct bench *bench)
{
    pid_t pid = 0;

    run_until(bench, labs_are_up, bench);
    (void)lab_pids(bench->lab, &pid, 1);
    assert_true(pid > 1);
    return pid;
}

static bool has_new_lab(void *arg)
{
    struct bench *bench = arg;
    pid_t pid = 0;

    return lab_pids(bench->lab, &pid, 1) > 0 && pid != bench->killed_pid;
}

/* Ends the only lab and waits for the next. */
static void kill_lab(struct bench *bench)
{
    bench->killed_pid = first_pid(bench);
    assert_int_equal(kill(bench->killed_pid, SIGKILL), 0);
    run_until(bench, has_new_lab, bench);
}

static void bench_start(struct bench *bench, size_t labs, int64_t stall_ms)
{
    struct lab_options options = {
        .labs = labs,
        .spill_dir = dir,
        .stall_ms = stall_ms,
        .arg = bench,
        .on_broken = on_broken,
    };

    *bench = (struct bench){0};
    loop_timer_init(&bench->poll, on_poll, bench);
    assert_int_equal(lab_keeper_spawn(lab_program, &options.keeper), STATUS_OK);
    bench->keeper_pid = options.keeper.pid;
    assert_int_equal(loop_new(&bench->loop), STATUS_OK);
    assert_int_equal(lab_new(&bench->lab, bench->loop, &options), STATUS_OK);
}

static bool is_dead(pid_t pid)
{
    char path[64], line[256], state_letter = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return true;
    if (fgets(line, sizeof(line), file) != NULL && strrchr(line, ')') != NULL)
        state_letter = strrchr(line, ')')[2];
    (void)fclose(file);
    return state_letter == 'Z' || state_letter == 'X';
}

static void assert_dies(pid_t pid)
{
    int64_t until_ms = mono_ms() + GUARD_MS;

    while (!is_dead(pid) && mono_ms() < until_ms)
        (void)usleep(1000);
    assert_true(is_dead(pid));
}

static void assert_gone(pid_t pid)
{
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void bench_stop(struct bench *bench)
{
    lab_free(bench->lab);
    assert_gone(bench->keeper_pid);
    loop_free(bench->loop);
}

/* ---- shots */

static void on_head(void *arg, const struct transcode_report *report)
{
    struct shot *shot = arg;

    shot->heads++;
    shot->head = *report;
    assert_int_equal(shot->dones, 0);
}

static void feed_soon(struct shot *shot)
{
    assert_int_equal(loop_timer_set(shot->bench->loop, &shot->feed,
                                    loop_now_ms(shot->bench->loop) + 1),
                     STATUS_OK);
}

static void on_room(void *arg)
{
    struct shot *shot = arg;

    assert_true(shot->paused);
    shot->paused = false;
    shot->rooms++;
    feed_soon(shot);
}

static void on_done(void *arg, enum status status,
                    const struct transcode_report *report)
{
    struct shot *shot = arg;

    shot->dones++;
    shot->status = status;
    shot->report = *report;
    shot->stream = NULL;
    loop_timer_cancel(shot->bench->loop, &shot->feed);
}

/* One write; true while there is more to do at once. */
static bool feed_step(struct shot *shot)
{
    size_t until = shot->hold_at > 0 ? shot->hold_at : shot->input->len;
    size_t len =
        size_min(shot->step > 0 ? shot->step : TICK_BYTES, until - shot->sent);
    enum status status;

    if (len == 0)
        return false;
    status =
        lab_stream_write(shot->stream, shot->input->data + shot->sent, len);
    if (status == STATUS_BUSY) {
        shot->paused = true;
        return false;
    }
    assert_int_equal(status, STATUS_OK);
    shot->sent += len;
    return true;
}

static void on_feed(void *arg)
{
    struct shot *shot = arg;
    size_t stop_at = shot->sent + TICK_BYTES;

    while (shot->sent < stop_at && feed_step(shot))
        continue;
    if (shot->paused)
        return;
    if (shot->sent == shot->input->len) {
        shot->ended = true;
        assert_int_equal(lab_stream_end(shot->stream), STATUS_OK);
    } else if (shot->sent != shot->hold_at) {
        feed_soon(shot);
    }
}

static enum status shot_open(struct shot *shot)
{
    struct lab_request request = {
        .original_fd = shot->original_fd,
        .preview_fd = shot->preview_fd,
        .alone = shot->alone,
        .arg = shot,
        .on_head = on_head,
        .on_room = on_room,
        .on_done = on_done,
    };

    transcode_options_default(&request.limits);
    return lab_stream_open(shot->bench->lab, &request, &shot->stream);
}

static void shot_start(struct shot *shot, struct bench *bench,
                       const struct buf *input)
{
    shot->bench = bench;
    shot->input = input;
    shot->original_fd = temp_file();
    shot->preview_fd = temp_file();
    loop_timer_init(&shot->feed, on_feed, shot);
    assert_int_equal(shot_open(shot), STATUS_OK);
    feed_soon(shot);
}

static void shot_release(struct shot *shot)
{
    loop_timer_cancel(shot->bench->loop, &shot->feed);
    close(shot->original_fd);
    close(shot->preview_fd);
}

static bool shot_is_done(void *arg)
{
    struct shot *shot = arg;

    return shot->dones > 0;
}

/* Held: all it may send has been sent. */
static bool shot_holds(void *arg)
{
    struct shot *shot = arg;

    return shot->sent == shot->hold_at;
}

static bool shot_is_paused(void *arg)
{
    struct shot *shot = arg;

    return shot->paused;
}

static void shot_run(struct shot *shot, struct bench *bench,
                     const struct buf *input)
{
    shot_start(shot, bench, input);
    run_until(bench, shot_is_done, shot);
}

static void shot_expect(struct bench *bench, const struct buf *input,
                        enum status status)
{
    struct shot shot = {0};

    shot_run(&shot, bench, input);
    assert_int_equal(shot.status, status);
    assert_int_equal(shot.dones, 1);
    shot_release(&shot);
}

/* ---- pictures */

static void assert_good(const struct shot *shot, enum image_type type)
{
    const struct transcode_report *report = &shot->report;

    assert_int_equal(shot->status, STATUS_OK);
    assert_int_equal(shot->dones, 1);
    assert_int_equal(shot->heads, 1);
    assert_int_equal(shot->head.source_type, type);
    assert_int_equal(shot->head.source_width_px, report->source_width_px);
    assert_int_equal(report->input_bytes, shot->input->len);
    assert_int_equal(file_bytes(shot->original_fd), report->original_bytes);
    assert_png(shot->original_fd, report->original_width_px,
               report->original_height_px);
    if (report->preview_is_original)
        assert_int_equal(file_bytes(shot->preview_fd), 0);
    else
        assert_png(shot->preview_fd, report->preview_width_px,
                   report->preview_height_px);
}

static void check_picture(struct bench *bench, const struct buf *input,
                          enum image_type type, size_t step)
{
    struct shot shot = {.step = step};

    shot_run(&shot, bench, input);
    assert_good(&shot, type);
    shot_release(&shot);
}

static void pictures_become_png(void **state)
{
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    check_picture(&bench, &jpeg, IMAGE_TYPE_JPEG, 0);
    check_picture(&bench, &png, IMAGE_TYPE_PNG, 0);
    check_picture(&bench, &large_jpeg, IMAGE_TYPE_JPEG, 0);
    bench_stop(&bench);
}

static void any_split_will_do(void **state)
{
    static const size_t steps[] = {1, 2, 7, 1000, 100 * 1024};
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        check_picture(&bench, &jpeg, IMAGE_TYPE_JPEG, steps[i]);
        check_picture(&bench, &png, IMAGE_TYPE_PNG, steps[i]);
    }
    bench_stop(&bench);
}

struct batch {
    struct shot shots[SHOTS_MAX];
    size_t count;
};

static bool batch_is_done(void *arg)
{
    struct batch *batch = arg;

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->shots[i].dones == 0)
            return false;
    }
    return true;
}

static void many_at_once(void **state)
{
    struct batch batch = {.count = SHOTS_MAX};
    struct bench bench;

    (void)state;
    bench_start(&bench, 2, 0);
    for (size_t i = 0; i < batch.count; i++) {
        batch.shots[i].step = 1 + 997 * (i % 5);
        shot_start(&batch.shots[i], &bench, i % 2 == 0 ? &jpeg : &png);
    }
    assert_true(lab_waiting(bench.lab) > 0);
    run_until(&bench, batch_is_done, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        assert_good(&batch.shots[i],
                    i % 2 == 0 ? IMAGE_TYPE_JPEG : IMAGE_TYPE_PNG);
        shot_release(&batch.shots[i]);
    }
    assert_int_equal(lab_waiting(bench.lab), 0);
    bench_stop(&bench);
}

static void bad_pictures_have_their_status(void **state)
{
    struct buf empty, cut, huge;
    struct bench bench;

    (void)state;
    buf_init(&empty, 16);
    buf_init(&cut, 1 << 20);
    buf_init(&huge, 1 << 20);
    assert_int_equal(buf_append(&cut, png.data, png.len / 2), STATUS_OK);
    picture_png_head(&huge, 60000, 60000);
    bench_start(&bench, 1, 0);
    shot_expect(&bench, &text, STATUS_NOT_AN_IMAGE);
    shot_expect(&bench, &empty, STATUS_EMPTY);
    shot_expect(&bench, &huge, STATUS_IMAGE_TOO_MANY_PIXELS);
    shot_expect(&bench, &cut, STATUS_IMAGE_TRUNCATED);
    check_picture(&bench, &png, IMAGE_TYPE_PNG, 0);
    bench_stop(&bench);
    buf_release(&cut);
    buf_release(&huge);
}

static void a_full_disk_is_told(void **state)
{
    struct shot shot = {0};
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    shot.bench = &bench;
    shot.input = &jpeg;
    shot.original_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    shot.preview_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(shot.original_fd >= 0 && shot.preview_fd >= 0);
    loop_timer_init(&shot.feed, on_feed, &shot);
    assert_int_equal(shot_open(&shot), STATUS_OK);
    feed_soon(&shot);
    run_until(&bench, shot_is_done, &shot);
    assert_int_equal(shot.status, STATUS_NO_SPACE);
    shot_release(&shot);
    bench_stop(&bench);
}

/* ---- contract of the calls */

static void misuse_is_refused(void **state)
{
    struct lab_request request = {0};
    struct shot shot = {.hold_at = 1};
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    shot_start(&shot, &bench, &jpeg);
    assert_int_equal(
        lab_stream_write(shot.stream, "", IMAGE_INPUT_MAX_BYTES + 1),
        STATUS_TOO_LARGE);
    assert_int_equal(lab_stream_end(shot.stream), STATUS_OK);
    assert_int_equal(lab_stream_end(shot.stream), STATUS_BUG);
    assert_int_equal(lab_stream_write(shot.stream, "x", 1), STATUS_BUG);
    assert_int_equal(shot.dones, 0); /* never from inside a call */
    lab_stream_abort(shot.stream);

    request.on_done = on_done;
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
    shot_release(&shot);
    bench_stop(&bench);
}

static void no_program_no_keeper(void **state)
{
    struct lab_keeper keeper;

    (void)state;
    assert_int_equal(lab_keeper_spawn("/nowhere/darkroom-lab", &keeper),
                     STATUS_NOT_FOUND);
    assert_int_equal(keeper.fd, -1);
    lab_keeper_end(&keeper);
    assert_int_equal(lab_keeper_spawn(lab_program, &keeper), STATUS_OK);
    lab_keeper_end(&keeper);
    assert_int_equal(keeper.fd, -1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void aborted_streams_say_nothing(void **state)
{
    struct batch batch = {.count = 12};
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < batch.count; i++) {
            batch.shots[i] = (struct shot){.hold_at = 5000};
            shot_start(&batch.shots[i], &bench, &jpeg);
        }
        run_until(&bench, shot_holds, &batch.shots[batch.count - 1]);
        for (size_t i = 0; i < batch.count; i++) {
            assert_int_equal(batch.shots[i].dones, 0);
            lab_stream_abort(batch.shots[i].stream);
            shot_release(&batch.shots[i]);
        }
    }
    lab_stream_abort(NULL);
    check_picture(&bench, &jpeg, IMAGE_TYPE_JPEG, 0);
    for (size_t i = 0; i < batch.count; i++)
        assert_int_equal(batch.shots[i].dones, 0);
    bench_stop(&bench);
}

/* ---- flow */

/* Transfers that trickle have all places but the last; it serves the rest. */
static void slow_transfers_shut_nobody_out(void **state)
{
    struct batch slow = {.count = 10};
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    for (size_t i = 0; i < slow.count; i++) {
        slow.shots[i].hold_at = 2000;
        shot_start(&slow.shots[i], &bench, &jpeg);
    }
    run_until(&bench, shot_holds, &slow.shots[slow.count - 1]);
    check_picture(&bench, &large_jpeg, IMAGE_TYPE_JPEG, 0);
    check_picture(&bench, &png, IMAGE_TYPE_PNG, 0);
    for (size_t i = 0; i < slow.count; i++) {
        slow.shots[i].hold_at = 0;
        feed_soon(&slow.shots[i]);
    }
    run_until(&bench, batch_is_done, &slow);
    for (size_t i = 0; i < slow.count; i++) {
        assert_good(&slow.shots[i], IMAGE_TYPE_JPEG);
        shot_release(&slow.shots[i]);
    }
    bench_stop(&bench);
}

static void busy_until_there_is_room(void **state)
{
    struct shot shot = {0};
    struct bench bench;
    pid_t pid;

    (void)state;
    assert_true(large_jpeg.len > 2 * LAB_WINDOW_BYTES + SPILL_MEMORY_BYTES);
    bench_start(&bench, 1, 0);
    pid = first_pid(&bench);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    shot_start(&shot, &bench, &large_jpeg);
    run_until(&bench, shot_is_paused, &shot);
    assert_true(shot.sent >= LAB_WINDOW_BYTES);
    assert_true(shot.sent <= LAB_WINDOW_BYTES + SPILL_MEMORY_BYTES);
    assert_int_equal(shot.rooms, 0);
    assert_int_equal(kill(pid, SIGCONT), 0);
    run_until(&bench, shot_is_done, &shot);
    assert_true(shot.rooms > 0);
    assert_good(&shot, IMAGE_TYPE_JPEG);
    shot_release(&shot);
    bench_stop(&bench);
}

static bool is_sent(void *arg)
{
    struct shot *shot = arg;

    return shot->ended;
}

/* A picture that waits is taken in as a whole, whatever the labs do. */
static void waiting_pictures_spill(void **state)
{
    struct batch batch = {.count = 6};
    struct bench bench;
    pid_t pid;

    (void)state;
    bench_start(&bench, 1, 0);
    pid = first_pid(&bench);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    for (size_t i = 0; i < batch.count; i++)
        shot_start(&batch.shots[i], &bench, &large_jpeg);
    run_until(&bench, is_sent, &batch.shots[batch.count - 1]);
    assert_true(batch.shots[0].paused);
    assert_int_equal(kill(pid, SIGCONT), 0);
    run_until(&bench, batch_is_done, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        assert_good(&batch.shots[i], IMAGE_TYPE_JPEG);
        shot_release(&batch.shots[i]);
    }
    bench_stop(&bench);
}

/* ---- accidents */

static void a_dead_lab_is_replaced(void **state)
{
    struct batch batch = {.count = 5}; /* 3 in the lab, 2 wait */
    struct bench bench;
    pid_t pid;

    (void)state;
    bench_start(&bench, 1, 0);
    pid = first_pid(&bench);
    for (size_t i = 0; i < batch.count; i++) {
        batch.shots[i].hold_at = 3000;
        shot_start(&batch.shots[i], &bench, &jpeg);
    }
    run_until(&bench, shot_holds, &batch.shots[batch.count - 1]);
    assert_int_equal(kill(pid, SIGKILL), 0);
    for (size_t i = 3; i < batch.count; i++)
        batch.shots[i].hold_at = 0;
    feed_soon(&batch.shots[3]);
    feed_soon(&batch.shots[4]);
    run_until(&bench, batch_is_done, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        assert_int_equal(batch.shots[i].dones, 1);
        assert_int_equal(batch.shots[i].status,
                         i < 3 ? STATUS_LAB_DIED : STATUS_OK);
        shot_release(&batch.shots[i]);
    }
    assert_true(first_pid(&bench) != pid);
    assert_int_equal(bench.broken, 0);
    bench_stop(&bench);
}

static void who_kills_alone_is_poison(void **state)
{
    struct shot shot = {.alone = true, .hold_at = 3000};
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    for (int i = 0; i < 3; i++) {
        pid_t pid = first_pid(&bench);

        shot = (struct shot){.alone = true, .hold_at = 3000};
        shot_start(&shot, &bench, &jpeg);
        run_until(&bench, shot_holds, &shot);
        assert_int_equal(kill(pid, SIGKILL), 0);
        run_until(&bench, shot_is_done, &shot);
        assert_int_equal(shot.status, STATUS_POISON);
        shot_release(&shot);
    }
    shot = (struct shot){.alone = true};
    shot_run(&shot, &bench, &jpeg);
    assert_good(&shot, IMAGE_TYPE_JPEG);
    shot_release(&shot);
    bench_stop(&bench);
}

/* It starts when the others have ended, and those that come later wait. */
static void alone_means_alone(void **state)
{
    struct shot before = {.hold_at = 3000}, alone = {.alone = true};
    struct shot after = {0};
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    (void)first_pid(&bench);
    shot_start(&before, &bench, &jpeg);
    run_until(&bench, shot_holds, &before);
    shot_start(&alone, &bench, &jpeg);
    shot_start(&after, &bench, &jpeg);
    run_until(&bench, is_sent, &after);
    assert_int_equal(lab_waiting(bench.lab), 2);
    assert_int_equal(after.dones, 0);
    before.hold_at = 0;
    feed_soon(&before);
    run_until(&bench, shot_is_done, &after);
    assert_int_equal(alone.dones, 1);
    assert_good(&before, IMAGE_TYPE_JPEG);
    assert_good(&alone, IMAGE_TYPE_JPEG);
    assert_good(&after, IMAGE_TYPE_JPEG);
    shot_release(&before);
    shot_release(&alone);
    shot_release(&after);
    bench_stop(&bench);
}

static void a_silent_lab_is_killed(void **state)
{
    struct shot shot = {0};
    struct bench bench;
    pid_t pid;

    (void)state;
    bench_start(&bench, 1, 200);
    pid = first_pid(&bench);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    shot_run(&shot, &bench, &jpeg);
    assert_int_equal(shot.status, STATUS_LAB_DIED);
    shot_release(&shot);
    assert_true(first_pid(&bench) != pid);
    bench_stop(&bench);
}

static void deaths_in_a_row_slow_down(void **state)
{
    struct bench bench;

    (void)state;
    bench_start(&bench, 1, 0);
    for (int i = 0; i < 2 + LAB_DEATHS_MAX; i++)
        kill_lab(&bench);
    check_picture(&bench, &png, IMAGE_TYPE_PNG, 0);
    bench_stop(&bench);
}

static bool is_broken(void *arg)
{
    struct bench *bench = arg;

    return bench->broken > 0;
}

static void without_keeper_the_worker_is_told(void **state)
{
    struct batch batch = {.count = 6};
    struct bench bench;
    pid_t pid;

    (void)state;
    bench_start(&bench, 1, 0);
    pid = first_pid(&bench);
    for (size_t i = 0; i < batch.count; i++) {
        batch.shots[i].hold_at = 3000;
        batch.shots[i].alone = i == 0;
        shot_start(&batch.shots[i], &bench, &jpeg);
    }
    run_until(&bench, shot_holds, &batch.shots[batch.count - 1]);
    assert_int_equal(kill(bench.keeper_pid, SIGKILL), 0);
    run_until(&bench, is_broken, &bench);
    for (size_t i = 0; i < batch.count; i++) {
        assert_int_equal(batch.shots[i].status, STATUS_LAB_DIED);
        assert_int_equal(batch.shots[i].dones, 1);
    }
    assert_int_equal(shot_open(&batch.shots[0]), STATUS_BUSY);
    assert_int_equal(bench.broken, 1);
    for (size_t i = 0; i < batch.count; i++)
        shot_release(&batch.shots[i]);
    bench_stop(&bench);
    assert_dies(pid);
}

/* ---- what is left behind */

static bool all_labs_are_up(void *arg)
{
    struct bench *bench = arg;

    return lab_pids(bench->lab, NULL, 0) == 3;
}

static void free_leaves_no_process(void **state)
{
    struct shot shot = {.hold_at = 3000};
    struct bench bench;
    pid_t pids[3];

    (void)state;
    bench_start(&bench, 3, 0);
    run_until(&bench, all_labs_are_up, &bench);
    assert_int_equal(lab_pids(bench.lab, pids, 3), 3);
    shot_start(&shot, &bench, &jpeg);
    run_until(&bench, shot_holds, &shot);
    shot_release(&shot);
    bench_stop(&bench);
    for (int i = 0; i < 3; i++)
        assert_dies(pids[i]);
    assert_int_equal(shot.dones, 0);
}

/* In a child: a worker that tells its pids and then hangs. */
static _Noreturn void be_a_worker(int fd)
{
    struct bench bench;
    pid_t pids[2];

    bench_start(&bench, 1, 0);
    pids[0] = bench.keeper_pid;
    pids[1] = first_pid(&bench);
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
    assert_false(is_dead(pids[0]));
    assert_false(is_dead(pids[1]));
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    assert_dies(pids[1]);
    assert_dies(pids[0]);
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
    struct bench bench;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip(); /* others may not look into a process that is not dumpable */
    assert_int_equal(setenv("LINE_CHANNEL_SECRET", "hush", 1), 0);
    stray = open("/etc/passwd", O_RDONLY); /* no close-on-exec */
    assert_true(stray >= 0);
    bench_start(&bench, 1, 0);
    pid = first_pid(&bench);
    check_picture(&bench, &png, IMAGE_TYPE_PNG, 0);

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
    bench_stop(&bench);
}

/* ---- set-up */

static void find_program(void)
{
    ssize_t n =
        readlink("/proc/self/exe", lab_program, sizeof(lab_program) - 1);
    char *slash;

    assert_true(n > 0);
    lab_program[n] = '\0';
    for (int i = 0; i < 3; i++) { /* BUILD/tests/unit/test_lab */
        slash = strrchr(lab_program, '/');
        assert_non_null(slash);
        *slash = '\0';
    }
    n = (ssize_t)strlen(lab_program);
    assert_true(str_copy(lab_program + n, sizeof(lab_program) - (size_t)n,
                         "/darkroom-lab"));
}

static int set_up(void **state)
{
    const struct png_spec png_spec = {
        .width_px = 200, .height_px = 150, .color_type = 2, .depth = 8};

    (void)state;
    find_program();
    assert_true(str_copy(dir, sizeof(dir), "/tmp/test_lab.XXXXXX"));
    buf_init(&jpeg, 1 << 24);
    buf_init(&large_jpeg, 1 << 24);
    buf_init(&png, 1 << 24);
    buf_init(&text, 1 << 24);
    picture_make_jpeg(&jpeg, 321, 123, false);
    picture_make_jpeg(&large_jpeg, 1600, 1200, true);
    picture_random_png(&png_spec, &png);
    return mkdtemp(dir) == NULL ||
           buf_append_str(&text, "<html>Not a picture, sorry.</html>") !=
               STATUS_OK;
}

static int tear_down(void **state)
{
    (void)state;
    buf_release(&jpeg);
    buf_release(&large_jpeg);
    buf_release(&png);
    buf_release(&text);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_become_png),
        cmocka_unit_test(any_split_will_do),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(bad_pictures_have_their_status),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(no_program_no_keeper),
        cmocka_unit_test(aborted_streams_say_nothing),
        cmocka_unit_test(slow_transfers_shut_nobody_out),
        cmocka_unit_test(busy_until_there_is_room),
        cmocka_unit_test(waiting_pictures_spill),
        cmocka_unit_test(a_dead_lab_is_replaced),
        cmocka_unit_test(who_kills_alone_is_poison),
        cmocka_unit_test(alone_means_alone),
        cmocka_unit_test(a_silent_lab_is_killed),
        cmocka_unit_test(deaths_in_a_row_slow_down),
        cmocka_unit_test(without_keeper_the_worker_is_told),
        cmocka_unit_test(free_leaves_no_process),
        cmocka_unit_test(a_killed_worker_leaves_no_process),
        cmocka_unit_test(a_lab_inherits_nothing),
    };

    return cmocka_run_group_tests_name("lab", tests, set_up, tear_down);
}
