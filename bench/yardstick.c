/* yardstick.c - what a call costs when nothing but C is behind it.
 *
 * METH_FASTCALL functions with the checks that a binding must make: number
 * of arguments, kind, range.  They are the floor for calls from Python into
 * WebAssembly, and each() for calls back out of it.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

static bool check_count(const char *name, Py_ssize_t got, Py_ssize_t want)
{
    if (got == want)
        return true;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments, not %zd", name,
                 want, got);
    return false;
}

/* Takes -2^31 to 2^32 - 1, as both signednesses of an i32. */
static bool get_i32(PyObject *object, uint32_t *out)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);

    if (value == -1 && !overflow && PyErr_Occurred())
        return false;
    if (overflow || value < INT32_MIN || value > UINT32_MAX) {
        PyErr_Format(PyExc_OverflowError, "%R does not fit into an i32",
                     object);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

/* Takes -2^63 to 2^64 - 1. */
static bool get_i64(PyObject *object, uint64_t *out)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);

    if (overflow > 0)
        value = (long long)PyLong_AsUnsignedLongLong(object);
    if (overflow < 0)
        PyErr_Format(PyExc_OverflowError, "%R does not fit into an i64",
                     object);
    if (value == -1 && PyErr_Occurred())
        return false;
    *out = (uint64_t)value;
    return true;
}

static bool get_f64(PyObject *object, double *out)
{
    *out = PyFloat_CheckExact(object) ? PyFloat_AS_DOUBLE(object)
                                      : PyFloat_AsDouble(object);
    return *out != -1 || !PyErr_Occurred();
}

static PyObject *nop(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)self;
    (void)args;
    if (!check_count("nop", n, 0))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *add(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    uint32_t a, b;

    (void)self;
    if (!check_count("add", n, 2) || !get_i32(args[0], &a)
        || !get_i32(args[1], &b))
        return NULL;
    return PyLong_FromLong((int32_t)(a + b));
}

static PyObject *add_i64(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    uint64_t a, b;

    (void)self;
    if (!check_count("add_i64", n, 2) || !get_i64(args[0], &a)
        || !get_i64(args[1], &b))
        return NULL;
    return PyLong_FromLongLong((int64_t)(a + b));
}

static PyObject *add_f64(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    double a, b;

    (void)self;
    if (!check_count("add_f64", n, 2) || !get_f64(args[0], &a)
        || !get_f64(args[1], &b))
        return NULL;
    return PyFloat_FromDouble(a + b);
}

static PyObject *add6(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    uint32_t sum = 0, value;

    (void)self;
    if (!check_count("add6", n, 6))
        return NULL;
    for (Py_ssize_t i = 0; i < 6; i++) {
        if (!get_i32(args[i], &value))
            return NULL;
        sum += value;
    }
    return PyLong_FromLong((int32_t)sum);
}

static bool call_back(PyObject *function, uint32_t i, uint32_t *out)
{
    PyObject *argument = PyLong_FromLong((int32_t)i), *result;
    bool ok;

    if (!argument)
        return false;
    result = PyObject_Vectorcall(function, &argument, 1, NULL);
    Py_DECREF(argument);
    if (!result)
        return false;
    ok = get_i32(result, out);
    Py_DECREF(result);
    return ok;
}

/* each(function, n): the sum of function(i) for i below n. */
static PyObject *each(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    uint32_t count, sum = 0, value;

    (void)self;
    if (!check_count("each", n, 2) || !get_i32(args[1], &count))
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!call_back(args[0], i, &value))
            return NULL;
        sum += value;
    }
    return PyLong_FromLong((int32_t)sum);
}

/* The loop of the kernel spin in tiny_wasm.py. */
static PyObject *spin(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    uint32_t count, acc = 0;

    (void)self;
    if (!check_count("spin", n, 1) || !get_i32(args[0], &count))
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        acc = (acc ^ i) * 31 + i;
    return PyLong_FromLong((int32_t)acc);
}

#define METHOD(name)                                                           \
    {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    METHOD(nop),  METHOD(add),  METHOD(add_i64), METHOD(add_f64),
    METHOD(add6), METHOD(each), METHOD(spin),    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "yardstick",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit_yardstick(void) { return PyModule_Create(&definition); }
