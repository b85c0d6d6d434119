/*
 * line_message.c: the first error is kept and makes all later calls do nothing,
 * as in json.c.
 */
#include "line_message.h"

#define URL_MAX_CHARS 2000  /* line-platform 5 */
#define TEXT_MAX_UNITS 5000 /* of a text message, in UTF-16 code units */

/* ---- building */

static void note(struct line_messages *messages, enum status status)
{
    if (messages->status == STATUS_OK)
        messages->status = status;
}

/* Characters, and UTF-16 code units: those above U+FFFF, which are those of
 * four bytes in UTF-8, take two. */
static void count(const char *utf8, size_t *chars, size_t *units)
{
    *chars = 0;
    *units = 0;
    for (; *utf8 != '\0'; utf8++) {
        unsigned char byte = (unsigned char)*utf8;

        if ((byte & 0xc0) == 0x80)
            continue;
        *chars += 1;
        *units += byte >= 0xf0 ? 2 : 1;
    }
}

static bool is_message_url(const char *url)
{
    return strncmp(url, "https://", 8) == 0 && strlen(url) <= URL_MAX_CHARS;
}

static void write_member(struct line_messages *messages, const char *key,
                         const char *value)
{
    json_key(&messages->out, key);
    json_str(&messages->out, value);
}

static void begin_message(struct line_messages *messages, const char *type)
{
    if (messages->count == MESSAGES_MAX)
        note(messages, STATUS_TOO_LARGE);
    messages->count++;
    json_object(&messages->out);
    write_member(messages, "type", type);
}

static void end_message(struct line_messages *messages, const char *sender_name)
{
    size_t chars, units;

    if (sender_name != NULL && *sender_name != '\0') {
        count(sender_name, &chars, &units);
        if (chars > SENDER_NAME_MAX_CHARS)
            note(messages, STATUS_TOO_LARGE);
        json_key(&messages->out, "sender");
        json_object(&messages->out);
        write_member(messages, "name", sender_name);
        json_object_end(&messages->out);
    }
    json_object_end(&messages->out);
}

void line_message_begin(struct line_messages *messages, struct buf *buf)
{
    *messages = (struct line_messages){.status = STATUS_OK};
    json_out_init(&messages->out, buf);
    json_array(&messages->out);
}

void line_message_image(struct line_messages *messages,
                        const char *original_url, const char *preview_url,
                        const char *sender_name)
{
    if (!is_message_url(original_url) || !is_message_url(preview_url))
        note(messages, STATUS_BAD_INPUT);
    begin_message(messages, "image");
    write_member(messages, "originalContentUrl", original_url);
    write_member(messages, "previewImageUrl", preview_url);
    end_message(messages, sender_name);
}

void line_message_text(struct line_messages *messages, const char *text,
                       const char *quote_token, const char *sender_name)
{
    size_t chars, units;

    count(text, &chars, &units);
    if (chars == 0)
        note(messages, STATUS_BAD_INPUT);
    if (units > TEXT_MAX_UNITS)
        note(messages, STATUS_TOO_LARGE);
    begin_message(messages, "text");
    write_member(messages, "text", text);
    if (quote_token != NULL && *quote_token != '\0')
        write_member(messages, "quoteToken", quote_token);
    end_message(messages, sender_name);
}

enum status line_message_end(struct line_messages *messages)
{
    if (messages->count == 0)
        note(messages, STATUS_BAD_INPUT);
    json_array_end(&messages->out);
    note(messages, json_out_finish(&messages->out));
    return messages->status;
}

/* ---- checking */

struct check {
    size_t count;
    bool has_type; /* the message that is being read */
};

/* Those of the Messaging API (messaging-api.yml, Message). */
static bool is_known_type(const struct json_event *event)
{
    static const char *const types[] = {
        "audio",   "coupon",   "flex", "image",  "imagemap", "location",
        "sticker", "template", "text", "textV2", "video",
    };
    char type[16];

    if (!json_copy_str(event, type, sizeof(type)))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (str_eq(type, types[i]))
            return true;
    }
    return false;
}

static enum status check_event(void *arg, const struct json_event *event)
{
    struct check *check = arg;

    if (event->depth == 0)
        return event->kind == JSON_ARRAY_BEGIN || event->kind == JSON_ARRAY_END
                   ? STATUS_OK
                   : STATUS_BAD_INPUT;
    if (event->depth == 1 && event->kind == JSON_OBJECT_END)
        return check->has_type ? STATUS_OK : STATUS_BAD_INPUT;
    if (event->depth == 1) {
        check->has_type = false;
        if (++check->count > MESSAGES_MAX)
            return STATUS_TOO_LARGE;
        return event->kind == JSON_OBJECT_BEGIN ? STATUS_OK : STATUS_BAD_INPUT;
    }
    if (json_path_is(event, "#.type")) {
        check->has_type = is_known_type(event);
        return check->has_type ? STATUS_OK : STATUS_BAD_INPUT;
    }
    return STATUS_OK;
}

enum status line_message_check(const char *json, size_t len)
{
    struct check check = {0, false};
    enum status status;

    if (len > MESSAGES_MAX_BYTES)
        return STATUS_TOO_LARGE;
    status = json_read(json, len, check_event, &check);
    if (status == STATUS_OK && check.count == 0)
        return STATUS_BAD_INPUT;
    return status;
}
