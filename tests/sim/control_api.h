/*
 * control_api.h: the tester's side, under /sim/. JSON in, JSON out; an error is
 * {"error":"..."} with 400, 404 or 409. README.md describes every call.
 *
 * Handlers of the table of routes in main.c; `app` is a struct sim.
 */
#ifndef SIM_CONTROL_API_H
#define SIM_CONTROL_API_H

#include "server.h"

void control_photo(void *app, struct exchange *exchange);
void control_webhook(void *app, struct exchange *exchange);
void control_repeat(void *app, struct exchange *exchange);
void control_unsend(void *app, struct exchange *exchange);
void control_behaviour(void *app, struct exchange *exchange);
void control_clock(void *app, struct exchange *exchange);
void control_reset(void *app, struct exchange *exchange);
void control_state(void *app, struct exchange *exchange);
void control_wait(void *app, struct exchange *exchange);

#endif
