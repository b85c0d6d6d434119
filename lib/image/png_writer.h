/*
 * png_writer.h: rows in, a PNG file out, in pieces of about 64 KB.
 *
 *   png_writer_new(&w, &image, sink);
 *   png_writer_row(w, row)   exactly height_px times
 *   png_writer_finish(w);
 *   png_writer_free(w);
 *
 * If image.copies, png_writer_packed() takes the rows as a zlib stream that is
 * made already, in pieces, in the place of png_writer_row().
 *
 * Writes IHDR, PLTE and tRNS where the format has them, IDAT, IEND, and nothing
 * else. Memory: two rows, the deflater (deflate.h) and one IDAT. Statuses of
 * the sink come back. Not thread safe.
 */
#ifndef DARKROOM_IMAGE_PNG_WRITER_H
#define DARKROOM_IMAGE_PNG_WRITER_H

#include "deflate.h"
#include "pixels.h"

/* PNG 9.2. One filter for the whole picture: to choose the best for each row,
 * by libpng's measure, makes photos 0.3 % smaller than Paeth for all. */
enum png_filter {
    PNG_WRITER_NONE = 0, /* indexed, low depth */
    PNG_WRITER_PAETH = 4,
};

struct png_image {
    uint32_t width_px;
    uint32_t height_px;
    struct pixel_format format;
    enum png_filter filter; /* other than NONE: for depth 8 only */
    enum deflate_kind deflate;
    bool copies; /* no rows, png_writer_packed() */
};

struct png_writer;

enum status png_writer_new(struct png_writer **out,
                           const struct png_image *image,
                           const struct byte_sink *sink) MUST_CHECK;
void png_writer_free(struct png_writer *w);

enum status png_writer_row(struct png_writer *w, const uint8_t *row) MUST_CHECK;

/* What the stream holds is the caller's word. Its two bytes of header are
 * replaced: some encoders declare a window smaller than the one they use, and
 * only some decoders forgive it. */
enum status png_writer_packed(struct png_writer *w, const uint8_t *bytes,
                              size_t len) MUST_CHECK;

/* BUG if rows are missing. */
enum status png_writer_finish(struct png_writer *w) MUST_CHECK;

/*
 * The size that no file of these dimensions and this format can exceed,
 * whatever its pixels; false if that is beyond size_t.
 */
bool png_writer_bound(uint32_t width_px, uint32_t height_px,
                      const struct pixel_format *format,
                      size_t *bytes) MUST_CHECK;

#endif
