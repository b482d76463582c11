/* x64_row.h - x64.def as data, and the buffer's room: for the assembler only.
 */
#ifndef CHI_TARGET_X64_X64_ROW_H
#define CHI_TARGET_X64_X64_ROW_H

#include <assert.h>
#include <string.h>

#include "target/x64/asm.h"

/* clang-format off */
typedef enum {
    FORM_RR, FORM_ALU, FORM_MOV, FORM_TEST, FORM_IMUL, FORM_BT, FORM_VR,
    FORM_TWO_LAST = FORM_VR, /* up to here: x64_rr and x64_rm */
    FORM_RRI, FORM_R, FORM_SHIFT, FORM_PUSH, FORM_XI,
} X64Form;
/* What the guard wants to know besides: registers that are written too, lea of
 * 64 bits, bits by register, calls and the like. */
typedef enum {
    ALSO_NOTHING, ALSO_RAX, ALSO_RAX_RDX, ALSO_V, ALSO_ADDRESS, ALSO_BITS,
    ALSO_LEAVES,
} X64Also;
/* clang-format on */

typedef struct {
    uint32_t head;       /* the bytes before ModRM but prefixes, and */
    uint8_t head_length; /* how many */
    uint8_t opcode, digit;
    uint8_t prefix_length;
    uint16_t prefix; /* lock and 66, or one of 66 f2 f3 */
    uint8_t w;       /* REX.W in its place: 8 or 0 */
    uint8_t form;
    /* 4 if the operand is a byte register: spl to dil need a REX. */
    uint8_t reg8, rm8;
    uint8_t vex_map, vex_pp;
    /* 15 if the two-operand functions take VEX.vvvv from reg. */
    uint8_t v_in_register, v_in_memory;
    uint8_t imm_size;            /* of the immediate forms: 1, 2 or 4 */
    bool sse;                    /* may become VEX, or has an xmm operand */
    bool commutes;               /* the sources may be exchanged */
    bool three;                  /* reg is the first source too */
    bool rm_xmm;                 /* src2 is an xmm register */
    bool aligned_load;           /* without VEX, rm is 16 aligned bytes */
    uint8_t reg_write, rm_write; /* GuardWrite to the register that it is */
    uint8_t also;                /* X64Also */
    bool moves64;                /* mov of 64 bits */
    uint16_t vex_if;             /* VEX where cpu | CPU_ALWAYS has it */
    uint16_t cpu;                /* what the processor must have */
} X64Row;

extern const X64Row x64_rows[X64_COUNT];

#define CPU_ALWAYS 0x8000

static inline const X64Row *x64_row(const Assembler *a, X64Op op)
{
    const X64Row *row = &x64_rows[op];
    assert((row->cpu & ~a->cpu) == 0);
    (void)a;
    return row;
}

static inline bool x64_uses_vex(const Assembler *a, const X64Row *row)
{
    return row->vex_if & (a->cpu | CPU_ALWAYS);
}

/* What stays free behind `end`: an instruction, and the widest store. */
#define ASM_SLACK 32

void asm_grow(Assembler *a, uint32_t size);

/* n bytes at a->at are written; there is room for the next instruction.  The
 * growth comes last, so that no function has to save registers for it. */
static inline void asm_advance(Assembler *a, size_t n)
{
    a->at += n;
    if (__builtin_expect(a->at >= a->end, 0))
        asm_grow(a, 1);
}

/* The 4 bytes at p, which `tail` bytes of immediate follow, become the
 * distance to the label, now or at asm_bind. */
void asm_refer(Assembler *a, uint8_t *p, Label l, unsigned tail);

static inline void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void put64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

static inline bool fits8(int64_t v) { return v == (int8_t)v; }

#endif
