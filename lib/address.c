/*
 * address.c: tables of networks. IPv6 is the other way round than IPv4: one
 * eighth of it is given out (RFC 4291, 2.4), so that is what is let through,
 * less its special parts.
 */
#include "address.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct network4 {
    uint32_t prefix;
    unsigned bits;
};

struct network6 {
    uint8_t prefix[16];
    unsigned bits;
};

static const struct network4 special4[] = {
    {0x00000000, 8},  /* this host (RFC 1122) */
    {0x0a000000, 8},  /* private (RFC 1918) */
    {0x64400000, 10}, /* shared by a provider's customers (RFC 6598) */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local; metadata of cloud machines */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments (RFC 6890) */
    {0xc0000200, 24}, /* documentation (RFC 5737) */
    {0xc0586300, 24}, /* 6to4 relays (RFC 7526) */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarks (RFC 2544) */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 4},  /* multicast */
    {0xf0000000, 4},  /* reserved, broadcast */
};

static const struct network6 global6 = {{0x20}, 3};

static const struct network6 special6[] = {
    {{0x20, 0x01}, 23},             /* Teredo, ORCHID and others (RFC 2928) */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation (RFC 3849) */
    {{0x20, 0x02}, 16},             /* 6to4: whatever IPv4 is in it */
    {{0x3f, 0xff}, 20},             /* documentation (RFC 9637) */
};

/* The last 32 bits are an IPv4 address, which is where a connection goes. */
static const struct network6 mapped6 = {{[10] = 0xff, [11] = 0xff}, 96};
static const struct network6 nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};

static const struct network6 loopback6 = {{[15] = 1}, 128};

static bool in4(uint32_t address, const struct network4 *network)
{
    return (address ^ network->prefix) >> (32 - network->bits) == 0;
}

static bool in6(const uint8_t address[16], const struct network6 *network)
{
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (memcmp(address, network->prefix, whole) != 0)
        return false;
    return rest == 0 ||
           (address[whole] ^ network->prefix[whole]) >> (8 - rest) == 0;
}

static bool public4(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_COUNT(special4); i++) {
        if (in4(address, &special4[i]))
            return false;
    }
    return true;
}

static uint32_t last4(const uint8_t address[16])
{
    return (uint32_t)address[12] << 24 | (uint32_t)address[13] << 16 |
           (uint32_t)address[14] << 8 | address[15];
}

static bool public6(const uint8_t address[16])
{
    if (in6(address, &mapped6) || in6(address, &nat64))
        return public4(last4(address));
    for (size_t i = 0; i < ARRAY_COUNT(special6); i++) {
        if (in6(address, &special6[i]))
            return false;
    }
    return in6(address, &global6);
}

/* Copies it, for the caller's bytes need not be aligned. */
static bool read4(const struct sockaddr *address, size_t len, uint32_t *out)
{
    struct sockaddr_in in;

    if (len < sizeof(in) || address->sa_family != AF_INET)
        return false;
    memcpy(&in, address, sizeof(in));
    *out = ntohl(in.sin_addr.s_addr);
    return true;
}

static bool read6(const struct sockaddr *address, size_t len, uint8_t out[16])
{
    struct sockaddr_in6 in;

    if (len < sizeof(in) || address->sa_family != AF_INET6)
        return false;
    memcpy(&in, address, sizeof(in));
    memcpy(out, &in.sin6_addr, 16);
    return true;
}

bool address_is_public(const struct sockaddr *address, size_t len)
{
    uint32_t four;
    uint8_t six[16];

    if (read4(address, len, &four))
        return public4(four);
    return read6(address, len, six) && public6(six);
}

bool address_is_loopback(const struct sockaddr *address, size_t len)
{
    uint32_t four;
    uint8_t six[16];

    if (read4(address, len, &four))
        return four >> 24 == 127;
    if (!read6(address, len, six))
        return false;
    return in6(six, &loopback6) || (in6(six, &mapped6) && six[12] == 127);
}
