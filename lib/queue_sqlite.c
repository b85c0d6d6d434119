/*
 * queue_sqlite.c: the queue of one machine: a SQLite file in WAL mode with
 * synchronous=FULL (NORMAL lost 200 of 67,071 acknowledged rows in a simulated
 * power cut, FULL none: architecture-study 2).
 *
 *   begin:   gate, then BEGIN IMMEDIATE      (queue_lock.h; SQLite's own busy
 *   commit:  COMMIT, then the gate is left    handler is only a backstop
 *   rollback: likewise                        against foreign programs)
 *
 * What is read back is checked field by field. A row that fails is logged and
 * set DEAD with the rest of it untouched: a person must look, and the next
 * claim must not find it again.
 */
#include "queue_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "log.h"
#include "queue_lock.h"
#include "queue_sql.h"

struct sqlite_queue {
    struct queue base;
    struct queue_lock lock;
    sqlite3 *db;
    sqlite3_stmt *prepared[SQL__COUNT];
    bool in_transaction; /* and inside the gate */
};

static struct sqlite_queue *sqlite_of(struct queue *queue)
{
    return CONTAINER_OF(queue, struct sqlite_queue, base);
}

/* ---- errors */

/* SQLite says FULL for ENOSPC; a quota or a limit on the file's size is an
 * IOERR to it. Its own sqlite3_system_errno() is not set by a failed COMMIT, so
 * errno is looked at, as it was right after the call. */
static bool disk_is_full(int code, int err)
{
    if ((code & 0xff) == SQLITE_FULL)
        return true;
    return (code & 0xff) == SQLITE_IOERR &&
           status_from_errno(err) == STATUS_NO_SPACE;
}

/* `what` is the statement at fault; it holds no values. */
static enum status fail(struct sqlite_queue *q, int code, const char *what)
{
    int err = errno;

    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return STATUS_BUSY;
    case SQLITE_NOMEM:
        return STATUS_NO_MEMORY;
    default:
        LOG(ERROR, "queue_failed", LOG_STR("error", sqlite3_errmsg(q->db)),
            LOG_INT("code", code), LOG_STR("statement", what));
        return disk_is_full(code, err) ? STATUS_NO_SPACE : STATUS_IO;
    }
}

static enum status exec(struct sqlite_queue *q, const char *sql)
{
    int code = sqlite3_exec(q->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? STATUS_OK : fail(q, code, sql);
}

/* ---- one prepared statement: bind, step, reset */

/* Binding to an existing parameter without a copy cannot fail; if it does, the
 * statement is misused and its step says so. */
static void bind_int(sqlite3_stmt *stmt, int parameter, int64_t value)
{
    (void)sqlite3_bind_int64(stmt, parameter, value);
}

static void bind_text(sqlite3_stmt *stmt, int parameter, const char *text)
{
    (void)sqlite3_bind_text(stmt, parameter, text, -1, SQLITE_STATIC);
}

/* OK: done. AGAIN: there is a row; the caller reads it and calls done(). */
static enum status step(struct sqlite_queue *q, enum sql which)
{
    sqlite3_stmt *stmt = q->prepared[which];
    int code = sqlite3_step(stmt);
    enum status status;

    if (code == SQLITE_ROW)
        return STATUS_AGAIN;
    status = code == SQLITE_DONE ? STATUS_OK
                                 : fail(q, code, queue_sql_statements[which]);
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
    return status;
}

static void done(struct sqlite_queue *q, enum sql which)
{
    (void)sqlite3_reset(q->prepared[which]);
    (void)sqlite3_clear_bindings(q->prepared[which]);
}

/* One number. OK: there was one; NOT_FOUND: no row, or NULL. */
static enum status step_number(struct sqlite_queue *q, enum sql which,
                               int64_t *number)
{
    enum status status = step(q, which);

    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    status = STATUS_NOT_FOUND;
    if (sqlite3_column_type(q->prepared[which], 0) == SQLITE_INTEGER) {
        *number = sqlite3_column_int64(q->prepared[which], 0);
        status = STATUS_OK;
    }
    done(q, which);
    return status;
}

/* ---- struct job to parameters, columns to struct job */

static void bind_origin(sqlite3_stmt *stmt, const struct job *job)
{
    bind_text(stmt, C_CHANNEL, job->channel);
    bind_text(stmt, C_EVENT_ID, job->event_id);
    bind_text(stmt, C_MESSAGE_ID, job->message_id);
    bind_text(stmt, C_REPLY_TOKEN, job->reply_token);
    bind_int(stmt, C_SOURCE, job->source);
    bind_text(stmt, C_SOURCE_ID, job->source_id);
    bind_int(stmt, C_EVENT_MS, job->event_ms);
    bind_int(stmt, C_RECEIVED_MS, job->received_ms);
}

static void bind_progress(sqlite3_stmt *stmt, const struct job *job)
{
    bind_int(stmt, C_STATE, job->state);
    bind_int(stmt, C_STAGE, job->stage);
    bind_int(stmt, C_OUTCOME, job->outcome);
    bind_int(stmt, C_ATTEMPTS, job->attempts);
    bind_int(stmt, C_DUE_MS, job->due_ms);
    bind_int(stmt, C_REPLY_IN_DOUBT, job->reply_in_doubt);
    bind_int(stmt, C_ALONE, job->alone);
    bind_text(stmt, C_LAST_STATUS, status_name(job->last_status));
    bind_text(stmt, C_REASON, job->reason);
    bind_text(stmt, C_ORIGINAL_NAME, job->original_name);
    bind_text(stmt, C_PREVIEW_NAME, job->preview_name);
}

/* A row while it is read: the first column that fails is remembered. */
struct row {
    sqlite3_stmt *stmt;
    const char *bad;
};

static int64_t read_int(struct row *row, enum column column, int64_t min,
                        int64_t max)
{
    int64_t value = sqlite3_column_int64(row->stmt, (int)column);

    if (value >= min && value <= max)
        return value;
    row->bad = sqlite3_column_name(row->stmt, (int)column);
    return min;
}

static void read_text(struct row *row, enum column column, char *text,
                      size_t size)
{
    const void *bytes = sqlite3_column_text(row->stmt, (int)column);
    int len = sqlite3_column_bytes(row->stmt, (int)column);

    if (bytes == NULL || memchr(bytes, '\0', (size_t)len) != NULL ||
        !str_copy_n(text, size, bytes, (size_t)len))
        row->bad = sqlite3_column_name(row->stmt, (int)column);
}

static enum status read_status(struct row *row, enum column column)
{
    char name[64] = "";

    read_text(row, column, name, sizeof(name));
    for (int i = 0; i < STATUS__COUNT; i++) {
        if (str_eq(name, status_name((enum status)i)))
            return (enum status)i;
    }
    row->bad = sqlite3_column_name(row->stmt, (int)column);
    return STATUS_BUG;
}

static bool read_job(sqlite3_stmt *stmt, struct job *job)
{
    struct row row = {.stmt = stmt};

    *job = (struct job){0};
    job->id = read_int(&row, C_ID, 1, INT64_MAX);
    read_text(&row, C_CHANNEL, job->channel, sizeof(job->channel));
    read_text(&row, C_EVENT_ID, job->event_id, sizeof(job->event_id));
    read_text(&row, C_MESSAGE_ID, job->message_id, sizeof(job->message_id));
    read_text(&row, C_REPLY_TOKEN, job->reply_token, sizeof(job->reply_token));
    job->source = (enum job_source)read_int(&row, C_SOURCE, 0, JOB_SOURCE_ROOM);
    read_text(&row, C_SOURCE_ID, job->source_id, sizeof(job->source_id));
    job->event_ms = read_int(&row, C_EVENT_MS, INT64_MIN, INT64_MAX);
    job->received_ms = read_int(&row, C_RECEIVED_MS, INT64_MIN, INT64_MAX);
    job->state = (enum job_state)read_int(&row, C_STATE, 0, JOB_DEAD);
    job->stage = (enum job_stage)read_int(&row, C_STAGE, 0, JOB_STAGE_REPLY);
    job->outcome =
        (enum job_outcome)read_int(&row, C_OUTCOME, 0, JOB_OUTCOME_DEAD);
    job->attempts = (int32_t)read_int(&row, C_ATTEMPTS, 0, INT32_MAX - 1);
    job->due_ms = read_int(&row, C_DUE_MS, INT64_MIN, INT64_MAX);
    job->reply_in_doubt = read_int(&row, C_REPLY_IN_DOUBT, 0, 1) == 1;
    job->alone = read_int(&row, C_ALONE, 0, 1) == 1;
    job->last_status = read_status(&row, C_LAST_STATUS);
    read_text(&row, C_REASON, job->reason, sizeof(job->reason));
    read_text(&row, C_ORIGINAL_NAME, job->original_name,
              sizeof(job->original_name));
    read_text(&row, C_PREVIEW_NAME, job->preview_name,
              sizeof(job->preview_name));
    if (row.bad != NULL)
        LOG(ERROR, "queue_row_damaged",
            LOG_INT("job", sqlite3_column_int64(stmt, C_ID)),
            LOG_STR("column", row.bad));
    return row.bad == NULL;
}

/* ---- open and close */

static enum status query_number(struct sqlite_queue *q, const char *sql,
                                int64_t *number)
{
    sqlite3_stmt *stmt;
    enum status status = STATUS_OK;
    int code = sqlite3_prepare_v2(q->db, sql, -1, &stmt, NULL);

    if (code != SQLITE_OK)
        return fail(q, code, sql);
    code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        *number = sqlite3_column_int64(stmt, 0);
    else
        status = fail(q, code, sql);
    (void)sqlite3_finalize(stmt);
    return status;
}

/* The version of our schema, 0 for an empty file; BAD_VERSION if the file is
 * another program's or a newer darkroom's. */
static enum status read_version(struct sqlite_queue *q, int64_t *version)
{
    int64_t application = 0, tables = 0;
    enum status status;

    status = query_number(q, "PRAGMA application_id", &application);
    if (status == STATUS_OK)
        status = query_number(q, "PRAGMA user_version", version);
    if (status == STATUS_OK)
        status = query_number(q, "SELECT count(*) FROM sqlite_schema", &tables);
    if (status != STATUS_OK)
        return status;
    if (application == QUEUE_SQL_APPLICATION && *version > 0 &&
        *version <= QUEUE_SQL_VERSION)
        return STATUS_OK;
    if (application == 0 && *version == 0 && tables == 0)
        return STATUS_OK;
    LOG(ERROR, "queue_version", LOG_INT("version", *version),
        LOG_INT("application", application),
        LOG_INT("known", QUEUE_SQL_VERSION));
    return STATUS_BAD_VERSION;
}

static enum status run_migrations(struct sqlite_queue *q, int64_t version)
{
    enum status status = STATUS_OK;
    char pragmas[96];

    for (int64_t v = version; v < QUEUE_SQL_VERSION && status == STATUS_OK; v++)
        status = exec(q, queue_sql_migrations[v]);
    if (status != STATUS_OK)
        return status;
    (void)snprintf(pragmas, sizeof(pragmas),
                   "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   QUEUE_SQL_APPLICATION, (int)QUEUE_SQL_VERSION);
    return exec(q, pragmas);
}

static enum status migrate(struct sqlite_queue *q)
{
    int64_t version = 0;
    enum status status = read_version(q, &version);

    if (status != STATUS_OK || version == QUEUE_SQL_VERSION)
        return status;
    status = exec(q, "BEGIN IMMEDIATE");
    if (status != STATUS_OK)
        return status;
    status = run_migrations(q, version);
    if (status == STATUS_OK)
        status = exec(q, "COMMIT");
    if (status != STATUS_OK)
        (void)exec(q, "ROLLBACK");
    return status;
}

static enum status prepare(struct sqlite_queue *q)
{
    for (int i = 0; i < SQL__COUNT; i++) {
        int code = sqlite3_prepare_v3(q->db, queue_sql_statements[i], -1,
                                      SQLITE_PREPARE_PERSISTENT,
                                      &q->prepared[i], NULL);

        if (code != SQLITE_OK)
            return fail(q, code, queue_sql_statements[i]);
    }
    return STATUS_OK;
}

/* Reply tokens are in it, so it is nobody else's to read; SQLite would create
 * it by the umask. A file that exists is not opened here: closing it would
 * drop the locks that SQLite may hold on it in this process. */
static enum status create_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno == EEXIST ? STATUS_OK : status_from_errno(errno);
}

/* Inside the gate: nobody else is at the same. */
static enum status set_up(struct sqlite_queue *q, const char *path)
{
    char pragmas[256];
    enum status status = create_file(path);
    int code;

    if (status != STATUS_OK)
        return status;
    code = sqlite3_open_v2(path, &q->db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                               SQLITE_OPEN_EXRESCODE,
                           NULL);
    if (code != SQLITE_OK)
        return fail(q, code, "open");
    (void)sqlite3_busy_timeout(q->db, QUEUE_BUSY_TIMEOUT_MS);
    status = migrate(q);
    if (status != STATUS_OK)
        return status;
    (void)snprintf(pragmas, sizeof(pragmas),
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                   "PRAGMA journal_size_limit = %d; PRAGMA trusted_schema = 0;"
                   "PRAGMA cache_size = -8000",
                   QUEUE_WAL_KEEP_BYTES);
    status = exec(q, pragmas);
    if (status == STATUS_OK)
        status = prepare(q);
    if (status == STATUS_OK)
        status = queue_lock_name_owner(&q->lock);
    return status;
}

static void sqlite_close(struct queue *queue)
{
    struct sqlite_queue *q = sqlite_of(queue);

    for (int i = 0; i < SQL__COUNT; i++)
        (void)sqlite3_finalize(q->prepared[i]);
    (void)sqlite3_close(q->db);
    queue_lock_close(&q->lock);
    free(q);
}

static enum status sqlite_open(struct queue **out, const char *path)
{
    struct sqlite_queue *q;
    enum status status;

    if (path[0] == '\0')
        return STATUS_BAD_CONFIG;
    q = calloc(1, sizeof(*q));
    if (q == NULL)
        return STATUS_NO_MEMORY;
    q->base.ops = &queue_sqlite_ops;
    status = queue_lock_open(&q->lock, path);
    if (status == STATUS_OK)
        status = queue_lock_enter(&q->lock);
    if (status == STATUS_OK) {
        status = set_up(q, path);
        queue_lock_leave(&q->lock);
    }
    if (status != STATUS_OK) {
        sqlite_close(&q->base);
        return status;
    }
    *out = &q->base;
    return STATUS_OK;
}

/* ---- transactions */

static enum status sqlite_begin(struct queue *queue)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (q->in_transaction)
        return STATUS_BUG;
    status = queue_lock_enter(&q->lock);
    if (status != STATUS_OK)
        return status;
    status = step(q, SQL_BEGIN);
    if (status == STATUS_OK)
        q->in_transaction = true;
    else
        queue_lock_leave(&q->lock);
    return status;
}

static void end_transaction(struct sqlite_queue *q)
{
    q->in_transaction = false;
    queue_lock_leave(&q->lock);
}

static enum status sqlite_commit(struct queue *queue)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    status = step(q, SQL_COMMIT);
    if (status == STATUS_OK)
        end_transaction(q);
    return status;
}

static void sqlite_rollback(struct queue *queue)
{
    struct sqlite_queue *q = sqlite_of(queue);

    if (!q->in_transaction)
        return;
    /* SQLite rolls back by itself after some failures, a full disk for one. */
    if (!sqlite3_get_autocommit(q->db))
        (void)step(q, SQL_ROLLBACK);
    end_transaction(q);
}

/* ---- changes */

static enum status renew(struct sqlite_queue *q, struct job *job)
{
    sqlite3_stmt *find = q->prepared[SQL_FIND];
    sqlite3_stmt *update = q->prepared[SQL_RENEW];
    bool unfinished;
    enum status status;

    bind_text(find, 1, job->channel);
    bind_text(find, 2, job->event_id);
    bind_text(find, 3, job->message_id);
    status = step(q, SQL_FIND);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_IO : status;
    job->id = sqlite3_column_int64(find, 0);
    unfinished = sqlite3_column_int(find, 1) != 0;
    done(q, SQL_FIND);
    if (!unfinished)
        return STATUS_DUPLICATE;
    bind_int(update, 1, job->id);
    bind_text(update, 2, job->reply_token);
    bind_int(update, 3, job->received_ms);
    status = step(q, SQL_RENEW);
    return status == STATUS_OK ? STATUS_DUPLICATE : status;
}

static enum status sqlite_put(struct queue *queue, struct job *job,
                              int64_t now_ms, int64_t lease_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);
    sqlite3_stmt *insert = q->prepared[SQL_INSERT];
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    job->state = lease_ms > 0 ? JOB_LEASED : JOB_READY;
    job->attempts = lease_ms > 0 ? 1 : 0;
    job->due_ms = now_ms + lease_ms;
    bind_origin(insert, job);
    bind_progress(insert, job);
    if (lease_ms > 0)
        bind_text(insert, P_OWNER, q->lock.owner);
    status = step(q, SQL_INSERT);
    if (status != STATUS_OK)
        return status;
    if (sqlite3_changes(q->db) == 0)
        return renew(q, job);
    job->id = sqlite3_last_insert_rowid(q->db);
    return STATUS_OK;
}

/* Runs a statement whose first parameter is a job's id. */
static enum status change_by_id(struct sqlite_queue *q, enum sql which,
                                int64_t id, int64_t due_ms)
{
    sqlite3_stmt *stmt = q->prepared[which];

    bind_int(stmt, 1, id);
    if (which != SQL_CONDEMN) {
        bind_text(stmt, 2, q->lock.owner);
        bind_int(stmt, 3, due_ms);
    }
    return step(q, which);
}

/* Fills `jobs` with what is due and sound, and `*bad` with the id of a row that
 * is not, 0 if there is none; stops there. */
static enum status read_due(struct sqlite_queue *q, int64_t now_ms,
                            struct queue_lease *leases, size_t max,
                            size_t *count, int64_t *bad)
{
    enum status status;

    *count = 0;
    *bad = 0;
    bind_int(q->prepared[SQL_DUE], 1, now_ms);
    bind_int(q->prepared[SQL_DUE], 2, (int64_t)max);
    while ((status = step(q, SQL_DUE)) == STATUS_AGAIN) {
        if (!read_job(q->prepared[SQL_DUE], &leases[*count].job)) {
            *bad = sqlite3_column_int64(q->prepared[SQL_DUE], C_ID);
            done(q, SQL_DUE);
            return STATUS_OK;
        }
        (*count)++;
    }
    return status;
}

static enum status sqlite_claim(struct queue *queue, int64_t now_ms,
                                int64_t lease_ms, struct queue_lease *leases,
                                size_t max, size_t *count)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;
    int64_t bad;

    if (!q->in_transaction)
        return STATUS_BUG;
    do {
        status = read_due(q, now_ms, leases, max, count, &bad);
        if (status == STATUS_OK && bad != 0)
            status = change_by_id(q, SQL_CONDEMN, bad, 0);
    } while (status == STATUS_OK && bad != 0);
    for (size_t i = 0; i < *count && status == STATUS_OK; i++) {
        struct job *job = &leases[i].job;

        job->state = JOB_LEASED;
        job->due_ms = now_ms + lease_ms;
        job->attempts++;
        leases[i].messages = NULL;
        status = change_by_id(q, SQL_LEASE, job->id, job->due_ms);
    }
    if (status != STATUS_OK)
        *count = 0;
    return status;
}

static enum status sqlite_extend(struct queue *queue, const int64_t *ids,
                                 size_t count, int64_t until_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status = STATUS_OK;

    if (!q->in_transaction)
        return STATUS_BUG;
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = change_by_id(q, SQL_EXTEND, ids[i], until_ms);
    return status;
}

static enum status sqlite_update(struct queue *queue, struct job *job,
                                 const struct queue_extra *extra,
                                 int64_t now_ms)
{
    struct sqlite_queue *q = sqlite_of(queue);
    sqlite3_stmt *update = q->prepared[SQL_UPDATE];
    enum status status;

    (void)extra;
    (void)now_ms;
    if (!q->in_transaction)
        return STATUS_BUG;
    bind_progress(update, job);
    bind_text(update, P_OWNER, q->lock.owner);
    bind_int(update, P_ID, job->id);
    status = step(q, SQL_UPDATE);
    if (status != STATUS_OK)
        return status;
    return sqlite3_changes(q->db) == 1 ? STATUS_OK : STATUS_LEASE_LOST;
}

/* The first owner of leased jobs after `owner`, in place; NOT_FOUND. */
static enum status next_owner(struct sqlite_queue *q, char *owner, size_t size)
{
    sqlite3_stmt *stmt = q->prepared[SQL_NEXT_OWNER];
    struct row row = {.stmt = stmt};
    char next[QUEUE_OWNER_MAX + 1] = "";
    enum status status;

    bind_text(stmt, 1, owner);
    status = step(q, SQL_NEXT_OWNER);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    read_text(&row, 0, next, sizeof(next));
    done(q, SQL_NEXT_OWNER);
    if (row.bad != NULL)
        return STATUS_NOT_FOUND; /* its leases will run out */
    (void)str_copy(owner, size, next);
    return STATUS_OK;
}

/* Looks only at those who hold leases, by steps through the index of owners: a
 * few microseconds, whatever the number of jobs. */
static enum status sqlite_reap(struct queue *queue, int64_t now_ms,
                               size_t *count)
{
    struct sqlite_queue *q = sqlite_of(queue);
    char owner[QUEUE_OWNER_MAX + 1] = "";
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    while ((status = next_owner(q, owner, sizeof(owner))) == STATUS_OK) {
        int changes;

        if (!queue_lock_owner_is_dead(&q->lock, owner))
            continue;
        bind_text(q->prepared[SQL_RELEASE], 1, owner);
        bind_int(q->prepared[SQL_RELEASE], 2, now_ms);
        status = step(q, SQL_RELEASE);
        if (status != STATUS_OK)
            return status;
        changes = sqlite3_changes(q->db);
        *count += (size_t)changes;
        LOG(WARN, "queue_owner_died", LOG_STR("owner", owner),
            LOG_INT("jobs", changes));
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status sqlite_purge(struct queue *queue, int64_t before_ms,
                                size_t max, size_t *count)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    if (!q->in_transaction)
        return STATUS_BUG;
    bind_int(q->prepared[SQL_PURGE], 1, before_ms);
    bind_int(q->prepared[SQL_PURGE], 2, (int64_t)max);
    status = step(q, SQL_PURGE);
    if (status == STATUS_OK)
        *count = (size_t)sqlite3_changes(q->db);
    return status;
}

/* ---- looks */

static enum status sqlite_next_due(struct queue *queue, int64_t *due_ms)
{
    enum status status = step_number(sqlite_of(queue), SQL_NEXT_DUE, due_ms);

    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status sqlite_get(struct queue *queue, int64_t id, struct job *job)
{
    struct sqlite_queue *q = sqlite_of(queue);
    enum status status;

    bind_int(q->prepared[SQL_GET], 1, id);
    status = step(q, SQL_GET);
    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    status = read_job(q->prepared[SQL_GET], job) ? STATUS_OK : STATUS_IO;
    done(q, SQL_GET);
    return status;
}

static enum status sqlite_stats(struct queue *queue, struct queue_stats *stats)
{
    struct sqlite_queue *q = sqlite_of(queue);
    int64_t *const counts[] = {
        [JOB_READY] = &stats->ready,
        [JOB_LEASED] = &stats->leased,
        [JOB_DONE] = &stats->done,
        [JOB_DEAD] = &stats->dead,
    };
    enum status status;

    while ((status = step(q, SQL_TALLY)) == STATUS_AGAIN) {
        int state = sqlite3_column_int(q->prepared[SQL_TALLY], 0);

        if (state >= 0 && state < (int)ARRAY_COUNT(counts))
            *counts[state] = sqlite3_column_int64(q->prepared[SQL_TALLY], 1);
    }
    if (status != STATUS_OK)
        return status;
    status = step_number(q, SQL_OLDEST, &stats->oldest_ms);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status sqlite_body_put(struct queue *queue, struct queue_body *body,
                                   int64_t now_ms)
{
    (void)queue;
    (void)body;
    (void)now_ms;
    return STATUS_NO_SPACE;
}

static enum status sqlite_body_claim(struct queue *queue, int64_t now_ms,
                                     int64_t lease_ms, struct queue_body **body)
{
    (void)queue;
    (void)now_ms;
    (void)lease_ms;
    (void)body;
    return STATUS_NOT_FOUND;
}

static enum status sqlite_body_end(struct queue *queue, int64_t id,
                                   enum queue_body_end end, int64_t due_ms,
                                   const char *why)
{
    (void)queue;
    (void)id;
    (void)end;
    (void)due_ms;
    (void)why;
    return STATUS_LEASE_LOST;
}

static enum status sqlite_body_next_due(struct queue *queue, int64_t *due_ms)
{
    (void)queue;
    (void)due_ms;
    return STATUS_OK;
}

const struct queue_ops queue_sqlite_ops = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .put = sqlite_put,
    .claim = sqlite_claim,
    .extend = sqlite_extend,
    .update = sqlite_update,
    .reap = sqlite_reap,
    .next_due = sqlite_next_due,
    .get = sqlite_get,
    .stats = sqlite_stats,
    .purge = sqlite_purge,
    .body_put = sqlite_body_put,
    .body_claim = sqlite_body_claim,
    .body_end = sqlite_body_end,
    .body_next_due = sqlite_body_next_due,
};
