/*
 * verify.h: looks at the images a bot answered with, as a user's phone would.
 *
 *   verifier_start(&verifier, &options);
 *   verifier_take(verifier, photo, &request);    an accepted reply or push
 *   verifier_free(verifier);
 *
 * LINE answers 200 without looking at the URLs (platform notes 4.1), so what is
 * wrong with them becomes a violation "bad_image" and the photo's verdict, and
 * never another answer. Both URLs are fetched on threads of the verifier: no
 * redirect, status 200, Content-Type image/png or image/jpeg and the bytes to
 * match, at most 10,000,000 and 1,000,000 bytes, and a PNG that decodes wholly.
 */
#ifndef SIM_VERIFY_H
#define SIM_VERIFY_H

#include "record.h"
#include "rules.h"
#include "state.h"

struct verifier;

struct verifier_options {
    struct state *state;
    const struct recorder *recorder;
    const char *ca_file;
    bool enabled; /* false: images count as looked at, without a verdict */
};

enum status verifier_start(struct verifier **out,
                           const struct verifier_options *options) MUST_CHECK;

/* What waits is dropped; a fetch under way is waited for. NULL is fine. */
void verifier_free(struct verifier *verifier);

/* Notes the messages in the photo, or the images in the photos of its set, and
 * has the images looked at. */
void verifier_take(struct verifier *verifier, struct photo *photo,
                   const struct message_request *request);

#endif
