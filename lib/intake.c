/*
 * intake.c: see the header; the order of the steps is the order of the answers.
 */
#include "intake.h"

#include "log.h"
#include "metrics.h"
#include "webhook.h"

#define SHORT_ID_BYTES 16

struct request_in_hand {
    const struct config *config;
    const struct config_channel *channel;
    const void *body;
    size_t len;
    const char *signature;
    int64_t start_us;
    struct webhook webhook;
    bool forwarded;
    size_t known; /* events that were stored before */
};

static enum status verify(const struct config_channel *channel,
                          const void *body, size_t len, const char *signature)
{
    const char *secrets[CHANNEL_SECRETS_MAX];

    for (size_t i = 0; i < channel->secret_count; i++)
        secrets[i] = channel->secrets[i];
    return webhook_verify(secrets, channel->secret_count, body, len, signature);
}

static void fill_job(struct job *job, const struct config_channel *channel,
                     const struct webhook_event *event, int64_t now_ms)
{
    *job = (struct job){.kind = event->kind,
                        .source = event->source,
                        .set_index = event->set_index,
                        .set_total = event->set_total,
                        .event_ms = event->timestamp_ms,
                        .received_ms = now_ms};
    /* Both sides have the same bounds: these cannot fail. */
    (void)str_copy(job->channel, sizeof(job->channel), channel->name);
    (void)str_copy(job->event_id, sizeof(job->event_id), event->event_id);
    (void)str_copy(job->message_id, sizeof(job->message_id), event->message_id);
    (void)str_copy(job->reply_token, sizeof(job->reply_token),
                   event->reply_token);
    (void)str_copy(job->source_id, sizeof(job->source_id), event->source_id);
    (void)str_copy(job->quote_token, sizeof(job->quote_token),
                   event->quote_token);
    (void)str_copy(job->read_token, sizeof(job->read_token), event->read_token);
    (void)str_copy(job->set_id, sizeof(job->set_id), event->set_id);
    (void)str_copy(job->external_url, sizeof(job->external_url),
                   event->external_url);
}

/* What the channel's policy keeps out is as if it had not been wanted. */
static bool is_allowed(const struct request_in_hand *r,
                       const struct webhook_event *event)
{
    if (event->kind == JOB_EXTERNAL)
        return r->channel->external != 0;
    if (event->kind == JOB_FILE)
        return r->channel->files != 0 &&
               event->file_bytes <= r->config->max_input_bytes;
    return true;
}

static void drop_forbidden(struct request_in_hand *r)
{
    struct webhook *webhook = &r->webhook;
    size_t kept = 0;

    for (size_t i = 0; i < webhook->count; i++) {
        const struct webhook_event *event = &webhook->events[i];

        if (is_allowed(r, event))
            webhook->events[kept++] = *event;
        else
            LOG(DEBUG, "left_out", LOG_STR("job", event->message_id),
                LOG_STR("channel", r->channel->name),
                LOG_STR("kind", job_kind_name(event->kind)),
                LOG_INT("bytes", event->file_bytes));
    }
    webhook->count = kept;
}

/* Pictures are answered for sure. Of a file it is not known yet whether it is
 * one, and an unsend may be of a message that the bot behind answered. */
static bool is_for_others(const struct webhook *webhook)
{
    size_t pictures = 0;

    for (size_t i = 0; i < webhook->count; i++)
        pictures += webhook->events[i].kind == JOB_IMAGE ||
                    webhook->events[i].kind == JOB_EXTERNAL;
    return pictures < webhook->total;
}

static bool is_forwarded(const struct request_in_hand *r)
{
    return r->channel->forward_url[0] != '\0' &&
           (r->channel->forward_events == CONFIG_FORWARD_ALL ||
            is_for_others(&r->webhook));
}

/* A bot that is down for long must not cost the pictures: they are taken
 * without it. Events of others alone are refused, and LINE's to send again. */
static bool is_left_behind(const struct intake *intake,
                           const struct request_in_hand *r)
{
    if (r->webhook.count == 0 || queue_thread_takes_bodies(intake->queue))
        return false;
    LOG(ERROR, "not_forwarded", LOG_STR("channel", r->channel->name),
        LOG_INT("events", r->webhook.total),
        LOG_INT("wanted", r->webhook.count),
        LOG_STR("text",
                "too many webhooks wait for the bot behind; is it down?"));
    return true;
}

static enum status copy_body(const struct request_in_hand *r,
                             struct queue_body **out)
{
    struct queue_body *body = queue_body_new(WEBHOOK_BODY_MAX_BYTES);

    if (body == NULL)
        return STATUS_NO_MEMORY;
    *out = body;
    body->received_ms = wall_ms();
    /* It was verified: this cannot fail. */
    (void)str_copy(body->channel, sizeof(body->channel), r->channel->name);
    (void)str_copy(body->signature, sizeof(body->signature), r->signature);
    return buf_append(&body->body, r->body, r->len);
}

/* Returns when all events, and the body if it is forwarded, are durable. */
static enum status store_all(const struct intake *intake,
                             struct request_in_hand *r)
{
    size_t count = r->webhook.count;
    struct job *jobs = calloc(count > 0 ? count : 1, sizeof(struct job));
    struct queue_body *body = NULL;
    int64_t now_ms = wall_ms();
    enum status status = STATUS_NO_MEMORY;

    if (jobs == NULL)
        return status;
    for (size_t i = 0; i < count; i++)
        fill_job(&jobs[i], r->channel, &r->webhook.events[i], now_ms);
    status = r->forwarded ? copy_body(r, &body) : STATUS_OK;
    if (status == STATUS_OK)
        status = queue_thread_put(intake->queue, jobs, count, body, &r->known);
    queue_body_free(body);
    free(jobs);
    return status;
}

/* Ids are never told in full: enough to know one by. */
static const char *short_id(char text[SHORT_ID_BYTES], const char *id)
{
    (void)snprintf(text, SHORT_ID_BYTES, "%.9s...", id);
    return text;
}

static void log_accepted(const struct request_in_hand *r)
{
    const struct webhook *webhook = &r->webhook;
    char bot[SHORT_ID_BYTES];

    for (size_t i = 0; i < webhook->count; i++)
        LOG(INFO, "accepted", LOG_STR("job", webhook->events[i].message_id),
            LOG_STR("channel", r->channel->name),
            LOG_STR("kind", job_kind_name(webhook->events[i].kind)),
            LOG_INT("redelivery", webhook->events[i].redelivery),
            LOG_INT("events", webhook->total), LOG_INT("known", r->known),
            LOG_INT("ack_us", mono_us() - r->start_us));
    LOG(DEBUG, "webhook", LOG_STR("channel", r->channel->name),
        LOG_STR("destination", short_id(bot, webhook->destination)),
        LOG_INT("events", webhook->total), LOG_INT("wanted", webhook->count),
        LOG_INT("idle", webhook->idle), LOG_INT("forwarded", r->forwarded));
}

static void count_events(const struct request_in_hand *r)
{
    const struct webhook *webhook = &r->webhook;

    METRIC_ADD(METRIC_EVENT_ACCEPTED, webhook->count - r->known);
    METRIC_ADD(METRIC_EVENT_DUPLICATE, r->known);
    METRIC_ADD(METRIC_EVENT_MALFORMED, webhook->malformed);
    METRIC_ADD(METRIC_EVENT_UNWANTED,
               webhook->total - webhook->count - webhook->malformed);
}

static void note_destination(const struct request_in_hand *r)
{
    const char *destination = r->webhook.destination;
    char before[BOT_ID_LEN + 1], is[SHORT_ID_BYTES], was[SHORT_ID_BYTES];

    if (str_eq(destination, WEBHOOK_DESTINATION_NONE) ||
        !metrics_saw_destination(r->channel->name, destination, before))
        return;
    LOG(WARN, "destination_changed", LOG_STR("channel", r->channel->name),
        LOG_STR("destination", short_id(is, destination)),
        LOG_STR("was", short_id(was, before)),
        LOG_STR("text", "webhooks are for another bot than before"));
}

static enum status accept_events(const struct intake *intake,
                                 struct request_in_hand *r)
{
    enum status status = STATUS_OK;

    if (r->webhook.malformed > 0)
        LOG(WARN, "malformed_events", LOG_STR("channel", r->channel->name),
            LOG_INT("malformed", r->webhook.malformed),
            LOG_INT("events", r->webhook.total));
    drop_forbidden(r);
    r->forwarded = is_forwarded(r) && !is_left_behind(intake, r);
    if (r->webhook.count > 0 || r->forwarded) {
        status = store_check_space(intake->store);
        if (status == STATUS_OK)
            status = store_all(intake, r);
    }
    if (status == STATUS_OK) {
        count_events(r);
        log_accepted(r);
    }
    return status;
}

/* The likely cause in words: wrong signatures are mistakes in the set-up. */
static const char *cause_of(enum status status, const char *signature)
{
    if (status != STATUS_BAD_SIGNATURE)
        return status_text(status);
    if (signature == NULL)
        return "no x-line-signature header: not from LINE, or a proxy drops it";
    return "wrong x-line-signature: is the channel secret that of this channel,"
           " and does no proxy change the body?";
}

static enum status accept_request(const struct intake *intake,
                                  struct request_in_hand *r)
{
    enum status status = verify(r->channel, r->body, r->len, r->signature);

    if (status == STATUS_OK)
        status = webhook_parse(r->body, r->len, &r->webhook);
    if (status == STATUS_OK) {
        note_destination(r);
        status = accept_events(intake, r);
        webhook_release(&r->webhook);
    }
    if (status != STATUS_OK)
        LOG(WARN, "refused", LOG_STR("channel", r->channel->name),
            LOG_STR("reason", status_name(status)),
            LOG_STR("text", cause_of(status, r->signature)),
            LOG_INT("bytes", r->len));
    return status;
}

enum status intake_accept(const struct intake *intake, const char *channel_name,
                          const void *body, size_t len, const char *signature)
{
    struct request_in_hand request = {.config =
                                          config_live_hold(intake->config),
                                      .body = body,
                                      .len = len,
                                      .signature = signature,
                                      .start_us = mono_us()};
    enum status status = STATUS_NOT_FOUND;

    request.channel = config_channel(request.config, channel_name);
    if (request.channel != NULL)
        status = accept_request(intake, &request);
    else
        LOG(WARN, "refused", LOG_STR("channel", channel_name),
            LOG_STR("reason", status_name(status)),
            LOG_STR("text", "no such channel: is the webhook URL right?"));
    config_drop(request.config);
    return status;
}
