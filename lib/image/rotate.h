/*
 * rotate.h: bakes an Exif orientation into the pixels. Rows go in as stored and
 * come out upright.
 *
 *   rotate_new(&r, &job);
 *   rotate_row(r, row)        exactly height_px times
 *   while (rotate_run(r, &budget_px) == STATUS_AGAIN)
 *       ...                   the sink gets the rows, a slice at a time
 *   rotate_free(r);
 *
 * Orientation 2 mirrors each row as it passes; 3 to 8 need the last row first,
 * so they hold the whole picture: rotate_bytes() says how much that is. Scale
 * before, not after. Statuses of the sink come back. Not thread safe.
 */
#ifndef DARKROOM_IMAGE_ROTATE_H
#define DARKROOM_IMAGE_ROTATE_H

#include "pixels.h"

struct rotate_job {
    uint8_t orientation;          /* 2 to 8 */
    uint32_t width_px, height_px; /* of the rows that go in */
    size_t pixel_bytes;
    struct row_sink sink;
};

struct rotate;

/* True if width and height change places. */
bool rotate_is_across(uint8_t orientation);

/* Size of the whole-picture buffer, 0 for none; false if beyond size_t. */
bool rotate_bytes(const struct rotate_job *job, size_t *bytes) MUST_CHECK;

enum status rotate_new(struct rotate **out,
                       const struct rotate_job *job) MUST_CHECK;
void rotate_free(struct rotate *r);
enum status rotate_row(struct rotate *r, const uint8_t *row) MUST_CHECK;

/* OK when the last row is out, AGAIN when *budget_px pixels are used up. BUG if
 * rows are missing. */
enum status rotate_run(struct rotate *r, int64_t *budget_px) MUST_CHECK;

#endif
