#include "fuzz/generator.h"

enum { LOOP_LOCALS = MOST_LOCALS - 16 };

/* ---- labels */

static void push_label(Generator *g, Values takes)
{
    g->labels[g->n_labels++] = (Label){takes, false, false};
}

static void emit_block_type(Generator *g, uint8_t result)
{
    if (result == V_NONE)
        writer_byte(&g->code, 0x40);
    else
        write_value_type(&g->code, (Value)result);
}

static void open_block(Generator *g, Op op, uint8_t result)
{
    emit(g, op);
    emit_block_type(g, result);
    push_label(g, single(op == OP_LOOP ? V_NONE : result));
}

static void close_block(Generator *g)
{
    g->n_labels--;
    emit(g, OP_END);
}

static Label *label_at(Generator *g, uint32_t depth)
{
    return &g->labels[g->n_labels - 1 - depth];
}

/* A label that takes that, from one on; -1: none.  Counts from the innermost. */
static int find_label(Generator *g, uint32_t from, Values v)
{
    for (uint32_t i = 0; i < g->n_labels; i++) {
        uint32_t k = (from + i) % g->n_labels;
        const Label *l = label_at(g, k);
        if (!l->closed && same_values(l->takes, v))
            return (int)k;
    }
    return -1;
}

static bool has_room(const Generator *g)
{
    return g->n_labels < MOST_LABELS - 3;
}

/* ---- several values */

void generate_values(Generator *g, Values v)
{
    for (uint32_t i = 0; i < v.n; i++)
        generate_value(g, (Value)v.types[i]);
}

void emit_stores(Generator *g, Values v)
{
    for (uint32_t i = v.n; i--;)
        emit_index(g, OP_GLOBAL_SET, v.types[i]);
}

/* The same, but some go to locals, and some nowhere. */
static void take_values(Generator *g, Values v)
{
    for (uint32_t i = v.n; i--;) {
        uint8_t x = draw(g);
        uint32_t local = find_local(g, x, v.types[i]);
        if (x % 8 == 1)
            emit(g, OP_DROP);
        else if (x & 1 && local < g->n_locals)
            emit_index(g, OP_LOCAL_SET, local);
        else
            emit_index(g, OP_GLOBAL_SET, v.types[i]);
    }
}

/* ---- calls */

static const Sig *sig_of(const Generator *g, uint32_t f)
{
    return &g->shape.sigs[g->shape.func_sigs[f]];
}

/* The three ways to call function f.  The last sig may be called by the name
 * of the one that it is of. */
static void emit_call(Generator *g, uint32_t f, uint8_t how, bool tail)
{
    uint32_t number = g->shape.func_sigs[f];
    generate_values(g, params_of(sig_of(g, f)));
    if (number == MOST_SIGS - 1 && how & 32)
        number--;
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

/* A function with these results, from one on; n_funcs: none. */
static uint32_t find_function(const Generator *g, uint32_t from, Values results)
{
    uint32_t n = g->shape.n_funcs;
    for (uint32_t i = 0; i < n; i++)
        if (same_values(results_of(sig_of(g, (from + i) % n)), results))
            return (from + i) % n;
    return n;
}

static bool generate_call(Generator *g, Value v)
{
    uint32_t f = find_function(g, draw(g), single((uint8_t)v));
    if (f == g->shape.n_funcs)
        return false;
    emit_call(g, f, draw(g), false);
    return true;
}

static void generate_call_statement(Generator *g)
{
    uint32_t f = draw_below(g, g->shape.n_funcs);
    emit_call(g, f, draw(g), false);
    take_values(g, results_of(sig_of(g, f)));
}

/* ---- exceptions */

typedef struct {
    uint8_t kind, tag;
    int label;
} Clause;

/* One that fits a label around; its label is -1 if none does. */
static Clause draw_clause(Generator *g)
{
    uint8_t x = draw(g);
    Clause c = {x & 3, x >> 2 & (N_TAGS - 1), -1};
    Values wanted = c.kind < 2 ? tag_caught(c.tag, c.kind & 1)
                               : single(c.kind & 1 ? V_EXN : V_NONE);
    c.label = find_label(g, x >> 4, wanted);
    return c;
}

static void write_catches(Generator *g)
{
    enum { MOST = 4 };
    Clause clauses[MOST];
    uint32_t n = 0;
    for (uint32_t k = draw_below(g, MOST + 1); k; k--) {
        clauses[n] = draw_clause(g);
        n += clauses[n].label >= 0;
    }
    writer_u32(&g->code, n);
    for (uint32_t k = 0; k < n; k++) {
        writer_byte(&g->code, clauses[k].kind);
        if (clauses[k].kind < 2)
            writer_u32(&g->code, clauses[k].tag);
        writer_u32(&g->code, (uint32_t)clauses[k].label);
    }
}

static void generate_end(Generator *g, uint8_t v)
{
    generate_statements(g);
    generate_values(g, single(v));
}

static void generate_try_table(Generator *g, uint8_t v)
{
    emit(g, OP_TRY_TABLE);
    emit_block_type(g, v);
    write_catches(g);
    push_label(g, single(v));
    generate_end(g, v);
    close_block(g);
}

static void generate_throw(Generator *g, uint8_t x)
{
    generate_values(g, tag_payload(x % N_TAGS));
    emit_index(g, OP_THROW, x % N_TAGS);
}

/* A block that takes what one tag carries, and one that takes nothing, for
 * what is thrown within. */
static void generate_catching(Generator *g)
{
    uint8_t x = draw(g);
    uint32_t tag = x % N_TAGS;
    bool with_exn = x & 4;
    if (!has_room(g))
        return;
    open_block(g, OP_BLOCK, V_NONE);
    emit_index(g, OP_BLOCK, caught_index(tag, with_exn));
    push_label(g, tag_caught(tag, with_exn));
    generate_try_table(g, V_NONE);
    if (x & 8)
        generate_throw(g, x >> 4);
    else
        generate_values(g, tag_caught(tag, with_exn));
    close_block(g);
    take_values(g, tag_caught(tag, with_exn));
    close_block(g);
}

/* The legacy form: catches of each kind, or delegation to a label. */
static void generate_try(Generator *g, uint8_t v)
{
    uint8_t x = draw(g);
    uint32_t tag = x / 4 % N_TAGS;
    open_block(g, OP_TRY, v);
    generate_end(g, v);
    if (x % 4 == 3) {
        g->n_labels--;
        emit_index(g, OP_DELEGATE, x / 8 % (g->n_labels + 1));
        return;
    }
    label_at(g, 0)->legacy = true;
    if (x % 4 != 2) {
        emit_index(g, OP_CATCH, tag);
        take_values(g, tag_payload(tag));
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
    open_block(g, OP_IF, v);
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
    int label = find_label(g, x, single((uint8_t)v));
    int none = find_label(g, x, single(V_NONE));
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
    uint32_t local = find_local(g, draw(g), (uint8_t)v);
    if (local == g->n_locals)
        return false;
    generate_value(g, v);
    emit_index(g, OP_LOCAL_TEE, local);
    return true;
}

bool generate_control(Generator *g, Value v)
{
    uint8_t x = draw(g) % 11;
    bool room = has_room(g);
    if (x < 6 && !room)
        return false;
    switch (x) {
    case 0: open_block(g, OP_BLOCK, (uint8_t)v); break;
    case 1: open_block(g, OP_LOOP, (uint8_t)v); break;
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

/* ---- loops that end, by a counter that nothing else changes */

static uint32_t begin_counter(Generator *g)
{
    uint32_t counter = add_local(g, (Value)(V_I32 | HIDDEN));
    emit_number(g, V_I32, draw(g) % 12);
    emit_index(g, OP_LOCAL_SET, counter);
    return counter;
}

/* Pushes whether another turn is due. */
static void emit_count(Generator *g, uint32_t counter)
{
    emit_index(g, OP_LOCAL_GET, counter);
    emit_number(g, V_I32, 1);
    emit(g, OP_I32_SUB);
    emit_index(g, OP_LOCAL_TEE, counter);
    emit_number(g, V_I32, 0);
    emit(g, OP_I32_GT_S);
}

static void generate_loop(Generator *g)
{
    if (g->n_locals >= LOOP_LOCALS)
        return;
    uint32_t counter = begin_counter(g);
    open_block(g, OP_LOOP, V_NONE);
    label_at(g, 0)->closed = true;
    generate_statements(g);
    emit_count(g, counter);
    emit_index(g, OP_BR_IF, 0);
    close_block(g);
}

/* ---- blocks with parameters and several results */

/* The parameters are there: in the way of what follows, or taken. */
static void generate_arm(Generator *g, const Sig *s)
{
    Values params = params_of(s), results = results_of(s);
    bool stay = params.n <= results.n
                && same_values(params, (Values){params.n, results.types});
    if (!stay || draw(g) & 1) {
        take_values(g, params);
        params.n = 0;
    }
    generate_statements(g);
    generate_values(g,
                    (Values){results.n - params.n, results.types + params.n});
}

static void generate_looping(Generator *g, uint32_t number)
{
    const Sig *s = &g->shape.sigs[number];
    if (g->n_locals >= LOOP_LOCALS)
        return;
    uint32_t counter = begin_counter(g);
    generate_values(g, params_of(s));
    emit_index(g, OP_LOOP, sig_index(number));
    push_label(g, params_of(s));
    label_at(g, 0)->closed = true;
    take_values(g, params_of(s));
    generate_statements(g);
    generate_values(g, params_of(s));
    emit_count(g, counter);
    emit_index(g, OP_BR_IF, 0);
    generate_arm(g, s);
    close_block(g);
}

static void generate_opened(Generator *g, Op op, uint32_t number)
{
    const Sig *s = &g->shape.sigs[number];
    generate_values(g, params_of(s));
    if (op == OP_IF)
        generate_value(g, V_I32);
    emit_index(g, op, sig_index(number));
    if (op == OP_TRY_TABLE)
        write_catches(g);
    push_label(g, results_of(s));
    generate_arm(g, s);
    if (op == OP_IF) {
        emit(g, OP_ELSE);
        generate_arm(g, s);
    } else if (op == OP_TRY) {
        label_at(g, 0)->legacy = true;
        emit(g, OP_CATCH_ALL);
        generate_values(g, results_of(s));
    }
    close_block(g);
}

static void generate_wide_block(Generator *g)
{
    static const uint16_t ops[] = {OP_BLOCK, OP_IF, OP_TRY_TABLE, OP_TRY};
    uint8_t x = draw(g);
    uint32_t number = x / 8 % MOST_SIGS;
    if (!has_room(g))
        return;
    if (x % 8 < 2 && g->n_locals < LOOP_LOCALS)
        generate_looping(g, number);
    else
        generate_opened(g, (Op)ops[x % 4], number);
    take_values(g, results_of(&g->shape.sigs[number]));
}

/* ---- branches */

static void generate_br(Generator *g, uint8_t x)
{
    if (!g->n_labels)
        return;
    uint32_t depth = x % g->n_labels;
    const Label *l = label_at(g, depth);
    if (l->closed)
        return;
    generate_values(g, l->takes);
    emit_index(g, OP_BR, depth);
}

static void generate_br_if(Generator *g)
{
    if (!g->n_labels)
        return;
    uint32_t depth = draw_below(g, g->n_labels);
    const Label *l = label_at(g, depth);
    if (l->closed)
        return;
    generate_values(g, l->takes);
    generate_value(g, V_I32);
    emit_index(g, OP_BR_IF, depth);
    take_values(g, l->takes);
}

/* All labels of the table take what its default takes. */
static void generate_br_table(Generator *g, uint8_t x)
{
    if (!g->n_labels)
        return;
    const Label *l = label_at(g, (x >> 4) % g->n_labels);
    if (l->closed)
        return;
    generate_values(g, l->takes);
    generate_value(g, V_I32);
    emit_index(g, OP_BR_TABLE, x % 7);
    for (uint32_t i = 0; i <= x % 7; i++)
        writer_u32(&g->code, (uint32_t)find_label(g, draw(g), l->takes));
}

static void generate_return(Generator *g, uint8_t x)
{
    uint32_t f = find_function(g, x >> 1, results_of(g->sig));
    if (x & 1 && f < g->shape.n_funcs) {
        emit_call(g, f, draw(g), true);
        return;
    }
    generate_values(g, results_of(g->sig));
    emit(g, OP_RETURN);
}

static void generate_rethrow(Generator *g)
{
    for (uint32_t i = 0; i < g->n_labels; i++)
        if (label_at(g, i)->legacy) {
            emit_index(g, OP_RETHROW, i);
            return;
        }
    generate_value(g, V_EXN);
    emit(g, OP_THROW_REF);
}

/* Leaves: what follows is typed all the same. */
static void generate_leave(Generator *g)
{
    uint8_t x = draw(g);
    switch (draw(g) % 8) {
    case 0: return;
    case 1: generate_br(g, x); return;
    case 2: generate_br_table(g, x); return;
    case 3:
    case 4: generate_return(g, x); return;
    case 5: generate_throw(g, x); return;
    case 6: generate_rethrow(g); return;
    default:
        if (x == 255)
            emit(g, OP_UNREACHABLE);
    }
}

/* Only sometimes. */
static void generate_leave_if(Generator *g)
{
    generate_value(g, V_I32);
    open_block(g, OP_IF, V_NONE);
    generate_leave(g);
    close_block(g);
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
    int label = find_label(g, x, single((uint8_t)v));
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

/* ---- statements */

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
        open_block(g, OP_BLOCK, v);
        generate_end(g, v);
        close_block(g);
    }
    take_values(g, single(v));
}

/* Operands of all types that wait while other things happen. */
static void generate_pile(Generator *g)
{
    enum { MOST = 18 };
    uint8_t types[MOST];
    Values v = {3 + draw_below(g, MOST - 3), types};
    for (uint32_t i = 0; i < v.n; i++) {
        types[i] = (uint8_t)draw_any_value(g);
        generate_value(g, (Value)types[i]);
    }
    generate_statements(g);
    take_values(g, v);
}

static void generate_statement(Generator *g)
{
    uint8_t x = draw(g);
    Value v;
    switch (x % 20) {
    case 0:
    case 1: generate_set(g); return;
    case 2:
        v = draw_any_value(g);
        generate_value(g, v);
        emit_index(g, OP_GLOBAL_SET, (uint32_t)v);
        return;
    case 3:
    case 4: generate_effect(g); return;
    case 5: generate_gc_effect(g); return;
    case 6:
        generate_value(g, draw_any_value(g));
        emit(g, OP_DROP);
        return;
    case 7: generate_loop(g); return;
    case 8: generate_leave(g); return;
    case 9: generate_leave_if(g); return;
    case 10: generate_call_statement(g); return;
    case 11: generate_cast_branch(g); return;
    case 12:
    case 13: generate_wide_block(g); return;
    case 14: generate_br_if(g); return;
    case 15: generate_pile(g); return;
    case 16: generate_deep(g); return;
    case 17: generate_catching(g); return;
    default: generate_block(g, x / 20);
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
