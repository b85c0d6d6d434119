/*
 * The forwarder between a real queue and bots behind that answer as a
 * test says. The test's thread is an acceptor first and then runs the loop.
 */
#include "forward.h"

#include <pthread.h>
#include <signal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../helper/test_dir.h"
#include "../helper/test_server.h"

#define CHANNELS (FORWARD_ROOM_MAX + 20)
#define SEEN_MAX 256
#define GUARD_MS 60000
#define SIGNATURE "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="

/* What the bot of a path answers, the first times and then. */
struct bot {
    const char *path;
    int failures;
    struct test_answer failure, answer;
};

struct yard {
    char dir[TEST_DIR_MAX];
    struct loop *loop;
    struct http *http;
    struct queue *queue;
    struct queue_thread *queue_thread;
    struct config config;
    struct config_live *live; /* of `config` */
    struct config_channel channels[CHANNELS];
    struct forward *forward;
    struct loop_timer poll;
    int64_t guard_ms;
    bool (*until)(struct yard *yard);
    int idle;

    struct test_server *server;
    pthread_mutex_t lock; /* of the rest */
    struct bot bots[4];
    size_t bot_count;
    char seen[SEEN_MAX][64]; /* "/path body" */
    size_t seen_count;
    size_t wanted_seen;
    bool headers_right;
};

/* ---- bots */

static bool is_as_from_line(const struct test_request *request)
{
    return str_eq(request->method, "POST") &&
           str_eq(request->content_type, "application/json; charset=utf-8") &&
           str_eq(request->line_signature, SIGNATURE) &&
           str_eq(request->user_agent, "LineBotWebhook/2.0 (darkroom)") &&
           request->authorization[0] == '\0' &&
           strlen(request->body) == request->body_len;
}

static bool handle(void *arg, const struct test_request *request,
                   struct test_answer *answer)
{
    struct yard *yard = arg;

    pthread_mutex_lock(&yard->lock);
    yard->headers_right = yard->headers_right && is_as_from_line(request);
    if (yard->seen_count < SEEN_MAX)
        (void)snprintf(yard->seen[yard->seen_count++], sizeof(yard->seen[0]),
                       "%s %s", request->path, request->body);
    for (size_t i = 0; i < yard->bot_count; i++) {
        struct bot *bot = &yard->bots[i];

        if (str_eq(bot->path, request->path))
            *answer = bot->failures > 0 ? bot->failure : bot->answer;
        if (str_eq(bot->path, request->path) && bot->failures > 0)
            bot->failures--;
    }
    pthread_mutex_unlock(&yard->lock);
    return true;
}

static size_t seen_count(struct yard *yard)
{
    size_t count;

    pthread_mutex_lock(&yard->lock);
    count = yard->seen_count;
    pthread_mutex_unlock(&yard->lock);
    return count;
}

/* ---- the yard */

static void on_job(void *arg, const struct queue_lease *leases, size_t count)
{
    (void)arg;
    (void)leases;
    (void)count;
    fail();
}

static char *const nothing[] = {NULL};

/* Channels c0, c1, ... of the bots /c0, /c1, ... */
static void fill_config(struct yard *yard)
{
    yard->config.channels = yard->channels;
    yard->config.channel_count = CHANNELS;
    for (size_t i = 0; i < CHANNELS; i++) {
        struct config_channel *channel = &yard->channels[i];

        (void)snprintf(channel->name, sizeof(channel->name), "c%zu", i);
        (void)snprintf(channel->forward_url, sizeof(channel->forward_url),
                       "http://127.0.0.1:%d/c%zu",
                       test_server_port(yard->server), i);
    }
}

static void start_forward(struct yard *yard)
{
    struct forward_parts parts = {
        .loop = yard->loop, .http = yard->http, .config = yard->live};

    assert_int_equal(forward_new(&yard->forward, &parts), STATUS_OK);
    forward_start(yard->forward, yard->queue_thread);
}

static void on_poll(void *arg);

static int setup(void **state)
{
    struct yard *yard = calloc(1, sizeof(*yard));
    struct http_options http = {.user_agent = "darkroom-test"};
    struct queue_thread_options options = {.on_claimed = on_job};
    char url[TEST_DIR_MAX + 32], why[256];

    if (yard == NULL)
        return -1;
    *state = yard;
    pthread_mutex_init(&yard->lock, NULL);
    yard->headers_right = true;
    yard->server = test_server_start(NULL, NULL);
    assert_non_null(yard->server);
    test_server_set_handler(yard->server, handle, yard);
    assert_int_equal(loop_new(&yard->loop), STATUS_OK);
    assert_int_equal(http_new(&yard->http, yard->loop, &http), STATUS_OK);
    test_dir_make(yard->dir);
    (void)snprintf(url, sizeof(url), "sqlite:%s/queue.db", yard->dir);
    assert_int_equal(queue_open(&yard->queue, url, why, sizeof(why)),
                     STATUS_OK);
    options.queue = yard->queue;
    options.loop = yard->loop;
    assert_int_equal(queue_thread_start(&yard->queue_thread, &options),
                     STATUS_OK);
    fill_config(yard);
    assert_int_equal(config_live_new(&yard->live, &yard->config, NULL, nothing),
                     STATUS_OK);
    start_forward(yard);
    loop_timer_init(&yard->poll, on_poll, yard);
    return 0;
}

static int teardown(void **state)
{
    struct yard *yard = *state;

    queue_thread_free(yard->queue_thread);
    forward_free(yard->forward);
    config_live_free(yard->live);
    http_free(yard->http);
    loop_timer_cancel(yard->loop, &yard->poll);
    loop_free(yard->loop);
    queue_close(yard->queue);
    test_server_stop(yard->server);
    pthread_mutex_destroy(&yard->lock);
    test_dir_remove(yard->dir);
    free(yard);
    return 0;
}

static void set_bot(struct yard *yard, struct bot bot)
{
    pthread_mutex_lock(&yard->lock);
    yard->bots[yard->bot_count++] = bot;
    pthread_mutex_unlock(&yard->lock);
}

static void put_aged(struct yard *yard, const char *channel, const char *text,
                     int64_t age_ms)
{
    struct queue_body *body = queue_body_new(WEBHOOK_BODY_MAX_BYTES);

    assert_non_null(body);
    (void)str_copy(body->channel, sizeof(body->channel), channel);
    (void)str_copy(body->signature, sizeof(body->signature), SIGNATURE);
    body->received_ms = wall_ms() - age_ms;
    assert_int_equal(buf_append_str(&body->body, text), STATUS_OK);
    assert_int_equal(queue_thread_put(yard->queue_thread, NULL, 0, body, NULL),
                     STATUS_OK);
    queue_body_free(body);
}

static void put(struct yard *yard, const char *channel, const char *text)
{
    put_aged(yard, channel, text, 0);
}

static void on_poll(void *arg)
{
    struct yard *yard = arg;

    if (yard->until(yard)) {
        loop_stop(yard->loop);
        return;
    }
    if (mono_ms() > yard->guard_ms)
        fail_msg("still waiting after %d ms", GUARD_MS);
    assert_int_equal(
        loop_timer_set(yard->loop, &yard->poll, loop_now_ms(yard->loop) + 5),
        STATUS_OK);
}

static void run_until(struct yard *yard, bool (*until)(struct yard *yard))
{
    yard->until = until;
    yard->guard_ms = mono_ms() + GUARD_MS;
    assert_int_equal(
        loop_timer_set(yard->loop, &yard->poll, loop_now_ms(yard->loop)),
        STATUS_OK);
    assert_int_equal(loop_run(yard->loop), STATUS_OK);
}

/* The numbers of the queue, read past its thread: nothing is under way. */
static struct queue_stats stats_of(struct yard *yard)
{
    struct queue_stats stats;

    assert_int_equal(queue_stats(yard->queue, &stats), STATUS_OK);
    return stats;
}

static bool saw_enough(struct yard *yard)
{
    return seen_count(yard) >= yard->wanted_seen;
}

static bool is_quiet(struct yard *yard)
{
    return saw_enough(yard) && forward_load(yard->forward) == 0;
}

static void run_until_quiet(struct yard *yard, size_t requests)
{
    yard->wanted_seen = requests;
    run_until(yard, is_quiet);
    assert_int_equal(seen_count(yard), requests);
}

static void on_idle(void *arg)
{
    struct yard *yard = arg;

    yard->idle++;
}

static bool is_idle(struct yard *yard)
{
    return yard->idle > 0;
}

static void drain(struct yard *yard)
{
    queue_thread_quiesce(yard->queue_thread);
    forward_drain(yard->forward, on_idle, yard);
    run_until(yard, is_idle);
    assert_int_equal(yard->idle, 1);
    assert_int_equal(forward_load(yard->forward), 0);
}

/* ---- tests */

static void test_byte_for_byte(void **state)
{
    static const char *const text =
        " {\"events\" :[ ],\r\n\t\"x\":\"\xe3\x81\x82\\ud83d\\ude00\"}\n";
    struct yard *yard = *state;
    char expected[64];

    put(yard, "c3", text);
    run_until_quiet(yard, 1);
    (void)snprintf(expected, sizeof(expected), "/c3 %s", text);
    assert_string_equal(yard->seen[0], expected);
    assert_true(yard->headers_right);
    drain(yard);
    assert_int_equal(stats_of(yard).bodies, 0);
    assert_int_equal(stats_of(yard).dropped_bodies, 0);
}

/* A 404 or a redirect today is a bot that is being set up. */
static void test_all_failures_are_tried_again_in_order(void **state)
{
    static const struct test_answer failures[] = {
        {.status = 500}, {.status = 404}, {.status = 302}, {.drop = true}};

    for (size_t i = 0; i < ARRAY_COUNT(failures); i++) {
        struct yard *yard = *state;
        size_t first = seen_count(yard);

        yard->bot_count = 0;
        set_bot(yard, (struct bot){"/c1", 2, failures[i], {.len = 9}});
        put(yard, "c1", "one");
        put(yard, "c1", "two");
        put(yard, "c1", "three");
        run_until_quiet(yard, first + 5);
        for (size_t k = 0; k < 3; k++)
            assert_string_equal(yard->seen[first + k], "/c1 one");
        assert_string_equal(yard->seen[first + 3], "/c1 two");
        assert_string_equal(yard->seen[first + 4], "/c1 three");
    }
}

static void test_the_status_is_what_counts(void **state)
{
    struct yard *yard = *state;

    set_bot(yard, (struct bot){.path = "/c0",
                               .answer = {.len = 100000, .cut = 5000}});
    set_bot(yard, (struct bot){.path = "/c1", .answer = {.status = 204}});
    set_bot(yard,
            (struct bot){.path = "/c2",
                         .answer = {.len = FORWARD_ANSWER_MAX_BYTES * 2}});
    put(yard, "c0", "cut");
    put(yard, "c1", "no content");
    put(yard, "c2", "a long answer");
    run_until_quiet(yard, 3);
    drain(yard);
    assert_int_equal(stats_of(yard).bodies, 0);
}

static bool others_are_through(struct yard *yard)
{
    return saw_enough(yard) && forward_load(yard->forward) == 1;
}

static void test_a_bot_that_hangs_delays_no_other_channel(void **state)
{
    struct yard *yard = *state;

    set_bot(yard, (struct bot){.path = "/c0", .answer = {.silent = true}});
    put(yard, "c0", "stuck");
    put(yard, "c0", "behind it");
    for (int i = 0; i < 20; i++) {
        put(yard, "c1", "x");
        put(yard, "c2", "y");
    }
    yard->wanted_seen = 41;
    run_until(yard, others_are_through);
    drain(yard); /* it goes back */
    assert_int_equal(seen_count(yard), 41);
    assert_int_equal(stats_of(yard).bodies, 2);
    assert_int_equal(stats_of(yard).dropped_bodies, 0);
}

static void test_no_more_in_hand_than_the_room(void **state)
{
    struct yard *yard = *state;

    for (size_t i = 0; i < CHANNELS; i++)
        (void)snprintf(yard->channels[i].forward_url,
                       sizeof(yard->channels[i].forward_url),
                       "http://127.0.0.1:%d/hang",
                       test_server_port(yard->server));
    set_bot(yard, (struct bot){.path = "/hang", .answer = {.silent = true}});
    for (size_t i = 0; i < CHANNELS; i++)
        put(yard, yard->channels[i].name, "x");
    yard->wanted_seen = FORWARD_ROOM_MAX;
    run_until(yard, saw_enough);
    assert_int_equal(forward_load(yard->forward), FORWARD_ROOM_MAX);
    drain(yard);
    assert_int_equal(seen_count(yard), FORWARD_ROOM_MAX);
    assert_int_equal(stats_of(yard).bodies, CHANNELS);
}

/* More bodies than tasks, each making room for the next. */
static void test_many_channels_at_once(void **state)
{
    struct yard *yard = *state;

    for (size_t i = 0; i < CHANNELS; i++) {
        put(yard, yard->channels[i].name, "1");
        put(yard, yard->channels[i].name, "2");
    }
    run_until_quiet(yard, (size_t)2 * CHANNELS);
    drain(yard);
    assert_int_equal(stats_of(yard).bodies, 0);
}

static void test_too_old_for_a_bot_that_is_down(void **state)
{
    struct yard *yard = *state;

    set_bot(
        yard,
        (struct bot){.path = "/c0", .failures = 1, .failure = {.status = 503}});
    put_aged(yard, "c0", "old", FORWARD_LIFE_MS + 60000);
    put_aged(yard, "c0", "old too", FORWARD_LIFE_MS + 30000);
    put(yard, "c0", "new");
    run_until_quiet(yard, 2); /* the second one was not even tried */
    assert_string_equal(yard->seen[0], "/c0 old");
    assert_string_equal(yard->seen[1], "/c0 new");
    drain(yard);
    assert_int_equal(stats_of(yard).bodies, 0);
    assert_int_equal(stats_of(yard).dropped_bodies, 2);
}

/* The bot is up and cannot stand one body: those that came right behind it and
 * had to wait are as old by now. */
static void test_a_poison_body_takes_no_others_along(void **state)
{
    struct yard *yard = *state;

    set_bot(
        yard,
        (struct bot){.path = "/c0", .failures = 1, .failure = {.status = 500}});
    put_aged(yard, "c0", "poison", FORWARD_LIFE_MS + 60000);
    put_aged(yard, "c0", "right behind", FORWARD_LIFE_MS + 59000);
    run_until_quiet(yard, 2);
    assert_string_equal(yard->seen[1], "/c0 right behind");
    drain(yard);
    assert_int_equal(stats_of(yard).dropped_bodies, 1);
}

/* It was darkroom that was down. */
static void test_not_too_old_for_a_bot_that_is_up(void **state)
{
    struct yard *yard = *state;

    put_aged(yard, "c0", "old", FORWARD_LIFE_MS * 3);
    put_aged(yard, "c0", "old too", FORWARD_LIFE_MS * 2);
    run_until_quiet(yard, 2);
    drain(yard);
    assert_int_equal(stats_of(yard).dropped_bodies, 0);
}

/* The server's wish goes beyond the body's life. */
static void test_retry_after(void **state)
{
    struct yard *yard = *state;

    set_bot(yard, (struct bot){.path = "/c0",
                               .failures = 1,
                               .failure = {.status = 503, .retry = "3000"}});
    put(yard, "c0", "one");
    put(yard, "c0", "two");
    run_until_quiet(yard, 2);
    assert_string_equal(yard->seen[1], "/c0 two");
    drain(yard);
    assert_int_equal(stats_of(yard).dropped_bodies, 1);
}

static bool both_are_dropped(struct yard *yard)
{
    struct queue_stats stats;

    queue_thread_stats(yard->queue_thread, &stats);
    return stats.dropped_bodies == 2 && forward_load(yard->forward) == 0;
}

static void test_a_channel_that_is_not_there_any_more(void **state)
{
    struct yard *yard = *state;

    yard->channels[5].forward_url[0] = '\0';
    put(yard, "c5", "x");
    put(yard, "gone", "y");
    run_until(yard, both_are_dropped);
    drain(yard);
    assert_int_equal(seen_count(yard), 0);
    assert_int_equal(stats_of(yard).bodies, 0);
}

static bool one_is_in_hand(struct yard *yard)
{
    return forward_load(yard->forward) == 1;
}

static bool none_is_in_hand(struct yard *yard)
{
    return forward_load(yard->forward) == 0;
}

/* It comes again and again, for the queue is not quiesced. */
static void test_what_comes_while_draining_goes_back(void **state)
{
    struct yard *yard = *state;

    put(yard, "c0", "x"); /* claimed, and on its way through the loop */
    forward_drain(yard->forward, on_idle, yard);
    assert_int_equal(yard->idle, 1);
    run_until(yard, one_is_in_hand);
    queue_thread_quiesce(yard->queue_thread);
    run_until(yard, none_is_in_hand);
    assert_int_equal(yard->idle, 1);
    assert_int_equal(seen_count(yard), 0);
    assert_int_equal(stats_of(yard).bodies, 1);
}

static void test_what_is_in_hand_may_end_while_draining(void **state)
{
    struct yard *yard = *state;

    set_bot(yard,
            (struct bot){.path = "/c0",
                         .answer = {.len = 20, .step = 1, .pause_ms = 5}});
    put(yard, "c0", "x");
    yard->wanted_seen = 1;
    run_until(yard, saw_enough);
    drain(yard);
    assert_int_equal(stats_of(yard).bodies, 0);
    assert_int_equal(stats_of(yard).dropped_bodies, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_byte_for_byte),
        TEST(test_all_failures_are_tried_again_in_order),
        TEST(test_the_status_is_what_counts),
        TEST(test_a_bot_that_hangs_delays_no_other_channel),
        TEST(test_no_more_in_hand_than_the_room),
        TEST(test_many_channels_at_once),
        TEST(test_too_old_for_a_bot_that_is_down),
        TEST(test_a_poison_body_takes_no_others_along),
        TEST(test_not_too_old_for_a_bot_that_is_up),
        TEST(test_retry_after),
        TEST(test_a_channel_that_is_not_there_any_more),
        TEST(test_what_comes_while_draining_goes_back),
        TEST(test_what_is_in_hand_may_end_while_draining),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
