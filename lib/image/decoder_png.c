/*
 * decoder_png.c: a filter over chunks, with libpng behind it.
 *
 *   HEAD -> CHUNK -+-> FEED -> CHUNK ...        what libpng has to see
 *                  +-> SKIP -> CHUNK ...        what nobody has to see
 *                  +-> CHUNK                    read here: eXIf, colours
 *   after IEND: DONE, or EMIT -> DONE if interlaced
 *   input ends early: FILL -> DONE if the client takes it so
 *
 * HEAD needs signature and IHDR in one piece, CHUNK a chunk's length and name,
 * so they answer MORE and leave those bytes in the input until they are whole.
 *
 * IDAT goes to libpng in small pieces: deflate expands up to 1032 times, and
 * libpng does not return before a piece is used up. (Stopping it from the row
 * callback with png_process_data_pause() is no way: it forgets where in the
 * IDAT it was.) The piece is sized so that even then it is a slice's worth, and
 * a chunk is always cut into the same ones, however its bytes arrive: what
 * libpng makes of a damaged stream depends on them.
 *
 * libpng reports errors by a call that must not return: on_error() jumps back
 * to decode(), the only place with a setjmp.
 *
 * Whether the zlib stream is sound is libpng's word, too: it warns of bytes
 * behind the stream, of output behind the last row and of a wrong checksum, and
 * it fails if another chunk follows IDAT before the stream has ended. Hence all
 * rows, IEND and no warning since the first IDAT are enough. (With a libpng
 * that was built without warnings test_image_copy fails.)
 */
#include "decoder_png.h"

#include "deflate.h"
#include "exif.h"

#include <png.h>
#include <setjmp.h>

#define HEAD_BYTES 33 /* signature and IHDR */
#define CHUNK_HEAD_BYTES 8
#define CRC_BYTES 4
#define CHUNK_LENGTH_MAX 0x7fffffff /* PNG 5.3 */
#define DEFLATE_RATIO_MAX 1032
#define PASSES 7              /* of Adam7 */
#define PIECE_BYTES 1024      /* before the pixels */
#define BYTES_PER_BUDGET_PX 4 /* input that makes no rows costs time too */

enum png_state {
    STATE_HEAD,
    STATE_CHUNK,
    STATE_FEED,
    STATE_SKIP,
    STATE_EMIT,
    STATE_FILL,
    STATE_DONE,
};

struct png {
    struct decoder base;
    struct decoder_limits limits;
    struct decoder_client client;
    struct decoder_input *input; /* of the decode() that runs */
    enum png_state state;
    enum status failure;
    jmp_buf escape;
    png_structp reader;
    png_infop info;
    size_t chunk_left; /* of a chunk that is fed or skipped, with its CRC */
    bool is_idat;      /* that chunk is */
    size_t piece_bytes;
    uint8_t orientation;
    struct colour_tags colour;
    bool is_srgb; /* says sRGB: then gAMA and cHRM are mere approximations */
    uint32_t width_px, height_px;
    size_t row_bytes;
    uint8_t *filler; /* a row in the place of those that were cut off */
    struct pixel_format format;
    uint8_t *picture; /* interlaced */
    uint32_t rows;    /* given to the client */
    bool has_ended;   /* IEND was seen */
    bool is_copied;
    bool has_warned; /* since the first IDAT */
};

/* ---- libpng's callbacks */

static _Noreturn void fail(struct png *png, enum status status)
{
    png->failure = status;
    longjmp(png->escape, 1);
}

static _Noreturn void on_error(png_structp reader, png_const_charp message)
{
    struct png *png = png_get_error_ptr(reader);

    (void)message;
    fail(png, png->failure == STATUS_NO_MEMORY ? STATUS_NO_MEMORY
                                               : STATUS_IMAGE_BROKEN);
}

/* Of a stream that is damaged behind the last row libpng either warns, or loses
 * that row if both are in one piece. It must not matter where pieces end. */
static void on_warning(png_structp reader, png_const_charp message)
{
    struct png *png = png_get_error_ptr(reader);

    if (str_eq(message, "Truncated compressed data in IDAT"))
        fail(png, STATUS_IMAGE_BROKEN);
    png->has_warned = true;
}

/* libpng calls a failed allocation an error like any other. */
static png_voidp on_malloc(png_structp reader, png_alloc_size_t size)
{
    struct png *png = png_get_mem_ptr(reader);
    void *memory = malloc(size);

    if (memory == NULL)
        png->failure = STATUS_NO_MEMORY;
    return memory;
}

static void on_free(png_structp reader, png_voidp memory)
{
    (void)reader;
    free(memory);
}

static void set_palette(struct png *png, struct pixel_format *format)
{
    png_colorp colors = NULL;
    png_bytep alpha = NULL;
    int count = 0;

    if (png_get_PLTE(png->reader, png->info, &colors, &count) != 0)
        for (int i = 0; i < count && i < PALETTE_MAX; i++) {
            format->palette[i][0] = colors[i].red;
            format->palette[i][1] = colors[i].green;
            format->palette[i][2] = colors[i].blue;
        }
    if (png_get_tRNS(png->reader, png->info, &alpha, &count, NULL) != 0) {
        format->alpha_count = (uint16_t)size_min((size_t)count, PALETTE_MAX);
        memcpy(format->alpha, alpha, format->alpha_count);
    }
}

/* A transparent gray of up to 8 bits stays exact; one of 16 bits would catch
 * its neighbours once it is 8, so that becomes alpha before. */
static void set_gray(struct png *png, struct pixel_format *format, int depth)
{
    png_color_16p color = NULL;

    if (png_get_tRNS(png->reader, png->info, NULL, NULL, &color) == 0)
        return;
    if (depth == 16) {
        png_set_tRNS_to_alpha(png->reader);
        format->kind = PIXEL_GRAY_ALPHA;
        return;
    }
    format->has_key = true;
    format->key = (uint8_t)(color->gray & ((1U << depth) - 1));
}

static void set_rgb(struct png *png, struct pixel_format *format)
{
    if (png_get_valid(png->reader, png->info, PNG_INFO_tRNS) == 0)
        return;
    png_set_tRNS_to_alpha(png->reader);
    format->kind = PIXEL_RGBA;
}

static void set_format(struct png *png, struct pixel_format *format)
{
    int depth = png_get_bit_depth(png->reader, png->info);

    *format = (struct pixel_format){.depth = (uint8_t)(depth < 8 ? depth : 8)};
    switch (png_get_color_type(png->reader, png->info)) {
    case PNG_COLOR_TYPE_PALETTE:
        format->kind = PIXEL_INDEXED;
        set_palette(png, format);
        break;
    case PNG_COLOR_TYPE_GRAY:
        format->kind = PIXEL_GRAY;
        set_gray(png, format, depth);
        break;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
        format->kind = PIXEL_GRAY_ALPHA;
        break;
    case PNG_COLOR_TYPE_RGB:
        format->kind = PIXEL_RGB;
        set_rgb(png, format);
        break;
    default:
        format->kind = PIXEL_RGBA;
        break;
    }
    png_set_packing(png->reader);
    png_set_scale_16(png->reader);
}

/* Input that can make about one slice of pixels at most; with the default slice
 * 7 bytes if a pixel is one bit, 508 if it is 64. */
static size_t piece_for(const struct png *png)
{
    size_t bits = (size_t)png_get_bit_depth(png->reader, png->info) *
                  png_get_channels(png->reader, png->info);

    size_t bytes = (size_t)png->limits.slice_px * bits / 8 / DEFLATE_RATIO_MAX;

    return bytes > 0 ? bytes : 1;
}

static void make_picture(struct png *png)
{
    size_t bytes;

    if (!size_mul(png->row_bytes, png->height_px, &bytes))
        fail(png, STATUS_IMAGE_TOO_MUCH_MEMORY);
    png->picture = calloc(1, bytes);
    if (png->picture == NULL)
        fail(png, STATUS_NO_MEMORY);
}

/* The profile goes before sRGB, and that before the rest (PNG 11.3.3). */
static void set_colour(struct png *png, struct colour_tags *tags)
{
    png_charp name = NULL;
    png_bytep profile = NULL;
    png_uint_32 len = 0;
    int compression = 0;

    if (!png->is_srgb)
        *tags = png->colour;
    if (png_get_iCCP(png->reader, png->info, &name, &compression, &profile,
                     &len) == 0)
        return;
    tags->profile = profile;
    tags->profile_bytes = len;
}

/* Whether the rows of the file are those of `header`: 16 bits become 8, and a
 * transparent colour becomes alpha. */
static bool can_copy(const struct png *png, const struct decoder_header *header)
{
    return !header->progressive &&
           png_get_bit_depth(png->reader, png->info) <= 8 &&
           png_get_channels(png->reader, png->info) ==
               pixel_bytes(&header->format);
}

/* A wrong checksum of the stream would be such damage, but the chunks have
 * better ones: libpng need not look, unless the stream has to be sound. Not
 * every build of it can be told so; there such a picture may lose its last
 * row. */
static void ignore_checksum(png_structp reader)
{
#ifdef PNG_IGNORE_ADLER32
    (void)png_set_option(reader, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
#else
    (void)reader;
#endif
}

/* The first IDAT: everything about the picture is known. */
static void on_info(png_structp reader, png_infop info)
{
    struct png *png = png_get_progressive_ptr(reader);
    struct decoder_header header = {
        .width_px = png->width_px,
        .height_px = png->height_px,
        .orientation = png->orientation,
        .progressive =
            png_get_interlace_type(reader, info) != PNG_INTERLACE_NONE,
    };
    uint8_t eighths;
    enum status status;

    png->piece_bytes = piece_for(png);
    set_format(png, &header.format);
    set_colour(png, &header.colour);
    header.can_copy = can_copy(png, &header);
    png->row_bytes = png->width_px * pixel_bytes(&header.format);
    if (header.progressive &&
        !size_mul(png->row_bytes, png->height_px, &header.whole_picture_bytes))
        fail(png, STATUS_IMAGE_TOO_MUCH_MEMORY);
    status = png->client.header(png->client.arg, &header, &eighths);
    if (status != STATUS_OK)
        fail(png, status);
    if (header.progressive) {
        (void)png_set_interlace_handling(reader);
        make_picture(png);
    }
    png->format = header.format;
    png->is_copied =
        header.can_copy && png->client.wants_packed(png->client.arg);
    png->has_warned = false;
    if (!png->is_copied)
        ignore_checksum(reader);
    png_read_update_info(reader, info);
    if (png_get_rowbytes(reader, info) != png->row_bytes)
        fail(png, STATUS_BUG);
}

static void on_row(png_structp reader, png_bytep row, png_uint_32 y, int pass)
{
    struct png *png = png_get_progressive_ptr(reader);
    enum status status;

    (void)pass;
    if (y >= png->height_px || row == NULL)
        return;
    png->input->budget_px -= png->width_px;
    if (png->picture != NULL) {
        png_progressive_combine_row(reader, png->picture + y * png->row_bytes,
                                    row);
        return;
    }
    status = png->client.row(png->client.arg, row);
    if (status != STATUS_OK)
        fail(png, status);
    png->rows++;
}

static void on_end(png_structp reader, png_infop info)
{
    struct png *png = png_get_progressive_ptr(reader);

    (void)info;
    png->has_ended = true;
}

static enum status open_reader(struct png *png)
{
    png->reader = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, png, on_error,
                                           on_warning, png, on_malloc, on_free);
    if (png->reader == NULL)
        return STATUS_NO_MEMORY;
    png->info = png_create_info_struct(png->reader);
    if (png->info == NULL)
        return STATUS_NO_MEMORY;
    png_set_user_limits(png->reader, png->limits.width_max_px,
                        png->limits.height_max_px);
    png_set_chunk_malloc_max(png->reader, png->limits.chunk_max_bytes);
    png_set_crc_action(png->reader, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png->reader, 1);
    /* The writer pads the palette instead; see png_writer.c. */
    png_set_check_for_invalid_index(png->reader, 0);
    /* Some encoders declare a window smaller than the one they use. */
    (void)png_set_option(png->reader, PNG_MAXIMUM_INFLATE_WINDOW,
                         PNG_OPTION_ON);
    png_set_progressive_read_fn(png->reader, png, on_info, on_row, on_end);
    return STATUS_OK;
}

/* libpng's prototype lacks a const; it only reads. */
static void feed(struct png *png, size_t len)
{
    struct decoder_input *input = png->input;

    png_process_data(png->reader, png->info, (png_bytep)(uintptr_t)input->bytes,
                     len);
    input->bytes += len;
    input->len -= len;
}

/* ---- chunks; OK means go on with the state that was set */

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

static bool has_name(const uint8_t *chunk, const char *name)
{
    return memcmp(chunk + 4, name, 4) == 0;
}

/* Dimensions are judged before libpng sees them: it knows one error for all. */
static enum status read_head(struct png *png)
{
    const uint8_t *ihdr = png->input->bytes + 8;
    enum status status;

    if (png->input->len < HEAD_BYTES)
        return STATUS_MORE;
    if (has_name(ihdr, "CgBI")) /* Apple's variant, only for its own devices */
        return STATUS_IMAGE_UNSUPPORTED;
    if (!has_name(ihdr, "IHDR"))
        return STATUS_IMAGE_BROKEN;
    png->width_px = get_u32(ihdr + CHUNK_HEAD_BYTES);
    png->height_px = get_u32(ihdr + CHUNK_HEAD_BYTES + 4);
    status = decoder_check_size(&png->limits, png->width_px, png->height_px);
    if (status == STATUS_OK)
        status = open_reader(png);
    if (status != STATUS_OK)
        return status;
    feed(png, HEAD_BYTES);
    png->state = STATE_CHUNK;
    return STATUS_OK;
}

/* PNG 11.3.3.1 and 11.3.3.2. */
static void read_colour(struct png *png, const uint8_t *chunk, size_t len)
{
    const uint8_t *data = chunk + CHUNK_HEAD_BYTES;

    if (has_name(chunk, "sRGB"))
        png->is_srgb = true;
    if (has_name(chunk, "gAMA") && len == 4)
        png->colour.gamma_e5 = get_u32(data);
    if (!has_name(chunk, "cHRM") || len != 8 * COLOUR_POINTS)
        return;
    png->colour.has_points = true;
    for (size_t i = 0; i < 2 * COLOUR_POINTS; i++)
        png->colour.points_e5[i / 2][i % 2] = get_u32(data + 4 * i);
}

/* What has to be whole in the input before it is read. */
static bool is_held(const uint8_t *chunk)
{
    static const char *const names[] = {"eXIf", "iCCP", "sRGB", "gAMA", "cHRM"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (has_name(chunk, names[i]))
            return true;
    return false;
}

/*
 * A bad checksum makes the chunk nobody's word. Of these only iCCP goes to
 * libpng, which inflates it as far as the profile's header says, that being
 * below chunk_max_bytes, and to which any fault in it is but a warning. After
 * the first IDAT it would only disturb.
 */
static enum status read_held(struct png *png, size_t len)
{
    struct decoder_input *input = png->input;
    const uint8_t *chunk = input->bytes;
    size_t whole = CHUNK_HEAD_BYTES + len + CRC_BYTES;
    bool is_sound;

    if (input->len < whole)
        return STATUS_MORE;
    is_sound = deflate_crc32(0, chunk + 4, len + 4) ==
               get_u32(chunk + CHUNK_HEAD_BYTES + len);
    if (is_sound && has_name(chunk, "iCCP") && png->row_bytes == 0) {
        feed(png, whole);
        return STATUS_OK;
    }
    if (is_sound && has_name(chunk, "eXIf"))
        png->orientation = exif_orientation(chunk + CHUNK_HEAD_BYTES, len);
    else if (is_sound)
        read_colour(png, chunk, len);
    input->bytes += whole;
    input->len -= whole;
    return STATUS_OK;
}

static bool is_for_libpng(const uint8_t *chunk)
{
    return has_name(chunk, "IDAT") || has_name(chunk, "PLTE") ||
           has_name(chunk, "tRNS") || has_name(chunk, "IEND") ||
           has_name(chunk, "IHDR");
}

/* An upper case first letter means that no picture can be had without
 * understanding the chunk (PNG 5.4). */
static bool is_critical(const uint8_t *chunk)
{
    return (chunk[4] & 0x20) == 0;
}

static enum status read_chunk(struct png *png)
{
    const uint8_t *chunk = png->input->bytes;
    bool fed;
    size_t len;

    if (png->input->len < CHUNK_HEAD_BYTES)
        return STATUS_MORE;
    len = get_u32(chunk);
    fed = is_for_libpng(chunk);
    if (len > CHUNK_LENGTH_MAX)
        return STATUS_IMAGE_BROKEN;
    if (!fed && is_critical(chunk))
        return STATUS_IMAGE_UNSUPPORTED;
    if (len > png->limits.chunk_max_bytes && !has_name(chunk, "IDAT") &&
        (fed || has_name(chunk, "eXIf")))
        return STATUS_IMAGE_CHUNK_TOO_LARGE;
    if (is_held(chunk) && len <= png->limits.chunk_max_bytes)
        return read_held(png, len);
    if (fed) {
        feed(png, CHUNK_HEAD_BYTES); /* the first IDAT's: sets piece_bytes */
    } else {
        png->input->bytes += CHUNK_HEAD_BYTES;
        png->input->len -= CHUNK_HEAD_BYTES;
    }
    png->chunk_left = len + CRC_BYTES;
    png->is_idat = has_name(chunk, "IDAT");
    png->state = fed ? STATE_FEED : STATE_SKIP;
    return STATUS_OK;
}

/* libpng takes a deflate stream that ends early for a whole one. */
static enum status finish_reading(struct png *png)
{
    bool whole = png->picture != NULL
                     ? png_get_current_pass_number(png->reader) >= PASSES
                     : png->rows == png->height_px;

    png->state = png->picture != NULL ? STATE_EMIT : STATE_DONE;
    if (whole && png->is_copied && !png->has_warned)
        png->client.sound(png->client.arg);
    return whole ? STATUS_OK : STATUS_IMAGE_BROKEN;
}

/* libpng has seen these `len` bytes of a chunk, which begin with the last
 * `left` of it; those that are no checksum are the client's. */
static enum status pass_on(const struct png *png, const uint8_t *bytes,
                           size_t len, size_t left)
{
    size_t packed = left > CRC_BYTES ? size_min(len, left - CRC_BYTES) : 0;

    return png->is_copied && png->is_idat && packed > 0
               ? png->client.packed(png->client.arg, bytes, packed)
               : STATUS_OK;
}

static enum status feed_chunk(struct png *png)
{
    struct decoder_input *input = png->input;

    while (png->chunk_left > 0) {
        size_t left = png->chunk_left;
        size_t len = size_min(left, png->piece_bytes);
        const uint8_t *bytes = input->bytes;
        enum status status;

        if (input->len < len && (!input->ended || input->len == 0))
            return STATUS_MORE;
        if (input->budget_px <= 0)
            return STATUS_AGAIN;
        len = size_min(len, input->len);
        png->chunk_left -= len;
        input->budget_px -= (int64_t)(len / BYTES_PER_BUDGET_PX);
        feed(png, len);
        status = pass_on(png, bytes, len, left);
        if (status != STATUS_OK)
            return status;
    }
    png->state = STATE_CHUNK;
    return png->has_ended ? finish_reading(png) : STATUS_OK;
}

static enum status skip_chunk(struct png *png)
{
    struct decoder_input *input = png->input;
    size_t len = size_min(png->chunk_left, input->len);

    input->bytes += len;
    input->len -= len;
    png->chunk_left -= len;
    if (png->chunk_left > 0)
        return STATUS_MORE;
    png->state = STATE_CHUNK;
    return STATUS_OK;
}

static enum status emit_picture(struct png *png)
{
    while (png->rows < png->height_px) {
        enum status status;

        if (png->input->budget_px <= 0)
            return STATUS_AGAIN;
        status = png->client.row(png->client.arg,
                                 png->picture + png->rows * png->row_bytes);
        if (status != STATUS_OK)
            return status;
        png->rows++;
        png->input->budget_px -= png->width_px;
    }
    png->state = STATE_DONE;
    return STATUS_OK;
}

/* ---- pictures that end early */

/* Transparent where the format can say so, else mid gray or what is next to it
 * in the palette. */
static uint8_t filler_sample(const struct pixel_format *format)
{
    unsigned best = 0;
    long least = INT32_MAX;

    if (format->kind == PIXEL_RGBA || format->kind == PIXEL_GRAY_ALPHA)
        return 0;
    if (format->kind == PIXEL_GRAY && format->has_key)
        return format->key;
    if (format->kind != PIXEL_INDEXED)
        return (uint8_t)(1U << (format->depth - 1));
    for (unsigned i = 0; i < 1U << format->depth; i++) {
        long distance = 0;

        for (size_t k = 0; k < 3; k++)
            distance += labs((long)format->palette[i][k] - 128);
        if (i < format->alpha_count && format->alpha[i] == 0)
            return (uint8_t)i;
        if (distance < least) {
            least = distance;
            best = i;
        }
    }
    return (uint8_t)best;
}

/* The passes of an interlaced picture each bring a share of all rows: it is
 * refused. */
static enum status end_early(struct png *png)
{
    enum status status;

    if (png->picture != NULL || png->row_bytes == 0)
        return STATUS_MORE;
    if (png->rows == png->height_px) {
        png->state = STATE_DONE;
        return STATUS_OK;
    }
    status = png->client.cut(png->client.arg, (unsigned)((uint64_t)png->rows *
                                                         100 / png->height_px));
    if (status != STATUS_OK)
        return status;
    png->filler = malloc(png->row_bytes);
    if (png->filler == NULL)
        return STATUS_NO_MEMORY;
    memset(png->filler, filler_sample(&png->format), png->row_bytes);
    png->state = STATE_FILL;
    return STATUS_OK;
}

static enum status fill_rows(struct png *png)
{
    while (png->rows < png->height_px) {
        enum status status;

        if (png->input->budget_px <= 0)
            return STATUS_AGAIN;
        status = png->client.row(png->client.arg, png->filler);
        if (status != STATUS_OK)
            return status;
        png->rows++;
        png->input->budget_px -= png->width_px;
    }
    png->state = STATE_DONE;
    return STATUS_OK;
}

/* ---- operations */

static enum status advance(struct png *png)
{
    static enum status (*const steps[])(struct png *) = {
        [STATE_HEAD] = read_head,    [STATE_CHUNK] = read_chunk,
        [STATE_FEED] = feed_chunk,   [STATE_SKIP] = skip_chunk,
        [STATE_EMIT] = emit_picture, [STATE_FILL] = fill_rows,
    };
    enum status status = STATUS_OK;

    while (status == STATUS_OK && png->state != STATE_DONE) {
        status = steps[png->state](png);
        if (status == STATUS_MORE && png->input->ended)
            status = end_early(png);
    }
    return status;
}

static enum status decode(struct decoder *decoder, struct decoder_input *input)
{
    struct png *png = CONTAINER_OF(decoder, struct png, base);

    png->input = input;
    if (setjmp(png->escape) != 0)
        return png->failure;
    return advance(png);
}

static void destroy(struct decoder *decoder)
{
    struct png *png = CONTAINER_OF(decoder, struct png, base);

    png_destroy_read_struct(&png->reader, &png->info, NULL);
    free(png->picture);
    free(png->filler);
    free(png);
}

static enum status create(struct decoder **out,
                          const struct decoder_limits *limits,
                          const struct decoder_client *client)
{
    struct png *png = calloc(1, sizeof(*png));

    if (png == NULL)
        return STATUS_NO_MEMORY;
    png->base.ops = &decoder_png;
    png->limits = *limits;
    png->client = *client;
    png->orientation = ORIENTATION_UPRIGHT;
    png->piece_bytes = PIECE_BYTES;
    *out = &png->base;
    return STATUS_OK;
}

const struct decoder_ops decoder_png = {
    .create = create,
    .decode = decode,
    .destroy = destroy,
};
