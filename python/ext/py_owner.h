/* py_owner.h - what one object alone keeps alive in a store.
 *
 * Python's collector sees a store's references into Python through the store:
 * what is held lives as long as that.  But an instance may go earlier, and
 * what only it reaches in the guest (the callables that it imports, objects in
 * its tables) may hold it in turn.  So while nothing runs, each Held is in the
 * list of the one object that reaches it, if there is one, and that object
 * visits it; all others stay in the store's list.  doc/rationale.md says why
 * this is sound.
 *
 * An object that is an owner has one reference on its entity.  One that others
 * might reach on ways that nobody knows has two: then it owns nothing.
 */
#ifndef CHI_PY_OWNER_H
#define CHI_PY_OWNER_H

#include "py_store.h"

/* The keeper of an instance has the reference on it; the instance's Exports
 * and functions have the keeper.  So has it what the instance was given. */
typedef struct {
    PyObject_HEAD StoreObject *store;
    Owner owner;
    chi_instance *instance;
    PyObject *imports; /* a tuple, or NULL: none, or not known */
    uint8_t n_refs;    /* 2: they are not known */
} KeeperObject;

/* For an instance that was just made; takes the reference on it, also on
 * failure.  `imports`: a tuple, or NULL for none. */
PyObject *py_keeper_adopt(StoreObject *s, chi_instance *i, PyObject *imports);
/* The keeper of any instance: a new reference. */
PyObject *py_keeper_of(StoreObject *s, chi_instance *i);

/* For tp_traverse and tp_clear. */
int py_owner_traverse(StoreObject *s, Owner *o, visitproc visit, void *arg);
int py_owner_clear(StoreObject *s, Owner *o);
/* The store's own list, once it is up to date. */
Held *py_owner_others(StoreObject *s);
/* For tp_dealloc: the store has what is left. */
void py_owner_end(Owner *o);
/* The store has all. */
void py_owner_forget_all(StoreObject *s);

#endif
