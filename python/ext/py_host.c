/* SPDX-License-Identifier: MIT */
/* Calls from the guest into Python.
 *
 * What a callable raises goes on through the guest as an exception of the tag
 * Tag.python_exception, so that the guest may catch it, and comes out as the
 * object that it was.  What no guest may stop (KeyboardInterrupt and all that
 * is no builtins.Exception, traps, time limits, Cancelled, Exit) waits in the
 * store, and the guest is left by CHI_HOST, which no handler sees.
 */
#include "py_entity.h"
#include "py_errors.h"
#include "py_thread.h"

/* ---- failing */

static bool is_for_guests(State *st, PyObject *e)
{
    static const ErrorTag hidden[] = {ERROR_TRAP, ERROR_CANCELLED, ERROR_EXIT};
    if (!PyErr_GivenExceptionMatches(e, PyExc_Exception))
        return false;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (PyErr_GivenExceptionMatches(e, st->errors[hidden[i]]))
            return false;
    return !py_thread_is_timeout(st, e);
}

/* The exception as one of the guest's; 0 if that cannot be. */
static chi_code throw_python(StoreObject *s, PyObject *e)
{
    uint64_t word = 0;
    chi_tag *tag = py_store_python_tag(s);
    if (!tag
        || py_value_reference(s, py_value_externref(), e, &word) != VALUE_OK)
        return CHI_HOST;
    return chi_throw(s->store, tag, &word);
}

/* Takes the current exception. */
static chi_code fail(StoreObject *s)
{
    PyObject *e = compat_take_exception();
    chi_code code = CHI_HOST;
    if (py_is_exception(s->state, e))
        code = py_exception_throw(s, e);
    else if (is_for_guests(s->state, e))
        code = throw_python(s, e);
    if (code == CHI_EXCEPTION) {
        Py_DECREF(e);
        return code;
    }
    PyErr_Clear();
    Py_XSETREF(s->pending, e);
    return CHI_HOST;
}

chi_code py_host_fail(StoreObject *s) { return fail(s); }

/* ---- results: 0, or -1 with an exception */

static int raise_result(const Held *h, uint32_t i, PyObject *v, ValueResult why)
{
    const Signature *sig = h->signature;
    PyObject *place = NULL;
    if (why != VALUE_RAISED && sig->n_results == 1)
        place = PyUnicode_FromFormat("the result of %U()", h->label);
    else if (why != VALUE_RAISED)
        place = PyUnicode_FromFormat("result %u of %U()", (unsigned)i + 1,
                                     h->label);
    py_value_raise(why, sig->types[sig->n_params + i], v, place);
    return -1;
}

static int one_result(StoreObject *s, const Held *h, PyObject *v,
                      uint64_t *slots)
{
    const Signature *sig = h->signature;
    ValueResult why = py_value_in(s, sig->types[sig->n_params], v, slots);
    return why ? raise_result(h, 0, v, why) : 0;
}

static int wrong_number(const Held *h, PyObject *v)
{
    uint32_t n = h->signature->n_results;
    if (n == 0)
        PyErr_Format(PyExc_TypeError, "%U() must return None, not %s", h->label,
                     Py_TYPE(v)->tp_name);
    else
        PyErr_Format(PyExc_TypeError, "%U() must return %u values in a tuple",
                     h->label, (unsigned)n);
    return -1;
}

static int many_results(StoreObject *s, const Held *h, PyObject *v,
                        uint64_t *slots)
{
    const Signature *sig = h->signature;
    uint32_t failed = 0, n = sig->n_results;
    if (!PyTuple_Check(v) && !PyList_Check(v))
        return wrong_number(h, v);
    PyObject *items = PySequence_Tuple(v);
    if (!items)
        return -1;
    int status = 0;
    if (PyTuple_GET_SIZE(items) != (Py_ssize_t)n) {
        status = wrong_number(h, v);
    } else {
        ValueResult why = py_values_in(
            s, sig->types + sig->n_params, sig->kinds + sig->n_params, n,
            ((PyTupleObject *)items)->ob_item, slots, &failed);
        if (why)
            status =
                raise_result(h, failed, PyTuple_GET_ITEM(items, failed), why);
    }
    Py_DECREF(items);
    return status;
}

static int results_in(StoreObject *s, const Held *h, PyObject *v,
                      uint64_t *slots)
{
    switch (h->signature->n_results) {
    case 0: return v == Py_None ? 0 : wrong_number(h, v);
    case 1: return one_result(s, h, v, slots);
    default: return many_results(s, h, v, slots);
    }
}

/* Takes the result.  Converting it, and letting go of it, may run Python code
 * that calls the guest, and the guest's stack begins where the results go: so
 * they wait in slots of their own. */
static int take_any(StoreObject *s, const Held *h, PyObject *result,
                    uint64_t *slots)
{
    Stay stay;
    uint32_t n = h->signature->n_slots;
    chi_code code = py_store_enter(s, &stay, n);
    if (code != CHI_OK) {
        Py_DECREF(result);
        return code == CHI_BUSY ? py_store_refuse() : -1;
    }
    int status = results_in(s, h, result, stay.slots);
    Py_DECREF(result);
    py_store_leave(&stay);
    if (status == 0)
        memmove(slots, stay.slots, n * sizeof *slots);
    return status;
}

/* The same, at once where no such code can run. */
static inline int take_result(StoreObject *s, const Held *h, PyObject *result,
                              uint64_t *slots)
{
    const Signature *sig = h->signature;
    if (sig->n_results == 0 && result == Py_None) {
        Py_DECREF(result);
        return 0;
    }
    if (sig->n_results == 1
        && (PyLong_CheckExact(result) || PyFloat_CheckExact(result)
            || PyBool_Check(result))
        && value_number(sig->kinds[sig->n_params], result, slots) == VALUE_OK) {
        Py_DECREF(result);
        return 0;
    }
    return take_any(s, h, result, slots);
}

/* ---- the calls */

enum { STACK_ARGS = 8 };

static inline int arguments_out(StoreObject *s, const Signature *sig,
                                const uint64_t *slots, PyObject **out)
{
    if (sig->param_refs)
        return py_values_out(s, sig->types, sig->kinds, sig->n_params, slots,
                             out);
    for (uint32_t i = 0; i < sig->n_params; i++) {
        out[i] = value_number_out(sig->kinds[i], slots);
        if (!out[i]) {
            while (i)
                Py_CLEAR(out[--i]);
            return -1;
        }
        slots += kind_slots(sig->kinds[i]);
    }
    return 0;
}

/* args[-1] is free for the callee's use. */
static PyObject *call_with(StoreObject *s, const Held *h, const uint64_t *slots,
                           PyObject **args)
{
    const Signature *sig = h->signature;
    if (arguments_out(s, sig, slots, args) < 0)
        return NULL;
    PyObject *result = PyObject_Vectorcall(
        h->object, args, sig->n_params | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    for (uint32_t i = 0; i < sig->n_params; i++)
        Py_DECREF(args[i]);
    return result;
}

static PyObject *call_python(StoreObject *s, const Held *h,
                             const uint64_t *slots)
{
    PyObject *on_stack[STACK_ARGS + 1], **args, *result;
    if (!h->object) {
        PyErr_Format(PyExc_ReferenceError,
                     "%U() is gone: it was part of a cycle of garbage",
                     h->label);
        return NULL;
    }
    if (h->signature->n_params <= STACK_ARGS)
        return call_with(s, h, slots, on_stack + 1);
    args = PyMem_Calloc(h->signature->n_params + 1, sizeof *args);
    if (!args)
        return PyErr_NoMemory();
    result = call_with(s, h, slots, args + 1);
    PyMem_Free(args);
    return result;
}

/* The chi_host_fn of all callables. */
static chi_code call_host(void *host, chi_store *store, uint64_t *slots)
{
    (void)store;
    Held *h = host;
    StoreObject *s = h->store;
    ThreadRecord *t = py_thread();
    PyThreadState *state = py_thread_attach(t, s);
    t->depth++;
    PyObject *result = NULL;
    if (py_thread_has_stack(t))
        result = call_python(s, h, slots);
    else
        PyErr_SetString(PyExc_RecursionError, "the C stack is exhausted");
    chi_code code = CHI_OK;
    if (!result || take_result(s, h, result, slots) < 0)
        code = fail(s);
    t->depth--;
    py_thread_detach(t, s, state);
    return code;
}

/* ---- making */

static Held *hold_callable(StoreObject *s, Signature *sig, PyObject *callable,
                           PyObject *label)
{
    Held *h = py_store_hold(s, callable);
    if (!h)
        return NULL;
    h->signature = py_signature_ref(sig);
    h->label = Py_NewRef(label);
    return h;
}

static chi_func *known_or_raise(Held *h, chi_func *f, const chi_error *err)
{
    if (f)
        return f;
    py_error_raise(h->store->state, err);
    py_store_unhold(h);
    return NULL;
}

chi_func *py_host_func(StoreObject *s, Signature *sig, PyObject *callable,
                       PyObject *label)
{
    chi_error err;
    Held *h = hold_callable(s, sig, callable, label);
    if (!h)
        return NULL;
    h->is_func = true;
    chi_func *f = chi_func_new(s->store, sig->types, sig->n_params,
                               sig->types + sig->n_params, sig->n_results,
                               call_host, h, &err);
    return known_or_raise(h, f, &err);
}

chi_func *py_host_import(StoreObject *s, Signature *sig, PyObject *callable,
                         PyObject *label, const chi_module *m, uint32_t i)
{
    chi_error err;
    Held *h = hold_callable(s, sig, callable, label);
    if (!h)
        return NULL;
    chi_func *f = chi_func_for_import(s->store, m, i, call_host, h, &err);
    return known_or_raise(h, f, &err);
}

PyObject *py_host_callable(const chi_func *f)
{
    Held *h = chi_func_instance(f) ? NULL : chi_func_host(f);
    return h && !h->fn ? h->object : NULL;
}

bool py_host_is_func(const chi_func *f)
{
    Held *h = chi_func_host(f);
    return h && h->is_func;
}
