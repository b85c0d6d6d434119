/*
 * queue_lock.h: the file locks between the processes of one queue: the gate,
 * and the files that say which owners live. Private to queue_sqlite.c.
 *
 *   queue_lock_open(&lock, "/var/lib/darkroom/queue.db");
 *   queue_lock_enter(&lock);
 *   queue_lock_name_owner(&lock);      lock.owner is set
 *   queue_lock_leave(&lock);
 *   ...
 *   queue_lock_enter(&lock);           before each transaction
 *   queue_lock_owner_is_dead(&lock, name)
 *   queue_lock_leave(&lock);
 *   queue_lock_close(&lock);           the owner counts as dead from here on
 *
 * All calls belong to one thread, but see queue_lock_enter().
 */
#ifndef DARKROOM_QUEUE_LOCK_H
#define DARKROOM_QUEUE_LOCK_H

#include "limits.h"
#include "status.h"

struct queue_lock {
    int gate_fd;
    int owners_fd; /* the directory */
    int owner_fd;  /* our own file in it, locked */
    char owner[QUEUE_OWNER_MAX + 1];
};

/* Makes PATH.gate and the directory PATH.owners where they are missing. */
enum status queue_lock_open(struct queue_lock *lock,
                            const char *path) MUST_CHECK;

/* Also of a lock whose open failed. */
void queue_lock_close(struct queue_lock *lock);

/* Waits its turn, first come, first served, without a bound: who is inside
 * stays for one transaction. */
enum status queue_lock_enter(struct queue_lock *lock) MUST_CHECK;

/* The same for an open: BUSY after
 * `wait_ms`, with a line in the log long before; STOPPING if SIGTERM, SIGINT or
 * SIGQUIT is pending (a worker blocks them and waits for them later). After a
 * failure the lock is only to be closed. */
enum status queue_lock_enter_within(struct queue_lock *lock,
                                    int64_t wait_ms) MUST_CHECK;
void queue_lock_leave(struct queue_lock *lock);

/* Inside the gate. Takes a name that nobody had before, and removes the files
 * of the owners that died. */
enum status queue_lock_name_owner(struct queue_lock *lock) MUST_CHECK;

/* Inside the gate. True if no living process has this name. */
bool queue_lock_owner_is_dead(struct queue_lock *lock, const char *owner);

#endif
