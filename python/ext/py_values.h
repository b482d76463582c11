/* py_values.h - values between Python and slots, both ways.
 *
 * Converting numbers may run Python code (__index__, __float__, buffers);
 * converting references never does, and the words that it makes live until
 * the store next allocates or runs.  So of several values the numbers go
 * first, then the references, then the call.  Of the results one reference is
 * dealt with at once; before several are, the store is not left.
 */
#ifndef CHI_PY_VALUES_H
#define CHI_PY_VALUES_H

#include "py_store.h"

typedef enum {
    KIND_I32,
    KIND_I64,
    KIND_F32,
    KIND_F64,
    KIND_V128,
    KIND_FUNC,
    KIND_EXTERN,
    KIND_ANY,
    KIND_EXN
} ValueKind;

static inline bool kind_is_number(ValueKind k) { return k <= KIND_V128; }
static inline unsigned kind_slots(ValueKind k)
{
    return k == KIND_V128 ? 2 : 1;
}
ValueKind py_value_kind(chi_type type);

/* A function type, counted.  `kinds` and `types`: parameters, then results. */
struct Signature {
    uint32_t refs;
    uint32_t n_params, n_results;
    uint32_t n_slots; /* the larger of both directions */
    bool param_refs, result_refs;
    bool fast; /* few values, all scalar numbers */
    chi_type *types;
    uint8_t kinds[];
};
enum { FAST_SLOTS = 16 };

Signature *py_signature_new(const chi_functype *type);
static inline Signature *py_signature_ref(Signature *s)
{
    s->refs++;
    return s;
}
void py_signature_free(Signature *s);

/* Why a value cannot be what is wanted. */
typedef enum {
    VALUE_OK,
    VALUE_RAISED, /* an exception is set already */
    VALUE_KIND,   /* TypeError */
    VALUE_RANGE,  /* OverflowError */
    VALUE_NULL,   /* TypeError: None for a type without null */
    VALUE_STORE   /* RuntimeError: it lives in another store, one runs */
} ValueResult;

ValueResult py_value_number_slow(ValueKind kind, PyObject *v, uint64_t *slots);
ValueResult py_value_reference(StoreObject *s, chi_type type, PyObject *v,
                               uint64_t *slot);
/* Raises for a result that is not OK; `place` is what begins the sentence
 * ("add(): argument 2"), a reference that is taken, NULL: raised already. */
void py_value_raise(ValueResult why, chi_type type, PyObject *v,
                    PyObject *place);

/* One value of any type; the store is claimed.  *fresh (or NULL): set when
 * the word is one that nothing else keeps. */
ValueResult py_value_in(StoreObject *s, chi_type type, PyObject *v,
                        uint64_t *slots);
PyObject *py_value_out(StoreObject *s, chi_type type, const uint64_t *slots);

/* The types externref and exnref. */
chi_type py_value_externref(void);
chi_type py_value_exnref(void);

/* Several: arguments of a call, results of a callback.  *failed is the index
 * of the one that is at fault. */
ValueResult py_values_in(StoreObject *s, const chi_type *types,
                         const uint8_t *kinds, uint32_t n, PyObject *const *v,
                         uint64_t *slots, uint32_t *failed);
/* New references to `out`, or -1 and none.  Making objects may run destructors,
 * and those the guest: so something keeps what the slots refer to (a Stay, the
 * guest's own stack, an exception), and nobody writes to them. */
int py_values_out(StoreObject *s, const chi_type *types, const uint8_t *kinds,
                  uint32_t n, const uint64_t *slots, PyObject **out);

/* None, the value, or a tuple. */
PyObject *py_results_out(StoreObject *s, const Signature *sig,
                         const uint64_t *slots);

/* The usual numbers, at once. */
static inline ValueResult value_i32(PyObject *v, uint64_t *slot)
{
    int64_t value;
    if (PyLong_CheckExact(v)) {
        if (compat_small_int(v, &value)) {
            *slot = (uint32_t)value; /* a digit has 30 bits */
            return VALUE_OK;
        }
        if (compat_medium_int(v, &value) && value >= INT32_MIN
            && value <= UINT32_MAX) {
            *slot = (uint32_t)value;
            return VALUE_OK;
        }
    }
    return py_value_number_slow(KIND_I32, v, slot);
}
static inline ValueResult value_i64(PyObject *v, uint64_t *slot)
{
    int64_t value;
    if (PyLong_CheckExact(v)
        && (compat_small_int(v, &value) || compat_medium_int(v, &value))) {
        *slot = (uint64_t)value;
        return VALUE_OK;
    }
    return py_value_number_slow(KIND_I64, v, slot);
}
static inline uint32_t bits_of_f32(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}
static inline uint64_t bits_of_f64(double f)
{
    uint64_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}
static inline float f32_of_bits(uint64_t slot)
{
    uint32_t bits = (uint32_t)slot;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
static inline double f64_of_bits(uint64_t slot)
{
    double f;
    memcpy(&f, &slot, sizeof f);
    return f;
}
static inline ValueResult value_f32(PyObject *v, uint64_t *slot)
{
    if (!PyFloat_CheckExact(v))
        return py_value_number_slow(KIND_F32, v, slot);
    *slot = bits_of_f32((float)PyFloat_AS_DOUBLE(v));
    return VALUE_OK;
}
static inline ValueResult value_f64(PyObject *v, uint64_t *slot)
{
    if (!PyFloat_CheckExact(v))
        return py_value_number_slow(KIND_F64, v, slot);
    *slot = bits_of_f64(PyFloat_AS_DOUBLE(v));
    return VALUE_OK;
}
static inline ValueResult value_number(ValueKind kind, PyObject *v,
                                       uint64_t *slots)
{
    switch (kind) {
    case KIND_I32: return value_i32(v, slots);
    case KIND_I64: return value_i64(v, slots);
    case KIND_F32: return value_f32(v, slots);
    case KIND_F64: return value_f64(v, slots);
    default: return py_value_number_slow(kind, v, slots);
    }
}
static inline PyObject *value_number_out(ValueKind kind, const uint64_t *slots)
{
    switch (kind) {
    case KIND_I32: return PyLong_FromLong((int32_t)(uint32_t)slots[0]);
    case KIND_I64:
        return sizeof(long) == 8 ? PyLong_FromLong((long)slots[0])
                                 : PyLong_FromLongLong((int64_t)slots[0]);
    case KIND_F32: return PyFloat_FromDouble((double)f32_of_bits(slots[0]));
    case KIND_F64: return PyFloat_FromDouble(f64_of_bits(slots[0]));
    default: return PyBytes_FromStringAndSize((const char *)slots, 16);
    }
}

#endif
