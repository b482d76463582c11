#include "fuzz/generate.h"

#include <stdlib.h>

#include "fuzz/generator.h"

/* ---- types */

static const uint8_t codes[] = {
    [V_I32] = T_I32,          [V_I64] = T_I64,    [V_F32] = T_F32,
    [V_F64] = T_F64,          [V_V128] = T_V128,  [V_FUNC] = HEAP_FUNC,
    [V_EXTERN] = HEAP_EXTERN, [V_ANY] = HEAP_ANY, [V_EQ] = HEAP_EQ,
    [V_I31] = HEAP_I31,       [V_EXN] = HEAP_EXN};

bool value_is_ref(Value v) { return v >= V_FUNC && v < V_COUNT; }

bool value_is_any(Value v)
{
    return v == V_ANY || v == V_EQ || v == V_I31
           || (v >= V_STRUCT && v < V_COUNT);
}

Values single(uint8_t v)
{
    static uint8_t numbers[V_COUNT];
    if (v == V_NONE)
        return (Values){0, numbers};
    numbers[v] = v;
    return (Values){1, &numbers[v]};
}

/* The fourth has more than fits in registers of one kind. */
static const uint8_t payloads[N_TAGS][8] = {
    {1, V_I32, V_EXN},
    {1, V_I32, V_EXN},
    {1, V_I64, V_EXN},
    {5, V_F64, V_V128, V_I32, V_ANY, V_F32, V_EXN}};

Values tag_payload(uint32_t tag)
{
    return (Values){payloads[tag][0], payloads[tag] + 1};
}

Values tag_caught(uint32_t tag, bool with_exn)
{
    return (Values){payloads[tag][0] + (uint32_t)with_exn, payloads[tag] + 1};
}

void write_heap_type(Writer *w, Value v)
{
    if (v >= V_STRUCT)
        writer_s32(w, (int32_t)(v - V_STRUCT));
    else
        writer_byte(w, codes[v]);
}

void write_value_type(Writer *w, Value v)
{
    if (v >= V_STRUCT)
        writer_byte(w, KIND_REF_NULL);
    write_heap_type(w, v);
}

static void write_field(Writer *w, Value v)
{
    write_value_type(w, v);
    writer_byte(w, 1);
}

/* The composite types, one recursive group; fields as generate_gc.c knows
 * them. */
static void write_composites(Writer *w)
{
    static const uint8_t arrays[] = {V_I64, V_STRUCT, V_V128};
    writer_byte(w, 0x4e);
    writer_byte(w, N_COMPOSITE);
    writer_bytes(w, "\x50\x00\x5f\x02", 4); /* V_STRUCT: open */
    write_field(w, V_I32);
    write_field(w, V_ANY);
    writer_bytes(w, "\x50\x01\x00\x5f\x03", 5); /* V_SUB of it */
    write_field(w, V_I32);
    write_field(w, V_ANY);
    write_field(w, V_STRUCT);
    writer_bytes(w, "\x5f\x03\x78\x01\x77\x01", 6); /* V_PACKED: i8, i16 */
    write_field(w, V_V128);
    writer_bytes(w, "\x5f\x03", 2); /* V_FLOATS */
    write_field(w, V_F32);
    write_field(w, V_F64);
    write_field(w, V_I64);
    writer_bytes(w, "\x5e\x78\x01", 3); /* V_BYTES */
    for (int i = 0; i < 3; i++) {
        writer_byte(w, 0x5e);
        write_field(w, arrays[i]);
    }
}

static void write_values(Writer *w, Values v)
{
    writer_u32(w, v.n);
    for (uint32_t i = 0; i < v.n; i++)
        write_value_type(w, (Value)v.types[i]);
}

static void write_function_type(Writer *w, Values params, Values results)
{
    writer_byte(w, 0x60);
    write_values(w, params);
    write_values(w, results);
}

/* The last two are open, one of the other. */
static void write_types(Writer *w, const Shape *s)
{
    writer_u32(w, 1 + MOST_SIGS + 3 * N_TAGS);
    write_composites(w);
    for (uint32_t i = 0; i < MOST_SIGS; i++) {
        if (i == MOST_SIGS - 2)
            writer_bytes(w, "\x50\x00", 2);
        if (i == MOST_SIGS - 1) {
            writer_bytes(w, "\x50\x01", 2);
            writer_u32(w, sig_index(i - 1));
        }
        write_function_type(w, params_of(&s->sigs[i]), results_of(&s->sigs[i]));
    }
    for (uint32_t i = 0; i < N_TAGS; i++)
        write_function_type(w, tag_payload(i), single(V_NONE));
    for (uint32_t i = 0; i < N_TAGS; i++) {
        write_function_type(w, single(V_NONE), tag_caught(i, false));
        write_function_type(w, single(V_NONE), tag_caught(i, true));
    }
}

/* ---- the shape */

static Value draw_value(Generator *g)
{
    static const uint8_t common[] = {V_I32, V_I64, V_F32, V_F64, V_V128};
    uint8_t x = draw(g);
    return x & 1 ? (Value)((x >> 1) % V_COUNT) : common[(x >> 1) % 5];
}

/* Few have more than registers hold. */
static void draw_sig(Generator *g, Sig *s)
{
    uint8_t x = draw(g);
    s->n_params = x % 5;
    s->n_results = x / 5 % 4;
    if (x >= 216) {
        s->n_params = (uint8_t)draw_below(g, MOST_PARAMS + 1);
        s->n_results = (uint8_t)draw_below(g, MOST_RESULTS + 1);
    }
    for (int k = 0; k < s->n_params + s->n_results; k++)
        s->types[k] = (uint8_t)draw_value(g);
}

static void draw_shape(Generator *g)
{
    Shape *s = &g->shape;
    for (uint32_t i = 0; i < MOST_SIGS - 1; i++)
        draw_sig(g, &s->sigs[i]);
    s->sigs[MOST_SIGS - 1] = s->sigs[MOST_SIGS - 2];
    uint8_t x = draw(g);
    s->n_imports = x % 3;
    s->n_funcs = s->n_imports + 1 + x / 3 % (MOST_FUNCS - 2);
    for (uint32_t i = 0; i < s->n_funcs; i++)
        s->func_sigs[i] = (uint8_t)draw_below(g, MOST_SIGS);
    x = draw(g);
    s->n_memories = x % (MOST_MEMORIES + 1);
    s->import_memory = s->n_memories && (x & 96) == 96;
    s->table64 = x & 128;
    for (uint32_t i = 0; i < s->n_memories; i++) {
        x = draw(g);
        s->memories[i] = (MemoryShape){x & 1, (x & 6) == 6, (x & 24) == 24};
    }
}

/* ---- sections */

static void write_section(Writer *out, uint8_t id, Writer *content)
{
    writer_byte(out, id);
    writer_sized(out, content->data, content->len);
    content->len = 0;
}

static void write_memory(Writer *w, MemoryShape m)
{
    writer_byte(w,
                (uint8_t)(1 | m.shared << 1 | m.is64 << 2 | m.bytewise << 3));
    writer_u32(w, m.bytewise ? 1000 : 1);
    writer_u32(w, m.bytewise ? 3000 : 3);
    if (m.bytewise)
        writer_byte(w, 0);
}

static void write_imports(Writer *w, const Shape *s)
{
    writer_u32(w, s->n_imports + 1 + s->import_memory);
    for (uint32_t i = 0; i < s->n_imports; i++) {
        writer_bytes(w, "\x01h\x01h\x00", 5);
        writer_u32(w, sig_index(s->func_sigs[i]));
    }
    writer_bytes(w, "\x01h\x01t\x04\x00", 6);
    writer_u32(w, tag_index(0));
    if (s->import_memory) {
        writer_bytes(w, "\x01h\x01m\x02", 5);
        write_memory(w, s->memories[0]);
    }
}

static void write_funcs(Writer *w, const Shape *s)
{
    writer_u32(w, s->n_funcs - s->n_imports);
    for (uint32_t i = s->n_imports; i < s->n_funcs; i++)
        writer_u32(w, sig_index(s->func_sigs[i]));
}

static void write_tables(Writer *w, const Shape *s)
{
    uint8_t flags = s->table64 ? 5 : 1;
    writer_byte(w, N_TABLES);
    writer_bytes(w, (uint8_t[]){HEAP_FUNC, 1, 8, 20}, 4);
    writer_bytes(w, (uint8_t[]){HEAP_ANY, flags, 4, 10}, 4);
}

static void write_memories(Writer *w, const Shape *s)
{
    writer_u32(w, s->n_memories - s->import_memory);
    for (uint32_t i = s->import_memory; i < s->n_memories; i++)
        write_memory(w, s->memories[i]);
}

static void write_tags(Writer *w)
{
    writer_byte(w, N_TAGS - 1);
    for (uint32_t i = 1; i < N_TAGS; i++) {
        writer_byte(w, 0);
        writer_u32(w, tag_index(i));
    }
}

/* One mutable global of each value type. */
static void write_globals(Generator *g, Writer *w)
{
    writer_byte(w, V_COUNT);
    for (int v = 0; v < V_COUNT; v++) {
        write_value_type(w, (Value)v);
        writer_byte(w, 1);
        g->code.len = 0;
        generate_constant(g, (Value)v);
        emit(g, OP_END);
        writer_bytes(w, g->code.data, g->code.len);
    }
}

static void write_export(Writer *w, char kind, uint8_t code, uint32_t i)
{
    writer_bytes(w, (uint8_t[]){2, (uint8_t)kind, (uint8_t)('0' + i), code}, 4);
    writer_u32(w, i);
}

static void write_exports(Writer *w, const Shape *s)
{
    writer_u32(w,
               s->n_funcs - s->n_imports + N_TABLES + s->n_memories + V_COUNT);
    for (uint32_t i = s->n_imports; i < s->n_funcs; i++)
        write_export(w, 'f', 0, i);
    for (uint32_t i = 0; i < N_TABLES; i++)
        write_export(w, 't', 1, i);
    for (uint32_t i = 0; i < s->n_memories; i++)
        write_export(w, 'm', 2, i);
    for (uint32_t i = 0; i < V_COUNT; i++)
        write_export(w, 'g', 3, i);
}

static void write_elems(Writer *w, const Shape *s)
{
    writer_byte(w, N_ELEMS);
    writer_bytes(w, "\x00\x41\x01\x0b", 4); /* active, from 1 on */
    writer_u32(w, s->n_funcs);
    for (uint32_t i = 0; i < s->n_funcs; i++)
        writer_u32(w, i);
    writer_bytes(w, "\x01\x00", 2); /* passive */
    writer_u32(w, s->n_funcs);
    for (uint32_t i = 0; i < s->n_funcs; i++)
        writer_u32(w, i);
    /* passive expressions: a new struct, null */
    writer_bytes(w, "\x05\x63\x00\x02\xfb\x01\x00\x0b\xd0\x00\x0b", 11);
}

static void write_datas(Writer *w)
{
    writer_byte(w, N_DATAS);
    for (uint8_t i = 0; i < N_DATAS; i++) {
        writer_byte(w, 1); /* passive */
        writer_byte(w, DATA_BYTES);
        for (uint8_t k = 0; k < DATA_BYTES; k++)
            writer_byte(w, (uint8_t)(k * 37 + i * 101));
    }
}

/* ---- bodies */

static void write_locals(Generator *g, Writer *w)
{
    writer_u32(w, g->n_locals - g->n_params);
    for (uint32_t i = g->n_params; i < g->n_locals; i++) {
        writer_byte(w, 1);
        write_value_type(w, (Value)(g->locals[i] & ~HIDDEN));
    }
}

static void generate_body(Generator *g, const Sig *s)
{
    g->code.len = 0;
    g->sig = s;
    g->n_params = g->n_locals = s->n_params;
    memcpy(g->locals, s->types, s->n_params);
    uint8_t x = draw(g);
    for (uint32_t n = x < 160 ? x % 6 : x % 32; n; n--)
        add_local(g, draw_value(g));
    g->n_labels = g->depth = 0;
    g->loose = 0;
    generate_statements(g);
    generate_values(g, results_of(s));
    emit(g, OP_END);
}

static void write_code(Generator *g, Writer *w)
{
    const Shape *s = &g->shape;
    Writer body = {0};
    const uint8_t *end = g->end;
    uint32_t n = s->n_funcs - s->n_imports;
    writer_u32(w, n);
    for (uint32_t i = 0; i < n; i++) {
        /* Each has its share of the bytes. */
        g->end = g->p + (size_t)(end - g->p) / (n - i);
        generate_body(g, &s->sigs[s->func_sigs[s->n_imports + i]]);
        g->p = g->end;
        g->end = end;
        body.len = 0;
        write_locals(g, &body);
        writer_bytes(&body, g->code.data, g->code.len);
        writer_sized(w, body.data, body.len);
    }
    writer_free(&body);
}

uint8_t *generate_module(const uint8_t *data, size_t size, size_t *len)
{
    static Generator g;
    g.p = data;
    g.end = data + size;
    g.shape = (Shape){0};
    Writer out = {0}, w = {0};
    draw_shape(&g);
    writer_bytes(&out, "\0asm\1\0\0\0", 8);
    write_types(&w, &g.shape), write_section(&out, 1, &w);
    write_imports(&w, &g.shape), write_section(&out, 2, &w);
    write_funcs(&w, &g.shape), write_section(&out, 3, &w);
    write_tables(&w, &g.shape), write_section(&out, 4, &w);
    write_memories(&w, &g.shape), write_section(&out, 5, &w);
    write_tags(&w), write_section(&out, 13, &w);
    write_globals(&g, &w), write_section(&out, 6, &w);
    write_exports(&w, &g.shape), write_section(&out, 7, &w);
    write_elems(&w, &g.shape), write_section(&out, 9, &w);
    writer_byte(&w, N_DATAS), write_section(&out, 12, &w);
    write_code(&g, &w), write_section(&out, 10, &w);
    write_datas(&w), write_section(&out, 11, &w);
    writer_free(&w);
    writer_free(&g.code);
    return writer_take(&out, len);
}
