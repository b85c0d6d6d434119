/*
 * processor.h: asks a program of the bot's owner what to answer with. Before
 * the reply, the channel's processor_url gets a JSON of the published picture;
 * what it answers is sent instead of the picture.
 *
 *   POST processor_url
 *   Content-Type: application/json
 *   X-Darkroom-Signature: base64 of HMAC-SHA256(channel secret, body)
 *
 *   {"version": 1, "channel": "default", "message_id": "...",
 *    "event_id": "...", "kind": "image",
 *    "source": {"type": "user", "id": "U..."},
 *    "original": {"url": "https://...", "width": 3000, "height": 4000,
 *                 "bytes": 9876543},
 *    "preview": {"url": "https://...", ...},
 *    "source_image": {"type": "jpeg", "width": 4000, "height": 3000},
 *    "received_ms": 1790000000456}
 *
 * Sizes, and source_image as a whole, are left out when this worker does not
 * know them: it took the picture over, already published, from one that died.
 * width and height of source_image are those stored in the file, before
 * rotation. The signature is made as LINE makes those of webhooks, with the
 * first secret of the channel, so any LINE SDK can check it.
 *
 *   200 {"messages": [...]}   1 to 5 LINE message objects, sent instead
 *   200 {}, 204               the picture is sent, as without a processor
 *
 * Anything else, a redirect among it, or no answer in time: the picture is sent
 * and the log says what was wrong (event=processor_failed). It is asked once;
 * whoever needs more must take the URL and go on by itself.
 *
 * The URL is the owner's own, so it may be in a private network.
 *
 * All on the loop's thread, but the pure functions.
 */
#ifndef DARKROOM_PROCESSOR_H
#define DARKROOM_PROCESSOR_H

#include "config.h"
#include "http.h"
#include "image/transcode.h"
#include "job.h"

struct processor_call;

/* All are borrowed for the call. */
struct processor_picture {
    const struct config_channel *channel;
    const struct job *job;
    const char *original_url;
    const char *preview_url;
    const struct transcode_report *report; /* NULL: not known any more */
};

struct processor_request {
    struct processor_picture picture;
    int64_t timeout_ms;
    void *arg;
    /* `messages`: a JSON array of `len` bytes, checked, not terminated,
     * borrowed for the call; NULL: send the picture. */
    void (*on_done)(void *arg, const char *messages, size_t len);
};

/* Asks picture.channel's processor_url. on_done comes exactly once and last,
 * from the loop, unless processor_cancel() was called. On failure nothing comes
 * and the picture is to be sent. */
enum status processor_call(struct http *http,
                           const struct processor_request *request,
                           struct processor_call **out) MUST_CHECK;
void processor_cancel(struct processor_call *call);

/* Appends the JSON above to `out`. */
enum status processor_request_json(const struct processor_picture *picture,
                                   struct buf *out) MUST_CHECK;

/*
 * What an answer with this status and body says: OK, and *messages the part of
 * `body` that is the array (NULL: send the picture); else BAD_INPUT, TOO_LARGE,
 * REFUSED, and `why` has words for people.
 */
enum status processor_read_answer(int http_status, const char *body, size_t len,
                                  const char **messages, size_t *messages_len,
                                  char *why, size_t why_size) MUST_CHECK;

#endif
