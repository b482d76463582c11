/* api.h - between the public types and the core's.
 *
 * Public pointers are the core's structures under other names; the enums
 * agree by number, which the asserts in errors.c state.
 */
#ifndef CHI_API_API_H
#define CHI_API_API_H

#include <string.h>

#include "chiasm.h"
#include "chiasm_tools.h"

#include "base/writer.h"
#include "runtime/heap.h"
#include "runtime/instance.h"
#include "runtime/memory.h"
#include "runtime/store.h"
#include "runtime/table.h"
#include "runtime/thread.h"
#include "wasm/dwarf.h"
#include "wasm/names.h"

/* Sets the engine's hooks, once. */
void api_init(void);
/* Calls f by the tier of its store. */
ErrorCode api_call(FuncRef *f, uint64_t *slots);
/* A store of the tier that the environment asks for. */
Store *api_store(const StoreLimits *limits);

/* Copies a failure out; gives its code.  err may be NULL. */
chi_code api_error(chi_error *err, const Error *from);
/* The failure of a guest: the code and what the store knows of it. */
chi_code api_guest_error(chi_error *err, Store *s, ErrorCode code);

/* A comment where another line of the source begins.  Zero at first; asked in
 * ascending order. */
typedef struct {
    Source source;
    uint32_t line; /* said last */
    char file[SOURCE_FILE];
} ApiPlace;
void api_show_place(const Module *m, ApiPlace *place, uint32_t at, Writer *w);
/* func 7 "name" (param i32) */
void api_show_function(const Module *m, const Func *f, Writer *w);

/* The writer's text with a NUL after it, which *len (or NULL) excludes. */
char *api_take_text(Writer *w, size_t *len);

void api_func_type(const TypeDef *t, chi_functype *out);
void api_memory_type(const MemoryType *t, chi_externtype *out);
void api_table_type(const TableType *t, chi_externtype *out);
/* The type of an import or export by its kind and index. */
void api_module_extern(const Module *m, ExternKind kind, uint32_t index,
                       chi_externtype *out);

static inline Module *module_of(const chi_module *m)
{
    return (Module *)(uintptr_t)m;
}
static inline Store *store_of(const chi_store *s)
{
    return store_target((Store *)(uintptr_t)s);
}
static inline FuncRef *func_of(const chi_func *f)
{
    return (FuncRef *)(uintptr_t)f;
}
static inline Instance *instance_of(const chi_instance *i)
{
    return (Instance *)(uintptr_t)i;
}
static inline Memory *memory_of(const chi_memory *m)
{
    return (Memory *)(uintptr_t)m;
}
static inline Table *table_of(const chi_table *t)
{
    return (Table *)(uintptr_t)t;
}
static inline Global *global_of(const chi_global *g)
{
    return (Global *)(uintptr_t)g;
}
static inline Tag *tag_of(const chi_tag *t) { return (Tag *)(uintptr_t)t; }

#endif
