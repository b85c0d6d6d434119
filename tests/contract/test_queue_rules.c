/*
 * test_queue_rules.c: the contract of queue.h, continued: what one job does to
 * others (unsend, image sets, the budget of pushes), what a note brings and
 * leaves, and webhook bodies; every case over every backend, and with a second
 * owner where the backend has one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../helper/queue_case.h"

/* 2026-11-30T23:59:59Z */
#define LAST_OF_MONTH 1796083199000

static struct job put_of_kind(struct queue *queue, enum job_kind kind,
                              const char *event, const char *message,
                              int64_t lease_ms)
{
    struct job job = case_job(event, message);

    job.kind = kind;
    assert_int_equal(case_put(queue, &job, NOW, lease_ms), STATUS_OK);
    return job;
}

static void assert_withdrawn(struct queue *queue, int64_t id)
{
    struct job row = case_get(queue, id);

    assert_int_equal(row.state, JOB_DONE);
    assert_int_equal(row.outcome, JOB_OUTCOME_WITHDRAWN);
    assert_int_equal(row.last_status, STATUS_GONE);
    assert_string_equal(row.reason, "taken back by the sender");
}

/* ---- unsend */

static void unsend_withdraws_a_ready_picture(void **state)
{
    struct queue *queue = case_queue(state);
    struct job picture = put_of_kind(queue, JOB_IMAGE, "a", "1", 0);
    struct job other = put_of_kind(queue, JOB_IMAGE, "b", "2", 0);
    struct job unsend = put_of_kind(queue, JOB_UNSEND, "c", "1", 0);
    struct job jobs[4];

    assert_withdrawn(queue, picture.id);
    assert_int_equal(case_get(queue, other.id).state, JOB_READY);
    assert_int_equal(case_claim(queue, NOW, jobs, 4), 2);
    assert_int_equal(jobs[0].id, other.id);
    assert_int_equal(jobs[1].id, unsend.id);
    assert_int_equal(jobs[1].kind, JOB_UNSEND);
}

/* Or a retry, when the mark is purged before it, would push what was taken
 * back. */
static void unsend_withdraws_a_dead_picture(void **state)
{
    struct queue *queue = case_queue(state);
    struct job picture = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);

    picture.state = JOB_DEAD;
    picture.outcome = JOB_OUTCOME_DEAD;
    assert_true(str_copy(picture.push_key, sizeof(picture.push_key), "key"));
    assert_int_equal(case_update(queue, &picture), STATUS_OK);
    assert_string_not_equal(case_get(queue, picture.id).reply_token, "");
    (void)put_of_kind(queue, JOB_UNSEND, "b", "1", LEASE);
    assert_withdrawn(queue, picture.id);
    assert_string_equal(case_get(queue, picture.id).reply_token, "");
    case_begin(queue);
    assert_int_equal(queue_requeue(queue, picture.id, NOW), STATUS_NOT_FOUND);
    case_commit(queue);
}

static void unsend_is_of_one_channel(void **state)
{
    struct queue *queue = case_queue(state);
    struct job picture = put_of_kind(queue, JOB_IMAGE, "a", "1", 0);
    struct job unsend = case_job("b", "1");

    unsend.kind = JOB_UNSEND;
    assert_true(str_copy(unsend.channel, sizeof(unsend.channel), "other"));
    assert_int_equal(case_put(queue, &unsend, NOW, 0), STATUS_OK);
    assert_int_equal(case_get(queue, picture.id).state, JOB_READY);
}

static void a_picture_after_its_unsend_is_not_leased(void **state)
{
    struct queue *queue = case_queue(state);
    struct job unsend = put_of_kind(queue, JOB_UNSEND, "b", "1", LEASE);
    struct job picture = case_job("a", "1");
    struct job none;

    assert_int_equal(unsend.state, JOB_LEASED);
    assert_int_equal(case_put(queue, &picture, NOW, LEASE), STATUS_OK);
    assert_int_equal(picture.state, JOB_DONE);
    assert_withdrawn(queue, picture.id);
    assert_int_equal(case_put(queue, &picture, NOW, LEASE), STATUS_DUPLICATE);
    assert_int_equal(case_claim(queue, NOW + LEASE - 1, &none, 1), 0);
}

static void the_owner_of_a_picture_learns_of_its_unsend(void **state)
{
    struct queue *queue = case_queue(state);
    struct job picture = put_of_kind(queue, JOB_EXTERNAL, "a", "1", LEASE);
    struct job unsend = put_of_kind(queue, JOB_UNSEND, "b", "1", LEASE);
    struct job before = case_get(queue, picture.id), after;

    assert_int_equal(before.state, JOB_LEASED);
    picture.stage = JOB_STAGE_REPLY;
    picture.reply_in_doubt = true;
    assert_int_equal(case_update(queue, &picture), STATUS_GONE);
    picture.state = JOB_READY;
    assert_int_equal(case_update(queue, &picture), STATUS_GONE);
    picture.state = JOB_DEAD;
    assert_int_equal(case_update(queue, &picture), STATUS_GONE);
    after = case_get(queue, picture.id);
    case_assert_equal(&after, &before);
    picture.state = JOB_DONE;
    picture.outcome = JOB_OUTCOME_WITHDRAWN;
    assert_int_equal(case_update(queue, &picture), STATUS_OK);
    assert_int_equal(case_update(queue, &picture), STATUS_LEASE_LOST);
    unsend.state = JOB_READY; /* it does not take itself back */
    assert_int_equal(case_update(queue, &unsend), STATUS_OK);
}

/* A worker that was frozen beyond its lease has published meanwhile; nobody but
 * itself knows. */
static void a_lost_lease_of_an_unsent_picture_is_told_as_gone(void **state)
{
    struct queue *queue = case_queue(state);
    struct job picture = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    struct job successor = picture, after;

    successor.state = JOB_DONE;
    successor.outcome = JOB_OUTCOME_REPLIED;
    assert_int_equal(case_update(queue, &successor), STATUS_OK);
    picture.stage = JOB_STAGE_REPLY;
    assert_int_equal(case_update(queue, &picture), STATUS_LEASE_LOST);
    (void)put_of_kind(queue, JOB_UNSEND, "b", "1", LEASE);
    assert_int_equal(case_update(queue, &picture), STATUS_GONE);
    (void)str_copy(picture.set_id, sizeof(picture.set_id), "set");
    picture.state = JOB_DEAD;
    assert_int_equal(case_update(queue, &picture), STATUS_GONE);
    picture.state = JOB_DONE;
    assert_int_equal(case_update(queue, &picture), STATUS_LEASE_LOST);
    after = case_get(queue, picture.id);
    assert_int_equal(after.outcome, JOB_OUTCOME_REPLIED);
}

static void a_finished_unsend_is_still_a_mark(void **state)
{
    struct queue *queue = case_queue(state);
    struct job unsend = put_of_kind(queue, JOB_UNSEND, "b", "1", LEASE);
    struct job picture;

    unsend.state = JOB_DONE;
    unsend.outcome = JOB_OUTCOME_REMOVED;
    assert_int_equal(case_update(queue, &unsend), STATUS_OK);
    picture = put_of_kind(queue, JOB_FILE, "a", "1", LEASE);
    assert_withdrawn(queue, picture.id);
}

static void an_unsend_that_is_rolled_back_takes_nothing_back(void **state)
{
    struct queue *queue = case_queue(state);
    struct job picture = put_of_kind(queue, JOB_IMAGE, "a", "1", 0);
    struct job unsend = case_job("b", "1");
    struct job after;

    unsend.kind = JOB_UNSEND;
    case_begin(queue);
    assert_int_equal(queue_put(queue, &unsend, NOW, 0), STATUS_OK);
    queue_rollback(queue);
    after = case_get(queue, picture.id);
    case_assert_equal(&after, &picture);
}

/* ---- notes */

static void a_note_brings_the_renewed_token(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    struct job again = case_job("a", "1");

    assert_true(str_copy(again.reply_token, sizeof(again.reply_token), "new"));
    again.received_ms = NOW + 70000;
    assert_int_equal(case_put(queue, &again, NOW, 0), STATUS_DUPLICATE);
    job.reply_in_doubt = true;
    assert_int_equal(case_update_with(queue, &job, NULL, NOW), STATUS_OK);
    assert_string_equal(job.reply_token, "new");
    assert_int_equal(job.received_ms, NOW + 70000);
}

/* The token of a reply that may have arrived, or was used, stays known. */
static void a_token_in_use_is_not_renewed(void **state)
{
    struct queue *queue = case_queue(state);
    struct job doubt = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    struct job spent = put_of_kind(queue, JOB_IMAGE, "b", "2", LEASE);
    struct job again;

    doubt.reply_in_doubt = true;
    assert_int_equal(case_update(queue, &doubt), STATUS_OK);
    spent.token_spent = true;
    assert_int_equal(case_update(queue, &spent), STATUS_OK);
    again = case_job("a", "1");
    again.received_ms = NOW + 70000;
    assert_int_equal(case_put(queue, &again, NOW, 0), STATUS_DUPLICATE);
    assert_int_equal(case_get(queue, doubt.id).received_ms, NOW - 10);
    again = case_job("b", "2");
    again.received_ms = NOW + 70000;
    assert_int_equal(case_put(queue, &again, NOW, 0), STATUS_DUPLICATE);
    assert_int_equal(case_get(queue, spent.id).received_ms, NOW - 10);
}

static void a_token_is_adopted_on_demand_only(void **state)
{
    struct queue *queue = case_queue(state);
    const struct queue_extra adopt = {.adopt_token = true};
    struct job job = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);

    assert_true(str_copy(job.reply_token, sizeof(job.reply_token), "theirs"));
    job.received_ms = NOW - 5;
    assert_int_equal(case_update(queue, &job), STATUS_OK);
    assert_string_equal(case_get(queue, job.id).reply_token, "token");
    assert_int_equal(case_update_with(queue, &job, &adopt, NOW), STATUS_OK);
    assert_string_equal(job.reply_token, "theirs");
    assert_string_equal(case_get(queue, job.id).reply_token, "theirs");
    assert_int_equal(case_get(queue, job.id).received_ms, NOW - 5);
}

static char *messages_of(struct queue *queue, int64_t now_ms)
{
    static struct queue_lease leases[QUEUE_LEASES_MAX(1)];
    size_t count;

    case_begin(queue);
    assert_int_equal(queue_claim(queue, now_ms, LEASE, leases, 1, &count),
                     STATUS_OK);
    case_commit(queue);
    assert_int_equal(count, 1);
    return leases[0].messages;
}

static void messages_come_back_with_the_claim(void **state)
{
    struct queue *queue = case_queue(state);
    const struct queue_extra extra = {.messages = "[{\"type\":\"x\"}]"};
    struct job job = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    char *messages;

    assert_int_equal(case_update_with(queue, &job, &extra, NOW), STATUS_OK);
    assert_int_equal(case_update(queue, &job), STATUS_OK); /* leaves them */
    job.state = JOB_READY;
    job.due_ms = NOW;
    assert_int_equal(case_update(queue, &job), STATUS_OK);
    messages = messages_of(queue, NOW);
    assert_non_null(messages);
    assert_string_equal(messages, "[{\"type\":\"x\"}]");
    free(messages);
    (void)put_of_kind(queue, JOB_IMAGE, "b", "2", 0);
    assert_null(messages_of(queue, NOW));
}

/* A push that ended DEAD may be wanted once more: it must be the same. */
static void messages_of_a_dead_push_are_kept(void **state)
{
    struct queue *queue = case_queue(state);
    const struct queue_extra extra = {.messages = "[{}]"};
    struct job push = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    struct job other = put_of_kind(queue, JOB_IMAGE, "b", "2", LEASE);
    char *messages;

    assert_true(str_copy(push.push_key, sizeof(push.push_key), "k1"));
    push.stage = JOB_STAGE_PUSH;
    assert_int_equal(case_update_with(queue, &push, &extra, NOW), STATUS_OK);
    assert_int_equal(case_update_with(queue, &other, &extra, NOW), STATUS_OK);
    push.state = other.state = JOB_DEAD;
    assert_int_equal(case_update(queue, &push), STATUS_OK);
    assert_int_equal(case_update(queue, &other), STATUS_OK);
    case_begin(queue);
    assert_int_equal(queue_requeue(queue, push.id, NOW), STATUS_OK);
    assert_int_equal(queue_requeue(queue, other.id, NOW + 1), STATUS_OK);
    case_commit(queue);
    messages = messages_of(queue, NOW);
    assert_non_null(messages);
    assert_string_equal(messages, "[{}]");
    free(messages);
    assert_null(messages_of(queue, NOW + 1));
}

static void messages_have_a_bound(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    struct queue_extra extra = {0};
    char *text = malloc(MESSAGES_MAX_BYTES + 2), *messages;

    assert_non_null(text);
    memset(text, 'm', MESSAGES_MAX_BYTES + 1);
    text[MESSAGES_MAX_BYTES + 1] = '\0';
    extra.messages = text;
    assert_int_equal(case_update_with(queue, &job, &extra, NOW), STATUS_BUG);
    text[MESSAGES_MAX_BYTES] = '\0';
    assert_int_equal(case_update_with(queue, &job, &extra, NOW), STATUS_OK);
    messages = messages_of(queue, NOW + LEASE);
    assert_non_null(messages);
    assert_string_equal(messages, text);
    free(messages);
    free(text);
}

/* ---- image sets */

static struct job put_member(struct queue *queue, int index, int total)
{
    struct job job = case_job("set", "");

    (void)snprintf(job.message_id, sizeof(job.message_id), "m%d", index);
    assert_true(str_copy(job.set_id, sizeof(job.set_id), "set-1"));
    job.set_index = index;
    job.set_total = total;
    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    return job;
}

static void park(struct queue *queue, struct job *job, int64_t due_ms)
{
    job->state = JOB_READY;
    job->stage = JOB_STAGE_REPLY;
    job->due_ms = due_ms;
    assert_int_equal(case_update(queue, job), STATUS_OK);
}

static void assert_due(struct queue *queue, int64_t id, int64_t due_ms)
{
    assert_int_equal(case_get(queue, id).due_ms, due_ms);
}

static void the_last_member_wakes_the_set(void **state)
{
    struct queue *queue = case_queue(state);
    struct job third = put_member(queue, 3, 3);
    struct job first = put_member(queue, 1, 3);
    struct job second = put_member(queue, 2, 3);
    struct job jobs[CASE_CLAIM_MAX];

    park(queue, &first, NOW + 900);
    park(queue, &third, NOW + 900);
    assert_due(queue, first.id, NOW + 900);
    assert_int_equal(case_claim(queue, NOW + 1, jobs, 9), 0);
    park(queue, &second, NOW + 900);
    assert_due(queue, first.id, NOW);
    assert_due(queue, third.id, NOW);
    assert_int_equal(case_claim(queue, NOW + 1, jobs, 1), 3);
    assert_int_equal(jobs[0].id, first.id);
    assert_int_equal(jobs[1].id, second.id);
    assert_int_equal(jobs[2].id, third.id);
    for (int i = 0; i < 3; i++) {
        struct job row = case_get(queue, jobs[i].id);

        case_assert_equal(&row, &jobs[i]);
        assert_int_equal(row.state, JOB_LEASED);
        assert_int_equal(row.due_ms, NOW + 1 + LEASE);
        assert_int_equal(row.attempts, 2);
    }
    assert_int_equal(case_claim(queue, NOW + 1, jobs, 9), 0);
}

static void a_set_that_waits_long_enough_goes_with_what_is_there(void **state)
{
    struct queue *queue = case_queue(state);
    struct job first = put_member(queue, 1, 3);
    struct job second = put_member(queue, 2, 3);
    struct job third = put_member(queue, 3, 3);
    struct job jobs[CASE_CLAIM_MAX];

    park(queue, &second, NOW + 700);
    park(queue, &first, NOW + 900);
    assert_int_equal(case_claim(queue, NOW + 699, jobs, 9), 0);
    assert_int_equal(case_claim(queue, NOW + 700, jobs, 9), 2);
    assert_int_equal(jobs[0].id, first.id);
    assert_int_equal(jobs[1].id, second.id);
    assert_int_equal(case_get(queue, third.id).stage, JOB_STAGE_FETCH);
}

static void members_that_fail_or_end_count_as_over(void **state)
{
    struct queue *queue = case_queue(state);
    struct job parked = put_member(queue, 1, 4);
    struct job failed = put_member(queue, 2, 4);
    struct job dead = put_member(queue, 3, 4);
    struct job gone = put_member(queue, 4, 4);

    park(queue, &parked, NOW + 900);
    failed.stage = JOB_STAGE_FAILURE; /* a note: the user is being told */
    assert_int_equal(case_update(queue, &failed), STATUS_OK);
    dead.state = JOB_DEAD;
    assert_int_equal(case_update(queue, &dead), STATUS_OK);
    assert_due(queue, parked.id, NOW + 900);
    gone.state = JOB_DONE;
    gone.outcome = JOB_OUTCOME_WITHDRAWN;
    assert_int_equal(case_update(queue, &gone), STATUS_OK);
    assert_due(queue, parked.id, NOW);
}

static void an_unsend_can_be_what_completes_a_set(void **state)
{
    struct queue *queue = case_queue(state);
    struct job parked = put_member(queue, 1, 3);
    struct job waiting = put_member(queue, 2, 3);
    struct job late = case_job("set", "m3");

    park(queue, &parked, NOW + 900);
    waiting.state = JOB_READY;
    waiting.due_ms = NOW + 250;
    assert_int_equal(case_update(queue, &waiting), STATUS_OK);
    (void)put_of_kind(queue, JOB_UNSEND, "u2", "m2", LEASE);
    assert_withdrawn(queue, waiting.id);
    assert_due(queue, parked.id, NOW + 900);
    (void)put_of_kind(queue, JOB_UNSEND, "u3", "m3", LEASE);
    assert_true(str_copy(late.set_id, sizeof(late.set_id), "set-1"));
    late.set_index = 3;
    late.set_total = 3;
    assert_int_equal(case_put(queue, &late, NOW, LEASE), STATUS_OK);
    assert_withdrawn(queue, late.id);
    assert_due(queue, parked.id, NOW);
}

static void a_parked_picture_that_is_unsent_is_not_claimed(void **state)
{
    struct queue *queue = case_queue(state);
    struct job first = put_member(queue, 1, 2);
    struct job second = put_member(queue, 2, 2);
    struct job jobs[CASE_CLAIM_MAX];

    park(queue, &first, NOW + 900);
    (void)put_of_kind(queue, JOB_UNSEND, "u", "m1", LEASE);
    assert_withdrawn(queue, first.id);
    park(queue, &second, NOW + 900);
    assert_int_equal(case_claim(queue, NOW, jobs, 9), 1);
    assert_int_equal(jobs[0].id, second.id);
}

static void a_retry_of_a_whole_set_keeps_its_delay(void **state)
{
    struct queue *queue = case_queue(state);
    struct job members[2] = {put_member(queue, 1, 2), put_member(queue, 2, 2)};
    struct job jobs[CASE_CLAIM_MAX];

    park(queue, &members[0], NOW + 900);
    park(queue, &members[1], NOW + 900);
    assert_int_equal(case_claim(queue, NOW, jobs, 9), 2);
    for (int i = 0; i < 2; i++)
        park(queue, &jobs[i], NOW + 250);
    assert_due(queue, members[0].id, NOW + 250);
    assert_due(queue, members[1].id, NOW + 250);
    assert_int_equal(case_claim(queue, NOW + 250, jobs, 1), 2);
}

static void sets_without_a_total_wait_for_their_time(void **state)
{
    struct queue *queue = case_queue(state);
    struct job only = put_member(queue, 1, 0);
    struct job jobs[CASE_CLAIM_MAX];

    park(queue, &only, NOW + 900);
    assert_due(queue, only.id, NOW + 900);
    assert_int_equal(case_claim(queue, NOW + 900, jobs, 9), 1);
}

static void sets_of_two_channels_are_two_sets(void **state)
{
    struct queue *queue = case_queue(state);
    struct job ours = put_member(queue, 1, 2);
    struct job theirs = case_job("set", "m9");
    struct job jobs[CASE_CLAIM_MAX];

    assert_true(str_copy(theirs.channel, sizeof(theirs.channel), "other"));
    assert_true(str_copy(theirs.set_id, sizeof(theirs.set_id), "set-1"));
    theirs.set_total = 2;
    assert_int_equal(case_put(queue, &theirs, NOW, LEASE), STATUS_OK);
    park(queue, &ours, NOW + 900);
    park(queue, &theirs, NOW + 950);
    assert_due(queue, ours.id, NOW + 900);
    assert_int_equal(case_claim(queue, NOW + 900, jobs, 9), 1);
    assert_int_equal(jobs[0].id, ours.id);
}

static void a_claim_takes_a_set_beyond_its_limit(void **state)
{
    struct queue *queue = case_queue(state);
    struct job jobs[QUEUE_LEASES_MAX(2)];
    size_t count;

    (void)case_put_new(queue, "before", NOW - 9, 0);
    for (int i = 1; i <= SET_TOTAL_MAX; i++) {
        struct job member = put_member(queue, i, SET_TOTAL_MAX);

        park(queue, &member, NOW + 900);
    }
    (void)case_put_new(queue, "after", NOW + 1, 0);
    count = case_claim(queue, NOW + 1, jobs, 2);
    assert_int_equal(count, 1 + SET_TOTAL_MAX);
    assert_string_equal(jobs[0].event_id, "before");
    for (int i = 1; i <= SET_TOTAL_MAX; i++)
        assert_int_equal(jobs[i].set_index, i);
    assert_int_equal(case_claim(queue, NOW + 1, jobs, 2), 1);
}

static void a_set_goes_to_one_of_two_owners(void **state)
{
    struct queue *mine = case_queue(state);
    struct queue *theirs = case_other_owner(state);
    struct job first, second, jobs[CASE_CLAIM_MAX];

    if (theirs == NULL)
        return; /* one process, one owner */
    first = put_member(mine, 1, 2);
    second = put_member(theirs, 2, 2);
    park(mine, &first, NOW + 900);
    park(theirs, &second, NOW + 900);
    assert_int_equal(case_claim(theirs, NOW, jobs, 1), 2);
    assert_int_equal(case_claim(mine, NOW, jobs, 9), 0);
    assert_int_equal(case_update(mine, &jobs[0]), STATUS_LEASE_LOST);
    assert_int_equal(case_update(theirs, &jobs[0]), STATUS_OK);
}

/* ---- the budget of pushes */

static enum status push(struct queue *queue, struct job *job, const char *key,
                        int64_t budget, int64_t now_ms)
{
    const struct queue_extra extra = {.push_budget = budget};
    struct job changed = *job;

    changed.stage = JOB_STAGE_PUSH;
    assert_true(str_copy(changed.push_key, sizeof(changed.push_key), key));
    return case_update_with(queue, &changed, &extra, now_ms);
}

static void pushes_end_at_the_budget_of_the_month(void **state)
{
    struct queue *queue = case_queue(state);
    struct job jobs[3], row;

    for (int i = 0; i < 3; i++)
        jobs[i] = put_of_kind(queue, JOB_IMAGE, i == 0 ? "a" : "b",
                              i == 1 ? "1" : "2", LEASE);
    assert_int_equal(push(queue, &jobs[0], "k1", 2, LAST_OF_MONTH), STATUS_OK);
    assert_int_equal(push(queue, &jobs[0], "k1", 2, LAST_OF_MONTH), STATUS_OK);
    assert_int_equal(push(queue, &jobs[1], "k2", 2, LAST_OF_MONTH), STATUS_OK);
    assert_int_equal(push(queue, &jobs[2], "k3", 2, LAST_OF_MONTH),
                     STATUS_OVER_BUDGET);
    row = case_get(queue, jobs[2].id);
    case_assert_equal(&row, &jobs[2]);
    assert_int_equal(push(queue, &jobs[2], "k3", 2, LAST_OF_MONTH + 1000),
                     STATUS_OK);
}

static void pushes_count_without_a_budget(void **state)
{
    struct queue *queue = case_queue(state);
    struct job first = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    struct job second = put_of_kind(queue, JOB_IMAGE, "a", "2", LEASE);
    struct job other = case_job("a", "1");

    assert_true(str_copy(other.channel, sizeof(other.channel), "other"));
    assert_int_equal(case_put(queue, &other, NOW, LEASE), STATUS_OK);
    assert_int_equal(push(queue, &first, "k1", 0, NOW), STATUS_OK);
    assert_int_equal(push(queue, &second, "k2", 1, NOW), STATUS_OVER_BUDGET);
    assert_int_equal(push(queue, &other, "k3", 1, NOW), STATUS_OK);
}

static void a_set_with_one_key_is_one_push(void **state)
{
    struct queue *queue = case_queue(state);
    struct job first = put_member(queue, 1, 2);
    struct job second = put_member(queue, 2, 2);
    struct job other = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);

    assert_int_equal(push(queue, &first, "k", 1, NOW), STATUS_OK);
    assert_int_equal(push(queue, &second, "k", 1, NOW), STATUS_OK);
    assert_int_equal(push(queue, &other, "l", 1, NOW), STATUS_OVER_BUDGET);
}

static void a_push_that_is_rolled_back_does_not_count(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    struct job pushed = job;

    pushed.stage = JOB_STAGE_PUSH;
    assert_true(str_copy(pushed.push_key, sizeof(pushed.push_key), "k"));
    case_begin(queue);
    assert_int_equal(queue_update(queue, &pushed, NULL, NOW), STATUS_OK);
    queue_rollback(queue);
    assert_int_equal(push(queue, &job, "k", 1, NOW), STATUS_OK);
}

static void who_lost_the_lease_does_not_count(void **state)
{
    struct queue *queue = case_queue(state);
    struct job lost = put_of_kind(queue, JOB_IMAGE, "a", "1", 0);
    struct job held = put_of_kind(queue, JOB_IMAGE, "b", "2", LEASE);

    assert_int_equal(push(queue, &lost, "k1", 1, NOW), STATUS_LEASE_LOST);
    assert_int_equal(push(queue, &held, "k2", 1, NOW), STATUS_OK);
}

/* ---- by hand */

static struct job put_dead(struct queue *queue, const char *event,
                           const char *push_key)
{
    struct job job = case_job(event, event);

    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    job.state = JOB_DEAD;
    job.stage = JOB_STAGE_REPLY;
    job.outcome = JOB_OUTCOME_DEAD;
    job.reply_in_doubt = true;
    job.due_ms = NOW;
    assert_true(str_copy(job.push_key, sizeof(job.push_key), push_key));
    assert_int_equal(case_update(queue, &job), STATUS_OK);
    return job;
}

static enum status requeue(struct queue *queue, int64_t id, int64_t now_ms)
{
    enum status status;

    case_begin(queue);
    status = queue_requeue(queue, id, now_ms);
    case_commit(queue);
    return status;
}

static enum status drop(struct queue *queue, int64_t id)
{
    enum status status;

    case_begin(queue);
    status = queue_drop(queue, id, "by hand", NOW + 7);
    case_commit(queue);
    return status;
}

static void a_list_is_of_what_its_filter_says(void **state)
{
    struct queue *queue = case_queue(state);
    struct queue_filter filter = QUEUE_FILTER_ALL;
    struct job ready = put_of_kind(queue, JOB_IMAGE, "a", "1", 0);
    struct job unsend = put_of_kind(queue, JOB_UNSEND, "b", "9", 0);
    struct job dead = put_dead(queue, "c", "");
    struct job other = case_job("d", "1"), jobs[4];
    size_t count;

    assert_true(str_copy(other.channel, sizeof(other.channel), "other"));
    other.received_ms = NOW + 5;
    assert_int_equal(case_put(queue, &other, NOW, 0), STATUS_OK);
#define ASSERT_LISTS(wanted, first)                                            \
    assert_int_equal(queue_list(queue, &filter, jobs, 4, &count), STATUS_OK);  \
    assert_int_equal(count, wanted);                                           \
    assert_int_equal(jobs[0].id, (first).id);                                  \
    filter = (struct queue_filter)QUEUE_FILTER_ALL
    ASSERT_LISTS(4, other);
    filter.before_id = other.id;
    ASSERT_LISTS(3, dead);
    filter.state = JOB_DEAD;
    ASSERT_LISTS(1, dead);
    filter.outcome = JOB_OUTCOME_DEAD;
    ASSERT_LISTS(1, dead);
    filter.channel = "other";
    ASSERT_LISTS(1, other);
    filter.message_id = "1";
    ASSERT_LISTS(2, other);
    filter.message_id = "1";
    filter.before_id = other.id;
    ASSERT_LISTS(1, ready);
    filter.since_ms = NOW + 5;
    ASSERT_LISTS(1, other);
    filter.pictures_only = true;
    filter.before_id = dead.id;
    ASSERT_LISTS(1, ready);
    filter.message_id = unsend.message_id;
    ASSERT_LISTS(1, unsend);
    filter.message_id = "none";
    assert_int_equal(queue_list(queue, &filter, jobs, 4, &count), STATUS_OK);
    assert_int_equal(count, 0);
#undef ASSERT_LISTS
}

static void a_dead_job_can_be_tried_once_more(void **state)
{
    struct queue *queue = case_queue(state);
    struct job dead = put_dead(queue, "a", ""), row, jobs[2];

    assert_int_equal(requeue(queue, dead.id, NOW + 90000), STATUS_OK);
    row = case_get(queue, dead.id);
    assert_int_equal(row.state, JOB_READY);
    assert_int_equal(row.stage, JOB_STAGE_FETCH);
    assert_int_equal(row.outcome, JOB_OUTCOME_NONE);
    assert_int_equal(row.attempts, 0);
    assert_int_equal(row.received_ms, NOW + 90000);
    assert_true(row.token_spent);
    assert_false(row.reply_in_doubt);
    assert_int_equal(requeue(queue, dead.id, NOW + 90000), STATUS_NOT_FOUND);
    assert_int_equal(requeue(queue, dead.id + 1, NOW), STATUS_NOT_FOUND);
    assert_int_equal(case_claim(queue, NOW + 89999, jobs, 2), 0);
    assert_int_equal(case_claim(queue, NOW + 90000, jobs, 2), 1);
    assert_int_equal(jobs[0].attempts, 1);
}

static void a_push_that_was_begun_goes_on(void **state)
{
    struct queue *queue = case_queue(state);
    struct job dead = put_dead(queue, "a", "0b9f3c52"), row;

    assert_int_equal(requeue(queue, dead.id, NOW), STATUS_OK);
    row = case_get(queue, dead.id);
    assert_int_equal(row.stage, JOB_STAGE_PUSH);
    assert_string_equal(row.push_key, "0b9f3c52");
}

static void a_dropped_job_is_dead(void **state)
{
    struct queue *queue = case_queue(state);
    struct job ready = put_of_kind(queue, JOB_IMAGE, "a", "1", 0);
    struct job leased = put_of_kind(queue, JOB_IMAGE, "b", "2", LEASE);
    struct job row;

    assert_int_equal(drop(queue, ready.id), STATUS_OK);
    assert_int_equal(drop(queue, leased.id), STATUS_OK);
    row = case_get(queue, leased.id);
    assert_int_equal(row.state, JOB_DEAD);
    assert_int_equal(row.outcome, JOB_OUTCOME_DEAD);
    assert_string_equal(row.reason, "by hand");
    assert_int_equal(row.due_ms, NOW + 7);
    leased.state = JOB_DONE;
    assert_int_equal(case_update(queue, &leased), STATUS_LEASE_LOST);
    assert_int_equal(drop(queue, ready.id), STATUS_NOT_FOUND);
    assert_int_equal(drop(queue, leased.id + 1), STATUS_NOT_FOUND);
}

/* Both in hand of one worker: of the two only the later lease holds. */
static void assert_replaced(struct queue *queue, struct job *before,
                            struct job *now)
{
    struct job row;

    assert_int_equal(now->id, before->id);
    for (int end = JOB_READY; end <= JOB_DEAD; end++) {
        before->state = (enum job_state)end;
        assert_int_equal(case_update(queue, before), STATUS_LEASE_LOST);
    }
    row = case_get(queue, now->id);
    case_assert_equal(&row, now);
    now->state = JOB_DONE;
    assert_int_equal(case_update(queue, now), STATUS_OK);
}

static void a_dropped_job_that_is_retried_has_a_new_lease(void **state)
{
    struct queue *queue = case_queue(state);
    struct job before = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE), now;

    assert_int_equal(drop(queue, before.id), STATUS_OK);
    assert_int_equal(requeue(queue, before.id, NOW), STATUS_OK);
    assert_int_equal(case_claim(queue, NOW, &now, 1), 1);
    assert_int_equal(now.attempts, before.attempts);
    assert_replaced(queue, &before, &now);
}

static void a_lease_that_is_over_and_claimed_again_is_another(void **state)
{
    struct queue *queue = case_queue(state);
    struct job before = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE), now;

    assert_int_equal(case_claim(queue, NOW + LEASE, &now, 1), 1);
    assert_replaced(queue, &before, &now);
}

static void a_dropped_push_keeps_its_messages(void **state)
{
    struct queue *queue = case_queue(state);
    const struct queue_extra extra = {.messages = "[{}]"};
    struct job push = put_of_kind(queue, JOB_IMAGE, "a", "1", LEASE);
    struct job other = put_of_kind(queue, JOB_IMAGE, "b", "2", LEASE);
    char *messages;

    assert_true(str_copy(push.push_key, sizeof(push.push_key), "k1"));
    push.stage = JOB_STAGE_PUSH;
    assert_int_equal(case_update_with(queue, &push, &extra, NOW), STATUS_OK);
    assert_int_equal(case_update_with(queue, &other, &extra, NOW), STATUS_OK);
    assert_int_equal(drop(queue, push.id), STATUS_OK);
    assert_int_equal(drop(queue, other.id), STATUS_OK);
    assert_int_equal(requeue(queue, push.id, NOW), STATUS_OK);
    messages = messages_of(queue, NOW);
    assert_non_null(messages);
    assert_string_equal(messages, "[{}]");
    free(messages);
    assert_int_equal(requeue(queue, other.id, NOW), STATUS_OK);
    assert_null(messages_of(queue, NOW));
}

static void a_set_does_not_wait_for_a_dropped_member(void **state)
{
    struct queue *queue = case_queue(state);
    struct job parked = case_job("a", "1"), missing = case_job("b", "2");

    assert_true(str_copy(parked.set_id, sizeof(parked.set_id), "s"));
    assert_true(str_copy(missing.set_id, sizeof(missing.set_id), "s"));
    parked.set_index = 1;
    missing.set_index = 2;
    parked.set_total = missing.set_total = 2;
    assert_int_equal(case_put(queue, &parked, NOW, LEASE), STATUS_OK);
    assert_int_equal(case_put(queue, &missing, NOW, 0), STATUS_OK);
    parked.state = JOB_READY;
    parked.stage = JOB_STAGE_REPLY;
    parked.due_ms = NOW + 10000;
    assert_int_equal(case_update(queue, &parked), STATUS_OK);
    assert_int_equal(drop(queue, missing.id), STATUS_OK);
    assert_int_equal(case_get(queue, parked.id).due_ms, NOW + 7);
}

static void current_jobs_are_unfinished_or_fresh(void **state)
{
    struct queue *queue = case_queue(state);
    struct job dead = case_job("a", "1"), done = case_job("b", "2");
    struct job fresh = case_job("c", "3"), ready = case_job("d", "4");
    int64_t ids[4];
    size_t count;

    dead.received_ms = done.received_ms = ready.received_ms = NOW;
    fresh.received_ms = NOW + 100;
    assert_int_equal(case_put(queue, &dead, NOW, LEASE), STATUS_OK);
    assert_int_equal(case_put(queue, &done, NOW, LEASE), STATUS_OK);
    assert_int_equal(case_put(queue, &fresh, NOW, LEASE), STATUS_OK);
    assert_int_equal(case_put(queue, &ready, NOW, 0), STATUS_OK);
    dead.state = JOB_DEAD;
    done.state = fresh.state = JOB_DONE;
    assert_int_equal(case_update(queue, &dead), STATUS_OK);
    assert_int_equal(case_update(queue, &done), STATUS_OK);
    assert_int_equal(case_update(queue, &fresh), STATUS_OK);
    assert_int_equal(queue_current(queue, NOW + 100, 0, ids, 4, &count),
                     STATUS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], fresh.id);
    assert_int_equal(ids[1], ready.id);
    assert_int_equal(requeue(queue, dead.id, NOW + 100), STATUS_OK);
    assert_int_equal(queue_current(queue, NOW + 100, 0, ids, 2, &count),
                     STATUS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], dead.id);
    assert_int_equal(ids[1], fresh.id);
    assert_int_equal(queue_current(queue, NOW + 100, fresh.id, ids, 2, &count),
                     STATUS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ids[0], ready.id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_OVER_ALL(unsend_withdraws_a_ready_picture),
        CASE_OVER_ALL(unsend_withdraws_a_dead_picture),
        CASE_OVER_ALL(unsend_is_of_one_channel),
        CASE_OVER_ALL(a_picture_after_its_unsend_is_not_leased),
        CASE_OVER_ALL(the_owner_of_a_picture_learns_of_its_unsend),
        CASE_OVER_ALL(a_lost_lease_of_an_unsent_picture_is_told_as_gone),
        CASE_OVER_ALL(a_finished_unsend_is_still_a_mark),
        CASE_OVER_ALL(an_unsend_that_is_rolled_back_takes_nothing_back),
        CASE_OVER_ALL(a_note_brings_the_renewed_token),
        CASE_OVER_ALL(a_token_in_use_is_not_renewed),
        CASE_OVER_ALL(a_token_is_adopted_on_demand_only),
        CASE_OVER_ALL(messages_come_back_with_the_claim),
        CASE_OVER_ALL(messages_of_a_dead_push_are_kept),
        CASE_OVER_ALL(messages_have_a_bound),
        CASE_OVER_ALL(the_last_member_wakes_the_set),
        CASE_OVER_ALL(a_set_that_waits_long_enough_goes_with_what_is_there),
        CASE_OVER_ALL(members_that_fail_or_end_count_as_over),
        CASE_OVER_ALL(an_unsend_can_be_what_completes_a_set),
        CASE_OVER_ALL(a_parked_picture_that_is_unsent_is_not_claimed),
        CASE_OVER_ALL(a_retry_of_a_whole_set_keeps_its_delay),
        CASE_OVER_ALL(sets_without_a_total_wait_for_their_time),
        CASE_OVER_ALL(sets_of_two_channels_are_two_sets),
        CASE_OVER_ALL(a_claim_takes_a_set_beyond_its_limit),
        CASE_OVER_ALL(a_set_goes_to_one_of_two_owners),
        CASE_OVER_ALL(pushes_end_at_the_budget_of_the_month),
        CASE_OVER_ALL(pushes_count_without_a_budget),
        CASE_OVER_ALL(a_set_with_one_key_is_one_push),
        CASE_OVER_ALL(a_push_that_is_rolled_back_does_not_count),
        CASE_OVER_ALL(who_lost_the_lease_does_not_count),
        CASE_OVER_ALL(a_list_is_of_what_its_filter_says),
        CASE_OVER_ALL(current_jobs_are_unfinished_or_fresh),
        CASE_OVER_ALL(a_dead_job_can_be_tried_once_more),
        CASE_OVER_ALL(a_push_that_was_begun_goes_on),
        CASE_OVER_ALL(a_dropped_job_is_dead),
        CASE_OVER_ALL(a_dropped_job_that_is_retried_has_a_new_lease),
        CASE_OVER_ALL(a_lease_that_is_over_and_claimed_again_is_another),
        CASE_OVER_ALL(a_dropped_push_keeps_its_messages),
        CASE_OVER_ALL(a_set_does_not_wait_for_a_dropped_member),
    };

    return cmocka_run_group_tests_name("queue rules", tests, NULL, NULL);
}
