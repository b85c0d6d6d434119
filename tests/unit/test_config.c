/*
 * config: what the environment may say, and that everything wrong is told at
 * once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "config.h"

#define LINES_MAX 32

/* Loads "NAME=value" strings; returns the errors, which the caller frees. */
static char *load(struct config *config, const char *const *variables,
                  enum status expected)
{
    char *environment[LINES_MAX] = {NULL};
    struct buf errors;
    size_t n = 0;

    for (; variables[n] != NULL; n++) {
        environment[n] = strdup(variables[n]);
        assert_non_null(environment[n]);
    }
    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    assert_int_equal(config_load(config, NULL, environment, &errors), expected);
    while (n > 0)
        free(environment[--n]);
    if (errors.data == NULL)
        return strdup("");
    return errors.data;
}

static const char *const least[] = {
    "LINE_CHANNEL_SECRET=abc",
    "LINE_CHANNEL_ACCESS_TOKEN=tok/en+=", "PUBLIC_URL=https://bot.example.com/",
    "HOME=/root", NULL};

static void test_three_names_suffice(void **state)
{
    struct config config;
    const struct config_channel *channel;

    (void)state;
    free(load(&config, least, STATUS_OK));
    assert_string_equal(config.public_url, "https://bot.example.com");
    assert_string_equal(config.queue_url, "sqlite:/var/lib/darkroom/queue.db");
    assert_string_equal(config.store_url, "dir:/var/lib/darkroom/public");
    assert_string_equal(config.api_url, "https://api.line.me");
    assert_int_equal(config.acceptors, ACCEPTORS_DEFAULT);
    channel = config_channel(&config, "");
    assert_non_null(channel);
    assert_string_equal(channel->name, "default");
    assert_string_equal(channel->secrets[0], "abc");
    assert_string_equal(channel->access_token, "tok/en+=");
    assert_null(config_channel(&config, "other"));
    config_release(&config);
}

static void test_several_channels(void **state)
{
    static const char *const variables[] = {
        "DARKROOM_CHANNEL_SHOP_SECRET=new,old",
        "DARKROOM_CHANNEL_SHOP_ACCESS_TOKEN=t1",
        "DARKROOM_CHANNEL_BIG_SHOP_SECRET=x",
        "DARKROOM_CHANNEL_BIG_SHOP_ACCESS_TOKEN=t2",
        "DARKROOM_SERVER_PUBLIC_URL=https://a.example",
        "PUBLIC_URL=https://loses.example",
        NULL};
    struct config config;

    (void)state;
    free(load(&config, variables, STATUS_OK));
    assert_int_equal(config.channel_count, 2);
    assert_string_equal(config.public_url, "https://a.example");
    assert_null(config_channel(&config, ""));
    assert_int_equal(config_channel(&config, "shop")->secret_count, 2);
    assert_string_equal(config_channel(&config, "shop")->secrets[1], "old");
    assert_string_equal(config_channel(&config, "big_shop")->access_token,
                        "t2");
    config_release(&config);
}

static void test_secret_from_a_file(void **state)
{
    char path[] = "/tmp/darkroom-config-XXXXXX", variable[128];
    int fd = mkstemp(path);
    const char *variables[] = {
        "LINE_CHANNEL_SECRET=abc", "PUBLIC_URL=https://a.example",
        "DARKROOM_SERVER_STATE_DIR=/tmp/x", variable, NULL};
    struct config config;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "tok\n", 4), 4);
    close(fd);
    (void)snprintf(variable, sizeof(variable),
                   "LINE_CHANNEL_ACCESS_TOKEN_FILE=%s", path);
    free(load(&config, variables, STATUS_OK));
    assert_string_equal(config.channels[0].access_token, "tok");
    assert_string_equal(config.channels[0].access_token_file, path);
    config_release(&config);
    unlink(path);
    char *errors = load(&config, variables, STATUS_BAD_CONFIG);
    assert_non_null(strstr(errors,
                           "LINE_CHANNEL_ACCESS_TOKEN_FILE: cannot "
                           "read"));
    free(errors);
    config_release(&config);
}

/* Whichever name comes first; one that is empty is not given. */
static void test_one_setting_by_two_names(void **state)
{
    static const char *const pairs[][2] = {
        {"LINE_CHANNEL_SECRET=b", "DARKROOM_CHANNEL_DEFAULT_SECRET=c"},
        {"DARKROOM_CHANNEL_DEFAULT_SECRET=c", "LINE_CHANNEL_SECRET=b"},
        {"LINE_CHANNEL_SECRET=b", "LINE_CHANNEL_SECRET_FILE=/dev/null"},
        {"DARKROOM_CHANNEL_DEFAULT_SECRET=b",
         "DARKROOM_CHANNEL_default_SECRET=c"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        const char *variables[] = {pairs[i][0],
                                   "LINE_CHANNEL_ACCESS_TOKEN=t",
                                   "DARKROOM_CHANNEL_DEFAULT_ACCESS_TOKEN=",
                                   "PUBLIC_URL=https://a.example",
                                   pairs[i][1],
                                   NULL};
        struct config config;
        char *errors = load(&config, variables, STATUS_BAD_CONFIG);
        size_t name_len = strcspn(pairs[i][1], "=");

        assert_memory_equal(errors, pairs[i][1], name_len);
        assert_string_equal(errors + name_len,
                            ": channel default has this setting under another "
                            "name, too; give it once\n");
        free(errors);
        config_release(&config);
    }
}

static void test_defaults_of_a_channel(void **state)
{
    struct config config;
    const struct config_channel *channel;

    (void)state;
    free(load(&config, least, STATUS_OK));
    channel = config_channel(&config, "default");
    assert_non_null(channel);
    assert_int_equal(channel->files, 1);
    assert_int_equal(channel->external, 0);
    assert_int_equal(channel->loading, 1);
    assert_int_equal(channel->mark_as_read, 0);
    assert_int_equal(channel->push, 0);
    assert_int_equal(channel->push_budget, 0);
    assert_int_equal(channel->set_wait_ms, SET_WAIT_DEFAULT_MS);
    assert_int_equal(channel->late, CONFIG_LATE_FAILURE);
    assert_int_equal(channel->language, CONFIG_EN);
    assert_int_equal(channel->forward_events, CONFIG_FORWARD_ALL);
    assert_int_equal(channel->processor_timeout_ms, 5000);
    assert_false(channel->failure_off);
    assert_string_equal(channel->failure_text, "");
    assert_string_equal(channel->sender_name, "");
    assert_string_equal(channel->forward_url, "");
    assert_string_equal(channel->processor_url, "");
    assert_string_equal(channel->access_token_file, "");
    config_release(&config);
}

static void test_all_settings_of_a_channel(void **state)
{
    static const char *const variables[] = {
        "PUBLIC_URL=https://a.example",
        "DARKROOM_CHANNEL_A_B_SECRET=s",
        "DARKROOM_CHANNEL_A_B_CHANNEL_ID=1234567890",
        "DARKROOM_CHANNEL_A_B_FILES=off",
        "DARKROOM_CHANNEL_A_B_EXTERNAL=on",
        "DARKROOM_CHANNEL_A_B_LOADING=off",
        "DARKROOM_CHANNEL_A_B_MARK_AS_READ=on",
        "DARKROOM_CHANNEL_A_B_PUSH=on",
        "DARKROOM_CHANNEL_A_B_PUSH_BUDGET=200",
        "DARKROOM_CHANNEL_A_B_LATE=busy",
        "DARKROOM_CHANNEL_A_B_LANGUAGE=zh-TW",
        "DARKROOM_CHANNEL_A_B_FAILURE_TEXT=off",
        "DARKROOM_CHANNEL_A_B_BUSY_TEXT=請稍候\n一下",
        "DARKROOM_CHANNEL_A_B_QUOTE_TEXT=PNG!",
        "DARKROOM_CHANNEL_A_B_SENDER_NAME="
        "小幫手小幫手小幫手小幫手小幫手小幫手12",
        "DARKROOM_CHANNEL_A_B_FORWARD_URL=http://10.0.0.7:3000/callback",
        "DARKROOM_CHANNEL_A_B_FORWARD_EVENTS=other",
        "DARKROOM_CHANNEL_A_B_PROCESSOR_URL=https://p.example/x?y=1",
        "DARKROOM_CHANNEL_A_B_PROCESSOR_TIMEOUT_MS=20000",
        "DARKROOM_CHANNEL_A_B_SET_WAIT_MS=0",
        NULL};
    const struct config_channel *channel;
    struct config config;

    (void)state;
    free(load(&config, variables, STATUS_OK));
    assert_int_equal(config.channel_count, 1);
    channel = config_channel(&config, "a_b");
    assert_non_null(channel);
    assert_string_equal(channel->channel_id, "1234567890");
    assert_string_equal(channel->access_token, "");
    assert_int_equal(channel->files, 0);
    assert_int_equal(channel->external, 1);
    assert_int_equal(channel->loading, 0);
    assert_int_equal(channel->mark_as_read, 1);
    assert_int_equal(channel->push, 1);
    assert_int_equal(channel->push_budget, 200);
    assert_int_equal(channel->late, CONFIG_LATE_BUSY);
    assert_int_equal(channel->language, CONFIG_ZH_TW);
    assert_true(channel->failure_off);
    assert_string_equal(channel->failure_text, "");
    assert_string_equal(channel->busy_text, "請稍候\n一下");
    assert_string_equal(channel->quote_text, "PNG!");
    assert_string_equal(channel->forward_url, "http://10.0.0.7:3000/callback");
    assert_int_equal(channel->forward_events, CONFIG_FORWARD_OTHER);
    assert_string_equal(channel->processor_url, "https://p.example/x?y=1");
    assert_int_equal(channel->processor_timeout_ms, 20000);
    assert_int_equal(channel->set_wait_ms, 0);
    config_release(&config);
}

/* A late picture can only be pushed. */
static void test_late_needs_push(void **state)
{
    static const char *const variables[] = {
        "LINE_CHANNEL_SECRET=abc",
        "LINE_CHANNEL_ACCESS_TOKEN=t",
        "PUBLIC_URL=https://a.example",
        "DARKROOM_CHANNEL_DEFAULT_LATE=push",
        NULL,
        NULL};
    const char *with_push[ARRAY_COUNT(variables)];
    struct config config;
    char *errors = load(&config, variables, STATUS_BAD_CONFIG);

    (void)state;
    assert_string_equal(errors,
                        "DARKROOM_CHANNEL_DEFAULT_LATE: a late picture "
                        "can only be pushed: this needs push = on\n");
    free(errors);
    config_release(&config);
    memcpy(with_push, variables, sizeof(variables));
    with_push[4] = "DARKROOM_CHANNEL_DEFAULT_PUSH=on";
    free(load(&config, with_push, STATUS_OK));
    assert_int_equal(config.channels[0].late, CONFIG_LATE_PUSH);
    config_release(&config);
}

/* What is told of `variable` beside a sound rest; the caller frees it. */
static char *load_beside(const char *variable)
{
    const char *variables[] = {"LINE_CHANNEL_SECRET=abc",
                               "LINE_CHANNEL_ACCESS_TOKEN=t",
                               "PUBLIC_URL=https://a.example", variable, NULL};
    struct config config;
    char *errors = load(&config, variables, STATUS_BAD_CONFIG);

    config_release(&config);
    return errors;
}

static void test_ages(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } ages[] = {{"30d", 2592000000},
                {"1h", 3600000},
                {"90m", 5400000},
                {"3650d", 315360000000},
                {"forever", 0}};
    static const char *const wrong[] = {"30",   "d",  "59m",   "3651d",
                                        "-30d", "0d", "30 d",  "30D",
                                        "1d1h", "0",  "never", "99999999999d"};
    struct config config;

    (void)state;
    free(load(&config, least, STATUS_OK));
    assert_int_equal(config.retention_ms, 2592000000);
    config_release(&config);
    for (size_t i = 0; i < ARRAY_COUNT(ages); i++) {
        char variable[64];
        const char *variables[] = {least[0], least[1], least[2], variable,
                                   NULL};

        (void)snprintf(variable, sizeof(variable),
                       "DARKROOM_STORE_RETENTION=%s", ages[i].text);
        free(load(&config, variables, STATUS_OK));
        assert_int_equal(config.retention_ms, ages[i].ms);
        config_release(&config);
    }
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        char variable[64], expected[160];
        char *errors;

        (void)snprintf(variable, sizeof(variable),
                       "DARKROOM_STORE_RETENTION=%s", wrong[i]);
        (void)snprintf(expected, sizeof(expected),
                       "DARKROOM_STORE_RETENTION: '%s' is neither forever nor "
                       "an age from 1h to 3650d\n",
                       wrong[i]);
        errors = load_beside(variable);
        assert_string_equal(errors, expected);
        free(errors);
    }
}

static void test_near_misses_are_named(void **state)
{
    static const char *const names[][2] = {
        {"DARKROOM_SERVER_ACCEPTOR", "DARKROOM_SERVER_ACCEPTORS"},
        {"DARKROOM_SEVRER_LOG_LEVEL", "DARKROOM_SERVER_LOG_LEVEL"},
        {"DARKROOM_CHANNEL_A_B_PUSHBUDGET", "DARKROOM_CHANNEL_A_B_PUSH_BUDGET"},
        {"DARKROOM_CHANNEL_X_FORWARD_ULR", "DARKROOM_CHANNEL_X_FORWARD_URL"},
        {"DARKROOM_SOMETHING_ELSE", NULL},
        {"DARKROOM_CHANNEL_X_NOTHING_NEAR", NULL},
        /* it is no secret */
        {"DARKROOM_CHANNEL_X_PUSH_FILE", "DARKROOM_CHANNEL_X_PUSH_FILES"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char variable[64], expected[256];
        char *errors;

        (void)snprintf(variable, sizeof(variable), "%s=1", names[i][0]);
        (void)snprintf(expected, sizeof(expected),
                       "%s: no such setting%s%s%s\n", names[i][0],
                       names[i][1] ? "; did you mean " : "",
                       names[i][1] ? names[i][1] : "", names[i][1] ? "?" : "");
        errors = load_beside(variable);
        assert_string_equal(errors, expected);
        free(errors);
    }
}

static void test_bad_values_of_a_channel(void **state)
{
    static const char *const pairs[][2] = {
        {"FILES=yes", "'yes' is neither on nor off"},
        {"LATE=never", "'never' is not one of failure, busy, push"},
        {"LANGUAGE=zh", "'zh' is not one of en, ja, zh-TW"},
        {"PUSH_BUDGET=-1", "'-1' is not a number from 0 to 1000000000"},
        {"SET_WAIT_MS=40001", "'40001' is not a number from 0 to 40000"},
        {"PROCESSOR_TIMEOUT_MS=99", "'99' is not a number from 100 to 20000"},
        {"CHANNEL_ID=abc", "'abc' is not a number"},
        {"SENDER_NAME=123456789012345678901", "is longer than 20 characters"},
        {"SENDER_NAME=1234567890123456789😀", "is longer than 20 characters"},
        {"BUSY_TEXT=\xff", "is not UTF-8, or has a control character"},
        {"BUSY_TEXT=a\tb", "is not UTF-8, or has a control character"},
        {"SENDER_NAME=a\nb", "is not UTF-8, or has a control character"},
        {"FORWARD_URL=http://bot.example",
         "'http://bot.example' is not an https:// URL, nor http:// to a "
         "private address"},
        {"FORWARD_URL=http://10.0.0.1.example/",
         "'http://10.0.0.1.example/' is not an https:// URL, nor http:// to a "
         "private address"},
        {"PROCESSOR_URL=https://",
         "'https://' is not an https:// URL, nor "
         "http:// to a private address"},
        {"PROCESSOR_URL=https://u:p@h",
         "must not have a user name before the host"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        char variable[256], expected[512];
        char *errors;

        (void)snprintf(variable, sizeof(variable),
                       "DARKROOM_CHANNEL_DEFAULT_%s", pairs[i][0]);
        (void)snprintf(expected, sizeof(expected), "%.*s: %s\n",
                       (int)strcspn(variable, "="), variable, pairs[i][1]);
        errors = load_beside(variable);
        assert_string_equal(errors, expected);
        free(errors);
    }
}

static void test_plain_http_to_private_addresses(void **state)
{
    static const struct {
        const char *url;
        bool ok;
    } urls[] = {
        {"http://127.0.0.1:8000/x", true},
        {"http://localhost", true},
        {"http://[::1]:8000", true},
        {"http://172.16.0.1", true},
        {"http://172.31.255.255", true},
        {"http://192.168.1.1/a", true},
        {"http://[fd00::1]:80/", true},
        {"http://172.32.0.1", false},
        {"http://172.15.0.1", false},
        {"http://192.169.1.1", false},
        {"http://8.8.8.8", false},
        {"http://[2001:db8::1]", false},
        {"http://10.1", false},
        {"http://bot", false},
        {"http://[fd00::1", false},
        {"ftp://10.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        char variable[128];
        const char *variables[] = {
            "LINE_CHANNEL_SECRET=abc", "LINE_CHANNEL_ACCESS_TOKEN=t",
            "PUBLIC_URL=https://a.example", variable, NULL};
        struct config config;

        (void)snprintf(variable, sizeof(variable),
                       "DARKROOM_CHANNEL_DEFAULT_FORWARD_URL=%s", urls[i].url);
        free(load(&config, variables,
                  urls[i].ok ? STATUS_OK : STATUS_BAD_CONFIG));
        config_release(&config);
    }
}

static void test_everything_missing_is_told(void **state)
{
    static const char *const variables[] = {"HOME=/root", NULL};
    struct config config;
    char *errors;

    (void)state;
    errors = load(&config, variables, STATUS_BAD_CONFIG);
    assert_non_null(strstr(errors, "PUBLIC_URL: missing"));
    assert_non_null(strstr(errors,
                           "LINE_CHANNEL_SECRET and "
                           "LINE_CHANNEL_ACCESS_TOKEN: missing"));
    free(errors);
    config_release(&config);
}

static void test_everything_wrong_is_told(void **state)
{
    static const char *const variables[] = {
        "PUBLIC_URL=http://a.example",
        "DARKROOM_LINE_API_URL=http://127.0.0.1.example",
        "DARKROOM_SERVER_ACCEPTORS=many",
        "DARKROOM_IMAGE_LABS=0",
        "DARKROOM_SERVER_PUBLICURL=x",
        "DARKROOM_SERVER_STATE_DIR=run",
        "DARKROOM_SERVER_LOG_LEVEL=loud",
        "DARKROOM_QUEUE_URL=memory:",
        "DARKROOM_CHANNEL_A_SECRET=",
        "DARKROOM_CHANNEL_A_ACCESS_TOKEN=a b",
        "DARKROOM_CHANNEL_B_SECRET=1,2,3,4,5",
        NULL};
    static const char *const expected[] = {
        "PUBLIC_URL: 'http://a.example' is not an https:// URL",
        "DARKROOM_LINE_API_URL: 'http://127.0.0.1.example' is not",
        "DARKROOM_SERVER_ACCEPTORS: 'many' is not a number from 1 to 64",
        "DARKROOM_IMAGE_LABS: '0' is not",
        "DARKROOM_SERVER_PUBLICURL: no such setting",
        "DARKROOM_SERVER_STATE_DIR: 'run' is not an absolute path",
        "DARKROOM_SERVER_LOG_LEVEL: 'loud' is not one of",
        "DARKROOM_QUEUE_URL: memory: is for tests",
        "channel a: no secret",
        "DARKROOM_CHANNEL_A_ACCESS_TOKEN: is not an access token",
        "DARKROOM_CHANNEL_B_SECRET: more than 4 secrets",
        "channel b: no access_token"};
    struct config config;
    char *errors;

    (void)state;
    errors = load(&config, variables, STATUS_BAD_CONFIG);
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        if (strstr(errors, expected[i]) == NULL)
            fail_msg("'%s' not in:\n%s", expected[i], errors);
    }
    free(errors);
    config_release(&config);
}

static void test_loopback_api_is_allowed(void **state)
{
    static const char *const variables[] = {
        "LINE_CHANNEL_SECRET=abc",
        "LINE_CHANNEL_ACCESS_TOKEN=t",
        "PUBLIC_URL=https://127.0.0.1:8443",
        "DARKROOM_LINE_API_URL=http://127.0.0.1:9000",
        "DARKROOM_LINE_DATA_API_URL=http://[::1]:9000/",
        NULL};
    struct config config;

    (void)state;
    free(load(&config, variables, STATUS_OK));
    assert_string_equal(config.data_api_url, "http://[::1]:9000");
    config_release(&config);
}

/* What is told when this is the address of LINE's API; the caller frees it. */
static char *load_api_url(const char *url)
{
    char variable[128];
    const char *variables[] = {"LINE_CHANNEL_SECRET=abc",
                               "LINE_CHANNEL_ACCESS_TOKEN=t",
                               "PUBLIC_URL=https://a.example", variable, NULL};
    struct config config;
    char *errors;

    (void)snprintf(variable, sizeof(variable), "DARKROOM_LINE_API_URL=%s", url);
    errors = load(&config, variables, STATUS_BAD_CONFIG);
    config_release(&config);
    return errors;
}

/* The token would go to whoever is behind "@". */
static void test_hosts_in_disguise(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:80@evil.example",
                                       "http://127.0.0.1:@evil.example",
                                       "http://127.0.0.1:9000x",
                                       "http://127.0.0.1@evil.example",
                                       "https://api.line.me@evil.example/v2",
                                       "https://user:password@api.line.me"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        char *errors = load_api_url(urls[i]);

        assert_non_null(strstr(errors, "DARKROOM_LINE_API_URL: "));
        assert_null(strstr(errors, "password"));
        free(errors);
    }
}

static void test_secrets_leave_the_environment(void **state)
{
    char secret[] = "LINE_CHANNEL_SECRET=abc";
    char token[] = "DARKROOM_CHANNEL_A_ACCESS_TOKEN=abc";
    char other[] = "PATH=/bin";
    char *environment[] = {secret, token, other, NULL};

    (void)state;
    config_wipe_environment(environment);
    assert_memory_equal(secret, "LINE_CHANNEL_SECRET=\0\0\0", sizeof(secret));
    assert_string_equal(token, "DARKROOM_CHANNEL_A_ACCESS_TOKEN=");
    assert_string_equal(other, "PATH=/bin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_names_suffice),
        cmocka_unit_test(test_several_channels),
        cmocka_unit_test(test_secret_from_a_file),
        cmocka_unit_test(test_one_setting_by_two_names),
        cmocka_unit_test(test_defaults_of_a_channel),
        cmocka_unit_test(test_all_settings_of_a_channel),
        cmocka_unit_test(test_late_needs_push),
        cmocka_unit_test(test_ages),
        cmocka_unit_test(test_near_misses_are_named),
        cmocka_unit_test(test_bad_values_of_a_channel),
        cmocka_unit_test(test_plain_http_to_private_addresses),
        cmocka_unit_test(test_everything_missing_is_told),
        cmocka_unit_test(test_everything_wrong_is_told),
        cmocka_unit_test(test_loopback_api_is_allowed),
        cmocka_unit_test(test_hosts_in_disguise),
        cmocka_unit_test(test_secrets_leave_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
