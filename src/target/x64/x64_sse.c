/* Three operands where the processor has two: dst = op(src1, src2) is
 *
 *   dst is src1                   op dst, src2
 *   dst is neither                mov dst, src1;     op dst, src2
 *   dst is src2, op commutes      op dst, src1
 *   dst is src2                   mov scratch, src2; mov dst, src1;
 *                                 op dst, scratch
 *   the same, src1 is scratch     op scratch, dst;   mov dst, scratch
 */
#include "target/x64/x64_row.h"

static void move(Assembler *a, Reg dst, Reg src)
{
    if (dst != src)
        x64_rr(a, X64_MOVAPS, dst, src);
}

/* What is left to do is op `dst`, `src`. */
typedef struct {
    Reg dst, src;
} Pair;

/* dst is src2, and src1 another. */
static Pair arrange_swapped(Assembler *a, const X64Row *row, Reg dst, Reg src1)
{
    if (row->commutes)
        return (Pair){dst, src1};
    assert(dst != a->scratch);
    if (src1 == a->scratch)
        return (Pair){src1, dst};
    move(a, a->scratch, dst);
    move(a, dst, src1);
    return (Pair){dst, a->scratch};
}

static Pair arrange(Assembler *a, const X64Row *row, Reg dst, Reg src1,
                    Reg src2)
{
    if (dst == src2 && dst != src1 && row->rm_xmm)
        return arrange_swapped(a, row, dst, src1);
    move(a, dst, src1);
    return (Pair){dst, src2};
}

/* The second source is in memory: true if it is now in the scratch register,
 * with *src1 moved out of its way. */
static bool fetch(Assembler *a, const X64Row *row, Reg dst, Reg *src1, Mem m)
{
    if (!row->aligned_load || m.kind == MEM_RIP)
        return false;
    if (*src1 == a->scratch) {
        assert(dst != a->scratch);
        move(a, dst, *src1);
        *src1 = dst;
    }
    x64_rm(a, X64_MOVUPS, a->scratch, m);
    return true;
}

void x64_sse(Assembler *a, X64Op op, Reg dst, Reg src1, Reg src2)
{
    const X64Row *row = x64_row(a, op);
    if (!row->three) {
        x64_rr(a, op, dst, src2);
    } else if (x64_uses_vex(a, row)) {
        /* A low register in ModRM.rm takes the shorter prefix. */
        bool swap = row->commutes && src2 >= 8 && src1 < 8;
        x64_rvr(a, op, dst, swap ? src2 : src1, swap ? src1 : src2);
    } else {
        Pair p = arrange(a, row, dst, src1, src2);
        x64_rr(a, op, p.dst, p.src);
        move(a, dst, p.dst);
    }
}

void x64_sse_i(Assembler *a, X64Op op, Reg dst, Reg src1, Reg src2, uint8_t imm)
{
    const X64Row *row = x64_row(a, op);
    if (!row->three) {
        x64_rri(a, op, dst, src2, imm);
    } else if (x64_uses_vex(a, row)) {
        x64_rvri(a, op, dst, src1, src2, imm);
    } else {
        Pair p = arrange(a, row, dst, src1, src2);
        x64_rri(a, op, p.dst, p.src, imm);
        move(a, dst, p.dst);
    }
}

void x64_sse_m(Assembler *a, X64Op op, Reg dst, Reg src1, Mem src2)
{
    const X64Row *row = x64_row(a, op);
    if (!row->v_in_memory) {
        x64_rm(a, op, dst, src2);
    } else if (x64_uses_vex(a, row)) {
        x64_rvm(a, op, dst, src1, src2);
    } else if (fetch(a, row, dst, &src1, src2)) {
        x64_sse(a, op, dst, src1, a->scratch);
    } else {
        move(a, dst, src1);
        x64_rm(a, op, dst, src2);
    }
}

void x64_sse_mi(Assembler *a, X64Op op, Reg dst, Reg src1, Mem src2,
                uint8_t imm)
{
    const X64Row *row = x64_row(a, op);
    if (!row->v_in_memory) {
        x64_rmi(a, op, dst, src2, imm);
    } else if (x64_uses_vex(a, row)) {
        x64_rvmi(a, op, dst, src1, src2, imm);
    } else if (fetch(a, row, dst, &src1, src2)) {
        x64_sse_i(a, op, dst, src1, a->scratch, imm);
    } else {
        move(a, dst, src1);
        x64_rmi(a, op, dst, src2, imm);
    }
}
