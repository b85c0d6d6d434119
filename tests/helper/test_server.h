/*
 * test_server.h: a web server inside a test program, on a free port of
 * 127.0.0.1, that misbehaves on demand. One thread per connection.
 *
 *   server = test_server_start(NULL, NULL);
 *   ... "http://127.0.0.1:%d/get?bytes=1000", test_server_port(server) ...
 *   test_server_stop(server);
 *
 * Paths:
 *   /get     a body of test_server_byte(0), test_server_byte(1), ...
 *              bytes=N      of this length (default 0)
 *              chunked=1    without Content-Length
 *              cut=N        connection closed after N bytes
 *              stall=N      nothing more after N bytes until the server stops
 *              step=N       at most N bytes at a time
 *              pause_ms=N   after each step
 *              status=N     instead of 200
 *              retry=TEXT   a Retry-After header
 *              id=TEXT      an x-line-request-id header
 *   /echo    the request's body
 *   /method  the request's method and body: "PUT text"
 *   /header  the value of the request's header X-Test
 *   /drop    the connection is closed without an answer
 *   /silent  no answer until the server stops
 * Anything else is answered as /get. A handler is asked before all of these.
 */
#ifndef DARKROOM_TEST_SERVER_H
#define DARKROOM_TEST_SERVER_H

#include "base.h"

struct test_server;

/* A request as a handler sees it. Texts that were not sent are "". */
struct test_request {
    const char *method, *path;
    const char *authorization, *content_type, *retry_key, *user_agent;
    const char *line_signature, *darkroom_signature;
    const char *body; /* terminated, not counted in: */
    size_t body_len;
};

/* What is to be answered; zeros are 200 with an empty body. */
struct test_answer {
    unsigned status;
    const char *body; /* lent until the server stops; NULL: test_server_byte */
    uint64_t len;
    bool chunked, drop, silent; /* these and the rest as in the paths above */
    uint64_t cut, stall, step, pause_ms;
    const char *retry, *id;
};

/* On any thread, several at once; false if the request is not for it. */
typedef bool test_handler_fn(void *arg, const struct test_request *request,
                             struct test_answer *answer);

/* NULL if it does not start. With key and certificate (PEM texts): TLS. */
struct test_server *test_server_start(const char *key_pem,
                                      const char *cert_pem);
void test_server_stop(struct test_server *server);

/* To be called before the first request. */
void test_server_set_handler(struct test_server *server,
                             test_handler_fn *handler, void *arg);

int test_server_port(const struct test_server *server);
size_t test_server_connections(struct test_server *server);
size_t test_server_requests(struct test_server *server);

/* A port of 127.0.0.1 on which nobody listens now; -1 if there is none. */
int test_server_free_port(void);

static inline char test_server_byte(uint64_t offset)
{
    return (char)((offset * 31 + (offset >> 8) * 7 + (offset >> 16)) & 0xff);
}

#endif
