#include "wasi/guest.h"

#include <string.h>

uint8_t *guest_at(Call *c, uint64_t at, uint64_t len)
{
    size_t size = 0;
    uint8_t *base = c->memory ? chi_memory_data(c->memory, &size) : NULL;
    if (c->memory && !c->fault && at <= size && len <= size - at)
        return base + at;
    c->fault = true;
    return NULL;
}

bool guest_read(Call *c, uint64_t at, void *to, size_t len)
{
    const uint8_t *from = guest_at(c, at, len);
    if (from)
        memcpy(to, from, len);
    else
        memset(to, 0, len);
    return from;
}

bool guest_write(Call *c, uint64_t at, const void *from, size_t len)
{
    uint8_t *to = guest_at(c, at, len);
    if (to)
        memcpy(to, from, len);
    return to;
}

Errno guest_path(Call *c, uint64_t at, uint64_t len, char *out)
{
    if (!guest_at(c, at, len))
        return WASI_FAULT;
    if (len >= PATH_BYTES)
        return WASI_NAMETOOLONG;
    guest_read(c, at, out, (size_t)len);
    out[len] = 0;
    if (strlen(out) != len)
        return WASI_INVAL;
    return len ? WASI_SUCCESS : WASI_NOENT;
}

/* As readv limits it; and no transfer is larger than Linux makes them. */
enum { LIST_MAX = 1024, TRANSFER_MAX = 0x7ffff000 };

Errno guest_vectors(Call *c, uint64_t at, uint64_t n, Vectors *out)
{
    uint64_t total = 0;
    out->n = 0;
    if (n > LIST_MAX)
        return WASI_INVAL;
    for (uint64_t k = 0; k < n; k++) {
        GuestVec v;
        if (!guest_read(c, at + k * sizeof v, &v, sizeof v)
            || !guest_at(c, v.at, v.len))
            return WASI_FAULT;
        total += v.len;
        if (v.len && out->n < VECTORS_MAX && total <= TRANSFER_MAX)
            out->v[out->n++] = v;
    }
    return total > UINT32_MAX ? WASI_INVAL : WASI_SUCCESS;
}

int guest_iovecs(Call *c, const Vectors *v, struct iovec *out)
{
    for (uint32_t k = 0; k < v->n; k++) {
        void *base = guest_at(c, v->v[k].at, v->v[k].len);
        if (!base)
            return -1;
        out[k] = (struct iovec){base, v->v[k].len};
    }
    return (int)v->n;
}
