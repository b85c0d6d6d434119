/*
 * check_png.h: decodes a PNG wholly and says what it found; the only user of
 * libpng in the simulator.
 *
 * Every row is read and every checksum looked at, and nothing may follow IEND:
 * a file that ends early, is damaged or carries a tail is not OK. The pixels
 * are thrown away row by row.
 */
#ifndef SIM_CHECK_PNG_H
#define SIM_CHECK_PNG_H

#include "base.h"
#include "status.h"

struct png_facts {
    int32_t width_px;
    int32_t height_px;
    int bit_depth;
    int colour_type; /* PNG specification, 11.2.2 */
    bool interlaced;
    /* Names of the chunks that are neither critical nor tRNS, e.g. "sRGB
     * eXIf", in the order of the file, each once. */
    char extra_chunks[64];
};

/* IMAGE_BROKEN, IMAGE_TRUNCATED, IMAGE_TOO_MANY_PIXELS, NOT_AN_IMAGE or
 * NO_MEMORY, with `why` in words. Any thread. */
enum status check_png(const void *bytes, size_t len, struct png_facts *facts,
                      char *why, size_t why_size) MUST_CHECK;

#endif
