#include "fuzz/generator.h"

enum { LOOP_LOCALS = MOST_LOCALS - 8 };

/* ---- labels */

static void open_block(Generator *g, Op op, uint8_t result, uint8_t label)
{
    emit(g, op);
    if (result == V_NONE)
        writer_byte(&g->code, 0x40);
    else
        write_value_type(&g->code, (Value)result);
    g->labels[g->n_labels++] = (Label){label, false};
}

static void close_block(Generator *g)
{
    g->n_labels--;
    emit(g, OP_END);
}

/* A label that takes v, from one on; -1: none.  Counts from the innermost. */
static int find_label(const Generator *g, uint32_t from, uint8_t v)
{
    for (uint32_t i = 0; i < g->n_labels; i++) {
        uint32_t k = (from + i) % g->n_labels;
        if (g->labels[g->n_labels - 1 - k].value == v)
            return (int)k;
    }
    return -1;
}

static bool has_room(const Generator *g)
{
    return g->n_labels < MOST_LABELS - 2;
}

/* ---- calls */

static void generate_arguments(Generator *g, const Sig *s)
{
    for (int i = 0; i < s->n_params; i++)
        generate_value(g, (Value)s->types[i]);
}

static bool gives(const Sig *s, uint8_t v)
{
    return s->n_results == 1 && s->types[s->n_params] == v;
}

static bool same_results(const Sig *a, const Sig *b)
{
    return a->n_results == b->n_results
           && !memcmp(a->types + a->n_params, b->types + b->n_params,
                      a->n_results);
}

/* The three ways to call function f; its sig is sig_index(number). */
static void emit_call(Generator *g, uint32_t f, uint8_t how, bool tail)
{
    uint32_t number = g->shape.func_sigs[f];
    generate_arguments(g, &g->shape.sigs[number]);
    if (how % 4 == 1) {
        generate_small(g, V_I32);
        if (how & 64) { /* to where the active segment has it */
            emit(g, OP_DROP);
            emit_number(g, V_I32, f + 1);
        }
        emit_index(g, tail ? OP_RETURN_CALL_INDIRECT : OP_CALL_INDIRECT,
                   sig_index(number));
        writer_u32(&g->code, 0);
    } else if (how % 4 == 2) {
        emit_index(g, OP_REF_FUNC, f);
        emit_index(g, tail ? OP_RETURN_CALL_REF : OP_CALL_REF,
                   sig_index(number));
    } else {
        emit_index(g, tail ? OP_RETURN_CALL : OP_CALL, f);
    }
}

static const Sig *sig_of(const Generator *g, uint32_t f)
{
    return &g->shape.sigs[g->shape.func_sigs[f]];
}

static bool generate_call(Generator *g, Value v)
{
    uint8_t x = draw(g);
    for (uint32_t i = 0; i < g->shape.n_funcs; i++) {
        uint32_t f = (x + i) % g->shape.n_funcs;
        if (gives(sig_of(g, f), (uint8_t)v)) {
            emit_call(g, f, draw(g), false);
            return true;
        }
    }
    return false;
}

static void generate_call_statement(Generator *g)
{
    uint32_t f = draw_below(g, g->shape.n_funcs);
    const Sig *s = sig_of(g, f);
    emit_call(g, f, draw(g), false);
    for (int i = s->n_results; i--;)
        emit_index(g, OP_GLOBAL_SET, s->types[s->n_params + i]);
}

/* ---- exceptions */

static void write_catch(Generator *g, uint8_t kind, uint32_t tag, int label)
{
    writer_byte(&g->code, kind);
    if (kind < 2)
        writer_u32(&g->code, tag);
    writer_u32(&g->code, (uint32_t)label);
}

/* The clauses that fit the labels around. */
static void write_catches(Generator *g)
{
    uint8_t x = draw(g);
    int to_i32 = find_label(g, x, V_I32), to_i64 = find_label(g, x, V_I64);
    int to_exn = find_label(g, x, V_EXN), to_none = find_label(g, x, V_NONE);
    bool first = to_i32 >= 0 && x & 1, second = to_i64 >= 0 && x & 2;
    bool third = to_exn >= 0 && x & 4, fourth = to_none >= 0 && x & 8;
    writer_u32(&g->code, (uint32_t)first + second + third + fourth);
    if (first)
        write_catch(g, 0, 0, to_i32);
    if (second)
        write_catch(g, 0, 1, to_i64);
    if (third)
        write_catch(g, 3, 0, to_exn);
    if (fourth)
        write_catch(g, 2, 0, to_none);
}

static void generate_end(Generator *g, uint8_t v)
{
    generate_statements(g);
    if (v != V_NONE)
        generate_value(g, (Value)v);
}

static void generate_try_table(Generator *g, uint8_t v)
{
    emit(g, OP_TRY_TABLE);
    if (v == V_NONE)
        writer_byte(&g->code, 0x40);
    else
        write_value_type(&g->code, (Value)v);
    write_catches(g);
    g->labels[g->n_labels++] = (Label){v, false};
    generate_end(g, v);
    close_block(g);
}

/* The legacy form: catches of each kind, or delegation to a label. */
static void generate_try(Generator *g, uint8_t v)
{
    uint8_t x = draw(g);
    uint32_t tag = x / 4 % N_TAGS;
    open_block(g, OP_TRY, v, v);
    Label *label = &g->labels[g->n_labels - 1];
    generate_end(g, v);
    if (x % 4 == 3) {
        g->n_labels--;
        emit_index(g, OP_DELEGATE, x / 8 % (g->n_labels + 1));
        return;
    }
    label->legacy = true;
    if (x % 4 != 2) {
        emit_index(g, OP_CATCH, tag);
        emit_index(g, OP_GLOBAL_SET, tag_payload(tag));
        generate_end(g, v);
    }
    if (x % 4 != 1) {
        emit(g, OP_CATCH_ALL);
        generate_end(g, v);
    }
    close_block(g);
}

/* ---- values by control */

static void generate_if(Generator *g, uint8_t v)
{
    generate_value(g, V_I32);
    open_block(g, OP_IF, v, v);
    generate_end(g, v);
    emit(g, OP_ELSE);
    generate_end(g, v);
    close_block(g);
}

static void generate_select(Generator *g, Value v)
{
    generate_value(g, v);
    generate_value(g, v);
    generate_value(g, V_I32);
    if (value_is_ref(v) || draw(g) & 1) {
        emit_index(g, OP_SELECT_T, 1);
        write_value_type(&g->code, v);
    } else {
        emit(g, OP_SELECT);
    }
}

static bool generate_br_value(Generator *g, Value v)
{
    uint8_t x = draw(g);
    int label = find_label(g, x, (uint8_t)v);
    int none = find_label(g, x, V_NONE);
    if (x & 1 && value_is_ref(v) && none >= 0) {
        generate_value(g, v);
        emit_index(g, OP_BR_ON_NULL, (uint32_t)none);
        return true;
    }
    if (label < 0)
        return false;
    generate_value(g, v);
    generate_value(g, V_I32);
    emit_index(g, OP_BR_IF, (uint32_t)label);
    return true;
}

static bool generate_tee(Generator *g, Value v)
{
    uint8_t x = draw(g);
    for (uint32_t i = 0; i < g->n_locals; i++) {
        uint32_t local = (x + i) % g->n_locals;
        if (g->locals[local] == v) {
            generate_value(g, v);
            emit_index(g, OP_LOCAL_TEE, local);
            return true;
        }
    }
    return false;
}

bool generate_control(Generator *g, Value v)
{
    uint8_t x = draw(g) % 11;
    bool room = has_room(g);
    if (x < 6 && !room)
        return false;
    switch (x) {
    case 0: open_block(g, OP_BLOCK, (uint8_t)v, (uint8_t)v); break;
    case 1: open_block(g, OP_LOOP, (uint8_t)v, V_NONE); break;
    case 2:
    case 3: generate_if(g, (uint8_t)v); return true;
    case 4: generate_try_table(g, (uint8_t)v); return true;
    case 5: generate_try(g, (uint8_t)v); return true;
    case 6: generate_select(g, v); return true;
    case 7: return generate_call(g, v);
    case 8: return generate_br_value(g, v);
    case 9: return generate_tee(g, v);
    default: emit_index(g, OP_GLOBAL_GET, (uint32_t)v); return true;
    }
    generate_end(g, (uint8_t)v);
    close_block(g);
    return true;
}

/* ---- statements */

/* A loop that ends, by a counter that nothing else changes. */
static void generate_loop(Generator *g)
{
    if (g->n_locals >= LOOP_LOCALS)
        return;
    uint32_t counter = add_local(g, (Value)(V_I32 | HIDDEN));
    emit_number(g, V_I32, draw(g) % 12);
    emit_index(g, OP_LOCAL_SET, counter);
    open_block(g, OP_LOOP, V_NONE, V_EXN + V_COUNT); /* not to be found */
    generate_statements(g);
    emit_index(g, OP_LOCAL_GET, counter);
    emit_number(g, V_I32, 1);
    emit(g, OP_I32_SUB);
    emit_index(g, OP_LOCAL_TEE, counter);
    emit_number(g, V_I32, 0);
    emit(g, OP_I32_GT_S);
    emit_index(g, OP_BR_IF, 0);
    close_block(g);
}

static void generate_br(Generator *g, uint8_t x)
{
    if (!g->n_labels)
        return;
    uint32_t label = x % g->n_labels;
    uint8_t v = g->labels[g->n_labels - 1 - label].value;
    if (v > V_COUNT && v != V_NONE)
        return;
    if (v != V_NONE)
        generate_value(g, (Value)v);
    emit_index(g, OP_BR, label);
}

/* All labels of the table take what its default takes. */
static void generate_br_table(Generator *g, uint8_t x)
{
    uint8_t v = x & 128 ? V_I32 : V_NONE;
    if (find_label(g, 0, v) < 0)
        return;
    if (v != V_NONE)
        generate_value(g, (Value)v);
    generate_value(g, V_I32);
    emit_index(g, OP_BR_TABLE, x % 5);
    for (uint32_t i = 0; i <= x % 5; i++)
        writer_u32(&g->code, (uint32_t)find_label(g, draw(g), v));
}

static void generate_return(Generator *g, uint8_t x)
{
    uint32_t f = x % g->shape.n_funcs;
    if (x & 1 && same_results(sig_of(g, f), g->sig)) {
        emit_call(g, f, draw(g), true);
        return;
    }
    for (int i = 0; i < g->sig->n_results; i++)
        generate_value(g, (Value)g->sig->types[g->sig->n_params + i]);
    emit(g, OP_RETURN);
}

static void generate_rethrow(Generator *g)
{
    for (uint32_t i = 0; i < g->n_labels; i++)
        if (g->labels[g->n_labels - 1 - i].legacy) {
            emit_index(g, OP_RETHROW, i);
            return;
        }
    generate_value(g, V_EXN);
    emit(g, OP_THROW_REF);
}

static void generate_throw(Generator *g, uint8_t x)
{
    generate_value(g, tag_payload(x % N_TAGS));
    emit_index(g, OP_THROW, x % N_TAGS);
}

/* Leaves: what follows is typed all the same. */
static void generate_leave(Generator *g)
{
    uint8_t x = draw(g);
    switch (draw(g) % 7) {
    case 0: return;
    case 1: generate_br(g, x); return;
    case 2: generate_br_table(g, x); return;
    case 3: generate_return(g, x); return;
    case 4: generate_throw(g, x); return;
    case 5: generate_rethrow(g); return;
    default:
        if (x == 255)
            emit(g, OP_UNREACHABLE);
    }
}

static void emit_cast(Generator *g, Op op, int label, Value to)
{
    emit(g, op);
    writer_byte(&g->code, 3);
    writer_u32(&g->code, (uint32_t)label);
    write_heap_type(&g->code, V_ANY);
    write_heap_type(&g->code, to);
}

static void generate_cast_branch(Generator *g)
{
    uint8_t x = draw(g);
    Value v = (Value)(x % 2 ? V_ANY : V_STRUCT + x / 4 % N_COMPOSITE);
    int label = find_label(g, x, (uint8_t)v);
    if (label < 0)
        return;
    if (x & 2) {
        generate_value(g, v);
        emit_index(g, OP_BR_ON_NON_NULL, (uint32_t)label);
        return;
    }
    generate_value(g, V_ANY);
    if (v == V_ANY)
        emit_cast(g, OP_BR_ON_CAST_FAIL, label,
                  (Value)(V_STRUCT + x / 4 % N_COMPOSITE));
    else
        emit_cast(g, OP_BR_ON_CAST, label, v);
    emit(g, OP_DROP);
}

static Value draw_any_value(Generator *g)
{
    uint8_t x = draw(g);
    return (Value)(x & 1 ? x / 2 % V_COUNT : x / 2 % (V_V128 + 1));
}

static void generate_set(Generator *g)
{
    uint8_t x = draw(g);
    uint32_t local = g->n_locals ? x % g->n_locals : 0;
    if (g->n_locals && !(g->locals[local] & HIDDEN)) {
        generate_value(g, (Value)g->locals[local]);
        emit_index(g, OP_LOCAL_SET, local);
    }
}

static void generate_block(Generator *g, uint8_t x)
{
    uint8_t v = x & 1 ? (uint8_t)draw_any_value(g) : V_NONE;
    switch (x % 5) {
    case 0: generate_if(g, v); break;
    case 1: generate_try_table(g, v); break;
    case 2: generate_try(g, v); break;
    default:
        open_block(g, OP_BLOCK, v, v);
        generate_end(g, v);
        close_block(g);
    }
    if (v != V_NONE)
        emit(g, OP_DROP);
}

static void generate_statement(Generator *g)
{
    uint8_t x = draw(g);
    Value v;
    switch (x % 12) {
    case 0: generate_set(g); return;
    case 1:
        v = draw_any_value(g);
        generate_value(g, v);
        emit_index(g, OP_GLOBAL_SET, (uint32_t)v);
        return;
    case 2:
    case 3: generate_effect(g); return;
    case 4: generate_gc_effect(g); return;
    case 5:
        generate_value(g, draw_any_value(g));
        emit(g, OP_DROP);
        return;
    case 6: generate_loop(g); return;
    case 7: generate_leave(g); return;
    case 8: generate_call_statement(g); return;
    case 9: generate_cast_branch(g); return;
    default: generate_block(g, x / 12);
    }
}

void generate_statements(Generator *g)
{
    if (g->depth >= MOST_DEPTH || !has_room(g))
        return;
    g->depth++;
    for (uint32_t n = draw_below(g, 5); n && g->p < g->end; n--)
        generate_statement(g);
    g->depth--;
}
