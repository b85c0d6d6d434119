/*
 * content.c: a request takes its photo's behaviour and the number of tries so
 * far, behaviour.c plans what is done, and a stream does it: it reads the file
 * and sleeps where the plan says so.
 *
 * The file is opened at each request and never held in memory: a run may serve
 * thousands of different pictures.
 */
#include "content.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform_api.h"

struct content {
    struct sim *sim;
    struct photo *photo;
    int fd;
    struct content_plan plan;
    int64_t rate_bytes_s;
    int64_t sent_bytes;
    int64_t began_ms;
    bool stalled;
};

static void close_content(void *arg)
{
    struct content *c = arg;

    RECORD(&c->sim->recorder, "content_end",
           REC_STR("message_id", c->photo->message_id),
           REC_INT("bytes", c->sent_bytes),
           REC_INT("elapsed_ms", mono_ms() - c->began_ms));
    (void)close(c->fd);
    free(c);
}

/* Sleeps until the rate allows the next byte. */
static bool keep_rate(const struct content *c, struct exchange *ex)
{
    int64_t due_ms;

    if (c->rate_bytes_s == 0)
        return true;
    due_ms = c->began_ms + c->sent_bytes * 1000 / c->rate_bytes_s;
    return exchange_sleep(ex, due_ms - mono_ms());
}

static bool keep_stall(struct content *c, struct exchange *ex)
{
    if (c->stalled || c->plan.stall_at_bytes < 0 ||
        c->sent_bytes < c->plan.stall_at_bytes)
        return true;
    c->stalled = true;
    return exchange_sleep(ex, c->plan.stall_ms);
}

static void note_sent(struct content *c, int64_t bytes)
{
    struct state *state = c->sim->state;

    c->sent_bytes += bytes;
    state_lock(state);
    c->photo->bytes_served += bytes;
    state_totals_of(state, c->photo)->content_bytes += bytes;
    if (c->sent_bytes == c->plan.send_bytes && !c->plan.cut)
        c->photo->content_done_ms = wall_ms();
    state_unlock(state);
}

static ssize_t read_content(void *arg, struct exchange *ex, char *out,
                            size_t max)
{
    struct content *c = arg;
    int64_t until = c->plan.send_bytes;
    ssize_t got;

    if (!c->stalled && c->plan.stall_at_bytes > c->sent_bytes)
        until = int64_min(until, c->plan.stall_at_bytes);
    if (!keep_rate(c, ex) || !keep_stall(c, ex))
        return -1;
    if (c->stalled)
        until = c->plan.send_bytes;
    if (c->sent_bytes == c->plan.send_bytes)
        return c->plan.cut ? -1 : 0;
    max = size_min(max, (size_t)(until - c->sent_bytes));
    do {
        got = pread(c->fd, out, max, c->sent_bytes);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return -1;
    note_sent(c, got);
    return got;
}

static const char *type_of(int fd)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *type;
    } types[] = {{"\xff\xd8\xff", 3, "image/jpeg"},
                 {"\x89PNG\r\n", 6, "image/png"},
                 {"GIF8", 4, "image/gif"},
                 {"RIFF", 4, "image/webp"}};
    char head[8] = {0};
    ssize_t got = pread(fd, head, sizeof(head), 0);

    for (size_t i = 0; got > 0 && i < ARRAY_COUNT(types); i++) {
        if (memcmp(head, types[i].magic, types[i].len) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

static void answer_status(struct exchange *ex, int status,
                          const struct content_behaviour *b)
{
    char seconds[24];

    if (b->retry_after_s >= 0) {
        (void)snprintf(seconds, sizeof(seconds), "%d", (int)b->retry_after_s);
        exchange_add_header(ex, "Retry-After", seconds);
    }
    platform_answer_status(ex, status);
}

static void answer_file(struct sim *sim, struct exchange *ex,
                        struct photo *photo, const struct content_behaviour *b,
                        const struct content_plan *plan)
{
    struct content *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        platform_answer_status(ex, 500);
        return;
    }
    *c = (struct content){.sim = sim,
                          .photo = photo,
                          .plan = *plan,
                          .rate_bytes_s = b->rate_bytes_s,
                          .began_ms = mono_ms()};
    c->fd = open(photo->file, O_RDONLY | O_CLOEXEC);
    if (c->fd < 0) {
        free(c);
        platform_answer_status(ex, 500);
        return;
    }
    ex->status = plan->status;
    ex->content_type = b->content_type[0] != '\0' ? NULL : type_of(c->fd);
    if (ex->content_type == NULL)
        exchange_add_header(ex, "Content-Type", b->content_type);
    ex->stream =
        (struct stream){.size_bytes = plan->declared_bytes,
                        .block_bytes = (size_t)b->chunk_bytes,
                        .until_close = b->framing == CONTENT_FRAMING_CLOSE,
                        .arg = c,
                        .read = read_content,
                        .free = close_content};
}

/* Counts the request; false if the photo has no content (any more). */
static bool begin(struct sim *sim, struct photo *photo,
                  struct content_behaviour *b, struct content_plan *plan)
{
    struct state *state = sim->state;
    bool there = photo->file != NULL;

    state_lock(state);
    *b = photo->content;
    content_plan(b, photo->content_requests, photo->file_bytes, plan);
    if (photo->gone)
        plan->status = 410;
    photo->content_requests++;
    state->totals.content_requests++;
    if (photo->content_ms == 0)
        photo->content_ms = wall_ms();
    (void)pthread_cond_broadcast(&state->changed);
    state_unlock(state);
    return there;
}

void content_serve(struct sim *sim, struct exchange *ex, const char *message_id)
{
    struct photo *photo = state_find_message(sim->state, message_id);
    struct content_behaviour b;
    struct content_plan plan;

    if (photo == NULL || !begin(sim, photo, &b, &plan)) {
        platform_answer_status(ex, 404);
        return;
    }
    if (b.delay_ms > 0 && !exchange_sleep(ex, b.delay_ms)) {
        ex->close = true;
        return;
    }
    if (b.drop)
        ex->close = true;
    else if (plan.status != 200)
        answer_status(ex, plan.status, &b);
    else
        answer_file(sim, ex, photo, &b, &plan);
}
