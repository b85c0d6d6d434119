/*
 * line_once.c: an engine as in a worker, whose loop runs for one call.
 */
#include "line_once.h"

enum status line_once_open(struct line_once *once, const struct config *config)
{
    struct http_options http = {
        .user_agent = "darkroom/" DARKROOM_VERSION,
        .ca_file = config->ca_file[0] != '\0' ? config->ca_file : NULL,
    };
    struct line_api_options line = {
        .api_url = config->api_url,
        .data_api_url = config->data_api_url,
    };
    enum status status;

    *once = (struct line_once){0};
    status = loop_new(&once->loop);
    if (status == STATUS_OK)
        status = offload_new(&once->offload, once->loop, 1);
    if (status == STATUS_OK)
        status = http_new(&once->http, once->loop, &http);
    line.loop = once->loop;
    line.http = once->http;
    line.offload = once->offload;
    if (status == STATUS_OK)
        status = line_api_new(&once->line, &line);
    return status;
}

void line_once_close(struct line_once *once)
{
    offload_free(once->offload);
    line_api_free(once->line);
    http_free(once->http);
    loop_free(once->loop);
}

static void on_done(void *arg, const struct line_outcome *outcome)
{
    struct line_once *once = arg;

    once->outcome = *outcome;
    loop_stop(once->loop);
}

struct line_query line_once_query(struct line_once *once,
                                  const struct config_channel *channel,
                                  int64_t timeout_ms)
{
    return (struct line_query){
        .channel = channel,
        .timeout_ms = timeout_ms,
        .arg = once,
        .on_done = on_done,
    };
}

enum status line_once_wait(struct line_once *once, enum status started)
{
    if (started == STATUS_OK)
        started = loop_run(once->loop);
    if (started != STATUS_OK)
        once->outcome = (struct line_outcome){.status = started};
    return once->outcome.status;
}
