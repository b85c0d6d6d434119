/*
 * fake_queue.c: passes all calls on to queue_memory.c. A lock is held while a
 * transaction lasts, so others see what is committed and nothing else.
 */
#include "fake_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct fake_queue *fake_of(struct queue *queue)
{
    return CONTAINER_OF(queue, struct fake_queue, base);
}

static enum status fault_of(struct fake_queue *fake, enum fake_call call)
{
    enum status status = STATUS_OK;

    pthread_mutex_lock(&fake->faults_lock);
    if (fake->faults[call].after > 0) {
        fake->faults[call].after--;
    } else if (fake->faults[call].count > 0) {
        fake->faults[call].count--;
        status = fake->faults[call].status;
    }
    pthread_mutex_unlock(&fake->faults_lock);
    return status;
}

static enum status fake_begin(struct queue *queue)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status = fault_of(fake, FAKE_BEGIN);

    if (status != STATUS_OK)
        return status;
    pthread_mutex_lock(&fake->lock);
    status = queue_begin(fake->inner);
    if (status != STATUS_OK)
        pthread_mutex_unlock(&fake->lock);
    return status;
}

/* A commit that fails leaves the lock to the rollback. */
static enum status fake_commit(struct queue *queue)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status = fault_of(fake, FAKE_COMMIT);

    if (status == STATUS_OK)
        status = queue_commit(fake->inner);
    if (status == STATUS_OK)
        pthread_mutex_unlock(&fake->lock);
    return status;
}

static void fake_rollback(struct queue *queue)
{
    struct fake_queue *fake = fake_of(queue);

    queue_rollback(fake->inner);
    pthread_mutex_unlock(&fake->lock);
}

static enum status fake_put(struct queue *queue, struct job *job,
                            int64_t now_ms, int64_t lease_ms)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status = fault_of(fake, FAKE_PUT);

    return status != STATUS_OK ? status
                               : queue_put(fake->inner, job, now_ms, lease_ms);
}

static enum status fake_update(struct queue *queue, struct job *job,
                               const struct queue_extra *extra, int64_t now_ms)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status = fault_of(fake, FAKE_UPDATE);

    return status != STATUS_OK ? status
                               : queue_update(fake->inner, job, extra, now_ms);
}

static enum status fake_claim(struct queue *queue, int64_t now_ms,
                              int64_t lease_ms, struct queue_lease *leases,
                              size_t max, size_t *count)
{
    return queue_claim(fake_of(queue)->inner, now_ms, lease_ms, leases, max,
                       count);
}

static enum status fake_extend(struct queue *queue, const int64_t *ids,
                               size_t count, int64_t until_ms)
{
    return queue_extend(fake_of(queue)->inner, ids, count, until_ms);
}

static enum status fake_reap(struct queue *queue, int64_t now_ms, size_t *count)
{
    return queue_reap(fake_of(queue)->inner, now_ms, count);
}

static enum status fake_purge(struct queue *queue,
                              const struct queue_keep *keep, int64_t now_ms,
                              size_t max, size_t *count)
{
    return queue_purge(fake_of(queue)->inner, keep, now_ms, max, count);
}

static enum status fake_next_due(struct queue *queue, int64_t *due_ms)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status;

    pthread_mutex_lock(&fake->lock);
    status = queue_next_due(fake->inner, due_ms);
    pthread_mutex_unlock(&fake->lock);
    return status;
}

static enum status fake_stats(struct queue *queue, struct queue_stats *stats)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status;

    pthread_mutex_lock(&fake->lock);
    status = queue_stats(fake->inner, stats);
    pthread_mutex_unlock(&fake->lock);
    return status;
}

static enum status fake_body_put(struct queue *queue, struct queue_body *body,
                                 int64_t now_ms)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status = fault_of(fake, FAKE_BODY_PUT);

    return status != STATUS_OK ? status
                               : queue_body_put(fake->inner, body, now_ms);
}

static enum status fake_body_claim(struct queue *queue, int64_t now_ms,
                                   int64_t lease_ms, struct queue_body **body)
{
    return queue_body_claim(fake_of(queue)->inner, now_ms, lease_ms, body);
}

static enum status fake_body_end(struct queue *queue, int64_t id,
                                 enum queue_body_end end, int64_t due_ms,
                                 const char *why)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status = fault_of(fake, FAKE_BODY_END);

    return status != STATUS_OK
               ? status
               : queue_body_end(fake->inner, id, end, due_ms, why);
}

static enum status fake_body_next_due(struct queue *queue, int64_t *due_ms)
{
    struct fake_queue *fake = fake_of(queue);
    enum status status;

    pthread_mutex_lock(&fake->lock);
    status = queue_body_next_due(fake->inner, due_ms);
    pthread_mutex_unlock(&fake->lock);
    return status;
}

static const struct queue_ops fake_ops = {
    .scheme = "fake",
    .begin = fake_begin,
    .commit = fake_commit,
    .rollback = fake_rollback,
    .put = fake_put,
    .claim = fake_claim,
    .extend = fake_extend,
    .update = fake_update,
    .reap = fake_reap,
    .next_due = fake_next_due,
    .stats = fake_stats,
    .purge = fake_purge,
    .body_put = fake_body_put,
    .body_claim = fake_body_claim,
    .body_end = fake_body_end,
    .body_next_due = fake_body_next_due,
};

void fake_queue_open(struct fake_queue *fake)
{
    pthread_mutexattr_t recursive;
    char why[256] = "";

    *fake = (struct fake_queue){.base.ops = &fake_ops};
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&fake->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&fake->faults_lock, NULL);
    assert_int_equal(queue_open(&fake->inner, "memory:", why, sizeof(why)),
                     STATUS_OK);
}

void fake_queue_close(struct fake_queue *fake)
{
    queue_close(fake->inner);
    pthread_mutex_destroy(&fake->faults_lock);
    pthread_mutex_destroy(&fake->lock);
}

void fake_queue_fail(struct fake_queue *fake, enum fake_call call, int after,
                     int count, enum status status)
{
    pthread_mutex_lock(&fake->faults_lock);
    fake->faults[call].after = after;
    fake->faults[call].count = count;
    fake->faults[call].status = status;
    pthread_mutex_unlock(&fake->faults_lock);
}

enum status fake_queue_get(struct fake_queue *fake, int64_t id, struct job *job)
{
    enum status status;

    pthread_mutex_lock(&fake->lock);
    status = queue_get(fake->inner, id, job);
    pthread_mutex_unlock(&fake->lock);
    return status;
}

void fake_queue_stats(struct fake_queue *fake, struct queue_stats *stats)
{
    assert_int_equal(fake_stats(&fake->base, stats), STATUS_OK);
}

void fake_queue_put(struct fake_queue *fake, struct job *job)
{
    pthread_mutex_lock(&fake->lock);
    assert_int_equal(queue_begin(fake->inner), STATUS_OK);
    assert_int_equal(queue_put(fake->inner, job, wall_ms(), 0), STATUS_OK);
    assert_int_equal(queue_commit(fake->inner), STATUS_OK);
    pthread_mutex_unlock(&fake->lock);
}

void fake_queue_store(struct fake_queue *fake, struct job *job)
{
    fake_queue_store_noted(fake, job, NULL);
}

void fake_queue_store_noted(struct fake_queue *fake, struct job *job,
                            const char *messages)
{
    const struct queue_extra extra = {.messages = messages};
    struct job row = *job;

    pthread_mutex_lock(&fake->lock);
    assert_int_equal(queue_begin(fake->inner), STATUS_OK);
    assert_int_equal(queue_put(fake->inner, &row, wall_ms(), LEASE_MS),
                     STATUS_OK);
    job->id = row.id;
    job->claim = row.claim;
    assert_int_equal(queue_update(fake->inner, job, &extra, wall_ms()),
                     STATUS_OK);
    assert_int_equal(queue_commit(fake->inner), STATUS_OK);
    pthread_mutex_unlock(&fake->lock);
}
