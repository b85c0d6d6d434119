/*
 * runs.h: deflate for filtered rows of photos (RFC 1951): literals, and runs of
 * one byte, in a dynamic Huffman code of their own for each segment.
 *
 *   r = runs_new();
 *   len = runs_encode(r, bytes, count, room, room_bytes)   for each segment
 *   runs_free(r);
 *
 * A photo behind the Paeth filter is noise of small numbers: what a search for
 * matches finds there is hardly shorter than its literals, and most of its runs
 * are of zeros. Text is another matter: deflate.c. Not thread safe.
 */
#ifndef DARKROOM_IMAGE_RUNS_H
#define DARKROOM_IMAGE_RUNS_H

#include "../base.h"

#define RUNS_SEGMENT_MAX 65535
#define RUNS_SLACK_BYTES 8

struct runs;

struct runs *runs_new(void);
void runs_free(struct runs *r);

/*
 * At least one byte, at most RUNS_SEGMENT_MAX. Returns the length of blocks
 * that end at a byte and are not the last ones of a stream; 0, and nothing is
 * written, if that is more than `room_bytes`. `room` has RUNS_SLACK_BYTES more.
 */
size_t runs_encode(struct runs *r, const uint8_t *bytes, size_t count,
                   uint8_t *room, size_t room_bytes) MUST_CHECK;

#endif
