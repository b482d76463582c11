#include "wasm/module.h"

#include <stdlib.h>
#include <string.h>

#include "wasm/decode.h"
#include "wasm/names.h"
#include "wasm/validate.h"

/* Bytes behind the module's own, so that a validator may read a little too
 * far before it notices. */
enum { PADDING = 32 };

static Module *make(const uint8_t *bytes, size_t len, Features features,
                    Error *err)
{
    if (len > LIMIT_MODULE_BYTES) {
        error_set(err, ERR_LIMIT, 0, "a module of %zu bytes; the limit is %d",
                  len, LIMIT_MODULE_BYTES);
        return NULL;
    }
    Module *m = calloc(1, sizeof *m);
    uint8_t *copy = malloc(len + PADDING);
    if (!m || !copy) {
        free(m);
        free(copy);
        error_set(err, ERR_MEMORY, 0, "out of memory for %zu bytes", len);
        return NULL;
    }
    if (len)
        memcpy(copy, bytes, len);
    memset(copy + len, 0, PADDING);
    m->refs = 1;
    m->bytes = copy;
    m->len = (uint32_t)len;
    m->features = features;
    return m;
}

Module *module_new(const uint8_t *bytes, size_t len, Features features,
                   Error *err)
{
    Module *m = make(bytes, len, features, err);
    if (m && !(decode_module(m, err) && validate_module(m, NULL, NULL, err))) {
        module_free(m);
        return NULL;
    }
    return m;
}

Module *module_ref(Module *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void module_free(Module *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < m->n_groups; i++)
        type_group_release(m->groups[i]);
    names_free(atomic_load(&m->names));
    arena_free(&m->arena);
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

uint32_t module_type_index(void *module, uint32_t id)
{
    const Module *m = module;
    for (uint32_t i = 0; i < m->n_types; i++)
        if (m->types[i]->id == id)
            return i;
    return NO_TYPE;
}
