/*
 * line_token.c: one struct source per channel, and what it does to get another
 * token. The tokens are handed out in any state, as long as they are good.
 *
 *            ┌──────── lock held by another ────────┐
 *            ▼                                      │ timer
 *   IDLE ─▶ LOOKING ─── nothing in the file ─▶ ASKING ─▶ LEAVING ─▶ IDLE
 *            │                                              ▲
 *            └────────── one in the file ───────────────────┘
 *
 *   LOOKING  lock tried, file read                      offload thread
 *   ASKING   LINE is asked to issue one                 request
 *   LEAVING  the new one written, the lock released     offload thread
 *
 * Waiters are served when ASKING ends, not when the disk is done. The lock is
 * tried and tried again rather than waited for: a wait would keep one of the
 * few offload threads from the pictures. A token from a file of the operator
 * (access_token_file) knows LOOKING only.
 */
#include "line_token.h"

#include "crypto.h"
#include "json.h"
#include "line_judge.h"
#include "line_token_file.h"
#include "log.h"

#define LIFE_MAX_S (30 * 24 * 60 * 60) /* of any kind, line-platform 7 */
#define NEVER_MS INT64_MAX
#define FORM_MAX_BYTES 4096

LIST_HEAD(wait_list, line_token_wait);

enum source_kind { GIVEN, FROM_FILE, STATELESS };
enum source_state { IDLE, LOOKING, ASKING, LEAVING };

struct source {
    struct source *next;
    struct line_tokens *tokens;
    struct config_channel channel; /* a copy: settings come and go */
    enum source_kind kind;
    enum source_state state;
    struct wait_list waiters;
    bool is_serving; /* some of those that waited */

    struct line_token_record token;
    uint64_t generation; /* of token; 0: there is none yet */
    uint64_t refused;    /* the generation that is not handed out any more */
    enum status failure; /* of the last attempt */
    int64_t failed_ms;   /* loop's clock */

    struct offload_task task;
    struct loop_timer timer; /* tries the lock again */
    int64_t lock_until_ms;
    enum status lock_status, read_status; /* of LOOKING */
    struct line_token_record found;       /* by LOOKING, or to be written */
    bool has_news;                        /* found is to be written */
    struct line_token_file file;
    struct http_transfer *transfer;
    struct buf answer;
    int64_t asked_ms; /* wall clock */
};

struct line_tokens {
    struct line_tokens_options options;
    char *url; /* of the endpoint that issues */
    char *state_dir;
    struct source *sources;
};

/* ---- time */

static int64_t wall_now_ms(const struct line_tokens *tokens)
{
    if (tokens->options.clock_ms != NULL)
        return tokens->options.clock_ms(tokens->options.clock_arg);
    return wall_ms();
}

static int64_t loop_ms(const struct source *source)
{
    return loop_now_ms(source->tokens->options.loop);
}

enum line_token_age line_token_age(int64_t issued_ms, int64_t expires_ms,
                                   int64_t now_ms)
{
    int64_t life_ms = expires_ms - issued_ms, left_ms = expires_ms - now_ms;

    if (left_ms <= int64_min(LINE_TOKEN_MARGIN_MS, life_ms / 8))
        return LINE_TOKEN_OLD;
    if (left_ms <= int64_min(LINE_TOKEN_RENEW_MS, life_ms / 4))
        return LINE_TOKEN_RENEW;
    return LINE_TOKEN_FRESH;
}

static enum line_token_age age_of(const struct source *source,
                                  const struct line_token_record *record)
{
    if (source->kind != STATELESS)
        return LINE_TOKEN_FRESH;
    return line_token_age(record->issued_ms, record->expires_ms,
                          wall_now_ms(source->tokens));
}

/* ---- waiters */

static void serve(struct source *source, enum status status)
{
    struct line_token token = {source->token.text, source->generation};
    struct wait_list list = LIST_HEAD_INITIALIZER(list);
    struct line_token_wait *wait;

    /* Turned round: the first to come is the first to be served. A list of its
     * own, as callbacks may wait for the next token. */
    while ((wait = LIST_FIRST(&source->waiters)) != NULL) {
        LIST_REMOVE(wait, link);
        LIST_INSERT_HEAD(&list, wait, link);
    }
    source->is_serving = true;
    while ((wait = LIST_FIRST(&list)) != NULL) {
        line_token_cancel(wait);
        wait->done(wait, status, status == STATUS_OK ? &token : NULL);
    }
    source->is_serving = false;
}

void line_token_cancel(struct line_token_wait *wait)
{
    if (wait->waits)
        LIST_REMOVE(wait, link);
    wait->waits = false;
}

static void adopt(struct source *source, const struct line_token_record *record)
{
    source->token = *record;
    source->generation++;
    source->failure = STATUS_OK;
    serve(source, STATUS_OK);
}

static void fail(struct source *source, enum status status)
{
    source->failure = status;
    source->failed_ms = loop_ms(source);
    serve(source, status);
}

/* ---- LEAVING */

static void begin(struct source *source);

static void leave_file(void *arg)
{
    struct source *source = arg;

    source->read_status = STATUS_OK;
    if (source->has_news && source->tokens->state_dir != NULL)
        source->read_status =
            line_token_file_write(&source->file, &source->found);
    line_token_file_unlock(&source->file);
}

/* Somebody may have found the new token refused meanwhile. */
static void left(void *arg)
{
    struct source *source = arg;

    if (source->read_status != STATUS_OK)
        LOG(WARN, "token_not_shared", LOG_STR("file", source->file.path),
            LOG_STR("reason", status_name(source->read_status)));
    crypto_wipe(&source->found, sizeof(source->found));
    source->has_news = false;
    source->state = IDLE;
    if (!LIST_EMPTY(&source->waiters))
        begin(source);
}

static void offload(struct source *source, void (*work)(void *arg),
                    void (*done)(void *arg))
{
    source->task =
        (struct offload_task){.work = work, .done = done, .arg = source};
    offload_submit(source->tokens->options.offload, &source->task);
}

static void leave(struct source *source)
{
    source->state = LEAVING;
    offload(source, leave_file, left);
}

/* ---- ASKING */

struct issued {
    char text[TOKEN_MAX + 1];
    int64_t life_s;
    char error[64]; /* "invalid_client": another shape than the bot API's */
};

static enum status on_value(void *arg, const struct json_event *event)
{
    struct issued *issued = arg;

    if (json_path_is(event, "access_token"))
        (void)json_copy_str(event, issued->text, sizeof(issued->text));
    else if (json_path_is(event, "expires_in") && event->kind == JSON_INT)
        issued->life_s = event->num;
    else if (json_path_is(event, "error"))
        (void)json_copy_str(event, issued->error, sizeof(issued->error));
    return STATUS_OK;
}

static enum status read_answer(struct source *source,
                               const struct http_result *result,
                               struct issued *issued)
{
    const char *body = buf_str(&source->answer);
    struct line_outcome outcome;
    enum status status;

    line_judge_other(result, body, source->answer.len, &outcome);
    status = json_read(body, source->answer.len, on_value, issued);
    if (outcome.status != STATUS_OK)
        return outcome.status;
    if (status != STATUS_OK || !line_token_is_valid(issued->text) ||
        issued->life_s <= 0 || issued->life_s > LIFE_MAX_S)
        return STATUS_SERVER_ERROR; /* that was not LINE, or half of it */
    return STATUS_OK;
}

static void keep_issued(struct source *source, const struct issued *issued)
{
    struct line_token_record *record = &source->found;

    *record = (struct line_token_record){
        .issued_ms = source->asked_ms,
        .expires_ms = source->asked_ms + issued->life_s * 1000,
    };
    (void)str_copy(record->text, sizeof(record->text), issued->text);
    source->has_news = true;
}

/* Callbacks of waiters come last, when all else is in order. */
static void asked(void *arg, const struct http_result *result)
{
    struct source *source = arg;
    struct issued issued = {.life_s = 0};
    enum status status = read_answer(source, result, &issued);
    struct line_token_record record;

    source->transfer = NULL;
    if (source->answer.len > 0)
        crypto_wipe(source->answer.data, source->answer.len);
    buf_clear(&source->answer);
    if (status == STATUS_OK) {
        LOG(INFO, "token_issued", LOG_STR("channel", source->channel.name),
            LOG_INT("life_s", issued.life_s),
            LOG_STR("request_id", result->head.request_id));
        keep_issued(source, &issued);
    } else {
        LOG(ERROR, "token_not_issued", LOG_STR("channel", source->channel.name),
            LOG_STR("reason", status_name(status)),
            LOG_INT("http", result->head.status),
            LOG_STR("error", issued.error),
            LOG_STR("text", result->error != NULL ? result->error : ""),
            LOG_STR("request_id", result->head.request_id));
    }
    crypto_wipe(&issued, sizeof(issued));
    record = source->found;
    leave(source);
    if (status == STATUS_OK)
        adopt(source, &record);
    else
        fail(source, status);
    crypto_wipe(&record, sizeof(record));
}

static enum http_body_answer on_body(void *arg, const char *bytes, size_t len)
{
    struct source *source = arg;

    return buf_append(&source->answer, bytes, len) == STATUS_OK
               ? HTTP_BODY_OK
               : HTTP_BODY_ABORT;
}

/* application/x-www-form-urlencoded, all but letters and digits escaped. */
static enum status append_encoded(struct buf *form, const char *text)
{
    enum status status = STATUS_OK;

    for (; *text != '\0' && status == STATUS_OK; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                     (c >= 'a' && c <= 'z');

        status = plain ? buf_append(form, text, 1)
                       : buf_printf(form, "%%%02X", (unsigned)c);
    }
    return status;
}

static enum status write_form(const struct config_channel *channel,
                              struct buf *form)
{
    enum status status =
        buf_append_str(form, "grant_type=client_credentials&client_id=");

    if (status == STATUS_OK)
        status = append_encoded(form, channel->channel_id);
    if (status == STATUS_OK)
        status = buf_append_str(form, "&client_secret=");
    if (status == STATUS_OK)
        status = append_encoded(form, channel->secrets[0]);
    return status;
}

static enum status start_asking(struct source *source)
{
    static const char *const headers[] = {
        "Content-Type: application/x-www-form-urlencoded", NULL};
    struct http_request request = {
        .method = "POST",
        .url = source->tokens->url,
        .headers = headers,
        .timeout_ms = HTTP_API_TIMEOUT_MS,
        .max_bytes = HTTP_RESPONSE_MAX_BYTES,
        .arg = source,
        .on_body = on_body,
        .on_done = asked,
    };
    struct buf form;
    enum status status;

    buf_init(&form, FORM_MAX_BYTES);
    status = write_form(&source->channel, &form);
    request.body = form.data;
    request.body_len = form.len;
    if (status == STATUS_OK)
        status = http_start(source->tokens->options.http, &request,
                            &source->transfer);
    if (form.len > 0)
        crypto_wipe(form.data, form.len);
    buf_release(&form);
    return status;
}

static void ask(struct source *source)
{
    enum status status;

    source->state = ASKING;
    source->asked_ms = wall_now_ms(source->tokens);
    status = start_asking(source);
    if (status == STATUS_OK)
        return;
    leave(source);
    fail(source, status);
}

/* ---- LOOKING */

static void look_for_shared(void *arg)
{
    struct source *source = arg;

    source->lock_status = STATUS_OK;
    source->read_status = STATUS_NOT_FOUND;
    if (source->tokens->state_dir == NULL)
        return;
    source->lock_status = line_token_file_lock(&source->file);
    source->read_status = line_token_file_read(&source->file, &source->found);
}

/* Not the one we have: that is refused, or to be renewed. */
static bool is_welcome(const struct source *source)
{
    return source->read_status == STATUS_OK &&
           age_of(source, &source->found) != LINE_TOKEN_OLD &&
           !str_eq(source->found.text, source->token.text);
}

static void looked_for_shared(void *arg)
{
    struct source *source = arg;
    struct line_token_record record = source->found;

    if (is_welcome(source)) {
        LOG(DEBUG, "token_shared", LOG_STR("channel", source->channel.name));
        leave(source);
        adopt(source, &record);
    } else if (source->lock_status == STATUS_BUSY &&
               loop_ms(source) < source->lock_until_ms) {
        (void)!loop_timer_set(source->tokens->options.loop, &source->timer,
                              loop_ms(source) + LINE_TOKEN_LOCK_POLL_MS);
    } else {
        if (source->lock_status != STATUS_OK)
            LOG(WARN, "token_lock", LOG_STR("file", source->file.lock_path),
                LOG_STR("reason", status_name(source->lock_status)));
        ask(source);
    }
    crypto_wipe(&record, sizeof(record));
}

static void try_again(void *arg)
{
    struct source *source = arg;

    (void)!loop_timer_set(source->tokens->options.loop, &source->timer,
                          NEVER_MS);
    offload(source, look_for_shared, looked_for_shared);
}

static void look_into_file(void *arg)
{
    struct source *source = arg;
    char text[TOKEN_MAX + 2];
    size_t len = 0;

    source->read_status = atomicfile_read(source->channel.access_token_file,
                                          text, sizeof(text) - 1, &len);
    text[len] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    source->found = (struct line_token_record){.issued_ms = 0};
    (void)str_copy(source->found.text, sizeof(source->found.text), text);
    crypto_wipe(text, sizeof(text));
}

/* The same text again is no other token; it may be tried by the next call, for
 * LINE may have been wrong. */
static void looked_into_file(void *arg)
{
    struct source *source = arg;
    struct line_token_record record = source->found;
    bool is_new = source->read_status == STATUS_OK &&
                  line_token_is_valid(record.text) &&
                  !str_eq(record.text, source->token.text);

    LOG(WARN, "token_file", LOG_STR("file", source->channel.access_token_file),
        LOG_STR("status", status_name(source->read_status)),
        LOG_INT("changed", is_new));
    crypto_wipe(&source->found, sizeof(source->found));
    source->state = IDLE;
    source->refused = 0;
    if (is_new)
        adopt(source, &record);
    else
        fail(source, STATUS_UNAUTHORIZED);
    crypto_wipe(&record, sizeof(record));
}

/* Always by a thread, so nobody is served before it is known that he waits. */
static void begin(struct source *source)
{
    source->state = LOOKING;
    source->lock_until_ms = loop_ms(source) + LINE_TOKEN_LOCK_WAIT_MS;
    if (source->kind == FROM_FILE)
        offload(source, look_into_file, looked_into_file);
    else
        offload(source, look_for_shared, looked_for_shared);
}

/* ---- sources */

static enum source_kind kind_of(const struct config_channel *channel)
{
    if (channel->access_token_file[0] != '\0')
        return FROM_FILE;
    return channel->access_token[0] != '\0' ? GIVEN : STATELESS;
}

static void source_free(struct source *source)
{
    loop_timer_cancel(source->tokens->options.loop, &source->timer);
    if (source->transfer != NULL)
        http_cancel(source->transfer);
    line_token_file_unlock(&source->file);
    if (source->answer.len > 0)
        crypto_wipe(source->answer.data, source->answer.len);
    buf_release(&source->answer);
    crypto_wipe(source, sizeof(*source));
    free(source);
}

static enum status source_new(struct line_tokens *tokens,
                              const struct config_channel *channel,
                              struct source **out)
{
    struct source *source = calloc(1, sizeof(*source));
    enum status status;

    if (source == NULL)
        return STATUS_NO_MEMORY;
    source->tokens = tokens;
    source->channel = *channel;
    source->channel.snapshot = NULL;
    source->kind = kind_of(channel);
    source->file.lock_fd = -1;
    LIST_INIT(&source->waiters);
    loop_timer_init(&source->timer, try_again, source);
    buf_init(&source->answer, HTTP_RESPONSE_MAX_BYTES);
    /* Once set, it can be set again without failing (loop.h). */
    status = loop_timer_set(tokens->options.loop, &source->timer, NEVER_MS);
    if (source->kind != STATELESS) {
        (void)str_copy(source->token.text, sizeof(source->token.text),
                       channel->access_token);
        source->generation = 1;
    } else if (tokens->state_dir != NULL && status == STATUS_OK) {
        status = line_token_file_init(&source->file, tokens->state_dir,
                                      &source->channel);
    }
    if (status != STATUS_OK) {
        source_free(source);
        return status;
    }
    source->next = tokens->sources;
    tokens->sources = source;
    *out = source;
    return STATUS_OK;
}

/* The settings may be others, read again since. */
static bool is_source_of(const struct config_channel *a,
                         const struct config_channel *b)
{
    return str_eq(a->name, b->name) && str_eq(a->channel_id, b->channel_id) &&
           str_eq(a->secrets[0], b->secrets[0]) &&
           str_eq(a->access_token, b->access_token) &&
           str_eq(a->access_token_file, b->access_token_file);
}

/* The channel has other credentials now. A call that still goes by the old ones
 * makes a new source of them. */
static void drop_replaced(struct line_tokens *tokens, const char *name)
{
    struct source **link = &tokens->sources;

    while (*link != NULL) {
        struct source *source = *link;

        if (!str_eq(source->channel.name, name) || source->state != IDLE ||
            source->is_serving || !LIST_EMPTY(&source->waiters)) {
            link = &source->next;
            continue;
        }
        *link = source->next;
        source_free(source);
    }
}

static enum status find(struct line_tokens *tokens,
                        const struct config_channel *channel,
                        struct source **out)
{
    struct source *source = tokens->sources;

    while (source != NULL && !is_source_of(&source->channel, channel))
        source = source->next;
    if (source == NULL) {
        drop_replaced(tokens, channel->name);
        return source_new(tokens, channel, out);
    }
    *out = source;
    return STATUS_OK;
}

/* ---- asking for a token */

static bool is_good(const struct source *source)
{
    return source->generation != 0 && source->generation != source->refused &&
           age_of(source, &source->token) != LINE_TOKEN_OLD;
}

static bool failed_lately(const struct source *source)
{
    return source->failure != STATUS_OK &&
           loop_ms(source) - source->failed_ms < LINE_TOKEN_RENEW_MIN_MS;
}

/* A token that is refused at once will not be better the next time. Born in the
 * future: the clock went back, nothing is known. */
static bool is_just_born(const struct source *source)
{
    int64_t age_ms = wall_now_ms(source->tokens) - source->token.issued_ms;

    return source->kind == STATELESS && age_ms >= 0 &&
           age_ms < LINE_TOKEN_RENEW_MIN_MS;
}

static enum status get(struct source *source, bool refused,
                       struct line_token_wait *wait, struct line_token *token)
{
    bool idle = source->state == IDLE;

    if (refused && (source->kind == GIVEN || is_just_born(source)))
        return STATUS_UNAUTHORIZED;
    if (!refused && is_good(source)) {
        *token = (struct line_token){source->token.text, source->generation};
        if (idle && age_of(source, &source->token) == LINE_TOKEN_RENEW &&
            !failed_lately(source))
            begin(source);
        return STATUS_OK;
    }
    if ((idle || source->state == LEAVING) && failed_lately(source))
        return source->failure;
    if (refused)
        source->refused = source->generation;
    wait->waits = true;
    LIST_INSERT_HEAD(&source->waiters, wait, link);
    if (idle)
        begin(source);
    return STATUS_AGAIN;
}

enum status line_token_get(struct line_tokens *tokens,
                           const struct config_channel *channel,
                           uint64_t refused, struct line_token_wait *wait,
                           struct line_token *token)
{
    struct source *source = NULL;
    enum status status = find(tokens, channel, &source);

    if (status != STATUS_OK)
        return status;
    return get(source, refused != 0 && refused == source->generation, wait,
               token);
}

/* ---- life */

enum status line_tokens_new(struct line_tokens **out,
                            const struct line_tokens_options *options)
{
    static const char path[] = "/oauth2/v3/token";
    struct line_tokens *tokens = calloc(1, sizeof(*tokens));
    size_t size = strlen(options->api_url) + sizeof(path);

    if (tokens == NULL)
        return STATUS_NO_MEMORY;
    tokens->options = *options;
    tokens->url = malloc(size);
    if (options->state_dir != NULL)
        tokens->state_dir = strdup(options->state_dir);
    if (tokens->url == NULL ||
        (options->state_dir != NULL && tokens->state_dir == NULL)) {
        line_tokens_free(tokens);
        return STATUS_NO_MEMORY;
    }
    (void)snprintf(tokens->url, size, "%s%s", options->api_url, path);
    *out = tokens;
    return STATUS_OK;
}

void line_tokens_free(struct line_tokens *tokens)
{
    if (tokens == NULL)
        return;
    while (tokens->sources != NULL) {
        struct source *source = tokens->sources;

        tokens->sources = source->next;
        source_free(source);
    }
    free(tokens->url);
    free(tokens->state_dir);
    free(tokens);
}
