/* x64.h - x86-64 registers, operands and instructions by name.
 *
 * One row of x64.def is one instruction and one X64Op; asm.h emits them.
 */
#ifndef CHI_TARGET_X64_X64_H
#define CHI_TARGET_X64_X64_H

#include <stdbool.h>
#include <stdint.h>

/* A general register or an xmm register; the instruction says which. */
typedef uint8_t Reg;
/* clang-format off */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
       R8, R9, R10, R11, R12, R13, R14, R15 };
enum { XMM0, XMM1, XMM2, XMM3, XMM4, XMM5, XMM6, XMM7,
       XMM8, XMM9, XMM10, XMM11, XMM12, XMM13, XMM14, XMM15 };
#define NO_REG 0xff

/* Conditions, by the processor's numbers; cond ^ 1 is the opposite. */
typedef enum {
    CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A,
    CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G,
} Cond;
/* clang-format on */

/* A place in the code, known or to come; asm_label makes one. */
typedef uint32_t Label;

/* [base + index << scale + disp], or [rip + a label] with the label in disp.
 * Base and index may each be NO_REG; the index is never RSP.  MEM_GUEST: of a
 * guarded memory, see guard.h. */
typedef enum { MEM_PLAIN, MEM_RIP, MEM_GUEST /* bit 1 */ } MemKind;
typedef struct {
    Reg base, index;
    uint8_t scale; /* log2 */
    uint8_t kind;  /* MemKind */
    int32_t disp;
} Mem;

static inline Mem mem(Reg base, int32_t disp)
{
    return (Mem){.base = base, .index = NO_REG, .disp = disp};
}

static inline Mem mem_index(Reg base, Reg index, unsigned scale_log2,
                            int32_t disp)
{
    return (Mem){base, index, (uint8_t)scale_log2, MEM_PLAIN, disp};
}

static inline Mem mem_label(Label label)
{
    return (Mem){NO_REG, NO_REG, 0, MEM_RIP, (int32_t)label};
}

static inline Mem mem_guest(Reg base, Reg index, int32_t disp)
{
    return (Mem){base, index, 0, MEM_GUEST, disp};
}

/* clang-format off */
typedef enum {
#define X64(name, text, prefix, map, opcode, digit, w, reg, rm, form, vex, cpu) X64_##name,
#include "target/x64/x64.def"
#undef X64
    X64_COUNT
} X64Op;
/* clang-format on */

#endif
