/*
 * platform_small.c: loading animation, mark as read, the webhook's endpoint,
 * bot and user, quota, stateless tokens.
 */
#include "ascii.h"
#include "platform_api.h"
#include "platform_call.h"

static void answer_text(struct exchange *ex, const char *text)
{
    ex->status = 200;
    ex->content_type = "application/json";
    if (buf_append_str(&ex->answer, text) != STATUS_OK)
        ex->status = 500;
}

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
    if (call_authorize(&call, RATE_LOADING) && call_check_json(&call) &&
        !call_fault_before(&call, &fault)) {
        obey_loading(&call);
        call_fault_after(&call, &fault);
    }
    call_end(&call);
}

/* ---- mark as read */

/* Tokens are "mT_" and the message id (event.c). */
static struct photo *photo_of_read_token(struct state *state, const char *token)
{
    return strncmp(token, "mT_", 3) == 0 ? state_find_message(state, token + 3)
                                         : NULL;
}

static void obey_read(struct call *call)
{
    struct state *state = call->sim->state;
    struct single_request request;
    struct photo *photo;

    rules_parse_single("markAsReadToken", true, buf_str(&call->ex->body),
                       call->ex->body.len, &request);
    photo = photo_of_read_token(state, request.value);
    if (request.problem_count > 0) {
        call_violate(call, "read", request.problems[0].message);
        call_answer_problems(call->ex, request.is_json, request.problems,
                             request.problem_count);
    } else if (photo == NULL) {
        call_violate(call, "read", "the token is not one of ours");
        call_answer_message(call->ex, 400, "Invalid markAsReadToken");
    } else {
        (void)str_copy(call->message_id, sizeof(call->message_id),
                       photo->message_id);
        state_lock(state);
        photo->reads++;
        state_unlock(state);
        state_count(state, &state->totals.reads, 1);
        answer_text(call->ex, "{}");
    }
}

void platform_read(void *app, struct exchange *ex)
{
    struct call call;
    struct fault fault;

    call_begin(&call, app, ex, "read");
    fault = state_next_fault(call.sim->state, ENDPOINT_READ, NULL);
    if (call_authorize(&call, RATE_OTHER) && call_check_json(&call) &&
        !call_fault_before(&call, &fault)) {
        obey_read(&call);
        call_fault_after(&call, &fault);
    }
    call_end(&call);
}

/* ---- the webhook's endpoint (platform notes 8) */

void platform_webhook_get(void *app, struct exchange *ex)
{
    struct call call;
    struct json_out out;

    call_begin(&call, app, ex, "webhook_get");
    if (!call_authorize(&call, RATE_WEBHOOK_SETTING))
        goto out;
    state_lock(call.sim->state);
    if (call.sim->state->webhook_url[0] == '\0') {
        call_answer_message(ex, 404, "Webhook endpoint not found");
    } else {
        answer_text(ex, "");
        json_out_init(&out, &ex->answer);
        json_object(&out);
        json_key(&out, "endpoint");
        json_str(&out, call.sim->state->webhook_url);
        json_key(&out, "active");
        json_bool(&out, call.sim->state->webhook_active);
        json_object_end(&out);
        if (json_out_finish(&out) != STATUS_OK)
            ex->status = 500;
    }
    state_unlock(call.sim->state);
out:
    call_end(&call);
}

static bool is_endpoint(const char *url)
{
    return strncmp(url, "https://", 8) == 0 && url[8] != '\0' &&
           strlen(url) <= LINE_WEBHOOK_URL_MAX;
}

static void obey_webhook_set(struct call *call)
{
    struct state *state = call->sim->state;
    struct single_request request;

    rules_parse_single("endpoint", true, buf_str(&call->ex->body),
                       call->ex->body.len, &request);
    if (request.problem_count > 0) {
        call_violate(call, "webhook", request.problems[0].message);
        call_answer_problems(call->ex, request.is_json, request.problems,
                             request.problem_count);
        return;
    }
    if (!is_endpoint(request.value)) {
        call_violate(call, "webhook",
                     "the endpoint is not an https URL of at "
                     "most 500 characters");
        call_answer_message(call->ex, 400, "Invalid webhook endpoint URL");
        return;
    }
    state_lock(state);
    (void)str_copy(state->webhook_url, sizeof(state->webhook_url),
                   request.value);
    state_unlock(state);
    answer_text(call->ex, "{}");
}

void platform_webhook_set(void *app, struct exchange *ex)
{
    struct call call;

    call_begin(&call, app, ex, "webhook_set");
    if (call_authorize(&call, RATE_WEBHOOK_SETTING) && call_check_json(&call))
        obey_webhook_set(&call);
    call_end(&call);
}

/* An answer that failed is a 200 as well. */
static void report_webhook_test(struct exchange *ex,
                                const struct sender_result *result)
{
    static const struct {
        const char *error, *reason;
    } reasons[] = {{"could_not_connect", "COULD_NOT_CONNECT"},
                   {"request_timeout", "REQUEST_TIMEOUT"},
                   {"error_status_code", "ERROR_STATUS_CODE"}};
    const char *reason = result->error[0] == '\0' ? "OK" : "UNCLASSIFIED";
    struct json_out out;
    char detail[SIM_FETCH_WHY_MAX];

    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        if (str_eq(result->error, reasons[i].error))
            reason = reasons[i].reason;
    }
    (void)snprintf(detail, sizeof(detail), "%d", result->http_status);
    answer_text(ex, "");
    json_out_init(&out, &ex->answer);
    json_object(&out);
    json_key(&out, "success");
    json_bool(&out, result->error[0] == '\0');
    json_key(&out, "timestamp");
    json_str(&out, "2026-01-01T00:00:00.000Z");
    json_key(&out, "statusCode");
    json_int(&out, result->http_status);
    json_key(&out, "reason");
    json_str(&out, reason);
    json_key(&out, "detail");
    json_str(&out, result->why[0] != '\0' ? result->why : detail);
    json_object_end(&out);
    if (json_out_finish(&out) != STATUS_OK)
        ex->status = 500;
}

static void obey_webhook_test(struct call *call)
{
    struct sim *sim = call->sim;
    struct single_request request;
    struct sender_result result;
    char body[128], url[LINE_WEBHOOK_URL_MAX + 1];
    struct sender_post post = {
        .body = body, .url = url, .timeout_ms = LINE_ACK_LIMIT_MS};

    rules_parse_single("endpoint", false, buf_str(&call->ex->body),
                       call->ex->body.len, &request);
    state_lock(sim->state);
    (void)str_copy(url, sizeof(url), sim->state->webhook_url);
    state_unlock(sim->state);
    if (request.problem_count > 0 ||
        (request.value[0] != '\0' && !is_endpoint(request.value))) {
        call_violate(call, "webhook", "not an endpoint");
        call_answer_message(call->ex, 400, "Invalid webhook endpoint URL");
        return;
    }
    if (request.value[0] != '\0')
        (void)str_copy(url, sizeof(url), request.value);
    if (url[0] == '\0') {
        call_answer_message(call->ex, 404, "Webhook endpoint not found");
        return;
    }
    post.len = (size_t)snprintf(body, sizeof(body),
                                "{\"destination\":\"%s\",\"events\":[]}",
                                sim->state->destination);
    sender_post(sim->sender, &post, &result);
    report_webhook_test(call->ex, &result);
    sender_result_release(&result);
}

void platform_webhook_test(void *app, struct exchange *ex)
{
    struct call call;

    call_begin(&call, app, ex, "webhook_test");
    if (call_authorize(&call, RATE_WEBHOOK_TEST) && call_check_json(&call))
        obey_webhook_test(&call);
    call_end(&call);
}

/* ---- the bot and its users */

void platform_profile(void *app, struct exchange *ex)
{
    struct call call;
    char text[160];

    call_begin(&call, app, ex, "profile");
    if (call_authorize(&call, RATE_OTHER)) {
        if (rules_is_source_id(ex->param, "U") &&
            state_find_source(call.sim->state, ex->param) != NULL) {
            (void)snprintf(text, sizeof(text),
                           "{\"userId\":\"%s\",\"displayName\":\"user\"}",
                           ex->param);
            answer_text(ex, text);
        } else {
            platform_answer_status(ex, 404);
        }
    }
    call_end(&call);
}

void platform_info(void *app, struct exchange *ex)
{
    struct call call;
    struct fault fault;
    char text[256];

    call_begin(&call, app, ex, "info");
    fault = state_next_fault(call.sim->state, ENDPOINT_INFO, NULL);
    if (call_authorize(&call, RATE_OTHER) &&
        !call_fault_before(&call, &fault)) {
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
    struct fault fault;
    char text[64] = "{\"type\":\"none\"}";

    call_begin(&call, app, ex, "quota");
    fault = state_next_fault(call.sim->state, ENDPOINT_QUOTA, NULL);
    if (call_authorize(&call, RATE_OTHER) &&
        !call_fault_before(&call, &fault)) {
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
    struct fault fault;
    char text[64];

    call_begin(&call, app, ex, "quota");
    fault = state_next_fault(call.sim->state, ENDPOINT_QUOTA, NULL);
    if (call_authorize(&call, RATE_OTHER) &&
        !call_fault_before(&call, &fault)) {
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
