/*
 * pipeline.c: one struct task per job in hand (pipeline_task.h). All changes of
 * state go through task_enter(), which runs the entry function of the new
 * state; which state is next is decided by decide.c.
 *
 *   take ─▶ OPENING ─▶ FETCHING ─▶ PUBLISHING ─▶ ANSWERING ─▶ SETTLING
 *     │      failure, late: the failure text        ▲            ▲
 *     │         └───────────────────────────────────┤            │
 *     ├── stage REPLY, PUSH, FAILURE ───────────────┘            │
 *     ├── an unsend ─▶ REMOVING ─────────────────────────────────┤
 *     └── too late, no such channel, draining ───────────────────┘
 *
 *   OPENING, FETCHING, PUBLISHING   pipeline_picture.c
 *   ANSWERING   one of the jobs of an answer           pipeline_answer.c
 *   REMOVING    of a message that was taken back       pipeline_unsend.c
 *   SETTLING    files closed, the result is recorded   both threads
 *
 * What another worker must know if this one dies is noted in the queue before
 * it is done; whoever takes the job next goes by its stage.
 */
#include "pipeline_task.h"

#include "crypto.h"
#include "log.h"

/* Of a job whose channel this worker's settings do not name. */
static const struct config_channel no_channel = {.failure_off = true};

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
    loop_timer_cancel(pipeline->parts.loop, &task->late_timer);
    if (task->busy_call != NULL)
        line_call_cancel(task->busy_call);
    free(task->messages);
    config_drop(task->config);
    crypto_wipe(&task->job, sizeof(task->job));
    free(task);
    if (!pipeline->draining)
        queue_thread_add_room(pipeline->queue, 1);
    tell_if_idle(pipeline);
}

/* ---- small helpers */

const struct config_channel *task_channel(const struct task *task)
{
    const struct config_channel *channel =
        config_channel(task->config, task->job.channel);

    return channel != NULL ? channel : &no_channel;
}

int64_t task_age_ms(const struct task *task)
{
    return wall_ms() - task->job.received_ms;
}

void task_offload(struct task *task, void (*work)(void *arg),
                  void (*done)(void *arg))
{
    task->work = (struct offload_task){.work = work, .done = done, .arg = task};
    offload_submit(task->pipeline->parts.offload, &task->work);
}

void task_fill(struct task *task, struct queue_change *change,
               void (*done)(struct queue_change *change, enum status status))
{
    if (task->job.state == JOB_LEASED)
        task->job.due_ms = wall_ms() + LEASE_MS;
    else if (task->job.state != JOB_READY)
        task->job.due_ms = wall_ms();
    change->job = task->job;
    change->done = done;
}

void task_submit(struct task *task, struct queue_change *change,
                 void (*done)(struct queue_change *change, enum status status))
{
    task_fill(task, change, done);
    queue_thread_submit(task->pipeline->queue, change);
}

enum status task_make_names(struct task *task, bool preview_is_original)
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

/* ---- words for the log */

/* Dead, or given up and to be told. */
static void log_failure(const struct task *task, enum log_level level,
                        const char *event)
{
    const struct job *job = &task->job;
    const struct log_field fields[] = {
        LOG_STR("job", job->message_id),
        LOG_STR("stage", job_stage_name(job->stage)),
        LOG_STR("reason", status_name(job->last_status)),
        LOG_STR("text", job->reason),
        LOG_INT("attempts", job->attempts),
        LOG_INT("ms", task_age_ms(task)),
        LOG_END,
    };

    log_write(level, event, fields);
}

static void log_end(const struct task *task)
{
    const struct job *job = &task->job;

    if (job->state == JOB_DEAD)
        log_failure(task, LOG_LEVEL_ERROR, "dead");
    else if (job->outcome == JOB_OUTCOME_WITHDRAWN ||
             job->outcome == JOB_OUTCOME_SKIPPED)
        LOG(INFO, "done", LOG_STR("job", job->message_id),
            LOG_STR("outcome", job_outcome_name(job->outcome)),
            LOG_STR("text", job->reason), LOG_INT("ms", task_age_ms(task)));
}

static void log_wait(const struct task *task, const char *event)
{
    const struct job *job = &task->job;
    const struct log_field fields[] = {
        LOG_STR("job", job->message_id),
        LOG_STR("stage", job_stage_name(job->stage)),
        LOG_STR("reason", job->reason),
        LOG_INT("attempts", job->attempts),
        LOG_INT("in_ms", job->due_ms - wall_ms()),
        LOG_END,
    };

    log_write(LOG_LEVEL_INFO, event, fields);
}

/* ---- ways to end */

void task_withdraw(struct task *task)
{
    struct decision decision = {
        .act = DECIDE_END,
        .state = JOB_DONE,
        .outcome = JOB_OUTCOME_WITHDRAWN,
        .in_doubt = task->job.reply_in_doubt,
        .status = STATUS_GONE,
    };

    (void)str_copy(decision.reason, sizeof(decision.reason),
                   status_text(STATUS_GONE));
    task_do(task, &decision);
}

void task_hand_back(struct task *task)
{
    picture_stop(task);
    task->job.state = JOB_READY;
    task->job.due_ms = wall_ms();
    if (task->job.attempts > 0)
        task->job.attempts--;
    log_wait(task, "handed_back");
    task_enter(task, TASK_SETTLING);
}

void task_drop(struct task *task, enum status why)
{
    LOG(WARN, "dropped", LOG_STR("job", task->job.message_id),
        LOG_STR("reason", status_name(why)));
    task_free(task);
}

/* ---- SETTLING */

static void freed(void *arg)
{
    task_free(arg);
}

/* Of these nobody was told the names, so what a try has published is removed.
 * Only after the end is recorded: a worker that lost its lease must not take
 * the files from its successor. */
static bool leaves_nothing(const struct job *job)
{
    if (job->kind == JOB_UNSEND || job->reply_in_doubt)
        return false;
    if (job->state == JOB_DEAD)
        return job->push_key[0] == '\0';
    return job->outcome == JOB_OUTCOME_FAILURE_TEXT ||
           job->outcome == JOB_OUTCOME_SKIPPED;
}

/* What is durable now. */
static void count_end(const struct job *job)
{
    if (job->state == JOB_READY || job->state == JOB_LEASED)
        return;
    metrics_job_ended(job->channel, job->outcome, wall_ms());
    if (job->outcome == JOB_OUTCOME_DEAD ||
        job->outcome == JOB_OUTCOME_FAILURE_TEXT)
        metrics_failure(job->last_status);
}

static void settled(struct queue_change *change, enum status status)
{
    struct task *task = CONTAINER_OF(change, struct task, change);

    if (status == STATUS_OK)
        count_end(&task->job);
    if (status == STATUS_GONE)
        task_withdraw(task); /* it was to wait, and was taken back meanwhile */
    else if (status != STATUS_OK)
        task_drop(task, status);
    else if (leaves_nothing(&task->job))
        task_offload(task, unsend_remove_files, freed);
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
        unsend_remove_files(task);
}

static void files_closed(void *arg)
{
    struct task *task = arg;

    task->change = (struct queue_change){0};
    task_submit(task, &task->change, settled);
}

static void enter_settling(struct task *task)
{
    loop_timer_cancel(task->pipeline->parts.loop, &task->late_timer);
    if (task->original.fd >= 0 || task->preview.fd >= 0 ||
        task->job.outcome == JOB_OUTCOME_WITHDRAWN)
        task_offload(task, close_files, files_closed);
    else
        files_closed(task);
}

/* ---- the machine */

static void enter_answering(struct task *task)
{
    loop_timer_cancel(task->pipeline->parts.loop, &task->late_timer);
}

void task_enter(struct task *task, enum task_state state)
{
    static const struct {
        const char *name;
        void (*enter)(struct task *task);
    } states[] = {
        [TASK_OPENING] = {"opening", picture_enter_opening},
        [TASK_FETCHING] = {"fetching", picture_enter_fetching},
        [TASK_PUBLISHING] = {"publishing", picture_enter_publishing},
        [TASK_ANSWERING] = {"answering", enter_answering},
        [TASK_REMOVING] = {"removing", unsend_enter_removing},
        [TASK_SETTLING] = {"settling", enter_settling},
    };

    LOG(DEBUG, "enter", LOG_STR("job", task->job.message_id),
        LOG_STR("from", states[task->state].name),
        LOG_STR("to", states[state].name));
    task->state = state;
    states[state].enter(task);
}

void task_do(struct task *task, const struct decision *decision)
{
    decide_apply(decision, &task->job);
    switch (decision->act) {
    case DECIDE_BUSY:
        picture_send_busy_text(task);
        task_enter(task, TASK_OPENING);
        return;
    case DECIDE_FETCH:
        picture_watch_the_time(task);
        task_enter(task, TASK_OPENING);
        return;
    case DECIDE_REPLY:
        answer_one(task, JOB_STAGE_REPLY);
        return;
    case DECIDE_PUSH:
        answer_one(task, JOB_STAGE_PUSH);
        return;
    case DECIDE_TELL:
        if (task->job.stage != JOB_STAGE_FAILURE)
            log_failure(task, LOG_LEVEL_WARN, "failed");
        answer_one(task, JOB_STAGE_FAILURE);
        return;
    case DECIDE_REMOVE:
        task_enter(task, TASK_REMOVING);
        return;
    case DECIDE_PARK:
        task->job.attempts--; /* it has not failed */
        log_wait(task, "parked");
        break;
    case DECIDE_RETRY:
        metrics_retry(task->job.last_status);
        log_wait(task, "retry");
        break;
    case DECIDE_END:
        log_end(task);
        break;
    }
    picture_stop(task);
    task_enter(task, TASK_SETTLING);
}

/* ---- taking */

/* One that settles is over here, and may come back before that is told. */
static struct task *in_hand(const struct pipeline *pipeline, int64_t id)
{
    struct task *task = pipeline->first;

    while (task != NULL && (task->job.id != id || task->state == TASK_SETTLING))
        task = task->next;
    return task;
}

/* Its lease was over, when the wall clock jumped for one: the work goes on
 * under the new one. But one that was dropped and is tried again has lost its
 * token: that is a new task, and of the old one the queue takes nothing any
 * more. */
static bool goes_on(struct task *task, const struct queue_lease *lease)
{
    if (task->job.token_spent == lease->job.token_spent) {
        task->job.claim = lease->job.claim;
        return true;
    }
    if (task->state == TASK_FETCHING)
        task_hand_back(task);
    return false;
}

/* No task is made of it. */
static void refuse(struct pipeline *pipeline, const struct queue_lease *lease,
                   const char *reason)
{
    LOG(WARN, "dropped", LOG_STR("job", lease->job.message_id),
        LOG_STR("reason", reason));
    free(lease->messages);
    queue_thread_add_room(pipeline->queue, 1);
}

static struct task *task_new(struct pipeline *pipeline,
                             const struct queue_lease *lease)
{
    struct task *task = in_hand(pipeline, lease->job.id);

    if (task != NULL && goes_on(task, lease)) {
        refuse(pipeline, lease, "in hand already");
        return NULL;
    }
    task = calloc(1, sizeof(*task));
    if (task == NULL) {
        refuse(pipeline, lease, status_name(STATUS_NO_MEMORY));
        return NULL;
    }
    task->config = config_live_hold(pipeline->parts.config);
    task->job = lease->job;
    task->messages = lease->messages;
    task->original.fd = -1;
    task->preview.fd = -1;
    task_link(pipeline, task);
    if (task->job.attempts == 1 && task->job.stage == JOB_STAGE_FETCH)
        METRIC_OBSERVE_MS(METRIC_SECONDS_QUEUE_WAIT, task_age_ms(task));
    LOG(INFO, "claimed", LOG_STR("job", task->job.message_id),
        LOG_STR("stage", job_stage_name(task->job.stage)),
        LOG_INT("attempts", task->job.attempts),
        LOG_INT("ms", task_age_ms(task)));
    return task;
}

/* True: no work is done on it here. The settings of another worker may name
 * its channel, while the pool is restarted with new ones: costs no attempt. */
static bool is_for_others(struct task *task)
{
    struct job *job = &task->job;

    if (task->pipeline->draining) {
        task_hand_back(task);
        return true;
    }
    if (job->kind == JOB_UNSEND || task_channel(task) != &no_channel ||
        decide_claimed(job, &no_channel, wall_ms()).act == DECIDE_END)
        return false;
    job->state = JOB_READY;
    job->due_ms = wall_ms() + CHANNEL_WAIT_MS;
    if (job->attempts > 0)
        job->attempts--;
    job->last_status = STATUS_BAD_CONFIG;
    (void)snprintf(job->reason, sizeof(job->reason),
                   "%s: the settings here have no such channel",
                   status_text(STATUS_BAD_CONFIG));
    log_wait(task, "retry");
    task_enter(task, TASK_SETTLING);
    return true;
}

static void start(struct task *task)
{
    const struct config_channel *channel = task_channel(task);
    int64_t now_ms = wall_ms();
    struct decision decision = decide_claimed(&task->job, channel, now_ms);

    if (decision.act == DECIDE_FETCH &&
        decide_shows_loading(&task->job, channel, now_ms))
        line_loading_start(task->pipeline->parts.line, channel,
                           task->job.source_id, LOADING_SECONDS);
    task_do(task, &decision);
}

void pipeline_take(void *arg, const struct queue_lease *leases, size_t count)
{
    struct task *tasks[SET_TOTAL_MAX];
    size_t taken = 0;

    for (size_t i = 0; i < size_min(count, SET_TOTAL_MAX); i++) {
        struct task *task = task_new(arg, &leases[i]);

        if (task != NULL && !is_for_others(task))
            tasks[taken++] = task;
    }
    if (taken == 1)
        start(tasks[0]);
    else if (taken > 1)
        answer_set(tasks, taken);
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
        if (task->state == TASK_FETCHING)
            task_hand_back(task);
        else if (task->state == TASK_ANSWERING)
            answer_interrupt(task, false);
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

void pipeline_start(struct pipeline *pipeline, struct queue_thread *queue,
                    size_t transfers)
{
    pipeline->queue = queue;
    queue_thread_add_room(queue, transfers);
    renew_leases(pipeline);
}

size_t pipeline_load(const struct pipeline *pipeline)
{
    return pipeline->load;
}
