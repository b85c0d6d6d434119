/*
 * jobs_watch.c: a list of ids, ascending, with what was last seen of each.
 *
 *   look:  new ids, and those that are current (queue.h) ──merge──▶ list
 *          each of the list: read; if it changed: tell
 *          what has ended and is not fresh any more ──▶ forgotten
 *
 * What is forgotten comes back when it is retried: it is unfinished then, and
 * fresh, even if it ends between two looks. Fresh is what may have changed
 * since the last look; what is kept is fresh for a while longer, lest a step
 * of the clock make it new again.
 *
 * The filter is judged here: a list of the queue's by state would miss what
 * changes into it later, and one by channel looks at every row if few match.
 */
#include "jobs_watch.h"

#include <time.h>

#define PAGE 64
#define IDS_PAGE 1024
#define FRESH_MS 10000
#define FORGET_MS 20000
#define LOOK_EVERY_MS 300

struct seen {
    int64_t id;
    int state; /* -1: not looked at yet */
    enum job_stage stage;
    int32_t attempts;
};

struct watch {
    struct queue *queue;
    struct queue_filter filter;
    jobs_watch_fn *on_change;
    void *arg;
    struct seen *seen;
    size_t count, capacity;
    int64_t highest_id; /* of all that were ever there */
    int64_t ids[IDS_PAGE];
    struct job jobs[PAGE];
};

/* ---- the list */

static enum status append(struct watch *watch, int64_t id)
{
    if (watch->count == watch->capacity) {
        size_t capacity = watch->capacity > 0 ? watch->capacity * 2 : PAGE;
        struct seen *seen =
            reallocarray(watch->seen, capacity, sizeof(struct seen));

        if (seen == NULL)
            return STATUS_NO_MEMORY;
        watch->seen = seen;
        watch->capacity = capacity;
    }
    watch->seen[watch->count++] = (struct seen){.id = id, .state = -1};
    return STATUS_OK;
}

/* Of two with one id, first the one that was looked at. */
static int by_id(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    if (x->id != y->id)
        return x->id > y->id ? 1 : -1;
    return y->state - x->state;
}

/* One found by several lists is in it once. */
static void put_in_order(struct watch *watch)
{
    size_t kept = 0;

    if (watch->count > 0)
        qsort(watch->seen, watch->count, sizeof(struct seen), by_id);
    for (size_t i = 0; i < watch->count; i++) {
        if (kept == 0 || watch->seen[kept - 1].id != watch->seen[i].id)
            watch->seen[kept++] = watch->seen[i];
    }
    watch->count = kept;
}

/* Those that have come since, whatever became of them. */
static enum status collect_new(struct watch *watch)
{
    struct queue_filter filter = QUEUE_FILTER_ALL;
    int64_t above_id = watch->highest_id;
    size_t found = 1;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && found > 0) {
        status = queue_list(watch->queue, &filter, watch->jobs, PAGE, &found);
        for (size_t i = 0; status == STATUS_OK && i < found; i++) {
            int64_t id = watch->jobs[i].id;

            if (id <= above_id)
                return STATUS_OK;
            watch->highest_id = int64_max(watch->highest_id, id);
            filter.before_id = id;
            status = append(watch, id);
        }
    }
    return status;
}

static enum status collect_current(struct watch *watch)
{
    int64_t since_ms = wall_ms() - FRESH_MS, above_id = 0;
    size_t found = 1;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && found > 0) {
        status = queue_current(watch->queue, since_ms, above_id, watch->ids,
                               IDS_PAGE, &found);
        for (size_t i = 0; status == STATUS_OK && i < found; i++) {
            above_id = watch->ids[i];
            status = append(watch, above_id);
        }
    }
    return status;
}

/* ---- a look */

static bool is_wanted(const struct watch *watch, const struct job *job)
{
    const struct queue_filter *filter = &watch->filter;

    return (filter->state < 0 || filter->state == (int)job->state) &&
           (filter->outcome < 0 || filter->outcome == (int)job->outcome) &&
           (*filter->channel == '\0' ||
            str_eq(filter->channel, job->channel)) &&
           job->received_ms >= filter->since_ms;
}

static bool note(struct seen *seen, const struct job *job)
{
    bool same = seen->state == (int)job->state && seen->stage == job->stage &&
                seen->attempts == job->attempts;

    seen->state = (int)job->state;
    seen->stage = job->stage;
    seen->attempts = job->attempts;
    return !same;
}

static bool is_over(const struct seen *seen)
{
    return seen->state == JOB_DONE || seen->state == JOB_DEAD;
}

/* `quiet`: what is there now is not told. */
static enum status look(struct watch *watch, bool quiet)
{
    int64_t fresh_ms = wall_ms() - FORGET_MS;
    size_t kept = 0;

    for (size_t i = 0; i < watch->count; i++) {
        struct seen *seen = &watch->seen[i];
        struct job *job = &watch->jobs[0];
        enum status status = queue_get(watch->queue, seen->id, job);

        if (status == STATUS_NOT_FOUND)
            continue; /* forgotten by the queue */
        if (status == STATUS_OK && note(seen, job) && !quiet &&
            is_wanted(watch, job))
            status = watch->on_change(watch->arg, job);
        if (status != STATUS_OK)
            return status;
        if (!is_over(seen) || job->received_ms >= fresh_ms)
            watch->seen[kept++] = *seen;
    }
    watch->count = kept;
    return STATUS_OK;
}

/* ---- */

static enum status begin(struct watch *watch)
{
    struct queue_filter filter = QUEUE_FILTER_ALL;
    size_t found = 0;
    enum status status =
        queue_list(watch->queue, &filter, watch->jobs, 1, &found);

    if (status == STATUS_OK && found > 0)
        watch->highest_id = watch->jobs[0].id;
    if (status == STATUS_OK)
        status = collect_current(watch);
    put_in_order(watch);
    return status == STATUS_OK ? look(watch, true) : status;
}

static enum status go_on(struct watch *watch)
{
    struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
    enum status status;

    (void)nanosleep(&pause, NULL);
    status = collect_new(watch);
    if (status == STATUS_OK)
        status = collect_current(watch);
    put_in_order(watch);
    return status == STATUS_OK ? look(watch, false) : status;
}

enum status jobs_watch(struct queue *queue, const struct queue_filter *filter,
                       jobs_watch_fn *on_change, void *arg)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    enum status status;

    if (watch == NULL)
        return STATUS_NO_MEMORY;
    watch->queue = queue;
    watch->filter = *filter;
    watch->on_change = on_change;
    watch->arg = arg;
    status = begin(watch);
    while (status == STATUS_OK)
        status = go_on(watch);
    free(watch->seen);
    free(watch);
    return status;
}
