/* thread.h - the guest stack of a thread, entries into guest code, ticks.
 *
 * Each thread that runs guest code has one guest stack, reserved at its first
 * entry and freed when the thread ends.  Entries nest: guest code calls the
 * host, the host calls guest code, of the same store or of another; each
 * entry is an Activation, on the C stack, or the first one in the Thread.
 */
#ifndef CHI_RUNTIME_THREAD_H
#define CHI_RUNTIME_THREAD_H

#include "runtime/runtime.h"

/* One entry from C.  The fields from `sp` on are what the engine last said of
 * the guest frames, before it called out: for the collector and tracebacks. */
typedef struct Activation {
    struct Activation *previous; /* of this thread, any store */
    Store *store;
    Thread *thread;
    uint64_t *base; /* first slot of this entry's part of the stack */
    uint64_t *sp;   /* slots from base up to sp (inclusive) are in use */
    uint64_t *fp;   /* innermost frame, or NULL */
    const uint8_t *pc;
    uint64_t serial;       /* equal to that of its entry record */
    uintptr_t native_sp;   /* where compiled code leaves to, */
    uintptr_t native_fp;   /* with this frame pointer */
    uintptr_t native_exit; /* frame of the stub by which it called the host */
    /* While compiled code waits for the host: where on the C stack, below all
     * its frames, exit_serial stands. */
    const volatile uint64_t *exit_mark;
    uint64_t exit_serial;
    Store *outer_ticking; /* put back at exit if `ticks` */
    bool ticks;
} Activation;

/* What stands in the guest stack right below an activation's base.  A library
 * that switches C stacks by copying them (greenlet) may overwrite the C stack
 * where an Activation lies; the guest stack it does not touch. */
typedef struct Entry {
    struct Entry *previous;
    Activation *activation; /* NULL: it has left before those above it */
    uint64_t serial;
} Entry;

struct Thread {
    Thread *next; /* of all threads that have run guest code */
    uint64_t *stack, *stack_end;
    uintptr_t stack_limit;   /* below stack_end by STACK_RESERVE */
    size_t reserved;         /* bytes at stack, its guard included */
    uintptr_t native_low;    /* end of the C stack, */
    uintptr_t native_margin; /* and what is left to the host there */
    Activation *top;
    const Activation *out_of_order; /* being left, though not innermost */
    /* Of activation_first; its record is at the bottom of the guest stack.
     * Both are ready for use whenever no entry is: who changes a field puts it
     * back. */
    Activation first;
    uint64_t id;           /* that no other thread has had */
    uintptr_t native_base; /* compiled code is on the native stack below it;
                              0: none is */
    Entry *entry;          /* innermost */
    uint64_t serial;
    _Atomic(Store *) ticking; /* store of a call that may run long, or NULL */
    _Atomic uint64_t tick_ns; /* of that store */
    uint64_t tick_due;        /* the ticker's */
};
enum {
    ENTRY_SLOTS = sizeof(Entry) / sizeof(uint64_t),
    STACK_BYTES = 8 << 20,   /* wanted of the system; less if it refuses */
    STACK_RESERVE = 64 << 10 /* for arguments written before they are checked */
};

/* This thread's record, made at the first use; NULL: no memory. */
Thread *thread_current(void);
extern OS_THREAD_LOCAL Thread *thread_self; /* NULL: not made yet */

/* Enters: owns the store, sets up the activation and store->limit.
 * may_run_long: the tick runs meanwhile.  ERR_BUSY: another thread is in the
 * store, or the C stack was switched.  ERR_STACK: the guest stack, or the C
 * stack, is nearly used up. */
ErrorCode activation_enter(Activation *a, Store *s, bool may_run_long);
/* The outermost one runs the releases that are due, then gives up the store. */
void activation_leave(Activation *a);
void store_wake_waiting(Store *s);
/* Enters with no code to run, for an embedder that stays inside around calls.
 * The record is on the guest stack, which no switch of C stacks touches; behind
 * it are n slots, zero at first, that the collector scans.  NULL: *code. */
Activation *activation_stay(Store *s, uint32_t n, uint64_t **slots,
                            ErrorCode *code);

/* The usual way in: for a thread that is in no store, by the activation
 * t->first.  NULL: it cannot be, and nothing has happened; activation_enter may
 * tell why.
 *   here   the caller's frame: where the native stack of the guest begins
 *   alone  somebody sees to it that no other thread tries to enter meanwhile,
 *          so that it takes no atomic exchange */
bool activation_own_slow(Store *s, Thread *t);
bool activation_set_limits(Store *s, const Thread *t);
static inline bool activation_own(Store *s, Thread *t, bool alone)
{
    if (!alone)
        return activation_own_slow(s, t);
    if (atomic_load_explicit(&s->owner, memory_order_acquire))
        return false;
    atomic_store_explicit(&s->owner, t, memory_order_relaxed);
    return true;
}
static inline Thread *activation_first(Store *s, uintptr_t here, bool alone)
{
    Thread *t = thread_self;
    if (unlikely(!t) || unlikely(t->entry)
        || unlikely(!activation_own(s, t, alone)))
        return NULL;
    if (unlikely(s->limits_thread != t->id)
        || unlikely(here - s->limits_from >= s->limits_room))
        if (!activation_set_limits(s, t))
            return NULL;
    s->n_frames = s->frame_depth = 0;
    t->first.store = s;
    t->top = &t->first;
    t->entry = (Entry *)t->stack;
    return t;
}
void activation_tick(Activation *a); /* from now on, where it is wanted */
/* The way out of t->first; its fields are what they were. */
static inline void activation_last(Thread *t, Store *s)
{
    if (unlikely(s->n_releases | s->n_recent)
        || unlikely((uint64_t *)t->entry != t->stack)) {
        activation_leave(&t->first);
        return;
    }
    t->native_base = 0;
    t->top = NULL;
    t->entry = NULL;
    atomic_store_explicit(&s->owner, NULL, memory_order_release);
    if (unlikely(atomic_load_explicit(&s->waiting, memory_order_relaxed)))
        store_wake_waiting(s);
}

/* To be asked after each call of a host function.  false: the C stack was
 * switched while guest code was on it, and entries made elsewhere stand above
 * this one; to run on would overwrite them.  Leave with ERR_BUSY. */
static inline bool activation_is_innermost(const Activation *a)
{
    return (const void *)a->base == (const void *)(a->thread->entry + 1);
}
static inline uint64_t thread_serial(Thread *t) /* a new one */
{
    return t->serial += 0x9e3779b97f4a7c15u;
}

/* Around what may run anything of the host's while compiled code waits: a
 * collection, or even another C stack.  Lies below all frames of that code. */
typedef struct {
    volatile uint64_t mark;
    Activation *a;
    const volatile uint64_t *outer_mark;
    uint64_t outer_serial;
} Outside;
static inline void activation_out(Outside *o, Activation *a)
{
    o->a = a;
    o->outer_mark = a->exit_mark;
    o->outer_serial = a->exit_serial;
    a->exit_serial = o->mark = thread_serial(a->thread);
    a->exit_mark = &o->mark;
}
/* code; or ERR_BUSY: the activation is not the innermost any more. */
static inline ErrorCode activation_back(const Outside *o, ErrorCode code)
{
    Activation *a = o->a;
    a->exit_mark = o->outer_mark;
    a->exit_serial = o->outer_serial;
    if (likely(activation_is_innermost(a)))
        return code;
    a->thread->out_of_order = a;
    return ERR_BUSY;
}
/* The innermost one, of this thread that is inside. */
static inline Activation *activation_of(Store *s)
{
    return atomic_load_explicit(&s->owner, memory_order_relaxed)->top;
}

/* Are the frames of compiled code that it left for the host still there, above
 * this one? */
static inline bool activation_is_above(const Activation *a)
{
    return !a->exit_mark
           || ((uintptr_t)__builtin_frame_address(0) < (uintptr_t)a->exit_mark
               && *a->exit_mark == a->exit_serial);
}
/* The innermost activation of this thread, NULL if there is none or its record
 * or its frames are not intact. */
static inline Activation *thread_top(const Thread *t)
{
    Activation *a = t->top;
    return a && a->serial == t->entry->serial && activation_is_above(a) ? a
                                                                        : NULL;
}
/* The slow path of the check at function entries and loop turns, with the
 * activation up to date.  ERR_OK: it was an interrupt, and is dealt with;
 * ERR_STACK: sp (the first slot not available) is really past the limit. */
ErrorCode activation_check(Activation *a, const uint64_t *sp);
/* Is an interrupt waiting?  For loops in C; then call activation_check. */
static inline bool store_interrupted(Store *s)
{
    return atomic_load_explicit(&s->limit, memory_order_relaxed) == 0;
}
/* From any thread, or a signal handler. */
void store_interrupt(Store *s);
/* Blocks until no other thread is inside, at most ns.  false at once: that
 * thread will never leave. */
bool store_wait(Store *s, uint64_t ns);
/* In a child of fork: was another thread inside?  It is not here, and whatever
 * it was doing is half done: the store is ERR_BUSY for ever. */
bool store_is_lost(const Store *s);
/* Honours an interrupt that waits, from C code that works for long: ERR_OK, or
 * what the handler said. */
ErrorCode store_poll(Store *s);
/* Is this thread inside? */
bool store_is_mine(const Store *s);
/* Owns the store without a call, for short.  false: it is in use. */
bool store_seize(Store *s);
void store_yield(Store *s);

/* The thread inside of s; NULL: none, or none that runs guest code. */
Thread *thread_inside(Store *s);
/* All threads that have run guest code; under os_global_lock. */
Thread *thread_list(void);

/* tick.c.  Is the ticker running, as far as is known? */
extern _Atomic bool tick_running;
void tick_start(void);
/* Around fork: stops and joins it; starts it if a call waits for ticks.  At
 * exit it is stopped for good. */
void tick_stop(void);
void tick_resume(void);
/* No tick pokes a store that runs no more, after this; before one is freed. */
void tick_forget(void);

#endif
