/*
 * notify.c: the protocol is a promise of systemd's, so it takes no library
 * (sd_notify(3), "Notes"). A name that begins with '@' is abstract.
 */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base.h"

enum status notify_supervisor(const char *state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = getenv("NOTIFY_SOCKET");
    enum status status = STATUS_OK;
    size_t len;
    int fd;

    if (name == NULL)
        return STATUS_OK;
    if ((*name != '/' && *name != '@') ||
        !str_copy(address.sun_path, sizeof(address.sun_path), name))
        return STATUS_BAD_CONFIG;
    len = offsetof(struct sockaddr_un, sun_path) + strlen(name);
    if (*name == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return status_from_errno(errno);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
               (const struct sockaddr *)&address, (socklen_t)len) < 0)
        status = status_from_errno(errno);
    close(fd);
    return status;
}
