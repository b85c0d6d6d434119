/*
 * lab_child.c: one thread, many pictures. Each turn takes all messages that
 * wait, then gives one slice of time (one transcode call, about 5 ms at most)
 * to the oldest picture that has work. It sleeps, in recvmsg, only when none
 * has.
 *
 *   free -> OPEN -> [ DATA into the ring -> push -> CREDIT ... -> END ] -> DONE
 *                         any time: FAIL on a bad picture, FAIL on ABORT
 *
 * A picture has work while its ring holds bytes, while transcode answered AGAIN
 * or when its input has ended. Oldest first means that of a burst the first
 * sender gets an answer soon, rather than all of them late.
 */
#include "lab_child.h"

#include <errno.h>
#include <unistd.h>

#include "lab_wire.h"

struct output {
    int fd; /* -1: none */
};

/* Input that was sent but not decoded; never more than the credit. */
struct ring {
    uint8_t bytes[LAB_WINDOW_BYTES];
    size_t start, len;
};

struct stream {
    uint64_t id; /* 0: free */
    struct transcode *transcode;
    struct output original, preview;
    struct ring *ring;
    bool again; /* transcode has work left */
    bool input_ended, end_told, head_sent;
};

struct lab_child {
    int fd;
    uint64_t last_id;
    int64_t last_sent_ms;
    struct stream streams[LAB_STREAMS_MAX];
    struct lab_wire_buffer buffer;
};

/* Anything but OK from here on ends the lab: CUT when the worker left,
 * BAD_INPUT for a broken protocol, BUG for a broken decoder. */
static enum status send_message(struct lab_child *lab,
                                const struct lab_message *message)
{
    lab->last_sent_ms = mono_ms();
    return lab_wire_send(lab->fd, message, true);
}

/* ---- output */

static enum status write_all(void *arg, const uint8_t *bytes, size_t len)
{
    const struct output *output = arg;

    while (len > 0) {
        ssize_t n = write(output->fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? status_from_errno(errno) : STATUS_NO_SPACE;
        bytes += n;
        len -= (size_t)n;
    }
    return STATUS_OK;
}

/* What was written did not fit: the file is as it was handed in. */
static enum status empty_output(void *arg)
{
    const struct output *output = arg;

    if (lseek(output->fd, 0, SEEK_SET) < 0 || ftruncate(output->fd, 0) < 0)
        return status_from_errno(errno);
    return STATUS_OK;
}

/* ---- ring */

static void ring_put(struct ring *ring, const uint8_t *bytes, size_t len)
{
    size_t at = (ring->start + ring->len) % sizeof(ring->bytes);
    size_t first = size_min(len, sizeof(ring->bytes) - at);

    memcpy(ring->bytes + at, bytes, first);
    memcpy(ring->bytes, bytes + first, len - first);
    ring->len += len;
}

static size_t ring_front(const struct ring *ring, const uint8_t **bytes)
{
    *bytes = ring->bytes + ring->start;
    return size_min(ring->len, sizeof(ring->bytes) - ring->start);
}

static void ring_drop(struct ring *ring, size_t len)
{
    ring->start = (ring->start + len) % sizeof(ring->bytes);
    ring->len -= len;
}

/* ---- streams */

static struct stream *find_stream(struct lab_child *lab, uint64_t id)
{
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        if (lab->streams[i].id == id)
            return &lab->streams[i];
    }
    return NULL;
}

static void close_outputs(struct stream *stream)
{
    if (stream->original.fd >= 0)
        close(stream->original.fd);
    if (stream->preview.fd >= 0)
        close(stream->preview.fd);
    stream->original.fd = -1;
    stream->preview.fd = -1;
}

static void release_stream(struct stream *stream)
{
    transcode_free(stream->transcode);
    free(stream->ring);
    close_outputs(stream);
    *stream = (struct stream){.original.fd = -1, .preview.fd = -1};
}

static enum status fail_stream(struct lab_child *lab, struct stream *stream,
                               enum status why)
{
    struct lab_message message = {
        .type = LAB_WIRE_FAIL, .stream = stream->id, .status = why};

    if (stream->transcode != NULL)
        message.report = *transcode_report(stream->transcode);
    release_stream(stream);
    if (!lab_wire_status_ok(why))
        return STATUS_BUG;
    return send_message(lab, &message);
}

static enum status send_report(struct lab_child *lab, enum lab_wire_type type,
                               const struct stream *stream)
{
    const struct lab_message message = {
        .type = type,
        .stream = stream->id,
        .report = *transcode_report(stream->transcode)};

    return send_message(lab, &message);
}

/* The store publishes no file that somebody may still write to. */
static enum status finish_stream(struct lab_child *lab, struct stream *stream)
{
    enum status status;

    close_outputs(stream);
    status = send_report(lab, LAB_WIRE_DONE, stream);
    release_stream(stream);
    return status;
}

static enum status open_stream(struct lab_child *lab,
                               const struct lab_message *message)
{
    struct stream *stream = find_stream(lab, 0);
    struct transcode_sinks sinks;
    enum status status;

    if (stream == NULL || message->stream <= lab->last_id) {
        close(message->fds[0]);
        close(message->fds[1]);
        return STATUS_BAD_INPUT;
    }
    lab->last_id = message->stream;
    stream->id = message->stream;
    stream->original.fd = message->fds[0];
    stream->preview.fd = message->fds[1];
    sinks = (struct transcode_sinks){
        .original = write_all,
        .original_arg = &stream->original,
        .preview = write_all,
        .preview_arg = &stream->preview,
        .restart = empty_output,
    };
    stream->ring = calloc(1, sizeof(*stream->ring));
    if (stream->ring == NULL)
        return fail_stream(lab, stream, STATUS_NO_MEMORY);
    status = transcode_new(&stream->transcode, &message->options, &sinks);
    if (status != STATUS_OK)
        return fail_stream(lab, stream, status);
    return STATUS_OK;
}

/* ---- messages */

static enum status take_input(struct lab_child *lab, struct stream *stream,
                              const struct lab_message *message)
{
    switch (message->type) {
    case LAB_WIRE_DATA:
        if (stream->input_ended ||
            message->len > sizeof(stream->ring->bytes) - stream->ring->len)
            return STATUS_BAD_INPUT;
        ring_put(stream->ring, message->bytes, message->len);
        return STATUS_OK;
    case LAB_WIRE_END:
        if (stream->input_ended)
            return STATUS_BAD_INPUT;
        stream->input_ended = true;
        return STATUS_OK;
    case LAB_WIRE_ABORT:
        return fail_stream(lab, stream, STATUS_STOPPING);
    default:
        return STATUS_BAD_INPUT;
    }
}

static enum status take_message(struct lab_child *lab,
                                const struct lab_message *message)
{
    struct stream *stream;

    if (message->type == LAB_WIRE_OPEN)
        return open_stream(lab, message);
    stream = find_stream(lab, message->stream);
    if (stream != NULL)
        return take_input(lab, stream, message);
    /* It ended here while this was on its way. */
    return message->stream <= lab->last_id ? STATUS_OK : STATUS_BAD_INPUT;
}

static enum status take_messages(struct lab_child *lab, bool wait)
{
    struct lab_message message;
    enum status status;

    do {
        status = lab_wire_recv(lab->fd, LAB_WIRE_TO_LAB, &lab->buffer, &message,
                               wait);
        if (status == STATUS_OK)
            status = take_message(lab, &message);
        wait = false;
    } while (status == STATUS_OK);
    return status == STATUS_BUSY ? STATUS_OK : status;
}

/* ---- work */

static bool has_work(const struct stream *stream)
{
    return stream->id != 0 &&
           (stream->again || stream->ring->len > 0 || stream->input_ended);
}

static struct stream *oldest_with_work(struct lab_child *lab)
{
    struct stream *oldest = NULL;

    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        struct stream *stream = &lab->streams[i];

        if (has_work(stream) && (oldest == NULL || stream->id < oldest->id))
            oldest = stream;
    }
    return oldest;
}

static enum status push_front(struct stream *stream, size_t *taken)
{
    const uint8_t *bytes;
    size_t len = ring_front(stream->ring, &bytes);
    enum status status;

    len = size_min(len, LAB_CHUNK_BYTES);
    status = transcode_push(stream->transcode, bytes, len);
    ring_drop(stream->ring, len);
    *taken = len;
    return status;
}

/* One call of transcode; `taken` says how much input went in. */
static enum status run_slice(struct stream *stream, size_t *taken)
{
    if (stream->again)
        return transcode_run(stream->transcode);
    if (stream->ring->len > 0)
        return push_front(stream, taken);
    stream->end_told = true;
    return transcode_end(stream->transcode);
}

/* HEAD as soon as the dimensions are known. CREDIT for what was taken; one of 0
 * bytes when nothing else was said for a while. */
static enum status tell_progress(struct lab_child *lab, struct stream *stream,
                                 size_t taken)
{
    struct lab_message credit = {.type = LAB_WIRE_CREDIT,
                                 .stream = stream->id,
                                 .credit_bytes = (uint32_t)taken};

    if (!stream->head_sent &&
        transcode_report(stream->transcode)->source_width_px != 0) {
        enum status status = send_report(lab, LAB_WIRE_HEAD, stream);

        if (status != STATUS_OK)
            return status;
        stream->head_sent = true;
    }
    if (taken == 0 && mono_ms() - lab->last_sent_ms < LAB_SIGN_MS)
        return STATUS_OK;
    return send_message(lab, &credit);
}

static enum status work_on(struct lab_child *lab, struct stream *stream)
{
    size_t taken = 0;
    enum status result = run_slice(stream, &taken);
    enum status status;

    if (result != STATUS_OK && result != STATUS_MORE && result != STATUS_AGAIN)
        return fail_stream(lab, stream, result);
    if (result == STATUS_MORE && stream->end_told)
        return STATUS_BUG;
    stream->again = result == STATUS_AGAIN;
    status = tell_progress(lab, stream, taken);
    if (status != STATUS_OK || result != STATUS_OK)
        return status;
    return finish_stream(lab, stream);
}

int lab_child_run(int socket_fd)
{
    struct lab_child lab = {.fd = socket_fd, .last_sent_ms = mono_ms()};
    enum status status;

    for (size_t i = 0; i < LAB_STREAMS_MAX; i++)
        lab.streams[i].original.fd = lab.streams[i].preview.fd = -1;
    do {
        struct stream *stream = oldest_with_work(&lab);

        status = take_messages(&lab, stream == NULL);
        if (status != STATUS_OK)
            break;
        stream = oldest_with_work(&lab);
        if (stream != NULL)
            status = work_on(&lab, stream);
    } while (status == STATUS_OK);
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++)
        release_stream(&lab.streams[i]);
    if (status == STATUS_CUT)
        return LAB_EXIT_DONE;
    return status == STATUS_BUG ? LAB_EXIT_BUG : LAB_EXIT_PROTOCOL;
}

/* ---- self-test */

/* A gray JPEG of 8 by 8 pixels (ITU-T T.81 annex B). */
static const uint8_t gray_jpeg[] = {
    0xff, 0xd8, /* SOI */
    /* DQT: table 0, all steps 1 */
    0xff, 0xdb, 0x00, 0x43, 0x00, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    /* SOF0: 8 bits, 8 by 8, one component */
    0xff, 0xc0, 0x00, 0x0b, 8, 0, 8, 0, 8, 1, 1, 0x11, 0,
    /* DHT: DC table 0 and AC table 0, one code each, symbol 0 */
    0xff, 0xc4, 0x00, 0x14, 0x00, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0xff, 0xc4, 0x00, 0x14, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0,
    /* SOS, one block: no DC difference, end of block */
    0xff, 0xda, 0x00, 0x08, 1, 1, 0x00, 0, 63, 0, 0x3f, 0xff, 0xd9, /* EOI */
};

static enum status write_nothing(void *arg, const uint8_t *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return STATUS_OK;
}

enum status lab_child_self_test(void)
{
    const struct transcode_sinks sinks = {.original = write_nothing,
                                          .preview = write_nothing};
    struct transcode_options options;
    struct transcode *transcode = NULL;
    enum status status;

    transcode_options_default(&options);
    status = transcode_new(&transcode, &options, &sinks);
    if (status != STATUS_OK)
        return status;
    status = transcode_push(transcode, gray_jpeg, sizeof(gray_jpeg));
    while (status == STATUS_AGAIN)
        status = transcode_run(transcode);
    if (status == STATUS_MORE)
        status = transcode_end(transcode);
    while (status == STATUS_AGAIN)
        status = transcode_run(transcode);
    transcode_free(transcode);
    return status;
}
