/*
 * store.c: what all stores share: names, their key, and the choice of a backend
 * by the URL's scheme.
 */
#include "store.h"

#include "atomicfile.h"
#include "crypto.h"
#include "store_dir.h"

/* 20 of the 32 bytes of the HMAC: 160 bits cannot be guessed. In base32 they
 * are exactly 32 letters (RFC 4648, section 6, in lower case). */
#define NAME_BYTES 20
#define NAME_LETTERS 32

static const struct store_ops *const backends[] = {&store_dir_ops};

enum status store_open(struct store **out, const char *url, char *why,
                       size_t why_size)
{
    for (size_t i = 0; i < ARRAY_COUNT(backends); i++) {
        size_t len = strlen(backends[i]->scheme);

        if (strncmp(url, backends[i]->scheme, len) == 0 && url[len] == ':' &&
            url[len + 1] != '\0')
            return backends[i]->open(out, url + len + 1, why, why_size);
    }
    (void)snprintf(why, why_size, "'%s' is not of the form dir:PATH", url);
    return STATUS_BAD_CONFIG;
}

void store_close(struct store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

enum status store_begin(struct store *store, struct store_file *file)
{
    file->fd = -1;
    return store->ops->begin(store, file);
}

enum status store_publish(struct store *store, struct store_file *file,
                          uint64_t bytes, const char *name)
{
    return store->ops->publish(store, file, bytes, name);
}

void store_discard(struct store *store, struct store_file *file)
{
    if (file->fd >= 0)
        store->ops->discard(store, file);
}

enum status store_remove(struct store *store, const char *name, bool *was_there)
{
    bool ignored;

    return store->ops->remove(store, name,
                              was_there != NULL ? was_there : &ignored);
}

enum status store_check_space(struct store *store)
{
    return store->ops->check_space(store);
}

enum status store_sweep(struct store *store, struct store_sweep *sweep)
{
    sweep->files = sweep->leftovers = 0;
    sweep->bytes = 0;
    return store->ops->sweep(store, sweep);
}

enum status store_name_key(const char *path, uint8_t key[STORE_NAME_KEY_BYTES])
{
    uint8_t fresh[STORE_NAME_KEY_BYTES];
    enum status status;
    size_t len = 0;

    status = crypto_random(fresh, sizeof(fresh));
    if (status == STATUS_OK)
        status = atomicfile_create(path, fresh, sizeof(fresh), 0600);
    if (status == STATUS_OK || status == STATUS_DUPLICATE)
        status = atomicfile_read(path, key, STORE_NAME_KEY_BYTES, &len);
    if (status == STATUS_OK && len != STORE_NAME_KEY_BYTES)
        status = STATUS_BAD_VERSION;
    crypto_wipe(fresh, sizeof(fresh));
    return status;
}

static void base32(const uint8_t bytes[NAME_BYTES], char out[NAME_LETTERS + 1])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;

    for (size_t i = 0; i < NAME_BYTES; i++) {
        bits = bits << 8 | bytes[i];
        for (have += 8; have >= 5; have -= 5)
            out[n++] = alphabet[bits >> (have - 5) & 31];
    }
    out[n] = '\0';
}

enum status store_name(const uint8_t key[STORE_NAME_KEY_BYTES],
                       const char *channel, const char *message_id,
                       bool preview, char *name, size_t size)
{
    char subject[CHANNEL_NAME_MAX + 1 + MESSAGE_ID_MAX + 1];
    char letters[NAME_LETTERS + 1];
    uint8_t mac[SHA256_BYTES];
    size_t channel_len = strlen(channel);
    enum status status;

    if (!str_copy(subject, sizeof(subject), channel) ||
        !str_copy(subject + channel_len + 1, sizeof(subject) - channel_len - 1,
                  message_id))
        return STATUS_BUG;
    status = crypto_hmac_sha256(key, STORE_NAME_KEY_BYTES, subject,
                                channel_len + 1 + strlen(message_id), mac);
    if (status != STATUS_OK)
        return status;
    base32(mac, letters);
    (void)snprintf(name, size, "%.2s/%s%s.png", letters, letters + 2,
                   preview ? ".p" : "");
    return STATUS_OK;
}
