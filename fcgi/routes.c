/*
 * routes.c: a table of paths and a table of answers.
 */
#include "routes.h"

#include <strings.h>

typedef void route_fn(const struct intake *intake,
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

static void webhook(const struct intake *intake, const struct request *request,
                    const char *channel, struct response *response)
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

static void healthz(const struct intake *intake, const struct request *request,
                    const char *rest, struct response *response)
{
    (void)intake;
    (void)request;
    (void)rest;
    respond(response, 200, "ok\n");
}

static const struct route {
    const char *path;
    const char *methods; /* as in Allow */
    bool has_rest;       /* "/path/<rest>" is meant too */
    route_fn *handle;
} routes[] = {
    {"/webhook", "POST", true, webhook},
    {"/healthz", "GET, HEAD", false, healthz},
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
    const struct intake *intake = arg;

    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        const char *rest = rest_of(&routes[i], request->path);

        if (rest == NULL)
            continue;
        if (!allows(&routes[i], request->method)) {
            respond(response, 405, "wrong method\n");
            response->allow = routes[i].methods;
            return;
        }
        routes[i].handle(intake, request, rest, response);
        return;
    }
    respond(response, 404, "nothing here\n");
}
