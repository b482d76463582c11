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

/* Adds a zeroed entity of that size to the store, without a reference; NULL:
 * no memory.  Never collects. */
void *entity_new(Store *s, EntityKind kind, size_t size);
/* References from outside; each keeps the store, too.  From any thread.  The
 * last one on a store frees it.  The last one on an entity may collect
 * entities, if no thread is in the store; GC objects then all stay. */
void entity_ref(Entity *e);
void entity_unref(Entity *e);
/* Takes back the first reference, of an entity that an instance keeps. */
void entity_forget(Entity *e);
/* Frees what an entity owns, and it. */
void entity_free(Entity *e);
/* Bytes of the entity itself; an address among them is a reference on it. */
size_t entity_size(const Entity *e);

/* Marks from the roots and frees the rest: entities and GC objects.  May be
 * called at any allocation; frees no host pointer before the outermost exit. */
void store_collect(Store *s);
/* The same, but GC objects all stay. */
void store_collect_entities(Store *s);
/* Runs the releases that are due; when no guest code runs.  Nothing is
 * collected meanwhile, so that result words stay valid. */
void store_release_hosts(Store *s);
void store_release_later(Store *s, void *host);
/* Is the store whole?  A slow walker, for tests and asserts. */
bool store_is_valid(Store *s);

/* Host functions.  These, and all other _new and _share of entities, give one
 * reference. */
HostFunc *hostfunc_new(Store *s, const Type *params, uint32_t n_params,
                       const Type *results, uint32_t n_results,
                       chi_host_fn *call, void *host, Error *err);

/* The same of a type that somebody holds; NULL: out of memory. */
HostFunc *hostfunc_of_type(Store *s, const TypeDef *type, chi_host_fn *call,
                           void *host);

/* Globals and tags. */
Global *global_new(Store *s, Type type, bool mutable, const uint64_t *value);
Tag *tag_new(Store *s, const Type *params, uint32_t n_params, Error *err);
Tag *tag_share(Store *s, TagData *data);
/* A tag of a type that somebody holds; the tag holds it, too. */
Tag *tag_of_type(Store *s, const TypeDef *type);
void tag_data_unref(TagData *data);

/* A reference on the group of a concrete type; NULL of all others. */
TypeGroup *type_hold(Type t);

#endif
