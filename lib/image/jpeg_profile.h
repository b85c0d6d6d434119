/*
 * jpeg_profile.h: the ICC profile of a JPEG, put together from the segments it
 * is cut into.
 *
 *   struct jpeg_profile p = {0};
 *   jpeg_profile_add(&p, data, len)       of every APP2, in the file's order
 *   jpeg_profile_get(&p, &bytes, &len);   NULL: none, or not all of it
 *   jpeg_profile_release(&p);
 *
 * Reference: ICC.1:2010 (4.3) annex B.4. Segments carry a number from 1 and the
 * count of all; they may come in any order. What contradicts itself (a number
 * twice, another count), lacks a part or is above IMAGE_ICC_MAX_BYTES is no
 * profile, which is not an error. NO_MEMORY is the only one.
 */
#ifndef DARKROOM_IMAGE_JPEG_PROFILE_H
#define DARKROOM_IMAGE_JPEG_PROFILE_H

#include "../base.h"
#include "../status.h"

#define JPEG_PROFILE_PARTS 255

struct jpeg_profile {
    uint8_t *bytes; /* parts as they came */
    size_t len;
    uint8_t *sorted;
    uint8_t count; /* of all parts; 0: not known yet */
    uint8_t added;
    bool is_bad;
    struct {
        size_t start, len; /* len is 0: not here */
    } parts[JPEG_PROFILE_PARTS];
};

/* `data` follows the length of the segment; APP2 of other kinds is ignored. */
enum status jpeg_profile_add(struct jpeg_profile *p, const uint8_t *data,
                             size_t len) MUST_CHECK;

/* *bytes is valid until jpeg_profile_release(). */
enum status jpeg_profile_get(struct jpeg_profile *p, const uint8_t **bytes,
                             size_t *len) MUST_CHECK;
void jpeg_profile_release(struct jpeg_profile *p);

#endif
