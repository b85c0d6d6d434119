/*
 * lab_wire.c: one table says for each type which way it goes, how long its body
 * is and how many descriptors come with it. Sending and receiving both go
 * through it, so an end cannot send what the other would refuse.
 *
 *   header   type u32, value u32, stream u64
 *   body     OPEN: struct wire_options; HEAD, DONE, FAIL: struct
 *            wire_report;
 *            DATA: the bytes; else nothing
 *
 * `value` is the credit, the status or the pid; 0 where a type has none.
 */
#include "lab_wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct wire_header {
    uint32_t type;
    uint32_t value;
    uint64_t stream;
};
_Static_assert(sizeof(struct wire_header) == 16, "no padding");

struct wire_options {
    uint64_t input_max_bytes;
    uint64_t original_max_bytes;
    uint64_t preview_max_bytes;
    uint64_t memory_max_bytes;
    uint64_t chunk_max_bytes;
    uint64_t pixels_max;
    uint32_t width_max_px;
    uint32_t height_max_px;
    uint32_t preview_side_max_px;
    uint32_t scans_max;
    int64_t slice_px;
    uint64_t input_bytes_hint;
    uint32_t mode;
    uint32_t box_width_px;
    uint32_t box_height_px;
    uint32_t truncated_min_percent;
    uint32_t webp;
    uint32_t gif;
};
_Static_assert(sizeof(struct wire_options) == 104, "no padding");

struct wire_report {
    uint64_t input_bytes;
    uint64_t original_bytes;
    uint64_t preview_bytes;
    uint32_t source_type;
    uint32_t source_width_px;
    uint32_t source_height_px;
    uint32_t orientation;
    uint32_t progressive;
    uint32_t preview_is_original;
    uint32_t original_width_px;
    uint32_t original_height_px;
    uint32_t preview_width_px;
    uint32_t preview_height_px;
    uint32_t colour_converted;
    uint32_t idat_copied;
    uint32_t decodes;
    uint32_t decoded_percent;
};
_Static_assert(sizeof(struct wire_report) == 80, "no padding");

struct wire_form {
    enum lab_wire_way way;
    size_t body_min_bytes, body_max_bytes;
    size_t fd_count;
};

#define OPTIONS_BYTES sizeof(struct wire_options)
#define REPORT_BYTES sizeof(struct wire_report)

static const struct wire_form forms[LAB_WIRE__COUNT] = {
    [LAB_WIRE_OPEN] = {LAB_WIRE_TO_LAB, OPTIONS_BYTES, OPTIONS_BYTES, 2},
    [LAB_WIRE_DATA] = {LAB_WIRE_TO_LAB, 1, LAB_CHUNK_BYTES, 0},
    [LAB_WIRE_END] = {LAB_WIRE_TO_LAB, 0, 0, 0},
    [LAB_WIRE_ABORT] = {LAB_WIRE_TO_LAB, 0, 0, 0},
    [LAB_WIRE_CREDIT] = {LAB_WIRE_FROM_LAB, 0, 0, 0},
    [LAB_WIRE_HEAD] = {LAB_WIRE_FROM_LAB, REPORT_BYTES, REPORT_BYTES, 0},
    [LAB_WIRE_DONE] = {LAB_WIRE_FROM_LAB, REPORT_BYTES, REPORT_BYTES, 0},
    [LAB_WIRE_FAIL] = {LAB_WIRE_FROM_LAB, REPORT_BYTES, REPORT_BYTES, 0},
    [LAB_WIRE_NEW_LAB] = {LAB_WIRE_TO_KEEPER, 0, 0, 0},
    [LAB_WIRE_KILL] = {LAB_WIRE_TO_KEEPER, 0, 0, 0},
    [LAB_WIRE_LAB] = {LAB_WIRE_FROM_KEEPER, 0, 0, 1},
    [LAB_WIRE_NO_LAB] = {LAB_WIRE_FROM_KEEPER, 0, 0, 0},
};

/* ---- what the values may be */

bool lab_wire_options_ok(const struct transcode_options *o)
{
    return o->input_max_bytes > 0 &&
           o->input_max_bytes <= LAB_INPUT_MAX_BYTES &&
           o->original_max_bytes > 0 &&
           o->original_max_bytes <= ORIGINAL_MAX_BYTES &&
           o->preview_max_bytes > 0 &&
           o->preview_max_bytes <= PREVIEW_MAX_BYTES &&
           o->memory_max_bytes > 0 &&
           o->memory_max_bytes <= LAB_ADDRESS_SPACE_BYTES &&
           o->chunk_max_bytes > 0 &&
           o->chunk_max_bytes <= LAB_ADDRESS_SPACE_BYTES && o->pixels_max > 0 &&
           o->pixels_max <= (uint64_t)IMAGE_SIDE_MAX * IMAGE_SIDE_MAX &&
           o->width_max_px > 0 && o->width_max_px <= IMAGE_SIDE_MAX &&
           o->height_max_px > 0 && o->height_max_px <= IMAGE_SIDE_MAX &&
           o->preview_side_max_px > 0 &&
           o->preview_side_max_px <= IMAGE_SIDE_MAX && o->scans_max > 0 &&
           o->slice_px > 0 && o->slice_px <= IMAGE_PIXELS_MAX &&
           o->mode <= TRANSCODE_BOX && o->truncated_min_percent <= 100 &&
           (o->mode != TRANSCODE_BOX ||
            (o->box_width_px > 0 && o->box_height_px > 0));
}

bool lab_wire_status_ok(enum status status)
{
    switch (status) {
    case STATUS_NO_MEMORY:
    case STATUS_NO_SPACE:
    case STATUS_IO:
    case STATUS_STOPPING:
    case STATUS_EMPTY:
    case STATUS_TOO_LARGE:
    case STATUS_NOT_AN_IMAGE:
    case STATUS_IMAGE_BROKEN:
    case STATUS_IMAGE_TRUNCATED:
    case STATUS_IMAGE_UNSUPPORTED:
    case STATUS_IMAGE_TOO_MANY_PIXELS:
    case STATUS_IMAGE_TOO_WIDE:
    case STATUS_IMAGE_TOO_HIGH:
    case STATUS_IMAGE_TOO_MANY_SCANS:
    case STATUS_IMAGE_TOO_MUCH_MEMORY:
    case STATUS_IMAGE_CHUNK_TOO_LARGE:
        return true;
    default:
        return false;
    }
}

static bool side_ok(uint32_t side_px, uint32_t max_px)
{
    return side_px > 0 && side_px <= max_px;
}

bool lab_wire_head_ok(const struct transcode_report *report,
                      const struct transcode_options *options)
{
    return report->source_type != IMAGE_TYPE_UNKNOWN &&
           side_ok(report->source_width_px, options->width_max_px) &&
           side_ok(report->source_height_px, options->height_max_px) &&
           (uint64_t)report->source_width_px * report->source_height_px <=
               options->pixels_max;
}

/* One file for both has to keep to both limits. */
static bool sizes_ok(const struct transcode_report *report,
                     const struct transcode_options *options)
{
    if (report->preview_is_original)
        return report->original_bytes <= options->original_max_bytes &&
               report->original_bytes <= options->preview_max_bytes &&
               report->preview_bytes == 0;
    return report->original_bytes <= options->original_max_bytes &&
           report->preview_bytes <= options->preview_max_bytes &&
           report->preview_bytes > 0;
}

bool lab_wire_done_ok(const struct transcode_report *report,
                      const struct transcode_options *options,
                      uint64_t sent_bytes)
{
    return lab_wire_head_ok(report, options) && report->orientation >= 1 &&
           report->input_bytes <= sent_bytes && report->original_bytes > 0 &&
           sizes_ok(report, options) &&
           side_ok(report->original_width_px, IMAGE_SIDE_MAX) &&
           side_ok(report->original_height_px, IMAGE_SIDE_MAX) &&
           side_ok(report->preview_width_px, IMAGE_SIDE_MAX) &&
           side_ok(report->preview_height_px, IMAGE_SIDE_MAX);
}

/* ---- options and reports as they cross */

static void options_put(struct wire_options *w,
                        const struct transcode_options *o)
{
    *w = (struct wire_options){
        .input_max_bytes = o->input_max_bytes,
        .original_max_bytes = o->original_max_bytes,
        .preview_max_bytes = o->preview_max_bytes,
        .memory_max_bytes = o->memory_max_bytes,
        .chunk_max_bytes = o->chunk_max_bytes,
        .pixels_max = o->pixels_max,
        .width_max_px = o->width_max_px,
        .height_max_px = o->height_max_px,
        .preview_side_max_px = o->preview_side_max_px,
        .scans_max = o->scans_max,
        .slice_px = o->slice_px,
        .input_bytes_hint = o->input_bytes_hint,
        .mode = (uint32_t)o->mode,
        .box_width_px = o->box_width_px,
        .box_height_px = o->box_height_px,
        .truncated_min_percent = o->truncated_min_percent,
        .webp = o->webp,
        .gif = o->gif,
    };
}

static bool options_get(const uint8_t *body, struct transcode_options *o)
{
    struct wire_options w;

    memcpy(&w, body, sizeof(w));
    if (w.mode > TRANSCODE_BOX || w.truncated_min_percent > 100 || w.webp > 1 ||
        w.gif > 1)
        return false;
    *o = (struct transcode_options){
        .input_max_bytes = w.input_max_bytes,
        .original_max_bytes = w.original_max_bytes,
        .preview_max_bytes = w.preview_max_bytes,
        .memory_max_bytes = w.memory_max_bytes,
        .chunk_max_bytes = w.chunk_max_bytes,
        .pixels_max = w.pixels_max,
        .width_max_px = w.width_max_px,
        .height_max_px = w.height_max_px,
        .preview_side_max_px = w.preview_side_max_px,
        .scans_max = w.scans_max,
        .slice_px = w.slice_px,
        .input_bytes_hint = w.input_bytes_hint,
        .mode = (enum transcode_mode)w.mode,
        .box_width_px = w.box_width_px,
        .box_height_px = w.box_height_px,
        .truncated_min_percent = (uint8_t)w.truncated_min_percent,
        .webp = w.webp == 1,
        .gif = w.gif == 1,
    };
    return lab_wire_options_ok(o);
}

static void report_put(struct wire_report *w, const struct transcode_report *r)
{
    *w = (struct wire_report){
        .input_bytes = r->input_bytes,
        .original_bytes = r->original_bytes,
        .preview_bytes = r->preview_bytes,
        .source_type = (uint32_t)r->source_type,
        .source_width_px = r->source_width_px,
        .source_height_px = r->source_height_px,
        .orientation = r->orientation,
        .progressive = r->progressive,
        .preview_is_original = r->preview_is_original,
        .original_width_px = r->original_width_px,
        .original_height_px = r->original_height_px,
        .preview_width_px = r->preview_width_px,
        .preview_height_px = r->preview_height_px,
        .colour_converted = r->colour_converted,
        .idat_copied = r->idat_copied,
        .decodes = r->decodes,
        .decoded_percent = r->decoded_percent,
    };
}

static bool report_get(const uint8_t *body, struct transcode_report *r)
{
    struct wire_report w;

    memcpy(&w, body, sizeof(w));
    if (w.source_type > IMAGE_TYPE_GIF || w.orientation > 8 ||
        w.progressive > 1 || w.preview_is_original > 1 ||
        w.colour_converted > 1 || w.idat_copied > 1 || w.decodes > 4 ||
        w.decoded_percent > 100)
        return false;
    *r = (struct transcode_report){
        .source_type = (enum image_type)w.source_type,
        .source_width_px = w.source_width_px,
        .source_height_px = w.source_height_px,
        .orientation = (uint8_t)w.orientation,
        .progressive = w.progressive == 1,
        .preview_is_original = w.preview_is_original == 1,
        .original_width_px = w.original_width_px,
        .original_height_px = w.original_height_px,
        .preview_width_px = w.preview_width_px,
        .preview_height_px = w.preview_height_px,
        .colour_converted = w.colour_converted == 1,
        .idat_copied = w.idat_copied == 1,
        .decodes = (uint8_t)w.decodes,
        .decoded_percent = (uint8_t)w.decoded_percent,
        .input_bytes = w.input_bytes,
        .original_bytes = w.original_bytes,
        .preview_bytes = w.preview_bytes,
    };
    return true;
}

/* ---- header */

static bool has_status(enum lab_wire_type type)
{
    return type == LAB_WIRE_FAIL || type == LAB_WIRE_NO_LAB;
}

static bool has_pid(enum lab_wire_type type)
{
    return type == LAB_WIRE_KILL || type == LAB_WIRE_LAB;
}

static uint32_t value_put(const struct lab_message *message)
{
    if (message->type == LAB_WIRE_CREDIT)
        return message->credit_bytes;
    if (has_status(message->type))
        return (uint32_t)message->status;
    if (has_pid(message->type))
        return (uint32_t)message->pid;
    return 0;
}

static bool value_get(struct lab_message *message, uint32_t value)
{
    if (message->type == LAB_WIRE_CREDIT) {
        message->credit_bytes = value;
        return value <= LAB_WINDOW_BYTES;
    }
    if (message->type == LAB_WIRE_FAIL) {
        message->status = (enum status)value;
        return value < STATUS__COUNT && lab_wire_status_ok(message->status);
    }
    if (message->type == LAB_WIRE_NO_LAB) {
        message->status = (enum status)value;
        return value < STATUS__COUNT && status_is_retry(message->status);
    }
    if (has_pid(message->type)) {
        message->pid = (pid_t)value;
        return value > 1 && value <= INT32_MAX;
    }
    return value == 0;
}

static bool stream_ok(enum lab_wire_way way, uint64_t stream)
{
    bool wanted = way == LAB_WIRE_TO_LAB || way == LAB_WIRE_FROM_LAB;

    return (stream != 0) == wanted;
}

/* ---- sending */

union wire_body {
    struct wire_options options;
    struct wire_report report;
};

/* Points `iov` at the body of `message`, built in `body` where it must be. */
static void body_put(const struct lab_message *message, union wire_body *body,
                     struct iovec *iov)
{
    *iov = (struct iovec){body, 0};
    switch (message->type) {
    case LAB_WIRE_OPEN:
        options_put(&body->options, &message->options);
        iov->iov_len = sizeof(body->options);
        break;
    case LAB_WIRE_HEAD:
    case LAB_WIRE_DONE:
    case LAB_WIRE_FAIL:
        report_put(&body->report, &message->report);
        iov->iov_len = sizeof(body->report);
        break;
    case LAB_WIRE_DATA:
        /* sendmsg() only reads, but struct iovec serves both directions. */
        memcpy(&iov->iov_base, &message->bytes, sizeof(iov->iov_base));
        iov->iov_len = message->len;
        break;
    default:
        break;
    }
}

union fd_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(LAB_WIRE_FDS_MAX * sizeof(int))];
};

static void fds_put(struct msghdr *msg, union fd_room *room, const int *fds,
                    size_t count)
{
    struct cmsghdr *cmsg;

    if (count == 0)
        return;
    *room = (union fd_room){.bytes = {0}};
    msg->msg_control = room->bytes;
    msg->msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsg = CMSG_FIRSTHDR(msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
}

static enum status status_from_socket(int err)
{
    switch (err) {
    case EAGAIN:
        return STATUS_BUSY;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return STATUS_CUT;
    case ENOBUFS:
        return STATUS_NO_MEMORY;
    default:
        return status_from_errno(err);
    }
}

enum status lab_wire_send(int fd, const struct lab_message *message, bool wait)
{
    struct wire_header header = {(uint32_t)message->type, value_put(message),
                                 message->stream};
    union wire_body body;
    union fd_room room;
    struct iovec iov[2] = {{&header, sizeof(header)}, {NULL, 0}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    const struct wire_form *form;
    ssize_t n;

    if (message->type < 1 || message->type >= LAB_WIRE__COUNT)
        return STATUS_BUG;
    form = &forms[message->type];
    body_put(message, &body, &iov[1]);
    if (iov[1].iov_len < form->body_min_bytes ||
        iov[1].iov_len > form->body_max_bytes ||
        !stream_ok(form->way, message->stream))
        return STATUS_BUG;
    fds_put(&msg, &room, message->fds, form->fd_count);
    do {
        n = sendmsg(fd, &msg, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    } while (n < 0 && errno == EINTR);
    return n < 0 ? status_from_socket(errno) : STATUS_OK;
}

/* ---- receiving */

static size_t fds_get(struct msghdr *msg, int *fds)
{
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
    size_t count;

    if (cmsg == NULL || cmsg->cmsg_level != SOL_SOCKET ||
        cmsg->cmsg_type != SCM_RIGHTS)
        return 0;
    count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(cmsg), count * sizeof(int));
    return count;
}

static bool body_get(struct lab_message *message, const uint8_t *body,
                     size_t len)
{
    switch (message->type) {
    case LAB_WIRE_OPEN:
        return options_get(body, &message->options);
    case LAB_WIRE_HEAD:
    case LAB_WIRE_DONE:
    case LAB_WIRE_FAIL:
        return report_get(body, &message->report);
    case LAB_WIRE_DATA:
        message->bytes = body;
        message->len = len;
        return true;
    default:
        return true;
    }
}

static bool message_get(struct lab_message *message, enum lab_wire_way way,
                        const struct wire_header *header, const uint8_t *body,
                        size_t len, size_t fd_count)
{
    const struct wire_form *form;

    if (header->type < 1 || header->type >= LAB_WIRE__COUNT)
        return false;
    form = &forms[header->type];
    message->type = (enum lab_wire_type)header->type;
    message->stream = header->stream;
    return form->way == way && len >= form->body_min_bytes &&
           len <= form->body_max_bytes && fd_count == form->fd_count &&
           stream_ok(way, header->stream) &&
           value_get(message, header->value) && body_get(message, body, len);
}

enum status lab_wire_recv(int fd, enum lab_wire_way way,
                          struct lab_wire_buffer *buffer,
                          struct lab_message *message, bool wait)
{
    struct wire_header header;
    union fd_room room;
    struct iovec iov[2] = {{&header, sizeof(header)},
                           {buffer->body, sizeof(buffer->body)}};
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = 2,
                         .msg_control = room.bytes,
                         .msg_controllen = sizeof(room.bytes)};
    size_t fd_count;
    ssize_t n;

    *message = (struct lab_message){.fds = {-1, -1}};
    do {
        n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return status_from_socket(errno);
    fd_count = fds_get(&msg, message->fds);
    if (n == 0 && fd_count == 0)
        return STATUS_CUT;
    if ((size_t)n >= sizeof(header) &&
        (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
        message_get(message, way, &header, buffer->body,
                    (size_t)n - sizeof(header), fd_count))
        return STATUS_OK;
    for (size_t i = 0; i < fd_count; i++)
        close(message->fds[i]);
    message->fds[0] = message->fds[1] = -1;
    if ((msg.msg_flags & MSG_CTRUNC) != 0 && fd_count < LAB_WIRE_FDS_MAX)
        return STATUS_NO_MEMORY;
    return STATUS_BAD_INPUT;
}
