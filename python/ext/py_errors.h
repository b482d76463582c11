/* py_errors.h - failures as Python exceptions, and guest frames in tracebacks.
 */
#ifndef CHI_PY_ERRORS_H
#define CHI_PY_ERRORS_H

#include "py_store.h"
#include "py_values.h"

/* Makes the classes and puts them into the module. */
int py_errors_init(State *st, PyObject *module);

/* Raises the class of err->code; NULL always. */
PyObject *py_error_raise(State *st, const chi_error *err);
/* CompileError with the place: `file` a str or NULL. */
PyObject *py_error_raise_compile(State *st, const chi_error *err,
                                 PyObject *file, const char *source, size_t len,
                                 bool is_text);
/* What a call of the store's guest failed by, with its frames. */
void py_error_raise_guest(StoreObject *s, chi_code code, const chi_error *err);
/* For an error in a binary: two lines, the bytes around it and a caret. */
PyObject *py_error_bytes(const chi_error *err, const char *bytes, size_t len);

/* The frames of a failure, taken from the store before anything else is done:
 * making Python objects may run destructors, and those other guest code. */
enum { FRAMES_MAX = 64 };
typedef struct {
    uint32_t n;
    chi_frame frames[FRAMES_MAX]; /* with references on their modules */
} Backtrace;
void py_traceback_take(StoreObject *s, Backtrace *b);
void py_traceback_drop(Backtrace *b);
/* Puts them under the current exception. */
void py_traceback_add(StoreObject *s, const Backtrace *b);
/* They as a tuple of Frame. */
PyObject *py_traceback_frames(StoreObject *s, const Backtrace *b);

/* chiasm.Exception: py_exception.c. */
PyTypeObject *py_exception_type(State *st, PyObject *module);
static inline bool py_is_exception(const State *st, PyObject *e)
{
    return PyObject_TypeCheck(e, (PyTypeObject *)st->errors[ERROR_EXCEPTION]);
}
/* The exception that the store's guest left by CHI_EXCEPTION with, as Python
 * knows it; NULL with an error. */
PyObject *py_exception_taken(StoreObject *s);
/* Throws it in the store: CHI_EXCEPTION, or CHI_HOST with an exception. */
chi_code py_exception_throw(StoreObject *s, PyObject *e);

#endif
