/* SPDX-License-Identifier: MIT */
/* chiasm._core: the module, its classes and few functions. */
#include "py_entity.h"
#include "py_errors.h"
#include "py_instance.h"
#include "py_record.h"

static State *state_of_module(PyObject *module)
{
    return PyModule_GetState(module);
}

/* ---- functions */

static PyObject *instantiate(PyObject *module, PyObject *args, PyObject *kwargs)
{
    return py_instance_make(state_of_module(module), args, kwargs);
}

static PyObject *restore_module(PyObject *module, PyObject *args)
{
    PyObject *bytes, *name;
    unsigned features;
    State *st = state_of_module(module);
    if (!PyArg_ParseTuple(args, "OOI", &bytes, &name, &features))
        return NULL;
    PyObject *options =
        Py_BuildValue("{sOsI}", "name", name, "features", features);
    PyObject *positional = options ? PyTuple_Pack(1, bytes) : NULL, *m = NULL;
    if (positional)
        m = PyObject_Call((PyObject *)st->types[TYPE_MODULE], positional,
                          options);
    Py_XDECREF(positional);
    Py_XDECREF(options);
    return m;
}

static PyObject *feature_names(void)
{
    PyObject *list = PyList_New(0), *tuple;
    const char *name;
    for (unsigned i = 0; list && (name = chi_feature_name(i)); i++) {
        PyObject *text = PyUnicode_FromString(name);
        if (!text || PyList_Append(list, text) < 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    tuple = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return tuple;
}

static PyObject *features(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    static const char optimize[] = "not built yet";
    const char *why;
    PyObject *tiers, *refused, *names = feature_names();
    if (chi_native_available(&why)) {
        tiers = Py_BuildValue("(ss)", "interp", "baseline");
        refused = Py_BuildValue("{ss}", "optimize", optimize);
    } else {
        tiers = Py_BuildValue("(s)", "interp");
        refused =
            Py_BuildValue("{ssss}", "baseline", why, "optimize", optimize);
    }
    return Py_BuildValue("{sssNsNsN}", "version", chi_version(), "features",
                         names, "tiers", tiers, "refused", refused);
}

static PyObject *op_record(State *st, const chi_opinfo *info)
{
    uint8_t code[2] = {(uint8_t)(info->code >> 12), (uint8_t)info->code};
    bool has_prefix = info->code >> 12;
    PyObject *number = NULL;
    if (has_prefix)
        number = Py_BuildValue("(II)", (unsigned)code[0],
                               (unsigned)(info->code & 0xfff));
    else
        number = Py_BuildValue("(I)", (unsigned)code[1]);
    PyObject *fields[] = {PyUnicode_FromString(info->text), number,
                          PyUnicode_FromString(info->immediates),
                          PyUnicode_FromString(info->feature)};
    return py_record_make(st, TYPE_OP, fields, 4);
}

static PyObject *ops(PyObject *module, PyObject *unused)
{
    (void)unused;
    chi_opinfo info;
    PyObject *dict = PyDict_New();
    for (uint32_t i = 0; dict && chi_op(i, &info); i++) {
        PyObject *op = op_record(state_of_module(module), &info);
        if (!op || PyDict_SetItemString(dict, info.text, op) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(op);
    }
    PyObject *proxy = dict ? PyDictProxy_New(dict) : NULL;
    Py_XDECREF(dict);
    return proxy;
}

static const char instantiate_doc[] =
    "instantiate($module, /, source, imports=None, *, wasi=None, "
    "tier='auto', limits=None, config=None, store=None, gil=None, name=None)\n"
    "--\n"
    "\n"
    "Link a module with its imports and start it: an `Instance`.\n"
    "\n"
    "See `Instance` for the parameters, errors and an example.";
static const char features_doc[] =
    "features($module, /)\n"
    "--\n"
    "\n"
    "What this build can do.\n"
    "\n"
    "Returns\n"
    "-------\n"
    "dict\n"
    "    ``version``, the names of all ``features``, the ``tiers`` that this\n"
    "    process can run, and why it cannot run those that are ``refused``.";

static PyObject *get_class(PyObject *module, PyObject *name);

static PyObject *signals(PyObject *module, PyObject *on)
{
    (void)module;
    chi_signals(PyObject_IsTrue(on));
    Py_RETURN_NONE;
}

static PyObject *cache_folder(PyObject *module, PyObject *none)
{
    const char *path = chi_cache_folder();
    (void)module;
    (void)none;
    if (path)
        return PyUnicode_DecodeFSDefault(path);
    Py_RETURN_NONE;
}

static PyObject *cache_size(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return PyLong_FromUnsignedLongLong(chi_cache_size());
}

static PyObject *cache_clear(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    chi_cache_clear();
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"__getattr__", get_class, METH_O, NULL},
    {"instantiate", PY_METHOD(instantiate), METH_VARARGS | METH_KEYWORDS,
     instantiate_doc},
    {"features", features, METH_NOARGS, features_doc},
    {"_ops", ops, METH_NOARGS, NULL},
    {"_restore_module", restore_module, METH_VARARGS, NULL},
    {"_signals", signals, METH_O, NULL},
    {"_cache_folder", cache_folder, METH_NOARGS, NULL},
    {"_cache_size", cache_size, METH_NOARGS, NULL},
    {"_cache_clear", cache_clear, METH_NOARGS, NULL},
    {0}};

/* ---- set-up */

static int add_strings(State *st)
{
    static const char *const texts[] = {
#define X(NAME) #NAME,
        PY_STRINGS(X)
#undef X
    };
    for (int i = 0; i < STRING_COUNT; i++) {
        st->strings[i] = PyUnicode_InternFromString(texts[i]);
        if (!st->strings[i])
            return -1;
    }
    return 0;
}

static PyType_Spec *const specs[] = {
#define X(TAG, PREFIX) &PREFIX##_spec,
    PY_TYPES(X)
#undef X
};

static const char *type_name(int tag)
{
    return strchr(specs[tag]->name, '.') + 1;
}

PyTypeObject *py_type_slow(State *st, TypeTag tag)
{
    PyObject *type = PyType_FromModuleAndSpec(st->module, specs[tag], NULL);
    if (!type)
        return NULL;
    if (st->types[tag]) { /* another thread was faster */
        Py_DECREF(type);
        return st->types[tag];
    }
    st->types[tag] = (PyTypeObject *)type;
    if (PyModule_AddObjectRef(st->module, type_name(tag), type) < 0
        || (tag == TYPE_TAG && py_tag_complete(st) < 0)) {
        Py_CLEAR(st->types[tag]);
        return NULL;
    }
    return st->types[tag];
}

/* The module's __getattr__ (PEP 562): classes that are not made yet. */
static PyObject *get_class(PyObject *module, PyObject *name)
{
    State *st = state_of_module(module);
    for (int tag = TYPE_EAGER; PyUnicode_Check(name) && tag < TYPE_COUNT; tag++)
        if (PyUnicode_CompareWithASCIIString(name, type_name(tag)) == 0)
            return Py_XNewRef((PyObject *)py_type(st, (TypeTag)tag));
    PyErr_Format(PyExc_AttributeError,
                 "module 'chiasm._core' has no attribute %R", name);
    return NULL;
}

static int add_types(State *st)
{
    for (int tag = 0; tag < TYPE_EAGER; tag++)
        if (!py_type(st, (TypeTag)tag))
            return -1;
    return 0;
}

static int execute(PyObject *module)
{
    State *st = state_of_module(module);
    st->module = module;
    st->frame_globals = PyDict_New();
    if (!st->frame_globals || add_strings(st) < 0 || add_types(st) < 0
        || py_errors_init(st, module) < 0 || py_config_init(st) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "__version__", chi_version());
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    State *st = state_of_module(module);
    for (int i = 0; i < TYPE_COUNT; i++)
        Py_VISIT((PyObject *)st->types[i]);
    for (int i = 0; i < ERROR_COUNT; i++)
        Py_VISIT(st->errors[i]);
    Py_VISIT(st->frame_globals);
    Py_VISIT(st->python_tag);
    return 0;
}

static int clear(PyObject *module)
{
    State *st = state_of_module(module);
    Py_CLEAR(st->python_tag);
    Py_CLEAR(st->config);
    Py_CLEAR(st->frame_globals);
    for (int i = 0; i < STRING_COUNT; i++)
        Py_CLEAR(st->strings[i]);
    for (int i = 0; i < ERROR_COUNT; i++)
        Py_CLEAR(st->errors[i]);
    for (int i = 0; i < TYPE_COUNT; i++)
        Py_CLEAR(st->types[i]);
    return 0;
}

static void free_module(void *module)
{
    State *st = state_of_module(module);
    clear(module);
    py_map_clear(&st->modules);
    py_map_clear(&st->tags);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, PY_SLOT(execute)},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "chiasm._core",
    .m_doc = "The extension module behind chiasm.",
    .m_size = sizeof(State),
    .m_methods = functions,
    .m_slots = module_slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = free_module,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
