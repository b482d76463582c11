/* py_map.h - a hash map from C pointers to Python objects, both borrowed.
 *
 * It answers "is there an object for this already?"; whoever dies takes
 * itself out.
 */
#ifndef CHI_PY_MAP_H
#define CHI_PY_MAP_H

typedef struct {
    const void *key; /* NULL: free */
    PyObject *value;
} PointerEntry;

typedef struct {
    PointerEntry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
} PointerMap;

/* Borrowed, or NULL. */
PyObject *py_map_get(const PointerMap *map, const void *key);
int py_map_set(PointerMap *map, const void *key, PyObject *value);
/* Takes the key out if it stands for that value. */
void py_map_remove(PointerMap *map, const void *key, const PyObject *value);
void py_map_clear(PointerMap *map);

#endif
