/* py_record.h - value objects: a fixed number of named fields.
 *
 * Immutable, compared and hashed by their fields, printed as the call that
 * makes them, pickled by it.  Each class has a RecordKind and a spec made of
 * the macros below.
 */
#ifndef CHI_PY_RECORD_H
#define CHI_PY_RECORD_H

#include "py_ext.h"

typedef struct {
    PyObject_HEAD PyObject *fields[];
} RecordObject;

/* Puts defaults where fields are NULL and checks the others, replacing them by
 * what they are normally. */
typedef int RecordCheck(State *st, PyObject **fields);

typedef struct {
    TypeTag tag;
    int n_required;
    RecordCheck *check; /* NULL: any values, NULL becomes None */
} RecordKind;

/* All kinds, ended by a tag of TYPE_COUNT. */
extern const RecordKind py_types_kinds[], py_info_kinds[], py_limits_kinds[];

/* Takes the references; NULL among them (an exception is set): NULL. */
PyObject *py_record_make(State *st, TypeTag tag, PyObject *const *fields,
                         size_t n);
static inline PyObject *record_field(PyObject *record, size_t i)
{
    return ((RecordObject *)record)->fields[i];
}

PyObject *py_record_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
void py_record_dealloc(PyObject *self);
PyObject *py_record_repr(PyObject *self);
Py_hash_t py_record_hash(PyObject *self);
PyObject *py_record_compare(PyObject *a, PyObject *b, int op);
extern PyMethodDef py_record_methods[];

#define RECORD_FIELD(NAME, I, DOC)                                             \
    {NAME, T_OBJECT,                                                           \
     offsetof(RecordObject, fields) + (I) * sizeof(PyObject *), READONLY,      \
     PyDoc_STR(DOC)}
#define RECORD_SLOTS(MEMBERS, DOC)                                             \
    {Py_tp_new, PY_SLOT(py_record_new)},                                       \
        {Py_tp_dealloc, PY_SLOT(py_record_dealloc)},                           \
        {Py_tp_repr, PY_SLOT(py_record_repr)},                                 \
        {Py_tp_hash, PY_SLOT(py_record_hash)},                                 \
        {Py_tp_richcompare, PY_SLOT(py_record_compare)},                       \
        {Py_tp_methods, py_record_methods}, {Py_tp_members, (MEMBERS)},        \
    {                                                                          \
        Py_tp_doc, (void *)(uintptr_t)(DOC)                                    \
    }
#define RECORD_SPEC(PREFIX, NAME, N, SLOTS)                                    \
    PyType_Spec PREFIX##_spec = {                                              \
        .name = "chiasm." NAME,                                                \
        .basicsize = sizeof(RecordObject) + (N) * sizeof(PyObject *),          \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,                \
        .slots = SLOTS,                                                        \
    }

#endif
