/*
 * profile.h: colour profiles for tests, made with lcms2 itself, and what their
 * effect should be, in double precision and without lcms2.
 *
 * A failure inside fails the test that runs.
 */
#ifndef DARKROOM_TEST_PROFILE_H
#define DARKROOM_TEST_PROFILE_H

#include "base.h"
#include "buf.h"

/* RGB of three equal curves and a matrix. */
struct profile_space {
    double points[4][2]; /* x and y of white, red, green, blue */
    double gamma;        /* 0: the curve of sRGB */
};

extern const struct profile_space profile_srgb;
extern const struct profile_space profile_p3;
extern const struct profile_space profile_adobe;

/* Appends the profile to `out`, which must be empty and is initialised here. */
void profile_make_rgb(struct buf *out, const struct profile_space *space,
                      double version);
void profile_make_gray(struct buf *out, double gamma);

/* Tables instead of curves: 3 for a scanner's RGB, 4 for inks. */
void profile_make_lut(struct buf *out, unsigned channels);

/* A profile whose conversion is a chain of floating point steps. */
void profile_make_float(struct buf *out);

/* The pixel in sRGB, as levels that are not rounded. */
void profile_space_to_srgb(const struct profile_space *space,
                           const uint8_t in[3], double out[3]);
double profile_gray_to_srgb(double gamma, uint8_t in);

/* lcms2's slow and exact conversion to RGB. `inverted`: 255 is no ink. */
void profile_convert(const struct buf *profile, unsigned channels,
                     bool inverted, const uint8_t *in, size_t pixels,
                     uint8_t *out);

#endif
