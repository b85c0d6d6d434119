/*
 * chain.c: built from its end to its start, so that each stage knows where its
 * rows go; `first` is where the decoder's go.
 */
#include "chain.h"

#include "png_writer.h"
#include "rotate.h"
#include "scale.h"

struct chain {
    struct plan plan;
    enum image_type source_type;
    uint8_t orientation;
    struct colour *colour; /* NULL: sRGB already */
    struct scale *scale;
    struct rotate *rotate;
    struct png_writer *original;
    uint32_t original_rows;
    struct scale *preview_scale;
    struct png_writer *preview;
    struct row_sink first;
};

/* ---- rows */

static enum status row_to_preview(void *arg, const uint8_t *row)
{
    struct chain *chain = arg;

    return png_writer_row(chain->preview, row);
}

static enum status row_to_original(void *arg, const uint8_t *row)
{
    struct chain *chain = arg;
    enum status status = STATUS_OK;

    if (!chain->plan.copies)
        status = png_writer_row(chain->original, row);
    chain->original_rows++;
    if (status != STATUS_OK || chain->preview_scale == NULL)
        return status;
    return scale_row(chain->preview_scale, row);
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

enum status chain_row(struct chain *chain, const uint8_t *row)
{
    return chain->first.write(chain->first.arg, row);
}

enum status chain_packed(struct chain *chain, const uint8_t *bytes, size_t len)
{
    return png_writer_packed(chain->original, bytes, len);
}

enum status chain_run(struct chain *chain, int64_t *budget_px)
{
    return chain->rotate != NULL ? rotate_run(chain->rotate, budget_px)
                                 : STATUS_OK;
}

enum status chain_finish(struct chain *chain)
{
    enum status status = png_writer_finish(chain->original);

    if (status == STATUS_OK && chain->preview != NULL)
        status = png_writer_finish(chain->preview);
    return status;
}

uint32_t chain_original_rows(const struct chain *chain)
{
    return chain->original_rows;
}

/* ---- stages, the last one first */

/* None where samples are no intensities (PNG 12.7). */
static enum png_filter choose_filter(const struct pixel_format *format)
{
    return format->kind == PIXEL_INDEXED || format->depth < 8
               ? PNG_WRITER_NONE
               : PNG_WRITER_PAETH;
}

static enum deflate_kind choose_deflate(const struct chain *chain)
{
    return chain->source_type == IMAGE_TYPE_JPEG ? DEFLATE_RUNS
                                                 : DEFLATE_MATCHES;
}

static enum status build_original(struct chain *chain,
                                  const struct byte_sink *sink)
{
    const struct plan *plan = &chain->plan;
    struct png_image image = {
        .width_px = plan->original.width_px,
        .height_px = plan->original.height_px,
        .format = plan->original_format,
        .filter = choose_filter(&plan->original_format),
        .deflate = choose_deflate(chain),
        .copies = plan->copies,
    };

    chain->first = (struct row_sink){row_to_original, chain};
    return png_writer_new(&chain->original, &image, sink);
}

static enum status build_preview(struct chain *chain,
                                 const struct byte_sink *sink)
{
    const struct plan *plan = &chain->plan;
    struct png_image image = {
        .width_px = plan->preview.width_px,
        .height_px = plan->preview.height_px,
        .deflate = choose_deflate(chain),
    };
    struct scale_job job = {
        .format = plan->original_format,
        .source_width_px = plan->original.width_px,
        .source_height_px = plan->original.height_px,
        .width_px = plan->preview.width_px,
        .height_px = plan->preview.height_px,
        .sink = {row_to_preview, chain},
    };
    enum status status;

    if (plan->preview_is_original)
        return STATUS_OK;
    pixel_format_plain(&plan->original_format, &image.format);
    image.filter = choose_filter(&image.format);
    status = png_writer_new(&chain->preview, &image, sink);
    return status == STATUS_OK ? scale_new(&chain->preview_scale, &job)
                               : status;
}

static struct rotate_job rotation(const struct plan *plan, uint8_t orientation)
{
    return (struct rotate_job){
        .orientation = orientation,
        .width_px = plan->scaled.width_px,
        .height_px = plan->scaled.height_px,
        .pixel_bytes = pixel_bytes(&plan->original_format),
    };
}

bool chain_bytes(const struct chain_job *job, size_t *bytes)
{
    struct rotate_job turn = rotation(job->plan, job->orientation);

    return rotate_bytes(&turn, bytes);
}

static enum status build_rotate(struct chain *chain)
{
    struct rotate_job job = rotation(&chain->plan, chain->orientation);
    enum status status;

    if (chain->orientation == 1)
        return STATUS_OK;
    job.sink = chain->first;
    status = rotate_new(&chain->rotate, &job);
    chain->first = (struct row_sink){row_to_rotate, chain->rotate};
    return status;
}

/* After scaling there are fewer rows to convert. */
static enum status build_colour(struct chain *chain)
{
    enum status status;

    if (chain->colour == NULL)
        return STATUS_OK;
    status =
        colour_start(chain->colour, chain->plan.scaled.width_px, &chain->first);
    chain->first = (struct row_sink){row_to_colour, chain->colour};
    return status;
}

static enum status build_scale(struct chain *chain,
                               const struct pixel_format *format)
{
    struct scale_job job = {
        .format = *format,
        .source_width_px = chain->plan.decoded.width_px,
        .source_height_px = chain->plan.decoded.height_px,
        .width_px = chain->plan.scaled.width_px,
        .height_px = chain->plan.scaled.height_px,
        .sink = chain->first,
    };
    enum status status;

    if (job.width_px == job.source_width_px &&
        job.height_px == job.source_height_px)
        return STATUS_OK;
    status = scale_new(&chain->scale, &job);
    chain->first = (struct row_sink){row_to_scale, chain->scale};
    return status;
}

static enum status build(struct chain *chain, const struct chain_job *job)
{
    enum status status = build_original(chain, &job->original);

    if (status == STATUS_OK)
        status = build_preview(chain, &job->preview);
    if (status == STATUS_OK)
        status = build_rotate(chain);
    if (status == STATUS_OK)
        status = build_colour(chain);
    if (status == STATUS_OK)
        status = build_scale(chain, &job->format);
    return status;
}

enum status chain_new(struct chain **out, const struct chain_job *job)
{
    struct chain *chain = calloc(1, sizeof(*chain));
    enum status status;

    if (chain == NULL)
        return STATUS_NO_MEMORY;
    chain->plan = *job->plan;
    chain->source_type = job->source_type;
    chain->orientation = job->orientation;
    chain->colour = job->colour;
    status = build(chain, job);
    if (status != STATUS_OK) {
        chain_free(chain);
        return status;
    }
    *out = chain;
    return STATUS_OK;
}

void chain_free(struct chain *chain)
{
    if (chain == NULL)
        return;
    scale_free(chain->scale);
    rotate_free(chain->rotate);
    png_writer_free(chain->original);
    scale_free(chain->preview_scale);
    png_writer_free(chain->preview);
    free(chain);
}
