/*
 * rotate: each orientation against a picture that is turned by mirrors and
 * transpositions, as Exif words it, rather than by rotate.c's own table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/rotate.h"
#include "../helper/picture.h"

struct collected {
    struct picture picture;
    size_t rows;
};

static enum status collect(void *arg, const uint8_t *row)
{
    struct collected *to = arg;

    assert_true(to->rows < to->picture.height_px);
    memcpy(picture_at(&to->picture, 0, to->rows++), row,
           to->picture.width_px * to->picture.channels);
    return STATUS_OK;
}

/* ---- the reference */

typedef void place_fn(const struct picture *p, size_t *x, size_t *y);

static void mirror(const struct picture *p, size_t *x, size_t *y)
{
    (void)y;
    *x = p->width_px - 1 - *x;
}

static void flip(const struct picture *p, size_t *x, size_t *y)
{
    (void)x;
    *y = p->height_px - 1 - *y;
}

/* A copy in which the pixel of place(x, y) is at (x, y). */
static void move(struct picture *p, place_fn *place)
{
    struct picture old = *p;

    picture_init(p, old.width_px, old.height_px, old.channels);
    for (size_t y = 0; y < p->height_px; y++)
        for (size_t x = 0; x < p->width_px; x++) {
            size_t from_x = x;
            size_t from_y = y;

            place(p, &from_x, &from_y);
            memcpy(picture_at(p, x, y), picture_at(&old, from_x, from_y),
                   p->channels);
        }
    picture_release(&old);
}

static void transpose(struct picture *p)
{
    struct picture old = *p;

    picture_init(p, old.height_px, old.width_px, old.channels);
    for (size_t y = 0; y < p->height_px; y++)
        for (size_t x = 0; x < p->width_px; x++)
            memcpy(picture_at(p, x, y), picture_at(&old, y, x), p->channels);
    picture_release(&old);
}

/* Exif 4.6.5: where the visual top and left of the stored picture are. */
static void turn_upright(struct picture *p, unsigned orientation)
{
    if (orientation >= 5)
        transpose(p);
    switch (orientation) {
    case 2:
    case 6: /* transposed, then mirrored: a quarter turn clockwise */
        move(p, mirror);
        break;
    case 3:
    case 7:
        move(p, mirror);
        move(p, flip);
        break;
    case 4:
    case 8:
        move(p, flip);
        break;
    default:
        break;
    }
}

/* ---- */

static void check(uint32_t width_px, uint32_t height_px, size_t channels,
                  uint8_t orientation)
{
    struct collected to = {.rows = 0};
    struct rotate_job job = {
        orientation, width_px, height_px, channels, {collect, &to}};
    bool across = rotate_is_across(orientation);
    struct picture p;
    struct rotate *r;
    enum status status;

    picture_init(&p, width_px, height_px, channels);
    picture_fill_noise(&p, 77);
    picture_init(&to.picture, across ? height_px : width_px,
                 across ? width_px : height_px, channels);
    assert_int_equal(rotate_new(&r, &job), STATUS_OK);
    for (size_t y = 0; y < height_px; y++)
        assert_int_equal(rotate_row(r, picture_at(&p, 0, y)), STATUS_OK);
    do {
        int64_t budget_px = 100;

        status = rotate_run(r, &budget_px);
        if (status == STATUS_AGAIN)
            assert_true(budget_px <= 0);
    } while (status == STATUS_AGAIN);
    assert_int_equal(status, STATUS_OK);
    rotate_free(r);
    turn_upright(&p, orientation);
    assert_picture_equal(&p, &to.picture);
    picture_release(&p);
    picture_release(&to.picture);
}

static void test_every_orientation(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1},  {1, 50},  {50, 1}, {16, 16},
                                        {17, 5}, {33, 47}, {15, 31}};

    (void)state;
    for (uint8_t orientation = 2; orientation <= 8; orientation++)
        for (size_t i = 0; i < ARRAY_COUNT(sizes); i++)
            for (size_t channels = 1; channels <= 4; channels++)
                check(sizes[i][0], sizes[i][1], channels, orientation);
}

static void test_bytes(void **state)
{
    struct rotate_job job = {6, 2016, 1512, 3, {NULL, NULL}};
    size_t bytes;

    (void)state;
    assert_true(rotate_bytes(&job, &bytes));
    assert_int_equal(bytes, 2016 * 1512 * 3);
    job.orientation = 2;
    assert_true(rotate_bytes(&job, &bytes));
    assert_int_equal(bytes, 0);
    job = (struct rotate_job){8, UINT32_MAX, UINT32_MAX, 4, {NULL, NULL}};
    assert_false(rotate_bytes(&job, &bytes));
}

static void test_rows_are_counted(void **state)
{
    struct collected to = {.rows = 0};
    struct rotate_job job = {3, 1, 2, 1, {collect, &to}};
    int64_t budget_px = 100;
    struct rotate *r;

    (void)state;
    picture_init(&to.picture, 1, 2, 1);
    assert_int_equal(rotate_new(&r, &job), STATUS_OK);
    assert_int_equal(rotate_row(r, (const uint8_t *)"a"), STATUS_OK);
    assert_int_equal(rotate_run(r, &budget_px), STATUS_BUG);
    assert_int_equal(rotate_row(r, (const uint8_t *)"b"), STATUS_OK);
    assert_int_equal(rotate_row(r, (const uint8_t *)"c"), STATUS_BUG);
    assert_int_equal(rotate_run(r, &budget_px), STATUS_OK);
    assert_memory_equal(to.picture.pixels, "ba", 2);
    rotate_free(r);
    job.orientation = 1;
    assert_int_equal(rotate_new(&r, &job), STATUS_BUG);
    job.orientation = 9;
    assert_int_equal(rotate_new(&r, &job), STATUS_BUG);
    picture_release(&to.picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_orientation),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_rows_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
