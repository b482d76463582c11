/* Locals, globals, constants, references, select; and memory accesses. */
#include <string.h>

#include "baseline/compiler.h"
#include "wasm/walk.h"

/* ---- locals */

void emit_local_get(Compiler *c, const Rule *rule)
{
    (void)rule;
    push_local(c, reader_u32(&c->r));
}

/* x: 1 for local.tee. */
void emit_local_set(Compiler *c, const Rule *rule)
{
    uint32_t index = reader_u32(&c->r);
    Operand o = pop(c);
    set_local(c, index, o);
    if (rule->x)
        push_local(c, index);
}

/* ---- globals */

static void load_global(Compiler *c, Reg to, uint32_t index)
{
    x64_rm(&c->a, X64_MOV64, to,
           mem(CONTEXT, (int32_t)(c->layout.globals + 8 * (uint64_t)index)));
}

void emit_global_get(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t index = reader_u32(&c->r);
    uint8_t type = kind_of(c->m->globals[index].type);
    Result r = result_reg(c, type, NULL);
    Reg at = type_is_vec(type) ? SCRATCH : r.reg;
    load_global(c, at, index);
    load_reg(c, type, r.reg, FIELD(at, Global, value));
    result_done(c, r);
}

void emit_global_set(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t index = reader_u32(&c->r);
    Operand o = pop(c);
    Reg r = use(c, &o);
    load_global(c, SCRATCH, index);
    store_reg(c, o.type, FIELD(SCRATCH, Global, value), r);
    release(c, &o);
}

/* ---- constants, references */

void emit_const(Compiler *c, const Rule *rule)
{
    uint32_t low;
    uint64_t bits;
    switch (rule->out) {
    case T_I32: push_const(c, T_I32, (uint32_t)reader_s32(&c->r)); return;
    case T_I64: push_const(c, T_I64, (uint64_t)reader_s64(&c->r)); return;
    case T_F32:
        memcpy(&low, reader_bytes(&c->r, 4), 4);
        push_const(c, T_F32, low);
        return;
    case T_F64:
        memcpy(&bits, reader_bytes(&c->r, 8), 8);
        push_const(c, T_F64, bits);
        return;
    default: {
        Mem value = asm_const(&c->a, reader_bytes(&c->r, 16), 16);
        Result r = result_reg(c, T_V128, NULL);
        x64_rm(&c->a, X64_MOVUPS, r.reg, value);
        result_done(c, r);
        return;
    }
    }
}

void emit_ref_null(Compiler *c, const Rule *rule)
{
    (void)rule;
    reader_s33(&c->r);
    push_const(c, KIND_REF_NULL, 0);
}

void emit_ref_is_null(Compiler *c, const Rule *rule) { emit_eqz(c, rule); }

void emit_convert_ref(Compiler *c, const Rule *rule)
{
    (void)c;
    (void)rule;
}

/* ---- parametric */

void emit_drop(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand o = pop(c);
    release(c, &o);
}

static uint8_t test_condition(Compiler *c, Operand *o)
{
    if (o->place == AT_FLAGS && o->cond < COND_FLOAT_EQ)
        return o->cond;
    if (is_memory(c, o)) {
        x64_mi(&c->a, X64_CMP32, memory_of(c, o), 0);
    } else {
        Reg r = use(c, o);
        x64_rr(&c->a, X64_TEST32, r, r);
    }
    release(c, o);
    return CC_NE;
}

/* After the test only moves, which leave the flags. */
void emit_select(Compiler *c, const Rule *rule)
{
    if (rule->x)
        walk_skip(&c->r, c->op);
    Operand condition = pop(c), b = pop(c), a = pop(c);
    uint8_t cond = test_condition(c, &condition);
    Reg dst = own(c, &a);
    if (type_is_vec(a.type)) {
        uint32_t past = x64_jcc_short(&c->a, (Cond)cond);
        load_into(c, &b, dst);
        x64_land(&c->a, past);
    } else {
        uint8_t otherwise = cond_invert(cond);
        bool wide = type_is_64(a.type);
        if (is_memory(c, &b)) {
            Mem m = memory_of(c, &b);
            if (wide)
                x64_cmov64_m(&c->a, (Cond)otherwise, dst, m);
            else
                x64_cmov32_m(&c->a, (Cond)otherwise, dst, m);
        } else {
            Reg rb = use(c, &b);
            if (wide)
                x64_cmov64(&c->a, (Cond)otherwise, dst, rb);
            else
                x64_cmov32(&c->a, (Cond)otherwise, dst, rb);
        }
    }
    release(c, &b);
    push_reg(c, a.type, dst);
}

/* ---- memory.  In the guarded forms the address, 32 bits zero-extended, is
 * the index, and what is outside faults; otherwise it is compared.  What is
 * allowed in the guarded forms is in target/x64/guard.h. */

MemArg read_memarg(Compiler *c)
{
    MemArg m = {0};
    if (reader_u32(&c->r) & 0x40)
        m.memory = reader_u32(&c->r);
    m.offset = reader_u64(&c->r);
    m.type = &c->m->memories[m.memory];
    return m;
}

static bool is_guarded(const Compiler *c, const MemArg *m)
{
    return m->memory == 0 && c->config->memory0 != MEMORY_EXPLICIT
           && !m->type->limits.is64 && m->type->page_log2 == 16;
}

enum { DISP_MAX = INT32_MAX - 64 };

/* The sum of address and offset is in r11 if it may be no displacement. */
static Mem guarded(Compiler *c, Operand *address, uint64_t offset)
{
    if (address->place == AT_CONST) {
        uint64_t ea = (uint32_t)address->value + offset;
        if (ea <= DISP_MAX)
            return mem_guest(MEMORY_BASE, NO_REG, (int32_t)ea);
    }
    Reg r = use(c, address);
    if (offset <= DISP_MAX)
        return mem_guest(MEMORY_BASE, r, (int32_t)offset);
    x64_mov_imm64(&c->a, SCRATCH, offset);
    x64_rr(&c->a, X64_ADD32, SCRATCH, r);
    trap_if(c, CC_B, ERR_MEMORY_BOUNDS); /* no memory has 4 GiB and a byte */
    return mem_guest(MEMORY_BASE, SCRATCH, 0);
}

/* r11 = the register + n; traps if that wraps around. */
static void add_to_scratch(Compiler *c, Reg r, uint64_t n, bool is64)
{
    if (!is64 && n <= DISP_MAX) {
        x64_rm(&c->a, X64_LEA64, SCRATCH, mem(r, (int32_t)n));
        return;
    }
    x64_mov_imm64(&c->a, SCRATCH, n);
    x64_rr(&c->a, X64_ADD64, SCRATCH, r);
    if (is64)
        trap_if(c, CC_B, ERR_MEMORY_BOUNDS);
}

void load_memory_data(Compiler *c, uint32_t index, Reg to)
{
    if (index == 0) {
        x64_rm(&c->a, X64_MOV64, to, FIELD(CONTEXT, Instance, memory0));
        return;
    }
    uint64_t at = c->layout.memories + 8 * (uint64_t)index;
    x64_rm(&c->a, X64_MOV64, to, mem(CONTEXT, (int32_t)at));
    x64_rm(&c->a, X64_MOV64, to, FIELD(to, Memory, data));
}

/* The memory's record, then its base, is in *temp. */
static Mem checked(Compiler *c, Operand *address, const MemArg *m,
                   uint32_t width, Reg *temp)
{
    Reg r = use(c, address), t = *temp = alloc_int(c);
    bool is64 = m->type->limits.is64;
    load_memory_data(c, m->memory, t);
    uint64_t end = m->offset + width;
    if (end < m->offset) {
        trap_now(c, ERR_MEMORY_BOUNDS);
        return mem(t, 0);
    }
    add_to_scratch(c, r, end, is64);
    x64_rm(&c->a, X64_CMP64, SCRATCH, FIELD(t, MemoryData, size));
    trap_if(c, CC_A, ERR_MEMORY_BOUNDS);
    x64_rm(&c->a, X64_MOV64, t, FIELD(t, MemoryData, base));
    if (m->offset <= DISP_MAX)
        return mem_index(t, r, 0, (int32_t)m->offset);
    add_to_scratch(c, r, m->offset, false);
    return mem_index(t, SCRATCH, 0, 0);
}

Mem access_at(Compiler *c, const MemArg *m, Operand *address, uint32_t width,
              Reg *temp)
{
    *temp = NO_REG;
    if (is_guarded(c, m))
        return guarded(c, address, m->offset);
    return checked(c, address, m, width, temp);
}

Mem access_place(Compiler *c, Operand *address, uint32_t width, Reg *temp)
{
    MemArg m = read_memarg(c);
    return access_at(c, &m, address, width, temp);
}

/* x: the instruction; y: bytes. */
void emit_load(Compiler *c, const Rule *rule)
{
    Operand address = pop(c);
    Reg temp;
    Mem m = access_place(c, &address, rule->y, &temp);
    Result r = result_reg(c, rule->out, &address);
    note_position(c, POSITION_ACCESS);
    x64_rm(&c->a, rule->x, r.reg, m);
    if (temp != NO_REG)
        free_reg(c, T_I64, temp);
    release(c, &address);
    result_done(c, r);
}

/* x: the instruction; y: bytes; flag: the integer form for constants. */
void emit_store(Compiler *c, const Rule *rule)
{
    Operand value = pop(c), address = pop(c);
    bool immediate =
        value.place == AT_CONST && value.type != T_V128
        && (rule->y < 8
            || (uint64_t)(int64_t)(int32_t)value.value == value.value);
    Reg v = immediate ? NO_REG : use(c, &value);
    Reg temp;
    Mem m = access_place(c, &address, rule->y, &temp);
    note_position(c, POSITION_ACCESS);
    if (immediate) {
        static const uint16_t forms[] = {
            [1] = X64_MOV8, [2] = X64_MOV16, [4] = X64_MOV32, [8] = X64_MOV64};
        int32_t low = (int32_t)(uint32_t)value.value;
        if (rule->y < 4)
            low = rule->y == 1 ? (int8_t)low : (int16_t)low;
        x64_mi(&c->a, forms[rule->y], m, low);
    } else {
        x64_rm(&c->a, rule->x, v, m);
    }
    if (temp != NO_REG)
        free_reg(c, T_I64, temp);
    release(c, &value);
    release(c, &address);
}
