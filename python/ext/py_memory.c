/* SPDX-License-Identifier: MIT */
/* Linear memories as Python has them: a sequence of bytes, and a buffer.
 *
 * A view pins the memory: its base does not move while the view lives, so the
 * view stays valid, at its old length, when the memory grows.
 */
#include "py_memory.h"

#include "py_errors.h"
#include "py_types.h"

static chi_memory *mem_of(PyObject *self)
{
    return ((EntityObject *)self)->x.memory;
}

static chi_externtype type_of(PyObject *self)
{
    chi_externtype type;
    chi_extern_type(((EntityObject *)self)->x, &type);
    return type;
}

/* Shared memories may be looked at while guests run. */
static inline int claim(PyObject *self)
{
    return ((MemoryObject *)self)->shared ? 0 : py_entity_claim(self);
}

uint8_t *py_memory_bytes(PyObject *self, size_t *size)
{
    if (claim(self) < 0)
        return NULL;
    uint8_t *data = chi_memory_data(mem_of(self), size);
    static uint8_t nothing;
    return data ? data : &nothing;
}

static uint8_t *out_of_range(size_t size)
{
    PyErr_Format(PyExc_IndexError, "out of the memory's range of %zu bytes",
                 size);
    return NULL;
}

uint8_t *py_memory_range(PyObject *self, Py_ssize_t offset, Py_ssize_t n)
{
    size_t size;
    uint8_t *data = py_memory_bytes(self, &size);
    if (!data)
        return NULL;
    if (offset < 0 || n < 0 || (size_t)offset > size
        || (size_t)n > size - (size_t)offset)
        return out_of_range(size);
    return data + offset;
}

/* An index argument: IndexError if it is no Py_ssize_t. */
static int index_of(PyObject *o, Py_ssize_t *out)
{
    *out = PyNumber_AsSsize_t(o, PyExc_IndexError);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

/* ---- construction */

static int read_form(PyObject *index, unsigned page_size, chi_externtype *t)
{
    if (PyUnicode_CompareWithASCIIString(index, "i64") == 0) {
        t->is64 = true;
    } else if (PyUnicode_CompareWithASCIIString(index, "i32") != 0) {
        PyErr_SetString(PyExc_ValueError, "index must be 'i32' or 'i64'");
        return -1;
    }
    if (page_size != 65536 && page_size != 1) {
        PyErr_SetString(PyExc_ValueError, "page_size must be 65536 or 1");
        return -1;
    }
    t->page_size = page_size;
    return 0;
}

static PyObject *make(State *st, const chi_externtype *type)
{
    chi_error err;
    PyObject *self = NULL;
    StoreObject *s = py_entity_private_store(st);
    chi_memory *m = s ? chi_memory_new(s->store, type, &err) : NULL;
    if (m) {
        self = py_entity_adopt(st, TYPE_MEMORY, s,
                               (chi_extern){CHI_MEM, {.memory = m}});
    } else if (s) {
        if (err.code == CHI_LIMIT)
            err.code = CHI_MEMORY;
        py_error_raise(st, &err);
    }
    Py_XDECREF((PyObject *)s);
    return self;
}

static PyObject *new(PyTypeObject *class, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"min",   "max",       "shared",
                                        "index", "page_size", NULL};
    PyObject *min, *max = Py_None, *index;
    State *st = py_state_of(class);
    int shared = 0;
    unsigned page_size = 65536;
    chi_externtype type = {.kind = CHI_MEM};
    index = st->strings[STRING_i32];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$pUI:Memory",
                                     PY_NAMES(names), &min, &max, &shared,
                                     &index, &page_size)
        || read_form(index, page_size, &type) < 0
        || py_types_limits(min, max, &type) < 0)
        return NULL;
    type.shared = shared;
    if (shared && type.max == UINT64_MAX) {
        PyErr_SetString(PyExc_ValueError, "a shared memory needs a max");
        return NULL;
    }
    return make(st, &type);
}

/* ---- the sequence */

static Py_ssize_t length(PyObject *self)
{
    size_t size;
    if (claim(self) < 0)
        return -1;
    chi_memory_data(mem_of(self), &size);
    return (Py_ssize_t)size;
}

static PyObject *get_slice(PyObject *self, PyObject *slice)
{
    Py_ssize_t start, stop, step, size = length(self);
    if (size < 0 || PySlice_Unpack(slice, &start, &stop, &step) < 0)
        return NULL;
    Py_ssize_t n = PySlice_AdjustIndices(size, &start, &stop, step);
    const uint8_t *data = py_memory_range(self, 0, size);
    PyObject *result = data ? PyBytes_FromStringAndSize(NULL, n) : NULL;
    if (!result)
        return NULL;
    char *out = PyBytes_AS_STRING(result);
    if (step == 1)
        memcpy(out, data + start, (size_t)n);
    else
        for (Py_ssize_t i = 0; i < n; i++)
            out[i] = (char)data[start + i * step];
    return result;
}

static uint8_t *byte_at(PyObject *self, PyObject *key)
{
    Py_ssize_t i, size = length(self);
    if (size < 0 || index_of(key, &i) < 0)
        return NULL;
    return py_memory_range(self, i < 0 ? i + size : i, 1);
}

/* For iteration. */
static PyObject *byte_item(PyObject *self, Py_ssize_t i)
{
    const uint8_t *byte = py_memory_range(self, i, 1);
    return byte ? PyLong_FromLong(*byte) : NULL;
}

static PyObject *get_item(PyObject *self, PyObject *key)
{
    if (PySlice_Check(key))
        return get_slice(self, key);
    const uint8_t *byte = byte_at(self, key);
    return byte ? PyLong_FromLong(*byte) : NULL;
}

static int set_bytes(PyObject *self, PyObject *slice, const Py_buffer *view)
{
    Py_ssize_t start, stop, step, size = length(self);
    if (size < 0 || PySlice_Unpack(slice, &start, &stop, &step) < 0)
        return -1;
    bool reaches_out = step == 1 && stop > size && stop != PY_SSIZE_T_MAX;
    Py_ssize_t n = PySlice_AdjustIndices(size, &start, &stop, step);
    if (n != view->len) {
        PyErr_Format(reaches_out ? PyExc_IndexError : PyExc_ValueError,
                     "%zd bytes do not go into a slice of %zd", view->len, n);
        return -1;
    }
    uint8_t *data = py_memory_range(self, 0, size);
    if (!data)
        return -1;
    const uint8_t *in = view->buf;
    if (step == 1)
        memmove(data + start, in, (size_t)n);
    else
        for (Py_ssize_t i = 0; i < n; i++)
            data[start + i * step] = in[i];
    return 0;
}

static int set_slice(PyObject *self, PyObject *slice, PyObject *v)
{
    Py_buffer view;
    if (PyObject_GetBuffer(v, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int result = set_bytes(self, slice, &view);
    PyBuffer_Release(&view);
    return result;
}

static int set_item(PyObject *self, PyObject *key, PyObject *v)
{
    if (!v) {
        PyErr_SetString(PyExc_TypeError, "bytes of a memory cannot be deleted");
        return -1;
    }
    if (PySlice_Check(key))
        return set_slice(self, key, v);
    Py_ssize_t value;
    if (index_of(v, &value) < 0)
        return -1;
    uint8_t *byte = byte_at(self, key);
    if (!byte)
        return -1;
    if (value < 0 || value > 255) {
        PyErr_SetString(PyExc_ValueError, "byte must be from 0 to 255");
        return -1;
    }
    *byte = (uint8_t)value;
    return 0;
}

/* ---- the buffer */

static int get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    size_t size;
    view->obj = NULL;
    uint8_t *data = py_memory_bytes(self, &size);
    if (!data)
        return -1;
    if (PyBuffer_FillInfo(view, self, data, (Py_ssize_t)size, 0, flags) < 0)
        return -1;
    chi_memory_pin(mem_of(self));
    return 0;
}

static void release_buffer(PyObject *self, Py_buffer *view)
{
    (void)view;
    chi_memory_unpin(mem_of(self)); /* from any thread */
}

/* ---- methods */

static PyObject *read_bytes(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Py_ssize_t offset, size;
    if (n != 2) {
        PyErr_SetString(PyExc_TypeError, "read() takes offset and n");
        return NULL;
    }
    if (index_of(args[0], &offset) < 0 || index_of(args[1], &size) < 0)
        return NULL;
    const uint8_t *from = py_memory_range(self, offset, size);
    return from ? PyBytes_FromStringAndSize((const char *)from, size) : NULL;
}

static PyObject *write_bytes(PyObject *self, PyObject *const *args,
                             Py_ssize_t n)
{
    Py_ssize_t offset;
    Py_buffer view;
    if (n != 2) {
        PyErr_SetString(PyExc_TypeError, "write() takes offset and data");
        return NULL;
    }
    if (index_of(args[0], &offset) < 0
        || PyObject_GetBuffer(args[1], &view, PyBUF_SIMPLE) < 0)
        return NULL;
    uint8_t *to = py_memory_range(self, offset, view.len);
    if (to)
        memmove(to, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return to ? Py_NewRef(Py_None) : NULL;
}

/* How far the NUL is; -1 with IndexError if there is none. */
static Py_ssize_t find_nul(PyObject *self, Py_ssize_t offset)
{
    size_t size;
    const uint8_t *data = py_memory_bytes(self, &size);
    if (!data)
        return -1;
    if (offset < 0 || (size_t)offset > size) {
        out_of_range(size);
        return -1;
    }
    const uint8_t *nul = memchr(data + offset, 0, size - (size_t)offset);
    if (nul)
        return nul - (data + offset);
    PyErr_SetString(PyExc_IndexError, "no NUL ends the string");
    return -1;
}

static PyObject *string(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"offset", "n", "encoding", "errors",
                                        NULL};
    PyObject *offset_arg, *n_arg = Py_None;
    const char *encoding = "utf-8", *errors = "strict";
    Py_ssize_t offset, n;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|Oss:string",
                                     PY_NAMES(names), &offset_arg, &n_arg,
                                     &encoding, &errors)
        || index_of(offset_arg, &offset) < 0)
        return NULL;
    if (n_arg == Py_None)
        n = find_nul(self, offset);
    else if (index_of(n_arg, &n) < 0)
        n = -1;
    else if (n < 0)
        PyErr_SetString(PyExc_IndexError, "n must not be negative");
    if (n < 0)
        return NULL;
    const uint8_t *from = py_memory_range(self, offset, n);
    if (!from)
        return NULL;
    return PyUnicode_Decode((const char *)from, n, encoding, errors);
}

static PyObject *grow(PyObject *self, PyObject *pages)
{
    PyObject *index = PyNumber_Index(pages);
    if (!index)
        return NULL;
    uint64_t delta = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    if (PyErr_Occurred() || claim(self) < 0)
        return NULL;
    uint64_t old = chi_memory_grow(mem_of(self), delta);
    if (old != UINT64_MAX)
        return PyLong_FromUnsignedLongLong(old);
    PyErr_Format(PyExc_MemoryError, "the memory cannot grow by %llu pages",
                 (unsigned long long)delta);
    return NULL;
}

static PyObject *get_pages(PyObject *self, void *closure)
{
    (void)closure;
    if (claim(self) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(chi_memory_pages(mem_of(self)));
}

static PyObject *get_type(PyObject *self, void *closure)
{
    (void)closure;
    chi_externtype type = type_of(self);
    return py_externtype_make(py_state(self), &type, NULL);
}

static PyObject *repr(PyObject *self)
{
    PyObject *type = get_type(self, NULL), *result = NULL;
    if (type)
        result = PyUnicode_FromFormat("<chiasm.Memory %S of %zd bytes>", type,
                                      length(self));
    Py_XDECREF(type);
    return result;
}

static PyGetSetDef getset[] = {
    {"pages", get_pages, NULL, PyDoc_STR("Its size in pages."), NULL},
    {"type", get_type, NULL, PyDoc_STR("Its MemoryType."), NULL},
    {0}};

static PyMethodDef methods[] = {
    {"read", PY_METHOD(read_bytes), METH_FASTCALL,
     PyDoc_STR("read($self, offset, n, /)\n--\n\n"
               "Copy n bytes out; IndexError if they are out of range.")},
    {"write", PY_METHOD(write_bytes), METH_FASTCALL,
     PyDoc_STR("write($self, offset, data, /)\n--\n\n"
               "Copy a bytes-like object in, all of it or (IndexError) "
               "nothing.")},
    {"string", PY_METHOD(string), METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("string($self, /, offset, n=None, encoding='utf-8', "
               "errors='strict')\n--\n\n"
               "Decode n bytes, or without n those up to the next NUL.")},
    {"unpack", PY_METHOD(py_memory_unpack), METH_FASTCALL,
     PyDoc_STR("unpack($self, format, offset=0, /)\n--\n\n"
               "Read values as struct.unpack_from does.")},
    {"pack", PY_METHOD(py_memory_pack), METH_FASTCALL,
     PyDoc_STR("pack($self, format, offset, /, *values)\n--\n\n"
               "Write values as struct.pack_into does.")},
    {"grow", grow, METH_O,
     PyDoc_STR("grow($self, pages, /)\n--\n\n"
               "Add pages; the old number of pages. MemoryError if refused.")},
    {0}};

static PyMemberDef members[] = {ENTITY_WEAKREFS, {0}};

static const char doc[] =
    "Memory(min, max=None, *, shared=False, index='i32', page_size=65536)\n"
    "--\n"
    "\n"
    "A linear memory: a writable buffer and a sequence of bytes.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "min, max : int\n"
    "    Sizes in pages; None: as large as the index allows.\n"
    "shared : bool\n"
    "    Whether threads may use it at once; needs a max.\n"
    "index : {'i32', 'i64'}\n"
    "    The type of addresses.\n"
    "page_size : {65536, 1}\n"
    "    Bytes of a page.\n"
    "\n"
    "Raises\n"
    "------\n"
    "IndexError\n"
    "    From any access out of range; nothing is written then.\n"
    "MemoryError\n"
    "    The memory is larger than the limit or the system allows.\n"
    "\n"
    "Notes\n"
    "-----\n"
    "`memoryview(mem)` and `numpy.frombuffer(mem)` share the bytes; slices\n"
    "and `read` copy. A view keeps the memory alive, and after `grow` it is\n"
    "valid with its old length.\n"
    "\n"
    "Examples\n"
    "--------\n"
    ">>> import chiasm\n"
    ">>> mem = chiasm.Memory(1)\n"
    ">>> mem[:5] = b'hello'\n"
    ">>> mem.string(0)\n"
    "'hello'\n"
    ">>> mem.pack('<if', 8, 7, 0.5)\n"
    ">>> mem.unpack('<if', 8)\n"
    "(7, 0.5)\n"
    ">>> mem.grow(1), len(mem)\n"
    "(1, 131072)\n";

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(py_entity_dealloc)},
                              {Py_tp_traverse, PY_SLOT(py_entity_traverse)},
                              {Py_tp_repr, PY_SLOT(repr)},
                              {Py_tp_iter, PY_SLOT(PySeqIter_New)},
                              {Py_mp_length, PY_SLOT(length)},
                              {Py_mp_subscript, PY_SLOT(get_item)},
                              {Py_mp_ass_subscript, PY_SLOT(set_item)},
                              {Py_sq_length, PY_SLOT(length)},
                              {Py_sq_item, PY_SLOT(byte_item)},
                              {Py_bf_getbuffer, PY_SLOT(get_buffer)},
                              {Py_bf_releasebuffer, PY_SLOT(release_buffer)},
                              {Py_tp_getset, getset},
                              {Py_tp_methods, methods},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_memory_spec = {
    .name = "chiasm.Memory",
    .basicsize = sizeof(MemoryObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
