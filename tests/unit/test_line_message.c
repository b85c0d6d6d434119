/*
 * line_message: what is built, and what is let through from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "line_message.h"

#define URL "https://bot.example.com/static/a.png"
#define ROOM "\xe9\x83\xa8"     /* one character of three bytes */
#define GRIN "\xf0\x9f\x98\x80" /* one of four: two UTF-16 units */

static enum status image(struct buf *buf, const char *original,
                         const char *preview, const char *sender)
{
    struct line_messages messages;

    buf_clear(buf);
    line_message_begin(&messages, buf);
    line_message_image(&messages, original, preview, sender);
    return line_message_end(&messages);
}

static enum status text(struct buf *buf, const char *words, const char *quote)
{
    struct line_messages messages;

    buf_clear(buf);
    line_message_begin(&messages, buf);
    line_message_text(&messages, words, quote, NULL);
    return line_message_end(&messages);
}

static int set_up(void **state)
{
    struct buf *buf = malloc(sizeof(*buf));

    assert_non_null(buf);
    buf_init(buf, MESSAGES_MAX_BYTES);
    *state = buf;
    return 0;
}

static int tear_down(void **state)
{
    buf_release(*state);
    free(*state);
    return 0;
}

static void test_quote_and_image(void **state)
{
    struct buf *buf = *state;
    struct line_messages messages;

    line_message_begin(&messages, buf);
    line_message_text(&messages, "a \"b\"\n", "q-1", NULL);
    line_message_image(&messages, URL, URL, "Room");
    assert_int_equal(line_message_end(&messages), STATUS_OK);
    assert_string_equal(
        buf_str(buf),
        "[{\"type\":\"text\",\"text\":\"a \\\"b\\\"\\n\",\"quoteToken\":"
        "\"q-1\"},{\"type\":\"image\",\"originalContentUrl\":\"" URL
        "\",\"previewImageUrl\":\"" URL "\",\"sender\":{\"name\":\"Room\"}}]");
    assert_int_equal(line_message_check(buf_str(buf), buf->len), STATUS_OK);
}

static void test_urls(void **state)
{
    struct buf *buf = *state;
    char url[2002];

    memset(url, 'a', sizeof(url));
    memcpy(url, URL, strlen(URL));
    url[2000] = '\0';
    assert_int_equal(image(buf, url, URL, ""), STATUS_OK);
    url[2000] = 'a';
    url[2001] = '\0';
    assert_int_equal(image(buf, url, URL, ""), STATUS_BAD_INPUT);
    assert_int_equal(image(buf, URL, url, ""), STATUS_BAD_INPUT);
    assert_int_equal(image(buf, "http://a/b", URL, ""), STATUS_BAD_INPUT);
    assert_int_equal(image(buf, URL, "", ""), STATUS_BAD_INPUT);
}

static void test_sender_is_counted_in_characters(void **state)
{
    struct buf *buf = *state;
    char name[21 * 3 + 1] = "";

    for (size_t i = 0; i < 20; i++)
        memcpy(name + i * 3, ROOM, 4);
    assert_int_equal(image(buf, URL, URL, name), STATUS_OK);
    memcpy(name + 60, ROOM, 4);
    assert_int_equal(image(buf, URL, URL, name), STATUS_TOO_LARGE);
}

static void test_text_is_counted_in_utf16(void **state)
{
    struct buf *buf = *state;
    char words[2501 * 4 + 1] = "";

    for (size_t i = 0; i < 2500; i++)
        memcpy(words + i * 4, GRIN, 5);
    assert_int_equal(text(buf, words, NULL), STATUS_OK);
    memcpy(words + 10000, "a", 2);
    assert_int_equal(text(buf, words, NULL), STATUS_TOO_LARGE);
    assert_int_equal(text(buf, "", NULL), STATUS_BAD_INPUT);
}

static void test_number_of_messages(void **state)
{
    struct buf *buf = *state;

    for (size_t count = 0; count <= MESSAGES_MAX + 1; count++) {
        struct line_messages messages;
        enum status expected = STATUS_OK;

        buf_clear(buf);
        line_message_begin(&messages, buf);
        for (size_t i = 0; i < count; i++)
            line_message_image(&messages, URL, URL, NULL);
        if (count == 0)
            expected = STATUS_BAD_INPUT;
        if (count > MESSAGES_MAX)
            expected = STATUS_TOO_LARGE;
        assert_int_equal(line_message_end(&messages), expected);
    }
}

static void test_buffer_too_small(void **state)
{
    struct buf small;

    (void)state;
    buf_init(&small, 10);
    assert_int_equal(image(&small, URL, URL, NULL), STATUS_TOO_LARGE);
    buf_release(&small);
}

static void test_check(void **state)
{
    static const struct {
        const char *json;
        enum status expected;
    } rows[] = {
        {"[{\"type\":\"text\",\"text\":\"a\"}]", STATUS_OK},
        {" [ {\"quickReply\":{\"type\":\"x\"},\"type\":\"flex\"} ] ",
         STATUS_OK},
        {"[{\"type\":\"text\"},{\"type\":\"textV2\"},{\"type\":\"sticker\"},"
         "{\"type\":\"image\"},{\"type\":\"coupon\"}]",
         STATUS_OK},
        {"[{\"type\":\"text\"},{\"type\":\"text\"},{\"type\":\"text\"},"
         "{\"type\":\"text\"},{\"type\":\"text\"},{\"type\":\"text\"}]",
         STATUS_TOO_LARGE},
        {"[]", STATUS_BAD_INPUT},
        {"", STATUS_BAD_INPUT},
        {"{}", STATUS_BAD_INPUT},
        {"\"text\"", STATUS_BAD_INPUT},
        {"[[{\"type\":\"text\"}]]", STATUS_BAD_INPUT},
        {"[\"text\"]", STATUS_BAD_INPUT},
        {"[{}]", STATUS_BAD_INPUT},
        {"[{\"type\":\"text\"},{}]", STATUS_BAD_INPUT},
        {"[{\"type\":\"script\"}]", STATUS_BAD_INPUT},
        {"[{\"type\":\"text\",\"type\":\"script\"}]", STATUS_BAD_INPUT},
        {"[{\"type\":1}]", STATUS_BAD_INPUT},
        {"[{\"a\":{\"type\":\"text\"}}]", STATUS_BAD_INPUT},
        {"[{\"type\":\"text\"}", STATUS_BAD_INPUT},
        {"[{\"type\":\"text\"}],[]", STATUS_BAD_INPUT},
        {"[{\"type\":\"text\"}]}", STATUS_BAD_INPUT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(line_message_check(rows[i].json, strlen(rows[i].json)),
                         rows[i].expected);
}

static void test_check_of_size(void **state)
{
    struct buf *buf = *state;
    char *spaces = malloc(MESSAGES_MAX_BYTES + 1);

    assert_non_null(spaces);
    assert_int_equal(text(buf, "a", NULL), STATUS_OK);
    memset(spaces, ' ', MESSAGES_MAX_BYTES + 1);
    memcpy(spaces, buf->data, buf->len);
    assert_int_equal(line_message_check(spaces, MESSAGES_MAX_BYTES), STATUS_OK);
    assert_int_equal(line_message_check(spaces, MESSAGES_MAX_BYTES + 1),
                     STATUS_TOO_LARGE);
    free(spaces);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_quote_and_image),
        TEST(test_urls),
        TEST(test_sender_is_counted_in_characters),
        TEST(test_text_is_counted_in_utf16),
        TEST(test_number_of_messages),
        TEST(test_buffer_too_small),
        TEST(test_check),
        TEST(test_check_of_size),
    };

    return cmocka_run_group_tests_name("line_message", tests, NULL, NULL);
}
