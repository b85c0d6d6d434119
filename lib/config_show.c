/*
 * config_show.c: walks the two tables, the channels' once per channel.
 */
#include "config_show.h"

#include "config_table.h"

#define REMARK_COLUMN 48
#define COLUMNS 78
#define ANY_CHANNEL "NAME"

/* ---- what is in force */

struct view {
    const struct config_table *table;
    const void *base;
    const struct config_origin *origins;
    const char *channel; /* NULL: the worker's */
};

static struct view worker_view(const struct config *config)
{
    return (struct view){.table = &config_table_worker,
                         .base = config,
                         .origins = config->origins};
}

static struct view channel_view(const struct config_channel *channel)
{
    return (struct view){.table = &config_table_channel,
                         .base = channel,
                         .origins = channel->origins,
                         .channel = channel->name};
}

static void section_name(const struct view *view, size_t row, char *out,
                         size_t size)
{
    const char *section = view->table->settings[row].section;

    (void)snprintf(out, size, "%s%s%s", section,
                   view->channel != NULL ? " " : "",
                   view->channel != NULL ? view->channel : "");
}

/* A section ends where the rows of the next begin. */
static bool begins_section(const struct config_table *table, size_t row)
{
    return row == 0 || !str_eq(table->settings[row].section,
                               table->settings[row - 1].section);
}

/* With the URL that LINE's console is to be given. */
static enum status show_section(const struct config *config,
                                const struct view *view, size_t row,
                                struct buf *out)
{
    char section[2 * CHANNEL_NAME_MAX], line[2 * CHANNEL_NAME_MAX + 2];
    char url[CONFIG_VALUE_MAX + 2 * CHANNEL_NAME_MAX];
    const char *gap = out->len > 0 ? "\n" : "";

    section_name(view, row, section, sizeof(section));
    (void)snprintf(line, sizeof(line), "[%s]", section);
    if (view->channel == NULL)
        return buf_printf(out, "%s%s\n", gap, line);
    config_webhook_url(config, view->base, url, sizeof(url));
    return buf_printf(out, "%s%-*s  # webhook %s\n", gap, REMARK_COLUMN, line,
                      url);
}

/* A message may have several lines; a file cannot. */
static void fold_lines(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            *text = ' ';
    }
}

static enum status show_row(const struct config *config,
                            const struct view *view, size_t row,
                            struct buf *out)
{
    char origin[CONFIG_LABEL_MAX];
    char value[CONFIG_VALUE_MAX + 1], line[2 * CONFIG_VALUE_MAX];
    enum status status = STATUS_OK;

    config_value_print(&view->table->settings[row], view->base, value,
                       sizeof(value));
    fold_lines(value);
    config_origin_text(config, &view->origins[row], origin, sizeof(origin));
    if (begins_section(view->table, row))
        status = show_section(config, view, row, out);
    (void)snprintf(line, sizeof(line), "%s = %s",
                   view->table->settings[row].key, value);
    if (status == STATUS_OK)
        status = buf_printf(out, "%-*s  # %s\n", REMARK_COLUMN, line, origin);
    return status;
}

static enum status show_view(const struct config *config,
                             const struct view *view, struct buf *out)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < view->table->count && status == STATUS_OK; i++)
        status = show_row(config, view, i, out);
    return status;
}

enum status config_show(const struct config *config, struct buf *out)
{
    struct view view = worker_view(config);
    enum status status = show_view(config, &view, out);

    for (size_t i = 0; i < config->channel_count && status == STATUS_OK; i++) {
        view = channel_view(&config->channels[i]);
        status = show_view(config, &view, out);
    }
    return status;
}

static void value_json(const struct config_setting *setting, const void *base,
                       struct json_out *out)
{
    char value[CONFIG_VALUE_MAX + 1];
    int64_t number = 0;

    config_value_print(setting, base, value, sizeof(value));
    json_key(out, setting->secret ? "set" : "value");
    if (setting->secret)
        json_bool(out, value[0] != '\0');
    else if (setting->kind == CONFIG_SWITCH)
        json_bool(out, str_eq(value, "on"));
    else if (setting->kind == CONFIG_NUMBER &&
             str_to_int64(value, INT64_MIN, INT64_MAX, &number))
        json_int(out, number);
    else
        json_str(out, value);
}

static void origin_json(const struct config_origin *origin,
                        struct json_out *out)
{
    static const char *const sources[] = {"default", "file", "environment"};

    json_key(out, "source");
    json_str(out, sources[origin->source]);
    if (origin->source == CONFIG_FILE) {
        json_key(out, "line");
        json_int(out, origin->line);
    } else if (origin->source == CONFIG_ENVIRONMENT) {
        json_key(out, "name");
        json_str(out, origin->name);
    }
}

static void view_json(const struct view *view, struct json_out *out)
{
    for (size_t i = 0; i < view->table->count; i++) {
        char section[2 * CHANNEL_NAME_MAX];

        section_name(view, i, section, sizeof(section));
        json_object(out);
        json_key(out, "section");
        json_str(out, section);
        json_key(out, "key");
        json_str(out, view->table->settings[i].key);
        value_json(&view->table->settings[i], view->base, out);
        origin_json(&view->origins[i], out);
        json_object_end(out);
    }
}

void config_show_json(const struct config *config, struct json_out *out)
{
    struct view view = worker_view(config);

    json_key(out, "file");
    json_str(out, config->file);
    json_key(out, "settings");
    json_array(out);
    view_json(&view, out);
    for (size_t i = 0; i < config->channel_count; i++) {
        view = channel_view(&config->channels[i]);
        view_json(&view, out);
    }
    json_array_end(out);
}

/* ---- what there is to set */

/* The words as comments, in lines of COLUMNS at most. */
static enum status append_remark(struct buf *out, const char *words)
{
    enum status status = STATUS_OK;
    size_t column = 0;

    while (*words != '\0' && status == STATUS_OK) {
        size_t len = strcspn(words, " ");

        if (column > 0 && column + 1 + len > COLUMNS) {
            status = buf_append_str(out, "\n");
            column = 0;
        }
        if (status == STATUS_OK)
            status = buf_printf(out, "%s%.*s", column == 0 ? "# " : " ",
                                (int)len, words);
        column += len + (column == 0 ? 2 : 1);
        words += len;
        words += strspn(words, " ");
    }
    return status == STATUS_OK ? buf_append_str(out, "\n") : status;
}

static enum status list_row(const struct config_setting *row, struct buf *out)
{
    char values[CONFIG_WHY_MAX], name[CONFIG_NAME_MAX + 1];
    char remark[4 * CONFIG_WHY_MAX];
    enum status status;

    config_value_expects(row, values, sizeof(values));
    config_table_env_name(row, ANY_CHANNEL, name, sizeof(name));
    (void)snprintf(remark, sizeof(remark), "%s%s", row->help,
                   row->at_start ? " (a change needs a restart)" : "");
    status = append_remark(out, remark);
    (void)snprintf(remark, sizeof(remark), "%s; %s%s%s", values, name,
                   row->alias != NULL ? ", " : "",
                   row->alias != NULL ? row->alias : "");
    if (status == STATUS_OK)
        status = append_remark(out, remark);
    if (status == STATUS_OK)
        status = buf_printf(out, "#%s =%s%s\n", row->key,
                            *row->fallback != '\0' ? " " : "", row->fallback);
    if (status == STATUS_OK && row->secret)
        status = buf_printf(out, "#%s_file =\n", row->key);
    return status;
}

static enum status list_table(const struct config_table *table, struct buf *out)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < table->count && status == STATUS_OK; i++) {
        const struct config_setting *row = &table->settings[i];

        if (begins_section(table, i) && str_eq(row->section, "channel"))
            status = buf_append_str(out, "\n[channel default]\n");
        else if (begins_section(table, i))
            status = buf_printf(out, "\n[%s]\n", row->section);
        else
            status = buf_append_str(out, "#\n");
        if (status == STATUS_OK)
            status = list_row(row, out);
    }
    return status;
}

enum status config_list(struct buf *out)
{
    static const char head[] =
        "# Settings of darkroom. A line that begins with '#' or ';' is a "
        "comment; what\n"
        "# is commented out here is the default. A value is all that follows "
        "the '=':\n"
        "# quotes, and a '#' behind it, would be part of it. Behind each "
        "description are\n"
        "# the values it may have and its name in the environment, which wins "
        "over this\n"
        "# file. 'darkroom check --settings' tells what is wrong and what is "
        "in "
        "force.\n"
        "#\n"
        "# A section [channel NAME] for each bot; its webhook URL ends in "
        "/webhook/NAME.\n"
        "# /webhook alone is for the only one, or the one called default.\n";
    enum status status = buf_append_str(out, head);

    if (status == STATUS_OK)
        status = list_table(&config_table_worker, out);
    if (status == STATUS_OK)
        status = list_table(&config_table_channel, out);
    return status;
}

static void member(struct json_out *out, const char *key, const char *value)
{
    json_key(out, key);
    json_str(out, value);
}

static void row_json(const struct config_setting *row, struct json_out *out)
{
    char values[CONFIG_WHY_MAX], name[CONFIG_NAME_MAX + 1];

    config_value_expects(row, values, sizeof(values));
    config_table_env_name(row, ANY_CHANNEL, name, sizeof(name));
    json_object(out);
    member(out, "section", row->section);
    member(out, "key", row->key);
    member(out, "environment", name);
    member(out, "alias", row->alias != NULL ? row->alias : "");
    member(out, "default", row->fallback);
    member(out, "values", values);
    json_key(out, "secret");
    json_bool(out, row->secret);
    json_key(out, "restart");
    json_bool(out, row->at_start);
    member(out, "help", row->help);
    json_object_end(out);
}

void config_list_json(struct json_out *out)
{
    json_key(out, "settings");
    json_array(out);
    for (size_t i = 0; i < config_table_worker.count; i++)
        row_json(&config_table_worker.settings[i], out);
    for (size_t i = 0; i < config_table_channel.count; i++)
        row_json(&config_table_channel.settings[i], out);
    json_array_end(out);
}
