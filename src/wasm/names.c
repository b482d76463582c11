#include "wasm/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "base/utf8.h"

/* One name; owner is 0 in the spaces that are not by function or type. */
typedef struct {
    uint32_t owner, index;
    Name name;
} Entry;

typedef struct {
    Entry *entries; /* sorted by owner, index */
    uint32_t n, capacity;
} Space;

struct Names {
    Space spaces[NAMES_COUNT];
};

static void add(Space *s, Entry e)
{
    if (s->n == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 16;
        s->entries = realloc(s->entries, s->capacity * sizeof *s->entries);
        if (!s->entries)
            abort();
    }
    s->entries[s->n++] = e;
}

static Name read_name(Reader *r)
{
    uint32_t len = reader_u32(r);
    const uint8_t *bytes = reader_bytes(r, len);
    if (!bytes || !reader_ok(r))
        return (Name){"", 0};
    if (!utf8_is_valid(bytes, len))
        reader_fail(r, "malformed UTF-8 encoding");
    return (Name){(const char *)bytes, len};
}

static void read_map(Reader *r, Space *s, uint32_t owner)
{
    uint32_t n = reader_u32(r);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        Entry e = {.owner = owner};
        e.index = reader_u32(r);
        e.name = read_name(r);
        if (reader_ok(r))
            add(s, e);
    }
}

static void read_maps(Reader *r, Space *s)
{
    uint32_t n = reader_u32(r);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        uint32_t owner = reader_u32(r);
        read_map(r, s, owner);
    }
}

static void read_subsection(Reader *r, Names *names)
{
    uint8_t id = reader_byte(r);
    uint32_t len = reader_u32(r);
    const uint8_t *bytes = reader_bytes(r, len);
    if (!bytes || id >= NAMES_COUNT)
        return;
    Reader content = {r->start, bytes, bytes + len, r->err};
    Space *s = &names->spaces[id];
    switch (id) {
    case NAMES_MODULE: {
        Entry e = {.name = read_name(&content)};
        add(s, e);
        break;
    }
    case NAMES_LOCAL:
    case NAMES_LABEL:
    case NAMES_FIELD: read_maps(&content, s); break;
    default: read_map(&content, s, 0); break;
    }
}

static int compare(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->owner != y->owner)
        return x->owner < y->owner ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool is_sorted(const Space *s)
{
    for (uint32_t i = 1; i < s->n; i++)
        if (compare(&s->entries[i - 1], &s->entries[i]) > 0)
            return false;
    return true;
}

static const CustomSection *find_section(const Module *m)
{
    for (uint32_t i = 0; i < m->n_customs; i++)
        if (m->customs[i].name.len == 4
            && memcmp(m->customs[i].name.bytes, "name", 4) == 0)
            return &m->customs[i];
    return NULL;
}

static Names *read_names(const Module *m)
{
    Names *names = calloc(1, sizeof *names);
    if (!names)
        abort();
    const CustomSection *c = find_section(m);
    if (!c)
        return names;
    Error err = {0};
    Reader r = {m->bytes, m->bytes + c->start, m->bytes + c->start + c->len,
                &err};
    while (r.p < r.end && reader_ok(&r))
        read_subsection(&r, names);
    for (int i = 0; i < NAMES_COUNT; i++) {
        Space *s = &names->spaces[i];
        if (!is_sorted(s))
            qsort(s->entries, s->n, sizeof *s->entries, compare);
    }
    return names;
}

/* Whoever comes first leaves its work for all. */
static const Names *names_of(const Module *m)
{
    _Atomic(Names *) *slot = (_Atomic(Names *) *)&m->names;
    Names *names = atomic_load_explicit(slot, memory_order_acquire);
    if (names)
        return names;
    Names *mine = read_names(m);
    if (atomic_compare_exchange_strong(slot, &names, mine))
        return mine;
    names_free(mine);
    return names;
}

Name names_get_in(const Module *m, NameSpace space, uint32_t owner,
                  uint32_t index)
{
    const Space *s = &names_of(m)->spaces[space];
    Entry key = {.owner = owner, .index = index};
    const Entry *e =
        s->n ? bsearch(&key, s->entries, s->n, sizeof key, compare) : NULL;
    return e ? e->name : (Name){"", 0};
}

Name names_get(const Module *m, NameSpace space, uint32_t index)
{
    return names_get_in(m, space, 0, index);
}

void names_free(Names *n)
{
    if (!n)
        return;
    for (int i = 0; i < NAMES_COUNT; i++)
        free(n->spaces[i].entries);
    free(n);
}

uint32_t names_clip(Name name, uint32_t most)
{
    if (name.len <= most)
        return name.len;
    while (most && ((uint8_t)name.bytes[most] & 0xc0) == 0x80)
        most--;
    return most;
}

Name names_of_function(const Module *m, uint32_t index, char *buf)
{
    Name name = names_get(m, NAMES_FUNC, index);
    if (name.len)
        return name;
    for (uint32_t i = 0; i < m->n_exports; i++)
        if (m->exports[i].kind == EXTERN_FUNC && m->exports[i].index == index)
            return m->exports[i].name;
    int len = snprintf(buf, 16, "$%u", (unsigned)index);
    return (Name){buf, (uint32_t)len};
}
