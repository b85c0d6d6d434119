/*
 * decoder_gif.h: the first frame of a GIF, by a decoder of our own: giflib
 * pulls its input through a callback that cannot say "later", so it would need
 * the whole file, and it decodes the frames behind the first too.
 *
 * The picture is the logical screen with the first frame on it, indexed colours
 * stay indexed. What the frame leaves free is transparent; what lies beyond the
 * screen is cut off. A screen without width or height is as large as the
 * frame. A frame without pixels, without palette or beside the screen is
 * IMAGE_BROKEN, and so are codes that cannot be and an end code before the last
 * row. An index beyond the palette is black.
 *
 * Output is RGBA in one case: a frame smaller than the screen, with 256 opaque
 * colours, has no index left for what is free.
 *
 * Memory: one row and 20 KB of tables; the visible frame if it is interlaced.
 * Nothing behind the last row of the first frame is read.
 *
 * Reference: GIF89a specification (W3C, 1990).
 */
#ifndef DARKROOM_IMAGE_DECODER_GIF_H
#define DARKROOM_IMAGE_DECODER_GIF_H

#include "decoder.h"

extern const struct decoder_ops decoder_gif;

#endif
