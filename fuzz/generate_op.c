#include <math.h>
#include <string.h>

#include "fuzz/generator.h"

/* ---- what op.def says of types */

enum { ADDRESS = 0xfd, MOST_OPERANDS = 4 };

typedef struct {
    bool known;
    uint8_t n, operands[MOST_OPERANDS];
    uint8_t result; /* V_NONE: none */
    uint8_t lanes;
    bool atomic;
} OpType;

/* clang-format off */
#define V_i32 V_I32
#define V_i64 V_I64
#define V_f32 V_F32
#define V_f64 V_F64
#define TYPE(n, result, ...) {true, n, {__VA_ARGS__}, result, 0, false}
#define LANE(n, result, lanes, ...)                                            \
    {true, n, {__VA_ARGS__}, result, lanes, false}
#define ATOMIC(n, result, ...) {true, n, {__VA_ARGS__}, result, 0, true}
#define HAND(f)            {0}
#define WIDE(f, n)         {0}
#define UN(t, f)           TYPE(1, V_##t, V_##t)
#define BIN(t, f)          TYPE(2, V_##t, V_##t, V_##t)
#define TEST(t, f)         TYPE(1, V_I32, V_##t)
#define CMP(t, f)          TYPE(2, V_I32, V_##t, V_##t)
#define DIV(t, f)          TYPE(2, V_##t, V_##t, V_##t)
#define CONV(to, from, f)  TYPE(1, V_##to, V_##from)
#define TRUNC(to, from, f) TYPE(1, V_##to, V_##from)
#define LOAD(t, m)         TYPE(1, V_##t, ADDRESS)
#define STORE(t, m)        TYPE(2, V_NONE, ADDRESS, V_##t)
#define VUN(f)             TYPE(1, V_V128, V_V128)
#define VBIN(f)            TYPE(2, V_V128, V_V128, V_V128)
#define VTER(f)            TYPE(3, V_V128, V_V128, V_V128, V_V128)
#define VTEST(f)           TYPE(1, V_I32, V_V128)
#define VSHIFT(f)          TYPE(2, V_V128, V_V128, V_I32)
#define VSPLAT(t, s)       TYPE(1, V_V128, V_##t)
#define VEXTRACT(t, s, l)  LANE(1, V_##t, l, V_V128)
#define VREPLACE(t, s, l)  LANE(2, V_V128, l, V_V128, V_##t)
#define VLOAD(f, b)        TYPE(1, V_V128, ADDRESS)
#define VSTORE(f, b)       TYPE(2, V_NONE, ADDRESS, V_V128)
#define VLOADLANE(bits, b) LANE(2, V_V128, 16 / b, ADDRESS, V_V128)
#define VSTORELANE(bits, b) LANE(2, V_NONE, 16 / b, ADDRESS, V_V128)
#define ALOAD(t, m)        ATOMIC(1, V_##t, ADDRESS)
#define ASTORE(t, m)       ATOMIC(2, V_NONE, ADDRESS, V_##t)
#define ARMW(t, m, f)      ATOMIC(2, V_##t, ADDRESS, V_##t)
#define ACAS(t, m)         ATOMIC(3, V_##t, ADDRESS, V_##t, V_##t)

static const OpType op_types[OP_COUNT] = {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) [OP_##NAME] = SHAPE,
#include "wasm/op.def"
#undef OP
};
#include "wasm/shapes_end.def"
/* clang-format on */

/* ---- locals */

uint32_t add_local(Generator *g, Value v)
{
    g->locals[g->n_locals] = (uint8_t)v;
    return g->n_locals++;
}

uint32_t find_local(const Generator *g, uint32_t from, uint8_t v)
{
    for (uint32_t i = 0; i < g->n_locals; i++)
        if (g->locals[(from + i) % g->n_locals] == v)
            return (from + i) % g->n_locals;
    return g->n_locals;
}

/* ---- simple values */

void emit_number(Generator *g, Value v, uint64_t x)
{
    emit(g, v == V_I64 ? OP_I64_CONST : OP_I32_CONST);
    writer_s64(&g->code, v == V_I64 ? (int64_t)x : (int32_t)x);
}

static uint64_t draw_integer(Generator *g)
{
    static const uint64_t edges[] = {
        0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0x10000,
        0xffff,     0x80000000, 0x100000000,        0xffffffff80000000};
    uint8_t x = draw(g);
    if (x < 128)
        return x;
    if (x < 192)
        return edges[x % 8] + (x / 8 % 4) - 1;
    return (uint64_t)draw(g) << (x % 64) ^ draw(g);
}

static uint64_t draw_float(Generator *g)
{
    static const double edges[] = {0.0,  1.0,          -0.0,  0.5,
                                   -1.5, 2147483648.0, 1e300, 4294967295.5};
    uint8_t x = draw(g);
    double d = x < 128 ? edges[x % 8] : (double)draw_integer(g) / x;
    if (x == 255)
        d = (double)INFINITY;
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return x == 254 ? 0x7ff8000000000000 : bits;
}

void generate_constant(Generator *g, Value v)
{
    uint64_t x = v == V_F32 || v == V_F64 ? draw_float(g) : draw_integer(g);
    double d;
    memcpy(&d, &x, sizeof d);
    float f = (float)d;
    switch (v) {
    case V_I32:
    case V_I64: emit_number(g, v, x); return;
    case V_F32:
        emit(g, OP_F32_CONST);
        writer_bytes(&g->code, &f, sizeof f);
        return;
    case V_F64:
        emit(g, OP_F64_CONST);
        writer_bytes(&g->code, &d, sizeof d);
        return;
    case V_V128: {
        uint64_t y = draw_float(g);
        emit(g, OP_V128_CONST);
        writer_bytes(&g->code, &x, sizeof x);
        writer_bytes(&g->code, &y, sizeof y);
        return;
    }
    default: emit(g, OP_REF_NULL); write_heap_type(&g->code, v);
    }
}

static void generate_simple(Generator *g, Value v)
{
    uint8_t x = draw(g);
    uint32_t local = x & 1 ? find_local(g, x >> 1, (uint8_t)v) : g->n_locals;
    if (local < g->n_locals)
        emit_index(g, OP_LOCAL_GET, local);
    else
        generate_constant(g, v);
}

void generate_small(Generator *g, Value v)
{
    uint8_t x = draw(g);
    if (x < 240)
        emit_number(g, v, x % 24);
    else
        generate_value(g, v);
}

/* ---- memories */

static uint32_t choose_memory(Generator *g)
{
    return draw_below(g, g->shape.n_memories);
}

static Value address_of(const Generator *g, uint32_t memory)
{
    return g->shape.memories[memory].is64 ? V_I64 : V_I32;
}

static void generate_address(Generator *g, Value v)
{
    uint8_t x = draw(g);
    uint32_t local = find_local(g, x, (uint8_t)v);
    if (x < 120) {
        emit_number(g, v, x * 8u % 1024);
    } else if (x < 160) {
        emit_number(g, v, 65536u - x % 40);
    } else if (x < 200 && local < g->n_locals) {
        emit_index(g, OP_LOCAL_GET, local);
        emit_number(g, v, (uint64_t)(int64_t)(int8_t)draw(g) * 16);
        emit(g, v == V_I64 ? OP_I64_ADD : OP_I32_ADD);
    } else if (x < 210) {
        generate_constant(g, v);
    } else if (x < 220) {
        generate_value(g, v);
    } else {
        generate_value(g, v);
        emit_number(g, v, 0xfff8);
        emit(g, v == V_I64 ? OP_I64_AND : OP_I32_AND);
    }
}

static uint64_t draw_offset(Generator *g, bool is64)
{
    uint8_t x = draw(g);
    if (x < 200)
        return x % 16 * 8u;
    if (x < 230)
        return 65536u - x % 32;
    if (x < 240)
        return 0x80000000u + x % 8 - 4;
    if (x < 244) /* about the last that are displacements */
        return 0x7fffffffu - 64 + x % 4;
    if (is64 && x & 1)
        return x & 2 ? UINT64_MAX - x % 8 : (uint64_t)x << 28;
    return UINT32_MAX - x % 8;
}

static void emit_memarg(Generator *g, Op op, uint32_t memory, bool aligned)
{
    uint32_t natural = (uint32_t)__builtin_ctz(op_info[op].access);
    uint32_t align = aligned ? natural : draw_below(g, natural + 1);
    writer_u32(&g->code, align | (memory ? 0x40 : 0));
    if (memory)
        writer_u32(&g->code, memory);
    writer_u64(&g->code, draw_offset(g, g->shape.memories[memory].is64));
}

/* ---- instructions by type */

/* Those that give v, or (V_NONE) nothing. */
static uint32_t list_ops(uint8_t v, uint16_t *out)
{
    uint32_t n = 0;
    for (int op = 0; op < OP_COUNT; op++)
        if (op_types[op].known && op_types[op].result == v)
            out[n++] = (uint16_t)op;
    return n;
}

static Op draw_op(Generator *g, uint8_t v)
{
    static uint16_t lists[V_V128 + 2][OP_COUNT];
    static uint32_t counts[V_V128 + 2];
    uint8_t i = v == V_NONE ? V_V128 + 1 : v;
    if (!counts[i])
        counts[i] = list_ops(v, lists[i]);
    uint32_t x = draw(g) | (uint32_t)draw(g) << 8;
    return (Op)lists[i][x % counts[i]];
}

static bool is_double(Op op)
{
    const char *text = op_info[op].text;
    return text[1] == '6';
}

/* Is what comes behind the type one of the words? */
static bool is_named(Op op, const char *const *words)
{
    const char *name = strchr(op_info[op].text, '.') + 1;
    size_t len = strcspn(name, "_");
    for (; *words; words++)
        if (!strncmp(name, *words, len) && !(*words)[len])
            return true;
    return false;
}

/* Which NaN it gives is not determined (WebAssembly 3.0, 4.3.3). */
static bool gives_any_nan(Op op)
{
    static const char *const words[] = {
        "add",     "sub",    "mul",     "div",     "sqrt",
        "min",     "max",    "ceil",    "floor",   "trunc",
        "nearest", "demote", "promote", "relaxed", NULL};
    return op_info[op].text[0] == 'f' && is_named(op, words);
}

/* Which NaN it takes makes no difference, or none if none in its result. */
static char takes_any_nan(Op op, uint8_t operand, bool loose)
{
    static const char *const compare[] = {"eq", "ne", "lt", "gt",
                                          "le", "ge", NULL};
    static const char *const truncate[] = {"trunc", NULL};
    static const char *const bits[] = {"abs", "neg", "copysign", NULL};
    const char *text = op_info[op].text;
    bool is_float = text[0] == 'f';
    if (operand == V_V128 && (!is_float || strchr(text, '_')))
        return 0; /* perhaps lanes of another type */
    bool any = gives_any_nan(op) || (is_float && is_named(op, compare))
               || is_named(op, truncate)
               || (loose && is_float && is_named(op, bits));
    return any ? text[1] : 0;
}

/* Makes each lane that is no number the same one. */
static void make_canonical(Generator *g, Op op, uint8_t v)
{
    static const uint64_t nan64 = 0x7ff8000000000000;
    static const uint32_t nan32 = 0x7fc00000;
    uint32_t local = find_local(g, 0, v | HIDDEN);
    if (local == g->n_locals)
        add_local(g, (Value)(v | HIDDEN));
    emit_index(g, OP_LOCAL_TEE, local);
    bool is64 = v == V_V128 ? is_double(op) : v == V_F64;
    int n = v == V_V128 ? (is64 ? 2 : 4) : 1;
    emit(g, v == V_V128 ? OP_V128_CONST : is64 ? OP_F64_CONST : OP_F32_CONST);
    for (int i = 0; i < n; i++)
        writer_bytes(&g->code, is64 ? (const void *)&nan64 : &nan32,
                     is64 ? 8 : 4);
    emit_index(g, OP_LOCAL_GET, local);
    emit_index(g, OP_LOCAL_GET, local);
    if (v == V_V128)
        emit(g, is64 ? OP_F64X2_EQ : OP_F32X4_EQ);
    else
        emit(g, is64 ? OP_F64_EQ : OP_F32_EQ);
    emit(g, v == V_V128 ? OP_V128_BITSELECT : OP_SELECT);
}

static void emit_immediates(Generator *g, Op op, uint32_t memory)
{
    const OpType *t = &op_types[op];
    uint8_t imm = op_info[op].imm;
    if (imm == IMM_MEMARG || imm == IMM_MEMARG_LANE)
        emit_memarg(g, op, memory, t->atomic);
    if (imm == IMM_LANE || imm == IMM_MEMARG_LANE)
        writer_byte(&g->code, (uint8_t)draw_below(g, t->lanes));
}

/* false: it wants a memory, and there is none. */
static bool generate_op(Generator *g, uint8_t v, char lanes)
{
    Op op = draw_op(g, v);
    bool loose = lanes && (v != V_V128 || op_info[op].text[1] == lanes);
    const OpType *t = &op_types[op];
    bool accesses = t->operands[0] == ADDRESS && t->n;
    if (accesses && !g->shape.n_memories)
        return false;
    uint32_t memory = accesses ? choose_memory(g) : 0;
    for (int i = 0; i < t->n; i++) {
        g->loose = takes_any_nan(op, t->operands[i], loose);
        if (t->operands[i] == ADDRESS)
            generate_address(g, address_of(g, memory));
        else
            generate_value(g, (Value)t->operands[i]);
    }
    emit(g, op);
    emit_immediates(g, op, memory);
    if (gives_any_nan(op) && !loose)
        make_canonical(g, op, v);
    return true;
}

void generate_value(Generator *g, Value v)
{
    bool done = false;
    char loose = g->loose;
    g->loose = 0;
    if (g->depth < MOST_DEPTH && g->p < g->end) {
        g->depth++;
        uint8_t x = draw(g) % 8;
        if (x == 1 || x == 2) {
            done = generate_control(g, v);
        } else if (x == 3) {
            done = generate_from_reference(g, v);
        } else if (x > 3 && value_is_ref(v)) {
            generate_reference(g, v);
            done = true;
        } else if (x > 3) {
            done = generate_op(g, (uint8_t)v, loose);
        }
        g->depth--;
    }
    if (!done)
        generate_simple(g, v);
}

/* Of two of a type one of it. */
static Op draw_pairing(Generator *g, uint8_t v)
{
    uint16_t found[OP_COUNT];
    uint32_t n = 0;
    for (int op = 0; op < OP_COUNT; op++) {
        const OpType *t = &op_types[op];
        if (t->known && t->n == 2 && t->result == v && t->operands[0] == v
            && t->operands[1] == v)
            found[n++] = (uint16_t)op;
    }
    return (Op)found[(draw(g) | (uint32_t)draw(g) << 8) % n];
}

void generate_deep(Generator *g)
{
    uint8_t x = draw(g), v = x % (V_V128 + 1);
    uint32_t n = 2 + x / 8 % 16;
    for (uint32_t i = 0; i < n; i++)
        generate_value(g, (Value)v);
    if (x & 128)
        generate_statements(g);
    for (; n > 1; n--) {
        Op op = draw_pairing(g, v);
        emit(g, op);
        if (gives_any_nan(op))
            make_canonical(g, op, v);
    }
    emit_stores(g, single(v));
}

/* ---- effects */

static void generate_wide(Generator *g)
{
    static const uint16_t ops[] = {OP_I64_ADD128, OP_I64_SUB128,
                                   OP_I64_MUL_WIDE_S, OP_I64_MUL_WIDE_U};
    uint32_t k = draw_below(g, 4);
    for (int i = k < 2 ? 4 : 2; i; i--)
        generate_value(g, V_I64);
    emit(g, (Op)ops[k]);
    emit_index(g, OP_GLOBAL_SET, V_I64);
    emit(g, OP_DROP);
}

static void generate_shuffle(Generator *g)
{
    generate_value(g, V_V128);
    generate_value(g, V_V128);
    emit(g, OP_I8X16_SHUFFLE);
    for (int i = 0; i < 16; i++)
        writer_byte(&g->code, draw(g) % 32);
    emit_index(g, OP_GLOBAL_SET, V_V128);
}

static void generate_grow(Generator *g, uint32_t memory)
{
    Value a = address_of(g, memory);
    generate_small(g, a);
    emit_index(g, OP_MEMORY_GROW, memory);
    emit_index(g, OP_GLOBAL_SET, a);
    emit_index(g, OP_MEMORY_SIZE, memory);
    emit(g, OP_DROP);
}

static void generate_copy(Generator *g, uint32_t to)
{
    uint32_t from = choose_memory(g);
    Value a = address_of(g, to), b = address_of(g, from);
    generate_address(g, a);
    generate_address(g, b);
    generate_small(g, a == V_I64 && b == V_I64 ? V_I64 : V_I32);
    emit_index(g, OP_MEMORY_COPY, to);
    writer_u32(&g->code, from);
}

static void generate_init(Generator *g, uint32_t memory)
{
    uint32_t data = draw_below(g, N_DATAS);
    generate_address(g, address_of(g, memory));
    generate_small(g, V_I32);
    generate_small(g, V_I32);
    emit_index(g, OP_MEMORY_INIT, data);
    writer_u32(&g->code, memory);
    if (draw(g) % 8 == 7)
        emit_index(g, OP_DATA_DROP, data);
}

/* Never waits: the time is over at once. */
static void generate_wait(Generator *g, uint32_t memory)
{
    static const uint16_t ops[] = {OP_MEMORY_ATOMIC_NOTIFY,
                                   OP_MEMORY_ATOMIC_WAIT32,
                                   OP_MEMORY_ATOMIC_WAIT64};
    Op op = (Op)ops[draw_below(g, 3)];
    generate_address(g, address_of(g, memory));
    generate_value(g, op == OP_MEMORY_ATOMIC_WAIT64 ? V_I64 : V_I32);
    if (op != OP_MEMORY_ATOMIC_NOTIFY)
        emit_number(g, V_I64, 0);
    emit(g, op);
    emit_memarg(g, op, memory, true);
    emit_index(g, OP_GLOBAL_SET, V_I32);
}

static void generate_memory_effect(Generator *g)
{
    if (!g->shape.n_memories)
        return;
    uint32_t memory = choose_memory(g);
    switch (draw(g) % 5) {
    case 0: generate_grow(g, memory); return;
    case 1: generate_copy(g, memory); return;
    case 2: generate_init(g, memory); return;
    case 3: generate_wait(g, memory); return;
    default:
        generate_address(g, address_of(g, memory));
        generate_value(g, V_I32);
        generate_small(g, address_of(g, memory));
        emit_index(g, OP_MEMORY_FILL, memory);
    }
}

static void generate_table_init(Generator *g, Value address)
{
    uint32_t elem = draw_below(g, 2);
    generate_small(g, address);
    generate_small(g, V_I32);
    generate_small(g, V_I32);
    emit_index(g, OP_TABLE_INIT, elem);
    writer_u32(&g->code, 0);
    if (draw(g) % 8 == 7)
        emit_index(g, OP_ELEM_DROP, elem);
}

static void generate_table_effect(Generator *g)
{
    uint32_t table = draw_below(g, N_TABLES);
    Value v = table ? V_ANY : V_FUNC;
    Value a = table && g->shape.table64 ? V_I64 : V_I32;
    switch (draw(g) % 5) {
    case 0:
        generate_small(g, a);
        generate_value(g, v);
        emit_index(g, OP_TABLE_SET, table);
        return;
    case 1:
        generate_value(g, v);
        generate_small(g, a);
        emit_index(g, OP_TABLE_GROW, table);
        emit_index(g, OP_GLOBAL_SET, a);
        return;
    case 2:
        generate_small(g, a);
        generate_value(g, v);
        generate_small(g, a);
        emit_index(g, OP_TABLE_FILL, table);
        return;
    case 3:
        for (int i = 0; i < 3; i++)
            generate_small(g, a);
        emit_index(g, OP_TABLE_COPY, table);
        writer_u32(&g->code, table);
        return;
    default: generate_table_init(g, V_I32);
    }
}

void generate_effect(Generator *g)
{
    switch (draw(g) % 8) {
    case 0: emit(g, OP_NOP); return;
    case 1: generate_wide(g); return;
    case 2: generate_shuffle(g); return;
    case 3: generate_memory_effect(g); return;
    case 4: generate_table_effect(g); return;
    default: generate_op(g, V_NONE, 0);
    }
}
