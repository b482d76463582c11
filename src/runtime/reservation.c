#include "runtime/reservation.h"

#include <assert.h>
#include <stdatomic.h>

#include "os/os.h"

enum { LIMIT = 1 << 14 };

/* start: 0 if free; BEING_MADE while end is not set yet. */
typedef struct {
    _Atomic uintptr_t start, end;
} Range;
#define BEING_MADE ((uintptr_t)1)

static Range ranges[LIMIT];
static _Atomic uint32_t n_used; /* none at or after it is in use */
static _Atomic uint32_t hint;   /* likely to be free */
static _Atomic uint64_t total;  /* bytes */

static bool lies_in(const Range *r, uintptr_t address)
{
    uintptr_t start = atomic_load_explicit(&r->start, memory_order_acquire);
    uintptr_t end = atomic_load_explicit(&r->end, memory_order_acquire);
    return start > BEING_MADE && address >= start && address < end
           && atomic_load_explicit(&r->start, memory_order_relaxed) == start;
}

bool reservation_contains(uintptr_t address)
{
    uint32_t n = atomic_load_explicit(&n_used, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++)
        if (lies_in(&ranges[i], address))
            return true;
    return false;
}

bool reservation_has_room(uint64_t size, bool wide)
{
    uint64_t space = os_address_space();
    uint64_t share = wide ? space / 2 : space / 4 * 3;
    return atomic_load_explicit(&total, memory_order_relaxed) + size <= share;
}

static bool claim(uint32_t i)
{
    uintptr_t none = 0;
    Range *r = &ranges[i];
    return atomic_load_explicit(&r->start, memory_order_relaxed) == 0
           && atomic_compare_exchange_strong(&r->start, &none, BEING_MADE);
}

static bool find_free(uint32_t *found)
{
    uint32_t first = atomic_load_explicit(&hint, memory_order_relaxed);
    for (uint32_t i = 0; i < LIMIT; i++) {
        *found = (first + i) % LIMIT;
        if (claim(*found))
            return true;
    }
    return false;
}

static void raise_n_used(uint32_t n)
{
    uint32_t now = atomic_load_explicit(&n_used, memory_order_relaxed);
    while (now < n && !atomic_compare_exchange_weak(&n_used, &now, n)) {}
}

uint32_t reservation_add(uintptr_t start, uint64_t size)
{
    uint32_t i;
    if (!find_free(&i))
        return 0;
    Range *r = &ranges[i];
    atomic_store_explicit(&r->end, start + (uintptr_t)size,
                          memory_order_relaxed);
    atomic_store_explicit(&r->start, start, memory_order_release);
    raise_n_used(i + 1);
    atomic_fetch_add_explicit(&total, size, memory_order_relaxed);
    atomic_store_explicit(&hint, i + 1, memory_order_relaxed);
    return i + 1;
}

void reservation_remove(uint32_t number)
{
    assert(number);
    Range *r = &ranges[number - 1];
    uintptr_t start = atomic_load_explicit(&r->start, memory_order_relaxed);
    uintptr_t end = atomic_load_explicit(&r->end, memory_order_relaxed);
    atomic_fetch_sub_explicit(&total, end - start, memory_order_relaxed);
    atomic_store_explicit(&r->start, 0, memory_order_release);
    atomic_store_explicit(&hint, number - 1, memory_order_relaxed);
}
