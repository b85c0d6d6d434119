/*
 * lab_keeper.h: the process between worker and labs. It forks a lab for each
 * NEW_LAB, hands the worker the socket to it, kills on request, reaps, and
 * leaves nothing behind when the worker's end of its socket closes.
 *
 * It exists because a lab must be forked from a process that never held a
 * secret, an open file or a thread; it stays so small that it has none to lose.
 * It never touches a byte of a picture but its own, the self-test's.
 *
 * Runs as the program darkroom-lab: descriptor 0 the worker's socket, 1
 * /dev/null, 2 standard error, an empty environment, the level of the log as
 * its argument. Terminal and service signals (SIGINT, SIGTERM, SIGHUP, SIGQUIT)
 * are ignored, here and in the labs: the worker decides when work is over.
 */
#ifndef DARKROOM_LAB_KEEPER_H
#define DARKROOM_LAB_KEEPER_H

/* Runs until the worker goes away. The result is main()'s. */
int lab_keeper_run(int control_fd);

#endif
