/*
 * picture.h: pictures for the tests of lib/image, made and read back with
 * libjpeg and libpng themselves, so that the codecs under test are compared
 * with the reference and not with themselves.
 *
 * A failure inside fails the test that runs.
 */
#ifndef DARKROOM_TEST_PICTURE_H
#define DARKROOM_TEST_PICTURE_H

#include "base.h"
#include "buf.h"

/* Rows of 8 bit samples, without padding. */
struct picture {
    uint32_t width_px, height_px;
    size_t channels;
    uint8_t *pixels;
};

/* xorshift32; *state is never 0. */
uint32_t picture_random(uint32_t *state);

void picture_init(struct picture *p, uint32_t width_px, uint32_t height_px,
                  size_t channels);
void picture_release(struct picture *p);

/* Every sample random. */
void picture_fill_noise(struct picture *p, uint32_t seed);

/* Slopes and a few hard edges: what a photo is to a codec. */
void picture_fill_scene(struct picture *p);

static inline uint8_t *picture_at(const struct picture *p, size_t x, size_t y)
{
    return p->pixels + (y * p->width_px + x) * p->channels;
}

void assert_picture_equal(const struct picture *a, const struct picture *b);

/* ---- JPEG */

struct jpeg_spec {
    int quality;
    int h_samp, v_samp; /* of luma; 0: 1 */
    bool progressive;
    bool arithmetic;
    bool separate_scans; /* not progressive, a scan each component */
    bool ycck;           /* 4 channels: as YCCK, else CMYK */
    bool no_adobe;       /* 4 channels: without Adobe's marker */
    bool rgb;            /* 3 channels: stored as RGB */
    unsigned restart_rows;
    uint8_t orientation; /* 0: no Exif */
    bool big_endian;     /* of the Exif */
    size_t comment_bytes;
};

/* 1 channel: gray, 3: RGB, 4: CMYK as it is. Appends to `out`. */
void picture_to_jpeg(const struct picture *p, const struct jpeg_spec *spec,
                     struct buf *out);

/* A JPEG of noise: it compresses badly, as photos do. Appends to `out`. */
void picture_make_jpeg(struct buf *out, uint32_t width_px, uint32_t height_px,
                       bool progressive);

/* libjpeg's own decode, at eighths/8 of the size; CMYK as it is. */
void picture_from_jpeg(struct picture *p, const struct buf *jpeg,
                       unsigned eighths);

/* ---- WebP */

/* 3 channels: RGB, 4: RGBA. Appends to `out`. */
void picture_to_webp(const struct picture *p, bool lossless, struct buf *out);

/* libwebp's own decode, always to RGBA. */
void picture_from_webp(struct picture *p, const struct buf *webp);

/* A container of other chunks: begin, append, end. */
void webp_begin(struct buf *out);
void webp_append_chunk(struct buf *out, const char *name, const void *data,
                       size_t len);
void webp_append_vp8x(struct buf *out, uint8_t flags, uint32_t width_px,
                      uint32_t height_px);
/* ALPH and VP8 or VP8L of another file. */
void webp_append_picture(struct buf *out, const struct buf *webp);
void webp_end(struct buf *out);

/* ---- GIF */

struct gif_spec {
    uint32_t screen_width_px, screen_height_px;
    uint32_t left, top; /* of the frame; its size is the picture's */
    unsigned bits;      /* colours are 2^bits: 1 to 8 */
    unsigned root_bits; /* 0: as many as `bits`, at least 2 */
    bool local;         /* its own palette, the screen has another */
    bool no_palette;
    bool interlaced;
    int transparent; /* -1: none */
};

/* Colour `index` of the palette of every GIF that is made here. */
void gif_color(unsigned index, uint8_t rgb[3]);

/* 1 channel of indices. Appends to `out`. */
void picture_to_gif(const struct picture *p, const struct gif_spec *spec,
                    struct buf *out);

/* Everything up to the LZW data, for data that no encoder makes. */
void gif_append_head(const struct picture *p, const struct gif_spec *spec,
                     struct buf *out);

/* ---- PNG */

struct png_spec {
    uint32_t width_px, height_px;
    int color_type; /* of PNG 11.2.2 */
    int depth;
    bool interlaced;
    bool transparent;    /* with tRNS */
    uint8_t orientation; /* 0: no eXIf */
    size_t text_bytes;   /* of a tEXt chunk before the pixels */
    uint32_t seed;
};

/* Random samples. Appends to `out`. */
void picture_random_png(const struct png_spec *spec, struct buf *out);

/* 8 bits a sample, 1 to 4 channels. Appends to `out`. */
void picture_to_png(const struct picture *p, struct buf *out);

/* libpng's own decode, always to RGBA of 8 bits. */
void picture_from_png(struct picture *p, const struct buf *png);

/* A chunk of `len` bytes of `data` with its length and CRC. */
void png_append_chunk(struct buf *out, const char *name, const void *data,
                      size_t len);

/* The signature and IHDR of an RGB picture (PNG specification 11.2.2). */
void picture_png_head(struct buf *out, uint32_t width_px, uint32_t height_px);

/* An Exif block (from its byte order mark on) with this orientation. */
void exif_append(struct buf *out, uint8_t orientation, bool big_endian);

#endif
