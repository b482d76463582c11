#include "wasm/check.h"
#include "wasm/decode.h"

const TypeDef *check_read_type(Validator *v, CompKind kind, uint32_t *index)
{
    static const char *const text[] = {"a function", "a struct", "an array"};
    *index = reader_u32(&v->r);
    if (!reader_ok(&v->r))
        return NULL;
    if (*index >= v->m->n_types)
        check_fail(v, "unknown type %u", (unsigned)*index);
    else if (v->m->types[*index]->kind != kind)
        check_fail(v, "type mismatch: type %u is not %s type", (unsigned)*index,
                   text[kind]);
    else
        return v->m->types[*index];
    return NULL;
}

/* References. */

/* Any reference; T_BOTTOM becomes (ref null bot). */
static bool pop_ref(Validator *v, Type *t)
{
    if (!check_pop_any(v, t))
        return false;
    if (*t == T_BOTTOM)
        *t = type_ref_abstract(false, HEAP_BOTTOM);
    return type_is_ref(*t)
           || check_fail(v, "type mismatch: expected a reference");
}

static Type non_null(Type t) { return type_ref(false, type_heap(t)); }

static Type top_ref(Type t)
{
    uint32_t heap = type_heap(t);
    return type_ref_abstract(true, type_heap_top(heap));
}

bool check_ref_null(Validator *v)
{
    uint32_t heap = decode_heap_type(&v->r, v->m, 0);
    check_push(v, type_ref(true, heap));
    return reader_ok(&v->r);
}

bool check_ref_is_null(Validator *v)
{
    Type t;
    if (!pop_ref(v, &t))
        return false;
    check_push(v, T_I32);
    return true;
}

static bool is_declared(const Validator *v, uint32_t index)
{
    return v->m->declared[index / 8] >> index % 8 & 1;
}

bool check_ref_func(Validator *v)
{
    uint32_t index = reader_u32(&v->r);
    if (!reader_ok(&v->r))
        return false;
    if (index >= v->m->n_funcs)
        return check_fail(v, "unknown function %u", (unsigned)index);
    if (!v->f)
        v->m->declared[index / 8] |= (uint8_t)(1 << index % 8);
    else if (!is_declared(v, index))
        return check_fail(v, "undeclared function reference %u",
                          (unsigned)index);
    check_push(v, decode_has(v->m, FEATURE_FUNCTION_REFERENCES)
                      ? type_ref(false, v->m->func_types[index]->id)
                      : T_FUNCREF);
    return true;
}

bool check_ref_eq(Validator *v)
{
    Type eq = type_ref_abstract(true, HEAP_EQ);
    return check_apply(v, eq, eq, T_I32);
}

bool check_ref_as_non_null(Validator *v)
{
    Type t;
    if (!pop_ref(v, &t))
        return false;
    check_push(v, non_null(t));
    return true;
}

bool check_br_on_null(Validator *v)
{
    uint32_t pc = check_here(v);
    Type t;
    Frame *label = check_read_label(v);
    if (!label || !pop_ref(v, &t))
        return false;
    Types types = check_label_types(v, label);
    if (!check_pass_types(v, types) || !check_add_branch(v, label, pc, types))
        return false;
    check_push(v, non_null(t));
    return true;
}

/* A label of a branch that takes a reference with it. */
static bool ends_in_ref(Validator *v, Types types)
{
    return (types.n && type_is_ref(types.types[types.n - 1]))
           || check_fail(v, "type mismatch: the label takes no reference");
}

bool check_br_on_non_null(Validator *v)
{
    uint32_t pc = check_here(v);
    Type t;
    Frame *label = check_read_label(v);
    if (!label || !pop_ref(v, &t))
        return false;
    Types types = check_label_types(v, label);
    if (!ends_in_ref(v, types))
        return false;
    check_push(v, non_null(t));
    if (!check_pass_types(v, types) || !check_add_branch(v, label, pc, types))
        return false;
    return check_pop(v, types.types[types.n - 1]);
}

/* Casts. */

static bool read_target(Validator *v, bool nullable, Type *t)
{
    *t = type_ref(nullable, decode_heap_type(&v->r, v->m, 0));
    return reader_ok(&v->r);
}

static bool test(Validator *v, bool nullable)
{
    Type t;
    return read_target(v, nullable, &t)
           && check_apply(v, T_BOTTOM, top_ref(t), T_I32);
}

static bool cast(Validator *v, bool nullable)
{
    Type t;
    return read_target(v, nullable, &t)
           && check_apply(v, T_BOTTOM, top_ref(t), t);
}

bool check_ref_test(Validator *v) { return test(v, false); }
bool check_ref_test_null(Validator *v) { return test(v, true); }
bool check_ref_cast(Validator *v) { return cast(v, false); }
bool check_ref_cast_null(Validator *v) { return cast(v, true); }

/* What is left of `from` when it is not a `to`: 3.0, 3.2.4. */
static Type difference(Type from, Type to)
{
    return type_is_nullable(to) ? non_null(from) : from;
}

static bool br_on_cast(Validator *v, bool on_success)
{
    uint32_t pc = check_here(v);
    uint8_t flags = reader_byte(&v->r);
    Frame *label = check_read_label(v);
    Type from, to;
    if (!label)
        return false;
    if (flags > 3)
        return check_malformed(v, "malformed br_on_cast flags");
    if (!read_target(v, flags & 1, &from) || !read_target(v, flags & 2, &to))
        return false;
    if (!type_matches(to, from))
        return check_mismatch(v, from, to);
    Type taken = on_success ? to : difference(from, to);
    Type left = on_success ? difference(from, to) : to;
    Types types = check_label_types(v, label);
    if (!ends_in_ref(v, types) || !check_apply(v, T_BOTTOM, from, taken)
        || !check_pass_types(v, types)
        || !check_add_branch(v, label, pc, types))
        return false;
    v->sp[-1] = left;
    return true;
}

bool check_br_on_cast(Validator *v) { return br_on_cast(v, true); }
bool check_br_on_cast_fail(Validator *v) { return br_on_cast(v, false); }

/* Between hierarchies: nullability stays. */
static bool convert(Validator *v, uint32_t from, uint32_t to)
{
    Type t;
    if (!pop_ref(v, &t))
        return false;
    if (!type_matches(t, type_ref_abstract(true, from)))
        return check_mismatch(v, type_ref_abstract(true, from), t);
    check_push(v, type_ref_abstract(type_is_nullable(t), to));
    return true;
}

bool check_any_convert_extern(Validator *v)
{
    return convert(v, HEAP_EXTERN, HEAP_ANY);
}
bool check_extern_convert_any(Validator *v)
{
    return convert(v, HEAP_ANY, HEAP_EXTERN);
}

bool check_ref_i31(Validator *v)
{
    return check_apply(v, T_BOTTOM, T_I32, type_ref_abstract(false, HEAP_I31));
}

static bool get_i31(Validator *v)
{
    return check_apply(v, T_BOTTOM, type_ref_abstract(true, HEAP_I31), T_I32);
}
bool check_i31_get_s(Validator *v) { return get_i31(v); }
bool check_i31_get_u(Validator *v) { return get_i31(v); }

/* Structs and arrays. */

static bool is_packed(Type t) { return t == T_I8 || t == T_I16; }
static Type unpack(Type t) { return is_packed(t) ? T_I32 : t; }

bool check_struct_new(Validator *v)
{
    uint32_t index;
    const TypeDef *d = check_read_type(v, COMP_STRUCT, &index);
    if (!d)
        return false;
    for (uint32_t i = d->structure.n_fields; i-- > 0;)
        if (!check_pop(v, unpack(d->structure.fields[i].type)))
            return false;
    check_push(v, type_ref(false, d->id));
    return true;
}

bool check_struct_new_default(Validator *v)
{
    uint32_t index;
    const TypeDef *d = check_read_type(v, COMP_STRUCT, &index);
    if (!d)
        return false;
    for (uint32_t i = 0; i < d->structure.n_fields; i++)
        if (!type_is_defaultable(d->structure.fields[i].type))
            return check_fail(v, "type mismatch: field %u has no default value",
                              (unsigned)i);
    check_push(v, type_ref(false, d->id));
    return true;
}

static const Field *read_field(Validator *v, const TypeDef **d)
{
    uint32_t index;
    *d = check_read_type(v, COMP_STRUCT, &index);
    uint32_t field = *d ? reader_u32(&v->r) : 0;
    if (!reader_ok(&v->r))
        return NULL;
    if (field < (*d)->structure.n_fields)
        return &(*d)->structure.fields[field];
    check_fail(v, "unknown field %u", (unsigned)field);
    return NULL;
}

/* _s and _u are for packed storage, and only for that. */
static bool check_packing(Validator *v, Type storage, bool wanted)
{
    if (is_packed(storage) == wanted)
        return true;
    return check_fail(v, wanted ? "type mismatch: the storage is not packed"
                                : "type mismatch: the storage is packed");
}

static bool get_field(Validator *v, bool packed)
{
    const TypeDef *d;
    const Field *f = read_field(v, &d);
    return f && check_packing(v, f->type, packed)
           && check_apply(v, T_BOTTOM, type_ref(true, d->id), unpack(f->type));
}
bool check_struct_get(Validator *v) { return get_field(v, false); }
bool check_struct_get_s(Validator *v) { return get_field(v, true); }
bool check_struct_get_u(Validator *v) { return get_field(v, true); }

bool check_struct_set(Validator *v)
{
    const TypeDef *d;
    const Field *f = read_field(v, &d);
    if (!f)
        return false;
    if (!f->mutable)
        return check_fail(v, "immutable field");
    return check_apply(v, type_ref(true, d->id), unpack(f->type), T_BOTTOM);
}

static const TypeDef *read_array(Validator *v)
{
    uint32_t index;
    return check_read_type(v, COMP_ARRAY, &index);
}

static const TypeDef *read_mutable_array(Validator *v)
{
    const TypeDef *d = read_array(v);
    if (!d || d->array.mutable)
        return d;
    check_fail(v, "immutable array");
    return NULL;
}

bool check_array_new(Validator *v)
{
    const TypeDef *d = read_array(v);
    return d
           && check_apply(v, unpack(d->array.type), T_I32,
                          type_ref(false, d->id));
}

bool check_array_new_default(Validator *v)
{
    const TypeDef *d = read_array(v);
    if (!d)
        return false;
    if (!type_is_defaultable(d->array.type))
        return check_fail(v, "type mismatch: the elements have no default "
                             "value");
    return check_apply(v, T_BOTTOM, T_I32, type_ref(false, d->id));
}

bool check_array_new_fixed(Validator *v)
{
    enum { LIMIT_ARRAY_NEW_FIXED = 10000 };
    const TypeDef *d = read_array(v);
    uint32_t n = d ? reader_u32(&v->r) : 0;
    if (!reader_ok(&v->r))
        return false;
    if (n > LIMIT_ARRAY_NEW_FIXED)
        return check_limit(v, "%u operands; the limit is %d", (unsigned)n,
                           LIMIT_ARRAY_NEW_FIXED);
    for (uint32_t i = 0; i < n; i++)
        if (!check_pop(v, unpack(d->array.type)))
            return false;
    check_push(v, type_ref(false, d->id));
    return true;
}

static bool check_is_numeric(Validator *v, const TypeDef *d)
{
    return !type_is_ref(d->array.type)
           || check_fail(v, "array type is not numeric or vector");
}

/* Elements of a segment must fit those of the array. */
static bool check_fits(Validator *v, const TypeDef *d, const ElemSegment *e)
{
    return type_matches(e->type, d->array.type)
           || check_mismatch(v, d->array.type, e->type);
}

bool check_array_new_data(Validator *v)
{
    const TypeDef *d = read_array(v);
    v->flags |= FUNC_CALLS;
    return d && check_read_data(v) && check_is_numeric(v, d)
           && check_apply(v, T_I32, T_I32, type_ref(false, d->id));
}

bool check_array_new_elem(Validator *v)
{
    const TypeDef *d = read_array(v);
    const ElemSegment *e = d ? check_read_elem(v) : NULL;
    v->flags |= FUNC_CALLS;
    return e && check_fits(v, d, e)
           && check_apply(v, T_I32, T_I32, type_ref(false, d->id));
}

static bool get_element(Validator *v, bool packed)
{
    const TypeDef *d = read_array(v);
    return d && check_packing(v, d->array.type, packed)
           && check_apply(v, type_ref(true, d->id), T_I32,
                          unpack(d->array.type));
}
bool check_array_get(Validator *v) { return get_element(v, false); }
bool check_array_get_s(Validator *v) { return get_element(v, true); }
bool check_array_get_u(Validator *v) { return get_element(v, true); }

bool check_array_set(Validator *v)
{
    const TypeDef *d = read_mutable_array(v);
    return d && check_pop(v, unpack(d->array.type))
           && check_apply(v, type_ref(true, d->id), T_I32, T_BOTTOM);
}

bool check_array_len(Validator *v)
{
    return check_apply(v, T_BOTTOM, type_ref_abstract(true, HEAP_ARRAY), T_I32);
}

bool check_array_fill(Validator *v)
{
    const TypeDef *d = read_mutable_array(v);
    v->flags |= FUNC_CALLS;
    return d && check_apply(v, unpack(d->array.type), T_I32, T_BOTTOM)
           && check_apply(v, type_ref(true, d->id), T_I32, T_BOTTOM);
}

bool check_array_copy(Validator *v)
{
    const TypeDef *to = read_mutable_array(v);
    const TypeDef *from = to ? read_array(v) : NULL;
    v->flags |= FUNC_CALLS;
    if (!from)
        return false;
    Type a = to->array.type, b = from->array.type;
    if (is_packed(a) || is_packed(b) ? a != b : !type_matches(b, a))
        return check_fail(v, "array types do not match");
    return check_pop(v, T_I32)
           && check_apply(v, type_ref(true, from->id), T_I32, T_BOTTOM)
           && check_apply(v, type_ref(true, to->id), T_I32, T_BOTTOM);
}

bool check_array_init_data(Validator *v)
{
    const TypeDef *d = read_mutable_array(v);
    v->flags |= FUNC_CALLS;
    return d && check_read_data(v) && check_is_numeric(v, d)
           && check_apply(v, T_I32, T_I32, T_BOTTOM)
           && check_apply(v, type_ref(true, d->id), T_I32, T_BOTTOM);
}

bool check_array_init_elem(Validator *v)
{
    const TypeDef *d = read_mutable_array(v);
    const ElemSegment *e = d ? check_read_elem(v) : NULL;
    v->flags |= FUNC_CALLS;
    return e && check_fits(v, d, e) && check_apply(v, T_I32, T_I32, T_BOTTOM)
           && check_apply(v, type_ref(true, d->id), T_I32, T_BOTTOM);
}
