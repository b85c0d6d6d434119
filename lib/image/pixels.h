/*
 * pixels.h: what a row of pixels looks like on its way from the decoder to the
 * writer, and the sink that every stage of that way offers.
 *
 * In memory each sample is one byte, whatever its depth: an indexed or gray
 * pixel of 1, 2 or 4 bits takes a byte that holds 0 to 2^depth-1, and only the
 * writer packs them again. So every stage handles 1 to 4 bytes a pixel and
 * nothing else. Alpha is not premultiplied between stages.
 *
 * Plain values, no allocation, no errors, any thread.
 */
#ifndef DARKROOM_IMAGE_PIXELS_H
#define DARKROOM_IMAGE_PIXELS_H

#include "../base.h"
#include "../status.h"

#define PALETTE_MAX 256

enum pixel_kind {
    PIXEL_GRAY,
    PIXEL_GRAY_ALPHA,
    PIXEL_RGB,
    PIXEL_RGBA,
    PIXEL_INDEXED,
};

struct pixel_format {
    enum pixel_kind kind;
    uint8_t depth; /* bits a sample: 1, 2, 4, 8 if gray or indexed, else 8 */
    bool has_key;  /* gray: the value `key` is fully transparent */
    uint8_t key;
    uint16_t alpha_count;            /* indexed: entries of alpha[] in use */
    uint8_t palette[PALETTE_MAX][3]; /* indexed: 2^depth entries */
    uint8_t alpha[PALETTE_MAX];      /* indexed: the rest is opaque */
};

/* Takes one row, borrowed for the call. */
typedef enum status row_fn(void *arg, const uint8_t *row);

struct row_sink {
    row_fn *write;
    void *arg;
};

/* Bytes a pixel takes in a row in memory: 1 to 4. */
size_t pixel_bytes(const struct pixel_format *format);

/* Bits a pixel takes in a PNG file: 1 to 32. */
size_t pixel_file_bits(const struct pixel_format *format);

/* True if samples are plain intensities of 8 bits, which can be averaged. */
bool pixel_is_plain(const struct pixel_format *format);

/*
 * The plain format that shows the same picture: indexed becomes RGB or RGBA,
 * gray of low depth becomes 8 bits, a transparent gray becomes gray and alpha.
 */
void pixel_format_plain(const struct pixel_format *format,
                        struct pixel_format *plain);

/* Expands rows of one format to its plain format. */
struct pixel_table {
    size_t bytes; /* a pixel of the plain format */
    uint8_t entry[PALETTE_MAX][4];
};

/* `format` must not be plain itself. */
void pixel_table_init(struct pixel_table *table,
                      const struct pixel_format *format);
void pixel_table_expand(const struct pixel_table *table, const uint8_t *row,
                        size_t width_px, uint8_t *out);

#endif
