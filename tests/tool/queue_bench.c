/*
 * queue_bench.c: how fast the queue acknowledges.
 *
 *   queue_bench [-1] PROCESSES THREADS SECONDS [DIRECTORY]
 *   queue_bench -c JOBS [DIRECTORY]
 *
 * Each process has a queue thread and THREADS acceptors, each of which puts one
 * job after the other. -1: without group commit, a transaction per job, every
 * acceptor with a queue of its own. -c: what a job costs: the processor's time
 * for a put, a claim, a note and an end, in transactions of 32.
 *
 * Prints one line: acknowledged jobs per second, the wait for it (p50, p99, max
 * in ms), and rows per commit.
 */
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue_thread.h"

#define THREADS_MAX 256
#define SAMPLES_MAX (4 * 1024 * 1024)

/* Shared by all processes. */
struct totals {
    atomic_ullong acks, commits, failures;
    uint32_t waits_us[SAMPLES_MAX];
};

static struct totals *totals;
static char url[512];
static bool each_alone;
static int64_t end_ms;
static int process_number;

/* ---- the backend with a counter of commits in front of it */

static struct queue_ops counting_ops;
static const struct queue_ops *real_ops;

static enum status counting_commit(struct queue *queue)
{
    atomic_fetch_add(&totals->commits, 1);
    return real_ops->commit(queue);
}

static struct queue *open_counted(void)
{
    struct queue *queue;
    char why[512];

    if (queue_open(&queue, url, why, sizeof(why)) != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", why);
        _exit(1);
    }
    return queue;
}

static void count_commits(struct queue *queue)
{
    real_ops = queue->ops;
    counting_ops = *queue->ops;
    counting_ops.commit = counting_commit;
    queue->ops = &counting_ops;
}

/* ---- load */

struct acceptor {
    pthread_t thread;
    int number;
    struct queue_thread *qt;
    struct queue *queue;
};

static int64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static enum status put_alone(struct queue *queue, struct job *job)
{
    enum status status = queue_begin(queue);

    if (status == STATUS_OK)
        status = queue_put(queue, job, wall_ms(), 0);
    if (status == STATUS_OK)
        status = queue_commit(queue);
    if (status == STATUS_OK)
        atomic_fetch_add(&totals->commits, 1);
    else
        queue_rollback(queue);
    return status;
}

static void put_one(struct acceptor *a, int i)
{
    struct job job = {.channel = "bench", .received_ms = wall_ms()};
    int64_t start_us = now_us();
    enum status status;

    (void)snprintf(job.event_id, sizeof(job.event_id), "01K%020d%04d%04d", i,
                   process_number, a->number);
    (void)snprintf(job.message_id, sizeof(job.message_id), "%d", i);
    (void)str_copy(job.reply_token, sizeof(job.reply_token),
                   "0123456789abcdef0123456789abcdef");
    status = a->queue != NULL ? put_alone(a->queue, &job)
                              : queue_thread_put(a->qt, &job, 1, NULL, NULL);
    if (status == STATUS_OK) {
        uint64_t ack = atomic_fetch_add(&totals->acks, 1);

        totals->waits_us[ack % SAMPLES_MAX] = (uint32_t)(now_us() - start_us);
    } else {
        atomic_fetch_add(&totals->failures, 1);
    }
}

static void *accept_jobs(void *arg)
{
    struct acceptor *a = arg;

    for (int i = 0; mono_ms() < end_ms; i++)
        put_one(a, i);
    return NULL;
}

static void run_acceptors(int threads, struct queue_thread *qt)
{
    static struct acceptor acceptors[THREADS_MAX];

    for (int i = 0; i < threads; i++) {
        acceptors[i] = (struct acceptor){.number = i, .qt = qt};
        if (each_alone)
            acceptors[i].queue = open_counted();
        if (pthread_create(&acceptors[i].thread, NULL, accept_jobs,
                           &acceptors[i]) != 0)
            _exit(1);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(acceptors[i].thread, NULL);
        queue_close(acceptors[i].queue);
    }
}

/* Nothing finishes the jobs of a run, so the depth check would stop it. */
static enum status shallow_stats(struct queue *queue, struct queue_stats *stats)
{
    (void)queue;
    *stats = (struct queue_stats){.ready = INT32_MIN};
    return STATUS_OK;
}

static void run_process(int threads)
{
    struct queue_thread_options options = {0};
    struct queue_thread *qt = NULL;

    if (each_alone) {
        run_acceptors(threads, NULL);
        return;
    }
    options.queue = open_counted();
    count_commits(options.queue);
    counting_ops.stats = shallow_stats;
    if (loop_new(&options.loop) != STATUS_OK ||
        queue_thread_start(&qt, &options) != STATUS_OK)
        _exit(1);
    run_acceptors(threads, qt);
    queue_thread_free(qt);
    loop_free(options.loop);
    queue_close(options.queue);
}

/* ---- cost */

#define COST_BATCH 32

static struct queue_lease leases[QUEUE_LEASES_MAX(COST_BATCH)];

static void must(enum status status)
{
    if (status_class(status) == STATUS_CLASS_OK)
        return;
    (void)fprintf(stderr, "%s\n", status_name(status));
    _exit(1);
}

static void put_batch(struct queue *queue, int64_t first)
{
    for (int64_t i = first; i < first + COST_BATCH; i++) {
        struct job job = {.channel = "bench", .received_ms = wall_ms()};

        (void)snprintf(job.event_id, sizeof(job.event_id), "01K%023lld",
                       (long long)i);
        (void)snprintf(job.message_id, sizeof(job.message_id), "60%016lld",
                       (long long)i);
        (void)str_copy(job.reply_token, sizeof(job.reply_token),
                       "0123456789abcdef0123456789abcdef");
        must(queue_put(queue, &job, wall_ms(), 0));
    }
}

static void claim_batch(struct queue *queue, int64_t first)
{
    size_t count;

    (void)first;
    must(queue_claim(queue, wall_ms(), LEASE_MS, leases, COST_BATCH, &count));
    if (count != COST_BATCH)
        must(STATUS_BUG);
}

static void update_batch(struct queue *queue, enum job_state state)
{
    for (int i = 0; i < COST_BATCH; i++) {
        leases[i].job.state = state;
        leases[i].job.stage = JOB_STAGE_REPLY;
        must(queue_update(queue, &leases[i].job, NULL, wall_ms()));
    }
}

static void note_batch(struct queue *queue, int64_t first)
{
    (void)first;
    update_batch(queue, JOB_LEASED);
}

static void end_batch(struct queue *queue, int64_t first)
{
    (void)first;
    update_batch(queue, JOB_DONE);
}

static int64_t timed(struct queue *queue, int64_t first,
                     void (*batch)(struct queue *queue, int64_t first))
{
    int64_t start_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);

    must(queue_begin(queue));
    batch(queue, first);
    must(queue_commit(queue));
    return clock_us(CLOCK_PROCESS_CPUTIME_ID) - start_us;
}

static void report_cost(int64_t jobs)
{
    struct queue *queue = open_counted();
    int64_t put_us = 0, claim_us = 0, note_us = 0, end_us = 0;

    for (int64_t i = 0; i < jobs; i += COST_BATCH)
        put_us += timed(queue, i, put_batch);
    for (int64_t i = 0; i < jobs; i += COST_BATCH) {
        claim_us += timed(queue, i, claim_batch);
        note_us += timed(queue, i, note_batch);
        end_us += timed(queue, i, end_batch);
    }
    jobs = (jobs + COST_BATCH - 1) / COST_BATCH * COST_BATCH;
    printf("us of processor per job: put %.1f claim %.1f note %.1f end %.1f\n",
           (double)put_us / (double)jobs, (double)claim_us / (double)jobs,
           (double)note_us / (double)jobs, (double)end_us / (double)jobs);
    queue_close(queue);
}

/* ---- report */

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(int processes, int threads, int seconds)
{
    uint64_t acks = atomic_load(&totals->acks);
    uint64_t commits = atomic_load(&totals->commits);
    size_t n = acks < SAMPLES_MAX ? (size_t)acks : SAMPLES_MAX;
    uint32_t *waits = totals->waits_us;

    if (n == 0 || commits == 0) {
        printf("nothing was acknowledged\n");
        return;
    }
    qsort(waits, n, sizeof(*waits), compare_u32);
    printf(
        "%s %d x %d: %.0f acks/s, p50 %.2f p99 %.2f max %.2f ms, "
        "%.1f rows/commit, %llu failures\n",
        each_alone ? "alone" : "group", processes, threads,
        (double)acks / seconds, waits[n / 2] / 1e3, waits[n / 100 * 99] / 1e3,
        waits[n - 1] / 1e3, (double)acks / (double)commits,
        (unsigned long long)atomic_load(&totals->failures));
}

static int remove_entry(const char *path, const struct stat *stat, int kind,
                        struct FTW *ftw)
{
    (void)stat;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static enum status make_url(char *dir, size_t size, const char *parent)
{
    if ((size_t)snprintf(dir, size, "%s/queue_bench.XXXXXX", parent) >= size ||
        mkdtemp(dir) == NULL)
        return STATUS_IO;
    (void)snprintf(url, sizeof(url), "sqlite:%s/queue.db", dir);
    return STATUS_OK;
}

static int remove_all(const char *dir)
{
    return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}

static int run_cost(int argc, char **argv)
{
    char dir[256];
    int64_t jobs;

    if (argc < 3 || !str_to_int64(argv[2], 1, 10000000, &jobs) ||
        make_url(dir, sizeof(dir), argc > 3 ? argv[3] : "/tmp") != STATUS_OK)
        return 2;
    report_cost(jobs);
    return remove_all(dir);
}

int main(int argc, char **argv)
{
    char dir[256];
    int64_t processes, threads, seconds;

    if (argc > 1 && str_eq(argv[1], "-c"))
        return run_cost(argc, argv);
    each_alone = argc > 1 && str_eq(argv[1], "-1");
    argc -= each_alone;
    argv += each_alone;
    if (argc < 4 || !str_to_int64(argv[1], 1, 64, &processes) ||
        !str_to_int64(argv[2], 1, THREADS_MAX, &threads) ||
        !str_to_int64(argv[3], 1, 600, &seconds)) {
        (void)fprintf(stderr,
                      "usage: queue_bench [-1] PROCESSES THREADS "
                      "SECONDS [DIRECTORY]\n"
                      "       queue_bench -c JOBS [DIRECTORY]\n");
        return 2;
    }
    totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED ||
        make_url(dir, sizeof(dir), argc > 4 ? argv[4] : "/tmp") != STATUS_OK)
        return 1;
    end_ms = mono_ms() + seconds * 1000;
    for (process_number = 0; process_number < processes; process_number++) {
        pid_t pid = fork();

        if (pid == 0) {
            run_process((int)threads);
            _exit(0);
        }
        if (pid < 0)
            return 1;
    }
    while (wait(NULL) > 0)
        continue;
    report((int)processes, (int)threads, (int)seconds);
    return remove_all(dir);
}
