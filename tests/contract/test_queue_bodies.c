/*
 * test_queue_bodies.c: the contract of queue.h for webhook bodies; every case
 * over every backend, and with a second owner where the backend has one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../helper/queue_case.h"

static const char binary[] = "{\"a\":\"\\u0000\"}\n\0\xff tail";

static int64_t put_body(struct queue *queue, const char *channel,
                        const char *bytes, size_t len, int64_t now_ms)
{
    struct queue_body *body = queue_body_new(WEBHOOK_BODY_MAX_BYTES);
    int64_t id;

    assert_non_null(body);
    assert_true(str_copy(body->channel, sizeof(body->channel), channel));
    assert_true(str_copy(body->signature, sizeof(body->signature), "c2ln"));
    body->received_ms = now_ms;
    assert_int_equal(buf_append(&body->body, bytes, len), STATUS_OK);
    case_begin(queue);
    assert_int_equal(queue_body_put(queue, body, now_ms), STATUS_OK);
    case_commit(queue);
    id = body->id;
    queue_body_free(body);
    return id;
}

static int64_t put_text(struct queue *queue, const char *channel,
                        int64_t now_ms)
{
    return put_body(queue, channel, "{}", 2, now_ms);
}

/* The id, 0: none is due. */
static int64_t claim_body(struct queue *queue, int64_t now_ms)
{
    struct queue_body *body = NULL;
    enum status status;
    int64_t id = 0;

    case_begin(queue);
    status = queue_body_claim(queue, now_ms, LEASE, &body);
    case_commit(queue);
    if (status == STATUS_OK)
        id = body->id;
    else
        assert_int_equal(status, STATUS_NOT_FOUND);
    queue_body_free(body);
    return id;
}

static enum status end_body(struct queue *queue, int64_t id,
                            enum queue_body_end end, int64_t due_ms)
{
    enum status status;

    case_begin(queue);
    status = queue_body_end(queue, id, end, due_ms, "no answer");
    case_commit(queue);
    return status;
}

static struct queue_stats stats_of(struct queue *queue)
{
    struct queue_stats stats;

    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    return stats;
}

static int64_t next_due(struct queue *queue)
{
    int64_t due_ms = 0;

    assert_int_equal(queue_body_next_due(queue, &due_ms), STATUS_OK);
    return due_ms;
}

/* ---- the cases */

static void a_body_comes_back_byte_for_byte(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t id = put_body(queue, "main", binary, sizeof(binary), NOW);
    struct queue_body *body = NULL;

    case_begin(queue);
    assert_int_equal(queue_body_claim(queue, NOW, LEASE, &body), STATUS_OK);
    case_commit(queue);
    assert_int_equal(body->id, id);
    assert_string_equal(body->channel, "main");
    assert_string_equal(body->signature, "c2ln");
    assert_int_equal(body->received_ms, NOW);
    assert_int_equal(body->attempts, 1);
    assert_int_equal(body->body.len, sizeof(binary));
    assert_memory_equal(body->body.data, binary, sizeof(binary));
    queue_body_free(body);
    assert_int_equal(end_body(queue, id, QUEUE_BODY_DONE, 0), STATUS_OK);
    assert_int_equal(stats_of(queue).bodies, 0);
}

static void bodies_of_any_length_are_stored(void **state)
{
    struct queue *queue = case_queue(state);
    char *bytes = malloc(WEBHOOK_BODY_MAX_BYTES);
    struct queue_body *body = NULL;

    assert_non_null(bytes);
    memset(bytes, 'b', WEBHOOK_BODY_MAX_BYTES);
    (void)put_body(queue, "empty", "", 0, NOW);
    (void)put_body(queue, "large", bytes, WEBHOOK_BODY_MAX_BYTES, NOW + 1);
    assert_int_equal(stats_of(queue).body_bytes, WEBHOOK_BODY_MAX_BYTES);
    case_begin(queue);
    assert_int_equal(queue_body_claim(queue, NOW + 1, LEASE, &body), STATUS_OK);
    assert_int_equal(body->body.len, 0);
    queue_body_free(body);
    assert_int_equal(queue_body_claim(queue, NOW + 1, LEASE, &body), STATUS_OK);
    assert_int_equal(body->body.len, WEBHOOK_BODY_MAX_BYTES);
    assert_memory_equal(body->body.data, bytes, WEBHOOK_BODY_MAX_BYTES);
    queue_body_free(body);
    case_commit(queue);
    free(bytes);
}

static void bodies_of_a_channel_keep_their_order(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t first = put_text(queue, "main", NOW);
    int64_t second = put_text(queue, "main", NOW);
    int64_t other = put_text(queue, "other", NOW + 5);

    assert_int_equal(claim_body(queue, NOW), first);
    assert_int_equal(claim_body(queue, NOW), 0);
    assert_int_equal(claim_body(queue, NOW + 5), other);
    assert_int_equal(claim_body(queue, NOW + 5), 0);
    assert_int_equal(end_body(queue, first, QUEUE_BODY_RETRY, NOW + 300),
                     STATUS_OK);
    assert_int_equal(claim_body(queue, NOW + 299), 0); /* second waits, too */
    assert_int_equal(claim_body(queue, NOW + 300), first);
    assert_int_equal(end_body(queue, first, QUEUE_BODY_DONE, 0), STATUS_OK);
    assert_int_equal(claim_body(queue, NOW + 300), second);
}

static void next_due_is_of_the_heads(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t first;

    assert_true(next_due(queue) == INT64_MAX);
    first = put_text(queue, "main", NOW);
    (void)put_text(queue, "main", NOW + 1);
    assert_int_equal(next_due(queue), NOW);
    assert_int_equal(claim_body(queue, NOW), first);
    assert_int_equal(next_due(queue), NOW + LEASE);
    (void)put_text(queue, "other", NOW + 2);
    assert_int_equal(next_due(queue), NOW + 2);
}

static void a_dropped_body_leaves_a_trace_until_it_is_purged(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t first = put_text(queue, "main", NOW);
    int64_t second = put_text(queue, "main", NOW);
    const struct queue_keep keep = {.done_ms = 1000, .dead_ms = 1};
    size_t count;

    assert_int_equal(claim_body(queue, NOW), first);
    assert_int_equal(end_body(queue, first, QUEUE_BODY_DROP, 0), STATUS_OK);
    case_begin(queue);
    assert_int_equal(queue_purge(queue, &keep, NOW + 1000, 9, &count),
                     STATUS_OK);
    case_commit(queue);
    assert_int_equal(stats_of(queue).dropped_bodies, 1);
    assert_int_equal(stats_of(queue).bodies, 1);
    assert_int_equal(stats_of(queue).body_bytes, 2);
    assert_int_equal(claim_body(queue, NOW + LEASE), second);
    case_begin(queue);
    assert_int_equal(queue_purge(queue, &keep, NOW + 1001, 9, &count),
                     STATUS_OK);
    case_commit(queue);
    assert_int_equal(stats_of(queue).dropped_bodies, 0);
    assert_int_equal(stats_of(queue).bodies, 1);
}

static void dropped_bodies_have_a_bound(void **state)
{
    struct queue *queue = case_queue(state);

    case_begin(queue);
    for (int i = 0; i < FORWARD_DROPPED_MAX + 3; i++) {
        struct queue_body *body = queue_body_new(16);
        struct queue_body *claimed = NULL;

        assert_non_null(body);
        assert_true(str_copy(body->channel, sizeof(body->channel), "main"));
        body->received_ms = NOW + i;
        assert_int_equal(queue_body_put(queue, body, NOW), STATUS_OK);
        queue_body_free(body);
        assert_int_equal(queue_body_claim(queue, NOW, LEASE, &claimed),
                         STATUS_OK);
        assert_int_equal(
            queue_body_end(queue, claimed->id, QUEUE_BODY_DROP, 0, "late"),
            STATUS_OK);
        queue_body_free(claimed);
    }
    case_commit(queue);
    assert_int_equal(stats_of(queue).dropped_bodies, FORWARD_DROPPED_MAX);
}

static void an_expired_body_is_claimed_again(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t id = put_text(queue, "main", NOW);

    assert_int_equal(claim_body(queue, NOW), id);
    assert_int_equal(claim_body(queue, NOW + LEASE - 1), 0);
    assert_int_equal(claim_body(queue, NOW + LEASE), id);
}

static void a_body_that_is_not_held_cannot_be_ended(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t id = put_text(queue, "main", NOW);

    assert_int_equal(end_body(queue, id, QUEUE_BODY_DONE, 0),
                     STATUS_LEASE_LOST);
    assert_int_equal(claim_body(queue, NOW), id);
    assert_int_equal(end_body(queue, id, QUEUE_BODY_DONE, 0), STATUS_OK);
    assert_int_equal(end_body(queue, id, QUEUE_BODY_DROP, 0),
                     STATUS_LEASE_LOST);
    assert_int_equal(end_body(queue, 987654, QUEUE_BODY_RETRY, 0),
                     STATUS_LEASE_LOST);
}

static void rollback_leaves_bodies_as_they_were(void **state)
{
    struct queue *queue = case_queue(state);
    int64_t id = put_text(queue, "main", NOW);
    struct queue_body *body = NULL;

    case_begin(queue);
    assert_int_equal(queue_body_claim(queue, NOW, LEASE, &body), STATUS_OK);
    assert_int_equal(queue_body_end(queue, body->id, QUEUE_BODY_DONE, 0, ""),
                     STATUS_OK);
    assert_int_equal(queue_body_put(queue, body, NOW), STATUS_OK);
    queue_rollback(queue);
    queue_body_free(body);
    assert_int_equal(stats_of(queue).bodies, 1);
    assert_int_equal(claim_body(queue, NOW), id);
}

static void bodies_need_a_transaction_and_sound_fields(void **state)
{
    struct queue *queue = case_queue(state);
    struct queue_body *body = queue_body_new(16), *none;

    assert_non_null(body);
    assert_true(str_copy(body->channel, sizeof(body->channel), "main"));
    assert_int_equal(queue_body_put(queue, body, NOW), STATUS_BUG);
    assert_int_equal(queue_body_claim(queue, NOW, LEASE, &none), STATUS_BUG);
    assert_int_equal(queue_body_end(queue, 1, QUEUE_BODY_DONE, 0, ""),
                     STATUS_BUG);
    case_begin(queue);
    body->channel[0] = '\0';
    assert_int_equal(queue_body_put(queue, body, NOW), STATUS_BUG);
    memset(body->channel, 'c', sizeof(body->channel));
    assert_int_equal(queue_body_put(queue, body, NOW), STATUS_BUG);
    case_commit(queue);
    queue_body_free(body);
}

static void two_owners_keep_the_order(void **state)
{
    struct queue *mine = case_queue(state);
    struct queue *theirs = case_other_owner(state);
    int64_t first, second;
    size_t reaped;

    if (theirs == NULL)
        return; /* one process, one owner */
    first = put_text(mine, "main", NOW);
    second = put_text(theirs, "main", NOW);
    assert_int_equal(claim_body(theirs, NOW), first);
    assert_int_equal(claim_body(mine, NOW), 0);
    assert_int_equal(end_body(mine, first, QUEUE_BODY_DONE, 0),
                     STATUS_LEASE_LOST);
    case_begin(mine);
    assert_int_equal(queue_reap(mine, NOW, &reaped), STATUS_OK);
    case_commit(mine);
    assert_int_equal(claim_body(mine, NOW), 0); /* its owner lives */
    assert_int_equal(end_body(theirs, first, QUEUE_BODY_DONE, 0), STATUS_OK);
    assert_int_equal(claim_body(mine, NOW), second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_OVER_ALL(a_body_comes_back_byte_for_byte),
        CASE_OVER_ALL(bodies_of_any_length_are_stored),
        CASE_OVER_ALL(bodies_of_a_channel_keep_their_order),
        CASE_OVER_ALL(next_due_is_of_the_heads),
        CASE_OVER_ALL(a_dropped_body_leaves_a_trace_until_it_is_purged),
        CASE_OVER_ALL(dropped_bodies_have_a_bound),
        CASE_OVER_ALL(an_expired_body_is_claimed_again),
        CASE_OVER_ALL(a_body_that_is_not_held_cannot_be_ended),
        CASE_OVER_ALL(rollback_leaves_bodies_as_they_were),
        CASE_OVER_ALL(bodies_need_a_transaction_and_sound_fields),
        CASE_OVER_ALL(two_owners_keep_the_order),
    };

    return cmocka_run_group_tests_name("queue bodies", tests, NULL, NULL);
}
