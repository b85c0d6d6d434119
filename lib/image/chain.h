/*
 * chain.h: what the decoder's rows go through on their way to two PNG files.
 *
 *   rows -> [scale] -> [colour] -> [rotate] -+-> original
 *                                            +-> scale -> preview
 *
 *   packed -> original, rows -> scale -> preview     if plan.copies
 *
 *   chain_new(&chain, &job);
 *   chain_row(chain, row)     for each of the decoder's rows
 *   chain_run(chain, &budget_px)            until it no longer says AGAIN
 *   chain_finish(chain);
 *   chain_free(chain);
 *
 * Stages that have nothing to do are not built. Statuses of the sinks come
 * back; after a failure only chain_free() is allowed. Not thread safe.
 */
#ifndef DARKROOM_IMAGE_CHAIN_H
#define DARKROOM_IMAGE_CHAIN_H

#include "colour.h"
#include "deflate.h"
#include "plan.h"

struct chain_job {
    const struct plan *plan; /* borrowed for chain_new() */
    enum image_type source_type;
    uint8_t orientation;
    struct pixel_format format; /* of the decoder's rows */
    struct colour *colour;      /* borrowed; NULL: sRGB already */
    struct byte_sink original;
    struct byte_sink preview; /* not called if the original serves as both */
};

struct chain;

/* The whole-picture buffer that the chain will have; false: beyond size_t. */
bool chain_bytes(const struct chain_job *job, size_t *bytes) MUST_CHECK;

enum status chain_new(struct chain **out,
                      const struct chain_job *job) MUST_CHECK;
void chain_free(struct chain *chain);

enum status chain_row(struct chain *chain, const uint8_t *row) MUST_CHECK;

/* If plan.copies: the source's zlib stream, in pieces, which the original is
 * then made of. The rows still come, for the preview. */
enum status chain_packed(struct chain *chain, const uint8_t *bytes,
                         size_t len) MUST_CHECK;

/* After the last row: lets out what a rotation holds. AGAIN: the budget, which
 * counts down, is used up. */
enum status chain_run(struct chain *chain, int64_t *budget_px) MUST_CHECK;

/* Completes both files. */
enum status chain_finish(struct chain *chain) MUST_CHECK;

/* Rows that the original has so far. */
uint32_t chain_original_rows(const struct chain *chain);

#endif
