/*
 * rate.c: a bucket holds as many requests as its limit allows in one period,
 * and fills evenly.
 */
#include "rate.h"

struct limit {
    double requests;
    double period_ms;
};

static struct limit limit_of(const struct rates *rates, enum rate_kind kind)
{
    static const struct limit limits[RATE__COUNT] = {
        [RATE_MESSAGE_REPLY] = {2000, 1000},
        [RATE_MESSAGE_PUSH] = {2000, 1000},
        [RATE_CONTENT] = {2000, 1000},
        [RATE_LOADING] = {100, 1000},
        [RATE_WEBHOOK_SETTING] = {1000, 60 * 1000},
        [RATE_WEBHOOK_TEST] = {60, 3600 * 1000},
        [RATE_OTHER] = {2000, 1000},
    };

    if (rates->limit_s > 0)
        return (struct limit){(double)rates->limit_s, 1000};
    return limits[kind];
}

bool rates_take(struct rates *rates, enum rate_kind kind, int64_t now_ms)
{
    struct limit limit = limit_of(rates, kind);
    double level = limit.requests;

    if (rates->buckets[kind].used) {
        double passed_ms = (double)(now_ms - rates->buckets[kind].at_ms);

        level = rates->buckets[kind].level +
                passed_ms * limit.requests / limit.period_ms;
        if (level > limit.requests)
            level = limit.requests;
    }
    rates->buckets[kind].used = true;
    rates->buckets[kind].at_ms = now_ms;
    rates->buckets[kind].level = level >= 1 ? level - 1 : level;
    return level >= 1;
}
