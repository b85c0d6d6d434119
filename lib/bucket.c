/*
 * bucket.c: the virtual scheduling form of the token bucket (ITU-T I.371, the
 * generic cell rate algorithm): one number, the time at which the bucket will
 * be full, says all. Each turn moves it on by one interval; a turn is due as
 * soon as that leaves no more than the burst to be filled up.
 */
#include "bucket.h"

void bucket_init(struct bucket *bucket, int64_t count, int64_t period_ms)
{
    int64_t period_us = period_ms * 1000;

    *bucket = (struct bucket){
        .interval_us = int64_max(period_us / count, 1),
        .burst_us = period_us,
        .full_at_us = INT64_MIN,
    };
}

bool bucket_take(struct bucket *bucket, int64_t now_us, int64_t patience_us,
                 int64_t *wait_us)
{
    int64_t full_at_us =
        int64_max(bucket->full_at_us, now_us) + bucket->interval_us;

    *wait_us = int64_max(full_at_us - bucket->burst_us - now_us, 0);
    if (*wait_us > patience_us)
        return false;
    bucket->full_at_us = full_at_us;
    return true;
}
