/* Modules at the public border. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "native/cache.h"

chi_module *chi_module_new(const uint8_t *bytes, size_t len,
                           chi_features features, chi_error *err)
{
    api_init();
    Error e = {0};
    Module *m = module_new(bytes, len, features, &e);
    if (!m)
        api_error(err, &e);
    return (chi_module *)m;
}

chi_module *chi_module_ref(chi_module *m)
{
    return (chi_module *)module_ref(module_of(m));
}

void chi_module_free(chi_module *m)
{
    if (m)
        module_free(module_of(m));
}

typedef struct {
    chi_report_fn *report;
    void *env;
} Reporter;

static void report_out(void *env, const Error *from)
{
    Reporter *r = env;
    chi_error err;
    api_error(&err, from);
    r->report(r->env, &err);
}

void chi_module_check(const uint8_t *bytes, size_t len, chi_features features,
                      chi_report_fn *report, void *env)
{
    Reporter r = {report, env};
    module_check(bytes, len, features, report_out, &r);
}

const uint8_t *chi_module_bytes(const chi_module *m, size_t *len)
{
    *len = module_of(m)->len;
    return module_of(m)->bytes;
}

/* FNV-1a over 8 bytes at a time. */
uint64_t chi_module_hash(const chi_module *m)
{
    const Module *module = module_of(m);
    uint64_t h = 0xcbf29ce484222325u ^ module->len;
    for (size_t i = 0; i < module->len; i += 8) {
        uint64_t word = 0;
        size_t n = module->len - i < 8 ? module->len - i : 8;
        memcpy(&word, module->bytes + i, n);
        h = (h ^ word) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return h;
}

static const char *name_out(Name name, uint32_t *len)
{
    *len = name.len;
    return name.len ? name.bytes : NULL;
}

const char *chi_module_name(const chi_module *m, size_t *len)
{
    uint32_t n;
    const char *name = name_out(names_get(module_of(m), NAMES_MODULE, 0), &n);
    *len = n;
    return name;
}

/* ---- types of externals */

void api_func_type(const TypeDef *t, chi_functype *out)
{
    *out = (chi_functype){t->func.n_params,    t->func.n_results,
                          t->func.param_slots, t->func.result_slots,
                          t->func.types,       t->id};
}

void api_memory_type(const MemoryType *t, chi_externtype *out)
{
    *out = (chi_externtype){.kind = CHI_MEM,
                            .shared = t->limits.shared,
                            .is64 = t->limits.is64,
                            .page_size = (uint32_t)1 << t->page_log2,
                            .min = t->limits.min,
                            .max = t->limits.max};
}

void api_table_type(const TableType *t, chi_externtype *out)
{
    *out = (chi_externtype){.kind = CHI_TABLE,
                            .type = t->type,
                            .is64 = t->limits.is64,
                            .min = t->limits.min,
                            .max = t->limits.max};
}

void api_module_extern(const Module *m, ExternKind kind, uint32_t index,
                       chi_externtype *out)
{
    *out = (chi_externtype){.kind = (chi_kind)kind};
    switch (kind) {
    case EXTERN_FUNC: api_func_type(m->func_types[index], &out->func); break;
    case EXTERN_TABLE: api_table_type(&m->tables[index], out); break;
    case EXTERN_MEMORY: api_memory_type(&m->memories[index], out); break;
    case EXTERN_GLOBAL:
        out->type = m->globals[index].type;
        out->mutable_ = m->globals[index].mutable;
        break;
    case EXTERN_TAG: api_func_type(m->tags[index], &out->func); break;
    }
}

/* ---- inspection */

uint32_t chi_module_n_imports(const chi_module *m)
{
    return module_of(m)->n_imports;
}

uint32_t chi_module_n_exports(const chi_module *m)
{
    return module_of(m)->n_exports;
}

uint32_t chi_module_n_customs(const chi_module *m)
{
    return module_of(m)->n_customs;
}

uint32_t chi_module_n_functions(const chi_module *m)
{
    return module_of(m)->n_funcs;
}

void chi_module_import(const chi_module *m, uint32_t i, chi_import *o)
{
    const Import *x = &module_of(m)->imports[i];
    o->module = x->module.bytes;
    o->module_len = x->module.len;
    o->name = x->name.bytes;
    o->name_len = x->name.len;
    api_module_extern(module_of(m), x->kind, x->index, &o->type);
}

void chi_module_export(const chi_module *m, uint32_t i, chi_export *o)
{
    const Export *x = &module_of(m)->exports[i];
    o->name = x->name.bytes;
    o->name_len = x->name.len;
    o->index = x->index;
    api_module_extern(module_of(m), x->kind, x->index, &o->type);
}

void chi_module_custom(const chi_module *m, uint32_t i, chi_custom *o)
{
    const CustomSection *c = &module_of(m)->customs[i];
    *o = (chi_custom){c->name.bytes, c->name.len,
                      module_of(m)->bytes + c->start, c->len};
}

void chi_module_function(const chi_module *m, uint32_t i, chi_funcinfo *o)
{
    const Module *module = module_of(m);
    *o = (chi_funcinfo){.imported = i < module->n_imported_funcs};
    o->name = name_out(names_get(module, NAMES_FUNC, i), &o->name_len);
    for (uint32_t k = 0; !o->name && k < module->n_exports; k++)
        if (module->exports[k].kind == EXTERN_FUNC
            && module->exports[k].index == i)
            o->name = name_out(module->exports[k].name, &o->name_len);
    api_func_type(module->func_types[i], &o->type);
    if (!o->imported) {
        const Func *f = module_func(module, i);
        o->offset = f->start;
        o->size = f->end - f->start;
    }
}

const char *chi_module_local_name(const chi_module *m, uint32_t func,
                                  uint32_t local, uint32_t *len)
{
    return name_out(names_get_in(module_of(m), NAMES_LOCAL, func, local), len);
}

bool chi_module_compile(chi_module *m, const char *path, chi_error *err)
{
    Error e = {0};
    if (native_save((Module *)(uintptr_t)module_of(m), path, &e))
        return true;
    api_error(err, &e);
    return false;
}

chi_module *chi_module_open(const char *path, chi_features features,
                            chi_error *err)
{
    size_t len;
    Error e = {0};
    uint8_t *bytes = image_module(path, &len);
    if (!bytes) {
        error_set(&e, ERR_ARGUMENT, ERROR_NO_OFFSET,
                  "%s is no file of compiled code that belongs to this user "
                  "alone",
                  path);
        api_error(err, &e);
        return NULL;
    }
    chi_module *m = chi_module_new(bytes, len, features, err);
    free(bytes);
    if (m)
        ((Module *)(uintptr_t)module_of(m))->image_path = strdup(path);
    return m;
}

const char *chi_cache_folder(void) { return cache_folder(); }
uint64_t chi_cache_size(void) { return cache_size(); }
void chi_cache_clear(void) { cache_clear(); }

/* ---- places in the source */

static bool source_out(bool known, const Source *from, chi_source *out)
{
    _Static_assert(sizeof out->file == sizeof from->file, "cut by dwarf.c");
    if (!known)
        return false;
    memcpy(out->file, from->file, strlen(from->file) + 1);
    out->line = from->line;
    out->column = from->column;
    return true;
}

bool chi_module_source(const chi_module *m, uint32_t byte_offset,
                       chi_source *out)
{
    Source s;
    bool known = dwarf_source(module_of(m), byte_offset, &s);
    return source_out(known, &s, out);
}

bool chi_module_function_source(const chi_module *m, uint32_t func,
                                chi_source *out)
{
    const Module *module = module_of(m);
    Source s;
    bool known = func >= module->n_imported_funcs
                 && dwarf_function(module, module_func(module, func), &s);
    return source_out(known, &s, out);
}
