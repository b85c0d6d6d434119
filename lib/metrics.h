/*
 * metrics.h: counters and histograms of the whole pool, in one file that all
 * workers map.
 *
 *   metrics_open("STATE_DIR/metrics");                  at start, one thread
 *   metrics_name_channel("shop");                      for each channel
 *   METRIC_ADD(METRIC_FETCHED_BYTES, n);               any thread, nanoseconds
 *   metrics_sum(&totals);                              any thread, any worker
 *   metrics_close();                                   when no thread counts
 *
 * Every worker has a slot of the file for itself, so no two write to one place:
 * a count is a relaxed atomic addition to memory and no system call. A slot is
 * held by a lock on one byte of the file, which the kernel drops when a worker
 * dies, however that happens; its next owner goes on counting from what is in
 * it. So the sum over all slots never falls, and nothing that was counted is
 * lost by kill -9. A power failure may lose the last seconds: counts are no
 * receipts, and are not worth an fsync().
 *
 * The file holds magic, version and a fingerprint of the tables below. One of
 * another kind is replaced by a new file under the same name; workers of the
 * old version count on in theirs until they end.
 *
 * While nothing is open (unit tests, the command line) counting does nothing.
 *
 * Besides counts the file keeps whom each channel's webhooks are for, for
 * `darkroom check`, which is no worker and only reads.
 */
#ifndef DARKROOM_METRICS_H
#define DARKROOM_METRICS_H

#include "base.h"
#include "limits.h"
#include "status.h"

/* X(name, family, labels, help): rows of one family stand together. */
#define METRICS_COUNTERS(X)                                                    \
    X(WEBHOOK_200, "webhooks", "code=\"200\"", "Webhook requests answered")    \
    X(WEBHOOK_400, "webhooks", "code=\"400\"", "")                             \
    X(WEBHOOK_401, "webhooks", "code=\"401\"", "")                             \
    X(WEBHOOK_404, "webhooks", "code=\"404\"", "")                             \
    X(WEBHOOK_413, "webhooks", "code=\"413\"", "")                             \
    X(WEBHOOK_415, "webhooks", "code=\"415\"", "")                             \
    X(WEBHOOK_500, "webhooks", "code=\"500\"", "")                             \
    X(WEBHOOK_503, "webhooks", "code=\"503\"", "")                             \
    X(EVENT_ACCEPTED, "events", "result=\"accepted\"",                         \
      "Events of webhooks that were answered with 200")                        \
    X(EVENT_DUPLICATE, "events", "result=\"duplicate\"", "")                   \
    X(EVENT_UNWANTED, "events", "result=\"unwanted\"", "")                     \
    X(EVENT_MALFORMED, "events", "result=\"malformed\"", "")                   \
    X(FETCHED_BYTES, "fetched_bytes", "", "Bytes of pictures received")        \
    X(PUBLISHED_BYTES, "published_bytes", "", "Bytes of PNG files published")  \
    X(LAB_DEATHS, "lab_deaths", "", "Decoder processes that died")             \
    X(FORWARD_DELIVERED, "forwards", "result=\"delivered\"",                   \
      "Tries to hand a webhook to the bot behind")                             \
    X(FORWARD_RETRY, "forwards", "result=\"retry\"", "")                       \
    X(FORWARD_DROPPED, "forwards", "result=\"dropped\"", "")                   \
    X(PROCESSOR_ANSWERED, "processor_calls", "result=\"answered\"",            \
      "Calls of processor_url")                                                \
    X(PROCESSOR_FAILED, "processor_calls", "result=\"failed\"", "")            \
    X(PUSHES, "pushes", "", "Push requests to LINE, each may cost quota")      \
    X(LOADING_CALLS, "loading_calls", "", "Loading animations asked for")

/* X(name, family, help): seconds, all with the bounds of metrics_bounds_us. */
#define METRICS_HISTOGRAMS(X)                                                  \
    X(ACK, "webhook_ack", "Time to answer a webhook with 200")                 \
    X(QUEUE_WAIT, "queue_wait", "From the webhook to the first claim")         \
    X(FETCH, "fetch", "One request for content, from start to end")            \
    X(TRANSCODE, "transcode",                                                  \
      "From the first byte to both PNG files; overlaps the fetch")             \
    X(PUBLISH, "publish", "Both files synced and named")                       \
    X(REPLY, "reply", "One reply or push request to LINE")                     \
    X(ANSWER, "time_to_reply",                                                 \
      "From the webhook to the reply or push of a picture")

enum metrics_counter {
#define X(name, family, labels, help) METRIC_##name,
    METRICS_COUNTERS(X)
#undef X
        METRICS_COUNTERS__COUNT
};

enum metrics_histogram {
#define X(name, family, help) METRIC_SECONDS_##name,
    METRICS_HISTOGRAMS(X)
#undef X
        METRICS_HISTOGRAMS__COUNT
};

/* Upper bounds of the buckets; beyond the last one is one more bucket. */
#define METRICS_BOUNDS 21
#define METRICS_BUCKETS (METRICS_BOUNDS + 1)
extern const uint32_t metrics_bounds_us[METRICS_BOUNDS];

#define METRICS_FILE "metrics"          /* in the state directory */
#define METRICS_OUTCOMES 8              /* enum job_outcome fits */
#define METRICS_STATUSES 64             /* enum status fits */
#define METRICS_OTHER_CHANNEL "(other)" /* no channel can be called so */
#define METRICS_CHANNEL_ROWS                                                   \
    (METRICS_CHANNELS_MAX + 1) /* the last: "other"                            \
                                */

struct metrics_counts {
    uint64_t counters[METRICS_COUNTERS__COUNT];
    uint64_t seconds[METRICS_HISTOGRAMS__COUNT][METRICS_BUCKETS];
    uint64_t seconds_us[METRICS_HISTOGRAMS__COUNT]; /* the sum */
    uint64_t jobs[METRICS_CHANNEL_ROWS][METRICS_OUTCOMES];
    uint64_t failures[METRICS_STATUSES];
    uint64_t retries[METRICS_STATUSES];
};

/* The pool at one moment. */
struct metrics_totals {
    struct metrics_counts counts; /* of all workers, past ones too */
    size_t workers;               /* alive */
    int64_t started_ms;           /* wall: the oldest of them; 0: none */
    int64_t last_end_ms;          /* wall: the last job that ended; or 0 */
    int64_t crash_loop_ms;        /* wall: labs were last held back; or 0 */
    size_t channels;
    char names[METRICS_CHANNELS_MAX][CHANNEL_NAME_MAX + 1];
    /* Pictures answered in the last minutes, the current one last, by the
     * buckets of their time to reply. */
    uint32_t minutes[METRICS_MINUTES][METRICS_BUCKETS];
};

/* Nothing may be open. BUSY: all slots are taken, or the file is held. NO_SPACE
 * among others: go on without. */
enum status metrics_open(const char *path) MUST_CHECK;
void metrics_close(void);

/* Gives the channel a row of its own, unless it has one or all are taken. */
void metrics_name_channel(const char *name);

/* False: nothing is open, and `totals` is all zero. */
bool metrics_sum(struct metrics_totals *totals, int64_t now_ms);

/* ---- counting: any thread, never blocks, never fails */

void metrics_add(enum metrics_counter counter, uint64_t n);
void metrics_observe_us(enum metrics_histogram histogram, int64_t us);

#define METRIC_ADD(counter, n) metrics_add((counter), (uint64_t)(n))
#define METRIC_OBSERVE_MS(histogram, ms)                                       \
    metrics_observe_us((histogram), (int64_t)(ms)*1000)

/* A job has ended, or is to be tried again, for this reason. */
void metrics_job_ended(const char *channel, size_t outcome, int64_t now_ms);
void metrics_failure(enum status reason);
void metrics_retry(enum status reason);

/* A picture was answered after so long; besides METRIC_SECONDS_ANSWER it is
 * remembered by minute. */
void metrics_answered(int64_t us, int64_t now_ms);

/* Labs die so fast that they are held back. */
void metrics_crash_loop(int64_t now_ms);

/* A verified webhook of the channel was for this bot. Of channels without a row
 * nothing is kept, nor what is no user id. True: it was for `before` until now;
 * told once in the pool. While another process is in the gate it does nothing:
 * the next webhook says the same. */
bool metrics_saw_destination(const char *channel, const char *destination,
                             char before[BOT_ID_LEN + 1]);

/* ---- reading */

/* Whom the channel's last webhook was for, by a file that need not be open and
 * is never made or changed. NOT_FOUND: not known, or no such file. */
enum status
metrics_read_destination(const char *path, const char *channel,
                         char destination[BOT_ID_LEN + 1]) MUST_CHECK;

/* The share `q` (0..1) of the observations was not above this, interpolated in
 * its bucket; -1: there are none. */
int64_t metrics_quantile_us(const uint64_t buckets[METRICS_BUCKETS], double q);

#endif
