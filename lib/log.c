/*
 * log.c: builds the line in a buffer on the stack, then one write, if there is
 * room for it.
 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "utf8.h"

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static atomic_int threshold = LOG_LEVEL_INFO;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static const char *const format_names[] = {"logfmt", "json"};
static enum log_format shape = LOG_FORMAT_LOGFMT;
static uint64_t lost; /* lines nobody was told of yet */

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
    atomic_store(&threshold, (int)level);
}

const char *log_level_name(void)
{
    return level_names[atomic_load(&threshold)];
}

bool log_format_parse(const char *name, enum log_format *format)
{
    for (size_t i = 0; i < ARRAY_COUNT(format_names); i++) {
        if (str_eq(name, format_names[i])) {
            *format = (enum log_format)i;
            return true;
        }
    }
    return false;
}

void log_set_format(enum log_format format)
{
    shape = format;
}

const char *log_format_name(void)
{
    return format_names[shape];
}

/* The last two bytes are kept for a brace and the newline. */
static size_t room(const struct line *line)
{
    return sizeof(line->text) - 2 - line->len;
}

static void put_char(struct line *line, char c)
{
    if (room(line) > 0)
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
        if (*s <= ' ' || *s >= 0x7f || *s == '"' || *s == '=' || *s == '\\')
            return false;
    }
    return true;
}

static void put_character(struct line *line, const char *s, size_t len)
{
    if (len == 0)
        put_char(line, '?');
    else if (utf8_is_control(s, len))
        put_char(line, ' ');
    else
        for (size_t i = 0; i < len; i++)
            put_char(line, s[i]);
}

/* A value that does not fit is cut between characters and still ends with its
 * quote, so the line can be parsed. Needs room for two quotes. */
static void put_quoted(struct line *line, const char *s)
{
    size_t len;

    put_char(line, '"');
    for (; *s != '\0'; s += len > 0 ? len : 1) {
        bool escape = *s == '"' || *s == '\\';

        len = utf8_len(s);
        if (room(line) < (len > 0 ? len : 1) + escape + 1)
            break;
        if (escape)
            put_char(line, '\\');
        put_character(line, s, len);
    }
    put_char(line, '"');
}

static void put_value(struct line *line, const char *s)
{
    if (shape == LOG_FORMAT_LOGFMT && is_plain(s) && strlen(s) <= room(line))
        put_text(line, s);
    else
        put_quoted(line, s);
}

static void put_head(struct line *line, enum log_level level, const char *event)
{
    bool json = shape == LOG_FORMAT_JSON;
    char text[128], seconds[32];
    struct timespec now;
    struct tm tm;
    int ms;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    ms = (int)(now.tv_nsec / 1000000);
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    if (json)
        (void)snprintf(
            text, sizeof(text),
            "{\"ts\":\"%s.%03dZ\",\"level\":\"%s\",\"pid\":%d,\"event\":",
            seconds, ms, level_names[level], (int)getpid());
    else
        (void)snprintf(text, sizeof(text),
                       "ts=%s.%03dZ level=%s pid=%d event=", seconds, ms,
                       level_names[level], (int)getpid());
    put_text(line, text);
    put_value(line, event);
}

static void put_key(struct line *line, const char *key)
{
    bool json = shape == LOG_FORMAT_JSON;

    put_text(line, json ? ",\"" : " ");
    put_text(line, key);
    put_text(line, json ? "\":" : "=");
}

/* Only where the key and at least an empty value fit, a number as a whole. */
static void put_field(struct line *line, const struct log_field *field)
{
    size_t least = strlen("\"\"");
    char digits[24];

    if (field->kind == LOG_KIND_INT) {
        (void)snprintf(digits, sizeof(digits), "%lld", (long long)field->num);
        least = strlen(digits);
    }
    if (room(line) < strlen(",\"\":") + strlen(field->key) + least)
        return;
    put_key(line, field->key);
    if (field->kind == LOG_KIND_INT)
        put_text(line, digits);
    else
        put_value(line, field->str != NULL ? field->str : "");
}

/* A pipe that polls writable has room for PIPE_BUF bytes (pipe(7)), more than a
 * line, so the write does not block, unless another process takes that room in
 * between. O_NONBLOCK is no way: it would hold for all who share the open file,
 * a shell among them. */
static bool write_line(const struct line *line)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written;
    int ready;

    do {
        ready = poll(&out, 1, 0);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return false;
    do {
        written = write(STDERR_FILENO, line->text, line->len);
    } while (written < 0 && errno == EINTR);
    return true;
}

static bool send_line(struct line *line, enum log_level level,
                      const char *event, const struct log_field *fields)
{
    line->len = 0;
    put_head(line, level, event);
    for (; fields->kind != LOG_KIND_END; fields++)
        put_field(line, fields);
    if (shape == LOG_FORMAT_JSON)
        line->text[line->len++] = '}';
    line->text[line->len++] = '\n';
    return write_line(line);
}

/* False: no room yet. */
static bool tell_lost(struct line *line)
{
    const struct log_field fields[] = {LOG_INT("lines", lost), LOG_END};

    if (lost > 0 && !send_line(line, LOG_LEVEL_WARN, "log_lost", fields))
        return false;
    lost = 0;
    return true;
}

/* The mutex makes poll and write one step. Nobody who holds it blocks. */
void log_write(enum log_level level, const char *event,
               const struct log_field *fields)
{
    struct line line;
    int saved = errno;

    if ((int)level > atomic_load(&threshold))
        return;
    pthread_mutex_lock(&one_at_a_time);
    if (!tell_lost(&line) || !send_line(&line, level, event, fields))
        lost++;
    pthread_mutex_unlock(&one_at_a_time);
    errno = saved;
}
