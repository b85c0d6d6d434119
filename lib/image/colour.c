/*
 * colour.c: lcms2 understands the profile, and as much as possible of it is
 * then turned into tables:
 *
 *   GRAY     one table of 256 entries
 *   MATRIX   RGB whose profile is three curves and a matrix: cameras, phones,
 *            screens, and PNG's gAMA and cHRM. In linear light such a
 *            conversion is a sum of what each of the three samples gives, so
 *            three tables hold curve and matrix, and a fourth one encodes the
 *            sum. 2.1 ms a megapixel, where lcms2 takes 8.5.
 *   LUT      anything else, RGB of scanners and all CMYK: a grid of colours
 *            that lcms2's exact transform was asked for, and interpolation
 *            between them (grid.h): 24 ms a megapixel for RGB, 35 for CMYK,
 *            where lcms2's own takes 32 and 54
 *
 * A profile whose effect is no more than one level of 255 anywhere on a grid is
 * sRGB by another name: nothing is converted at all.
 *
 * Rendering intent: relative colorimetric with black point compensation. For
 * curves and a matrix all intents are the same. For printers' tables it is the
 * one that is defined by measurement, not by the taste of the profile's maker;
 * it leaves what sRGB can show as it was, paper becomes white, and ink black.
 *
 * A profile is hostile input. Its size has a ceiling, and so has all memory
 * that lcms2 takes while it is read: what would go beyond it jumps back to
 * build(), the only place with a setjmp, and everything lcms2 had is dropped.
 * Pipelines of floating point (D2B0 ...) are refused: they may have any number
 * of steps, so nothing would bound the time.
 */
#include "colour.h"

#include "../limits.h"
#include "grid.h"

#include <lcms2.h>
#include <lcms2_plugin.h>

#include <math.h>
#include <setjmp.h>

#define INTENT INTENT_RELATIVE_COLORIMETRIC
#define EXACT                                                                  \
    (cmsFLAGS_BLACKPOINTCOMPENSATION | cmsFLAGS_NOOPTIMIZE | cmsFLAGS_NOCACHE)

/* Points of the grid in each direction: all of them in one step of 2 ms for
 * RGB, 3 for CMYK, of tables that differ from the exact transform by 0.1 and
 * 0.4 of a level in the mean. Inks have 9 because printers' profiles mostly
 * have 9 or 17: the points are the same. */
#define GRID_RGB 17
#define GRID_CMYK 9

/* Linear light 0 to 1 is 0 to LINEAR_MAX in the table that encodes it: below
 * half a level for each step where the curve is steepest. */
#define LINEAR_MAX 8191
#define SUM_BITS 10 /* more precision while light is added up */
#define LIGHT_BOUND 16.0F

#define PROBE_STEPS 9 /* of each sample, when looking for sRGB */
#define PROBE_PX (PROBE_STEPS * PROBE_STEPS * PROBE_STEPS + 256)

/* PNG 11.3.3.1: the gamma that sRGB is approximated by. */
#define GAMMA_SRGB_E5 45455
#define GAMMA_NEAR_E5 455 /* 1 % */
#define POINT_NEAR_E5 100 /* 0.001 */
#define POINT_ONE_E5 100000
#define GAMMA_MIN_E5 10000   /* exponents from 10 ... */
#define GAMMA_MAX_E5 1000000 /* ... to 0.1 */

/* ITU-R BT.709 primaries and D65. */
static const uint32_t srgb_points_e5[COLOUR_POINTS][2] = {
    [COLOUR_WHITE] = {31270, 32900},
    [COLOUR_RED] = {64000, 33000},
    [COLOUR_GREEN] = {30000, 60000},
    [COLOUR_BLUE] = {15000, 6000},
};

struct memory;

struct block {
    struct memory *memory; /* NULL: of no context yet */
    struct block *previous, *next;
    size_t bytes;
};

/* All that lcms2 allocates for one picture. */
struct memory {
    struct block first; /* of a ring */
    size_t bytes;
    bool is_armed; /* escape may be used */
    bool is_short; /* malloc() failed, not the ceiling */
    jmp_buf escape;
};

enum colour_way { WAY_NONE, WAY_GRAY, WAY_MATRIX, WAY_LUT };

struct matrix {
    quad light[3][256]; /* of a sample: what it gives of R, G and B */
    uint8_t encode[LINEAR_MAX + 1];
};

struct colour {
    enum colour_way way;
    enum pixel_kind kind;
    bool is_cmyk;
    bool is_inverted;
    struct memory memory;
    cmsContext context;
    uint8_t gray[256];
    struct matrix *matrix;
    struct grid *grid;
    size_t width_px;
    uint8_t *row;
    struct row_sink sink;
};

/* ---- lcms2's memory */

static void *on_malloc(cmsContext context, cmsUInt32Number size)
{
    struct memory *memory = cmsGetContextUserData(context);
    size_t bytes = sizeof(struct block) + size;
    bool is_room =
        memory == NULL || bytes <= IMAGE_ICC_MEMORY_MAX_BYTES - memory->bytes;
    struct block *block = is_room ? malloc(bytes) : NULL;

    if (block == NULL && memory != NULL && memory->is_armed) {
        memory->is_short = is_room;
        longjmp(memory->escape, 1);
    }
    if (block == NULL)
        return NULL;
    *block = (struct block){.memory = memory, .bytes = bytes};
    if (memory != NULL) {
        block->previous = &memory->first;
        block->next = memory->first.next;
        block->next->previous = block->previous->next = block;
        memory->bytes += bytes;
    }
    return block + 1;
}

static void on_free(cmsContext context, void *bytes)
{
    struct block *block;

    (void)context;
    if (bytes == NULL)
        return;
    block = (struct block *)bytes - 1;
    if (block->memory != NULL) {
        block->previous->next = block->next;
        block->next->previous = block->previous;
        block->memory->bytes -= block->bytes;
    }
    free(block);
}

static void *on_realloc(cmsContext context, void *bytes, cmsUInt32Number size)
{
    void *grown = on_malloc(context, size);
    const struct block *old;

    if (bytes == NULL || grown == NULL)
        return grown;
    old = (const struct block *)bytes - 1;
    memcpy(grown, bytes, size_min(old->bytes - sizeof(*old), size));
    on_free(context, bytes);
    return grown;
}

static void memory_init(struct memory *memory)
{
    memory->first.next = memory->first.previous = &memory->first;
}

static void memory_release(struct memory *memory)
{
    while (memory->first.next != &memory->first)
        on_free(NULL, memory->first.next + 1);
}

static cmsContext new_context(struct memory *memory)
{
    cmsPluginMemHandler handler = {
        .base = {.Magic = cmsPluginMagicNumber,
                 .ExpectedVersion = 2060, /* its form since then */
                 .Type = cmsPluginMemHandlerSig},
        .MallocPtr = on_malloc,
        .FreePtr = on_free,
        .ReallocPtr = on_realloc,
    };

    return cmsCreateContext(&handler, memory);
}

/* ---- profiles; NULL if there is none, in here nothing has to be freed */

static cmsToneCurve *srgb_curve(cmsContext context)
{
    /* IEC 61966-2-1, as lcms2's parametric type 4 */
    static const cmsFloat64Number curve[] = {2.4, 1 / 1.055, 0.055 / 1.055,
                                             1 / 12.92, 0.04045};

    return cmsBuildParametricToneCurve(context, 4, curve);
}

static cmsCIExyY point(const uint32_t xy_e5[2])
{
    return (cmsCIExyY){xy_e5[0] / 1e5, xy_e5[1] / 1e5, 1};
}

static cmsHPROFILE rgb_profile(cmsContext context,
                               const uint32_t points_e5[COLOUR_POINTS][2],
                               cmsToneCurve *curve)
{
    cmsToneCurve *curves[] = {curve, curve, curve};
    cmsCIExyY white = point(points_e5[COLOUR_WHITE]);
    cmsCIExyYTRIPLE primaries = {
        .Red = point(points_e5[COLOUR_RED]),
        .Green = point(points_e5[COLOUR_GREEN]),
        .Blue = point(points_e5[COLOUR_BLUE]),
    };

    if (curve == NULL)
        return NULL;
    return cmsCreateRGBProfileTHR(context, &white, &primaries, curves);
}

static cmsHPROFILE gray_profile(cmsContext context, cmsToneCurve *curve)
{
    if (curve == NULL)
        return NULL;
    return cmsCreateGrayProfileTHR(context, cmsD50_xyY(), curve);
}

static bool has_float_pipeline(cmsHPROFILE profile)
{
    static const cmsTagSignature tags[] = {
        cmsSigDToB0Tag, cmsSigDToB1Tag, cmsSigDToB2Tag, cmsSigDToB3Tag,
        cmsSigBToD0Tag, cmsSigBToD1Tag, cmsSigBToD2Tag, cmsSigBToD3Tag,
    };

    for (size_t i = 0; i < ARRAY_COUNT(tags); i++)
        if (cmsIsTag(profile, tags[i]))
            return true;
    return false;
}

/* Device links, abstract and named colour profiles describe no device. */
static bool is_of_device(cmsHPROFILE profile)
{
    switch (cmsGetDeviceClass(profile)) {
    case cmsSigInputClass:
    case cmsSigDisplayClass:
    case cmsSigOutputClass:
    case cmsSigColorSpaceClass:
        return true;
    default:
        return false;
    }
}

static bool is_gray(enum pixel_kind kind)
{
    return kind == PIXEL_GRAY || kind == PIXEL_GRAY_ALPHA;
}

static cmsColorSpaceSignature space_of(const struct colour *c)
{
    if (c->is_cmyk)
        return cmsSigCmykData;
    return is_gray(c->kind) ? cmsSigGrayData : cmsSigRgbData;
}

static cmsHPROFILE icc_profile(const struct colour *c,
                               const struct colour_tags *tags)
{
    cmsHPROFILE profile;

    if (tags->profile == NULL || tags->profile_bytes > IMAGE_ICC_MAX_BYTES)
        return NULL;
    profile = cmsOpenProfileFromMemTHR(c->context, tags->profile,
                                       (cmsUInt32Number)tags->profile_bytes);
    if (profile == NULL || !is_of_device(profile) ||
        cmsGetColorSpace(profile) != space_of(c) || has_float_pipeline(profile))
        return NULL;
    return profile;
}

static bool are_srgb(const uint32_t points_e5[COLOUR_POINTS][2])
{
    for (size_t i = 0; i < COLOUR_POINTS; i++)
        for (size_t k = 0; k < 2; k++)
            if (labs((long)points_e5[i][k] - (long)srgb_points_e5[i][k]) >
                POINT_NEAR_E5)
                return false;
    return true;
}

static bool are_points(const uint32_t points_e5[COLOUR_POINTS][2])
{
    for (size_t i = 0; i < COLOUR_POINTS; i++)
        if (points_e5[i][1] == 0 || points_e5[i][0] > POINT_ONE_E5 ||
            points_e5[i][1] > POINT_ONE_E5)
            return false;
    return true;
}

/* gAMA and cHRM. The gamma that stands for sRGB's curve does so only together
 * with sRGB's points: elsewhere it is what it says (Adobe RGB). */
static cmsHPROFILE tagged_profile(const struct colour *c,
                                  const struct colour_tags *tags)
{
    bool has_gamma =
        tags->gamma_e5 >= GAMMA_MIN_E5 && tags->gamma_e5 <= GAMMA_MAX_E5;
    bool has_points = tags->has_points && !is_gray(c->kind) &&
                      are_points(tags->points_e5) && !are_srgb(tags->points_e5);
    bool is_usual = labs((long)tags->gamma_e5 - GAMMA_SRGB_E5) <= GAMMA_NEAR_E5;
    cmsToneCurve *curve;

    if (c->is_cmyk || (!has_points && (!has_gamma || is_usual)))
        return NULL;
    curve = has_gamma ? cmsBuildGamma(c->context, 1e5 / tags->gamma_e5)
                      : srgb_curve(c->context);
    if (is_gray(c->kind))
        return gray_profile(c->context, curve);
    return rgb_profile(c->context,
                       has_points ? tags->points_e5 : srgb_points_e5, curve);
}

/* ---- tables */

static float clamp(float value, float min, float max)
{
    if (!(value > min)) /* nor is what is no number */
        return min;
    return value < max ? value : max;
}

static void build_gray(struct colour *c, cmsHPROFILE profile)
{
    cmsHPROFILE srgb = gray_profile(c->context, srgb_curve(c->context));
    cmsHTRANSFORM transform = cmsCreateTransformTHR(
        c->context, profile, TYPE_GRAY_FLT, srgb, TYPE_GRAY_FLT, INTENT, EXACT);

    if (transform == NULL)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(c->gray); i++) {
        float in = (float)i / 255;
        float out = 0;

        cmsDoTransform(transform, &in, &out, 1);
        c->gray[i] = (uint8_t)(clamp(out, 0, 1) * 255 + 0.5F);
    }
    c->way = WAY_GRAY;
}

/* sRGB's curve turned around, so that it takes one pow() a level. */
static void build_encode(uint8_t encode[LINEAR_MAX + 1])
{
    size_t i = 0;

    for (unsigned level = 0; level < 255; level++) {
        double edge = (level + 0.5) / 255;
        double light =
            edge <= 0.04045 ? edge / 12.92 : pow((edge + 0.055) / 1.055, 2.4);

        for (; (double)i < light * LINEAR_MAX; i++)
            encode[i] = (uint8_t)level;
    }
    for (; i <= LINEAR_MAX; i++)
        encode[i] = 255;
}

static quad fixed_light(const float rgb[3], const float offset[3])
{
    quad light = {0};

    for (size_t k = 0; k < 3; k++)
        light[k] =
            (int32_t)(clamp(rgb[k] - offset[k], -LIGHT_BOUND, LIGHT_BOUND) *
                      (LINEAR_MAX << SUM_BITS));
    return light;
}

static void fill_matrix(struct matrix *matrix, cmsHTRANSFORM to_linear)
{
    static const float half = 0.5F / LINEAR_MAX;
    float black[3] = {0};
    float none[3] = {-half, -half, -half}; /* rounds the sum */

    cmsDoTransform(to_linear, (float[3]){0}, black, 1);
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < 256; i++) {
            float in[3] = {0};
            float out[3] = {0};

            in[k] = (float)i / 255;
            cmsDoTransform(to_linear, in, out, 1);
            matrix->light[k][i] = fixed_light(out, k == 0 ? none : black);
        }
    build_encode(matrix->encode);
}

/* The matrix was allocated before, since this may jump. */
static void build_matrix(struct colour *c, cmsHPROFILE profile)
{
    cmsHPROFILE linear =
        rgb_profile(c->context, srgb_points_e5, cmsBuildGamma(c->context, 1));
    cmsHTRANSFORM transform = cmsCreateTransformTHR(
        c->context, profile, TYPE_RGB_FLT, linear, TYPE_RGB_FLT, INTENT, EXACT);

    if (transform == NULL)
        return;
    fill_matrix(c->matrix, transform);
    c->way = WAY_MATRIX;
}

static cmsUInt32Number lut_format(const struct colour *c)
{
    if (c->is_cmyk)
        return c->is_inverted ? TYPE_CMYK_16_REV : TYPE_CMYK_16;
    return TYPE_RGB_16;
}

/* Half of the room on an axis is given to all levels alike, half to where gray
 * changes most: near black of a profile in linear light. The curve may be
 * anything, the axis rises. */
static void set_axes(struct grid *grid, cmsHTRANSFORM transform)
{
    uint16_t curve[256][3];
    float place[256];

    for (size_t i = 0; i < 256; i++) {
        uint16_t level = (uint16_t)(i * 257);
        uint16_t in[GRID_INPUTS_MAX] = {level, level, level};

        cmsDoTransform(transform, in, curve[i], 1);
        for (size_t k = 0; i > 0 && k < 3; k++)
            if (curve[i][k] < curve[i - 1][k])
                curve[i][k] = curve[i - 1][k];
    }
    for (size_t k = 0; k < grid->inputs; k++) {
        /* inks have no gray of their own: all levels alike */
        bool is_even = grid->inputs > 3 || curve[255][k] == curve[0][k];

        for (size_t i = 0; i < 256; i++) {
            place[i] = (float)i / 255;
            if (!is_even)
                place[i] =
                    (place[i] + (float)(curve[i][k] - curve[0][k]) /
                                    (float)(curve[255][k] - curve[0][k])) /
                    2;
        }
        grid_set_axis(grid, k, place);
    }
}

/* Not lcms2's own grid: that takes ten times as long to make, and longer to
 * use. The memory was allocated before, since this may jump. */
static void build_lut(struct colour *c, cmsHPROFILE profile)
{
    cmsHPROFILE srgb =
        rgb_profile(c->context, srgb_points_e5, srgb_curve(c->context));
    cmsHTRANSFORM transform = cmsCreateTransformTHR(
        c->context, profile, lut_format(c), srgb, TYPE_RGB_16, INTENT, EXACT);

    if (transform == NULL)
        return;
    set_axes(c->grid, transform);
    for (size_t i = 0; i < c->grid->count; i++) {
        uint16_t in[GRID_INPUTS_MAX];
        uint16_t out[3];

        grid_get_point(c->grid, i, in);
        cmsDoTransform(transform, in, out, 1);
        grid_set_point(c->grid, i, out);
    }
    c->way = WAY_LUT;
}

static bool is_matrix(cmsHPROFILE profile)
{
    return cmsIsMatrixShaper(profile) &&
           !cmsIsCLUT(profile, INTENT, LCMS_USED_AS_INPUT) &&
           !cmsIsCLUT(profile, INTENT_PERCEPTUAL, LCMS_USED_AS_INPUT);
}

static void build_from(struct colour *c, cmsHPROFILE profile)
{
    if (profile == NULL)
        return;
    if (is_gray(c->kind))
        build_gray(c, profile);
    else if (!c->is_cmyk && is_matrix(profile))
        build_matrix(c, profile);
    else
        build_lut(c, profile);
    cmsCloseProfile(profile); /* large, and copied to where it is needed */
}

static void drop_lcms(struct colour *c)
{
    if (c->context != NULL)
        cmsDeleteContext(c->context);
    c->context = NULL;
    memory_release(&c->memory);
}

/* Leaves WAY_NONE if no tag can be used. */
static enum status build(struct colour *c, const struct colour_tags *tags)
{
    if (setjmp(c->memory.escape) != 0) {
        c->memory.is_armed = false;
        return c->memory.is_short ? STATUS_NO_MEMORY : STATUS_OK;
    }
    c->context = new_context(&c->memory);
    if (c->context == NULL)
        return STATUS_NO_MEMORY;
    c->memory.is_armed = true;
    build_from(c, icc_profile(c, tags));
    if (c->way == WAY_NONE)
        build_from(c, tagged_profile(c, tags));
    c->memory.is_armed = false;
    return STATUS_OK;
}

/* ---- rows */

static void convert_gray(const struct colour *c, const uint8_t *in,
                         size_t width_px, uint8_t *out)
{
    if (c->kind == PIXEL_GRAY) {
        for (size_t i = 0; i < width_px; i++)
            out[i] = c->gray[in[i]];
        return;
    }
    for (size_t i = 0; i < width_px; i++) {
        out[2 * i] = c->gray[in[2 * i]];
        out[2 * i + 1] = in[2 * i + 1];
    }
}

static void convert_matrix(const struct colour *c, const uint8_t *in,
                           size_t width_px, uint8_t *out)
{
    const struct matrix *m = c->matrix;
    const quad max = {LINEAR_MAX, LINEAR_MAX, LINEAR_MAX, LINEAR_MAX};
    size_t bytes = c->kind == PIXEL_RGBA ? 4 : 3;

    for (size_t i = 0; i < width_px; i++, in += bytes, out += bytes) {
        quad sum =
            (m->light[0][in[0]] + m->light[1][in[1]] + m->light[2][in[2]]) >>
            SUM_BITS;
        quad above = sum > max;

        sum &= sum > 0;
        sum = (sum & ~above) | (max & above);
        for (size_t k = 0; k < 3; k++)
            out[k] = m->encode[sum[k]];
        if (bytes == 4)
            out[3] = in[3];
    }
}

static size_t pixel_size(enum pixel_kind kind)
{
    return pixel_bytes(&(struct pixel_format){.kind = kind});
}

static void convert(const struct colour *c, const uint8_t *in, size_t width_px,
                    uint8_t *out)
{
    size_t bytes;

    switch (c->way) {
    case WAY_GRAY:
        convert_gray(c, in, width_px, out);
        return;
    case WAY_MATRIX:
        convert_matrix(c, in, width_px, out);
        return;
    default:
        bytes = pixel_size(c->kind);
        grid_row(c->grid, in, c->is_cmyk ? 4 : bytes, out, bytes, width_px);
    }
}

/* ---- sRGB by another name */

/* A grid over all colours, then all grays. */
static void fill_probe(uint8_t *probe, size_t bytes)
{
    size_t grid = PROBE_PX - 256;

    memset(probe, 255, PROBE_PX * bytes);
    for (size_t i = 0; i < PROBE_PX; i++) {
        size_t steps[] = {i % PROBE_STEPS, i / PROBE_STEPS % PROBE_STEPS,
                          i / PROBE_STEPS / PROBE_STEPS};

        for (size_t k = 0; k < 3 && k < bytes; k++)
            probe[i * bytes + k] =
                (uint8_t)(i < grid ? steps[k] * 255 / (PROBE_STEPS - 1)
                                   : i - grid);
    }
}

static bool changes_nothing(const struct colour *c)
{
    uint8_t in[PROBE_PX * 4];
    uint8_t out[PROBE_PX * 4];
    size_t bytes = pixel_size(c->kind);

    if (c->way == WAY_GRAY) {
        for (int i = 0; i < 256; i++)
            if (abs(c->gray[i] - i) > 1)
                return false;
        return true;
    }
    fill_probe(in, bytes);
    convert(c, in, PROBE_PX, out);
    for (size_t i = 0; i < PROBE_PX * bytes; i++)
        if (abs(in[i] - out[i]) > 1)
            return false;
    return true;
}

/* ---- the door */

static enum status open_colour(struct colour **out,
                               const struct colour_tags *tags,
                               const struct colour *wanted)
{
    struct colour *c = NULL;
    enum status status = STATUS_NO_MEMORY;

    *out = NULL;
    if (tags->profile == NULL && tags->gamma_e5 == 0 && !tags->has_points)
        return STATUS_OK;
    c = malloc(sizeof(*c));
    if (c == NULL)
        return STATUS_NO_MEMORY;
    *c = *wanted;
    memory_init(&c->memory);
    c->matrix = aligned_alloc(sizeof(quad), sizeof(*c->matrix));
    c->grid = c->is_cmyk ? grid_new(4, GRID_CMYK) : grid_new(3, GRID_RGB);
    if (c->matrix != NULL && c->grid != NULL)
        status = build(c, tags);
    drop_lcms(c);
    if (c->way != WAY_MATRIX) {
        free(c->matrix);
        c->matrix = NULL;
    }
    if (c->way != WAY_LUT) {
        grid_free(c->grid);
        c->grid = NULL;
    }
    if (status == STATUS_OK && c->way != WAY_NONE &&
        (c->is_cmyk || !changes_nothing(c)))
        *out = c;
    else
        colour_free(c);
    return status;
}

enum status colour_new(struct colour **out, const struct colour_tags *tags,
                       enum pixel_kind kind)
{
    struct colour wanted = {.kind = kind == PIXEL_INDEXED ? PIXEL_RGB : kind};

    return open_colour(out, tags, &wanted);
}

enum status colour_new_cmyk(struct colour **out, const struct colour_tags *tags,
                            bool inverted)
{
    struct colour wanted = {
        .kind = PIXEL_RGB, .is_cmyk = true, .is_inverted = inverted};

    return open_colour(out, tags, &wanted);
}

void colour_free(struct colour *c)
{
    if (c == NULL)
        return;
    free(c->matrix);
    grid_free(c->grid);
    free(c->row);
    free(c);
}

size_t colour_bytes(const struct colour *c)
{
    return sizeof(*c) + (c->matrix != NULL ? sizeof(*c->matrix) : 0) +
           (c->grid != NULL ? grid_bytes(c->grid) : 0);
}

/* The gray levels of a picture, converted, as a palette. Black and white stay
 * what they are, mostly. */
static void index_gray(const struct colour *c, struct pixel_format *format)
{
    struct pixel_table table;

    if (format->depth == 1 && c->gray[0] == 0 && c->gray[255] == 255)
        return;
    pixel_table_init(&table, format);
    for (size_t i = 0; i < PALETTE_MAX; i++) {
        memset(format->palette[i], c->gray[table.entry[i][0]], 3);
        format->alpha[i] = 255;
    }
    if (format->has_key) {
        format->alpha[format->key] = 0;
        format->alpha_count = format->key + 1U;
    }
    format->kind = PIXEL_INDEXED;
    format->has_key = false;
}

bool colour_format(const struct colour *c, struct pixel_format *format)
{
    uint8_t palette[PALETTE_MAX][3];

    if (format->kind == PIXEL_INDEXED) {
        convert(c, format->palette[0], PALETTE_MAX, palette[0]);
        memcpy(format->palette, palette, sizeof(palette));
        return false;
    }
    if (pixel_is_plain(format))
        return true;
    index_gray(c, format);
    return false;
}

enum status colour_start(struct colour *c, size_t width_px,
                         const struct row_sink *sink)
{
    size_t bytes;

    if (!size_mul(width_px, pixel_size(c->kind), &bytes))
        return STATUS_NO_MEMORY;
    c->row = malloc(bytes);
    if (c->row == NULL)
        return STATUS_NO_MEMORY;
    c->width_px = width_px;
    c->sink = *sink;
    return STATUS_OK;
}

enum status colour_row(struct colour *c, const uint8_t *row)
{
    convert(c, row, c->width_px, c->row);
    return c->sink.write(c->sink.arg, c->row);
}
