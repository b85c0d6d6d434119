/*
 * commands.h: the subcommands of `darkroom`. Each gets its own arguments
 * (argv[0] is its name) and returns the exit status of the process.
 */
#ifndef DARKROOM_COMMANDS_H
#define DARKROOM_COMMANDS_H

/* Exit statuses, as in sysexits(3). */
enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 64,
    EXIT_IO = 74,
    EXIT_CONFIG = 78,
};

int cmd_serve(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_jobs(int argc, char **argv);
int cmd_webhook(int argc, char **argv);
int cmd_janitor(int argc, char **argv);
int cmd_purge(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
