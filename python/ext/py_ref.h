/* py_ref.h - structs, arrays and exceptions of the guest as Python objects. */
#ifndef CHI_PY_REF_H
#define CHI_PY_REF_H

#include "py_values.h"

/* Struct and Array. */
typedef struct {
    PyObject_HEAD StoreObject *store;
    chi_root *root;
    uint64_t word;
    PyObject *weakrefs;
} RefObject;

static inline bool py_is_ref(const State *st, PyObject *o)
{
    return py_is(st, o, TYPE_STRUCT) || py_is(st, o, TYPE_ARRAY);
}
/* The one object for a word of a struct or array: a new reference. */
PyObject *py_ref_wrap(StoreObject *s, chi_type type, uint64_t word);

/* exnref, both ways: py_exception.c */
ValueResult py_exception_in(StoreObject *s, PyObject *v, uint64_t *slot);
PyObject *py_exception_out(StoreObject *s, uint64_t word);

#endif
