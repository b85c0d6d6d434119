/*
 * routes.h: which request goes where, and which status answers which outcome.
 *
 *   POST /webhook             the only channel, or the one called "default"
 *   POST /webhook/<channel>
 *   GET  /healthz             200 while this worker answers
 *   GET  /readyz              200 while the pool accepts and finishes work,
 * else 503 and a line for each reason (vitals.h) GET  /metrics Prometheus text
 * format, of the whole pool GET  /darkroom/status.json   what the status page
 * shows
 */
#ifndef DARKROOM_ROUTES_H
#define DARKROOM_ROUTES_H

#include "intake.h"
#include "responder.h"
#include "vitals.h"

/* Both are lent. */
struct routes {
    const struct intake *intake;
    const struct vitals_sources *vitals;
};

/* A responder_fn; `routes` is a const struct routes. */
void routes_handle(void *routes, const struct request *request,
                   struct response *response);

#endif
