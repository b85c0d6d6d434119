/*
 * lab_main.c: the program darkroom-lab. A worker starts it with a socket as
 * descriptor 0 and nothing else; it is of no use to people.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab_keeper.h"
#include "log.h"

int main(int argc, char **argv)
{
    enum log_level level = LOG_LEVEL_INFO;
    enum log_format format = LOG_FORMAT_LOGFMT;
    int type = 0;
    socklen_t size = sizeof(type);

    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        type != SOCK_SEQPACKET) {
        (void)fputs("darkroom-lab is started by darkroom, not by hand\n",
                    stderr);
        return 2;
    }
    if (argc > 1 && log_level_parse(argv[1], &level))
        log_set_level(level);
    if (argc > 2 && log_format_parse(argv[2], &format))
        log_set_format(format);
    return lab_keeper_run(STDIN_FILENO);
}
