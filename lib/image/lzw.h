/*
 * lzw.h: the LZW of GIF, one code at a time, fed with whatever there is.
 *
 *   lzw_init(&l, min_code_size);
 *   while ((status = lzw_next(&l, &bytes, &len, &pixels)) == STATUS_OK)
 *       ... l's string: pixels.bytes[0 .. pixels.len-1], until the next call
 *
 * MORE means that all bytes were taken; call again with those that follow.
 * Plain memory of 20 KB, no allocation. Not thread safe.
 *
 * Reference: GIF89a, appendix F.
 */
#ifndef DARKROOM_IMAGE_LZW_H
#define DARKROOM_IMAGE_LZW_H

#include "../base.h"
#include "../status.h"

#define LZW_CODES 4096 /* of 12 bits */
#define LZW_ROOT_BITS_MIN 1
#define LZW_ROOT_BITS_MAX 8

struct lzw {
    unsigned root_bits; /* of the pixels */
    unsigned code_bits; /* of the next code */
    uint32_t bits;      /* read, not used yet: the lowest come first */
    unsigned bit_count;
    uint16_t next; /* the code that the next string gets; LZW_CODES: full */
    uint16_t last; /* the code before this one; LZW_CODES after a clear */
    bool has_ended;
    uint16_t prefix[LZW_CODES];
    uint16_t length[LZW_CODES];
    uint8_t suffix[LZW_CODES];
    uint8_t first[LZW_CODES];
    uint8_t string[LZW_CODES];
};

struct lzw_string {
    const uint8_t *bytes; /* in struct lzw */
    size_t len;
};

/* BROKEN if root_bits (the "LZW minimum code size") is out of range. */
enum status lzw_init(struct lzw *lzw, unsigned root_bits) MUST_CHECK;

/*
 * Takes bytes off the front until one code is whole, and gives its string.
 *   OK            *string is set; it is empty after a clear code
 *   MORE          the bytes ran out
 *   IMAGE_BROKEN  a code that cannot be, or anything behind the end code
 */
enum status lzw_next(struct lzw *lzw, const uint8_t **bytes, size_t *len,
                     struct lzw_string *string) MUST_CHECK;

#endif
