/*
 * webhook: the signed bodies of line-platform 2.4 as vectors, then what people
 * and other programs may send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"
#include "webhook.h"
#include "webhook_vectors.h"

static enum status verify(const char *secret, const char *body,
                          const char *signature)
{
    return webhook_verify(&secret, 1, body, strlen(body), signature);
}

static void test_signatures_of_all_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(webhook_vectors); i++) {
        const struct webhook_vector *v = &webhook_vectors[i];

        assert_int_equal(verify(VECTOR_SECRET, v->body, v->signature),
                         STATUS_OK);
    }
}

static void test_published_signature(void **state)
{
    (void)state;
    assert_int_equal(
        verify("8c570fa6dd201bb328f1c1eac23a96d8",
               "{\"destination\":\"U8e742f61d673b39c7fff3cecb7536ef0\","
               "\"events\":[]}",
               "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="),
        STATUS_OK);
}

static void test_wrong_signatures(void **state)
{
    const struct webhook_vector *v = &webhook_vectors[1];
    char *body = strdup(v->body);

    (void)state;
    assert_int_equal(verify(VECTOR_SECRET, v->body, NULL),
                     STATUS_BAD_SIGNATURE);
    assert_int_equal(verify(VECTOR_SECRET, v->body, ""), STATUS_BAD_SIGNATURE);
    assert_int_equal(
        verify(VECTOR_SECRET, v->body, webhook_vectors[0].signature),
        STATUS_BAD_SIGNATURE);
    assert_int_equal(verify("another", v->body, v->signature),
                     STATUS_BAD_SIGNATURE);
    body[strlen(body) / 2] ^= 1;
    assert_int_equal(verify(VECTOR_SECRET, body, v->signature),
                     STATUS_BAD_SIGNATURE);
    free(body);
}

static void test_any_of_several_secrets(void **state)
{
    const struct webhook_vector *v = &webhook_vectors[1];
    const char *secrets[] = {"old", VECTOR_SECRET};

    (void)state;
    assert_int_equal(
        webhook_verify(secrets, 2, v->body, strlen(v->body), v->signature),
        STATUS_OK);
    assert_int_equal(
        webhook_verify(secrets, 1, v->body, strlen(v->body), v->signature),
        STATUS_BAD_SIGNATURE);
    assert_int_equal(
        webhook_verify(secrets, 0, v->body, strlen(v->body), v->signature),
        STATUS_BAD_SIGNATURE);
}

/* How many events each vector holds, and how many of them are wanted. */
static void test_parse_of_all_vectors(void **state)
{
    static const struct {
        size_t total, wanted;
        enum job_kind kind;
        size_t idle;
    } expected[] = {{0, 0, 0, 0},
                    {1, 1, JOB_IMAGE, 0},
                    {3, 2, JOB_IMAGE, 0},
                    {1, 1, JOB_IMAGE, 0},
                    {1, 1, JOB_EXTERNAL, 0},
                    {1, 1, JOB_UNSEND, 0},
                    {1, 1, JOB_FILE, 0},
                    {1, 0, 0, 1},
                    {1, 0, 0, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(webhook_vectors); i++) {
        const char *body = webhook_vectors[i].body;
        struct webhook webhook;

        assert_int_equal(webhook_parse(body, strlen(body), &webhook),
                         STATUS_OK);
        assert_string_equal(webhook.destination,
                            "U0123456789abcdef0123456789abcdef");
        assert_int_equal(webhook.total, expected[i].total);
        assert_int_equal(webhook.count, expected[i].wanted);
        assert_int_equal(webhook.malformed, 0);
        assert_int_equal(webhook.idle, expected[i].idle);
        for (size_t j = 0; j < webhook.count; j++)
            assert_int_equal(webhook.events[j].kind, expected[i].kind);
        webhook_release(&webhook);
    }
}

/* The first event of the vector, which has one at least. */
static struct webhook_event first_of(size_t vector)
{
    const char *body = webhook_vectors[vector].body;
    struct webhook webhook;
    struct webhook_event event;

    assert_int_equal(webhook_parse(body, strlen(body), &webhook), STATUS_OK);
    assert_true(webhook.count > 0);
    event = webhook.events[0];
    webhook_release(&webhook);
    return event;
}

static void test_fields_of_an_image(void **state)
{
    struct webhook_event event = first_of(3);

    (void)state;
    assert_int_equal(event.kind, JOB_IMAGE);
    assert_true(event.redelivery);
    assert_string_equal(event.event_id, "01K2A0000000000000000000A1");
    assert_string_equal(event.message_id, "600000000000000001");
    assert_string_equal(event.reply_token, "11112222333344445555666677778888");
    assert_int_equal(event.source, JOB_SOURCE_USER);
    assert_string_equal(event.source_id, "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_true(event.timestamp_ms == 1790000000123);
    assert_string_equal(event.quote_token, "qT_0001");
    assert_string_equal(event.read_token, "mT_0001");
    assert_string_equal(event.set_id, "");
    assert_int_equal(event.set_index, 0);
    assert_int_equal(event.set_total, 0);
    assert_string_equal(event.external_url, "");
    assert_int_equal(event.file_bytes, -1);
}

static void test_fields_of_a_set(void **state)
{
    struct webhook_event event = first_of(2);

    (void)state;
    assert_string_equal(event.message_id, "600000000000000012");
    assert_int_equal(strlen(event.set_id), 64);
    assert_memory_equal(event.set_id, "A1A1A1", 6);
    assert_int_equal(event.set_index, 2);
    assert_int_equal(event.set_total, 2);
}

static void test_fields_of_an_external_image(void **state)
{
    struct webhook_event event = first_of(4);

    (void)state;
    assert_string_equal(event.message_id, "600000000000000021");
    assert_string_equal(event.external_url, "https://img.example.com/o.jpg");
}

static void test_fields_of_an_unsend(void **state)
{
    struct webhook_event event = first_of(5);

    (void)state;
    assert_string_equal(event.message_id, "600000000000000001");
    assert_string_equal(event.reply_token, "");
    assert_int_equal(event.source, JOB_SOURCE_GROUP);
    assert_string_equal(event.source_id, "Ccccccccccccccccccccccccccccccccc");
    assert_string_equal(event.event_id, "01K2A0000000000000000000D1");
}

static void test_fields_of_a_file(void **state)
{
    struct webhook_event event = first_of(6);

    (void)state;
    assert_string_equal(event.message_id, "600000000000000031");
    assert_int_equal(event.file_bytes, 734211);
    assert_string_equal(event.quote_token, "");
    assert_string_equal(event.read_token, "mT_0031");
    assert_string_equal(event.reply_token, "e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1");
}

#define IMAGE(token, id, more)                                                 \
    "{\"type\":\"message\",\"webhookEventId\":\"E1\",\"replyToken\":\"" token  \
    "\",\"source\":{\"type\":\"group\",\"groupId\":\"C1\",\"userId\":\"U1\"}," \
    "\"message\":{\"type\":\"image\",\"id\":" id                               \
    ",\"contentProvider\":{\"type\":\"line\"}}" more "}"
#define IMAGE_EVENT(token, id, more) "{\"events\":[" IMAGE(token, id, more) "]}"

/* Parses and tells how many events are wanted, or -1 on BAD_INPUT. */
static int wanted_of(const char *body)
{
    struct webhook webhook;
    enum status status = webhook_parse(body, strlen(body), &webhook);
    int wanted;

    if (status == STATUS_BAD_INPUT)
        return -1;
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(webhook.malformed, 0);
    wanted = (int)webhook.count;
    webhook_release(&webhook);
    return wanted;
}

/* The one event of the body is wanted, but cannot be used. */
static void assert_malformed(const char *body)
{
    struct webhook webhook;

    assert_int_equal(webhook_parse(body, strlen(body), &webhook), STATUS_OK);
    assert_int_equal(webhook.count, 0);
    assert_int_equal(webhook.malformed, 1);
    assert_int_equal(webhook.total, 1);
    webhook_release(&webhook);
}

#define ID_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_malformed_events(void **state)
{
    (void)state;
    /* message ids are opaque, but never a path */
    assert_malformed(IMAGE_EVENT("t", "\"../1\"", ""));
    assert_malformed(IMAGE_EVENT("t", "\"\"", ""));
    assert_malformed(IMAGE_EVENT("t", "17", ""));
    assert_malformed(IMAGE_EVENT("t", "\"a\\u0000b\"", ""));
    assert_malformed(IMAGE_EVENT("t", "\"" ID_64 "x\"", ""));
    assert_malformed(IMAGE_EVENT("", "\"1\"", ""));
}

#define EVENT_OF(members)                                                      \
    "{\"events\":[{\"webhookEventId\":\"E1\",\"replyToken\":\"t\"," members    \
    "}]}"
#define EXTERNAL(url)                                                          \
    EVENT_OF(                                                                  \
        "\"type\":\"message\",\"message\":{\"type\":\"image\",\"id\":"         \
        "\"1\",\"contentProvider\":{\"type\":\"external\"" url "}}")
#define FILE_OF(members)                                                       \
    EVENT_OF("\"type\":\"message\",\"message\":{\"type\":\"file\"" members "}")
#define UNSEND(members) EVENT_OF("\"type\":\"unsend\"" members)

static void test_malformed_events_of_other_kinds(void **state)
{
    char body[EXTERNAL_URL_MAX + 512], url[EXTERNAL_URL_MAX + 2];

    (void)state;
    assert_malformed(EXTERNAL(""));
    assert_malformed(EXTERNAL(",\"originalContentUrl\":\"\""));
    assert_malformed(EXTERNAL(",\"originalContentUrl\":null"));
    assert_malformed(FILE_OF(""));
    assert_malformed(FILE_OF(",\"id\":\"a/b\""));
    assert_malformed(UNSEND(""));
    assert_malformed(UNSEND(",\"unsend\":{\"messageId\":\"..\"}"));
    assert_malformed(UNSEND(",\"unsend\":{\"messageId\":\"" ID_64 "x\"}"));
    /* a URL of the greatest length, and one above */
    memset(url, 'u', sizeof(url) - 1);
    url[EXTERNAL_URL_MAX + 1] = '\0';
    (void)snprintf(body, sizeof(body),
                   EXTERNAL(",\"originalContentUrl\":\"%s\""), url + 1);
    assert_int_equal(wanted_of(body), 1);
    (void)snprintf(body, sizeof(body),
                   EXTERNAL(",\"originalContentUrl\":\"%s\""), url);
    assert_malformed(body);
}

static struct webhook_event only_event_of(const char *body)
{
    struct webhook webhook;
    struct webhook_event event;

    assert_int_equal(webhook_parse(body, strlen(body), &webhook), STATUS_OK);
    assert_int_equal(webhook.count, 1);
    event = webhook.events[0];
    webhook_release(&webhook);
    return event;
}

#define SET(members) IMAGE_MORE(",\"imageSet\":{" members "}")
#define IMAGE_MORE(members)                                                    \
    EVENT_OF(                                                                  \
        "\"type\":\"message\",\"message\":{\"type\":\"image\",\"id\":"         \
        "\"1\",\"contentProvider\":{\"type\":\"line\"}" members "}")

/* Old phones leave index and total out (line-platform 2.1). */
static void test_sets_without_numbers(void **state)
{
    static const char *const bodies[] = {
        SET("\"id\":\"S\""),
        SET("\"id\":\"S\",\"index\":1"),
        SET("\"id\":\"S\",\"total\":2"),
        SET("\"id\":\"S\",\"index\":3,\"total\":2"),
        SET("\"id\":\"S\",\"index\":0,\"total\":2"),
        SET("\"id\":\"S\",\"index\":-1,\"total\":-1"),
        SET("\"id\":\"S\",\"index\":1,\"total\":9999999999"),
        SET("\"id\":\"S\",\"index\":null,\"total\":\"2\""),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        struct webhook_event event = only_event_of(bodies[i]);

        assert_string_equal(event.set_id, "S");
        assert_int_equal(event.set_index, 0);
        assert_int_equal(event.set_total, 0);
    }
}

#define X64 ID_64 ID_64 ID_64 ID_64 ID_64

/* What only adds comfort does not cost the picture. */
static void test_optional_fields_too_long(void **state)
{
    struct webhook_event event =
        only_event_of(IMAGE_MORE(",\"quoteToken\":\"" X64 "\","
                                 "\"markAsReadToken\":\"" X64 "\","
                                 "\"imageSet\":{\"id\":\"" X64 "\","
                                 "\"index\":1,\"total\":2}"));

    (void)state;
    assert_string_equal(event.quote_token, "");
    assert_string_equal(event.read_token, "");
    assert_string_equal(event.set_id, "");
    assert_int_equal(event.set_total, 0);
}

/* Its chat may be another module's: what was taken back goes all the same. */
static void test_unsend_in_standby(void **state)
{
    (void)state;
    assert_int_equal(wanted_of(UNSEND(",\"mode\":\"standby\","
                                      "\"unsend\":{\"messageId\":\"1\"}")),
                     1);
}

static void test_files_of_unknown_size(void **state)
{
    static const char *const bodies[] = {
        FILE_OF(",\"id\":\"1\""),
        FILE_OF(",\"id\":\"1\",\"fileSize\":-5"),
        FILE_OF(",\"id\":\"1\",\"fileSize\":\"5\""),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++)
        assert_int_equal(only_event_of(bodies[i]).file_bytes, -1);
}

static void test_a_malformed_event_among_good_ones(void **state)
{
    const char *body = "{\"events\":[" IMAGE("t1", "\"1\"", "") "," IMAGE(
        "t2", "null", "") "," IMAGE("t3", "\"3\"", "") "]}";
    struct webhook webhook;

    (void)state;
    assert_int_equal(webhook_parse(body, strlen(body), &webhook), STATUS_OK);
    assert_int_equal(webhook.count, 2);
    assert_int_equal(webhook.malformed, 1);
    assert_string_equal(webhook.events[0].message_id, "1");
    assert_string_equal(webhook.events[1].message_id, "3");
    webhook_release(&webhook);
}

/* An id that is not used may be absent in any way, not only left out. */
static void test_no_user_in_a_group(void **state)
{
    (void)state;
    assert_int_equal(
        wanted_of(IMAGE_EVENT("t", "\"1\"", ",\"source\":{\"userId\":null}")),
        1);
    assert_int_equal(
        wanted_of(IMAGE_EVENT("t", "\"1\"", ",\"source\":{\"userId\":{}}")), 1);
}

static void test_odd_events(void **state)
{
    (void)state;
    assert_int_equal(wanted_of(IMAGE_EVENT("t", "\"1\"", "")), 1);
    /* Verify's dummies of old, and standby */
    assert_int_equal(
        wanted_of(IMAGE_EVENT("00000000000000000000000000000000", "\"1\"", "")),
        0);
    assert_int_equal(
        wanted_of(IMAGE_EVENT("ffffffffffffffffffffffffffffffff", "\"1\"", "")),
        0);
    assert_int_equal(
        wanted_of(IMAGE_EVENT("t", "\"1\"", ",\"mode\":\"standby\"")), 0);
    /* fields nobody knows yet, where ours are expected */
    assert_int_equal(
        wanted_of(IMAGE_EVENT("t", "\"1\"", ",\"x\":{\"type\":[1,{}]}")), 1);
    assert_int_equal(wanted_of("{\"events\":[{\"type\":7},null,[],\"x\"]}"), 0);
}

static void test_not_a_webhook(void **state)
{
    static const char *const bodies[] = {
        "",  "[]", "null", "{}",   "{\"events\":{}}",  "{\"events\":null}",
        "x", "{",  "[[",   "true", "[{\"events\":[]}]"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++)
        assert_int_equal(wanted_of(bodies[i]), -1);
}

static void test_bounds(void **state)
{
    struct webhook webhook;
    struct buf body;

    (void)state;
    buf_init(&body, 2 * WEBHOOK_BODY_MAX_BYTES);
    assert_int_equal(buf_append_str(&body, "{\"events\":["), STATUS_OK);
    for (size_t i = 0; i < WEBHOOK_EVENTS_MAX; i++)
        assert_int_equal(buf_append_str(&body, "{},"), STATUS_OK);
    assert_int_equal(buf_append_str(&body, "{}]}"), STATUS_OK);
    assert_int_equal(webhook_parse(body.data, body.len, &webhook),
                     STATUS_TOO_LARGE);
    buf_clear(&body);
    for (size_t i = 0; i <= WEBHOOK_BODY_MAX_BYTES; i++)
        assert_int_equal(buf_append(&body, " ", 1), STATUS_OK);
    assert_int_equal(webhook_parse(body.data, body.len, &webhook),
                     STATUS_TOO_LARGE);
    buf_release(&body);
}

/* Every prefix of a good body is refused, none is read past its end: the bytes
 * are in a block of exactly that size, which the sanitizer watches. */
static void test_cut_bodies(void **state)
{
    const char *body = webhook_vectors[2].body;
    struct webhook webhook;

    (void)state;
    for (size_t len = 0; len < strlen(body); len++) {
        char *cut = malloc(len + 1);

        assert_non_null(cut);
        memcpy(cut, body, len);
        assert_int_equal(webhook_parse(cut, len, &webhook), STATUS_BAD_INPUT);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures_of_all_vectors),
        cmocka_unit_test(test_published_signature),
        cmocka_unit_test(test_wrong_signatures),
        cmocka_unit_test(test_any_of_several_secrets),
        cmocka_unit_test(test_parse_of_all_vectors),
        cmocka_unit_test(test_fields_of_an_image),
        cmocka_unit_test(test_fields_of_a_set),
        cmocka_unit_test(test_fields_of_an_external_image),
        cmocka_unit_test(test_fields_of_an_unsend),
        cmocka_unit_test(test_fields_of_a_file),
        cmocka_unit_test(test_malformed_events),
        cmocka_unit_test(test_malformed_events_of_other_kinds),
        cmocka_unit_test(test_sets_without_numbers),
        cmocka_unit_test(test_optional_fields_too_long),
        cmocka_unit_test(test_unsend_in_standby),
        cmocka_unit_test(test_files_of_unknown_size),
        cmocka_unit_test(test_a_malformed_event_among_good_ones),
        cmocka_unit_test(test_no_user_in_a_group),
        cmocka_unit_test(test_odd_events),
        cmocka_unit_test(test_not_a_webhook),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_cut_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
