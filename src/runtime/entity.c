#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/heap.h"
#include "runtime/instance.h"
#include "runtime/memory.h"
#include "runtime/store.h"
#include "runtime/table.h"
#include "runtime/thread.h"

void *entity_new(Store *s, EntityKind kind, size_t size)
{
    Entity *e = calloc(1, size);
    if (!e)
        return NULL;
    e->kind = (uint8_t)kind;
    e->store = s;
    e->next = s->entities;
    s->entities = e;
    s->n_entities++;
    return e;
}

void entity_ref(Entity *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&e->store->refs, 1, memory_order_relaxed);
}

/* What an entity that nobody outside refers to may cost, in about as many
 * small ones. */
static uint32_t weight(const Entity *e)
{
    uint64_t bytes = 0;
    if (e->kind == ENTITY_MEMORY)
        bytes = ((const Memory *)e)->charged;
    else if (e->kind == ENTITY_INSTANCE)
        bytes = atomic_load_explicit(&((const Instance *)e)->memory0->size,
                                     memory_order_relaxed);
    return 1 + (uint32_t)(bytes >> 20);
}

/* Marking costs as much as there is, so it waits for a share of that. */
static bool worth_collecting(const Store *s, uint32_t dropped)
{
    return dropped >= 16 + s->n_entities / 4 + heap_bytes(s) / 65536;
}

static void drop(Store *s, uint32_t w)
{
    uint32_t dropped =
        w + atomic_fetch_add_explicit(&s->dropped, w, memory_order_relaxed);
    if (dropped < 16 || !store_seize(s))
        return;
    bool worth = worth_collecting(s, dropped);
    store_yield(s);
    if (worth)
        store_collect_entities(s);
}

/* Once the count is zero, another thread's collection may free e. */
void entity_unref(Entity *e)
{
    Store *s = e->store;
    uint32_t w = weight(e);
    if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1
        && atomic_load_explicit(&s->refs, memory_order_relaxed) > 1)
        drop(s, w);
    store_unref(s);
}

void entity_forget(Entity *e)
{
    atomic_fetch_sub_explicit(&e->refs, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&e->store->refs, 1, memory_order_relaxed);
}

size_t entity_size(const Entity *e)
{
    switch (e->kind) {
    case ENTITY_INSTANCE: return instance_size(((const Instance *)e)->module);
    case ENTITY_FUNC: return sizeof(HostFunc);
    case ENTITY_MEMORY: return sizeof(Memory);
    case ENTITY_TABLE: return sizeof(Table);
    case ENTITY_GLOBAL: return sizeof(Global);
    default: return sizeof(Tag);
    }
}

static void release_group(TypeGroup *g)
{
    if (g)
        type_group_release(g);
}

static void free_instance(Instance *i)
{
    for (uint32_t k = 0; k < i->module->n_elems; k++)
        free(i->elem_items[k]);
    module_free(i->module);
}

static void free_table(Table *t)
{
    t->e.store->table_used -= t->size;
    free(t->elems);
    release_group(t->holds);
}

void entity_free(Entity *e)
{
    switch (e->kind) {
    case ENTITY_INSTANCE: free_instance((Instance *)e); break;
    case ENTITY_FUNC:
        store_release_later(e->store, ((HostFunc *)e)->host);
        release_group(((HostFunc *)e)->group);
        break;
    case ENTITY_MEMORY:
        e->store->memory_used -= ((Memory *)e)->charged;
        memory_data_unref(((Memory *)e)->data);
        break;
    case ENTITY_TABLE: free_table((Table *)e); break;
    case ENTITY_GLOBAL: release_group(((Global *)e)->holds); break;
    default: tag_data_unref(((Tag *)e)->data);
    }
    free(e);
}

/* ---- the small kinds */

TypeGroup *type_hold(Type t)
{
    TypeGroup *g = NULL;
    if (type_is_concrete(t)) /* a group holds all that it names */
        type_func_intern(&t, 1, NULL, 0, &g);
    return g;
}

static HostFunc *add_hostfunc(Store *s, const TypeDef *type, TypeGroup *group,
                              chi_host_fn *call, void *host)
{
    HostFunc *f = entity_new(s, ENTITY_FUNC, sizeof *f);
    if (!f) {
        type_group_release(group);
        return NULL;
    }
    f->ref = (FuncRef){.type = type,
                       .type_id = type->id,
                       .owner = &f->e,
                       .may_run_long = true};
    f->call = call;
    f->host = host;
    f->group = group;
    if (engine_hooks.attach_host)
        engine_hooks.attach_host(&f->ref);
    entity_ref(&f->e);
    return f;
}

HostFunc *hostfunc_of_type(Store *s, const TypeDef *type, chi_host_fn *call,
                           void *host)
{
    TypeGroup *group = type_hold(type_ref(false, type->id));
    return add_hostfunc(s, type, group, call, host);
}

HostFunc *hostfunc_new(Store *s, const Type *params, uint32_t n_params,
                       const Type *results, uint32_t n_results,
                       chi_host_fn *call, void *host, Error *err)
{
    TypeGroup *g;
    const TypeDef *type =
        type_func_intern(params, n_params, results, n_results, &g);
    HostFunc *f = type ? add_hostfunc(s, type, g, call, host) : NULL;
    if (!f)
        error_set(err, ERR_MEMORY, ERROR_NO_OFFSET, "out of memory");
    return f;
}

Global *global_new(Store *s, Type type, bool mutable, const uint64_t *value)
{
    Global *g = entity_new(s, ENTITY_GLOBAL, sizeof *g);
    if (!g)
        return NULL;
    g->type = type;
    g->mutable = mutable;
    if (value)
        memcpy(g->value, value, type_slots(type) * sizeof *value);
    g->holds = type_hold(type);
    entity_ref(&g->e);
    return g;
}

static Tag *add_tag(Store *s, const TypeDef *type, TypeGroup *group)
{
    Tag *tag = entity_new(s, ENTITY_TAG, sizeof *tag);
    TagData *data = calloc(1, sizeof *data);
    if (!tag || !data)
        abort();
    *data = (TagData){1, type, group};
    tag->data = data;
    entity_ref(&tag->e);
    return tag;
}

Tag *tag_new(Store *s, const Type *params, uint32_t n_params, Error *err)
{
    TypeGroup *g;
    const TypeDef *type = type_func_intern(params, n_params, NULL, 0, &g);
    if (!type) {
        error_set(err, ERR_LIMIT, ERROR_NO_OFFSET, "too many types");
        return NULL;
    }
    return add_tag(s, type, g);
}

Tag *tag_of_type(Store *s, const TypeDef *type)
{
    return add_tag(s, type, type_hold(type_ref(true, type->id)));
}

Tag *tag_share(Store *s, TagData *data)
{
    Tag *tag = entity_new(s, ENTITY_TAG, sizeof *tag);
    if (!tag)
        return NULL;
    atomic_fetch_add_explicit(&data->refs, 1, memory_order_relaxed);
    tag->data = data;
    entity_ref(&tag->e);
    return tag;
}

void tag_data_unref(TagData *data)
{
    if (!data
        || atomic_fetch_sub_explicit(&data->refs, 1, memory_order_acq_rel) != 1)
        return;
    release_group(data->group);
    free(data);
}
