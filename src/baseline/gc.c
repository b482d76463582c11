/* References, structs, arrays: WebAssembly 3.0, 4.6.4. */
#include "baseline/compiler.h"
#include "wasm/walk.h"

/* ---- fields */

typedef struct {
    uint16_t load, load_signed, store;
} Storage;

static Storage storage_of(Type t)
{
    switch (t) {
    case T_I8: return (Storage){X64_MOVZX8, X64_MOVSX8_32, X64_MOV8_ST};
    case T_I16: return (Storage){X64_MOVZX16, X64_MOVSX16_32, X64_MOV16_ST};
    case T_I32: return (Storage){X64_MOV32, X64_MOV32, X64_MOV32_ST};
    case T_F32: return (Storage){X64_MOVSS, X64_MOVSS, X64_MOVSS_ST};
    case T_F64: return (Storage){X64_MOVSD, X64_MOVSD, X64_MOVSD_ST};
    case T_V128: return (Storage){X64_MOVUPS, X64_MOVUPS, X64_MOVUPS_ST};
    default: return (Storage){X64_MOV64, X64_MOV64, X64_MOV64_ST};
    }
}

static uint8_t unpacked(Type t)
{
    return t == T_I8 || t == T_I16 ? T_I32 : kind_of(t);
}

static Reg use_not_null(Compiler *c, Operand *o, ErrorCode code)
{
    Reg r = use(c, o);
    x64_rr(&c->a, X64_TEST64, r, r);
    trap_if(c, CC_E, code);
    return r;
}

/* x: 1: sign-extends. */
void emit_struct_get(Compiler *c, const Rule *rule)
{
    const TypeDef *t = c->m->types[reader_u32(&c->r)];
    const Field *f = &t->structure.fields[reader_u32(&c->r)];
    Storage s = storage_of(f->type);
    Operand o = pop(c);
    Reg r = use_not_null(c, &o, ERR_NULL_STRUCT);
    Result result = result_reg(c, unpacked(f->type), &o);
    x64_rm(&c->a, rule->x ? s.load_signed : s.load, result.reg,
           mem(r, (int32_t)f->offset));
    release(c, &o);
    result_done(c, result);
}

void emit_struct_set(Compiler *c, const Rule *rule)
{
    (void)rule;
    const TypeDef *t = c->m->types[reader_u32(&c->r)];
    const Field *f = &t->structure.fields[reader_u32(&c->r)];
    Operand value = pop(c), o = pop(c);
    Reg v = use(c, &value);
    Reg r = use_not_null(c, &o, ERR_NULL_STRUCT);
    x64_rm(&c->a, storage_of(f->type).store, v, mem(r, (int32_t)f->offset));
    release(c, &value);
    release(c, &o);
}

/* ---- elements */

static Mem element(Compiler *c, const Field *f, Operand *array, Operand *index)
{
    uint32_t size = type_size(f->type);
    int32_t offset = (int32_t)f->offset;
    Reg i = use(c, index);
    Reg r = use_not_null(c, array, ERR_NULL_ARRAY);
    x64_rm(&c->a, X64_CMP32, i, mem(r, 4));
    trap_if(c, CC_AE, ERR_ARRAY_BOUNDS);
    if (size < 16)
        return mem_index(r, i, (unsigned)__builtin_ctz(size), offset);
    x64_rr(&c->a, X64_MOV64, SCRATCH, i);
    x64_ri(&c->a, X64_SHL64, SCRATCH, 4);
    return mem_index(r, SCRATCH, 0, offset);
}

/* x: 1: sign-extends. */
void emit_array_get(Compiler *c, const Rule *rule)
{
    const Field *f = &c->m->types[reader_u32(&c->r)]->array;
    Storage s = storage_of(f->type);
    Operand index = pop(c), array = pop(c);
    Mem m = element(c, f, &array, &index);
    Result result = result_reg(c, unpacked(f->type), &array);
    x64_rm(&c->a, rule->x ? s.load_signed : s.load, result.reg, m);
    release(c, &array);
    release(c, &index);
    result_done(c, result);
}

void emit_array_set(Compiler *c, const Rule *rule)
{
    (void)rule;
    const Field *f = &c->m->types[reader_u32(&c->r)]->array;
    Operand value = pop(c), index = pop(c), array = pop(c);
    Reg v = use(c, &value);
    Mem m = element(c, f, &array, &index);
    x64_rm(&c->a, storage_of(f->type).store, v, m);
    release(c, &array);
    release(c, &index);
    release(c, &value);
}

void emit_array_len(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand o = pop(c);
    Reg r = use_not_null(c, &o, ERR_NULL_ARRAY);
    Result result = result_reg(c, T_I32, &o);
    x64_rm(&c->a, X64_MOV32, result.reg, mem(r, 4));
    release(c, &o);
    result_done(c, result);
}

/* ---- allocation: the operands are in slots, where the collector sees them */

static void allocate(Compiler *c, unsigned helper, uint32_t type)
{
    spill_registers(c);
    save_homes(c);
    x64_rr(&c->a, X64_MOV64, RDI, CONTEXT);
    x64_mov_imm64(&c->a, RSI, type);
    call_helper(c, helper);
    forget_homes(c);
    x64_rr(&c->a, X64_TEST64, RAX, RAX);
    trap_if(c, CC_E, ERR_HEAP_LIMIT);
    c->free_ints &= ~(1u << RAX);
}

void emit_struct_new(Compiler *c, const Rule *rule)
{
    uint32_t type = reader_u32(&c->r);
    const TypeDef *t = c->m->types[type];
    allocate(c, HELPER_STRUCT, type);
    for (uint32_t k = rule->x ? 0 : t->structure.n_fields; k-- > 0;) {
        const Field *f = &t->structure.fields[k];
        Operand o = pop(c);
        if (o.place != AT_CONST || o.value != 0 || o.type == T_V128) {
            bool vec = type_is_vec(o.type);
            Reg v = source_of(c, &o);
            if (v == NO_REG) {
                v = vec ? VEC_SCRATCH : SCRATCH;
                load_into(c, &o, v);
            }
            x64_rm(&c->a, storage_of(f->type).store, v,
                   mem(RAX, (int32_t)f->offset));
        }
        release(c, &o);
    }
    push_reg(c, KIND_REF_NULL, RAX);
}

void emit_array_new_default(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t type = reader_u32(&c->r);
    Operand n = pop(c);
    spill_registers(c);
    load_into(c, &n, RDX);
    release(c, &n);
    allocate(c, HELPER_ARRAY, type);
    push_reg(c, KIND_REF_NULL, RAX);
}

/* ---- references */

void emit_ref_as_non_null(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand o = pop(c);
    Reg r = use_not_null(c, &o, ERR_NULL_REFERENCE);
    if (o.place == AT_LOCAL)
        push_local(c, (uint32_t)o.value);
    else
        push_reg(c, o.type, r);
}

void emit_ref_i31(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand o = pop(c);
    Reg r = use(c, &o);
    Result result = result_reg(c, KIND_REF_NULL, &o);
    x64_rm(&c->a, X64_LEA32, result.reg, mem_index(r, r, 0, 1));
    release(c, &o);
    result_done(c, result);
}

/* x: the shift. */
void emit_i31_get(Compiler *c, const Rule *rule)
{
    Operand o = pop(c);
    Reg r = use_not_null(c, &o, ERR_NULL_I31);
    Result result = result_reg(c, T_I32, &o);
    x64_rr(&c->a, X64_MOV32, result.reg, r);
    x64_ri(&c->a, rule->x, result.reg, 1);
    release(c, &o);
    result_done(c, result);
}

/* The target of a cast: baseline.h has the encoding. */
typedef struct {
    uint32_t code;
    const TypeDef *type; /* NULL: an abstract one */
} Target;

static Target read_target(Compiler *c, bool nullable)
{
    int64_t x = reader_s33(&c->r);
    if (x >= 0)
        return (Target){(uint32_t)x << 1 | nullable, c->m->types[x]};
    uint32_t heap = (uint32_t)x & 0x7f;
    return (Target){MATCH_ABSTRACT | heap << 1 | nullable, NULL};
}

/* The target is in the frame, the word on the stack; r11 is the answer. */
static void ask_match(Compiler *c, Reg r, Target t, Label no)
{
    x64_mi(&c->a, X64_MOV32, mem(RBP, -FRAME_FIXED), (int32_t)t.code);
    x64_r(&c->a, X64_PUSH, r);
    x64_r(&c->a, X64_PUSH, r);
    call_helper(c, HELPER_MATCH);
    x64_rr(&c->a, X64_TEST32, SCRATCH, SCRATCH);
    x64_rm(&c->a, X64_LEA64, RSP, mem(RSP, 16));
    x64_jcc(&c->a, CC_E, no);
}

/* Leaves for `no` if the word in r does not match; what is not decided by a
 * comparison is asked of a helper, which keeps all registers. */
static void match(Compiler *c, Reg r, Target t, Label no)
{
    Label yes = asm_label(&c->a);
    x64_rr(&c->a, X64_TEST64, r, r);
    x64_jcc(&c->a, CC_E, t.code & 1 ? yes : no);
    if (t.code >> 1 == (MATCH_ABSTRACT >> 1 | HEAP_I31)) {
        x64_ri(&c->a, X64_TEST32, r, 1);
        x64_jcc(&c->a, CC_E, no);
    } else if (t.type && t.type->kind != COMP_FUNC) {
        x64_ri(&c->a, X64_TEST32, r, 1);
        x64_jcc(&c->a, CC_NE, no);
        load_type_id(c, SCRATCH, t.code >> 1);
        x64_rm(&c->a, X64_CMP32, SCRATCH, mem(r, 0));
        if (t.type->final) {
            x64_jcc(&c->a, CC_NE, no);
        } else {
            x64_jcc(&c->a, CC_E, yes);
            ask_match(c, r, t, no);
        }
    } else {
        ask_match(c, r, t, no);
    }
    asm_bind(&c->a, yes);
}

/* x: nullable. */
void emit_ref_cast(Compiler *c, const Rule *rule)
{
    Target t = read_target(c, rule->x);
    Operand o = pop(c);
    Reg r = use(c, &o);
    match(c, r, t, cold_exit(c, ERR_CAST));
    if (o.place == AT_LOCAL)
        push_local(c, (uint32_t)o.value);
    else
        push_reg(c, o.type, r);
}

void emit_ref_test(Compiler *c, const Rule *rule)
{
    Target t = read_target(c, rule->x);
    Operand o = pop(c);
    Reg r = use(c, &o), result = alloc_int(c);
    Label no = asm_label(&c->a);
    x64_mov_imm64(&c->a, result, 0);
    match(c, r, t, no);
    x64_mov_imm64(&c->a, result, 1);
    asm_bind(&c->a, no);
    release(c, &o);
    push_reg(c, T_I32, result);
}
