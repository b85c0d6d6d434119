/*
 * http.c: curl's multi interface, driven by the loop.
 *
 *                           on_body answers PAUSE
 *   http_start ─▶ STARTING ─▶ RUNNING ─────────▶ PAUSED
 *                                ▲                  │ http_resume
 *                                └──── RESUMING ◀───┘
 *   any of these ─▶ on_done, gone
 *   any of these ─ http_cancel ─▶ CANCELLED ─▶ gone
 *
 * Callers act from inside our callbacks, which often are curl's, and from there
 * curl's functions must not be called. So http_start(), _resume() and _cancel()
 * only note what is wanted and put the transfer on the todo list; work() does
 * it from a timer that is due at once.
 *
 * Time is watched here and not by curl: one watchdog per transfer for the total
 * and for low speed, because curl counts as slow the time in which we paused
 * it, and does not count the time spent waiting for a connection.
 */
#include "http.h"

#include "address.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/queue.h>

/* The due time of a timer that waits for nothing. A timer that is set already
 * can be set again without failing (loop.h), so ours always are. */
#define NEVER_MS INT64_MAX

enum transfer_state { STARTING, RUNNING, PAUSED, RESUMING, CANCELLED };

TAILQ_HEAD(transfer_list, http_transfer);

/*
 * Several multi handles, because curl's cap on connections per host is one
 * number.
 * HTTP/2 needs it: without, 300 transfers made 201 connections
 * (architecture-study 5). Over plain HTTP, which never multiplexes, it would
 * let eight slow transfers block all others. For the same reason PIPEWAIT (wait
 * for a connection to prove that it multiplexes) is for TLS alone: curl finds
 * out about plain HTTP only when its first transfer ends; and for a curl that
 * does no better with TLS not at all (pipewait_ends_with_alpn()).
 *
 * And because connections are kept by a multi handle: in the one for strangers'
 * URLs each was opened to a public address.
 */
struct lane {
    struct http *http;
    CURLM *multi;
    struct loop_timer timer; /* curl's own */
};

struct http {
    struct loop *loop;
    char *user_agent;
    char *ca_file;
    bool bundle_only;  /* trust one file, no directory */
    int64_t window_ms; /* over which low speed is measured */
    struct lane tls;
    struct lane plain;
    struct lane strangers;   /* public_only */
    bool loopback_is_public; /* for tests */
    struct loop_timer work_timer;
    struct transfer_list quiet; /* every transfer is on one of these lists */
    struct transfer_list todo;
    CURL *spare[HTTP_SPARE_HANDLES_MAX];
    size_t spare_count;
};

struct http_transfer {
    TAILQ_ENTRY(http_transfer) link;
    bool queued; /* on the todo list */
    bool added;  /* to the lane's multi handle */
    enum transfer_state state;
    struct http *http;
    struct lane *lane;
    CURL *easy;
    struct curl_slist *headers;
    bool has_body; /* POST or PUT */
    bool is_put;
    bool address_opened;  /* public_only: an address was let through, */
    bool address_refused; /* or was not */

    void *arg;
    void (*on_head)(void *arg, const struct http_head *head);
    enum http_body_answer (*on_body)(void *arg, const char *bytes, size_t len);
    void (*on_done)(void *arg, const struct http_result *result);

    int64_t started_ms;
    int64_t deadline_ms;
    struct loop_timer watchdog;
    int64_t window_end_ms; /* NEVER_MS until speed counts */
    int64_t window_bytes;
    bool window_excused; /* we paused during it */

    int64_t max_bytes;
    size_t head_bytes;
    bool head_seen;            /* result.head is complete */
    bool ended_well;           /* the handle is as good as new */
    struct http_result result; /* status: our own verdict, OK if none */
    char error[CURL_ERROR_SIZE];
};

/* ---- the todo list */

static void move(struct http_transfer *t, bool queued)
{
    struct http *http = t->http;

    TAILQ_REMOVE(t->queued ? &http->todo : &http->quiet, t, link);
    t->queued = queued;
    TAILQ_INSERT_TAIL(queued ? &http->todo : &http->quiet, t, link);
}

static void set_timer(struct http *http, struct loop_timer *timer,
                      int64_t due_ms)
{
    enum status status = loop_timer_set(http->loop, timer, due_ms);

    (void)status; /* always set, see NEVER_MS */
}

static void want(struct http_transfer *t, enum transfer_state state)
{
    t->state = state;
    move(t, true);
    set_timer(t->http, &t->http->work_timer, loop_now_ms(t->http->loop));
}

/* ---- handles: a used one keeps its TLS sessions, so it is used again */

static CURL *take_easy(struct http *http)
{
    if (http->spare_count > 0)
        return http->spare[--http->spare_count];
    return curl_easy_init();
}

static void give_easy(struct http *http, CURL *easy)
{
    if (http->spare_count == ARRAY_COUNT(http->spare)) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    http->spare[http->spare_count++] = easy;
}

/* ---- the end of a transfer */

/* Takes it away from curl, the timers and the lists. */
static void detach(struct http_transfer *t)
{
    if (t->added)
        (void)curl_multi_remove_handle(t->lane->multi, t->easy);
    t->added = false;
    loop_timer_cancel(t->http->loop, &t->watchdog);
    TAILQ_REMOVE(t->queued ? &t->http->todo : &t->http->quiet, t, link);
}

/* curl 7.88 leaves the buffer of a transfer that never had a connection (its
 * name is not known, it was cancelled) with the handle, which is in no fit
 * state then: CURLOPT_BUFFERSIZE is refused for good, also after a reset. */
static void transfer_free(struct http_transfer *t)
{
    if (t->ended_well)
        give_easy(t->http, t->easy);
    else
        curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    free(t);
}

/* A failure after the head is a cut whatever curl calls it: a short body, a
 * reset, HTTP/2 INTERNAL_ERROR (seen at LINE, line-platform 3.2). curl's
 * timeout can only be that of the connect, we set no other. */
static enum status status_of(const struct http_transfer *t, CURLcode code)
{
    if (t->result.status != STATUS_OK || code == CURLE_OK)
        return t->result.status;
    if (code == CURLE_OUT_OF_MEMORY)
        return STATUS_NO_MEMORY;
    if (t->address_refused && !t->address_opened)
        return STATUS_ADDRESS_REFUSED;
    return t->head_seen ? STATUS_CUT : STATUS_NETWORK;
}

static void finish(struct http_transfer *t, CURLcode code)
{
    struct http_result *result = &t->result;

    result->status = status_of(t, code);
    t->ended_well = result->status == STATUS_OK;
    result->elapsed_ms = loop_now_ms(t->http->loop) - t->started_ms;
    if (result->status == STATUS_OK)
        result->error = "";
    else if (result->status == STATUS_ADDRESS_REFUSED)
        result->error = "no address of the host is public";
    else if (result->error == NULL)
        result->error =
            t->error[0] != '\0' ? t->error : curl_easy_strerror(code);
    if (!t->head_seen)
        result->head = (struct http_head){
            .content_length = -1, .retry_after_s = -1, .date_ms = -1};
    detach(t);
    t->on_done(t->arg, result);
    transfer_free(t);
}

/* Our own reason to end it; the first one stays. */
static void judge(struct http_transfer *t, enum status status,
                  const char *words)
{
    if (t->result.status != STATUS_OK)
        return;
    t->result.status = status;
    t->result.error = words;
}

/* ---- the watchdog */

static void watchdog_set(struct http_transfer *t)
{
    set_timer(t->http, &t->watchdog,
              int64_min(t->deadline_ms, t->window_end_ms));
}

static void window_open(struct http_transfer *t)
{
    t->window_end_ms = loop_now_ms(t->http->loop) + t->http->window_ms;
    t->window_bytes = 0;
    t->window_excused = t->state != RUNNING;
    watchdog_set(t);
}

static bool window_too_slow(const struct http_transfer *t)
{
    return !t->window_excused &&
           t->window_bytes < HTTP_LOW_SPEED_BYTES * t->http->window_ms / 1000;
}

static void watchdog_fired(void *arg)
{
    struct http_transfer *t = arg;
    int64_t now_ms = loop_now_ms(t->http->loop);

    if (t->state == CANCELLED)
        return;
    if (now_ms >= t->deadline_ms) {
        judge(t, STATUS_TIMEOUT, "the transfer took too long");
        finish(t, CURLE_OPERATION_TIMEDOUT);
    } else if (now_ms >= t->window_end_ms && window_too_slow(t)) {
        judge(t, STATUS_TIMEOUT, "the transfer was too slow");
        finish(t, CURLE_OPERATION_TIMEDOUT);
    } else if (now_ms >= t->window_end_ms) {
        window_open(t);
    } else {
        watchdog_set(t);
    }
}

/* ---- curl calls us about a transfer */

/*
 * A connection is there, new or used before, and the request goes out next.
 *
 * On a used connection that turns out dead curl sends the request again by
 * itself, whatever the method. A GET may; another may have been acted upon, so
 * its second sending is stopped and the caller learns that it is in doubt.
 */
static int on_connected(void *arg, char *remote_ip, char *local_ip,
                        int remote_port, int local_port)
{
    struct http_transfer *t = arg;

    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    if (t->state == CANCELLED)
        return CURL_PREREQFUNC_ABORT;
    if (t->has_body && t->result.sent) {
        judge(t, STATUS_NETWORK, "the connection was lost after sending");
        return CURL_PREREQFUNC_ABORT;
    }
    t->result.sent = true;
    if (!t->has_body)
        window_open(t);
    return CURL_PREREQFUNC_OK;
}

/* In place of curl's own socket(), for each address that it tries. What is
 * refused here is not even knocked at. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct http_transfer *t = arg;

    (void)purpose;
    if (!address_is_public(&address->addr, address->addrlen) &&
        !(t->http->loopback_is_public &&
          address_is_loopback(&address->addr, address->addrlen))) {
        t->address_refused = true;
        return CURL_SOCKET_BAD;
    }
    t->address_opened = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
}

/* The value of a header of the last answer, or NULL. */
static const char *header(const struct http_transfer *t, const char *name)
{
    struct curl_header *h;

    if (curl_easy_header(t->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return NULL;
    return h->value;
}

static int64_t header_number(const struct http_transfer *t, const char *name)
{
    const char *value = header(t, name);
    int64_t number = -1;

    if (value == NULL || !str_to_int64(value, 0, INT64_MAX, &number))
        return -1;
    return number;
}

/* "" where there is none, or a longer one. */
static void copy_header(const struct http_transfer *t, const char *name,
                        char *out, size_t size)
{
    const char *value = header(t, name);

    (void)str_copy(out, size, value != NULL ? value : "");
}

static int64_t header_date(const struct http_transfer *t)
{
    const char *value = header(t, "date");
    int64_t seconds = value != NULL ? curl_getdate(value, NULL) : -1;

    return seconds >= 0 && seconds < INT64_MAX / 1000 ? seconds * 1000 : -1;
}

static void read_head(struct http_transfer *t)
{
    struct http_head *head = &t->result.head;
    long status = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    head->status = (int)status;
    head->content_length = header_number(t, "content-length");
    head->retry_after_s = header_number(t, "retry-after");
    head->date_ms = header_date(t);
    copy_header(t, "x-line-request-id", head->request_id,
                sizeof(head->request_id));
    copy_header(t, "content-type", head->content_type,
                sizeof(head->content_type));
}

/* Called for each line of the head, of 1xx heads before it and of trailers
 * after it; an empty line ends a head. */
static size_t on_header_line(char *line, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t len = size * count;

    if (t->state == CANCELLED)
        return CURL_WRITEFUNC_ERROR;
    t->head_bytes += len;
    if (t->head_bytes > HTTP_HEAD_MAX_BYTES) {
        judge(t, STATUS_NETWORK, "the head of the answer is too long");
        return CURL_WRITEFUNC_ERROR;
    }
    if (t->head_seen || (line[0] != '\r' && line[0] != '\n'))
        return len;
    read_head(t);
    if (t->result.head.status < 200)
        return len;
    t->head_seen = true;
    window_open(t);
    if (t->on_head != NULL)
        t->on_head(t->arg, &t->result.head);
    return t->state == CANCELLED ? CURL_WRITEFUNC_ERROR : len;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t len = size * count;
    enum http_body_answer answer = HTTP_BODY_OK;

    if (t->state == CANCELLED)
        return CURL_WRITEFUNC_ERROR;
    if (t->result.head.content_length > t->max_bytes ||
        (int64_t)len > t->max_bytes - t->result.body_bytes) {
        judge(t, STATUS_TOO_LARGE, "the body is over the limit");
        return CURL_WRITEFUNC_ERROR;
    }
    if (t->on_body != NULL)
        answer = t->on_body(t->arg, bytes, len);
    if (t->state == CANCELLED)
        return CURL_WRITEFUNC_ERROR;
    switch (answer) {
    case HTTP_BODY_OK:
        t->result.body_bytes += (int64_t)len;
        t->window_bytes += (int64_t)len;
        return len;
    case HTTP_BODY_PAUSE:
        t->state = PAUSED;
        t->window_excused = true;
        return CURL_WRITEFUNC_PAUSE;
    case HTTP_BODY_ABORT:
        break;
    }
    judge(t, STATUS_CUT, "ended by the receiver");
    return CURL_WRITEFUNC_ERROR;
}

/* ---- curl and the loop */

/* A descriptor that curl wants to be told about. */
struct http_socket {
    struct loop_watch watch;
    struct lane *lane;
};

static void collect(struct lane *lane)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(lane->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        char *private = NULL;
        struct http_transfer *t;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                                &private);
        t = (struct http_transfer *)(void *)private;
        if (t->state != CANCELLED)
            finish(t, code);
    }
}

static void act(struct lane *lane, curl_socket_t fd, int events)
{
    int running;

    (void)curl_multi_socket_action(lane->multi, fd, events, &running);
    collect(lane);
}

/* An error or a hang-up is shown to curl as readiness: the read or the write
 * that follows fails with the true cause. */
static void socket_ready(void *arg, uint32_t events)
{
    struct http_socket *s = arg;
    bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
    int ready = 0;

    if (broken || (events & EPOLLIN) != 0)
        ready |= CURL_CSELECT_IN;
    if (broken || (events & EPOLLOUT) != 0)
        ready |= CURL_CSELECT_OUT;
    act(s->lane, s->watch.fd, ready);
}

static void socket_add(struct lane *lane, curl_socket_t fd, uint32_t events)
{
    struct http_socket *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return;
    s->lane = lane;
    if (loop_watch(lane->http->loop, &s->watch, fd, events, socket_ready, s) !=
        STATUS_OK) {
        free(s);
        return;
    }
    (void)curl_multi_assign(lane->multi, fd, s);
}

/* A socket that cannot be watched is left alone, and its transfers end by their
 * watchdogs. To fail here would make curl give up the whole multi handle. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                     void *socket_arg)
{
    struct lane *lane = arg;
    struct http_socket *s = socket_arg;
    uint32_t events = 0;

    (void)easy;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= EPOLLOUT;
    if (s == NULL && what != CURL_POLL_REMOVE) {
        socket_add(lane, fd, events);
    } else if (s != NULL && what == CURL_POLL_REMOVE) {
        loop_unwatch(lane->http->loop, &s->watch);
        free(s);
    } else if (s != NULL) {
        enum status status = loop_rewatch(lane->http->loop, &s->watch, events);

        (void)status;
    }
    return 0;
}

/* 0 means soon, and never from inside this call. */
static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct lane *lane = arg;
    int64_t due_ms = NEVER_MS;

    (void)multi;
    if (timeout_ms >= 0)
        due_ms = loop_now_ms(lane->http->loop) + timeout_ms;
    set_timer(lane->http, &lane->timer, due_ms);
    return 0;
}

static void timer_fired(void *arg)
{
    struct lane *lane = arg;

    set_timer(lane->http, &lane->timer, NEVER_MS);
    act(lane, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- what callers wanted */

static void begin(struct http_transfer *t)
{
    t->state = RUNNING;
    if (curl_multi_add_handle(t->lane->multi, t->easy) != CURLM_OK) {
        finish(t, CURLE_OUT_OF_MEMORY);
        return;
    }
    t->added = true;
}

/* curl hands over what it holds from inside curl_easy_pause(), and leaves it to
 * us to end the transfer when that fails. */
static void go_on(struct http_transfer *t)
{
    CURLcode code;

    t->state = RUNNING;
    code = curl_easy_pause(t->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK && t->state != CANCELLED)
        finish(t, code);
}

static void work(void *arg)
{
    struct http *http = arg;
    struct http_transfer *t;

    set_timer(http, &http->work_timer, NEVER_MS);
    while ((t = TAILQ_FIRST(&http->todo)) != NULL) {
        move(t, false);
        if (t->state == STARTING) {
            begin(t);
        } else if (t->state == RESUMING) {
            go_on(t);
        } else if (t->state == CANCELLED) {
            detach(t);
            transfer_free(t);
        }
    }
}

void http_cancel(struct http_transfer *transfer)
{
    want(transfer, CANCELLED);
}

void http_resume(struct http_transfer *transfer)
{
    if (transfer->state == PAUSED)
        want(transfer, RESUMING);
}

/* ---- a new transfer */

static bool is_loopback(const char *host)
{
    struct in_addr address;

    if (str_eq(host, "localhost") || str_eq(host, "[::1]"))
        return true;
    return inet_pton(AF_INET, host, &address) == 1 &&
           ntohl(address.s_addr) >> 24 == 127;
}

static bool url_has(CURLU *parsed, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(parsed, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

enum status http_url_read(const char *url, struct http_url *out)
{
    CURLU *parsed = curl_url();
    enum status status = STATUS_BAD_INPUT;
    char *scheme = NULL, *host = NULL, *port = NULL;
    int64_t number;

    if (parsed == NULL)
        return STATUS_NO_MEMORY;
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) !=
            CURLUE_OK ||
        !str_to_int64(port, 0, UINT16_MAX, &number))
        goto out;
    *out = (struct http_url){
        .tls = str_eq(scheme, "https"),
        .credentials = url_has(parsed, CURLUPART_USER) ||
                       url_has(parsed, CURLUPART_PASSWORD),
        .loopback = is_loopback(host),
        .port = (int)number,
    };
    if (out->tls || str_eq(scheme, "http"))
        status = STATUS_OK;
out:
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
    return status;
}

/* A line break would let a value add headers, or a second request. */
static enum status copy_headers(struct http_transfer *t,
                                const char *const *lines)
{
    for (; lines != NULL && *lines != NULL; lines++) {
        struct curl_slist *longer;

        if (strpbrk(*lines, "\r\n") != NULL)
            return STATUS_BAD_INPUT;
        longer = curl_slist_append(t->headers, *lines);
        if (longer == NULL)
            return STATUS_NO_MEMORY;
        t->headers = longer;
    }
    return STATUS_OK;
}

#define SET(easy, option, value)                                               \
    (curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

/* curl 8.13 to 8.15 let all others wait until the first transfer has its
 * response, and of HTTP/1.1 its end (curl issue 18177). Without the wait a
 * burst opens up to HTTP_CONNECTIONS_PER_HOST connections. */
static bool pipewait_ends_with_alpn(void)
{
    unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;

    return version < 0x080d00 || version >= 0x081000;
}

/*
 * A proxy is taken from the environment (https_proxy, no_proxy), as people
 * behind one expect, but not for this machine itself. Compression is not asked
 * for: pictures do not shrink, and lengths stay checkable. QUICK_EXIT is named
 * for another use; what it does is to leave a thread that looks up a name alone
 * when its transfer ends, where curl would wait for it and the loop with it.
 */
static bool set_transport(const struct http_transfer *t,
                          const struct http_url *url)
{
    const struct http *http = t->http;
    CURL *e = t->easy;

    return SET(e, CURLOPT_NOSIGNAL, 1L) && SET(e, CURLOPT_QUICK_EXIT, 1L) &&
           SET(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
           SET(e, CURLOPT_FOLLOWLOCATION, 0L) &&
           SET(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) &&
           SET(e, CURLOPT_PIPEWAIT,
               url->tls && pipewait_ends_with_alpn() ? 1L : 0L) &&
           SET(e, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS) &&
           SET(e, CURLOPT_BUFFERSIZE, (long)HTTP_BUFFER_BYTES) &&
           SET(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
           SET(e, CURLOPT_SSL_VERIFYPEER, 1L) &&
           SET(e, CURLOPT_SSL_VERIFYHOST, 2L) &&
           (http->ca_file == NULL || SET(e, CURLOPT_CAINFO, http->ca_file)) &&
           (!http->bundle_only || SET(e, CURLOPT_CAPATH, NULL)) &&
           (!url->loopback || SET(e, CURLOPT_PROXY, "")) &&
           SET(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
           SET(e, CURLOPT_USERAGENT, http->user_agent);
}

static bool set_public_only(struct http_transfer *t)
{
    return SET(t->easy, CURLOPT_PROXY, "") &&
           SET(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) &&
           SET(t->easy, CURLOPT_OPENSOCKETDATA, t);
}

static bool set_request(struct http_transfer *t,
                        const struct http_request *request)
{
    CURL *e = t->easy;

    return SET(e, CURLOPT_URL, request->url) &&
           SET(e, CURLOPT_HTTPHEADER, t->headers) &&
           (!t->has_body ||
            (SET(e, CURLOPT_POST, 1L) &&
             SET(e, CURLOPT_POSTFIELDSIZE_LARGE,
                 (curl_off_t)request->body_len) &&
             SET(e, CURLOPT_COPYPOSTFIELDS,
                 request->body_len > 0 ? request->body : ""))) &&
           (!t->is_put || SET(e, CURLOPT_CUSTOMREQUEST, "PUT")) &&
           SET(e, CURLOPT_PRIVATE, t) &&
           SET(e, CURLOPT_ERRORBUFFER, t->error) &&
           SET(e, CURLOPT_PREREQFUNCTION, on_connected) &&
           SET(e, CURLOPT_PREREQDATA, t) &&
           SET(e, CURLOPT_HEADERFUNCTION, on_header_line) &&
           SET(e, CURLOPT_HEADERDATA, t) &&
           SET(e, CURLOPT_WRITEFUNCTION, on_write) &&
           SET(e, CURLOPT_WRITEDATA, t);
}

static struct http_transfer *transfer_new(struct http *http,
                                          const struct http_request *request)
{
    struct http_transfer *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->http = http;
    t->state = STARTING;
    t->is_put = str_eq(request->method, "PUT");
    t->has_body = t->is_put || str_eq(request->method, "POST");
    t->arg = request->arg;
    t->on_head = request->on_head;
    t->on_body = request->on_body;
    t->on_done = request->on_done;
    t->max_bytes = request->max_bytes;
    t->started_ms = loop_now_ms(http->loop);
    t->deadline_ms = t->started_ms + request->timeout_ms;
    t->window_end_ms = NEVER_MS;
    loop_timer_init(&t->watchdog, watchdog_fired, t);
    return t;
}

static enum status prepare(struct http_transfer *t,
                           const struct http_request *request)
{
    struct http *http = t->http;
    struct http_url url;
    enum status status = http_url_read(request->url, &url);

    if (status == STATUS_OK)
        status = copy_headers(t, request->headers);
    if (status != STATUS_OK)
        return status;
    t->lane = url.tls ? &http->tls : &http->plain;
    if (request->public_only)
        t->lane = &http->strangers;
    t->easy = take_easy(http);
    if (t->easy == NULL || !set_transport(t, &url) ||
        !set_request(t, request) ||
        (request->public_only && !set_public_only(t)))
        return STATUS_NO_MEMORY;
    return loop_timer_set(http->loop, &t->watchdog, t->deadline_ms);
}

enum status http_start(struct http *http, const struct http_request *request,
                       struct http_transfer **out)
{
    struct http_transfer *t;
    enum status status;

    if (request->on_done == NULL || request->timeout_ms <= 0 ||
        !(str_eq(request->method, "GET") || str_eq(request->method, "POST") ||
          str_eq(request->method, "PUT")))
        return STATUS_BUG;
    t = transfer_new(http, request);
    if (t == NULL)
        return STATUS_NO_MEMORY;
    status = prepare(t, request);
    if (status != STATUS_OK) {
        transfer_free(t);
        return status;
    }
    TAILQ_INSERT_TAIL(&http->quiet, t, link);
    want(t, STARTING);
    *out = t;
    return STATUS_OK;
}

/* ---- the engine */

static enum status lane_init(struct lane *lane, struct http *http,
                             long connections_per_host)
{
    CURLM *m = curl_multi_init();
    long streams = HTTP_STREAMS_PER_CONNECTION;

    lane->http = http;
    lane->multi = m;
    loop_timer_init(&lane->timer, timer_fired, lane);
    if (m == NULL ||
        curl_multi_setopt(m, CURLMOPT_MAX_HOST_CONNECTIONS,
                          connections_per_host) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_MAX_CONCURRENT_STREAMS, streams) !=
            CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_SOCKETDATA, lane) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
        curl_multi_setopt(m, CURLMOPT_TIMERDATA, lane) != CURLM_OK)
        return STATUS_NO_MEMORY;
    return loop_timer_set(http->loop, &lane->timer, NEVER_MS);
}

/* curl closes its connections in here and calls on_socket and on_timer. */
static void lane_release(struct lane *lane)
{
    if (lane->multi != NULL)
        (void)curl_multi_cleanup(lane->multi);
    loop_timer_cancel(lane->http->loop, &lane->timer);
}

/*
 * curl keeps parsed certificates only where no directory of them is set as
 * well; Debian's curl sets both. Without this each TLS connection parses the
 * system's bundle anew, 24 ms in which the loop stands still.
 */
static enum status choose_trust(struct http *http)
{
    CURL *easy = take_easy(http);
    char *bundle = NULL;

    if (easy == NULL)
        return STATUS_NO_MEMORY;
    (void)curl_easy_getinfo(easy, CURLINFO_CAINFO, &bundle);
    http->bundle_only = http->ca_file != NULL || bundle != NULL;
    give_easy(http, easy);
    return STATUS_OK;
}

static enum status init(struct http *http, const struct http_options *options)
{
    enum status status;

    if (options->user_agent != NULL &&
        (http->user_agent = strdup(options->user_agent)) == NULL)
        return STATUS_NO_MEMORY;
    if (options->ca_file != NULL &&
        (http->ca_file = strdup(options->ca_file)) == NULL)
        return STATUS_NO_MEMORY;
    status = choose_trust(http);
    if (status == STATUS_OK)
        status = loop_timer_set(http->loop, &http->work_timer, NEVER_MS);
    if (status == STATUS_OK)
        status = lane_init(&http->tls, http, HTTP_CONNECTIONS_PER_HOST);
    if (status == STATUS_OK)
        status = lane_init(&http->plain, http, 0);
    if (status == STATUS_OK)
        status = lane_init(&http->strangers, http, HTTP_CONNECTIONS_PER_HOST);
    return status;
}

enum status http_new(struct http **out, struct loop *loop,
                     const struct http_options *options)
{
    struct http *http;
    enum status status;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return STATUS_NO_MEMORY;
    http = calloc(1, sizeof(*http));
    if (http == NULL) {
        curl_global_cleanup();
        return STATUS_NO_MEMORY;
    }
    http->loop = loop;
    http->window_ms = options->low_speed_window_ms > 0
                          ? options->low_speed_window_ms
                          : HTTP_LOW_SPEED_SECONDS * 1000;
    http->tls.http = http;
    http->plain.http = http;
    http->strangers.http = http;
    http->loopback_is_public = options->loopback_is_public;
    TAILQ_INIT(&http->quiet);
    TAILQ_INIT(&http->todo);
    loop_timer_init(&http->work_timer, work, http);
    status = init(http, options);
    if (status != STATUS_OK) {
        http_free(http);
        return status;
    }
    *out = http;
    return STATUS_OK;
}

void http_free(struct http *http)
{
    struct http_transfer *t;

    if (http == NULL)
        return;
    while ((t = TAILQ_FIRST(&http->todo)) != NULL ||
           (t = TAILQ_FIRST(&http->quiet)) != NULL) {
        detach(t);
        transfer_free(t);
    }
    while (http->spare_count > 0)
        curl_easy_cleanup(http->spare[--http->spare_count]);
    lane_release(&http->tls);
    lane_release(&http->plain);
    lane_release(&http->strangers);
    loop_timer_cancel(http->loop, &http->work_timer);
    free(http->user_agent);
    free(http->ca_file);
    free(http);
    curl_global_cleanup();
}
