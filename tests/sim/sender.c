/*
 * sender.c: jobs and a pool of threads that grows with what is asked for.
 *
 * A job is a list of photos cut into batches: batch i is photos[i * batch ..].
 * Batches below `cursor` were sent at least once. A batch that failed and may
 * be redelivered goes to the `again` ring with the time when it is due; since
 * the interval is the same for all of a job, the ring is in order of time.
 *
 *   waiting ──thread──▶ on its way ──2xx──▶ over
 *                          │  ▲
 *                     failed  └── due ── again
 *
 * A thread takes the first batch that is due of the first job that has fewer
 * than `parallel` on their way.
 */
#include "sender.h"

#include <errno.h>

#include "crypto.h"
#include "event.h"
#include "fetch.h"

struct again {
    size_t batch;
    int64_t due_ms; /* mono */
};

struct sender_job {
    struct sender *sender;
    struct sender_job *next;
    struct sender_spec spec;
    size_t batches, cursor, running, over;
    uint8_t *tries; /* per batch */
    struct again *again;
    size_t again_first, again_count;
    int references; /* the sender's and the caller's */
};

struct sender {
    struct sender_options options;
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the threads */
    pthread_cond_t over; /* for sender_job_wait() */
    bool stopping;
    struct sender_job *jobs;
    pthread_t threads[SIM_PARALLEL_MAX];
    size_t thread_count;
};

/* ---- one webhook */

static bool sign(const struct sender *sender, const struct sender_post *post,
                 char header[128])
{
    uint8_t mac[SHA256_BYTES];
    char text[SHA256_BASE64_SIZE];
    const char *secret = sender->options.secret;

    if (post->signature != NULL) {
        (void)snprintf(header, 128, "x-line-signature: %s", post->signature);
        return post->signature[0] != '\0';
    }
    if (crypto_hmac_sha256(secret, strlen(secret), post->body, post->len,
                           mac) != STATUS_OK)
        return false;
    crypto_base64_mac(mac, text);
    (void)snprintf(header, 128, "x-line-signature: %s", text);
    return true;
}

/* The webhook URL, with another path when one is given. */
static void make_url(const char *base, const char *path, char *out, size_t size)
{
    const char *host = strstr(base, "://");
    size_t origin = strlen(base);

    if (path[0] == '\0') {
        (void)snprintf(out, size, "%s", base);
        return;
    }
    if (host != NULL)
        origin = (size_t)(host - base) + 3 + strcspn(host + 3, "/?#");
    (void)snprintf(out, size, "%.*s%s", (int)origin, base, path);
}

static void judge(struct sender_result *result, const struct fetch_result *got)
{
    result->http_status = got->error == FETCH_OK ? got->http_status : 0;
    result->connect_us = got->connect_us;
    result->ack_us = got->total_us - got->connect_us;
    (void)snprintf(result->why, sizeof(result->why), "%s", got->why);
    if (got->error == FETCH_TOO_LARGE)
        result->error = "unclassified";
    else if (got->error != FETCH_OK)
        result->error = fetch_error_name(got->error);
    else if (got->http_status < 200 || got->http_status > 299)
        result->error = "error_status_code";
    else
        result->error = "";
}

static void post_with(struct sender *sender, struct fetch_client *client,
                      const struct sender_post *post, bool fresh,
                      struct sender_result *result)
{
    char url[SIM_PATH_MAX], signature[128];
    bool is_signed = sign(sender, post, signature);
    const char *headers[] = {"Content-Type: application/json; charset=utf-8",
                             is_signed ? signature : NULL, NULL};
    struct fetch_request request = {.url = url,
                                    .headers = headers,
                                    .user_agent = "LineBotWebhook/2.0",
                                    .body = post->body,
                                    .body_len = post->len,
                                    .timeout_ms = post->timeout_ms,
                                    .max_bytes = SIM_RESPONSE_MAX_BYTES,
                                    .fresh = fresh};
    struct fetch_result got;

    make_url(post->url != NULL ? post->url : sender->options.webhook_url,
             post->url_path != NULL ? post->url_path : "", url, sizeof(url));
    fetch(client, &request, &got);
    *result = (struct sender_result){0};
    judge(result, &got);
    result->answer = got.body;
    RECORD(sender->options.recorder, "webhook", REC_STR("url", url),
           REC_INT("bytes", post->len), REC_INT("status", result->http_status),
           REC_INT("ack_us", result->ack_us),
           REC_INT("connect_us", result->connect_us),
           REC_STR("error", result->error), REC_STR("why", result->why),
           REC_STR("body", (const char *)post->body));
}

void sender_post(struct sender *sender, const struct sender_post *post,
                 struct sender_result *result)
{
    struct fetch_client *client;

    *result = (struct sender_result){.error = "unclassified"};
    buf_init(&result->answer, SIM_RESPONSE_MAX_BYTES);
    if (fetch_client_new(&client, sender->options.ca_file) != STATUS_OK)
        return;
    post_with(sender, client, post, true, result);
    fetch_client_free(client);
}

void sender_result_release(struct sender_result *result)
{
    buf_release(&result->answer);
}

/* ---- webhooks of photos */

static void note_violation(struct sender *sender, const struct photo *photo,
                           const struct sender_result *result)
{
    struct state *state = sender->options.state;

    if (str_eq(result->error, "request_timeout"))
        state_add_violation(state, "ack_timeout", photo->message_id,
                            "the webhook was not answered within 2 s");
    else if (result->error[0] == '\0' && result->http_status != 200)
        state_add_violation(state, "ack_not_200", photo->message_id,
                            "a webhook should be answered with 200");
}

static void note_result(struct sender *sender, struct photo *const *photos,
                        size_t count, const struct sender_result *result)
{
    struct state *state = sender->options.state;
    bool acked = result->error[0] == '\0';
    struct totals *totals;

    state_lock(state);
    for (size_t i = 0; i < count; i++) {
        photos[i]->ack_status = result->http_status;
        photos[i]->ack_error = result->error;
        photos[i]->ack_us = result->ack_us;
        photos[i]->connect_us = result->connect_us;
        photos[i]->acked_ms = acked ? wall_ms() : 0;
    }
    totals = state_totals_of(state, photos[0]);
    totals->webhooks_sent++;
    totals->webhooks_acked += acked;
    totals->webhooks_failed += !acked;
    (void)pthread_cond_broadcast(&state->changed);
    state_unlock(state);
    note_violation(sender, photos[0], result);
}

static void deliver_with(struct sender *sender, struct fetch_client *client,
                         struct photo *const *photos, size_t count,
                         bool redelivery, bool fresh,
                         struct sender_result *result)
{
    struct state *state = sender->options.state;
    struct buf body;
    struct sender_post post = {.url_path = photos[0]->url_path,
                               .timeout_ms = LINE_ACK_LIMIT_MS};
    int64_t now_ms = state_now_ms(state);

    *result = (struct sender_result){.error = "unclassified"};
    buf_init(&result->answer, SIM_RESPONSE_MAX_BYTES);
    buf_init(&body, SIM_CONTROL_BODY_MAX_BYTES);
    if (event_write_messages(&body, sender->options.destination, photos, count,
                             redelivery) != STATUS_OK)
        goto out;
    for (size_t i = 0; i < count; i++) {
        state_delivery_begins(state, photos[i], now_ms);
        RECORD(sender->options.recorder, "deliver",
               REC_STR("message_id", photos[i]->message_id),
               REC_STR("event_id", photos[i]->event_id),
               REC_INT("redelivery", redelivery));
    }
    post.body = buf_str(&body);
    post.len = body.len;
    post_with(sender, client, &post, fresh, result);
    note_result(sender, photos, count, result);
out:
    buf_release(&body);
}

void sender_deliver(struct sender *sender, struct photo *const *photos,
                    size_t count, bool redelivery, struct sender_result *result)
{
    struct fetch_client *client;

    *result = (struct sender_result){.error = "unclassified"};
    buf_init(&result->answer, SIM_RESPONSE_MAX_BYTES);
    if (fetch_client_new(&client, sender->options.ca_file) != STATUS_OK)
        return;
    deliver_with(sender, client, photos, count, redelivery, true, result);
    fetch_client_free(client);
}

/* ---- jobs. Locked, all of these. */

static void job_unref(struct sender_job *job)
{
    if (--job->references > 0)
        return;
    free(job->spec.photos);
    free(job->tries);
    free(job->again);
    free(job);
}

/* True and *batch when one may go now; *due_ms is lowered to when one will. */
static bool job_take(struct sender_job *job, int64_t now_ms, size_t *batch,
                     int64_t *due_ms)
{
    if (job->running == job->spec.parallel)
        return false;
    if (job->again_count > 0 && job->again[job->again_first].due_ms <= now_ms) {
        *batch = job->again[job->again_first].batch;
        job->again_first = (job->again_first + 1) % job->batches;
        job->again_count--;
        job->running++;
        return true;
    }
    if (job->cursor < job->batches) {
        *batch = job->cursor++;
        job->running++;
        return true;
    }
    if (job->again_count > 0)
        *due_ms = int64_min(*due_ms, job->again[job->again_first].due_ms);
    return false;
}

static void unlink_job(struct sender *sender, struct sender_job *job)
{
    struct sender_job **link = &sender->jobs;

    while (*link != NULL && *link != job)
        link = &(*link)->next;
    if (*link == NULL)
        return;
    *link = job->next;
    job_unref(job);
}

static void job_batch_done(struct sender_job *job, size_t batch, bool failed)
{
    struct sender *sender = job->sender;

    job->running--;
    if (failed && !sender->stopping &&
        job->tries[batch] <= job->spec.redeliveries) {
        size_t slot = (job->again_first + job->again_count++) % job->batches;

        job->again[slot] =
            (struct again){batch, mono_ms() + job->spec.redelivery_interval_ms};
    } else {
        job->over++;
    }
    if (job->over == job->batches)
        unlink_job(sender, job);
    (void)pthread_cond_broadcast(&sender->over);
    (void)pthread_cond_signal(&sender->work);
}

/* Waits for a batch; false when the sender stops. The job is referenced. */
static bool take_work(struct sender *sender, struct sender_job **job,
                      size_t *batch)
{
    while (!sender->stopping) {
        int64_t now_ms = mono_ms(), due_ms = now_ms + SIM_SLEEP_MAX_MS;
        struct timespec until;

        for (*job = sender->jobs; *job != NULL; *job = (*job)->next) {
            if (job_take(*job, now_ms, batch, &due_ms)) {
                (*job)->references++;
                return true;
            }
        }
        until = (struct timespec){due_ms / 1000, due_ms % 1000 * 1000000};
        (void)pthread_cond_timedwait(&sender->work, &sender->lock, &until);
    }
    return false;
}

static void send_batch(struct sender *sender, struct fetch_client *client,
                       struct sender_job *job, size_t batch)
{
    size_t first = batch * job->spec.batch;
    size_t count = size_min(job->spec.batch, job->spec.count - first);
    struct sender_result result;
    bool redelivery = job->tries[batch]++ > 0;
    bool failed;

    (void)pthread_mutex_unlock(&sender->lock);
    deliver_with(sender, client, &job->spec.photos[first], count, redelivery,
                 job->spec.fresh_connections, &result);
    failed = result.error[0] != '\0';
    sender_result_release(&result);
    (void)pthread_mutex_lock(&sender->lock);
    job_batch_done(job, batch, failed);
    job_unref(job);
}

static void *run(void *arg)
{
    struct sender *sender = arg;
    struct fetch_client *client;
    struct sender_job *job;
    size_t batch;

    if (fetch_client_new(&client, sender->options.ca_file) != STATUS_OK)
        return NULL;
    (void)pthread_mutex_lock(&sender->lock);
    while (take_work(sender, &job, &batch))
        send_batch(sender, client, job, batch);
    (void)pthread_mutex_unlock(&sender->lock);
    fetch_client_free(client);
    return NULL;
}

static void grow_pool(struct sender *sender)
{
    size_t wanted = 0;

    for (struct sender_job *job = sender->jobs; job != NULL; job = job->next)
        wanted += size_min(job->spec.parallel, job->batches);
    wanted = size_min(wanted, SIM_PARALLEL_MAX);
    while (sender->thread_count < wanted &&
           pthread_create(&sender->threads[sender->thread_count], NULL, run,
                          sender) == 0)
        sender->thread_count++;
}

static struct sender_job *job_new(struct sender *sender,
                                  const struct sender_spec *spec)
{
    struct sender_job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return NULL;
    job->sender = sender;
    job->spec = *spec;
    job->batches = (spec->count + spec->batch - 1) / spec->batch;
    job->tries = calloc(job->batches, sizeof(job->tries[0]));
    job->again = calloc(job->batches, sizeof(job->again[0]));
    job->references = 2;
    if (job->tries == NULL || job->again == NULL) {
        free(job->tries);
        free(job->again);
        free(job);
        return NULL;
    }
    return job;
}

enum status sender_submit(struct sender *sender, const struct sender_spec *spec,
                          struct sender_job **out)
{
    struct sender_job *job = job_new(sender, spec);
    struct sender_job **end = &sender->jobs;

    if (job == NULL) {
        free(spec->photos);
        return STATUS_NO_MEMORY;
    }
    (void)pthread_mutex_lock(&sender->lock);
    while (*end != NULL)
        end = &(*end)->next;
    *end = job;
    grow_pool(sender);
    (void)pthread_cond_broadcast(&sender->work);
    (void)pthread_mutex_unlock(&sender->lock);
    *out = job;
    return STATUS_OK;
}

void sender_job_wait(struct sender_job *job)
{
    struct sender *sender = job->sender;

    (void)pthread_mutex_lock(&sender->lock);
    while (job->over < job->batches && !sender->stopping)
        (void)pthread_cond_wait(&sender->over, &sender->lock);
    (void)pthread_mutex_unlock(&sender->lock);
}

void sender_job_release(struct sender_job *job)
{
    struct sender *sender = job->sender;

    (void)pthread_mutex_lock(&sender->lock);
    job_unref(job);
    (void)pthread_mutex_unlock(&sender->lock);
}

/* ---- life */

enum status sender_start(struct sender **out,
                         const struct sender_options *options)
{
    struct sender *sender = calloc(1, sizeof(*sender));
    pthread_condattr_t attr;

    if (sender == NULL)
        return STATUS_NO_MEMORY;
    sender->options = *options;
    (void)pthread_mutex_init(&sender->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&sender->work, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_cond_init(&sender->over, NULL);
    *out = sender;
    return STATUS_OK;
}

void sender_quiesce(struct sender *sender)
{
    (void)pthread_mutex_lock(&sender->lock);
    sender->stopping = true;
    (void)pthread_cond_broadcast(&sender->work);
    (void)pthread_cond_broadcast(&sender->over);
    (void)pthread_mutex_unlock(&sender->lock);
}

void sender_free(struct sender *sender)
{
    if (sender == NULL)
        return;
    sender_quiesce(sender);
    for (size_t i = 0; i < sender->thread_count; i++)
        (void)pthread_join(sender->threads[i], NULL);
    while (sender->jobs != NULL)
        unlink_job(sender, sender->jobs);
    (void)pthread_cond_destroy(&sender->over);
    (void)pthread_cond_destroy(&sender->work);
    (void)pthread_mutex_destroy(&sender->lock);
    free(sender);
}
