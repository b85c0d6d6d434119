/*
 * processor.c: one POST and the reading of its answer. The array of messages is
 * cut out of the answer where the JSON reader says that it begins and ends, so
 * what LINE gets are the processor's own bytes.
 */
#include "processor.h"

#include "crypto.h"
#include "json.h"
#include "line_message.h"
#include "log.h"
#include "metrics.h"

#define SIGNATURE_HEADER "X-Darkroom-Signature: "
#define WHY_BYTES 96

struct processor_call {
    struct http_transfer *transfer;
    struct buf answer;
    char channel[CHANNEL_NAME_MAX + 1]; /* for the log */
    char message_id[MESSAGE_ID_MAX + 1];
    void *arg;
    void (*on_done)(void *arg, const char *messages, size_t len);
};

/* ---- the request */

static const char *source_name(enum job_source source)
{
    static const char *const names[] = {"user", "group", "room"};

    return names[source];
}

static const char *type_name(enum image_type type)
{
    static const char *const names[] = {"unknown", "jpeg", "png", "webp",
                                        "gif"};

    return names[type];
}

static void write_size(struct json_out *out, uint32_t width_px,
                       uint32_t height_px)
{
    json_key(out, "width");
    json_int(out, width_px);
    json_key(out, "height");
    json_int(out, height_px);
}

static void write_original(struct json_out *out,
                           const struct processor_picture *picture)
{
    const struct transcode_report *report = picture->report;

    json_key(out, "original");
    json_object(out);
    json_key(out, "url");
    json_str(out, picture->original_url);
    if (report != NULL) {
        write_size(out, report->original_width_px, report->original_height_px);
        json_key(out, "bytes");
        json_int(out, (int64_t)report->original_bytes);
    }
    json_object_end(out);
}

/* A small original is its own preview, and the report says it there. */
static void write_preview(struct json_out *out,
                          const struct processor_picture *picture)
{
    const struct transcode_report *report = picture->report;
    bool same = report != NULL && report->preview_is_original;

    json_key(out, "preview");
    json_object(out);
    json_key(out, "url");
    json_str(out, picture->preview_url);
    if (report != NULL) {
        write_size(
            out, same ? report->original_width_px : report->preview_width_px,
            same ? report->original_height_px : report->preview_height_px);
        json_key(out, "bytes");
        json_int(out, (int64_t)(same ? report->original_bytes
                                     : report->preview_bytes));
    }
    json_object_end(out);
}

static void write_source_image(struct json_out *out,
                               const struct transcode_report *report)
{
    json_key(out, "source_image");
    json_object(out);
    json_key(out, "type");
    json_str(out, type_name(report->source_type));
    write_size(out, report->source_width_px, report->source_height_px);
    json_object_end(out);
}

static void write_ids(struct json_out *out, const struct job *job)
{
    const struct {
        const char *key, *value;
    } ids[] = {
        {"channel", job->channel},
        {"message_id", job->message_id},
        {"event_id", job->event_id},
        {"kind", job_kind_name(job->kind)},
    };

    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        json_key(out, ids[i].key);
        json_str(out, ids[i].value);
    }
    json_key(out, "source");
    json_object(out);
    json_key(out, "type");
    json_str(out, source_name(job->source));
    json_key(out, "id");
    json_str(out, job->source_id);
    json_object_end(out);
}

enum status processor_request_json(const struct processor_picture *picture,
                                   struct buf *out_buf)
{
    struct json_out out;

    json_out_init(&out, out_buf);
    json_object(&out);
    json_key(&out, "version");
    json_int(&out, 1);
    write_ids(&out, picture->job);
    write_original(&out, picture);
    write_preview(&out, picture);
    if (picture->report != NULL)
        write_source_image(&out, picture->report);
    json_key(&out, "received_ms");
    json_int(&out, picture->job->received_ms);
    json_object_end(&out);
    return json_out_finish(&out);
}

/* ---- the answer */

struct found {
    size_t begin, end; /* of the array, in the body; 0: none */
};

static enum status find_messages(void *arg, const struct json_event *event)
{
    struct found *found = arg;

    if (event->depth == 0)
        return event->kind == JSON_OBJECT_BEGIN ||
                       event->kind == JSON_OBJECT_END
                   ? STATUS_OK
                   : STATUS_BAD_INPUT;
    if (!json_path_is(event, "messages"))
        return STATUS_OK;
    if (event->kind == JSON_ARRAY_BEGIN && found->begin == 0)
        found->begin = event->offset - 1;
    else if (event->kind == JSON_ARRAY_END)
        found->end = event->offset;
    else
        return STATUS_BAD_INPUT; /* no array, or a second one */
    return STATUS_OK;
}

enum status processor_read_answer(int http_status, const char *body, size_t len,
                                  const char **messages, size_t *messages_len,
                                  char *why, size_t why_size)
{
    struct found found = {0, 0};
    enum status status;

    *messages = NULL;
    *messages_len = 0;
    if (http_status == 204)
        return STATUS_OK;
    if (http_status != 200) {
        (void)snprintf(why, why_size, "HTTP %d", http_status);
        return STATUS_REFUSED;
    }
    status = json_read(body, len, find_messages, &found);
    if (status != STATUS_OK) {
        (void)snprintf(why, why_size,
                       "no JSON object with an array \"messages\" in it");
        return status;
    }
    if (found.end == 0)
        return STATUS_OK;
    status = line_message_check(body + found.begin, found.end - found.begin);
    if (status != STATUS_OK) {
        (void)snprintf(why, why_size, "not 1 to %d LINE messages",
                       MESSAGES_MAX);
        return status;
    }
    *messages = body + found.begin;
    *messages_len = found.end - found.begin;
    return STATUS_OK;
}

/* ---- calls */

static void call_free(struct processor_call *call)
{
    buf_release(&call->answer);
    free(call);
}

static enum http_body_answer on_body(void *arg, const char *bytes, size_t len)
{
    struct processor_call *call = arg;

    if (buf_append(&call->answer, bytes, len) != STATUS_OK)
        return HTTP_BODY_ABORT;
    return HTTP_BODY_OK;
}

static void tell_failure(const struct processor_call *call, enum status status,
                         const char *why, const struct http_result *result)
{
    LOG(WARN, "processor_failed", LOG_STR("job", call->message_id),
        LOG_STR("channel", call->channel),
        LOG_STR("reason", status_name(status)), LOG_STR("text", why),
        LOG_INT("elapsed_ms", result->elapsed_ms));
}

static void on_done(void *arg, const struct http_result *result)
{
    struct processor_call *call = arg;
    char why[WHY_BYTES] = "";
    const char *messages = NULL;
    size_t len = 0;
    enum status status = result->status;

    if (status == STATUS_OK)
        status = processor_read_answer(result->head.status,
                                       buf_str(&call->answer), call->answer.len,
                                       &messages, &len, why, sizeof(why));
    else
        (void)snprintf(why, sizeof(why), "%s", result->error);
    if (status != STATUS_OK)
        tell_failure(call, status, why, result);
    METRIC_ADD(status == STATUS_OK ? METRIC_PROCESSOR_ANSWERED
                                   : METRIC_PROCESSOR_FAILED,
               1);
    call->on_done(call->arg, messages, len);
    call_free(call);
}

/* As LINE signs a webhook (line-platform 1.2), under another name. */
static enum status sign(const struct config_channel *channel,
                        const struct buf *body, char *line, size_t size)
{
    uint8_t mac[SHA256_BYTES];
    char text[SHA256_BASE64_SIZE];
    enum status status =
        crypto_hmac_sha256(channel->secrets[0], strlen(channel->secrets[0]),
                           body->data, body->len, mac);

    if (status != STATUS_OK)
        return status;
    crypto_base64_mac(mac, text);
    (void)snprintf(line, size, "%s%s", SIGNATURE_HEADER, text);
    return STATUS_OK;
}

static enum status post(struct http *http,
                        const struct processor_request *request,
                        struct processor_call *call, const struct buf *body)
{
    char signature[sizeof(SIGNATURE_HEADER) + SHA256_BASE64_SIZE];
    const char *headers[] = {"Content-Type: application/json", signature, NULL};
    struct http_request post = {
        .method = "POST",
        .url = request->picture.channel->processor_url,
        .headers = headers,
        .body = body->data,
        .body_len = body->len,
        .timeout_ms = request->timeout_ms,
        .max_bytes = PROCESSOR_ANSWER_MAX_BYTES,
        .arg = call,
        .on_body = on_body,
        .on_done = on_done,
    };
    enum status status =
        sign(request->picture.channel, body, signature, sizeof(signature));

    if (status != STATUS_OK)
        return status;
    return http_start(http, &post, &call->transfer);
}

enum status processor_call(struct http *http,
                           const struct processor_request *request,
                           struct processor_call **out)
{
    struct processor_call *call = calloc(1, sizeof(*call));
    const struct job *job = request->picture.job;
    struct buf body;
    enum status status;

    if (call == NULL)
        return STATUS_NO_MEMORY;
    buf_init(&call->answer, PROCESSOR_ANSWER_MAX_BYTES);
    buf_init(&body, PROCESSOR_REQUEST_MAX_BYTES);
    (void)str_copy(call->channel, sizeof(call->channel), job->channel);
    (void)str_copy(call->message_id, sizeof(call->message_id), job->message_id);
    call->arg = request->arg;
    call->on_done = request->on_done;
    status = processor_request_json(&request->picture, &body);
    if (status == STATUS_OK)
        status = post(http, request, call, &body);
    buf_release(&body);
    if (status != STATUS_OK)
        call_free(call);
    else
        *out = call;
    return status;
}

void processor_cancel(struct processor_call *call)
{
    http_cancel(call->transfer);
    call_free(call);
}
