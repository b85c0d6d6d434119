/*
 * event.h: webhook bodies as LINE writes them (platform notes 1.1, 2.1, 2.3).
 * Pure: a photo in, JSON out. Reads only what is fixed in a photo.
 */
#ifndef SIM_EVENT_H
#define SIM_EVENT_H

#include "state.h"

/* {"destination":...,"events":[one message event per photo]} */
enum status event_write_messages(struct buf *body, const char *destination,
                                 struct photo *const *photos, size_t count,
                                 bool redelivery) MUST_CHECK;

/* The sender took the photo's message back at `now_ms`. */
enum status event_write_unsend(struct buf *body, const char *destination,
                               const struct photo *photo,
                               int64_t now_ms) MUST_CHECK;

#endif
