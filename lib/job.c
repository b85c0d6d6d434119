/*
 * job.c: the rules of one job. Pure functions only.
 */
#include "job.h"

#define BACKOFF_FIRST_MS 250
#define BACKOFF_LAST_MS 8000

int64_t job_deadline_ms(const struct job *job)
{
    return job->received_ms + REPLY_TOKEN_LIFE_MS;
}

int64_t job_backoff_ms(int32_t attempts, uint32_t random, int64_t hint_ms)
{
    int64_t step_ms = BACKOFF_FIRST_MS;

    for (int32_t i = 1; i < attempts && step_ms < BACKOFF_LAST_MS; i++)
        step_ms *= 2;
    return int64_max(step_ms / 2 + random % (step_ms / 2 + 1), hint_ms);
}

const char *job_kind_name(enum job_kind kind)
{
    static const char *const names[] = {"image", "file", "external", "unsend"};

    return names[kind];
}

const char *job_state_name(enum job_state state)
{
    static const char *const names[] = {"ready", "leased", "done", "dead"};

    return names[state];
}

const char *job_stage_name(enum job_stage stage)
{
    static const char *const names[] = {"fetch", "reply", "push", "failure"};

    return names[stage];
}

const char *job_outcome_name(enum job_outcome outcome)
{
    static const char *const names[] = {"none",         "replied",   "pushed",
                                        "failure_text", "withdrawn", "dead",
                                        "skipped",      "removed"};

    return names[outcome];
}
