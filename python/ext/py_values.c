/* SPDX-License-Identifier: MIT */
#include "py_values.h"

#include "py_entity.h"
#include "py_ref.h"

/* ---- signatures */

ValueKind py_value_kind(chi_type type)
{
    switch (type) {
    case CHI_I32: return KIND_I32;
    case CHI_I64: return KIND_I64;
    case CHI_F32: return KIND_F32;
    case CHI_F64: return KIND_F64;
    case CHI_V128: return KIND_V128;
    default: break;
    }
    switch (chi_type_top(type)) {
    case CHI_TOP_FUNC: return KIND_FUNC;
    case CHI_TOP_EXTERN: return KIND_EXTERN;
    case CHI_TOP_EXN: return KIND_EXN;
    default: return KIND_ANY;
    }
}

chi_type py_value_externref(void)
{
    chi_type type = 0;
    chi_type_parse("externref", 9, &type);
    return type;
}

chi_type py_value_exnref(void)
{
    chi_type type = 0;
    chi_type_parse("exnref", 6, &type);
    return type;
}

static bool fill_kinds(Signature *s, uint32_t from, uint32_t n, bool *refs)
{
    bool scalar = true;
    for (uint32_t i = from; i < from + n; i++) {
        s->kinds[i] = (uint8_t)py_value_kind(s->types[i]);
        *refs |= !kind_is_number(s->kinds[i]);
        scalar &= s->kinds[i] < KIND_V128;
    }
    return scalar;
}

Signature *py_signature_new(const chi_functype *type)
{
    uint32_t n = type->n_params + type->n_results;
    size_t head = offsetof(Signature, kinds) + n;
    head = (head + sizeof(chi_type) - 1) / sizeof(chi_type) * sizeof(chi_type);
    Signature *s = PyMem_Calloc(1, head + n * sizeof(chi_type));
    if (!s) {
        PyErr_NoMemory();
        return NULL;
    }
    s->refs = 1;
    s->n_params = type->n_params;
    s->n_results = type->n_results;
    s->n_slots = type->param_slots > type->result_slots ? type->param_slots
                                                        : type->result_slots;
    s->types = (chi_type *)(void *)((char *)s + head);
    if (n)
        memcpy(s->types, type->types, n * sizeof(chi_type));
    s->fast = fill_kinds(s, 0, s->n_params, &s->param_refs);
    s->fast &= fill_kinds(s, s->n_params, s->n_results, &s->result_refs);
    s->fast &= s->n_slots <= FAST_SLOTS;
    return s;
}

void py_signature_free(Signature *s)
{
    if (--s->refs == 0)
        PyMem_Free(s);
}

/* ---- numbers */

/* From an int, exact or derived. */
static ValueResult int_in(ValueKind kind, PyObject *integer, uint64_t *slot)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(integer, &overflow);
    ValueResult why = VALUE_OK;
    if (kind == KIND_I32) {
        if (overflow || value < INT32_MIN || value > UINT32_MAX)
            why = VALUE_RANGE;
        *slot = (uint32_t)value;
    } else if (overflow > 0) {
        *slot = PyLong_AsUnsignedLongLong(integer);
        if (PyErr_Occurred()) {
            PyErr_Clear();
            why = VALUE_RANGE;
        }
    } else {
        if (overflow)
            why = VALUE_RANGE;
        *slot = (uint64_t)value;
    }
    return why;
}

/* From anything that is an integer to Python. */
static ValueResult integer_in(ValueKind kind, PyObject *v, uint64_t *slot)
{
    if (PyLong_Check(v))
        return int_in(kind, v, slot);
    if (!PyIndex_Check(v))
        return VALUE_KIND;
    PyObject *integer = PyNumber_Index(v);
    if (!integer)
        return VALUE_RAISED;
    ValueResult why = int_in(kind, integer, slot);
    Py_DECREF(integer);
    return why;
}

static bool is_real(PyObject *v)
{
    const PyNumberMethods *number = Py_TYPE(v)->tp_as_number;
    return number && (number->nb_float || number->nb_index);
}

static ValueResult float_in(ValueKind kind, PyObject *v, uint64_t *slot)
{
    if (!is_real(v))
        return VALUE_KIND;
    double value = PyFloat_AsDouble(v);
    if (value == -1 && PyErr_Occurred()) {
        if (!PyLong_Check(v) || !PyErr_ExceptionMatches(PyExc_OverflowError))
            return VALUE_RAISED;
        PyErr_Clear();
        return VALUE_RANGE;
    }
    *slot = kind == KIND_F32 ? bits_of_f32((float)value) : bits_of_f64(value);
    return VALUE_OK;
}

static ValueResult v128_in(PyObject *v, uint64_t *slots)
{
    Py_buffer view;
    if (!PyObject_CheckBuffer(v))
        return VALUE_KIND;
    if (PyObject_GetBuffer(v, &view, PyBUF_SIMPLE) < 0)
        return VALUE_RAISED;
    bool fits = view.len == 16;
    if (fits)
        memcpy(slots, view.buf, 16);
    PyBuffer_Release(&view);
    return fits ? VALUE_OK : VALUE_KIND;
}

ValueResult py_value_number_slow(ValueKind kind, PyObject *v, uint64_t *slots)
{
    switch (kind) {
    case KIND_I32:
    case KIND_I64: return integer_in(kind, v, slots);
    case KIND_F32:
    case KIND_F64: return float_in(kind, v, slots);
    default: return v128_in(v, slots);
    }
}

/* ---- references */

static ValueResult host_in(StoreObject *s, PyObject *v, uint64_t *slot)
{
    Held *h = py_store_hold_object(s, v);
    if (!h)
        return VALUE_RAISED;
    *slot = chi_host_word(s->store, h);
    if (*slot)
        return VALUE_OK;
    py_store_unhold(h);
    PyErr_SetString(PyExc_MemoryError, chi_code_text(CHI_HEAP_LIMIT));
    return VALUE_RAISED;
}

/* A host function of a store that cannot be joined is made anew. */
static ValueResult host_func_in(StoreObject *s, FuncObject *f, uint64_t *slot)
{
    PyObject *callable = py_host_callable(f->e.x.func);
    PyObject *label = callable ? py_func_name(f) : NULL;
    if (!label)
        return callable ? VALUE_RAISED : VALUE_STORE;
    chi_func *here = py_host_func(s, f->signature, callable, label);
    if (!here)
        return VALUE_RAISED;
    py_store_drop_later(s,
                        (Drop){DROP_EXTERN, {.x = {CHI_FUNC, {.func = here}}}});
    *slot = (uint64_t)(uintptr_t)here;
    return VALUE_OK;
}

/* The function as one of store s. */
static ValueResult func_in(StoreObject *s, PyObject *v, uint64_t *slot)
{
    EntityObject *f = (EntityObject *)v;
    if (!py_is(s->state, v, TYPE_FUNC))
        return VALUE_KIND;
    chi_error why;
    if (!py_store_merge(s, py_store_at(&f->store), &why))
        return host_func_in(s, (FuncObject *)v, slot);
    *slot = (uint64_t)(uintptr_t)f->x.func;
    return VALUE_OK;
}

static ValueResult heap_in(StoreObject *s, PyObject *v, uint64_t *slot)
{
    RefObject *r = (RefObject *)v;
    chi_error why;
    if (!py_store_merge(s, py_store_at(&r->store), &why))
        return VALUE_STORE;
    *slot = r->word;
    return VALUE_OK;
}

static ValueResult extern_in(StoreObject *s, PyObject *v, uint64_t *slot)
{
    return py_is_ref(s->state, v) ? heap_in(s, v, slot) : host_in(s, v, slot);
}

enum { I31_MIN = -(1 << 30), I31_MAX = (1 << 30) - 1 };

static ValueResult any_in(StoreObject *s, PyObject *v, uint64_t *slot)
{
    if (!PyLong_Check(v))
        return extern_in(s, v, slot);
    int overflow;
    long value = PyLong_AsLongAndOverflow(v, &overflow);
    if (overflow || value < I31_MIN || value > I31_MAX)
        return VALUE_RANGE;
    *slot = chi_i31_word((int32_t)value);
    return VALUE_OK;
}

static ValueResult word_in(StoreObject *s, ValueKind kind, PyObject *v,
                           uint64_t *slot)
{
    switch (kind) {
    case KIND_FUNC: return func_in(s, v, slot);
    case KIND_EXTERN: return extern_in(s, v, slot);
    case KIND_EXN: return py_exception_in(s, v, slot);
    default: return any_in(s, v, slot);
    }
}

ValueResult py_value_reference(StoreObject *s, chi_type type, PyObject *v,
                               uint64_t *slot)
{
    *slot = 0;
    if (v == Py_None)
        return chi_type_is_nullable(type) ? VALUE_OK : VALUE_NULL;
    ValueResult r = word_in(s, py_value_kind(type), v, slot);
    if (r == VALUE_OK && !chi_word_matches(*slot, type))
        return VALUE_KIND;
    return r;
}

ValueResult py_value_in(StoreObject *s, chi_type type, PyObject *v,
                        uint64_t *slots)
{
    ValueKind kind = py_value_kind(type);
    if (kind_is_number(kind))
        return value_number(kind, v, slots);
    return py_value_reference(s, type, v, slots);
}

static PyObject *host_out(uint64_t word)
{
    Held *h = chi_word_host(word);
    PyObject *o = h && h->object ? h->object : Py_None;
    return Py_NewRef(o);
}

static PyObject *word_out(StoreObject *s, chi_type type, uint64_t word)
{
    switch (chi_word_is(word)) {
    case CHI_IS_I31: return PyLong_FromLong(chi_i31_value(word));
    case CHI_IS_HOST: return host_out(word);
    case CHI_IS_EXN: return py_exception_out(s, word);
    case CHI_IS_NULL: Py_RETURN_NONE;
    default: return py_ref_wrap(s, type, word);
    }
}

PyObject *py_value_out(StoreObject *s, chi_type type, const uint64_t *slots)
{
    ValueKind kind = py_value_kind(type);
    if (kind_is_number(kind))
        return value_number_out(kind, slots);
    if (!slots[0])
        Py_RETURN_NONE;
    if (kind == KIND_FUNC) {
        chi_func *f = (chi_func *)(uintptr_t)slots[0];
        return py_entity_wrap(s, (chi_extern){CHI_FUNC, {.func = f}});
    }
    return word_out(s, type, slots[0]);
}

/* ---- many of them */

static bool is_rooted_kind(uint8_t kind)
{
    return !kind_is_number(kind) && kind != KIND_FUNC;
}

static uint32_t count_refs(const uint8_t *kinds, uint32_t n)
{
    uint32_t refs = 0;
    for (uint32_t i = 0; i < n; i++)
        refs += is_rooted_kind(kinds[i]);
    return refs;
}

/* Handles for the words among the values, so that all survive what is done
 * for one of them; one alone (or none) needs none: *n is 0 then. */
static int new_roots(const uint8_t *kinds, uint32_t count, chi_root ***roots,
                     uint32_t *n)
{
    *n = count_refs(kinds, count);
    *roots = NULL;
    if (*n < 2) {
        *n = 0;
        return 0;
    }
    *roots = PyMem_Calloc(*n, sizeof **roots);
    if (*roots)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static ValueResult numbers_in(const uint8_t *kinds, uint32_t n,
                              PyObject *const *v, uint64_t *slots,
                              uint32_t *failed)
{
    for (uint32_t i = 0; i < n; slots += kind_slots(kinds[i]), i++) {
        if (!kind_is_number(kinds[i]))
            continue;
        ValueResult r = value_number(kinds[i], v[i], slots);
        if (r) {
            *failed = i;
            return r;
        }
    }
    return VALUE_OK;
}

static ValueResult references_in(StoreObject *s, const chi_type *types,
                                 const uint8_t *kinds, uint32_t n,
                                 PyObject *const *v, uint64_t *slots,
                                 uint32_t *failed)
{
    chi_root **roots;
    uint32_t n_roots, rooted = 0;
    ValueResult r = VALUE_OK;
    if (new_roots(kinds, n, &roots, &n_roots) < 0)
        return VALUE_RAISED;
    for (uint32_t i = 0; !r && i < n; slots += kind_slots(kinds[i]), i++) {
        if (kind_is_number(kinds[i]))
            continue;
        r = py_value_reference(s, types[i], v[i], slots);
        if (r)
            *failed = i;
        else if (n_roots && is_rooted_kind(kinds[i]))
            roots[rooted++] = chi_root_new(s->store, types[i], slots[0]);
    }
    while (rooted)
        chi_root_free(roots[--rooted]);
    PyMem_Free(roots);
    return r;
}

ValueResult py_values_in(StoreObject *s, const chi_type *types,
                         const uint8_t *kinds, uint32_t n, PyObject *const *v,
                         uint64_t *slots, uint32_t *failed)
{
    ValueResult r = numbers_in(kinds, n, v, slots, failed);
    if (r)
        return r;
    return references_in(s, types, kinds, n, v, slots, failed);
}

int py_values_out(StoreObject *s, const chi_type *types, const uint8_t *kinds,
                  uint32_t n, const uint64_t *slots, PyObject **out)
{
    for (uint32_t i = 0; i < n; slots += kind_slots(kinds[i]), i++) {
        out[i] = py_value_out(s, types[i], slots);
        if (!out[i]) {
            while (i)
                Py_CLEAR(out[--i]);
            return -1;
        }
    }
    return 0;
}

PyObject *py_results_out(StoreObject *s, const Signature *sig,
                         const uint64_t *slots)
{
    uint32_t n = sig->n_results;
    const chi_type *types = sig->types + sig->n_params;
    if (n == 0)
        Py_RETURN_NONE;
    if (n == 1)
        return py_value_out(s, types[0], slots);
    PyObject *tuple = PyTuple_New(n);
    if (tuple
        && py_values_out(s, types, sig->kinds + sig->n_params, n, slots,
                         ((PyTupleObject *)tuple)->ob_item)
               < 0)
        Py_CLEAR(tuple);
    return tuple;
}

/* ---- errors */

static const char *wanted(chi_type type)
{
    switch (py_value_kind(type)) {
    case KIND_I32:
    case KIND_I64: return "an integer";
    case KIND_F32:
    case KIND_F64: return "a number";
    case KIND_V128: return "16 bytes";
    case KIND_FUNC: return "a chiasm.Func";
    case KIND_EXTERN: return "an object";
    case KIND_EXN: return "a chiasm.Exception";
    default: return "a reference";
    }
}

static const char *range_of(chi_type type)
{
    switch (py_value_kind(type)) {
    case KIND_I32: return "from -2**31 to 2**32 - 1";
    case KIND_I64: return "from -2**63 to 2**64 - 1";
    case KIND_F32:
    case KIND_F64: return "within the range of a float";
    default: return "from -2**30 to 2**30 - 1";
    }
}

/* The number itself, unless it is a very long one. */
static PyObject *show_number(PyObject *v)
{
    PyObject *text = PyObject_Repr(v);
    if (text && PyUnicode_GET_LENGTH(text) <= 40)
        return text;
    Py_XDECREF(text);
    PyErr_Clear();
    return PyUnicode_FromString("a number of many digits");
}

static void raise_range(chi_type type, const char *name, PyObject *v,
                        PyObject *place)
{
    PyObject *shown = show_number(v);
    if (!shown)
        return;
    PyErr_Format(PyExc_OverflowError, "%U must be %s (%s), not %U", place,
                 range_of(type), name, shown);
    Py_DECREF(shown);
}

void py_value_raise(ValueResult why, chi_type type, PyObject *v,
                    PyObject *place)
{
    char name[64];
    if (why == VALUE_RAISED || !place) {
        Py_XDECREF(place);
        return;
    }
    chi_type_print(type, NULL, name, sizeof name);
    const char *none = chi_type_is_nullable(type) ? " or None" : "";
    if (why == VALUE_RANGE)
        raise_range(type, name, v, place);
    else if (why == VALUE_STORE)
        PyErr_Format(PyExc_RuntimeError,
                     "%U belongs to another store: one of them is running, or "
                     "they run by different tiers",
                     place);
    else
        PyErr_Format(PyExc_TypeError, "%U must be %s%s (%s), not %s", place,
                     wanted(type), none, name,
                     v == Py_None ? "None" : Py_TYPE(v)->tp_name);
    Py_DECREF(place);
}
