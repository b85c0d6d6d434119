/*
 * queue_sql.c: a table of migrations and a table of statements. A schema that
 * was released is never changed here: a new version gets a new migration.
 */
#include "queue_sql.h"

/* clang-format off */
const char *const queue_sql_migrations[QUEUE_SQL_VERSION] = {
    "CREATE TABLE job ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT," /* never the same id twice */
    "  channel TEXT NOT NULL,"
    "  event_id TEXT NOT NULL,"
    "  message_id TEXT NOT NULL,"
    "  reply_token TEXT NOT NULL,"
    "  source INTEGER NOT NULL,"
    "  source_id TEXT NOT NULL,"
    "  event_ms INTEGER NOT NULL,"
    "  received_ms INTEGER NOT NULL,"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),"
    "  stage INTEGER NOT NULL,"
    "  outcome INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL,"
    "  due_ms INTEGER NOT NULL,"
    "  reply_in_doubt INTEGER NOT NULL,"
    "  alone INTEGER NOT NULL,"
    "  last_status TEXT NOT NULL," /* names are stable, values are not */
    "  reason TEXT NOT NULL,"
    "  original_name TEXT NOT NULL,"
    "  preview_name TEXT NOT NULL,"
    "  owner TEXT CHECK ((state = 1) = (owner IS NOT NULL)),"
    "  UNIQUE (channel, event_id, message_id)"
    ") STRICT;"
    "CREATE INDEX job_due ON job (due_ms, state, received_ms) WHERE state < 2;"
    "CREATE INDEX job_owner ON job (owner) WHERE state = 1;"
    "CREATE INDEX job_done ON job (received_ms) WHERE state = 2;"
    "CREATE TABLE tally ("
    "  state INTEGER PRIMARY KEY,"
    "  jobs INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO tally VALUES (0, 0), (1, 0), (2, 0), (3, 0);"
    "CREATE TRIGGER job_added AFTER INSERT ON job BEGIN"
    "  UPDATE tally SET jobs = jobs + 1 WHERE state = NEW.state;"
    "END;"
    "CREATE TRIGGER job_removed AFTER DELETE ON job BEGIN"
    "  UPDATE tally SET jobs = jobs - 1 WHERE state = OLD.state;"
    "END;"
    "CREATE TRIGGER job_moved AFTER UPDATE OF state ON job"
    "  WHEN OLD.state <> NEW.state BEGIN"
    "  UPDATE tally SET jobs = jobs - 1 WHERE state = OLD.state;"
    "  UPDATE tally SET jobs = jobs + 1 WHERE state = NEW.state;"
    "END;",
};
/* clang-format on */

#define ORIGIN                                                                 \
    "channel, event_id, message_id, reply_token, source, source_id, "          \
    "event_ms, received_ms"
#define PROGRESS                                                               \
    "state, stage, outcome, attempts, due_ms, reply_in_doubt, alone, "         \
    "last_status, reason, original_name, preview_name"
#define SELECT_JOB "SELECT id, " ORIGIN ", " PROGRESS " FROM job "

const char *const queue_sql_statements[SQL__COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_INSERT] = "INSERT INTO job (" ORIGIN ", " PROGRESS
                   ", owner) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, "
                   "?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) "
                   "ON CONFLICT (channel, event_id, message_id) DO NOTHING",
    [SQL_FIND] =
        "SELECT id, state < 2 FROM job "
        "WHERE channel = ?1 AND event_id = ?2 AND message_id = ?3",
    [SQL_RENEW] =
        "UPDATE job SET reply_token = ?2, received_ms = ?3 "
        "WHERE id = ?1",
    [SQL_DUE] = SELECT_JOB
    "WHERE state < 2 AND due_ms <= ?1 "
    "ORDER BY due_ms LIMIT ?2",
    [SQL_LEASE] =
        "UPDATE job SET state = 1, owner = ?2, due_ms = ?3, "
        "attempts = attempts + 1 WHERE id = ?1",
    [SQL_CONDEMN] =
        "UPDATE job SET state = 3, owner = NULL, "
        "reason = 'the stored job is damaged' WHERE id = ?1",
    [SQL_EXTEND] =
        "UPDATE job SET due_ms = ?3 "
        "WHERE id = ?1 AND state = 1 AND owner = ?2",
    /* A note must not shorten the lease: an extension may have come between
     * the caller's copy and this. */
    [SQL_UPDATE] =
        "UPDATE job SET state = ?9, stage = ?10, outcome = ?11, "
        "attempts = ?12, "
        "due_ms = CASE WHEN ?9 = 1 THEN max(due_ms, ?13) ELSE ?13 END, "
        "reply_in_doubt = ?14, alone = ?15, last_status = ?16, "
        "reason = ?17, original_name = ?18, preview_name = ?19, "
        "owner = CASE WHEN ?9 = 1 THEN owner END "
        "WHERE id = ?21 AND state = 1 AND owner = ?20",
    [SQL_NEXT_OWNER] =
        "SELECT owner FROM job WHERE state = 1 AND owner > ?1 "
        "ORDER BY owner LIMIT 1",
    [SQL_RELEASE] =
        "UPDATE job SET state = 0, owner = NULL, due_ms = ?2 "
        "WHERE state = 1 AND owner = ?1",
    [SQL_NEXT_DUE] = "SELECT min(due_ms) FROM job WHERE state < 2",
    [SQL_GET] = SELECT_JOB "WHERE id = ?1",
    [SQL_TALLY] = "SELECT state, jobs FROM tally",
    [SQL_OLDEST] = "SELECT min(received_ms) FROM job WHERE state < 2",
    [SQL_PURGE] =
        "DELETE FROM job WHERE id IN (SELECT id FROM job "
        "WHERE state = 2 AND received_ms < ?1 "
        "ORDER BY received_ms LIMIT ?2)",
};
