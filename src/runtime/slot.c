#include "runtime/slot.h"

#include "os/os.h"

enum {
    SLOTS = 16,
    COMMITTED_KEPT = 64 << 10 /* one page of WebAssembly */
};

static Slot slots[SLOTS]; /* under the global lock */
static uint32_t n_slots;

bool slot_take(Slot *out)
{
    os_mutex_lock(os_global_lock());
    bool any = n_slots > 0;
    if (any)
        *out = slots[--n_slots];
    os_mutex_unlock(os_global_lock());
    return any;
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

bool slot_give(Slot s)
{
    if (!clear(&s))
        return false;
    os_mutex_lock(os_global_lock());
    bool kept = n_slots < SLOTS;
    if (kept)
        slots[n_slots++] = s;
    os_mutex_unlock(os_global_lock());
    return kept;
}

void slot_flush(void)
{
    Slot s;
    while (slot_take(&s))
        os_pages_release(s.base, (size_t)(SLOT_BYTES + os_page_size()));
}
