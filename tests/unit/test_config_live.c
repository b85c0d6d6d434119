/*
 * config_live: holds, reloads that work and that do not, threads that hold
 * while settings are replaced. Under the sanitizers also: nothing that is held
 * is freed, and everything else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../helper/test_dir.h"
#include "config_live.h"
#include "config_table.h"
#include "log.h"

struct bench {
    char dir[TEST_DIR_MAX];
    char path[TEST_DIR_MAX + 16]; /* DIR/a.conf */
    struct config config;
    struct config_live *live;
};

static struct bench bench;

#define LEAST(more)                                                            \
    "[server]\npublic_url = https://a.example\n" more                          \
    "[channel shop]\nsecret = s\naccess_token = t\n"

static void write_file(const char *text)
{
    FILE *file = fopen(bench.path, "w");

    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    char labs[] = "DARKROOM_IMAGE_LABS=3", other[] = "OTHER=1";
    char state_dir[TEST_DIR_MAX + 32];
    char *environment[] = {labs, other, state_dir, NULL};
    struct buf errors;

    (void)state;
    bench = (struct bench){0};
    test_dir_make(bench.dir);
    (void)snprintf(bench.path, sizeof(bench.path), "%s/a.conf", bench.dir);
    (void)snprintf(state_dir, sizeof(state_dir), "DARKROOM_SERVER_STATE_DIR=%s",
                   bench.dir);
    write_file(LEAST(""));
    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    assert_int_equal(
        config_load(&bench.config, bench.path, environment, &errors),
        STATUS_OK);
    buf_release(&errors);
    assert_int_equal(
        config_live_new(&bench.live, &bench.config, bench.path, environment),
        STATUS_OK);
    memset(labs, 'x', sizeof(labs) - 1); /* as a worker that wipes it */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_live_free(bench.live);
    config_release(&bench.config);
    test_dir_remove(bench.dir);
    log_set_level(LOG_LEVEL_ERROR);
    return 0;
}

static enum status reload(const char *text)
{
    write_file(text);
    return config_live_reload(bench.live);
}

static void test_a_reload_is_for_new_work(void **state)
{
    const struct config *before = config_live_hold(bench.live), *after;

    (void)state;
    assert_ptr_equal(before, &bench.config);
    assert_int_equal(reload("[server]\npublic_url = https://b.example\n"
                            "[channel shop]\nsecret = s2\naccess_token = t2\n"
                            "[channel club]\nsecret = s3\nchannel_id = 1\n"),
                     STATUS_OK);
    after = config_live_hold(bench.live);
    assert_string_equal(before->public_url, "https://a.example");
    assert_string_equal(before->channels[0].secrets[0], "s");
    assert_string_equal(after->public_url, "https://b.example");
    assert_string_equal(config_channel(after, "shop")->secrets[0], "s2");
    assert_non_null(config_channel(after, "club"));
    assert_int_equal(after->labs, 3); /* of the environment, as at the start */
    config_drop(after);
    config_drop(before);
}

static void test_a_bad_file_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "[server]\npublic_url = http://b.example\n",
        LEAST("acceptor = 1\n"),
        "",
    };
    const struct config *config;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(reload(bad[i]), STATUS_BAD_CONFIG);
        config = config_live_hold(bench.live);
        assert_ptr_equal(config, &bench.config);
        config_drop(config);
    }
    assert_int_equal(reload(LEAST("")), STATUS_OK);
    config = config_live_hold(bench.live);
    assert_ptr_not_equal(config, &bench.config);
    config_drop(config);
}

/* Even where it takes a restart to use the new place: that would fail. */
static void test_a_place_that_is_none_changes_nothing(void **state)
{
    const struct config *config;
    char text[512];

    (void)state;
    (void)snprintf(text, sizeof(text), LEAST("[store]\nurl = dir:%s/public\n"),
                   bench.path); /* below a file */
    assert_int_equal(reload(text), STATUS_BAD_CONFIG);
    config = config_live_hold(bench.live);
    assert_ptr_equal(config, &bench.config);
    config_drop(config);
}

/* Parts of a channel are in use longer than those who lent it hold it. */
static void test_a_channel_is_held_by_itself(void **state)
{
    const struct config_channel *channel;
    const struct config *config;

    (void)state;
    assert_int_equal(reload(LEAST("")), STATUS_OK);
    config = config_live_hold(bench.live);
    channel = config_channel(config, "shop");
    config_channel_hold(channel);
    config_hold(config);
    config_drop(config);
    config_drop(config);
    assert_int_equal(reload(LEAST("")), STATUS_OK);
    assert_int_equal(reload(LEAST("")), STATUS_OK);
    assert_string_equal(channel->access_token, "t");
    config_channel_drop(channel);
}

static void test_what_needs_a_restart_stays(void **state)
{
    const struct config *config;
    int row = config_table_find(&config_table_worker, "server", "acceptors");

    (void)state;
    assert_int_equal(reload(LEAST("acceptors = 9\nstate_dir = /tmp\n"
                                  "[image]\nmax_pixels = 5\n"
                                  "[line]\napi_url = https://x.example\n")),
                     STATUS_OK);
    config = config_live_hold(bench.live);
    assert_int_equal(config->acceptors, ACCEPTORS_DEFAULT);
    assert_string_equal(config->state_dir, bench.dir);
    assert_string_equal(config->queue_url, bench.config.queue_url);
    assert_string_equal(config->api_url, "https://api.line.me");
    assert_int_equal(config->max_pixels, 5);
    assert_int_equal(config->origins[row].source, CONFIG_DEFAULT);
    config_drop(config);
}

static void test_the_log_level_follows(void **state)
{
    (void)state;
    assert_int_equal(reload(LEAST("log_level = warn\n")), STATUS_OK);
    assert_string_equal(log_level_name(), "warn");
}

/* Both values of such a setting are logged. */
static void test_no_secret_needs_a_restart(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_table_worker.count; i++)
        assert_false(config_table_worker.settings[i].secret &&
                     config_table_worker.settings[i].at_start);
}

/* ---- threads */

#define HOLDERS 3

static atomic_bool ended;

static void *hold_and_drop(void *arg)
{
    size_t *wrong = arg;

    while (!atomic_load(&ended)) {
        const struct config *config = config_live_hold(bench.live);
        const struct config_channel *channel = config_channel(config, "");

        if (channel == NULL || strlen(channel->access_token) != 1)
            ++*wrong;
        config_drop(config);
    }
    return NULL;
}

static void test_threads_hold_what_is_replaced(void **state)
{
    pthread_t threads[HOLDERS];
    size_t wrong[HOLDERS] = {0};

    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    atomic_store(&ended, false);
    for (size_t i = 0; i < HOLDERS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, hold_and_drop, &wrong[i]), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(reload(LEAST("log_level = error\n")), STATUS_OK);
    atomic_store(&ended, true);
    for (size_t i = 0; i < HOLDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reload_is_for_new_work),
        cmocka_unit_test(test_a_bad_file_changes_nothing),
        cmocka_unit_test(test_a_place_that_is_none_changes_nothing),
        cmocka_unit_test(test_a_channel_is_held_by_itself),
        cmocka_unit_test(test_what_needs_a_restart_stays),
        cmocka_unit_test(test_the_log_level_follows),
        cmocka_unit_test(test_no_secret_needs_a_restart),
        cmocka_unit_test(test_threads_hold_what_is_replaced),
    };
    struct CMUnitTest with_bench[ARRAY_COUNT(tests)];

    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        with_bench[i] = tests[i];
        with_bench[i].setup_func = set_up;
        with_bench[i].teardown_func = tear_down;
    }
    return cmocka_run_group_tests_name("config_live", with_bench, NULL, NULL);
}
