/* Scalar instructions that take a sequence: saturating and unsigned
 * truncation, counts of bits where the processor lacks them, wide arithmetic.
 * And memory.size.
 */
#include "baseline/compiler.h"

/* ---- truncation.  x: conversion to a signed integer, which gives the least
 * one for what it cannot convert. */

static bool is_double(const Rule *rule) { return rule->a == T_F64; }

static void compare_with_zero(Compiler *c, const Rule *rule, Reg x)
{
    x64_sse(&c->a, X64_XORPS, VEC_SCRATCH, VEC_SCRATCH, VEC_SCRATCH);
    x64_rr(&c->a, is_double(rule) ? X64_UCOMISD : X64_UCOMISS, x, VEC_SCRATCH);
}

static void cmov(Compiler *c, Cond cc, bool wide, Reg to, Reg from)
{
    if (wide)
        x64_cmov64(&c->a, cc, to, from);
    else
        x64_cmov32(&c->a, cc, to, from);
}

/* Into r, of as many bits as the result: the least one stands for itself, for
 * less, for NaN and for more. */
static void saturate_signed(Compiler *c, const Rule *rule, Reg r, Reg x)
{
    bool wide = rule->out == T_I64;
    Label done = asm_label(&c->a);
    x64_rr(&c->a, rule->x, r, x);
    x64_ri(&c->a, wide ? X64_CMP64 : X64_CMP32, r, 1);
    x64_jcc(&c->a, CC_NO, done);
    compare_with_zero(c, rule, x);
    x64_mov_imm64(&c->a, SCRATCH, wide ? INT64_MAX : INT32_MAX);
    cmov(c, CC_A, wide, r, SCRATCH);
    x64_mov_imm64(&c->a, SCRATCH, 0);
    cmov(c, CC_P, wide, r, SCRATCH);
    asm_bind(&c->a, done);
}

/* Through 64 bits: those that are no u32 are too low, too high or NaN. */
static void saturate_u32(Compiler *c, const Rule *rule, Reg r, Reg x)
{
    Label done = asm_label(&c->a);
    x64_rr(&c->a, rule->x, r, x);
    x64_rr(&c->a, X64_MOV32, SCRATCH, r);
    x64_rr(&c->a, X64_CMP64, SCRATCH, r);
    x64_rr(&c->a, X64_MOV32, r, SCRATCH);
    x64_jcc(&c->a, CC_E, done);
    compare_with_zero(c, rule, x);
    x64_mov_imm64(&c->a, r, 0);
    x64_mov_imm64(&c->a, SCRATCH, UINT32_MAX);
    x64_cmov32(&c->a, CC_A, r, SCRATCH);
    asm_bind(&c->a, done);
}

/* Below 2^63 as it is, then less 2^63.  Goes to `done` with the result, or
 * goes on with r negative. */
static void truncate_u64(Compiler *c, const Rule *rule, Reg r, Reg x,
                         Label done)
{
    uint32_t low = 0x5f000000;
    uint64_t bits = 0x43e0000000000000;
    Label outside = asm_label(&c->a);
    Mem limit = is_double(rule) ? asm_const(&c->a, &bits, 8)
                                : asm_const(&c->a, &low, 4);
    x64_rr(&c->a, rule->x, r, x);
    x64_rr(&c->a, X64_TEST64, r, r);
    x64_jcc(&c->a, CC_NS, done);
    x64_sse_m(&c->a, is_double(rule) ? X64_SUBSD : X64_SUBSS, VEC_SCRATCH, x,
              limit);
    x64_rr(&c->a, rule->x, r, VEC_SCRATCH);
    x64_rr(&c->a, X64_TEST64, r, r);
    x64_jcc(&c->a, CC_S, outside);
    x64_mov_imm64(&c->a, SCRATCH, (uint64_t)1 << 63);
    x64_rr(&c->a, X64_XOR64, r, SCRATCH);
    x64_jmp(&c->a, done);
    asm_bind(&c->a, outside);
}

/* flag: the result is signed. */
void emit_trunc_sat(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    Reg x = use(c, &a);
    Result r = result_reg(c, rule->out, NULL);
    if (rule->flag) {
        saturate_signed(c, rule, r.reg, x);
    } else if (rule->out == T_I32) {
        saturate_u32(c, rule, r.reg, x);
    } else {
        Label done = asm_label(&c->a);
        truncate_u64(c, rule, r.reg, x, done);
        compare_with_zero(c, rule, x);
        x64_mov_imm64(&c->a, r.reg, 0);
        x64_mov_imm64(&c->a, SCRATCH, UINT64_MAX);
        x64_cmov64(&c->a, CC_A, r.reg, SCRATCH);
        asm_bind(&c->a, done);
    }
    release(c, &a);
    result_done(c, r);
}

void emit_trunc_u64(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    Reg x = use(c, &a);
    Result r = result_reg(c, T_I64, NULL);
    Label done = asm_label(&c->a);
    truncate_u64(c, rule, r.reg, x, done);
    x64_rr(&c->a, is_double(rule) ? X64_UCOMISD : X64_UCOMISS, x, x);
    trap_if(c, CC_P, ERR_CONVERSION);
    trap_now(c, ERR_OVERFLOW);
    asm_bind(&c->a, done);
    release(c, &a);
    result_done(c, r);
}

/* ---- counts of bits without their instructions */

/* By a scan, from above or from below; 0 is as a bit aside of all. */
static void scan_bits(Compiler *c, const Rule *rule, X64Op op, bool above)
{
    Operand a = pop(c);
    Reg ra = use(c, &a);
    Result r = result_reg(c, rule->out, &a);
    unsigned bits = rule->out == T_I64 ? 64 : 32;
    x64_rr(&c->a, op, r.reg, ra);
    x64_mov_imm64(&c->a, SCRATCH, above ? 2 * bits - 1 : bits);
    x64_cmov32(&c->a, CC_E, r.reg, SCRATCH);
    if (above)
        x64_ri(&c->a, X64_XOR32, r.reg, (int32_t)bits - 1);
    release(c, &a);
    result_done(c, r);
}

/* Sums of ever wider fields of bits, in 64; Hacker's Delight, 5-1. */
static void sum_bits(Compiler *c, const Rule *rule)
{
    Mem ones = asm_const64(&c->a, 0x5555555555555555);
    Mem twos = asm_const64(&c->a, 0x3333333333333333);
    Mem fours = asm_const64(&c->a, 0x0f0f0f0f0f0f0f0f);
    Mem eights = asm_const64(&c->a, 0x0101010101010101);
    Operand a = pop(c);
    Result r = result_reg(c, rule->out, &a);
    load_into(c, &a, r.reg);
    x64_rr(&c->a, X64_MOV64, SCRATCH, r.reg);
    x64_ri(&c->a, X64_SHR64, SCRATCH, 1);
    x64_rm(&c->a, X64_AND64, SCRATCH, ones);
    x64_rr(&c->a, X64_SUB64, r.reg, SCRATCH);
    x64_rr(&c->a, X64_MOV64, SCRATCH, r.reg);
    x64_ri(&c->a, X64_SHR64, SCRATCH, 2);
    x64_rm(&c->a, X64_AND64, SCRATCH, twos);
    x64_rm(&c->a, X64_AND64, r.reg, twos);
    x64_rr(&c->a, X64_ADD64, r.reg, SCRATCH);
    x64_rr(&c->a, X64_MOV64, SCRATCH, r.reg);
    x64_ri(&c->a, X64_SHR64, SCRATCH, 4);
    x64_rr(&c->a, X64_ADD64, r.reg, SCRATCH);
    x64_rm(&c->a, X64_AND64, r.reg, fours);
    x64_rm(&c->a, X64_IMUL64, r.reg, eights);
    x64_ri(&c->a, X64_SHR64, r.reg, 56);
    x64_rr(&c->a, X64_MOV32, r.reg, r.reg);
    release(c, &a);
    result_done(c, r);
}

void emit_count_bits(Compiler *c, const Rule *rule)
{
    switch (rule->x) {
    case X64_LZCNT32: scan_bits(c, rule, X64_BSR32, true); break;
    case X64_LZCNT64: scan_bits(c, rule, X64_BSR64, true); break;
    case X64_TZCNT32: scan_bits(c, rule, X64_BSF32, false); break;
    case X64_TZCNT64: scan_bits(c, rule, X64_BSF64, false); break;
    default: sum_bits(c, rule); break;
    }
}

/* ---- wide arithmetic */

static bool fits_imm(const Operand *o)
{
    return o->place == AT_CONST
           && (uint64_t)(int64_t)(int32_t)o->value == o->value;
}

static void load_source(Compiler *c, Operand *o)
{
    if (!fits_imm(o) && !is_memory(c, o))
        use(c, o);
}

static void apply(Compiler *c, unsigned op, Reg r, Operand *o)
{
    if (o->place == AT_CONST)
        x64_ri(&c->a, (X64Op)op, r, (int32_t)o->value);
    else if (is_memory(c, o))
        x64_rm(&c->a, (X64Op)op, r, memory_of(c, o));
    else
        x64_rr(&c->a, (X64Op)op, r, use(c, o));
}

/* x: on the low halves; y: on the high halves, with the carry. */
void emit_wide_add(Compiler *c, const Rule *rule)
{
    Operand high = pop(c), low = pop(c), a_high = pop(c), a_low = pop(c);
    load_source(c, &low);
    load_source(c, &high);
    Reg r_low = own(c, &a_low), r_high = own(c, &a_high);
    apply(c, rule->x, r_low, &low);
    apply(c, rule->y, r_high, &high);
    release(c, &low);
    release(c, &high);
    push_reg(c, T_I64, r_low);
    push_reg(c, T_I64, r_high);
}

/* x: rdx:rax = rax times it. */
void emit_wide_mul(Compiler *c, const Rule *rule)
{
    Operand b = pop(c), a = pop(c);
    load_into(c, &b, SCRATCH);
    release(c, &b);
    if (a.place != AT_REG || a.reg != RAX) {
        take_int(c, RAX);
        load_into(c, &a, RAX);
        release(c, &a);
    }
    take_int(c, RDX);
    x64_r(&c->a, rule->x, SCRATCH);
    push_reg(c, T_I64, RAX);
    push_reg(c, T_I64, RDX);
}

/* ---- memory.size */

void emit_memory_size(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t index = reader_u32(&c->r);
    const MemoryType *type = &c->m->memories[index];
    Result r = result_reg(c, type->limits.is64 ? T_I64 : T_I32, NULL);
    load_memory_data(c, index, r.reg);
    x64_rm(&c->a, X64_MOV64, r.reg, FIELD(r.reg, MemoryData, size));
    if (type->page_log2)
        x64_ri(&c->a, X64_SHR64, r.reg, type->page_log2);
    if (!type->limits.is64)
        x64_rr(&c->a, X64_MOV32, r.reg, r.reg);
    result_done(c, r);
}
