/*
 * decoder_jpeg.c: libjpeg as a suspending decoder.
 *
 *   CREATE -> HEADER -> START -+-> ROWS ---------------> done     one scan
 *                              +-> COLLECT -> OUTPUT -> ROWS      more scans
 *
 * HEADER reads up to the first scan; START asks the client for the scale. With
 * one scan ROWS suspends whenever the input runs dry. With more, COLLECT takes
 * in coefficients, one row of blocks at a time, until the end of the picture,
 * and only then ROWS computes pixels ("buffered image" mode, which libjpeg's
 * documentation describes under that name, is what lets both be sliced).
 *
 * libjpeg reports errors by a call that must not return. fail() jumps back to
 * decode(), the only place with a setjmp.
 */
#include "decoder_jpeg.h"

#include "../limits.h"
#include "exif.h"
#include "jpeg_profile.h"

#include <jpeglib.h>

#include <jerror.h>
#include <setjmp.h>

#define MARKER_APP1 (JPEG_APP0 + 1)
#define MARKER_APP2 (JPEG_APP0 + 2)
#define EXIF_NAME "Exif\0" /* and the terminator: six bytes */

/*
 * libjpeg-turbo writes rows that are aligned to its vectors past the caches, as
 * for a frame buffer, and whoever reads them next waits for the memory. From
 * such an address on it does not.
 */
#define ROW_SHIFT_BYTES 8

enum jpeg_state {
    STATE_CREATE,
    STATE_HEADER,
    STATE_START,
    STATE_COLLECT,
    STATE_OUTPUT,
    STATE_ROWS,
};

struct jpeg {
    struct decoder base;
    struct decoder_limits limits;
    struct decoder_client client;
    struct decoder_input *input; /* of the decode() that runs */
    enum jpeg_state state;
    enum status failure;
    jmp_buf escape;
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    size_t skip;      /* bytes of a segment that have not come yet */
    bool end_is_mine; /* input ended, an end marker was made up */
    bool is_cut;      /* and the client takes what is there */
    bool has_exif;
    uint8_t orientation;
    uint8_t *row_room;
    uint8_t *row; /* in it, see ROW_SHIFT_BYTES */
    uint8_t *rgb; /* of a CMYK row without a profile */
    struct jpeg_profile profile;
    struct colour *inks; /* of CMYK rows with one */
};

/* ---- errors */

static _Noreturn void fail(struct jpeg *jpeg, enum status status)
{
    jpeg->failure = status;
    longjmp(jpeg->escape, 1);
}

static enum status error_status(const struct jpeg *jpeg)
{
    switch (jpeg->errors.msg_code) {
    case JERR_OUT_OF_MEMORY:
        return STATUS_NO_MEMORY;
    case JERR_IMAGE_TOO_BIG: /* beyond libjpeg's own 65500 */
        return jpeg->info.image_width > JPEG_MAX_DIMENSION
                   ? STATUS_IMAGE_TOO_WIDE
                   : STATUS_IMAGE_TOO_HIGH;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
        return STATUS_IMAGE_UNSUPPORTED;
    default:
        return STATUS_IMAGE_BROKEN;
    }
}

static _Noreturn void on_error(j_common_ptr info)
{
    struct jpeg *jpeg = info->client_data;

    fail(jpeg, error_status(jpeg));
}

/* Rows that are read, in percent, never 100: all of them, if only coarsely,
 * once a progressive picture is past its first scan. */
static unsigned percent_read(const struct jpeg_decompress_struct *info)
{
    uint64_t rows = (uint64_t)info->input_iMCU_row * DCTSIZE *
                    (unsigned)info->max_v_samp_factor;
    uint64_t percent = rows * 100 / info->image_height;

    if (info->buffered_image && !info->progressive_mode)
        return 0; /* whole colours may be missing */
    return info->input_scan_number > 1 || percent > 99 ? 99 : (unsigned)percent;
}

/* libjpeg goes on with gray. */
static void end_early(struct jpeg *jpeg)
{
    enum status status;

    if (jpeg->is_cut)
        return;
    jpeg->is_cut = true;
    status = jpeg->client.cut(jpeg->client.arg, percent_read(&jpeg->info));
    if (status != STATUS_OK)
        fail(jpeg, status);
}

/*
 * Warnings have level -1, traces are above. libjpeg would go on with gray
 * instead of the lost part; a photo that is half gray is no answer to anybody.
 * Stray bytes between segments are common and harmless, but not before a
 * restart marker: there they mean that a code was misread.
 */
static void on_message(j_common_ptr info, int level)
{
    struct jpeg *jpeg = info->client_data;
    int marker = jpeg->errors.msg_parm.i[1];

    if (level >= 0 || jpeg->is_cut)
        return;
    switch (jpeg->errors.msg_code) {
    case JWRN_EXTRANEOUS_DATA:
        if (marker < JPEG_RST0 || marker >= JPEG_RST0 + 8)
            return;
        break;
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        break;
    default:
        return;
    }
    if (!jpeg->end_is_mine)
        fail(jpeg, STATUS_IMAGE_BROKEN);
    end_early(jpeg);
}

static void on_output(j_common_ptr info)
{
    (void)info;
}

static void install_errors(struct jpeg *jpeg)
{
    jpeg->info.err = jpeg_std_error(&jpeg->errors);
    jpeg->errors.error_exit = on_error;
    jpeg->errors.emit_message = on_message;
    jpeg->errors.output_message = on_output;
    jpeg->info.client_data = jpeg;
}

/* ---- source: the caller's input, nothing of our own */

static void source_init(j_decompress_ptr info)
{
    (void)info;
}

/*
 * False suspends. At the end of the input the missing end marker is made up: if
 * every row is there it was the only thing that was missing, else the entropy
 * decoder runs into it and says so. Not between scans: there a marker would end
 * up inside a table that is cut. The arithmetic decoder would
 * not say so.
 */
static boolean source_fill(j_decompress_ptr info)
{
    static const JOCTET end[] = {0xff, JPEG_EOI};
    struct jpeg *jpeg = info->client_data;

    if (info->arith_code && jpeg->state > STATE_START)
        fail(jpeg, STATUS_IMAGE_TRUNCATED);
    if (!jpeg->input->ended || jpeg->state < STATE_COLLECT ||
        (jpeg->state == STATE_COLLECT &&
         info->input_iMCU_row == info->total_iMCU_rows))
        return FALSE;
    jpeg->end_is_mine = true;
    info->src->next_input_byte = end;
    info->src->bytes_in_buffer = sizeof(end);
    return TRUE;
}

static void source_skip(j_decompress_ptr info, long count)
{
    struct jpeg *jpeg = info->client_data;
    size_t here;

    if (count <= 0)
        return;
    here = size_min((size_t)count, info->src->bytes_in_buffer);
    info->src->next_input_byte += here;
    info->src->bytes_in_buffer -= here;
    jpeg->skip = (size_t)count - here;
}

static void install_source(struct jpeg *jpeg)
{
    jpeg->source.init_source = source_init;
    jpeg->source.fill_input_buffer = source_fill;
    jpeg->source.skip_input_data = source_skip;
    jpeg->source.resync_to_restart = jpeg_resync_to_restart;
    jpeg->source.term_source = source_init;
    jpeg->info.src = &jpeg->source;
}

static void attach_input(struct jpeg *jpeg)
{
    struct decoder_input *input = jpeg->input;
    size_t here = size_min(jpeg->skip, input->len);

    jpeg->skip -= here;
    input->bytes += here;
    input->len -= here;
    if (jpeg->end_is_mine)
        return;
    jpeg->source.next_input_byte = input->bytes;
    jpeg->source.bytes_in_buffer = input->len;
}

static void detach_input(struct jpeg *jpeg)
{
    if (jpeg->end_is_mine)
        return;
    jpeg->input->bytes = jpeg->source.next_input_byte;
    jpeg->input->len = jpeg->source.bytes_in_buffer;
}

/* ---- markers */

static void take_exif(struct jpeg *jpeg, const uint8_t *data, size_t len)
{
    size_t name = sizeof(EXIF_NAME);

    if (jpeg->has_exif || len < name || memcmp(data, EXIF_NAME, name) != 0)
        return;
    jpeg->has_exif = true;
    jpeg->orientation = exif_orientation(data + name, len - name);
}

/* APP2 may come between scans too, when it is too late. */
static void take_profile(struct jpeg *jpeg, const uint8_t *data, size_t len)
{
    if (jpeg->state == STATE_HEADER &&
        jpeg_profile_add(&jpeg->profile, data, len) != STATUS_OK)
        fail(jpeg, STATUS_NO_MEMORY);
}

/*
 * A segment is wanted whole, so it suspends until all of it is in the input (64
 * KB at most); libjpeg then calls again from the start. Unlike
 * jpeg_save_markers() this keeps no more than one profile, however many of them
 * a file has.
 */
static boolean read_segment(j_decompress_ptr info)
{
    struct jpeg *jpeg = info->client_data;
    struct jpeg_source_mgr *source = info->src;
    const uint8_t *segment = source->next_input_byte;
    size_t len;

    if (source->bytes_in_buffer < 2)
        return FALSE;
    len = (size_t)segment[0] << 8 | segment[1];
    if (len < 2)
        fail(jpeg, STATUS_IMAGE_BROKEN);
    if (source->bytes_in_buffer < len)
        return FALSE;
    if (info->unread_marker == MARKER_APP1)
        take_exif(jpeg, segment + 2, len - 2);
    else
        take_profile(jpeg, segment + 2, len - 2);
    source->next_input_byte += len;
    source->bytes_in_buffer -= len;
    return TRUE;
}

/* ---- states; OK means go on with the next one */

static enum status create(struct jpeg *jpeg)
{
    jpeg_create_decompress(&jpeg->info);
    install_source(jpeg);
    jpeg_set_marker_processor(&jpeg->info, MARKER_APP1, read_segment);
    jpeg_set_marker_processor(&jpeg->info, MARKER_APP2, read_segment);
    jpeg->state = STATE_HEADER;
    return STATUS_OK;
}

static enum status read_header(struct jpeg *jpeg)
{
    if (jpeg_read_header(&jpeg->info, TRUE) == JPEG_SUSPENDED)
        return STATUS_MORE;
    jpeg->state = STATE_START;
    return STATUS_OK;
}

/* Coefficients of all components: whole blocks of 64, two bytes each, padded
 * to the sampling factors (libjpeg's jdcoefct). */
static size_t coefficient_bytes(const struct jpeg_decompress_struct *info)
{
    uint64_t blocks = 0;

    for (int i = 0; i < info->num_components; i++) {
        const jpeg_component_info *c = &info->comp_info[i];
        uint64_t h = (uint64_t)c->h_samp_factor;
        uint64_t v = (uint64_t)c->v_samp_factor;

        blocks += (c->width_in_blocks + h - 1) / h * h *
                  ((c->height_in_blocks + v - 1) / v * v);
    }
    return blocks * DCTSIZE2 * sizeof(JCOEF);
}

/* What one picture makes us hold at once: coefficients if there are several
 * scans; the rest of the file if it is arithmetic, see start(). */
static size_t whole_picture_bytes(struct jpeg *jpeg)
{
    size_t bytes = 0;

    if (jpeg_has_multiple_scans(&jpeg->info))
        bytes += coefficient_bytes(&jpeg->info);
    if (jpeg->info.arith_code)
        bytes += jpeg->input->len;
    return bytes;
}

static enum status set_color(struct jpeg *jpeg, struct pixel_format *format)
{
    struct jpeg_decompress_struct *info = &jpeg->info;

    *format = (struct pixel_format){.kind = PIXEL_RGB, .depth = 8};
    switch (info->jpeg_color_space) {
    case JCS_GRAYSCALE:
        info->out_color_space = JCS_GRAYSCALE;
        format->kind = PIXEL_GRAY;
        return STATUS_OK;
    case JCS_YCbCr:
    case JCS_RGB:
        info->out_color_space = JCS_RGB;
        return STATUS_OK;
    case JCS_CMYK:
    case JCS_YCCK:
        info->out_color_space = JCS_CMYK;
        return STATUS_OK;
    default:
        return STATUS_IMAGE_UNSUPPORTED;
    }
}

/* Rows of CMYK are converted here, since no stage behind knows such; so what
 * that takes counts as the decoder's. */
static enum status set_profile(struct jpeg *jpeg, struct decoder_header *header)
{
    enum status status = jpeg_profile_get(
        &jpeg->profile, &header->colour.profile, &header->colour.profile_bytes);

    if (status != STATUS_OK || jpeg->info.out_color_space != JCS_CMYK)
        return status;
    status = colour_new_cmyk(&jpeg->inks, &header->colour,
                             jpeg->info.saw_Adobe_marker);
    header->colour = (struct colour_tags){0};
    if (jpeg->inks == NULL)
        return status;
    header->colour_converted = true;
    header->whole_picture_bytes += colour_bytes(jpeg->inks);
    return status;
}

static enum status ask_client(struct jpeg *jpeg)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    struct decoder_header header = {
        .width_px = info->image_width,
        .height_px = info->image_height,
        .orientation = jpeg->orientation,
        .progressive = info->progressive_mode,
        .dct_scales = true,
        .whole_picture_bytes = whole_picture_bytes(jpeg),
    };
    enum status status = set_color(jpeg, &header.format);
    uint8_t eighths = DCTSIZE;

    if (status == STATUS_OK)
        status = set_profile(jpeg, &header);
    if (status == STATUS_OK)
        status = jpeg->client.header(jpeg->client.arg, &header, &eighths);
    jpeg_profile_release(&jpeg->profile);
    if (status != STATUS_OK)
        return status;
    info->scale_num = eighths;
    info->scale_denom = DCTSIZE;
    info->dct_method = JDCT_ISLOW;
    info->do_fancy_upsampling = TRUE;
    info->buffered_image = jpeg_has_multiple_scans(info);
    return STATUS_OK;
}

/* How rows reach the client. */
static enum status start_rows(struct jpeg *jpeg)
{
    size_t width_px = jpeg->info.output_width;

    if (jpeg->info.out_color_space != JCS_CMYK)
        return STATUS_OK;
    if (jpeg->inks == NULL) {
        jpeg->rgb = malloc(width_px * 3);
        return jpeg->rgb != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    }
    return colour_start(jpeg->inks, width_px,
                        &(struct row_sink){jpeg->client.row, jpeg->client.arg});
}

static enum status start(struct jpeg *jpeg)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    enum status status;

    if (info->arith_code && !jpeg->input->ended)
        return STATUS_MORE;
    status = ask_client(jpeg);
    if (status != STATUS_OK)
        return status;
    if (!jpeg_start_decompress(info))
        return STATUS_BUG; /* it suspends only where it reads the scans */
    jpeg->row_room =
        malloc((size_t)info->output_width * (size_t)info->output_components +
               ROW_SHIFT_BYTES);
    if (jpeg->row_room == NULL)
        return STATUS_NO_MEMORY;
    jpeg->row = jpeg->row_room + ROW_SHIFT_BYTES;
    status = start_rows(jpeg);
    if (status != STATUS_OK)
        return status;
    jpeg->state = info->buffered_image ? STATE_COLLECT : STATE_ROWS;
    return STATUS_OK;
}

/* One step is a row of blocks; a component of fewer samples counts in full. */
static enum status collect(struct jpeg *jpeg)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    int64_t step_px =
        (int64_t)info->image_width * info->max_v_samp_factor * DCTSIZE;

    while (jpeg->input->budget_px > 0) {
        int event = jpeg_consume_input(info);

        if (event == JPEG_SUSPENDED && jpeg->input->ended) {
            end_early(jpeg);
            event = JPEG_REACHED_EOI;
        }
        if (event == JPEG_SUSPENDED)
            return STATUS_MORE;
        if ((uint32_t)info->input_scan_number > jpeg->limits.scans_max)
            return STATUS_IMAGE_TOO_MANY_SCANS;
        if (event == JPEG_REACHED_EOI) {
            if (jpeg->end_is_mine) /* scans may be missing */
                end_early(jpeg);
            jpeg->state = STATE_OUTPUT;
            return STATUS_OK;
        }
        jpeg->input->budget_px -= step_px;
    }
    return STATUS_AGAIN;
}

static enum status start_output(struct jpeg *jpeg)
{
    if (!jpeg_start_output(&jpeg->info, jpeg->info.input_scan_number))
        return STATUS_BUG; /* all input has been read */
    jpeg->state = STATE_ROWS;
    return STATUS_OK;
}

/* ---- rows */

/*
 * Ink to light, without a profile. Adobe stores CMYK inverted, 255 for no ink,
 * and says so by its marker.
 */
static const uint8_t *cmyk_to_rgb(struct jpeg *jpeg)
{
    const uint8_t *cmyk = jpeg->row;
    unsigned flip = jpeg->info.saw_Adobe_marker ? 0 : 255;
    uint8_t *rgb = jpeg->rgb;

    for (size_t i = 0; i < jpeg->info.output_width; i++, cmyk += 4)
        for (size_t k = 0; k < 3; k++)
            *rgb++ =
                (uint8_t)(((cmyk[k] ^ flip) * (cmyk[3] ^ flip) + 127) / 255);
    return jpeg->rgb;
}

static enum status read_rows(struct jpeg *jpeg)
{
    struct jpeg_decompress_struct *info = &jpeg->info;
    int64_t row_px = (int64_t)info->image_width * (int64_t)info->image_height /
                     info->output_height;

    while (info->output_scanline < info->output_height) {
        JSAMPROW rows[] = {jpeg->row};
        enum status status;

        if (jpeg->input->budget_px <= 0)
            return STATUS_AGAIN;
        if (jpeg_read_scanlines(info, rows, 1) == 0)
            return STATUS_MORE;
        if (jpeg->inks != NULL)
            status = colour_row(jpeg->inks, jpeg->row);
        else if (jpeg->rgb != NULL)
            status = jpeg->client.row(jpeg->client.arg, cmyk_to_rgb(jpeg));
        else
            status = jpeg->client.row(jpeg->client.arg, jpeg->row);
        if (status != STATUS_OK)
            return status;
        jpeg->input->budget_px -= row_px;
    }
    return STATUS_OK;
}

/* ---- operations */

static enum status advance(struct jpeg *jpeg)
{
    static enum status (*const steps[])(struct jpeg *) = {
        [STATE_CREATE] = create,       [STATE_HEADER] = read_header,
        [STATE_START] = start,         [STATE_COLLECT] = collect,
        [STATE_OUTPUT] = start_output,
    };
    enum status status = STATUS_OK;

    while (status == STATUS_OK && jpeg->state != STATE_ROWS)
        status = steps[jpeg->state](jpeg);
    return status == STATUS_OK ? read_rows(jpeg) : status;
}

static enum status decode_input(struct jpeg *jpeg)
{
    enum status status;

    attach_input(jpeg);
    status = jpeg->skip > 0 ? STATUS_MORE : advance(jpeg);
    detach_input(jpeg);
    return status;
}

static enum status decode(struct decoder *decoder, struct decoder_input *input)
{
    struct jpeg *jpeg = CONTAINER_OF(decoder, struct jpeg, base);

    jpeg->input = input;
    if (setjmp(jpeg->escape) != 0)
        return jpeg->failure;
    return decode_input(jpeg);
}

static void destroy_decoder(struct decoder *decoder)
{
    struct jpeg *jpeg = CONTAINER_OF(decoder, struct jpeg, base);

    jpeg_destroy_decompress(&jpeg->info);
    free(jpeg->row_room);
    free(jpeg->rgb);
    colour_free(jpeg->inks);
    jpeg_profile_release(&jpeg->profile);
    free(jpeg);
}

static enum status create_decoder(struct decoder **out,
                                  const struct decoder_limits *limits,
                                  const struct decoder_client *client)
{
    struct jpeg *jpeg = calloc(1, sizeof(*jpeg));

    if (jpeg == NULL)
        return STATUS_NO_MEMORY;
    jpeg->base.ops = &decoder_jpeg;
    jpeg->limits = *limits;
    jpeg->client = *client;
    jpeg->orientation = ORIENTATION_UPRIGHT;
    install_errors(jpeg);
    *out = &jpeg->base;
    return STATUS_OK;
}

const struct decoder_ops decoder_jpeg = {
    .create = create_decoder,
    .decode = decode,
    .destroy = destroy_decoder,
};
