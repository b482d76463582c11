/* Operands, registers and the homes of locals. */
#include <stdlib.h>
#include <string.h>

#include "baseline/compiler.h"

/* ---- moves */

void move_reg(Compiler *c, uint8_t type, Reg to, Reg from)
{
    if (to == from)
        return;
    if (type_is_vec(type))
        x64_rr(&c->a, X64_MOVAPS, to, from);
    else
        x64_rr(&c->a, type_is_64(type) ? X64_MOV64 : X64_MOV32, to, from);
}

void load_reg(Compiler *c, uint8_t type, Reg to, Mem m)
{
    switch (type) {
    case T_I32: x64_rm(&c->a, X64_MOV32, to, m); break;
    case T_F32: x64_rm(&c->a, X64_MOVSS, to, m); break;
    case T_F64: x64_rm(&c->a, X64_MOVSD, to, m); break;
    case T_V128: x64_rm(&c->a, X64_MOVUPS, to, m); break;
    default: x64_rm(&c->a, X64_MOV64, to, m); break;
    }
}

/* Slots of i32 are written whole: helpers read 64 bits of them. */
void store_reg(Compiler *c, uint8_t type, Mem m, Reg from)
{
    switch (type) {
    case T_F32: x64_rm(&c->a, X64_MOVQ_ST, from, m); break;
    case T_F64: x64_rm(&c->a, X64_MOVSD_ST, from, m); break;
    case T_V128: x64_rm(&c->a, X64_MOVUPS_ST, from, m); break;
    default: x64_rm(&c->a, X64_MOV64_ST, from, m); break;
    }
}

void load_const(Compiler *c, uint8_t type, Reg to, uint64_t bits)
{
    if (!type_is_vec(type)) {
        x64_mov_imm64(&c->a, to, bits);
    } else if (bits == 0) {
        x64_sse(&c->a, X64_XORPS, to, to, to);
    } else if (type == T_F32) {
        uint32_t low = (uint32_t)bits;
        x64_rm(&c->a, X64_MOVSS, to, asm_const(&c->a, &low, 4));
    } else {
        x64_rm(&c->a, X64_MOVSD, to, asm_const(&c->a, &bits, 8));
    }
}

static void store_const(Compiler *c, Mem m, uint64_t bits)
{
    if ((uint64_t)(int64_t)(int32_t)bits == bits) {
        x64_mi(&c->a, X64_MOV64, m, (int32_t)bits);
    } else {
        x64_mov_imm64(&c->a, SCRATCH, bits);
        x64_rm(&c->a, X64_MOV64_ST, SCRATCH, m);
    }
}

/* ---- places in the frame */

Mem operand_slot(const Compiler *c, uint32_t h)
{
    return mem(RBP, 8 * (int32_t)h - c->operands);
}

static Mem slot_of_local(const Local *l)
{
    int32_t below = 8 * (int32_t)(l->slot + slots_of(l->type));
    return mem(RBP, -FRAME_FIXED - below);
}

Mem local_slot(const Compiler *c, uint32_t index)
{
    return slot_of_local(&c->locals[index]);
}

/* ---- the stack of operands
 *
 * Only the topmost WINDOW may be in registers or be locals: an operand that
 * sinks below is put in its slot.  So whatever looks for such operands looks
 * at few, however deep the stack. */

uint32_t window(const Compiler *c)
{
    enum { WINDOW = 64 };
    return c->depth > WINDOW ? c->depth - WINDOW : 0;
}

uint32_t height(const Compiler *c)
{
    if (c->depth == 0)
        return 0;
    const Operand *o = &c->stack[c->depth - 1];
    return o->height + slots_of(o->type);
}

Operand *push(Compiler *c, uint8_t type)
{
    uint32_t h = height(c);
    Operand *o = &c->stack[c->depth++]; /* room: max_height */
    uint32_t low = window(c);
    if (UNLIKELY(low) && c->stack[low - 1].place != AT_CONST)
        spill_range(c, low - 1, low);
    o->type = type;
    o->height = h;
    return o;
}

void push_const(Compiler *c, uint8_t type, uint64_t bits)
{
    Operand *o = push(c, type);
    o->place = AT_CONST;
    o->value = bits;
}

void push_reg(Compiler *c, uint8_t type, Reg reg)
{
    Operand *o = push(c, type);
    o->place = AT_REG;
    o->reg = reg;
}

void push_slot(Compiler *c, uint8_t type) { push(c, type)->place = AT_SLOT; }

void push_local(Compiler *c, uint32_t index)
{
    Operand *o = push(c, c->locals[index].type);
    o->place = AT_LOCAL;
    o->value = index;
    c->locals[index].refs++;
}

void push_flags(Compiler *c, uint8_t cond)
{
    Operand *o = push(c, T_I32);
    o->place = AT_FLAGS;
    o->cond = cond;
}

Operand pop(Compiler *c)
{
    Operand o = c->stack[--c->depth];
    if (o.place == AT_LOCAL)
        c->locals[o.value].refs--;
    return o;
}

/* ---- registers of the cache */

void free_reg(Compiler *c, uint8_t type, Reg r)
{
    if (type_is_vec(type))
        c->free_vecs |= 1u << r;
    else
        c->free_ints |= 1u << r;
}

void release(Compiler *c, const Operand *o)
{
    if (o->place == AT_REG)
        free_reg(c, o->type, o->reg);
}

static void spill(Compiler *c, Operand *o)
{
    store_reg(c, o->type, operand_slot(c, o->height), o->reg);
    free_reg(c, o->type, o->reg);
    o->place = AT_SLOT;
}

static void spill_lowest(Compiler *c, bool vec)
{
    for (uint32_t k = window(c); k < c->depth; k++) {
        Operand *o = &c->stack[k];
        if (o->place == AT_REG && type_is_vec(o->type) == vec) {
            spill(c, o);
            return;
        }
    }
    abort(); /* an instruction holds more registers than there are */
}

Reg alloc_int(Compiler *c)
{
    if (UNLIKELY(!c->free_ints))
        spill_lowest(c, false);
    Reg r = (Reg)__builtin_ctz(c->free_ints);
    c->free_ints &= ~(1u << r);
    return r;
}

Reg alloc_vec(Compiler *c)
{
    if (UNLIKELY(!c->free_vecs))
        spill_lowest(c, true);
    Reg r = (Reg)__builtin_ctz(c->free_vecs);
    c->free_vecs &= ~(1u << r);
    return r;
}

static Operand *owner(Compiler *c, bool vec, Reg r)
{
    for (uint32_t k = c->depth, low = window(c); k-- > low;) {
        Operand *o = &c->stack[k];
        if (o->place == AT_REG && o->reg == r && type_is_vec(o->type) == vec)
            return o;
    }
    return NULL;
}

void take_int(Compiler *c, Reg r)
{
    if (!(c->free_ints >> r & 1)) {
        Operand *o = owner(c, false, r);
        if (!o)
            abort(); /* a popped operand has it: the emitter's mistake */
        if (c->free_ints) {
            Reg to = alloc_int(c);
            move_reg(c, o->type, to, r);
            o->reg = to;
        } else {
            spill(c, o);
        }
    }
    c->free_ints &= ~(1u << r);
}

void take_vec(Compiler *c, Reg r)
{
    if (!(c->free_vecs >> r & 1)) {
        Operand *o = owner(c, true, r);
        if (!o)
            abort();
        if (c->free_vecs) {
            Reg to = alloc_vec(c);
            x64_rr(&c->a, X64_MOVAPS, to, r);
            o->reg = to;
        } else {
            spill(c, o);
        }
    }
    c->free_vecs &= ~(1u << r);
}

/* ---- reading operands */

static bool home_is_valid(const Compiler *c, const Local *l)
{
    return (type_is_vec(l->type) ? c->valid_vecs : c->valid_ints) >> l->home
           & 1;
}

static void validate_home(Compiler *c, const Local *l)
{
    if (home_is_valid(c, l))
        return;
    load_reg(c, l->type, l->home, slot_of_local(l));
    if (type_is_vec(l->type))
        c->valid_vecs |= 1u << l->home;
    else
        c->valid_ints |= 1u << l->home;
}

bool is_memory(const Compiler *c, const Operand *o)
{
    return o->place == AT_SLOT
           || (o->place == AT_LOCAL && c->locals[o->value].home == NO_REG);
}

Mem memory_of(const Compiler *c, const Operand *o)
{
    return o->place == AT_SLOT ? operand_slot(c, o->height)
                               : local_slot(c, (uint32_t)o->value);
}

/* Two flags say it: parity, and behind it zero, which the moves leave. */
static void setcc_float(Compiler *c, bool equal, Reg r)
{
    x64_setcc(&c->a, equal ? CC_NP : CC_P, r);
    x64_rr(&c->a, X64_MOVZX8, r, r);
    x64_cmov32_m(&c->a, CC_NE, r, asm_const32(&c->a, !equal));
}

static void setcc(Compiler *c, uint8_t cond, Reg r)
{
    if (cond == COND_FLOAT_EQ || cond == COND_FLOAT_NE) {
        setcc_float(c, cond == COND_FLOAT_EQ, r);
        return;
    }
    x64_setcc(&c->a, (Cond)cond, r);
    x64_rr(&c->a, X64_MOVZX8, r, r);
}

void load_into(Compiler *c, const Operand *o, Reg r)
{
    switch (o->place) {
    case AT_CONST: load_const(c, o->type, r, o->value); break;
    case AT_REG: move_reg(c, o->type, r, o->reg); break;
    case AT_SLOT: load_reg(c, o->type, r, operand_slot(c, o->height)); break;
    case AT_FLAGS: setcc(c, o->cond, r); break;
    case AT_LOCAL: {
        const Local *l = &c->locals[o->value];
        if (l->home != NO_REG && home_is_valid(c, l))
            move_reg(c, l->type, r, l->home);
        else
            load_reg(c, l->type, r, slot_of_local(l));
        break;
    }
    }
}

static Reg alloc(Compiler *c, uint8_t type)
{
    return type_is_vec(type) ? alloc_vec(c) : alloc_int(c);
}

Reg use(Compiler *c, Operand *o)
{
    if (o->place == AT_LOCAL) {
        const Local *l = &c->locals[o->value];
        if (l->home != NO_REG) {
            validate_home(c, l);
            return l->home;
        }
    }
    return own(c, o);
}

Reg own(Compiler *c, Operand *o)
{
    if (o->place == AT_REG)
        return o->reg;
    Reg r = alloc(c, o->type);
    load_into(c, o, r);
    o->place = AT_REG;
    o->reg = r;
    return r;
}

void store_to(Compiler *c, Operand *o, Mem m)
{
    if (o->place == AT_CONST) {
        store_const(c, m, o->value);
    } else if (o->place == AT_REG) {
        store_reg(c, o->type, m, o->reg);
    } else if (o->place == AT_LOCAL && !is_memory(c, o)) {
        store_reg(c, o->type, m, use(c, o));
    } else if (type_is_vec(o->type)) {
        load_into(c, o, VEC_SCRATCH);
        store_reg(c, o->type, m, VEC_SCRATCH);
    } else {
        load_into(c, o, SCRATCH);
        store_reg(c, o->type, m, SCRATCH);
    }
}

/* ---- results */

/* The local that the next instruction sets, if it has a home and a number of
 * one byte. */
static uint32_t next_local(const Compiler *c)
{
    const uint8_t *p = c->r.p;
    if ((p[0] == 0x21 || p[0] == 0x22) && p[1] < 0x80
        && c->locals[p[1]].home != NO_REG)
        return p[1];
    return NO_LOCAL;
}

Result result_reg(Compiler *c, uint8_t type, const Operand *reuse)
{
    uint32_t index = next_local(c);
    if (index != NO_LOCAL) {
        Local *l = &c->locals[index];
        detach_local(c, index);
        return (Result){l->home, type, index, c->r.p[0] == 0x22};
    }
    if (reuse && reuse->place == AT_REG
        && type_is_vec(reuse->type) == type_is_vec(type))
        return (Result){reuse->reg, type, NO_LOCAL, false};
    return (Result){alloc(c, type), type, NO_LOCAL, false};
}

static void home_written(Compiler *c, const Local *l)
{
    uint32_t bit = 1u << l->home;
    if (type_is_vec(l->type)) {
        c->valid_vecs |= bit;
        c->dirty_vecs |= bit;
    } else {
        c->valid_ints |= bit;
        c->dirty_ints |= bit;
    }
}

void result_done(Compiler *c, Result r)
{
    if (r.local == NO_LOCAL) {
        if (type_is_vec(r.type))
            c->free_vecs &= ~(1u << r.reg);
        else
            c->free_ints &= ~(1u << r.reg);
        push_reg(c, r.type, r.reg);
        return;
    }
    home_written(c, &c->locals[r.local]);
    c->r.p += 2;
    c->uncharged++;
    if (r.tee)
        push_local(c, r.local);
}

/* ---- locals */

static void move_off_local(Compiler *c, Operand *o)
{
    c->locals[o->value].refs--;
    if (type_is_vec(o->type) ? c->free_vecs : c->free_ints) {
        Reg r = alloc(c, o->type);
        load_into(c, o, r);
        o->place = AT_REG;
        o->reg = r;
        return;
    }
    store_to(c, o, operand_slot(c, o->height));
    o->place = AT_SLOT;
}

void detach_local(Compiler *c, uint32_t index)
{
    for (uint32_t k = c->depth; c->locals[index].refs > 0;) {
        Operand *o = &c->stack[--k];
        if (o->place == AT_LOCAL && o->value == index)
            move_off_local(c, o);
    }
}

void set_local(Compiler *c, uint32_t index, Operand o)
{
    Local *l = &c->locals[index];
    if (o.place == AT_LOCAL && o.value == index)
        return;
    detach_local(c, index);
    if (l->home == NO_REG) {
        store_to(c, &o, slot_of_local(l));
    } else {
        load_into(c, &o, l->home);
        home_written(c, l);
    }
    release(c, &o);
}

void spill_registers(Compiler *c)
{
    for (uint32_t k = window(c); k < c->depth; k++)
        if (c->stack[k].place == AT_REG)
            spill(c, &c->stack[k]);
}

void spill_all(Compiler *c)
{
    for (uint32_t k = window(c); k < c->depth; k++) {
        Operand *o = &c->stack[k];
        if (o->place == AT_REG) {
            spill(c, o);
        } else if (o->place == AT_LOCAL) {
            store_to(c, o, operand_slot(c, o->height));
            c->locals[o->value].refs--;
            release(c, o);
            o->place = AT_SLOT;
        }
    }
}

void spill_range(Compiler *c, uint32_t from, uint32_t to)
{
    c->work += to - from;
    for (uint32_t k = from; k < to; k++) {
        Operand *o = &c->stack[k];
        if (o->place == AT_SLOT)
            continue;
        store_to(c, o, operand_slot(c, o->height));
        if (o->place == AT_LOCAL)
            c->locals[o->value].refs--;
        release(c, o);
        o->place = AT_SLOT;
    }
}

void settle_flags(Compiler *c)
{
    if (c->depth == 0 || top(c)->place != AT_FLAGS)
        return;
    Operand *o = top(c);
    Reg r;
    if (c->free_ints) {
        r = alloc_int(c);
    } else { /* mov leaves the flags alone */
        spill_lowest(c, false);
        r = alloc_int(c);
    }
    setcc(c, o->cond, r);
    o->place = AT_REG;
    o->reg = r;
}

/* ---- homes */

#define KEPT_INTS (1u << RBX | 1u << R12 | 1u << R13)

#define FOR_BITS(r, set)                                                       \
    for (uint32_t bits_ = (set), r;                                            \
         bits_ && (r = (uint32_t)__builtin_ctz(bits_), 1); bits_ &= bits_ - 1)

void save_homes(Compiler *c)
{
    uint32_t ints = c->dirty_ints & c->home_ints & ~KEPT_INTS;
    FOR_BITS(r, ints)
    {
        const Local *l = &c->locals[c->home_of_int[r]];
        store_reg(c, l->type, slot_of_local(l), (Reg)r);
    }
    FOR_BITS(r, c->dirty_vecs & c->home_vecs)
    {
        const Local *l = &c->locals[c->home_of_vec[r]];
        store_reg(c, l->type, slot_of_local(l), (Reg)r);
    }
    c->dirty_ints &= KEPT_INTS;
    c->dirty_vecs = 0;
}

void forget_homes(Compiler *c)
{
    c->valid_ints &= KEPT_INTS;
    c->valid_vecs = 0;
}

void restore_homes(Compiler *c)
{
    FOR_BITS(r, c->home_ints & ~c->valid_ints)
    validate_home(c, &c->locals[c->home_of_int[r]]);
    FOR_BITS(r, c->home_vecs & ~c->valid_vecs)
    validate_home(c, &c->locals[c->home_of_vec[r]]);
}

void homes_at_label(Compiler *c)
{
    c->valid_ints = c->dirty_ints = c->home_ints;
    c->valid_vecs = c->dirty_vecs = c->home_vecs;
}
