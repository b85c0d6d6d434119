/*
 * scale.c: row -> plain -> times alpha -> down (vertical) -> across -> divided
 * by alpha -> sink.
 *
 * Vertical first, since that is one multiply-add over whole source rows in
 * 16 bits, which vectorizes; what it leaves is then a fraction of the rows for
 * the horizontal pass. Weights are the shares of the covered area in fixed
 * point, and those of one result always add up to the same, so a flat area
 * keeps its value:
 *
 *   down    sum of sample * weight <= 255 * 256         fits 16 bits
 *   across  sum of that * weight <= 255 * 256 * 65535   fits 32 bits, and half
 *           a unit with it
 *
 * A source column is the first of at most one column of the result, and a later
 * one of at most one. So across multiplies the whole row by two arrays of
 * weights, which vectorizes too, and then adds up short runs.
 */
#include "scale.h"

#define DOWN_ONE 256U
#define ACROSS_ONE 65535U /* for 2^16, which does not fit */
#define SUM_BITS 24
/* Half a unit, and half of what ACROSS_ONE lacks at most. */
#define SUM_HALF ((1U << (SUM_BITS - 1)) + (1U << 15))

#define PADDING                                                                \
    3 /* samples that a quad at the last pixel reaches beyond it               \
       */

/* GCC's vectors: one instruction where the machine has it. */
typedef uint32_t quad __attribute__((vector_size(16)));

/* The source columns of one column of the result. */
struct span {
    uint32_t first;
    uint32_t count;
};

/* Weights, and products, of each source sample as the first of its span and as
 * a later one. */
struct across {
    uint16_t *weight_first;
    uint16_t *weight_later;
    uint32_t *first;
    uint32_t *later;
    uint32_t *total; /* of each sample of the result */
    struct span *spans;
};

struct scale {
    struct scale_job job;
    size_t bytes;       /* a plain pixel */
    size_t row_samples; /* of a source row */
    bool has_alpha;
    bool has_table;
    struct pixel_table table;
    uint8_t *plain; /* a source row, plain, times alpha */
    uint16_t *sums; /* of the rows of the current row of the result */
    struct across across;
    uint8_t *result;
    uint32_t source_row;
    uint32_t result_row;
    uint32_t inverse_alpha[256];
};

/* ---- weights */

/* Rounded share, out of `one`, of a cell of length `len` up to `at` <= len. */
static uint32_t share(uint64_t at, uint64_t len, uint32_t one)
{
    return (uint32_t)((at * one + len / 2) / len);
}

static void set_weight(uint16_t *weights, size_t column, size_t bytes,
                       uint32_t weight)
{
    for (size_t k = 0; k < bytes; k++)
        weights[column * bytes + k] = (uint16_t)weight;
}

/*
 * In units of 1/result of a source pixel, column x of the result covers
 * [x * source, (x + 1) * source) and source column i covers
 * [i * result, (i + 1) * result).
 */
static void plan_span(struct scale *s, uint64_t x)
{
    uint64_t source = s->job.source_width_px;
    uint64_t result = s->job.width_px;
    uint64_t start = x * source;
    uint64_t first = start / result;
    uint64_t last = (start + source - 1) / result;
    uint32_t done = 0;

    s->across.spans[x] =
        (struct span){(uint32_t)first, (uint32_t)(last - first + 1)};
    for (uint64_t i = first; i <= last; i++) {
        uint64_t end = (i + 1) * result - start;
        uint32_t up_to = share(end < source ? end : source, source, ACROSS_ONE);

        set_weight(i == first ? s->across.weight_first : s->across.weight_later,
                   i, s->bytes, up_to - done);
        done = up_to;
    }
}

/* ---- alpha: the last sample of a pixel of 2 or 4 bytes */

static inline uint8_t times(unsigned sample, unsigned alpha)
{
    unsigned product = sample * alpha + 128;

    return (uint8_t)((product + (product >> 8)) >> 8); /* product / 255 */
}

static void multiply_alpha(uint8_t *out, const uint8_t *row, size_t pixels,
                           size_t bytes)
{
    for (size_t i = 0; i < pixels; i++, row += bytes, out += bytes) {
        unsigned alpha = row[bytes - 1];

        for (size_t k = 0; k + 1 < bytes; k++)
            out[k] = times(row[k], alpha);
        out[bytes - 1] = (uint8_t)alpha;
    }
}

static void divide_alpha(struct scale *s)
{
    uint8_t *pixel = s->result;

    for (size_t i = 0; i < s->job.width_px; i++, pixel += s->bytes) {
        uint32_t inverse = s->inverse_alpha[pixel[s->bytes - 1]];

        for (size_t k = 0; k + 1 < s->bytes; k++) {
            uint32_t sample = (pixel[k] * inverse + (1U << 15)) >> 16;

            pixel[k] = (uint8_t)(sample < 255 ? sample : 255);
        }
    }
}

/* ---- down */

static void sum_begin(uint16_t *restrict sums, const uint8_t *restrict row,
                      size_t samples, uint16_t weight)
{
    for (size_t i = 0; i < samples; i++)
        sums[i] = (uint16_t)(row[i] * weight);
}

static void sum_add(uint16_t *restrict sums, const uint8_t *restrict row,
                    size_t samples, uint16_t weight)
{
    for (size_t i = 0; i < samples; i++)
        sums[i] = (uint16_t)(sums[i] + row[i] * weight);
}

/* ---- across */

static void multiply(uint32_t *restrict products, const uint16_t *restrict sums,
                     const uint16_t *restrict weights, size_t samples)
{
    for (size_t i = 0; i < samples; i++)
        products[i] = (uint32_t)sums[i] * weights[i];
}

static inline quad load_quad(const uint32_t *from)
{
    quad value;

    memcpy(&value, from, sizeof(value));
    return value;
}

/* All pixels are handled as four samples: those beyond the last one belong to
 * the next pixel, which is written after, or to the padding. */
static void add_spans(const struct across *across, size_t width_px,
                      size_t bytes)
{
    uint32_t *total = across->total;

    for (size_t x = 0; x < width_px; x++, total += bytes) {
        const struct span *span = &across->spans[x];
        const uint32_t *later = across->later + span->first * bytes;
        quad sum = load_quad(across->first + span->first * bytes);

        for (size_t i = 1; i < span->count; i++) {
            later += bytes;
            sum += load_quad(later);
        }
        memcpy(total, &sum, sizeof(sum));
    }
}

static void round_totals(uint8_t *restrict out, const uint32_t *restrict total,
                         size_t samples)
{
    for (size_t i = 0; i < samples; i++)
        out[i] = (uint8_t)((total[i] + SUM_HALF) >> SUM_BITS);
}

static enum status finish_row(struct scale *s)
{
    multiply(s->across.first, s->sums, s->across.weight_first, s->row_samples);
    multiply(s->across.later, s->sums, s->across.weight_later, s->row_samples);
    add_spans(&s->across, s->job.width_px, s->bytes);
    round_totals(s->result, s->across.total, s->job.width_px * s->bytes);
    if (s->has_alpha)
        divide_alpha(s);
    s->result_row++;
    return s->job.sink.write(s->job.sink.arg, s->result);
}

/* ---- the scaler */

static bool allocate(struct scale *s)
{
    struct across *across = &s->across;
    size_t samples = s->row_samples;
    size_t result_samples = s->job.width_px * s->bytes;

    s->plain = malloc(samples);
    s->sums = calloc(samples, sizeof(*s->sums));
    s->result = malloc(result_samples);
    across->weight_first = calloc(samples, sizeof(*across->weight_first));
    across->weight_later = calloc(samples, sizeof(*across->weight_later));
    across->first = calloc(samples + PADDING, sizeof(*across->first));
    across->later = calloc(samples + PADDING, sizeof(*across->later));
    across->total = calloc(result_samples + PADDING, sizeof(*across->total));
    across->spans = calloc(s->job.width_px, sizeof(*across->spans));
    return s->plain != NULL && s->sums != NULL && s->result != NULL &&
           across->weight_first != NULL && across->weight_later != NULL &&
           across->first != NULL && across->later != NULL &&
           across->total != NULL && across->spans != NULL;
}

enum status scale_new(struct scale **out, const struct scale_job *job)
{
    struct pixel_format plain;
    struct scale *s;

    if (job->width_px == 0 || job->height_px == 0 ||
        job->width_px > job->source_width_px ||
        job->height_px > job->source_height_px)
        return STATUS_BUG;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return STATUS_NO_MEMORY;
    s->job = *job;
    s->has_table = !pixel_is_plain(&job->format);
    if (s->has_table)
        pixel_table_init(&s->table, &job->format);
    pixel_format_plain(&job->format, &plain);
    s->bytes = pixel_bytes(&plain);
    s->has_alpha = s->bytes % 2 == 0;
    s->row_samples = job->source_width_px * s->bytes;
    if (!allocate(s)) {
        scale_free(s);
        return STATUS_NO_MEMORY;
    }
    for (uint32_t x = 0; x < job->width_px; x++)
        plan_span(s, x);
    for (uint32_t alpha = 1; alpha < 256; alpha++)
        s->inverse_alpha[alpha] = (255U << 16) / alpha;
    *out = s;
    return STATUS_OK;
}

void scale_free(struct scale *s)
{
    if (s == NULL)
        return;
    free(s->plain);
    free(s->sums);
    free(s->result);
    free(s->across.weight_first);
    free(s->across.weight_later);
    free(s->across.first);
    free(s->across.later);
    free(s->across.total);
    free(s->across.spans);
    free(s);
}

/* The row as plain samples times alpha; may be `row` itself. */
static const uint8_t *make_plain(struct scale *s, const uint8_t *row)
{
    size_t width = s->job.source_width_px;

    if (s->has_table) {
        pixel_table_expand(&s->table, row, width, s->plain);
        row = s->plain;
    }
    if (!s->has_alpha)
        return row;
    multiply_alpha(s->plain, row, width, s->bytes);
    return s->plain;
}

/*
 * A source row is never higher than a row of the result, so it touches one of
 * them or two.
 */
enum status scale_row(struct scale *s, const uint8_t *row)
{
    uint64_t source = s->job.source_height_px;
    uint64_t result = s->job.height_px;
    uint64_t cell = s->result_row * source;
    uint64_t start = s->source_row * result;
    uint64_t end = start + result;
    uint64_t cut = end < cell + source ? end : cell + source;
    uint32_t before = start > cell ? share(start - cell, source, DOWN_ONE) : 0;
    uint32_t weight = share(cut - cell, source, DOWN_ONE) - before;
    enum status status;

    if (s->source_row >= source)
        return STATUS_BUG;
    s->source_row++;
    row = make_plain(s, row);
    if (start <= cell)
        sum_begin(s->sums, row, s->row_samples, (uint16_t)weight);
    else
        sum_add(s->sums, row, s->row_samples, (uint16_t)weight);
    if (end < cell + source)
        return STATUS_OK;
    status = finish_row(s);
    if (status != STATUS_OK || end == cell + source)
        return status;
    weight = share(end - cell - source, source, DOWN_ONE);
    sum_begin(s->sums, row, s->row_samples, (uint16_t)weight);
    return STATUS_OK;
}
