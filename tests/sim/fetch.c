/*
 * fetch.c: one curl easy handle per client, reset before each request.
 */
#include "fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "ascii.h"

struct fetch_client {
    CURL *curl;
    const char *ca_file;
    char words[CURL_ERROR_SIZE];
};

/* What the write callback needs. */
struct sink {
    struct buf *body;
    bool full;
};

enum status fetch_global_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? STATUS_OK
                                                             : STATUS_NO_MEMORY;
}

void fetch_global_cleanup(void)
{
    curl_global_cleanup();
}

enum status fetch_client_new(struct fetch_client **out, const char *ca_file)
{
    struct fetch_client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        return STATUS_NO_MEMORY;
    client->ca_file = ca_file;
    client->curl = curl_easy_init();
    if (client->curl == NULL) {
        free(client);
        return STATUS_NO_MEMORY;
    }
    *out = client;
    return STATUS_OK;
}

void fetch_client_free(struct fetch_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client);
}

static bool is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)addr;

        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)addr;

        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    }
    return false;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    (void)arg;
    if (purpose != CURLSOCKTYPE_IPCXN || !is_loopback(&address->addr))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct sink *sink = arg;

    if (buf_append(sink->body, bytes, size * count) == STATUS_OK)
        return size * count;
    sink->full = true;
    return 0;
}

static enum fetch_error classify(CURLcode code, const struct sink *sink)
{
    switch (code) {
    case CURLE_OK:
        return FETCH_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return FETCH_REQUEST_TIMEOUT;
    case CURLE_WRITE_ERROR:
        return sink->full ? FETCH_TOO_LARGE : FETCH_UNCLASSIFIED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return FETCH_COULD_NOT_CONNECT;
    default:
        return FETCH_UNCLASSIFIED;
    }
}

static void set_body(CURL *curl, const struct fetch_request *request)
{
    if (request->body == NULL)
        return;
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)request->body_len);
}

static void set_options(struct fetch_client *client,
                        const struct fetch_request *request,
                        struct curl_slist *headers, struct sink *sink)
{
    CURL *curl = client->curl;

    curl_easy_reset(curl);
    client->words[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->words);
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (client->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, request->fresh ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, request->user_agent);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
    set_body(curl, request);
}

static void read_info(CURL *curl, struct fetch_result *result)
{
    long http_status = 0;
    char *type = NULL;
    curl_off_t total_us = 0, ready_us = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &total_us);
    curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    result->http_status = (int)http_status;
    if (type != NULL)
        copy_ascii(result->content_type, sizeof(result->content_type), type);
    result->total_us = total_us;
    result->connect_us = ready_us;
}

void fetch(struct fetch_client *client, const struct fetch_request *request,
           struct fetch_result *result)
{
    struct curl_slist *headers = NULL;
    struct sink sink = {.body = &result->body};
    CURLcode code;

    *result = (struct fetch_result){0};
    buf_init(&result->body, request->max_bytes);
    headers = curl_slist_append(headers, "Expect:");
    for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL;
         i++) {
        struct curl_slist *longer =
            curl_slist_append(headers, request->headers[i]);

        headers = longer != NULL ? longer : headers;
    }
    set_options(client, request, headers, &sink);
    code = curl_easy_perform(client->curl);
    result->error = classify(code, &sink);
    if (code != CURLE_OK)
        copy_ascii(result->why, sizeof(result->why),
                   client->words[0] != '\0' ? client->words
                                            : curl_easy_strerror(code));
    read_info(client->curl, result);
    /* LINE's request_timeout means that the request was sent. */
    if (result->error == FETCH_REQUEST_TIMEOUT && result->connect_us == 0)
        result->error = FETCH_COULD_NOT_CONNECT;
    curl_slist_free_all(headers);
}

void fetch_result_release(struct fetch_result *result)
{
    buf_release(&result->body);
}

const char *fetch_error_name(enum fetch_error error)
{
    static const char *const names[] = {"ok", "could_not_connect",
                                        "request_timeout", "unclassified",
                                        "too_large"};

    return names[error];
}
