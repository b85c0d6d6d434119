/*
 * config_file.h: reads an INI file line by line; the only user of inih.
 *
 *   [section]            or [channel NAME]
 *   key = value          blanks around both do not count
 *   # comment            also with ';'; only at the start of a line
 *
 * Knows no settings: what the lines mean is for the caller. Not for several
 * threads at once: inih keeps its options in variables.
 */
#ifndef DARKROOM_CONFIG_FILE_H
#define DARKROOM_CONFIG_FILE_H

#include "limits.h"
#include "status.h"

struct config_file_reader {
    void *arg;
    /* All is borrowed for the call. `section` is "" before the first one. */
    void (*on_value)(void *arg, int line, const char *section, const char *key,
                     const char *value);
    /* A line that is neither; the reading goes on. */
    void (*on_fault)(void *arg, int line, const char *what);
};

/* OK also after faults. Else as atomicfile_open(), and nothing was called. */
enum status
config_file_read(const char *path,
                 const struct config_file_reader *reader) MUST_CHECK;

#endif
