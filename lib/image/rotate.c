/*
 * rotate.c: the picture is kept as it came; each row of the result then is a
 * walk through it: a start, and a step from pixel to pixel.
 *
 *   orientation   the result's row y, pixel x, is the stored pixel (Exif 4.6.5)
 *       2         (w-1-x, y)           mirrored
 *       3         (w-1-x, h-1-y)       half a turn
 *       4         (x, h-1-y)           upside down
 *       5         (y, x)               transposed
 *       6         (y, h-1-x)           a quarter turn clockwise
 *       7         (w-1-y, h-1-x)       transposed the other way
 *       8         (w-1-y, x)           a quarter turn back
 *
 * For 5 to 8 a row of the result is a column of the picture, one cache line for
 * each pixel; so 16 columns are walked together, which uses each line fully.
 */
#include "rotate.h"

#define STRIP_ROWS 16

struct rotate {
    struct rotate_job job;
    size_t row_bytes;
    size_t picture_bytes;
    uint32_t width_px, height_px; /* of the result */
    uint32_t rows_in;
    uint32_t rows_out;
    uint8_t *picture;
    uint8_t *strip; /* STRIP_ROWS rows of the result */
};

bool rotate_is_across(uint8_t orientation)
{
    return orientation >= 5;
}

bool rotate_bytes(const struct rotate_job *job, size_t *bytes)
{
    size_t total = 0;

    if (job->orientation >= 3 &&
        (!size_mul(job->width_px, job->pixel_bytes, &total) ||
         !size_mul(total, job->height_px, &total)))
        return false;
    *bytes = total;
    return true;
}

enum status rotate_new(struct rotate **out, const struct rotate_job *job)
{
    bool across = rotate_is_across(job->orientation);
    struct rotate *r;

    if (job->orientation < 2 || job->orientation > 8)
        return STATUS_BUG;
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return STATUS_NO_MEMORY;
    r->job = *job;
    r->row_bytes = job->width_px * job->pixel_bytes;
    r->width_px = across ? job->height_px : job->width_px;
    r->height_px = across ? job->width_px : job->height_px;
    if (!rotate_bytes(job, &r->picture_bytes))
        goto fail;
    r->strip = malloc(r->width_px * job->pixel_bytes * STRIP_ROWS);
    if (r->picture_bytes > 0)
        r->picture = malloc(r->picture_bytes);
    if (r->strip == NULL || (r->picture_bytes > 0 && r->picture == NULL))
        goto fail;
    *out = r;
    return STATUS_OK;
fail:
    rotate_free(r);
    return STATUS_NO_MEMORY;
}

void rotate_free(struct rotate *r)
{
    if (r == NULL)
        return;
    free(r->picture);
    free(r->strip);
    free(r);
}

/* ---- walks */

static inline void copy_pixels(uint8_t *out, const uint8_t *from,
                               ptrdiff_t step, size_t count, const size_t bytes)
{
    for (size_t i = 0; i < count; i++, out += bytes, from += step)
        for (size_t k = 0; k < bytes; k++)
            out[k] = from[k];
}

/* One loop for each size of a pixel, so that the inner loop vanishes. */
static void walk(uint8_t *out, const uint8_t *from, ptrdiff_t step,
                 size_t count, size_t bytes)
{
    switch (bytes) {
    case 1:
        copy_pixels(out, from, step, count, 1);
        break;
    case 2:
        copy_pixels(out, from, step, count, 2);
        break;
    case 3:
        copy_pixels(out, from, step, count, 3);
        break;
    default:
        copy_pixels(out, from, step, count, 4);
        break;
    }
}

static void mirror(const struct rotate *r, uint8_t *out, const uint8_t *row)
{
    size_t bytes = r->job.pixel_bytes;

    walk(out, row + r->row_bytes - bytes, -(ptrdiff_t)bytes, r->job.width_px,
         bytes);
}

static const uint8_t *stored_row(const struct rotate *r, size_t y)
{
    return r->picture + y * r->row_bytes;
}

/* Rows of the result which are rows of the picture, from the last up. */
static enum status send_along(struct rotate *r)
{
    const uint8_t *row = stored_row(r, r->job.height_px - 1 - r->rows_out);

    r->rows_out++;
    if (r->job.orientation == 4)
        return r->job.sink.write(r->job.sink.arg, row);
    mirror(r, r->strip, row);
    return r->job.sink.write(r->job.sink.arg, r->strip);
}

/* `count` columns of the picture side by side, each into its row of the strip:
 * row k of the strip is row rows_out + k of the result. */
static void gather_strip(struct rotate *r, size_t count)
{
    bool upward = r->job.orientation == 6 || r->job.orientation == 7;
    bool leftward = r->job.orientation == 7 || r->job.orientation == 8;
    size_t bytes = r->job.pixel_bytes;
    ptrdiff_t stride = (ptrdiff_t)(r->width_px * bytes);
    uint8_t *first_row = r->strip;
    size_t column = r->rows_out;

    if (leftward) {
        column = r->job.width_px - r->rows_out - count;
        first_row += stride * (ptrdiff_t)(count - 1);
        stride = -stride;
    }
    for (size_t x = 0; x < r->width_px; x++) {
        size_t y = upward ? r->job.height_px - 1 - x : x;
        const uint8_t *from = stored_row(r, y) + column * bytes;
        uint8_t *to = first_row + x * bytes;

        for (size_t k = 0; k < count; k++, from += bytes, to += stride)
            memcpy(to, from, bytes);
    }
}

static enum status send_across(struct rotate *r)
{
    size_t count = size_min(STRIP_ROWS, r->height_px - r->rows_out);
    enum status status = STATUS_OK;

    gather_strip(r, count);
    for (size_t k = 0; k < count && status == STATUS_OK; k++)
        status = r->job.sink.write(
            r->job.sink.arg, r->strip + k * r->width_px * r->job.pixel_bytes);
    r->rows_out += (uint32_t)count;
    return status;
}

/* ---- in and out */

enum status rotate_row(struct rotate *r, const uint8_t *row)
{
    if (r->rows_in >= r->job.height_px)
        return STATUS_BUG;
    r->rows_in++;
    if (r->job.orientation == 2) {
        mirror(r, r->strip, row);
        r->rows_out++;
        return r->job.sink.write(r->job.sink.arg, r->strip);
    }
    memcpy(r->picture + (r->rows_in - 1) * r->row_bytes, row, r->row_bytes);
    return STATUS_OK;
}

enum status rotate_run(struct rotate *r, int64_t *budget_px)
{
    enum status status = STATUS_OK;

    if (r->rows_in != r->job.height_px)
        return STATUS_BUG;
    while (r->rows_out < r->height_px) {
        uint32_t before = r->rows_out;

        if (*budget_px <= 0)
            return STATUS_AGAIN;
        status = rotate_is_across(r->job.orientation) ? send_across(r)
                                                      : send_along(r);
        if (status != STATUS_OK)
            return status;
        *budget_px -= (int64_t)(r->rows_out - before) * r->width_px;
    }
    return STATUS_OK;
}
