/*
 * pipeline_task.h: what the files of the pipeline share. Private to
 * pipeline*.c; pipeline.c has the state diagram.
 *
 * A task is one job in hand. It has one owner at a time: pipeline_picture.c
 * until its files are published, pipeline_answer.c while it is part of an
 * answer, pipeline_unsend.c, and pipeline.c once it settles.
 */
#ifndef DARKROOM_PIPELINE_TASK_H
#define DARKROOM_PIPELINE_TASK_H

#include "decide.h"
#include "external.h"
#include "metrics.h"
#include "pipeline.h"

struct answer; /* pipeline_answer.c */

enum task_state {
    TASK_OPENING,
    TASK_FETCHING,
    TASK_PUBLISHING,
    TASK_ANSWERING,
    TASK_REMOVING,
    TASK_SETTLING,
};

struct task {
    struct pipeline *pipeline;
    struct task *next, *prev;
    enum task_state state;
    const struct config *config; /* held */
    struct job job;
    char *messages;        /* noted with the job, from malloc(), or NULL */
    struct answer *answer; /* ANSWERING */
    bool is_withdrawn;     /* taken back while it could not be stopped */

    struct line_call *call; /* FETCHING: one of these two */
    struct external_call *external;
    struct lab_stream *stream;      /* FETCHING */
    bool decoded;                   /* the lab is done, and it worked */
    bool is_picture;                /* a lab has seen its head */
    enum status write_status;       /* why the lab's side took no more bytes */
    enum status cut_status;         /* how the transfer ended early, or OK */
    struct transcode_report report; /* when `decoded` */
    int64_t content_length;         /* as told by the server, or -1 */
    int64_t fetched_bytes;
    int64_t fetch_ended_ms; /* wall clock */
    int64_t stage_us;       /* mono: the decoding, then the publishing began */
    struct loop_timer late_timer; /* until the picture is published */
    struct line_call *busy_call;  /* the busy text */
    struct queue_change busy_change;

    struct store_file original, preview;
    struct offload_task work; /* OPENING, PUBLISHING, REMOVING, SETTLING */
    enum status work_status;
    bool was_there;             /* REMOVING: something was published */
    struct queue_change change; /* ANSWERING, SETTLING */
};

struct pipeline {
    struct pipeline_parts parts;
    struct queue_thread *queue;
    struct task *first;
    size_t load;
    struct loop_timer lease_timer;
    struct loop_timer drain_timer;
    bool draining;
    bool handing_back; /* the drain's time is up */
    void (*on_idle)(void *arg);
    void *on_idle_arg;
};

/* ---- pipeline.c */

/* All changes of state go through here. */
void task_enter(struct task *task, enum task_state state);

/* Does what was decided: the next state, or SETTLING. */
void task_do(struct task *task, const struct decision *decision);

/* SETTLING: DONE and WITHDRAWN, its files removed. */
void task_withdraw(struct task *task);

/* SETTLING: as if it had never been claimed. */
void task_hand_back(struct task *task);

/* Nothing is recorded: the lease is another worker's, or the queue is gone. */
void task_drop(struct task *task, enum status why);

/* The settings of its channel; where there are none, a channel that is told
 * nothing and may nothing. */
const struct config_channel *task_channel(const struct task *task);

int64_t task_age_ms(const struct task *task);

void task_offload(struct task *task, void (*work)(void *arg),
                  void (*done)(void *arg));

/* `change` is filled but for what it does besides... */
void task_fill(struct task *task, struct queue_change *change,
               void (*done)(struct queue_change *change, enum status status));

/* ... and submitted. */
void task_submit(struct task *task, struct queue_change *change,
                 void (*done)(struct queue_change *change, enum status status));

/* The names of its files, published or not. */
enum status task_make_names(struct task *task,
                            bool preview_is_original) MUST_CHECK;

/* ---- pipeline_picture.c */

void picture_enter_opening(struct task *task);
void picture_enter_fetching(struct task *task);
void picture_enter_publishing(struct task *task);

/* Ends what is under way with others; no callback comes after. */
void picture_stop(struct task *task);

/* Takes care of the moment when the picture is late. */
void picture_watch_the_time(struct task *task);

/* Replies the busy text, while the picture goes on. */
void picture_send_busy_text(struct task *task);

/* ---- pipeline_answer.c */

/* Answers one job: stage REPLY, PUSH or FAILURE. */
void answer_one(struct task *task, enum job_stage stage);

/* Answers what was published of one image set, in as many messages as it
 * takes. `tasks` is put in order. */
void answer_set(struct task **tasks, size_t count);

/* For a drain whose time is up, and for an unsend: ends the waiting for others
 * that can be ended. */
void answer_interrupt(struct task *task, bool is_withdrawn);

/* ---- pipeline_unsend.c */

void unsend_enter_removing(struct task *task);

/* On an offload thread: removes what was published of the task's message. */
void unsend_remove_files(void *task);

#endif
