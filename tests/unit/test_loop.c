/*
 * The event loop: order, and what callbacks may do to themselves and others.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define TRACE_MAX 64

/* What happened, one letter each. */
static char trace[TRACE_MAX + 1];
static size_t trace_len;

static void note(char c)
{
    assert_true(trace_len < TRACE_MAX);
    trace[trace_len++] = c;
    trace[trace_len] = '\0';
}

static int setup(void **state)
{
    trace_len = 0;
    trace[0] = '\0';
    return loop_new((struct loop **)state) == STATUS_OK ? 0 : -1;
}

static int teardown(void **state)
{
    loop_free(*state);
    return 0;
}

static void run(struct loop *loop)
{
    assert_int_equal(loop_run(loop), STATUS_OK);
}

/* ---- timers */

struct ticker {
    struct loop *loop;
    struct loop_timer timer;
    char letter;
    struct ticker *victim; /* cancelled when this one fires */
    struct ticker *armed;  /* set to now when this one fires */
    int again;             /* times to set itself to the distant past */
    bool stops;
};

static void tick(void *arg)
{
    struct ticker *t = arg;

    note(t->letter);
    if (t->again > 0) {
        t->again--;
        assert_int_equal(loop_timer_set(t->loop, &t->timer, 0), STATUS_OK);
    }
    if (t->victim != NULL)
        loop_timer_cancel(t->loop, &t->victim->timer);
    if (t->armed != NULL)
        assert_int_equal(
            loop_timer_set(t->loop, &t->armed->timer, loop_now_ms(t->loop)),
            STATUS_OK);
    if (t->stops)
        loop_stop(t->loop);
}

static void ticker_init(struct ticker *t, struct loop *loop, char letter)
{
    *t = (struct ticker){.loop = loop, .letter = letter};
    loop_timer_init(&t->timer, tick, t);
}

static void ticker_set(struct ticker *t, int64_t due_ms)
{
    assert_int_equal(loop_timer_set(t->loop, &t->timer, due_ms), STATUS_OK);
}

static void test_timers_fire_by_due_time(void **state)
{
    struct ticker t[5];
    int64_t start_ms = loop_now_ms(*state);
    static const int64_t after_ms[] = {8, 2, 12, 4, 6};

    for (size_t i = 0; i < ARRAY_COUNT(t); i++) {
        ticker_init(&t[i], *state, (char)('a' + i));
        ticker_set(&t[i], start_ms + after_ms[i]);
    }
    t[2].stops = true;
    run(*state);
    assert_string_equal(trace, "bdeac");
    assert_true(loop_now_ms(*state) >= start_ms + 12);
}

static void test_equal_due_times_keep_the_order_of_setting(void **state)
{
    struct ticker t[9];
    int64_t due_ms = loop_now_ms(*state) + 2;

    for (size_t i = 0; i < ARRAY_COUNT(t); i++) {
        ticker_init(&t[i], *state, (char)('a' + i));
        ticker_set(&t[i], due_ms);
    }
    t[8].stops = true;
    run(*state);
    assert_string_equal(trace, "abcdefghi");
}

static void test_setting_again_moves_a_timer(void **state)
{
    struct ticker a, b;
    int64_t now_ms = loop_now_ms(*state);

    ticker_init(&a, *state, 'a');
    ticker_init(&b, *state, 'b');
    ticker_set(&a, now_ms + 1);
    ticker_set(&b, now_ms + 3);
    ticker_set(&a, now_ms + 5);
    assert_true(loop_timer_is_set(&a.timer));
    a.stops = true;
    run(*state);
    assert_string_equal(trace, "ba");
    assert_false(loop_timer_is_set(&a.timer));
}

static void test_a_callback_cancels_a_timer_that_is_due(void **state)
{
    struct ticker a, b, c;
    int64_t now_ms = loop_now_ms(*state);

    ticker_init(&a, *state, 'a');
    ticker_init(&b, *state, 'b');
    ticker_init(&c, *state, 'c');
    a.victim = &b;
    c.stops = true;
    ticker_set(&a, now_ms);
    ticker_set(&b, now_ms);
    ticker_set(&c, now_ms);
    run(*state);
    assert_string_equal(trace, "ac");
    loop_timer_cancel(*state, &b.timer); /* nothing, twice */
}

static void test_a_timer_set_in_a_callback_waits_for_a_turn(void **state)
{
    struct ticker a, b, c;
    int64_t now_ms = loop_now_ms(*state);

    ticker_init(&a, *state, 'a');
    ticker_init(&b, *state, 'b');
    ticker_init(&c, *state, 'c');
    a.armed = &b; /* b, set in a's callback, comes after c */
    b.stops = true;
    ticker_set(&a, now_ms);
    ticker_set(&c, now_ms);
    run(*state);
    assert_string_equal(trace, "acb");
}

static void on_readable_stop(void *arg, uint32_t events)
{
    struct loop *loop = arg;

    assert_true((events & EPOLLIN) != 0);
    note('r');
    loop_stop(loop);
}

static void test_a_busy_timer_does_not_starve_descriptors(void **state)
{
    struct loop_watch watch = {0};
    struct ticker a;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    ticker_init(&a, *state, 'a');
    a.again = 30;
    ticker_set(&a, 0);
    assert_int_equal(
        loop_watch(*state, &watch, fds[0], EPOLLIN, on_readable_stop, *state),
        STATUS_OK);
    run(*state);
    assert_string_equal(trace, "ra"); /* one turn: the descriptor, one tick */
    loop_unwatch(*state, &watch);
    close(fds[0]);
    close(fds[1]);
}

static void test_a_busy_timer_does_not_starve_timers(void **state)
{
    struct ticker a, b;

    ticker_init(&a, *state, 'a');
    ticker_init(&b, *state, 'b');
    a.again = 30;
    b.stops = true;
    ticker_set(&a, 0);
    ticker_set(&b, loop_now_ms(*state));
    run(*state);
    assert_string_equal(trace, "ab");
}

static void test_many_timers_set_and_cancelled(void **state)
{
    static struct ticker t[500];
    uint32_t random = 1;
    int64_t now_ms = loop_now_ms(*state), last_ms = 0;
    size_t left = 0;
    struct ticker end;

    for (size_t i = 0; i < ARRAY_COUNT(t); i++) {
        random = random * 1664525 + 1013904223;
        ticker_init(&t[i], *state, '.');
        ticker_set(&t[i], now_ms + 1000 + (random >> 8) % 1000);
    }
    for (size_t i = 0; i < ARRAY_COUNT(t); i += 3)
        loop_timer_cancel(*state, &t[i].timer);
    for (size_t i = 1; i < ARRAY_COUNT(t); i += 3)
        ticker_set(&t[i], now_ms + 2);
    for (size_t i = 0; i < ARRAY_COUNT(t); i++) {
        left += loop_timer_is_set(&t[i].timer) ? 1 : 0;
        last_ms = int64_max(last_ms, t[i].timer.due_ms);
    }
    assert_int_equal(left, 333);
    assert_true(last_ms >= now_ms + 1000);
    for (size_t i = 1; i < ARRAY_COUNT(t); i += 3)
        loop_timer_cancel(*state, &t[i].timer);
    ticker_init(&end, *state, 'e');
    end.stops = true;
    ticker_set(&end, now_ms + 1);
    run(*state);
    assert_string_equal(trace, "e"); /* none of the others was due */
}

/* ---- descriptors */

struct pair {
    struct loop *loop;
    struct loop_watch watch;
    int fds[2];
    char letter;
    struct pair *victim; /* unwatched in the callback */
    bool reuse;          /* and its descriptor number given to another file */
};

static void pair_open(struct pair *p, struct loop *loop, char letter)
{
    *p = (struct pair){.loop = loop, .letter = letter};
    assert_int_equal(pipe2(p->fds, O_CLOEXEC | O_NONBLOCK), 0);
}

static void pair_close(struct pair *p)
{
    loop_unwatch(p->loop, &p->watch);
    close(p->fds[0]);
    close(p->fds[1]);
}

static void pair_write(struct pair *p)
{
    assert_int_equal(write(p->fds[1], "x", 1), 1);
}

static void pair_ready(void *arg, uint32_t events);

static void pair_watch(struct pair *p)
{
    assert_int_equal(
        loop_watch(p->loop, &p->watch, p->fds[0], EPOLLIN, pair_ready, p),
        STATUS_OK);
}

/* Closes the victim's pipe and opens an empty one under the same numbers. */
static void pair_reopen(struct pair *p)
{
    int old = p->fds[0];

    close(p->fds[0]);
    close(p->fds[1]);
    assert_int_equal(pipe2(p->fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(p->fds[0] == old);
    pair_watch(p);
}

static void pair_ready(void *arg, uint32_t events)
{
    struct pair *p = arg;
    char c;

    assert_true((events & EPOLLIN) != 0);
    assert_int_equal(read(p->fds[0], &c, 1), 1);
    note(p->letter);
    if (p->victim == NULL || p->victim->watch.fd < 0)
        return;
    loop_unwatch(p->loop, &p->victim->watch);
    if (p->reuse)
        pair_reopen(p->victim);
}

static void test_a_watch_taken_off_in_the_batch_stays_silent(void **state)
{
    struct pair a, b;
    struct ticker end;

    pair_open(&a, *state, 'a');
    pair_open(&b, *state, 'b');
    a.victim = &b;
    b.victim = &a;
    pair_watch(&a);
    pair_watch(&b);
    pair_write(&a);
    pair_write(&b);
    ticker_init(&end, *state, '.');
    end.stops = true;
    ticker_set(&end, loop_now_ms(*state) + 5);
    run(*state);
    assert_int_equal(strlen(trace), 2); /* "a." or "b.", never both */
    pair_close(&a);
    pair_close(&b);
}

/* An event of the old pipe must not reach the new one of the same number: its
 * callback would fail to read. */
static void test_a_stale_event_does_not_reach_a_reused_number(void **state)
{
    struct pair a, b;
    struct ticker end;

    pair_open(&a, *state, 'a');
    pair_open(&b, *state, 'b');
    a.victim = &b;
    b.victim = &a;
    a.reuse = true;
    b.reuse = true;
    pair_watch(&a);
    pair_watch(&b);
    pair_write(&a);
    pair_write(&b);
    ticker_init(&end, *state, '.');
    end.stops = true;
    ticker_set(&end, loop_now_ms(*state) + 5);
    run(*state);
    assert_int_equal(strlen(trace), 2);
    pair_close(&a);
    pair_close(&b);
}

/* The old owner of a number is late to say so; the new one keeps its watch. */
static void test_a_late_unwatch_does_no_harm(void **state)
{
    struct pair a, b;
    struct ticker end;

    pair_open(&a, *state, 'a');
    pair_watch(&a);
    close(a.fds[0]);
    close(a.fds[1]);
    pair_open(&b, *state, 'b');
    assert_true(a.watch.fd == b.fds[0]);
    pair_watch(&b);
    loop_unwatch(*state, &a.watch);
    assert_true(a.watch.fd == -1);
    pair_write(&b);
    ticker_init(&end, *state, '.');
    end.stops = true;
    ticker_set(&end, loop_now_ms(*state) + 5);
    run(*state);
    assert_string_equal(trace, "b.");
    pair_close(&b);
}

static void on_writable(void *arg, uint32_t events)
{
    struct pair *p = arg;

    assert_true((events & EPOLLOUT) != 0);
    note('w');
    loop_stop(p->loop);
}

static void test_rewatch_changes_the_events(void **state)
{
    struct pair p;

    pair_open(&p, *state, 'p');
    assert_int_equal(loop_watch(*state, &p.watch, p.fds[1], 0, on_writable, &p),
                     STATUS_OK);
    assert_int_equal(loop_rewatch(*state, &p.watch, EPOLLOUT), STATUS_OK);
    run(*state);
    assert_string_equal(trace, "w");
    pair_close(&p);
}

static void test_what_cannot_be_watched_is_refused(void **state)
{
    struct loop_watch watch = {0};
    struct pair p;

    assert_int_equal(loop_watch(*state, &watch, -1, EPOLLIN, pair_ready, NULL),
                     STATUS_BUG);
    pair_open(&p, *state, 'p');
    pair_watch(&p);
    assert_int_equal(
        loop_watch(*state, &watch, p.fds[0], EPOLLIN, pair_ready, NULL),
        STATUS_IO);               /* watched already */
    loop_unwatch(*state, &watch); /* never watched: nothing */
    pair_write(&p);
    p.victim = &p;
    loop_stop(*state); /* stops the next run before its first turn */
    run(*state);
    assert_string_equal(trace, "");
    pair_close(&p);
}

static void test_without_descriptors_there_is_no_loop(void **state)
{
    struct loop *loop = NULL;
    struct rlimit usual;
    int low;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    low = dup(STDERR_FILENO); /* the lowest number that is free */
    assert_true(low >= 0);
    close(low);
    for (rlim_t more = 0; more < 2; more++) {
        struct rlimit few = {(rlim_t)low + more, usual.rlim_max};

        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        assert_int_equal(loop_new(&loop), STATUS_BUSY);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
        assert_null(loop);
        assert_int_equal(dup(STDERR_FILENO),
                         low); /* what was opened is closed */
        close(low);
    }
}

static void test_a_high_descriptor_number(void **state)
{
    struct pair p;
    int high;

    pair_open(&p, *state, 'p');
    high = fcntl(p.fds[0], F_DUPFD_CLOEXEC, 900);
    assert_true(high >= 900);
    close(p.fds[0]);
    p.fds[0] = high;
    assert_int_equal(
        loop_watch(*state, &p.watch, high, EPOLLIN, on_readable_stop, *state),
        STATUS_OK);
    pair_write(&p);
    run(*state);
    assert_string_equal(trace, "r");
    pair_close(&p);
}

/* ---- posted calls */

#define POSTERS 4
#define POSTS 500

struct post {
    struct loop_call call;
    struct poster *poster;
    int number;
};

struct poster {
    struct loop *loop;
    pthread_t thread;
    struct post posts[POSTS];
    int next; /* number expected */
    int *left;
};

static void on_post(struct loop_call *call)
{
    struct post *post = CONTAINER_OF(call, struct post, call);

    assert_int_equal(post->number, post->poster->next);
    post->poster->next++;
    if (--*post->poster->left == 0)
        loop_stop(post->poster->loop);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;

    for (int i = 0; i < POSTS; i++)
        loop_post(poster->loop, &poster->posts[i].call);
    return NULL;
}

static void test_posts_of_many_threads_keep_their_order(void **state)
{
    struct poster *posters = calloc(POSTERS, sizeof(*posters));
    int left = POSTERS * POSTS;

    assert_non_null(posters);
    for (int i = 0; i < POSTERS; i++) {
        posters[i].loop = *state;
        posters[i].left = &left;
        for (int k = 0; k < POSTS; k++) {
            posters[i].posts[k].call.fn = on_post;
            posters[i].posts[k].poster = &posters[i];
            posters[i].posts[k].number = k;
        }
        assert_int_equal(
            pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    run(*state);
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
    assert_int_equal(left, 0);
    free(posters);
}

struct chain {
    struct loop *loop;
    struct loop_call call;
    int left;
};

/* Posts itself again: its struct is free to use once the call began. */
static void on_chain(struct loop_call *call)
{
    struct chain *chain = CONTAINER_OF(call, struct chain, call);

    note('p');
    if (--chain->left > 0)
        loop_post(chain->loop, call);
    else
        loop_stop(chain->loop);
}

static void test_a_call_may_post_itself(void **state)
{
    struct chain chain = {*state, {NULL, on_chain}, 3};

    loop_post(*state, &chain.call);
    run(*state);
    assert_string_equal(trace, "ppp");
}

static void *stop_from_afar(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void test_another_thread_stops_it_and_it_runs_again(void **state)
{
    pthread_t thread;
    struct ticker a;

    assert_int_equal(pthread_create(&thread, NULL, stop_from_afar, *state), 0);
    run(*state);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ticker_init(&a, *state, 'a');
    a.stops = true;
    ticker_set(&a, loop_now_ms(*state) + 1);
    run(*state);
    assert_string_equal(trace, "a");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_timers_fire_by_due_time),
        TEST(test_equal_due_times_keep_the_order_of_setting),
        TEST(test_setting_again_moves_a_timer),
        TEST(test_a_callback_cancels_a_timer_that_is_due),
        TEST(test_a_timer_set_in_a_callback_waits_for_a_turn),
        TEST(test_a_busy_timer_does_not_starve_descriptors),
        TEST(test_a_busy_timer_does_not_starve_timers),
        TEST(test_many_timers_set_and_cancelled),
        TEST(test_a_watch_taken_off_in_the_batch_stays_silent),
        TEST(test_a_stale_event_does_not_reach_a_reused_number),
        TEST(test_a_late_unwatch_does_no_harm),
        TEST(test_rewatch_changes_the_events),
        TEST(test_what_cannot_be_watched_is_refused),
        TEST(test_without_descriptors_there_is_no_loop),
        TEST(test_a_high_descriptor_number),
        TEST(test_posts_of_many_threads_keep_their_order),
        TEST(test_a_call_may_post_itself),
        TEST(test_another_thread_stops_it_and_it_runs_again),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
