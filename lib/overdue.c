/*
 * overdue.c: a thread that sleeps until the call is over, or overdue.
 */
#include "overdue.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

static void *watch(void *arg)
{
    struct overdue *overdue = arg;
    const struct timespec at = {.tv_sec = (time_t)(overdue->at_ms / 1000),
                                .tv_nsec =
                                    (long)(overdue->at_ms % 1000) * 1000000};
    int rc = 0;

    pthread_mutex_lock(&overdue->lock);
    while (!overdue->is_over && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&overdue->over, &overdue->lock, &at);
    if (!overdue->is_over)
        overdue->tell(overdue->arg);
    pthread_mutex_unlock(&overdue->lock);
    return NULL;
}

void overdue_begin(struct overdue *overdue, int64_t after_ms,
                   void (*tell)(void *arg), void *arg)
{
    pthread_condattr_t attr;
    sigset_t all, before;

    *overdue = (struct overdue){
        .tell = tell, .arg = arg, .at_ms = mono_ms() + after_ms};
    (void)pthread_mutex_init(&overdue->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&overdue->over, &attr);
    (void)pthread_condattr_destroy(&attr);
    sigfillset(&all); /* signals are the caller's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    overdue->is_watched =
        pthread_create(&overdue->thread, NULL, watch, overdue) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void overdue_end(struct overdue *overdue)
{
    if (overdue->is_watched) {
        pthread_mutex_lock(&overdue->lock);
        overdue->is_over = true;
        pthread_cond_signal(&overdue->over);
        pthread_mutex_unlock(&overdue->lock);
        (void)pthread_join(overdue->thread, NULL);
    }
    (void)pthread_cond_destroy(&overdue->over);
    (void)pthread_mutex_destroy(&overdue->lock);
}
