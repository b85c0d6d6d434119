/*
 * platform_call.c: every call goes the same way:
 *
 *   x-line-request-id ─▶ access token (401) ─▶ rate (429)
 *     ─▶ size and type (413, 415) ─▶ body (400 with details)
 *     ─▶ fault without effect ─▶ tokens, keys, users (400, 409, 429)
 *     ─▶ 200 ─▶ fault with effect
 *
 * Whatever a bot did wrong is a violation, by kind; a fault that a test asked
 * for is not.
 */
#include "platform_call.h"

#include "ascii.h"
#include "crypto.h"
#include "platform_api.h"

#define BEARER "Bearer "

/* ---- answers */

void platform_uuid(char out[37])
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

void call_answer_message(struct exchange *ex, int status, const char *message)
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
        call_answer_message(
            ex, status,
            "Authentication failed due to the following reason: "
            "invalid token. Confirm that the access token in the "
            "authorization header is valid.");
        return;
    case 403:
        call_answer_message(
            ex, status, "Access to this API is not available for your account");
        return;
    case 404:
        call_answer_message(ex, status, "not found");
        return;
    case 405:
        call_answer_message(ex, status, "Method Not Allowed");
        return;
    case 410:
        call_answer_message(ex, status, "The content is gone");
        return;
    case 413:
        call_answer_message(ex, status, "Request entity too large");
        return;
    case 415:
        call_answer_message(ex, status, "Unsupported media type");
        return;
    case 429:
        call_answer_message(ex, status,
                            "The API rate limit has been exceeded. Try again "
                            "later.");
        return;
    default:
        call_answer_message(ex, status, "Internal server error");
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

void call_answer_problems(struct exchange *ex, bool is_json,
                          const struct rules_problem *problems, size_t count)
{
    struct json_out out;
    char text[64];

    if (!is_json) {
        call_answer_message(
            ex, 400,
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
        call_answer_message(ex, 400, text);
}

/* ---- the common way */

void call_violate(struct call *call, const char *kind, const char *why)
{
    state_add_violation(call->sim->state, kind, call->message_id, why);
    RECORD(&call->sim->recorder, "violation", REC_STR("violation", kind),
           REC_STR("message_id", call->message_id), REC_STR("why", why));
}

void call_begin(struct call *call, struct sim *sim, struct exchange *ex,
                const char *name)
{
    *call = (struct call){.sim = sim, .ex = ex, .name = name};
    platform_uuid(call->request_id);
    exchange_add_header(ex, "x-line-request-id", call->request_id);
}

void call_end(struct call *call)
{
    RECORD(&call->sim->recorder, call->name,
           REC_STR("message_id", call->message_id),
           REC_INT("status", call->ex->close ? 0 : call->ex->status),
           REC_STR("request_id", call->request_id));
}

static bool has_good_token(struct call *call)
{
    const char *header = exchange_request_header(call->ex, "Authorization");

    if (header != NULL &&
        strncasecmp(header, BEARER, sizeof(BEARER) - 1) == 0 &&
        state_knows_bearer(call->sim->state, header + sizeof(BEARER) - 1,
                           state_now_ms(call->sim->state)))
        return true;
    call_violate(call, "unauthorized",
                 header == NULL ? "no Authorization header"
                                : "unknown or expired access token");
    return false;
}

bool call_authorize(struct call *call, enum rate_kind kind)
{
    if (!has_good_token(call)) {
        platform_answer_status(call->ex, 401);
        return false;
    }
    if (!state_take_rate(call->sim->state, kind)) {
        call_violate(call, "rate_limit", "more calls than LINE allows");
        platform_answer_status(call->ex, 429);
        return false;
    }
    return true;
}

bool call_check_json(struct call *call)
{
    const char *type = exchange_request_header(call->ex, "Content-Type");
    const char *key = exchange_request_header(call->ex, "X-Line-Retry-Key");

    if (call->ex->body_too_large) {
        call_violate(call, "body_too_large", "the request is over 2 MB");
        platform_answer_status(call->ex, 413);
        return false;
    }
    if (type == NULL || strncasecmp(type, "application/json", 16) != 0) {
        call_violate(call, "content_type",
                     "Content-Type is not application/json");
        platform_answer_status(call->ex, 415);
        return false;
    }
    RECORD(&call->sim->recorder, "request", REC_STR("method", call->ex->method),
           REC_STR("path", call->ex->path),
           REC_STR("retry_key", key != NULL ? key : ""),
           REC_STR("body", buf_str(&call->ex->body)));
    return true;
}

static void apply_fault(struct call *call, const struct fault *fault)
{
    static const struct rules_problem problem = {
        "messages[0].originalContentUrl", "Must be a valid HTTPS URL"};
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
        if (fault->status == 400 && fault->details)
            call_answer_problems(ex, true, &problem, 1);
        else
            platform_answer_status(ex, (int)fault->status);
        return;
    }
    if (fault->kind == FAULT_HANG)
        (void)exchange_sleep(ex, fault->hang_ms > 0 ? fault->hang_ms
                                                    : SIM_SLEEP_MAX_MS);
    ex->close = true;
}

/* True if the call ends here, without effect. */
bool call_fault_before(struct call *call, const struct fault *fault)
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

void call_fault_after(struct call *call, const struct fault *fault)
{
    if (fault->kind != FAULT_NONE && fault->effect)
        apply_fault(call, fault);
}
