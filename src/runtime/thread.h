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
    uint64_t *base; /* first slot of this entry's part of the stack */
    uint64_t *sp;   /* slots from base up to sp (inclusive) are in use */
    uint64_t *fp;   /* innermost frame, or NULL */
    const uint8_t *pc;
    uintptr_t limit; /* store->limit of the enclosing entry, put back at exit */
} Activation;

struct Thread {
    Thread *next; /* of all threads that have run guest code */
    uint64_t *stack, *stack_end; /* STACK_RESERVE bytes, committed as used */
    Activation *top;
    _Atomic(Store *) ticking; /* store of a call that may run long, or NULL */
};

/* This thread's record, made at the first use; NULL: no memory. */
Thread *thread_current(void);

/* Enters: owns the store (ERR_BUSY if another thread is in it), sets up the
 * activation and store->limit.  may_run_long: the tick runs meanwhile. */
ErrorCode activation_enter(Activation *a, Store *s, bool may_run_long);
void activation_leave(Activation *a);

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
/* Blocks until no other thread is inside, at most ns. */
bool store_wait(Store *s, uint64_t ns);

#endif
