/* store.h - lives of stores and entities. */
#ifndef CHI_RUNTIME_STORE_H
#define CHI_RUNTIME_STORE_H

#include "runtime/runtime.h"

Store *store_new(const StoreLimits *limits);
StoreLimits store_limits_default(void);
/* References on the store itself. */
Store *store_ref(Store *s);
void store_unref(Store *s);
/* The store that s stands for after merges. */
static inline Store *store_target(Store *s)
{
    while (s->merged_into)
        s = s->merged_into;
    return s;
}
/* Moves everything of b into a.  false: one is running. */
bool store_merge(Store *a, Store *b, Error *err);

/* Adds a zeroed entity of that size to the store; NULL: no memory. */
void *entity_new(Store *s, EntityKind kind, size_t size);
/* References from outside; each keeps the store, too.  The last one on an
 * entity may trigger a collection, the last one on a store frees it. */
void entity_ref(Entity *e);
void entity_unref(Entity *e);
/* Frees one entity's own resources (per kind); store.c alone calls it. */

/* Marks from the roots and frees the rest: entities and GC objects.  May be
 * called at any allocation; frees no host pointer before the outermost exit. */
void store_collect(Store *s);
/* Runs the releases that are due; when no guest code runs. */
void store_release_hosts(Store *s);
void store_release_later(Store *s, void *host);

/* Host functions. */
HostFunc *hostfunc_new(Store *s, const Type *params, uint32_t n_params,
                       const Type *results, uint32_t n_results,
                       HostCall *call, void *host, Error *err);

/* Globals and tags. */
Global *global_new(Store *s, Type type, bool mutable, const uint64_t *value);
Tag *tag_new(Store *s, const Type *params, uint32_t n_params, Error *err);
Tag *tag_share(Store *s, TagData *data);

#endif
