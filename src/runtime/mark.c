#include "runtime/collect.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/store.h"

uint32_t mark_stack_limit = 1 << 20;

/* ---- addresses */

static int compare_ranges(const void *a, const void *b)
{
    uintptr_t x = ((const Range *)a)->start, y = ((const Range *)b)->start;
    return (x > y) - (x < y);
}

static void sort_ranges(Ranges *r)
{
    qsort(r->items, r->n, sizeof *r->items, compare_ranges);
    if (r->n) {
        r->low = r->items[0].start;
        r->high = r->items[r->n - 1].end;
    }
}

static void *find_range(const Ranges *r, uintptr_t address)
{
    if (address < r->low || address >= r->high)
        return NULL;
    uint32_t low = 0, high = r->n; /* the last that starts at or before */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (r->items[middle].start <= address)
            low = middle;
        else
            high = middle;
    }
    return address < r->items[low].end ? r->items[low].what : NULL;
}

static void list_entities(Collector *c)
{
    Ranges *r = &c->entities;
    r->items = arena_new(&c->arena, Range, c->store->n_entities);
    for (Entity *e = c->store->entities; e; e = e->next) {
        uintptr_t start = (uintptr_t)e;
        r->items[r->n++] = (Range){start, start + entity_size(e), e};
    }
    sort_ranges(r);
}

static void list_chunks(Collector *c)
{
    Ranges *r = &c->chunks;
    uint32_t n = 0;
    for (Chunk *k = c->store->heap->chunks; k; k = k->next)
        n++;
    r->items = arena_new(&c->arena, Range, n);
    for (Chunk *k = c->store->heap->chunks; k; k = k->next)
        r->items[r->n++] = (Range){(uintptr_t)k, (uintptr_t)k + k->size, k};
    sort_ranges(r);
}

void mark_begin(Collector *c, Store *s)
{
    enum { SHAPE_SLOTS = 64 };
    *c = (Collector){.store = s};
    list_entities(c);
    if (!s->heap)
        return;
    blocks_settle(s->heap);
    blocks_clear_marks(s->heap);
    list_chunks(c);
    c->shapes = arena_new(&c->arena, Shape *, SHAPE_SLOTS);
    c->shape_slots = SHAPE_SLOTS;
}

void mark_end(Collector *c)
{
    free(c->stack);
    arena_free(&c->arena);
}

/* ---- shapes */

bool type_is_func(Type t)
{
    return type_is_ref(t) && type_heap_top(type_heap(t)) == HEAP_FUNC;
}

static Shape **shape_slot(Collector *c, uint32_t id)
{
    uint32_t i = id * 0x9e3779b9u & (c->shape_slots - 1);
    while (c->shapes[i] && c->shapes[i]->id != id)
        i = (i + 1) & (c->shape_slots - 1);
    return &c->shapes[i];
}

static void grow_shapes(Collector *c)
{
    Shape **old = c->shapes;
    uint32_t n = c->shape_slots;
    c->shape_slots = n * 2;
    c->shapes = arena_new(&c->arena, Shape *, n * 2);
    for (uint32_t i = 0; i < n; i++)
        if (old[i])
            *shape_slot(c, old[i]->id) = old[i];
}

static void describe_struct(Collector *c, Shape *shape, const TypeDef *t)
{
    uint32_t n = t->structure.n_fields;
    uint32_t *refs = arena_new(&c->arena, uint32_t, n);
    for (uint32_t i = 0; i < n; i++) {
        const Field *f = &t->structure.fields[i];
        if (type_is_ref(f->type))
            refs[shape->n_refs++] = f->offset | type_is_func(f->type);
    }
    shape->refs = refs;
    shape->size = t->structure.size;
}

static Shape *describe(Collector *c, uint32_t id)
{
    const TypeDef *t = type_def(id);
    Shape *shape = arena_new(&c->arena, Shape, 1);
    shape->id = id;
    shape->kind = t->kind;
    if (t->kind == COMP_STRUCT) {
        describe_struct(c, shape, t);
    } else {
        shape->elem_is_ref = type_is_ref(t->array.type);
        shape->elem_is_func = type_is_func(t->array.type);
        shape->size = type_size(t->array.type);
        shape->offset = t->array.offset;
    }
    return shape;
}

static Shape *shape_of(Collector *c, uint32_t id)
{
    if (c->last && c->last->id == id)
        return c->last;
    Shape **slot = shape_slot(c, id);
    if (!*slot) {
        if (++c->n_shapes > c->shape_slots / 2) {
            grow_shapes(c);
            slot = shape_slot(c, id);
        }
        *slot = describe(c, id);
    }
    return c->last = *slot;
}

Shape *mark_shape(Collector *c, uint32_t id) { return *shape_slot(c, id); }

/* ---- objects */

static uint64_t object_size(Collector *c, const Object *o)
{
    if (o->id == TYPE_ID_EXTERN)
        return sizeof(HostCell);
    if (o->id == TYPE_ID_EXN)
        return sizeof(Exn) + o->length * sizeof(uint64_t);
    const Shape *shape = shape_of(c, o->id);
    uint64_t size = shape->size;
    if (shape->kind != COMP_STRUCT)
        size = shape->offset + size * o->length;
    return (size + GRANULE - 1) & ~(uint64_t)(GRANULE - 1);
}

static bool grow_stack(Collector *c)
{
    uint32_t n = c->capacity ? c->capacity * 2 : 1024;
    if (n > mark_stack_limit)
        n = mark_stack_limit;
    MarkItem *stack =
        n > c->capacity ? realloc(c->stack, n * sizeof *stack) : NULL;
    if (!stack)
        return false;
    c->stack = stack;
    c->capacity = n;
    return true;
}

/* Without room on the stack the object is marked, but not visited: all that
 * is marked has to be visited once more. */
static void push(Collector *c, Object *o, uint32_t at)
{
    if (c->depth < c->capacity || grow_stack(c)) {
        c->stack[c->depth++] = (MarkItem){o, at};
        return;
    }
    c->overflowed = true;
    if (!set_mark(o))
        c->live += object_size(c, o);
}

void mark_object(Collector *c, Object *o) { push(c, o, 0); }

static void visit_exn(Collector *c, const Exn *exn)
{
    const FuncType *t = &exn->tag->type->func;
    const uint64_t *slot = exn->slots;
    for (uint32_t i = 0; i < t->n_params; i++) {
        mark_value(c, t->types[i], *slot);
        slot += type_slots(t->types[i]);
    }
}

/* A slice at a time, so that the stack stays shallow. */
static void visit_array(Collector *c, Object *o, const Shape *shape,
                        uint32_t from)
{
    enum { SLICE = 1024 };
    uint32_t to = o->length;
    const uint64_t *elems = (uint64_t *)((uint8_t *)o + shape->offset);
    if (to - from > SLICE) {
        to = from + SLICE;
        push(c, o, to);
    }
    for (uint32_t i = from; i < to; i++)
        mark_word(c, elems[i], shape->elem_is_func);
}

static void visit_struct(Collector *c, Object *o, const Shape *shape)
{
    for (uint32_t i = 0; i < shape->n_refs; i++) {
        uint32_t offset = shape->refs[i];
        uint64_t word = *(uint64_t *)((uint8_t *)o + (offset & ~1u));
        mark_word(c, word, offset & 1);
    }
}

static void visit(Collector *c, Object *o)
{
    if (o->id == TYPE_ID_EXTERN)
        return;
    if (o->id == TYPE_ID_EXN) {
        visit_exn(c, (Exn *)o);
        return;
    }
    const Shape *shape = shape_of(c, o->id);
    if (shape->kind == COMP_STRUCT)
        visit_struct(c, o, shape);
    else if (shape->elem_is_ref)
        visit_array(c, o, shape, 0);
}

/* Most objects are not in the cache.  So what comes from the stack goes
 * through a short queue, and is fetched meanwhile. */
enum { QUEUE = 16 };
typedef struct {
    Object *items[QUEUE];
    uint32_t first, n;
} Queue;

static void fill_queue(Collector *c, Queue *q)
{
    while (q->n < QUEUE && c->depth) {
        MarkItem item = c->stack[--c->depth];
        if (item.at) {
            visit_array(c, item.object, shape_of(c, item.object->id), item.at);
            continue;
        }
        __builtin_prefetch(item.object);
        __builtin_prefetch(mark_word_of(item.object), 1);
        q->items[(q->first + q->n++) % QUEUE] = item.object;
    }
}

void mark_drain(Collector *c)
{
    Queue q = {.n = 0};
    for (;;) {
        fill_queue(c, &q);
        if (q.n == 0)
            return;
        Object *o = q.items[q.first];
        q.first = (q.first + 1) % QUEUE;
        q.n--;
        if (set_mark(o))
            continue;
        c->live += object_size(c, o);
        visit(c, o);
    }
}

static void drain_all(Collector *c)
{
    mark_drain(c);
    while (c->gray) {
        Entity *e = c->gray;
        c->gray = e->gray;
        collect_trace(c, e);
        mark_drain(c);
    }
}

/* After an overflow.  Each turn marks something new or is the last. */
static void revisit(void *env, Object *o)
{
    Collector *c = env;
    const Shape *shape = o->id > TYPE_ID_EXN ? shape_of(c, o->id) : NULL;
    if (!shape || shape->kind == COMP_STRUCT) {
        visit(c, o);
        drain_all(c);
        return;
    }
    const uint64_t *elems = (uint64_t *)((uint8_t *)o + shape->offset);
    for (uint32_t i = 0; shape->elem_is_ref && i < o->length; i++) {
        mark_word(c, elems[i], shape->elem_is_func);
        drain_all(c);
    }
}

void mark_finish(Collector *c)
{
    drain_all(c);
    while (c->overflowed) {
        c->overflowed = false;
        blocks_each_marked(c->store->heap, revisit, c);
    }
}

void mark_value(Collector *c, Type type, uint64_t word)
{
    if (type_is_ref(type))
        mark_word(c, word, type_is_func(type));
}

/* Of a native stack it reads what a sanitizer has poisoned. */
__attribute__((no_sanitize("address"))) void mark_range(Collector *c,
                                                        const uint64_t *from,
                                                        const uint64_t *to)
{
    c->scanned += (uint64_t)(to - from) * sizeof *from;
    for (; from < to; from++) {
        uintptr_t address = (uintptr_t)*from;
        Chunk *chunk = find_range(&c->chunks, address);
        if (chunk) {
            Object *o = blocks_resolve(c->store->heap, chunk, address);
            if (o)
                mark_root(c, o);
            continue;
        }
        Entity *e = find_range(&c->entities, address);
        if (e)
            mark_entity(c, e);
    }
}

static void mark_one(void *c, Object *o) { mark_root(c, o); }

void mark_all_objects(Collector *c)
{
    if (c->store->heap)
        blocks_each(c->store->heap, mark_one, c);
}
