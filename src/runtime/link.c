/* Matching of imports.  See WebAssembly 3.0, 3.3.6 to 3.3.11. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/instance.h"

/* ---- matching */

/* `min` is what there is now. */
static bool limits_match(const Limits *want, uint64_t min, const Limits *given)
{
    return given->is64 == want->is64 && min >= want->min
           && (want->max == NO_MAX || given->max <= want->max);
}

static bool memory_matches(const MemoryType *want, const Memory *m)
{
    uint64_t pages =
        atomic_load_explicit(&m->data->pages, memory_order_relaxed);
    return m->type.page_log2 == want->page_log2
           && m->type.limits.shared == want->limits.shared
           && limits_match(&want->limits, pages, &m->type.limits);
}

static bool table_matches(const TableType *want, const Table *t)
{
    return t->type.type == want->type
           && limits_match(&want->limits, t->size, &t->type.limits);
}

static bool global_matches(const GlobalType *want, const Global *g)
{
    if (g->mutable != want->mutable)
        return false;
    return g->mutable ? g->type == want->type
                      : type_matches(g->type, want->type);
}

static bool matches(const Module *m, const Import *import, Extern x)
{
    uint32_t k = import->index;
    if (x.kind != import->kind)
        return false;
    switch (x.kind) {
    case EXTERN_FUNC:
        return x.func->type == m->func_types[k]
               || type_def_matches(x.func->type->id, m->func_types[k]->id);
    case EXTERN_TABLE: return table_matches(&m->tables[k], x.table);
    case EXTERN_MEMORY: return memory_matches(&m->memories[k], x.memory);
    case EXTERN_GLOBAL: return global_matches(&m->globals[k], x.global);
    default: return x.tag->data->type->id == m->tags[k]->id;
    }
}

/* ---- saying why not */

typedef struct {
    const Module *m;
    char *text;
    size_t size, len;
} Text;

static void PRINTF_LIKE(2, 3) put(Text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->text + t->len, t->size - t->len, format, args);
    va_end(args);
    size_t left = t->size - t->len - 1;
    t->len += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
}

static void put_type(Text *t, Type type)
{
    char spelled[64];
    type_print(type, module_type_index, (void *)(uintptr_t)t->m, spelled,
               sizeof spelled);
    put(t, "%s", spelled);
}

static void put_types(Text *t, const char *what, const Type *types, uint32_t n)
{
    if (n == 0)
        return;
    put(t, " (%s", what);
    for (uint32_t i = 0; i < n; i++) {
        put(t, " ");
        put_type(t, types[i]);
    }
    put(t, ")");
}

static void put_func(Text *t, const char *what, const TypeDef *type)
{
    const FuncType *f = &type->func;
    put(t, "(%s", what);
    put_types(t, "param", f->types, f->n_params);
    put_types(t, "result", f->types + f->n_params, f->n_results);
    put(t, ")");
}

static void put_limits(Text *t, const char *what, uint64_t min,
                       const Limits *limits)
{
    put(t, "(%s%s %llu", what, limits->is64 ? " i64" : "",
        (unsigned long long)min);
    if (limits->max != NO_MAX)
        put(t, " %llu", (unsigned long long)limits->max);
}

static void put_memory(Text *t, uint64_t min, const MemoryType *type)
{
    put_limits(t, "memory", min, &type->limits);
    put(t, "%s", type->limits.shared ? " shared" : "");
    if (type->page_log2 != 16)
        put(t, " (pagesize %u)", 1u << type->page_log2);
    put(t, ")");
}

static void put_table(Text *t, uint64_t min, const TableType *type)
{
    put_limits(t, "table", min, &type->limits);
    put(t, " ");
    put_type(t, type->type);
    put(t, ")");
}

static void put_global(Text *t, Type type, bool mutable)
{
    put(t, mutable ? "(global (mut " : "(global ");
    put_type(t, type);
    put(t, mutable ? "))" : ")");
}

static void put_wanted(Text *t, const Import *import)
{
    const Module *m = t->m;
    uint32_t k = import->index;
    switch (import->kind) {
    case EXTERN_FUNC: put_func(t, "func", m->func_types[k]); break;
    case EXTERN_TABLE:
        put_table(t, m->tables[k].limits.min, &m->tables[k]);
        break;
    case EXTERN_MEMORY:
        put_memory(t, m->memories[k].limits.min, &m->memories[k]);
        break;
    case EXTERN_GLOBAL:
        put_global(t, m->globals[k].type, m->globals[k].mutable);
        break;
    case EXTERN_TAG: put_func(t, "tag", m->tags[k]); break;
    }
}

static void put_given(Text *t, Extern x)
{
    switch (x.kind) {
    case EXTERN_FUNC: put_func(t, "func", x.func->type); break;
    case EXTERN_TABLE: put_table(t, x.table->size, &x.table->type); break;
    case EXTERN_MEMORY:
        put_memory(t, x.memory->data->pages, &x.memory->type);
        break;
    case EXTERN_GLOBAL: put_global(t, x.global->type, x.global->mutable); break;
    case EXTERN_TAG: put_func(t, "tag", x.tag->data->type); break;
    }
}

bool import_matches(const Module *m, uint32_t i, Extern x, char *why,
                    size_t size)
{
    const Import *import = &m->imports[i];
    if (matches(m, import, x))
        return true;
    if (!why || size == 0)
        return false;
    Text t = {m, why, size, 0};
    put(&t, "wants ");
    put_wanted(&t, import);
    size_t end = t.len;
    put(&t, ", is given ");
    size_t given = t.len;
    put_given(&t, x);
    size_t n = t.len - given;
    if (end - 6 == n && memcmp(why + 6, why + given, n) == 0)
        put(&t, " of another recursive group or supertype");
    return false;
}
