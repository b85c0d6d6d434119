/*
 * test_image_grid.c: interpolation is exact where it can be: at the points, and
 * everywhere for functions that are straight along the axes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/grid.h"

typedef void function(const uint16_t *in, size_t inputs, uint16_t rgb[3]);

/* Half of the first input, the rest in equal parts; the last one; all but it.
 */
static void straight(const uint16_t *in, size_t inputs, uint16_t rgb[3])
{
    uint32_t sum = 0;

    for (size_t k = 1; k < inputs; k++)
        sum += in[k];
    rgb[0] = (uint16_t)((in[0] + sum / (inputs - 1)) / 2);
    rgb[1] = in[inputs - 1];
    rgb[2] = (uint16_t)(65535 - in[inputs - 1]);
}

static void fill(struct grid *grid, function *f, const float place[256])
{
    for (size_t k = 0; k < grid->inputs; k++)
        grid_set_axis(grid, k, place);
    for (size_t i = 0; i < grid->count; i++) {
        uint16_t in[GRID_INPUTS_MAX], rgb[3];

        grid_get_point(grid, i, in);
        f(in, grid->inputs, rgb);
        grid_set_point(grid, i, rgb);
    }
}

static void fill_even(float place[256])
{
    for (size_t i = 0; i < 256; i++)
        place[i] = (float)i / 255;
}

/* Steep in front, as for linear light; it bends at a point. */
static void fill_uneven(float place[256])
{
    for (size_t i = 0; i < 256; i++)
        place[i] = i < 32 ? (float)i / 64 : 0.5F + (float)(i - 32) / 446;
}

static void check_level(uint8_t got, uint16_t wanted)
{
    int difference = (int)got - (int)((wanted + 128) / 257);

    assert_true(difference >= -1 && difference <= 1);
}

static void check_straight(const struct grid *grid, size_t step)
{
    size_t steps = 255 / step + 1;
    size_t count = 1;

    for (size_t k = 0; k < grid->inputs; k++)
        count *= steps;
    for (size_t i = 0; i < count; i++) {
        uint8_t in[GRID_INPUTS_MAX], out[3];
        uint16_t wide[GRID_INPUTS_MAX], rgb[3];
        size_t rest = i;

        for (size_t k = 0; k < grid->inputs; k++, rest /= steps) {
            in[k] = (uint8_t)(rest % steps * step);
            wide[k] = (uint16_t)(in[k] * 257);
        }
        grid_row(grid, in, grid->inputs, out, 3, 1);
        straight(wide, grid->inputs, rgb);
        for (size_t k = 0; k < 3; k++)
            check_level(out[k], rgb[k]);
    }
}

static void straight_functions_are_exact(void **state)
{
    float place[256];

    (void)state;
    for (size_t inputs = 3; inputs <= GRID_INPUTS_MAX; inputs++) {
        struct grid *grid = grid_new(inputs, inputs == 3 ? 17 : 9);

        assert_non_null(grid);
        assert_true(grid_bytes(grid) > grid->count * 16);
        fill_even(place);
        fill(grid, straight, place);
        check_straight(grid, inputs == 3 ? 5 : 15);
        fill_uneven(place);
        fill(grid, straight, place);
        check_straight(grid, inputs == 3 ? 5 : 15);
        grid_free(grid);
    }
}

static void odd(const uint16_t *in, size_t inputs, uint16_t rgb[3])
{
    (void)inputs;
    for (size_t k = 0; k < 3; k++)
        rgb[k] = (uint16_t)(((in[k] / 257 * 77 + in[0] / 257) % 256) * 257);
}

/* With 16 points all of them are levels: 17 apart. */
static void points_are_kept(void **state)
{
    struct grid *grid = grid_new(3, 16);
    float place[256];

    (void)state;
    assert_non_null(grid);
    fill_even(place);
    fill(grid, odd, place);
    for (size_t i = 0; i < grid->count; i++) {
        uint16_t in[GRID_INPUTS_MAX], rgb[3];
        uint8_t pixel[4] = {0, 0, 0, 99}, out[4] = {0};

        grid_get_point(grid, i, in);
        odd(in, 3, rgb);
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(in[k] % (17 * 257), 0);
            pixel[k] = (uint8_t)(in[k] / 257);
        }
        grid_row(grid, pixel, 4, out, 4, 1);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(out[k], rgb[k] / 257);
        assert_int_equal(out[3], 99);
    }
    grid_free(grid);
}

static void nothing_is_read_behind_the_last_point(void **state)
{
    struct grid *grid = grid_new(4, 2);
    const uint8_t white[4] = {255, 255, 255, 255};
    float place[256];
    uint8_t out[3];

    (void)state;
    assert_non_null(grid);
    fill_even(place);
    fill(grid, straight, place);
    grid_row(grid, white, 4, out, 3, 1);
    assert_int_equal(out[0], 255);
    assert_int_equal(out[1], 255);
    assert_int_equal(out[2], 0);
    grid_free(grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(straight_functions_are_exact),
        cmocka_unit_test(points_are_kept),
        cmocka_unit_test(nothing_is_read_behind_the_last_point),
    };

    return cmocka_run_group_tests_name("image_grid", tests, NULL, NULL);
}
