/*
 * jobs_watch.h: tells of every job that comes or changes, by looking again and
 * again: the queue is another process's, too, and has nobody to tell.
 *
 * Followed are all that are not finished, however many and however old: also
 * what is retried long after its end. Between two looks a job may pass through
 * several states; the one that is found is told.
 */
#ifndef DARKROOM_JOBS_WATCH_H
#define DARKROOM_JOBS_WATCH_H

#include "queue.h"

/* Anything but OK ends the watch, which then returns it. */
typedef enum status jobs_watch_fn(void *arg, const struct job *job);

/* Until a signal, or a failure. Told are those of the filter, oldest first;
 * what is there at the beginning is not. */
enum status jobs_watch(struct queue *queue, const struct queue_filter *filter,
                       jobs_watch_fn *on_change, void *arg) MUST_CHECK;

#endif
