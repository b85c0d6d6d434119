/*
 * lab.c: which picture goes to which lab, and what becomes of it.
 *
 *   stream:  waiting -> running -> gone (on_done, or aborted)
 *
 *   waiting  in opening order; what it gets goes to its backlog
 *   running  has a slot of a link (lab_link.h); what it gets goes straight to
 *            the lab while there is no backlog and credit is left
 *
 * One timer is always set. Its call, the turn, does whatever calls must not do
 * because it ends in callbacks, and whatever comes due: it asks the keeper for
 * missing labs, drops labs that stall, ends streams that failed, tells those
 * that were BUSY that there is room. lab_wake() makes it run at once, else it
 * comes a few times per stall time. Being set for good, re-arming it needs no
 * memory and cannot fail.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lab_link.h"
#include "lab_wire.h"
#include "log.h"
#include "metrics.h"

#define TURNS_PER_STALL 8

struct lab {
    struct loop *loop;
    struct lab_keeper keeper;
    struct loop_watch keeper_watch;
    bool broken, broken_told;
    char *spill_dir;
    int64_t stall_ms;
    void *arg;
    void (*on_broken)(void *arg);
    struct loop_timer turn;
    int64_t turned_ms; /* when the last one was */
    struct lab_stream *first_waiting, **last_waiting;
    size_t waiting;
    size_t held_bytes; /* of all backlogs */
    size_t spill_max_bytes;
    bool has_paused;                   /* a waiting stream, because of that */
    int64_t deaths_ms[LAB_DEATHS_MAX]; /* the latest, a ring */
    size_t deaths;
    size_t link_count;
    struct lab_link links[];
};

struct loop *lab_loop(const struct lab *lab)
{
    return lab->loop;
}

static void set_turn(struct lab *lab, int64_t due_ms)
{
    if (loop_timer_set(lab->loop, &lab->turn, due_ms) != STATUS_OK)
        LOG(ERROR, "lab_timer_lost", LOG_INT("due_ms", due_ms));
}

void lab_wake(struct lab *lab)
{
    set_turn(lab, loop_now_ms(lab->loop));
}

/* ---- keeper */

static void keeper_lost(struct lab *lab, enum status status)
{
    LOG(ERROR, "lab_keeper_lost", LOG_INT("keeper", lab->keeper.pid),
        LOG_STR("status", status_name(status)));
    loop_unwatch(lab->loop, &lab->keeper_watch);
    lab->broken = true;
    lab_wake(lab);
}

/* A full socket is no loss: the next turn tries again. */
static void kill_lab(struct lab *lab, struct lab_link *link)
{
    const struct lab_message message = {.type = LAB_WIRE_KILL,
                                        .pid = link->kill_pid};
    enum status status;

    if (lab->broken || link->kill_pid == 0)
        return;
    status = lab_wire_send(lab->keeper.fd, &message, false);
    if (status == STATUS_BUSY)
        return;
    link->kill_pid = 0;
    if (status != STATUS_OK)
        keeper_lost(lab, status);
}

static struct lab_link *find_link(struct lab *lab, enum lab_link_state state)
{
    for (size_t i = 0; i < lab->link_count; i++) {
        if (lab->links[i].state == state)
            return &lab->links[i];
    }
    return NULL;
}

/* One answer for each NEW_LAB; which link gets it does not matter. */
static enum status take_answer(struct lab *lab,
                               const struct lab_message *answer)
{
    struct lab_link *link = find_link(lab, LAB_LINK_ASKED);
    enum status status = answer->status;

    if (link == NULL) {
        if (answer->type == LAB_WIRE_LAB)
            close(answer->fds[0]);
        return STATUS_BAD_INPUT;
    }
    if (answer->type == LAB_WIRE_LAB)
        status = lab_link_start(link, answer->fds[0], answer->pid);
    if (status != STATUS_OK) {
        LOG(ERROR, "lab_not_started", LOG_STR("status", status_name(status)));
        link->state = LAB_LINK_ABSENT;
        link->ask_at_ms = loop_now_ms(lab->loop) + LAB_RESTART_DELAY_MS;
    }
    lab_wake(lab);
    return STATUS_OK;
}

static void read_keeper(struct lab *lab)
{
    struct lab_wire_buffer buffer;
    struct lab_message answer;
    enum status status = STATUS_OK;

    while (!lab->broken && status == STATUS_OK) {
        status = lab_wire_recv(lab->keeper.fd, LAB_WIRE_FROM_KEEPER, &buffer,
                               &answer, false);
        if (status == STATUS_NO_MEMORY) /* no descriptor free for the lab */
            answer =
                (struct lab_message){.type = LAB_WIRE_NO_LAB, .status = status};
        if (status == STATUS_OK || status == STATUS_NO_MEMORY)
            status = take_answer(lab, &answer);
        if (status != STATUS_OK && status != STATUS_BUSY)
            keeper_lost(lab, status);
    }
}

static void on_keeper(void *arg, uint32_t events)
{
    (void)events;
    read_keeper(arg);
}

static void ask_for_labs(struct lab *lab)
{
    const struct lab_message message = {.type = LAB_WIRE_NEW_LAB};
    int64_t now_ms = loop_now_ms(lab->loop);

    for (size_t i = 0; i < lab->link_count && !lab->broken; i++) {
        struct lab_link *link = &lab->links[i];
        enum status status;

        kill_lab(lab, link);
        if (link->state != LAB_LINK_ABSENT || link->kill_pid != 0 ||
            link->ask_at_ms > now_ms || lab->broken)
            continue;
        status = lab_wire_send(lab->keeper.fd, &message, false);
        if (status == STATUS_BUSY)
            return; /* its socket is full: at the next turn */
        if (status == STATUS_OK)
            link->state = LAB_LINK_ASKED;
        else
            keeper_lost(lab, status);
    }
}

/* ---- streams that wait */

static void enqueue(struct lab *lab, struct lab_stream *stream)
{
    stream->next = NULL;
    stream->link_to_this = lab->last_waiting;
    *lab->last_waiting = stream;
    lab->last_waiting = &stream->next;
    lab->waiting++;
}

static void dequeue(struct lab *lab, struct lab_stream *stream)
{
    *stream->link_to_this = stream->next;
    if (stream->next != NULL)
        stream->next->link_to_this = stream->link_to_this;
    else
        lab->last_waiting = stream->link_to_this;
    stream->link_to_this = NULL;
    lab->waiting--;
    if (lab->has_paused) /* another one may be the oldest */
        lab_wake(lab);
}

static bool has_room(const struct lab_stream *stream, size_t bytes)
{
    const struct lab *lab = stream->lab;

    return stream == lab->first_waiting ||
           (lab->held_bytes <= lab->spill_max_bytes &&
            bytes <= lab->spill_max_bytes - lab->held_bytes);
}

void lab_backlog_shrank(struct lab *lab, size_t bytes)
{
    lab->held_bytes -= bytes;
    if (lab->has_paused)
        lab_wake(lab);
}

/* The oldest that is paused and may go on. A little room is not worth it: it
 * would be paused again at once. */
static struct lab_stream *find_paused(struct lab *lab)
{
    struct lab_stream *stream = lab->first_waiting;

    while (
        stream != NULL &&
        !(stream->wants_room &&
          has_room(stream, size_min(SPILL_MEMORY_BYTES, lab->spill_max_bytes))))
        stream = stream->next;
    return stream;
}

/* Callbacks may change the list; each stream is told once at most. */
static void serve_waiting(struct lab *lab)
{
    size_t left = lab->waiting;
    struct lab_stream *stream;

    if (!lab->has_paused)
        return;
    while (left-- > 0 && (stream = find_paused(lab)) != NULL) {
        stream->wants_room = false;
        if (stream->request.on_room != NULL)
            stream->request.on_room(stream->request.arg);
    }
    lab->has_paused = false;
    for (stream = lab->first_waiting; stream != NULL; stream = stream->next)
        lab->has_paused |= stream->wants_room;
}

/* The last place in a lab is for pictures that have arrived as a whole: were
 * all places held by slow transfers, the fast ones would wait for them. */
static bool can_take(const struct lab_link *link,
                     const struct lab_stream *stream)
{
    size_t places = stream->ended ? LAB_STREAMS_MAX : LAB_STREAMS_MAX - 1;
    size_t used = lab_link_used(link);

    if (link->state != LAB_LINK_UP || link->failed)
        return false;
    if (link->reserved_for != NULL && link->reserved_for != stream)
        return false;
    if (stream->request.alone)
        return used == 0;
    return used < places && !lab_link_has_alone(link);
}

static struct lab_link *pick_link(struct lab *lab,
                                  const struct lab_stream *stream)
{
    struct lab_link *best = NULL;

    for (size_t i = 0; i < lab->link_count; i++) {
        struct lab_link *link = &lab->links[i];

        if (can_take(link, stream) &&
            (best == NULL || lab_link_used(link) < lab_link_used(best)))
            best = link;
    }
    return best;
}

/* Keeps newcomers out of the least busy lab until it is empty, once. */
static void reserve_link(struct lab *lab, const struct lab_stream *stream)
{
    struct lab_link *best = NULL;

    for (size_t i = 0; i < lab->link_count; i++) {
        struct lab_link *link = &lab->links[i];

        if (link->reserved_for == stream)
            return;
        if (link->state == LAB_LINK_UP && link->reserved_for == NULL &&
            !lab_link_has_alone(link) &&
            (best == NULL || lab_link_used(link) < lab_link_used(best)))
            best = link;
    }
    if (best != NULL)
        best->reserved_for = stream;
}

static bool has_place(const struct lab *lab)
{
    for (size_t i = 0; i < lab->link_count; i++) {
        const struct lab_link *link = &lab->links[i];

        if (link->state == LAB_LINK_UP && !lab_link_has_alone(link) &&
            lab_link_used(link) < LAB_STREAMS_MAX)
            return true;
    }
    return false;
}

/* In opening order; who finds no lab lets those behind have a try. */
static void assign_waiting(struct lab *lab)
{
    struct lab_stream *stream = lab->first_waiting;

    while (stream != NULL && has_place(lab)) {
        struct lab_stream *next = stream->next;
        struct lab_link *link = pick_link(lab, stream);

        if (link != NULL) {
            dequeue(lab, stream);
            link->reserved_for = NULL;
            lab_link_add(link, stream);
        } else if (stream->request.alone) {
            reserve_link(lab, stream);
        }
        stream = next;
    }
}

/* ---- the end of a stream */

/* The stream has left its slot already. */
static void release_stream(struct lab_stream *stream)
{
    struct lab *lab = stream->lab;

    if (stream->link_to_this != NULL)
        dequeue(lab, stream);
    for (size_t i = 0; i < lab->link_count; i++) {
        if (lab->links[i].reserved_for == stream)
            lab->links[i].reserved_for = NULL;
    }
    lab_backlog_shrank(lab, spill_len(&stream->backlog));
    spill_release(&stream->backlog);
    close(stream->request.original_fd);
    close(stream->request.preview_fd);
    free(stream);
}

void lab_stream_finish(struct lab_stream *stream, enum status status,
                       const struct transcode_report *report)
{
    static const struct transcode_report nothing;
    struct lab_request request = stream->request;

    release_stream(stream);
    request.on_done(request.arg, status, report != NULL ? report : &nothing);
}

void lab_stream_abort(struct lab_stream *stream)
{
    struct lab *lab;

    if (stream == NULL)
        return;
    lab = stream->lab;
    if (stream->link != NULL)
        lab_link_remove(stream->link, stream);
    release_stream(stream);
    lab_wake(lab);
}

/* ---- the end of a lab */

/* When the next lab may be asked for: at once, or after a pause if this is the
 * last straw of a series. */
static int64_t note_death(struct lab *lab)
{
    int64_t now_ms = loop_now_ms(lab->loop);
    size_t i = lab->deaths++ % LAB_DEATHS_MAX;
    int64_t oldest_ms = lab->deaths_ms[i];

    lab->deaths_ms[i] = now_ms;
    METRIC_ADD(METRIC_LAB_DEATHS, 1);
    if (lab->deaths <= LAB_DEATHS_MAX ||
        now_ms - oldest_ms >= LAB_DEATHS_WINDOW_MS)
        return now_ms;
    metrics_crash_loop(wall_ms());
    return now_ms + LAB_RESTART_DELAY_MS;
}

static void end_streams(struct lab *lab, struct lab_link *link)
{
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        struct lab_stream *stream = link->slots[i].stream;
        enum status status =
            link->slots[i].alone ? STATUS_POISON : STATUS_LAB_DIED;

        link->slots[i] = (struct lab_slot){0};
        if (stream == NULL)
            continue;
        stream->link = NULL;
        stream->slot = NULL;
        lab_stream_finish(stream, lab->broken ? STATUS_BUSY : status, NULL);
    }
}

void lab_link_lost(struct lab *lab, struct lab_link *link, const char *why)
{
    LOG(WARN, "lab_lost", LOG_INT("lab", link->pid), LOG_STR("why", why),
        LOG_INT("pictures", lab_link_used(link)));
    /* A keeper takes its labs along, and its own end shows first: then no
     * picture is to blame. */
    read_keeper(lab);
    link->kill_pid = link->pid;
    kill_lab(lab, link);
    lab_link_stop(link);
    link->ask_at_ms = note_death(lab);
    lab_wake(lab);
    end_streams(lab, link);
}

/* ---- the turn */

/* What the turn came late this process was held up, and the labs perhaps with
 * it: that time does not count. (The timer cannot tell: a call that came in
 * the same turn of the loop may have set it anew.) */
static void check_links(struct lab *lab, int64_t late_ms)
{
    int64_t now_ms = loop_now_ms(lab->loop);

    for (size_t i = 0; i < lab->link_count; i++) {
        struct lab_link *link = &lab->links[i];
        const char *why;

        if (link->state != LAB_LINK_UP)
            continue;
        lab_link_forgive(link, now_ms, late_ms);
        why = link->failed ? "socket failed"
                           : lab_link_stalled(link, now_ms, lab->stall_ms);
        if (why != NULL)
            lab_link_lost(lab, link, why);
    }
}

static void serve_stream(struct lab_stream *stream)
{
    if (stream->failed != STATUS_OK) {
        lab_link_remove(stream->link, stream);
        lab_stream_finish(stream, stream->failed, NULL);
    } else if (stream->wants_room && lab_link_room(stream)) {
        stream->wants_room = false;
        if (stream->request.on_room != NULL)
            stream->request.on_room(stream->request.arg);
    }
}

/* Callbacks may change any slot; each is looked at as it is then. */
static void serve_streams(struct lab *lab)
{
    for (size_t i = 0; i < lab->link_count; i++) {
        for (size_t k = 0; k < LAB_STREAMS_MAX; k++) {
            if (lab->links[i].slots[k].stream != NULL)
                serve_stream(lab->links[i].slots[k].stream);
        }
    }
}

static void tell_broken(struct lab *lab)
{
    lab->broken_told = true;
    for (size_t i = 0; i < lab->link_count; i++) {
        if (lab->links[i].state == LAB_LINK_UP)
            lab_link_lost(lab, &lab->links[i], "keeper lost");
    }
    while (lab->first_waiting != NULL)
        lab_stream_finish(lab->first_waiting, STATUS_BUSY, NULL);
    if (lab->on_broken != NULL)
        lab->on_broken(lab->arg);
}

static void on_turn(void *arg)
{
    struct lab *lab = arg;
    int64_t now_ms = loop_now_ms(lab->loop);
    int64_t pause_ms = int64_max(1, lab->stall_ms / TURNS_PER_STALL);
    int64_t late_ms = int64_max(0, now_ms - lab->turned_ms - pause_ms);

    lab->turned_ms = now_ms;
    set_turn(lab, now_ms + pause_ms);
    check_links(lab, late_ms);
    serve_streams(lab);
    serve_waiting(lab);
    ask_for_labs(lab);
    assign_waiting(lab);
    if (lab->broken && !lab->broken_told)
        tell_broken(lab);
}

/* ---- streams */

static enum status duplicate_outputs(struct lab_request *request,
                                     const struct lab_request *from)
{
    request->original_fd = fcntl(from->original_fd, F_DUPFD_CLOEXEC, 0);
    if (request->original_fd < 0)
        return status_from_errno(errno);
    request->preview_fd = fcntl(from->preview_fd, F_DUPFD_CLOEXEC, 0);
    if (request->preview_fd < 0) {
        enum status status = status_from_errno(errno);

        close(request->original_fd);
        return status;
    }
    return STATUS_OK;
}

enum status lab_stream_open(struct lab *lab, const struct lab_request *request,
                            struct lab_stream **out)
{
    struct lab_stream *stream;
    enum status status;

    if (request->on_done == NULL || !lab_wire_options_ok(&request->limits))
        return STATUS_BUG;
    if (lab->broken)
        return STATUS_BUSY;
    stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return STATUS_NO_MEMORY;
    stream->lab = lab;
    stream->request = *request;
    status = duplicate_outputs(&stream->request, request);
    if (status != STATUS_OK) {
        free(stream);
        return status;
    }
    spill_init(&stream->backlog, lab->spill_dir, SPILL_MEMORY_BYTES,
               request->limits.input_max_bytes);
    enqueue(lab, stream);
    assign_waiting(lab);
    *out = stream;
    return STATUS_OK;
}

static bool is_full(const struct lab_stream *stream, size_t len)
{
    size_t held = spill_len(&stream->backlog);

    if (stream->link == NULL)
        return !has_room(stream, len);
    return held > 0 &&
           (held > SPILL_MEMORY_BYTES || len > SPILL_MEMORY_BYTES - held);
}

enum status lab_stream_write(struct lab_stream *stream, const void *bytes,
                             size_t len)
{
    size_t sent = 0;
    enum status status;

    if (stream->ended)
        return STATUS_BUG;
    if (stream->failed != STATUS_OK)
        return stream->failed;
    if (len > stream->request.limits.input_max_bytes - stream->written_bytes)
        return STATUS_TOO_LARGE;
    if (is_full(stream, len)) {
        stream->wants_room = true;
        stream->lab->has_paused |= stream->link == NULL;
        return STATUS_BUSY;
    }
    if (stream->link != NULL && spill_len(&stream->backlog) == 0)
        sent = lab_link_send_bytes(stream->link, stream->slot, bytes, len);
    status = spill_append(&stream->backlog, (const uint8_t *)bytes + sent,
                          len - sent);
    if (status != STATUS_OK)
        return status;
    stream->written_bytes += len;
    stream->lab->held_bytes += len - sent;
    return STATUS_OK;
}

enum status lab_stream_end(struct lab_stream *stream)
{
    if (stream->ended)
        return STATUS_BUG;
    stream->ended = true;
    if (stream->link != NULL)
        lab_link_send(stream->link, stream->slot);
    else
        assign_waiting(stream->lab);
    return STATUS_OK;
}

/* ---- life */

static enum status start(struct lab *lab)
{
    enum status status =
        loop_timer_set(lab->loop, &lab->turn, loop_now_ms(lab->loop));

    if (status == STATUS_OK)
        status = loop_watch(lab->loop, &lab->keeper_watch, lab->keeper.fd,
                            EPOLLIN, on_keeper, lab);
    if (status != STATUS_OK)
        return status;
    ask_for_labs(lab);
    return lab->broken ? STATUS_IO : STATUS_OK;
}

static void fill(struct lab *lab, struct loop *loop,
                 const struct lab_options *options)
{
    lab->loop = loop;
    lab->turned_ms = loop_now_ms(loop);
    lab->keeper = options->keeper;
    lab->keeper_watch.fd = -1;
    lab->stall_ms = options->stall_ms > 0 ? options->stall_ms : LAB_STALL_MS;
    lab->spill_max_bytes = options->spill_max_bytes > 0
                               ? options->spill_max_bytes
                               : (size_t)LAB_SPILL_MAX_BYTES;
    lab->arg = options->arg;
    lab->on_broken = options->on_broken;
    lab->last_waiting = &lab->first_waiting;
    loop_timer_init(&lab->turn, on_turn, lab);
    lab->link_count = options->labs;
    for (size_t i = 0; i < lab->link_count; i++) {
        lab->links[i].lab = lab;
        lab->links[i].fd = -1;
    }
}

enum status lab_new(struct lab **out, struct loop *loop,
                    const struct lab_options *options)
{
    struct lab_keeper keeper = options->keeper;
    struct lab *lab;
    enum status status;

    if (options->labs < 1 || options->labs > LAB_LABS_MAX || keeper.fd < 0) {
        lab_keeper_end(&keeper);
        return STATUS_BUG;
    }
    lab = calloc(1, sizeof(*lab) + options->labs * sizeof(lab->links[0]));
    if (lab == NULL) {
        lab_keeper_end(&keeper);
        return STATUS_NO_MEMORY;
    }
    fill(lab, loop, options);
    lab->spill_dir = strdup(options->spill_dir);
    status = lab->spill_dir != NULL ? start(lab) : STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        lab_free(lab);
        return status;
    }
    *out = lab;
    return STATUS_OK;
}

static void release_link(struct lab_link *link)
{
    struct lab_slot slots[LAB_STREAMS_MAX];

    memcpy(slots, link->slots, sizeof(slots));
    lab_link_stop(link);
    for (size_t i = 0; i < LAB_STREAMS_MAX; i++) {
        if (slots[i].stream != NULL)
            release_stream(slots[i].stream);
    }
}

void lab_free(struct lab *lab)
{
    if (lab == NULL)
        return;
    loop_timer_cancel(lab->loop, &lab->turn);
    loop_unwatch(lab->loop, &lab->keeper_watch);
    for (size_t i = 0; i < lab->link_count; i++)
        release_link(&lab->links[i]);
    while (lab->first_waiting != NULL)
        release_stream(lab->first_waiting);
    lab_keeper_end(&lab->keeper);
    free(lab->spill_dir);
    free(lab);
}

/* ---- health */

size_t lab_pids(const struct lab *lab, pid_t *pids, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < lab->link_count; i++) {
        if (lab->links[i].state != LAB_LINK_UP)
            continue;
        if (count < max)
            pids[count] = lab->links[i].pid;
        count++;
    }
    return count;
}

size_t lab_waiting(const struct lab *lab)
{
    return lab->waiting;
}

size_t lab_held_bytes(const struct lab *lab)
{
    return lab->held_bytes;
}
