/*
 * line_token: where tokens come from, when they are renewed, and how often LINE
 * is asked. Two processes are in test_line_token_pool.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../helper/line_bench.h"
#include "line_token.h"
#include "line_token_file.h"

#define ISSUE "POST /oauth2/v3/token"
#define TEXT(text) .status = 200, .body = (text), .len = sizeof(text) - 1
#define TOKEN(name)                                                            \
    {                                                                          \
        TEXT("{\"token_type\":\"Bearer\",\"access_token\":\"" name             \
             "\",\"expires_in\":900}")                                         \
    }
#define LIFE_MS 900000
#define PATH_BYTES (TEST_DIR_MAX + 64)

struct desk {
    struct line_bench bench;
    struct line_tokens *tokens;
    struct line_tokens *earlier; /* opened before, freed with the rest */
    const struct config_channel *channel;
    struct config_channel *spare_channels;
    int64_t now_ms;
};

/* Somebody who waits for a token. */
struct waiter {
    struct line_token_wait wait;
    int dones;
    enum status status;
    uint64_t generation;
    char text[64];
};

static int64_t desk_clock(void *arg)
{
    const struct desk *desk = arg;

    return desk->now_ms;
}

static void open_tokens(struct desk *desk, const char *state_dir)
{
    const struct line_tokens_options options = {
        .loop = desk->bench.loop,
        .http = desk->bench.http,
        .offload = desk->bench.offload,
        .api_url = line_double_url(desk->bench.line),
        .state_dir = state_dir,
        .clock_ms = desk_clock,
        .clock_arg = desk,
    };

    assert_int_equal(line_tokens_new(&desk->tokens, &options), STATUS_OK);
}

static int set_up(void **state)
{
    struct desk *desk = calloc(1, sizeof(*desk));

    assert_non_null(desk);
    line_bench_open(&desk->bench);
    desk->bench.channel = (struct config_channel){
        .name = "default",
        .channel_id = "1234567890",
        .secrets = {"a+b/c=", "other"},
        .secret_count = 2,
    };
    desk->channel = &desk->bench.channel;
    desk->now_ms = 1790000000000;
    open_tokens(desk, desk->bench.dir);
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;

    line_double_stop(desk->bench.line);
    desk->bench.line = NULL;
    offload_free(desk->bench.offload);
    desk->bench.offload = NULL;
    line_tokens_free(desk->tokens);
    line_tokens_free(desk->earlier);
    line_bench_close(&desk->bench);
    free(desk->spare_channels);
    free(desk);
    return 0;
}

static void script(struct desk *desk, const struct test_answer *answers,
                   size_t count)
{
    line_double_script(desk->bench.line, ISSUE, answers, count);
}

static size_t issues(struct desk *desk)
{
    return line_double_count(desk->bench.line, ISSUE);
}

static void on_token(struct line_token_wait *wait, enum status status,
                     const struct line_token *token)
{
    struct waiter *waiter = CONTAINER_OF(wait, struct waiter, wait);

    waiter->dones++;
    waiter->status = status;
    if (token == NULL)
        return;
    waiter->generation = token->generation;
    (void)snprintf(waiter->text, sizeof(waiter->text), "%s", token->text);
}

/* AGAIN: on_token follows. */
static enum status ask(struct desk *desk, struct waiter *waiter,
                       uint64_t refused)
{
    struct line_token token = {NULL, 0};
    enum status status;

    *waiter = (struct waiter){.wait.done = on_token};
    status = line_token_get(desk->tokens, desk->channel, refused, &waiter->wait,
                            &token);
    if (status != STATUS_AGAIN)
        on_token(&waiter->wait, status, status == STATUS_OK ? &token : NULL);
    return status;
}

static bool waiter_is_served(void *arg)
{
    const struct waiter *waiter = arg;

    return waiter->dones > 0;
}

static void wait_for(struct desk *desk, struct waiter *waiter)
{
    line_bench_run_until(&desk->bench, waiter_is_served, waiter);
    assert_int_equal(waiter->dones, 1);
}

static struct waiter get(struct desk *desk, uint64_t refused)
{
    struct waiter waiter;

    (void)ask(desk, &waiter, refused);
    wait_for(desk, &waiter);
    waiter.wait.done = NULL;
    return waiter;
}

static void assert_token(const struct waiter *waiter, const char *text)
{
    assert_int_equal(waiter->status, STATUS_OK);
    assert_string_equal(waiter->text, text);
}

static bool has_shared(void *arg)
{
    struct desk *desk = arg;
    struct line_token_file file;
    struct line_token_record record;

    assert_int_equal(
        line_token_file_init(&file, desk->bench.dir, desk->channel), STATUS_OK);
    if (line_token_file_read(&file, &record) != STATUS_OK ||
        record.issued_ms != desk->now_ms)
        return false;
    /* written, and the lock free again */
    if (line_token_file_lock(&file) != STATUS_OK)
        return false;
    line_token_file_unlock(&file);
    return true;
}

/* ---- the rule */

static void test_age(void **state)
{
    static const struct {
        int64_t life_ms, left_ms;
        enum line_token_age expected;
    } rows[] = {
        {899000, 899000, LINE_TOKEN_FRESH}, {899000, 120001, LINE_TOKEN_FRESH},
        {899000, 120000, LINE_TOKEN_RENEW}, {899000, 20001, LINE_TOKEN_RENEW},
        {899000, 20000, LINE_TOKEN_OLD},    {899000, 0, LINE_TOKEN_OLD},
        {899000, -1, LINE_TOKEN_OLD},       {8000, 8000, LINE_TOKEN_FRESH},
        {8000, 2001, LINE_TOKEN_FRESH},     {8000, 2000, LINE_TOKEN_RENEW},
        {8000, 1001, LINE_TOKEN_RENEW},     {8000, 1000, LINE_TOKEN_OLD},
        {1000, 1000, LINE_TOKEN_FRESH},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(
            line_token_age(1000, 1000 + rows[i].life_ms,
                           1000 + rows[i].life_ms - rows[i].left_ms),
            rows[i].expected);
}

/* ---- stateless */

static void test_issue(void **state)
{
    static const struct test_answer answers[] = {TOKEN("t-1"), TOKEN("t-2")};
    struct desk *desk = *state;
    struct waiter first, again;
    struct line_seen seen;
    char path[PATH_BYTES];
    struct stat st;

    script(desk, answers, 2);
    assert_int_equal(ask(desk, &first, 0), STATUS_AGAIN);
    wait_for(desk, &first);
    assert_token(&first, "t-1");
    line_double_seen(desk->bench.line, ISSUE, 0, &seen);
    assert_string_equal(seen.text, ISSUE
                        " grant_type=client_credentials&client_id="
                        "1234567890&client_secret=a%2Bb%2Fc%3D");
    assert_string_equal(seen.content_type, "application/x-www-form-urlencoded");
    assert_string_equal(seen.authorization, "");
    assert_int_equal(ask(desk, &again, 0), STATUS_OK);
    assert_token(&again, "t-1");
    assert_int_equal(issues(desk), 1);

    line_bench_run_until(&desk->bench, has_shared, desk);
    (void)snprintf(path, sizeof(path), "%s/tokens", desk->bench.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    (void)snprintf(path, sizeof(path), "%s/tokens/default.json",
                   desk->bench.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_all_wait_for_one(void **state)
{
    static const struct test_answer answers[] = {TOKEN("t-1"), TOKEN("t-2")};
    struct desk *desk = *state;
    struct waiter waiters[10], left;

    script(desk, answers, 2);
    assert_int_equal(ask(desk, &left, 0), STATUS_AGAIN);
    for (size_t i = 0; i < ARRAY_COUNT(waiters); i++)
        assert_int_equal(ask(desk, &waiters[i], 0), STATUS_AGAIN);
    line_token_cancel(&left.wait);
    line_token_cancel(&left.wait);
    for (size_t i = 0; i < ARRAY_COUNT(waiters); i++) {
        wait_for(desk, &waiters[i]);
        assert_token(&waiters[i], "t-1");
    }
    assert_int_equal(left.dones, 0);
    assert_int_equal(issues(desk), 1);
}

/* As another worker would leave it. */
static void share(struct desk *desk, const char *text, int64_t issued_ms)
{
    struct line_token_record record = {
        .issued_ms = issued_ms,
        .expires_ms = issued_ms + LIFE_MS,
    };
    struct line_token_file file;
    enum status status;

    (void)str_copy(record.text, sizeof(record.text), text);
    assert_int_equal(
        line_token_file_init(&file, desk->bench.dir, desk->channel), STATUS_OK);
    do
        status = line_token_file_lock(&file); /* it may just be left */
    while (status == STATUS_BUSY);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(line_token_file_write(&file, &record), STATUS_OK);
    line_token_file_unlock(&file);
}

static bool has_asked_twice(void *arg)
{
    return issues(arg) == 2 && has_shared(arg);
}

/* Near its end it is still handed out, while the next is on its way. */
static void test_renewed_ahead(void **state)
{
    static const struct test_answer answers[] = {TOKEN("t-1"), TOKEN("t-2"),
                                                 TOKEN("t-3")};
    struct desk *desk = *state;
    struct waiter waiter;

    script(desk, answers, 3);
    waiter = get(desk, 0);
    assert_token(&waiter, "t-1");
    line_bench_run_until(&desk->bench, has_shared, desk);
    desk->now_ms += LIFE_MS - LINE_TOKEN_RENEW_MS - 1;
    waiter = get(desk, 0);
    assert_token(&waiter, "t-1");
    desk->now_ms += 1;
    assert_int_equal(ask(desk, &waiter, 0), STATUS_OK);
    assert_token(&waiter, "t-1");
    line_bench_run_until(&desk->bench, has_asked_twice, desk);
    waiter = get(desk, 0);
    assert_token(&waiter, "t-2");
    desk->now_ms += LIFE_MS - LINE_TOKEN_MARGIN_MS;
    assert_int_equal(ask(desk, &waiter, 0), STATUS_AGAIN);
    wait_for(desk, &waiter);
    assert_token(&waiter, "t-3");
}

static void test_taken_from_the_pool(void **state)
{
    struct desk *desk = *state;
    struct waiter waiter;

    share(desk, "t-pool", desk->now_ms - 300000);
    waiter = get(desk, 0);
    assert_token(&waiter, "t-pool");
    assert_int_equal(issues(desk), 0);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* What is in the file is of no use: then LINE is asked. */
static void test_useless_in_the_pool(void **state)
{
    static const struct test_answer answers[] = {TOKEN("t-1")};
    static const char *const names[] = {"old", "broken", "foreign"};
    struct desk *desk = *state;
    struct config_channel *channels =
        calloc(ARRAY_COUNT(names), sizeof(*channels));
    char path[PATH_BYTES];

    assert_non_null(channels);
    desk->spare_channels = channels;
    script(desk, answers, 1);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct waiter waiter;

        channels[i] = desk->bench.channel;
        (void)str_copy(channels[i].name, sizeof(channels[i].name), names[i]);
        desk->channel = &channels[i];
        share(desk, "t-old", desk->now_ms - (i == 0 ? LIFE_MS : 0));
        (void)snprintf(path, sizeof(path), "%s/tokens/broken.json",
                       desk->bench.dir);
        if (i == 1)
            write_file(path, "{\"acc");
        if (i == 2)
            (void)str_copy(channels[i].channel_id,
                           sizeof(channels[i].channel_id), "99");
        waiter = get(desk, 0);
        assert_token(&waiter, "t-1");
        assert_int_equal(issues(desk), i + 1);
        line_bench_run_until(&desk->bench, has_shared, desk);
    }
}

/* Ten calls find the token refused; LINE is asked for one. */
static void test_refused(void **state)
{
    static const struct test_answer answers[] = {TOKEN("t-1"), TOKEN("t-2")};
    struct desk *desk = *state;
    struct waiter waiters[10], waiter;
    uint64_t old;

    script(desk, answers, 2);
    share(desk, "t-old", desk->now_ms - 300000);
    waiter = get(desk, 0);
    assert_token(&waiter, "t-old");
    old = waiter.generation;
    for (size_t i = 0; i < ARRAY_COUNT(waiters); i++)
        assert_int_equal(ask(desk, &waiters[i], i < 9 ? old : 0), STATUS_AGAIN);
    for (size_t i = 0; i < ARRAY_COUNT(waiters); i++) {
        wait_for(desk, &waiters[i]);
        assert_token(&waiters[i], "t-1");
    }
    assert_int_equal(ask(desk, &waiter, old), STATUS_OK); /* came late */
    assert_token(&waiter, "t-1");
    assert_int_equal(issues(desk), 1);

    /* the new one, too: not again at once */
    assert_int_equal(ask(desk, &waiter, waiters[0].generation),
                     STATUS_UNAUTHORIZED);
    assert_int_equal(ask(desk, &waiter, 0), STATUS_OK);
    line_bench_run_until(&desk->bench, has_shared, desk);
    desk->now_ms += LINE_TOKEN_RENEW_MIN_MS;
    assert_int_equal(ask(desk, &waiter, waiters[0].generation), STATUS_AGAIN);
    wait_for(desk, &waiter);
    assert_token(&waiter, "t-2");
    assert_int_equal(issues(desk), 2);
}

/* Another worker was faster: its token is in the file. */
static void test_refused_and_replaced_by_another(void **state)
{
    struct desk *desk = *state;
    struct waiter waiter;

    share(desk, "t-old", desk->now_ms - 300000);
    waiter = get(desk, 0);
    share(desk, "t-new", desk->now_ms - 5);
    assert_int_equal(ask(desk, &waiter, waiter.generation), STATUS_AGAIN);
    wait_for(desk, &waiter);
    assert_token(&waiter, "t-new");
    assert_int_equal(issues(desk), 0);
}

/* ---- failures */

struct second_try {
    struct waiter waiter;
    struct desk *desk;
    enum status status;
};

/* In the same turn of the loop, so the clock stands still. */
static void ask_again(struct line_token_wait *wait, enum status status,
                      const struct line_token *token)
{
    struct second_try *try = CONTAINER_OF(wait, struct second_try, waiter.wait);
    struct waiter second;

    on_token(wait, status, token);
    try->status = ask(try->desk, &second, 0);
}

static void test_failures(void **state)
{
    static const struct {
        struct test_answer answer;
        enum status expected;
    } rows[] = {
        {{.status = 400}, STATUS_REFUSED},
        {{.status = 401}, STATUS_UNAUTHORIZED},
        {{.status = 429}, STATUS_RATE_LIMITED},
        {{.status = 500}, STATUS_SERVER_ERROR},
        {{.drop = true}, STATUS_NETWORK},
        {{TEXT("<html>")}, STATUS_SERVER_ERROR},
        {{TEXT("{\"access_token\":\"a b\",\"expires_in\":900}")},
         STATUS_SERVER_ERROR},
        {{TEXT("{\"access_token\":\"a\",\"expires_in\":0}")},
         STATUS_SERVER_ERROR},
        {{TEXT("{\"access_token\":\"a\"}")}, STATUS_SERVER_ERROR},
        {{TEXT("{\"expires_in\":900}")}, STATUS_SERVER_ERROR},
    };
    struct test_answer answers[ARRAY_COUNT(rows)];
    struct config_channel *channels =
        calloc(ARRAY_COUNT(rows), sizeof(*channels));
    struct desk *desk = *state;

    assert_non_null(channels);
    desk->spare_channels = channels;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        answers[i] = rows[i].answer;
    script(desk, answers, ARRAY_COUNT(rows));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct second_try try = {.desk = desk, .status = STATUS_OK};
        struct line_token token;

        channels[i] = desk->bench.channel;
        (void)snprintf(channels[i].name, sizeof(channels[i].name), "c%zu", i);
        desk->channel = &channels[i];
        try.waiter.wait.done = ask_again;
        assert_int_equal(line_token_get(desk->tokens, desk->channel, 0,
                                        &try.waiter.wait, &token),
                         STATUS_AGAIN);
        wait_for(desk, &try.waiter);
        assert_int_equal(try.waiter.status, rows[i].expected);
        assert_int_equal(try.status, rows[i].expected);
        assert_int_equal(issues(desk), i + 1);
    }
}

/* A state directory that is none, or is not wanted: tokens all the same. */
static void test_without_files(void **state)
{
    static const struct test_answer answers[] = {TOKEN("t-1"), TOKEN("t-2")};
    struct desk *desk = *state;
    struct waiter waiter;
    char path[PATH_BYTES];
    int fd;

    script(desk, answers, 2);
    (void)snprintf(path, sizeof(path), "%s/file", desk->bench.dir);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    line_tokens_free(desk->tokens);
    open_tokens(desk, path);
    waiter = get(desk, 0);
    assert_token(&waiter, "t-1");
    desk->earlier = desk->tokens;
    open_tokens(desk, NULL);
    waiter = get(desk, 0);
    assert_token(&waiter, "t-2");
}

static bool has_asked(void *arg)
{
    return issues(arg) == 1;
}

/* tear_down() ends it while LINE is being asked and the lock is held. */
static void test_ended_meanwhile(void **state)
{
    static const struct test_answer never[] = {{.silent = true}};
    struct desk *desk = *state;
    struct waiter waiter;

    script(desk, never, 1);
    assert_int_equal(ask(desk, &waiter, 0), STATUS_AGAIN);
    line_bench_run_until(&desk->bench, has_asked, desk);
    line_token_cancel(&waiter.wait);
    assert_int_equal(waiter.dones, 0);
}

/* Settings that are read again, with the same credentials and with others. */
static void test_settings_come_and_go(void **state)
{
    static const struct test_answer answers[] = {TOKEN("t-1"), TOKEN("t-2"),
                                                 TOKEN("t-3"), TOKEN("t-4")};
    static const char *const secrets[] = {"new", "newer"};
    struct desk *desk = *state;
    struct config_channel first = desk->bench.channel, later = first;
    struct waiter waiter;

    script(desk, answers, 4);
    line_tokens_free(desk->tokens);
    open_tokens(desk, NULL);
    waiter = get(desk, 0);
    assert_token(&waiter, "t-1");
    desk->channel = &first;
    assert_int_equal(ask(desk, &waiter, 0), STATUS_OK);
    assert_token(&waiter, "t-1");
    for (size_t i = 0; i < 2; i++) {
        (void)str_copy(later.secrets[0], sizeof(later.secrets[0]), secrets[i]);
        desk->channel = &later;
        waiter = get(desk, 0);
        assert_int_equal(issues(desk), 2 + i);
    }
    /* What was replaced is not kept. */
    desk->channel = &first;
    waiter = get(desk, 0);
    assert_token(&waiter, "t-4");
}

/* ---- given, and from a file */

static void test_given(void **state)
{
    struct desk *desk = *state;
    struct waiter waiter;

    (void)str_copy(desk->bench.channel.access_token,
                   sizeof(desk->bench.channel.access_token), "given");
    assert_int_equal(ask(desk, &waiter, 0), STATUS_OK);
    assert_token(&waiter, "given");
    assert_int_equal(ask(desk, &waiter, waiter.generation),
                     STATUS_UNAUTHORIZED);
    assert_int_equal(ask(desk, &waiter, 0), STATUS_OK);
    assert_int_equal(issues(desk), 0);
}

static void test_from_a_file(void **state)
{
    struct desk *desk = *state;
    struct config_channel *channel = &desk->bench.channel;
    struct waiter waiter;

    (void)str_copy(channel->access_token, sizeof(channel->access_token), "one");
    (void)snprintf(channel->access_token_file,
                   sizeof(channel->access_token_file), "%s/secret",
                   desk->bench.dir);
    write_file(channel->access_token_file, "two\r\n");
    assert_int_equal(ask(desk, &waiter, 0), STATUS_OK);
    assert_token(&waiter, "one");
    waiter = get(desk, waiter.generation);
    assert_token(&waiter, "two");
    assert_int_equal(ask(desk, &waiter, waiter.generation), STATUS_AGAIN);
    wait_for(desk, &waiter);
    assert_int_equal(waiter.status, STATUS_UNAUTHORIZED);
    assert_int_equal(ask(desk, &waiter, 0), STATUS_OK);
    assert_token(&waiter, "two"); /* LINE may have been wrong */
}

static void test_from_a_file_that_is_gone(void **state)
{
    struct desk *desk = *state;
    struct config_channel *channel = &desk->bench.channel;
    struct waiter waiter;

    (void)str_copy(channel->access_token, sizeof(channel->access_token), "one");
    (void)snprintf(channel->access_token_file,
                   sizeof(channel->access_token_file), "%s/none",
                   desk->bench.dir);
    waiter = get(desk, 0);
    waiter = get(desk, waiter.generation);
    assert_int_equal(waiter.status, STATUS_UNAUTHORIZED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_age),
        TEST(test_issue),
        TEST(test_all_wait_for_one),
        TEST(test_renewed_ahead),
        TEST(test_taken_from_the_pool),
        TEST(test_useless_in_the_pool),
        TEST(test_refused),
        TEST(test_refused_and_replaced_by_another),
        TEST(test_failures),
        TEST(test_without_files),
        TEST(test_ended_meanwhile),
        TEST(test_settings_come_and_go),
        TEST(test_given),
        TEST(test_from_a_file),
        TEST(test_from_a_file_that_is_gone),
    };

    return cmocka_run_group_tests_name("line_token", tests, NULL, NULL);
}
