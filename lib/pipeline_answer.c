/*
 * pipeline_answer.c: one reply or push for one to five jobs of a channel.
 *
 *   start ─▶ [PROCESSING] ─▶ NOTING ─▶ POSTING ─▶ each job settles
 *                              ▲ │       │ refused: push, or the plain picture
 *                              └─┴───────┘
 *
 *   PROCESSING  the channel's program is asked what to say      call
 *   NOTING      what is about to be sent is recorded            queue thread
 *   POSTING     the reply or push is posted                     call
 *
 * NOTING comes before each try, so that a worker that dies leaves a mark.
 * Reply: "a reply may be out", with the token that is used for it. Whoever
 * takes the job next repeats it with the same token, which LINE accepts once
 * only, and reads the refusal of a used token as delivery (line-platform 4.1).
 * Push: the retry key and the messages; whoever repeats it sends the same with
 * the same key, and LINE takes it once (4.2). A push of several jobs is stored
 * with each of them, so that each can repeat it for all.
 *
 * Several jobs are those of one image set, in order of index. Their answer uses
 * the freshest of their tokens, and all of them adopt it: after a crash those
 * with the same token are known to belong together. The note also tells what
 * has changed meanwhile. A job that was taken back leaves the answer; a token
 * that a redelivery renewed is adopted by the others. Either makes for another
 * round of notes, if what was noted is not true any more.
 */
#include "pipeline_task.h"

#include "crypto.h"
#include "line_message.h"
#include "log.h"
#include "processor.h"
#include "texts.h"

#define URL_BYTES (CONFIG_VALUE_MAX + JOB_FILE_NAME_MAX + 16)

enum answer_state { ANSWER_PROCESSING, ANSWER_NOTING, ANSWER_POSTING };

struct answer {
    struct pipeline *pipeline;
    enum answer_state state;
    enum job_stage stage; /* REPLY, PUSH or FAILURE */
    struct task *members[MESSAGES_MAX];
    size_t count;
    bool doubted_before;     /* a reply of an earlier try may have arrived */
    bool is_custom;          /* the processor's messages */
    bool has_fresh_key;      /* nothing was pushed with it yet */
    struct buf messages;     /* empty: not written yet */
    size_t unanswered;       /* NOTING: notes under way */
    bool has_shrunk;         /* NOTING: since the notes were written */
    enum status note_status; /* NOTING: why it must not be sent, or OK */
    struct line_call *call;
    struct processor_call *processor;
    int64_t posted_ms; /* wall clock */
};

static void enter_noting(struct answer *answer);

/* ---- members */

static struct answer *answer_new(struct task **tasks, size_t count,
                                 enum job_stage stage)
{
    struct answer *answer = calloc(1, sizeof(*answer));

    if (answer == NULL)
        return NULL;
    answer->pipeline = tasks[0]->pipeline;
    answer->stage = stage;
    answer->count = size_min(count, MESSAGES_MAX);
    answer->doubted_before = tasks[0]->job.reply_in_doubt;
    buf_init(&answer->messages, MESSAGES_MAX_BYTES);
    for (size_t i = 0; i < answer->count; i++) {
        answer->members[i] = tasks[i];
        tasks[i]->answer = answer;
        tasks[i]->job.stage = stage;
        task_enter(tasks[i], TASK_ANSWERING);
    }
    return answer;
}

static void answer_free(struct answer *answer)
{
    if (answer->call != NULL)
        line_call_cancel(answer->call);
    if (answer->processor != NULL)
        processor_cancel(answer->processor);
    buf_release(&answer->messages);
    free(answer);
}

static void answer_remove(struct answer *answer, struct task *task)
{
    size_t at = 0;

    while (answer->members[at] != task)
        at++;
    answer->count--;
    for (; at < answer->count; at++)
        answer->members[at] = answer->members[at + 1];
    task->answer = NULL;
}

/* The one whose token is used: the freshest, for it lives the longest. */
static struct task *lead_of(const struct answer *answer)
{
    struct task *lead = answer->members[0];

    for (size_t i = 1; i < answer->count; i++) {
        struct task *task = answer->members[i];

        if (task->job.token_spent)
            continue;
        if (lead->job.token_spent ||
            task->job.received_ms > lead->job.received_ms)
            lead = task;
    }
    return lead;
}

static const struct config_channel *channel_of(const struct answer *answer)
{
    return task_channel(answer->members[0]);
}

/* The answer is over; what was decided is true of all its jobs. */
static void finish(struct answer *answer, const struct decision *decision)
{
    for (size_t i = 0; i < answer->count; i++) {
        answer->members[i]->answer = NULL;
        task_do(answer->members[i], decision);
    }
    answer_free(answer);
}

static void hand_back(struct answer *answer, bool in_doubt)
{
    for (size_t i = 0; i < answer->count; i++) {
        struct task *task = answer->members[i];

        task->answer = NULL;
        if (answer->stage != JOB_STAGE_PUSH)
            task->job.reply_in_doubt = in_doubt;
        task_hand_back(task);
    }
    answer_free(answer);
}

/* ---- messages */

static void write_url(const struct answer *answer, const char *name,
                      char url[URL_BYTES])
{
    (void)snprintf(url, URL_BYTES, "%s/static/%s",
                   answer->members[0]->config->public_url, name);
}

static void write_pictures(const struct answer *answer,
                           struct line_messages *messages)
{
    const struct config_channel *channel = channel_of(answer);
    char original[URL_BYTES], preview[URL_BYTES];

    if (channel->quote_text[0] != '\0')
        line_message_text(messages, channel->quote_text,
                          answer->members[0]->job.quote_token,
                          channel->sender_name);
    for (size_t i = 0; i < answer->count; i++) {
        write_url(answer, answer->members[i]->job.original_name, original);
        write_url(answer, answer->members[i]->job.preview_name, preview);
        line_message_image(messages, original, preview, channel->sender_name);
    }
}

static void write_failure(const struct answer *answer,
                          struct line_messages *messages)
{
    const struct config_channel *channel = channel_of(answer);
    const struct job *job = &answer->members[0]->job;
    const char *text = channel->failure_text;

    if (text[0] == '\0')
        text = texts_failure(channel->language, job->last_status);
    line_message_text(messages, text, job->quote_token, channel->sender_name);
}

static enum status write_messages(struct answer *answer)
{
    struct line_messages messages;

    buf_clear(&answer->messages);
    answer->is_custom = false;
    line_message_begin(&messages, &answer->messages);
    if (answer->stage == JOB_STAGE_FAILURE)
        write_failure(answer, &messages);
    else
        write_pictures(answer, &messages);
    return line_message_end(&messages);
}

/* Pictures in one answer, beside the text. */
static size_t room_for_pictures(const struct config_channel *channel)
{
    return channel->quote_text[0] != '\0' ? MESSAGES_MAX - 1 : MESSAGES_MAX;
}

/* ---- POSTING */

static void log_success(const struct answer *answer, bool is_assumed)
{
    static const char *const events[] = {
        [JOB_STAGE_REPLY] = "replied",
        [JOB_STAGE_PUSH] = "pushed",
        [JOB_STAGE_FAILURE] = "told",
    };

    for (size_t i = 0; i < answer->count; i++) {
        const struct task *task = answer->members[i];
        const struct log_field fields[] = {
            LOG_STR("job", task->job.message_id),
            LOG_INT("assumed", is_assumed),
            LOG_STR("text",
                    answer->stage == JOB_STAGE_FAILURE ? task->job.reason : ""),
            LOG_INT("attempts", task->job.attempts),
            LOG_INT("pictures", answer->count),
            LOG_INT("ms", task_age_ms(task)),
            LOG_END,
        };

        log_write(LOG_LEVEL_INFO, events[answer->stage], fields);
        if (answer->stage != JOB_STAGE_FAILURE)
            metrics_answered(task_age_ms(task) * 1000, wall_ms());
    }
}

/* Marks everything before the message, too (line-platform 6). */
static void mark_as_read(const struct answer *answer)
{
    const struct task *last = answer->members[0];

    if (channel_of(answer)->mark_as_read != 1)
        return;
    for (size_t i = 1; i < answer->count; i++)
        if (answer->members[i]->job.event_ms >= last->job.event_ms)
            last = answer->members[i];
    if (last->job.read_token[0] != '\0')
        line_mark_as_read(answer->pipeline->parts.line, channel_of(answer),
                          last->job.read_token);
}

static void push_instead(struct answer *answer, const struct decision *decision)
{
    for (size_t i = 0; i < answer->count; i++) {
        decide_apply(decision, &answer->members[i]->job);
        answer->members[i]->job.stage = JOB_STAGE_PUSH;
    }
    answer->stage = JOB_STAGE_PUSH;
    enter_noting(answer);
}

/* LINE does not take what the processor wants to say. */
static void send_plain_picture(struct answer *answer)
{
    struct task *task = answer->members[0];

    LOG(WARN, "processor_failed", LOG_STR("job", task->job.message_id),
        LOG_STR("text", "LINE refused its messages"));
    task->job.reply_in_doubt = false;
    task->job.push_key[0] = '\0';
    (void)!write_messages(answer); /* else it is tried again below */
    enter_noting(answer);
}

static void judge(struct answer *answer, const struct line_outcome *outcome)
{
    struct decide_attempt attempt = {
        .status = outcome->status,
        .detail = outcome->detail,
        .in_doubt = outcome->in_doubt,
        .doubted_before = answer->doubted_before,
        .retry_after_ms = outcome->retry_after_ms,
        .posted_ms = answer->posted_ms,
        .now_ms = wall_ms(),
    };
    struct decision decision;

    (void)!crypto_random(&attempt.random, sizeof(attempt.random));
    if (outcome->status == STATUS_REFUSED && outcome->http_status == 400 &&
        answer->is_custom && !answer->doubted_before && !outcome->in_doubt) {
        send_plain_picture(answer);
        return;
    }
    decision =
        decide_tried(&lead_of(answer)->job, channel_of(answer), &attempt);
    if (decision.act == DECIDE_PUSH) {
        push_instead(answer, &decision);
        return;
    }
    if (decision.state == JOB_DONE) {
        log_success(answer, outcome->status != STATUS_OK);
        mark_as_read(answer);
    }
    finish(answer, &decision);
}

static void on_posted(void *arg, const struct line_outcome *outcome)
{
    struct answer *answer = arg;

    answer->call = NULL;
    METRIC_OBSERVE_MS(METRIC_SECONDS_REPLY, outcome->elapsed_ms);
    LOG(INFO, "answered", LOG_STR("job", answer->members[0]->job.message_id),
        LOG_STR("stage", job_stage_name(answer->stage)),
        LOG_STR("status", status_name(outcome->status)),
        LOG_INT("http", outcome->http_status),
        LOG_INT("answer_ms", outcome->elapsed_ms),
        LOG_STR("request_id", outcome->request_id));
    judge(answer, outcome);
}

static enum status post_reply(struct answer *answer)
{
    const struct line_reply_request request = {
        .channel = channel_of(answer),
        .reply_token = lead_of(answer)->job.reply_token,
        .messages = buf_str(&answer->messages),
        .messages_len = answer->messages.len,
        .timeout_ms = HTTP_API_TIMEOUT_MS,
        .arg = answer,
        .on_done = on_posted,
    };

    return line_reply(answer->pipeline->parts.line, &request, &answer->call);
}

static enum status post_push(struct answer *answer)
{
    const struct job *job = &answer->members[0]->job;
    const struct line_push_request request = {
        .channel = channel_of(answer),
        .to = job->source_id,
        .retry_key = job->push_key,
        .messages = buf_str(&answer->messages),
        .messages_len = answer->messages.len,
        .timeout_ms = HTTP_API_TIMEOUT_MS,
        .arg = answer,
        .on_done = on_posted,
    };

    return line_push(answer->pipeline->parts.line, &request, &answer->call);
}

static void enter_posting(struct answer *answer)
{
    struct line_outcome outcome = {.detail = "cannot start"};

    answer->state = ANSWER_POSTING;
    answer->posted_ms = wall_ms();
    answer->has_fresh_key = false;
    if (answer->messages.len == 0)
        outcome.status = write_messages(answer);
    if (outcome.status == STATUS_OK)
        outcome.status = answer->stage == JOB_STAGE_PUSH ? post_push(answer)
                                                         : post_reply(answer);
    if (outcome.status != STATUS_OK)
        judge(answer, &outcome);
}

/* ---- NOTING */

static bool is_agreed(const struct answer *answer)
{
    const struct task *lead = lead_of(answer);

    for (size_t i = 0; i < answer->count; i++)
        if (!str_eq(answer->members[i]->job.reply_token, lead->job.reply_token))
            return false;
    return true;
}

static void refuse_to_send(struct answer *answer)
{
    const struct line_outcome outcome = {.status = answer->note_status};

    for (size_t i = 0; i < answer->count; i++)
        answer->members[i]->job.push_key[0] = '\0';
    judge(answer, &outcome);
}

/* A push that was never tried may be made anew without those that left it; one
 * that was tried must stay the same, or it would arrive twice. */
static void all_noted(struct answer *answer)
{
    if (answer->count == 0)
        answer_free(answer);
    else if (answer->note_status != STATUS_OK)
        refuse_to_send(answer);
    else if (answer->pipeline->handing_back)
        hand_back(answer, answer->doubted_before);
    else if (answer->stage == JOB_STAGE_PUSH && answer->has_shrunk &&
             answer->has_fresh_key) {
        for (size_t i = 0; i < answer->count; i++)
            answer->members[i]->job.push_key[0] = '\0';
        buf_clear(&answer->messages);
        enter_noting(answer);
    } else if (answer->stage != JOB_STAGE_PUSH && !is_agreed(answer))
        enter_noting(answer);
    else
        enter_posting(answer);
}

static void noted(struct queue_change *change, enum status status)
{
    struct task *task = CONTAINER_OF(change, struct task, change);
    struct answer *answer = task->answer;

    answer->unanswered--;
    /* One commit may bring the note and then the unsend, which is told first.
     */
    if (status == STATUS_OK && task->is_withdrawn)
        status = STATUS_GONE;
    if (status == STATUS_OK) {
        (void)str_copy(task->job.reply_token, sizeof(task->job.reply_token),
                       change->job.reply_token);
        task->job.received_ms = change->job.received_ms;
    } else if (status == STATUS_OVER_BUDGET) {
        answer->note_status = status;
    } else {
        answer_remove(answer, task);
        answer->has_shrunk = true;
        task->job.reply_in_doubt = answer->doubted_before;
        if (status == STATUS_GONE)
            task_withdraw(task);
        else
            task_drop(task, status);
    }
    if (answer->unanswered == 0)
        all_noted(answer);
}

static void note_reply(struct answer *answer, struct task *task)
{
    const struct job *lead = &lead_of(answer)->job;
    struct job *job = &task->job;

    task->change = (struct queue_change){0};
    job->reply_in_doubt = true;
    if (!str_eq(job->reply_token, lead->reply_token)) {
        (void)str_copy(job->reply_token, sizeof(job->reply_token),
                       lead->reply_token);
        job->received_ms = lead->received_ms;
        job->token_spent = false;
        task->change.adopt_token = true;
    }
    if (answer->messages.len > 0)
        task->change.messages = answer->messages.data;
    task_fill(task, &task->change, noted);
}

/* Jobs of a set with one key are one push to the queue as well. Their notes
 * stand or fall together: one that is noted alone pushes for all of them, and
 * the others would be answered once more. */
static void note_push(struct answer *answer, struct task *task)
{
    task->change = (struct queue_change){
        .push_budget = channel_of(answer)->push_budget,
        .messages = answer->messages.data,
    };
    task_fill(task, &task->change, noted);
}

/* A key that the jobs have already goes with the messages they have. */
static enum status prepare_push(struct answer *answer)
{
    char key[UUID_SIZE];
    enum status status = STATUS_OK;

    if (answer->messages.len == 0)
        status = write_messages(answer);
    if (status != STATUS_OK || answer->members[0]->job.push_key[0] != '\0')
        return status;
    status = crypto_uuid(key);
    for (size_t i = 0; i < answer->count; i++)
        (void)str_copy(answer->members[i]->job.push_key,
                       sizeof(answer->members[i]->job.push_key), key);
    answer->has_fresh_key = true;
    return status;
}

static void enter_noting(struct answer *answer)
{
    struct line_outcome outcome = {.detail = "cannot start"};
    struct queue_change *notes[MESSAGES_MAX];

    answer->state = ANSWER_NOTING;
    answer->has_shrunk = false;
    if (answer->stage == JOB_STAGE_PUSH)
        outcome.status = prepare_push(answer);
    if (outcome.status != STATUS_OK) {
        judge(answer, &outcome);
        return;
    }
    answer->unanswered = answer->count;
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->stage == JOB_STAGE_PUSH)
            note_push(answer, answer->members[i]);
        else
            note_reply(answer, answer->members[i]);
        notes[i] = &answer->members[i]->change;
    }
    queue_thread_submit_all(answer->pipeline->queue, notes, answer->count);
}

/* ---- PROCESSING */

/* Time may have passed: the token may be too old by now. */
static void go_on(struct answer *answer)
{
    struct decision decision =
        decide_claimed(&lead_of(answer)->job, channel_of(answer), wall_ms());

    if (decision.act == DECIDE_PUSH && answer->stage != JOB_STAGE_PUSH)
        push_instead(answer, &decision);
    else if (decision.act == DECIDE_END)
        finish(answer, &decision);
    else
        enter_noting(answer);
}

static void on_processed(void *arg, const char *messages, size_t len)
{
    struct answer *answer = arg;

    answer->processor = NULL;
    if (messages != NULL &&
        buf_append(&answer->messages, messages, len) == STATUS_OK)
        answer->is_custom = true;
    go_on(answer);
}

static bool is_to_be_processed(const struct answer *answer)
{
    return channel_of(answer)->processor_url[0] != '\0' &&
           answer->stage != JOB_STAGE_FAILURE && answer->count == 1 &&
           !answer->doubted_before && !answer->pipeline->handing_back &&
           answer->members[0]->job.push_key[0] == '\0' &&
           answer->messages.len == 0;
}

/* Of the minute, what a last text would need stays. */
static int64_t processor_timeout_ms(const struct answer *answer)
{
    int64_t limit_ms = channel_of(answer)->processor_timeout_ms;
    int64_t left_ms =
        job_deadline_ms(&answer->members[0]->job) - LATE_MARGIN_MS - wall_ms();

    return answer->stage == JOB_STAGE_PUSH ? limit_ms
                                           : int64_min(limit_ms, left_ms);
}

static enum status start_processing(struct answer *answer)
{
    const struct task *task = answer->members[0];
    char original[URL_BYTES], preview[URL_BYTES];
    const struct processor_request request = {
        .picture = {.channel = channel_of(answer),
                    .job = &task->job,
                    .original_url = original,
                    .preview_url = preview,
                    .report = task->decoded ? &task->report : NULL},
        .timeout_ms = processor_timeout_ms(answer),
        .arg = answer,
        .on_done = on_processed,
    };

    if (request.timeout_ms <= 0)
        return STATUS_TIMEOUT;
    write_url(answer, task->job.original_name, original);
    write_url(answer, task->job.preview_name, preview);
    return processor_call(answer->pipeline->parts.http, &request,
                          &answer->processor);
}

static void begin(struct answer *answer)
{
    struct task *first = answer->members[0];

    /* What was to be said before is said again. */
    if (first->messages != NULL && answer->stage != JOB_STAGE_FAILURE) {
        (void)!buf_append_str(&answer->messages, first->messages);
        answer->is_custom = answer->stage == JOB_STAGE_REPLY;
    }
    answer->state = ANSWER_PROCESSING;
    if (is_to_be_processed(answer) && start_processing(answer) == STATUS_OK)
        return;
    go_on(answer);
}

/* ---- from outside */

static void start(struct task **tasks, size_t count, enum job_stage stage)
{
    struct answer *answer = answer_new(tasks, count, stage);

    if (answer != NULL) {
        begin(answer);
        return;
    }
    for (size_t i = 0; i < count; i++)
        task_drop(tasks[i], STATUS_NO_MEMORY);
}

void answer_one(struct task *task, enum job_stage stage)
{
    start(&task, 1, stage);
}

static int compare(const void *a, const void *b)
{
    const struct job *x = &(*(struct task *const *)a)->job;
    const struct job *y = &(*(struct task *const *)b)->job;

    if (x->reply_in_doubt != y->reply_in_doubt)
        return x->reply_in_doubt ? -1 : 1;
    if (x->reply_in_doubt && !str_eq(x->reply_token, y->reply_token))
        return strcmp(x->reply_token, y->reply_token);
    if (x->set_index != y->set_index)
        return x->set_index < y->set_index ? -1 : 1;
    if (x->event_ms != y->event_ms)
        return x->event_ms < y->event_ms ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* How many of those in order belong to the answer of the first. */
static size_t group_of(struct task **tasks, size_t count)
{
    const struct job *first = &tasks[0]->job;
    size_t room = MESSAGES_MAX, n = 1;

    if (!first->reply_in_doubt)
        room = room_for_pictures(task_channel(tasks[0]));
    while (n < count && n < room &&
           tasks[n]->job.reply_in_doubt == first->reply_in_doubt &&
           (!first->reply_in_doubt ||
            str_eq(tasks[n]->job.reply_token, first->reply_token)))
        n++;
    return n;
}

void answer_set(struct task **tasks, size_t count)
{
    qsort(tasks, count, sizeof(struct task *), compare);
    while (count > 0) {
        size_t n = group_of(tasks, count);

        start(tasks, n, JOB_STAGE_REPLY);
        tasks += n;
        count -= n;
    }
}

void answer_interrupt(struct task *task, bool is_withdrawn)
{
    struct answer *answer = task->answer;

    if (is_withdrawn && answer->state == ANSWER_PROCESSING) {
        answer_remove(answer, task);
        task_withdraw(task);
        answer_free(answer);
    } else if (!is_withdrawn && answer->state != ANSWER_NOTING) {
        hand_back(answer, answer->state == ANSWER_POSTING
                              ? true
                              : answer->doubted_before);
    }
}
