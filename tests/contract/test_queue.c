/*
 * test_queue.c: the contract of queue.h, every case over every backend.
 *
 * What only one backend has (files, processes, other owners) is in
 * tests/unit/test_queue_sqlite.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../helper/queue_case.h"

/* ---- put */

static void put_stores_a_ready_job(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");
    struct job stored;

    assert_int_equal(case_put(queue, &job, NOW, 0), STATUS_OK);
    assert_int_equal(job.state, JOB_READY);
    assert_int_equal(job.attempts, 0);
    assert_int_equal(job.due_ms, NOW);
    stored = case_get(queue, job.id);
    case_assert_equal(&stored, &job);
}

static void put_with_a_lease_stores_a_leased_job(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");
    struct job stored, claimed;

    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    assert_int_equal(job.state, JOB_LEASED);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(job.due_ms, NOW + LEASE);
    stored = case_get(queue, job.id);
    case_assert_equal(&stored, &job);
    assert_int_equal(case_claim(queue, NOW + LEASE - 1, &claimed, 1), 0);
    job.state = JOB_DONE;
    assert_int_equal(case_update(queue, &job), STATUS_OK);
}

static void a_redelivery_renews_the_token(void **state)
{
    struct queue *queue = case_queue(state);
    struct job first = case_job("event", "1");
    struct job again = case_job("event", "1");
    struct job stored;

    assert_int_equal(case_put(queue, &first, NOW, LEASE), STATUS_OK);
    assert_true(str_copy(again.reply_token, sizeof(again.reply_token), "new"));
    again.received_ms = NOW + 500;
    assert_int_equal(case_put(queue, &again, NOW + 500, LEASE),
                     STATUS_DUPLICATE);
    assert_int_equal(again.id, first.id);
    stored = case_get(queue, first.id);
    assert_string_equal(stored.reply_token, "new");
    assert_int_equal(stored.received_ms, NOW + 500);
    assert_int_equal(stored.due_ms, NOW + LEASE);
    assert_int_equal(stored.attempts, 1);
}

static void a_redelivery_of_a_finished_job_changes_nothing(void **state)
{
    struct queue *queue = case_queue(state);
    struct job first = case_job("event", "1");
    struct job again = case_job("event", "1");
    struct job before, stored;

    assert_int_equal(case_put(queue, &first, NOW, LEASE), STATUS_OK);
    first.state = JOB_DONE;
    first.outcome = JOB_OUTCOME_REPLIED;
    assert_int_equal(case_update(queue, &first), STATUS_OK);
    before = case_get(queue, first.id);
    assert_int_equal(before.outcome, JOB_OUTCOME_REPLIED);
    assert_true(str_copy(again.reply_token, sizeof(again.reply_token), "new"));
    again.received_ms = NOW + 500;
    assert_int_equal(case_put(queue, &again, NOW + 500, LEASE),
                     STATUS_DUPLICATE);
    assert_int_equal(again.id, first.id);
    stored = case_get(queue, first.id);
    case_assert_equal(&stored, &before);
}

static void the_key_is_channel_event_and_message(void **state)
{
    struct queue *queue = case_queue(state);
    struct job a = case_job("event", "1");
    struct job b = case_job("event", "2");
    struct job c = case_job("event", "1");

    assert_true(str_copy(c.channel, sizeof(c.channel), "other"));
    assert_int_equal(case_put(queue, &a, NOW, 0), STATUS_OK);
    assert_int_equal(case_put(queue, &b, NOW, 0), STATUS_OK);
    assert_int_equal(case_put(queue, &c, NOW, 0), STATUS_OK);
    assert_true(a.id != b.id && b.id != c.id && a.id != c.id);
}

static void a_duplicate_within_one_transaction_is_seen(void **state)
{
    struct queue *queue = case_queue(state);
    struct job a = case_job("event", "1");
    struct job b = case_job("event", "1");

    case_begin(queue);
    assert_int_equal(queue_put(queue, &a, NOW, LEASE), STATUS_OK);
    assert_int_equal(queue_put(queue, &b, NOW, LEASE), STATUS_DUPLICATE);
    case_commit(queue);
    assert_int_equal(a.id, b.id);
}

/* ---- claim and lease */

static void claim_takes_the_oldest_due_first(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t late = case_put_new(queue, "late", NOW + 30, 0);
    int64_t old = case_put_new(queue, "old", NOW + 10, 0);
    int64_t mid = case_put_new(queue, "mid", NOW + 20, 0);
    struct job jobs[4];

    assert_int_equal(case_claim(queue, NOW + 9, jobs, 4), 0);
    assert_int_equal(case_claim(queue, NOW + 29, jobs, 4), 2);
    assert_int_equal(jobs[0].id, old);
    assert_int_equal(jobs[1].id, mid);
    assert_int_equal(case_claim(queue, NOW + 30, jobs, 4), 1);
    assert_int_equal(jobs[0].id, late);
    assert_int_equal(case_claim(queue, NOW + 30, jobs, 4), 0);
}

static void claim_fills_the_whole_job(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t id = case_put_new(queue, "event", NOW, 0);
    struct job claimed, stored;

    assert_int_equal(case_claim(queue, NOW + 7, &claimed, 1), 1);
    assert_int_equal(claimed.id, id);
    assert_int_equal(claimed.state, JOB_LEASED);
    assert_int_equal(claimed.attempts, 1);
    assert_int_equal(claimed.due_ms, NOW + 7 + LEASE);
    assert_string_equal(claimed.reply_token, "token");
    stored = case_get(queue, id);
    case_assert_equal(&claimed, &stored);
}

static void claim_keeps_to_its_limit(void **state)
{
    struct queue *queue = case_queue(state);
    struct job jobs[3];

    case_put_new(queue, "a", NOW, 0);
    case_put_new(queue, "b", NOW, 0);
    case_put_new(queue, "c", NOW, 0);
    assert_int_equal(case_claim(queue, NOW, jobs, 0), 0);
    assert_int_equal(case_claim(queue, NOW, jobs, 2), 2);
    assert_int_equal(case_claim(queue, NOW, jobs, 2), 1);
}

static void an_expired_lease_is_claimed_again(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t id = case_put_new(queue, "event", NOW, LEASE);
    struct job job;

    assert_int_equal(case_claim(queue, NOW + LEASE - 1, &job, 1), 0);
    assert_int_equal(case_claim(queue, NOW + LEASE, &job, 1), 1);
    assert_int_equal(job.id, id);
    assert_int_equal(job.attempts, 2);
    assert_int_equal(job.due_ms, NOW + 2 * LEASE);
}

static void extend_moves_the_lease_of_held_jobs_only(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t held = case_put_new(queue, "held", NOW, LEASE);
    int64_t ready = case_put_new(queue, "ready", NOW, 0);
    int64_t ids[] = {held, ready, 987654};

    case_begin(queue);
    assert_int_equal(queue_extend(queue, ids, ARRAY_COUNT(ids), NOW + 9000),
                     STATUS_OK);
    case_commit(queue);
    assert_int_equal(case_get(queue, held).due_ms, NOW + 9000);
    assert_int_equal(case_get(queue, held).state, JOB_LEASED);
    assert_int_equal(case_get(queue, ready).due_ms, NOW);
    assert_int_equal(case_get(queue, ready).state, JOB_READY);
}

/* ---- update */

static void update_writes_every_field(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");
    struct job stored;

    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    job.stage = JOB_STAGE_REPLY;
    job.outcome = JOB_OUTCOME_PUSHED;
    job.attempts = 3;
    job.due_ms = NOW + 2 * LEASE;
    job.reply_in_doubt = true;
    job.alone = true;
    job.token_spent = true;
    job.last_status = STATUS_IMAGE_TOO_WIDE;
    assert_true(str_copy(job.reason, sizeof(job.reason), "it's \"odd\"; \n"));
    assert_true(str_copy(job.original_name, sizeof(job.original_name),
                         "ab/cdefgh.png"));
    assert_true(
        str_copy(job.preview_name, sizeof(job.preview_name), "ij/klmn.png"));
    job.fetched_ms = 1790000003000;
    job.published_ms = 1790000004000;
    assert_true(str_copy(job.push_key, sizeof(job.push_key), "a-key"));
    assert_int_equal(case_update(queue, &job), STATUS_OK);
    stored = case_get(queue, job.id);
    case_assert_equal(&stored, &job);
}

static void fields_hold_their_longest_values(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("", "");
    struct job stored;

    memset(job.channel, 'c', CHANNEL_NAME_MAX);
    memset(job.event_id, 'e', EVENT_ID_MAX);
    memset(job.message_id, 'm', MESSAGE_ID_MAX);
    memset(job.reply_token, 't', REPLY_TOKEN_MAX);
    memset(job.source_id, 's', SOURCE_ID_MAX);
    memset(job.reason, 'r', JOB_REASON_MAX);
    memset(job.original_name, 'o', JOB_FILE_NAME_MAX);
    memset(job.preview_name, 'p', JOB_FILE_NAME_MAX);
    memset(job.quote_token, 'q', QUOTE_TOKEN_MAX);
    memset(job.read_token, 'd', QUOTE_TOKEN_MAX);
    memset(job.set_id, 'i', SET_ID_MAX);
    memset(job.external_url, 'u', EXTERNAL_URL_MAX);
    memset(job.push_key, 'k', RETRY_KEY_MAX);
    job.kind = JOB_EXTERNAL;
    job.stage = JOB_STAGE_FAILURE;
    job.outcome = JOB_OUTCOME_REMOVED;
    job.set_index = SET_TOTAL_MAX;
    job.set_total = SET_TOTAL_MAX;
    job.event_ms = INT64_MAX;
    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    stored = case_get(queue, job.id);
    case_assert_equal(&stored, &job);
}

static void update_leaves_what_came_in(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");
    struct job other;

    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    other = case_job("another", "2");
    other.id = job.id;
    other.claim = job.claim;
    other.state = JOB_DONE;
    assert_int_equal(case_update(queue, &other), STATUS_OK);
    assert_string_equal(case_get(queue, job.id).event_id, "event");
    assert_string_equal(case_get(queue, job.id).message_id, "1");
    assert_int_equal(case_get(queue, job.id).received_ms, NOW - 10);
}

static void a_note_keeps_the_lease(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");
    struct job none;
    int64_t id;

    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    id = job.id;
    case_begin(queue);
    assert_int_equal(queue_extend(queue, &id, 1, NOW + 3 * LEASE), STATUS_OK);
    case_commit(queue);
    job.stage = JOB_STAGE_REPLY; /* due_ms is from before the extension */
    assert_int_equal(case_update(queue, &job), STATUS_OK);
    assert_int_equal(case_get(queue, id).due_ms, NOW + 3 * LEASE);
    assert_int_equal(case_claim(queue, NOW + 3 * LEASE - 1, &none, 1), 0);
    job.state = JOB_DONE;
    assert_int_equal(case_update(queue, &job), STATUS_OK);
}

static void a_retry_is_due_when_it_says(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");

    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    job.state = JOB_READY;
    job.due_ms = NOW + 250;
    assert_int_equal(case_update(queue, &job), STATUS_OK);
    assert_int_equal(case_claim(queue, NOW + 249, &job, 1), 0);
    assert_int_equal(case_claim(queue, NOW + 250, &job, 1), 1);
    assert_int_equal(job.attempts, 2);
}

static void finished_jobs_are_not_claimed(void **state)
{
    struct queue *queue = case_queue(state);
    struct job done = case_job("done", "1");
    struct job dead = case_job("dead", "1");
    struct job none;

    assert_int_equal(case_put(queue, &done, NOW, LEASE), STATUS_OK);
    assert_int_equal(case_put(queue, &dead, NOW, LEASE), STATUS_OK);
    done.state = JOB_DONE;
    dead.state = JOB_DEAD;
    assert_int_equal(case_update(queue, &done), STATUS_OK);
    assert_int_equal(case_update(queue, &dead), STATUS_OK);
    assert_int_equal(case_claim(queue, NOW + 100 * LEASE, &none, 1), 0);
    assert_int_equal(case_update(queue, &done), STATUS_LEASE_LOST);
    assert_int_equal(case_update(queue, &dead), STATUS_LEASE_LOST);
}

static void a_job_that_is_not_held_cannot_be_changed(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");
    struct job changed, stored;

    assert_int_equal(case_put(queue, &job, NOW, 0), STATUS_OK);
    changed = job;
    changed.state = JOB_DONE;
    assert_int_equal(case_update(queue, &changed), STATUS_LEASE_LOST);
    stored = case_get(queue, job.id);
    case_assert_equal(&stored, &job);
    changed.id = 987654;
    assert_int_equal(case_update(queue, &changed), STATUS_LEASE_LOST);
}

/* ---- transactions */

static void rollback_leaves_nothing(void **state)
{
    struct queue *queue = case_queue(state);
    struct job kept = case_job("kept", "1");
    struct job gone = case_job("gone", "1");
    struct job again = case_job("kept", "1");
    static struct queue_lease claimed;
    struct job stored;
    size_t count;

    assert_int_equal(case_put(queue, &kept, NOW, 0), STATUS_OK);
    again.received_ms = NOW + 1000;
    case_begin(queue);
    assert_int_equal(queue_put(queue, &gone, NOW, LEASE), STATUS_OK);
    assert_int_equal(queue_put(queue, &again, NOW, 0), STATUS_DUPLICATE);
    assert_int_equal(queue_claim(queue, NOW, LEASE, &claimed, 1, &count),
                     STATUS_OK);
    assert_int_equal(count, 1);
    claimed.job.state = JOB_DONE;
    assert_int_equal(queue_update(queue, &claimed.job, NULL, NOW), STATUS_OK);
    assert_int_equal(queue_purge(queue, &case_keep_nothing, FAR, 10, &count),
                     STATUS_OK);
    assert_int_equal(count, 1);
    queue_rollback(queue);
    stored = case_get(queue, kept.id);
    case_assert_equal(&stored, &kept);
    assert_int_equal(queue_get(queue, gone.id, &stored), STATUS_NOT_FOUND);
    assert_int_equal(case_put(queue, &gone, NOW, 0), STATUS_OK);
}

static void changes_need_a_transaction(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t id = case_put_new(queue, "event", NOW, LEASE);
    struct job job = case_get(queue, id);
    struct job other = case_job("other", "1");
    static struct queue_lease lease;
    size_t count;

    assert_int_equal(queue_put(queue, &other, NOW, 0), STATUS_BUG);
    assert_int_equal(queue_update(queue, &job, NULL, NOW), STATUS_BUG);
    assert_int_equal(queue_extend(queue, &id, 1, NOW), STATUS_BUG);
    assert_int_equal(
        queue_claim(queue, NOW + 2 * LEASE, LEASE, &lease, 1, &count),
        STATUS_BUG);
    assert_int_equal(queue_reap(queue, NOW, &count), STATUS_BUG);
    assert_int_equal(queue_commit(queue), STATUS_BUG);
    case_begin(queue);
    assert_int_equal(queue_begin(queue), STATUS_BUG);
    case_commit(queue);
    queue_rollback(queue); /* harmless outside */
}

static void unsound_jobs_are_refused(void **state)
{
    struct queue *queue = case_queue(state);
    struct job good = case_job("event", "1");
    struct job bad;

    case_begin(queue);
    bad = good;
    memset(bad.reply_token, 'x', sizeof(bad.reply_token));
    assert_int_equal(queue_put(queue, &bad, NOW, 0), STATUS_BUG);
    bad = good;
    bad.channel[0] = '\0';
    assert_int_equal(queue_put(queue, &bad, NOW, 0), STATUS_BUG);
    bad = good;
    bad.attempts = -1;
    assert_int_equal(queue_put(queue, &bad, NOW, 0), STATUS_BUG);
    assert_int_equal(queue_put(queue, &good, NOW, -1), STATUS_BUG);
    assert_int_equal(queue_put(queue, &good, NOW, LEASE), STATUS_OK);
    bad = good;
    bad.last_status = STATUS__COUNT;
    assert_int_equal(queue_update(queue, &bad, NULL, NOW), STATUS_BUG);
    case_commit(queue);
}

/* ---- looks and purge */

static void next_due_is_the_earliest_of_the_unfinished(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");
    int64_t due = 0;

    assert_int_equal(queue_next_due(queue, &due), STATUS_OK);
    assert_true(due == INT64_MAX);
    case_put_new(queue, "ready", NOW + 800, 0);
    assert_int_equal(case_put(queue, &job, NOW, 300), STATUS_OK);
    assert_int_equal(queue_next_due(queue, &due), STATUS_OK);
    assert_int_equal(due, NOW + 300);
    job.state = JOB_DONE;
    assert_int_equal(case_update(queue, &job), STATUS_OK);
    assert_int_equal(queue_next_due(queue, &due), STATUS_OK);
    assert_int_equal(due, NOW + 800);
}

static void stats_count_by_state(void **state)
{
    struct queue *queue = case_queue(state);
    enum job_state ends[] = {JOB_LEASED, JOB_DONE, JOB_DONE, JOB_DEAD};
    struct queue_stats stats;
    char event[16];

    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.ready + stats.leased + stats.done + stats.dead, 0);
    assert_int_equal(stats.oldest_ms, 0);
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        struct job job;

        (void)snprintf(event, sizeof(event), "event%zu", i);
        job = case_job(event, "1");
        job.received_ms = NOW + (int64_t)i;
        assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
        job.state = ends[i];
        assert_int_equal(case_update(queue, &job), STATUS_OK);
    }
    case_put_new(queue, "ready", NOW, 0); /* received at NOW - 10 */
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.ready, 1);
    assert_int_equal(stats.leased, 1);
    assert_int_equal(stats.done, 2);
    assert_int_equal(stats.dead, 1);
    assert_int_equal(stats.oldest_ms, NOW - 10);
}

static void recent_are_the_last_pictures(void **state)
{
    struct queue *queue = case_queue(state);
    struct job jobs[2], unsend = case_job("e4", "9");
    size_t count = 99;

    assert_int_equal(queue_recent(queue, jobs, 2, &count), STATUS_OK);
    assert_int_equal(count, 0);
    (void)case_put_new(queue, "e1", NOW, 0);
    (void)case_put_new(queue, "e2", NOW, LEASE);
    assert_int_equal(queue_recent(queue, jobs, 1, &count), STATUS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(jobs[0].event_id, "e2");
    unsend.kind = JOB_UNSEND;
    assert_int_equal(case_put(queue, &unsend, NOW, 0), STATUS_OK);
    assert_int_equal(queue_recent(queue, jobs, 2, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(jobs[0].event_id, "e2");
    assert_int_equal(jobs[0].state, JOB_LEASED);
    assert_string_equal(jobs[1].event_id, "e1");
    assert_int_equal(queue_recent(queue, jobs, 0, &count), STATUS_OK);
    assert_int_equal(count, 0);
}

static void get_of_an_unknown_id_is_not_found(void **state)
{
    struct job job;

    assert_int_equal(queue_get(case_queue(state), 987654, &job),
                     STATUS_NOT_FOUND);
    assert_int_equal(queue_get(case_queue(state), 0, &job), STATUS_NOT_FOUND);
}

/* One job of each state, received at NOW. */
static void put_one_of_each(struct queue *queue, int64_t ids[JOB_DEAD + 1])
{
    for (int state = JOB_READY; state <= JOB_DEAD; state++) {
        char event[16];
        struct job job;

        (void)snprintf(event, sizeof(event), "event%d", state);
        job = case_job(event, "1");
        job.received_ms = NOW;
        assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
        job.state = (enum job_state)state;
        assert_int_equal(case_update(queue, &job), STATUS_OK);
        ids[state] = job.id;
    }
}

static size_t purge_at(struct queue *queue, const struct queue_keep *keep,
                       int64_t now_ms, size_t max)
{
    size_t count;

    case_begin(queue);
    assert_int_equal(queue_purge(queue, keep, now_ms, max, &count), STATUS_OK);
    case_commit(queue);
    return count;
}

static void purge_removes_what_has_ended_and_is_old(void **state)
{
    struct queue *queue = case_queue(state);
    const struct queue_keep keep = {.done_ms = 100, .dead_ms = 200};
    int64_t ids[JOB_DEAD + 1];
    struct queue_stats stats;
    struct job job;

    put_one_of_each(queue, ids);
    assert_int_equal(purge_at(queue, &keep, NOW + 100, 9), 0);
    assert_int_equal(purge_at(queue, &keep, NOW + 101, 9), 1);
    assert_int_equal(queue_get(queue, ids[JOB_DONE], &job), STATUS_NOT_FOUND);
    assert_int_equal(purge_at(queue, &keep, NOW + 200, 9), 0);
    assert_int_equal(purge_at(queue, &keep, NOW + 201, 9), 1);
    assert_int_equal(queue_get(queue, ids[JOB_DEAD], &job), STATUS_NOT_FOUND);
    assert_int_equal(purge_at(queue, &keep, FAR, 9), 0);
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.done + stats.dead, 0);
    assert_int_equal(stats.ready, 1);
    assert_int_equal(stats.leased, 1);
}

static void purge_keeps_for_ever_and_to_its_number(void **state)
{
    struct queue *queue = case_queue(state);
    const struct queue_keep for_ever = {0};
    const struct queue_keep dead_only = {.dead_ms = 1};
    int64_t ids[JOB_DEAD + 1];
    struct job job;

    put_one_of_each(queue, ids);
    assert_int_equal(purge_at(queue, &for_ever, FAR, 9), 0);
    assert_int_equal(purge_at(queue, &case_keep_nothing, FAR, 0), 0);
    assert_int_equal(purge_at(queue, &case_keep_nothing, FAR, 1), 1);
    assert_int_equal(queue_get(queue, ids[JOB_DEAD], &job), STATUS_OK);
    assert_int_equal(purge_at(queue, &dead_only, FAR, 1), 1);
    assert_int_equal(queue_get(queue, ids[JOB_DEAD], &job), STATUS_NOT_FOUND);
}

/* Whether the row has what only a request to LINE would need. */
static bool knows_sender(struct queue *queue, int64_t id)
{
    struct job job = case_get(queue, id);
    size_t known = strlen(job.reply_token) + strlen(job.source_id) +
                   strlen(job.quote_token) + strlen(job.read_token) +
                   strlen(job.external_url);

    assert_string_equal(job.set_id, "set");
    assert_int_equal(job.source, JOB_SOURCE_GROUP);
    return known > 0;
}

static struct job personal_job(const char *event)
{
    struct job job = case_job(event, event);

    job.source = JOB_SOURCE_GROUP;
    (void)str_copy(job.source_id, sizeof(job.source_id), "Cgroup");
    (void)str_copy(job.quote_token, sizeof(job.quote_token), "quote");
    (void)str_copy(job.read_token, sizeof(job.read_token), "read");
    (void)str_copy(job.external_url, sizeof(job.external_url), "https://a/b");
    (void)str_copy(job.set_id, sizeof(job.set_id), "set");
    return job;
}

static void a_done_job_does_not_know_its_sender(void **state)
{
    const struct queue_extra extra = {.adopt_token = true};
    struct queue *queue = case_queue(state);

    for (int end = JOB_READY; end <= JOB_DEAD; end++) {
        char event[16];
        struct job job;

        (void)snprintf(event, sizeof(event), "event%d", end);
        job = personal_job(event);
        assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
        assert_true(knows_sender(queue, job.id));
        job.state = (enum job_state)end;
        case_begin(queue);
        assert_int_equal(queue_update(queue, &job, &extra, NOW), STATUS_OK);
        case_commit(queue);
        assert_int_equal(knows_sender(queue, job.id), end != JOB_DONE);
    }
}

static void nor_does_one_that_was_taken_back(void **state)
{
    struct queue *queue = case_queue(state);
    struct job before = personal_job("before"), after = personal_job("after");
    struct job unsend = case_job("unsend", "before");

    unsend.kind = JOB_UNSEND;
    assert_int_equal(case_put(queue, &before, NOW, 0), STATUS_OK);
    assert_int_equal(case_put(queue, &unsend, NOW, 0), STATUS_OK);
    assert_int_equal(case_get(queue, before.id).state, JOB_DONE);
    assert_false(knows_sender(queue, before.id));
    (void)str_copy(after.message_id, sizeof(after.message_id), "before");
    assert_int_equal(case_put(queue, &after, NOW, 0), STATUS_OK);
    assert_int_equal(case_get(queue, after.id).state, JOB_DONE);
    assert_false(knows_sender(queue, after.id));
}

static void ids_are_never_given_twice(void **state)
{
    struct queue *queue = case_queue(state);
    struct job job = case_job("event", "1");
    int64_t first;
    size_t count;

    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    first = job.id;
    job.state = JOB_DONE;
    assert_int_equal(case_update(queue, &job), STATUS_OK);
    case_begin(queue);
    assert_int_equal(queue_purge(queue, &case_keep_nothing, FAR, 9, &count),
                     STATUS_OK);
    case_commit(queue);
    assert_int_equal(count, 1);
    assert_int_equal(case_put(queue, &job, NOW, LEASE), STATUS_OK);
    assert_true(job.id > first);
}

static void reap_spares_the_living(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t id = case_put_new(queue, "event", NOW, LEASE);
    size_t count = 99;

    case_begin(queue);
    assert_int_equal(queue_reap(queue, NOW, &count), STATUS_OK);
    case_commit(queue);
    assert_int_equal(count, 0);
    assert_int_equal(case_get(queue, id).state, JOB_LEASED);
}

static void unknown_schemes_are_refused(void **state)
{
    struct queue *queue;
    char why[128] = "";

    (void)state;
    assert_int_equal(queue_open(&queue, "mysql:x", why, sizeof(why)),
                     STATUS_BAD_CONFIG);
    assert_non_null(strstr(why, "mysql:x"));
    assert_int_equal(queue_open(&queue, "sqlite", why, sizeof(why)),
                     STATUS_BAD_CONFIG);
    assert_int_equal(queue_open(&queue, "sqlite:", why, sizeof(why)),
                     STATUS_BAD_CONFIG);
    assert_int_equal(queue_open(&queue, "", why, sizeof(why)),
                     STATUS_BAD_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_OVER_ALL(put_stores_a_ready_job),
        CASE_OVER_ALL(put_with_a_lease_stores_a_leased_job),
        CASE_OVER_ALL(a_redelivery_renews_the_token),
        CASE_OVER_ALL(a_redelivery_of_a_finished_job_changes_nothing),
        CASE_OVER_ALL(the_key_is_channel_event_and_message),
        CASE_OVER_ALL(a_duplicate_within_one_transaction_is_seen),
        CASE_OVER_ALL(claim_takes_the_oldest_due_first),
        CASE_OVER_ALL(claim_fills_the_whole_job),
        CASE_OVER_ALL(claim_keeps_to_its_limit),
        CASE_OVER_ALL(an_expired_lease_is_claimed_again),
        CASE_OVER_ALL(extend_moves_the_lease_of_held_jobs_only),
        CASE_OVER_ALL(update_writes_every_field),
        CASE_OVER_ALL(fields_hold_their_longest_values),
        CASE_OVER_ALL(update_leaves_what_came_in),
        CASE_OVER_ALL(a_note_keeps_the_lease),
        CASE_OVER_ALL(a_retry_is_due_when_it_says),
        CASE_OVER_ALL(finished_jobs_are_not_claimed),
        CASE_OVER_ALL(a_job_that_is_not_held_cannot_be_changed),
        CASE_OVER_ALL(rollback_leaves_nothing),
        CASE_OVER_ALL(changes_need_a_transaction),
        CASE_OVER_ALL(unsound_jobs_are_refused),
        CASE_OVER_ALL(next_due_is_the_earliest_of_the_unfinished),
        CASE_OVER_ALL(stats_count_by_state),
        CASE_OVER_ALL(recent_are_the_last_pictures),
        CASE_OVER_ALL(get_of_an_unknown_id_is_not_found),
        CASE_OVER_ALL(purge_removes_what_has_ended_and_is_old),
        CASE_OVER_ALL(purge_keeps_for_ever_and_to_its_number),
        CASE_OVER_ALL(a_done_job_does_not_know_its_sender),
        CASE_OVER_ALL(nor_does_one_that_was_taken_back),
        CASE_OVER_ALL(ids_are_never_given_twice),
        CASE_OVER_ALL(reap_spares_the_living),
        cmocka_unit_test(unknown_schemes_are_refused),
    };

    return cmocka_run_group_tests_name("queue contract", tests, NULL, NULL);
}
