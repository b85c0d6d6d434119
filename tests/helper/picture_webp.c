/*
 * picture_webp.c: libwebp's encoder and its decoder for whole files; RIFF by
 * hand (RFC 9649).
 */
#include "picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <webp/decode.h>
#include <webp/encode.h>

#define HEAD_BYTES 12

static void append(struct buf *out, const void *bytes, size_t len)
{
    if (len > 0)
        assert_int_equal(buf_append(out, bytes, len), STATUS_OK);
}

void picture_to_webp(const struct picture *p, bool lossless, struct buf *out)
{
    int width = (int)p->width_px, height = (int)p->height_px;
    int stride = width * (int)p->channels;
    uint8_t *bytes = NULL;
    size_t len;

    if (p->channels == 4)
        len = lossless ? WebPEncodeLosslessRGBA(p->pixels, width, height,
                                                stride, &bytes)
                       : WebPEncodeRGBA(p->pixels, width, height, stride, 70,
                                        &bytes);
    else
        len = lossless
                  ? WebPEncodeLosslessRGB(p->pixels, width, height, stride,
                                          &bytes)
                  : WebPEncodeRGB(p->pixels, width, height, stride, 70, &bytes);
    assert_true(len > 0);
    append(out, bytes, len);
    WebPFree(bytes);
}

void picture_from_webp(struct picture *p, const struct buf *webp)
{
    const uint8_t *bytes = (const uint8_t *)webp->data;
    int width, height;

    assert_true(WebPGetInfo(bytes, webp->len, &width, &height));
    picture_init(p, (uint32_t)width, (uint32_t)height, 4);
    assert_non_null(WebPDecodeRGBAInto(bytes, webp->len, p->pixels,
                                       (size_t)width * (size_t)height * 4,
                                       width * 4));
}

static void put_le(uint8_t *at, uint32_t value, size_t bytes)
{
    for (; bytes > 0; bytes--, value >>= 8)
        *at++ = (uint8_t)value;
}

void webp_append_chunk(struct buf *out, const char *name, const void *data,
                       size_t len)
{
    uint8_t size[4];

    put_le(size, (uint32_t)len, 4);
    append(out, name, 4);
    append(out, size, 4);
    append(out, data, len);
    append(out, "", len % 2);
}

void webp_begin(struct buf *out)
{
    append(out, "RIFF\0\0\0\0WEBP", HEAD_BYTES);
}

void webp_append_vp8x(struct buf *out, uint8_t flags, uint32_t width_px,
                      uint32_t height_px)
{
    uint8_t body[10] = {flags};

    put_le(body + 4, width_px - 1, 3);
    put_le(body + 7, height_px - 1, 3);
    webp_append_chunk(out, "VP8X", body, sizeof(body));
}

void webp_append_picture(struct buf *out, const struct buf *webp)
{
    size_t at = HEAD_BYTES;

    if (memcmp(webp->data + at, "VP8X", 4) == 0)
        at += 18;
    append(out, webp->data + at, webp->len - at);
}

void webp_end(struct buf *out)
{
    put_le((uint8_t *)out->data + 4, (uint32_t)out->len - 8, 4);
}
