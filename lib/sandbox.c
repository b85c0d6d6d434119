/*
 * sandbox.c: the walls in order, each needing what the next takes away:
 * rlimits, capabilities, no_new_privs, Landlock, seccomp.
 */
#include "sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limits.h"

#define LAB_FILES_MAX (8 + 2 * LAB_STREAMS_MAX)
#define KEEPER_FILES_MAX 64

bool sandbox_is_real(void)
{
#ifdef DARKROOM_SANITIZE
    return false;
#else
    return true;
#endif
}

/* ---- resource limits */

static enum status limit(__rlimit_resource_t resource, rlim_t max)
{
    struct rlimit wanted = {max, max};
    struct rlimit now;

    if (getrlimit(resource, &now) < 0)
        return status_from_errno(errno);
    if (now.rlim_max < max)
        wanted = (struct rlimit){now.rlim_max, now.rlim_max};
    if (setrlimit(resource, &wanted) < 0)
        return status_from_errno(errno);
    return STATUS_OK;
}

static enum status limit_keeper(void)
{
    enum status status = limit(RLIMIT_CORE, 0);

    return status != STATUS_OK ? status
                               : limit(RLIMIT_NOFILE, KEEPER_FILES_MAX);
}

static enum status limit_lab(void)
{
    static const struct {
        __rlimit_resource_t resource;
        rlim_t max;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_AS, LAB_ADDRESS_SPACE_BYTES},
        {RLIMIT_FSIZE, ORIGINAL_MAX_BYTES + LAB_FILE_SLACK_BYTES},
        {RLIMIT_NOFILE, LAB_FILES_MAX},
        {RLIMIT_NPROC, 0},
    };

    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        enum status status = limit(limits[i].resource, limits[i].max);

        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* ---- privileges */

/* A worker started by root hands its capabilities down; the filter leaves no
 * call that could use one, and this leaves none to use. */
static enum status drop_privileges(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};

    if (syscall(SYS_capset, &header, none) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return status_from_errno(errno);
    return STATUS_OK;
}

/* ---- Landlock: the header in use may be older than the kernel */

struct landlock_attr {
    uint64_t handled_access_fs;  /* ABI 1 */
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

/* Access rights of files that each ABI knows: 13 at first, then REFER, TRUNCATE
 * and IOCTL_DEV (landlock(7)). */
#define FS_RIGHTS_ABI1 ((1ULL << 13) - 1)
#define FS_RIGHT_REFER (1ULL << 13)
#define FS_RIGHT_TRUNCATE (1ULL << 14)
#define FS_RIGHT_IOCTL_DEV (1ULL << 15)
#define NET_RIGHTS (1ULL << 0 | 1ULL << 1) /* bind and connect TCP */
#define SCOPES (1ULL << 0 | 1ULL << 1)     /* abstract sockets, signals */

int sandbox_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
                       LANDLOCK_CREATE_RULESET_VERSION);

    return abi > 0 ? (int)abi : 0;
}

/* Everything the kernel can handle is handled, and no rule allows any of it. */
static size_t landlock_attr_fill(struct landlock_attr *attr, int abi)
{
    *attr = (struct landlock_attr){.handled_access_fs = FS_RIGHTS_ABI1};
    if (abi >= 2)
        attr->handled_access_fs |= FS_RIGHT_REFER;
    if (abi >= 3)
        attr->handled_access_fs |= FS_RIGHT_TRUNCATE;
    if (abi >= 5)
        attr->handled_access_fs |= FS_RIGHT_IOCTL_DEV;
    if (abi < 4)
        return offsetof(struct landlock_attr, handled_access_net);
    attr->handled_access_net = NET_RIGHTS;
    if (abi < 6)
        return offsetof(struct landlock_attr, scoped);
    attr->scoped = SCOPES;
    return sizeof(*attr);
}

enum status sandbox_deny_files(void)
{
    int abi = sandbox_landlock_abi();
    enum status status = STATUS_OK;
    struct landlock_attr attr;
    size_t size;
    long ruleset;

    if (abi == 0)
        return STATUS_OK;
    size = landlock_attr_fill(&attr, abi);
    ruleset = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return status_from_errno(errno);
    if (syscall(SYS_landlock_restrict_self, (int)ruleset, 0) < 0)
        status = status_from_errno(errno);
    close((int)ruleset);
    return status;
}

/* ---- seccomp */

/* Both roles. No read, no open, no way to ask about files or other
 * processes. */
static const int common_calls[] = {
    SCMP_SYS(write),        SCMP_SYS(close),
    SCMP_SYS(munmap),       SCMP_SYS(mremap),
    SCMP_SYS(brk),          SCMP_SYS(madvise),
    SCMP_SYS(futex),        SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
    SCMP_SYS(exit),         SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
};

/* The keeper's own trade, and what a lab does before it gives it up. */
static const int keeper_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(socketpair),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(clone),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(gettid),
    SCMP_SYS(kill),
    SCMP_SYS(wait4),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(prctl),
    SCMP_SYS(capset),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit),
    SCMP_SYS(setrlimit),
    SCMP_SYS(landlock_create_ruleset),
    SCMP_SYS(landlock_restrict_self),
    SCMP_SYS(seccomp),
};

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);

        if (err != 0)
            return err;
    }
    return 0;
}

/* Fresh memory, never executable, never a view of a file. */
static int allow_memory(scmp_filter_ctx filter)
{
    return seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
        SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
}

static int allow_socket(scmp_filter_ctx filter, int socket_fd)
{
    const struct scmp_arg_cmp same =
        SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)socket_fd);
    int err =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(recvmsg), 1, same);

    if (err != 0)
        return err;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1, same);
}

/* An output may be begun anew: back to its start, and nothing in it. The
 * keeper has none, but its filter stays upon the labs it forks. */
static int allow_anew(scmp_filter_ctx filter)
{
    int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(lseek), 2,
                               SCMP_A1(SCMP_CMP_EQ, 0),
                               SCMP_A2(SCMP_CMP_EQ, SEEK_SET));

    if (err != 0)
        return err;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ftruncate), 1,
                            SCMP_A1(SCMP_CMP_EQ, 0));
}

static int fill_filter(scmp_filter_ctx filter, enum sandbox_role role,
                       int socket_fd)
{
    int err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
                               SCMP_ACT_KILL_PROCESS);

    /* A tree instead of a list: 20 ns per call (architecture-study 7). */
    if (err == 0)
        err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (err == 0)
        err = allow_all(filter, common_calls, ARRAY_COUNT(common_calls));
    if (err == 0)
        err = allow_memory(filter);
    if (err == 0)
        err = allow_anew(filter);
    if (err != 0)
        return err;
    if (role == SANDBOX_LAB)
        return allow_socket(filter, socket_fd);
    return allow_all(filter, keeper_calls, ARRAY_COUNT(keeper_calls));
}

static enum status filter_calls(enum sandbox_role role, int socket_fd)
{
    scmp_filter_ctx filter = seccomp_init(
        role == SANDBOX_LAB ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS));
    int err;

    if (filter == NULL)
        return STATUS_NO_MEMORY;
    err = fill_filter(filter, role, socket_fd);
    if (err == 0)
        err = seccomp_load(filter);
    seccomp_release(filter);
    return err == 0 ? STATUS_OK : status_from_errno(-err);
}

enum status sandbox_enter(enum sandbox_role role, int socket_fd)
{
    enum status status;

    if (!sandbox_is_real())
        return STATUS_OK;
    /* gmtime_r() reads the time zone's file at first, and lcms2 dates its
     * profiles by it. */
    tzset();
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return status_from_errno(errno);
    status = role == SANDBOX_LAB ? limit_lab() : limit_keeper();
    if (status == STATUS_OK)
        status = drop_privileges();
    if (status == STATUS_OK)
        status = sandbox_deny_files();
    if (status == STATUS_OK)
        status = filter_calls(role, socket_fd);
    return status;
}
