/* SPDX-License-Identifier: MIT */
#include "py_wasi.h"

#include <errno.h>

#include "py_entity.h"
#include "py_errors.h"
#include "py_thread.h"

typedef struct ProcessObject ProcessObject;

/* A stream in Python: its address is what the core knows. */
typedef struct {
    ProcessObject *process;
    PyObject *callable; /* NULL: none, or the collector has broken a cycle */
} Stream;

struct ProcessObject {
    PyObject_HEAD State *state;
    chi_wasi *wasi;
    Stream streams[3];
};

static ProcessObject *process_of(PyObject *self)
{
    return (ProcessObject *)self;
}

/* ---- calls of Python by the guest */

/* Like a call of a host function: with the GIL, and with stack left. */
static PyObject *call_stream(const Stream *stream, PyObject *argument)
{
    PyObject *result = NULL;
    if (!argument)
        return NULL;
    if (!py_thread_has_stack(py_thread()))
        PyErr_SetString(PyExc_RecursionError, "the C stack is exhausted");
    else if (!stream->callable)
        PyErr_SetString(PyExc_ReferenceError,
                        "the stream is gone: it was in a cycle of garbage");
    else
        result = PyObject_CallOneArg(stream->callable, argument);
    Py_DECREF(argument);
    return result;
}

static int take_bytes(PyObject *o, void *to, size_t len, size_t *n)
{
    Py_buffer view;
    if (PyObject_GetBuffer(o, &view, PyBUF_SIMPLE) < 0)
        return -1;
    *n = (size_t)view.len;
    if (*n <= len)
        memcpy(to, view.buf, *n);
    PyBuffer_Release(&view);
    if (*n <= len)
        return 0;
    PyErr_SetString(PyExc_ValueError, "a stream gave more than was asked for");
    return -1;
}

static chi_code read_stream(void *env, chi_store *store, void *data, size_t len,
                            size_t *n)
{
    StoreObject *s = chi_store_host(store);
    ThreadRecord *t = py_thread();
    PyThreadState *state = py_thread_attach(t, s);
    t->depth++;
    PyObject *o = call_stream(env, PyLong_FromSize_t(len));
    chi_code code =
        o && take_bytes(o, data, len, n) == 0 ? CHI_OK : py_host_fail(s);
    Py_XDECREF(o);
    t->depth--;
    py_thread_detach(t, s, state);
    return code;
}

static chi_code write_stream(void *env, chi_store *store, const void *data,
                             size_t len)
{
    StoreObject *s = chi_store_host(store);
    ThreadRecord *t = py_thread();
    PyThreadState *state = py_thread_attach(t, s);
    t->depth++;
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)len);
    PyObject *o = call_stream(env, bytes);
    chi_code code = o ? CHI_OK : py_host_fail(s);
    Py_XDECREF(o);
    t->depth--;
    py_thread_detach(t, s, state);
    return code;
}

/* chiasm.Exit, which no guest handler sees. */
static chi_code leave(void *env, chi_store *store, uint32_t status)
{
    State *st = process_of(env)->state;
    StoreObject *s = chi_store_host(store);
    ThreadRecord *t = py_thread();
    PyThreadState *state = py_thread_attach(t, s);
    PyObject *code = PyLong_FromUnsignedLong(status), *e = NULL;
    if (code)
        e = PyObject_CallFunction(st->errors[ERROR_EXIT], "N",
                                  PyUnicode_FromFormat("exit status %S", code));
    if (e && PyObject_SetAttr(e, st->strings[STRING_code], code) == 0)
        PyErr_SetObject(st->errors[ERROR_EXIT], e);
    Py_XDECREF(code);
    Py_XDECREF(e);
    chi_code result = py_host_fail(s);
    py_thread_detach(t, s, state);
    return result;
}

/* While a guest with the GIL waits for the system, others may have it. */
static void *begin_wait(void *env, chi_store *store)
{
    (void)env;
    ThreadRecord *t = py_thread();
    if (t->released)
        return NULL;
    PyThreadState *state = PyThreadState_Get();
    py_thread_detach(t, chi_store_host(store), state);
    return state;
}

static void end_wait(void *env, chi_store *store, void *token)
{
    (void)env;
    if (token)
        py_thread_attach(py_thread(), chi_store_host(store));
}

/* ---- functions */

/* The chi_host_fn of all of WASI. */
static chi_code call_wasi(void *host, chi_store *store, uint64_t *slots)
{
    const Held *h = host;
    if (!h->object)
        return CHI_HOST;
    return h->fn(process_of(h->object)->wasi, store, slots);
}

chi_func *py_wasi_func(StoreObject *s, PyObject *process, chi_host_fn *fn,
                       const chi_module *m, uint32_t i)
{
    chi_error err;
    Held *h = py_store_hold(s, process);
    if (!h)
        return NULL;
    h->fn = fn;
    chi_func *f = chi_func_for_import(s->store, m, i, call_wasi, h, &err);
    if (!f) {
        py_error_raise(s->state, &err);
        py_store_unhold(h);
    }
    return f;
}

int py_wasi_check(State *st, PyObject *o)
{
    PyTypeObject *type = py_type(st, TYPE_PROCESS);
    if (!type)
        return -1;
    if (PyObject_TypeCheck(o, type))
        return 0;
    PyErr_Format(PyExc_TypeError, "wasi must be a chiasm.WASI, not %s",
                 Py_TYPE(o)->tp_name);
    return -1;
}

/* ---- making */

/* What the options point to. */
typedef struct {
    chi_wasi_options o;
    const char **args, **env;
    chi_wasi_dir *dirs;
    uint64_t seed, clock_ns;
    size_t keep;
} Options;

static int read_strings(PyObject *tuple, const char ***out, size_t *n)
{
    *n = (size_t)PyTuple_GET_SIZE(tuple);
    *out = PyMem_Calloc(*n + 1, sizeof **out);
    if (!*out) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < *n; i++) {
        char *text;
        if (PyBytes_AsStringAndSize(PyTuple_GET_ITEM(tuple, (Py_ssize_t)i),
                                    &text, NULL)
            < 0)
            return -1;
        (*out)[i] = text;
    }
    return 0;
}

/* (path, data or None) each. */
static int read_entries(PyObject *tuple, chi_wasi_dir *d)
{
    d->n_entries = (size_t)PyTuple_GET_SIZE(tuple);
    chi_wasi_entry *entries = PyMem_Calloc(d->n_entries + 1, sizeof *entries);
    d->entries = entries;
    if (!entries) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < d->n_entries; i++) {
        Py_ssize_t len = 0;
        const char *data;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, (Py_ssize_t)i), "yz#",
                              &entries[i].path, &data, &len))
            return -1;
        entries[i].data = data;
        entries[i].len = (size_t)len;
        entries[i].directory = !data;
    }
    return 0;
}

/* (guest, host or None, entries, whether for reading only) each. */
static int read_dirs(PyObject *tuple, Options *o)
{
    o->o.n_dirs = (size_t)PyTuple_GET_SIZE(tuple);
    o->dirs = PyMem_Calloc(o->o.n_dirs + 1, sizeof *o->dirs);
    if (!o->dirs) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < o->o.n_dirs; i++) {
        int read_only;
        PyObject *host, *entries;
        char *path = NULL;
        chi_wasi_dir *d = &o->dirs[i];
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, (Py_ssize_t)i), "yOO!p",
                              &d->guest, &host, &PyTuple_Type, &entries,
                              &read_only)
            || (host != Py_None && PyBytes_AsStringAndSize(host, &path, NULL))
            || read_entries(entries, d) < 0)
            return -1;
        d->host = path;
        d->flags = read_only ? CHI_WASI_READ_ONLY : 0;
        d->limit = o->keep;
    }
    o->o.dirs = o->dirs;
    return 0;
}

static void free_options(Options *o)
{
    for (size_t i = 0; o->dirs && i < o->o.n_dirs; i++)
        PyMem_Free((void *)(uintptr_t)o->dirs[i].entries);
    PyMem_Free(o->dirs);
    PyMem_Free(o->args);
    PyMem_Free(o->env);
}

/* None: nothing; True: kept; False: as stdout; bytes; a descriptor; a
 * callable. */
static int read_stream_option(ProcessObject *p, PyObject *v, int k, Options *o)
{
    chi_wasi_stream *s = &o->o.streams[k];
    if (v == Py_None)
        return 0;
    if (v == Py_False) {
        s->kind = CHI_WASI_STDOUT;
    } else if (v == Py_True) {
        *s = (chi_wasi_stream){.kind = CHI_WASI_BYTES, .len = o->keep};
    } else if (PyBytes_Check(v)) {
        *s = (chi_wasi_stream){.kind = CHI_WASI_BYTES,
                               .data = PyBytes_AS_STRING(v),
                               .len = (size_t)PyBytes_GET_SIZE(v)};
    } else if (PyLong_Check(v)) {
        long fd = PyLong_AsLong(v);
        if (fd == -1 && PyErr_Occurred())
            return -1;
        *s = (chi_wasi_stream){.kind = CHI_WASI_FD, .fd = (int)fd};
    } else {
        p->streams[k] = (Stream){p, Py_NewRef(v)};
        *s = (chi_wasi_stream){.kind = CHI_WASI_CALL,
                               .env = &p->streams[k],
                               .read = read_stream,
                               .write = write_stream};
    }
    return 0;
}

static int read_number(PyObject *v, uint64_t *out, const uint64_t **pointer)
{
    if (v == Py_None)
        return 0;
    *out = PyLong_AsUnsignedLongLong(v);
    *pointer = out;
    return PyErr_Occurred() ? -1 : 0;
}

static int read_options(ProcessObject *p, PyObject *args, Options *o)
{
    PyObject *argv, *env, *dirs, *streams[3], *seed, *clock;
    Py_ssize_t keep;
    if (!PyArg_ParseTuple(args, "O!O!O!(OOO)nOO:Process", &PyTuple_Type, &argv,
                          &PyTuple_Type, &env, &PyTuple_Type, &dirs,
                          &streams[0], &streams[1], &streams[2], &keep, &seed,
                          &clock))
        return -1;
    o->keep = (size_t)keep;
    if (read_strings(argv, &o->args, &o->o.n_args) < 0
        || read_strings(env, &o->env, &o->o.n_env) < 0 || read_dirs(dirs, o) < 0
        || read_number(seed, &o->seed, &o->o.seed) < 0
        || read_number(clock, &o->clock_ns, &o->o.clock_ns) < 0)
        return -1;
    for (int k = 0; k < 3; k++)
        if (read_stream_option(p, streams[k], k, o) < 0)
            return -1;
    return 0;
}

static int make(ProcessObject *p, Options *o)
{
    chi_error err;
    o->o.args = o->args;
    o->o.env = o->env;
    o->o.host_env = p;
    o->o.begin_wait = begin_wait;
    o->o.end_wait = end_wait;
    o->o.exit = leave;
    p->wasi = chi_wasi_new(&o->o, &err);
    if (p->wasi)
        return 0;
    int number = errno;
    if (err.code != CHI_ARGUMENT) {
        py_error_raise(p->state, &err);
        return -1;
    }
    PyObject *e =
        PyObject_CallFunction(PyExc_OSError, "is", number, err.message);
    if (e)
        PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_XDECREF(e);
    return -1;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    Options o = {.keep = 0};
    ProcessObject *p = (ProcessObject *)type->tp_alloc(type, 0);
    if (!p)
        return NULL;
    while (type->tp_new != new) /* of a class derived from it */
        type = type->tp_base;
    p->state = py_state_of(type);
    if (read_options(p, args, &o) < 0 || make(p, &o) < 0)
        Py_CLEAR(p);
    free_options(&o);
    return (PyObject *)p;
}

/* ---- the object */

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (int k = 0; k < 3; k++)
        Py_VISIT(process_of(self)->streams[k].callable);
    return 0;
}

/* The process stays: functions may be called while cycles are broken. */
static int clear(PyObject *self)
{
    for (int k = 0; k < 3; k++)
        Py_CLEAR(process_of(self)->streams[k].callable);
    return 0;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    chi_wasi_free(process_of(self)->wasi);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_exit_code(PyObject *self, void *closure)
{
    (void)closure;
    uint32_t status;
    if (!chi_wasi_exited(process_of(self)->wasi, &status))
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLong(status);
}

static PyObject *kept(PyObject *self, PyObject *fd)
{
    size_t len;
    long number = PyLong_AsLong(fd);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    const void *data =
        chi_wasi_output(process_of(self)->wasi, (int)number, &len);
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)len);
}

/* Copies of entries: while the tree is locked nothing of Python's may run, and
 * whatever makes an object may run the collector. */
typedef struct {
    chi_wasi_entry *entries;
    size_t n, capacity;
    bool failed;
} Copies;

static void copy_entry(void *env, const chi_wasi_entry *e)
{
    Copies *c = env;
    if (c->n == c->capacity && !c->failed) {
        size_t capacity = c->capacity ? c->capacity * 2 : 16;
        chi_wasi_entry *more =
            PyMem_RawRealloc(c->entries, capacity * sizeof *more);
        c->failed = !more;
        if (more) {
            c->entries = more;
            c->capacity = capacity;
        }
    }
    size_t path_len = strlen(e->path) + 1;
    char *copy = c->failed ? NULL : PyMem_RawMalloc(path_len + e->len);
    if (!copy) {
        c->failed = true;
        return;
    }
    memcpy(copy, e->path, path_len);
    if (e->len)
        memcpy(copy + path_len, e->data, e->len);
    c->entries[c->n++] = (chi_wasi_entry){.path = copy,
                                          .directory = e->directory,
                                          .data = copy + path_len,
                                          .len = e->len};
}

static PyObject *entry_object(const chi_wasi_entry *e)
{
    if (e->directory)
        return Py_BuildValue("(yO)", e->path, Py_None);
    return Py_BuildValue("(yy#)", e->path, e->data, (Py_ssize_t)e->len);
}

static PyObject *list_of(const Copies *c)
{
    PyObject *list = c->failed ? PyErr_NoMemory() : PyList_New(0);
    for (size_t i = 0; list && i < c->n; i++) {
        PyObject *entry = entry_object(&c->entries[i]);
        if (!entry || PyList_Append(list, entry) < 0)
            Py_CLEAR(list);
        Py_XDECREF(entry);
    }
    return list;
}

static PyObject *entries(PyObject *self, PyObject *guest)
{
    char *name;
    Copies c = {.n = 0};
    PyObject *list = NULL;
    if (PyBytes_AsStringAndSize(guest, &name, NULL) < 0)
        return NULL;
    if (chi_wasi_walk(process_of(self)->wasi, name, copy_entry, &c))
        list = list_of(&c);
    else
        PyErr_Format(PyExc_KeyError, "no tree of dicts at %s", name);
    for (size_t i = 0; i < c.n; i++)
        PyMem_RawFree((void *)(uintptr_t)c.entries[i].path);
    PyMem_RawFree(c.entries);
    return list;
}

static PyGetSetDef getset[] = {
    {"exit_code", get_exit_code, NULL,
     PyDoc_STR("The status given to proc_exit, or None."), NULL},
    {0}};

static PyMethodDef methods[] = {
    {"_kept", kept, METH_O, NULL}, {"_entries", entries, METH_O, NULL}, {0}};

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(dealloc)},
                              {Py_tp_traverse, PY_SLOT(traverse)},
                              {Py_tp_clear, PY_SLOT(clear)},
                              {Py_tp_getset, getset},
                              {Py_tp_methods, methods},
                              {Py_tp_doc, (void *)"The base of WASI."},
                              {0, NULL}};

PyType_Spec py_process_spec = {
    .name = "chiasm.Process",
    .basicsize = sizeof(ProcessObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
