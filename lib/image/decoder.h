/*
 * decoder.h: what a decoder of one type of picture is to transcode.c: a small
 * table of operations, and a client that gets the header and then the rows.
 *
 *   ops->create(&d, &limits, &client);
 *   status = ops->decode(d, &input)         again and again
 *   ops->destroy(d);
 *
 * decode() takes bytes off the front of `input` and answers
 *   MORE   it needs more than what it left there; the same bytes have to be
 *          there again next time, with more behind them. If input.ended is set
 *          there is no more, and the picture is cut.
 *   AGAIN  budget_px is used up; call again with what is left
 *   OK     all rows were given to the client
 *   else   the picture cannot be used, or the client's own status
 * After OK or an error only destroy() may be called.
 *
 * Decoders never print, exit, or touch anything but memory.
 */
#ifndef DARKROOM_IMAGE_DECODER_H
#define DARKROOM_IMAGE_DECODER_H

#include "colour.h"

struct decoder_limits {
    uint32_t width_max_px, height_max_px;
    uint64_t pixels_max;
    uint32_t scans_max;
    size_t chunk_max_bytes;
    size_t memory_max_bytes; /* of what is held before there is a header */
    int64_t slice_px;        /* what a budget usually is */
};

struct decoder_header {
    uint32_t width_px, height_px; /* as stored */
    uint8_t orientation;          /* 1 to 8 */
    bool progressive;
    bool dct_scales;            /* heeds *eighths, see below */
    bool can_copy;              /* packed() brings these very rows */
    size_t whole_picture_bytes; /* buffer that grows with the picture, or 0 */
    struct pixel_format format; /* of the rows */
    struct colour_tags colour;  /* of the rows; borrowed for header() */
    bool colour_converted;      /* rows are sRGB, and were something else */
};

struct decoder_client {
    void *arg;
    /*
     * Once, before whole-picture buffers are allocated and before the first
     * row. Sets *eighths to the DCT scale of the rows: 8, 4, 2 or 1.
     */
    enum status (*header)(void *arg, const struct decoder_header *header,
                          uint8_t *eighths);
    /* Each row from the top, borrowed for the call. */
    enum status (*row)(void *arg, const uint8_t *row);
    /* The input ended when only so much of the rows, below 100, was read. OK:
     * the missing ones follow, gray; else the picture ends with that status.
     * Once at most, not before the header. */
    enum status (*cut)(void *arg, unsigned percent);
    /* Right after a header that said can_copy: are packed() and sound() wanted?
     * Then a stream with a wrong checksum may be IMAGE_BROKEN, too. */
    bool (*wants_packed)(void *arg);
    /* The zlib stream which the rows are stored in, as a PNG of that format has
     * it, in pieces as they are read. */
    enum status (*packed)(void *arg, const uint8_t *bytes, size_t len);
    /* Right before OK, if that stream is sound: complete, its checksum right,
     * its output the rows to the last byte, and not a byte behind it. */
    void (*sound)(void *arg);
};

struct decoder_input {
    const uint8_t *bytes;
    size_t len;
    bool ended;        /* nothing will follow */
    int64_t budget_px; /* counts down; may end below 0 */
};

struct decoder {
    const struct decoder_ops *ops;
};

struct decoder_ops {
    /* `limits` and `client` are copied. */
    enum status (*create)(struct decoder **out,
                          const struct decoder_limits *limits,
                          const struct decoder_client *client);
    enum status (*decode)(struct decoder *decoder, struct decoder_input *input);
    void (*destroy)(struct decoder *decoder);
};

/* The status that names the first limit which the dimensions break, or OK. */
static inline enum status
decoder_check_size(const struct decoder_limits *limits, uint32_t width_px,
                   uint32_t height_px)
{
    if (width_px > limits->width_max_px)
        return STATUS_IMAGE_TOO_WIDE;
    if (height_px > limits->height_max_px)
        return STATUS_IMAGE_TOO_HIGH;
    if ((uint64_t)width_px * height_px > limits->pixels_max)
        return STATUS_IMAGE_TOO_MANY_PIXELS;
    return STATUS_OK;
}

#endif
