/*
 * check_web.c: the way from outside, through nginx: a published file is fetched
 * back as a phone would, and each webhook is called as LINE would, with an
 * empty body. Certificates are verified by the authorities of the settings.
 */
#include <unistd.h>

#include "check_parts.h"
#include "crypto.h"
#include "webhook.h"

/* A PNG of one gray pixel. */
static const uint8_t picture[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d,
    0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01,
    0x08, 0x00, 0x00, 0x00, 0x00, 0x3a, 0x7e, 0x9b, 0x55, 0x00, 0x00, 0x00,
    0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0x68, 0x00, 0x00, 0x00,
    0x82, 0x00, 0x81, 0xda, 0x45, 0x08, 0x3b, 0x00, 0x00, 0x00, 0x00, 0x49,
    0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
};

struct fetch {
    struct check *check;
    enum status status;
    struct http_head head;
    char error[160];
    uint8_t body[sizeof(picture)];
    int64_t body_bytes;
};

static enum http_body_answer on_body(void *arg, const char *bytes, size_t len)
{
    struct fetch *fetch = arg;
    size_t have = size_min((size_t)fetch->body_bytes, sizeof(fetch->body));

    memcpy(fetch->body + have, bytes,
           size_min(len, sizeof(fetch->body) - have));
    fetch->body_bytes += (int64_t)len;
    return HTTP_BODY_OK;
}

static void on_done(void *arg, const struct http_result *result)
{
    struct fetch *fetch = arg;

    fetch->status = result->status;
    fetch->head = result->head;
    (void)snprintf(fetch->error, sizeof(fetch->error), "%s",
                   result->error != NULL ? result->error : "");
    loop_stop(fetch->check->once.loop);
}

/* `request` lacks what is the same for all. */
static void run(struct fetch *fetch, struct http_request *request)
{
    struct http_transfer *transfer;
    enum status status;

    request->timeout_ms = check_time_ms(fetch->check);
    request->max_bytes = HTTP_RESPONSE_MAX_BYTES;
    request->arg = fetch;
    request->on_body = on_body;
    request->on_done = on_done;
    status = http_start(fetch->check->once.http, request, &transfer);
    if (status == STATUS_OK)
        status = loop_run(fetch->check->once.loop);
    if (status != STATUS_OK)
        fetch->status = status;
}

/* ---- failures that both requests may have */

/* By curl's words. A handshake that breaks off is not: that may be another
 * program. */
static bool is_about_certificates(const char *words)
{
    return strstr(words, "certificate") != NULL;
}

static const char *transport_advice(const struct fetch *fetch)
{
    if (is_about_certificates(fetch->error))
        return "nginx must send a certificate for this name with its complete "
               "chain: ssl_certificate fullchain.pem, not cert.pem; browsers "
               "find a missing intermediate by themselves, LINE and phones "
               "do not";
    if (strstr(fetch->error, "resolve host") != NULL)
        return "the name in public_url has no address, seen from here: is it "
               "spelt right, does DNS have it (A or AAAA), yet?";
    if (fetch->status == STATUS_TIMEOUT && fetch->check->web_answers)
        return "nginx answers and the workers do not: are they stopped, or "
               "stuck at a disk? See their log, and restart them";
    if (fetch->status == STATUS_TIMEOUT)
        return "nobody answers: look at firewall and DNS of public_url";
    return "is nginx running (systemctl status nginx), did it get its port "
           "('Address already in use' in its log: ss -ltnp names who has it), "
           "and does public_url lead to this machine?";
}

/* True if there is an answer. */
static bool tell_transport(struct fetch *fetch, const char *name,
                           const struct config_channel *channel,
                           const char *url)
{
    if (fetch->status == STATUS_OK)
        return true;
    check_fail(fetch->check, name, channel, transport_advice(fetch),
               "%s: %s%s%s", url, status_text(fetch->status),
               fetch->error[0] != '\0' ? ": " : "", fetch->error);
    return false;
}

/* ---- a published file */

static enum status publish(struct check *check, char *name, size_t size)
{
    uint8_t key[STORE_NAME_KEY_BYTES]; /* of its own: nobody's picture */
    struct store_file file;
    enum status status = crypto_random(key, sizeof(key));

    if (status == STATUS_OK)
        status = store_name(key, "darkroom", "check", false, name, size);
    if (status == STATUS_OK)
        status = store_begin(check->store, &file);
    if (status != STATUS_OK)
        return status;
    if (write(file.fd, picture, sizeof(picture)) != (ssize_t)sizeof(picture)) {
        store_discard(check->store, &file);
        return STATUS_NO_SPACE;
    }
    return store_publish(check->store, &file, sizeof(picture), name);
}

static void tell_unreadable(struct fetch *fetch, const char *url)
{
    struct check *check = fetch->check;
    char advice[2 * CHECK_PATH_BYTES + 128];

    if (check->closed_dir[0] != '\0')
        (void)snprintf(advice, sizeof(advice),
                       "nginx may not enter '%s' (mode %04o): chmod o+x '%s', "
                       "or keep the store elsewhere",
                       check->closed_dir, (unsigned)check->closed_mode,
                       check->closed_dir);
    else
        (void)str_copy(advice, sizeof(advice),
                       "nginx may not read the file: look at its error log");
    check_fail(check, "published", NULL, advice, "%s: HTTP 403", url);
}

static void tell_content(struct fetch *fetch, const char *url)
{
    struct check *check = fetch->check;
    bool same = fetch->body_bytes == (int64_t)sizeof(picture) &&
                memcmp(fetch->body, picture, sizeof(picture)) == 0;

    if (!same)
        check_fail(check, "published", NULL,
                   "something between changes pictures: switch its 'image "
                   "optimisation' off",
                   "%s: %lld bytes came back that are not the %zu that were "
                   "published",
                   url, (long long)fetch->body_bytes, sizeof(picture));
    else if (!str_eq(fetch->head.content_type, "image/png"))
        check_fail(check, "published", NULL,
                   "phones show nothing else than image/png: use "
                   "nginx/darkroom-server.conf as it is",
                   "%s: Content-Type is '%s'", url, fetch->head.content_type);
    else
        check_pass(check, "published", NULL,
                   "a file came back through %s as it was",
                   check->config->public_url);
}

static void judge_published(struct fetch *fetch, const char *url)
{
    struct check *check = fetch->check;

    if (!tell_transport(fetch, "published", NULL, url))
        return;
    check->web_answers = true;
    if (fetch->head.status == 200)
        tell_content(fetch, url);
    else if (fetch->head.status == 403)
        tell_unreadable(fetch, url);
    else if (fetch->head.status >= 300 && fetch->head.status < 400)
        check_fail(check, "published", NULL,
                   "public_url must be the address that answers itself, "
                   "without redirect",
                   "%s: HTTP %d, a redirect", url, fetch->head.status);
    else
        check_fail(check, "published", NULL,
                   "nginx serves another directory, or another program has "
                   "its port: $darkroom_public must be the directory of "
                   "[store] url",
                   "%s: HTTP %d", url, fetch->head.status);
}

void check_published(struct check *check)
{
    struct fetch fetch = {.check = check};
    struct http_request request = {.method = "GET"};
    char name[JOB_FILE_NAME_MAX + 1], url[CHECK_PATH_BYTES + 80];
    enum status status;

    if (check->store == NULL) {
        check_skip(check, "published", NULL, "there is no store to write to");
        return;
    }
    status = publish(check, name, sizeof(name));
    if (status != STATUS_OK) {
        check_fail(check, "published", NULL,
                   "look at the disk and the directory of the store",
                   "no file can be published: %s", status_text(status));
        return;
    }
    (void)snprintf(url, sizeof(url), "%s/static/%s", check->config->public_url,
                   name);
    request.url = url;
    run(&fetch, &request);
    judge_published(&fetch, url);
    if (store_remove(check->store, name, NULL) != STATUS_OK)
        check_fail(check, "published", NULL, "remove it by hand",
                   "the file %s of this check could not be removed", name);
}

/* ---- a webhook */

static const char *webhook_advice(int http_status)
{
    switch (http_status) {
    case 401:
        return "the running workers have other settings than these: reload "
               "(SIGHUP) or restart them";
    case 404:
        return "the running workers do not know this channel (reload them), "
               "or nginx does not send /webhook to them";
    case 502:
    case 504:
        return "nginx runs and the workers do not answer: start them; if they "
               "run, their socket is not the one of fastcgi_pass, or it is "
               "stale: restart them";
    case 503:
        return "the workers refuse: disk full or queue stuck, see their log";
    default:
        return "this answer is not darkroom's: public_url leads elsewhere, or "
               "another program has nginx's port";
    }
}

void check_webhook(struct check *check, const struct config_channel *channel)
{
    /* As LINE's "Verify" (line-platform 1.4). */
    static const char body[] =
        "{\"destination\":\"" WEBHOOK_DESTINATION_NONE "\",\"events\":[]}";
    char signature[sizeof("x-line-signature: ") + SHA256_BASE64_SIZE];
    const char *const headers[] = {"Content-Type: application/json", signature,
                                   NULL};
    struct fetch fetch = {.check = check};
    struct http_request request = {
        .method = "POST",
        .headers = headers,
        .body = body,
        .body_len = sizeof(body) - 1,
    };
    char url[CHECK_PATH_BYTES], mac_text[SHA256_BASE64_SIZE];
    uint8_t mac[SHA256_BYTES];
    enum status status;

    config_webhook_url(check->config, channel, url, sizeof(url));
    if (check_time_ms(check) == 0) {
        check_skip_late(check, "workers", channel);
        return;
    }
    status =
        crypto_hmac_sha256(channel->secrets[0], strlen(channel->secrets[0]),
                           body, sizeof(body) - 1, mac);
    if (status != STATUS_OK) {
        check_skip(check, "workers", channel, "%s", status_text(status));
        return;
    }
    crypto_base64_mac(mac, mac_text);
    (void)snprintf(signature, sizeof(signature), "x-line-signature: %s",
                   mac_text);
    request.url = url;
    run(&fetch, &request);
    if (!tell_transport(&fetch, "workers", channel, url))
        return;
    if (fetch.head.status == 200)
        check_pass(check, "workers", channel, "answered 200 at %s", url);
    else
        check_fail(check, "workers", channel, webhook_advice(fetch.head.status),
                   "%s: HTTP %d", url, fetch.head.status);
}
