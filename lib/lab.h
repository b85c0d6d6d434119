/*
 * lab.h: the worker's side of the jail. Pictures are decoded in labs: processes
 * that hold no secret, no socket but the one to the worker, and no file but the
 * two outputs they are handed (design section 3).
 *
 *   lab_keeper_spawn(&keeper_fd)        first act of the worker: before
 *                                       secrets are read and threads started
 *   lab_new(&lab, loop, &options)       takes keeper_fd over
 *   lab_stream_open(lab, &request, &stream)
 *   lab_stream_write(stream, bytes, len)   as the picture arrives
 *   lab_stream_end(stream)
 *     ... on_head, then exactly one on_done ...
 *
 * The keeper is the program darkroom-lab, executed with an empty environment;
 * it forks labs on demand and reaps them. It ends when the worker does.
 *
 * A lab runs up to LAB_STREAMS_MAX pictures, the oldest first; more wait. What
 * a waiting picture receives is kept in memory up to SPILL_MEMORY_BYTES and
 * beyond that in an unlinked temporary file, so a slow decoder never holds a
 * transfer and a slow transfer never holds a decoder. A running stream takes as
 * much as it has credit for (LAB_WINDOW_BYTES); beyond that lab_stream_write()
 * answers BUSY, the caller pauses its transfer, and on_room says when to go on.
 *
 * When a lab dies, a new one is forked at once and every picture it had ends
 * with LAB_DIED. The caller runs such a picture again with `alone` set: it then
 * has a lab to itself, and if that lab dies as well the answer is POISON. So a
 * picture that kills decoders is found and its neighbours survive.
 *
 * A lab that has work and shows no sign of life for LAB_STALL_MS is killed.
 *
 * All calls and callbacks are on the loop's thread.
 */
#ifndef DARKROOM_LAB_H
#define DARKROOM_LAB_H

#include "image/transcode.h"
#include "limits.h"
#include "loop.h"

struct lab;
struct lab_stream;

struct lab_options {
    int keeper_fd;         /* taken over, also on failure */
    size_t labs;           /* 1..LAB_LABS_MAX processes */
    const char *spill_dir; /* for unlinked temporary files; copied */
};

struct lab_request {
    struct transcode_options limits; /* checked again inside the lab */
    /* Write-only outputs, empty regular files. Duplicated by the call; the
     * caller's own copies stay the caller's. */
    int original_fd, preview_fd;
    bool alone;
    void *arg;
    /* The source's type and dimensions are known: decoding has begun. At most
     * once. Optional. */
    void (*on_head)(void *arg, const struct transcode_report *report);
    /* lab_stream_write() takes bytes again after it answered BUSY. */
    void (*on_room)(void *arg);
    /* Last callback; the stream is gone when it begins. On STATUS_OK the report
     * is complete and both files are written (not synced). It may come before
     * lab_stream_end() when the picture ends before its file does or is
     * broken. */
    void (*on_done)(void *arg, enum status status,
                    const struct transcode_report *report);
};

/* Starts the keeper from the program file `darkroom-lab` beside the running
 * executable. `path` overrides that when not NULL. */
enum status lab_keeper_spawn(const char *path, int *keeper_fd) MUST_CHECK;

enum status lab_new(struct lab **out, struct loop *loop,
                    const struct lab_options *options) MUST_CHECK;

/* Aborts all streams (no callbacks), ends the labs and the keeper. */
void lab_free(struct lab *lab);

/* Callbacks never run from inside these calls. */
enum status lab_stream_open(struct lab *lab, const struct lab_request *request,
                            struct lab_stream **out) MUST_CHECK;

/* OK: all `len` bytes taken. BUSY: none taken, wait for on_room. */
enum status lab_stream_write(struct lab_stream *stream, const void *bytes,
                             size_t len) MUST_CHECK;

/* The input is complete. */
enum status lab_stream_end(struct lab_stream *stream) MUST_CHECK;

/* No callback of it comes after; the stream is gone. */
void lab_stream_abort(struct lab_stream *stream);

#endif
