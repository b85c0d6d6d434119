/*
 * json: paths, bounds, writing. Each input is also read with its events written
 * out as text, so a change of any of them shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "json.h"

static const char *kind_name(enum json_kind kind)
{
    static const char *const names[] = {"null", "bool", "int", "number", "str",
                                        "{",    "}",    "[",   "]"};

    return names[kind];
}

/* Writes "path kind value;" for each event. */
static enum status trace(void *arg, const struct json_event *event)
{
    struct buf *out = arg;
    enum status status = STATUS_OK;

    for (size_t i = 0; i < event->depth && status == STATUS_OK; i++) {
        const struct json_step *step = &event->path[i];

        if (step->index >= 0)
            status = buf_printf(out, "/%d", (int)step->index);
        else
            status = buf_printf(out, "/%s", step->key);
    }
    if (status == STATUS_OK)
        status = buf_printf(out, " %s", kind_name(event->kind));
    if (status == STATUS_OK &&
        (event->kind == JSON_STR || event->kind == JSON_NUMBER))
        status = buf_printf(out, " %.*s", (int)event->len, event->str);
    if (status == STATUS_OK &&
        (event->kind == JSON_INT || event->kind == JSON_BOOL))
        status = buf_printf(out, " %lld", (long long)event->num);
    return status == STATUS_OK ? buf_append_str(out, ";") : status;
}

static void check_trace(const char *json, const char *expected)
{
    struct buf out;

    buf_init(&out, 4096);
    assert_int_equal(json_read(json, strlen(json), trace, &out), STATUS_OK);
    assert_string_equal(buf_str(&out), expected);
    buf_release(&out);
}

static void test_paths(void **state)
{
    (void)state;
    check_trace("{\"a\":[1,{\"b\":\"x\"},[]],\"c\":null}",
                " {;/a [;/a/0 int 1;/a/1 {;/a/1/b str x;/a/1 };/a/2 [;/a/2 ];"
                "/a ];/c null; };");
    check_trace(" true ", " bool 1;");
    check_trace("-9223372036854775808", " int -9223372036854775808;");
    check_trace("[1.5,9223372036854775808]",
                " [;/0 number 1.5;/1 number 9223372036854775808; ];");
    check_trace("\"\\ud83d\\ude00\"", " str \xf0\x9f\x98\x80;");
}

static void check_status(const char *json, size_t len, enum status expected)
{
    struct buf out;

    buf_init(&out, 1024 * 1024);
    assert_int_equal(json_read(json, len, trace, &out), expected);
    buf_release(&out);
}

static void test_malformed(void **state)
{
    static const char *const inputs[] = {
        "",    "{",    "{\"a\"}",    "[1,]",    "{} {}",
        "nul", "\"\n", "\"\xff\"",   "[1 2]",   "}",
        "{]",  "01",   "{\"a\":1,}", "\"\\x\"", "'a'",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(inputs); i++)
        check_status(inputs[i], strlen(inputs[i]), STATUS_BAD_INPUT);
}

static void test_depth_is_bounded(void **state)
{
    char deep[2 * JSON_DEPTH_MAX + 4];
    size_t n = JSON_DEPTH_MAX;

    (void)state;
    memset(deep, '[', n);
    memset(deep + n, ']', n);
    check_status(deep, 2 * n, STATUS_OK);
    memset(deep, '[', n + 1);
    memset(deep + n + 1, ']', n + 1);
    check_status(deep, 2 * n + 2, STATUS_TOO_LARGE);
}

static void test_string_is_bounded(void **state)
{
    size_t len = JSON_STRING_MAX_BYTES + 3;
    char *text = malloc(len);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', len);
    text[0] = '"';
    text[len - 1] = '"';
    check_status(text, len, STATUS_TOO_LARGE);
    text[len - 2] = '"';
    check_status(text, len - 1, STATUS_OK);
    memset(text, '1', len);
    check_status(text, len, STATUS_TOO_LARGE);
    free(text);
}

static enum status refuse(void *arg, const struct json_event *event)
{
    (void)arg;
    return event->kind == JSON_STR ? STATUS_REFUSED : STATUS_OK;
}

static void test_handler_stops_the_reading(void **state)
{
    const char *json = "[1,\"x\",}";

    (void)state;
    assert_int_equal(json_read(json, strlen(json), refuse, NULL),
                     STATUS_REFUSED);
}

static enum status match(void *arg, const struct json_event *event)
{
    int *matches = arg;

    if (json_path_is(event, "events.#.message.id"))
        matches[0]++;
    if (json_path_is(event, "events.*.message.id"))
        matches[1]++;
    if (json_path_is(event, "*"))
        matches[2]++;
    if (json_path_is(event, "events.#"))
        matches[3]++;
    return STATUS_OK;
}

static void test_path_patterns(void **state)
{
    const char *json =
        "{\"events\":[{\"message\":{\"id\":\"1\"}},"
        "{\"message\":{\"idx\":\"1\",\"id\\u0000\":2}}],"
        "\"x\":1}";
    int matches[4] = {0};

    (void)state;
    assert_int_equal(json_read(json, strlen(json), match, matches), STATUS_OK);
    assert_int_equal(matches[0], 1);
    assert_int_equal(matches[1], 0); /* "*" is a key, not a position */
    assert_int_equal(matches[2], 3); /* "events" twice, "x" once */
    assert_int_equal(matches[3], 4); /* begin and end of two */
}

static void test_copy_str(void **state)
{
    struct json_event event = {.kind = JSON_STR, .str = "abc", .len = 3};
    char text[4];

    (void)state;
    assert_true(json_copy_str(&event, text, sizeof(text)));
    assert_string_equal(text, "abc");
    assert_false(json_copy_str(&event, text, 3));
    event.str = "a\0c";
    assert_false(json_copy_str(&event, text, sizeof(text)));
    event.kind = JSON_NUMBER;
    assert_false(json_copy_str(&event, text, sizeof(text)));
}

/* Prints what is between brackets of the path "a", as it stands. */
struct cut {
    const char *json;
    size_t begin;
    struct buf out;
};

static enum status cut_out(void *arg, const struct json_event *event)
{
    struct cut *cut = arg;

    if (!json_path_is(event, "a"))
        return STATUS_OK;
    if (event->kind == JSON_ARRAY_BEGIN || event->kind == JSON_OBJECT_BEGIN)
        cut->begin = event->offset - 1;
    else if (event->kind == JSON_ARRAY_END || event->kind == JSON_OBJECT_END)
        return buf_append(&cut->out, cut->json + cut->begin,
                          event->offset - cut->begin);
    return STATUS_OK;
}

static void test_offsets(void **state)
{
    static const struct {
        const char *json, *expected;
    } cases[] = {
        {"{\"a\":[]}", "[]"},
        {"{\"b\":[0], \"a\" : [ 1,{\"a\":[2]},\"]\" ] ,\"c\":[]}",
         "[ 1,{\"a\":[2]},\"]\" ]"},
        {" {\"\\u0061\":{\"x\":\"\xe3\x81\x82\\n}\"}}",
         "{\"x\":\"\xe3\x81\x82\\n}\"}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct cut cut = {.json = cases[i].json};

        buf_init(&cut.out, 4096);
        assert_int_equal(json_read(cut.json, strlen(cut.json), cut_out, &cut),
                         STATUS_OK);
        assert_string_equal(buf_str(&cut.out), cases[i].expected);
        buf_release(&cut.out);
    }
}

static void test_writing(void **state)
{
    struct json_out out;
    struct buf buf;

    (void)state;
    buf_init(&buf, 1024);
    json_out_init(&out, &buf);
    json_object(&out);
    json_key(&out, "a\"b");
    json_array(&out);
    json_int(&out, -5);
    json_bool(&out, true);
    json_null(&out);
    json_str(&out, "x\n\xe5\x86\x99");
    json_array_end(&out);
    json_object_end(&out);
    assert_int_equal(json_out_finish(&out), STATUS_OK);
    assert_string_equal(buf.data,
                        "{\"a\\\"b\":[-5,true,null,\"x\\n\xe5\x86\x99\"]}");
    buf_release(&buf);
}

static void test_writing_errors(void **state)
{
    struct json_out out;
    struct buf buf;

    (void)state;
    buf_init(&buf, 4);
    json_out_init(&out, &buf);
    json_str(&out, "too long");
    assert_int_equal(json_out_finish(&out), STATUS_TOO_LARGE);
    buf_release(&buf);
}

/* Words of others, cut within a character, beside others that are whole. */
static void test_what_is_no_utf8_is_written_clean(void **state)
{
    struct json_out out;
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    json_out_init(&out, &buf);
    json_array(&out);
    json_str(&out, "\xff\n\xe5\x86\x99\xe7\x9c");
    json_str(&out, "whole\n");
    json_str(&out, "\xed\xa0\x80"); /* a surrogate */
    json_str(&out, "\xc1\xbf");     /* overlong */
    json_array_end(&out);
    assert_int_equal(json_out_finish(&out), STATUS_OK);
    assert_string_equal(buf_str(&buf),
                        "[\"? \xe5\x86\x99??\",\"whole\\n\",\"???\",\"??\"]");
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_string_is_bounded),
        cmocka_unit_test(test_handler_stops_the_reading),
        cmocka_unit_test(test_path_patterns),
        cmocka_unit_test(test_copy_str),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_writing_errors),
        cmocka_unit_test(test_what_is_no_utf8_is_written_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
