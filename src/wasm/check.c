#include "wasm/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "wasm/names.h"

/* Failures. */

/* " (i32.add in function 7 $name)" */
static void place(Validator *v, char *out, size_t size)
{
    const char *op = v->op < OP_COUNT ? op_info[v->op].text : "";
    const char *space = *op ? " " : "";
    if (!v->f) {
        snprintf(out, size, " (%s%sin a constant expression)", op, space);
        return;
    }
    Name name = names_get(v->m, NAMES_FUNC, v->f->index);
    snprintf(out, size, " (%s%sin function %u%s%.*s)", op, space,
             (unsigned)v->f->index, name.len ? " $" : "",
             (int)names_clip(name, 80), name.bytes);
}

static bool fail(Validator *v, ErrorCode code, const char *format, va_list args)
{
    char message[ERROR_MESSAGE_SIZE / 2], where[ERROR_MESSAGE_SIZE / 2];
    bool first = v->r.err->code == ERR_OK;
    vsnprintf(message, sizeof message, format, args);
    place(v, where, sizeof where);
    error_set(v->r.err, code, v->at, "%s%s", message, where);
    if (first && v->f)
        v->r.err->function = v->f->index;
    v->r.p = v->r.end;
    return false;
}

bool check_fail(Validator *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(v, ERR_INVALID, format, args);
    va_end(args);
    return false;
}

bool check_malformed(Validator *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(v, ERR_MALFORMED, format, args);
    va_end(args);
    return false;
}

bool check_limit(Validator *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(v, ERR_LIMIT, format, args);
    va_end(args);
    return false;
}

static const char *spell(Validator *v, Type t, char *out, size_t size)
{
    type_print(t, module_type_index, v->m, out, size);
    return out;
}

bool check_mismatch(Validator *v, Type expected, Type found)
{
    char a[32], b[32];
    return check_fail(v, "type mismatch: expected %s, found %s",
                      spell(v, expected, a, sizeof a),
                      spell(v, found, b, sizeof b));
}

static bool fail_empty(Validator *v, Type expected)
{
    char a[32];
    return check_fail(v, "type mismatch: expected %s, found nothing",
                      expected == T_BOTTOM ? "a value"
                                           : spell(v, expected, a, sizeof a));
}

/* Operands. */

static void set_mark(Validator *v)
{
    size_t high = v->max_height - v->wide;
    v->mark = v->stack + (high < v->stack_capacity ? high : v->stack_capacity);
}

void check_grow_stack(Validator *v)
{
    size_t depth = 0, base = 0;
    if (v->stack) {
        depth = (size_t)(v->sp - v->stack);
        base = (size_t)(v->floor - v->stack);
    }
    v->stack_capacity = v->stack_capacity ? v->stack_capacity * 2 : 256;
    v->stack = realloc(v->stack, v->stack_capacity * sizeof *v->stack);
    if (!v->stack)
        abort();
    v->sp = v->stack + depth;
    v->floor = v->stack + base;
}

void check_set_max_height(Validator *v, uint32_t slots)
{
    v->max_height = slots;
    set_mark(v);
}

void check_raise(Validator *v)
{
    if ((size_t)(v->sp - v->stack) == v->stack_capacity)
        check_grow_stack(v);
    if (check_height(v) + 1 > v->max_height)
        v->max_height = check_height(v) + 1;
    set_mark(v);
}

void check_set_wide(Validator *v, uint32_t wide)
{
    v->wide = wide;
    if (check_height(v) > v->max_height)
        v->max_height = check_height(v);
    set_mark(v);
}

bool check_pop_any(Validator *v, Type *found)
{
    *found = T_BOTTOM;
    if (v->sp > v->floor) {
        *found = *--v->sp;
        if (*found == T_V128)
            check_set_wide(v, v->wide - 1);
        return true;
    }
    return check_top(v)->unreachable || fail_empty(v, T_BOTTOM);
}

bool check_pop_slow(Validator *v, Type expected)
{
    if (v->sp == v->floor)
        return check_top(v)->unreachable || fail_empty(v, expected);
    Type found;
    check_pop_any(v, &found);
    return found == expected || type_matches(found, expected)
           || check_mismatch(v, expected, found);
}

static bool are_on_top(const Validator *v, Types t)
{
    return (size_t)(v->sp - v->floor) >= t.n
           && (t.n == 0
               || memcmp(v->sp - t.n, t.types, t.n * sizeof *t.types) == 0);
}

bool check_pop_many(Validator *v, Types t)
{
    if (LIKELY(are_on_top(v, t))) {
        v->sp -= t.n;
        if (t.slots != t.n)
            check_set_wide(v, v->wide - (t.slots - t.n));
        return true;
    }
    for (uint32_t i = t.n; i-- > 0;)
        if (!check_pop(v, t.types[i]))
            return false;
    return true;
}

void check_push_many(Validator *v, Types t)
{
    while ((size_t)(v->sp - v->stack) + t.n > v->stack_capacity)
        check_grow_stack(v);
    memcpy(v->sp, t.types, t.n * sizeof *t.types);
    v->sp += t.n;
    check_set_wide(v, v->wide + (t.slots - t.n));
}

bool check_pass_types(Validator *v, Types t)
{
    if (LIKELY(are_on_top(v, t)))
        return true;
    if (!check_pop_types(v, t))
        return false;
    check_push_types(v, t);
    return true;
}

bool check_peek_types(Validator *v, Types t)
{
    if (LIKELY(are_on_top(v, t)))
        return true;
    size_t have = (size_t)(v->sp - v->floor);
    for (uint32_t i = 0; i < t.n; i++) {
        Type expected = t.types[t.n - 1 - i];
        if (i >= have)
            return check_top(v)->unreachable || fail_empty(v, expected);
        Type found = v->sp[-1 - (ptrdiff_t)i];
        if (found != expected && !type_matches(found, expected))
            return check_mismatch(v, expected, found);
    }
    return true;
}

void check_unreachable_from_here(Validator *v)
{
    Frame *f = check_top(v);
    f->unreachable = true;
    v->sp = v->floor;
    if (v->wide != f->wide)
        check_set_wide(v, f->wide);
}

bool check_apply(Validator *v, Type a, Type b, Type out)
{
    if ((b != T_BOTTOM && !check_pop(v, b))
        || (a != T_BOTTOM && !check_pop(v, a)))
        return false;
    if (out != T_BOTTOM)
        check_push(v, out);
    return true;
}

/* Locals. */

/* The run that holds a local: by bisection. */
Type check_local_type(const Validator *v, uint32_t index)
{
    if (index < v->n_spread)
        return v->locals[index];
    uint32_t low = 0, high = v->n_runs;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (v->run_ends[middle] <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return v->runs[low].type;
}

void check_set_local(Validator *v, uint32_t index)
{
    if (v->is_set[index])
        return;
    v->is_set[index] = 1;
    if (v->n_set == v->set_capacity) {
        v->set_capacity = v->set_capacity ? v->set_capacity * 2 : 64;
        v->set_order =
            realloc(v->set_order, v->set_capacity * sizeof *v->set_order);
        if (!v->set_order)
            abort();
    }
    v->set_order[v->n_set++] = index;
}

static bool read_local(Validator *v, uint32_t *index, Type *t)
{
    *index = reader_u32(&v->r);
    if (*index >= v->n_locals)
        return reader_ok(&v->r)
               && check_fail(v, "unknown local %u", (unsigned)*index);
    *t = check_local_type(v, *index);
    return true;
}

bool check_local_get(Validator *v)
{
    uint32_t index;
    Type t;
    if (!read_local(v, &index, &t))
        return false;
    if (!type_is_defaultable(t) && !v->is_set[index])
        return check_fail(v, "uninitialized local %u", (unsigned)index);
    check_push(v, t);
    return true;
}

bool check_local_set(Validator *v)
{
    uint32_t index;
    Type t;
    if (!read_local(v, &index, &t) || !check_pop(v, t))
        return false;
    if (!type_is_defaultable(t))
        check_set_local(v, index);
    return true;
}

bool check_local_tee(Validator *v)
{
    uint32_t index;
    Type t;
    if (!read_local(v, &index, &t) || !check_apply(v, T_BOTTOM, t, t))
        return false;
    if (!type_is_defaultable(t))
        check_set_local(v, index);
    return true;
}
