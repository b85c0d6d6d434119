/*
 * intake.c: see the header; the order of the steps is the order of the answers.
 */
#include "intake.h"

#include "log.h"
#include "webhook.h"

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
static bool is_allowed(const struct intake *intake,
                       const struct config_channel *channel,
                       const struct webhook_event *event)
{
    if (event->kind == JOB_EXTERNAL)
        return channel->external != 0;
    if (event->kind == JOB_FILE)
        return channel->files != 0 &&
               event->file_bytes <= intake->config->max_input_bytes;
    return true;
}

static void drop_forbidden(const struct intake *intake,
                           const struct config_channel *channel,
                           struct webhook *webhook)
{
    size_t kept = 0;

    for (size_t i = 0; i < webhook->count; i++) {
        const struct webhook_event *event = &webhook->events[i];

        if (is_allowed(intake, channel, event))
            webhook->events[kept++] = *event;
        else
            LOG(DEBUG, "left_out", LOG_STR("job", event->message_id),
                LOG_STR("channel", channel->name),
                LOG_STR("kind", job_kind_name(event->kind)),
                LOG_INT("bytes", event->file_bytes));
    }
    webhook->count = kept;
}

/* Returns when all events are durable. */
static enum status queue_events(const struct intake *intake,
                                const struct config_channel *channel,
                                const struct webhook *webhook, size_t *known)
{
    struct job *jobs = calloc(webhook->count, sizeof(struct job));
    int64_t now_ms = wall_ms();
    enum status status;

    if (jobs == NULL)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < webhook->count; i++)
        fill_job(&jobs[i], channel, &webhook->events[i], now_ms);
    status = queue_thread_put(intake->queue, jobs, webhook->count, NULL, known);
    free(jobs);
    return status;
}

static void log_accepted(const struct config_channel *channel,
                         const struct webhook *webhook, size_t known,
                         int64_t start_us)
{
    for (size_t i = 0; i < webhook->count; i++)
        LOG(INFO, "accepted", LOG_STR("job", webhook->events[i].message_id),
            LOG_STR("channel", channel->name),
            LOG_STR("kind", job_kind_name(webhook->events[i].kind)),
            LOG_INT("redelivery", webhook->events[i].redelivery),
            LOG_INT("events", webhook->total), LOG_INT("known", known),
            LOG_INT("ack_us", mono_us() - start_us));
}

static enum status accept_events(const struct intake *intake,
                                 const struct config_channel *channel,
                                 const struct webhook *webhook,
                                 int64_t start_us)
{
    size_t known = 0;
    enum status status;

    if (webhook->count == 0)
        return STATUS_OK;
    status = store_check_space(intake->store);
    if (status == STATUS_OK)
        status = queue_events(intake, channel, webhook, &known);
    if (status == STATUS_OK)
        log_accepted(channel, webhook, known, start_us);
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

enum status intake_accept(const struct intake *intake, const char *channel_name,
                          const void *body, size_t len, const char *signature)
{
    const struct config_channel *channel =
        config_channel(intake->config, channel_name);
    int64_t start_us = mono_us();
    struct webhook webhook;
    enum status status;

    if (channel == NULL) {
        LOG(WARN, "refused", LOG_STR("channel", channel_name),
            LOG_STR("reason", status_name(STATUS_NOT_FOUND)),
            LOG_STR("text", "no such channel: is the webhook URL right?"));
        return STATUS_NOT_FOUND;
    }
    status = verify(channel, body, len, signature);
    if (status == STATUS_OK)
        status = webhook_parse(body, len, &webhook);
    if (status == STATUS_OK) {
        if (webhook.malformed > 0)
            LOG(WARN, "malformed_events", LOG_STR("channel", channel->name),
                LOG_INT("malformed", webhook.malformed),
                LOG_INT("events", webhook.total));
        drop_forbidden(intake, channel, &webhook);
        status = accept_events(intake, channel, &webhook, start_us);
        webhook_release(&webhook);
    }
    if (status != STATUS_OK)
        LOG(WARN, "refused", LOG_STR("channel", channel->name),
            LOG_STR("reason", status_name(status)),
            LOG_STR("text", cause_of(status, signature)),
            LOG_INT("bytes", len));
    return status;
}
