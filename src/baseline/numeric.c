/* Arithmetic. */
#include "baseline/compiler.h"

/* ---- integers */

static bool fits_imm(const Operand *o)
{
    if (o->place != AT_CONST)
        return false;
    return o->type == T_I32 || (uint64_t)(int64_t)(int32_t)o->value == o->value;
}

enum { COMMUTES = 1, IS_ADD = 2, IS_MUL = 4 };

static void swap(Operand *a, Operand *b)
{
    Operand t = *a;
    *a = *b;
    *b = t;
}

/* dst = dst op b, b being in a register, in memory, or a small constant. */
static void alu(Compiler *c, const Rule *rule, Reg dst, Operand *b, Reg rb)
{
    if (rb != NO_REG)
        x64_rr(&c->a, rule->x, dst, rb);
    else if (b->place != AT_CONST)
        x64_rm(&c->a, rule->x, dst, memory_of(c, b));
    else if (rule->flag & IS_MUL)
        x64_rri(&c->a, rule->x, dst, dst, (int32_t)b->value);
    else
        x64_ri(&c->a, rule->x, dst, (int32_t)b->value);
}

/* dst = ra + b without touching ra. */
static bool lea(Compiler *c, const Rule *rule, Reg dst, Reg ra, Operand *b,
                Reg rb)
{
    if (!(rule->flag & IS_ADD) || ra == NO_REG || ra == dst)
        return false;
    X64Op op = rule->a == T_I32 ? X64_LEA32 : X64_LEA64;
    if (rb != NO_REG)
        x64_rm(&c->a, op, dst, mem_index(ra, rb, 0, 0));
    else if (b->place == AT_CONST)
        x64_rm(&c->a, op, dst, mem(ra, (int32_t)b->value));
    else
        return false;
    return true;
}

static bool multiply_by_power(Compiler *c, const Rule *rule, const Operand *b,
                              Reg dst)
{
    uint64_t n = rule->a == T_I32 ? (uint32_t)b->value : b->value;
    if (!(rule->flag & IS_MUL) || b->place != AT_CONST || n == 0
        || (n & (n - 1)))
        return false;
    if (n > 1)
        x64_ri(&c->a, rule->a == T_I32 ? X64_SHL32 : X64_SHL64, dst,
               __builtin_ctzll(n));
    return true;
}

static Reg in_register(Compiler *c, Operand *o)
{
    if (o->place == AT_REG)
        return o->reg;
    if (o->place == AT_LOCAL && !is_memory(c, o))
        return use(c, o);
    return NO_REG;
}

void emit_alu(Compiler *c, const Rule *rule)
{
    Operand b = pop(c), a = pop(c);
    bool commutes = rule->flag & COMMUTES;
    if (commutes && a.place == AT_CONST)
        swap(&a, &b);
    if (commutes && is_memory(c, &a) && !is_memory(c, &b) && !fits_imm(&b))
        swap(&a, &b);
    Reg rb = fits_imm(&b) || is_memory(c, &b) ? NO_REG : use(c, &b);
    Reg ra = in_register(c, &a);
    const Operand *reuse = a.place == AT_REG               ? &a
                           : commutes && b.place == AT_REG ? &b
                                                           : NULL;
    Result r = result_reg(c, rule->a, reuse);
    if (rb == r.reg && ra != r.reg && !commutes) {
        move_reg(c, rule->a, SCRATCH, rb);
        rb = SCRATCH;
    }
    if (rb == r.reg && ra != r.reg) { /* commutes */
        Operand *from = &a;
        if (ra == NO_REG && !is_memory(c, from))
            ra = use(c, from);
        alu(c, rule, r.reg, from, ra);
    } else if (!lea(c, rule, r.reg, ra, &b, rb)) {
        if (ra != r.reg)
            load_into(c, &a, r.reg);
        if (!multiply_by_power(c, rule, &b, r.reg))
            alu(c, rule, r.reg, &b, rb);
    }
    release(c, &a);
    release(c, &b);
    result_done(c, r);
}

/* x: shift by cl or immediate; y: BMI2's, or 0. */
void emit_shift(Compiler *c, const Rule *rule)
{
    Operand b = pop(c), a = pop(c);
    if (b.place == AT_CONST) {
        Result r = result_reg(c, rule->a, &a);
        load_into(c, &a, r.reg);
        unsigned n = b.value & (rule->a == T_I32 ? 31 : 63);
        if (n)
            x64_ri(&c->a, rule->x, r.reg, (int32_t)n);
        release(c, &a);
        result_done(c, r);
        return;
    }
    if (rule->y && (c->config->cpu & CPU_BMI2)) {
        Reg rb = use(c, &b), ra = use(c, &a);
        Result r = result_reg(c, rule->a, &a);
        x64_rvr(&c->a, rule->y, r.reg, rb, ra);
        release(c, &a);
        release(c, &b);
        result_done(c, r);
        return;
    }
    if (a.place == AT_REG && a.reg == RCX) {
        Reg other = alloc_int(c);
        move_reg(c, T_I64, other, RCX);
        a.reg = other;
        if (b.place != AT_REG || b.reg != RCX)
            free_reg(c, T_I64, RCX);
    }
    if (b.place != AT_REG || b.reg != RCX) {
        take_int(c, RCX);
        load_into(c, &b, RCX);
        release(c, &b);
        b.place = AT_REG;
        b.reg = RCX;
    }
    Result r = result_reg(c, rule->a, &a);
    load_into(c, &a, r.reg);
    x64_r(&c->a, rule->x, r.reg);
    release(c, &a);
    release(c, &b);
    result_done(c, r);
}

enum { IS_SIGNED = 1, IS_REM = 2 };

/* Both in registers of their own: a in rax, b in r11. */
static void take_dividend(Compiler *c, Operand *a, Operand *b)
{
    load_into(c, b, SCRATCH);
    release(c, b);
    if (a->place != AT_REG || a->reg != RAX) {
        take_int(c, RAX);
        load_into(c, a, RAX);
        release(c, a);
    }
    take_int(c, RDX);
}

static void divide_signed(Compiler *c, const Rule *rule, const Operand *b)
{
    bool wide = rule->a == T_I64, rem = rule->flag & IS_REM;
    bool known =
        b->place == AT_CONST
        && (wide ? b->value != UINT64_MAX : (uint32_t)b->value != UINT32_MAX);
    Label done = asm_label(&c->a), divide = asm_label(&c->a);
    if (!known) {
        x64_ri(&c->a, wide ? X64_CMP64 : X64_CMP32, SCRATCH, -1);
        x64_jcc(&c->a, CC_NE, divide);
        if (rem) {
            x64_mov_imm64(&c->a, RDX, 0);
            x64_jmp(&c->a, done);
        } else { /* overflows exactly if negation does */
            x64_r(&c->a, wide ? X64_NEG64 : X64_NEG32, RAX);
            trap_if(c, CC_O, ERR_OVERFLOW);
            x64_jmp(&c->a, done);
        }
    }
    asm_bind(&c->a, divide);
    if (wide)
        x64_cqo(&c->a);
    else
        x64_cdq(&c->a);
    x64_r(&c->a, wide ? X64_IDIV64 : X64_IDIV32, SCRATCH);
    asm_bind(&c->a, done);
}

static bool divide_by_power(Compiler *c, const Rule *rule, Operand *a,
                            const Operand *b)
{
    bool wide = rule->a == T_I64;
    uint64_t n = wide ? b->value : (uint32_t)b->value;
    if (b->place != AT_CONST || (rule->flag & IS_SIGNED) || n == 0
        || (n & (n - 1)) || n > INT32_MAX)
        return false;
    Result r = result_reg(c, rule->a, a);
    load_into(c, a, r.reg);
    if (rule->flag & IS_REM)
        x64_ri(&c->a, wide ? X64_AND64 : X64_AND32, r.reg, (int32_t)(n - 1));
    else if (n > 1)
        x64_ri(&c->a, wide ? X64_SHR64 : X64_SHR32, r.reg, __builtin_ctzll(n));
    release(c, a);
    result_done(c, r);
    return true;
}

void emit_div(Compiler *c, const Rule *rule)
{
    Operand b = pop(c), a = pop(c), divisor = b;
    bool wide = rule->a == T_I64;
    if (divide_by_power(c, rule, &a, &b))
        return;
    take_dividend(c, &a, &b);
    if (divisor.place != AT_CONST || divisor.value == 0) {
        x64_rr(&c->a, wide ? X64_TEST64 : X64_TEST32, SCRATCH, SCRATCH);
        trap_if(c, CC_E, ERR_DIVIDE);
    }
    if (rule->flag & IS_SIGNED) {
        divide_signed(c, rule, &divisor);
    } else {
        x64_mov_imm64(&c->a, RDX, 0);
        x64_r(&c->a, wide ? X64_DIV64 : X64_DIV32, SCRATCH);
    }
    bool rem = rule->flag & IS_REM;
    free_reg(c, T_I64, rem ? RAX : RDX);
    push_reg(c, rule->a, rem ? RDX : RAX);
}

static uint8_t mirror(uint8_t cond)
{
    switch (cond) {
    case CC_L: return CC_G;
    case CC_G: return CC_L;
    case CC_LE: return CC_GE;
    case CC_GE: return CC_LE;
    case CC_B: return CC_A;
    case CC_A: return CC_B;
    case CC_BE: return CC_AE;
    case CC_AE: return CC_BE;
    default: return cond;
    }
}

/* flag: the condition. */
void emit_compare(Compiler *c, const Rule *rule)
{
    Operand b = pop(c), a = pop(c);
    uint8_t cond = rule->flag;
    X64Op op = rule->a == T_I32 ? X64_CMP32 : X64_CMP64;
    if (fits_imm(&a) && !fits_imm(&b)) {
        swap(&a, &b);
        cond = mirror(cond);
    }
    if (fits_imm(&b)) {
        if (is_memory(c, &a)) {
            x64_mi(&c->a, op, memory_of(c, &a), (int32_t)b.value);
        } else {
            Reg ra = use(c, &a);
            if ((int32_t)b.value == 0)
                x64_rr(&c->a, op == X64_CMP32 ? X64_TEST32 : X64_TEST64, ra,
                       ra);
            else
                x64_ri(&c->a, op, ra, (int32_t)b.value);
        }
    } else if (is_memory(c, &b)) {
        x64_rm(&c->a, op, use(c, &a), memory_of(c, &b));
    } else {
        Reg rb = use(c, &b), ra = use(c, &a);
        x64_rr(&c->a, op, ra, rb);
    }
    release(c, &a);
    release(c, &b);
    push_flags(c, cond);
}

void emit_eqz(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    if (a.place == AT_FLAGS) {
        push_flags(c, cond_invert(a.cond));
        return;
    }
    bool wide = rule->a != T_I32;
    if (is_memory(c, &a)) {
        x64_mi(&c->a, wide ? X64_CMP64 : X64_CMP32, memory_of(c, &a), 0);
    } else {
        Reg r = use(c, &a);
        x64_rr(&c->a, wide ? X64_TEST64 : X64_TEST32, r, r);
    }
    release(c, &a);
    push_flags(c, CC_E);
}

/* dst = x(a), a in a register or in memory. */
static void unary(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    Reg ra = is_memory(c, &a) ? NO_REG : use(c, &a);
    Result r = result_reg(c, rule->out, &a);
    if (ra == NO_REG)
        x64_rm(&c->a, rule->x, r.reg, memory_of(c, &a));
    else
        x64_rr(&c->a, rule->x, r.reg, ra);
    release(c, &a);
    result_done(c, r);
}

/* y: the CPU bit that x needs. */
void emit_bits(Compiler *c, const Rule *rule)
{
    if (c->config->cpu & rule->y)
        unary(c, rule);
    else
        emit_count_bits(c, rule);
}

void emit_extend(Compiler *c, const Rule *rule) { unary(c, rule); }

/* i64.extend_i32_u: registers and slots are zero-extended already. */
void emit_wrap(Compiler *c, const Rule *rule)
{
    if (rule->out == T_I64) {
        top(c)->type = T_I64;
        return;
    }
    if (top(c)->place == AT_CONST) {
        top(c)->value = (uint32_t)top(c)->value;
        top(c)->type = T_I32;
        return;
    }
    unary(c, rule);
}

/* ---- floats */

/* dst = x(src1, b): b in memory, a constant, or a register. */
static void sse(Compiler *c, X64Op op, Reg dst, Reg src1, Operand *b)
{
    if (is_memory(c, b)) {
        x64_sse_m(&c->a, op, dst, src1, memory_of(c, b));
    } else if (b->place == AT_CONST) {
        uint32_t low = (uint32_t)b->value;
        x64_sse_m(&c->a, op, dst, src1,
                  b->type == T_F32 ? asm_const(&c->a, &low, 4)
                                   : asm_const(&c->a, &b->value, 8));
    } else {
        x64_sse(&c->a, op, dst, src1, use(c, b));
    }
}

void emit_float_bin(Compiler *c, const Rule *rule)
{
    Operand b = pop(c), a = pop(c);
    if (!is_memory(c, &b) && b.place != AT_CONST)
        use(c, &b);
    Reg ra = use(c, &a);
    Result r = result_reg(c, rule->a, &a);
    sse(c, rule->x, r.reg, ra, &b);
    release(c, &a);
    release(c, &b);
    result_done(c, r);
}

/* sqrt, and conversions between the two. */
void emit_float_un(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    Reg ra = use(c, &a), above = ra;
    Result r = result_reg(c, rule->out, &a);
    if (rule->x == X64_CVTSD2SS) { /* an f32 has zeros above it */
        above = VEC_SCRATCH;
        x64_sse(&c->a, X64_XORPS, above, above, above);
    }
    x64_sse(&c->a, rule->x, r.reg, above, ra);
    release(c, &a);
    result_done(c, r);
}

void emit_float_to_float(Compiler *c, const Rule *rule)
{
    emit_float_un(c, rule);
}

/* flag: the rounding control of SSE4.1. */
void emit_round(Compiler *c, const Rule *rule)
{
    if (!(c->config->cpu & CPU_SSE41)) {
        emit_step(c, rule);
        return;
    }
    Operand a = pop(c);
    Reg ra = use(c, &a);
    Result r = result_reg(c, rule->a, &a);
    x64_sse_i(&c->a, rule->x, r.reg, ra, ra, rule->flag);
    release(c, &a);
    result_done(c, r);
}

/* Of an f32 the half above it is kept by `and` and by `xor`. */
static Mem sign_mask(Compiler *c, uint8_t type, bool inverted)
{
    uint64_t one = type == T_F32 ? (uint64_t)1 << 31 : (uint64_t)1 << 63;
    uint64_t mask[2] = {inverted ? ~one : one, inverted ? ~one : one};
    return asm_const(&c->a, mask, 16);
}

enum { SIGN_ABS, SIGN_NEG, SIGN_COPY };

void emit_float_sign(Compiler *c, const Rule *rule)
{
    if (rule->flag == SIGN_COPY) {
        Operand b = pop(c), a = pop(c);
        Reg ra = use(c, &a);
        load_into(c, &b, VEC_SCRATCH);
        x64_sse_m(&c->a, X64_ANDPS, VEC_SCRATCH, VEC_SCRATCH,
                  sign_mask(c, rule->a, false));
        Result r = result_reg(c, rule->a, &a);
        x64_sse_m(&c->a, X64_ANDPS, r.reg, ra, sign_mask(c, rule->a, true));
        x64_sse(&c->a, X64_ORPS, r.reg, r.reg, VEC_SCRATCH);
        release(c, &a);
        release(c, &b);
        result_done(c, r);
        return;
    }
    Operand a = pop(c);
    Reg ra = use(c, &a);
    Result r = result_reg(c, rule->a, &a);
    bool neg = rule->flag == SIGN_NEG;
    x64_sse_m(&c->a, neg ? X64_XORPS : X64_ANDPS, r.reg, ra,
              sign_mask(c, rule->a, !neg));
    release(c, &a);
    result_done(c, r);
}

enum { FLOAT_LT = 1, FLOAT_LE, FLOAT_GT, FLOAT_GE, FLOAT_EQ, FLOAT_NE };

static void compare_floats(Compiler *c, uint8_t type, Operand *a, Operand *b)
{
    X64Op op = type == T_F32 ? X64_UCOMISS : X64_UCOMISD;
    if (!is_memory(c, b) && b->place != AT_CONST)
        use(c, b);
    Reg ra = use(c, a);
    if (is_memory(c, b)) {
        x64_rm(&c->a, op, ra, memory_of(c, b));
    } else if (b->place == AT_CONST) {
        uint32_t low = (uint32_t)b->value;
        x64_rm(&c->a, op, ra,
               type == T_F32 ? asm_const(&c->a, &low, 4)
                             : asm_const(&c->a, &b->value, 8));
    } else {
        x64_rr(&c->a, op, ra, use(c, b));
    }
}

/* An unordered result sets carry, zero and parity: `above` is never true. */
void emit_float_compare(Compiler *c, const Rule *rule)
{
    Operand b = pop(c), a = pop(c);
    if (rule->flag == FLOAT_LT || rule->flag == FLOAT_LE)
        swap(&a, &b);
    compare_floats(c, rule->a, &a, &b);
    release(c, &a);
    release(c, &b);
    switch (rule->flag) {
    case FLOAT_EQ: push_flags(c, COND_FLOAT_EQ); break;
    case FLOAT_NE: push_flags(c, COND_FLOAT_NE); break;
    case FLOAT_LT:
    case FLOAT_GT: push_flags(c, CC_A); break;
    default: push_flags(c, CC_AE); break;
    }
}

/* x: min or max; y: or, of zeros the negative one, or and; flag: unused. */
void emit_min_max(Compiler *c, const Rule *rule)
{
    Operand b = pop(c), a = pop(c);
    bool single = rule->a == T_F32;
    load_into(c, &b, VEC_SCRATCH);
    Reg ra = use(c, &a);
    Result r = result_reg(c, rule->a, &a);
    move_reg(c, rule->a, r.reg, ra);
    Label done = asm_label(&c->a), differ = asm_label(&c->a);
    Label nan = asm_label(&c->a);
    x64_rr(&c->a, single ? X64_UCOMISS : X64_UCOMISD, r.reg, VEC_SCRATCH);
    x64_jcc(&c->a, CC_NE, differ);
    x64_jcc(&c->a, CC_P, nan);
    x64_rr(&c->a, rule->y, r.reg, VEC_SCRATCH);
    x64_jmp(&c->a, done);
    asm_bind(&c->a, nan);
    x64_rr(&c->a, single ? X64_ADDSS : X64_ADDSD, r.reg, VEC_SCRATCH);
    x64_jmp(&c->a, done);
    asm_bind(&c->a, differ);
    x64_rr(&c->a, rule->x, r.reg, VEC_SCRATCH);
    asm_bind(&c->a, done);
    release(c, &a);
    release(c, &b);
    result_done(c, r);
}

/* ---- between integers and floats */

enum { FROM_I32_S, FROM_I32_U, FROM_I64_S, FROM_I64_U };

static void convert_u64(Compiler *c, const Rule *rule, Reg dst, Reg from)
{
    Label big = asm_label(&c->a), done = asm_label(&c->a);
    Reg low = alloc_int(c);
    x64_rr(&c->a, X64_TEST64, from, from);
    x64_jcc(&c->a, CC_S, big);
    x64_sse(&c->a, rule->x, dst, dst, from);
    x64_jmp(&c->a, done);
    asm_bind(&c->a, big); /* half of it, its last bit kept for rounding */
    x64_rr(&c->a, X64_MOV64, SCRATCH, from);
    x64_rr(&c->a, X64_MOV64, low, from);
    x64_ri(&c->a, X64_SHR64, SCRATCH, 1);
    x64_ri(&c->a, X64_AND32, low, 1);
    x64_rr(&c->a, X64_OR64, SCRATCH, low);
    x64_sse(&c->a, rule->x, dst, dst, SCRATCH);
    x64_sse(&c->a, rule->out == T_F32 ? X64_ADDSS : X64_ADDSD, dst, dst, dst);
    asm_bind(&c->a, done);
    free_reg(c, T_I64, low);
}

void emit_int_to_float(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    Reg ra = use(c, &a);
    Result r = result_reg(c, rule->out, NULL);
    x64_sse(&c->a, X64_XORPS, r.reg, r.reg, r.reg);
    if (rule->flag == FROM_I64_U)
        convert_u64(c, rule, r.reg, ra);
    else
        x64_sse(&c->a, rule->x, r.reg, r.reg, ra);
    release(c, &a);
    result_done(c, r);
}

static void trap_unconverted(Compiler *c, uint8_t cond, X64Op compare, Reg x)
{
    Label good = asm_label(&c->a);
    x64_jcc(&c->a, (Cond)cond_invert(cond), good);
    x64_rr(&c->a, compare, x, x);
    trap_if(c, CC_P, ERR_CONVERSION);
    trap_now(c, ERR_OVERFLOW);
    asm_bind(&c->a, good);
}

/* Into 64 bits, which then are those of the result or the value is outside:
 * sign-extended (flag 1) or zero-extended (flag 0). */
void emit_float_to_int(Compiler *c, const Rule *rule)
{
    X64Op compare = rule->a == T_F32 ? X64_UCOMISS : X64_UCOMISD;
    Operand a = pop(c);
    Reg x = use(c, &a);
    Result r = result_reg(c, rule->out, NULL);
    x64_rr(&c->a, rule->x, r.reg, x);
    if (rule->out == T_I64) { /* signed */
        Label good = asm_label(&c->a);
        uint32_t low = 0xdf000000u;
        uint64_t least = 0xc3e0000000000000u;
        x64_ri(&c->a, X64_CMP64, r.reg, 1);
        x64_jcc(&c->a, CC_NO, good);
        x64_rm(&c->a, compare, x,
               rule->a == T_F32 ? asm_const(&c->a, &low, 4)
                                : asm_const(&c->a, &least, 8));
        trap_if(c, CC_P, ERR_CONVERSION);
        trap_if(c, CC_NE, ERR_OVERFLOW);
        asm_bind(&c->a, good);
    } else {
        if (rule->flag)
            x64_rr(&c->a, X64_MOVSXD, SCRATCH, r.reg);
        else
            x64_rr(&c->a, X64_MOV32, SCRATCH, r.reg);
        x64_rr(&c->a, X64_CMP64, SCRATCH, r.reg);
        trap_unconverted(c, CC_NE, compare, x);
        x64_rr(&c->a, X64_MOV32, r.reg, r.reg);
    }
    release(c, &a);
    result_done(c, r);
}

void emit_reinterpret(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    bool to_vec = type_is_vec(rule->out);
    if (is_memory(c, &a)) {
        Result r = result_reg(c, rule->out, NULL);
        load_reg(c, rule->out, r.reg, memory_of(c, &a));
        result_done(c, r);
        return;
    }
    Reg ra = use(c, &a);
    Result r = result_reg(c, rule->out, NULL);
    bool wide = type_is_64(rule->out);
    if (to_vec)
        x64_rr(&c->a, wide ? X64_MOVQ : X64_MOVD, r.reg, ra);
    else
        x64_rr(&c->a, wide ? X64_MOVQ_ST : X64_MOVD_ST, ra, r.reg);
    release(c, &a);
    result_done(c, r);
}
