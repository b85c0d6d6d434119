/*
 * test_lab_link.c: the worker against labs that lie. The test is keeper and lab
 * in one: it answers NEW_LAB with a socket whose other end it holds, and says
 * there what no honest lab would say.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"
#include "lab_wire.h"

#include <cmocka.h>

#define LAB_PID 12345 /* what the test calls its lab */
#define GUARD_MS 60000

struct bench {
    struct loop *loop;
    struct lab *lab;
    int keeper_fd; /* the keeper's end */
    int lab_fd;    /* the lab's end, -1 when the worker has dropped it */
    struct loop_timer poll;
    int64_t guard_ms;
    bool (*until)(struct bench *bench);
    int asked, killed;
    struct lab_wire_buffer buffer;
    /* the one stream */
    struct lab_stream *stream;
    uint64_t id;
    int files[2];
    int heads, dones, broken;
    enum status status;
    struct transcode_report report;
};

/* ---- the keeper's part */

static void give_lab(struct bench *bench)
{
    struct lab_message answer = {.type = LAB_WIRE_LAB, .pid = LAB_PID};
    int pair[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    answer.fds[0] = pair[0];
    assert_int_equal(lab_wire_send(bench->keeper_fd, &answer, true), STATUS_OK);
    close(pair[0]);
    if (bench->lab_fd >= 0)
        close(bench->lab_fd);
    bench->lab_fd = pair[1];
}

static void serve_keeper(struct bench *bench)
{
    struct lab_message request;

    while (bench->keeper_fd >= 0 &&
           lab_wire_recv(bench->keeper_fd, LAB_WIRE_TO_KEEPER, &bench->buffer,
                         &request, false) == STATUS_OK) {
        if (request.type == LAB_WIRE_NEW_LAB) {
            bench->asked++;
            give_lab(bench);
        } else {
            assert_int_equal(request.pid, LAB_PID);
            bench->killed++;
        }
    }
}

/* ---- the loop */

static void on_poll(void *arg)
{
    struct bench *bench = arg;

    serve_keeper(bench);
    if (bench->until(bench) || mono_ms() > bench->guard_ms) {
        loop_stop(bench->loop);
        return;
    }
    assert_int_equal(loop_timer_set(bench->loop, &bench->poll, mono_ms() + 1),
                     STATUS_OK);
}

static void run_until(struct bench *bench, bool (*until)(struct bench *bench))
{
    bench->until = until;
    bench->guard_ms = mono_ms() + GUARD_MS;
    assert_int_equal(loop_timer_set(bench->loop, &bench->poll, mono_ms()),
                     STATUS_OK);
    assert_int_equal(loop_run(bench->loop), STATUS_OK);
    assert_true(until(bench));
}

static bool lab_is_up(struct bench *bench)
{
    return lab_pids(bench->lab, NULL, 0) == 1;
}

static bool stream_is_done(struct bench *bench)
{
    return bench->dones > 0;
}

static bool head_is_seen(struct bench *bench)
{
    return bench->heads > 0;
}

static bool lab_was_killed(struct bench *bench)
{
    return bench->killed > 0;
}

static bool lab_is_new(struct bench *bench)
{
    return bench->asked == 2 && lab_is_up(bench);
}

static bool is_broken(struct bench *bench)
{
    return bench->broken > 0;
}

/* ---- callbacks */

static void on_broken(void *arg)
{
    struct bench *bench = arg;

    bench->broken++;
}

static void on_head(void *arg, const struct transcode_report *report)
{
    struct bench *bench = arg;

    bench->heads++;
    bench->report = *report;
}

static void on_done(void *arg, enum status status,
                    const struct transcode_report *report)
{
    struct bench *bench = arg;

    bench->dones++;
    bench->status = status;
    bench->report = *report;
    bench->stream = NULL;
}

/* ---- set-up: one lab, one stream of it, 100 bytes sent */

static void open_stream(struct bench *bench)
{
    static const uint8_t bytes[100];
    struct lab_request request = {
        .original_fd = bench->files[0],
        .preview_fd = bench->files[1],
        .arg = bench,
        .on_head = on_head,
        .on_done = on_done,
    };
    struct lab_message message;

    transcode_options_default(&request.limits);
    assert_int_equal(lab_stream_open(bench->lab, &request, &bench->stream),
                     STATUS_OK);
    assert_int_equal(lab_stream_write(bench->stream, bytes, sizeof(bytes)),
                     STATUS_OK);
    assert_int_equal(lab_wire_recv(bench->lab_fd, LAB_WIRE_TO_LAB,
                                   &bench->buffer, &message, true),
                     STATUS_OK);
    assert_int_equal(message.type, LAB_WIRE_OPEN);
    bench->id = message.stream;
    close(message.fds[0]);
    close(message.fds[1]);
    assert_int_equal(lab_wire_recv(bench->lab_fd, LAB_WIRE_TO_LAB,
                                   &bench->buffer, &message, true),
                     STATUS_OK);
    assert_int_equal(message.type, LAB_WIRE_DATA);
    assert_int_equal(message.len, sizeof(bytes));
}

/* A child for lab_free() to wait for. */
static pid_t dead_child(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static int set_up_with(void **state, int64_t stall_ms)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct lab_options options = {
        .labs = 1,
        .spill_dir = "/tmp",
        .stall_ms = stall_ms,
        .arg = bench,
        .on_broken = on_broken,
    };
    int pair[2];

    *state = bench;
    assert_non_null(bench);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    bench->keeper_fd = pair[1];
    bench->lab_fd = -1;
    for (int i = 0; i < 2; i++)
        bench->files[i] = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    options.keeper = (struct lab_keeper){pair[0], dead_child()};
    loop_timer_init(&bench->poll, on_poll, bench);
    assert_int_equal(loop_new(&bench->loop), STATUS_OK);
    assert_int_equal(lab_new(&bench->lab, bench->loop, &options), STATUS_OK);
    run_until(bench, lab_is_up);
    open_stream(bench);
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, 0);
}

static int set_up_impatient(void **state)
{
    return set_up_with(state, 100);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    if (bench->keeper_fd >= 0)
        close(bench->keeper_fd);
    lab_free(bench->lab);
    loop_timer_cancel(bench->loop, &bench->poll);
    loop_free(bench->loop);
    if (bench->lab_fd >= 0)
        close(bench->lab_fd);
    close(bench->files[0]);
    close(bench->files[1]);
    free(bench);
    return 0;
}

/* ---- the lab's part */

static void say(struct bench *bench, const struct lab_message *message)
{
    struct lab_message copy = *message;

    if (copy.stream == 0)
        copy.stream = bench->id;
    assert_int_equal(lab_wire_send(bench->lab_fd, &copy, true), STATUS_OK);
}

/* It is killed, its picture fails as if it had died, and a new one comes. */
static void expect_killed(struct bench *bench)
{
    run_until(bench, stream_is_done);
    assert_int_equal(bench->dones, 1);
    assert_int_equal(bench->status, STATUS_LAB_DIED);
    assert_int_equal(bench->report.original_bytes, 0);
    run_until(bench, lab_was_killed);
    assert_int_equal(bench->killed, 1);
    run_until(bench, lab_is_new);
}

static struct transcode_report true_report(void)
{
    return (struct transcode_report){
        .source_type = IMAGE_TYPE_PNG,
        .source_width_px = 10,
        .source_height_px = 10,
        .orientation = 1,
        .original_width_px = 10,
        .original_height_px = 10,
        .preview_width_px = 5,
        .preview_height_px = 5,
        .input_bytes = 100,
        .original_bytes = 4,
        .preview_bytes = 3,
    };
}

static void write_files(struct bench *bench)
{
    assert_int_equal(write(bench->files[0], "abcd", 4), 4);
    assert_int_equal(write(bench->files[1], "abc", 3), 3);
}

static void say_done(struct bench *bench, const struct transcode_report *report)
{
    say(bench, &(struct lab_message){.type = LAB_WIRE_DONE, .report = *report});
}

/* ---- the truth is believed */

static void the_truth_is_believed(void **state)
{
    struct bench *bench = *state;
    struct transcode_report report = true_report();

    write_files(bench);
    say(bench,
        &(struct lab_message){.type = LAB_WIRE_CREDIT, .credit_bytes = 100});
    say(bench, &(struct lab_message){.type = LAB_WIRE_HEAD, .report = report});
    say_done(bench, &report);
    run_until(bench, stream_is_done);
    assert_int_equal(bench->status, STATUS_OK);
    assert_int_equal(bench->heads, 1);
    assert_int_equal(bench->report.original_bytes, 4);
    assert_int_equal(bench->killed, 0);
}

static void a_failure_is_believed(void **state)
{
    struct bench *bench = *state;

    say(bench, &(struct lab_message){.type = LAB_WIRE_FAIL,
                                     .status = STATUS_IMAGE_BROKEN});
    run_until(bench, stream_is_done);
    assert_int_equal(bench->status, STATUS_IMAGE_BROKEN);
    assert_int_equal(bench->killed, 0);
}

/* ---- a full socket */

static void open_another(struct bench *bench, struct lab_stream **stream)
{
    struct lab_request request = {
        .original_fd = bench->files[0],
        .preview_fd = bench->files[1],
        .arg = bench,
        .on_done = on_done,
    };

    transcode_options_default(&request.limits);
    assert_int_equal(lab_stream_open(bench->lab, &request, stream), STATUS_OK);
    assert_int_equal(lab_stream_write(*stream, "x", 1), STATUS_OK);
}

/* Many small messages: the socket counts more than their bytes. */
static size_t fill_socket(struct bench *bench)
{
    size_t count = 0;

    while (lab_stream_write(bench->stream, "x", 1) == STATUS_OK)
        assert_true(++count < LAB_WINDOW_BYTES + SPILL_MEMORY_BYTES);
    return count;
}

struct received {
    uint64_t last_opened;
    size_t opens, bytes, others;
};

static void take_messages(struct bench *bench, struct received *received)
{
    struct lab_message message;

    while (lab_wire_recv(bench->lab_fd, LAB_WIRE_TO_LAB, &bench->buffer,
                         &message, false) == STATUS_OK) {
        if (message.type == LAB_WIRE_OPEN) {
            assert_true(message.stream > received->last_opened);
            received->last_opened = message.stream;
            received->opens++;
            close(message.fds[0]);
            close(message.fds[1]);
        } else if (message.type == LAB_WIRE_DATA) {
            assert_true(message.stream <= received->last_opened);
            if (message.stream == bench->id)
                received->bytes += message.len;
            else
                received->others += message.len;
        }
    }
}

static bool some_turns_have_passed(struct bench *bench)
{
    return mono_ms() > bench->guard_ms - GUARD_MS + 20;
}

/* Streams that open while the socket is full are numbered as they leave, and
 * nothing of the others is lost or comes twice. */
static void a_full_socket_keeps_order(void **state)
{
    struct bench *bench = *state;
    struct received received = {.last_opened = bench->id};
    struct lab_stream *second, *third, *fourth;
    size_t written = fill_socket(bench);

    open_another(bench, &second);
    open_another(bench, &third);
    lab_stream_abort(second);
    open_another(bench, &fourth);
    for (int i = 0; i < 100 && received.others < 2; i++) {
        take_messages(bench, &received);
        run_until(bench, some_turns_have_passed);
    }
    take_messages(bench, &received);
    assert_int_equal(received.opens, 2);
    assert_int_equal(received.others, 2);
    /* 100 bytes of the window went before. */
    assert_int_equal(received.bytes, size_min(written, LAB_WINDOW_BYTES - 100));
    assert_int_equal(bench->dones, 0);
}

/* ---- lies */

static void odd_bytes(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(send(bench->lab_fd, "odd", 3, 0), 3);
    expect_killed(bench);
}

static void a_worker_message_from_a_lab(void **state)
{
    say(*state, &(struct lab_message){.type = LAB_WIRE_END});
    expect_killed(*state);
}

static void another_stream(void **state)
{
    struct bench *bench = *state;

    say(bench, &(struct lab_message){.type = LAB_WIRE_FAIL,
                                     .stream = bench->id + 1,
                                     .status = STATUS_IMAGE_BROKEN});
    expect_killed(bench);
}

static void too_much_credit(void **state)
{
    say(*state,
        &(struct lab_message){.type = LAB_WIRE_CREDIT, .credit_bytes = 101});
    expect_killed(*state);
}

static void credit_given_twice(void **state)
{
    const struct lab_message credit = {.type = LAB_WIRE_CREDIT,
                                       .credit_bytes = 60};

    say(*state, &credit);
    say(*state, &credit);
    expect_killed(*state);
}

static void a_head_too_wide(void **state)
{
    struct transcode_report report = true_report();

    report.source_width_px = IMAGE_SIDE_MAX;
    report.source_height_px = IMAGE_SIDE_MAX;
    say(*state, &(struct lab_message){.type = LAB_WIRE_HEAD, .report = report});
    expect_killed(*state);
    assert_int_equal(((struct bench *)*state)->heads, 0);
}

static void two_heads(void **state)
{
    const struct lab_message head = {.type = LAB_WIRE_HEAD,
                                     .report = true_report()};

    say(*state, &head);
    run_until(*state, head_is_seen);
    say(*state, &head);
    expect_killed(*state);
}

static void more_input_than_was_sent(void **state)
{
    struct transcode_report report = true_report();

    write_files(*state);
    report.input_bytes = 101;
    say_done(*state, &report);
    expect_killed(*state);
}

static void an_original_too_large(void **state)
{
    struct transcode_report report = true_report();

    report.original_bytes = ORIGINAL_MAX_BYTES + 1;
    say_done(*state, &report);
    expect_killed(*state);
}

static void files_that_were_not_written(void **state)
{
    struct transcode_report report = true_report();

    say_done(*state, &report);
    expect_killed(*state);
}

static void a_preview_longer_than_told(void **state)
{
    struct bench *bench = *state;
    struct transcode_report report = true_report();

    write_files(bench);
    assert_int_equal(write(bench->files[1], "d", 1), 1);
    say_done(bench, &report);
    expect_killed(bench);
}

static void a_secret_preview(void **state)
{
    struct transcode_report report = true_report();

    write_files(*state);
    report.preview_is_original = true;
    report.preview_bytes = 0;
    say_done(*state, &report);
    expect_killed(*state);
}

static void an_abort_nobody_asked_for(void **state)
{
    say(*state, &(struct lab_message){.type = LAB_WIRE_FAIL,
                                      .status = STATUS_STOPPING});
    expect_killed(*state);
}

static void a_descriptor_from_a_lab(void **state)
{
    struct bench *bench = *state;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } room = {.bytes = {0}};
    uint32_t credit[4] = {LAB_WIRE_CREDIT, 0, (uint32_t)bench->id, 0};
    struct iovec iov = {credit, sizeof(credit)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = room.bytes,
                         .msg_controllen = sizeof(room.bytes)};

    room.header =
        (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&room.header), &bench->files[0], sizeof(int));
    assert_int_equal(sendmsg(bench->lab_fd, &msg, 0), sizeof(credit));
    expect_killed(bench);
}

/* Signs of life are no excuse for ever. */
static void signs_without_end(void **state)
{
    const struct lab_message sign = {.type = LAB_WIRE_CREDIT};
    struct bench *bench = *state;

    for (int i = 0; i < LAB_SIGNS_MAX; i++) {
        say(bench, &sign);
        if (i % 50 == 0) /* the socket does not hold them all */
            run_until(bench, lab_is_up);
    }
    run_until(bench, lab_is_up);
    assert_int_equal(bench->dones, 0);
    say(bench, &sign);
    expect_killed(bench);
}

/* ---- silence */

static void silence(void **state)
{
    expect_killed(*state);
}

static bool a_while_has_passed(struct bench *bench)
{
    return mono_ms() > bench->guard_ms - GUARD_MS + 300;
}

/* Nothing to do is no reason to speak. */
static void silence_without_work(void **state)
{
    struct bench *bench = *state;

    say(bench,
        &(struct lab_message){.type = LAB_WIRE_CREDIT, .credit_bytes = 100});
    run_until(bench, a_while_has_passed);
    assert_int_equal(bench->killed, 0);
    assert_int_equal(bench->dones, 0);
}

static void an_abort_not_obeyed(void **state)
{
    struct bench *bench = *state;

    lab_stream_abort(bench->stream);
    run_until(bench, lab_was_killed);
    assert_int_equal(bench->dones, 0);
    run_until(bench, lab_is_new);
}

/* ---- a keeper that lies */

static void an_odd_keeper(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(send(bench->keeper_fd, "odd", 3, 0), 3);
    run_until(bench, is_broken);
    assert_int_equal(bench->status, STATUS_BUSY);
    assert_int_equal(bench->broken, 1);
}

static void a_lab_nobody_asked_for(void **state)
{
    struct bench *bench = *state;
    int lab_fd = bench->lab_fd;

    bench->lab_fd = -1;
    give_lab(bench);
    run_until(bench, is_broken);
    assert_int_equal(bench->dones, 1);
    close(lab_fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_IMPATIENT(f)                                                      \
    cmocka_unit_test_setup_teardown(f, set_up_impatient, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_truth_is_believed),
        TEST(a_failure_is_believed),
        TEST(a_full_socket_keeps_order),
        TEST(odd_bytes),
        TEST(a_worker_message_from_a_lab),
        TEST(another_stream),
        TEST(too_much_credit),
        TEST(credit_given_twice),
        TEST(a_head_too_wide),
        TEST(two_heads),
        TEST(more_input_than_was_sent),
        TEST(an_original_too_large),
        TEST(files_that_were_not_written),
        TEST(a_preview_longer_than_told),
        TEST(a_secret_preview),
        TEST(an_abort_nobody_asked_for),
        TEST(a_descriptor_from_a_lab),
        TEST(signs_without_end),
        TEST_IMPATIENT(silence),
        TEST_IMPATIENT(silence_without_work),
        TEST_IMPATIENT(an_abort_not_obeyed),
        TEST(an_odd_keeper),
        TEST(a_lab_nobody_asked_for),
    };

    return cmocka_run_group_tests_name("lab_link", tests, NULL, NULL);
}
