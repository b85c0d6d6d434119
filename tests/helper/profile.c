/*
 * profile.c: IEC 61966-2-1 (sRGB), BT.709, SMPTE EG 432-1 (P3 with D65), Adobe
 * RGB (1998); matrices as in SMPTE RP 177, white adapted by Bradford's matrix.
 */
#include "profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <lcms2.h>
#include <math.h>

#define PROFILE_MAX_BYTES (8 * 1024 * 1024)
#define LUT_GRID 9

const struct profile_space profile_srgb = {
    {{0.3127, 0.3290}, {0.64, 0.33}, {0.30, 0.60}, {0.15, 0.06}}, 0};
const struct profile_space profile_p3 = {
    {{0.3127, 0.3290}, {0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}}, 0};
const struct profile_space profile_adobe = {
    {{0.3127, 0.3290}, {0.64, 0.33}, {0.21, 0.71}, {0.15, 0.06}}, 2.19921875};

/* ---- profiles */

static void save(cmsHPROFILE profile, struct buf *out)
{
    cmsUInt32Number len = 0;
    void *bytes;

    assert_non_null(profile);
    assert_true(cmsSaveProfileToMem(profile, NULL, &len));
    bytes = malloc(len);
    assert_non_null(bytes);
    assert_true(cmsSaveProfileToMem(profile, bytes, &len));
    cmsCloseProfile(profile);
    buf_init(out, PROFILE_MAX_BYTES);
    assert_int_equal(buf_append(out, bytes, len), STATUS_OK);
    free(bytes);
}

static cmsToneCurve *make_curve(double gamma)
{
    static const cmsFloat64Number srgb[] = {2.4, 1 / 1.055, 0.055 / 1.055,
                                            1 / 12.92, 0.04045};

    return gamma > 0 ? cmsBuildGamma(NULL, gamma)
                     : cmsBuildParametricToneCurve(NULL, 4, srgb);
}

static cmsCIExyY point(const double xy[2])
{
    return (cmsCIExyY){xy[0], xy[1], 1};
}

void profile_make_rgb(struct buf *out, const struct profile_space *space,
                      double version)
{
    cmsToneCurve *curve = make_curve(space->gamma);
    cmsToneCurve *curves[] = {curve, curve, curve};
    cmsCIExyY white = point(space->points[0]);
    cmsCIExyYTRIPLE primaries = {point(space->points[1]),
                                 point(space->points[2]),
                                 point(space->points[3])};
    cmsHPROFILE profile = cmsCreateRGBProfile(&white, &primaries, curves);

    cmsSetProfileVersion(profile, version);
    cmsFreeToneCurve(curve);
    save(profile, out);
}

void profile_make_gray(struct buf *out, double gamma)
{
    cmsToneCurve *curve = make_curve(gamma);
    cmsHPROFILE profile = cmsCreateGrayProfile(cmsD50_xyY(), curve);

    cmsFreeToneCurve(curve);
    save(profile, out);
}

/* Something smooth: four inks take light away, three lights add it. */
static cmsInt32Number sample_lut(const cmsUInt16Number in[],
                                 cmsUInt16Number out[], void *arg)
{
    bool has_inks = *(const unsigned *)arg == 4;
    double light[3];
    cmsCIELab lab;

    for (size_t k = 0; k < 3; k++)
        light[k] = has_inks ? (1 - in[k] / 65535.0) * (1 - in[3] / 65535.0)
                            : in[k] / 65535.0;
    lab.L = 100 * (0.3 * light[0] + 0.6 * light[1] + 0.1 * light[2]);
    lab.a = 40 * (light[0] - light[1]);
    lab.b = 30 * (light[1] - light[2]);
    cmsFloat2LabEncoded(out, &lab);
    return TRUE;
}

void profile_make_lut(struct buf *out, unsigned channels)
{
    cmsHPROFILE profile = cmsCreateProfilePlaceholder(NULL);
    cmsPipeline *pipeline = cmsPipelineAlloc(NULL, channels, 3);
    cmsStage *table = cmsStageAllocCLut16bit(NULL, LUT_GRID, channels, 3, NULL);

    assert_non_null(table);
    assert_true(cmsStageSampleCLut16bit(table, sample_lut, &channels, 0));
    assert_true(cmsPipelineInsertStage(
        pipeline, cmsAT_END, cmsStageAllocToneCurves(NULL, channels, NULL)));
    assert_true(cmsPipelineInsertStage(pipeline, cmsAT_END, table));
    assert_true(cmsPipelineInsertStage(pipeline, cmsAT_END,
                                       cmsStageAllocToneCurves(NULL, 3, NULL)));
    cmsSetProfileVersion(profile, 4.3);
    cmsSetDeviceClass(profile,
                      channels == 4 ? cmsSigOutputClass : cmsSigInputClass);
    cmsSetColorSpace(profile, channels == 4 ? cmsSigCmykData : cmsSigRgbData);
    cmsSetPCS(profile, cmsSigLabData);
    assert_true(cmsWriteTag(profile, cmsSigAToB0Tag, pipeline));
    assert_true(cmsWriteTag(profile, cmsSigMediaWhitePointTag, cmsD50_XYZ()));
    cmsPipelineFree(pipeline);
    save(profile, out);
}

void profile_make_float(struct buf *out)
{
    static const cmsFloat64Number half[] = {.5, 0, 0, 0, .5, 0, 0, 0, .5};
    cmsHPROFILE profile = cmsCreate_sRGBProfile();
    cmsPipeline *pipeline = cmsPipelineAlloc(NULL, 3, 3);

    cmsSetProfileVersion(profile, 4.3);
    assert_true(cmsPipelineInsertStage(
        pipeline, cmsAT_END, cmsStageAllocMatrix(NULL, 3, 3, half, NULL)));
    assert_true(cmsWriteTag(profile, cmsSigDToB1Tag, pipeline));
    cmsPipelineFree(pipeline);
    save(profile, out);
}

/* ---- the reference */

static double decode(double gamma, double level)
{
    if (gamma > 0)
        return pow(level, gamma);
    return level <= 0.04045 ? level / 12.92 : pow((level + 0.055) / 1.055, 2.4);
}

static double encode_srgb(double light)
{
    if (light <= 0)
        return 0;
    if (light >= 1)
        return 255;
    return 255 * (light <= 0.0031308 ? light * 12.92
                                     : 1.055 * pow(light, 1 / 2.4) - 0.055);
}

static void multiply(double m[3][3], const double v[3], double out[3])
{
    for (size_t i = 0; i < 3; i++)
        out[i] = m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2];
}

static void invert(double m[3][3], double out[3][3])
{
    double det = 0;

    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++)
            out[k][i] =
                m[(i + 1) % 3][(k + 1) % 3] * m[(i + 2) % 3][(k + 2) % 3] -
                m[(i + 1) % 3][(k + 2) % 3] * m[(i + 2) % 3][(k + 1) % 3];
    for (size_t i = 0; i < 3; i++)
        det += m[0][i] * out[i][0];
    for (size_t i = 0; i < 9; i++)
        out[i / 3][i % 3] /= det;
}

static void xyz_of(const double xy[2], double xyz[3])
{
    xyz[0] = xy[0] / xy[1];
    xyz[1] = 1;
    xyz[2] = (1 - xy[0] - xy[1]) / xy[1];
}

/* Columns are the primaries, such that all together are white. */
static void matrix_of(const struct profile_space *space, double m[3][3])
{
    double inverse[3][3];
    double white[3];
    double gain[3];

    for (size_t k = 0; k < 3; k++) {
        double xyz[3];

        xyz_of(space->points[k + 1], xyz);
        for (size_t i = 0; i < 3; i++)
            m[i][k] = xyz[i];
    }
    xyz_of(space->points[0], white);
    invert(m, inverse);
    multiply(inverse, white, gain);
    for (size_t i = 0; i < 9; i++)
        m[i / 3][i % 3] *= gain[i % 3];
}

/* From one white to another, in cone space. */
static void adapt(const double from[2], const double to[2], double xyz[3])
{
    double bradford[3][3] = {{0.8951, 0.2664, -0.1614},
                             {-0.7502, 1.7135, 0.0367},
                             {0.0389, -0.0685, 1.0296}};
    double inverse[3][3];
    double white[2][3];
    double cones[2][3];
    double cone[3];

    xyz_of(from, white[0]);
    xyz_of(to, white[1]);
    multiply(bradford, white[0], cones[0]);
    multiply(bradford, white[1], cones[1]);
    multiply(bradford, xyz, cone);
    for (size_t i = 0; i < 3; i++)
        cone[i] *= cones[1][i] / cones[0][i];
    invert(bradford, inverse);
    multiply(inverse, cone, xyz);
}

void profile_space_to_srgb(const struct profile_space *space,
                           const uint8_t in[3], double out[3])
{
    double from[3][3];
    double to[3][3];
    double inverse[3][3];
    double light[3];
    double xyz[3];

    for (size_t i = 0; i < 3; i++)
        light[i] = decode(space->gamma, in[i] / 255.0);
    matrix_of(space, from);
    multiply(from, light, xyz);
    adapt(space->points[0], profile_srgb.points[0], xyz);
    matrix_of(&profile_srgb, to);
    invert(to, inverse);
    multiply(inverse, xyz, light);
    for (size_t i = 0; i < 3; i++)
        out[i] = encode_srgb(light[i]);
}

double profile_gray_to_srgb(double gamma, uint8_t in)
{
    return encode_srgb(decode(gamma, in / 255.0));
}

void profile_convert(const struct buf *profile, unsigned channels,
                     bool inverted, const uint8_t *in, size_t pixels,
                     uint8_t *out)
{
    cmsUInt32Number inks = inverted ? TYPE_CMYK_8_REV : TYPE_CMYK_8;
    cmsHPROFILE from =
        cmsOpenProfileFromMem(profile->data, (cmsUInt32Number)profile->len);
    cmsHPROFILE srgb = cmsCreate_sRGBProfile();
    cmsHTRANSFORM transform =
        cmsCreateTransform(from, channels == 4 ? inks : TYPE_RGB_8, srgb,
                           TYPE_RGB_8, INTENT_RELATIVE_COLORIMETRIC,
                           cmsFLAGS_NOOPTIMIZE | cmsFLAGS_NOCACHE |
                               cmsFLAGS_BLACKPOINTCOMPENSATION);

    assert_non_null(transform);
    cmsDoTransform(transform, in, out, (cmsUInt32Number)pixels);
    cmsDeleteTransform(transform);
    cmsCloseProfile(from);
    cmsCloseProfile(srgb);
}
