/*
 * base.h: what every file of the project may use: fixed-size types, checked
 * size arithmetic, string copies that say when they do not fit, two clocks.
 *
 * Everything here is either a macro or a static inline function: no state, no
 * allocation, safe from any thread.
 */
#ifndef DARKROOM_BASE_H
#define DARKROOM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "banned.h"

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds `member` at address `ptr`. */
#define CONTAINER_OF(ptr, type, member)                                        \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * Checked arithmetic: true and *out set when the exact result fits, false and
 * *out untouched otherwise. All size arithmetic on values that came from
 * outside goes through these.
 */
static inline bool size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline int64_t int64_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t int64_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/*
 * Copies `len` bytes of `src` and a terminator into `dst` of `size` bytes.
 * False, and dst = "" when there is room for that, if they do not all fit.
 */
static inline bool str_copy_n(char *dst, size_t size, const char *src,
                              size_t len)
{
    if (size == 0)
        return false;
    dst[0] = '\0';
    if (len >= size)
        return false;
    memcpy(dst, src, len);
    dst[len] = '\0';
    return true;
}

static inline bool str_copy(char *dst, size_t size, const char *src)
{
    return str_copy_n(dst, size, src, strlen(src));
}

static inline bool str_eq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/*
 * Parses a decimal number with nothing before or after it, in [min, max].
 * False, and *out untouched, for anything else.
 */
static inline bool str_to_int64(const char *s, int64_t min, int64_t max,
                                int64_t *out)
{
    int64_t value = 0;
    bool negative = *s == '-';

    if (negative)
        s++;
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
        if (__builtin_sub_overflow(value, *s - '0', &value))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, value, &value))
        return false;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

static inline int64_t clock_us(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Time that never jumps: for delays inside one process. */
static inline int64_t mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static inline int64_t mono_ms(void)
{
    return mono_us() / 1000;
}

/*
 * Milliseconds since 1970: for times that are stored or compared across
 * processes.
 */
static inline int64_t wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

#endif
