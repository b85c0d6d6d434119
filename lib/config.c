/*
 * config.c: three layers, each over the one before: the defaults of the table,
 * the file, the environment. Each value that is given is checked by itself, and
 * its origin noted; after the last one comes what concerns several, or what is
 * missing.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>

#include "atomicfile.h"
#include "config_file.h"
#include "config_table.h"
#include "crypto.h"
#include "utf8.h"

#define DEFAULT_CHANNEL "default"
#define FILE_VARIABLE "DARKROOM_CONFIG"
#define FILE_SUFFIX "_file"

struct loader {
    struct config *config;
    struct buf *errors;
    size_t file_channels; /* those of the file, once it is read */
    bool failed;
};

/* Where values go: the worker's own, or those of one channel. */
struct target {
    const struct config_table *table;
    void *base;
    struct config_origin *origins;
    const char *channel; /* NULL: the worker's */
};

static void PRINTF_LIKE(2, 3)
    complain(struct loader *loader, const char *format, ...)
{
    char line[CONFIG_LABEL_MAX + 2 * CONFIG_WHY_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    utf8_clean(line); /* it quotes what was given, which may be anything */
    loader->failed = true;
    if (buf_append_str(loader->errors, line) != STATUS_OK ||
        buf_append_str(loader->errors, "\n") != STATUS_OK)
        return; /* the errors before are enough */
}

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* ---- origins */

void config_origin_text(const struct config *config,
                        const struct config_origin *origin, char *out,
                        size_t size)
{
    if (origin->source == CONFIG_FILE)
        (void)snprintf(out, size, "%s:%d", config->file, origin->line);
    else
        (void)snprintf(out, size, "%s",
                       origin->source == CONFIG_DEFAULT ? "default"
                                                        : origin->name);
}

void config_origin_label(const struct config *config,
                         const struct config_setting *setting,
                         const char *channel,
                         const struct config_origin *origin, char *out,
                         size_t size)
{
    if (origin->source == CONFIG_FILE)
        (void)snprintf(out, size, "%s:%d: %s%s", config->file, origin->line,
                       setting->key, origin->by_file ? FILE_SUFFIX : "");
    else if (origin->source == CONFIG_ENVIRONMENT)
        (void)str_copy(out, size, origin->name);
    else if (setting->alias != NULL)
        (void)str_copy(out, size, setting->alias);
    else
        config_table_env_name(setting, channel, out, size);
}

static void label_of(const struct loader *loader, const struct target *target,
                     size_t row, const struct config_origin *origin, char *out,
                     size_t size)
{
    config_origin_label(loader->config, &target->table->settings[row],
                        target->channel, origin, out, size);
}

static struct target worker_target(struct config *config)
{
    return (struct target){.table = &config_table_worker,
                           .base = config,
                           .origins = config->origins};
}

static struct target channel_target(struct config_channel *channel)
{
    return (struct target){.table = &config_table_channel,
                           .base = channel,
                           .origins = channel->origins,
                           .channel = channel->name};
}

/* ---- one value */

/* Of a file, by what atomicfile_open() left. */
static const char *why_unread(enum status status)
{
    return status == STATUS_IO ? strerror(errno) : status_text(status);
}

/* A secret that was put where its file's name belongs must not be told. LINE's
 * tokens may have slashes, and end in '='. */
static bool looks_like_path(const char *text)
{
    return (starts_with(text, "/") || starts_with(text, "./") ||
            starts_with(text, "../")) &&
           strchr(text, '=') == NULL;
}

/* The content of a secret's file: its first line. */
static bool read_secret(struct loader *loader, const char *label,
                        const char *path, char *out, size_t size)
{
    size_t len = 0;
    enum status status = atomicfile_read(path, out, size - 1, &len);

    if (status != STATUS_OK && looks_like_path(path))
        complain(loader, "%s: cannot read '%.200s': %s", label, path,
                 why_unread(status));
    else if (status != STATUS_OK)
        complain(loader,
                 "%s: is not the path of a file (%s); the secret itself is "
                 "given without _file",
                 label, why_unread(status));
    if (status != STATUS_OK)
        return false;
    out[len] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    if (*out == '\0')
        complain(loader, "%s: '%.200s' is empty", label, path);
    return *out != '\0';
}

/* The name of the file, for who wants to read it again. */
static void note_path(const struct config_setting *setting, void *base,
                      const char *path)
{
    if (setting->path_offset > 0)
        (void)str_copy((char *)base + setting->path_offset,
                       CONFIG_VALUE_MAX + 1, path);
}

static void set(struct loader *loader, const struct target *target, size_t row,
                const char *label, const char *text)
{
    char why[CONFIG_WHY_MAX];

    if (!config_value_set(&target->table->settings[row], target->base, text,
                          why, sizeof(why)))
        complain(loader, "%s: %s", label, why);
}

/* A value of the file or of the environment. One that is empty is not given;
 * which of two from one layer wins would be chance, or a mistake. */
static void give(struct loader *loader, const struct target *target, size_t row,
                 const struct config_origin *origin, const char *text)
{
    const struct config_setting *setting = &target->table->settings[row];
    struct config_origin *have = &target->origins[row];
    char label[CONFIG_LABEL_MAX], content[TOKEN_MAX + 2];

    if (*text == '\0')
        return;
    label_of(loader, target, row, origin, label, sizeof(label));
    if (have->source == origin->source) {
        if (origin->source == CONFIG_FILE)
            complain(loader, "%s: already given in line %d", label, have->line);
        else
            complain(loader,
                     "%s: channel %s has this setting under another "
                     "name, too; give it once",
                     label, target->channel);
        return;
    }
    *have = *origin;
    note_path(setting, target->base, origin->by_file ? text : "");
    if (!origin->by_file)
        set(loader, target, row, label, text);
    else if (read_secret(loader, label, text, content, sizeof(content)))
        set(loader, target, row, label, content);
    if (origin->by_file)
        crypto_wipe(content, sizeof(content));
}

static void set_defaults(struct loader *loader, const struct target *target)
{
    for (size_t i = 0; i < target->table->count; i++)
        set(loader, target, i, target->table->settings[i].key,
            target->table->settings[i].fallback);
}

/* ---- channels */

/* An environment name cannot tell '-' from '_'. */
static bool is_same_channel(const char *a, const char *b, bool in_environment)
{
    if (!in_environment)
        return str_eq(a, b);
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        if (*a != *b && !(*a == '-' && *b == '_'))
            return false;
    }
    return *a == *b;
}

/* The place of a new one: those of the file in its order, then those of the
 * environment, which has none, by name. Those behind it make room. */
static struct config_channel *make_room(struct loader *loader, const char *name,
                                        bool in_environment)
{
    struct config *config = loader->config;
    size_t at = config->channel_count;
    struct config_channel *channel;

    while (in_environment && at > loader->file_channels &&
           strcmp(name, config->channels[at - 1].name) < 0)
        at--;
    channel = &config->channels[at];
    memmove(channel + 1, channel,
            (config->channel_count++ - at) * sizeof(*channel));
    memset(channel, 0, sizeof(*channel));
    return channel;
}

static struct config_channel *find_or_add(struct loader *loader,
                                          const char *name, bool in_environment)
{
    struct config *config = loader->config;
    struct config_channel *channels;
    struct target target;

    for (size_t i = 0; i < config->channel_count; i++) {
        if (is_same_channel(config->channels[i].name, name, in_environment))
            return &config->channels[i];
    }
    if (config->channel_count == CHANNELS_MAX) {
        complain(loader, "more than %d channels", CHANNELS_MAX);
        return NULL;
    }
    channels = realloc(config->channels, (config->channel_count + 1) *
                                             sizeof(struct config_channel));
    if (channels == NULL) {
        complain(loader, "out of memory");
        return NULL;
    }
    config->channels = channels;
    channels = make_room(loader, name, in_environment);
    (void)str_copy(channels->name, sizeof(channels->name), name);
    target = channel_target(channels);
    set_defaults(loader, &target);
    return channels;
}

static bool is_channel_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= CHANNEL_NAME_MAX &&
           strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz_-") == len;
}

/* ---- the file */

/* Splits off "_file"; false if there is none. */
static bool cut_file_suffix(char *key)
{
    size_t len = strlen(key), suffix = strlen(FILE_SUFFIX);

    if (len <= suffix || !str_eq(key + len - suffix, FILE_SUFFIX))
        return false;
    key[len - suffix] = '\0';
    return true;
}

static void complain_of_key(struct loader *loader, int line,
                            const char *section, const char *key,
                            const struct target *target)
{
    const char *near = config_table_near_key(target->table, section, key);

    complain(loader, "%s:%d: [%s] has no setting '%.50s'%s%s%s",
             loader->config->file, line, section, key,
             near != NULL ? "; did you mean " : "", near != NULL ? near : "",
             near != NULL ? "?" : "");
}

static void take_pair(struct loader *loader, int line, const char *section,
                      const struct target *target, const char *key,
                      const char *value)
{
    struct config_origin origin = {.source = CONFIG_FILE, .line = line};
    char bare[CONFIG_NAME_MAX + 1] = "";
    int row = config_table_find(target->table, section, key);

    if (row < 0 && str_copy(bare, sizeof(bare), key) && cut_file_suffix(bare)) {
        row = config_table_find(target->table, section, bare);
        origin.by_file = true;
        if (row >= 0 && !target->table->settings[row].secret)
            row = -1;
    }
    if (row < 0)
        complain_of_key(loader, line, section, key, target);
    else
        give(loader, target, (size_t)row, &origin, value);
}

/* "channel NAME": NAME. NULL: another section. */
static const char *channel_of_section(const char *section)
{
    static const char word[] = "channel";

    if (!starts_with(section, word) ||
        (section[strlen(word)] != ' ' && section[strlen(word)] != '\0'))
        return NULL;
    section += strlen(word);
    return section + strspn(section, " ");
}

static void complain_of_section(struct loader *loader, int line,
                                const char *section)
{
    const char *near = config_table_near_section(section);

    if (*section == '\0')
        complain(loader, "%s:%d: a setting before the first [section]",
                 loader->config->file, line);
    else
        complain(loader, "%s:%d: no such section as [%.50s]%s%s%s",
                 loader->config->file, line, section,
                 near != NULL ? "; did you mean [" : "",
                 near != NULL ? near : "", near != NULL ? "]?" : "");
}

static void on_file_value(void *arg, int line, const char *section,
                          const char *key, const char *value)
{
    struct loader *loader = arg;
    const char *name = channel_of_section(section);
    struct target target = worker_target(loader->config);
    struct config_channel *channel;

    if (name == NULL && config_table_has_section(&config_table_worker, section))
        take_pair(loader, line, section, &target, key, value);
    else if (name == NULL)
        complain_of_section(loader, line, section);
    else if (!is_channel_name(name))
        complain(loader,
                 "%s:%d: [channel %.50s]: a channel's name is up to %d of a-z, "
                 "0-9, '_' and '-'",
                 loader->config->file, line, name, CHANNEL_NAME_MAX);
    else if ((channel = find_or_add(loader, name, false)) != NULL) {
        target = channel_target(channel);
        take_pair(loader, line, "channel", &target, key, value);
    }
}

static void on_file_fault(void *arg, int line, const char *what)
{
    struct loader *loader = arg;

    complain(loader, "%s:%d: %s", loader->config->file, line, what);
}

/* False: nothing of it is known. */
static bool load_file(struct loader *loader, const char *path)
{
    const struct config_file_reader reader = {
        .arg = loader, .on_value = on_file_value, .on_fault = on_file_fault};
    enum status status;

    if (!str_copy(loader->config->file, sizeof(loader->config->file), path)) {
        complain(loader, "%.60s...: the name is too long", path);
        return false;
    }
    status = config_file_read(path, &reader);
    if (status != STATUS_OK)
        complain(loader, "%s: %s", path, why_unread(status));
    return status == STATUS_OK;
}

/* ---- the environment */

/* True if `name` is a setting of the worker; it is then given. The name that
 * other programs may use, too, gives way to the full one. */
static bool take_worker_variable(struct loader *loader, const char *name,
                                 const char *value)
{
    struct target target = worker_target(loader->config);
    struct config_origin origin = {.source = CONFIG_ENVIRONMENT};

    (void)str_copy(origin.name, sizeof(origin.name), name);
    for (size_t i = 0; i < target.table->count; i++) {
        const struct config_setting *setting = &target.table->settings[i];
        struct config_origin *have = &target.origins[i];
        bool is_alias = setting->alias != NULL && str_eq(name, setting->alias);
        char full[CONFIG_NAME_MAX + 1];

        config_table_env_name(setting, NULL, full, sizeof(full));
        if (!is_alias && !str_eq(name, full))
            continue;
        if (have->source == CONFIG_ENVIRONMENT && is_alias)
            return true;
        if (have->source == CONFIG_ENVIRONMENT)
            have->source = CONFIG_DEFAULT;
        give(loader, &target, i, &origin, value);
        return true;
    }
    return false;
}

/* If `name` ends in "_<KEY>", the length of what stands before, else 0. */
static size_t stem_of(const char *name, const char *key)
{
    size_t len = strlen(name), key_len = strlen(key);

    if (len <= key_len + 1 || name[len - key_len - 1] != '_')
        return 0;
    for (size_t i = 0; i < key_len; i++) {
        if (name[len - key_len + i] != (char)toupper((unsigned char)key[i]))
            return 0;
    }
    return len - key_len - 1;
}

/* DARKROOM_CHANNEL_<NAME>: the channel's name in lower case. */
static bool channel_of_stem(const char *stem, size_t len, char *out,
                            size_t size)
{
    size_t prefix = strlen(CONFIG_CHANNEL_PREFIX);

    if (len <= prefix || !starts_with(stem, CONFIG_CHANNEL_PREFIX) ||
        !str_copy_n(out, size, stem + prefix, len - prefix))
        return false;
    for (char *p = out; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return is_channel_name(out);
}

/* The row of a channel's setting by its name in the environment, and the
 * channel's name; -1 if it is none. */
static int channel_row(const char *name, char *channel, size_t size)
{
    const struct config_table *table = &config_table_channel;

    for (size_t i = 0; i < table->count; i++) {
        const char *alias = table->settings[i].alias;
        size_t len = stem_of(name, table->settings[i].key);

        if (alias != NULL && str_eq(name, alias))
            return str_copy(channel, size, DEFAULT_CHANNEL) ? (int)i : -1;
        if (len > 0 && channel_of_stem(name, len, channel, size))
            return (int)i;
    }
    return -1;
}

static bool take_channel_variable(struct loader *loader, const char *name,
                                  const char *value)
{
    struct config_origin origin = {.source = CONFIG_ENVIRONMENT};
    char channel_name[CHANNEL_NAME_MAX + 1];
    struct config_channel *channel;
    struct target target;
    int row = channel_row(name, channel_name, sizeof(channel_name));
    size_t len = stem_of(name, "file");

    if (row < 0 && len > 0) {
        (void)str_copy_n(origin.name, sizeof(origin.name), name, len);
        row = channel_row(origin.name, channel_name, sizeof(channel_name));
        origin.by_file = true;
        if (row >= 0 && !config_table_channel.settings[row].secret)
            row = -1;
    }
    if (row < 0)
        return false;
    channel = find_or_add(loader, channel_name, true);
    if (channel == NULL)
        return true;
    (void)str_copy(origin.name, sizeof(origin.name), name);
    target = channel_target(channel);
    give(loader, &target, (size_t)row, &origin, value);
    return true;
}

static void take_variable(struct loader *loader, const char *variable)
{
    char name[CONFIG_NAME_MAX + 1], near[2 * CONFIG_NAME_MAX];
    size_t len = strcspn(variable, "=");
    const char *value = variable + len + (variable[len] == '=');
    bool is_near;

    if (!str_copy_n(name, sizeof(name), variable, len)) {
        if (starts_with(variable, CONFIG_NAME_PREFIX))
            complain(loader, "%.60s...: no such setting", variable);
        return;
    }
    if (str_eq(name, FILE_VARIABLE) ||
        take_worker_variable(loader, name, value) ||
        take_channel_variable(loader, name, value) ||
        !starts_with(name, CONFIG_NAME_PREFIX))
        return;
    is_near = config_table_near_env(name, near, sizeof(near)) &&
              !str_eq(near, name); /* of a channel without a name */
    complain(loader, "%s: no such setting%s%s%s", name,
             is_near ? "; did you mean " : "", is_near ? near : "",
             is_near ? "?" : "");
}

/* ---- what must hold for the whole */

static bool is_given(const struct target *target, const char *key)
{
    int row = config_table_find(target->table, NULL, key);

    return row >= 0 && target->origins[row].source != CONFIG_DEFAULT;
}

static void complain_of(struct loader *loader, const struct target *target,
                        const char *key, const char *what)
{
    int row = config_table_find(target->table, NULL, key);
    char label[CONFIG_LABEL_MAX];

    label_of(loader, target, (size_t)row, &target->origins[row], label,
             sizeof(label));
    complain(loader, "%s: %s", label, what);
}

static void check_channel(struct loader *loader, struct config_channel *channel)
{
    struct target target = channel_target(channel);
    /* Its settings may have come by the names of LINE's samples. */
    bool has_alias = str_eq(channel->name, DEFAULT_CHANNEL);

    if (!is_given(&target, "secret"))
        complain(loader,
                 "channel %s: no secret%s (LINE's console, Basic settings)",
                 channel->name, has_alias ? ", LINE_CHANNEL_SECRET" : "");
    if (!is_given(&target, "access_token") && !is_given(&target, "channel_id"))
        complain(
            loader,
            "channel %s: no access_token%s, and no channel_id to issue one "
            "with (LINE's console, Messaging API)",
            channel->name, has_alias ? ", LINE_CHANNEL_ACCESS_TOKEN" : "");
    if (channel->late != CONFIG_LATE_FAILURE && channel->push == 0)
        complain_of(loader, &target, "late",
                    "a late picture can only be pushed: this needs push = on");
}

static void check_channels(struct loader *loader)
{
    const struct config *config = loader->config;

    if (config->channel_count == 0)
        complain(loader,
                 "LINE_CHANNEL_SECRET and LINE_CHANNEL_ACCESS_TOKEN: "
                 "missing (or a [channel NAME] with secret and "
                 "access_token)");
    for (size_t i = 0; i < config->channel_count; i++)
        check_channel(loader, &config->channels[i]);
}

/* An empty URL becomes a place under the state directory. */
static void place(struct loader *loader, char *url, size_t size,
                  const char *scheme, const char *leaf)
{
    struct target target = worker_target(loader->config);
    int len;

    if (*url != '\0')
        return;
    len = snprintf(url, size, "%s:%s/%s", scheme, loader->config->state_dir,
                   leaf);
    if (len < 0 || (size_t)len >= size)
        complain_of(loader, &target, "state_dir", "is too long");
}

static void check_whole(struct loader *loader)
{
    struct config *c = loader->config;
    struct target target = worker_target(c);

    if (!is_given(&target, "public_url"))
        complain_of(loader, &target, "public_url",
                    "missing, the https address of nginx; in a file: "
                    "public_url of [server]");
    place(loader, c->queue_url, sizeof(c->queue_url), "sqlite", "queue.db");
    place(loader, c->store_url, sizeof(c->store_url), "dir", "public");
    check_channels(loader);
}

static const char *file_of(char *const *environment)
{
    static const char variable[] = FILE_VARIABLE "=";

    for (; *environment != NULL; environment++) {
        if (starts_with(*environment, variable))
            return *environment + strlen(variable);
    }
    return "";
}

enum status config_load(struct config *config, const char *path,
                        char *const *environment, struct buf *errors)
{
    struct loader loader = {.config = config, .errors = errors};
    struct target target = worker_target(config);
    bool is_whole = true;

    memset(config, 0, sizeof(*config));
    set_defaults(&loader, &target);
    if (path == NULL)
        path = file_of(environment);
    if (*path != '\0')
        is_whole = load_file(&loader, path);
    loader.file_channels = config->channel_count;
    for (; *environment != NULL; environment++)
        take_variable(&loader, *environment);
    if (is_whole) /* else all that the file says would be "missing" */
        check_whole(&loader);
    return loader.failed ? STATUS_BAD_CONFIG : STATUS_OK;
}

/* ---- a look ahead */

struct peek {
    char *out;
    size_t size;
};

static void peek_value(void *arg, int line, const char *section,
                       const char *key, const char *value)
{
    struct peek *peek = arg;

    (void)line;
    if (str_eq(section, "server") && str_eq(key, "log_format"))
        (void)str_copy(peek->out, peek->size, value);
}

static void peek_fault(void *arg, int line, const char *what)
{
    (void)arg;
    (void)line;
    (void)what;
}

void config_peek_log_format(const char *path, char *const *environment,
                            char *out, size_t size)
{
    static const char variable[] = CONFIG_NAME_PREFIX "SERVER_LOG_FORMAT=";
    struct peek peek = {.out = out, .size = size};
    struct config_file_reader reader = {
        .arg = &peek, .on_value = peek_value, .on_fault = peek_fault};

    *out = '\0';
    if (path == NULL)
        path = file_of(environment);
    if (*path != '\0')
        (void)!config_file_read(path, &reader); /* config_load() says why */
    for (; *environment != NULL; environment++) {
        if (starts_with(*environment, variable) &&
            (*environment)[strlen(variable)] != '\0')
            (void)str_copy(out, size, *environment + strlen(variable));
    }
}

/* ---- the rest of a config's life */

void config_wipe_environment(char *const *environment)
{
    for (; *environment != NULL; environment++) {
        char *value = strchr(*environment, '=');

        if (value != NULL &&
            (starts_with(*environment, CONFIG_CHANNEL_PREFIX) ||
             starts_with(*environment, "LINE_CHANNEL_")))
            crypto_wipe(value + 1, strlen(value + 1));
    }
}

void config_release(struct config *config)
{
    if (config->channels != NULL)
        crypto_wipe(config->channels,
                    config->channel_count * sizeof(struct config_channel));
    free(config->channels);
    config->channels = NULL;
    config->channel_count = 0;
}

const struct config_channel *config_channel(const struct config *config,
                                            const char *name)
{
    if (*name == '\0' && config->channel_count == 1)
        return &config->channels[0];
    if (*name == '\0')
        name = DEFAULT_CHANNEL;
    for (size_t i = 0; i < config->channel_count; i++) {
        if (str_eq(config->channels[i].name, name))
            return &config->channels[i];
    }
    return NULL;
}

void config_webhook_url(const struct config *config,
                        const struct config_channel *channel, char *url,
                        size_t size)
{
    bool short_path = config_channel(config, "") == channel;

    (void)snprintf(url, size, "%s/webhook%s%s", config->public_url,
                   short_path ? "" : "/", short_path ? "" : channel->name);
}
