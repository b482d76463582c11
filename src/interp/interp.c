#include "interp/interp.h"

#include "interp/state.h"

/* Puts the frame of f on top of the activation's stack: its arguments are the
 * slots before `sp`, one past the last. */
static uint64_t *push_frame(uint64_t *sp, const Func *f, Instance *i,
                            uint32_t end)
{
    uint32_t n = f->type->func.param_slots;
    uint64_t *fp = sp + HEADER_SLOTS;
    fp[-1] = (uintptr_t)i;
    fp[-2] = (uintptr_t)f;
    fp[-3] = fp[-4] = fp[-5] = 0;
    fp[-6] = (uintptr_t)(i->module->bytes + end);
    memcpy(fp, sp - n, n * sizeof *fp);
    memset(fp + n, 0, (f->local_slots - n + 1) * sizeof *fp);
    return fp;
}

static bool fits(Activation *a, const uint64_t *sp, const Func *f,
                 ErrorCode *code)
{
    const uint64_t *top =
        sp + HEADER_SLOTS + f->local_slots + f->max_height + 1;
    Store *s = a->store;
    *code = ERR_OK;
    while ((uintptr_t)top
           >= atomic_load_explicit(&s->limit, memory_order_relaxed)) {
        *code = activation_check(a, top);
        if (*code != ERR_OK)
            return false;
    }
    return true;
}

/* Runs f's body from `code` to `end`; leaves the frame's address in *frame. */
static ErrorCode run_frame(Activation *a, const Func *f, Instance *i,
                           uint64_t *slots, uint32_t code, uint32_t end,
                           uint64_t **frame)
{
    uint32_t n = f->type->func.param_slots;
    uint64_t *sp = a->base + n;
    ErrorCode failure;
    if (!fits(a, sp, f, &failure))
        return failure;
    if (n)
        memcpy(a->base, slots, n * sizeof *slots);
    uint64_t *fp = push_frame(sp, f, i, end);
    *frame = a->fp = fp;
    a->sp = fp + f->local_slots;
    return interp_run(i->module->bytes + code, a->sp, fp, f->branches,
                      a->store->metered);
}

static ErrorCode call_guest(Activation *a, const FuncRef *f, uint64_t *slots)
{
    const Func *func = f->func;
    uint64_t *frame;
    ErrorCode code =
        run_frame(a, func, f->instance, slots, func->code, func->end, &frame);
    if (code == ERR_OK)
        memcpy(slots, a->base, func->type->func.result_slots * sizeof *slots);
    return code;
}

ErrorCode interp_call(FuncRef *f, uint64_t *slots)
{
    Store *s = f->owner->store;
    Activation a;
    bool may_run_long =
        !f->func || (f->func->flags & (FUNC_LOOPS | FUNC_CALLS));
    ErrorCode code = activation_enter(&a, s, may_run_long);
    if (code != ERR_OK)
        return code;
    s->n_frames = s->frame_depth = 0;
    if (f->func) {
        code = call_guest(&a, f, slots);
    } else {
        HostFunc *h = (HostFunc *)f->owner;
        code = h->call(h->host, s, slots);
    }
    activation_leave(&a);
    return code;
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
    uint64_t *frame;
    code = run_frame(&a, &f, i, NULL, e->start, e->end, &frame);
    if (code == ERR_OK)
        memcpy(slots, frame + 1, (e->max_height > 1 ? 2 : 1) * sizeof *slots);
    activation_leave(&a);
    return code;
}
