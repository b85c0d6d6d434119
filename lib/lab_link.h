/*
 * lab_link.h: private to lab.c and lab_link.c. A link is one lab as the worker
 * sees it: a socket, a pid, and a slot for each picture the lab has.
 *
 *   absent -> asked (NEW_LAB sent) -> up -> absent (died, killed)
 *
 * lab_link.c speaks the protocol: it moves bytes from backlogs to the socket,
 * checks what comes back and knows when a lab must die. lab.c decides which
 * picture goes to which lab, owns streams and keeper, and makes the callbacks.
 *
 * A slot is taken from the OPEN to the lab's last word, DONE or FAIL, also when
 * the stream has long been aborted: so a lab never has more than
 * LAB_STREAMS_MAX, and a message about any other picture is a lie.
 */
#ifndef DARKROOM_LAB_LINK_H
#define DARKROOM_LAB_LINK_H

#include "lab.h"
#include "lab_wire.h"
#include "spill.h"

struct lab_link;

struct lab_stream {
    struct lab *lab;
    struct lab_request request; /* the two descriptors are its own */
    struct lab_link *link;      /* NULL while it waits */
    struct lab_slot *slot;
    struct spill backlog; /* taken from the caller, not sent */
    size_t written_bytes; /* taken from the caller */
    bool ended;           /* by lab_stream_end() */
    bool wants_room;      /* BUSY was answered */
    enum status failed;   /* the backlog cannot be read: ends at next turn */
    struct lab_stream *next, **link_to_this; /* while it waits */
};

struct lab_slot {
    bool used;
    uint64_t id;               /* given by OPEN as it leaves; 0 before */
    struct lab_stream *stream; /* NULL after an abort */
    bool alone;
    bool end_sent, abort_sent, head_seen;
    size_t credit_bytes;
    size_t unseen_bytes; /* sent, no credit for them yet */
    uint64_t sent_bytes;
    unsigned signs; /* signs of life */
    int64_t aborted_ms;
};

enum lab_link_state { LAB_LINK_ABSENT, LAB_LINK_ASKED, LAB_LINK_UP };

struct lab_link {
    struct lab *lab;
    enum lab_link_state state;
    int fd;
    pid_t pid;
    pid_t kill_pid; /* its last lab, if the keeper was not told yet; or 0 */
    struct loop_watch watch;
    bool wants_writable;
    bool failed;          /* found dead by a call: dropped at next turn */
    int64_t last_sign_ms; /* or when its present work began */
    int64_t ask_at_ms;    /* absent: not before this */
    uint64_t last_id;
    struct lab_slot slots[LAB_STREAMS_MAX];
    const struct lab_stream *reserved_for; /* waits for it to be empty */
};

/* ---- lab_link.c */

/* A lab has come up. Takes `fd` over, also on failure. */
enum status lab_link_start(struct lab_link *link, int fd, pid_t pid) MUST_CHECK;

/* Closes. The slots stay for the caller to empty; nothing is sent any more. */
void lab_link_stop(struct lab_link *link);

/* Gives the stream a slot, of which there must be one, and sends what it has.
 */
void lab_link_add(struct lab_link *link, struct lab_stream *stream);

/* Takes the stream out; the lab is told to abort it. */
void lab_link_remove(struct lab_link *link, struct lab_stream *stream);

/* Sends what credit and socket allow. Makes no callbacks: what it finds is left
 * in `failed` of link or stream and the lab is woken. */
void lab_link_send(struct lab_link *link, struct lab_slot *slot);

/* The direct way, past the backlog: how many of the bytes have gone. */
size_t lab_link_send_bytes(struct lab_link *link, struct lab_slot *slot,
                           const uint8_t *bytes, size_t len);

/* The backlog is low enough for the caller to go on. */
bool lab_link_room(const struct lab_stream *stream);

size_t lab_link_used(const struct lab_link *link);
bool lab_link_has_alone(const struct lab_link *link);

/* The last `late_ms` do not count as silence. */
void lab_link_forgive(struct lab_link *link, int64_t now_ms, int64_t late_ms);

/* NULL, or why the lab must be killed. */
const char *lab_link_stalled(const struct lab_link *link, int64_t now_ms,
                             int64_t stall_ms);

/* ---- lab.c */

struct loop *lab_loop(const struct lab *lab);

/* on_turn() of lab.c runs soon. */
void lab_wake(struct lab *lab);

/* So many bytes have left a backlog. */
void lab_backlog_shrank(struct lab *lab, size_t bytes);

/* The link's lab is dead or must die; `why` for the log. Ends its streams, with
 * callbacks. */
void lab_link_lost(struct lab *lab, struct lab_link *link, const char *why);

/* Ends the stream with its last callback. */
void lab_stream_finish(struct lab_stream *stream, enum status status,
                       const struct transcode_report *report);

#endif
