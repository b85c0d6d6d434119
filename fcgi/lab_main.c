/*
 * lab_main.c: the program darkroom-lab. A worker starts it with a socket as
 * descriptor 0 and nothing else; it is of no use to people.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab_keeper.h"

int main(void)
{
    int type = 0;
    socklen_t size = sizeof(type);

    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        type != SOCK_SEQPACKET) {
        (void)fputs("darkroom-lab is started by darkroom\n", stderr);
        return 2;
    }
    return lab_keeper_run(STDIN_FILENO);
}
