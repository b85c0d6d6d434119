/*
 * transcode_inner.h: what transcode.c and transcode_header.c share. Nobody else
 * includes it.
 */
#ifndef DARKROOM_IMAGE_TRANSCODE_INNER_H
#define DARKROOM_IMAGE_TRANSCODE_INNER_H

#include "carry.h"
#include "chain.h"
#include "decoder.h"
#include "transcode.h"

enum transcode_state {
    STATE_SNIFF,
    STATE_HOLD,
    STATE_DECODE,
    STATE_EMIT,
    STATE_FINISH,
    STATE_DONE,
    STATE_FAILED,
};

struct transcode {
    struct transcode_options options;
    struct transcode_sinks sinks;
    struct transcode_report report;
    enum transcode_state state;
    enum status failure;
    bool has_work; /* the last answer was AGAIN */
    bool ended;
    struct carry carry;
    bool is_held;     /* all input so far is in there, to know its length */
    unsigned guesses; /* TRANSCODE_MAX: so far */
    uint64_t predicted_px;
    bool no_copy;    /* it was tried */
    bool is_sound;   /* what was copied */
    bool needs_redo; /* the original is too long, or no sound copy */
    struct plan plan;
    struct decoder *decoder;
    struct colour *colour; /* NULL: sRGB already */
    struct chain *chain;
};

/* The decoder's header() for a struct transcode: plans all sizes and builds the
 * chain. */
enum status transcode_header(void *arg, const struct decoder_header *header,
                             uint8_t *eighths) MUST_CHECK;

struct decoder_limits
transcode_decoder_limits(const struct transcode_options *options);

/* Of the whole input; 0 if nobody can tell. */
size_t transcode_known_bytes(const struct transcode *t);

#endif
