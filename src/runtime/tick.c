/* The ticker: one thread for the process, while calls that may run long are
 * inside stores that want ticks.
 *
 * It pokes the store that stands in Thread.ticking, under the global lock.  A
 * store is freed only after its thread has cleared that field, and the one
 * who frees it takes the lock once more (tick_forget), so no store is touched
 * after its end.
 *
 * A call publishes Thread.ticking and then reads tick_running, without a
 * fence between.  So the ticker, before it ends, says so first, and looks
 * again a whole slice later: by then whoever read the old value has become
 * visible.
 */
#include "runtime/thread.h"

enum {
    SLICE_NS = 5000000, /* the longest sleep */
    SHORTEST_NS = 500000,
    IDLE_SLICES = 20 /* without such a call, after which it ends */
};

_Atomic bool tick_running;

/* Under the global lock. */
static bool stopped;  /* while the process forks */
static bool alive;    /* the thread will still look at what is below */
static bool joinable; /* and has not been joined */
static int idle;      /* slices without a call */
static OsThread ticker;
static OsCond wake;

/* Pokes what is due; returns the time to the next, or 0: nobody ticks. */
static uint64_t poke(uint64_t now)
{
    uint64_t next = 0;
    for (Thread *t = thread_list(); t; t = t->next) {
        Store *s = atomic_load_explicit(&t->ticking, memory_order_acquire);
        if (!s)
            continue;
        uint64_t ns = atomic_load_explicit(&t->tick_ns, memory_order_relaxed);
        if (now >= t->tick_due) {
            store_interrupt(s);
            t->tick_due = now + ns;
        } else if (t->tick_due - now > ns) {
            t->tick_due = now + ns;
        }
        uint64_t left = t->tick_due - now;
        if (!next || left < next)
            next = left;
    }
    return next;
}

static uint64_t sleep_time(uint64_t next)
{
    if (next == 0 || next > SLICE_NS)
        return SLICE_NS;
    return next < SHORTEST_NS ? SHORTEST_NS : next;
}

static void run(void *unused)
{
    (void)unused;
    os_mutex_lock(os_global_lock());
    while (!stopped && idle <= IDLE_SLICES) {
        uint64_t next = poke(os_time_ns());
        idle = next ? 0 : idle + 1;
        atomic_store(&tick_running, idle < IDLE_SLICES);
        os_cond_wait(&wake, os_global_lock(), sleep_time(next));
    }
    alive = false;
    atomic_store(&tick_running, false);
    os_mutex_unlock(os_global_lock());
}

static void join_locked(void)
{
    OsThread ended = ticker;
    joinable = false;
    os_mutex_unlock(os_global_lock());
    os_thread_join(&ended);
    os_mutex_lock(os_global_lock());
}

static void start_locked(void)
{
    static bool made;
    if (!made) {
        os_cond_init(&wake);
        os_on_exit(tick_stop);
        made = true;
    }
    alive = joinable = os_thread_start(&ticker, run, NULL);
}

void tick_start(void)
{
    os_mutex_lock(os_global_lock());
    while (!stopped && !alive && joinable)
        join_locked();
    if (!stopped) {
        idle = 0;
        if (!alive)
            start_locked();
        atomic_store(&tick_running, alive);
    }
    os_mutex_unlock(os_global_lock());
}

void tick_stop(void)
{
    os_mutex_lock(os_global_lock());
    stopped = true;
    if (joinable) {
        os_cond_signal(&wake);
        join_locked();
    }
    os_mutex_unlock(os_global_lock());
}

void tick_resume(void)
{
    bool wanted = false;
    os_mutex_lock(os_global_lock());
    stopped = false;
    for (Thread *t = thread_list(); t; t = t->next)
        wanted |= atomic_load(&t->ticking) != NULL;
    os_mutex_unlock(os_global_lock());
    if (wanted)
        tick_start();
}

void tick_forget(void)
{
    os_mutex_lock(os_global_lock());
    os_mutex_unlock(os_global_lock());
}
