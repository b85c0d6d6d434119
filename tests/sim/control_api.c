/*
 * control_api.c: each call reads its request, does one thing to the state or
 * the sender, and reports.
 */
#include "control_api.h"

#include <sys/stat.h>

#include "control_request.h"
#include "crypto.h"
#include "event.h"
#include "report.h"
#include "sim.h"

static void answer_error(struct exchange *ex, int status, const char *why)
{
    struct json_out out;

    ex->status = status;
    ex->content_type = "application/json";
    buf_clear(&ex->answer);
    json_out_init(&out, &ex->answer);
    json_object(&out);
    json_key(&out, "error");
    json_str(&out, why);
    json_object_end(&out);
    if (json_out_finish(&out) != STATUS_OK)
        ex->status = 500;
}

static void answer_made(struct exchange *ex, enum status status)
{
    ex->status = 200;
    ex->content_type = "application/json";
    if (status != STATUS_OK)
        answer_error(ex, 500, status_text(status));
}

static void answer_empty(struct exchange *ex)
{
    answer_made(ex, buf_append_str(&ex->answer, "{}"));
}

/* False, and the error answered, if the request is not a good one. */
static bool parse(struct sim *sim, struct exchange *ex, const char *members,
                  struct control_request *request)
{
    struct content_behaviour content;
    char why[120];

    state_lock(sim->state);
    content = sim->state->content_default;
    state_unlock(sim->state);
    control_request_init(request, &content);
    if (!ex->body_too_large &&
        control_request_parse(request, members, buf_str(&ex->body),
                              ex->body.len, why, sizeof(why)) == STATUS_OK)
        return true;
    control_request_release(request);
    answer_error(ex, 400, ex->body_too_large ? "request too large" : why);
    return false;
}

/* ---- photos */

/* Looks a file up, writes its whole name back and gives its size; false if it
 * is no readable file. */
static bool find_file(const struct sim *sim, char file[SIM_PATH_MAX],
                      int64_t *bytes)
{
    char path[SIM_PATH_MAX];
    struct stat st;

    if (file[0] != '/' && sim->content_dir != NULL) {
        int len = snprintf(path, sizeof(path), "%s/%s", sim->content_dir, file);

        if (len < 0 || (size_t)len >= sizeof(path))
            return false;
        memcpy(file, path, sizeof(path));
    }
    if (stat(file, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    *bytes = st.st_size;
    return true;
}

/* Several pictures sent at once: they come from one user. */
struct set_ids {
    char set_id[40];
    char user_id[40];
    char source_id[40];
};

static bool name_set(struct photo_spec *spec, struct set_ids *ids)
{
    uint64_t random[2];

    if (crypto_random(random, sizeof(random)) != STATUS_OK)
        return false;
    (void)snprintf(ids->set_id, sizeof(ids->set_id), "%016llX%016llX",
                   (unsigned long long)random[0],
                   (unsigned long long)random[1]);
    (void)snprintf(ids->user_id, sizeof(ids->user_id), "U%016llx%016llx",
                   (unsigned long long)random[0],
                   (unsigned long long)random[1]);
    (void)snprintf(ids->source_id, sizeof(ids->source_id), "%c%s",
                   spec->source == PHOTO_GROUP ? 'C' : 'R', ids->user_id + 1);
    spec->set_id = ids->set_id;
    spec->source_id = ids->source_id;
    if (spec->user_id == NULL)
        spec->user_id = ids->user_id;
    return true;
}

static void fill_spec(struct photo_spec *spec,
                      const struct control_request *request)
{
    *spec = (struct photo_spec){
        .kind = request->kind,
        .source = request->source,
        .standby = request->standby,
        .user_id = request->user_id[0] != '\0' ? request->user_id : NULL,
        .url_path = request->channel_path,
        .external_url =
            request->external_url[0] != '\0' ? request->external_url : NULL,
        .content = request->has_content ? &request->content : NULL};
    if (request->has_fault[ENDPOINT_REPLY])
        spec->reply_fault = &request->faults[ENDPOINT_REPLY];
    if (request->has_fault[ENDPOINT_PUSH])
        spec->push_fault = &request->faults[ENDPOINT_PUSH];
}

/* False if the i-th photo's file is no file. */
static bool choose_file(const struct sim *sim, struct control_request *request,
                        size_t i, struct photo_spec *spec)
{
    char *file = request->file_count > 0 ? request->files[i] : request->file;

    if (request->kind == PHOTO_EXTERNAL)
        return true;
    spec->file = file;
    return find_file(sim, file, &spec->file_bytes);
}

/* NOT_FOUND: a file is not there. */
static enum status add_photos(struct sim *sim, struct control_request *request,
                              struct photo **photos)
{
    struct photo_spec spec;
    struct set_ids set;
    bool numbered = request->set && !request->set_unnumbered;

    fill_spec(&spec, request);
    if (request->set && !name_set(&spec, &set))
        return STATUS_IO;
    for (int64_t i = 0; i < request->count; i++) {
        enum status status;

        if (!choose_file(sim, request, (size_t)i, &spec))
            return STATUS_NOT_FOUND;
        spec.set_index = numbered ? (int)i + 1 : 0;
        spec.set_total = (int)request->count;
        status = state_add_photo(sim->state, &spec, &photos[i]);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* The list goes to the sender, which may be done with it before we report. */
static struct photo **copy_list(struct photo *const *photos, size_t count)
{
    struct photo **copy = calloc(count, sizeof(struct photo *));

    if (copy != NULL)
        memcpy(copy, photos, count * sizeof(struct photo *));
    return copy;
}

static void send_photos(struct sim *sim, struct exchange *ex,
                        const struct control_request *request,
                        struct photo *const *photos)
{
    struct sender_spec spec = {
        .photos = copy_list(photos, (size_t)request->count),
        .count = (size_t)request->count,
        .batch = (size_t)request->batch,
        .parallel = (size_t)request->parallel,
        .fresh_connections = request->fresh_connections,
        .redeliveries =
            request->redeliver_on_error ? (int)request->redeliveries : 0,
        .redelivery_interval_ms = request->redelivery_interval_ms};
    struct sender_job *job;

    if (spec.photos == NULL ||
        sender_submit(sim->sender, &spec, &job) != STATUS_OK) {
        answer_error(ex, 500, "out of memory");
        return;
    }
    if (request->wait)
        sender_job_wait(job);
    sender_job_release(job);
    answer_made(ex, report_photos(sim->state, photos, spec.count, &ex->answer));
}

void control_photo(void *app, struct exchange *ex)
{
    struct sim *sim = app;
    struct control_request request;
    struct photo **photos;
    enum status status;

    if (!parse(sim, ex,
               " file files count parallel batch channel_path user_id source "
               "kind external_url standby set set_unnumbered send wait "
               "fresh_connections redeliver_on_error redeliveries "
               "redelivery_interval_ms behaviour content reply push ",
               &request))
        return;
    photos = calloc((size_t)request.count, sizeof(struct photo *));
    status =
        photos != NULL ? add_photos(sim, &request, photos) : STATUS_NO_MEMORY;
    if (status == STATUS_NOT_FOUND)
        answer_error(ex, 400, "\"file\" is not a readable file");
    else if (status == STATUS_BUSY)
        answer_error(ex, 409, "too many photos in this run");
    else if (status != STATUS_OK)
        answer_error(ex, 500, status_text(status));
    else if (request.send)
        send_photos(sim, ex, &request, photos);
    else
        answer_made(ex, report_photos(sim->state, photos, (size_t)request.count,
                                      &ex->answer));
    free(photos);
    control_request_release(&request);
}

/* ---- any webhook */

/* One event of a body that a test wrote: what a bot may answer to. */
struct foreign_event {
    int64_t index;
    char message_id[MESSAGE_ID_MAX + 1];
    char event_id[EVENT_ID_MAX + 1];
    char reply_token[REPLY_TOKEN_MAX + 1];
    char user_id[SOURCE_ID_MAX + 1];
};

struct foreign_reader {
    struct sim *sim;
    struct foreign_event event;
};

static void copy_if(const struct json_event *event, const char *path, char *dst,
                    size_t size)
{
    if (json_path_is(event, path) && !json_copy_str(event, dst, size))
        dst[0] = '\0';
}

static enum status register_foreign(struct foreign_reader *r)
{
    const struct foreign_event *e = &r->event;
    struct photo_spec spec = {
        .kind = PHOTO_OTHER,
        .message_id = e->message_id[0] != '\0' ? e->message_id : NULL,
        .event_id = e->event_id,
        .reply_token = e->reply_token,
        .user_id = e->user_id[0] != '\0' ? e->user_id : NULL};
    struct photo *photo;
    enum status status;

    if (e->reply_token[0] == '\0')
        return STATUS_OK;
    status = state_add_photo(r->sim->state, &spec, &photo);
    if (status == STATUS_OK || status == STATUS_DUPLICATE)
        state_delivery_begins(r->sim->state, photo,
                              state_now_ms(r->sim->state));
    return status == STATUS_DUPLICATE ? STATUS_OK : status;
}

static enum status on_foreign(void *arg, const struct json_event *event)
{
    struct foreign_reader *r = arg;
    struct foreign_event *e = &r->event;

    if (json_path_is(event, "events.#")) {
        if (event->kind == JSON_OBJECT_END)
            return register_foreign(r);
        *e = (struct foreign_event){0};
        return STATUS_OK;
    }
    copy_if(event, "events.#.message.id", e->message_id, sizeof(e->message_id));
    copy_if(event, "events.#.webhookEventId", e->event_id, sizeof(e->event_id));
    copy_if(event, "events.#.replyToken", e->reply_token,
            sizeof(e->reply_token));
    copy_if(event, "events.#.source.userId", e->user_id, sizeof(e->user_id));
    return STATUS_OK;
}

/* {"destination":..,"events":<as given>} or the text as it is. */
static enum status make_body(struct sim *sim,
                             const struct control_request *request,
                             struct buf *body)
{
    if (!request->body_is_events)
        return buf_append(body, request->body, request->body_len);
    return buf_printf(body, "{\"destination\":\"%s\",\"events\":%s}",
                      sim->state->destination, request->body);
}

static void answer_webhook(struct exchange *ex,
                           const struct sender_result *result)
{
    struct json_out out;
    char text[2048];
    size_t len = size_min(result->answer.len, sizeof(text) - 1);

    for (size_t i = 0; i < len; i++) {
        char c = result->answer.data[i];

        text[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    text[len] = '\0';
    json_out_init(&out, &ex->answer);
    json_object(&out);
    json_key(&out, "status");
    json_int(&out, result->http_status);
    json_key(&out, "error");
    json_str(&out, result->error);
    json_key(&out, "why");
    json_str(&out, result->why);
    json_key(&out, "ack_us");
    json_int(&out, result->ack_us);
    json_key(&out, "connect_us");
    json_int(&out, result->connect_us);
    json_key(&out, "body");
    json_str(&out, text);
    json_object_end(&out);
    answer_made(ex, json_out_finish(&out));
}

static const char *signature_of(const struct control_request *request)
{
    if (!request->has_signature || str_eq(request->signature, "auto"))
        return NULL;
    if (str_eq(request->signature, "none"))
        return "";
    if (str_eq(request->signature, "wrong"))
        return "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    return request->signature;
}

static void send_webhook(struct sim *sim, struct exchange *ex,
                         const struct control_request *request,
                         const struct buf *body)
{
    struct foreign_reader reader = {.sim = sim};
    struct sender_post post = {.body = buf_str(body),
                               .len = body->len,
                               .signature = signature_of(request),
                               .url_path = request->channel_path,
                               .timeout_ms = request->timeout_ms};
    struct sender_result result;

    /* Not JSON, or not a webhook: then there is nothing to register. */
    if (json_read(body->data, body->len, on_foreign, &reader) == STATUS_BUSY) {
        answer_error(ex, 409, "too many photos in this run");
        return;
    }
    sender_post(sim->sender, &post, &result);
    answer_webhook(ex, &result);
    sender_result_release(&result);
}

void control_webhook(void *app, struct exchange *ex)
{
    struct sim *sim = app;
    struct control_request request;
    struct buf body;

    if (!parse(sim, ex, " body events signature channel_path timeout_ms ",
               &request))
        return;
    buf_init(&body, SIM_CONTROL_BODY_MAX_BYTES);
    if (request.body == NULL)
        answer_error(ex, 400, "\"body\" or \"events\" is needed");
    else if (make_body(sim, &request, &body) != STATUS_OK)
        answer_error(ex, 400, "the body is too large");
    else
        send_webhook(sim, ex, &request, &body);
    buf_release(&body);
    control_request_release(&request);
}

/* ---- one photo again */

static struct photo *named_photo(struct sim *sim, struct exchange *ex,
                                 const struct control_request *request)
{
    struct photo *photo = state_find_message(sim->state, request->message_id);

    if (photo == NULL)
        answer_error(ex, 404, "no such \"message_id\"");
    return photo;
}

void control_repeat(void *app, struct exchange *ex)
{
    struct sim *sim = app;
    struct control_request request;
    struct sender_result result;
    struct photo *photo;

    if (!parse(sim, ex, " message_id redelivery ", &request))
        return;
    photo = named_photo(sim, ex, &request);
    if (photo != NULL) {
        sender_deliver(sim->sender, &photo, 1, request.redelivery, &result);
        answer_webhook(ex, &result);
        sender_result_release(&result);
    }
    control_request_release(&request);
}

static void send_unsend(struct sim *sim, struct exchange *ex,
                        struct photo *photo)
{
    struct buf body;
    struct sender_post post = {.url_path = photo->url_path,
                               .timeout_ms = LINE_ACK_LIMIT_MS};
    struct sender_result result;

    buf_init(&body, SIM_CONTROL_BODY_MAX_BYTES);
    state_lock(sim->state);
    photo->gone = true;
    state_unlock(sim->state);
    if (event_write_unsend(&body, sim->state->destination, photo,
                           state_now_ms(sim->state)) != STATUS_OK) {
        answer_error(ex, 500, "out of memory");
    } else {
        post.body = buf_str(&body);
        post.len = body.len;
        sender_post(sim->sender, &post, &result);
        answer_webhook(ex, &result);
        sender_result_release(&result);
    }
    buf_release(&body);
}

void control_unsend(void *app, struct exchange *ex)
{
    struct sim *sim = app;
    struct control_request request;
    struct photo *photo;

    if (!parse(sim, ex, " message_id ", &request))
        return;
    photo = named_photo(sim, ex, &request);
    if (photo != NULL)
        send_unsend(sim, ex, photo);
    control_request_release(&request);
}

/* ---- settings */

/* Locked. */
static void set_photo_behaviour(struct photo *photo,
                                const struct control_request *request)
{
    if (request->has_content)
        photo->content = request->content;
    if (request->has_fault[ENDPOINT_REPLY]) {
        photo->reply_fault = request->faults[ENDPOINT_REPLY];
        photo->reply_requests = 0;
    }
    if (request->has_fault[ENDPOINT_PUSH]) {
        photo->push_fault = request->faults[ENDPOINT_PUSH];
        photo->push_requests = 0;
    }
}

/* Locked. */
static void set_behaviour(struct state *state,
                          const struct control_request *request)
{
    if (request->push_quota >= -1)
        state->push_quota = request->push_quota;
    if (request->rate_limit_s >= 0)
        state->rates = (struct rates){.limit_s = request->rate_limit_s};
    if (request->has_webhook_active)
        state->webhook_active = request->webhook_active;
    if (request->has_content)
        state->content_default = request->content;
}

static void apply_behaviour(struct sim *sim, struct exchange *ex,
                            const struct control_request *request,
                            struct photo *photo)
{
    state_lock(sim->state);
    if (photo != NULL)
        set_photo_behaviour(photo, request);
    else
        set_behaviour(sim->state, request);
    state_unlock(sim->state);
    for (int i = 0; i < ENDPOINT__COUNT && photo == NULL; i++) {
        if (request->has_fault[i])
            state_set_fault(sim->state, (enum endpoint)i, &request->faults[i]);
    }
    if ((request->revoke_tokens || request->access_token[0] != '\0') &&
        state_revoke_tokens(sim->state, request->access_token) != STATUS_OK)
        answer_error(ex, 400, "bad \"access_token\"");
    else
        answer_empty(ex);
}

void control_behaviour(void *app, struct exchange *ex)
{
    struct sim *sim = app;
    struct control_request request;
    struct photo *photo = NULL;

    if (!parse(sim, ex,
               " message_id behaviour content reply push loading info token "
               "read quota push_quota rate_limit_s access_token revoke_tokens "
               "webhook_active ",
               &request))
        return;
    if (request.message_id[0] != '\0')
        photo = named_photo(sim, ex, &request);
    if (request.message_id[0] == '\0' || photo != NULL)
        apply_behaviour(sim, ex, &request, photo);
    control_request_release(&request);
}

void control_clock(void *app, struct exchange *ex)
{
    struct sim *sim = app;
    struct control_request request;

    if (!parse(sim, ex, " advance_ms ", &request))
        return;
    state_advance_clock(sim->state, request.advance_ms);
    answer_made(ex, buf_printf(&ex->answer, "{\"now_ms\":%lld}",
                               (long long)state_now_ms(sim->state)));
    control_request_release(&request);
}

void control_reset(void *app, struct exchange *ex)
{
    struct sim *sim = app;

    state_reset(sim->state);
    answer_empty(ex);
}

/* ---- reports */

/* False, and the error answered, if the parameter is given and no number. */
static bool query_number(struct exchange *ex, const char *name, int64_t max,
                         int64_t *out)
{
    const char *text = exchange_query(ex, name);

    if (text == NULL || str_to_int64(text, 0, max, out))
        return true;
    answer_error(ex, 400, "bad number in the query");
    return false;
}

void control_state(void *app, struct exchange *ex)
{
    struct sim *sim = app;
    int64_t from = 0, count = SIM_STATE_PAGE;

    if (!query_number(ex, "from", SIM_PHOTOS_MAX, &from) ||
        !query_number(ex, "count", SIM_PHOTOS_MAX, &count))
        return;
    answer_made(
        ex, report_state(sim->state, (size_t)from, (size_t)count, &ex->answer));
}

void control_wait(void *app, struct exchange *ex)
{
    struct sim *sim = app;
    struct totals *t = &sim->state->totals;
    const struct {
        const char *name;
        const int64_t *total;
    } goals[] = {{"replied", &t->answered},
                 {"acked", &t->webhooks_acked},
                 {"content_requests", &t->content_requests},
                 {"replies_refused", &t->replies_refused},
                 {"pushes", &t->pushes},
                 {"loadings", &t->loadings},
                 {"reads", &t->reads}};
    int64_t timeout_ms = 30000, until_ms;
    bool reached = true;

    if (!query_number(ex, "timeout_ms", SIM_WAIT_MAX_MS, &timeout_ms))
        return;
    until_ms = mono_ms() + timeout_ms;
    for (size_t i = 0; i < ARRAY_COUNT(goals) && reached; i++) {
        int64_t goal = 0;

        if (!query_number(ex, goals[i].name, INT32_MAX, &goal))
            return;
        reached = state_wait(sim->state, goals[i].total, goal,
                             int64_max(0, until_ms - mono_ms()));
    }
    control_state(app, ex);
    if (!reached && ex->status == 200)
        ex->status = 408;
}
