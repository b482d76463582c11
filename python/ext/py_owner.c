/* SPDX-License-Identifier: MIT */
/* Which Held is in whose list.
 *
 * The lists are made when Python's collector first asks, and hold until the
 * guest's references may have become more: py_store_changed.  Nothing here
 * makes objects or, but for py_owner_clear, runs Python code.
 */
#include "py_owner.h"

#include "py_entity.h"

/* ---- lists */

static Owner several; /* of a Held that is known to have no owner */

static void give(Owner *o, StoreObject *s, Held *h)
{
    if (!o->link) {
        o->next = s->owners;
        o->link = &s->owners;
        if (o->next)
            o->next->link = &o->next;
        s->owners = o;
    }
    py_store_unlink(h);
    py_store_link(&o->held, h);
    h->owner = o;
}

static void take_back(Held *h, Owner *owner)
{
    py_store_unlink(h);
    py_store_link(&h->store->held, h);
    h->owner = owner;
}

void py_owner_end(Owner *o)
{
    while (o->held)
        take_back(o->held, NULL);
    if (!o->link)
        return;
    *o->link = o->next;
    if (o->next)
        o->next->link = o->link;
    o->link = NULL;
}

void py_owner_forget_all(StoreObject *s)
{
    py_store_changed(s);
    while (s->owners)
        py_owner_end(s->owners);
    for (Held *h = s->held; h; h = h->next)
        h->owner = NULL;
}

/* ---- finding out */

static Owner *owner_at(StoreObject *s, const void *key)
{
    PyObject *o = key ? py_map_get(&s->wrappers, key) : NULL;
    if (!o)
        return &several;
    if (py_is(s->state, o, TYPE_KEEPER))
        return &((KeeperObject *)o)->owner;
    return &((EntityObject *)o)->owner;
}

/* The chi_owner_fn. */
static void tell(void *env, void *host, const void *key)
{
    StoreObject *s = env;
    Held *h = host;
    Owner *o = owner_at(s, key);
    if (h->owner == o)
        return;
    if (!h->owner && o != &several)
        give(o, s, h);
    else
        take_back(h, &several);
}

/* While the store runs, its stack reaches what nobody knows. */
static StoreObject *update(StoreObject *s, Knows enough)
{
    while (s->target)
        s = s->target;
    bool rests = s->store && !s->detached && !chi_store_is_running(s->store);
    if (rests && s->knows >= enough)
        return s;
    if (rests || s->owners)
        py_owner_forget_all(s);
    if (rests && s->held)
        chi_store_owners(s->store, tell, s);
    s->knows = rests ? KNOWS_ALL : KNOWS_NOTHING;
    return s;
}

int py_owner_traverse(StoreObject *s, Owner *o, visitproc visit, void *arg)
{
    if (!s)
        return 0;
    update(s, KNOWS_ALL);
    for (Held *h = o->held; h; h = h->next)
        Py_VISIT(h->object);
    return 0;
}

Held *py_owner_others(StoreObject *s)
{
    return s->target ? s->held : update(s, KNOWS_ALL)->held;
}

int py_owner_clear(StoreObject *s, Owner *o)
{
    if (s) /* many may be cleared, and each gives something back */
        py_store_clear_list(update(s, KNOWS_SAFELY), &o->held);
    return 0;
}

/* ---- keepers */

static KeeperObject *keeper_of(PyObject *self) { return (KeeperObject *)self; }

static void drop(StoreObject *s, chi_instance *i, unsigned n)
{
    while (n--)
        py_store_drop(s, (Drop){DROP_INSTANCE, {.instance = i}});
}

static PyObject *known_keeper(StoreObject *s, const chi_instance *i)
{
    return Py_XNewRef(py_map_get(&s->wrappers, i));
}

/* Takes n references.  To make the object may run code that makes another. */
static PyObject *new_keeper(StoreObject *s, chi_instance *i, unsigned n)
{
    KeeperObject *k = py_new(s->state, TYPE_KEEPER, 0);
    PyObject *known = known_keeper(s, i);
    if (!k || known) {
        drop(s, i, n);
        Py_XDECREF((PyObject *)k);
        return known;
    }
    k->store = (StoreObject *)Py_NewRef((PyObject *)s);
    k->instance = i;
    k->n_refs = (uint8_t)n;
    if (py_map_set(&s->wrappers, i, (PyObject *)k) < 0)
        Py_CLEAR(k);
    py_store_changed(s);
    return (PyObject *)k;
}

PyObject *py_keeper_of(StoreObject *s, chi_instance *i)
{
    PyObject *known = known_keeper(s, i);
    if (known)
        return known;
    chi_instance_ref(i);
    chi_instance_ref(i);
    return new_keeper(s, i, 2);
}

PyObject *py_keeper_adopt(StoreObject *s, chi_instance *i, PyObject *imports)
{
    PyObject *self = new_keeper(s, i, 1);
    if (!self)
        return NULL;
    KeeperObject *k = keeper_of(self);
    k->imports = Py_XNewRef(imports);
    if (k->n_refs == 2) { /* the start function has shown it to Python */
        k->n_refs = 1;
        drop(s, i, 1);
    }
    return self;
}

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    KeeperObject *k = keeper_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)k->store);
    Py_VISIT(k->imports);
    return py_owner_traverse(k->store, &k->owner, visit, arg);
}

static int clear(PyObject *self)
{
    KeeperObject *k = keeper_of(self);
    return py_owner_clear(k->store, &k->owner);
}

static void dealloc(PyObject *self)
{
    KeeperObject *k = keeper_of(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (k->store) {
        py_map_remove(&py_store_at(&k->store)->wrappers, k->instance, self);
        py_owner_end(&k->owner);
        drop(k->store, k->instance, k->n_refs);
    }
    Py_XDECREF(k->imports);
    Py_XDECREF((PyObject *)k->store);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot slots[] = {{Py_tp_dealloc, PY_SLOT(dealloc)},
                              {Py_tp_traverse, PY_SLOT(traverse)},
                              {Py_tp_clear, PY_SLOT(clear)},
                              {0, NULL}};

PyType_Spec py_keeper_spec = {
    .name = "chiasm._Keeper",
    .basicsize = sizeof(KeeperObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
