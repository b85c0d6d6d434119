/*
 * metrics.c: the file and its slots.
 *
 *   head     magic, version, fingerprint; names of channels; what all write:
 *            the last end, the crash loop, the ring of minutes, whom the
 *            webhooks are for
 *   slot 0   started_ms and struct metrics_counts, all in 64-bit atomics
 *   ...
 *
 * Locks are on single bytes, by number and not by content (fcntl(2), open file
 * description locks): byte 0 is the gate, held while the file is made, looked
 * at, given a name or another destination; byte 1 + n is slot n, held by its
 * worker for life. The threads of a worker are one owner to the kernel: a mutex
 * keeps them apart.
 *
 * A cell of the ring is minute and count in one word, so that whoever comes
 * first in a new minute begins it with one compare-and-swap. Names of channels
 * are written before their number is: readers need no lock.
 */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x72746d2d6d6b7264) /* "drkm-mtr" in the file */
#define VERSION 2
#define GATE 0
#define OPEN_TRIES 16
#define MINUTE_MS 60000
#define MINUTE_SHIFT 32
#define BOT_WORDS 2 /* of 16 hex digits each */
#define BOT_WORD_DIGITS 16

struct slot {
    _Atomic int64_t started_ms;
    _Atomic uint64_t counters[METRICS_COUNTERS__COUNT];
    _Atomic uint64_t seconds[METRICS_HISTOGRAMS__COUNT][METRICS_BUCKETS];
    _Atomic uint64_t seconds_us[METRICS_HISTOGRAMS__COUNT];
    _Atomic uint64_t jobs[METRICS_CHANNEL_ROWS][METRICS_OUTCOMES];
    _Atomic uint64_t failures[METRICS_STATUSES];
    _Atomic uint64_t retries[METRICS_STATUSES];
};

/* A bot's user id without its U. Written behind the gate only; `known` is 0
 * meanwhile, so that half of one is nothing even if its writer is killed. */
struct bot {
    _Atomic uint64_t known;
    _Atomic uint64_t words[BOT_WORDS];
};

struct head {
    uint64_t magic;
    uint64_t fingerprint; /* of version and tables */
    _Atomic int64_t last_end_ms, crash_loop_ms;
    _Atomic uint32_t channels;
    char names[METRICS_CHANNELS_MAX][CHANNEL_NAME_MAX + 1];
    _Atomic uint64_t minutes[METRICS_MINUTES][METRICS_BUCKETS];
    struct bot bots[METRICS_CHANNELS_MAX]; /* by row */
};

struct file {
    struct head head;
    _Alignas(64) struct slot slots[METRICS_SLOTS];
};

_Static_assert(STATUS__COUNT <= METRICS_STATUSES, "a status needs a counter");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would not be shared");

const uint32_t metrics_bounds_us[METRICS_BOUNDS] = {
    500,     1000,    2000,    5000,     10000,    20000,    50000,
    100000,  200000,  300000,  500000,   750000,   1000000,  1500000,
    2000000, 3000000, 5000000, 10000000, 20000000, 30000000, 60000000};

/* Set before threads start, and after they have ended. */
static struct file *mapped;
static struct slot *own;
static size_t own_number;
static int own_fd = -1;

static pthread_mutex_t gate_mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- the fingerprint: FNV-1a over the names in their order */

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *byte = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t fingerprint(void)
{
    static const char tables[] =
#define X(name, family, labels, help) #name ","
        METRICS_COUNTERS(X)
#undef X
#define X(name, family, help) #name ","
            METRICS_HISTOGRAMS(X)
#undef X
#define X(name, class, text) #name ","
                STATUS_TABLE(X)
#undef X
        ;
    const uint64_t shape[] = {VERSION, sizeof(struct file), STATUS__COUNT};
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), tables, sizeof(tables));

    hash = mix(hash, shape, sizeof(shape));
    return mix(hash, metrics_bounds_us, sizeof(metrics_bounds_us));
}

/* ---- locks */

static struct flock range_of(short type, off_t byte)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

static bool lock(int fd, short type, off_t byte)
{
    struct flock range = range_of(type, byte);

    return fcntl(fd, F_OFD_SETLK, &range) == 0;
}

static void unlock(int fd, off_t byte)
{
    struct flock range = range_of(F_UNLCK, byte);

    (void)fcntl(fd, F_OFD_SETLK, &range);
}

static bool is_held_by_another(int fd, off_t byte)
{
    struct flock range = range_of(F_WRLCK, byte);

    return fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

/* Others hold the gate for microseconds, unless they are stopped. */
static bool pass_gate(int fd, short type)
{
    const struct timespec nap = {.tv_nsec = METRICS_GATE_NAP_MS * 1000000L};

    for (int i = 0; i < METRICS_GATE_TRIES; i++) {
        if (lock(fd, type, GATE))
            return true;
        (void)nanosleep(&nap, NULL);
    }
    return false;
}

/* The gate of the file that is open. */
static bool enter_gate(void)
{
    pthread_mutex_lock(&gate_mutex);
    if (pass_gate(own_fd, F_WRLCK))
        return true;
    pthread_mutex_unlock(&gate_mutex);
    return false;
}

static bool try_gate(void)
{
    if (pthread_mutex_trylock(&gate_mutex) != 0)
        return false;
    if (lock(own_fd, F_WRLCK, GATE))
        return true;
    pthread_mutex_unlock(&gate_mutex);
    return false;
}

static void leave_gate(void)
{
    unlock(own_fd, GATE);
    pthread_mutex_unlock(&gate_mutex);
}

/* ---- the file */

/* Its blocks are allocated now: on a disk that is full later, a write to memory
 * would be SIGBUS. */
static enum status make(int fd)
{
    struct head head = {.magic = MAGIC, .fingerprint = fingerprint()};
    int err = posix_fallocate(fd, 0, sizeof(struct file));

    if (err != 0)
        return status_from_errno(err);
    return pwrite(fd, &head, offsetof(struct head, last_end_ms), 0) ==
                   (ssize_t)offsetof(struct head, last_end_ms)
               ? STATUS_OK
               : STATUS_IO;
}

static bool is_ours(int fd, off_t size)
{
    struct head head = {0};

    return size == (off_t)sizeof(struct file) &&
           pread(fd, &head, offsetof(struct head, last_end_ms), 0) ==
               (ssize_t)offsetof(struct head, last_end_ms) &&
           head.magic == MAGIC && head.fingerprint == fingerprint();
}

/* Behind the gate. AGAIN: what was found is no longer the file of that name. */
static enum status look(int fd, const char *path)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return status_from_errno(errno);
    if (st.st_nlink == 0)
        return STATUS_AGAIN;
    if (st.st_size == 0)
        return make(fd);
    if (is_ours(fd, st.st_size))
        return STATUS_OK;
    return unlink(path) == 0 ? STATUS_AGAIN : status_from_errno(errno);
}

static enum status open_once(int *fd, const char *path)
{
    enum status status;

    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return status_from_errno(errno);
    status = pass_gate(*fd, F_WRLCK) ? look(*fd, path) : STATUS_BUSY;
    unlock(*fd, GATE);
    if (status == STATUS_OK)
        return STATUS_OK;
    close(*fd);
    *fd = -1;
    return status;
}

static enum status claim_slot(int fd, size_t *number)
{
    for (size_t i = 0; i < METRICS_SLOTS; i++) {
        if (lock(fd, F_WRLCK, (off_t)i + 1)) {
            *number = i;
            return STATUS_OK;
        }
    }
    return STATUS_BUSY;
}

enum status metrics_open(const char *path)
{
    enum status status = STATUS_AGAIN;
    void *memory;
    int fd = -1;

    if (own != NULL)
        return STATUS_BUG;
    for (int i = 0; i < OPEN_TRIES && status == STATUS_AGAIN; i++)
        status = open_once(&fd, path);
    if (status != STATUS_OK)
        return status == STATUS_AGAIN ? STATUS_BUSY : status;
    status = claim_slot(fd, &own_number);
    if (status != STATUS_OK)
        goto fail;
    memory = mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED,
                  fd, 0);
    if (memory == MAP_FAILED) {
        status = status_from_errno(errno);
        goto fail;
    }
    own_fd = fd;
    mapped = memory;
    own = &mapped->slots[own_number];
    atomic_store_explicit(&own->started_ms, wall_ms(), memory_order_relaxed);
    return STATUS_OK;

fail:
    close(fd);
    return status;
}

void metrics_close(void)
{
    if (own == NULL)
        return;
    own = NULL;
    (void)munmap(mapped, sizeof(struct file));
    mapped = NULL;
    close(own_fd);
    own_fd = -1;
}

/* ---- channels */

static size_t named_channels(const struct head *head)
{
    return size_min(atomic_load_explicit(&head->channels, memory_order_acquire),
                    METRICS_CHANNELS_MAX);
}

/* The row of a channel; that of all others if it has none. */
static size_t row_of(const struct head *head, const char *channel)
{
    size_t count = named_channels(head);

    for (size_t i = 0; i < count; i++) {
        if (str_eq(head->names[i], channel))
            return i;
    }
    return METRICS_CHANNELS_MAX;
}

void metrics_name_channel(const char *name)
{
    struct head *head;
    size_t count;

    if (own == NULL || !enter_gate())
        return;
    head = &mapped->head;
    count = named_channels(head);
    if (row_of(head, name) == METRICS_CHANNELS_MAX &&
        count < METRICS_CHANNELS_MAX &&
        str_copy(head->names[count], CHANNEL_NAME_MAX + 1, name))
        atomic_store_explicit(&head->channels, (uint32_t)count + 1,
                              memory_order_release);
    leave_gate();
}

/* ---- whom the webhooks are for */

/* False: it is no bot's user id. */
static bool parse_bot(const char *id, uint64_t words[BOT_WORDS])
{
    static const char digits[] = "0123456789abcdef";

    if (id[0] != 'U' || strlen(id) != BOT_ID_LEN)
        return false;
    memset(words, 0, BOT_WORDS * sizeof(words[0]));
    for (size_t i = 0; i < BOT_ID_LEN - 1; i++) {
        const char *digit = strchr(digits, id[i + 1]);
        uint64_t *word = &words[i / BOT_WORD_DIGITS];

        if (digit == NULL)
            return false;
        *word = *word << 4 | (uint64_t)(digit - digits);
    }
    return true;
}

static bool load_bot(const struct bot *bot, uint64_t words[BOT_WORDS])
{
    if (atomic_load_explicit(&bot->known, memory_order_acquire) == 0)
        return false;
    for (size_t i = 0; i < BOT_WORDS; i++)
        words[i] = atomic_load_explicit(&bot->words[i], memory_order_relaxed);
    return true;
}

static bool tell_bot(const struct bot *bot, char id[BOT_ID_LEN + 1])
{
    uint64_t words[BOT_WORDS];

    id[0] = '\0';
    if (!load_bot(bot, words))
        return false;
    (void)snprintf(id, BOT_ID_LEN + 1, "U%016" PRIx64 "%016" PRIx64, words[0],
                   words[1]);
    return true;
}

/* Without the gate it may see half of a change, and is then not the same. */
static bool is_bot(const struct bot *bot, const uint64_t words[BOT_WORDS])
{
    uint64_t known[BOT_WORDS];

    return load_bot(bot, known) && memcmp(known, words, sizeof(known)) == 0;
}

/* Each store is ordered after those before it. */
static void store_bot(struct bot *bot, const uint64_t words[BOT_WORDS])
{
    atomic_store_explicit(&bot->known, 0, memory_order_release);
    for (size_t i = 0; i < BOT_WORDS; i++)
        atomic_store_explicit(&bot->words[i], words[i], memory_order_release);
    atomic_store_explicit(&bot->known, 1, memory_order_release);
}

bool metrics_saw_destination(const char *channel, const char *destination,
                             char before[BOT_ID_LEN + 1])
{
    uint64_t words[BOT_WORDS];
    bool changed = false;
    struct bot *bot;
    size_t row;

    if (own == NULL || !parse_bot(destination, words))
        return false;
    row = row_of(&mapped->head, channel);
    if (row == METRICS_CHANNELS_MAX)
        return false;
    bot = &mapped->head.bots[row];
    if (is_bot(bot, words) || !try_gate())
        return false;
    if (!is_bot(bot, words)) { /* nobody was faster */
        changed = tell_bot(bot, before);
        store_bot(bot, words);
    }
    leave_gate();
    return changed;
}

/* Behind the gate, so that no change is half done. */
static enum status read_head(int fd, struct head *head)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return status_from_errno(errno);
    if (!is_ours(fd, st.st_size))
        return STATUS_NOT_FOUND;
    return pread(fd, head, sizeof(*head), 0) == (ssize_t)sizeof(*head)
               ? STATUS_OK
               : STATUS_IO;
}

enum status metrics_read_destination(const char *path, const char *channel,
                                     char destination[BOT_ID_LEN + 1])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum status status;
    struct head head;
    size_t row;

    if (fd < 0)
        return errno == ENOENT ? STATUS_NOT_FOUND : status_from_errno(errno);
    status = pass_gate(fd, F_RDLCK) ? read_head(fd, &head) : STATUS_BUSY;
    close(fd);
    if (status != STATUS_OK)
        return status;
    row = row_of(&head, channel);
    return row < METRICS_CHANNELS_MAX && tell_bot(&head.bots[row], destination)
               ? STATUS_OK
               : STATUS_NOT_FOUND;
}

/* ---- counting */

static void add(_Atomic uint64_t *place, uint64_t n)
{
    (void)atomic_fetch_add_explicit(place, n, memory_order_relaxed);
}

void metrics_add(enum metrics_counter counter, uint64_t n)
{
    if (own != NULL)
        add(&own->counters[counter], n);
}

static size_t bucket_of(int64_t us)
{
    size_t i = 0;

    while (i < METRICS_BOUNDS && us > metrics_bounds_us[i])
        i++;
    return i;
}

/* A clock that was set back makes no negative sum. */
void metrics_observe_us(enum metrics_histogram histogram, int64_t us)
{
    if (own == NULL)
        return;
    us = int64_max(us, 0);
    add(&own->seconds[histogram][bucket_of(us)], 1);
    add(&own->seconds_us[histogram], (uint64_t)us);
}

void metrics_job_ended(const char *channel, size_t outcome, int64_t now_ms)
{
    if (own == NULL || outcome >= METRICS_OUTCOMES)
        return;
    add(&own->jobs[row_of(&mapped->head, channel)][outcome], 1);
    atomic_store_explicit(&mapped->head.last_end_ms, now_ms,
                          memory_order_relaxed);
}

void metrics_failure(enum status reason)
{
    if (own != NULL && (unsigned)reason < STATUS__COUNT)
        add(&own->failures[reason], 1);
}

void metrics_retry(enum status reason)
{
    if (own != NULL && (unsigned)reason < STATUS__COUNT)
        add(&own->retries[reason], 1);
}

static uint32_t minute_of(int64_t now_ms)
{
    return (uint32_t)(now_ms / MINUTE_MS);
}

void metrics_answered(int64_t us, int64_t now_ms)
{
    uint64_t minute = minute_of(now_ms), seen, next;
    _Atomic uint64_t *cell;

    if (own == NULL)
        return;
    metrics_observe_us(METRIC_SECONDS_ANSWER, us);
    cell = &mapped->head.minutes[minute % METRICS_MINUTES][bucket_of(us)];
    seen = atomic_load_explicit(cell, memory_order_relaxed);
    do {
        next = seen >> MINUTE_SHIFT == minute ? seen + 1
                                              : (minute << MINUTE_SHIFT) + 1;
    } while (!atomic_compare_exchange_weak_explicit(
        cell, &seen, next, memory_order_relaxed, memory_order_relaxed));
}

void metrics_crash_loop(int64_t now_ms)
{
    if (own != NULL)
        atomic_store_explicit(&mapped->head.crash_loop_ms, now_ms,
                              memory_order_relaxed);
}

/* ---- summing */

static void sum_array(uint64_t *to, const _Atomic uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
}

static void sum_slot(struct metrics_counts *to, const struct slot *from)
{
    sum_array(to->counters, from->counters, METRICS_COUNTERS__COUNT);
    sum_array(to->seconds[0], from->seconds[0],
              METRICS_HISTOGRAMS__COUNT * METRICS_BUCKETS);
    sum_array(to->seconds_us, from->seconds_us, METRICS_HISTOGRAMS__COUNT);
    sum_array(to->jobs[0], from->jobs[0],
              METRICS_CHANNEL_ROWS * METRICS_OUTCOMES);
    sum_array(to->failures, from->failures, METRICS_STATUSES);
    sum_array(to->retries, from->retries, METRICS_STATUSES);
}

static void count_worker(struct metrics_totals *totals, size_t number)
{
    int64_t started_ms = atomic_load_explicit(&mapped->slots[number].started_ms,
                                              memory_order_relaxed);

    if (number != own_number && !is_held_by_another(own_fd, (off_t)number + 1))
        return;
    totals->workers++;
    if (totals->started_ms == 0 || started_ms < totals->started_ms)
        totals->started_ms = started_ms;
}

static void copy_minutes(struct metrics_totals *totals, int64_t now_ms)
{
    uint32_t first = minute_of(now_ms) - (METRICS_MINUTES - 1);

    for (uint32_t i = 0; i < METRICS_MINUTES; i++) {
        uint32_t minute = first + i;

        for (size_t b = 0; b < METRICS_BUCKETS; b++) {
            uint64_t cell = atomic_load_explicit(
                &mapped->head.minutes[minute % METRICS_MINUTES][b],
                memory_order_relaxed);

            if (cell >> MINUTE_SHIFT == minute)
                totals->minutes[i][b] = (uint32_t)cell;
        }
    }
}

bool metrics_sum(struct metrics_totals *totals, int64_t now_ms)
{
    memset(totals, 0, sizeof(*totals));
    if (own == NULL)
        return false;
    for (size_t i = 0; i < METRICS_SLOTS; i++) {
        sum_slot(&totals->counts, &mapped->slots[i]);
        count_worker(totals, i);
    }
    totals->last_end_ms =
        atomic_load_explicit(&mapped->head.last_end_ms, memory_order_relaxed);
    totals->crash_loop_ms =
        atomic_load_explicit(&mapped->head.crash_loop_ms, memory_order_relaxed);
    totals->channels = named_channels(&mapped->head);
    memcpy(totals->names, mapped->head.names,
           totals->channels * sizeof(totals->names[0]));
    for (size_t i = 0; i < totals->channels; i++)
        totals->names[i][CHANNEL_NAME_MAX] = '\0';
    copy_minutes(totals, now_ms);
    return true;
}

int64_t metrics_quantile_us(const uint64_t buckets[METRICS_BUCKETS], double q)
{
    uint64_t total = 0, below = 0;
    double rank;

    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        total += buckets[i];
    if (total == 0)
        return -1;
    rank = q * (double)total;
    for (size_t i = 0; i < METRICS_BOUNDS; i++) {
        int64_t from_us = i > 0 ? metrics_bounds_us[i - 1] : 0;
        int64_t width_us = metrics_bounds_us[i] - from_us;

        if (buckets[i] > 0 && rank <= (double)(below + buckets[i]))
            return from_us +
                   (int64_t)((double)width_us * (rank - (double)below) /
                             (double)buckets[i]);
        below += buckets[i];
    }
    return metrics_bounds_us[METRICS_BOUNDS - 1];
}
