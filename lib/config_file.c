/*
 * config_file.c: inih asks our reader for each line, so the line that a value
 * is in is known, which inih itself does not tell its handler.
 */
#include "config_file.h"

#include <errno.h>
#include <ini.h>

struct source {
    FILE *file;
    const struct config_file_reader *reader;
    int line;
};

/* Reads the rest of a line that was too long. */
static void skip_rest(FILE *file)
{
    int c;

    do {
        c = getc(file);
    } while (c != EOF && c != '\n');
}

/* As fgets(). A line that does not fit becomes an empty one: half a value would
 * be worse than none. */
static char *read_line(char *line, int size, void *arg)
{
    struct source *source = arg;
    const struct config_file_reader *reader = source->reader;

    if (source->line == CONFIG_LINES_MAX) {
        reader->on_fault(reader->arg, source->line, "too many lines");
        return NULL;
    }
    if (fgets(line, size, source->file) == NULL)
        return NULL;
    source->line++;
    if (strlen(line) + 1 == (size_t)size && line[size - 2] != '\n') {
        skip_rest(source->file);
        reader->on_fault(reader->arg, source->line, "the line is too long");
        line[0] = '\0';
    }
    return line;
}

static int on_pair(void *arg, const char *section, const char *key,
                   const char *value)
{
    const struct source *source = arg;
    const struct config_file_reader *reader = source->reader;

    if (value == NULL)
        reader->on_fault(reader->arg, source->line,
                         "neither a [section] nor key = value");
    else
        reader->on_value(reader->arg, source->line, section, key, value);
    return 1;
}

/* No line continues the one before, and a value may hold any character. */
static void set_options(void)
{
    ini_max_line = CONFIG_LINE_MAX_BYTES;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    ini_allow_no_value = true;
}

enum status config_file_read(const char *path,
                             const struct config_file_reader *reader)
{
    struct source source = {.reader = reader, .file = fopen(path, "re")};
    int wrong_line;

    if (source.file == NULL)
        return errno == ENOENT ? STATUS_NOT_FOUND : status_from_errno(errno);
    set_options();
    wrong_line = ini_parse_stream(read_line, &source, on_pair, &source);
    if (wrong_line > 0)
        reader->on_fault(reader->arg, wrong_line,
                         "neither a [section] nor key = value");
    if (ferror(source.file))
        reader->on_fault(reader->arg, source.line, "input/output error");
    (void)fclose(source.file);
    return STATUS_OK;
}
