/*
 * huffman.c: with the symbols sorted, the next two nodes to join are at the
 * front of two queues, the symbols' and that of joined nodes, which comes out
 * sorted by itself. Only how many symbols have which depth is taken from the
 * tree; depths beyond the limit are first cut and then paid for by shorter ones
 * made longer, until the code fits (Kraft's sum is 1).
 */
#include "huffman.h"

#define SYMBOL_BITS 9 /* of a key; above them is its count */
#define SYMBOL_MASK ((1U << SYMBOL_BITS) - 1)

/* Shell's sort: a few hundred keys, and no memory. */
static void sort(uint32_t *keys, size_t count)
{
    static const size_t gaps[] = {57, 23, 10, 4, 1};

    for (size_t g = 0; g < ARRAY_COUNT(gaps); g++)
        for (size_t i = gaps[g]; i < count; i++) {
            uint32_t key = keys[i];
            size_t k = i;

            for (; k >= gaps[g] && keys[k - gaps[g]] > key; k -= gaps[g])
                keys[k] = keys[k - gaps[g]];
            keys[k] = key;
        }
}

/* Symbols that occur, rarest first. */
static size_t sorted_keys(const uint32_t *counts, size_t symbols,
                          uint32_t *keys)
{
    size_t leaves = 0;

    for (size_t i = 0; i < symbols; i++)
        if (counts[i] > 0)
            keys[leaves++] = counts[i] << SYMBOL_BITS | (uint32_t)i;
    sort(keys, leaves);
    return leaves;
}

/* How many symbols are how deep, those beyond max_bits at max_bits. */
static void count_depths(const uint32_t *keys, size_t leaves, unsigned max_bits,
                         uint32_t depths[HUFFMAN_BITS_MAX + 1])
{
    uint32_t weight[2 * HUFFMAN_SYMBOLS_MAX];
    uint16_t parent[2 * HUFFMAN_SYMBOLS_MAX] = {0};
    uint16_t depth[2 * HUFFMAN_SYMBOLS_MAX];
    size_t leaf = 0;
    size_t joined = leaves;
    size_t root = 2 * leaves - 2;

    for (size_t i = 0; i < leaves; i++)
        weight[i] = keys[i] >> SYMBOL_BITS;
    for (size_t node = leaves; node <= root; node++) {
        weight[node] = 0;
        for (int side = 0; side < 2; side++) {
            bool is_leaf = leaf < leaves &&
                           (joined == node || weight[leaf] <= weight[joined]);
            size_t child = is_leaf ? leaf++ : joined++;

            weight[node] += weight[child];
            parent[child] = (uint16_t)node;
        }
    }
    depth[root] = 0;
    for (size_t node = root; node-- > 0;) {
        depth[node] = (uint16_t)(depth[parent[node]] + 1);
        if (node < leaves)
            depths[size_min(depth[node], max_bits)]++;
    }
}

/* Each step moves one code from the bottom next to a shorter one, which thereby
 * gets a bit longer. */
static void fit_depths(uint32_t *depths, unsigned max_bits)
{
    uint32_t sum = 0;

    for (unsigned bits = 1; bits <= max_bits; bits++)
        sum += depths[bits] << (max_bits - bits);
    for (; sum > 1U << max_bits; sum--) {
        unsigned bits = max_bits - 1;

        while (depths[bits] == 0)
            bits--;
        depths[bits]--;
        depths[bits + 1] += 2;
        depths[max_bits]--;
    }
}

void huffman_lengths(const uint32_t *counts, size_t symbols, unsigned max_bits,
                     uint8_t *lengths)
{
    uint32_t depths[HUFFMAN_BITS_MAX + 1] = {0};
    uint32_t keys[HUFFMAN_SYMBOLS_MAX];
    size_t leaves = sorted_keys(counts, symbols, keys);
    const uint32_t *key = keys;

    count_depths(keys, leaves, max_bits, depths);
    fit_depths(depths, max_bits);
    memset(lengths, 0, symbols);
    for (unsigned bits = max_bits; bits > 0; bits--)
        for (uint32_t i = 0; i < depths[bits]; i++)
            lengths[*key++ & SYMBOL_MASK] = (uint8_t)bits;
}

/* Halves of 16 bits change places, then those of the halves, and so on. */
static uint16_t reversed(uint32_t code, unsigned bits)
{
    code = code >> 8 | code << 8;
    code = (code >> 4 & 0x0f0f) | (code & 0x0f0f) << 4;
    code = (code >> 2 & 0x3333) | (code & 0x3333) << 2;
    code = (code >> 1 & 0x5555) | (code & 0x5555) << 1;
    return (uint16_t)(code >> (16 - bits));
}

void huffman_codes(const uint8_t *lengths, size_t symbols, uint16_t *codes)
{
    uint32_t next[HUFFMAN_BITS_MAX + 2] = {0};

    for (size_t i = 0; i < symbols; i++)
        if (lengths[i] > 0)
            next[lengths[i] + 1]++;
    for (unsigned bits = 1; bits <= HUFFMAN_BITS_MAX + 1; bits++)
        next[bits] = (next[bits] + next[bits - 1]) << 1;
    for (size_t i = 0; i < symbols; i++)
        codes[i] =
            lengths[i] > 0 ? reversed(next[lengths[i]]++, lengths[i]) : 0;
}
