/* A small embedder of Chiasm, for compile.py and start.py.
 *
 *   start FILE                         add(40, 2) of a module, for start.py to
 *                                      time from outside
 *   compile FILE CALLS BUDGET_MS       decode, validate, compile every function
 *                                      (CPU time)
 *   instantiate FILE CALLS BUDGET_MS   a store and an instance (wall time)
 *
 * The last two print a JSON object: the best of the calls, in ns. */
#include <chiasm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "embed.h"

#include "baseline/baseline.h"
#include "runtime/code_memory.h"
#include "runtime/memory.h"
#include "target/x64/cpu.h"

static chi_module *load(const uint8_t *data, size_t len)
{
    chi_error err;
    chi_module *m = chi_module_new(data, len, chi_features_all(), &err);
    if (!m)
        fail(err.message);
    return m;
}

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- start */

static int start(const char *path)
{
    size_t len;
    chi_error err;
    uint8_t *data = read_file(path, &len);
    chi_module *m = load(data, len);
    chi_store *s = chi_store_new(NULL);
    chi_instance *i = chi_instance_new(s, m, NULL, &err);
    if (!i)
        fail(err.message);
    uint64_t slots[2] = {40, 2};
    if (chi_call(chi_instance_export(i, 0).func, slots, &err) != CHI_OK)
        fail(err.message);
    printf("%u\n", (unsigned)slots[0]);
    return 0;
}

/* ---- compile */

static uint64_t code_bytes;

static void compile_once(const uint8_t *data, size_t len)
{
    static Compiler *compiler;
    BaselineConfig config = {.memory0 = MEMORY_WIDE, .cpu = cpu_detect()};
    chi_module *module = load(data, len);
    const Module *m = (const Module *)module;
    uint32_t n = m->n_funcs - m->n_imported_funcs;
    const uint8_t **placed = calloc((size_t)n + 1, sizeof *placed);
    code_bytes = 0;
    if (!compiler)
        compiler = baseline_new();
    for (uint32_t k = 0; k < n; k++) {
        BaselineCode code;
        CodeSpan span;
        if (!baseline_compile(compiler, m, &m->funcs[k], &config, &code))
            continue; /* it is interpreted */
        if (!code_alloc(code.size, m, &span))
            fail("no room for code");
        memcpy(span.write, code.bytes, code.size);
        code_seal(span);
        placed[k] = span.exec;
        code_bytes += code.size;
    }
    for (uint32_t k = 0; k < n; k++)
        code_free(placed[k]);
    free(placed);
    chi_module_free(module);
}

static int compile(const char *path, unsigned calls, uint64_t budget_ns)
{
    size_t len;
    uint8_t *data = read_file(path, &len);
    uint64_t end = now(CLOCK_MONOTONIC) + budget_ns, best = UINT64_MAX;
    unsigned done = 0;
    chi_native_available(NULL);
    while (done == 0 || (done < calls && now(CLOCK_MONOTONIC) < end)) {
        uint64_t began = now(CLOCK_PROCESS_CPUTIME_ID);
        compile_once(data, len);
        uint64_t ns = now(CLOCK_PROCESS_CPUTIME_ID) - began;
        best = ns < best ? ns : best;
        done++;
    }
    printf("{\"ns\": %llu, \"calls\": %u, \"code\": %llu}\n",
           (unsigned long long)best, done, (unsigned long long)code_bytes);
    return 0;
}

/* ---- instantiate */

static chi_code refuse(void *host, chi_store *s, uint64_t *slots)
{
    (void)host;
    (void)s;
    (void)slots;
    return CHI_HOST;
}

/* Something of the type that is wanted. */
static chi_extern imitate(chi_store *s, const chi_module *m, uint32_t k)
{
    static const uint64_t zero[2];
    chi_import i;
    chi_module_import(m, k, &i);
    const chi_externtype *t = &i.type;
    chi_extern x = {.kind = t->kind};
    switch (t->kind) {
    case CHI_FUNC:
        x.func = chi_func_for_import(s, m, k, refuse, NULL, NULL);
        break;
    case CHI_TABLE: x.table = chi_table_new(s, t, 0, NULL); break;
    case CHI_MEM: x.memory = chi_memory_new(s, t, NULL); break;
    case CHI_GLOBAL:
        x.global = chi_global_new(s, t->type, t->mutable_, zero, NULL);
        break;
    case CHI_TAG:
        x.tag = chi_tag_new(s, t->func.types, t->func.n_params, NULL);
        break;
    }
    return x;
}

static uint64_t instantiate_once(chi_module *m, chi_extern *imports)
{
    chi_error err;
    uint32_t n = chi_module_n_imports(m);
    uint64_t began = now(CLOCK_MONOTONIC);
    chi_store *s = chi_store_new(NULL);
    for (uint32_t k = 0; k < n; k++)
        imports[k] = imitate(s, m, k);
    chi_instance *i = chi_instance_new(s, m, imports, &err);
    uint64_t ns = now(CLOCK_MONOTONIC) - began;
    if (!i)
        fail(err.message);
    for (uint32_t k = 0; k < n; k++)
        chi_extern_free(imports[k]);
    chi_instance_free(i);
    chi_store_free(s);
    return ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int instantiate(const char *path, unsigned calls, uint64_t budget_ns)
{
    size_t len;
    uint8_t *data = read_file(path, &len);
    chi_module *m = load(data, len);
    chi_extern *imports = calloc(chi_module_n_imports(m) + 1, sizeof *imports);
    uint64_t *all = calloc(calls, sizeof *all);
    uint64_t end = now(CLOCK_MONOTONIC) + budget_ns;
    unsigned done = 0;
    while (done == 0 || (done < calls && now(CLOCK_MONOTONIC) < end))
        all[done++] = instantiate_once(m, imports);
    qsort(all, done, sizeof *all, compare);
    printf("{\"ns\": %llu, \"median\": %llu, \"calls\": %u}\n",
           (unsigned long long)all[0], (unsigned long long)all[done / 2], done);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "start"))
        return start(argv[2]);
    if (argc != 5)
        fail("see the head of embed.c");
    unsigned calls = (unsigned)atoi(argv[3]);
    uint64_t budget_ns = (uint64_t)atoi(argv[4]) * 1000000;
    if (!strcmp(argv[1], "compile"))
        return compile(argv[2], calls, budget_ns);
    return instantiate(argv[2], calls, budget_ns);
}
