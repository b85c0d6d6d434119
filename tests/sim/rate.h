/*
 * rate.h: LINE's rate limits as token buckets (platform notes 4.3). Pure: time
 * is an argument.
 *
 *   struct rates rates = {0};              full buckets, LINE's own limits
 *   if (!rates_take(&rates, RATE_REPLY, mono_ms())) ... 429
 */
#ifndef SIM_RATE_H
#define SIM_RATE_H

#include "base.h"

enum rate_kind {
    RATE_MESSAGE_REPLY,
    RATE_MESSAGE_PUSH,
    RATE_CONTENT,
    RATE_LOADING,
    RATE_WEBHOOK_SETTING, /* set and get */
    RATE_WEBHOOK_TEST,
    RATE_OTHER, /* quota, profile, mark as read, info */
    RATE__COUNT,
};

struct rates {
    int64_t limit_s; /* of every kind, instead of LINE's; 0 = LINE's */
    struct {
        bool used;
        double level; /* requests that may come at once */
        int64_t at_ms;
    } buckets[RATE__COUNT];
};

/* False if it is one too many; it is then not counted. */
bool rates_take(struct rates *rates, enum rate_kind kind, int64_t now_ms);

#endif
