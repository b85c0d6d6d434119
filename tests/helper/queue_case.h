/*
 * queue_case.h: a case over a backend of the queue: the fixture, and shorthands
 * that are a transaction each.
 *
 *   static void a_rule(void **state)
 *   {
 *       struct queue *queue = case_queue(state);
 *       ...
 *   }
 *
 *   const struct CMUnitTest tests[] = {CASE_OVER_ALL(a_rule)};
 */
#ifndef DARKROOM_TEST_QUEUE_CASE_H
#define DARKROOM_TEST_QUEUE_CASE_H

#include "queue.h"

#define NOW 1000000 /* any wall clock will do */
#define LEASE 5000
#define FAR (NOW * 1000) /* when all is old */
#define CASE_CLAIM_MAX 32

/* clang-format off */
#define CASE_OVER_ALL(test)                                                    \
    {"memory: " #test, test, case_set_up_memory, case_tear_down, NULL},        \
    {"sqlite: " #test, test, case_set_up_sqlite, case_tear_down, NULL}
/* clang-format on */

int case_set_up_memory(void **state);
int case_set_up_sqlite(void **state);
int case_tear_down(void **state);
struct queue *case_queue(void **state);

/* Everything that has ended is too old at FAR. */
extern const struct queue_keep case_keep_nothing;

/* The case's queue again, for another owner; NULL over a backend that has no
 * second one. Closed with the case. */
struct queue *case_other_owner(void **state);

struct job case_job(const char *event, const char *message);
void case_begin(struct queue *queue);
void case_commit(struct queue *queue);
enum status case_put(struct queue *queue, struct job *job, int64_t now_ms,
                     int64_t lease_ms);

/* Of an event of one message "1"; its id. */
int64_t case_put_new(struct queue *queue, const char *event, int64_t now_ms,
                     int64_t lease_ms);

/* Without what came with the jobs; max is at most CASE_CLAIM_MAX. */
size_t case_claim(struct queue *queue, int64_t now_ms, struct job *jobs,
                  size_t max);

/* Of a copy of the job, at NOW, with nothing besides. */
enum status case_update(struct queue *queue, const struct job *job);
enum status case_update_with(struct queue *queue, struct job *job,
                             const struct queue_extra *extra, int64_t now_ms);
struct job case_get(struct queue *queue, int64_t id);
void case_assert_equal(const struct job *a, const struct job *b);

#endif
