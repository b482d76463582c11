/* store_is_valid: walks over everything a store has. */
#include "runtime/blocks.h"
#include "runtime/instance.h"
#include "runtime/store.h"
#include "runtime/table.h"

typedef struct {
    const Store *store;
    bool ok;
} Check;

static bool is_entity(const Store *s, const Entity *e)
{
    for (const Entity *x = s->entities; x; x = x->next)
        if (x == e)
            return true;
    return false;
}

static bool is_object(const Store *s, uint64_t word)
{
    for (Chunk *c = s->heap ? s->heap->chunks : NULL; c; c = c->next)
        if (word - (uintptr_t)c < c->size)
            return blocks_resolve(s->heap, c, (uintptr_t)word)
                   == word_object(word);
    return false;
}

static bool word_is_valid(const Store *s, Type type, uint64_t word)
{
    if (!type_is_ref(type))
        return true;
    if (word == 0)
        return true; /* or not initialised yet */
    if (type_heap_top(type_heap(type)) == HEAP_FUNC)
        return is_entity(s, ((FuncRef *)(uintptr_t)word)->owner);
    return word_is_i31(word) || is_object(s, word);
}

static bool struct_is_valid(const Store *s, const Object *o, const TypeDef *t)
{
    for (uint32_t k = 0; k < t->structure.n_fields; k++) {
        const Field *f = &t->structure.fields[k];
        const void *at = (const uint8_t *)o + f->offset;
        if (type_is_ref(f->type)
            && !word_is_valid(s, f->type, *(const uint64_t *)at))
            return false;
    }
    return true;
}

static bool array_is_valid(const Store *s, const Object *o, const TypeDef *t)
{
    const uint8_t *at = (const uint8_t *)o + t->array.offset;
    if (!type_is_ref(t->array.type))
        return true;
    for (uint32_t k = 0; k < o->length; k++)
        if (!word_is_valid(s, t->array.type, ((const uint64_t *)at)[k]))
            return false;
    return true;
}

static bool exn_is_valid(const Store *s, const Exn *exn)
{
    const FuncType *t = &exn->tag->type->func;
    uint32_t slot = 0;
    for (uint32_t k = 0; k < t->n_params; k++) {
        if (!word_is_valid(s, t->types[k], exn->slots[slot]))
            return false;
        slot += type_slots(t->types[k]);
    }
    return slot == exn->o.length;
}

static void check_object(void *env, Object *o)
{
    Check *c = env;
    const Store *s = c->store;
    if (o->id == TYPE_ID_EXTERN)
        return;
    if (o->id == TYPE_ID_EXN) {
        c->ok &= exn_is_valid(s, (Exn *)o);
        return;
    }
    const TypeDef *t = type_def(o->id);
    if (!t || t->id != o->id)
        c->ok = false;
    else
        c->ok &= t->kind == COMP_STRUCT ? struct_is_valid(s, o, t)
                                        : array_is_valid(s, o, t);
}

static bool instance_is_valid(const Store *s, const Instance *i)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_imported_funcs; k++)
        if (i->imported_funcs[k] && !is_entity(s, i->imported_funcs[k]->owner))
            return false;
    for (uint32_t k = 0; k < m->n_memories; k++)
        if (i->memories[k] && !is_entity(s, &i->memories[k]->e))
            return false;
    for (uint32_t k = 0; k < m->n_tables; k++)
        if (i->tables[k] && !is_entity(s, &i->tables[k]->e))
            return false;
    for (uint32_t k = 0; k < m->n_globals; k++)
        if (i->globals[k] && !is_entity(s, &i->globals[k]->e))
            return false;
    return true;
}

static bool entity_is_valid(const Store *s, const Entity *e)
{
    if (e->store != s || e->marked)
        return false;
    const Table *t = (const Table *)e;
    const Global *g = (const Global *)e;
    switch (e->kind) {
    case ENTITY_INSTANCE: return instance_is_valid(s, (const Instance *)e);
    case ENTITY_TABLE:
        for (uint64_t k = 0; k < t->size; k++)
            if (!word_is_valid(s, t->type.type, t->elems[k]))
                return false;
        return t->size <= t->capacity;
    case ENTITY_GLOBAL: return word_is_valid(s, g->type, g->value[0]);
    default: return true;
    }
}

bool store_is_valid(Store *s)
{
    uint32_t n = 0;
    uint64_t memory = 0, refs = 0;
    for (const Entity *e = s->entities; e; e = e->next) {
        n++;
        refs += e->refs;
        if (!entity_is_valid(s, e))
            return false;
        if (e->kind == ENTITY_MEMORY)
            memory += ((const Memory *)e)->charged;
    }
    root_reap(s);
    for (const Root *r = s->roots; r; r = r->next) {
        refs++;
        if (*r->link != r || !word_is_valid(s, r->type, r->word))
            return false;
    }
    Check c = {s, true};
    if (s->heap) {
        blocks_settle(s->heap);
        blocks_each(s->heap, check_object, &c);
    }
    return c.ok && n == s->n_entities && memory == s->memory_used
           && refs <= s->refs && word_is_valid(s, T_EXNREF, s->pending_exn);
}
