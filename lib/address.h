/*
 * address.h: which network addresses belong to the public internet. Pure; safe
 * from any thread.
 *
 * For requests to a host that a stranger chose: whatever its name, and whatever
 * the name stands for a moment later, what counts is the address that is
 * connected to.
 */
#ifndef DARKROOM_ADDRESS_H
#define DARKROOM_ADDRESS_H

#include "base.h"

struct sockaddr;

/*
 * False for what IANA's registries of special-purpose addresses name (RFC 6890
 * and its successors): this host, private, shared, link-local and unique local
 * networks, multicast, documentation, tunnels. Of the IPv6 forms that carry an
 * IPv4 address, mapped and NAT64 ones are what that address is, all others are
 * not public; nor is any family but these two.
 */
bool address_is_public(const struct sockaddr *address, size_t len);

/* 127.0.0.0/8, ::1, and the former as a mapped address. */
bool address_is_loopback(const struct sockaddr *address, size_t len);

#endif
