/* SPDX-License-Identifier: MIT */
#include "py_store.h"

#include "py_entity.h"
#include "py_errors.h"
#include "py_limits.h"
#include "py_owner.h"
#include "py_thread.h"
#include "py_values.h"

#include <time.h>

/* ---- what is held */

void py_store_link(Held **list, Held *h)
{
    h->next = *list;
    h->link = list;
    if (h->next)
        h->next->link = &h->next;
    *list = h;
}

static void link_held(StoreObject *s, Held *h)
{
    h->store = s;
    h->owner = NULL;
    py_store_link(&s->held, h);
}

void py_store_unlink(Held *h)
{
    *h->link = h->next;
    if (h->next)
        h->next->link = h->link;
}

static void free_held(Held *h)
{
    PyObject *object = h->object, *label = h->is_object ? NULL : h->label;
    if (!h->is_object && h->signature)
        py_signature_free(h->signature);
    PyMem_Free(h);
    Py_XDECREF(label);
    Py_XDECREF(object);
}

static Held *hold(StoreObject *s, PyObject *object, size_t size)
{
    Held *h = PyMem_Calloc(1, size);
    if (!h) {
        PyErr_NoMemory();
        return NULL;
    }
    h->object = Py_NewRef(object);
    link_held(s, h);
    return h;
}

Held *py_store_hold(StoreObject *s, PyObject *callable)
{
    return hold(s, callable, sizeof(Held));
}

Held *py_store_hold_object(StoreObject *s, PyObject *object)
{
    Held *h = hold(s, object, offsetof(Held, signature));
    if (h)
        h->is_object = true;
    return h;
}

void py_store_unhold(Held *h)
{
    py_store_unlink(h);
    free_held(h);
}

/* The chi_release_fn: on whatever thread is in the store, with or without
 * the GIL. */
static void release(void *env, void *host)
{
    StoreObject *s = env;
    Held *h = host;
    h->next_dead = atomic_load(&s->dead);
    while (!atomic_compare_exchange_weak(&s->dead, &h->next_dead, h))
        ;
}

/* ---- what is given back */

static void give_back(StoreObject *s, const Drop *d)
{
    if (s->knows == KNOWS_ALL)
        s->knows = KNOWS_SAFELY;
    switch (d->what) {
    case DROP_EXTERN: chi_extern_free(d->x); break;
    case DROP_INSTANCE: chi_instance_free(d->instance); break;
    case DROP_ROOT: chi_root_free(d->root); break;
    }
}

static bool push_drop(StoreObject *s, const Drop *d)
{
    if (s->n_drops == s->drops_capacity) {
        size_t capacity = s->drops_capacity ? s->drops_capacity * 2 : 16;
        Drop *drops = PyMem_Realloc(s->drops, capacity * sizeof *drops);
        if (!drops)
            return false;
        s->drops = drops;
        s->drops_capacity = capacity;
    }
    s->drops[s->n_drops++] = *d;
    return true;
}

void py_store_drop(StoreObject *s, Drop drop)
{
    while (s->target)
        s = s->target;
    if (s->detached) {
        /* Without memory for the list it is never freed: a leak, no crash. */
        (void)push_drop(s, &drop);
        return;
    }
    give_back(s, &drop);
    py_store_settle(s);
}

void py_store_drop_later(StoreObject *s, Drop drop)
{
    (void)push_drop(s, &drop);
}

static void drain_drops(StoreObject *s)
{
    while (s->n_drops && !s->detached) {
        Drop d = s->drops[--s->n_drops];
        give_back(s, &d);
    }
}

static void drain_dead(StoreObject *s)
{
    Held *h = atomic_exchange(&s->dead, NULL);
    for (Held *i = h; i; i = i->next_dead)
        py_store_unlink(i);
    while (h) {
        Held *next = h->next_dead;
        free_held(h);
        h = next;
    }
}

void py_store_settle_slow(StoreObject *s)
{
    if (!chi_store_is_running(s->store))
        atomic_store(&s->cancelled, false);
    /* Destructors may let the store go. */
    PyObject *keep = Py_NewRef((PyObject *)s);
    drain_drops(s);
    drain_dead(s);
    Py_DECREF(keep);
}

/* ---- merging, waiting */

StoreObject *py_store_merged(StoreObject **slot)
{
    StoreObject *old = *slot, *s = old;
    while (s->target)
        s = s->target;
    *slot = (StoreObject *)Py_NewRef((PyObject *)s);
    Py_DECREF((PyObject *)old);
    return s;
}

static void move_held(StoreObject *to, StoreObject *from)
{
    py_owner_forget_all(from);
    py_store_changed(to);
    while (from->held) {
        Held *h = from->held;
        py_store_unlink(h);
        link_held(to, h);
    }
}

static int move_wrappers(StoreObject *to, StoreObject *from)
{
    for (size_t i = 0; i < from->wrappers.capacity; i++) {
        const PointerEntry *e = &from->wrappers.entries[i];
        if (e->key && py_map_set(&to->wrappers, e->key, e->value) < 0)
            return -1;
    }
    py_map_clear(&from->wrappers);
    return 0;
}

int py_store_name_instance(StoreObject *s, const chi_instance *i,
                           PyObject *name)
{
    int result = -1;
    if (!name && !s->names)
        return 0;
    if (!s->names)
        s->names = PyDict_New();
    PyObject *key = s->names ? PyLong_FromVoidPtr((void *)(uintptr_t)i) : NULL;
    if (key && name)
        result = PyDict_SetItem(s->names, key, name);
    else if (key && (result = PyDict_Contains(s->names, key)) > 0)
        result = PyDict_DelItem(s->names, key);
    Py_XDECREF(key);
    return result < 0 ? -1 : 0;
}

PyObject *py_store_instance_name(StoreObject *s, const chi_instance *i)
{
    PyObject *name = NULL, *key;
    key = s->names ? PyLong_FromVoidPtr((void *)(uintptr_t)i) : NULL;
    if (key)
        compat_dict_get(s->names, key, &name);
    Py_XDECREF(key);
    PyErr_Clear();
    return name;
}

static int move_names(StoreObject *to, StoreObject *from)
{
    if (!from->names)
        return 0;
    if (!to->names) {
        to->names = from->names;
        from->names = NULL;
        return 0;
    }
    return PyDict_Update(to->names, from->names);
}

static void free_python_tag(StoreObject *s)
{
    if (s->python_tag)
        chi_extern_free((chi_extern){CHI_TAG, {.tag = s->python_tag}});
    s->python_tag = NULL;
}

bool py_store_merge(StoreObject *a, StoreObject *b, chi_error *why)
{
    if (a == b)
        return true;
    PyOS_snprintf(why->message, sizeof why->message, "its store is running");
    py_store_settle(b);
    if (a->detached || b->detached || chi_store_is_running(a->store)
        || chi_store_is_running(b->store))
        return false;
    free_python_tag(b);
    if (!chi_store_merge(a->store, b->store, why))
        return false;
    if (move_wrappers(a, b) < 0 || move_names(a, b) < 0)
        PyErr_Clear(); /* what is not found is made anew */
    move_held(a, b);
    drain_dead(b);
    b->target = (StoreObject *)Py_NewRef((PyObject *)a);
    return true;
}

/* Who has left the store needs the GIL to say so, which it gets only while
 * nobody takes it. */
static bool wait_without_gil(StoreObject *s)
{
    enum { PAUSE_NS = 20000 };
    PyThreadState *state = PyEval_SaveThread();
    if (chi_store_wait(s->store, PY_TICK_NS))
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    PyEval_RestoreThread(state);
    return !s->detached
           && (!chi_store_is_running(s->store) || chi_store_is_mine(s->store));
}

static int wait_slice(StoreObject *s, ThreadRecord *t, bool *is_free)
{
    *is_free = wait_without_gil(s);
    if (PyErr_CheckSignals() < 0)
        return -1;
    return py_thread_check_deadline(s->state, t);
}

int py_store_refuse(void)
{
    PyErr_SetString(PyExc_RuntimeError,
                    "the store is in use by another thread; a thread that is "
                    "inside a store does not wait for another one");
    return -1;
}

int py_store_wait(StoreObject *s)
{
    ThreadRecord *t = py_thread();
    bool is_free = false;
    int status = 0;
    if (t->depth)
        return py_store_refuse();
    s->waiting++;
    s->state->attention++;
    while (status == 0 && !is_free)
        status = wait_slice(s, t, &is_free);
    s->state->attention--;
    s->waiting--;
    t->waited_for = s;
    return status;
}

/* A thread that calls again and again would leave no room for others: the GIL
 * is free, for them to look, only while it is inside.  A turn is long, since
 * to change costs some 50 us. */
bool py_store_is_our_turn(StoreObject *s, ThreadRecord *t)
{
    enum { TURN_NS = 2000000 };
    if (!s->waiting || t->depth)
        return true;
    uint64_t now_ns = py_thread_now_ns();
    if (s->turn_of == t && now_ns < s->turn_ends_ns)
        return true;
    if (t->waited_for != s)
        return false;
    t->waited_for = NULL;
    s->turn_of = t;
    s->turn_ends_ns = now_ns + TURN_NS;
    return true;
}

int py_store_claim_slow(StoreObject *s)
{
    ThreadRecord *t = py_thread();
    bool is_free;
    if (t->depth)
        return py_store_refuse();
    while (s->detached)
        if (wait_slice(s, t, &is_free) < 0)
            return -1;
    return 0;
}

chi_code py_store_enter(StoreObject *s, Stay *stay, uint32_t n)
{
    chi_error err;
    if (s->detached || !py_store_is_our_turn(s, py_thread()))
        return CHI_BUSY;
    stay->entry = chi_enter(s->store, n, &stay->slots, &err);
    if (stay->entry) {
        py_thread()->depth++;
        return CHI_OK;
    }
    if (err.code != CHI_BUSY)
        py_error_raise_guest(s, err.code, &err);
    return err.code;
}

void py_store_leave(Stay *stay)
{
    py_thread()->depth--;
    chi_leave(stay->entry);
}

chi_tag *py_store_python_tag(StoreObject *s)
{
    if (!s->python_tag) {
        EntityObject *tag = (EntityObject *)py_tag_python(s->state);
        if (!tag)
            return NULL;
        s->python_tag = chi_tag_share(s->store, tag->x.tag);
        if (!s->python_tag)
            PyErr_NoMemory();
    }
    return s->python_tag;
}

/* ---- the type */

static int configure(StoreObject *s, const chi_config *config)
{
    chi_error err;
    if (!config)
        return 0;
    s->tier_is_chosen = config->tier != CHI_TIER_AUTO;
    if (chi_store_configure(s->store, config, &err))
        return 0;
    PyErr_SetString(PyExc_RuntimeError, err.message);
    return -1;
}

StoreObject *py_store_new(State *st, const chi_limits *limits,
                          const chi_config *config)
{
    StoreObject *s = py_new(st, TYPE_STORE, 0);
    if (!s)
        return NULL;
    s->state = st;
    s->store = chi_store_new(limits);
    if (!s->store) {
        Py_DECREF((PyObject *)s);
        return (StoreObject *)PyErr_NoMemory();
    }
    chi_store_set_host(s->store, s, py_interrupt, release);
    chi_store_set_tick(s->store, PY_TICK_NS);
    if (configure(s, config) < 0)
        Py_CLEAR(s);
    return s;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"limits", "tier", "config", NULL};
    PyObject *limits = Py_None, *tier = NULL, *config = Py_None;
    chi_limits values;
    chi_config how;
    State *st = py_state_of(type);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$UO:Store",
                                     PY_NAMES(names), &limits, &tier, &config)
        || py_limits_read(st, limits, &values) < 0
        || py_config_read(st, tier, config, &how) < 0)
        return NULL;
    return (PyObject *)py_store_new(st, &values, &how);
}

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    StoreObject *s = (StoreObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)s->target);
    Py_VISIT(s->pending);
    Py_VISIT(s->thrown);
    for (Held *h = py_owner_others(s); h; h = h->next)
        Py_VISIT(h->object);
    return 0;
}

/* Destructors may change the list, so each Held goes through another. */
void py_store_clear_list(StoreObject *s, Held **list)
{
    Held *todo = *list;
    *list = NULL;
    if (todo)
        todo->link = &todo;
    while (todo) {
        Held *h = todo;
        PyObject *object = h->object;
        h->object = NULL;
        py_store_unlink(h);
        link_held(s, h);
        Py_XDECREF(object);
    }
}

static int clear(PyObject *self)
{
    StoreObject *s = (StoreObject *)self;
    Py_CLEAR(s->pending);
    Py_CLEAR(s->thrown);
    py_store_clear_list(s, &s->held);
    return 0;
}

static void dealloc(PyObject *self)
{
    StoreObject *s = (StoreObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (s->weakrefs)
        PyObject_ClearWeakRefs(self);
    if (s->store) {
        drain_drops(s);
        free_python_tag(s);
        /* Of a merged one the host callbacks are those of the target. */
        if (!s->target)
            chi_store_set_host(s->store, NULL, NULL, NULL);
        chi_store_free(s->store);
    }
    py_owner_forget_all(s);
    while (s->held)
        py_store_unhold(s->held);
    py_map_clear(&s->wrappers);
    PyMem_Free(s->drops);
    Py_XDECREF(s->names);
    Py_XDECREF(s->pending);
    Py_XDECREF(s->thrown);
    Py_XDECREF((PyObject *)s->target);
    type->tp_free(self);
    Py_DECREF(type);
}

static StoreObject *self_store(PyObject *self)
{
    StoreObject *s = (StoreObject *)self;
    while (s->target)
        s = s->target;
    return s;
}

static int claim(StoreObject *s)
{
    return s->detached ? py_store_claim_slow(s) : 0;
}

static PyObject *get_fuel(PyObject *self, void *closure)
{
    (void)closure;
    uint64_t fuel = chi_store_fuel(self_store(self)->store);
    if (fuel == UINT64_MAX)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(fuel);
}

static int set_fuel(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    StoreObject *s = self_store(self);
    uint64_t fuel;
    if (!value) {
        PyErr_SetString(PyExc_AttributeError, "fuel cannot be deleted");
        return -1;
    }
    if (py_limits_number(value, "fuel", &fuel) < 0 || claim(s) < 0)
        return -1;
    chi_store_set_fuel(s->store, fuel);
    return 0;
}

static PyObject *get_tier(PyObject *self, void *closure)
{
    (void)closure;
    return py_config_tier(chi_store_tier(self_store(self)->store));
}

static PyObject *get_running(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(chi_store_is_running(self_store(self)->store));
}

static PyObject *collect(PyObject *self, PyObject *unused)
{
    (void)unused;
    StoreObject *s = self_store(self);
    if (claim(s) < 0)
        return NULL;
    chi_store_collect(s->store);
    py_store_changed(s);
    py_store_settle(s);
    Py_RETURN_NONE;
}

static PyObject *usage(PyObject *self, PyObject *unused)
{
    (void)unused;
    StoreObject *s = self_store(self);
    if (claim(s) < 0)
        return NULL;
    chi_usage u = chi_store_usage(s->store);
    return Py_BuildValue(
        "{sIsIsIsIsIsIsKsK}", "instances", (unsigned)u.instances, "funcs",
        (unsigned)u.funcs, "memories", (unsigned)u.memories, "tables",
        (unsigned)u.tables, "globals", (unsigned)u.globals, "tags",
        (unsigned)u.tags, "heap_bytes", (unsigned long long)u.heap_bytes,
        "memory_bytes", (unsigned long long)u.memory_bytes);
}

static PyObject *cancel(PyObject *self, PyObject *unused)
{
    (void)unused;
    py_store_cancel(self_store(self));
    Py_RETURN_NONE;
}

static PyGetSetDef getset[] = {
    {"fuel", get_fuel, set_fuel,
     PyDoc_STR("Instructions left, or None if they are not counted."), NULL},
    {"tier", get_tier, NULL,
     PyDoc_STR("How its code runs: 'interp' or 'baseline'."), NULL},
    {"running", get_running, NULL,
     PyDoc_STR("Whether guest code of this store is on some thread's stack."),
     NULL},
    {0}};

static PyMethodDef methods[] = {
    {"collect", collect, METH_NOARGS,
     PyDoc_STR(
         "collect($self, /)\n--\n\nFree what nothing can reach any more.")},
    {"usage", usage, METH_NOARGS,
     PyDoc_STR(
         "usage($self, /)\n--\n\nCount what the store holds, as a dict.")},
    {"cancel", cancel, METH_NOARGS,
     PyDoc_STR("cancel($self, /)\n--\n\n"
               "Raise Cancelled out of the guest code that runs now.")},
    {0}};

static PyMemberDef members[] = {{"__weaklistoffset__", T_PYSSIZET,
                                 offsetof(StoreObject, weakrefs), READONLY,
                                 NULL},
                                {0}};

static const char doc[] =
    "Store(limits=None, *, tier='auto', config=None)\n"
    "--\n"
    "\n"
    "What instances that belong together live in; the unit of threads and\n"
    "limits.\n"
    "\n"
    "Stores are made and joined by `instantiate`; one made by hand chooses\n"
    "its limits and its tier once, or puts instances together that share\n"
    "nothing.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "limits : Limits, optional\n"
    "    What all instances in it may use together.\n"
    "tier, config\n"
    "    As for `Instance`.\n"
    "\n"
    "Raises\n"
    "------\n"
    "RuntimeError\n"
    "    The tier was asked for, and the system does not let it run.\n";

static PyType_Slot slots[] = {{Py_tp_new, PY_SLOT(new)},
                              {Py_tp_dealloc, PY_SLOT(dealloc)},
                              {Py_tp_traverse, PY_SLOT(traverse)},
                              {Py_tp_clear, PY_SLOT(clear)},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, getset},
                              {Py_tp_members, members},
                              {Py_tp_doc, (void *)doc},
                              {0, NULL}};

PyType_Spec py_store_spec = {
    .name = "chiasm.Store",
    .basicsize = sizeof(StoreObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
