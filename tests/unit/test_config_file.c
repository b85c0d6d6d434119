/*
 * config from a file: what a line may say, that the environment wins, and that
 * everything wrong is told at once with its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../helper/test_dir.h"
#include "config.h"
#include "config_table.h"

struct bench {
    char dir[TEST_DIR_MAX];
    char path[TEST_DIR_MAX + 16]; /* DIR/a.conf */
    struct config config;
    struct buf errors;
};

static struct bench bench;
static char *const nothing[] = {NULL};

static int set_up(void **state)
{
    (void)state;
    bench = (struct bench){0};
    test_dir_make(bench.dir);
    (void)snprintf(bench.path, sizeof(bench.path), "%s/a.conf", bench.dir);
    buf_init(&bench.errors, CONFIG_ERRORS_MAX_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_release(&bench.config);
    buf_release(&bench.errors);
    test_dir_remove(bench.dir);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static enum status load(const char *text, char *const *environment)
{
    config_release(&bench.config);
    buf_clear(&bench.errors);
    write_file(bench.path, text);
    return config_load(&bench.config, bench.path, environment, &bench.errors);
}

static void assert_ok(const char *text, char *const *environment)
{
    enum status status = load(text, environment);

    if (status != STATUS_OK)
        fail_msg("%s: %s", status_name(status), buf_str(&bench.errors));
}

/* `expected` is all that is told, without the name of the file before each
 * line; a line of it begins with ":12: " then. */
static void assert_errors(const char *text, char *const *environment,
                          const char *expected)
{
    struct buf told;
    const char *p;

    assert_int_equal(load(text, environment), STATUS_BAD_CONFIG);
    buf_init(&told, CONFIG_ERRORS_MAX_BYTES);
    p = buf_str(&bench.errors);
    while (*p != '\0') {
        size_t len = strcspn(p, "\n") + 1;
        size_t name = strlen(bench.path);

        if (strncmp(p, bench.path, name) != 0)
            name = 0;
        assert_int_equal(buf_append(&told, p + name, len - name), STATUS_OK);
        p += len;
    }
    assert_string_equal(buf_str(&told), expected);
    buf_release(&told);
}

#define LEAST                                                                  \
    "[server]\npublic_url = https://a.example\n"                               \
    "[channel shop]\nsecret = s\naccess_token = t\n"

static void assert_origin(const char *section, const char *key,
                          const char *expected)
{
    int row = config_table_find(&config_table_worker, section, key);
    char text[CONFIG_VALUE_MAX];
    size_t skip = strlen(bench.dir) + 1;

    assert_true(row >= 0);
    config_origin_text(&bench.config, &bench.config.origins[row], text,
                       sizeof(text));
    if (strncmp(text, bench.dir, strlen(bench.dir)) != 0)
        skip = 0;
    assert_string_equal(text + skip, expected);
}

/* ---- what is right */

static void test_all_sections(void **state)
{
    const struct config_channel *channel;

    (void)state;
    assert_ok(
        "\xef\xbb\xbf# a comment\n"
        "; another = one\n"
        "[server]\n"
        "public_url=https://a.example/\r\n"
        "  state_dir =  /srv/dark room \n"
        "acceptors = 7\n"
        "log_level = debug\n"
        "\n"
        "[line]\n"
        "api_url = http://127.0.0.1:9000\n"
        "[queue]\nurl = sqlite:/q/q.db\n"
        "[store]\nurl = dir:/pub\n"
        "[image]\nwebp = on\nmode = 2048x1024\n"
        "[channel shop]\n"
        "secret = new,old\n"
        "access_token = t;=#t\n"
        "failure_text = No ; sorry # really = no\n"
        "push = on\n"
        "[channel my-club]\n"
        "secret = s2\n"
        "channel_id = 42",
        nothing);
    assert_string_equal(bench.config.public_url, "https://a.example");
    assert_string_equal(bench.config.state_dir, "/srv/dark room");
    assert_int_equal(bench.config.acceptors, 7);
    assert_string_equal(bench.config.log_level, "debug");
    assert_string_equal(bench.config.api_url, "http://127.0.0.1:9000");
    assert_string_equal(bench.config.queue_url, "sqlite:/q/q.db");
    assert_string_equal(bench.config.store_url, "dir:/pub");
    assert_int_equal(bench.config.webp, 1);
    assert_int_equal(bench.config.box_width_px, 2048);
    assert_int_equal(bench.config.box_height_px, 1024);
    assert_int_equal(bench.config.channel_count, 2);
    channel = config_channel(&bench.config, "shop");
    assert_non_null(channel);
    assert_string_equal(channel->secrets[1], "old");
    assert_string_equal(channel->access_token, "t;=#t");
    assert_string_equal(channel->failure_text, "No ; sorry # really = no");
    assert_int_equal(channel->push, 1);
    assert_string_equal(config_channel(&bench.config, "my-club")->channel_id,
                        "42");
    assert_origin("server", "acceptors", "a.conf:6");
    assert_origin("line", "ca_file", "default");
}

static void test_file_named_in_the_environment(void **state)
{
    char variable[TEST_DIR_MAX + 64];
    char *environment[] = {variable, NULL};

    (void)state;
    write_file(bench.path, LEAST);
    (void)snprintf(variable, sizeof(variable), "DARKROOM_CONFIG=%s",
                   bench.path);
    assert_int_equal(
        config_load(&bench.config, NULL, environment, &bench.errors),
        STATUS_OK);
    assert_string_equal(bench.config.file, bench.path);
    assert_string_equal(bench.config.public_url, "https://a.example");
}

/* An argument wins over DARKROOM_CONFIG. */
static void test_file_named_twice(void **state)
{
    char other[] = "DARKROOM_CONFIG=/nonexistent/b.conf";
    char *environment[] = {other, NULL};

    (void)state;
    assert_ok(LEAST, environment);
}

static void test_the_environment_wins(void **state)
{
    char url[] = "PUBLIC_URL=https://env.example";
    char secret[] = "DARKROOM_CHANNEL_MY_CLUB_SECRET=env";
    char labs[] = "DARKROOM_IMAGE_LABS=3";
    char empty[] = "DARKROOM_SERVER_ACCEPTORS=";
    char *environment[] = {url, secret, labs, empty, NULL};

    (void)state;
    assert_ok(
        "[server]\npublic_url = https://a.example\nacceptors = 9\n"
        "[channel my-club]\nsecret = s\naccess_token = t\n",
        environment);
    assert_string_equal(bench.config.public_url, "https://env.example");
    assert_int_equal(bench.config.labs, 3);
    assert_int_equal(bench.config.acceptors, 9); /* empty is not given */
    assert_int_equal(bench.config.channel_count, 1);
    assert_string_equal(bench.config.channels[0].name, "my-club");
    assert_int_equal(bench.config.channels[0].secret_count, 1);
    assert_string_equal(bench.config.channels[0].secrets[0], "env");
    assert_origin("server", "public_url", "PUBLIC_URL");
    assert_origin("image", "labs", "DARKROOM_IMAGE_LABS");
    assert_origin("server", "acceptors", "a.conf:3");
}

/* A value of the environment is also stronger than a file that is named. */
static void test_secrets_in_files(void **state)
{
    char token[] = "DARKROOM_CHANNEL_SHOP_ACCESS_TOKEN=env";
    char *environment[] = {token, NULL};
    char text[2048], secret_path[TEST_DIR_MAX + 16];

    (void)state;
    (void)snprintf(secret_path, sizeof(secret_path), "%s/secret", bench.dir);
    write_file(secret_path, "the secret\n");
    (void)snprintf(text, sizeof(text),
                   "[server]\npublic_url = https://a.example\n"
                   "[channel shop]\nsecret = s\naccess_token_file = %s\n",
                   secret_path);
    assert_int_equal(load(text, nothing), STATUS_BAD_CONFIG); /* the blank */
    write_file(secret_path, "token\n");
    assert_ok(text, nothing);
    assert_string_equal(bench.config.channels[0].access_token, "token");
    assert_string_equal(bench.config.channels[0].access_token_file,
                        secret_path);
    assert_ok(text, environment);
    assert_string_equal(bench.config.channels[0].access_token, "env");
    assert_string_equal(bench.config.channels[0].access_token_file, "");
    write_file(secret_path, "\n");
    assert_int_equal(load(text, nothing), STATUS_BAD_CONFIG);
    assert_non_null(strstr(buf_str(&bench.errors), "secret' is empty"));
}

/* ---- what is wrong */

static void test_everything_wrong_is_told_with_its_line(void **state)
{
    char labs[] = "DARKROOM_IMAGE_LABS=99";
    char *environment[] = {labs, NULL};

    (void)state;
    assert_errors(
        "acceptors = 3\n"
        "[server]\n"
        "acceptor = 3\n"
        "acceptors = many\n"
        "just words\n"
        "log_level = loud\n"
        "log_level = info\n"
        "[sever]\n"
        "labs = 1\n"
        "[nothing like it]\n"
        "a = b\n"
        "[channel Shop]\n"
        "secret = x\n"
        "[channel]\n"
        "secret = x\n"
        "[channel a]\n"
        "secret_file = /nonexistent/secret\n"
        "push_file = /dev/null\n"
        "late = busy\n"
        "forwardurl = https://x.example\n",
        environment,
        ":1: a setting before the first [section]\n"
        ":3: [server] has no setting 'acceptor'; did you mean acceptors?\n"
        ":4: acceptors: 'many' is not a number from 1 to 64\n"
        ":5: neither a [section] nor key = value\n"
        ":6: log_level: 'loud' is not one of error, warn, info, debug\n"
        ":7: log_level: already given in line 6\n"
        ":9: no such section as [sever]; did you mean [server]?\n"
        ":11: no such section as [nothing like it]\n"
        ":13: [channel Shop]: a channel's name is up to 32 of a-z, 0-9, '_' "
        "and '-'\n"
        ":15: [channel ]: a channel's name is up to 32 of a-z, 0-9, '_' and "
        "'-'\n"
        ":17: secret_file: cannot read '/nonexistent/secret': not found\n"
        ":18: [channel] has no setting 'push_file'\n"
        ":20: [channel] has no setting 'forwardurl'; did you mean "
        "forward_url?\n"
        "DARKROOM_IMAGE_LABS: '99' is not a number from 1 to 16\n"
        "PUBLIC_URL: missing, the https address of nginx; in a file: "
        "public_url of [server]\n"
        "channel a: no access_token, and no channel_id to issue one with "
        "(LINE's console, Messaging API)\n"
        ":19: late: a late picture can only be pushed: this needs push = on\n");
}

static void test_secrets_are_not_told(void **state)
{
    (void)state;
    assert_int_equal(load("[server]\npublic_url = https://a.example\n"
                          "[channel a]\nsecret = hush,,hush\n"
                          "access_token = hush hush\n",
                          nothing),
                     STATUS_BAD_CONFIG);
    assert_null(strstr(buf_str(&bench.errors), "hush"));
    assert_non_null(strstr(buf_str(&bench.errors), ":4: secret: is not a"));
    assert_non_null(
        strstr(buf_str(&bench.errors), ":5: access_token: is not an"));
}

/* As darkroom.conf(5) says: a bot may well answer with a hashtag. */
static void test_texts_are_taken_as_they_are(void **state)
{
    (void)state;
    assert_ok(LEAST
              "quote_text =  \"Done\"  # said at last \n"
              "sender_name = 'Shop' ; us\n",
              nothing);
    assert_string_equal(bench.config.channels[0].quote_text,
                        "\"Done\"  # said at last");
    assert_string_equal(bench.config.channels[0].sender_name, "'Shop' ; us");
}

static void test_order_of_channels(void **state)
{
    static const char *const order[] = {"shop", "club", "bar", "cafe", "zoo"};
    static char text[] = LEAST "[channel club]\nsecret = s\n";
    static char variables[][48] = {"DARKROOM_CHANNEL_ZOO_SECRET=s",
                                   "DARKROOM_CHANNEL_BAR_SECRET=s",
                                   "DARKROOM_CHANNEL_SHOP_PUSH=on",
                                   "DARKROOM_CHANNEL_CLUB_CHANNEL_ID=1",
                                   "DARKROOM_CHANNEL_CAFE_SECRET=s",
                                   "DARKROOM_CHANNEL_CAFE_CHANNEL_ID=2",
                                   "DARKROOM_CHANNEL_ZOO_CHANNEL_ID=3",
                                   "DARKROOM_CHANNEL_BAR_CHANNEL_ID=4"};
    char *environment[ARRAY_COUNT(variables) + 1] = {NULL};

    (void)state;
    for (size_t turn = 0; turn < ARRAY_COUNT(variables); turn++) {
        for (size_t i = 0; i < ARRAY_COUNT(variables); i++)
            environment[i] = variables[(i + turn) % ARRAY_COUNT(variables)];
        assert_ok(text, environment);
        assert_int_equal(bench.config.channel_count, ARRAY_COUNT(order));
        for (size_t i = 0; i < ARRAY_COUNT(order); i++)
            assert_string_equal(bench.config.channels[i].name, order[i]);
        assert_string_equal(bench.config.channels[4].channel_id, "3");
    }
}

/* LINE's tokens are base64: they may have slashes, also as their first byte. */
static void test_secrets_in_the_place_of_a_path_are_not_told(void **state)
{
    static char variable[] = "LINE_CHANNEL_SECRET_FILE=hush5ec2e7";
    char *const environment[] = {variable, NULL};

    (void)state;
    assert_errors(LEAST
                  "[channel a]\n"
                  "secret_file = hush5ec2e7\n"
                  "access_token_file = /hush/hush+w1cDnyilFU=\n",
                  nothing,
                  ":7: secret_file: is not the path of a file (not found); the "
                  "secret itself is given without _file\n"
                  ":8: access_token_file: is not the path of a file (not "
                  "found); the secret itself is given without _file\n");
    assert_errors("[server]\npublic_url = https://a.example\n", environment,
                  "LINE_CHANNEL_SECRET_FILE: is not the path of a file (not "
                  "found); the secret itself is given without _file\n"
                  "channel default: no access_token, "
                  "LINE_CHANNEL_ACCESS_TOKEN, and no channel_id to "
                  "issue one with (LINE's console, Messaging API)\n");
}

/* A line is used whole or not at all. */
static void test_long_lines(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, 8 * CONFIG_LINE_MAX_BYTES);
    assert_int_equal(buf_append_str(&text, LEAST "quote_text = "), STATUS_OK);
    for (int i = 0; i < TEXT_MAX_BYTES; i++)
        assert_int_equal(buf_append_str(&text, "x"), STATUS_OK);
    assert_ok(text.data, nothing);
    assert_int_equal(strlen(bench.config.channels[0].quote_text),
                     TEXT_MAX_BYTES);
    assert_int_equal(buf_append_str(&text, "x"), STATUS_OK);
    assert_errors(text.data, nothing,
                  ":6: quote_text: is longer than 1000 bytes\n");
    while (text.len < 4 * CONFIG_LINE_MAX_BYTES)
        assert_int_equal(buf_append_str(&text, "secret = z"), STATUS_OK);
    assert_int_equal(buf_append_str(&text, "\nbusy = 1\n"), STATUS_OK);
    assert_errors(text.data, nothing,
                  ":6: the line is too long\n"
                  ":7: [channel] has no setting 'busy'\n");
    buf_release(&text);
}

static void test_no_such_file(void **state)
{
    static const char *const paths[] = {"/nonexistent/a.conf", "/"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        config_release(&bench.config);
        buf_clear(&bench.errors);
        assert_int_equal(
            config_load(&bench.config, paths[i], nothing, &bench.errors),
            STATUS_BAD_CONFIG);
        assert_memory_equal(buf_str(&bench.errors), paths[i], strlen(paths[i]));
    }
}

/* An endless one, as a device is. */
static void test_too_many_lines(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, 8 * CONFIG_LINES_MAX);
    for (int i = 0; i <= CONFIG_LINES_MAX; i++)
        assert_int_equal(buf_append_str(&text, "#\n"), STATUS_OK);
    assert_int_equal(load(text.data, nothing), STATUS_BAD_CONFIG);
    assert_non_null(strstr(buf_str(&bench.errors), ":20000: too many lines"));
    buf_release(&text);
}

/* ---- places */

static void test_places_that_can_be_made(void **state)
{
    char text[2048];

    (void)state;
    (void)snprintf(text, sizeof(text),
                   LEAST "[server]\nstate_dir = %s/not/yet/there\n", bench.dir);
    assert_ok(text, nothing);
    assert_int_equal(config_check_places(&bench.config, &bench.errors),
                     STATUS_OK);
}

/* Not for root either. */
static void test_places_that_cannot(void **state)
{
    (void)state;
    assert_ok(LEAST
              "[server]\nstate_dir = /dev/null/x\n"
              "[queue]\nurl = sqlite:/dev/null/q.db\n",
              nothing);
    assert_int_equal(config_check_places(&bench.config, &bench.errors),
                     STATUS_BAD_CONFIG);
    assert_non_null(
        strstr(buf_str(&bench.errors), ":7: state_dir: cannot write to "));
    assert_non_null(
        strstr(buf_str(&bench.errors), ":9: url: cannot write to "));
    assert_non_null(
        strstr(buf_str(&bench.errors), "DARKROOM_STORE_URL: cannot write to "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sections),
        cmocka_unit_test(test_file_named_in_the_environment),
        cmocka_unit_test(test_file_named_twice),
        cmocka_unit_test(test_the_environment_wins),
        cmocka_unit_test(test_secrets_in_files),
        cmocka_unit_test(test_everything_wrong_is_told_with_its_line),
        cmocka_unit_test(test_secrets_are_not_told),
        cmocka_unit_test(test_texts_are_taken_as_they_are),
        cmocka_unit_test(test_order_of_channels),
        cmocka_unit_test(test_secrets_in_the_place_of_a_path_are_not_told),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_no_such_file),
        cmocka_unit_test(test_too_many_lines),
        cmocka_unit_test(test_places_that_can_be_made),
        cmocka_unit_test(test_places_that_cannot),
    };
    struct CMUnitTest with_bench[ARRAY_COUNT(tests)];

    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        with_bench[i] = tests[i];
        with_bench[i].setup_func = set_up;
        with_bench[i].teardown_func = tear_down;
    }
    return cmocka_run_group_tests_name("config_file", with_bench, NULL, NULL);
}
