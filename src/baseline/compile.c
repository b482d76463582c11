/* One function: choosing homes, then the pass. */
#include <stdlib.h>
#include <string.h>

#include "baseline/compiler.h"
#include "wasm/walk.h"

Compiler *baseline_new(void)
{
    Compiler *c = calloc(1, sizeof *c);
    if (c)
        asm_init(&c->a, 0);
    return c;
}

static void free_scratch(Compiler *c)
{
    asm_free(&c->a);
    free(c->stack);
    free(c->blocks);
    free(c->locals);
    free(c->weights);
    free(c->colds);
    free(c->asides);
    free(c->positions);
    free(c->landings);
    free(c->handlers);
    free(c->marks);
}

void baseline_free(Compiler *c)
{
    if (!c)
        return;
    free_scratch(c);
    free(c);
}

static size_t scratch_bytes(const Compiler *c)
{
    return (size_t)(c->a.end - c->a.start)
           + c->a.label_capacity * sizeof *c->a.labels
           + c->stack_capacity * sizeof *c->stack
           + c->blocks_capacity * sizeof *c->blocks
           + c->locals_capacity * sizeof *c->locals
           + c->colds_capacity * sizeof *c->colds
           + c->asides_capacity * sizeof *c->asides
           + c->positions_capacity * sizeof *c->positions
           + c->handlers_capacity * sizeof *c->handlers
           + c->marks_capacity * sizeof *c->marks;
}

void baseline_trim(Compiler *c)
{
    enum { KEPT = 4 << 20 };
    if (scratch_bytes(c) <= KEPT)
        return;
    free_scratch(c);
    bool lists = c->lists;
    memset(c, 0, sizeof *c);
    c->lists = lists;
    asm_init(&c->a, 0);
}

void baseline_list(Compiler *c) { c->lists = true; }

/* As the arena: what input can make grow is bounded by the validator. */
void *grow_array(void *p, uint32_t *capacity, size_t size)
{
    uint32_t n = *capacity ? *capacity * 2 : 64;
    p = realloc(p, n * size);
    if (!p)
        abort();
    *capacity = n;
    return p;
}

static void *reserve(void *p, uint32_t *capacity, uint32_t n, size_t size)
{
    if (n <= *capacity)
        return p;
    p = realloc(p, n * size);
    if (!p)
        abort();
    *capacity = n;
    return p;
}

/* ---- locals */

static void list_locals(Compiler *c)
{
    const Func *f = c->f;
    const FuncType *t = &f->type->func;
    c->locals =
        reserve(c->locals, &c->locals_capacity, f->n_locals, sizeof(Local));
    uint32_t slot = 0, n = 0;
    for (; n < t->n_params; n++) {
        c->locals[n] = (Local){kind_of(t->types[n]), NO_REG, slot, 0};
        slot += type_slots(t->types[n]);
    }
    for (uint32_t k = 0; k < f->n_local_runs; k++) {
        const LocalRun *run = &f->locals[k];
        uint32_t width = type_slots(run->type);
        for (uint32_t j = 0; j < run->count; j++, n++, slot += width)
            c->locals[n] = (Local){kind_of(run->type), NO_REG, slot, 0};
    }
    c->n_locals = n;
}

/* Uses of each local, times eight for each loop around; `refs` meanwhile. */
static void weigh_locals(Compiler *c)
{
    enum { MOST = 5 };
    uint8_t loops[256]; /* by block: does it close a loop? */
    uint32_t depth = 0, weight = 1, inside = 0;
    Reader r = c->r;
    while (r.p < r.end) {
        uint8_t code = *r.p;
        if (LIKELY(code >= 0x20 && code <= 0x22)) {
            r.p++;
            uint32_t index = reader_u32(&r);
            uint32_t sum = c->locals[index].refs + weight;
            c->locals[index].refs = sum < weight ? UINT32_MAX : sum;
            continue;
        }
        Op op = walk_op(&r);
        walk_skip(&r, op);
        bool opens =
            (code >= 0x02 && code <= 0x04) || code == 0x06 || code == 0x1f;
        if (opens) {
            bool loop = code == 0x03 && depth < sizeof loops;
            if (depth < sizeof loops)
                loops[depth] = loop;
            depth++;
            if (loop && ++inside < MOST)
                weight *= 8;
        } else if (code == 0x0b || code == 0x18) {
            if (depth-- == 0)
                break;
            if (depth < sizeof loops && loops[depth] && inside-- < MOST)
                weight /= 8;
        }
    }
}

typedef struct {
    uint32_t weight, local;
} Candidate;

/* The n heaviest locals of the class, sorted; gives how many there are. */
static uint32_t heaviest(const Compiler *c, bool vec, Candidate *best,
                         uint32_t n)
{
    uint32_t found = 0;
    for (uint32_t k = 0; k < c->n_locals; k++) {
        const Local *l = &c->locals[k];
        if (l->refs == 0 || type_is_vec(l->type) != vec)
            continue;
        if (found == n && best[n - 1].weight >= l->refs)
            continue;
        uint32_t at = found < n ? found++ : n - 1;
        for (; at > 0 && best[at - 1].weight < l->refs; at--)
            best[at] = best[at - 1];
        best[at] = (Candidate){l->refs, k};
    }
    return found;
}

static void choose_homes(Compiler *c)
{
    static const Reg with_calls[] = {RBX, R12, R13, R8, R9, R10};
    static const Reg leaf[] = {R8, R9, R10, RBX, R12, R13};
    const Reg *order = c->f->flags & FUNC_CALLS ? with_calls : leaf;
    Candidate best[8];
    c->home_ints = c->home_vecs = 0;
    c->valid_ints = c->valid_vecs = c->dirty_ints = c->dirty_vecs = 0;
    if (c->has_handlers)
        return;
    weigh_locals(c);
    uint32_t n = heaviest(c, false, best, 6);
    for (uint32_t k = 0; k < n; k++) {
        c->locals[best[k].local].home = order[k];
        c->home_of_int[order[k]] = best[k].local;
        c->home_ints |= 1u << order[k];
    }
    n = heaviest(c, true, best, 8);
    for (uint32_t k = 0; k < n; k++) {
        Reg r = (Reg)(XMM8 + k);
        c->locals[best[k].local].home = r;
        c->home_of_vec[r] = best[k].local;
        c->home_vecs |= 1u << r;
    }
}

/* ---- handlers */

static int compare_keys(const void *a, const void *b)
{
    const HandlerKey *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void list_handlers(Compiler *c)
{
    const Func *f = c->f;
    c->has_handlers = f->n_handlers > 0;
    if (!c->has_handlers)
        return;
    c->landings = reserve(c->landings, &c->landings_capacity, f->n_handlers,
                          sizeof(uint32_t));
    memset(c->landings, 0xff, f->n_handlers * sizeof(uint32_t));
    c->handlers = reserve(c->handlers, &c->handlers_capacity, f->n_handlers,
                          sizeof(HandlerKey));
    for (uint32_t k = 0; k < f->n_handlers; k++)
        c->handlers[k] =
            (HandlerKey){f->handlers[k].start, f->handlers[k].pc, k};
    qsort(c->handlers, f->n_handlers, sizeof *c->handlers, compare_keys);
}

/* ---- the function */

/* Branches that pass many values make code of any length from few bytes, and
 * blocks of many values work of any length. */
enum {
    MOST_CODE = 64 << 20,
    MOST_CODE_BASE = 1 << 16,
    MOST_CODE_PER_BYTE = 64,
    MOST_WORK_BASE = 1 << 20,
    MOST_WORK_PER_BYTE = 32
};

static void begin(Compiler *c, const Module *m, const Func *f,
                  const BaselineConfig *config)
{
    asm_reset(&c->a);
    c->a.cpu = config->cpu;
    c->m = m;
    c->f = f;
    c->config = config;
    c->layout = instance_layout(m);
    static Error none;
    c->r = (Reader){m->bytes, m->bytes + f->code, m->bytes + f->end, &none};
    c->at = f->code;
    c->depth = c->n_blocks = 0;
    c->n_colds = c->n_asides = c->n_positions = c->n_marks = 0;
    c->uncharged = c->ways = 0;
    uint32_t bytes = f->end - f->code;
    c->most_code = MOST_CODE_BASE + MOST_CODE_PER_BYTE * bytes;
    if (c->most_code > MOST_CODE)
        c->most_code = MOST_CODE;
    c->work = 0;
    c->most_work = MOST_WORK_BASE + (uint64_t)MOST_WORK_PER_BYTE * bytes;
    c->cache_ints = INT_CACHE;
    c->cache_vecs = VEC_CACHE;
    if (config->n_cache == 4) {
        c->cache_ints &= ~(1u << RDI);
        c->cache_vecs = 0xf;
    }
    c->free_ints = c->cache_ints;
    c->free_vecs = c->cache_vecs;
    c->stack = reserve(c->stack, &c->stack_capacity, f->max_height + 2,
                       sizeof(Operand));
    list_handlers(c);
    AbiSize size = abi_size(&f->type->func);
    c->stack_args = size.args;
    c->results_area = (int32_t)size.results;
}

/* One operand slot more than there are operands, for a copy; one below. */
static bool lay_out_frame(Compiler *c)
{
    uint64_t slots = (uint64_t)c->f->local_slots + c->f->max_height + 2;
    uint64_t bytes = FRAME_FIXED + 8 * slots;
    if (bytes > 1 << 24)
        return false;
    c->operands = (int32_t)bytes;
    c->frame = (int32_t)((bytes + 8 + 15) & ~(uint64_t)15);
    return true;
}

bool baseline_compile(Compiler *c, const Module *m, const Func *f,
                      const BaselineConfig *config, BaselineCode *out)
{
    *out = (BaselineCode){0};
    begin(c, m, f, config);
    if (!lay_out_frame(c))
        return false;
    list_locals(c);
    choose_homes(c);
    for (uint32_t k = 0; k < c->n_locals; k++)
        c->locals[k].refs = 0;
    if (!compile_body(c) || !asm_finish(&c->a)) {
        *out = (BaselineCode){.refused = guard_refusal(&c->a.guard),
                              .refused_at = c->at};
        return false;
    }
    *out = (BaselineCode){
        .bytes = c->a.start,
        .size = asm_pos(&c->a),
        .positions = c->positions,
        .n_positions = c->n_positions,
        .landings = c->landings,
        .operands = c->operands,
        .frame = c->frame,
        .marks = c->marks,
        .n_marks = c->n_marks,
    };
    return true;
}
