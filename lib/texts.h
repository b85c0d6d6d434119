/*
 * texts.h: the words that darkroom itself says to users of a bot, in the
 * languages of most who write LINE bots. Text only; safe from any thread.
 */
#ifndef DARKROOM_TEXTS_H
#define DARKROOM_TEXTS_H

#include "config.h"

/* For a picture that was given up with `status`: too large, damaged, or a
 * trouble of ours that passes. UTF-8. Never NULL. */
const char *texts_failure(enum config_language language, enum status status);

/* The picture takes longer and comes later. */
const char *texts_busy(enum config_language language);

#endif
