/*
 * line_double.h: a stand-in for both of LINE's hosts that answers as a test
 * says and remembers what it was asked.
 *
 *   static const struct test_answer answers[] = {{.status = 500}, {0}};
 *
 *   line = line_double_start();
 *   line_double_script(line, "POST /v2/bot/message/reply", answers, 2);
 *   ... line_double_url(line) as api_url and data_api_url ...
 *   assert_int_equal(line_double_count(line, "POST"), 2);
 *   line_double_stop(line);
 *
 * A request is matched as one text: "METHOD path body". The first script whose
 * words occur in it answers; its answers come in order and the last one for
 * ever. What no script matches is answered with 418.
 *
 * For the test's thread. Failed checks fail the running test.
 */
#ifndef DARKROOM_TEST_LINE_DOUBLE_H
#define DARKROOM_TEST_LINE_DOUBLE_H

#include "test_server.h"

struct line_double;

struct line_seen {
    char text[4096]; /* "METHOD path body" */
    char authorization[128];
    char content_type[64];
    char retry_key[64];
};

struct line_double *line_double_start(void);
void line_double_stop(struct line_double *line);

/* No slash at the end. */
const char *line_double_url(const struct line_double *line);

/* `words` and `answers` are lent until the double is stopped. */
void line_double_script(struct line_double *line, const char *words,
                        const struct test_answer *answers, size_t count);

/* Requests with this access token are answered with 401, whatever the scripts
 * say. `token` is lent as well. */
void line_double_refuse(struct line_double *line, const char *token);

/* How many requests so far have these words in their text. */
size_t line_double_count(struct line_double *line, const char *words);

/* The first, second, ... (`nth` from 0) of them; it must be there. */
void line_double_seen(struct line_double *line, const char *words, size_t nth,
                      struct line_seen *seen);

#endif
