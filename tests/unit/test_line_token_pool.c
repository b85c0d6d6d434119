/*
 * line_token in several processes: LINE is asked once, and a worker that dies
 * with the lock in its hand keeps nobody waiting.
 *
 * The workers are forked before this process has any thread, and wait on a pipe
 * for their orders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../helper/line_double.h"
#include "../helper/test_dir.h"
#include "line_token.h"

#define WORKERS 4
#define ISSUE "POST /oauth2/v3/token"
#define GUARD_S 60 /* a test that hangs fails */
#define TOKEN(name)                                                            \
    {                                                                          \
        .status = 200,                                                         \
        .body = "{\"access_token\":\"" name "\",\"expires_in\":900}",          \
        .len =                                                                 \
            sizeof("{\"access_token\":\"" name "\",\"expires_in\":900}") - 1,  \
        .pause_ms = 300, .step = 20                                            \
    }

struct orders {
    char url[64];
    char dir[TEST_DIR_MAX];
};

/* What a worker got. */
struct report {
    enum status status;
    char text[32];
};

struct worker {
    pid_t pid;
    int orders, reports; /* our ends of the pipes */
};

struct pool {
    struct worker workers[WORKERS];
    struct line_double *line;
    struct orders orders;
};

/* ---- a worker */

struct desk {
    struct loop *loop;
    struct line_token_wait wait;
    struct report report;
};

static void on_token(struct line_token_wait *wait, enum status status,
                     const struct line_token *token)
{
    struct desk *desk = CONTAINER_OF(wait, struct desk, wait);

    desk->report.status = status;
    (void)snprintf(desk->report.text, sizeof(desk->report.text), "%s",
                   token != NULL ? token->text : "");
    loop_stop(desk->loop);
}

static bool get_token(struct desk *desk, struct line_tokens_options *options)
{
    static const struct config_channel channel = {
        .name = "default",
        .channel_id = "1",
        .secrets = {"s"},
        .secret_count = 1,
    };
    struct http_options http = {.user_agent = "test"};
    struct line_tokens *tokens = NULL;
    struct line_token token;
    bool done;

    done = loop_new(&options->loop) == STATUS_OK &&
           offload_new(&options->offload, options->loop, 1) == STATUS_OK &&
           http_new(&options->http, options->loop, &http) == STATUS_OK &&
           line_tokens_new(&tokens, options) == STATUS_OK;
    desk->loop = options->loop;
    desk->wait.done = on_token;
    done = done &&
           line_token_get(tokens, &channel, 0, &desk->wait, &token) ==
               STATUS_AGAIN &&
           loop_run(options->loop) == STATUS_OK;
    offload_free(options->offload);
    line_tokens_free(tokens);
    http_free(options->http);
    loop_free(options->loop);
    return done;
}

static int work(int in, int out)
{
    struct desk desk = {.loop = NULL};
    struct line_tokens_options options = {.loop = NULL};
    struct orders orders;

    if (read(in, &orders, sizeof(orders)) != sizeof(orders))
        return 0; /* not needed */
    options.api_url = orders.url;
    options.state_dir = orders.dir;
    if (!get_token(&desk, &options) ||
        write(out, &desk.report, sizeof(desk.report)) != sizeof(desk.report))
        return 1;
    return 0;
}

/* ---- the pool */

static void hire(struct pool *pool, size_t n)
{
    struct worker *worker = &pool->workers[n];
    int in[2], out[2];

    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    worker->pid = fork();
    assert_true(worker->pid >= 0);
    if (worker->pid == 0) {
        (void)alarm(GUARD_S);
        close(in[1]);
        close(out[0]);
        for (size_t i = 0; i < n; i++) {
            close(pool->workers[i].orders);
            close(pool->workers[i].reports);
        }
        _exit(work(in[0], out[1]));
    }
    close(in[0]);
    close(out[1]);
    worker->orders = in[1];
    worker->reports = out[0];
}

static int set_up(void **state)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    assert_non_null(pool);
    for (size_t i = 0; i < WORKERS; i++)
        hire(pool, i);
    pool->line = line_double_start();
    test_dir_make(pool->orders.dir);
    (void)str_copy(pool->orders.url, sizeof(pool->orders.url),
                   line_double_url(pool->line));
    *state = pool;
    return 0;
}

static int tear_down(void **state)
{
    struct pool *pool = *state;

    for (size_t i = 0; i < WORKERS; i++) {
        close(pool->workers[i].orders);
        close(pool->workers[i].reports);
        (void)waitpid(pool->workers[i].pid, NULL, 0);
    }
    line_double_stop(pool->line);
    test_dir_remove(pool->orders.dir);
    free(pool);
    return 0;
}

static void order(struct pool *pool, size_t n)
{
    assert_int_equal(
        write(pool->workers[n].orders, &pool->orders, sizeof(pool->orders)),
        sizeof(pool->orders));
}

static void assert_report(struct pool *pool, size_t n, const char *text)
{
    struct report report;

    assert_int_equal(read(pool->workers[n].reports, &report, sizeof(report)),
                     sizeof(report));
    assert_int_equal(report.status, STATUS_OK);
    assert_string_equal(report.text, text);
}

static void wait_for_question(struct pool *pool)
{
    const struct timespec nap = {.tv_nsec = 5000000};

    for (int i = 0; line_double_count(pool->line, ISSUE) == 0; i++) {
        assert_in_range(i, 0, GUARD_S * 200);
        (void)nanosleep(&nap, NULL);
    }
}

static void test_one_asks_for_all(void **state)
{
    static const struct test_answer answers[] = {TOKEN("t-1"), TOKEN("t-2")};
    struct pool *pool = *state;

    line_double_script(pool->line, ISSUE, answers, 2);
    for (size_t i = 0; i < WORKERS; i++)
        order(pool, i);
    for (size_t i = 0; i < WORKERS; i++)
        assert_report(pool, i, "t-1");
    assert_int_equal(line_double_count(pool->line, ISSUE), 1);
}

/* The first is killed while LINE has its question and it has the lock. */
static void test_death_frees_the_lock(void **state)
{
    static const struct test_answer answers[] = {{.silent = true},
                                                 TOKEN("t-2")};
    struct pool *pool = *state;

    line_double_script(pool->line, ISSUE, answers, 2);
    order(pool, 0);
    wait_for_question(pool);
    for (size_t i = 1; i < WORKERS; i++)
        order(pool, i);
    assert_int_equal(line_double_count(pool->line, ISSUE), 1);
    assert_int_equal(kill(pool->workers[0].pid, SIGKILL), 0);
    for (size_t i = 1; i < WORKERS; i++)
        assert_report(pool, i, "t-2");
    assert_int_equal(line_double_count(pool->line, ISSUE), 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_asks_for_all),
        TEST(test_death_frees_the_lock),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("line_token_pool", tests, NULL, NULL);
}
