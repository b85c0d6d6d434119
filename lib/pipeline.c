/*
 * pipeline.c: one struct task per job in hand. All changes of state go through
 * task_enter(), which runs the entry function of the new state.
 *
 *   take ─▶ OPENING ─▶ FETCHING ─▶ PUBLISHING ─▶ NOTING ─▶ REPLYING ─▶ SETTLING
 *     │                                            ▲                       ▲
 *     └── stage REPLY: published before ───────────┘                       │
 *                       any failure, withdrawal, hand-back ────────────────┘
 *
 *   OPENING     two temporary files are being opened          offload thread
 *   FETCHING    content comes and goes to the lab as it does  call and stream
 *   PUBLISHING  files are synced and renamed                  offload thread
 *   NOTING      "published, a reply may be out" is recorded   queue thread
 *   REPLYING    the reply is posted                           call
 *   SETTLING    files closed, the result is recorded          both threads
 *
 * NOTING comes before each reply, so that a worker that dies during it leaves a
 * mark: whoever takes the job next knows that a reply may have arrived, repeats
 * it with the same token (which LINE accepts once only) and reads the refusal
 * of a used token as delivery (line-platform 4.1).
 */
#include "pipeline.h"

#include "crypto.h"
#include "line_message.h"
#include "log.h"

#define FETCH_TIMEOUT_MIN_MS 5000

enum task_state {
    TASK_OPENING,
    TASK_FETCHING,
    TASK_PUBLISHING,
    TASK_NOTING,
    TASK_REPLYING,
    TASK_SETTLING,
};

struct task {
    struct pipeline *pipeline;
    struct task *next, *prev;
    enum task_state state;
    struct job job;
    bool doubted_before; /* a reply of an earlier try may have arrived */
    int64_t posted_ms;   /* wall clock: when this try's reply was posted */

    struct line_call *call;    /* FETCHING, REPLYING */
    struct lab_stream *stream; /* FETCHING */
    bool decoded;              /* the lab is done, and it worked */
    enum status write_status;  /* why the lab's side took no more bytes */
    struct transcode_report report;
    int64_t content_length; /* as told by the server, or -1 */
    int64_t fetched_bytes;

    struct store_file original, preview;
    struct offload_task work; /* OPENING, PUBLISHING, SETTLING */
    enum status work_status;
    struct queue_change change; /* NOTING, SETTLING */
};

struct pipeline {
    struct pipeline_parts parts;
    struct queue_thread *queue;
    struct task *first;
    size_t load;
    struct loop_timer lease_timer;
    struct loop_timer drain_timer;
    bool draining;
    bool handing_back; /* the drain's time is up */
    void (*on_idle)(void *arg);
    void *on_idle_arg;
};

static void task_enter(struct task *task, enum task_state state);

/* ---- the list of tasks */

static void task_link(struct pipeline *pipeline, struct task *task)
{
    task->pipeline = pipeline;
    task->next = pipeline->first;
    if (task->next != NULL)
        task->next->prev = task;
    pipeline->first = task;
    pipeline->load++;
}

static void tell_if_idle(struct pipeline *pipeline)
{
    void (*on_idle)(void *arg) = pipeline->on_idle;

    if (!pipeline->draining || pipeline->load > 0 || on_idle == NULL)
        return;
    pipeline->on_idle = NULL;
    loop_timer_cancel(pipeline->parts.loop, &pipeline->drain_timer);
    on_idle(pipeline->on_idle_arg);
}

static void task_free(struct task *task)
{
    struct pipeline *pipeline = task->pipeline;

    if (task->next != NULL)
        task->next->prev = task->prev;
    if (task->prev != NULL)
        task->prev->next = task->next;
    else
        pipeline->first = task->next;
    pipeline->load--;
    crypto_wipe(&task->job, sizeof(task->job));
    free(task);
    if (!pipeline->draining)
        queue_thread_add_room(pipeline->queue, 1);
    tell_if_idle(pipeline);
}

/* ---- small helpers */

static const struct config_channel *channel_of(const struct task *task)
{
    return config_channel(task->pipeline->parts.config, task->job.channel);
}

static int64_t since_received_ms(const struct task *task)
{
    return wall_ms() - task->job.received_ms;
}

static void offload(struct task *task, void (*work)(void *arg),
                    void (*done)(void *arg))
{
    task->work = (struct offload_task){.work = work, .done = done, .arg = task};
    offload_submit(task->pipeline->parts.offload, &task->work);
}

static void submit_change(struct task *task,
                          void (*done)(struct queue_change *change,
                                       enum status status))
{
    if (task->job.state == JOB_LEASED)
        task->job.due_ms = wall_ms() + LEASE_MS;
    task->change = (struct queue_change){.job = task->job, .done = done};
    queue_thread_submit(task->pipeline->queue, &task->change);
}

/* Ends what is under way with others; no callback comes after. */
static void stop_transfer(struct task *task)
{
    if (task->call != NULL)
        line_call_cancel(task->call);
    if (task->stream != NULL)
        lab_stream_abort(task->stream);
    task->call = NULL;
    task->stream = NULL;
}

/* ---- ways to end */

/* `detail` may be the reason of before. */
static void set_reason(struct task *task, enum status status,
                       const char *detail)
{
    char reason[JOB_REASON_MAX + 1];

    (void)snprintf(reason, sizeof(reason), "%.60s%s%.90s", status_text(status),
                   *detail != '\0' ? ": " : "", detail);
    task->job.last_status = status;
    (void)str_copy(task->job.reason, sizeof(task->job.reason), reason);
}

static void end_with(struct task *task, enum job_state state,
                     enum job_outcome outcome)
{
    task->job.state = state;
    task->job.outcome = outcome;
    stop_transfer(task);
    task_enter(task, TASK_SETTLING);
}

static void end_dead(struct task *task, enum status status, const char *detail)
{
    set_reason(task, status, detail);
    end_with(task, JOB_DEAD, JOB_OUTCOME_DEAD);
}

/* The job goes back to the queue as it was, for another worker. */
static void hand_back(struct task *task)
{
    task->job.due_ms = wall_ms();
    if (task->job.attempts > 0)
        task->job.attempts--;
    end_with(task, JOB_READY, JOB_OUTCOME_NONE);
}

static void retry_later(struct task *task, enum status status, int64_t hint_ms,
                        const char *detail)
{
    struct job *job = &task->job;
    int64_t now_ms = wall_ms();
    uint32_t random = 0;

    (void)!crypto_random(&random, sizeof(random));
    job->due_ms = now_ms + job_backoff_ms(job->attempts, random, hint_ms);
    if (job->attempts >= JOB_ATTEMPTS_MAX ||
        job->due_ms > job_deadline_ms(job)) {
        end_dead(task, status, detail);
        return;
    }
    set_reason(task, status, detail);
    end_with(task, JOB_READY, JOB_OUTCOME_NONE);
}

/* This worker's settings do not name the channel; those of another may, while
 * the pool is restarted with new ones. Costs no attempt. */
static void leave_to_others(struct task *task)
{
    task->job.due_ms = wall_ms() + CHANNEL_WAIT_MS;
    if (task->job.attempts > 0)
        task->job.attempts--;
    set_reason(task, STATUS_BAD_CONFIG, "no such channel here");
    end_with(task, JOB_READY, JOB_OUTCOME_NONE);
}

/* A failure before the reply: again, or never. */
static void fail(struct task *task, enum status status, int64_t hint_ms,
                 const char *detail)
{
    if (status == STATUS_LAB_DIED)
        task->job.alone = true;
    if (status == STATUS_GONE) {
        set_reason(task, status, detail);
        end_with(task, JOB_DONE, JOB_OUTCOME_WITHDRAWN);
    } else if (status_is_retry(status)) {
        retry_later(task, status, hint_ms, detail);
    } else {
        end_dead(task, status, detail);
    }
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

    if (task->pipeline->handing_back)
        hand_back(task);
    else if (task->work_status != STATUS_OK)
        fail(task, task->work_status, 0, "temporary file");
    else
        task_enter(task, TASK_FETCHING);
}

static void enter_opening(struct task *task)
{
    offload(task, open_files, opened);
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
    LOG(INFO, "fetched", LOG_STR("job", task->job.message_id),
        LOG_STR("status", status_name(status)),
        LOG_INT("http", outcome->http_status),
        LOG_INT("bytes", outcome->body_bytes),
        LOG_INT("fetch_ms", outcome->elapsed_ms),
        LOG_INT("ms", since_received_ms(task)),
        LOG_STR("request_id", outcome->request_id));
    if (task->decoded) {
        task_enter(task, TASK_PUBLISHING);
        return;
    }
    if (task->write_status != STATUS_OK) {
        fail(task, task->write_status, 0, "keeping the content");
        return;
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
        LOG_INT("ms", since_received_ms(task)));
}

static void on_lab_room(void *arg)
{
    struct task *task = arg;

    if (task->call != NULL)
        line_call_resume(task->call);
}

static void on_lab_done(void *arg, enum status status,
                        const struct transcode_report *report)
{
    struct task *task = arg;

    task->stream = NULL;
    /* Without a length, a transfer that was cut looks like a whole one. */
    if (status == STATUS_IMAGE_TRUNCATED && task->content_length < 0)
        status = STATUS_CUT;
    if (status != STATUS_OK) {
        char detail[32] = "";

        if (status == STATUS_IMAGE_TRUNCATED && report->decoded_percent > 0)
            (void)snprintf(detail, sizeof(detail), "%d %% was there",
                           report->decoded_percent);
        fail(task, status, 0, detail);
        return;
    }
    task->decoded = true;
    task->report = *report;
    if (task->call == NULL)
        task_enter(task, TASK_PUBLISHING);
    else
        line_call_resume(task->call); /* it may be paused for the lab's sake */
}

static void fill_limits(const struct task *task, int64_t content_length,
                        struct transcode_options *limits)
{
    const struct config *config = task->pipeline->parts.config;

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

    task->content_length = content_length;
    LOG(INFO, "fetching", LOG_STR("job", task->job.message_id),
        LOG_INT("length", content_length),
        LOG_INT("ms", since_received_ms(task)));
    if (status != STATUS_OK)
        fail(task, status, 0, "cannot start");
}

static enum status start_fetching(struct task *task)
{
    int64_t left_ms = job_deadline_ms(&task->job) - wall_ms();
    struct line_content_request request = {
        .channel = channel_of(task),
        .message_id = task->job.message_id,
        .timeout_ms = int64_max(FETCH_TIMEOUT_MIN_MS,
                                int64_min(left_ms, HTTP_CONTENT_TIMEOUT_MS)),
        .max_bytes = task->pipeline->parts.config->max_input_bytes,
        .arg = task,
        .on_head = on_content_head,
        .on_body = on_content,
        .on_done = on_content_done,
    };

    return line_content_get(task->pipeline->parts.line, &request, &task->call);
}

static void enter_fetching(struct task *task)
{
    enum status status = start_fetching(task);

    if (status != STATUS_OK)
        fail(task, status, 0, "cannot start");
}

/* ---- PUBLISHING */

static enum status make_names(struct task *task, bool preview_is_original)
{
    const uint8_t *key = task->pipeline->parts.name_key;
    struct job *job = &task->job;
    enum status status =
        store_name(key, job->channel, job->message_id, false,
                   job->original_name, sizeof(job->original_name));

    if (status == STATUS_OK)
        status =
            store_name(key, job->channel, job->message_id, !preview_is_original,
                       job->preview_name, sizeof(job->preview_name));
    return status;
}

static void publish_files(void *arg)
{
    struct task *task = arg;
    struct store *store = task->pipeline->parts.store;

    task->work_status = make_names(task, task->report.preview_is_original);
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

    if (task->work_status != STATUS_OK) {
        fail(task, task->work_status, 0, "publishing");
        return;
    }
    LOG(INFO, "published", LOG_STR("job", task->job.message_id),
        LOG_STR("original", task->job.original_name),
        LOG_STR("preview", task->job.preview_name),
        LOG_INT("width", report->original_width_px),
        LOG_INT("height", report->original_height_px),
        LOG_INT("original_bytes", report->original_bytes),
        LOG_INT("preview_bytes", report->preview_bytes),
        LOG_INT("ms", since_received_ms(task)));
    task->job.stage = JOB_STAGE_REPLY;
    task_enter(task, TASK_NOTING);
}

static void enter_publishing(struct task *task)
{
    offload(task, publish_files, published);
}

/* ---- NOTING */

static void noted(struct queue_change *change, enum status status)
{
    struct task *task = CONTAINER_OF(change, struct task, change);

    if (status != STATUS_OK) {
        LOG(WARN, "dropped", LOG_STR("job", task->job.message_id),
            LOG_STR("reason", status_name(status)));
        task_free(task);
    } else if (task->pipeline->handing_back) {
        task->job.reply_in_doubt = task->doubted_before;
        hand_back(task);
    } else {
        task_enter(task, TASK_REPLYING);
    }
}

/* A token beyond its minute is not tried: later use is not allowed. */
static bool is_too_late(const struct task *task)
{
    return wall_ms() >= job_deadline_ms(&task->job);
}

static void end_too_late(struct task *task)
{
    end_dead(task, STATUS_TOKEN_EXPIRED,
             task->job.reply_in_doubt ? "but an earlier reply may have arrived"
                                      : "the minute is over");
}

static void enter_noting(struct task *task)
{
    if (is_too_late(task)) {
        end_too_late(task);
        return;
    }
    task->doubted_before = task->job.reply_in_doubt;
    task->job.reply_in_doubt = true;
    submit_change(task, noted);
}

/* ---- REPLYING */

static void replied(struct task *task, bool assumed)
{
    LOG(INFO, "replied", LOG_STR("job", task->job.message_id),
        LOG_INT("assumed", assumed), LOG_INT("attempts", task->job.attempts),
        LOG_INT("ms", since_received_ms(task)));
    task->job.reply_in_doubt = assumed;
    task->job.last_status = STATUS_OK;
    (void)str_copy(task->job.reason, sizeof(task->job.reason),
                   assumed ? "the token was used by an earlier try" : "");
    end_with(task, JOB_DONE, JOB_OUTCOME_REPLIED);
}

/* A token that is refused while it cannot be too old was used: by the earlier
 * try whose answer nobody saw. */
static bool is_sign_of_delivery(const struct task *task)
{
    return task->doubted_before &&
           task->posted_ms + REPLY_MARGIN_MS < job_deadline_ms(&task->job);
}

static void on_reply_done(void *arg, const struct line_outcome *outcome)
{
    struct task *task = arg;
    enum status status = outcome->status;

    task->call = NULL;
    if (status == STATUS_OK) {
        replied(task, false);
        return;
    }
    if (status == STATUS_TOKEN_EXPIRED && is_sign_of_delivery(task)) {
        replied(task, true);
        return;
    }
    task->job.reply_in_doubt = outcome->in_doubt || task->doubted_before;
    if (status_is_retry(status))
        retry_later(task, status, outcome->retry_after_ms, outcome->detail);
    else
        end_dead(task, status, outcome->detail);
}

static enum status write_image(const struct task *task, struct buf *buf)
{
    const struct config *config = task->pipeline->parts.config;
    char original[CONFIG_VALUE_MAX + JOB_FILE_NAME_MAX + 16];
    char preview[CONFIG_VALUE_MAX + JOB_FILE_NAME_MAX + 16];
    struct line_messages messages;

    (void)snprintf(original, sizeof(original), "%s/static/%s",
                   config->public_url, task->job.original_name);
    (void)snprintf(preview, sizeof(preview), "%s/static/%s", config->public_url,
                   task->job.preview_name);
    line_message_begin(&messages, buf);
    line_message_image(&messages, original, preview, NULL);
    return line_message_end(&messages);
}

static enum status start_replying(struct task *task)
{
    struct line_reply_request request = {
        .channel = channel_of(task),
        .reply_token = task->job.reply_token,
        .timeout_ms = HTTP_API_TIMEOUT_MS,
        .arg = task,
        .on_done = on_reply_done,
    };
    struct buf messages;
    enum status status;

    buf_init(&messages, MESSAGES_MAX_BYTES);
    status = write_image(task, &messages);
    request.messages = buf_str(&messages);
    request.messages_len = messages.len;
    task->posted_ms = wall_ms();
    if (status == STATUS_OK)
        status = line_reply(task->pipeline->parts.line, &request, &task->call);
    buf_release(&messages);
    return status;
}

static void enter_replying(struct task *task)
{
    enum status status = start_replying(task);

    if (status != STATUS_OK) {
        task->job.reply_in_doubt = task->doubted_before;
        fail(task, status, 0, "cannot start");
    }
}

/* ---- SETTLING */

/* A try that failed half way, or whose worker died, may have published. */
static void unpublish(void *arg)
{
    struct task *task = arg;
    struct store *store = task->pipeline->parts.store;
    enum status status = make_names(task, false);

    if (status == STATUS_OK)
        status = store_remove(store, task->job.original_name, NULL);
    if (status == STATUS_OK)
        status = store_remove(store, task->job.preview_name, NULL);
    if (status != STATUS_OK)
        LOG(ERROR, "not_removed", LOG_STR("job", task->job.message_id),
            LOG_STR("reason", status_name(status)));
    task->job.original_name[0] = '\0';
    task->job.preview_name[0] = '\0';
}

static void unpublished(void *arg)
{
    task_free(arg);
}

/* Nobody was told the names of a dead job's files. Only after its end is
 * recorded: a worker that lost its lease must not take them from its successor.
 */
static void settled(struct queue_change *change, enum status status)
{
    struct task *task = CONTAINER_OF(change, struct task, change);

    if (status != STATUS_OK)
        LOG(WARN, "dropped", LOG_STR("job", task->job.message_id),
            LOG_STR("reason", status_name(status)));
    if (status == STATUS_OK && task->job.state == JOB_DEAD &&
        !task->job.reply_in_doubt)
        offload(task, unpublish, unpublished);
    else
        task_free(task);
}

static void close_files(void *arg)
{
    struct task *task = arg;
    struct store *store = task->pipeline->parts.store;

    store_discard(store, &task->original);
    store_discard(store, &task->preview);
    if (task->job.outcome == JOB_OUTCOME_WITHDRAWN)
        unpublish(task);
}

static void files_closed(void *arg)
{
    submit_change(arg, settled);
}

static void log_result(const struct task *task)
{
    const struct job *job = &task->job;

    if (job->state == JOB_READY)
        LOG(INFO, "retry", LOG_STR("job", job->message_id),
            LOG_STR("stage", job_stage_name(job->stage)),
            LOG_STR("reason", job->reason), LOG_INT("attempts", job->attempts),
            LOG_INT("in_ms", job->due_ms - wall_ms()));
    else if (job->state == JOB_DEAD)
        LOG(ERROR, "dead", LOG_STR("job", job->message_id),
            LOG_STR("stage", job_stage_name(job->stage)),
            LOG_STR("reason", status_name(job->last_status)),
            LOG_STR("text", job->reason), LOG_INT("attempts", job->attempts),
            LOG_INT("ms", since_received_ms(task)));
}

static void enter_settling(struct task *task)
{
    log_result(task);
    if (task->original.fd >= 0 || task->preview.fd >= 0)
        offload(task, close_files, files_closed);
    else
        files_closed(task);
}

/* ---- the machine */

static void task_enter(struct task *task, enum task_state state)
{
    static const struct {
        const char *name;
        void (*enter)(struct task *task);
    } states[] = {
        [TASK_OPENING] = {"opening", enter_opening},
        [TASK_FETCHING] = {"fetching", enter_fetching},
        [TASK_PUBLISHING] = {"publishing", enter_publishing},
        [TASK_NOTING] = {"noting", enter_noting},
        [TASK_REPLYING] = {"replying", enter_replying},
        [TASK_SETTLING] = {"settling", enter_settling},
    };

    LOG(DEBUG, "enter", LOG_STR("job", task->job.message_id),
        LOG_STR("from", states[task->state].name),
        LOG_STR("to", states[state].name));
    task->state = state;
    states[state].enter(task);
}

static bool is_in_hand(const struct pipeline *pipeline, int64_t id)
{
    const struct task *task = pipeline->first;

    while (task != NULL && task->job.id != id)
        task = task->next;
    return task != NULL;
}

/* Not taken: the lease runs out and somebody else takes it. */
static void drop(struct pipeline *pipeline, const struct job *job,
                 const char *reason)
{
    LOG(WARN, "dropped", LOG_STR("job", job->message_id),
        LOG_STR("reason", reason));
    queue_thread_add_room(pipeline->queue, 1);
}

static void take_job(struct pipeline *pipeline, const struct job *job)
{
    struct task *task;

    /* The wall clock may have jumped past a lease that this worker holds. */
    if (is_in_hand(pipeline, job->id)) {
        drop(pipeline, job, "in hand already");
        return;
    }
    task = calloc(1, sizeof(*task));
    if (task == NULL) {
        drop(pipeline, job, status_name(STATUS_NO_MEMORY));
        return;
    }
    task->job = *job;
    task->original.fd = -1;
    task->preview.fd = -1;
    task_link(pipeline, task);
    LOG(INFO, "claimed", LOG_STR("job", job->message_id),
        LOG_STR("stage", job_stage_name(job->stage)),
        LOG_INT("attempts", job->attempts),
        LOG_INT("ms", since_received_ms(task)));
    if (pipeline->draining)
        hand_back(task);
    else if (is_too_late(task))
        end_too_late(task);
    else if (channel_of(task) == NULL)
        leave_to_others(task);
    else if (job->attempts > JOB_ATTEMPTS_MAX)
        end_dead(task, STATUS_TOO_MANY_TRIES, job->reason);
    else
        task_enter(task,
                   job->stage == JOB_STAGE_REPLY ? TASK_NOTING : TASK_OPENING);
}

void pipeline_take(void *arg, const struct queue_lease *leases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(leases[i].messages);
        take_job(arg, &leases[i].job);
    }
}

/* ---- leases */

static void renew_leases(void *arg)
{
    struct pipeline *pipeline = arg;
    int64_t *ids = calloc(pipeline->load + 1, sizeof(int64_t));
    size_t count = 0;

    if (ids != NULL) {
        for (const struct task *task = pipeline->first; task != NULL;
             task = task->next)
            ids[count++] = task->job.id;
        if (count > 0)
            queue_thread_extend(pipeline->queue, ids, count);
        free(ids);
    }
    (void)!loop_timer_set(pipeline->parts.loop, &pipeline->lease_timer,
                          loop_now_ms(pipeline->parts.loop) + LEASE_RENEW_MS);
}

/* ---- draining */

/* Offload and queue work in flight ends by itself and then looks at
 * handing_back; what waits for the network is stopped here. */
static void hand_back_all(void *arg)
{
    struct pipeline *pipeline = arg;
    struct task *next;

    pipeline->handing_back = true;
    for (struct task *task = pipeline->first; task != NULL; task = next) {
        next = task->next;
        if (task->state == TASK_FETCHING || task->state == TASK_REPLYING)
            hand_back(task);
    }
}

void pipeline_drain(struct pipeline *pipeline, void (*on_idle)(void *arg),
                    void *arg)
{
    pipeline->draining = true;
    pipeline->on_idle = on_idle;
    pipeline->on_idle_arg = arg;
    if (loop_timer_set(pipeline->parts.loop, &pipeline->drain_timer,
                       loop_now_ms(pipeline->parts.loop) + DRAIN_MS) !=
        STATUS_OK)
        hand_back_all(pipeline);
    tell_if_idle(pipeline);
}

/* ---- life */

enum status pipeline_new(struct pipeline **out,
                         const struct pipeline_parts *parts)
{
    struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

    if (pipeline == NULL)
        return STATUS_NO_MEMORY;
    pipeline->parts = *parts;
    loop_timer_init(&pipeline->lease_timer, renew_leases, pipeline);
    loop_timer_init(&pipeline->drain_timer, hand_back_all, pipeline);
    *out = pipeline;
    return STATUS_OK;
}

void pipeline_free(struct pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    loop_timer_cancel(pipeline->parts.loop, &pipeline->lease_timer);
    loop_timer_cancel(pipeline->parts.loop, &pipeline->drain_timer);
    free(pipeline);
}

void pipeline_start(struct pipeline *pipeline, struct queue_thread *queue)
{
    pipeline->queue = queue;
    queue_thread_add_room(queue, (size_t)pipeline->parts.config->max_transfers);
    renew_leases(pipeline);
}

size_t pipeline_load(const struct pipeline *pipeline)
{
    return pipeline->load;
}
