/* SPDX-License-Identifier: MIT */
#include "py_instance.h"
#include "py_owner.h"

static ExportsObject *exports_of(PyObject *self)
{
    return (ExportsObject *)self;
}

ExportsObject *py_exports_adopt(const LinkRequest *r, StoreObject *s,
                                chi_instance *instance, PyObject *imports,
                                bool is_python)
{
    Py_ssize_t n = chi_module_n_exports(r->module->m);
    PyObject *keeper = py_keeper_adopt(s, instance, imports);
    ExportsObject *e = keeper ? py_new(r->state, TYPE_EXPORTS, n) : NULL;
    if (!e) {
        Py_XDECREF(keeper);
        return NULL;
    }
    e->state = r->state;
    e->store = (StoreObject *)Py_NewRef((PyObject *)s);
    e->instance = instance;
    e->keeper = keeper;
    e->module = Py_NewRef((PyObject *)r->module);
    e->is_python = is_python;
    e->without_gil = r->gil == 0 || (r->gil < 0 && !is_python);
    if (r->name != Py_None)
        e->name = Py_NewRef(r->name);
    if (py_store_name_instance(s, instance, e->name) < 0)
        Py_CLEAR(e);
    return e;
}

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    ExportsObject *e = exports_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)e->store);
    Py_VISIT(e->keeper);
    Py_VISIT(e->attributes);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_VISIT(e->cache[i]);
    return 0;
}

static int clear(PyObject *self)
{
    ExportsObject *e = exports_of(self);
    for (size_t i = 0; i < QUICK; i++)
        Py_CLEAR(e->quick[i].name);
    Py_CLEAR(e->attributes);
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_CLEAR(e->cache[i]);
    return 0;
}

static void dealloc(PyObject *self)
{
    ExportsObject *e = exports_of(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (e->weakrefs)
        PyObject_ClearWeakRefs(self);
    clear(self);
    Py_XDECREF(e->keeper);
    Py_XDECREF(e->module);
    Py_XDECREF(e->name);
    Py_XDECREF((PyObject *)e->store);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- look-ups */

/* Is the export one of the instance's imports?  (Of functions, objects know.) */
static bool is_import(const ExportsObject *e, uint32_t i)
{
    const chi_module *m = module_of(e->module)->m;
    chi_export x;
    chi_module_export(m, i, &x);
    if (x.type.kind != CHI_TABLE && x.type.kind != CHI_GLOBAL)
        return false;
    for (uint32_t k = 0; k < chi_module_n_imports(m); k++) {
        chi_import import;
        chi_module_import(m, k, &import);
        if (import.type.kind == x.type.kind && x.index-- == 0)
            return true;
    }
    return false;
}

static PyObject *make_export(ExportsObject *e, uint32_t i, PyObject *name)
{
    if (py_store_claim(&e->store) < 0)
        return NULL;
    chi_extern x = chi_instance_export(e->instance, i);
    Origin o = {.module = e->module,
                .name = name,
                .keeper = e->keeper,
                .is_import = is_import(e, i),
                .without_gil = e->without_gil,
                .is_python = e->is_python};
    /* A function that was imported has a module of its own. */
    if (x.kind == CHI_FUNC && chi_func_instance(x.func) != e->instance)
        o.module = NULL;
    PyObject *object = py_entity_wrap_from(py_store_at(&e->store), x, &o);
    if (object) /* to make it may have run code that asked for it, too */
        Py_XSETREF(e->cache[i], Py_NewRef(object));
    return object;
}

static PyObject *export_at(ExportsObject *e, uint32_t i, PyObject *name)
{
    return e->cache[i] ? Py_NewRef(e->cache[i]) : make_export(e, i, name);
}

int py_exports_get(ExportsObject *e, PyObject *name, PyObject **value)
{
    PyObject *number, *index = py_module_export_index(module_of(e->module));
    *value = NULL;
    if (!index)
        return -1;
    int found = compat_dict_get(index, name, &number);
    if (found <= 0)
        return found;
    *value = export_at(e, (uint32_t)PyLong_AsUnsignedLong(number), name);
    return *value ? 1 : -1;
}

PyObject *py_exports_memory(ExportsObject *e)
{
    const chi_module *m = module_of(e->module)->m;
    for (uint32_t i = 0; i < chi_module_n_exports(m); i++) {
        chi_export x;
        chi_module_export(m, i, &x);
        if (x.type.kind == CHI_MEM)
            return export_at(e, i, NULL);
    }
    Py_RETURN_NONE;
}

/* Names that are the class's own: by item only. */
static bool is_reserved(const State *st, PyObject *name)
{
    static const StringTag own[] = {STRING_keys, STRING_items, STRING_values};
    Py_ssize_t len = PyUnicode_GET_LENGTH(name);
    if (len == 0 || PyUnicode_READ_CHAR(name, 0) == '_')
        return true;
    if (len < 4 || len > 6)
        return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (name == st->strings[own[i]]
            || PyUnicode_Compare(name, st->strings[own[i]]) == 0)
            return true;
    return false;
}

/* Raises `class` with the nearest names. */
static PyObject *no_export(ExportsObject *e, PyObject *name, PyObject *class)
{
    PyObject *text = NULL, *helper = PyImport_ImportModule("chiasm._link");
    if (helper)
        text = PyObject_CallMethod(helper, "no_export", "OO", e->module, name);
    if (text)
        PyErr_SetObject(class, text);
    Py_XDECREF(text);
    Py_XDECREF(helper);
    return NULL;
}

static inline size_t quick_place(const PyObject *name)
{
    return (uintptr_t)name / 32 % QUICK;
}

/* Threads that run at the same time would find halves of entries. */
static PyObject *remember(ExportsObject *e, PyObject *name, PyObject *value)
{
    if (COMPAT_GIL && PyUnicode_CheckExact(name)) {
        size_t i = quick_place(name);
        Py_XSETREF(e->quick[i].name, Py_NewRef(name));
        e->quick[i].value = value;
    }
    return value;
}

static int add_attribute(ExportsObject *e, PyObject *name, PyObject *value)
{
    if (!e->attributes)
        e->attributes = PyDict_New();
    return e->attributes ? PyDict_SetItem(e->attributes, name, value) : -1;
}

static PyObject *attribute_slowly(PyObject *self, PyObject *name)
{
    ExportsObject *e = exports_of(self);
    PyObject *value;
    if (e->attributes && compat_dict_get(e->attributes, name, &value) != 0)
        return value ? remember(e, name, Py_NewRef(value)) : NULL;
    if (is_reserved(e->state, name))
        return PyObject_GenericGetAttr(self, name);
    int found = py_exports_get(e, name, &value);
    if (!found)
        return no_export(e, name, PyExc_AttributeError);
    if (value && add_attribute(e, name, value) < 0)
        Py_CLEAR(value);
    return value ? remember(e, name, value) : NULL;
}

static PyObject *attribute(PyObject *self, PyObject *name)
{
    ExportsObject *e = exports_of(self);
    size_t i = quick_place(name);
    if (e->quick[i].name == name)
        return Py_NewRef(e->quick[i].value);
    return attribute_slowly(self, name);
}

static PyObject *item(PyObject *self, PyObject *name)
{
    PyObject *value;
    if (!PyUnicode_Check(name)) {
        PyErr_SetObject(PyExc_KeyError, name);
        return NULL;
    }
    int found = py_exports_get(exports_of(self), name, &value);
    return found ? value : no_export(exports_of(self), name, PyExc_KeyError);
}

static Py_ssize_t length(PyObject *self) { return Py_SIZE(self); }

static int contains(PyObject *self, PyObject *name)
{
    PyObject *index =
        py_module_export_index(module_of(exports_of(self)->module));
    return index ? PyDict_Contains(index, name) : -1;
}

static PyObject *iterate(PyObject *self)
{
    PyObject *index =
        py_module_export_index(module_of(exports_of(self)->module));
    return index ? PyObject_GetIter(index) : NULL;
}

/* ---- methods */

static PyObject *keys(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *index =
        py_module_export_index(module_of(exports_of(self)->module));
    return index ? PyObject_CallMethod(index, "keys", NULL) : NULL;
}

/* A list with f of each export. */
static PyObject *list_of(PyObject *self, PyObject *f(PyObject *, PyObject *))
{
    PyObject *index =
        py_module_export_index(module_of(exports_of(self)->module));
    PyObject *list = index ? PyList_New(0) : NULL, *name, *number;
    Py_ssize_t at = 0;
    while (list && PyDict_Next(index, &at, &name, &number)) {
        PyObject *value = export_at(
            exports_of(self), (uint32_t)PyLong_AsUnsignedLong(number), name);
        PyObject *one = value ? f(name, value) : NULL;
        Py_XDECREF(value);
        if (!one || PyList_Append(list, one) < 0)
            Py_CLEAR(list);
        Py_XDECREF(one);
    }
    return list;
}

static PyObject *only_value(PyObject *name, PyObject *value)
{
    (void)name;
    return Py_NewRef(value);
}

static PyObject *pair(PyObject *name, PyObject *value)
{
    return PyTuple_Pack(2, name, value);
}

static PyObject *values(PyObject *self, PyObject *unused)
{
    (void)unused;
    return list_of(self, only_value);
}

static PyObject *items(PyObject *self, PyObject *unused)
{
    (void)unused;
    return list_of(self, pair);
}

/* What tab completion offers: the exports that are attributes. */
static PyObject *dir(PyObject *self, PyObject *unused)
{
    (void)unused;
    ExportsObject *e = exports_of(self);
    PyObject *index = py_module_export_index(module_of(e->module));
    PyObject *name, *number, *own, *list;
    Py_ssize_t at = 0;
    if (!index)
        return NULL;
    own = PyObject_Dir((PyObject *)Py_TYPE(self));
    list = own ? PySequence_List(own) : NULL;
    Py_XDECREF(own);
    while (list && PyDict_Next(index, &at, &name, &number))
        if (!is_reserved(e->state, name) && PyUnicode_IsIdentifier(name)
            && PyList_Append(list, name) < 0)
            Py_CLEAR(list);
    return list;
}

static PyObject *repr(PyObject *self)
{
    PyObject *names = keys(self, NULL), *comma, *text = NULL, *result = NULL;
    comma = names ? PyUnicode_FromString(", ") : NULL;
    if (comma)
        text = PyUnicode_Join(comma, names);
    if (text)
        result = PyUnicode_FromFormat("<chiasm.Exports: %U>", text);
    Py_XDECREF(text);
    Py_XDECREF(comma);
    Py_XDECREF(names);
    return result;
}

static PyMethodDef methods[] = {
    {"keys", keys, METH_NOARGS,
     PyDoc_STR("keys($self, /)\n--\n\nThe names of the exports.")},
    {"values", values, METH_NOARGS,
     PyDoc_STR("values($self, /)\n--\n\nThe exports, as a list.")},
    {"items", items, METH_NOARGS,
     PyDoc_STR("items($self, /)\n--\n\nPairs of names and exports.")},
    {"__dir__", dir, METH_NOARGS, NULL},
    {0}};

static PyMemberDef members[] = {{"__weaklistoffset__", T_PYSSIZET,
                                 offsetof(ExportsObject, weakrefs), READONLY,
                                 NULL},
                                {0}};

static const char doc[] =
    "What an instance gives: functions, memories, tables, globals and tags.\n"
    "\n"
    "By attribute, or by item: names that are no identifiers, begin with an\n"
    "underscore, or are those of methods are found by item only.\n";

static PyType_Slot slots[] = {{Py_tp_dealloc, PY_SLOT(dealloc)},
                              {Py_tp_traverse, PY_SLOT(traverse)},
                              {Py_tp_clear, PY_SLOT(clear)},
                              {Py_tp_getattro, PY_SLOT(attribute)},
                              {Py_tp_iter, PY_SLOT(iterate)},
                              {Py_tp_repr, PY_SLOT(repr)},
                              {Py_mp_length, PY_SLOT(length)},
                              {Py_mp_subscript, PY_SLOT(item)},
                              {Py_sq_contains, PY_SLOT(contains)},
                              {Py_tp_methods, methods},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_exports_spec = {
    .name = "chiasm.Exports",
    .basicsize = sizeof(ExportsObject),
    .itemsize = sizeof(PyObject *),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_MAPPING | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
