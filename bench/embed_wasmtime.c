/* As embed.c, with Wasmtime; the first argument is cranelift or winch.  Linked
 * with the library of its Python package, which has no headers: what is used of
 * wasmtime's C API is declared here. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "embed.h"

typedef struct wasm_config_t wasm_config_t;
typedef struct wasm_engine_t wasm_engine_t;
typedef struct wasm_trap_t wasm_trap_t;
typedef struct wasmtime_error wasmtime_error_t;
typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_store wasmtime_store_t;
typedef struct wasmtime_context wasmtime_context_t;
typedef struct wasmtime_linker wasmtime_linker_t;
typedef struct wasmtime_instance_pre wasmtime_instance_pre_t;
typedef struct {
    uint64_t store_id;
    size_t private;
} wasmtime_instance_t;
typedef struct {
    uint64_t store_id;
    void *private;
} wasmtime_func_t;
typedef struct {
    uint8_t kind;
    union {
        wasmtime_func_t func;
        uint64_t room[4];
    } of;
} wasmtime_extern_t;
typedef union {
    int32_t i32;
    uint64_t room[2];
} wasmtime_val_raw_t;

wasm_config_t *wasm_config_new(void);
void wasmtime_config_strategy_set(wasm_config_t *, uint8_t);
void wasmtime_config_parallel_compilation_set(wasm_config_t *, bool);
void wasmtime_config_wasm_gc_set(wasm_config_t *, bool);
void wasmtime_config_wasm_function_references_set(wasm_config_t *, bool);
wasm_engine_t *wasm_engine_new_with_config(wasm_config_t *);
wasmtime_error_t *wasmtime_module_new(wasm_engine_t *, const uint8_t *, size_t,
                                      wasmtime_module_t **);
void wasmtime_module_delete(wasmtime_module_t *);
wasmtime_store_t *wasmtime_store_new(wasm_engine_t *, void *, void (*)(void *));
wasmtime_context_t *wasmtime_store_context(wasmtime_store_t *);
void wasmtime_store_delete(wasmtime_store_t *);
wasmtime_linker_t *wasmtime_linker_new(wasm_engine_t *);
wasmtime_error_t *wasmtime_linker_define_unknown_imports_as_traps(
    wasmtime_linker_t *, wasmtime_module_t *);
wasmtime_error_t *wasmtime_linker_instantiate_pre(const wasmtime_linker_t *,
                                                  const wasmtime_module_t *,
                                                  wasmtime_instance_pre_t **);
wasmtime_error_t *wasmtime_instance_pre_instantiate(
    const wasmtime_instance_pre_t *, wasmtime_context_t *,
    wasmtime_instance_t *, wasm_trap_t **);
bool wasmtime_instance_export_nth(wasmtime_context_t *,
                                  const wasmtime_instance_t *, size_t, char **,
                                  size_t *, wasmtime_extern_t *);
wasmtime_error_t *wasmtime_func_call_unchecked(wasmtime_context_t *,
                                               const wasmtime_func_t *,
                                               wasmtime_val_raw_t *, size_t,
                                               wasm_trap_t **);

static void check(const wasmtime_error_t *error, const char *what)
{
    if (error)
        fail(what);
}

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static wasm_engine_t *make_engine(const char *strategy)
{
    enum { CRANELIFT = 1, WINCH = 2 };
    bool winch = !strcmp(strategy, "winch");
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_strategy_set(config, winch ? WINCH : CRANELIFT);
    wasmtime_config_parallel_compilation_set(config, false);
    if (!winch) {
        wasmtime_config_wasm_function_references_set(config, true);
        wasmtime_config_wasm_gc_set(config, true);
    }
    wasm_engine_t *engine = wasm_engine_new_with_config(config);
    if (!engine)
        fail("no engine");
    return engine;
}

static wasmtime_module_t *load(wasm_engine_t *engine, const uint8_t *data,
                               size_t len)
{
    wasmtime_module_t *m;
    check(wasmtime_module_new(engine, data, len, &m), "the module is refused");
    return m;
}

static wasmtime_instance_pre_t *link_imports(wasm_engine_t *engine,
                                             wasmtime_module_t *m)
{
    wasmtime_instance_pre_t *pre;
    wasmtime_linker_t *linker = wasmtime_linker_new(engine);
    check(wasmtime_linker_define_unknown_imports_as_traps(linker, m),
          "imports cannot be made");
    check(wasmtime_linker_instantiate_pre(linker, m, &pre),
          "imports do not fit");
    return pre;
}

static int start(wasm_engine_t *engine, const char *path)
{
    size_t len, name_len;
    char *name;
    uint8_t *data = read_file(path, &len);
    wasmtime_instance_pre_t *pre =
        link_imports(engine, load(engine, data, len));
    wasmtime_context_t *context =
        wasmtime_store_context(wasmtime_store_new(engine, NULL, NULL));
    wasmtime_instance_t i;
    wasmtime_extern_t add;
    wasm_trap_t *trap = NULL;
    wasmtime_val_raw_t values[2] = {{.i32 = 40}, {.i32 = 2}};
    check(wasmtime_instance_pre_instantiate(pre, context, &i, &trap),
          "no instance");
    if (!wasmtime_instance_export_nth(context, &i, 0, &name, &name_len, &add))
        fail("no export");
    check(wasmtime_func_call_unchecked(context, &add.of.func, values, 2, &trap),
          "the call failed");
    printf("%d\n", values[0].i32);
    return 0;
}

static int compile(wasm_engine_t *engine, const char *path, unsigned calls,
                   uint64_t budget_ns)
{
    size_t len;
    uint8_t *data = read_file(path, &len);
    uint64_t end = now(CLOCK_MONOTONIC) + budget_ns, best = UINT64_MAX;
    unsigned done = 0;
    while (done == 0 || (done < calls && now(CLOCK_MONOTONIC) < end)) {
        uint64_t began = now(CLOCK_PROCESS_CPUTIME_ID);
        wasmtime_module_t *m = load(engine, data, len);
        uint64_t ns = now(CLOCK_PROCESS_CPUTIME_ID) - began;
        wasmtime_module_delete(m);
        best = ns < best ? ns : best;
        done++;
    }
    printf("{\"ns\": %llu, \"calls\": %u}\n", (unsigned long long)best, done);
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int instantiate(wasm_engine_t *engine, const char *path, unsigned calls,
                       uint64_t budget_ns)
{
    size_t len;
    uint8_t *data = read_file(path, &len);
    wasmtime_instance_pre_t *pre =
        link_imports(engine, load(engine, data, len));
    uint64_t *all = calloc(calls, sizeof *all);
    uint64_t end = now(CLOCK_MONOTONIC) + budget_ns;
    unsigned done = 0;
    while (done == 0 || (done < calls && now(CLOCK_MONOTONIC) < end)) {
        wasmtime_instance_t i;
        wasm_trap_t *trap = NULL;
        uint64_t began = now(CLOCK_MONOTONIC);
        wasmtime_store_t *s = wasmtime_store_new(engine, NULL, NULL);
        check(wasmtime_instance_pre_instantiate(pre, wasmtime_store_context(s),
                                                &i, &trap),
              "no instance");
        all[done++] = now(CLOCK_MONOTONIC) - began;
        wasmtime_store_delete(s);
    }
    qsort(all, done, sizeof *all, compare);
    printf("{\"ns\": %llu, \"median\": %llu, \"calls\": %u}\n",
           (unsigned long long)all[0], (unsigned long long)all[done / 2], done);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        fail("see the heads of embed.c and embed_wasmtime.c");
    wasm_engine_t *engine = make_engine(argv[1]);
    if (!strcmp(argv[2], "start"))
        return start(engine, argv[3]);
    if (argc != 6)
        fail("see the head of embed.c");
    unsigned calls = (unsigned)atoi(argv[4]);
    uint64_t budget_ns = (uint64_t)atoi(argv[5]) * 1000000;
    if (!strcmp(argv[2], "compile"))
        return compile(engine, argv[3], calls, budget_ns);
    return instantiate(engine, argv[3], calls, budget_ns);
}
