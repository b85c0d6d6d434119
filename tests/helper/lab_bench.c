/*
 * lab_bench.c: shots write on a timer, some KB per tick, so that all of them
 * get along at the same time; a second timer looks whether the test may go on.
 */
#include "lab_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "picture.h"

#include <cmocka.h>

#define GUARD_MS 120000 /* a test that hangs fails */
#define TICK_BYTES (16 * 1024)

struct lab_samples lab_samples;

/* ---- samples */

static void find_program(void)
{
    ssize_t n = readlink("/proc/self/exe", lab_samples.program,
                         sizeof(lab_samples.program) - 1);
    char *slash;

    assert_true(n > 0);
    lab_samples.program[n] = '\0';
    for (int i = 0; i < 3; i++) { /* BUILD/tests/unit/test_lab */
        slash = strrchr(lab_samples.program, '/');
        assert_non_null(slash);
        *slash = '\0';
    }
    n = (ssize_t)strlen(lab_samples.program);
    assert_true(str_copy(lab_samples.program + n,
                         sizeof(lab_samples.program) - (size_t)n,
                         "/darkroom-lab"));
}

int lab_bench_set_up(void **state)
{
    const struct png_spec png = {
        .width_px = 200, .height_px = 150, .color_type = 2, .depth = 8};

    (void)state;
    find_program();
    assert_true(str_copy(lab_samples.dir, sizeof(lab_samples.dir),
                         "/tmp/test_lab.XXXXXX"));
    buf_init(&lab_samples.jpeg, 1 << 24);
    buf_init(&lab_samples.large_jpeg, 1 << 24);
    buf_init(&lab_samples.png, 1 << 24);
    buf_init(&lab_samples.text, 1 << 24);
    picture_make_jpeg(&lab_samples.jpeg, 321, 123, false);
    picture_make_jpeg(&lab_samples.large_jpeg, 1600, 1200, true);
    picture_random_png(&png, &lab_samples.png);
    return mkdtemp(lab_samples.dir) == NULL ||
           buf_append_str(&lab_samples.text,
                          "<html>Not a picture, sorry.</html>") != STATUS_OK;
}

int lab_bench_tear_down(void **state)
{
    (void)state;
    buf_release(&lab_samples.jpeg);
    buf_release(&lab_samples.large_jpeg);
    buf_release(&lab_samples.png);
    buf_release(&lab_samples.text);
    return rmdir(lab_samples.dir);
}

/* ---- files */

static int open_output(const char *path)
{
    int fd = path != NULL
                 ? open(path, O_WRONLY | O_CLOEXEC)
                 : open(lab_samples.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

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
    struct lab_bench *bench = arg;

    if (bench->until(bench->until_arg) || mono_ms() > bench->guard_ms) {
        loop_stop(bench->loop);
        return;
    }
    assert_int_equal(loop_timer_set(bench->loop, &bench->poll, mono_ms() + 1),
                     STATUS_OK);
}

void lab_bench_run(struct lab_bench *bench, bool (*until)(void *arg), void *arg)
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
    struct lab_bench *bench = arg;

    bench->broken++;
}

static bool labs_are_up(void *arg)
{
    struct lab_bench *bench = arg;

    return lab_pids(bench->lab, NULL, 0) > 0;
}

pid_t lab_bench_pid(struct lab_bench *bench)
{
    pid_t pid = 0;

    lab_bench_run(bench, labs_are_up, bench);
    (void)lab_pids(bench->lab, &pid, 1);
    assert_true(pid > 1);
    return pid;
}

static bool has_new_lab(void *arg)
{
    struct lab_bench *bench = arg;
    pid_t pid = 0;

    return lab_pids(bench->lab, &pid, 1) > 0 && pid != bench->killed_pid;
}

/* Ends the only lab and waits for the next. */
void lab_bench_kill(struct lab_bench *bench)
{
    bench->killed_pid = lab_bench_pid(bench);
    assert_int_equal(kill(bench->killed_pid, SIGKILL), 0);
    lab_bench_run(bench, has_new_lab, bench);
}

static void start(struct lab_bench *bench, struct lab_options options)
{
    *bench = (struct lab_bench){0};
    options.spill_dir = lab_samples.dir;
    options.arg = bench;
    options.on_broken = on_broken;
    loop_timer_init(&bench->poll, on_poll, bench);
    assert_int_equal(lab_keeper_spawn(lab_samples.program, &options.keeper),
                     STATUS_OK);
    bench->keeper_pid = options.keeper.pid;
    assert_int_equal(loop_new(&bench->loop), STATUS_OK);
    assert_int_equal(lab_new(&bench->lab, bench->loop, &options), STATUS_OK);
}

void lab_bench_start(struct lab_bench *bench, size_t labs, int64_t stall_ms)
{
    start(bench, (struct lab_options){.labs = labs, .stall_ms = stall_ms});
}

void lab_bench_start_tight(struct lab_bench *bench, size_t spill_max_bytes)
{
    start(bench,
          (struct lab_options){.labs = 1, .spill_max_bytes = spill_max_bytes});
}

bool lab_bench_is_dead(pid_t pid)
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

void lab_bench_assert_dies(pid_t pid)
{
    int64_t until_ms = mono_ms() + GUARD_MS;

    while (!lab_bench_is_dead(pid) && mono_ms() < until_ms)
        (void)usleep(1000);
    assert_true(lab_bench_is_dead(pid));
}

static void assert_gone(pid_t pid)
{
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

void lab_bench_stop(struct lab_bench *bench)
{
    lab_free(bench->lab);
    assert_gone(bench->keeper_pid);
    loop_free(bench->loop);
}

/* ---- shots */

static void on_head(void *arg, const struct transcode_report *report)
{
    struct lab_shot *shot = arg;

    shot->heads++;
    shot->head = *report;
    assert_int_equal(shot->dones, 0);
}

void lab_shot_feed(struct lab_shot *shot)
{
    assert_int_equal(loop_timer_set(shot->bench->loop, &shot->feed,
                                    loop_now_ms(shot->bench->loop) + 1),
                     STATUS_OK);
}

static void on_room(void *arg)
{
    struct lab_shot *shot = arg;

    assert_true(shot->paused);
    shot->paused = false;
    shot->rooms++;
    lab_shot_feed(shot);
}

static void on_done(void *arg, enum status status,
                    const struct transcode_report *report)
{
    struct lab_shot *shot = arg;

    shot->dones++;
    shot->status = status;
    shot->report = *report;
    shot->stream = NULL;
    loop_timer_cancel(shot->bench->loop, &shot->feed);
}

/* One write; true while there is more to do at once. */
static bool feed_step(struct lab_shot *shot)
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
    struct lab_shot *shot = arg;
    size_t stop_at = shot->sent + TICK_BYTES;

    while (shot->sent < stop_at && feed_step(shot))
        continue;
    if (shot->paused)
        return;
    if (shot->sent == shot->input->len) {
        shot->ended = true;
        assert_int_equal(lab_stream_end(shot->stream), STATUS_OK);
    } else if (shot->sent != shot->hold_at) {
        lab_shot_feed(shot);
    }
}

enum status lab_shot_open(struct lab_shot *shot)
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
    if (shot->limits != NULL)
        request.limits = *shot->limits;
    return lab_stream_open(shot->bench->lab, &request, &shot->stream);
}

void lab_shot_start(struct lab_shot *shot, struct lab_bench *bench,
                    const struct buf *input)
{
    shot->bench = bench;
    shot->input = input;
    shot->original_fd = open_output(shot->output);
    shot->preview_fd = open_output(shot->output);
    loop_timer_init(&shot->feed, on_feed, shot);
    assert_int_equal(lab_shot_open(shot), STATUS_OK);
    lab_shot_feed(shot);
}

void lab_shot_release(struct lab_shot *shot)
{
    loop_timer_cancel(shot->bench->loop, &shot->feed);
    close(shot->original_fd);
    close(shot->preview_fd);
}

bool lab_shot_is_done(void *arg)
{
    struct lab_shot *shot = arg;

    return shot->dones > 0;
}

/* Held: all it may send has been sent. */
bool lab_shot_holds(void *arg)
{
    struct lab_shot *shot = arg;

    return shot->sent == shot->hold_at;
}

bool lab_shot_is_paused(void *arg)
{
    struct lab_shot *shot = arg;

    return shot->paused;
}

void lab_shot_run(struct lab_shot *shot, struct lab_bench *bench,
                  const struct buf *input)
{
    lab_shot_start(shot, bench, input);
    lab_bench_run(bench, lab_shot_is_done, shot);
}

void lab_shot_expect(struct lab_bench *bench, const struct buf *input,
                     enum status status)
{
    struct lab_shot shot = {0};

    lab_shot_run(&shot, bench, input);
    assert_int_equal(shot.status, status);
    assert_int_equal(shot.dones, 1);
    lab_shot_release(&shot);
}

void lab_shot_assert_good(const struct lab_shot *shot, enum image_type type)
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

void lab_bench_check(struct lab_bench *bench, const struct buf *input,
                     enum image_type type, size_t step)
{
    struct lab_shot shot = {.step = step};

    lab_shot_run(&shot, bench, input);
    lab_shot_assert_good(&shot, type);
    lab_shot_release(&shot);
}

bool lab_shots_are_done(void *arg)
{
    struct lab_shots *batch = arg;

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->shots[i].dones == 0)
            return false;
    }
    return true;
}

bool lab_shot_is_sent(void *arg)
{
    struct lab_shot *shot = arg;

    return shot->ended;
}
