/* Each entity gets a colour, in `gray`: the root that reaches it, or `several`.
 * It changes at most twice, and is then traced with the new colour.
 */
#include "runtime/owner.h"

#include <stdlib.h>

#include "runtime/blocks.h"
#include "runtime/collect.h"
#include "runtime/thread.h"

/* Words that are looked at, roughly: some milliseconds. */
enum { MOST_WORDS = 1 << 20 };

static Entity nobody, *const several = &nobody;

typedef struct {
    Store *store;
    OwnerTell *tell;
    void *env;
    Entity **stack;
    uint32_t depth;
} Finder;

static bool is_root(const Entity *e)
{
    return atomic_load_explicit(&e->refs, memory_order_relaxed) == 1;
}

static void tell(const Finder *f, void *host, Entity *colour)
{
    f->tell(f->env, host, colour == several ? NULL : colour);
}

static void paint(Finder *f, Entity *e, Entity *colour)
{
    if (e->gray == colour || e->gray == several)
        return;
    e->gray = e->gray ? several : colour;
    f->stack[f->depth++] = e;
}

static void paint_word(Finder *f, uint64_t word, bool is_func, Entity *colour)
{
    if (!word)
        return;
    if (is_func)
        paint(f, ((FuncRef *)(uintptr_t)word)->owner, colour);
    else if (!word_is_i31(word) && word_object(word)->id == TYPE_ID_EXTERN)
        tell(f, ((HostCell *)word_object(word))->host, colour);
}

static void paint_value(Finder *f, Type type, uint64_t word, Entity *colour)
{
    if (type_is_ref(type))
        paint_word(f, word, type_is_func(type), colour);
}

/* ---- tracing entities */

/* An import; the embedder sees the way from a root to a root. */
static void paint_import(Finder *f, const Instance *i, Entity *e,
                         Entity *colour)
{
    if (e && !(colour == &i->e && is_root(e)))
        paint(f, e, colour);
}

static void trace_imports(Finder *f, const Instance *i, Entity *colour)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_imported_funcs; k++)
        if (i->imported_funcs[k])
            paint_import(f, i, i->imported_funcs[k]->owner, colour);
    for (uint32_t k = 0; k < m->n_imported_tables; k++)
        paint_import(f, i, (Entity *)i->tables[k], colour);
    for (uint32_t k = 0; k < m->n_imported_globals; k++)
        paint_import(f, i, (Entity *)i->globals[k], colour);
}

static void paint_own(Finder *f, const Instance *i, Entity *colour)
{
    const Module *m = i->module;
    for (uint32_t k = m->n_imported_tables; k < m->n_tables; k++)
        if (i->tables[k])
            paint(f, &i->tables[k]->e, colour);
    for (uint32_t k = m->n_imported_globals; k < m->n_globals; k++)
        if (i->globals[k])
            paint(f, &i->globals[k]->e, colour);
}

static void trace_segments(Finder *f, const Instance *i, Entity *colour)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_elems; k++) {
        const uint64_t *items = i->elem_dropped[k] ? NULL : i->elem_items[k];
        bool is_func = type_is_func(m->elems[k].type);
        for (uint32_t j = 0; items && j < m->elems[k].count; j++)
            paint_word(f, items[j], is_func, colour);
    }
}

static void trace_table(Finder *f, const Table *t, Entity *colour)
{
    bool is_func = type_is_func(t->type.type);
    for (uint64_t k = 0; k < t->size; k++)
        paint_word(f, t->elems[k], is_func, colour);
}

static void trace(Finder *f, Entity *e)
{
    Entity *colour = e->gray;
    switch (e->kind) {
    case ENTITY_INSTANCE:
        trace_imports(f, (Instance *)e, colour);
        paint_own(f, (Instance *)e, colour);
        trace_segments(f, (Instance *)e, colour);
        break;
    case ENTITY_TABLE: trace_table(f, (Table *)e, colour); break;
    case ENTITY_GLOBAL:
        paint_value(f, ((Global *)e)->type, ((Global *)e)->value[0], colour);
        break;
    default: break; /* refer to nothing */
    }
}

/* ---- where it begins */

static void paint_exn(Finder *f, const Exn *exn)
{
    const FuncType *t = &exn->tag->type->func;
    const uint64_t *slot = exn->slots;
    for (uint32_t i = 0; i < t->n_params; i++) {
        paint_value(f, t->types[i], *slot, several);
        slot += type_slots(t->types[i]);
    }
}

static void paint_struct(Finder *f, const Object *o, const TypeDef *t)
{
    for (uint32_t i = 0; i < t->structure.n_fields; i++) {
        const Field *field = &t->structure.fields[i];
        if (type_is_ref(field->type))
            paint_value(f, field->type,
                        *(const uint64_t *)((const char *)o + field->offset),
                        several);
    }
}

static void paint_object(void *env, Object *o)
{
    Finder *f = env;
    if (o->id == TYPE_ID_EXTERN)
        return;
    if (o->id == TYPE_ID_EXN) {
        paint_exn(f, (const Exn *)o);
        return;
    }
    const TypeDef *t = type_def(o->id);
    if (t->kind == COMP_STRUCT) {
        paint_struct(f, o, t);
    } else if (type_is_ref(t->array.type)) {
        const uint64_t *elems =
            (const uint64_t *)((const char *)o + t->array.offset);
        for (uint32_t i = 0; i < o->length; i++)
            paint_value(f, t->array.type, elems[i], several);
    }
}

/* Roots that are no entities, and second references. */
static void paint_several(Finder *f)
{
    Store *s = f->store;
    for (const Root *r = s->roots; r; r = r->next)
        paint_value(f, r->type, r->word, several);
    for (uint32_t k = 0; k < s->n_recent && k < HOST_WORDS_KEPT; k++)
        paint_word(f, s->recent[k], false, several);
    if (s->heap)
        blocks_each_used(s->heap, paint_object, f);
    for (Entity *e = s->entities; e; e = e->next)
        if (atomic_load_explicit(&e->refs, memory_order_relaxed) > 1)
            paint(f, e, several);
}

/* Instances first: they stand for the tables and globals that they define. */
static void paint_roots(Finder *f)
{
    for (Entity *e = f->store->entities; e; e = e->next)
        if (e->kind == ENTITY_INSTANCE && is_root(e)) {
            paint(f, e, e);
            paint_own(f, (Instance *)e, e);
        }
    for (Entity *e = f->store->entities; e; e = e->next)
        if (is_root(e) && !e->gray)
            paint(f, e, e);
}

static void find(Finder *f)
{
    Store *s = f->store;
    for (Entity *e = s->entities; e; e = e->next)
        e->gray = NULL;
    root_reap(s);
    paint_several(f);
    paint_roots(f);
    while (f->depth)
        trace(f, f->stack[--f->depth]);
    for (Entity *e = s->entities; e; e = e->next)
        if (e->kind == ENTITY_FUNC && e->gray)
            tell(f, ((HostFunc *)e)->host, e->gray);
}

static bool takes_long(const Store *s)
{
    return heap_bytes(s) / sizeof(uint64_t) + s->table_used + s->n_entities
           > MOST_WORDS;
}

bool owner_find(Store *s, OwnerTell *tell_owner, void *env)
{
    if (!store_seize(s))
        return false;
    Finder f = {.store = s, .tell = tell_owner, .env = env};
    if (!takes_long(s))
        f.stack = malloc((s->n_entities * (size_t)2 + 1) * sizeof *f.stack);
    if (f.stack)
        find(&f);
    store_yield(s);
    free(f.stack);
    return f.stack != NULL;
}
