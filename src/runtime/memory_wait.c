/* memory.atomic.wait and notify: see the threads proposal.
 *
 * Threads that wait are parked in buckets, by the address they wait at.  The
 * value is compared under the bucket's lock, which notify takes as well, so
 * no wake-up is lost.  A wait is sliced: interrupts may come from a signal
 * handler, which can only store a word.
 */
#include <string.h>

#include "runtime/memory.h"
#include "runtime/thread.h"

typedef struct Waiter {
    struct Waiter *next, **link; /* link NULL: woken */
    const uint8_t *address;
    OsCond wake;
} Waiter;

typedef struct {
    OsMutex lock;
    Waiter *first, **end; /* in order of arrival */
} Bucket;

enum { BUCKETS = 64, SLICE_NS = 4000000 };
static Bucket buckets[BUCKETS];
static _Atomic bool ready;

static void set_up(void)
{
    for (Bucket *b = buckets; b < buckets + BUCKETS; b++) {
        os_mutex_init(&b->lock);
        b->first = NULL;
        b->end = &b->first;
    }
}

static Bucket *bucket_of(const uint8_t *address)
{
    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        os_mutex_lock(os_global_lock());
        if (!atomic_load_explicit(&ready, memory_order_relaxed))
            set_up();
        atomic_store_explicit(&ready, true, memory_order_release);
        os_mutex_unlock(os_global_lock());
    }
    uint64_t hash = (uint64_t)(uintptr_t)address * 0x9e3779b97f4a7c15u;
    return &buckets[hash >> 58];
}

void memory_wait_reset(void)
{
    if (atomic_load(&ready))
        set_up();
}

static void park(Bucket *b, Waiter *w, const uint8_t *address)
{
    os_cond_init(&w->wake);
    w->address = address;
    w->next = NULL;
    w->link = b->end;
    *b->end = w;
    b->end = &w->next;
}

static void unpark(Bucket *b, Waiter *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    else
        b->end = w->link;
    w->link = NULL;
}

static bool is_equal(const uint8_t *p, uint64_t expected, bool is64)
{
    if (is64)
        return atomic_load((const _Atomic uint64_t *)p) == expected;
    return atomic_load((const _Atomic uint32_t *)p) == (uint32_t)expected;
}

/* Waits until woken (0), until it is time (2), or for an interrupt. */
static ErrorCode sleep_parked(Store *s, Bucket *b, Waiter *w,
                              int64_t timeout_ns, uint32_t *result)
{
    uint64_t start = os_time_ns(), most = (uint64_t)timeout_ns;
    ErrorCode code = ERR_OK;
    *result = 0;
    while (w->link && code == ERR_OK) {
        uint64_t slice = SLICE_NS, gone = os_time_ns() - start;
        if (timeout_ns >= 0 && gone >= most) {
            *result = 2;
            break;
        }
        if (timeout_ns >= 0 && most - gone < slice)
            slice = most - gone;
        os_cond_wait(&w->wake, &b->lock, slice);
        if (w->link && store_interrupted(s)) {
            os_mutex_unlock(&b->lock);
            code = store_poll(s);
            os_mutex_lock(&b->lock);
        }
    }
    return code;
}

ErrorCode memory_wait(Store *s, MemoryData *d, uint64_t address,
                      uint64_t expected, bool is64, int64_t timeout_ns,
                      uint32_t *result)
{
    if (!d->shared)
        return ERR_EXPECTED_SHARED;
    const uint8_t *p = d->base + address;
    Bucket *b = bucket_of(p);
    ErrorCode code = ERR_OK;
    os_mutex_lock(&b->lock);
    if (is_equal(p, expected, is64)) {
        Waiter w;
        park(b, &w, p);
        code = sleep_parked(s, b, &w, timeout_ns, result);
        if (w.link)
            unpark(b, &w);
        os_cond_destroy(&w.wake);
    } else {
        *result = 1;
    }
    os_mutex_unlock(&b->lock);
    return code;
}

uint32_t memory_notify(MemoryData *d, uint64_t address, uint32_t count)
{
    if (!d->shared)
        return 0;
    const uint8_t *p = d->base + address;
    Bucket *b = bucket_of(p);
    uint32_t woken = 0;
    os_mutex_lock(&b->lock);
    for (Waiter *w = b->first, *next; w && woken < count; w = next) {
        next = w->next;
        if (w->address != p)
            continue;
        unpark(b, w);
        os_cond_signal(&w->wake);
        woken++;
    }
    os_mutex_unlock(&b->lock);
    return woken;
}
