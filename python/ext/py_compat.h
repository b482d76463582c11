/* py_compat.h - what differs between CPython 3.10 and 3.13. */
#ifndef CHI_PY_COMPAT_H
#define CHI_PY_COMPAT_H

#if PY_VERSION_HEX < 0x030b0000
#include <longintrepr.h>
#endif

/* The value of an int that has at most one digit: true and *value. */
static inline bool compat_small_int(PyObject *o, Py_ssize_t *value)
{
    PyLongObject *v = (PyLongObject *)o;
#if PY_VERSION_HEX >= 0x030c0000
    if (!PyUnstable_Long_IsCompact(v))
        return false;
    *value = PyUnstable_Long_CompactValue(v);
#else
    Py_ssize_t size = Py_SIZE(v);
    if (size < -1 || size > 1)
        return false;
    *value = size * (Py_ssize_t)v->ob_digit[0];
#endif
    return true;
}

/* Takes the current exception away, normalised and with its traceback. */
static inline PyObject *compat_take_exception(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* Raises it again as it is; takes the reference. */
static inline void compat_put_exception(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyErr_SetRaisedException(exception);
#else
    PyObject *type = Py_NewRef(Py_TYPE(exception));
    PyErr_Restore(type, exception, PyException_GetTraceback(exception));
#endif
}

/* The item of a dict, borrowed; 0 none, 1 there, -1 error. */
static inline int compat_dict_get(PyObject *dict, PyObject *key,
                                  PyObject **item)
{
    *item = PyDict_GetItemWithError(dict, key);
    return *item ? 1 : PyErr_Occurred() ? -1 : 0;
}

/* The attribute, if there is one: 1 and a new reference, 0, or -1. */
static inline int compat_attribute(PyObject *o, PyObject *name,
                                   PyObject **value)
{
#if PY_VERSION_HEX >= 0x030d0000
    return PyObject_GetOptionalAttr(o, name, value);
#else
    *value = PyObject_GetAttr(o, name);
    if (*value)
        return 1;
    if (!PyErr_ExceptionMatches(PyExc_AttributeError))
        return -1;
    PyErr_Clear();
    return 0;
#endif
}

#endif
