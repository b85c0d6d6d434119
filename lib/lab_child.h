/*
 * lab_child.h: what a lab does inside the jail: takes pictures from its socket,
 * feeds them to transcode.h, writes the outputs into the descriptors that came
 * with them.
 *
 * It trusts the worker no more than the worker trusts it: a message that breaks
 * the protocol ends it.
 */
#ifndef DARKROOM_LAB_CHILD_H
#define DARKROOM_LAB_CHILD_H

#include "status.h"

/* Exit codes of a lab. */
enum lab_exit {
    LAB_EXIT_DONE = 0,     /* the worker closed its end */
    LAB_EXIT_NO_JAIL = 3,  /* the sandbox could not be raised */
    LAB_EXIT_PROTOCOL = 4, /* an odd message, or a broken socket */
    LAB_EXIT_BUG = 5,      /* the decoder broke its contract */
};

/* Decodes a built-in picture into nothing. To be called before the sandbox is
 * raised: libjpeg-turbo looks at the processor when it first decodes, and on
 * some that means reading /proc/cpuinfo. A decoder that cannot work at all
 * shows here, by its status. */
enum status lab_child_self_test(void) MUST_CHECK;

/* Serves until the worker closes its end of `socket_fd`; an enum lab_exit. The
 * caller has raised the sandbox. Nothing stays allocated. */
int lab_child_run(int socket_fd);

#endif
