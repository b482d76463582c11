/* SPDX-License-Identifier: MIT */
#include "py_record.h"

static size_t count_of(const PyTypeObject *type)
{
    return ((size_t)type->tp_basicsize - sizeof(RecordObject))
           / sizeof(PyObject *);
}

static const char *name_of(const PyTypeObject *type, size_t i)
{
    return type->tp_members[i].name;
}

static const RecordKind *kind_of(State *st, const PyTypeObject *type)
{
    const RecordKind *const lists[] = {py_types_kinds, py_info_kinds,
                                       py_limits_kinds};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const RecordKind *k = lists[i]; k->tag != TYPE_COUNT; k++)
            if (st->types[k->tag] == type)
                return k;
    return NULL;
}

PyObject *py_record_make(State *st, TypeTag tag, PyObject *const *fields,
                         size_t n)
{
    bool complete = true;
    for (size_t i = 0; i < n; i++)
        complete &= fields[i] != NULL;
    RecordObject *r = complete ? py_new(st, tag, 0) : NULL;
    for (size_t i = 0; i < n; i++)
        if (r)
            r->fields[i] = fields[i];
        else
            Py_XDECREF(fields[i]);
    return (PyObject *)r;
}

/* ---- construction */

static const char *short_name(const PyTypeObject *type)
{
    const char *dot = strrchr(type->tp_name, '.');
    return dot ? dot + 1 : type->tp_name;
}

static int take_positional(RecordObject *r, PyObject *args)
{
    size_t n = (size_t)PyTuple_GET_SIZE(args);
    if (n > count_of(Py_TYPE(r))) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zu arguments, not %zu",
                     short_name(Py_TYPE(r)), count_of(Py_TYPE(r)), n);
        return -1;
    }
    for (size_t i = 0; i < n; i++)
        r->fields[i] = Py_NewRef(PyTuple_GET_ITEM(args, i));
    return 0;
}

static int take_keyword(RecordObject *r, PyObject *name, PyObject *value)
{
    const PyTypeObject *type = Py_TYPE(r);
    for (size_t i = 0; i < count_of(type); i++) {
        if (PyUnicode_CompareWithASCIIString(name, name_of(type, i)) != 0)
            continue;
        if (r->fields[i]) {
            PyErr_Format(PyExc_TypeError, "%s() got %U twice", short_name(type),
                         name);
            return -1;
        }
        r->fields[i] = Py_NewRef(value);
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s() has no argument %R", short_name(type),
                 name);
    return -1;
}

static int take_arguments(RecordObject *r, const RecordKind *kind,
                          PyObject *args, PyObject *kwargs)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    if (take_positional(r, args) < 0)
        return -1;
    while (kwargs && PyDict_Next(kwargs, &at, &name, &value))
        if (take_keyword(r, name, value) < 0)
            return -1;
    for (int i = 0; i < kind->n_required; i++)
        if (!r->fields[i]) {
            PyErr_Format(PyExc_TypeError, "%s() needs %s",
                         short_name(Py_TYPE(r)),
                         name_of(Py_TYPE(r), (size_t)i));
            return -1;
        }
    return 0;
}

PyObject *py_record_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    State *st = py_state_of(type);
    const RecordKind *kind = kind_of(st, type);
    RecordObject *r = (RecordObject *)type->tp_alloc(type, 0);
    if (!r)
        return NULL;
    if (take_arguments(r, kind, args, kwargs) < 0
        || (kind->check && kind->check(st, r->fields) < 0))
        Py_CLEAR(r);
    for (size_t i = 0; r && i < count_of(type); i++)
        if (!r->fields[i])
            r->fields[i] = Py_NewRef(Py_None);
    return (PyObject *)r;
}

void py_record_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    for (size_t i = 0; i < count_of(type); i++)
        Py_XDECREF(record_field(self, i));
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- behaviour */

static PyObject *fields_tuple(PyObject *self)
{
    size_t n = count_of(Py_TYPE(self));
    PyObject *tuple = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; tuple && i < n; i++)
        PyTuple_SET_ITEM(tuple, (Py_ssize_t)i,
                         Py_NewRef(record_field(self, i)));
    return tuple;
}

PyObject *py_record_repr(PyObject *self)
{
    const PyTypeObject *type = Py_TYPE(self);
    PyObject *text = PyUnicode_FromFormat("chiasm.%s(", short_name(type));
    for (size_t i = 0; text && i < count_of(type); i++) {
        PyObject *more =
            PyUnicode_FromFormat("%U%s%s=%R", text, i ? ", " : "",
                                 name_of(type, i), record_field(self, i));
        Py_DECREF(text);
        text = more;
    }
    if (!text)
        return NULL;
    PyObject *result = PyUnicode_FromFormat("%U)", text);
    Py_DECREF(text);
    return result;
}

Py_hash_t py_record_hash(PyObject *self)
{
    PyObject *tuple = fields_tuple(self);
    if (!tuple)
        return -1;
    Py_hash_t hash = PyObject_Hash(tuple);
    Py_DECREF(tuple);
    return hash;
}

PyObject *py_record_compare(PyObject *a, PyObject *b, int op)
{
    if (!Py_IS_TYPE(b, Py_TYPE(a)) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    int equal = 1;
    for (size_t i = 0; equal == 1 && i < count_of(Py_TYPE(a)); i++)
        equal = PyObject_RichCompareBool(record_field(a, i), record_field(b, i),
                                         Py_EQ);
    return equal < 0 ? NULL : PyBool_FromLong(equal == (op == Py_EQ));
}

static PyObject *reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *fields = fields_tuple(self);
    return fields ? Py_BuildValue("(ON)", (PyObject *)Py_TYPE(self), fields)
                  : NULL;
}

PyMethodDef py_record_methods[] = {{"__reduce__", reduce, METH_NOARGS, NULL},
                                   {0}};
