#include "runtime/memory.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/reservation.h"
#include "runtime/slot.h"
#include "runtime/store.h"

static uint8_t no_bytes[16];
MemoryData memory_none = {.base = no_bytes, .page_log2 = 16};

/* ---- sizes */

/* What a memory may ever have, in pages, whatever it declares. */
static uint64_t form_limit(const MemoryType *t)
{
    uint64_t bits = t->limits.is64 ? 47 : 32;
    uint64_t pages = (uint64_t)1 << (bits - t->page_log2);
    if (!t->limits.is64 && t->page_log2 == 0)
        pages--; /* or memory.size could not say it */
    return pages;
}

static uint64_t most_pages(const MemoryType *t)
{
    uint64_t form = form_limit(t);
    return t->limits.max < form ? t->limits.max : form;
}

static uint64_t round_up(uint64_t bytes)
{
    uint64_t page = os_page_size();
    return (bytes + page - 1) & ~(page - 1);
}

/* ---- reservations */

/* A slot, if that is all it may become; of a 64-bit memory without a sensible
 * maximum, room to double. */
static uint64_t wanted_bytes(uint64_t bytes, uint64_t most)
{
    if (most <= SLOT_BYTES || bytes < SLOT_BYTES / 2)
        return SLOT_BYTES;
    return bytes * 2 < most ? bytes * 2 : most;
}

/* What to ask the system for, one after the other: all, what is declared,
 * some room to grow, no more than is needed.  Where all is refused addresses
 * are scarce, and others need them, too. */
enum { STEPS = 4 };
static void ladder(uint64_t bytes, uint64_t most, uint64_t steps[STEPS])
{
    enum { ROOM = 1 << 20 };
    uint64_t some = bytes < ROOM / 2 ? ROOM : bytes * 2;
    uint64_t wanted = wanted_bytes(bytes, most);
    steps[0] = round_up(wanted);
    steps[1] = round_up(most < wanted ? most : wanted);
    steps[2] = round_up(some < most ? some : most);
    steps[3] = round_up(bytes);
}

/* A memory with guards is one that the fault handler knows. */
static bool guard(MemoryData *d, MemoryForm form)
{
    uint64_t below = slot_below(form);
    if (form == MEMORY_EXPLICIT)
        return true;
    d->reservation =
        reservation_add((uintptr_t)d->base - below, below + slot_above(form));
    return d->reservation;
}

static bool take_slot(MemoryData *d, MemoryForm form)
{
    Slot slot;
    if (!slot_take(form, &slot))
        return false;
    d->base = slot.base;
    d->committed = slot.committed;
    d->reserved = SLOT_BYTES;
    d->form = form;
    if (guard(d, form))
        return true;
    slot_give(form, slot);
    d->base = NULL;
    d->committed = 0;
    return false;
}

static bool reserve_bytes(MemoryData *d, uint64_t size)
{
    uint64_t page = os_page_size();
    if (size > SIZE_MAX / 2)
        return false;
    if (size == SLOT_BYTES)
        return take_slot(d, MEMORY_EXPLICIT);
    d->base = os_pages_reserve((size_t)(size + page));
    d->reserved = size;
    d->form = MEMORY_EXPLICIT;
    return d->base;
}

static bool reserve(MemoryData *d, uint64_t size)
{
    if (reserve_bytes(d, size))
        return true;
    slot_flush();
    return reserve_bytes(d, size);
}

static bool reserve_explicit(MemoryData *d, uint64_t bytes, uint64_t most)
{
    uint64_t steps[STEPS];
    if (d->shared)
        return reserve(d, round_up(most));
    ladder(bytes, most, steps);
    for (int i = 0; i < STEPS; i++)
        if (reserve(d, steps[i]))
            return true;
    return false;
}

/* Makes the first `bytes` memory; the reservation is large enough. */
static bool commit(MemoryData *d, uint64_t bytes)
{
    uint64_t upto = round_up(bytes);
    if (upto <= d->committed)
        return true;
    if (!os_pages_commit(d->base + d->committed, (size_t)(upto - d->committed)))
        return false;
    d->committed = upto;
    return true;
}

static bool move(MemoryData *d, uint64_t reserved)
{
    uint64_t page = os_page_size();
    void *p = os_pages_move(d->base, (size_t)(d->reserved + page),
                            (size_t)d->committed, (size_t)(reserved + page));
    if (!p)
        return false;
    d->base = p;
    d->reserved = reserved;
    return true;
}

/* A view that is pinned does not see the base move. */
static bool make_room(MemoryData *d, uint64_t bytes)
{
    uint64_t steps[STEPS];
    if (bytes <= d->reserved)
        return true;
    if (d->shared || atomic_load(&d->pins))
        return false;
    ladder(bytes, d->max_pages << d->page_log2, steps);
    for (int i = 0; i < STEPS; i++)
        if (move(d, steps[i]))
            return true;
    return false;
}

/* ---- making and ending */

static MemoryData *new_data(const MemoryType *t)
{
    MemoryData *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->refs = 1;
    d->page_log2 = t->page_log2;
    d->shared = t->limits.shared;
    d->is64 = t->limits.is64;
    d->max_pages = most_pages(t);
    os_mutex_init(&d->lock);
    return d;
}

bool memory_map_file(MemoryData *d, int fd, uint64_t at, uint64_t size)
{
    if (size > d->committed
        || !os_pages_map_file(d->base, (size_t)size, fd, at))
        return false;
    d->imaged = size;
    return true;
}

static void release(MemoryData *d)
{
    /* A slot that cannot be cleared keeps what it has: it is unmapped. */
    if (d->imaged && os_pages_decommit(d->base, (size_t)d->committed))
        d->committed = 0;
    if (d->reservation)
        reservation_remove(d->reservation);
    if (d->reserved == SLOT_BYTES)
        slot_give((MemoryForm)d->form, (Slot){d->base, d->committed});
    else
        os_pages_release(d->base, (size_t)(d->reserved + os_page_size()));
}

static void free_data(MemoryData *d)
{
    if (d->base)
        release(d);
    os_mutex_destroy(&d->lock);
    free(d);
}

void memory_data_unref(MemoryData *d)
{
    if (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1)
        free_data(d);
}

static MemoryForm best_form(const Store *s, const MemoryType *t)
{
    bool guardable = !t->limits.is64 && t->page_log2 == 16;
    return guardable ? (MemoryForm)s->best_form : MEMORY_EXPLICIT;
}

static bool reserve_form(MemoryData *d, MemoryForm best, uint64_t bytes)
{
    for (int form = best; form > MEMORY_EXPLICIT; form--)
        if (take_slot(d, (MemoryForm)form))
            return true;
    return reserve_explicit(d, bytes, d->max_pages << d->page_log2);
}

/* A slot may come with a page, which is not there for guests to find. */
static bool commit_exactly(MemoryData *d, uint64_t bytes)
{
    if (bytes >= d->committed || d->form == MEMORY_EXPLICIT)
        return commit(d, bytes);
    uint64_t keep = round_up(bytes);
    if (!os_pages_decommit(d->base + keep, (size_t)(d->committed - keep)))
        return false;
    d->committed = keep;
    return true;
}

static bool set_up(MemoryData *d, Store *s, const MemoryType *t, Error *err)
{
    uint64_t pages = t->limits.min, bytes = pages << d->page_log2;
    uint64_t most = d->max_pages << d->page_log2;
    if (!reserve_form(d, best_form(s, t), bytes) || !commit_exactly(d, bytes))
        return error_set(err, ERR_MEMORY, ERROR_NO_OFFSET,
                         "the system refuses %llu bytes for a %smemory",
                         (unsigned long long)(d->shared ? most : bytes),
                         d->shared ? "shared " : "");
    d->pages = pages;
    atomic_store_explicit(&d->size, bytes, memory_order_relaxed);
    return true;
}

static bool within_limits(Store *s, const MemoryType *t, Error *err)
{
    uint64_t left = s->limits.memory - s->memory_used;
    uint64_t pages = t->limits.min;
    if (pages > form_limit(t))
        return error_set(err, ERR_MEMORY, ERROR_NO_OFFSET,
                         "a memory of %llu pages is too large",
                         (unsigned long long)pages);
    if (s->memory_used > s->limits.memory || pages << t->page_log2 > left)
        return error_set(
            err, ERR_MEMORY, ERROR_NO_OFFSET,
            "a memory of %llu pages is beyond the store's limit of %llu bytes",
            (unsigned long long)pages, (unsigned long long)s->limits.memory);
    return true;
}

static bool charge(Store *s, Memory *m, uint64_t bytes)
{
    if (s->memory_used > s->limits.memory
        || bytes > s->limits.memory - s->memory_used)
        return false;
    s->memory_used += bytes;
    m->charged += bytes;
    return true;
}

static Memory *add(Store *s, MemoryData *d, const MemoryType *type)
{
    Memory *m = entity_new(s, ENTITY_MEMORY, sizeof *m);
    if (!m)
        return NULL;
    m->type = *type;
    m->data = d;
    charge(s, m, atomic_load_explicit(&d->size, memory_order_relaxed));
    entity_ref(&m->e);
    return m;
}

static Memory *try_new(Store *s, const MemoryType *type, Error *err)
{
    if (!within_limits(s, type, err))
        return NULL;
    MemoryData *d = new_data(type);
    if (d && !set_up(d, s, type, err)) {
        free_data(d);
        return NULL;
    }
    Memory *m = d ? add(s, d, type) : NULL;
    if (!m)
        error_set(err, ERR_MEMORY, ERROR_NO_OFFSET, "out of memory");
    if (!m && d)
        free_data(d);
    return m;
}

/* What is refused may be held by entities that nobody needs any more. */
Memory *memory_new(Store *s, const MemoryType *type, Error *err)
{
    Error first = {0};
    Memory *m = try_new(s, type, &first);
    if (m || !atomic_load_explicit(&s->dropped, memory_order_relaxed)) {
        if (!m)
            error_set(err, first.code, first.offset, "%s", first.message);
        return m;
    }
    store_collect_entities(s);
    return try_new(s, type, err);
}

Memory *memory_share(Store *s, MemoryData *data, const MemoryType *type)
{
    Memory *m = add(s, data, type);
    if (m)
        atomic_fetch_add_explicit(&data->refs, 1, memory_order_relaxed);
    return m;
}

/* ---- growing */

static bool grow_data(MemoryData *d, uint64_t pages)
{
    uint64_t bytes = pages << d->page_log2;
    if (!make_room(d, bytes) || !commit(d, bytes))
        return false;
    atomic_store_explicit(&d->pages, pages, memory_order_relaxed);
    atomic_store_explicit(&d->size, bytes, memory_order_release);
    return true;
}

static uint64_t grow(Memory *m, uint64_t more)
{
    MemoryData *d = m->data;
    Store *s = m->e.store;
    uint64_t old = atomic_load_explicit(&d->pages, memory_order_relaxed);
    uint64_t bytes = more << d->page_log2;
    if (more == 0)
        return old;
    if (more > d->max_pages - old || !charge(s, m, bytes))
        return UINT64_MAX;
    if (grow_data(d, old + more))
        return old;
    s->memory_used -= bytes;
    m->charged -= bytes;
    return UINT64_MAX;
}

uint64_t memory_grow(Memory *m, uint64_t pages)
{
    MemoryData *d = m->data;
    if (!d->shared)
        return grow(m, pages);
    os_mutex_lock(&d->lock);
    uint64_t old = grow(m, pages);
    os_mutex_unlock(&d->lock);
    return old;
}
