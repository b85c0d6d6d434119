/*
 * The HTTP client over TLS: whom it trusts, HTTP/1.1 against the test server,
 * and HTTP/2 through nginx, which passes on what the test server does.
 */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <curl/curl.h>

#include "../helper/http_fetch.h"
#include "../helper/test_cert.h"
#include "../helper/test_server.h"

#define FILE_MAX_BYTES (64 * 1024)

static struct test_cert tls; /* its directory takes nginx's files too */

static int group_setup(void **state)
{
    (void)state;
    test_cert_make(&tls);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    test_cert_remove(&tls);
    return 0;
}

/* ---- HTTP/1.1 */

static struct test_server *tls_server(void)
{
    return test_server_start(tls.key.data, tls.cert.data);
}

static void url_on(char *url, size_t size, const char *host, int port,
                   const char *path)
{
    (void)snprintf(url, size, "https://%s:%d%s", host, port, path);
}

static void test_whole_bodies(void **state)
{
    struct bench b;
    struct fetch f[3];
    char url[128];

    (void)state;
    bench_open(&b, tls_server(), tls.cert_file, 0);
    url_on(url, sizeof(url), "127.0.0.1", test_server_port(b.server),
           "/get?bytes=300000");
    for (size_t i = 0; i < ARRAY_COUNT(f); i++) {
        fetch_init(&f[i], &b, url);
        f[i].pause_every = 50000;
        fetch_start(&f[i]);
    }
    bench_run(&b);
    for (size_t i = 0; i < ARRAY_COUNT(f); i++)
        fetch_assert_whole(&f[i], 300000);
    bench_close(&b);
}

/* The first transfer stands still; the others find out that they need
 * connections of their own. */
static void test_a_paused_transfer_holds_up_no_other(void **state)
{
    struct bench b;
    struct fetch f[3];
    char url[128];

    (void)state;
    bench_open(&b, tls_server(), tls.cert_file, 0);
    url_on(url, sizeof(url), "127.0.0.1", test_server_port(b.server),
           "/get?bytes=300000");
    for (size_t i = 0; i < ARRAY_COUNT(f); i++)
        fetch_init(&f[i], &b, url);
    f[0].pause_every = 50000;
    f[0].pause_ms = FETCH_GUARD_MS;
    for (size_t i = 0; i < ARRAY_COUNT(f); i++)
        fetch_start(&f[i]);
    b.left--; /* do not wait for the first */
    bench_run(&b);
    fetch_assert_whole(&f[1], 300000);
    fetch_assert_whole(&f[2], 300000);
    b.left++;
    fetch_cancel(&f[0]);
    bench_close(&b);
}

static void assert_refused(const char *ca_file, const char *host)
{
    struct bench b;
    struct fetch f;
    char url[128];

    bench_open(&b, tls_server(), ca_file, 0);
    url_on(url, sizeof(url), host, test_server_port(b.server), "/get?bytes=1");
    fetch_init(&f, &b, url);
    f.request.method = "POST";
    fetch_start(&f);
    bench_run(&b);
    fetch_assert_failed(&f, STATUS_NETWORK);
    assert_false(f.result.sent);
    assert_int_equal(test_server_requests(b.server), 0);
    bench_close(&b);
}

static void test_unknown_signer_is_refused(void **state)
{
    (void)state;
    assert_refused(NULL, "127.0.0.1");
}

static void test_certificate_of_another_name_is_refused(void **state)
{
    (void)state;
    assert_refused(tls.cert_file, "localhost");
}

static void test_missing_ca_file_trusts_nobody(void **state)
{
    (void)state;
    assert_refused("/nonexistent/ca.pem", "127.0.0.1");
}

/* ---- HTTP/2 */

static struct {
    struct bench bench;
    pid_t nginx;
    int port;
    char conf[96];
    char log[96];
    char url[256];
} h2;

static void write_conf(void)
{
    FILE *file = fopen(h2.conf, "we");

    assert_non_null(file);
    (void)fprintf(file,
                  "daemon off; master_process off; pid %s/nginx.pid;\n"
                  "error_log /dev/null; events { worker_connections 1024; }\n"
                  "http {\n"
                  "log_format c '$connection $server_protocol';\n"
                  "access_log %s c;\n"
                  "client_body_temp_path %s/t; proxy_temp_path %s/t;\n"
                  "fastcgi_temp_path %s/t; uwsgi_temp_path %s/t;\n"
                  "scgi_temp_path %s/t;\n"
                  "server {\n"
                  "listen 127.0.0.1:%d ssl http2;\n"
                  "ssl_certificate %s; ssl_certificate_key %s;\n"
                  "location / { proxy_pass http://127.0.0.1:%d;\n"
                  "proxy_http_version 1.1; proxy_buffering off; } } }\n",
                  tls.dir, h2.log, tls.dir, tls.dir, tls.dir, tls.dir, tls.dir,
                  h2.port, tls.cert_file, tls.key_file,
                  test_server_port(h2.bench.server));
    assert_int_equal(fclose(file), 0);
}

static bool can_connect(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected;

    assert_true(fd >= 0);
    connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return connected;
}

/* False when there is no nginx on this machine. */
static bool nginx_start(void)
{
    const char *const arguments[] = {"nginx", "-p",    tls.dir,
                                     "-c",    h2.conf, NULL};
    const struct timespec moment = {0, 10000000};

    h2.nginx = test_spawn("/usr/sbin/nginx", arguments);
    if (h2.nginx < 0)
        h2.nginx = test_spawn("nginx", arguments);
    if (h2.nginx < 0)
        return false;
    for (int i = 0; i < 1000 && !can_connect(h2.port); i++)
        nanosleep(&moment, NULL);
    return true;
}

static int h2_setup(void **state)
{
    (void)state;
    bench_open(&h2.bench, test_server_start(NULL, NULL), tls.cert_file, 0);
    h2.port = test_server_free_port();
    (void)snprintf(h2.conf, sizeof(h2.conf), "%s/nginx.conf", tls.dir);
    (void)snprintf(h2.log, sizeof(h2.log), "%s/access.log", tls.dir);
    write_conf();
    h2.nginx = -1;
    return 0;
}

static void nginx_stop(void)
{
    if (h2.nginx < 0)
        return;
    (void)kill(h2.nginx, SIGTERM);
    (void)waitpid(h2.nginx, NULL, 0);
    h2.nginx = -1;
}

static int h2_teardown(void **state)
{
    char path[96];

    (void)state;
    bench_close(&h2.bench);
    nginx_stop();
    (void)unlink(h2.conf);
    (void)unlink(h2.log);
    (void)snprintf(path, sizeof(path), "%s/nginx.pid", tls.dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/t", tls.dir);
    (void)rmdir(path);
    return 0;
}

/* Every HTTP/2 test begins with this. */
static struct bench *h2_bench(void)
{
    assert_true(nginx_start()); /* scripts/deps installs it */
    return &h2.bench;
}

static const char *h2_url(const char *path)
{
    url_on(h2.url, sizeof(h2.url), "127.0.0.1", h2.port, path);
    return h2.url;
}

static void read_file(struct buf *b, const char *path)
{
    FILE *file = fopen(path, "re");
    char bytes[4096];
    size_t n;

    assert_non_null(file);
    buf_init(b, FILE_MAX_BYTES);
    while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
        assert_int_equal(buf_append(b, bytes, n), STATUS_OK);
    (void)fclose(file);
}

/* Stops nginx and reads its log: the number of requests, each of which must
 * have been HTTP/2, and that of connections. */
static void h2_count(size_t *requests, size_t *connections)
{
    static bool seen[100000];
    struct buf log;
    char *line, *rest;
    unsigned long number;

    nginx_stop();
    read_file(&log, h2.log);
    memset(seen, 0, sizeof(seen));
    *requests = 0;
    *connections = 0;
    for (line = log.data; line != NULL && *line != '\0'; line = rest + 10) {
        number = strtoul(line, &rest, 10);
        assert_true(number < ARRAY_COUNT(seen));
        assert_int_equal(strncmp(rest, " HTTP/2.0\n", 10), 0);
        ++*requests;
        *connections += seen[number] ? 0 : 1;
        seen[number] = true;
    }
    buf_release(&log);
}

/* As http.c, which does not let a burst wait for its first connection with a
 * curl that would let it wait for longer. */
static size_t connections_of_a_burst(void)
{
    unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;

    return version < 0x080d00 || version >= 0x081000
               ? 1
               : HTTP_CONNECTIONS_PER_HOST;
}

static void test_h2_shares_connections(void **state)
{
    struct bench *b = h2_bench();
    struct fetch *f = calloc(250, sizeof(*f));
    size_t requests, connections;

    (void)state;
    assert_non_null(f);
    for (size_t i = 0; i < 250; i++) {
        fetch_init(&f[i], b, h2_url("/get?bytes=20000&step=5000&pause_ms=2"));
        fetch_start(&f[i]);
    }
    bench_run(b);
    for (size_t i = 0; i < 250; i++)
        fetch_assert_whole(&f[i], 20000);
    free(f);
    h2_count(&requests, &connections);
    assert_int_equal(requests, 250);
    assert_in_range(connections, 1, HTTP_CONNECTIONS_PER_HOST);
}

static void test_h2_up_to_100_share_one(void **state)
{
    struct bench *b = h2_bench();
    struct fetch f[60];
    size_t requests, connections;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(f); i++) {
        fetch_init(&f[i], b, h2_url("/get?bytes=20000&step=5000&pause_ms=2"));
        fetch_start(&f[i]);
    }
    bench_run(b);
    for (size_t i = 0; i < ARRAY_COUNT(f); i++)
        fetch_assert_whole(&f[i], 20000);
    h2_count(&requests, &connections);
    assert_int_equal(requests, 60);
    assert_in_range(connections, 1, connections_of_a_burst());
}

static void test_h2_pause_and_resume_lose_nothing(void **state)
{
    struct bench *b = h2_bench();
    struct fetch f[5];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(f); i++) {
        fetch_init(&f[i], b, h2_url("/get?bytes=3000000"));
        f[i].pause_every = 100000;
        f[i].pause_ms = (int64_t)i;
        fetch_start(&f[i]);
    }
    bench_run(b);
    for (size_t i = 0; i < ARRAY_COUNT(f); i++) {
        fetch_assert_whole(&f[i], 3000000);
        assert_true(f[i].pauses >= 20);
    }
}

static void test_h2_a_paused_stream_holds_up_no_other(void **state)
{
    struct bench *b = h2_bench();
    struct fetch paused, other[5];
    size_t requests, connections;

    (void)state;
    fetch_init(&paused, b, h2_url("/get?bytes=3000000"));
    paused.pause_every = 10000000;
    paused.next_pause = 200000; /* once, in the middle */
    paused.pause_ms = FETCH_GUARD_MS;
    fetch_start(&paused);
    for (size_t i = 0; i < ARRAY_COUNT(other); i++) {
        fetch_init(&other[i], b, h2_url("/get?bytes=3000000"));
        fetch_start(&other[i]);
    }
    b->left--;
    bench_run(b);
    for (size_t i = 0; i < ARRAY_COUNT(other); i++)
        fetch_assert_whole(&other[i], 3000000);
    assert_int_equal(paused.pauses, 1);
    b->left++;
    fetch_resume(&paused);
    bench_run(b);
    fetch_assert_whole(&paused, 3000000);
    h2_count(&requests, &connections);
    assert_in_range(connections, 1, connections_of_a_burst());
}

static void test_h2_cut_short(void **state)
{
    struct bench *b = h2_bench();
    struct fetch f;

    (void)state;
    fetch_init(&f, b, h2_url("/get?bytes=100000&cut=60000"));
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_CUT);
    assert_int_equal(f.result.head.status, 200);
    fetch_init(&f, b, h2_url("/get?bytes=100000&cut=60000&chunked=1"));
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_CUT);
    assert_true(f.result.head.content_length == -1);
}

/* A timeout, a cancel and an abort end one stream each and leave the connection
 * to the others. */
static void test_h2_a_failed_stream_leaves_the_connection(void **state)
{
    struct bench *b = h2_bench();
    struct fetch stalled, aborted, cancelled, last;
    size_t requests, connections;

    (void)state;
    fetch_init(&aborted, b, h2_url("/get?bytes=1000000"));
    aborted.abort_at = 100000;
    fetch_start(&aborted);
    fetch_init(&cancelled, b, h2_url("/get?bytes=1000000"));
    cancelled.cancel_in_body = true;
    fetch_start(&cancelled);
    fetch_init(&stalled, b, h2_url("/get?bytes=100000&stall=5000"));
    stalled.request.timeout_ms = 1000;
    fetch_start(&stalled);
    bench_run(b);
    fetch_assert_failed(&aborted, STATUS_CUT);
    fetch_assert_failed(&stalled, STATUS_TIMEOUT);
    assert_int_equal(cancelled.dones, 0);
    fetch_init(&last, b, h2_url("/get?bytes=100000"));
    fetch_start(&last);
    bench_run(b);
    fetch_assert_whole(&last, 100000);
    h2_count(&requests, &connections);
    assert_in_range(connections, 1, connections_of_a_burst());
}

static void test_h2_post(void **state)
{
    struct bench *b = h2_bench();
    char *body = malloc(200000);
    struct fetch f;

    (void)state;
    assert_non_null(body);
    for (size_t i = 0; i < 200000; i++)
        body[i] = test_server_byte(i);
    fetch_init(&f, b, h2_url("/echo"));
    f.request.method = "POST";
    f.request.body = body;
    f.request.body_len = 200000;
    fetch_start(&f);
    free(body);
    bench_run(b);
    fetch_assert_whole(&f, 200000);
    fetch_init(&f, b, h2_url("/get?status=429&retry=3&id=abc&bytes=9"));
    f.request.method = "POST";
    fetch_start(&f);
    bench_run(b);
    fetch_assert_whole(&f, 9);
    assert_int_equal(f.head.status, 429);
    assert_true(f.head.retry_after_s == 3);
    assert_string_equal(f.head.request_id, "abc");
}

#define TEST_H2(name)                                                          \
    cmocka_unit_test_setup_teardown(name, h2_setup, h2_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_bodies),
        cmocka_unit_test(test_a_paused_transfer_holds_up_no_other),
        cmocka_unit_test(test_unknown_signer_is_refused),
        cmocka_unit_test(test_certificate_of_another_name_is_refused),
        cmocka_unit_test(test_missing_ca_file_trusts_nobody),
        TEST_H2(test_h2_shares_connections),
        TEST_H2(test_h2_up_to_100_share_one),
        TEST_H2(test_h2_pause_and_resume_lose_nothing),
        TEST_H2(test_h2_a_paused_stream_holds_up_no_other),
        TEST_H2(test_h2_cut_short),
        TEST_H2(test_h2_a_failed_stream_leaves_the_connection),
        TEST_H2(test_h2_post),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("http_tls", tests, group_setup,
                                       group_teardown);
}
