/*
 * decoder_jpeg.h: JPEG through libjpeg-turbo. Baseline, extended and
 * progressive, Huffman and arithmetic; gray stays gray, YCbCr, RGB, CMYK and
 * YCCK become RGB, the latter two in sRGB if there is a profile of their inks.
 *
 * Memory: a few rows if there is one scan, and a profile until header(). More
 * scans need every coefficient at once (two bytes a sample). Arithmetic coding
 * needs the rest of the file in the input, since libjpeg cannot suspend inside
 * it: MORE until input.ended.
 *
 * Damage in the entropy-coded data is IMAGE_BROKEN, an early end is
 * IMAGE_TRUNCATED. All rows and no end marker is a whole picture; with several
 * scans nobody can tell that the last one came, so there it is IMAGE_TRUNCATED.
 */
#ifndef DARKROOM_IMAGE_DECODER_JPEG_H
#define DARKROOM_IMAGE_DECODER_JPEG_H

#include "decoder.h"

extern const struct decoder_ops decoder_jpeg;

#endif
