/* Compiled code of modules, and instances that use it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native/announce.h"
#include "native/cache.h"
#include "runtime/memory.h"
#include "runtime/store.h"

/* The code of one module for one configuration; one lock for all compiling. */
struct NativeModule {
    NativeModule *next; /* of the same module */
    const Module *module;
    BaselineConfig config;
    void **table;
    NativeCode **codes;      /* by function; NULL: not compiled */
    NativeCode lazy;         /* the stubs, eight bytes each */
    Image image;             /* or nothing; then: */
    NativeCode whole;        /* for its text */
    NativeCode *image_codes; /* by function */
    uint32_t n;
    uint32_t n_instances; /* there have been */
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

/* Less than the machine has, for tests: CHIASM_CPU, CPU_* in hexadecimal. */
static uint32_t processor(void)
{
    const char *mask = getenv("CHIASM_CPU");
    return cpu_detect() & (mask ? (uint32_t)strtoul(mask, NULL, 16) : CPU_ALL);
}

static void before_fork(void) { os_mutex_lock(&lock); }
static void after_fork(void) { os_mutex_unlock(&lock); }

static bool set_up(void)
{
    announce_prepare();
    if (!code_memory_available(&reason))
        return false;
    os_mutex_init(&lock);
    os_on_fork(OS_FORK_COMPILER, before_fork, after_fork, after_fork);
    compiler = baseline_new();
    cpu = processor();
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

static bool is_of_image(const NativeModule *n, const NativeCode *code)
{
    return n->image_codes && code >= n->image_codes
           && code < n->image_codes + n->n;
}

/* A function that is left to the interpreter has a stub with a record of its
 * own. */
static void free_code(NativeCode *code)
{
    const NativeCode *stub =
        code->start ? code_find((uintptr_t)code->start) : NULL;
    code_free(code->start);
    if (stub && stub != code)
        free((void *)(uintptr_t)stub);
    free((void *)(uintptr_t)code->positions);
    free((void *)(uintptr_t)code->landings);
    free(code);
}

static void free_one(NativeModule *n)
{
    for (uint32_t k = 0; n->codes && k < n->n; k++) {
        if (n->codes[k])
            native_withdraw(n->codes[k]);
        if (n->codes[k] && !is_of_image(n, n->codes[k]))
            free_code(n->codes[k]);
    }
    image_free(&n->image);
    code_free(n->lazy.start);
    free(n->image_codes);
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
    n->image.fd = -1;
    n->n = m->n_funcs - m->n_imported_funcs;
    n->table = calloc(n->n + 1, sizeof *n->table);
    n->codes = calloc(n->n + 1, sizeof(NativeCode *));
    if (n->table && n->codes && (n->n == 0 || make_lazy_stubs(n)))
        return n;
    free_one(n);
    return NULL;
}

const Module *native_module(const NativeModule *n) { return n->module; }
const BaselineConfig *native_config(const NativeModule *n)
{
    return &n->config;
}
const NativeCode *native_code(const NativeModule *n, uint32_t k)
{
    return n->codes[k];
}

const NativeCode *native_find(uintptr_t pc)
{
    const NativeCode *code = code_find(pc);
    if (!code || !code->is_image)
        return code;
    const NativeModule *n = code->module;
    uint32_t low = 0, high = n->n; /* the last that starts at or before pc */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if ((uintptr_t)n->image_codes[middle].start <= pc)
            low = middle;
        else
            high = middle;
    }
    code = &n->image_codes[low];
    return pc - (uintptr_t)code->start < code->size ? code : NULL;
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
    if (code->size)
        native_announce(code, NULL);
    n->codes[k] = code;
    __atomic_store_n(&n->table[k], (void *)(uintptr_t)code->start,
                     __ATOMIC_RELEASE);
}

/* A mistake of the compiler: harmless, as the code is not run; but tests, and
 * builds with assertions, are to stop at it. */
static void report_refusal(const Func *f, const BaselineCode *code)
{
    const char *wanted = getenv("CHIASM_VERIFY");
    bool stops = wanted && !strcmp(wanted, "abort");
    assert((stops = true));
    if (!stops)
        return;
    fprintf(stderr,
            "chiasm: the access verifier refuses function %u at offset 0x%x: "
            "%s\n",
            f->index, code->refused_at, code->refused);
    abort();
}

/* What the compiler refuses, a function whose code or frame would be out of
 * all proportion; and what there is no room for. */
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

/* Puts the code where it can run. */
static bool place(const BaselineCode *code, NativeCode *kept)
{
    CodeSpan span;
    if (!kept->positions || !kept->landings
        || !code_alloc(code->size, kept, &span))
        return false;
    memcpy(span.write, code->bytes, code->size);
    kept->start = span.exec;
    return code_seal(span);
}

static NativeCode *keep(NativeModule *n, const Func *f,
                        const BaselineCode *code)
{
    NativeCode *kept = calloc(1, sizeof *kept);
    if (!kept)
        return NULL;
    *kept = (NativeCode){
        .size = code->size,
        .func = f,
        .module = n,
        .positions =
            copy(code->positions, code->n_positions * sizeof(Position)),
        .n_positions = code->n_positions,
        .landings = copy(code->landings, f->n_handlers * sizeof(uint32_t)),
        .operands = code->operands,
        .frame = code->frame,
    };
    if (place(code, kept))
        return kept;
    free_code(kept);
    return NULL;
}

/* Under the lock. */
static ErrorCode compile(NativeModule *n, uint32_t k)
{
    const Func *f = &n->module->funcs[k];
    BaselineCode code;
    bool done = baseline_compile(compiler, n->module, f, &n->config, &code);
    if (!done && code.refused)
        report_refusal(f, &code);
    NativeCode *kept = done ? keep(n, f, &code) : NULL;
    baseline_trim(compiler);
    if (!kept)
        return leave_to_interpreter(n, k);
    publish(n, k, kept);
    return ERR_OK;
}

const void *native_compile_lazily(Instance *i, uintptr_t behind_stub,
                                  ErrorCode *failure)
{
    const NativeCode *lazy = native_find(behind_stub - 1);
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

/* ---- images */

static bool compile_all(NativeModule *n)
{
    ErrorCode code = ERR_OK;
    for (uint32_t k = 0; k < n->n && code == ERR_OK; k++)
        if (!n->codes[k])
            code = compile(n, k);
    return code == ERR_OK;
}

/* What the image left to the interpreter stays lazy; in order of addresses all
 * the same. */
static bool adopt(NativeModule *n)
{
    const uint8_t *last = n->image.text;
    n->image_codes = calloc(n->n, sizeof *n->image_codes);
    if (!n->image_codes)
        return false;
    for (uint32_t k = 0; k < n->n; k++) {
        const ImageFunc *f = &n->image.funcs[k];
        NativeCode *code = &n->image_codes[k];
        *code = (NativeCode){
            .start = f->size ? n->image.text + f->text_at : last,
            .size = f->size,
            .func = &n->module->funcs[k],
            .module = n,
            .positions = n->image.positions + f->positions_at,
            .n_positions = f->n_positions,
            .landings = n->image.landings + f->landings_at,
            .operands = f->operands,
            .frame = f->frame,
        };
        last = code->start;
        if (f->size)
            publish(n, k, code);
    }
    return true;
}

static void use_image(NativeModule *n, Module *m)
{
    if (n->n == 0 || announce_forbids_images())
        return;
    n->whole.is_image = true;
    n->whole.module = n;
    bool loaded =
        m->image_path
        && image_load(m->image_path, m, &n->config, &n->whole, &n->image);
    if (!loaded && !cache_takes(m))
        return;
    loaded = loaded || cache_load(m, &n->config, &n->whole, &n->image);
    if (loaded && !adopt(n))
        image_free(&n->image);
    else if (!loaded && compile_all(n))
        cache_store(n);
}

static NativeModule *find_module(Module *m, const BaselineConfig *config)
{
    os_mutex_lock(&lock);
    NativeModule *n = m->native;
    while (n && !same_config(&n->config, config))
        n = n->next;
    if (!n && (n = make_module(m, config))) {
        use_image(n, m);
        n->next = m->native;
        m->native = n;
    }
    os_mutex_unlock(&lock);
    return n;
}

/* ---- instances */

static NativeModule *module_of(const Instance *i)
{
    BaselineConfig config = {
        .memory0 = i->e.store->checks_all ? MEMORY_EXPLICIT : i->memory0->form,
        .cpu = cpu,
        .metered = i->e.store->metered,
        .n_cache = i->e.store->native_cache,
    };
    return find_module(i->module, &config);
}

/* From the second instance on, if no file has it. */
static void make_data(NativeModule *n)
{
    uint64_t size;
    uint8_t *data = image_data(n->module, &size);
    int fd = data ? os_file_make(data, size) : -1;
    free(data);
    if (fd < 0)
        return;
    n->image.fd = fd;
    n->image.data_at = 0;
    n->image.data_size = size;
}

bool native_image(Instance *i)
{
    NativeModule *n = module_of(i);
    os_mutex_lock(&lock);
    if (n->n_instances++ == 1 && n->image.fd < 0)
        make_data(n);
    os_mutex_unlock(&lock);
    return n->image.data_size
           && memory_map_file(i->memory0, n->image.fd, n->image.data_at,
                              n->image.data_size);
}

bool native_attach(Instance *i, Error *err)
{
    NativeModule *n = module_of(i);
    if (!n)
        return error_set(err, ERR_MEMORY, ERROR_NO_OFFSET,
                         "no memory for machine code");
    i->helpers = native_helpers;
    bool again = i->code_table != NULL;
    i->code_table = n->table;
    for (uint32_t k = 0; again && k < n->n; k++)
        if (i->own_funcs[k].func)
            i->own_funcs[k].code = n->table[k];
    if (!i->e.store->checks_all)
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

bool native_save(Module *m, const char *path, Error *err)
{
    const char *why;
    if (!native_available(&why))
        return error_set(err, ERR_UNSUPPORTED, ERROR_NO_OFFSET,
                         "no machine code can be made here: %s", why);
    bool guarded =
        m->n_memories == 0
        || (!m->memories[0].limits.is64 && m->memories[0].page_log2 == 16);
    BaselineConfig config = {
        .memory0 = guarded && m->n_memories ? MEMORY_WIDE : MEMORY_EXPLICIT,
        .cpu = cpu,
    };
    NativeModule *n = find_module(m, &config);
    os_mutex_lock(&lock);
    bool done = n && compile_all(n) && image_write(n, path);
    os_mutex_unlock(&lock);
    return done
           || error_set(err, ERR_ARGUMENT, ERROR_NO_OFFSET,
                        "%s cannot be written", path);
}
