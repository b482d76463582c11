#include "runtime/table.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/instance.h"
#include "runtime/store.h"

static bool within(uint64_t at, uint64_t n, uint64_t size)
{
    return at <= size && n <= size - at;
}

static void fill(uint64_t *elems, uint64_t word, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        elems[i] = word;
}

static bool charge(Store *s, uint64_t n)
{
    if (s->table_used > s->limits.table || n > s->limits.table - s->table_used)
        return false;
    s->table_used += n;
    return true;
}

/* What the limit refuses may be held by tables that nobody needs any more. */
static bool charge_new(Store *s, uint64_t n, uint64_t init)
{
    if (charge(s, n))
        return true;
    s->extra_roots = &init;
    s->n_extra_roots = 1;
    store_collect_entities(s);
    s->n_extra_roots = 0;
    return charge(s, n);
}

Table *table_new(Store *s, const TableType *type, uint64_t init, Error *err)
{
    uint64_t n = type->limits.min;
    if (n > LIMIT_TABLE_ELEMS || !charge_new(s, n, init)) {
        error_set(err, ERR_MEMORY, ERROR_NO_OFFSET,
                  "a table of %llu elements is beyond the limit",
                  (unsigned long long)n);
        return NULL;
    }
    Table *t = entity_new(s, ENTITY_TABLE, sizeof *t);
    uint64_t *elems = calloc(n ? (size_t)n : 1, sizeof *elems);
    if (!t || !elems) {
        s->table_used -= n; /* an entity without size that nobody refers to */
        free(elems);
        error_set(err, ERR_MEMORY, ERROR_NO_OFFSET, "out of memory");
        return NULL;
    }
    t->type = *type;
    t->size = t->capacity = n;
    t->elems = elems;
    if (init)
        fill(elems, init, n);
    t->holds = type_hold(type->type);
    entity_ref(&t->e);
    return t;
}

static bool make_room(Table *t, uint64_t size)
{
    if (size <= t->capacity)
        return true;
    uint64_t capacity = t->capacity + t->capacity / 2 + 8;
    if (capacity < size)
        capacity = size;
    uint64_t *elems = realloc(t->elems, (size_t)capacity * sizeof *t->elems);
    if (!elems)
        return false;
    t->elems = elems;
    t->capacity = capacity;
    return true;
}

uint64_t table_grow(Table *t, uint64_t by, uint64_t init)
{
    Store *s = t->e.store;
    uint64_t old = t->size, most = t->type.limits.max;
    if (most > LIMIT_TABLE_ELEMS)
        most = LIMIT_TABLE_ELEMS;
    if (old > most || by > most - old || !charge(s, by))
        return UINT64_MAX;
    if (!make_room(t, old + by)) {
        s->table_used -= by;
        return UINT64_MAX;
    }
    fill(t->elems + old, init, by);
    t->size = old + by;
    return old;
}

ErrorCode table_fill(Table *t, uint64_t at, uint64_t word, uint64_t n)
{
    if (!within(at, n, t->size))
        return ERR_TABLE_BOUNDS;
    fill(t->elems + at, word, n);
    return ERR_OK;
}

ErrorCode table_copy(Table *to, uint64_t at, Table *from, uint64_t source,
                     uint64_t n)
{
    if (!within(at, n, to->size) || !within(source, n, from->size))
        return ERR_TABLE_BOUNDS;
    memmove(to->elems + at, from->elems + source,
            (size_t)n * sizeof *to->elems);
    return ERR_OK;
}

/* Items that are plain functions need no array of their own. */
ErrorCode table_init(Instance *i, Table *t, uint32_t elem, uint64_t at,
                     uint64_t source, uint64_t n)
{
    const ElemSegment *segment = &i->module->elems[elem];
    uint64_t count = i->elem_dropped[elem] ? 0 : segment->count;
    if (!within(at, n, t->size) || !within(source, n, count))
        return ERR_TABLE_BOUNDS;
    if (n == 0)
        return ERR_OK;
    if (segment->funcs) {
        for (uint64_t k = 0; k < n; k++) {
            FuncRef *f = instance_func(i, segment->funcs[source + k]);
            t->elems[at + k] = (uintptr_t)f;
        }
        return ERR_OK;
    }
    memcpy(t->elems + at, i->elem_items[elem] + source,
           (size_t)n * sizeof *t->elems);
    return ERR_OK;
}
