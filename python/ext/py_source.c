/* SPDX-License-Identifier: MIT */
#include "py_module.h"

/* Text starts with a parenthesis or a comment, whatever white space is before
 * it; no path does. */
static bool looks_like_wat(const char *text)
{
    text += strspn(text, " \t\r\n");
    return *text == '(' || *text == ';';
}

/* The binary format starts with \0asm; what starts with that NUL, or is
 * empty, was meant to. */
static bool looks_like_binary(const char *bytes, Py_ssize_t len)
{
    return len == 0 || bytes[0] == '\0';
}

static int take_str(Source *s, PyObject *text)
{
    s->bytes = PyUnicode_AsUTF8AndSize(text, &s->len);
    s->is_text = true;
    s->keep = Py_NewRef(text);
    return s->bytes ? 0 : -1;
}

static int take_buffer(Source *s, PyObject *o)
{
    if (PyObject_GetBuffer(o, &s->view, PyBUF_SIMPLE) < 0)
        return -1;
    s->bytes = s->view.buf;
    s->len = s->view.len;
    s->is_text = !looks_like_binary(s->bytes, s->len);
    return 0;
}

static int take_contents(Source *s, PyObject *contents)
{
    if (!contents)
        return -1;
    int result = PyUnicode_Check(contents) ? take_str(s, contents)
                                           : take_buffer(s, contents);
    Py_DECREF(contents);
    return result;
}

static int take_path(Source *s, PyObject *path)
{
    PyObject *io = PyImport_ImportModule("io"), *file = NULL, *contents = NULL;
    if (io)
        file = PyObject_CallMethod(io, "open", "Os", path, "rb");
    if (file) {
        contents = PyObject_CallMethod(file, "read", NULL);
        PyObject *closed = PyObject_CallMethod(file, "close", NULL);
        Py_XDECREF(closed);
    }
    Py_XDECREF(file);
    Py_XDECREF(io);
    if (take_contents(s, contents) < 0)
        return -1;
    PyObject *text = PyOS_FSPath(path);
    if (text && PyBytes_Check(text))
        Py_SETREF(text, PyUnicode_DecodeFSDefault(PyBytes_AS_STRING(text)));
    s->file = text;
    return text ? 0 : -1;
}

static int take_file(Source *s, PyObject *file)
{
    PyObject *contents = PyObject_CallMethod(file, "read", NULL);
    if (take_contents(s, contents) < 0)
        return -1;
    s->file = PyObject_GetAttrString(file, "name");
    if (!s->file || !PyUnicode_Check(s->file))
        Py_CLEAR(s->file);
    PyErr_Clear();
    return 0;
}

static int take_any(Source *s, PyObject *o)
{
    if (PyUnicode_Check(o)) {
        const char *text = PyUnicode_AsUTF8(o);
        if (text)
            return looks_like_wat(text) ? take_str(s, o) : take_path(s, o);
        PyErr_Clear(); /* a path with bytes that are no text */
        return take_path(s, o);
    }
    if (PyObject_CheckBuffer(o))
        return take_buffer(s, o);
    if (PyObject_HasAttrString(o, "__fspath__"))
        return take_path(s, o);
    if (PyObject_HasAttrString(o, "read"))
        return take_file(s, o);
    PyErr_Format(PyExc_TypeError,
                 "a module's source is bytes, WAT, a path or a binary file, "
                 "not %s",
                 Py_TYPE(o)->tp_name);
    return -1;
}

int py_source_open(Source *s, PyObject *source)
{
    *s = (Source){0};
    if (take_any(s, source) == 0)
        return 0;
    py_source_close(s);
    return -1;
}

void py_source_close(Source *s)
{
    if (s->view.obj)
        PyBuffer_Release(&s->view);
    Py_CLEAR(s->keep);
    Py_CLEAR(s->file);
}

PyObject *py_source_stem(const Source *s)
{
    static const char *const endings[] = {".wasm", ".wat", ".wast"};
    Py_ssize_t len;
    const char *path = s->file ? PyUnicode_AsUTF8AndSize(s->file, &len) : NULL;
    if (!path) {
        PyErr_Clear();
        return NULL;
    }
    const char *slash = strrchr(path, '/');
    const char *stem = slash ? slash + 1 : path;
    Py_ssize_t n = path + len - stem;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        Py_ssize_t k = (Py_ssize_t)strlen(endings[i]);
        if (n > k && strcmp(stem + n - k, endings[i]) == 0)
            return PyUnicode_DecodeUTF8(stem, n - k, "replace");
    }
    return PyUnicode_DecodeUTF8(stem, n, "replace");
}

/* ---- features */

static int feature_of(PyObject *name, chi_features *out)
{
    const char *known;
    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "names of features must be str");
        return -1;
    }
    for (unsigned i = 0; (known = chi_feature_name(i)); i++)
        if (PyUnicode_CompareWithASCIIString(name, known) == 0) {
            *out |= (chi_features)1 << i;
            return 0;
        }
    PyErr_Format(PyExc_ValueError, "%R is no feature; see chiasm.features()",
                 name);
    return -1;
}

static int edition_of(PyObject *name, chi_features *out)
{
    if (PyUnicode_CompareWithASCIIString(name, "all") == 0)
        *out = chi_features_all();
    else if (PyUnicode_CompareWithASCIIString(name, "3.0") == 0)
        *out = chi_features_edition(3);
    else if (PyUnicode_CompareWithASCIIString(name, "2.0") == 0)
        *out = chi_features_edition(2);
    else if (PyUnicode_CompareWithASCIIString(name, "1.0") == 0)
        *out = chi_features_edition(1);
    else {
        PyErr_Format(PyExc_ValueError,
                     "features must be 'all', '3.0', '2.0', '1.0' or a set of "
                     "names, not %R",
                     name);
        return -1;
    }
    return 0;
}

int py_source_features(PyObject *o, chi_features *out)
{
    *out = 0;
    if (!o) {
        *out = chi_features_all();
        return 0;
    }
    if (PyUnicode_Check(o))
        return edition_of(o, out);
    if (PyLong_CheckExact(o)) { /* as pickles have it */
        *out = (chi_features)PyLong_AsUnsignedLongMask(o);
        return 0;
    }
    PyObject *names = PySequence_Tuple(o);
    int result = names ? 0 : -1;
    for (Py_ssize_t i = 0; !result && i < PyTuple_GET_SIZE(names); i++)
        result = feature_of(PyTuple_GET_ITEM(names, i), out);
    Py_XDECREF(names);
    return result;
}
