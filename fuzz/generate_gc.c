#include "fuzz/generator.h"

typedef struct {
    uint8_t n; /* fields; of an array 1 */
    uint8_t fields[3];
    bool is_array, packed; /* packed: the integers in it */
} Composite;

/* As write_composites of generate.c writes them. */
static const Composite composites[N_COMPOSITE] = {
    {2, {V_I32, V_ANY}, false, false},
    {3, {V_I32, V_ANY, V_STRUCT}, false, false},
    {3, {V_I32, V_I32, V_V128}, false, true},
    {3, {V_F32, V_F64, V_I64}, false, false},
    {1, {V_I32}, true, true},
    {1, {V_I64}, true, false},
    {1, {V_STRUCT}, true, false},
    {1, {V_V128}, true, false},
};

static const Composite *composite(Value v) { return &composites[v - V_STRUCT]; }
static uint32_t type_of(Value v) { return (uint32_t)v - V_STRUCT; }

/* ---- making objects */

static void generate_array(Generator *g, Value v)
{
    uint8_t x = draw(g);
    uint32_t n = x / 8 % 6;
    switch (x % 5) {
    case 0:
    case 1:
        generate_small(g, V_I32);
        emit_index(g, OP_ARRAY_NEW_DEFAULT, type_of(v));
        return;
    case 2:
        for (uint32_t i = 0; i < n; i++)
            generate_value(g, (Value)composite(v)->fields[0]);
        emit_index(g, OP_ARRAY_NEW_FIXED, type_of(v));
        writer_u32(&g->code, n);
        return;
    case 3:
        generate_value(g, (Value)composite(v)->fields[0]);
        generate_small(g, V_I32);
        emit_index(g, OP_ARRAY_NEW, type_of(v));
        return;
    default:
        generate_small(g, V_I32);
        emit_number(g, V_I32, n % 3);
        emit_index(g, v == V_STRUCTS ? OP_ARRAY_NEW_ELEM : OP_ARRAY_NEW_DATA,
                   type_of(v));
        writer_u32(&g->code, v == V_STRUCTS ? N_ELEMS - 1 : n % N_DATAS);
    }
}

/* Not null. */
static void generate_object(Generator *g, Value v)
{
    const Composite *c = composite(v);
    if (c->is_array) {
        generate_array(g, v);
    } else if (draw(g) & 1) {
        for (int i = 0; i < c->n; i++)
            generate_value(g, (Value)c->fields[i]);
        emit_index(g, OP_STRUCT_NEW, type_of(v));
    } else {
        emit_index(g, OP_STRUCT_NEW_DEFAULT, type_of(v));
    }
}

/* Seldom null: or every access would trap. */
static void generate_target(Generator *g, Value v)
{
    if (draw(g) % 16 == 15)
        generate_value(g, v);
    else
        generate_object(g, v);
}

static Value draw_subtype(Generator *g, Value of)
{
    if (of == V_STRUCT)
        return V_SUB;
    uint32_t x = draw_below(g, N_COMPOSITE + 2);
    if (x >= N_COMPOSITE)
        return of == V_ANY && x == N_COMPOSITE ? V_EQ : V_I31;
    return (Value)(V_STRUCT + x);
}

static void generate_cast(Generator *g, Value v)
{
    generate_value(g, V_ANY);
    emit(g, OP_REF_CAST_NULL);
    write_heap_type(&g->code, v);
}

static void generate_table_get(Generator *g, uint32_t table)
{
    generate_small(g, table && g->shape.table64 ? V_I64 : V_I32);
    emit_index(g, OP_TABLE_GET, table);
}

static void generate_func(Generator *g)
{
    uint8_t x = draw(g);
    if (x & 1)
        generate_table_get(g, 0);
    else
        emit_index(g, OP_REF_FUNC, x / 2 % g->shape.n_funcs);
}

static void generate_any(Generator *g, Value v)
{
    uint8_t x = draw(g) % 8;
    if (x == 0 && v == V_ANY) {
        generate_value(g, V_EXTERN);
        emit(g, OP_ANY_CONVERT_EXTERN);
    } else if (x == 1 && v == V_ANY) {
        generate_table_get(g, 1);
    } else {
        generate_value(g, draw_subtype(g, v));
    }
}

void generate_reference(Generator *g, Value v)
{
    switch (v) {
    case V_FUNC: generate_func(g); return;
    case V_EXTERN:
        generate_value(g, V_ANY);
        emit(g, OP_EXTERN_CONVERT_ANY);
        return;
    case V_ANY:
    case V_EQ: generate_any(g, v); return;
    case V_I31:
        generate_value(g, V_I32);
        emit(g, OP_REF_I31);
        return;
    case V_EXN: generate_constant(g, v); return;
    default: break;
    }
    uint8_t x = draw(g) % 16;
    if (x == 0)
        generate_cast(g, v);
    else if (x < 4 && v == V_STRUCT)
        generate_value(g, V_SUB);
    else
        generate_object(g, v);
}

/* ---- reading objects */

static void emit_get(Generator *g, Value v, uint32_t field)
{
    const Composite *c = composite(v);
    bool packed = c->packed && c->fields[field] == V_I32;
    bool is_signed = packed && draw(g) & 1;
    Op op = c->is_array ? OP_ARRAY_GET : OP_STRUCT_GET;
    if (packed)
        op = c->is_array ? (is_signed ? OP_ARRAY_GET_S : OP_ARRAY_GET_U)
                         : (is_signed ? OP_STRUCT_GET_S : OP_STRUCT_GET_U);
    if (c->is_array)
        generate_small(g, V_I32);
    emit_index(g, op, type_of(v));
    if (!c->is_array)
        writer_u32(&g->code, field);
}

/* An object with a field of that type: by number, from one on. */
static bool find_field(Value wanted, uint32_t from, Value *object,
                       uint32_t *field)
{
    for (uint32_t i = 0; i < N_COMPOSITE; i++) {
        uint32_t k = (from + i) % N_COMPOSITE;
        for (uint32_t f = 0; f < composites[k].n; f++)
            if (composites[k].fields[f] == wanted) {
                *object = (Value)(V_STRUCT + k);
                *field = f;
                return true;
            }
    }
    return false;
}

static void generate_question(Generator *g)
{
    uint8_t x = draw(g);
    switch (x % 5) {
    case 0:
        generate_value(g, (Value)(V_FUNC + x / 8 % (V_COUNT - V_FUNC)));
        emit(g, OP_REF_IS_NULL);
        return;
    case 1:
        generate_value(g, V_EQ);
        generate_value(g, V_EQ);
        emit(g, OP_REF_EQ);
        return;
    case 2:
        generate_value(g, V_ANY);
        emit(g, x & 128 ? OP_REF_TEST : OP_REF_TEST_NULL);
        write_heap_type(&g->code, draw_subtype(g, V_ANY));
        return;
    case 3:
        generate_value(g, V_I32);
        emit(g, OP_REF_I31);
        emit(g, x & 128 ? OP_I31_GET_S : OP_I31_GET_U);
        return;
    default:
        generate_target(g, (Value)(V_BYTES + x / 8 % (V_COUNT - V_BYTES)));
        emit(g, OP_ARRAY_LEN);
    }
}

bool generate_from_reference(Generator *g, Value v)
{
    Value object;
    uint32_t field;
    if (v == V_I32 && draw(g) & 1) {
        generate_question(g);
        return true;
    }
    if (!find_field(v, draw(g), &object, &field))
        return false;
    generate_target(g, object);
    emit_get(g, object, field);
    return true;
}

/* ---- changing objects */

static void generate_set(Generator *g, Value v)
{
    const Composite *c = composite(v);
    uint32_t field = draw_below(g, c->n);
    generate_target(g, v);
    if (c->is_array)
        generate_small(g, V_I32);
    generate_value(g, (Value)c->fields[field]);
    emit_index(g, c->is_array ? OP_ARRAY_SET : OP_STRUCT_SET, type_of(v));
    if (!c->is_array)
        writer_u32(&g->code, field);
}

static void generate_array_init(Generator *g, Value v)
{
    generate_target(g, v);
    for (int i = 0; i < 3; i++)
        generate_small(g, V_I32);
    emit_index(g, v == V_STRUCTS ? OP_ARRAY_INIT_ELEM : OP_ARRAY_INIT_DATA,
               type_of(v));
    writer_u32(&g->code, v == V_STRUCTS ? N_ELEMS - 1 : 0);
}

void generate_gc_effect(Generator *g)
{
    uint8_t x = draw(g);
    Value array = (Value)(V_BYTES + x / 8 % (V_COUNT - V_BYTES));
    switch (x % 4) {
    case 0: generate_set(g, (Value)(V_STRUCT + x / 8 % N_COMPOSITE)); return;
    case 1:
        generate_target(g, array);
        generate_small(g, V_I32);
        generate_value(g, (Value)composite(array)->fields[0]);
        generate_small(g, V_I32);
        emit_index(g, OP_ARRAY_FILL, type_of(array));
        return;
    case 2:
        generate_target(g, array);
        generate_small(g, V_I32);
        generate_target(g, array);
        generate_small(g, V_I32);
        generate_small(g, V_I32);
        emit_index(g, OP_ARRAY_COPY, type_of(array));
        writer_u32(&g->code, type_of(array));
        return;
    default: generate_array_init(g, array);
    }
}
