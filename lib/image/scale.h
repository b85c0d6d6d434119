/*
 * scale.h: reduces a picture while its rows pass: each pixel of the result is
 * the average of the area it covers. Rows of any format go in, rows of its
 * plain format (pixels.h) come out. Colour is weighted by alpha.
 *
 *   scale_new(&s, &job);
 *   scale_row(s, row)       exactly source height times; the sink is called
 *                           whenever a row of the result is complete
 *   scale_free(s);
 *
 * Never enlarges: dimensions of the result are at most those of the source.
 * Memory: a few rows. Statuses of the sink come back. Not thread safe.
 */
#ifndef DARKROOM_IMAGE_SCALE_H
#define DARKROOM_IMAGE_SCALE_H

#include "pixels.h"

struct scale_job {
    struct pixel_format format; /* of the source */
    uint32_t source_width_px, source_height_px;
    uint32_t width_px, height_px;
    struct row_sink sink;
};

struct scale;

enum status scale_new(struct scale **out,
                      const struct scale_job *job) MUST_CHECK;
void scale_free(struct scale *s);
enum status scale_row(struct scale *s, const uint8_t *row) MUST_CHECK;

#endif
