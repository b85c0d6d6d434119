/*
 * pipeline.h: the job state machine. Takes claimed jobs and brings each to its
 * one outcome: content fetched and decoded while it comes, both files
 * published, the reply posted, the result recorded in the queue.
 *
 *   pipeline_new(&pipeline, &parts)
 *   queue_thread_start(..., .on_claimed = pipeline_take, .arg = pipeline)
 *   pipeline_start(pipeline, queue_thread, n)   it asks for work from now on
 *   pipeline_drain(pipeline, on_idle, arg)      finish what takes seconds, hand
 *                                               the rest back, call on_idle
 *   pipeline_free(pipeline)
 *
 * All on the loop's thread. Published files are touched on offload threads, the
 * queue by the queue thread, pixels in the lab. The one file this thread writes
 * is the spill of a transfer that waits for a decoder (spill.h): page cache,
 * never synced.
 */
#ifndef DARKROOM_PIPELINE_H
#define DARKROOM_PIPELINE_H

#include "config_live.h"
#include "lab.h"
#include "line_api.h"
#include "offload.h"
#include "queue_thread.h"
#include "store.h"

struct pipeline;

/* All are lent and outlive the pipeline. */
struct pipeline_parts {
    struct loop *loop;
    struct offload *offload;
    struct store *store;
    struct lab *lab;
    struct http *http; /* for what is not at LINE */
    struct line_api *line;
    struct config_live *config; /* a job goes by what it began with */
    const uint8_t *name_key;    /* STORE_NAME_KEY_BYTES */
};

enum status pipeline_new(struct pipeline **out,
                         const struct pipeline_parts *parts) MUST_CHECK;

/* After drain; nothing may be in hand. */
void pipeline_free(struct pipeline *pipeline);

/* `transfers`: how many jobs it takes in hand at once. */
void pipeline_start(struct pipeline *pipeline, struct queue_thread *queue,
                    size_t transfers);

/* Jobs leased to this worker (queue_thread_options.on_claimed). */
void pipeline_take(void *pipeline, const struct queue_lease *leases,
                   size_t count);

/* on_idle comes once, from the loop, when no job is in hand any more. */
void pipeline_drain(struct pipeline *pipeline, void (*on_idle)(void *arg),
                    void *arg);

/* Jobs in hand. */
size_t pipeline_load(const struct pipeline *pipeline);

#endif
