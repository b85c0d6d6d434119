/*
 * transcode_header.c: all that is decided when the header of a picture is read,
 * before its first pixel is.
 *
 *   header -> within the limits? -> colours -> plan -> memory? -> chain
 *
 * A plan of TRANSCODE_MAX which there is no memory for gives way to that of
 * TRANSCODE_FIT; any other is an error.
 */
#include "predict.h"
#include "transcode_inner.h"

/* ---- outputs */

static enum status write_original(void *arg, const uint8_t *bytes, size_t len)
{
    struct transcode *t = arg;

    if (!t->plan.is_sure &&
        t->report.original_bytes + len > t->plan.limit_bytes) {
        t->needs_redo = true;
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

/* ---- reports and limits */

size_t transcode_known_bytes(const struct transcode *t)
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

struct decoder_limits
transcode_decoder_limits(const struct transcode_options *options)
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

/* ---- the plan */

static struct chain_job chain_job(struct transcode *t,
                                  const struct pixel_format *format)
{
    return (struct chain_job){
        .plan = &t->plan,
        .source_type = t->report.source_type,
        .orientation = t->report.orientation,
        .format = *format,
        .colour = t->colour,
        .original = {write_original, t},
        .preview = {write_preview, t},
    };
}

static enum status make_plan(struct transcode *t,
                             const struct decoder_header *header,
                             enum transcode_mode mode, bool can_copy)
{
    struct plan_request request = {
        .width_px = header->width_px,
        .height_px = header->height_px,
        .orientation = header->orientation,
        .dct_scales = header->dct_scales,
        .can_copy = can_copy,
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

/* What is kept of the input at most: more than that of a PNG is not copied, and
 * more than that is not held. It must not depend on how the bytes came. */
static size_t kept_bytes(const struct transcode *t)
{
    size_t known = transcode_known_bytes(t);

    if (!t->carry.keeps && !t->is_held)
        return 0;
    if (known > 0)
        return known;
    return t->is_held ? t->options.memory_max_bytes
                      : t->options.original_max_bytes;
}

/* What the decoder, the rotation, the colours and the kept input take. */
static enum status check_memory(struct transcode *t,
                                const struct decoder_header *header)
{
    struct chain_job job = chain_job(t, &header->format);
    size_t colour = t->colour != NULL ? colour_bytes(t->colour) : 0;
    size_t bytes;

    if (!chain_bytes(&job, &bytes) || !size_add(bytes, colour, &bytes) ||
        !size_add(bytes, header->whole_picture_bytes, &bytes) ||
        !size_add(bytes, kept_bytes(t), &bytes) ||
        bytes > t->options.memory_max_bytes)
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
        .source_bytes = transcode_known_bytes(t),
        .max_bytes = t->options.original_max_bytes,
    };
    struct pixel_format plain;

    pixel_format_plain(&header->format, &plain);
    request.pixel_bytes = pixel_bytes(&plain);
    t->predicted_px = predict_px(&request);
    t->guesses = 1;
}

/* True if there is a plan beyond what is sure, and memory for it. */
static bool plan_max(struct transcode *t, const struct decoder_header *header)
{
    if (!t->carry.keeps)
        return false;
    if (t->guesses == 0)
        predict(t, header);
    return make_plan(t, header, TRANSCODE_MAX, false) == STATUS_OK &&
           (t->plan.is_sure || check_memory(t, header) == STATUS_OK);
}

/* True if the source's pixel data are to be copied, and there is memory to keep
 * the input in case that they can't be. */
static bool plan_copy(struct transcode *t, const struct decoder_header *header)
{
    return t->carry.keeps && !t->no_copy && header->can_copy &&
           !t->report.colour_converted &&
           transcode_known_bytes(t) <= t->options.original_max_bytes &&
           make_plan(t, header, t->options.mode, true) == STATUS_OK &&
           t->plan.copies && check_memory(t, header) == STATUS_OK;
}

static enum status plan_all(struct transcode *t,
                            const struct decoder_header *header)
{
    bool is_max = t->options.mode == TRANSCODE_MAX;
    enum status status = STATUS_OK;

    if (!plan_copy(t, header) && (!is_max || !plan_max(t, header)))
        status = make_plan(t, header, is_max ? TRANSCODE_FIT : t->options.mode,
                           false);
    if (status != STATUS_OK)
        return status;
    t->carry.keeps = !t->plan.is_sure;
    return check_memory(t, header);
}

static enum status build_chain(struct transcode *t,
                               const struct pixel_format *format)
{
    struct chain_job job = chain_job(t, format);

    return chain_new(&t->chain, &job);
}

enum status transcode_header(void *arg, const struct decoder_header *stored,
                             uint8_t *eighths)
{
    struct transcode *t = arg;
    struct decoder_header own = *stored;
    struct decoder_header *header = &own;
    struct decoder_limits limits = transcode_decoder_limits(&t->options);
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
