/*
 * transcoding.h: one picture through lib/image, with everything that came out.
 */
#ifndef DARKROOM_TEST_TRANSCODING_H
#define DARKROOM_TEST_TRANSCODING_H

#include "buf.h"
#include "image/transcode.h"

struct transcoding {
    enum status status;
    struct transcode_report report;
    struct buf original;
    struct buf preview;
};

enum feeding {
    FEED_AT_ONCE,
    FEED_BYTE_BY_BYTE,
    FEED_RANDOM, /* pieces of 1 to 300 bytes, now and then 0 */
};

/* `options` may be NULL for the default. */
void transcoding_run(struct transcoding *run, const struct buf *input,
                     const struct transcode_options *options,
                     enum feeding feeding);
/* At once, with sinks that have no restart: neither guesses nor copies. */
void transcoding_run_straight(struct transcoding *run, const struct buf *input,
                              const struct transcode_options *options);
void transcoding_release(struct transcoding *run);

/* Runs it in all three ways, which have to agree; keeps the first. */
void transcoding_run_all_ways(struct transcoding *run, const struct buf *input,
                              const struct transcode_options *options);

/* The same result for `count` random splits, from a few pieces to many. */
void transcoding_check_splits(const struct buf *input,
                              const struct transcode_options *options,
                              unsigned count);

/* The default, with WebP and GIF. */
void transcoding_options_all(struct transcode_options *options);

/* IHDR, PLTE, tRNS, IDAT, IEND in this order, each with a right CRC, and no
 * byte besides. */
void assert_only_allowed_chunks(const struct buf *png);

#endif
