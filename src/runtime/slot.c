#include "runtime/slot.h"

#include "os/os.h"
#include "runtime/reservation.h"

enum {
    FORMS = MEMORY_WIDE + 1,
    MOST_KEPT = 16,
    COMMITTED_KEPT = 64 << 10 /* one page of WebAssembly */
};

static const uint32_t limits[FORMS] = {
    [MEMORY_EXPLICIT] = MOST_KEPT, [MEMORY_DENSE] = 4, [MEMORY_WIDE] = 4};

/* Under the global lock. */
static Slot slots[FORMS][MOST_KEPT];
static uint32_t n_slots[FORMS];

uint64_t slot_below(MemoryForm form)
{
    return form == MEMORY_WIDE ? MEMORY_WIDE_BELOW : 0;
}

uint64_t slot_above(MemoryForm form)
{
    switch (form) {
    case MEMORY_WIDE: return MEMORY_WIDE_ABOVE;
    case MEMORY_DENSE: return MEMORY_DENSE_ABOVE;
    default: return SLOT_BYTES + os_page_size();
    }
}

static bool take_kept(MemoryForm form, Slot *out)
{
    os_mutex_lock(os_global_lock());
    bool any = n_slots[form] > 0;
    if (any)
        *out = slots[form][--n_slots[form]];
    os_mutex_unlock(os_global_lock());
    return any;
}

static bool keep(MemoryForm form, Slot s)
{
    os_mutex_lock(os_global_lock());
    bool kept = n_slots[form] < limits[form];
    if (kept)
        slots[form][n_slots[form]++] = s;
    os_mutex_unlock(os_global_lock());
    return kept;
}

static bool map(MemoryForm form, Slot *out)
{
    uint64_t below = slot_below(form), size = below + slot_above(form);
    if (size > SIZE_MAX / 2
        || (form != MEMORY_EXPLICIT
            && !reservation_has_room(size, form == MEMORY_WIDE)))
        return false;
    uint8_t *p = os_pages_reserve((size_t)size);
    *out = (Slot){p ? p + below : NULL, 0};
    return p;
}

static void unmap(MemoryForm form, Slot s)
{
    uint64_t below = slot_below(form);
    os_pages_release(s.base - below, (size_t)(below + slot_above(form)));
}

bool slot_take(MemoryForm form, Slot *out)
{
    return take_kept(form, out) || map(form, out);
}

static bool clear(Slot *s)
{
    if (s->committed > COMMITTED_KEPT) {
        if (!os_pages_decommit(s->base + COMMITTED_KEPT,
                               (size_t)(s->committed - COMMITTED_KEPT)))
            return false;
        s->committed = COMMITTED_KEPT;
    }
    return s->committed == 0 || os_pages_clear(s->base, (size_t)s->committed);
}

void slot_give(MemoryForm form, Slot s)
{
    if (!clear(&s) || !keep(form, s))
        unmap(form, s);
}

void slot_flush(void)
{
    Slot s;
    for (int form = 0; form < FORMS; form++)
        while (take_kept((MemoryForm)form, &s))
            unmap((MemoryForm)form, s);
}
