/*
 * intake.h: from a webhook's bytes to jobs on stable storage: find the channel,
 * verify, parse, leave out what its policy does not allow, refuse for now if
 * the disk is short, queue; and the body as it came for a bot behind.
 *
 * OK means that every wanted event of the body is durable (or was known), or
 * that there is none (malformed ones are logged and left out), and so is the
 * body if the channel has a forward_url and wants it: answer 200.
 * While too many bodies wait to be forwarded, those with wanted events are
 * taken without the body (logged as not_forwarded), all others refused.
 * Everything else means that nothing was accepted:
 *
 *   NOT_FOUND       no such channel            404
 *   BAD_SIGNATURE   missing or wrong           401
 *   BAD_INPUT       signed, but no webhook     400
 *   TOO_LARGE                                  413
 *   retry class     queue or disk              503, LINE may redeliver
 *
 * A request goes by the settings that were in force when it began. Blocks until
 * the queue has committed. Safe from any number of threads.
 */
#ifndef DARKROOM_INTAKE_H
#define DARKROOM_INTAKE_H

#include "config_live.h"
#include "queue_thread.h"
#include "store.h"

/* All are lent. */
struct intake {
    struct config_live *config;
    struct queue_thread *queue;
    struct store *store;
};

/* `channel` is the name in the URL, "" for /webhook; `signature` may be NULL.
 */
enum status intake_accept(const struct intake *intake, const char *channel,
                          const void *body, size_t len,
                          const char *signature) MUST_CHECK;

#endif
