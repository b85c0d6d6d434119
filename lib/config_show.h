/*
 * config_show.h: the settings in words: what is in force and where it is from,
 * and what there is to set. Secrets are never shown. All append to `out`.
 *
 * The texts look like the file of config.h; the JSON forms are for programs:
 *
 *   {"file":"/etc/darkroom.conf",
 *    "settings":[{"section":"server","key":"labs","value":4,
 *                 "source":"file","line":3}, ...
 *                {"section":"channel shop","key":"secret","set":true,
 *                 "source":"environment","name":"LINE_CHANNEL_SECRET"}, ...]}
 */
#ifndef DARKROOM_CONFIG_SHOW_H
#define DARKROOM_CONFIG_SHOW_H

#include "config.h"
#include "json.h"

#define CONFIG_SHOW_MAX_BYTES (4 * 1024 * 1024)

/* What is in force. */
enum status config_show(const struct config *config,
                        struct buf *out) MUST_CHECK;

/* The members of the object above, into an object that is open. */
void config_show_json(const struct config *config, struct json_out *out);

/* A file with every setting there is, its default, and a remark on it; all
 * lines are comments but the names of the sections. */
enum status config_list(struct buf *out) MUST_CHECK;

/* "settings":[{"section":...,"key":...,"environment":...,"alias":...,
 * "default":...,"values":"1 to 64","secret":false,"restart":true,"help":...}]
 */
void config_list_json(struct json_out *out);

#endif
