/*
 * jobs_print.h: jobs as receipts, for people and for programs. Never with a
 * reply token, a user's id or a name that is not published.
 */
#ifndef DARKROOM_JOBS_PRINT_H
#define DARKROOM_JOBS_PRINT_H

#include "config.h"
#include "job.h"

/* The head of a table, and a row of it: one line each. */
void jobs_print_head(void);
void jobs_print_row(const struct job *job);

/* All there is to say about one. */
void jobs_print_receipt(const struct config *config, const struct job *job);

/*
 * One object in one line:
 *   {"id":12,"message_id":"6000...","channel":"default","kind":"image",
 *    "source":"user","state":"done","stage":"reply","outcome":"replied",
 *    "status":"OK","reason":"","attempts":1,"in_doubt":false,
 *    "event_ms":...,"received_ms":...,"due_ms":...,
 *    "set_index":0,"set_total":0,"original_url":"https:...","preview_url":...}
 * Times are wall clock milliseconds; due_ms of a finished job is when it ended.
 */
enum status jobs_print_json(const struct config *config,
                            const struct job *job) MUST_CHECK;

#endif
