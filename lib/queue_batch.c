/*
 * queue_batch.c: one transaction, in this order: leases first, so that a claim
 * never finds what the engine still holds; then changes; then what waits in the
 * queue, before what comes new; puts last, with the room that is left.
 */
#include "queue_batch.h"

/* ---- lists */

void claimed_list_append(struct claimed_list *list, struct claimed *claimed)
{
    claimed->next = NULL;
    if (list->first == NULL)
        list->first = claimed;
    else
        list->last->next = claimed;
    list->last = claimed;
    list->count++;
}

struct claimed *claimed_list_take(struct claimed_list *list)
{
    struct claimed *claimed = list->first;

    if (claimed != NULL) {
        list->first = claimed->next;
        list->count--;
    }
    return claimed;
}

void claimed_list_free(struct claimed_list *list)
{
    struct claimed *claimed;

    while ((claimed = claimed_list_take(list)) != NULL)
        free(claimed);
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

/* ---- the transaction */

/* A lost lease is the answer to this change and no failure of the batch. */
static enum status do_changes(struct batch *batch, struct queue *queue)
{
    struct queue_change *change;

    for (change = batch->changes.first; change != NULL; change = change->next) {
        change->status = queue_update(queue, &change->job);
        if (change->status != STATUS_OK &&
            change->status != STATUS_LEASE_LOST && change->status != STATUS_BUG)
            return change->status;
    }
    return STATUS_OK;
}

static enum status do_put(struct batch *batch, struct queue *queue,
                          struct put *put, int64_t now_ms)
{
    put->duplicates = 0;
    for (size_t i = 0; i < put->count; i++) {
        struct claimed *claimed = NULL;
        enum status status;

        if (batch->claimed.count < batch->room)
            claimed = malloc(sizeof(*claimed)); /* none: it is left READY */
        status = queue_put(queue, &put->jobs[i], now_ms,
                           claimed != NULL ? LEASE_MS : 0);
        if (status == STATUS_OK && claimed != NULL) {
            claimed->job = put->jobs[i];
            claimed_list_append(&batch->claimed, claimed);
        } else {
            free(claimed);
        }
        if (status_class(status) != STATUS_CLASS_OK)
            return status;
        if (status == STATUS_DUPLICATE)
            put->duplicates++;
        else
            batch->stored++;
    }
    return STATUS_OK;
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

/* Memory first: a job that is leased and can't be handed over would sit out
 * its lease. */
static enum status do_claim(struct batch *batch, struct queue *queue,
                            int64_t now_ms)
{
    size_t wanted = size_min(batch->room, QUEUE_CLAIM_MAX);
    struct job jobs[QUEUE_CLAIM_MAX];
    struct claimed_list spare = {0};
    struct claimed *claimed;
    size_t count = 0;
    enum status status;

    while (spare.count < wanted && (claimed = malloc(sizeof(*claimed))) != NULL)
        claimed_list_append(&spare, claimed);
    status = queue_claim(queue, now_ms, LEASE_MS, jobs, spare.count, &count);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        claimed = claimed_list_take(&spare);
        claimed->job = jobs[i];
        claimed_list_append(&batch->claimed, claimed);
    }
    claimed_list_free(&spare);
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
    if (status == STATUS_OK && batch->purge)
        status = queue_purge(queue, now_ms - QUEUE_DONE_KEEP_MS,
                             QUEUE_PURGE_MAX, &batch->purged);
    return status;
}

enum status batch_run(struct batch *batch, struct queue *queue, int64_t now_ms)
{
    enum status status;

    status = queue_extend(queue, batch->extend.ids, batch->extend.count,
                          now_ms + LEASE_MS);
    if (status == STATUS_OK)
        status = do_changes(batch, queue);
    if (status == STATUS_OK)
        status = do_chores(batch, queue, now_ms);
    if (status == STATUS_OK)
        status = do_puts(batch, queue, now_ms);
    return status;
}
