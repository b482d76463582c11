/* py_compat.h - what differs between CPython 3.10 and 3.13. */
#ifndef CHI_PY_COMPAT_H
#define CHI_PY_COMPAT_H

#if PY_VERSION_HEX < 0x030b0000
#include <longintrepr.h>
#endif

/* Does one thread at a time run Python code? */
#ifdef Py_GIL_DISABLED
#define COMPAT_GIL 0
#else
#define COMPAT_GIL 1
#endif

/* The value of an int of one digit, or none: true and *value. */
static inline bool compat_small_int(PyObject *o, int64_t *value)
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
    *value = size * (int64_t)v->ob_digit[0];
#endif
    return true;
}

/* The value of an int of two digits, which have 60 bits. */
static inline bool compat_medium_int(PyObject *o, int64_t *value)
{
#if PyLong_SHIFT == 30 && PY_VERSION_HEX < 0x030f0000
    PyLongObject *v = (PyLongObject *)o;
#if PY_VERSION_HEX >= 0x030c0000
    enum { ZERO_OR_LESS = 3, NEGATIVE = 2, DIGITS = 3 };
    uintptr_t tag = v->long_value.lv_tag;
    const digit *digits = v->long_value.ob_digit;
    bool negative = (tag & ZERO_OR_LESS) == NEGATIVE;
    if (tag >> DIGITS != 2)
        return false;
#else
    const digit *digits = v->ob_digit;
    bool negative = Py_SIZE(v) < 0;
    if (Py_SIZE(v) != 2 && Py_SIZE(v) != -2)
        return false;
#endif
    int64_t absolute = (int64_t)digits[1] << PyLong_SHIFT | digits[0];
    *value = negative ? -absolute : absolute;
    return true;
#else
    (void)o;
    (void)value;
    return false;
#endif
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
