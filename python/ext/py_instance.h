/* py_instance.h - Instance, Exports, and the making of them.
 *
 * Exports and functions hold the instance's keeper (py_owner.h), which has the
 * reference in the core; an Instance holds its Exports.  So there is no cycle
 * among them.
 */
#ifndef CHI_PY_INSTANCE_H
#define CHI_PY_INSTANCE_H

#include "py_entity.h"
#include "py_module.h"

enum { QUICK = 4 };

typedef struct {
    PyObject_VAR_HEAD State *state;
    StoreObject *store;
    PyObject *keeper;
    chi_instance *instance;
    PyObject *module;
    PyObject *name; /* str given to the instance, or NULL */
    PyObject *weakrefs;
    PyObject *attributes; /* dict: those that were asked for, or NULL */
    /* Some of `attributes`, by the address of the name, which is a reference. */
    struct {
        PyObject *name, *value;
    } quick[QUICK];
    bool without_gil;  /* calls may release it */
    bool is_python;    /* some import is Python code */
    PyObject *cache[]; /* by number of the export */
} ExportsObject;

typedef struct {
    PyObject_HEAD ExportsObject *exports;
    PyObject *weakrefs;
} InstanceObject;

typedef struct {
    State *state;
    ModuleObject *module;
    PyObject *imports;        /* or Py_None */
    PyObject *wasi;           /* a Process, or Py_None */
    StoreObject *store;       /* the one asked for, or NULL */
    const chi_limits *limits; /* or NULL */
    chi_config config;
    PyObject *name; /* or Py_None */
    int gil;        /* 1 keep, 0 release, -1 as is best */
} LinkRequest;

/* py_link.c: resolves the imports and instantiates. */
ExportsObject *py_link(const LinkRequest *r);

/* Takes the reference on the instance, also on failure.  `imports`: a tuple of
 * the entities among its imports, or NULL. */
ExportsObject *py_exports_adopt(const LinkRequest *r, StoreObject *s,
                                chi_instance *instance, PyObject *imports,
                                bool is_python);
/* The export of that name: 1 and a new reference, 0 none, -1 error. */
int py_exports_get(ExportsObject *e, PyObject *name, PyObject **value);
/* The first memory that is exported, or None: new. */
PyObject *py_exports_memory(ExportsObject *e);

/* py_instance.c: what `instantiate` and `Instance` do. */
PyObject *py_instance_make(State *st, PyObject *args, PyObject *kwargs);

#endif
