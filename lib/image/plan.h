/*
 * plan.h: what size everything will have. Pure arithmetic over the header of a
 * picture (performance-study 6).
 *
 * Original, by mode:
 *   FIT  full size if that cannot exceed its limit. Else a DCT scale of 4/8,
 *        2/8 or 1/8 as it is, if that keeps 70 % of the pixels that are sure to
 *        fit. Else the smallest DCT scale that is large enough, reduced to the
 *        largest size that is sure to fit.
 *   MAX  as many pixels as predict.h says, and never less than the largest size
 *        that is sure to fit. May turn out too large.
 *   BOX  the largest size within the box that is sure to fit, reduced from the
 *        smallest DCT scale that is large enough.
 *
 * In each of them, where the source's own pixel data can be copied and the
 * picture need not be turned or boxed, that is the plan, at full size. It may
 * turn out too large, too: above the limit of the original or, where full size
 * is sure to fit, above COPY_PERCENT of the most that it can come to, which is
 * so badly packed that we do better.
 *
 * Preview: the original itself if that cannot exceed the preview's limit. Else
 * the largest size that is sure to fit, with its longer side bounded.
 */
#ifndef DARKROOM_IMAGE_PLAN_H
#define DARKROOM_IMAGE_PLAN_H

#include "pixels.h"
#include "transcode.h"

#define DCT_FULL 8

/* Well packed, photos are at 20 to 60 (performance-study 6), screenshots at 2
 * to 10; without matches, that is with Huffman codes only, photos are at 70 to
 * 90 and become a third of that here. */
#define COPY_PERCENT 60

struct plan_size {
    uint32_t width_px, height_px;
};

struct plan_request {
    uint32_t width_px, height_px; /* as stored, at least 1 */
    uint8_t orientation;          /* 1 to 8 */
    bool dct_scales;              /* the decoder can reduce (JPEG) */
    bool can_copy;                /* the source is a PNG of this format */
    struct pixel_format format;   /* of the decoder's rows */
    enum transcode_mode mode;
    struct plan_size box;  /* BOX */
    uint64_t predicted_px; /* MAX */
    size_t original_max_bytes;
    size_t preview_max_bytes;
    uint32_t preview_side_max_px;
};

struct plan {
    uint8_t dct_eighths;       /* 8, 4, 2 or 1 */
    struct plan_size decoded;  /* the decoder's rows */
    struct plan_size scaled;   /* same as decoded: no scaling */
    struct plan_size original; /* scaled, upright */
    struct plan_size preview;  /* same as original if it is the original */
    struct pixel_format original_format;
    bool preview_is_original;
    bool copies;        /* the source's pixel data as they are */
    bool is_sure;       /* the original cannot exceed its limit */
    size_t limit_bytes; /* if not: that limit */
};

/* BUG if not even one pixel fits a limit, or a request is out of range. */
enum status plan_make(struct plan *plan,
                      const struct plan_request *request) MUST_CHECK;

/* Width or height after a DCT scale: rounded up, as libjpeg does. */
uint32_t plan_dct_px(uint32_t px, uint8_t eighths);

/*
 * The largest size of the same shape that is no larger than `full`, lies within
 * `box`, and whose file is sure to have at most `max_bytes`. False if there is
 * none.
 */
bool plan_fit(const struct plan_size *full, const struct plan_size *box,
              const struct pixel_format *format, size_t max_bytes,
              struct plan_size *fit) MUST_CHECK;

#endif
