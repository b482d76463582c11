/* thread.h - the guest stack of a thread, entries into guest code, ticks.
 *
 * Each thread that runs guest code has one guest stack, reserved at its first
 * entry and freed when the thread ends.  Entries nest: guest code calls the
 * host, the host calls guest code, of the same store or of another; each
 * entry is an Activation on the C stack.
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
    Store *outer_ticking;  /* put back at exit if `ticks` */
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
    uintptr_t native_base; /* compiled code is on the native stack below it;
                              0: none is */
    Entry *entry;          /* innermost */
    uint64_t serial;
    _Atomic(Store *) ticking; /* store of a call that may run long, or NULL */
    _Atomic uint64_t tick_ns; /* of that store */
    uint64_t tick_due;        /* the ticker's */
};
enum {
    STACK_BYTES = 8 << 20,   /* wanted of the system; less if it refuses */
    STACK_RESERVE = 64 << 10 /* for arguments written before they are checked */
};

/* This thread's record, made at the first use; NULL: no memory. */
Thread *thread_current(void);

/* Enters: owns the store, sets up the activation and store->limit.
 * may_run_long: the tick runs meanwhile.  ERR_BUSY: another thread is in the
 * store, or the C stack was switched.  ERR_STACK: the guest stack, or the C
 * stack, is nearly used up. */
ErrorCode activation_enter(Activation *a, Store *s, bool may_run_long);
/* The outermost one runs the releases that are due, then gives up the store. */
void activation_leave(Activation *a);
/* Enters with no code to run, for an embedder that stays inside around calls.
 * The record is on the guest stack, which no switch of C stacks touches; behind
 * it are n slots, zero at first, that the collector scans.  NULL: *code. */
Activation *activation_stay(Store *s, uint32_t n, uint64_t **slots,
                            ErrorCode *code);

/* To be asked after each call of a host function.  false: the C stack was
 * switched while guest code was on it, and entries made elsewhere stand above
 * this one; to run on would overwrite them.  Leave with ERR_BUSY. */
static inline bool activation_is_innermost(const Activation *a)
{
    return (const void *)a->base == (const void *)(a->thread->entry + 1);
}
/* The innermost activation of this thread, NULL if there is none or its record
 * is not intact. */
static inline Activation *thread_top(const Thread *t)
{
    return t->top && t->top->serial == t->entry->serial ? t->top : NULL;
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
