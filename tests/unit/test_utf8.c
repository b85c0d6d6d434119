/*
 * Text of unknown origin: what is a character, and what is left of one that
 * would speak to a terminal.
 */
#include "utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_lengths(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"", 1},
        {"a", 1},
        {"\x7f", 1},
        {"\x80", 0},
        {"\xc1\xbf", 0}, /* overlong */
        {"\xc2\x80", 2},
        {"\xc3", 0},
        {"\xdf\xbf", 2},
        {"\xe0\x9f\xbf", 0}, /* overlong */
        {"\xe0\xa0\x80", 3},
        {"\xe5\x86", 0},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0}, /* a surrogate */
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf0\x9f\x93\xb7", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(utf8_len(cases[i].text), cases[i].len);
}

static void test_whole_texts(void **state)
{
    (void)state;
    assert_true(utf8_is_valid(""));
    assert_true(utf8_is_valid("a\n\xe5\x86\x99"));
    assert_false(utf8_is_valid("\xffz"));
    assert_false(utf8_is_valid("a\xe5\x86"));
}

static void test_clean(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"plain \xe5\x86\x99\xe7\x9c\x9f \xf0\x9f\x93\xb7",
         "plain \xe5\x86\x99\xe7\x9c\x9f \xf0\x9f\x93\xb7"},
        {"\x1b]0;title\x07\x1b[31mred\x7f\r\n", " ]0;title  [31mred   "},
        {"a\xc2\x9b"
         "2Jb\xc2\x85",
         "a 2Jb "},
        {"no-break\xc2\xa0space", "no-break\xc2\xa0space"},
        {"\xff\xfe\xe5\x86", "????"},
        {"\xe5\x86\x99\xe5", "\xe5\x86\x99?"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char text[64];

        assert_true(str_copy(text, sizeof(text), cases[i][0]));
        utf8_clean(text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void test_fit(void **state)
{
    static const struct {
        const char *text;
        int max, fit;
    } cases[] = {
        {"", 5, 0},
        {"abc", 0, 0},
        {"abc", 2, 2},
        {"abc", 5, 3},
        {"a\xe5\x86\x99\xe7\x9c\x9f", 3, 1},
        {"a\xe5\x86\x99\xe7\x9c\x9f", 4, 4},
        {"a\xe5\x86\x99\xe7\x9c\x9f", 6, 4},
        {"\xf0\x9f\x93\xb7", 3, 0},
        {"\xff\xff\xff", 2, 2}, /* belongs to no character */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(utf8_fit(cases[i].text, cases[i].max), cases[i].fit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_whole_texts),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_fit),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
