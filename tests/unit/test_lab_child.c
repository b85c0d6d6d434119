/*
 * test_lab_child.c: the lab's side of the protocol, in a forked child without
 * the sandbox, so that the sanitizers watch it; with a worker that may break
 * every rule.
 */
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
#include "lab_child.h"
#include "lab_wire.h"

#include <cmocka.h>

struct lab {
    int fd; /* the worker's end */
    pid_t pid;
    int null_fd;
    struct lab_wire_buffer buffer;
};

static struct buf jpeg;

static int set_up(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));
    int pair[2];

    *state = lab;
    assert_non_null(lab);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    lab->pid = fork();
    assert_true(lab->pid >= 0);
    if (lab->pid == 0) {
        close(pair[0]);
        free(lab);
        buf_release(&jpeg);
        exit(lab_child_run(pair[1]));
    }
    close(pair[1]);
    lab->fd = pair[0];
    lab->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return lab->null_fd < 0;
}

/* The lab's end. Code 0 also says that it leaked nothing, with sanitizers. */
static void expect_exit(struct lab *lab, enum lab_exit code)
{
    int how;

    assert_int_equal(waitpid(lab->pid, &how, 0), lab->pid);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), code);
    lab->pid = 0;
}

static int tear_down(void **state)
{
    struct lab *lab = *state;

    close(lab->fd);
    close(lab->null_fd);
    if (lab->pid != 0)
        expect_exit(lab, LAB_EXIT_DONE);
    free(lab);
    return 0;
}

static void put(struct lab *lab, const struct lab_message *message)
{
    assert_int_equal(lab_wire_send(lab->fd, message, true), STATUS_OK);
}

static void put_mark(struct lab *lab, enum lab_wire_type type, uint64_t stream)
{
    put(lab, &(struct lab_message){.type = type, .stream = stream});
}

static void put_data(struct lab *lab, uint64_t stream, const void *bytes,
                     size_t len)
{
    put(lab, &(struct lab_message){.type = LAB_WIRE_DATA,
                                   .stream = stream,
                                   .bytes = bytes,
                                   .len = len});
}

static void put_open(struct lab *lab, uint64_t stream)
{
    struct lab_message message = {.type = LAB_WIRE_OPEN,
                                  .stream = stream,
                                  .fds = {lab->null_fd, lab->null_fd}};

    transcode_options_default(&message.options);
    put(lab, &message);
}

/* The next message that is no credit; the sum of the credits before it. */
static size_t get_past_credit(struct lab *lab, struct lab_message *message)
{
    size_t credit = 0;

    do {
        assert_int_equal(lab_wire_recv(lab->fd, LAB_WIRE_FROM_LAB, &lab->buffer,
                                       message, true),
                         STATUS_OK);
        credit += message->credit_bytes;
    } while (message->type == LAB_WIRE_CREDIT);
    return credit;
}

static void expect_fail(struct lab *lab, uint64_t stream, enum status status)
{
    struct lab_message message;

    (void)get_past_credit(lab, &message);
    assert_int_equal(message.type, LAB_WIRE_FAIL);
    assert_int_equal(message.stream, stream);
    assert_int_equal(message.status, status);
}

/* Head and done, and all credit given back before the last word. */
static void expect_picture(struct lab *lab, uint64_t stream)
{
    struct lab_message message;
    size_t credit = get_past_credit(lab, &message);

    assert_int_equal(message.type, LAB_WIRE_HEAD);
    assert_int_equal(message.stream, stream);
    assert_int_equal(message.report.source_width_px, 100);
    credit += get_past_credit(lab, &message);
    assert_int_equal(message.type, LAB_WIRE_DONE);
    assert_int_equal(message.stream, stream);
    assert_int_equal(message.report.input_bytes, jpeg.len);
    assert_int_equal(credit, jpeg.len);
}

/* ---- in order */

static void serves_until_the_worker_leaves(void **state)
{
    struct lab *lab = *state;

    for (uint64_t stream = 1; stream < 20; stream += 3) {
        put_open(lab, stream);
        put_data(lab, stream, jpeg.data, jpeg.len);
        put_mark(lab, LAB_WIRE_END, stream);
        expect_picture(lab, stream);
    }
    (void)shutdown(lab->fd, SHUT_RDWR);
    expect_exit(lab, LAB_EXIT_DONE);
}

/* At the end of the pipe there is nobody left. */
static void outputs_are_closed_before_done(void **state)
{
    struct lab *lab = *state;

    for (uint64_t stream = 1; stream <= 50; stream++) {
        struct lab_message message = {.type = LAB_WIRE_OPEN, .stream = stream};
        char bytes[65536];
        int pair[2];
        ssize_t n;

        assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
        transcode_options_default(&message.options);
        message.fds[0] = message.fds[1] = pair[1];
        put(lab, &message);
        close(pair[1]);
        put_data(lab, stream, jpeg.data, jpeg.len);
        put_mark(lab, LAB_WIRE_END, stream);
        expect_picture(lab, stream);
        while ((n = read(pair[0], bytes, sizeof(bytes))) > 0)
            continue;
        assert_int_equal(n, 0);
        close(pair[0]);
    }
}

static void leaves_with_work_in_hand(void **state)
{
    struct lab *lab = *state;

    for (uint64_t stream = 1; stream <= LAB_STREAMS_MAX; stream++) {
        put_open(lab, stream);
        put_data(lab, stream, jpeg.data, jpeg.len / 2);
    }
    (void)shutdown(lab->fd, SHUT_RDWR);
    expect_exit(lab, LAB_EXIT_DONE);
}

static void the_oldest_goes_first(void **state)
{
    struct lab *lab = *state;
    struct lab_message message;

    /* All is there before it looks: it stands still until then. */
    assert_int_equal(kill(lab->pid, SIGSTOP), 0);
    for (uint64_t stream = 1; stream <= 3; stream++)
        put_open(lab, stream);
    for (uint64_t stream = 3; stream >= 1; stream--) {
        put_data(lab, stream, jpeg.data, jpeg.len);
        put_mark(lab, LAB_WIRE_END, stream);
    }
    assert_int_equal(kill(lab->pid, SIGCONT), 0);
    for (uint64_t stream = 1; stream <= 3; stream++) {
        (void)get_past_credit(lab, &message);
        assert_int_equal(message.stream, stream);
        (void)get_past_credit(lab, &message);
        assert_int_equal(message.type, LAB_WIRE_DONE);
        assert_int_equal(message.stream, stream);
    }
}

static void aborts_are_confirmed(void **state)
{
    struct lab *lab = *state;

    put_open(lab, 1);
    put_open(lab, 2);
    put_mark(lab, LAB_WIRE_ABORT, 1);
    expect_fail(lab, 1, STATUS_STOPPING);
    put_data(lab, 2, jpeg.data, jpeg.len);
    put_mark(lab, LAB_WIRE_END, 2);
    expect_picture(lab, 2);
}

/* The worker may not know yet that a picture is over. */
static void late_messages_are_ignored(void **state)
{
    struct lab *lab = *state;

    put_open(lab, 1);
    put_data(lab, 1, "this is no picture at all", 25);
    expect_fail(lab, 1, STATUS_NOT_AN_IMAGE);
    put_data(lab, 1, "and goes on", 11);
    put_mark(lab, LAB_WIRE_END, 1);
    put_mark(lab, LAB_WIRE_ABORT, 1);
    put_open(lab, 2);
    put_data(lab, 2, jpeg.data, jpeg.len);
    put_mark(lab, LAB_WIRE_END, 2);
    expect_picture(lab, 2);
}

/* ---- out of order: it ends */

static void credit_may_not_be_overrun(void **state)
{
    static const uint8_t bytes[LAB_CHUNK_BYTES] = {0xff, 0xd8, 0xff};
    struct lab *lab = *state;

    /* Whatever it says meanwhile, it may not read until it has all. */
    assert_int_equal(kill(lab->pid, SIGSTOP), 0);
    put_open(lab, 1);
    for (size_t sent = 0; sent < LAB_WINDOW_BYTES; sent += sizeof(bytes))
        put_data(lab, 1, bytes, sizeof(bytes));
    put_data(lab, 1, bytes, 1);
    assert_int_equal(kill(lab->pid, SIGCONT), 0);
    expect_exit(lab, LAB_EXIT_PROTOCOL);
}

static void nothing_follows_an_end(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(kill(lab->pid, SIGSTOP), 0);
    put_open(lab, 1);
    put_mark(lab, LAB_WIRE_END, 1);
    put_data(lab, 1, "x", 1);
    assert_int_equal(kill(lab->pid, SIGCONT), 0);
    expect_exit(lab, LAB_EXIT_PROTOCOL);
}

static void ends_once(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(kill(lab->pid, SIGSTOP), 0);
    put_open(lab, 1);
    put_mark(lab, LAB_WIRE_END, 1);
    put_mark(lab, LAB_WIRE_END, 1);
    assert_int_equal(kill(lab->pid, SIGCONT), 0);
    expect_exit(lab, LAB_EXIT_PROTOCOL);
}

static void streams_must_be_known(void **state)
{
    put_mark(*state, LAB_WIRE_END, 1);
    expect_exit(*state, LAB_EXIT_PROTOCOL);
}

static void numbers_must_grow(void **state)
{
    put_open(*state, 2);
    put_open(*state, 2);
    expect_exit(*state, LAB_EXIT_PROTOCOL);
}

static void streams_are_counted(void **state)
{
    for (uint64_t stream = 1; stream <= LAB_STREAMS_MAX + 1; stream++)
        put_open(*state, stream);
    expect_exit(*state, LAB_EXIT_PROTOCOL);
}

static void odd_messages_end_it(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(send(lab->fd, "odd", 3, 0), 3);
    expect_exit(lab, LAB_EXIT_PROTOCOL);
}

static void only_its_own_direction(void **state)
{
    put_mark(*state, LAB_WIRE_CREDIT, 1);
    expect_exit(*state, LAB_EXIT_PROTOCOL);
}

/* ---- output */

static void open_with(struct lab *lab, uint64_t stream, int original_fd)
{
    struct lab_message message = {.type = LAB_WIRE_OPEN,
                                  .stream = stream,
                                  .fds = {original_fd, lab->null_fd}};

    transcode_options_default(&message.options);
    put(lab, &message);
    put_data(lab, stream, jpeg.data, jpeg.len);
    put_mark(lab, LAB_WIRE_END, stream);
}

static void failing_outputs_are_told(void **state)
{
    struct lab *lab = *state;
    struct lab_message message;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    open_with(lab, 1, fd);
    close(fd);
    do {
        (void)get_past_credit(lab, &message);
    } while (message.type == LAB_WIRE_HEAD);
    assert_int_equal(message.type, LAB_WIRE_FAIL);
    assert_int_equal(message.status, STATUS_NO_SPACE);

    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    open_with(lab, 2, fd);
    close(fd);
    do {
        (void)get_past_credit(lab, &message);
    } while (message.type == LAB_WIRE_HEAD);
    assert_int_equal(message.type, LAB_WIRE_FAIL);
    assert_int_equal(message.status, STATUS_IO);
}

/* ---- self-test */

static void the_self_test_passes(void **state)
{
    (void)state;
    assert_int_equal(lab_child_self_test(), STATUS_OK);
}

static int make_picture(void **state)
{
    (void)state;
    buf_init(&jpeg, LAB_CHUNK_BYTES);
    picture_make_jpeg(&jpeg, 100, 80, false);
    return 0;
}

static int release_picture(void **state)
{
    (void)state;
    buf_release(&jpeg);
    return 0;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(serves_until_the_worker_leaves),
        TEST(outputs_are_closed_before_done),
        TEST(leaves_with_work_in_hand),
        TEST(the_oldest_goes_first),
        TEST(aborts_are_confirmed),
        TEST(late_messages_are_ignored),
        TEST(credit_may_not_be_overrun),
        TEST(nothing_follows_an_end),
        TEST(ends_once),
        TEST(streams_must_be_known),
        TEST(numbers_must_grow),
        TEST(streams_are_counted),
        TEST(odd_messages_end_it),
        TEST(only_its_own_direction),
        TEST(failing_outputs_are_told),
        cmocka_unit_test(the_self_test_passes),
    };

    return cmocka_run_group_tests_name("lab_child", tests, make_picture,
                                       release_picture);
}
