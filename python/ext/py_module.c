/* SPDX-License-Identifier: MIT */
#include "py_module.h"

#include "py_errors.h"
#include "py_types.h"

/* ---- construction */

static PyObject *adopt(State *st, chi_module *m, chi_features features)
{
    ModuleObject *self = py_new(st, TYPE_MODULE, 0);
    if (!self) {
        chi_module_free(m);
        return NULL;
    }
    self->state = st;
    self->m = m;
    self->features = features;
    if (py_map_set(&st->modules, m, (PyObject *)self) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

PyObject *py_module_wrap(State *st, chi_module *m)
{
    PyObject *known = py_map_get(&st->modules, m);
    if (known)
        return Py_NewRef(known);
    return adopt(st, chi_module_ref(m), chi_features_all());
}

enum { WITHOUT_GIL_FROM = 16384 };

static chi_module *decode(const Source *s, chi_features features,
                          chi_error *err)
{
    chi_module *m;
    PyThreadState *released =
        s->len >= WITHOUT_GIL_FROM ? PyEval_SaveThread() : NULL;
    if (s->is_text)
        m = chi_module_from_text(s->bytes, (size_t)s->len, features, err);
    else
        m = chi_module_new((const uint8_t *)s->bytes, (size_t)s->len, features,
                           err);
    if (released)
        PyEval_RestoreThread(released);
    return m;
}

static PyObject *raise(State *st, const Source *s, const chi_error *err)
{
    PyObject *file = Py_XNewRef(s->file);
    if (!file && s->is_text)
        file = PyUnicode_FromString("<wat>");
    py_error_raise_compile(st, err, file, s->bytes, (size_t)s->len, s->is_text);
    Py_XDECREF(file);
    return NULL;
}

static PyObject *from_source(State *st, PyObject *source, PyObject *name,
                             chi_features features)
{
    Source s;
    chi_error err;
    if (py_source_open(&s, source) < 0)
        return NULL;
    chi_module *m = decode(&s, features, &err);
    PyObject *self = m ? adopt(st, m, features) : raise(st, &s, &err);
    if (self)
        module_of(self)->name =
            name == Py_None ? py_source_stem(&s) : Py_NewRef(name);
    py_source_close(&s);
    return self;
}

PyObject *py_module_from(State *st, PyObject *source)
{
    if (py_is(st, source, TYPE_MODULE))
        return Py_NewRef(source);
    return from_source(st, source, Py_None, chi_features_all());
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"source", "name", "features", NULL};
    PyObject *source, *name = Py_None, *features_arg = NULL;
    chi_features features;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OO:Module",
                                     PY_NAMES(names), &source, &name,
                                     &features_arg)
        || py_source_features(features_arg, &features) < 0)
        return NULL;
    if (name != Py_None && !PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "name must be a str or None");
        return NULL;
    }
    return from_source(py_state_of(type), source, name, features);
}

static void free_plan(ImportPlan *plan, uint32_t n)
{
    for (uint32_t i = 0; plan && i < n; i++) {
        ImportPlan *p = &plan[i];
        Py_XDECREF(p->module);
        Py_XDECREF(p->name);
        Py_XDECREF(p->label);
        if (p->signature)
            py_signature_free(p->signature);
    }
    PyMem_Free(plan);
}

static void dealloc(PyObject *o)
{
    ModuleObject *self = module_of(o);
    PyTypeObject *type = Py_TYPE(o);
    py_map_remove(&self->state->modules, self->m, o);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(o);
    free_plan(self->plan, chi_module_n_imports(self->m));
    Py_XDECREF(self->name);
    Py_XDECREF(self->imports);
    Py_XDECREF(self->exports);
    Py_XDECREF(self->export_index);
    chi_module_free(self->m);
    type->tp_free(o);
    Py_DECREF(type);
}

/* ---- for linking */

static PyObject *interned(const char *text, uint32_t len)
{
    PyObject *s = PyUnicode_DecodeUTF8(text, len, "strict");
    if (s)
        PyUnicode_InternInPlace(&s);
    return s;
}

static int plan_import(ModuleObject *self, uint32_t i, ImportPlan *p)
{
    chi_import import;
    chi_module_import(self->m, i, &import);
    p->type = import.type;
    p->module = interned(import.module, import.module_len);
    p->name = interned(import.name, import.name_len);
    if (!p->module || !p->name)
        return -1;
    p->label = PyUnicode_FromFormat("%U.%U", p->module, p->name);
    if (p->label && import.type.kind == CHI_FUNC) {
        p->signature = py_signature_new(&import.type.func);
        return p->signature ? 0 : -1;
    }
    return p->label ? 0 : -1;
}

/* Made whole before it is seen: other threads may ask meanwhile. */
const ImportPlan *py_module_plan(ModuleObject *self)
{
    uint32_t n = chi_module_n_imports(self->m);
    if (self->plan || !n)
        return self->plan;
    ImportPlan *plan = PyMem_Calloc(n, sizeof *plan);
    if (!plan)
        return PyErr_NoMemory(), NULL;
    for (uint32_t i = 0; i < n; i++)
        if (plan_import(self, i, &plan[i]) < 0) {
            free_plan(plan, n);
            return NULL;
        }
    if (self->plan)
        free_plan(plan, n);
    else
        self->plan = plan;
    return self->plan;
}

static int add_export(ModuleObject *self, uint32_t i, PyObject *index)
{
    chi_export e;
    chi_module_export(self->m, i, &e);
    PyObject *name = interned(e.name, e.name_len);
    PyObject *number = name ? PyLong_FromUnsignedLong(i) : NULL;
    int result = number ? PyDict_SetItem(index, name, number) : -1;
    Py_XDECREF(name);
    Py_XDECREF(number);
    return result;
}

PyObject *py_module_export_index(ModuleObject *self)
{
    if (self->export_index)
        return self->export_index;
    PyObject *index = PyDict_New();
    uint32_t n = chi_module_n_exports(self->m);
    for (uint32_t i = 0; index && i < n; i++)
        if (add_export(self, i, index) < 0)
            Py_CLEAR(index);
    if (self->export_index)
        Py_XDECREF(index);
    else
        self->export_index = index;
    return self->export_index;
}

PyObject *py_module_name(PyObject *o)
{
    ModuleObject *self = module_of(o);
    size_t len = 0;
    if (self->name)
        return Py_NewRef(self->name);
    const char *name = chi_module_name(self->m, &len);
    if (!name)
        Py_RETURN_NONE;
    return PyUnicode_DecodeUTF8(name, (Py_ssize_t)len, "replace");
}

/* ---- the object */

static PyObject *repr(PyObject *self)
{
    size_t len;
    PyObject *name = py_module_name(self), *text;
    if (!name)
        return NULL;
    chi_module_bytes(module_of(self)->m, &len);
    if (name == Py_None)
        text = PyUnicode_FromFormat("<chiasm.Module of %zu bytes>", len);
    else
        text =
            PyUnicode_FromFormat("<chiasm.Module %R of %zu bytes>", name, len);
    Py_DECREF(name);
    return text;
}

static Py_hash_t hash(PyObject *self)
{
    Py_hash_t h = (Py_hash_t)chi_module_hash(module_of(self)->m);
    return h == -1 ? -2 : h;
}

static PyObject *compare(PyObject *a, PyObject *b, int op)
{
    size_t n, k;
    if (!Py_IS_TYPE(b, Py_TYPE(a)) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    const uint8_t *x = chi_module_bytes(module_of(a)->m, &n);
    const uint8_t *y = chi_module_bytes(module_of(b)->m, &k);
    bool equal = x == y || (n == k && memcmp(x, y, n) == 0);
    return PyBool_FromLong(equal == (op == Py_EQ));
}

static PyMemberDef members[] = {{"__weaklistoffset__", T_PYSSIZET,
                                 offsetof(ModuleObject, weakrefs), READONLY,
                                 NULL},
                                {0}};

static const char doc[] =
    "Module(source, *, name=None, features='all')\n"
    "--\n"
    "\n"
    "A WebAssembly module: decoded, validated, immutable.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "source : bytes-like, str, path or binary file\n"
    "    The binary format, WAT, or where either is. A str is WAT if it\n"
    "    starts with ``(`` or ``;``, else a path.\n"
    "name : str, optional\n"
    "    To appear in tracebacks; default: that of the name section or the\n"
    "    file.\n"
    "features : str or set of str\n"
    "    ``'all'``, an edition (``'1.0'``, ``'2.0'``, ``'3.0'``), or the\n"
    "    names of what the module may use.\n"
    "\n"
    "Raises\n"
    "------\n"
    "CompileError\n"
    "    The module is malformed or invalid; the first error, with its\n"
    "    place.\n"
    "\n"
    "Notes\n"
    "-----\n"
    "Modules are equal if their bytes are, may be used by all threads, and\n"
    "can be pickled. Nothing is compiled yet; the cost is linear in the\n"
    "size.\n"
    "\n"
    "Examples\n"
    "--------\n"
    ">>> import chiasm\n"
    ">>> wat = '(module (func (export \"f\") (result i32) (i32.const 1)))'\n"
    ">>> m = chiasm.Module(wat)\n"
    ">>> print(m.exports[0])\n"
    "(export \"f\" (func (result i32)))\n";

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(dealloc)},
                              {Py_tp_repr, PY_SLOT(repr)},
                              {Py_tp_hash, PY_SLOT(hash)},
                              {Py_tp_richcompare, PY_SLOT(compare)},
                              {Py_tp_methods, py_inspect_methods},
                              {Py_tp_getset, py_inspect_getset},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_module_spec = {
    .name = "chiasm.Module",
    .basicsize = sizeof(ModuleObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
