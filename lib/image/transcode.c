/*
 * transcode.c: ties the stages together.
 *
 *   bytes -> sniff -> decoder -> [scale] -> [colour] -> [rotate] -> original
 *
 *   original -+-> writer                    preview -> scale -> writer
 *             +-> preview
 *
 *   SNIFF -> HOLD -> DECODE -> EMIT -> FINISH -> DONE     FAILED from anywhere
 *     ^                 |        |       |
 *     +-----------------+--------+-------+    TRANSCODE_MAX: it became too long
 *
 * SNIFF waits for enough bytes to choose the decoder. HOLD waits for the end if
 * a prediction needs the length and nobody told it. In DECODE the decoder
 * reads the header, then on_header() plans all sizes and builds the row chain,
 * from its end to its start, and then rows run through it. EMIT lets out the
 * rows that a rotation holds. Each call gets a budget of pixels; who runs out
 * of it answers AGAIN.
 *
 * Bytes that a decoder does not take are kept in one carry buffer, which is
 * moved to its front when more come; or not, while the picture may have to be
 * done again: then that buffer has all of them.
 */
#include "transcode.h"

#include "../limits.h"
#include "colour.h"
#include "decoder_gif.h"
#include "decoder_jpeg.h"
#include "decoder_png.h"
#include "decoder_webp.h"
#include "plan.h"
#include "png_writer.h"
#include "predict.h"
#include "rotate.h"
#include "scale.h"
#include "sniff.h"

enum transcode_state {
    STATE_SNIFF,
    STATE_HOLD,
    STATE_DECODE,
    STATE_EMIT,
    STATE_FINISH,
    STATE_DONE,
    STATE_FAILED,
};

struct carry {
    uint8_t *bytes;
    size_t start;
    size_t len;
    size_t capacity;
    bool keeps; /* what was consumed, too */
};

struct transcode {
    struct transcode_options options;
    struct transcode_sinks sinks;
    struct transcode_report report;
    enum transcode_state state;
    enum status failure;
    bool has_work; /* the last answer was AGAIN */
    bool ended;
    struct carry carry;
    uint64_t predicted_px; /* TRANSCODE_MAX */
    bool is_too_long;      /* the original, it has to be done again */
    uint32_t original_rows;
    struct plan plan;
    struct decoder *decoder;
    struct colour *colour; /* NULL: sRGB already */
    struct scale *scale;
    struct rotate *rotate;
    struct png_writer *original;
    struct scale *preview_scale;
    struct png_writer *preview;
    struct row_sink first; /* where the decoder's rows go */
};

/* ---- carry */

static enum status carry_append(struct carry *carry, const uint8_t *bytes,
                                size_t len)
{
    size_t needed;

    if (len == 0)
        return STATUS_OK;
    if (carry->start > 0 && !carry->keeps) {
        memmove(carry->bytes, carry->bytes + carry->start, carry->len);
        carry->start = 0;
    }
    if (!size_add(carry->start + carry->len, len, &needed))
        return STATUS_NO_MEMORY;
    if (needed > carry->capacity) {
        size_t capacity = needed + needed / 2;
        uint8_t *grown = realloc(carry->bytes, capacity);

        if (grown == NULL)
            return STATUS_NO_MEMORY;
        carry->bytes = grown;
        carry->capacity = capacity;
    }
    memcpy(carry->bytes + carry->start + carry->len, bytes, len);
    carry->len += len;
    return STATUS_OK;
}

static void carry_consume(struct carry *carry, size_t len)
{
    carry->start += len;
    carry->len -= len;
    if (carry->len == 0 && !carry->keeps)
        carry->start = 0;
}

static void carry_rewind(struct carry *carry)
{
    carry->len += carry->start;
    carry->start = 0;
}

static void carry_release(struct carry *carry)
{
    free(carry->bytes);
    *carry = (struct carry){0};
}

/* ---- the row chain */

static enum status write_original(void *arg, const uint8_t *bytes, size_t len)
{
    struct transcode *t = arg;

    if (!t->plan.is_sure &&
        t->report.original_bytes + len > t->options.original_max_bytes) {
        t->is_too_long = true;
        return STATUS_TOO_LARGE;
    }
    t->report.original_bytes += len;
    return t->sinks.original(t->sinks.original_arg, bytes, len);
}

static enum status write_preview(void *arg, const uint8_t *bytes, size_t len)
{
    struct transcode *t = arg;

    t->report.preview_bytes += len;
    return t->sinks.preview(t->sinks.preview_arg, bytes, len);
}

static enum status row_to_preview(void *arg, const uint8_t *row)
{
    struct transcode *t = arg;

    return png_writer_row(t->preview, row);
}

static enum status row_to_original(void *arg, const uint8_t *row)
{
    struct transcode *t = arg;
    enum status status = png_writer_row(t->original, row);

    t->original_rows++;
    if (status != STATUS_OK || t->preview_scale == NULL)
        return status;
    return scale_row(t->preview_scale, row);
}

static enum status row_to_rotate(void *arg, const uint8_t *row)
{
    return rotate_row(arg, row);
}

static enum status row_to_colour(void *arg, const uint8_t *row)
{
    return colour_row(arg, row);
}

static enum status row_to_scale(void *arg, const uint8_t *row)
{
    return scale_row(arg, row);
}

/* Up for what was a photo, Paeth for the rest, none where samples are no
 * intensities (performance-study 3; PNG 12.7). */
static enum png_filter choose_filter(const struct transcode *t,
                                     const struct pixel_format *format)
{
    if (format->kind == PIXEL_INDEXED || format->depth < 8)
        return PNG_WRITER_NONE;
    return t->report.source_type == IMAGE_TYPE_JPEG ? PNG_WRITER_UP
                                                    : PNG_WRITER_PAETH;
}

static enum status build_writer(struct transcode *t, struct png_writer **writer,
                                const struct plan_size *size,
                                const struct pixel_format *format, byte_fn *fn)
{
    struct png_image image = {
        .width_px = size->width_px,
        .height_px = size->height_px,
        .format = *format,
        .filter = choose_filter(t, format),
    };

    return png_writer_new(writer, &image, &(struct byte_sink){fn, t});
}

static enum status build_preview(struct transcode *t)
{
    struct scale_job job = {
        .format = t->plan.original_format,
        .source_width_px = t->plan.original.width_px,
        .source_height_px = t->plan.original.height_px,
        .width_px = t->plan.preview.width_px,
        .height_px = t->plan.preview.height_px,
        .sink = {row_to_preview, t},
    };
    struct pixel_format plain;
    enum status status;

    if (t->plan.preview_is_original)
        return STATUS_OK;
    pixel_format_plain(&t->plan.original_format, &plain);
    status =
        build_writer(t, &t->preview, &t->plan.preview, &plain, write_preview);
    return status == STATUS_OK ? scale_new(&t->preview_scale, &job) : status;
}

static struct rotate_job rotation(const struct transcode *t)
{
    return (struct rotate_job){
        .orientation = t->report.orientation,
        .width_px = t->plan.scaled.width_px,
        .height_px = t->plan.scaled.height_px,
        .pixel_bytes = pixel_bytes(&t->plan.original_format),
        .sink = t->first,
    };
}

static enum status build_rotate(struct transcode *t)
{
    struct rotate_job job = rotation(t);
    enum status status;

    if (t->report.orientation == 1)
        return STATUS_OK;
    status = rotate_new(&t->rotate, &job);
    t->first = (struct row_sink){row_to_rotate, t->rotate};
    return status;
}

/* After scaling there are fewer rows to convert. */
static enum status build_colour(struct transcode *t)
{
    enum status status;

    if (t->colour == NULL)
        return STATUS_OK;
    status = colour_start(t->colour, t->plan.scaled.width_px, &t->first);
    t->first = (struct row_sink){row_to_colour, t->colour};
    return status;
}

static enum status build_scale(struct transcode *t,
                               const struct pixel_format *format)
{
    struct scale_job job = {
        .format = *format,
        .source_width_px = t->plan.decoded.width_px,
        .source_height_px = t->plan.decoded.height_px,
        .width_px = t->plan.scaled.width_px,
        .height_px = t->plan.scaled.height_px,
        .sink = t->first,
    };
    enum status status;

    if (job.width_px == job.source_width_px &&
        job.height_px == job.source_height_px)
        return STATUS_OK;
    status = scale_new(&t->scale, &job);
    t->first = (struct row_sink){row_to_scale, t->scale};
    return status;
}

static enum status build_chain(struct transcode *t,
                               const struct pixel_format *format)
{
    enum status status = build_writer(t, &t->original, &t->plan.original,
                                      &t->plan.original_format, write_original);

    t->first = (struct row_sink){row_to_original, t};
    if (status == STATUS_OK)
        status = build_preview(t);
    if (status == STATUS_OK)
        status = build_rotate(t);
    if (status == STATUS_OK)
        status = build_colour(t);
    if (status == STATUS_OK)
        status = build_scale(t, format);
    return status;
}

/* ---- the header */

/* 0 if nobody can tell. */
static size_t known_input_bytes(const struct transcode *t)
{
    return t->ended ? (size_t)t->report.input_bytes
                    : t->options.input_bytes_hint;
}

static void report_header(struct transcode *t,
                          const struct decoder_header *header)
{
    t->report.source_width_px = header->width_px;
    t->report.source_height_px = header->height_px;
    t->report.orientation = header->orientation;
    t->report.progressive = header->progressive;
}

static void report_plan(struct transcode *t)
{
    t->report.preview_is_original = t->plan.preview_is_original;
    t->report.original_width_px = t->plan.original.width_px;
    t->report.original_height_px = t->plan.original.height_px;
    t->report.preview_width_px = t->plan.preview.width_px;
    t->report.preview_height_px = t->plan.preview.height_px;
}

static struct decoder_limits limits_of(const struct transcode_options *options)
{
    return (struct decoder_limits){
        .width_max_px = options->width_max_px,
        .height_max_px = options->height_max_px,
        .pixels_max = options->pixels_max,
        .scans_max = options->scans_max,
        .chunk_max_bytes = options->chunk_max_bytes,
        .memory_max_bytes = options->memory_max_bytes,
        .slice_px = options->slice_px,
    };
}

static enum status make_plan(struct transcode *t,
                             const struct decoder_header *header,
                             enum transcode_mode mode)
{
    struct plan_request request = {
        .width_px = header->width_px,
        .height_px = header->height_px,
        .orientation = header->orientation,
        .dct_scales = header->dct_scales,
        .format = header->format,
        .mode = mode,
        .box = {t->options.box_width_px, t->options.box_height_px},
        .predicted_px = t->predicted_px,
        .original_max_bytes = t->options.original_max_bytes,
        .preview_max_bytes = t->options.preview_max_bytes,
        .preview_side_max_px = t->options.preview_side_max_px,
    };

    return plan_make(&t->plan, &request);
}

/* What the decoder, the rotation, the colours and the kept input take. */
static enum status check_memory(const struct transcode *t,
                                const struct decoder_header *header)
{
    size_t kept = t->carry.keeps ? known_input_bytes(t) : 0;
    struct rotate_job job = rotation(t);
    size_t colour = t->colour != NULL ? colour_bytes(t->colour) : 0;
    size_t bytes;

    if (!rotate_bytes(&job, &bytes) || !size_add(bytes, colour, &bytes) ||
        !size_add(bytes, header->whole_picture_bytes, &bytes) ||
        !size_add(bytes, kept, &bytes) || bytes > t->options.memory_max_bytes)
        return STATUS_IMAGE_TOO_MUCH_MEMORY;
    return STATUS_OK;
}

/* A format whose palette was converted needs nothing for its rows. */
static enum status prepare_colour(struct transcode *t,
                                  struct decoder_header *header)
{
    enum status status =
        colour_new(&t->colour, &header->colour, header->format.kind);

    t->report.colour_converted = header->colour_converted || t->colour != NULL;
    if (t->colour == NULL || colour_format(t->colour, &header->format))
        return status;
    colour_free(t->colour);
    t->colour = NULL;
    return STATUS_OK;
}

static void predict(struct transcode *t, const struct decoder_header *header)
{
    struct predict_request request = {
        .type = t->report.source_type,
        .source_px = (uint64_t)header->width_px * header->height_px,
        .source_bytes = known_input_bytes(t),
        .max_bytes = t->options.original_max_bytes,
    };
    struct pixel_format plain;

    pixel_format_plain(&header->format, &plain);
    request.pixel_bytes = pixel_bytes(&plain);
    t->predicted_px = predict_px(&request);
}

/* True if there is a plan beyond what is sure, and memory for it. */
static bool plan_max(struct transcode *t, const struct decoder_header *header)
{
    if (!t->carry.keeps)
        return false;
    if (t->report.decodes == 1)
        predict(t, header);
    return make_plan(t, header, TRANSCODE_MAX) == STATUS_OK &&
           (t->plan.is_sure || check_memory(t, header) == STATUS_OK);
}

static enum status plan_all(struct transcode *t,
                            const struct decoder_header *header)
{
    bool is_max = t->options.mode == TRANSCODE_MAX;
    enum status status = STATUS_OK;

    if (!is_max || !plan_max(t, header))
        status = make_plan(t, header, is_max ? TRANSCODE_FIT : t->options.mode);
    if (status != STATUS_OK)
        return status;
    t->carry.keeps = !t->plan.is_sure;
    return check_memory(t, header);
}

static enum status on_header(void *arg, const struct decoder_header *stored,
                             uint8_t *eighths)
{
    struct transcode *t = arg;
    struct decoder_header own = *stored;
    struct decoder_header *header = &own;
    struct decoder_limits limits = limits_of(&t->options);
    enum status status;

    report_header(t, header);
    status = decoder_check_size(&limits, header->width_px, header->height_px);
    if (status == STATUS_OK)
        status = prepare_colour(t, header);
    if (status == STATUS_OK)
        status = plan_all(t, header);
    if (status == STATUS_OK)
        status = build_chain(t, &header->format);
    if (status != STATUS_OK)
        return status;
    report_plan(t);
    *eighths = t->plan.dct_eighths;
    return STATUS_OK;
}

static enum status on_row(void *arg, const uint8_t *row)
{
    struct transcode *t = arg;

    return t->first.write(t->first.arg, row);
}

static enum status on_cut(void *arg, unsigned percent)
{
    struct transcode *t = arg;
    unsigned least = t->options.truncated_min_percent;

    t->report.decoded_percent = (uint8_t)percent;
    return least > 0 && percent >= least ? STATUS_OK : STATUS_IMAGE_TRUNCATED;
}

/* ---- states; OK means go on with the next one */

static bool is_wanted(const struct transcode_options *options,
                      enum image_type type)
{
    return (type != IMAGE_TYPE_WEBP || options->webp) &&
           (type != IMAGE_TYPE_GIF || options->gif);
}

static enum status step_sniff(struct transcode *t, struct decoder_input *input)
{
    enum status status =
        sniff(input->bytes, input->len, &t->report.source_type);

    if (status == STATUS_MORE && input->ended)
        return input->len == 0 ? STATUS_EMPTY : STATUS_NOT_AN_IMAGE;
    if (status != STATUS_OK)
        return status;
    if (!is_wanted(&t->options, t->report.source_type))
        return STATUS_IMAGE_UNSUPPORTED;
    t->state = STATE_HOLD;
    return STATUS_OK;
}

static enum status open_decoder(struct transcode *t)
{
    static const struct decoder_ops *const decoders[] = {
        [IMAGE_TYPE_JPEG] = &decoder_jpeg,
        [IMAGE_TYPE_PNG] = &decoder_png,
        [IMAGE_TYPE_WEBP] = &decoder_webp,
        [IMAGE_TYPE_GIF] = &decoder_gif,
    };
    struct decoder_limits limits = limits_of(&t->options);
    struct decoder_client client = {t, on_header, on_row, on_cut};

    t->report.decodes++;
    t->report.decoded_percent = 0;
    t->state = STATE_DECODE;
    return decoders[t->report.source_type]->create(&t->decoder, &limits,
                                                   &client);
}

static enum status step_hold(struct transcode *t, struct decoder_input *input)
{
    if (input->len > t->options.memory_max_bytes)
        t->carry.keeps = false;
    if (t->carry.keeps && known_input_bytes(t) == 0)
        return STATUS_MORE;
    return open_decoder(t);
}

static enum status step_decode(struct transcode *t, struct decoder_input *input)
{
    enum status status = t->decoder->ops->decode(t->decoder, input);

    if (status == STATUS_MORE && input->ended)
        return STATUS_IMAGE_TRUNCATED;
    if (status != STATUS_OK)
        return status;
    if (t->report.decoded_percent == 0)
        t->report.decoded_percent = 100;
    t->state = STATE_EMIT;
    return STATUS_OK;
}

static enum status step_emit(struct transcode *t, struct decoder_input *input)
{
    enum status status = STATUS_OK;

    if (t->rotate != NULL)
        status = rotate_run(t->rotate, &input->budget_px);
    if (status == STATUS_OK)
        t->state = STATE_FINISH;
    return status;
}

static enum status step_finish(struct transcode *t, struct decoder_input *input)
{
    enum status status = png_writer_finish(t->original);

    (void)input;
    if (status == STATUS_OK && t->preview != NULL)
        status = png_writer_finish(t->preview);
    if (status == STATUS_OK)
        t->state = STATE_DONE;
    return status;
}

static enum status advance(struct transcode *t, struct decoder_input *input)
{
    static enum status (*const steps[])(struct transcode *,
                                        struct decoder_input *) = {
        [STATE_SNIFF] = step_sniff,   [STATE_HOLD] = step_hold,
        [STATE_DECODE] = step_decode, [STATE_EMIT] = step_emit,
        [STATE_FINISH] = step_finish,
    };
    enum status status = STATUS_OK;

    while (status == STATUS_OK && t->state != STATE_DONE)
        status = steps[t->state](t, input);
    return status;
}

/* ---- the door */

static void release_stages(struct transcode *t)
{
    if (t->decoder != NULL)
        t->decoder->ops->destroy(t->decoder);
    scale_free(t->scale);
    colour_free(t->colour);
    rotate_free(t->rotate);
    png_writer_free(t->original);
    scale_free(t->preview_scale);
    png_writer_free(t->preview);
    t->decoder = NULL;
    t->colour = NULL;
    t->scale = t->preview_scale = NULL;
    t->rotate = NULL;
    t->original = t->preview = NULL;
}

/* What is kept for later is dropped as soon as there is no later. */
static enum status settle(struct transcode *t, enum status status)
{
    t->has_work = status == STATUS_AGAIN;
    if (status == STATUS_MORE || status == STATUS_AGAIN)
        return status;
    release_stages(t);
    carry_release(&t->carry);
    if (status == STATUS_OK)
        return status;
    t->state = STATE_FAILED;
    t->failure = status;
    return status;
}

/* The original became too long; by its length so far a better guess is made,
 * once. After that only what is sure will do. */
static enum status begin_again(struct transcode *t)
{
    const struct plan_size *size = &t->plan.original;
    uint64_t bytes =
        t->options.original_max_bytes * size->height_px / t->original_rows;
    enum status status = t->sinks.restart(t->sinks.original_arg);

    if (status == STATUS_OK)
        status = t->sinks.restart(t->sinks.preview_arg);
    if (status != STATUS_OK)
        return status;
    t->predicted_px = 0;
    if (t->report.decodes == 1)
        t->predicted_px =
            predict_again((uint64_t)size->width_px * size->height_px, bytes,
                          t->options.original_max_bytes);
    release_stages(t);
    carry_rewind(&t->carry);
    t->report.original_bytes = t->report.preview_bytes = 0;
    t->original_rows = 0;
    t->is_too_long = false;
    t->state = STATE_SNIFF;
    return STATUS_AGAIN;
}

/* One slice over the carry buffer. */
static enum status work_on_carry(struct transcode *t)
{
    struct decoder_input input = {
        .bytes = t->carry.bytes + t->carry.start,
        .len = t->carry.len,
        .ended = t->ended,
        .budget_px = t->options.slice_px,
    };
    enum status status = advance(t, &input);

    carry_consume(&t->carry, t->carry.len - input.len);
    return t->is_too_long ? begin_again(t) : status;
}

/* One slice over bytes of the caller; what is left of them is kept. */
static enum status work_on_bytes(struct transcode *t, const uint8_t *bytes,
                                 size_t len)
{
    struct decoder_input input = {
        .bytes = bytes,
        .len = len,
        .budget_px = t->options.slice_px,
    };
    enum status status = advance(t, &input);
    enum status kept = STATUS_OK;

    if (status == STATUS_MORE || status == STATUS_AGAIN)
        kept = carry_append(&t->carry, input.bytes, input.len);
    return kept == STATUS_OK ? status : kept;
}

enum status transcode_new(struct transcode **out,
                          const struct transcode_options *options,
                          const struct transcode_sinks *sinks)
{
    struct transcode *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return STATUS_NO_MEMORY;
    t->options = *options;
    t->sinks = *sinks;
    t->carry.keeps = options->mode == TRANSCODE_MAX && sinks->restart != NULL;
    *out = t;
    return STATUS_OK;
}

void transcode_free(struct transcode *t)
{
    if (t == NULL)
        return;
    release_stages(t);
    carry_release(&t->carry);
    free(t);
}

static size_t input_limit(const struct transcode_options *options)
{
    return options->input_bytes_hint == 0
               ? options->input_max_bytes
               : size_min(options->input_bytes_hint, options->input_max_bytes);
}

enum status transcode_push(struct transcode *t, const uint8_t *bytes,
                           size_t len)
{
    enum status status;

    if (t->state == STATE_FAILED)
        return t->failure;
    if (t->has_work || t->ended)
        return STATUS_BUG;
    t->report.input_bytes += len;
    if (t->state == STATE_DONE)
        return STATUS_OK;
    if (t->report.input_bytes > input_limit(&t->options))
        return settle(t, STATUS_TOO_LARGE);
    if (t->carry.len == 0 && !t->carry.keeps)
        return settle(t, work_on_bytes(t, bytes, len));
    status = carry_append(&t->carry, bytes, len);
    if (status == STATUS_OK)
        status = work_on_carry(t);
    return settle(t, status);
}

enum status transcode_run(struct transcode *t)
{
    if (t->state == STATE_FAILED)
        return t->failure;
    if (!t->has_work)
        return STATUS_BUG;
    return settle(t, work_on_carry(t));
}

enum status transcode_end(struct transcode *t)
{
    if (t->state == STATE_FAILED)
        return t->failure;
    if (t->state == STATE_DONE)
        return STATUS_OK;
    if (t->has_work || t->ended)
        return STATUS_BUG;
    t->ended = true;
    return settle(t, work_on_carry(t));
}

const struct transcode_report *transcode_report(const struct transcode *t)
{
    return &t->report;
}
