/*
 * fetch.h: blocking HTTP requests as LINE's side makes them; the only user of
 * libcurl in the simulator.
 *
 *   fetch_global_init();                       once, before threads
 *   fetch_client_new(&client, ca_file);        one per thread
 *   fetch(client, &request, &result);
 *     ... result.http_status, result.body ...
 *   fetch_result_release(&result);
 *   fetch_client_free(client);
 *
 * Connections are kept in the client. Redirects are never followed. Only
 * loopback addresses are connected to: the simulator must not be able to send
 * anything to the outside, whatever URL a bot answers with.
 */
#ifndef SIM_FETCH_H
#define SIM_FETCH_H

#include "buf.h"
#include "sim_limits.h"

struct fetch_client;

struct fetch_request {
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; or NULL */
    const char *user_agent;
    const char *body; /* NULL = GET, else POST */
    size_t body_len;
    int64_t timeout_ms;
    size_t max_bytes; /* of the answer's body */
    bool fresh;       /* on a new connection */
};

/* How a request failed; the first four are LINE's words for a webhook that did
 * not arrive (platform notes 1.6). */
enum fetch_error {
    FETCH_OK, /* an answer came; look at http_status */
    FETCH_COULD_NOT_CONNECT,
    FETCH_REQUEST_TIMEOUT,
    FETCH_UNCLASSIFIED,
    FETCH_TOO_LARGE, /* more than max_bytes; body holds the first of them */
};

struct fetch_result {
    enum fetch_error error;
    char why[SIM_FETCH_WHY_MAX]; /* in words, "" if OK */
    int http_status;
    char content_type[96];
    struct buf body;
    int64_t total_us;   /* from the call to the last byte of the answer */
    int64_t connect_us; /* of it: name, TCP, TLS; 0 on a kept connection */
};

enum status fetch_global_init(void) MUST_CHECK;
void fetch_global_cleanup(void);

/* `ca_file` (PEM, NULL = the system's) is borrowed for the client's life. */
enum status fetch_client_new(struct fetch_client **out,
                             const char *ca_file) MUST_CHECK;
void fetch_client_free(struct fetch_client *client);

/* Always fills `result`, which the caller releases. */
void fetch(struct fetch_client *client, const struct fetch_request *request,
           struct fetch_result *result);
void fetch_result_release(struct fetch_result *result);

/* "could_not_connect", ... */
const char *fetch_error_name(enum fetch_error error);

#endif
