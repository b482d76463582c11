#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/heap.h"
#include "runtime/store.h"
#include "runtime/thread.h"

static uintptr_t limit_of(Store *s) { return atomic_load(&s->limit); }

static _Atomic int asked;
static _Atomic ErrorCode answer;
static chi_code handler(void *env, Store *s)
{
    (void)env, (void)s;
    asked++;
    return answer;
}

static Store *new_store(void)
{
    Store *s = store_new(NULL);
    s->interrupt = handler;
    asked = 0;
    answer = ERR_OK;
    return s;
}

static void entries_nest(void)
{
    Store *s = new_store(), *other = new_store();
    Activation a, b, c;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    CHECK(limit_of(s) == (uintptr_t)a.base + s->limits.stack);
    CHECK(store_is_mine(s) && !store_is_mine(other));
    a.sp = a.base + 1000;
    CHECK(activation_enter(&b, other, true) == ERR_OK);
    CHECK(b.base > a.sp && b.previous == &a && activation_is_innermost(&b));
    CHECK(!activation_is_innermost(&a));
    b.sp = b.base + 10;
    uintptr_t limit = limit_of(s);
    CHECK(activation_enter(&c, s, false) == ERR_OK);
    CHECK(c.base > b.sp && limit_of(s) == limit && s->nested == 1);
    activation_leave(&c);
    activation_leave(&b);
    CHECK(!store_is_mine(other) && store_is_mine(s));
    CHECK(activation_is_innermost(&a));
    activation_leave(&a);
    CHECK(!store_is_mine(s) && s->nested == 0);
    store_unref(s);
    store_unref(other);
}

static void an_interrupt_is_asked_about_once(void)
{
    Store *s = new_store();
    Activation a;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    uintptr_t limit = limit_of(s);
    CHECK(!store_interrupted(s));
    store_interrupt(s);
    store_interrupt(s);
    CHECK(store_interrupted(s));
    CHECK(activation_check(&a, a.base) == ERR_OK && asked == 1);
    CHECK(limit_of(s) == limit);
    CHECK(activation_check(&a, a.base) == ERR_OK && asked == 1);
    answer = ERR_HOST;
    store_interrupt(s);
    CHECK(activation_check(&a, a.base) == ERR_HOST && limit_of(s) == limit);
    s->interrupt = NULL;
    store_interrupt(s);
    CHECK(activation_check(&a, a.base) == ERR_INTERRUPTED);
    CHECK(store_poll(s) == ERR_OK);
    activation_leave(&a);
    store_unref(s);
}

static void an_interrupt_before_the_call_waits_for_it(void)
{
    Store *s = new_store();
    Activation a, b;
    store_interrupt(s);
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    CHECK(store_interrupted(s));
    CHECK(activation_enter(&b, s, false) == ERR_OK);
    CHECK(store_interrupted(s));
    activation_leave(&b);
    CHECK(activation_check(&a, a.base) == ERR_OK && asked == 1);
    CHECK(limit_of(s) == (uintptr_t)a.base + s->limits.stack);
    activation_leave(&a);
    store_unref(s);
}

static void overflow_is_told_from_an_interrupt(void)
{
    Store *s = new_store();
    Activation a;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    uint64_t *end = (uint64_t *)limit_of(s);
    CHECK(activation_check(&a, end - 1) == ERR_OK);
    CHECK(activation_check(&a, end) == ERR_STACK && asked == 0);
    store_interrupt(s);
    CHECK(activation_check(&a, end) == ERR_STACK && asked == 1);
    activation_leave(&a);
    store_unref(s);
}

static void the_guest_stack_ends_in_an_error(void)
{
    StoreLimits limits = store_limits_default();
    limits.stack = UINT64_MAX;
    Store *s = store_new(&limits);
    enum { N = 1000 };
    static Activation a[N];
    int n = 0;
    ErrorCode code = ERR_OK;
    while (n < N && (code = activation_enter(&a[n], s, false)) == ERR_OK) {
        a[n].sp = a[n].base + 10000;
        *a[n].sp = 1; /* it is there */
        n++;
    }
    CHECK(code == ERR_STACK && n > 90 && n < 120);
    while (n-- > 0)
        activation_leave(&a[n]);
    CHECK(s->nested == 0 && !store_is_mine(s));
    store_unref(s);
}

static int recurse(Store *s, ErrorCode *code)
{
    volatile char frame[1000];
    Activation a;
    frame[0] = 1;
    *code = activation_enter(&a, s, false);
    if (*code != ERR_OK)
        return 0;
    int n = recurse(s, code) + frame[0];
    activation_leave(&a);
    return n;
}

static void *recurse_in_thread(void *env)
{
    ErrorCode code;
    Store *s = store_new(NULL);
    *(int *)env = recurse(s, &code);
    CHECK(code == ERR_STACK);
    store_unref(s);
    return NULL;
}

static void the_native_stack_ends_in_an_error(void)
{
    for (size_t size = 256 << 10; size <= 8 << 20; size *= 2) {
        pthread_attr_t attributes;
        pthread_t t;
        int n = 0;
        pthread_attr_init(&attributes);
        CHECK(pthread_attr_setstacksize(&attributes, size) == 0);
        CHECK(pthread_create(&t, &attributes, recurse_in_thread, &n) == 0);
        pthread_join(t, NULL);
        pthread_attr_destroy(&attributes);
        CHECK(n > 20);
    }
    int n;
    recurse_in_thread(&n);
    CHECK(n > 100);
}

/* ---- several threads */

static void *enter_and_say(void *store)
{
    Activation a;
    ErrorCode code = activation_enter(&a, store, false);
    if (code == ERR_OK)
        activation_leave(&a);
    return (void *)(uintptr_t)code;
}

static ErrorCode elsewhere(Store *s)
{
    pthread_t t;
    void *code;
    CHECK(pthread_create(&t, NULL, enter_and_say, s) == 0);
    pthread_join(t, &code);
    return (ErrorCode)(uintptr_t)code;
}

static void another_thread_is_refused(void)
{
    Store *s = new_store();
    Activation a;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    CHECK(elsewhere(s) == ERR_BUSY);
    activation_leave(&a);
    CHECK(elsewhere(s) == ERR_OK);
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    CHECK(limit_of(s) == (uintptr_t)a.base + s->limits.stack);
    activation_leave(&a);
    store_unref(s);
}

static void staying_keeps_slots_and_others_out(void)
{
    Store *s = new_store();
    ErrorCode code;
    uint64_t *slots, *inner;
    Activation a, *stay = activation_stay(s, 3, &slots, &code), *second;
    CHECK(stay && code == ERR_OK && elsewhere(s) == ERR_BUSY);
    CHECK(!slots[0] && !slots[1] && !slots[2]);
    slots[2] = heap_host(s, "kept");
    s->n_recent = 0;
    CHECK(activation_enter(&a, s, false) == ERR_OK && a.base > slots + 3);
    activation_leave(&a);
    second = activation_stay(s, 0, &inner, &code);
    CHECK(second && activation_is_innermost(second));
    store_collect(s);
    CHECK(s->n_releases == 0);
    activation_leave(second);
    CHECK(activation_is_innermost(stay) && elsewhere(s) == ERR_BUSY);
    slots[2] = 0;
    store_collect(s);
    CHECK(s->n_releases == 1);
    CHECK(!activation_stay(s, STACK_BYTES, &inner, &code) && code == ERR_STACK);
    activation_leave(stay);
    CHECK(elsewhere(s) == ERR_OK && s->n_releases == 0);
    store_unref(s);
}

static void *stay_a_while(void *store)
{
    Activation a;
    CHECK(activation_enter(&a, store, false) == ERR_OK);
    atomic_fetch_add(&asked, 1);
    usleep(50000);
    activation_leave(&a);
    return NULL;
}

static void waiting_ends_when_the_owner_leaves(void)
{
    Store *s = new_store();
    pthread_t t;
    CHECK(store_wait(s, 0));
    pthread_create(&t, NULL, stay_a_while, s);
    while (!asked)
        usleep(100);
    uint64_t start = os_time_ns();
    CHECK(!store_wait(s, 5000000));
    uint64_t gone = os_time_ns() - start;
    CHECK(gone >= 5000000 && gone < 40000000);
    CHECK(store_wait(s, UINT64_MAX));
    CHECK(os_time_ns() - start < 2000000000);
    pthread_join(t, NULL);
    store_unref(s);
}

/* A loop as guest code has it: looks at the limit at each turn. */
static ErrorCode spin(Store *s, uint64_t ns)
{
    Activation a;
    ErrorCode code = activation_enter(&a, s, true);
    if (code != ERR_OK)
        return code;
    uint64_t end = os_time_ns() + ns;
    while (code == ERR_OK && os_time_ns() < end)
        if (store_interrupted(s))
            code = activation_check(&a, a.base);
    activation_leave(&a);
    return code;
}

static int n_threads(void)
{
    char line[200];
    int n = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Threads: %d", &n) == 1)
            break;
    if (f)
        fclose(f);
    return n;
}

static int threads_at_rest;

static bool ticker_ends(void)
{
    for (int i = 0; i < 100 && n_threads() > threads_at_rest; i++)
        usleep(10000);
    return n_threads() == threads_at_rest && !atomic_load(&tick_running);
}

static void ticks_come_while_a_long_call_runs(void)
{
    Store *s = new_store();
    s->tick_ns = 5000000;
    CHECK(spin(s, 200000000) == ERR_OK);
    CHECK(asked >= 10 && asked <= 45);
    CHECK(n_threads() == threads_at_rest + 1);
    CHECK(ticker_ends());
    answer = ERR_HOST;
    CHECK(spin(s, 2000000000) == ERR_HOST);
    CHECK(ticker_ends());
    store_unref(s);
}

static void short_calls_and_stores_without_ticks_start_no_thread(void)
{
    Store *s = new_store();
    CHECK(spin(s, 20000000) == ERR_OK && asked == 0);
    s->tick_ns = 5000000;
    Activation a;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    activation_leave(&a);
    CHECK(n_threads() == threads_at_rest);
    store_unref(s);
}

static void a_nested_long_call_has_its_own_ticks(void)
{
    Store *s = new_store(), *inner = new_store();
    s->tick_ns = inner->tick_ns = 3000000;
    Activation a;
    CHECK(activation_enter(&a, s, true) == ERR_OK);
    asked = 0;
    CHECK(spin(inner, 60000000) == ERR_OK);
    CHECK(asked >= 3);
    asked = 0;
    for (int i = 0; i < 200 && !store_interrupted(s); i++)
        usleep(1000);
    CHECK(store_interrupted(s));
    activation_leave(&a);
    CHECK(!atomic_load(&a.thread->ticking));
    CHECK(ticker_ends());
    store_unref(s);
    store_unref(inner);
}

/* Stores come and go under the ticker, in several threads. */
static void *churn(void *env)
{
    (void)env;
    for (int i = 0; i < 3000; i++) {
        Store *s = store_new(NULL);
        s->interrupt = handler;
        s->tick_ns = 100000;
        for (int k = 0; k < 3; k++)
            CHECK(spin(s, 20000) == ERR_OK);
        store_unref(s);
        if (i % 500 == 0)
            usleep(130000); /* the ticker may end */
    }
    return NULL;
}

static void ticks_touch_no_freed_store(void)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, churn, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK(asked > 0);
    CHECK(ticker_ends());
}

static Store *contended;
static long long counter; /* owned with the store */

static void *contend(void *env)
{
    (void)env;
    for (int i = 0; i < 20000;) {
        Activation a;
        if (activation_enter(&a, contended, i % 16 == 0) != ERR_OK) {
            store_wait(contended, 1000000);
            continue;
        }
        counter++;
        if (store_interrupted(contended))
            CHECK(activation_check(&a, a.base) == ERR_OK);
        activation_leave(&a);
        i++;
    }
    return NULL;
}

static void the_store_is_a_lock(void)
{
    contended = new_store();
    contended->tick_ns = 500000;
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, contend, NULL);
    for (int i = 0; i < 200; i++) {
        store_interrupt(contended);
        usleep(100);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK(counter == 80000);
    CHECK(ticker_ends());
    store_unref(contended);
}

/* References are dropped while another thread collects. */
static _Atomic bool stop;
static void *drop_references(void *env)
{
    Root **roots = env;
    for (int i = 0; i < 20000; i++) {
        root_free(roots[i]);
        if (i % 100 == 0)
            usleep(100);
    }
    stop = true;
    return NULL;
}

static void references_are_dropped_from_other_threads(void)
{
    enum { N = 20000 };
    static Root *roots[N];
    static Entity *entities[N / 10];
    Store *s = new_store();
    for (int i = 0; i < N; i++)
        roots[i] = root_new(s, T_EXTERNREF, heap_host(s, &roots[i]));
    for (int i = 0; i < N / 10; i++)
        entities[i] = &global_new(s, T_I64, true, NULL)->e;
    pthread_t t;
    stop = false;
    pthread_create(&t, NULL, drop_references, roots);
    Activation a;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    while (!stop) {
        for (int i = 0; i < 100; i++)
            heap_host(s, "x");
        store_collect(s);
    }
    activation_leave(&a);
    pthread_join(t, NULL);
    for (int i = 0; i < N / 10; i++)
        entity_unref(entities[i]);
    CHECK(s->n_entities < N / 10);
    store_collect(s);
    CHECK(s->n_entities == 0 && !s->roots && s->refs == 1);
    CHECK(heap_bytes(s) == 0);
    store_unref(s);
}

/* ---- fork */

static void a_child_of_fork_ticks_and_runs(void)
{
    Store *s = new_store();
    s->tick_ns = 3000000;
    Activation a;
    CHECK(activation_enter(&a, s, true) == ERR_OK); /* forks inside a call */
    pid_t child = fork();
    if (child == 0) {
        bool ok = false;
        for (int i = 0; i < 300 && !ok; i++) {
            usleep(1000);
            ok = store_interrupted(s);
        }
        activation_leave(&a);
        ok = ok && spin(s, 30000000) == ERR_OK && asked >= 2;
        ok = ok && elsewhere(s) == ERR_OK;
        _exit(ok ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    for (int i = 0; i < 300 && !store_interrupted(s); i++)
        usleep(1000);
    CHECK(store_interrupted(s)); /* the parent's ticks go on, too */
    activation_leave(&a);
    CHECK(ticker_ends());
    store_unref(s);
}

static void *spin_long(void *store)
{
    return (void *)(uintptr_t)spin(store, 400000000);
}

static void forks_among_running_threads_do_no_harm(void)
{
    Store *s[3];
    pthread_t t[3];
    for (int i = 0; i < 3; i++) {
        s[i] = new_store();
        s[i]->tick_ns = 1000000;
        pthread_create(&t[i], NULL, spin_long, s[i]);
    }
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            Store *fresh = new_store();
            fresh->tick_ns = 1000000;
            bool ok = spin(fresh, 10000000) == ERR_OK;
            Activation a; /* its thread is gone, and was inside */
            ErrorCode code = activation_enter(&a, s[i % 3], false);
            ok = ok && (code == ERR_BUSY || code == ERR_OK);
            _exit(ok ? 0 : 1);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    for (int i = 0; i < 3; i++) {
        void *code;
        pthread_join(t[i], &code);
        CHECK(code == NULL);
        store_unref(s[i]);
    }
    CHECK(ticker_ends());
}

static void *seize_a_while(void *store)
{
    CHECK(store_seize(store));
    atomic_fetch_add(&asked, 1);
    usleep(50000);
    store_yield(store);
    return NULL;
}

static bool is_given_up_quickly(Store *s)
{
    Activation a;
    uint64_t start = os_time_ns();
    bool refused = activation_enter(&a, s, false) == ERR_BUSY
                   && !store_wait(s, UINT64_MAX) && store_is_lost(s);
    return refused && os_time_ns() - start < 100000000;
}

static void a_child_does_not_wait_for_threads_it_has_not(void)
{
    Store *s = new_store(), *seized = new_store(), *fresh = new_store();
    pthread_t t[2];
    Activation a;
    pthread_create(&t[0], NULL, stay_a_while, s);
    pthread_create(&t[1], NULL, seize_a_while, seized);
    while (asked < 2)
        usleep(100);
    CHECK(!store_is_lost(s) && !store_is_lost(seized));
    pid_t child = fork();
    if (child == 0) {
        bool ok = is_given_up_quickly(s) && is_given_up_quickly(seized);
        ok = ok && !store_is_lost(fresh) && store_wait(fresh, 0);
        ok = ok && activation_enter(&a, fresh, false) == ERR_OK;
        ok = ok && !store_is_lost(fresh);
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(is_given_up_quickly(s) && is_given_up_quickly(seized)
                          && !store_is_lost(fresh)
                      ? 0
                      : 1);
        int status;
        ok = ok && waitpid(grandchild, &status, 0) == grandchild && status == 0;
        _exit(ok ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(store_wait(s, UINT64_MAX) && store_wait(seized, UINT64_MAX));
    CHECK(!store_is_lost(s) && !store_is_lost(seized));
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    store_unref(s);
    store_unref(seized);
    store_unref(fresh);
}

static void *make_types(void *env)
{
    Type params[40];
    TypeGroup *g;
    for (uint32_t i = 0; !stop; i++) {
        for (uint32_t k = 0; k < 40; k++)
            params[k] = (i + (uintptr_t)env) >> k % 8 & 1 ? T_I32 : T_I64;
        CHECK(type_func_intern(params, 40, NULL, 0, &g));
        type_group_release(g);
    }
    return NULL;
}

static void a_child_of_fork_makes_types(void)
{
    pthread_t t[2];
    Type param = T_F64;
    TypeGroup *g;
    stop = false;
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, make_types, (void *)i);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(type_func_intern(&param, 1, NULL, 0, &g) ? 0 : 1);
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

/* ---- the end of the process */

static uint64_t exit_began;
static void look_at_the_end(void) /* runs after the ticker's */
{
    uint64_t gone = os_time_ns() - exit_began;
    _exit(!atomic_load(&tick_running) && gone < 20000000 ? 0 : 1);
}

static void the_ticker_ends_before_the_process(void)
{
    Store *s = new_store();
    pid_t child = fork();
    if (child == 0) {
        s->tick_ns = 3000000;
        atexit(look_at_the_end);
        CHECK(spin(s, 10000000) == ERR_OK && atomic_load(&tick_running));
        exit_began = os_time_ns();
        exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    store_unref(s);
}

/* ---- the usual way in */

#define HERE ((uintptr_t)__builtin_frame_address(0))

static void the_first_entry_is_the_threads_own(void)
{
    Store *s = new_store(), *other = new_store();
    Activation b;
    for (int alone = 0; alone < 2; alone++) {
        Thread *t = activation_first(s, HERE, alone);
        CHECK(t && t == thread_current() && thread_top(t) == &t->first);
        CHECK(t->first.store == s && store_is_mine(s) && s->nested == 0);
        CHECK(limit_of(s) == (uintptr_t)t->first.base + s->limits.stack);
        CHECK(!activation_first(s, HERE, alone));
        CHECK(!activation_first(other, HERE, alone));
        CHECK(elsewhere(s) == ERR_BUSY);
        t->first.sp += 10;
        CHECK(activation_enter(&b, s, false) == ERR_OK && s->nested == 1);
        CHECK(b.base > t->first.sp && !activation_is_innermost(&t->first));
        activation_leave(&b);
        CHECK(activation_is_innermost(&t->first));
        t->first.sp = t->first.base;
        activation_last(t, s);
        CHECK(!store_is_mine(s) && !t->top && !t->entry);
        CHECK(elsewhere(s) == ERR_OK);
    }
    store_unref(s);
    store_unref(other);
}

static void *enter_first(void *store)
{
    return activation_first(store, HERE, true);
}

static void the_first_entry_waits_for_nobody(void)
{
    Store *s = new_store();
    pthread_t other;
    void *t;
    Activation a;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    CHECK(pthread_create(&other, NULL, enter_first, s) == 0);
    pthread_join(other, &t);
    CHECK(!t && store_is_mine(s));
    activation_leave(&a);
    store_unref(s);
}

static __attribute__((noinline)) void enter_deeply(Store *s, int depth)
{
    volatile char frame[4096];
    frame[0] = (char)depth;
    if (depth)
        enter_deeply(s, depth - 1);
    Thread *t = activation_first(s, HERE, depth & 1);
    uintptr_t limit = atomic_load(&s->native_limit), away = HERE - limit;
    uintptr_t stack = s->limits.stack, slack = stack / 16 + 1024;
    CHECK(away > stack - slack && away < stack + slack);
    CHECK(limit_of(s) == (uintptr_t)t->first.base + stack);
    activation_last(t, s);
}

static void limits_follow_the_stack_and_the_thread(void)
{
    Store *s = new_store();
    s->limits.stack = 64 << 10;
    for (int i = 0; i < 3; i++) {
        enter_deeply(s, 60);
        CHECK(elsewhere(s) == ERR_OK);
    }
    Store *outer = new_store();
    Activation a, b;
    CHECK(activation_enter(&a, outer, false) == ERR_OK);
    a.sp += 100;
    CHECK(activation_enter(&b, s, false) == ERR_OK); /* from another base */
    activation_leave(&b);
    activation_leave(&a);
    enter_deeply(s, 0);
    store_unref(s);
    store_unref(outer);
}

static void an_interrupt_outlasts_the_first_entry(void)
{
    Store *s = new_store();
    for (int i = 0; i < 2; i++) {
        if (i)
            s->limits_thread = 0; /* limits are set anew */
        store_interrupt(s);
        Thread *t = activation_first(s, HERE, true);
        CHECK(store_interrupted(s));
        CHECK(atomic_load(&s->native_limit) == UINTPTR_MAX);
        CHECK(activation_check(&t->first, t->first.base) == ERR_OK);
        CHECK(asked == i + 1 && !store_interrupted(s));
        activation_last(t, s);
    }
    store_unref(s);
}

static void the_first_entry_may_be_left_before_others(void)
{
    Store *s = new_store();
    Activation b;
    Thread *t = activation_first(s, HERE, false);
    CHECK(activation_enter(&b, s, false) == ERR_OK);
    activation_last(t, s);
    CHECK(store_is_mine(s) && !activation_first(s, HERE, false));
    CHECK(thread_top(t) == &b);
    activation_leave(&b);
    CHECK(!store_is_mine(s) && !t->entry);
    CHECK(activation_first(s, HERE, false) == t);
    CHECK(thread_top(t) == &t->first);
    activation_last(t, s);
    store_unref(s);
}

/* ---- a library that switches C stacks */

static void leaving_out_of_order_is_noticed(void)
{
    Store *s = new_store();
    Activation a, b, c;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    CHECK(activation_enter(&b, s, false) == ERR_OK);
    CHECK(!activation_is_innermost(&a));
    activation_leave(&a);
    CHECK(activation_is_innermost(&b) && s->nested == 0);
    CHECK(activation_enter(&c, s, false) == ERR_OK && c.base > b.base);
    activation_leave(&c);
    activation_leave(&b);
    CHECK(!store_is_mine(s) && !b.thread->entry && !b.thread->top);
    store_unref(s);
}

static void an_overwritten_record_is_never_used(void)
{
    Store *s = new_store();
    Activation a, saved, b;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    uint64_t word = heap_host(s, "x");
    s->n_recent = 0;
    *a.base = word;
    a.sp = a.base;
    saved = a;
    memset(&a, 0xee, sizeof a); /* another stack lies here now */
    CHECK(activation_enter(&b, s, false) == ERR_BUSY);
    store_collect(s); /* frees nothing: the stack's end is not known */
    CHECK(heap_bytes(s) == 16 && word_object(word)->id == TYPE_ID_EXTERN);
    a = saved;
    CHECK(activation_enter(&b, s, false) == ERR_OK);
    activation_leave(&b);
    activation_leave(&a);
    store_unref(s);
}

static ucontext_t here, there;
static Store *on_other_stack;
static void enter_there(void)
{
    Activation a;
    CHECK(activation_enter(&a, on_other_stack, false) == ERR_OK);
    activation_leave(&a);
}

static void stacks_of_others_making_are_entered(void)
{
    static _Alignas(16) char stack[256 << 10];
    on_other_stack = new_store();
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &here;
    makecontext(&there, enter_there, 0);
    swapcontext(&here, &there);
    store_unref(on_other_stack);
}

/* ---- releases */

static int released;
static void enter_again(void *env, void *host)
{
    Store *s = env;
    Activation a;
    (void)host;
    released++;
    CHECK(s->nested == 0 && activation_enter(&a, s, false) == ERR_OK);
    for (int i = 0; i < 10; i++)
        heap_host(s, "more");
    store_collect(s); /* waits */
    activation_leave(&a);
}

static void releases_run_at_the_outermost_exit(void)
{
    Store *s = new_store();
    s->release = enter_again;
    s->host_env = s;
    Activation a, b;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    heap_host(s, "x");
    s->n_recent = 0;
    CHECK(activation_enter(&b, s, false) == ERR_OK);
    store_collect(s);
    CHECK(s->n_releases == 1);
    activation_leave(&b);
    CHECK(released == 0);
    activation_leave(&a);
    CHECK(released == 1 && s->n_releases == 0 && heap_bytes(s) == 160);
    s->release = NULL;
    store_unref(s);
}

static void speed_of_entering(void)
{
    Store *s = new_store();
    enum { N = 20000000 };
    Activation a;
    uint64_t start = os_time_ns();
    for (int i = 0; i < N; i++) {
        activation_enter(&a, s, false);
        activation_leave(&a);
    }
    double plain = (double)(os_time_ns() - start) / N;
    s->tick_ns = 5000000;
    start = os_time_ns();
    for (int i = 0; i < N; i++) {
        activation_enter(&a, s, true);
        activation_leave(&a);
    }
    double ticking = (double)(os_time_ns() - start) / N;
    Activation outer;
    activation_enter(&outer, s, false);
    start = os_time_ns();
    for (int i = 0; i < N; i++) {
        activation_enter(&a, s, false);
        activation_leave(&a);
    }
    double nested = (double)(os_time_ns() - start) / N;
    activation_leave(&outer);
    double first[2];
    for (int alone = 0; alone < 2; alone++) {
        start = os_time_ns();
        for (int i = 0; i < N; i++)
            activation_last(activation_first(s, HERE, alone), s);
        first[alone] = (double)(os_time_ns() - start) / N;
    }
    printf("   enter and leave: %.1f ns; ticking %.1f ns; nested %.1f ns; "
           "first %.1f ns; alone %.1f ns\n",
           plain, ticking, nested, first[0], first[1]);
    store_unref(s);
}

int main(void)
{
    Store *s = store_new(NULL);
    elsewhere(s); /* a sanitizer's own thread starts with the first */
    store_unref(s);
    usleep(50000);
    threads_at_rest = n_threads();
    RUN(entries_nest);
    RUN(an_interrupt_is_asked_about_once);
    RUN(an_interrupt_before_the_call_waits_for_it);
    RUN(overflow_is_told_from_an_interrupt);
    RUN(the_guest_stack_ends_in_an_error);
    RUN(the_native_stack_ends_in_an_error);
    RUN(the_ticker_ends_before_the_process);
    RUN(another_thread_is_refused);
    RUN(staying_keeps_slots_and_others_out);
    RUN(waiting_ends_when_the_owner_leaves);
    RUN(short_calls_and_stores_without_ticks_start_no_thread);
    RUN(ticks_come_while_a_long_call_runs);
    RUN(a_nested_long_call_has_its_own_ticks);
    RUN(ticks_touch_no_freed_store);
    RUN(the_store_is_a_lock);
    RUN(references_are_dropped_from_other_threads);
    RUN(the_first_entry_is_the_threads_own);
    RUN(the_first_entry_waits_for_nobody);
    RUN(limits_follow_the_stack_and_the_thread);
    RUN(an_interrupt_outlasts_the_first_entry);
    RUN(the_first_entry_may_be_left_before_others);
    RUN(leaving_out_of_order_is_noticed);
    RUN(an_overwritten_record_is_never_used);
    RUN(stacks_of_others_making_are_entered);
    RUN(releases_run_at_the_outermost_exit);
    RUN(a_child_of_fork_ticks_and_runs);
    RUN(forks_among_running_threads_do_no_harm);
    RUN(a_child_does_not_wait_for_threads_it_has_not);
    RUN(a_child_of_fork_makes_types);
    RUN(speed_of_entering);
    return 0;
}
