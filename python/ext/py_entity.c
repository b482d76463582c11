/* SPDX-License-Identifier: MIT */
#include "py_entity.h"

#include "py_owner.h"

static TypeTag type_of(chi_kind kind)
{
    switch (kind) {
    case CHI_FUNC: return TYPE_FUNC;
    case CHI_TABLE: return TYPE_TABLE;
    case CHI_MEM: return TYPE_MEMORY;
    case CHI_GLOBAL: return TYPE_GLOBAL;
    default: return TYPE_TAG;
    }
}

static bool is_shared(chi_extern x)
{
    chi_externtype type;
    chi_extern_type(x, &type);
    return type.shared;
}

/* ---- the object of an entity */

/* Where it is found: a tag is the same in all stores. */
static PointerMap *map_of(StoreObject *s, chi_extern x, const void **key)
{
    bool is_tag = x.kind == CHI_TAG;
    *key = is_tag ? chi_tag_identity(x.tag) : x.any;
    return is_tag ? &s->state->tags : &s->wrappers;
}

/* Borrowed, or NULL. */
static PyObject *known(StoreObject *s, chi_extern x)
{
    const void *key;
    const PointerMap *map = map_of(s, x, &key);
    return py_map_get(map, key);
}

static int make_known(StoreObject *s, EntityObject *e)
{
    const void *key;
    PointerMap *map = map_of(s, e->x, &key);
    return py_map_set(map, key, (PyObject *)e);
}

static void forget(StoreObject *s, EntityObject *e)
{
    const void *key;
    PointerMap *map = map_of(s, e->x, &key);
    py_map_remove(map, key, (PyObject *)e);
}

static int set_up(EntityObject *e, const Origin *o)
{
    if (e->x.kind == CHI_MEM)
        ((MemoryObject *)e)->shared = is_shared(e->x);
    if (e->x.kind == CHI_FUNC)
        return py_func_set_up((FuncObject *)e, o);
    return 0;
}

/* How many references it takes.  With one, it is what owns all that only the
 * entity reaches: so whoever imports the entity must have the object, as it
 * has what is given to it; or the instance that defines it must be had. */
static unsigned references(chi_extern x, const Origin *o)
{
    if (x.kind == CHI_FUNC)
        return chi_func_instance(x.func) ? 0 : py_host_is_func(x.func) ? 1 : 2;
    return o->is_import ? 2 : 1;
}

/* Memories and tags reach nothing, so they keep nothing. */
static PyObject *keeper_of(StoreObject *s, chi_extern x, const Origin *o)
{
    bool reaches = x.kind == CHI_TABLE || x.kind == CHI_GLOBAL;
    if (x.kind == CHI_FUNC)
        return py_keeper_of(s, chi_func_instance(x.func));
    return Py_XNewRef(reaches && !o->is_import ? o->keeper : NULL);
}

static void drop(StoreObject *s, chi_extern x, unsigned n)
{
    while (n--)
        py_store_drop(s, (Drop){DROP_EXTERN, {.x = x}});
}

/* Takes the references, and one on the keeper. */
static PyObject *new_object(StoreObject *s, chi_extern x, const Origin *o,
                            unsigned n, PyObject *keeper)
{
    EntityObject *e = py_new(s->state, type_of(x.kind), 0);
    PyObject *other = Py_XNewRef(known(s, x));
    if (!e || other) {
        drop(s, x, n);
        Py_XDECREF(keeper);
        Py_XDECREF((PyObject *)e);
        return other;
    }
    e->store = (StoreObject *)Py_NewRef((PyObject *)s);
    e->x = x;
    e->n_refs = (uint8_t)n;
    e->keeper = keeper;
    if (make_known(s, e) < 0 || set_up(e, o) < 0)
        Py_CLEAR(e);
    py_store_changed(s);
    return (PyObject *)e;
}

PyObject *py_entity_wrap_from(StoreObject *s, chi_extern x, const Origin *o)
{
    PyObject *object = known(s, x), *keeper = NULL;
    if (object)
        return Py_NewRef(object);
    /* To make an object may run code that lets go of the entity. */
    unsigned n = references(x, o);
    for (unsigned i = 0; i < n; i++)
        chi_extern_ref(x);
    if (n == 0 || x.kind != CHI_FUNC)
        keeper = keeper_of(s, x, o);
    if (n == 0 && !keeper)
        return NULL;
    return new_object(s, x, o, n, keeper);
}

PyObject *py_entity_wrap(StoreObject *s, chi_extern x)
{
    static const Origin nowhere;
    return py_entity_wrap_from(s, x, &nowhere);
}

PyObject *py_entity_adopt(State *st, TypeTag tag, StoreObject *s, chi_extern x)
{
    static const Origin nowhere;
    EntityObject *e = py_new(st, tag, 0);
    if (!e) {
        chi_extern_free(x);
        return NULL;
    }
    e->store = (StoreObject *)Py_NewRef((PyObject *)s);
    e->x = x;
    e->n_refs = 1;
    if (make_known(s, e) < 0 || set_up(e, &nowhere) < 0)
        Py_CLEAR(e);
    py_store_changed(s);
    return (PyObject *)e;
}

int py_entity_traverse(PyObject *self, visitproc visit, void *arg)
{
    EntityObject *e = (EntityObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)e->store);
    Py_VISIT(e->keeper);
    return py_owner_traverse(e->store, &e->owner, visit, arg);
}

int py_entity_clear(PyObject *self)
{
    EntityObject *e = (EntityObject *)self;
    return py_owner_clear(e->store, &e->owner);
}

void py_entity_dealloc(PyObject *self)
{
    EntityObject *e = (EntityObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    /* Nobody may find it from here on, weak references' callbacks least. */
    if (e->x.any)
        forget(py_store_at(&e->store), e);
    py_owner_end(&e->owner);
    if (e->weakrefs)
        PyObject_ClearWeakRefs(self);
    drop(e->store, e->x, e->n_refs);
    Py_XDECREF(e->keeper);
    Py_XDECREF((PyObject *)e->store);
    type->tp_free(self);
    Py_DECREF(type);
}

StoreObject *py_entity_private_store(State *st)
{
    return py_store_new(st, NULL, NULL);
}
