/*
 * responder.h: requests in, answers out, over FastCGI or plain CGI; the only
 * code that knows libfcgi.
 *
 *   responder_start(&responder, &options)    threads accept from descriptor 0
 *   responder_stop(responder)                no new requests; waits for those
 *                                            in hand; frees
 *   responder_run_cgi(handler, arg)          instead: the one request of a CGI
 *                                            server, from environment and stdin
 *
 * Acceptors poll the listening socket and an eventfd, then accept without
 * blocking: a clean stop without signals (architecture-study 1.1). libfcgi's
 * reads and writes do block, which is why they have threads of their own; nginx
 * in front buffers whole requests, so they do not block for long.
 *
 * The handler is called on an acceptor thread, several at a time.
 */
#ifndef DARKROOM_RESPONDER_H
#define DARKROOM_RESPONDER_H

#include "buf.h"

/* Borrowed for the handler's call. Strings are never NULL unless said. */
struct request {
    const char *method;       /* "GET" */
    const char *path;         /* "/webhook/shop", without the query */
    const char *content_type; /* "" if there is none */
    const char *signature;    /* x-line-signature, NULL if there is none */
    const char *body;
    size_t body_len;
    /* OK; TOO_LARGE: over WEBHOOK_BODY_MAX_BYTES, body is empty; BAD_INPUT: the
     * length is no number; CUT: the body ended early; NO_MEMORY. */
    enum status body_status;
};

struct response {
    int status;        /* HTTP, e.g. 200 */
    const char *allow; /* of a 405, else NULL */
    const char *text;  /* the body, plain text; static storage */
    const char *type;  /* of another body, else NULL; static storage */
    struct buf body;   /* instead of `text` unless it is empty; the responder
                          has called buf_init() and releases it */
};

typedef void responder_fn(void *arg, const struct request *request,
                          struct response *response);

struct responder_options {
    size_t threads; /* 1..ACCEPTORS_MAX */
    responder_fn *handler;
    void *arg;
};

struct responder;

/* True when this process was started as a plain CGI program. */
bool responder_is_cgi(void);

/* BAD_CONFIG: descriptor 0 is no listening socket. */
enum status responder_start(struct responder **out,
                            const struct responder_options *options) MUST_CHECK;
void responder_stop(struct responder *responder);

/* Answers on standard output and closes it, so the server can pass it on. */
void responder_run_cgi(responder_fn *handler, void *arg);

#endif
