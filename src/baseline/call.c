/* Entry, exit and calls. */
#include <stdlib.h>
#include <string.h>

#include "baseline/compiler.h"

/* ---- what the access verifier is told: target/x64/guard.h */

static const GuardLayout layout = {
    offsetof(Instance, memory0),
    offsetof(MemoryData, base),
    {[RBX] = -24, [R12] = -32, [R13] = -40, [R14] = -8},
};

#define FACTS_CALLER (FACT_KEPT(RBX) | FACT_KEPT(R12) | FACT_KEPT(R13))

static const Reg kept_regs[] = {RBX, R12, R13};

static bool is_kept(const Compiler *c, Reg r)
{
    return c->has_handlers || (c->home_ints >> r & 1);
}

static Facts facts_kept(const Compiler *c) /* over calls */
{
    return c->own | FACTS_OF(RBX) | FACTS_OF(R12) | FACTS_OF(R13) | FACTS_SAVED;
}

/* The least that holds on every way to the head of a loop, be it a landing. */
static Facts facts_at_loops(const Compiler *c)
{
    Facts facts = c->own | FACT_SAVED(CONTEXT);
    for (unsigned k = 0; k < 3; k++)
        facts |= is_kept(c, kept_regs[k]) ? FACT_SAVED(kept_regs[k])
                                          : FACT_KEPT(kept_regs[k]);
    for (Reg r = 0; r < 16; r++)
        if (c->home_ints >> r & 1 && c->locals[c->home_of_int[r]].type == T_I32)
            facts |= FACT_U32(r);
    return facts;
}

static void begin_guard(Compiler *c)
{
    c->own = FACT_KEPT(CONTEXT);
    if (c->config->memory0 != MEMORY_EXPLICIT)
        c->own |= FACT_BASE(MEMORY_BASE);
    c->at_loops = facts_at_loops(c);
    guard_begin(&c->a.guard, &layout,
                c->own | FACTS_CALLER | abi_size(&c->f->type->func).i32_args);
}

static void announce(Compiler *c, GuardExit exit, Facts more)
{
    exit.needs |= more;
    guard_announce(&c->a.guard, exit);
}

static void announce_end(Compiler *c, Facts values)
{
    guard_announce(&c->a.guard,
                   (GuardExit){c->own | FACTS_CALLER | values, 0, FACTS_ALL});
}

/* ---- helpers */

static void announce_helper(Compiler *c, unsigned helper)
{
    GuardExit e = {c->own, facts_kept(c), 0};
    if (helper == HELPER_CHECK || helper == HELPER_MATCH)
        e.keeps = ~FACTS_OF(SCRATCH);
    if (helper == HELPER_FAIL || helper == HELPER_THROW
        || helper == HELPER_RETHROW)
        e.gives = FACTS_ALL; /* it does not return */
    guard_announce(&c->a.guard, e);
}

void call_helper(Compiler *c, unsigned helper)
{
    announce_helper(c, helper);
    x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(CONTEXT, Instance, helpers));
    x64_m(&c->a, X64_CALL, mem(SCRATCH, 8 * (int32_t)helper));
    note_position(c, 0);
}

void load_memory_base(Compiler *c)
{
    if (c->config->memory0 == MEMORY_EXPLICIT)
        return;
    x64_rm(&c->a, X64_MOV64, MEMORY_BASE, FIELD(CONTEXT, Instance, memory0));
    x64_rm(&c->a, X64_MOV64, MEMORY_BASE, FIELD(MEMORY_BASE, MemoryData, base));
}

static void restore_context(Compiler *c)
{
    x64_rm(&c->a, X64_MOV64, CONTEXT, mem(RBP, layout.slots[CONTEXT]));
    load_memory_base(c);
}

void compile_landing(Compiler *c) { restore_context(c); }

void call_step(Compiler *c, Op op, uint32_t offset, uint32_t top_height)
{
    spill_registers(c);
    save_homes(c);
    x64_rr(&c->a, X64_MOV64, RDI, CONTEXT);
    x64_rm(&c->a, X64_MOV64, RSI, FIELD(CONTEXT, Instance, bytes));
    x64_rm(&c->a, X64_LEA64, RSI, mem(RSI, (int32_t)offset));
    x64_rm(&c->a, X64_LEA64, RDX, operand_slot(c, top_height));
    call_helper(c, HELPER_STEP + (unsigned)op);
    forget_homes(c);
}

/* ---- moving values to where the convention wants them */

typedef struct {
    Operand value;
    AbiLoc to;
} Move;

/* A register that holds the operand now, or NO_REG. */
Reg source_of(const Compiler *c, const Operand *o)
{
    if (o->place == AT_REG)
        return o->reg;
    if (o->place != AT_LOCAL)
        return NO_REG;
    const Local *l = &c->locals[o->value];
    if (l->home == NO_REG)
        return NO_REG;
    uint32_t valid = type_is_vec(l->type) ? c->valid_vecs : c->valid_ints;
    return valid >> l->home & 1 ? l->home : NO_REG;
}

static bool is_source(const Move *moves, const Reg *sources, uint32_t n, Reg r,
                      bool vec)
{
    for (uint32_t k = 0; k < n; k++)
        if (sources[k] == r && type_is_vec(moves[k].value.type) == vec)
            return true;
    return false;
}

/* Registers to registers, all at once; r11 and xmm7 break cycles. */
static void move_registers(Compiler *c, Move *moves, Reg *sources, uint32_t n)
{
    for (;;) {
        bool moved = false, left = false;
        for (uint32_t k = 0; k < n; k++) {
            if (sources[k] == NO_REG)
                continue;
            bool vec = moves[k].to.place == IN_VEC;
            Reg from = sources[k];
            sources[k] = NO_REG;
            if (from != moves[k].to.reg
                && is_source(moves, sources, n, moves[k].to.reg, vec)) {
                sources[k] = from;
                left = true;
                continue;
            }
            move_reg(c, moves[k].value.type, moves[k].to.reg, from);
            moved = true;
        }
        if (!left)
            return;
        if (moved)
            continue;
        for (uint32_t k = 0; k < n; k++) {
            if (sources[k] == NO_REG)
                continue;
            bool vec = moves[k].to.place == IN_VEC;
            Reg from = sources[k], scratch = vec ? VEC_SCRATCH : SCRATCH;
            move_reg(c, vec ? T_V128 : T_I64, scratch, from);
            for (uint32_t j = 0; j < n; j++)
                if (sources[j] == from && (moves[j].to.place == IN_VEC) == vec)
                    sources[j] = scratch;
            break;
        }
    }
}

/* Those in registers first, in memory last; n of them, at most 15 to
 * registers. */
enum { MOST_MOVES = 20 };

/* Sends the topmost n operands on their way and pops them.  area: register
 * relative place of those that go to memory. */
static void send_values(Compiler *c, uint32_t n, const Type *types,
                        AbiLoc next(AbiCursor *, Type), Reg area_base,
                        int32_t area_offset)
{
    Move moves[MOST_MOVES];
    Reg sources[MOST_MOVES];
    uint32_t n_moves = 0;
    AbiCursor cursor = {0};
    Operand *first = &c->stack[c->depth - n];
    for (uint32_t k = 0; k < n; k++) {
        AbiLoc to = next(&cursor, types[k]);
        if (to.place == IN_MEMORY)
            store_to(c, &first[k],
                     mem(area_base, area_offset + (int32_t)to.offset));
        else
            moves[n_moves++] = (Move){first[k], to};
    }
    uint32_t in_registers = 0;
    for (uint32_t k = 0; k < n_moves; k++) {
        sources[k] = source_of(c, &moves[k].value);
        in_registers += sources[k] != NO_REG;
    }
    if (in_registers) {
        Reg left[MOST_MOVES];
        memcpy(left, sources, sizeof left);
        move_registers(c, moves, left, n_moves);
    }
    for (uint32_t k = 0; k < n_moves; k++) {
        Operand *o = &moves[k].value;
        if (sources[k] != NO_REG)
            continue;
        if (o->place == AT_LOCAL)
            load_reg(c, o->type, moves[k].to.reg,
                     local_slot(c, (uint32_t)o->value));
        else
            load_into(c, o, moves[k].to.reg);
    }
    while (n-- > 0) {
        Operand o = pop(c);
        release(c, &o);
    }
}

/* ---- entry */

/* All slots from that one on; few ones are zeroed one by one. */
static void zero_slots(Compiler *c, uint32_t first)
{
    uint32_t n = c->f->local_slots - first;
    Mem lowest = mem(RBP, -FRAME_FIXED - 8 * (int32_t)c->f->local_slots);
    static const Reg saved[] = {RDI, RCX, RAX};
    for (unsigned k = 0; k < 3; k++) /* parameters come in them */
        x64_r(&c->a, X64_PUSH, saved[k]);
    x64_rm(&c->a, X64_LEA64, RDI, lowest);
    x64_mov_imm64(&c->a, RCX, n);
    x64_mov_imm64(&c->a, RAX, 0);
    x64_rep_stosq(&c->a);
    for (unsigned k = 3; k-- > 0;)
        x64_r(&c->a, X64_POP, saved[k]);
}

enum { FEW_SLOTS = 24 };

static void zero_locals(Compiler *c)
{
    const FuncType *t = &c->f->type->func;
    uint32_t slot = t->param_slots;
    bool few = c->f->local_slots - slot <= FEW_SLOTS;
    if (!few)
        zero_slots(c, slot);
    for (uint32_t k = t->n_params; k < c->n_locals; k++) {
        const Local *l = &c->locals[k];
        slot = l->slot + slots_of(l->type);
        if (l->home != NO_REG)
            load_const(c, l->type, l->home, 0);
        else if (few && l->type != T_V128)
            x64_mi(&c->a, X64_MOV64, local_slot(c, k), 0);
        else if (few)
            for (int32_t half = 0; half < 2; half++)
                x64_mi(&c->a, X64_MOV64,
                       mem(RBP, local_slot(c, k).disp + 8 * half), 0);
    }
    /* Hidden ones, of exceptions. */
    for (; few && slot < c->f->local_slots; slot++)
        x64_mi(&c->a, X64_MOV64,
               mem(RBP, -FRAME_FIXED - 8 * (int32_t)(slot + 1)), 0);
}

/* So many fit in what is always left of the stack. */
enum { FEW_BYTES = 2048 };

static void compile_stack_check(Compiler *c)
{
    Label slow = asm_label(&c->a), back = asm_label(&c->a);
    asm_bind(&c->a, back);
    x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(CONTEXT, Instance, e.store));
    if (c->frame <= FEW_BYTES) {
        x64_rm(&c->a, X64_CMP64, RSP, FIELD(SCRATCH, Store, native_limit));
    } else {
        /* In front of the frame's making: rsp may be anywhere above it. */
        x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(SCRATCH, Store, native_limit));
        x64_ri(&c->a, X64_ADD64, SCRATCH, c->frame);
        x64_jcc(&c->a, CC_B, slow); /* an interrupt: all ones */
        x64_rr(&c->a, X64_CMP64, RSP, SCRATCH);
    }
    x64_jcc(&c->a, CC_B, slow);
    add_aside(c, ASIDE_CHECK, slow, back);
}

/* Parameters to their homes and slots. */
static void receive_parameters(Compiler *c)
{
    const FuncType *t = &c->f->type->func;
    AbiCursor cursor = {0};
    Move moves[MOST_MOVES];
    Reg sources[MOST_MOVES];
    uint32_t n_moves = 0;
    for (uint32_t k = 0; k < t->n_params; k++) {
        AbiLoc from = abi_param(&cursor, t->types[k]);
        const Local *l = &c->locals[k];
        if (from.place == IN_MEMORY)
            continue;
        if (l->home == NO_REG) {
            store_reg(c, l->type, local_slot(c, k), from.reg);
        } else {
            AbiLoc to = {from.place, l->home, 0};
            moves[n_moves].value.type = l->type;
            moves[n_moves].to = to;
            sources[n_moves++] = from.reg;
        }
    }
    AbiSize size = abi_size(t);
    if (size.results) {
        Mem kept = mem(RBP, -16);
        if (size.area.place == IN_INT) {
            x64_rm(&c->a, X64_MOV64_ST, size.area.reg, kept);
        } else {
            x64_rm(&c->a, X64_MOV64, SCRATCH,
                   mem(RBP, 16 + (int32_t)size.area.offset));
            x64_rm(&c->a, X64_MOV64_ST, SCRATCH, kept);
        }
    }
    move_registers(c, moves, sources, n_moves);
    cursor = (AbiCursor){0};
    for (uint32_t k = 0; k < t->n_params; k++) {
        AbiLoc from = abi_param(&cursor, t->types[k]);
        const Local *l = &c->locals[k];
        if (from.place != IN_MEMORY)
            continue;
        Mem m = mem(RBP, 16 + (int32_t)from.offset);
        if (l->home != NO_REG) {
            load_reg(c, l->type, l->home, m);
        } else if (type_is_vec(l->type)) {
            load_reg(c, l->type, VEC_SCRATCH, m);
            store_reg(c, l->type, local_slot(c, k), VEC_SCRATCH);
        } else {
            load_reg(c, T_I64, SCRATCH, m);
            store_reg(c, T_I64, local_slot(c, k), SCRATCH);
        }
    }
}

static Mem saved_at(Reg r) { return mem(RBP, layout.slots[r]); }

void compile_prologue(Compiler *c)
{
    begin_guard(c);
    x64_r(&c->a, X64_PUSH, RBP);
    x64_rr(&c->a, X64_MOV64, RBP, RSP);
    compile_stack_check(c);
    x64_ri(&c->a, X64_SUB64, RSP, c->frame);
    x64_rm(&c->a, X64_MOV64_ST, CONTEXT, saved_at(CONTEXT));
    for (unsigned k = 0; k < 3; k++)
        if (is_kept(c, kept_regs[k]))
            x64_rm(&c->a, X64_MOV64_ST, kept_regs[k], saved_at(kept_regs[k]));
    guard_frame(&c->a.guard);
    receive_parameters(c);
    homes_at_label(c);
    zero_locals(c);
}

/* ---- exit */

static void restore_kept(Compiler *c)
{
    for (unsigned k = 0; k < 3; k++)
        if (is_kept(c, kept_regs[k]))
            x64_rm(&c->a, X64_MOV64, kept_regs[k], saved_at(kept_regs[k]));
}

static void compile_epilogue(Compiler *c)
{
    restore_kept(c);
    x64_rr(&c->a, X64_MOV64, RSP, RBP);
    x64_r(&c->a, X64_POP, RBP);
}

static void emit_ret(Compiler *c)
{
    uint32_t bytes = c->stack_args;
    if (bytes)
        x64_ret_n(&c->a, bytes);
    else
        x64_ret(&c->a);
}

void compile_return(Compiler *c)
{
    const FuncType *t = &c->f->type->func;
    const Type *types = t->types + t->n_params;
    settle_flags(c);
    if (c->results_area) {
        spill_range(c, c->depth - t->n_results, c->depth);
        x64_rm(&c->a, X64_MOV64, R10, mem(RBP, -16));
    }
    send_values(c, t->n_results, types, abi_result, R10, 0);
    compile_epilogue(c);
    announce_end(c, abi_size(t).i32_results);
    emit_ret(c);
}

/* ---- calls */

/* What is left of a call's frame: the area below rsp for arguments, and above
 * it that for results. */
typedef struct {
    AbiSize size;
    const FuncType *type;
    GuardExit exit;
} Call;

/* For values below the frame, when it is made already. */
static void check_room(Compiler *c, uint32_t bytes)
{
    if (bytes <= FEW_BYTES)
        return;
    x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(CONTEXT, Instance, e.store));
    x64_rm(&c->a, X64_MOV64, SCRATCH,
           FIELD(SCRATCH, Store, native_stack_limit));
    x64_ri(&c->a, X64_ADD64, SCRATCH, (int32_t)bytes);
    x64_rr(&c->a, X64_CMP64, RSP, SCRATCH);
    trap_if(c, CC_B, ERR_STACK);
}

/* Sends the arguments.  The callee's FuncRef, if any, is in `through`: kept in
 * memory at [rsp] meanwhile. */
static Call prepare_call(Compiler *c, const FuncType *t)
{
    AbiSize size = abi_size(t);
    Call call = {size, t, {size.i32_args, facts_kept(c), size.i32_results}};
    uint32_t first = c->depth - t->n_params;
    for (uint32_t k = window(c); k < first; k++)
        if (c->stack[k].place == AT_REG)
            spill_range(c, k, k + 1);
    save_homes(c);
    check_room(c, size.args + size.results);
    if (size.results)
        x64_ri(&c->a, X64_SUB64, RSP, (int32_t)size.results);
    if (size.args)
        x64_ri(&c->a, X64_SUB64, RSP, (int32_t)size.args);
    if (size.results && size.area.place == IN_MEMORY) {
        x64_rm(&c->a, X64_LEA64, SCRATCH, mem(RSP, (int32_t)size.args));
        x64_rm(&c->a, X64_MOV64_ST, SCRATCH,
               mem(RSP, (int32_t)size.area.offset));
    }
    send_values(c, t->n_params, t->types, abi_param, RSP, 0);
    if (size.results && size.area.place == IN_INT)
        x64_rm(&c->a, X64_LEA64, size.area.reg, mem(RSP, (int32_t)size.args));
    return call;
}

static void take_results(Compiler *c, const Call *call)
{
    const FuncType *t = call->type;
    AbiCursor cursor = {0};
    const Type *types = t->types + t->n_params;
    forget_homes(c);
    for (uint32_t k = 0; k < t->n_results; k++) {
        AbiLoc l = abi_result(&cursor, types[k]);
        uint8_t type = kind_of(types[k]);
        if (l.place == IN_MEMORY) {
            Mem m = mem(RSP, (int32_t)l.offset);
            push_slot(c, type);
            Mem to = operand_slot(c, top(c)->height);
            bool vec = type_is_vec(type);
            load_reg(c, vec ? type : T_I64, vec ? VEC_SCRATCH : SCRATCH, m);
            store_reg(c, type, to, vec ? VEC_SCRATCH : SCRATCH);
            continue;
        }
        if (l.place == IN_VEC)
            c->free_vecs &= ~(1u << l.reg);
        else
            c->free_ints &= ~(1u << l.reg);
        push_reg(c, type, l.reg);
        uint32_t allowed = l.place == IN_VEC ? c->cache_vecs : c->cache_ints;
        if (!(allowed >> l.reg & 1)) /* fewer registers than usual */
            spill_range(c, c->depth - 1, c->depth);
    }
    if (call->size.results)
        x64_ri(&c->a, X64_ADD64, RSP, (int32_t)call->size.results);
}

static void call_own(Compiler *c, uint32_t k, GuardExit exit)
{
    announce(c, exit, c->own);
    x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(CONTEXT, Instance, code_table));
    x64_m(&c->a, X64_CALL, mem(SCRATCH, 8 * (int32_t)k));
    note_position(c, 0);
}

static void load_memory_base_of_callee(Compiler *c)
{
    x64_rm(&c->a, X64_MOV64, MEMORY_BASE, FIELD(CONTEXT, Instance, memory0));
    x64_rm(&c->a, X64_MOV64, MEMORY_BASE, FIELD(MEMORY_BASE, MemoryData, base));
}

/* Calls through the FuncRef in r11, perhaps of another instance. */
void call_through(Compiler *c, GuardExit exit)
{
    announce(c, exit, FACT_BASE(MEMORY_BASE));
    x64_rm(&c->a, X64_MOV64, CONTEXT, FIELD(SCRATCH, FuncRef, context));
    load_memory_base_of_callee(c);
    x64_m(&c->a, X64_CALL, FIELD(SCRATCH, FuncRef, code));
    note_position(c, 0);
    restore_context(c);
}

static Mem import_slot(const Compiler *c, uint32_t index)
{
    return mem(CONTEXT,
               (int32_t)(c->layout.imported_funcs + 8 * (uint64_t)index));
}

void emit_call(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t index = reader_u32(&c->r), n = c->m->n_imported_funcs;
    Call call = prepare_call(c, &c->m->func_types[index]->func);
    if (index >= n) {
        call_own(c, index - n, call.exit);
    } else {
        x64_rm(&c->a, X64_MOV64, SCRATCH, import_slot(c, index));
        call_through(c, call.exit);
    }
    take_results(c, &call);
}

/* Leaves the callee's FuncRef in the frame: nothing else is as safe. */
static Mem callee_slot(void) { return mem(RBP, -FRAME_FIXED); }

/* Canonical ids are the process's: code reads them from a table. */
void load_type_id(Compiler *c, Reg to, uint32_t type)
{
    x64_rm(&c->a, X64_MOV64, to, FIELD(CONTEXT, Instance, type_ids));
    x64_rm(&c->a, X64_MOV32, to, mem(to, 4 * (int32_t)type));
}

static void check_type(Compiler *c, Reg f, uint32_t type)
{
    const TypeDef *want = c->m->types[type];
    load_type_id(c, SCRATCH, type);
    x64_rm(&c->a, X64_CMP32, SCRATCH, FIELD(f, FuncRef, type_id));
    if (want->final) {
        trap_if(c, CC_NE, ERR_INDIRECT_TYPE);
        return;
    }
    Label good = asm_label(&c->a);
    Reg t = alloc_int(c);
    x64_jcc(&c->a, CC_E, good);
    /* A subtype's display has it at its depth. */
    int32_t depth = (int32_t)want->depth;
    x64_rm(&c->a, X64_MOV64, t, FIELD(f, FuncRef, type));
    x64_mi(&c->a, X64_CMP32, FIELD(t, TypeDef, depth), depth);
    trap_if(c, CC_B, ERR_INDIRECT_TYPE);
    x64_rm(&c->a, X64_MOV64, t, FIELD(t, TypeDef, display));
    x64_rm(&c->a, X64_CMP32, SCRATCH, mem(t, 4 * depth));
    trap_if(c, CC_NE, ERR_INDIRECT_TYPE);
    asm_bind(&c->a, good);
    free_reg(c, T_I64, t);
}

/* Pops the index; leaves the FuncRef in its slot of the frame. */
static const FuncType *find_indirect(Compiler *c)
{
    uint32_t type = reader_u32(&c->r), table = reader_u32(&c->r);
    Operand index = pop(c);
    Reg i = use(c, &index), t = alloc_int(c);
    x64_rm(&c->a, X64_MOV64, t,
           mem(CONTEXT, (int32_t)(c->layout.tables + 8 * (uint64_t)table)));
    x64_rm(&c->a, X64_CMP64, i, FIELD(t, Table, size));
    trap_if(c, CC_AE, ERR_UNDEFINED_ELEMENT);
    x64_rm(&c->a, X64_MOV64, t, FIELD(t, Table, elems));
    x64_rm(&c->a, X64_MOV64, t, mem_index(t, i, 3, 0));
    x64_rr(&c->a, X64_TEST64, t, t);
    trap_if(c, CC_E, ERR_UNINITIALIZED);
    check_type(c, t, type);
    x64_rm(&c->a, X64_MOV64_ST, t, callee_slot());
    free_reg(c, T_I64, t);
    release(c, &index);
    return &c->m->types[type]->func;
}

static const FuncType *find_ref(Compiler *c)
{
    const TypeDef *type = c->m->types[reader_u32(&c->r)];
    Operand f = pop(c);
    Reg r = use(c, &f);
    x64_rr(&c->a, X64_TEST64, r, r);
    trap_if(c, CC_E, ERR_NULL_FUNCTION);
    x64_rm(&c->a, X64_MOV64_ST, r, callee_slot());
    release(c, &f);
    return &type->func;
}

static void call_found(Compiler *c, const FuncType *t)
{
    Call call = prepare_call(c, t);
    Label other = asm_label(&c->a), back = asm_label(&c->a);
    announce(c, call.exit, c->own);
    x64_rm(&c->a, X64_MOV64, SCRATCH, callee_slot());
    x64_rm(&c->a, X64_CMP64, CONTEXT, FIELD(SCRATCH, FuncRef, context));
    x64_jcc(&c->a, CC_NE, other);
    x64_m(&c->a, X64_CALL, FIELD(SCRATCH, FuncRef, code));
    note_position(c, 0);
    asm_bind(&c->a, back);
    add_aside(c, ASIDE_CALL, other, back)->exit = call.exit;
    take_results(c, &call);
}

void emit_call_indirect(Compiler *c, const Rule *rule)
{
    (void)rule;
    call_found(c, find_indirect(c));
}

void emit_call_ref(Compiler *c, const Rule *rule)
{
    (void)rule;
    call_found(c, find_ref(c));
}

/* ---- tail calls: WebAssembly 3.0, 4.6.11 */

/* The arguments on the stack, at rsp, go where this function's own end. */
static void shift_stack_args(Compiler *c, uint32_t bytes, bool through)
{
    int32_t to = 16 + (int32_t)c->stack_args - (int32_t)bytes;
    if (through)
        x64_m(&c->a, X64_PUSH, callee_slot());
    else
        x64_r(&c->a, X64_PUSH, RAX);
    x64_m(&c->a, X64_PUSH, mem(RBP, 8));
    x64_m(&c->a, X64_PUSH, mem(RBP, 0));
    for (int32_t k = (int32_t)bytes - 8; k >= 0; k -= 8) {
        x64_rm(&c->a, X64_MOV64, SCRATCH, mem(RSP, k + 24));
        x64_rm(&c->a, X64_MOV64_ST, SCRATCH, mem(RBP, to + k));
    }
    x64_rm(&c->a, X64_MOV64, SCRATCH, mem(RSP, 8));
    x64_rm(&c->a, X64_MOV64_ST, SCRATCH, mem(RBP, to - 8));
    x64_rm(&c->a, X64_MOV64, SCRATCH, mem(RSP, 16));
    x64_rm(&c->a, X64_MOV64_ST, SCRATCH, mem(RBP, to - 16));
    x64_rm(&c->a, X64_LEA64, SCRATCH, mem(RBP, to - 8));
    x64_rm(&c->a, X64_MOV64, RBP, mem(RSP, 0));
    x64_rr(&c->a, X64_MOV64, RSP, SCRATCH);
}

/* Sends the arguments and takes the frame down; r11 is the FuncRef after it,
 * if the call is through one. */
static void leave_for(Compiler *c, const FuncType *t, bool through)
{
    AbiSize size = abi_size(t);
    bool shift = size.args || c->stack_args;
    spill_registers(c);
    if (shift)
        x64_ri(&c->a, X64_SUB64, RSP, (int32_t)size.args);
    if (size.results && size.area.place == IN_MEMORY) {
        x64_rm(&c->a, X64_MOV64, SCRATCH, mem(RBP, -16));
        x64_rm(&c->a, X64_MOV64_ST, SCRATCH,
               mem(RSP, (int32_t)size.area.offset));
    }
    send_values(c, t->n_params, t->types, abi_param, RSP, 0);
    if (size.results && size.area.place == IN_INT)
        x64_rm(&c->a, X64_MOV64, size.area.reg, mem(RBP, -16));
    if (!shift) {
        if (through)
            x64_rm(&c->a, X64_MOV64, SCRATCH, callee_slot());
        compile_epilogue(c);
        return;
    }
    restore_kept(c);
    shift_stack_args(c, size.args, through);
    if (through) /* in the red zone */
        x64_rm(&c->a, X64_MOV64, SCRATCH, mem(RSP, -8));
}

/* Of this instance: a jump.  Of another, too, but the helper sees to it that
 * r14 and r15 are the caller's again when it returns. */
static void return_call_found(Compiler *c, const FuncType *t)
{
    Label other = asm_label(&c->a);
    leave_for(c, t, true);
    x64_rm(&c->a, X64_CMP64, CONTEXT, FIELD(SCRATCH, FuncRef, context));
    x64_jcc(&c->a, CC_NE, other);
    announce_end(c, abi_size(t).i32_args);
    x64_m(&c->a, X64_JMP, FIELD(SCRATCH, FuncRef, code));
    asm_bind(&c->a, other);
    x64_rm(&c->a, X64_MOV64_ST, SCRATCH, mem(RSP, -8)); /* in the red zone */
    x64_mi(&c->a, X64_MOV64, mem(RSP, -16), (int32_t)abi_size(t).args);
    x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(CONTEXT, Instance, helpers));
    announce_end(c, abi_size(t).i32_args);
    x64_m(&c->a, X64_JMP, mem(SCRATCH, 8 * HELPER_TAIL_ACROSS));
    go_dead(c);
}

void emit_return_call(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t index = reader_u32(&c->r), n = c->m->n_imported_funcs;
    const FuncType *t = &c->m->func_types[index]->func;
    if (index < n) {
        x64_rm(&c->a, X64_MOV64, SCRATCH, import_slot(c, index));
        x64_rm(&c->a, X64_MOV64_ST, SCRATCH, callee_slot());
        return_call_found(c, t);
        return;
    }
    leave_for(c, t, false);
    announce_end(c, abi_size(t).i32_args);
    x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(CONTEXT, Instance, code_table));
    x64_m(&c->a, X64_JMP, mem(SCRATCH, 8 * (int32_t)(index - n)));
    go_dead(c);
}

void emit_return_call_indirect(Compiler *c, const Rule *rule)
{
    (void)rule;
    return_call_found(c, find_indirect(c));
}

void emit_return_call_ref(Compiler *c, const Rule *rule)
{
    (void)rule;
    return_call_found(c, find_ref(c));
}
