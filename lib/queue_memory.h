/*
 * queue_memory.h: what the files of the memory queue share; private to them.
 */
#ifndef DARKROOM_QUEUE_MEMORY_H
#define DARKROOM_QUEUE_MEMORY_H

#include "queue_backend.h"

struct memory_row {
    struct job job;
    const char *messages; /* one of `kept`, or NULL */
};

struct memory_undo {
    size_t row;
    struct memory_row before;
};

struct memory_body {
    struct queue_body head; /* .body is not used */
    const char *bytes;      /* one of `kept` */
    size_t len;
    enum job_state state;
    int64_t due_ms;
};

struct memory_push_count {
    char channel[CHANNEL_NAME_MAX + 1];
    char month[QUEUE_MONTH_SIZE];
    int64_t pushes;
};

/* An array that grows, and its content when the transaction began. */
struct memory_bodies {
    struct memory_body *rows, *before;
    size_t count, capacity, before_count;
};

struct memory_pushes {
    struct memory_push_count *rows;
    size_t count, capacity;
};

struct memory_queue {
    struct queue base;
    bool in_transaction;
    int64_t last_id;

    struct memory_row *rows;
    size_t row_count, row_capacity;
    size_t rows_at_begin;

    struct memory_undo *undos;
    size_t undo_count, undo_capacity;

    struct memory_bodies bodies;
    struct memory_pushes pushes, pushes_before;

    char **kept; /* texts that rows point to, freed with the queue */
    size_t kept_count, kept_capacity;
};

static inline struct memory_queue *memory_of(struct queue *queue)
{
    return CONTAINER_OF(queue, struct memory_queue, base);
}

/* ---- queue_memory.c */

/* Room for one more than `count` elements in a growing array. */
enum status memory_reserve(void **array, size_t *capacity, size_t count,
                           size_t element_bytes) MUST_CHECK;

/* A copy that lives as long as the queue; NULL: no memory. */
const char *memory_keep(struct memory_queue *mem, const char *bytes,
                        size_t len);

/* ---- queue_memory_forward.c */

enum status memory_bodies_begin(struct memory_queue *mem) MUST_CHECK;
void memory_bodies_rollback(struct memory_queue *mem);
void memory_bodies_purge(struct memory_queue *mem, int64_t before_ms);
void memory_bodies_stats(struct memory_queue *mem, struct queue_stats *stats);
void memory_bodies_free(struct memory_queue *mem);
enum status memory_body_put(struct queue *queue, struct queue_body *body,
                            int64_t now_ms);
enum status memory_body_claim(struct queue *queue, int64_t now_ms,
                              int64_t lease_ms, struct queue_body **body);
enum status memory_body_end(struct queue *queue, int64_t id,
                            enum queue_body_end end, int64_t due_ms,
                            const char *why);
enum status memory_body_next_due(struct queue *queue, int64_t *due_ms);

#endif
