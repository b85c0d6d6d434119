/*
 * colour: conversions against a reference, what is sRGB already, profiles that
 * cannot be used and such as are made to harm, and all of it in the jail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/picture.h"
#include "../helper/profile.h"
#include "image/colour.h"
#include "limits.h"
#include "sandbox.h"

#define STEPS 18 /* of 15 levels each: a grid over all colours */
#define GAMMA_ODD_E5 62000
#define GRID_PX (STEPS * STEPS * STEPS)

static struct colour_tags tags_of(const struct buf *profile)
{
    return (struct colour_tags){
        .profile = (const uint8_t *)profile->data,
        .profile_bytes = profile->len,
    };
}

static void fill_grid(uint8_t *grid, size_t channels)
{
    for (size_t i = 0; i < GRID_PX; i++) {
        size_t steps[] = {i % STEPS, i / STEPS % STEPS, i / STEPS / STEPS,
                          i * 7 % STEPS};

        for (size_t k = 0; k < channels; k++)
            grid[i * channels + k] = (uint8_t)(steps[k] * 15);
    }
}

struct gathered {
    uint8_t *to;
    size_t bytes;
};

static enum status gather(void *arg, const uint8_t *row)
{
    struct gathered *g = arg;

    memcpy(g->to, row, g->bytes);
    return STATUS_NO_SPACE; /* must come back */
}

/* `c` is freed. */
static void run_row(struct colour *c, const uint8_t *in, size_t pixels,
                    size_t channels, uint8_t *out)
{
    struct gathered gathered = {out, pixels * channels};

    assert_non_null(c);
    assert_int_equal(
        colour_start(c, pixels, &(struct row_sink){gather, &gathered}),
        STATUS_OK);
    assert_int_equal(colour_row(c, in), STATUS_NO_SPACE);
    assert_true(colour_bytes(c) < 2 * 1024 * 1024);
    colour_free(c);
}

static struct colour *open_tags(const struct colour_tags *tags,
                                enum pixel_kind kind)
{
    struct colour *c;

    assert_int_equal(colour_new(&c, tags, kind), STATUS_OK);
    return c;
}

static struct colour *open_profile(const struct buf *profile,
                                   enum pixel_kind kind)
{
    struct colour_tags tags = tags_of(profile);

    return open_tags(&tags, kind);
}

/* ---- conversions */

static void check_space(struct colour *c, const struct profile_space *space)
{
    static uint8_t in[GRID_PX * 3];
    static uint8_t out[GRID_PX * 3];

    fill_grid(in, 3);
    run_row(c, in, GRID_PX, 3, out);
    for (size_t i = 0; i < GRID_PX; i++) {
        double expected[3];

        profile_space_to_srgb(space, in + 3 * i, expected);
        for (size_t k = 0; k < 3; k++)
            assert_true(fabs(out[3 * i + k] - expected[k]) <= 1);
    }
}

static void test_matrix_profiles(void **state)
{
    const struct profile_space *spaces[] = {&profile_p3, &profile_adobe};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (unsigned version = 2; version <= 4; version += 2) {
            struct buf profile;

            profile_make_rgb(&profile, spaces[i], version);
            check_space(open_profile(&profile, PIXEL_RGB), spaces[i]);
            buf_release(&profile);
        }
}

static void set_points(struct colour_tags *tags,
                       const struct profile_space *space)
{
    tags->has_points = true;
    for (size_t i = 0; i < 8; i++)
        tags->points_e5[i / 2][i % 2] =
            (uint32_t)lround(space->points[i / 2][i % 2] * 1e5);
}

static void test_gamma_and_points(void **state)
{
    static const struct profile_space spaces[] = {
        {{{0.3127, 0.3290}, {0.64, 0.33}, {0.30, 0.60}, {0.15, 0.06}}, 1},
        {{{0.3127, 0.3290}, {0.64, 0.33}, {0.30, 0.60}, {0.15, 0.06}}, 1.8},
        {{{0.3127, 0.3290}, {0.64, 0.33}, {0.21, 0.71}, {0.15, 0.06}}, 2.2},
        {{{0.3457, 0.3585}, {0.73, 0.26}, {0.11, 0.82}, {0.15, 0.02}}, 1.8},
        {{{0.3127, 0.3290}, {0.68, 0.32}, {0.265, 0.69}, {0.15, 0.06}}, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(spaces); i++) {
        struct colour_tags tags = {0};

        if (spaces[i].gamma > 0)
            tags.gamma_e5 = (uint32_t)lround(1e5 / spaces[i].gamma);
        if (i > 1)
            set_points(&tags, &spaces[i]);
        check_space(open_tags(&tags, PIXEL_RGB), &spaces[i]);
    }
}

static void check_gray(struct colour *c, double gamma)
{
    uint8_t in[512];
    uint8_t out[512];

    for (size_t i = 0; i < 256; i++) {
        in[2 * i] = (uint8_t)i;
        in[2 * i + 1] = (uint8_t)(i * 3);
    }
    run_row(c, in, 256, 2, out);
    for (size_t i = 0; i < 256; i++) {
        double expected = profile_gray_to_srgb(gamma, (uint8_t)i);

        assert_true(fabs(out[2 * i] - expected) <= 1);
        assert_int_equal(out[2 * i + 1], in[2 * i + 1]);
    }
}

static void test_gray(void **state)
{
    struct colour_tags tags = {.gamma_e5 = 100000};
    struct buf profile;

    (void)state;
    profile_make_gray(&profile, 1.8);
    check_gray(open_profile(&profile, PIXEL_GRAY_ALPHA), 1.8);
    buf_release(&profile);
    check_gray(open_tags(&tags, PIXEL_GRAY_ALPHA), 1);
    tags.gamma_e5 = GAMMA_ODD_E5;
    set_points(&tags, &profile_p3); /* are nothing to gray */
    check_gray(open_tags(&tags, PIXEL_GRAY_ALPHA), 1e5 / GAMMA_ODD_E5);
}

/* lcms2's fast way and its exact way differ a little. */
static void check_close(const uint8_t *a, size_t a_step, const uint8_t *b)
{
    double sum = 0;

    for (size_t i = 0; i < GRID_PX; i++)
        for (size_t k = 0; k < 3; k++) {
            double difference = a[i * a_step + k] - b[i * 3 + k];

            assert_true(fabs(difference) <= 12);
            sum += difference * difference;
        }
    assert_true(sqrt(sum / (GRID_PX * 3)) < 1.0);
}

static void test_inks(void **state)
{
    static uint8_t in[GRID_PX * 4];
    static uint8_t out[GRID_PX * 3];
    static uint8_t exact[GRID_PX * 3];
    struct colour_tags tags;
    struct buf profile;

    (void)state;
    profile_make_lut(&profile, 4);
    tags = tags_of(&profile);
    fill_grid(in, 4);
    for (int inverted = 0; inverted < 2; inverted++) {
        struct colour *c;

        assert_int_equal(colour_new_cmyk(&c, &tags, inverted != 0), STATUS_OK);
        run_row(c, in, GRID_PX, 3, out);
        profile_convert(&profile, 4, inverted != 0, in, GRID_PX, exact);
        check_close(out, 3, exact);
    }
    buf_release(&profile);
}

static void test_tables_and_alpha(void **state)
{
    static uint8_t in[GRID_PX * 4];
    static uint8_t rgb[GRID_PX * 3];
    static uint8_t out[GRID_PX * 4];
    static uint8_t exact[GRID_PX * 3];
    struct buf lut;
    struct buf p3;

    (void)state;
    profile_make_lut(&lut, 3);
    profile_make_rgb(&p3, &profile_p3, 4);
    fill_grid(in, 4);
    fill_grid(rgb, 3);
    profile_convert(&lut, 3, false, rgb, GRID_PX, exact);
    run_row(open_profile(&lut, PIXEL_RGBA), in, GRID_PX, 4, out);
    check_close(out, 4, exact);
    for (size_t i = 0; i < GRID_PX; i++)
        assert_int_equal(out[4 * i + 3], in[4 * i + 3]);
    run_row(open_profile(&p3, PIXEL_RGBA), in, GRID_PX, 4, out);
    run_row(open_profile(&p3, PIXEL_RGB), rgb, GRID_PX, 3, exact);
    for (size_t i = 0; i < GRID_PX; i++) {
        assert_memory_equal(out + 4 * i, exact + 3 * i, 3);
        assert_int_equal(out[4 * i + 3], in[4 * i + 3]);
    }
    buf_release(&lut);
    buf_release(&p3);
}

static void test_palettes(void **state)
{
    struct pixel_format format = {.kind = PIXEL_INDEXED, .depth = 8};
    struct pixel_format four_grays = {
        .kind = PIXEL_GRAY, .depth = 2, .has_key = true, .key = 1};
    struct pixel_format plain = {.kind = PIXEL_GRAY, .depth = 8};
    struct pixel_format fax = {.kind = PIXEL_GRAY, .depth = 1};
    struct colour_tags tags = {.gamma_e5 = 100000};
    struct colour *c = open_tags(&tags, PIXEL_INDEXED);

    (void)state;
    for (size_t i = 0; i < PALETTE_MAX; i++)
        memset(format.palette[i], (int)i, 3);
    assert_false(colour_format(c, &format));
    colour_free(c);
    for (size_t i = 0; i < PALETTE_MAX; i++)
        assert_true(fabs(format.palette[i][2] -
                         profile_gray_to_srgb(1, (uint8_t)i)) <= 1);

    c = open_tags(&tags, PIXEL_GRAY);
    assert_true(colour_format(c, &plain));
    assert_false(colour_format(c, &fax));
    assert_int_equal(fax.kind, PIXEL_GRAY);
    assert_false(colour_format(c, &four_grays));
    colour_free(c);
    assert_int_equal(four_grays.kind, PIXEL_INDEXED);
    assert_int_equal(four_grays.depth, 2);
    assert_int_equal(four_grays.alpha_count, 2);
    assert_int_equal(four_grays.alpha[0], 255);
    assert_int_equal(four_grays.alpha[1], 0);
    for (size_t i = 0; i < 4; i++)
        assert_true(fabs(four_grays.palette[i][1] -
                         profile_gray_to_srgb(1, (uint8_t)(i * 85))) <= 1);
}

/* ---- nothing to do */

static void assert_nothing(const struct colour_tags *tags, enum pixel_kind kind)
{
    assert_null(open_tags(tags, kind));
}

static void test_srgb_by_any_name(void **state)
{
    struct profile_space near = profile_srgb;
    struct colour_tags tags = {0};
    struct buf profile;

    (void)state;
    near.points[1][0] += 0.0005; /* others round otherwise */
    assert_nothing(&tags, PIXEL_RGB);
    for (unsigned version = 2; version <= 4; version += 2) {
        profile_make_rgb(&profile, &near, version);
        tags = tags_of(&profile);
        assert_nothing(&tags, PIXEL_RGB);
        assert_nothing(&tags, PIXEL_INDEXED);
        buf_release(&profile);
    }
    profile_make_gray(&profile, 0);
    tags = tags_of(&profile);
    assert_nothing(&tags, PIXEL_GRAY);
    buf_release(&profile);
    tags = (struct colour_tags){.gamma_e5 = 45455};
    assert_nothing(&tags, PIXEL_RGB);
    assert_nothing(&tags, PIXEL_GRAY);
    set_points(&tags, &profile_srgb);
    assert_nothing(&tags, PIXEL_RGB);
    tags.gamma_e5 = 0;
    assert_nothing(&tags, PIXEL_RGB);
}

static void test_values_out_of_range(void **state)
{
    static const uint32_t wild[] = {0, 1, 100001, 0x7fffffff, UINT32_MAX};
    struct colour_tags tags = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wild); i++) {
        tags = (struct colour_tags){.gamma_e5 = wild[i]};
        if (wild[i] != 100001)
            assert_nothing(&tags, PIXEL_RGB);
        for (size_t at = 0; at < 8; at++) {
            tags = (struct colour_tags){.gamma_e5 = 55556};
            set_points(&tags, &profile_p3);
            tags.points_e5[at / 2][at % 2] = wild[i];
            colour_free(open_tags(&tags, PIXEL_RGB));
        }
    }
    /* all on one line: no colour can be told from another */
    tags = (struct colour_tags){.has_points = true};
    for (size_t i = 0; i < 8; i++)
        tags.points_e5[i / 2][i % 2] = 30000;
    assert_nothing(&tags, PIXEL_RGB);
}

/* ---- profiles that are no use */

static void test_of_another_kind(void **state)
{
    static const char classes[][5] = {"link", "abst", "nmcl", "xxxx"};
    struct colour_tags tags;
    struct colour *c;
    struct buf rgb;
    struct buf gray;
    struct buf inks;

    (void)state;
    profile_make_rgb(&rgb, &profile_p3, 4);
    profile_make_gray(&gray, 1.8);
    profile_make_lut(&inks, 4);
    tags = tags_of(&gray);
    assert_nothing(&tags, PIXEL_RGB);
    tags = tags_of(&inks);
    assert_nothing(&tags, PIXEL_RGB);
    assert_nothing(&tags, PIXEL_GRAY);
    tags = tags_of(&rgb);
    assert_nothing(&tags, PIXEL_GRAY_ALPHA);
    assert_int_equal(colour_new_cmyk(&c, &tags, true), STATUS_OK);
    assert_null(c);
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++) {
        memcpy(rgb.data + 12, classes[i], 4);
        assert_nothing(&tags, PIXEL_RGB);
    }
    buf_release(&rgb);
    buf_release(&gray);
    buf_release(&inks);
}

/* The profile cannot be used, so what else is said counts. */
static void test_tags_behind_a_bad_profile(void **state)
{
    struct colour_tags tags = {.profile = (const uint8_t *)"no profile",
                               .profile_bytes = 10,
                               .gamma_e5 = 100000};

    (void)state;
    check_space(
        open_tags(&tags, PIXEL_RGB),
        &(struct profile_space){
            {{0.3127, 0.3290}, {0.64, 0.33}, {0.30, 0.60}, {0.15, 0.06}}, 1});
}

static void test_too_large(void **state)
{
    struct colour_tags tags;
    struct buf profile;
    uint8_t *bytes = calloc(1, IMAGE_ICC_MAX_BYTES + 1);
    struct colour *c;

    (void)state;
    assert_non_null(bytes);
    profile_make_rgb(&profile, &profile_p3, 4);
    memcpy(bytes, profile.data, profile.len);
    tags = tags_of(&profile);
    tags.profile = bytes;
    tags.profile_bytes = IMAGE_ICC_MAX_BYTES;
    c = open_tags(&tags, PIXEL_RGB);
    assert_non_null(c);
    colour_free(c);
    tags.profile_bytes++;
    assert_nothing(&tags, PIXEL_RGB);
    free(bytes);
    buf_release(&profile);
}

static void test_float_pipelines(void **state)
{
    struct colour_tags tags;
    struct buf profile;

    (void)state;
    profile_make_float(&profile);
    tags = tags_of(&profile);
    assert_nothing(&tags, PIXEL_RGB);
    buf_release(&profile);
}

static void put_u32(char *at, size_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (24 - 8 * i));
}

static size_t get_u32(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;

    return (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
}

/* Tags that all lie at the same place, or upon the table of tags itself. */
static void test_tags_upon_each_other(void **state)
{
    static const size_t offsets[] = {0, 36, 128, 132, 0x7fffffff, 0xffffffff};
    struct buf profile;
    struct buf copy;

    (void)state;
    profile_make_rgb(&profile, &profile_p3, 4);
    for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
        struct colour_tags tags;

        buf_init(&copy, profile.len);
        assert_int_equal(buf_append(&copy, profile.data, profile.len),
                         STATUS_OK);
        for (size_t at = 132; at < 132 + 12 * get_u32(copy.data + 128);
             at += 12)
            put_u32(copy.data + at + 4, offsets[i]);
        tags = tags_of(&copy);
        assert_nothing(&tags, PIXEL_RGB);
        buf_release(&copy);
    }
    buf_release(&profile);
}

static long peak_kb(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* An old table of 16 bits (ICC.1 10.10) that claims a grid of up to 255 points
 * in four directions: 25 GB, of which nothing is there. lcms2 alone would take
 * up to 512 MB for that, and clear them. */
static void test_tables_beyond_memory(void **state)
{
    struct buf profile;
    size_t at = 132;
    long before_kb = peak_kb();

    (void)state;
    profile_make_lut(&profile, 4);
    while (memcmp(profile.data + at, "A2B0", 4) != 0)
        at += 12;
    at = get_u32(profile.data + at + 4);
    for (unsigned grid = 2; grid < 256; grid++) {
        struct colour_tags tags = tags_of(&profile);
        struct colour *c;

        memcpy(profile.data + at, "mft2\0\0\0\0", 8);
        profile.data[at + 8] = 4;
        profile.data[at + 9] = 3;
        profile.data[at + 10] = (char)grid;
        put_u32(profile.data + at + 48, 2 << 16 | 2);
        assert_int_equal(colour_new_cmyk(&c, &tags, true), STATUS_OK);
        colour_free(c);
    }
    buf_release(&profile);
    if (sandbox_is_real()) /* no sanitizer, which keeps what is freed */
        assert_true(peak_kb() - before_kb <
                    2 * IMAGE_ICC_MEMORY_MAX_BYTES / 1024);
}

static void check_damaged(const struct buf *profile, unsigned channels,
                          uint32_t *random)
{
    size_t len = profile->len;
    uint8_t *copy = malloc(len);
    struct colour_tags tags = {.profile = copy, .profile_bytes = len};
    uint8_t row[64] = {0};
    uint8_t out[64];
    struct gathered gathered = {out, 16 * (channels == 1 ? 1U : 3U)};
    struct colour *c;

    assert_non_null(copy);
    memcpy(copy, profile->data, len);
    for (uint32_t flips = picture_random(random) % 6; flips > 0; flips--)
        copy[picture_random(random) % (flips % 2 == 0 ? len : 400) % len] =
            (uint8_t)picture_random(random);
    if (picture_random(random) % 4 == 0)
        tags.profile_bytes = picture_random(random) % len;
    if (channels == 4)
        assert_int_equal(colour_new_cmyk(&c, &tags, true), STATUS_OK);
    else
        c = open_tags(&tags, channels == 1 ? PIXEL_GRAY : PIXEL_RGB);
    if (c != NULL) {
        struct row_sink sink = {gather, &gathered};

        assert_int_equal(colour_start(c, 16, &sink), STATUS_OK);
        assert_int_equal(colour_row(c, row), STATUS_NO_SPACE);
    }
    colour_free(c);
    free(copy);
}

static void test_random_damage(void **state)
{
    uint32_t random = 77;
    struct buf profiles[4];

    (void)state;
    profile_make_gray(&profiles[0], 1.8);
    profile_make_rgb(&profiles[1], &profile_adobe, 2);
    profile_make_lut(&profiles[2], 3);
    profile_make_lut(&profiles[3], 4);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < (i < 2 ? 400 : 60); k++)
            check_damaged(&profiles[i], i == 0 ? 1 : i == 3 ? 4 : 3, &random);
        buf_release(&profiles[i]);
    }
}

/* ---- the jail */

static int convert_jailed(int socket)
{
    struct colour_tags tags = {.gamma_e5 = 100000};
    struct colour *c = NULL;

    if (sandbox_enter(SANDBOX_LAB, socket) != STATUS_OK)
        return 1;
    if (colour_new(&c, &tags, PIXEL_RGB) != STATUS_OK || c == NULL)
        return 2;
    colour_free(c);
    return 0;
}

static void test_jail(void **state)
{
    int pair[2];
    int how;
    pid_t pid;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(convert_jailed(pair[0]));
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_jail), /* while lcms2 has not asked the time yet */
        cmocka_unit_test(test_matrix_profiles),
        cmocka_unit_test(test_gamma_and_points),
        cmocka_unit_test(test_gray),
        cmocka_unit_test(test_inks),
        cmocka_unit_test(test_tables_and_alpha),
        cmocka_unit_test(test_palettes),
        cmocka_unit_test(test_srgb_by_any_name),
        cmocka_unit_test(test_values_out_of_range),
        cmocka_unit_test(test_of_another_kind),
        cmocka_unit_test(test_tags_behind_a_bad_profile),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_float_pipelines),
        cmocka_unit_test(test_tags_upon_each_other),
        cmocka_unit_test(test_tables_beyond_memory),
        cmocka_unit_test(test_random_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
