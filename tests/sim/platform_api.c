/*
 * platform_api.c: content, reply and push, the calls that photos are about;
 * see platform_call.c for the way that each call goes.
 */
#include "platform_api.h"

#include "ascii.h"
#include "content.h"
#include "platform_call.h"

/* ---- content */

void platform_content(void *app, struct exchange *ex)
{
    struct call call;

    call_begin(&call, app, ex, "content");
    copy_ascii(call.message_id, sizeof(call.message_id), ex->param);
    if (call_authorize(&call, RATE_CONTENT))
        content_serve(call.sim, ex, ex->param);
    call_end(&call);
}

/* ---- reply */

static void answer_sent(struct exchange *ex, int status, const char *message,
                        int64_t first, size_t count)
{
    struct json_out out;
    char text[32];

    ex->status = status;
    ex->content_type = "application/json";
    json_out_init(&out, &ex->answer);
    json_object(&out);
    if (message != NULL) {
        json_key(&out, "message");
        json_str(&out, message);
    }
    json_key(&out, "sentMessages");
    json_array(&out);
    for (size_t i = 0; i < count; i++) {
        json_object(&out);
        (void)snprintf(text, sizeof(text), "%lld",
                       (long long)(first + (int64_t)i));
        json_key(&out, "id");
        json_str(&out, text);
        json_key(&out, "quoteToken");
        json_str(&out, text);
        json_object_end(&out);
    }
    json_array_end(&out);
    json_object_end(&out);
    if (json_out_finish(&out) != STATUS_OK)
        ex->status = 500;
}

static void refuse_reply(struct call *call, const char *token,
                         const char *violation, const char *why)
{
    struct state *state = call->sim->state;
    struct photo *photo = state_find_token(state, token);

    call_violate(call, violation, why);
    state_lock(state);
    if (photo != NULL)
        photo->replies_refused++;
    state->totals.replies_refused++;
    state_unlock(state);
}

static void accept_reply(struct call *call, struct photo *photo,
                         const struct message_request *request)
{
    struct state *state = call->sim->state;
    bool gone;

    state_lock(state);
    photo->replies++;
    gone = photo->gone;
    state_unlock(state);
    if (gone)
        call_violate(call, "reply_after_unsend",
                     "the picture was taken back before the reply");
    state_count(state, &state->totals.replies, 1);
    answer_sent(call->ex, 200, NULL,
                state_number_messages(state, request->count), request->count);
    verifier_take(call->sim->verifier, photo, request);
}

static void use_token(struct call *call, const struct message_request *request)
{
    struct photo *photo;
    const char *why;

    switch (state_use_token(call->sim->state, request->reply_token,
                            state_now_ms(call->sim->state), &photo)) {
    case TOKEN_OK:
        accept_reply(call, photo, request);
        return;
    case TOKEN_USED:
        why = "the reply token was used before";
        break;
    case TOKEN_EXPIRED:
        why = "the reply token has expired";
        break;
    case TOKEN_UNKNOWN:
    default:
        why = "the reply token is not one of ours";
        break;
    }
    refuse_reply(call, request->reply_token, "reply_token", why);
    call_answer_message(call->ex, 400, "Invalid reply token");
}

static void obey_reply(struct call *call, const struct message_request *request)
{
    if (request->problem_count > 0) {
        char why[SIM_WHY_MAX];

        (void)snprintf(why, sizeof(why), "%s: %s",
                       request->problems[0].property,
                       request->problems[0].message);
        refuse_reply(call, request->reply_token, "reply_body", why);
        call_answer_problems(call->ex, request->is_json, request->problems,
                             request->problem_count);
        return;
    }
    if (exchange_request_header(call->ex, "X-Line-Retry-Key") != NULL) {
        refuse_reply(call, request->reply_token, "reply_retry_key",
                     "a reply must not have X-Line-Retry-Key");
        call_answer_message(call->ex, 400, "Retry key is not supported");
        return;
    }
    use_token(call, request);
}

static void reply(struct call *call)
{
    struct message_request request;
    struct photo *photo;
    struct fault fault;

    if (!call_authorize(call, RATE_MESSAGE_REPLY) || !call_check_json(call))
        return;
    if (rules_parse_messages(RULES_REPLY, buf_str(&call->ex->body),
                             call->ex->body.len, &request) != STATUS_OK) {
        platform_answer_status(call->ex, 500);
        return;
    }
    photo = state_find_token(call->sim->state, request.reply_token);
    if (photo != NULL)
        (void)str_copy(call->message_id, sizeof(call->message_id),
                       photo->message_id);
    fault = state_next_fault(call->sim->state, ENDPOINT_REPLY, photo);
    if (!call_fault_before(call, &fault)) {
        obey_reply(call, &request);
        call_fault_after(call, &fault);
    }
    message_request_release(&request);
}

void platform_reply(void *app, struct exchange *ex)
{
    struct call call;

    call_begin(&call, app, ex, "reply");
    reply(&call);
    call_end(&call);
}

/* ---- push */

static uint64_t hash_bytes(const char *bytes, size_t len)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return hash;
}

/* True, and 409 answered, if the key was accepted before. */
static bool repeated_push(struct call *call, const char *key,
                          const struct message_request *request,
                          int64_t *message_number)
{
    const struct buf *body = &call->ex->body;
    char accepted_id[37];
    bool same_body = true;

    memcpy(accepted_id, call->request_id, sizeof(accepted_id));
    if (!state_retry_key_seen(call->sim->state, key,
                              state_now_ms(call->sim->state),
                              hash_bytes(buf_str(body), body->len), accepted_id,
                              message_number, &same_body))
        return false;
    if (!same_body)
        call_violate(call, "push_retry_body",
                     "the same retry key came with another body");
    exchange_add_header(call->ex, "x-line-accepted-request-id", accepted_id);
    answer_sent(call->ex, 409, "The retry key is already accepted",
                *message_number, request->count);
    return true;
}

static bool over_quota(struct state *state)
{
    bool over;

    state_lock(state);
    over = state->push_quota >= 0 && state->totals.pushes >= state->push_quota;
    state_unlock(state);
    return over;
}

static void accept_push(struct call *call, const char *key,
                        const struct message_request *request)
{
    struct state *state = call->sim->state;
    struct photo *photo = state_find_source(state, request->to);
    int64_t number;

    if (over_quota(state)) {
        call_answer_message(call->ex, 429,
                            "You have reached your monthly limit.");
        return;
    }
    number = state_number_messages(state, request->count);
    if (key != NULL && repeated_push(call, key, request, &number))
        return;
    state_count(state, &state->totals.pushes, 1);
    answer_sent(call->ex, 200, NULL, number, request->count);
    if (photo == NULL)
        return;
    (void)str_copy(call->message_id, sizeof(call->message_id),
                   photo->message_id);
    state_lock(state);
    photo->pushes++;
    state_unlock(state);
    verifier_take(call->sim->verifier, photo, request);
}

static void obey_push(struct call *call, const struct message_request *request)
{
    const char *key = exchange_request_header(call->ex, "X-Line-Retry-Key");

    if (request->problem_count > 0) {
        call_violate(call, "push_body", request->problems[0].message);
        call_answer_problems(call->ex, request->is_json, request->problems,
                             request->problem_count);
        return;
    }
    if (key != NULL && !rules_is_uuid(key)) {
        call_violate(call, "push_retry_key", "X-Line-Retry-Key is not a UUID");
        call_answer_message(call->ex, 400, "The retry key is invalid");
        return;
    }
    if (!rules_is_source_id(request->to, "UCR")) {
        call_violate(call, "push_to", "\"to\" is not a user, group or room id");
        call_answer_message(call->ex, 400, "Failed to send messages");
        return;
    }
    accept_push(call, key, request);
}

static void push(struct call *call)
{
    struct message_request request;
    struct photo *photo;
    struct fault fault;

    if (!call_authorize(call, RATE_MESSAGE_PUSH) || !call_check_json(call))
        return;
    if (rules_parse_messages(RULES_PUSH, buf_str(&call->ex->body),
                             call->ex->body.len, &request) != STATUS_OK) {
        platform_answer_status(call->ex, 500);
        return;
    }
    photo = state_find_source(call->sim->state, request.to);
    fault = state_next_fault(call->sim->state, ENDPOINT_PUSH, photo);
    if (!call_fault_before(call, &fault)) {
        obey_push(call, &request);
        call_fault_after(call, &fault);
    }
    message_request_release(&request);
}

void platform_push(void *app, struct exchange *ex)
{
    struct call call;

    call_begin(&call, app, ex, "push");
    push(&call);
    call_end(&call);
}

void platform_not_found(void *app, struct exchange *ex, bool path_known)
{
    struct call call;

    call_begin(&call, app, ex, "unknown");
    call_violate(&call, "unknown_call",
                 path_known ? "method not allowed" : "no such path");
    platform_answer_status(ex, path_known ? 405 : 404);
    call_end(&call);
}
