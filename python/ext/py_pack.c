/* SPDX-License-Identifier: MIT */
/* Memory.unpack and Memory.pack.
 *
 * Little-endian formats of plain codes are done here, at the cost of a loop;
 * whatever else a format has, and every error in it, is left to the struct
 * module.
 */
#include "py_memory.h"
#include "py_values.h"

/* ---- formats */

typedef struct {
    const char *at;
    Py_ssize_t count; /* of the code before `at` */
    char code;
} Cursor;

typedef enum { CODE_END, CODE_ONE, CODE_FOREIGN } CodeResult;

static Py_ssize_t size_of(char code)
{
    switch (code) {
    case 'x':
    case 'b':
    case 'B':
    case '?':
    case 's': return 1;
    case 'h':
    case 'H': return 2;
    case 'i':
    case 'I':
    case 'l':
    case 'L':
    case 'f': return 4;
    case 'q':
    case 'Q':
    case 'd': return 8;
    default: return 0;
    }
}

static CodeResult next_code(Cursor *c)
{
    enum { COUNT_MAX = 1 << 24 };
    const char *digits = c->at;
    c->count = 0;
    while (*c->at >= '0' && *c->at <= '9' && c->count < COUNT_MAX)
        c->count = c->count * 10 + (*c->at++ - '0');
    if (c->at == digits) {
        if (!*c->at)
            return CODE_END;
        c->count = 1;
    }
    c->code = *c->at;
    if (!size_of(c->code))
        return CODE_FOREIGN;
    c->at++;
    return CODE_ONE;
}

static Py_ssize_t n_values(const Cursor *c)
{
    return c->code == 'x' ? 0 : c->code == 's' ? 1 : c->count;
}

/* Bytes and values of a format; false: not for us. */
static bool measure(const char *format, Py_ssize_t *bytes, Py_ssize_t *values)
{
    Cursor c = {.at = format + 1};
    CodeResult r;
    *bytes = *values = 0;
    if (*format != '<' && *format != '=')
        return false;
    while ((r = next_code(&c)) == CODE_ONE) {
        *bytes += c.count * size_of(c.code);
        *values += n_values(&c);
    }
    return r == CODE_END;
}

/* The format as a C string, borrowed; NULL: not for us. */
static const char *format_of(PyObject *o)
{
    const char *format = PyUnicode_Check(o) ? PyUnicode_AsUTF8(o) : NULL;
    if (!format)
        PyErr_Clear();
    return format;
}

/* ---- reading */

/* Of a shared memory other threads may write the bytes just now; aligned
 * values are read whole. */
static uint64_t load(const uint8_t *at, Py_ssize_t size)
{
    uint64_t bits = 0;
    uintptr_t address = (uintptr_t)at;
    if (size == 4 && address % 4 == 0)
        return __atomic_load_n((const uint32_t *)address, __ATOMIC_RELAXED);
    if (size == 8 && address % 8 == 0)
        return __atomic_load_n((const uint64_t *)address, __ATOMIC_RELAXED);
    memcpy(&bits, at, (size_t)size);
    return bits;
}

static PyObject *read_one(char code, const uint8_t *at)
{
    uint64_t bits = load(at, size_of(code));
    switch (code) {
    case 'b': return PyLong_FromLong((int8_t)bits);
    case 'h': return PyLong_FromLong((int16_t)bits);
    case 'i':
    case 'l': return PyLong_FromLong((int32_t)(uint32_t)bits);
    case 'q': return PyLong_FromLongLong((int64_t)bits);
    case '?': return PyBool_FromLong(bits != 0);
    case 'f': return PyFloat_FromDouble((double)f32_of_bits(bits));
    case 'd': return PyFloat_FromDouble(f64_of_bits(bits));
    default: return PyLong_FromUnsignedLongLong(bits);
    }
}

/* The values of one code, from *i on. */
static int read_code(const Cursor *c, const uint8_t *at, PyObject *tuple,
                     Py_ssize_t *i)
{
    Py_ssize_t n = n_values(c);
    for (Py_ssize_t k = 0; k < n; k++) {
        PyObject *v =
            c->code == 's'
                ? PyBytes_FromStringAndSize((const char *)at, c->count)
                : read_one(c->code, at);
        if (!v)
            return -1;
        PyTuple_SET_ITEM(tuple, (*i)++, v);
        at += size_of(c->code);
    }
    return 0;
}

static PyObject *read_all(const char *format, const uint8_t *at,
                          Py_ssize_t values)
{
    Cursor c = {.at = format + 1};
    Py_ssize_t i = 0;
    PyObject *tuple = PyTuple_New(values);
    while (tuple && next_code(&c) == CODE_ONE) {
        if (read_code(&c, at, tuple, &i) < 0)
            Py_CLEAR(tuple);
        at += c.count * size_of(c.code);
    }
    return tuple;
}

static int get_offset(PyObject *const *args, Py_ssize_t n, Py_ssize_t i,
                      Py_ssize_t *offset)
{
    *offset = 0;
    if (i >= n)
        return 0;
    *offset = PyNumber_AsSsize_t(args[i], PyExc_IndexError);
    return *offset == -1 && PyErr_Occurred() ? -1 : 0;
}

/* The bytes of any format the struct module knows; -1: it does not. */
static Py_ssize_t struct_size(PyObject *module, PyObject *format)
{
    PyObject *size = PyObject_CallMethod(module, "calcsize", "O", format);
    Py_ssize_t n = size ? PyLong_AsSsize_t(size) : -1;
    Py_XDECREF(size);
    return n;
}

static PyObject *struct_unpack(PyObject *self, PyObject *format,
                               Py_ssize_t offset)
{
    PyObject *result = NULL, *bytes = NULL;
    PyObject *module = PyImport_ImportModule("struct");
    Py_ssize_t size = module ? struct_size(module, format) : -1;
    const uint8_t *from = size < 0 ? NULL : py_memory_range(self, offset, size);
    if (from)
        bytes = PyBytes_FromStringAndSize((const char *)from, size);
    if (bytes)
        result = PyObject_CallMethod(module, "unpack", "OO", format, bytes);
    Py_XDECREF(bytes);
    Py_XDECREF(module);
    return result;
}

/* "<i" and its like, the usual case. */
static PyObject *unpack_one(PyObject *self, char code, Py_ssize_t offset)
{
    const uint8_t *from = py_memory_range(self, offset, size_of(code));
    PyObject *v = from ? read_one(code, from) : NULL;
    if (!v)
        return NULL;
    PyObject *tuple = PyTuple_New(1);
    if (tuple)
        PyTuple_SET_ITEM(tuple, 0, v);
    else
        Py_DECREF(v);
    return tuple;
}

static bool is_one_number(const char *format)
{
    return *format == '<' && size_of(format[1]) && format[1] != 'x'
           && format[1] != 's' && !format[2];
}

PyObject *py_memory_unpack(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Py_ssize_t offset, bytes, values;
    if (n < 1 || n > 2) {
        PyErr_SetString(PyExc_TypeError, "unpack() takes format and offset");
        return NULL;
    }
    if (get_offset(args, n, 1, &offset) < 0)
        return NULL;
    const char *format = format_of(args[0]);
    if (format && is_one_number(format))
        return unpack_one(self, format[1], offset);
    if (!format || !measure(format, &bytes, &values))
        return struct_unpack(self, args[0], offset);
    const uint8_t *from = py_memory_range(self, offset, bytes);
    return from ? read_all(format, from, values) : NULL;
}

/* ---- writing */

static bool is_in_range(char code, int64_t v)
{
    switch (code) {
    case 'b': return v >= INT8_MIN && v <= INT8_MAX;
    case 'B': return v >= 0 && v <= UINT8_MAX;
    case 'h': return v >= INT16_MIN && v <= INT16_MAX;
    case 'H': return v >= 0 && v <= UINT16_MAX;
    case 'i':
    case 'l': return v >= INT32_MIN && v <= INT32_MAX;
    case 'I':
    case 'L': return v >= 0 && v <= UINT32_MAX;
    default: return code == 'q';
    }
}

/* false: the value is not a plain one that fits; the struct module knows what
 * is wrong with it. */
static bool write_one(char code, PyObject *v, uint8_t *at)
{
    uint64_t bits;
    if (code == 'f' || code == 'd') {
        if (!PyFloat_CheckExact(v))
            return false;
        double d = PyFloat_AS_DOUBLE(v);
        if (code == 'f' && !(d <= 3e38 && d >= -3e38))
            return false; /* infinite, NaN, or an overflow */
        bits = code == 'f' ? bits_of_f32((float)d) : bits_of_f64(d);
    } else {
        int overflow = 0;
        if (!PyLong_CheckExact(v))
            return false;
        long long i = PyLong_AsLongLongAndOverflow(v, &overflow);
        if (overflow || !is_in_range(code, i))
            return false;
        bits = (uint64_t)i;
    }
    memcpy(at, &bits, (size_t)size_of(code));
    return true;
}

enum { PACK_BYTES = 256 };

static bool write_all(const char *format, PyObject *const *v, uint8_t *at)
{
    Cursor c = {.at = format + 1};
    while (next_code(&c) == CODE_ONE) {
        Py_ssize_t n = n_values(&c);
        if (c.code == 's' || c.code == '?')
            return false;
        for (Py_ssize_t k = 0; k < n; k++)
            if (!write_one(c.code, *v++, at + k * size_of(c.code)))
                return false;
        at += c.count * size_of(c.code);
    }
    return true;
}

static int store_bytes(PyObject *self, Py_ssize_t offset, const void *from,
                       Py_ssize_t n)
{
    uint8_t *to = py_memory_range(self, offset, n);
    if (to)
        memcpy(to, from, (size_t)n);
    return to ? 0 : -1;
}

/* format, values ... as struct.pack takes them. */
static PyObject *struct_pack(PyObject *const *args, Py_ssize_t n)
{
    PyObject *module = PyImport_ImportModule("struct"), *bytes = NULL;
    PyObject *pack = module ? PyObject_GetAttrString(module, "pack") : NULL;
    PyObject *all = pack ? PyTuple_New(n - 1) : NULL;
    for (Py_ssize_t i = 0; all && i < n - 1; i++)
        PyTuple_SET_ITEM(all, i, Py_NewRef(args[i ? i + 1 : 0]));
    if (all)
        bytes = PyObject_CallObject(pack, all);
    Py_XDECREF(all);
    Py_XDECREF(pack);
    Py_XDECREF(module);
    return bytes;
}

static int pack_slowly(PyObject *self, PyObject *const *args, Py_ssize_t n,
                       Py_ssize_t offset)
{
    PyObject *bytes = struct_pack(args, n);
    if (!bytes)
        return -1;
    int result = store_bytes(self, offset, PyBytes_AS_STRING(bytes),
                             PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return result;
}

PyObject *py_memory_pack(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Py_ssize_t offset, bytes, values;
    uint8_t buffer[PACK_BYTES] = {0};
    int result;
    if (n < 2) {
        PyErr_SetString(PyExc_TypeError,
                        "pack() takes format, offset and the values");
        return NULL;
    }
    if (get_offset(args, n, 1, &offset) < 0)
        return NULL;
    const char *format = format_of(args[0]);
    if (format && measure(format, &bytes, &values) && bytes <= PACK_BYTES
        && values == n - 2 && write_all(format, args + 2, buffer))
        result = store_bytes(self, offset, buffer, bytes);
    else
        result = pack_slowly(self, args, n, offset);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}
