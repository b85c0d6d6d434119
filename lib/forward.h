/*
 * forward.h: hands webhook bodies on to the bot behind (a channel's
 * forward_url), so that darkroom stands in front of any bot that exists.
 *
 *   POST forward_url
 *   Content-Type: application/json; charset=utf-8
 *   X-Line-Signature: as it came
 *   User-Agent: LineBotWebhook/2.0 (darkroom)
 *
 * with the body byte for byte, as LINE sends it (line-platform 1.1), so the bot
 * behind checks LINE's own signature and needs no change.
 *
 *   forward_new(&forward, &parts)
 *   forward_start(forward, queue_thread)        bodies are taken from now on
 *   forward_drain(forward, on_idle, arg)        as pipeline_drain()
 *   forward_free(forward)
 *
 * The bodies come from the queue, where they are durable. Those of a channel go
 * one after the other, oldest first, over the whole pool. An answer of 2xx is
 * delivery. All else is tried again, with backoff, for FORWARD_LIFE_MS from
 * when the webhook came; then the body is dropped, with a line in the log. Like
 * LINE's own redelivery this may deliver a body twice, when an answer was lost;
 * webhookEventId tells (line-platform 1.5).
 *
 * A bot that is slow or dead holds up the later bodies of its own channel and
 * nothing else: one request per channel, at most FORWARD_ROOM_MAX bodies in
 * hand of a worker, no slot of a picture. What waits, waits in the queue.
 *
 * All on the loop's thread.
 */
#ifndef DARKROOM_FORWARD_H
#define DARKROOM_FORWARD_H

#include "config_live.h"
#include "http.h"
#include "queue_thread.h"

struct forward;

/* All are lent and outlive the forward. */
struct forward_parts {
    struct loop *loop;
    struct http *http;
    struct config_live *config;
};

enum status forward_new(struct forward **out,
                        const struct forward_parts *parts) MUST_CHECK;

/* After drain; nothing may be in hand. */
void forward_free(struct forward *forward);

/* Before the loop runs. Bodies of a channel without forward_url, which was then
 * taken out of the settings, are dropped. */
void forward_start(struct forward *forward, struct queue_thread *queue);

/* Takes no more. What is in hand has FORWARD_DRAIN_MS to be answered, then it
 * goes back to the queue. on_idle comes once, from the loop. */
void forward_drain(struct forward *forward, void (*on_idle)(void *arg),
                   void *arg);

/* Bodies in hand. */
size_t forward_load(const struct forward *forward);

#endif
