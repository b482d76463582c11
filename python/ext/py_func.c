/* SPDX-License-Identifier: MIT */
#include "py_entity.h"
#include "py_errors.h"
#include "py_module.h"
#include "py_types.h"

static FuncObject *func_of(PyObject *self) { return (FuncObject *)self; }

/* Its module and index; false: a host function. */
static bool origin_of(const FuncObject *f, const chi_module **m,
                      uint32_t *index)
{
    chi_instance *instance = chi_func_instance(f->e.x.func);
    if (!instance)
        return false;
    *m = chi_instance_module(instance);
    *index = chi_func_index(f->e.x.func);
    return true;
}

int py_func_set_up(FuncObject *f, const Origin *o)
{
    chi_functype type = chi_func_type(f->e.x.func);
    chi_instance *instance = chi_func_instance(f->e.x.func);
    f->state = f->e.store->state;
    f->signature = py_signature_new(&type);
    if (!f->signature)
        return -1;
    f->call = py_call_of(f->signature);
    f->fast = chi_func_fast(f->e.x.func);
    f->result = (uint8_t)py_call_result_of(f->signature);
    f->name = Py_XNewRef(o->name);
    f->is_python = !instance || o->is_python;
    f->without_gil = o->without_gil && chi_func_may_run_long(f->e.x.func);
    if (!instance)
        return 0;
    f->module = o->module
                    ? Py_NewRef(o->module)
                    : py_module_wrap(f->state, chi_instance_module(instance));
    return f->module ? 0 : -1;
}

/* ---- names */

static PyObject *name_of_index(const chi_module *m, uint32_t index)
{
    chi_funcinfo info;
    chi_module_function(m, index, &info);
    if (!info.name)
        return PyUnicode_FromFormat("$%u", (unsigned)index);
    return PyUnicode_DecodeUTF8(info.name, info.name_len, "replace");
}

PyObject *py_func_name(FuncObject *f)
{
    const chi_module *m;
    uint32_t index;
    if (!f->name) {
        f->name = origin_of(f, &m, &index) ? name_of_index(m, index)
                                           : PyUnicode_FromString("func");
    }
    return f->name;
}

/* The parameter's name in the name section, or NULL. */
static PyObject *parameter_name(const FuncObject *f, uint32_t i)
{
    const chi_module *m;
    uint32_t index, len;
    if (!origin_of(f, &m, &index))
        return NULL;
    const char *name = chi_module_local_name(m, index, i, &len);
    return name ? PyUnicode_DecodeUTF8(name, len, "replace") : NULL;
}

PyObject *py_func_place(FuncObject *f, uint32_t i)
{
    PyObject *result, *name = py_func_name(f);
    if (!name)
        return NULL;
    PyObject *parameter = parameter_name(f, i);
    PyErr_Clear();
    if (parameter)
        result = PyUnicode_FromFormat("%U(): argument %u (%U)", name,
                                      (unsigned)i + 1, parameter);
    else
        result =
            PyUnicode_FromFormat("%U(): argument %u", name, (unsigned)i + 1);
    Py_XDECREF(parameter);
    return result;
}

/* ---- construction */

static chi_func *new_host(StoreObject *s, PyObject *callable, PyObject *type,
                          PyObject *name)
{
    Signature *sig = py_functype_signature(s->state, type);
    if (!sig)
        return NULL;
    chi_func *f = py_host_func(s, sig, callable, name);
    py_signature_free(sig);
    return f;
}

static PyObject *name_of_callable(PyObject *callable)
{
    PyObject *name = PyObject_GetAttrString(callable, "__name__");
    if (name && PyUnicode_Check(name))
        return name;
    Py_XDECREF(name);
    PyErr_Clear();
    return PyUnicode_FromString(Py_TYPE(callable)->tp_name);
}

static PyObject *make(State *st, PyObject *callable, PyObject *type,
                      PyObject *name)
{
    StoreObject *s = py_entity_private_store(st);
    chi_func *f = s ? new_host(s, callable, type, name) : NULL;
    PyObject *self = NULL;
    if (f)
        self = py_entity_adopt(st, TYPE_FUNC, s,
                               (chi_extern){CHI_FUNC, {.func = f}});
    if (self)
        func_of(self)->name = Py_NewRef(name);
    Py_XDECREF((PyObject *)s);
    return self;
}

static PyObject *new(PyTypeObject *class, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"callable", "type", "name", NULL};
    PyObject *callable, *type, *name = NULL;
    State *st = py_state_of(class);
    PyTypeObject *wanted = py_type(st, TYPE_FUNC_TYPE);
    if (!wanted
        || !PyArg_ParseTupleAndKeywords(args, kwargs, "OO!|$U:Func",
                                        PY_NAMES(names), &callable, wanted,
                                        &type, &name))
        return NULL;
    if (!PyCallable_Check(callable)) {
        PyErr_Format(PyExc_TypeError,
                     "Func() argument 1 must be callable, "
                     "not %s",
                     Py_TYPE(callable)->tp_name);
        return NULL;
    }
    name = name ? Py_NewRef(name) : name_of_callable(callable);
    PyObject *self = name ? make(st, callable, type, name) : NULL;
    Py_XDECREF(name);
    return self;
}

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(func_of(self)->module);
    return py_entity_traverse(self, visit, arg);
}

static void dealloc(PyObject *self)
{
    FuncObject *f = func_of(self);
    PyObject_GC_UnTrack(self);
    if (f->signature)
        py_signature_free(f->signature);
    Py_XDECREF(f->name);
    Py_CLEAR(f->module);
    py_entity_dealloc(self);
}

/* ---- attributes */

static PyObject *get_type(PyObject *self, void *closure)
{
    (void)closure;
    FuncObject *f = func_of(self);
    const chi_module *m = NULL;
    uint32_t index;
    chi_functype type = chi_func_type(f->e.x.func);
    origin_of(f, &m, &index);
    return py_functype_make(f->state, &type, m);
}

static PyObject *get_name(PyObject *self, void *closure)
{
    (void)closure;
    return Py_XNewRef(py_func_name(func_of(self)));
}

static PyObject *get_module(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *m = func_of(self)->module;
    return Py_NewRef(m ? m : Py_None);
}

/* The names of the parameters: None where there is none. */
static PyObject *parameter_names(FuncObject *f)
{
    uint32_t n = f->signature->n_params;
    PyObject *names = PyTuple_New(n);
    for (uint32_t i = 0; names && i < n; i++) {
        PyObject *name = parameter_name(f, i);
        if (!name && PyErr_Occurred())
            Py_CLEAR(names);
        else
            PyTuple_SET_ITEM(names, i, name ? name : Py_NewRef(Py_None));
    }
    return names;
}

static PyObject *get_signature(PyObject *self)
{
    PyObject *result = NULL, *helper, *names, *type;
    helper = PyImport_ImportModule("chiasm._signature");
    names = helper ? parameter_names(func_of(self)) : NULL;
    type = names ? get_type(self, NULL) : NULL;
    if (type)
        result = PyObject_CallMethod(helper, "make", "OO", type, names);
    Py_XDECREF(type);
    Py_XDECREF(names);
    Py_XDECREF(helper);
    return result;
}

static PyObject *get_doc(PyObject *self)
{
    PyObject *type = get_type(self, NULL);
    PyObject *doc = type ? PyObject_Str(type) : NULL;
    Py_XDECREF(type);
    return doc;
}

/* Not in the getset table, where the class itself would have them. */
static PyObject *attribute(PyObject *self, PyObject *name)
{
    if (PyUnicode_CompareWithASCIIString(name, "__doc__") == 0)
        return get_doc(self);
    if (PyUnicode_CompareWithASCIIString(name, "__signature__") == 0)
        return get_signature(self);
    return PyObject_GenericGetAttr(self, name);
}

static PyObject *repr(PyObject *self)
{
    PyObject *doc = get_doc(self), *name = py_func_name(func_of(self));
    PyObject *result = NULL;
    if (doc && name)
        result = PyUnicode_FromFormat("<chiasm.Func %U %U>", name, doc);
    Py_XDECREF(doc);
    return result;
}

static PyObject *map(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    (void)args;
    (void)kwargs;
    PyErr_SetString(PyExc_NotImplementedError, "Func.map is not built yet");
    return NULL;
}

static PyObject *get_ufunc(PyObject *self, void *closure)
{
    (void)self;
    (void)closure;
    PyErr_SetString(PyExc_NotImplementedError, "Func.ufunc is not built yet");
    return NULL;
}

static PyGetSetDef getset[] = {
    {"type", get_type, NULL, PyDoc_STR("Its FuncType."), NULL},
    {"module", get_module, NULL,
     PyDoc_STR("The Module that defines it; None of a host function."), NULL},
    {"ufunc", get_ufunc, NULL,
     PyDoc_STR("The function as a numpy.ufunc (not built yet)."), NULL},
    {"__name__", get_name, NULL, NULL, NULL},
    {"__qualname__", get_name, NULL, NULL, NULL},
    {0}};

static PyMethodDef methods[] = {
    {"map", PY_METHOD(map), METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("map($self, /, *arrays, out=None)\n--\n\n"
               "Apply it to arrays, element by element (not built yet).")},
    {0}};

static PyMemberDef members[] = {ENTITY_WEAKREFS,
                                {"__vectorcalloffset__", T_PYSSIZET,
                                 offsetof(FuncObject, call), READONLY, NULL},
                                {0}};

static const char doc[] =
    "Func(callable, type, *, name=None)\n"
    "--\n"
    "\n"
    "A WebAssembly function: called like a Python function.\n"
    "\n"
    "Exported functions are found in `Instance.exports`; the constructor\n"
    "makes a host function of any callable, to put into a table or to link.\n"
    "(Callables among the imports need no `Func`: the import has the type.)\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "callable : callable\n"
    "    Gets the arguments as Python values; its result is converted back.\n"
    "type : FuncType\n"
    "    The parameters and results.\n"
    "name : str, optional\n"
    "    To appear in messages; default: the callable's.\n"
    "\n"
    "Raises\n"
    "------\n"
    "TypeError, OverflowError\n"
    "    From a call: arguments of a wrong number, kind or range.\n"
    "Trap, Exception\n"
    "    From a call: what the guest failed by.\n"
    "\n"
    "Notes\n"
    "-----\n"
    "A function of a module that imports no Python code, and that may run\n"
    "long, runs without the GIL. An i32 takes integers from -2**31 to 2**32\n"
    "- 1, an i64 likewise; results are signed.\n"
    "\n"
    "Examples\n"
    "--------\n"
    ">>> import chiasm\n"
    ">>> t = chiasm.FuncType(['i32'], ['i32'])\n"
    ">>> twice = chiasm.Func(lambda n: 2 * n, t)\n"
    ">>> twice(21)\n"
    "42\n";

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(dealloc)},
                              {Py_tp_traverse, PY_SLOT(traverse)},
                              {Py_tp_clear, PY_SLOT(py_entity_clear)},
                              {Py_tp_call, PY_SLOT(PyVectorcall_Call)},
                              {Py_tp_getattro, PY_SLOT(attribute)},
                              {Py_tp_repr, PY_SLOT(repr)},
                              {Py_tp_getset, getset},
                              {Py_tp_methods, methods},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_func_spec = {
    .name = "chiasm.Func",
    .basicsize = sizeof(FuncObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = slots,
};
