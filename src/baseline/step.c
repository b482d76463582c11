/* Instructions that are left to the interpreter's step functions: operands in
 * slots, a call, results in slots. */
#include "baseline/compiler.h"
#include "wasm/walk.h"

typedef struct {
    uint32_t pops;
    uint8_t pushes[2]; /* types; 0: none */
    bool fails;
} Effect;

static Effect effect(uint32_t pops, uint8_t push, bool fails)
{
    return (Effect){pops, {push, 0}, fails};
}

static uint8_t index_type(bool is64) { return is64 ? T_I64 : T_I32; }

static uint8_t field_type(Type t)
{
    return t == T_I8 || t == T_I16 ? T_I32 : kind_of(t);
}

static Effect of_struct(const Compiler *c, Reader *r)
{
    const TypeDef *t = c->m->types[reader_u32(r)];
    switch (c->op) {
    case OP_STRUCT_NEW:
        return effect(t->structure.n_fields, KIND_REF_NULL, true);
    case OP_STRUCT_NEW_DEFAULT: return effect(0, KIND_REF_NULL, true);
    case OP_STRUCT_SET: return effect(2, 0, true);
    default:
        return effect(1, field_type(t->structure.fields[reader_u32(r)].type),
                      true);
    }
}

static Effect of_table(const Compiler *c, Reader *r)
{
    uint32_t first = reader_u32(r);
    bool is64 = c->m->tables[first].limits.is64;
    switch (c->op) {
    case OP_TABLE_GET: return effect(1, KIND_REF_NULL, true);
    case OP_TABLE_SET: return effect(2, 0, true);
    case OP_TABLE_SIZE: return effect(0, index_type(is64), false);
    default: return effect(2, index_type(is64), false); /* grow */
    }
}

static Effect of_hand(const Compiler *c)
{
    Reader r = c->r;
    switch (c->op) {
    case OP_TABLE_GET:
    case OP_TABLE_SET:
    case OP_TABLE_SIZE:
    case OP_TABLE_GROW: return of_table(c, &r);
    case OP_TABLE_FILL:
    case OP_TABLE_COPY:
    case OP_TABLE_INIT:
    case OP_MEMORY_FILL:
    case OP_MEMORY_COPY:
    case OP_MEMORY_INIT:
    case OP_ARRAY_SET: return effect(3, 0, true);
    case OP_ELEM_DROP:
    case OP_DATA_DROP:
    case OP_ATOMIC_FENCE: return effect(0, 0, false);
    case OP_MEMORY_SIZE:
        return effect(0, index_type(c->m->memories[reader_u32(&r)].limits.is64),
                      false);
    case OP_MEMORY_GROW:
        return effect(1, index_type(c->m->memories[reader_u32(&r)].limits.is64),
                      false);
    case OP_REF_FUNC: return effect(0, KIND_REF_NULL, false);
    case OP_REF_TEST:
    case OP_REF_TEST_NULL: return effect(1, T_I32, false);
    case OP_REF_EQ: return effect(2, T_I32, false);
    case OP_REF_CAST:
    case OP_REF_CAST_NULL:
    case OP_REF_AS_NON_NULL: return effect(1, KIND_REF_NULL, true);
    case OP_REF_I31: return effect(1, KIND_REF_NULL, false);
    case OP_I31_GET_S:
    case OP_I31_GET_U:
    case OP_ARRAY_LEN: return effect(1, T_I32, true);
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT:
    case OP_STRUCT_GET:
    case OP_STRUCT_GET_S:
    case OP_STRUCT_GET_U:
    case OP_STRUCT_SET: return of_struct(c, &r);
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DATA:
    case OP_ARRAY_NEW_ELEM: return effect(2, KIND_REF_NULL, true);
    case OP_ARRAY_NEW_DEFAULT: return effect(1, KIND_REF_NULL, true);
    case OP_ARRAY_NEW_FIXED:
        reader_u32(&r);
        return effect(reader_u32(&r), KIND_REF_NULL, true);
    case OP_ARRAY_GET:
    case OP_ARRAY_GET_S:
    case OP_ARRAY_GET_U:
        return effect(2, field_type(c->m->types[reader_u32(&r)]->array.type),
                      true);
    case OP_ARRAY_FILL:
    case OP_ARRAY_INIT_DATA:
    case OP_ARRAY_INIT_ELEM: return effect(4, 0, true);
    case OP_ARRAY_COPY: return effect(5, 0, true);
    case OP_I8X16_SHUFFLE: return effect(2, T_V128, false);
    case OP_MEMORY_ATOMIC_NOTIFY: return effect(2, T_I32, true);
    case OP_MEMORY_ATOMIC_WAIT32:
    case OP_MEMORY_ATOMIC_WAIT64: return effect(3, T_I32, true);
    default: __builtin_unreachable();
    }
}

static Effect of_shape(const Rule *rule)
{
    Effect e = effect(rule->operands, rule->out, rule->fails);
    if (rule->twice)
        e.pushes[1] = rule->out;
    return e;
}

void emit_step(Compiler *c, const Rule *rule)
{
    Effect e = rule->operands == STEP_HAND ? of_hand(c) : of_shape(rule);
    uint32_t immediates = (uint32_t)reader_offset(&c->r);
    spill_range(c, c->depth - e.pops, c->depth);
    call_step(c, c->op, immediates, height(c) - 1);
    walk_skip(&c->r, c->op);
    if (e.fails)
        fail_if_error(c);
    for (; e.pops > 0; e.pops--)
        pop(c);
    for (unsigned k = 0; k < 2; k++)
        if (e.pushes[k])
            push_slot(c, e.pushes[k]);
}
