/*
 * test_crypto.c: the vectors of RFC 4231 and RFC 4648, and the little that can
 * be said of randomness and of a wipe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto.h"

static void hex_of(const uint8_t mac[SHA256_BYTES],
                   char hex[2 * SHA256_BYTES + 1])
{
    for (size_t i = 0; i < SHA256_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", mac[i]);
}

static void assert_mac(const void *key, size_t key_len, const void *bytes,
                       size_t len, const char *expected)
{
    char hex[2 * SHA256_BYTES + 1];
    uint8_t mac[SHA256_BYTES];

    assert_int_equal(crypto_hmac_sha256(key, key_len, bytes, len, mac),
                     STATUS_OK);
    hex_of(mac, hex);
    assert_string_equal(hex, expected);
}

/* RFC 4231, test cases 1, 2, 3 and 6. */
static void test_hmac_vectors(void **state)
{
    static const char text[] = "what do ya want for nothing?";
    static const char long_text[] =
        "Test Using Larger Than Block-Size Key - Hash Key First";
    uint8_t key[131], bytes[50];

    (void)state;
    memset(key, 0x0b, 20);
    assert_mac(
        key, 20, "Hi There", 8,
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_mac(
        "Jefe", 4, text, sizeof(text) - 1,
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    memset(bytes, 0xdd, sizeof(bytes));
    assert_mac(
        key, 20, bytes, sizeof(bytes),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    assert_mac(
        key, sizeof(key), long_text, sizeof(long_text) - 1,
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* A webhook may be empty, a mistaken secret too. */
static void test_hmac_of_nothing(void **state)
{
    (void)state;
    assert_mac(
        "", 0, "", 0,
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_key_beyond_the_library(void **state)
{
    uint8_t mac[SHA256_BYTES];

    (void)state;
    assert_int_equal(crypto_hmac_sha256("k", (size_t)INT32_MAX + 1, "", 0, mac),
                     STATUS_BUG);
}

/* The second shows '/' and '+', the letters that differ between the
 * alphabets of RFC 4648, sections 4 and 5. */
static void test_base64(void **state)
{
    char text[SHA256_BASE64_SIZE];
    uint8_t mac[SHA256_BYTES];

    (void)state;
    memset(mac, 0, sizeof(mac));
    crypto_base64_mac(mac, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    memset(mac, 0xff, sizeof(mac));
    mac[0] = 0xfb;
    crypto_base64_mac(mac, text);
    assert_string_equal(text, "+/////////////////////////////////////////8=");
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(crypto_equal("abc", 3, "abc", 3));
    assert_true(crypto_equal("", 0, "", 0));
    assert_false(crypto_equal("abc", 3, "abd", 3));
    assert_false(crypto_equal("abc", 3, "xbc", 3));
    assert_false(crypto_equal("abc", 3, "abc", 2));
    assert_false(crypto_equal("ab", 2, "abc", 3));
}

/* A chance of 2^-256 to fail for nothing. */
static void test_random(void **state)
{
    uint8_t first[32] = {0}, second[32] = {0};
    const uint8_t zeros[32] = {0};

    (void)state;
    assert_int_equal(crypto_random(first, sizeof(first)), STATUS_OK);
    assert_int_equal(crypto_random(second, sizeof(second)), STATUS_OK);
    assert_memory_not_equal(first, second, sizeof(first));
    assert_memory_not_equal(first, zeros, sizeof(first));
    assert_int_equal(crypto_random(first, (size_t)INT32_MAX + 1), STATUS_BUG);
}

static void test_uuid(void **state)
{
    const char *form = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";
    char uuid[UUID_SIZE], other[UUID_SIZE];

    (void)state;
    assert_int_equal(crypto_uuid(uuid), STATUS_OK);
    assert_int_equal(crypto_uuid(other), STATUS_OK);
    assert_string_not_equal(uuid, other);
    assert_int_equal(strlen(uuid), strlen(form));
    for (size_t i = 0; i < strlen(form); i++) {
        const char *allowed = "0123456789abcdef";

        if (form[i] == '-' || form[i] == '4')
            assert_int_equal(uuid[i], form[i]);
        else
            assert_non_null(strchr(form[i] == 'v' ? "89ab" : allowed, uuid[i]));
    }
}

static void test_wipe(void **state)
{
    char secret[] = "secret";
    const char zeros[3] = {0};

    (void)state;
    crypto_wipe(secret, 3);
    assert_memory_equal(secret, zeros, sizeof(zeros));
    assert_string_equal(secret + 3, "ret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_hmac_of_nothing),
        cmocka_unit_test(test_key_beyond_the_library),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_wipe),
    };

    return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
