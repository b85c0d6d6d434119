/*
 * platform_api.c: every call goes the same way:
 *
 *   x-line-request-id ─▶ access token (401) ─▶ size and type (413, 415)
 *     ─▶ body (400 with details) ─▶ fault without effect
 *     ─▶ tokens, keys, users (400, 409, 429) ─▶ 200 ─▶ fault with effect
 *
 * Whatever a bot did wrong is a violation, by kind; a fault that a test asked
 * for is not.
 */
#include "platform_api.h"

#include "ascii.h"
#include "content.h"
#include "crypto.h"
#include "rules.h"
#include "sim.h"

#define BEARER "Bearer "

/* One call while it is answered. */
struct call {
    struct sim *sim;
    struct exchange *ex;
    const char *name; /* of the record */
    char request_id[37];
    char message_id[MESSAGE_ID_MAX + 1]; /* of the photo it is about, or "" */
};

/* ---- answers */

static void make_uuid(char out[37])
{
    uint8_t b[16] = {0};
    size_t len = 0;

    if (crypto_random(b, sizeof(b)) != STATUS_OK)
        b[0] = 1;
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(b); i++)
        len += (size_t)snprintf(
            out + len, 37 - len, "%s%02x",
            i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
}

static void answer_message(struct exchange *ex, int status, const char *message)
{
    struct json_out out;

    ex->status = status;
    ex->content_type = "application/json";
    buf_clear(&ex->answer);
    json_out_init(&out, &ex->answer);
    json_object(&out);
    json_key(&out, "message");
    json_str(&out, message);
    json_object_end(&out);
    if (json_out_finish(&out) != STATUS_OK)
        ex->status = 500;
}

/* Words of platform notes 3.3 and 4.1. */
void platform_answer_status(struct exchange *ex, int status)
{
    switch (status) {
    case 202:
        ex->status = status;
        return;
    case 401:
        answer_message(ex, status,
                       "Authentication failed due to the following reason: "
                       "invalid token. Confirm that the access token in the "
                       "authorization header is valid.");
        return;
    case 403:
        answer_message(ex, status,
                       "Access to this API is not available for your account");
        return;
    case 404:
        answer_message(ex, status, "not found");
        return;
    case 405:
        answer_message(ex, status, "Method Not Allowed");
        return;
    case 410:
        answer_message(ex, status, "The content is gone");
        return;
    case 413:
        answer_message(ex, status, "Request entity too large");
        return;
    case 415:
        answer_message(ex, status, "Unsupported media type");
        return;
    case 429:
        answer_message(ex, status,
                       "The API rate limit has been exceeded. Try again "
                       "later.");
        return;
    default:
        answer_message(ex, status, "Internal server error");
        return;
    }
}

static void write_problems(struct json_out *out,
                           const struct rules_problem *problems, size_t count)
{
    json_key(out, "details");
    json_array(out);
    for (size_t i = 0; i < count; i++) {
        json_object(out);
        json_key(out, "message");
        json_str(out, problems[i].message);
        json_key(out, "property");
        json_str(out, problems[i].property);
        json_object_end(out);
    }
    json_array_end(out);
}

static void answer_problems(struct exchange *ex, bool is_json,
                            const struct rules_problem *problems, size_t count)
{
    struct json_out out;
    char text[64];

    if (!is_json) {
        answer_message(ex, 400,
                       "The request body could not be parsed as JSON (line: "
                       "1, column: 1)");
        return;
    }
    (void)snprintf(text, sizeof(text), "The request body has %zu error(s)",
                   count);
    ex->status = 400;
    ex->content_type = "application/json";
    buf_clear(&ex->answer);
    json_out_init(&out, &ex->answer);
    json_object(&out);
    json_key(&out, "message");
    json_str(&out, text);
    write_problems(&out, problems, count);
    json_object_end(&out);
    /* A property name can hold half a character where it was cut. */
    if (json_out_finish(&out) != STATUS_OK)
        answer_message(ex, 400, text);
}

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

/* ---- the common way */

static void violate(struct call *call, const char *kind, const char *why)
{
    state_add_violation(call->sim->state, kind, call->message_id, why);
    RECORD(&call->sim->recorder, "violation", REC_STR("violation", kind),
           REC_STR("message_id", call->message_id), REC_STR("why", why));
}

static void call_begin(struct call *call, struct sim *sim, struct exchange *ex,
                       const char *name)
{
    *call = (struct call){.sim = sim, .ex = ex, .name = name};
    make_uuid(call->request_id);
    exchange_add_header(ex, "x-line-request-id", call->request_id);
}

static void call_end(struct call *call)
{
    RECORD(&call->sim->recorder, call->name,
           REC_STR("message_id", call->message_id),
           REC_INT("status", call->ex->close ? 0 : call->ex->status),
           REC_STR("request_id", call->request_id));
}

/* False, and 401 answered, without a good access token. */
static bool authorize(struct call *call)
{
    const char *header = exchange_request_header(call->ex, "Authorization");

    if (header != NULL &&
        strncasecmp(header, BEARER, sizeof(BEARER) - 1) == 0 &&
        state_knows_bearer(call->sim->state, header + sizeof(BEARER) - 1,
                           state_now_ms(call->sim->state)))
        return true;
    violate(call, "unauthorized",
            header == NULL ? "no Authorization header"
                           : "unknown or expired access token");
    platform_answer_status(call->ex, 401);
    return false;
}

static bool check_json_body(struct call *call)
{
    const char *type = exchange_request_header(call->ex, "Content-Type");

    if (call->ex->body_too_large) {
        violate(call, "body_too_large", "the request is over 2 MB");
        platform_answer_status(call->ex, 413);
        return false;
    }
    if (type == NULL || strncasecmp(type, "application/json", 16) != 0) {
        violate(call, "content_type", "Content-Type is not application/json");
        platform_answer_status(call->ex, 415);
        return false;
    }
    return true;
}

static void apply_fault(struct call *call, const struct fault *fault)
{
    struct exchange *ex = call->ex;
    char seconds[24];

    buf_clear(&ex->answer);
    RECORD(&call->sim->recorder, "fault", REC_STR("endpoint", call->name),
           REC_STR("message_id", call->message_id),
           REC_INT("effect", fault->effect));
    if (fault->kind == FAULT_STATUS) {
        if (fault->retry_after_s >= 0) {
            (void)snprintf(seconds, sizeof(seconds), "%d",
                           (int)fault->retry_after_s);
            exchange_add_header(ex, "Retry-After", seconds);
        }
        platform_answer_status(ex, (int)fault->status);
        return;
    }
    if (fault->kind == FAULT_HANG)
        (void)exchange_sleep(ex, fault->hang_ms > 0 ? fault->hang_ms
                                                    : SIM_SLEEP_MAX_MS);
    ex->close = true;
}

/* True if the call ends here, without effect. */
static bool fault_before(struct call *call, const struct fault *fault)
{
    if (fault->delay_ms > 0 && !exchange_sleep(call->ex, fault->delay_ms)) {
        call->ex->close = true;
        return true;
    }
    if (fault->kind == FAULT_NONE || fault->effect)
        return false;
    apply_fault(call, fault);
    return true;
}

static void fault_after(struct call *call, const struct fault *fault)
{
    if (fault->kind != FAULT_NONE && fault->effect)
        apply_fault(call, fault);
}

/* ---- content */

void platform_content(void *app, struct exchange *ex)
{
    struct call call;

    call_begin(&call, app, ex, "content");
    copy_ascii(call.message_id, sizeof(call.message_id), ex->param);
    if (authorize(&call))
        content_serve(call.sim, ex, ex->param);
    call_end(&call);
}

/* ---- reply */

static void refuse_reply(struct call *call, const char *token,
                         const char *violation, const char *why)
{
    struct state *state = call->sim->state;
    struct photo *photo = state_find_token(state, token);

    violate(call, violation, why);
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
        violate(call, "reply_after_unsend",
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
    answer_message(call->ex, 400, "Invalid reply token");
}

static void obey_reply(struct call *call, const struct message_request *request)
{
    if (request->problem_count > 0) {
        char why[SIM_WHY_MAX];

        (void)snprintf(why, sizeof(why), "%s: %s",
                       request->problems[0].property,
                       request->problems[0].message);
        refuse_reply(call, request->reply_token, "reply_body", why);
        answer_problems(call->ex, request->is_json, request->problems,
                        request->problem_count);
        return;
    }
    if (exchange_request_header(call->ex, "X-Line-Retry-Key") != NULL) {
        refuse_reply(call, request->reply_token, "reply_retry_key",
                     "a reply must not have X-Line-Retry-Key");
        answer_message(call->ex, 400, "Retry key is not supported");
        return;
    }
    use_token(call, request);
}

static void reply(struct call *call)
{
    struct message_request request;
    struct photo *photo;
    struct fault fault;

    if (!authorize(call) || !check_json_body(call))
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
    if (!fault_before(call, &fault)) {
        obey_reply(call, &request);
        fault_after(call, &fault);
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
        violate(call, "push_retry_body",
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
        answer_message(call->ex, 429, "You have reached your monthly limit.");
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
        violate(call, "push_body", request->problems[0].message);
        answer_problems(call->ex, request->is_json, request->problems,
                        request->problem_count);
        return;
    }
    if (key != NULL && !rules_is_uuid(key)) {
        violate(call, "push_retry_key", "X-Line-Retry-Key is not a UUID");
        answer_message(call->ex, 400, "The retry key is invalid");
        return;
    }
    if (!rules_is_source_id(request->to, "UCR")) {
        violate(call, "push_to", "\"to\" is not a user, group or room id");
        answer_message(call->ex, 400, "Failed to send messages");
        return;
    }
    accept_push(call, key, request);
}

static void push(struct call *call)
{
    struct message_request request;
    struct fault fault;

    if (!authorize(call) || !check_json_body(call))
        return;
    if (rules_parse_messages(RULES_PUSH, buf_str(&call->ex->body),
                             call->ex->body.len, &request) != STATUS_OK) {
        platform_answer_status(call->ex, 500);
        return;
    }
    fault = state_next_fault(call->sim->state, ENDPOINT_PUSH, NULL);
    if (!fault_before(call, &fault)) {
        obey_push(call, &request);
        fault_after(call, &fault);
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

/* ---- the small ones */

static void obey_loading(struct call *call)
{
    struct state *state = call->sim->state;
    struct loading_request request;
    struct photo *photo;

    rules_parse_loading(buf_str(&call->ex->body), call->ex->body.len, &request);
    if (request.problem_count > 0) {
        violate(call, "loading", request.problems[0].message);
        answer_problems(call->ex, request.is_json, request.problems,
                        request.problem_count);
        return;
    }
    photo = state_find_source(state, request.chat_id);
    if (photo != NULL) {
        (void)str_copy(call->message_id, sizeof(call->message_id),
                       photo->message_id);
        state_lock(state);
        photo->loadings++;
        state_unlock(state);
    }
    state_count(state, &state->totals.loadings, 1);
    call->ex->status = 202;
    call->ex->content_type = "application/json";
    if (buf_append_str(&call->ex->answer, "{}") != STATUS_OK)
        call->ex->status = 500;
}

void platform_loading(void *app, struct exchange *ex)
{
    struct call call;
    struct fault fault;

    call_begin(&call, app, ex, "loading");
    fault = state_next_fault(call.sim->state, ENDPOINT_LOADING, NULL);
    if (authorize(&call) && check_json_body(&call) &&
        !fault_before(&call, &fault)) {
        obey_loading(&call);
        fault_after(&call, &fault);
    }
    call_end(&call);
}

static void answer_text(struct exchange *ex, const char *text)
{
    ex->status = 200;
    ex->content_type = "application/json";
    if (buf_append_str(&ex->answer, text) != STATUS_OK)
        ex->status = 500;
}

void platform_info(void *app, struct exchange *ex)
{
    struct call call;
    struct fault fault;
    char text[256];

    call_begin(&call, app, ex, "info");
    fault = state_next_fault(call.sim->state, ENDPOINT_INFO, NULL);
    if (authorize(&call) && !fault_before(&call, &fault)) {
        (void)snprintf(text, sizeof(text),
                       "{\"userId\":\"%s\",\"basicId\":\"@000simul\","
                       "\"displayName\":\"line-sim\",\"chatMode\":\"bot\","
                       "\"markAsReadMode\":\"auto\"}",
                       call.sim->state->destination);
        answer_text(ex, text);
    }
    call_end(&call);
}

void platform_quota(void *app, struct exchange *ex)
{
    struct call call;
    char text[64] = "{\"type\":\"none\"}";

    call_begin(&call, app, ex, "quota");
    if (authorize(&call)) {
        state_lock(call.sim->state);
        if (call.sim->state->push_quota >= 0)
            (void)snprintf(text, sizeof(text),
                           "{\"type\":\"limited\",\"value\":%lld}",
                           (long long)call.sim->state->push_quota);
        state_unlock(call.sim->state);
        answer_text(ex, text);
    }
    call_end(&call);
}

void platform_consumption(void *app, struct exchange *ex)
{
    struct call call;
    char text[64];

    call_begin(&call, app, ex, "quota");
    if (authorize(&call)) {
        state_lock(call.sim->state);
        (void)snprintf(text, sizeof(text), "{\"totalUsage\":%lld}",
                       (long long)call.sim->state->totals.pushes);
        state_unlock(call.sim->state);
        answer_text(ex, text);
    }
    call_end(&call);
}

/* ---- stateless tokens (platform notes 7), with OAuth's error shape */

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) % 16 : -1;
}

/* The value of `name` in a form, decoded; false if absent or too long. */
static bool form_value(const char *form, const char *name, char *out,
                       size_t size)
{
    size_t len = strlen(name), n = 0;

    while (strncmp(form, name, len) != 0 || form[len] != '=') {
        form = strchr(form, '&');
        if (form == NULL)
            return false;
        form++;
    }
    for (form += len + 1; *form != '\0' && *form != '&'; form++) {
        char c = *form == '+' ? ' ' : *form;

        if (c == '%' && hex_value(form[1]) >= 0 && hex_value(form[2]) >= 0) {
            c = (char)(hex_value(form[1]) * 16 + hex_value(form[2]));
            form += 2;
        }
        if (n + 1 >= size)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

static void answer_oauth_error(struct call *call, const char *error,
                               const char *why)
{
    char text[256];

    violate(call, "token_request", why);
    (void)snprintf(text, sizeof(text),
                   "{\"error\":\"%s\",\"error_description\":\"%s\"}", error,
                   why);
    answer_text(call->ex, text);
    call->ex->status = 400;
}

static void issue_token(struct call *call)
{
    struct state *state = call->sim->state;
    char uuid[37], token[64], text[256];

    make_uuid(uuid);
    (void)snprintf(token, sizeof(token), "stateless.%s", uuid);
    state_add_stateless(state, token, state_now_ms(state));
    (void)snprintf(text, sizeof(text),
                   "{\"token_type\":\"Bearer\",\"access_token\":\"%s\","
                   "\"expires_in\":%d}",
                   token, LINE_STATELESS_LIFE_S);
    answer_text(call->ex, text);
}

static void obey_token(struct call *call)
{
    const struct state *state = call->sim->state;
    const char *form = buf_str(&call->ex->body);
    const char *type = exchange_request_header(call->ex, "Content-Type");
    char grant[64], id[MESSAGE_ID_MAX + 1], secret[SECRET_MAX + 1];

    if (type == NULL ||
        strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0)
        answer_oauth_error(call, "invalid_request",
                           "Content-Type is not form-urlencoded");
    else if (!form_value(form, "grant_type", grant, sizeof(grant)) ||
             !str_eq(grant, "client_credentials"))
        answer_oauth_error(call, "unsupported_grant_type",
                           "grant_type is not client_credentials");
    else if (!form_value(form, "client_id", id, sizeof(id)) ||
             !form_value(form, "client_secret", secret, sizeof(secret)))
        answer_oauth_error(call, "invalid_request",
                           "client_id and client_secret are needed");
    else if (!str_eq(secret, state->channel_secret) ||
             (state->channel_id[0] != '\0' && !str_eq(id, state->channel_id)))
        answer_oauth_error(call, "invalid_client",
                           "client_id and client_secret do not match");
    else
        issue_token(call);
}

void platform_token(void *app, struct exchange *ex)
{
    struct call call;
    struct fault fault;

    call_begin(&call, app, ex, "token");
    fault = state_next_fault(call.sim->state, ENDPOINT_TOKEN, NULL);
    if (!fault_before(&call, &fault)) {
        obey_token(&call);
        fault_after(&call, &fault);
    }
    call_end(&call);
}

void platform_not_found(void *app, struct exchange *ex, bool path_known)
{
    struct call call;

    call_begin(&call, app, ex, "unknown");
    violate(&call, "unknown_call",
            path_known ? "method not allowed" : "no such path");
    platform_answer_status(ex, path_known ? 405 : 404);
    call_end(&call);
}
