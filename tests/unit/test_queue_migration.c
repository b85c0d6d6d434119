/*
 * test_queue_migration.c: a queue that an older darkroom has made.
 *
 * sqlite3.h is included to make such a file by the schema of its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/test_dir.h"
#include "queue.h"

#define NOW 1000000
#define PROCESSES 4

struct fixture {
    char dir[TEST_DIR_MAX];
    char path[TEST_DIR_MAX + 32];
};

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    test_dir_make(fixture.dir);
    (void)snprintf(fixture.path, sizeof(fixture.path), "%s/queue.db",
                   fixture.dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_dir_remove(fixture.dir);
    return 0;
}

/* ---- shorthands */

static enum status try_open(struct queue **queue)
{
    char url[TEST_DIR_MAX + 32 + 8];
    char why[512] = "";

    (void)snprintf(url, sizeof(url), "sqlite:%s", fixture.path);
    return queue_open(queue, url, why, sizeof(why));
}

static struct queue *open_queue(void)
{
    struct queue *queue = NULL;

    assert_int_equal(try_open(&queue), STATUS_OK);
    return queue;
}

static int64_t count_all(struct queue *queue)
{
    struct queue_stats stats;

    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    return stats.ready + stats.leased + stats.done + stats.dead;
}

static sqlite3 *open_foreign(void)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(fixture.path, &db), SQLITE_OK);
    return db;
}

static void exec_foreign(sqlite3 *db, const char *sql)
{
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* ---- version 1 */

/* The schema of version 1 as it was released; never to be changed. */
/* clang-format off */
static const char version_1[] =
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
    "END;";
/* clang-format on */

static const char version_1_row[] =
    "INSERT INTO job (channel, event_id, message_id, reply_token, source,"
    "  source_id, event_ms, received_ms, state, stage, outcome, attempts,"
    "  due_ms, reply_in_doubt, alone, last_status, reason, original_name,"
    "  preview_name, owner)"
    "  VALUES ('main', ?1, ?2, 'token', 1, 'Cgroup', 5, 6, ?3, 1, 0, 2, 7, 1,"
    "  1, 'NETWORK', 'why', 'ab/c.png', 'de/f.png', ?4)"
    "  ON CONFLICT (channel, event_id, message_id) DO NOTHING";

static void insert_version_1(sqlite3 *db, const char *event, int state)
{
    sqlite3_stmt *stmt;

    assert_int_equal(sqlite3_prepare_v2(db, version_1_row, -1, &stmt, NULL),
                     SQLITE_OK);
    (void)sqlite3_bind_text(stmt, 1, event, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 2, event, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(stmt, 3, state);
    if (state == JOB_LEASED)
        (void)sqlite3_bind_text(stmt, 4, "host:1:0", -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

/* Rows in each state, and one more that is gone: its id was given. */
static void make_version_1(void)
{
    sqlite3 *db = open_foreign();

    exec_foreign(db, version_1);
    exec_foreign(db, "PRAGMA journal_mode = WAL");
    insert_version_1(db, "ready", JOB_READY);
    insert_version_1(db, "leased", JOB_LEASED);
    insert_version_1(db, "done", JOB_DONE);
    insert_version_1(db, "dead", JOB_DEAD);
    insert_version_1(db, "gone", JOB_DONE);
    exec_foreign(db, "DELETE FROM job WHERE id = 5");
    exec_foreign(db,
                 "PRAGMA application_id = 1685220205;"
                 "PRAGMA user_version = 1");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void assert_as_in_version_1(const struct job *job)
{
    assert_string_equal(job->message_id, job->event_id);
    assert_string_equal(job->reply_token,
                        job->state == JOB_DONE ? "" : "token");
    assert_string_equal(job->source_id, job->state == JOB_DONE ? "" : "Cgroup");
    assert_int_equal(job->event_ms, 5);
    assert_int_equal(job->received_ms, 6);
    assert_int_equal(job->stage, JOB_STAGE_REPLY);
    assert_int_equal(job->attempts, 2);
    assert_int_equal(job->due_ms, 7);
    assert_true(job->reply_in_doubt && job->alone);
    assert_int_equal(job->last_status, STATUS_NETWORK);
    assert_string_equal(job->original_name, "ab/c.png");
    assert_int_equal(job->kind, JOB_IMAGE);
    assert_string_equal(job->set_id, "");
    assert_string_equal(job->push_key, "");
    assert_false(job->token_spent);
}

static void version_1_is_migrated(void **state)
{
    static const char *const events[] = {"ready", "leased", "done", "dead"};
    struct queue_stats stats;
    struct queue *queue;
    struct job job;
    size_t reaped;

    (void)state;
    make_version_1();
    queue = open_queue();
    for (int i = 0; i < 4; i++) {
        job = (struct job){0};
        assert_int_equal(queue_get(queue, i + 1, &job), STATUS_OK);
        assert_string_equal(job.event_id, events[i]);
        assert_int_equal(job.state, i);
        assert_as_in_version_1(&job);
    }
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.ready, 1);
    assert_int_equal(stats.leased, 1);
    assert_int_equal(stats.done, 1);
    assert_int_equal(stats.dead, 1);
    assert_int_equal(queue_begin(queue), STATUS_OK);
    job = (struct job){.channel = "main", .event_id = "new"};
    assert_int_equal(queue_put(queue, &job, NOW, 0), STATUS_OK);
    assert_int_equal(job.id, 6); /* 5 was given */
    assert_int_equal(queue_reap(queue, NOW, &reaped), STATUS_OK);
    assert_int_equal(reaped, 1);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    queue_close(queue);
    queue_close(open_queue());
}

static void processes_at_the_same_time_migrate_once(void **state)
{
    pid_t pids[PROCESSES];
    struct queue *queue;

    (void)state;
    make_version_1();
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            _exit(try_open(&queue) == STATUS_OK ? 0 : 1);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int end;

        assert_int_equal(waitpid(pids[i], &end, 0), pids[i]);
        assert_true(WIFEXITED(end) && WEXITSTATUS(end) == 0);
    }
    queue = open_queue();
    assert_int_equal(count_all(queue), 4);
    queue_close(queue);
}

/* A worker of version 1 that still runs while the pool is restarted. */
static void version_1_may_go_on_after_the_migration(void **state)
{
    sqlite3 *old;
    struct queue *queue;
    struct queue_stats stats;

    (void)state;
    make_version_1();
    old = open_foreign();
    queue = open_queue();
    insert_version_1(old, "ready", JOB_READY); /* known */
    insert_version_1(old, "another", JOB_READY);
    assert_int_equal(sqlite3_close(old), SQLITE_OK);
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.ready, 2);
    queue_close(queue);
}

static void a_migration_that_fails_leaves_version_1(void **state)
{
    struct queue *queue;
    sqlite3 *db;

    (void)state;
    make_version_1();
    db = open_foreign();
    exec_foreign(db, "CREATE TABLE forward (in_the_way INTEGER)");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(try_open(&queue), STATUS_IO);
    db = open_foreign();
    insert_version_1(db, "another", JOB_READY);
    exec_foreign(db, "DROP TABLE forward");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    queue = open_queue();
    assert_int_equal(count_all(queue), 5);
    queue_close(queue);
}

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(version_1_is_migrated),
        TEST(processes_at_the_same_time_migrate_once),
        TEST(version_1_may_go_on_after_the_migration),
        TEST(a_migration_that_fails_leaves_version_1),
    };

    return cmocka_run_group_tests_name("queue migration", tests, NULL, NULL);
}
