/*
 * crypto.h: the few primitives darkroom needs from libcrypto.
 *
 * Any thread. Functions that return a status fail only with NO_MEMORY or BUG
 * (the library refused the algorithm), crypto_random() also with IO.
 */
#ifndef DARKROOM_CRYPTO_H
#define DARKROOM_CRYPTO_H

#include "base.h"
#include "status.h"

#define SHA256_BYTES 32
/* Base64 of a SHA-256, with its terminator. */
#define SHA256_BASE64_SIZE 45

enum status crypto_hmac_sha256(const void *key, size_t key_len,
                               const void *bytes, size_t len,
                               uint8_t mac[SHA256_BYTES]) MUST_CHECK;

/* Standard alphabet with padding (RFC 4648, section 4), terminated. */
void crypto_base64_mac(const uint8_t mac[SHA256_BYTES],
                       char out[SHA256_BASE64_SIZE]);

/* Constant time for equal lengths; the length itself is no secret. */
bool crypto_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/* Cryptographically random bytes. */
enum status crypto_random(void *out, size_t len) MUST_CHECK;

/* A random UUID (RFC 9562, version 4), terminated. */
#define UUID_SIZE 37
enum status crypto_uuid(char out[UUID_SIZE]) MUST_CHECK;

/* Overwrites a secret in a way the compiler keeps. */
void crypto_wipe(void *secret, size_t len);

#endif
