/* SPDX-License-Identifier: MIT */
#include "py_entity.h"
#include "py_errors.h"
#include "py_types.h"

static chi_extern tag_of(PyObject *self) { return ((EntityObject *)self)->x; }

/* A tag of one parameter list, in a store of its own. */
static PyObject *make(State *st, const chi_type *params, uint32_t n)
{
    chi_error err;
    PyObject *self = NULL;
    StoreObject *s = py_entity_private_store(st);
    chi_tag *tag = s ? chi_tag_new(s->store, params, n, &err) : NULL;
    if (tag)
        self = py_entity_adopt(st, TYPE_TAG, s,
                               (chi_extern){CHI_TAG, {.tag = tag}});
    else if (s)
        py_error_raise(st, &err);
    Py_XDECREF((PyObject *)s);
    return self;
}

/* The class is immutable to others; this is still part of making it. */
int py_tag_complete(State *st)
{
    PyTypeObject *type = st->types[TYPE_TAG];
    chi_type param = py_value_externref();
    PyObject *tag = make(st, &param, 1);
    if (!tag
        || PyDict_SetItemString(type->tp_dict, "python_exception", tag) < 0) {
        Py_XDECREF(tag);
        return -1;
    }
    PyType_Modified(type);
    st->python_tag = tag;
    return 0;
}

PyObject *py_tag_python(State *st)
{
    return py_type(st, TYPE_TAG) ? st->python_tag : NULL;
}

static PyObject *new(PyTypeObject *class, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"type", NULL};
    PyObject *type;
    State *st = py_state_of(class);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Tag", PY_NAMES(names),
                                     &type))
        return NULL;
    Signature *sig = py_tagtype_signature(st, type);
    if (!sig)
        return NULL;
    PyObject *self = make(st, sig->types, sig->n_params);
    py_signature_free(sig);
    return self;
}

static PyObject *get_type(PyObject *self, void *closure)
{
    (void)closure;
    chi_externtype type;
    chi_extern_type(tag_of(self), &type);
    return py_externtype_make(py_state(self), &type, NULL);
}

static Py_hash_t hash(PyObject *self)
{
    return (Py_hash_t)((uintptr_t)chi_tag_identity(tag_of(self).tag) >> 4);
}

static PyObject *compare(PyObject *a, PyObject *b, int op)
{
    if (!Py_IS_TYPE(b, Py_TYPE(a)) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong(chi_extern_same(tag_of(a), tag_of(b))
                           == (op == Py_EQ));
}

static PyObject *repr(PyObject *self)
{
    PyObject *type = get_type(self, NULL), *result = NULL;
    if (type)
        result =
            PyUnicode_FromFormat("<chiasm.Tag %S at %p>", type, (void *)self);
    Py_XDECREF(type);
    return result;
}

static PyGetSetDef getset[] = {
    {"type", get_type, NULL, PyDoc_STR("Its TagType."), NULL}, {0}};
static PyMemberDef members[] = {ENTITY_WEAKREFS, {0}};

static const char doc[] =
    "Tag(type)\n"
    "--\n"
    "\n"
    "A kind of WebAssembly exceptions.\n"
    "\n"
    "Tags are equal if they are one and the same to the guest.\n"
    "`Tag.python_exception` is the tag of exceptions that Python code\n"
    "raises on their way through a guest; its one parameter, an externref,\n"
    "is the exception.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "type : FuncType, TagType or sequence of str\n"
    "    The types of what such an exception carries.\n";

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(py_entity_dealloc)},
                              {Py_tp_traverse, PY_SLOT(py_entity_traverse)},
                              {Py_tp_repr, PY_SLOT(repr)},
                              {Py_tp_hash, PY_SLOT(hash)},
                              {Py_tp_richcompare, PY_SLOT(compare)},
                              {Py_tp_getset, getset},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_tag_spec = {
    .name = "chiasm.Tag",
    .basicsize = sizeof(EntityObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
