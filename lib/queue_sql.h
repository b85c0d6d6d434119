/*
 * queue_sql.h: what queue_sqlite.c says to SQLite: the schema and its versions,
 * the statements and the order of their columns and parameters. Text only.
 *
 * One row per job, one column per field of struct job, and `owner` while it is
 * leased. due_ms is "not before" of a READY row and "until" of a LEASED one, so
 * one partial index finds what can be claimed. Counts by state are kept by
 * triggers: a count over a day of finished rows would cost milliseconds, every
 * second, in every worker.
 *
 * Numbers in the text are those of enum job_state: 0 READY, 1 LEASED, 2 DONE,
 * 3 DEAD.
 */
#ifndef DARKROOM_QUEUE_SQL_H
#define DARKROOM_QUEUE_SQL_H

#define QUEUE_SQL_APPLICATION 0x64726B6D /* "drkm" in the file's header */
#define QUEUE_SQL_VERSION 1              /* kept as user_version */

/* [v] leads from version v to v + 1; 0 is an empty file. */
extern const char *const queue_sql_migrations[QUEUE_SQL_VERSION];

/* Columns of a SELECT of jobs; 1 to 19 are also the parameters of an INSERT or
 * UPDATE, followed by P_OWNER and, for an UPDATE, P_ID. */
enum column {
    C_ID,
    C_CHANNEL,
    C_EVENT_ID,
    C_MESSAGE_ID,
    C_REPLY_TOKEN,
    C_SOURCE,
    C_SOURCE_ID,
    C_EVENT_MS,
    C_RECEIVED_MS,
    C_STATE,
    C_STAGE,
    C_OUTCOME,
    C_ATTEMPTS,
    C_DUE_MS,
    C_REPLY_IN_DOUBT,
    C_ALONE,
    C_LAST_STATUS,
    C_REASON,
    C_ORIGINAL_NAME,
    C_PREVIEW_NAME,
    P_OWNER,
    P_ID,
};

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_INSERT,
    SQL_FIND,
    SQL_RENEW,
    SQL_DUE,
    SQL_LEASE,
    SQL_CONDEMN,
    SQL_EXTEND,
    SQL_UPDATE,
    SQL_NEXT_OWNER,
    SQL_RELEASE,
    SQL_NEXT_DUE,
    SQL_GET,
    SQL_TALLY,
    SQL_OLDEST,
    SQL_PURGE,
    SQL__COUNT
};

extern const char *const queue_sql_statements[SQL__COUNT];

#endif
