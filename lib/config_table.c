/*
 * config_table.c: the rows, and looking for one by a name that may be a typing
 * mistake away from its own.
 */
#include "config_table.h"

#include <ctype.h>

#define STRINGIFY(x) #x
#define DIGITS(x) STRINGIFY(x)

#define FIELD(type, field)                                                     \
    .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define WORKER(field) FIELD(struct config, field)
#define CHANNEL(field) .section = "channel", FIELD(struct config_channel, field)

static const struct config_setting worker_settings[] = {
    {.section = "server",
     .key = "public_url",
     .alias = "PUBLIC_URL",
     .kind = CONFIG_URL,
     WORKER(public_url),
     .fallback = "",
     .help = "https address at which LINE and phones reach nginx"},
    {.section = "server",
     .key = "state_dir",
     .kind = CONFIG_PATH,
     .at_start = true,
     WORKER(state_dir),
     .fallback = "/var/lib/darkroom",
     .help = "directory of the queue, the key that makes the pictures' names, "
             "and the published pictures"},
    {.section = "server",
     .key = "acceptors",
     .kind = CONFIG_NUMBER,
     .at_start = true,
     WORKER(acceptors),
     .fallback = DIGITS(ACCEPTORS_DEFAULT),
     .min = 1,
     .max = ACCEPTORS_MAX,
     .help = "threads that answer webhooks, per worker"},
    {.section = "server",
     .key = "max_transfers",
     .kind = CONFIG_NUMBER,
     .at_start = true,
     WORKER(max_transfers),
     .fallback = DIGITS(TRANSFERS_DEFAULT),
     .min = 1,
     .max = TRANSFERS_MAX,
     .help = "pictures that are worked on at the same time, per worker"},
    {.section = "server",
     .key = "log_level",
     .kind = CONFIG_LEVEL,
     WORKER(log_level),
     .fallback = "info",
     .words = "error warn info debug",
     .help = "log messages of this level and above it"},
    {.section = "server",
     .key = "log_format",
     .kind = CONFIG_LEVEL,
     .at_start = true,
     WORKER(log_format),
     .fallback = "logfmt",
     .words = "logfmt json",
     .help = "format of the log's lines"},
    {.section = "line",
     .key = "api_url",
     .kind = CONFIG_URL_LOOPBACK,
     .at_start = true,
     WORKER(api_url),
     .fallback = "https://api.line.me",
     .help = "LINE's API; plain http only to this machine, for tests"},
    {.section = "line",
     .key = "data_api_url",
     .kind = CONFIG_URL_LOOPBACK,
     .at_start = true,
     WORKER(data_api_url),
     .fallback = "https://api-data.line.me",
     .help = "LINE's API for content; plain http as above"},
    {.section = "line",
     .key = "ca_file",
     .kind = CONFIG_PATH,
     .at_start = true,
     WORKER(ca_file),
     .fallback = "",
     .help = "PEM file of the certificate authorities to trust instead of the "
             "system's"},
    {.section = "queue",
     .key = "url",
     .kind = CONFIG_PLACE,
     .at_start = true,
     WORKER(queue_url),
     .fallback = "",
     .words = "sqlite:",
     .help =
         "where the durable queue is; if not given, sqlite:STATE_DIR/queue.db"},
    {.section = "queue",
     .key = "keep_done",
     .kind = CONFIG_AGE,
     WORKER(keep_done_ms),
     .fallback = KEEP_DONE_DEFAULT,
     .min = KEEP_MIN_MS,
     .max = KEEP_MAX_MS,
     .help = "age at which the receipts of pictures that have ended (darkroom "
             "jobs) are removed"},
    {.section = "queue",
     .key = "keep_dead",
     .kind = CONFIG_AGE,
     WORKER(keep_dead_ms),
     .fallback = KEEP_DEAD_DEFAULT,
     .min = KEEP_MIN_MS,
     .max = KEEP_MAX_MS,
     .help = "the same for pictures that were given up, which can be tried "
             "again until then"},
    {.section = "store",
     .key = "url",
     .kind = CONFIG_PLACE,
     .at_start = true,
     WORKER(store_url),
     .fallback = "",
     .words = "dir:",
     .help = "where published pictures are kept, which nginx serves as "
             "/static/; if not given, dir:STATE_DIR/public"},
    {.section = "store",
     .key = "retention",
     .kind = CONFIG_AGE,
     WORKER(retention_ms),
     .fallback = RETENTION_DEFAULT,
     .min = RETENTION_MIN_MS,
     .max = RETENTION_MAX_MS,
     .help = "published pictures are removed at this age; phones fetch a "
             "picture when its chat is opened, so think of days, not minutes"},
    {.section = "image",
     .key = "labs",
     .kind = CONFIG_NUMBER,
     .at_start = true,
     WORKER(labs),
     .fallback = "1",
     .min = 1,
     .max = LAB_LABS_MAX,
     .help = "processes that decode pictures, per worker"},
    {.section = "image",
     .key = "max_pixels",
     .kind = CONFIG_NUMBER,
     WORKER(max_pixels),
     .fallback = DIGITS(IMAGE_PIXELS_MAX),
     .min = 1,
     .max = IMAGE_PIXELS_MAX,
     .help = "pictures with more pixels are refused"},
    {.section = "image",
     .key = "max_input_bytes",
     .kind = CONFIG_NUMBER,
     WORKER(max_input_bytes),
     .fallback = DIGITS(IMAGE_INPUT_MAX_BYTES),
     .min = 1,
     .max = IMAGE_INPUT_MAX_BYTES,
     .help = "larger image files are refused"},
    {.section = "image",
     .key = "max_memory_bytes",
     .kind = CONFIG_NUMBER,
     WORKER(max_memory_bytes),
     .fallback = DIGITS(IMAGE_MEMORY_MAX_BYTES),
     .min = 1,
     .max = IMAGE_MEMORY_MAX_BYTES,
     .help =
         "memory for a picture that has to be decoded as a whole (progressive, "
         "interlaced, rotated); one that needs more is refused"},
    {.section = "image",
     .key = "webp",
     .kind = CONFIG_SWITCH,
     WORKER(webp),
     .fallback = "off",
     .help = "accept WebP files, too"},
    {.section = "image",
     .key = "gif",
     .kind = CONFIG_SWITCH,
     WORKER(gif),
     .fallback = "off",
     .help = "accept GIF files, too; of an animation the first frame"},
    {.section = "image",
     .key = "mode",
     .kind = CONFIG_MODE,
     WORKER(image_mode),
     .fallback = "fit",
     .help = "size of the original: fit is sure to keep LINE's limit at the "
             "first try; max gives about twice the pixels, and takes half as "
             "much CPU time again and memory for the whole file; WIDTHxHEIGHT "
             "is a box that pictures are made to fit into, but never enlarged"},
    {.section = "image",
     .key = "truncated_min_percent",
     .kind = CONFIG_NUMBER,
     WORKER(truncated_min_percent),
     .fallback = "0",
     .min = 0,
     .max = 100,
     .help = "a picture that ends early is used if at least so much of its "
             "rows was there, and the rest is gray; 0: it is refused"},
};

static const struct config_setting channel_settings[] = {
    {.key = "secret",
     .alias = "LINE_CHANNEL_SECRET",
     .kind = CONFIG_SECRETS,
     .secret = true,
     CHANNEL(secrets),
     .path_offset = offsetof(struct config_channel, secret_file),
     .fallback = "",
     .help = "channel secret, which proves that a webhook is LINE's; while you "
             "replace it, old and new with a comma between them"},
    {.key = "access_token",
     .alias = "LINE_CHANNEL_ACCESS_TOKEN",
     .kind = CONFIG_TOKEN,
     .secret = true,
     CHANNEL(access_token),
     .path_offset = offsetof(struct config_channel, access_token_file),
     .fallback = "",
     .help = "long-lived channel access token; its file is read again when "
             "LINE refuses the token"},
    {.key = "channel_id",
     .alias = "LINE_CHANNEL_ID",
     .kind = CONFIG_DIGITS,
     CHANNEL(channel_id),
     .fallback = "",
     .help = "instead of an access token: darkroom issues short-lived ones "
             "with it and the (first) secret"},
    {.key = "files",
     .kind = CONFIG_SWITCH,
     CHANNEL(files),
     .fallback = "on",
     .help = "answer pictures that are sent as files, too"},
    {.key = "external",
     .kind = CONFIG_SWITCH,
     CHANNEL(external),
     .fallback = "off",
     .help = "answer pictures that are kept on other servers (LIFF), too; they "
             "are fetched from public https addresses only"},
    {.key = "loading",
     .kind = CONFIG_SWITCH,
     CHANNEL(loading),
     .fallback = "on",
     .help = "show the loading animation in one-to-one chats"},
    {.key = "mark_as_read",
     .kind = CONFIG_SWITCH,
     CHANNEL(mark_as_read),
     .fallback = "off",
     .help = "mark the picture as read when it is answered"},
    {.key = "push",
     .kind = CONFIG_SWITCH,
     CHANNEL(push),
     .fallback = "off",
     .help = "push a picture when it is too late to reply; pushes count "
             "towards LINE's monthly quota"},
    {.key = "push_budget",
     .kind = CONFIG_NUMBER,
     CHANNEL(push_budget),
     .fallback = "0",
     .min = 0,
     .max = PUSH_BUDGET_MAX,
     .help = "most pushes in a calendar month (UTC); 0: only LINE's quota "
             "limits them"},
    {.key = "late",
     .kind = CONFIG_WORD,
     CHANNEL(late),
     .fallback = "failure",
     .words = "failure busy push",
     .help = "what to do when the minute for a reply is nearly over: failure "
             "replies with the failure text, busy replies with the busy text "
             "and pushes the picture later, push only pushes it later"},
    {.key = "language",
     .kind = CONFIG_WORD,
     CHANNEL(language),
     .fallback = "en",
     .words = "en ja zh-TW",
     .help = "language of the built-in texts"},
    {.key = "failure_text",
     .kind = CONFIG_FAILURE,
     CHANNEL(failure_text),
     .fallback = "",
     .help = "text for a picture that cannot be used, instead of the built-in "
             "ones; off: none is sent"},
    {.key = "busy_text",
     .kind = CONFIG_MESSAGE,
     CHANNEL(busy_text),
     .fallback = "",
     .help = "text for late = busy, instead of the built-in one"},
    {.key = "quote_text",
     .kind = CONFIG_MESSAGE,
     CHANNEL(quote_text),
     .fallback = "",
     .help = "text that is sent along with the picture and quotes the user's "
             "picture; if not given, none is sent"},
    {.key = "sender_name",
     .kind = CONFIG_SENDER,
     CHANNEL(sender_name),
     .fallback = "",
     .help = "name shown beside the answer instead of the account's"},
    {.key = "forward_url",
     .kind = CONFIG_URL_PRIVATE,
     CHANNEL(forward_url),
     .fallback = "",
     .help = "a bot that gets the webhooks, too, byte for byte and with LINE's "
             "signature"},
    {.key = "forward_events",
     .kind = CONFIG_WORD,
     CHANNEL(forward_events),
     .fallback = "all",
     .words = "all other",
     .help = "which webhooks are forwarded: all, or only those that hold "
             "something other than pictures that are answered here"},
    {.key = "processor_url",
     .kind = CONFIG_URL_PRIVATE,
     CHANNEL(processor_url),
     .fallback = "",
     .help = "a program that is told of each picture before the reply, and may "
             "choose the answer"},
    {.key = "processor_timeout_ms",
     .kind = CONFIG_NUMBER,
     CHANNEL(processor_timeout_ms),
     .fallback = DIGITS(PROCESSOR_TIMEOUT_DEFAULT_MS),
     .min = PROCESSOR_TIMEOUT_MIN_MS,
     .max = PROCESSOR_TIMEOUT_MAX_MS,
     .help = "how long it may take; after that, the picture is sent without "
             "its answer"},
    {.key = "set_wait_ms",
     .kind = CONFIG_NUMBER,
     CHANNEL(set_wait_ms),
     .fallback = DIGITS(SET_WAIT_DEFAULT_MS),
     .min = 0,
     .max = SET_WAIT_MAX_MS,
     .help = "pictures sent together are answered together; when the first is "
             "ready, the others are waited for no longer than this"},
};

_Static_assert(ARRAY_COUNT(worker_settings) <= CONFIG_ORIGINS_MAX, "too many");
_Static_assert(ARRAY_COUNT(channel_settings) <= CONFIG_ORIGINS_MAX, "too many");

const struct config_table config_table_worker = {worker_settings,
                                                 ARRAY_COUNT(worker_settings)};
const struct config_table config_table_channel = {
    channel_settings, ARRAY_COUNT(channel_settings)};

int config_table_find(const struct config_table *table, const char *section,
                      const char *key)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct config_setting *row = &table->settings[i];

        if (str_eq(row->key, key) &&
            (section == NULL || str_eq(row->section, section)))
            return (int)i;
    }
    return -1;
}

bool config_table_has_section(const struct config_table *table,
                              const char *section)
{
    for (size_t i = 0; i < table->count; i++) {
        if (str_eq(table->settings[i].section, section))
            return true;
    }
    return false;
}

void config_table_env_name(const struct config_setting *setting,
                           const char *channel, char *out, size_t size)
{
    bool of_channel = str_eq(setting->section, "channel");

    (void)snprintf(out, size, CONFIG_NAME_PREFIX "%s_%s%s%s", setting->section,
                   of_channel ? channel : "", of_channel ? "_" : "",
                   setting->key);
    for (; *out != '\0'; out++)
        *out = *out == '-' ? '_' : (char)toupper((unsigned char)*out);
}

/* ---- near misses */

static size_t least(size_t a, size_t b, size_t c)
{
    return size_min(a, size_min(b, c));
}

/* Rows of the usual table of distances; only three of them are looked at. */
size_t config_edits(const char *a, const char *b)
{
    size_t rows[3][CONFIG_NAME_MAX + 2];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > CONFIG_NAME_MAX || b_len > CONFIG_NAME_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *spare = before;

        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            now[j] = least(last[j] + 1, now[j - 1] + 1,
                           last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = size_min(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

/* A word is near if no more than a third of it is wrong. */
static bool is_nearer(const char *word, const char *known, size_t *edits)
{
    size_t found = config_edits(word, known);

    if (found >= *edits || found * 3 > strlen(known))
        return false;
    *edits = found;
    return true;
}

const char *config_table_near_section(const char *word)
{
    size_t edits = SIZE_MAX;
    const char *near = NULL;

    for (size_t i = 0; i < config_table_worker.count; i++) {
        const char *section = config_table_worker.settings[i].section;

        if (is_nearer(word, section, &edits))
            near = section;
    }
    return is_nearer(word, "channel", &edits) ? "channel" : near;
}

const char *config_table_near_key(const struct config_table *table,
                                  const char *section, const char *word)
{
    size_t edits = SIZE_MAX;
    const char *near = NULL;

    for (size_t i = 0; i < table->count; i++) {
        const struct config_setting *row = &table->settings[i];

        if (str_eq(row->section, section) && is_nearer(word, row->key, &edits))
            near = row->key;
    }
    return near;
}

/* DARKROOM_CHANNEL_MY_SHOP_PUHS: any '_' may be the end of the channel. */
static bool near_channel_env(const char *word, char *out, size_t size,
                             size_t *edits)
{
    const char *names = word + strlen(CONFIG_CHANNEL_PREFIX);
    bool found = false;

    if (strncmp(word, CONFIG_CHANNEL_PREFIX, strlen(CONFIG_CHANNEL_PREFIX)) !=
        0)
        return false;
    for (const char *p = strchr(names, '_'); p != NULL; p = strchr(p + 1, '_'))
        for (size_t i = 0; i < config_table_channel.count; i++) {
            char channel[CONFIG_NAME_MAX + 1], known[2 * CONFIG_NAME_MAX];

            if (!str_copy_n(channel, sizeof(channel), names,
                            (size_t)(p - names)))
                continue;
            config_table_env_name(&config_table_channel.settings[i], channel,
                                  known, sizeof(known));
            /* The channel's name is no evidence: only the key counts. */
            if (is_nearer(p + 1,
                          known + strlen(known) -
                              strlen(config_table_channel.settings[i].key),
                          edits))
                found = str_copy(out, size, known);
        }
    return found;
}

bool config_table_near_env(const char *word, char *out, size_t size)
{
    size_t edits = SIZE_MAX;
    bool found = near_channel_env(word, out, size, &edits);

    for (size_t i = 0; i < config_table_worker.count && !found; i++) {
        char known[CONFIG_NAME_MAX + 1];

        config_table_env_name(&config_table_worker.settings[i], NULL, known,
                              sizeof(known));
        if (config_edits(word, known) <= 3 && is_nearer(word, known, &edits))
            (void)str_copy(out, size, known);
    }
    return edits != SIZE_MAX;
}
