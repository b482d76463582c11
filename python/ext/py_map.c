/* Open addressing, linear probing, deletion by moving back: no tombstones. */
#include "py_ext.h"

enum { FIRST_CAPACITY = 8 };

static size_t home_of(const PointerMap *map, const void *key)
{
    uint64_t bits = (uint64_t)(uintptr_t)key >> 3;
    return (size_t)(bits * 0x9e3779b97f4a7c15u >> 32) & (map->capacity - 1);
}

/* Where the key is, or the free place where it would be. */
static size_t place_of(const PointerMap *map, const void *key)
{
    size_t i = home_of(map, key);
    while (map->entries[i].key && map->entries[i].key != key)
        i = (i + 1) & (map->capacity - 1);
    return i;
}

PyObject *py_map_get(const PointerMap *map, const void *key)
{
    if (!map->count)
        return NULL;
    return map->entries[place_of(map, key)].value;
}

static int grow(PointerMap *map)
{
    PointerMap bigger = {.capacity = map->capacity ? map->capacity * 2
                                                   : FIRST_CAPACITY};
    bigger.entries = PyMem_Calloc(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].key)
            bigger.entries[place_of(&bigger, map->entries[i].key)] =
                map->entries[i];
    bigger.count = map->count;
    PyMem_Free(map->entries);
    *map = bigger;
    return 0;
}

int py_map_set(PointerMap *map, const void *key, PyObject *value)
{
    if (map->count * 4 >= map->capacity * 3 && grow(map) < 0)
        return -1;
    PointerEntry *e = &map->entries[place_of(map, key)];
    map->count += !e->key;
    *e = (PointerEntry){key, value};
    return 0;
}

/* Fills the hole at `hole` with what was pushed past it. */
static void close_hole(PointerMap *map, size_t hole)
{
    size_t mask = map->capacity - 1;
    for (size_t i = (hole + 1) & mask; map->entries[i].key;
         i = (i + 1) & mask) {
        size_t home = home_of(map, map->entries[i].key);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (PointerEntry){NULL, NULL};
}

void py_map_remove(PointerMap *map, const void *key, const PyObject *value)
{
    if (!map->count)
        return;
    size_t i = place_of(map, key);
    if (map->entries[i].value != value || !map->entries[i].key)
        return;
    close_hole(map, i);
    map->count--;
}

void py_map_clear(PointerMap *map)
{
    PyMem_Free(map->entries);
    *map = (PointerMap){0};
}
