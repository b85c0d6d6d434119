/*
 * deflate.h: a zlib stream (RFC 1950) made as fast as this machine can, and of
 * a size that is bounded whatever the bytes are.
 *
 *   deflate_new(&d, kind, sink);
 *   deflate_write(d, bytes, len) ...        the sink is called now and then
 *   deflate_finish(d);                      the stream is complete
 *   deflate_free(d);
 *
 * Matches are ISA-L's of level 2 if built with HAVE_ISAL, else those of zlib
 * level 1: four times as slow at the same size (performance-study 3). Runs are
 * our own (runs.h); now and then a piece of the input is tried with matches,
 * which take over where they are shorter: text, drawings, screens. Memory: 0.6
 * MB of matches; 0.3 MB of runs, 0.8 MB once they try matches. Statuses of the
 * sink come back; after a failure only deflate_free() is allowed. Not thread
 * safe.
 */
#ifndef DARKROOM_IMAGE_DEFLATE_H
#define DARKROOM_IMAGE_DEFLATE_H

#include "../base.h"
#include "../status.h"

enum deflate_kind {
    DEFLATE_MATCHES, /* for anything */
    DEFLATE_RUNS,    /* for filtered photos: half the time, and smaller;
                      * matches where they repeat themselves */
};

/* Takes all `len` bytes, borrowed for the call, or fails. */
typedef enum status byte_fn(void *arg, const uint8_t *bytes, size_t len);

struct byte_sink {
    byte_fn *write;
    void *arg;
};

struct deflate;

enum status deflate_new(struct deflate **out, enum deflate_kind kind,
                        const struct byte_sink *sink) MUST_CHECK;
void deflate_free(struct deflate *d);

enum status deflate_write(struct deflate *d, const uint8_t *bytes,
                          size_t len) MUST_CHECK;
enum status deflate_finish(struct deflate *d) MUST_CHECK;

/* The longest stream that `len` bytes can make; false if beyond size_t. */
bool deflate_bound(size_t len, size_t *out) MUST_CHECK;

/* CRC-32 of PNG (ISO 3309) over more bytes; starts from 0. */
uint32_t deflate_crc32(uint32_t crc, const uint8_t *bytes, size_t len);

#endif
