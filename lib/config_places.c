/*
 * config_places.c: can the worker write where its settings tell it to? What is
 * not there yet will be made, so the nearest directory above it counts.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "config_table.h"

struct place {
    const char *section, *key;
    const char *value;
    const char *scheme; /* before the path, "" for none */
    bool is_file;       /* the path's last part is a file's name */
};

/* Cuts the last part off: "/" above "/a", "." above "a". */
static void cut_last(char *path, size_t size)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL)
        (void)str_copy(path, size, ".");
    else
        slash[slash == path] = '\0';
}

static bool is_writable(const char *directory)
{
    struct stat st;

    return stat(directory, &st) == 0 && S_ISDIR(st.st_mode) &&
           access(directory, W_OK | X_OK) == 0;
}

static bool check_place(const struct config *config, const struct place *place,
                        struct buf *errors)
{
    int row =
        config_table_find(&config_table_worker, place->section, place->key);
    char path[CONFIG_VALUE_MAX + 1], label[CONFIG_LABEL_MAX];
    size_t scheme = strlen(place->scheme);

    if (strncmp(place->value, place->scheme, scheme) != 0 ||
        !str_copy(path, sizeof(path), place->value + scheme))
        return true;
    if (place->is_file)
        cut_last(path, sizeof(path));
    while (access(path, F_OK) < 0 && strchr(path, '/') != NULL &&
           !str_eq(path, "/"))
        cut_last(path, sizeof(path));
    if (is_writable(path))
        return true;
    config_origin_label(config, &config_table_worker.settings[row], NULL,
                        &config->origins[row], label, sizeof(label));
    (void)!buf_printf(errors, "%s: cannot write to '%s' as user %ld\n", label,
                      path, (long)geteuid());
    return false;
}

enum status config_check_places(const struct config *config, struct buf *errors)
{
    const struct place places[] = {
        {"server", "state_dir", config->state_dir, "", false},
        {"queue", "url", config->queue_url, "sqlite:", true},
        {"store", "url", config->store_url, "dir:", false},
    };
    bool ok = true;

    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        ok = check_place(config, &places[i], errors) && ok;
    return ok ? STATUS_OK : STATUS_BAD_CONFIG;
}
