/*
 * test_server.c: libmicrohttpd, a thread per connection. Threads that wait do
 * so on a condition that test_server_stop() signals.
 */
#include "test_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"

#define CONNECTIONS_MAX 1000
#define BODY_MAX_BYTES (8 * 1024 * 1024)

struct test_server {
    struct MHD_Daemon *daemon;
    int port;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    bool stopping;
    size_t connections;
    size_t requests;
    test_handler_fn *handler;
    void *handler_arg;
};

struct body {
    struct test_server *server;
    struct test_answer answer;
};

static void wait_for_stop(struct test_server *server)
{
    pthread_mutex_lock(&server->lock);
    while (!server->stopping)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

/* True if the server stops meanwhile. */
static bool pause_for(struct test_server *server, uint64_t pause_ms)
{
    struct timespec until;
    bool stopping;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(pause_ms % 1000) * 1000000;
    until.tv_sec += (time_t)(pause_ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&server->lock);
    while (!server->stopping &&
           pthread_cond_timedwait(&server->changed, &server->lock, &until) == 0)
        ;
    stopping = server->stopping;
    pthread_mutex_unlock(&server->lock);
    return stopping;
}

static void fill(const struct test_answer *answer, uint64_t offset, char *bytes,
                 size_t len)
{
    if (answer->body != NULL) {
        memcpy(bytes, answer->body + offset, len);
        return;
    }
    for (size_t i = 0; i < len; i++)
        bytes[i] = test_server_byte(offset + i);
}

static ssize_t read_body(void *arg, uint64_t offset, char *bytes, size_t room)
{
    const struct body *body = arg;
    const struct test_answer *answer = &body->answer;
    uint64_t end = answer->len;

    if (offset >= end) /* that of a chunked body is where its reader says so */
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (answer->cut > 0)
        end = size_min(end, answer->cut);
    if (answer->stall > 0)
        end = size_min(end, answer->stall);
    if (offset >= end) {
        if (answer->stall > 0)
            wait_for_stop(body->server);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (offset > 0 && answer->pause_ms > 0 &&
        pause_for(body->server, answer->pause_ms))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (answer->step > 0)
        room = size_min(room, answer->step);
    room = size_min(room, end - offset);
    fill(answer, offset, bytes, room);
    return (ssize_t)room;
}

static const char *argument(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
}

static uint64_t number(struct MHD_Connection *c, const char *name)
{
    const char *text = argument(c, name);
    int64_t value = 0;

    if (text == NULL || !str_to_int64(text, 0, INT64_MAX, &value))
        return 0;
    return (uint64_t)value;
}

static enum MHD_Result send_response(struct MHD_Connection *c,
                                     const struct test_answer *answer,
                                     struct MHD_Response *response)
{
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    if (answer->retry != NULL)
        (void)MHD_add_response_header(response, "Retry-After", answer->retry);
    if (answer->id != NULL)
        (void)MHD_add_response_header(response, "x-line-request-id",
                                      answer->id);
    result = MHD_queue_response(
        c, answer->status > 0 ? answer->status : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_answer(struct test_server *server,
                                   struct MHD_Connection *c,
                                   const struct test_answer *answer)
{
    struct body *body;

    if (answer->silent)
        wait_for_stop(server);
    if (answer->silent || answer->drop)
        return MHD_NO;
    body = malloc(sizeof(*body));
    if (body == NULL)
        return MHD_NO;
    *body = (struct body){server, *answer};
    return send_response(c, answer,
                         MHD_create_response_from_callback(
                             answer->chunked ? MHD_SIZE_UNKNOWN : answer->len,
                             16 * 1024, read_body, body, free));
}

static enum MHD_Result answer_get(struct test_server *server,
                                  struct MHD_Connection *c)
{
    struct test_answer answer = {
        .status = (unsigned)number(c, "status"),
        .len = number(c, "bytes"),
        .chunked = number(c, "chunked") > 0,
        .cut = number(c, "cut"),
        .stall = number(c, "stall"),
        .step = number(c, "step"),
        .pause_ms = number(c, "pause_ms"),
        .retry = argument(c, "retry"),
        .id = argument(c, "id"),
    };

    return send_answer(server, c, &answer);
}

static enum MHD_Result answer_text(struct MHD_Connection *c, const char *text,
                                   size_t len)
{
    static const struct test_answer plain;
    /* MHD takes a copy; its parameter is not const for other modes. */
    union {
        const char *in;
        void *out;
    } bytes = {text};

    return send_response(
        c, &plain,
        MHD_create_response_from_buffer(len, bytes.out, MHD_RESPMEM_MUST_COPY));
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);

    return value != NULL ? value : "";
}

static bool ask_handler(struct test_server *server, struct MHD_Connection *c,
                        struct test_request *request,
                        struct test_answer *answer)
{
    test_handler_fn *handler;
    void *arg;

    pthread_mutex_lock(&server->lock);
    server->requests++;
    handler = server->handler;
    arg = server->handler_arg;
    pthread_mutex_unlock(&server->lock);
    request->authorization = header(c, "Authorization");
    request->content_type = header(c, "Content-Type");
    request->retry_key = header(c, "X-Line-Retry-Key");
    request->user_agent = header(c, "User-Agent");
    request->line_signature = header(c, "X-Line-Signature");
    request->darkroom_signature = header(c, "X-Darkroom-Signature");
    return handler != NULL && handler(arg, request, answer);
}

static enum MHD_Result answer(struct test_server *server,
                              struct MHD_Connection *c,
                              struct test_request *request,
                              const struct buf *body)
{
    struct test_answer wanted = {0};
    const char *path = request->path;

    request->body = buf_str(body);
    request->body_len = body->len;
    if (ask_handler(server, c, request, &wanted))
        return send_answer(server, c, &wanted);
    if (str_eq(path, "/drop"))
        return MHD_NO;
    if (str_eq(path, "/silent")) {
        wait_for_stop(server);
        return MHD_NO;
    }
    if (str_eq(path, "/echo"))
        return answer_text(c, buf_str(body), body->len);
    if (str_eq(path, "/method")) {
        char text[64];

        (void)snprintf(text, sizeof(text), "%s %s", request->method,
                       request->body);
        return answer_text(c, text, strlen(text));
    }
    if (str_eq(path, "/header")) {
        const char *value = header(c, "X-Test");

        return answer_text(c, value, strlen(value));
    }
    return answer_get(server, c);
}

/* Called once for the head, for each piece of the body, and at its end. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c,
                                  const char *url, const char *method,
                                  const char *version, const char *bytes,
                                  size_t *len, void **context)
{
    struct buf *body = *context;
    struct test_request request = {.method = method, .path = url};

    (void)version;
    if (body == NULL) {
        body = malloc(sizeof(*body));
        if (body == NULL)
            return MHD_NO;
        buf_init(body, BODY_MAX_BYTES);
        *context = body;
        return MHD_YES;
    }
    if (*len > 0) {
        if (buf_append(body, bytes, *len) != STATUS_OK)
            return MHD_NO;
        *len = 0;
        return MHD_YES;
    }
    return answer(arg, c, &request, body);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **context,
                         enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)c;
    (void)why;
    if (*context != NULL)
        buf_release(*context);
    free(*context);
    *context = NULL;
}

static void on_connection(void *arg, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct test_server *server = arg;

    (void)c;
    (void)context;
    if (what != MHD_CONNECTION_NOTIFY_STARTED)
        return;
    pthread_mutex_lock(&server->lock);
    server->connections++;
    pthread_mutex_unlock(&server->lock);
}

static struct MHD_Daemon *start(struct test_server *server, const char *key_pem,
                                const char *cert_pem)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    unsigned flags =
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION;

    return MHD_start_daemon(
        flags | (key_pem != NULL ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request,
        server, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        /* an option without a value ends the list when there is no key */
        key_pem != NULL ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, key_pem,
        MHD_OPTION_HTTPS_MEM_CERT, cert_pem, MHD_OPTION_END);
}

struct test_server *test_server_start(const char *key_pem, const char *cert_pem)
{
    struct test_server *server = calloc(1, sizeof(*server));
    const union MHD_DaemonInfo *info;

    if (server == NULL)
        return NULL;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->daemon = start(server, key_pem, cert_pem);
    if (server->daemon == NULL) {
        test_server_stop(server);
        return NULL;
    }
    info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->port = info->port;
    return server;
}

void test_server_stop(struct test_server *server)
{
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

void test_server_set_handler(struct test_server *server,
                             test_handler_fn *handler, void *arg)
{
    pthread_mutex_lock(&server->lock);
    server->handler = handler;
    server->handler_arg = arg;
    pthread_mutex_unlock(&server->lock);
}

int test_server_port(const struct test_server *server)
{
    return server->port;
}

static size_t read_count(struct test_server *server, const size_t *count)
{
    size_t value;

    pthread_mutex_lock(&server->lock);
    value = *count;
    pthread_mutex_unlock(&server->lock);
    return value;
}

size_t test_server_connections(struct test_server *server)
{
    return read_count(server, &server->connections);
}

size_t test_server_requests(struct test_server *server)
{
    return read_count(server, &server->requests);
}

int test_server_free_port(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = -1;

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}
