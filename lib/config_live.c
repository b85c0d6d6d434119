/*
 * config_live.c: a pointer to the settings in force, and a count of holds in
 * each that a reload has made; the last drop frees it. The pointer itself is
 * one hold. What was lent at the start has no count and outlives us all.
 *
 *   reload: load ──bad──▶ log, free
 *             └─good─▶ keep at_start values ─▶ swap ─▶ drop the one before
 */
#include "config_live.h"

#include <pthread.h>
#include <stdatomic.h>

#include "config_table.h"
#include "crypto.h"
#include "log.h"

struct config_snapshot {
    atomic_size_t holds;
    struct config config;
};

struct config_live {
    pthread_mutex_t lock; /* of `current` */
    const struct config *current;
    char *path; /* NULL: none was given */
    char **environment;
};

/* ---- holds */

static void hold(struct config_snapshot *snapshot)
{
    if (snapshot != NULL)
        atomic_fetch_add(&snapshot->holds, 1);
}

static void drop(struct config_snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->holds, 1) > 1)
        return;
    config_release(&snapshot->config);
    free(snapshot);
}

void config_hold(const struct config *config)
{
    hold(config->snapshot);
}

void config_drop(const struct config *config)
{
    drop(config->snapshot);
}

void config_channel_hold(const struct config_channel *channel)
{
    hold(channel->snapshot);
}

void config_channel_drop(const struct config_channel *channel)
{
    drop(channel->snapshot);
}

/* Under the lock, or the one it points to could go between the two steps. */
const struct config *config_live_hold(struct config_live *live)
{
    const struct config *config;

    pthread_mutex_lock(&live->lock);
    config = live->current;
    config_hold(config);
    pthread_mutex_unlock(&live->lock);
    return config;
}

/* ---- what a reload reads again */

static bool is_ours(const char *variable)
{
    static const char *const prefixes[] = {CONFIG_NAME_PREFIX, "LINE_CHANNEL_",
                                           "PUBLIC_URL="};

    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

static void free_environment(char **environment)
{
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        crypto_wipe(environment[i], strlen(environment[i]));
        free(environment[i]);
    }
    free(environment);
}

/* NULL: no memory. */
static char **copy_environment(char *const *environment)
{
    size_t all = 0, ours = 0;
    char **copy;

    while (environment[all] != NULL)
        all++;
    copy = calloc(all + 1, sizeof(char *));
    for (size_t i = 0; copy != NULL && i < all; i++) {
        if (!is_ours(environment[i]))
            continue;
        copy[ours] = strdup(environment[i]);
        if (copy[ours++] == NULL) {
            free_environment(copy);
            return NULL;
        }
    }
    return copy;
}

enum status config_live_new(struct config_live **out,
                            const struct config *config, const char *path,
                            char *const *environment)
{
    struct config_live *live = calloc(1, sizeof(*live));

    if (live == NULL)
        return STATUS_NO_MEMORY;
    (void)pthread_mutex_init(&live->lock, NULL);
    live->current = config;
    live->path = path != NULL ? strdup(path) : NULL;
    live->environment = copy_environment(environment);
    if (live->environment == NULL || (path != NULL && live->path == NULL)) {
        config_live_free(live);
        return STATUS_NO_MEMORY;
    }
    *out = live;
    return STATUS_OK;
}

void config_live_free(struct config_live *live)
{
    if (live == NULL)
        return;
    config_drop(live->current);
    free_environment(live->environment);
    free(live->path);
    pthread_mutex_destroy(&live->lock);
    free(live);
}

/* ---- reload */

void config_log_errors(const struct buf *errors)
{
    const char *line = buf_str(errors);

    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        char text[LOG_LINE_MAX];

        (void)str_copy_n(text, sizeof(text), line,
                         size_min(len, sizeof(text) - 1));
        LOG(ERROR, "bad_setting", LOG_STR("text", text));
        line += len + (line[len] == '\n');
    }
}

/* Settings that are built into the worker stay as they are. */
static void keep_what_needs_restart(struct config *config,
                                    const struct config *before)
{
    for (size_t i = 0; i < config_table_worker.count; i++) {
        const struct config_setting *row = &config_table_worker.settings[i];
        char old_text[CONFIG_VALUE_MAX + 1], new_text[CONFIG_VALUE_MAX + 1];

        if (!row->at_start)
            continue;
        config_value_print(row, before, old_text, sizeof(old_text));
        config_value_print(row, config, new_text, sizeof(new_text));
        if (!str_eq(old_text, new_text))
            LOG(WARN, "needs_restart", LOG_STR("section", row->section),
                LOG_STR("key", row->key), LOG_STR("now", old_text),
                LOG_STR("then", new_text));
        memcpy((char *)config + row->offset, (const char *)before + row->offset,
               row->size);
        config->origins[i] = before->origins[i];
    }
}

/* All in it that can be held knows its count. */
static void adopt(struct config_snapshot *snapshot)
{
    struct config *config = &snapshot->config;

    atomic_init(&snapshot->holds, 1);
    config->snapshot = snapshot;
    for (size_t i = 0; i < config->channel_count; i++)
        config->channels[i].snapshot = snapshot;
}

static void swap(struct config_live *live, struct config_snapshot *snapshot)
{
    const struct config *before = live->current;
    enum log_level level;

    keep_what_needs_restart(&snapshot->config, before);
    adopt(snapshot);
    if (log_level_parse(snapshot->config.log_level, &level))
        log_set_level(level);
    LOG(INFO, "reloaded", LOG_STR("file", snapshot->config.file),
        LOG_INT("channels", snapshot->config.channel_count));
    pthread_mutex_lock(&live->lock);
    live->current = &snapshot->config;
    pthread_mutex_unlock(&live->lock);
    config_drop(before);
}

/* The settings of now, from where they were loaded at the start. */
static enum status load(const struct config_live *live, struct config *config)
{
    struct buf errors;
    enum status status;

    buf_init(&errors, CONFIG_ERRORS_MAX_BYTES);
    status = config_load(config, live->path, live->environment, &errors);
    if (config_check_places(config, &errors) != STATUS_OK)
        status = STATUS_BAD_CONFIG;
    if (status != STATUS_OK)
        config_log_errors(&errors);
    buf_release(&errors);
    return status;
}

enum status config_live_reload(struct config_live *live)
{
    struct config_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    enum status status = STATUS_NO_MEMORY;

    if (snapshot != NULL)
        status = load(live, &snapshot->config);
    if (status == STATUS_OK) {
        swap(live, snapshot);
        return STATUS_OK;
    }
    LOG(ERROR, "not_reloaded", LOG_STR("reason", status_name(status)),
        LOG_STR("text", "the previous settings stay in force"));
    if (snapshot != NULL)
        config_release(&snapshot->config);
    free(snapshot);
    return status;
}
