/*
 * utf8.h: text of unknown origin (LINE's words, another server's header, what
 * was cut in the middle) made fit to be shown.
 *
 * Pure; any thread.
 */
#ifndef DARKROOM_UTF8_H
#define DARKROOM_UTF8_H

#include "base.h"

/* Bytes of the character at `s` (RFC 3629, 4), 1 for the terminator; 0: it is
 * none, or the text ends within it. */
size_t utf8_len(const char *s);

/* Whether the whole text is characters. */
bool utf8_is_valid(const char *text);

/* Whether the character of `len` bytes at `s` moves a terminal's cursor, or
 * worse: C0, DEL, C1 (ECMA-48, 5.2 and 5.3). */
bool utf8_is_control(const char *s, size_t len);

/* How many bytes of `text` may be kept of `max`, so that it is not cut within a
 * character: the precision of "%.*s". */
int utf8_fit(const char *text, int max);

/* In place: a control character becomes a space, a byte that belongs to no
 * character '?'. So nothing that others chose speaks to a terminal. */
void utf8_clean(char *text);

#endif
