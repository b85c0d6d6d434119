/*
 * lab_wire.h: the messages between worker, keeper and lab, and the checks that
 * stand at both ends.
 *
 *   worker -> lab      OPEN (limits, two output descriptors), DATA, END, ABORT
 *   lab -> worker      CREDIT (bytes taken), HEAD (report), then one of
 *                      DONE (report) or FAIL (status, and as much of a
 *                      report as there is)
 *   worker -> keeper   NEW_LAB, KILL (pid)
 *   keeper -> worker   LAB (pid, one descriptor) or NO_LAB (status)
 *
 * One message is one SOCK_SEQPACKET datagram: a header of fixed size and the
 * body that its type prescribes, no more and no less. All fields have fixed
 * widths and no padding; both ends are the same build on the same machine, so
 * byte order is the machine's.
 *
 * Streams are numbered by the worker from 1, ever upwards on one socket. Every
 * OPEN is answered by exactly one DONE or FAIL, also after an ABORT (FAIL with
 * STOPPING). The lab has closed both outputs by then. After that the number is
 * dead: the lab ignores what still comes for it, the worker never hears of it
 * again.
 *
 * Credit: a stream begins with LAB_WINDOW_BYTES. DATA uses it up, CREDIT gives
 * back what was decoded. CREDIT of 0 bytes is a sign of life.
 *
 * lab_wire_recv() proves the form (type, direction, lengths, numbers, enum
 * values); what depends on the stream is checked by lab_wire_head_ok() and
 * lab_wire_done_ok(). A peer that sends anything odd is beyond trust and is to
 * be killed.
 *
 * No state; any thread.
 */
#ifndef DARKROOM_LAB_WIRE_H
#define DARKROOM_LAB_WIRE_H

#include <sys/types.h>

#include "image/transcode.h"
#include "limits.h"

#define LAB_WIRE_FDS_MAX 2

enum lab_wire_type {
    LAB_WIRE_OPEN = 1,
    LAB_WIRE_DATA,
    LAB_WIRE_END,
    LAB_WIRE_ABORT,
    LAB_WIRE_CREDIT,
    LAB_WIRE_HEAD,
    LAB_WIRE_DONE,
    LAB_WIRE_FAIL,
    LAB_WIRE_NEW_LAB,
    LAB_WIRE_KILL,
    LAB_WIRE_LAB,
    LAB_WIRE_NO_LAB,
    LAB_WIRE__COUNT
};

/* Which way a message goes: what a receiver is ready to accept. */
enum lab_wire_way {
    LAB_WIRE_TO_LAB,
    LAB_WIRE_FROM_LAB,
    LAB_WIRE_TO_KEEPER,
    LAB_WIRE_FROM_KEEPER,
};

/* Only the fields named for its type count, the others are 0. */
struct lab_message {
    enum lab_wire_type type;
    uint64_t stream;                  /* all between worker and lab */
    uint32_t credit_bytes;            /* CREDIT */
    enum status status;               /* FAIL, NO_LAB */
    pid_t pid;                        /* KILL, LAB */
    struct transcode_options options; /* OPEN */
    struct transcode_report report;   /* HEAD, DONE, FAIL */
    const uint8_t *bytes;             /* DATA; borrowed from the buffer */
    size_t len;
    int fds[LAB_WIRE_FDS_MAX]; /* OPEN: original, preview. LAB: socket */
};

/* Where a received body lies until the next one. */
struct lab_wire_buffer {
    _Alignas(uint64_t) uint8_t body[LAB_CHUNK_BYTES];
};

/*
 * OK; BUSY when the socket is full (never if `wait`); CUT when the peer is
 * gone; BUG for a message that the peer would refuse; else IO or NO_MEMORY.
 * Descriptors are copied to the peer and stay the caller's.
 */
enum status lab_wire_send(int fd, const struct lab_message *message,
                          bool wait) MUST_CHECK;

/*
 * OK; BUSY when there is none (never if `wait`); CUT when the peer is gone;
 * BAD_INPUT for an odd message, whose descriptors are closed already; NO_MEMORY
 * when it had descriptors for which this process has no room: it is lost. Those
 * of a good one are the caller's, close-on-exec.
 */
enum status lab_wire_recv(int fd, enum lab_wire_way way,
                          struct lab_wire_buffer *buffer,
                          struct lab_message *message, bool wait) MUST_CHECK;

/* All set, none beyond what a lab can serve. */
bool lab_wire_options_ok(const struct transcode_options *options);

/* A status that a lab may fail with: about the picture or its own resources. */
bool lab_wire_status_ok(enum status status);

/* The report keeps to the limits that were asked for. */
bool lab_wire_head_ok(const struct transcode_report *report,
                      const struct transcode_options *options);
bool lab_wire_done_ok(const struct transcode_report *report,
                      const struct transcode_options *options,
                      uint64_t sent_bytes);

#endif
