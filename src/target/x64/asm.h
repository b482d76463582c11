/* asm.h - the x86-64 assembler: instructions into a growing buffer.
 *
 * One call emits one instruction (few, where the name says so).  Failure is
 * sticky: when memory runs out, `failed` is set, everything may still be
 * called, and asm_finish returns false.  Code is position-independent and
 * must be placed at a multiple of 16.  An Assembler belongs to one thread and
 * must not be moved.  Knows no WebAssembly.
 *
 * SSE rows become VEX where `cpu` has AVX.  `scratch` (xmm7 unless changed)
 * may be overwritten by every function that takes an xmm register; passing it
 * as an operand is allowed where no second scratch would be needed (asserted).
 * In front of SSE rows without AVX, 16-byte operands in memory are loaded with
 * movups, so that no access needs an alignment; constants of the pool are
 * taken directly.
 */
#ifndef CHI_TARGET_X64_ASM_H
#define CHI_TARGET_X64_ASM_H

#include "target/x64/cpu.h"
#include "target/x64/guard.h"

typedef struct {
    uint32_t place; /* the position, or the chain of its uses */
    Facts facts;    /* bound: what holds behind it; else at all uses so far */
} AsmLabel;
typedef struct AsmConstant AsmConstant;
typedef struct AsmOffset AsmOffset;

typedef struct Assembler {
    uint8_t *start, *at, *end; /* at < end: an instruction has room */
    bool failed;
    Reg scratch;  /* xmm */
    uint32_t cpu; /* CPU_* */
    Guard guard;  /* of what was emitted since asm_reset, if it began */

    AsmLabel *labels;
    uint32_t label_count, label_capacity;
    AsmConstant *constants;
    uint32_t constant_count, constant_capacity;
    AsmOffset *offsets;
    uint32_t offset_count, offset_capacity;

    uint32_t constant_head[64]; /* by hash: index + 1, or 0 */
    AsmLabel first_labels[32];
    uint8_t spare[64]; /* the buffer at first, and after a failure */
} Assembler;

void asm_init(Assembler *a, uint32_t cpu);
void asm_reset(Assembler *a); /* empty; keeps the buffers, cpu and scratch */
void asm_free(Assembler *a);
/* Places the constants behind the code and patches all uses; every label that
 * was used must be bound.  false: memory ran out, or the guard refuses. */
bool asm_finish(Assembler *a);

/* ---- places ---- */
static inline uint32_t asm_pos(const Assembler *a) /* bytes so far */
{
    return (uint32_t)(a->at - a->start);
}
Label asm_label(Assembler *a);
void asm_bind(Assembler *a, Label l); /* here; once */
bool asm_is_bound(const Assembler *a, Label l);
uint32_t asm_label_pos(const Assembler *a, Label l); /* of a bound label */
uint32_t asm_enter(Assembler *a); /* a landing, entered from outside: here */

/* ---- data ---- */
/* A constant of 4, 8 or 16 bytes, aligned, behind the code; shared with an
 * equal one, unless there are very many. */
Mem asm_const(Assembler *a, const void *bytes, unsigned n);
Mem asm_const32(Assembler *a, uint32_t value);
Mem asm_const64(Assembler *a, uint64_t value);
void asm_align(Assembler *a, unsigned n); /* with nops; n <= 64, of 2 */
void asm_bytes(Assembler *a, const void *bytes, uint32_t n);
/* Four bytes: the distance to - from, for the table of the last jump. */
void asm_offset32(Assembler *a, Label to, Label from);

/* ---- jumps.  Backward the short form where it fits, forward rel32. ---- */
void x64_jmp(Assembler *a, Label l);
void x64_jcc(Assembler *a, Cond cc, Label l);
void x64_call_label(Assembler *a, Label l);
void x64_lea_label(Assembler *a, Reg reg, Label l);
/* A forward jump of at most 127 bytes; x64_land ends it. */
uint32_t x64_jmp_short(Assembler *a);
uint32_t x64_jcc_short(Assembler *a, Cond cc);
void x64_land(Assembler *a, uint32_t jump);

/* ---- rows of x64.def.  `reg` and `rm` are the ModRM fields: reg is the
 * destination but in rows that store (_ST, _MR, PEXTR*).  A row of three
 * operands (ADDSD ...) takes reg as its first source too.  The functions that
 * a row may be used with follow from its FORM. ---- */
bool x64_has(const Assembler *a, X64Op op); /* `cpu` does */
void x64_rr(Assembler *a, X64Op op, Reg reg, Reg rm);
void x64_rm(Assembler *a, X64Op op, Reg reg, Mem m);
/* Arithmetic (8 bits where they suffice), mov, test, shifts, bt, imul.  Into
 * 64 bits the immediate is sign-extended; mov may take the shorter form. */
void x64_ri(Assembler *a, X64Op op, Reg rm, int32_t imm);
void x64_mi(Assembler *a, X64Op op, Mem m, int32_t imm);
/* One operand: neg, div, inc, shifts by cl, indirect jumps, push ... */
void x64_r(Assembler *a, X64Op op, Reg rm);
void x64_m(Assembler *a, X64Op op, Mem m);
void x64_rri(Assembler *a, X64Op op, Reg reg, Reg rm, int32_t imm);
void x64_rmi(Assembler *a, X64Op op, Reg reg, Mem m, int32_t imm);

/* VEX rows as they are: reg, VEX.vvvv, rm.  In shlx, shrx, sarx, bzhi v is
 * the count; in mulx the low half; in vfmadd231 reg is the addend. */
void x64_rvr(Assembler *a, X64Op op, Reg reg, Reg v, Reg rm);
void x64_rvm(Assembler *a, X64Op op, Reg reg, Reg v, Mem m);
void x64_rvri(Assembler *a, X64Op op, Reg reg, Reg v, Reg rm, uint8_t imm);
void x64_rvmi(Assembler *a, X64Op op, Reg reg, Reg v, Mem m, uint8_t imm);

/* dst = op(src1, src2) for any registers: the VEX form, or op with the moves
 * that it takes.  src2 may be a general register where the row says so.  For
 * rows of one source that keep part of dst (sqrtsd, cvtsi2sd, ...), src1 is
 * what is kept.  In vpblendvb and the like imm is the mask register << 4. */
void x64_sse(Assembler *a, X64Op op, Reg dst, Reg src1, Reg src2);
void x64_sse_m(Assembler *a, X64Op op, Reg dst, Reg src1, Mem src2);
void x64_sse_i(Assembler *a, X64Op op, Reg dst, Reg src1, Reg src2,
               uint8_t imm);
void x64_sse_mi(Assembler *a, X64Op op, Reg dst, Reg src1, Mem src2,
                uint8_t imm);
/* dst = src shifted by imm: the rows X64_PSLLW_I ... */
void x64_sse_shift(Assembler *a, X64Op op, Reg dst, Reg src, uint8_t imm);

/* ---- without a row ---- */
/* The shortest mov; flags stay. */
void x64_mov_imm64(Assembler *a, Reg reg, uint64_t imm);
void x64_setcc(Assembler *a, Cond cc, Reg reg);
void x64_cmov32(Assembler *a, Cond cc, Reg dst, Reg src);
void x64_cmov64(Assembler *a, Cond cc, Reg dst, Reg src);
void x64_cmov32_m(Assembler *a, Cond cc, Reg dst, Mem src);
void x64_cmov64_m(Assembler *a, Cond cc, Reg dst, Mem src);
void x64_ret(Assembler *a);
void x64_ret_n(Assembler *a, unsigned bytes);
void x64_cdq(Assembler *a);
void x64_cqo(Assembler *a);
void x64_rep_stosq(Assembler *a); /* rcx words of rax to [rdi] */
void x64_ud2(Assembler *a);
void x64_int3(Assembler *a);
void x64_pause(Assembler *a);
void x64_mfence(Assembler *a);
void x64_lfence(Assembler *a);
void x64_vzeroupper(Assembler *a);
void x64_nop(Assembler *a, unsigned bytes); /* in the longest forms */

#endif
