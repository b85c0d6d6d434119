/*
 * line_double.c: a handler of the test server, and two lists under a lock.
 */
#include "line_double.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#define SCRIPTS_MAX 8
#define SEEN_MAX 64

struct script {
    const char *words;
    const struct test_answer *answers;
    size_t count, used;
};

struct line_double {
    struct test_server *server;
    char url[64];
    pthread_mutex_t lock; /* guards the rest */
    struct script scripts[SCRIPTS_MAX];
    size_t script_count;
    const char *refused; /* access token, or NULL */
    struct line_seen seen[SEEN_MAX];
    size_t seen_count; /* also of those that did not fit */
};

static void remember(struct line_double *line, const struct line_seen *seen)
{
    if (line->seen_count < SEEN_MAX)
        line->seen[line->seen_count] = *seen;
    line->seen_count++;
}

static bool is_refused(const struct line_double *line,
                       const struct line_seen *seen)
{
    return line->refused != NULL &&
           strncmp(seen->authorization, "Bearer ", 7) == 0 &&
           str_eq(seen->authorization + 7, line->refused);
}

static void choose(struct line_double *line, const struct line_seen *seen,
                   struct test_answer *answer)
{
    *answer = (struct test_answer){.status = 418};
    if (is_refused(line, seen)) {
        answer->status = 401;
        return;
    }
    for (size_t i = 0; i < line->script_count; i++) {
        struct script *script = &line->scripts[i];

        if (strstr(seen->text, script->words) == NULL)
            continue;
        *answer = script->answers[script->used];
        if (script->used + 1 < script->count)
            script->used++;
        return;
    }
}

static bool handle(void *arg, const struct test_request *request,
                   struct test_answer *answer)
{
    struct line_double *line = arg;
    struct line_seen seen;

    (void)snprintf(seen.text, sizeof(seen.text), "%s %s %s", request->method,
                   request->path, request->body);
    (void)snprintf(seen.authorization, sizeof(seen.authorization), "%s",
                   request->authorization);
    (void)snprintf(seen.content_type, sizeof(seen.content_type), "%s",
                   request->content_type);
    (void)snprintf(seen.retry_key, sizeof(seen.retry_key), "%s",
                   request->retry_key);
    pthread_mutex_lock(&line->lock);
    remember(line, &seen);
    choose(line, &seen, answer);
    pthread_mutex_unlock(&line->lock);
    return true;
}

struct line_double *line_double_start(void)
{
    struct line_double *line = calloc(1, sizeof(*line));

    assert_non_null(line);
    pthread_mutex_init(&line->lock, NULL);
    line->server = test_server_start(NULL, NULL);
    assert_non_null(line->server);
    (void)snprintf(line->url, sizeof(line->url), "http://127.0.0.1:%d",
                   test_server_port(line->server));
    test_server_set_handler(line->server, handle, line);
    return line;
}

void line_double_stop(struct line_double *line)
{
    if (line == NULL)
        return;
    test_server_stop(line->server);
    pthread_mutex_destroy(&line->lock);
    free(line);
}

const char *line_double_url(const struct line_double *line)
{
    return line->url;
}

void line_double_script(struct line_double *line, const char *words,
                        const struct test_answer *answers, size_t count)
{
    assert_in_range(count, 1, SEEN_MAX);
    pthread_mutex_lock(&line->lock);
    assert_in_range(line->script_count, 0, SCRIPTS_MAX - 1);
    line->scripts[line->script_count++] =
        (struct script){.words = words, .answers = answers, .count = count};
    pthread_mutex_unlock(&line->lock);
}

void line_double_refuse(struct line_double *line, const char *token)
{
    pthread_mutex_lock(&line->lock);
    line->refused = token;
    pthread_mutex_unlock(&line->lock);
}

/* The lock is held. Returns how many there are, and the nth if it is one. */
static size_t find(const struct line_double *line, const char *words,
                   size_t nth, struct line_seen *seen)
{
    size_t found = 0;

    for (size_t i = 0; i < size_min(line->seen_count, SEEN_MAX); i++) {
        if (strstr(line->seen[i].text, words) == NULL)
            continue;
        if (found++ == nth && seen != NULL)
            *seen = line->seen[i];
    }
    return found;
}

size_t line_double_count(struct line_double *line, const char *words)
{
    size_t found;

    pthread_mutex_lock(&line->lock);
    found = find(line, words, 0, NULL);
    pthread_mutex_unlock(&line->lock);
    return found;
}

void line_double_seen(struct line_double *line, const char *words, size_t nth,
                      struct line_seen *seen)
{
    size_t found;

    pthread_mutex_lock(&line->lock);
    found = find(line, words, nth, seen);
    pthread_mutex_unlock(&line->lock);
    assert_true(found > nth);
}
