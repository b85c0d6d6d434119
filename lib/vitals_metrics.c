/*
 * vitals_metrics.c: Prometheus' text format: for each family # HELP and # TYPE,
 * then its samples together (exposition format 0.0.4). Base units, and names
 * that end with them; _total for counters.
 */
#include <stdarg.h>

#include "job.h"
#include "vitals.h"

_Static_assert(JOB_OUTCOME_REMOVED < METRICS_OUTCOMES, "an outcome has no row");

/* The first failure stands; the rest writes nothing. */
struct writer {
    struct buf *buf;
    enum status status;
};

static void put(struct writer *out, const char *text)
{
    if (out->status == STATUS_OK)
        out->status = buf_append_str(out->buf, text);
}

static void PRINTF_LIKE(2, 3) putf(struct writer *out, const char *format, ...)
{
    char text[VITALS_LINE_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put(out, text);
}

/* Backslash, quote and line feed are escaped; nothing else is special. */
static void put_label(struct writer *out, const char *name, const char *value)
{
    putf(out, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            put(out, "\\n");
        else
            putf(out, "%s%c", *value == '"' || *value == '\\' ? "\\" : "",
                 *value);
    }
    put(out, "\"");
}

static void put_family(struct writer *out, const char *name, const char *type,
                       const char *help)
{
    putf(out, "# HELP darkroom_%s %s.\n# TYPE darkroom_%s %s\n", name, help,
         name, type);
}

static void put_gauge(struct writer *out, const char *name, const char *help,
                      double value)
{
    put_family(out, name, "gauge", help);
    putf(out, "darkroom_%s %.15g\n", name, value);
}

static double seconds_of(int64_t ms)
{
    return (double)ms / 1000;
}

/* ---- gauges */

static void put_build(struct writer *out)
{
    put_family(out, "build_info", "gauge", "Version of this worker");
    put(out, "darkroom_build_info{");
    put_label(out, "version", DARKROOM_VERSION);
    put(out, "} 1\n");
}

static void put_queue(struct writer *out, const struct vitals *vitals)
{
    const struct queue_stats *queue = &vitals->queue;

    put_family(out, "queue_jobs", "gauge", "Jobs in the queue by state");
    putf(out,
         "darkroom_queue_jobs{state=\"ready\"} %lld\n"
         "darkroom_queue_jobs{state=\"leased\"} %lld\n"
         "darkroom_queue_jobs{state=\"done\"} %lld\n"
         "darkroom_queue_jobs{state=\"dead\"} %lld\n",
         (long long)queue->ready, (long long)queue->leased,
         (long long)queue->done, (long long)queue->dead);
    put_gauge(out, "queue_oldest_due_seconds",
              "For how long the oldest due job has been due",
              seconds_of(vitals_due_age_ms(vitals)));
    put_gauge(out, "queue_silence_seconds",
              "Since the last transaction of this worker that worked",
              seconds_of(vitals->pulse.silent_ms));
    put_gauge(out, "forward_bodies", "Webhooks waiting to be forwarded",
              (double)queue->bodies);
    put_gauge(out, "forward_bytes", "Bytes of webhooks waiting to be forwarded",
              (double)queue->body_bytes);
}

static void put_gauges(struct writer *out, const struct vitals *vitals)
{
    put_build(out);
    put_gauge(out, "ready", "What /readyz says: 1 or 0",
              vitals_ready(vitals, NULL) ? 1 : 0);
    put_gauge(out, "workers", "Worker processes alive",
              (double)vitals->totals.workers);
    put_gauge(out, "start_time_seconds",
              "When the oldest living worker started, as Unix time",
              seconds_of(vitals->totals.started_ms));
    put_gauge(out, "last_job_end_time_seconds",
              "When the last job ended, as Unix time; 0 if none has",
              seconds_of(vitals->totals.last_end_ms));
    put_queue(out, vitals);
    if (vitals->disk_free_bytes >= 0)
        put_gauge(out, "disk_free_bytes", "Free where the state directory is",
                  (double)vitals->disk_free_bytes);
}

/* ---- counters */

static void put_counters(struct writer *out,
                         const struct metrics_counts *counts)
{
    static const struct {
        const char *family, *labels, *help;
    } rows[] = {
#define X(name, family, labels, help) {family, labels, help},
        METRICS_COUNTERS(X)
#undef X
    };
    char name[VITALS_LINE_MAX];

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool labelled = rows[i].labels[0] != '\0';

        (void)snprintf(name, sizeof(name), "%s_total", rows[i].family);
        if (i == 0 || !str_eq(rows[i].family, rows[i - 1].family))
            put_family(out, name, "counter", rows[i].help);
        putf(out, "darkroom_%s%s%s%s %llu\n", name, labelled ? "{" : "",
             rows[i].labels, labelled ? "}" : "",
             (unsigned long long)counts->counters[i]);
    }
}

static void put_jobs_of(struct writer *out, const char *channel,
                        const uint64_t jobs[METRICS_OUTCOMES])
{
    for (int i = JOB_OUTCOME_NONE + 1; i <= JOB_OUTCOME_REMOVED; i++) {
        put(out, "darkroom_jobs_total{");
        put_label(out, "channel", channel);
        put(out, ",");
        put_label(out, "outcome", job_outcome_name((enum job_outcome)i));
        putf(out, "} %llu\n", (unsigned long long)jobs[i]);
    }
}

static void put_jobs(struct writer *out, const struct metrics_totals *totals)
{
    put_family(out, "jobs_total", "counter", "Jobs that ended, by outcome");
    for (size_t i = 0; i < totals->channels; i++)
        put_jobs_of(out, totals->names[i], totals->counts.jobs[i]);
    put_jobs_of(out, METRICS_OTHER_CHANNEL,
                totals->counts.jobs[METRICS_CHANNELS_MAX]);
}

static void put_reasons(struct writer *out, const char *name, const char *help,
                        const uint64_t counts[METRICS_STATUSES])
{
    put_family(out, name, "counter", help);
    for (int i = 0; i < STATUS__COUNT; i++) {
        if (status_class((enum status)i) == STATUS_CLASS_OK)
            continue;
        putf(out, "darkroom_%s{", name);
        put_label(out, "reason", status_name((enum status)i));
        putf(out, "} %llu\n", (unsigned long long)counts[i]);
    }
}

/* ---- histograms */

static void put_histogram(struct writer *out, const char *family,
                          const char *help, const uint64_t *buckets,
                          uint64_t sum_us)
{
    char name[VITALS_LINE_MAX];
    uint64_t count = 0;

    (void)snprintf(name, sizeof(name), "%s_seconds", family);
    put_family(out, name, "histogram", help);
    for (size_t i = 0; i < METRICS_BOUNDS; i++) {
        count += buckets[i];
        putf(out, "darkroom_%s_bucket{le=\"%g\"} %llu\n", name,
             (double)metrics_bounds_us[i] / 1e6, (unsigned long long)count);
    }
    count += buckets[METRICS_BOUNDS];
    putf(out, "darkroom_%s_bucket{le=\"+Inf\"} %llu\n", name,
         (unsigned long long)count);
    putf(out, "darkroom_%s_sum %llu.%06llu\ndarkroom_%s_count %llu\n", name,
         (unsigned long long)(sum_us / 1000000),
         (unsigned long long)(sum_us % 1000000), name,
         (unsigned long long)count);
}

static void put_histograms(struct writer *out,
                           const struct metrics_counts *counts)
{
    static const struct {
        const char *family, *help;
    } rows[] = {
#define X(name, family, help) {family, help},
        METRICS_HISTOGRAMS(X)
#undef X
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        put_histogram(out, rows[i].family, rows[i].help, counts->seconds[i],
                      counts->seconds_us[i]);
}

enum status vitals_metrics(const struct vitals *vitals, struct buf *text)
{
    const struct metrics_counts *counts = &vitals->totals.counts;
    struct writer out = {.buf = text, .status = STATUS_OK};

    put_gauges(&out, vitals);
    put_counters(&out, counts);
    put_jobs(&out, &vitals->totals);
    put_reasons(&out, "failures_total",
                "Jobs that ended without a picture, by reason",
                counts->failures);
    put_reasons(&out, "retries_total", "Jobs to be tried again, by reason",
                counts->retries);
    put_histograms(&out, counts);
    return out.status;
}
