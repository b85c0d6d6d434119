/*
 * status.h: the one error type of the project.
 *
 * Every function that can fail returns an enum status. 0 is success. What a
 * caller does with a failure follows from its class, not from its name:
 *
 *   STATUS_CLASS_OK         it worked, or it is a normal answer (MORE, AGAIN)
 *   STATUS_CLASS_RETRY      the same call may work later
 *   STATUS_CLASS_PERMANENT  it will not; the reason is fit for a receipt
 *   STATUS_CLASS_BUG        the caller broke the contract
 *
 * Names and texts are stable: receipts, logs and tests rely on them. Values
 * cross the lab's socket, so a new status goes to the end of its class and the
 * lab is always built together with the worker.
 */
#ifndef DARKROOM_STATUS_H
#define DARKROOM_STATUS_H

#include "base.h"

enum status_class {
    STATUS_CLASS_OK,
    STATUS_CLASS_RETRY,
    STATUS_CLASS_PERMANENT,
    STATUS_CLASS_BUG,
};

/* X(name, class, text) */
#define STATUS_TABLE(X)                                                        \
    X(OK, OK, "ok")                                                            \
    X(MORE, OK, "needs more input")                                            \
    X(AGAIN, OK, "call again, work is left")                                   \
    X(DUPLICATE, OK, "already known")                                          \
    /* retry */                                                                \
    X(NO_MEMORY, RETRY, "out of memory")                                       \
    X(NO_SPACE, RETRY, "no space left on the device")                          \
    X(IO, RETRY, "input/output error")                                         \
    X(BUSY, RETRY, "busy, try later")                                          \
    X(TIMEOUT, RETRY, "timed out")                                             \
    X(NETWORK, RETRY, "connection failed")                                     \
    X(CUT, RETRY, "transfer ended early")                                      \
    X(RATE_LIMITED, RETRY, "rate limited by the server")                       \
    X(SERVER_ERROR, RETRY, "server error")                                     \
    X(NOT_READY, RETRY, "content is still being prepared")                     \
    X(LAB_DIED, RETRY, "the decoder process died")                             \
    X(STOPPING, RETRY, "the worker is stopping")                               \
    X(LEASE_LOST, RETRY, "the lease was lost to another worker")               \
    /* permanent */                                                            \
    X(NOT_FOUND, PERMANENT, "not found")                                       \
    X(GONE, PERMANENT, "taken back by the sender")                             \
    X(REFUSED, PERMANENT, "refused by the server")                             \
    X(UNAUTHORIZED, PERMANENT, "access token refused")                         \
    X(TOKEN_EXPIRED, PERMANENT, "reply token expired or used")                 \
    X(EMPTY, PERMANENT, "the content is empty")                                \
    X(TOO_LARGE, PERMANENT, "larger than the limit")                           \
    X(BAD_SIGNATURE, PERMANENT, "signature missing or wrong")                  \
    X(BAD_INPUT, PERMANENT, "malformed input")                                 \
    X(BAD_CONFIG, PERMANENT, "bad configuration")                              \
    X(NOT_AN_IMAGE, PERMANENT, "not a picture of a known type")                \
    X(IMAGE_BROKEN, PERMANENT, "the picture is damaged")                       \
    X(IMAGE_TRUNCATED, PERMANENT, "the picture ends too early")                \
    X(IMAGE_UNSUPPORTED, PERMANENT, "this kind of picture is not supported")   \
    X(IMAGE_TOO_MANY_PIXELS, PERMANENT, "the picture has too many pixels")     \
    X(IMAGE_TOO_WIDE, PERMANENT, "the picture is too wide")                    \
    X(IMAGE_TOO_HIGH, PERMANENT, "the picture is too high")                    \
    X(IMAGE_TOO_MANY_SCANS, PERMANENT, "the picture has too many scans")       \
    X(IMAGE_TOO_MUCH_MEMORY, PERMANENT, "the picture needs too much memory")   \
    X(IMAGE_CHUNK_TOO_LARGE, PERMANENT,                                        \
      "metadata in the picture is too large")                                  \
    X(POISON, PERMANENT, "the picture crashes its decoder")                    \
    X(BAD_VERSION, PERMANENT, "stored data is of an unknown version")          \
    X(TOO_MANY_TRIES, PERMANENT, "gave up after repeated tries")               \
    X(OVER_QUOTA, PERMANENT, "the month's quota of pushes is used up")         \
    X(OVER_BUDGET, PERMANENT, "the channel's push_budget is used up")          \
    X(ADDRESS_REFUSED, PERMANENT, "not a public https address")                \
    /* bug */                                                                  \
    X(BUG, BUG, "a fault of darkroom itself")

enum status {
#define X(name, class, text) STATUS_##name,
    STATUS_TABLE(X)
#undef X
        STATUS__COUNT
};

/* The name in the table, e.g. "IMAGE_BROKEN". Never NULL. */
const char *status_name(enum status status);

/* One line in English for people. Never NULL. */
const char *status_text(enum status status);

enum status_class status_class(enum status status);

static inline bool status_is_retry(enum status status)
{
    return status_class(status) == STATUS_CLASS_RETRY;
}

/* The status that fits an errno: NO_SPACE, NO_MEMORY, BUSY, else IO. */
enum status status_from_errno(int err);

#endif
