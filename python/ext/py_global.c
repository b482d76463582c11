/* SPDX-License-Identifier: MIT */
#include "py_entity.h"
#include "py_errors.h"
#include "py_types.h"

static EntityObject *entity(PyObject *self) { return (EntityObject *)self; }

static chi_externtype type_of(PyObject *self)
{
    chi_externtype type;
    chi_extern_type(entity(self)->x, &type);
    return type;
}

/* The value in slots; the default (zero, null) if it is not given. */
static int value_in(StoreObject *s, chi_type type, PyObject *v, uint64_t *slots)
{
    if (!v) {
        if (!chi_type_is_ref(type) || chi_type_is_nullable(type))
            return 0;
        v = Py_None;
    }
    ValueResult why = py_value_in(s, type, v, slots);
    if (why)
        py_value_raise(why, type, v,
                       PyUnicode_FromString("the value of the global"));
    return why ? -1 : 0;
}

static PyObject *make(State *st, chi_type type, bool is_mutable, PyObject *v)
{
    uint64_t slots[2] = {0, 0};
    chi_error err;
    chi_global *g = NULL;
    PyObject *self = NULL;
    StoreObject *s = py_entity_private_store(st);
    if (s && value_in(s, type, v, slots) == 0) {
        g = chi_global_new(s->store, type, is_mutable, slots, &err);
        if (g)
            self = py_entity_adopt(st, TYPE_GLOBAL, s,
                                   (chi_extern){CHI_GLOBAL, {.global = g}});
        else
            py_error_raise(st, &err);
    }
    Py_XDECREF((PyObject *)s);
    return self;
}

static PyObject *new(PyTypeObject *class, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"type", "value", "mutable", NULL};
    PyObject *type, *value = NULL;
    int is_mutable = 0;
    chi_type t;
    State *st = py_state_of(class);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$p:Global",
                                     PY_NAMES(names), &type, &value,
                                     &is_mutable))
        return NULL;
    if (py_is(st, type, TYPE_GLOBAL_TYPE)) {
        PyObject *m = PyObject_GetAttrString(type, "mutable");
        is_mutable |= m == Py_True;
        Py_XDECREF(m);
    }
    if (py_valtype_parse(st, type, &t) < 0)
        return NULL;
    return make(st, t, is_mutable, value);
}

static PyObject *get_value(PyObject *self, void *closure)
{
    (void)closure;
    uint64_t slots[2];
    if (py_entity_claim(self) < 0)
        return NULL;
    chi_global_get(entity(self)->x.global, slots);
    return py_value_out(py_entity_store(self), type_of(self).type, slots);
}

static int set_value(PyObject *self, PyObject *v, void *closure)
{
    (void)closure;
    uint64_t slots[2];
    chi_externtype type = type_of(self);
    if (!v || !type.mutable_) {
        PyErr_SetString(PyExc_AttributeError,
                        v ? "the global is immutable"
                          : "the value cannot be deleted");
        return -1;
    }
    if (py_entity_claim(self) < 0
        || value_in(py_entity_store(self), type.type, v, slots) < 0
        || py_entity_claim(self) < 0)
        return -1;
    py_store_changed(py_entity_store(self));
    chi_global_set(entity(self)->x.global, slots);
    return 0;
}

static PyObject *get_type(PyObject *self, void *closure)
{
    (void)closure;
    chi_externtype type = type_of(self);
    return py_externtype_make(py_state(self), &type, NULL);
}

static PyObject *repr(PyObject *self)
{
    PyObject *type = get_type(self, NULL), *result = NULL;
    PyObject *value = type ? get_value(self, NULL) : NULL;
    if (value)
        result = PyUnicode_FromFormat("<chiasm.Global %S = %R>", type, value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    return result;
}

static PyGetSetDef getset[] = {
    {"value", get_value, set_value, PyDoc_STR("What it holds."), NULL},
    {"type", get_type, NULL, PyDoc_STR("Its GlobalType."), NULL},
    {0}};
static PyMemberDef members[] = {ENTITY_WEAKREFS, {0}};

static const char doc[] =
    "Global(type, value=None, *, mutable=False)\n"
    "--\n"
    "\n"
    "A WebAssembly global.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "type : str or GlobalType\n"
    "    The value's type, as WAT spells it.\n"
    "value : optional\n"
    "    What it starts with; default 0, or None for references.\n"
    "mutable : bool\n"
    "    Whether it may be set; setting an immutable one is an\n"
    "    AttributeError.\n"
    "\n"
    "Examples\n"
    "--------\n"
    ">>> import chiasm\n"
    ">>> g = chiasm.Global('i32', 41, mutable=True)\n"
    ">>> g.value += 1\n"
    ">>> g.value\n"
    "42\n";

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(py_entity_dealloc)},
                              {Py_tp_traverse, PY_SLOT(py_entity_traverse)},
                              {Py_tp_clear, PY_SLOT(py_entity_clear)},
                              {Py_tp_repr, PY_SLOT(repr)},
                              {Py_tp_getset, getset},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_global_spec = {
    .name = "chiasm.Global",
    .basicsize = sizeof(EntityObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
