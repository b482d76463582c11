/* One pass over the code.  A table derived from op.def says of each simple
 * instruction what it does to the operands; check_run does the plain cases of
 * those in place, on a reader pointer and stack pointers that live in locals.
 * Everything else is a call: of check_<name> for the HAND rows, of a function
 * below for the other shapes.  Few kinds of rules rather than a case for each
 * instruction, because the jump on the kind is what costs: the fewer targets,
 * the better it is predicted.
 *
 * Of an instruction that the end cuts off, bytes behind the end are read: up to
 * READ_TOO_FAR, which the padding of the module's bytes covers.  They change
 * nothing that counts, since the loop then finds that its end is missing.
 */
#include "wasm/validate.h"

#include <stdlib.h>

#include "wasm/check.h"
#include "wasm/decode.h"
#include "wasm/walk.h"

/* Rules. */

typedef enum {
    RULE_NONE, /* no instruction has this code */
    RULE_PREFIX,
    RULE_CALL,   /* no plain case */
    RULE_UNARY,  /* b -> out, in one slot each */
    RULE_BINARY, /* a b -> out */
    RULE_LOAD,   /* n: log2 of the bytes */
    RULE_STORE,  /* of a b */
    RULE_LOCAL_SET,
    RULE_LOCAL_TEE,
    RULE_INTEGER_CONST,
    RULE_FLOAT_CONST, /* n: bytes */
    RULE_BLOCK,       /* from here on: calls, but frequent ones */
    RULE_END,
    RULE_BR_IF,
    RULE_FUNC,
} RuleKind;

typedef struct {
    uint16_t op;
    uint8_t kind;      /* RuleKind */
    uint8_t n;         /* a number that belongs to the shape */
    uint8_t a, b, out; /* types; T_BOTTOM: none */
} Rule;

enum {
    T_i32 = T_I32,
    T_i64 = T_I64,
    T_f32 = T_F32,
    T_f64 = T_F64,
    LOG2_s8 = 0,
    LOG2_u8 = 0,
    LOG2_s16 = 1,
    LOG2_u16 = 1,
    LOG2_s32 = 2,
    LOG2_u32 = 2,
    LOG2_u64 = 3,
    LOG2_1 = 0,
    LOG2_2 = 1,
    LOG2_4 = 2,
    LOG2_8 = 3,
    LOG2_16 = 4,
};

/* clang-format off */

/* HAND rows have a plain case only if there is a RULE_OF_f: `, (rule)`. */
#define TAKE_SECOND(...)        TAKE_SECOND_(__VA_ARGS__)
#define TAKE_SECOND_(a, b, ...) b
#define R(kind, n, a, b, out)   RULE_##kind, n, a, b, out
#define EXPAND(macro, args)     macro args
#define HAND(f)                 EXPAND(R, TAKE_SECOND(RULE_OF_##f, (CALL, 0, 0, 0, 0), 0))
#define RULE_OF_local_set       , (LOCAL_SET, 0, 0, 0, 0)
#define RULE_OF_local_tee       , (LOCAL_TEE, 0, 0, 0, 0)
#define RULE_OF_i32_const       , (INTEGER_CONST, 0, 0, 0, T_I32)
#define RULE_OF_i64_const       , (INTEGER_CONST, 0, 0, 0, T_I64)
#define RULE_OF_f32_const       , (FLOAT_CONST, 4, 0, 0, T_F32)
#define RULE_OF_f64_const       , (FLOAT_CONST, 8, 0, 0, T_F64)
#define RULE_OF_block           , (BLOCK, 0, 0, 0, 0)
#define RULE_OF_end             , (END, 0, 0, 0, 0)
#define RULE_OF_br_if           , (BR_IF, 0, 0, 0, 0)
#define RULE_OF_call            , (FUNC, 0, 0, 0, 0)

#define UN(t, f)                R(UNARY, 0, 0, T_##t, T_##t)
#define BIN(t, f)               R(BINARY, 0, T_##t, T_##t, T_##t)
#define TEST(t, f)              R(UNARY, 0, 0, T_##t, T_I32)
#define CMP(t, f)               R(BINARY, 0, T_##t, T_##t, T_I32)
#define DIV(t, f)               BIN(t, f)
#define CONV(to, from, f)       R(UNARY, 0, 0, T_##from, T_##to)
#define TRUNC(to, from, f)      CONV(to, from, f)
#define LOAD(t, m)              R(LOAD, LOG2_##m, 0, 0, T_##t)
#define STORE(t, m)             R(STORE, LOG2_##m, 0, T_##t, 0)
#define WIDE(f, n)              R(CALL, n, 0, 0, 0)
#define VUN(f)                  R(UNARY, 0, 0, T_V128, T_V128)
#define VBIN(f)                 R(CALL, 0, T_V128, T_V128, T_V128)
#define VTER(f)                 R(CALL, 0, T_V128, T_V128, T_V128)
#define VTEST(f)                R(CALL, 0, 0, T_V128, T_I32)
#define VSHIFT(f)               R(CALL, 0, T_V128, T_I32, T_V128)
#define VSPLAT(t, s)            R(CALL, 0, 0, T_##t, T_V128)
#define VEXTRACT(t, s, lanes)   R(CALL, lanes, 0, T_V128, T_##t)
#define VREPLACE(t, s, lanes)   R(CALL, lanes, T_V128, T_##t, T_V128)
#define VLOAD(f, bytes)         R(CALL, LOG2_##bytes, 0, 0, T_V128)
#define VSTORE(f, bytes)        R(CALL, LOG2_##bytes, 0, T_V128, 0)
#define VLOADLANE(bits, bytes)  R(CALL, LOG2_##bytes, 0, T_V128, T_V128)
#define VSTORELANE(bits, bytes) R(CALL, LOG2_##bytes, 0, T_V128, 0)
#define ALOAD(t, m)             R(CALL, LOG2_##m, 0, 0, T_##t)
#define ASTORE(t, m)            R(CALL, LOG2_##m, 0, T_##t, 0)
#define ARMW(t, m, f)           R(CALL, LOG2_##m, 0, T_##t, T_##t)
#define ACAS(t, m)              R(CALL, LOG2_##m, 0, T_##t, T_##t)

/* By code, prefixed ones by op behind the codes of one byte. */
#define RULE_INDEX(op, code) ((code) < 0x100 ? (code) : 0x100 + (op))
static const Rule rules[0x100 + OP_COUNT] = {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    [RULE_INDEX(OP_##NAME, CODE)] = {OP_##NAME, SHAPE},
#include "wasm/op.def"
#undef OP
    [0xfb] = {.kind = RULE_PREFIX},
    [0xfc] = {.kind = RULE_PREFIX},
    [0xfd] = {.kind = RULE_PREFIX},
    [0xfe] = {.kind = RULE_PREFIX},
};

#include "wasm/shapes_end.def"
/* clang-format on */

static const Rule *rule_of(const Validator *v)
{
    return &rules[RULE_INDEX(v->op, op_info[v->op].code)];
}

/* What is not plain, by shape. */

static bool apply(Validator *v)
{
    const Rule *r = rule_of(v);
    return check_apply(v, r->a, r->b, r->out);
}

static bool apply_three(Validator *v)
{
    return check_pop(v, T_V128) && apply(v);
}

static bool apply_wide(Validator *v)
{
    for (int i = 0; i < rule_of(v)->n; i++)
        if (!check_pop(v, T_I64))
            return false;
    check_push(v, T_I64);
    check_push(v, T_I64);
    return true;
}

static bool apply_lane(Validator *v)
{
    return check_read_lane(v, rule_of(v)->n) && apply(v);
}

static bool access_memory(Validator *v, bool is_atomic, bool has_lane)
{
    const Rule *r = rule_of(v);
    Type address = check_read_memarg(v, 1u << r->n, is_atomic);
    if (!address || (has_lane && !check_read_lane(v, 16u >> r->n)))
        return false;
    return r->b ? check_apply(v, address, r->b, r->out)
                : check_apply(v, T_BOTTOM, address, r->out);
}

static bool exchange(Validator *v)
{
    const Rule *r = rule_of(v);
    Type address = check_read_memarg(v, 1u << r->n, true);
    return address && check_pop(v, r->b)
           && check_apply(v, address, r->b, r->out);
}

/* clang-format off */
#define HAND(f)                 check_##f(v)
#define UN(t, f)                apply(v)
#define BIN(t, f)               apply(v)
#define TEST(t, f)              apply(v)
#define CMP(t, f)               apply(v)
#define DIV(t, f)               apply(v)
#define CONV(to, from, f)       apply(v)
#define TRUNC(to, from, f)      apply(v)
#define LOAD(t, m)              access_memory(v, false, false)
#define STORE(t, m)             access_memory(v, false, false)
#define WIDE(f, n)              apply_wide(v)
#define VUN(f)                  apply(v)
#define VBIN(f)                 apply(v)
#define VTER(f)                 apply_three(v)
#define VTEST(f)                apply(v)
#define VSHIFT(f)               apply(v)
#define VSPLAT(t, s)            apply(v)
#define VEXTRACT(t, s, lanes)   apply_lane(v)
#define VREPLACE(t, s, lanes)   apply_lane(v)
#define VLOAD(f, bytes)         access_memory(v, false, false)
#define VSTORE(f, bytes)        access_memory(v, false, false)
#define VLOADLANE(bits, bytes)  access_memory(v, false, true)
#define VSTORELANE(bits, bytes) access_memory(v, false, true)
#define ALOAD(t, m)             access_memory(v, true, false)
#define ASTORE(t, m)            access_memory(v, true, false)
#define ARMW(t, m, f)           access_memory(v, true, false)
#define ACAS(t, m)              exchange(v)
static bool call(Validator *v)
{
    switch (v->op) {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) case OP_##NAME: return SHAPE;
#include "wasm/op.def"
#undef OP
    default: return false;
    }
}
#include "wasm/shapes_end.def"
/* clang-format on */

/* Codes. */

/* `throw` belongs to both kinds of exceptions. */
static bool is_allowed(const Module *m, Op op)
{
    return decode_has(m, (Feature)op_info[op].feature)
           || (op == OP_THROW && decode_has(m, FEATURE_LEGACY));
}

static bool fail_op(Validator *v, Op op)
{
    v->op = op;
    return check_malformed(v, "illegal opcode: needs the feature %s",
                           feature_text[op_info[op].feature]);
}

static bool fail_code(Validator *v, uint8_t prefix, uint32_t number)
{
    v->op = OP_COUNT;
    if (prefix)
        return check_malformed(v, "illegal opcode %02x %02x", prefix,
                               (unsigned)number);
    return check_malformed(v, "illegal opcode %02x", (unsigned)number);
}

static bool fail_end(Validator *v)
{
    v->op = OP_COUNT;
    v->at = (uint32_t)(v->r.end - v->r.start);
    return check_malformed(v, "unexpected end of section or function: END "
                              "opcode expected");
}

/* The rule behind a prefix, or NULL. */
static const Rule *read_prefixed(Validator *v, uint8_t prefix)
{
    uint32_t number = reader_u32(&v->r);
    if (!reader_ok(&v->r))
        return NULL;
    Op op = op_of_code(prefix, number);
    if (op != OP_COUNT)
        return &rules[0x100 + op];
    fail_code(v, prefix, number);
    return NULL;
}

/* The end of a LEB128 of at most four bytes, whose value fits any integer; or
 * NULL. */
static inline const uint8_t *skip_leb4(const uint8_t *p)
{
    if (p[0] < 0x80)
        return p + 1;
    if (p[1] < 0x80)
        return p + 2;
    if (p[2] < 0x80)
        return p + 3;
    return p[3] < 0x80 ? p + 4 : NULL;
}

#define SAVE()                                                                 \
    (v->r.p = p, v->sp = sp, v->at = (uint32_t)(at - start), v->op = (Op)r->op)

/* Behind an opcode that is the last byte: an alignment and a LEB128 of four
 * bytes. */
enum { READ_TOO_FAR = 5 };
_Static_assert((int)READ_TOO_FAR <= (int)MODULE_PADDING,
               "what is read is there");

/* A third of all instructions: tested for before the jump. */
enum { CODE_LOCAL_GET = 0x20 };

bool check_run(Validator *v)
{
    const uint8_t *const start = v->r.start, *const end = v->r.end;
    const Type address = v->memory0_address, *const quick = v->quick;
    const bool gated = v->gated;
    const uint8_t *p = v->r.p, *q;
    Type *sp = v->sp, *floor = v->floor, *mark = v->mark, t;
    while (p < end) {
        const uint8_t *at = p++;
        const Rule *r = &rules[*at];
        if (*at == CODE_LOCAL_GET && LIKELY((t = quick[*p]) && sp != mark)) {
            p++;
            *sp++ = t;
            continue;
        }
    again:
        if (UNLIKELY(gated) && r->kind > RULE_PREFIX
            && !is_allowed(v->m, (Op)r->op)) {
            v->at = (uint32_t)(at - start);
            return fail_op(v, (Op)r->op);
        }
        switch ((RuleKind)r->kind) {
        case RULE_NONE:
            v->at = (uint32_t)(at - start);
            return fail_code(v, 0, *at);
        case RULE_PREFIX:
            v->at = (uint32_t)(at - start);
            v->r.p = p;
            r = read_prefixed(v, *at);
            if (!r)
                return false;
            p = v->r.p;
            goto again;
        case RULE_UNARY:
            if (UNLIKELY(sp == floor || sp[-1] != r->b))
                break;
            sp[-1] = r->out;
            continue;
        case RULE_BINARY:
            if (UNLIKELY(sp - floor < 2 || sp[-1] != r->b || sp[-2] != r->a))
                break;
            sp--;
            sp[-1] = r->out;
            continue;
        case RULE_LOAD:
            q = skip_leb4(p + 1);
            if (UNLIKELY(*p > r->n || !q || sp == floor || sp[-1] != address))
                break;
            p = q;
            sp[-1] = r->out;
            continue;
        case RULE_STORE:
            q = skip_leb4(p + 1);
            if (UNLIKELY(*p > r->n || !q || sp - floor < 2 || sp[-1] != r->b
                         || sp[-2] != address))
                break;
            p = q;
            sp -= 2;
            continue;
        case RULE_LOCAL_SET:
            t = quick[*p];
            if (UNLIKELY(!t || sp == floor || sp[-1] != t))
                break;
            p++;
            sp--;
            continue;
        case RULE_LOCAL_TEE:
            t = quick[*p];
            if (UNLIKELY(!t || sp == floor || sp[-1] != t))
                break;
            p++;
            continue;
        case RULE_INTEGER_CONST:
            q = skip_leb4(p);
            if (UNLIKELY(!q || sp == mark))
                break;
            p = q;
            *sp++ = r->out;
            continue;
        case RULE_FLOAT_CONST:
            if (UNLIKELY(sp == mark))
                break;
            p += r->n;
            *sp++ = r->out;
            continue;
        case RULE_BLOCK:
            SAVE();
            if (!check_block(v))
                return false;
            goto called;
        case RULE_END:
            SAVE();
            if (!check_end(v))
                return false;
            goto called;
        case RULE_BR_IF:
            SAVE();
            if (!check_br_if(v))
                return false;
            goto called;
        case RULE_FUNC:
            SAVE();
            if (!check_call(v))
                return false;
            goto called;
        case RULE_CALL: break;
        }
        SAVE();
        if (!call(v))
            return false;
    called:
        p = v->r.p;
        sp = v->sp;
        floor = v->floor;
        mark = v->mark;
    }
    v->r.p = end;
    return v->n_frames == 0 || fail_end(v);
}

/* Scratch. */

void check_init(Validator *v, Module *m, Error *err)
{
    *v = (Validator){.m = m, .r = {m->bytes, m->bytes, m->bytes, err}};
    v->memory0_address = !m->n_memories               ? NO_TYPE
                         : m->memories[0].limits.is64 ? T_I64
                                                      : T_I32;
    v->gated = (m->features & feature_all()) != feature_all();
    check_grow_stack(v);
}

void check_free(Validator *v)
{
    free(v->stack);
    free(v->frames);
    free(v->entries);
    free(v->handlers);
    free(v->locals);
    free(v->runs);
    free(v->run_ends);
    free(v->is_set);
    free(v->set_order);
}

static void begin_code(Validator *v, uint32_t from, uint32_t to, Error *err)
{
    v->r = (Reader){v->m->bytes, v->m->bytes + from, v->m->bytes + to, err};
    v->at = from;
    v->op = OP_COUNT;
    v->flags = 0;
    v->sp = v->floor = v->mark = v->stack;
    v->wide = v->max_height = 0;
    v->n_frames = v->n_entries = v->n_handlers = 0;
    v->catch_depth = v->hidden_slots = 0;
    v->n_runs = v->n_locals = v->local_slots = 0;
}

/* Locals. */

static void add_run(Validator *v, uint32_t count, Type t)
{
    if (v->n_runs == v->runs_capacity) {
        v->runs_capacity = v->runs_capacity ? v->runs_capacity * 2 : 64;
        v->runs = realloc(v->runs, v->runs_capacity * sizeof *v->runs);
        v->run_ends =
            realloc(v->run_ends, v->runs_capacity * sizeof *v->run_ends);
        if (!v->runs || !v->run_ends)
            abort();
    }
    v->n_locals += count;
    v->local_slots += count * type_slots(t);
    v->runs[v->n_runs] = (LocalRun){count, t};
    v->run_ends[v->n_runs++] = v->n_locals;
    if (t == T_V128 && count)
        v->flags |= FUNC_WIDE;
}

static bool read_locals(Validator *v)
{
    const FuncType *sig = &v->f->type->func;
    for (uint32_t i = 0; i < sig->n_params; i++)
        add_run(v, 1, sig->types[i]);
    uint64_t total = v->n_locals;
    uint32_t n = reader_u32(&v->r);
    if (n > reader_left(&v->r) / 2 && reader_ok(&v->r))
        return check_malformed(v, "unexpected end: %u declarations of locals",
                               (unsigned)n);
    for (uint32_t i = 0; i < n && reader_ok(&v->r); i++) {
        v->at = check_here(v);
        uint32_t count = reader_u32(&v->r);
        Type t = decode_value_type(&v->r, v->m, 0);
        total += count;
        if (reader_ok(&v->r) && total <= LIMIT_LOCALS)
            add_run(v, count, t);
    }
    if (total > UINT32_MAX)
        return check_malformed(v, "too many locals: %llu",
                               (unsigned long long)total);
    if (total > LIMIT_LOCALS)
        return check_limit(v, "%u locals; the limit is %d", (unsigned)total,
                           LIMIT_LOCALS);
    return reader_ok(&v->r);
}

/* The first locals, without those that need more than a look at their type. */
static void fill_quick(Validator *v)
{
    uint32_t n = v->n_spread < QUICK_LOCALS ? v->n_spread : QUICK_LOCALS;
    for (uint32_t i = 0; i < n; i++) {
        Type t = v->locals[i];
        v->quick[i] = t == T_V128 || !type_is_defaultable(t) ? T_BOTTOM : t;
    }
    for (uint32_t i = n; i < v->n_quick; i++)
        v->quick[i] = T_BOTTOM;
    v->n_quick = n;
}

/* Lays out locals one by one, as many as the body's size is worth: a short
 * body with many locals must not cost more than a long one. */
static void spread_locals(Validator *v)
{
    uint32_t size = v->f->end - v->f->start;
    v->n_spread = v->n_locals;
    if (v->n_spread > 64 + size * 4)
        v->n_spread = 64 + size * 4;
    if (v->n_spread > v->locals_capacity) {
        v->locals_capacity = v->n_spread + 256;
        free(v->locals);
        v->locals = malloc(v->locals_capacity * sizeof *v->locals);
        if (!v->locals)
            abort();
    }
    uint32_t i = 0;
    for (uint32_t j = 0; i < v->n_spread; j++) {
        uint32_t to =
            v->run_ends[j] < v->n_spread ? v->run_ends[j] : v->n_spread;
        for (Type t = v->runs[j].type; i < to; i++)
            v->locals[i] = t;
    }
    fill_quick(v);
}

/* Parameters are initialised, whatever their type. */
static void set_params(Validator *v)
{
    const FuncType *sig = &v->f->type->func;
    bool needed = false;
    for (uint32_t i = 0; i < v->n_runs; i++)
        needed |= !type_is_defaultable(v->runs[i].type);
    if (!needed)
        return;
    if (!v->is_set && !(v->is_set = calloc(1, LIMIT_LOCALS)))
        abort();
    for (uint32_t i = 0; i < sig->n_params; i++)
        if (!type_is_defaultable(sig->types[i]))
            check_set_local(v, i);
}

static void unset_locals(Validator *v)
{
    while (v->n_set)
        v->is_set[v->set_order[--v->n_set]] = 0;
}

/* What a function keeps. */

static int compare_handlers(const void *a, const void *b)
{
    const PendingHandler *x = a, *y = b;
    if (x->handler.end != y->handler.end)
        return x->handler.end < y->handler.end ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void keep_handlers(Validator *v, Func *f)
{
    f->n_handlers = v->n_handlers;
    if (!v->n_handlers)
        return;
    qsort(v->handlers, v->n_handlers, sizeof *v->handlers, compare_handlers);
    Handler *handlers = arena_new(&v->m->arena, Handler, v->n_handlers);
    for (uint32_t i = 0; i < v->n_handlers; i++)
        handlers[i] = v->handlers[i].handler;
    f->handlers = handlers;
}

static bool keep_slots(Validator *v, Func *f)
{
    enum { FREE_BYTES = 64 << 20 };
    if (!(v->flags & FUNC_WIDE))
        return true;
    v->slot_map_bytes += v->n_locals * sizeof(uint32_t);
    if (v->slot_map_bytes > FREE_BYTES + 2 * (uint64_t)v->m->len)
        return check_limit(v, "too many locals in functions with v128");
    uint32_t *slots = arena_new(&v->m->arena, uint32_t, v->n_locals);
    for (uint32_t i = 0, run = 0, slot = 0; i < v->n_locals; i++) {
        while (v->run_ends[run] <= i)
            run++;
        bool is_v128 = v->runs[run].type == T_V128;
        slots[i] = slot << 1 | is_v128;
        slot += 1 + is_v128;
    }
    f->slot_of_local = slots;
    return true;
}

static bool keep(Validator *v, Func *f)
{
    uint32_t n_params = f->type->func.n_params;
    f->n_locals = v->n_locals;
    f->local_slots = v->local_slots + v->hidden_slots;
    f->max_height = v->max_height;
    f->flags = v->flags;
    f->n_branches = v->n_entries;
    f->branches =
        arena_copy(&v->m->arena, v->entries, v->n_entries * sizeof *v->entries);
    f->n_local_runs = v->n_runs - n_params;
    if (f->n_local_runs)
        f->locals = arena_copy(&v->m->arena, v->runs + n_params,
                               f->n_local_runs * sizeof *v->runs);
    keep_handlers(v, f);
    return keep_slots(v, f);
}

static bool run_func(Validator *v, Func *f, uint32_t flags, Error *err)
{
    begin_code(v, f->start, f->end, err);
    v->restart = false;
    if (!read_locals(v))
        return false;
    v->flags |= flags;
    f->code = check_here(v);
    spread_locals(v);
    v->at = f->code;
    check_begin(v, FRAME_FUNC, BLOCK_SIG | f->type_index << 8);
    set_params(v);
    bool ok = check_run(v);
    unset_locals(v);
    return ok;
}

bool check_func(Validator *v, Func *f, Error *err)
{
    v->f = f;
    v->n_globals = v->m->n_globals;
    bool ok = run_func(v, f, 0, err);
    if (v->restart)
        ok = run_func(v, f, FUNC_WIDE, err);
    return ok && keep(v, f);
}

static bool is_constant(const Module *m, Op op)
{
    switch (op) {
    case OP_I32_CONST:
    case OP_I64_CONST:
    case OP_F32_CONST:
    case OP_F64_CONST:
    case OP_V128_CONST:
    case OP_REF_NULL:
    case OP_REF_FUNC:
    case OP_GLOBAL_GET:
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT:
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DEFAULT:
    case OP_ARRAY_NEW_FIXED:
    case OP_REF_I31:
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY:
    case OP_END: return true;
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL: return decode_has(m, FEATURE_EXTENDED_CONST);
    default: return false;
    }
}

static bool are_constant(Validator *v)
{
    Reader r = v->r;
    while (r.p < r.end) {
        v->at = (uint32_t)reader_offset(&r);
        v->op = walk_op(&r);
        walk_skip(&r, v->op);
        if (reader_ok(&r) && !is_constant(v->m, v->op))
            return check_fail(v, "constant expression required");
    }
    return reader_ok(&r);
}

/* The block type of an expression is its one result. */
bool check_const(Validator *v, ConstExpr *e, Type result, uint32_t n_globals,
                 Error *err)
{
    v->f = NULL;
    v->n_globals = n_globals;
    begin_code(v, e->start, e->end, err);
    check_begin(v, FRAME_FUNC, result);
    bool ok = are_constant(v) && check_run(v);
    e->max_height = v->max_height;
    return ok;
}

bool validate_function(Module *m, Func *f, Error *err)
{
    Validator v;
    check_init(&v, m, err);
    bool ok = check_func(&v, f, err);
    check_free(&v);
    return ok;
}

bool validate_const(Module *m, ConstExpr *e, Type result, uint32_t n_globals,
                    Error *err)
{
    Validator v;
    check_init(&v, m, err);
    bool ok = check_const(&v, e, result, n_globals, err);
    check_free(&v);
    return ok;
}
