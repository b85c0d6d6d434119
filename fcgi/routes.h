/*
 * routes.h: which request goes where, and which status answers which outcome.
 *
 *   POST /webhook             the only channel, or the one called "default"
 *   POST /webhook/<channel>
 *   GET  /healthz             200 while this worker answers
 */
#ifndef DARKROOM_ROUTES_H
#define DARKROOM_ROUTES_H

#include "intake.h"
#include "responder.h"

/* A responder_fn; `intake` is a const struct intake. */
void routes_handle(void *intake, const struct request *request,
                   struct response *response);

#endif
