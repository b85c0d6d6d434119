/*
 * pipeline_unsend.c: a message was taken back: the published files of it are
 * removed (line-platform 2.3).
 *
 *   REMOVING   files are unlinked                             offload thread
 *
 * The queue has ended the waiting jobs of the message when it stored this one;
 * what is in hand here is stopped now. A picture that another worker has in
 * hand meets this job's row at its next note (STATUS_GONE), after it published
 * and before it answers, and removes its files itself. So whichever comes
 * first, none is left.
 */
#include "log.h"
#include "pipeline_task.h"

#include "crypto.h"

static bool is_of_the_message(const struct task *task,
                              const struct task *unsend)
{
    return task->job.kind != JOB_UNSEND &&
           str_eq(task->job.message_id, unsend->job.message_id) &&
           str_eq(task->job.channel, unsend->job.channel);
}

static void stop_the_picture(struct task *unsend)
{
    struct task *task = unsend->pipeline->first;

    for (; task != NULL; task = task->next) {
        if (!is_of_the_message(task, unsend) || task->state == TASK_SETTLING)
            continue;
        task->is_withdrawn = true;
        if (task->state == TASK_FETCHING)
            task_withdraw(task);
        else if (task->state == TASK_ANSWERING)
            answer_interrupt(task, true);
    }
}

void unsend_remove_files(void *arg)
{
    struct task *task = arg;
    struct store *store = task->pipeline->parts.store;
    enum status status = task_make_names(task, false);
    bool original = false, preview = false;

    if (status == STATUS_OK)
        status = store_remove(store, task->job.original_name, &original);
    if (status == STATUS_OK)
        status = store_remove(store, task->job.preview_name, &preview);
    if (status != STATUS_OK)
        LOG(ERROR, "not_removed", LOG_STR("job", task->job.message_id),
            LOG_STR("reason", status_name(status)));
    task->was_there = original || preview;
    task->work_status = status;
    task->job.original_name[0] = '\0';
    task->job.preview_name[0] = '\0';
}

static void removed(void *arg)
{
    struct task *task = arg;
    struct decide_attempt attempt = {
        .status = task->work_status,
        .detail = "removing",
        .now_ms = wall_ms(),
    };
    struct decision decision;

    if (task->work_status == STATUS_OK) {
        attempt.detail = task->was_there ? "the published picture was removed"
                                         : "nothing was published";
        LOG(INFO, "removed", LOG_STR("job", task->job.message_id),
            LOG_INT("was_there", task->was_there),
            LOG_INT("ms", task_age_ms(task)));
    }
    (void)!crypto_random(&attempt.random, sizeof(attempt.random));
    decision = decide_tried(&task->job, task_channel(task), &attempt);
    task_do(task, &decision);
}

void unsend_enter_removing(struct task *task)
{
    stop_the_picture(task);
    task_offload(task, unsend_remove_files, removed);
}
