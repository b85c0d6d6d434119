/*
 * webhook.h: LINE's webhook request, verified and parsed. Pure: no I/O.
 *
 *   webhook_verify(secrets, n, body, len, signature)   over the raw bytes
 *   webhook_parse(body, len, &webhook)
 *     ... webhook.events[0..count) ...
 *   webhook_release(&webhook)
 *
 * Unknown fields, event types and enum values, any order and white space are
 * tolerated (line-platform 1.1); events of no interest are counted and left
 * out. Wanted are image messages, files (what is in them is for the decoder to
 * say, never the name), and unsends. Which of them a channel answers is its
 * policy (intake.h). Safe from any thread.
 */
#ifndef DARKROOM_WEBHOOK_H
#define DARKROOM_WEBHOOK_H

#include "job.h"

/* A destination that is nobody's: of the webhooks that `darkroom check` sends,
 * which prove that the workers answer and nothing of LINE's. */
#define WEBHOOK_DESTINATION_NONE "U00000000000000000000000000000000"

struct webhook_event {
    enum job_kind kind;
    bool redelivery;
    char event_id[EVENT_ID_MAX + 1];
    char message_id[MESSAGE_ID_MAX + 1];   /* [0-9A-Za-z_-]+ */
    char reply_token[REPLY_TOKEN_MAX + 1]; /* "" of JOB_UNSEND */
    enum job_source source;
    char source_id[SOURCE_ID_MAX + 1];
    int64_t timestamp_ms;
    /* What may be missing is "" or 0 then; so is what is too long for us: it
     * is a comfort, and the picture can be answered without. */
    char quote_token[QUOTE_TOKEN_MAX + 1];
    char read_token[QUOTE_TOKEN_MAX + 1];
    char set_id[SET_ID_MAX + 1];
    int32_t set_index, set_total;            /* from 1; both known or both 0 */
    char external_url[EXTERNAL_URL_MAX + 1]; /* of JOB_EXTERNAL, else "" */
    int64_t file_bytes; /* of JOB_FILE, as LINE says; -1: not told */
};

struct webhook {
    char destination[SOURCE_ID_MAX + 1];
    struct webhook_event *events; /* the wanted ones, in order */
    size_t count;
    size_t malformed; /* wanted, but without the ids they need: left out */
    size_t idle;      /* standby, Verify's dummies: nobody is to answer them */
    size_t total;     /* events in the body, wanted or not */
};

/*
 * OK if `signature` (the x-line-signature header, may be NULL) is the base64
 * HMAC-SHA256 of the body under one of the secrets; else BAD_SIGNATURE. Every
 * secret is tried and compared in constant time (line-platform 1.2).
 */
enum status webhook_verify(const char *const *secrets, size_t count,
                           const void *body, size_t len,
                           const char *signature) MUST_CHECK;

/*
 * BAD_INPUT: not JSON, or no webhook. TOO_LARGE: beyond a bound of limits.h.
 * Nothing to release then.
 *
 * A malformed event is counted and left out, even if it is the only one: it
 * would be as malformed in every redelivery, and refusing the body would take
 * the pictures of others with it. The caller is to log the count.
 */
enum status webhook_parse(const void *body, size_t len,
                          struct webhook *webhook) MUST_CHECK;
void webhook_release(struct webhook *webhook);

#endif
