/* Vector instructions that move lanes: splats, single lanes, shuffles, and
 * accesses of memory that are not 16 bytes.
 *
 * Rule.x of those with lanes is the instruction for one lane, where there is
 * one; Rule.flag the lane's bytes.  A processor without it goes through the
 * operand's slot.
 */
#include <string.h>

#include "baseline/simd.h"

#define T VEC_SCRATCH

/* ---- splats */

/* The lowest lane of r to all. */
static void spread(Compiler *c, Reg r, unsigned width)
{
    bool avx2 = has(c, CPU_AVX2);
    switch (width) {
    case 1:
        if (avx2) {
            x64_rr(&c->a, X64_VPBROADCASTB, r, r);
            return;
        }
        vop(c, X64_PUNPCKLBW, r, r, r);
        /* fall through */
    case 2:
        if (avx2) {
            x64_rr(&c->a, X64_VPBROADCASTW, r, r);
            return;
        }
        vop_i(c, X64_PSHUFLW, r, r, r, 0);
        /* fall through */
    case 4: vop_i(c, X64_PSHUFD, r, r, r, 0); return;
    default: vop(c, X64_PUNPCKLQDQ, r, r, r); return;
    }
}

static Mem splat_const(Compiler *c, uint64_t bits, unsigned width)
{
    switch (width) {
    case 1: return vconst8(c, (uint8_t)bits);
    case 2: return vconst16(c, (uint16_t)bits);
    case 4: return vconst32(c, (uint32_t)bits);
    default: return vconst64(c, bits);
    }
}

void emit_splat(Compiler *c, const Rule *rule)
{
    Operand a = pop(c);
    unsigned width = rule->flag;
    Reg ra = a.place == AT_CONST || is_memory(c, &a) ? NO_REG : use(c, &a);
    Result r = result_reg(c, T_V128, &a);
    if (a.place == AT_CONST && a.value == 0) {
        vzero(c, r.reg);
    } else if (a.place == AT_CONST) {
        x64_rm(&c->a, X64_MOVAPS, r.reg, splat_const(c, a.value, width));
    } else {
        bool wide = width == 8;
        if (ra == NO_REG)
            x64_rm(&c->a, wide ? X64_MOVQ_X : X64_MOVD, r.reg,
                   memory_of(c, &a));
        else if (type_is_vec(a.type))
            move_reg(c, T_V128, r.reg, ra);
        else
            x64_rr(&c->a, wide ? X64_MOVQ : X64_MOVD, r.reg, ra);
        spread(c, r.reg, width);
    }
    release(c, &a);
    result_done(c, r);
}

/* ---- a lane out */

/* Which instruction reads a lane from memory, into a register of its type. */
static X64Op lane_load(const Rule *rule)
{
    if (rule->out == T_F32 || rule->out == T_F64)
        return rule->out == T_F32 ? X64_MOVSS : X64_MOVSD;
    bool is_signed = rule->y;
    switch (rule->flag) {
    case 1: return is_signed ? X64_MOVSX8_32 : X64_MOVZX8;
    case 2: return is_signed ? X64_MOVSX16_32 : X64_MOVZX16;
    case 4: return X64_MOV32;
    default: return X64_MOV64;
    }
}

/* The lane to the bottom of a register: a itself, or T. */
static Reg lowered(Compiler *c, Reg a, unsigned at)
{
    if (at == 0)
        return a;
    if (at % 4 == 0)
        vop_i(c, X64_PSHUFD, T, a, a, at == 8 ? 0xee : at / 4);
    else
        vshift(c, X64_PSRLDQ_I, T, a, at);
    return T;
}

/* y: bytes and words are signed.  x: of f32, which inserts it into zeros. */
void emit_extract_lane(Compiler *c, const Rule *rule)
{
    unsigned at = reader_byte(&c->r) * rule->flag;
    Operand a = pop(c);
    if (is_memory(c, &a)) {
        Mem m = memory_of(c, &a);
        Result r = result_reg(c, rule->out, NULL);
        m.disp += (int32_t)at;
        x64_rm(&c->a, lane_load(rule), r.reg, m);
        result_done(c, r);
        return;
    }
    Reg ra = use(c, &a);
    Result r = result_reg(c, rule->out, &a);
    if (rule->out == T_F32) { /* zeros above, as everywhere */
        if (x64_has(&c->a, rule->x)) {
            vop_i(c, rule->x, r.reg, ra, ra, at << 4 | 0xe);
        } else {
            x64_rr(&c->a, X64_MOVD_ST, lowered(c, ra, at), SCRATCH);
            x64_rr(&c->a, X64_MOVD, r.reg, SCRATCH);
        }
    } else if (rule->out == T_F64) {
        move_reg(c, T_V128, r.reg, lowered(c, ra, at));
    } else if (at && x64_has(&c->a, rule->x)) {
        x64_rri(&c->a, rule->x, ra, r.reg, (int32_t)(at / rule->flag));
    } else {
        bool wide = rule->flag == 8;
        x64_rr(&c->a, wide ? X64_MOVQ_ST : X64_MOVD_ST, lowered(c, ra, at),
               r.reg);
    }
    if (rule->flag < 4 && (rule->y || !at || !x64_has(&c->a, rule->x)))
        x64_rr(&c->a, lane_load(rule), r.reg, r.reg);
    release(c, &a);
    result_done(c, r);
}

/* ---- a lane in */

static const uint16_t int_stores[] = {[1] = X64_MOV8_ST,
                                      [2] = X64_MOV16_ST,
                                      [4] = X64_MOV32_ST,
                                      [8] = X64_MOV64_ST};

/* r = the vector, but for a lane of its slot, which is `lane`'s low bytes. */
static void replace_in_slot(Compiler *c, Operand *vector, Reg r, unsigned at,
                            unsigned width, Reg lane)
{
    Mem slot = operand_slot(c, vector->height), part = slot;
    part.disp += (int32_t)at;
    if (vector->place != AT_SLOT)
        store_to(c, vector, slot);
    x64_rm(&c->a, int_stores[width], lane, part);
    load_reg(c, T_V128, r, slot);
}

static void replace_float(Compiler *c, const Rule *rule, Reg dst, Reg a, Reg b,
                          unsigned at)
{
    if (rule->flag == 8)
        vop(c, at ? X64_UNPCKLPD : X64_MOVSD, dst, a, b);
    else if (at == 0)
        vop(c, X64_MOVSS, dst, a, b);
    else
        vop_i(c, X64_INSERTPS, dst, a, b, at << 2);
}

void emit_replace_lane(Compiler *c, const Rule *rule)
{
    unsigned lane = reader_byte(&c->r), width = rule->flag, at = lane * width;
    Operand b = pop(c), a = pop(c);
    Reg rb = use(c, &b);
    bool in_float = type_is_vec(b.type);
    bool can = x64_has(&c->a, rule->x) || (in_float && at == 0);
    if (!can) {
        Result r = result_reg(c, T_V128, NULL);
        if (in_float) {
            x64_rr(&c->a, X64_MOVD_ST, rb, SCRATCH);
            rb = SCRATCH;
        }
        replace_in_slot(c, &a, r.reg, at, width, rb);
        release(c, &a);
        release(c, &b);
        result_done(c, r);
        return;
    }
    Reg ra = use(c, &a);
    Result r = result_reg(c, T_V128, &a);
    if (in_float)
        replace_float(c, rule, r.reg, ra, rb, at);
    else
        vop_i(c, rule->x, r.reg, ra, rb, lane);
    release(c, &a);
    release(c, &b);
    result_done(c, r);
}

/* ---- shuffles: an instruction that gives these bytes of two vectors */

typedef struct {
    X64Op op;
    bool swapped; /* its first source is b */
    bool has_imm;
    uint8_t imm;
} Shuffle;

static bool is_whole(const uint8_t *lane, unsigned width)
{
    if (lane[0] % width)
        return false;
    for (unsigned k = 1; k < width; k++)
        if (lane[k] != lane[0] + k)
            return false;
    return true;
}

/* lanes: 16 bytes, as n lanes of 16 / n; false: some are not whole. */
static bool regroup(const uint8_t *bytes, unsigned n, uint8_t *out)
{
    unsigned width = 16 / n;
    for (unsigned k = 0; k < n; k++) {
        if (!is_whole(bytes + k * width, width))
            return false;
        out[k] = bytes[k * width] / width;
    }
    return true;
}

/* Interleaved lanes of both; flip: 16 if b comes first. */
static bool match_unpack(const uint8_t *bytes, Shuffle *s)
{
    static const uint16_t ops[2][4] = {
        {X64_PUNPCKLBW, X64_PUNPCKLWD, X64_PUNPCKLDQ, X64_PUNPCKLQDQ},
        {X64_PUNPCKHBW, X64_PUNPCKHWD, X64_PUNPCKHDQ, X64_PUNPCKHQDQ}};
    uint8_t flip = bytes[0] & 16, lane[16];
    unsigned high = bytes[0] >> 3 & 1;
    for (unsigned log = 0; log < 4; log++) {
        unsigned n = 16u >> log;
        bool matches = regroup(bytes, n, lane);
        for (unsigned k = 0; k < n && matches; k++) {
            unsigned from = k / 2 + high * n / 2 + k % 2 * n;
            matches = lane[k] == (from ^ (flip >> log));
        }
        if (matches) {
            *s = (Shuffle){ops[high][log], flip != 0, false, 0};
            return true;
        }
    }
    return false;
}

/* A window of both, one behind the other. */
static bool match_window(const uint8_t *bytes, Shuffle *s)
{
    uint8_t flip = bytes[0] & 16, first = bytes[0] & 15;
    for (unsigned k = 0; k < 16; k++)
        if ((bytes[k] ^ flip) != first + k)
            return false;
    *s = (Shuffle){X64_PALIGNR, flip == 0, true, first};
    return true;
}

/* Each word, where it is, from either. */
static bool match_blend(const uint8_t *bytes, Shuffle *s)
{
    uint8_t lane[8], mask = 0;
    if (!regroup(bytes, 8, lane))
        return false;
    for (unsigned k = 0; k < 8; k++) {
        if (lane[k] % 8 != k)
            return false;
        mask |= (uint8_t)(lane[k] / 8 << k);
    }
    *s = (Shuffle){X64_PBLENDW, false, true, mask};
    return true;
}

/* Two doublewords of one, then two of another. */
static bool match_pairs(const uint8_t *bytes, Shuffle *s)
{
    uint8_t lane[4];
    if (!regroup(bytes, 4, lane) || (lane[0] ^ lane[1]) & 4
        || (lane[2] ^ lane[3]) & 4 || !((lane[0] ^ lane[2]) & 4))
        return false;
    unsigned imm = 0;
    for (unsigned k = 0; k < 4; k++)
        imm |= (lane[k] & 3u) << 2 * k;
    *s = (Shuffle){X64_SHUFPS, lane[0] & 4, true, (uint8_t)imm};
    return true;
}

/* Doublewords, or words of one half, of a alone. */
static bool match_single(const uint8_t *bytes, Shuffle *s)
{
    static const uint16_t ops[] = {X64_PSHUFD, X64_PSHUFLW, X64_PSHUFHW};
    uint8_t lane[8];
    for (unsigned kind = 0; kind < 3; kind++) {
        unsigned n = kind == 0 ? 4 : 8, first = kind == 2 ? 4 : 0, imm = 0;
        if (!regroup(bytes, n, lane))
            continue;
        bool matches = true;
        for (unsigned k = 0; k < n; k++) {
            if (k < first || k >= first + 4)
                matches &= lane[k] == k;
            else
                matches &= lane[k] >= first && lane[k] < first + 4;
        }
        for (unsigned k = 0; k < 4; k++)
            imm |= (lane[first + k] & 3u) << 2 * k;
        if (matches) {
            *s = (Shuffle){ops[kind], false, true, (uint8_t)imm};
            return true;
        }
    }
    return false;
}

static bool find_shuffle(Compiler *c, const uint8_t *bytes, bool single,
                         Shuffle *s)
{
    if (single && match_single(bytes, s))
        return true;
    if (match_unpack(bytes, s))
        return true;
    if (match_pairs(bytes, s))
        return true;
    if (has(c, CPU_SSSE3) && !single && match_window(bytes, s))
        return true;
    return has(c, CPU_SSE41) && match_blend(bytes, s);
}

/* dst = the bytes of a that the lanes name as from .. from + 15, else 0. */
static void pick(Compiler *c, Reg dst, Reg a, const uint8_t *lanes,
                 uint8_t from)
{
    uint8_t mask[16];
    for (unsigned k = 0; k < 16; k++)
        mask[k] = (lanes[k] & 16) == from ? lanes[k] & 15 : 0x80;
    vop_m(c, X64_PSHUFB, dst, a, asm_const(&c->a, mask, 16));
}

static bool same_local(const Operand *a, const Operand *b)
{
    return a->place == AT_LOCAL && b->place == AT_LOCAL && a->value == b->value;
}

static void shuffle_one(Compiler *c, Operand *a, const uint8_t *lanes,
                        const Shuffle *s)
{
    Reg ra = use(c, a);
    Result r = result_reg(c, T_V128, a);
    if (s && s->has_imm)
        vop_i(c, s->op, r.reg, ra, ra, s->imm);
    else if (s)
        vop(c, s->op, r.reg, ra, ra);
    else
        pick(c, r.reg, ra, lanes, 0);
    release(c, a);
    result_done(c, r);
}

static void shuffle_two(Compiler *c, Operand *a, Operand *b,
                        const uint8_t *lanes, const Shuffle *s)
{
    Reg ra = use(c, a), rb = use(c, b);
    Result r = result_reg(c, T_V128, a->place == AT_REG ? a : b);
    if (!s) {
        pick(c, T, ra, lanes, 0);
        pick(c, r.reg, rb, lanes, 16);
        vop(c, X64_POR, r.reg, r.reg, T);
    } else {
        Reg first = s->swapped ? rb : ra, second = s->swapped ? ra : rb;
        if (s->has_imm)
            vop_i(c, s->op, r.reg, first, second, s->imm);
        else
            vop(c, s->op, r.reg, first, second);
    }
    release(c, a);
    release(c, b);
    result_done(c, r);
}

/* Which of both it takes bytes from: 1, 2, or 3 for both. */
static unsigned sources(const uint8_t *lanes)
{
    unsigned found = 0;
    for (unsigned k = 0; k < 16; k++)
        found |= lanes[k] & 16 ? 2 : 1;
    return found;
}

void emit_shuffle(Compiler *c, const Rule *rule)
{
    Operand *b = top(c), *a = b - 1;
    uint8_t lanes[16];
    memcpy(lanes, c->r.p, 16);
    unsigned from = same_local(a, b) ? 1 : sources(lanes);
    if (from != 3)
        for (unsigned k = 0; k < 16; k++)
            lanes[k] &= 15;
    Shuffle s;
    bool found = find_shuffle(c, lanes, from != 3, &s);
    if (!found && !has(c, CPU_SSSE3)) {
        emit_step(c, rule);
        return;
    }
    reader_bytes(&c->r, 16);
    Operand second = pop(c), first = pop(c);
    if (from == 3) {
        shuffle_two(c, &first, &second, lanes, found ? &s : NULL);
        return;
    }
    release(c, from == 1 ? &second : &first);
    shuffle_one(c, from == 1 ? &first : &second, lanes, found ? &s : NULL);
}

/* ---- memory */

static void release_access(Compiler *c, Reg temp, Operand *address)
{
    if (temp != NO_REG)
        free_reg(c, T_I64, temp);
    release(c, address);
}

/* x: extends 8 bytes; y: unpacks them where that is missing. */
void emit_load_extend(Compiler *c, const Rule *rule)
{
    Operand address = pop(c);
    Reg temp;
    Mem m = access_place(c, &address, 8, &temp);
    Result r = result_reg(c, T_V128, &address);
    bool can = x64_has(&c->a, rule->x);
    note_position(c, POSITION_ACCESS);
    x64_rm(&c->a, can ? rule->x : X64_MOVQ_X, r.reg, m);
    if (!can)
        simd_extend(c, r.reg, r.reg, rule);
    release_access(c, temp, &address);
    result_done(c, r);
}

void emit_load_splat(Compiler *c, const Rule *rule)
{
    static const uint16_t broadcasts[] = {[1] = X64_VPBROADCASTB,
                                          [2] = X64_VPBROADCASTW,
                                          [4] = X64_VBROADCASTSS,
                                          [8] = X64_MOVDDUP};
    static const uint16_t loads[] = {
        [1] = X64_MOVZX8, [2] = X64_MOVZX16, [4] = X64_MOVSS, [8] = X64_MOVSD};
    unsigned width = rule->flag;
    Operand address = pop(c);
    Reg temp;
    Mem m = access_place(c, &address, width, &temp);
    Result r = result_reg(c, T_V128, &address);
    bool direct = x64_has(&c->a, broadcasts[width]);
    note_position(c, POSITION_ACCESS);
    if (direct) {
        x64_rm(&c->a, broadcasts[width], r.reg, m);
    } else if (width >= 4) {
        x64_rm(&c->a, loads[width], r.reg, m);
    } else {
        x64_rm(&c->a, loads[width], SCRATCH, m);
        x64_rr(&c->a, X64_MOVD, r.reg, SCRATCH);
    }
    if (!direct)
        spread(c, r.reg, width);
    release_access(c, temp, &address);
    result_done(c, r);
}

/* x: inserts into lane 0 (y: into lane 1, of 8 bytes); flag: the bytes. */
void emit_load_lane(Compiler *c, const Rule *rule)
{
    unsigned width = rule->flag;
    Operand a = pop(c), address = pop(c);
    Reg temp;
    Mem m = access_place(c, &address, width, &temp);
    unsigned lane = reader_byte(&c->r);
    bool can = x64_has(&c->a, rule->x);
    Result r = result_reg(c, T_V128, can ? &a : NULL);
    if (can)
        load_into(c, &a, r.reg);
    note_position(c, POSITION_ACCESS);
    if (!can) {
        x64_rm(&c->a, width == 1 ? X64_MOVZX8 : X64_MOV32, SCRATCH, m);
        replace_in_slot(c, &a, r.reg, lane * width, width, SCRATCH);
    } else if (width == 8) {
        x64_rm(&c->a, lane ? rule->y : rule->x, r.reg, m);
    } else {
        x64_rmi(&c->a, rule->x, r.reg, m, (int32_t)lane);
    }
    release(c, &a);
    release_access(c, temp, &address);
    result_done(c, r);
}

/* x: extracts (of 8 bytes: lane 0; y: lane 1). */
void emit_store_lane(Compiler *c, const Rule *rule)
{
    unsigned width = rule->flag;
    Operand a = pop(c), address = pop(c);
    Reg ra = use(c, &a), temp;
    Mem m = access_place(c, &address, width, &temp);
    unsigned lane = reader_byte(&c->r);
    if (width == 8 || x64_has(&c->a, rule->x)) {
        note_position(c, POSITION_ACCESS);
        if (width == 8)
            x64_rm(&c->a, lane ? rule->y : rule->x, ra, m);
        else
            x64_rmi(&c->a, rule->x, ra, m, (int32_t)lane);
    } else {
        Reg t = alloc_int(c);
        x64_rr(&c->a, X64_MOVD_ST, lowered(c, ra, lane * width), t);
        note_position(c, POSITION_ACCESS);
        x64_rm(&c->a, int_stores[width], t, m);
        free_reg(c, T_I64, t);
    }
    release(c, &a);
    release_access(c, temp, &address);
}
