/*
 * png_writer.c: row -> packed -> filtered -> deflated -> IDAT -> sink.
 *
 * The container is written here and not by libpng: it is a length, a name and
 * a CRC; libpng would check each 64 KB with zlib's CRC (a third of the speed of
 * ISA-L's, performance-study 3) and answer a failed sink with longjmp.
 */
#include "png_writer.h"

#define SIGNATURE_BYTES 8
#define CHUNK_HEAD_BYTES 8
#define CHUNK_EXTRA_BYTES 12 /* length, name, CRC */
#define IHDR_BYTES 13
#define IDAT_BYTES (64 * 1024)

/* Signature, IHDR, PLTE and tRNS together. */
#define HEAD_MAX_BYTES                                                         \
    (SIGNATURE_BYTES + 3 * CHUNK_EXTRA_BYTES + IHDR_BYTES + 4 * PALETTE_MAX)

struct png_writer {
    struct png_image image;
    struct byte_sink sink;
    struct deflate *deflate;
    size_t row_bytes; /* in the file, without the filter byte */
    size_t filter_bytes;
    uint32_t rows;
    uint64_t packed_bytes; /* taken by png_writer_packed() */
    uint8_t *line;         /* filter byte and filtered row */
    uint8_t *prior;        /* the row above, unfiltered */
    size_t idat_fill;
    uint8_t idat[CHUNK_HEAD_BYTES + IDAT_BYTES + 4];
};

/* ---- chunks */

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(value >> shift);
    return at;
}

/* Length and name go before the `len` bytes that stand at chunk + 8, the CRC
 * after them. Returns the end. */
static uint8_t *seal_chunk(uint8_t *chunk, const char *name, size_t len)
{
    uint8_t *data = chunk + CHUNK_HEAD_BYTES;

    put_u32(chunk, (uint32_t)len);
    memcpy(chunk + 4, name, 4);
    return put_u32(data + len, deflate_crc32(0, chunk + 4, len + 4));
}

static uint8_t color_type(enum pixel_kind kind)
{
    static const uint8_t types[] = {
        [PIXEL_GRAY] = 0, [PIXEL_GRAY_ALPHA] = 4, [PIXEL_RGB] = 2,
        [PIXEL_RGBA] = 6, [PIXEL_INDEXED] = 3,
    };

    return types[kind];
}

static uint8_t *put_ihdr(uint8_t *at, const struct png_image *image)
{
    uint8_t *data = put_u32(at + CHUNK_HEAD_BYTES, image->width_px);

    data = put_u32(data, image->height_px);
    *data++ = image->format.depth;
    *data++ = color_type(image->format.kind);
    memset(data, 0, 3); /* deflate, adaptive filters, not interlaced */
    return seal_chunk(at, "IHDR", IHDR_BYTES);
}

/* All 2^depth entries, so that no pixel points beyond the palette. */
static uint8_t *put_plte(uint8_t *at, const struct pixel_format *format)
{
    size_t len = ((size_t)1 << format->depth) * 3;

    memcpy(at + CHUNK_HEAD_BYTES, format->palette, len);
    return seal_chunk(at, "PLTE", len);
}

static uint8_t *put_trns(uint8_t *at, const struct pixel_format *format)
{
    uint8_t *data = at + CHUNK_HEAD_BYTES;

    if (format->kind == PIXEL_INDEXED) {
        memcpy(data, format->alpha, format->alpha_count);
        return seal_chunk(at, "tRNS", format->alpha_count);
    }
    data[0] = 0;
    data[1] = format->key;
    return seal_chunk(at, "tRNS", 2);
}

static enum status write_head(struct png_writer *w)
{
    static const uint8_t signature[SIGNATURE_BYTES] = {0x89, 'P',  'N',  'G',
                                                       '\r', '\n', 0x1a, '\n'};
    const struct pixel_format *format = &w->image.format;
    uint8_t head[HEAD_MAX_BYTES];
    uint8_t *at = head + SIGNATURE_BYTES;

    memcpy(head, signature, SIGNATURE_BYTES);
    at = put_ihdr(at, &w->image);
    if (format->kind == PIXEL_INDEXED)
        at = put_plte(at, format);
    if (format->kind == PIXEL_INDEXED ? format->alpha_count > 0
                                      : format->has_key)
        at = put_trns(at, format);
    return w->sink.write(w->sink.arg, head, (size_t)(at - head));
}

static enum status flush_idat(struct png_writer *w)
{
    uint8_t *end;

    if (w->idat_fill == 0)
        return STATUS_OK;
    end = seal_chunk(w->idat, "IDAT", w->idat_fill);
    w->idat_fill = 0;
    return w->sink.write(w->sink.arg, w->idat, (size_t)(end - w->idat));
}

/* The deflater's sink. */
static enum status gather_idat(void *arg, const uint8_t *bytes, size_t len)
{
    struct png_writer *w = arg;
    enum status status = STATUS_OK;

    while (len > 0 && status == STATUS_OK) {
        size_t part = size_min(len, IDAT_BYTES - w->idat_fill);

        memcpy(w->idat + CHUNK_HEAD_BYTES + w->idat_fill, bytes, part);
        w->idat_fill += part;
        bytes += part;
        len -= part;
        if (w->idat_fill == IDAT_BYTES)
            status = flush_idat(w);
    }
    return status;
}

/* ---- filters (PNG 9.2); the loop is written to be vectorized */

static inline uint8_t distance(uint8_t a, uint8_t b)
{
    return (uint8_t)(a > b ? a - b : b - a);
}

/*
 * The neighbour that is nearest to left + above - corner. How far that is from
 * the corner needs nine bits, but only where it lies beyond both others, so
 * that the corner is not chosen.
 */
static inline uint8_t predict(uint8_t left, uint8_t above, uint8_t corner)
{
    uint8_t from_left = distance(above, corner);
    uint8_t from_above = distance(left, corner);
    bool is_between = (above < corner) != (left < corner);
    uint8_t from_corner = is_between ? distance(from_left, from_above) : 255;
    uint8_t nearer = from_above <= from_corner ? above : corner;

    return from_left <= from_above && from_left <= from_corner ? left : nearer;
}

static void filter_paeth(uint8_t *restrict out, const uint8_t *restrict row,
                         const uint8_t *restrict prior, size_t len, size_t bpp)
{
    for (size_t i = 0; i < bpp; i++)
        out[i] = (uint8_t)(row[i] - prior[i]);
    for (size_t i = bpp; i < len; i++)
        out[i] =
            (uint8_t)(row[i] - predict(row[i - bpp], prior[i], prior[i - bpp]));
}

/* Bytes of one sample each, most significant bits first (PNG 7.2). */
static void pack_row(uint8_t *out, const uint8_t *row, size_t width_px,
                     unsigned depth)
{
    size_t per_byte = 8 / depth;

    for (size_t i = 0; i < width_px; i += per_byte) {
        size_t count = size_min(per_byte, width_px - i);
        unsigned byte = 0;

        for (size_t k = 0; k < count; k++)
            byte |= (unsigned)row[i + k] << (8 - depth * (k + 1));
        *out++ = (uint8_t)byte;
    }
}

static void filter_row(struct png_writer *w, const uint8_t *row)
{
    uint8_t *out = w->line + 1;
    size_t len = w->row_bytes;

    w->line[0] = (uint8_t)w->image.filter;
    if (w->image.format.depth < 8) {
        pack_row(out, row, w->image.width_px, w->image.format.depth);
        return;
    }
    if (w->image.filter == PNG_WRITER_NONE) {
        memcpy(out, row, len);
        return;
    }
    filter_paeth(out, row, w->prior, len, w->filter_bytes);
    memcpy(w->prior, row, len);
}

/* ---- the writer */

/* Bytes of a row in the file, without the filter byte. */
static bool file_row_bytes(uint32_t width_px, const struct pixel_format *format,
                           size_t *bytes)
{
    size_t bits;

    if (!size_mul(width_px, pixel_file_bits(format), &bits))
        return false;
    *bytes = bits / 8 + (bits % 8 > 0);
    return true;
}

enum status png_writer_new(struct png_writer **out,
                           const struct png_image *image,
                           const struct byte_sink *sink)
{
    struct png_writer *w;
    enum status status = STATUS_NO_MEMORY;

    if (image->width_px == 0 || image->height_px == 0 ||
        (image->filter != PNG_WRITER_NONE && image->format.depth != 8))
        return STATUS_BUG;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return STATUS_NO_MEMORY;
    w->image = *image;
    w->sink = *sink;
    w->filter_bytes = pixel_bytes(&image->format);
    if (!file_row_bytes(image->width_px, &image->format, &w->row_bytes))
        goto fail;
    if (image->copies) {
        *out = w;
        return STATUS_OK;
    }
    w->line = malloc(w->row_bytes + 1);
    w->prior = calloc(1, w->row_bytes);
    if (w->line == NULL || w->prior == NULL)
        goto fail;
    status = deflate_new(&w->deflate, image->deflate,
                         &(struct byte_sink){gather_idat, w});
    if (status != STATUS_OK)
        goto fail;
    *out = w;
    return STATUS_OK;
fail:
    png_writer_free(w);
    return status;
}

void png_writer_free(struct png_writer *w)
{
    if (w == NULL)
        return;
    deflate_free(w->deflate);
    free(w->line);
    free(w->prior);
    free(w);
}

enum status png_writer_row(struct png_writer *w, const uint8_t *row)
{
    enum status status = STATUS_OK;

    if (w->rows == w->image.height_px || w->image.copies)
        return STATUS_BUG;
    if (w->rows++ == 0)
        status = write_head(w);
    if (status != STATUS_OK)
        return status;
    filter_row(w, row);
    return deflate_write(w->deflate, w->line, w->row_bytes + 1);
}

/* Deflate, 32 KB window, no dictionary (RFC 1950 2.2). */
enum status png_writer_packed(struct png_writer *w, const uint8_t *bytes,
                              size_t len)
{
    static const uint8_t head[] = {0x78, 0x01};
    enum status status = STATUS_OK;

    if (!w->image.copies)
        return STATUS_BUG;
    if (w->packed_bytes == 0)
        status = write_head(w);
    for (; status == STATUS_OK && len > 0 && w->packed_bytes < sizeof(head);
         bytes++, len--)
        status = gather_idat(w, &head[w->packed_bytes++], 1);
    w->packed_bytes += len;
    return status == STATUS_OK ? gather_idat(w, bytes, len) : status;
}

enum status png_writer_finish(struct png_writer *w)
{
    uint8_t iend[CHUNK_EXTRA_BYTES];
    enum status status = STATUS_OK;

    if (w->image.copies ? w->packed_bytes == 0 : w->rows != w->image.height_px)
        return STATUS_BUG;
    if (!w->image.copies)
        status = deflate_finish(w->deflate);
    if (status == STATUS_OK)
        status = flush_idat(w);
    if (status != STATUS_OK)
        return status;
    seal_chunk(iend, "IEND", 0);
    return w->sink.write(w->sink.arg, iend, sizeof(iend));
}

bool png_writer_bound(uint32_t width_px, uint32_t height_px,
                      const struct pixel_format *format, size_t *bytes)
{
    size_t fixed = HEAD_MAX_BYTES - 4 * PALETTE_MAX - 2 * CHUNK_EXTRA_BYTES +
                   CHUNK_EXTRA_BYTES; /* signature, IHDR, IEND */
    size_t total;

    if (format->kind == PIXEL_INDEXED)
        fixed += 2 * CHUNK_EXTRA_BYTES + ((size_t)3 << format->depth) +
                 format->alpha_count;
    else if (format->has_key)
        fixed += CHUNK_EXTRA_BYTES + 2;
    if (!file_row_bytes(width_px, format, &total) ||
        !size_add(total, 1, &total) || !size_mul(total, height_px, &total) ||
        !deflate_bound(total, &total))
        return false;
    fixed += (total / IDAT_BYTES + 1) * CHUNK_EXTRA_BYTES;
    return size_add(total, fixed, bytes);
}
