/*
 * test_sim_check_png.c: PNG files made by hand (stored deflate blocks), whole
 * and damaged in every way the simulator must notice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../sim/check_png.h"

#define FILE_MAX 4096

struct file {
    uint8_t bytes[FILE_MAX];
    size_t len;
};

static void put(struct file *f, const void *bytes, size_t len)
{
    assert_true(len <= sizeof(f->bytes) - f->len);
    memcpy(f->bytes + f->len, bytes, len);
    f->len += len;
}

static void put_be32(struct file *f, uint32_t value)
{
    uint8_t b[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                    (uint8_t)(value >> 8), (uint8_t)value};

    put(f, b, sizeof(b));
}

/* PNG specification, annex D. */
static uint32_t crc32_of(const uint8_t *bytes, size_t len)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void put_chunk(struct file *f, const char *type, const void *data,
                      size_t len)
{
    size_t start;

    put_be32(f, (uint32_t)len);
    start = f->len;
    put(f, type, 4);
    put(f, data, len);
    put_be32(f, crc32_of(f->bytes + start, f->len - start));
}

/* RFC 1950 and 1951: one stored block. */
static void put_idat(struct file *f, const uint8_t *raw, size_t len)
{
    struct file zlib = {.len = 0};
    uint8_t head[7] = {0x78,
                       0x01,
                       1,
                       (uint8_t)len,
                       (uint8_t)(len >> 8),
                       (uint8_t)~len,
                       (uint8_t)(~len >> 8)};
    uint32_t a = 1, b = 0;

    for (size_t i = 0; i < len; i++) {
        a = (a + raw[i]) % 65521;
        b = (b + a) % 65521;
    }
    put(&zlib, head, sizeof(head));
    put(&zlib, raw, len);
    put_be32(&zlib, b << 16 | a);
    put_chunk(f, "IDAT", zlib.bytes, zlib.len);
}

static void put_head(struct file *f, uint8_t width, uint8_t height,
                     bool interlaced)
{
    uint8_t ihdr[13] = {0,      0, 0, width, 0, 0,         0,
                        height, 8, 0, 0,     0, interlaced};

    f->len = 0;
    put(f, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(f, "IHDR", ihdr, sizeof(ihdr));
}

/* 5 x 5 gray: 25 bytes and a filter byte per row of each pass. */
static void make_png(struct file *f, bool interlaced)
{
    /* The rows of the seven passes of a 5 x 5 picture, by Adam7. */
    static const uint8_t row_bytes[] = {1, 1, 2, 1, 1, 3, 2, 2, 2, 5, 5};
    uint8_t raw[64] = {0};
    size_t len = 0;

    if (interlaced) {
        for (size_t i = 0; i < ARRAY_COUNT(row_bytes); i++)
            len += 1u + row_bytes[i];
    } else {
        len = 5 * 6;
    }
    put_head(f, 5, 5, interlaced);
    put_idat(f, raw, len);
    put_chunk(f, "IEND", "", 0);
}

static enum status check(const struct file *f, struct png_facts *facts)
{
    char why[80];
    enum status status = check_png(f->bytes, f->len, facts, why, sizeof(why));

    assert_int_equal(status == STATUS_OK, why[0] == '\0');
    return status;
}

static void test_whole(void **state)
{
    struct file f;
    struct png_facts facts;

    (void)state;
    make_png(&f, false);
    assert_int_equal(check(&f, &facts), STATUS_OK);
    assert_int_equal(facts.width_px, 5);
    assert_int_equal(facts.height_px, 5);
    assert_int_equal(facts.bit_depth, 8);
    assert_int_equal(facts.colour_type, 0);
    assert_false(facts.interlaced);
    assert_string_equal(facts.extra_chunks, "");
}

static void test_interlaced(void **state)
{
    struct file f;
    struct png_facts facts;

    (void)state;
    make_png(&f, true);
    assert_int_equal(check(&f, &facts), STATUS_OK);
    assert_true(facts.interlaced);
}

static void test_every_cut(void **state)
{
    struct file f;
    struct png_facts facts;
    size_t len;

    (void)state;
    make_png(&f, false);
    for (len = f.len, f.len = 0; f.len < len; f.len++)
        assert_int_not_equal(check(&f, &facts), STATUS_OK);
}

/* Whatever byte is wrong, it is noticed: everything is under a checksum. */
static void test_every_flip(void **state)
{
    struct file f;
    struct png_facts facts;

    (void)state;
    make_png(&f, false);
    for (size_t i = 0; i < f.len; i++) {
        f.bytes[i] ^= 0x10;
        assert_int_not_equal(check(&f, &facts), STATUS_OK);
        f.bytes[i] ^= 0x10;
    }
    assert_int_equal(check(&f, &facts), STATUS_OK);
}

static void test_tail(void **state)
{
    struct file f;
    struct png_facts facts;

    (void)state;
    make_png(&f, false);
    put(&f, "x", 1);
    assert_int_equal(check(&f, &facts), STATUS_IMAGE_BROKEN);
}

static void test_missing_rows(void **state)
{
    struct file f;
    struct png_facts facts;
    uint8_t raw[4 * 6] = {0};

    (void)state;
    put_head(&f, 5, 5, false);
    put_idat(&f, raw, sizeof(raw));
    put_chunk(&f, "IEND", "", 0);
    assert_int_equal(check(&f, &facts), STATUS_IMAGE_BROKEN);
}

static void test_extra_chunks(void **state)
{
    struct file f;
    struct png_facts facts;
    uint8_t raw[5 * 6] = {0};

    (void)state;
    put_head(&f, 5, 5, false);
    put_chunk(&f, "sRGB", "\0", 1);
    put_chunk(&f, "tEXt", "GPS\0here", 8);
    put_chunk(&f, "tEXt", "GPS\0there", 9);
    put_idat(&f, raw, sizeof(raw));
    put_chunk(&f, "IEND", "", 0);
    assert_int_equal(check(&f, &facts), STATUS_OK);
    assert_string_equal(facts.extra_chunks, "sRGB tEXt");
}

static void test_not_a_png(void **state)
{
    struct file f = {.bytes = "\xff\xd8\xff\xe0 JPEG", .len = 9};
    struct png_facts facts;

    (void)state;
    assert_int_equal(check(&f, &facts), STATUS_NOT_AN_IMAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_interlaced),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_missing_rows),
        cmocka_unit_test(test_extra_chunks),
        cmocka_unit_test(test_not_a_png),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
