/*
 * test_sandbox.c: in a forked child each, what a lab needs works and what it
 * must not have kills it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limits.h"
#include "sandbox.h"

#include <cmocka.h>

#define LAB_SOCKET 0

static int other_fd; /* a second socket, open in every child */

/* Runs `act` in a child in the sandbox; how it ended, as of waitpid(2). */
static int run_jailed(enum sandbox_role role, int (*act)(void))
{
    int pair[2];
    int how;
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    other_fd = pair[0];
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pair[1], LAB_SOCKET);
        if (sandbox_enter(role, LAB_SOCKET) != STATUS_OK)
            _exit(99);
        _exit(act());
    }
    close(pair[0]);
    close(pair[1]);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    return how;
}

static void assert_works(enum sandbox_role role, int (*act)(void))
{
    int how = run_jailed(role, act);

    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

static void assert_kills(int (*act)(void))
{
    int how = run_jailed(SANDBOX_LAB, act);

    assert_true(WIFSIGNALED(how));
    assert_int_equal(WTERMSIG(how), SIGSYS);
}

/* cmocka's skip() is a failure to prove, so a test that cannot run says so. */
static bool cannot_run(bool possible, const char *why)
{
    if (!possible)
        (void)fprintf(stderr, "# not run: %s\n", why);
    return !possible;
}

static bool no_jail(void)
{
    return cannot_run(sandbox_is_real(), "no jail in a sanitizer build");
}

/* ---- allowed */

static int use_memory(void)
{
    for (size_t size = 1; size < 64 * 1024 * 1024; size *= 4) {
        volatile char *bytes = malloc(size);
        void *larger;

        if (bytes == NULL)
            return 1;
        bytes[size - 1] = 1;
        larger = realloc((void *)(uintptr_t)bytes, size * 2);
        if (larger == NULL)
            return 2;
        free(larger);
    }
    return 0;
}

static int exchange_messages(void)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (sendmsg(LAB_SOCKET, &msg, MSG_NOSIGNAL) != 1)
        return 1;
    return recvmsg(LAB_SOCKET, &msg, MSG_DONTWAIT) == -1 && errno == EAGAIN ? 0
                                                                            : 2;
}

static int tell_time(void)
{
    return mono_ms() > 0 && wall_ms() > 0 ? 0 : 1;
}

static int too_much_memory(void)
{
    volatile char *bytes = malloc(LAB_ADDRESS_SPACE_BYTES);

    return bytes == NULL ? 0 : 1;
}

static int write_then_close(void)
{
    return write(other_fd, "x", 1) == 1 && close(other_fd) == 0 ? 0 : 1;
}

/* Sockets can do neither, but the calls come back. */
static int begin_file_anew(void)
{
    return lseek(other_fd, 0, SEEK_SET) < 0 && errno == ESPIPE &&
                   ftruncate(other_fd, 0) < 0 && errno == EINVAL
               ? 0
               : 1;
}

static void lab_may_work(void **state)
{
    (void)state;
    if (no_jail())
        return;
    assert_works(SANDBOX_LAB, use_memory);
    assert_works(SANDBOX_LAB, exchange_messages);
    assert_works(SANDBOX_LAB, tell_time);
    assert_works(SANDBOX_LAB, write_then_close);
    assert_works(SANDBOX_LAB, too_much_memory);
    assert_works(SANDBOX_LAB, begin_file_anew);
}

/* ---- forbidden to a lab */

static int make_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int make_socketpair(void)
{
    int pair[2];

    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

static int open_file(void)
{
    return open("/etc/passwd", O_RDONLY);
}

static int read_file(void)
{
    char byte;

    return (int)read(other_fd, &byte, 1);
}

static int make_process(void)
{
    return (int)fork();
}

static int execute(void)
{
    char *const none[] = {NULL};

    return execve("/bin/true", none, none);
}

static int map_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0) == MAP_FAILED;
}

static int map_file(void)
{
    return mmap(NULL, 4096, PROT_READ, MAP_SHARED, other_fd, 0) == MAP_FAILED;
}

static int make_executable(void)
{
    static _Alignas(4096) char page[4096];

    return mprotect(page, sizeof(page), PROT_READ | PROT_EXEC);
}

static int use_other_socket(void)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    return (int)sendmsg(other_fd, &msg, MSG_NOSIGNAL);
}

static int signal_parent(void)
{
    return kill(getppid(), 0);
}

static int signal_any(void)
{
    return (int)syscall(SYS_kill, 1, 0);
}

static int trace(void)
{
    return (int)syscall(SYS_ptrace, 0, 0, 0, 0);
}

static int control(void)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static int io_ring(void)
{
    return (int)syscall(SYS_io_uring_setup, 1, NULL);
}

static int duplicate(void)
{
    return dup(other_fd);
}

static int ask_for_file_size(void)
{
    return (int)lseek(other_fd, 0, SEEK_END);
}

#ifdef __x86_64__
/* The 32-bit door to the same kernel: exit(0) by int 0x80 must not pass. */
static int call_32_bit(void)
{
    int result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
    return result;
}
#endif

static void lab_dies_of_anything_else(void **state)
{
    static int (*const acts[])(void) = {
        make_socket,
        make_socketpair,
        open_file,
        read_file,
        make_process,
        execute,
        map_executable,
        map_file,
        make_executable,
        use_other_socket,
        signal_parent,
        signal_any,
        trace,
        control,
        io_ring,
        duplicate,
        ask_for_file_size,
#ifdef __x86_64__
        call_32_bit,
#endif
    };

    (void)state;
    if (no_jail())
        return;
    for (size_t i = 0; i < ARRAY_COUNT(acts); i++)
        assert_kills(acts[i]);
}

/* ---- keeper */

static int fork_and_wait(void)
{
    int how = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(7);
    if (pid < 0 || waitpid(pid, &how, 0) != pid)
        return 1;
    return WIFEXITED(how) && WEXITSTATUS(how) == 7 ? 0 : 2;
}

static int fork_a_lab(void)
{
    int how = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (sandbox_enter(SANDBOX_LAB, LAB_SOCKET) != STATUS_OK)
            _exit(1);
        _exit(make_socket());
    }
    if (pid < 0 || waitpid(pid, &how, 0) != pid)
        return 1;
    return WIFSIGNALED(how) && WTERMSIG(how) == SIGSYS ? 0 : 2;
}

static int refused_politely(void)
{
    if (socket(AF_INET, SOCK_STREAM, 0) != -1 || errno != ENOSYS)
        return 1;
    if (open("/etc/passwd", O_RDONLY) != -1 || errno != ENOSYS)
        return 2;
    return execute() == -1 && errno == ENOSYS ? 0 : 3;
}

static void keeper_may_fork_labs(void **state)
{
    (void)state;
    if (no_jail())
        return;
    assert_works(SANDBOX_KEEPER, fork_and_wait);
    assert_works(SANDBOX_KEEPER, fork_a_lab);
    assert_works(SANDBOX_KEEPER, refused_politely);
}

/* ---- Landlock alone, without the filter above it */

static int blind(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        sandbox_deny_files() != STATUS_OK)
        return 1;
    if (open("/etc/passwd", O_RDONLY) != -1 || errno != EACCES)
        return 2;
    if (open("/tmp", O_TMPFILE | O_WRONLY, 0600) != -1 || errno != EACCES)
        return 3;
    return 0;
}

static void landlock_denies_files(void **state)
{
    pid_t pid;
    int how;

    (void)state;
    if (cannot_run(sandbox_landlock_abi() != 0, "no Landlock in this kernel"))
        return;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(blind());
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lab_may_work),
        cmocka_unit_test(lab_dies_of_anything_else),
        cmocka_unit_test(keeper_may_fork_labs),
        cmocka_unit_test(landlock_denies_files),
    };

    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
