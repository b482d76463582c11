#include <stdlib.h>

#include "base/utf8.h"

#include "wasm/decode.h"
#include "wasm/walk.h"

ConstExpr decode_const_expr(Reader *r)
{
    ConstExpr e = {.start = (uint32_t)reader_offset(r)};
    for (uint32_t depth = 1; depth && reader_ok(r);) {
        Op op = walk_op(r);
        walk_skip(r, op);
        switch (op) {
        case OP_BLOCK:
        case OP_LOOP:
        case OP_IF:
        case OP_TRY:
        case OP_TRY_TABLE: depth++; break;
        case OP_END:
        case OP_DELEGATE: depth--; break;
        default: break;
        }
    }
    e.end = (uint32_t)reader_offset(r);
    return e;
}

/* Bits of the flags of limits. */
enum { LIMITS_MAX = 1, LIMITS_SHARED = 2, LIMITS_64 = 4, LIMITS_PAGE = 8 };

static Limits read_limits(Reader *r, const Module *m, uint8_t flags)
{
    Limits l = {.max = NO_MAX,
                .is64 = flags & LIMITS_64,
                .shared = flags & LIMITS_SHARED};
    if (decode_has(m, FEATURE_MEMORY64)) {
        l.min = reader_u64(r);
        if (flags & LIMITS_MAX)
            l.max = reader_u64(r);
    } else {
        l.min = reader_u32(r);
        if (flags & LIMITS_MAX)
            l.max = reader_u32(r);
    }
    return l;
}

static void check_limits(Reader *r, const Limits *l, bool has_max,
                         uint64_t most, uint64_t at, bool of_memory)
{
    const char *what = of_memory ? "memory" : "table";
    const char *unit = of_memory ? "pages" : "elements";
    if (l->min > most || (has_max && l->max > most))
        decode_fail(r, ERR_INVALID, at, "%s size must be at most %llu %s", what,
                    (unsigned long long)most, unit);
    else if (has_max && l->min > l->max)
        decode_fail(r, ERR_INVALID, at,
                    "size minimum must not be greater than maximum");
}

static uint8_t read_limits_flags(Reader *r, const Module *m, uint8_t allowed)
{
    uint64_t at = reader_offset(r);
    uint8_t flags = reader_byte(r);
    if (flags & ~allowed)
        return (uint8_t)decode_fail(r, ERR_MALFORMED, at,
                                    "malformed limits flags");
    if (flags & LIMITS_64)
        decode_need(r, m, FEATURE_MEMORY64, "an i64 address type");
    if (flags & LIMITS_SHARED)
        decode_need(r, m, FEATURE_THREADS, "a shared memory");
    if (flags & LIMITS_PAGE)
        decode_need(r, m, FEATURE_PAGE_SIZES, "a page size");
    return flags;
}

/* The pages of a whole address space, but less than 2^32 or 2^64. */
static uint64_t most_pages(const MemoryType *t)
{
    if (!t->page_log2)
        return t->limits.is64 ? UINT64_MAX : UINT32_MAX;
    return (uint64_t)1 << ((t->limits.is64 ? 64 : 32) - t->page_log2);
}

static MemoryType read_memory_type(Reader *r, const Module *m)
{
    MemoryType t = {.page_log2 = 16};
    uint64_t at = reader_offset(r);
    uint8_t flags = read_limits_flags(
        r, m, LIMITS_MAX | LIMITS_SHARED | LIMITS_64 | LIMITS_PAGE);
    t.limits = read_limits(r, m, flags);
    if (flags & LIMITS_PAGE) {
        uint32_t log2 = reader_u32(r);
        if (log2 >= 64)
            decode_fail(r, ERR_MALFORMED, at, "invalid custom page size");
        else if (log2 != 0 && log2 != 16)
            decode_fail(r, ERR_INVALID, at,
                        "invalid custom page size: 2^%u bytes", (unsigned)log2);
        else
            t.page_log2 = (uint8_t)log2;
    }
    if ((flags & LIMITS_SHARED) && !(flags & LIMITS_MAX))
        decode_fail(r, ERR_INVALID, at, "shared memory must have maximum");
    check_limits(r, &t.limits, flags & LIMITS_MAX, most_pages(&t), at, true);
    return t;
}

static TableType read_table_type(Reader *r, const Module *m)
{
    TableType t = {.type = decode_ref_type(r, m, 0)};
    uint64_t at = reader_offset(r);
    uint8_t flags = read_limits_flags(r, m, LIMITS_MAX | LIMITS_64);
    t.limits = read_limits(r, m, flags);
    check_limits(r, &t.limits, flags & LIMITS_MAX,
                 t.limits.is64 ? UINT64_MAX : UINT32_MAX, at, false);
    return t;
}

static GlobalType read_global_type(Reader *r, const Module *m)
{
    GlobalType t = {.type = decode_value_type(r, m, 0)};
    uint64_t at = reader_offset(r);
    uint8_t mutability = reader_byte(r);
    if (mutability > 1)
        decode_fail(r, ERR_MALFORMED, at, "malformed mutability");
    t.mutable = mutability;
    return t;
}

static const TypeDef *read_tag_type(Reader *r, const Module *m, uint32_t *index)
{
    uint64_t at = reader_offset(r);
    if (!decode_has(m, FEATURE_LEGACY))
        decode_need(r, m, FEATURE_EXCEPTIONS, "a tag");
    if (reader_byte(r) != 0)
        decode_fail(r, ERR_MALFORMED, at, "malformed tag attribute");
    const TypeDef *type = decode_func_type(r, m, index);
    if (type && type->func.n_results)
        decode_fail(r, ERR_INVALID, at, "non-empty tag result type");
    return type;
}

Name decode_name(Reader *r)
{
    uint64_t at = reader_offset(r);
    uint32_t len = reader_u32(r);
    const uint8_t *bytes = reader_bytes(r, len);
    if (!bytes || !reader_ok(r))
        return (Name){"", 0};
    if (!utf8_is_valid(bytes, len))
        decode_fail(r, ERR_MALFORMED, at, "malformed UTF-8 encoding");
    return (Name){(const char *)bytes, len};
}

static void check_count(Reader *r, uint32_t n, uint32_t limit, uint64_t at,
                        const char *what)
{
    if (n > limit)
        decode_fail(r, ERR_LIMIT, at, "%u %s; the limit is %u", (unsigned)n,
                    what, (unsigned)limit);
}

/* A second memory or table needs a feature. */
static void check_single(Reader *r, const Module *m, uint64_t at)
{
    if (m->n_memories > 1 && !decode_has(m, FEATURE_MULTI_MEMORY))
        decode_fail(r, ERR_INVALID, at,
                    "multiple memories need the feature multi-memory");
    if (m->n_tables > 1 && !decode_has(m, FEATURE_REFERENCE_TYPES))
        decode_fail(r, ERR_INVALID, at,
                    "multiple tables need the feature reference-types");
}

/* Makes room for `more` elements behind those of an array in the arena. */
#define EXTEND(m, array, n, more)                                              \
    ((array) = extend(&(m)->arena, (array), (n), (more), sizeof *(array)))
static void *extend(Arena *a, const void *old, uint32_t n, uint32_t more,
                    size_t size)
{
    void *new = arena_alloc(a, ((size_t)n + more) * size);
    if (n)
        memcpy(new, old, n * size);
    return new;
}

/* Makes room for one more in an array that doubles at 8, 16, 32 ... */
#define GROW(m, array, n)                                                      \
    ((void)((n) == 0                             ? EXTEND(m, array, 0, 8)      \
            : (n) >= 8 && ((n) & ((n) - 1)) == 0 ? EXTEND(m, array, n, n)      \
                                                 : (array)))

static void check_mutable(Reader *r, const Module *m, const GlobalType *t,
                          uint64_t at, const char *what)
{
    if (t->mutable && !decode_has(m, FEATURE_MUTABLE_GLOBALS))
        decode_fail(r, ERR_INVALID, at,
                    "%s of a mutable global needs the feature mutable-globals",
                    what);
}

static void read_import(Reader *r, Module *m, Import *i)
{
    i->module = decode_name(r);
    i->name = decode_name(r);
    uint64_t at = reader_offset(r);
    uint8_t kind = reader_byte(r);
    i->kind = (ExternKind)kind;
    switch (kind) {
    case EXTERN_FUNC:
        i->index = m->n_funcs++;
        GROW(m, m->func_types, i->index);
        GROW(m, m->func_type_index, i->index);
        m->func_types[i->index] =
            decode_func_type(r, m, &m->func_type_index[i->index]);
        break;
    case EXTERN_TABLE:
        i->index = m->n_tables++;
        GROW(m, m->tables, i->index);
        m->tables[i->index] = read_table_type(r, m);
        break;
    case EXTERN_MEMORY:
        i->index = m->n_memories++;
        GROW(m, m->memories, i->index);
        m->memories[i->index] = read_memory_type(r, m);
        break;
    case EXTERN_GLOBAL:
        i->index = m->n_globals++;
        GROW(m, m->globals, i->index);
        m->globals[i->index] = read_global_type(r, m);
        check_mutable(r, m, &m->globals[i->index], at, "an import");
        break;
    case EXTERN_TAG:
        i->index = m->n_tags++;
        GROW(m, m->tags, i->index);
        GROW(m, m->tag_type_index, i->index);
        m->tags[i->index] = read_tag_type(r, m, &m->tag_type_index[i->index]);
        break;
    default: decode_fail(r, ERR_MALFORMED, at, "malformed import kind");
    }
}

void decode_import_section(Reader *r, Module *m)
{
    uint64_t at = reader_offset(r);
    uint32_t n = decode_count(r, LIMIT_IMPORTS, 4, "imports");
    m->imports = arena_new(&m->arena, Import, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        read_import(r, m, &m->imports[m->n_imports++]);
    m->n_imported_funcs = m->n_funcs;
    m->n_imported_tables = m->n_tables;
    m->n_imported_memories = m->n_memories;
    m->n_imported_globals = m->n_globals;
    m->n_imported_tags = m->n_tags;
    check_single(r, m, at);
    check_count(r, m->n_tables, LIMIT_TABLES, at, "tables");
    check_count(r, m->n_memories, LIMIT_MEMORIES, at, "memories");
}

void decode_func_section(Reader *r, Module *m)
{
    uint64_t at = reader_offset(r);
    uint32_t n = decode_count(r, LIMIT_FUNCTIONS, 1, "functions");
    check_count(r, m->n_funcs + n, LIMIT_FUNCTIONS, at, "functions");
    EXTEND(m, m->func_types, m->n_funcs, n);
    EXTEND(m, m->func_type_index, m->n_funcs, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        uint32_t index = m->n_funcs++;
        m->func_types[index] =
            decode_func_type(r, m, &m->func_type_index[index]);
    }
}

void decode_table_section(Reader *r, Module *m)
{
    uint64_t at = reader_offset(r);
    uint32_t n = decode_count(r, LIMIT_TABLES, 3, "tables");
    EXTEND(m, m->tables, m->n_tables, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        TableType *t = &m->tables[m->n_tables++];
        bool has_init = r->p < r->end && *r->p == 0x40;
        if (has_init) {
            decode_need(r, m, FEATURE_FUNCTION_REFERENCES,
                        "a table with an initial value");
            reader_byte(r);
            if (reader_byte(r) != 0)
                reader_fail(r, "malformed table: zero byte expected");
        }
        *t = read_table_type(r, m);
        t->has_init = has_init;
        if (has_init)
            t->init = decode_const_expr(r);
    }
    check_single(r, m, at);
    check_count(r, m->n_tables, LIMIT_TABLES, at, "tables");
}

void decode_memory_section(Reader *r, Module *m)
{
    uint64_t at = reader_offset(r);
    uint32_t n = decode_count(r, LIMIT_MEMORIES, 2, "memories");
    EXTEND(m, m->memories, m->n_memories, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        m->memories[m->n_memories++] = read_memory_type(r, m);
    check_single(r, m, at);
    check_count(r, m->n_memories, LIMIT_MEMORIES, at, "memories");
}

void decode_tag_section(Reader *r, Module *m)
{
    uint32_t n = decode_count(r, LIMIT_TAGS, 2, "tags");
    EXTEND(m, m->tags, m->n_tags, n);
    EXTEND(m, m->tag_type_index, m->n_tags, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        uint32_t index = m->n_tags++;
        m->tags[index] = read_tag_type(r, m, &m->tag_type_index[index]);
    }
}

void decode_global_section(Reader *r, Module *m)
{
    uint32_t n = decode_count(r, LIMIT_GLOBALS, 3, "globals");
    EXTEND(m, m->globals, m->n_globals, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        GlobalType *t = &m->globals[m->n_globals++];
        *t = read_global_type(r, m);
        t->init = decode_const_expr(r);
    }
}

void decode_export_section(Reader *r, Module *m)
{
    uint32_t n = decode_count(r, LIMIT_EXPORTS, 3, "exports");
    m->exports = arena_new(&m->arena, Export, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        Export *e = &m->exports[m->n_exports++];
        e->name = decode_name(r);
        uint64_t at = reader_offset(r);
        uint8_t kind = reader_byte(r);
        if (kind > EXTERN_TAG)
            decode_fail(r, ERR_MALFORMED, at, "malformed export kind");
        e->kind = (ExternKind)kind;
        e->index = reader_u32(r);
    }
}

/* Bits of the flags of element segments; of data segments the first two. */
enum { SEGMENT_NOT_ACTIVE = 1, SEGMENT_EXPLICIT = 2, SEGMENT_EXPRS = 4 };

static void read_elem_funcs(Reader *r, Module *m, ElemSegment *e)
{
    uint32_t n = decode_count(r, LIMIT_TABLE_ELEMS, 1, "elements");
    uint32_t *funcs = arena_new(&m->arena, uint32_t, n);
    e->count = n;
    e->funcs = funcs;
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        funcs[i] = reader_u32(r);
}

static void read_elem_exprs(Reader *r, Module *m, ElemSegment *e)
{
    uint32_t n = decode_count(r, LIMIT_TABLE_ELEMS, 3, "elements");
    ConstExpr *exprs = arena_new(&m->arena, ConstExpr, n);
    e->count = n;
    e->exprs = exprs;
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        exprs[i] = decode_const_expr(r);
}

static Type read_elem_type(Reader *r, const Module *m, uint32_t flags)
{
    bool is_short = !(flags & (SEGMENT_NOT_ACTIVE | SEGMENT_EXPLICIT));
    if (flags & SEGMENT_EXPRS)
        return is_short ? T_FUNCREF : decode_ref_type(r, m, 0);
    if (!is_short && reader_byte(r) != 0)
        reader_fail(r, "malformed element kind");
    return type_ref_abstract(false, HEAP_FUNC);
}

static void read_elem(Reader *r, Module *m, ElemSegment *e)
{
    uint64_t at = reader_offset(r);
    uint32_t flags = reader_u32(r);
    if (flags > 7) {
        decode_fail(r, ERR_MALFORMED, at, "malformed elements segment kind");
        return;
    }
    if (flags)
        decode_need(r, m, FEATURE_BULK, "a segment with flags");
    e->mode = !(flags & SEGMENT_NOT_ACTIVE) ? SEGMENT_ACTIVE
              : flags & SEGMENT_EXPLICIT    ? SEGMENT_DECLARED
                                            : SEGMENT_PASSIVE;
    if (e->mode == SEGMENT_ACTIVE) {
        e->table = flags & SEGMENT_EXPLICIT ? reader_u32(r) : 0;
        e->offset = decode_const_expr(r);
    }
    e->type = read_elem_type(r, m, flags);
    if (flags & SEGMENT_EXPRS)
        read_elem_exprs(r, m, e);
    else
        read_elem_funcs(r, m, e);
}

void decode_elem_section(Reader *r, Module *m)
{
    uint32_t n = decode_count(r, LIMIT_ELEMS, 3, "element segments");
    m->elems = arena_new(&m->arena, ElemSegment, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        read_elem(r, m, &m->elems[m->n_elems++]);
}

static void read_data(Reader *r, const Module *m, DataSegment *d)
{
    uint64_t at = reader_offset(r);
    uint32_t flags = reader_u32(r);
    if (flags > 2)
        decode_fail(r, ERR_MALFORMED, at, "malformed data segment kind");
    if (flags)
        decode_need(r, m, FEATURE_BULK, "a segment with flags");
    d->mode = flags == SEGMENT_NOT_ACTIVE ? SEGMENT_PASSIVE : SEGMENT_ACTIVE;
    if (flags == SEGMENT_EXPLICIT)
        d->memory = reader_u32(r);
    if (d->mode == SEGMENT_ACTIVE)
        d->offset = decode_const_expr(r);
    d->len = reader_u32(r);
    d->start = (uint32_t)reader_offset(r);
    reader_bytes(r, d->len);
}

void decode_data_section(Reader *r, Module *m)
{
    uint32_t n = decode_count(r, LIMIT_DATAS, 2, "data segments");
    m->datas = arena_new(&m->arena, DataSegment, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        read_data(r, m, &m->datas[i]);
    if (m->has_data_count && m->n_datas != n && reader_ok(r))
        reader_fail(r, "data count and data section have inconsistent lengths");
    m->n_datas = n;
}
