/*
 * routes.c: a table of paths and a table of answers.
 */
#include "routes.h"

#include <strings.h>

typedef void route_fn(const struct routes *routes,
                      const struct request *request, const char *rest,
                      struct response *response);

static void respond(struct response *response, int status, const char *text)
{
    response->status = status;
    response->text = text;
}

static int http_status_of(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return 200;
    case STATUS_NOT_FOUND:
        return 404;
    case STATUS_BAD_SIGNATURE:
        return 401;
    case STATUS_BAD_INPUT:
    case STATUS_CUT:
        return 400;
    case STATUS_TOO_LARGE:
        return 413;
    default:
        return status_is_retry(status) ? 503 : 500;
    }
}

static void respond_status(struct response *response, enum status status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {200, ""},
        {400, "not a LINE webhook\n"},
        {401, "x-line-signature is missing or wrong\n"},
        {404, "no such channel\n"},
        {413, "the body is too large\n"},
        {503, "cannot store events now, try again\n"},
    };
    int code = http_status_of(status);

    respond(response, code, "internal error\n");
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (texts[i].status == code)
            response->text = texts[i].text;
    }
}

/* LINE names the type; a client that names none is given the benefit. */
static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    size_t len = sizeof(json) - 1;

    return *content_type == '\0' ||
           (strncasecmp(content_type, json, len) == 0 &&
            strchr("; \t", content_type[len]) != NULL);
}

static void answer_webhook(const struct intake *intake,
                           const struct request *request, const char *channel,
                           struct response *response)
{
    enum status status = request->body_status;

    if (!is_json(request->content_type)) {
        respond(response, 415, "a webhook is application/json\n");
        return;
    }
    if (status == STATUS_OK)
        status = intake_accept(intake, channel, request->body,
                               request->body_len, request->signature);
    respond_status(response, status);
}

static void count_webhook(int status, int64_t start_us)
{
    static const struct {
        int status;
        enum metrics_counter counter;
    } rows[] = {
        {200, METRIC_WEBHOOK_200}, {400, METRIC_WEBHOOK_400},
        {401, METRIC_WEBHOOK_401}, {404, METRIC_WEBHOOK_404},
        {413, METRIC_WEBHOOK_413}, {415, METRIC_WEBHOOK_415},
        {500, METRIC_WEBHOOK_500}, {503, METRIC_WEBHOOK_503},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].status == status)
            METRIC_ADD(rows[i].counter, 1);
    }
    if (status == 200)
        metrics_observe_us(METRIC_SECONDS_ACK, mono_us() - start_us);
}

static void webhook(const struct routes *routes, const struct request *request,
                    const char *channel, struct response *response)
{
    int64_t start_us = mono_us();

    answer_webhook(routes->intake, request, channel, response);
    count_webhook(response->status, start_us);
}

static void healthz(const struct routes *routes, const struct request *request,
                    const char *rest, struct response *response)
{
    (void)routes;
    (void)request;
    (void)rest;
    respond(response, 200, "ok\n");
}

/* ---- what shows that it works */

static void readyz(const struct routes *routes, const struct request *request,
                   const char *rest, struct response *response)
{
    struct vitals vitals;

    (void)request;
    (void)rest;
    vitals_look(routes->vitals, &vitals);
    if (vitals_ready(&vitals, &response->body))
        respond(response, 200, "ready\n");
    else
        respond(response, 503, "not ready\n");
}

/* Part of a text would be a lie. */
static void respond_body(struct response *response, enum status status,
                         const char *type)
{
    if (status == STATUS_OK) {
        respond(response, 200, "");
        response->type = type;
        return;
    }
    buf_release(&response->body);
    respond(response, 500, "cannot write the answer\n");
}

static void metrics(const struct routes *routes, const struct request *request,
                    const char *rest, struct response *response)
{
    struct vitals vitals;

    (void)request;
    (void)rest;
    vitals_look(routes->vitals, &vitals);
    respond_body(response, vitals_metrics(&vitals, &response->body),
                 "text/plain; version=0.0.4; charset=utf-8");
}

static void status_json(const struct routes *routes,
                        const struct request *request, const char *rest,
                        struct response *response)
{
    struct vitals vitals;

    (void)request;
    (void)rest;
    vitals_look(routes->vitals, &vitals);
    respond_body(response,
                 vitals_json(routes->vitals, &vitals, &response->body),
                 "application/json");
}

static const struct route {
    const char *path;
    const char *methods; /* as in Allow */
    bool has_rest;       /* "/path/<rest>" is meant too */
    route_fn *handle;
} table[] = {
    {"/webhook", "POST", true, webhook},
    {"/healthz", "GET, HEAD", false, healthz},
    {"/readyz", "GET, HEAD", false, readyz},
    {"/metrics", "GET, HEAD", false, metrics},
    {"/darkroom/status.json", "GET, HEAD", false, status_json},
};

/* What follows "path/", "" for the path itself, NULL for another path. */
static const char *rest_of(const struct route *route, const char *path)
{
    size_t len = strlen(route->path);

    if (strncmp(path, route->path, len) != 0)
        return NULL;
    if (path[len] == '\0')
        return "";
    return route->has_rest && path[len] == '/' ? path + len + 1 : NULL;
}

static bool allows(const struct route *route, const char *method)
{
    size_t len = strlen(method);
    const char *at = strstr(route->methods, method);

    return len > 0 && at != NULL && (at[len] == '\0' || at[len] == ',') &&
           (at == route->methods || at[-1] == ' ');
}

void routes_handle(void *arg, const struct request *request,
                   struct response *response)
{
    const struct routes *routes = arg;

    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        const char *rest = rest_of(&table[i], request->path);

        if (rest == NULL)
            continue;
        if (!allows(&table[i], request->method)) {
            respond(response, 405, "wrong method\n");
            response->allow = table[i].methods;
            return;
        }
        table[i].handle(routes, request, rest, response);
        return;
    }
    respond(response, 404, "nothing here\n");
}
