/*
 * map.c: chains in buckets, FNV-1a. The number of entries is bounded by the
 * caller, so the table never grows.
 */
#include "map.h"

struct map_entry {
    struct map_entry *next;
    const char *key;
    void *value;
};

static size_t bucket_of(const struct map *map, const char *key)
{
    uint64_t hash = 14695981039346656037u;

    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash % map->bucket_count;
}

static struct map_entry *find(const struct map *map, const char *key)
{
    struct map_entry *entry = map->buckets[bucket_of(map, key)];

    while (entry != NULL && !str_eq(entry->key, key))
        entry = entry->next;
    return entry;
}

enum status map_init(struct map *map, size_t bucket_count)
{
    *map = (struct map){.bucket_count = bucket_count};
    map->buckets = calloc(bucket_count, sizeof(struct map_entry *));
    return map->buckets != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

void map_release(struct map *map)
{
    for (size_t i = 0; map->buckets != NULL && i < map->bucket_count; i++) {
        while (map->buckets[i] != NULL) {
            struct map_entry *entry = map->buckets[i];

            map->buckets[i] = entry->next;
            free(entry);
        }
    }
    free(map->buckets);
    *map = (struct map){0};
}

enum status map_put(struct map *map, const char *key, void *value)
{
    struct map_entry *entry = find(map, key);
    size_t bucket = bucket_of(map, key);

    if (entry == NULL) {
        entry = malloc(sizeof(*entry));
        if (entry == NULL)
            return STATUS_NO_MEMORY;
        entry->next = map->buckets[bucket];
        map->buckets[bucket] = entry;
        map->count++;
    }
    entry->key = key;
    entry->value = value;
    return STATUS_OK;
}

void *map_get(const struct map *map, const char *key)
{
    const struct map_entry *entry = find(map, key);

    return entry != NULL ? entry->value : NULL;
}
