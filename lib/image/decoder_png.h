/*
 * decoder_png.h: PNG through libpng's progressive reader. Every colour type,
 * depth and interlacing; of an APNG the first picture. 16 bits become 8,
 * indexed and gray stay what they are, a transparent colour becomes alpha.
 *
 * Memory: a few rows; the whole picture if it is interlaced; an eXIf chunk.
 *
 * Only IHDR, PLTE, tRNS, IDAT and IEND ever reach libpng. Other ancillary
 * chunks are skipped as they pass, whatever their size, so most of libpng's
 * parsers see no hostile byte. An unknown critical chunk (Apple's CgBI, say)
 * is IMAGE_UNSUPPORTED.
 *
 * A checksum that is wrong in one of those five is IMAGE_BROKEN. A missing
 * IEND is forgiven if all rows came and the picture is not interlaced.
 */
#ifndef DARKROOM_IMAGE_DECODER_PNG_H
#define DARKROOM_IMAGE_DECODER_PNG_H

#include "decoder.h"

extern const struct decoder_ops decoder_png;

#endif
