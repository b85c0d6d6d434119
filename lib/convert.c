/*
 * convert.c: one struct task per picture in hand.
 *
 *   start ─▶ READING ─▶ PUBLISHING ─▶ gone (on_done)
 *               │ ▲         ▲
 *               └─┘ once    └── any failure: files discarded instead
 *          the lab died: again, alone
 *
 *   READING     16 KB pieces go to the lab while it has room
 *   PUBLISHING  files are synced and renamed, or copied to standard output;
 *               on a thread, for that can take longer than decoding
 *
 * A pipe or a terminal is read when it has something (epoll); regular files,
 * which epoll refuses, one piece in each turn of the loop. What needs no file,
 * a preview that nobody wants or an original for standard output, is written to
 * memory, which the limits of the outputs bound.
 */
#include "convert.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "offload.h"

#define OFFLOAD_THREADS 2

struct output {
    const char *path; /* NULL, CONVERT_STD: in memory */
    struct atomicfile_writer file;
};

struct task {
    struct convert *convert; /* NULL: free */
    struct convert_picture *picture;
    int64_t started_ms;
    bool alone;
    int fd;
    bool pollable;
    struct loop_watch readable;  /* if so */
    struct loop_timer next_read; /* if not */
    uint8_t piece[LAB_CHUNK_BYTES];
    size_t piece_len;          /* not taken by the lab yet */
    uint64_t read_bytes;       /* by this try */
    struct lab_stream *stream; /* NULL: not READING */
    struct output original, preview;
    struct offload_task publishing;
};

struct convert {
    const struct convert_options *options;
    struct convert_picture *pictures;
    size_t count, next, done;
    uint64_t read_bytes, size_bytes;
    struct loop *loop;
    struct lab *lab;
    struct offload *offload;
    struct task *tasks;
    size_t task_count;
    size_t reading; /* tasks in that state */
    struct loop_timer refill;
    struct loop_timer tick;
    int signal_fd;
    sigset_t signals, before;
    struct loop_watch signalled;
    int stopped_by;
    enum status status;
};

/* ---- outputs */

static enum status output_begin(struct output *output, const char *path)
{
    output->path = path;
    if (path != NULL && !str_eq(path, CONVERT_STD))
        return atomicfile_begin(&output->file, path);
    output->file.fd = memfd_create("output", MFD_CLOEXEC);
    return output->file.fd >= 0 ? STATUS_OK : status_from_errno(errno);
}

static void output_discard(struct output *output)
{
    atomicfile_discard(&output->file);
}

static enum status write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_from_errno(errno);
        bytes += n;
        len -= (size_t)n;
    }
    return STATUS_OK;
}

/* All of what was written to `output`, whose descriptor may be write-only. */
static enum status output_copy(const struct output *output, int to_fd)
{
    uint8_t bytes[LAB_CHUNK_BYTES];
    enum status status = STATUS_OK;
    ssize_t n = 1;
    char self[64];
    int fd;

    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", output->file.fd);
    fd = open(self, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_from_errno(errno);
    while (status == STATUS_OK && n > 0) {
        n = read(fd, bytes, sizeof(bytes));
        if (n < 0)
            status = status_from_errno(errno);
        else
            status = write_all(to_fd, bytes, (size_t)n);
    }
    close(fd);
    return status;
}

static enum status output_publish(struct output *output, mode_t mode)
{
    enum status status = STATUS_OK;

    if (output->path != NULL && !str_eq(output->path, CONVERT_STD))
        return atomicfile_commit(&output->file, mode);
    if (output->path != NULL)
        status = output_copy(output, STDOUT_FILENO);
    output_discard(output);
    return status;
}

/* ---- the end of a picture */

static void give_up(struct convert *convert, enum status status)
{
    convert->status = status;
    loop_stop(convert->loop);
}

/* The next pictures start in the next turn: were they started from here, a list
 * of files that are not there would be a recursion. */
static void wake(struct convert *convert)
{
    enum status status = loop_timer_set(convert->loop, &convert->refill,
                                        loop_now_ms(convert->loop));

    if (status != STATUS_OK)
        give_up(convert, status);
}

static void release_files(struct task *task)
{
    output_discard(&task->original);
    output_discard(&task->preview);
    if (task->fd > STDIN_FILENO)
        close(task->fd);
    task->fd = -1;
}

static void finish(struct task *task)
{
    struct convert *convert = task->convert;
    struct convert_picture *picture = task->picture;

    release_files(task);
    picture->elapsed_ms = mono_ms() - task->started_ms;
    if (picture->size_bytes > task->read_bytes)
        convert->read_bytes += picture->size_bytes - task->read_bytes;
    task->convert = NULL;
    convert->done++;
    convert->options->on_done(convert->options->arg, picture);
    wake(convert);
}

static void stop_reading(struct task *task)
{
    loop_unwatch(task->convert->loop, &task->readable);
    loop_timer_cancel(task->convert->loop, &task->next_read);
}

/* `error` is an errno, or 0. */
static void fail(struct task *task, enum convert_fault fault,
                 enum status status, int error)
{
    stop_reading(task);
    if (task->stream != NULL) {
        lab_stream_abort(task->stream);
        task->stream = NULL;
        task->convert->reading--;
    }
    task->picture->fault = fault;
    task->picture->status = status;
    task->picture->error = error;
    finish(task);
}

/* Whose fault a status of the lab is. */
static enum convert_fault fault_of(enum status status)
{
    switch (status) {
    case STATUS_NO_MEMORY:
    case STATUS_NO_SPACE:
    case STATUS_IO:
    case STATUS_BUSY:
    case STATUS_STOPPING:
    case STATUS_LAB_DIED: /* and no second try to tell whose fault it was */
    case STATUS_BUG:
        return CONVERT_BAD_OUTPUT;
    default:
        return CONVERT_BAD_PICTURE;
    }
}

/* ---- PUBLISHING */

/* One file could serve as both, but who asked for two gets two. */
static enum status publish_both(struct task *task)
{
    mode_t mode = task->convert->options->file_mode;
    enum status status = STATUS_OK;

    if (task->picture->report.preview_is_original && task->preview.path != NULL)
        status = output_copy(&task->original, task->preview.file.fd);
    if (status == STATUS_OK)
        status = output_publish(&task->original, mode);
    if (status == STATUS_OK)
        status = output_publish(&task->preview, mode);
    return status;
}

static void publish(void *arg)
{
    struct task *task = arg;

    task->picture->status = publish_both(task);
}

static void on_published(void *arg)
{
    struct task *task = arg;

    if (task->picture->status != STATUS_OK)
        task->picture->fault = CONVERT_BAD_OUTPUT;
    finish(task);
}

static void enter_publishing(struct task *task)
{
    task->publishing = (struct offload_task){
        .work = publish, .done = on_published, .arg = task};
    offload_submit(task->convert->offload, &task->publishing);
    wake(task->convert);
}

/* ---- READING */

static void read_next(struct task *task);

/* False: the lab has no room, or the task is gone. */
static bool hand_over(struct task *task)
{
    enum status status =
        lab_stream_write(task->stream, task->piece, task->piece_len);

    if (status == STATUS_OK)
        return true;
    stop_reading(task);
    if (status != STATUS_BUSY)
        fail(task, fault_of(status), status, 0);
    return false;
}

static void read_piece(struct task *task)
{
    ssize_t n = read(task->fd, task->piece, sizeof(task->piece));

    if (n < 0 && errno != EINTR && errno != EAGAIN) {
        fail(task, CONVERT_BAD_INPUT, status_from_errno(errno), errno);
    } else if (n == 0) {
        enum status status = lab_stream_end(task->stream);

        stop_reading(task);
        if (status != STATUS_OK)
            fail(task, CONVERT_BAD_OUTPUT, status, 0);
    } else {
        task->piece_len = n > 0 ? (size_t)n : 0;
        task->read_bytes += task->piece_len;
        task->convert->read_bytes += task->piece_len;
        if (n < 0 || hand_over(task))
            read_next(task);
    }
}

static void on_readable(void *arg, uint32_t events)
{
    (void)events;
    read_piece(arg);
}

static void on_next_read(void *arg)
{
    read_piece(arg);
}

/* Waits for more of a pipe; goes on with a file in the next turn. */
static void read_next(struct task *task)
{
    struct loop *loop = task->convert->loop;
    enum status status = STATUS_OK;

    if (!task->pollable)
        status = loop_timer_set(loop, &task->next_read, loop_now_ms(loop));
    else if (task->readable.fd < 0)
        status = loop_watch(loop, &task->readable, task->fd, EPOLLIN,
                            on_readable, task);
    if (status != STATUS_OK)
        fail(task, CONVERT_BAD_OUTPUT, status, 0);
}

static void on_room(void *arg)
{
    struct task *task = arg;

    if (hand_over(task))
        read_next(task);
}

static bool begin_reading(struct task *task);

/* To the first byte; a pipe has no way back. */
static bool rewind_input(struct task *task)
{
    if (lseek(task->fd, -(off_t)task->read_bytes, SEEK_CUR) < 0)
        return false;
    task->convert->read_bytes -= task->read_bytes;
    task->read_bytes = 0;
    return true;
}

static void on_decoded(void *arg, enum status status,
                       const struct transcode_report *report)
{
    struct task *task = arg;

    stop_reading(task);
    task->stream = NULL;
    task->convert->reading--;
    task->picture->report = *report;
    if (status == STATUS_OK) {
        enter_publishing(task);
    } else if (status == STATUS_LAB_DIED && !task->alone &&
               rewind_input(task)) {
        task->alone = true;
        output_discard(&task->original);
        output_discard(&task->preview);
        (void)begin_reading(task);
    } else {
        fail(task, fault_of(status), status, 0);
    }
}

static enum status open_stream(struct task *task)
{
    struct lab_request request = {
        .limits = task->convert->options->limits,
        .original_fd = task->original.file.fd,
        .preview_fd = task->preview.file.fd,
        .alone = task->alone,
        .arg = task,
        .on_room = on_room,
        .on_done = on_decoded,
    };

    return lab_stream_open(task->convert->lab, &request, &task->stream);
}

/* False: the task is gone. */
static bool begin_reading(struct task *task)
{
    struct convert_picture *picture = task->picture;
    enum status status = output_begin(&task->original, picture->original);

    picture->failed_output = picture->original;
    if (status == STATUS_OK) {
        status = output_begin(&task->preview, picture->preview);
        picture->failed_output = picture->preview;
    }
    if (status != STATUS_OK) {
        fail(task, CONVERT_BAD_OUTPUT, status, errno);
        return false;
    }
    picture->failed_output = NULL;
    status = open_stream(task);
    if (status != STATUS_OK) {
        fail(task, CONVERT_BAD_OUTPUT, status, 0);
        return false;
    }
    task->convert->reading++;
    read_next(task);
    return true;
}

/* What epoll takes; the rest never has to be waited for. */
static bool is_pollable(int fd, const struct stat *st)
{
    return S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode) || isatty(fd);
}

static int open_input(struct task *task)
{
    const char *path = task->picture->input;
    struct stat st;

    task->fd = STDIN_FILENO;
    if (!str_eq(path, CONVERT_STD))
        task->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (task->fd < 0 || fstat(task->fd, &st) < 0)
        return errno;
    task->pollable = is_pollable(task->fd, &st);
    return S_ISDIR(st.st_mode) ? EISDIR : 0;
}

static void start(struct task *task)
{
    int error = open_input(task);

    if (error == 0)
        begin_reading(task);
    else
        fail(task, CONVERT_BAD_INPUT,
             error == ENOENT ? STATUS_NOT_FOUND : status_from_errno(error),
             error);
}

/* ---- the list */

static struct task *free_task(struct convert *convert)
{
    for (size_t i = 0; i < convert->task_count; i++) {
        if (convert->tasks[i].convert == NULL)
            return &convert->tasks[i];
    }
    return NULL;
}

static void take_next(struct convert *convert, struct task *task)
{
    *task = (struct task){
        .convert = convert,
        .picture = &convert->pictures[convert->next++],
        .started_ms = mono_ms(),
        .fd = -1,
        .readable.fd = -1,
        .original.file.fd = -1,
        .preview.file.fd = -1,
    };
    loop_timer_init(&task->next_read, on_next_read, task);
    start(task);
}

static void on_refill(void *arg)
{
    struct convert *convert = arg;
    struct task *task;

    while (convert->next < convert->count &&
           convert->reading < convert->options->jobs &&
           (task = free_task(convert)) != NULL)
        take_next(convert, task);
    if (convert->done == convert->count)
        loop_stop(convert->loop);
}

static void on_tick(void *arg)
{
    struct convert *convert = arg;
    const struct convert_progress progress = {convert->done, convert->count,
                                              convert->read_bytes,
                                              convert->size_bytes};
    enum status status;

    convert->options->on_progress(convert->options->arg, &progress);
    status = loop_timer_set(convert->loop, &convert->tick,
                            loop_now_ms(convert->loop) + CONVERT_TICK_MS);
    if (status != STATUS_OK)
        give_up(convert, status);
}

/* ---- signals */

/* Also those that come while the run is being ended. */
static void block_signals(struct convert *convert)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction now;

    sigemptyset(&convert->signals);
    for (size_t i = 0; i < ARRAY_COUNT(stops); i++) {
        if (sigaction(stops[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&convert->signals, stops[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &convert->signals, &convert->before);
}

static void on_signal(void *arg, uint32_t events)
{
    struct convert *convert = arg;
    struct signalfd_siginfo info;

    (void)events;
    if (read(convert->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    convert->stopped_by = (int)info.ssi_signo;
    give_up(convert, STATUS_STOPPING);
}

static enum status watch_signals(struct convert *convert)
{
    convert->signal_fd = signalfd(-1, &convert->signals, SFD_CLOEXEC);
    if (convert->signal_fd < 0)
        return status_from_errno(errno);
    return loop_watch(convert->loop, &convert->signalled, convert->signal_fd,
                      EPOLLIN, on_signal, convert);
}

/* ---- the run */

static void on_broken(void *arg)
{
    give_up(arg, STATUS_LAB_DIED);
}

static enum status build_lab(struct convert *convert)
{
    const struct convert_options *options = convert->options;
    struct lab_options lab = {
        .keeper = options->keeper,
        .labs = options->jobs,
        .spill_dir = options->scratch_dir,
        .arg = convert,
        .on_broken = on_broken,
    };
    enum status status = loop_new(&convert->loop);

    if (status != STATUS_OK) {
        lab_keeper_end(&lab.keeper);
        return status;
    }
    return lab_new(&convert->lab, convert->loop, &lab);
}

static enum status build(struct convert *convert)
{
    enum status status = build_lab(convert);

    convert->task_count = 2 * convert->options->jobs;
    convert->tasks = calloc(convert->task_count, sizeof(convert->tasks[0]));
    if (status == STATUS_OK && convert->tasks == NULL)
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = offload_new(&convert->offload, convert->loop, OFFLOAD_THREADS);
    if (status == STATUS_OK)
        status = watch_signals(convert);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < convert->count; i++)
        convert->size_bytes += convert->pictures[i].size_bytes;
    loop_timer_init(&convert->refill, on_refill, convert);
    loop_timer_init(&convert->tick, on_tick, convert);
    wake(convert);
    if (convert->options->on_progress != NULL)
        status = loop_timer_set(convert->loop, &convert->tick,
                                loop_now_ms(convert->loop) + CONVERT_TICK_MS);
    return status;
}

/* Files that are being published are published. That ends, unless whoever reads
 * standard output does not: then SIGALRM ends it. */
static void tear_down(struct convert *convert)
{
    if (convert->stopped_by != 0)
        (void)alarm(CONVERT_STOP_S);
    lab_free(convert->lab);
    offload_free(convert->offload);
    (void)alarm(0);
    for (size_t i = 0; convert->tasks != NULL && i < convert->task_count; i++) {
        if (convert->tasks[i].convert != NULL)
            release_files(&convert->tasks[i]);
    }
    free(convert->tasks);
    loop_free(convert->loop);
    if (convert->signal_fd >= 0)
        close(convert->signal_fd);
}

enum status convert_run(struct convert_picture *pictures, size_t count,
                        const struct convert_options *options, int *stopped_by)
{
    struct convert convert = {.options = options,
                              .pictures = pictures,
                              .count = count,
                              .signal_fd = -1,
                              .signalled.fd = -1};
    enum status status;

    *stopped_by = 0;
    (void)signal(SIGPIPE, SIG_IGN); /* EPIPE instead */
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit is a full disk */
    block_signals(&convert);
    status = build(&convert);
    if (status == STATUS_OK)
        status = loop_run(convert.loop);
    if (status == STATUS_OK)
        status = convert.status;
    tear_down(&convert);
    (void)pthread_sigmask(SIG_SETMASK, &convert.before, NULL);
    *stopped_by = convert.stopped_by;
    return status;
}
