/*
 * decide.c: the rules, one function per stage.
 *
 *            OK         retry class        permanent
 *   FETCH    (publish)  again in time      GONE: withdrawn
 *                       else as permanent  a file that is no picture: skipped
 *                                          our set-up is wrong: dead
 *                                          else TELL, or dead
 *   REPLY    replied    again in time      refused as used, after a doubtful
 *                       else as permanent  try: replied, assumed
 *                                          in doubt: dead, never a push
 *                                          else PUSH, or dead
 *   FAILURE  told       again in time      as REPLY, but never a push
 *   PUSH     pushed     again for an hour  dead
 *
 * "In time" is the reply token's minute (line-platform 4.1). A reply is in
 * doubt when one was sent and its answer not seen: then LINE's refusal of the
 * token means that the first one went through, and a push would double it.
 */
#include "decide.h"

#include "utf8.h"

/* ---- words */

static struct decision decision_of(const struct job *job, enum decide_act act)
{
    struct decision decision = {
        .act = act,
        .state = JOB_LEASED,
        .in_doubt = job->reply_in_doubt,
        .status = job->last_status,
    };

    (void)str_copy(decision.reason, sizeof(decision.reason), job->reason);
    return decision;
}

static void say(struct decision *decision, enum status status,
                const char *detail)
{
    decision->status = status;
    (void)snprintf(decision->reason, sizeof(decision->reason), "%.60s%s%.*s",
                   status_text(status), *detail != '\0' ? ": " : "",
                   utf8_fit(detail, 90), detail);
}

/* What came of telling a failure is said behind the failure itself. */
static void say_more(struct decision *decision, const char *words,
                     const char *detail)
{
    char before[JOB_REASON_MAX + 1];

    (void)str_copy(before, sizeof(before), decision->reason);
    (void)snprintf(decision->reason, sizeof(decision->reason),
                   "%.*s%s%.30s%.*s", utf8_fit(before, 80), before,
                   *before != '\0' ? "; " : "", words, utf8_fit(detail, 40),
                   detail);
}

static struct decision end(const struct job *job, enum job_outcome outcome)
{
    struct decision decision = decision_of(job, DECIDE_END);

    decision.outcome = outcome;
    decision.state = outcome == JOB_OUTCOME_DEAD ? JOB_DEAD : JOB_DONE;
    return decision;
}

static struct decision end_dead(const struct job *job, enum status status,
                                const char *detail)
{
    struct decision decision = end(job, JOB_OUTCOME_DEAD);

    say(&decision, status, detail);
    return decision;
}

static struct decision end_well(const struct job *job, enum job_outcome outcome,
                                const char *reason)
{
    struct decision decision = end(job, outcome);

    decision.status = STATUS_OK;
    decision.in_doubt = false;
    (void)str_copy(decision.reason, sizeof(decision.reason), reason);
    return decision;
}

/* ---- what the job and its channel allow */

static bool has_token(const struct job *job)
{
    return job->reply_token[0] != '\0' && !job->token_spent;
}

static bool token_lives(const struct job *job, int64_t now_ms)
{
    return has_token(job) && now_ms < job_deadline_ms(job);
}

static bool may_push(const struct job *job,
                     const struct config_channel *channel)
{
    return channel->push == 1 && job->source_id[0] != '\0';
}

static bool may_be_late(const struct job *job,
                        const struct config_channel *channel)
{
    return may_push(job, channel) && channel->late != CONFIG_LATE_FAILURE;
}

/* A file may be anything until its bytes have been looked at. */
static bool is_owed_a_word(const struct job *job,
                           const struct config_channel *channel,
                           bool is_picture)
{
    return !channel->failure_off && (job->kind != JOB_FILE || is_picture);
}

/* A job that takes its workers down with it must end; one that may be late has
 * the tries of an hour. */
static int32_t attempts_max(const struct job *job,
                            const struct config_channel *channel)
{
    if (job->kind == JOB_UNSEND || may_be_late(job, channel))
        return JOB_ATTEMPTS_LATE_MAX;
    return JOB_ATTEMPTS_MAX;
}

bool decide_is_set_member(const struct job *job,
                          const struct config_channel *channel)
{
    /* A processor decides on each picture by itself. */
    return job->set_id[0] != '\0' && job->set_total != 1 &&
           channel->set_wait_ms > 0 && channel->processor_url[0] == '\0';
}

bool decide_shows_loading(const struct job *job,
                          const struct config_channel *channel, int64_t now_ms)
{
    /* One picture of a set will do, and a file may be anything. */
    return channel->loading == 1 && job->source == JOB_SOURCE_USER &&
           (job->kind == JOB_IMAGE || job->kind == JOB_EXTERNAL) &&
           job->attempts == 1 && job->stage == JOB_STAGE_FETCH &&
           job->set_index <= 1 && now_ms - job->received_ms < LOADING_FRESH_MS;
}

int64_t decide_fetch_until_ms(const struct job *job,
                              const struct config_channel *channel)
{
    if (may_be_late(job, channel))
        return job->received_ms + PUSH_LIFE_MS;
    return job_deadline_ms(job);
}

/* The pause grows with the job's age, too, once that is above a minute. */
static int64_t retry_ms(const struct job *job,
                        const struct decide_attempt *attempt)
{
    int64_t age_ms = attempt->now_ms - job->received_ms;
    int64_t wait_ms =
        job_backoff_ms(job->attempts, attempt->random, attempt->retry_after_ms);

    if (age_ms > REPLY_TOKEN_LIFE_MS)
        wait_ms = int64_max(wait_ms, age_ms / RETRY_AGE_SHARE);
    return attempt->now_ms + wait_ms;
}

static struct decision retry(const struct job *job,
                             const struct decide_attempt *attempt,
                             int64_t due_ms)
{
    struct decision decision = decision_of(job, DECIDE_RETRY);

    decision.state = JOB_READY;
    decision.due_ms = due_ms;
    say(&decision, attempt->status, attempt->detail);
    return decision;
}

/* ---- late pictures */

int64_t decide_late_ms(const struct job *job,
                       const struct config_channel *channel, bool is_picture)
{
    if (job->stage != JOB_STAGE_FETCH || job->kind == JOB_UNSEND ||
        !has_token(job) || (job->kind == JOB_FILE && !is_picture))
        return INT64_MAX;
    if (may_be_late(job, channel)) {
        /* One busy text for all pictures of a set. */
        if (channel->late != CONFIG_LATE_BUSY || job->set_index > 1)
            return INT64_MAX;
    } else if (channel->failure_off) {
        return INT64_MAX;
    }
    return job_deadline_ms(job) - LATE_MARGIN_MS;
}

struct decision decide_late(const struct job *job,
                            const struct config_channel *channel)
{
    struct decision decision =
        decision_of(job, may_be_late(job, channel) ? DECIDE_BUSY : DECIDE_TELL);

    if (decision.act == DECIDE_TELL && decision.status == STATUS_OK)
        say(&decision, STATUS_TIMEOUT,
            "no picture within the minute of the reply");
    return decision;
}

/* ---- FETCH */

static bool is_no_picture(enum status status)
{
    return status == STATUS_NOT_AN_IMAGE || status == STATUS_EMPTY ||
           status == STATUS_TOO_LARGE || status == STATUS_IMAGE_UNSUPPORTED;
}

/* Damaged in a way that only a picture can be. */
static bool is_picture_status(enum status status)
{
    return status >= STATUS_IMAGE_BROKEN && status <= STATUS_POISON &&
           status != STATUS_IMAGE_UNSUPPORTED;
}

static struct decision give_up(const struct job *job,
                               const struct config_channel *channel,
                               const struct decide_attempt *attempt)
{
    bool is_picture = attempt->is_picture || is_picture_status(attempt->status);
    bool is_our_fault = attempt->status == STATUS_UNAUTHORIZED ||
                        attempt->status == STATUS_BAD_CONFIG;
    struct decision decision = end_dead(job, attempt->status, attempt->detail);

    if (job->kind == JOB_FILE && !is_picture &&
        is_no_picture(attempt->status)) {
        decision.state = JOB_DONE;
        decision.outcome = JOB_OUTCOME_SKIPPED;
    } else if (!is_our_fault && token_lives(job, attempt->now_ms) &&
               is_owed_a_word(job, channel, is_picture)) {
        decision.act = DECIDE_TELL;
        decision.state = JOB_LEASED;
        decision.outcome = JOB_OUTCOME_NONE;
    }
    return decision;
}

static struct decision fetch_failed(const struct job *job,
                                    const struct config_channel *channel,
                                    const struct decide_attempt *attempt)
{
    int64_t due_ms = retry_ms(job, attempt);
    int64_t late_ms = decide_late_ms(job, channel, attempt->is_picture);

    if (attempt->status == STATUS_GONE) {
        struct decision decision = end(job, JOB_OUTCOME_WITHDRAWN);

        say(&decision, STATUS_GONE, attempt->detail);
        return decision;
    }
    if (!status_is_retry(attempt->status) ||
        job->attempts >= attempts_max(job, channel) ||
        due_ms > decide_fetch_until_ms(job, channel))
        return give_up(job, channel, attempt);
    /* A try beyond the moment of the last word would come after that word. */
    if (due_ms > late_ms && !may_be_late(job, channel))
        return give_up(job, channel, attempt);
    if (attempt->now_ms < late_ms)
        due_ms = int64_min(due_ms, late_ms);
    return retry(job, attempt, due_ms);
}

static struct decision claimed_fetch(const struct job *job,
                                     const struct config_channel *channel,
                                     int64_t now_ms)
{
    struct decide_attempt none = {.now_ms = now_ms};

    if (now_ms >= decide_fetch_until_ms(job, channel))
        return end_dead(job, STATUS_TOKEN_EXPIRED, "the minute is over");
    if (job->attempts > attempts_max(job, channel)) {
        none.status = STATUS_TOO_MANY_TRIES;
        none.detail = job->reason;
        return give_up(job, channel, &none);
    }
    /* For a file that is not known to be a picture this is never. */
    if (now_ms < job_deadline_ms(job) &&
        now_ms >= decide_late_ms(job, channel, false))
        return decide_late(job, channel);
    return decision_of(job, DECIDE_FETCH);
}

/* ---- REPLY */

/* The reply token is of no use (any more). */
static struct decision without_reply(const struct job *job,
                                     const struct config_channel *channel,
                                     enum status status, const char *detail)
{
    struct decision decision = end_dead(job, status, detail);

    if (job->reply_in_doubt || !may_push(job, channel) ||
        status == STATUS_UNAUTHORIZED)
        return decision;
    decision.act = DECIDE_PUSH;
    decision.state = JOB_LEASED;
    decision.outcome = JOB_OUTCOME_NONE;
    return decision;
}

static struct decision answer(const struct job *job,
                              const struct config_channel *channel,
                              int64_t now_ms)
{
    if (job->attempts > attempts_max(job, channel))
        return without_reply(job, channel, STATUS_TOO_MANY_TRIES, job->reason);
    if (token_lives(job, now_ms))
        return decision_of(job, DECIDE_REPLY);
    return without_reply(job, channel, STATUS_TOKEN_EXPIRED,
                         job->reply_in_doubt
                             ? "but an earlier reply may have arrived"
                         : job->token_spent ? "the busy text has used it"
                                            : "the minute is over");
}

struct decision decide_published(const struct job *job,
                                 const struct config_channel *channel,
                                 int64_t now_ms)
{
    struct decision decision;

    if (!decide_is_set_member(job, channel))
        return answer(job, channel, now_ms);
    decision = decision_of(job, DECIDE_PARK);
    decision.state = JOB_READY;
    decision.due_ms = int64_min(job->received_ms + channel->set_wait_ms,
                                job_deadline_ms(job) - LATE_MARGIN_MS);
    decision.due_ms = int64_max(decision.due_ms, now_ms);
    return decision;
}

/* A token that is refused while it cannot be too old was used: by the earlier
 * try whose answer nobody saw. */
static bool is_sign_of_delivery(const struct job *job,
                                const struct decide_attempt *attempt)
{
    return attempt->status == STATUS_TOKEN_EXPIRED && attempt->doubted_before &&
           attempt->posted_ms + REPLY_MARGIN_MS < job_deadline_ms(job);
}

static bool is_time_for_another(const struct job *job,
                                const struct config_channel *channel,
                                const struct decide_attempt *attempt)
{
    return status_is_retry(attempt->status) &&
           job->attempts < attempts_max(job, channel) &&
           retry_ms(job, attempt) <= job_deadline_ms(job);
}

static struct decision reply_tried(const struct job *now,
                                   const struct config_channel *channel,
                                   const struct decide_attempt *attempt)
{
    struct job job = *now;
    struct decision decision;

    job.reply_in_doubt = attempt->in_doubt || attempt->doubted_before;
    if (attempt->status == STATUS_OK)
        return end_well(&job, JOB_OUTCOME_REPLIED, "");
    if (is_sign_of_delivery(&job, attempt)) {
        decision = end_well(&job, JOB_OUTCOME_REPLIED,
                            "assumed: the token was used by an earlier try");
        decision.in_doubt = true;
        return decision;
    }
    if (is_time_for_another(&job, channel, attempt))
        return retry(&job, attempt, retry_ms(&job, attempt));
    decision = without_reply(&job, channel, attempt->status, attempt->detail);
    if (job.reply_in_doubt)
        say_more(&decision, "a reply may have arrived", "");
    return decision;
}

/* ---- FAILURE: the reason stays that of the failure */

static struct decision untold(const struct job *job, const char *detail)
{
    struct decision decision = end(job, JOB_OUTCOME_DEAD);

    if (job->reply_in_doubt)
        say_more(&decision, "the text may have arrived", "");
    else
        say_more(&decision, "the user was not told: ", detail);
    return decision;
}

static struct decision tell_tried(const struct job *now,
                                  const struct config_channel *channel,
                                  const struct decide_attempt *attempt)
{
    struct job job = *now;
    struct decision decision;

    job.reply_in_doubt = attempt->in_doubt || attempt->doubted_before;
    if (attempt->status == STATUS_OK) {
        decision = end(&job, JOB_OUTCOME_FAILURE_TEXT);
        decision.in_doubt = false;
        return decision;
    }
    if (is_sign_of_delivery(&job, attempt)) {
        decision = end(&job, JOB_OUTCOME_FAILURE_TEXT);
        say_more(&decision, "assumed told: token used", "");
        return decision;
    }
    if (is_time_for_another(&job, channel, attempt)) {
        decision = decision_of(&job, DECIDE_RETRY);
        decision.state = JOB_READY;
        decision.due_ms = retry_ms(&job, attempt);
        return decision;
    }
    return untold(&job, status_text(attempt->status));
}

/* ---- PUSH */

static struct decision push_tried(const struct job *job,
                                  const struct config_channel *channel,
                                  const struct decide_attempt *attempt)
{
    int64_t due_ms = retry_ms(job, attempt);
    struct decision decision;

    (void)channel;
    if (attempt->status == STATUS_OK) {
        decision = end(job, JOB_OUTCOME_PUSHED);
        decision.status = STATUS_OK;
        return decision;
    }
    if (status_is_retry(attempt->status) &&
        due_ms <= job->received_ms + PUSH_LIFE_MS)
        return retry(job, attempt, due_ms);
    decision = end_dead(job, attempt->status, attempt->detail);
    if (attempt->in_doubt)
        say_more(&decision, "the push may have arrived", "");
    return decision;
}

static struct decision claimed_push(const struct job *job, int64_t now_ms)
{
    struct decision decision = decision_of(job, DECIDE_PUSH);

    if (now_ms < job->received_ms + PUSH_LIFE_MS)
        return decision;
    decision = end(job, JOB_OUTCOME_DEAD);
    if (decision.status == STATUS_OK)
        decision.status = STATUS_TOO_MANY_TRIES;
    say_more(&decision, "no push within the hour", "");
    return decision;
}

/* ---- UNSEND */

static struct decision remove_tried(const struct job *job,
                                    const struct decide_attempt *attempt)
{
    if (attempt->status == STATUS_OK)
        return end_well(job, JOB_OUTCOME_REMOVED, attempt->detail);
    if (status_is_retry(attempt->status) &&
        job->attempts < JOB_ATTEMPTS_LATE_MAX)
        return retry(job, attempt, retry_ms(job, attempt));
    return end_dead(job, attempt->status, attempt->detail);
}

/* ---- the doors */

struct decision decide_claimed(const struct job *job,
                               const struct config_channel *channel,
                               int64_t now_ms)
{
    if (job->kind == JOB_UNSEND)
        return decision_of(job, DECIDE_REMOVE);
    switch (job->stage) {
    case JOB_STAGE_FETCH:
        return claimed_fetch(job, channel, now_ms);
    case JOB_STAGE_REPLY:
        return answer(job, channel, now_ms);
    case JOB_STAGE_PUSH:
        return claimed_push(job, now_ms);
    case JOB_STAGE_FAILURE:
        if (token_lives(job, now_ms))
            return decision_of(job, DECIDE_TELL);
        return untold(job, "the minute is over");
    }
    return end_dead(job, STATUS_BUG, "no such stage");
}

struct decision decide_tried(const struct job *job,
                             const struct config_channel *channel,
                             const struct decide_attempt *attempt)
{
    if (job->kind == JOB_UNSEND)
        return remove_tried(job, attempt);
    switch (job->stage) {
    case JOB_STAGE_FETCH:
        return fetch_failed(job, channel, attempt);
    case JOB_STAGE_REPLY:
        return reply_tried(job, channel, attempt);
    case JOB_STAGE_PUSH:
        return push_tried(job, channel, attempt);
    case JOB_STAGE_FAILURE:
        return tell_tried(job, channel, attempt);
    }
    return end_dead(job, STATUS_BUG, "no such stage");
}

void decide_apply(const struct decision *decision, struct job *job)
{
    job->state = decision->state;
    job->outcome = decision->outcome;
    job->reply_in_doubt = decision->in_doubt;
    job->last_status = decision->status;
    (void)str_copy(job->reason, sizeof(job->reason), decision->reason);
    if (decision->state == JOB_READY)
        job->due_ms = decision->due_ms;
}

const char *decide_act_name(enum decide_act act)
{
    static const char *const names[] = {
        "fetch", "busy",   "park",  "reply", "push",
        "tell",  "remove", "retry", "end",
    };

    return names[act];
}
