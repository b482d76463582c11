#include <stdlib.h>
#include <string.h>

#include "wasm/check.h"
#include "wasm/decode.h"
#include "wasm/names.h"
#include "wasm/validate.h"

typedef struct {
    Module *m;
    Validator v;
    Error *err;
    ModuleReport *report; /* NULL: the first failure ends the check */
    void *env;
    bool failed, stop;
} Checker;

/* Passes a failure on.  True: go on. */
static bool next(Checker *c)
{
    if (c->err->code == ERR_OK)
        return true;
    c->failed = true;
    if (!c->report) {
        c->stop = true;
        return false;
    }
    c->report(c->env, c->err);
    *c->err = (Error){0};
    return true;
}

static void check_expr(Checker *c, ConstExpr *e, Type result,
                       uint32_t n_globals)
{
    if (!c->stop) {
        check_const(&c->v, e, result, n_globals, c->err);
        next(c);
    }
}

static void declare(Module *m, uint32_t func)
{
    if (func < m->n_funcs)
        m->declared[func / 8] |= (uint8_t)(1 << func % 8);
}

static Type address_type(const Limits *l) { return l->is64 ? T_I64 : T_I32; }

/* Where a section stands. */
static uint64_t section_offset(const Module *m, uint8_t id)
{
    for (uint32_t i = 0; i < m->n_sections; i++)
        if (m->sections[i].id == id)
            return m->sections[i].offset;
    return ERROR_NO_OFFSET;
}

enum { SECTION_TABLE = 4, SECTION_START = 8, SECTION_ELEM = 9 };

static void check_tables(Checker *c)
{
    Module *m = c->m;
    for (uint32_t i = m->n_imported_tables; i < m->n_tables && !c->stop; i++) {
        TableType *t = &m->tables[i];
        if (t->has_init)
            check_expr(c, &t->init, t->type, m->n_imported_globals);
        else if (!type_is_defaultable(t->type))
            error_set(c->err, ERR_INVALID, section_offset(m, SECTION_TABLE),
                      "type mismatch: table %u has no default value and needs "
                      "an initial one",
                      (unsigned)i);
        next(c);
    }
}

static void check_globals(Checker *c)
{
    Module *m = c->m;
    for (uint32_t i = m->n_imported_globals; i < m->n_globals && !c->stop; i++)
        check_expr(c, &m->globals[i].init, m->globals[i].type, i);
}

static void check_elem_offset(Checker *c, ElemSegment *e, uint32_t i)
{
    const Module *m = c->m;
    if (e->table >= m->n_tables) {
        error_set(c->err, ERR_INVALID, section_offset(m, SECTION_ELEM),
                  "unknown table %u of element segment %u", (unsigned)e->table,
                  (unsigned)i);
    } else {
        const TableType *t = &m->tables[e->table];
        if (!type_matches(e->type, t->type))
            error_set(c->err, ERR_INVALID, e->offset.start,
                      "type mismatch: element segment %u does not fit table %u",
                      (unsigned)i, (unsigned)e->table);
        else
            check_expr(c, &e->offset, address_type(&t->limits), m->n_globals);
    }
    next(c);
}

static void check_elem_funcs(Checker *c, const ElemSegment *e, uint32_t i)
{
    for (uint32_t j = 0; j < e->count; j++) {
        if (e->funcs[j] >= c->m->n_funcs) {
            error_set(c->err, ERR_INVALID, section_offset(c->m, SECTION_ELEM),
                      "unknown function %u in element segment %u",
                      (unsigned)e->funcs[j], (unsigned)i);
            next(c);
            return;
        }
        declare(c->m, e->funcs[j]);
    }
}

static void check_elems(Checker *c)
{
    Module *m = c->m;
    for (uint32_t i = 0; i < m->n_elems && !c->stop; i++) {
        ElemSegment *e = &m->elems[i];
        if (e->mode == SEGMENT_ACTIVE)
            check_elem_offset(c, e, i);
        if (e->funcs)
            check_elem_funcs(c, e, i);
        for (uint32_t j = 0; e->exprs && j < e->count && !c->stop; j++)
            check_expr(c, (ConstExpr *)&e->exprs[j], e->type, m->n_globals);
    }
}

static void check_datas(Checker *c)
{
    Module *m = c->m;
    for (uint32_t i = 0; m->datas && i < m->n_datas && !c->stop; i++) {
        DataSegment *d = &m->datas[i];
        if (d->mode != SEGMENT_ACTIVE)
            continue;
        if (d->memory >= m->n_memories)
            error_set(c->err, ERR_INVALID, d->offset.start,
                      "unknown memory %u of data segment %u",
                      (unsigned)d->memory, (unsigned)i);
        else
            check_expr(c, &d->offset,
                       address_type(&m->memories[d->memory].limits),
                       m->n_globals);
        next(c);
    }
}

static void check_export(Checker *c, const Export *e)
{
    static const char *const text[] = {"function", "table", "memory", "global",
                                       "tag"};
    const Module *m = c->m;
    const uint32_t n[] = {m->n_funcs, m->n_tables, m->n_memories, m->n_globals,
                          m->n_tags};
    uint64_t at = (uint64_t)((const uint8_t *)e->name.bytes - m->bytes);
    if (e->index >= n[e->kind])
        error_set(c->err, ERR_INVALID, at, "unknown %s %u is exported",
                  text[e->kind], (unsigned)e->index);
    else if (e->kind == EXTERN_GLOBAL && m->globals[e->index].mutable
             && !decode_has(m, FEATURE_MUTABLE_GLOBALS))
        error_set(c->err, ERR_INVALID, at,
                  "an export of a mutable global needs the feature "
                  "mutable-globals");
    else if (e->kind == EXTERN_FUNC)
        declare(c->m, e->index);
    next(c);
}

static int compare_names(const void *a, const void *b)
{
    const Name *x = &(*(const Export *const *)a)->name;
    const Name *y = &(*(const Export *const *)b)->name;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->len ? memcmp(x->bytes, y->bytes, x->len) : 0;
}

/* Equal names stand side by side when sorted. */
static void check_export_names(Checker *c)
{
    uint32_t n = c->m->n_exports;
    const Export **sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted)
        abort();
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = &c->m->exports[i];
    qsort(sorted, n, sizeof *sorted, compare_names);
    for (uint32_t i = 1; i < n && !c->stop; i++) {
        const Name *name = &sorted[i]->name;
        if (compare_names(&sorted[i - 1], &sorted[i]) != 0)
            continue;
        error_set(c->err, ERR_INVALID,
                  (uint64_t)((const uint8_t *)name->bytes - c->m->bytes),
                  "duplicate export name \"%.*s\"", (int)names_clip(*name, 200),
                  name->bytes);
        next(c);
    }
    free(sorted);
}

static void check_start(Checker *c)
{
    const Module *m = c->m;
    if (!m->has_start)
        return;
    uint64_t at = section_offset(m, SECTION_START);
    if (m->start >= m->n_funcs)
        error_set(c->err, ERR_INVALID, at,
                  "unknown function %u is the start function",
                  (unsigned)m->start);
    else if (m->func_types[m->start]->func.n_params
             || m->func_types[m->start]->func.n_results)
        error_set(c->err, ERR_INVALID, at,
                  "start function %u has parameters or results",
                  (unsigned)m->start);
    next(c);
}

static void check_funcs(Checker *c)
{
    Module *m = c->m;
    uint32_t n = m->funcs ? m->n_funcs - m->n_imported_funcs : 0;
    for (uint32_t i = 0; i < n && !c->stop; i++)
        if (m->funcs[i].end) {
            check_func(&c->v, &m->funcs[i], c->err);
            next(c);
        }
}

bool validate_module(Module *m, ModuleReport *report, void *env, Error *err)
{
    Checker c = {.m = m, .err = err, .report = report, .env = env};
    check_init(&c.v, m, err);
    m->declared = arena_alloc(&m->arena, m->n_funcs / 8 + 1);
    for (uint32_t i = 0; i < m->n_exports && !c.stop; i++)
        check_export(&c, &m->exports[i]);
    if (!c.stop)
        check_export_names(&c);
    check_tables(&c);
    check_globals(&c);
    if (!c.stop)
        check_start(&c);
    check_elems(&c);
    check_datas(&c);
    check_funcs(&c);
    check_free(&c.v);
    return !c.failed;
}
