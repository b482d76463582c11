/* SPDX-License-Identifier: MIT */
/* What a Module tells of itself. */
#include "py_errors.h"
#include "py_module.h"
#include "py_record.h"
#include "py_types.h"

static chi_module *m_of(PyObject *self) { return module_of(self)->m; }

static PyObject *text_of(const char *text, size_t len)
{
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)len, "replace");
}

/* A text that the core has allocated, as a str. */
static PyObject *take_text(char *text, size_t len)
{
    if (!text)
        return PyErr_NoMemory();
    PyObject *result = text_of(text, len);
    chi_text_free(text);
    return result;
}

/* ---- imports and exports */

static PyObject *make_import(ModuleObject *self, uint32_t i)
{
    chi_import import;
    chi_module_import(self->m, i, &import);
    PyObject *fields[] = {
        text_of(import.module, import.module_len),
        text_of(import.name, import.name_len),
        py_externtype_make(self->state, &import.type, self->m),
    };
    return py_record_make(self->state, TYPE_IMPORT, fields, 3);
}

static PyObject *make_export(ModuleObject *self, uint32_t i)
{
    chi_export export;
    chi_module_export(self->m, i, &export);
    PyObject *fields[] = {
        text_of(export.name, export.name_len),
        py_externtype_make(self->state, &export.type, self->m),
    };
    return py_record_make(self->state, TYPE_EXPORT, fields, 2);
}

/* "file:line" of where a function begins, or None. */
static PyObject *location_of(const chi_module *m, uint32_t i)
{
    chi_source at;
    if (!chi_module_function_source(m, i, &at))
        Py_RETURN_NONE;
    return PyUnicode_FromFormat("%s:%u", at.file, (unsigned)at.line);
}

static PyObject *make_function(ModuleObject *self, uint32_t i)
{
    chi_funcinfo f;
    chi_module_function(self->m, i, &f);
    PyObject *fields[] = {
        PyLong_FromUnsignedLong(i),
        f.name ? text_of(f.name, f.name_len) : Py_NewRef(Py_None),
        py_functype_make(self->state, &f.type, self->m),
        PyLong_FromUnsignedLong(f.size),
        PyLong_FromUnsignedLong(f.offset),
        PyBool_FromLong(f.imported),
        location_of(self->m, i),
    };
    return py_record_make(self->state, TYPE_FUNCTION, fields, 7);
}

static PyObject *make_all(ModuleObject *self, uint32_t n,
                          PyObject *make(ModuleObject *, uint32_t))
{
    PyObject *tuple = PyTuple_New(n);
    for (uint32_t i = 0; tuple && i < n; i++) {
        PyObject *one = make(self, i);
        if (one)
            PyTuple_SET_ITEM(tuple, i, one);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* Keeps what was made (a reference, or NULL) unless another thread was faster;
 * a new reference to what is kept. */
static PyObject *keep(PyObject **place, PyObject *made)
{
    if (!*place)
        *place = made;
    else
        Py_XDECREF(made);
    return Py_XNewRef(*place);
}

static PyObject *get_imports(PyObject *o, void *closure)
{
    (void)closure;
    ModuleObject *self = module_of(o);
    if (self->imports)
        return Py_NewRef(self->imports);
    return keep(&self->imports,
                make_all(self, chi_module_n_imports(self->m), make_import));
}

static PyObject *get_exports(PyObject *o, void *closure)
{
    (void)closure;
    ModuleObject *self = module_of(o);
    if (self->exports)
        return Py_NewRef(self->exports);
    return keep(&self->exports,
                make_all(self, chi_module_n_exports(self->m), make_export));
}

static PyObject *get_functions(PyObject *self, void *closure)
{
    (void)closure;
    return make_all(module_of(self), chi_module_n_functions(m_of(self)),
                    make_function);
}

static PyObject *get_name(PyObject *self, void *closure)
{
    (void)closure;
    return py_module_name(self);
}

/* Adds the section to the list of its name. */
static int add_custom(PyObject *dict, const chi_custom *c)
{
    PyObject *name = text_of(c->name, c->name_len), *old = NULL, *all = NULL;
    PyObject *one =
        name ? Py_BuildValue("(y#)", (const char *)c->data, (Py_ssize_t)c->len)
             : NULL;
    int found = one ? compat_dict_get(dict, name, &old) : -1;
    if (found >= 0)
        all = found ? PySequence_Concat(old, one) : Py_NewRef(one);
    int result = all ? PyDict_SetItem(dict, name, all) : -1;
    Py_XDECREF(all);
    Py_XDECREF(one);
    Py_XDECREF(name);
    return result;
}

static PyObject *get_custom_sections(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *dict = PyDict_New();
    uint32_t n = chi_module_n_customs(m_of(self));
    for (uint32_t i = 0; dict && i < n; i++) {
        chi_custom c;
        chi_module_custom(m_of(self), i, &c);
        if (add_custom(dict, &c) < 0)
            Py_CLEAR(dict);
    }
    return dict;
}

/* ---- bytes and text */

static PyObject *to_bytes(PyObject *self, PyObject *unused)
{
    (void)unused;
    size_t len;
    const uint8_t *bytes = chi_module_bytes(m_of(self), &len);
    return PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)len);
}

static PyObject *wat_of(PyObject *self, unsigned flags)
{
    size_t len = 0;
    char *text = chi_module_print(m_of(self), flags, &len);
    return take_text(text, len);
}

static PyObject *to_wat(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"fold", "names", NULL};
    int fold = 0, with_names = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$pp:to_wat",
                                     PY_NAMES(names), &fold, &with_names))
        return NULL;
    return wat_of(self, (fold ? CHI_PRINT_FOLD : 0)
                            | (with_names ? 0 : CHI_PRINT_NO_NAMES));
}

static PyObject *save(PyObject *self, PyObject *path)
{
    PyObject *name = PyOS_FSPath(path); /* a number is no name of a file */
    PyObject *bytes = name ? to_bytes(self, NULL) : NULL;
    PyObject *io = bytes ? PyImport_ImportModule("io") : NULL, *n = NULL;
    PyObject *file =
        io ? PyObject_CallMethod(io, "open", "Os", name, "wb") : NULL;
    if (file) {
        n = PyObject_CallMethod(file, "write", "O", bytes);
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        PyObject *closed = PyObject_CallMethod(file, "close", NULL);
        if (!closed)
            Py_CLEAR(n);
        Py_XDECREF(closed);
        if (type)
            PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF(file);
    Py_XDECREF(io);
    Py_XDECREF(bytes);
    Py_XDECREF(name);
    Py_XDECREF(n);
    return n ? Py_NewRef(Py_None) : NULL;
}

static PyObject *print(PyObject *text)
{
    if (!text)
        return NULL;
    PyObject *out = PySys_GetObject("stdout");
    int result = 0;
    if (out && out != Py_None)
        result = PyFile_WriteObject(text, out, Py_PRINT_RAW);
    Py_DECREF(text);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *show(PyObject *self, PyObject *unused)
{
    (void)unused;
    return print(wat_of(self, 0));
}

static PyObject *interface_of(PyObject *self, PyObject *unused)
{
    (void)unused;
    size_t len = 0;
    char *text = chi_module_interface(m_of(self), &len);
    return take_text(text, len);
}

static PyObject *show_interface(PyObject *self, PyObject *unused)
{
    return print(interface_of(self, unused));
}

static PyObject *show_bytes(PyObject *self, PyObject *unused)
{
    (void)unused;
    size_t len = 0;
    char *text =
        chi_module_dump(m_of(self), CHI_DUMP_SECTIONS | CHI_DUMP_BYTES, &len);
    return print(take_text(text, len));
}

static PyObject *repr_html(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *helper = PyImport_ImportModule("chiasm._html");
    PyObject *text =
        helper ? PyObject_CallMethod(helper, "module", "O", self) : NULL;
    Py_XDECREF(helper);
    return text;
}

/* ---- other modules */

static PyObject *strip(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"names", NULL};
    int keep_names = 0;
    size_t len = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$p:strip", PY_NAMES(names),
                                     &keep_names))
        return NULL;
    uint8_t *bytes = chi_module_strip(m_of(self), keep_names, &len);
    if (!bytes)
        return PyErr_NoMemory();
    PyObject *name = py_module_name(self);
    PyObject *result = NULL, *data = NULL;
    PyObject *options = Py_BuildValue("{sNsI}", "name", name, "features",
                                      (unsigned)module_of(self)->features);
    if (options)
        data = Py_BuildValue("(y#)", (const char *)bytes, (Py_ssize_t)len);
    if (data)
        result = PyObject_Call((PyObject *)Py_TYPE(self), data, options);
    Py_XDECREF(data);
    Py_XDECREF(options);
    chi_text_free(bytes);
    return result;
}

static PyObject *optimize(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    (void)args;
    (void)kwargs;
    PyErr_SetString(PyExc_NotImplementedError,
                    "Module.optimize is not built yet");
    return NULL;
}

static PyObject *reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *restore = NULL, *core = PyImport_ImportModule("chiasm._core");
    PyObject *bytes = NULL, *name = NULL;
    if (core)
        restore = PyObject_GetAttrString(core, "_restore_module");
    if (restore)
        bytes = to_bytes(self, NULL);
    if (bytes)
        name =
            Py_NewRef(module_of(self)->name ? module_of(self)->name : Py_None);
    Py_XDECREF(core);
    if (!name) {
        Py_XDECREF(restore);
        Py_XDECREF(bytes);
        return NULL;
    }
    return Py_BuildValue("(N(NNI))", restore, bytes, name,
                         (unsigned)module_of(self)->features);
}

static PyObject *copy(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(self);
}

/* ---- diagnostics */

typedef struct {
    State *state;
    PyObject *list;
    const Source *source;
    bool failed;
} Report;

static PyObject *number(uint64_t value, bool is_known)
{
    return is_known ? PyLong_FromUnsignedLongLong(value) : Py_NewRef(Py_None);
}

static const char *code_name(chi_code code)
{
    switch (code) {
    case CHI_MALFORMED: return "malformed";
    case CHI_INVALID: return "invalid";
    case CHI_SYNTAX: return "syntax";
    default: return "limit";
    }
}

static PyObject *shown(const Report *r, const chi_error *err)
{
    const Source *s = r->source;
    const char *file = s->file ? PyUnicode_AsUTF8(s->file) : NULL;
    PyErr_Clear();
    char *text =
        chi_error_show(err, file ? file : "<wasm>",
                       s->is_text ? s->bytes : NULL, (size_t)s->len, false);
    PyObject *result = take_text(text, text ? strlen(text) : 0);
    if (s->is_text || !result)
        return result;
    PyObject *bytes = py_error_bytes(err, s->bytes, (size_t)s->len), *both;
    both = bytes ? PyUnicode_FromFormat("%U%U\n", result, bytes) : NULL;
    Py_XDECREF(bytes);
    Py_DECREF(result);
    return both;
}

static void report_one(void *env, const chi_error *err)
{
    Report *r = env;
    if (r->failed)
        return;
    PyObject *fields[] = {
        PyUnicode_FromString(code_name(err->code)),
        PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)strlen(err->message),
                             "replace"),
        number(err->line, err->line != 0),
        number(err->column, err->line != 0),
        number(err->offset, err->offset != UINT64_MAX),
        number(err->function, err->function != UINT32_MAX),
        shown(r, err),
    };
    PyObject *d = py_record_make(r->state, TYPE_DIAGNOSTIC, fields, 7);
    r->failed = !d || PyList_Append(r->list, d) < 0;
    Py_XDECREF(d);
}

static PyObject *validate(PyObject *class, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"source", "features", NULL};
    PyObject *source, *features_arg = NULL;
    chi_features features;
    Source s;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O:validate",
                                     PY_NAMES(names), &source, &features_arg)
        || py_source_features(features_arg, &features) < 0
        || py_source_open(&s, source) < 0)
        return NULL;
    Report r = {py_state_of((PyTypeObject *)class), PyList_New(0), &s, false};
    if (!r.list)
        r.failed = true;
    else if (s.is_text)
        chi_text_check(s.bytes, (size_t)s.len, features, report_one, &r);
    else
        chi_module_check((const uint8_t *)s.bytes, (size_t)s.len, features,
                         report_one, &r);
    py_source_close(&s);
    if (r.failed)
        Py_CLEAR(r.list);
    return r.list;
}

/* ---- the tables */

PyGetSetDef py_inspect_getset[] = {
    {"name", get_name, NULL, PyDoc_STR("Its name, or None."), NULL},
    {"imports", get_imports, NULL,
     PyDoc_STR("What it wants: a tuple of Import."), NULL},
    {"exports", get_exports, NULL,
     PyDoc_STR("What it gives: a tuple of Export."), NULL},
    {"functions", get_functions, NULL,
     PyDoc_STR("All functions, imported ones first: a tuple of Function."),
     NULL},
    {"custom_sections", get_custom_sections, NULL,
     PyDoc_STR("Contents of custom sections by name, each a tuple of bytes."),
     NULL},
    {0}};

PyMethodDef py_inspect_methods[] = {
    {"validate", PY_METHOD(validate), METH_VARARGS | METH_KEYWORDS | METH_CLASS,
     PyDoc_STR("validate($type, /, source, *, features='all')\n--\n\n"
               "Find all errors of a module, without raising: a list of "
               "Diagnostic.")},
    {"to_bytes", to_bytes, METH_NOARGS,
     PyDoc_STR("to_bytes($self, /)\n--\n\nThe binary format.")},
    {"to_wat", PY_METHOD(to_wat), METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("to_wat($self, /, *, fold=False, names=True)\n--\n\n"
               "The text format, folded or flat, with or without names.")},
    {"save", save, METH_O,
     PyDoc_STR("save($self, path, /)\n--\n\nWrite the binary to a file.")},
    {"show", show, METH_NOARGS,
     PyDoc_STR("show($self, /)\n--\n\nPrint the text format.")},
    {"show_interface", show_interface, METH_NOARGS,
     PyDoc_STR("show_interface($self, /)\n--\n\n"
               "Print one line per import and export.")},
    {"_interface", interface_of, METH_NOARGS, NULL},
    {"show_bytes", show_bytes, METH_NOARGS,
     PyDoc_STR("show_bytes($self, /)\n--\n\n"
               "Print a hex dump, section by section.")},
    {"strip", PY_METHOD(strip), METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("strip($self, /, *, names=False)\n--\n\n"
               "The module without custom sections; names=True keeps names.")},
    {"optimize", PY_METHOD(optimize), METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("optimize($self, /, level=2)\n--\n\n"
               "A faster module of the same meaning (not built yet).")},
    {"disassemble", PY_METHOD(py_machine_disassemble),
     METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR(
         "disassemble($self, /, func, tier='optimize')\n--\n\n"
         "The machine code of a function, with WAT lines between, as a str.")},
    {"_repr_html_", repr_html, METH_NOARGS, NULL},
    {"__reduce__", reduce, METH_NOARGS, NULL},
    {"__copy__", copy, METH_NOARGS, NULL},
    {"__deepcopy__", copy, METH_O, NULL},
    {0}};
