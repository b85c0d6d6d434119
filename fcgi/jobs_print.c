/*
 * jobs_print.c: see jobs_print.h.
 */
#include "jobs_print.h"

#include "json.h"
#include "operate.h"
#include "utf8.h"

#define URL_BYTES (CONFIG_VALUE_MAX + JOB_FILE_NAME_MAX + 16)
#define JSON_MAX_BYTES (16 * 1024)

static bool is_over(const struct job *job)
{
    return job->state == JOB_DONE || job->state == JOB_DEAD;
}

/* The outcome, or how far it is. */
static const char *standing(const struct job *job)
{
    return is_over(job) ? job_outcome_name(job->outcome)
                        : job_stage_name(job->stage);
}

static const char *source_name(enum job_source source)
{
    static const char *const names[] = {"user", "group", "room"};

    return names[source];
}

/* For a terminal: the reason may have words of LINE's, cut anywhere. */
static const char *reason_of(const struct job *job,
                             char out[JOB_REASON_MAX + 1])
{
    (void)str_copy(out, JOB_REASON_MAX + 1, job->reason);
    utf8_clean(out);
    return out;
}

/* ---- a table */

void jobs_print_head(void)
{
    (void)printf("%6s %-20s %-10s %-8s %-7s %-12s %5s %-20s %s\n", "id",
                 "message", "channel", "kind", "state", "outcome", "tries",
                 "received", "reason");
}

void jobs_print_row(const struct job *job)
{
    char received[OPERATE_TIME_SIZE], reason[JOB_REASON_MAX + 1];

    operate_time(job->received_ms, received);
    (void)printf("%6lld %-20s %-10s %-8s %-7s %-12s %5d %-20s %s\n",
                 (long long)job->id, job->message_id, job->channel,
                 job_kind_name(job->kind), job_state_name(job->state),
                 standing(job), (int)job->attempts, received,
                 reason_of(job, reason));
}

/* ---- one receipt */

static void print_time(const char *what, int64_t wall_ms, int64_t since_ms)
{
    char text[OPERATE_TIME_SIZE];

    operate_time(wall_ms, text);
    (void)printf("  %-10s %s", what, text);
    if (since_ms > 0)
        (void)printf(" (%.1f s after the webhook)",
                     (double)(wall_ms - since_ms) / 1000);
    (void)printf("\n");
}

static void print_url(const struct config *config, const char *what,
                      const char *name)
{
    if (name[0] != '\0')
        (void)printf("  %-10s %s/static/%s\n", what, config->public_url, name);
}

void jobs_print_receipt(const struct config *config, const struct job *job)
{
    char reason[JOB_REASON_MAX + 1];

    (void)printf("job %lld, message %s of channel %s\n", (long long)job->id,
                 job->message_id, job->channel);
    (void)printf("  %-10s %s, from a %s\n", "kind", job_kind_name(job->kind),
                 source_name(job->source));
    if (job->set_total > 0)
        (void)printf("  %-10s %d of %d sent together\n", "set",
                     (int)job->set_index, (int)job->set_total);
    (void)printf("  %-10s %s\n", "state", job_state_name(job->state));
    (void)printf("  %-10s %s\n", "stage", job_stage_name(job->stage));
    (void)printf("  %-10s %s%s\n", "outcome", job_outcome_name(job->outcome),
                 job->reply_in_doubt ? ", but a reply may have arrived" : "");
    (void)printf("  %-10s %s%s%s\n", "status", status_name(job->last_status),
                 job->reason[0] != '\0' ? ": " : "", reason_of(job, reason));
    (void)printf("  %-10s %d\n", "tries", (int)job->attempts);
    print_time("sent", job->event_ms, 0);
    print_time("received", job->received_ms, 0);
    if (job->fetched_ms > 0)
        print_time("fetched", job->fetched_ms, job->received_ms);
    if (job->published_ms > 0)
        print_time("published", job->published_ms, job->received_ms);
    print_time(is_over(job)               ? "ended"
               : job->state == JOB_LEASED ? "leased to"
                                          : "due",
               job->due_ms, job->received_ms);
    print_url(config, "original", job->original_name);
    print_url(config, "preview", job->preview_name);
}

/* ---- for programs */

static void member(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_str(out, value);
}

static void number(struct json_out *out, const char *key, int64_t value)
{
    json_key(out, key);
    json_int(out, value);
}

static void url(struct json_out *out, const struct config *config,
                const char *key, const char *name)
{
    char text[URL_BYTES] = "";

    if (name[0] != '\0')
        (void)snprintf(text, sizeof(text), "%s/static/%s", config->public_url,
                       name);
    member(out, key, text);
}

static void put_job(struct json_out *out, const struct config *config,
                    const struct job *job)
{
    json_object(out);
    number(out, "id", job->id);
    member(out, "message_id", job->message_id);
    member(out, "channel", job->channel);
    member(out, "kind", job_kind_name(job->kind));
    member(out, "source", source_name(job->source));
    member(out, "state", job_state_name(job->state));
    member(out, "stage", job_stage_name(job->stage));
    member(out, "outcome", job_outcome_name(job->outcome));
    member(out, "status", status_name(job->last_status));
    member(out, "reason", job->reason);
    number(out, "attempts", job->attempts);
    json_key(out, "in_doubt");
    json_bool(out, job->reply_in_doubt);
    number(out, "event_ms", job->event_ms);
    number(out, "received_ms", job->received_ms);
    number(out, "fetched_ms", job->fetched_ms);
    number(out, "published_ms", job->published_ms);
    number(out, "due_ms", job->due_ms);
    number(out, "set_index", job->set_index);
    number(out, "set_total", job->set_total);
    url(out, config, "original_url", job->original_name);
    url(out, config, "preview_url", job->preview_name);
    json_object_end(out);
}

enum status jobs_print_json(const struct config *config, const struct job *job)
{
    struct json_out out;
    struct buf text;
    enum status status;

    buf_init(&text, JSON_MAX_BYTES);
    json_out_init(&out, &text);
    put_job(&out, config, job);
    status = json_out_finish(&out);
    if (status == STATUS_OK && puts(buf_str(&text)) == EOF)
        status = STATUS_IO;
    buf_release(&text);
    return status;
}
