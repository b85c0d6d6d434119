/*
 * public_only: requests for URLs that a stranger chose. Nothing here leaves the
 * machine: what is let through is loopback, by the option for tests.
 */
#include "http.h"

#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../helper/http_fetch.h"
#include "../helper/test_server.h"

/* ---- names: the resolver of this program knows a few */

static const struct {
    const char *name;
    uint32_t addresses[3];
} names[] = {
    {"inside.test", {0x0a000001, 0xa9fea9fe}},
    {"both.test", {0x0a000001, 0x7f000001, 0xc0a80001}},
    {"server.test", {0x7f000001}},
};

static struct addrinfo *make_info(uint32_t address, const char *port,
                                  struct addrinfo *next)
{
    int64_t number = 0;

    struct entry {
        struct addrinfo info;
        struct sockaddr_in in;
    } *entry = calloc(1, sizeof(*entry));

    if (entry == NULL)
        abort();
    if (!str_to_int64(port, 0, UINT16_MAX, &number))
        abort();
    entry->in.sin_family = AF_INET;
    entry->in.sin_port = htons((uint16_t)number);
    entry->in.sin_addr.s_addr = htonl(address);
    entry->info = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_addrlen = sizeof(entry->in),
                                    .ai_addr = (struct sockaddr *)&entry->in,
                                    .ai_next = next};
    return &entry->info;
}

int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
    (void)hints;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        size_t count = ARRAY_COUNT(names[i].addresses);

        if (!str_eq(name, names[i].name))
            continue;
        *out = NULL;
        while (count > 0) {
            if (names[i].addresses[--count] != 0)
                *out = make_info(names[i].addresses[count], service, *out);
        }
        return 0;
    }
    return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info != NULL) {
        struct addrinfo *next = info->ai_next;

        free(info);
        info = next;
    }
}

/* ---- the bench */

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return -1;
    bench_open(b, test_server_start(NULL, NULL), NULL, 0);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench_close(*state);
    free(*state);
    return 0;
}

static void let_loopback_through(struct bench *b)
{
    struct http_options options = {.user_agent = "darkroom-test",
                                   .loopback_is_public = true};

    http_free(b->http);
    assert_int_equal(http_new(&b->http, b->loop, &options), STATUS_OK);
}

static void get_public(struct fetch *f, struct bench *b, const char *host,
                       const char *path)
{
    char url[256];

    (void)snprintf(url, sizeof(url), "http://%s:%d%s", host,
                   test_server_port(b->server), path);
    fetch_init(f, b, url);
    f->request.public_only = true;
    fetch_start(f);
    bench_run(b);
}

static void assert_refused(const struct fetch *f)
{
    fetch_assert_failed(f, STATUS_ADDRESS_REFUSED);
    assert_string_equal(f->error, "no address of the host is public");
    assert_false(f->result.sent);
    assert_int_equal(f->result.head.status, 0);
    assert_int_equal(status_class(f->result.status), STATUS_CLASS_PERMANENT);
}

/* ---- tests */

static void test_addresses_that_are_not_public(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",
                                        "localhost",
                                        "2130706433",
                                        "0x7f000001",
                                        "0177.0.0.1",
                                        "127.1",
                                        "0.0.0.0",
                                        "10.0.0.1",
                                        "169.254.169.254",
                                        "[::1]",
                                        "[::]",
                                        "[::ffff:127.0.0.1]",
                                        "[::ffff:7f00:1]",
                                        "[64:ff9b::7f00:1]",
                                        "[fd00:ec2::254]",
                                        "[fe80::1]"};
    struct bench *b = *state;

    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        struct fetch f;

        get_public(&f, b, hosts[i], "/get?bytes=1");
        assert_refused(&f);
    }
    assert_int_equal(test_server_connections(b->server), 0);
}

static void test_a_name_of_private_addresses(void **state)
{
    struct fetch f;

    let_loopback_through(*state);
    get_public(&f, *state, "inside.test", "/get?bytes=1");
    assert_refused(&f);
}

static void test_a_name_that_does_not_exist_is_no_refusal(void **state)
{
    struct fetch f;

    get_public(&f, *state, "nowhere.test", "/get?bytes=1");
    fetch_assert_failed(&f, STATUS_NETWORK);
}

static void test_of_several_addresses_the_public_one(void **state)
{
    struct fetch f;

    let_loopback_through(*state);
    get_public(&f, *state, "both.test", "/get?bytes=70000");
    fetch_assert_whole(&f, 70000);
}

/* The address was let through, so that nobody listens is not for ever. */
static void test_a_public_address_without_a_server(void **state)
{
    struct bench *b = *state;
    struct fetch f;
    char url[64];

    let_loopback_through(b);
    (void)snprintf(url, sizeof(url), "http://both.test:%d/",
                   test_server_free_port());
    fetch_init(&f, b, url);
    f.request.public_only = true;
    fetch_start(&f);
    bench_run(b);
    fetch_assert_failed(&f, STATUS_NETWORK);
}

static void test_loopback_for_tests_lets_nothing_else_through(void **state)
{
    static const char *const hosts[] = {"10.0.0.1", "169.254.169.254",
                                        "[::ffff:10.0.0.1]", "0.0.0.0"};
    struct bench *b = *state;

    let_loopback_through(b);
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        struct fetch f;

        get_public(&f, b, hosts[i], "/get?bytes=1");
        assert_refused(&f);
    }
}

/* The connection that is kept was opened without the rule. */
static void test_kept_connections_are_not_shared(void **state)
{
    struct bench *b = *state;
    struct fetch f;
    char url[64];

    (void)snprintf(url, sizeof(url), "http://server.test:%d/get?bytes=9",
                   test_server_port(b->server));
    for (int i = 0; i < 2; i++) {
        fetch_init(&f, b, url);
        fetch_start(&f);
        bench_run(b);
        fetch_assert_whole(&f, 9);
    }
    assert_int_equal(test_server_connections(b->server), 1); /* it is kept */
    get_public(&f, b, "server.test", "/get?bytes=9");
    assert_refused(&f);
    fetch_init(&f, b, url);
    fetch_start(&f);
    bench_run(b);
    fetch_assert_whole(&f, 9);
    assert_int_equal(test_server_connections(b->server), 1);
}

static void test_kept_connections_of_its_own(void **state)
{
    struct bench *b = *state;
    struct fetch f;

    let_loopback_through(b);
    for (int i = 0; i < 3; i++) {
        get_public(&f, b, "server.test", "/get?bytes=9");
        fetch_assert_whole(&f, 9);
    }
    assert_int_equal(test_server_connections(b->server), 1);
}

/* A proxy would look the name up for us, and go where we must not. */
static void test_no_proxy(void **state)
{
    struct bench *b = *state;
    struct fetch f;
    char proxy[64];

    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d",
                   test_server_port(b->server));
    assert_int_equal(setenv("http_proxy", proxy, 1), 0);
    get_public(&f, b, "inside.test", "/get?bytes=9");
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_refused(&f);
    assert_int_equal(test_server_connections(b->server), 0);
}

static void test_what_a_url_says(void **state)
{
    static const struct {
        const char *text;
        struct http_url url;
    } cases[] = {
        {"https://example.com/a", {true, false, false, 443}},
        {"http://example.com", {false, false, false, 80}},
        {"https://example.com:8443/", {true, false, false, 8443}},
        {"https://u:p@example.com/", {true, true, false, 443}},
        {"https://u@example.com/", {true, true, false, 443}},
        {"https://:p@example.com/", {true, true, false, 443}},
        {"https://localhost:444/", {true, false, true, 444}},
        {"http://127.0.0.9/", {false, false, true, 80}},
        {"http://[::1]/", {false, false, true, 80}},
        {"https://example.com:443@10.0.0.1/", {true, true, false, 443}},
    };
    static const char *const bad[] = {"",
                                      "example.com",
                                      "ftp://example.com/",
                                      "file:///etc/passwd",
                                      "https://",

                                      "https://example.com:99999/",
                                      "https://exa mple.com/",
                                      "https://[::1/",
                                      "javascript:1",
                                      "https://example.com\r\nX: y/"};
    struct http_url url;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(http_url_read(cases[i].text, &url), STATUS_OK);
        assert_int_equal(url.tls, cases[i].url.tls);
        assert_int_equal(url.credentials, cases[i].url.credentials);
        assert_int_equal(url.loopback, cases[i].url.loopback);
        assert_int_equal(url.port, cases[i].url.port);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        if (http_url_read(bad[i], &url) != STATUS_BAD_INPUT)
            fail_msg("'%s' should not be a URL", bad[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_addresses_that_are_not_public),
        TEST(test_a_name_of_private_addresses),
        TEST(test_a_name_that_does_not_exist_is_no_refusal),
        TEST(test_of_several_addresses_the_public_one),
        TEST(test_a_public_address_without_a_server),
        TEST(test_loopback_for_tests_lets_nothing_else_through),
        TEST(test_kept_connections_are_not_shared),
        TEST(test_kept_connections_of_its_own),
        TEST(test_no_proxy),
        cmocka_unit_test(test_what_a_url_says),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("http_public", tests, NULL, NULL);
}
