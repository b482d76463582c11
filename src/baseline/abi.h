/* abi.h - how compiled functions pass values.
 *
 *   arguments   rdi rsi rdx rcx r8 r9 rax r10; xmm0 to xmm7; then the stack,
 *               8 bytes each (v128 16), popped by the callee
 *   results     rax rdx rcx rsi rdi; xmm0 to xmm6; then an area whose address
 *               the caller passes behind the last argument
 *   kept        rbx r12 r13 rbp rsp; r14 (instance) and r15 (base of memory
 *               0) belong to the instance and are the caller's to restore
 *   r11         the FuncRef, where a call goes through one; else scratch
 */
#ifndef CHI_BASELINE_ABI_H
#define CHI_BASELINE_ABI_H

#include "target/x64/asm.h"
#include "wasm/types.h"

typedef enum { IN_INT, IN_VEC, IN_MEMORY } AbiPlace;

typedef struct {
    uint8_t place; /* AbiPlace */
    Reg reg;
    uint32_t offset; /* IN_MEMORY: bytes from the first */
} AbiLoc;

typedef struct {
    uint32_t ints, vecs, bytes;
} AbiCursor;

static inline AbiLoc abi_in_memory(AbiCursor *k, Type t)
{
    AbiLoc l = {IN_MEMORY, 0, k->bytes};
    k->bytes += t == T_V128 ? 16 : 8;
    return l;
}

static inline AbiLoc abi_param(AbiCursor *k, Type t)
{
    static const Reg regs[] = {RDI, RSI, RDX, RCX, R8, R9, RAX, R10};
    if (t == T_F32 || t == T_F64 || t == T_V128) {
        if (k->vecs < 8)
            return (AbiLoc){IN_VEC, (Reg)k->vecs++, 0};
    } else if (k->ints < 8) {
        return (AbiLoc){IN_INT, regs[k->ints++], 0};
    }
    return abi_in_memory(k, t);
}

static inline AbiLoc abi_result(AbiCursor *k, Type t)
{
    static const Reg regs[] = {RAX, RDX, RCX, RSI, RDI};
    if (t == T_F32 || t == T_F64 || t == T_V128) {
        if (k->vecs < 7)
            return (AbiLoc){IN_VEC, (Reg)k->vecs++, 0};
    } else if (k->ints < 5) {
        return (AbiLoc){IN_INT, regs[k->ints++], 0};
    }
    return abi_in_memory(k, t);
}

/* Bytes of a signature's stack arguments (a multiple of 16) and of its result
 * area (0: all results are in registers). */
typedef struct {
    uint32_t args, results;
    AbiLoc area; /* where the area's address is passed, if there is one */
    uint16_t i32_args, i32_results; /* the registers that pass an i32 */
} AbiSize;
AbiSize abi_size(const FuncType *t);

#endif
