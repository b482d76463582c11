#include "os/os.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(OsMutex), "fits");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(OsCond), "fits");
_Static_assert(sizeof(pthread_t) <= sizeof(OsThread), "fits");

static pthread_mutex_t *mutex_of(OsMutex *m) { return (pthread_mutex_t *)m; }
static pthread_cond_t *cond_of(OsCond *c) { return (pthread_cond_t *)c; }

void os_mutex_init(OsMutex *m) { pthread_mutex_init(mutex_of(m), NULL); }
void os_mutex_destroy(OsMutex *m) { pthread_mutex_destroy(mutex_of(m)); }
void os_mutex_lock(OsMutex *m) { pthread_mutex_lock(mutex_of(m)); }
void os_mutex_unlock(OsMutex *m) { pthread_mutex_unlock(mutex_of(m)); }

OsMutex *os_global_lock(void)
{
    static union {
        pthread_mutex_t mutex;
        OsMutex lock;
    } global = {PTHREAD_MUTEX_INITIALIZER};
    return &global.lock;
}

void os_cond_init(OsCond *c)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond_of(c), &attributes);
    pthread_condattr_destroy(&attributes);
}
void os_cond_destroy(OsCond *c) { pthread_cond_destroy(cond_of(c)); }
void os_cond_signal(OsCond *c) { pthread_cond_signal(cond_of(c)); }
void os_cond_broadcast(OsCond *c) { pthread_cond_broadcast(cond_of(c)); }

bool os_cond_wait(OsCond *c, OsMutex *m, uint64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nsec = (uint64_t)until.tv_nsec + ns % 1000000000;
    until.tv_sec += (time_t)(ns / 1000000000 + nsec / 1000000000);
    until.tv_nsec = (long)(nsec % 1000000000);
    return pthread_cond_timedwait(cond_of(c), mutex_of(m), &until) == 0;
}

typedef struct {
    void (*f)(void *arg);
    void *arg;
} Start;

static void *run(void *start)
{
    Start s = *(Start *)start;
    free(start);
    s.f(s.arg);
    return NULL;
}

bool os_thread_start(OsThread *t, void (*f)(void *arg), void *arg)
{
    enum { STACK = 256 << 10 };
    Start *start = malloc(sizeof *start);
    if (!start)
        return false;
    *start = (Start){f, arg};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create((pthread_t *)t, &attributes, run, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (failed)
        free(start);
    return !failed;
}

void os_thread_join(OsThread *t) { pthread_join(*(pthread_t *)t, NULL); }

static pthread_key_t key;

bool os_thread_on_exit(void (*f)(void *value))
{
    return pthread_key_create(&key, f) == 0;
}
void os_thread_set(void *value) { pthread_setspecific(key, value); }

typedef struct {
    void (*prepare)(void);
    void (*parent)(void);
    void (*child)(void);
    _Atomic bool is_set;
} ForkHandlers;

static ForkHandlers fork_handlers[OS_FORK_COUNT];
/* Of those that prepared for the fork that this thread is in. */
static OS_THREAD_LOCAL bool prepared[OS_FORK_COUNT];

static void prepare_all(void)
{
    for (int k = 0; k < OS_FORK_COUNT; k++) {
        prepared[k] = atomic_load_explicit(&fork_handlers[k].is_set,
                                           memory_order_acquire);
        if (prepared[k])
            fork_handlers[k].prepare();
    }
}
static void end_in_parent(void)
{
    for (int k = OS_FORK_COUNT; k-- > 0;)
        if (prepared[k])
            fork_handlers[k].parent();
}
static void end_in_child(void)
{
    for (int k = OS_FORK_COUNT; k-- > 0;)
        if (prepared[k])
            fork_handlers[k].child();
}

void os_on_fork(OsFork who, void (*prepare)(void), void (*parent)(void),
                void (*child)(void))
{
    static _Atomic bool known;
    ForkHandlers *h = &fork_handlers[who];
    h->prepare = prepare;
    h->parent = parent;
    h->child = child;
    atomic_store_explicit(&h->is_set, true, memory_order_release);
    if (!atomic_exchange(&known, true))
        pthread_atfork(prepare_all, end_in_parent, end_in_child);
}

void os_on_exit(void (*f)(void)) { atexit(f); }

uintptr_t os_stack_low(void)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return 0;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    return (uintptr_t)low;
}
