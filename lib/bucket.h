/*
 * bucket.h: a token bucket as a plain value, without a clock: time is an
 * argument, in microseconds of any clock that does not jump.
 *
 *   bucket_init(&bucket, 250, 1000);              250 in a second
 *   if (bucket_take(&bucket, now_us, patience_us, &wait_us))
 *       ... go ahead wait_us from now ...
 *
 * A full bucket lets a whole period's number pass at once; after that they pass
 * one by one at the rate. Whoever takes is given a turn and keeps it, so turns
 * come in the order of asking. A turn that is not used is lost, nothing else.
 *
 * Not thread safe; no allocation.
 */
#ifndef DARKROOM_BUCKET_H
#define DARKROOM_BUCKET_H

#include "base.h"

struct bucket {
    int64_t interval_us; /* between two turns when it is empty */
    int64_t burst_us;    /* what a full one is worth */
    int64_t full_at_us;  /* when it will be, or was, full again */
};

/* A full one of `count` >= 1 turns in `period_ms` >= 1. */
void bucket_init(struct bucket *bucket, int64_t count, int64_t period_ms);

/*
 * Takes the next turn. False, and nothing is taken, if it is more than
 * `patience_us` away. *wait_us is how far away it is, either way.
 */
bool bucket_take(struct bucket *bucket, int64_t now_us, int64_t patience_us,
                 int64_t *wait_us) MUST_CHECK;

#endif
