/*
 * line_setup.c: a table of members for each answer, and where they go in the
 * caller's struct.
 */
#include "line_setup.h"

#include "json.h"
#include "line_call.h"
#include "utf8.h"

/* ---- reading answers */

enum member_kind {
    MEMBER_STR,  /* `size` bytes, "" if it does not fit */
    MEMBER_BOOL, /* a JSON bool */
    MEMBER_IS,   /* a bool: whether the text is `word` */
    MEMBER_INT,
};

struct line_member {
    const char *path;
    enum member_kind kind;
    size_t offset, size;
    const char *word;
    bool needed;
};

#define STR_MEMBER(path, type, field, needed)                                  \
    {                                                                          \
        (path), MEMBER_STR, offsetof(type, field), sizeof(((type *)0)->field), \
            NULL, (needed)                                                     \
    }

struct reading {
    const struct line_member *members; /* ends with an empty path */
    unsigned char *into;
    unsigned seen; /* a bit for each member */
};

static bool store(const struct line_member *member, unsigned char *into,
                  const struct json_event *event)
{
    void *field = into + member->offset;

    switch (member->kind) {
    case MEMBER_STR:
        if (json_copy_str(event, field, member->size))
            utf8_clean(field); /* a name, say, that its owner chose */
        return event->kind == JSON_STR;
    case MEMBER_BOOL:
        *(bool *)field = event->num != 0;
        return event->kind == JSON_BOOL;
    case MEMBER_IS:
        *(bool *)field = event->kind == JSON_STR &&
                         event->len == strlen(member->word) &&
                         memcmp(event->str, member->word, event->len) == 0;
        return event->kind == JSON_STR;
    case MEMBER_INT:
        *(int64_t *)field = event->num;
        return event->kind == JSON_INT;
    }
    return false;
}

static enum status read_member(void *arg, const struct json_event *event)
{
    struct reading *reading = arg;

    for (size_t i = 0; reading->members[i].path != NULL; i++) {
        if (!json_path_is(event, reading->members[i].path))
            continue;
        if (!store(&reading->members[i], reading->into, event))
            return STATUS_BAD_INPUT;
        reading->seen |= 1u << i;
    }
    return STATUS_OK;
}

/* BAD_INPUT if a needed member is missing or one is of another kind. */
static enum status read_answer(const struct line_call *call,
                               const struct line_member *members, void *into)
{
    struct reading reading = {members, into, 0};
    enum status status = json_read(buf_str(&call->answer), call->answer.len,
                                   read_member, &reading);

    for (size_t i = 0; status == STATUS_OK && members[i].path != NULL; i++) {
        if (members[i].needed && (reading.seen & 1u << i) == 0)
            status = STATUS_BAD_INPUT;
    }
    return status;
}

/* ---- a call whose answer is read into the caller's struct */

static void on_described(struct line_call *call,
                         const struct http_result *result)
{
    struct line_outcome outcome;

    line_judge_other(result, buf_str(&call->answer), call->answer.len,
                     &outcome);
    if (outcome.status == STATUS_OK && call->members != NULL)
        outcome.status = read_answer(call, call->members, call->into);
    if (outcome.status == STATUS_BAD_INPUT)
        (void)str_copy(outcome.detail, sizeof(outcome.detail),
                       "not the answer that LINE describes");
    line_call_finish(call, &outcome);
}

static struct line_call *new_call(struct line_api *api,
                                  const struct line_query *query,
                                  enum line_endpoint endpoint)
{
    struct line_call *call = line_call_new(api, query->channel, endpoint,
                                           line_judge_other, query->timeout_ms);

    if (call == NULL)
        return NULL;
    call->on_answer = on_described;
    call->arg = query->arg;
    call->on_done = query->on_done;
    return call;
}

/* {} or {"endpoint":"url"} */
static enum status write_url(struct buf *body, const char *url)
{
    struct json_out out;

    json_out_init(&out, body);
    json_object(&out);
    if (url != NULL) {
        json_key(&out, "endpoint");
        json_str(&out, url);
    }
    json_object_end(&out);
    return json_out_finish(&out);
}

/* ---- each call */

enum status line_bot_info(struct line_api *api, const struct line_query *query,
                          struct line_bot *bot, struct line_call **out)
{
    static const struct line_member members[] = {
        STR_MEMBER("userId", struct line_bot, user_id, true),
        STR_MEMBER("basicId", struct line_bot, basic_id, false),
        STR_MEMBER("displayName", struct line_bot, display_name, false),
        {"chatMode", MEMBER_IS, offsetof(struct line_bot, chat_is_on), 0,
         "chat", true},
        {"markAsReadMode", MEMBER_IS,
         offsetof(struct line_bot, reads_by_itself), 0, "auto", true},
        {NULL, MEMBER_STR, 0, 0, NULL, false},
    };
    struct line_call *call = new_call(api, query, LINE_BOT_INFO);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    *bot = (struct line_bot){.chat_is_on = false};
    call->members = members;
    call->into = bot;
    return line_call_start(call, STATUS_OK, out);
}

enum status line_webhook_get(struct line_api *api,
                             const struct line_query *query,
                             struct line_webhook *webhook,
                             struct line_call **out)
{
    static const struct line_member members[] = {
        STR_MEMBER("endpoint", struct line_webhook, url, true),
        {"active", MEMBER_BOOL, offsetof(struct line_webhook, active), 0, NULL,
         true},
        {NULL, MEMBER_STR, 0, 0, NULL, false},
    };
    struct line_call *call = new_call(api, query, LINE_WEBHOOK_GET);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    *webhook = (struct line_webhook){.active = false};
    call->members = members;
    call->into = webhook;
    return line_call_start(call, STATUS_OK, out);
}

enum status line_webhook_set(struct line_api *api,
                             const struct line_query *query, const char *url,
                             struct line_call **out)
{
    struct line_call *call = new_call(api, query, LINE_WEBHOOK_SET);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    return line_call_start(call, write_url(&call->body, url), out);
}

enum status line_webhook_test(struct line_api *api,
                              const struct line_query *query, const char *url,
                              struct line_webhook_result *result,
                              struct line_call **out)
{
    static const struct line_member members[] = {
        {"success", MEMBER_BOOL, offsetof(struct line_webhook_result, success),
         0, NULL, true},
        {"statusCode", MEMBER_INT,
         offsetof(struct line_webhook_result, http_status), 0, NULL, true},
        STR_MEMBER("reason", struct line_webhook_result, reason, true),
        STR_MEMBER("detail", struct line_webhook_result, detail, false),
        {NULL, MEMBER_STR, 0, 0, NULL, false},
    };
    struct line_call *call = new_call(api, query, LINE_WEBHOOK_TEST);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    *result = (struct line_webhook_result){.success = false};
    call->members = members;
    call->into = result;
    return line_call_start(call, write_url(&call->body, url), out);
}

static void on_quota(struct line_call *call, struct line_outcome *outcome)
{
    if (outcome->status == STATUS_OK)
        *(struct line_quota *)call->into = call->quota;
    line_call_finish(call, outcome);
}

static void first_of_quota(struct line_call *call,
                           const struct http_result *result)
{
    call->then = on_quota;
    line_quota_answered(call, result);
}

enum status line_quota_get(struct line_api *api, const struct line_query *query,
                           struct line_quota *quota, struct line_call **out)
{
    struct line_call *call = new_call(api, query, LINE_QUOTA);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    *quota = (struct line_quota){.limited = false};
    call->into = quota;
    call->on_answer = first_of_quota;
    return line_call_start(call, STATUS_OK, out);
}
