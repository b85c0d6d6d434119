/*
 * queue_db.c: SQLite in WAL mode with synchronous=FULL (NORMAL lost 200 of
 * 67,071 acknowledged rows in a simulated power cut, FULL none:
 * architecture-study 2), and its statements by number.
 */
#include "queue_db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "limits.h"
#include "log.h"

struct queue_db {
    sqlite3 *db;
    sqlite3_stmt *prepared[SQL__COUNT];
};

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
static enum status fail(struct queue_db *q, int code, const char *what)
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

static enum status exec(struct queue_db *q, const char *sql)
{
    int code = sqlite3_exec(q->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? STATUS_OK : fail(q, code, sql);
}

/* ---- open and close */

static enum status query_number(struct queue_db *q, const char *sql,
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
static enum status read_version(struct queue_db *q, int64_t *version)
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

static enum status run_migrations(struct queue_db *q, int64_t version)
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

static enum status migrate(struct queue_db *q)
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

static enum status prepare(struct queue_db *q)
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

static enum status set_up(struct queue_db *q, const char *path)
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
    /* Before the migrations: one of them forgets, too. */
    status = exec(q, "PRAGMA secure_delete = ON");
    if (status == STATUS_OK)
        status = migrate(q);
    if (status != STATUS_OK)
        return status;
    (void)snprintf(pragmas, sizeof(pragmas),
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                   "PRAGMA journal_size_limit = %d; PRAGMA trusted_schema = 0;"
                   "PRAGMA cache_size = -8000",
                   QUEUE_WAL_KEEP_BYTES);
    status = exec(q, pragmas);
    return status == STATUS_OK ? prepare(q) : status;
}

void queue_db_close(struct queue_db *q)
{
    if (q == NULL)
        return;
    for (int i = 0; i < SQL__COUNT; i++)
        (void)sqlite3_finalize(q->prepared[i]);
    (void)sqlite3_close(q->db);
    free(q);
}

enum status queue_db_open(struct queue_db **out, const char *path)
{
    struct queue_db *q = calloc(1, sizeof(*q));
    enum status status;

    if (q == NULL)
        return STATUS_NO_MEMORY;
    status = set_up(q, path);
    if (status != STATUS_OK)
        queue_db_close(q);
    else
        *out = q;
    return status;
}

/* ---- one prepared statement: bind, step, reset */

/* Binding to an existing parameter without a copy cannot fail; if it does, the
 * statement is misused and its step says so. */
void queue_db_int(struct queue_db *q, enum sql sql, int parameter,
                  int64_t value)
{
    (void)sqlite3_bind_int64(q->prepared[sql], parameter, value);
}

void queue_db_text(struct queue_db *q, enum sql sql, int parameter,
                   const char *text)
{
    (void)sqlite3_bind_text(q->prepared[sql], parameter, text, -1,
                            SQLITE_STATIC);
}

/* Nothing is an empty value, not NULL. */
void queue_db_bytes(struct queue_db *q, enum sql sql, int parameter,
                    const void *bytes, size_t len)
{
    (void)sqlite3_bind_blob64(q->prepared[sql], parameter, len > 0 ? bytes : "",
                              len, SQLITE_STATIC);
}

enum status queue_db_step(struct queue_db *q, enum sql sql)
{
    int code = sqlite3_step(q->prepared[sql]);
    enum status status;

    if (code == SQLITE_ROW)
        return STATUS_AGAIN;
    status = code == SQLITE_DONE ? STATUS_OK
                                 : fail(q, code, queue_sql_statements[sql]);
    queue_db_reset(q, sql);
    return status;
}

void queue_db_reset(struct queue_db *q, enum sql sql)
{
    (void)sqlite3_reset(q->prepared[sql]);
    (void)sqlite3_clear_bindings(q->prepared[sql]);
}

enum status queue_db_number(struct queue_db *q, enum sql sql, int64_t *number)
{
    enum status status = queue_db_step(q, sql);

    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    status = STATUS_NOT_FOUND;
    if (sqlite3_column_type(q->prepared[sql], 0) == SQLITE_INTEGER) {
        *number = sqlite3_column_int64(q->prepared[sql], 0);
        status = STATUS_OK;
    }
    queue_db_reset(q, sql);
    return status;
}

enum status queue_db_exists(struct queue_db *q, enum sql sql)
{
    enum status status = queue_db_step(q, sql);

    if (status != STATUS_AGAIN)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    queue_db_reset(q, sql);
    return STATUS_OK;
}

size_t queue_db_changes(const struct queue_db *q)
{
    return (size_t)sqlite3_changes(q->db);
}

int64_t queue_db_last_id(const struct queue_db *q)
{
    return sqlite3_last_insert_rowid(q->db);
}

bool queue_db_in_transaction(const struct queue_db *q)
{
    return !sqlite3_get_autocommit(q->db);
}

/* ---- a row */

struct queue_row queue_db_row(struct queue_db *q, enum sql sql)
{
    return (struct queue_row){.stmt = q->prepared[sql]};
}

void queue_row_spoil(struct queue_row *row, int column)
{
    if (row->bad == NULL)
        row->bad = sqlite3_column_name(row->stmt, column);
}

int64_t queue_row_int(struct queue_row *row, int column, int64_t min,
                      int64_t max)
{
    int64_t value = sqlite3_column_int64(row->stmt, column);

    if (value >= min && value <= max)
        return value;
    queue_row_spoil(row, column);
    return min;
}

void queue_row_text(struct queue_row *row, int column, char *text, size_t size)
{
    const void *bytes = sqlite3_column_text(row->stmt, column);
    int len = sqlite3_column_bytes(row->stmt, column);

    if (bytes == NULL || memchr(bytes, '\0', (size_t)len) != NULL ||
        !str_copy_n(text, size, bytes, (size_t)len))
        queue_row_spoil(row, column);
}

/* An empty value has no address. */
enum status queue_row_bytes(struct queue_row *row, int column, struct buf *buf)
{
    const void *bytes = sqlite3_column_blob(row->stmt, column);
    int len = sqlite3_column_bytes(row->stmt, column);
    enum status status = STATUS_OK;

    if (len > 0 && bytes == NULL)
        return STATUS_NO_MEMORY;
    if (len > 0)
        status = buf_append(buf, bytes, (size_t)len);
    if (status == STATUS_TOO_LARGE) {
        queue_row_spoil(row, column);
        status = STATUS_OK;
    }
    return status;
}

enum status queue_row_optional(struct queue_row *row, int column, char **text)
{
    const void *bytes;

    *text = NULL;
    if (sqlite3_column_type(row->stmt, column) == SQLITE_NULL)
        return STATUS_OK;
    bytes = sqlite3_column_text(row->stmt, column);
    *text = bytes != NULL ? strdup(bytes) : NULL;
    return *text != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}
