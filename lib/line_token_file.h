/*
 * line_token_file.h: the file by which the workers of a pool share a channel's
 * stateless token, and its lock. For line_token.c alone; see there.
 *
 *   line_token_file_init(&file, state_dir, channel)
 *   line_token_file_lock(&file)      OK, BUSY: another process has it
 *   line_token_file_read(&file, &record)
 *   line_token_file_write(&file, &record)
 *   line_token_file_unlock(&file)
 *
 * All calls may block; any thread, one at a time. The file is replaced at once
 * (atomicfile.h), so it can be read without the lock.
 */
#ifndef DARKROOM_LINE_TOKEN_FILE_H
#define DARKROOM_LINE_TOKEN_FILE_H

#include "atomicfile.h"
#include "config.h"

struct line_token_record {
    char text[TOKEN_MAX + 1]; /* "" if there is none */
    int64_t issued_ms;        /* wall clock: when it was asked for */
    int64_t expires_ms;
};

struct line_token_file {
    const struct config_channel *channel;
    int lock_fd; /* -1: not locked */
    char directory[ATOMICFILE_PATH_BYTES];
    char path[ATOMICFILE_PATH_BYTES];
    char lock_path[ATOMICFILE_PATH_BYTES];
};

/* No I/O. BAD_CONFIG: the path is too long. */
enum status
line_token_file_init(struct line_token_file *file, const char *state_dir,
                     const struct config_channel *channel) MUST_CHECK;

/* OK at once if it is locked already. */
enum status line_token_file_lock(struct line_token_file *file) MUST_CHECK;
void line_token_file_unlock(struct line_token_file *file);

/* NOT_FOUND: nothing there that is for this channel id. */
enum status line_token_file_read(const struct line_token_file *file,
                                 struct line_token_record *record) MUST_CHECK;
enum status
line_token_file_write(const struct line_token_file *file,
                      const struct line_token_record *record) MUST_CHECK;

/* Whether a text can be an access token in a header: printable ASCII. */
bool line_token_is_valid(const char *text);

#endif
