/* SPDX-License-Identifier: MIT */
/* Calls from Python into the guest.
 *
 * Each Func has the entry that fits its signature: one loop per kind when all
 * parameters are of one kind, one for mixed numbers, and a general one.  Slots
 * are on the C stack; numbers allocate nothing.
 */
#include "py_entity.h"
#include "py_errors.h"
#include "py_thread.h"

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- running */

/* Not the guest's failure: a Python exception is set. */
#define RAISED CHI_CODE_COUNT

/* Another thread has it, or this one may not drop the GIL for it. */
static bool is_taken(StoreObject *s)
{
    return s->detached
           || (chi_store_is_running(s->store) && !chi_store_is_mine(s->store));
}

static chi_code run_without_gil(FuncObject *f, StoreObject *s, uint64_t *slots,
                                chi_error *err)
{
    ThreadRecord *t = py_thread();
    if (is_taken(s))
        return CHI_BUSY;
    s->detached = t;
    t->next_look_ns = 0;
    t->released = PyEval_SaveThread();
    chi_code code = chi_call(f->e.x.func, slots, err);
    PyEval_RestoreThread(t->released);
    t->released = NULL;
    s->detached = NULL;
    return code;
}

/* The rarer ways: a deadline may be over, the GIL is let go, another thread is
 * inside without it, or others wait for their turn. */
static chi_code run_slow(FuncObject *f, StoreObject *s, uint64_t *slots,
                         chi_error *err)
{
    ThreadRecord *t = py_thread();
    if (f->state->attention && py_thread_check_deadline(f->state, t) < 0)
        return RAISED;
    if (s->detached || !py_store_is_our_turn(s, t))
        return CHI_BUSY;
    if (f->without_gil)
        return run_without_gil(f, s, slots, err);
    return chi_call(f->e.x.func, slots, err);
}

static inline chi_code run(FuncObject *f, uint64_t *slots, chi_error *err)
{
    StoreObject *s = py_entity_store((PyObject *)f);
    py_store_changed(s);
    if (UNLIKELY(f->without_gil || s->detached || f->state->attention))
        return run_slow(f, s, slots, err);
    return chi_call(f->e.x.func, slots, err);
}

/* After a failure: raises it; or waits for the store that was taken, and
 * tries again.  CHI_OK, or the exception is set. */
static chi_code run_again(FuncObject *f, chi_code code, uint64_t *slots,
                          chi_error *err)
{
    while (code == CHI_BUSY) {
        if (py_store_wait(py_entity_store((PyObject *)f)) < 0)
            return RAISED;
        code = run(f, slots, err);
    }
    if (code != CHI_OK && code != RAISED)
        py_error_raise_guest(py_entity_store((PyObject *)f), code, err);
    return code;
}

/* ---- wrong arguments */

static PyObject *wrong_argument(FuncObject *f, uint32_t i, PyObject *v,
                                ValueResult why)
{
    PyObject *place = why == VALUE_RAISED ? NULL : py_func_place(f, i);
    py_value_raise(why, f->signature->types[i], v, place);
    return NULL;
}

static PyObject *wrong_call(FuncObject *f, Py_ssize_t n, PyObject *keywords)
{
    PyObject *name = py_func_name(f);
    uint32_t wanted = f->signature->n_params;
    if (!name)
        return NULL;
    if (keywords && PyTuple_GET_SIZE(keywords))
        PyErr_Format(PyExc_TypeError, "%U() takes no keyword arguments", name);
    else
        PyErr_Format(PyExc_TypeError,
                     "%U() takes %u argument%s, but %zd %s given", name,
                     (unsigned)wanted, wanted == 1 ? "" : "s", n,
                     n == 1 ? "was" : "were");
    return NULL;
}

static inline bool is_wrong_call(const FuncObject *f, Py_ssize_t n,
                                 PyObject *keywords)
{
    return UNLIKELY(n != (Py_ssize_t)f->signature->n_params || keywords)
           && (n != (Py_ssize_t)f->signature->n_params
               || PyTuple_GET_SIZE(keywords));
}

/* ---- numbers in, out */

static PyObject *tuple_of_numbers(const Signature *sig, const uint64_t *slots)
{
    PyObject *tuple = PyTuple_New(sig->n_results);
    if (!tuple)
        return NULL;
    for (uint32_t i = 0; i < sig->n_results; i++) {
        PyObject *v =
            value_number_out(sig->kinds[sig->n_params + i], slots + i);
        if (!v) {
            Py_DECREF(tuple);
            return NULL;
        }
        PyTuple_SET_ITEM(tuple, i, v);
    }
    return tuple;
}

static inline PyObject *numbers_out(const Signature *sig, const uint64_t *slots)
{
    if (sig->n_results == 1)
        return value_number_out(sig->kinds[sig->n_params], slots);
    if (sig->n_results == 0)
        Py_RETURN_NONE;
    return tuple_of_numbers(sig, slots);
}

static inline PyObject *run_numbers(FuncObject *f, uint64_t *slots)
{
    chi_error err;
    chi_code code = run(f, slots, &err);
    if (UNLIKELY(code != CHI_OK) && run_again(f, code, slots, &err) != CHI_OK)
        return NULL;
    PyObject *result = numbers_out(f->signature, slots);
    py_store_settle(py_entity_store((PyObject *)f));
    return result;
}

/* One entry per kind.  CONVERT: (value, slot) -> ValueResult. */
#define ENTRY(NAME, CONVERT)                                                   \
    static PyObject *NAME(PyObject *self, PyObject *const *args,               \
                          size_t nargsf, PyObject *keywords)                   \
    {                                                                          \
        FuncObject *f = (FuncObject *)self;                                    \
        Py_ssize_t n = PyVectorcall_NARGS(nargsf);                             \
        uint64_t slots[FAST_SLOTS];                                            \
        if (is_wrong_call(f, n, keywords))                                     \
            return wrong_call(f, n, keywords);                                 \
        for (Py_ssize_t i = 0; i < n; i++) {                                   \
            ValueResult why = CONVERT(args[i], &slots[i]);                     \
            if (UNLIKELY(why))                                                 \
                return wrong_argument(f, (uint32_t)i, args[i], why);           \
        }                                                                      \
        return run_numbers(f, slots);                                          \
    }
#define MIXED(v, slot) value_number(f->signature->kinds[i], v, slot)

ENTRY(call_i32, value_i32)
ENTRY(call_i64, value_i64)
ENTRY(call_f32, value_f32)
ENTRY(call_f64, value_f64)
ENTRY(call_mixed, MIXED)

/* ---- everything else */

enum { STACK_SLOTS = 32 };

static ValueResult arguments_in(FuncObject *f, PyObject *const *args,
                                uint64_t *slots, uint32_t *failed)
{
    const Signature *sig = f->signature;
    PyObject *self = (PyObject *)f;
    if (sig->param_refs && py_entity_claim(self) < 0)
        return VALUE_RAISED;
    return py_values_in(py_entity_store(self), sig->types, sig->kinds,
                        sig->n_params, args, slots, failed);
}

/* A store that other threads are in may collect the words while this one
 * waits, so waiting comes first and the conversion is done anew. */
static chi_code convert_and_run(FuncObject *f, PyObject *const *args,
                                uint64_t *slots, chi_error *err)
{
    for (;;) {
        uint32_t failed = 0;
        ValueResult why = arguments_in(f, args, slots, &failed);
        if (why) {
            wrong_argument(f, failed, args[failed], why);
            return RAISED;
        }
        chi_code code = run(f, slots, err);
        if (code != CHI_BUSY || !f->signature->param_refs)
            return code == CHI_OK ? code : run_again(f, code, slots, err);
        if (py_store_wait(py_entity_store((PyObject *)f)) < 0)
            return RAISED;
    }
}

static PyObject *call_outside(FuncObject *f, PyObject *const *args,
                              uint64_t *slots)
{
    chi_error err;
    if (convert_and_run(f, args, slots, &err) != CHI_OK)
        return NULL;
    StoreObject *s = py_entity_store((PyObject *)f);
    PyObject *result = py_results_out(s, f->signature, slots);
    py_store_settle(s);
    return result;
}

/* Enters, with the arguments in slots that the collector knows. */
static StoreObject *convert_and_enter(FuncObject *f, PyObject *const *args,
                                      uint64_t *slots, Stay *stay)
{
    uint32_t failed = 0, n = f->signature->n_slots;
    ValueResult why = arguments_in(f, args, slots, &failed);
    for (;;) {
        StoreObject *s = py_entity_store((PyObject *)f);
        if (why) {
            wrong_argument(f, failed, args[failed], why);
            return NULL;
        }
        chi_code code = py_store_enter(s, stay, n);
        if (code == CHI_OK) {
            memcpy(stay->slots, slots, n * sizeof *slots);
            return s;
        }
        if (code != CHI_BUSY || py_store_wait(s) < 0)
            return NULL;
        if (f->signature->param_refs)
            why = arguments_in(f, args, slots, &failed);
    }
}

static PyObject *call_inside(FuncObject *f, PyObject *const *args,
                             uint64_t *slots)
{
    Stay stay;
    chi_error err;
    PyObject *result = NULL;
    StoreObject *s = convert_and_enter(f, args, slots, &stay);
    if (!s)
        return NULL;
    chi_code code = run(f, stay.slots, &err);
    if (code == CHI_OK)
        result = py_results_out(s, f->signature, stay.slots);
    else if (code != RAISED)
        py_error_raise_guest(s, code, &err);
    py_store_leave(&stay);
    py_store_settle(s);
    return result;
}

/* Are there several values of which one may be lost while another is converted?
 * The arguments of a guest's function are copied to its stack at once. */
static bool must_stay(const FuncObject *f)
{
    const Signature *sig = f->signature;
    bool is_host = !f->module;
    return (sig->result_refs && sig->n_results > 1)
           || (sig->param_refs && is_host);
}

static PyObject *call_any(PyObject *self, PyObject *const *args, size_t nargsf,
                          PyObject *keywords)
{
    FuncObject *f = (FuncObject *)self;
    uint32_t n_slots = f->signature->n_slots;
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    uint64_t on_stack[STACK_SLOTS], *slots;
    if (is_wrong_call(f, n, keywords))
        return wrong_call(f, n, keywords);
    PyObject *(*call)(FuncObject *, PyObject *const *, uint64_t *) =
        must_stay(f) ? call_inside : call_outside;
    if (n_slots <= STACK_SLOTS)
        return call(f, args, on_stack);
    slots = PyMem_Calloc(n_slots, sizeof *slots);
    if (!slots)
        return PyErr_NoMemory();
    PyObject *result = call(f, args, slots);
    PyMem_Free(slots);
    return result;
}

vectorcallfunc py_call_of(const Signature *s)
{
    static const vectorcallfunc by_kind[] = {
        [KIND_I32] = call_i32,
        [KIND_I64] = call_i64,
        [KIND_F32] = call_f32,
        [KIND_F64] = call_f64,
    };
    if (!s->fast)
        return call_any;
    for (uint32_t i = 1; i < s->n_params; i++)
        if (s->kinds[i] != s->kinds[0])
            return call_mixed;
    return s->n_params ? by_kind[s->kinds[0]] : call_i32;
}
