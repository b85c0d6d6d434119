/*
 * check_png.c: first a walk over the chunks (structure, names, the end), then
 * libpng's decoder over the same bytes (checksums, zlib stream, rows).
 */
#include "check_png.h"

#include <setjmp.h>

#include <png.h>

#include "sim_limits.h"

#define SIGNATURE_BYTES 8
#define CHUNK_FRAME_BYTES 12 /* length, type, CRC */

static const uint8_t signature[SIGNATURE_BYTES] = {137, 'P',  'N', 'G',
                                                   13,  '\n', 26,  '\n'};

/* What libpng reads from and complains to. */
struct source {
    const uint8_t *bytes;
    size_t len;
    size_t pos;
    char *why;
    size_t why_size;
    bool ended_early;
};

static enum status refuse(char *why, size_t why_size, enum status status,
                          const char *words)
{
    (void)snprintf(why, why_size, "%s", words);
    return status;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static void note_chunk(struct png_facts *facts, const uint8_t *type)
{
    static const char *const expected[] = {"IHDR", "PLTE", "IDAT", "IEND",
                                           "tRNS"};
    char name[5] = {0};
    size_t len = strlen(facts->extra_chunks);

    for (size_t i = 0; i < 4; i++)
        name[i] = (char)(type[i] >= 'A' && type[i] <= 'z' ? type[i] : '?');
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        if (str_eq(name, expected[i]))
            return;
    }
    if (strstr(facts->extra_chunks, name) != NULL)
        return;
    (void)snprintf(facts->extra_chunks + len, sizeof(facts->extra_chunks) - len,
                   "%s%s", len > 0 ? " " : "", name);
}

/* From the signature to IEND, which must be the end of the file. */
static enum status walk_chunks(const uint8_t *bytes, size_t len,
                               struct png_facts *facts, char *why,
                               size_t why_size)
{
    size_t pos = SIGNATURE_BYTES;

    if (len < SIGNATURE_BYTES || memcmp(bytes, signature, sizeof(signature)))
        return refuse(why, why_size, STATUS_NOT_AN_IMAGE, "not a PNG");
    while (len - pos >= CHUNK_FRAME_BYTES) {
        size_t data = be32(bytes + pos);
        const uint8_t *type = bytes + pos + 4;

        if (data > len - pos - CHUNK_FRAME_BYTES)
            break;
        note_chunk(facts, type);
        pos += data + CHUNK_FRAME_BYTES;
        if (memcmp(type, "IEND", 4) != 0)
            continue;
        if (pos != len)
            return refuse(why, why_size, STATUS_IMAGE_BROKEN,
                          "bytes follow IEND");
        return STATUS_OK;
    }
    return refuse(why, why_size, STATUS_IMAGE_TRUNCATED, "ends before IEND");
}

static void on_error(png_structp png, png_const_charp message)
{
    struct source *source = png_get_error_ptr(png);

    (void)snprintf(source->why, source->why_size, "libpng: %s", message);
    longjmp(png_jmpbuf(png), 1);
}

/* A warning is a blemish that a reader tolerates: not an error here either. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep out, size_t len)
{
    struct source *source = png_get_io_ptr(png);

    if (len > source->len - source->pos) {
        source->ended_early = true;
        png_error(png, "ends too early");
    }
    memcpy(out, source->bytes + source->pos, len);
    source->pos += len;
}

static void read_facts(png_structp png, png_infop info, struct png_facts *facts)
{
    png_read_info(png, info);
    facts->width_px = (int32_t)png_get_image_width(png, info);
    facts->height_px = (int32_t)png_get_image_height(png, info);
    facts->bit_depth = png_get_bit_depth(png, info);
    facts->colour_type = png_get_color_type(png, info);
    facts->interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
    if ((int64_t)facts->width_px * facts->height_px > SIM_PIXELS_MAX)
        png_error(png, "too many pixels");
}

/*
 * All passes into one row: interlaced pictures are decoded as sparse passes,
 * which checks the stream as well as a whole picture would.
 */
static void read_rows(png_structp png, png_infop info, png_bytep row)
{
    int passes = png_set_interlace_handling(png);
    uint32_t height = png_get_image_height(png, info);

    for (int pass = 0; pass < passes; pass++) {
        for (uint32_t y = 0; y < height; y++)
            png_read_row(png, row, NULL);
    }
    png_read_end(png, NULL);
}

static enum status decode(struct source *source, struct png_facts *facts)
{
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, source,
                                             on_error, on_warning);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    png_bytep volatile row = NULL;
    enum status volatile status = STATUS_NO_MEMORY;

    if (info == NULL)
        goto out;
    if (setjmp(png_jmpbuf(png)) != 0) {
        status =
            source->ended_early ? STATUS_IMAGE_TRUNCATED : STATUS_IMAGE_BROKEN;
        goto out;
    }
    png_set_user_limits(png, SIM_SIDE_MAX, SIM_SIDE_MAX);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_read_fn(png, source, on_read);
    read_facts(png, info, facts);
    row = malloc(png_get_rowbytes(png, info));
    if (row == NULL)
        goto out;
    read_rows(png, info, row);
    status = STATUS_OK;
out:
    free(row);
    png_destroy_read_struct(&png, &info, NULL);
    return status;
}

enum status check_png(const void *bytes, size_t len, struct png_facts *facts,
                      char *why, size_t why_size)
{
    struct source source = {
        .bytes = bytes, .len = len, .why = why, .why_size = why_size};
    enum status status;

    *facts = (struct png_facts){0};
    (void)snprintf(why, why_size, "%s", "");
    status = walk_chunks(bytes, len, facts, why, why_size);
    if (status != STATUS_OK)
        return status;
    status = decode(&source, facts);
    if (status == STATUS_NO_MEMORY)
        return refuse(why, why_size, status, "out of memory");
    return status;
}
