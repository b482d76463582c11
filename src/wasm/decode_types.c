#include <stdlib.h>

#include "wasm/decode.h"

static bool is_abstract(const Module *m, uint8_t code)
{
    switch (code) {
    case HEAP_FUNC:
    case HEAP_EXTERN: return true;
    case HEAP_EXN: return decode_has(m, FEATURE_EXCEPTIONS);
    case HEAP_NOEXN:
        return decode_has(m, FEATURE_EXCEPTIONS) && decode_has(m, FEATURE_GC);
    case HEAP_ANY:
    case HEAP_EQ:
    case HEAP_I31:
    case HEAP_STRUCT:
    case HEAP_ARRAY:
    case HEAP_NONE:
    case HEAP_NOFUNC:
    case HEAP_NOEXTERN: return decode_has(m, FEATURE_GC);
    default: return false;
    }
}

uint32_t decode_heap_type(Reader *r, const Module *m, uint32_t rec_end)
{
    uint64_t at = reader_offset(r);
    int64_t index = reader_s33(r);
    if (!reader_ok(r))
        return 0;
    if (index < 0) {
        uint8_t code = (uint8_t)(index & 0x7f);
        if (reader_offset(r) - at == 1 && is_abstract(m, code))
            return HEAP_ABSTRACT | code;
        return (uint32_t)decode_fail(r, ERR_MALFORMED, at,
                                     "malformed heap type");
    }
    if (!decode_need(r, m, FEATURE_FUNCTION_REFERENCES,
                     "a reference to a defined type"))
        return 0;
    if (index < m->n_types)
        return m->types[index]->id;
    if (index < rec_end)
        return HEAP_REC | (uint32_t)(index - m->n_types);
    return (uint32_t)decode_fail(r, ERR_INVALID, at, "unknown type %u",
                                 (unsigned)index);
}

static bool is_ref_code(const Module *m, uint8_t code)
{
    return code == KIND_REF || code == KIND_REF_NULL || is_abstract(m, code);
}

Type decode_ref_type(Reader *r, const Module *m, uint32_t rec_end)
{
    uint64_t at = reader_offset(r);
    uint8_t code = reader_byte(r);
    if (code == KIND_REF || code == KIND_REF_NULL) {
        if (!decode_need(r, m, FEATURE_FUNCTION_REFERENCES,
                         "a typed reference"))
            return 0;
        return type_ref(code == KIND_REF_NULL, decode_heap_type(r, m, rec_end));
    }
    if (!is_abstract(m, code))
        return (Type)decode_fail(r, ERR_MALFORMED, at,
                                 "malformed reference type");
    if (code == HEAP_EXTERN)
        decode_need(r, m, FEATURE_REFERENCE_TYPES, "externref");
    return type_ref_abstract(true, code);
}

Type decode_value_type(Reader *r, const Module *m, uint32_t rec_end)
{
    uint8_t code = r->p < r->end ? *r->p : 0;
    if (is_ref_code(m, code)) {
        if (!decode_need(r, m, FEATURE_REFERENCE_TYPES, "a reference type"))
            return 0;
        return decode_ref_type(r, m, rec_end);
    }
    uint64_t at = reader_offset(r);
    switch (reader_byte(r)) {
    case T_I32:
    case T_I64:
    case T_F32:
    case T_F64: return code;
    case T_V128: return decode_need(r, m, FEATURE_SIMD, "v128") ? code : 0;
    default:
        return (Type)decode_fail(r, ERR_MALFORMED, at, "malformed value type");
    }
}

const TypeDef *decode_func_type(Reader *r, const Module *m, uint32_t *index)
{
    uint64_t at = reader_offset(r);
    *index = reader_u32(r);
    if (!reader_ok(r))
        return NULL;
    if (*index >= m->n_types)
        decode_fail(r, ERR_INVALID, at, "unknown type %u", (unsigned)*index);
    else if (m->types[*index]->kind != COMP_FUNC)
        decode_fail(r, ERR_INVALID, at,
                    "type mismatch: type %u is not a function type",
                    (unsigned)*index);
    else
        return m->types[*index];
    return NULL;
}

/* A vector of value types, appended to out, which has room for `limit`. */
static uint32_t read_types(Reader *r, const Module *m, uint32_t rec_end,
                           uint32_t limit, const char *what, Type *out)
{
    uint32_t n = decode_count(r, limit, 1, what);
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        out[i] = decode_value_type(r, m, rec_end);
    return n;
}

static void read_func(Reader *r, const Module *m, uint32_t rec_end, Arena *a,
                      FuncType *f)
{
    Type types[LIMIT_PARAMS + LIMIT_RESULTS];
    f->n_params = read_types(r, m, rec_end, LIMIT_PARAMS, "parameters", types);
    uint64_t at = reader_offset(r);
    f->n_results = read_types(r, m, rec_end, LIMIT_RESULTS, "results",
                              types + f->n_params);
    if (f->n_results > 1 && !decode_has(m, FEATURE_MULTI_VALUE))
        decode_fail(r, ERR_INVALID, at,
                    "invalid result arity: %u results need the feature "
                    "multi-value",
                    (unsigned)f->n_results);
    f->types =
        arena_copy(a, types, (f->n_params + f->n_results) * sizeof *types);
}

static void read_field(Reader *r, const Module *m, uint32_t rec_end, Field *f)
{
    uint8_t code = r->p < r->end ? *r->p : 0;
    if (code == T_I8 || code == T_I16)
        f->type = reader_byte(r);
    else
        f->type = decode_value_type(r, m, rec_end);
    uint64_t at = reader_offset(r);
    uint8_t mutability = reader_byte(r);
    if (mutability > 1)
        decode_fail(r, ERR_MALFORMED, at, "malformed mutability");
    f->mutable = mutability;
}

static void read_composite(Reader *r, const Module *m, uint32_t rec_end,
                           Arena *a, TypeDef *d)
{
    uint64_t at = reader_offset(r);
    switch (reader_byte(r)) {
    case 0x60:
        d->kind = COMP_FUNC;
        read_func(r, m, rec_end, a, &d->func);
        return;
    case 0x5f:
        d->kind = COMP_STRUCT;
        if (!decode_need(r, m, FEATURE_GC, "a struct type"))
            return;
        d->structure.n_fields = decode_count(r, LIMIT_FIELDS, 2, "fields");
        d->structure.fields = arena_new(a, Field, d->structure.n_fields);
        for (uint32_t i = 0; i < d->structure.n_fields && reader_ok(r); i++)
            read_field(r, m, rec_end, &d->structure.fields[i]);
        return;
    case 0x5e:
        d->kind = COMP_ARRAY;
        if (decode_need(r, m, FEATURE_GC, "an array type"))
            read_field(r, m, rec_end, &d->array);
        return;
    default: decode_fail(r, ERR_MALFORMED, at, "malformed definition type");
    }
}

/* The supertype of type `index`: an id or HEAP_REC | position. */
static uint32_t read_super(Reader *r, const Module *m, uint32_t index)
{
    if (!decode_need(r, m, FEATURE_GC, "a sub type"))
        return NO_TYPE;
    uint64_t at = reader_offset(r);
    uint32_t n = reader_u32(r);
    if (n > 1)
        decode_fail(r, ERR_INVALID, at, "sub type %u has %u supertypes",
                    (unsigned)index, (unsigned)n);
    if (n == 0 || !reader_ok(r))
        return NO_TYPE;
    at = reader_offset(r);
    uint32_t super = reader_u32(r);
    if (super >= index)
        return (uint32_t)decode_fail(r, ERR_INVALID, at, "unknown type %u",
                                     (unsigned)super);
    return super < m->n_types ? m->types[super]->id
                              : HEAP_REC | (super - m->n_types);
}

static void read_sub(Reader *r, const Module *m, uint32_t index,
                     uint32_t rec_end, Arena *a, TypeDef *d)
{
    *d = (TypeDef){.final = true, .super = NO_TYPE};
    uint8_t code = r->p < r->end ? *r->p : 0;
    if (code == 0x50 || code == 0x4f) {
        r->p++;
        d->final = code == 0x4f;
        d->super = read_super(r, m, index);
    }
    if (reader_ok(r))
        read_composite(r, m, rec_end, a, d);
}

/* See WebAssembly 3.0, 3.3.8 to 3.3.11. */

static bool field_matches(const Field *sub, const Field *super)
{
    if (sub->mutable != super->mutable)
        return false;
    return sub->mutable ? sub->type == super->type
                        : type_matches(sub->type, super->type);
}

static bool func_matches(const FuncType *sub, const FuncType *super)
{
    if (sub->n_params != super->n_params || sub->n_results != super->n_results)
        return false;
    uint32_t n = sub->n_params;
    for (uint32_t i = 0; i < n; i++)
        if (!type_matches(super->types[i], sub->types[i]))
            return false;
    for (uint32_t i = n; i < n + sub->n_results; i++)
        if (!type_matches(sub->types[i], super->types[i]))
            return false;
    return true;
}

static bool def_extends(const TypeDef *sub, const TypeDef *super)
{
    if (super->final || sub->kind != super->kind)
        return false;
    if (sub->kind == COMP_FUNC)
        return func_matches(&sub->func, &super->func);
    if (sub->kind == COMP_ARRAY)
        return field_matches(&sub->array, &super->array);
    if (sub->structure.n_fields < super->structure.n_fields)
        return false;
    for (uint32_t i = 0; i < super->structure.n_fields; i++)
        if (!field_matches(&sub->structure.fields[i],
                           &super->structure.fields[i]))
            return false;
    return true;
}

/* m->types grows in a heap block while the section is read. */
static void add_types(Module *m, uint32_t *capacity, uint32_t first, uint32_t n)
{
    if (*capacity - m->n_types < n) {
        *capacity = (m->n_types + n) * 2;
        m->types = realloc(m->types, *capacity * sizeof *m->types);
        if (!m->types)
            abort();
    }
    for (uint32_t i = 0; i < n; i++)
        m->types[m->n_types++] = type_def(first + i);
}

/* The same as module_type_index, while there are more types to come. */
static uint32_t index_of(const Module *m, uint32_t id)
{
    uint32_t i = 0;
    while (m->types[i]->id != id)
        i++;
    return i;
}

static void check_supers(Reader *r, const Module *m, uint32_t start,
                         uint64_t at)
{
    for (uint32_t i = start; i < m->n_types; i++) {
        const TypeDef *d = m->types[i];
        if (d->super == NO_TYPE || def_extends(d, type_def(d->super)))
            continue;
        decode_fail(r, ERR_INVALID, at,
                    "sub type %u does not match super type %u", (unsigned)i,
                    (unsigned)index_of(m, d->super));
        return;
    }
}

static void read_group(Reader *r, Module *m, Arena *a, uint32_t *capacity)
{
    uint64_t at = reader_offset(r);
    uint32_t n = 1;
    if (r->p < r->end && *r->p == 0x4e) {
        r->p++;
        if (!decode_need(r, m, FEATURE_GC, "a recursive type"))
            return;
        n = decode_count(r, LIMIT_TYPES, 2, "types");
    }
    if (n > LIMIT_TYPES - m->n_types) {
        decode_fail(r, ERR_LIMIT, at, "too many types: the limit is %d",
                    LIMIT_TYPES);
        return;
    }
    uint32_t start = m->n_types;
    TypeDef *defs = arena_new(a, TypeDef, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        read_sub(r, m, start + i, start + n, a, &defs[i]);
    if (!reader_ok(r))
        return;
    TypeGroup *g = type_group_intern(defs, n);
    if (!g) {
        decode_fail(r, ERR_LIMIT, at,
                    "too many types, or supertypes deeper than %d",
                    TYPE_DEPTH_LIMIT);
        return;
    }
    m->groups[m->n_groups] = g;
    m->group_starts[m->n_groups++] = start;
    add_types(m, capacity, type_group_first(g), n);
    check_supers(r, m, start, at);
}

void decode_type_section(Reader *r, Module *m)
{
    uint32_t n = decode_count(r, LIMIT_TYPES, 2, "types"), capacity = 0;
    m->groups = arena_new(&m->arena, TypeGroup *, n);
    m->group_starts = arena_new(&m->arena, uint32_t, n);
    Arena scratch = {0};
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        ArenaMark mark = arena_mark(&scratch);
        read_group(r, m, &scratch, &capacity);
        arena_rewind(&scratch, mark);
    }
    arena_free(&scratch);
    const TypeDef **types = m->types;
    m->types = arena_copy(&m->arena, types, m->n_types * sizeof *m->types);
    free(types);
}
