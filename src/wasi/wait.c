/* Clocks, and waiting for them and for files. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "wasi/guest.h"

/* ---- clocks */

enum { LOOK_NS = 1000 };

static clockid_t host_clock(uint64_t id)
{
    return id == CLOCK_ID_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
}

static uint64_t nanoseconds(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t wait_now(chi_wasi *w, uint64_t id)
{
    struct timespec t;
    if (w->virtual_clock)
        return atomic_fetch_add(&w->clock_ns, LOOK_NS) + LOOK_NS;
    clock_gettime(host_clock(id), &t);
    return nanoseconds(t);
}

Errno wait_clock_time_get(Call *c, const uint64_t *a)
{
    if (a[0] > CLOCK_ID_MONOTONIC)
        return WASI_INVAL;
    guest_write64(c, a[2], wait_now(c->w, a[0]));
    return WASI_SUCCESS;
}

Errno wait_clock_res_get(Call *c, const uint64_t *a)
{
    struct timespec t;
    if (a[0] > CLOCK_ID_MONOTONIC)
        return WASI_INVAL;
    clock_getres(host_clock(a[0]), &t);
    guest_write64(c, a[1], c->w->virtual_clock ? LOOK_NS : nanoseconds(t));
    return WASI_SUCCESS;
}

/* ---- poll_oneoff */

/* One subscription, as it is waited for. */
typedef struct {
    Subscription s;
    File *file;        /* of reads and writes */
    uint64_t deadline; /* of clocks: on the clock of its id, ns */
    Errno error;
    bool ready;
} Wait;

typedef struct {
    Call *c;
    Wait *waits;
    struct pollfd *fds; /* one each; fd -1: nothing to ask the system */
    size_t n;
    size_t n_ready;
} Poll;

static void be_ready(Poll *p, Wait *w, Errno error)
{
    p->n_ready += !w->ready;
    w->ready = true;
    w->error = error;
}

static void begin_clock(Poll *p, Wait *w)
{
    uint64_t timeout = w->s.clock.timeout, id = w->s.clock.id;
    if (id > CLOCK_ID_MONOTONIC) {
        be_ready(p, w, WASI_INVAL);
        return;
    }
    uint64_t from =
        w->s.clock.flags & CLOCK_ABSOLUTE ? 0 : wait_now(p->c->w, id);
    w->deadline = timeout > UINT64_MAX - from ? UINT64_MAX : from + timeout;
}

static void begin_file(Poll *p, Wait *w, struct pollfd *fd)
{
    w->file = descriptor_get(p->c->w, w->s.fd);
    if (!w->file) {
        be_ready(p, w, WASI_BADF);
    } else if (w->file->fd < 0 || w->file->type == TYPE_REGULAR
               || w->file->type == TYPE_DIRECTORY) {
        be_ready(p, w, WASI_SUCCESS);
    } else {
        fd->fd = w->file->fd;
        fd->events = w->s.tag == EVENT_READ ? POLLIN : POLLOUT;
    }
}

static Errno begin(Poll *p, uint64_t at)
{
    for (size_t k = 0; k < p->n; k++) {
        Wait *w = &p->waits[k];
        p->fds[k].fd = -1;
        if (!guest_read(p->c, at + k * sizeof w->s, &w->s, sizeof w->s))
            return WASI_FAULT;
        if (w->s.tag > EVENT_WRITE)
            return WASI_INVAL;
        if (w->s.tag == EVENT_CLOCK)
            begin_clock(p, w);
        else
            begin_file(p, w, &p->fds[k]);
    }
    return WASI_SUCCESS;
}

/* Marks the clocks that are over; gives the time to the next one, or
 * UINT64_MAX. */
static uint64_t look_at_clocks(Poll *p)
{
    uint64_t next = UINT64_MAX;
    for (size_t k = 0; k < p->n; k++) {
        Wait *w = &p->waits[k];
        if (w->s.tag != EVENT_CLOCK || w->ready)
            continue;
        uint64_t time = wait_now(p->c->w, w->s.clock.id);
        if (time >= w->deadline)
            be_ready(p, w, WASI_SUCCESS);
        else if (w->deadline - time < next)
            next = w->deadline - time;
    }
    return next;
}

static void look_at_files(Poll *p, const struct timespec *timeout)
{
    int n = ppoll(p->fds, p->n, timeout, NULL);
    for (size_t k = 0; n > 0 && k < p->n; k++)
        if (p->fds[k].fd >= 0 && p->fds[k].revents)
            be_ready(p, &p->waits[k], WASI_SUCCESS);
}

static bool has_files(const Poll *p)
{
    for (size_t k = 0; k < p->n; k++)
        if (p->fds[k].fd >= 0)
            return true;
    return false;
}

static void wait_slice(Poll *p, uint64_t left)
{
    enum { SLICE_NS = 4000000 };
    chi_wasi *w = p->c->w;
    /* Sleep on the virtual clock takes no time. */
    if (w->virtual_clock && left != UINT64_MAX && !has_files(p)) {
        atomic_fetch_add(&w->clock_ns, left);
        return;
    }
    struct timespec t = {.tv_nsec = left < SLICE_NS ? (long)left : SLICE_NS};
    look_at_files(p, &t);
    if (w->virtual_clock && !p->n_ready)
        atomic_fetch_add(&w->clock_ns, (uint64_t)t.tv_nsec);
}

static void wait_until_ready(Poll *p)
{
    chi_wasi *w = p->c->w;
    void *token = NULL;
    uint64_t left = look_at_clocks(p);
    look_at_files(p, &(struct timespec){0});
    if (p->n_ready)
        return;
    if (w->begin_wait)
        token = w->begin_wait(w->host_env, p->c->store);
    while (!p->n_ready && call_poll(p->c)) {
        wait_slice(p, left);
        left = look_at_clocks(p);
    }
    if (w->end_wait)
        w->end_wait(w->host_env, p->c->store, token);
}

/* ---- answers */

static void describe_file(const Wait *w, short revents, Event *e)
{
    int available = 0;
    Filestat s;
    uint64_t at = 0;
    if (w->s.tag == EVENT_WRITE || !w->file) {
        e->n_bytes = w->file ? 1 : 0;
    } else if (w->file->type == TYPE_REGULAR && w->file->kind->seek) {
        if (!w->file->kind->stat(w->file, &s)
            && !w->file->kind->seek(w->file, 0, WHENCE_CUR, &at) && s.size > at)
            e->n_bytes = s.size - at;
    } else if (w->file->fd < 0) {
        e->n_bytes = 1;
    } else if (ioctl(w->file->fd, FIONREAD, &available) == 0) {
        e->n_bytes = (uint64_t)available;
    }
    if (revents & POLLHUP)
        e->flags = EVENT_HANGUP;
}

static void answer(Poll *p, uint64_t at, uint64_t n_at)
{
    uint32_t n = 0;
    for (size_t k = 0; k < p->n; k++) {
        const Wait *w = &p->waits[k];
        if (!w->ready)
            continue;
        Event e = {.userdata = w->s.userdata,
                   .type = w->s.tag,
                   .error = (uint16_t)w->error};
        if (w->s.tag != EVENT_CLOCK)
            describe_file(w, p->fds[k].revents, &e);
        guest_write(p->c, at + n++ * sizeof e, &e, sizeof e);
    }
    guest_write32(p->c, n_at, n);
}

Errno wait_poll_oneoff(Call *c, const uint64_t *a)
{
    enum { MOST = 2048 };
    Poll p = {.c = c, .n = (size_t)a[2]};
    if (p.n == 0 || p.n > MOST)
        return WASI_INVAL;
    if (!guest_at(c, a[0], p.n * sizeof(Subscription))
        || !guest_at(c, a[1], p.n * sizeof(Event)) || !guest_at(c, a[3], 4))
        return WASI_FAULT;
    p.waits = calloc(p.n, sizeof *p.waits);
    p.fds = calloc(p.n, sizeof *p.fds);
    Errno e = p.waits && p.fds ? begin(&p, a[0]) : WASI_NOMEM;
    if (!e) {
        wait_until_ready(&p);
        answer(&p, a[1], a[3]);
    }
    for (size_t k = 0; p.waits && k < p.n; k++)
        file_put(p.waits[k].file);
    free(p.waits);
    free(p.fds);
    return e;
}
