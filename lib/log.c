/*
 * log.c: builds the line in a buffer on the stack, then one write.
 */
#include "log.h"

#include <errno.h>
#include <unistd.h>

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static enum log_level threshold = LOG_LEVEL_INFO;

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < ARRAY_COUNT(level_names); i++) {
        if (str_eq(name, level_names[i])) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

/* The last byte is kept for the newline. */
static void put_char(struct line *line, char c)
{
    if (line->len < sizeof(line->text) - 1)
        line->text[line->len++] = c;
}

static void put_text(struct line *line, const char *s)
{
    for (; *s != '\0'; s++)
        put_char(line, *s);
}

static bool is_plain(const char *s)
{
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || *s == 0x7f)
            return false;
    }
    return true;
}

static void put_quoted(struct line *line, const char *s)
{
    put_char(line, '"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            put_char(line, '\\');
        put_char(line, (unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s);
    }
    put_char(line, '"');
}

static void put_value(struct line *line, const char *s)
{
    if (is_plain(s))
        put_text(line, s);
    else
        put_quoted(line, s);
}

static void put_head(struct line *line, enum log_level level, const char *event)
{
    char text[128];
    struct timespec now;
    struct tm tm;
    size_t len;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(
        text + len, sizeof(text) - len,
        ".%03dZ level=%s pid=%d event=", (int)(now.tv_nsec / 1000000),
        level_names[level], (int)getpid());
    put_text(line, text);
    put_value(line, event);
}

static void put_field(struct line *line, const struct log_field *field)
{
    char digits[24];

    put_char(line, ' ');
    put_text(line, field->key);
    put_char(line, '=');
    if (field->kind == LOG_KIND_STR) {
        put_value(line, field->str != NULL ? field->str : "");
        return;
    }
    (void)snprintf(digits, sizeof(digits), "%lld", (long long)field->num);
    put_text(line, digits);
}

void log_write(enum log_level level, const char *event,
               const struct log_field *fields)
{
    struct line line;
    ssize_t written;
    int saved = errno;

    if (level > threshold)
        return;
    line.len = 0;
    put_head(&line, level, event);
    for (; fields->kind != LOG_KIND_END; fields++)
        put_field(&line, fields);
    line.text[line.len++] = '\n';
    do {
        written = write(STDERR_FILENO, line.text, line.len);
    } while (written < 0 && errno == EINTR);
    errno = saved;
}
