/*
 * queue_batch.c: one transaction, in this order: leases first, so that a claim
 * never finds what the engine still holds; then changes; then what waits in the
 * queue, before what comes new; puts last, with the room that is left.
 */
#include "queue_batch.h"

/* ---- lists */

struct claimed *claimed_new(size_t count)
{
    struct claimed *claimed;

    claimed = calloc(1, sizeof(*claimed) + count * sizeof(claimed->leases[0]));
    if (claimed != NULL)
        claimed->count = count;
    return claimed;
}

void claimed_free(struct claimed *claimed)
{
    for (size_t i = 0; claimed != NULL && i < claimed->count; i++)
        free(claimed->leases[i].messages);
    free(claimed);
}

void claimed_list_append(struct claimed_list *list, struct claimed *claimed)
{
    claimed->next = NULL;
    if (list->first == NULL)
        list->first = claimed;
    else
        list->last->next = claimed;
    list->last = claimed;
    list->jobs += claimed->count;
}

struct claimed *claimed_list_take(struct claimed_list *list)
{
    struct claimed *claimed = list->first;

    if (claimed != NULL) {
        list->first = claimed->next;
        list->jobs -= claimed->count;
    }
    return claimed;
}

void claimed_list_free(struct claimed_list *list)
{
    struct claimed *claimed;

    while ((claimed = claimed_list_take(list)) != NULL)
        claimed_free(claimed);
}

void change_list_append(struct change_list *list, struct queue_change *change)
{
    change->next = NULL;
    if (list->first == NULL)
        list->first = change;
    else
        list->last->next = change;
    list->last = change;
}

struct queue_change *change_list_take(struct change_list *list)
{
    struct queue_change *change = list->first;

    if (change != NULL)
        list->first = change->next;
    return change;
}

void change_list_prepend_all(struct change_list *list,
                             const struct change_list *before)
{
    if (before->first == NULL)
        return;
    before->last->next = list->first;
    if (list->first == NULL)
        list->last = before->last;
    list->first = before->first;
}

void body_change_list_append(struct body_change_list *list,
                             struct queue_body_change *change)
{
    change->next = NULL;
    if (list->first == NULL)
        list->first = change;
    else
        list->last->next = change;
    list->last = change;
}

struct queue_body_change *body_change_list_take(struct body_change_list *list)
{
    struct queue_body_change *change = list->first;

    if (change != NULL)
        list->first = change->next;
    return change;
}

void body_change_list_prepend_all(struct body_change_list *list,
                                  const struct body_change_list *before)
{
    if (before->first == NULL)
        return;
    before->last->next = list->first;
    if (list->first == NULL)
        list->last = before->last;
    list->first = before->first;
}

void body_list_free(struct body_list *list)
{
    while (list->count > 0)
        queue_body_free(list->bodies[--list->count]);
}

/* ---- the transaction */

/* These are the answer to one change and no failure of the batch. */
static bool is_an_answer(enum status status)
{
    return status == STATUS_OK || status == STATUS_LEASE_LOST ||
           status == STATUS_GONE || status == STATUS_OVER_BUDGET ||
           status == STATUS_BUG;
}

static enum status do_changes(struct batch *batch, struct queue *queue,
                              int64_t now_ms)
{
    struct queue_change *change;

    for (change = batch->changes.first; change != NULL; change = change->next) {
        const struct queue_extra extra = {
            .messages = change->messages,
            .push_budget = change->push_budget,
            .adopt_token = change->adopt_token,
        };

        change->status = queue_update(queue, &change->job, &extra, now_ms);
        if (!is_an_answer(change->status))
            return change->status;
    }
    return STATUS_OK;
}

static enum status do_body_changes(struct batch *batch, struct queue *queue)
{
    struct queue_body_change *change;

    for (change = batch->body_changes.first; change != NULL;
         change = change->next) {
        change->status = queue_body_end(queue, change->id, change->end,
                                        change->due_ms, change->why);
        if (!is_an_answer(change->status))
            return change->status;
        batch->ended_bodies++;
    }
    return STATUS_OK;
}

/* Without memory for the way to the engine it is stored READY. */
static enum status do_put_job(struct batch *batch, struct queue *queue,
                              struct job *job, int64_t now_ms)
{
    struct claimed *claimed = NULL;
    enum status status;

    if (batch->claimed.jobs < batch->room)
        claimed = claimed_new(1);
    status = queue_put(queue, job, now_ms, claimed != NULL ? LEASE_MS : 0);
    if (status == STATUS_OK && claimed != NULL && job->state == JOB_LEASED) {
        claimed->leases[0].job = *job;
        claimed_list_append(&batch->claimed, claimed);
    } else {
        claimed_free(claimed);
    }
    return status;
}

static enum status do_put_body(struct batch *batch, struct queue *queue,
                               struct queue_body *body, int64_t now_ms)
{
    enum status status = queue_body_put(queue, body, now_ms);

    batch->stored_bodies++;
    batch->stored_body_bytes += body->body.len;
    return status;
}

static enum status do_put(struct batch *batch, struct queue *queue,
                          struct put *put, int64_t now_ms)
{
    put->duplicates = 0;
    for (size_t i = 0; i < put->count; i++) {
        enum status status = do_put_job(batch, queue, &put->jobs[i], now_ms);

        if (status_class(status) != STATUS_CLASS_OK)
            return status;
        if (status == STATUS_DUPLICATE)
            put->duplicates++;
        else
            batch->stored++;
    }
    return put->body == NULL ? STATUS_OK
                             : do_put_body(batch, queue, put->body, now_ms);
}

static enum status do_puts(struct batch *batch, struct queue *queue,
                           int64_t now_ms)
{
    for (struct put *put = batch->puts; put != NULL; put = put->next) {
        enum status status = do_put(batch, queue, put, now_ms);

        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static bool is_set_member(const struct job *job)
{
    return job->set_id[0] != '\0' && job->stage == JOB_STAGE_REPLY;
}

/* How many at the head of the leases belong together; queue_claim() has put
 * them next to each other. */
static size_t count_set(const struct queue_lease *leases, size_t count)
{
    const struct job *first = &leases[0].job;
    size_t members = 1;

    while (is_set_member(first) && members < count &&
           is_set_member(&leases[members].job) &&
           str_eq(leases[members].job.set_id, first->set_id) &&
           str_eq(leases[members].job.channel, first->channel))
        members++;
    return members;
}

/* Without memory the transaction fails, for a job that is leased and can't be
 * handed over would sit out its lease. */
static enum status take_leases(struct batch *batch, size_t count)
{
    struct queue_lease *leases = batch->leases;
    enum status status = STATUS_OK;

    while (count > 0) {
        size_t members = count_set(leases, count);
        struct claimed *claimed = claimed_new(members);

        if (claimed == NULL) {
            status = STATUS_NO_MEMORY;
            break;
        }
        memcpy(claimed->leases, leases, members * sizeof(*leases));
        claimed_list_append(&batch->claimed, claimed);
        leases += members;
        count -= members;
    }
    while (count > 0)
        free(leases[--count].messages);
    return status;
}

static enum status do_claim(struct batch *batch, struct queue *queue,
                            int64_t now_ms)
{
    size_t wanted = size_min(batch->room, QUEUE_CLAIM_MAX);
    size_t count = 0;
    enum status status;

    status =
        queue_claim(queue, now_ms, LEASE_MS, batch->leases, wanted, &count);
    return status == STATUS_OK ? take_leases(batch, count) : status;
}

static enum status do_claim_bodies(struct batch *batch, struct queue *queue,
                                   int64_t now_ms)
{
    size_t room = batch->body_room + batch->ended_bodies;

    while (batch->bodies.count < size_min(room, FORWARD_ROOM_MAX)) {
        struct queue_body *body;
        enum status status =
            queue_body_claim(queue, now_ms, FORWARD_LEASE_MS, &body);

        if (status == STATUS_NOT_FOUND)
            break;
        if (status != STATUS_OK)
            return status;
        batch->bodies.bodies[batch->bodies.count++] = body;
    }
    return STATUS_OK;
}

/* A change may have made an image set due: its claim is part of the same
 * transaction. */
static enum status look_for_sets(struct batch *batch, struct queue *queue,
                                 int64_t now_ms)
{
    const struct queue_change *change = batch->changes.first;
    int64_t due_ms;
    enum status status;

    while (change != NULL && change->job.set_id[0] == '\0')
        change = change->next;
    if (change == NULL || batch->claim || batch->room == 0)
        return STATUS_OK;
    status = queue_next_due(queue, &due_ms);
    batch->claim = status == STATUS_OK && due_ms <= now_ms;
    return status;
}

static enum status do_chores(struct batch *batch, struct queue *queue,
                             int64_t now_ms)
{
    enum status status = STATUS_OK;
    size_t reaped;

    if (batch->reap)
        status = queue_reap(queue, now_ms, &reaped);
    if (status == STATUS_OK && batch->claim)
        status = do_claim(batch, queue, now_ms);
    if (status == STATUS_OK && batch->claim_bodies)
        status = do_claim_bodies(batch, queue, now_ms);
    if (status == STATUS_OK && batch->purge)
        status = queue_purge(queue, &batch->keep, now_ms, QUEUE_PURGE_MAX,
                             &batch->purged);
    return status;
}

enum status batch_run(struct batch *batch, struct queue *queue, int64_t now_ms)
{
    enum status status;

    status = queue_extend(queue, batch->extend.ids, batch->extend.count,
                          now_ms + LEASE_MS);
    if (status == STATUS_OK)
        status = do_changes(batch, queue, now_ms);
    if (status == STATUS_OK)
        status = do_body_changes(batch, queue);
    if (status == STATUS_OK)
        status = look_for_sets(batch, queue, now_ms);
    if (status == STATUS_OK)
        status = do_chores(batch, queue, now_ms);
    if (status == STATUS_OK)
        status = do_puts(batch, queue, now_ms);
    return status;
}
