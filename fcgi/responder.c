/*
 * responder.c: two transports behind one struct exchange (where parameters come
 * from, how bytes are read and written), one way through them.
 */
#include "responder.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limits.h"
#include "log.h"

#define HEAD_MAX_BYTES 512

struct exchange {
    FCGX_Request *fcgi; /* NULL: CGI */
};

struct responder {
    struct responder_options options;
    int stop_fd; /* becomes readable, and stays so, when all shall stop */
    atomic_bool failing; /* no request can be accepted: told once */
    size_t thread_count;
    pthread_t threads[ACCEPTORS_MAX];
};

/* ---- the two transports */

static const char *param(const struct exchange *x, const char *name)
{
    const char *value =
        x->fcgi != NULL ? FCGX_GetParam(name, x->fcgi->envp) : getenv(name);

    return value != NULL ? value : "";
}

/* Reads until `size` bytes or the end. */
static size_t read_body(const struct exchange *x, char *bytes, size_t size)
{
    if (x->fcgi != NULL) {
        int n = FCGX_GetStr(bytes, (int)size, x->fcgi->in);

        return n > 0 ? (size_t)n : 0;
    }
    return fread(bytes, 1, size, stdin);
}

static void write_all(const struct exchange *x, const char *bytes, size_t len)
{
    if (x->fcgi != NULL)
        (void)FCGX_PutStr(bytes, (int)len, x->fcgi->out);
    else
        (void)fwrite(bytes, 1, len, stdout);
}

/* ---- one request */

/* A front server that routes by path gives PATH_INFO to a CGI program and
 * DOCUMENT_URI (normalized) to a FastCGI one. */
static const char *path_of(const struct exchange *x)
{
    const char *path = param(x, "PATH_INFO");

    return *path != '\0' ? path : param(x, "DOCUMENT_URI");
}

/* Reads what is too long to keep, so that the front server is not cut off while
 * it sends and passes our answer on; up to a bound. Never beyond the length: a
 * CGI server need not close the body's end (RFC 3875, 4.2). */
static void drain_body(const struct exchange *x, int64_t length)
{
    char bytes[16 * 1024];
    size_t left = (size_t)int64_min(length, REQUEST_DRAIN_MAX_BYTES);

    while (left > 0) {
        size_t n = read_body(x, bytes, size_min(left, sizeof(bytes)));

        if (n == 0)
            return;
        left -= n;
    }
}

/* The body in memory that the caller frees. */
static char *take_body(const struct exchange *x, struct request *request)
{
    int64_t length = 0;
    const char *text = param(x, "CONTENT_LENGTH");
    char *body;

    request->body = "";
    if (*text == '\0')
        return NULL;
    if (!str_to_int64(text, 0, INT64_MAX, &length)) {
        request->body_status = STATUS_BAD_INPUT;
        return NULL;
    }
    if (length > WEBHOOK_BODY_MAX_BYTES) {
        request->body_status = STATUS_TOO_LARGE;
        drain_body(x, length);
        return NULL;
    }
    body = malloc((size_t)length + 1);
    if (body == NULL) {
        request->body_status = STATUS_NO_MEMORY;
        return NULL;
    }
    request->body_len = read_body(x, body, (size_t)length);
    if (request->body_len != (size_t)length)
        request->body_status = STATUS_CUT;
    body[request->body_len] = '\0';
    request->body = body;
    return body;
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void send_response(const struct exchange *x,
                          const struct response *response, bool with_body)
{
    char head[HEAD_MAX_BYTES];
    bool has_buf = response->body.len > 0;
    const char *body = has_buf ? response->body.data : response->text;
    size_t body_len = has_buf ? response->body.len : strlen(response->text);
    int len = snprintf(
        head, sizeof(head),
        "Status: %d %s\r\nContent-Type: %s\r\n"
        "Content-Length: %zu\r\nCache-Control: no-store\r\n%s%s%s\r\n",
        response->status, reason_of(response->status),
        response->type != NULL ? response->type : "text/plain; charset=utf-8",
        body_len, response->allow != NULL ? "Allow: " : "",
        response->allow != NULL ? response->allow : "",
        response->allow != NULL ? "\r\n" : "");

    write_all(x, head, size_min((size_t)len, sizeof(head) - 1));
    if (with_body)
        write_all(x, body, body_len);
}

static void answer(const struct exchange *x, responder_fn *handler, void *arg)
{
    const char *signature = param(x, "HTTP_X_LINE_SIGNATURE");
    struct request request = {
        .method = param(x, "REQUEST_METHOD"),
        .path = path_of(x),
        .content_type = param(x, "CONTENT_TYPE"),
        .signature = *signature != '\0' ? signature : NULL,
        .body_status = STATUS_OK,
    };
    struct response response = {.status = 500, .text = ""};
    char *body = take_body(x, &request);

    buf_init(&response.body, RESPONSE_MAX_BYTES);
    handler(arg, &request, &response);
    send_response(x, &response, !str_eq(request.method, "HEAD"));
    LOG(DEBUG, "request", LOG_STR("method", request.method),
        LOG_STR("path", request.path), LOG_INT("status", response.status),
        LOG_STR("from", param(x, "REMOTE_ADDR")));
    buf_release(&response.body);
    free(body);
}

void responder_run_cgi(responder_fn *handler, void *arg)
{
    struct exchange x = {.fcgi = NULL};

    (void)setvbuf(stdin, NULL, _IONBF, 0); /* reads no more than asked for */
    answer(&x, handler, arg);
    (void)fclose(stdout);
}

/* ---- acceptors */

/* Until `listener` (-1: none) is readable or the time is over. False when it is
 * time to stop. */
static bool wait_on(const struct responder *responder, int listener,
                    int timeout_ms)
{
    struct pollfd fds[] = {{.fd = listener, .events = POLLIN},
                           {.fd = responder->stop_fd, .events = POLLIN}};

    while (poll(fds, ARRAY_COUNT(fds), timeout_ms) < 0) {
        if (errno != EINTR)
            return false;
    }
    return fds[1].revents == 0;
}

/* Takes what FCGX_Accept_r() returned. EAGAIN: another acceptor was faster.
 * Anything else (no descriptor is free) leaves the connection waiting and the
 * listener readable: without a pause all acceptors would spin. False when it
 * is time to stop. */
static bool accept_failed(struct responder *responder, int rc)
{
    if (rc == -EAGAIN)
        return true;
    if (!atomic_exchange(&responder->failing, true))
        LOG(WARN, "cannot_accept",
            LOG_STR("reason", status_text(status_from_errno(-rc))),
            LOG_INT("errno", -rc));
    return wait_on(responder, -1, ACCEPT_RETRY_MS);
}

static void *acceptor_main(void *arg)
{
    struct responder *responder = arg;
    FCGX_Request request;
    struct exchange x = {.fcgi = &request};
    bool going = true;

    if (FCGX_InitRequest(&request, 0, 0) != 0)
        return NULL;
    while (going && wait_on(responder, 0, -1)) {
        int rc = FCGX_Accept_r(&request);

        if (rc != 0) {
            going = accept_failed(responder, rc);
            continue;
        }
        atomic_store(&responder->failing, false);
        answer(&x, responder->options.handler, responder->options.arg);
        FCGX_Finish_r(&request);
    }
    FCGX_Free(&request, 1);
    return NULL;
}

bool responder_is_cgi(void)
{
    return FCGX_IsCGI() != 0;
}

/* Shared by all processes of the pool: each polls, one gets the request. */
static enum status prepare_listener(void)
{
    int listening = 0, flags = fcntl(0, F_GETFL);
    socklen_t size = sizeof(listening);

    if (getsockopt(0, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 ||
        !listening || flags < 0)
        return STATUS_BAD_CONFIG;
    if (fcntl(0, F_SETFL, flags | O_NONBLOCK) < 0)
        return status_from_errno(errno);
    return FCGX_Init() == 0 ? STATUS_OK : STATUS_IO;
}

enum status responder_start(struct responder **out,
                            const struct responder_options *options)
{
    struct responder *responder;
    enum status status = prepare_listener();

    if (status != STATUS_OK)
        return status;
    responder = calloc(1, sizeof(*responder));
    if (responder == NULL)
        return STATUS_NO_MEMORY;
    responder->options = *options;
    responder->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (responder->stop_fd < 0) {
        free(responder);
        return STATUS_BUSY;
    }
    while (responder->thread_count < options->threads) {
        if (pthread_create(&responder->threads[responder->thread_count], NULL,
                           acceptor_main, responder) != 0) {
            responder_stop(responder);
            return STATUS_BUSY;
        }
        responder->thread_count++;
    }
    *out = responder;
    return STATUS_OK;
}

void responder_stop(struct responder *responder)
{
    uint64_t one = 1;

    if (responder == NULL)
        return;
    (void)!write(responder->stop_fd, &one, sizeof(one));
    for (size_t i = 0; i < responder->thread_count; i++)
        pthread_join(responder->threads[i], NULL);
    close(responder->stop_fd);
    free(responder);
}
