/*
 * config_file.c: inih asks our reader for each line, so the line that a value
 * is in is known, which inih itself does not tell its handler.
 */
#include "config_file.h"

#include <ini.h>
#include <unistd.h>

#include "atomicfile.h"

struct source {
    FILE *file;
    const struct config_file_reader *reader;
    int line;
};

/* Up to the newline, which is not kept; what does not fit is counted only.
 * False: there is none. */
static bool get_line(FILE *file, char *line, size_t size, size_t *len,
                     bool *has_nul)
{
    int c = getc(file);
    bool is_line = c != EOF;

    *len = 0;
    *has_nul = false;
    for (; c != EOF && c != '\n'; c = getc(file)) {
        if (*len + 1 < size)
            line[*len] = (char)c;
        *has_nul = *has_nul || c == '\0';
        ++*len;
    }
    line[size_min(*len, size - 1)] = '\0';
    return is_line;
}

/* As fgets(). A line that cannot be taken whole becomes an empty one: half a
 * value would be worse than none. */
static char *read_line(char *line, int size, void *arg)
{
    struct source *source = arg;
    const struct config_file_reader *reader = source->reader;
    bool has_nul;
    size_t len;

    if (source->line == CONFIG_LINES_MAX) {
        reader->on_fault(reader->arg, source->line, "too many lines");
        return NULL;
    }
    if (!get_line(source->file, line, (size_t)size, &len, &has_nul))
        return NULL;
    source->line++;
    if (has_nul)
        reader->on_fault(reader->arg, source->line,
                         "a byte of value 0: this must be UTF-8 text");
    else if (len >= (size_t)size)
        reader->on_fault(reader->arg, source->line, "the line is too long");
    else
        return line;
    line[0] = '\0';
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
    struct source source = {.reader = reader};
    int wrong_line, fd;
    enum status status = atomicfile_open(path, &fd);

    if (status != STATUS_OK)
        return status;
    source.file = fdopen(fd, "r");
    if (source.file == NULL) {
        close(fd);
        return STATUS_NO_MEMORY;
    }
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
