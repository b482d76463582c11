#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "os/os.h"
#include "runtime/code_memory.h"

static volatile uint8_t *hole; /* unreadable */

/* ---- code that faults, and where it goes on */

#if defined(__x86_64__)
static const uint8_t code[] = {
    0x55,                   /* push rbp */
    0x48, 0x89, 0xe5,       /* mov rbp, rsp */
    0x41, 0x56,             /* push r14 */
    0x49, 0x89, 0xf6,       /* mov r14, rsi */
    0x48, 0x83, 0xec, 0x28, /* sub rsp, 40 */
    0x8b, 0x07,             /* mov eax, [rdi] */
    0xeb, 0x03,             /* jmp end */
    0x4c, 0x01, 0xf0,       /* landing: add rax, r14 */
    0x48, 0x83, 0xc4, 0x28, /* end: add rsp, 40 */
    0x41, 0x5e,             /* pop r14 */
    0x5d,                   /* pop rbp */
    0xc3,                   /* ret */
};
enum { LOAD_AT = 13, LANDING_AT = 17, FRAME = 48 };
#elif defined(__aarch64__)
static const uint32_t code[] = {
    0xa9be7bfd, /* stp x29, x30, [sp, -32]! */
    0x910003fd, /* mov x29, sp */
    0xf9000bfb, /* str x27, [sp, 16] */
    0xaa0103fb, /* mov x27, x1 */
    0xb9400000, /* ldr w0, [x0] */
    0x14000002, /* b end */
    0x8b1b0000, /* landing: add x0, x0, x27 */
    0xf9400bfb, /* end: ldr x27, [sp, 16] */
    0xa8c27bfd, /* ldp x29, x30, [sp], 32 */
    0xd65f03c0, /* ret */
};
enum { LOAD_AT = 16, LANDING_AT = 24, FRAME = 0 };
#endif

typedef long Function(const volatile void *p, long context);
static uintptr_t function; /* its address */
static _Atomic int asked, ours;

/* A call through an integer, which no sanitizer looks at. */
__attribute__((no_sanitize("undefined"))) static long run(
    const volatile void *p, long context)
{
    return ((Function *)function)(p, context);
}

static bool watch(OsFault *f)
{
    asked++;
    if (f->pc != function + LOAD_AT || f->address != (uintptr_t)hole + 8)
        return false;
    if (f->fp - f->sp != FRAME)
        return false;
    ours++;
    f->pc = function + LANDING_AT;
    f->result = 1000;
    f->ctx += 1;
    return true;
}

static void make_function(void)
{
    CodeSpan s;
    CHECK(code_alloc(sizeof code, code, &s));
    memcpy(s.write, code, sizeof code);
    CHECK(code_seal(s));
    function = (uintptr_t)s.exec;
}

static void set(int number, void (*f)(int), int flags)
{
    struct sigaction a = {.sa_handler = f, .sa_flags = flags};
    sigaddset(&a.sa_mask, SIGUSR1);
    CHECK(sigaction(number, &a, NULL) == 0);
}

/* The signal that ends a child in which f runs, or 0. */
static int end_of(void (*f)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        f();
        fflush(stdout);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void go_on_from_a_fault(void)
{
    CHECK(run(hole + 8, 5) == 1006);
    CHECK(run(hole + 8, 10000) == 11001);
}

static void watch_anew(void)
{
    asked = ours = 0;
    CHECK(os_faults_watch(watch));
}

static void a_fault_goes_on_where_it_is_told(void)
{
    uint32_t word = 77;
    watch_anew();
    CHECK(run(&word, 1) == 77);
    go_on_from_a_fault();
    CHECK(ours == 2 && asked == 2);
    CHECK(os_faults_watch(watch));
    go_on_from_a_fault();
}

static void *fault_often(void *unused)
{
    for (int i = 0; i < 2000; i++)
        CHECK(run(hole + 8, i) == 1001 + i);
    return unused;
}

static void faults_come_in_many_threads(void)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, fault_often, NULL);
    for (int i = 0; i < 300; i++)
        CHECK(os_faults_reassert());
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

/* ---- passing on */

static void fault(void) { CHECK(*hole == 0); }
static void fault_in_code(void) { run(hole, 1); }

static void with_the_default(void (*f)(void), int number)
{
    set(SIGSEGV, SIG_DFL, 0);
    set(SIGBUS, SIG_DFL, 0);
    watch_anew();
    CHECK(end_of(go_on_from_a_fault) == 0);
    CHECK(end_of(f) == number);
}

static void raise_it(void) { raise(SIGSEGV); }
static void raise_bus(void) { raise(SIGBUS); }
static void kill_it(void)
{
    kill(getpid(), SIGSEGV);
    usleep(100000);
}

static void what_is_declined_ends_the_process(void)
{
    with_the_default(fault, SIGSEGV);
    with_the_default(fault_in_code, SIGSEGV);
    with_the_default(raise_it, SIGSEGV);
    with_the_default(kill_it, SIGSEGV);
    with_the_default(raise_bus, SIGBUS);
    os_faults_ignore();
}

static sigjmp_buf out;
static _Atomic int called;
static uintptr_t seen_address, seen_pc;
static sigset_t seen_mask;
static bool masks_are_ours = true; /* ThreadSanitizer blocks all signals */

static void plain(int number)
{
    called += number == SIGSEGV;
    sigprocmask(SIG_BLOCK, NULL, &seen_mask);
    siglongjmp(out, 1);
}

static void full(int number, siginfo_t *info, void *context)
{
    seen_address = (uintptr_t)info->si_addr;
#if defined(__x86_64__)
    seen_pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#else
    seen_pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.pc;
#endif
    plain(number);
}

static void set_full(int flags)
{
    struct sigaction a = {.sa_sigaction = full, .sa_flags = flags | SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &a, NULL) == 0);
}

static void jump_out_of(void (*f)(void))
{
    if (sigsetjmp(out, 1) == 0) {
        f();
        CHECK(!"reached");
    }
}

static bool is_blocked(int number)
{
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, number);
}

static void a_plain_handler_is_called_with_its_mask(void)
{
    set(SIGSEGV, plain, 0);
    watch_anew();
    called = 0;
    for (int i = 1; i < 4; i++) {
        jump_out_of(i % 2 ? fault : fault_in_code);
        CHECK(called == i && asked == i);
        CHECK(sigismember(&seen_mask, SIGUSR1));
        CHECK(sigismember(&seen_mask, SIGSEGV));
        CHECK(!is_blocked(SIGSEGV) && !is_blocked(SIGUSR1));
    }
    jump_out_of(raise_it);
    CHECK(called == 4 && asked == 3);
    go_on_from_a_fault();
    os_faults_ignore();
    set(SIGSEGV, plain, SA_NODEFER);
    watch_anew();
    jump_out_of(fault);
    CHECK(called == 5);
    CHECK(!masks_are_ours || !sigismember(&seen_mask, SIGSEGV));
    CHECK(sigismember(&seen_mask, SIGUSR1));
    os_faults_ignore();
    jump_out_of(fault);
    CHECK(called == 6 && asked == 1);
}

static void a_full_handler_learns_all(void)
{
    set_full(0);
    watch_anew();
    called = 0;
    jump_out_of(fault_in_code);
    CHECK(called == 1 && seen_address == (uintptr_t)hole);
    CHECK(seen_pc == function + LOAD_AT);
    CHECK(!masks_are_ours || !sigismember(&seen_mask, SIGUSR1));
    CHECK(sigismember(&seen_mask, SIGSEGV));
    go_on_from_a_fault();
    os_faults_ignore();
}

/* One that mends what was wrong, and returns. */
static void mend(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    called++;
    os_pages_commit((void *)(uintptr_t)hole, os_page_size());
}

static void a_handler_may_mend_and_return(void)
{
    struct sigaction a = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &a, NULL) == 0);
    watch_anew();
    called = 0;
    CHECK(*hole == 0 && called == 1);
    CHECK(*hole == 0 && called == 1 && !is_blocked(SIGSEGV));
    os_pages_decommit((void *)(uintptr_t)hole, os_page_size());
    os_faults_ignore();
}

static void fault_twice(void)
{
    called = 0;
    jump_out_of(fault);
    CHECK(called == 1);
    fault();
}

static void a_handler_for_once_is_called_once(void)
{
    set(SIGSEGV, plain, (int)SA_RESETHAND);
    watch_anew();
    CHECK(end_of(fault_twice) == SIGSEGV);
    os_faults_ignore();
}

static void ignored_signals_do_nothing_but_faults_end(void)
{
    set(SIGSEGV, SIG_IGN, 0);
    watch_anew();
    CHECK(end_of(raise_it) == 0 && end_of(kill_it) == 0);
    raise(SIGSEGV);
    go_on_from_a_fault();
    CHECK(end_of(fault) == SIGSEGV);
    os_faults_ignore();
}

/* ---- those who come later */

static void who_replaces_us_is_put_below(void)
{
    set(SIGSEGV, SIG_DFL, 0);
    watch_anew();
    for (int i = 0; i < 3; i++) {
        called = 0;
        set(SIGSEGV, plain, 0);
        jump_out_of(fault);
        CHECK(called == 1 && asked == 0);
        CHECK(os_faults_reassert());
        jump_out_of(fault);
        CHECK(called == 2 && asked == 1);
        go_on_from_a_fault();
        asked = 0;
        set_full(0);
        CHECK(os_faults_reassert());
        jump_out_of(fault_in_code);
        CHECK(seen_pc == function + LOAD_AT);
        asked = 0;
    }
    os_faults_ignore();
    CHECK(!os_faults_reassert());
    jump_out_of(fault);
    CHECK(asked == 0);
}

/* As CPython's faulthandler: says something, restores the one before, and
 * raises the signal again. */
static struct sigaction saved;
static bool enabled;
static int dumps[2];
static void dump(int number)
{
    if (!enabled)
        return;
    CHECK(write(dumps[1], "x", 1) == 1);
    sigaction(number, &saved, NULL);
    raise(number);
}
static void enable(void)
{
    struct sigaction a = {.sa_handler = dump, .sa_flags = SA_NODEFER};
    enabled = true;
    CHECK(sigaction(SIGSEGV, &a, &saved) == 0);
}
static void disable(void)
{
    enabled = false;
    CHECK(sigaction(SIGSEGV, &saved, NULL) == 0);
}

static int n_dumps(void)
{
    char bytes[100];
    CHECK(write(dumps[1], "", 1) == 1);
    return (int)read(dumps[0], bytes, sizeof bytes) - 1;
}

static void dies_after(int n)
{
    CHECK(end_of(fault) == SIGSEGV && n_dumps() == n);
    CHECK(end_of(raise_it) == SIGSEGV && n_dumps() == n);
    CHECK(end_of(go_on_from_a_fault) == 0 && n_dumps() == 0);
}

static void a_fault_handler_of_python_speaks_once(void)
{
    set(SIGSEGV, SIG_DFL, 0);
    enable(); /* before us */
    watch_anew();
    dies_after(1);
    disable(); /* takes us away, with itself */
    CHECK(os_faults_reassert());
    dies_after(0);
    enable(); /* after us: it goes on to us */
    CHECK(os_faults_reassert());
    CHECK(end_of(fault) == SIGSEGV && n_dumps() >= 1);
    CHECK(end_of(go_on_from_a_fault) == 0);
    disable();
    os_faults_ignore();
    set(SIGSEGV, SIG_DFL, 0);

    watch_anew();
    enable();
    CHECK(os_faults_reassert());
    dies_after(1);
    os_faults_ignore();
    disable(); /* what it believes to be before is us */
    set(SIGSEGV, SIG_DFL, 0);
}

/* The way for those who know of each other. */
static void stepping_aside_while_others_install(void)
{
    set(SIGSEGV, SIG_DFL, 0);
    watch_anew();
    for (int i = 0; i < 3; i++) {
        os_faults_ignore();
        enable();
        CHECK(os_faults_watch(watch));
        dies_after(1);
        os_faults_ignore();
        disable();
        CHECK(os_faults_watch(watch));
        dies_after(0);
    }
    os_faults_ignore();
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void speed_of_faults(void)
{
    enum { N = 20000 };
    watch_anew();
    double start = now_ns();
    for (int i = 0; i < N; i++)
        os_faults_reassert();
    double query = (now_ns() - start) / N;
    start = now_ns();
    for (int i = 0; i < N; i++)
        run(hole + 8, i);
    printf("   a query: %.0f ns; a fault: %.0f ns\n", query,
           (now_ns() - start) / N);
    os_faults_ignore();
}

int main(int argc, char **argv)
{
    masks_are_ours = argc == 1 || strcmp(argv[1], "thread") != 0;
    if (!code_memory_available(NULL)) {
        printf("this system has no memory for code\n");
        return 0;
    }
    hole = os_pages_reserve(os_page_size());
    make_function();
    CHECK(pipe(dumps) == 0);
    RUN(a_fault_goes_on_where_it_is_told);
    RUN(faults_come_in_many_threads);
    os_faults_ignore();
    RUN(what_is_declined_ends_the_process);
    RUN(a_plain_handler_is_called_with_its_mask);
    RUN(a_full_handler_learns_all);
    RUN(a_handler_may_mend_and_return);
    RUN(a_handler_for_once_is_called_once);
    RUN(ignored_signals_do_nothing_but_faults_end);
    RUN(who_replaces_us_is_put_below);
    if (masks_are_ours)
        RUN(a_fault_handler_of_python_speaks_once);
    if (masks_are_ours)
        RUN(stepping_aside_while_others_install);
    RUN(speed_of_faults);
    return 0;
}
