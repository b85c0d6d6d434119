/*
 * event.c: one function per part of an event, in the order of LINE's samples.
 */
#include "event.h"

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

static void member_token(struct json_out *out, const char *key,
                         const char *prefix, const struct photo *p)
{
    char text[MESSAGE_ID_MAX + 8];

    (void)snprintf(text, sizeof(text), "%s%s", prefix, p->message_id);
    member_str(out, key, text);
}

static void write_source(struct json_out *out, const struct photo *p)
{
    static const char *const types[] = {"user", "group", "room"};
    static const char *const ids[] = {"userId", "groupId", "roomId"};

    json_key(out, "source");
    json_object(out);
    member_str(out, "type", types[p->source]);
    member_str(out, ids[p->source], p->source_id);
    if (p->source != PHOTO_USER)
        member_str(out, "userId", p->user_id);
    json_object_end(out);
}

static void write_provider(struct json_out *out, const struct photo *p)
{
    bool external = p->kind == PHOTO_EXTERNAL;

    json_key(out, "contentProvider");
    json_object(out);
    member_str(out, "type", external ? "external" : "line");
    if (external) {
        const char *url = p->external_url;

        member_str(out, "originalContentUrl",
                   url != NULL ? url : "https://img.example.com/o.jpg");
        member_str(out, "previewImageUrl",
                   url != NULL ? url : "https://img.example.com/p.jpg");
    }
    json_object_end(out);
}

static void write_set(struct json_out *out, const struct photo *p)
{
    json_key(out, "imageSet");
    json_object(out);
    member_str(out, "id", p->set_id);
    if (p->set_index > 0) {
        member_int(out, "index", p->set_index);
        member_int(out, "total", p->set_total);
    }
    json_object_end(out);
}

static void write_message(struct json_out *out, const struct photo *p)
{
    bool file = p->kind == PHOTO_FILE;

    json_key(out, "message");
    json_object(out);
    member_str(out, "type", file ? "file" : "image");
    member_str(out, "id", p->message_id);
    if (!file)
        member_token(out, "quoteToken", "qT_", p);
    member_token(out, "markAsReadToken", "mT_", p);
    if (file) {
        /* A name that must not be used as a path. */
        member_str(out, "fileName", "../scan 1.png");
        member_int(out, "fileSize", p->file_bytes);
    } else {
        write_provider(out, p);
    }
    if (p->set_id[0] != '\0')
        write_set(out, p);
    json_object_end(out);
}

static void write_delivery(struct json_out *out, const char *event_id,
                           bool redelivery)
{
    member_str(out, "webhookEventId", event_id);
    json_key(out, "deliveryContext");
    json_object(out);
    json_key(out, "isRedelivery");
    json_bool(out, redelivery);
    json_object_end(out);
}

static void write_event(struct json_out *out, const struct photo *p,
                        bool redelivery)
{
    json_object(out);
    member_str(out, "type", "message");
    member_str(out, "mode", p->standby ? "standby" : "active");
    member_int(out, "timestamp", p->event_ms);
    write_source(out, p);
    write_delivery(out, p->event_id, redelivery);
    if (p->reply_token[0] != '\0')
        member_str(out, "replyToken", p->reply_token);
    write_message(out, p);
    json_object_end(out);
}

static void begin_body(struct json_out *out, struct buf *body,
                       const char *destination)
{
    json_out_init(out, body);
    json_object(out);
    member_str(out, "destination", destination);
    json_key(out, "events");
    json_array(out);
}

static enum status end_body(struct json_out *out)
{
    json_array_end(out);
    json_object_end(out);
    return json_out_finish(out);
}

enum status event_write_messages(struct buf *body, const char *destination,
                                 struct photo *const *photos, size_t count,
                                 bool redelivery)
{
    struct json_out out;

    begin_body(&out, body, destination);
    for (size_t i = 0; i < count; i++)
        write_event(&out, photos[i], redelivery);
    return end_body(&out);
}

enum status event_write_unsend(struct buf *body, const char *destination,
                               const struct photo *photo, int64_t now_ms)
{
    struct json_out out;
    char event_id[EVENT_ID_MAX + 1];

    /* An event of its own: the photo's id with another first digit. */
    (void)snprintf(event_id, sizeof(event_id), "7%s",
                   photo->event_id[0] != '\0' ? photo->event_id + 1 : "");
    begin_body(&out, body, destination);
    json_object(&out);
    member_str(&out, "type", "unsend");
    member_str(&out, "mode", photo->standby ? "standby" : "active");
    member_int(&out, "timestamp", now_ms);
    write_source(&out, photo);
    write_delivery(&out, event_id, false);
    json_key(&out, "unsend");
    json_object(&out);
    member_str(&out, "messageId", photo->message_id);
    json_object_end(&out);
    json_object_end(&out);
    return end_body(&out);
}
