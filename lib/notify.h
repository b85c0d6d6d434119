/*
 * notify.h: tells the supervisor that started this process how it is, as
 * sd_notify(3) describes: one datagram to the socket that NOTIFY_SOCKET names.
 *
 *   notify_supervisor("READY=1")      when requests are answered
 *   notify_supervisor("STOPPING=1")   when no more are taken
 *
 * Any thread, as long as none changes the environment.
 */
#ifndef DARKROOM_NOTIFY_H
#define DARKROOM_NOTIFY_H

#include "status.h"

/* OK also where nobody wants to know (no NOTIFY_SOCKET). BAD_CONFIG: the
 * variable names no socket; else what the socket gave. */
enum status notify_supervisor(const char *state) MUST_CHECK;

#endif
