/*
 * grid.h: a function of three or four samples that is known at the points of a
 * grid, and in between by interpolation: what a profile of tables, or of inks,
 * does to a colour.
 *
 *   grid_new(&grid, inputs, points);       points on each axis
 *   grid_set_axis(grid, input, place);     for each input
 *   for (i = 0; i < grid->count; i++) {
 *       grid_get_point(grid, i, in);       where it is
 *       grid_set_point(grid, i, rgb);      what is there
 *   }
 *   grid_row(grid, in, in_bytes, out, out_bytes, width_px);
 *   grid_free(grid);
 *
 * An axis need not be even: `place` says for each level, 0 to 255, where on the
 * axis it is, from 0 to 1 and rising. Where the function bends, levels are
 * given more room.
 *
 * Interpolation is by simplices (tetrahedra for three inputs): as many points
 * as there are inputs, and one. Between black and white it is that of a line.
 */
#ifndef DARKROOM_IMAGE_GRID_H
#define DARKROOM_IMAGE_GRID_H

#include "../base.h"
#include "../status.h"

#define GRID_INPUTS_MAX 4
#define GRID_POINTS_MAX 17

/* GCC's vectors: one instruction where the machine has it. */
typedef int32_t quad __attribute__((vector_size(16)));

struct grid_step {
    int32_t offset; /* of the point below, in points */
    int32_t part;   /* of the way to the next */
};

struct grid {
    size_t inputs, points, count;
    size_t stride[GRID_INPUTS_MAX];
    struct grid_step steps[GRID_INPUTS_MAX][256];
    uint16_t levels[GRID_INPUTS_MAX][GRID_POINTS_MAX]; /* of 65535 */
    quad values[];                                     /* R, G, B, 0 */
};

/* NULL: no memory. */
struct grid *grid_new(size_t inputs, size_t points) MUST_CHECK;
void grid_free(struct grid *grid);
size_t grid_bytes(const struct grid *grid);

void grid_set_axis(struct grid *grid, size_t input, const float place[256]);

/* Samples of 16 bits. */
void grid_get_point(const struct grid *grid, size_t point, uint16_t *in);
void grid_set_point(struct grid *grid, size_t point, const uint16_t rgb[3]);

/* Pixels of `in_bytes` and `out_bytes`, of which the first are the samples; the
 * others stay as they are. */
void grid_row(const struct grid *grid, const uint8_t *in, size_t in_bytes,
              uint8_t *out, size_t out_bytes, size_t width_px);

#endif
