/* SPDX-License-Identifier: MIT */
/* Module.disassemble: machine code as text.  What the bytes mean is asked of a
 * disassembler, by the Python half. */
#include "py_entity.h"
#include "py_errors.h"
#include "py_module.h"

/* ---- which function */

static bool is_called(const chi_funcinfo *f, const char *name, Py_ssize_t len)
{
    return f->name && f->name_len == (size_t)len && !memcmp(f->name, name, len);
}

static int index_of_name(const chi_module *m, PyObject *o, uint32_t *index)
{
    Py_ssize_t len;
    const char *name = PyUnicode_AsUTF8AndSize(o, &len);
    if (!name)
        return -1;
    for (*index = 0; *index < chi_module_n_functions(m); ++*index) {
        chi_funcinfo f;
        chi_module_function(m, *index, &f);
        if (is_called(&f, name, len)
            || (*name == '$' && is_called(&f, name + 1, len - 1)))
            return 0;
    }
    PyErr_Format(PyExc_ValueError, "the module has no function called %R", o);
    return -1;
}

static int index_of_func(const ModuleObject *self, const FuncObject *f,
                         uint32_t *index)
{
    chi_instance *in = chi_func_instance(f->e.x.func);
    if (!in || chi_instance_module(in) != self->m) {
        PyErr_SetString(PyExc_ValueError, "the function is of another module");
        return -1;
    }
    *index = chi_func_index(f->e.x.func);
    return 0;
}

static int index_of(ModuleObject *self, PyObject *o, uint32_t *index)
{
    if (PyUnicode_Check(o))
        return index_of_name(self->m, o, index);
    if (py_is(self->state, o, TYPE_FUNC))
        return index_of_func(self, (FuncObject *)o, index);
    Py_ssize_t n = PyNumber_AsSsize_t(o, PyExc_IndexError);
    if (n == -1 && PyErr_Occurred())
        return -1;
    if (n < 0 || n >= (Py_ssize_t)chi_module_n_functions(self->m)) {
        PyErr_Format(PyExc_IndexError, "the module has no function %zd", n);
        return -1;
    }
    *index = (uint32_t)n;
    return 0;
}

/* ---- the text */

/* The code, with nops where it is data: so that what follows is found. */
static PyObject *code_to_read(const chi_native *n)
{
    enum { NOP = 0x90 };
    PyObject *o = PyBytes_FromStringAndSize((const char *)n->bytes, n->size);
    char *bytes = o ? PyBytes_AS_STRING(o) : NULL;
    for (uint32_t k = 0; bytes && k < n->n_parts; k++) {
        uint32_t from = n->parts[k].code;
        uint32_t to = k + 1 < n->n_parts ? n->parts[k + 1].code : n->size;
        if (n->parts[k].data)
            memset(bytes + from, NOP, to - from);
    }
    return o;
}

/* A list of (offset, text), or None. */
static PyObject *ask_for_lines(const chi_native *n)
{
    PyObject *helper = PyImport_ImportModule("chiasm._disassemble");
    PyObject *code = helper ? code_to_read(n) : NULL;
    PyObject *list =
        code ? PyObject_CallMethod(helper, "lines", "O", code) : NULL;
    Py_XDECREF(code);
    Py_XDECREF(helper);
    return list;
}

static chi_native_line *read_lines(PyObject *list, Py_ssize_t n)
{
    chi_native_line *lines = PyMem_New(chi_native_line, (size_t)n + 1);
    if (!lines)
        return (chi_native_line *)(uintptr_t)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n; i++) {
        unsigned code;
        if (PyArg_ParseTuple(PyList_GET_ITEM(list, i), "Is", &code,
                             &lines[i].text)) {
            lines[i].code = code;
        } else {
            PyMem_Free(lines);
            return NULL;
        }
    }
    return lines;
}

static PyObject *text_of(const chi_module *m, const chi_native *n,
                         PyObject *list)
{
    bool known = PyList_Check(list);
    Py_ssize_t n_lines = known ? PyList_GET_SIZE(list) : 0;
    chi_native_line *lines = read_lines(list, n_lines);
    if (!lines)
        return NULL;
    size_t len;
    char *text = chi_native_print(m, n, lines, (uint32_t)n_lines, &len);
    PyMem_Free(lines);
    PyObject *result = PyUnicode_FromFormat(
        "%s%s",
        known ? ""
              : "; bytes only: neither capstone nor objdump, of the binutils, "
                "is here\n",
        text);
    chi_text_free(text);
    return result;
}

static PyObject *baseline_text(ModuleObject *self, uint32_t index)
{
    chi_native n;
    chi_error err = {0};
    if (!chi_module_native(self->m, index, NULL, &n, &err)) {
        PyErr_SetString(PyExc_ValueError, err.message);
        return NULL;
    }
    PyObject *list = ask_for_lines(&n);
    PyObject *text = list ? text_of(self->m, &n, list) : NULL;
    Py_XDECREF(list);
    chi_native_free(&n);
    return text;
}

PyObject *py_machine_disassemble(PyObject *self, PyObject *args,
                                 PyObject *kwargs)
{
    static const char *const names[] = {"func", "tier", NULL};
    PyObject *func;
    const char *tier = "optimize";
    uint32_t index;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|s:disassemble",
                                     PY_NAMES(names), &func, &tier)
        || index_of(module_of(self), func, &index) < 0)
        return NULL;
    if (!strcmp(tier, "baseline"))
        return baseline_text(module_of(self), index);
    if (!strcmp(tier, "optimize"))
        PyErr_SetString(PyExc_NotImplementedError,
                        "Module.disassemble(tier='optimize') is not built yet");
    else
        PyErr_Format(PyExc_ValueError,
                     "tier is 'baseline' or 'optimize', not '%s'", tier);
    return NULL;
}
