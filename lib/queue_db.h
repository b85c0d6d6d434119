/*
 * queue_db.h: one SQLite connection and its prepared statements, for the parts
 * of the SQLite queue; the only door to sqlite3.h.
 *
 *   queue_db_open(&db, path);              migrated, durable, prepared
 *   queue_db_int(db, SQL_GET, 1, id);      parameters count from 1
 *   status = queue_db_step(db, SQL_GET);   AGAIN: there is a row
 *   struct queue_row row = queue_db_row(db, SQL_GET);
 *   id = queue_row_int(&row, 0, 1, INT64_MAX);
 *   if (row.bad != NULL) ...               the column that was not as it must
 *   queue_db_reset(db, SQL_GET);           if it did not run to its end
 *   queue_db_close(db);
 *
 * Failures are logged here with the statement, which holds no values. All calls
 * belong to one thread.
 */
#ifndef DARKROOM_QUEUE_DB_H
#define DARKROOM_QUEUE_DB_H

#include "buf.h"
#include "queue_sql.h"

struct queue_db;
struct sqlite3_stmt;

/* Makes the file (0600) where it is missing and leads its schema to our
 * version. BAD_VERSION: it is another program's or a newer darkroom's. Inside
 * the gate (queue_lock.h). */
enum status queue_db_open(struct queue_db **out, const char *path) MUST_CHECK;
void queue_db_close(struct queue_db *db);

/* The value is lent until the statement is reset. */
void queue_db_int(struct queue_db *db, enum sql sql, int parameter,
                  int64_t value);
void queue_db_text(struct queue_db *db, enum sql sql, int parameter,
                   const char *text);
void queue_db_bytes(struct queue_db *db, enum sql sql, int parameter,
                    const void *bytes, size_t len);

/* OK: it ran to its end and is reset. AGAIN: there is a row; the caller reads
 * it and steps again or resets. */
enum status queue_db_step(struct queue_db *db, enum sql sql) MUST_CHECK;
void queue_db_reset(struct queue_db *db, enum sql sql);

/* Steps for one number. NOT_FOUND: no row, or NULL. */
enum status queue_db_number(struct queue_db *db, enum sql sql,
                            int64_t *number) MUST_CHECK;

/* Steps for nothing but whether there is a row: OK or NOT_FOUND. */
enum status queue_db_exists(struct queue_db *db, enum sql sql) MUST_CHECK;

size_t queue_db_changes(const struct queue_db *db); /* of the last statement */
int64_t queue_db_last_id(const struct queue_db *db);
bool queue_db_in_transaction(const struct queue_db *db);

/* A row while it is read: the first column that fails is remembered. */
struct queue_row {
    struct sqlite3_stmt *stmt;
    const char *bad;
};

struct queue_row queue_db_row(struct queue_db *db, enum sql sql);

/* Says that a value is not as it must be. */
void queue_row_spoil(struct queue_row *row, int column);

/* The value, or `min` and a bad row. */
int64_t queue_row_int(struct queue_row *row, int column, int64_t min,
                      int64_t max);
void queue_row_text(struct queue_row *row, int column, char *text, size_t size);

/* Of any length up to what `buf` takes. */
enum status queue_row_bytes(struct queue_row *row, int column,
                            struct buf *buf) MUST_CHECK;

/* A copy from malloc(); NULL for NULL. */
enum status queue_row_optional(struct queue_row *row, int column,
                               char **text) MUST_CHECK;

#endif
