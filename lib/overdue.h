/*
 * overdue.h: says, once, that a call takes longer than people would wait
 * without a word.
 *
 *   overdue_begin(&overdue, 1000, tell, arg);
 *   ... a call that may block ...
 *   overdue_end(&overdue);              tell() is not called from here on
 *
 * tell() comes on a thread of its own, while the caller is blocked; where no
 * thread can be had it does not come. The struct stays where it is in between.
 */
#ifndef DARKROOM_OVERDUE_H
#define DARKROOM_OVERDUE_H

#include <pthread.h>

#include "base.h"

struct overdue {
    void (*tell)(void *arg);
    void *arg;
    int64_t at_ms; /* mono */
    bool is_watched;
    bool is_over; /* with the rest, under the lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over;
};

void overdue_begin(struct overdue *overdue, int64_t after_ms,
                   void (*tell)(void *arg), void *arg);
void overdue_end(struct overdue *overdue);

#endif
