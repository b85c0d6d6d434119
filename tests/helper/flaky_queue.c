/*
 * flaky_queue.c: see the header; what is not made to fail is passed on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flaky_queue.h"

static struct flaky *flaky_of(struct queue *queue)
{
    return CONTAINER_OF(queue, struct flaky, base);
}

/* True while there are failures left; -1 stands for "always". */
static bool must_fail(atomic_int *left)
{
    int now = atomic_load(left);

    while (now > 0 && !atomic_compare_exchange_weak(left, &now, now - 1))
        continue;
    return now != 0;
}

static enum status flaky_begin(struct queue *queue)
{
    struct flaky *f = flaky_of(queue);

    atomic_fetch_add(&f->begins, 1);
    atomic_store(&f->updates, 0);
    atomic_store(&f->puts, 0);
    if (atomic_load(&f->begin_waits)) {
        atomic_fetch_add(&f->begins_held, 1);
        assert_int_equal(sem_wait(&f->begin_may), 0);
    }
    if (must_fail(&f->begin_fails))
        return atomic_load(&f->failure);
    return queue_begin(f->inner);
}

static void keep_most(atomic_int *most, const atomic_int *now)
{
    if (atomic_load(now) > atomic_load(most))
        atomic_store(most, atomic_load(now));
}

static enum status flaky_commit(struct queue *queue)
{
    struct flaky *f = flaky_of(queue);

    if (atomic_load(&f->commit_waits)) {
        atomic_fetch_add(&f->commits_held, 1);
        assert_int_equal(sem_wait(&f->commit_may), 0);
    }
    if (must_fail(&f->commit_fails))
        return atomic_load(&f->failure);
    atomic_fetch_add(&f->commits, 1);
    keep_most(&f->most_updates, &f->updates);
    keep_most(&f->most_puts, &f->puts);
    return queue_commit(f->inner);
}

static void flaky_rollback(struct queue *queue)
{
    queue_rollback(flaky_of(queue)->inner);
}

static enum status flaky_put(struct queue *queue, struct job *job,
                             int64_t now_ms, int64_t lease_ms)
{
    struct flaky *f = flaky_of(queue);

    if (atomic_fetch_sub(&f->puts_before_failure, 1) <= 0 &&
        must_fail(&f->put_fails))
        return atomic_load(&f->failure);
    atomic_fetch_add(&f->puts, 1);
    return queue_put(f->inner, job, now_ms, lease_ms);
}

static enum status flaky_claim(struct queue *queue, int64_t now_ms,
                               int64_t lease_ms, struct queue_lease *leases,
                               size_t max, size_t *count)
{
    struct flaky *f = flaky_of(queue);

    if (must_fail(&f->claim_fails))
        return atomic_load(&f->failure);
    return queue_claim(f->inner, now_ms, lease_ms, leases, max, count);
}

static enum status flaky_extend(struct queue *queue, const int64_t *ids,
                                size_t count, int64_t until_ms)
{
    atomic_store(&flaky_of(queue)->extended_until, until_ms);
    return queue_extend(flaky_of(queue)->inner, ids, count, until_ms);
}

static enum status flaky_update(struct queue *queue, struct job *job,
                                const struct queue_extra *extra, int64_t now_ms)
{
    struct flaky *f = flaky_of(queue);

    if (must_fail(&f->update_fails))
        return atomic_load(&f->failure);
    atomic_fetch_add(&f->updates, 1);
    return queue_update(f->inner, job, extra, now_ms);
}

static enum status flaky_reap(struct queue *queue, int64_t now_ms,
                              size_t *count)
{
    return queue_reap(flaky_of(queue)->inner, now_ms, count);
}

static enum status flaky_next_due(struct queue *queue, int64_t *due_ms)
{
    struct flaky *f = flaky_of(queue);

    if (must_fail(&f->look_fails))
        return atomic_load(&f->failure);
    return queue_next_due(f->inner, due_ms);
}

static enum status flaky_stats(struct queue *queue, struct queue_stats *stats)
{
    struct flaky *f = flaky_of(queue);
    enum status status = queue_stats(f->inner, stats);

    if (must_fail(&f->look_fails))
        return atomic_load(&f->failure);
    if (atomic_load(&f->told_ready) > 0)
        stats->ready = atomic_load(&f->told_ready);
    return status;
}

static enum status flaky_purge(struct queue *queue,
                               const struct queue_keep *keep, int64_t now_ms,
                               size_t max, size_t *count)
{
    return queue_purge(flaky_of(queue)->inner, keep, now_ms, max, count);
}

static enum status flaky_body_put(struct queue *queue, struct queue_body *body,
                                  int64_t now_ms)
{
    return queue_body_put(flaky_of(queue)->inner, body, now_ms);
}

static enum status flaky_body_claim(struct queue *queue, int64_t now_ms,
                                    int64_t lease_ms, struct queue_body **body)
{
    struct flaky *f = flaky_of(queue);

    if (must_fail(&f->claim_fails))
        return atomic_load(&f->failure);
    return queue_body_claim(f->inner, now_ms, lease_ms, body);
}

static enum status flaky_body_end(struct queue *queue, int64_t id,
                                  enum queue_body_end end, int64_t due_ms,
                                  const char *why)
{
    struct flaky *f = flaky_of(queue);

    if (must_fail(&f->update_fails))
        return atomic_load(&f->failure);
    return queue_body_end(f->inner, id, end, due_ms, why);
}

static enum status flaky_list(struct queue *queue,
                              const struct queue_filter *filter,
                              struct job *jobs, size_t max, size_t *count)
{
    struct flaky *f = flaky_of(queue);

    if (must_fail(&f->look_fails))
        return atomic_load(&f->failure);
    return queue_list(f->inner, filter, jobs, max, count);
}

static enum status flaky_current(struct queue *queue, int64_t since_ms,
                                 int64_t above_id, int64_t *ids, size_t max,
                                 size_t *count)
{
    return queue_current(flaky_of(queue)->inner, since_ms, above_id, ids, max,
                         count);
}

static enum status flaky_body_next_due(struct queue *queue, int64_t *due_ms)
{
    struct flaky *f = flaky_of(queue);

    if (must_fail(&f->look_fails))
        return atomic_load(&f->failure);
    return queue_body_next_due(f->inner, due_ms);
}

const struct queue_ops flaky_ops = {
    .scheme = "flaky",
    .begin = flaky_begin,
    .commit = flaky_commit,
    .rollback = flaky_rollback,
    .put = flaky_put,
    .claim = flaky_claim,
    .extend = flaky_extend,
    .update = flaky_update,
    .reap = flaky_reap,
    .next_due = flaky_next_due,
    .list = flaky_list,
    .current = flaky_current,
    .stats = flaky_stats,
    .purge = flaky_purge,
    .body_put = flaky_body_put,
    .body_claim = flaky_body_claim,
    .body_end = flaky_body_end,
    .body_next_due = flaky_body_next_due,
};
