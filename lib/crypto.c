/*
 * crypto.c: the only user of libcrypto.
 */
#include "crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum status crypto_hmac_sha256(const void *key, size_t key_len,
                               const void *bytes, size_t len,
                               uint8_t mac[SHA256_BYTES])
{
    unsigned int mac_len = 0;

    if (key_len > INT32_MAX)
        return STATUS_BUG;
    if (HMAC(EVP_sha256(), key, (int)key_len, bytes, len, mac, &mac_len) ==
            NULL ||
        mac_len != SHA256_BYTES)
        return STATUS_NO_MEMORY;
    return STATUS_OK;
}

void crypto_base64_mac(const uint8_t mac[SHA256_BYTES],
                       char out[SHA256_BASE64_SIZE])
{
    (void)EVP_EncodeBlock((unsigned char *)out, mac, SHA256_BYTES);
}

bool crypto_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
    return a_len == b_len && CRYPTO_memcmp(a, b, a_len) == 0;
}

enum status crypto_random(void *out, size_t len)
{
    if (len > INT32_MAX)
        return STATUS_BUG;
    return RAND_bytes(out, (int)len) == 1 ? STATUS_OK : STATUS_IO;
}

enum status crypto_uuid(char out[UUID_SIZE])
{
    uint8_t bytes[16] = {0};
    enum status status = crypto_random(bytes, sizeof(bytes));
    size_t at = 0;

    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;

        at += (size_t)snprintf(out + at, UUID_SIZE - at, "%s%02x",
                               dash ? "-" : "", bytes[i]);
    }
    return status;
}

void crypto_wipe(void *secret, size_t len)
{
    OPENSSL_cleanse(secret, len);
}
