/*
 * serve.h: one worker of the pool, from start to stop (design section 3).
 */
#ifndef DARKROOM_SERVE_H
#define DARKROOM_SERVE_H

/* With the settings of the file `path` (NULL: see config_load()) and of the
 * environment. Runs until SIGTERM, SIGINT, SIGQUIT or SIGUSR1, or for one
 * request under CGI. SIGHUP reads the settings again. Returns an enum
 * exit_status. */
int serve(const char *path);

#endif
