/* Vector instructions on float lanes, and between floats and integers.
 *
 * rule->a is the type of the lanes.  The sequences are those of V8's
 * macro-assembler, but for the NaNs of min and max, which are those of a + b as
 * in base/eval.h.
 */
#include "baseline/simd.h"

#define T VEC_SCRATCH

enum { LESS_EQUAL = 2, UNORDERED = 3, EQUAL = 0 }; /* of cmpps */

static bool is_double(Vec v) { return v.rule->a == T_F64; }

/* Equal lanes, by the bits of a float or of a double. */
static Mem lanes(Compiler *c, Vec v, uint32_t single, uint64_t wide)
{
    return is_double(v) ? vconst64(c, wide) : vconst32(c, single);
}

static void load(Compiler *c, Reg dst, Mem m)
{
    x64_rm(&c->a, X64_MOVAPS, dst, m);
}

/* ---- signs */

static void float_abs(Compiler *c, Vec v)
{
    vop_m(c, X64_ANDPS, v.dst, v.a, lanes(c, v, INT32_MAX, INT64_MAX));
}
SEQUENCE(float_abs)

static void float_neg(Compiler *c, Vec v)
{
    vop_m(c, X64_XORPS, v.dst, v.a, lanes(c, v, 0x80000000, (uint64_t)1 << 63));
}
SEQUENCE(float_neg)

/* ---- minimum and maximum.  x is not symmetric in zeros and NaNs, so it is
 * done both ways; y joins what came out, which differs in zeros' signs. */

static void float_min_max(Compiler *c, Vec v)
{
    Reg t = alloc_vec(c);
    vop(c, v.rule->x, T, v.a, v.b);
    vop(c, v.rule->x, t, v.b, v.a);
    vop(c, v.rule->y, T, T, t);
    vop_i(c, is_double(v) ? X64_CMPPD : X64_CMPPS, t, v.a, v.b, UNORDERED);
    vop(c, is_double(v) ? X64_ADDPD : X64_ADDPS, v.dst, v.a, v.b);
    vop(c, X64_ANDPS, v.dst, v.dst, t);
    vop(c, X64_ANDNPS, t, t, T);
    vop(c, X64_ORPS, v.dst, v.dst, t);
    free_reg(c, T_V128, t);
}
SEQUENCE(float_min_max)

/* x: vfmadd213 or vfnmadd213, which is reg = vvvv * reg + rm. */
static void float_madd(Compiler *c, Vec v)
{
    move_reg(c, T_V128, v.dst, v.a);
    x64_rvr(&c->a, v.rule->x, v.dst, v.b, v.d);
}
SEQUENCE(float_madd)

/* ---- to integers.  The processor gives 0x80000000 for what it cannot
 * convert. */

/* NaN becomes 0; from 2^31 on all bits are flipped. */
static void trunc_s_f32(Compiler *c, Vec v)
{
    vop_i(c, X64_CMPPS, T, v.a, v.a, EQUAL);
    vop(c, X64_ANDPS, v.dst, v.a, T);
    load(c, T, vconst32(c, 0x4f000000));
    vop_i(c, X64_CMPPS, T, T, v.dst, LESS_EQUAL);
    vop(c, X64_CVTTPS2DQ, v.dst, v.dst, v.dst);
    vop(c, X64_PXOR, v.dst, v.dst, T);
}
SEQUENCE(trunc_s_f32)

/* NaN and what is negative become 0; what exceeds 2^31 is converted apart and
 * added to 0x80000000, and is 0x7fffffff from 2^32 on. */
static void trunc_u_f32(Compiler *c, Vec v)
{
    Reg above = alloc_vec(c);
    Mem limit = vconst32(c, 0x4f000000);
    vzero(c, T);
    vop(c, X64_MAXPS, v.dst, v.a, T);
    vop_m(c, X64_SUBPS, above, v.dst, limit);
    vop(c, X64_MAXPS, above, above, T);
    load(c, T, limit);
    vop_i(c, X64_CMPPS, T, T, above, LESS_EQUAL);
    vop(c, X64_CVTTPS2DQ, above, above, above);
    vop(c, X64_PXOR, above, above, T);
    vop(c, X64_CVTTPS2DQ, v.dst, v.dst, v.dst);
    vop(c, X64_PADDD, v.dst, v.dst, above);
    free_reg(c, T_V128, above);
}
SEQUENCE(trunc_u_f32)

/* The lesser of a and 2^31 - 1, or for NaN of NaN and 0, which is 0. */
static void trunc_s_f64(Compiler *c, Vec v)
{
    vop_i(c, X64_CMPPD, T, v.a, v.a, EQUAL);
    vop_m(c, X64_ANDPS, T, T, vconst64(c, 0x41dfffffffc00000));
    vop(c, X64_MINPD, v.dst, v.a, T);
    vop(c, X64_CVTTPD2DQ, v.dst, v.dst, v.dst);
}
SEQUENCE(trunc_s_f64)

/* As trunc_u_f32, but for the limit of 2^32 - 1, which a double can be. */
static void trunc_u_f64(Compiler *c, Vec v)
{
    Reg above = alloc_vec(c);
    vzero(c, T);
    vop(c, X64_MAXPD, v.dst, v.a, T);
    vop_m(c, X64_MINPD, v.dst, v.dst, vconst64(c, 0x41efffffffe00000));
    vop_m(c, X64_SUBPD, above, v.dst, vconst64(c, 0x41e0000000000000));
    vop(c, X64_MAXPD, above, above, T);
    vop(c, X64_CVTTPD2DQ, above, above, above);
    vop(c, X64_CVTTPD2DQ, v.dst, v.dst, v.dst);
    vop(c, X64_PADDD, v.dst, v.dst, above);
    free_reg(c, T_V128, above);
}
SEQUENCE(trunc_u_f64)

/* ---- from integers */

/* The lower 16 bits and half of the rest convert without rounding; their sum
 * rounds once. */
static void convert_u_f32(Compiler *c, Vec v)
{
    vop_m(c, X64_PAND, T, v.a, vconst32(c, 0xffff));
    vop(c, X64_PSUBD, v.dst, v.a, T);
    vshift(c, X64_PSRLD_I, v.dst, v.dst, 1);
    vop(c, X64_CVTDQ2PS, T, T, T);
    vop(c, X64_CVTDQ2PS, v.dst, v.dst, v.dst);
    vop(c, X64_ADDPS, v.dst, v.dst, v.dst);
    vop(c, X64_ADDPS, v.dst, v.dst, T);
}
SEQUENCE(convert_u_f32)

/* As the fraction of 2^52 plus it. */
static void convert_u_f64(Compiler *c, Vec v)
{
    vop_m(c, X64_PUNPCKLDQ, v.dst, v.a, vconst32(c, 0x43300000));
    vop_m(c, X64_SUBPD, v.dst, v.dst, vconst64(c, 0x4330000000000000));
}
SEQUENCE(convert_u_f64)
