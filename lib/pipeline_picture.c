/*
 * pipeline_picture.c: one picture from its job to its published files.
 *
 *   OPENING     two temporary files are being opened          offload thread
 *   FETCHING    content comes and goes to the lab as it does  call and stream
 *   PUBLISHING  files are synced and renamed                  offload thread
 *
 * A failure at any of them, and the moment when the picture is late, are
 * decided by decide.c. The busy text is noted ("the token is spent") and sent
 * beside all this; nothing waits for it.
 */
#include "line_message.h"
#include "log.h"
#include "pipeline_task.h"

#include "crypto.h"
#include "texts.h"

#define FETCH_TIMEOUT_MIN_MS 5000

void picture_stop(struct task *task)
{
    if (task->call != NULL)
        line_call_cancel(task->call);
    if (task->external != NULL)
        external_cancel(task->external);
    if (task->stream != NULL)
        lab_stream_abort(task->stream);
    task->call = NULL;
    task->external = NULL;
    task->stream = NULL;
}

static void fail(struct task *task, enum status status, int64_t hint_ms,
                 const char *detail)
{
    struct decide_attempt attempt = {
        .status = status,
        .detail = detail,
        .is_picture = task->is_picture,
        .retry_after_ms = hint_ms,
        .now_ms = wall_ms(),
    };
    struct decision decision;

    (void)!crypto_random(&attempt.random, sizeof(attempt.random));
    if (status == STATUS_LAB_DIED)
        task->job.alone = true;
    picture_stop(task);
    decision = decide_tried(&task->job, task_channel(task), &attempt);
    task_do(task, &decision);
}

/* ---- late */

static int64_t late_ms(const struct task *task)
{
    return decide_late_ms(&task->job, task_channel(task), task->is_picture);
}

/* True: the last word is being said, and it was not "busy". */
static bool gave_up_late(struct task *task)
{
    struct decision decision;

    if (wall_ms() < late_ms(task))
        return false;
    decision = decide_late(&task->job, task_channel(task));
    if (decision.act == DECIDE_BUSY) {
        picture_send_busy_text(task);
        return false;
    }
    picture_stop(task);
    task_do(task, &decision);
    return true;
}

/* An earlier state looks by itself when it ends; a later one is done soon. */
static void on_late(void *arg)
{
    struct task *task = arg;

    if (task->state == TASK_FETCHING && !gave_up_late(task))
        picture_watch_the_time(task); /* the wall clock may have been set */
}

void picture_watch_the_time(struct task *task)
{
    struct loop *loop = task->pipeline->parts.loop;
    int64_t moment_ms = late_ms(task), wait_ms;

    loop_timer_cancel(loop, &task->late_timer);
    if (moment_ms == INT64_MAX)
        return;
    wait_ms = moment_ms - wall_ms();
    /* A file that proves a picture after the moment has half of what is left
     * of the margin. */
    if (wait_ms < 0)
        wait_ms = int64_max(0, (wait_ms + LATE_MARGIN_MS) / 2);
    loop_timer_init(&task->late_timer, on_late, task);
    /* Without a timer the moment passes, and the job ends as too late. */
    (void)!loop_timer_set(loop, &task->late_timer, loop_now_ms(loop) + wait_ms);
}

/* ---- the busy text */

static void on_busy_sent(void *arg, const struct line_outcome *outcome)
{
    struct task *task = arg;

    task->busy_call = NULL;
    LOG(INFO, "busy_text", LOG_STR("job", task->job.message_id),
        LOG_STR("status", status_name(outcome->status)),
        LOG_INT("http", outcome->http_status),
        LOG_STR("request_id", outcome->request_id));
}

static enum status start_busy_text(struct task *task)
{
    const struct config_channel *channel = task_channel(task);
    const char *text = channel->busy_text[0] != '\0'
                           ? channel->busy_text
                           : texts_busy(channel->language);
    struct line_reply_request request = {
        .channel = channel,
        .reply_token = task->job.reply_token,
        .timeout_ms = HTTP_API_TIMEOUT_MS,
        .arg = task,
        .on_done = on_busy_sent,
    };
    struct line_messages messages;
    struct buf buf;
    enum status status;

    buf_init(&buf, MESSAGES_MAX_BYTES);
    line_message_begin(&messages, &buf);
    line_message_text(&messages, text, task->job.quote_token,
                      channel->sender_name);
    status = line_message_end(&messages);
    request.messages = buf_str(&buf);
    request.messages_len = buf.len;
    if (status == STATUS_OK)
        status =
            line_reply(task->pipeline->parts.line, &request, &task->busy_call);
    buf_release(&buf);
    return status;
}

/* Of a lost lease the task learns by its next change. */
static void busy_noted(struct queue_change *change, enum status status)
{
    struct task *task = CONTAINER_OF(change, struct task, busy_change);

    if (status == STATUS_GONE) {
        task->is_withdrawn = true;
        if (task->state == TASK_FETCHING)
            task_withdraw(task);
        return;
    }
    if (status != STATUS_OK || task->state == TASK_SETTLING)
        return;
    (void)str_copy(task->job.reply_token, sizeof(task->job.reply_token),
                   change->job.reply_token);
    task->job.received_ms = change->job.received_ms;
    status = start_busy_text(task);
    if (status != STATUS_OK)
        LOG(WARN, "busy_text", LOG_STR("job", task->job.message_id),
            LOG_STR("status", status_name(status)));
}

void picture_send_busy_text(struct task *task)
{
    task->job.token_spent = true;
    task_submit(task, &task->busy_change, busy_noted);
}

/* ---- OPENING */

static void open_files(void *arg)
{
    struct task *task = arg;
    struct store *store = task->pipeline->parts.store;

    task->work_status = store_begin(store, &task->original);
    if (task->work_status == STATUS_OK)
        task->work_status = store_begin(store, &task->preview);
}

static void opened(void *arg)
{
    struct task *task = arg;

    if (task->is_withdrawn)
        task_withdraw(task);
    else if (task->pipeline->handing_back)
        task_hand_back(task);
    else if (task->work_status != STATUS_OK)
        fail(task, task->work_status, 0, "temporary file");
    else if (!gave_up_late(task))
        task_enter(task, TASK_FETCHING);
}

void picture_enter_opening(struct task *task)
{
    task_offload(task, open_files, opened);
}

/* ---- FETCHING: two ends, the transfer and the lab; both must be over */

static enum http_body_answer on_content(void *arg, const char *bytes,
                                        size_t len)
{
    struct task *task = arg;
    enum status status = STATUS_OK;

    if (!task->decoded)
        status = lab_stream_write(task->stream, bytes, len);
    if (status == STATUS_BUSY)
        return HTTP_BODY_PAUSE;
    if (status != STATUS_OK) {
        task->write_status = status;
        return HTTP_BODY_ABORT;
    }
    task->fetched_bytes += (int64_t)len;
    return HTTP_BODY_OK;
}

static void on_content_done(void *arg, const struct line_outcome *outcome)
{
    struct task *task = arg;
    enum status status = outcome->status;

    task->call = NULL;
    task->external = NULL;
    task->fetch_ended_ms = wall_ms();
    METRIC_ADD(METRIC_FETCHED_BYTES, outcome->body_bytes);
    METRIC_OBSERVE_MS(METRIC_SECONDS_FETCH, outcome->elapsed_ms);
    LOG(INFO, "fetched", LOG_STR("job", task->job.message_id),
        LOG_STR("status", status_name(status)),
        LOG_INT("http", outcome->http_status),
        LOG_INT("bytes", outcome->body_bytes),
        LOG_INT("fetch_ms", outcome->elapsed_ms),
        LOG_INT("ms", task_age_ms(task)),
        LOG_STR("request_id", outcome->request_id));
    if (task->decoded) {
        task_enter(task, TASK_PUBLISHING);
        return;
    }
    if (task->write_status != STATUS_OK) {
        fail(task, task->write_status, 0, "keeping the content");
        return;
    }
    /* All of the picture may be there: its decoder knows, and it is whole then,
     * whatever length was told. */
    if (status == STATUS_CUT && task->stream != NULL) {
        task->cut_status = status;
        status = STATUS_OK;
    }
    if (status == STATUS_OK)
        status =
            task->stream != NULL ? lab_stream_end(task->stream) : STATUS_EMPTY;
    if (status != STATUS_OK)
        fail(task, status, outcome->retry_after_ms, outcome->detail);
}

static void on_lab_head(void *arg, const struct transcode_report *report)
{
    struct task *task = arg;

    LOG(INFO, "transcoding", LOG_STR("job", task->job.message_id),
        LOG_STR("type", image_type_name(report->source_type)),
        LOG_INT("width", report->source_width_px),
        LOG_INT("height", report->source_height_px),
        LOG_INT("bytes", task->fetched_bytes),
        LOG_INT("ms", task_age_ms(task)));
    task->is_picture = true;
    if (!loop_timer_is_set(&task->late_timer))
        picture_watch_the_time(task); /* of a file that proved a picture */
}

static void resume_content(struct task *task)
{
    if (task->call != NULL)
        line_call_resume(task->call);
    if (task->external != NULL)
        external_resume(task->external);
}

static void on_lab_room(void *arg)
{
    resume_content(arg);
}

/* What must be known of a picture however it came. */
static bool is_lab_death(enum status status)
{
    return status == STATUS_LAB_DIED || status == STATUS_POISON;
}

static void on_lab_done(void *arg, enum status status,
                        const struct transcode_report *report)
{
    struct task *task = arg;

    task->stream = NULL;
    /* Without a length, a transfer that was cut looks like a whole one. */
    if (status == STATUS_IMAGE_TRUNCATED && task->content_length < 0)
        status = STATUS_CUT;
    if (task->cut_status != STATUS_OK && !is_lab_death(status) &&
        (status != STATUS_OK || report->decoded_percent < 100)) {
        fail(task, task->cut_status, 0, "");
        return;
    }
    if (status != STATUS_OK) {
        char detail[32] = "";

        if (status == STATUS_IMAGE_TRUNCATED && report->decoded_percent > 0)
            (void)snprintf(detail, sizeof(detail), "%d %% was there",
                           report->decoded_percent);
        fail(task, status, 0, detail);
        return;
    }
    metrics_observe_us(METRIC_SECONDS_TRANSCODE, mono_us() - task->stage_us);
    task->decoded = true;
    task->report = *report;
    if (task->call == NULL && task->external == NULL)
        task_enter(task, TASK_PUBLISHING);
    else
        resume_content(task); /* it may be paused for the lab's sake */
}

static void fill_limits(const struct task *task, int64_t content_length,
                        struct transcode_options *limits)
{
    const struct config *config = task->config;

    transcode_options_default(limits);
    limits->input_max_bytes = (size_t)config->max_input_bytes;
    limits->memory_max_bytes = (size_t)config->max_memory_bytes;
    limits->pixels_max = (uint64_t)config->max_pixels;
    limits->webp = config->webp == 1;
    limits->gif = config->gif == 1;
    limits->truncated_min_percent = (uint8_t)config->truncated_min_percent;
    limits->input_bytes_hint = (size_t)int64_max(content_length, 0);
    if (config->max_pixels_mode)
        limits->mode = TRANSCODE_MAX;
    if (config->box_width_px == 0)
        return;
    limits->mode = TRANSCODE_BOX;
    limits->box_width_px = (uint32_t)config->box_width_px;
    limits->box_height_px = (uint32_t)config->box_height_px;
}

static enum status start_decoding(struct task *task, int64_t content_length)
{
    struct lab_request request = {
        .original_fd = task->original.fd,
        .preview_fd = task->preview.fd,
        .alone = task->job.alone,
        .arg = task,
        .on_head = on_lab_head,
        .on_room = on_lab_room,
        .on_done = on_lab_done,
    };

    fill_limits(task, content_length, &request.limits);
    return lab_stream_open(task->pipeline->parts.lab, &request, &task->stream);
}

/* The lab is asked for only now: a transfer that brings no picture takes none,
 * and the picture's length is known. */
static void on_content_head(void *arg, int64_t content_length)
{
    struct task *task = arg;
    enum status status = start_decoding(task, content_length);

    task->stage_us = mono_us();
    task->content_length = content_length;
    LOG(INFO, "fetching", LOG_STR("job", task->job.message_id),
        LOG_INT("length", content_length), LOG_INT("ms", task_age_ms(task)));
    if (status != STATUS_OK)
        fail(task, status, 0, "cannot start");
}

static int64_t fetch_timeout_ms(const struct task *task)
{
    int64_t left_ms =
        decide_fetch_until_ms(&task->job, task_channel(task)) - wall_ms();

    return int64_max(FETCH_TIMEOUT_MIN_MS,
                     int64_min(left_ms, HTTP_CONTENT_TIMEOUT_MS));
}

static enum status fetch_from_line(struct task *task)
{
    const struct line_content_request request = {
        .channel = task_channel(task),
        .message_id = task->job.message_id,
        .timeout_ms = fetch_timeout_ms(task),
        .max_bytes = task->config->max_input_bytes,
        .arg = task,
        .on_head = on_content_head,
        .on_body = on_content,
        .on_done = on_content_done,
    };

    return line_content_get(task->pipeline->parts.line, &request, &task->call);
}

static enum status fetch_from_elsewhere(struct task *task)
{
    const struct external_request request = {
        .url = task->job.external_url,
        .timeout_ms = fetch_timeout_ms(task),
        .max_bytes = task->config->max_input_bytes,
        .arg = task,
        .on_head = on_content_head,
        .on_body = on_content,
        .on_done = on_content_done,
    };

    return external_get(task->pipeline->parts.http, &request, &task->external);
}

void picture_enter_fetching(struct task *task)
{
    enum status status = task->job.kind == JOB_EXTERNAL
                             ? fetch_from_elsewhere(task)
                             : fetch_from_line(task);

    if (status != STATUS_OK)
        fail(task, status, 0, "cannot start");
}

/* ---- PUBLISHING */

static void publish_files(void *arg)
{
    struct task *task = arg;
    struct store *store = task->pipeline->parts.store;

    task->work_status = task_make_names(task, task->report.preview_is_original);
    if (task->work_status == STATUS_OK)
        task->work_status =
            store_publish(store, &task->original, task->report.original_bytes,
                          task->job.original_name);
    if (task->work_status != STATUS_OK)
        return;
    if (task->report.preview_is_original)
        store_discard(store, &task->preview);
    else
        task->work_status =
            store_publish(store, &task->preview, task->report.preview_bytes,
                          task->job.preview_name);
}

static void published(void *arg)
{
    struct task *task = arg;
    const struct transcode_report *report = &task->report;
    struct decision decision;

    loop_timer_cancel(task->pipeline->parts.loop, &task->late_timer);
    if (task->is_withdrawn) {
        task_withdraw(task);
        return;
    }
    if (task->work_status != STATUS_OK) {
        fail(task, task->work_status, 0, "publishing");
        return;
    }
    task->job.fetched_ms = task->fetch_ended_ms;
    task->job.published_ms = wall_ms();
    metrics_observe_us(METRIC_SECONDS_PUBLISH, mono_us() - task->stage_us);
    METRIC_ADD(METRIC_PUBLISHED_BYTES,
               report->original_bytes +
                   (report->preview_is_original ? 0 : report->preview_bytes));
    LOG(INFO, "published", LOG_STR("job", task->job.message_id),
        LOG_STR("original", task->job.original_name),
        LOG_STR("preview", task->job.preview_name),
        LOG_INT("width", report->original_width_px),
        LOG_INT("height", report->original_height_px),
        LOG_INT("original_bytes", report->original_bytes),
        LOG_INT("preview_bytes", report->preview_bytes),
        LOG_INT("ms", task_age_ms(task)));
    task->job.stage = JOB_STAGE_REPLY;
    decision = decide_published(&task->job, task_channel(task), wall_ms());
    task_do(task, &decision);
}

void picture_enter_publishing(struct task *task)
{
    task->stage_us = mono_us();
    task_offload(task, publish_files, published);
}
