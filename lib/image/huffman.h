/*
 * huffman.h: prefix codes of bounded length, as deflate wants them (RFC 1951
 * 3.2.2).
 *
 * Pure functions, any thread.
 */
#ifndef DARKROOM_IMAGE_HUFFMAN_H
#define DARKROOM_IMAGE_HUFFMAN_H

#include "../base.h"

#define HUFFMAN_SYMBOLS_MAX 288
#define HUFFMAN_BITS_MAX 15

/*
 * The length of each symbol's code, 0 for those that do not occur. At least two
 * must; counts are below 2^22 in sum, and 2^max_bits is not less than the
 * number of symbols. Shortest for the counts, or close to it where max_bits is
 * in the way.
 */
void huffman_lengths(const uint32_t *counts, size_t symbols, unsigned max_bits,
                     uint8_t *lengths);

/* The codes of these lengths, first bit lowest, ready to be sent. */
void huffman_codes(const uint8_t *lengths, size_t symbols, uint16_t *codes);

#endif
