/*
 * carry.h: bytes that a decoder has not taken yet, and while the picture may
 * have to be done again, those that it has, too.
 *
 *   struct carry carry = {.limit = 10000000};
 *   carry_append(&carry, bytes, len);       at the end
 *   carry_consume(&carry, len);             off the front, carry_front()
 *   carry_rewind(&carry);                   all since keeps was set are back
 *   carry_release(&carry);
 *
 * `keeps` may be cleared at any time: what was consumed is then forgotten. It
 * is set before the first byte or never.
 *
 * Memory is taken ahead of need, half as much again, but not beyond `limit`: up
 * to there what is allocated is what the owner counts on. More bytes than that
 * are still taken. Not thread safe.
 */
#ifndef DARKROOM_IMAGE_CARRY_H
#define DARKROOM_IMAGE_CARRY_H

#include "../base.h"
#include "../status.h"

struct carry {
    uint8_t *bytes;
    size_t start; /* consumed */
    size_t len;   /* not consumed */
    size_t capacity;
    size_t limit; /* bytes; of the capacity, unless more are needed */
    bool keeps;   /* what was consumed, too */
};

enum status carry_append(struct carry *carry, const uint8_t *bytes,
                         size_t len) MUST_CHECK;
void carry_consume(struct carry *carry, size_t len);
void carry_rewind(struct carry *carry);
void carry_release(struct carry *carry);

/* Gives back what is free, when nothing will be appended any more. */
void carry_trim(struct carry *carry);

/* The first of carry->len bytes. */
const uint8_t *carry_front(const struct carry *carry);

#endif
