/*
 * decoder_png.h: PNG through libpng's progressive reader. Every colour type,
 * depth and interlacing; of an APNG the first picture. 16 bits become 8,
 * indexed and gray stay what they are, a transparent colour becomes alpha.
 *
 * Memory: a few rows; the whole picture if it is interlaced; an eXIf or iCCP
 * chunk.
 *
 * Only IHDR, PLTE, tRNS, IDAT, IEND and iCCP ever reach libpng; eXIf, sRGB,
 * gAMA and cHRM are read here. Other ancillary chunks are skipped as they pass,
 * whatever their size, so most of libpng's parsers see no hostile byte. An
 * unknown critical chunk (Apple's CgBI, say) is IMAGE_UNSUPPORTED.
 *
 * A checksum that is wrong in one of the first five is IMAGE_BROKEN, and so is
 * a zlib stream that is damaged, or that does not end before the next chunk.
 * Forgiven are bytes behind that stream, output of it behind the last row, its
 * checksum, and a missing IEND if all rows came and the picture is not
 * interlaced; but then it is not a sound one (decoder.h). What is wrong with
 * colours is ignored, as is a profile above chunk_max_bytes, packed or not.
 *
 * Can be copied what is not interlaced, has 8 bits or less, and stays of its
 * kind.
 */
#ifndef DARKROOM_IMAGE_DECODER_PNG_H
#define DARKROOM_IMAGE_DECODER_PNG_H

#include "decoder.h"

extern const struct decoder_ops decoder_png;

#endif
