/*
 * store.h: where published pictures live; the contract and its backends.
 *
 *   store_begin(store, &file)          an empty temporary file: file.fd
 *     ... the lab writes into file.fd ...
 *   store_publish(store, &file, bytes, name)
 *                                      durable under its name, visible at once
 *   store_discard(store, &file)        instead of publishing
 *
 * Publishing is atomic: a reader sees the whole file or none. It replaces a
 * file of that name, so a repeated job overwrites itself with the same bytes.
 * What is published cannot change any more: the writer is not trusted, so a
 * file is refused while a descriptor or a mapping that can write to it is left
 * anywhere.
 * All calls block (files, fsync): they belong on offload threads. One
 * store_file has one user at a time; the store itself is safe for any thread.
 *
 * Names come from store_name(): two levels, unguessable without the name key,
 * the same for the same picture, so a file can be found from the message id
 * alone.
 */
#ifndef DARKROOM_STORE_H
#define DARKROOM_STORE_H

#include "job.h"

#define STORE_NAME_KEY_BYTES 32

struct store;

struct store_file {
    int fd; /* write-only; -1 when there is no file */
    char temp_name[64];
};

struct store_sweep {
    int64_t before_ms; /* published before it; INT64_MIN: none */
    bool dry_run;      /* count, remove nothing */
    /* what came of it */
    size_t files, leftovers; /* previews are files, too */
    uint64_t bytes;          /* of both */
};

struct store_ops {
    const char *scheme; /* "dir" */
    enum status (*open)(struct store **out, const char *path, char *why,
                        size_t why_size);
    void (*close)(struct store *store);
    enum status (*begin)(struct store *store, struct store_file *file);
    enum status (*publish)(struct store *store, struct store_file *file,
                           uint64_t bytes, const char *name);
    void (*discard)(struct store *store, struct store_file *file);
    enum status (*remove)(struct store *store, const char *name,
                          bool *was_there);
    enum status (*check_space)(struct store *store);
    enum status (*sweep)(struct store *store, struct store_sweep *sweep);
};

/* First member of every backend's struct. */
struct store {
    const struct store_ops *ops;
};

/* Opens "dir:PATH", made if missing; leftovers of workers that died are swept.
 * `why` receives words for people on failure: BAD_CONFIG, IO. */
enum status store_open(struct store **out, const char *url, char *why,
                       size_t why_size) MUST_CHECK;
void store_close(struct store *store);

enum status store_begin(struct store *store,
                        struct store_file *file) MUST_CHECK;

/* File and directories are synced; mode 0644. The descriptor is closed either
 * way. On failure the temporary file is gone. BUSY when somebody else can still
 * write to the file, IO (among others) when it does not have `bytes` bytes. */
enum status store_publish(struct store *store, struct store_file *file,
                          uint64_t bytes, const char *name) MUST_CHECK;

/* Nothing if there is no file. */
void store_discard(struct store *store, struct store_file *file);

/* OK also when it is not there; `was_there` (optional) tells, on OK. */
enum status store_remove(struct store *store, const char *name,
                         bool *was_there) MUST_CHECK;

/* NO_SPACE below STORE_FREE_MIN_BYTES or STORE_FREE_MIN_FILES, so that a
 * webhook is refused before it is accepted. */
enum status store_check_space(struct store *store) MUST_CHECK;

/* Removes what was published too long ago, SWEEP_MAX files at most, and what
 * writers left that died. Files that are not of the store stay. Fills the
 * counts. IO: not all of it could be looked at. */
enum status store_sweep(struct store *store,
                        struct store_sweep *sweep) MUST_CHECK;

/* Reads the name key from `path`, making it (0600, random) on first use. */
enum status store_name_key(const char *path,
                           uint8_t key[STORE_NAME_KEY_BYTES]) MUST_CHECK;

/* "xx/yyyy...y.png" and "xx/yyyy...y.p.png" (preview): base32 of
 * HMAC-SHA256(key, channel '\0' message_id). */
enum status store_name(const uint8_t key[STORE_NAME_KEY_BYTES],
                       const char *channel, const char *message_id,
                       bool preview, char *name, size_t size) MUST_CHECK;

#endif
