#include "wasm/check.h"
#include "wasm/decode.h"

/* Parametric instructions. */

bool check_drop(Validator *v)
{
    Type t;
    return check_pop_any(v, &t) && check_add_width(v, t);
}

/* Both operands are numbers or vectors of one type. */
bool check_select(Validator *v)
{
    Type a, b;
    if (!check_pop(v, T_I32) || !check_pop_any(v, &b) || !check_pop_any(v, &a))
        return false;
    if (type_is_ref(a) || type_is_ref(b))
        return check_fail(v, "type mismatch: select without a type on "
                             "references");
    if (a != b && a != T_BOTTOM && b != T_BOTTOM)
        return check_mismatch(v, a, b);
    Type t = a != T_BOTTOM ? a : b;
    if (!check_add_width(v, t))
        return false;
    check_push(v, t);
    return true;
}

bool check_select_t(Validator *v)
{
    uint32_t n = reader_u32(&v->r);
    if (!reader_ok(&v->r))
        return false;
    if (n != 1)
        return check_fail(v, "invalid result arity");
    Type t = decode_value_type(&v->r, v->m, 0);
    return reader_ok(&v->r) && check_pop(v, T_I32) && check_apply(v, t, t, t);
}

/* Constants. */

bool check_i32_const(Validator *v)
{
    reader_s32(&v->r);
    check_push(v, T_I32);
    return reader_ok(&v->r);
}

bool check_i64_const(Validator *v)
{
    reader_s64(&v->r);
    check_push(v, T_I64);
    return reader_ok(&v->r);
}

bool check_f32_const(Validator *v)
{
    reader_bytes(&v->r, 4);
    check_push(v, T_F32);
    return reader_ok(&v->r);
}

bool check_f64_const(Validator *v)
{
    reader_bytes(&v->r, 8);
    check_push(v, T_F64);
    return reader_ok(&v->r);
}

bool check_v128_const(Validator *v)
{
    reader_bytes(&v->r, 16);
    check_push(v, T_V128);
    return reader_ok(&v->r);
}

bool check_i8x16_shuffle(Validator *v)
{
    const uint8_t *lanes = reader_bytes(&v->r, 16);
    for (int i = 0; lanes && i < 16; i++)
        if (lanes[i] >= 32)
            return check_fail(v, "invalid lane index %u", lanes[i]);
    return lanes && check_apply(v, T_V128, T_V128, T_V128);
}

bool check_read_lane(Validator *v, uint32_t lanes)
{
    uint8_t lane = reader_byte(&v->r);
    return reader_ok(&v->r)
           && (lane < lanes || check_fail(v, "invalid lane index %u", lane));
}

/* Globals. */

static const GlobalType *read_global(Validator *v)
{
    uint32_t index = reader_u32(&v->r);
    if (index < v->n_globals)
        return &v->m->globals[index];
    if (reader_ok(&v->r))
        check_fail(v, "unknown global %u", (unsigned)index);
    return NULL;
}

bool check_global_get(Validator *v)
{
    const GlobalType *g = read_global(v);
    if (!g)
        return false;
    if (!v->f && g->mutable)
        return check_fail(v, "constant expression required: the global is "
                             "mutable");
    if (!v->f && g >= v->m->globals + v->m->n_imported_globals
        && !decode_has(v->m, FEATURE_GC))
        return check_fail(v, "unknown global: only imported ones may be read");
    check_push(v, g->type);
    return true;
}

bool check_global_set(Validator *v)
{
    const GlobalType *g = read_global(v);
    if (!g)
        return false;
    if (!g->mutable)
        return check_fail(v, "immutable global");
    return check_pop(v, g->type);
}

/* Memories. */

static Type address_type(const Limits *l) { return l->is64 ? T_I64 : T_I32; }

static const MemoryType *memory_at(Validator *v, uint32_t index)
{
    if (index < v->m->n_memories)
        return &v->m->memories[index];
    if (reader_ok(&v->r))
        check_fail(v, "unknown memory %u", (unsigned)index);
    return NULL;
}

const MemoryType *check_read_memory(Validator *v)
{
    if (decode_has(v->m, FEATURE_MULTI_MEMORY))
        return memory_at(v, reader_u32(&v->r));
    if (reader_byte(&v->r) != 0)
        check_malformed(v, "zero byte expected");
    return reader_ok(&v->r) ? memory_at(v, 0) : NULL;
}

static bool check_alignment(Validator *v, uint32_t align, uint32_t bytes,
                            bool is_atomic)
{
    if (align > 4 || 1u << align > bytes)
        return check_fail(v,
                          "alignment must not be larger than natural: "
                          "2^%u for %u bytes",
                          (unsigned)align, (unsigned)bytes);
    if (is_atomic && 1u << align != bytes)
        return check_fail(v, "atomic alignment must be natural");
    return true;
}

Type check_read_memarg(Validator *v, uint32_t bytes, bool is_atomic)
{
    enum { HAS_MEMORY = 0x40 };
    uint32_t flags = reader_u32(&v->r), index = 0;
    if (decode_has(v->m, FEATURE_MULTI_MEMORY) && (flags & HAS_MEMORY)) {
        flags -= HAS_MEMORY;
        index = reader_u32(&v->r);
    }
    if (flags >= HAS_MEMORY && reader_ok(&v->r))
        check_malformed(v, "malformed memop flags");
    uint64_t offset = decode_has(v->m, FEATURE_MEMORY64) ? reader_u64(&v->r)
                                                         : reader_u32(&v->r);
    if (!reader_ok(&v->r))
        return T_BOTTOM;
    const MemoryType *m = memory_at(v, index);
    if (!m || !check_alignment(v, flags, bytes, is_atomic))
        return T_BOTTOM;
    if (!m->limits.is64 && offset > UINT32_MAX) {
        check_fail(v, "offset out of range");
        return T_BOTTOM;
    }
    return address_type(&m->limits);
}

bool check_memory_size(Validator *v)
{
    const MemoryType *m = check_read_memory(v);
    if (m)
        check_push(v, address_type(&m->limits));
    return m;
}

bool check_memory_grow(Validator *v)
{
    const MemoryType *m = check_read_memory(v);
    v->flags |= FUNC_CALLS;
    return m
           && check_apply(v, T_BOTTOM, address_type(&m->limits),
                          address_type(&m->limits));
}

bool check_memory_fill(Validator *v)
{
    const MemoryType *m = check_read_memory(v);
    v->flags |= FUNC_CALLS;
    if (!m)
        return false;
    Type t = address_type(&m->limits);
    return check_pop(v, t) && check_apply(v, t, T_I32, T_BOTTOM);
}

bool check_memory_copy(Validator *v)
{
    const MemoryType *to = check_read_memory(v);
    const MemoryType *from = to ? check_read_memory(v) : NULL;
    v->flags |= FUNC_CALLS;
    if (!from)
        return false;
    Type size = to->limits.is64 && from->limits.is64 ? T_I64 : T_I32;
    return check_pop(v, size)
           && check_apply(v, address_type(&to->limits),
                          address_type(&from->limits), T_BOTTOM);
}

bool check_read_data(Validator *v)
{
    uint32_t index = reader_u32(&v->r);
    if (!reader_ok(&v->r))
        return false;
    if (!v->m->has_data_count)
        return check_malformed(v, "data count section required");
    return index < v->m->n_datas
           || check_fail(v, "unknown data segment %u", (unsigned)index);
}

bool check_memory_init(Validator *v)
{
    v->flags |= FUNC_CALLS;
    if (!check_read_data(v))
        return false;
    const MemoryType *m = check_read_memory(v);
    return m && check_pop(v, T_I32)
           && check_apply(v, address_type(&m->limits), T_I32, T_BOTTOM);
}

bool check_data_drop(Validator *v) { return check_read_data(v); }

/* Atomics that are not loads, stores or exchanges. */

bool check_atomic_notify(Validator *v)
{
    Type address = check_read_memarg(v, 4, true);
    return address && check_apply(v, address, T_I32, T_I32);
}

static bool wait(Validator *v, uint32_t bytes, Type expected)
{
    v->flags |= FUNC_CALLS;
    Type address = check_read_memarg(v, bytes, true);
    return address && check_pop(v, T_I64)
           && check_apply(v, address, expected, T_I32);
}

bool check_atomic_wait32(Validator *v) { return wait(v, 4, T_I32); }
bool check_atomic_wait64(Validator *v) { return wait(v, 8, T_I64); }

bool check_atomic_fence(Validator *v)
{
    if (reader_byte(&v->r) != 0)
        return check_malformed(v, "zero byte expected");
    return reader_ok(&v->r);
}

/* Tables. */

const TableType *check_read_table(Validator *v, uint32_t *index)
{
    *index = reader_u32(&v->r);
    if (*index < v->m->n_tables)
        return &v->m->tables[*index];
    if (reader_ok(&v->r))
        check_fail(v, "unknown table %u", (unsigned)*index);
    return NULL;
}

static const TableType *read_table(Validator *v)
{
    uint32_t index;
    return check_read_table(v, &index);
}

const ElemSegment *check_read_elem(Validator *v)
{
    uint32_t index = reader_u32(&v->r);
    if (index < v->m->n_elems)
        return &v->m->elems[index];
    if (reader_ok(&v->r))
        check_fail(v, "unknown elem segment %u", (unsigned)index);
    return NULL;
}

bool check_table_get(Validator *v)
{
    const TableType *t = read_table(v);
    return t && check_apply(v, T_BOTTOM, address_type(&t->limits), t->type);
}

bool check_table_set(Validator *v)
{
    const TableType *t = read_table(v);
    return t && check_apply(v, address_type(&t->limits), t->type, T_BOTTOM);
}

bool check_table_size(Validator *v)
{
    const TableType *t = read_table(v);
    if (t)
        check_push(v, address_type(&t->limits));
    return t;
}

bool check_table_grow(Validator *v)
{
    const TableType *t = read_table(v);
    v->flags |= FUNC_CALLS;
    return t
           && check_apply(v, t->type, address_type(&t->limits),
                          address_type(&t->limits));
}

bool check_table_fill(Validator *v)
{
    const TableType *t = read_table(v);
    v->flags |= FUNC_CALLS;
    if (!t)
        return false;
    Type address = address_type(&t->limits);
    return check_pop(v, address) && check_apply(v, address, t->type, T_BOTTOM);
}

bool check_table_copy(Validator *v)
{
    const TableType *to = read_table(v), *from = to ? read_table(v) : NULL;
    v->flags |= FUNC_CALLS;
    if (!from)
        return false;
    if (!type_matches(from->type, to->type))
        return check_mismatch(v, to->type, from->type);
    Type size = to->limits.is64 && from->limits.is64 ? T_I64 : T_I32;
    return check_pop(v, size)
           && check_apply(v, address_type(&to->limits),
                          address_type(&from->limits), T_BOTTOM);
}

bool check_table_init(Validator *v)
{
    const ElemSegment *e = check_read_elem(v);
    const TableType *t = e ? read_table(v) : NULL;
    v->flags |= FUNC_CALLS;
    if (!t)
        return false;
    if (!type_matches(e->type, t->type))
        return check_mismatch(v, t->type, e->type);
    return check_pop(v, T_I32)
           && check_apply(v, address_type(&t->limits), T_I32, T_BOTTOM);
}

bool check_elem_drop(Validator *v) { return check_read_elem(v); }
