/*
 * decoder_webp.c: a RIFF reader that gathers the chunks of one picture, and
 * libwebp on what was gathered.
 *
 *   HEAD -> CHUNK <-> SKIP                     START -> PIXELS -> DONE
 *             ^ v                                ^
 *             KEEP ------------------------------+
 *
 * KEEP appends ALPH and VP8 or VP8L, as they are, to one buffer whose size is
 * known from their headers. START follows as soon as the first bytes of the
 * picture are there, or, if an EXIF chunk is promised, when that came. PIXELS
 * goes on appending, shows libwebp a growing part of the buffer, and gives away
 * the rows that this made.
 *
 * libwebp begins anew at its last checkpoint whenever it runs dry. In a lossy
 * picture that is a block of 16 x 16, so steps stay short. In a lossless one it
 * is 8 rows, or the header, which may be long: there a step that made no rows
 * doubles the next one, and what is done twice stays a fraction of the whole.
 * Steps depend on nothing but the file.
 */
#include "decoder_webp.h"

#include "../limits.h"
#include "exif.h"

#include <webp/decode.h>

#define HEAD_BYTES 12
#define CHUNK_HEAD_BYTES 8
#define VP8X_BYTES 10
#define ANMF_BYTES 16
/* Of VP8 (RFC 6386 9.1), which is more than VP8L needs. */
#define PICTURE_HEAD_BYTES 10
#define CHUNK_LENGTH_MAX (UINT32_MAX - 10) /* as in libwebp */
#define FLAG_ANIMATION 0x02
#define FLAG_EXIF 0x08
#define FLAG_PROFILE 0x20
#define STEP_BYTES 512
#define STEP_MAX_BYTES (1024 * 1024)
#define BYTES_PER_BUDGET_PX 4 /* input that makes no rows costs time too */

enum webp_state {
    STATE_HEAD,
    STATE_CHUNK,
    STATE_SKIP,
    STATE_KEEP,
    STATE_START,
    STATE_PIXELS,
    STATE_DONE,
};

struct kept {
    uint8_t *bytes;
    size_t len;
    size_t size;    /* of all chunks in it, from their headers */
    size_t picture; /* where VP8 or VP8L starts */
    bool has_picture;
};

struct webp {
    struct decoder base;
    struct decoder_limits limits;
    struct decoder_client client;
    enum webp_state state;
    size_t scope_left; /* of RIFF, or of the first frame */
    size_t skip_left;  /* of a chunk that nobody reads */
    bool is_animated, awaits_exif, awaits_profile;
    uint8_t orientation;
    uint8_t *profile; /* until the client has seen it */
    size_t profile_bytes;
    struct kept kept;
    /* The canvas, 0 without VP8X, and the frame on it. */
    uint32_t width_px, height_px;
    uint32_t left, top, frame_width_px, frame_height_px;
    bool has_alpha, has_frame;
    size_t pixel_bytes;
    uint8_t *picture; /* of the frame */
    uint8_t *row;     /* of the canvas, if the frame is smaller */
    WebPDecBuffer output;
    WebPIDecoder *reader;
    size_t shown;     /* bytes of `kept` */
    size_t step;      /* the next ones */
    uint32_t decoded; /* rows in `picture` */
    uint32_t rows;    /* given to the client */
};

static uint32_t get_le(const uint8_t *at, size_t bytes)
{
    uint32_t value = 0;

    while (bytes > 0)
        value = value << 8 | at[--bytes];
    return value;
}

static bool has_name(const uint8_t *chunk, const char *name)
{
    return memcmp(chunk, name, 4) == 0;
}

static void take(struct decoder_input *input, size_t len)
{
    input->bytes += len;
    input->len -= len;
}

/* ---- the container; OK means go on with the state that was set */

static enum status read_head(struct webp *webp, struct decoder_input *input)
{
    if (input->len < HEAD_BYTES)
        return STATUS_MORE;
    webp->scope_left = get_le(input->bytes + 4, 4);
    if (webp->scope_left < 4 + CHUNK_HEAD_BYTES)
        return STATUS_IMAGE_BROKEN;
    webp->scope_left -= 4; /* "WEBP" */
    take(input, HEAD_BYTES);
    webp->state = STATE_CHUNK;
    return STATUS_OK;
}

/* The chunk at the front is skipped with its padding, unless its reader decides
 * otherwise. The last chunk may lack the padding. */
static void leave_chunk(struct webp *webp, size_t len)
{
    size_t padded = len + len % 2;

    webp->scope_left -= size_min(webp->scope_left, CHUNK_HEAD_BYTES + padded);
    webp->skip_left = padded;
    webp->state = STATE_SKIP;
}

static enum status read_vp8x(struct webp *webp, const uint8_t *body)
{
    webp->is_animated = (body[0] & FLAG_ANIMATION) != 0;
    webp->awaits_exif = (body[0] & FLAG_EXIF) != 0 && !webp->is_animated;
    webp->awaits_profile = (body[0] & FLAG_PROFILE) != 0;
    webp->width_px = get_le(body + 4, 3) + 1;
    webp->height_px = get_le(body + 7, 3) + 1;
    return decoder_check_size(&webp->limits, webp->width_px, webp->height_px);
}

/* From here on the chunks of the first frame are read, and no others. */
static enum status read_anmf(struct webp *webp, const uint8_t *body,
                             size_t chunks_len)
{
    webp->scope_left = chunks_len;
    webp->skip_left = 0;
    webp->left = 2 * get_le(body, 3);
    webp->top = 2 * get_le(body + 3, 3);
    webp->frame_width_px = get_le(body + 6, 3) + 1;
    webp->frame_height_px = get_le(body + 9, 3) + 1;
    webp->has_frame = true;
    /* 25 bits each: no sum overflows. */
    if (webp->left + webp->frame_width_px > webp->width_px ||
        webp->top + webp->frame_height_px > webp->height_px)
        return STATUS_IMAGE_BROKEN;
    return STATUS_OK;
}

/* Some encoders put the six bytes of JPEG's APP1 in front. */
static enum status read_exif(struct webp *webp, const uint8_t *body, size_t len)
{
    static const uint8_t name[] = "Exif\0"; /* and the terminator */

    if (len >= sizeof(name) && memcmp(body, name, sizeof(name)) == 0) {
        body += sizeof(name);
        len -= sizeof(name);
    }
    webp->orientation = exif_orientation(body, len);
    webp->awaits_exif = false;
    if (webp->kept.has_picture)
        webp->state = STATE_START;
    return STATUS_OK;
}

static enum status read_profile(struct webp *webp, const uint8_t *body,
                                size_t len)
{
    webp->awaits_profile = false;
    webp->profile = malloc(len);
    if (webp->profile == NULL)
        return STATUS_NO_MEMORY;
    memcpy(webp->profile, body, len);
    webp->profile_bytes = len;
    return STATUS_OK;
}

/* Of chunks that are kept the header is part of what libwebp reads. */
static enum status keep_chunk(struct webp *webp, const uint8_t *chunk)
{
    struct kept *kept = &webp->kept;
    uint8_t *grown;
    size_t size;

    if (!size_add(kept->size, CHUNK_HEAD_BYTES + webp->skip_left, &size) ||
        size > webp->limits.memory_max_bytes)
        return STATUS_IMAGE_TOO_MUCH_MEMORY;
    grown = realloc(kept->bytes, size);
    if (grown == NULL)
        return STATUS_NO_MEMORY;
    kept->bytes = grown;
    kept->size = size;
    if (!has_name(chunk, "ALPH")) {
        kept->picture = kept->len;
        kept->has_picture = true;
    }
    memcpy(kept->bytes + kept->len, chunk, CHUNK_HEAD_BYTES);
    kept->len += CHUNK_HEAD_BYTES;
    webp->skip_left = 0;
    webp->state = STATE_KEEP;
    return STATUS_OK;
}

static bool is_kept(const struct webp *webp, const uint8_t *chunk)
{
    if (webp->kept.has_picture || (webp->is_animated && !webp->has_frame))
        return false;
    if (has_name(chunk, "ALPH")) /* one; without VP8X it means nothing */
        return webp->kept.len == 0 && webp->width_px > 0;
    return has_name(chunk, "VP8 ") || has_name(chunk, "VP8L");
}

/* The first one, before the picture (RFC 9649 2.7.1.4). What is wrong with it
 * is ignored, as is one that is too large. */
static bool is_profile(const struct webp *webp, const uint8_t *chunk,
                       size_t len)
{
    return has_name(chunk, "ICCP") && webp->awaits_profile &&
           !webp->kept.has_picture && len <= webp->limits.chunk_max_bytes;
}

/* What of a chunk has to be there to be read; 0: it is kept or skipped. */
static size_t bytes_to_read(const struct webp *webp, const uint8_t *chunk,
                            size_t len)
{
    if (has_name(chunk, "VP8X") && webp->width_px == 0)
        return VP8X_BYTES;
    if (has_name(chunk, "ANMF") && webp->is_animated && !webp->has_frame)
        return ANMF_BYTES;
    if (is_profile(webp, chunk, len))
        return len;
    return has_name(chunk, "EXIF") && webp->awaits_exif ? len : 0;
}

/* The picture is not going to be turned any more. */
static enum status end_of_chunks(struct webp *webp)
{
    webp->state = STATE_START;
    return webp->kept.has_picture ? STATUS_OK : STATUS_IMAGE_BROKEN;
}

static enum status read_body(struct webp *webp, struct decoder_input *input,
                             size_t len, size_t needed)
{
    const uint8_t *chunk = input->bytes;
    const uint8_t *body = chunk + CHUNK_HEAD_BYTES;
    enum status status;

    if (len < needed)
        return STATUS_IMAGE_BROKEN;
    if (needed > webp->limits.chunk_max_bytes)
        return STATUS_IMAGE_CHUNK_TOO_LARGE;
    if (input->len < CHUNK_HEAD_BYTES + needed)
        return input->ended && webp->kept.has_picture ? end_of_chunks(webp)
                                                      : STATUS_MORE;
    leave_chunk(webp, len);
    webp->skip_left -= needed;
    if (has_name(chunk, "VP8X"))
        status = read_vp8x(webp, body);
    else if (has_name(chunk, "ANMF"))
        status = read_anmf(webp, body, len - needed);
    else if (has_name(chunk, "ICCP"))
        status = read_profile(webp, body, len);
    else
        status = read_exif(webp, body, len);
    take(input, CHUNK_HEAD_BYTES + needed);
    return status;
}

static enum status read_chunk(struct webp *webp, struct decoder_input *input)
{
    const uint8_t *chunk = input->bytes;
    enum status status = STATUS_OK;
    size_t len, needed;

    if (webp->scope_left < CHUNK_HEAD_BYTES)
        return end_of_chunks(webp);
    if (input->len < CHUNK_HEAD_BYTES)
        return input->ended && webp->kept.has_picture ? end_of_chunks(webp)
                                                      : STATUS_MORE;
    len = get_le(chunk + 4, 4);
    if (len > CHUNK_LENGTH_MAX || len > webp->scope_left - CHUNK_HEAD_BYTES)
        return end_of_chunks(webp);
    needed = bytes_to_read(webp, chunk, len);
    if (needed > 0)
        return read_body(webp, input, len, needed);
    leave_chunk(webp, len);
    if (is_kept(webp, chunk))
        status = keep_chunk(webp, chunk);
    take(input, CHUNK_HEAD_BYTES);
    return status;
}

static enum status skip_chunk(struct webp *webp, struct decoder_input *input)
{
    size_t len = size_min(webp->skip_left, input->len);

    take(input, len);
    webp->skip_left -= len;
    if (webp->skip_left > 0 && !(input->ended && webp->kept.has_picture))
        return STATUS_MORE;
    webp->state = STATE_CHUNK;
    return STATUS_OK;
}

static void append(struct webp *webp, struct decoder_input *input)
{
    struct kept *kept = &webp->kept;
    size_t len = size_min(kept->size - kept->len, input->len);

    if (len == 0)
        return;
    memcpy(kept->bytes + kept->len, input->bytes, len);
    kept->len += len;
    take(input, len);
}

/* An early end: what came is decoded as far as it goes. */
static enum status keep(struct webp *webp, struct decoder_input *input)
{
    const struct kept *kept = &webp->kept;
    size_t head = kept->picture + CHUNK_HEAD_BYTES + PICTURE_HEAD_BYTES;

    append(webp, input);
    if (kept->has_picture && (!webp->awaits_exif || input->ended) &&
        kept->len >= size_min(head, kept->size))
        webp->state = STATE_START;
    else if (kept->len == kept->size)
        webp->state = STATE_CHUNK;
    else
        return STATUS_MORE;
    return STATUS_OK;
}

/* ---- the picture */

static enum status status_of(VP8StatusCode code)
{
    switch (code) {
    case VP8_STATUS_OK:
    case VP8_STATUS_SUSPENDED:
        return STATUS_OK;
    case VP8_STATUS_OUT_OF_MEMORY:
        return STATUS_NO_MEMORY;
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return STATUS_IMAGE_UNSUPPORTED;
    default:
        return STATUS_IMAGE_BROKEN;
    }
}

static enum status read_features(struct webp *webp)
{
    struct kept *kept = &webp->kept;
    WebPBitstreamFeatures features;
    enum status status =
        status_of(WebPGetFeatures(kept->bytes, kept->len, &features));

    if (status != STATUS_OK)
        return status;
    webp->has_alpha = features.has_alpha != 0;
    if (!webp->has_frame) {
        webp->frame_width_px = (uint32_t)features.width;
        webp->frame_height_px = (uint32_t)features.height;
    }
    if (webp->width_px == 0) {
        webp->width_px = webp->frame_width_px;
        webp->height_px = webp->frame_height_px;
    }
    if (webp->frame_width_px != (uint32_t)features.width ||
        webp->frame_height_px != (uint32_t)features.height)
        return STATUS_IMAGE_BROKEN;
    /* Only a frame of an animation may be smaller than its canvas. */
    if (!webp->has_frame && (webp->width_px != webp->frame_width_px ||
                             webp->height_px != webp->frame_height_px))
        return STATUS_IMAGE_BROKEN;
    return decoder_check_size(&webp->limits, webp->width_px, webp->height_px);
}

static bool fills_canvas(const struct webp *webp)
{
    return webp->frame_width_px == webp->width_px &&
           webp->frame_height_px == webp->height_px;
}

static bool is_lossless(const struct webp *webp)
{
    return has_name(webp->kept.bytes + webp->kept.picture, "VP8L");
}

/*
 * Bytes a pixel while libwebp works. Lossless: ARGB, besides the output. Alpha
 * of a lossy one: its plane, and ARGB again while that is decompressed.
 */
static size_t work_bytes(const struct webp *webp)
{
    if (is_lossless(webp))
        return 4;
    return webp->has_alpha ? 5 : 0;
}

static bool memory_needed(const struct webp *webp, size_t *bytes)
{
    size_t pixels;

    return size_mul(webp->frame_width_px, webp->frame_height_px, &pixels) &&
           size_mul(pixels, webp->pixel_bytes + work_bytes(webp), bytes) &&
           size_add(*bytes, webp->kept.size, bytes);
}

static enum status tell_client(struct webp *webp)
{
    struct decoder_header header = {
        .width_px = webp->width_px,
        .height_px = webp->height_px,
        .orientation = webp->orientation,
        .format = {.kind = PIXEL_RGB, .depth = 8},
        .colour = {.profile = webp->profile,
                   .profile_bytes = webp->profile_bytes},
    };
    enum status status;
    uint8_t eighths;

    if (webp->has_alpha || !fills_canvas(webp))
        header.format.kind = PIXEL_RGBA;
    webp->pixel_bytes = pixel_bytes(&header.format);
    if (!memory_needed(webp, &header.whole_picture_bytes))
        return STATUS_IMAGE_TOO_MUCH_MEMORY;
    status = webp->client.header(webp->client.arg, &header, &eighths);
    free(webp->profile);
    webp->profile = NULL;
    return status;
}

static enum status open_reader(struct webp *webp)
{
    size_t stride = webp->frame_width_px * webp->pixel_bytes;

    webp->picture = calloc(webp->frame_height_px, stride);
    if (webp->picture == NULL)
        return STATUS_NO_MEMORY;
    if (!fills_canvas(webp)) {
        webp->row = calloc(webp->width_px, webp->pixel_bytes);
        if (webp->row == NULL)
            return STATUS_NO_MEMORY;
    }
    if (!WebPInitDecBuffer(&webp->output))
        return STATUS_BUG;
    webp->output.colorspace = webp->pixel_bytes == 4 ? MODE_RGBA : MODE_RGB;
    webp->output.is_external_memory = 1;
    webp->output.u.RGBA.rgba = webp->picture;
    webp->output.u.RGBA.stride = (int)stride;
    webp->output.u.RGBA.size = stride * webp->frame_height_px;
    webp->reader = WebPINewDecoder(&webp->output);
    return webp->reader != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status start(struct webp *webp, struct decoder_input *input)
{
    enum status status = read_features(webp);

    (void)input;
    if (status == STATUS_OK)
        status = tell_client(webp);
    if (status == STATUS_OK)
        status = open_reader(webp);
    webp->step = STEP_BYTES;
    webp->state = STATE_PIXELS;
    return status;
}

/* Shows libwebp the first `len` bytes. */
static enum status show(struct webp *webp, struct decoder_input *input,
                        size_t len)
{
    VP8StatusCode code = WebPIUpdate(webp->reader, webp->kept.bytes, len);
    int last_row = 0;
    uint32_t fresh;

    input->budget_px -= (int64_t)((len - webp->shown) / BYTES_PER_BUDGET_PX);
    webp->shown = len;
    if (WebPIDecGetRGB(webp->reader, &last_row, NULL, NULL, NULL) == NULL ||
        (uint32_t)last_row < webp->decoded)
        last_row = (int)webp->decoded;
    fresh = (uint32_t)last_row - webp->decoded;
    webp->decoded = (uint32_t)last_row;
    input->budget_px -= (int64_t)fresh * webp->frame_width_px;
    if (fresh == 0 && is_lossless(webp))
        webp->step = size_min(2 * webp->step, STEP_MAX_BYTES);
    else if ((uint64_t)fresh * webp->frame_width_px > IMAGE_SLICE_PX)
        webp->step = webp->step > STEP_BYTES ? webp->step / 2 : STEP_BYTES;
    return status_of(code);
}

static enum status emit_row(struct webp *webp)
{
    size_t stride = webp->frame_width_px * webp->pixel_bytes;
    uint32_t y = webp->rows++ - webp->top;

    if (webp->row == NULL)
        return webp->client.row(webp->client.arg, webp->picture + y * stride);
    memset(webp->row, 0, webp->width_px * webp->pixel_bytes);
    if (y < webp->frame_height_px) /* above the frame it wrapped around */
        memcpy(webp->row + webp->left * webp->pixel_bytes,
               webp->picture + y * stride, stride);
    return webp->client.row(webp->client.arg, webp->row);
}

/* OK when no row is ready any more. */
static enum status emit_rows(struct webp *webp, struct decoder_input *input)
{
    uint32_t ready = webp->decoded == webp->frame_height_px
                         ? webp->height_px
                         : webp->top + webp->decoded;

    while (webp->rows < ready) {
        enum status status;

        if (input->budget_px <= 0)
            return STATUS_AGAIN;
        status = emit_row(webp);
        if (status != STATUS_OK)
            return status;
        input->budget_px -= webp->width_px;
    }
    return STATUS_OK;
}

static enum status decode_pixels(struct webp *webp, struct decoder_input *input)
{
    enum status status = emit_rows(webp, input);
    size_t target;

    if (status != STATUS_OK)
        return status;
    if (webp->rows == webp->height_px) {
        webp->state = STATE_DONE;
        return STATUS_OK;
    }
    append(webp, input);
    target = size_min(webp->shown + webp->step, webp->kept.size);
    if (webp->kept.len < target && input->ended)
        target = webp->kept.len;
    if (webp->kept.len < target || target == webp->shown)
        return webp->shown == webp->kept.size ? STATUS_IMAGE_BROKEN
                                              : STATUS_MORE;
    if (input->budget_px <= 0)
        return STATUS_AGAIN;
    return show(webp, input, target);
}

/* ---- operations */

static enum status decode(struct decoder *decoder, struct decoder_input *input)
{
    static enum status (*const steps[])(struct webp *,
                                        struct decoder_input *) = {
        [STATE_HEAD] = read_head,  [STATE_CHUNK] = read_chunk,
        [STATE_SKIP] = skip_chunk, [STATE_KEEP] = keep,
        [STATE_START] = start,     [STATE_PIXELS] = decode_pixels,
    };
    struct webp *webp = CONTAINER_OF(decoder, struct webp, base);
    enum status status = STATUS_OK;

    while (status == STATUS_OK && webp->state != STATE_DONE)
        status = steps[webp->state](webp, input);
    return status;
}

static void destroy(struct decoder *decoder)
{
    struct webp *webp = CONTAINER_OF(decoder, struct webp, base);

    WebPIDelete(webp->reader);
    free(webp->kept.bytes);
    free(webp->profile);
    free(webp->picture);
    free(webp->row);
    free(webp);
}

static enum status create(struct decoder **out,
                          const struct decoder_limits *limits,
                          const struct decoder_client *client)
{
    struct webp *webp = calloc(1, sizeof(*webp));

    if (webp == NULL)
        return STATUS_NO_MEMORY;
    webp->base.ops = &decoder_webp;
    webp->limits = *limits;
    webp->client = *client;
    webp->orientation = ORIENTATION_UPRIGHT;
    *out = &webp->base;
    return STATUS_OK;
}

const struct decoder_ops decoder_webp = {
    .create = create,
    .decode = decode,
    .destroy = destroy,
};
