/*
 * decoder_gif.c: blocks up to the first frame, then its rows.
 *
 *   HEAD -> [GLOBAL] -> BLOCK -> FRAME -> [LOCAL] -> START -+-> ROWS -> DONE
 *                       ^   v                               +-> GATHER -> ROWS
 *                       [SKIP]                              interlaced
 *
 * HEAD is the logical screen, SKIP any extension but the transparent colour,
 * FRAME the image descriptor. START tells the client. ROWS fills one row of the
 * screen after the other; GATHER puts the rows of an interlaced frame where
 * they belong first.
 *
 * A code may stand for 4,000 pixels and these for as many rows, so a string
 * that is not used up yet waits (`string`) while the budget is.
 */
#include "decoder_gif.h"

#include "lzw.h"

#define HEAD_BYTES 13
#define FRAME_BYTES 10 /* with its separator */
#define CONTROL_BYTES 8
#define BLOCK_EXTENSION 0x21
#define BLOCK_FRAME 0x2c
#define EXTENSION_CONTROL 0xf9 /* graphic control */
#define FLAG_PALETTE 0x80
#define FLAG_INTERLACED 0x40
#define FLAG_TRANSPARENT 0x01

enum gif_state {
    STATE_HEAD,
    STATE_GLOBAL,
    STATE_BLOCK,
    STATE_SKIP,
    STATE_FRAME,
    STATE_LOCAL,
    STATE_START,
    STATE_GATHER,
    STATE_ROWS,
    STATE_DONE,
};

/* On the screen. */
struct area {
    uint32_t left, top, width_px, height_px;
};

struct gif {
    struct decoder base;
    struct decoder_limits limits;
    struct decoder_client client;
    enum gif_state state;
    struct pixel_format format; /* indexed */
    unsigned palette_bits;      /* 0: there is none yet */
    int transparent;            /* -1: none */
    uint32_t width_px, height_px;
    struct area frame;      /* as stored */
    struct area visible;    /* its part on the screen */
    bool interlaced, rgba;  /* rgba: the rows are not indexed */
    struct pixel_table rgb; /* if so */
    uint8_t *line;          /* indices of a row of the visible frame */
    size_t line_px;         /* decoded of the frame's row; may be beyond it */
    uint8_t *row;           /* of the screen, for the client */
    uint8_t *picture;       /* interlaced: the visible frame */
    unsigned pass;
    uint32_t frame_row; /* of the next line */
    uint32_t rows;      /* given to the client */
    size_t block_left;  /* of a sub-block */
    struct lzw_string string;
    struct lzw lzw;
};

static uint32_t get_u16(const uint8_t *at)
{
    return (uint32_t)at[1] << 8 | at[0];
}

static void take(struct decoder_input *input, size_t len)
{
    input->bytes += len;
    input->len -= len;
}

/* ---- up to the frame; OK means go on with the state that was set */

/* Colours are 2^(1 + the lowest three bits of the flags). */
static unsigned palette_bits_of(uint8_t flags)
{
    return (flags & FLAG_PALETTE) != 0 ? (flags & 7U) + 1 : 0;
}

static enum status read_head(struct gif *gif, struct decoder_input *input)
{
    const uint8_t *head = input->bytes;

    if (input->len < HEAD_BYTES)
        return STATUS_MORE;
    gif->width_px = get_u16(head + 6);
    gif->height_px = get_u16(head + 8);
    gif->palette_bits = palette_bits_of(head[10]);
    take(input, HEAD_BYTES);
    gif->state = gif->palette_bits > 0 ? STATE_GLOBAL : STATE_BLOCK;
    return decoder_check_size(&gif->limits, gif->width_px, gif->height_px);
}

static enum status read_palette(struct gif *gif, struct decoder_input *input)
{
    size_t bytes = (size_t)3 << gif->palette_bits;

    if (input->len < bytes)
        return STATUS_MORE;
    memset(gif->format.palette, 0, sizeof(gif->format.palette));
    memcpy(gif->format.palette, input->bytes, bytes);
    take(input, bytes);
    gif->state = gif->state == STATE_GLOBAL ? STATE_BLOCK : STATE_START;
    return STATUS_OK;
}

/* A graphic control that is cut short or too long is skipped as any other. */
static enum status read_extension(struct gif *gif, struct decoder_input *input)
{
    const uint8_t *at = input->bytes;

    if (input->len < CONTROL_BYTES)
        return STATUS_MORE;
    if (at[1] == EXTENSION_CONTROL && at[2] == 4)
        gif->transparent = (at[3] & FLAG_TRANSPARENT) != 0 ? at[6] : -1;
    take(input, 2);
    gif->state = STATE_SKIP;
    return STATUS_OK;
}

static enum status skip_blocks(struct gif *gif, struct decoder_input *input)
{
    for (;;) {
        size_t len = size_min(gif->block_left, input->len);

        take(input, len);
        gif->block_left -= len;
        if (input->len == 0)
            return STATUS_MORE;
        gif->block_left = *input->bytes;
        take(input, 1);
        if (gif->block_left == 0)
            break;
    }
    gif->state = STATE_BLOCK;
    return STATUS_OK;
}

/* The trailer, before any frame, is no better than a byte that is no block. */
static enum status read_block(struct gif *gif, struct decoder_input *input)
{
    if (input->len == 0)
        return STATUS_MORE;
    if (*input->bytes == BLOCK_EXTENSION)
        return read_extension(gif, input);
    gif->state = STATE_FRAME;
    return *input->bytes == BLOCK_FRAME ? STATUS_OK : STATUS_IMAGE_BROKEN;
}

/* ---- the frame */

static enum status place_frame(struct gif *gif)
{
    struct area *frame = &gif->frame;
    struct area *visible = &gif->visible;

    if (frame->width_px == 0 || frame->height_px == 0)
        return STATUS_IMAGE_BROKEN;
    if (gif->width_px == 0 || gif->height_px == 0) {
        gif->width_px = frame->width_px;
        gif->height_px = frame->height_px;
        frame->left = frame->top = 0;
    }
    if (frame->left >= gif->width_px || frame->top >= gif->height_px)
        return STATUS_IMAGE_BROKEN;
    *visible = *frame;
    if (visible->width_px > gif->width_px - frame->left)
        visible->width_px = gif->width_px - frame->left;
    if (visible->height_px > gif->height_px - frame->top)
        visible->height_px = gif->height_px - frame->top;
    return decoder_check_size(&gif->limits, frame->width_px, frame->height_px);
}

static enum status read_frame(struct gif *gif, struct decoder_input *input)
{
    const uint8_t *at = input->bytes;
    unsigned local_bits;

    if (input->len < FRAME_BYTES)
        return STATUS_MORE;
    gif->frame = (struct area){get_u16(at + 1), get_u16(at + 3),
                               get_u16(at + 5), get_u16(at + 7)};
    gif->interlaced = (at[9] & FLAG_INTERLACED) != 0;
    local_bits = palette_bits_of(at[9]);
    take(input, FRAME_BYTES);
    gif->state = STATE_START;
    if (local_bits > 0) {
        gif->palette_bits = local_bits;
        gif->state = STATE_LOCAL;
    }
    if (gif->palette_bits == 0)
        return STATUS_IMAGE_BROKEN;
    return place_frame(gif);
}

static bool fills_screen(const struct gif *gif)
{
    return gif->visible.width_px == gif->width_px &&
           gif->visible.height_px == gif->height_px;
}

/*
 * The depth holds every index that can come: pixels have root_bits, whatever
 * the palette has. What is free of the frame needs a transparent index: the
 * frame's own, or the first one that no pixel can have.
 */
static void set_format(struct gif *gif, unsigned root_bits)
{
    struct pixel_format *format = &gif->format;
    unsigned bits =
        gif->palette_bits > root_bits ? gif->palette_bits : root_bits;

    format->kind = PIXEL_INDEXED;
    if (gif->transparent >= 1 << bits)
        gif->transparent = -1;
    if (gif->transparent < 0 && !fills_screen(gif)) {
        gif->rgba = bits == 8;
        gif->transparent = gif->rgba ? -1 : 1 << bits;
        bits += gif->rgba ? 0 : 1;
    }
    format->depth = (uint8_t)(bits > 4 ? 8 : bits == 3 ? 4 : bits);
    if (gif->transparent < 0)
        return;
    memset(format->alpha, 255, (size_t)gif->transparent);
    format->alpha[gif->transparent] = 0;
    format->alpha_count = (uint16_t)(gif->transparent + 1);
}

static enum status tell_client(struct gif *gif)
{
    struct decoder_header header = {
        .width_px = gif->width_px,
        .height_px = gif->height_px,
        .orientation = 1,
        .progressive = gif->interlaced,
        .format = gif->format,
    };
    uint8_t eighths;

    if (gif->rgba)
        header.format = (struct pixel_format){.kind = PIXEL_RGBA, .depth = 8};
    if (gif->interlaced &&
        !size_mul(gif->visible.width_px, gif->visible.height_px,
                  &header.whole_picture_bytes))
        return STATUS_IMAGE_TOO_MUCH_MEMORY;
    return gif->client.header(gif->client.arg, &header, &eighths);
}

static enum status make_buffers(struct gif *gif)
{
    gif->line = malloc(gif->visible.width_px);
    gif->row = calloc(gif->width_px, 4);
    if (gif->interlaced)
        gif->picture = calloc(gif->visible.width_px, gif->visible.height_px);
    if (gif->line == NULL || gif->row == NULL ||
        (gif->interlaced && gif->picture == NULL))
        return STATUS_NO_MEMORY;
    if (gif->rgba)
        pixel_table_init(&gif->rgb, &gif->format);
    return STATUS_OK;
}

static enum status start(struct gif *gif, struct decoder_input *input)
{
    enum status status;
    unsigned root_bits;

    if (input->len == 0)
        return STATUS_MORE;
    root_bits = *input->bytes;
    take(input, 1);
    status = lzw_init(&gif->lzw, root_bits);
    if (status != STATUS_OK)
        return status;
    set_format(gif, root_bits);
    status = tell_client(gif);
    if (status == STATUS_OK)
        status = make_buffers(gif);
    gif->state = gif->interlaced ? STATE_GATHER : STATE_ROWS;
    return status;
}

/* ---- pixels */

/* The next code's string. A byte may hold more than one code, so the end of a
 * block is not the end of its codes. */
static enum status next_string(struct gif *gif, struct decoder_input *input)
{
    size_t len = size_min(gif->block_left, input->len);
    const uint8_t *bytes = input->bytes;
    size_t left = len;
    enum status status = lzw_next(&gif->lzw, &bytes, &left, &gif->string);

    take(input, len - left);
    gif->block_left -= len - left;
    input->budget_px--; /* codes that make no pixels cost time too */
    if (status != STATUS_MORE)
        return status;
    if (input->len == 0)
        return STATUS_MORE;
    gif->block_left = *input->bytes;
    take(input, 1);
    /* 0 is the end of the data, but not of the picture. */
    return gif->block_left > 0 ? STATUS_OK : STATUS_IMAGE_BROKEN;
}

/* Moves pixels into the line; those on the right of the screen get lost. */
static void use_string(struct gif *gif)
{
    size_t len = size_min(gif->string.len, gif->frame.width_px - gif->line_px);

    if (len == 0)
        return;
    if (gif->line_px < gif->visible.width_px)
        memcpy(gif->line + gif->line_px, gif->string.bytes,
               size_min(len, gif->visible.width_px - gif->line_px));
    gif->line_px += len;
    gif->string.bytes += len;
    gif->string.len -= len;
}

/* OK when the line is full. */
static enum status fill_line(struct gif *gif, struct decoder_input *input)
{
    enum status status = STATUS_OK;

    while (status == STATUS_OK) {
        use_string(gif);
        if (gif->line_px == gif->frame.width_px)
            break;
        if (input->budget_px <= 0)
            return STATUS_AGAIN;
        status = next_string(gif, input);
    }
    if (status != STATUS_OK)
        return status;
    gif->line_px = 0;
    input->budget_px -= gif->frame.width_px;
    return STATUS_OK;
}

/* GIF89a, appendix E. */
static bool next_frame_row(struct gif *gif)
{
    static const struct {
        uint8_t first, step;
    } passes[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};

    gif->frame_row += passes[gif->pass].step;
    while (gif->frame_row >= gif->frame.height_px) {
        if (++gif->pass == ARRAY_COUNT(passes))
            return false;
        gif->frame_row = passes[gif->pass].first;
    }
    return true;
}

static enum status gather(struct gif *gif, struct decoder_input *input)
{
    do {
        enum status status;

        if (input->budget_px <= 0)
            return STATUS_AGAIN;
        status = fill_line(gif, input);
        if (status != STATUS_OK)
            return status;
        if (gif->frame_row < gif->visible.height_px)
            memcpy(gif->picture +
                       (size_t)gif->frame_row * gif->visible.width_px,
                   gif->line, gif->visible.width_px);
    } while (next_frame_row(gif));
    gif->state = STATE_ROWS;
    return STATUS_OK;
}

/* `line` is NULL above and below the frame. */
static void compose_row(struct gif *gif, const uint8_t *line)
{
    const struct area *visible = &gif->visible;

    if (gif->rgba) {
        memset(gif->row, 0, (size_t)4 * gif->width_px);
        for (size_t i = 0; line != NULL && i < visible->width_px; i++) {
            uint8_t *pixel = gif->row + 4 * (visible->left + i);

            memcpy(pixel, gif->rgb.entry[line[i]], 4);
        }
        return;
    }
    if (line == NULL || visible->width_px < gif->width_px)
        memset(gif->row, gif->transparent, gif->width_px);
    if (line != NULL)
        memcpy(gif->row + visible->left, line, visible->width_px);
}

static enum status next_line(struct gif *gif, struct decoder_input *input,
                             const uint8_t **line)
{
    const struct area *visible = &gif->visible;

    *line = NULL;
    if (gif->rows < visible->top ||
        gif->rows - visible->top >= visible->height_px)
        return STATUS_OK;
    if (gif->picture == NULL) {
        *line = gif->line;
        return fill_line(gif, input);
    }
    *line =
        gif->picture + (size_t)(gif->rows - visible->top) * visible->width_px;
    return STATUS_OK;
}

static enum status emit_rows(struct gif *gif, struct decoder_input *input)
{
    while (gif->rows < gif->height_px) {
        enum status status;
        const uint8_t *line;

        if (input->budget_px <= 0)
            return STATUS_AGAIN;
        status = next_line(gif, input, &line);
        if (status != STATUS_OK)
            return status;
        compose_row(gif, line);
        status = gif->client.row(gif->client.arg, gif->row);
        if (status != STATUS_OK)
            return status;
        gif->rows++;
        input->budget_px -= gif->width_px;
    }
    gif->state = STATE_DONE;
    return STATUS_OK;
}

/* ---- operations */

static enum status decode(struct decoder *decoder, struct decoder_input *input)
{
    static enum status (*const steps[])(struct gif *,
                                        struct decoder_input *) = {
        [STATE_HEAD] = read_head,   [STATE_GLOBAL] = read_palette,
        [STATE_BLOCK] = read_block, [STATE_SKIP] = skip_blocks,
        [STATE_FRAME] = read_frame, [STATE_LOCAL] = read_palette,
        [STATE_START] = start,      [STATE_GATHER] = gather,
        [STATE_ROWS] = emit_rows,
    };
    struct gif *gif = CONTAINER_OF(decoder, struct gif, base);
    enum status status = STATUS_OK;

    while (status == STATUS_OK && gif->state != STATE_DONE)
        status = steps[gif->state](gif, input);
    return status;
}

static void destroy(struct decoder *decoder)
{
    struct gif *gif = CONTAINER_OF(decoder, struct gif, base);

    free(gif->line);
    free(gif->row);
    free(gif->picture);
    free(gif);
}

static enum status create(struct decoder **out,
                          const struct decoder_limits *limits,
                          const struct decoder_client *client)
{
    struct gif *gif = calloc(1, sizeof(*gif));

    if (gif == NULL)
        return STATUS_NO_MEMORY;
    gif->base.ops = &decoder_gif;
    gif->limits = *limits;
    gif->client = *client;
    gif->transparent = -1;
    *out = &gif->base;
    return STATUS_OK;
}

const struct decoder_ops decoder_gif = {
    .create = create,
    .decode = decode,
    .destroy = destroy,
};
