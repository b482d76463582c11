/* An instruction is written left to right without asking which parts it has:
 * each part is stored, and the cursor advances by its length, which may be 0.
 *
 *   lock 66 f2 f3 | REX      | 0f 38 3a opcode | ModRM SIB disp | imm
 *                 | VEX, with the opcode map   |
 */
#include "target/x64/x64_row.h"

/* ---- the rows ---- */
/* clang-format off */
enum { P_NP = 0, P_66 = 0x66, P_F2 = 0xf2, P_F3 = 0xf3,
       P_LK = 0xf0, P_L66 = 0x66f0 };
enum { P_SIZE_NP = 0, P_SIZE_66 = 1, P_SIZE_F2 = 1, P_SIZE_F3 = 1,
       P_SIZE_LK = 1, P_SIZE_L66 = 2 };
enum { PP_NP, PP_66, PP_F3, PP_F2, PP_LK = 0, PP_L66 = 0 };

enum { MAP_B1, MAP_0F, MAP_38, MAP_3A };
enum { HEAD_B1 = 0, HEAD_0F = 0x0f, HEAD_38 = 0x380f, HEAD_3A = 0x3a0f };
enum { HEAD_SIZE_B1 = 0, HEAD_SIZE_0F = 1,
       HEAD_SIZE_38 = 2, HEAD_SIZE_3A = 2 };

/* The operands' kinds: byte register, xmm, 16 aligned bytes, immediate; what a
 * write does. */
#define KIND(k, byte, xmm, load16, imm, write) \
    K8_##k = byte, KX_##k = xmm, K16_##k = load16, KI_##k = imm, \
    KW_##k = WRITES_##write,
enum {
    KIND(N,     0, 0, 0, 4, NOTHING)
    KIND(G8,    4, 0, 0, 1, LOW)
    KIND(G16,   0, 0, 0, 2, LOW)
    KIND(G32,   0, 0, 0, 4, 32)
    KIND(G64,   0, 0, 0, 4, 64)
    KIND(G32M1, 0, 0, 0, 4, 32)
    KIND(G32M2, 0, 0, 0, 4, 32)
    KIND(M,     0, 0, 0, 4, NOTHING)
    KIND(M1,    0, 0, 0, 1, NOTHING)
    KIND(M2,    0, 0, 0, 2, NOTHING)
    KIND(M4,    0, 0, 0, 4, NOTHING)
    KIND(M8,    0, 0, 0, 4, NOTHING)
    KIND(X,     0, 1, 0, 4, NOTHING)
    KIND(X1,    0, 1, 0, 4, NOTHING)
    KIND(X2,    0, 1, 0, 4, NOTHING)
    KIND(X4,    0, 1, 0, 4, NOTHING)
    KIND(X8,    0, 1, 0, 4, NOTHING)
    KIND(X16,   0, 1, 1, 4, NOTHING)
    KIND(U16,   0, 1, 0, 4, NOTHING)
};

/* Which operand of a form is written: 3 always, 2 if bit 1 of the opcode is
 * set, 1 if it is not. */
#define FORM(form, reg, rm) WR_##form = reg, WM_##form = rm,
enum {
    FORM(RR, 3, 0)   FORM(RRI, 3, 0)  FORM(IMUL, 3, 0)  FORM(VR, 3, 0)
    FORM(ALU, 2, 1)  FORM(MOV, 2, 1)  FORM(TEST, 0, 0)  FORM(BT, 0, 0)
    FORM(R, 0, 3)    FORM(PUSH, 0, 3) FORM(SHIFT, 0, 3) FORM(XI, 0, 3)
};
/* Group 1 with digit 7 compares. */
#define WRITES(writes, form, op, d) \
    (writes >> ((op) >> 1 & 1) & 1 & !(FORM_##form == FORM_ALU && (d) == 7))

/* vex_if, three, commutes, v in registers, v in memory */
#define VEX(v, when, three, commutes, in_register, in_memory) \
    VI_##v = when, V3_##v = three, VC_##v = commutes, \
    VR_##v = in_register, VM_##v = in_memory,
enum {
    VEX(NO,  0,          0, 0, 0,  0)
    VEX(V2,  CPU_AVX,    0, 0, 0,  0)
    VEX(V3,  CPU_AVX,    1, 0, 15, 15)
    VEX(C3,  CPU_AVX,    1, 1, 15, 15)
    VEX(L3,  CPU_AVX,    1, 0, 15, 0)
    VEX(O2,  CPU_ALWAYS, 0, 0, 0,  0)
    VEX(O3,  CPU_ALWAYS, 1, 0, 15, 15)
    VEX(O3I, CPU_ALWAYS, 1, 0, 15, 15)
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const X64Row x64_rows[X64_COUNT] = {
#define X64(name, text, pre, map, op, d, w_, reg, rm, form_, vex, cpu_) \
    [X64_##name] = { \
        .head = HEAD_##map | (uint32_t)(op) << (8 * HEAD_SIZE_##map), \
        .head_length = HEAD_SIZE_##map + 1, .opcode = op, .digit = d, \
        .prefix = P_##pre, .prefix_length = P_SIZE_##pre, .w = 8 * w_, \
        .form = FORM_##form_, .reg8 = K8_##reg, .rm8 = K8_##rm, \
        .vex_map = MAP_##map, .vex_pp = PP_##pre, .imm_size = KI_##rm, \
        .v_in_register = VR_##vex, .v_in_memory = VM_##vex, \
        .sse = KX_##reg != 0 || KX_##rm != 0 || VI_##vex != 0, \
        .commutes = VC_##vex != 0, .three = V3_##vex != 0, \
        .rm_xmm = KX_##rm != 0, .aligned_load = K16_##rm != 0, \
        .reg_write = WRITES(WR_##form_, form_, op, d) * KW_##reg, \
        .rm_write = WRITES(WM_##form_, form_, op, d) * KW_##rm, \
        .vex_if = VI_##vex, .cpu = CPU_##cpu_, \
    },
#include "target/x64/x64.def"
#undef X64
    /* Writes that the columns do not tell: */
#define ROW_WRITES(op, reg, rm, and) \
    [X64_##op].reg_write = WRITES_##reg, [X64_##op].rm_write = WRITES_##rm, \
    [X64_##op].also = ALSO_##and,
    ROW_WRITES(MOVD_ST, NOTHING, 32, NOTHING)
    ROW_WRITES(MOVQ_ST, NOTHING, 64, NOTHING)
    ROW_WRITES(PEXTRB, NOTHING, 32, NOTHING)
    ROW_WRITES(PEXTRW, NOTHING, 32, NOTHING)
    ROW_WRITES(PEXTRD, NOTHING, 32, NOTHING)
    ROW_WRITES(PEXTRQ, NOTHING, 64, NOTHING)
    ROW_WRITES(EXTRACTPS, NOTHING, 32, NOTHING)
    ROW_WRITES(BSF32, LOW, NOTHING, NOTHING) /* of zero: nothing */
    ROW_WRITES(BSR32, LOW, NOTHING, NOTHING)
    ROW_WRITES(SHLD32, NOTHING, 32, NOTHING)
    ROW_WRITES(SHLD64, NOTHING, 64, NOTHING)
    ROW_WRITES(SHRD32, NOTHING, 32, NOTHING)
    ROW_WRITES(SHRD64, NOTHING, 64, NOTHING)
    ROW_WRITES(XCHG8, LOW, LOW, NOTHING)
    ROW_WRITES(XCHG16, LOW, LOW, NOTHING)
    ROW_WRITES(XCHG32, 32, 32, NOTHING)
    ROW_WRITES(XCHG64, 64, 64, NOTHING)
    ROW_WRITES(LOCK_CMPXCHG8, NOTHING, NOTHING, RAX)
    ROW_WRITES(LOCK_CMPXCHG16, NOTHING, NOTHING, RAX)
    ROW_WRITES(LOCK_CMPXCHG32, NOTHING, NOTHING, RAX)
    ROW_WRITES(LOCK_CMPXCHG64, NOTHING, NOTHING, RAX)
    ROW_WRITES(MULX32, 32, NOTHING, V)
    ROW_WRITES(MULX64, 64, NOTHING, V)
    ROW_WRITES(MUL32, NOTHING, NOTHING, RAX_RDX)
    ROW_WRITES(MUL64, NOTHING, NOTHING, RAX_RDX)
    ROW_WRITES(IMUL1_32, NOTHING, NOTHING, RAX_RDX)
    ROW_WRITES(IMUL1_64, NOTHING, NOTHING, RAX_RDX)
    ROW_WRITES(DIV32, NOTHING, NOTHING, RAX_RDX)
    ROW_WRITES(DIV64, NOTHING, NOTHING, RAX_RDX)
    ROW_WRITES(IDIV32, NOTHING, NOTHING, RAX_RDX)
    ROW_WRITES(IDIV64, NOTHING, NOTHING, RAX_RDX)
    ROW_WRITES(PUSH, NOTHING, NOTHING, NOTHING)
    ROW_WRITES(CALL, NOTHING, NOTHING, LEAVES)
    ROW_WRITES(JMP, NOTHING, NOTHING, LEAVES)
    ROW_WRITES(LEA64, 64, NOTHING, ADDRESS)
    ROW_WRITES(BT32, NOTHING, NOTHING, BITS)
    ROW_WRITES(BT64, NOTHING, NOTHING, BITS)
#undef ROW_WRITES
    [X64_MOV64].moves64 = true,
    [X64_MOV64_ST].moves64 = true,
};
#pragma GCC diagnostic pop
/* clang-format on */

/* ---- what the guard sees ---- */

#define RARE(condition) __builtin_expect((condition) != 0, 0)

static void see_also(Assembler *a, const X64Row *row, Reg reg)
{
    GuardWrite w = row->w ? WRITES_64 : WRITES_32;
    switch (row->also) {
    case ALSO_RAX: /* if it was equal, nothing is written */
        guard_write(&a->guard, RAX, row->w ? WRITES_64 : WRITES_LOW);
        break;
    case ALSO_RAX_RDX:
        guard_write(&a->guard, RAX, w);
        guard_write(&a->guard, RDX, w);
        break;
    case ALSO_V: guard_write(&a->guard, reg, w); break;
    default: guard_leave(&a->guard);
    }
}

static void see_memory_also(Assembler *a, const X64Row *row, Reg reg, Mem m)
{
    if (row->also == ALSO_ADDRESS)
        guard_address(&a->guard, reg, m);
    else if (row->also != ALSO_BITS)
        see_also(a, row, reg);
    else if (m.kind == MEM_GUEST)
        guard_refuse(&a->guard, "bt looks beyond its operand");
}

static inline void see_registers(Assembler *a, const X64Row *row, Reg reg,
                                 Reg rm)
{
    guard_write(&a->guard, reg, row->reg_write);
    if (RARE(row->rm_write))
        guard_write(&a->guard, rm, row->rm_write);
}

static inline void see_memory(Assembler *a, X64Op op, const X64Row *row,
                              Reg reg, Mem m)
{
    guard_operand(&a->guard, m);
    if (RARE(row->moves64 & a->guard.watched >> reg)) {
        guard_move(&a->guard, op == X64_MOV64, reg, m);
        return;
    }
    guard_write(&a->guard, reg, row->reg_write);
    if (RARE(row->also))
        see_memory_also(a, row, reg, m);
}

/* ---- parts ----
 * p is where the instruction begins, n the bytes that it has so far: the
 * parts return the new n.  So instructions depend on each other by one
 * addition only. */

static inline size_t put_head(uint8_t *p, const X64Row *row, unsigned rex,
                              unsigned needs_rex, uint32_t head,
                              unsigned head_length)
{
    size_t n = row->prefix_length;
    put16(p, row->prefix);
    p[n] = (uint8_t)(0x40 | rex);
    n += needs_rex != 0;
    put32(p + n, head);
    return n + head_length;
}

/* x and b are not zero if index and rm are r8 or above. */
static inline size_t put_vex(uint8_t *p, const X64Row *row, unsigned reg,
                             unsigned v, unsigned x, unsigned b)
{
    unsigned r = (~reg & 8) << 4, last = (~v & 15) << 3 | row->vex_pp;
    unsigned xb = (x ? 0u : 0x40u) | (b ? 0u : 0x20u);
    uint32_t two = 0xc5 | (r | last) << 8 | (uint32_t)row->opcode << 16;
    uint32_t three = 0xc4 | (r | xb | row->vex_map) << 8
                     | ((unsigned)row->w << 4 | last) << 16
                     | (uint32_t)row->opcode << 24;
    bool is_long = (row->vex_map ^ MAP_0F) | row->w | x | b;
    put32(p, is_long ? three : two);
    return 3 + (size_t)is_long;
}

static inline size_t put_modrm(uint8_t *p, size_t n, unsigned reg, unsigned rm)
{
    p[n] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    return n + 1;
}

/* As the SIB byte names them: 4 is no index, and base 5 may mean none. */
static inline unsigned no_reg_is(Reg r, unsigned instead)
{
    return r ^ ((0u - (r >> 7)) & (NO_REG ^ instead));
}
static inline unsigned index_of(Mem m)
{
    assert(m.index != RSP);
    return no_reg_is(m.index, RSP);
}
static inline unsigned base_of(Mem m) { return no_reg_is(m.base, RBP); }

/* Without a base: [rip + label], [index << scale + disp32], [disp32]. */
static size_t put_baseless(Assembler *a, uint8_t *p, size_t n, unsigned reg,
                           Mem m, unsigned tail)
{
    unsigned r = (reg & 7) << 3;
    if (m.kind == MEM_RIP) {
        p[n] = (uint8_t)(r | 5);
        asm_refer(a, p + n + 1, (Label)m.disp, tail);
        return n + 5;
    }
    p[n] = (uint8_t)(r | 4);
    p[n + 1] = (uint8_t)((unsigned)m.scale << 6 | (index_of(m) & 7) << 3 | 5);
    put32(p + n + 2, (uint32_t)m.disp);
    return n + 6;
}

/* ModRM, SIB and displacement; tail bytes of immediate follow. */
static inline size_t put_mem(Assembler *a, uint8_t *p, size_t n, unsigned reg,
                             Mem m, unsigned tail)
{
    if (m.base == NO_REG)
        return put_baseless(a, p, n, reg, m, tail);
    unsigned base = m.base & 7, index = index_of(m);
    unsigned sib = (index != RSP) | (base == RSP);
    /* The mode is the length of the displacement: 0, 1, or 2 for 4. */
    unsigned some = (m.disp != 0) | (base == RBP), wide = !fits8(m.disp);
    unsigned mode = some << wide;
    p[n] = (uint8_t)(mode << 6 | (reg & 7) << 3 | (sib ? RSP : base));
    p[n + 1] = (uint8_t)((unsigned)m.scale << 6 | (index & 7) << 3 | base);
    n += 1 + sib;
    put32(p + n, (uint32_t)m.disp);
    return n + mode * mode;
}

/* 0, 1, 2 or 4 bytes. */
static inline size_t put_imm(uint8_t *p, size_t n, int32_t imm, unsigned size)
{
    put32(p + n, (uint32_t)imm);
    return n + size;
}

/* The whole but its immediate, in the row's legacy form with another head. */
static inline size_t put_legacy_r(uint8_t *p, const X64Row *row, unsigned reg,
                                  unsigned rm, uint32_t head,
                                  unsigned head_length)
{
    unsigned rex = row->w | (reg >> 3) << 2 | rm >> 3;
    unsigned bytes = (row->reg8 & reg) | (row->rm8 & rm);
    size_t n = put_head(p, row, rex, rex | bytes, head, head_length);
    return put_modrm(p, n, reg, rm);
}

static inline size_t put_legacy_m(Assembler *a, uint8_t *p, const X64Row *row,
                                  unsigned reg, Mem m, uint32_t head,
                                  unsigned head_length, unsigned tail)
{
    unsigned rex =
        row->w | (reg >> 3) << 2 | (index_of(m) >> 3) << 1 | base_of(m) >> 3;
    size_t n =
        put_head(p, row, rex, rex | (row->reg8 & reg), head, head_length);
    return put_mem(a, p, n, reg, m, tail);
}

/* The same in the form that the processor has. */
static inline size_t put_rvr(const Assembler *a, uint8_t *p, const X64Row *row,
                             unsigned reg, unsigned v, unsigned rm)
{
    if (!x64_uses_vex(a, row))
        return put_legacy_r(p, row, reg, rm, row->head, row->head_length);
    return put_modrm(p, put_vex(p, row, reg, v, 0, rm & 8), reg, rm);
}

static inline size_t put_rvm(Assembler *a, uint8_t *p, const X64Row *row,
                             unsigned reg, unsigned v, Mem m, unsigned tail)
{
    if (!x64_uses_vex(a, row))
        return put_legacy_m(a, p, row, reg, m, row->head, row->head_length,
                            tail);
    size_t n = put_vex(p, row, reg, v, index_of(m) & 8, base_of(m) & 8);
    return put_mem(a, p, n, reg, m, tail);
}

bool x64_has(const Assembler *a, X64Op op)
{
    return (x64_rows[op].cpu & ~a->cpu) == 0;
}

/* ---- two operands ---- */

/* Without VEX, 16 bytes at any address go through the scratch register;
 * true: they did. */
static bool load_unaligned(Assembler *a, const X64Row *row, Mem m)
{
    if (!row->aligned_load || m.kind == MEM_RIP || x64_uses_vex(a, row))
        return false;
    x64_rm(a, X64_MOVUPS, a->scratch, m);
    return true;
}

/* Whether reg is a source too; load_unaligned must not overwrite it then. */
static inline bool reads_reg(const X64Row *row)
{
    return row->three || !row->vex_if || row == &x64_rows[X64_PTEST];
}

static void rr_sse(Assembler *a, const X64Row *row, Reg reg, Reg rm)
{
    uint8_t *p = a->at;
    asm_advance(a, row->form == FORM_VR
                       ? put_rvr(a, p, row, row->digit, reg, rm)
                       : put_rvr(a, p, row, reg, reg & row->v_in_register, rm));
}

void x64_rr(Assembler *a, X64Op op, Reg reg, Reg rm)
{
    const X64Row *row = x64_row(a, op);
    assert(row->form <= FORM_TWO_LAST);
    see_registers(a, row, reg, rm);
    if (row->sse) {
        rr_sse(a, row, reg, rm);
        return;
    }
    uint8_t *p = a->at;
    asm_advance(a, put_legacy_r(p, row, reg, rm, row->head, row->head_length));
}

static void rm_sse(Assembler *a, const X64Row *row, Reg reg, Mem m)
{
    if (load_unaligned(a, row, m)) {
        assert(reg != a->scratch || !reads_reg(row));
        rr_sse(a, row, reg, a->scratch);
        return;
    }
    uint8_t *p = a->at;
    asm_advance(a, row->form == FORM_VR
                       ? put_rvm(a, p, row, row->digit, reg, m, 0)
                       : put_rvm(a, p, row, reg, reg & row->v_in_memory, m, 0));
}

void x64_rm(Assembler *a, X64Op op, Reg reg, Mem m)
{
    const X64Row *row = x64_row(a, op);
    assert(row->form <= FORM_TWO_LAST);
    see_memory(a, op, row, reg, m);
    if (row->sse) {
        rm_sse(a, row, reg, m);
        return;
    }
    uint8_t *p = a->at;
    asm_advance(
        a, put_legacy_m(a, p, row, reg, m, row->head, row->head_length, 0));
}

/* ---- three operands, and immediates behind two ---- */

void x64_rvr(Assembler *a, X64Op op, Reg reg, Reg v, Reg rm)
{
    const X64Row *row = x64_row(a, op);
    assert(x64_uses_vex(a, row) && row->three && row->form == FORM_RR);
    uint8_t *p = a->at;
    see_registers(a, row, reg, rm);
    if (RARE(row->also))
        see_also(a, row, v);
    asm_advance(a, put_rvr(a, p, row, reg, v, rm));
}

void x64_rvm(Assembler *a, X64Op op, Reg reg, Reg v, Mem m)
{
    const X64Row *row = x64_row(a, op);
    assert(x64_uses_vex(a, row) && row->three && row->form == FORM_RR);
    uint8_t *p = a->at;
    guard_operand(&a->guard, m);
    guard_write(&a->guard, reg, row->reg_write);
    if (RARE(row->also))
        see_also(a, row, v);
    asm_advance(a, put_rvm(a, p, row, reg, v, m, 0));
}

void x64_rvri(Assembler *a, X64Op op, Reg reg, Reg v, Reg rm, uint8_t imm)
{
    const X64Row *row = x64_row(a, op);
    assert(x64_uses_vex(a, row) && row->three && row->form == FORM_RRI);
    uint8_t *p = a->at;
    asm_advance(a, put_imm(p, put_rvr(a, p, row, reg, v, rm), imm, 1));
}

void x64_rvmi(Assembler *a, X64Op op, Reg reg, Reg v, Mem m, uint8_t imm)
{
    const X64Row *row = x64_row(a, op);
    assert(x64_uses_vex(a, row) && row->three && row->form == FORM_RRI);
    uint8_t *p = a->at;
    guard_operand(&a->guard, m);
    asm_advance(a, put_imm(p, put_rvm(a, p, row, reg, v, m, 1), imm, 1));
}

void x64_rri(Assembler *a, X64Op op, Reg reg, Reg rm, int32_t imm)
{
    const X64Row *row = x64_row(a, op);
    uint8_t *p = a->at;
    see_registers(a, row, reg, rm);
    if (row->form == FORM_IMUL) {
        bool small = fits8(imm);
        size_t n = put_legacy_r(p, row, reg, rm, small ? 0x6b : 0x69, 1);
        asm_advance(a, put_imm(p, n, imm, small ? 1 : 4));
        return;
    }
    assert(row->form == FORM_RRI);
    size_t n = put_rvr(a, p, row, reg, reg & row->v_in_register, rm);
    asm_advance(a, put_imm(p, n, imm, 1));
}

static void imul_rmi(Assembler *a, const X64Row *row, Reg reg, Mem m,
                     int32_t imm)
{
    uint8_t *p = a->at;
    unsigned size = fits8(imm) ? 1 : 4, head = fits8(imm) ? 0x6b : 0x69;
    size_t n = put_legacy_m(a, p, row, reg, m, head, 1, size);
    asm_advance(a, put_imm(p, n, imm, size));
}

void x64_rmi(Assembler *a, X64Op op, Reg reg, Mem m, int32_t imm)
{
    const X64Row *row = x64_row(a, op);
    guard_operand(&a->guard, m);
    guard_write(&a->guard, reg, row->reg_write);
    if (row->form == FORM_IMUL) {
        imul_rmi(a, row, reg, m, imm);
        return;
    }
    assert(row->form == FORM_RRI);
    if (load_unaligned(a, row, m)) {
        assert(reg != a->scratch || !reads_reg(row));
        x64_rri(a, op, reg, a->scratch, imm);
        return;
    }
    uint8_t *p = a->at;
    size_t n = put_rvm(a, p, row, reg, reg & row->v_in_memory, m, 1);
    asm_advance(a, put_imm(p, n, imm, 1));
}

/* ---- one operand and an immediate ---- */

/* The form with an immediate of a row: other bytes, and its size. */
typedef struct {
    uint32_t head;
    uint8_t head_length, digit, size;
} ImmForm;

static inline ImmForm imm_form(const X64Row *row, int32_t imm)
{
    uint8_t size = row->imm_size, digit = row->digit, one = size == 1;
    switch (row->form) {
    case FORM_ALU: {
        uint8_t small = fits8(imm) & !one;
        return (ImmForm){(0x81u - one) + 2u * small, 1, digit,
                         small ? 1 : size};
    }
    case FORM_MOV: return (ImmForm){0xc7u - one, 1, 0, size};
    case FORM_TEST: return (ImmForm){0xf7u - one, 1, 0, size};
    case FORM_BT: return (ImmForm){0xba0f, 2, digit, 1};
    case FORM_XI: return (ImmForm){row->head, 2, digit, 1};
    default:
        assert(row->form == FORM_SHIFT);
        if (imm == 1)
            return (ImmForm){0xd1, 1, digit, 0};
        return (ImmForm){0xc1, 1, digit, 1};
    }
}

static inline void put_digit_ri(Assembler *a, const X64Row *row, Reg rm,
                                int32_t imm)
{
    ImmForm f = imm_form(row, imm);
    uint8_t *p = a->at;
    unsigned rex = row->w | rm >> 3;
    size_t n =
        put_head(p, row, rex, rex | (row->rm8 & rm), f.head, f.head_length);
    n = put_modrm(p, n, f.digit, rm);
    asm_advance(a, put_imm(p, n, imm, f.size));
}

/* Without ModRM: in rax with an immediate that needs more than a byte. */
static void put_rax_i(Assembler *a, const X64Row *row, uint32_t opcode,
                      int32_t imm)
{
    uint8_t *p = a->at;
    size_t n = put_head(p, row, row->w, row->w, opcode, 1);
    asm_advance(a, put_imm(p, n, imm, row->imm_size));
}

/* A byte is enough for the bits below the sign, with the same flags. */
static void test_ri(Assembler *a, const X64Row *row, Reg rm, int32_t imm)
{
    if (imm >= 0 && fits8(imm))
        row = &x64_rows[X64_TEST8];
    if (rm == RAX)
        put_rax_i(a, row, row->imm_size == 1 ? 0xa8 : 0xa9, imm);
    else
        put_digit_ri(a, row, rm, imm);
}

static void alu_ri(Assembler *a, const X64Row *row, Reg rm, int32_t imm)
{
    uint32_t rax_opcode = 8u * row->digit + (row->imm_size == 1 ? 4 : 5);
    if (rm == RAX && (row->imm_size == 1 || !fits8(imm)))
        put_rax_i(a, row, rax_opcode, imm);
    else
        put_digit_ri(a, row, rm, imm);
}

void x64_ri(Assembler *a, X64Op op, Reg rm, int32_t imm)
{
    const X64Row *row = x64_row(a, op);
    guard_write(&a->guard, rm, row->reg_write | row->rm_write);
    switch (row->form) {
    case FORM_ALU: alu_ri(a, row, rm, imm); break;
    case FORM_TEST: test_ri(a, row, rm, imm); break;
    case FORM_IMUL: x64_rri(a, op, rm, rm, imm); break;
    case FORM_XI: x64_sse_shift(a, op, rm, rm, (uint8_t)imm); break;
    case FORM_MOV:
        if (row->imm_size == 4) {
            x64_mov_imm64(a, rm, row->w ? (uint64_t)imm : (uint32_t)imm);
            break;
        }
        put_digit_ri(a, row, rm, imm);
        break;
    default: put_digit_ri(a, row, rm, imm);
    }
}

void x64_mi(Assembler *a, X64Op op, Mem m, int32_t imm)
{
    const X64Row *row = x64_row(a, op);
    assert(row->form != FORM_XI && row->form != FORM_IMUL);
    guard_operand(&a->guard, m);
    ImmForm f = imm_form(row, imm);
    uint8_t *p = a->at;
    unsigned rex = row->w | (index_of(m) >> 3) << 1 | base_of(m) >> 3;
    size_t n = put_head(p, row, rex, rex, f.head, f.head_length);
    n = put_mem(a, p, n, f.digit, m, f.size);
    asm_advance(a, put_imm(p, n, imm, f.size));
}

/* Without VEX the source is moved first. */
void x64_sse_shift(Assembler *a, X64Op op, Reg dst, Reg src, uint8_t imm)
{
    const X64Row *row = x64_row(a, op);
    assert(row->form == FORM_XI);
    if (!x64_uses_vex(a, row)) {
        if (dst != src)
            x64_rr(a, X64_MOVAPS, dst, src);
        put_digit_ri(a, row, dst, imm);
        return;
    }
    uint8_t *p = a->at;
    asm_advance(a,
                put_imm(p, put_rvr(a, p, row, row->digit, dst, src), imm, 1));
}

/* ---- one operand ---- */

void x64_r(Assembler *a, X64Op op, Reg rm)
{
    const X64Row *row = x64_row(a, op);
    uint8_t *p = a->at;
    guard_write(&a->guard, rm, row->rm_write);
    if (RARE(row->also))
        see_also(a, row, rm);
    if (row->form == FORM_PUSH) {
        uint8_t opcode = op == X64_PUSH ? 0x50 : 0x58;
        asm_advance(a,
                    put_head(p, row, rm >> 3, rm >> 3, opcode | (rm & 7), 1));
        return;
    }
    assert(row->form == FORM_R || row->form == FORM_SHIFT);
    asm_advance(a, put_legacy_r(p, row, row->digit, rm, row->head, 1));
}

void x64_m(Assembler *a, X64Op op, Mem m)
{
    const X64Row *row = x64_row(a, op);
    assert(row->form == FORM_PUSH || row->form == FORM_R
           || row->form == FORM_SHIFT);
    guard_operand(&a->guard, m);
    if (RARE(row->also))
        see_also(a, row, 0);
    uint8_t *p = a->at;
    asm_advance(a, put_legacy_m(a, p, row, row->digit, m, row->head, 1, 0));
}

/* ---- without a row ---- */

/* The rows of a condition differ from these in their opcode alone. */
#define CONDITION_HEAD(opcode, cc) (0x0fu | ((opcode) + (unsigned)(cc)) << 8)

void x64_setcc(Assembler *a, Cond cc, Reg reg)
{
    uint8_t *p = a->at;
    guard_write(&a->guard, reg, WRITES_LOW);
    asm_advance(a, put_legacy_r(p, &x64_rows[X64_MOV8], 0, reg,
                                CONDITION_HEAD(0x90, cc), 2));
}

void x64_cmov32(Assembler *a, Cond cc, Reg dst, Reg src)
{
    uint8_t *p = a->at;
    guard_write(&a->guard, dst, WRITES_32);
    asm_advance(a, put_legacy_r(p, &x64_rows[X64_MOV32], dst, src,
                                CONDITION_HEAD(0x40, cc), 2));
}

void x64_cmov64(Assembler *a, Cond cc, Reg dst, Reg src)
{
    uint8_t *p = a->at;
    guard_write(&a->guard, dst, WRITES_64);
    asm_advance(a, put_legacy_r(p, &x64_rows[X64_MOV64], dst, src,
                                CONDITION_HEAD(0x40, cc), 2));
}

void x64_cmov32_m(Assembler *a, Cond cc, Reg dst, Mem src)
{
    uint8_t *p = a->at;
    guard_operand(&a->guard, src);
    guard_write(&a->guard, dst, WRITES_32);
    asm_advance(a, put_legacy_m(a, p, &x64_rows[X64_MOV32], dst, src,
                                CONDITION_HEAD(0x40, cc), 2, 0));
}

void x64_cmov64_m(Assembler *a, Cond cc, Reg dst, Mem src)
{
    uint8_t *p = a->at;
    guard_operand(&a->guard, src);
    guard_write(&a->guard, dst, WRITES_64);
    asm_advance(a, put_legacy_m(a, p, &x64_rows[X64_MOV64], dst, src,
                                CONDITION_HEAD(0x40, cc), 2, 0));
}

void x64_mov_imm64(Assembler *a, Reg reg, uint64_t imm)
{
    uint8_t *p = a->at;
    uint8_t opcode = (uint8_t)(0xb8 | (reg & 7)), b = reg >> 3;
    guard_write(&a->guard, reg, imm <= UINT32_MAX ? WRITES_32 : WRITES_64);
    if (imm <= UINT32_MAX) {
        p[0] = 0x41;
        p[b] = opcode;
        put32(p + b + 1, (uint32_t)imm);
        asm_advance(a, 5 + b);
    } else if ((int64_t)imm == (int32_t)imm) {
        p[0] = 0x48 | b;
        p[1] = 0xc7;
        p[2] = (uint8_t)(0xc0 | (reg & 7));
        put32(p + 3, (uint32_t)imm);
        asm_advance(a, 7);
    } else {
        p[0] = 0x48 | b;
        p[1] = opcode;
        put64(p + 2, imm);
        asm_advance(a, 10);
    }
}

static void put_plain(Assembler *a, uint32_t bytes, unsigned length)
{
    put32(a->at, bytes);
    asm_advance(a, length);
}

void x64_ret(Assembler *a)
{
    put_plain(a, 0xc3, 1);
    guard_leave(&a->guard);
}

void x64_ret_n(Assembler *a, unsigned n)
{
    put_plain(a, 0xc2 | n << 8, 3);
    guard_leave(&a->guard);
}

void x64_cdq(Assembler *a)
{
    put_plain(a, 0x99, 1);
    guard_write(&a->guard, RDX, WRITES_32);
}

void x64_cqo(Assembler *a)
{
    put_plain(a, 0x9948, 2);
    guard_write(&a->guard, RDX, WRITES_64);
}

void x64_rep_stosq(Assembler *a)
{
    put_plain(a, 0xab48f3, 3);
    guard_write(&a->guard, RDI, WRITES_64);
    guard_write(&a->guard, RCX, WRITES_64);
}

void x64_ud2(Assembler *a) { put_plain(a, 0x0b0f, 2); }
void x64_int3(Assembler *a) { put_plain(a, 0xcc, 1); }
void x64_pause(Assembler *a) { put_plain(a, 0x90f3, 2); }
void x64_mfence(Assembler *a) { put_plain(a, 0xf0ae0f, 3); }
void x64_lfence(Assembler *a) { put_plain(a, 0xe8ae0f, 3); }
void x64_vzeroupper(Assembler *a) { put_plain(a, 0x77f8c5, 3); }

void x64_nop(Assembler *a, unsigned bytes)
{
    /* Intel's manual, volume 2, "NOP". */
    static const uint8_t nops[9][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0},
        {0x0f, 0x1f, 0x44, 0, 0},
        {0x66, 0x0f, 0x1f, 0x44, 0, 0},
        {0x0f, 0x1f, 0x80, 0, 0, 0, 0},
        {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
        {0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
    };
    while (bytes) {
        unsigned n = bytes < 9 ? bytes : 9;
        memcpy(a->at, nops[n - 1], 9);
        asm_advance(a, n);
        bytes -= n;
    }
}
