/*
 * rules.c: one pass over the JSON collects the fields and notes what is wrong
 * with each as it comes; what is missing is noted at the end. A problem is an
 * entry for LINE's "details" (platform notes 4.1), so `property` is the path as
 * LINE writes it: messages[0].originalContentUrl.
 */
#include "rules.h"

#include <ctype.h>

struct problems {
    struct rules_problem *list;
    size_t *count;
};

struct message_reader {
    enum rules_call call;
    struct message_request *request;
    struct problems problems;
    struct rules_message *current; /* the message the event is in, or NULL */
    bool seen_messages;
};

static const char *const other_types[] = {"textV2",   "sticker",  "video",
                                          "audio",    "location", "imagemap",
                                          "template", "flex",     "coupon"};

static void add_problem(struct problems *problems, const char *property,
                        const char *message)
{
    struct rules_problem *problem;

    if (*problems->count == RULES_PROBLEMS_MAX)
        return;
    problem = &problems->list[(*problems->count)++];
    (void)snprintf(problem->property, sizeof(problem->property), "%s",
                   property);
    (void)snprintf(problem->message, sizeof(problem->message), "%s", message);
}

/* The event's path in LINE's notation. */
static void path_text(const struct json_event *event, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < event->depth && len < size; i++) {
        const struct json_step *step = &event->path[i];
        int n = step->index >= 0
                    ? snprintf(out + len, size - len, "[%d]", (int)step->index)
                    : snprintf(out + len, size - len, "%s%s",
                               len > 0 ? "." : "", step->key);

        len += n > 0 ? (size_t)n : 0;
    }
}

static void problem_at(struct problems *problems,
                       const struct json_event *event, const char *message)
{
    char property[80];

    path_text(event, property, sizeof(property));
    add_problem(problems, property, message);
}

const char *rules_url_problem(const char *url)
{
    size_t len = strlen(url);

    if (len == 0)
        return "May not be empty";
    if (len > LINE_URL_MAX)
        return "Length must be between 0 and 2000";
    if (strncasecmp(url, "https://", 8) != 0)
        return "Must be a valid HTTPS URL";
    for (const char *c = url; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~')
            return "Must be percent-encoded";
    }
    if (url[8] == '\0' || url[8] == '/' || url[8] == ':' || url[8] == '?')
        return "Must be a valid HTTPS URL";
    return NULL;
}

bool rules_is_source_id(const char *id, const char *kinds)
{
    if (id[0] == '\0' || strchr(kinds, id[0]) == NULL || strlen(id) != 33)
        return false;
    return strspn(id + 1, "0123456789abcdef") == 32;
}

bool rules_is_uuid(const char *s)
{
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return false;
    }
    return s[36] == '\0';
}

/* Characters as LINE counts them. UTF-8 was checked by the reader. */
static size_t utf16_units(const char *s, size_t len)
{
    size_t units = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if ((c & 0xc0) != 0x80)
            units += c >= 0xf0 ? 2 : 1;
    }
    return units;
}

static void read_url(struct message_reader *r, const struct json_event *event,
                     char url[LINE_URL_MAX + 1])
{
    const char *problem;

    if (event->kind != JSON_STR) {
        problem_at(&r->problems, event, "Must be a string");
        return;
    }
    if (!json_copy_str(event, url, LINE_URL_MAX + 1)) {
        problem_at(&r->problems, event, "Length must be between 0 and 2000");
        (void)str_copy(url, LINE_URL_MAX + 1, "-");
        return;
    }
    problem = rules_url_problem(url);
    if (problem != NULL)
        problem_at(&r->problems, event, problem);
    if (url[0] == '\0')
        (void)str_copy(url, LINE_URL_MAX + 1, "-");
}

static void read_text(struct message_reader *r, const struct json_event *event)
{
    size_t units;

    r->current->has_text = true;
    if (event->kind != JSON_STR) {
        problem_at(&r->problems, event, "Must be a string");
        return;
    }
    units = utf16_units(event->str, event->len);
    if (units == 0)
        problem_at(&r->problems, event, "May not be empty");
    if (units > LINE_TEXT_MAX)
        problem_at(&r->problems, event, "Length must be between 0 and 5000");
}

static void read_type(struct message_reader *r, const struct json_event *event)
{
    char type[32];

    if (!json_copy_str(event, type, sizeof(type))) {
        problem_at(&r->problems, event, "Must be a known message type");
        return;
    }
    if (str_eq(type, "image"))
        r->current->kind = RULES_MESSAGE_IMAGE;
    else if (str_eq(type, "text"))
        r->current->kind = RULES_MESSAGE_TEXT;
    for (size_t i = 0; i < ARRAY_COUNT(other_types); i++) {
        if (str_eq(type, other_types[i]))
            r->current->kind = RULES_MESSAGE_OTHER;
    }
    if (r->current->kind == RULES_MESSAGE_UNKNOWN)
        problem_at(&r->problems, event, "Must be a known message type");
}

/*
 * The type may come after the other members, so a member is judged by name
 * alone here and by type at the end of the message.
 */
static void read_message_member(struct message_reader *r,
                                const struct json_event *event)
{
    const char *key = event->path[2].key;

    if (event->depth > 3 || event->kind == JSON_OBJECT_END ||
        event->kind == JSON_ARRAY_END)
        return;
    if (str_eq(key, "type"))
        read_type(r, event);
    else if (str_eq(key, "originalContentUrl"))
        read_url(r, event, r->current->original_url);
    else if (str_eq(key, "previewImageUrl"))
        read_url(r, event, r->current->preview_url);
    else if (str_eq(key, "text"))
        read_text(r, event);
}

static bool key_is_one_of(const char *key, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (str_eq(key, *names))
            return true;
    }
    return false;
}

/* Second pass, when the types are known: members that a type does not have. */
static enum status check_member(void *arg, const struct json_event *event)
{
    static const char *const image_members[] = {
        "type", "originalContentUrl", "previewImageUrl", "quickReply", "sender",
        NULL};
    static const char *const text_members[] = {
        "type", "text", "emojis", "quoteToken", "quickReply", "sender", NULL};
    struct message_reader *r = arg;
    enum rules_message_kind kind;

    if (!json_path_is(event, "messages.#.*") ||
        event->kind == JSON_OBJECT_END || event->kind == JSON_ARRAY_END ||
        (size_t)event->path[1].index >= r->request->count)
        return STATUS_OK;
    kind = r->request->messages[event->path[1].index].kind;
    if ((kind == RULES_MESSAGE_IMAGE &&
         !key_is_one_of(event->path[2].key, image_members)) ||
        (kind == RULES_MESSAGE_TEXT &&
         !key_is_one_of(event->path[2].key, text_members)))
        problem_at(&r->problems, event, "Unknown property");
    return STATUS_OK;
}

static void begin_message(struct message_reader *r,
                          const struct json_event *event)
{
    r->current = NULL;
    if (r->request->count == LINE_MESSAGES_MAX) {
        add_problem(&r->problems, "messages", "Size must be between 1 and 5");
        return;
    }
    r->current = &r->request->messages[r->request->count++];
    if (event->kind != JSON_OBJECT_BEGIN)
        problem_at(&r->problems, event, "Must be an object");
}

static void copy_id(struct message_reader *r, const struct json_event *event,
                    char *dst, size_t size)
{
    if (!json_copy_str(event, dst, size))
        problem_at(&r->problems, event, "Must be a string");
}

static void read_top(struct message_reader *r, const struct json_event *event)
{
    const char *key = event->path[0].key;
    struct message_request *request = r->request;

    if (event->kind == JSON_OBJECT_END || event->kind == JSON_ARRAY_END)
        return;
    if (str_eq(key, "messages")) {
        r->seen_messages = event->kind == JSON_ARRAY_BEGIN;
        if (!r->seen_messages)
            problem_at(&r->problems, event, "Must be an array");
    } else if (str_eq(key, "notificationDisabled")) {
        if (event->kind != JSON_BOOL)
            problem_at(&r->problems, event, "Must be a boolean");
    } else if (r->call == RULES_REPLY && str_eq(key, "replyToken")) {
        copy_id(r, event, request->reply_token, sizeof(request->reply_token));
    } else if (r->call == RULES_PUSH && str_eq(key, "to")) {
        copy_id(r, event, request->to, sizeof(request->to));
    } else if (r->call != RULES_PUSH ||
               !str_eq(key, "customAggregationUnits")) {
        problem_at(&r->problems, event, "Unknown property");
    }
}

static enum status on_message_event(void *arg, const struct json_event *event)
{
    struct message_reader *r = arg;

    if (event->depth == 0) {
        if (event->kind != JSON_OBJECT_BEGIN && event->kind != JSON_OBJECT_END)
            add_problem(&r->problems, "", "Must be an object");
        return STATUS_OK;
    }
    if (event->depth == 1)
        read_top(r, event);
    else if (json_path_is(event, "messages.#") &&
             event->kind != JSON_OBJECT_END && event->kind != JSON_ARRAY_END)
        begin_message(r, event);
    else if (event->depth >= 3 && r->current != NULL &&
             str_eq(event->path[0].key, "messages"))
        read_message_member(r, event);
    return STATUS_OK;
}

static void need(struct problems *problems, bool present, size_t index,
                 const char *member)
{
    char property[80];

    if (present)
        return;
    (void)snprintf(property, sizeof(property), "messages[%zu].%s", index,
                   member);
    add_problem(problems, property, "May not be empty");
}

static void check_presence(struct message_reader *r)
{
    const struct message_request *request = r->request;

    if (r->call == RULES_REPLY && request->reply_token[0] == '\0')
        add_problem(&r->problems, "replyToken", "May not be empty");
    if (r->call == RULES_PUSH && request->to[0] == '\0')
        add_problem(&r->problems, "to", "May not be empty");
    if (!r->seen_messages || request->count == 0)
        add_problem(&r->problems, "messages", "Size must be between 1 and 5");
    for (size_t i = 0; i < request->count; i++) {
        const struct rules_message *m = &request->messages[i];

        need(&r->problems, m->kind != RULES_MESSAGE_UNKNOWN, i, "type");
        if (m->kind == RULES_MESSAGE_TEXT)
            need(&r->problems, m->has_text, i, "text");
        if (m->kind != RULES_MESSAGE_IMAGE)
            continue;
        need(&r->problems, m->original_url[0] != '\0', i, "originalContentUrl");
        need(&r->problems, m->preview_url[0] != '\0', i, "previewImageUrl");
    }
}

enum status rules_parse_messages(enum rules_call call, const void *body,
                                 size_t len, struct message_request *request)
{
    struct message_reader r = {.call = call, .request = request};
    enum status status;

    *request = (struct message_request){0};
    request->messages = calloc(LINE_MESSAGES_MAX, sizeof(request->messages[0]));
    if (request->messages == NULL)
        return STATUS_NO_MEMORY;
    r.problems = (struct problems){request->problems, &request->problem_count};
    status = json_read(body, len, on_message_event, &r);
    if (status == STATUS_OK)
        status = json_read(body, len, check_member, &r);
    request->is_json = status == STATUS_OK;
    if (request->is_json)
        check_presence(&r);
    else
        add_problem(&r.problems, "", "Not JSON");
    return STATUS_OK;
}

void message_request_release(struct message_request *request)
{
    free(request->messages);
    *request = (struct message_request){0};
}

struct loading_reader {
    struct loading_request *request;
    struct problems problems;
};

static enum status on_loading_event(void *arg, const struct json_event *event)
{
    struct loading_reader *r = arg;
    struct loading_request *request = r->request;

    if (event->depth != 1)
        return STATUS_OK;
    if (json_path_is(event, "chatId")) {
        if (!json_copy_str(event, request->chat_id, sizeof(request->chat_id)))
            problem_at(&r->problems, event, "Must be a string");
    } else if (json_path_is(event, "loadingSeconds")) {
        request->seconds = event->kind == JSON_INT ? event->num : -1;
    } else {
        problem_at(&r->problems, event, "Unknown property");
    }
    return STATUS_OK;
}

void rules_parse_loading(const void *body, size_t len,
                         struct loading_request *request)
{
    struct loading_reader r = {.request = request};

    *request = (struct loading_request){.seconds = 20};
    r.problems = (struct problems){request->problems, &request->problem_count};
    request->is_json = json_read(body, len, on_loading_event, &r) == STATUS_OK;
    if (!request->is_json) {
        add_problem(&r.problems, "", "Not JSON");
        return;
    }
    if (!rules_is_source_id(request->chat_id, "U"))
        add_problem(&r.problems, "chatId", "Must be a user ID");
    if (request->seconds < 5 || request->seconds > 60 ||
        request->seconds % 5 != 0)
        add_problem(&r.problems, "loadingSeconds",
                    "Must be 5 to 60 in steps of 5");
}

struct single_reader {
    const char *member;
    struct single_request *request;
    struct problems problems;
};

static enum status on_single_event(void *arg, const struct json_event *event)
{
    struct single_reader *r = arg;

    if (event->depth != 1)
        return STATUS_OK;
    if (!json_path_is(event, r->member))
        problem_at(&r->problems, event, "Unknown property");
    else if (!json_copy_str(event, r->request->value,
                            sizeof(r->request->value)))
        problem_at(&r->problems, event, "Must be a string");
    return STATUS_OK;
}

void rules_parse_single(const char *member, bool needed, const void *body,
                        size_t len, struct single_request *request)
{
    struct single_reader r = {.member = member, .request = request};

    *request = (struct single_request){0};
    r.problems = (struct problems){request->problems, &request->problem_count};
    request->is_json = json_read(body, len, on_single_event, &r) == STATUS_OK;
    if (!request->is_json)
        add_problem(&r.problems, "", "Not JSON");
    else if (needed && request->value[0] == '\0')
        add_problem(&r.problems, member, "May not be empty");
}
