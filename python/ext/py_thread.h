/* py_thread.h - what the extension knows of the thread it runs on, and the
 * ways between running with and without the GIL.
 */
#ifndef CHI_PY_THREAD_H
#define CHI_PY_THREAD_H

#include "py_store.h"

typedef struct TimeoutObject TimeoutObject;

typedef struct {
    PyThreadState *released; /* set while a guest runs here without the GIL */
    uint32_t depth;          /* Python code that guests here wait for */
    const void *waited_for;  /* the last store that it has waited for */
    TimeoutObject *timeouts; /* entered on this thread, innermost first */
    uint64_t deadline_ns;    /* the nearest of theirs, or UINT64_MAX */
    int64_t process;         /* the one that `gets_signals` was found in */
    bool gets_signals;       /* may run Python's signal handlers */
    uint64_t next_look_ns;   /* when the GIL is worth asking for signals */
    uint64_t next_offer_ns;  /* when the GIL is offered again */
    uintptr_t stack_limit;   /* no calls into Python below it; 0: unknown */
} ThreadRecord;

ThreadRecord *py_thread(void);
uint64_t py_thread_now_ns(void);

/* From without the GIL to Python code and back; no-ops when it is held.  What
 * attach gives is what detach takes. */
static inline PyThreadState *py_thread_attach(ThreadRecord *t, StoreObject *s)
{
    PyThreadState *state = t->released;
    if (state) {
        PyEval_RestoreThread(state);
        t->released = NULL;
        s->detached = NULL;
    }
    return state;
}
static inline void py_thread_detach(ThreadRecord *t, StoreObject *s,
                                    PyThreadState *state)
{
    if (state) {
        s->detached = t;
        t->released = PyEval_SaveThread();
    }
}

/* May it enter now?  If others wait, only for some time after it has waited. */
bool py_store_is_our_turn(StoreObject *s, ThreadRecord *t);

/* Is enough of the C stack left for Python code? */
bool py_thread_find_stack(ThreadRecord *t);
static inline bool py_thread_has_stack(ThreadRecord *t)
{
    char here;
    uintptr_t at = (uintptr_t)&here;
    return t->stack_limit ? at > t->stack_limit : py_thread_find_stack(t);
}

/* Raises TimeoutError if a `with timeout` of this thread is over. */
int py_thread_check_deadline(State *st, ThreadRecord *t);
/* Is the exception the TimeoutError of a chiasm.timeout? */
bool py_thread_is_timeout(State *st, PyObject *exception);

/* The chi_interrupt_fn of all stores. */
chi_code py_interrupt(void *env, chi_store *store);

/* Raises Cancelled out of the guest code that runs in the store, if any. */
void py_store_cancel(StoreObject *s);

/* How often guests look for signals, deadlines and threads that wait. */
enum { PY_TICK_NS = 2500000 };

#endif
