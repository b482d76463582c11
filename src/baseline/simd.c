/* Vector instructions on whole vectors and on integer lanes. */
#include "baseline/simd.h"

#define T VEC_SCRATCH

/* ---- operands and results */

Result result_apart(Compiler *c, const Operand *reuse, Reg r1, Reg r2)
{
    Result r = result_reg(c, T_V128, reuse);
    if (r.local == NO_LOCAL || (r.reg != r1 && r.reg != r2))
        return r;
    Reg reg = reuse->place == AT_REG ? reuse->reg : alloc_vec(c);
    return (Result){reg, T_V128, NO_LOCAL, false};
}

static void swap(Operand *a, Operand *b)
{
    Operand t = *a;
    *a = *b;
    *b = t;
}

static void invert(Compiler *c, Reg r)
{
    vones(c, T);
    vop(c, X64_PXOR, r, r, T);
}

static void sequence(Compiler *c, const Rule *rule, Sequence *fn)
{
    Operand o[3];
    unsigned n = rule->operands;
    Reg r[3] = {NO_REG, NO_REG, NO_REG};
    for (unsigned k = n; k-- > 0;)
        o[k] = pop(c);
    if (rule->flag & VEC_SWAPPED)
        swap(&o[0], &o[1]);
    for (unsigned k = 0; k < n; k++)
        r[k] = use(c, &o[k]);
    Result result = result_apart(c, &o[0], r[1], r[2]);
    fn(c, (Vec){rule, result.reg, r[0], r[1], r[2]});
    if (rule->flag & VEC_INVERTED)
        invert(c, result.reg);
    for (unsigned k = 0; k < n; k++)
        release(c, &o[k]);
    result_done(c, result);
}

void simd_sequence(Compiler *c, const Rule *rule, Sequence *fn)
{
    if (x64_has(&c->a, rule->x))
        sequence(c, rule, fn);
    else
        emit_step(c, rule);
}

/* ---- in place of single instructions that a processor lacks */

/* Of a and -a the one that is smaller without signs. */
static void abs8(Compiler *c, Vec v)
{
    vzero(c, T);
    vop(c, X64_PSUBB, T, T, v.a);
    vop(c, X64_PMINUB, v.dst, v.a, T);
}

static void abs16(Compiler *c, Vec v)
{
    vzero(c, T);
    vop(c, X64_PSUBW, T, T, v.a);
    vop(c, X64_PMAXSW, v.dst, v.a, T);
}

static void abs32(Compiler *c, Vec v)
{
    vshift(c, X64_PSRAD_I, T, v.a, 31);
    vop(c, X64_PXOR, v.dst, v.a, T);
    vop(c, X64_PSUBD, v.dst, v.dst, T);
}

static void eq64(Compiler *c, Vec v)
{
    vop(c, X64_PCMPEQD, v.dst, v.a, v.b);
    vop_i(c, X64_PSHUFD, T, v.dst, v.dst, 0xb1);
    vop(c, X64_PAND, v.dst, v.dst, T);
}

/* By the upper halves, or if they are equal by the borrow of b - a. */
static void gt64(Compiler *c, Vec v)
{
    Reg t = alloc_vec(c);
    vop(c, X64_PCMPEQD, T, v.a, v.b);
    vop(c, X64_PSUBQ, t, v.b, v.a);
    vop(c, X64_PAND, T, T, t);
    vop(c, X64_PCMPGTD, v.dst, v.a, v.b);
    vop(c, X64_POR, v.dst, v.dst, T);
    vop_i(c, X64_PSHUFD, v.dst, v.dst, v.dst, 0xf5);
    free_reg(c, T_V128, t);
}

static void mul32(Compiler *c, Vec v)
{
    Reg t = alloc_vec(c);
    vop_i(c, X64_PSHUFD, T, v.a, v.a, 0xf5);
    vop_i(c, X64_PSHUFD, t, v.b, v.b, 0xf5);
    vop(c, X64_PMULUDQ, T, T, t);
    vop(c, X64_PMULUDQ, v.dst, v.a, v.b);
    vop_i(c, X64_PSHUFD, v.dst, v.dst, v.dst, 0x08);
    vop_i(c, X64_PSHUFD, T, T, T, 0x08);
    vop(c, X64_PUNPCKLDQ, v.dst, v.dst, T);
    free_reg(c, T_V128, t);
}

/* dst = T ? a : b, lane by lane */
static void choose(Compiler *c, Vec v)
{
    vop(c, X64_PXOR, v.dst, v.a, v.b);
    vop(c, X64_PAND, v.dst, v.dst, T);
    vop(c, X64_PXOR, v.dst, v.dst, v.b);
}

static void max_s8(Compiler *c, Vec v)
{
    vop(c, X64_PCMPGTB, T, v.a, v.b);
    choose(c, v);
}

static void min_s8(Compiler *c, Vec v)
{
    vop(c, X64_PCMPGTB, T, v.b, v.a);
    choose(c, v);
}

static void max_s32(Compiler *c, Vec v)
{
    vop(c, X64_PCMPGTD, T, v.a, v.b);
    choose(c, v);
}

static void min_s32(Compiler *c, Vec v)
{
    vop(c, X64_PCMPGTD, T, v.b, v.a);
    choose(c, v);
}

/* The difference a - b, or 0, tells them apart. */
static void max_u16(Compiler *c, Vec v)
{
    vop(c, X64_PSUBUSW, v.dst, v.a, v.b);
    vop(c, X64_PADDW, v.dst, v.dst, v.b);
}

static void min_u16(Compiler *c, Vec v)
{
    vop(c, X64_PSUBUSW, T, v.a, v.b);
    vop(c, X64_PSUBW, v.dst, v.a, T);
}

void simd_extend(Compiler *c, Reg dst, Reg a, const Rule *rule)
{
    unsigned op = rule->y;
    bool bytes = op == X64_PUNPCKLBW || op == X64_PUNPCKHBW;
    if (!(rule->flag & VEC_SIGNED)) {
        vzero(c, T);
        vop(c, op, dst, a, T);
    } else if (op == X64_PUNPCKLDQ || op == X64_PUNPCKHDQ) {
        vshift(c, X64_PSRAD_I, T, a, 31);
        vop(c, op, dst, a, T);
    } else {
        vop(c, op, dst, a, a);
        vshift(c, bytes ? X64_PSRAW_I : X64_PSRAD_I, dst, dst, bytes ? 8 : 16);
    }
}

static void extended(Compiler *c, Vec v) { simd_extend(c, v.dst, v.a, v.rule); }
SEQUENCE(extended)

static const struct {
    uint16_t op;
    Sequence *fn;
} instead[] = {
    {X64_PABSB, abs8},        {X64_PABSW, abs16},
    {X64_PABSD, abs32},       {X64_PCMPEQQ, eq64},
    {X64_PCMPGTQ, gt64},      {X64_PMULLD, mul32},
    {X64_PMAXSB, max_s8},     {X64_PMINSB, min_s8},
    {X64_PMAXSD, max_s32},    {X64_PMINSD, min_s32},
    {X64_PMAXUW, max_u16},    {X64_PMINUW, min_u16},
    {X64_PMOVSXBW, extended}, {X64_PMOVSXWD, extended},
    {X64_PMOVSXDQ, extended}, {X64_PMOVZXBW, extended},
    {X64_PMOVZXWD, extended}, {X64_PMOVZXDQ, extended},
};

static void without(Compiler *c, const Rule *rule)
{
    for (unsigned k = 0; k < sizeof instead / sizeof *instead; k++) {
        if (instead[k].op == rule->x) {
            sequence(c, rule, instead[k].fn);
            return;
        }
    }
    emit_step(c, rule);
}

/* ---- single instructions */

/* x: the instruction; y: its immediate + 1, or 0. */
void emit_vec_bin(Compiler *c, const Rule *rule)
{
    if (!x64_has(&c->a, rule->x)) {
        without(c, rule);
        return;
    }
    Operand b = pop(c), a = pop(c);
    if ((rule->flag & VEC_SWAPPED)
        || ((rule->flag & VEC_COMMUTES) && is_memory(c, &a)))
        swap(&a, &b);
    bool folded = is_memory(c, &b);
    Reg rb = folded ? NO_REG : use(c, &b), ra = use(c, &a);
    Result r = result_reg(c, T_V128, a.place == AT_REG ? &a : &b);
    if (folded && rule->y)
        x64_sse_mi(&c->a, rule->x, r.reg, ra, memory_of(c, &b),
                   (uint8_t)(rule->y - 1));
    else if (folded)
        vop_m(c, rule->x, r.reg, ra, memory_of(c, &b));
    else if (rule->y)
        vop_i(c, rule->x, r.reg, ra, rb, rule->y - 1u);
    else
        vop(c, rule->x, r.reg, ra, rb);
    if (rule->flag & VEC_INVERTED)
        invert(c, r.reg);
    release(c, &a);
    release(c, &b);
    result_done(c, r);
}

/* The same of one operand; y is not an immediate where x has none. */
static void unary(Compiler *c, const Rule *rule, bool immediate)
{
    if (!x64_has(&c->a, rule->x)) {
        without(c, rule);
        return;
    }
    Operand a = pop(c);
    bool folded = is_memory(c, &a);
    Reg ra = folded ? NO_REG : use(c, &a);
    Result r = result_reg(c, T_V128, &a);
    if (folded && immediate)
        x64_rmi(&c->a, rule->x, r.reg, memory_of(c, &a), rule->y - 1);
    else if (folded)
        x64_rm(&c->a, rule->x, r.reg, memory_of(c, &a));
    else if (immediate)
        x64_rri(&c->a, rule->x, r.reg, ra, rule->y - 1);
    else
        x64_rr(&c->a, rule->x, r.reg, ra);
    release(c, &a);
    result_done(c, r);
}

void emit_vec_un(Compiler *c, const Rule *rule) { unary(c, rule, false); }
void emit_vec_un_i(Compiler *c, const Rule *rule) { unary(c, rule, true); }

/* ---- sequences of one operand */

static void complement(Compiler *c, Vec v)
{
    vones(c, T);
    vop(c, X64_PXOR, v.dst, v.a, T);
}
SEQUENCE(complement)

/* x: subtraction. */
static void neg(Compiler *c, Vec v)
{
    vzero(c, T);
    vop(c, v.rule->x, v.dst, T, v.a);
}
SEQUENCE(neg)

static void abs64(Compiler *c, Vec v)
{
    vop_i(c, X64_PSHUFD, T, v.a, v.a, 0xf5);
    vshift(c, X64_PSRAD_I, T, T, 31);
    vop(c, X64_PXOR, v.dst, v.a, T);
    vop(c, X64_PSUBQ, v.dst, v.dst, T);
}
SEQUENCE(abs64)

/* Sums of ever wider fields of bits; Hacker's Delight, 5-1. */
static void popcnt(Compiler *c, Vec v)
{
    Mem twos = vconst8(c, 0x33), fours = vconst8(c, 0x0f);
    vshift(c, X64_PSRLW_I, T, v.a, 1);
    vop_m(c, X64_PAND, T, T, vconst8(c, 0x55));
    vop(c, X64_PSUBB, v.dst, v.a, T);
    vshift(c, X64_PSRLW_I, T, v.dst, 2);
    vop_m(c, X64_PAND, T, T, twos);
    vop_m(c, X64_PAND, v.dst, v.dst, twos);
    vop(c, X64_PADDB, v.dst, v.dst, T);
    vshift(c, X64_PSRLW_I, T, v.dst, 4);
    vop(c, X64_PADDB, v.dst, v.dst, T);
    vop_m(c, X64_PAND, v.dst, v.dst, fours);
}
SEQUENCE(popcnt)

static void extadd8(Compiler *c, Vec v)
{
    if (v.rule->flag & VEC_SIGNED) {
        vshift(c, X64_PSLLW_I, T, v.a, 8);
        vshift(c, X64_PSRAW_I, T, T, 8);
        vshift(c, X64_PSRAW_I, v.dst, v.a, 8);
    } else {
        vop_m(c, X64_PAND, T, v.a, vconst16(c, 0xff));
        vshift(c, X64_PSRLW_I, v.dst, v.a, 8);
    }
    vop(c, X64_PADDW, v.dst, v.dst, T);
}
SEQUENCE(extadd8)

/* Unsigned: signed by taking 2^15 from each, which is 2^16 from their sum. */
static void extadd16(Compiler *c, Vec v)
{
    Mem ones = vconst16(c, 1);
    if (v.rule->flag & VEC_SIGNED) {
        vop_m(c, X64_PMADDWD, v.dst, v.a, ones);
        return;
    }
    vop_m(c, X64_PXOR, v.dst, v.a, vconst16(c, 0x8000));
    vop_m(c, X64_PMADDWD, v.dst, v.dst, ones);
    vop_m(c, X64_PADDD, v.dst, v.dst, vconst32(c, 0x10000));
}
SEQUENCE(extadd16)

/* ---- sequences of two operands */

/* x: signed comparison, of what the sign bits are flipped in. */
static void gt_u(Compiler *c, Vec v)
{
    Mem sign = v.rule->x == X64_PCMPGTB   ? vconst8(c, 0x80)
               : v.rule->x == X64_PCMPGTW ? vconst16(c, 0x8000)
                                          : vconst32(c, 0x80000000);
    vop_m(c, X64_PXOR, T, v.b, sign);
    vop_m(c, X64_PXOR, v.dst, v.a, sign);
    vop(c, v.rule->x, v.dst, v.dst, T);
}
SEQUENCE(gt_u)

/* x: subtraction down to 0, which it then is; y: comparison with that. */
static void le_u(Compiler *c, Vec v)
{
    vop(c, v.rule->x, v.dst, v.a, v.b);
    vzero(c, T);
    vop(c, v.rule->y, v.dst, v.dst, T);
}
SEQUENCE(le_u)

/* x: PCMPGTD. */
static void le_u32(Compiler *c, Vec v)
{
    if (has(c, CPU_SSE41)) {
        vop(c, X64_PMINUD, T, v.a, v.b);
        vop(c, X64_PCMPEQD, v.dst, v.a, T);
    } else {
        gt_u(c, v);
        invert(c, v.dst);
    }
}
SEQUENCE(le_u32)

/* The low halves, and each low half with the other's high half. */
static void mul64(Compiler *c, Vec v)
{
    Reg t = alloc_vec(c);
    vshift(c, X64_PSRLQ_I, T, v.a, 32);
    vop(c, X64_PMULUDQ, T, T, v.b);
    vshift(c, X64_PSRLQ_I, t, v.b, 32);
    vop(c, X64_PMULUDQ, t, t, v.a);
    vop(c, X64_PADDQ, T, T, t);
    vshift(c, X64_PSLLQ_I, T, T, 32);
    vop(c, X64_PMULUDQ, v.dst, v.a, v.b);
    vop(c, X64_PADDQ, v.dst, v.dst, T);
    free_reg(c, T_V128, t);
}
SEQUENCE(mul64)

/* -1 times -1 alone is out of range: 0x8000, to be 0x7fff. */
static void q15mulr(Compiler *c, Vec v)
{
    vop(c, X64_PMULHRSW, v.dst, v.a, v.b);
    vop_m(c, X64_PCMPEQW, T, v.dst, vconst16(c, 0x8000));
    vop(c, X64_PXOR, v.dst, v.dst, T);
}
SEQUENCE(q15mulr)

/* Indices above 15 get bit 7, for which pshufb gives 0. */
static void swizzle(Compiler *c, Vec v)
{
    vop_m(c, X64_PADDUSB, T, v.b, vconst8(c, 0x70));
    vop(c, X64_PSHUFB, v.dst, v.a, T);
}
SEQUENCE(swizzle)

/* y: the unpacking, as in simd_extend. */
static void extmul8(Compiler *c, Vec v)
{
    Reg t = alloc_vec(c);
    simd_extend(c, t, v.b, v.rule);
    simd_extend(c, v.dst, v.a, v.rule);
    vop(c, X64_PMULLW, v.dst, v.dst, t);
    free_reg(c, T_V128, t);
}
SEQUENCE(extmul8)

/* The products' low and high halves, interleaved by y. */
static void extmul16(Compiler *c, Vec v)
{
    bool is_signed = v.rule->flag & VEC_SIGNED;
    vop(c, is_signed ? X64_PMULHW : X64_PMULHUW, T, v.a, v.b);
    vop(c, X64_PMULLW, v.dst, v.a, v.b);
    vop(c, v.rule->y, v.dst, v.dst, T);
}
SEQUENCE(extmul16)

/* x multiplies lanes 0 and 2: there go those that were neighbours. */
static void extmul32(Compiler *c, Vec v)
{
    unsigned lanes = v.rule->flag & VEC_HIGH ? 0xfa : 0x50;
    vop_i(c, X64_PSHUFD, T, v.b, v.b, lanes);
    vop_i(c, X64_PSHUFD, v.dst, v.a, v.a, lanes);
    vop(c, v.rule->x, v.dst, v.dst, T);
}
SEQUENCE(extmul32)

/* Both factors are signed, which pmaddubsw does not do; the sum wraps. */
static void dot8(Compiler *c, Vec v)
{
    Reg t = alloc_vec(c);
    vshift(c, X64_PSRAW_I, T, v.a, 8);
    vshift(c, X64_PSRAW_I, t, v.b, 8);
    vop(c, X64_PMULLW, T, T, t);
    vshift(c, X64_PSLLW_I, t, v.b, 8);
    vshift(c, X64_PSRAW_I, t, t, 8);
    vshift(c, X64_PSLLW_I, v.dst, v.a, 8);
    vshift(c, X64_PSRAW_I, v.dst, v.dst, 8);
    vop(c, X64_PMULLW, v.dst, v.dst, t);
    vop(c, X64_PADDW, v.dst, v.dst, T);
    free_reg(c, T_V128, t);
}
SEQUENCE(dot8)

/* ---- sequences of three operands */

static void dot8_add(Compiler *c, Vec v)
{
    dot8(c, v);
    vop_m(c, X64_PMADDWD, v.dst, v.dst, vconst16(c, 1));
    vop(c, X64_PADDD, v.dst, v.dst, v.d);
}
SEQUENCE(dot8_add)

static void bitselect(Compiler *c, Vec v)
{
    vop(c, X64_PXOR, v.dst, v.a, v.b);
    vop(c, X64_PAND, v.dst, v.dst, v.d);
    vop(c, X64_PXOR, v.dst, v.dst, v.b);
}
SEQUENCE(bitselect)

/* ---- shifts */

/* T = the count modulo a power of two, and plus something. */
static void load_count(Compiler *c, const Operand *count, unsigned mask,
                       unsigned plus)
{
    load_into(c, count, SCRATCH);
    x64_ri(&c->a, X64_AND32, SCRATCH, (int32_t)mask);
    if (plus)
        x64_ri(&c->a, X64_ADD32, SCRATCH, (int32_t)plus);
    x64_rr(&c->a, X64_MOVD, T, SCRATCH);
}

/* x: by a register; y: by an immediate; flag: the mask of the count. */
void emit_vec_shift(Compiler *c, const Rule *rule)
{
    Operand count = pop(c), a = pop(c);
    Reg ra = use(c, &a);
    Result r = result_reg(c, T_V128, &a);
    if (count.place == AT_CONST) {
        vshift(c, rule->y, r.reg, ra, (unsigned)count.value & rule->flag);
    } else {
        load_count(c, &count, rule->flag, 0);
        vop(c, rule->x, r.reg, ra, T);
    }
    release(c, &count);
    release(c, &a);
    result_done(c, r);
}

/* There is none for bytes: shifts words, and clears what came from the
 * neighbour.  x, y: as above, of words. */
void emit_vec_shift8(Compiler *c, const Rule *rule)
{
    Operand count = pop(c), a = pop(c);
    Reg ra = use(c, &a), t = NO_REG;
    Result r = result_reg(c, T_V128, &a);
    bool left = rule->x == X64_PSLLW;
    if (count.place == AT_CONST) {
        unsigned n = (unsigned)count.value & 7;
        unsigned kept = left ? 0xffu << n : 0xffu >> n;
        vshift(c, rule->y, r.reg, ra, n);
        vop_m(c, X64_PAND, r.reg, r.reg, vconst8(c, (uint8_t)kept));
    } else {
        t = alloc_vec(c);
        load_count(c, &count, 7, 8);
        vones(c, t);
        vop(c, X64_PSRLW, t, t, T);
        vop(c, X64_PACKUSWB, t, t, t);
        x64_ri(&c->a, X64_SUB32, SCRATCH, 8);
        x64_rr(&c->a, X64_MOVD, T, SCRATCH);
        if (left) {
            vop(c, X64_PAND, r.reg, ra, t);
            vop(c, rule->x, r.reg, r.reg, T);
        } else {
            vop(c, rule->x, r.reg, ra, T);
            vop(c, X64_PAND, r.reg, r.reg, t);
        }
        free_reg(c, T_V128, t);
    }
    release(c, &count);
    release(c, &a);
    result_done(c, r);
}

/* In words whose upper byte is the lane, then packed. */
void emit_vec_sar8(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand count = pop(c), a = pop(c);
    Reg ra = use(c, &a), t = alloc_vec(c);
    Result r = result_reg(c, T_V128, &a);
    vop(c, X64_PUNPCKHBW, t, ra, ra);
    vop(c, X64_PUNPCKLBW, r.reg, ra, ra);
    if (count.place == AT_CONST) {
        unsigned n = ((unsigned)count.value & 7) + 8;
        vshift(c, X64_PSRAW_I, t, t, n);
        vshift(c, X64_PSRAW_I, r.reg, r.reg, n);
    } else {
        load_count(c, &count, 7, 8);
        vop(c, X64_PSRAW, t, t, T);
        vop(c, X64_PSRAW, r.reg, r.reg, T);
    }
    vop(c, X64_PACKSSWB, r.reg, r.reg, t);
    free_reg(c, T_V128, t);
    release(c, &count);
    release(c, &a);
    result_done(c, r);
}

/* The sign bit m, where it has come to, is extended by x ^ m - m. */
void emit_vec_sar64(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand count = pop(c), a = pop(c);
    Reg ra = use(c, &a);
    Result r = result_reg(c, T_V128, &a);
    uint64_t sign = (uint64_t)1 << 63;
    if (count.place == AT_CONST) {
        unsigned n = (unsigned)count.value & 63;
        vshift(c, X64_PSRLQ_I, r.reg, ra, n);
        vop_m(c, X64_PXOR, r.reg, r.reg, vconst64(c, sign >> n));
        vop_m(c, X64_PSUBQ, r.reg, r.reg, vconst64(c, sign >> n));
    } else {
        Reg t = alloc_vec(c);
        load_count(c, &count, 63, 0);
        x64_rm(&c->a, X64_MOVAPS, t, vconst64(c, sign));
        vop(c, X64_PSRLQ, t, t, T);
        vop(c, X64_PSRLQ, r.reg, ra, T);
        vop(c, X64_PXOR, r.reg, r.reg, t);
        vop(c, X64_PSUBQ, r.reg, r.reg, t);
        free_reg(c, T_V128, t);
    }
    release(c, &count);
    release(c, &a);
    result_done(c, r);
}

/* ---- to integers */

void emit_any_true(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand a = pop(c);
    Reg ra = use(c, &a);
    if (has(c, CPU_SSE41)) {
        x64_rr(&c->a, X64_PTEST, ra, ra);
    } else {
        vzero(c, T);
        vop(c, X64_PCMPEQB, T, T, ra);
        x64_rr(&c->a, X64_PMOVMSKB, SCRATCH, T);
        x64_ri(&c->a, X64_CMP32, SCRATCH, 0xffff);
    }
    release(c, &a);
    push_flags(c, CC_NE);
}

/* x: comparison for equality; no lane is equal to 0. */
void emit_all_true(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    Reg ra = use(c, &a);
    vzero(c, T);
    if (x64_has(&c->a, rule->x)) {
        vop(c, rule->x, T, T, ra);
    } else { /* of 64 bits */
        Reg t = alloc_vec(c);
        eq64(c, (Vec){rule, t, ra, T, NO_REG});
        x64_rr(&c->a, X64_MOVAPS, T, t);
        free_reg(c, T_V128, t);
    }
    x64_rr(&c->a, X64_PMOVMSKB, SCRATCH, T);
    x64_rr(&c->a, X64_TEST32, SCRATCH, SCRATCH);
    release(c, &a);
    push_flags(c, CC_E);
}

/* x: takes the sign bits; of words when they are packed to bytes. */
void emit_bitmask(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    Reg ra = use(c, &a);
    Result r = result_reg(c, T_I32, NULL);
    if (rule->y) {
        vop(c, X64_PACKSSWB, T, ra, ra);
        ra = T;
    }
    x64_rr(&c->a, rule->x, r.reg, ra);
    if (rule->y)
        x64_rr(&c->a, X64_MOVZX8, r.reg, r.reg);
    release(c, &a);
    result_done(c, r);
}
