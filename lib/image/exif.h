/*
 * exif.h: the orientation in an Exif block. A pure function over bytes that
 * nobody vouches for: whatever is damaged, cut or cyclic means "upright".
 *
 * Reference: CIPA DC-008 (Exif 2.32) 4.5 and 4.6.2; the block is a TIFF file.
 */
#ifndef DARKROOM_IMAGE_EXIF_H
#define DARKROOM_IMAGE_EXIF_H

#include "../base.h"

#define ORIENTATION_UPRIGHT 1

/*
 * `tiff` is the block from its byte order mark on, as in PNG's eXIf; in a JPEG
 * APP1 it follows the six bytes "Exif\0\0". 1 to 8; 1 if there is none.
 */
uint8_t exif_orientation(const uint8_t *tiff, size_t len);

#endif
