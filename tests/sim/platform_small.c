/*
 * platform_small.c: loading animation, mark as read, bot and user, quota,
 * webhook endpoint, stateless tokens.
 */
#include "ascii.h"
#include "platform_api.h"
#include "platform_call.h"

/* ---- loading animation */

static void obey_loading(struct call *call)
{
    struct state *state = call->sim->state;
    struct loading_request request;
    struct photo *photo;

    rules_parse_loading(buf_str(&call->ex->body), call->ex->body.len, &request);
    if (request.problem_count > 0) {
        call_violate(call, "loading", request.problems[0].message);
        call_answer_problems(call->ex, request.is_json, request.problems,
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
    if (call_authorize(&call) && call_check_json(&call) &&
        !call_fault_before(&call, &fault)) {
        obey_loading(&call);
        call_fault_after(&call, &fault);
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
    if (call_authorize(&call) && !call_fault_before(&call, &fault)) {
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
    if (call_authorize(&call)) {
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
    if (call_authorize(&call)) {
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

    call_violate(call, "token_request", why);
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

    platform_uuid(uuid);
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
    if (!call_fault_before(&call, &fault)) {
        obey_token(&call);
        call_fault_after(&call, &fault);
    }
    call_end(&call);
}
