/*
 * atomicfile.h: small files that are there whole or not at all, durably.
 *
 * Any thread; all calls block.
 */
#ifndef DARKROOM_ATOMICFILE_H
#define DARKROOM_ATOMICFILE_H

#include <sys/types.h>

#include "base.h"
#include "status.h"

/*
 * Makes `path` with this content and mode unless it exists (DUPLICATE). Of
 * several processes at it, one wins and all see the winner's content. Synced,
 * and its directory too, when OK.
 */
enum status atomicfile_create(const char *path, const void *bytes, size_t len,
                              mode_t mode) MUST_CHECK;

/* Reads a file of at most `size` bytes. NOT_FOUND, TOO_LARGE, IO. */
enum status atomicfile_read(const char *path, void *bytes, size_t size,
                            size_t *len) MUST_CHECK;

/* Syncs the directory that holds `path`. */
enum status atomicfile_sync_parent(const char *path) MUST_CHECK;

/* mkdir -p with this mode whatever the umask. Existing directories are left as
 * they are, but those whose maker died before it could set the mode. */
enum status atomicfile_make_directories(const char *path,
                                        mode_t mode) MUST_CHECK;

#endif
