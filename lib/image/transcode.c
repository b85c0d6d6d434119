/*
 * transcode.c: ties the stages together.
 *
 *   bytes -> [carry] -> sniff -> decoder -> chain -> two PNG files
 *
 *   SNIFF -> HOLD -> DECODE -> EMIT -> FINISH -> DONE     FAILED from anywhere
 *     ^                 |        |       |
 *     +-----------------+--------+-------+    too long, or a copy that is not
 * sound
 *
 * SNIFF waits for enough bytes to choose the decoder. HOLD waits for the end if
 * a prediction needs the length and nobody told it. In DECODE the decoder
 * reads the header, then transcode_header.c plans all sizes and builds the
 * chain, and then rows run through it. EMIT lets out the rows that a rotation
 * holds. Each call gets a budget of pixels; who runs out of it answers AGAIN.
 *
 * Bytes that a decoder does not take are carried over to the next call; all of
 * them are, while the picture may have to be done again.
 */
#include "decoder_gif.h"
#include "decoder_jpeg.h"
#include "decoder_png.h"
#include "decoder_webp.h"
#include "predict.h"
#include "sniff.h"
#include "transcode_inner.h"

/* ---- the decoder's client */

static enum status on_row(void *arg, const uint8_t *row)
{
    struct transcode *t = arg;

    return chain_row(t->chain, row);
}

static enum status on_cut(void *arg, unsigned percent)
{
    struct transcode *t = arg;
    unsigned least = t->options.truncated_min_percent;

    t->report.decoded_percent = (uint8_t)percent;
    t->needs_redo = t->plan.copies;
    if (t->needs_redo)
        return STATUS_IMAGE_TRUNCATED;
    return least > 0 && percent >= least ? STATUS_OK : STATUS_IMAGE_TRUNCATED;
}

static bool wants_packed(void *arg)
{
    const struct transcode *t = arg;

    return t->plan.copies;
}

static enum status on_packed(void *arg, const uint8_t *bytes, size_t len)
{
    struct transcode *t = arg;

    return chain_packed(t->chain, bytes, len);
}

static void on_sound(void *arg)
{
    struct transcode *t = arg;

    t->is_sound = true;
}

/* ---- states; OK means go on with the next one */

static bool is_wanted(const struct transcode_options *options,
                      enum image_type type)
{
    return (type != IMAGE_TYPE_WEBP || options->webp) &&
           (type != IMAGE_TYPE_GIF || options->gif);
}

/* Whether the picture may have to be done again, as far as its type tells. */
static bool may_redo(const struct transcode *t)
{
    return t->options.mode == TRANSCODE_MAX ||
           (t->report.source_type == IMAGE_TYPE_PNG && !t->no_copy);
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
    t->carry.keeps = t->carry.keeps && may_redo(t);
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
    struct decoder_limits limits = transcode_decoder_limits(&t->options);
    struct decoder_client client = {
        .arg = t,
        .header = transcode_header,
        .row = on_row,
        .cut = on_cut,
        .wants_packed = wants_packed,
        .packed = on_packed,
        .sound = on_sound,
    };

    t->report.decodes++;
    t->report.decoded_percent = 0;
    t->state = STATE_DECODE;
    return decoders[t->report.source_type]->create(&t->decoder, &limits,
                                                   &client);
}

static enum status step_hold(struct transcode *t, struct decoder_input *input)
{
    if (!t->carry.keeps || t->options.mode != TRANSCODE_MAX ||
        transcode_known_bytes(t) > 0)
        return open_decoder(t);
    t->is_held = true;
    if (input->len <= t->options.memory_max_bytes)
        return STATUS_MORE;
    t->carry.keeps = false;
    return open_decoder(t);
}

/* A copy must be sound (for what is broken without a copy see decoder.h), and
 * what is kept for the case that it is not has the limit of the original. */
static bool is_copy_over(const struct transcode *t,
                         const struct decoder_input *input, enum status status)
{
    size_t kept = t->carry.start + t->carry.len - input->len;

    return t->plan.copies && (kept > t->options.original_max_bytes ||
                              status == STATUS_IMAGE_BROKEN ||
                              (status == STATUS_OK && !t->is_sound));
}

static enum status step_decode(struct transcode *t, struct decoder_input *input)
{
    enum status status = t->decoder->ops->decode(t->decoder, input);

    if (t->chain != NULL && is_copy_over(t, input, status)) {
        t->needs_redo = true;
        return STATUS_TOO_LARGE;
    }
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
    enum status status = chain_run(t->chain, &input->budget_px);

    if (status == STATUS_OK)
        t->state = STATE_FINISH;
    return status;
}

static enum status step_finish(struct transcode *t, struct decoder_input *input)
{
    enum status status = chain_finish(t->chain);

    (void)input;
    if (status != STATUS_OK)
        return status;
    t->report.idat_copied = t->plan.copies;
    t->state = STATE_DONE;
    return STATUS_OK;
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
    chain_free(t->chain);
    colour_free(t->colour);
    t->decoder = NULL;
    t->chain = NULL;
    t->colour = NULL;
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

/* By the length so far a better guess is made, once. After that only what is
 * sure will do. */
static void guess_again(struct transcode *t)
{
    const struct plan_size *size = &t->plan.original;
    uint64_t bytes = t->options.original_max_bytes * size->height_px /
                     chain_original_rows(t->chain);

    t->predicted_px = 0;
    if (t->guesses++ == 1)
        t->predicted_px =
            predict_again((uint64_t)size->width_px * size->height_px, bytes,
                          t->options.original_max_bytes);
}

static enum status begin_again(struct transcode *t)
{
    enum status status = t->sinks.restart(t->sinks.original_arg);

    if (status == STATUS_OK)
        status = t->sinks.restart(t->sinks.preview_arg);
    if (status != STATUS_OK)
        return status;
    if (t->plan.copies)
        t->no_copy = true;
    else
        guess_again(t);
    release_stages(t);
    carry_rewind(&t->carry);
    t->report.original_bytes = t->report.preview_bytes = 0;
    t->plan.copies = false;
    t->needs_redo = t->is_sound = false;
    t->state = STATE_SNIFF;
    return STATUS_AGAIN;
}

/* One slice over the carry buffer. */
static enum status work_on_carry(struct transcode *t)
{
    struct decoder_input input = {
        .bytes = carry_front(&t->carry),
        .len = t->carry.len,
        .ended = t->ended,
        .budget_px = t->options.slice_px,
    };
    enum status status = advance(t, &input);

    carry_consume(&t->carry, t->carry.len - input.len);
    return t->needs_redo ? begin_again(t) : status;
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

static size_t input_limit(const struct transcode_options *options)
{
    return options->input_bytes_hint == 0
               ? options->input_max_bytes
               : size_min(options->input_bytes_hint, options->input_max_bytes);
}

/* What is kept of the input at most, so that what is allocated for it is what
 * check_memory() counts. */
static size_t keep_limit(const struct transcode_options *options)
{
    if (options->input_bytes_hint > 0)
        return input_limit(options);
    return options->mode == TRANSCODE_MAX ? options->memory_max_bytes
                                          : options->original_max_bytes;
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
    t->carry.keeps = sinks->restart != NULL;
    t->carry.limit = keep_limit(options);
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
    carry_trim(&t->carry);
    return settle(t, work_on_carry(t));
}

const struct transcode_report *transcode_report(const struct transcode *t)
{
    return &t->report;
}
