/*
 * sniff: each type, each length of a first piece.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/sniff.h"

struct sample {
    const char *bytes;
    size_t len;
    size_t needed; /* bytes after which the answer is final */
    enum status status;
    enum image_type type;
};

#define SAMPLE(bytes, needed, status, type)                                    \
    {                                                                          \
        bytes, sizeof(bytes) - 1, needed, status, type                         \
    }

static const struct sample samples[] = {
    SAMPLE("\xff\xd8\xff\xe0\0\x10JFIF\0\1", 3, STATUS_OK, IMAGE_TYPE_JPEG),
    SAMPLE("\xff\xd8\xff\xe1\0\x10"
           "Exif\0\0",
           3, STATUS_OK, IMAGE_TYPE_JPEG),
    SAMPLE("\x89PNG\r\n\x1a\n\0\0\0\x0d", 8, STATUS_OK, IMAGE_TYPE_PNG),
    SAMPLE("GIF89a\1\0\1\0\0\0", 6, STATUS_OK, IMAGE_TYPE_GIF),
    SAMPLE("GIF87a\1\0\1\0\0\0", 6, STATUS_OK, IMAGE_TYPE_GIF),
    SAMPLE("RIFF\x10\0\0\0WEBP", 12, STATUS_OK, IMAGE_TYPE_WEBP),
    SAMPLE("\0\0\0\x18"
           "ftypheic",
           11, STATUS_IMAGE_UNSUPPORTED, IMAGE_TYPE_UNKNOWN),
    SAMPLE("\0\0\0\x18"
           "ftypavif",
           12, STATUS_IMAGE_UNSUPPORTED, IMAGE_TYPE_UNKNOWN),
    SAMPLE("II*\0\x08\0\0\0\0\0\0\0", 4, STATUS_IMAGE_UNSUPPORTED,
           IMAGE_TYPE_UNKNOWN),
    SAMPLE("<html><body>", 5, STATUS_NOT_AN_IMAGE, IMAGE_TYPE_UNKNOWN),
    SAMPLE("\x89PNG\n\x1a\n\0\0\0\0\0", 5, STATUS_NOT_AN_IMAGE,
           IMAGE_TYPE_UNKNOWN),
    SAMPLE("RIFF\x10\0\0\0WAVE", 10, STATUS_NOT_AN_IMAGE, IMAGE_TYPE_UNKNOWN),
    SAMPLE("\0\0\0\x18"
           "ftypisom",
           9, STATUS_NOT_AN_IMAGE, IMAGE_TYPE_UNKNOWN),
    SAMPLE("............", 5, STATUS_NOT_AN_IMAGE, IMAGE_TYPE_UNKNOWN),
};

static void test_every_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
        const struct sample *sample = &samples[i];

        for (size_t len = 0; len <= sample->len; len++) {
            enum image_type type = IMAGE_TYPE_UNKNOWN;
            enum status status =
                sniff((const uint8_t *)sample->bytes, len, &type);

            if (len < sample->needed) {
                assert_int_equal(status, STATUS_MORE);
                continue;
            }
            assert_int_equal(status, sample->status);
            assert_int_equal(type, sample->type);
        }
    }
}

static void test_twelve_bytes_suffice(void **state)
{
    uint8_t bytes[SNIFF_BYTES];
    enum image_type type;

    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        memset(bytes, (int)first, sizeof(bytes));
        assert_int_not_equal(sniff(bytes, sizeof(bytes), &type), STATUS_MORE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_twelve_bytes_suffice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
