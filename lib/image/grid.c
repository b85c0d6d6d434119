/*
 * grid.c: values are levels of 255 in VALUE_ONE parts each, weights parts of
 * WEIGHT_ONE: their products fit 32 bits, and a sum of weighted values is
 * rounded once, at its end.
 */
#include "grid.h"

#define VALUE_BITS 7
#define VALUE_ONE (1 << VALUE_BITS)
#define WEIGHT_BITS 12
#define WEIGHT_ONE (1 << WEIGHT_BITS)
#define SUM_BITS (VALUE_BITS + WEIGHT_BITS)

struct grid *grid_new(size_t inputs, size_t points)
{
    size_t count = 1;
    struct grid *grid;

    for (size_t k = 0; k < inputs; k++)
        count *= points;
    grid = aligned_alloc(sizeof(quad), sizeof(*grid) + count * sizeof(quad));
    if (grid == NULL)
        return NULL;
    *grid = (struct grid){.inputs = inputs, .points = points, .count = count};
    for (size_t k = 0; k < inputs; k++) {
        count /= points;
        grid->stride[k] = count;
    }
    return grid;
}

void grid_free(struct grid *grid)
{
    free(grid);
}

size_t grid_bytes(const struct grid *grid)
{
    return sizeof(*grid) + grid->count * sizeof(quad);
}

/* The last point below is never the last of all: there is always a next. */
void grid_set_axis(struct grid *grid, size_t input, const float place[256])
{
    float last = (float)(grid->points - 1);
    size_t level = 0;

    for (size_t i = 0; i < 256; i++) {
        float at = place[i] * last;
        size_t below = size_min((size_t)at, grid->points - 2);

        grid->steps[input][i] = (struct grid_step){
            (int32_t)(below * grid->stride[input]),
            (int32_t)((at - (float)below) * WEIGHT_ONE + 0.5F),
        };
    }
    for (size_t i = 0; i < grid->points; i++) {
        float from, to;

        while (level < 254 && place[level + 1] * last < (float)i)
            level++;
        from = place[level] * last;
        to = place[level + 1] * last;
        grid->levels[input][i] =
            (uint16_t)(((float)level + ((float)i - from) / (to - from)) * 257 +
                       0.5F);
    }
}

void grid_get_point(const struct grid *grid, size_t point, uint16_t *in)
{
    for (size_t k = 0; k < grid->inputs; k++)
        in[k] = grid->levels[k][point / grid->stride[k] % grid->points];
}

void grid_set_point(struct grid *grid, size_t point, const uint16_t rgb[3])
{
    quad value = {0};

    for (size_t k = 0; k < 3; k++)
        value[k] = (rgb[k] * VALUE_ONE + 128) / 257;
    grid->values[point] = value;
}

/* From the point below to the one above, along the axes with the largest part
 * first; each step counts for what its part exceeds the next one's. */
static quad interpolate(const struct grid *grid, const uint8_t *in)
{
    int32_t parts[GRID_INPUTS_MAX + 1];
    size_t strides[GRID_INPUTS_MAX];
    const quad *value = grid->values;
    quad sum;

    for (size_t k = 0; k < grid->inputs; k++) {
        const struct grid_step *step = &grid->steps[k][in[k]];
        size_t i = k;

        value += step->offset;
        for (; i > 0 && parts[i - 1] < step->part; i--) {
            parts[i] = parts[i - 1];
            strides[i] = strides[i - 1];
        }
        parts[i] = step->part;
        strides[i] = grid->stride[k];
    }
    parts[grid->inputs] = 0;
    sum = *value * (WEIGHT_ONE - parts[0]);
    for (size_t k = 0; k < grid->inputs; k++) {
        value += strides[k];
        sum += *value * (parts[k] - parts[k + 1]);
    }
    return sum;
}

void grid_row(const struct grid *grid, const uint8_t *in, size_t in_bytes,
              uint8_t *out, size_t out_bytes, size_t width_px)
{
    for (size_t i = 0; i < width_px; i++, in += in_bytes, out += out_bytes) {
        quad level =
            (interpolate(grid, in) + (1 << (SUM_BITS - 1))) >> SUM_BITS;

        for (size_t k = 0; k < 3; k++)
            out[k] = (uint8_t)level[k];
        for (size_t k = grid->inputs; k < out_bytes; k++)
            out[k] = in[k];
    }
}
