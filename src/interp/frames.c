/* Walking guest frames: for exceptions and for tracebacks. */
#include "interp/state.h"
#include "runtime/unwind.h"
#include "wasm/walk.h"

/* Every pc here stands behind an instruction, so the byte before it tells
 * which one. */
static uint32_t offset_of(const Instance *i, const uint8_t *pc)
{
    return (uint32_t)(pc - i->module->bytes) - 1;
}

void frames_record(Store *s, uint64_t *fp, const uint8_t *pc)
{
    s->n_frames = s->frame_depth = 0;
    for (; fp; pc = frame_pc(fp), fp = frame_caller(fp)) {
        s->frame_depth++;
        if (s->n_frames == FRAMES_KEPT || !frame_func(fp)->end)
            continue;
        Instance *i = frame_instance(fp);
        const Func *f = frame_func(fp);
        uint32_t at = walk_instruction_at(i->module, f, offset_of(i, pc));
        s->frames[s->n_frames++] = (Frame){i, f, at};
    }
}

static void land(const Handler *h, const Exn *exn, uint64_t word, uint64_t *fp,
                 Activation *a)
{
    const Func *f = frame_func(fp);
    uint64_t *sp = fp + f->local_slots + h->height - h->drop;
    if (h->kind == HANDLER_CATCH || h->kind == HANDLER_CATCH_REF)
        for (uint32_t k = 0; k < exn->o.length; k++)
            *++sp = exn->slots[k];
    if (h->kind == HANDLER_CATCH_REF || h->kind == HANDLER_CATCH_ALL_REF)
        *++sp = word;
    if (h->exn_slot != NO_SLOT)
        fp[h->exn_slot] = word;
    a->fp = fp;
    a->sp = sp;
    a->pc = frame_instance(fp)->module->bytes + h->pc;
}

const Handler *frames_unwind(Store *s, uint64_t *fp, const uint8_t *pc)
{
    uint64_t word = s->pending_exn;
    const Exn *exn = (const Exn *)word_object(word);
    for (; fp; pc = frame_pc(fp), fp = frame_caller(fp)) {
        const Func *f = frame_func(fp);
        if (f->n_handlers == 0)
            continue;
        Instance *i = frame_instance(fp);
        const Handler *h = handler_find(f, i, offset_of(i, pc), exn);
        if (h) {
            land(h, exn, word, fp, store_activation(s));
            s->pending_exn = 0;
            return h;
        }
    }
    return NULL;
}

ErrorCode trap(ErrorCode code, Store *s, uint64_t *fp, const uint8_t *pc)
{
    frames_record(s, fp, pc);
    return code;
}

ErrorCode wait_at(Store *s, MemoryData *d, uint64_t address, bool is64,
                  uint64_t *sp)
{
    uint32_t result = 0;
    ErrorCode code =
        memory_wait(s, d, address, sp[1], is64, (int64_t)sp[2], &result);
    *sp = result;
    return code;
}
