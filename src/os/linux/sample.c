/* Sampling: see os_sample_start.  Timers of CPU time are as coarse as the
 * kernel's ticks, so a timer of the monotonic clock interrupts the thread, and
 * each sample says how much CPU time has passed.  By system calls: the C
 * library has them in a library of their own, in old versions. */
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static _Atomic(OsSampleFn *) sampler;
static pthread_t sampled;
static int timer; /* the kernel's number of it */
static uint64_t last_ns;
static struct sigaction before;

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool read_registers(const ucontext_t *c, OsSample *s)
{
#if defined(__x86_64__)
    s->pc = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
    s->sp = (uintptr_t)c->uc_mcontext.gregs[REG_RSP];
    s->fp = (uintptr_t)c->uc_mcontext.gregs[REG_RBP];
    return true;
#elif defined(__aarch64__)
    s->pc = (uintptr_t)c->uc_mcontext.pc;
    s->sp = (uintptr_t)c->uc_mcontext.sp;
    s->fp = (uintptr_t)c->uc_mcontext.regs[29];
    return true;
#else
    (void)c;
    (void)s;
    return false;
#endif
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    int saved = errno;
    OsSampleFn *f = atomic_load_explicit(&sampler, memory_order_acquire);
    OsSample s;
    if (f && pthread_equal(pthread_self(), sampled)
        && read_registers(context, &s)) {
        uint64_t now = cpu_ns();
        s.cpu_ns = now - last_ns;
        last_ns = now;
        f(&s);
    }
    errno = saved;
}

static bool start_timer(uint64_t ns)
{
    struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID,
                         .sigev_signo = SIGPROF};
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    struct itimerspec every = {t, t};
    e.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &timer) != 0)
        return false;
    if (syscall(SYS_timer_settime, timer, 0, &every, NULL) == 0)
        return true;
    syscall(SYS_timer_delete, timer);
    return false;
}

static void end_watch(void)
{
    atomic_store_explicit(&sampler, NULL, memory_order_release);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPROF, &ignore, NULL); /* drops one that is on its way */
    sigaction(SIGPROF, &before, NULL);
}

bool os_sample_start(uint64_t ns, OsSampleFn *f)
{
    OsSample ignored;
    ucontext_t none = {0};
    struct sigaction a = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    a.sa_sigaction = on_signal;
    sigfillset(&a.sa_mask);
    if (!read_registers(&none, &ignored) || sigaction(SIGPROF, &a, &before))
        return false;
    sampled = pthread_self();
    last_ns = cpu_ns();
    atomic_store_explicit(&sampler, f, memory_order_release);
    if (start_timer(ns))
        return true;
    end_watch();
    return false;
}

void os_sample_stop(void)
{
    syscall(SYS_timer_delete, timer);
    end_watch();
}
