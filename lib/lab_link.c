/*
 * lab_link.c: the protocol of lab_wire.h from the worker's side.
 *
 * Slot:  free -> [OPEN] -> [DATA while there is credit]* -> [END] -> DONE, FAIL
 *                      any time: [ABORT] -> FAIL
 *
 * Everything in brackets waits, if the socket is full, for EPOLLOUT; what is
 * to be sent follows from the slot's flags and the stream's backlog, so there
 * is no queue of messages.
 */
#include "lab_link.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Messages in one go, before other descriptors have their turn. */
#define MESSAGES_PER_TURN 64

/* All windows of a lab and the kernel's overhead, so that a full socket is
 * rare; what the kernel grants may be less. */
#define SOCKET_BYTES (2 * LAB_STREAMS_MAX * LAB_WINDOW_BYTES)

size_t lab_link_used(const struct lab_link *link)
{
    size_t used = 0;

    for (size_t i = 0; i < LAB_STREAMS_MAX; i++)
        used += link->slots[i].used;
    return used;
}

bool lab_link_has_alone(const struct lab_link *link)
{
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        if (link->slots[i].used && link->slots[i].alone)
            return true;
    }
    return false;
}

static struct lab_slot *free_slot(struct lab_link *link)
{
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        if (!link->slots[i].used)
            return &link->slots[i];
    }
    return NULL;
}

/* The picture the lab calls `id`, which is not 0. */
static struct lab_slot *find_slot(struct lab_link *link, uint64_t id)
{
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        if (link->slots[i].id == id)
            return &link->slots[i];
    }
    return NULL;
}

/* ---- signs of life */

static bool slot_has_work(const struct lab_slot *slot)
{
    return slot->used &&
           (slot->unseen_bytes > 0 || slot->end_sent || slot->abort_sent);
}

static bool has_work(const struct lab_link *link)
{
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        if (slot_has_work(&link->slots[i]))
            return true;
    }
    return false;
}

void lab_link_forgive(struct lab_link *link, int64_t now_ms, int64_t late_ms)
{
    link->last_sign_ms = int64_min(now_ms, link->last_sign_ms + late_ms);
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        struct lab_slot *slot = &link->slots[i];

        slot->aborted_ms = int64_min(now_ms, slot->aborted_ms + late_ms);
    }
}

const char *lab_link_stalled(const struct lab_link *link, int64_t now_ms,
                             int64_t stall_ms)
{
    if (!has_work(link))
        return NULL;
    if (now_ms - link->last_sign_ms >= stall_ms)
        return "no sign of life";
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        const struct lab_slot *slot = &link->slots[i];

        if (slot->abort_sent && now_ms - slot->aborted_ms >= stall_ms)
            return "abort not obeyed";
    }
    return NULL;
}

/* ---- sending */

static void set_writable(struct lab_link *link, bool wanted)
{
    uint32_t events = EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0);

    if (link->wants_writable == wanted)
        return;
    link->wants_writable = wanted;
    if (loop_rewatch(lab_loop(link->lab), &link->watch, events) != STATUS_OK) {
        link->failed = true;
        lab_wake(link->lab);
    }
}

/* True when it went. When not, EPOLLOUT comes, or the end of the link: a lab
 * that is gone shows as end of file, everything else as `failed`. */
static bool send_message(struct lab_link *link,
                         const struct lab_message *message)
{
    bool was_idle = !has_work(link);
    enum status status;

    if (link->failed)
        return false;
    status = lab_wire_send(link->fd, message, false);
    if (status == STATUS_OK) {
        if (was_idle)
            link->last_sign_ms = loop_now_ms(lab_loop(link->lab));
        return true;
    }
    if (status == STATUS_BUSY) {
        set_writable(link, true);
    } else if (status != STATUS_CUT) {
        link->failed = true;
        lab_wake(link->lab);
    }
    return false;
}

/* Numbers follow the order in which the messages leave, not that in which slots
 * were taken: the lab insists on it, and a full socket may change it. */
static bool send_open(struct lab_link *link, struct lab_slot *slot)
{
    const struct lab_request *request = &slot->stream->request;
    const struct lab_message message = {
        .type = LAB_WIRE_OPEN,
        .stream = link->last_id + 1,
        .options = request->limits,
        .fds = {request->original_fd, request->preview_fd},
    };

    if (!send_message(link, &message))
        return false;
    slot->id = ++link->last_id;
    return true;
}

static bool send_mark(struct lab_link *link, struct lab_slot *slot,
                      enum lab_wire_type type)
{
    const struct lab_message message = {.type = type, .stream = slot->id};

    return send_message(link, &message);
}

size_t lab_link_send_bytes(struct lab_link *link, struct lab_slot *slot,
                           const uint8_t *bytes, size_t len)
{
    struct lab_message message = {.type = LAB_WIRE_DATA, .stream = slot->id};
    size_t sent = 0;

    if (slot->id == 0)
        return 0;
    while (sent < len && slot->credit_bytes > 0) {
        message.bytes = bytes + sent;
        message.len =
            size_min(len - sent, size_min(slot->credit_bytes, LAB_CHUNK_BYTES));
        if (!send_message(link, &message))
            break;
        sent += message.len;
        slot->credit_bytes -= message.len;
        slot->unseen_bytes += message.len;
        slot->sent_bytes += message.len;
    }
    return sent;
}

bool lab_link_room(const struct lab_stream *stream)
{
    return spill_len(&stream->backlog) <= SPILL_MEMORY_BYTES / 2;
}

static void send_backlog(struct lab_link *link, struct lab_slot *slot)
{
    struct lab_stream *stream = slot->stream;
    const uint8_t *bytes;
    size_t len, sent;

    while (slot->credit_bytes > 0 && spill_len(&stream->backlog) > 0) {
        stream->failed = spill_peek(&stream->backlog, &bytes, &len);
        if (stream->failed != STATUS_OK)
            break;
        sent = lab_link_send_bytes(link, slot, bytes, len);
        spill_consume(&stream->backlog, sent);
        lab_backlog_shrank(link->lab, sent);
        if (sent < len)
            break;
    }
    if (stream->failed != STATUS_OK ||
        (stream->wants_room && lab_link_room(stream)))
        lab_wake(link->lab);
}

static void send_abort(struct lab_link *link, struct lab_slot *slot)
{
    if (slot->id == 0) {
        *slot = (struct lab_slot){0};
        return;
    }
    if (!slot->abort_sent)
        slot->abort_sent = send_mark(link, slot, LAB_WIRE_ABORT);
}

void lab_link_send(struct lab_link *link, struct lab_slot *slot)
{
    if (slot->stream == NULL) {
        send_abort(link, slot);
        return;
    }
    if (slot->id == 0 && !send_open(link, slot))
        return;
    send_backlog(link, slot);
    if (slot->stream->ended && !slot->end_sent &&
        spill_len(&slot->stream->backlog) == 0)
        slot->end_sent = send_mark(link, slot, LAB_WIRE_END);
}

static void send_all(struct lab_link *link)
{
    set_writable(link, false);
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        if (link->slots[i].used)
            lab_link_send(link, &link->slots[i]);
    }
}

void lab_link_add(struct lab_link *link, struct lab_stream *stream)
{
    struct lab_slot *slot = free_slot(link);

    *slot = (struct lab_slot){.used = true,
                              .stream = stream,
                              .alone = stream->request.alone,
                              .credit_bytes = LAB_WINDOW_BYTES};
    stream->link = link;
    stream->slot = slot;
    lab_link_send(link, slot);
}

void lab_link_remove(struct lab_link *link, struct lab_stream *stream)
{
    struct lab_slot *slot = stream->slot;

    stream->link = NULL;
    stream->slot = NULL;
    slot->stream = NULL;
    slot->aborted_ms = loop_now_ms(lab_loop(link->lab));
    lab_link_send(link, slot);
}

/* ---- receiving: each function returns NULL or what was odd */

static const char *take_credit(struct lab_link *link, struct lab_slot *slot,
                               size_t bytes)
{
    if (bytes > slot->unseen_bytes)
        return "credit for bytes never sent";
    if (bytes == 0 && ++slot->signs > LAB_SIGNS_MAX)
        return "works on one picture for ever";
    slot->unseen_bytes -= bytes;
    slot->credit_bytes += bytes;
    if (slot->stream != NULL)
        lab_link_send(link, slot);
    return NULL;
}

static const char *take_head(struct lab_slot *slot,
                             const struct transcode_report *report)
{
    const struct lab_request *request;

    if (slot->head_seen)
        return "second head";
    slot->head_seen = true;
    if (slot->stream == NULL)
        return NULL;
    request = &slot->stream->request;
    if (!lab_wire_head_ok(report, &request->limits))
        return "head outside the limits";
    if (request->on_head != NULL)
        request->on_head(request->arg, report);
    return NULL;
}

static bool file_has(int fd, uint64_t bytes)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_size >= 0 &&
           (uint64_t)st.st_size == bytes;
}

/* The files are what counts; the report only says what is in them. */
static const char *check_done(const struct lab_slot *slot,
                              const struct transcode_report *report)
{
    const struct lab_request *request = &slot->stream->request;

    if (!lab_wire_done_ok(report, &request->limits, slot->sent_bytes))
        return "report outside the limits";
    if (!file_has(request->original_fd, report->original_bytes) ||
        !file_has(request->preview_fd,
                  report->preview_is_original ? 0 : report->preview_bytes))
        return "files differ from the report";
    return NULL;
}

static const char *take_last(struct lab_slot *slot,
                             const struct lab_message *message)
{
    struct lab_stream *stream = slot->stream;
    bool done = message->type == LAB_WIRE_DONE;

    if (stream != NULL && done) {
        const char *odd = check_done(slot, &message->report);

        if (odd != NULL)
            return odd;
    }
    if (stream != NULL && message->status == STATUS_STOPPING)
        return "abort that nobody asked for";
    *slot = (struct lab_slot){0};
    if (stream == NULL)
        return NULL;
    stream->link = NULL;
    stream->slot = NULL;
    lab_stream_finish(stream, done ? STATUS_OK : message->status,
                      &message->report);
    return NULL;
}

static const char *take_message(struct lab_link *link,
                                const struct lab_message *message)
{
    struct lab_slot *slot = find_slot(link, message->stream);

    link->last_sign_ms = loop_now_ms(lab_loop(link->lab));
    if (slot == NULL)
        return "unknown picture";
    switch (message->type) {
    case LAB_WIRE_CREDIT:
        return take_credit(link, slot, message->credit_bytes);
    case LAB_WIRE_HEAD:
        return take_head(slot, &message->report);
    default:
        lab_wake(link->lab); /* its place is free */
        return take_last(slot, message);
    }
}

static void take_messages(struct lab_link *link)
{
    struct lab_wire_buffer buffer;
    struct lab_message message;

    for (int i = 0; i < MESSAGES_PER_TURN && link->fd >= 0; i++) {
        enum status status = lab_wire_recv(link->fd, LAB_WIRE_FROM_LAB, &buffer,
                                           &message, false);
        const char *why = NULL;

        if (status == STATUS_BUSY)
            return;
        if (status == STATUS_OK)
            why = take_message(link, &message);
        else
            why = status == STATUS_CUT ? "died" : "odd message";
        if (why != NULL)
            lab_link_lost(link->lab, link, why);
    }
}

static void on_event(void *arg, uint32_t events)
{
    struct lab_link *link = arg;

    if (events & EPOLLOUT)
        send_all(link);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        take_messages(link);
}

/* ---- life */

enum status lab_link_start(struct lab_link *link, int fd, pid_t pid)
{
    int bytes = SOCKET_BYTES;
    enum status status = loop_watch(lab_loop(link->lab), &link->watch, fd,
                                    EPOLLIN, on_event, link);

    if (status != STATUS_OK) {
        close(fd);
        return status;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    link->state = LAB_LINK_UP;
    link->fd = fd;
    link->pid = pid;
    link->wants_writable = false;
    link->failed = false;
    link->last_id = 0;
    return STATUS_OK;
}

void lab_link_stop(struct lab_link *link)
{
    if (link->state == LAB_LINK_UP) {
        loop_unwatch(lab_loop(link->lab), &link->watch);
        close(link->fd);
    }
    link->state = LAB_LINK_ABSENT;
    link->fd = -1;
    link->pid = 0;
    link->failed = true;
    link->reserved_for = NULL;
}
