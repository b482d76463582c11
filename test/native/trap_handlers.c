/* Other handlers of SIGSEGV and SIGBUS, set before and after the engine's: the
 * guest's faults are the engine's, all others end where they would without. */
#include "guest.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char text[] =
    "(module (import \"\" \"host\" (func $host (param i32) (result i32)))\n"
    "(memory (export \"m\") 1 2)\n"
    "(func (export \"load\") (param i32) (result i32)\n"
    "  (i32.load (local.get 0)))\n"
    "(func (export \"host\") (param i32) (result i32)\n"
    "  (i32.add (call $host (local.get 0)) (i32.const 1))))";

static volatile uint8_t *hole; /* unreadable */
static chi_memory *memory;

static void fault(void) { hole[0] = 1; }
static void raise_it(void) { raise(SIGSEGV); }
static void kill_it(void)
{
    kill(getpid(), SIGSEGV);
    usleep(1000000);
}
static void bus(void) { raise(SIGBUS); }
/* Where the guest may not go, nor may the host. */
static void leave_memory(void)
{
    size_t bytes;
    volatile uint8_t *p = chi_memory_data(memory, &bytes);
    p[bytes + (8 << 20)] = 1;
}

static void (*in_host)(void);

static chi_code host(void *env, chi_store *s, uint64_t *slots)
{
    (void)env;
    (void)s;
    if (in_host)
        in_host();
    slots[0] = 5;
    return CHI_OK;
}

typedef struct {
    chi_store *store;
    chi_instance *instance;
    chi_func *load, *host;
} Engine;

static Engine engine_new(void)
{
    chi_type i32 = CHI_I32;
    Engine e = {.store = chi_store_new(NULL)};
    chi_extern import = {
        .kind = CHI_FUNC,
        .func = chi_func_new(e.store, &i32, 1, &i32, 1, host, NULL, NULL)};
    e.instance = guest_add(e.store, text, &import);
    chi_extern_free(import);
    e.load = guest_func(e.instance, "load");
    e.host = guest_func(e.instance, "host");
    memory = guest_export(e.instance, "m").memory;
    return e;
}

static void engine_free(Engine *e)
{
    chi_instance_free(e->instance);
    chi_store_free(e->store);
}

static void check_traps(const Engine *e)
{
    uint64_t result;
    for (int k = 0; k < 3; k++) {
        CHECK(guest_call(e->load, 65533, NULL) == CHI_MEMORY_BOUNDS);
        CHECK(guest_call(e->load, 0x7fffffff, NULL) == CHI_MEMORY_BOUNDS);
        CHECK(guest_call(e->load, 0, &result) == CHI_OK && result == 0);
        in_host = NULL;
        CHECK(guest_call(e->host, 0, &result) == CHI_OK && result == 6);
    }
}

/* ---- what a process of its own ends with */

static int end_of(void (*f)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        alarm(60);
        f();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void (*last)(void);

static void then_outside(void)
{
    Engine e = engine_new();
    check_traps(&e);
    last();
}

static void then_in_host(void)
{
    Engine e = engine_new();
    check_traps(&e);
    in_host = last;
    guest_call(e.host, 0, NULL);
}

static void *run_last(void *unused)
{
    last();
    return unused;
}

static void then_in_a_thread(void)
{
    pthread_t thread;
    Engine e = engine_new();
    check_traps(&e);
    pthread_create(&thread, NULL, run_last, NULL);
    pthread_join(thread, NULL);
}

static void faults_of_the_host_end_it(void)
{
    static void (*const faults[])(void) = {fault, raise_it, kill_it};
    for (unsigned k = 0; k < 3; k++) {
        last = faults[k];
        CHECK(end_of(then_outside) == SIGSEGV);
        CHECK(end_of(then_in_host) == SIGSEGV);
        CHECK(end_of(then_in_a_thread) == SIGSEGV);
    }
    last = bus;
    CHECK(end_of(then_outside) == SIGBUS);
    CHECK(end_of(then_in_host) == SIGBUS);
}

static bool has_guards(void)
{
    const char *form = getenv("CHIASM_MEMORY"), *on = getenv("CHIASM_SIGNALS");
    struct rlimit addresses;
    getrlimit(RLIMIT_AS, &addresses);
    return !is_interpreted() && addresses.rlim_cur == RLIM_INFINITY
           && !(form && !strcmp(form, "explicit")) && !(on && !strcmp(on, "0"));
}

static void the_host_may_not_leave_memory_either(void)
{
    if (!has_guards())
        return;
    last = leave_memory;
    CHECK(end_of(then_outside) == SIGSEGV);
    CHECK(end_of(then_in_host) == SIGSEGV);
    CHECK(end_of(then_in_a_thread) == SIGSEGV);
}

/* ---- another library */

static sigjmp_buf out;
static _Atomic int seen;
static struct sigaction before_theirs;

static void jump(int number)
{
    (void)number;
    seen++;
    siglongjmp(out, 1);
}

/* It takes what it knows, and passes on the rest, as good libraries do. */
static void theirs(int number, siginfo_t *info, void *context)
{
    if ((volatile uint8_t *)info->si_addr == hole)
        jump(number);
    if (before_theirs.sa_flags & SA_SIGINFO)
        before_theirs.sa_sigaction(number, info, context);
    else if (before_theirs.sa_handler != SIG_DFL)
        before_theirs.sa_handler(number);
    else
        abort();
}

static void set_theirs(int flags)
{
    struct sigaction a = {.sa_sigaction = theirs};
    a.sa_flags = SA_SIGINFO | flags;
    CHECK(sigaction(SIGSEGV, &a, &before_theirs) == 0);
}

static void check_theirs(const Engine *e)
{
    seen = 0;
    for (volatile int k = 1; k <= 3; k++) {
        if (sigsetjmp(out, 1) == 0)
            fault();
        CHECK(seen == k);
        check_traps(e);
    }
}

static void set_default(void)
{
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
}

static void theirs_before_ours(void)
{
    set_theirs(0);
    Engine e = engine_new();
    check_theirs(&e);
    engine_free(&e);
}

static void theirs_after_ours(void)
{
    Engine e = engine_new();
    check_traps(&e);
    set_theirs(SA_NODEFER);
    check_theirs(&e);
    Engine other = engine_new(); /* puts ours on top */
    check_theirs(&e);
    check_theirs(&other);
    engine_free(&other);
    engine_free(&e);
}

/* It says when, and forgets what was there. */
static void theirs_that_passes_nothing_on(void)
{
    struct sigaction a = {.sa_handler = jump};
    Engine e = engine_new();
    check_traps(&e);
    chi_signals(false);
    CHECK(sigaction(SIGSEGV, &a, NULL) == 0);
    chi_signals(true);
    check_theirs(&e);
    engine_free(&e);
}

static void theirs_on_a_stack_of_its_own(void)
{
    static char stack[64 << 10];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK(sigaltstack(&other, NULL) == 0);
    set_theirs(SA_ONSTACK);
    Engine e = engine_new();
    check_theirs(&e);
    engine_free(&e);
}

static void theirs_of_old_style(void)
{
    signal(SIGSEGV, jump);
    Engine e = engine_new();
    check_theirs(&e);
    engine_free(&e);
}

static void ignored_before(void)
{
    signal(SIGSEGV, SIG_IGN);
    Engine e = engine_new();
    check_traps(&e);
    raise(SIGSEGV); /* ignored, still */
    check_traps(&e);
    engine_free(&e);
}

static void blocked(void)
{
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGSEGV); /* a fault while blocked ends a process */
    sigdelset(&set, SIGBUS);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    Engine e = engine_new();
    check_traps(&e);
    engine_free(&e);
}

static void other_libraries_get_what_is_theirs(void)
{
    static void (*const worlds[])(void) = {
        theirs_before_ours,
        theirs_after_ours,
        theirs_that_passes_nothing_on,
        theirs_on_a_stack_of_its_own,
        theirs_of_old_style,
        ignored_before,
        blocked,
    };
    for (unsigned k = 0; k < sizeof worlds / sizeof *worlds; k++)
        CHECK(end_of(worlds[k]) == 0);
}

/* ---- many threads */

static void *trap_often(void *unused)
{
    Engine e = engine_new();
    for (int k = 0; k < 300; k++)
        check_traps(&e);
    engine_free(&e);
    return unused;
}

static void threads_trap_each_for_itself(void)
{
    pthread_t threads[4];
    for (int k = 0; k < 4; k++)
        pthread_create(&threads[k], NULL, trap_often, NULL);
    for (int k = 0; k < 4; k++)
        pthread_join(threads[k], NULL);
}

int main(void)
{
    hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(hole != MAP_FAILED);
    set_default(); /* a sanitizer has its own */
    RUN(faults_of_the_host_end_it);
    RUN(the_host_may_not_leave_memory_either);
    RUN(other_libraries_get_what_is_theirs);
    RUN(threads_trap_each_for_itself);
    return 0;
}
