/*
 * predict.h: how many pixels will fit into a number of bytes as PNG, judged by
 * how well the source was compressed (performance-study 6). Of JPEG and PNG
 * only. A guess, fitted to photos: text and drawings come out smaller. Whoever
 * acts on it watches the output and may have to ask predict_again().
 *
 * Pure functions, any thread.
 */
#ifndef DARKROOM_IMAGE_PREDICT_H
#define DARKROOM_IMAGE_PREDICT_H

#include "transcode.h"

struct predict_request {
    enum image_type type;
    uint64_t source_px;
    uint64_t source_bytes; /* the whole file */
    size_t pixel_bytes;    /* of one pixel of the output, uncompressed */
    uint64_t max_bytes;    /* of the output */
};

/* At most source_px; 0 for types that tell nothing. */
uint64_t predict_px(const struct predict_request *request);

/* After `px` pixels came to `bytes` (extrapolated if need be), more than
 * max_bytes: so many will fit, with some room for error. */
uint64_t predict_again(uint64_t px, uint64_t bytes, uint64_t max_bytes);

#endif
