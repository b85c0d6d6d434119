/*
 * platform_api.h: LINE's side: the endpoints that a bot calls. Both of LINE's
 * hosts are served on one port; a bot is pointed here with both of its base
 * URLs.
 *
 * Handlers of the table of routes in main.c; `app` is a struct sim.
 */
#ifndef SIM_PLATFORM_API_H
#define SIM_PLATFORM_API_H

#include "server.h"

void platform_content(void *app, struct exchange *exchange);
void platform_reply(void *app, struct exchange *exchange);
void platform_push(void *app, struct exchange *exchange);
void platform_loading(void *app, struct exchange *exchange);
void platform_read(void *app, struct exchange *exchange);
void platform_profile(void *app, struct exchange *exchange);
void platform_webhook_get(void *app, struct exchange *exchange);
void platform_webhook_set(void *app, struct exchange *exchange);
void platform_webhook_test(void *app, struct exchange *exchange);
void platform_info(void *app, struct exchange *exchange);
void platform_quota(void *app, struct exchange *exchange);
void platform_consumption(void *app, struct exchange *exchange);
void platform_token(void *app, struct exchange *exchange);
void platform_not_found(void *app, struct exchange *exchange, bool path_known);

/* An answer without details, in LINE's JSON shape and words. */
void platform_answer_status(struct exchange *exchange, int status);

#endif
