/* simd.h - what the files of vector instructions share.  Internal to baseline/.
 *
 * An instruction that is one of the processor's is emitted by emit_vec_bin or
 * emit_vec_un; others are sequences, functions of registers.  What a processor
 * cannot do in a few instructions is left to the interpreter's step.
 */
#ifndef CHI_BASELINE_SIMD_H
#define CHI_BASELINE_SIMD_H

#include "baseline/compiler.h"

/* Rule.flag of vector instructions. */
enum {
    VEC_SWAPPED = 1,  /* x(b, a) */
    VEC_COMMUTES = 2, /* x(a, b) is x(b, a) */
    VEC_INVERTED = 4, /* every bit of the result */
    VEC_HIGH = 8,     /* the upper half of the lanes */
    VEC_SIGNED = 16
};

/* Operands of a sequence, in registers: dst may be a, but not b nor d; xmm7
 * is free. */
typedef struct {
    const Rule *rule;
    Reg dst, a, b, d;
} Vec;
typedef void Sequence(Compiler *c, Vec v);

/* Pops rule->operands operands and pushes what the sequence makes of them;
 * a step if the processor lacks rule->x. */
void simd_sequence(Compiler *c, const Rule *rule, Sequence *fn);

#define SEQUENCE(name)                                                         \
    void emit_v_##name(Compiler *c, const Rule *rule)                          \
    {                                                                          \
        simd_sequence(c, rule, name);                                          \
    }

/* Where an instruction of several steps puts its result: as result_reg, but
 * neither r1 nor r2, which it still reads. */
Result result_apart(Compiler *c, const Operand *reuse, Reg r1, Reg r2);

/* Half of the lanes of a, each of double the width; y: the unpacking. */
void simd_extend(Compiler *c, Reg dst, Reg a, const Rule *rule);

/* ---- shorthands: dst = op(a, b) */
static inline void vop(Compiler *c, unsigned op, Reg dst, Reg a, Reg b)
{
    x64_sse(&c->a, (X64Op)op, dst, a, b);
}
static inline void vop_m(Compiler *c, unsigned op, Reg dst, Reg a, Mem m)
{
    x64_sse_m(&c->a, (X64Op)op, dst, a, m);
}
static inline void vop_i(Compiler *c, unsigned op, Reg dst, Reg a, Reg b,
                         unsigned imm)
{
    x64_sse_i(&c->a, (X64Op)op, dst, a, b, (uint8_t)imm);
}
static inline void vshift(Compiler *c, unsigned op, Reg dst, Reg a, unsigned n)
{
    x64_sse_shift(&c->a, (X64Op)op, dst, a, (uint8_t)n);
}
static inline void vzero(Compiler *c, Reg dst)
{
    x64_sse(&c->a, X64_PXOR, dst, dst, dst);
}
static inline void vones(Compiler *c, Reg dst)
{
    x64_sse(&c->a, X64_PCMPEQD, dst, dst, dst);
}

/* 16 bytes behind the code: equal lanes. */
static inline Mem vconst64(Compiler *c, uint64_t lane)
{
    uint64_t both[2] = {lane, lane};
    return asm_const(&c->a, both, 16);
}
static inline Mem vconst32(Compiler *c, uint32_t lane)
{
    return vconst64(c, lane * UINT64_C(0x100000001));
}
static inline Mem vconst16(Compiler *c, uint16_t lane)
{
    return vconst64(c, lane * UINT64_C(0x1000100010001));
}
static inline Mem vconst8(Compiler *c, uint8_t lane)
{
    return vconst64(c, lane * UINT64_C(0x101010101010101));
}

static inline bool has(const Compiler *c, uint32_t cpu)
{
    return (c->config->cpu & cpu) == cpu;
}

#endif
