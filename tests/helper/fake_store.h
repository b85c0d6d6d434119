/*
 * fake_store.h: a store in front of a real one that fails on demand.
 *
 *   fake_store_init(&fake, inner);
 *   fake_fault_set(&fake.publish, 1, 1, STATUS_NO_SPACE);
 *   ... &fake.base ...
 */
#ifndef DARKROOM_TEST_FAKE_STORE_H
#define DARKROOM_TEST_FAKE_STORE_H

#include <stdatomic.h>

#include "store.h"

/* Of a kind of call: the next `good` work, then `bad` answer `status`. */
struct fake_fault {
    atomic_int good, bad;
    enum status status;
};

struct fake_store {
    struct store base;
    struct store *inner; /* lent */
    struct fake_fault begin, publish, remove, space;
};

void fake_store_init(struct fake_store *fake, struct store *inner);

/* Before the calls it is about, or while none is under way. */
void fake_fault_set(struct fake_fault *fault, int good, int bad,
                    enum status status);

#endif
