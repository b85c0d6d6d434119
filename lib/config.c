/*
 * config.c: one table of settings. The environment is walked once: each name is
 * looked up in the table, then among the channel keys, then refused. After the
 * walk come defaults that depend on other settings and what must be there.
 */
#include "config.h"

#include <ctype.h>
#include <stdarg.h>

#include "atomicfile.h"
#include "crypto.h"
#include "log.h"

#define NAME_PREFIX "DARKROOM_"
#define CHANNEL_PREFIX "DARKROOM_CHANNEL_"
#define DEFAULT_CHANNEL "default"

struct loader {
    struct config *config;
    struct buf *errors;
    bool failed;
};

enum kind { KIND_TEXT, KIND_NUMBER };

struct setting {
    const char *name;  /* without NAME_PREFIX */
    const char *alias; /* a name that LINE bots use already, or NULL */
    enum kind kind;
    size_t offset; /* in struct config */
    size_t size;   /* of a text */
    const char *fallback;
    int64_t min, max; /* of a number */
};

#define TEXT(name, alias, field, fallback)                                     \
    {                                                                          \
        name, alias, KIND_TEXT, offsetof(struct config, field),                \
            sizeof(((struct config *)0)->field), fallback, 0, 0                \
    }
#define NUMBER(name, field, fallback, min, max)                                \
    {                                                                          \
        name, NULL, KIND_NUMBER, offsetof(struct config, field), 0, fallback,  \
            min, max                                                           \
    }
#define STRINGIFY(x) #x
#define DIGITS(x) STRINGIFY(x)

static const struct setting settings[] = {
    TEXT("SERVER_PUBLIC_URL", "PUBLIC_URL", public_url, ""),
    TEXT("SERVER_STATE_DIR", NULL, state_dir, "/var/lib/darkroom"),
    NUMBER("SERVER_ACCEPTORS", acceptors, DIGITS(ACCEPTORS_DEFAULT), 1,
           ACCEPTORS_MAX),
    NUMBER("SERVER_MAX_TRANSFERS", max_transfers, DIGITS(TRANSFERS_DEFAULT), 1,
           TRANSFERS_MAX),
    TEXT("SERVER_LOG_LEVEL", NULL, log_level, "info"),
    TEXT("LINE_API_URL", NULL, api_url, "https://api.line.me"),
    TEXT("LINE_DATA_API_URL", NULL, data_api_url, "https://api-data.line.me"),
    TEXT("LINE_CA_FILE", NULL, ca_file, ""),
    TEXT("QUEUE_URL", NULL, queue_url, ""),
    TEXT("STORE_URL", NULL, store_url, ""),
    NUMBER("IMAGE_LABS", labs, "1", 1, LAB_LABS_MAX),
    NUMBER("IMAGE_MAX_PIXELS", max_pixels, DIGITS(IMAGE_PIXELS_MAX), 1,
           IMAGE_PIXELS_MAX),
    NUMBER("IMAGE_MAX_INPUT_BYTES", max_input_bytes,
           DIGITS(IMAGE_INPUT_MAX_BYTES), 1, IMAGE_INPUT_MAX_BYTES),
    NUMBER("IMAGE_MAX_MEMORY_BYTES", max_memory_bytes,
           DIGITS(IMAGE_MEMORY_MAX_BYTES), 1, IMAGE_MEMORY_MAX_BYTES),
    NUMBER("IMAGE_WEBP", webp, "0", 0, 1),
    NUMBER("IMAGE_GIF", gif, "0", 0, 1),
    TEXT("IMAGE_MODE", NULL, image_mode, "fit"),
    NUMBER("IMAGE_TRUNCATED_MIN_PERCENT", truncated_min_percent, "0", 0, 100),
};

static void PRINTF_LIKE(2, 3)
    complain(struct loader *loader, const char *format, ...)
{
    char line[CONFIG_VALUE_MAX + 256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    loader->failed = true;
    if (buf_append_str(loader->errors, line) != STATUS_OK ||
        buf_append_str(loader->errors, "\n") != STATUS_OK)
        return; /* the errors before are enough */
}

/* ---- plain settings */

static void set(struct loader *loader, const struct setting *setting,
                const char *name, const char *value)
{
    char *field = (char *)loader->config + setting->offset;
    int64_t number;

    if (setting->kind == KIND_TEXT) {
        if (!str_copy(field, setting->size, value))
            complain(loader, "%s: longer than %zu characters", name,
                     setting->size - 1);
        return;
    }
    if (!str_to_int64(value, setting->min, setting->max, &number)) {
        complain(loader, "%s: '%.40s' is not a number from %lld to %lld", name,
                 value, (long long)setting->min, (long long)setting->max);
        return;
    }
    memcpy(field, &number, sizeof(number));
}

static void set_defaults(struct loader *loader)
{
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++)
        set(loader, &settings[i], settings[i].name, settings[i].fallback);
}

/* True if `name` is a plain setting; it is then set. An alias gives way to the
 * full name, whichever comes first. */
static bool take_setting(struct loader *loader, const char *name,
                         const char *value)
{
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        const struct setting *s = &settings[i];
        const char *field = (const char *)loader->config + s->offset;

        if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0 &&
            str_eq(name + strlen(NAME_PREFIX), s->name)) {
            set(loader, s, name, value);
            return true;
        }
        if (s->alias != NULL && str_eq(name, s->alias)) {
            if (*field == '\0')
                set(loader, s, name, value);
            return true;
        }
    }
    return false;
}

/* ---- channels */

static struct config_channel *find_or_add(struct loader *loader,
                                          const char *name)
{
    struct config *config = loader->config;
    struct config_channel *channels;

    for (size_t i = 0; i < config->channel_count; i++) {
        if (str_eq(config->channels[i].name, name))
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
    channels += config->channel_count++;
    memset(channels, 0, sizeof(*channels));
    (void)str_copy(channels->name, sizeof(channels->name), name);
    return channels;
}

static bool is_header_safe(const char *s)
{
    for (; *s != '\0'; s++) {
        if (!isgraph((unsigned char)*s))
            return false;
    }
    return true;
}

/* One or more secrets with commas between them. */
static void set_secrets(struct loader *loader, struct config_channel *channel,
                        const char *name, const char *value)
{
    channel->secret_count = 0;
    while (*value != '\0') {
        size_t len = strcspn(value, ",");

        if (channel->secret_count == CHANNEL_SECRETS_MAX) {
            complain(loader, "%s: more than %d secrets", name,
                     CHANNEL_SECRETS_MAX);
            return;
        }
        if (len == 0 ||
            !str_copy_n(channel->secrets[channel->secret_count],
                        sizeof(channel->secrets[0]), value, len) ||
            !is_header_safe(channel->secrets[channel->secret_count])) {
            complain(loader,
                     "%s: not a channel secret (empty, too long, or "
                     "with spaces)",
                     name);
            return;
        }
        channel->secret_count++;
        value += len;
        if (*value == ',')
            value++;
    }
}

static void set_token(struct loader *loader, struct config_channel *channel,
                      const char *name, const char *value)
{
    if (!str_copy(channel->access_token, sizeof(channel->access_token),
                  value) ||
        !is_header_safe(value)) {
        channel->access_token[0] = '\0';
        complain(loader, "%s: not an access token (too long, or with spaces)",
                 name);
    }
}

static bool has_secret(const struct config_channel *channel)
{
    return channel->secret_count > 0;
}

static bool has_token(const struct config_channel *channel)
{
    return channel->access_token[0] != '\0';
}

struct channel_key {
    const char *suffix; /* of DARKROOM_CHANNEL_<NAME> */
    const char *alias;  /* for the default channel */
    bool (*is_set)(const struct config_channel *channel);
    void (*set)(struct loader *loader, struct config_channel *channel,
                const char *name, const char *value);
};

static const struct channel_key channel_keys[] = {
    {"_SECRET", "LINE_CHANNEL_SECRET", has_secret, set_secrets},
    {"_ACCESS_TOKEN", "LINE_CHANNEL_ACCESS_TOKEN", has_token, set_token},
};

/* The value may be that of a variable or, with _FILE, in a file it names. An
 * environment has no order: which of two names wins would be chance. */
static void set_channel_key(struct loader *loader,
                            const struct channel_key *key, const char *channel,
                            const char *name, const char *value, bool in_file)
{
    struct config_channel *c = find_or_add(loader, channel);
    char content[TOKEN_MAX + 2] = "";
    size_t len = 0;
    enum status status;

    if (c == NULL || *value == '\0')
        return;
    if (key->is_set(c)) {
        complain(loader, "%s: channel %s has this setting by another name, too",
                 name, channel);
        return;
    }
    if (!in_file) {
        key->set(loader, c, name, value);
        return;
    }
    status = atomicfile_read(value, content, sizeof(content) - 1, &len);
    if (status != STATUS_OK) {
        complain(loader, "%s: cannot read '%s': %s", name, value,
                 status_text(status));
        return;
    }
    content[len] = '\0';
    content[strcspn(content, "\r\n")] = '\0';
    key->set(loader, c, name, content);
    crypto_wipe(content, sizeof(content));
}

/* If `name` ends in `suffix`, the length of what stands before, else 0. */
static size_t stem_of(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);

    if (len <= suffix_len || !str_eq(name + len - suffix_len, suffix))
        return 0;
    return len - suffix_len;
}

/* DARKROOM_CHANNEL_<NAME>: the channel's name in lower case. */
static bool channel_name(const char *stem, size_t len, char *out, size_t size)
{
    size_t prefix = strlen(CHANNEL_PREFIX);

    if (len <= prefix || strncmp(stem, CHANNEL_PREFIX, prefix) != 0 ||
        !str_copy_n(out, size, stem + prefix, len - prefix))
        return false;
    for (char *p = out; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_')
            return false;
        *p = (char)tolower((unsigned char)*p);
    }
    return true;
}

static bool take_channel_key(struct loader *loader, const char *name,
                             const char *value)
{
    size_t len = stem_of(name, "_FILE");
    bool in_file = len > 0;
    char bare[CONFIG_VALUE_MAX + 1], channel[CHANNEL_NAME_MAX + 1];

    if (!str_copy_n(bare, sizeof(bare), name, in_file ? len : strlen(name)))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(channel_keys); i++) {
        const struct channel_key *key = &channel_keys[i];

        if (str_eq(bare, key->alias)) {
            set_channel_key(loader, key, DEFAULT_CHANNEL, name, value, in_file);
            return true;
        }
        len = stem_of(bare, key->suffix);
        if (len > 0 && channel_name(bare, len, channel, sizeof(channel))) {
            set_channel_key(loader, key, channel, name, value, in_file);
            return true;
        }
    }
    return false;
}

/* ---- what must hold for the whole */

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* "user:password@" before the host: a secret where none is expected, or a host
 * that is not the one it seems to be. */
static bool has_userinfo(const char *url)
{
    const char *authority = strstr(url, "://");

    if (authority == NULL)
        return false;
    authority += strlen("://");
    return memchr(authority, '@', strcspn(authority, "/?#")) != NULL;
}

/* ":9000", or nothing, up to the path. */
static bool is_port(const char *s)
{
    if (*s == ':')
        s += 1 + strspn(s + 1, "0123456789");
    return *s == '\0' || *s == '/';
}

static bool is_loopback_http(const char *url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost",
                                        "http://[::1]"};

    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        if (starts_with(url, hosts[i]) && is_port(url + strlen(hosts[i])))
            return true;
    }
    return false;
}

static void check_url(struct loader *loader, const char *name, char *url,
                      bool loopback_ok)
{
    size_t len = strlen(url);

    while (len > 0 && url[len - 1] == '/')
        url[--len] = '\0';
    if (len == 0)
        complain(loader, "%s: missing", name);
    else if (!is_header_safe(url))
        complain(loader, "%s: '%s' has a space or a control character", name,
                 url);
    else if (has_userinfo(url))
        complain(loader, "%s: has a user name before the host", name);
    else if (!starts_with(url, "https://") || len <= strlen("https://")) {
        if (!loopback_ok || !is_loopback_http(url))
            complain(loader, "%s: '%s' is not an https:// URL", name, url);
    }
}

static void check_channels(struct loader *loader)
{
    const struct config *config = loader->config;

    if (config->channel_count == 0)
        complain(loader,
                 "LINE_CHANNEL_SECRET and LINE_CHANNEL_ACCESS_TOKEN: "
                 "missing (or DARKROOM_CHANNEL_<NAME>_SECRET and "
                 "..._ACCESS_TOKEN)");
    for (size_t i = 0; i < config->channel_count; i++) {
        const struct config_channel *channel = &config->channels[i];

        if (channel->secret_count == 0)
            complain(loader, "channel %s: no secret", channel->name);
        if (channel->access_token[0] == '\0')
            complain(loader, "channel %s: no access token", channel->name);
    }
}

/* An empty URL becomes a place under the state directory. */
static void place(struct loader *loader, char *url, size_t size,
                  const char *scheme, const char *leaf)
{
    int len;

    if (*url != '\0')
        return;
    len = snprintf(url, size, "%s:%s/%s", scheme, loader->config->state_dir,
                   leaf);
    if (len < 0 || (size_t)len >= size)
        complain(loader, "DARKROOM_SERVER_STATE_DIR: too long");
}

/* A 200 promises that the event survives this process. */
static void check_queue(struct loader *loader)
{
    if (starts_with(loader->config->queue_url, "memory:"))
        complain(loader,
                 "DARKROOM_QUEUE_URL: memory: is for tests, it forgets what "
                 "LINE was told is stored; use sqlite:PATH");
}

/* WIDTHxHEIGHT in pixels. */
static bool parse_box(struct config *c)
{
    const char *mode = c->image_mode;
    size_t len = strcspn(mode, "x");
    char width[sizeof(c->image_mode)];

    return mode[len] == 'x' && str_copy_n(width, sizeof(width), mode, len) &&
           str_to_int64(width, 1, IMAGE_SIDE_MAX, &c->box_width_px) &&
           str_to_int64(mode + len + 1, 1, IMAGE_SIDE_MAX, &c->box_height_px);
}

static void check_image_mode(struct loader *loader)
{
    struct config *c = loader->config;

    c->max_pixels_mode = str_eq(c->image_mode, "max");
    if (c->max_pixels_mode || str_eq(c->image_mode, "fit") || parse_box(c))
        return;
    complain(loader,
             "DARKROOM_IMAGE_MODE: '%s' is not one of fit, max, "
             "WIDTHxHEIGHT",
             c->image_mode);
}

static void check_whole(struct loader *loader)
{
    struct config *c = loader->config;
    enum log_level level;

    check_url(loader, "PUBLIC_URL", c->public_url, false);
    check_url(loader, "DARKROOM_LINE_API_URL", c->api_url, true);
    check_url(loader, "DARKROOM_LINE_DATA_API_URL", c->data_api_url, true);
    if (!log_level_parse(c->log_level, &level))
        complain(loader,
                 "DARKROOM_SERVER_LOG_LEVEL: '%s' is not one of error, "
                 "warn, info, debug",
                 c->log_level);
    if (c->state_dir[0] != '/')
        complain(loader,
                 "DARKROOM_SERVER_STATE_DIR: '%s' is not an absolute "
                 "path",
                 c->state_dir);
    check_queue(loader);
    place(loader, c->queue_url, sizeof(c->queue_url), "sqlite", "queue.db");
    place(loader, c->store_url, sizeof(c->store_url), "dir", "public");
    check_image_mode(loader);
    check_channels(loader);
}

static void take_variable(struct loader *loader, const char *variable)
{
    char name[128];
    size_t len = strcspn(variable, "=");
    const char *value = variable + len + (variable[len] == '=');

    if (!str_copy_n(name, sizeof(name), variable, len)) {
        if (starts_with(variable, NAME_PREFIX))
            complain(loader, "%.60s...: no such setting", variable);
        return;
    }
    if (take_setting(loader, name, value) ||
        take_channel_key(loader, name, value))
        return;
    if (starts_with(name, NAME_PREFIX))
        complain(loader, "%s: no such setting", name);
}

enum status config_load(struct config *config, char *const *environment,
                        struct buf *errors)
{
    struct loader loader = {.config = config, .errors = errors};

    memset(config, 0, sizeof(*config));
    set_defaults(&loader);
    for (; *environment != NULL; environment++)
        take_variable(&loader, *environment);
    check_whole(&loader);
    return loader.failed ? STATUS_BAD_CONFIG : STATUS_OK;
}

void config_wipe_environment(char *const *environment)
{
    for (; *environment != NULL; environment++) {
        char *value = strchr(*environment, '=');

        if (value != NULL && (starts_with(*environment, CHANNEL_PREFIX) ||
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
