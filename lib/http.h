/*
 * http.h: HTTP requests on the engine thread, many at once, none blocking; the
 * only user of libcurl. Knows nothing of LINE.
 *
 *   struct http_request r = {.method = "GET", .url = url, ...};
 *   http_start(http, &r, &transfer);
 *     ... on_head, on_body as they come ...
 *     ... on_done exactly once and last, unless http_cancel() was called
 *
 * One curl multi handle per process, driven by curl_multi_socket_action from
 * the loop (architecture-study 5: at 1,000 slow transfers 7 % of a core against
 * 69-98 % for curl_multi_poll). Connections are kept and HTTP/2 is used where
 * the server offers it over TLS. TLS 1.2 is the least, certificates are always
 * verified. A proxy is taken from the environment (https_proxy, no_proxy), but
 * never for loopback addresses.
 *
 * A request with `public_only` is for a URL that a stranger chose: it connects
 * to public addresses alone (address.h), which is looked at when a socket is
 * opened, after the name was looked up for the last time. It uses no proxy, and
 * no connection of requests without this rule.
 *
 * The process must ignore SIGPIPE.
 *
 * Rules for callbacks: bytes are borrowed for the call; a callback may start,
 * pause and resume transfers and may cancel any, its own included, after which
 * no further callback of that transfer comes. on_done must not cancel its own
 * transfer: it is already over.
 *
 * Memory: a paused HTTP/1.1 transfer stays in the kernel's buffers. Of a paused
 * HTTP/2 stream the server may still send what its window allows, and curl
 * keeps it (the window is curl's: 32 MB in 7.88). Measured through nginx on
 * loopback: 2 to 6 MB for each stream of 50 MB. So pause few at a time.
 *
 * A transfer is the engine's from http_start() until on_done begins or
 * http_cancel() returns.
 */
#ifndef DARKROOM_HTTP_H
#define DARKROOM_HTTP_H

#include "limits.h"
#include "loop.h"

struct http;
struct http_transfer;

/* The answer's head. `content_length` is -1 when not given. */
struct http_head {
    int status;             /* 100..599; 1xx are not reported */
    int64_t content_length; /* bytes, or -1 */
    int64_t retry_after_s;  /* Retry-After in seconds (delta form), or -1 */
    int64_t date_ms;        /* Date: the server's clock, or -1 */
    char request_id[64];    /* x-line-request-id, or "" */
    char content_type[64];  /* or "" */
};

enum http_body_answer {
    HTTP_BODY_OK,    /* taken, go on */
    HTTP_BODY_PAUSE, /* not taken: the same bytes come again after resume */
    HTTP_BODY_ABORT, /* stop: on_done follows with STATUS_CUT */
};

/*
 * What became of a transfer. `status` is about the transport alone:
 *   OK         a whole answer was received; look at head.status
 *   TOO_LARGE  the body went over max_bytes
 *   CUT        it failed after the head: ended before content_length, reset,
 *              or a callback aborted it
 *   TIMEOUT    total time (from http_start(), waiting included), or low speed:
 *              a window of HTTP_LOW_SPEED_SECONDS in which the caller did not
 *              pause brought less than HTTP_LOW_SPEED_BYTES per second. For a
 *              POST or PUT that counts from the head of the answer.
 *   NETWORK    no connection, TLS failure, protocol error
 *   ADDRESS_REFUSED  public_only, and no address of the host is public
 *   NO_MEMORY
 */
struct http_result {
    enum status status;
    /* The request may have reached the server. A POST or PUT is never sent
     * twice: when a kept connection turns out dead under it, the answer is
     * NETWORK. */
    bool sent;
    struct http_head head; /* head.status 0 when no answer came */
    int64_t body_bytes;
    int64_t elapsed_ms;
    const char *error; /* curl's words, "" when OK; borrowed for the call */
};

struct http_request {
    const char *method;         /* "GET", "POST" or "PUT" */
    const char *url;            /* http(s); redirects are never followed */
    const char *const *headers; /* "Name: value" lines, NULL-terminated */
    const char *body;           /* POST, PUT; copied by http_start() */
    size_t body_len;
    bool public_only;   /* see above */
    int64_t timeout_ms; /* whole transfer */
    int64_t max_bytes;  /* of the body, whatever the length header says */
    void *arg;
    void (*on_head)(void *arg, const struct http_head *head); /* optional */
    /* Optional; without it the body is read and dropped. */
    enum http_body_answer (*on_body)(void *arg, const char *bytes, size_t len);
    void (*on_done)(void *arg, const struct http_result *result);
};

struct http_options {
    const char *user_agent;
    const char *ca_file; /* PEM, trusted alone, or NULL for the system's */
    int64_t low_speed_window_ms; /* 0 for HTTP_LOW_SPEED_SECONDS */
    bool loopback_is_public;     /* for tests: what public_only lets through */
};

/* What a URL says about where it leads, as the requests read it. */
struct http_url {
    bool tls;         /* https, else http */
    bool credentials; /* it holds a user's name or password */
    bool loopback;    /* the host is this machine, by its usual names */
    int port;         /* given, or that of the scheme */
};

/* `loop` outlives it. The strings in options are copied. */
enum status http_new(struct http **out, struct loop *loop,
                     const struct http_options *options) MUST_CHECK;

/* Cancels what is under way (no callbacks) and closes all connections. Not from
 * inside a callback of a transfer. */
void http_free(struct http *http);

/* BAD_INPUT: no http(s) URL. */
enum status http_url_read(const char *url, struct http_url *out) MUST_CHECK;

/* Nothing of `request` is kept but arg and the callbacks. Callbacks never run
 * from inside http_start(). On failure none comes: BAD_INPUT for a URL that is
 * not http(s) or a header with a line break in it, NO_MEMORY. */
enum status http_start(struct http *http, const struct http_request *request,
                       struct http_transfer **out) MUST_CHECK;

/* No callback of it comes after; the struct is gone. */
void http_cancel(struct http_transfer *transfer);

/* Continues a paused transfer; on_body comes from the loop, not from inside
 * this call. Nothing if it is not paused. */
void http_resume(struct http_transfer *transfer);

#endif
