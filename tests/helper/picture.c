/*
 * picture.c: pictures made of arithmetic.
 */
#include "picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

uint32_t picture_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

void picture_init(struct picture *p, uint32_t width_px, uint32_t height_px,
                  size_t channels)
{
    *p = (struct picture){width_px, height_px, channels, NULL};
    p->pixels = calloc((size_t)width_px * height_px, channels);
    assert_non_null(p->pixels);
}

void picture_release(struct picture *p)
{
    free(p->pixels);
    p->pixels = NULL;
}

void picture_fill_noise(struct picture *p, uint32_t seed)
{
    size_t samples = (size_t)p->width_px * p->height_px * p->channels;

    for (size_t i = 0; i < samples; i++)
        p->pixels[i] = (uint8_t)(picture_random(&seed) >> 11);
}

void picture_fill_scene(struct picture *p)
{
    for (size_t y = 0; y < p->height_px; y++)
        for (size_t x = 0; x < p->width_px; x++)
            for (size_t k = 0; k < p->channels; k++) {
                size_t value = x * (2 + k) + y * (3 - k % 3) + 40 * k;

                if ((x / 23 + y / 17) % 3 == 0)
                    value = 255 - value / 3;
                picture_at(p, x, y)[k] = (uint8_t)value;
            }
}

void assert_picture_equal(const struct picture *a, const struct picture *b)
{
    assert_int_equal(a->width_px, b->width_px);
    assert_int_equal(a->height_px, b->height_px);
    assert_int_equal(a->channels, b->channels);
    assert_memory_equal(a->pixels, b->pixels,
                        (size_t)a->width_px * a->height_px * a->channels);
}

static void append(struct buf *out, const void *bytes, size_t len)
{
    assert_int_equal(buf_append(out, bytes, len), STATUS_OK);
}

void exif_append(struct buf *out, uint8_t orientation, bool big_endian)
{
    uint8_t block[] = {
        'I',  'I',  42, 0, 8, 0, 0, 0,               /* header */
        2,    0,                                     /* entries */
        0x0f, 0x01, 2,  0, 2, 0, 0, 0, 'x', 0, 0, 0, /* Make */
        0x12, 0x01, 3,  0, 1, 0, 0, 0, 0,   0, 0, 0, /* Orientation */
        0,    0,    0,  0,                           /* no next directory */
    };
    uint8_t swapped[] = {
        'M',  'M',  0, 42, 0, 0, 0, 8,               /* header */
        0,    2,                                     /* entries */
        0x01, 0x0f, 0, 2,  0, 0, 0, 2, 'x', 0, 0, 0, /* Make */
        0x01, 0x12, 0, 3,  0, 0, 0, 1, 0,   0, 0, 0, /* Orientation */
        0,    0,    0, 0,                            /* no next directory */
    };

    block[30] = orientation;
    swapped[31] = orientation;
    append(out, big_endian ? swapped : block, sizeof(block));
}
