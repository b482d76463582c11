#include <stdlib.h>

#include "wasm/check.h"
#include "wasm/decode.h"

/* Frames. */

void check_begin(Validator *v, FrameKind kind, BlockType type)
{
    if (v->n_frames == v->frames_capacity) {
        v->frames_capacity = v->frames_capacity ? v->frames_capacity * 2 : 64;
        v->frames = realloc(v->frames, v->frames_capacity * sizeof *v->frames);
        if (!v->frames)
            abort();
    }
    v->frames[v->n_frames++] = (Frame){
        .kind = (uint8_t)kind,
        .type = type,
        .base = (uint32_t)(v->sp - v->stack),
        .wide = v->wide,
        .start = v->at,
        .entry = NO_ENTRY,
        .chain = NO_ENTRY,
        .handlers = NO_ENTRY,
        .clause = NO_ENTRY,
        .inits = v->n_set,
    };
    v->floor = v->sp;
}

static const FuncType *signature(const Validator *v, BlockType type)
{
    return &v->m->types[type >> 8]->func;
}

static Types params_of(const Validator *v, BlockType type)
{
    if ((type & 0xff) != BLOCK_SIG)
        return (Types){NULL, 0, 0};
    const FuncType *f = signature(v, type);
    return check_params(f);
}

Types check_result_types(Validator *v, const Frame *f)
{
    if (f->type == BLOCK_EMPTY)
        return (Types){NULL, 0, 0};
    if ((f->type & 0xff) != BLOCK_SIG)
        return (Types){&f->type, 1, type_slots(f->type)};
    const FuncType *sig = signature(v, f->type);
    return check_results(sig);
}

Types check_label_types(Validator *v, const Frame *f)
{
    return f->kind == FRAME_LOOP ? params_of(v, f->type)
                                 : check_result_types(v, f);
}

/* The side table. */

static BranchEntry *add_entry(Validator *v)
{
    if (v->n_entries == v->entries_capacity) {
        v->entries_capacity =
            v->entries_capacity ? v->entries_capacity * 2 : 256;
        v->entries =
            realloc(v->entries, v->entries_capacity * sizeof *v->entries);
        if (!v->entries)
            abort();
    }
    BranchEntry *e = &v->entries[v->n_entries++];
    *e = (BranchEntry){0};
    return e;
}

/* Makes the newest entry wait for the end of a block. */
static void chain_entry(Validator *v, Frame *label, uint32_t pc)
{
    BranchEntry *e = &v->entries[v->n_entries - 1];
    e->dpc = (int32_t)label->chain;
    e->dstp = (int32_t)pc;
    label->chain = v->n_entries - 1;
}

static void resolve_entry(Validator *v, uint32_t index, uint32_t target)
{
    BranchEntry *e = &v->entries[index];
    e->dpc = (int32_t)(target - (uint32_t)e->dstp);
    e->dstp = (int32_t)(v->n_entries - index);
}

static void resolve_chain(Validator *v, uint32_t index, uint32_t target)
{
    while (index != NO_ENTRY) {
        uint32_t next = (uint32_t)v->entries[index].dpc;
        resolve_entry(v, index, target);
        index = next;
    }
}

/* The jump that what falls out of an arm takes to the end; the next arm's
 * opcode is one byte. */
static void add_jump(Validator *v, Frame *f)
{
    add_entry(v);
    chain_entry(v, f, v->at + 1);
}

bool check_add_branch(Validator *v, Frame *label, uint32_t pc, Types t)
{
    uint32_t keep = t.slots, drop = 0;
    if (!check_top(v)->unreachable)
        drop = check_height(v) - keep - (label->base + label->wide);
    if (keep > UINT16_MAX || drop > UINT16_MAX)
        return check_limit(v, "a branch drops %u operands; the limit is %d",
                           (unsigned)drop, UINT16_MAX);
    BranchEntry *e = add_entry(v);
    e->keep = (uint16_t)keep;
    e->drop = (uint16_t)drop;
    if (label->kind == FRAME_LOOP) {
        e->dpc = (int32_t)(label->chain - pc);
        e->dstp = (int32_t)(label->entry - (v->n_entries - 1));
    } else {
        chain_entry(v, label, pc);
    }
    return true;
}

bool check_add_width(Validator *v, Type t)
{
    if (v->flags & FUNC_WIDE) {
        add_entry(v)->keep = (uint16_t)type_slots(t);
    } else if (t == T_V128 && v->f) {
        v->restart = true;
        return false;
    }
    return true;
}

static Frame *label_at(Validator *v, uint32_t depth)
{
    if (depth < v->n_frames)
        return &v->frames[v->n_frames - 1 - depth];
    if (reader_ok(&v->r))
        check_fail(v, "unknown label %u", (unsigned)depth);
    return NULL;
}

Frame *check_read_label(Validator *v)
{
    uint32_t depth = reader_u32(&v->r);
    return reader_ok(&v->r) ? label_at(v, depth) : NULL;
}

/* Blocks. */

static bool read_sig(Validator *v, BlockType *type)
{
    int64_t index = reader_s33(&v->r);
    *type = BLOCK_SIG | (uint32_t)index << 8;
    if (!reader_ok(&v->r))
        return false;
    if (index < 0)
        return check_malformed(v, "malformed block type");
    if (index >= v->m->n_types)
        return check_fail(v, "unknown type %u", (unsigned)index);
    if (v->m->types[index]->kind != COMP_FUNC)
        return check_fail(v, "type mismatch: type %u is not a function type",
                          (unsigned)index);
    return decode_has(v->m, FEATURE_MULTI_VALUE)
           || check_malformed(v, "malformed block type: a type index needs the "
                                 "feature multi-value");
}

static bool read_block_type(Validator *v, BlockType *type)
{
    uint8_t code = v->r.p < v->r.end ? *v->r.p : 0;
    if (code == 0x40 || (code >= T_F64 && code <= T_I32)) {
        v->r.p++;
        *type = code == 0x40 ? BLOCK_EMPTY : code;
        return true;
    }
    if ((code & 0xc0) != 0x40)
        return read_sig(v, type);
    *type = decode_value_type(&v->r, v->m, 0);
    return reader_ok(&v->r);
}

/* Opens a block; its parameters move inside. */
static bool begin(Validator *v, FrameKind kind)
{
    BlockType type;
    if (!read_block_type(v, &type))
        return false;
    Types params = params_of(v, type);
    if (params.n && !check_pop_types(v, params))
        return false;
    check_begin(v, kind, type);
    check_push_types(v, params);
    return true;
}

bool check_block(Validator *v) { return begin(v, FRAME_BLOCK); }

bool check_loop(Validator *v)
{
    if (!begin(v, FRAME_LOOP))
        return false;
    Frame *f = check_top(v);
    f->chain = check_here(v);
    f->entry = v->n_entries;
    v->flags |= FUNC_LOOPS;
    return true;
}

bool check_if(Validator *v)
{
    uint32_t pc = check_here(v);
    if (!check_pop(v, T_I32) || !begin(v, FRAME_IF))
        return false;
    check_top(v)->entry = v->n_entries;
    add_entry(v)->dstp = (int32_t)pc;
    return true;
}

/* Leaves the code of a frame: its results and nothing else must be there. */
static bool leave(Validator *v, Frame *f)
{
    if (!check_pop_types(v, check_result_types(v, f)))
        return false;
    size_t left = (size_t)(v->sp - v->floor);
    if (left)
        return check_fail(v,
                          "type mismatch: %zu value%s too many at the end "
                          "of a block",
                          left, left == 1 ? "" : "s");
    while (v->n_set > f->inits)
        v->is_set[v->set_order[--v->n_set]] = 0;
    return true;
}

/* Starts the next arm of a frame, with its height as at the beginning. */
static void reopen(Frame *f, FrameKind kind)
{
    f->kind = (uint8_t)kind;
    f->unreachable = false;
}

bool check_else(Validator *v)
{
    Frame *f = check_top(v);
    if (f->kind != FRAME_IF)
        return check_malformed(v, "unexpected else");
    if (!leave(v, f))
        return false;
    add_jump(v, f);
    resolve_entry(v, f->entry, check_here(v));
    reopen(f, FRAME_ELSE);
    check_push_types(v, params_of(v, f->type));
    return true;
}

/* Handlers. */

static PendingHandler *add_handler(Validator *v, const Frame *f,
                                   HandlerKind kind)
{
    if (v->n_handlers == v->handlers_capacity) {
        v->handlers_capacity =
            v->handlers_capacity ? v->handlers_capacity * 2 : 16;
        v->handlers =
            realloc(v->handlers, v->handlers_capacity * sizeof *v->handlers);
        if (!v->handlers)
            abort();
    }
    PendingHandler *h = &v->handlers[v->n_handlers];
    *h = (PendingHandler){.next = NO_ENTRY, .order = v->n_handlers++};
    h->handler.start = f->start;
    h->handler.kind = (uint32_t)kind;
    h->handler.height = f->base + f->wide;
    h->handler.exn_slot = NO_SLOT;
    return h;
}

static void resolve_handlers(Validator *v, uint32_t index, uint32_t target)
{
    for (; index != NO_ENTRY; index = v->handlers[index].next) {
        v->handlers[index].handler.pc = target;
        v->handlers[index].handler.stp = v->n_entries;
    }
}

/* The types of what a clause pushes must be those of its label. */
static bool check_clause_types(Validator *v, Types payload, bool with_ref,
                               Types label)
{
    if (payload.n + with_ref != label.n)
        return check_fail(
            v, "type mismatch: a clause with %u values for a label with %u",
            (unsigned)(payload.n + with_ref), (unsigned)label.n);
    for (uint32_t i = 0; i < label.n; i++) {
        Type t = i < payload.n ? payload.types[i]
                               : type_ref_abstract(false, HEAP_EXN);
        if (!type_matches(t, label.types[i]))
            return check_mismatch(v, label.types[i], t);
    }
    return true;
}

static bool read_tag(Validator *v, uint32_t *tag)
{
    *tag = reader_u32(&v->r);
    return reader_ok(&v->r)
           && (*tag < v->m->n_tags
               || check_fail(v, "unknown tag %u", (unsigned)*tag));
}

static Types tag_types(const Validator *v, uint32_t tag)
{
    const FuncType *f = &v->m->tags[tag]->func;
    return check_params(f);
}

/* One clause of the try_table on top; its labels count from outside. */
static bool read_clause(Validator *v)
{
    uint8_t kind = reader_byte(&v->r);
    uint32_t tag = 0;
    Types payload = {NULL, 0, 0};
    if (kind > HANDLER_CATCH_ALL_REF)
        return check_malformed(v, "malformed catch clause");
    if (kind <= HANDLER_CATCH_REF) {
        if (!read_tag(v, &tag))
            return false;
        payload = tag_types(v, tag);
    }
    uint32_t depth = reader_u32(&v->r);
    Frame *label = reader_ok(&v->r) ? label_at(v, depth) : NULL;
    if (!label
        || !check_clause_types(v, payload,
                               kind == HANDLER_CATCH_REF
                                   || kind == HANDLER_CATCH_ALL_REF,
                               check_label_types(v, label)))
        return false;
    const Frame from = {
        .start = v->at, .base = (uint32_t)(v->sp - v->stack), .wide = v->wide};
    PendingHandler *h = add_handler(v, &from, (HandlerKind)kind);
    h->handler.tag = tag;
    h->handler.drop = h->handler.height - (label->base + label->wide);
    uint32_t height = h->handler.height + check_label_types(v, label).slots;
    if (height > v->max_height)
        check_set_max_height(v, height);
    if (label->kind == FRAME_LOOP) {
        h->handler.pc = label->chain;
        h->handler.stp = label->entry;
    } else {
        h->next = label->handlers;
        label->handlers = h->order;
    }
    return true;
}

bool check_try_table(Validator *v)
{
    BlockType type;
    if (!read_block_type(v, &type))
        return false;
    Types params = params_of(v, type);
    if (!check_pop_types(v, params))
        return false;
    uint32_t first = v->n_handlers, n = reader_u32(&v->r);
    for (uint32_t i = 0; i < n; i++)
        if (!read_clause(v))
            return false;
    if (!reader_ok(&v->r))
        return false;
    check_begin(v, FRAME_TRY_TABLE, type);
    check_top(v)->clause = first;
    check_push_types(v, params);
    return true;
}

/* The protected part of a try_table ends before its end. */
static void close_clauses(Validator *v, const Frame *f)
{
    for (uint32_t i = f->clause;
         i < v->n_handlers && v->handlers[i].handler.start == f->start; i++)
        v->handlers[i].handler.end = v->at;
}

bool check_try(Validator *v) { return begin(v, FRAME_TRY); }

/* Begins a clause of a legacy try: see the legacy exception proposal. */
static bool begin_catch(Validator *v, FrameKind kind, uint32_t tag)
{
    Frame *f = check_top(v);
    if (!leave(v, f))
        return false;
    add_jump(v, f);
    if (f->kind == FRAME_TRY)
        f->entry = v->at; /* the end of the protected part */
    else
        v->catch_depth--;
    PendingHandler *h = add_handler(
        v, f, kind == FRAME_CATCH ? HANDLER_CATCH : HANDLER_CATCH_ALL);
    h->handler.end = f->entry;
    h->handler.tag = tag;
    h->handler.pc = check_here(v);
    h->handler.stp = v->n_entries;
    f->clause = h->order;
    f->catches = v->catch_depth++;
    reopen(f, kind);
    return true;
}

bool check_catch(Validator *v)
{
    uint32_t tag;
    Frame *f = check_top(v);
    if (f->kind != FRAME_TRY && f->kind != FRAME_CATCH)
        return check_malformed(v, "unexpected catch");
    if (!read_tag(v, &tag) || !begin_catch(v, FRAME_CATCH, tag))
        return false;
    check_push_types(v, tag_types(v, tag));
    return true;
}

bool check_catch_all(Validator *v)
{
    Frame *f = check_top(v);
    if (f->kind != FRAME_TRY && f->kind != FRAME_CATCH)
        return check_malformed(v, "unexpected catch_all");
    return begin_catch(v, FRAME_CATCH_ALL, 0);
}

/* The frame slot behind the locals that keeps the exception of a catch: the
 * number of catches around it. */
static uint32_t exception_slot(Validator *v, const Frame *label)
{
    if (v->hidden_slots <= label->catches)
        v->hidden_slots = label->catches + 1;
    return v->local_slots + label->catches;
}

bool check_rethrow(Validator *v)
{
    Frame *label = check_read_label(v);
    if (!label)
        return false;
    if (label->kind != FRAME_CATCH && label->kind != FRAME_CATCH_ALL)
        return check_fail(v, "invalid rethrow label");
    Handler *h = &v->handlers[label->clause].handler;
    if (h->exn_slot == NO_SLOT)
        h->exn_slot = exception_slot(v, label);
    add_entry(v)->dpc = (int32_t)h->exn_slot;
    check_unreachable_from_here(v);
    return true;
}

bool check_throw(Validator *v)
{
    uint32_t tag;
    if (!read_tag(v, &tag) || !check_pop_types(v, tag_types(v, tag)))
        return false;
    check_unreachable_from_here(v);
    return true;
}

bool check_throw_ref(Validator *v)
{
    if (!check_pop(v, T_EXNREF))
        return false;
    check_unreachable_from_here(v);
    return true;
}

/* Ends. */

/* Closes the top frame; what branches to its end lands at `target`. */
static bool close(Validator *v, uint32_t target)
{
    Frame *f = check_top(v);
    if (!leave(v, f))
        return false;
    resolve_chain(v, f->kind == FRAME_LOOP ? NO_ENTRY : f->chain, target);
    resolve_handlers(v, f->handlers, target);
    if (f->kind == FRAME_CATCH || f->kind == FRAME_CATCH_ALL)
        v->catch_depth--;
    if (--v->n_frames) {
        v->floor = v->stack + f[-1].base;
        check_push_types(v, check_result_types(v, f));
    }
    return true;
}

/* An `if` without `else`: its parameters are its results. */
static bool close_if(Validator *v, const Frame *f)
{
    Types params = params_of(v, f->type), results = check_result_types(v, f);
    if (params.n != results.n)
        return check_fail(v,
                          "type mismatch: an if without else has %u "
                          "parameters but %u results",
                          (unsigned)params.n, (unsigned)results.n);
    for (uint32_t i = 0; i < params.n; i++)
        if (!type_matches(params.types[i], results.types[i]))
            return check_mismatch(v, results.types[i], params.types[i]);
    resolve_entry(v, f->entry, check_here(v));
    return true;
}

bool check_end(Validator *v)
{
    Frame *f = check_top(v);
    switch (f->kind) {
    case FRAME_BLOCK:
    case FRAME_LOOP: break;
    case FRAME_FUNC:
        if (v->r.p != v->r.end)
            return check_malformed(v, "section size mismatch: code behind the "
                                      "end of the function");
        return close(v, v->at);
    case FRAME_IF:
        if (!close_if(v, f))
            return false;
        break;
    case FRAME_TRY_TABLE: close_clauses(v, f); break;
    default: break;
    }
    return close(v, check_here(v));
}

bool check_delegate(Validator *v)
{
    Frame *f = check_top(v);
    if (f->kind != FRAME_TRY)
        return check_malformed(v, "unexpected delegate");
    uint32_t depth = reader_u32(&v->r);
    if (depth >= v->n_frames - 1)
        return reader_ok(&v->r)
               && check_fail(v, "unknown label %u", (unsigned)depth);
    PendingHandler *h = add_handler(v, f, HANDLER_DELEGATE);
    const Frame *label = f - 1 - depth;
    h->handler.end = v->at;
    /* A place that lies in the same protected parts as the label. */
    if (label->kind == FRAME_FUNC)
        h->handler.pc = v->f->end - 1;
    else if (label->kind == FRAME_CATCH || label->kind == FRAME_CATCH_ALL)
        h->handler.pc = label->entry;
    else
        h->handler.pc = label->start;
    return close(v, check_here(v));
}

/* Branches. */

bool check_unreachable(Validator *v)
{
    check_unreachable_from_here(v);
    return true;
}

bool check_nop(Validator *v)
{
    (void)v;
    return true;
}

bool check_br(Validator *v)
{
    uint32_t pc = check_here(v);
    Frame *label = check_read_label(v);
    if (!label)
        return false;
    Types t = check_label_types(v, label);
    if (!check_pass_types(v, t) || !check_add_branch(v, label, pc, t))
        return false;
    check_unreachable_from_here(v);
    return true;
}

bool check_br_if(Validator *v)
{
    uint32_t pc = check_here(v);
    Frame *label = check_read_label(v);
    if (!label || !check_pop(v, T_I32))
        return false;
    Types t = check_label_types(v, label);
    return check_pass_types(v, t) && check_add_branch(v, label, pc, t);
}

/* Checks each label's types against the operands, which stay. */
static bool check_target(Validator *v, uint32_t pc, uint32_t *arity,
                         BlockType *last)
{
    Frame *label = check_read_label(v);
    if (!label)
        return false;
    Types t = check_label_types(v, label);
    if (*arity != NO_ENTRY && t.n != *arity)
        return check_fail(v, "type mismatch: labels with %u and with %u values",
                          (unsigned)*arity, (unsigned)t.n);
    BlockType type = label->kind == FRAME_LOOP ? NO_ENTRY : label->type;
    if ((*arity == NO_ENTRY || type != *last || type == NO_ENTRY)
        && !check_peek_types(v, t))
        return false;
    *arity = t.n;
    *last = type;
    return check_add_branch(v, label, pc, t);
}

bool check_br_table(Validator *v)
{
    uint32_t pc = check_here(v), arity = NO_ENTRY, n = reader_u32(&v->r);
    BlockType last = 0;
    if (n > reader_left(&v->r))
        return check_malformed(v, "unexpected end: %u labels", (unsigned)n);
    if (n > LIMIT_BR_TABLE)
        return check_limit(v, "%u labels; the limit is %d", (unsigned)n,
                           LIMIT_BR_TABLE);
    if (!check_pop(v, T_I32))
        return false;
    for (uint32_t i = 0; i <= n; i++)
        if (!check_target(v, pc, &arity, &last))
            return false;
    check_unreachable_from_here(v);
    return true;
}

bool check_return(Validator *v)
{
    if (!check_pop_types(v, check_result_types(v, &v->frames[0])))
        return false;
    check_unreachable_from_here(v);
    return true;
}

/* Calls. */

static bool call(Validator *v, const FuncType *f)
{
    v->flags |= FUNC_CALLS;
    if (!check_pop_types(v, check_params(f)))
        return false;
    check_push_types(v, check_results(f));
    return true;
}

/* The callee's results must be the caller's. */
static bool tail_call(Validator *v, const FuncType *f)
{
    v->flags |= FUNC_CALLS;
    Types want = check_result_types(v, &v->frames[0]);
    if (f->n_results != want.n)
        return check_fail(v,
                          "type mismatch: a callee with %u results in a "
                          "function with %u",
                          (unsigned)f->n_results, (unsigned)want.n);
    for (uint32_t i = 0; i < want.n; i++)
        if (!type_matches(f->types[f->n_params + i], want.types[i]))
            return check_mismatch(v, want.types[i], f->types[f->n_params + i]);
    if (!check_pop_types(v, check_params(f)))
        return false;
    check_unreachable_from_here(v);
    return true;
}

static const FuncType *read_callee(Validator *v)
{
    uint32_t index = reader_u32(&v->r);
    if (index < v->m->n_funcs)
        return &v->m->func_types[index]->func;
    if (reader_ok(&v->r))
        check_fail(v, "unknown function %u", (unsigned)index);
    return NULL;
}

bool check_call(Validator *v)
{
    const FuncType *f = read_callee(v);
    return f && call(v, f);
}

bool check_return_call(Validator *v)
{
    const FuncType *f = read_callee(v);
    return f && tail_call(v, f);
}

/* Type, table, and the index from the operands. */
static const FuncType *read_indirect(Validator *v)
{
    uint32_t index, table = 0;
    const TypeDef *d = check_read_type(v, COMP_FUNC, &index);
    if (!d)
        return NULL;
    if (!decode_has(v->m, FEATURE_REFERENCE_TYPES) && reader_left(&v->r) > 0
        && *v->r.p != 0) {
        check_malformed(v, "zero byte expected");
        return NULL;
    }
    const TableType *t = check_read_table(v, &table);
    if (!t)
        return NULL;
    if (!type_matches(t->type, T_FUNCREF)) {
        check_mismatch(v, T_FUNCREF, t->type);
        return NULL;
    }
    return check_pop(v, t->limits.is64 ? T_I64 : T_I32) ? &d->func : NULL;
}

bool check_call_indirect(Validator *v)
{
    const FuncType *f = read_indirect(v);
    return f && call(v, f);
}

bool check_return_call_indirect(Validator *v)
{
    const FuncType *f = read_indirect(v);
    return f && tail_call(v, f);
}

static const FuncType *read_ref_callee(Validator *v)
{
    uint32_t index;
    const TypeDef *d = check_read_type(v, COMP_FUNC, &index);
    return d && check_pop(v, type_ref(true, d->id)) ? &d->func : NULL;
}

bool check_call_ref(Validator *v)
{
    const FuncType *f = read_ref_callee(v);
    return f && call(v, f);
}

bool check_return_call_ref(Validator *v)
{
    const FuncType *f = read_ref_callee(v);
    return f && tail_call(v, f);
}
