/*
 * line_api.c: what is particular to each call: its body, and what its answer
 * leads to. How a call is made is in line_call.c, what an answer means in
 * line_judge.c.
 *
 *   push ─429─▶ quota ─limited─▶ consumption ─▶ OVER_QUOTA or RATE_LIMITED
 */
#include "line_api.h"

#include "json.h"
#include "line_call.h"
#include "log.h"

/* Frees the call of a request that could not be started. */
static enum status start(struct line_call *call, enum status status,
                         struct line_call **out)
{
    if (status == STATUS_OK)
        status = line_call_start(call);
    if (status == STATUS_OK)
        *out = call;
    else
        line_call_free(call);
    return status;
}

/* ---- content */

enum status line_content_get(struct line_api *api,
                             const struct line_content_request *request,
                             struct line_call **out)
{
    struct line_call *call =
        line_call_new(api, request->channel, LINE_CONTENT, line_judge_content,
                      request->timeout_ms);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    call->max_bytes = request->max_bytes;
    call->arg = request->arg;
    call->on_head = request->on_head;
    call->on_body = request->on_body;
    call->on_done = request->on_done;
    return start(call,
                 str_copy(call->message_id, sizeof(call->message_id),
                          request->message_id)
                     ? STATUS_OK
                     : STATUS_BUG,
                 out);
}

/* ---- reply and push */

/* {"key":"value"} */
static enum status write_pair(struct buf *body, const char *key,
                              const char *value)
{
    struct json_out out;

    json_out_init(&out, body);
    json_object(&out);
    json_key(&out, key);
    json_str(&out, value);
    json_object_end(&out);
    return json_out_finish(&out);
}

/* {"key":"value","messages":[...]}: the array is put in as it is, so that a
 * repeated push has the same body to the byte. */
static enum status write_messages(struct buf *body, const char *key,
                                  const char *value, const char *messages,
                                  size_t len)
{
    enum status status = write_pair(body, key, value);

    if (status != STATUS_OK)
        return status;
    body->data[--body->len] = '\0'; /* the brace */
    status = buf_append_str(body, ",\"messages\":");
    if (status == STATUS_OK)
        status = buf_append(body, messages, len);
    if (status == STATUS_OK)
        status = buf_append_str(body, "}");
    return status;
}

enum status line_reply(struct line_api *api,
                       const struct line_reply_request *request,
                       struct line_call **out)
{
    struct line_call *call =
        line_call_new(api, request->channel, LINE_REPLY, line_judge_reply,
                      request->timeout_ms);

    if (call == NULL)
        return STATUS_NO_MEMORY;
    call->arg = request->arg;
    call->on_done = request->on_done;
    return start(call,
                 write_messages(&call->body, "replyToken", request->reply_token,
                                request->messages, request->messages_len),
                 out);
}
