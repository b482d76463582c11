/* Faults: see os_faults_watch.
 *
 * Whoever else handles these signals gets what the kernel would have given.
 * Two of their actions are remembered: `first` is what this handler found
 * when it was installed, `latest` what it was last put on top of.  Somebody
 * who came later may believe this handler to be the one before, and pass a
 * fault on by restoring it and raising the signal (CPython's faulthandler
 * does).  So a signal that a thread raises inside of `latest` goes to
 * `first`, and inside of that to the default: no two handlers can call each
 * other for ever.
 */
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

typedef struct sigaction Action;

/* Never freed: a handler may be about to call it. */
typedef struct Known {
    struct Known *next;
    Action action;
} Known;

typedef struct {
    int number;
    _Atomic(Known *) latest, first;
    Known *known; /* all; under the global lock */
} Signal;

static Signal signals[] = {{.number = SIGSEGV}, {.number = SIGBUS}};
enum { SIGNALS = sizeof signals / sizeof *signals };

static Known default_action; /* zero: SIG_DFL */
static _Atomic(OsFaultFn *) watcher;

/* ---- registers */

#if defined(__x86_64__)
enum { MACHINE_IS_KNOWN = true };
#define REGISTERS(X)                                                           \
    X(pc, gregs[REG_RIP])                                                      \
    X(sp, gregs[REG_RSP])                                                      \
    X(fp, gregs[REG_RBP])                                                      \
    X(ctx, gregs[REG_R14])                                                     \
    X(result, gregs[REG_RAX])
#elif defined(__aarch64__)
enum { MACHINE_IS_KNOWN = true };
#define REGISTERS(X)                                                           \
    X(pc, pc)                                                                  \
    X(sp, sp)                                                                  \
    X(fp, regs[29])                                                            \
    X(ctx, regs[27])                                                           \
    X(result, regs[0])
#else
enum { MACHINE_IS_KNOWN = false };
#define REGISTERS(X)
#endif

static bool is_watched(const siginfo_t *info, ucontext_t *context)
{
    OsFaultFn *watch = atomic_load_explicit(&watcher, memory_order_acquire);
    OsFault f = {.address = (uintptr_t)info->si_addr};
    if (!watch)
        return false;
    mcontext_t *m = &context->uc_mcontext;
    (void)m;
#define LOAD(field, place) f.field = (uintptr_t)m->place;
    REGISTERS(LOAD)
    if (!watch(&f))
        return false;
#define STORE(field, place) m->place = (__typeof__(m->place))f.field;
    REGISTERS(STORE)
    return true;
}

/* ---- the others */

/* How many of theirs this thread is inside of, and where on the stack the
 * innermost was called: what is raised in one that has jumped out does not
 * come from below it. */
static OS_THREAD_LOCAL int depth;
static OS_THREAD_LOCAL uintptr_t frame;
enum { SIGNAL_FRAME = 512 /* no system's is smaller */ };

static bool is_raised(const siginfo_t *info) { return info->si_code <= 0; }

static int find_depth(const siginfo_t *info)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    bool mine = info->si_code == SI_TKILL && info->si_pid == getpid();
    return mine && here + SIGNAL_FRAME < frame ? depth : 0;
}

static Known *find_action(Signal *s, int at)
{
    Known *latest = atomic_load_explicit(&s->latest, memory_order_acquire);
    Known *first = atomic_load_explicit(&s->first, memory_order_acquire);
    if (at == 0)
        return latest ? latest : &default_action;
    return at == 1 && first && first != latest ? first : &default_action;
}

/* What happens once, if the action says so. */
static void reset(Signal *s, Known *k)
{
    Known *expected = k;
    atomic_compare_exchange_strong(&s->latest, &expected, &default_action);
    expected = k;
    atomic_compare_exchange_strong(&s->first, &expected, &default_action);
}

static void call(Known *k, int at, int number, siginfo_t *info, void *context)
{
    int outer_depth = depth;
    uintptr_t outer_frame = frame;
    sigset_t mask = k->action.sa_mask;
    if (!(k->action.sa_flags & SA_NODEFER))
        sigaddset(&mask, number);
    pthread_sigmask(SIG_BLOCK, &mask, NULL); /* until this handler returns */
    depth = at + 1;
    frame = (uintptr_t)__builtin_frame_address(0);
    if (k->action.sa_flags & SA_SIGINFO)
        k->action.sa_sigaction(number, info, context);
    else
        k->action.sa_handler(number);
    depth = outer_depth;
    frame = outer_frame;
}

/* A fault repeats when the handler returns; a raised signal does not. */
static void give_up(const Known *k, int number, bool raised)
{
    bool ignored = k->action.sa_handler == SIG_IGN;
    if (raised && ignored)
        return;
    sigaction(number, &k->action, NULL);
    if (raised)
        raise(number);
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    Signal *s = number == SIGSEGV ? &signals[0] : &signals[1];
    int at = find_depth(info);
    Known *k = find_action(s, at);
    bool plain = !(k->action.sa_flags & SA_SIGINFO);
    if (plain
        && (k->action.sa_handler == SIG_DFL
            || k->action.sa_handler == SIG_IGN)) {
        give_up(k, number, is_raised(info));
        return;
    }
    if (k->action.sa_flags & (int)SA_RESETHAND)
        reset(s, k);
    call(k, at, number, info, context);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int before = errno;
    if (is_raised(info) || !is_watched(info, context))
        pass_on(number, info, context);
    errno = before;
}

/* ---- installing.  Under the global lock, but for the query. */

static bool query(const Signal *s, Action *action)
{
    memset(action, 0, sizeof *action);
    return sigaction(s->number, NULL, action) == 0;
}

static bool is_ours(const Action *a)
{
    return a->sa_flags & SA_SIGINFO && a->sa_sigaction == on_fault;
}

static bool is_on_top(const Signal *s)
{
    Action now;
    return query(s, &now) && is_ours(&now);
}

static bool same(const Action *a, const Action *b)
{
    return a->sa_flags == b->sa_flags && a->sa_sigaction == b->sa_sigaction
           && memcmp(&a->sa_mask, &b->sa_mask, sizeof a->sa_mask) == 0;
}

static Known *remember(Signal *s, const Action *action)
{
    Known *k = s->known;
    while (k && !same(&k->action, action))
        k = k->next;
    if (!k && (k = calloc(1, sizeof *k))) {
        k->action = *action;
        k->next = s->known;
        s->known = k;
    }
    return k;
}

/* The one before is known before anything can be passed on to it. */
static bool put_on_top(Signal *s, bool anew)
{
    Action old, ours;
    if (!query(s, &old))
        return false;
    if (is_ours(&old))
        return true;
    Known *k = remember(s, &old);
    if (!k)
        return false;
    if (anew)
        atomic_store_explicit(&s->first, k, memory_order_release);
    atomic_store_explicit(&s->latest, k, memory_order_release);
    memset(&ours, 0, sizeof ours);
    sigemptyset(&ours.sa_mask);
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    ours.sa_flags |= old.sa_flags & SA_RESTART;
    ours.sa_sigaction = on_fault;
    return sigaction(s->number, &ours, NULL) == 0;
}

static bool put_all_on_top(bool anew)
{
    bool done = true;
    for (int i = 0; i < SIGNALS; i++)
        done &= put_on_top(&signals[i], anew);
    return done;
}

bool os_faults_watch(OsFaultFn *f)
{
    if (!MACHINE_IS_KNOWN)
        return false;
    os_mutex_lock(os_global_lock());
    bool anew = !atomic_load_explicit(&watcher, memory_order_relaxed);
    atomic_store_explicit(&watcher, f, memory_order_release);
    bool done = put_all_on_top(anew);
    os_mutex_unlock(os_global_lock());
    return done;
}

bool os_faults_reassert(void)
{
    if (!atomic_load_explicit(&watcher, memory_order_relaxed))
        return false;
    bool done = true;
    for (int i = 0; i < SIGNALS; i++)
        done &= is_on_top(&signals[i]);
    if (done)
        return true;
    os_mutex_lock(os_global_lock());
    done = put_all_on_top(false);
    os_mutex_unlock(os_global_lock());
    return done;
}

void os_faults_ignore(void)
{
    os_mutex_lock(os_global_lock());
    atomic_store_explicit(&watcher, NULL, memory_order_release);
    for (int i = 0; i < SIGNALS; i++)
        if (is_on_top(&signals[i]))
            sigaction(signals[i].number, &find_action(&signals[i], 0)->action,
                      NULL);
    os_mutex_unlock(os_global_lock());
}
