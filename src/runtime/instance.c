#include "runtime/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "runtime/memory.h"
#include "runtime/store.h"
#include "runtime/table.h"
#include "runtime/thread.h"

EngineHooks engine_hooks;

/* ---- the record: one allocation, arrays behind it */

static uint32_t n_own_funcs(const Module *m)
{
    return m->n_funcs - m->n_imported_funcs;
}

InstanceLayout instance_layout(const Module *m)
{
    InstanceLayout l;
    size_t at = sizeof(Instance), pointer = sizeof(void *);
    l.imported_funcs = at, at += m->n_imported_funcs * pointer;
    l.memories = at, at += m->n_memories * pointer;
    l.tables = at, at += m->n_tables * pointer;
    l.globals = at, at += m->n_globals * pointer;
    l.tags = at, at += m->n_tags * pointer;
    l.elem_items = at, at += m->n_elems * pointer;
    l.own_funcs = at, at += n_own_funcs(m) * sizeof(FuncRef);
    l.data_dropped = at, at += m->n_datas;
    l.elem_dropped = at, at += m->n_elems;
    l.size = at;
    return l;
}

size_t instance_size(const Module *m) { return instance_layout(m).size; }

static void lay_out(Instance *i, const Module *m)
{
    InstanceLayout l = instance_layout(m);
    char *p = (char *)i;
    i->imported_funcs = (FuncRef **)(void *)(p + l.imported_funcs);
    i->memories = (Memory **)(void *)(p + l.memories);
    i->tables = (Table **)(void *)(p + l.tables);
    i->globals = (Global **)(void *)(p + l.globals);
    i->tags = (Tag **)(void *)(p + l.tags);
    i->elem_items = (uint64_t **)(void *)(p + l.elem_items);
    i->own_funcs = (FuncRef *)(void *)(p + l.own_funcs);
    i->data_dropped = (uint8_t *)p + l.data_dropped;
    i->elem_dropped = (uint8_t *)p + l.elem_dropped;
}

static Instance *make(Store *s, Module *m)
{
    Instance *i = entity_new(s, ENTITY_INSTANCE, instance_size(m));
    if (!i)
        return NULL;
    i->module = module_ref(m);
    i->bytes = m->bytes;
    i->type_ids = m->type_ids;
    i->memory0 = &memory_none;
    lay_out(i, m);
    entity_ref(&i->e);
    return i;
}

FuncRef *instance_func_slow(Instance *i, uint32_t index)
{
    FuncRef *f = &i->own_funcs[index - i->module->n_imported_funcs];
    f->instance = i;
    f->type = i->module->func_types[index];
    f->owner = &i->e;
    f->context = i;
    f->type_id = f->type->id;
    if (i->code_table)
        f->code =
            __atomic_load_n(&i->code_table[index - i->module->n_imported_funcs],
                            __ATOMIC_ACQUIRE);
    f->func = module_func(i->module, index);
    f->may_run_long = f->func->flags & (FUNC_LOOPS | FUNC_CALLS);
    return f;
}

Extern instance_export(Instance *i, uint32_t export_index)
{
    const Export *e = &i->module->exports[export_index];
    Extern x = {.kind = e->kind};
    switch (e->kind) {
    case EXTERN_FUNC: x.func = instance_func(i, e->index); break;
    case EXTERN_TABLE: x.table = i->tables[e->index]; break;
    case EXTERN_MEMORY: x.memory = i->memories[e->index]; break;
    case EXTERN_GLOBAL: x.global = i->globals[e->index]; break;
    case EXTERN_TAG: x.tag = i->tags[e->index]; break;
    }
    return x;
}

/* ---- failures */

static bool fail(Instance *i, ErrorCode code, Error *err)
{
    const Error *detail = &i->e.store->error;
    bool known = detail->code == code && detail->message[0];
    return error_set(err, code, ERROR_NO_OFFSET, "%s",
                     known ? detail->message : error_text(code));
}

static bool no_memory(Error *err)
{
    return error_set(err, ERR_MEMORY, ERROR_NO_OFFSET, "out of memory");
}

/* ---- imports */

static Entity *entity_of(Extern x)
{
    switch (x.kind) {
    case EXTERN_FUNC: return x.func->owner;
    case EXTERN_TABLE: return &x.table->e;
    case EXTERN_MEMORY: return &x.memory->e;
    case EXTERN_GLOBAL: return &x.global->e;
    default: return &x.tag->e;
    }
}

static int shown(Name n) { return n.len < 60 ? (int)n.len : 60; }

static bool match_import(const Store *s, const Module *m, uint32_t k, Extern x,
                         Error *err)
{
    char why[256];
    const Import *import = &m->imports[k];
    Name from = import->module, name = import->name;
    if (entity_of(x)->store != s)
        return error_set(err, ERR_LINK, ERROR_NO_OFFSET,
                         "import \"%.*s\" \"%.*s\" is of another store",
                         shown(from), from.bytes, shown(name), name.bytes);
    if (import_matches(m, k, x, why, sizeof why))
        return true;
    return error_set(err, ERR_LINK, ERROR_NO_OFFSET,
                     "incompatible import type: \"%.*s\" \"%.*s\" %s",
                     shown(from), from.bytes, shown(name), name.bytes, why);
}

static void take_import(Instance *i, uint32_t index, Extern x)
{
    switch (x.kind) {
    case EXTERN_FUNC: i->imported_funcs[index] = x.func; break;
    case EXTERN_TABLE: i->tables[index] = x.table; break;
    case EXTERN_MEMORY: i->memories[index] = x.memory; break;
    case EXTERN_GLOBAL: i->globals[index] = x.global; break;
    case EXTERN_TAG: i->tags[index] = x.tag; break;
    }
}

/* ---- constant expressions */

/* Most are one instruction. */
static bool evaluate_simple(Instance *i, Reader *r, uint64_t *slots)
{
    uint32_t bits;
    switch (reader_byte(r)) {
    case 0x41: slots[0] = (uint32_t)reader_s32(r); return true;
    case 0x42: slots[0] = (uint64_t)reader_s64(r); return true;
    case 0x43:
        memcpy(&bits, reader_bytes(r, 4), 4);
        slots[0] = bits;
        return true;
    case 0x44: memcpy(slots, reader_bytes(r, 8), 8); return true;
    case 0x23: {
        const Global *g = i->globals[reader_u32(r)];
        memcpy(slots, g->value, type_slots(g->type) * sizeof *slots);
        return true;
    }
    case 0xd0:
        reader_s33(r);
        slots[0] = 0;
        return true;
    case 0xd2:
        slots[0] = (uintptr_t)instance_func(i, reader_u32(r));
        return true;
    default: return false;
    }
}

static bool evaluate(Instance *i, const ConstExpr *e, uint64_t *slots,
                     Error *err)
{
    const uint8_t *bytes = i->module->bytes;
    Error none;
    none.code = ERR_OK;
    Reader r = {bytes, bytes + e->start, bytes + e->end, &none};
    if (evaluate_simple(i, &r, slots) && r.p == r.end - 1)
        return true;
    ErrorCode code = engine_hooks.constant(i, e, slots);
    return code == ERR_OK || fail(i, code, err);
}

/* ---- definitions */

static bool make_globals(Instance *i, Error *err)
{
    const Module *m = i->module;
    for (uint32_t k = m->n_imported_globals; k < m->n_globals; k++) {
        const GlobalType *t = &m->globals[k];
        Global *g = global_new(i->e.store, t->type, t->mutable, NULL);
        if (!g)
            return no_memory(err);
        i->globals[k] = g;
        entity_forget(&g->e);
        uint64_t value[2] = {0}; /* until it is whole, the global has none */
        if (!evaluate(i, &t->init, value, err))
            return false;
        memcpy(g->value, value, sizeof value);
    }
    return true;
}

static bool make_tables(Instance *i, Error *err)
{
    const Module *m = i->module;
    for (uint32_t k = m->n_imported_tables; k < m->n_tables; k++) {
        const TableType *t = &m->tables[k];
        uint64_t init[2] = {0};
        if (t->has_init && !evaluate(i, &t->init, init, err))
            return false;
        i->tables[k] = table_new(i->e.store, t, init[0], err);
        if (!i->tables[k])
            return false;
        entity_forget(&i->tables[k]->e);
    }
    return true;
}

static bool make_memories(Instance *i, Error *err)
{
    const Module *m = i->module;
    for (uint32_t k = m->n_imported_memories; k < m->n_memories; k++) {
        i->memories[k] = memory_new(i->e.store, &m->memories[k], err);
        if (!i->memories[k])
            return false;
        entity_forget(&i->memories[k]->e);
    }
    if (m->n_memories)
        i->memory0 = i->memories[0]->data;
    return true;
}

static void make_tags(Instance *i)
{
    const Module *m = i->module;
    for (uint32_t k = m->n_imported_tags; k < m->n_tags; k++) {
        i->tags[k] = tag_of_type(i->e.store, m->tags[k]);
        entity_forget(&i->tags[k]->e);
    }
}

/* ---- element segments */

static uint64_t *make_items(Instance *i, uint32_t elem)
{
    size_t n = i->module->elems[elem].count;
    return i->elem_items[elem] = calloc(n ? n : 1, sizeof(uint64_t));
}

static void drop_elem(Instance *i, uint32_t elem)
{
    i->elem_dropped[elem] = 1;
    free(i->elem_items[elem]);
    i->elem_items[elem] = NULL;
}

static bool evaluate_items(Instance *i, uint32_t elem, Error *err)
{
    const ElemSegment *segment = &i->module->elems[elem];
    uint64_t *items = make_items(i, elem), slots[2];
    if (!items)
        return no_memory(err);
    for (uint32_t k = 0; k < segment->count; k++) {
        if (!evaluate(i, &segment->exprs[k], slots, err))
            return false;
        items[k] = slots[0];
    }
    return true;
}

static bool evaluate_elems(Instance *i, Error *err)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_elems; k++) {
        if (m->elems[k].mode == SEGMENT_DECLARED)
            i->elem_dropped[k] = 1;
        else if (m->elems[k].exprs && !evaluate_items(i, k, err))
            return false;
    }
    return true;
}

const uint64_t *instance_elem(Instance *i, uint32_t elem, uint32_t *count)
{
    const ElemSegment *segment = &i->module->elems[elem];
    *count = i->elem_dropped[elem] ? 0 : segment->count;
    if (*count == 0 || i->elem_items[elem])
        return i->elem_items[elem];
    uint64_t *items = make_items(i, elem);
    if (!items) {
        fprintf(stderr, "chiasm: out of memory\n");
        abort();
    }
    for (uint32_t k = 0; k < *count; k++)
        items[k] = (uintptr_t)instance_func(i, segment->funcs[k]);
    return items;
}

/* ---- active segments and start: WebAssembly 3.0, 4.7.2, in its order */

static uint64_t address(uint64_t value, bool is64)
{
    return is64 ? value : (uint32_t)value;
}

static bool run_elems(Instance *i, Error *err)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_elems; k++) {
        const ElemSegment *segment = &m->elems[k];
        if (segment->mode != SEGMENT_ACTIVE)
            continue;
        Table *t = i->tables[segment->table];
        uint64_t at[2];
        if (!evaluate(i, &segment->offset, at, err))
            return false;
        if (table_init(i, t, k, address(at[0], t->type.limits.is64), 0,
                       segment->count)
            != ERR_OK)
            return fail(i, ERR_TABLE_BOUNDS, err);
        drop_elem(i, k);
    }
    return true;
}

static bool run_datas(Instance *i, Error *err)
{
    const Module *m = i->module;
    if (i->code_table && engine_hooks.image(i)) {
        for (uint32_t k = 0; k < m->n_datas; k++)
            i->data_dropped[k] = m->datas[k].mode == SEGMENT_ACTIVE;
        return true;
    }
    for (uint32_t k = 0; k < m->n_datas; k++) {
        const DataSegment *segment = &m->datas[k];
        if (segment->mode != SEGMENT_ACTIVE)
            continue;
        MemoryData *d = i->memories[segment->memory]->data;
        uint64_t at[2];
        if (!evaluate(i, &segment->offset, at, err))
            return false;
        ErrorCode code =
            memory_init(i, d, k, address(at[0], d->is64), 0, segment->len);
        if (code != ERR_OK)
            return fail(i, code, err);
        i->data_dropped[k] = 1;
    }
    return true;
}

static bool run_start(Instance *i, Error *err)
{
    if (!i->module->has_start)
        return true;
    uint64_t none[1] = {0};
    ErrorCode code =
        engine_hooks.call(instance_func(i, i->module->start), none);
    return code == ERR_OK || fail(i, code, err);
}

static bool attach(Instance *i, Error *err)
{
    return i->e.store->tier == TIER_INTERP || engine_hooks.attach(i, err);
}

/* Memories come first: code depends on their forms. */
static bool initialise(Instance *i, Error *err)
{
    i->e.store->error.code = ERR_OK;
    make_tags(i);
    return make_memories(i, err) && attach(i, err) && make_globals(i, err)
           && make_tables(i, err) && evaluate_elems(i, err) && run_elems(i, err)
           && run_datas(i, err) && run_start(i, err);
}

static Instance *link_and_run(Store *s, Module *m, const Extern *imports,
                              Error *err)
{
    for (uint32_t k = 0; k < m->n_imports; k++)
        if (!match_import(s, m, k, imports[k], err))
            return NULL;
    Instance *i = make(s, m);
    if (!i) {
        no_memory(err);
        return NULL;
    }
    for (uint32_t k = 0; k < m->n_imports; k++)
        take_import(i, m->imports[k].index, imports[k]);
    if (initialise(i, err))
        return i;
    entity_unref(&i->e); /* a table may refer to it: then it stays */
    return NULL;
}

Instance *instance_new(Store *s, Module *m, const Extern *imports, Error *err)
{
    Activation a;
    s = store_target(s);
    ErrorCode code = activation_enter(&a, s, false);
    if (code != ERR_OK) {
        error_set(err, code, ERROR_NO_OFFSET, "%s", error_text(code));
        return NULL;
    }
    Instance *i = link_and_run(s, m, imports, err);
    activation_leave(&a);
    return i;
}
