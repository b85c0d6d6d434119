/*
 * control_request.c: a table of the top-level members by type; the members of
 * "behaviour" and of the endpoints go to behaviour.c.
 *
 * "events" is kept as it was written: the reader has no tree, and a webhook
 * must be able to hold anything. So its text is cut out of the request.
 */
#include "control_request.h"

enum member_type {
    MEMBER_STR,
    MEMBER_INT,
    MEMBER_BOOL,
};

struct member {
    const char *key;
    enum member_type type;
    size_t offset;
    int64_t min, max; /* MEMBER_INT; MEMBER_STR: max = size of the array */
};

#define AT(name) offsetof(struct control_request, name)
#define STR(name)                                                              \
    {                                                                          \
#name, MEMBER_STR, AT(name), 0,                                        \
            sizeof(((struct control_request *)NULL)->name)                     \
    }
#define INT(name, min, max)                                                    \
    {                                                                          \
#name, MEMBER_INT, AT(name), (min), (max)                              \
    }
#define BOOL(name)                                                             \
    {                                                                          \
#name, MEMBER_BOOL, AT(name), 0, 1                                     \
    }

static const struct member members[] = {
    STR(file),
    INT(count, 1, SIM_PHOTOS_MAX),
    INT(parallel, 1, SIM_PARALLEL_MAX),
    INT(batch, 1, SIM_BATCH_MAX),
    STR(channel_path),
    STR(external_url),
    STR(access_token),
    BOOL(revoke_tokens),
    BOOL(send),
    BOOL(set_unnumbered),
    INT(rate_limit_s, 0, INT32_MAX),
    STR(user_id),
    BOOL(standby),
    BOOL(set),
    BOOL(wait),
    BOOL(fresh_connections),
    BOOL(redeliver_on_error),
    INT(redeliveries, 0, 100),
    INT(redelivery_interval_ms, 0, SIM_SLEEP_MAX_MS),
    INT(timeout_ms, 1, SIM_SLEEP_MAX_MS),
    STR(message_id),
    BOOL(redelivery),
    INT(push_quota, -1, INT32_MAX),
    INT(advance_ms, 0, SIM_CLOCK_STEP_MAX_MS),
};

static const char *const source_names[] = {"user", "group", "room"};
static const char *const kind_names[] = {"image", "file", "external"};
static const char *const endpoint_names[ENDPOINT__COUNT] = {
    "reply", "push", "loading", "info", "token", "read", "quota"};

struct reader {
    struct control_request *request;
    const char *members;
    char *why;
    size_t why_size;
};

void control_request_init(struct control_request *request,
                          const struct content_behaviour *content)
{
    *request = (struct control_request){
        .count = 1,
        .parallel = 1,
        .batch = 1,
        .redeliveries = SIM_REDELIVERIES_DEFAULT,
        .redelivery_interval_ms = SIM_REDELIVERY_INTERVAL_MS,
        .content = *content,
        .timeout_ms = LINE_ACK_LIMIT_MS,
        .redelivery = true,
        .push_quota = -2,
        .rate_limit_s = -1,
        .send = true,
    };
    for (size_t i = 0; i < ENDPOINT__COUNT; i++)
        fault_init(&request->faults[i]);
}

void control_request_release(struct control_request *request)
{
    free(request->body);
    request->body = NULL;
}

static enum status refuse(struct reader *r, const char *what, const char *name)
{
    (void)snprintf(r->why, r->why_size, "%s \"%s\"", what, name);
    return STATUS_BAD_INPUT;
}

static bool set_member(struct control_request *request, const struct member *m,
                       const struct json_event *event)
{
    char *at = (char *)request + m->offset;

    switch (m->type) {
    case MEMBER_STR:
        return json_copy_str(event, at, (size_t)m->max);
    case MEMBER_INT:
        if (event->kind != JSON_INT || event->num < m->min ||
            event->num > m->max)
            return false;
        memcpy(at, &event->num, sizeof(event->num));
        return true;
    case MEMBER_BOOL:
    default:
        if (event->kind != JSON_BOOL)
            return false;
        *(bool *)(void *)at = event->num != 0;
        return true;
    }
}

static int name_index(const struct json_event *event, const char *const *names,
                      size_t count)
{
    char text[16];

    if (!json_copy_str(event, text, sizeof(text)))
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(text, names[i]))
            return (int)i;
    }
    return -1;
}

/* The members that no table row fits. */
static bool set_special(struct control_request *request, const char *key,
                        const struct json_event *event)
{
    int index;

    if (str_eq(key, "source")) {
        index = name_index(event, source_names, ARRAY_COUNT(source_names));
        request->source = index > 0 ? (enum photo_source)index : PHOTO_USER;
        return index >= 0;
    }
    if (str_eq(key, "kind")) {
        index = name_index(event, kind_names, ARRAY_COUNT(kind_names));
        request->kind = index > 0 ? (enum photo_kind)index : PHOTO_IMAGE;
        return index >= 0;
    }
    if (str_eq(key, "webhook_active")) {
        request->has_webhook_active = true;
        request->webhook_active = event->num != 0;
        return event->kind == JSON_BOOL;
    }
    if (str_eq(key, "signature")) {
        request->has_signature = true;
        return json_copy_str(event, request->signature,
                             sizeof(request->signature));
    }
    if (str_eq(key, "body") && event->kind == JSON_STR &&
        request->body == NULL) {
        request->body = malloc(event->len + 1);
        if (request->body == NULL)
            return false;
        memcpy(request->body, event->str, event->len);
        request->body[event->len] = '\0';
        request->body_len = event->len;
        return true;
    }
    return false;
}

static bool is_known(const struct reader *r, const char *key)
{
    char word[64];

    (void)snprintf(word, sizeof(word), " %s ", key);
    return strstr(r->members, word) != NULL;
}

static enum status set_top(struct reader *r, const struct json_event *event)
{
    const char *key = event->path[0].key;

    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        if (str_eq(members[i].key, key))
            return set_member(r->request, &members[i], event)
                       ? STATUS_OK
                       : refuse(r, "bad value of", key);
    }
    return set_special(r->request, key, event) ? STATUS_OK
                                               : refuse(r, "bad value of", key);
}

/* {"behaviour":{..}} or the faults of an endpoint. */
static enum status set_nested(struct reader *r, const struct json_event *event)
{
    const char *group = event->path[0].key, *key = event->path[1].key;
    enum status status = STATUS_BAD_INPUT;

    if (str_eq(group, "behaviour") || str_eq(group, "content")) {
        r->request->has_content = true;
        status = content_behaviour_set(&r->request->content, key, event);
    }
    for (size_t i = 0; i < ENDPOINT__COUNT; i++) {
        if (!str_eq(group, endpoint_names[i]))
            continue;
        r->request->has_fault[i] = true;
        status = fault_set(&r->request->faults[i], key, event);
    }
    return status == STATUS_OK ? STATUS_OK
                               : refuse(r, "bad or unknown member", key);
}

/* {"files":["a.jpg",...]} */
static enum status add_file(struct reader *r, const struct json_event *event)
{
    struct control_request *request = r->request;

    if (event->depth == 1 &&
        (event->kind == JSON_ARRAY_BEGIN || event->kind == JSON_ARRAY_END))
        return STATUS_OK;
    if (event->depth != 2 || request->file_count == SIM_SET_FILES_MAX ||
        !json_copy_str(event, request->files[request->file_count],
                       sizeof(request->files[0])))
        return refuse(r, "bad value of", "files");
    request->count = (int64_t)++request->file_count;
    return STATUS_OK;
}

static bool is_group(const char *key)
{
    for (size_t i = 0; i < ENDPOINT__COUNT; i++) {
        if (str_eq(key, endpoint_names[i]))
            return true;
    }
    return str_eq(key, "behaviour") || str_eq(key, "content");
}

static enum status on_event(void *arg, const struct json_event *event)
{
    struct reader *r = arg;
    const char *key = event->depth > 0 ? event->path[0].key : "";

    if (event->depth == 0)
        return event->kind == JSON_OBJECT_BEGIN ||
                       event->kind == JSON_OBJECT_END
                   ? STATUS_OK
                   : refuse(r, "not an object:", "request");
    if (!is_known(r, key))
        return refuse(r, "unknown member", key);
    if (str_eq(key, "events"))
        return STATUS_OK;
    if (str_eq(key, "files"))
        return add_file(r, event);
    if (is_group(key)) {
        if (event->depth == 2)
            return set_nested(r, event);
        return event->depth == 1 && (event->kind == JSON_OBJECT_BEGIN ||
                                     event->kind == JSON_OBJECT_END)
                   ? STATUS_OK
                   : refuse(r, "not an object:", key);
    }
    return event->depth == 1 ? set_top(r, event)
                             : refuse(r, "bad value of", key);
}

/* Skips a JSON string; `at` is at its first quote. */
static size_t skip_string(const char *text, size_t len, size_t at)
{
    for (at++; at < len && text[at] != '"'; at++) {
        if (text[at] == '\\')
            at++;
    }
    return at + 1;
}

/* The end of the value at `at` of JSON that is known to be well-formed. */
static size_t skip_value(const char *text, size_t len, size_t at)
{
    size_t depth = 0;

    while (at < len) {
        char c = text[at];

        if (c == '"') {
            at = skip_string(text, len, at);
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            break;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at++;
    }
    return at;
}

/* Cuts out the value of the top-level member "events", if there is one. */
static enum status cut_events(struct control_request *request, const char *text,
                              size_t len)
{
    size_t at = 0;

    while (at < len && text[at] != '{')
        at++;
    for (at++; at < len;) {
        size_t key, end;
        bool found;

        while (at < len && text[at] != '"' && text[at] != '}')
            at++;
        if (at >= len || text[at] == '}')
            return STATUS_OK;
        key = at + 1;
        at = skip_string(text, len, at);
        found = at - key - 1 == 6 && memcmp(text + key, "events", 6) == 0;
        while (at < len && text[at] != ':')
            at++;
        end = skip_value(text, len, at + 1);
        if (found && request->body == NULL) {
            request->body = strndup(text + at + 1, end - at - 1);
            request->body_len = end - at - 1;
            request->body_is_events = true;
            return request->body != NULL ? STATUS_OK : STATUS_NO_MEMORY;
        }
        at = end;
    }
    return STATUS_OK;
}

enum status control_request_parse(struct control_request *request,
                                  const char *known, const void *bytes,
                                  size_t len, char *why, size_t why_size)
{
    struct reader r = {request, known, why, why_size};
    enum status status;

    (void)snprintf(why, why_size, "not JSON, or too large");
    if (len == 0)
        return STATUS_OK;
    status = json_read(bytes, len, on_event, &r);
    if (status != STATUS_OK)
        return STATUS_BAD_INPUT;
    return cut_events(request, bytes, len);
}
