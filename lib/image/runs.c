/*
 * runs.c: segment -> runs and counts -> code -> size -> bits.
 *
 * Runs are found by marking each byte that is the first of RUN_MIN which are
 * the same as the byte before them; that loop vectorizes. Only runs are
 * recorded: literals are what lies between them.
 *
 *   dynamic block: code lengths | literals, (length, distance 1) ... | end
 *   empty stored block, which ends at a byte
 */
#include "runs.h"

#include "huffman.h"

#include <endian.h>

#define RUN_MIN 4   /* three zeros cost about as much as a run of three */
#define PIECE_MIN 3 /* RFC 1951 3.2.5 */
#define PIECE_MAX 258
#define PIECES_MAX (RUNS_SEGMENT_MAX / RUN_MIN + 1)
#define MARKS 65536 /* whole words of 64 */

#define LITERALS 256
#define SYMBOL_END 256
#define SYMBOL_LENGTH 257 /* the first of them */
#define SYMBOLS 286
#define DISTANCES 2 /* the second one is not used: makes the code complete */
#define LENGTHS 16  /* each as itself, none of the codes that repeat */
#define LENGTH_CODES 19

/* Four literals and an unfinished byte fit 64 bits. */
#define CODE_BITS_MAX 14
#define LENGTH_BITS_MAX 7

#define HEAD_BITS (3 + 5 + 5 + 4 + 3 * LENGTH_CODES)

/* A part of a run that one length can tell, and the literals before it. */
struct piece {
    uint16_t literals;
    uint16_t length;
};

/* Bits above their number: one load, and a shift needs only the low bits of
 * how far. */
#define CODE_SHIFT 8

struct runs {
    uint8_t starts[MARKS];
    struct piece pieces[PIECES_MAX];
    size_t piece_count;
    size_t recorded; /* bytes up to the end of the last piece */
    uint32_t length_counts[PIECE_MAX + 1];
    uint32_t counts[SYMBOLS];
    uint64_t extra_bits; /* of all lengths, and the distances */
    uint8_t lengths[SYMBOLS + DISTANCES];
    uint32_t codes[SYMBOLS];
    uint32_t piece_codes[PIECE_MAX + 1];  /* length and distance in one */
    uint8_t length_lengths[LENGTH_CODES]; /* 0 from LENGTHS on */
    uint16_t length_codes[LENGTHS];
};

/* ---- lengths of pieces (RFC 1951 3.2.5) */

struct length_code {
    uint16_t base;
    uint8_t extra_bits;
};

static const struct length_code length_codes[SYMBOLS - SYMBOL_LENGTH] = {
    {3, 0},   {4, 0},   {5, 0},   {6, 0},   {7, 0},   {8, 0},
    {9, 0},   {10, 0},  {11, 1},  {13, 1},  {15, 1},  {17, 1},
    {19, 2},  {23, 2},  {27, 2},  {31, 2},  {35, 3},  {43, 3},
    {51, 3},  {59, 3},  {67, 4},  {83, 4},  {99, 4},  {115, 4},
    {131, 5}, {163, 5}, {195, 5}, {227, 5}, {258, 0},
};

static size_t length_index(size_t length)
{
    size_t i = ARRAY_COUNT(length_codes) - 1;

    while (length_codes[i].base > length)
        i--;
    return i;
}

/* ---- runs and counts */

/* 1 for each byte that is followed by RUN_MIN - 1 more and has the same before
 * it. */
static void mark_starts(uint8_t *restrict starts, const uint8_t *restrict bytes,
                        size_t count)
{
    size_t end = count > RUN_MIN ? count - (RUN_MIN - 1) : 1;

    starts[0] = 0;
    for (size_t i = 1; i < end; i++) {
        uint8_t before = bytes[i - 1];

        starts[i] = ((bytes[i] ^ before) | (bytes[i + 1] ^ before) |
                     (bytes[i + 2] ^ before) | (bytes[i + 3] ^ before)) == 0;
    }
    memset(starts + end, 0, MARKS - end);
}

/* Bit i is byte i, which is 0 or 1. */
static uint64_t pack_marks(const uint8_t *marks)
{
    uint64_t packed = 0;

    for (unsigned i = 0; i < 8; i++) {
        uint64_t eight;

        memcpy(&eight, marks + 8 * i, sizeof(eight));
        packed |= le64toh(eight) * 0x0102040810204080U >> 56 << 8 * i;
    }
    return packed;
}

/* In four tables: increments of one and the same counter would wait for each
 * other. */
static void count_bytes(uint32_t tables[4][LITERALS], const uint8_t *bytes,
                        size_t count)
{
    size_t i = 0;

    for (; i + 4 <= count; i += 4)
        for (size_t k = 0; k < 4; k++)
            tables[k][bytes[i + k]]++;
    for (; i < count; i++)
        tables[0][bytes[i]]++;
}

static void add_run(struct runs *r, const uint8_t *bytes, size_t start,
                    size_t end)
{
    r->counts[bytes[start]] -= (uint32_t)(end - start);
    while (end - start >= PIECE_MIN) {
        size_t length = size_min(end - start, PIECE_MAX);

        r->length_counts[length]++;
        r->pieces[r->piece_count++] =
            (struct piece){(uint16_t)(start - r->recorded), (uint16_t)length};
        start += length;
        r->recorded = start;
    }
    r->counts[bytes[start - 1]] += (uint32_t)(end - start);
}

/* The marks of a run are its bytes without the last RUN_MIN - 1. It begins and
 * ends where a mark differs from the one before it. All bytes are counted, and
 * those of runs taken off again. */
static void find_runs(struct runs *r, const uint8_t *bytes, size_t count)
{
    uint32_t tables[4][LITERALS] = {0};
    uint64_t last = 0;
    size_t start = 0;
    bool is_inside = false;

    for (size_t at = 0; at < count; at += 64) {
        uint64_t marks = pack_marks(r->starts + at);
        uint64_t edges = marks ^ (marks << 1 | last);

        last = marks >> 63;
        if (marks == UINT64_MAX) /* flat */
            tables[0][bytes[at]] += 64;
        else
            count_bytes(tables, bytes + at, size_min(count - at, 64));
        for (; edges != 0; edges &= edges - 1) {
            size_t edge = at + (size_t)__builtin_ctzll(edges);

            if (is_inside)
                add_run(r, bytes, start, edge + RUN_MIN - 1);
            start = edge;
            is_inside = !is_inside;
        }
    }
    for (size_t i = 0; i < LITERALS; i++)
        r->counts[i] +=
            tables[0][i] + tables[1][i] + tables[2][i] + tables[3][i];
}

static void count_lengths(struct runs *r)
{
    for (size_t length = PIECE_MIN; length <= PIECE_MAX; length++) {
        uint32_t count = r->length_counts[length];
        size_t index = length_index(length);

        r->counts[SYMBOL_LENGTH + index] += count;
        r->extra_bits += count * (length_codes[index].extra_bits + 1ULL);
    }
}

static void gather(struct runs *r, const uint8_t *bytes, size_t count)
{
    r->piece_count = 0;
    r->recorded = 0;
    r->extra_bits = 0;
    memset(r->counts, 0, sizeof(r->counts));
    memset(r->length_counts, 0, sizeof(r->length_counts));
    r->counts[SYMBOL_END] = 1;
    mark_starts(r->starts, bytes, count);
    find_runs(r, bytes, count);
    count_lengths(r);
}

/* ---- code and size */

static inline uint64_t code_bits(uint32_t code)
{
    return code >> CODE_SHIFT;
}

static inline unsigned code_length(uint32_t code)
{
    return code & 63;
}

static void make_piece_codes(struct runs *r)
{
    for (size_t length = PIECE_MIN; length <= PIECE_MAX; length++) {
        size_t index = length_index(length);
        const struct length_code *length_code = &length_codes[index];
        uint32_t code = r->codes[SYMBOL_LENGTH + index];
        uint32_t extra = (uint32_t)(length - length_code->base);

        /* extra bits after the code, and 1 bit, 0, for distance 1 */
        r->piece_codes[length] =
            (code | extra << (CODE_SHIFT + code_length(code))) +
            length_code->extra_bits + 1;
    }
}

static void make_codes(struct runs *r)
{
    uint32_t counts[LENGTHS] = {0};
    uint16_t bits[SYMBOLS];

    huffman_lengths(r->counts, SYMBOLS, CODE_BITS_MAX, r->lengths);
    memset(r->lengths + SYMBOLS, 1, DISTANCES);
    huffman_codes(r->lengths, SYMBOLS, bits);
    for (size_t i = 0; i < SYMBOLS; i++)
        r->codes[i] = (uint32_t)bits[i] << CODE_SHIFT | r->lengths[i];
    make_piece_codes(r);
    for (size_t i = 0; i < SYMBOLS + DISTANCES; i++)
        counts[r->lengths[i]]++;
    huffman_lengths(counts, LENGTHS, LENGTH_BITS_MAX, r->length_lengths);
    huffman_codes(r->length_lengths, LENGTHS, r->length_codes);
}

static size_t encoded_bytes(const struct runs *r)
{
    uint64_t bits = HEAD_BITS + r->extra_bits;

    for (size_t i = 0; i < SYMBOLS + DISTANCES; i++)
        bits += r->length_lengths[r->lengths[i]];
    for (size_t i = 0; i < SYMBOLS; i++)
        bits += (uint64_t)r->counts[i] * r->lengths[i];
    return (size_t)((bits + 3 + 7) / 8) + 4; /* the empty block */
}

/* ---- bits, the first one lowest */

struct writer {
    uint8_t *at;
    uint64_t bits;
    unsigned count;
};

static inline void put(struct writer *w, uint64_t bits, unsigned count)
{
    w->bits |= bits << w->count;
    w->count += count;
}

/* Leaves less than a byte. */
static inline void flush(struct writer *w)
{
    uint64_t bits = htole64(w->bits);

    memcpy(w->at, &bits, sizeof(bits));
    w->at += w->count / 8;
    w->bits >>= w->count & ~7U;
    w->count %= 8;
}

static void put_head(struct writer *w, const struct runs *r)
{
    static const uint8_t order[LENGTH_CODES] = {
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

    put(w, 2 << 1, 3); /* not the last block, dynamic code */
    put(w, SYMBOLS - 257, 5);
    put(w, DISTANCES - 1, 5);
    put(w, LENGTH_CODES - 4, 4);
    flush(w);
    for (size_t i = 0; i < LENGTH_CODES; i++) {
        put(w, r->length_lengths[order[i]], 3);
        flush(w);
    }
    for (size_t i = 0; i < SYMBOLS + DISTANCES; i++) {
        uint8_t length = r->lengths[i];

        put(w, r->length_codes[length], r->length_lengths[length]);
        flush(w);
    }
}

static inline void put_code(struct writer *w, uint32_t code)
{
    put(w, code_bits(code), code_length(code));
}

static inline void put_four(struct writer *w, const uint32_t *codes,
                            const uint8_t *bytes)
{
    uint32_t a = codes[bytes[0]];
    uint32_t b = codes[bytes[1]];
    uint32_t c = codes[bytes[2]];
    uint32_t d = codes[bytes[3]];
    uint64_t ab = code_bits(a) | code_bits(b) << code_length(a);
    uint64_t cd = code_bits(c) | code_bits(d) << code_length(c);

    put(w, ab | cd << code_length(a + b), code_length(a + b + c + d));
    flush(w);
}

static inline void put_literals(struct writer *w, const uint32_t *codes,
                                const uint8_t *bytes, size_t count)
{
    for (; count >= 4; count -= 4, bytes += 4)
        put_four(w, codes, bytes);
    for (; count > 0; count--, bytes++)
        put_code(w, codes[*bytes]);
    flush(w);
}

static uint8_t *put_blocks(const struct runs *r, const uint8_t *bytes,
                           size_t count, uint8_t *at)
{
    struct writer w = {.at = at};
    const uint8_t *end = bytes + count;

    put_head(&w, r);
    for (size_t i = 0; i < r->piece_count; i++) {
        struct piece piece = r->pieces[i];

        put_literals(&w, r->codes, bytes, piece.literals);
        put_code(&w, r->piece_codes[piece.length]);
        flush(&w);
        bytes += piece.literals + piece.length;
    }
    put_literals(&w, r->codes, bytes, (size_t)(end - bytes));
    put_code(&w, r->codes[SYMBOL_END]);
    put(&w, 0, 3); /* stored, its length at the next byte */
    w.count = (w.count + 7) & ~7U;
    flush(&w);
    put(&w, 0xffff0000, 32);
    flush(&w);
    return w.at;
}

/* ---- the door */

struct runs *runs_new(void)
{
    return calloc(1, sizeof(struct runs));
}

void runs_free(struct runs *r)
{
    free(r);
}

size_t runs_encode(struct runs *r, const uint8_t *bytes, size_t count,
                   uint8_t *room, size_t room_bytes)
{
    size_t len;

    gather(r, bytes, count);
    make_codes(r);
    len = encoded_bytes(r);
    if (len > room_bytes)
        return 0;
    (void)put_blocks(r, bytes, count, room);
    return len;
}
