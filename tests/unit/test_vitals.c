/*
 * What is judged and told about a pool, from numbers made up here. Behind
 * nginx it is tested by tests/smoke/25-metrics.t and 28-ready.t.
 */
#include "vitals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "job.h"
#include "json.h"

#define NOW INT64_C(1790000000000)

static struct vitals vitals;
static struct buf text;

/* A pool that works: started an hour ago, a job ended a minute ago. */
static int setup(void **state)
{
    (void)state;
    vitals = (struct vitals){
        .now_ms = NOW,
        .totals.workers = 2,
        .totals.started_ms = NOW - 3600000,
        .totals.last_end_ms = NOW - 60000,
        .pulse.silent_ms = 200,
        .pulse.due_ms = INT64_MAX,
        .disk_free_bytes = 5000000000,
        .space = STATUS_OK,
    };
    buf_init(&text, RESPONSE_MAX_BYTES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_release(&text);
    return 0;
}

/* What is said begins with `name`, or nothing is said. */
static void assert_reason(const char *name)
{
    bool ready = vitals_ready(&vitals, &text);

    assert_int_equal(ready, name == NULL);
    assert_int_equal(vitals_ready(&vitals, NULL), ready);
    if (name == NULL) {
        assert_string_equal(buf_str(&text), "");
    } else {
        assert_int_equal(strncmp(buf_str(&text), name, strlen(name)), 0);
        assert_ptr_equal(strchr(text.data, '\n'), text.data + text.len - 1);
    }
    buf_clear(&text);
}

static void test_ready(void **state)
{
    (void)state;
    assert_reason(NULL);
}

static void test_a_silent_queue(void **state)
{
    (void)state;
    vitals.pulse.silent_ms = VITALS_SILENT_MS;
    assert_reason(NULL);
    vitals.pulse.silent_ms = VITALS_SILENT_MS + 1;
    assert_reason("queue: ");
}

static void test_stalled(void **state)
{
    const int64_t long_ago = NOW - VITALS_STALL_MS - 1;

    (void)state;
    vitals.pulse.due_ms = long_ago;
    assert_reason("stalled: ");
    vitals.totals.last_end_ms = long_ago + 1; /* the burst is worked on */
    assert_reason(NULL);
    vitals.totals.last_end_ms = long_ago;
    assert_reason("stalled: ");
    vitals.totals.started_ms = long_ago + 1; /* it has just begun */
    assert_reason(NULL);
    vitals.totals.started_ms = 0; /* nothing is counted */
    assert_reason("stalled: ");
    vitals.pulse.due_ms = long_ago + 1;
    assert_reason(NULL);
    vitals.pulse.due_ms = NOW + 1000; /* a retry that waits for its time */
    assert_reason(NULL);
    assert_int_equal(vitals_due_age_ms(&vitals), 0);
}

static void test_a_short_disk(void **state)
{
    (void)state;
    vitals.space = STATUS_NO_SPACE;
    assert_reason("disk: ");
}

static void test_a_crash_loop(void **state)
{
    (void)state;
    vitals.totals.crash_loop_ms = NOW - VITALS_CRASH_LOOP_MS + 1;
    assert_reason("labs: ");
    vitals.totals.crash_loop_ms = NOW - VITALS_CRASH_LOOP_MS;
    assert_reason(NULL);
}

static void test_all_reasons_at_once(void **state)
{
    size_t lines = 0;

    (void)state;
    vitals.pulse.silent_ms = INT64_MAX;
    vitals.pulse.due_ms = 0;
    vitals.space = STATUS_NO_SPACE;
    vitals.totals.crash_loop_ms = NOW;
    assert_false(vitals_ready(&vitals, &text));
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    assert_int_equal(lines, 4);
    assert_true(text.len < VITALS_LINES_MAX_BYTES);
}

/* ---- the text */

static void write_metrics(void)
{
    assert_int_equal(vitals_metrics(&vitals, &text), STATUS_OK);
    assert_int_equal(text.data[text.len - 1], '\n');
}

static void assert_line(const char *line)
{
    char whole[256];

    (void)snprintf(whole, sizeof(whole), "\n%s\n", line);
    if (strstr(text.data, whole) == NULL)
        fail_msg("no line '%s'", line);
}

static void test_samples(void **state)
{
    struct metrics_totals *totals = &vitals.totals;

    (void)state;
    totals->channels = 1;
    assert_true(str_copy(totals->names[0], CHANNEL_NAME_MAX + 1, "shop"));
    totals->counts.jobs[0][JOB_OUTCOME_REPLIED] = 7;
    totals->counts.jobs[METRICS_CHANNELS_MAX][JOB_OUTCOME_DEAD] = 2;
    totals->counts.counters[METRIC_WEBHOOK_503] = UINT64_MAX;
    totals->counts.failures[STATUS_IMAGE_BROKEN] = 3;
    totals->counts.retries[STATUS_TIMEOUT] = 4;
    vitals.queue.ready = 5;
    vitals.pulse.due_ms = NOW - 1500;
    write_metrics();
    assert_line("# TYPE darkroom_jobs_total counter");
    assert_line("darkroom_jobs_total{channel=\"shop\",outcome=\"replied\"} 7");
    assert_line("darkroom_jobs_total{channel=\"(other)\",outcome=\"dead\"} 2");
    assert_line("darkroom_webhooks_total{code=\"503\"} 18446744073709551615");
    assert_line("darkroom_failures_total{reason=\"IMAGE_BROKEN\"} 3");
    assert_line("darkroom_retries_total{reason=\"TIMEOUT\"} 4");
    assert_line("darkroom_queue_jobs{state=\"ready\"} 5");
    assert_line("darkroom_queue_oldest_due_seconds 1.5");
    assert_line("darkroom_start_time_seconds 1789996400");
    assert_line("darkroom_disk_free_bytes 5000000000");
    assert_line("darkroom_ready 1");
    assert_line("darkroom_workers 2");
}

static void test_a_histogram_is_cumulative(void **state)
{
    struct metrics_counts *counts = &vitals.totals.counts;

    (void)state;
    counts->seconds[METRIC_SECONDS_ACK][0] = 1;
    counts->seconds[METRIC_SECONDS_ACK][2] = 10;
    counts->seconds[METRIC_SECONDS_ACK][METRICS_BOUNDS] = 100;
    counts->seconds_us[METRIC_SECONDS_ACK] = 61000042;
    write_metrics();
    assert_line("# TYPE darkroom_webhook_ack_seconds histogram");
    assert_line("darkroom_webhook_ack_seconds_bucket{le=\"0.0005\"} 1");
    assert_line("darkroom_webhook_ack_seconds_bucket{le=\"0.001\"} 1");
    assert_line("darkroom_webhook_ack_seconds_bucket{le=\"0.002\"} 11");
    assert_line("darkroom_webhook_ack_seconds_bucket{le=\"60\"} 11");
    assert_line("darkroom_webhook_ack_seconds_bucket{le=\"+Inf\"} 111");
    assert_line("darkroom_webhook_ack_seconds_sum 61.000042");
    assert_line("darkroom_webhook_ack_seconds_count 111");
}

static void test_labels_are_escaped(void **state)
{
    (void)state;
    vitals.totals.channels = 1;
    assert_true(
        str_copy(vitals.totals.names[0], CHANNEL_NAME_MAX + 1, "a\"b\\c\nd"));
    write_metrics();
    assert_line(
        "darkroom_jobs_total{channel=\"a\\\"b\\\\c\\nd\","
        "outcome=\"replied\"} 0");
}

/* One # HELP and # TYPE for each family, before its samples. */
static void test_families_stand_together(void **state)
{
    size_t types = 0, helps = 0;

    (void)state;
    write_metrics();
    for (char *line = text.data; line != NULL && *line != '\0';
         line = strchr(line, '\n') + 1) {
        char name[128];
        size_t len = strcspn(line, "\n");

        if (strncmp(line, "# HELP ", 7) == 0) {
            helps++;
            continue;
        }
        if (strncmp(line, "# TYPE ", 7) != 0)
            continue;
        types++;
        assert_true(str_copy_n(name, sizeof(name), line, len));
        assert_null(strstr(line + len, name)); /* not once more */
    }
    assert_int_equal(types, helps);
    assert_true(types > 25);
}

static void test_no_room(void **state)
{
    (void)state;
    buf_release(&text);
    buf_init(&text, 1000);
    assert_int_equal(vitals_metrics(&vitals, &text), STATUS_TOO_LARGE);
}

/* The largest answer fits. */
static void test_all_channels_fit(void **state)
{
    (void)state;
    memset(&vitals.totals.counts, 0xff, sizeof(vitals.totals.counts));
    vitals.totals.channels = METRICS_CHANNELS_MAX;
    for (size_t i = 0; i < METRICS_CHANNELS_MAX; i++)
        memset(vitals.totals.names[i], 'x', CHANNEL_NAME_MAX);
    write_metrics();
    assert_true(text.len < RESPONSE_MAX_BYTES / 2);
}

/* ---- the status page's data */

static void on_claimed(void *arg, const struct queue_lease *leases,
                       size_t count)
{
    (void)arg;
    (void)leases;
    (void)count;
    fail_msg("the thread has no room");
}

/* As a worker whose queue is empty says it. */
static void write_json(void)
{
    char *const nothing[] = {NULL};
    struct queue_thread_options options = {.on_claimed = on_claimed};
    struct config_channel channel = {.name = "shop"};
    struct config config = {.channels = &channel, .channel_count = 1};
    struct vitals_sources sources = {0};
    char why[256];

    assert_int_equal(queue_open(&options.queue, "memory:", why, sizeof(why)),
                     STATUS_OK);
    assert_int_equal(loop_new(&options.loop), STATUS_OK);
    assert_int_equal(queue_thread_start(&sources.queue, &options), STATUS_OK);
    assert_int_equal(config_live_new(&sources.config, &config, NULL, nothing),
                     STATUS_OK);
    assert_int_equal(vitals_json(&sources, &vitals, &text), STATUS_OK);
    queue_thread_free(sources.queue);
    config_live_free(sources.config);
    loop_free(options.loop);
    queue_close(options.queue);
}

#define HOUR "minutes_time_to_reply"

/* What stands there for each minute; -1: null. */
struct hour {
    int64_t p50_us[METRICS_MINUTES], p99_us[METRICS_MINUTES];
    int64_t pictures[METRICS_MINUTES];
    size_t rows; /* all three together */
};

static enum status on_event(void *arg, const struct json_event *event)
{
    struct hour *hour = arg;
    int64_t *row = json_path_is(event, HOUR ".p50_us.#")   ? hour->p50_us
                   : json_path_is(event, HOUR ".p99_us.#") ? hour->p99_us
                   : json_path_is(event, "minutes.#")      ? hour->pictures
                                                           : NULL;
    int64_t i;

    if (row == NULL)
        return STATUS_OK;
    i = event->path[event->depth - 1].index;
    assert_in_range(i, 0, METRICS_MINUTES - 1);
    assert_true(event->kind == JSON_INT || event->kind == JSON_NULL);
    row[i] = event->kind == JSON_INT ? event->num : -1;
    hour->rows++;
    return STATUS_OK;
}

/* 100 pictures within 20 ms to 50 ms; 98 of them, and 2 that took longer than
 * all buckets; none in any other minute. */
static void test_each_minute_has_its_times(void **state)
{
    struct hour hour = {0};

    (void)state;
    vitals.totals.minutes[METRICS_MINUTES - 1][6] = 100;
    vitals.totals.minutes[7][6] = 98;
    vitals.totals.minutes[7][METRICS_BOUNDS] = 2;
    write_json();
    assert_int_equal(json_read(text.data, text.len, on_event, &hour),
                     STATUS_OK);
    assert_int_equal(hour.rows, 3 * METRICS_MINUTES);
    for (size_t i = 0; i < METRICS_MINUTES; i++) {
        bool has_some = i == 7 || i == METRICS_MINUTES - 1;

        assert_int_equal(hour.pictures[i], has_some ? 100 : 0);
        assert_int_equal(hour.p50_us[i] >= 0, has_some);
        assert_int_equal(hour.p99_us[i] >= 0, has_some);
    }
    assert_int_equal(hour.p50_us[METRICS_MINUTES - 1], 35000);
    assert_int_equal(hour.p99_us[METRICS_MINUTES - 1], 49700);
    assert_in_range(hour.p50_us[7], 35000, 36000);
    assert_int_equal(hour.p99_us[7], metrics_bounds_us[METRICS_BOUNDS - 1]);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_ready),
        CASE(test_a_silent_queue),
        CASE(test_stalled),
        CASE(test_a_short_disk),
        CASE(test_a_crash_loop),
        CASE(test_all_reasons_at_once),
        CASE(test_samples),
        CASE(test_a_histogram_is_cumulative),
        CASE(test_labels_are_escaped),
        CASE(test_families_stand_together),
        CASE(test_no_room),
        CASE(test_all_channels_fit),
        CASE(test_each_minute_has_its_times),
    };

    return cmocka_run_group_tests_name("vitals", tests, NULL, NULL);
}
