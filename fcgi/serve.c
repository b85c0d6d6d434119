/*
 * serve.c: builds the worker's parts, wires its threads, and takes them down in
 * reverse.
 *
 *   main thread     waits for signals
 *   acceptors       responder -> routes -> intake -> queue thread (waits)
 *   queue thread    the only one that touches the queue
 *   engine          loop: pipeline, forward, http, lab
 *   offload         files
 *
 * Order matters at both ends. First the lab keeper is executed, before any
 * secret is read, any thread started and any file opened, so that no lab can
 * inherit one. At the end acceptors stop first, for a request that was accepted
 * must still be stored and answered.
 */
#include "serve.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "commands.h"
#include "crypto.h"
#include "forward.h"
#include "janitor.h"
#include "log.h"
#include "notify.h"
#include "pipeline.h"
#include "responder.h"
#include "routes.h"

#define OFFLOAD_THREADS 2
#define PATH_BYTES (CONFIG_VALUE_MAX + 64)
#define LOAD_UNKNOWN SIZE_MAX
#define WHY_BYTES (CONFIG_VALUE_MAX + 256)

/* No setting, for it opens what external pictures must not reach: the tests
 * have all servers on this machine (http_options.loopback_is_public). */
#define LOOPBACK_VARIABLE "TEST_DARKROOM_LOOPBACK_IS_PUBLIC"

struct worker {
    struct config config; /* as it was at the start */
    struct config_live *live;
    size_t transfers; /* config.max_transfers, or what there is room for */
    uint8_t name_key[STORE_NAME_KEY_BYTES];
    struct lab_keeper keeper; /* until the lab takes it over */
    struct loop *loop;
    struct offload *offload;
    struct store *store;
    struct queue *queue;
    struct http *http;
    struct line_api *line;
    struct lab *lab;
    struct pipeline *pipeline;
    struct forward *forward;
    struct janitor *janitor;
    struct queue_thread *queue_thread;
    struct intake intake;
    struct vitals_sources vitals;
    struct routes routes;
    struct responder *responder;
    pthread_t engine;
    bool engine_runs;
    struct loop_call drain_call;
    int draining; /* parts of the engine that are not idle yet */
    struct loop_call load_call;
    atomic_size_t load;  /* jobs in hand, when load_call looked */
    atomic_bool broken;  /* a part failed: exit with an error */
    char why[WHY_BYTES]; /* words about the step that failed */
};

/* ---- start */

static int load_config(struct worker *worker, const char *path)
{
    struct buf errors;
    enum status status;

    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    status = config_load(&worker->config, path, environ, &errors);
    if (config_check_places(&worker->config, &errors) != STATUS_OK)
        status = STATUS_BAD_CONFIG;
    config_log_errors(&errors);
    buf_release(&errors);
    if (status == STATUS_OK)
        status = config_live_new(&worker->live, &worker->config, path, environ);
    return status == STATUS_OK ? EXIT_OK : EXIT_CONFIG;
}

/* What was read is not to be found in /proc by others, nor in a core. */
static void hide_secrets(void)
{
    config_wipe_environment(environ);
#ifndef DARKROOM_SANITIZE /* the leak checker must be able to look at us */
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* The soft limit is 1024 by tradition, for programs that use select(). The
 * keeper and its labs, executed before, stay below the old one. */
static int64_t raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 &&
        getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    return limit.rlim_cur < INT32_MAX ? (int64_t)limit.rlim_cur : INT32_MAX;
}

/* Better fewer pictures at once than pictures that fail in the middle. The
 * setting stays as it was given: a reload compares with it. */
static void fit_transfers(struct worker *worker)
{
    int64_t wanted = worker->config.max_transfers;
    int64_t limit = raise_descriptor_limit();
    int64_t room = (limit - WORKER_DESCRIPTORS) / TRANSFER_DESCRIPTORS;

    worker->transfers = (size_t)int64_min(wanted, int64_max(room, 1));
    if (wanted > room)
        LOG(WARN, "few_descriptors", LOG_INT("limit", limit),
            LOG_INT("max_transfers", wanted),
            LOG_INT("transfers", worker->transfers));
}

static void name_channels(struct worker *worker)
{
    const struct config *config = config_live_hold(worker->live);

    for (size_t i = 0; i < config->channel_count; i++)
        metrics_name_channel(config->channels[i].name);
    config_drop(config);
}

static void say_what_is_kept(struct worker *worker)
{
    const struct config *config = config_live_hold(worker->live);

    queue_thread_keep(worker->queue_thread,
                      &(struct queue_keep){.done_ms = config->keep_done_ms,
                                           .dead_ms = config->keep_dead_ms});
    config_drop(config);
}

/* Pictures are answered whether they are counted or not. */
static void open_metrics(struct worker *worker)
{
    char path[PATH_BYTES];
    enum status status;

    (void)snprintf(path, sizeof(path), "%s/" METRICS_FILE,
                   worker->config.state_dir);
    status = metrics_open(path);
    if (status != STATUS_OK)
        LOG(WARN, "nothing_is_counted", LOG_STR("file", path),
            LOG_STR("reason", status_text(status)));
    name_channels(worker);
}

static enum status open_state(struct worker *worker)
{
    const struct config *config = &worker->config;
    char path[PATH_BYTES];
    enum status status;

    (void)snprintf(worker->why, sizeof(worker->why), "state directory '%s'",
                   config->state_dir);
    status = atomicfile_make_directories(config->state_dir, 0755);
    if (status != STATUS_OK)
        return status;
    open_metrics(worker);
    (void)snprintf(path, sizeof(path), "%s/name.key", config->state_dir);
    (void)snprintf(worker->why, sizeof(worker->why), "name key '%s'", path);
    status = store_name_key(path, worker->name_key);
    if (status != STATUS_OK)
        return status;
    status = store_open(&worker->store, config->store_url, worker->why,
                        sizeof(worker->why));
    if (status != STATUS_OK)
        return status;
    return queue_open(&worker->queue, config->queue_url, worker->why,
                      sizeof(worker->why));
}

/* The engine cannot go on without its labs: leave, and be started afresh. */
static void on_lab_broken(void *arg)
{
    struct worker *worker = arg;

    atomic_store(&worker->broken, true);
    (void)kill(getpid(), SIGTERM);
}

static enum status build_lab(struct worker *worker)
{
    struct lab_options options = {
        .keeper = worker->keeper,
        .labs = (size_t)worker->config.labs,
        .spill_dir = worker->config.state_dir,
        .on_broken = on_lab_broken,
        .arg = worker,
    };

    worker->keeper.fd = -1;
    return lab_new(&worker->lab, worker->loop, &options);
}

static bool loopback_is_public(void)
{
    bool given = getenv(LOOPBACK_VARIABLE) != NULL;

    if (given)
        LOG(WARN, "for_tests_only", LOG_STR("variable", LOOPBACK_VARIABLE));
    return given;
}

static enum status build_engine(struct worker *worker)
{
    const struct config *config = &worker->config;
    struct http_options http = {
        .user_agent = "darkroom/" DARKROOM_VERSION,
        .ca_file = config->ca_file[0] != '\0' ? config->ca_file : NULL,
        .loopback_is_public = loopback_is_public(),
    };
    struct line_api_options line = {
        .api_url = config->api_url,
        .data_api_url = config->data_api_url,
        .state_dir = config->state_dir,
    };
    enum status status = loop_new(&worker->loop);

    (void)str_copy(worker->why, sizeof(worker->why), "engine");
    if (status == STATUS_OK)
        status = offload_new(&worker->offload, worker->loop, OFFLOAD_THREADS);
    if (status == STATUS_OK)
        status = http_new(&worker->http, worker->loop, &http);
    line.loop = worker->loop;
    line.http = worker->http;
    line.offload = worker->offload;
    if (status == STATUS_OK)
        status = line_api_new(&worker->line, &line);
    if (status == STATUS_OK)
        status = build_lab(worker);
    return status;
}

static enum status build_pipeline(struct worker *worker)
{
    struct pipeline_parts parts = {
        .loop = worker->loop,
        .offload = worker->offload,
        .store = worker->store,
        .lab = worker->lab,
        .http = worker->http,
        .line = worker->line,
        .config = worker->live,
        .name_key = worker->name_key,
    };

    return pipeline_new(&worker->pipeline, &parts);
}

static enum status build_forward(struct worker *worker)
{
    struct forward_parts parts = {
        .loop = worker->loop,
        .http = worker->http,
        .config = worker->live,
    };

    return forward_new(&worker->forward, &parts);
}

static enum status build_janitor(struct worker *worker)
{
    struct janitor_parts parts = {
        .loop = worker->loop,
        .offload = worker->offload,
        .store = worker->store,
        .config = worker->live,
    };
    enum status status = janitor_new(&worker->janitor, &parts);

    return status == STATUS_OK ? janitor_start(worker->janitor) : status;
}

static enum status start_queue_thread(struct worker *worker)
{
    struct queue_thread_options options = {
        .queue = worker->queue,
        .loop = worker->loop,
        .on_claimed = pipeline_take,
        .arg = worker->pipeline,
    };
    enum status status = queue_thread_start(&worker->queue_thread, &options);

    if (status != STATUS_OK)
        return status;
    say_what_is_kept(worker);
    worker->intake = (struct intake){.config = worker->live,
                                     .queue = worker->queue_thread,
                                     .store = worker->store};
    worker->vitals =
        (struct vitals_sources){.config = worker->live,
                                .state_dir = worker->config.state_dir,
                                .queue = worker->queue_thread,
                                .store = worker->store};
    worker->routes =
        (struct routes){.intake = &worker->intake, .vitals = &worker->vitals};
    pipeline_start(worker->pipeline, worker->queue_thread, worker->transfers);
    forward_start(worker->forward, worker->queue_thread);
    return STATUS_OK;
}

static void *engine_main(void *arg)
{
    struct worker *worker = arg;
    enum status status = loop_run(worker->loop);

    if (status != STATUS_OK) {
        LOG(ERROR, "engine", LOG_STR("reason", status_name(status)));
        atomic_store(&worker->broken, true);
        (void)kill(getpid(), SIGTERM);
    }
    return NULL;
}

static enum status start_engine(struct worker *worker)
{
    if (pthread_create(&worker->engine, NULL, engine_main, worker) != 0)
        return STATUS_BUSY;
    worker->engine_runs = true;
    return STATUS_OK;
}

/* Signals are taken by sigwait() in the main thread and by nobody else. QUIT is
 * what Debian's multiwatch really sends when told to send TERM, USR1 what it
 * and other FastCGI managers send unless told. */
static void block_signals(sigset_t *signals)
{
    static const int waited_for[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL); /* a limit is a full disk */
    sigemptyset(signals);
    for (size_t i = 0; i < ARRAY_COUNT(waited_for); i++)
        sigaddset(signals, waited_for[i]);
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL);
}

/* A thread inherits the mask of the one that makes it. So all signals are
 * blocked during a step that makes threads, and the main thread alone gets
 * any. */
static enum status without_signals(enum status (*step)(struct worker *worker),
                                   struct worker *worker)
{
    sigset_t all, before;
    enum status status;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    status = step(worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static enum status start(struct worker *worker)
{
    enum status status = open_state(worker);

    if (status == STATUS_OK)
        status = build_engine(worker);
    if (status == STATUS_OK)
        status = build_pipeline(worker);
    if (status == STATUS_OK)
        status = build_forward(worker);
    if (status == STATUS_OK)
        status = build_janitor(worker);
    if (status == STATUS_OK)
        status = start_queue_thread(worker);
    if (status == STATUS_OK)
        status = start_engine(worker);
    if (status != STATUS_OK)
        LOG(ERROR, "cannot_start", LOG_STR("what", worker->why),
            LOG_STR("reason", status_text(status)));
    return status;
}

/* ---- run */

static enum status start_acceptors(struct worker *worker)
{
    struct responder_options options = {
        .threads = (size_t)worker->config.acceptors,
        .handler = routes_handle,
        .arg = &worker->routes,
    };
    enum status status = responder_start(&worker->responder, &options);

    if (status != STATUS_OK)
        LOG(ERROR, "cannot_start", LOG_STR("what", "acceptors"),
            LOG_STR(
                "reason",
                status == STATUS_BAD_CONFIG
                    ? "descriptor 0 is no listening socket: start darkroom by "
                      "systemd, spawn-fcgi or scripts/pool"
                    : status_text(status)));
    return status;
}

/* A reload that fails is in the log, and nothing has changed. */
static int wait_for_stop(struct worker *worker, const sigset_t *signals)
{
    int signal_number = 0;

    while (sigwait(signals, &signal_number) == 0 && signal_number == SIGHUP) {
        if (config_live_reload(worker->live) != STATUS_OK)
            continue;
        name_channels(worker);
        say_what_is_kept(worker);
    }
    return signal_number;
}

/* One that asked and cannot be told will say so itself, and end us. */
static void tell_supervisor(const char *what)
{
    enum status status = notify_supervisor(what);

    if (status != STATUS_OK)
        LOG(WARN, "supervisor_not_told", LOG_STR("what", what),
            LOG_STR("reason", status_text(status)));
}

static enum status run_fastcgi(struct worker *worker, const sigset_t *signals)
{
    enum status status = without_signals(start_acceptors, worker);

    if (status != STATUS_OK)
        return status;
    tell_supervisor("READY=1");
    LOG(INFO, "started", LOG_STR("version", DARKROOM_VERSION),
        LOG_INT("acceptors", worker->config.acceptors),
        LOG_INT("labs", worker->config.labs),
        LOG_INT("channels", worker->config.channel_count));
    LOG(INFO, "stopping", LOG_INT("signal", wait_for_stop(worker, signals)));
    tell_supervisor("STOPPING=1");
    return STATUS_OK;
}

static void note_load(struct loop_call *call)
{
    struct worker *worker = CONTAINER_OF(call, struct worker, load_call);

    atomic_store(&worker->load, pipeline_load(worker->pipeline) +
                                    forward_load(worker->forward));
}

/* Asks the engine, behind what the queue thread has posted to it so far. */
static void ask_load(struct worker *worker)
{
    atomic_store(&worker->load, LOAD_UNKNOWN);
    worker->load_call.fn = note_load;
    loop_post(worker->loop, &worker->load_call);
}

/* Until nothing is in hand, and nothing waits for its next try: there may be no
 * other process to make it. What others have in hand is theirs. */
static void linger(struct worker *worker)
{
    int64_t until_ms = mono_ms() + CGI_LINGER_MS, idle_ms = 0;
    struct timespec nap = {.tv_nsec = 50000000};

    ask_load(worker);
    while (mono_ms() < until_ms && !atomic_load(&worker->broken)) {
        size_t load = atomic_load(&worker->load);
        struct queue_stats stats;
        int64_t waiting;

        queue_thread_stats(worker->queue_thread, &stats);
        waiting = stats.ready + stats.bodies;
        if (load == 0 && waiting == 0 && mono_ms() >= idle_ms)
            return;
        /* The queue's numbers may be that old when the last job ends. */
        if (load != LOAD_UNKNOWN && (load > 0 || waiting > 0))
            idle_ms = mono_ms() + QUEUE_STATS_MS;
        (void)nanosleep(&nap, NULL);
        if (load != LOAD_UNKNOWN)
            ask_load(worker);
    }
}

/* One request; then this process is also the one that does the work. */
static void run_cgi(struct worker *worker)
{
    responder_run_cgi(routes_handle, &worker->routes);
    linger(worker);
}

/* ---- stop */

static void on_drained(void *arg)
{
    struct worker *worker = arg;

    if (--worker->draining == 0)
        loop_stop(worker->loop);
}

static void drain(struct loop_call *call)
{
    struct worker *worker = CONTAINER_OF(call, struct worker, drain_call);

    worker->draining = 2;
    pipeline_drain(worker->pipeline, on_drained, worker);
    forward_drain(worker->forward, on_drained, worker);
}

static void stop_engine(struct worker *worker)
{
    if (!worker->engine_runs)
        return;
    queue_thread_quiesce(worker->queue_thread);
    worker->drain_call.fn = drain;
    loop_post(worker->loop, &worker->drain_call);
    pthread_join(worker->engine, NULL);
}

/* A disk or a lock that never answers must not keep a worker for ever: SIGALRM
 * ends it, as kill -9 would, and nothing is lost. */
static void stop(struct worker *worker)
{
    (void)alarm(STOP_MAX_S);
    responder_stop(worker->responder);
    stop_engine(worker);
    queue_thread_free(worker->queue_thread);
    offload_free(worker->offload); /* what its threads work on goes after it */
    pipeline_free(worker->pipeline);
    forward_free(worker->forward);
    janitor_free(worker->janitor);
    line_api_free(worker->line);
    http_free(worker->http);
    lab_free(worker->lab);
    loop_free(worker->loop);
    queue_close(worker->queue);
    store_close(worker->store);
    lab_keeper_end(&worker->keeper);
    metrics_close();
    (void)alarm(0);
    crypto_wipe(worker->name_key, sizeof(worker->name_key));
    config_live_free(worker->live);
    config_release(&worker->config);
}

static int run(struct worker *worker, const char *path, const sigset_t *signals)
{
    enum log_level level = LOG_LEVEL_INFO;
    enum status status;

    if (load_config(worker, path) != EXIT_OK)
        return EXIT_CONFIG;
    (void)log_level_parse(worker->config.log_level, &level);
    log_set_level(level);
    hide_secrets();
    fit_transfers(worker);
    status = without_signals(start, worker);
    if (status != STATUS_OK)
        return EXIT_FAILED;
    if (responder_is_cgi())
        run_cgi(worker);
    else
        status = run_fastcgi(worker, signals);
    return status == STATUS_OK ? EXIT_OK : EXIT_FAILED;
}

/* Before the first line, and before the labs' keeper is told. */
static void choose_log_format(const char *path)
{
    enum log_format format;
    char name[sizeof(((struct config *)0)->log_format)];

    config_peek_log_format(path, environ, name, sizeof(name));
    if (log_format_parse(name, &format))
        log_set_format(format);
}

int serve(const char *path)
{
    struct worker worker = {.keeper.fd = -1};
    sigset_t signals;
    enum status status;
    int exit_status = EXIT_FAILED;

    choose_log_format(path);
    status = lab_keeper_spawn(NULL, &worker.keeper);
    (void)umask(077);
    block_signals(&signals);
    if (status == STATUS_OK)
        exit_status = run(&worker, path, &signals);
    else
        LOG(ERROR, "cannot_start", LOG_STR("what", "darkroom-lab"),
            LOG_STR("reason", status_text(status)));
    stop(&worker);
    if (atomic_load(&worker.broken))
        exit_status = EXIT_FAILED;
    if (exit_status == EXIT_OK)
        LOG(INFO, "stopped", LOG_INT("exit", exit_status));
    return exit_status;
}
