/* SPDX-License-Identifier: MIT */
#include "py_instance.h"

#include "py_limits.h"
#include "py_thread.h"
#include "py_wasi.h"

static InstanceObject *instance_of(PyObject *self)
{
    return (InstanceObject *)self;
}

/* ---- arguments */

static int check_store(const State *st, PyObject *store, PyObject *limits,
                       PyObject *config)
{
    if (store == Py_None)
        return 0;
    if (!py_is(st, store, TYPE_STORE)) {
        PyErr_Format(PyExc_TypeError, "store must be a chiasm.Store, not %s",
                     Py_TYPE(store)->tp_name);
        return -1;
    }
    if (limits == Py_None && config == Py_None)
        return 0;
    PyErr_SetString(PyExc_ValueError,
                    limits != Py_None
                        ? "limits belong to a store: give them to Store()"
                        : "a config belongs to a store: give it to Store()");
    return -1;
}

static int check_wasi(State *st, PyObject *wasi)
{
    if (wasi == Py_None)
        return 0;
    return py_wasi_check(st, wasi);
}

typedef struct {
    PyObject *source, *imports, *wasi, *tier, *limits, *config, *store, *gil,
        *name;
} Arguments;

static int parse(PyObject *args, PyObject *kwargs, Arguments *a)
{
    static const char *const names[] = {"source", "imports", "wasi",  "tier",
                                        "limits", "config",  "store", "gil",
                                        "name",   NULL};
    *a = (Arguments){NULL,    Py_None, Py_None, NULL,   Py_None,
                     Py_None, Py_None, Py_None, Py_None};
    if (!kwargs && PyTuple_GET_SIZE(args) == 1) {
        a->source = PyTuple_GET_ITEM(args, 0);
        return 0;
    }
    return PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$OUOOOOO:instantiate",
                                       PY_NAMES(names), &a->source, &a->imports,
                                       &a->wasi, &a->tier, &a->limits,
                                       &a->config, &a->store, &a->gil, &a->name)
               ? 0
               : -1;
}

static int check(State *st, const Arguments *a)
{
    if (check_wasi(st, a->wasi) < 0
        || check_store(st, a->store, a->limits, a->config) < 0)
        return -1;
    if (a->name == Py_None || PyUnicode_Check(a->name))
        return 0;
    PyErr_SetString(PyExc_TypeError, "name must be a str or None");
    return -1;
}

/* The one call that a library of WASI's expects. */
static int initialize(ExportsObject *exports)
{
    PyObject *name = PyUnicode_FromString("_initialize"), *f = NULL, *result;
    int found = name ? py_exports_get(exports, name, &f) : -1;
    Py_XDECREF(name);
    if (found <= 0)
        return found;
    result = PyObject_CallNoArgs(f);
    Py_DECREF(f);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *link_module(State *st, const Arguments *a, PyObject *module)
{
    chi_limits limits;
    LinkRequest r = {.state = st,
                     .module = module_of(module),
                     .imports = a->imports,
                     .wasi = a->wasi,
                     .name = a->name,
                     .gil = -1};
    if (py_config_read(st, a->tier, a->config, &r.config) < 0
        || (a->gil != Py_None && (r.gil = PyObject_IsTrue(a->gil)) < 0))
        return NULL;
    if (a->limits != Py_None) {
        if (py_limits_read(st, a->limits, &limits) < 0)
            return NULL;
        r.limits = &limits;
    }
    if (a->store != Py_None)
        r.store = (StoreObject *)a->store;
    ExportsObject *exports = py_link(&r);
    if (exports && a->wasi != Py_None && initialize(exports) < 0)
        Py_CLEAR(exports);
    InstanceObject *self = exports ? py_new(st, TYPE_INSTANCE, 0) : NULL;
    if (self)
        self->exports = exports;
    else
        Py_XDECREF((PyObject *)exports);
    return (PyObject *)self;
}

PyObject *py_instance_make(State *st, PyObject *args, PyObject *kwargs)
{
    Arguments a;
    if (parse(args, kwargs, &a) < 0 || check(st, &a) < 0)
        return NULL;
    PyObject *module = py_module_from(st, a.source);
    if (!module)
        return NULL;
    PyObject *self = link_module(st, &a, module);
    Py_DECREF(module);
    return self;
}

/* ---- the object */

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return py_instance_make(py_state_of(type), args, kwargs);
}

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)instance_of(self)->exports);
    return 0;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (instance_of(self)->weakrefs)
        PyObject_ClearWeakRefs(self);
    Py_XDECREF((PyObject *)instance_of(self)->exports);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_module(PyObject *self, void *closure)
{
    (void)closure;
    return Py_NewRef(instance_of(self)->exports->module);
}

static PyObject *get_memory(PyObject *self, void *closure)
{
    (void)closure;
    return py_exports_memory(instance_of(self)->exports);
}

static PyObject *get_store(PyObject *self, void *closure)
{
    (void)closure;
    ExportsObject *e = instance_of(self)->exports;
    return Py_NewRef((PyObject *)py_store_at(&e->store));
}

static PyObject *get_tier(PyObject *self, void *closure)
{
    (void)closure;
    ExportsObject *e = instance_of(self)->exports;
    return py_config_tier(chi_store_tier(py_store_at(&e->store)->store));
}

static PyObject *get_name(PyObject *self, void *closure)
{
    (void)closure;
    ExportsObject *e = instance_of(self)->exports;
    return e->name ? Py_NewRef(e->name) : py_module_name(e->module);
}

static PyObject *cancel(PyObject *self, PyObject *unused)
{
    (void)unused;
    py_store_cancel(py_store_at(&instance_of(self)->exports->store));
    Py_RETURN_NONE;
}

static PyObject *repr(PyObject *self)
{
    PyObject *name = get_name(self, NULL), *text;
    if (!name)
        return NULL;
    if (name == Py_None)
        text = PyUnicode_FromFormat("<chiasm.Instance at %p>", (void *)self);
    else
        text = PyUnicode_FromFormat("<chiasm.Instance %R at %p>", name,
                                    (void *)self);
    Py_DECREF(name);
    return text;
}

static PyGetSetDef getset[] = {
    {"module", get_module, NULL, PyDoc_STR("Its Module."), NULL},
    {"memory", get_memory, NULL,
     PyDoc_STR("The first memory that it exports, or None."), NULL},
    {"store", get_store, NULL, PyDoc_STR("The Store that it lives in."), NULL},
    {"name", get_name, NULL, PyDoc_STR("Its name, or None."), NULL},
    {"tier", get_tier, NULL,
     PyDoc_STR("How its code runs: 'interp' or 'baseline'."), NULL},
    {0}};

static PyMemberDef members[] = {
    {"exports", T_OBJECT_EX, offsetof(InstanceObject, exports), READONLY,
     PyDoc_STR("What it gives.")},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(InstanceObject, weakrefs),
     READONLY, NULL},
    {0}};

static PyMethodDef methods[] = {
    {"cancel", cancel, METH_NOARGS,
     PyDoc_STR("cancel($self, /)\n--\n\n"
               "Raise Cancelled out of the guest code that runs in its store "
               "now.")},
    {0}};

static const char doc[] =
    "Instance(source, imports=None, *, wasi=None, tier='auto', "
    "limits=None, config=None, store=None, gil=None, name=None)\n"
    "--\n"
    "\n"
    "A module with its imports, ready to be called.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "source : Module, bytes-like, str, path or binary file\n"
    "    The module, or what `Module` makes one of.\n"
    "imports : mapping, optional\n"
    "    From module names to providers: mappings, `Exports` of other\n"
    "    instances, Python modules, or objects whose attributes are looked\n"
    "    up. What they hold: callables, `Func`, `Memory`, `Table`,\n"
    "    `Global`, `Tag`, and numbers for immutable globals.\n"
    "wasi : WASI, optional\n"
    "    The process that the module's imports of WASI belong to, where\n"
    "    `imports` has none.\n"
    "tier : {'auto', 'interp', 'baseline'}\n"
    "    How code is run: by the interpreter, or as machine code, which is\n"
    "    what 'auto' means where the system lets it run. An instance that\n"
    "    joins others runs as they do.\n"
    "limits : Limits, optional\n"
    "    What the store may use.\n"
    "config : Config, optional\n"
    "    How code is run; default: as the environment says.\n"
    "store : Store, optional\n"
    "    Where the instance lives; default: with its imports, or on its\n"
    "    own.\n"
    "gil : bool, optional\n"
    "    False: calls that may run long release the GIL, True: they keep\n"
    "    it; default: they release it if no import is Python code.\n"
    "name : str, optional\n"
    "    To appear in tracebacks.\n"
    "\n"
    "Raises\n"
    "------\n"
    "CompileError\n"
    "    The module is malformed or invalid.\n"
    "LinkError\n"
    "    Imports are missing or do not fit; `problems` lists all. Or the\n"
    "    store runs by another tier than is asked for.\n"
    "RuntimeError\n"
    "    The tier was asked for, and the system does not let it run.\n"
    "Trap, Exception\n"
    "    A segment, or the start function, failed.\n"
    "\n"
    "Notes\n"
    "-----\n"
    "Runs the start function, never an export but, with `wasi`,\n"
    "``_initialize``. The instance is freed when\n"
    "nothing reaches it; its functions keep it alive.\n"
    "\n"
    "Examples\n"
    "--------\n"
    ">>> import chiasm\n"
    ">>> wat = '''(module\n"
    "...   (import \"env\" \"add\" (func $add (param i32 i32) (result i32)))\n"
    "...   (func (export \"twice\") (param i32) (result i32)\n"
    "...     (call $add (local.get 0) (local.get 0))))'''\n"
    ">>> inst = chiasm.Instance(wat, {'env': {'add': lambda a, b: a + b}})\n"
    ">>> inst.exports.twice(21)\n"
    "42\n";

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(dealloc)},
                              {Py_tp_traverse, PY_SLOT(traverse)},
                              {Py_tp_repr, PY_SLOT(repr)},
                              {Py_tp_getset, getset},
                              {Py_tp_methods, methods},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_instance_spec = {
    .name = "chiasm.Instance",
    .basicsize = sizeof(InstanceObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
