/*
 * line_message.h: message objects of a reply or push, as JSON text. No I/O, no
 * state; any thread.
 *
 *   struct line_messages messages;
 *   buf_init(&buf, MESSAGES_MAX_BYTES);
 *   line_message_begin(&messages, &buf);
 *   line_message_text(&messages, text, quote_token, NULL);
 *   line_message_image(&messages, original_url, preview_url, sender_name);
 *   status = line_message_end(&messages);   OK, or the first error of all calls
 *   ... buf_str(&buf) is the array [{...},{...}] ...
 *
 * LINE's limits (line-platform 4.1 and 5) are checked while it is built: a
 * message that LINE would refuse, and with it the whole reply, gives BAD_INPUT
 * or TOO_LARGE here.
 */
#ifndef DARKROOM_LINE_MESSAGE_H
#define DARKROOM_LINE_MESSAGE_H

#include "json.h"

struct line_messages {
    struct json_out out; /* private, as is the rest */
    size_t count;
    enum status status; /* first error */
};

void line_message_begin(struct line_messages *messages, struct buf *buf);

/* https URLs of PNG or JPEG files. `sender_name`: NULL or "" for the account's
 * own name. */
void line_message_image(struct line_messages *messages,
                        const char *original_url, const char *preview_url,
                        const char *sender_name);

/* `quote_token`: NULL or "" to quote nothing. */
void line_message_text(struct line_messages *messages, const char *text,
                       const char *quote_token, const char *sender_name);

/* Ends the writing, also after an error. BAD_INPUT if there is no message. */
enum status line_message_end(struct line_messages *messages) MUST_CHECK;

/*
 * Whether text from outside (a processor's answer) is an array of 1 to
 * MESSAGES_MAX message objects within MESSAGES_MAX_BYTES: each an object whose
 * `type` is one that LINE knows. What is in them is LINE's to judge. OK,
 * BAD_INPUT or TOO_LARGE.
 */
enum status line_message_check(const char *json, size_t len) MUST_CHECK;

#endif
