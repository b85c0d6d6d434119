/*
 * decoder_webp.h: WebP through libwebp's incremental decoder: lossy, lossless,
 * alpha. Of an animation the first frame, on a canvas that is transparent
 * elsewhere.
 *
 * The container (RIFF) is read here; libwebp gets nothing but ALPH, VP8 and
 * VP8L. XMP and what nobody knows are skipped as they pass, whatever their
 * size.
 *
 * Colours: an ICCP chunk that VP8X promises, before the picture; one above
 * chunk_max_bytes is ignored.
 *
 * Orientation: the EXIF chunk comes behind the pixels. When the header (VP8X)
 * promises one, the compressed picture is kept until it came or the file ended,
 * and decoded then. An EXIF chunk that nothing promised is ignored, as is one
 * behind an animation, which would keep all of its frames.
 *
 * Memory: libwebp writes into one buffer for the whole picture and reads from
 * the compressed bytes as a whole. Both, and what libwebp itself needs for
 * alpha and lossless, are in whole_picture_bytes. Not in there are the Huffman
 * tables of a lossless picture, whose number only libwebp learns.
 *
 * Slices: libwebp decodes all it can from the bytes that it is shown, so it is
 * shown few at a time: 5 ms a call for a lossy picture of 12 MP, 15 ms for a
 * lossless one, 20 ms for a lossy flat one of 64 MP. Nothing smaller than a
 * byte can be shown, and a flat lossless picture is one step: 3 ms a megapixel
 * (12 MP are 38 bytes). The 15 ms are the step in which the header of a
 * lossless picture ends, for what follows it is decoded as well; smaller steps
 * would read the header more often, each time from its beginning.
 *
 * Damage is IMAGE_BROKEN, an early end IMAGE_TRUNCATED. What is behind the
 * pixels may be missing.
 *
 * Reference: RFC 9649.
 */
#ifndef DARKROOM_IMAGE_DECODER_WEBP_H
#define DARKROOM_IMAGE_DECODER_WEBP_H

#include "decoder.h"

extern const struct decoder_ops decoder_webp;

#endif
