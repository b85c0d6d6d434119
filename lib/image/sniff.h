/*
 * sniff.h: the type of a picture by its first bytes, never by a name.
 *
 * A pure function over the first `len` bytes of a file:
 *   OK                 *type is set
 *   MORE               too few bytes to tell, ask again with more
 *   IMAGE_UNSUPPORTED  a picture of a type that is not decoded here
 *   NOT_AN_IMAGE       anything else
 */
#ifndef DARKROOM_IMAGE_SNIFF_H
#define DARKROOM_IMAGE_SNIFF_H

#include "transcode.h"

/* So many bytes always suffice: never MORE. */
#define SNIFF_BYTES 12

enum status sniff(const uint8_t *bytes, size_t len,
                  enum image_type *type) MUST_CHECK;

#endif
