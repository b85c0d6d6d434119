/*
 * line_quota.c: the account's quota takes two questions, what it is and what of
 * it is used (line-platform 4.2). The second is asked only if there is one.
 */
#include "json.h"
#include "line_call.h"

static enum status on_value(void *arg, const struct json_event *event)
{
    struct line_quota *quota = arg;
    char type[16];

    if (json_path_is(event, "type"))
        quota->limited =
            json_copy_str(event, type, sizeof(type)) && str_eq(type, "limited");
    else if (json_path_is(event, "value") && event->kind == JSON_INT)
        quota->value = event->num;
    else if (json_path_is(event, "totalUsage") && event->kind == JSON_INT)
        quota->used = event->num;
    return STATUS_OK;
}

/* A member that is not there leaves -1 in its place. */
static enum status read_answer(struct line_call *call)
{
    return json_read(buf_str(&call->answer), call->answer.len, on_value,
                     &call->quota);
}

static void on_consumption(struct line_call *call,
                           const struct http_result *result)
{
    struct line_outcome outcome;

    line_judge_other(result, buf_str(&call->answer), call->answer.len,
                     &outcome);
    if (outcome.status == STATUS_OK)
        outcome.status = read_answer(call);
    if (outcome.status == STATUS_OK && call->quota.used < 0)
        outcome.status = STATUS_BAD_INPUT;
    call->then(call, &outcome);
}

void line_quota_answered(struct line_call *call,
                         const struct http_result *result)
{
    struct line_outcome outcome;

    call->quota = (struct line_quota){.value = -1, .used = -1};
    line_judge_other(result, buf_str(&call->answer), call->answer.len,
                     &outcome);
    if (outcome.status == STATUS_OK)
        outcome.status = read_answer(call);
    if (outcome.status == STATUS_OK && call->quota.limited &&
        call->quota.value < 0)
        outcome.status = STATUS_BAD_INPUT;
    if (outcome.status != STATUS_OK)
        call->then(call, &outcome);
    else
        line_call_follow(call, LINE_CONSUMPTION, on_consumption);
}
