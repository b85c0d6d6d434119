/*
 * lab.h: the worker's side of the jail. Pictures are decoded in labs: processes
 * that hold no secret, no socket but the one to the worker, and no file but the
 * two outputs they are handed (design section 3).
 *
 *   lab_keeper_spawn(NULL, &keeper)     first act of the worker: before
 *                                       secrets are read and threads started
 *   options.keeper = keeper;
 *   lab_new(&lab, loop, &options)       takes the keeper over, starts the labs
 *   lab_stream_open(lab, &request, &stream)
 *   lab_stream_write(stream, bytes, len)   as the picture arrives
 *   lab_stream_end(stream)
 *     ... on_head, then exactly one on_done ...
 *
 * The keeper is the program darkroom-lab, executed with an empty environment;
 * it forks labs on demand and reaps them. It ends when the worker does. Should
 * it end before, no picture can be decoded any more and none is to blame: every
 * stream ends with BUSY, lab_stream_open() answers BUSY, and on_broken says so
 * once, for the worker to exit and be started afresh.
 *
 * A lab runs up to LAB_STREAMS_MAX pictures, the oldest first; more wait. The
 * last place is kept for pictures whose input has ended, so that transfers
 * which trickle cannot shut out the others. What a waiting picture receives is
 * kept in memory up to SPILL_MEMORY_BYTES and beyond that in an unlinked
 * temporary file, so a slow decoder never holds a transfer and a slow transfer
 * never holds a decoder. A running stream takes as much as its lab has room for
 * (LAB_WINDOW_BYTES) and SPILL_MEMORY_BYTES more; beyond that
 * lab_stream_write() answers BUSY, the caller pauses its transfer, and on_room
 * says when to go on.
 *
 * So it does when all streams together hold LAB_SPILL_MAX_BYTES, to every
 * waiting stream but the oldest. That one and those that run always go on, so
 * room comes. Who runs may still hold what came while it was the oldest: more
 * than the ceiling is held by one input for each place in a lab, and one.
 *
 * When a lab dies, a new one is forked at once (after LAB_DEATHS_MAX deaths in
 * a row, a little later) and every picture it had ends with LAB_DIED. The
 * caller runs such a picture again with `alone` set: it then has a lab to
 * itself, and if that lab dies as well the answer is POISON. So a picture that
 * kills decoders is found and its neighbours survive.
 *
 * A lab that has work and shows no sign of life for LAB_STALL_MS is killed, and
 * so is one that says anything it should not. Reports are checked against the
 * limits and the output files; their content is as trustworthy as the picture.
 *
 * All calls and callbacks are on the loop's thread.
 */
#ifndef DARKROOM_LAB_H
#define DARKROOM_LAB_H

#include <sys/types.h>

#include "image/transcode.h"
#include "limits.h"
#include "loop.h"

struct lab;
struct lab_stream;

struct lab_keeper {
    int fd; /* -1: none */
    pid_t pid;
};

struct lab_options {
    struct lab_keeper keeper; /* taken over, also on failure */
    size_t labs;              /* 1..LAB_LABS_MAX processes */
    const char *spill_dir;    /* for unlinked temporary files; copied */
    int64_t stall_ms;         /* 0: LAB_STALL_MS */
    size_t spill_max_bytes;   /* 0: LAB_SPILL_MAX_BYTES */
    void *arg;
    /* The keeper is gone; the streams have ended. Once. Optional. */
    void (*on_broken)(void *arg);
};

struct lab_request {
    struct transcode_options limits; /* checked again inside the lab */
    /* Outputs: open for writing at offset 0, empty regular files. Duplicated by
     * the call; the caller's own copies stay the caller's. After any outcome
     * but OK they may hold bytes: a retry needs fresh ones. */
    int original_fd, preview_fd;
    bool alone;
    void *arg;
    /* The source's type and dimensions are known: decoding has begun. At most
     * once. Optional. */
    void (*on_head)(void *arg, const struct transcode_report *report);
    /* lab_stream_write() takes bytes again after it answered BUSY. */
    void (*on_room)(void *arg);
    /* Last callback; the stream is gone when it begins. On STATUS_OK the report
     * is complete and both files are written (not synced); else it is what was
     * known by then, if only decoded_percent. It may come before
     * lab_stream_end() when the picture ends before its file does or is
     * broken. */
    void (*on_done)(void *arg, enum status status,
                    const struct transcode_report *report);
};

/* Starts the keeper from the program file `darkroom-lab` beside the running
 * executable. `path` overrides that when not NULL. Keeper and labs log at the
 * level that is set now. On the main thread: the kernel ends the keeper when
 * the thread that started it ends. NOT_FOUND when there is no such program. */
enum status lab_keeper_spawn(const char *path,
                             struct lab_keeper *keeper) MUST_CHECK;

/* Ends the keeper and waits for it, LAB_STOP_MS at most before it is killed.
 * For a keeper that lab_new() has not taken over; nothing if there is none. */
void lab_keeper_end(struct lab_keeper *keeper);

enum status lab_new(struct lab **out, struct loop *loop,
                    const struct lab_options *options) MUST_CHECK;

/* Aborts all streams (no callbacks), ends the labs and the keeper: no process
 * is left. Waits as lab_keeper_end() does. Not from inside a callback. */
void lab_free(struct lab *lab);

/* Process ids of the labs that are up, for health pages; returns how many there
 * are, of which the first `max` are stored. */
size_t lab_pids(const struct lab *lab, pid_t *pids, size_t max);

/* Streams that wait for a lab. */
size_t lab_waiting(const struct lab *lab);

/* Bytes that all streams hold in memory and files, not yet sent to a lab. */
size_t lab_held_bytes(const struct lab *lab);

/* Callbacks never run from inside the calls below.
 * BUSY when the keeper is gone; BUG for limits that are unset or too large. */
enum status lab_stream_open(struct lab *lab, const struct lab_request *request,
                            struct lab_stream **out) MUST_CHECK;

/* OK: all `len` bytes taken, or no longer needed. BUSY: none taken, wait for
 * on_room. TOO_LARGE beyond limits.input_max_bytes; NO_SPACE, NO_MEMORY, IO
 * when the bytes cannot be kept: the stream is of no more use, abort it. */
enum status lab_stream_write(struct lab_stream *stream, const void *bytes,
                             size_t len) MUST_CHECK;

/* The input is complete; BUG the second time. */
enum status lab_stream_end(struct lab_stream *stream) MUST_CHECK;

/* No callback of it comes after; the stream is gone. */
void lab_stream_abort(struct lab_stream *stream);

#endif
