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

#include "../helper/test_dir.h"
#include "queue.h"

#define NOW 1000000 /* any wall clock will do */
#define LEASE 5000
#define LEASES QUEUE_LEASES_MAX(32)

struct fixture {
    char dir[TEST_DIR_MAX];
    struct queue *queue;
};

static int set_up(struct fixture *f, const char *backend)
{
    char url[TEST_DIR_MAX + 32] = "memory:";
    char why[256] = "";

    *f = (struct fixture){0};
    if (str_eq(backend, "sqlite")) {
        test_dir_make(f->dir);
        (void)snprintf(url, sizeof(url), "sqlite:%s/queue.db", f->dir);
    }
    assert_int_equal(queue_open(&f->queue, url, why, sizeof(why)), STATUS_OK);
    return 0;
}

static int set_up_memory(void **state)
{
    static struct fixture fixture;

    *state = &fixture;
    return set_up(&fixture, "memory");
}

static int set_up_sqlite(void **state)
{
    static struct fixture fixture;

    *state = &fixture;
    return set_up(&fixture, "sqlite");
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    queue_close(f->queue);
    if (f->dir[0] != '\0')
        test_dir_remove(f->dir);
    return 0;
}

static struct queue *queue_of(void **state)
{
    return ((struct fixture *)*state)->queue;
}

/* ---- shorthands, each a transaction of its own */

static struct job make_job(const char *event, const char *message)
{
    struct job job = {
        .channel = "main",
        .reply_token = "token",
        .source = JOB_SOURCE_GROUP,
        .source_id = "Cgroup",
        .event_ms = NOW - 20,
        .received_ms = NOW - 10,
    };

    assert_true(str_copy(job.event_id, sizeof(job.event_id), event));
    assert_true(str_copy(job.message_id, sizeof(job.message_id), message));
    return job;
}

static void begin(struct queue *queue)
{
    assert_int_equal(queue_begin(queue), STATUS_OK);
}

static void commit(struct queue *queue)
{
    assert_int_equal(queue_commit(queue), STATUS_OK);
}

static enum status put(struct queue *queue, struct job *job, int64_t now_ms,
                       int64_t lease_ms)
{
    enum status status;

    begin(queue);
    status = queue_put(queue, job, now_ms, lease_ms);
    commit(queue);
    return status;
}

static int64_t put_new(struct queue *queue, const char *event, int64_t now_ms,
                       int64_t lease_ms)
{
    struct job job = make_job(event, "1");

    assert_int_equal(put(queue, &job, now_ms, lease_ms), STATUS_OK);
    assert_true(job.id > 0);
    return job.id;
}

static size_t claim(struct queue *queue, int64_t now_ms, struct job *jobs,
                    size_t max)
{
    static struct queue_lease leases[LEASES];
    size_t count = 99;

    begin(queue);
    assert_int_equal(queue_claim(queue, now_ms, LEASE, leases, max, &count),
                     STATUS_OK);
    commit(queue);
    for (size_t i = 0; i < count; i++) {
        jobs[i] = leases[i].job;
        free(leases[i].messages);
    }
    return count;
}

static enum status update(struct queue *queue, const struct job *job)
{
    struct job copy = *job;
    enum status status;

    begin(queue);
    status = queue_update(queue, &copy, NULL, NOW);
    commit(queue);
    return status;
}

static struct job get(struct queue *queue, int64_t id)
{
    struct job job;

    assert_int_equal(queue_get(queue, id, &job), STATUS_OK);
    return job;
}

static void assert_job_equal(const struct job *a, const struct job *b)
{
    assert_int_equal(a->id, b->id);
    assert_string_equal(a->channel, b->channel);
    assert_string_equal(a->event_id, b->event_id);
    assert_string_equal(a->message_id, b->message_id);
    assert_string_equal(a->reply_token, b->reply_token);
    assert_int_equal(a->source, b->source);
    assert_string_equal(a->source_id, b->source_id);
    assert_int_equal(a->event_ms, b->event_ms);
    assert_int_equal(a->received_ms, b->received_ms);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->stage, b->stage);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->due_ms, b->due_ms);
    assert_int_equal(a->reply_in_doubt, b->reply_in_doubt);
    assert_int_equal(a->alone, b->alone);
    assert_int_equal(a->last_status, b->last_status);
    assert_string_equal(a->reason, b->reason);
    assert_string_equal(a->original_name, b->original_name);
    assert_string_equal(a->preview_name, b->preview_name);
}

/* ---- put */

static void put_stores_a_ready_job(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");
    struct job stored;

    assert_int_equal(put(queue, &job, NOW, 0), STATUS_OK);
    assert_int_equal(job.state, JOB_READY);
    assert_int_equal(job.attempts, 0);
    assert_int_equal(job.due_ms, NOW);
    stored = get(queue, job.id);
    assert_job_equal(&stored, &job);
}

static void put_with_a_lease_stores_a_leased_job(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");
    struct job stored, claimed;

    assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
    assert_int_equal(job.state, JOB_LEASED);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(job.due_ms, NOW + LEASE);
    stored = get(queue, job.id);
    assert_job_equal(&stored, &job);
    assert_int_equal(claim(queue, NOW + LEASE - 1, &claimed, 1), 0);
    job.state = JOB_DONE;
    assert_int_equal(update(queue, &job), STATUS_OK);
}

static void a_redelivery_renews_the_token(void **state)
{
    struct queue *queue = queue_of(state);
    struct job first = make_job("event", "1");
    struct job again = make_job("event", "1");
    struct job stored;

    assert_int_equal(put(queue, &first, NOW, LEASE), STATUS_OK);
    assert_true(str_copy(again.reply_token, sizeof(again.reply_token), "new"));
    again.received_ms = NOW + 500;
    assert_int_equal(put(queue, &again, NOW + 500, LEASE), STATUS_DUPLICATE);
    assert_int_equal(again.id, first.id);
    stored = get(queue, first.id);
    assert_string_equal(stored.reply_token, "new");
    assert_int_equal(stored.received_ms, NOW + 500);
    assert_int_equal(stored.due_ms, NOW + LEASE);
    assert_int_equal(stored.attempts, 1);
}

static void a_redelivery_of_a_finished_job_changes_nothing(void **state)
{
    struct queue *queue = queue_of(state);
    struct job first = make_job("event", "1");
    struct job again = make_job("event", "1");
    struct job stored;

    assert_int_equal(put(queue, &first, NOW, LEASE), STATUS_OK);
    first.state = JOB_DONE;
    first.outcome = JOB_OUTCOME_REPLIED;
    assert_int_equal(update(queue, &first), STATUS_OK);
    assert_true(str_copy(again.reply_token, sizeof(again.reply_token), "new"));
    again.received_ms = NOW + 500;
    assert_int_equal(put(queue, &again, NOW + 500, LEASE), STATUS_DUPLICATE);
    assert_int_equal(again.id, first.id);
    stored = get(queue, first.id);
    assert_job_equal(&stored, &first);
}

static void the_key_is_channel_event_and_message(void **state)
{
    struct queue *queue = queue_of(state);
    struct job a = make_job("event", "1");
    struct job b = make_job("event", "2");
    struct job c = make_job("event", "1");

    assert_true(str_copy(c.channel, sizeof(c.channel), "other"));
    assert_int_equal(put(queue, &a, NOW, 0), STATUS_OK);
    assert_int_equal(put(queue, &b, NOW, 0), STATUS_OK);
    assert_int_equal(put(queue, &c, NOW, 0), STATUS_OK);
    assert_true(a.id != b.id && b.id != c.id && a.id != c.id);
}

static void a_duplicate_within_one_transaction_is_seen(void **state)
{
    struct queue *queue = queue_of(state);
    struct job a = make_job("event", "1");
    struct job b = make_job("event", "1");

    begin(queue);
    assert_int_equal(queue_put(queue, &a, NOW, LEASE), STATUS_OK);
    assert_int_equal(queue_put(queue, &b, NOW, LEASE), STATUS_DUPLICATE);
    commit(queue);
    assert_int_equal(a.id, b.id);
}

/* ---- claim and lease */

static void claim_takes_the_oldest_due_first(void **state)
{
    struct queue *queue = queue_of(state);
    int64_t late = put_new(queue, "late", NOW + 30, 0);
    int64_t old = put_new(queue, "old", NOW + 10, 0);
    int64_t mid = put_new(queue, "mid", NOW + 20, 0);
    struct job jobs[4];

    assert_int_equal(claim(queue, NOW + 9, jobs, 4), 0);
    assert_int_equal(claim(queue, NOW + 29, jobs, 4), 2);
    assert_int_equal(jobs[0].id, old);
    assert_int_equal(jobs[1].id, mid);
    assert_int_equal(claim(queue, NOW + 30, jobs, 4), 1);
    assert_int_equal(jobs[0].id, late);
    assert_int_equal(claim(queue, NOW + 30, jobs, 4), 0);
}

static void claim_fills_the_whole_job(void **state)
{
    struct queue *queue = queue_of(state);
    int64_t id = put_new(queue, "event", NOW, 0);
    struct job claimed, stored;

    assert_int_equal(claim(queue, NOW + 7, &claimed, 1), 1);
    assert_int_equal(claimed.id, id);
    assert_int_equal(claimed.state, JOB_LEASED);
    assert_int_equal(claimed.attempts, 1);
    assert_int_equal(claimed.due_ms, NOW + 7 + LEASE);
    assert_string_equal(claimed.reply_token, "token");
    stored = get(queue, id);
    assert_job_equal(&claimed, &stored);
}

static void claim_keeps_to_its_limit(void **state)
{
    struct queue *queue = queue_of(state);
    struct job jobs[3];

    put_new(queue, "a", NOW, 0);
    put_new(queue, "b", NOW, 0);
    put_new(queue, "c", NOW, 0);
    assert_int_equal(claim(queue, NOW, jobs, 0), 0);
    assert_int_equal(claim(queue, NOW, jobs, 2), 2);
    assert_int_equal(claim(queue, NOW, jobs, 2), 1);
}

static void an_expired_lease_is_claimed_again(void **state)
{
    struct queue *queue = queue_of(state);
    int64_t id = put_new(queue, "event", NOW, LEASE);
    struct job job;

    assert_int_equal(claim(queue, NOW + LEASE - 1, &job, 1), 0);
    assert_int_equal(claim(queue, NOW + LEASE, &job, 1), 1);
    assert_int_equal(job.id, id);
    assert_int_equal(job.attempts, 2);
    assert_int_equal(job.due_ms, NOW + 2 * LEASE);
}

static void extend_moves_the_lease_of_held_jobs_only(void **state)
{
    struct queue *queue = queue_of(state);
    int64_t held = put_new(queue, "held", NOW, LEASE);
    int64_t ready = put_new(queue, "ready", NOW, 0);
    int64_t ids[] = {held, ready, 987654};

    begin(queue);
    assert_int_equal(queue_extend(queue, ids, ARRAY_COUNT(ids), NOW + 9000),
                     STATUS_OK);
    commit(queue);
    assert_int_equal(get(queue, held).due_ms, NOW + 9000);
    assert_int_equal(get(queue, held).state, JOB_LEASED);
    assert_int_equal(get(queue, ready).due_ms, NOW);
    assert_int_equal(get(queue, ready).state, JOB_READY);
}

/* ---- update */

static void update_writes_every_field(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");
    struct job stored;

    assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
    job.stage = JOB_STAGE_REPLY;
    job.outcome = JOB_OUTCOME_PUSHED;
    job.attempts = 3;
    job.due_ms = NOW + 2 * LEASE;
    job.reply_in_doubt = true;
    job.alone = true;
    job.last_status = STATUS_IMAGE_TOO_WIDE;
    assert_true(str_copy(job.reason, sizeof(job.reason), "it's \"odd\"; \n"));
    assert_true(str_copy(job.original_name, sizeof(job.original_name),
                         "ab/cdefgh.png"));
    assert_true(
        str_copy(job.preview_name, sizeof(job.preview_name), "ij/klmn.png"));
    assert_int_equal(update(queue, &job), STATUS_OK);
    stored = get(queue, job.id);
    assert_job_equal(&stored, &job);
}

static void fields_hold_their_longest_values(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("", "");
    struct job stored;

    memset(job.channel, 'c', CHANNEL_NAME_MAX);
    memset(job.event_id, 'e', EVENT_ID_MAX);
    memset(job.message_id, 'm', MESSAGE_ID_MAX);
    memset(job.reply_token, 't', REPLY_TOKEN_MAX);
    memset(job.source_id, 's', SOURCE_ID_MAX);
    memset(job.reason, 'r', JOB_REASON_MAX);
    memset(job.original_name, 'o', JOB_FILE_NAME_MAX);
    memset(job.preview_name, 'p', JOB_FILE_NAME_MAX);
    job.event_ms = INT64_MAX;
    assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
    stored = get(queue, job.id);
    assert_job_equal(&stored, &job);
}

static void update_leaves_what_came_in(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");
    struct job other;

    assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
    other = make_job("another", "2");
    other.id = job.id;
    other.state = JOB_DONE;
    assert_int_equal(update(queue, &other), STATUS_OK);
    assert_string_equal(get(queue, job.id).event_id, "event");
    assert_string_equal(get(queue, job.id).message_id, "1");
    assert_int_equal(get(queue, job.id).received_ms, NOW - 10);
}

static void a_note_keeps_the_lease(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");
    struct job none;
    int64_t id;

    assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
    id = job.id;
    begin(queue);
    assert_int_equal(queue_extend(queue, &id, 1, NOW + 3 * LEASE), STATUS_OK);
    commit(queue);
    job.stage = JOB_STAGE_REPLY; /* due_ms is from before the extension */
    assert_int_equal(update(queue, &job), STATUS_OK);
    assert_int_equal(get(queue, id).due_ms, NOW + 3 * LEASE);
    assert_int_equal(claim(queue, NOW + 3 * LEASE - 1, &none, 1), 0);
    job.state = JOB_DONE;
    assert_int_equal(update(queue, &job), STATUS_OK);
}

static void a_retry_is_due_when_it_says(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");

    assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
    job.state = JOB_READY;
    job.due_ms = NOW + 250;
    assert_int_equal(update(queue, &job), STATUS_OK);
    assert_int_equal(claim(queue, NOW + 249, &job, 1), 0);
    assert_int_equal(claim(queue, NOW + 250, &job, 1), 1);
    assert_int_equal(job.attempts, 2);
}

static void finished_jobs_are_not_claimed(void **state)
{
    struct queue *queue = queue_of(state);
    struct job done = make_job("done", "1");
    struct job dead = make_job("dead", "1");
    struct job none;

    assert_int_equal(put(queue, &done, NOW, LEASE), STATUS_OK);
    assert_int_equal(put(queue, &dead, NOW, LEASE), STATUS_OK);
    done.state = JOB_DONE;
    dead.state = JOB_DEAD;
    assert_int_equal(update(queue, &done), STATUS_OK);
    assert_int_equal(update(queue, &dead), STATUS_OK);
    assert_int_equal(claim(queue, NOW + 100 * LEASE, &none, 1), 0);
    assert_int_equal(update(queue, &done), STATUS_LEASE_LOST);
    assert_int_equal(update(queue, &dead), STATUS_LEASE_LOST);
}

static void a_job_that_is_not_held_cannot_be_changed(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");
    struct job changed, stored;

    assert_int_equal(put(queue, &job, NOW, 0), STATUS_OK);
    changed = job;
    changed.state = JOB_DONE;
    assert_int_equal(update(queue, &changed), STATUS_LEASE_LOST);
    stored = get(queue, job.id);
    assert_job_equal(&stored, &job);
    changed.id = 987654;
    assert_int_equal(update(queue, &changed), STATUS_LEASE_LOST);
}

/* ---- transactions */

static void rollback_leaves_nothing(void **state)
{
    struct queue *queue = queue_of(state);
    struct job kept = make_job("kept", "1");
    struct job gone = make_job("gone", "1");
    struct job again = make_job("kept", "1");
    static struct queue_lease claimed;
    struct job stored;
    size_t count;

    assert_int_equal(put(queue, &kept, NOW, 0), STATUS_OK);
    again.received_ms = NOW + 1000;
    begin(queue);
    assert_int_equal(queue_put(queue, &gone, NOW, LEASE), STATUS_OK);
    assert_int_equal(queue_put(queue, &again, NOW, 0), STATUS_DUPLICATE);
    assert_int_equal(queue_claim(queue, NOW, LEASE, &claimed, 1, &count),
                     STATUS_OK);
    assert_int_equal(count, 1);
    claimed.job.state = JOB_DONE;
    assert_int_equal(queue_update(queue, &claimed.job, NULL, NOW), STATUS_OK);
    assert_int_equal(queue_purge(queue, INT64_MAX, 10, &count), STATUS_OK);
    assert_int_equal(count, 1);
    queue_rollback(queue);
    stored = get(queue, kept.id);
    assert_job_equal(&stored, &kept);
    assert_int_equal(queue_get(queue, gone.id, &stored), STATUS_NOT_FOUND);
    assert_int_equal(put(queue, &gone, NOW, 0), STATUS_OK);
}

static void changes_need_a_transaction(void **state)
{
    struct queue *queue = queue_of(state);
    int64_t id = put_new(queue, "event", NOW, LEASE);
    struct job job = get(queue, id);
    struct job other = make_job("other", "1");
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
    begin(queue);
    assert_int_equal(queue_begin(queue), STATUS_BUG);
    commit(queue);
    queue_rollback(queue); /* harmless outside */
}

static void unsound_jobs_are_refused(void **state)
{
    struct queue *queue = queue_of(state);
    struct job good = make_job("event", "1");
    struct job bad;

    begin(queue);
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
    commit(queue);
}

/* ---- looks and purge */

static void next_due_is_the_earliest_of_the_unfinished(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");
    int64_t due = 0;

    assert_int_equal(queue_next_due(queue, &due), STATUS_OK);
    assert_true(due == INT64_MAX);
    put_new(queue, "ready", NOW + 800, 0);
    assert_int_equal(put(queue, &job, NOW, 300), STATUS_OK);
    assert_int_equal(queue_next_due(queue, &due), STATUS_OK);
    assert_int_equal(due, NOW + 300);
    job.state = JOB_DONE;
    assert_int_equal(update(queue, &job), STATUS_OK);
    assert_int_equal(queue_next_due(queue, &due), STATUS_OK);
    assert_int_equal(due, NOW + 800);
}

static void stats_count_by_state(void **state)
{
    struct queue *queue = queue_of(state);
    enum job_state ends[] = {JOB_LEASED, JOB_DONE, JOB_DONE, JOB_DEAD};
    struct queue_stats stats;
    char event[16];

    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.ready + stats.leased + stats.done + stats.dead, 0);
    assert_int_equal(stats.oldest_ms, 0);
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        struct job job;

        (void)snprintf(event, sizeof(event), "event%zu", i);
        job = make_job(event, "1");
        job.received_ms = NOW + (int64_t)i;
        assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
        job.state = ends[i];
        assert_int_equal(update(queue, &job), STATUS_OK);
    }
    put_new(queue, "ready", NOW, 0); /* received at NOW - 10 */
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.ready, 1);
    assert_int_equal(stats.leased, 1);
    assert_int_equal(stats.done, 2);
    assert_int_equal(stats.dead, 1);
    assert_int_equal(stats.oldest_ms, NOW - 10);
}

static void get_of_an_unknown_id_is_not_found(void **state)
{
    struct job job;

    assert_int_equal(queue_get(queue_of(state), 987654, &job),
                     STATUS_NOT_FOUND);
    assert_int_equal(queue_get(queue_of(state), 0, &job), STATUS_NOT_FOUND);
}

static void purge_removes_old_done_jobs_only(void **state)
{
    struct queue *queue = queue_of(state);
    enum job_state ends[] = {JOB_DONE, JOB_DONE, JOB_DONE, JOB_DEAD,
                             JOB_LEASED};
    struct queue_stats stats;
    size_t counts[3];
    char event[16];

    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        struct job job;

        (void)snprintf(event, sizeof(event), "event%zu", i);
        job = make_job(event, "1");
        job.received_ms = i == 2 ? NOW : NOW - 1;
        assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
        job.state = ends[i];
        assert_int_equal(update(queue, &job), STATUS_OK);
    }
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        begin(queue);
        assert_int_equal(queue_purge(queue, NOW, 1, &counts[i]), STATUS_OK);
        commit(queue);
    }
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 0);
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.done, 1);
    assert_int_equal(stats.dead, 1);
    assert_int_equal(stats.leased, 1);
}

static void ids_are_never_given_twice(void **state)
{
    struct queue *queue = queue_of(state);
    struct job job = make_job("event", "1");
    int64_t first;
    size_t count;

    assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
    first = job.id;
    job.state = JOB_DONE;
    assert_int_equal(update(queue, &job), STATUS_OK);
    begin(queue);
    assert_int_equal(queue_purge(queue, INT64_MAX, 9, &count), STATUS_OK);
    commit(queue);
    assert_int_equal(count, 1);
    assert_int_equal(put(queue, &job, NOW, LEASE), STATUS_OK);
    assert_true(job.id > first);
}

static void reap_spares_the_living(void **state)
{
    struct queue *queue = queue_of(state);
    int64_t id = put_new(queue, "event", NOW, LEASE);
    size_t count = 99;

    begin(queue);
    assert_int_equal(queue_reap(queue, NOW, &count), STATUS_OK);
    commit(queue);
    assert_int_equal(count, 0);
    assert_int_equal(get(queue, id).state, JOB_LEASED);
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

/* clang-format off */
#define OVER_ALL(test)                                                         \
    {"memory: " #test, test, set_up_memory, tear_down, NULL},                  \
    {"sqlite: " #test, test, set_up_sqlite, tear_down, NULL}
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_ALL(put_stores_a_ready_job),
        OVER_ALL(put_with_a_lease_stores_a_leased_job),
        OVER_ALL(a_redelivery_renews_the_token),
        OVER_ALL(a_redelivery_of_a_finished_job_changes_nothing),
        OVER_ALL(the_key_is_channel_event_and_message),
        OVER_ALL(a_duplicate_within_one_transaction_is_seen),
        OVER_ALL(claim_takes_the_oldest_due_first),
        OVER_ALL(claim_fills_the_whole_job),
        OVER_ALL(claim_keeps_to_its_limit),
        OVER_ALL(an_expired_lease_is_claimed_again),
        OVER_ALL(extend_moves_the_lease_of_held_jobs_only),
        OVER_ALL(update_writes_every_field),
        OVER_ALL(fields_hold_their_longest_values),
        OVER_ALL(update_leaves_what_came_in),
        OVER_ALL(a_note_keeps_the_lease),
        OVER_ALL(a_retry_is_due_when_it_says),
        OVER_ALL(finished_jobs_are_not_claimed),
        OVER_ALL(a_job_that_is_not_held_cannot_be_changed),
        OVER_ALL(rollback_leaves_nothing),
        OVER_ALL(changes_need_a_transaction),
        OVER_ALL(unsound_jobs_are_refused),
        OVER_ALL(next_due_is_the_earliest_of_the_unfinished),
        OVER_ALL(stats_count_by_state),
        OVER_ALL(get_of_an_unknown_id_is_not_found),
        OVER_ALL(purge_removes_old_done_jobs_only),
        OVER_ALL(ids_are_never_given_twice),
        OVER_ALL(reap_spares_the_living),
        cmocka_unit_test(unknown_schemes_are_refused),
    };

    return cmocka_run_group_tests_name("queue contract", tests, NULL, NULL);
}
