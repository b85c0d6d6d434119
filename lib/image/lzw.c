/*
 * lzw.c: strings are chains of prefixes, each with its length and its first
 * pixel, so a string is written from its end without being reversed, and no
 * chain is longer than the table: a code refers only to codes before it.
 */
#include "lzw.h"

#define CODE_BITS_MAX 12
#define NO_CODE LZW_CODES

static void clear_table(struct lzw *lzw)
{
    lzw->code_bits = lzw->root_bits + 1;
    lzw->next = (uint16_t)((1U << lzw->root_bits) + 2); /* clear, end */
    lzw->last = NO_CODE;
}

enum status lzw_init(struct lzw *lzw, unsigned root_bits)
{
    if (root_bits < LZW_ROOT_BITS_MIN || root_bits > LZW_ROOT_BITS_MAX)
        return STATUS_IMAGE_BROKEN;
    *lzw = (struct lzw){.root_bits = root_bits};
    for (unsigned code = 0; code < 1U << root_bits; code++) {
        lzw->length[code] = 1;
        lzw->suffix[code] = lzw->first[code] = (uint8_t)code;
    }
    clear_table(lzw);
    return STATUS_OK;
}

static bool read_code(struct lzw *lzw, const uint8_t **bytes, size_t *len,
                      unsigned *code)
{
    while (lzw->bit_count < lzw->code_bits) {
        if (*len == 0)
            return false;
        lzw->bits |= (uint32_t) * *bytes << lzw->bit_count;
        lzw->bit_count += 8;
        ++*bytes;
        --*len;
    }
    *code = lzw->bits & ((1U << lzw->code_bits) - 1);
    lzw->bits >>= lzw->code_bits;
    lzw->bit_count -= lzw->code_bits;
    return true;
}

/*
 * The string before, and the first pixel of this one. `code` may be the one
 * that is defined here: then it starts as the string before. A full table stays
 * as it is until it is cleared ("deferred clear code").
 */
static void add_string(struct lzw *lzw, unsigned code)
{
    uint16_t next = lzw->next, last = lzw->last;

    if (last == NO_CODE || next == LZW_CODES)
        return;
    lzw->prefix[next] = last;
    lzw->suffix[next] = lzw->first[code == next ? last : code];
    lzw->first[next] = lzw->first[last];
    lzw->length[next] = (uint16_t)(lzw->length[last] + 1);
    lzw->next++;
}

/* Codes are as long as the one that comes next demands. */
static void grow_codes(struct lzw *lzw)
{
    if (lzw->next >= 1U << lzw->code_bits && lzw->code_bits < CODE_BITS_MAX)
        lzw->code_bits++;
}

static void write_string(struct lzw *lzw, unsigned code,
                         struct lzw_string *string)
{
    size_t len = lzw->length[code];

    *string = (struct lzw_string){lzw->string, len};
    for (; len > 1; code = lzw->prefix[code])
        lzw->string[--len] = lzw->suffix[code];
    lzw->string[0] = lzw->suffix[code];
}

enum status lzw_next(struct lzw *lzw, const uint8_t **bytes, size_t *len,
                     struct lzw_string *string)
{
    unsigned clear = 1U << lzw->root_bits;
    unsigned code;

    if (lzw->has_ended)
        return STATUS_IMAGE_BROKEN;
    if (!read_code(lzw, bytes, len, &code))
        return STATUS_MORE;
    *string = (struct lzw_string){lzw->string, 0};
    if (code == clear) {
        clear_table(lzw);
        return STATUS_OK;
    }
    if (code == clear + 1) {
        lzw->has_ended = true;
        return STATUS_OK;
    }
    if (code > lzw->next || (lzw->last == NO_CODE && code > clear))
        return STATUS_IMAGE_BROKEN;
    add_string(lzw, code);
    grow_codes(lzw);
    write_string(lzw, code, string);
    lzw->last = (uint16_t)code;
    return STATUS_OK;
}
