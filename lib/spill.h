/*
 * spill.h: a first-in first-out byte queue that starts in memory and goes on in
 * an unlinked temporary file. For transfers that wait for a decoder.
 *
 *   spill_init(&s, dir, memory_max, total_max);
 *   spill_append(&s, bytes, len);
 *   while (spill_len(&s) > 0) {
 *       spill_peek(&s, &bytes, &len);     a piece of the front
 *       spill_consume(&s, used);          used <= len
 *   }
 *   spill_release(&s);
 *
 * The first memory_max bytes stay in memory, later ones go to the file until it
 * has been read to its end; then it is emptied and memory serves again. Neither
 * exists before it is needed. The file has no name, so nothing is left behind
 * whatever happens; it is not synced, for it dies with the process anyway.
 *
 * The file is written and read by plain calls on the caller's thread. They go
 * to the page cache; what follows at once is read back from there.
 *
 * Not thread safe; one owner.
 */
#ifndef DARKROOM_SPILL_H
#define DARKROOM_SPILL_H

#include <sys/types.h>

#include "base.h"
#include "status.h"

struct spill {
    const char *dir;   /* borrowed */
    size_t memory_max; /* bytes */
    size_t total_max;  /* bytes held at any one time */
    uint8_t *memory;   /* NULL until it is needed */
    size_t start, end; /* the bytes in memory; they precede the file's */
    int fd;            /* -1 until it is needed */
    off_t file_start, file_end;
};

void spill_init(struct spill *s, const char *dir, size_t memory_max,
                size_t total_max);

/* Frees memory and file; the queue is empty and may be used again. */
void spill_release(struct spill *s);

size_t spill_len(const struct spill *s);

/* All or nothing: TOO_LARGE above total_max, NO_MEMORY, or what the file
 * system says (NO_SPACE, IO). */
enum status spill_append(struct spill *s, const void *bytes,
                         size_t len) MUST_CHECK;

/* At least one byte if there is any. The piece is valid until the next call
 * other than spill_len(). IO when the file cannot be read back. */
enum status spill_peek(struct spill *s, const uint8_t **bytes,
                       size_t *len) MUST_CHECK;

/* Drops `len` bytes of the piece that spill_peek() showed. */
void spill_consume(struct spill *s, size_t len);

#endif
