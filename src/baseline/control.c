/* Blocks, branches, traps, exceptions. */
#include <string.h>

#include "baseline/compiler.h"
#include "wasm/walk.h"

/* ---- positions, traps */

void note_position(Compiler *c, uint32_t flags)
{
    c->positions = grow(c->positions, &c->positions_capacity, c->n_positions,
                        sizeof(Position));
    c->positions[c->n_positions++] = (Position){asm_pos(&c->a), c->at | flags};
}

void note_mark(Compiler *c, uint32_t flags)
{
    if (LIKELY(!c->lists))
        return;
    c->marks = grow(c->marks, &c->marks_capacity, c->n_marks, sizeof(Position));
    c->marks[c->n_marks++] = (Position){asm_pos(&c->a), c->at | flags};
}

Label cold_exit(Compiler *c, ErrorCode code)
{
    if (c->n_colds) {
        const Cold *last = &c->colds[c->n_colds - 1];
        if (last->code == code && last->offset == c->at)
            return last->label;
    }
    Label l = asm_label(&c->a);
    c->colds = grow(c->colds, &c->colds_capacity, c->n_colds, sizeof(Cold));
    c->colds[c->n_colds++] = (Cold){l, (uint8_t)code, c->at};
    return l;
}

void trap_if(Compiler *c, uint8_t cond, ErrorCode code)
{
    jump_if(c, cond, cold_exit(c, code));
}

/* The rest of the instruction is compiled though nothing gets there: what holds
 * goes on, or a jump back could not give all that holds where nothing gets. */
void trap_now(Compiler *c, ErrorCode code)
{
    Facts here = c->a.guard.known;
    x64_jmp(&c->a, cold_exit(c, code));
    guard_forget(&c->a.guard, here);
}

void fail_if_error(Compiler *c)
{
    x64_rr(&c->a, X64_TEST32, RAX, RAX);
    x64_jcc(&c->a, CC_NE, cold_exit(c, ERR_OK));
}

Aside *add_aside(Compiler *c, AsideKind kind, Label label, Label back)
{
    c->asides =
        grow(c->asides, &c->asides_capacity, c->n_asides, sizeof(Aside));
    Aside *a = &c->asides[c->n_asides++];
    *a = (Aside){kind, label, back, c->at, {0}};
    return a;
}

static void emit_colds(Compiler *c)
{
    for (uint32_t k = 0; k < c->n_colds; k++) {
        const Cold *cold = &c->colds[k];
        c->at = cold->offset;
        note_mark(c, 0);
        asm_bind(&c->a, cold->label);
        if (cold->code != ERR_OK)
            x64_mov_imm64(&c->a, RAX, cold->code);
        call_helper(c, HELPER_FAIL);
    }
    for (uint32_t k = 0; k < c->n_asides; k++) {
        const Aside *aside = &c->asides[k];
        c->at = aside->offset;
        note_mark(c, 0);
        asm_bind(&c->a, aside->label);
        if (aside->kind == ASIDE_CHECK)
            call_helper(c, HELPER_CHECK);
        else
            call_through(c, aside->exit);
        x64_jmp(&c->a, aside->back);
    }
}

void jump_if(Compiler *c, uint8_t cond, Label l)
{
    if (cond == COND_FLOAT_EQ) {
        Label past = asm_label(&c->a);
        x64_jcc(&c->a, CC_P, past);
        x64_jcc(&c->a, CC_E, l);
        asm_bind(&c->a, past);
    } else if (cond == COND_FLOAT_NE) {
        x64_jcc(&c->a, CC_P, l);
        x64_jcc(&c->a, CC_NE, l);
    } else {
        x64_jcc(&c->a, (Cond)cond, l);
    }
}

/* Pops a condition; the flag that says it is true. */
static uint8_t pop_condition(Compiler *c)
{
    Operand o = pop(c);
    if (o.place == AT_FLAGS)
        return o.cond;
    if (is_memory(c, &o)) {
        x64_mi(&c->a, X64_CMP32, memory_of(c, &o), 0);
    } else {
        Reg r = use(c, &o);
        x64_rr(&c->a, X64_TEST32, r, r);
    }
    release(c, &o);
    return CC_NE;
}

/* ---- blocks */

static Block *top_block(Compiler *c) { return &c->blocks[c->n_blocks - 1]; }

static void read_block_type(Compiler *c, Block *b)
{
    Reader *r = &c->r;
    uint8_t byte = *r->p;
    b->n_params = b->n_results = 0;
    if (byte == 0x40) {
        r->p++;
    } else if (byte & 0x40 && !(byte & 0x80)) { /* a value type */
        r->p++;
        if (byte == KIND_REF || byte == KIND_REF_NULL)
            reader_s33(r);
        /* Short names of references, and those written out, count the same. */
        b->single = byte >= T_V128 ? byte : KIND_REF_NULL;
        b->results = NULL;
        b->n_results = 1;
    } else {
        const FuncType *t = &c->m->types[reader_s33(r)]->func;
        b->params = t->types;
        b->n_params = t->n_params;
        b->results = t->types + t->n_params;
        b->n_results = t->n_results;
    }
}

static const Type *results_of(const Block *b)
{
    return b->results ? b->results : &b->single;
}

static Block *open_block(Compiler *c, uint8_t kind)
{
    c->blocks =
        grow(c->blocks, &c->blocks_capacity, c->n_blocks, sizeof(Block));
    Block *b = &c->blocks[c->n_blocks++];
    memset(b, 0, sizeof *b);
    b->kind = kind;
    return b;
}

static void set_base(Compiler *c, Block *b)
{
    b->base = c->depth - b->n_params;
    b->height = b->base ? c->stack[b->base - 1].height
                              + slots_of(c->stack[b->base - 1].type)
                        : 0;
}

/* Is the value of such a label in a register? */
static bool in_register(uint32_t n, const Type *types)
{
    return n == 1 && types[0] != T_V128;
}

/* The operands after a label: the block's base, then the label's. */
static void reset_operands(Compiler *c, const Block *b, uint32_t n,
                           const Type *types, bool slots)
{
    while (c->depth > b->base) {
        Operand o = pop(c);
        release(c, &o);
    }
    if (!slots && in_register(n, types)) {
        uint8_t type = kind_of(types[0]);
        if (type_is_vec(type))
            take_vec(c, XMM0);
        else
            take_int(c, RAX);
        push_reg(c, type, type_is_vec(type) ? XMM0 : RAX);
        return;
    }
    c->work += n;
    for (uint32_t k = 0; k < n; k++)
        push_slot(c, kind_of(types[k]));
}

/* ---- branches: values to where the label wants them */

static void label_types(const Block *b, uint32_t *n, const Type **types)
{
    bool loop = b->kind == OP_LOOP;
    *n = loop ? b->n_params : b->n_results;
    *types = loop ? b->params : results_of(b);
}

/* The topmost operand into rax or xmm0, and it stays the topmost. */
static void top_to_result(Compiler *c)
{
    Operand o = pop(c);
    bool vec = type_is_vec(o.type);
    Reg to = vec ? XMM0 : RAX;
    if (o.place != AT_REG || o.reg != to) {
        if (vec)
            take_vec(c, to);
        else
            take_int(c, to);
        load_into(c, &o, to);
        release(c, &o);
    }
    push_reg(c, o.type, to);
}

/* The topmost n operands to slots from `height` on; they stay as they are. */
static void copy_to_slots(Compiler *c, uint32_t n, uint32_t to)
{
    c->work += n;
    for (uint32_t k = c->depth - n; k < c->depth; k++) {
        Operand o = c->stack[k];
        uint32_t width = slots_of(o.type);
        if (o.place != AT_SLOT || o.height != to)
            store_to(c, &o, operand_slot(c, to));
        to += width;
    }
}

/* Puts the values of a branch to b in place; what follows is a jump, or dead.
 * Loops want theirs in slots. */
static void pass_values(Compiler *c, const Block *b)
{
    uint32_t n;
    const Type *types;
    label_types(b, &n, &types);
    if (b->kind != OP_LOOP && in_register(n, types))
        top_to_result(c);
    else
        copy_to_slots(c, n, b->height);
    restore_homes(c);
}

static void jump_to(Compiler *c, Block *b)
{
    b->targeted = true;
    x64_jmp(&c->a, b->label);
}

static Block *block_at(Compiler *c, uint32_t depth)
{
    return &c->blocks[c->n_blocks - 1 - depth];
}

/* Nothing follows until the block's `else` or `end`. */
void go_dead(Compiler *c)
{
    Block *b = top_block(c);
    b->dead = true;
    while (c->depth > b->base) {
        Operand o = pop(c);
        release(c, &o);
    }
    uint32_t depth = 0;
    for (;;) {
        const uint8_t *p = c->r.p;
        c->at = (uint32_t)reader_offset(&c->r);
        Op op = walk_op(&c->r);
        bool ends = op == OP_END || op == OP_DELEGATE;
        bool turns = op == OP_ELSE || op == OP_CATCH || op == OP_CATCH_ALL;
        if (depth == 0 && (ends || turns)) {
            c->r.p = p;
            return;
        }
        if (op == OP_BLOCK || op == OP_LOOP || op == OP_IF || op == OP_TRY
            || op == OP_TRY_TABLE)
            depth++;
        else if (ends)
            depth--;
        walk_skip(&c->r, op);
    }
}

void emit_br(Compiler *c, const Rule *rule)
{
    (void)rule;
    Block *b = block_at(c, reader_u32(&c->r));
    pass_values(c, b);
    jump_to(c, b);
    go_dead(c);
}

void emit_return(Compiler *c, const Rule *rule)
{
    (void)rule;
    compile_return(c);
    go_dead(c);
}

void emit_unreachable(Compiler *c, const Rule *rule)
{
    (void)rule;
    x64_jmp(&c->a, cold_exit(c, ERR_UNREACHABLE));
    go_dead(c);
}

void emit_nop(Compiler *c, const Rule *rule)
{
    (void)c;
    (void)rule;
}

/* Can the branch be one jump, once the values are where they are wanted on
 * both ways? */
static bool values_in_place(Compiler *c, const Block *b)
{
    uint32_t n;
    const Type *types;
    label_types(b, &n, &types);
    if (n == 0)
        return true;
    if (b->kind != OP_LOOP && in_register(n, types)) {
        top_to_result(c);
        return true;
    }
    spill_range(c, c->depth - n, c->depth);
    return c->stack[c->depth - n].height == b->height;
}

/* Branches to b if the flags say cond.  Neither moving values nor restoring
 * homes changes the flags. */
static void branch_if(Compiler *c, uint8_t cond, Block *b)
{
    b->targeted = true;
    bool in_place = values_in_place(c, b);
    restore_homes(c);
    if (in_place) {
        jump_if(c, cond, b->label);
        return;
    }
    Label past = asm_label(&c->a);
    jump_if(c, cond_invert(cond), past);
    pass_values(c, b);
    x64_jmp(&c->a, b->label);
    asm_bind(&c->a, past);
}

void emit_br_if(Compiler *c, const Rule *rule)
{
    (void)rule;
    Block *b = block_at(c, reader_u32(&c->r));
    uint8_t cond = pop_condition(c);
    branch_if(c, cond, b);
}

/* Each way of a br_table that passes values: made once for each block. */
static Label way_to(Compiler *c, Block *b)
{
    if (!b->way) {
        b->way = asm_label(&c->a) + 1;
        b->next_way = c->ways;
        c->ways = (uint32_t)(b - c->blocks) + 1;
    }
    return b->way - 1;
}

/* The function is out of all proportion: better to interpret it. */
static bool is_too_much(const Compiler *c)
{
    return c->a.failed || guard_refusal(&c->a.guard)
           || asm_pos(&c->a) > c->most_code || c->work > c->most_work;
}

/* The operands are as before the branch, all in slots. */
static void emit_way(Compiler *c, Block *b, uint32_t n)
{
    uint32_t depth = c->depth, ints = c->free_ints, vecs = c->free_vecs;
    pass_values(c, b);
    jump_to(c, b);
    c->free_ints = ints;
    c->free_vecs = vecs;
    for (uint32_t k = depth - n; k < depth; k++)
        c->stack[k].place = AT_SLOT;
}

static void emit_ways(Compiler *c, uint32_t n_values)
{
    while (c->ways) {
        Block *b = &c->blocks[c->ways - 1];
        c->ways = b->next_way;
        asm_bind(&c->a, b->way - 1);
        b->way = 0;
        if (!is_too_much(c))
            emit_way(c, b, n_values);
    }
}

/* What lies below the topmost n operands ends here, and gives its registers
 * back before there are several ways. */
static void end_below(Compiler *c, uint32_t n)
{
    for (uint32_t k = 0; k < c->depth - n; k++) {
        release(c, &c->stack[k]);
        if (c->stack[k].place == AT_REG)
            c->stack[k].place = AT_SLOT;
    }
}

void emit_br_table(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t n = reader_u32(&c->r);
    const uint8_t *labels = c->r.p;
    Block *b = NULL;
    for (uint32_t k = 0; k <= n; k++)
        b = block_at(c, reader_u32(&c->r));
    const uint8_t *behind = c->r.p;
    uint32_t n_values;
    const Type *types;
    label_types(b, &n_values, &types);
    settle_flags(c);
    spill_range(c, c->depth - 1 - n_values, c->depth - 1);
    Operand index = pop(c);
    load_into(c, &index, SCRATCH);
    release(c, &index);
    end_below(c, n_values);
    restore_homes(c);
    x64_ri(&c->a, X64_CMP32, SCRATCH, (int32_t)n);
    Label other = n_values ? way_to(c, b) : b->label;
    b->targeted = true;
    x64_jcc(&c->a, CC_AE, other);
    Label table = asm_label(&c->a);
    take_int(c, RCX);
    x64_lea_label(&c->a, RCX, table);
    x64_rm(&c->a, X64_MOVSXD, SCRATCH, mem_index(RCX, SCRATCH, 2, 0));
    x64_rr(&c->a, X64_ADD64, RCX, SCRATCH);
    guard_announce(&c->a.guard, (GuardExit){0, 0, FACTS_ALL});
    x64_r(&c->a, X64_JMP, RCX);
    free_reg(c, T_I64, RCX);
    asm_align(&c->a, 4);
    note_mark(c, POSITION_DATA);
    asm_bind(&c->a, table);
    c->r.p = labels;
    for (uint32_t k = 0; k < n; k++) {
        Block *to = block_at(c, reader_u32(&c->r));
        to->targeted = true;
        asm_offset32(&c->a, n_values ? way_to(c, to) : to->label, table);
    }
    c->r.p = behind;
    note_mark(c, 0);
    emit_ways(c, n_values);
    go_dead(c);
}

/* ---- openings */

static Block *open_with_type(Compiler *c, uint8_t kind)
{
    Block *b = open_block(c, kind);
    read_block_type(c, b);
    spill_all(c);
    if (b->n_params)
        spill_range(c, c->depth - b->n_params, c->depth);
    set_base(c, b);
    b->label = asm_label(&c->a);
    b->start = c->at;
    return b;
}

void emit_block(Compiler *c, const Rule *rule)
{
    (void)rule;
    settle_flags(c);
    open_with_type(c, OP_BLOCK);
}

static void check_limit_here(Compiler *c)
{
    Label slow = asm_label(&c->a), back = asm_label(&c->a);
    asm_bind(&c->a, back);
    x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(CONTEXT, Instance, e.store));
    x64_rm(&c->a, X64_CMP64, RSP, FIELD(SCRATCH, Store, native_limit));
    x64_jcc(&c->a, CC_B, slow);
    add_aside(c, ASIDE_CHECK, slow, back);
}

void emit_loop(Compiler *c, const Rule *rule)
{
    (void)rule;
    settle_flags(c);
    Block *b = open_with_type(c, OP_LOOP);
    restore_homes(c);
    guard_forget(&c->a.guard, c->at_loops);
    asm_bind(&c->a, b->label);
    homes_at_label(c);
    check_limit_here(c);
}

void emit_if(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint8_t cond = pop_condition(c);
    Block *b = open_with_type(c, OP_IF);
    restore_homes(c);
    b->otherwise = asm_label(&c->a);
    jump_if(c, cond_invert(cond), b->otherwise);
}

static void leave_arm(Compiler *c, Block *b)
{
    if (b->dead)
        return;
    pass_values(c, b);
    jump_to(c, b);
}

/* An arm begins where nothing comes from above. */
static void enter_arm(Compiler *c, Block *b)
{
    homes_at_label(c);
    b->dead = false;
}

void emit_else(Compiler *c, const Rule *rule)
{
    (void)rule;
    Block *b = top_block(c);
    settle_flags(c);
    leave_arm(c, b);
    asm_bind(&c->a, b->otherwise);
    enter_arm(c, b);
    reset_operands(c, b, b->n_params, b->params, true);
    b->kind = OP_ELSE;
}

/* ---- ends */

static void end_function(Compiler *c, Block *b)
{
    if (!b->targeted) {
        if (!b->dead)
            compile_return(c);
        c->n_blocks--;
        return;
    }
    if (!b->dead)
        pass_values(c, b);
    asm_bind(&c->a, b->label);
    homes_at_label(c);
    reset_operands(c, b, b->n_results, results_of(b), false);
    compile_return(c);
    c->n_blocks--;
}

/* The false edge of an if without else: its parameters are its results. */
static void end_if(Compiler *c, Block *b)
{
    leave_arm(c, b);
    asm_bind(&c->a, b->otherwise);
    enter_arm(c, b);
    reset_operands(c, b, b->n_params, b->params, true);
}

void emit_end(Compiler *c, const Rule *rule)
{
    (void)rule;
    settle_flags(c);
    Block *b = top_block(c);
    if (c->n_blocks == 1) {
        end_function(c, b);
        return;
    }
    if (b->kind == OP_IF)
        end_if(c, b);
    bool dead = b->dead;
    if (b->targeted && b->kind != OP_LOOP) {
        if (!dead)
            pass_values(c, b);
        asm_bind(&c->a, b->label);
        homes_at_label(c);
        reset_operands(c, b, b->n_results, results_of(b), false);
        dead = false;
    }
    c->n_blocks--;
    if (dead)
        go_dead(c);
}

/* ---- exceptions */

/* The first handler of the try that begins there with a target from pc on. */
static const HandlerKey *find_handler(const Compiler *c, uint32_t start,
                                      uint32_t pc)
{
    uint32_t low = 0, high = c->f->n_handlers;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const HandlerKey *k = &c->handlers[middle];
        if (k->start < start || (k->start == start && k->pc < pc))
            low = middle + 1;
        else
            high = middle;
    }
    return &c->handlers[low];
}

void emit_try_table(Compiler *c, const Rule *rule)
{
    (void)rule;
    settle_flags(c);
    Block *b = open_with_type(c, OP_TRY_TABLE);
    uint32_t n = reader_u32(&c->r);
    uint32_t h = n ? find_handler(c, c->at, 0)->index : 0;
    Label past = asm_label(&c->a);
    bool any = false;
    for (; n > 0; n--, h++) {
        uint8_t kind = reader_byte(&c->r);
        if (kind < 2)
            reader_u32(&c->r);
        Block *to = block_at(c, reader_u32(&c->r) + 1);
        if (!any)
            x64_jmp(&c->a, past);
        any = true;
        c->landings[h] = asm_enter(&c->a);
        compile_landing(c);
        uint32_t n_values;
        const Type *types;
        label_types(to, &n_values, &types);
        if (to->kind != OP_LOOP && in_register(n_values, types)) {
            uint8_t type = kind_of(types[0]);
            load_reg(c, type, type_is_vec(type) ? XMM0 : RAX,
                     operand_slot(c, to->height));
        }
        jump_to(c, to);
    }
    if (any)
        asm_bind(&c->a, past);
    (void)b;
}

void emit_try(Compiler *c, const Rule *rule)
{
    (void)rule;
    settle_flags(c);
    open_with_type(c, OP_TRY);
}

/* catch and catch_all: the handler whose target is here. */
void emit_catch(Compiler *c, const Rule *rule)
{
    (void)rule;
    Block *b = top_block(c);
    settle_flags(c);
    leave_arm(c, b);
    const FuncType *t = NULL;
    if (c->op == OP_CATCH)
        t = &c->m->tags[reader_u32(&c->r)]->func;
    uint32_t pc = (uint32_t)reader_offset(&c->r);
    const HandlerKey *key = find_handler(c, b->start, pc);
    bool found = key < c->handlers + c->f->n_handlers && key->start == b->start
                 && key->pc == pc;
    enter_arm(c, b);
    b->kind = (uint8_t)c->op;
    reset_operands(c, b, t ? t->n_params : 0, t ? t->types : NULL, true);
    if (!found)
        return;
    c->landings[key->index] = asm_enter(&c->a);
    compile_landing(c);
    b->exn_slot = c->f->handlers[key->index].exn_slot;
}

/* Ends its try as `end` does; who handles is in the handlers. */
void emit_delegate(Compiler *c, const Rule *rule)
{
    reader_u32(&c->r);
    emit_end(c, rule);
}

static void throw_word(Compiler *c, Operand *exn)
{
    load_into(c, exn, RDI);
    release(c, exn);
    call_helper(c, HELPER_RETHROW);
    go_dead(c);
}

void emit_throw(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t tag = reader_u32(&c->r);
    const FuncType *t = &c->m->tags[tag]->func;
    spill_range(c, c->depth - t->n_params, c->depth);
    uint32_t h = height(c) - t->param_slots;
    x64_mov_imm64(&c->a, RDI, tag);
    x64_rm(&c->a, X64_LEA64, RSI, operand_slot(c, h));
    call_helper(c, HELPER_THROW);
    go_dead(c);
}

void emit_throw_ref(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand exn = pop(c);
    Reg r = use(c, &exn);
    x64_rr(&c->a, X64_TEST64, r, r);
    trap_if(c, CC_E, ERR_NULL_EXCEPTION);
    throw_word(c, &exn);
}

void emit_rethrow(Compiler *c, const Rule *rule)
{
    (void)rule;
    const Block *b = block_at(c, reader_u32(&c->r));
    int32_t below = 8 * ((int32_t)b->exn_slot + 1);
    load_reg(c, T_I64, RDI, mem(RBP, -FRAME_FIXED - below));
    call_helper(c, HELPER_RETHROW);
    go_dead(c);
}

/* ---- branches on references */

/* So that a value may be moved to rax while o is looked at. */
static Reg use_beside_result(Compiler *c, Operand *o)
{
    Reg r = use(c, o);
    if (r != RAX || o->place != AT_REG)
        return r;
    Reg other = alloc_int(c);
    move_reg(c, o->type, other, r);
    free_reg(c, o->type, r);
    return o->reg = other;
}

void emit_br_on_null(Compiler *c, const Rule *rule)
{
    (void)rule;
    Block *b = block_at(c, reader_u32(&c->r));
    Operand o = pop(c);
    Reg r = use_beside_result(c, &o);
    x64_rr(&c->a, X64_TEST64, r, r);
    branch_if(c, CC_E, b);
    if (o.place == AT_LOCAL) {
        push_local(c, (uint32_t)o.value);
        return;
    }
    push_reg(c, o.type, r);
}

/* Branches with the topmost operand, a reference, if cond says so of it. */
static void branch_with_top(Compiler *c, uint8_t cond, Block *b)
{
    b->targeted = true;
    bool in_place = values_in_place(c, b);
    restore_homes(c);
    const Operand *o = top(c);
    if (o->place == AT_REG)
        x64_rr(&c->a, X64_TEST64, o->reg, o->reg);
    else
        x64_mi(&c->a, X64_CMP64, operand_slot(c, o->height), 0);
    if (in_place) {
        jump_if(c, cond, b->label);
        return;
    }
    Label past = asm_label(&c->a);
    jump_if(c, cond_invert(cond), past);
    pass_values(c, b);
    x64_jmp(&c->a, b->label);
    asm_bind(&c->a, past);
}

void emit_br_on_non_null(Compiler *c, const Rule *rule)
{
    (void)rule;
    Block *b = block_at(c, reader_u32(&c->r));
    branch_with_top(c, CC_NE, b);
    Operand o = pop(c);
    release(c, &o);
}

/* The reference is tested in a copy, in the slot above it. */
void emit_br_on_cast(Compiler *c, const Rule *rule)
{
    uint8_t flags = reader_byte(&c->r);
    Block *b = block_at(c, reader_u32(&c->r));
    reader_s33(&c->r);
    uint32_t type = (uint32_t)reader_offset(&c->r);
    reader_s33(&c->r);
    spill_range(c, c->depth - 1, c->depth);
    uint32_t h = top(c)->height;
    load_reg(c, T_I64, SCRATCH, operand_slot(c, h));
    store_reg(c, T_I64, operand_slot(c, h + 1), SCRATCH);
    call_step(c, flags & 2 ? OP_REF_TEST_NULL : OP_REF_TEST, type, h + 1);
    bool in_place = values_in_place(c, b);
    restore_homes(c);
    b->targeted = true;
    Label past = asm_label(&c->a);
    x64_mi(&c->a, X64_CMP32, operand_slot(c, h + 1), 0);
    uint8_t cond = rule->x ? CC_E : CC_NE;
    if (in_place) {
        jump_if(c, cond, b->label);
    } else {
        jump_if(c, cond_invert(cond), past);
        pass_values(c, b);
        x64_jmp(&c->a, b->label);
    }
    asm_bind(&c->a, past);
}

/* ---- fuel: one unit for each instruction, as the interpreter charges it.
 * Those without effects are charged together with the next that has one. */

static void meter(Compiler *c, const Rule *rule)
{
    if (top_block(c)->dead) /* an end that is not reached from above */
        return;
    c->uncharged++;
    if (rule->pure)
        return;
    x64_rm(&c->a, X64_MOV64, SCRATCH, FIELD(CONTEXT, Instance, e.store));
    x64_mi(&c->a, X64_SUB64, FIELD(SCRATCH, Store, fuel),
           (int32_t)c->uncharged);
    trap_if(c, CC_B, ERR_OUT_OF_FUEL);
    c->uncharged = 0;
}

/* ---- the body */

static bool begin_function(Compiler *c)
{
    const FuncType *t = &c->f->type->func;
    Block *b = open_block(c, 0);
    b->results = t->types + t->n_params;
    b->n_results = t->n_results;
    b->label = asm_label(&c->a);
    return true;
}

bool compile_body(Compiler *c)
{
    begin_function(c);
    compile_prologue(c);
    while (c->n_blocks > 0) {
        c->at = (uint32_t)reader_offset(&c->r);
        note_mark(c, 0);
        uint8_t code = *c->r.p++;
        uint32_t number = code;
        uint8_t prefix = 0;
        if (UNLIKELY(code >= 0xfb && code <= 0xfe)) {
            prefix = code;
            number = reader_u32(&c->r);
        }
        c->op = op_of_code(prefix, number);
        const Rule *rule = &baseline_rules[c->op];
        if (c->depth && UNLIKELY(top(c)->place == AT_FLAGS)
            && (!rule->takes_flags || c->config->metered))
            settle_flags(c);
        if (UNLIKELY(c->config->metered))
            meter(c, rule);
        rule->emit(c, rule);
        if (UNLIKELY(is_too_much(c)))
            return false;
    }
    emit_colds(c);
    note_mark(c, POSITION_DATA); /* constants come behind */
    return true;
}
