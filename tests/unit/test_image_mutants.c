/*
 * Damaged WebP and GIF files: whatever comes of one, it is the same however the
 * bytes arrive and whatever was in memory before. Fresh and freed memory is
 * filled with one byte in one run and with another in the next, so a decision
 * or a pixel that depends on it shows.
 *
 * MUTANTS sets how many of each kind there are, MUTANT the first one.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../helper/picture.h"
#include "../helper/profile.h"
#include "../helper/transcoding.h"
#include "limits.h"

#define MUTANTS 200
#define WIDTH_PX 61
#define HEIGHT_PX 43

static uint32_t first_mutant = 1, mutant_count = MUTANTS;

static void perturb(int byte)
{
    (void)mallopt(M_PERTURB, byte);
}

static void mutate(struct buf *file, uint32_t *random)
{
    uint32_t changes = 1 + picture_random(random) % 6;

    for (uint32_t i = 0; i < changes && file->len > 0; i++) {
        size_t at = picture_random(random) % file->len;

        switch (picture_random(random) % 8) {
        case 0:
            file->len = at;
            break;
        case 1:
            file->data[at] = 0;
            break;
        case 2:
            file->data[at] = (char)0xff;
            break;
        case 3: /* most of what steers the reader is in front */
            file->data[at % 64 % file->len] = (char)picture_random(random);
            break;
        case 4: {
            size_t from = picture_random(random) % file->len;
            size_t len = size_min(1 + picture_random(random) % 40,
                                  file->len - (from > at ? from : at));

            memmove(file->data + at, file->data + from, len);
            break;
        }
        default:
            file->data[at] =
                (char)(file->data[at] ^ 1 << picture_random(random) % 8);
        }
    }
}

static void assert_same(const struct transcoding *a,
                        const struct transcoding *b, uint32_t mutant)
{
    bool is_same = a->status == b->status;

    if (is_same && a->status == STATUS_OK)
        is_same = a->original.len == b->original.len &&
                  a->preview.len == b->preview.len &&
                  memcmp(&a->report, &b->report, sizeof(a->report)) == 0 &&
                  memcmp(buf_str(&a->original), buf_str(&b->original),
                         a->original.len) == 0 &&
                  memcmp(buf_str(&a->preview), buf_str(&b->preview),
                         a->preview.len) == 0;
    if (!is_same)
        fail_msg("mutant %u: %s, then %s", mutant, status_name(a->status),
                 status_name(b->status));
}

static void check_mutant(const struct buf *file, uint32_t mutant)
{
    static const enum feeding feedings[] = {FEED_AT_ONCE, FEED_AT_ONCE,
                                            FEED_RANDOM, FEED_RANDOM};
    struct transcode_options options;
    struct transcoding first, other;

    transcoding_options_all(&options);
    /* what lies about its size does not make the test slow */
    options.pixels_max = 1000000;
    options.truncated_min_percent = mutant % 2 == 0 ? 0 : 30;
    perturb(0x11);
    transcoding_run(&first, file, &options, feedings[0]);
    for (size_t i = 1; i < ARRAY_COUNT(feedings); i++) {
        perturb(i % 2 == 0 ? 0x11 : 0xee);
        transcoding_run(&other, file, &options, feedings[i]);
        assert_same(&first, &other, mutant);
        transcoding_release(&other);
    }
    perturb(0);
    transcoding_release(&first);
}

static void check_mutants(const struct buf *file)
{
    for (uint32_t i = 0; i < mutant_count; i++) {
        uint32_t mutant = first_mutant + i;
        uint32_t random = mutant * 2654435761U + 1; /* Knuth: spread */
        struct buf copy;

        buf_init(&copy, 1 << 24);
        assert_int_equal(buf_append(&copy, file->data, file->len), STATUS_OK);
        random += random == 0;
        mutate(&copy, &random);
        check_mutant(&copy, mutant);
        buf_release(&copy);
    }
}

/* ---- kinds */

static void make_webp(struct buf *webp, size_t channels, bool lossless)
{
    struct picture p;

    picture_init(&p, WIDTH_PX, HEIGHT_PX, channels);
    picture_fill_scene(&p);
    picture_to_webp(&p, lossless, webp);
    picture_release(&p);
}

static void test_webp(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 4; flags++) {
        struct buf webp;

        buf_init(&webp, 1 << 24);
        make_webp(&webp, (flags & 1) != 0 ? 4 : 3, (flags & 2) != 0);
        check_mutants(&webp);
        buf_release(&webp);
    }
}

/* The container with all that it may hold. */
static void test_webp_container(void **state)
{
    struct buf picture, webp, exif, profile;

    (void)state;
    buf_init(&picture, 1 << 24);
    buf_init(&webp, 1 << 24);
    buf_init(&exif, 1000);
    make_webp(&picture, 4, false);
    exif_append(&exif, 6, true);
    webp_begin(&webp);
    webp_append_vp8x(&webp, 0x38, WIDTH_PX, HEIGHT_PX); /* all but animation */
    profile_make_rgb(&profile, &profile_p3, 4);
    webp_append_chunk(&webp, "ICCP", profile.data, profile.len);
    buf_release(&profile);
    webp_append_picture(&webp, &picture);
    webp_append_chunk(&webp, "EXIF", exif.data, exif.len);
    webp_end(&webp);
    check_mutants(&webp);
    buf_release(&picture);
    buf_release(&webp);
    buf_release(&exif);
}

static void check_gif(const struct gif_spec *spec)
{
    struct picture p;
    struct buf gif;

    buf_init(&gif, 1 << 24);
    picture_init(&p, WIDTH_PX, HEIGHT_PX, 1);
    picture_fill_noise(&p, 7);
    for (size_t i = 0; i < (size_t)WIDTH_PX * HEIGHT_PX; i++)
        p.pixels[i] = (uint8_t)(p.pixels[i] >> (8 - spec->bits));
    picture_to_gif(&p, spec, &gif);
    check_mutants(&gif);
    picture_release(&p);
    buf_release(&gif);
}

static void test_gif(void **state)
{
    struct gif_spec spec = {.screen_width_px = WIDTH_PX + 5,
                            .screen_height_px = HEIGHT_PX + 3,
                            .left = 2,
                            .top = 1,
                            .bits = 8,
                            .transparent = -1};

    (void)state;
    check_gif(&spec);
    spec.interlaced = true;
    spec.transparent = 3;
    spec.bits = 4;
    check_gif(&spec);
    spec.local = true;
    spec.bits = 1;
    spec.transparent = 0;
    check_gif(&spec);
}

static void read_number(const char *name, uint32_t *number)
{
    const char *text = getenv(name);
    int64_t value;

    if (text != NULL && str_to_int64(text, 1, INT32_MAX, &value))
        *number = (uint32_t)value;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_webp),
        cmocka_unit_test(test_webp_container),
        cmocka_unit_test(test_gif),
    };

    read_number("MUTANTS", &mutant_count);
    read_number("MUTANT", &first_mutant);
    return cmocka_run_group_tests_name("image_mutants", tests, NULL, NULL);
}
