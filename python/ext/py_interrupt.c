/* SPDX-License-Identifier: MIT */
/* Interrupts: what a running guest does for Python every few milliseconds.
 *
 * The core calls py_interrupt on the guest's thread after each tick, and soon
 * after py_store_cancel.  There the guest looks whether it was cancelled or
 * its time is over, runs Python's signal handlers (KeyboardInterrupt comes
 * that way), and offers the GIL to threads that wait for it.
 *
 * A guest without the GIL needs it only to see signals, and those only the
 * main thread gets.  If other threads keep the GIL busy, asking for it costs
 * up to a switch interval each time; then it asks less often, so that the
 * guest keeps at least three quarters of its time.
 */
#include "py_thread.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static _Thread_local ThreadRecord record = {.deadline_ns = UINT64_MAX,
                                            .process = -1};

ThreadRecord *py_thread(void) { return &record; }

/* Each level of guest code that calls Python that calls guest code takes some
 * KiB of the C stack, which Python's own limit does not know of. */
bool py_thread_find_stack(ThreadRecord *t)
{
    enum { MARGIN = 256 << 10 };
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &low, &size);
        pthread_attr_destroy(&attributes);
    }
    t->stack_limit = (uintptr_t)low + (size / 4 < MARGIN ? size / 4 : MARGIN);
    if (!t->stack_limit)
        t->stack_limit = 1;
    return (uintptr_t)&attributes > t->stack_limit;
}

uint64_t py_thread_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- timeouts */

struct TimeoutObject {
    PyObject_HEAD double seconds;
    uint64_t deadline_ns;
    TimeoutObject *outer;
    ThreadRecord *thread; /* where it is entered; NULL: nowhere */
};

static void find_deadline(ThreadRecord *t)
{
    t->deadline_ns = UINT64_MAX;
    for (TimeoutObject *i = t->timeouts; i; i = i->outer)
        if (i->deadline_ns < t->deadline_ns)
            t->deadline_ns = i->deadline_ns;
}

/* Of those that are over, the outermost: inner ones are within it. */
static TimeoutObject *find_over(const ThreadRecord *t, uint64_t now_ns)
{
    TimeoutObject *over = NULL;
    for (TimeoutObject *i = t->timeouts; i; i = i->outer)
        if (i->deadline_ns <= now_ns)
            over = i;
    return over;
}

static void raise_timeout(State *st, TimeoutObject *over)
{
    char text[64];
    PyOS_snprintf(text, sizeof text, "the guest ran longer than %g s",
                  over->seconds);
    PyObject *e = PyObject_CallFunction(PyExc_TimeoutError, "s", text);
    if (!e)
        return;
    if (PyObject_SetAttr(e, st->strings[STRING_timeout], (PyObject *)over) == 0)
        PyErr_SetObject(PyExc_TimeoutError, e);
    Py_DECREF(e);
}

int py_thread_check_deadline(State *st, ThreadRecord *t)
{
    if (t->deadline_ns == UINT64_MAX)
        return 0;
    TimeoutObject *over = find_over(t, py_thread_now_ns());
    if (!over)
        return 0;
    raise_timeout(st, over);
    return -1;
}

bool py_thread_is_timeout(State *st, PyObject *exception)
{
    PyObject *mark;
    if (!PyErr_GivenExceptionMatches(exception, PyExc_TimeoutError))
        return false;
    if (compat_attribute(exception, st->strings[STRING_timeout], &mark) <= 0) {
        PyErr_Clear();
        return false;
    }
    bool is = py_is(st, mark, TYPE_TIMEOUT);
    Py_DECREF(mark);
    return is;
}

static PyObject *timeout_new(PyTypeObject *type, PyObject *args,
                             PyObject *kwargs)
{
    static const char *const names[] = {"seconds", NULL};
    double seconds;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "d:timeout", PY_NAMES(names),
                                     &seconds))
        return NULL;
    if (!(seconds >= 0)) {
        PyErr_SetString(PyExc_ValueError, "seconds must not be negative");
        return NULL;
    }
    TimeoutObject *self = (TimeoutObject *)type->tp_alloc(type, 0);
    if (self)
        self->seconds = seconds;
    return (PyObject *)self;
}

static void timeout_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static uint64_t deadline_after(double seconds)
{
    uint64_t now_ns = py_thread_now_ns();
    if (seconds >= 1e9)
        return UINT64_MAX - 1;
    return now_ns + (uint64_t)(seconds * 1e9);
}

static PyObject *timeout_enter(PyObject *o, PyObject *unused)
{
    (void)unused;
    TimeoutObject *self = (TimeoutObject *)o;
    ThreadRecord *t = py_thread();
    if (self->thread) {
        PyErr_SetString(PyExc_RuntimeError, "this timeout is entered already");
        return NULL;
    }
    self->deadline_ns = deadline_after(self->seconds);
    self->thread = t;
    self->outer = t->timeouts;
    t->timeouts = (TimeoutObject *)Py_NewRef(o);
    find_deadline(t);
    py_state(o)->attention++;
    return Py_NewRef(o);
}

static PyObject *timeout_exit(PyObject *o, PyObject *args)
{
    (void)args;
    TimeoutObject *self = (TimeoutObject *)o;
    ThreadRecord *t = py_thread();
    if (self->thread != t) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a timeout is left on the thread that entered it");
        return NULL;
    }
    TimeoutObject **link = &t->timeouts;
    while (*link != self)
        link = &(*link)->outer;
    *link = self->outer;
    self->thread = NULL;
    self->outer = NULL;
    find_deadline(t);
    py_state(o)->attention--;
    Py_DECREF(o);
    Py_RETURN_FALSE;
}

static PyObject *timeout_repr(PyObject *o)
{
    char text[48];
    PyOS_snprintf(text, sizeof text, "chiasm.timeout(%g)",
                  ((TimeoutObject *)o)->seconds);
    return PyUnicode_FromString(text);
}

static PyMethodDef timeout_methods[] = {
    {"__enter__", timeout_enter, METH_NOARGS, NULL},
    {"__exit__", timeout_exit, METH_VARARGS, NULL},
    {0}};

static PyMemberDef timeout_members[] = {
    {"seconds", T_DOUBLE, offsetof(TimeoutObject, seconds), READONLY,
     PyDoc_STR("The time that guests may run.")},
    {0}};

static const char timeout_doc[] =
    "timeout(seconds)\n"
    "--\n"
    "\n"
    "Context manager: end guest code that runs too long.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "seconds : float\n"
    "    Wall-clock time from entering the block, in seconds.\n"
    "\n"
    "Raises\n"
    "------\n"
    "TimeoutError\n"
    "    Out of whatever guest code runs inside when the time is over. No\n"
    "    handler of the guest sees it, and the instance can be used\n"
    "    afterwards.\n"
    "\n"
    "Notes\n"
    "-----\n"
    "Blocks nest; the nearest deadline counts. Guests are stopped within\n"
    "about 5 ms. Python code is not interrupted, only the guest code that\n"
    "it calls.\n"
    "\n"
    "Examples\n"
    "--------\n"
    ">>> import chiasm\n"
    ">>> wat = '(module (func (export \"spin\") (loop (br 0))))'\n"
    ">>> inst = chiasm.instantiate(wat)\n"
    ">>> with chiasm.timeout(0.01):\n"
    "...     inst.exports.spin()\n"
    "Traceback (most recent call last):\n"
    "TimeoutError: the guest ran longer than 0.01 s\n";

static PyType_Slot timeout_slots[] = {{Py_tp_new, PY_SLOT(timeout_new)},
                                      {Py_tp_dealloc, PY_SLOT(timeout_dealloc)},
                                      {Py_tp_repr, PY_SLOT(timeout_repr)},
                                      {Py_tp_methods, timeout_methods},
                                      {Py_tp_members, timeout_members},
                                      {Py_tp_doc, (void *)timeout_doc},
                                      {0, NULL}};

PyType_Spec py_timeout_spec = {
    .name = "chiasm.timeout",
    .basicsize = sizeof(TimeoutObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = timeout_slots,
};

/* ---- interrupts */

void py_store_cancel(StoreObject *s)
{
    if (!chi_store_is_running(s->store))
        return;
    atomic_store(&s->cancelled, true);
    chi_store_interrupt(s->store);
}

/* Python's signal handlers run on the main thread of the main interpreter,
 * whose thread state is the oldest one. */
static bool find_gets_signals(void)
{
    PyThreadState *mine = PyThreadState_Get(), *oldest = mine;
    PyInterpreterState *interpreter = PyThreadState_GetInterpreter(mine);
    if (interpreter != PyInterpreterState_Main())
        return false;
    for (PyThreadState *i = PyInterpreterState_ThreadHead(interpreter); i;
         i = PyThreadState_Next(i))
        oldest = i;
    return oldest == mine;
}

/* With the current exception, which it takes. */
static chi_code leave(StoreObject *s)
{
    PyObject *exception = compat_take_exception();
    Py_XSETREF(s->pending, exception);
    return CHI_INTERRUPTED;
}

/* With the GIL: raises what is due. */
static int look(StoreObject *s, ThreadRecord *t)
{
    if (atomic_exchange(&s->cancelled, false)) {
        PyErr_SetString(s->state->errors[ERROR_CANCELLED],
                        "the guest was cancelled");
        return -1;
    }
    if (py_thread_check_deadline(s->state, t) < 0)
        return -1;
    t->depth++;
    int result = PyErr_CheckSignals();
    if (result == 0)
        result = Py_MakePendingCalls();
    t->depth--;
    return result;
}

/* A thread that wants the GIL forces a switch only after it has waited for its
 * switch interval (5 ms) without being woken; so offers are further apart than
 * that, and last long enough for it to wake. */
static void offer_gil(ThreadRecord *t)
{
    enum { OFFER_EVERY_NS = 7000000, OFFER_NS = 50000 };
    uint64_t now_ns = py_thread_now_ns();
    if (now_ns < t->next_offer_ns)
        return;
    t->depth++;
    PyThreadState *state = PyEval_SaveThread();
    nanosleep(&(struct timespec){.tv_nsec = OFFER_NS}, NULL);
    PyEval_RestoreThread(state);
    t->depth--;
    t->next_offer_ns = py_thread_now_ns() + OFFER_EVERY_NS;
}

static bool is_due(StoreObject *s, const ThreadRecord *t, uint64_t now_ns)
{
    if (atomic_load_explicit(&s->cancelled, memory_order_relaxed)
        || t->deadline_ns <= now_ns || t->process != (int64_t)getpid())
        return true;
    return t->gets_signals && t->next_look_ns <= now_ns;
}

static chi_code look_attached(StoreObject *s, ThreadRecord *t, uint64_t now_ns)
{
    chi_code code = CHI_OK;
    PyThreadState *state = py_thread_attach(t, s);
    if (t->process != (int64_t)getpid()) {
        t->process = (int64_t)getpid();
        t->gets_signals = find_gets_signals();
    }
    uint64_t waited_ns = py_thread_now_ns() - now_ns;
    t->next_look_ns = now_ns + waited_ns * 4;
    if (look(s, t) < 0)
        code = leave(s);
    py_thread_detach(t, s, state);
    return code;
}

chi_code py_interrupt(void *env, chi_store *store)
{
    (void)store;
    StoreObject *s = env;
    ThreadRecord *t = py_thread();
    if (t->released) {
        uint64_t now_ns = py_thread_now_ns();
        return is_due(s, t, now_ns) ? look_attached(s, t, now_ns) : CHI_OK;
    }
    offer_gil(t);
    return look(s, t) < 0 ? leave(s) : CHI_OK;
}
