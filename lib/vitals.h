/*
 * vitals.h: whether the pool works, and what it has done: one look, and three
 * ways to tell it.
 *
 *   vitals_look(&sources, &vitals);
 *   ready = vitals_ready(&vitals, &lines);         for /readyz
 *   status = vitals_metrics(&vitals, &text);       for /metrics
 *   status = vitals_json(&sources, &vitals, &text) for /darkroom/status.json
 *
 * Every worker can tell it: counts are of the whole pool (metrics.h), the queue
 * is everybody's. What is one worker's own is its connection to the queue.
 *
 * Ready means: it accepts pictures and finishes them. Not ready, with a line
 * for each reason:
 *
 *   queue    no transaction has worked for VITALS_SILENT_MS
 *   stalled  a job has been due for VITALS_STALL_MS, and for as long none has
 *            ended and no worker has started
 *   disk     the store refuses: webhooks are answered with 503
 *   labs     decoders died so fast that they were held back, within the last
 *            VITALS_CRASH_LOOP_MS
 *
 * Any thread but the loop's.
 */
#ifndef DARKROOM_VITALS_H
#define DARKROOM_VITALS_H

#include "buf.h"
#include "config_live.h"
#include "metrics.h"
#include "queue_thread.h"
#include "store.h"

/* All are lent. */
struct vitals_sources {
    struct config_live *config;
    const char *state_dir;
    struct queue_thread *queue;
    struct store *store;
};

struct vitals {
    int64_t now_ms;               /* wall */
    struct metrics_totals totals; /* all zero: nothing is counted */
    struct queue_stats queue;
    struct queue_pulse pulse;
    int64_t disk_free_bytes; /* of the state directory; -1: not known */
    enum status space;       /* store_check_space() */
};

void vitals_look(const struct vitals_sources *sources, struct vitals *vitals);

/* How long the job that has waited longest is due; 0: none is. */
int64_t vitals_due_age_ms(const struct vitals *vitals);

/* `lines` (optional) gets "name: words\n" for each reason why not. */
bool vitals_ready(const struct vitals *vitals, struct buf *lines);

/* Prometheus' text format 0.0.4. */
enum status vitals_metrics(const struct vitals *vitals,
                           struct buf *text) MUST_CHECK;

/*
 * Everything a status page shows: the numbers above, the last hour minute by
 * minute, and the latest jobs, each with its receipt. No user's id, no token;
 * names of published pictures are in it, so it is not for everybody. Asks the
 * queue; without its answer "jobs" is empty.
 */
enum status vitals_json(const struct vitals_sources *sources,
                        const struct vitals *vitals,
                        struct buf *text) MUST_CHECK;

#endif
