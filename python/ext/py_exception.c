/* SPDX-License-Identifier: MIT */
/* chiasm.Exception: WebAssembly exceptions as Python has them.
 *
 * The class derives from one that Python made, whose size differs between
 * versions; so our fields stand behind whatever that has.
 *
 * The guest's exception and Python's are kept together while Python's lives:
 * what is raised again is the same to the guest.  Arguments are normalised
 * when the object is made, so that throwing it runs no Python code.
 */
#include "py_entity.h"
#include "py_errors.h"
#include "py_ref.h"

typedef struct {
    PyObject *tag;      /* EntityObject */
    StoreObject *store; /* where `root` is */
    chi_root *root;     /* the guest's exception; NULL: it has not seen it */
} Fields;

/* The same in all interpreters of a process. */
static Py_ssize_t fields_offset;

static Fields *fields_of(PyObject *e)
{
    return (Fields *)(void *)((char *)e + fields_offset);
}

static void set_root(PyObject *e, StoreObject *s, uint64_t word)
{
    Fields *f = fields_of(e);
    StoreObject *old_store = f->store;
    chi_root *old_root = f->root;
    f->root = chi_root_new(s->store, py_value_exnref(), word);
    f->store = (StoreObject *)Py_NewRef((PyObject *)s);
    py_store_changed(s);
    if (old_root)
        py_store_drop(old_store, (Drop){DROP_ROOT, {.root = old_root}});
    Py_XDECREF((PyObject *)old_store);
}

/* ---- construction */

static PyObject *normal(const Signature *sig, uint32_t i, PyObject *v)
{
    uint64_t slots[2];
    if (!kind_is_number(sig->kinds[i]))
        return Py_NewRef(v);
    ValueResult why = value_number(sig->kinds[i], v, slots);
    if (why == VALUE_OK)
        return value_number_out(sig->kinds[i], slots);
    py_value_raise(why, sig->types[i], v,
                   PyUnicode_FromFormat("Exception(): argument %u of the tag",
                                        (unsigned)i + 1));
    return NULL;
}

/* The arguments after the tag, as the tag's type has them. */
static PyObject *normal_args(const Signature *sig, PyObject *args)
{
    Py_ssize_t n = PyTuple_GET_SIZE(args) - 1;
    if (n != (Py_ssize_t)sig->n_params) {
        PyErr_Format(PyExc_TypeError,
                     "Exception() takes %u arguments for this tag, not %zd",
                     (unsigned)sig->n_params, n);
        return NULL;
    }
    PyObject *result = PyTuple_New(n);
    for (Py_ssize_t i = 0; result && i < n; i++) {
        PyObject *v = normal(sig, (uint32_t)i, PyTuple_GET_ITEM(args, i + 1));
        if (v)
            PyTuple_SET_ITEM(result, i, v);
        else
            Py_CLEAR(result);
    }
    return result;
}

static Signature *signature_of(PyObject *tag)
{
    chi_externtype type;
    chi_extern_type(((EntityObject *)tag)->x, &type);
    return py_signature_new(&type.func);
}

static void dealloc(PyObject *self);

static State *state_of_exception(PyObject *e)
{
    PyTypeObject *type = Py_TYPE(e);
    while (type->tp_dealloc != dealloc)
        type = type->tp_base;
    return py_state_of(type);
}

static int init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *tag =
        PyTuple_GET_SIZE(args) ? PyTuple_GET_ITEM(args, 0) : Py_None;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError,
                        "Exception() takes no keyword arguments");
        return -1;
    }
    if (!py_is(state_of_exception(self), tag, TYPE_TAG)) {
        PyErr_Format(PyExc_TypeError,
                     "Exception() argument 1 must be a chiasm.Tag, not %s",
                     Py_TYPE(tag)->tp_name);
        return -1;
    }
    Signature *sig = signature_of(tag);
    PyObject *rest = sig ? normal_args(sig, args) : NULL;
    if (sig)
        py_signature_free(sig);
    if (!rest)
        return -1;
    Py_XSETREF(((PyBaseExceptionObject *)self)->args, rest);
    Py_XSETREF(fields_of(self)->tag, Py_NewRef(tag));
    return 0;
}

/* ---- both ways */

/* Only what converts without running Python code. */
static bool is_strict(ValueKind kind, PyObject *v)
{
    switch (kind) {
    case KIND_I32:
    case KIND_I64: return PyLong_CheckExact(v);
    case KIND_F32:
    case KIND_F64: return PyFloat_CheckExact(v);
    case KIND_V128: return PyBytes_CheckExact(v);
    default: return true;
    }
}

static ValueResult args_in(StoreObject *s, const Signature *sig, PyObject *args,
                           uint64_t *slots)
{
    uint32_t failed;
    if (!PyTuple_Check(args)
        || PyTuple_GET_SIZE(args) != (Py_ssize_t)sig->n_params)
        return VALUE_KIND;
    for (uint32_t i = 0; i < sig->n_params; i++)
        if (!is_strict(sig->kinds[i], PyTuple_GET_ITEM(args, i)))
            return VALUE_KIND;
    return py_values_in(s, sig->types, sig->kinds, sig->n_params,
                        ((PyTupleObject *)args)->ob_item, slots, &failed);
}

static ValueResult throw_new(StoreObject *s, PyObject *e, chi_tag *tag,
                             const Signature *sig, uint64_t *word)
{
    uint64_t *slots = PyMem_Calloc(sig->n_slots + 1, sizeof *slots);
    ValueResult r = VALUE_RAISED;
    if (slots)
        r = args_in(s, sig, ((PyBaseExceptionObject *)e)->args, slots);
    if (r == VALUE_OK && chi_throw(s->store, tag, slots) == CHI_EXCEPTION) {
        *word = chi_store_exception(s->store);
        set_root(e, s, *word);
    } else if (r == VALUE_OK) {
        PyErr_SetString(PyExc_MemoryError, chi_code_text(CHI_HEAP_LIMIT));
        r = VALUE_RAISED;
    } else if (!slots) {
        PyErr_NoMemory();
    }
    PyMem_Free(slots);
    return r;
}

/* Makes the guest's exception by throwing it; whoever wants it thrown throws
 * it again. */
static ValueResult make_word(StoreObject *s, PyObject *e, uint64_t *word)
{
    EntityObject *tag = (EntityObject *)fields_of(e)->tag;
    Signature *sig = signature_of((PyObject *)tag);
    if (!sig)
        return VALUE_RAISED;
    chi_tag *here = chi_tag_share(s->store, tag->x.tag);
    ValueResult r = VALUE_RAISED;
    *word = 0;
    if (here) {
        r = throw_new(s, e, here, sig, word);
        chi_extern_free((chi_extern){CHI_TAG, {.tag = here}});
    } else {
        PyErr_NoMemory();
    }
    py_signature_free(sig);
    return r;
}

ValueResult py_exception_in(StoreObject *s, PyObject *v, uint64_t *slot)
{
    if (!py_is_exception(s->state, v) || !fields_of(v)->tag)
        return VALUE_KIND;
    Fields *f = fields_of(v);
    if (f->root && py_store_at(&f->store) == s) {
        *slot = chi_root_word(f->root);
        return VALUE_OK;
    }
    return make_word(s, v, slot);
}

chi_code py_exception_throw(StoreObject *s, PyObject *e)
{
    uint64_t word;
    ValueResult why = py_exception_in(s, e, &word);
    if (why == VALUE_OK) {
        Py_XSETREF(s->thrown, Py_NewRef(e));
        return chi_rethrow(s->store, word);
    }
    if (why != VALUE_RAISED)
        PyErr_SetString(PyExc_TypeError,
                        "the arguments do not fit the exception's tag");
    return CHI_HOST;
}

static PyObject *tag_of(StoreObject *s, uint64_t word)
{
    chi_extern x = {CHI_TAG, {.tag = chi_exn_tag(s->store, word)}};
    if (!x.tag)
        return PyErr_NoMemory();
    PyObject *tag = py_entity_wrap(s, x);
    py_store_drop(s, (Drop){DROP_EXTERN, {.x = x}});
    return tag;
}

/* (tag, arguments ...) */
static PyObject *constructor_args(StoreObject *s, uint64_t word)
{
    PyObject *tag = tag_of(s, word);
    Signature *sig = tag ? signature_of(tag) : NULL;
    PyObject *args = sig ? PyTuple_New(sig->n_params + 1) : NULL;
    if (args) {
        PyTuple_SET_ITEM(args, 0, Py_NewRef(tag));
        if (py_values_out(s, sig->types, sig->kinds, sig->n_params,
                          chi_exn_slots(word),
                          ((PyTupleObject *)args)->ob_item + 1)
            < 0)
            Py_CLEAR(args);
    }
    if (sig)
        py_signature_free(sig);
    Py_XDECREF(tag);
    return args;
}

PyObject *py_exception_out(StoreObject *s, uint64_t word)
{
    /* The word is kept while Python code runs for the object. */
    chi_root *root = chi_root_new(s->store, py_value_exnref(), word);
    if (!root)
        return PyErr_NoMemory();
    py_store_changed(s);
    PyObject *e = NULL, *args = constructor_args(s, word);
    if (args)
        e = PyObject_Call(s->state->errors[ERROR_EXCEPTION], args, NULL);
    Py_XDECREF(args);
    if (!e) {
        py_store_drop(s, (Drop){DROP_ROOT, {.root = root}});
        return NULL;
    }
    fields_of(e)->store = (StoreObject *)Py_NewRef((PyObject *)s);
    fields_of(e)->root = root;
    return e;
}

/* The Python exception inside one of the tag python_exception: new or NULL. */
static PyObject *python_inside(StoreObject *s, uint64_t word)
{
    if (!s->python_tag || !chi_exn_has_tag(word, s->python_tag))
        return NULL;
    uint64_t inside = chi_exn_slots(word)[0];
    Held *h = chi_word_is(inside) == CHI_IS_HOST ? chi_word_host(inside) : NULL;
    if (!h || !h->object || !PyExceptionInstance_Check(h->object))
        return NULL;
    return Py_NewRef(h->object);
}

PyObject *py_exception_taken(StoreObject *s)
{
    uint64_t word = chi_store_exception(s->store);
    if (!word) {
        PyErr_SetString(PyExc_SystemError, "an exception without a value");
        return NULL;
    }
    if (s->thrown && fields_of(s->thrown)->root
        && chi_root_word(fields_of(s->thrown)->root) == word)
        return Py_NewRef(s->thrown);
    PyObject *e = python_inside(s, word);
    return e ? e : py_exception_out(s, word);
}

/* ---- the type */

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    Fields *f = fields_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(f->tag);
    Py_VISIT((PyObject *)f->store);
    return ((PyTypeObject *)PyExc_Exception)->tp_traverse(self, visit, arg);
}

static int clear(PyObject *self)
{
    Fields *f = fields_of(self);
    Py_CLEAR(f->tag);
    return ((PyTypeObject *)PyExc_Exception)->tp_clear(self);
}

static void dealloc(PyObject *self)
{
    Fields *f = fields_of(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (PyType_SUPPORTS_WEAKREFS(type))
        PyObject_ClearWeakRefs(self);
    if (f->root)
        py_store_drop(f->store, (Drop){DROP_ROOT, {.root = f->root}});
    Py_XDECREF(f->tag);
    Py_XDECREF((PyObject *)f->store);
    PyObject_GC_Track(self); /* as the base's destructor expects it */
    ((PyTypeObject *)PyExc_Exception)->tp_dealloc(self);
    Py_DECREF(type);
}

static PyObject *get_tag(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *tag = fields_of(self)->tag;
    return Py_NewRef(tag ? tag : Py_None);
}

static PyObject *reduce(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError,
                    "a chiasm.Exception cannot be pickled: its tag belongs to "
                    "this process");
    return NULL;
}

static PyGetSetDef getset[] = {
    {"tag", get_tag, NULL, PyDoc_STR("The Tag that it was thrown with."), NULL},
    {0}};

static PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, NULL}, {0}};

static const char doc[] =
    "Exception(tag, /, *args)\n"
    "--\n"
    "\n"
    "A WebAssembly exception, on its way through Python.\n"
    "\n"
    "Raised when a `throw` leaves the guest; raised by a host function, it\n"
    "goes into the guest, which may catch it by its tag.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "tag : Tag\n"
    "    What kind of exception it is.\n"
    "*args\n"
    "    One value for each parameter of the tag.\n";

static PyType_Slot slots[] = {
    {Py_tp_init, PY_SLOT(init)},   {Py_tp_traverse, PY_SLOT(traverse)},
    {Py_tp_clear, PY_SLOT(clear)}, {Py_tp_dealloc, PY_SLOT(dealloc)},
    {Py_tp_getset, getset},        {Py_tp_methods, methods},
    {Py_tp_doc, (void *)doc},      {0, NULL}};

PyTypeObject *py_exception_type(State *st, PyObject *module)
{
    PyTypeObject *base = (PyTypeObject *)st->errors[ERROR_ERROR];
    PyType_Spec spec = {
        .name = "chiasm.Exception",
        .basicsize = (int)(base->tp_basicsize + (Py_ssize_t)sizeof(Fields)),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    fields_offset = base->tp_basicsize;
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec,
                                                    (PyObject *)base);
}
