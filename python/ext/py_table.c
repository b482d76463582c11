/* SPDX-License-Identifier: MIT */
#include "py_entity.h"
#include "py_errors.h"
#include "py_types.h"

static chi_table *table_of(PyObject *self)
{
    return ((EntityObject *)self)->x.table;
}

static chi_externtype type_of(PyObject *self)
{
    chi_externtype type;
    chi_extern_type(((EntityObject *)self)->x, &type);
    return type;
}

/* An element as a word.  v NULL: null. */
static int element_in(StoreObject *s, chi_type type, PyObject *v,
                      uint64_t *word)
{
    if (!v)
        v = Py_None;
    ValueResult why = py_value_reference(s, type, v, word);
    if (why)
        py_value_raise(why, type, v,
                       PyUnicode_FromString("an element of the table"));
    return why ? -1 : 0;
}

/* ---- construction */

static PyObject *make(State *st, const chi_externtype *type, PyObject *init)
{
    chi_error err;
    uint64_t word;
    PyObject *self = NULL;
    StoreObject *s = py_entity_private_store(st);
    if (s && element_in(s, type->type, init, &word) == 0) {
        chi_table *t = chi_table_new(s->store, type, word, &err);
        if (t)
            self = py_entity_adopt(st, TYPE_TABLE, s,
                                   (chi_extern){CHI_TABLE, {.table = t}});
        else
            py_error_raise(st, &err);
    }
    Py_XDECREF((PyObject *)s);
    return self;
}

static PyObject *new(PyTypeObject *class, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"type", "min",   "max",
                                        "init", "index", NULL};
    PyObject *element, *min, *max = Py_None, *init = NULL, *index = NULL;
    State *st = py_state_of(class);
    chi_externtype type = {.kind = CHI_TABLE};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O$OU:Table",
                                     PY_NAMES(names), &element, &min, &max,
                                     &init, &index)
        || py_valtype_parse(st, element, &type.type) < 0
        || py_types_limits(min, max, &type) < 0)
        return NULL;
    if (!chi_type_is_ref(type.type)) {
        PyErr_SetString(PyExc_ValueError, "a table holds references");
        return NULL;
    }
    type.is64 = index && PyUnicode_CompareWithASCIIString(index, "i64") == 0;
    if (index && !type.is64
        && PyUnicode_CompareWithASCIIString(index, "i32") != 0) {
        PyErr_SetString(PyExc_ValueError, "index must be 'i32' or 'i64'");
        return NULL;
    }
    return make(st, &type, init);
}

/* ---- the sequence */

static Py_ssize_t length(PyObject *self)
{
    if (py_entity_claim(self) < 0)
        return -1;
    return (Py_ssize_t)chi_table_size(table_of(self));
}

static int no_element(void)
{
    PyErr_SetString(PyExc_IndexError, "table index out of range");
    return -1;
}

static PyObject *get_element(PyObject *self, Py_ssize_t i)
{
    uint64_t word;
    if (py_entity_claim(self) < 0)
        return NULL;
    if (i < 0 || !chi_table_get(table_of(self), (uint64_t)i, &word)) {
        no_element();
        return NULL;
    }
    return py_value_out(py_entity_store(self), type_of(self).type, &word);
}

static int set_element(PyObject *self, Py_ssize_t i, PyObject *v)
{
    uint64_t word;
    if (!v) {
        PyErr_SetString(PyExc_TypeError,
                        "elements of a table cannot be deleted");
        return -1;
    }
    if (py_entity_claim(self) < 0)
        return -1;
    if (i < 0 || (uint64_t)i >= chi_table_size(table_of(self)))
        return no_element();
    if (element_in(py_entity_store(self), type_of(self).type, v, &word) < 0)
        return -1;
    py_store_changed(py_entity_store(self));
    return chi_table_set(table_of(self), (uint64_t)i, word) ? 0 : no_element();
}

static PyObject *get_slice(PyObject *self, PyObject *slice)
{
    Py_ssize_t start, stop, step, size = length(self);
    if (size < 0 || PySlice_Unpack(slice, &start, &stop, &step) < 0)
        return NULL;
    Py_ssize_t n = PySlice_AdjustIndices(size, &start, &stop, step);
    PyObject *list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *v = get_element(self, start + i * step);
        if (v)
            PyList_SET_ITEM(list, i, v);
        else
            Py_CLEAR(list);
    }
    return list;
}

static int index_of(PyObject *self, PyObject *key, Py_ssize_t *i)
{
    *i = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (*i == -1 && PyErr_Occurred())
        return -1;
    Py_ssize_t size = *i < 0 ? length(self) : 0;
    if (size < 0)
        return -1;
    *i += size;
    return 0;
}

static PyObject *get_item(PyObject *self, PyObject *key)
{
    Py_ssize_t i;
    if (PySlice_Check(key))
        return get_slice(self, key);
    return index_of(self, key, &i) < 0 ? NULL : get_element(self, i);
}

static int set_item(PyObject *self, PyObject *key, PyObject *v)
{
    Py_ssize_t i;
    return index_of(self, key, &i) < 0 ? -1 : set_element(self, i, v);
}

/* ---- methods */

static PyObject *grow(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"n", "init", NULL};
    PyObject *init = NULL;
    unsigned long long n;
    uint64_t word;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "K|O:grow", PY_NAMES(names),
                                     &n, &init)
        || py_entity_claim(self) < 0
        || element_in(py_entity_store(self), type_of(self).type, init, &word)
               < 0)
        return NULL;
    py_store_changed(py_entity_store(self));
    uint64_t old = chi_table_grow(table_of(self), n, word);
    if (old != UINT64_MAX)
        return PyLong_FromUnsignedLongLong(old);
    PyErr_Format(PyExc_MemoryError, "the table cannot grow by %llu", n);
    return NULL;
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
    if (type)
        result = PyUnicode_FromFormat("<chiasm.Table %S of %zd>", type,
                                      length(self));
    Py_XDECREF(type);
    return result;
}

static PyGetSetDef getset[] = {
    {"type", get_type, NULL, PyDoc_STR("Its TableType."), NULL}, {0}};

static PyMethodDef methods[] = {
    {"grow", PY_METHOD(grow), METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("grow($self, /, n, init=None)\n--\n\n"
               "Add n elements; the old length. MemoryError if refused.")},
    {0}};

static PyMemberDef members[] = {ENTITY_WEAKREFS, {0}};

static const char doc[] =
    "Table(type, min, max=None, *, init=None, index='i32')\n"
    "--\n"
    "\n"
    "A table of references: a sequence of Func or of objects.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "type : str\n"
    "    The elements' type: 'funcref', 'externref', ...\n"
    "min, max : int\n"
    "    Numbers of elements; max None: no limit of its own.\n"
    "init : optional\n"
    "    What all elements are at first; default None (null).\n"
    "index : {'i32', 'i64'}\n"
    "    The type of indices.\n"
    "\n"
    "Examples\n"
    "--------\n"
    ">>> import chiasm\n"
    ">>> t = chiasm.Table('externref', 2)\n"
    ">>> t[1] = 'anything'\n"
    ">>> list(t)\n"
    "[None, 'anything']\n";

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(py_entity_dealloc)},
                              {Py_tp_traverse, PY_SLOT(py_entity_traverse)},
                              {Py_tp_clear, PY_SLOT(py_entity_clear)},
                              {Py_tp_repr, PY_SLOT(repr)},
                              {Py_tp_iter, PY_SLOT(PySeqIter_New)},
                              {Py_mp_length, PY_SLOT(length)},
                              {Py_mp_subscript, PY_SLOT(get_item)},
                              {Py_mp_ass_subscript, PY_SLOT(set_item)},
                              {Py_sq_length, PY_SLOT(length)},
                              {Py_sq_item, PY_SLOT(get_element)},
                              {Py_tp_getset, getset},
                              {Py_tp_methods, methods},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_table_spec = {
    .name = "chiasm.Table",
    .basicsize = sizeof(EntityObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_SEQUENCE,
    .slots = slots,
};
