/* Atomic accesses, sequentially consistent: loads are plain, stores exchange.
 *
 * Bounds come before alignment, as in the interpreter.  Where guards stand for
 * bounds, a misaligned access is tried first, and faults or not.
 */
#include "baseline/compiler.h"

static const uint16_t loads[] = {
    [1] = X64_MOVZX8, [2] = X64_MOVZX16, [4] = X64_MOV32, [8] = X64_MOV64};
static const uint16_t swaps[] = {[1] = X64_LOCK_CMPXCHG8,
                                 [2] = X64_LOCK_CMPXCHG16,
                                 [4] = X64_LOCK_CMPXCHG32,
                                 [8] = X64_LOCK_CMPXCHG64};

static void access_rm(Compiler *c, unsigned op, Reg r, Mem m)
{
    note_position(c, POSITION_ACCESS);
    x64_rm(&c->a, (X64Op)op, r, m);
}

/* ---- alignment */

static void trap_misaligned(Compiler *c, Mem place, uint32_t width,
                            bool guarded)
{
    static const uint16_t reads[] = {
        [2] = X64_CMP16, [4] = X64_CMP32, [8] = X64_CMP64};
    if (guarded) {
        note_position(c, POSITION_ACCESS);
        x64_mi(&c->a, reads[width], place, 0);
    }
    trap_now(c, ERR_UNALIGNED);
}

/* The flags say whether the address and the offset make a multiple; r11 may
 * be the place's index: then it is their sum. */
static void test_alignment(Compiler *c, Operand *address, uint64_t offset,
                           Mem place, uint32_t width)
{
    int32_t low = (int32_t)(offset & (width - 1)), mask = (int32_t)width - 1;
    if (place.index == SCRATCH) {
        x64_ri(&c->a, X64_TEST32, SCRATCH, mask);
        return;
    }
    Reg r = use(c, address);
    if (low == 0) {
        x64_ri(&c->a, X64_TEST32, r, mask);
        return;
    }
    x64_rm(&c->a, X64_LEA32, SCRATCH, mem(r, low));
    x64_ri(&c->a, X64_TEST32, SCRATCH, mask);
}

static Mem aligned_place(Compiler *c, Operand *address, uint32_t width,
                         Reg *temp)
{
    MemArg m = read_memarg(c);
    Mem place = access_at(c, &m, address, width, temp);
    bool guarded = *temp == NO_REG;
    if (width == 1)
        return place;
    if (address->place == AT_CONST) {
        if ((address->value + m.offset) & (width - 1))
            trap_misaligned(c, place, width, guarded);
        return place;
    }
    test_alignment(c, address, m.offset, place, width);
    if (guarded) {
        uint32_t past = x64_jcc_short(&c->a, CC_E);
        trap_misaligned(c, place, width, true);
        x64_land(&c->a, past);
    } else {
        trap_if(c, CC_NE, ERR_UNALIGNED);
    }
    return place;
}

static void release_access(Compiler *c, Reg temp, const Operand *address)
{
    if (temp != NO_REG)
        free_reg(c, T_I64, temp);
    release(c, address);
}

/* The place in r11, and no register besides. */
static Mem place_in_scratch(Compiler *c, Operand *address, uint32_t width)
{
    Reg temp;
    Mem place = aligned_place(c, address, width, &temp), in_scratch;
    if (place.kind == MEM_GUEST && place.index != NO_REG) {
        in_scratch = mem_guest(SCRATCH, NO_REG, place.disp);
        place.disp = 0; /* as target/x64/guard.h wants it */
    } else if (place.kind == MEM_GUEST) {
        return place;
    } else {
        in_scratch = mem(SCRATCH, 0);
    }
    x64_rm(&c->a, X64_LEA64, SCRATCH, place);
    release_access(c, temp, address);
    return in_scratch;
}

/* ---- loads and stores.  x: the instruction; y: bytes. */

void emit_atomic_load(Compiler *c, const Rule *rule)
{
    Operand address = pop(c);
    Reg temp;
    Mem place = aligned_place(c, &address, rule->y, &temp);
    Result r = result_reg(c, rule->out, &address);
    access_rm(c, rule->x, r.reg, place);
    release_access(c, temp, &address);
    result_done(c, r);
}

void emit_atomic_store(Compiler *c, const Rule *rule)
{
    Operand value = pop(c), address = pop(c);
    Reg v = own(c, &value), temp;
    Mem place = aligned_place(c, &address, rule->y, &temp);
    access_rm(c, rule->x, v, place);
    release(c, &value);
    release_access(c, temp, &address);
}

/* ---- read-modify-write */

/* x: exchanges, or adds and gives what was there; flag: subtraction. */
void emit_atomic_exchange(Compiler *c, const Rule *rule)
{
    Operand value = pop(c), address = pop(c);
    Reg v = own(c, &value), temp;
    if (rule->flag)
        x64_r(&c->a, X64_NEG64, v);
    Mem place = aligned_place(c, &address, rule->y, &temp);
    access_rm(c, rule->x, v, place);
    if (rule->y < 4)
        x64_rr(&c->a, loads[rule->y], v, v);
    release_access(c, temp, &address);
    push_reg(c, rule->out, v);
}

/* A popped operand to another register, if it is in rax; rax is taken. */
static void vacate_rax(Compiler *c, Operand *o)
{
    if (o->place != AT_REG || o->reg != RAX) {
        take_int(c, RAX);
        return;
    }
    Reg to = alloc_int(c);
    x64_rr(&c->a, X64_MOV64, to, RAX);
    o->reg = to;
}

/* x: and, or, xor. */
void emit_atomic_logic(Compiler *c, const Rule *rule)
{
    Operand value = pop(c), address = pop(c);
    Mem place = place_in_scratch(c, &address, rule->y);
    vacate_rax(c, &value);
    Reg v = use(c, &value), t = alloc_int(c);
    Label again = asm_label(&c->a);
    access_rm(c, loads[rule->y], RAX, place);
    guard_forget(&c->a.guard, ~FACTS_OF(t));
    asm_bind(&c->a, again);
    x64_rr(&c->a, X64_MOV64, t, RAX);
    x64_rr(&c->a, rule->x, t, v);
    access_rm(c, swaps[rule->y], t, place);
    x64_jcc(&c->a, CC_NE, again);
    free_reg(c, T_I64, t);
    release(c, &value);
    push_reg(c, rule->out, RAX);
}

/* A narrow access is never equal to what has more bits: jumps then. */
static void jump_if_wider(Compiler *c, const Rule *rule, const Operand *known,
                          Label wider)
{
    uint32_t width = rule->y;
    if (width == (rule->out == T_I64 ? 8 : 4))
        return;
    if (known->place == AT_CONST) {
        if (known->value >> 8 * width)
            x64_jmp(&c->a, wider);
        return;
    }
    Reg t = alloc_int(c);
    x64_rr(&c->a, loads[width], t, RAX);
    x64_rr(&c->a, X64_CMP64, t, RAX);
    x64_jcc(&c->a, CC_NE, wider);
    free_reg(c, T_I64, t);
}

void emit_atomic_cmpxchg(Compiler *c, const Rule *rule)
{
    Operand value = pop(c), expected = pop(c), address = pop(c);
    Operand known = expected;
    Mem place = place_in_scratch(c, &address, rule->y);
    if (expected.place != AT_REG || expected.reg != RAX) {
        vacate_rax(c, &value);
        load_into(c, &expected, RAX);
        release(c, &expected);
    }
    Reg v = use(c, &value);
    Label wider = asm_label(&c->a), done = asm_label(&c->a);
    jump_if_wider(c, rule, &known, wider);
    access_rm(c, swaps[rule->y], v, place);
    x64_jmp(&c->a, done);
    asm_bind(&c->a, wider);
    access_rm(c, loads[rule->y], RAX, place);
    asm_bind(&c->a, done);
    release(c, &value);
    push_reg(c, rule->out, RAX);
}

void emit_atomic_fence(Compiler *c, const Rule *rule)
{
    (void)rule;
    reader_byte(&c->r);
    x64_mfence(&c->a);
}
