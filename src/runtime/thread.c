#include "runtime/thread.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"
#include "runtime/store.h"

#define COLD __attribute__((noinline, cold))

OS_THREAD_LOCAL Thread *thread_self;
static Thread *threads;    /* under the global lock */
static uint64_t n_threads; /* there have been; under it, too */
enum { FIRST_SERIAL = 1 };
static _Atomic uint32_t generation; /* of processes: how often it was forked */
/* Those that were elsewhere when the process forked, with `outside`. */
static Thread *lost;
static Thread first_outside, *outside = &first_outside; /* seizes stores */

/* ---- threads */

static bool reserve_stack(Thread *t)
{
    size_t page = os_page_size();
    for (size_t size = STACK_BYTES; size >= STACK_BYTES / 32; size /= 2) {
        void *p = os_pages_reserve(size + page);
        if (!p)
            continue;
        if (os_pages_commit(p, size)) {
            t->stack = p;
            t->stack_end = t->stack + size / sizeof *t->stack;
            t->stack_limit = (uintptr_t)t->stack_end - STACK_RESERVE;
            t->reserved = size + page;
            return true;
        }
        os_pages_release(p, size + page);
    }
    return false;
}

/* The margin is a quarter of a small stack; musl's have 128 KiB in all. */
static void find_native_stack(Thread *t)
{
    enum { MARGIN = 128 << 10 };
    t->native_low = os_stack_low();
    uintptr_t quarter =
        ((uintptr_t)__builtin_frame_address(0) - t->native_low) / 4;
    t->native_margin = quarter < MARGIN ? quarter : MARGIN;
}

static void thread_end(void *value)
{
    Thread *t = value;
    thread_self = NULL;
    os_mutex_lock(os_global_lock());
    Thread **link = &threads;
    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
    os_mutex_unlock(os_global_lock());
    os_pages_release(t->stack, t->reserved);
    free(t);
}

static void before_fork(void)
{
    tick_stop();
    os_mutex_lock(os_global_lock());
}
static void after_fork_in_parent(void)
{
    os_mutex_unlock(os_global_lock());
    tick_resume();
}
static void lose(Thread *t)
{
    t->next = lost;
    lost = t;
}

/* The other threads are gone.  Their records stay: a store that such a thread
 * was in must never seem to belong to a new one. */
static void after_fork_in_child(void)
{
    for (Thread *t = threads, *next; t; t = next) {
        next = t->next;
        if (t == thread_self)
            continue;
        os_pages_release(t->stack, t->reserved);
        lose(t);
    }
    threads = thread_self;
    if (thread_self)
        thread_self->next = NULL;
    Thread *fresh = calloc(1, sizeof *fresh);
    if (fresh) {
        lose(outside);
        outside = fresh;
    }
    memory_wait_reset();
    generation++;
    os_mutex_unlock(os_global_lock());
    tick_resume();
}

static void set_up_process(void)
{
    static bool done;
    if (!done) {
        os_thread_on_exit(thread_end);
        os_on_fork(OS_FORK_GLOBAL, before_fork, after_fork_in_parent,
                   after_fork_in_child);
        done = true;
    }
}

static void prepare_first(Thread *t)
{
    *(Entry *)t->stack = (Entry){NULL, &t->first, FIRST_SERIAL};
    t->native_base = 0;
}

static Thread *thread_new(void)
{
    Thread *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    if (!reserve_stack(t)) {
        free(t);
        return NULL;
    }
    find_native_stack(t);
    t->first = (Activation){
        .thread = t,
        .base = t->stack + ENTRY_SLOTS,
        .sp = t->stack + ENTRY_SLOTS,
        .serial = FIRST_SERIAL,
    };
    prepare_first(t);
    os_mutex_lock(os_global_lock());
    set_up_process();
    t->id = ++n_threads;
    t->next = threads;
    threads = t;
    os_mutex_unlock(os_global_lock());
    os_thread_set(t);
    return t;
}

Thread *thread_current(void)
{
    if (unlikely(!thread_self))
        thread_self = thread_new();
    return thread_self;
}

Thread *thread_list(void) { return threads; }

Thread *thread_inside(Store *s)
{
    Thread *t = atomic_load_explicit(&s->owner, memory_order_relaxed);
    return t == outside ? NULL : t;
}

/* ---- entering and leaving */

bool activation_own_slow(Store *s, Thread *t)
{
    Thread *none = NULL;
    return atomic_compare_exchange_strong_explicit(
        &s->owner, &none, t, memory_order_acquire, memory_order_relaxed);
}

/* Who waited when the process forked does so no longer, and may have been
 * inside of the lock. */
static void renew_waiting(Store *s)
{
    if (likely(atomic_load(&s->wait_generation) == atomic_load(&generation)))
        return;
    os_mutex_lock(os_global_lock());
    if (atomic_load(&s->wait_generation) != atomic_load(&generation)) {
        os_mutex_init(&s->wait_lock);
        os_cond_init(&s->idle);
        atomic_store(&s->waiting, 0);
        atomic_store(&s->wait_generation, atomic_load(&generation));
    }
    os_mutex_unlock(os_global_lock());
}

COLD void store_wake_waiting(Store *s)
{
    renew_waiting(s);
    os_mutex_lock(&s->wait_lock);
    os_cond_broadcast(&s->idle);
    os_mutex_unlock(&s->wait_lock);
}

static inline void disown(Store *s)
{
    atomic_store_explicit(&s->owner, NULL, memory_order_release);
    if (unlikely(atomic_load_explicit(&s->waiting, memory_order_relaxed)))
        store_wake_waiting(s);
}

/* An interrupt that waits is not lost by setting a limit. */
static void set_limit(_Atomic uintptr_t *limit, uintptr_t to,
                      uintptr_t interrupted)
{
    uintptr_t old = atomic_load_explicit(limit, memory_order_relaxed);
    while (old != to && old != interrupted
           && !atomic_compare_exchange_weak(limit, &old, to)) {}
}

/* The stack limit counts from where the outermost entry begins. */
static void limit_stack(Store *s, const Thread *t, const uint64_t *base)
{
    uintptr_t room = t->stack_limit - (uintptr_t)base;
    if (s->limits.stack < room)
        room = (uintptr_t)s->limits.stack;
    s->stack_limit = (uintptr_t)base + room;
    set_limit(&s->limit, s->stack_limit, 0);
}

/* So does that of the native stack, a little more or less, and it is never in
 * the margin that is left to C.  The address may be of a stack of someone
 * else's making. */
static void limit_native_stack(Store *s, const Thread *t, uintptr_t here)
{
    uint64_t stack = s->limits.stack;
    uintptr_t slack = stack / 16 < 16 << 10 ? (uintptr_t)stack / 16 : 16 << 10;
    uintptr_t low = t->native_low + t->native_margin;
    if (low > here)
        low = 0;
    s->native_stack_limit = here - low > stack ? here - (uintptr_t)stack : low;
    set_limit(&s->native_limit, s->native_stack_limit, UINTPTR_MAX);
    s->limits_from = here - low > slack ? here - slack : low;
    s->limits_room = here + slack - s->limits_from;
    s->limits_thread = t->entry ? 0 : t->id;
}

static inline bool native_stack_is_low(const Thread *t, uintptr_t here)
{
    /* On a stack of someone else's making the address is elsewhere. */
    return here - t->native_low < t->native_margin;
}

COLD bool activation_set_limits(Store *s, const Thread *t)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (native_stack_is_low(t, here)) {
        disown(s);
        return false;
    }
    limit_stack(s, t, t->first.base);
    limit_native_stack(s, t, here);
    return true;
}

static __attribute__((noinline)) void begin_ticks(Activation *a, Store *s,
                                                  Thread *t)
{
    Store *outer = atomic_load_explicit(&t->ticking, memory_order_relaxed);
    if (!s->interrupt || outer == s)
        return;
    a->ticks = true;
    a->outer_ticking = outer;
    atomic_store_explicit(&t->tick_ns, s->tick_ns, memory_order_relaxed);
    atomic_store_explicit(&t->ticking, s, memory_order_release);
    if (unlikely(!atomic_load_explicit(&tick_running, memory_order_relaxed)))
        tick_start();
}

static __attribute__((noinline)) void end_ticks(Activation *a, Thread *t)
{
    Store *outer = a->outer_ticking;
    a->ticks = false;
    if (outer)
        atomic_store_explicit(&t->tick_ns, outer->tick_ns,
                              memory_order_relaxed);
    atomic_store_explicit(&t->ticking, outer, memory_order_release);
}

void activation_tick(Activation *a)
{
    if (a->store->tick_ns)
        begin_ticks(a, a->store, a->thread);
}

ErrorCode activation_enter(Activation *a, Store *s, bool may_run_long)
{
    Thread *t = thread_self;
    if (unlikely(!t) && !(t = thread_current()))
        return ERR_MEMORY;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (unlikely(native_stack_is_low(t, here)))
        return ERR_STACK;
    uint64_t *at = t->stack;
    if (t->entry) {
        if (unlikely(t->top->serial != t->entry->serial))
            return ERR_BUSY;
        at = t->top->sp + 1;
        if (unlikely((uintptr_t)(at + ENTRY_SLOTS) >= t->stack_limit))
            return ERR_STACK;
    }
    Entry *e = (Entry *)at;
    a->base = a->sp = (uint64_t *)(e + 1);
    *a->base = 0; /* up to sp the collector looks */
    if (atomic_load_explicit(&s->owner, memory_order_relaxed) != t) {
        if (unlikely(!activation_own(s, t, false)))
            return ERR_BUSY;
        limit_stack(s, t, a->base);
        limit_native_stack(s, t, here);
    } else {
        s->nested++;
    }
    a->previous = t->top;
    a->store = s;
    a->thread = t;
    a->fp = NULL;
    a->pc = NULL;
    a->native_exit = 0;
    a->ticks = false;
    a->exit_mark = NULL;
    a->serial = thread_serial(t);
    e->previous = t->entry;
    e->activation = a;
    e->serial = a->serial;
    t->top = a;
    t->entry = e;
    if (may_run_long && s->tick_ns)
        begin_ticks(a, s, t);
    return ERR_OK;
}

void activation_leave(Activation *a)
{
    Store *s = a->store;
    Thread *t = a->thread;
    if (unlikely(s->n_releases) && s->nested == 0)
        store_release_hosts(s);
    if (a->ticks)
        end_ticks(a, t);
    Entry *e = (Entry *)a->base - 1;
    if (unlikely(t->entry != e)) {
        e->activation = NULL;
    } else {
        do
            e = e->previous;
        while (e && unlikely(!e->activation));
        t->entry = e;
        t->top = e ? e->activation : NULL;
        if (!e)
            prepare_first(t);
    }
    if (s->nested) {
        s->nested--;
    } else {
        s->n_recent = 0;
        disown(s);
    }
}

Activation *activation_stay(Store *s, uint32_t n, uint64_t **slots,
                            ErrorCode *code)
{
    enum { RECORD = sizeof(Activation) / sizeof(uint64_t) };
    Activation entered;
    *code = activation_enter(&entered, s, false);
    if (*code != ERR_OK)
        return NULL;
    uint64_t *first = entered.base + RECORD;
    if ((uintptr_t)(first + n) >= entered.thread->stack_limit) {
        activation_leave(&entered);
        *code = ERR_STACK;
        return NULL;
    }
    memset(first, 0, (n + (size_t)1) * sizeof *first);
    Activation *a = (Activation *)entered.base;
    *a = entered;
    a->sp = first + n;
    a->thread->top = a;
    a->thread->entry->activation = a;
    *slots = first;
    return a;
}

ErrorCode activation_check(Activation *a, const uint64_t *sp)
{
    Store *s = a->store;
    if (atomic_exchange(&s->limit, s->stack_limit) == 0) {
        Outside out;
        activation_out(&out, a);
        ErrorCode code = s->interrupt ? (ErrorCode)s->interrupt(s->host_env, s)
                                      : ERR_INTERRUPTED;
        code = activation_back(&out, code);
        if (code != ERR_OK)
            return code;
    }
    return (uintptr_t)sp >= s->stack_limit ? ERR_STACK : ERR_OK;
}

/* ---- from elsewhere */

void store_interrupt(Store *s)
{
    s = store_target(s);
    atomic_store_explicit(&s->limit, 0, memory_order_relaxed);
    atomic_store_explicit(&s->native_limit, UINTPTR_MAX, memory_order_relaxed);
}

ErrorCode store_poll(Store *s)
{
    if (likely(!store_interrupted(s)) || !store_is_mine(s))
        return ERR_OK;
    Activation *a = thread_top(thread_self);
    return a && a->store == s ? activation_check(a, a->base) : ERR_OK;
}

bool store_is_mine(const Store *s)
{
    return thread_self
           && atomic_load_explicit(&s->owner, memory_order_relaxed)
                  == thread_self;
}
bool store_seize(Store *s) { return activation_own(s, outside, false); }
void store_yield(Store *s) { disown(s); }

static bool is_free(Store *s)
{
    Thread *owner = atomic_load_explicit(&s->owner, memory_order_acquire);
    return !owner || owner == thread_self;
}

/* Only a child of fork has lost any, and adds none while it has threads. */
bool store_is_lost(const Store *s)
{
    Thread *owner = atomic_load_explicit(&s->owner, memory_order_relaxed);
    Thread *t = owner ? lost : NULL;
    while (t && t != owner)
        t = t->next;
    return t;
}

/* The leaving thread looks at `waiting` without a fence, so a wait is sliced:
 * a signal that was missed costs one slice. */
bool store_wait(Store *s, uint64_t ns)
{
    enum { SLICE_NS = 1000000 };
    uint64_t start = os_time_ns(), gone = 0;
    s = store_target(s);
    if (is_free(s))
        return true;
    if (store_is_lost(s))
        return false;
    renew_waiting(s);
    atomic_fetch_add(&s->waiting, 1);
    os_mutex_lock(&s->wait_lock);
    bool free_now = is_free(s);
    while (!free_now && gone < ns) {
        os_cond_wait(&s->idle, &s->wait_lock,
                     ns - gone < SLICE_NS ? ns - gone : SLICE_NS);
        free_now = is_free(s);
        gone = os_time_ns() - start;
    }
    os_mutex_unlock(&s->wait_lock);
    atomic_fetch_sub(&s->waiting, 1);
    return free_now;
}
