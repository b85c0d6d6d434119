/*
 * map.h: a hash table from strings to pointers, of a fixed number of buckets.
 *
 *   map_init(&map, 65536);
 *   map_put(&map, photo->message_id, photo);     the key is borrowed
 *   photo = map_get(&map, "600000000000000001"); NULL if unknown
 *   map_release(&map);
 *
 * Keys and values belong to the caller and outlive the map. Not thread safe.
 */
#ifndef SIM_MAP_H
#define SIM_MAP_H

#include "base.h"
#include "status.h"

struct map_entry;

struct map {
    struct map_entry **buckets;
    size_t bucket_count;
    size_t count;
};

enum status map_init(struct map *map, size_t bucket_count) MUST_CHECK;
void map_release(struct map *map);

/* Replaces the value (and the key's pointer) of an equal key. */
enum status map_put(struct map *map, const char *key, void *value) MUST_CHECK;

void *map_get(const struct map *map, const char *key);

#endif
