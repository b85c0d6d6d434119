/*
 * report.c: reads everything under the lock, so that a report is one moment.
 */
#include "report.h"

static void member_str(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_str(out, value);
}

static void member_int(struct json_out *out, const char *key, int64_t value)
{
    json_key(out, key);
    json_int(out, value);
}

static void member_bool(struct json_out *out, const char *key, bool value)
{
    json_key(out, key);
    json_bool(out, value);
}

static int compare_int64(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Of the webhooks that were acked; nothing when there is none. */
static void write_ack_times(struct json_out *out, struct photo *const *photos,
                            size_t count)
{
    int64_t *us = calloc(count + 1, sizeof(us[0]));
    size_t n = 0;

    if (us == NULL) {
        out->status = STATUS_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (photos[i]->acked_ms != 0)
            us[n++] = photos[i]->ack_us;
    }
    qsort(us, n, sizeof(us[0]), compare_int64);
    json_key(out, "ack_us");
    json_object(out);
    if (n > 0) {
        member_int(out, "p50", us[(n - 1) / 2]);
        member_int(out, "p99", us[(n - 1) * 99 / 100]);
        member_int(out, "max", us[n - 1]);
    }
    json_object_end(out);
    free(us);
}

static void write_file(struct json_out *out, const char *key, const char *url,
                       int64_t bytes, const struct png_facts *png)
{
    json_key(out, key);
    json_object(out);
    member_str(out, "url", url != NULL ? url : "");
    member_int(out, "bytes", bytes);
    member_int(out, "width_px", png->width_px);
    member_int(out, "height_px", png->height_px);
    member_int(out, "bit_depth", png->bit_depth);
    member_int(out, "colour_type", png->colour_type);
    member_bool(out, "interlaced", png->interlaced);
    member_str(out, "extra_chunks", png->extra_chunks);
    json_object_end(out);
}

static void write_image(struct json_out *out, const struct answer_image *image)
{
    json_object(out);
    member_str(out, "verdict",
               !image->checked ? "unchecked"
                               : (image->ok ? "ok" : "bad_image"));
    member_str(out, "why", image->why);
    write_file(out, "original", image->original_url, image->original_bytes,
               &image->original);
    write_file(out, "preview", image->preview_url, image->preview_bytes,
               &image->preview);
    json_object_end(out);
}

/* One word for the whole answer: the worst of its images. */
static const char *verdict_of(const struct photo *p)
{
    const char *verdict = p->text_count + p->other_count > 0 ? "text" : "none";

    for (size_t i = 0; i < p->image_count; i++) {
        if (!p->images[i].checked)
            return "unchecked";
        if (!p->images[i].ok)
            return "bad_image";
        verdict = "ok";
    }
    return verdict;
}

static void write_times(struct json_out *out, const struct photo *p)
{
    json_key(out, "times_ms");
    json_object(out);
    member_int(out, "sent", p->sent_ms);
    member_int(out, "acked", p->acked_ms);
    member_int(out, "content", p->content_ms);
    member_int(out, "content_done", p->content_done_ms);
    member_int(out, "replied", p->replied_ms);
    member_int(out, "checked", p->checked_ms);
    json_object_end(out);
}

static void write_photo(struct json_out *out, const struct photo *p)
{
    json_object(out);
    member_str(out, "message_id", p->message_id);
    member_str(out, "event_id", p->event_id);
    member_str(out, "source_id", p->source_id);
    member_int(out, "deliveries", p->deliveries);
    member_int(out, "ack_status", p->ack_status);
    member_str(out, "ack_error", p->ack_error != NULL ? p->ack_error : "");
    member_int(out, "ack_us", p->ack_us);
    member_int(out, "connect_us", p->connect_us);
    member_int(out, "content_requests", p->content_requests);
    member_int(out, "bytes_served", p->bytes_served);
    member_int(out, "replies", p->replies);
    member_int(out, "replies_refused", p->replies_refused);
    member_int(out, "pushes", p->pushes);
    member_int(out, "loadings", p->loadings);
    member_int(out, "reads", p->reads);
    member_bool(out, "gone", p->gone);
    member_int(out, "texts", (int64_t)p->text_count);
    member_str(out, "verdict", verdict_of(p));
    json_key(out, "images");
    json_array(out);
    for (size_t i = 0; i < p->image_count; i++)
        write_image(out, &p->images[i]);
    json_array_end(out);
    write_times(out, p);
    json_object_end(out);
}

/* What has to be counted over the photos. */
static void write_photo_totals(struct json_out *out,
                               struct photo *const *photos, size_t count)
{
    int64_t once = 0, more = 0, pending = 0, sent = 0, acked = 0;

    for (size_t i = 0; i < count; i++) {
        const struct photo *p = photos[i];

        once += p->answers == 1;
        more += p->answers > 1;
        sent += p->deliveries > 0;
        acked += p->acked_ms != 0;
        pending += p->acked_ms != 0 && p->answers == 0 && !p->gone &&
                   p->kind != PHOTO_OTHER;
    }
    member_int(out, "photos", (int64_t)count);
    member_int(out, "sent", sent);
    member_int(out, "acked", acked);
    member_int(out, "replied_once", once);
    member_int(out, "replied_more_than_once", more);
    member_int(out, "pending", pending);
}

static void write_totals(struct json_out *out, const struct totals *t)
{
    member_int(out, "webhooks_sent", t->webhooks_sent);
    member_int(out, "webhooks_acked", t->webhooks_acked);
    member_int(out, "webhooks_failed", t->webhooks_failed);
    member_int(out, "content_requests", t->content_requests);
    member_int(out, "content_bytes", t->content_bytes);
    member_int(out, "replies", t->replies);
    member_int(out, "replies_refused", t->replies_refused);
    member_int(out, "pushes", t->pushes);
    member_int(out, "loadings", t->loadings);
    member_int(out, "reads", t->reads);
    member_int(out, "answered", t->answered);
    member_int(out, "images_good", t->images_good);
    member_int(out, "images_bad", t->images_bad);
    member_int(out, "tokens_issued", t->tokens_issued);
    member_int(out, "messages_sent", t->messages_sent);
    member_int(out, "violations", t->violations);
}

static void write_violations(struct json_out *out, const struct state *state)
{
    json_key(out, "violations");
    json_array(out);
    for (int64_t i = 0;
         i < int64_min(state->totals.violations, SIM_VIOLATIONS_MAX); i++) {
        const struct violation *v = &state->violations[i];

        json_object(out);
        member_str(out, "kind", v->kind);
        member_str(out, "message_id", v->message_id);
        member_str(out, "why", v->why);
        json_object_end(out);
    }
    json_array_end(out);
}

enum status report_state(struct state *state, size_t from, size_t count,
                         struct buf *buf)
{
    struct json_out out;
    struct photo *const *photos;
    size_t total;

    json_out_init(&out, buf);
    state_lock(state);
    photos = state->photos + state->first_visible;
    total = state->count - state->first_visible;
    json_object(&out);
    member_int(&out, "now_ms", wall_ms() + state->offset_ms);
    json_key(&out, "totals");
    json_object(&out);
    write_photo_totals(&out, photos, total);
    write_totals(&out, &state->totals);
    write_ack_times(&out, photos, total);
    json_object_end(&out);
    json_key(&out, "photos");
    json_array(&out);
    for (size_t i = from; i < total && i - from < count; i++)
        write_photo(&out, photos[i]);
    json_array_end(&out);
    write_violations(&out, state);
    json_object_end(&out);
    state_unlock(state);
    return json_out_finish(&out);
}

enum status report_photos(struct state *state, struct photo *const *photos,
                          size_t count, struct buf *buf)
{
    struct json_out out;
    int64_t acked = 0;

    json_out_init(&out, buf);
    state_lock(state);
    for (size_t i = 0; i < count; i++)
        acked += photos[i]->acked_ms != 0;
    json_object(&out);
    member_int(&out, "registered", (int64_t)count);
    member_int(&out, "acked", acked);
    write_ack_times(&out, photos, count);
    json_key(&out, "photos");
    json_array(&out);
    for (size_t i = 0; i < count; i++) {
        json_object(&out);
        member_str(&out, "message_id", photos[i]->message_id);
        member_str(&out, "reply_token", photos[i]->reply_token);
        member_int(&out, "ack_status", photos[i]->ack_status);
        member_int(&out, "ack_us", photos[i]->ack_us);
        json_object_end(&out);
    }
    json_array_end(&out);
    json_object_end(&out);
    state_unlock(state);
    return json_out_finish(&out);
}
