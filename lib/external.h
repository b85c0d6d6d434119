/*
 * external.h: fetches a picture that is not kept at LINE (contentProvider
 * "external", line-platform 2.1). Its URL was chosen by whoever sent the
 * message, so it may point at anything (line-platform 3.4):
 *
 *   - https only, without user or password, port 443 or one from 1024 up;
 *   - only to addresses of the public internet, looked at when a connection is
 *     opened (http.h, public_only), so a name that changes its mind does not
 *     help; no proxy, no redirect;
 *   - no token and no header of ours but User-Agent goes there.
 *
 *   external_get(http, &request, &call)
 *     ... on_head, on_body as they come ...
 *     ... on_done exactly once and last, unless external_cancel() ...
 *
 * Requests, callbacks and outcome are as those of line_content_get(), so that
 * one receiver serves both; rules for callbacks: http.h. The outcome's
 * request_id is "" and in_doubt false. Statuses besides those of http.h:
 *
 *   ADDRESS_REFUSED  the URL or its address is against the above
 *   NOT_FOUND        404, 410
 *   SERVER_ERROR     5xx; RATE_LIMITED 429, TIMEOUT 408: try again
 *   EMPTY            200 with no byte
 *   REFUSED          any other answer, redirects among them
 *
 * All on the loop's thread.
 */
#ifndef DARKROOM_EXTERNAL_H
#define DARKROOM_EXTERNAL_H

#include "line_judge.h"

struct external_call;

struct external_request {
    const char *url; /* borrowed for the call that starts it */
    int64_t timeout_ms;
    int64_t max_bytes;
    void *arg;
    /* Optional: the picture's bytes will come. -1: length not told. */
    void (*on_head)(void *arg, int64_t content_length);
    /* Only bytes of the picture, never those of an error's body. */
    enum http_body_answer (*on_body)(void *arg, const char *bytes, size_t len);
    void (*on_done)(void *arg, const struct line_outcome *outcome);
};

/* ADDRESS_REFUSED at once for a URL that breaks the rules by its words. */
enum status external_get(struct http *http,
                         const struct external_request *request,
                         struct external_call **out) MUST_CHECK;

/* No callback of it comes after; the struct is gone. */
void external_cancel(struct external_call *call);

/* After on_body answered HTTP_BODY_PAUSE. */
void external_resume(struct external_call *call);

/* The decision, as a pure function. */
void external_judge(const struct http_result *result,
                    struct line_outcome *outcome);

#endif
