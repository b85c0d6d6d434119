/*
 * config_live.h: the settings in force, which a reload replaces as a whole
 * while the worker works.
 *
 *   config_live_new(&live, &config, path, environ)      before threads
 *
 *   config = config_live_hold(live);                    any thread
 *   ... config, and its channels, do not change and do not go away ...
 *   config_drop(config);
 *
 *   config_live_reload(live)                            on SIGHUP
 *
 * Hold for one piece of work, a request or a job, so that all of it goes by the
 * same settings, and new work by the new ones. Who is lent a config or a
 * channel by somebody who holds it, and needs it for longer, holds it once more
 * (config_hold(), config_channel_hold()).
 *
 * What is built once, at start, cannot change while it runs: such settings keep
 * their values in a reload, and the log says that they need a restart (column
 * at_start of the table). A channel may come or go: a job of one that is gone
 * finds no channel.
 */
#ifndef DARKROOM_CONFIG_LIVE_H
#define DARKROOM_CONFIG_LIVE_H

#include "config.h"

struct config_live;

/*
 * `config` is lent and in force first. `path` and `environment` are what it was
 * loaded from; they are copied, because a reload reads them again when the
 * worker has wiped its environment (config_wipe_environment()).
 */
enum status config_live_new(struct config_live **out,
                            const struct config *config, const char *path,
                            char *const *environment) MUST_CHECK;

/* Everything that was held must be dropped. */
void config_live_free(struct config_live *live);

/* The settings in force. Never NULL. */
const struct config *config_live_hold(struct config_live *live);

void config_hold(const struct config *config);
void config_drop(const struct config *config);
void config_channel_hold(const struct config_channel *channel);
void config_channel_drop(const struct config_channel *channel);

/*
 * Loads again. OK: the new settings are in force for all that is held from now
 * on, the log level too. Else the old ones stay. Both are logged, with all that
 * is wrong. One thread, always the same.
 */
enum status config_live_reload(struct config_live *live) MUST_CHECK;

/* Writes lines of errors (config_load()) to the log, one event each. */
void config_log_errors(const struct buf *errors);

#endif
