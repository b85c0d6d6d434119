/*
 * offload.c: a list under a mutex, a few threads that take from its head, and
 * loop_post() for the way back.
 */
#include "offload.h"

#include <pthread.h>
#include <signal.h>

#include "limits.h"

struct offload {
    struct loop *loop;
    pthread_mutex_t lock; /* guards the rest but threads */
    pthread_cond_t more;
    struct offload_task *first;
    struct offload_task **last;
    bool stopping;
    size_t thread_count;
    pthread_t threads[OFFLOAD_THREADS_MAX];
};

static void run_done(struct loop_call *call)
{
    struct offload_task *task = CONTAINER_OF(call, struct offload_task, call);

    task->done(task->arg);
}

/* The next task, or NULL when the pool is to stop and nothing is left. */
static struct offload_task *take(struct offload *offload)
{
    struct offload_task *task;

    pthread_mutex_lock(&offload->lock);
    while (offload->first == NULL && !offload->stopping)
        pthread_cond_wait(&offload->more, &offload->lock);
    task = offload->first;
    if (task != NULL) {
        offload->first = task->next;
        if (offload->first == NULL)
            offload->last = &offload->first;
    }
    pthread_mutex_unlock(&offload->lock);
    return task;
}

static void *thread_main(void *arg)
{
    struct offload *offload = arg;
    struct offload_task *task;

    while ((task = take(offload)) != NULL) {
        task->work(task->arg);
        loop_post(offload->loop, &task->call);
    }
    return NULL;
}

/* Signals are for the main thread (design section 3), none for these. */
static bool start_thread(struct offload *offload)
{
    sigset_t all, before;
    bool started;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&offload->threads[offload->thread_count], NULL,
                             thread_main, offload) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        offload->thread_count++;
    return started;
}

enum status offload_new(struct offload **out, struct loop *loop, size_t threads)
{
    struct offload *offload;

    if (threads == 0 || threads > OFFLOAD_THREADS_MAX)
        return STATUS_BUG;
    offload = calloc(1, sizeof(*offload));
    if (offload == NULL)
        return STATUS_NO_MEMORY;
    offload->loop = loop;
    offload->last = &offload->first;
    pthread_mutex_init(&offload->lock, NULL);
    pthread_cond_init(&offload->more, NULL);
    while (offload->thread_count < threads) {
        if (!start_thread(offload)) {
            offload_free(offload);
            return STATUS_BUSY;
        }
    }
    *out = offload;
    return STATUS_OK;
}

void offload_free(struct offload *offload)
{
    if (offload == NULL)
        return;
    pthread_mutex_lock(&offload->lock);
    offload->stopping = true;
    pthread_cond_broadcast(&offload->more);
    pthread_mutex_unlock(&offload->lock);
    for (size_t i = 0; i < offload->thread_count; i++)
        pthread_join(offload->threads[i], NULL);
    pthread_cond_destroy(&offload->more);
    pthread_mutex_destroy(&offload->lock);
    free(offload);
}

void offload_submit(struct offload *offload, struct offload_task *task)
{
    task->call.fn = run_done;
    task->next = NULL;
    pthread_mutex_lock(&offload->lock);
    *offload->last = task;
    offload->last = &task->next;
    pthread_cond_signal(&offload->more);
    pthread_mutex_unlock(&offload->lock);
}
