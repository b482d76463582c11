#include "runtime/heap.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/blocks.h"
#include "runtime/store.h"

bool heap_stress;

static uint64_t used(const Heap *h) { return h->live + h->allocated; }

/* Makes sure that `size` bytes more are within the limit, by a collection if
 * it must.  A heap that stays nearly full is refused more, since it would
 * collect for every few objects. */
static bool make_room(Store *s, uint64_t size)
{
    Heap *h = s->heap;
    uint64_t limit = s->limits.heap, slack = 0;
    bool full = size > limit || used(h) > limit - size;
    if (full)
        slack = limit == UINT64_MAX ? 0 : limit / 32;
    if (full || heap_stress
        || (h->allocated && h->allocated + size > h->budget))
        store_collect(s);
    return size <= limit - slack && used(h) <= limit - slack - size;
}

static bool have_heap(Store *s) { return s->heap || (s->heap = blocks_new()); }

static void *take_slow(Store *s, uint32_t pool)
{
    if (!have_heap(s))
        return NULL;
    Pool *p = &s->heap->pools[pool];
    if (!make_room(s, p->size) || !blocks_refill(s->heap, p))
        return NULL;
    uint8_t *o = p->cur;
    p->cur += p->size;
    if (heap_stress)
        p->end = p->cur;
    return o;
}

static inline void *take(Store *s, uint32_t pool)
{
    Pool *p = &s->heap->pools[pool];
    uint8_t *o = p->cur;
    if (unlikely(o == p->end))
        return take_slow(s, pool);
    p->cur = o + p->size;
    return o;
}

/* A zeroed object of that size; `first` is the pool of the smallest cells. */
static inline Object *allocate(Store *s, uint64_t size, uint32_t first)
{
    if (unlikely(!s->heap) && !have_heap(s))
        return NULL;
    if (likely(size <= CELL_MAX)) {
        uint32_t granules = ((uint32_t)size + GRANULE - 1) / GRANULE;
        return take(s, first + s->heap->size_class[granules]);
    }
    return make_room(s, size) ? blocks_large(s->heap, size) : NULL;
}

Object *heap_struct(Store *s, const TypeDef *type)
{
    Object *o = allocate(s, type->structure.size, 0);
    if (likely(o != NULL))
        o->id = type->id;
    return o;
}

Object *heap_array(Store *s, const TypeDef *type, uint32_t length)
{
    uint64_t elements = (uint64_t)length * type_size(type->array.type);
    Object *o = allocate(s, type->array.offset + elements, 0);
    if (likely(o != NULL)) {
        o->id = type->id;
        o->length = length;
    }
    return o;
}

Exn *heap_exn(Store *s, Tag *tag, const uint64_t *slots)
{
    uint32_t n = tag->data->type->func.param_slots;
    s->extra_roots = slots;
    s->n_extra_roots = n;
    Exn *exn = (Exn *)allocate(s, sizeof *exn + n * sizeof *slots, POOL_EXN);
    s->n_extra_roots = 0;
    if (!exn)
        return NULL;
    exn->o.id = TYPE_ID_EXN;
    exn->o.length = n;
    exn->tag = tag->data;
    atomic_fetch_add_explicit(&tag->data->refs, 1, memory_order_relaxed);
    if (n)
        memcpy(exn->slots, slots, n * sizeof *slots);
    return exn;
}

static bool have_recent(Store *s)
{
    return s->recent
           || (s->recent = malloc(HOST_WORDS_KEPT * sizeof *s->recent));
}

uint64_t heap_host(Store *s, void *host)
{
    if (!have_recent(s))
        return 0;
    HostCell *cell = (HostCell *)allocate(s, sizeof *cell, POOL_HOST);
    if (!cell)
        return 0;
    cell->o.id = TYPE_ID_EXTERN;
    cell->host = host;
    s->recent[s->n_recent++ % HOST_WORDS_KEPT] = (uintptr_t)cell;
    return (uintptr_t)cell;
}

uint64_t heap_bytes(const Store *s)
{
    if (!s->heap)
        return 0;
    uint64_t bytes = used(s->heap);
    for (const Pool *p = s->heap->pools; p < s->heap->pools + POOLS; p++)
        bytes -= (uint64_t)(p->end - p->cur);
    return bytes;
}

void heap_free(Store *s)
{
    if (s->heap)
        blocks_free(s);
}

static void merge_chunks(Heap *a, Heap *b)
{
    Chunk **end = &a->chunks;
    while (*end)
        end = &(*end)->next;
    *end = b->chunks;
    if (!a->open)
        a->open = b->chunks;
}

/* The pools of b are settled, so their free cells are found by the next
 * collection. */
void heap_merge(Store *sa, Store *sb)
{
    Heap *a = sa->heap, *b = sb->heap;
    sb->heap = NULL;
    if (!a || !b) {
        sa->heap = a ? a : b;
        return;
    }
    blocks_settle(b);
    merge_chunks(a, b);
    HeldType *held =
        realloc(a->held, (a->n_held + b->n_held + 1) * sizeof *held);
    if (!held)
        abort();
    if (b->n_held)
        memcpy(held + a->n_held, b->held, b->n_held * sizeof *held);
    a->held = held;
    a->n_held += b->n_held;
    a->live += b->live;
    a->allocated += b->allocated;
    free(b->held);
    free(b);
}
