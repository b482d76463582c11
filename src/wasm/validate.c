/* One pass over the code.  The switch below is derived from op.def: the simple
 * shapes are checked in place, on a reader pointer and stack pointers that
 * live in locals; whatever is not the plain case goes through a function
 * call.  Immediates may be read a few bytes too far (the module's bytes are
 * padded); the loop notices behind the instruction.
 */
#include "wasm/validate.h"

#include <stdlib.h>

#include "wasm/check.h"
#include "wasm/decode.h"

/* Which codes there are. */

static bool is_constant(Op op, const Module *m)
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
    case OP_END: return true;
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL: return decode_has(m, FEATURE_EXTENDED_CONST);
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT:
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DEFAULT:
    case OP_ARRAY_NEW_FIXED:
    case OP_REF_I31:
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY: return true;
    default: return false;
    }
}

static uint16_t *op_slot(OpTable *t, uint32_t code)
{
    if (code < 0x1000)
        return &t->one_byte[code];
    return &t->prefixed[(code >> 12) - 0xfb][code & 0xfff];
}

static void clear_ops(OpTable *t)
{
    for (int i = 0; i < 256; i++)
        t->one_byte[i] = i >= 0xfb && i <= 0xfe ? OPS_PREFIX : OP_COUNT;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < OPS_PER_PREFIX; j++)
            t->prefixed[i][j] = OP_COUNT;
}

/* `throw` belongs to both kinds of exceptions. */
static bool is_allowed(const Module *m, Op op)
{
    return decode_has(m, (Feature)op_info[op].feature)
           || (op == OP_THROW && decode_has(m, FEATURE_LEGACY));
}

static void fill_ops(Validator *v)
{
    clear_ops(&v->all);
    clear_ops(&v->constant);
    for (int i = 0; i < OP_COUNT; i++) {
        Op op = (Op)i;
        if (!is_allowed(v->m, op))
            continue;
        *op_slot(&v->all, op_info[op].code) = (uint16_t)op;
        if (is_constant(op, v->m))
            *op_slot(&v->constant, op_info[op].code) = (uint16_t)op;
    }
}

static bool fail_code(Validator *v, uint8_t prefix, uint32_t number)
{
    Op op = op_of_code(prefix, number);
    v->op = op;
    if (!v->f && op != OP_COUNT && is_allowed(v->m, op))
        return check_fail(v, "constant expression required");
    if (op != OP_COUNT)
        return check_malformed(v, "illegal opcode: needs the feature %s",
                               feature_text[op_info[op].feature]);
    if (prefix)
        return check_malformed(v, "illegal opcode %02x %02x", prefix,
                               (unsigned)number);
    return check_malformed(v, "illegal opcode %02x", (unsigned)number);
}

/* The shapes in functions: the way of all that is not plain. */

static bool unary(Validator *v, Type in, Type out)
{
    return check_apply(v, T_BOTTOM, in, out);
}

static bool ternary(Validator *v, Type a, Type b, Type c, Type out)
{
    return check_pop(v, c) && check_apply(v, a, b, out);
}

static bool wide(Validator *v, int n)
{
    while (n-- > 0)
        if (!check_pop(v, T_I64))
            return false;
    check_push(v, T_I64);
    check_push(v, T_I64);
    return true;
}

static bool load(Validator *v, uint32_t bytes, bool is_atomic, Type t)
{
    Type address = check_read_memarg(v, bytes, is_atomic);
    return address && check_apply(v, T_BOTTOM, address, t);
}

static bool store(Validator *v, uint32_t bytes, bool is_atomic, Type t)
{
    Type address = check_read_memarg(v, bytes, is_atomic);
    return address && check_apply(v, address, t, T_BOTTOM);
}

static bool modify(Validator *v, uint32_t bytes, Type t)
{
    Type address = check_read_memarg(v, bytes, true);
    return address && check_apply(v, address, t, t);
}

static bool exchange(Validator *v, uint32_t bytes, Type t)
{
    Type address = check_read_memarg(v, bytes, true);
    return address && ternary(v, address, t, t, t);
}

static bool load_lane(Validator *v, uint32_t bytes)
{
    Type address = check_read_memarg(v, bytes, false);
    return address && check_read_lane(v, 16 / bytes)
           && check_apply(v, address, T_V128, T_V128);
}

static bool store_lane(Validator *v, uint32_t bytes)
{
    Type address = check_read_memarg(v, bytes, false);
    return address && check_read_lane(v, 16 / bytes)
           && check_apply(v, address, T_V128, T_BOTTOM);
}

static bool extract(Validator *v, uint32_t lanes, Type t)
{
    return check_read_lane(v, lanes) && unary(v, T_V128, t);
}

static bool replace(Validator *v, uint32_t lanes, Type t)
{
    return check_read_lane(v, lanes) && check_apply(v, T_V128, t, T_V128);
}

enum {
    T_i32 = T_I32,
    T_i64 = T_I64,
    T_f32 = T_F32,
    T_f64 = T_F64,
    BYTES_s8 = 1,
    BYTES_u8 = 1,
    BYTES_s16 = 2,
    BYTES_u16 = 2,
    BYTES_s32 = 4,
    BYTES_u32 = 4,
    BYTES_u64 = 8,
};

/* clang-format off */

/* State moves between the locals of check_run and the Validator. */
#define SAVE()    (v->r.p = p, v->sp = sp, v->at = (uint32_t)(at - start), v->op = (Op)op)
#define RESTORE() (p = v->r.p, sp = v->sp, floor = v->floor)
#define CALL(call)                                                            \
    do {                                                                      \
        SAVE();                                                               \
        if (!(call))                                                          \
            return false;                                                     \
        RESTORE();                                                            \
    } while (0)

#define ONE(t)    (sp > floor && sp[-1] == (t))
#define TWO(a, b) (sp - floor > 1 && sp[-1] == (b) && sp[-2] == (a))

#define HAND(f)             CALL(check_##f(v));
#define UN(t, f)            if (UNLIKELY(!ONE(T_##t))) CALL(unary(v, T_##t, T_##t));
#define BIN(t, f)                                                             \
    if (LIKELY(TWO(T_##t, T_##t)))                                            \
        sp--;                                                                 \
    else                                                                      \
        CALL(check_apply(v, T_##t, T_##t, T_##t));
#define DIV(t, f)           BIN(t, f)
#define TEST(t, f)          CONV(i32, t, f)
#define CMP(t, f)                                                             \
    if (LIKELY(TWO(T_##t, T_##t)))                                            \
        *(--sp - 1) = T_I32;                                                  \
    else                                                                      \
        CALL(check_apply(v, T_##t, T_##t, T_I32));
#define CONV(to, from, f)                                                     \
    if (LIKELY(ONE(T_##from)))                                                \
        sp[-1] = T_##to;                                                      \
    else                                                                      \
        CALL(unary(v, T_##from, T_##to));
#define TRUNC(to, from, f)  CONV(to, from, f)

/* A memarg with at most four bytes of offset, on memory 0. */
#define MEMARG(bytes)  (*p <= LOG2(bytes) && (end_of_leb4 = skip_leb4(p + 1)))
#define LOG2(bytes)    ((bytes) == 1 ? 0 : (bytes) == 2 ? 1 : (bytes) == 4 ? 2 : 3)
#define LOAD(t, m)                                                            \
    if (LIKELY(MEMARG(BYTES_##m) && ONE(address))) {                          \
        p = end_of_leb4;                                                      \
        sp[-1] = T_##t;                                                       \
    } else                                                                    \
        CALL(load(v, BYTES_##m, false, T_##t));
#define STORE(t, m)                                                           \
    if (LIKELY(MEMARG(BYTES_##m) && TWO(address, T_##t))) {                   \
        p = end_of_leb4;                                                      \
        sp -= 2;                                                              \
    } else                                                                    \
        CALL(store(v, BYTES_##m, false, T_##t));

#define WIDE(f, n)             CALL(wide(v, n));
#define VUN(f)                 if (UNLIKELY(!ONE(T_V128))) CALL(unary(v, T_V128, T_V128));
#define VBIN(f)                CALL(check_apply(v, T_V128, T_V128, T_V128));
#define VTER(f)                CALL(ternary(v, T_V128, T_V128, T_V128, T_V128));
#define VTEST(f)               CALL(unary(v, T_V128, T_I32));
#define VSHIFT(f)              CALL(check_apply(v, T_V128, T_I32, T_V128));
#define VSPLAT(t, s)           CALL(unary(v, T_##t, T_V128));
#define VEXTRACT(t, s, lanes)  CALL(extract(v, lanes, T_##t));
#define VREPLACE(t, s, lanes)  CALL(replace(v, lanes, T_##t));
#define VLOAD(f, bytes)        CALL(load(v, bytes, false, T_V128));
#define VSTORE(f, bytes)       CALL(store(v, bytes, false, T_V128));
#define VLOADLANE(bits, bytes) CALL(load_lane(v, bytes));
#define VSTORELANE(bits, bytes) CALL(store_lane(v, bytes));
#define ALOAD(t, m)            CALL(load(v, BYTES_##m, true, T_##t));
#define ASTORE(t, m)           CALL(store(v, BYTES_##m, true, T_##t));
#define ARMW(t, m, f)          CALL(modify(v, BYTES_##m, T_##t));
#define ACAS(t, m)             CALL(exchange(v, BYTES_##m, T_##t));

/* clang-format on */

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

static bool fail_end(Validator *v)
{
    v->op = OP_COUNT;
    v->at = (uint32_t)(v->r.end - v->r.start);
    return check_malformed(v, "unexpected end of section or function: END "
                              "opcode expected");
}

bool check_run(Validator *v)
{
    const uint8_t *const start = v->r.start, *const end = v->r.end;
    const uint16_t *const one_byte = v->ops->one_byte;
    const Type address = v->memory0_address;
    const uint8_t *p = v->r.p, *at, *end_of_leb4;
    Type *sp = v->sp, *floor = v->floor;
    while (p < end) {
        at = p;
        uint32_t op = one_byte[*p++];
        if (op >= OP_COUNT) {
            uint8_t code = *at;
            if (op == OP_COUNT) {
                SAVE();
                return fail_code(v, 0, code);
            }
            v->r.p = p;
            uint32_t number = reader_u32(&v->r);
            p = v->r.p;
            if (!reader_ok(&v->r))
                return false;
            op = number < OPS_PER_PREFIX ? v->ops->prefixed[code - 0xfb][number]
                                         : OP_COUNT;
            if (op == OP_COUNT) {
                SAVE();
                return fail_code(v, code, number);
            }
        }
        /* clang-format off */
        switch (op) {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) case OP_##NAME: SHAPE break;
#include "wasm/op.def"
#undef OP
        default: break;
        }
        /* clang-format on */
    }
    v->r.p = end;
    return v->n_frames == 0 || fail_end(v);
}

/* Scratch. */

void check_init(Validator *v, Module *m, Error *err)
{
    *v = (Validator){.m = m, .r = {m->bytes, m->bytes, m->bytes, err}};
    v->memory0_address = !m->n_memories               ? T_BOTTOM
                         : m->memories[0].limits.is64 ? T_I64
                                                      : T_I32;
    fill_ops(v);
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

static bool add_run(Validator *v, uint32_t count, Type t)
{
    if (count > LIMIT_LOCALS - v->n_locals)
        return check_malformed(v, "too many locals: the limit is %d",
                               LIMIT_LOCALS);
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
    return true;
}

static bool read_locals(Validator *v)
{
    const FuncType *sig = &v->f->type->func;
    for (uint32_t i = 0; i < sig->n_params; i++)
        add_run(v, 1, sig->types[i]);
    uint32_t n = reader_u32(&v->r);
    if (n > reader_left(&v->r) / 2 && reader_ok(&v->r))
        return check_malformed(v, "unexpected end: %u declarations of locals",
                               (unsigned)n);
    for (uint32_t i = 0; i < n && reader_ok(&v->r); i++) {
        v->at = check_here(v);
        uint32_t count = reader_u32(&v->r);
        Type t = decode_value_type(&v->r, v->m, 0);
        if (reader_ok(&v->r) && !add_run(v, count, t))
            return false;
    }
    return reader_ok(&v->r);
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
    v->ops = &v->all;
    v->n_globals = v->m->n_globals;
    bool ok = run_func(v, f, 0, err);
    if (v->restart)
        ok = run_func(v, f, FUNC_WIDE, err);
    return ok && keep(v, f);
}

/* `*` is the block type of an expression: its one result. */
bool check_const(Validator *v, ConstExpr *e, Type result, uint32_t n_globals,
                 Error *err)
{
    v->f = NULL;
    v->ops = &v->constant;
    v->n_globals = n_globals;
    begin_code(v, e->start, e->end, err);
    check_begin(v, FRAME_FUNC, result);
    bool ok = check_run(v);
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
