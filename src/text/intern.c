#include "text/intern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *intern_resize(void *p, size_t n, size_t size)
{
    void *q = n <= SIZE_MAX / size ? realloc(p, n * size) : NULL;
    if (!q) {
        fprintf(stderr, "chiasm: out of memory (%zu x %zu bytes)\n", n, size);
        abort();
    }
    return q;
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0x9fb21c651e98df25;
    h ^= h >> 28;
    return h * 0x9e3779b97f4a7c15;
}

static uint32_t hash_bytes(const char *bytes, uint32_t len)
{
    uint64_t h = len;
    for (; len >= 8; len -= 8, bytes += 8) {
        uint64_t v;
        memcpy(&v, bytes, 8);
        h = mix(h ^ v);
    }
    uint64_t v = 0;
    if (len)
        memcpy(&v, bytes, len);
    return (uint32_t)(mix(h ^ v) >> 32);
}

static bool same(const Name *n, const char *bytes, uint32_t len)
{
    return n->len == len && (!len || memcmp(n->bytes, bytes, len) == 0);
}

static uint32_t *slot_of(const Intern *t, const char *bytes, uint32_t len,
                         uint32_t hash)
{
    uint32_t mask = t->n_slots - 1;
    for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
        uint32_t number = t->slots[i];
        if (!number
            || (t->hashes[number - 1] == hash
                && same(&t->names[number - 1], bytes, len)))
            return &t->slots[i];
    }
}

static void grow(Intern *t)
{
    t->capacity = t->capacity ? t->capacity + t->capacity / 2 : 16;
    t->names = intern_resize(t->names, t->capacity, sizeof *t->names);
    t->hashes = intern_resize(t->hashes, t->capacity, sizeof *t->hashes);
    uint32_t n_slots = t->n_slots ? t->n_slots : 16;
    while (n_slots < t->capacity + t->capacity / 2)
        n_slots *= 2;
    if (n_slots == t->n_slots)
        return;
    t->slots = intern_resize(t->slots, n_slots, sizeof *t->slots);
    t->n_slots = n_slots;
    memset(t->slots, 0, n_slots * sizeof *t->slots);
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t k = t->hashes[i] & (n_slots - 1);
        while (t->slots[k])
            k = (k + 1) & (n_slots - 1);
        t->slots[k] = i + 1;
    }
}

uint32_t intern_add(Intern *t, const char *bytes, uint32_t len)
{
    if (t->n == t->capacity)
        grow(t);
    uint32_t hash = hash_bytes(bytes, len);
    uint32_t *slot = slot_of(t, bytes, len, hash);
    if (!*slot) {
        t->names[t->n] = (Name){bytes, len};
        t->hashes[t->n] = hash;
        *slot = ++t->n;
    }
    return *slot - 1;
}

uint32_t intern_find(const Intern *t, const char *bytes, uint32_t len)
{
    if (!t->n)
        return NOT_FOUND;
    return *slot_of(t, bytes, len, hash_bytes(bytes, len)) - 1;
}

void intern_free(Intern *t)
{
    free(t->names);
    free(t->hashes);
    free(t->slots);
    *t = (Intern){0};
}

static PairEntry *pair_slot(const PairMap *m, uint32_t a, uint32_t b)
{
    uint32_t mask = m->n_slots - 1;
    uint32_t i = (uint32_t)(mix((uint64_t)a << 32 | b) >> 32) & mask;
    while (m->slots[i].value != NOT_FOUND
           && (m->slots[i].a != a || m->slots[i].b != b))
        i = (i + 1) & mask;
    return &m->slots[i];
}

static void pair_grow(PairMap *m)
{
    PairMap old = *m;
    m->n_slots = old.n_slots ? old.n_slots * 2 : 16;
    m->slots = intern_resize(NULL, m->n_slots, sizeof *m->slots);
    memset(m->slots, 0xff, m->n_slots * sizeof *m->slots);
    for (uint32_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].value != NOT_FOUND)
            *pair_slot(m, old.slots[i].a, old.slots[i].b) = old.slots[i];
    free(old.slots);
}

bool pair_add(PairMap *m, uint32_t a, uint32_t b, uint32_t value)
{
    if (m->n >= m->n_slots / 4 * 3)
        pair_grow(m);
    PairEntry *e = pair_slot(m, a, b);
    if (e->value != NOT_FOUND)
        return false;
    *e = (PairEntry){a, b, value};
    m->n++;
    return true;
}

uint32_t pair_find(const PairMap *m, uint32_t a, uint32_t b)
{
    return m->n ? pair_slot(m, a, b)->value : NOT_FOUND;
}

void pair_free(PairMap *m)
{
    free(m->slots);
    *m = (PairMap){0};
}
