/*
 * test_convert.c: what becomes of a picture whose lab dies: once more, alone,
 * and if that lab dies as well the picture is to blame. Labs are stopped before
 * the picture is opened and killed while they have it, so nothing depends on
 * how fast they are.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/lab_program.h"
#include "../helper/picture.h"
#include "../helper/png_file.h"
#include "../helper/test_dir.h"
#include "convert.h"
#include "log.h"

#include <cmocka.h>

#define PATH_BYTES (TEST_DIR_MAX + 32)
#define SIDE_PX 100

struct bench {
    char dir[TEST_DIR_MAX];
    char program[LAB_PROGRAM_MAX];
    char inputs[2][PATH_BYTES], outputs[2][PATH_BYTES], previews[2][PATH_BYTES];
    struct convert_picture pictures[2];
    pid_t keeper_pid, stopped_pid;
    int ticks_since_stop;
    size_t dones;
};

/* ---- processes */

/* 0: there is no such process any more. */
static pid_t parent_of(pid_t pid)
{
    char path[64], line[512] = "";
    const char *name_end;
    FILE *file;
    int parent = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof(line), file) != NULL &&
        (name_end = strrchr(line, ')')) != NULL &&
        sscanf(name_end, ") %*c %d", &parent) != 1)
        parent = 0;
    (void)fclose(file);
    return parent;
}

/* A lab: the child of the keeper. 0: none is up. */
static pid_t find_child(pid_t parent)
{
    struct dirent *entry;
    DIR *processes = opendir("/proc");
    int64_t pid;
    pid_t found = 0;

    if (processes == NULL)
        return 0;
    while (found == 0 && (entry = readdir(processes)) != NULL) {
        if (str_to_int64(entry->d_name, 1, INT32_MAX, &pid) &&
            parent_of((pid_t)pid) == parent)
            found = (pid_t)pid;
    }
    (void)closedir(processes);
    return found;
}

/* Kills every lab that comes up, from a process of its own. */
static pid_t start_killer(pid_t keeper_pid)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (;;) {
        pid_t lab = find_child(keeper_pid);

        if (lab > 0)
            (void)kill(lab, SIGKILL);
        (void)usleep(1000);
    }
}

/* ---- fixture */

static void write_picture(const char *path, uint32_t side_px)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct buf jpeg;

    assert_true(fd >= 0);
    buf_init(&jpeg, 1 << 26);
    picture_make_jpeg(&jpeg, side_px, side_px, false);
    assert_int_equal(write(fd, jpeg.data, jpeg.len), jpeg.len);
    close(fd);
    buf_release(&jpeg);
}

static int set_up(void **state)
{
    static struct bench bench;

    bench = (struct bench){0};
    lab_program_find(bench.program);
    test_dir_make(bench.dir);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(bench.inputs[i], PATH_BYTES, "%s/%zu.jpg", bench.dir, i);
        (void)snprintf(bench.outputs[i], PATH_BYTES, "%s/%zu.png", bench.dir,
                       i);
        (void)snprintf(bench.previews[i], PATH_BYTES, "%s/%zu-preview.png",
                       bench.dir, i);
        bench.pictures[i] = (struct convert_picture){
            .input = bench.inputs[i],
            .original = bench.outputs[i],
            .preview = bench.previews[i],
        };
        write_picture(bench.inputs[i], SIDE_PX);
    }
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    test_dir_remove(bench->dir);
    return 0;
}

static void count_done(void *arg, const struct convert_picture *picture)
{
    struct bench *bench = arg;

    (void)picture;
    bench->dones++;
}

static void start_options(struct bench *bench, struct convert_options *options)
{
    *options = (struct convert_options){
        .jobs = 1,
        .scratch_dir = bench->dir,
        .file_mode = 0644,
        .arg = bench,
        .on_done = count_done,
    };
    transcode_options_default(&options->limits);
    assert_int_equal(lab_keeper_spawn(bench->program, &options->keeper),
                     STATUS_OK);
    bench->keeper_pid = options->keeper.pid;
}

/* Files in the directory, hidden ones too, that are no inputs. */
static size_t count_outputs(const struct bench *bench)
{
    DIR *files = opendir(bench->dir);
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(files);
    while ((entry = readdir(files)) != NULL) {
        if (entry->d_type == DT_REG && strstr(entry->d_name, ".jpg") == NULL)
            count++;
    }
    (void)closedir(files);
    return count;
}

static void assert_converted(const struct bench *bench, size_t i)
{
    uint32_t width_px, height_px;

    assert_int_equal(bench->pictures[i].status, STATUS_OK);
    assert_int_equal(bench->pictures[i].fault, CONVERT_FINE);
    assert_true(png_file_decode(bench->outputs[i], &width_px, &height_px));
    assert_int_equal(width_px, SIDE_PX);
    assert_int_equal(height_px, SIDE_PX);
    assert_true(png_file_decode(bench->previews[i], &width_px, &height_px));
}

/* ---- tests */

static void pictures_are_converted(void **state)
{
    struct bench *bench = *state;
    struct convert_options options;
    int stopped_by;

    start_options(bench, &options);
    assert_int_equal(convert_run(bench->pictures, 2, &options, &stopped_by),
                     STATUS_OK);
    assert_int_equal(bench->dones, 2);
    assert_converted(bench, 0);
    assert_converted(bench, 1);
    assert_int_equal(count_outputs(bench), 4);
}

/* The first picture is not there: its end comes before the next one is opened,
 * which will find the lab stopped. */
static void stop_lab_when_done(void *arg, const struct convert_picture *picture)
{
    struct bench *bench = arg;

    count_done(arg, picture);
    if (bench->dones != 1)
        return;
    while ((bench->stopped_pid = find_child(bench->keeper_pid)) == 0)
        (void)usleep(1000);
    assert_int_equal(kill(bench->stopped_pid, SIGSTOP), 0);
}

/* By the second tick the picture is open. */
static void kill_stopped_lab(void *arg, const struct convert_progress *progress)
{
    struct bench *bench = arg;

    if (bench->stopped_pid == 0 || ++bench->ticks_since_stop != 2)
        return;
    assert_int_equal(progress->done, 1);
    assert_false(access(bench->outputs[1], F_OK) == 0);
    assert_int_equal(kill(bench->stopped_pid, SIGKILL), 0);
}

static void run_with_a_death(struct bench *bench)
{
    struct convert_options options;
    int stopped_by;

    assert_int_equal(unlink(bench->inputs[0]), 0);
    start_options(bench, &options);
    options.on_done = stop_lab_when_done;
    options.on_progress = kill_stopped_lab;
    assert_int_equal(convert_run(bench->pictures, 2, &options, &stopped_by),
                     STATUS_OK);
    assert_true(bench->ticks_since_stop >= 2);
    assert_int_equal(bench->dones, 2);
    assert_int_equal(bench->pictures[0].status, STATUS_NOT_FOUND);
    assert_int_equal(bench->pictures[0].fault, CONVERT_BAD_INPUT);
}

static void a_picture_whose_lab_dies_is_done_again(void **state)
{
    struct bench *bench = *state;

    run_with_a_death(bench);
    assert_converted(bench, 1);
    assert_int_equal(count_outputs(bench), 2);
}

/* It can be sent once only: whose fault it was stays open. */
static void what_cannot_be_read_again_is_not(void **state)
{
    struct bench *bench = *state;
    int fd;

    assert_int_equal(unlink(bench->inputs[1]), 0);
    assert_int_equal(mkfifo(bench->inputs[1], 0600), 0);
    fd = open(bench->inputs[1], O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\xff\xd8\xff", 3), 3);
    run_with_a_death(bench);
    close(fd);
    assert_int_equal(bench->pictures[1].status, STATUS_LAB_DIED);
    assert_int_equal(bench->pictures[1].fault, CONVERT_BAD_OUTPUT);
    assert_int_equal(count_outputs(bench), 0);
}

static void who_kills_two_labs_is_to_blame(void **state)
{
    struct bench *bench = *state;
    struct convert_options options;
    pid_t killer;
    int stopped_by;

    /* large enough that no lab is done with it before it is found */
    assert_int_equal(unlink(bench->inputs[0]), 0);
    write_picture(bench->inputs[0], 4000);
    start_options(bench, &options);
    killer = start_killer(bench->keeper_pid);
    assert_int_equal(convert_run(bench->pictures, 1, &options, &stopped_by),
                     STATUS_OK);
    assert_int_equal(kill(killer, SIGKILL), 0);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    assert_int_equal(bench->dones, 1);
    assert_int_equal(bench->pictures[0].status, STATUS_POISON);
    assert_int_equal(bench->pictures[0].fault, CONVERT_BAD_PICTURE);
    assert_int_equal(count_outputs(bench), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pictures_are_converted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_picture_whose_lab_dies_is_done_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_again_is_not,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_kills_two_labs_is_to_blame, set_up,
                                        tear_down),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
