/*
 * main.c: options, the table of routes, and the order of starting and stopping.
 *
 * Started last and stopped first is the server, which uses all the rest. The
 * signals that end the program are blocked in every thread and waited for by
 * main(), so no handler runs in a signal's context.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_api.h"
#include "fetch.h"
#include "platform_api.h"
#include "server.h"
#include "sim.h"

#define EXIT_USAGE 64

struct options {
    char address[64];
    uint16_t port;
    const char *port_file;
    const char *webhook_url;
    const char *ca_file;
    const char *secret;
    const char *access_token;
    const char *channel_id;
    const char *destination;
    const char *log;
    const char *content_dir;
    int64_t token_life_ms;
    bool verify_urls;
};

static const struct route routes[] = {
    {"GET", "/v2/bot/message/+/content", 0, platform_content},
    {"POST", "/v2/bot/message/reply", LINE_API_BODY_MAX_BYTES, platform_reply},
    {"POST", "/v2/bot/message/push", LINE_API_BODY_MAX_BYTES, platform_push},
    {"POST", "/v2/bot/chat/loading/start", LINE_API_BODY_MAX_BYTES,
     platform_loading},
    {"POST", "/v2/bot/chat/markAsRead", LINE_API_BODY_MAX_BYTES, platform_read},
    {"GET", "/v2/bot/info", 0, platform_info},
    {"GET", "/v2/bot/profile/+", 0, platform_profile},
    {"GET", "/v2/bot/channel/webhook/endpoint", 0, platform_webhook_get},
    {"PUT", "/v2/bot/channel/webhook/endpoint", LINE_API_BODY_MAX_BYTES,
     platform_webhook_set},
    {"POST", "/v2/bot/channel/webhook/test", LINE_API_BODY_MAX_BYTES,
     platform_webhook_test},
    {"GET", "/v2/bot/message/quota", 0, platform_quota},
    {"GET", "/v2/bot/message/quota/consumption", 0, platform_consumption},
    {"POST", "/oauth2/v3/token", LINE_API_BODY_MAX_BYTES, platform_token},
    {"POST", "/sim/photo", SIM_CONTROL_BODY_MAX_BYTES, control_photo},
    {"POST", "/sim/webhook", SIM_CONTROL_BODY_MAX_BYTES, control_webhook},
    {"POST", "/sim/repeat", SIM_CONTROL_BODY_MAX_BYTES, control_repeat},
    {"POST", "/sim/unsend", SIM_CONTROL_BODY_MAX_BYTES, control_unsend},
    {"POST", "/sim/behaviour", SIM_CONTROL_BODY_MAX_BYTES, control_behaviour},
    {"POST", "/sim/clock", SIM_CONTROL_BODY_MAX_BYTES, control_clock},
    {"POST", "/sim/reset", SIM_CONTROL_BODY_MAX_BYTES, control_reset},
    {"GET", "/sim/state", 0, control_state},
    {"GET", "/sim/wait", 0, control_wait},
    {NULL, NULL, 0, NULL}};

static void print_help(FILE *out)
{
    (void)fputs(
        "Usage: line-sim --webhook-url URL --secret S --access-token T "
        "[option]...\n"
        "The LINE platform on a loopback port: sends signed webhooks, serves\n"
        "content, takes replies and pushes by LINE's rules.\n"
        "\n"
        "  --webhook-url URL     where webhooks go (loopback only)\n"
        "  --secret S            channel secret, signs the webhooks\n"
        "  --access-token T      channel access token the bot must send\n"
        "  --listen ADDR:PORT    loopback address; port 0 = any "
        "(127.0.0.1:0)\n"
        "  --port-file FILE      receives the port when all is ready\n"
        "  --ca-file PEM         trusted for the webhook and image URLs\n"
        "  --channel-id ID       for stateless tokens (any)\n"
        "  --destination U...    the bot's user id\n"
        "  --content-dir DIR     where relative file names are looked up\n"
        "  --log FILE            everything sent and received, JSON lines\n"
        "  --verify-urls yes|no  fetch and decode the images answered with "
        "(yes)\n"
        "  --token-life-ms N     of reply tokens (60000)\n"
        "  --help\n"
        "\n"
        "--secret and --access-token may come from LINE_CHANNEL_SECRET and\n"
        "LINE_CHANNEL_ACCESS_TOKEN. Control it with tests/sim/sim; see\n"
        "tests/sim/README.md. SIGTERM ends it.\n",
        out);
}

static bool fail(const char *what)
{
    (void)fprintf(stderr, "line-sim: %s (--help tells more)\n", what);
    return false;
}

/* "127.0.0.1:8080", "[::1]:0" */
static bool parse_listen(const char *text, struct options *options)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t len;
    int64_t port;

    if (colon == NULL || !str_to_int64(colon + 1, 0, UINT16_MAX, &port))
        return fail("--listen is not ADDRESS:PORT");
    len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        host++;
        len -= 2;
    }
    options->port = (uint16_t)port;
    return str_copy_n(options->address, sizeof(options->address), host, len) ||
           fail("--listen is too long");
}

static bool set_verify(const char *text, struct options *options)
{
    options->verify_urls = str_eq(text, "yes");
    return options->verify_urls || str_eq(text, "no") ||
           fail("--verify-urls is yes or no");
}

static bool check_options(const struct options *options)
{
    if (options->webhook_url == NULL)
        return fail("--webhook-url is needed");
    if (strncmp(options->webhook_url, "https://", 8) != 0 &&
        strncmp(options->webhook_url, "http://", 7) != 0)
        return fail("--webhook-url is not an http(s) URL");
    if (options->secret == NULL || options->secret[0] == '\0')
        return fail("--secret is needed");
    if (options->access_token == NULL || options->access_token[0] == '\0')
        return fail("--access-token is needed");
    return true;
}

/* False = do not run; *code is then the exit status. */
static bool parse_options(int argc, char **argv, struct options *o, int *code)
{
    static const struct option names[] = {
        {"listen", required_argument, NULL, 'l'},
        {"port-file", required_argument, NULL, 'p'},
        {"webhook-url", required_argument, NULL, 'w'},
        {"ca-file", required_argument, NULL, 'c'},
        {"secret", required_argument, NULL, 's'},
        {"access-token", required_argument, NULL, 'a'},
        {"channel-id", required_argument, NULL, 'i'},
        {"destination", required_argument, NULL, 'd'},
        {"log", required_argument, NULL, 'o'},
        {"content-dir", required_argument, NULL, 'D'},
        {"verify-urls", required_argument, NULL, 'v'},
        {"token-life-ms", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    bool good = true;
    int option;

    *code = EXIT_USAGE;
    while (good && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        const char **text = option == 'p'   ? &o->port_file
                            : option == 'w' ? &o->webhook_url
                            : option == 'c' ? &o->ca_file
                            : option == 's' ? &o->secret
                            : option == 'a' ? &o->access_token
                            : option == 'i' ? &o->channel_id
                            : option == 'd' ? &o->destination
                            : option == 'o' ? &o->log
                            : option == 'D' ? &o->content_dir
                                            : NULL;

        if (option == 'h') {
            print_help(stdout);
            *code = EXIT_SUCCESS;
            return false;
        }
        if (text != NULL)
            *text = optarg;
        else if (option == 'l')
            good = parse_listen(optarg, o);
        else if (option == 't')
            good = str_to_int64(optarg, 1, LINE_TOKEN_LIFE_MS,
                                &o->token_life_ms) ||
                   fail("--token-life-ms is at most LINE's minute");
        else if (option == 'v')
            good = set_verify(optarg, o);
        else
            good = fail("unknown option or missing value");
    }
    if (good && optind < argc)
        good = fail("too many arguments");
    return good && check_options(o);
}

/* Whole or not at all, so that a script may wait for the file to be there. */
static enum status write_port_file(const char *path, uint16_t port)
{
    char temp[SIM_PATH_MAX];
    FILE *file;
    bool good;
    int len = snprintf(temp, sizeof(temp), "%s.tmp", path);

    if (len < 0 || (size_t)len >= sizeof(temp))
        return STATUS_TOO_LARGE;
    file = fopen(temp, "we");
    if (file == NULL)
        return status_from_errno(errno);
    good = fprintf(file, "%u\n", port) > 0;
    good = fclose(file) == 0 && good;
    if (good && rename(temp, path) == 0)
        return STATUS_OK;
    (void)unlink(temp);
    return STATUS_IO;
}

static enum status start_parts(struct sim *sim, const struct options *o)
{
    struct state_options state_options = {o->access_token, o->secret,
                                          o->channel_id,   o->destination,
                                          o->webhook_url,  o->token_life_ms};
    struct verifier_options verifier_options = {.recorder = &sim->recorder,
                                                .ca_file = o->ca_file,
                                                .enabled = o->verify_urls};
    struct sender_options sender_options = {.recorder = &sim->recorder,
                                            .webhook_url = o->webhook_url,
                                            .ca_file = o->ca_file,
                                            .secret = o->secret,
                                            .destination = o->destination};
    enum status status = recorder_open(&sim->recorder, o->log);

    sim->content_dir = o->content_dir;
    if (status == STATUS_OK)
        status = state_new(&sim->state, &state_options);
    verifier_options.state = sim->state;
    sender_options.state = sim->state;
    if (status == STATUS_OK)
        status = verifier_start(&sim->verifier, &verifier_options);
    if (status == STATUS_OK)
        status = sender_start(&sim->sender, &sender_options);
    return status;
}

/* Waits end first, then the server's threads, then what they used. */
static void stop_all(struct sim *sim, struct server *server)
{
    if (sim->state != NULL)
        state_stop(sim->state);
    if (sim->sender != NULL)
        sender_quiesce(sim->sender);
    server_stop(server);
    sender_free(sim->sender);
    verifier_free(sim->verifier);
    state_free(sim->state);
    recorder_close(&sim->recorder);
}

static enum status run(struct sim *sim, const struct options *o,
                       const sigset_t *ending)
{
    struct server_options server_options = {.address = o->address,
                                            .port = o->port,
                                            .routes = routes,
                                            .app = sim,
                                            .not_found = platform_not_found};
    struct server *server = NULL;
    enum status status = start_parts(sim, o);
    int signal_number;

    if (status == STATUS_OK)
        status = server_start(&server, &server_options);
    if (status == STATUS_OK && o->port_file != NULL)
        status = write_port_file(o->port_file, server_port(server));
    if (status == STATUS_OK) {
        (void)fprintf(stderr, "line-sim: listening on %s port %u\n", o->address,
                      server_port(server));
        (void)sigwait(ending, &signal_number);
    }
    stop_all(sim, server);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = {
        .address = "127.0.0.1",
        .secret = getenv("LINE_CHANNEL_SECRET"),
        .access_token = getenv("LINE_CHANNEL_ACCESS_TOKEN"),
        .destination = "U0123456789abcdef0123456789abcdef",
        .token_life_ms = LINE_TOKEN_LIFE_MS,
        .verify_urls = true};
    struct sim sim = {.recorder = {.fd = -1}};
    sigset_t ending;
    enum status status;
    int code;

    if (!parse_options(argc, argv, &options, &code))
        return code;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ending, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    status = fetch_global_init();
    if (status == STATUS_OK) {
        status = run(&sim, &options, &ending);
        fetch_global_cleanup();
    }
    if (status == STATUS_BAD_CONFIG)
        (void)fail("--listen must be a loopback address");
    else if (status != STATUS_OK)
        (void)fprintf(stderr, "line-sim: %s\n", status_text(status));
    return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
