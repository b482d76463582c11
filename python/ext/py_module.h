/* py_module.h - Module objects, and what is kept of a module for linking. */
#ifndef CHI_PY_MODULE_H
#define CHI_PY_MODULE_H

#include "py_values.h"

/* An import, decoded for look-ups. */
typedef struct {
    PyObject *module, *name; /* interned */
    PyObject *label;         /* "module.name" */
    chi_externtype type;
    Signature *signature; /* of functions */
} ImportPlan;

typedef struct {
    PyObject_HEAD State *state;
    chi_module *m;
    chi_features features;
    PyObject *name;              /* str, or NULL */
    PyObject *imports, *exports; /* tuples, or NULL: not asked for yet */
    PyObject *export_index;      /* dict: name -> number, or NULL */
    ImportPlan *plan;            /* or NULL: not made yet, or no imports */
    PyObject *weakrefs;
} ModuleObject;

static inline ModuleObject *module_of(PyObject *self)
{
    return (ModuleObject *)self;
}

/* A Module as it is; else one made of bytes, text, a path or a file. */
PyObject *py_module_from(State *st, PyObject *source);
/* The object of a module: new reference. */
PyObject *py_module_wrap(State *st, chi_module *m);
/* A str, or None: new reference. */
PyObject *py_module_name(PyObject *self);
/* One for each import; NULL with an exception if there are imports. */
const ImportPlan *py_module_plan(ModuleObject *self);
/* dict from name to number of the export; borrowed, or NULL. */
PyObject *py_module_export_index(ModuleObject *self);

/* py_source.c: where modules come from. */
typedef struct {
    const char *bytes;
    Py_ssize_t len;
    bool is_text;
    PyObject *file; /* a str to name it by, or NULL */
    PyObject *keep; /* owns the bytes, or `view` does */
    Py_buffer view;
} Source;
int py_source_open(Source *s, PyObject *source);
void py_source_close(Source *s);
/* "game" of "dir/game.wasm": new, or NULL: no name. */
PyObject *py_source_stem(const Source *s);
/* "all", "3.0" ..., or an iterable of names. */
int py_source_features(PyObject *o, chi_features *out);

/* py_machine.c */
PyObject *py_machine_disassemble(PyObject *self, PyObject *args,
                                 PyObject *kwargs);

/* py_inspect.c: the methods that tell of a module. */
extern PyMethodDef py_inspect_methods[];
extern PyGetSetDef py_inspect_getset[];

#endif
