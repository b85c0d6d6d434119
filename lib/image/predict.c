/*
 * predict.c: bytes a pixel grow as a picture shrinks, so the scale that fits is
 * a fixed point; a few steps come close enough.
 *
 * JPEG: two lines fitted to 144 photos, one for full size and one for 7/10 of
 * it, and a margin of one standard deviation of what they leave unexplained
 * (performance-study 6: 3.4 % of held out pictures then need a second decode).
 * They were fitted to ISA-L's output and are lowered by what Paeth and runs
 * save: 0.05 and 0.12 bytes a pixel (112 JPEGs of 14 photos; the slopes are the
 * same).
 * PNG: its own bytes a pixel, coarser where a reduction blurs flat areas.
 */
#include "predict.h"

#include <math.h>

#define STEPS 6
#define REDUCED 0.7 /* the scale of the second fit */
#define MARGIN 0.3  /* bytes a pixel */
#define DENSEST 0.7 /* bytes a pixel: no guess is below, some photos are */
#define ROOM 0.97   /* of the scale, at the second try */

/* Bytes a pixel at full size and at REDUCED. */
struct density {
    double full, reduced;
};

static struct density jpeg_density(double bits_per_px)
{
    double log_bits = log(bits_per_px);

    return (struct density){
        .full = 0.886 + 0.488 * log_bits + MARGIN,
        .reduced = 0.965 + 0.451 * log_bits + MARGIN,
    };
}

/* Ours come out about a tenth larger than the usual level 6. */
static struct density png_density(double bytes_per_px)
{
    return (struct density){
        .full = bytes_per_px * 1.15,
        .reduced = bytes_per_px * 1.15 + MARGIN,
    };
}

/* On the line through both, within what is possible. */
static double density_at(const struct density *density, double scale,
                         double most)
{
    double slope = (density->reduced - density->full) / (1 - REDUCED);
    double at = density->full + (1 - scale) * slope;
    double least = fmin(DENSEST, most);

    return fmin(fmax(at, least), most);
}

uint64_t predict_px(const struct predict_request *request)
{
    double px = (double)request->source_px;
    double bytes_per_px = (double)request->source_bytes / px;
    struct density density;
    double scale = 1;

    if (request->source_px == 0 || request->source_bytes == 0)
        return 0;
    if (request->type == IMAGE_TYPE_JPEG)
        density = jpeg_density(bytes_per_px * 8);
    else if (request->type == IMAGE_TYPE_PNG)
        density = png_density(bytes_per_px);
    else
        return 0;
    for (int i = 0; i < STEPS; i++) {
        double each = density_at(&density, scale, (double)request->pixel_bytes);

        scale = fmin(1, sqrt((double)request->max_bytes / (each * px)));
    }
    return (uint64_t)(scale * scale * px);
}

uint64_t predict_again(uint64_t px, uint64_t bytes, uint64_t max_bytes)
{
    return (uint64_t)((double)px * (double)max_bytes / (double)bytes * ROOM *
                      ROOM);
}
