#include "runtime/collect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/store.h"
#include "runtime/thread.h"

/* ---- what entities refer to */

static void trace_items(Collector *c, Instance *i)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_elems; k++) {
        if (i->elem_dropped[k]) {
            free(i->elem_items[k]);
            i->elem_items[k] = NULL;
        }
        const uint64_t *items = i->elem_items[k];
        bool is_func = type_is_func(m->elems[k].type);
        for (uint32_t j = 0; items && j < m->elems[k].count; j++)
            mark_word(c, items[j], is_func);
    }
}

#define TRACE_ALL(array, n)                                                    \
    for (uint32_t k = 0; k < (n); k++)                                         \
        if (array[k])                                                          \
    mark_entity(c, &array[k]->e)

static void trace_instance(Collector *c, Instance *i)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_imported_funcs; k++)
        if (i->imported_funcs[k])
            mark_entity(c, i->imported_funcs[k]->owner);
    TRACE_ALL(i->memories, m->n_memories);
    TRACE_ALL(i->tables, m->n_tables);
    TRACE_ALL(i->globals, m->n_globals);
    TRACE_ALL(i->tags, m->n_tags);
    trace_items(c, i);
}

static void trace_table(Collector *c, const Table *t)
{
    bool is_func = type_is_func(t->type.type);
    c->scanned += t->size * sizeof *t->elems;
    for (uint64_t k = 0; k < t->size; k++) {
        mark_word(c, t->elems[k], is_func);
        if (k % 1024 == 0)
            mark_drain(c);
    }
}

void collect_trace(Collector *c, Entity *e)
{
    switch (e->kind) {
    case ENTITY_INSTANCE: trace_instance(c, (Instance *)e); break;
    case ENTITY_TABLE: trace_table(c, (Table *)e); break;
    case ENTITY_GLOBAL:
        mark_value(c, ((Global *)e)->type, ((Global *)e)->value[0]);
        break;
    default: break; /* refer to nothing */
    }
}

/* ---- roots */

static void mark_roots(Collector *c)
{
    Store *s = c->store;
    for (Entity *e = s->entities; e; e = e->next)
        if (atomic_load_explicit(&e->refs, memory_order_relaxed))
            mark_entity(c, e);
    for (const Root *r = s->roots; r; r = r->next)
        mark_value(c, r->type, r->word);
    mark_word(c, s->pending_exn, false);
    if (s->n_extra_roots)
        mark_range(c, s->extra_roots, s->extra_roots + s->n_extra_roots);
    for (uint32_t k = 0; k < s->n_recent && k < HOST_WORDS_KEPT; k++)
        mark_word(c, s->recent[k], false);
}

/* Compiled code keeps references wherever it likes: in registers, which are
 * put on the stack here, and in frames of its own and of C. */
static __attribute__((noinline)) bool mark_native_stack(Collector *c,
                                                        const Thread *t)
{
    __builtin_unwind_init();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0) - 256;
    bool on_stack = here >= t->native_low; /* or one of someone else's making */
    if (here >= t->native_base || on_stack != (t->native_base >= t->native_low))
        return false;
    mark_range(c, (const uint64_t *)(here & ~(uintptr_t)7),
               (const uint64_t *)t->native_base);
    return true;
}

/* The guest stack from its base: entries of other stores as well, which does
 * no harm.  false: where it ends is not known, see thread.h. */
static bool mark_stack(Collector *c)
{
    Thread *t = thread_inside(c->store);
    if (!t)
        return true;
    const Activation *a = thread_top(t);
    if (!a)
        return false;
    mark_range(c, t->stack, a->sp + 1);
    return !t->native_base || mark_native_stack(c, t);
}

/* ---- types that outlive their modules */

static bool has_heap_types(const Module *m)
{
    for (uint32_t i = 0; i < m->n_types; i++)
        if (m->types[i]->kind != COMP_FUNC)
            return true;
    return false;
}

static bool loses_types(const Store *s)
{
    for (const Entity *e = s->entities; e; e = e->next)
        if (!e->marked && e->kind == ENTITY_INSTANCE
            && has_heap_types(((const Instance *)e)->module))
            return true;
    return false;
}

static void hold(Heap *h, uint32_t id)
{
    HeldType *held = realloc(h->held, (h->n_held + 1) * sizeof *held);
    if (!held)
        abort();
    h->held = held;
    held[h->n_held++] = (HeldType){id, type_hold(type_ref(true, id))};
}

/* Holds the types of the objects that live, if an instance dies whose module
 * may have been the last to do so; gives up the others. */
static void hold_types(Collector *c)
{
    Heap *h = c->store->heap;
    uint32_t n = h->n_held;
    h->n_held = 0;
    for (uint32_t i = 0; i < n; i++) {
        Shape *shape = mark_shape(c, h->held[i].id);
        if (shape) {
            shape->held = true;
            h->held[h->n_held++] = h->held[i];
        } else {
            type_group_release(h->held[i].group);
        }
    }
    if (!loses_types(c->store))
        return;
    for (uint32_t i = 0; i < c->shape_slots; i++)
        if (c->shapes[i] && !c->shapes[i]->held)
            hold(h, c->shapes[i]->id);
}

/* ---- sweeping */

static void sweep_entities(Store *s)
{
    for (Entity **link = &s->entities; *link;) {
        Entity *e = *link;
        if (e->marked) {
            e->marked = false;
            link = &e->next;
        } else {
            *link = e->next;
            s->n_entities--;
            entity_free(e);
        }
    }
}

static void set_budget(Heap *h, uint64_t live, uint64_t scanned)
{
    h->live = live;
    h->allocated = 0;
    h->budget = live + scanned;
    if (h->budget < BUDGET_LEAST)
        h->budget = BUDGET_LEAST;
}

static void collect(Store *s, bool objects_stay)
{
    Collector c;
    atomic_store_explicit(&s->dropped, 0, memory_order_relaxed);
    root_reap(s);
    mark_begin(&c, s);
    mark_roots(&c);
    bool complete = mark_stack(&c);
    if (objects_stay || !complete)
        mark_all_objects(&c);
    if (!complete)
        for (Entity *e = s->entities; e; e = e->next)
            mark_entity(&c, e);
    mark_finish(&c);
    if (s->heap)
        hold_types(&c);
    sweep_entities(s);
    if (s->heap) {
        set_budget(s->heap, c.live, c.scanned);
        blocks_sweep(s);
    }
    mark_end(&c);
}

/* A thread that is not inside must not be disturbed by, or disturb, another. */
static void collect_alone(Store *s, bool objects_stay)
{
    if (s->no_collect)
        return;
    bool mine = store_is_mine(s);
    if (!mine && !store_seize(s))
        return;
    collect(s, objects_stay);
    if (!mine)
        store_yield(s);
}

void store_collect(Store *s) { collect_alone(s, false); }
void store_collect_entities(Store *s) { collect_alone(s, true); }
