/*
 * server.h: HTTP/1.1 on a loopback port, one thread per connection; the only
 * user of libmicrohttpd in the simulator.
 *
 *   static const struct route routes[] = {
 *       {"GET", "/v2/bot/message/+/content", 0, get_content},
 *       {NULL, NULL, 0, NULL}};
 *   server_start(&server, &options);
 *     ... handlers run, each on its connection's thread ...
 *   server_stop(server);
 *
 * A thread per connection rather than suspended connections on a few threads:
 * a slow, stalled or hanging answer is then straight code that sleeps, and
 * holds up nobody else. It costs a stack per connection, which is bounded; a
 * simulator has hundreds of clients, not tens of thousands.
 *
 * A handler fills the exchange: exchange_answer() or a stream, or `close`. It
 * may block in exchange_sleep(), which ends early when the client leaves or the
 * server stops.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "buf.h"

struct server;
struct exchange;

#define EXCHANGE_HEADERS_MAX 8

struct exchange_header {
    char name[48];
    char value[128];
};

/*
 * A body that is made while it is sent. read() gives the next bytes (> 0), 0
 * for the end, -1 to cut the connection. Less than size_bytes before the end
 * is a cut as well. free() comes last, always.
 */
struct stream {
    int64_t size_bytes; /* Content-Length; -1 = none */
    size_t block_bytes; /* the largest read */
    bool until_close;   /* no chunks: the end is the end of the connection */
    void *arg;
    ssize_t (*read)(void *arg, struct exchange *exchange, char *out,
                    size_t max);
    void (*free)(void *arg);
};

struct exchange {
    /* the request; borrowed for the handler's call */
    const char *method;
    const char *path;  /* without the query */
    const char *param; /* what stands for "+" in the pattern, or "" */
    struct buf body;
    bool body_too_large; /* more than the route's bound; body is cut */

    /* the answer */
    int status; /* 0 = none given: 500 */
    const char *content_type;
    struct buf answer;
    struct exchange_header headers[EXCHANGE_HEADERS_MAX];
    size_t header_count;
    bool close;           /* close the connection and answer nothing */
    struct stream stream; /* used when read is set */

    /* private */
    struct server *server;
    void *connection;
    char param_text[256];
    const struct route *route;
};

typedef void exchange_fn(void *app, struct exchange *exchange);

struct route {
    const char *method;
    const char *pattern; /* one segment may be "+": any, not empty */
    size_t body_max_bytes;
    exchange_fn *handler;
};

struct server_options {
    const char *address;        /* "127.0.0.1" or "::1" */
    uint16_t port;              /* 0 = any free one */
    const struct route *routes; /* ends with a NULL method */
    void *app;
    /* For what no route matches, with `path_known` telling whether another
     * method would have. */
    void (*not_found)(void *app, struct exchange *exchange, bool path_known);
};

/* BAD_CONFIG: not a loopback address. IO: the port is taken, no threads. */
enum status server_start(struct server **out,
                         const struct server_options *options) MUST_CHECK;

uint16_t server_port(const struct server *server);

/* Ends all sleeps and connections and waits for the handlers. NULL is fine. */
void server_stop(struct server *server);

/* NULL if the request has no such header / query parameter. */
const char *exchange_request_header(struct exchange *exchange,
                                    const char *name);
const char *exchange_query(struct exchange *exchange, const char *name);

/* Beyond EXCHANGE_HEADERS_MAX or too long: dropped. */
void exchange_add_header(struct exchange *exchange, const char *name,
                         const char *value);

/* False if the client left or the server stops meanwhile. */
bool exchange_sleep(struct exchange *exchange, int64_t ms);

#endif
