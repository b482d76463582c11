/* py_store.h - the Python side of a store.
 *
 * A StoreObject owns one chi_store, and all that the core refers to in Python:
 * each such reference is a Held, whose address the core knows.  All wrappers
 * hold their StoreObject, and the collector sees what is held through it.
 *
 * Threads.  A guest may run without the GIL; its store is `detached` then, and
 * other threads, which have the GIL, may not touch it:  py_store_claim waits
 * for it, and what a destructor gives back waits in a list.  `detached` is
 * written under the GIL only.
 */
#ifndef CHI_PY_STORE_H
#define CHI_PY_STORE_H

#include "py_ext.h"

typedef struct Signature Signature;

typedef struct Owner Owner;

typedef struct Held {
    struct Held *next, **link; /* in the list of the store, or of an owner */
    struct Held *next_dead;
    StoreObject *store;
    Owner *owner;     /* py_owner.h; NULL: none */
    PyObject *object; /* NULL: the collector has broken a cycle here */
    bool is_object;   /* this is all there is of it */
    /* Of a host function: */
    bool is_func; /* made by Func: whoever imports it has that */
    Signature *signature;
    PyObject *label; /* a str, to name it by in messages */
    chi_host_fn *fn; /* of one in C, see py_wasi.h; else NULL */
} Held;

/* What a wrapper alone keeps. */
struct Owner {
    Held *held;
    Owner *next, **link; /* in the store's list; link NULL: keeps nothing */
};

/* What the lists of owners are worth. */
typedef enum {
    KNOWS_NOTHING, /* an owner may not be the only one any more */
    KNOWS_SAFELY,  /* what has none may have one by now */
    KNOWS_ALL
} Knows;

/* Something to give back to the core when no guest runs. */
typedef struct {
    enum { DROP_EXTERN, DROP_INSTANCE, DROP_ROOT } what;
    union {
        chi_extern x;
        chi_instance *instance;
        chi_root *root;
    };
} Drop;

struct StoreObject {
    PyObject_HEAD State *state;
    chi_store *store;
    StoreObject *target; /* what it has been merged into, or NULL */
    bool tier_is_chosen; /* by who made it, not as is best */
    void *detached;      /* the thread (a ThreadRecord) that runs without GIL */
    uint32_t waiting;    /* threads in py_store_wait */
    const void *turn_of; /* the thread that others let in, */
    uint64_t turn_ends_ns;
    _Atomic(Held *) dead; /* released by the core, from any thread */
    size_t n_drops;
    _Atomic bool cancelled;
    Drop *drops;
    size_t drops_capacity;
    Held *held;    /* those without an owner */
    Owner *owners; /* that keep something */
    Knows knows;
    PyObject *pending; /* the exception behind a CHI_HOST */
    PyObject *thrown;  /* the last ExceptionObject that Python threw in */
    chi_tag *python_tag;
    PointerMap wrappers; /* entity or word -> its object */
    PyObject *names;     /* dict: address of an instance -> str, or NULL */
    PyObject *weakrefs;
};

/* limits NULL: the defaults; config NULL: as the environment has it. */
StoreObject *py_store_new(State *st, const chi_limits *limits,
                          const chi_config *config);

/* The store that *slot has become by merges; updates *slot.  Borrowed. */
StoreObject *py_store_merged(StoreObject **slot);
static inline StoreObject *py_store_at(StoreObject **slot)
{
    return (*slot)->target ? py_store_merged(slot) : *slot;
}

/* Waits, interruptibly, until no other thread is inside.  RuntimeError if
 * this thread is inside some store. */
int py_store_wait(StoreObject *s);
/* -1, with that error. */
int py_store_refuse(void);
/* The same, but only as long as the store is detached. */
int py_store_claim_slow(StoreObject *s);
static inline int py_store_claim(StoreObject **slot)
{
    StoreObject *s = py_store_at(slot);
    return s->detached ? py_store_claim_slow(s) : 0;
}

/* Inside of a store without code that runs: see chi_enter.  Python code that
 * runs meanwhile counts as code that the guest waits for. */
typedef struct {
    chi_entry *entry;
    uint64_t *slots;
} Stay;

/* With n slots.  CHI_OK; CHI_BUSY: another thread is inside; else an exception
 * is set. */
chi_code py_store_enter(StoreObject *s, Stay *stay, uint32_t n);
void py_store_leave(Stay *stay);

/* All of b goes into a; false: one of them runs, or they run by different
 * tiers, as why->message says of b.  The caller has claimed both. */
bool py_store_merge(StoreObject *a, StoreObject *b, chi_error *why);

/* A new Held, of a host function or of an object that the guest gets; NULL with
 * MemoryError.  There may be many of objects, so they are smaller. */
Held *py_store_hold(StoreObject *s, PyObject *callable);
Held *py_store_hold_object(StoreObject *s, PyObject *object);
/* Undoes it when the core has not come to know it. */
void py_store_unhold(Held *h);
/* Into a list, and out of it. */
void py_store_link(Held **list, Held *h);
void py_store_unlink(Held *h);
/* Gives up what is held in the list, which may run anything; the store has it
 * from then on. */
void py_store_clear_list(StoreObject *s, Held **list);
/* The guest, or we outside, may reach more than before. */
static inline void py_store_changed(StoreObject *s)
{
    s->knows = KNOWS_NOTHING;
}

/* Gives back now, or when the guest that runs detached is done. */
void py_store_drop(StoreObject *s, Drop drop);
/* The same, but not before the store next settles. */
void py_store_drop_later(StoreObject *s, Drop drop);

/* After a call: lets go of what the core has released, gives back what waits,
 * forgets a cancel() that came too late.  Runs destructors. */
void py_store_settle_slow(StoreObject *s);
static inline void py_store_settle(StoreObject *s)
{
    if (atomic_load_explicit(&s->dead, memory_order_relaxed) || s->n_drops
        || atomic_load_explicit(&s->cancelled, memory_order_relaxed))
        py_store_settle_slow(s);
}

/* The name that an instance was given: borrowed, or NULL.  name NULL: none,
 * whatever an earlier one at the same address had. */
int py_store_name_instance(StoreObject *s, const chi_instance *i,
                           PyObject *name);
PyObject *py_store_instance_name(StoreObject *s, const chi_instance *i);

/* The tag of Python's exceptions, as this store knows it; NULL with an
 * exception. */
chi_tag *py_store_python_tag(StoreObject *s);

#endif
