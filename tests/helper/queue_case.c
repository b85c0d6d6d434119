/*
 * queue_case.c: see queue_case.h.
 */
#include "queue_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test_dir.h"

struct fixture {
    char dir[TEST_DIR_MAX];
    char url[TEST_DIR_MAX + 32];
    struct queue *queue, *other;
};

static int set_up(struct fixture *f, const char *backend)
{
    char why[256] = "";

    *f = (struct fixture){.url = "memory:"};
    if (str_eq(backend, "sqlite")) {
        test_dir_make(f->dir);
        (void)snprintf(f->url, sizeof(f->url), "sqlite:%s/queue.db", f->dir);
    }
    assert_int_equal(queue_open(&f->queue, f->url, why, sizeof(why)),
                     STATUS_OK);
    return 0;
}

int case_set_up_memory(void **state)
{
    static struct fixture fixture;

    *state = &fixture;
    return set_up(&fixture, "memory");
}

int case_set_up_sqlite(void **state)
{
    static struct fixture fixture;

    *state = &fixture;
    return set_up(&fixture, "sqlite");
}

int case_tear_down(void **state)
{
    struct fixture *f = *state;

    queue_close(f->other);
    queue_close(f->queue);
    if (f->dir[0] != '\0')
        test_dir_remove(f->dir);
    return 0;
}

struct queue *case_queue(void **state)
{
    return ((struct fixture *)*state)->queue;
}

struct queue *case_other_owner(void **state)
{
    struct fixture *f = *state;
    char why[256] = "";

    if (f->dir[0] != '\0')
        assert_int_equal(queue_open(&f->other, f->url, why, sizeof(why)),
                         STATUS_OK);
    return f->other;
}

/* ---- shorthands, each a transaction of its own */

const struct queue_keep case_keep_nothing = {.done_ms = 1, .dead_ms = 1};

struct job case_job(const char *event, const char *message)
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

void case_begin(struct queue *queue)
{
    assert_int_equal(queue_begin(queue), STATUS_OK);
}

void case_commit(struct queue *queue)
{
    assert_int_equal(queue_commit(queue), STATUS_OK);
}

enum status case_put(struct queue *queue, struct job *job, int64_t now_ms,
                     int64_t lease_ms)
{
    enum status status;

    case_begin(queue);
    status = queue_put(queue, job, now_ms, lease_ms);
    case_commit(queue);
    return status;
}

int64_t case_put_new(struct queue *queue, const char *event, int64_t now_ms,
                     int64_t lease_ms)
{
    struct job job = case_job(event, "1");

    assert_int_equal(case_put(queue, &job, now_ms, lease_ms), STATUS_OK);
    assert_true(job.id > 0);
    return job.id;
}

size_t case_claim(struct queue *queue, int64_t now_ms, struct job *jobs,
                  size_t max)
{
    static struct queue_lease leases[QUEUE_LEASES_MAX(CASE_CLAIM_MAX)];
    size_t count = 99;

    case_begin(queue);
    assert_int_equal(queue_claim(queue, now_ms, LEASE, leases, max, &count),
                     STATUS_OK);
    case_commit(queue);
    for (size_t i = 0; i < count; i++) {
        jobs[i] = leases[i].job;
        free(leases[i].messages);
    }
    return count;
}

enum status case_update_with(struct queue *queue, struct job *job,
                             const struct queue_extra *extra, int64_t now_ms)
{
    enum status status;

    case_begin(queue);
    status = queue_update(queue, job, extra, now_ms);
    case_commit(queue);
    return status;
}

enum status case_update(struct queue *queue, const struct job *job)
{
    struct job copy = *job;

    return case_update_with(queue, &copy, NULL, NOW);
}

struct job case_get(struct queue *queue, int64_t id)
{
    struct job job;

    assert_int_equal(queue_get(queue, id, &job), STATUS_OK);
    return job;
}

void case_assert_equal(const struct job *a, const struct job *b)
{
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->claim, b->claim);
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
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->quote_token, b->quote_token);
    assert_string_equal(a->read_token, b->read_token);
    assert_string_equal(a->set_id, b->set_id);
    assert_int_equal(a->set_index, b->set_index);
    assert_int_equal(a->set_total, b->set_total);
    assert_string_equal(a->external_url, b->external_url);
    assert_int_equal(a->token_spent, b->token_spent);
    assert_string_equal(a->push_key, b->push_key);
    assert_int_equal(a->fetched_ms, b->fetched_ms);
    assert_int_equal(a->published_ms, b->published_ms);
}
