/*
 * colour.h: a picture in the colours of its own device becomes one in sRGB,
 * which is what a PNG without a profile is taken for.
 *
 *   colour_new(&c, &tags, format.kind);   c == NULL: it is sRGB already
 *   if (c != NULL && colour_format(c, &format)) {
 *       colour_start(c, width_px, &sink);
 *       colour_row(c, row)                the sink gets each row in sRGB
 *   }
 *   colour_free(c);
 *
 * What says nothing of its colours is sRGB. So is, as in browsers, what has a
 * profile that is damaged, too large, or not for pixels of this kind: a profile
 * never fails a picture. The only errors are NO_MEMORY and those of the sink.
 *
 * Pixels keep their kind; alpha stays as it is (colour is not premultiplied
 * with it, pixels.h). Memory: colour_bytes(), some 20 KB for what cameras and
 * phones write, 120 KB for printers' profiles; while colour_new() runs
 * IMAGE_ICC_MEMORY_MAX_BYTES at most. That takes 0.6 ms for the former, 2 to
 * 6 ms for the latter, of which half may be the reading of large tables.
 *
 * Opens no file and starts no thread, but the C library's time zone must have
 * been read before a jail is entered (sandbox.c does). Not thread safe.
 */
#ifndef DARKROOM_IMAGE_COLOUR_H
#define DARKROOM_IMAGE_COLOUR_H

#include "pixels.h"

enum colour_point {
    COLOUR_WHITE,
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_BLUE,
    COLOUR_POINTS,
};

/* What a file says of its colours. All zero: nothing. A profile goes before
 * the rest, which counts if that cannot be used. */
struct colour_tags {
    const uint8_t *profile; /* ICC, borrowed; NULL: none */
    size_t profile_bytes;
    uint32_t gamma_e5; /* of the encoding, as in gAMA: 45455; 0: none */
    bool has_points;
    uint32_t points_e5[COLOUR_POINTS][2]; /* x and y, as in cHRM */
};

struct colour;

/* `tags` is not needed afterwards. */
enum status colour_new(struct colour **out, const struct colour_tags *tags,
                       enum pixel_kind kind) MUST_CHECK;

/* CMYK in, RGB out. `inverted`: 255 is no ink (Adobe). *out is NULL if there is
 * no profile to do it by. */
enum status colour_new_cmyk(struct colour **out, const struct colour_tags *tags,
                            bool inverted) MUST_CHECK;
void colour_free(struct colour *c);

/* Held until colour_free(). */
size_t colour_bytes(const struct colour *c);

/*
 * What becomes of the format: of an indexed picture the palette is converted,
 * and gray of few bits, or with a transparent value, becomes indexed. True if
 * the rows have to be converted too: their format is then a plain one.
 */
bool colour_format(const struct colour *c,
                   struct pixel_format *format) MUST_CHECK;

/* Once; `sink` is copied. */
enum status colour_start(struct colour *c, size_t width_px,
                         const struct row_sink *sink) MUST_CHECK;
enum status colour_row(struct colour *c, const uint8_t *row) MUST_CHECK;

#endif
