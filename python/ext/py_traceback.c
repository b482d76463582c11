/* SPDX-License-Identifier: MIT */
/* Guest frames in Python tracebacks.
 *
 * A traceback is made of frames, a frame of a code object: for each guest
 * frame an empty code object is made with the function's name, and the file
 * and line of its source; where they are not known, the module's name as the
 * file and the offset of the instruction as the line.
 */
#include "py_errors.h"
#include "py_instance.h"
#include "py_record.h"

#include <frameobject.h>

static PyObject *function_name(const chi_frame *frame)
{
    chi_funcinfo info;
    chi_module_function(frame->module, frame->function, &info);
    if (!info.name)
        return PyUnicode_FromFormat("$%u", (unsigned)frame->function);
    PyObject *name = PyUnicode_DecodeUTF8(info.name, info.name_len, "replace");
    if (!name)
        return NULL;
    PyObject *result = PyUnicode_FromFormat("$%U", name);
    Py_DECREF(name);
    return result;
}

/* The name given to the instance, to its Module, or in the name section. */
static PyObject *module_name(StoreObject *s, const chi_frame *frame)
{
    const chi_module *m = frame->module;
    PyObject *given = py_store_instance_name(s, frame->instance);
    PyObject *known = py_map_get(&s->state->modules, m);
    size_t len = 0;
    if (given)
        return Py_NewRef(given);
    if (known)
        return py_module_name(known);
    const char *name = chi_module_name(m, &len);
    if (!name)
        Py_RETURN_NONE;
    return PyUnicode_DecodeUTF8(name, (Py_ssize_t)len, "replace");
}

static PyObject *file_name(StoreObject *s, const chi_frame *frame)
{
    PyObject *name = module_name(s, frame), *result;
    if (!name)
        return NULL;
    result = name == Py_None ? PyUnicode_FromString("<wasm>")
                             : PyUnicode_FromFormat("<wasm %U>", name);
    Py_DECREF(name);
    return result;
}

/* Python opens the file of a frame to show the line, and whoever made the
 * module has chosen its name.  So that no traceback shows another file, one
 * that is not named as the source of a compiled language is given in < >,
 * which Python leaves alone. */
static bool is_source(const char *file)
{
    static const char *const endings[] = {
        "adb", "c",   "cc",    "cpp", "cs",  "cxx",  "d",    "f90",
        "go",  "gr",  "h",     "hh",  "hpp", "hs",   "hxx",  "kt",
        "m",   "mbt", "ml",    "mm",  "nim", "odin", "pas",  "rs",
        "s",   "S",   "swift", "ts",  "wat", "v",    "wast", "zig"};
    const char *dot = strrchr(file, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (!strcmp(dot + 1, endings[i]))
            return true;
    return false;
}

/* The file, and the line in it or what stands for it. */
static PyObject *place_of(StoreObject *s, const chi_frame *frame, int *line)
{
    chi_source source;
    *line = (int)frame->offset;
    if (!chi_module_source(frame->module, frame->offset, &source))
        return file_name(s, frame);
    *line = (int)source.line;
    return PyUnicode_FromFormat(is_source(source.file) ? "%s" : "<wasm %s>",
                                source.file);
}

static PyCodeObject *new_code(StoreObject *s, const chi_frame *frame, int *line)
{
    PyCodeObject *code = NULL;
    PyObject *name = function_name(frame), *file = place_of(s, frame, line);
    const char *name8 = name ? PyUnicode_AsUTF8(name) : NULL;
    const char *file8 = file ? PyUnicode_AsUTF8(file) : NULL;
    if (name8 && file8)
        code = PyCode_NewEmpty(file8, name8, *line);
    Py_XDECREF(name);
    Py_XDECREF(file);
    return code;
}

static PyFrameObject *new_frame(StoreObject *s, const chi_frame *frame)
{
    int line;
    PyCodeObject *code = new_code(s, frame, &line);
    if (!code)
        return NULL;
    PyFrameObject *result =
        PyFrame_New(PyThreadState_Get(), code, s->state->frame_globals, NULL);
#if PY_VERSION_HEX < 0x030b0000
    if (result)
        result->f_lineno = line;
#endif
    Py_DECREF(code);
    return result;
}

void py_traceback_take(StoreObject *s, Backtrace *b)
{
    b->n = chi_store_n_frames(s->store);
    if (b->n > FRAMES_MAX)
        b->n = FRAMES_MAX;
    for (uint32_t i = 0; i < b->n; i++) {
        chi_store_frame(s->store, i, &b->frames[i]);
        chi_module_ref((chi_module *)(uintptr_t)b->frames[i].module);
    }
}

void py_traceback_drop(Backtrace *b)
{
    for (uint32_t i = 0; i < b->n; i++)
        chi_module_free((chi_module *)(uintptr_t)b->frames[i].module);
}

/* Failures on the way leave the frame out: the exception matters more. */
static void add_frame(StoreObject *s, const chi_frame *frame)
{
    PyObject *e = compat_take_exception();
    PyFrameObject *f = new_frame(s, frame);
    PyErr_Clear();
    compat_put_exception(e);
    if (f)
        PyTraceBack_Here(f);
    Py_XDECREF(f);
}

void py_traceback_add(StoreObject *s, const Backtrace *b)
{
    for (uint32_t i = 0; i < b->n; i++)
        add_frame(s, &b->frames[i]);
}

static PyObject *frame_record(StoreObject *s, const chi_frame *frame)
{
    chi_source at;
    bool known = chi_module_source(frame->module, frame->offset, &at);
    PyObject *fields[] = {
        function_name(frame),
        PyLong_FromUnsignedLong(frame->function),
        module_name(s, frame),
        PyLong_FromUnsignedLong(frame->offset),
        known ? PyUnicode_FromString(at.file) : Py_NewRef(Py_None),
        known ? PyLong_FromUnsignedLong(at.line) : Py_NewRef(Py_None),
    };
    return py_record_make(s->state, TYPE_FRAME, fields,
                          sizeof fields / sizeof *fields);
}

PyObject *py_traceback_frames(StoreObject *s, const Backtrace *b)
{
    PyObject *tuple = PyTuple_New(b->n);
    for (uint32_t i = 0; tuple && i < b->n; i++) {
        PyObject *record = frame_record(s, &b->frames[i]);
        if (record)
            PyTuple_SET_ITEM(tuple, i, record);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}
