/*
 * report.h: the state as JSON.
 */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "state.h"

/* {"now_ms":..,"totals":{..},"photos":[..],"violations":[..]}; `count` photos
 * from number `from` of the visible ones. */
enum status report_state(struct state *state, size_t from, size_t count,
                         struct buf *out) MUST_CHECK;

/* {"registered":..,"acked":..,"ack_us":{..},"photos":[..]} of the photos of one
 * call. */
enum status report_photos(struct state *state, struct photo *const *photos,
                          size_t count, struct buf *out) MUST_CHECK;

#endif
