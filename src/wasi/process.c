/* Arguments, environment, random numbers, and the end. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>

#include "wasi/guest.h"

static Errno put_sizes(Call *c, const Strings *s, const uint64_t *a)
{
    guest_write32(c, a[0], s->n);
    guest_write32(c, a[1], s->bytes);
    return WASI_SUCCESS;
}

/* The strings to the second pointer, their addresses to the first. */
static Errno put_strings(Call *c, const Strings *s, const uint64_t *a)
{
    uint32_t pointers = (uint32_t)a[0], at = (uint32_t)a[1];
    if (!guest_at(c, pointers, (uint64_t)s->n * 4)
        || !guest_write(c, at, s->data, s->bytes))
        return WASI_FAULT;
    const char *p = s->data;
    for (uint32_t k = 0; k < s->n; k++) {
        guest_write32(c, pointers + (uint64_t)k * 4,
                      at + (uint32_t)(p - s->data));
        p += strlen(p) + 1;
    }
    return WASI_SUCCESS;
}

Errno process_args_get(Call *c, const uint64_t *a)
{
    return put_strings(c, &c->w->args, a);
}
Errno process_args_sizes_get(Call *c, const uint64_t *a)
{
    return put_sizes(c, &c->w->args, a);
}
Errno process_environ_get(Call *c, const uint64_t *a)
{
    return put_strings(c, &c->w->env, a);
}
Errno process_environ_sizes_get(Call *c, const uint64_t *a)
{
    return put_sizes(c, &c->w->env, a);
}

Errno process_exit(Call *c, const uint64_t *a)
{
    uint32_t status = (uint32_t)a[0];
    chi_wasi *w = c->w;
    pthread_mutex_lock(&w->lock);
    w->exited = true;
    w->status = status;
    pthread_mutex_unlock(&w->lock);
    c->code = w->exit ? w->exit(w->host_env, c->store, status) : CHI_HOST;
    return WASI_SUCCESS;
}

Errno process_sched_yield(Call *c, const uint64_t *a)
{
    (void)a;
    sched_yield();
    call_poll(c);
    return WASI_SUCCESS;
}

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators. */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void fill_repeatably(chi_wasi *w, uint8_t *to, size_t len)
{
    pthread_mutex_lock(&w->lock);
    for (size_t k = 0; k < len; k += 8) {
        uint64_t word = next_random(&w->seed);
        memcpy(to + k, &word, len - k < 8 ? len - k : 8);
    }
    pthread_mutex_unlock(&w->lock);
}

/* Large amounts in pieces, with a look for interrupts between. */
Errno process_random_get(Call *c, const uint64_t *a)
{
    enum { PIECE = 64 << 10 };
    uint64_t at = a[0], left = a[1];
    if (!guest_at(c, at, left))
        return WASI_FAULT;
    while (left && call_poll(c)) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        uint8_t *to = guest_at(c, at, n);
        if (c->w->seeded) {
            fill_repeatably(c->w, to, n);
        } else {
            ssize_t got = getrandom(to, n, 0);
            if (got < 0 && errno != EINTR)
                return wasi_errno(errno);
            n = got < 0 ? 0 : (size_t)got;
        }
        at += n;
        left -= n;
    }
    return WASI_SUCCESS;
}
