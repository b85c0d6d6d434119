/*
 * webhook.c: one pass over the body's JSON events. A draft of the event at hand
 * is filled while its members come in any order; when its object ends, it is
 * judged whole: kept, or counted and left out.
 *
 * The judgement is strict only about what darkroom cannot do without: a wanted
 * event with a missing or over-long id is malformed, a quote token that is too
 * long is none, and any other event may look however it likes.
 */
#include "webhook.h"

#include "crypto.h"
#include "json.h"

/* The event at hand, as far as it was read. */
struct draft {
    struct webhook_event event;
    char type[16];         /* "message", ... */
    char mode[16];         /* "active", "standby" */
    char message_type[16]; /* "image", ... */
    char provider[16];     /* "line", "external" */
    char source_type[16];  /* "user", "group", "room" */
    char user_id[SOURCE_ID_MAX + 1];
    char group_id[SOURCE_ID_MAX + 1];
    char room_id[SOURCE_ID_MAX + 1];
    char unsent_id[MESSAGE_ID_MAX + 1];
    int64_t set_index, set_total;
    bool oversize; /* an identifier did not fit */
};

struct parser {
    struct webhook *webhook;
    size_t capacity; /* of webhook->events */
    struct draft draft;
    bool is_object;  /* the root value */
    bool has_events; /* "events" is an array */
};

enum status webhook_verify(const char *const *secrets, size_t count,
                           const void *body, size_t len, const char *signature)
{
    bool matched = false;

    if (signature == NULL)
        return STATUS_BAD_SIGNATURE;
    for (size_t i = 0; i < count; i++) {
        uint8_t mac[SHA256_BYTES];
        char expected[SHA256_BASE64_SIZE];
        enum status status =
            crypto_hmac_sha256(secrets[i], strlen(secrets[i]), body, len, mac);

        if (status != STATUS_OK)
            return status;
        crypto_base64_mac(mac, expected);
        if (crypto_equal(expected, strlen(expected), signature,
                         strlen(signature)))
            matched = true;
    }
    return matched ? STATUS_OK : STATUS_BAD_SIGNATURE;
}

/* ---- filling the draft */

/* Words that are compared with known ones, and what is not needed: one that
 * does not fit is unknown, or as good as missing. */
static void take_word(const struct json_event *event, char *dst, size_t size)
{
    (void)json_copy_str(event, dst, size);
}

/* Identifiers that are used: one that does not fit must not be cut. What is no
 * string (null) is as good as missing, and may be: a group's events need not
 * say which user (line-platform 2). */
static void take_id(struct draft *draft, const struct json_event *event,
                    char *dst, size_t size)
{
    if (event->kind == JSON_STR && !json_copy_str(event, dst, size))
        draft->oversize = true;
}

static void take_number(struct draft *draft, const struct json_event *event)
{
    const struct {
        const char *path;
        int64_t *dst;
    } numbers[] = {
        {"events.#.timestamp", &draft->event.timestamp_ms},
        {"events.#.message.imageSet.index", &draft->set_index},
        {"events.#.message.imageSet.total", &draft->set_total},
        {"events.#.message.fileSize", &draft->event.file_bytes},
    };

    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (json_path_is(event, numbers[i].path))
            *numbers[i].dst = event->num;
    }
}

static void take_member(struct draft *draft, const struct json_event *event)
{
    struct webhook_event *e = &draft->event;
    const struct {
        const char *path;
        char *dst;
        size_t size;
        bool is_id;
    } members[] = {
        {"events.#.type", draft->type, sizeof(draft->type), false},
        {"events.#.mode", draft->mode, sizeof(draft->mode), false},
        {"events.#.webhookEventId", e->event_id, sizeof(e->event_id), true},
        {"events.#.replyToken", e->reply_token, sizeof(e->reply_token), true},
        {"events.#.source.type", draft->source_type, sizeof(draft->source_type),
         false},
        {"events.#.source.userId", draft->user_id, sizeof(draft->user_id),
         true},
        {"events.#.source.groupId", draft->group_id, sizeof(draft->group_id),
         true},
        {"events.#.source.roomId", draft->room_id, sizeof(draft->room_id),
         true},
        {"events.#.message.type", draft->message_type,
         sizeof(draft->message_type), false},
        {"events.#.message.id", e->message_id, sizeof(e->message_id), true},
        {"events.#.message.contentProvider.type", draft->provider,
         sizeof(draft->provider), false},
        {"events.#.message.contentProvider.originalContentUrl", e->external_url,
         sizeof(e->external_url), true},
        {"events.#.message.quoteToken", e->quote_token, sizeof(e->quote_token),
         false},
        {"events.#.message.markAsReadToken", e->read_token,
         sizeof(e->read_token), false},
        {"events.#.message.imageSet.id", e->set_id, sizeof(e->set_id), false},
        {"events.#.unsend.messageId", draft->unsent_id,
         sizeof(draft->unsent_id), true},
    };

    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        if (!json_path_is(event, members[i].path))
            continue;
        if (members[i].is_id)
            take_id(draft, event, members[i].dst, members[i].size);
        else
            take_word(event, members[i].dst, members[i].size);
        return;
    }
    if (event->kind == JSON_INT)
        take_number(draft, event);
    if (json_path_is(event, "events.#.deliveryContext.isRedelivery") &&
        event->kind == JSON_BOOL)
        e->redelivery = event->num != 0;
}

/* ---- judging it */

static bool is_opaque_id(const char *id)
{
    return *id != '\0' && strspn(id,
                                 "0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == strlen(id);
}

/* The tokens of the console's old Verify button (line-platform 1.4): 32 times
 * '0' or 32 times 'f'. */
static bool is_dummy_token(const char *token)
{
    size_t len = strlen(token);

    return len == 32 &&
           (strspn(token, "0") == len || strspn(token, "f") == len);
}

/* Whose chat it is: where a push would go. */
static void fill_source(struct draft *draft)
{
    struct webhook_event *e = &draft->event;
    const char *id = draft->user_id;

    e->source = JOB_SOURCE_USER;
    if (str_eq(draft->source_type, "group")) {
        e->source = JOB_SOURCE_GROUP;
        id = draft->group_id;
    } else if (str_eq(draft->source_type, "room")) {
        e->source = JOB_SOURCE_ROOM;
        id = draft->room_id;
    }
    (void)str_copy(e->source_id, sizeof(e->source_id), id);
}

/* Old phones tell neither index nor total (2.1); what makes no sense is not
 * used either: the picture is then answered by itself. */
static void fill_set(struct draft *draft)
{
    struct webhook_event *e = &draft->event;

    if (e->set_id[0] == '\0' || draft->set_total < 1 ||
        draft->set_total > SET_TOTAL_MAX || draft->set_index < 1 ||
        draft->set_index > draft->set_total)
        return;
    e->set_index = (int32_t)draft->set_index;
    e->set_total = (int32_t)draft->set_total;
}

/* Nobody is to answer these: the chat is another module's (1.6), or there is no
 * chat. */
static bool is_idle(const struct draft *draft)
{
    return str_eq(draft->mode, "standby") ||
           is_dummy_token(draft->event.reply_token);
}

/* False: an event of no interest. */
static bool kind_of(const struct draft *draft, enum job_kind *kind)
{
    bool is_message = str_eq(draft->type, "message");
    bool is_image = is_message && str_eq(draft->message_type, "image");

    if (str_eq(draft->type, "unsend"))
        *kind = JOB_UNSEND;
    else if (is_message && str_eq(draft->message_type, "file"))
        *kind = JOB_FILE;
    else if (is_image && str_eq(draft->provider, "line"))
        *kind = JOB_IMAGE;
    else if (is_image && str_eq(draft->provider, "external"))
        *kind = JOB_EXTERNAL;
    else
        return false;
    return true;
}

/* Has what its kind cannot do without. */
static bool is_well_formed(const struct draft *draft)
{
    const struct webhook_event *e = &draft->event;

    if (draft->oversize || e->event_id[0] == '\0' ||
        !is_opaque_id(e->message_id))
        return false;
    if (e->kind == JOB_EXTERNAL && e->external_url[0] == '\0')
        return false;
    return e->kind == JOB_UNSEND || e->reply_token[0] != '\0';
}

static enum status append_event(struct parser *parser)
{
    struct webhook *webhook = parser->webhook;

    if (webhook->count == parser->capacity) {
        size_t capacity = parser->capacity > 0 ? parser->capacity * 2 : 4;
        struct webhook_event *events =
            realloc(webhook->events, capacity * sizeof(struct webhook_event));

        if (events == NULL)
            return STATUS_NO_MEMORY;
        webhook->events = events;
        parser->capacity = capacity;
    }
    webhook->events[webhook->count++] = parser->draft.event;
    return STATUS_OK;
}

static enum status finish_event(struct parser *parser)
{
    struct draft *draft = &parser->draft;
    struct webhook_event *e = &draft->event;

    if (++parser->webhook->total > WEBHOOK_EVENTS_MAX)
        return STATUS_TOO_LARGE;
    if (!kind_of(draft, &e->kind))
        return STATUS_OK;
    /* What was taken back is removed, whoever owns the chat. */
    if (e->kind == JOB_UNSEND) {
        (void)str_copy(e->message_id, sizeof(e->message_id), draft->unsent_id);
    } else if (is_idle(draft)) {
        parser->webhook->idle++;
        return STATUS_OK;
    }
    if (!is_well_formed(draft)) {
        parser->webhook->malformed++;
        return STATUS_OK;
    }
    if (e->kind != JOB_EXTERNAL)
        e->external_url[0] = '\0';
    if (e->file_bytes < 0)
        e->file_bytes = -1;
    fill_source(draft);
    fill_set(draft);
    return append_event(parser);
}

static enum status on_json(void *arg, const struct json_event *event)
{
    struct parser *parser = arg;

    if (event->depth == 0 && event->kind == JSON_OBJECT_BEGIN)
        parser->is_object = true;
    if (json_path_is(event, "events") && event->kind == JSON_ARRAY_BEGIN)
        parser->has_events = true;
    if (json_path_is(event, "destination"))
        (void)json_copy_str(event, parser->webhook->destination,
                            sizeof(parser->webhook->destination));
    if (event->depth < 2)
        return STATUS_OK;
    if (json_path_is(event, "events.#")) {
        if (event->kind == JSON_OBJECT_BEGIN)
            parser->draft = (struct draft){.event.file_bytes = -1};
        return event->kind == JSON_OBJECT_END ? finish_event(parser)
                                              : STATUS_OK;
    }
    take_member(&parser->draft, event);
    return STATUS_OK;
}

enum status webhook_parse(const void *body, size_t len, struct webhook *webhook)
{
    struct parser parser = {.webhook = webhook};
    enum status status;

    *webhook = (struct webhook){0};
    if (len > WEBHOOK_BODY_MAX_BYTES)
        return STATUS_TOO_LARGE;
    status = json_read(body, len, on_json, &parser);
    if (status == STATUS_OK && (!parser.is_object || !parser.has_events))
        status = STATUS_BAD_INPUT;
    if (status != STATUS_OK)
        webhook_release(webhook);
    return status;
}

void webhook_release(struct webhook *webhook)
{
    free(webhook->events);
    *webhook = (struct webhook){0};
}
