/* Entering compiled code, and leaving it by other ways than returning. */
#include <string.h>

#include "native/internal.h"
#include "runtime/heap.h"
#include "runtime/memory.h"
#include "runtime/reservation.h"
#include "runtime/store.h"
#include "runtime/unwind.h"

/* ---- in and out */

static bool find_entry(FuncRef *f)
{
    if (!f->entry)
        f->entry = (const void *)(uintptr_t)stub_entry(&f->type->func);
    return f->entry;
}

static inline ErrorCode enter(const FuncRef *f, uint64_t *slots, Activation *a)
{
    EntryStub *entry = (EntryStub *)(uintptr_t)f->entry;
    return entry(f->code, f->context, slots, a);
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
    uintptr_t base = a.thread->native_base;
    if (!base)
        a.thread->native_base = (uintptr_t)(&a + 1);
    code = enter(f, slots, &a);
    if (activation_is_innermost(&a))
        a.thread->native_base = base;
    activation_leave(&a);
    return code;
}

static __attribute__((noinline)) ErrorCode call_long(FuncRef *f,
                                                     uint64_t *slots, Thread *t)
{
    activation_tick(&t->first);
    t->native_base = (uintptr_t)__builtin_frame_address(0);
    ErrorCode code = enter(f, slots, &t->first);
    activation_leave(&t->first);
    return code;
}

static inline ErrorCode call(FuncRef *f, uint64_t *slots, bool alone)
{
    Store *s = f->owner->store;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    Thread *t = activation_first(s, here, alone);
    if (unlikely(!t))
        return call_nested(f, slots);
    if (f->may_run_long)
        return call_long(f, slots, t);
    t->native_base = here;
    ErrorCode code = enter(f, slots, &t->first);
    activation_last(t, s);
    return code;
}

ErrorCode native_call(FuncRef *f, uint64_t *slots)
{
    return find_entry(f) ? call(f, slots, false) : ERR_MEMORY;
}

static chi_code call_alone(chi_func *f, uint64_t *slots)
{
    return (chi_code)call((FuncRef *)f, slots, true);
}

chi_fast_fn *native_fast(FuncRef *f)
{
    return find_entry(f) ? call_alone : NULL;
}

ErrorCode native_host(FuncRef *f, uint64_t *slots, uintptr_t stub_frame)
{
    Outside out;
    HostFunc *h = (HostFunc *)f->owner;
    Store *s = h->e.store;
    Activation *a = activation_of(s);
    activation_out(&out, a);
    a->native_exit = stub_frame;
    ErrorCode code = (ErrorCode)h->call(h->host, s, slots);
    a->native_exit = 0;
    return activation_back(&out, code);
}

ErrorCode native_interpret(uint64_t index, uint64_t *slots, Instance *i)
{
    Outside out;
    FuncRef *f = instance_func(i, (uint32_t)index);
    activation_out(&out, activation_of(i->e.store));
    return activation_back(&out, engine_hooks.interpret(f, slots));
}

/* ---- frames.  Each has its rbp; fp[1] is where it returns to. */

typedef struct {
    const uintptr_t *fp; /* NULL: none is left */
    uintptr_t pc;        /* in its code: a return address, or a fault */
    Instance *instance;
    const NativeCode *code;
    uint32_t at; /* offset of the instruction in the module */
} Walk;

/* pc: a return address, or one past where an access begins.  An access that
 * begins at a return address is behind the call. */
static bool is_behind(const Position *p, uint32_t pc)
{
    return p->code + (p->offset & POSITION_ACCESS ? 1 : 0) <= pc;
}

static uint32_t position_at(const NativeCode *code, uintptr_t pc)
{
    uint32_t at = (uint32_t)(pc - (uintptr_t)code->start);
    uint32_t low = 0, high = code->n_positions;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (is_behind(&code->positions[middle], at))
            low = middle;
        else
            high = middle;
    }
    return code->n_positions ? code->positions[low].offset & ~POSITION_ACCESS
                             : 0;
}

/* Skips stubs. */
static void settle(Walk *w, uintptr_t end)
{
    while ((uintptr_t)w->fp != end) {
        w->code = native_find(w->pc - 1);
        if (!w->code)
            break;
        if (w->code->func) {
            w->at = position_at(w->code, w->pc);
            return;
        }
        w->pc = w->fp[1];
        w->fp = (const uintptr_t *)w->fp[0];
        w->instance = NULL;
    }
    w->fp = NULL;
}

static Walk walk_begin(uintptr_t fp, uintptr_t pc, Instance *i, uintptr_t end)
{
    Walk w = {(const uintptr_t *)fp, pc, i, NULL, 0};
    settle(&w, end);
    if (w.fp && !w.instance)
        w.instance = (Instance *)w.fp[-1];
    return w;
}

static void walk_next(Walk *w, uintptr_t end)
{
    w->pc = w->fp[1];
    w->fp = (const uintptr_t *)w->fp[0];
    settle(w, end);
    if (w->fp)
        w->instance = (Instance *)w->fp[-1];
}

Instance *native_caller(const Activation *a)
{
    const uintptr_t *fp = (const uintptr_t *)a->native_exit;
    if (!fp)
        return NULL;
    if (fp[1] == stub_restore())
        return (Instance *)((const uintptr_t *)fp[0])[-1];
    Walk w = walk_begin(fp[0], fp[1], NULL, a->native_fp);
    return w.fp ? w.instance : NULL;
}

static void record_frames(Store *s, Walk w, uintptr_t end)
{
    s->n_frames = s->frame_depth = 0;
    for (; w.fp; walk_next(&w, end)) {
        s->frame_depth++;
        if (s->n_frames < FRAMES_KEPT)
            s->frames[s->n_frames++] = (Frame){w.instance, w.code->func, w.at};
    }
}

/* ---- failures */

static void leave(const Activation *a, ErrorCode code, Landing *out)
{
    *out = (Landing){stub_leave(), a->native_fp, a->native_sp, code};
}

/* Slots as compiler.h lays them out. */
static uint64_t *local_at(const uintptr_t *fp, uint32_t slot)
{
    enum { FRAME_FIXED = 48 };
    return (uint64_t *)((uintptr_t)fp - FRAME_FIXED - 8 * (slot + 1));
}

static void land(const Walk *w, const Handler *h, const Exn *exn, uint64_t word,
                 Landing *out)
{
    uintptr_t fp = (uintptr_t)w->fp;
    uint64_t *sp =
        (uint64_t *)(fp - (uintptr_t)w->code->operands) + h->height - h->drop;
    if (h->kind == HANDLER_CATCH || h->kind == HANDLER_CATCH_REF)
        for (uint32_t k = 0; k < exn->o.length; k++)
            *sp++ = exn->slots[k];
    if (h->kind == HANDLER_CATCH_REF || h->kind == HANDLER_CATCH_ALL_REF)
        *sp = word;
    if (h->exn_slot != NO_SLOT)
        *local_at(w->fp, h->exn_slot) = word;
    uint32_t index = (uint32_t)(h - w->code->func->handlers);
    out->pc = (uintptr_t)w->code->start + w->code->landings[index];
    out->fp = fp;
    out->sp = fp - (uintptr_t)w->code->frame;
}

static bool unwind(Store *s, Walk w, uintptr_t end, Landing *out)
{
    uint64_t word = s->pending_exn;
    const Exn *exn = (const Exn *)word_object(word);
    for (; w.fp; walk_next(&w, end)) {
        const Func *f = w.code->func;
        const Handler *h = handler_find(f, w.instance, w.at, exn);
        if (h && w.code->landings[h - f->handlers] != UINT32_MAX) {
            land(&w, h, exn, word, out);
            s->pending_exn = 0;
            return true;
        }
    }
    return false;
}

void native_fail(ErrorCode code, uintptr_t fp, uintptr_t pc, Instance *i,
                 Landing *out)
{
    Thread *t = thread_current();
    const Activation *a = code == ERR_BUSY ? t->out_of_order : t->top;
    Store *s = a->store;
    Walk w = walk_begin(fp, pc, i, a->native_fp);
    if (code == ERR_EXCEPTION && unwind(s, w, a->native_fp, out))
        return;
    record_frames(s, w, a->native_fp);
    if (code == ERR_OUT_OF_FUEL)
        s->fuel = 0; /* what was charged last was not there */
    leave(a, code, out);
}

ErrorCode native_throw(Instance *i, uint32_t tag, const uint64_t *slots)
{
    Store *s = i->e.store;
    const Exn *exn = heap_exn(s, i->tags[tag], slots);
    if (!exn)
        return ERR_HEAP_LIMIT;
    s->pending_exn = (uintptr_t)exn;
    return ERR_EXCEPTION;
}

ErrorCode native_rethrow(Instance *i, uint64_t word)
{
    i->e.store->pending_exn = word;
    return ERR_EXCEPTION;
}

bool native_match(uint64_t word, uint32_t target, const Instance *i)
{
    uint32_t heap = (target & ~MATCH_ABSTRACT) >> 1;
    heap = target & MATCH_ABSTRACT ? HEAP_ABSTRACT | heap : i->type_ids[heap];
    return word_matches(word, type_ref(target & 1, heap));
}

void *native_struct(Instance *i, uint32_t type)
{
    return heap_struct(i->e.store, i->module->types[type]);
}

void *native_array(Instance *i, uint32_t type, uint32_t length)
{
    return heap_array(i->e.store, i->module->types[type], length);
}

/* The stack limit, or an interrupt.  The frame to be checked may not be made
 * yet. */
ErrorCode native_check(Instance *i, uintptr_t *stub_frame)
{
    Store *s = i->e.store;
    uintptr_t limit = s->native_stack_limit;
    if (atomic_exchange(&s->native_limit, limit) == UINTPTR_MAX) {
        Activation *a = activation_of(s);
        ErrorCode code = activation_check(a, a->base);
        if (code != ERR_OK)
            return code;
    }
    const NativeCode *code = native_find(stub_frame[1] - 1);
    uintptr_t fp = stub_frame[0], need = code ? (uintptr_t)code->frame : 0;
    return fp < limit || fp - limit < need ? ERR_STACK : ERR_OK;
}

/* ---- faults of guarded accesses */

static bool is_access(const NativeCode *code, uintptr_t pc)
{
    uint32_t at = (uint32_t)(pc - (uintptr_t)code->start);
    uint32_t low = 0, high = code->n_positions;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (code->positions[middle].code < at)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < code->n_positions && code->positions[low].code == at; low++)
        if (code->positions[low].offset & POSITION_ACCESS)
            return true;
    return false;
}

static bool on_fault(OsFault *f)
{
    if (!code_contains(f->pc))
        return false;
    const NativeCode *code = native_find(f->pc);
    if (!code || !code->func || !is_access(code, f->pc)
        || !reservation_contains(f->address))
        return false;
    Instance *i = (Instance *)f->ctx;
    Store *s = i->e.store;
    const Activation *a =
        atomic_load_explicit(&s->owner, memory_order_relaxed)->top;
    Landing l;
    record_frames(s, walk_begin(f->fp, f->pc + 1, i, a->native_fp),
                  a->native_fp);
    leave(a, ERR_MEMORY_BOUNDS, &l);
    f->pc = l.pc;
    f->fp = l.fp;
    f->sp = l.sp;
    f->result = l.result;
    return true;
}

static _Atomic bool watching;

bool native_watch_faults(void)
{
    watching = true;
    return os_faults_watch(on_fault);
}

void native_signals(bool on)
{
    if (!watching)
        return;
    if (on)
        os_faults_watch(on_fault);
    else
        os_faults_ignore();
}
