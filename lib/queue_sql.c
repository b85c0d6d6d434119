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

    /* Made anew, for a key in another order needs that: an index of its own for
     * message_id would have cost every put. New columns have defaults, so that
     * a worker of version 1 can go on while the pool is restarted. */
    "CREATE TABLE job_2 ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  channel TEXT NOT NULL,"
    "  event_id TEXT NOT NULL,"
    "  message_id TEXT NOT NULL,"
    "  reply_token TEXT NOT NULL,"
    "  source INTEGER NOT NULL,"
    "  source_id TEXT NOT NULL,"
    "  event_ms INTEGER NOT NULL,"
    "  received_ms INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL DEFAULT 0,"
    "  quote_token TEXT NOT NULL DEFAULT '',"
    "  read_token TEXT NOT NULL DEFAULT '',"
    "  set_id TEXT NOT NULL DEFAULT '',"
    "  set_index INTEGER NOT NULL DEFAULT 0,"
    "  set_total INTEGER NOT NULL DEFAULT 0,"
    "  external_url TEXT NOT NULL DEFAULT '',"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),"
    "  stage INTEGER NOT NULL,"
    "  outcome INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL,"
    "  due_ms INTEGER NOT NULL,"
    "  reply_in_doubt INTEGER NOT NULL,"
    "  alone INTEGER NOT NULL,"
    "  last_status TEXT NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  original_name TEXT NOT NULL,"
    "  preview_name TEXT NOT NULL,"
    "  token_spent INTEGER NOT NULL DEFAULT 0,"
    "  push_key TEXT NOT NULL DEFAULT '',"
    "  fetched_ms INTEGER NOT NULL DEFAULT 0,"
    "  published_ms INTEGER NOT NULL DEFAULT 0,"
    "  messages TEXT,"
    "  owner TEXT CHECK ((state = 1) = (owner IS NOT NULL)),"
    "  UNIQUE (message_id, channel, event_id)"
    ") STRICT;"
    "INSERT INTO job_2 (id, channel, event_id, message_id, reply_token, source,"
    "  source_id, event_ms, received_ms, state, stage, outcome, attempts,"
    "  due_ms, reply_in_doubt, alone, last_status, reason, original_name,"
    "  preview_name, owner)"
    "  SELECT id, channel, event_id, message_id, reply_token, source,"
    "  source_id, event_ms, received_ms, state, stage, outcome, attempts,"
    "  due_ms, reply_in_doubt, alone, last_status, reason, original_name,"
    "  preview_name, owner FROM job;"
    /* An id that was given is never given again, even if its row is gone. */
    "DELETE FROM sqlite_sequence WHERE name = 'job_2';"
    "INSERT INTO sqlite_sequence (name, seq)"
    "  SELECT 'job_2', seq FROM sqlite_sequence WHERE name = 'job';"
    "DROP TABLE job;"
    "ALTER TABLE job_2 RENAME TO job;"
    "CREATE INDEX job_due ON job (due_ms, state, received_ms) WHERE state < 2;"
    "CREATE INDEX job_owner ON job (owner) WHERE state = 1;"
    "CREATE INDEX job_done ON job (received_ms) WHERE state = 2;"
    "CREATE INDEX job_set ON job (set_id, channel) WHERE set_id <> '';"
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
    "END;"
    "CREATE TABLE push_count ("
    "  channel TEXT NOT NULL,"
    "  month TEXT NOT NULL," /* 2026-11 */
    "  pushes INTEGER NOT NULL,"
    "  PRIMARY KEY (channel, month)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE forward ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  channel TEXT NOT NULL,"
    "  signature TEXT NOT NULL,"
    "  received_ms INTEGER NOT NULL,"
    "  state INTEGER NOT NULL CHECK (state IN (0, 1, 3)),"
    "  attempts INTEGER NOT NULL,"
    "  due_ms INTEGER NOT NULL,"
    "  why TEXT NOT NULL,"
    "  owner TEXT CHECK ((state = 1) = (owner IS NOT NULL)),"
    "  bytes INTEGER NOT NULL,"
    "  body BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX forward_open ON forward (channel, id, bytes) WHERE state < 2;"
    "CREATE INDEX forward_owner ON forward (owner) WHERE state = 1;"
    "CREATE INDEX forward_dropped ON forward (received_ms) WHERE state = 3;",

    /* DEAD rows age, too, DONE ones forget who sent them, leases count. */
    "ALTER TABLE job ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;"
    "DROP INDEX job_done;"
    "CREATE INDEX job_ended ON job (state, received_ms) WHERE state >= 2;"
    "UPDATE job SET reply_token = '', source_id = '', quote_token = '', "
    "  read_token = '', external_url = '' WHERE state = 2;",
};
/* clang-format on */

/* queue_forget_sender() */
#define FORGET_SENDER_IF(done)                                                 \
    "reply_token = CASE WHEN " done                                            \
    " THEN '' ELSE reply_token END, "                                          \
    "source_id = CASE WHEN " done                                              \
    " THEN '' ELSE source_id END, "                                            \
    "quote_token = CASE WHEN " done                                            \
    " THEN '' ELSE quote_token END, "                                          \
    "read_token = CASE WHEN " done                                             \
    " THEN '' ELSE read_token END, "                                           \
    "external_url = CASE WHEN " done " THEN '' ELSE external_url END, "

#define ORIGIN                                                                 \
    "channel, event_id, message_id, reply_token, source, source_id, "          \
    "event_ms, received_ms, kind, quote_token, read_token, set_id, "           \
    "set_index, set_total, external_url"
#define PROGRESS                                                               \
    "state, stage, outcome, attempts, due_ms, reply_in_doubt, alone, "         \
    "last_status, reason, original_name, preview_name, token_spent, "          \
    "push_key, fetched_ms, published_ms"
#define JOB "id, " ORIGIN ", " PROGRESS ", messages, claim"

/* As the parameters of an UPDATE name the job. */
#define IS_HELD "id = ?33 AND state = 1 AND owner = ?32 AND claim = ?34"

#define IS_OF_FILTER                                                           \
    "id < ?1 AND received_ms >= ?2 AND (?3 < 0 OR state = ?3) "                \
    "AND (?4 < 0 OR outcome = ?4) AND (?5 = '' OR channel = ?5) "              \
    "AND (?7 = 0 OR kind <> 3) "

const char *const queue_sql_statements[SQL__COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_INSERT] =
        "INSERT INTO job (" ORIGIN ", " PROGRESS
        ", owner, claim) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
        "?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, "
        "?29, ?30, ?32, ?34) "
        "ON CONFLICT (message_id, channel, event_id) DO NOTHING",
    [SQL_FIND] =
        "SELECT id, state < 2 FROM job "
        "WHERE channel = ?1 AND event_id = ?2 AND message_id = ?3",
    /* What is known about the old token must not be forgotten. */
    [SQL_RENEW] =
        "UPDATE job SET reply_token = ?2, received_ms = ?3 "
        "WHERE id = ?1 AND reply_in_doubt = 0 AND token_spent = 0",
    [SQL_IS_UNSENT] =
        "SELECT 1 FROM job "
        "WHERE message_id = ?1 AND channel = ?2 AND kind = 3",
    [SQL_FIND_UNSENT] =
        "SELECT id, set_id FROM job "
        "WHERE message_id = ?1 AND channel = ?2 AND kind <> 3 "
        "AND state IN (0, 3) LIMIT 1",
    [SQL_WITHDRAW] =
        "UPDATE job SET state = 2, outcome = ?2, last_status = ?3, "
        "reason = ?4, " FORGET_SENDER_IF("TRUE")
        "messages = NULL WHERE id = ?1",
    [SQL_DUE] = "SELECT " JOB
                " FROM job WHERE state < 2 AND due_ms <= ?1 "
                "ORDER BY due_ms LIMIT 1",
    [SQL_DUE_SET] =
        "SELECT " JOB
        " FROM job "
        "WHERE set_id = ?2 AND set_id <> '' AND channel = ?3 AND stage = 1 "
        "AND (state = 0 OR (state = 1 AND due_ms <= ?1)) "
        "ORDER BY set_index, id LIMIT ?4",
    [SQL_LEASE] =
        "UPDATE job SET state = 1, owner = ?2, due_ms = ?3, "
        "attempts = attempts + 1, claim = claim + 1 WHERE id = ?1",
    [SQL_CONDEMN] =
        "UPDATE job SET state = 3, owner = NULL, "
        "reason = 'the stored job is damaged' WHERE id = ?1",
    [SQL_EXTEND] =
        "UPDATE job SET due_ms = ?3 "
        "WHERE id = ?1 AND state = 1 AND owner = ?2",
    /* A note must not shorten the lease: an extension may have come between
     * the caller's copy and this. */
    [SQL_UPDATE] =
        "UPDATE job SET state = ?16, stage = ?17, outcome = ?18, "
        "attempts = ?19, "
        "due_ms = CASE WHEN ?16 = 1 THEN max(due_ms, ?20) ELSE ?20 END, "
        "reply_in_doubt = ?21, alone = ?22, last_status = ?23, "
        "reason = ?24, original_name = ?25, preview_name = ?26, "
        "token_spent = ?27, push_key = ?28, fetched_ms = ?29, "
        "published_ms = ?30, " FORGET_SENDER_IF("?16 = 2")
        "messages = CASE WHEN ?16 < 2 OR (?16 = 3 AND ?28 <> '') "
        "THEN coalesce(?31, messages) END, "
        "owner = CASE WHEN ?16 = 1 THEN owner END "
        "WHERE " IS_HELD
        " AND (?16 = 2 OR kind = 3 OR NOT EXISTS ("
        "SELECT 1 FROM job AS mark WHERE mark.message_id = job.message_id "
        "AND mark.channel = job.channel AND mark.kind = 3))",
    [SQL_TOKEN] = "SELECT reply_token, received_ms FROM job WHERE id = ?1",
    [SQL_ADOPT] =
        "UPDATE job SET received_ms = ?3, "
        "reply_token = CASE WHEN state = 2 THEN '' ELSE ?2 END WHERE id = ?1",
    [SQL_HELD] = "SELECT stage, push_key FROM job WHERE " IS_HELD,
    [SQL_WAKE_SET] =
        "UPDATE job SET due_ms = min(due_ms, ?3) "
        "WHERE set_id = ?1 AND set_id <> '' AND channel = ?2 "
        "AND state = 0 AND stage = 1 AND set_total > 0 AND set_total <= "
        "(SELECT count(*) FROM job WHERE set_id = ?1 AND set_id <> '' "
        "AND channel = ?2 AND (stage > 0 OR state >= 2))",
    [SQL_SET_HAS_KEY] =
        "SELECT 1 FROM job WHERE set_id = ?1 AND set_id <> '' "
        "AND channel = ?2 AND push_key = ?3",
    [SQL_PUSHES] =
        "SELECT pushes FROM push_count WHERE channel = ?1 AND month = ?2",
    [SQL_COUNT_PUSH] =
        "INSERT INTO push_count (channel, month, pushes) VALUES (?1, ?2, 1) "
        "ON CONFLICT (channel, month) DO UPDATE SET pushes = pushes + 1",
    [SQL_NEXT_OWNER] =
        "SELECT owner FROM job WHERE state = 1 AND owner > ?1 "
        "ORDER BY owner LIMIT 1",
    [SQL_RELEASE] =
        "UPDATE job SET state = 0, owner = NULL, due_ms = ?2 "
        "WHERE state = 1 AND owner = ?1",
    [SQL_NEXT_DUE] = "SELECT min(due_ms) FROM job WHERE state < 2",
    [SQL_GET] = "SELECT " JOB " FROM job WHERE id = ?1",
    [SQL_LIST] = "SELECT " JOB " FROM job WHERE " IS_OF_FILTER
                 "ORDER BY id DESC LIMIT ?6",
    [SQL_LIST_MESSAGE] =
        "SELECT " JOB " FROM job WHERE message_id = ?8 AND " IS_OF_FILTER
        "ORDER BY id DESC LIMIT ?6",
    /* By indexes that have all it asks for; without their names SQLite may
     * choose to go through the whole table by id. */
    [SQL_CURRENT] =
        "SELECT id FROM job INDEXED BY job_due WHERE state < 2 AND id > ?1 "
        "UNION "
        "SELECT id FROM job INDEXED BY job_ended WHERE state >= 2 "
        "AND state IN (2, 3) AND received_ms >= ?2 AND id > ?1 "
        "ORDER BY id LIMIT ?3",
    [SQL_REQUEUE] =
        "UPDATE job SET state = 0, outcome = 0, attempts = 0, due_ms = ?2, "
        "received_ms = ?2, reply_in_doubt = 0, token_spent = 1, "
        "stage = CASE WHEN push_key <> '' THEN 2 ELSE 0 END "
        "WHERE id = ?1 AND state = 3",
    [SQL_DROP] =
        "UPDATE job SET state = 3, owner = NULL, "
        "messages = CASE WHEN push_key <> '' THEN messages END, "
        "outcome = ?2, reason = ?3, due_ms = ?4 "
        "WHERE id = ?1 AND state < 2 RETURNING set_id, channel",
    [SQL_TALLY] = "SELECT state, jobs FROM tally",
    [SQL_OLDEST] = "SELECT min(received_ms) FROM job WHERE state < 2",
    [SQL_PURGE] =
        "DELETE FROM job WHERE id IN (SELECT id FROM job "
        "WHERE state >= 2 AND state = ?1 AND received_ms < ?2 "
        "ORDER BY received_ms LIMIT ?3)",
    [SQL_BODY_PUT] =
        "INSERT INTO forward (channel, signature, received_ms, state, "
        "attempts, due_ms, why, bytes, body) "
        "VALUES (?1, ?2, ?3, 0, 0, ?4, '', ?5, ?6)",
    /* The oldest of the next channel: a step through forward_open. */
    [SQL_BODY_HEAD] =
        "SELECT channel, id, due_ms FROM forward "
        "WHERE state < 2 AND channel > ?1 ORDER BY channel, id LIMIT 1",
    [SQL_BODY_LEASE] =
        "UPDATE forward SET state = 1, owner = ?2, due_ms = ?3, "
        "attempts = attempts + 1 WHERE id = ?1 "
        "RETURNING id, channel, signature, received_ms, attempts, body",
    [SQL_BODY_REMOVE] =
        "DELETE FROM forward WHERE id = ?1 AND state = 1 AND owner = ?2",
    [SQL_BODY_RETRY] =
        "UPDATE forward SET state = 0, owner = NULL, due_ms = ?3 "
        "WHERE id = ?1 AND state = 1 AND owner = ?2",
    [SQL_BODY_DROP] =
        "UPDATE forward SET state = 3, owner = NULL, why = ?3, "
        "signature = '', body = x'' "
        "WHERE id = ?1 AND state = 1 AND owner = ?2",
    [SQL_BODY_TRIM] =
        "DELETE FROM forward WHERE id IN (SELECT id FROM forward "
        "WHERE state = 3 ORDER BY received_ms DESC LIMIT -1 OFFSET ?1)",
    [SQL_BODY_PURGE] =
        "DELETE FROM forward WHERE state = 3 AND received_ms < ?1",
    [SQL_BODY_NEXT_OWNER] =
        "SELECT owner FROM forward WHERE state = 1 AND owner > ?1 "
        "ORDER BY owner LIMIT 1",
    [SQL_BODY_RELEASE] =
        "UPDATE forward SET state = 0, owner = NULL, due_ms = ?2 "
        "WHERE state = 1 AND owner = ?1",
    [SQL_BODY_STATS] =
        "SELECT count(*), coalesce(sum(bytes), 0) FROM forward "
        "WHERE state < 2",
    [SQL_BODY_DROPPED] = "SELECT count(*) FROM forward WHERE state = 3",
};
