/*
 * content.h: serves the content of a photo as its behaviour says.
 *
 * The caller has checked method, path and access token.
 */
#ifndef SIM_CONTENT_H
#define SIM_CONTENT_H

#include "server.h"
#include "sim.h"

/* Fills the answer of GET /v2/bot/message/{message_id}/content. */
void content_serve(struct sim *sim, struct exchange *exchange,
                   const char *message_id);

#endif
