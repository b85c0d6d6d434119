/*
 * test_intake.c: from a webhook's bytes to rows in the queue, and every reason
 * why nothing is stored. The queue thread, the loop and the store are real; the
 * queue is in memory, and the two that fail are doubles. The engine takes no
 * jobs: rows stay READY as they were put.
 */
#include <fcntl.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../helper/fake_queue.h"
#include "../helper/fake_store.h"
#include "../helper/test_dir.h"
#include "crypto.h"
#include "intake.h"
#include "log.h"
#include "metrics.h"
#include "webhook.h"
#include "webhook_vectors.h"

#define OTHER_SECRET "another channel's secret"

/* A wanted event with these ids, and a body of events. */
#define EVENT(id, message)                                                     \
    "{\"type\":\"message\",\"mode\":\"active\",\"timestamp\":1790000000123,"   \
    "\"source\":{\"type\":\"user\",\"userId\":\"U1\"},\"webhookEventId\":"     \
    "\"" id                                                                    \
    "\",\"deliveryContext\":{\"isRedelivery\":false},"                         \
    "\"replyToken\":\"token-" id                                               \
    "\",\"message\":{\"type\":\"image\","                                      \
    "\"id\":\"" message "\",\"contentProvider\":{\"type\":\"line\"}}}"
#define BODY(events) "{\"destination\":\"U0\",\"events\":[" events "]}"

struct bench {
    char dir[TEST_DIR_MAX];
    struct config config;
    struct config_channel channels[2];
    struct config_live *live;
    struct store *store;
    struct fake_store fake_store;
    struct fake_queue queue;
    struct loop *loop;
    struct queue_thread *queue_thread;
    struct intake intake;
};

static struct bench bench;
static char *const nothing[] = {NULL};

/* ---- fixture */

static void on_claimed(void *arg, const struct queue_lease *leases,
                       size_t count)
{
    (void)arg;
    (void)leases;
    (void)count;
    fail(); /* there is no room */
}

static void name_channel(struct config_channel *channel, const char *name,
                         const char *secret)
{
    *channel = (struct config_channel){.secret_count = 1};
    assert_true(str_copy(channel->name, sizeof(channel->name), name));
    assert_true(str_copy(channel->secrets[0], SECRET_MAX + 1, secret));
}

static int set_up(void **state)
{
    struct queue_thread_options options = {.on_claimed = on_claimed};
    char url[TEST_DIR_MAX + 8], why[TEST_DIR_MAX + 128];

    (void)state;
    bench = (struct bench){0};
    test_dir_make(bench.dir);
    (void)snprintf(url, sizeof(url), "dir:%s", bench.dir);
    assert_int_equal(store_open(&bench.store, url, why, sizeof(why)),
                     STATUS_OK);
    fake_store_init(&bench.fake_store, bench.store);
    fake_queue_open(&bench.queue);
    assert_int_equal(loop_new(&bench.loop), STATUS_OK);
    options.queue = &bench.queue.base;
    options.loop = bench.loop;
    assert_int_equal(queue_thread_start(&bench.queue_thread, &options),
                     STATUS_OK);
    name_channel(&bench.channels[0], "shop", VECTOR_SECRET);
    name_channel(&bench.channels[1], "club", OTHER_SECRET);
    bench.config.channels = bench.channels;
    bench.config.channel_count = 1;
    assert_int_equal(config_live_new(&bench.live, &bench.config, NULL, nothing),
                     STATUS_OK);
    bench.intake = (struct intake){.config = bench.live,
                                   .queue = bench.queue_thread,
                                   .store = &bench.fake_store.base};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    metrics_close(); /* if it was opened */
    queue_thread_free(bench.queue_thread);
    config_live_free(bench.live);
    loop_free(bench.loop);
    fake_queue_close(&bench.queue);
    store_close(bench.store);
    test_dir_remove(bench.dir);
    return 0;
}

/* ---- shorthands */

static const struct webhook_vector *vector(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(webhook_vectors); i++) {
        if (str_eq(webhook_vectors[i].name, name))
            return &webhook_vectors[i];
    }
    fail_msg("no vector %s", name);
    return NULL;
}

/* Vectors are signed with the secret of "shop". */
static enum status accept_vector(const char *name)
{
    const struct webhook_vector *v = vector(name);

    return intake_accept(&bench.intake, "", v->body, strlen(v->body),
                         v->signature);
}

static enum status accept_signed(const char *channel, const char *secret,
                                 const char *body, size_t len)
{
    uint8_t mac[SHA256_BYTES];
    char signature[SHA256_BASE64_SIZE];

    assert_int_equal(crypto_hmac_sha256(secret, strlen(secret), body, len, mac),
                     STATUS_OK);
    crypto_base64_mac(mac, signature);
    return intake_accept(&bench.intake, channel, body, len, signature);
}

static enum status accept_body(const char *body)
{
    return accept_signed("shop", VECTOR_SECRET, body, strlen(body));
}

static void assert_rows(int64_t count)
{
    struct queue_stats stats;

    fake_queue_stats(&bench.queue, &stats);
    assert_int_equal(stats.ready, count);
    assert_int_equal(stats.leased + stats.done + stats.dead, 0);
}

static struct job row_of(int64_t id)
{
    struct job row;

    assert_int_equal(fake_queue_get(&bench.queue, id, &row), STATUS_OK);
    return row;
}

/* ---- what is accepted */

static void test_one_image(void **state)
{
    int64_t before_ms = wall_ms();
    struct job row;

    (void)state;
    assert_int_equal(accept_vector("W2"), STATUS_OK);
    assert_rows(1);
    row = row_of(1);
    assert_string_equal(row.channel, "shop");
    assert_string_equal(row.event_id, "01K2A0000000000000000000A1");
    assert_string_equal(row.message_id, "600000000000000001");
    assert_string_equal(row.reply_token, "11112222333344445555666677778888");
    assert_int_equal(row.source, JOB_SOURCE_USER);
    assert_string_equal(row.source_id, "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(row.event_ms, 1790000000123);
    assert_in_range(row.received_ms, before_ms, wall_ms());
    assert_int_equal(row.state, JOB_READY);
    assert_int_equal(row.stage, JOB_STAGE_FETCH);
    assert_int_equal(row.outcome, JOB_OUTCOME_NONE);
    assert_int_equal(row.attempts, 0);
    assert_false(row.reply_in_doubt);
    assert_string_equal(row.original_name, "");
}

/* A set of two, out of order, and an event of another kind. */
static void test_several_events(void **state)
{
    struct job first, second;

    (void)state;
    assert_int_equal(accept_vector("W3"), STATUS_OK);
    assert_rows(2);
    first = row_of(1);
    second = row_of(2);
    assert_string_equal(first.message_id, "600000000000000012");
    assert_string_equal(first.reply_token, "b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1");
    assert_string_equal(second.message_id, "600000000000000011");
    assert_string_equal(second.reply_token, "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2");
    assert_int_equal(first.set_index, 2);
    assert_int_equal(second.set_index, 1);
    assert_int_equal(second.set_total, 2);
    assert_string_equal(first.set_id, second.set_id);
    assert_string_equal(second.quote_token, "qT_0011");
    assert_string_equal(second.read_token, "mT_0011");
}

static void test_picture_in_a_group(void **state)
{
    static const char body[] =
        "{\"events\":[{\"type\":\"message\",\"mode\":\"active\","
        "\"source\":{\"type\":\"group\",\"groupId\":\"C1\",\"userId\":"
        "\"U1\"},\"webhookEventId\":\"E1\",\"replyToken\":\"t\","
        "\"message\":{\"type\":\"image\",\"id\":\"M1\","
        "\"contentProvider\":{\"type\":\"line\"}}}]}";
    struct job row;

    (void)state;
    assert_int_equal(accept_body(body), STATUS_OK);
    row = row_of(1);
    assert_int_equal(row.source, JOB_SOURCE_GROUP);
    assert_string_equal(row.source_id, "C1");
}

static void test_nothing_wanted(void **state)
{
    static const char *const names[] = {"W1", "W8", "W9"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_int_equal(accept_vector(names[i]), STATUS_OK);
    assert_rows(0);
}

static void test_unsend(void **state)
{
    struct job row;

    (void)state;
    assert_int_equal(accept_vector("W6"), STATUS_OK);
    assert_rows(1);
    row = row_of(1);
    assert_int_equal(row.kind, JOB_UNSEND);
    assert_string_equal(row.message_id, "600000000000000001");
    assert_string_equal(row.reply_token, "");
}

static void test_external_image(void **state)
{
    struct job row;

    (void)state;
    assert_int_equal(accept_vector("W5"), STATUS_OK);
    assert_rows(0); /* the safe default (line-platform 3.4) */
    bench.channels[0].external = 1;
    assert_int_equal(accept_vector("W5"), STATUS_OK);
    assert_rows(1);
    row = row_of(1);
    assert_int_equal(row.kind, JOB_EXTERNAL);
    assert_string_equal(row.external_url, "https://img.example.com/o.jpg");
    assert_string_equal(row.quote_token, "qT_0021");
}

static void test_file(void **state)
{
    struct job row;

    (void)state;
    bench.config.max_input_bytes = 734211;
    assert_int_equal(accept_vector("W7"), STATUS_OK);
    assert_rows(0);
    bench.channels[0].files = 1;
    bench.config.max_input_bytes--;
    assert_int_equal(accept_vector("W7"), STATUS_OK);
    assert_rows(0); /* larger than what would be decoded */
    bench.config.max_input_bytes++;
    assert_int_equal(accept_vector("W7"), STATUS_OK);
    assert_rows(1);
    row = row_of(1);
    assert_int_equal(row.kind, JOB_FILE);
    assert_string_equal(row.read_token, "mT_0031");
}

/* ---- bodies for a bot behind */

static void forward(enum config_forward events)
{
    assert_true(str_copy(bench.channels[0].forward_url, CONFIG_VALUE_MAX,
                         "http://127.0.0.1/bot"));
    bench.channels[0].forward_events = events;
}

/* The next body is that of the vector, byte for byte, and is then done. */
static void assert_forwarded(const char *name)
{
    const struct webhook_vector *v = vector(name);
    struct queue_body *body = NULL;
    struct queue *queue = &bench.queue.base;

    assert_int_equal(queue_begin(queue), STATUS_OK);
    assert_int_equal(queue_body_claim(queue, wall_ms(), 1000, &body),
                     STATUS_OK);
    assert_string_equal(body->channel, "shop");
    assert_string_equal(body->signature, v->signature);
    assert_int_equal(body->body.len, strlen(v->body));
    assert_memory_equal(body->body.data, v->body, body->body.len);
    assert_int_equal(queue_body_end(queue, body->id, QUEUE_BODY_DONE, 0, ""),
                     STATUS_OK);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    queue_body_free(body);
}

static void assert_none_forwarded(void)
{
    struct queue_body *body = NULL;

    assert_int_equal(queue_begin(&bench.queue.base), STATUS_OK);
    assert_int_equal(
        queue_body_claim(&bench.queue.base, wall_ms(), 1000, &body),
        STATUS_NOT_FOUND);
    assert_int_equal(queue_commit(&bench.queue.base), STATUS_OK);
}

static void test_no_body_unless_wanted(void **state)
{
    (void)state;
    assert_int_equal(accept_vector("W2"), STATUS_OK);
    assert_none_forwarded();
}

static void test_every_body(void **state)
{
    static const char *const names[] = {"W1", "W2", "W3", "W8", "W9"};

    (void)state;
    forward(CONFIG_FORWARD_ALL);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        assert_int_equal(accept_vector(names[i]), STATUS_OK);
        assert_forwarded(names[i]);
    }
    assert_rows(3); /* pictures are answered here all the same */
}

/* Those of W2 and W4 are pictures that are answered here, W1 has no events. */
static void test_bodies_with_other_events(void **state)
{
    static const char *const others[] = {"W3", "W5", "W6", "W7", "W8", "W9"};
    static const char *const ours[] = {"W1", "W2", "W4"};

    (void)state;
    forward(CONFIG_FORWARD_OTHER);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        assert_int_equal(accept_vector(others[i]), STATUS_OK);
        assert_forwarded(others[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++)
        assert_int_equal(accept_vector(ours[i]), STATUS_OK);
    bench.channels[0].external = 1;
    assert_int_equal(accept_vector("W5"), STATUS_OK);
    assert_none_forwarded();
}

static void test_no_body_of_a_refused_request(void **state)
{
    const struct webhook_vector *v = vector("W2");

    (void)state;
    forward(CONFIG_FORWARD_ALL);
    assert_int_equal(intake_accept(&bench.intake, "", v->body, strlen(v->body),
                                   vector("W3")->signature),
                     STATUS_BAD_SIGNATURE);
    fake_fault_set(&bench.fake_store.space, 0, 1, STATUS_NO_SPACE);
    assert_int_equal(accept_vector("W1"), STATUS_NO_SPACE);
    assert_none_forwarded();
}

/* The bot behind has been down for long. Its events are LINE's to send again;
 * pictures are answered without it. */
static void test_too_many_bodies_wait(void **state)
{
    struct queue *queue = &bench.queue.base;
    struct queue_body *body = queue_body_new(8);
    struct queue_stats stats;

    (void)state;
    forward(CONFIG_FORWARD_ALL);
    assert_non_null(body);
    assert_true(str_copy(body->channel, sizeof(body->channel), "down"));
    assert_int_equal(queue_begin(queue), STATUS_OK);
    for (size_t i = 0; i < FORWARD_DEPTH_MAX; i++)
        assert_int_equal(queue_body_put(queue, body, wall_ms()), STATUS_OK);
    assert_int_equal(queue_commit(queue), STATUS_OK);
    queue_body_free(body);
    do
        queue_thread_stats(bench.queue_thread, &stats);
    while (stats.bodies < FORWARD_DEPTH_MAX); /* within QUEUE_STATS_MS */
    assert_int_equal(accept_vector("W8"), STATUS_BUSY);
    assert_int_equal(accept_vector("W2"), STATUS_OK);
    assert_rows(1);
    fake_queue_stats(&bench.queue, &stats);
    assert_int_equal(stats.bodies, FORWARD_DEPTH_MAX);
}

/* Nothing is asked of disk and queue for a webhook without work. */
static void test_nothing_wanted_and_no_space(void **state)
{
    (void)state;
    fake_fault_set(&bench.fake_store.space, 0, 9, STATUS_NO_SPACE);
    queue_thread_quiesce(bench.queue_thread);
    assert_int_equal(accept_vector("W1"), STATUS_OK);
    assert_int_equal(accept_vector("W8"), STATUS_OK);
}

static void test_repeated_event(void **state)
{
    int64_t received_ms;
    struct job row;

    (void)state;
    assert_int_equal(accept_vector("W2"), STATUS_OK);
    received_ms = row_of(1).received_ms;
    while (wall_ms() == received_ms)
        continue;
    assert_int_equal(accept_vector("W2"), STATUS_OK);
    assert_int_equal(accept_vector("W4"), STATUS_OK);
    assert_rows(1);
    row = row_of(1); /* with a new minute */
    assert_true(row.received_ms > received_ms);
}

static void test_same_event_twice_in_a_body(void **state)
{
    (void)state;
    assert_int_equal(accept_body(BODY(EVENT("E1", "M1") "," EVENT("E1", "M1"))),
                     STATUS_OK);
    assert_rows(1);
    assert_int_equal(accept_body(BODY(EVENT("E1", "M1") "," EVENT("E1", "M2"))),
                     STATUS_OK);
    assert_rows(2);
}

static void test_two_channels(void **state)
{
    static const char body[] = BODY(EVENT("E1", "M1"));
    size_t len = sizeof(body) - 1;

    (void)state;
    bench.config.channel_count = 2;
    assert_int_equal(accept_signed("shop", VECTOR_SECRET, body, len),
                     STATUS_OK);
    assert_int_equal(accept_signed("club", OTHER_SECRET, body, len), STATUS_OK);
    assert_rows(2);
    assert_string_equal(row_of(1).channel, "shop");
    assert_string_equal(row_of(2).channel, "club");
    assert_int_equal(accept_signed("club", VECTOR_SECRET, body, len),
                     STATUS_BAD_SIGNATURE);
    assert_int_equal(accept_signed("", VECTOR_SECRET, body, len),
                     STATUS_NOT_FOUND); /* neither is called "default" */
    assert_rows(2);
}

static void test_secret_being_replaced(void **state)
{
    struct config_channel *channel = &bench.channels[0];

    (void)state;
    assert_true(str_copy(channel->secrets[0], SECRET_MAX + 1, "new"));
    assert_true(str_copy(channel->secrets[1], SECRET_MAX + 1, VECTOR_SECRET));
    channel->secret_count = 2;
    assert_int_equal(accept_vector("W2"), STATUS_OK);
    channel->secret_count = 1;
    assert_int_equal(accept_vector("W3"), STATUS_BAD_SIGNATURE);
    assert_rows(1);
}

/* ---- what is not */

static void test_unknown_channel(void **state)
{
    const struct webhook_vector *v = vector("W2");

    (void)state;
    assert_int_equal(intake_accept(&bench.intake, "nobody", v->body,
                                   strlen(v->body), v->signature),
                     STATUS_NOT_FOUND);
    assert_rows(0);
}

static void test_signature_is_missing_or_wrong(void **state)
{
    const struct webhook_vector *v = vector("W2");
    const char *wrong[] = {NULL, "", "=", vector("W3")->signature};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_int_equal(intake_accept(&bench.intake, "", v->body,
                                       strlen(v->body), wrong[i]),
                         STATUS_BAD_SIGNATURE);
    assert_int_equal(intake_accept(&bench.intake, "", v->body,
                                   strlen(v->body) - 1, v->signature),
                     STATUS_BAD_SIGNATURE);
    assert_rows(0);
}

static void test_not_a_webhook(void **state)
{
    static const char *const bodies[] = {
        "", "hello", "[]", "{}", "{\"events\":{}}", "{\"events\":[",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++)
        assert_int_equal(accept_body(bodies[i]), STATUS_BAD_INPUT);
    assert_rows(0);
}

/* All or nothing: the good neighbours wait for LINE's redelivery as well. */
/* It does not cost the others their answer. */
static void test_one_malformed_event(void **state)
{
    (void)state;
    assert_int_equal(accept_body(BODY(EVENT("E1", "M1") "," EVENT(
                         "E2", "../x") "," EVENT("E3", "M3"))),
                     STATUS_OK);
    assert_rows(2);
    assert_int_equal(accept_body(BODY(EVENT("E1", "M1") "," EVENT("", "M2"))),
                     STATUS_OK);
    assert_rows(2);
}

static void test_too_large(void **state)
{
    static const char event[] = "{\"type\":\"x\"},";
    struct buf body;

    (void)state;
    buf_init(&body, 2 * WEBHOOK_BODY_MAX_BYTES);
    assert_int_equal(buf_append_str(&body, "{\"events\":["), STATUS_OK);
    for (int i = 0; i < WEBHOOK_EVENTS_MAX; i++)
        assert_int_equal(buf_append_str(&body, event), STATUS_OK);
    assert_int_equal(buf_append_str(&body, EVENT("E1", "M1") "]}"), STATUS_OK);
    assert_int_equal(accept_signed("shop", VECTOR_SECRET, body.data, body.len),
                     STATUS_TOO_LARGE);
    while (body.len <= WEBHOOK_BODY_MAX_BYTES)
        assert_int_equal(buf_append_str(&body, "                "), STATUS_OK);
    assert_int_equal(accept_signed("shop", VECTOR_SECRET, body.data, body.len),
                     STATUS_TOO_LARGE);
    assert_rows(0);
    buf_release(&body);
}

static void test_no_space(void **state)
{
    enum status status;

    (void)state;
    fake_fault_set(&bench.fake_store.space, 0, 1, STATUS_NO_SPACE);
    status = accept_vector("W2");
    assert_int_equal(status, STATUS_NO_SPACE);
    assert_true(status_is_retry(status));
    assert_rows(0);
    assert_int_equal(accept_vector("W2"), STATUS_OK);
    assert_rows(1);
}

/* Whatever of it fails, no event of the body stays. */
static void test_queue_fails(void **state)
{
    static const struct {
        enum fake_call call;
        int after;
        enum status status;
    } faults[] = {
        {FAKE_PUT, 0, STATUS_NO_SPACE},
        {FAKE_PUT, 1, STATUS_IO}, /* the second of two */
        {FAKE_PUT, 1, STATUS_BUG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        fake_queue_fail(&bench.queue, faults[i].call, faults[i].after, 1,
                        faults[i].status);
        assert_int_equal(accept_vector("W3"), faults[i].status);
        assert_rows(0);
    }
    assert_int_equal(accept_vector("W3"), STATUS_OK);
    assert_rows(2);
}

/* The thread may begin for a reason of its own: failures go on until the test
 * has seen one. */
static void test_queue_cannot_commit(void **state)
{
    static const enum fake_call calls[] = {FAKE_BEGIN, FAKE_COMMIT};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++) {
        enum status status;

        fake_queue_fail(&bench.queue, calls[i], 0, INT32_MAX, STATUS_IO);
        status = accept_vector("W3");
        assert_int_equal(status, STATUS_IO);
        assert_true(status_is_retry(status));
        assert_rows(0);
        fake_queue_fail(&bench.queue, calls[i], 0, 0, STATUS_OK);
    }
    assert_int_equal(accept_vector("W3"), STATUS_OK);
    assert_rows(2);
}

static void test_stopping(void **state)
{
    enum status status;

    (void)state;
    queue_thread_quiesce(bench.queue_thread);
    status = accept_vector("W2");
    assert_int_equal(status, STATUS_STOPPING);
    assert_true(status_is_retry(status));
    assert_rows(0);
}

/* ---- whom the webhooks are for */

#define FOR(destination) "{\"destination\":\"" destination "\",\"events\":[]}"
#define VECTORS_BOT "U0123456789abcdef0123456789abcdef" /* of all vectors */
#define OTHER_BOT "Ubbbbbbbbbbbbbbbb0000111122223333"

/* Counting begins; also where the file is. */
static void count_here(char path[TEST_DIR_MAX + 16])
{
    (void)snprintf(path, TEST_DIR_MAX + 16, "%s/" METRICS_FILE, bench.dir);
    assert_int_equal(metrics_open(path), STATUS_OK);
    metrics_name_channel("shop");
}

static void assert_destination(const char *path, const char *wanted)
{
    char known[BOT_ID_LEN + 1];

    assert_int_equal(metrics_read_destination(path, "shop", known), STATUS_OK);
    assert_string_equal(known, wanted);
}

static void test_the_destination_is_kept(void **state)
{
    char path[TEST_DIR_MAX + 16], known[BOT_ID_LEN + 1];

    (void)state;
    count_here(path);
    assert_int_equal(accept_signed("shop", OTHER_SECRET, FOR(OTHER_BOT),
                                   strlen(FOR(OTHER_BOT))),
                     STATUS_BAD_SIGNATURE);
    assert_int_equal(accept_body("{\"destination\":\"" OTHER_BOT "\"}"),
                     STATUS_BAD_INPUT);
    assert_int_equal(accept_body(FOR(WEBHOOK_DESTINATION_NONE)), STATUS_OK);
    assert_int_equal(metrics_read_destination(path, "shop", known),
                     STATUS_NOT_FOUND);
    assert_int_equal(accept_vector("W1"), STATUS_OK);
    assert_destination(path, VECTORS_BOT);
    assert_int_equal(accept_body(FOR(WEBHOOK_DESTINATION_NONE)), STATUS_OK);
    assert_int_equal(accept_body("{\"events\":[]}"), STATUS_OK);
    assert_destination(path, VECTORS_BOT);
}

/* It was LINE's and is known, whether there is room for its events or not. */
static void test_the_destination_of_what_is_refused(void **state)
{
    char path[TEST_DIR_MAX + 16];

    (void)state;
    count_here(path);
    fake_fault_set(&bench.fake_store.space, 0, 1, STATUS_NO_SPACE);
    assert_int_equal(accept_vector("W2"), STATUS_NO_SPACE);
    assert_destination(path, VECTORS_BOT);
}

/* One webhook, and what the log says of it. */
static void accept_and_listen(const char *body, char *log, size_t size)
{
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), fds[2];
    enum status status;
    ssize_t n;

    assert_true(saved >= 0);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    log_set_level(LOG_LEVEL_WARN);
    status = accept_body(body);
    log_set_level(LOG_LEVEL_ERROR);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    n = read(fds[0], log, size - 1);
    log[n > 0 ? n : 0] = '\0';
    close(saved);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(status, STATUS_OK);
}

static void test_another_destination_is_told(void **state)
{
    char path[TEST_DIR_MAX + 16], log[LOG_LINE_MAX];

    (void)state;
    count_here(path);
    accept_and_listen(FOR(VECTORS_BOT), log, sizeof(log));
    assert_string_equal(log, ""); /* the first one is no change */
    accept_and_listen(FOR(OTHER_BOT), log, sizeof(log));
    assert_non_null(strstr(log, "level=warn"));
    assert_non_null(strstr(log,
                           "event=destination_changed channel=shop "
                           "destination=Ubbbbbbbb... was=U01234567... "));
    assert_null(strstr(log, VECTORS_BOT));
    assert_null(strstr(log, OTHER_BOT));
    assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1); /* one line */
    accept_and_listen(FOR(OTHER_BOT), log, sizeof(log));
    assert_string_equal(log, "");
    assert_destination(path, OTHER_BOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_image),
        cmocka_unit_test(test_several_events),
        cmocka_unit_test(test_picture_in_a_group),
        cmocka_unit_test(test_nothing_wanted),
        cmocka_unit_test(test_unsend),
        cmocka_unit_test(test_external_image),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_no_body_unless_wanted),
        cmocka_unit_test(test_every_body),
        cmocka_unit_test(test_bodies_with_other_events),
        cmocka_unit_test(test_no_body_of_a_refused_request),
        cmocka_unit_test(test_too_many_bodies_wait),
        cmocka_unit_test(test_nothing_wanted_and_no_space),
        cmocka_unit_test(test_repeated_event),
        cmocka_unit_test(test_same_event_twice_in_a_body),
        cmocka_unit_test(test_two_channels),
        cmocka_unit_test(test_secret_being_replaced),
        cmocka_unit_test(test_unknown_channel),
        cmocka_unit_test(test_signature_is_missing_or_wrong),
        cmocka_unit_test(test_not_a_webhook),
        cmocka_unit_test(test_one_malformed_event),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_queue_fails),
        cmocka_unit_test(test_queue_cannot_commit),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_the_destination_is_kept),
        cmocka_unit_test(test_the_destination_of_what_is_refused),
        cmocka_unit_test(test_another_destination_is_told),
    };
    struct CMUnitTest with_bench[ARRAY_COUNT(tests)];

    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        with_bench[i] = tests[i];
        with_bench[i].setup_func = set_up;
        with_bench[i].teardown_func = tear_down;
    }
    return cmocka_run_group_tests_name("intake", with_bench, NULL, NULL);
}
