/*
 * picture.h: pictures for tests, made on the spot. The content is a gradient
 * with noise: it compresses badly, as photos do, and is the same every time.
 *
 * All return false when memory is short or the codec refuses.
 */
#ifndef DARKROOM_TEST_PICTURE_H
#define DARKROOM_TEST_PICTURE_H

#include "buf.h"

bool picture_jpeg(struct buf *out, uint32_t width_px, uint32_t height_px,
                  bool progressive);

/* 8-bit RGB, not interlaced. */
bool picture_png(struct buf *out, uint32_t width_px, uint32_t height_px);

/* Just the IHDR chunk of such a PNG, whatever the dimensions. */
bool picture_png_head(struct buf *out, uint32_t width_px, uint32_t height_px);

/* The width and height in the IHDR of a PNG, read from its first bytes. */
bool picture_png_size(const void *bytes, size_t len, uint32_t *width_px,
                      uint32_t *height_px);

#endif
