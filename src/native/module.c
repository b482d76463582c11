/* Compiled code of modules, and instances that use it. */
#include <stdlib.h>
#include <string.h>

#include "native/internal.h"
#include "runtime/memory.h"
#include "runtime/store.h"

/* The code of one module for one configuration; one lock for all compiling. */
struct NativeModule {
    NativeModule *next; /* of the same module */
    const Module *module;
    BaselineConfig config;
    void **table;
    NativeCode **codes; /* by function; NULL: not compiled */
    NativeCode lazy;    /* the stubs, eight bytes each */
    uint32_t n;
};
enum { LAZY_BYTES = 8, LAZY_CALL = 5 };

static OsMutex lock;
static Compiler *compiler;
static uint32_t cpu;
static _Atomic int state; /* 0 not tried, 1 works, 2 does not */
static const char *reason;
static Instance host_context; /* what compiled code sees of a host function */

/* ---- the process */

static void free_native(void *native);

static bool set_up(void)
{
    if (!code_memory_available(&reason))
        return false;
    os_mutex_init(&lock);
    compiler = baseline_new();
    cpu = cpu_detect();
    host_context.memory0 = &memory_none;
    module_free_native = free_native;
    reason = "out of memory";
    return compiler && stubs_make();
}

bool native_available(const char **why)
{
    int now = atomic_load_explicit(&state, memory_order_acquire);
    if (now == 0) {
        os_mutex_lock(os_global_lock());
        now = atomic_load(&state);
        if (now == 0)
            atomic_store(&state, now = set_up() ? 1 : 2);
        os_mutex_unlock(os_global_lock());
    }
    if (why && now != 1)
        *why = reason;
    return now == 1;
}

/* ---- modules */

static bool same_config(const BaselineConfig *a, const BaselineConfig *b)
{
    return a->memory0 == b->memory0 && a->cpu == b->cpu
           && a->metered == b->metered && a->n_cache == b->n_cache;
}

static void free_one(NativeModule *n)
{
    for (uint32_t k = 0; n->codes && k < n->n; k++) {
        NativeCode *code = n->codes[k];
        if (code) {
            code_free(code->start);
            free((void *)(uintptr_t)code->positions);
            free((void *)(uintptr_t)code->landings);
            free(code);
        }
    }
    code_free(n->lazy.start);
    free(n->codes);
    free(n->table);
    free(n);
}

static void free_native(void *native)
{
    for (NativeModule *n = native, *next; n; n = next) {
        next = n->next;
        free_one(n);
    }
}

/* Each calls the common stub, which finds out which one it was. */
static bool make_lazy_stubs(NativeModule *n)
{
    CodeSpan span;
    uint32_t size = n->n * LAZY_BYTES;
    if (!code_alloc(size, &n->lazy, &span))
        return false;
    n->lazy.start = span.exec;
    n->lazy.size = size;
    n->lazy.module = n;
    for (uint32_t k = 0; k < n->n; k++) {
        uint8_t *p = span.write + k * LAZY_BYTES;
        const uint8_t *exec = span.exec + k * LAZY_BYTES;
        int32_t distance = (int32_t)(stub_lazy() - (uintptr_t)exec - LAZY_CALL);
        memset(p, 0xcc, LAZY_BYTES);
        p[0] = 0xe8;
        memcpy(p + 1, &distance, sizeof distance);
        n->table[k] = (void *)(uintptr_t)exec;
    }
    return code_seal(span);
}

static NativeModule *make_module(const Module *m, const BaselineConfig *config)
{
    NativeModule *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->module = m;
    n->config = *config;
    n->n = m->n_funcs - m->n_imported_funcs;
    n->table = calloc(n->n + 1, sizeof *n->table);
    n->codes = calloc(n->n + 1, sizeof(NativeCode *));
    if (n->table && n->codes && (n->n == 0 || make_lazy_stubs(n)))
        return n;
    free_one(n);
    return NULL;
}

static NativeModule *find_module(Module *m, const BaselineConfig *config)
{
    os_mutex_lock(&lock);
    NativeModule *n = m->native;
    while (n && !same_config(&n->config, config))
        n = n->next;
    if (!n && (n = make_module(m, config))) {
        n->next = m->native;
        m->native = n;
    }
    os_mutex_unlock(&lock);
    return n;
}

static void *copy(const void *data, size_t size)
{
    void *p = malloc(size ? size : 1);
    if (p && size)
        memcpy(p, data, size);
    return p;
}

static void publish(NativeModule *n, uint32_t k, NativeCode *code)
{
    n->codes[k] = code;
    __atomic_store_n(&n->table[k], (void *)(uintptr_t)code->start,
                     __ATOMIC_RELEASE);
}

/* What the compiler refuses: a function whose code or frame would be out of
 * all proportion. */
static ErrorCode leave_to_interpreter(NativeModule *n, uint32_t k)
{
    const Func *f = &n->module->funcs[k];
    NativeCode *kept = calloc(1, sizeof *kept);
    const void *stub = stub_interpret(&f->type->func, f->index);
    if (!kept || !stub) {
        free(kept);
        return ERR_MEMORY;
    }
    kept->start = stub;
    publish(n, k, kept);
    return ERR_OK;
}

/* Under the lock. */
static ErrorCode compile(NativeModule *n, uint32_t k)
{
    const Func *f = &n->module->funcs[k];
    BaselineCode code;
    CodeSpan span;
    if (!baseline_compile(compiler, n->module, f, &n->config, &code))
        return leave_to_interpreter(n, k);
    NativeCode *kept = calloc(1, sizeof *kept);
    if (!kept)
        return ERR_MEMORY;
    *kept = (NativeCode){
        .size = code.size,
        .func = f,
        .module = n,
        .positions = copy(code.positions, code.n_positions * sizeof(Position)),
        .n_positions = code.n_positions,
        .landings = copy(code.landings, f->n_handlers * sizeof(uint32_t)),
        .operands = code.operands,
        .frame = code.frame,
    };
    if (!code_alloc(code.size, kept, &span)) {
        free(kept);
        return ERR_MEMORY;
    }
    memcpy(span.write, code.bytes, code.size);
    kept->start = span.exec;
    if (!code_seal(span))
        return ERR_MEMORY;
    publish(n, k, kept);
    return ERR_OK;
}

const void *native_compile_lazily(Instance *i, uintptr_t behind_stub,
                                  ErrorCode *failure)
{
    const NativeCode *lazy = code_find(behind_stub - 1);
    NativeModule *n = lazy->module;
    uint32_t k =
        (uint32_t)((behind_stub - (uintptr_t)lazy->start) / LAZY_BYTES);
    *failure = ERR_OK;
    os_mutex_lock(&lock);
    if (!n->codes[k])
        *failure = compile(n, k);
    os_mutex_unlock(&lock);
    if (*failure != ERR_OK)
        return NULL;
    const void *code = n->table[k];
    if (i->own_funcs[k].func)
        i->own_funcs[k].code = code;
    return code;
}

/* ---- instances */

static NativeModule *module_of(const Instance *i)
{
    BaselineConfig config = {
        .memory0 = i->memory0->form,
        .cpu = cpu,
        .metered = i->e.store->metered,
        .n_cache = i->e.store->native_cache,
    };
    return find_module(i->module, &config);
}

bool native_attach(Instance *i, Error *err)
{
    NativeModule *n = module_of(i);
    if (!n)
        return error_set(err, ERR_MEMORY, ERROR_NO_OFFSET,
                         "no memory for machine code");
    i->helpers = native_helpers;
    i->code_table = n->table;
    for (uint32_t k = 0; k < n->n; k++)
        if (i->own_funcs[k].func)
            i->own_funcs[k].code = n->table[k];
    native_watch_faults();
    return true;
}

void native_attach_host(FuncRef *f)
{
    if (!native_available(NULL))
        return;
    f->code = stub_exit(&f->type->func);
    f->context = &host_context;
}

bool native_compile_all(Instance *i, Error *err)
{
    NativeModule *n = module_of(i);
    ErrorCode code = n ? ERR_OK : ERR_MEMORY;
    os_mutex_lock(&lock);
    for (uint32_t k = 0; n && k < n->n && code == ERR_OK; k++)
        if (!n->codes[k])
            code = compile(n, k);
    os_mutex_unlock(&lock);
    return code == ERR_OK
           || error_set(err, code, ERROR_NO_OFFSET, "%s", error_text(code));
}
