/*
 * server.c: libmicrohttpd calls handle() several times for one request: first
 * with the head, then with each piece of the body, then with none: that is
 * when the route's handler runs. The exchange lives from the head until
 * on_completed(), so a stream may use it while it is sent.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <microhttpd.h>

#include "sim_limits.h"

struct server {
    struct MHD_Daemon *daemon;
    int stop_fd;
    uint16_t port;
    const struct route *routes;
    void *app;
    void (*not_found)(void *app, struct exchange *exchange, bool path_known);
};

/* ---- routes */

/* Matches and copies the segment that "+" stands for. */
static bool path_matches(const char *pattern, const char *path, char *param,
                         size_t param_size)
{
    const char *plus = strchr(pattern, '+');
    size_t before, after, len = strlen(path);

    if (plus == NULL)
        return str_eq(pattern, path);
    before = (size_t)(plus - pattern);
    after = strlen(plus + 1);
    if (len <= before + after || strncmp(pattern, path, before) != 0 ||
        !str_eq(path + len - after, plus + 1))
        return false;
    len -= before + after;
    if (memchr(path + before, '/', len) != NULL)
        return false;
    return str_copy_n(param, param_size, path + before, len);
}

static const struct route *find_route(const struct server *server,
                                      struct exchange *ex, bool *path_known)
{
    *path_known = false;
    for (const struct route *r = server->routes; r->method != NULL; r++) {
        if (!path_matches(r->pattern, ex->path, ex->param_text,
                          sizeof(ex->param_text)))
            continue;
        *path_known = true;
        if (str_eq(r->method, ex->method))
            return r;
    }
    return NULL;
}

/* ---- answers */

static ssize_t on_stream_read(void *arg, uint64_t pos, char *out, size_t max)
{
    struct exchange *ex = arg;
    ssize_t got = ex->stream.read(ex->stream.arg, ex, out, max);

    (void)pos;
    if (got > 0)
        return got;
    return got == 0 ? MHD_CONTENT_READER_END_OF_STREAM
                    : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(struct exchange *ex)
{
    struct MHD_Response *response;

    if (ex->stream.read == NULL)
        return MHD_create_response_from_buffer(ex->answer.len, ex->answer.data,
                                               MHD_RESPMEM_PERSISTENT);
    response = MHD_create_response_from_callback(
        ex->stream.size_bytes >= 0 ? (uint64_t)ex->stream.size_bytes
                                   : MHD_SIZE_UNKNOWN,
        ex->stream.block_bytes, on_stream_read, ex, NULL);
    if (response != NULL && ex->stream.until_close)
        (void)MHD_set_response_options(
            response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection,
                                   struct exchange *ex)
{
    struct MHD_Response *response;
    enum MHD_Result result;

    if (ex->close)
        return MHD_NO;
    if (ex->status == 0)
        ex->status = 500;
    response = make_response(ex);
    if (response == NULL)
        return MHD_NO;
    if (ex->content_type != NULL)
        (void)MHD_add_response_header(response, "Content-Type",
                                      ex->content_type);
    for (size_t i = 0; i < ex->header_count; i++)
        (void)MHD_add_response_header(response, ex->headers[i].name,
                                      ex->headers[i].value);
    result = MHD_queue_response(connection, (unsigned int)ex->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- requests */

static struct exchange *exchange_new(struct server *server, void *connection,
                                     const char *method, const char *path)
{
    struct exchange *ex = calloc(1, sizeof(*ex));
    bool path_known;

    if (ex == NULL)
        return NULL;
    ex->server = server;
    ex->connection = connection;
    ex->method = method;
    ex->path = path;
    ex->param = ex->param_text;
    ex->route = find_route(server, ex, &path_known);
    buf_init(&ex->body, ex->route != NULL ? ex->route->body_max_bytes : 0);
    buf_init(&ex->answer, SIM_ANSWER_MAX_BYTES);
    return ex;
}

static void dispatch(struct server *server, struct exchange *ex)
{
    bool path_known;

    if (ex->route != NULL) {
        ex->route->handler(server->app, ex);
        return;
    }
    (void)find_route(server, ex, &path_known);
    server->not_found(server->app, ex, path_known);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection,
                              const char *url, const char *method,
                              const char *version, const char *upload_data,
                              size_t *upload_size, void **per_request)
{
    struct server *server = arg;
    struct exchange *ex = *per_request;

    (void)version;
    if (ex == NULL) {
        ex = exchange_new(server, connection, method, url);
        *per_request = ex;
        return ex != NULL ? MHD_YES : MHD_NO;
    }
    if (*upload_size > 0) {
        if (!ex->body_too_large &&
            buf_append(&ex->body, upload_data, *upload_size) != STATUS_OK)
            ex->body_too_large = true;
        *upload_size = 0;
        return MHD_YES;
    }
    dispatch(server, ex);
    return send_answer(connection, ex);
}

static void on_completed(void *arg, struct MHD_Connection *connection,
                         void **per_request,
                         enum MHD_RequestTerminationCode why)
{
    struct exchange *ex = *per_request;

    (void)arg;
    (void)connection;
    (void)why;
    if (ex == NULL)
        return;
    if (ex->stream.free != NULL)
        ex->stream.free(ex->stream.arg);
    buf_release(&ex->body);
    buf_release(&ex->answer);
    free(ex);
    *per_request = NULL;
}

const char *exchange_request_header(struct exchange *ex, const char *name)
{
    return MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, name);
}

const char *exchange_query(struct exchange *ex, const char *name)
{
    return MHD_lookup_connection_value(ex->connection, MHD_GET_ARGUMENT_KIND,
                                       name);
}

void exchange_add_header(struct exchange *ex, const char *name,
                         const char *value)
{
    struct exchange_header *header;

    if (ex->header_count == EXCHANGE_HEADERS_MAX)
        return;
    header = &ex->headers[ex->header_count];
    if (str_copy(header->name, sizeof(header->name), name) &&
        str_copy(header->value, sizeof(header->value), value))
        ex->header_count++;
}

bool exchange_sleep(struct exchange *ex, int64_t ms)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        ex->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int64_t until_ms = mono_ms() + ms;
    struct pollfd fds[2] = {
        {.fd = ex->server->stop_fd, .events = POLLIN},
        {.fd = info != NULL ? info->connect_fd : -1, .events = POLLRDHUP}};

    for (;;) {
        int64_t left_ms = until_ms - mono_ms();
        int ready;

        if (left_ms <= 0)
            return true;
        ready = poll(fds, ARRAY_COUNT(fds), (int)int64_min(left_ms, INT32_MAX));
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return false;
    }
}

/* ---- life */

static enum status parse_address(const struct server_options *options,
                                 struct sockaddr_storage *addr)
{
    struct sockaddr_in *in = (void *)addr;
    struct sockaddr_in6 *in6 = (void *)addr;

    *addr = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, options->address, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(options->port);
        return ntohl(in->sin_addr.s_addr) >> 24 == 127 ? STATUS_OK
                                                       : STATUS_BAD_CONFIG;
    }
    if (inet_pton(AF_INET6, options->address, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(options->port);
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ? STATUS_OK
                                                     : STATUS_BAD_CONFIG;
    }
    return STATUS_BAD_CONFIG;
}

/* Each connection is a descriptor: take what the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static struct MHD_Daemon *start_daemon(struct server *server,
                                       const struct sockaddr_storage *addr)
{
    unsigned int flags = MHD_USE_THREAD_PER_CONNECTION |
                         MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
                         MHD_USE_ITC;

    if (addr->ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR, addr,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned int)SIM_CONNECTIONS_MAX,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)SIM_THREAD_STACK_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(64 * 1024),
        MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, NULL, MHD_OPTION_END);
}

enum status server_start(struct server **out,
                         const struct server_options *options)
{
    struct sockaddr_storage addr;
    struct server *server;
    const union MHD_DaemonInfo *info;
    enum status status = parse_address(options, &addr);

    if (status != STATUS_OK)
        return status;
    server = calloc(1, sizeof(*server));
    if (server == NULL)
        return STATUS_NO_MEMORY;
    server->routes = options->routes;
    server->app = options->app;
    server->not_found = options->not_found;
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    raise_descriptor_limit();
    if (server->stop_fd >= 0)
        server->daemon = start_daemon(server, &addr);
    if (server->daemon == NULL) {
        server_stop(server);
        return STATUS_IO;
    }
    info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->port = info != NULL ? info->port : options->port;
    *out = server;
    return STATUS_OK;
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}

void server_stop(struct server *server)
{
    uint64_t one = 1;

    if (server == NULL)
        return;
    if (server->stop_fd >= 0 &&
        write(server->stop_fd, &one, sizeof(one)) != sizeof(one))
        (void)fputs("line-sim: eventfd\n", stderr);
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    if (server->stop_fd >= 0)
        (void)close(server->stop_fd);
    free(server);
}
