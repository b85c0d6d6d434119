/*
 * queue_sql.h: what the SQLite queue says to SQLite: the schema and its
 * versions, the statements and the order of their columns and parameters. Text
 * only.
 *
 * One row per job, one column per field of struct job, and `owner` while it is
 * leased. due_ms is "not before" of a READY row and "until" of a LEASED one, so
 * one partial index finds what can be claimed. The unique key begins with the
 * message, so it also finds the rows of a message and its UNSEND mark. Counts
 * by state are kept by triggers: a count over days of finished rows would cost
 * milliseconds, every second, in every worker. Bodies to forward have a table
 * of their own, with the same states, and none that is DONE.
 *
 * Numbers in the text are those of enum job_state: 0 READY, 1 LEASED, 2 DONE,
 * 3 DEAD; of enum job_stage: 0 FETCH, 1 REPLY; of enum job_kind: 3 UNSEND.
 */
#ifndef DARKROOM_QUEUE_SQL_H
#define DARKROOM_QUEUE_SQL_H

#define QUEUE_SQL_APPLICATION 0x64726B6D /* "drkm" in the file's header */
#define QUEUE_SQL_VERSION 3              /* kept as user_version */

/* [v] leads from version v to v + 1; 0 is an empty file. */
extern const char *const queue_sql_migrations[QUEUE_SQL_VERSION];

/* Columns of a SELECT of jobs; 1 to C_MESSAGES are also the parameters of an
 * INSERT or UPDATE, followed by those from P_OWNER on. */
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
    C_KIND,
    C_QUOTE_TOKEN,
    C_READ_TOKEN,
    C_SET_ID,
    C_SET_INDEX,
    C_SET_TOTAL,
    C_EXTERNAL_URL,
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
    C_TOKEN_SPENT,
    C_PUSH_KEY,
    C_FETCHED_MS,
    C_PUBLISHED_MS,
    C_MESSAGES,
    C_CLAIM,
    P_OWNER = C_CLAIM, /* parameters count on without it */
    P_ID,
    P_CLAIM,
};

/* Columns of SQL_BODY_LEASE. */
enum body_column {
    B_ID,
    B_CHANNEL,
    B_SIGNATURE,
    B_RECEIVED_MS,
    B_ATTEMPTS,
    B_BODY,
};

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_INSERT,
    SQL_FIND,
    SQL_RENEW,
    SQL_IS_UNSENT,
    SQL_FIND_UNSENT,
    SQL_WITHDRAW,
    SQL_DUE,
    SQL_DUE_SET,
    SQL_LEASE,
    SQL_CONDEMN,
    SQL_EXTEND,
    SQL_HELD,
    SQL_UPDATE,
    SQL_TOKEN,
    SQL_ADOPT,
    SQL_WAKE_SET,
    SQL_SET_HAS_KEY,
    SQL_PUSHES,
    SQL_COUNT_PUSH,
    SQL_NEXT_OWNER,
    SQL_RELEASE,
    SQL_NEXT_DUE,
    SQL_GET,
    SQL_LIST,
    SQL_LIST_MESSAGE,
    SQL_CURRENT,
    SQL_REQUEUE,
    SQL_DROP,
    SQL_TALLY,
    SQL_OLDEST,
    SQL_PURGE,
    SQL_BODY_PUT,
    SQL_BODY_HEAD,
    SQL_BODY_LEASE,
    SQL_BODY_REMOVE,
    SQL_BODY_RETRY,
    SQL_BODY_DROP,
    SQL_BODY_TRIM,
    SQL_BODY_PURGE,
    SQL_BODY_NEXT_OWNER,
    SQL_BODY_RELEASE,
    SQL_BODY_STATS,
    SQL_BODY_DROPPED,
    SQL__COUNT
};

extern const char *const queue_sql_statements[SQL__COUNT];

#endif
