/*
 * test_queue_sqlite.c: what only the SQLite queue has: files, versions, several
 * owners, processes that die, disks that are full. The rules that hold for any
 * backend are in tests/contract/test_queue.c.
 *
 * sqlite3.h is included to spoil files and to lock them as a foreign program
 * would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/test_dir.h"
#include "queue.h"

#define NOW 1000000
#define LEASE 5000
#define LEASES QUEUE_LEASES_MAX(32)
#define SET_PROCESSES 4
#define SET_PART 5
#define PATH_MAX_BYTES (TEST_DIR_MAX + 32)

struct fixture {
    char dir[TEST_DIR_MAX];
    char path[PATH_MAX_BYTES];
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
    char url[PATH_MAX_BYTES + 8];
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

static struct job make_job(int number)
{
    struct job job = {.channel = "main", .received_ms = NOW};

    (void)snprintf(job.event_id, sizeof(job.event_id), "event%d", number);
    (void)snprintf(job.message_id, sizeof(job.message_id), "%d", number);
    return job;
}

/* Of a set of three. */
static struct job make_member(int index)
{
    struct job job = make_job(index);

    (void)str_copy(job.set_id, sizeof(job.set_id), "set");
    job.set_index = index;
    job.set_total = 3;
    return job;
}

/* Inside a transaction. */
static enum status park(struct queue *queue, const struct job *member)
{
    struct job job = *member;

    job.state = JOB_READY;
    job.stage = JOB_STAGE_REPLY;
    job.due_ms = NOW + 900;
    return queue_update(queue, &job, NULL, NOW);
}

static enum status try_put(struct queue *queue, struct job *job,
                           int64_t lease_ms)
{
    enum status status = queue_begin(queue);

    if (status == STATUS_OK)
        status = queue_put(queue, job, NOW, lease_ms);
    if (status == STATUS_OK || status == STATUS_DUPLICATE)
        status = queue_commit(queue);
    if (status != STATUS_OK)
        queue_rollback(queue);
    return status;
}

static struct job put(struct queue *queue, int number, int64_t lease_ms)
{
    struct job job = make_job(number);

    assert_int_equal(try_put(queue, &job, lease_ms), STATUS_OK);
    return job;
}

static enum status update(struct queue *queue, const struct job *job)
{
    struct job copy = *job;
    enum status status;

    assert_int_equal(queue_begin(queue), STATUS_OK);
    status = queue_update(queue, &copy, NULL, NOW);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    return status;
}

static size_t claim(struct queue *queue, int64_t now_ms, struct job *jobs,
                    size_t max)
{
    static struct queue_lease leases[LEASES];
    size_t count;

    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_claim(queue, now_ms, LEASE, leases, max, &count),
                     STATUS_OK);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        jobs[i] = leases[i].job;
        free(leases[i].messages);
    }
    return count;
}

static size_t reap(struct queue *queue)
{
    size_t count;

    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_reap(queue, NOW, &count), STATUS_OK);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    return count;
}

static struct job get(struct queue *queue, int64_t id)
{
    struct job job;

    assert_int_equal(queue_get(queue, id, &job), STATUS_OK);
    return job;
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

static void spoil(const char *sql)
{
    sqlite3 *db = open_foreign();

    exec_foreign(db, sql);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static size_t count_owner_files(void)
{
    char path[PATH_MAX_BYTES + 16];
    const struct dirent *entry;
    size_t count = 0;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s.owners", fixture.path);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* A child's body ends it: 0, a small number for a failed step, or a signal. */
static pid_t start_child(void (*body)(void))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    return pid;
}

static int end_child(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* In a child an assertion would run the rest of the tests a second time. */
#define CHILD_CHECK(condition)                                                 \
    do {                                                                       \
        if (!(condition))                                                      \
            _exit(1);                                                          \
    } while (0)

/* ---- two owners */

static void another_owner_cannot_change_a_leased_job(void **state)
{
    struct queue *mine = open_queue(), *other = open_queue();
    struct job job = put(mine, 1, LEASE);
    struct job changed = job;

    (void)state;
    changed.state = JOB_DONE;
    assert_int_equal(update(other, &changed), STATUS_LEASE_LOST);
    assert_int_equal(get(mine, job.id).state, JOB_LEASED);
    assert_int_equal(update(mine, &changed), STATUS_OK);
    assert_int_equal(get(other, job.id).state, JOB_DONE);
    queue_close(mine);
    queue_close(other);
}

static void the_successor_fences_the_slow_owner(void **state)
{
    struct queue *slow = open_queue(), *successor = open_queue();
    struct job old = put(slow, 1, LEASE);
    struct job taken;

    (void)state;
    assert_int_equal(claim(successor, NOW + LEASE, &taken, 1), 1);
    assert_int_equal(taken.id, old.id);
    assert_int_equal(taken.attempts, 2);
    old.state = JOB_DONE;
    assert_int_equal(update(slow, &old), STATUS_LEASE_LOST);
    assert_int_equal(queue_begin(slow), STATUS_OK);
    assert_int_equal(queue_extend(slow, &old.id, 1, NOW + 90000), STATUS_OK);
    assert_int_equal(queue_commit(slow), STATUS_OK);
    assert_int_equal(get(slow, old.id).due_ms, NOW + 2 * LEASE);
    taken.state = JOB_READY;
    taken.due_ms = NOW + 3 * LEASE;
    assert_int_equal(update(successor, &taken), STATUS_OK);
    queue_close(slow);
    queue_close(successor);
}

static void two_owners_never_claim_the_same_job(void **state)
{
    struct queue *a = open_queue(), *b = open_queue();
    struct job jobs[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        (void)put(a, i, 0);
    assert_int_equal(claim(a, NOW, jobs, 3), 3);
    assert_int_equal(claim(b, NOW, jobs + 3, 4), 1);
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(jobs[i].id, jobs[3].id);
    queue_close(a);
    queue_close(b);
}

/* ---- owners that are gone */

static void a_closed_owner_is_reaped(void **state)
{
    struct queue *closed = open_queue(), *living = open_queue();
    struct job theirs = put(closed, 1, LEASE);
    struct job mine = put(living, 2, LEASE);
    struct job job;

    (void)state;
    assert_int_equal(reap(living), 0);
    queue_close(closed);
    assert_int_equal(reap(living), 1);
    assert_int_equal(reap(living), 0);
    assert_int_equal(get(living, theirs.id).state, JOB_READY);
    assert_int_equal(get(living, theirs.id).due_ms, NOW);
    assert_int_equal(get(living, mine.id).state, JOB_LEASED);
    assert_int_equal(claim(living, NOW, &job, 1), 1);
    assert_int_equal(job.id, theirs.id);
    assert_int_equal(job.attempts, 2);
    queue_close(living);
}

static void claim_and_die(void)
{
    struct queue *queue;
    static struct queue_lease leases[LEASES];
    size_t count;

    CHILD_CHECK(try_open(&queue) == STATUS_OK);
    CHILD_CHECK(queue_begin(queue) == STATUS_OK);
    CHILD_CHECK(queue_claim(queue, NOW, LEASE, leases, 2, &count) == STATUS_OK);
    CHILD_CHECK(count == 2);
    CHILD_CHECK(queue_commit(queue) == STATUS_OK);
    (void)raise(SIGKILL);
}

static void a_killed_owner_is_reaped(void **state)
{
    struct queue *queue = open_queue();
    struct queue_stats stats;
    int64_t due;
    int status;

    (void)state;
    for (int i = 0; i < 3; i++)
        (void)put(queue, i, 0);
    status = end_child(start_child(claim_and_die));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.leased, 2);
    assert_int_equal(count_owner_files(), 2);
    assert_int_equal(reap(queue), 2);
    assert_int_equal(count_owner_files(), 1);
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.ready, 3);
    assert_int_equal(stats.leased, 0);
    assert_int_equal(queue_next_due(queue, &due), STATUS_OK);
    assert_int_equal(due, NOW);
    queue_close(queue);
}

static void a_reaping_that_is_rolled_back_is_repeated(void **state)
{
    struct queue *dead = open_queue(), *queue = open_queue();
    size_t count;

    (void)state;
    (void)put(dead, 1, LEASE);
    queue_close(dead);
    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_reap(queue, NOW, &count), STATUS_OK);
    assert_int_equal(count, 1);
    queue_rollback(queue);
    assert_int_equal(reap(queue), 1);
    queue_close(queue);
}

static void owners_without_a_file_are_dead(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    for (int i = 0; i < 4; i++)
        (void)put(queue, i, 0);
    spoil(
        "UPDATE job SET state = 1, owner = 'nobody:1:0' WHERE id = 1;"
        "UPDATE job SET state = 1, owner = '../queue.db' WHERE id = 2;"
        "UPDATE job SET state = 1, owner = '' WHERE id = 3;");
    /* An empty name is before all names: left to its lease. */
    assert_int_equal(reap(queue), 2);
    assert_int_equal(access(fixture.path, F_OK), 0);
    queue_close(queue);
}

static void opening_removes_the_files_of_the_dead(void **state)
{
    struct queue *a = open_queue(), *b = open_queue();

    (void)state;
    assert_int_equal(count_owner_files(), 2);
    queue_close(a);
    a = open_queue();
    assert_int_equal(count_owner_files(), 2);
    queue_close(a);
    queue_close(b);
    a = open_queue();
    assert_int_equal(count_owner_files(), 1);
    queue_close(a);
}

/* ---- the file */

static void data_survives_closing(void **state)
{
    struct queue *queue = open_queue();
    struct job job = put(queue, 1, 0);
    struct job known = make_job(1);

    (void)state;
    queue_close(queue);
    queue = open_queue();
    assert_string_equal(get(queue, job.id).event_id, "event1");
    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_put(queue, &known, NOW, 0), STATUS_DUPLICATE);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    assert_int_equal(count_all(queue), 1);
    queue_close(queue);
}

static void a_newer_version_is_refused(void **state)
{
    struct queue *queue = open_queue();

    (void)state;
    queue_close(queue);
    spoil("PRAGMA user_version = 99");
    assert_int_equal(try_open(&queue), STATUS_BAD_VERSION);
    spoil("PRAGMA user_version = 3");
    queue_close(open_queue());
}

static void another_programs_file_is_refused(void **state)
{
    struct queue *queue;

    (void)state;
    spoil("CREATE TABLE diary (page TEXT)");
    assert_int_equal(try_open(&queue), STATUS_BAD_VERSION);
    spoil("INSERT INTO diary VALUES ('untouched')");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct queue *queue;
    FILE *file = fopen(fixture.path, "w");

    (void)state;
    assert_non_null(file);
    for (int i = 0; i < 4096; i++)
        assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fclose(file), 0);
    assert_int_equal(try_open(&queue), STATUS_IO);
}

static void a_directory_that_is_missing_is_an_error(void **state)
{
    struct queue *queue;

    (void)state;
    (void)snprintf(fixture.path, sizeof(fixture.path), "%s/no/queue.db",
                   fixture.dir);
    assert_int_equal(try_open(&queue), STATUS_IO);
}

static void damaged_rows_are_set_dead_and_the_rest_goes_on(void **state)
{
    static const char *const damages[] = {
        "UPDATE job SET source = 77 WHERE id = 1",
        "UPDATE job SET last_status = 'WHAT' WHERE id = 2",
        "UPDATE job SET channel = hex(zeroblob(40)) WHERE id = 3",
        "UPDATE job SET reason = 'a' || char(0) || 'b' WHERE id = 4",
        "UPDATE job SET attempts = -2 WHERE id = 5",
    };
    struct queue *queue = open_queue();
    struct queue_stats stats;
    struct job jobs[8];

    (void)state;
    for (int i = 0; i < 7; i++)
        (void)put(queue, i, 0);
    for (size_t i = 0; i < ARRAY_COUNT(damages); i++)
        spoil(damages[i]);
    assert_int_equal(queue_get(queue, 1, &jobs[0]), STATUS_IO);
    assert_int_equal(claim(queue, NOW, jobs, 8), 2);
    assert_int_equal(claim(queue, NOW + 9 * LEASE, jobs, 8), 2);
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.dead, ARRAY_COUNT(damages));
    assert_int_equal(stats.leased, 2);
    queue_close(queue);
}

/* ---- several processes */

/* Leaves a set of three half parked, one body leased and one behind it. */
static void work_on_a_set_and_die(void)
{
    struct queue_body *body = queue_body_new(16), *claimed;
    struct queue *queue;
    struct job job;

    CHILD_CHECK(body != NULL && try_open(&queue) == STATUS_OK);
    CHILD_CHECK(queue_begin(queue) == STATUS_OK);
    (void)str_copy(body->channel, sizeof(body->channel), "main");
    for (int i = 1; i <= 3; i++) {
        job = make_member(i);
        CHILD_CHECK(queue_put(queue, &job, NOW, LEASE) == STATUS_OK);
        if (i < 3)
            CHILD_CHECK(park(queue, &job) == STATUS_OK);
    }
    CHILD_CHECK(queue_body_put(queue, body, NOW) == STATUS_OK);
    CHILD_CHECK(queue_body_put(queue, body, NOW) == STATUS_OK);
    CHILD_CHECK(queue_body_claim(queue, NOW, LEASE, &claimed) == STATUS_OK);
    CHILD_CHECK(queue_commit(queue) == STATUS_OK);
    CHILD_CHECK(queue_begin(queue) == STATUS_OK);
    CHILD_CHECK(park(queue, &job) == STATUS_OK); /* never committed */
    CHILD_CHECK(queue_body_end(queue, claimed->id, QUEUE_BODY_DONE, 0, "") ==
                STATUS_OK);
    (void)raise(SIGKILL);
}

static void a_kill_in_the_middle_of_a_set_loses_none_of_it(void **state)
{
    struct queue *queue = open_queue();
    struct job jobs[LEASES];

    (void)state;
    assert_true(WIFSIGNALED(end_child(start_child(work_on_a_set_and_die))));
    assert_int_equal(claim(queue, NOW, jobs, 9), 0);
    assert_int_equal(reap(queue), 1);
    assert_int_equal(claim(queue, NOW, jobs, 9), 1);
    assert_int_equal(jobs[0].set_index, 3);
    assert_int_equal(jobs[0].stage, JOB_STAGE_FETCH);
    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(park(queue, &jobs[0]), STATUS_OK);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    assert_int_equal(claim(queue, NOW, jobs, 1), 3);
    queue_close(queue);
}

static int64_t claim_body(struct queue *queue)
{
    struct queue_body *body;
    int64_t id;

    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_body_claim(queue, NOW, LEASE, &body), STATUS_OK);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    id = body->id;
    queue_body_free(body);
    return id;
}

static void a_kill_in_the_middle_of_a_body_keeps_the_order(void **state)
{
    struct queue *queue = open_queue();
    struct queue_body *none;

    (void)state;
    assert_true(WIFSIGNALED(end_child(start_child(work_on_a_set_and_die))));
    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_body_claim(queue, NOW, LEASE, &none),
                     STATUS_NOT_FOUND);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    (void)reap(queue);
    assert_int_equal(claim_body(queue), 1);
    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_body_end(queue, 1, QUEUE_BODY_DONE, 0, ""),
                     STATUS_OK);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    assert_int_equal(claim_body(queue), 2);
    queue_close(queue);
}

static void a_damaged_body_does_not_stop_its_channel(void **state)
{
    struct queue *queue = open_queue();
    struct queue_body *body = queue_body_new(16);
    struct queue_stats stats;

    (void)state;
    assert_non_null(body);
    assert_true(str_copy(body->channel, sizeof(body->channel), "main"));
    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_body_put(queue, body, NOW), STATUS_OK);
    assert_int_equal(queue_body_put(queue, body, NOW), STATUS_OK);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    spoil("UPDATE forward SET signature = hex(zeroblob(40)) WHERE id = 1");
    assert_int_equal(claim_body(queue), 2);
    assert_int_equal(queue_stats(queue, &stats), STATUS_OK);
    assert_int_equal(stats.dropped_bodies, 1);
    queue_body_free(body);
    queue_close(queue);
}

/* Each of some processes parks members of the same set; one of them is to find
 * all of it. */
static void park_and_look(void)
{
    struct job mine[SET_PART], none[LEASES];
    struct queue *queue;
    size_t claimed = 0;

    CHILD_CHECK(try_open(&queue) == STATUS_OK);
    for (int i = 0; i < SET_PART; i++) {
        mine[i] = make_member((int)(getpid() % 100000) * SET_PART + i);
        mine[i].set_index = 0;
        mine[i].set_total = SET_PART * SET_PROCESSES;
        CHILD_CHECK(try_put(queue, &mine[i], LEASE) == STATUS_OK);
    }
    for (int i = 0; i < SET_PART; i++) {
        CHILD_CHECK(queue_begin(queue) == STATUS_OK);
        CHILD_CHECK(park(queue, &mine[i]) == STATUS_OK);
        CHILD_CHECK(queue_commit(queue) == STATUS_OK);
        claimed += claim(queue, NOW, none, 1);
    }
    queue_close(queue);
    _exit(claimed == 0 ? 0 : (int)claimed);
}

static void one_of_many_processes_gets_the_whole_set(void **state)
{
    pid_t pids[SET_PROCESSES];
    int whole = 0;

    (void)state;
    queue_close(open_queue());
    for (int i = 0; i < SET_PROCESSES; i++)
        pids[i] = start_child(park_and_look);
    for (int i = 0; i < SET_PROCESSES; i++) {
        int end = end_child(pids[i]);

        assert_true(WIFEXITED(end));
        if (WEXITSTATUS(end) == 0)
            continue;
        assert_int_equal(WEXITSTATUS(end), SET_PART * SET_PROCESSES);
        whole++;
    }
    assert_int_equal(whole, 1);
}

static void a_foreign_lock_is_busy_and_passes(void **state)
{
    struct queue *queue = open_queue();
    sqlite3 *foreign = open_foreign();
    struct job job = make_job(1);

    (void)state;
    exec_foreign(foreign, "BEGIN IMMEDIATE");
    assert_int_equal(try_put(queue, &job, 0), STATUS_BUSY);
    assert_int_equal(count_all(queue), 0);
    exec_foreign(foreign, "ROLLBACK");
    assert_int_equal(sqlite3_close(foreign), SQLITE_OK);
    assert_int_equal(try_put(queue, &job, 0), STATUS_OK);
    assert_int_equal(count_all(queue), 1);
    queue_close(queue);
}

static int pipe_fds[2];

static void hold_the_gate_for_a_while(void)
{
    struct timespec nap = {.tv_nsec = 50 * 1000 * 1000};
    struct job job = make_job(7);
    struct queue *queue;

    CHILD_CHECK(try_open(&queue) == STATUS_OK);
    CHILD_CHECK(queue_begin(queue) == STATUS_OK);
    CHILD_CHECK(queue_put(queue, &job, NOW, 0) == STATUS_OK);
    CHILD_CHECK(write(pipe_fds[1], "x", 1) == 1);
    (void)nanosleep(&nap, NULL);
    CHILD_CHECK(queue_commit(queue) == STATUS_OK);
    queue_close(queue);
}

static void begin_waits_for_the_process_before(void **state)
{
    struct queue *queue = open_queue();
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = start_child(hold_the_gate_for_a_while);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(count_all(queue), 1); /* the other one has committed */
    assert_int_equal(queue_commit(queue), STATUS_OK);
    assert_int_equal(end_child(pid), 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    queue_close(queue);
}

static void die_before_commit(void)
{
    struct job job = make_job(1);
    struct queue *queue;

    CHILD_CHECK(try_open(&queue) == STATUS_OK);
    CHILD_CHECK(queue_begin(queue) == STATUS_OK);
    CHILD_CHECK(queue_put(queue, &job, NOW, LEASE) == STATUS_OK);
    (void)raise(SIGKILL);
}

static void die_after_commit(void)
{
    struct job job = make_job(2);
    struct queue *queue;

    CHILD_CHECK(try_open(&queue) == STATUS_OK);
    CHILD_CHECK(try_put(queue, &job, LEASE) == STATUS_OK);
    (void)raise(SIGKILL);
}

static void a_kill_leaves_what_was_committed_and_no_more(void **state)
{
    struct queue *queue = open_queue();
    struct job job = make_job(1);

    (void)state;
    assert_true(WIFSIGNALED(end_child(start_child(die_before_commit))));
    assert_int_equal(count_all(queue), 0);
    assert_true(WIFSIGNALED(end_child(start_child(die_after_commit))));
    assert_int_equal(count_all(queue), 1);
    assert_int_equal(try_put(queue, &job, 0), STATUS_OK); /* not held up */
    assert_int_equal(reap(queue), 1);
    queue_close(queue);
}

#define PROCESSES 4
#define THREADS 8
#define ROWS 10

static int process_number;

static void *put_rows(void *arg)
{
    int thread = *(int *)arg;
    struct queue *queue;

    CHILD_CHECK(try_open(&queue) == STATUS_OK);
    for (int i = 0; i < ROWS; i++) {
        struct job job =
            make_job((process_number * THREADS + thread) * ROWS + i);

        CHILD_CHECK(try_put(queue, &job, i % 2 == 0 ? LEASE : 0) == STATUS_OK);
    }
    queue_close(queue);
    return NULL;
}

static void put_from_threads(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHILD_CHECK(pthread_create(&threads[i], NULL, put_rows, &numbers[i]) ==
                    0);
    }
    for (int i = 0; i < THREADS; i++)
        CHILD_CHECK(pthread_join(threads[i], NULL) == 0);
}

static void nothing_is_lost_among_processes_and_threads(void **state)
{
    struct queue *queue;
    pid_t pids[PROCESSES];

    (void)state;
    for (int i = 0; i < PROCESSES; i++) {
        process_number = i;
        pids[i] = start_child(put_from_threads);
    }
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(end_child(pids[i]), 0);
    queue = open_queue();
    assert_int_equal(count_all(queue), PROCESSES * THREADS * ROWS);
    assert_int_equal(reap(queue), PROCESSES * THREADS * ROWS / 2);
    queue_close(queue);
}

/* ---- no space */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    CHILD_CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* A file that may not grow stands for a device that is full. */
static void fill_the_disk(void)
{
    enum status status = STATUS_OK;
    struct queue *queue;
    struct job job;
    int stored = 0;

    CHILD_CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHILD_CHECK(try_open(&queue) == STATUS_OK);
    limit_file_size(256 * 1024);
    while (status == STATUS_OK && stored < 100000) {
        job = make_job(stored++);
        status = try_put(queue, &job, 0);
    }
    CHILD_CHECK(status == STATUS_NO_SPACE);
    limit_file_size(RLIM_INFINITY);
    CHILD_CHECK(queue_get(queue, stored, &job) == STATUS_NOT_FOUND);
    job = make_job(stored - 1);
    CHILD_CHECK(try_put(queue, &job, 0) == STATUS_OK);
    queue_close(queue);
}

static void a_full_disk_is_told_and_passes(void **state)
{
    (void)state;
    assert_int_equal(end_child(start_child(fill_the_disk)), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_owner_cannot_change_a_leased_job),
        TEST(the_successor_fences_the_slow_owner),
        TEST(two_owners_never_claim_the_same_job),
        TEST(a_closed_owner_is_reaped),
        TEST(a_killed_owner_is_reaped),
        TEST(a_reaping_that_is_rolled_back_is_repeated),
        TEST(owners_without_a_file_are_dead),
        TEST(opening_removes_the_files_of_the_dead),
        TEST(data_survives_closing),
        TEST(a_newer_version_is_refused),
        TEST(another_programs_file_is_refused),
        TEST(a_file_that_is_no_database_is_refused),
        TEST(a_directory_that_is_missing_is_an_error),
        TEST(damaged_rows_are_set_dead_and_the_rest_goes_on),
        TEST(a_foreign_lock_is_busy_and_passes),
        TEST(begin_waits_for_the_process_before),
        TEST(a_kill_leaves_what_was_committed_and_no_more),
        TEST(nothing_is_lost_among_processes_and_threads),
        TEST(a_kill_in_the_middle_of_a_set_loses_none_of_it),
        TEST(a_kill_in_the_middle_of_a_body_keeps_the_order),
        TEST(a_damaged_body_does_not_stop_its_channel),
        TEST(one_of_many_processes_gets_the_whole_set),
        TEST(a_full_disk_is_told_and_passes),
    };

    return cmocka_run_group_tests_name("queue_sqlite", tests, NULL, NULL);
}
