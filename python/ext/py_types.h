/* py_types.h - FuncType and its like, to and from the core's types. */
#ifndef CHI_PY_TYPES_H
#define CHI_PY_TYPES_H

#include "py_record.h"
#include "py_values.h"

/* Value objects of the core's types; type indices as m (or NULL) has them. */
PyObject *py_functype_make(State *st, const chi_functype *type,
                           const chi_module *m);
PyObject *py_externtype_make(State *st, const chi_externtype *type,
                             const chi_module *m);

/* The type a str (or the type of a GlobalType) names. */
int py_valtype_parse(State *st, PyObject *text, chi_type *out);
/* New, or NULL with TypeError or ValueError. */
Signature *py_functype_signature(State *st, PyObject *functype);
/* Of a FuncType, a TagType or a sequence of str. */
Signature *py_tagtype_signature(State *st, PyObject *type);
/* min and max of a memory or table; max None: without. */
int py_types_limits(PyObject *min, PyObject *max, chi_externtype *out);

#endif
