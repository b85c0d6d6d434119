/*
 * behaviour.c: two tables name the members that JSON may set, with their
 * ranges; the rest is arithmetic.
 */
#include "behaviour.h"
#include "sim_limits.h"

struct member {
    const char *key;
    size_t offset; /* of an int64_t */
    int64_t min;
    int64_t max;
};

#define CONTENT_MEMBER(name, min, max)                                         \
    {                                                                          \
#name, offsetof(struct content_behaviour, name), (min), (max)          \
    }
#define FAULT_MEMBER(name, min, max)                                           \
    {                                                                          \
#name, offsetof(struct fault, name), (min), (max)                      \
    }

static const struct member content_members[] = {
    CONTENT_MEMBER(rate_bytes_s, 0, INT32_MAX),
    CONTENT_MEMBER(chunk_bytes, 1, SIM_CHUNK_MAX_BYTES),
    CONTENT_MEMBER(delay_ms, 0, SIM_SLEEP_MAX_MS),
    CONTENT_MEMBER(status, 200, 599),
    CONTENT_MEMBER(status_tries, 0, INT32_MAX),
    CONTENT_MEMBER(retry_after_s, -1, 86400),
    CONTENT_MEMBER(short_bytes, 0, INT32_MAX),
    CONTENT_MEMBER(cut_after_bytes, -1, INT64_MAX),
    CONTENT_MEMBER(cut_tries, 0, INT32_MAX),
    CONTENT_MEMBER(stall_after_bytes, -1, INT64_MAX),
    CONTENT_MEMBER(stall_ms, 0, SIM_SLEEP_MAX_MS),
    CONTENT_MEMBER(stall_tries, 0, INT32_MAX),
};

static const struct member fault_members[] = {
    FAULT_MEMBER(status, 200, 599),
    FAULT_MEMBER(tries, 0, INT32_MAX),
    FAULT_MEMBER(retry_after_s, -1, 86400),
    FAULT_MEMBER(hang_ms, 0, SIM_SLEEP_MAX_MS),
    FAULT_MEMBER(delay_ms, 0, SIM_SLEEP_MAX_MS),
};

static const char *const framing_names[] = {"length", "chunked", "close"};
static const char *const fault_names[] = {"none", "status", "hang", "close"};

static enum status set_number(void *base, const struct member *members,
                              size_t count, const char *key,
                              const struct json_event *event)
{
    for (size_t i = 0; i < count; i++) {
        const struct member *m = &members[i];

        if (!str_eq(m->key, key))
            continue;
        if (event->kind != JSON_INT || event->num < m->min ||
            event->num > m->max)
            return STATUS_BAD_INPUT;
        memcpy((char *)base + m->offset, &event->num, sizeof(event->num));
        return STATUS_OK;
    }
    return STATUS_BAD_INPUT;
}

static enum status set_bool(bool *value, const struct json_event *event)
{
    if (event->kind != JSON_BOOL)
        return STATUS_BAD_INPUT;
    *value = event->num != 0;
    return STATUS_OK;
}

/* The position of a JSON string in `names`, -1 if it is not there. */
static int name_index(const struct json_event *event, const char *const *names,
                      size_t count)
{
    char text[32];

    if (!json_copy_str(event, text, sizeof(text)))
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(text, names[i]))
            return (int)i;
    }
    return -1;
}

void content_behaviour_init(struct content_behaviour *b)
{
    *b = (struct content_behaviour){
        .chunk_bytes = SIM_CHUNK_DEFAULT_BYTES,
        .status = 200,
        .retry_after_s = -1,
        .cut_after_bytes = -1,
        .stall_after_bytes = -1,
    };
}

enum status content_behaviour_set(struct content_behaviour *b, const char *key,
                                  const struct json_event *event)
{
    int index;

    if (str_eq(key, "framing")) {
        index = name_index(event, framing_names, ARRAY_COUNT(framing_names));
        if (index < 0)
            return STATUS_BAD_INPUT;
        b->framing = (enum content_framing)index;
        return STATUS_OK;
    }
    if (str_eq(key, "content_type"))
        return json_copy_str(event, b->content_type, sizeof(b->content_type))
                   ? STATUS_OK
                   : STATUS_BAD_INPUT;
    if (str_eq(key, "empty"))
        return set_bool(&b->empty, event);
    if (str_eq(key, "drop"))
        return set_bool(&b->drop, event);
    return set_number(b, content_members, ARRAY_COUNT(content_members), key,
                      event);
}

void fault_init(struct fault *fault)
{
    *fault = (struct fault){.status = 500, .retry_after_s = -1};
}

enum status fault_set(struct fault *fault, const char *key,
                      const struct json_event *event)
{
    int index;

    if (str_eq(key, "fault")) {
        index = name_index(event, fault_names, ARRAY_COUNT(fault_names));
        if (index < 0)
            return STATUS_BAD_INPUT;
        fault->kind = (enum fault_kind)index;
        return STATUS_OK;
    }
    if (str_eq(key, "effect"))
        return set_bool(&fault->effect, event);
    if (str_eq(key, "details"))
        return set_bool(&fault->details, event);
    return set_number(fault, fault_members, ARRAY_COUNT(fault_members), key,
                      event);
}

bool behaviour_applies(int64_t tries, int64_t tries_before)
{
    return tries == 0 || tries_before < tries;
}

/* 200 with the file, or with less of it. */
static void plan_body(const struct content_behaviour *b, int64_t tries_before,
                      int64_t size_bytes, struct content_plan *plan)
{
    int64_t size = b->empty ? 0 : size_bytes;

    plan->send_bytes = size;
    if (b->framing == CONTENT_FRAMING_LENGTH)
        plan->declared_bytes = size + b->short_bytes;
    plan->cut = plan->declared_bytes > size;
    if (b->cut_after_bytes >= 0 && b->cut_after_bytes < size &&
        behaviour_applies(b->cut_tries, tries_before)) {
        plan->send_bytes = b->cut_after_bytes;
        plan->cut = true;
    }
    if (b->stall_after_bytes >= 0 && b->stall_after_bytes < plan->send_bytes &&
        behaviour_applies(b->stall_tries, tries_before)) {
        plan->stall_at_bytes = b->stall_after_bytes;
        plan->stall_ms = b->stall_ms > 0 ? b->stall_ms : SIM_SLEEP_MAX_MS;
    }
}

void content_plan(const struct content_behaviour *b, int64_t tries_before,
                  int64_t size_bytes, struct content_plan *plan)
{
    *plan = (struct content_plan){
        .status = 200, .declared_bytes = -1, .stall_at_bytes = -1};
    if (b->status != 200 && behaviour_applies(b->status_tries, tries_before)) {
        plan->status = (int)b->status;
        return;
    }
    plan_body(b, tries_before, size_bytes, plan);
}
