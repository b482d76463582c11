/* SPDX-License-Identifier: MIT */
#include "py_errors.h"

#include "py_module.h"

/* ---- classes */

typedef struct {
    ErrorTag tag;
    const char *name; /* with the package */
    const char *doc;
    ErrorTag base;             /* itself: none of ours */
    PyObject **more;           /* a base of Python's, or NULL */
    const char *attributes[4]; /* ".x": None unless set, "=x": "", "*x": () */
} ErrorClass;

/* Made from specs, which is several times faster than calling type(). */
static PyTypeObject *static_base(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    while (type->tp_flags & Py_TPFLAGS_HEAPTYPE)
        type = type->tp_base;
    return type;
}

static int traverse_error(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return static_base(self)->tp_traverse(self, visit, arg);
}

static int clear_error(PyObject *self)
{
    return static_base(self)->tp_clear(self);
}

static PyObject *bases_of(State *st, const ErrorClass *c)
{
    if (c->base == c->tag)
        return Py_NewRef(*c->more);
    if (!c->more)
        return Py_NewRef(st->errors[c->base]);
    return PyTuple_Pack(2, st->errors[c->base], *c->more);
}

static PyObject *new_class(State *st, PyObject *module, const ErrorClass *c)
{
    PyType_Slot slots[] = {{Py_tp_traverse, PY_SLOT(traverse_error)},
                           {Py_tp_clear, PY_SLOT(clear_error)},
                           {Py_tp_doc, (void *)(uintptr_t)c->doc},
                           {0, NULL}};
    PyType_Spec spec = {
        .name = c->name,
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    PyObject *bases = bases_of(st, c);
    PyObject *class =
        bases ? PyType_FromModuleAndSpec(module, &spec, bases) : NULL;
    Py_XDECREF(bases);
    return class;
}

static int add_attributes(PyObject *class, const ErrorClass *c)
{
    int result = 0;
    for (int i = 0; !result && i < 4 && c->attributes[i]; i++) {
        const char *name = c->attributes[i];
        PyObject *value = *name == '='   ? PyUnicode_FromString("")
                          : *name == '*' ? PyTuple_New(0)
                                         : Py_NewRef(Py_None);
        result = value ? PyObject_SetAttrString(class, name + 1, value) : -1;
        Py_XDECREF(value);
    }
    return result;
}

static PyObject *make_class(State *st, PyObject *module, const ErrorClass *c)
{
    PyObject *class = new_class(st, module, c);
    if (class && add_attributes(class, c) < 0)
        Py_CLEAR(class);
    return class;
}

static int add_class(State *st, PyObject *module, ErrorTag tag, PyObject *class)
{
    if (!class)
        return -1;
    st->errors[tag] = class;
    const char *name = ((PyTypeObject *)class)->tp_name;
    const char *dot = strrchr(name, '.');
    return PyModule_AddObjectRef(module, dot ? dot + 1 : name, class);
}

int py_errors_init(State *st, PyObject *module)
{
    const ErrorClass classes[] = {
        {ERROR_ERROR,
         "chiasm.Error",
         "The base of all of Chiasm's errors.",
         ERROR_ERROR,
         &PyExc_Exception,
         {NULL}},
        {ERROR_COMPILE,
         "chiasm.CompileError",
         "A module, or Python source, that is malformed or invalid.",
         ERROR_ERROR,
         &PyExc_SyntaxError,
         {".byte_offset", ".function", NULL}},
        {ERROR_LINK,
         "chiasm.LinkError",
         "Imports that are missing or do not fit; `problems` has them all.",
         ERROR_ERROR,
         &PyExc_ImportError,
         {"*problems", NULL}},
        {ERROR_TRAP,
         "chiasm.Trap",
         "The guest did what the specification ends it for.",
         ERROR_ERROR,
         &PyExc_RuntimeError,
         {"=code", "*frames", NULL}},
        {ERROR_STACK_OVERFLOW,
         "chiasm.StackOverflow",
         "The guest's calls nest too deeply.",
         ERROR_TRAP,
         &PyExc_RecursionError,
         {NULL}},
        {ERROR_OUT_OF_FUEL,
         "chiasm.OutOfFuel",
         "The store's fuel is used up.",
         ERROR_TRAP,
         NULL,
         {NULL}},
        {ERROR_CANCELLED,
         "chiasm.Cancelled",
         "Another thread called cancel().",
         ERROR_ERROR,
         NULL,
         {NULL}},
        {ERROR_EXIT,
         "chiasm.Exit",
         "The guest ended itself by proc_exit.",
         ERROR_ERROR,
         NULL,
         {".code", NULL}},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (add_class(st, module, classes[i].tag,
                      make_class(st, module, &classes[i]))
            < 0)
            return -1;
    return add_class(st, module, ERROR_EXCEPTION,
                     (PyObject *)py_exception_type(st, module));
}

/* ---- plain raising */

static PyObject *class_of(State *st, chi_code code)
{
    switch (code) {
    case CHI_MALFORMED:
    case CHI_INVALID:
    case CHI_SYNTAX:
    case CHI_LIMIT: return st->errors[ERROR_COMPILE];
    case CHI_LINK: return st->errors[ERROR_LINK];
    case CHI_MEMORY: return PyExc_MemoryError;
    case CHI_UNSUPPORTED: return PyExc_NotImplementedError;
    case CHI_ARGUMENT: return PyExc_ValueError;
    case CHI_STACK: return st->errors[ERROR_STACK_OVERFLOW];
    case CHI_OUT_OF_FUEL: return st->errors[ERROR_OUT_OF_FUEL];
    default:
        return chi_code_is_trap(code) ? st->errors[ERROR_TRAP]
                                      : PyExc_RuntimeError;
    }
}

PyObject *py_error_raise(State *st, const chi_error *err)
{
    PyErr_SetString(class_of(st, err->code), err->message);
    return NULL;
}

/* ---- CompileError */

/* The line of text an error is in. */
static PyObject *line_of(const chi_error *err, const char *text, size_t len)
{
    const char *end = text + len, *from = text, *to;
    for (uint32_t line = 1; line < err->line && from < end; line++) {
        const char *next = memchr(from, '\n', (size_t)(end - from));
        from = next ? next + 1 : end;
    }
    to = memchr(from, '\n', (size_t)(end - from));
    Py_ssize_t n = (to ? to : end) - from;
    if (n && from[n - 1] == '\r')
        n--;
    return PyUnicode_DecodeUTF8(from, n, "replace");
}

PyObject *py_error_bytes(const chi_error *err, const char *bytes, size_t len)
{
    enum { AROUND = 8 };
    char text[2 * (AROUND * 2 * 3 + 8)], *p = text;
    if (err->offset == UINT64_MAX || err->offset > len)
        return PyUnicode_FromString("");
    size_t at = (size_t)err->offset;
    size_t from = at > AROUND ? at - AROUND : 0;
    size_t to = len - at > AROUND ? at + AROUND : len;
    p += sprintf(p, "   ");
    for (size_t i = from; i < to; i++)
        p += sprintf(p, " %02x", (unsigned)(uint8_t)bytes[i]);
    sprintf(p, "\n%*s^", (int)(4 + (at - from) * 3), "");
    return PyUnicode_FromString(text);
}

static int set_number(PyObject *e, const char *name, uint64_t value,
                      bool is_known)
{
    PyObject *v =
        is_known ? PyLong_FromUnsignedLongLong(value) : Py_NewRef(Py_None);
    int result = v ? PyObject_SetAttrString(e, name, v) : -1;
    Py_XDECREF(v);
    return result;
}

/* (message, (file, line, column, text)) as SyntaxError takes it. */
static PyObject *error_in_text(PyObject *class, const chi_error *err,
                               PyObject *file, const char *text, size_t len)
{
    PyObject *line = line_of(err, text, len);
    if (!line)
        return NULL;
    return PyObject_CallFunction(class, "s(OIIN)", err->message,
                                 file ? file : Py_None, (unsigned)err->line,
                                 (unsigned)err->column, line);
}

/* Without a line Python would print no place, so the message has it. */
static PyObject *error_in_bytes(PyObject *class, const chi_error *err,
                                PyObject *file, const char *bytes, size_t len)
{
    char offset[32] = "";
    PyObject *shown = py_error_bytes(err, bytes, len), *message = NULL, *e;
    if (err->offset != UINT64_MAX)
        sprintf(offset, ", at byte 0x%llx", (unsigned long long)err->offset);
    if (shown)
        message = PyUnicode_FromFormat("%s%s\n%U", err->message, offset, shown);
    e = message ? PyObject_CallOneArg(class, message) : NULL;
    if (e
        && (PyObject_SetAttrString(e, "text", shown) < 0
            || (file && PyObject_SetAttrString(e, "filename", file) < 0)))
        Py_CLEAR(e);
    Py_XDECREF(message);
    Py_XDECREF(shown);
    return e;
}

PyObject *py_error_raise_compile(State *st, const chi_error *err,
                                 PyObject *file, const char *source, size_t len,
                                 bool is_text)
{
    PyObject *class = st->errors[ERROR_COMPILE], *e;
    if (class_of(st, err->code) != class)
        return py_error_raise(st, err);
    if (is_text && err->line)
        e = error_in_text(class, err, file, source, len);
    else
        e = error_in_bytes(class, err, file, source, is_text ? 0 : len);
    if (!e)
        return NULL;
    if (set_number(e, "byte_offset", err->offset, err->offset != UINT64_MAX)
            == 0
        && set_number(e, "function", err->function, err->function != UINT32_MAX)
               == 0)
        PyErr_SetObject(class, e);
    Py_DECREF(e);
    return NULL;
}

/* ---- the guest's failures */

static PyObject *new_trap(StoreObject *s, chi_code code, const chi_error *err,
                          const Backtrace *b)
{
    State *st = s->state;
    PyObject *frames = py_traceback_frames(s, b);
    PyObject *text = PyUnicode_FromString(chi_code_text(code));
    PyObject *e = NULL;
    if (frames && text)
        e = PyObject_CallFunction(class_of(st, code), "s",
                                  err && *err->message ? err->message
                                                       : chi_code_text(code));
    if (e
        && (PyObject_SetAttr(e, st->strings[STRING_code], text) < 0
            || PyObject_SetAttr(e, st->strings[STRING_frames], frames) < 0))
        Py_CLEAR(e);
    Py_XDECREF(frames);
    Py_XDECREF(text);
    return e;
}

/* The Python exception that left the guest; NULL with an error set. */
static PyObject *exception_of(StoreObject *s, chi_code code,
                              const chi_error *err, const Backtrace *b)
{
    if (code == CHI_HOST || code == CHI_INTERRUPTED) {
        PyObject *e = s->pending;
        s->pending = NULL;
        if (!e)
            PyErr_SetString(PyExc_SystemError, "a host function failed");
        return e;
    }
    if (code == CHI_EXCEPTION)
        return py_exception_taken(s);
    return new_trap(s, code, err, b);
}

void py_error_raise_guest(StoreObject *s, chi_code code, const chi_error *err)
{
    PyObject *e;
    Backtrace b;
    py_traceback_take(s, &b);
    if (code != CHI_HOST && code != CHI_INTERRUPTED && code != CHI_EXCEPTION
        && !chi_code_is_trap(code)) {
        py_error_raise(s->state, err);
    } else if ((e = exception_of(s, code, err, &b))) {
        compat_put_exception(e);
        py_traceback_add(s, &b);
    }
    py_traceback_drop(&b);
    Py_CLEAR(s->thrown);
    py_store_settle(s);
}
