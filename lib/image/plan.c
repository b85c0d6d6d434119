/*
 * plan.c: sizes are upright (after rotation) while they are compared with a
 * limit, since a file has one filter byte for each row; only the last step
 * turns them back to the way the decoder's rows lie.
 */
#include "plan.h"

#include "png_writer.h"
#include "rotate.h"

#include <math.h>

/* Of the pixels that are sure to fit; below it the coarse DCT steps give away
 * more than the resampling they save is worth (performance-study 6). */
#define SNAP_PERCENT 70

static struct plan_size turned(const struct plan_size *size)
{
    return (struct plan_size){size->height_px, size->width_px};
}

static uint64_t area(const struct plan_size *size)
{
    return (uint64_t)size->width_px * size->height_px;
}

static bool fits(const struct plan_size *size,
                 const struct pixel_format *format, size_t max_bytes)
{
    size_t bytes;

    return png_writer_bound(size->width_px, size->height_px, format, &bytes) &&
           bytes <= max_bytes;
}

uint32_t plan_dct_px(uint32_t px, uint8_t eighths)
{
    return (uint32_t)(((uint64_t)px * eighths + DCT_FULL - 1) / DCT_FULL);
}

/* ---- the largest size that fits */

static uint32_t longer_side(const struct plan_size *size)
{
    return size->width_px > size->height_px ? size->width_px : size->height_px;
}

/* `full` reduced so that its longer side has `side` pixels; the other one is
 * rounded, and never 0. */
static struct plan_size reduced(const struct plan_size *full, uint32_t side)
{
    bool wide = full->width_px >= full->height_px;
    uint64_t longer = wide ? full->width_px : full->height_px;
    uint64_t shorter = wide ? full->height_px : full->width_px;
    uint64_t other = (shorter * side + longer / 2) / longer;
    uint32_t other_px = other > 0 ? (uint32_t)other : 1;

    return wide ? (struct plan_size){side, other_px}
                : (struct plan_size){other_px, side};
}

static bool is_within(const struct plan_size *size, const struct plan_size *box)
{
    return size->width_px <= box->width_px && size->height_px <= box->height_px;
}

/* Both sides grow with the longer one, hence so does the bound: bisection. */
bool plan_fit(const struct plan_size *full, const struct plan_size *box,
              const struct pixel_format *format, size_t max_bytes,
              struct plan_size *fit)
{
    uint32_t above = longer_side(full) + 1;
    uint32_t best = 0;

    while (above - best > 1) {
        uint32_t middle = best + (above - best) / 2;
        struct plan_size size = reduced(full, middle);

        if (is_within(&size, box) && fits(&size, format, max_bytes))
            best = middle;
        else
            above = middle;
    }
    if (best == 0)
        return false;
    *fit = reduced(full, best);
    return true;
}

/* ---- the original */

static struct plan_size dct_size(const struct plan_size *full, uint8_t eighths)
{
    return (struct plan_size){plan_dct_px(full->width_px, eighths),
                              plan_dct_px(full->height_px, eighths)};
}

/* The largest DCT scale that is sure to fit, if it keeps enough of `fit`. */
static bool snap(const struct plan_request *request,
                 const struct plan_size *full, struct plan *plan)
{
    for (uint8_t eighths = DCT_FULL / 2; eighths > 0; eighths /= 2) {
        struct plan_size size = dct_size(full, eighths);

        if (!fits(&size, &plan->original_format, request->original_max_bytes))
            continue;
        if (area(&size) * 100 < area(&plan->original) * SNAP_PERCENT)
            return false;
        plan->dct_eighths = eighths;
        plan->original = size;
        return true;
    }
    return false;
}

static void set_smallest_dct_above(const struct plan_size *full,
                                   struct plan *plan)
{
    for (uint8_t eighths = 1; eighths < DCT_FULL; eighths *= 2) {
        struct plan_size size = dct_size(full, eighths);

        if (size.width_px >= plan->original.width_px &&
            size.height_px >= plan->original.height_px) {
            plan->dct_eighths = eighths;
            return;
        }
    }
}

/* The shape of `full` with about so many pixels. */
static struct plan_size with_area(const struct plan_size *full, uint64_t px)
{
    double side = longer_side(full) * sqrt((double)px / (double)area(full));

    return reduced(full, side < 1 ? 1 : (uint32_t)side);
}

/* Beyond what is sure to fit, if more is predicted to. */
static void stretch(const struct plan_request *request,
                    const struct plan_size *full, struct plan *plan)
{
    struct plan_size size;

    if (request->predicted_px <= area(&plan->original))
        return;
    plan->is_sure = false;
    if (request->predicted_px >= area(full)) {
        plan->original = *full;
        plan->original_format = request->format;
        return;
    }
    size = with_area(full, request->predicted_px);
    if (area(&size) > area(&plan->original))
        plan->original = size;
}

/* At full size. A copy that is sure to be shorter than what would be written
 * instead is so for the preview's limit, too. */
static void plan_copy(const struct plan_request *request, struct plan *plan)
{
    size_t bytes;

    plan->copies = true;
    plan->is_sure = false;
    if (png_writer_bound(plan->original.width_px, plan->original.height_px,
                         &request->format, &bytes) &&
        bytes <= request->original_max_bytes)
        plan->limit_bytes = bytes * COPY_PERCENT / 100;
}

/* `full` is the stored size turned upright. */
static enum status plan_original(const struct plan_request *request,
                                 const struct plan_size *full,
                                 struct plan *plan)
{
    const struct plan_size *box =
        request->mode == TRANSCODE_BOX ? &request->box : full;

    plan->is_sure = true;
    plan->limit_bytes = request->original_max_bytes;
    plan->original_format = request->format;
    plan->original = *full;
    if (request->can_copy && request->orientation == 1 &&
        is_within(full, box)) {
        plan_copy(request, plan);
        return STATUS_OK;
    }
    if (is_within(full, box) &&
        fits(full, &request->format, request->original_max_bytes))
        return STATUS_OK;
    pixel_format_plain(&request->format, &plan->original_format);
    if (!plan_fit(full, box, &plan->original_format,
                  request->original_max_bytes, &plan->original))
        return STATUS_BUG;
    if (request->mode == TRANSCODE_FIT && request->dct_scales &&
        snap(request, full, plan))
        return STATUS_OK;
    if (request->mode == TRANSCODE_MAX)
        stretch(request, full, plan);
    if (request->dct_scales)
        set_smallest_dct_above(full, plan);
    return STATUS_OK;
}

/* ---- the preview */

static enum status plan_preview(const struct plan_request *request,
                                struct plan *plan)
{
    uint32_t side_px = request->preview_side_max_px;
    struct plan_size box = {side_px, side_px};
    struct pixel_format plain;

    plan->preview = plan->original;
    plan->preview_is_original = fits(&plan->original, &plan->original_format,
                                     request->preview_max_bytes);
    if (plan->preview_is_original)
        return STATUS_OK;
    pixel_format_plain(&plan->original_format, &plain);
    return plan_fit(&plan->original, &box, &plain, request->preview_max_bytes,
                    &plan->preview)
               ? STATUS_OK
               : STATUS_BUG;
}

enum status plan_make(struct plan *plan, const struct plan_request *request)
{
    struct plan_size stored = {request->width_px, request->height_px};
    bool across = rotate_is_across(request->orientation);
    struct plan_size full = across ? turned(&stored) : stored;
    enum status status;

    if (request->width_px == 0 || request->height_px == 0 ||
        request->orientation < 1 || request->orientation > 8)
        return STATUS_BUG;
    *plan = (struct plan){.dct_eighths = DCT_FULL};
    status = plan_original(request, &full, plan);
    if (status == STATUS_OK)
        status = plan_preview(request, plan);
    if (status != STATUS_OK)
        return status;
    plan->decoded = dct_size(&stored, plan->dct_eighths);
    plan->scaled = across ? turned(&plan->original) : plan->original;
    return STATUS_OK;
}
