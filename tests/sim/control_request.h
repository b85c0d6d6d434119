/*
 * control_request.h: reads the JSON of the control calls into plain structs.
 * Pure: no files, no state.
 *
 * Every member is optional unless said; an unknown one is an error, named in
 * `why`. What is not given has the value that control_request_init() gives.
 */
#ifndef SIM_CONTROL_REQUEST_H
#define SIM_CONTROL_REQUEST_H

#include "state.h"

/* The members of all control calls; each call uses some of them. */
struct control_request {
    /* photo */
    char file[SIM_PATH_MAX];
    int64_t count, parallel, batch;
    char files[SIM_SET_FILES_MAX][SIM_PATH_MAX]; /* instead of file, count */
    size_t file_count;
    char channel_path[128];
    char external_url[LINE_URL_MAX + 1];
    char user_id[SOURCE_ID_MAX + 1];
    enum photo_source source;
    enum photo_kind kind;
    bool standby, set, wait, fresh_connections, send;
    bool set_unnumbered; /* no index and total, as old clients send it */
    bool redeliver_on_error;
    int64_t redeliveries, redelivery_interval_ms;
    bool has_content;
    struct content_behaviour content; /* "behaviour" or "content" */

    /* webhook: `body` is text as it is sent, or the JSON of "events" */
    char *body;
    size_t body_len;
    bool body_is_events;
    bool has_signature;
    char signature[100]; /* "auto", "wrong", "none" or as it is sent */
    int64_t timeout_ms;

    /* repeat, unsend, behaviour */
    char message_id[MESSAGE_ID_MAX + 1];
    bool redelivery;
    struct fault faults[ENDPOINT__COUNT]; /* "reply", "push", ... */
    bool has_fault[ENDPOINT__COUNT];
    int64_t push_quota;   /* -2 = not given */
    int64_t rate_limit_s; /* -1 = not given */
    char access_token[TOKEN_MAX + 1];
    bool revoke_tokens;
    bool webhook_active;
    bool has_webhook_active;

    /* clock */
    int64_t advance_ms;
};

/* `content` is where an object "behaviour" starts from: the current default. */
void control_request_init(struct control_request *request,
                          const struct content_behaviour *content);
void control_request_release(struct control_request *request);

/* BAD_INPUT with `why`: not JSON, unknown member, bad value. `members` are the
 * names that this call knows, separated and surrounded by spaces. */
enum status control_request_parse(struct control_request *request,
                                  const char *members, const void *bytes,
                                  size_t len, char *why,
                                  size_t why_size) MUST_CHECK;

#endif
