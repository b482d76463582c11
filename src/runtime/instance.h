/* instance.h - linking and instantiation.  See WebAssembly 3.0, 4.7. */
#ifndef CHI_RUNTIME_INSTANCE_H
#define CHI_RUNTIME_INSTANCE_H

#include "runtime/runtime.h"

typedef struct {
    ExternKind kind;
    union {
        FuncRef *func;
        Table *table;
        Memory *memory;
        Global *global;
        Tag *tag;
    };
} Extern;

/* Does x match import i (subtyping included)?  `why`: wanted and given. */
bool import_matches(const Module *m, uint32_t i, Extern x, char *why,
                    size_t size);

/* Allocates, links, initialises, runs active segments and the start function
 * (through the engine's hooks).  Gives an instance with one reference; NULL:
 * err is set; a trap's code is that of the trap. */
Instance *instance_new(Store *s, Module *m, const Extern *imports, Error *err);
Extern instance_export(Instance *i, uint32_t export_index);
size_t instance_size(const Module *m); /* bytes of an instance of m */
/* Where the arrays of an instance of m are: bytes from its start. */
typedef struct {
    size_t imported_funcs, memories, tables, globals, tags, elem_items,
        own_funcs, data_dropped, elem_dropped, size;
} InstanceLayout;
InstanceLayout instance_layout(const Module *m);

/* Function `index` of the instance's index space. */
FuncRef *instance_func_slow(Instance *i, uint32_t index);
static inline FuncRef *instance_func(Instance *i, uint32_t index)
{
    uint32_t n = i->module->n_imported_funcs;
    if (index < n)
        return i->imported_funcs[index];
    FuncRef *f = &i->own_funcs[index - n];
    return f->func ? f : instance_func_slow(i, index);
}
static inline uint32_t funcref_index(const FuncRef *f)
{
    return f->func ? f->func->index : UINT32_MAX;
}

/* The evaluated items of an element segment (0 words of it if dropped). */
const uint64_t *instance_elem(Instance *i, uint32_t elem, uint32_t *count);

/* What executes: set once by api/, so that runtime/ knows no engine. */
typedef struct {
    /* Calls f; slots: arguments in, results out.  Enters by itself. */
    ErrorCode (*call)(FuncRef *f, uint64_t *slots);
    /* The same by the interpreter, whatever the store's tier. */
    ErrorCode (*interpret)(FuncRef *f, uint64_t *slots);
    /* Evaluates a constant expression to slots (one or two). */
    ErrorCode (*constant)(Instance *i, const ConstExpr *e, uint64_t *slots);
    /* Prepares an instance, whose memories are there, for compiled code. */
    bool (*attach)(Instance *i, Error *err);
    /* Puts the active data of memory 0 in place, all at once.  false: it is to
     * be copied. */
    bool (*image)(Instance *i);
    /* The code by which compiled code calls a host function; may be NULL. */
    void (*attach_host)(FuncRef *f);
} EngineHooks;
extern EngineHooks engine_hooks;

#endif
