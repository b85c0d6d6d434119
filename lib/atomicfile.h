/*
 * atomicfile.h: files that are there whole or not at all, durably.
 *
 * Small ones in one call; large ones piece by piece, by whoever is lent the
 * descriptor:
 *
 *   atomicfile_begin(&writer, path)     writer.fd is empty and write-only
 *     ... written, by this process or another ...
 *   atomicfile_commit(&writer, 0644)    replaces `path` at once
 *   atomicfile_discard(&writer)         instead, or after: does nothing then
 *
 * Where the file system can (O_TMPFILE), what is being written has no name, so
 * that even kill -9 leaves nothing behind; elsewhere it is ".NAME.random"
 * beside the target until commit or discard.
 *
 * Any thread; all calls block.
 */
#ifndef DARKROOM_ATOMICFILE_H
#define DARKROOM_ATOMICFILE_H

#include <sys/types.h>

#include "base.h"
#include "status.h"

#define ATOMICFILE_PATH_BYTES 4096 /* with the terminator */

struct atomicfile_writer {
    int fd;     /* -1: there is no file */
    bool named; /* private, as is the rest */
    char path[ATOMICFILE_PATH_BYTES];
    char temp_path[ATOMICFILE_PATH_BYTES];
};

/*
 * Makes `path` with this content and mode unless it exists (DUPLICATE). Of
 * several processes at it, one wins and all see the winner's content. Synced,
 * and its directory too, when OK.
 */
enum status atomicfile_create(const char *path, const void *bytes, size_t len,
                              mode_t mode) MUST_CHECK;

/*
 * Opens a file for reading, close-on-exec. What is no regular file (a pipe: a
 * shell's <(command)) must have something to read within ATOMICFILE_WAIT_MS: a
 * FIFO that nobody writes to is a failure, not a process that hangs. NOT_FOUND,
 * or by errno, which says why (EISDIR, ENODATA).
 */
enum status atomicfile_open(const char *path, int *fd) MUST_CHECK;

/* Reads a file of at most `size` bytes. NOT_FOUND, TOO_LARGE, or by errno, as
 * above. */
enum status atomicfile_read(const char *path, void *bytes, size_t size,
                            size_t *len) MUST_CHECK;

/* An empty file that will be `path`, which may exist. NOT_FOUND: there is no
 * such directory. writer.fd is -1 on failure. */
enum status atomicfile_begin(struct atomicfile_writer *writer,
                             const char *path) MUST_CHECK;

/* Synced, and its directory too, when OK; the descriptor is closed and no
 * temporary file left either way. On failure `path` is as it was, unless it was
 * the last step that failed, the sync of the directory. */
enum status atomicfile_commit(struct atomicfile_writer *writer,
                              mode_t mode) MUST_CHECK;

void atomicfile_discard(struct atomicfile_writer *writer);

/* Syncs the directory that holds `path`. */
enum status atomicfile_sync_parent(const char *path) MUST_CHECK;

/* mkdir -p with this mode whatever the umask. Existing directories are left as
 * they are, but those whose maker died before it could set the mode. */
enum status atomicfile_make_directories(const char *path,
                                        mode_t mode) MUST_CHECK;

#endif
