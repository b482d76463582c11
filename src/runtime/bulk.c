/* memory.fill, memory.copy, memory.init.  See WebAssembly 3.0, 4.6.7. */
#include <string.h>

#include "runtime/instance.h"
#include "runtime/memory.h"
#include "runtime/thread.h"

/* Bytes between two looks at the interrupt: about 0.2 ms, five times that if
 * the pages are touched for the first time. */
enum { CHUNK = 1 << 20, FUEL_BYTES = 64 };

static bool within(const MemoryData *d, uint64_t at, uint64_t n)
{
    uint64_t size = atomic_load_explicit(&d->size, memory_order_relaxed);
    return at <= size && n <= size - at;
}

static ErrorCode charge(Store *s, uint64_t n)
{
    if (!s->metered)
        return ERR_OK;
    uint64_t cost = n / FUEL_BYTES;
    if (cost > s->fuel) {
        s->fuel = 0;
        return ERR_OUT_OF_FUEL;
    }
    s->fuel -= cost;
    return ERR_OK;
}

static size_t chunk(uint64_t left)
{
    return left < CHUNK ? (size_t)left : CHUNK;
}

ErrorCode memory_fill(Store *s, MemoryData *d, uint64_t at, uint8_t value,
                      uint64_t n)
{
    if (!within(d, at, n))
        return ERR_MEMORY_BOUNDS;
    ErrorCode code = charge(s, n);
    for (uint64_t done = 0; code == ERR_OK && done < n;) {
        size_t some = chunk(n - done);
        memset(d->base + at + done, value, some);
        done += some;
        if (done < n)
            code = store_poll(s);
    }
    return code;
}

/* An interrupt handler may grow the memory and so move it: addresses are
 * taken afresh in each turn. */
ErrorCode memory_copy(Store *s, MemoryData *to, uint64_t at, MemoryData *from,
                      uint64_t source, uint64_t n)
{
    if (!within(to, at, n) || !within(from, source, n))
        return ERR_MEMORY_BOUNDS;
    ErrorCode code = charge(s, n);
    bool backward = to == from && at > source;
    for (uint64_t done = 0; code == ERR_OK && done < n;) {
        size_t some = chunk(n - done);
        uint64_t offset = backward ? n - done - some : done;
        memmove(to->base + at + offset, from->base + source + offset, some);
        done += some;
        if (done < n)
            code = store_poll(s);
    }
    return code;
}

ErrorCode memory_init(Instance *i, MemoryData *d, uint32_t data, uint64_t at,
                      uint64_t source, uint64_t n)
{
    const DataSegment *segment = &i->module->datas[data];
    uint64_t len = i->data_dropped[data] ? 0 : segment->len;
    if (!within(d, at, n) || source > len || n > len - source)
        return ERR_MEMORY_BOUNDS;
    const uint8_t *from = i->module->bytes + segment->start + source;
    ErrorCode code = charge(i->e.store, n);
    for (uint64_t done = 0; code == ERR_OK && done < n;) {
        size_t some = chunk(n - done);
        memcpy(d->base + at + done, from + done, some);
        done += some;
        if (done < n)
            code = store_poll(i->e.store);
    }
    return code;
}
