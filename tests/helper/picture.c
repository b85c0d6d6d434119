/*
 * picture.c: JPEG by libjpeg; PNG by hand (signature, IHDR, one IDAT, IEND), so
 * that the decoder is not tested with its own library's writer.
 */
#include "picture.h"

#include <jpeglib.h>
#include <zlib.h>

#define CHANNELS 3

static void fill_row(uint8_t *row, uint32_t width_px, uint32_t y,
                     uint32_t *noise)
{
    for (uint32_t x = 0; x < width_px; x++) {
        *noise = *noise * 1664525 + 1013904223;
        row[x * CHANNELS] = (uint8_t)(x / 4 + (*noise >> 26));
        row[x * CHANNELS + 1] = (uint8_t)(y / 4 + (*noise >> 20 & 0x3f));
        row[x * CHANNELS + 2] = (uint8_t)((x + y) / 8);
    }
}

static void write_jpeg(struct jpeg_compress_struct *jpeg, uint8_t *row,
                       bool progressive)
{
    uint32_t noise = 1;

    jpeg->input_components = CHANNELS;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    if (progressive)
        jpeg_simple_progression(jpeg);
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        fill_row(row, jpeg->image_width, jpeg->next_scanline, &noise);
        (void)jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

bool picture_jpeg(struct buf *out, uint32_t width_px, uint32_t height_px,
                  bool progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    uint8_t *row = malloc((size_t)width_px * CHANNELS);
    unsigned char *bytes = NULL;
    unsigned long len = 0;
    enum status status;

    if (row == NULL)
        return false;
    jpeg.err = jpeg_std_error(&errors); /* exits: the test fails */
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &len);
    jpeg.image_width = width_px;
    jpeg.image_height = height_px;
    write_jpeg(&jpeg, row, progressive);
    jpeg_destroy_compress(&jpeg);
    status = buf_append(out, bytes, len);
    free(bytes);
    free(row);
    return status == STATUS_OK;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

/* PNG specification 5.3: length, type, data, CRC of type and data. */
static bool put_chunk(struct buf *out, const char *type, const uint8_t *data,
                      size_t len)
{
    uint8_t word[4];
    uLong crc = crc32(0, (const Bytef *)type, 4);

    if (len > 0)
        crc = crc32(crc, data, (uInt)len);
    put_u32(word, (uint32_t)len);
    if (buf_append(out, word, 4) != STATUS_OK ||
        buf_append(out, type, 4) != STATUS_OK ||
        buf_append(out, data, len) != STATUS_OK)
        return false;
    put_u32(word, (uint32_t)crc);
    return buf_append(out, word, 4) == STATUS_OK;
}

bool picture_png_head(struct buf *out, uint32_t width_px, uint32_t height_px)
{
    static const uint8_t signature[] = {0x89, 'P',  'N',  'G',
                                        '\r', '\n', 0x1a, '\n'};
    uint8_t header[13] = {0};

    put_u32(header, width_px);
    put_u32(header + 4, height_px);
    header[8] = 8; /* bits per sample */
    header[9] = 2; /* RGB */
    return buf_append(out, signature, sizeof(signature)) == STATUS_OK &&
           put_chunk(out, "IHDR", header, sizeof(header));
}

bool picture_png(struct buf *out, uint32_t width_px, uint32_t height_px)
{
    size_t row_bytes = 1 + (size_t)width_px * CHANNELS;
    size_t raw_bytes = row_bytes * height_px;
    uLongf packed_bytes = compressBound(raw_bytes);
    uint8_t *raw = calloc(1, raw_bytes);
    uint8_t *packed = malloc(packed_bytes);
    uint32_t noise = 1;
    bool good = false;

    if (raw != NULL && packed != NULL) {
        for (uint32_t y = 0; y < height_px; y++)
            fill_row(raw + y * row_bytes + 1, width_px, y, &noise);
        good = compress2(packed, &packed_bytes, raw, raw_bytes, 1) == Z_OK &&
               picture_png_head(out, width_px, height_px) &&
               put_chunk(out, "IDAT", packed, packed_bytes) &&
               put_chunk(out, "IEND", NULL, 0);
    }
    free(raw);
    free(packed);
    return good;
}

bool picture_png_size(const void *bytes, size_t len, uint32_t *width_px,
                      uint32_t *height_px)
{
    const uint8_t *at = bytes;

    if (len < 24 || memcmp(at, "\x89PNG\r\n\x1a\n", 8) != 0 ||
        memcmp(at + 12, "IHDR", 4) != 0)
        return false;
    *width_px = get_u32(at + 16);
    *height_px = get_u32(at + 20);
    return true;
}
