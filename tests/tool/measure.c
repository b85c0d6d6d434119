/*
 * measure COMMAND...: runs it and says on standard error what it cost, with its
 * descendants: cpu_ms, and the peak memory of the largest process. The kernel
 * counts the memory of a process from that of its parent on (getrusage(2), the
 * peak outlives exec), so the parent has to be as small as this one.
 */
#include "base.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double milliseconds(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

int main(int argc, char **argv)
{
    struct rusage usage = {0};
    int ended = 0;
    pid_t child;

    if (argc < 2)
        return 64;
    child = fork();
    if (child == 0) {
        execvp(argv[1], &argv[1]);
        perror(argv[1]);
        _exit(127);
    }
    if (child < 0 || wait4(child, &ended, 0, &usage) != child)
        return 71;
    fprintf(stderr, "process_cpu_ms=%.1f\nprocess_rss_kb=%ld\n",
            milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
            usage.ru_maxrss);
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : 1;
}
