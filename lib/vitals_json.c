/*
 * vitals_json.c: the data of the status page. Times are milliseconds since
 * 1970, durations microseconds or milliseconds by their names. What is not
 * known is left out. Members are only ever added.
 */
#include <ctype.h>

#include "job.h"
#include "json.h"
#include "vitals.h"

#define URL_BYTES (CONFIG_VALUE_MAX + JOB_FILE_NAME_MAX + 16)

static void put_int(struct json_out *out, const char *key, int64_t value)
{
    json_key(out, key);
    json_int(out, value);
}

static void put_str(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_str(out, value);
}

static void begin(struct json_out *out, const char *key)
{
    json_key(out, key);
    json_object(out);
}

static uint64_t sum_of(const uint64_t buckets[METRICS_BUCKETS])
{
    uint64_t sum = 0;

    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        sum += buckets[i];
    return sum;
}

static void put_times(struct json_out *out, const char *key,
                      const uint64_t buckets[METRICS_BUCKETS])
{
    uint64_t count = sum_of(buckets);

    begin(out, key);
    put_int(out, "count", (int64_t)count);
    if (count > 0) {
        put_int(out, "p50_us", metrics_quantile_us(buckets, 0.5));
        put_int(out, "p99_us", metrics_quantile_us(buckets, 0.99));
    }
    json_object_end(out);
}

/* ---- the pool and its queue */

/* Each line is a reason. */
static void put_readiness(struct json_out *out, const struct vitals *vitals)
{
    struct buf lines;
    char *line, *rest = NULL;

    buf_init(&lines, VITALS_LINES_MAX_BYTES);
    json_key(out, "ready");
    json_bool(out, vitals_ready(vitals, &lines));
    json_key(out, "not_ready");
    json_array(out);
    line = lines.len > 0 ? strtok_r(lines.data, "\n", &rest) : NULL;
    for (; line != NULL; line = strtok_r(NULL, "\n", &rest))
        json_str(out, line);
    json_array_end(out);
    buf_release(&lines);
}

static void put_pool(struct json_out *out, const struct vitals *vitals)
{
    put_str(out, "version", DARKROOM_VERSION);
    put_int(out, "now_ms", vitals->now_ms);
    put_int(out, "started_ms", vitals->totals.started_ms);
    put_int(out, "workers", (int64_t)vitals->totals.workers);
    put_int(out, "last_end_ms", vitals->totals.last_end_ms);
    if (vitals->disk_free_bytes >= 0)
        put_int(out, "disk_free_bytes", vitals->disk_free_bytes);
    put_readiness(out, vitals);
}

static void put_address(struct json_out *out,
                        const struct vitals_sources *sources)
{
    const struct config *config = config_live_hold(sources->config);

    put_str(out, "public_url", config->public_url);
    config_drop(config);
}

static void put_queue(struct json_out *out, const struct vitals *vitals)
{
    const struct queue_stats *queue = &vitals->queue;

    begin(out, "queue");
    put_int(out, "ready", queue->ready);
    put_int(out, "leased", queue->leased);
    put_int(out, "done", queue->done);
    put_int(out, "dead", queue->dead);
    put_int(out, "oldest_age_ms",
            queue->oldest_ms > 0
                ? int64_max(0, vitals->now_ms - queue->oldest_ms)
                : 0);
    put_int(out, "due_age_ms", vitals_due_age_ms(vitals));
    put_int(out, "silent_ms", vitals->pulse.silent_ms);
    put_int(out, "bodies", queue->bodies);
    put_int(out, "body_bytes", queue->body_bytes);
    json_object_end(out);
}

/* ---- counts since the first worker ever */

/* WEBHOOK_200 is "webhook_200". */
static void put_counter(struct json_out *out, const char *name, uint64_t count)
{
    char key[VITALS_LINE_MAX];

    (void)str_copy(key, sizeof(key), name);
    for (char *c = key; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    put_int(out, key, (int64_t)count);
}

static void put_counters(struct json_out *out,
                         const struct metrics_counts *counts)
{
    static const char *const names[] = {
#define X(name, family, labels, help) #name,
        METRICS_COUNTERS(X)
#undef X
    };

    begin(out, "counters");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        put_counter(out, names[i], counts->counters[i]);
    json_object_end(out);
}

static void put_stages(struct json_out *out,
                       const struct metrics_counts *counts)
{
    static const char *const names[] = {
#define X(name, family, help) family,
        METRICS_HISTOGRAMS(X)
#undef X
    };

    begin(out, "stages");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        put_times(out, names[i], counts->seconds[i]);
    json_object_end(out);
}

static void put_reasons(struct json_out *out, const char *key,
                        const uint64_t counts[METRICS_STATUSES])
{
    json_key(out, key);
    json_array(out);
    for (int i = 0; i < STATUS__COUNT; i++) {
        if (counts[i] == 0)
            continue;
        json_object(out);
        put_str(out, "reason", status_name((enum status)i));
        put_str(out, "text", status_text((enum status)i));
        put_int(out, "count", (int64_t)counts[i]);
        json_object_end(out);
    }
    json_array_end(out);
}

static void put_channel(struct json_out *out, const char *name,
                        const uint64_t jobs[METRICS_OUTCOMES])
{
    json_object(out);
    put_str(out, "name", name);
    begin(out, "outcomes");
    for (int i = JOB_OUTCOME_NONE + 1; i <= JOB_OUTCOME_REMOVED; i++)
        put_int(out, job_outcome_name((enum job_outcome)i), (int64_t)jobs[i]);
    json_object_end(out);
    json_object_end(out);
}

static void put_channels(struct json_out *out,
                         const struct metrics_totals *totals)
{
    json_key(out, "channels");
    json_array(out);
    for (size_t i = 0; i < totals->channels; i++)
        put_channel(out, totals->names[i], totals->counts.jobs[i]);
    put_channel(out, METRICS_OTHER_CHANNEL,
                totals->counts.jobs[METRICS_CHANNELS_MAX]);
    json_array_end(out);
}

/* ---- the last hour */

/* Of each minute; null: no picture was answered. */
static void put_quantiles(struct json_out *out, const char *key, double q,
                          const struct metrics_totals *totals)
{
    json_key(out, key);
    json_array(out);
    for (size_t i = 0; i < METRICS_MINUTES; i++) {
        uint64_t buckets[METRICS_BUCKETS];
        int64_t us;

        for (size_t b = 0; b < METRICS_BUCKETS; b++)
            buckets[b] = totals->minutes[i][b];
        us = metrics_quantile_us(buckets, q);
        if (us < 0)
            json_null(out);
        else
            json_int(out, us);
    }
    json_array_end(out);
}

/* Rows of minutes end with the current one. */
static void put_hour(struct json_out *out, const struct metrics_totals *totals)
{
    uint64_t buckets[METRICS_BUCKETS] = {0};

    json_key(out, "minutes"); /* pictures answered */
    json_array(out);
    for (size_t i = 0; i < METRICS_MINUTES; i++) {
        int64_t sum = 0;

        for (size_t b = 0; b < METRICS_BUCKETS; b++) {
            sum += totals->minutes[i][b];
            buckets[b] += totals->minutes[i][b];
        }
        json_int(out, sum);
    }
    json_array_end(out);
    begin(out, "minutes_time_to_reply");
    put_quantiles(out, "p50_us", 0.5, totals);
    put_quantiles(out, "p99_us", 0.99, totals);
    json_object_end(out);
    put_times(out, "hour_time_to_reply", buckets);
}

/* ---- the latest jobs */

static void put_url(struct json_out *out, const char *key,
                    const struct config *config, const char *name)
{
    char url[URL_BYTES];

    (void)snprintf(url, sizeof(url), "%s/static/%s", config->public_url, name);
    put_str(out, key, url);
}

/* Of other outcomes the files are not there any more. */
static bool is_published(const struct job *job)
{
    return job->original_name[0] != '\0' && job->preview_name[0] != '\0' &&
           (job->outcome == JOB_OUTCOME_NONE ||
            job->outcome == JOB_OUTCOME_REPLIED ||
            job->outcome == JOB_OUTCOME_PUSHED);
}

static bool has_ended(const struct job *job)
{
    return job->state == JOB_DONE || job->state == JOB_DEAD;
}

static void put_job(struct json_out *out, const struct config *config,
                    const struct job *job)
{
    json_object(out);
    put_int(out, "id", job->id);
    put_str(out, "message_id", job->message_id);
    put_str(out, "channel", job->channel);
    put_str(out, "kind", job_kind_name(job->kind));
    put_str(out, "state", job_state_name(job->state));
    put_str(out, "stage", job_stage_name(job->stage));
    put_str(out, "outcome", job_outcome_name(job->outcome));
    put_int(out, "attempts", job->attempts);
    put_int(out, "received_ms", job->received_ms);
    put_int(out, has_ended(job) ? "ended_ms" : "due_ms", job->due_ms);
    if (job->last_status != STATUS_OK) {
        put_str(out, "reason", status_name(job->last_status));
        put_str(out, "text", job->reason);
    }
    if (is_published(job)) {
        put_url(out, "original_url", config, job->original_name);
        put_url(out, "preview_url", config, job->preview_name);
    }
    json_object_end(out);
}

static void put_jobs(struct json_out *out, const struct vitals_sources *sources)
{
    const struct config *config = config_live_hold(sources->config);
    struct job *jobs = calloc(VITALS_JOBS, sizeof(struct job));
    size_t count = 0;

    if (jobs != NULL && queue_thread_recent(sources->queue, jobs, VITALS_JOBS,
                                            &count) != STATUS_OK)
        count = 0; /* "not_ready" says why */
    json_key(out, "jobs");
    json_array(out);
    for (size_t i = 0; i < count; i++)
        put_job(out, config, &jobs[i]);
    json_array_end(out);
    config_drop(config);
    free(jobs);
}

enum status vitals_json(const struct vitals_sources *sources,
                        const struct vitals *vitals, struct buf *text)
{
    const struct metrics_counts *counts = &vitals->totals.counts;
    struct json_out out;

    json_out_init(&out, text);
    json_object(&out);
    put_pool(&out, vitals);
    put_address(&out, sources);
    put_queue(&out, vitals);
    put_counters(&out, counts);
    put_stages(&out, counts);
    put_hour(&out, &vitals->totals);
    put_reasons(&out, "failures", counts->failures);
    put_reasons(&out, "retries", counts->retries);
    put_channels(&out, &vitals->totals);
    put_jobs(&out, sources);
    json_object_end(&out);
    return json_out_finish(&out);
}
