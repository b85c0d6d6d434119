/*
 * line_judge.c: first what is the same for all calls, then what a call makes of
 * its own statuses. From an error's body only two things are read: whether it
 * has "details", which decides, and LINE's words, which only people see.
 */
#include "line_judge.h"

#include "json.h"
#include "utf8.h"

/* ---- common */

static enum status common_status(int http_status)
{
    if (http_status >= 200 && http_status < 300)
        return STATUS_OK;
    if (http_status == 401)
        return STATUS_UNAUTHORIZED;
    if (http_status == 404)
        return STATUS_NOT_FOUND;
    if (http_status == 413)
        return STATUS_TOO_LARGE;
    if (http_status == 408)
        return STATUS_TIMEOUT;
    if (http_status == 429)
        return STATUS_RATE_LIMITED;
    if (http_status >= 500)
        return STATUS_SERVER_ERROR;
    return STATUS_REFUSED;
}

static void fill_outcome(const struct http_result *result,
                         struct line_outcome *outcome)
{
    *outcome = (struct line_outcome){
        .status = result->status,
        .http_status = result->head.status,
        .body_bytes = result->body_bytes,
        .elapsed_ms = result->elapsed_ms,
        .date_ms = result->head.status != 0 ? result->head.date_ms : -1,
    };
    if (result->head.retry_after_s > 0)
        outcome->retry_after_ms =
            int64_min(result->head.retry_after_s, RETRY_AFTER_MAX_S) * 1000;
    (void)str_copy(outcome->request_id, sizeof(outcome->request_id),
                   result->head.request_id);
    if (result->error != NULL)
        (void)snprintf(outcome->detail, sizeof(outcome->detail), "%s",
                       result->error);
}

/* What LINE says about an error (line-platform 4.1). */
struct error_words {
    bool has_details;
    char message[64];
    char property[48]; /* of the first detail */
};

static void keep(const struct json_event *event, char *dst, size_t size)
{
    if (event->kind == JSON_STR && dst[0] == '\0')
        (void)snprintf(dst, size, "%.*s", (int)size_min(event->len, size - 1),
                       event->str);
}

static enum status find_words(void *arg, const struct json_event *event)
{
    struct error_words *words = arg;

    if (json_path_is(event, "details.#"))
        words->has_details = true;
    else if (json_path_is(event, "message"))
        keep(event, words->message, sizeof(words->message));
    else if (json_path_is(event, "details.#.property"))
        keep(event, words->property, sizeof(words->property));
    return STATUS_OK;
}

/* Of a body that is cut or broken further on, what came before counts. */
static void read_words(const char *body, size_t len, struct error_words *words)
{
    *words = (struct error_words){.has_details = false};
    (void)!json_read(body, len, find_words, words);
}

static void say_http_status(struct line_outcome *outcome,
                            const struct error_words *words)
{
    if (outcome->status == STATUS_OK)
        outcome->detail[0] = '\0';
    else
        (void)snprintf(outcome->detail, sizeof(outcome->detail),
                       "HTTP %d%s%.*s%s%.*s", outcome->http_status,
                       words->message[0] != '\0' ? ": " : "",
                       utf8_fit(words->message, 40), words->message,
                       words->property[0] != '\0' ? ", " : "",
                       utf8_fit(words->property, 36), words->property);
    utf8_clean(outcome->detail);
}

/* ---- each call */

void line_judge_content(const struct http_result *result, const char *body,
                        size_t len, struct line_outcome *outcome)
{
    int http_status = result->head.status;
    struct error_words words;

    fill_outcome(result, outcome);
    if (http_status == 200) {
        if (result->status == STATUS_OK && result->body_bytes == 0)
            outcome->status = STATUS_EMPTY;
        return;
    }
    /* An error's body may be cut or too long: its status is what counts. */
    if (http_status == 0)
        return;
    if (http_status == 202)
        outcome->status = STATUS_NOT_READY;
    else if (http_status == 410)
        outcome->status = STATUS_GONE;
    else if (http_status < 300)
        outcome->status = STATUS_REFUSED;
    else
        outcome->status = common_status(http_status);
    read_words(body, len, &words);
    say_http_status(outcome, &words);
}

/* What sends something: LINE sends nothing with an error, but a 502 or 504 is
 * the word of a gateway that does not know. */
static void judge_sending(const struct http_result *result,
                          struct line_outcome *outcome)
{
    fill_outcome(result, outcome);
    if (result->head.status == 0) {
        outcome->in_doubt = result->sent;
        return;
    }
    outcome->status = common_status(result->head.status);
    outcome->in_doubt = result->head.status >= 500;
}

/* "details" comes with an error in the message objects, not with a bad token
 * (line-platform 4.1); it is left out when empty. A body that was cut before
 * any might have had them. */
static enum status bad_reply(const struct http_result *result,
                             const struct error_words *words)
{
    if (words->has_details)
        return STATUS_REFUSED;
    return result->status == STATUS_OK ? STATUS_TOKEN_EXPIRED : result->status;
}

void line_judge_reply(const struct http_result *result, const char *body,
                      size_t len, struct line_outcome *outcome)
{
    struct error_words words;

    judge_sending(result, outcome);
    if (result->head.status == 0)
        return;
    read_words(body, len, &words);
    if (result->head.status == 400)
        outcome->status = bad_reply(result, &words);
    say_http_status(outcome, &words);
}

void line_judge_push(const struct http_result *result, const char *body,
                     size_t len, struct line_outcome *outcome)
{
    struct error_words words;

    judge_sending(result, outcome);
    if (result->head.status == 0)
        return;
    /* The retry key did its work (line-platform 4.2). */
    if (result->head.status == 409)
        outcome->status = STATUS_OK;
    read_words(body, len, &words);
    say_http_status(outcome, &words);
}

void line_judge_other(const struct http_result *result, const char *body,
                      size_t len, struct line_outcome *outcome)
{
    struct error_words words;

    judge_sending(result, outcome);
    outcome->in_doubt = false;
    if (result->head.status == 0)
        return;
    /* The answer is what was asked for: half of it is none. */
    if (outcome->status == STATUS_OK && result->status != STATUS_OK) {
        outcome->status = result->status;
        return;
    }
    read_words(body, len, &words);
    say_http_status(outcome, &words);
}

enum status line_judge_quota(const struct line_quota *quota)
{
    return quota->limited && quota->used >= quota->value ? STATUS_OVER_QUOTA
                                                         : STATUS_RATE_LIMITED;
}
