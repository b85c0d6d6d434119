/*
 * ascii.h: text from a bot made fit for JSON and for a terminal. No state.
 */
#ifndef SIM_ASCII_H
#define SIM_ASCII_H

#include "base.h"

/* Copies `src`, cut to `size`, with "?" for what is not printable ASCII. */
static inline void copy_ascii(char *dst, size_t size, const char *src)
{
    size_t len = strnlen(src, size - 1);

    for (size_t i = 0; i < len; i++)
        dst[i] = (char)(src[i] >= ' ' && src[i] <= '~' ? src[i] : '?');
    dst[len] = '\0';
}

#endif
