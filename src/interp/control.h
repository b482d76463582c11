/* control.h - calls, control and locals: the instructions that know of
 * frames.  Included by a dispatcher, which defines ROUTINE and GO beside what
 * hand.h asks for.
 */

#define INSTANCE   (frame_instance(fp))
#define TRAP(code) return trap((code), THE_STORE, fp, pc)
/* Tells the activation where we are: before whatever collects or calls. */
#define SAVE() save(THE_STORE, sp, fp, pc)

#define LIMIT (atomic_load_explicit(&THE_STORE->limit, memory_order_relaxed))
#define TABLE_OF(f)                                                            \
    (likely(table != TABLE_METERED)                                            \
         ? ((f)->flags & FUNC_WIDE ? TABLE_WIDE : TABLE_NORMAL)                \
         : TABLE_METERED)

/* Takes the side table entry at stp; pc stands at the immediates. */
#define BRANCH()                                                               \
    do {                                                                       \
        const BranchEntry *e_ = stp;                                           \
        pc += e_->dpc;                                                         \
        stp += e_->dstp;                                                       \
        if (unlikely(e_->drop)) {                                              \
            if (e_->keep == 1) {                                               \
                sp -= e_->drop;                                                \
            } else {                                                           \
                SPILL();                                                       \
                uint64_t *to_ = sp - e_->drop - e_->keep;                      \
                for (int k_ = e_->keep; k_ > 0; k_--)                          \
                    to_[1 + e_->keep - k_] = sp[1 - k_];                       \
                sp -= e_->drop;                                                \
                FILL();                                                        \
            }                                                                  \
        }                                                                      \
        if (e_->dpc < 0 && unlikely(LIMIT == 0)) {                             \
            SPILL();                                                           \
            CHECK(activation_check(SAVE(), sp));                               \
        }                                                                      \
    } while (0)
#define BRANCH_ELSE_SKIP(taken)                                                \
    do {                                                                       \
        if (taken) {                                                           \
            BRANCH();                                                          \
        } else {                                                               \
            code_skip(&pc);                                                    \
            stp++;                                                             \
        }                                                                      \
    } while (0)

/* ---- calls */

ROUTINE(unwind, int unused_)
{
    Store *s = THE_STORE; /* the payload may overwrite this frame's head */
    const Handler *h = frames_unwind(s, fp, pc);
    (void)unused_;
    if (!h)
        TRAP(ERR_EXCEPTION);
    const Activation *a = store_activation(s);
    fp = a->fp;
    sp = a->sp;
    pc = a->pc;
    stp = frame_func(fp)->branches + h->stp;
    table = TABLE_OF(frame_func(fp));
    FILL();
    NEXT;
}

/* Returns from the frame, to the caller or to C. */
ROUTINE(leave_frame, int unused_)
{
    (void)unused_;
    const FuncType *t = &frame_func(fp)->type->func;
    uint64_t *to = fp - HEADER_SLOTS - t->param_slots;
    uint64_t *caller = frame_caller(fp);
    /* Before the results overwrite them. */
    const uint8_t *return_pc = frame_pc(fp);
    uint64_t return_stp = fp[-4];
    uint32_t n = t->result_slots;
    if (unlikely(n > 1 || !caller)) {
        SPILL();
        const uint64_t *from = sp + 1 - n;
        for (uint32_t k = 0; k < n; k++)
            to[k] = from[k];
        if (!caller)
            return ERR_OK;
        sp = to + n - 1;
    } else {
        sp = to + n - 1;
        if (n == 0)
            FILL();
    }
    pc = return_pc;
    stp = (const BranchEntry *)(uintptr_t)return_stp;
    fp = caller;
    table = TABLE_OF(frame_func(fp));
    if (n > 1)
        FILL();
    NEXT;
}

#define FRAME_TOP(frame, f) ((frame) + (f)->local_slots + (f)->max_height + 1)

#define OPEN_FRAME(f, i, n, from, return_pc, return_stp, caller)               \
    do {                                                                       \
        frame[-1] = (uintptr_t)(i);                                            \
        frame[-2] = (uintptr_t)(f);                                            \
        frame[-3] = (uintptr_t)(return_pc);                                    \
        frame[-4] = (uintptr_t)(return_stp);                                   \
        frame[-5] = (uintptr_t)(caller);                                       \
        const uint8_t *bytes_ = (i)->module->bytes;                            \
        frame[-6] = (uintptr_t)(bytes_ + (f)->end);                            \
        for (uint32_t k_ = 0; k_ < (n); k_++)                                  \
            frame[k_] = (from)[k_];                                            \
        uint32_t slots_ = (f)->local_slots;                                    \
        for (uint32_t k_ = (n); k_ < slots_; k_++)                             \
            frame[k_] = 0;                                                     \
        pc = bytes_ + (f)->code;                                               \
        stp = (f)->branches;                                                   \
        sp = frame + slots_;                                                   \
        fp = frame;                                                            \
        table = TABLE_OF(f);                                                   \
    } while (0)

ROUTINE(enter_frame, const Func *callee, Instance *instance)
{
    SPILL();
    uint64_t *frame = sp + 1 + HEADER_SLOTS;
    uint32_t n = callee->type->func.param_slots;
    if (unlikely((uintptr_t)FRAME_TOP(frame, callee) >= LIMIT))
        CHECK(activation_check(SAVE(), FRAME_TOP(frame, callee)));
    OPEN_FRAME(callee, instance, n, sp + 1 - n, pc, stp, fp);
    NEXT;
}

/* The same in place of the running frame: see WebAssembly 3.0, 4.6.11. */
ROUTINE(replace_frame, const Func *callee, Instance *instance)
{
    SPILL();
    uint32_t n = callee->type->func.param_slots;
    uint64_t *to = fp - HEADER_SLOTS - frame_func(fp)->type->func.param_slots;
    uint64_t *frame = to + n + HEADER_SLOTS;
    uintptr_t top = (uintptr_t)FRAME_TOP(frame, callee);
    if (top < (uintptr_t)sp)
        top = (uintptr_t)sp;
    if (unlikely(top >= LIMIT))
        CHECK(activation_check(SAVE(), (uint64_t *)top));
    const uint8_t *return_pc = frame_pc(fp);
    uint64_t return_stp = fp[-4];
    uint64_t *caller = frame_caller(fp);
    const uint64_t *from = sp + 1 - n;
    for (uint32_t k = 0; k < n; k++)
        to[k] = from[k];
    OPEN_FRAME(callee, instance, n, to, return_pc, return_stp, caller);
    NEXT;
}

/* `fail`: what to do with failed_. */
#define CALL_HOST(f, fail)                                                     \
    do {                                                                       \
        HostFunc *host_ = (HostFunc *)(f)->owner;                              \
        const FuncType *type_ = &(f)->type->func;                              \
        SPILL();                                                               \
        const Activation *activation_ = SAVE();                                \
        sp -= type_->param_slots;                                              \
        ErrorCode failed_ =                                                    \
            (ErrorCode)host_->call(host_->host, THE_STORE, sp + 1);            \
        sp += type_->result_slots;                                             \
        if (unlikely(!activation_is_innermost(activation_)))                   \
            TRAP(ERR_BUSY);                                                    \
        if (unlikely(failed_ != ERR_OK))                                       \
            fail;                                                              \
        FILL();                                                                \
    } while (0)

ROUTINE(fail_in_host, ErrorCode failure)
{
    if (failure == ERR_EXCEPTION)
        GO(unwind, 0);
    TRAP(failure);
}

/* The frame was kept for the host to see; its handlers are left. */
ROUTINE(fail_in_host_tail, ErrorCode failure)
{
    Store *s = THE_STORE;
    pc = frame_pc(fp);
    fp = frame_caller(fp);
    if (!fp)
        return trap(failure, s, fp, pc);
    GO(fail_in_host, failure);
}

ROUTINE(call_funcref, FuncRef *target)
{
    if (target->func)
        GO(enter_frame, target->func, target->instance);
    CALL_HOST(target, GO(fail_in_host, failed_));
    NEXT;
}

ROUTINE(return_call_funcref, FuncRef *target)
{
    if (target->func)
        GO(replace_frame, target->func, target->instance);
    CALL_HOST(target, GO(fail_in_host_tail, failed_));
    GO(leave_frame, 0);
}

/* Pops the index; gives the function or traps. */
#define INDIRECT_TARGET(f)                                                     \
    uint32_t type_index_ = code_u32(&pc);                                      \
    const Table *t_ = INSTANCE->tables[code_u32(&pc)];                         \
    uint64_t at_ = tos;                                                        \
    DROP();                                                                    \
    if (unlikely(at_ >= t_->size))                                             \
        TRAP(ERR_UNDEFINED_ELEMENT);                                           \
    FuncRef *f = (FuncRef *)(uintptr_t)t_->elems[at_];                         \
    if (unlikely(!f))                                                          \
        TRAP(ERR_UNINITIALIZED);                                               \
    const TypeDef *want_ = MODULE->types[type_index_];                         \
    if (unlikely(f->type != want_)                                             \
        && !type_def_matches(f->type->id, want_->id))                          \
    TRAP(ERR_INDIRECT_TYPE)

HANDLER(call)
{
    uint32_t index = code_u32(&pc);
    Instance *i = INSTANCE;
    const Module *m = i->module;
    if (index < m->n_imported_funcs)
        GO(call_funcref, i->imported_funcs[index]);
    GO(enter_frame, &m->funcs[index - m->n_imported_funcs], i);
}
HANDLER(return_call)
{
    uint32_t index = code_u32(&pc);
    Instance *i = INSTANCE;
    const Module *m = i->module;
    if (index < m->n_imported_funcs)
        GO(return_call_funcref, i->imported_funcs[index]);
    GO(replace_frame, &m->funcs[index - m->n_imported_funcs], i);
}
HANDLER(call_indirect)
{
    INDIRECT_TARGET(f);
    GO(call_funcref, f);
}
HANDLER(return_call_indirect)
{
    INDIRECT_TARGET(f);
    GO(return_call_funcref, f);
}
HANDLER(call_ref)
{
    code_skip(&pc);
    FuncRef *f = (FuncRef *)(uintptr_t)tos;
    DROP();
    if (unlikely(!f))
        TRAP(ERR_NULL_FUNCTION);
    GO(call_funcref, f);
}
HANDLER(return_call_ref)
{
    code_skip(&pc);
    FuncRef *f = (FuncRef *)(uintptr_t)tos;
    DROP();
    if (unlikely(!f))
        TRAP(ERR_NULL_FUNCTION);
    GO(return_call_funcref, f);
}

/* ---- control */

HANDLER(unreachable) { TRAP(ERR_UNREACHABLE); }
HANDLER(nop) { NEXT; }
HANDLER(block)
{
    code_skip_block_type(&pc);
    NEXT;
}
HANDLER(loop)
{
    code_skip_block_type(&pc);
    NEXT;
}
HANDLER(try)
{
    code_skip_block_type(&pc);
    NEXT;
}
HANDLER(try_table)
{
    code_skip_block_type(&pc);
    for (uint32_t n = code_u32(&pc); n > 0; n--) {
        uint8_t kind = *pc++;
        if (kind < 2)
            code_skip(&pc); /* tag */
        code_skip(&pc);     /* label */
    }
    NEXT;
}
/* Goes where the entry says; no operand moves. */
#define SKIP_ARM()                                                             \
    do {                                                                       \
        const BranchEntry *e_ = stp;                                           \
        pc += e_->dpc;                                                         \
        stp += e_->dstp;                                                       \
    } while (0)
HANDLER(if)
{
    uint32_t c = get_i32(tos);
    DROP();
    if (c) {
        code_skip_block_type(&pc);
        stp++;
    } else {
        SKIP_ARM();
    }
    NEXT;
}
HANDLER(else)
{
    SKIP_ARM();
    NEXT;
}
HANDLER(catch)
{
    SKIP_ARM();
    NEXT;
}
HANDLER(catch_all)
{
    SKIP_ARM();
    NEXT;
}
HANDLER(delegate)
{
    code_skip(&pc);
    NEXT;
}
HANDLER(end)
{
    if (unlikely((uintptr_t)pc == fp[-6]))
        GO(leave_frame, 0);
    NEXT;
}
HANDLER(return) { GO(leave_frame, 0); }
HANDLER(br)
{
    BRANCH();
    NEXT;
}
HANDLER(br_if)
{
    uint32_t c = get_i32(tos);
    DROP();
    BRANCH_ELSE_SKIP(c);
    NEXT;
}
HANDLER(br_table)
{
    const uint8_t *at = pc;
    uint32_t n = code_u32(&at);
    uint32_t i = get_i32(tos);
    DROP();
    stp += i < n ? i : n;
    BRANCH();
    NEXT;
}
HANDLER(throw)
{
    Tag *tag = INSTANCE->tags[code_u32(&pc)];
    uint32_t n = tag->data->type->func.param_slots;
    SPILL();
    SAVE();
    const Exn *exn = heap_exn(THE_STORE, tag, sp + 1 - n);
    if (unlikely(!exn))
        TRAP(ERR_HEAP_LIMIT);
    THE_STORE->pending_exn = (uintptr_t)exn;
    GO(unwind, 0);
}
HANDLER(throw_ref)
{
    if (unlikely(!tos))
        TRAP(ERR_NULL_EXCEPTION);
    THE_STORE->pending_exn = tos;
    GO(unwind, 0);
}
HANDLER(rethrow)
{
    THE_STORE->pending_exn = fp[stp->dpc];
    code_skip(&pc);
    GO(unwind, 0);
}
HANDLER(br_on_null)
{
    bool taken = tos == 0;
    if (taken)
        DROP();
    BRANCH_ELSE_SKIP(taken);
    NEXT;
}
HANDLER(br_on_non_null)
{
    bool taken = tos != 0;
    if (!taken)
        DROP();
    BRANCH_ELSE_SKIP(taken);
    NEXT;
}
/* The target type: of the second heap type, nullable by flag bit 1. */
#define CAST_TYPE(at)                                                          \
    uint8_t flags_ = *at++;                                                    \
    code_skip(&at);                                                            \
    code_skip(&at);                                                            \
    Type type_ = heap_type(MODULE, flags_ & 2, &at)
HANDLER(br_on_cast)
{
    const uint8_t *at = pc;
    CAST_TYPE(at);
    if (word_matches(tos, type_)) {
        BRANCH();
    } else {
        pc = at;
        stp++;
    }
    NEXT;
}
HANDLER(br_on_cast_fail)
{
    const uint8_t *at = pc;
    CAST_TYPE(at);
    if (!word_matches(tos, type_)) {
        BRANCH();
    } else {
        pc = at;
        stp++;
    }
    NEXT;
}

/* ---- parametric, variables */

HANDLER(drop)
{
    DROP();
    NEXT;
}
HANDLER(drop_wide)
{
    sp -= stp->keep;
    stp++;
    FILL();
    NEXT;
}
HANDLER(select)
{
    uint32_t c = get_i32(tos);
    sp -= 2;
    tos = c ? sp[0] : sp[1];
    NEXT;
}
HANDLER(select_wide)
{
    uint32_t c = get_i32(tos);
    uint32_t n = stp->keep;
    stp++;
    sp -= 1 + n;
    if (!c)
        for (uint64_t *at = sp + 1, *to = at - n; to <= sp; to++, at++)
            *to = *at;
    FILL();
    NEXT;
}
HANDLER(select_t)
{
    pc++; /* a vector of length 1 */
    uint32_t n = *pc == T_V128 ? 2 : 1;
    if (*pc == KIND_REF || *pc == KIND_REF_NULL)
        pc++;
    code_skip(&pc);
    uint32_t c = get_i32(tos);
    sp -= 1 + n;
    if (!c)
        for (uint64_t *at = sp + 1, *to = at - n; to <= sp; to++, at++)
            *to = *at;
    FILL();
    NEXT;
}
HANDLER(local_get)
{
    uint32_t i = code_u32(&pc);
    PUSH(fp[i]);
    NEXT;
}
HANDLER(local_set)
{
    uint32_t i = code_u32(&pc);
    fp[i] = tos;
    DROP();
    NEXT;
}
HANDLER(local_tee)
{
    uint32_t i = code_u32(&pc);
    fp[i] = tos;
    NEXT;
}
#define WIDE_SLOT()                                                            \
    uint32_t entry_ = frame_func(fp)->slot_of_local[code_u32(&pc)];            \
    uint64_t *local = fp + (entry_ >> 1);                                      \
    bool is_v128 = entry_ & 1
HANDLER(local_get_wide)
{
    WIDE_SLOT();
    PUSH(local[0]);
    if (is_v128)
        PUSH(local[1]);
    NEXT;
}
HANDLER(local_set_wide)
{
    WIDE_SLOT();
    if (is_v128) {
        local[1] = tos;
        DROP();
    }
    local[0] = tos;
    DROP();
    NEXT;
}
HANDLER(local_tee_wide)
{
    WIDE_SLOT();
    if (is_v128) {
        local[1] = tos;
        local[0] = sp[-1];
    } else {
        local[0] = tos;
    }
    NEXT;
}
HANDLER(global_get)
{
    const Global *g = INSTANCE->globals[code_u32(&pc)];
    PUSH(g->value[0]);
    if (unlikely(g->type == T_V128))
        PUSH(g->value[1]);
    NEXT;
}
HANDLER(global_set)
{
    Global *g = INSTANCE->globals[code_u32(&pc)];
    if (unlikely(g->type == T_V128)) {
        g->value[1] = tos;
        DROP();
    }
    g->value[0] = tos;
    DROP();
    NEXT;
}
HANDLER(i32_const)
{
    PUSH(put_i32((uint32_t)code_s64(&pc)));
    NEXT;
}
HANDLER(i64_const)
{
    PUSH(put_i64((uint64_t)code_s64(&pc)));
    NEXT;
}
HANDLER(f32_const)
{
    M_u32 bits;
    memcpy(&bits, pc, sizeof bits);
    pc += sizeof bits;
    PUSH(bits);
    NEXT;
}
HANDLER(f64_const)
{
    M_u64 bits;
    memcpy(&bits, pc, sizeof bits);
    pc += sizeof bits;
    PUSH(bits);
    NEXT;
}
