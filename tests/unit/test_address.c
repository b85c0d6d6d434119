/*
 * Which addresses are public: both ends of each special network and what is
 * beside it, and every form that IPv4 takes in IPv6.
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* `len` is that of the address, 0 if the text is none. */
static struct sockaddr_storage parse(const char *text, size_t *len)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    *len = 0;
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        *len = sizeof(four);
        memcpy(&storage, &four, sizeof(four));
    } else if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1) {
        *len = sizeof(six);
        memcpy(&storage, &six, sizeof(six));
    }
    return storage;
}

static void assert_public(const char *text, bool expected)
{
    size_t len;
    struct sockaddr_storage address = parse(text, &len);

    assert_true(len > 0);
    if (address_is_public((struct sockaddr *)&address, len) != expected)
        fail_msg("%s should %sbe public", text, expected ? "" : "not ");
}

static void test_special_addresses(void **state)
{
    static const char *const special[] = {
        "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0",
        "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.0",
        "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.0",
        "192.0.0.255", "192.0.2.1", "192.88.99.1", "192.168.0.0",
        "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.7",
        "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1",
        "255.255.255.255",
        /* IPv6 */
        "::", "::1", "100::1", "2001::1", "2001:0:4136:e378::1", "2001:2::1",
        "2001:10::1", "2001:20::1", "2001:1ff:ffff::1", "2001:db8::1",
        "2001:db8:ffff::1", "2002::1", "2002:7f00:1::1", "2002:808:808::1",
        "3fff::1", "3fff:fff:ffff::1", "4000::1", "5f00::1", "fc00::1",
        "fd00:ec2::254", "fdff::1", "fe80::1", "fec0::1", "ff02::1", "ffff::",
        /* IPv4 in it */
        "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.1.2.3",
        "::ffff:169.254.169.254", "::ffff:100.64.0.1", "::ffff:0:8.8.8.8",
        "64:ff9b::127.0.0.1", "64:ff9b::192.168.1.1",
        "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "64:ff9b::1:8.8.8.8"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(special); i++)
        assert_public(special[i], false);
}

static void test_public_addresses(void **state)
{
    static const char *const public[] = {
        "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.0",
        "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0",
        "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0",
        "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0",
        "203.0.112.255", "203.0.114.0", "223.255.255.255",
        /* IPv6 */
        "2000::1", "2001:200::1", "2001:db7:ffff::1", "2001:db9::1",
        "2001:4860:4860::8888", "2003::1", "2400:cb00::1", "2606:4700::1",
        "3ffe::1", "3fff:1000::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(public); i++)
        assert_public(public[i], true);
}

static void test_other_families_and_short_addresses(void **state)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/x"};
    size_t len;
    struct sockaddr_storage address = parse("8.8.8.8", &len);

    (void)state;
    assert_false(address_is_public((struct sockaddr *)&local, sizeof(local)));
    assert_false(address_is_loopback((struct sockaddr *)&local, sizeof(local)));
    assert_true(address_is_public((struct sockaddr *)&address, len));
    assert_false(address_is_public((struct sockaddr *)&address, len - 1));
    address = parse("2606:4700::1", &len);
    assert_false(address_is_public((struct sockaddr *)&address, len - 1));
}

static void test_loopback(void **state)
{
    static const struct {
        const char *text;
        bool expected;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.9.9.9", true},
        {"::1", true},
        {"::ffff:127.0.0.1", true},
        {"126.0.0.1", false},
        {"10.0.0.1", false},
        {"::2", false},
        {"::", false},
        {"::ffff:10.0.0.1", false},
        {"64:ff9b::127.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t len;
        struct sockaddr_storage address = parse(cases[i].text, &len);

        assert_int_equal(address_is_loopback((struct sockaddr *)&address, len),
                         cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_addresses),
        cmocka_unit_test(test_public_addresses),
        cmocka_unit_test(test_other_families_and_short_addresses),
        cmocka_unit_test(test_loopback),
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
