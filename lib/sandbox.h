/*
 * sandbox.h: how a process takes rights away from itself, for good.
 *
 *   sandbox_enter(SANDBOX_KEEPER, socket)   in the keeper, before its loop
 *   sandbox_enter(SANDBOX_LAB, socket)      in a lab, before the first byte
 *
 * A lab may afterwards use its memory and the descriptors it has or is handed
 * over `socket`: recvmsg and sendmsg on that socket, write and close on any,
 * anonymous memory that is never executable, time, random numbers, exit.
 * Anything else, such as opening a file, making a socket or a process, kills it
 * with SIGSYS. It has no way to read a file, not even its own outputs.
 *
 * A keeper may also make and end labs, and give itself and them fewer rights.
 * What it may not do gives ENOSYS: it must outlive a surprise of the C library.
 *
 * Four walls, each enough by itself: no_new_privs and no capabilities; resource
 * limits; Landlock with no rights at all (kernel permitting: 5.13 for files,
 * more since); a seccomp allow-list.
 *
 * With the sanitizers built in the walls are not raised: their runtimes need
 * /proc, signals and terabytes of address space. sandbox_is_real() tells.
 *
 * For single-threaded processes.
 */
#ifndef DARKROOM_SANDBOX_H
#define DARKROOM_SANDBOX_H

#include "base.h"
#include "status.h"

enum sandbox_role { SANDBOX_KEEPER, SANDBOX_LAB };

/* Whatever fails, the process must not go on: some walls may be missing. A
 * kernel without Landlock is no failure, one without seccomp is. */
enum status sandbox_enter(enum sandbox_role role, int socket_fd) MUST_CHECK;

/* False in a build with sanitizers. */
bool sandbox_is_real(void);

/* Version of the kernel's Landlock, 0 if it has none. */
int sandbox_landlock_abi(void);

/* The wall of Landlock alone: no path, no TCP port, no signal to others. */
enum status sandbox_deny_files(void) MUST_CHECK;

#endif
