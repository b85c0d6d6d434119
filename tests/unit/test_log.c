/*
 * Log lines as they arrive at the other end of standard error.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The last line without its newline; "" if nothing was written. */
static char got[LOG_LINE_MAX + 1];

static int saved_stderr;
static int pipe_fds[2];

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_INFO);
    log_set_format(LOG_FORMAT_LOGFMT);
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (saved_stderr < 0 || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    return dup2(pipe_fds[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

static void read_line(void)
{
    ssize_t n = read(pipe_fds[0], got, sizeof(got));

    if (n < 0) {
        assert_int_equal(errno, EAGAIN);
        n = 0;
    }
    assert_true((size_t)n <= LOG_LINE_MAX);
    got[n] = '\0';
    if (n == 0)
        return;
    assert_ptr_equal(strchr(got, '\n'), got + n - 1); /* one line, whole */
    got[n - 1] = '\0';
}

/* What follows "event=". */
static const char *tail(void)
{
    const char *event;

    read_line();
    event = strstr(got, " event=");
    assert_non_null(event);
    return event + strlen(" event=");
}

static void test_head_of_a_line(void **state)
{
    char pid[32];

    (void)state;
    LOG(WARN, "stopped", LOG_INT("jobs", 3));
    read_line();
    (void)snprintf(pid, sizeof(pid), " pid=%d ", (int)getpid());
    assert_non_null(strstr(got, pid));
    assert_non_null(strstr(got, " level=warn "));
    /* ts=2026-11-22T10:00:00.123Z */
    assert_int_equal(strncmp(got, "ts=20", 5), 0);
    assert_int_equal(got[13], 'T');
    assert_int_equal(got[22], '.');
    assert_int_equal(strncmp(got + 26, "Z level=", 8), 0);
}

static void test_values(void **state)
{
    (void)state;
    LOG(INFO, "fetched", LOG_STR("job", "6f0c"), LOG_INT("bytes", 9));
    assert_string_equal(tail(), "fetched job=6f0c bytes=9");
    LOG(INFO, "e", LOG_INT("min", INT64_MIN), LOG_INT("max", INT64_MAX));
    assert_string_equal(tail(),
                        "e min=-9223372036854775808 max=9223372036854775807");
    LOG(INFO, "e", LOG_STR("empty", ""), LOG_STR("null", NULL));
    assert_string_equal(tail(), "e empty=\"\" null=\"\"");
}

static void test_quoting(void **state)
{
    static const char *const cases[][2] = {
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"line\nbreak\ttab\r", "\"line break tab \""},
        {"\x1b[31mred\x7f", "\" [31mred \""},
        {"\xc2\x9b[31mred", "\" [31mred\""}, /* CSI, as one character */
        {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
        {"plain-./:,", "plain-./:,"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        LOG(INFO, "e", LOG_STR("k", cases[i][0]));
        assert_int_equal(strncmp(tail(), "e k=", 4), 0);
        assert_string_equal(strstr(got, " k=") + 3, cases[i][1]);
    }
}

/* Whatever the length, the value is a prefix and its quotes are paired. */
static void test_long_values_are_cut_well_formed(void **state)
{
    static char text[LOG_LINE_MAX + 100];

    (void)state;
    for (size_t len = LOG_LINE_MAX - 120; len < sizeof(text); len++) {
        size_t n;

        memset(text, 'x', len);
        text[len] = '\0';
        LOG(INFO, "e", LOG_STR("k", text), LOG_INT("n", 5));
        (void)tail();
        n = strspn(strchr(strstr(got, " k="), 'x'), "x");
        assert_true(n <= len);
        if (strstr(got, " k=x") != NULL)
            assert_true(n == len); /* not cut, so not quoted */
        else
            assert_int_equal(strncmp(strrchr(got, 'x'), "x\"", 2), 0);
        if (strstr(got, " n=") != NULL)
            assert_non_null(strstr(got, " n=5")); /* whole or not at all */
    }
}

static void test_escapes_and_characters_are_not_halved(void **state)
{
    static const char *const units[] = {"\"", "\xc3\xa9", "\xf0\x9f\x93\xb7"};
    static const char *const written[] = {"\\\"", "\xc3\xa9",
                                          "\xf0\x9f\x93\xb7"};

    (void)state;
    for (size_t u = 0; u < ARRAY_COUNT(units); u++) {
        for (size_t shift = 0; shift < 4; shift++) {
            static char text[2 * LOG_LINE_MAX];
            size_t len = shift, unit = strlen(written[u]);
            const char *value;

            memset(text, 'x', shift);
            while (len + strlen(units[u]) < sizeof(text)) {
                memcpy(text + len, units[u], strlen(units[u]));
                len += strlen(units[u]);
            }
            text[len] = '\0';
            LOG(INFO, "e", LOG_STR("k", text));
            (void)tail();
            value = strstr(got, " k=\"") + 4 + shift;
            while (strncmp(value, written[u], unit) == 0)
                value += unit;
            assert_string_equal(value, "\"");
        }
    }
}

static void test_fields_without_room_are_left_out(void **state)
{
    static char text[LOG_LINE_MAX];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    LOG(INFO, "e", LOG_STR("k", text), LOG_STR("second", "y"),
        LOG_INT("third", 3));
    (void)tail();
    assert_null(strstr(got, "second"));
    assert_null(strstr(got, "third"));
    assert_int_equal(got[strlen(got) - 1], '"');
}

/* ---- JSON */

static const char *json_tail(void)
{
    const char *event;

    read_line();
    event = strstr(got, ",\"event\":");
    assert_non_null(event);
    return event + 1;
}

static void test_json(void **state)
{
    enum log_format format = LOG_FORMAT_LOGFMT;
    char pid[64];

    (void)state;
    assert_false(log_format_parse("xml", &format));
    assert_true(log_format_parse("json", &format));
    log_set_format(format);
    assert_string_equal(log_format_name(), "json");
    LOG(WARN, "fetched", LOG_STR("job", "6"), LOG_INT("bytes", -9),
        LOG_STR("text", "say \"h\\i\"\n\x7f caf\xc3\xa9"),
        LOG_STR("none", NULL));
    assert_string_equal(json_tail(),
                        "\"event\":\"fetched\",\"job\":\"6\",\"bytes\":-9,"
                        "\"text\":\"say \\\"h\\\\i\\\"   caf\xc3\xa9\","
                        "\"none\":\"\"}");
    (void)snprintf(pid, sizeof(pid), "Z\",\"level\":\"warn\",\"pid\":%d,",
                   (int)getpid());
    assert_int_equal(strncmp(got, "{\"ts\":\"20", 9), 0);
    assert_ptr_equal(strstr(got, pid), got + strlen("{\"ts\":\"") + 23);
}

static void test_json_is_whole_whatever_the_length(void **state)
{
    static char text[LOG_LINE_MAX + 100];

    (void)state;
    log_set_format(LOG_FORMAT_JSON);
    for (size_t len = LOG_LINE_MAX - 160; len < sizeof(text); len++) {
        memset(text, 'x', len);
        text[len] = '\0';
        LOG(INFO, "e", LOG_STR("k", text), LOG_INT("n", 5));
        (void)json_tail();
        if (strstr(got, "\"n\"") != NULL)
            assert_non_null(strstr(got, "x\",\"n\":5}"));
        else
            assert_string_equal(strrchr(got, 'x'), "x\"}");
    }
}

/* Overlong, surrogate, beyond Unicode, halved: each byte by itself. */
static void test_what_is_no_text_is_replaced(void **state)
{
    static const char *const cases[][2] = {
        {"\xc0\x80", "??"},
        {"\xe0\x9f\xbf", "???"},
        {"\xed\xa0\x80", "???"},
        {"\xf4\x90\x80\x80", "????"},
        {"\xf5", "?"},
        {"a\xc3", "a?"},
        {"\xe2\x82", "??"},
        {"\x80", "?"},
        {"\xef\xbf\xbd", "\xef\xbf\xbd"},
        {"\xf0\x9f\x93\xb7", "\xf0\x9f\x93\xb7"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char expected[64];

        LOG(INFO, "e", LOG_STR("k", cases[i][0]));
        (void)snprintf(expected, sizeof(expected), "e k=\"%s\"", cases[i][1]);
        assert_string_equal(tail(), expected);
    }
}

static void test_levels(void **state)
{
    enum log_level level = LOG_LEVEL_WARN;

    (void)state;
    LOG(DEBUG, "e", LOG_INT("n", 1));
    read_line();
    assert_string_equal(got, "");
    assert_true(log_level_parse("debug", &level));
    log_set_level(level);
    LOG(DEBUG, "e", LOG_INT("n", 1));
    assert_string_equal(tail(), "e n=1");
    assert_true(log_level_parse("error", &level));
    log_set_level(level);
    LOG(WARN, "e", LOG_INT("n", 1));
    read_line();
    assert_string_equal(got, "");
    LOG(ERROR, "e", LOG_INT("n", 1));
    assert_string_equal(tail(), "e n=1");
    assert_false(log_level_parse("loud", &level));
    assert_int_equal(level, LOG_LEVEL_ERROR);
}

/* Reads all there is; returns the number of lines, and keeps the last. */
static size_t drain(void)
{
    size_t lines = 0, len = 0;
    char c;

    while (read(pipe_fds[0], &c, 1) == 1) {
        assert_true(len < sizeof(got));
        got[len++] = c;
        if (c != '\n')
            continue;
        got[len - 1] = '\0';
        len = 0;
        lines++;
    }
    assert_int_equal(len, 0); /* only whole lines */
    return lines;
}

/* The descriptor blocks, as that of a service does. */
static void test_a_stuck_reader_costs_lines_only(void **state)
{
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    size_t sent = 4000, passed;
    char expected[64];

    (void)state;
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, flags & ~O_NONBLOCK), 0);
    alarm(60);
    for (size_t i = 0; i < sent; i++)
        LOG(INFO, "e", LOG_INT("n", i));
    alarm(0);
    passed = drain();
    assert_true(passed > 0 && passed < sent);
    (void)snprintf(expected, sizeof(expected), "event=log_lost lines=%zu\n",
                   sent - passed);
    LOG(INFO, "e", LOG_INT("n", 1));
    memset(got, 0, sizeof(got));
    assert_true(read(pipe_fds[0], got, sizeof(got) - 1) > 0);
    assert_non_null(strstr(got, expected));
    LOG(INFO, "e", LOG_INT("n", 2));
    assert_string_equal(tail(), "e n=2"); /* said once */
}

static void test_errno_survives(void **state)
{
    (void)state;
    close(STDERR_FILENO);
    errno = ENOTTY;
    LOG(ERROR, "e", LOG_INT("n", 1)); /* write(2) fails */
    assert_int_equal(errno, ENOTTY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_head_of_a_line),
        TEST(test_values),
        TEST(test_quoting),
        TEST(test_long_values_are_cut_well_formed),
        TEST(test_escapes_and_characters_are_not_halved),
        TEST(test_fields_without_room_are_left_out),
        TEST(test_json),
        TEST(test_json_is_whole_whatever_the_length),
        TEST(test_what_is_no_text_is_replaced),
        TEST(test_levels),
        TEST(test_a_stuck_reader_costs_lines_only),
        TEST(test_errno_survives),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
