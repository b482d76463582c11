#include "wasm/module.h"

#include <stdlib.h>
#include <string.h>

#include "wasm/decode.h"
#include "wasm/dwarf.h"
#include "wasm/names.h"
#include "wasm/validate.h"

static Module *make(const uint8_t *bytes, size_t len, Features features,
                    Error *err)
{
    if (len > LIMIT_MODULE_BYTES) {
        error_set(err, ERR_LIMIT, 0, "a module of %zu bytes; the limit is %d",
                  len, LIMIT_MODULE_BYTES);
        return NULL;
    }
    Module *m = calloc(1, sizeof *m);
    uint8_t *copy = malloc(len + MODULE_PADDING);
    if (!m || !copy) {
        free(m);
        free(copy);
        error_set(err, ERR_MEMORY, 0, "out of memory for %zu bytes", len);
        return NULL;
    }
    if (len)
        memcpy(copy, bytes, len);
    memset(copy + len, 0, MODULE_PADDING);
    m->refs = 1;
    m->bytes = copy;
    m->len = (uint32_t)len;
    m->features = features;
    return m;
}

static void list_type_ids(Module *m)
{
    uint32_t *ids = arena_new(&m->arena, uint32_t, m->n_types + 1);
    for (uint32_t k = 0; k < m->n_types; k++)
        ids[k] = m->types[k]->id;
    m->type_ids = ids;
}

Module *module_new(const uint8_t *bytes, size_t len, Features features,
                   Error *err)
{
    Module *m = make(bytes, len, features, err);
    if (m && !(decode_module(m, err) && validate_module(m, NULL, NULL, err))) {
        module_free(m);
        return NULL;
    }
    if (m)
        list_type_ids(m);
    return m;
}

Module *module_ref(Module *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void (*module_free_native)(void *native);

void module_free(Module *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < m->n_groups; i++)
        type_group_release(m->groups[i]);
    if (m->native)
        module_free_native(m->native);
    names_free(atomic_load(&m->names));
    dwarf_free(atomic_load(&m->dwarf));
    free(atomic_load(&m->types_by_id));
    arena_free(&m->arena);
    free(m->image_path);
    free(m->bytes);
    free(m);
}

void module_check(const uint8_t *bytes, size_t len, Features features,
                  ModuleReport *report, void *env)
{
    Error err = {0};
    Module *m = make(bytes, len, features, &err);
    if (m && decode_module(m, &err)) {
        validate_module(m, report, env, &err);
    } else {
        report(env, &err);
        if (m && m->funcs) {
            err = (Error){0};
            validate_module(m, report, env, &err);
        }
    }
    module_free(m);
}

static int compare_keys(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Whoever comes first leaves its work for all. */
static const uint64_t *types_by_id(Module *m)
{
    uint64_t *keys =
        atomic_load_explicit(&m->types_by_id, memory_order_acquire);
    if (keys)
        return keys;
    uint64_t *mine = malloc((m->n_types + (size_t)1) * sizeof *mine);
    if (!mine)
        abort();
    for (uint32_t i = 0; i < m->n_types; i++)
        mine[i] = (uint64_t)m->types[i]->id << 32 | i;
    qsort(mine, m->n_types, sizeof *mine, compare_keys);
    if (atomic_compare_exchange_strong(&m->types_by_id, &keys, mine))
        return mine;
    free(mine);
    return keys;
}

/* The first key of that id or above, by bisection. */
uint32_t module_type_index(void *module, uint32_t id)
{
    Module *m = module;
    const uint64_t *keys = types_by_id(m);
    uint32_t low = 0, high = m->n_types;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (keys[middle] >> 32 < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->n_types && keys[low] >> 32 == id ? (uint32_t)keys[low]
                                                     : NO_TYPE;
}
