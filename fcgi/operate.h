/*
 * operate.h: what the subcommands for those who operate darkroom share: the
 * settings, the user they work as, the queue, the channel that is meant.
 *
 * All print what is wrong to standard error, after "darkroom COMMAND: ".
 */
#ifndef DARKROOM_OPERATE_H
#define DARKROOM_OPERATE_H

#include "config.h"
#include "queue.h"

/*
 * The file of settings: `argument`, that of --config, if there is one; else
 * NULL, for what DARKROOM_CONFIG names, if it is set, even to nothing; else
 * that of an installed darkroom, if there is one for this user to read.
 */
#define OPERATE_CONFIG_FILE "/etc/darkroom/darkroom.conf"
const char *operate_config_file(const char *argument);

/*
 * Loads the settings and, if root asks, becomes the owner of the state
 * directory: so what is found out is true for the workers, and no file is made
 * that they could not write. EXIT_OK or EXIT_CONFIG; config_release() is due
 * either way. `path` is what --config names, or NULL.
 */
int operate_load(struct config *config, const char *command, const char *path);

/* That they are wrong, and where to look; `file` is that of
 * operate_config_file(). */
void operate_say_settings_wrong(const char *command, const char *file);

/* Opens the queue; EXIT_IO if there is none: it is not made. */
int operate_open_queue(const struct config *config, const char *command,
                       struct queue **queue);

/* queue_begin(). Both say it when they wait for another process. */
enum status operate_begin(struct queue *queue, const char *command) MUST_CHECK;
void operate_say_queue_wait(const char *command);

/* The channel of that name; NULL: the only one, or "default". NULL if there is
 * none such, which is said. */
const struct config_channel *operate_channel(const struct config *config,
                                             const char *command,
                                             const char *name);

/* "darkroom COMMAND: words" as a line of its own; `command` "": the program
 * itself. What the words quote may be anything: none of it speaks to the
 * terminal. */
PRINTF_LIKE(2, 3)
void operate_complain(const char *command, const char *format, ...);

/* The same, and where help is; EXIT_USAGE. */
PRINTF_LIKE(2, 3)
int operate_usage_error(const char *command, const char *format, ...);

/* What getopt_long() with opterr = 0 and an option string that begins with ':'
 * has stumbled on: `option` is its answer, `word` the argument. EXIT_USAGE. */
int operate_bad_option(const char *command, int option, const char *word);

/* Options that were given, as bits: a letter each, of a to z. */
#define OPERATE_OPTION(letter) (1u << ((letter) - 'a'))

/* EXIT_OK, or EXIT_USAGE for the first option that was given and is not among
 * the letters that the verb takes: one without an effect is a mistake. */
struct option;
int operate_check_options(const char *command, const char *verb,
                          const struct option *options, uint32_t given,
                          const char *takes);

/* 2026-11-22T10:00:00Z, of wall clock milliseconds. */
#define OPERATE_TIME_SIZE 24
void operate_time(int64_t wall_ms, char out[OPERATE_TIME_SIZE]);

#endif
