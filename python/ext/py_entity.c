/* SPDX-License-Identifier: MIT */
#include "py_entity.h"

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

static int set_up(EntityObject *e, const Origin *o)
{
    if (e->x.kind == CHI_MEM)
        ((MemoryObject *)e)->shared = is_shared(e->x);
    if (e->x.kind == CHI_FUNC)
        return py_func_set_up((FuncObject *)e, o);
    return 0;
}

static EntityObject *new_object(StoreObject *s, chi_extern x, const Origin *o)
{
    chi_extern_ref(x); /* to make an object may run code that lets go of it */
    EntityObject *e = py_new(s->state, type_of(x.kind), 0);
    if (!e) {
        py_store_drop(s, (Drop){DROP_EXTERN, {.x = x}});
        return NULL;
    }
    e->store = (StoreObject *)Py_NewRef((PyObject *)s);
    e->x = x;
    if (py_map_set(&s->wrappers, x.any, (PyObject *)e) < 0
        || set_up(e, o) < 0) {
        Py_DECREF((PyObject *)e);
        return NULL;
    }
    return e;
}

PyObject *py_entity_wrap_from(StoreObject *s, chi_extern x, const Origin *o)
{
    PyObject *known = py_map_get(&s->wrappers, x.any);
    if (known)
        return Py_NewRef(known);
    return (PyObject *)new_object(s, x, o);
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
    if (py_map_set(&s->wrappers, x.any, (PyObject *)e) < 0
        || set_up(e, &nowhere) < 0)
        Py_CLEAR(e);
    return (PyObject *)e;
}

int py_entity_traverse(PyObject *self, visitproc visit, void *arg)
{
    EntityObject *e = (EntityObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)e->store);
    return 0;
}

void py_entity_dealloc(PyObject *self)
{
    EntityObject *e = (EntityObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    /* Nobody may find it from here on, weak references' callbacks least. */
    if (e->x.any)
        py_map_remove(&py_store_at(&e->store)->wrappers, e->x.any, self);
    if (e->weakrefs)
        PyObject_ClearWeakRefs(self);
    if (e->x.any)
        py_store_drop(e->store, (Drop){DROP_EXTERN, {.x = e->x}});
    Py_XDECREF((PyObject *)e->store);
    type->tp_free(self);
    Py_DECREF(type);
}

StoreObject *py_entity_private_store(State *st)
{
    return py_store_new(st, NULL);
}
