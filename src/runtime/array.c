/* Whole-array operations.  See WebAssembly 3.0, 4.6.5. */
#include <string.h>

#include "runtime/heap.h"
#include "runtime/instance.h"

static bool within(uint64_t at, uint64_t n, uint64_t size)
{
    return at <= size && n <= size - at;
}

static uint8_t *element(Object *a, const TypeDef *type, uint32_t at)
{
    return (uint8_t *)a + type->array.offset
           + (size_t)at * type_size(type->array.type);
}

ErrorCode array_fill(Object *a, const TypeDef *type, uint32_t at,
                     const uint64_t *slots, uint32_t n)
{
    if (!within(at, n, a->length))
        return ERR_ARRAY_BOUNDS;
    uint32_t size = type_size(type->array.type);
    uint8_t *p = element(a, type, at);
    if (size == 1) {
        memset(p, (int)(uint8_t)*slots, n);
        return ERR_OK;
    }
    for (uint32_t i = 0; i < n; i++, p += size)
        field_store(p, type->array.type, slots);
    return ERR_OK;
}

ErrorCode array_copy(Object *to, const TypeDef *to_type, uint32_t at,
                     Object *from, uint32_t source, uint32_t n)
{
    if (!within(at, n, to->length) || !within(source, n, from->length))
        return ERR_ARRAY_BOUNDS;
    /* Elements of matching types have the same size. */
    memmove(element(to, to_type, at), element(from, to_type, source),
            (size_t)n * type_size(to_type->array.type));
    return ERR_OK;
}

ErrorCode array_init_data(Instance *i, Object *a, const TypeDef *type,
                          uint32_t data, uint32_t at, uint32_t source,
                          uint32_t n)
{
    const DataSegment *d = &i->module->datas[data];
    uint64_t bytes = (uint64_t)n * type_size(type->array.type);
    if (a && !within(at, n, a->length))
        return ERR_ARRAY_BOUNDS;
    if (!within(source, bytes, i->data_dropped[data] ? 0 : d->len))
        return ERR_MEMORY_BOUNDS;
    if (a && bytes)
        memcpy(element(a, type, at), i->module->bytes + d->start + source,
               (size_t)bytes);
    return ERR_OK;
}

ErrorCode array_init_elem(Instance *i, Object *a, const TypeDef *type,
                          uint32_t elem, uint32_t at, uint32_t source,
                          uint32_t n)
{
    uint32_t count;
    const uint64_t *items = instance_elem(i, elem, &count);
    if (a && !within(at, n, a->length))
        return ERR_ARRAY_BOUNDS;
    if (!within(source, n, count))
        return ERR_TABLE_BOUNDS;
    if (a && n)
        memcpy(element(a, type, at), items + source, n * sizeof *items);
    return ERR_OK;
}
