/*
 * serve.h: one worker of the pool, from start to stop (design section 3).
 */
#ifndef DARKROOM_SERVE_H
#define DARKROOM_SERVE_H

/* Runs until SIGTERM or SIGINT, or for one request under CGI. Returns an enum
 * exit_status. */
int serve(void);

#endif
