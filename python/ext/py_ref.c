/* SPDX-License-Identifier: MIT */
#include "py_ref.h"

#include "py_buffer.h"

static RefObject *ref_of(PyObject *self) { return (RefObject *)self; }

PyObject *py_ref_wrap(StoreObject *s, chi_type type, uint64_t word)
{
    const void *key = (const void *)(uintptr_t)word;
    PyObject *known = py_map_get(&s->wrappers, key);
    if (known)
        return Py_NewRef(known);
    chi_root *root = chi_root_new(s->store, type, word);
    TypeTag tag = chi_word_is(word) == CHI_IS_ARRAY ? TYPE_ARRAY : TYPE_STRUCT;
    if (!root)
        return PyErr_NoMemory();
    py_store_changed(s);
    RefObject *r = py_new(s->state, tag, 0);
    known = Py_XNewRef(py_map_get(&s->wrappers, key));
    if (!r || known) { /* to make it may have run code that made another */
        py_store_drop(s, (Drop){DROP_ROOT, {.root = root}});
        Py_XDECREF((PyObject *)r);
        return known;
    }
    r->store = (StoreObject *)Py_NewRef((PyObject *)s);
    r->root = root;
    r->word = word;
    if (py_map_set(&s->wrappers, key, (PyObject *)r) < 0)
        Py_CLEAR(r);
    return (PyObject *)r;
}

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)ref_of(self)->store);
    return 0;
}

static void dealloc(PyObject *self)
{
    RefObject *r = ref_of(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (r->store)
        py_map_remove(&py_store_at(&r->store)->wrappers,
                      (const void *)(uintptr_t)r->word, self);
    if (r->weakrefs)
        PyObject_ClearWeakRefs(self);
    if (r->store)
        py_store_drop(r->store, (Drop){DROP_ROOT, {.root = r->root}});
    Py_XDECREF((PyObject *)r->store);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- one field of it */

static bool is_packed(chi_type type)
{
    return type == CHI_I8 || type == CHI_I16;
}

static PyObject *field_out(RefObject *r, chi_field field, const uint64_t *slots)
{
    chi_type type = is_packed(field.type) ? CHI_I32 : field.type;
    return py_value_out(py_store_at(&r->store), type, slots);
}

/* Packed fields take both signednesses of their width. */
static ValueResult packed_in(chi_type type, PyObject *v, uint64_t *slot)
{
    int64_t high = type == CHI_I8 ? UINT8_MAX : UINT16_MAX;
    ValueResult r = value_i64(v, slot);
    int64_t value = (int64_t)*slot;
    if (r == VALUE_OK && (value > high || value < -(high + 1) / 2))
        r = VALUE_RANGE;
    return r;
}

static int field_in(RefObject *r, chi_field field, PyObject *v, uint64_t *slots)
{
    ValueResult why;
    if (!v) {
        PyErr_SetString(PyExc_TypeError, "fields cannot be deleted");
        return -1;
    }
    if (!field.mutable_) {
        PyErr_SetString(PyExc_TypeError, "the field is immutable");
        return -1;
    }
    if (is_packed(field.type))
        why = packed_in(field.type, v, slots);
    else
        why = py_value_in(py_store_at(&r->store), field.type, v, slots);
    if (why)
        py_value_raise(why, field.type, v, PyUnicode_FromString("the field"));
    return why ? -1 : 0;
}

/* ---- structs */

static Py_ssize_t struct_length(PyObject *self)
{
    return chi_word_n_fields(ref_of(self)->word);
}

static int check_field(PyObject *self, Py_ssize_t i)
{
    if (i >= 0 && i < struct_length(self))
        return py_store_claim(&ref_of(self)->store);
    PyErr_SetString(PyExc_IndexError, "field index out of range");
    return -1;
}

static PyObject *struct_item(PyObject *self, Py_ssize_t i)
{
    RefObject *r = ref_of(self);
    uint64_t slots[2];
    if (check_field(self, i) < 0)
        return NULL;
    chi_struct_get(r->word, (uint32_t)i, slots);
    return field_out(r, chi_word_field(r->word, (uint32_t)i), slots);
}

static int struct_set_item(PyObject *self, Py_ssize_t i, PyObject *v)
{
    RefObject *r = ref_of(self);
    uint64_t slots[2];
    if (check_field(self, i) < 0
        || field_in(r, chi_word_field(r->word, (uint32_t)i), v, slots) < 0)
        return -1;
    py_store_changed(py_store_at(&r->store));
    chi_struct_set(r->word, (uint32_t)i, slots);
    return 0;
}

/* Is that what some module calls the field? */
static bool is_name_of(State *st, uint64_t word, uint32_t field,
                       const char *name, size_t len)
{
    for (size_t i = 0; i < st->modules.capacity; i++) {
        uint32_t n;
        const chi_module *m = st->modules.entries[i].key;
        const char *known = m ? chi_word_field_name(m, word, field, &n) : NULL;
        if (known && n == len && memcmp(known, name, len) == 0)
            return true;
    }
    return false;
}

/* The field of that name, or of the form f0; -1 none, -2 an exception. */
static Py_ssize_t find_field(PyObject *self, PyObject *name)
{
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(name, &len);
    if (!text)
        return -2;
    if (len == 0 || text[0] == '_')
        return -1;
    uint32_t n = (uint32_t)struct_length(self);
    for (uint32_t i = 0; i < n; i++)
        if (is_name_of(py_state(self), ref_of(self)->word, i, text,
                       (size_t)len))
            return i;
    char *end = NULL;
    unsigned long i = text[0] == 'f' ? strtoul(text + 1, &end, 10) : n;
    return end && end > text + 1 && !*end && i < n ? (Py_ssize_t)i : -1;
}

static PyObject *struct_attribute(PyObject *self, PyObject *name)
{
    Py_ssize_t i = find_field(self, name);
    if (i == -1)
        return PyObject_GenericGetAttr(self, name);
    return i < 0 ? NULL : struct_item(self, i);
}

static int struct_set_attribute(PyObject *self, PyObject *name, PyObject *v)
{
    Py_ssize_t i = find_field(self, name);
    if (i == -1)
        return PyObject_GenericSetAttr(self, name, v);
    return i < 0 ? -1 : struct_set_item(self, i, v);
}

static PyObject *repr(PyObject *self)
{
    bool is_array = py_is(py_state(self), self, TYPE_ARRAY);
    return PyUnicode_FromFormat(
        "<chiasm.%s of %zd at %p>", is_array ? "Array" : "Struct",
        Py_TYPE(self)->tp_as_sequence->sq_length(self), (void *)self);
}

static PyMemberDef members[] = {{"__weaklistoffset__", T_PYSSIZET,
                                 offsetof(RefObject, weakrefs), READONLY, NULL},
                                {0}};

static const char struct_doc[] =
    "A struct of the guest.\n"
    "\n"
    "Fields are items, in order, and attributes: by the name that the\n"
    "module's name section gives them, or as f0, f1, ... The object is the\n"
    "guest's, not a copy; the same struct is the same object as long as\n"
    "that lives.\n";

static PyType_Slot struct_slots[] = {
    {Py_tp_dealloc, PY_SLOT(dealloc)},
    {Py_tp_traverse, PY_SLOT(traverse)},
    {Py_tp_repr, PY_SLOT(repr)},
    {Py_tp_iter, PY_SLOT(PySeqIter_New)},
    {Py_tp_getattro, PY_SLOT(struct_attribute)},
    {Py_tp_setattro, PY_SLOT(struct_set_attribute)},
    {Py_sq_length, PY_SLOT(struct_length)},
    {Py_sq_item, PY_SLOT(struct_item)},
    {Py_sq_ass_item, PY_SLOT(struct_set_item)},
    {Py_tp_members, members},
    {Py_tp_doc, (void *)struct_doc},
    {0, NULL}};

PyType_Spec py_struct_spec = {
    .name = "chiasm.Struct",
    .basicsize = sizeof(RefObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = struct_slots,
};

/* ---- arrays */

static Py_ssize_t array_length(PyObject *self)
{
    return chi_array_len(ref_of(self)->word);
}

static int no_element(void)
{
    PyErr_SetString(PyExc_IndexError, "array index out of range");
    return -1;
}

static PyObject *array_item(PyObject *self, Py_ssize_t i)
{
    RefObject *r = ref_of(self);
    uint64_t slots[2];
    if (py_store_claim(&r->store) < 0)
        return NULL;
    if (i < 0 || i >= array_length(self)
        || !chi_array_get(r->word, (uint32_t)i, slots)) {
        no_element();
        return NULL;
    }
    return field_out(r, chi_word_field(r->word, 0), slots);
}

static int array_set_item(PyObject *self, Py_ssize_t i, PyObject *v)
{
    RefObject *r = ref_of(self);
    uint64_t slots[2];
    if (py_store_claim(&r->store) < 0)
        return -1;
    if (i < 0 || i >= array_length(self))
        return no_element();
    if (field_in(r, chi_word_field(r->word, 0), v, slots) < 0)
        return -1;
    py_store_changed(py_store_at(&r->store));
    return chi_array_set(r->word, (uint32_t)i, slots) ? 0 : no_element();
}

static const char *format_of(chi_type type, Py_ssize_t *size)
{
    static const struct {
        chi_type type;
        uint8_t size;
        const char *format;
    } formats[] = {{CHI_I8, 1, "b"},     {CHI_I16, 2, "h"}, {CHI_I32, 4, "i"},
                   {CHI_I64, 8, "q"},    {CHI_F32, 4, "f"}, {CHI_F64, 8, "d"},
                   {CHI_V128, 16, "16s"}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].type == type) {
            *size = formats[i].size;
            return formats[i].format;
        }
    return NULL;
}

static int array_buffer(PyObject *self, Py_buffer *view, int flags)
{
    RefObject *r = ref_of(self);
    chi_field field = chi_word_field(r->word, 0);
    BufferSpec spec = {.read_only = !field.mutable_};
    size_t bytes;
    view->obj = NULL;
    spec.format = format_of(field.type, &spec.item_size);
    if (!spec.format) {
        PyErr_SetString(PyExc_BufferError,
                        "an array of references has no buffer");
        return -1;
    }
    spec.data = chi_array_data(r->word, &bytes);
    spec.bytes = (Py_ssize_t)bytes;
    return py_buffer_fill(self, view, flags, &spec);
}

static void array_release(PyObject *self, Py_buffer *view)
{
    (void)self;
    PyMem_Free(view->internal);
}

static const char array_doc[] =
    "An array of the guest.\n"
    "\n"
    "A sequence of fixed length; arrays of numbers are also buffers,\n"
    "without a copy. The same array is the same object as long as that\n"
    "lives.\n";

static PyType_Slot array_slots[] = {
    {Py_tp_dealloc, PY_SLOT(dealloc)},
    {Py_tp_traverse, PY_SLOT(traverse)},
    {Py_tp_repr, PY_SLOT(repr)},
    {Py_tp_iter, PY_SLOT(PySeqIter_New)},
    {Py_sq_length, PY_SLOT(array_length)},
    {Py_sq_item, PY_SLOT(array_item)},
    {Py_sq_ass_item, PY_SLOT(array_set_item)},
    {Py_bf_getbuffer, PY_SLOT(array_buffer)},
    {Py_bf_releasebuffer, PY_SLOT(array_release)},
    {Py_tp_members, members},
    {Py_tp_doc, (void *)array_doc},
    {0, NULL}};

PyType_Spec py_array_spec = {
    .name = "chiasm.Array",
    .basicsize = sizeof(RefObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_SEQUENCE,
    .slots = array_slots,
};
