#include "wasm/dylink.h"

#include "base/reader.h"
#include "base/utf8.h"

enum {
    PART_MEMORY = 1,
    PART_NEEDED,
    PART_EXPORTS,
    PART_IMPORTS,
    PART_PATHS,
    PART_LAST = PART_PATHS
};

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

/* A count of what takes `least` bytes each. */
static uint32_t read_count(Reader *r, uint32_t least)
{
    uint32_t n = reader_u32(r);
    if (n > LIMIT_IMPORTS)
        reader_fail(r, "%u entries, at most %d are read", n, LIMIT_IMPORTS);
    else if (n > reader_left(r) / least)
        reader_fail(r, "%u entries in %zu bytes", n, reader_left(r));
    return reader_ok(r) ? n : 0;
}

static const Name *read_names(Reader *r, Arena *arena, uint32_t *n)
{
    uint32_t count = read_count(r, 1);
    Name *names = arena_new(arena, Name, count);
    for (*n = 0; *n < count; ++*n) {
        names[*n] = read_name(r);
        if (!reader_ok(r))
            break;
    }
    return names;
}

static const DylinkSymbol *read_symbols(Reader *r, Arena *arena, bool imported,
                                        uint32_t *n)
{
    uint32_t count = read_count(r, imported ? 3 : 2);
    DylinkSymbol *symbols = arena_new(arena, DylinkSymbol, count);
    for (*n = 0; *n < count; ++*n) {
        DylinkSymbol s = {.module = {"", 0}};
        if (imported)
            s.module = read_name(r);
        s.name = read_name(r);
        s.flags = reader_u32(r);
        if (!reader_ok(r))
            break;
        symbols[*n] = s;
    }
    return symbols;
}

static void read_memory(Reader *r, Dylink *out)
{
    out->memory_bytes = reader_u32(r);
    out->memory_align_log2 = reader_u32(r);
    out->table_elements = reader_u32(r);
    out->table_align_log2 = reader_u32(r);
    out->has_memory = reader_ok(r);
}

static void read_part(Reader *r, unsigned id, Arena *arena, Dylink *out)
{
    switch (id) {
    case PART_MEMORY: read_memory(r, out); break;
    case PART_NEEDED: out->needed = read_names(r, arena, &out->n_needed); break;
    case PART_EXPORTS:
        out->exports = read_symbols(r, arena, false, &out->n_exports);
        break;
    case PART_IMPORTS:
        out->imports = read_symbols(r, arena, true, &out->n_imports);
        break;
    case PART_PATHS: out->paths = read_names(r, arena, &out->n_paths); break;
    default: r->p = r->end; /* of a later version */
    }
    if (reader_ok(r) && reader_left(r))
        reader_fail(r, "%zu bytes too many in subsection %u", reader_left(r),
                    id);
}

/* Each part at most once: so that all lists fit in the section. */
static void read_parts(Reader *r, Arena *arena, Dylink *out)
{
    bool seen[PART_LAST + 1] = {false};
    while (reader_left(r)) {
        unsigned id = reader_byte(r);
        uint32_t len = reader_u32(r);
        const uint8_t *bytes = reader_bytes(r, len);
        if (!bytes || !reader_ok(r))
            return;
        Reader part = {r->start, bytes, bytes + len, r->err};
        if (id <= PART_LAST && seen[id]) {
            reader_fail(&part, "subsection %u twice", id);
            return;
        }
        if (id <= PART_LAST)
            seen[id] = true;
        read_part(&part, id, arena, out);
        if (!reader_ok(r))
            return;
    }
}

bool dylink_read(const Module *m, Arena *arena, Dylink *out)
{
    static const char name[] = "dylink.0";
    *out = (Dylink){0};
    for (uint32_t k = 0; k < m->n_customs; k++) {
        const CustomSection *c = &m->customs[k];
        if (c->name.len != sizeof name - 1
            || memcmp(c->name.bytes, name, sizeof name - 1))
            continue;
        const uint8_t *start = m->bytes + c->start;
        out->section = c->offset;
        Reader r = {m->bytes, start, start + c->len, &out->remark};
        read_parts(&r, arena, out);
        if (reader_ok(&r) && c->after)
            error_set(&out->remark, ERR_MALFORMED, c->offset,
                      "the section does not come first");
        return true;
    }
    return false;
}
