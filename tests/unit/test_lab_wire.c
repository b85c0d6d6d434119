/*
 * test_lab_wire.c: each message arrives as it was sent, and nothing that is odd
 * in any way arrives at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab_wire.h"

#include <cmocka.h>

struct wire {
    int ends[2];
    struct lab_wire_buffer buffer;
};

/* The header as it crosses, spelled out once more. */
struct raw {
    uint32_t type;
    uint32_t value;
    uint64_t stream;
    uint8_t body[LAB_CHUNK_BYTES + 1];
};

#define HEADER_BYTES offsetof(struct raw, body)
#define OPTIONS_BYTES 104 /* body of OPEN */
#define REPORT_BYTES 80   /* of HEAD, DONE and FAIL */

static int set_up(void **state)
{
    struct wire *wire = calloc(1, sizeof(*wire));

    *state = wire;
    return wire == NULL ||
           socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, wire->ends);
}

static int tear_down(void **state)
{
    struct wire *wire = *state;

    close(wire->ends[0]);
    close(wire->ends[1]);
    free(wire);
    return 0;
}

static enum status receive(struct wire *wire, enum lab_wire_way way,
                           struct lab_message *message)
{
    return lab_wire_recv(wire->ends[1], way, &wire->buffer, message, false);
}

static void pass(struct wire *wire, enum lab_wire_way way,
                 const struct lab_message *sent, struct lab_message *got)
{
    assert_int_equal(lab_wire_send(wire->ends[0], sent, false), STATUS_OK);
    assert_int_equal(receive(wire, way, got), STATUS_OK);
    assert_int_equal(got->type, sent->type);
    assert_int_equal(got->stream, sent->stream);
    assert_int_equal(receive(wire, way, got), STATUS_BUSY);
}

static struct transcode_report good_report(void)
{
    return (struct transcode_report){
        .source_type = IMAGE_TYPE_JPEG,
        .source_width_px = 4000,
        .source_height_px = 3000,
        .orientation = 6,
        .progressive = true,
        .idat_copied = true,
        .original_width_px = 1500,
        .original_height_px = 2000,
        .preview_width_px = 500,
        .preview_height_px = 700,
        .input_bytes = 5000000,
        .original_bytes = 9000000,
        .preview_bytes = 900000,
    };
}

/* ---- there and back */

static void options_cross(void **state)
{
    struct lab_message sent = {.type = LAB_WIRE_OPEN, .stream = 1};
    struct wire *wire = *state;
    struct lab_message got;
    char byte;

    transcode_options_default(&sent.options);
    sent.options.mode = TRANSCODE_BOX;
    sent.options.box_width_px = 2048;
    sent.options.box_height_px = 1024;
    sent.options.input_bytes_hint = 12345;
    sent.options.truncated_min_percent = 80;
    assert_int_equal(pipe2(sent.fds, O_CLOEXEC), 0);
    assert_int_equal(lab_wire_send(wire->ends[0], &sent, false), STATUS_OK);
    assert_int_equal(receive(wire, LAB_WIRE_TO_LAB, &got), STATUS_OK);
    assert_memory_equal(&got.options, &sent.options, sizeof(got.options));

    /* The descriptors are copies of the pipe's ends, in order. */
    assert_int_equal(write(got.fds[1], "x", 1), 1);
    assert_int_equal(read(sent.fds[0], &byte, 1), 1);
    assert_int_equal(fcntl(got.fds[0], F_GETFD), FD_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        close(sent.fds[i]);
        close(got.fds[i]);
    }
}

static void data_crosses(void **state)
{
    static uint8_t bytes[LAB_CHUNK_BYTES];
    struct lab_message sent = {
        .type = LAB_WIRE_DATA, .stream = UINT64_MAX, .bytes = bytes};
    static const size_t lengths[] = {1, 2, 4095, LAB_CHUNK_BYTES};
    struct lab_message got;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct wire *wire = *state;

        sent.len = lengths[i];
        assert_int_equal(lab_wire_send(wire->ends[0], &sent, false), STATUS_OK);
        assert_int_equal(receive(wire, LAB_WIRE_TO_LAB, &got), STATUS_OK);
        assert_int_equal(got.stream, UINT64_MAX);
        assert_int_equal(got.len, lengths[i]);
        assert_memory_equal(got.bytes, bytes, lengths[i]);
    }
}

static void reports_cross(void **state)
{
    struct lab_message sent = {.stream = 3, .report = good_report()};
    struct lab_message got;

    for (int i = 0; i < 2; i++) {
        sent.type = i == 0 ? LAB_WIRE_HEAD : LAB_WIRE_DONE;
        assert_int_equal(
            lab_wire_send(((struct wire *)*state)->ends[0], &sent, false),
            STATUS_OK);
        assert_int_equal(receive(*state, LAB_WIRE_FROM_LAB, &got), STATUS_OK);
        assert_int_equal(got.type, sent.type);
        assert_int_equal(got.report.source_type, IMAGE_TYPE_JPEG);
        assert_int_equal(got.report.source_width_px, 4000);
        assert_int_equal(got.report.source_height_px, 3000);
        assert_int_equal(got.report.orientation, 6);
        assert_true(got.report.progressive);
        assert_true(got.report.idat_copied);
        assert_false(got.report.preview_is_original);
        assert_int_equal(got.report.original_width_px, 1500);
        assert_int_equal(got.report.original_height_px, 2000);
        assert_int_equal(got.report.preview_width_px, 500);
        assert_int_equal(got.report.preview_height_px, 700);
        assert_int_equal(got.report.input_bytes, 5000000);
        assert_int_equal(got.report.original_bytes, 9000000);
        assert_int_equal(got.report.preview_bytes, 900000);
    }
}

static void small_messages_cross(void **state)
{
    struct lab_message got;

    pass(*state, LAB_WIRE_TO_LAB,
         &(struct lab_message){.type = LAB_WIRE_END, .stream = 5}, &got);
    pass(*state, LAB_WIRE_TO_LAB,
         &(struct lab_message){.type = LAB_WIRE_ABORT, .stream = 5}, &got);
    pass(*state, LAB_WIRE_TO_KEEPER,
         &(struct lab_message){.type = LAB_WIRE_NEW_LAB}, &got);
}

static void values_cross(void **state)
{
    struct wire *wire = *state;
    struct lab_message got;

    assert_int_equal(
        lab_wire_send(wire->ends[0],
                      &(struct lab_message){.type = LAB_WIRE_CREDIT,
                                            .stream = 1,
                                            .credit_bytes = LAB_WINDOW_BYTES},
                      false),
        STATUS_OK);
    assert_int_equal(receive(wire, LAB_WIRE_FROM_LAB, &got), STATUS_OK);
    assert_int_equal(got.credit_bytes, LAB_WINDOW_BYTES);

    assert_int_equal(
        lab_wire_send(wire->ends[0],
                      &(struct lab_message){.type = LAB_WIRE_FAIL,
                                            .stream = 1,
                                            .status = STATUS_IMAGE_BROKEN},
                      false),
        STATUS_OK);
    assert_int_equal(receive(wire, LAB_WIRE_FROM_LAB, &got), STATUS_OK);
    assert_int_equal(got.status, STATUS_IMAGE_BROKEN);

    assert_int_equal(lab_wire_send(wire->ends[0],
                                   &(struct lab_message){.type = LAB_WIRE_KILL,
                                                         .pid = 12345},
                                   false),
                     STATUS_OK);
    assert_int_equal(receive(wire, LAB_WIRE_TO_KEEPER, &got), STATUS_OK);
    assert_int_equal(got.pid, 12345);

    assert_int_equal(
        lab_wire_send(wire->ends[0],
                      &(struct lab_message){.type = LAB_WIRE_NO_LAB,
                                            .status = STATUS_NO_MEMORY},
                      false),
        STATUS_OK);
    assert_int_equal(receive(wire, LAB_WIRE_FROM_KEEPER, &got), STATUS_OK);
    assert_int_equal(got.status, STATUS_NO_MEMORY);
}

/* ---- what the socket says */

static void a_full_socket_is_busy(void **state)
{
    static const uint8_t bytes[LAB_CHUNK_BYTES];
    struct lab_message message = {.type = LAB_WIRE_DATA,
                                  .stream = 1,
                                  .bytes = bytes,
                                  .len = sizeof(bytes)};
    struct wire *wire = *state;
    enum status status;
    int sent = 0;

    while ((status = lab_wire_send(wire->ends[0], &message, false)) ==
           STATUS_OK)
        assert_true(++sent < 10000);
    assert_int_equal(status, STATUS_BUSY);
    while (sent-- > 0)
        assert_int_equal(receive(wire, LAB_WIRE_TO_LAB, &message), STATUS_OK);
    assert_int_equal(receive(wire, LAB_WIRE_TO_LAB, &message), STATUS_BUSY);
}

static void a_closed_socket_is_cut(void **state)
{
    struct lab_message message = {.type = LAB_WIRE_END, .stream = 1};
    struct wire *wire = *state;

    close(wire->ends[1]);
    assert_int_equal(lab_wire_send(wire->ends[0], &message, false), STATUS_CUT);
    assert_int_equal(lab_wire_recv(wire->ends[0], LAB_WIRE_TO_LAB,
                                   &wire->buffer, &message, true),
                     STATUS_CUT);
    wire->ends[1] = -1;
}

static void bad_messages_are_not_sent(void **state)
{
    static const struct lab_message bad[] = {
        {.type = 0},
        {.type = LAB_WIRE__COUNT},
        {.type = LAB_WIRE_END},               /* no stream */
        {.type = LAB_WIRE_KILL, .stream = 1}, /* a stream */
        {.type = LAB_WIRE_DATA, .stream = 1}, /* no bytes */
        {.type = LAB_WIRE_DATA, .stream = 1, .len = LAB_CHUNK_BYTES + 1},
    };
    struct wire *wire = *state;
    struct lab_message got;

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(lab_wire_send(wire->ends[0], &bad[i], false),
                         STATUS_BUG);
    assert_int_equal(receive(wire, LAB_WIRE_TO_LAB, &got), STATUS_BUSY);
}

/* ---- what must not pass */

/* Sends `len` bytes of `raw` with `fd_count` descriptors. */
static void send_raw(struct wire *wire, const struct raw *raw, size_t len,
                     size_t fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } room = {.bytes = {0}};
    struct raw copy = *raw;
    struct iovec iov = {&copy, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int fds[8];

    if (fd_count > 0) {
        struct cmsghdr *cmsg = &room.align;

        for (size_t i = 0; i < fd_count; i++)
            fds[i] = wire->ends[0];
        msg.msg_control = room.bytes;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
    }
    assert_int_equal(sendmsg(wire->ends[0], &msg, 0), (ssize_t)len);
}

static int next_fd(void)
{
    int fd = dup(0);

    assert_true(fd >= 0);
    close(fd);
    return fd;
}

/* Refused, and no descriptor of it stays open. */
static void refuse_with_fds(struct wire *wire, enum lab_wire_way way,
                            const struct raw *raw, size_t body_bytes,
                            size_t fd_count)
{
    struct lab_message got;
    int fd = next_fd();

    send_raw(wire, raw, HEADER_BYTES + body_bytes, fd_count);
    assert_int_equal(receive(wire, way, &got), STATUS_BAD_INPUT);
    assert_int_equal(next_fd(), fd);
}

static void refuse(struct wire *wire, enum lab_wire_way way,
                   const struct raw *raw, size_t body_bytes)
{
    refuse_with_fds(wire, way, raw, body_bytes, 0);
}

static void unknown_and_misdirected(void **state)
{
    static const enum lab_wire_way ways[] = {
        [LAB_WIRE_OPEN] = LAB_WIRE_TO_LAB,
        [LAB_WIRE_DATA] = LAB_WIRE_TO_LAB,
        [LAB_WIRE_END] = LAB_WIRE_TO_LAB,
        [LAB_WIRE_ABORT] = LAB_WIRE_TO_LAB,
        [LAB_WIRE_CREDIT] = LAB_WIRE_FROM_LAB,
        [LAB_WIRE_HEAD] = LAB_WIRE_FROM_LAB,
        [LAB_WIRE_DONE] = LAB_WIRE_FROM_LAB,
        [LAB_WIRE_FAIL] = LAB_WIRE_FROM_LAB,
        [LAB_WIRE_NEW_LAB] = LAB_WIRE_TO_KEEPER,
        [LAB_WIRE_KILL] = LAB_WIRE_TO_KEEPER,
        [LAB_WIRE_LAB] = LAB_WIRE_FROM_KEEPER,
        [LAB_WIRE_NO_LAB] = LAB_WIRE_FROM_KEEPER,
    };
    struct raw raw = {0};

    for (enum lab_wire_way way = LAB_WIRE_TO_LAB; way <= LAB_WIRE_FROM_KEEPER;
         way++) {
        raw.stream = way == LAB_WIRE_TO_LAB || way == LAB_WIRE_FROM_LAB;
        for (uint32_t type = 1; type < LAB_WIRE__COUNT; type++) {
            raw.type = type;
            raw.value = type == LAB_WIRE_KILL ? 2 : 0;
            if (ways[type] != way) {
                refuse(*state, way, &raw, 0);
                refuse(*state, way, &raw, OPTIONS_BYTES);
                refuse(*state, way, &raw, REPORT_BYTES);
            }
        }
        raw.type = 0;
        refuse(*state, way, &raw, 0);
        raw.type = LAB_WIRE__COUNT;
        refuse(*state, way, &raw, 0);
        raw.type = UINT32_MAX;
        refuse(*state, way, &raw, 0);
    }
}

static void wrong_lengths(void **state)
{
    struct raw raw = {.type = LAB_WIRE_DATA, .stream = 1};
    struct lab_message got;

    refuse(*state, LAB_WIRE_TO_LAB, &raw, 0);
    refuse(*state, LAB_WIRE_TO_LAB, &raw, LAB_CHUNK_BYTES + 1);
    raw.type = LAB_WIRE_END;
    refuse(*state, LAB_WIRE_TO_LAB, &raw, 1);
    raw.type = LAB_WIRE_OPEN;
    refuse_with_fds(*state, LAB_WIRE_TO_LAB, &raw, OPTIONS_BYTES - 1, 2);
    refuse_with_fds(*state, LAB_WIRE_TO_LAB, &raw, OPTIONS_BYTES + 1, 2);
    raw.type = LAB_WIRE_DONE;
    refuse(*state, LAB_WIRE_FROM_LAB, &raw, REPORT_BYTES - 1);
    refuse(*state, LAB_WIRE_FROM_LAB, &raw, REPORT_BYTES + 1);
    raw.type = LAB_WIRE_CREDIT;
    refuse(*state, LAB_WIRE_FROM_LAB, &raw, 8);
    for (size_t len = 1; len < HEADER_BYTES; len++) {
        send_raw(*state, &raw, len, 0);
        assert_int_equal(receive(*state, LAB_WIRE_FROM_LAB, &got),
                         STATUS_BAD_INPUT);
    }
}

static void wrong_streams_and_values(void **state)
{
    struct raw raw = {.type = LAB_WIRE_END};

    refuse(*state, LAB_WIRE_TO_LAB, &raw, 0);
    raw = (struct raw){.type = LAB_WIRE_END, .stream = 1, .value = 1};
    refuse(*state, LAB_WIRE_TO_LAB, &raw, 0);
    raw = (struct raw){
        .type = LAB_WIRE_CREDIT, .stream = 1, .value = LAB_WINDOW_BYTES + 1};
    refuse(*state, LAB_WIRE_FROM_LAB, &raw, 0);
    raw = (struct raw){.type = LAB_WIRE_NEW_LAB, .stream = 1};
    refuse(*state, LAB_WIRE_TO_KEEPER, &raw, 0);

    raw = (struct raw){.type = LAB_WIRE_KILL};
    refuse(*state, LAB_WIRE_TO_KEEPER, &raw, 0); /* pid 0: its own group */
    raw.value = 1;
    refuse(*state, LAB_WIRE_TO_KEEPER, &raw, 0);
    raw.value = UINT32_MAX; /* pid -1: everybody */
    refuse(*state, LAB_WIRE_TO_KEEPER, &raw, 0);
}

/* Only what a lab can know about: never, say, that a token has expired. */
static void wrong_statuses(void **state)
{
    static const uint32_t bad[] = {
        STATUS_OK,           STATUS_AGAIN,         STATUS_LAB_DIED,
        STATUS_UNAUTHORIZED, STATUS_TOKEN_EXPIRED, STATUS_POISON,
        STATUS_BUG,          STATUS__COUNT,        UINT32_MAX,
    };
    struct raw raw = {.type = LAB_WIRE_FAIL, .stream = 1};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        raw.value = bad[i];
        refuse(*state, LAB_WIRE_FROM_LAB, &raw, REPORT_BYTES);
    }
    raw = (struct raw){.type = LAB_WIRE_NO_LAB, .value = STATUS_OK};
    refuse(*state, LAB_WIRE_FROM_KEEPER, &raw, 0);
    raw.value = UINT32_MAX;
    refuse(*state, LAB_WIRE_FROM_KEEPER, &raw, 0);
}

/* Positions of the enum and boolean fields in a report's body. */
#define AT_SOURCE_TYPE 24
#define AT_ORIENTATION 36
#define AT_PROGRESSIVE 40
#define AT_PREVIEW_IS_ORIGINAL 44
#define AT_COLOUR_CONVERTED 64
#define AT_IDAT_COPIED 68
#define AT_DECODES 72
#define AT_DECODED_PERCENT 76

static void wrong_reports(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } bad[] = {
        {AT_SOURCE_TYPE, IMAGE_TYPE_GIF + 1},
        {AT_SOURCE_TYPE, UINT32_MAX},
        {AT_ORIENTATION, 9},
        {AT_ORIENTATION, 257},
        {AT_PROGRESSIVE, 2},
        {AT_PREVIEW_IS_ORIGINAL, 256},
        {AT_COLOUR_CONVERTED, 2},
        {AT_IDAT_COPIED, 2},
        {AT_DECODES, 5},
        {AT_DECODED_PERCENT, 101},
    };
    struct raw raw = {.type = LAB_WIRE_DONE, .stream = 1};
    struct lab_message got;

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        memset(raw.body, 0, REPORT_BYTES);
        memcpy(raw.body + bad[i].at, &bad[i].value, sizeof(bad[i].value));
        refuse(*state, LAB_WIRE_FROM_LAB, &raw, REPORT_BYTES);
    }
    memset(raw.body, 0, REPORT_BYTES);
    send_raw(*state, &raw, HEADER_BYTES + REPORT_BYTES, 0);
    assert_int_equal(receive(*state, LAB_WIRE_FROM_LAB, &got), STATUS_OK);
}

static void wrong_descriptors(void **state)
{
    struct lab_message open = {.type = LAB_WIRE_OPEN, .stream = 1};
    struct raw raw = {.type = LAB_WIRE_OPEN, .stream = 1};
    struct wire *wire = *state;
    struct lab_message got;

    /* The body of a good OPEN. */
    transcode_options_default(&open.options);
    open.fds[0] = open.fds[1] = wire->ends[0];
    assert_int_equal(lab_wire_send(wire->ends[0], &open, false), STATUS_OK);
    assert_int_equal(receive(wire, LAB_WIRE_TO_LAB, &got), STATUS_OK);
    close(got.fds[0]);
    close(got.fds[1]);
    memcpy(raw.body, wire->buffer.body, OPTIONS_BYTES);

    refuse_with_fds(wire, LAB_WIRE_TO_LAB, &raw, OPTIONS_BYTES, 0);
    refuse_with_fds(wire, LAB_WIRE_TO_LAB, &raw, OPTIONS_BYTES, 1);
    refuse_with_fds(wire, LAB_WIRE_TO_LAB, &raw, OPTIONS_BYTES, 3);
    refuse_with_fds(wire, LAB_WIRE_TO_LAB, &raw, OPTIONS_BYTES, 8);
    raw.type = LAB_WIRE_CREDIT;
    refuse_with_fds(wire, LAB_WIRE_FROM_LAB, &raw, 0, 1);
    raw.type = LAB_WIRE_END;
    refuse_with_fds(wire, LAB_WIRE_TO_LAB, &raw, 0, 2);
}

static void an_empty_message_leaks_nothing(void **state)
{
    const struct raw raw = {.type = LAB_WIRE_END};
    struct wire *wire = *state;
    struct lab_message got;
    int fd = next_fd();

    send_raw(wire, &raw, 0, 2);
    assert_int_equal(receive(wire, LAB_WIRE_FROM_LAB, &got), STATUS_BAD_INPUT);
    assert_int_equal(next_fd(), fd);
}

/* Its sender is not to blame. */
static void no_room_for_descriptors(void **state)
{
    const struct raw raw = {.type = LAB_WIRE_END};
    struct rlimit before, none;
    struct wire *wire = *state;
    struct lab_message got;
    enum status status;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    send_raw(wire, &raw, HEADER_BYTES, 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    status = receive(wire, LAB_WIRE_TO_LAB, &got);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, STATUS_NO_MEMORY);
}

/* ---- limits */

static void options_have_ceilings(void **state)
{
    struct transcode_options good, o;

    (void)state;
    transcode_options_default(&good);
    assert_true(lab_wire_options_ok(&good));
#define REFUSE(field, value)                                                   \
    do {                                                                       \
        o = good;                                                              \
        o.field = (value);                                                     \
        assert_false(lab_wire_options_ok(&o));                                 \
    } while (0)
    REFUSE(input_max_bytes, 0);
    REFUSE(input_max_bytes, (size_t)LAB_INPUT_MAX_BYTES + 1);
    REFUSE(original_max_bytes, 0);
    REFUSE(original_max_bytes, ORIGINAL_MAX_BYTES + 1);
    REFUSE(preview_max_bytes, 0);
    REFUSE(preview_max_bytes, PREVIEW_MAX_BYTES + 1);
    REFUSE(memory_max_bytes, 0);
    REFUSE(memory_max_bytes, (size_t)LAB_ADDRESS_SPACE_BYTES + 1);
    REFUSE(chunk_max_bytes, 0);
    REFUSE(chunk_max_bytes, SIZE_MAX);
    REFUSE(pixels_max, 0);
    REFUSE(pixels_max, UINT64_MAX);
    REFUSE(width_max_px, 0);
    REFUSE(width_max_px, IMAGE_SIDE_MAX + 1);
    REFUSE(height_max_px, 0);
    REFUSE(height_max_px, UINT32_MAX);
    REFUSE(preview_side_max_px, 0);
    REFUSE(preview_side_max_px, IMAGE_SIDE_MAX + 1);
    REFUSE(scans_max, 0);
    REFUSE(slice_px, 0);
    REFUSE(slice_px, (int64_t)IMAGE_PIXELS_MAX + 1);
    REFUSE(mode, TRANSCODE_BOX + 1);
    REFUSE(mode, TRANSCODE_BOX); /* without a box */
    REFUSE(truncated_min_percent, 101);
#undef REFUSE
}

static void reports_keep_to_the_limits(void **state)
{
    struct transcode_report good = good_report(), r;
    struct transcode_options options;

    (void)state;
    transcode_options_default(&options);
    options.pixels_max = 12000000;
    assert_true(lab_wire_head_ok(&good, &options));
    assert_true(lab_wire_done_ok(&good, &options, 5000000));
    assert_false(lab_wire_done_ok(&good, &options, 4999999));
#define REFUSE(field, value)                                                   \
    do {                                                                       \
        r = good;                                                              \
        r.field = (value);                                                     \
        assert_false(lab_wire_done_ok(&r, &options, 5000000));                 \
    } while (0)
    REFUSE(source_type, IMAGE_TYPE_UNKNOWN);
    REFUSE(source_width_px, 0);
    REFUSE(source_width_px, 4001); /* too many pixels */
    REFUSE(source_height_px, IMAGE_SIDE_MAX + 1);
    REFUSE(orientation, 0);
    REFUSE(original_width_px, 0);
    REFUSE(original_height_px, IMAGE_SIDE_MAX + 1);
    REFUSE(preview_width_px, 0);
    REFUSE(preview_height_px, UINT32_MAX);
    REFUSE(original_bytes, 0);
    REFUSE(original_bytes, ORIGINAL_MAX_BYTES + 1);
    REFUSE(preview_bytes, 0);
    REFUSE(preview_bytes, PREVIEW_MAX_BYTES + 1);
    REFUSE(preview_is_original, true); /* too large for that */
#undef REFUSE
    r = good;
    r.preview_is_original = true;
    r.preview_bytes = 0;
    r.original_bytes = PREVIEW_MAX_BYTES;
    assert_true(lab_wire_done_ok(&r, &options, 5000000));
    r.original_bytes++;
    assert_false(lab_wire_done_ok(&r, &options, 5000000));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(options_cross),
        TEST(data_crosses),
        TEST(reports_cross),
        TEST(small_messages_cross),
        TEST(values_cross),
        TEST(a_full_socket_is_busy),
        TEST(a_closed_socket_is_cut),
        TEST(bad_messages_are_not_sent),
        TEST(unknown_and_misdirected),
        TEST(wrong_lengths),
        TEST(wrong_streams_and_values),
        TEST(wrong_statuses),
        TEST(wrong_reports),
        TEST(wrong_descriptors),
        TEST(an_empty_message_leaks_nothing),
        TEST(no_room_for_descriptors),
        TEST(options_have_ceilings),
        TEST(reports_keep_to_the_limits),
    };

    return cmocka_run_group_tests_name("lab_wire", tests, NULL, NULL);
}
