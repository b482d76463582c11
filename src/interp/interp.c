#include "interp/interp.h"

#include "interp/state.h"

/* Few slots at a time: a call of memcpy costs more. */
static inline void copy_slots(uint64_t *to, const uint64_t *from, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        to[k] = from[k];
}

static __attribute__((noinline)) ErrorCode check_room(Activation *a,
                                                      const uint64_t *top)
{
    Store *s = a->store;
    ErrorCode code = ERR_OK;
    while (code == ERR_OK
           && (uintptr_t)top
                  >= atomic_load_explicit(&s->limit, memory_order_relaxed))
        code = activation_check(a, top);
    return code;
}

/* Runs f's body from `code` to `end`, with the arguments at a->base; leaves
 * the frame's address in a->fp. */
static inline ErrorCode run_frame(Activation *a, const Func *f, Instance *i,
                                  uint32_t code, uint32_t end)
{
    uint32_t n = f->type->func.param_slots, locals = f->local_slots;
    uint64_t *fp = a->base + n + HEADER_SLOTS;
    const uint64_t *top = fp + locals + f->max_height + 1;
    if (unlikely((uintptr_t)top >= atomic_load_explicit(
                     &a->store->limit, memory_order_relaxed))) {
        ErrorCode failure = check_room(a, top);
        if (failure != ERR_OK)
            return failure;
    }
    const uint8_t *bytes = i->module->bytes;
    fp[-1] = (uintptr_t)i;
    fp[-2] = (uintptr_t)f;
    fp[-3] = fp[-4] = fp[-5] = 0;
    fp[-6] = (uintptr_t)(bytes + end);
    copy_slots(fp, a->base, n);
    for (uint32_t k = n; k <= locals; k++)
        fp[k] = 0;
    a->fp = fp;
    a->sp = fp + locals;
    return interp_run(bytes + code, a->sp, fp, f->branches, a->store->metered);
}

static inline ErrorCode call_guest(Activation *a, const FuncRef *f,
                                   uint64_t *slots)
{
    const Func *func = f->func;
    const FuncType *t = &func->type->func;
    /* Beyond the stack's limit there is room for any arguments. */
    copy_slots(a->base, slots, t->param_slots);
    ErrorCode code = run_frame(a, func, f->instance, func->code, func->end);
    if (likely(code == ERR_OK))
        copy_slots(slots, a->base, t->result_slots);
    return code;
}

static inline ErrorCode run(Activation *a, FuncRef *f, uint64_t *slots)
{
    if (likely(f->func))
        return call_guest(a, f, slots);
    HostFunc *h = (HostFunc *)f->owner;
    return (ErrorCode)h->call(h->host, a->store, slots);
}

static __attribute__((noinline)) ErrorCode call_nested(FuncRef *f,
                                                       uint64_t *slots)
{
    Activation a;
    Store *s = f->owner->store;
    ErrorCode code = activation_enter(&a, s, f->may_run_long);
    if (code != ERR_OK)
        return code;
    s->n_frames = s->frame_depth = 0;
    code = run(&a, f, slots);
    activation_leave(&a);
    return code;
}

static inline ErrorCode call(FuncRef *f, uint64_t *slots, bool alone)
{
    Store *s = f->owner->store;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    Thread *t = activation_first(s, here, alone);
    if (unlikely(!t))
        return call_nested(f, slots);
    Activation *a = &t->first;
    if (f->may_run_long)
        activation_tick(a);
    ErrorCode code = run(a, f, slots);
    a->sp = a->base;
    a->fp = NULL;
    a->pc = NULL;
    if (f->may_run_long)
        activation_leave(a);
    else
        activation_last(t, s);
    return code;
}

ErrorCode interp_call(FuncRef *f, uint64_t *slots)
{
    return call(f, slots, false);
}

chi_code interp_call_alone(chi_func *f, uint64_t *slots)
{
    return (chi_code)call((FuncRef *)f, slots, true);
}

/* A constant expression runs as a function of no type; its value is what the
 * frame's operands are at the end. */
ErrorCode interp_constant(Instance *i, const ConstExpr *e, uint64_t *slots)
{
    TypeDef type = {.kind = COMP_FUNC};
    Func f = {.type = &type, .max_height = e->max_height};
    Activation a;
    ErrorCode code = activation_enter(&a, i->e.store, false);
    if (code != ERR_OK)
        return code;
    code = run_frame(&a, &f, i, e->start, e->end);
    if (code == ERR_OK)
        copy_slots(slots, a.fp + 1, e->max_height > 1 ? 2 : 1);
    activation_leave(&a);
    return code;
}
