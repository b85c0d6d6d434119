/*
 * lab_keeper.c: first a self-test of the decoder, which leaves it warm for the
 * labs, then the sandbox, then one poll over the worker's socket and a signalfd
 * for SIGCHLD.
 *
 *   NEW_LAB -> socketpair, fork
 *                parent: LAB (pid, worker's end) or NO_LAB
 *                child:  socket to 0, sandbox, lab_child_run()
 *   KILL    -> SIGKILL, if the pid is a child not reaped yet
 *   SIGCHLD -> waitpid, one log line for a death nobody asked for
 *   EOF     -> SIGKILL to all, waitpid, end
 */
#include "lab_keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab_child.h"
#include "lab_wire.h"
#include "log.h"
#include "sandbox.h"

/* Those in use and as many that were killed but not reaped yet. */
#define CHILDREN_MAX (2 * LAB_LABS_MAX)

#define LAB_FD STDIN_FILENO /* in the child */

struct child {
    pid_t pid; /* 0: free */
    bool killed;
};

struct keeper {
    int control_fd;
    int signal_fd;
    pid_t pid;
    struct child children[CHILDREN_MAX];
    struct lab_wire_buffer buffer;
};

static struct child *find_child(struct keeper *keeper, pid_t pid)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (keeper->children[i].pid == pid)
            return &keeper->children[i];
    }
    return NULL;
}

/* ---- a new lab */

/* In the child. What the keeper has open is closed, first its socket: should
 * the keeper be gone by now, the worker has to see that before it sees the end
 * of this lab, or would blame the pictures. 1 stays on /dev/null and 2 goes
 * there, so that a library that prints cannot print into a picture whose
 * descriptor would otherwise get that number. */
static enum status inherit_nothing(const struct keeper *keeper, int socket_fd)
{
    sigset_t none;

    close(keeper->control_fd);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
        getppid() != keeper->pid)
        return STATUS_CUT;
    if (dup2(socket_fd, LAB_FD) < 0 ||
        (sandbox_is_real() && dup2(STDOUT_FILENO, STDERR_FILENO) < 0))
        return status_from_errno(errno);
    close(socket_fd);
    close(keeper->signal_fd);
    sigemptyset(&none);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* EFBIG instead */
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    return STATUS_OK;
}

static _Noreturn void run_lab(const struct keeper *keeper, int socket_fd)
{
    if (inherit_nothing(keeper, socket_fd) != STATUS_OK ||
        sandbox_enter(SANDBOX_LAB, LAB_FD) != STATUS_OK)
        _exit(LAB_EXIT_NO_JAIL);
    exit(lab_child_run(LAB_FD));
}

static enum status fork_lab(struct keeper *keeper, struct child *child,
                            int *worker_end)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return status_from_errno(errno);
    pid = fork();
    if (pid == 0) {
        close(pair[0]);
        run_lab(keeper, pair[1]);
    }
    close(pair[1]);
    if (pid < 0) {
        enum status status = status_from_errno(errno);

        close(pair[0]);
        return status;
    }
    *child = (struct child){.pid = pid};
    *worker_end = pair[0];
    return STATUS_OK;
}

static enum status new_lab(struct keeper *keeper)
{
    struct lab_message answer = {.type = LAB_WIRE_LAB};
    struct child *child = find_child(keeper, 0);
    enum status status = STATUS_BUSY;
    int worker_end = -1;

    if (child != NULL)
        status = fork_lab(keeper, child, &worker_end);
    if (status == STATUS_OK) {
        answer.pid = child->pid;
        answer.fds[0] = worker_end;
    } else {
        LOG(ERROR, "lab_not_started", LOG_STR("status", status_name(status)));
        answer.type = LAB_WIRE_NO_LAB;
        answer.status = status;
    }
    status = lab_wire_send(keeper->control_fd, &answer, true);
    if (worker_end >= 0)
        close(worker_end);
    return status;
}

/* ---- the end of one */

static void kill_child(struct child *child)
{
    child->killed = true;
    (void)kill(child->pid, SIGKILL);
}

static void log_death(const struct child *child, int how)
{
    if ((child->killed && WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) ||
        (WIFEXITED(how) && WEXITSTATUS(how) == LAB_EXIT_DONE))
        return;
    LOG(WARN, "lab_died", LOG_INT("lab", child->pid),
        LOG_INT("signal", WIFSIGNALED(how) ? WTERMSIG(how) : 0),
        LOG_INT("exit", WIFEXITED(how) ? WEXITSTATUS(how) : 0));
}

/* False when there is nothing (more) to reap. */
static bool reap_one(struct keeper *keeper, int options)
{
    struct child *child;
    pid_t pid;
    int how;

    do {
        pid = waitpid(-1, &how, options);
    } while (pid < 0 && errno == EINTR);
    if (pid <= 0)
        return false;
    child = find_child(keeper, pid);
    if (child != NULL) {
        log_death(child, how);
        *child = (struct child){0};
    }
    return true;
}

static void reap_dead(struct keeper *keeper)
{
    struct signalfd_siginfo info;

    (void)!read(keeper->signal_fd, &info, sizeof(info));
    while (reap_one(keeper, WNOHANG))
        continue;
}

static void end_all(struct keeper *keeper)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (keeper->children[i].pid != 0)
            kill_child(&keeper->children[i]);
    }
    while (reap_one(keeper, 0))
        continue;
}

/* ---- the loop */

static enum status serve_one(struct keeper *keeper)
{
    struct lab_message request;
    struct child *child;
    enum status status = lab_wire_recv(keeper->control_fd, LAB_WIRE_TO_KEEPER,
                                       &keeper->buffer, &request, false);

    if (status == STATUS_BUSY)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    if (request.type == LAB_WIRE_NEW_LAB)
        return new_lab(keeper);
    child = find_child(keeper, request.pid);
    if (child != NULL)
        kill_child(child);
    return STATUS_OK;
}

/* Until the worker is gone, which is CUT. */
static enum status serve(struct keeper *keeper)
{
    struct pollfd polls[] = {{keeper->control_fd, POLLIN, 0},
                             {keeper->signal_fd, POLLIN, 0}};
    enum status status = STATUS_OK;

    while (status == STATUS_OK) {
        if (poll(polls, ARRAY_COUNT(polls), -1) < 0) {
            if (errno != EINTR)
                return status_from_errno(errno);
            continue;
        }
        if (polls[1].revents != 0)
            reap_dead(keeper);
        if (polls[0].revents != 0)
            status = serve_one(keeper);
    }
    return status;
}

static enum status prepare(struct keeper *keeper)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    enum status status = lab_child_self_test();
    sigset_t set;

    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < ARRAY_COUNT(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return status_from_errno(errno);
    keeper->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (keeper->signal_fd < 0)
        return status_from_errno(errno);
    return sandbox_enter(SANDBOX_KEEPER, keeper->control_fd);
}

int lab_keeper_run(int control_fd)
{
    struct keeper keeper = {.control_fd = control_fd, .pid = getpid()};
    int landlock_abi = sandbox_landlock_abi();
    enum status status = prepare(&keeper);

    if (status == STATUS_OK) {
        LOG(INFO, "lab_keeper_ready",
            LOG_STR("sandbox", sandbox_is_real() ? "on" : "off_for_sanitizers"),
            LOG_INT("landlock_abi", landlock_abi));
        status = serve(&keeper);
    }
    end_all(&keeper);
    if (status == STATUS_CUT)
        return 0;
    LOG(ERROR, "lab_keeper_ended", LOG_STR("status", status_name(status)));
    return 1;
}
