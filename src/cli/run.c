/* run: a WASI program with its arguments, or an exported function with
 * arguments by its type. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>

#include "cli/cli.h"

enum { PRELOADS_MAX = 16, GRANTS_MAX = 64 };

typedef struct {
    const char *invoke;
    chi_limits limits;
    chi_config config;
    struct {
        const char *name, *file;
    } preload[PRELOADS_MAX];
    int n_preload;
    chi_wasi_dir dirs[GRANTS_MAX];
    size_t n_dirs;
    const char *env[GRANTS_MAX];
    size_t n_env;
    uint64_t timeout_ns; /* 0: none */
    const char *profile; /* a file to write it to, or NULL */
} RunOptions;

static bool read_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 0);
    *out = n;
    return *text && *text != '-' && !*end && !errno;
}

static bool read_seconds(const char *text, uint64_t *out_ns)
{
    char *end;
    double seconds = strtod(text, &end);
    if (!*text || *end || !(seconds > 0 && seconds < 1e9))
        return false;
    *out_ns = (uint64_t)(seconds * 1e9) + 1;
    return true;
}

/* What is wrong, or NULL. */
static const char *read_tier(const char *v, chi_tier *out)
{
    static const char *const tiers[] = {"auto", "interp", "baseline"};
    for (int k = 0; k < 3; k++)
        if (!strcmp(v, tiers[k]))
            return (*out = (chi_tier)k), NULL;
    return strcmp(v, "optimize") ? "is auto, interp or baseline"
                                 : "optimize is not built yet";
}

static bool add_preload(RunOptions *o, char *v)
{
    char *equals = strchr(v, '=');
    if (!equals || o->n_preload == PRELOADS_MAX)
        return false;
    *equals = 0;
    o->preload[o->n_preload].name = v;
    o->preload[o->n_preload++].file = equals + 1;
    return true;
}

/* HOST::GUEST, or HOST alone: the guest knows it by the same path. */
static bool add_dir(RunOptions *o, char *v)
{
    if (!*v || o->n_dirs == GRANTS_MAX)
        return false;
    char *colons = strstr(v, "::");
    if (colons)
        *colons = 0;
    o->dirs[o->n_dirs++] =
        (chi_wasi_dir){.host = v, .guest = colons ? colons + 2 : v};
    return true;
}

static bool add_env(RunOptions *o, const char *v)
{
    if (!strchr(v, '=') || o->n_env == GRANTS_MAX)
        return false;
    o->env[o->n_env++] = v;
    return true;
}

/* An option with a value: what is wrong with it, or NULL; unknown: "". */
static const char *take_option(RunOptions *o, const char *name, char *v)
{
    if (!strcmp(name, "--invoke"))
        return (o->invoke = v), NULL;
    if (!strcmp(name, "--fuel"))
        return read_number(v, &o->limits.fuel) ? NULL : "wants a number";
    if (!strcmp(name, "--max-memory"))
        return read_number(v, &o->limits.memory) ? NULL : "wants a number";
    if (!strcmp(name, "--timeout"))
        return read_seconds(v, &o->timeout_ns) ? NULL : "wants seconds";
    if (!strcmp(name, "--tier"))
        return read_tier(v, &o->config.tier);
    if (!strcmp(name, "--preload"))
        return add_preload(o, v) ? NULL : "wants NAME=FILE, 16 at most";
    if (!strcmp(name, "--dir"))
        return add_dir(o, v) ? NULL : "wants HOST[::GUEST], 64 at most";
    if (!strcmp(name, "--env"))
        return add_env(o, v) ? NULL : "wants NAME=VALUE, 64 at most";
    return "";
}

static int read_options(int argc, char **argv, int *i, RunOptions *o)
{
    const char *name, *value;
    int status = EXIT_DONE;
    *i = 1;
    while (cli_option(argc, argv, i, &name, &value)) {
        if (cli_common(argc, argv, i, name, value, &status)) {
            if (status)
                return status;
            continue;
        }
        if (!strcmp(name, "--profile")) { /* its value only after "=" */
            o->profile = value ? value : "profile.json";
            continue;
        }
        char *v = (char *)(uintptr_t)cli_value(argc, argv, i, value);
        if (!v)
            return cli_usage(argv[0], "%s wants a value", name);
        const char *wrong = take_option(o, name, v);
        if (wrong)
            return *wrong ? cli_usage(argv[0], "%s %s", name, wrong)
                          : cli_usage(argv[0], "unknown option %s", name);
    }
    return *i < argc ? EXIT_DONE : cli_usage(argv[0], "a file is wanted");
}

/* Reads an argument as its type wants; slots is one slot, two of a v128. */
static bool read_argument(const char *text, chi_type type, uint64_t *slots)
{
    char *end = NULL;
    errno = 0;
    slots[0] = 0;
    if (type == CHI_I32 || type == CHI_I64) {
        bool negative = text[0] == '-';
        unsigned long long n = strtoull(text + negative, &end, 0);
        if (type == CHI_I32 && n > (negative ? 0x80000000u : 0xffffffffu))
            return false;
        slots[0] = negative ? 0 - n : n;
        if (type == CHI_I32)
            slots[0] = (uint32_t)slots[0];
    } else if (type == CHI_F32) {
        float x = strtof(text, &end);
        memcpy(slots, &x, sizeof x);
    } else if (type == CHI_F64) {
        double x = strtod(text, &end);
        memcpy(slots, &x, sizeof x);
    } else {
        return false;
    }
    return *text && !*end && errno != EINVAL;
}

static void print_result(chi_type type, const uint64_t *slots)
{
    float f;
    double d;
    memcpy(&f, slots, sizeof f);
    memcpy(&d, slots, sizeof d);
    switch (type) {
    case CHI_I32: printf("%d\n", (int)(int32_t)slots[0]); break;
    case CHI_I64: printf("%lld\n", (long long)slots[0]); break;
    case CHI_F32: printf("%.9g\n", (double)f); break;
    case CHI_F64: printf("%.17g\n", d); break;
    case CHI_V128:
        printf("0x%016llx%016llx\n", (unsigned long long)slots[1],
               (unsigned long long)slots[0]);
        break;
    default: puts(slots[0] ? "(ref)" : "null");
    }
}

static void print_failure(const CliFile *f, chi_store *s, const chi_error *err)
{
    fprintf(stderr, "%s: %s: %s\n", f->name,
            chi_code_is_trap(err->code) ? "trap" : "error", err->message);
    for (uint32_t k = 0; k < chi_store_n_frames(s); k++) {
        chi_frame frame;
        chi_store_frame(s, k, &frame);
        chi_funcinfo info;
        chi_module_function(frame.module, frame.function, &info);
        if (info.name)
            fprintf(stderr, "  at 0x%x in $%.*s", frame.offset,
                    (int)info.name_len, info.name);
        else
            fprintf(stderr, "  at 0x%x in function %u", frame.offset,
                    frame.function);
        chi_source source;
        if (chi_module_source(frame.module, frame.offset, &source))
            fprintf(stderr, ", %s:%u", source.file, source.line);
        fputs("\n", stderr);
    }
}

static int status_of(chi_code code)
{
    return chi_code_is_trap(code) || code == CHI_EXCEPTION ? EXIT_TRAP
                                                           : EXIT_INPUT;
}

/* One run: a store, what is instantiated in it, the process that it is. */
typedef struct {
    const RunOptions *options;
    chi_store *store;
    struct {
        const char *name;
        chi_instance *instance;
    } known[PRELOADS_MAX];
    int n;
    chi_wasi *wasi;
    uint64_t deadline_ns;
    bool timed_out;
} Run;

/* The status after a call that failed, unless it is the program's own. */
static int fail(const Run *r, const CliFile *f, const chi_error *err)
{
    uint32_t status;
    if (err->code == CHI_HOST && chi_wasi_exited(r->wasi, &status))
        return (int)(status & 0xff);
    if (r->timed_out) {
        fprintf(stderr, "%s: error: timed out\n", f->name);
        return EXIT_TIMEOUT;
    }
    print_failure(f, r->store, err);
    return status_of(err->code);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static chi_code interrupt(void *env, chi_store *s)
{
    (void)s;
    Run *r = env;
    r->timed_out = now_ns() >= r->deadline_ns;
    return r->timed_out ? CHI_INTERRUPTED : CHI_OK;
}

static void limit_time(Run *r, uint64_t timeout_ns)
{
    enum { TICK_NS = 5000000 };
    r->deadline_ns = now_ns() + timeout_ns;
    chi_store_set_host(r->store, r, interrupt, NULL);
    chi_store_set_tick(r->store, TICK_NS);
}

/* ---- linking */

static bool find_export(chi_instance *in, const char *name, size_t len,
                        chi_extern *out)
{
    const chi_module *m = chi_instance_module(in);
    for (uint32_t k = 0; k < chi_module_n_exports(m); k++) {
        chi_export e;
        chi_module_export(m, k, &e);
        if (e.name_len == len && !memcmp(e.name, name, len)) {
            *out = chi_instance_export(in, k);
            return true;
        }
    }
    return false;
}

static bool find_func(chi_instance *in, const char *name, chi_extern *out)
{
    return find_export(in, name, strlen(name), out) && out->kind == CHI_FUNC;
}

static bool find_preloaded(const Run *r, const chi_import *i, chi_extern *out)
{
    for (int j = 0; j < r->n; j++)
        if (strlen(r->known[j].name) == i->module_len
            && !memcmp(r->known[j].name, i->module, i->module_len)
            && find_export(r->known[j].instance, i->name, i->name_len, out))
            return true;
    return false;
}

/* Resolves import k; says what is wrong.  *owned: to be given back. */
static bool resolve_one(const Run *r, const CliFile *f, chi_module *m,
                        uint32_t k, chi_extern *out, bool *owned)
{
    chi_import i;
    char type[200];
    chi_error err = {0};
    chi_module_import(m, k, &i);
    *owned = false;
    if (find_preloaded(r, &i, out))
        return true;
    if (chi_wasi_is_module(i.module, i.module_len)) {
        out->kind = CHI_FUNC;
        out->func = chi_wasi_import(r->wasi, r->store, m, k, &err);
        *owned = out->func;
        if (!*owned)
            fprintf(stderr, "%s: error: %s\n", f->name, err.message);
        return *owned;
    }
    chi_externtype_print(&i.type, m, type, sizeof type);
    fprintf(stderr, "%s: error: import \"%.*s\" \"%.*s\" %s is missing\n",
            f->name, (int)i.module_len, i.module, (int)i.name_len, i.name,
            type);
    return false;
}

/* Instantiates with imports from what is preloaded, and WASI's. */
static chi_instance *link_module(Run *r, const CliFile *f, chi_module *m,
                                 int *status)
{
    uint32_t n = chi_module_n_imports(m);
    chi_extern *imports = calloc((size_t)n + 1, sizeof *imports);
    bool *owned = calloc((size_t)n + 1, sizeof *owned);
    bool ok = imports && owned;
    chi_instance *in = NULL;
    chi_error err = {0};
    for (uint32_t k = 0; imports && owned && k < n; k++)
        ok &= resolve_one(r, f, m, k, &imports[k], &owned[k]);
    *status = EXIT_INPUT;
    if (ok && !(in = chi_instance_new(r->store, m, imports, &err)))
        *status = fail(r, f, &err);
    for (uint32_t k = 0; imports && owned && k < n; k++)
        if (owned[k])
            chi_extern_free(imports[k]);
    free(imports);
    free(owned);
    return in;
}

/* With the call of _initialize that a library of WASI's expects. */
static chi_instance *instantiate(Run *r, const CliFile *f, int *status)
{
    chi_extern x;
    chi_error err = {0};
    *status = EXIT_INPUT;
    chi_module *m = cli_load(f);
    chi_instance *in = m ? link_module(r, f, m, status) : NULL;
    chi_module_free(m);
    if (in && find_func(in, "_initialize", &x)
        && chi_func_type(x.func).n_params == 0
        && chi_call(x.func, (uint64_t[]){0, 0}, &err) != CHI_OK) {
        *status = fail(r, f, &err);
        chi_instance_free(in);
        in = NULL;
    }
    return in;
}

/* ---- running */

static int read_arguments(const char *name, const chi_functype *t, char **args,
                          uint64_t *slots)
{
    for (uint32_t k = 0; k < t->n_params; k++) {
        if (!read_argument(args[k], t->types[k], slots)) {
            char type[100];
            chi_type_print(t->types[k], NULL, type, sizeof type);
            return cli_usage("run", "argument %u of %s is an %s: \"%s\"", k + 1,
                             name, type, args[k]);
        }
        slots += t->types[k] == CHI_V128 ? 2 : 1;
    }
    return EXIT_DONE;
}

static void print_results(const chi_functype *t, const uint64_t *slots)
{
    for (uint32_t k = 0; k < t->n_results; k++) {
        chi_type type = t->types[t->n_params + k];
        print_result(type, slots);
        slots += type == CHI_V128 ? 2 : 1;
    }
}

static int invoke(Run *r, const CliFile *f, chi_instance *in, const char *name,
                  char **args, int n_args)
{
    chi_extern x;
    chi_error err = {0};
    if (!find_func(in, name, &x)) {
        fprintf(stderr, "%s: error: no exported function \"%s\"\n", f->name,
                name);
        return EXIT_INPUT;
    }
    chi_functype t = chi_func_type(x.func);
    if ((uint32_t)n_args != t.n_params)
        return cli_usage("run", "%s takes %u arguments, %d are given", name,
                         t.n_params, n_args);
    uint32_t n =
        t.param_slots > t.result_slots ? t.param_slots : t.result_slots;
    uint64_t *slots = calloc((size_t)n + 2, sizeof *slots);
    int status = slots ? read_arguments(name, &t, args, slots) : EXIT_INPUT;
    if (!status && chi_call(x.func, slots, &err) != CHI_OK)
        status = fail(r, f, &err);
    else if (!status)
        print_results(&t, slots);
    free(slots);
    return status;
}

/* A program; a library does what it does when it is initialised. */
static int run_program(Run *r, const CliFile *f, chi_instance *in)
{
    chi_extern x;
    if (!find_func(in, "_start", &x) && find_func(in, "_initialize", &x))
        return EXIT_DONE;
    return invoke(r, f, in, "_start", NULL, 0);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* args: the file's name, then the program's own, unless --invoke takes them. */
static chi_wasi *new_wasi(const RunOptions *o, char **args, int n_args)
{
    chi_error err = {0};
    const char **all = calloc((size_t)n_args + 1, sizeof *all);
    if (!all)
        return NULL;
    for (int k = 0; k < n_args; k++)
        all[k] = args[k];
    all[0] = base_name(args[0]);
    chi_wasi_options w = {.args = all,
                          .n_args = o->invoke ? 1 : (size_t)n_args,
                          .env = o->env,
                          .n_env = o->n_env,
                          .dirs = o->dirs,
                          .n_dirs = o->n_dirs};
    for (int k = 0; k < 3; k++)
        w.streams[k] = (chi_wasi_stream){
            .kind = fcntl(k, F_GETFD) < 0 ? CHI_WASI_NULL : CHI_WASI_FD,
            .fd = k};
    chi_wasi *wasi = chi_wasi_new(&w, &err);
    if (!wasi)
        fprintf(stderr, "chiasm run: %s\n", err.message);
    free(all);
    return wasi;
}

static int preload(Run *r)
{
    for (int k = 0; k < r->options->n_preload; k++) {
        CliFile f = {0};
        int status = EXIT_INPUT;
        if (!cli_read(r->options->preload[k].file, &f))
            return status;
        r->known[r->n].name = r->options->preload[k].name;
        r->known[r->n].instance = instantiate(r, &f, &status);
        cli_free(&f);
        if (!r->known[r->n].instance)
            return status;
        r->n++;
    }
    return EXIT_DONE;
}

static int run_file(Run *r, char **args, int n_args)
{
    CliFile f = {0};
    const char *name = r->options->invoke;
    int status = preload(r);
    if (status)
        return status;
    if (!cli_read(args[0], &f))
        return EXIT_INPUT;
    chi_instance *in = instantiate(r, &f, &status);
    if (in)
        status = name ? invoke(r, &f, in, name, args + 1, n_args - 1)
                      : run_program(r, &f, in);
    chi_instance_free(in);
    cli_free(&f);
    return status;
}

/* As run_file, and writes where the time went. */
static int run_profiled(Run *r, char **args, int n_args)
{
    enum { PERIOD_NS = 1000000 };
    chi_error err = {0};
    uint32_t looks;
    size_t len;
    if (chi_store_tier(r->store) != CHI_TIER_BASELINE
        || !chi_profile_start(PERIOD_NS, &err)) {
        fprintf(stderr, "chiasm run: --profile: %s\n",
                err.code ? err.message : "the interpreter is not profiled");
        return EXIT_USAGE;
    }
    int status = run_file(r, args, n_args);
    char *text = chi_profile_stop(&looks, &len);
    const char *path = r->options->profile;
    if (text && cli_write(path, text, len))
        fprintf(stderr, "chiasm run: %u samples in %s, for speedscope.app\n",
                looks, path);
    chi_text_free(text);
    return status;
}

int command_run(int argc, char **argv)
{
    RunOptions o = {.limits = chi_limits_default()};
    int i, status = read_options(argc, argv, &i, &o);
    if (status)
        return status;
    Run r = {.options = &o, .wasi = new_wasi(&o, argv + i, argc - i)};
    if (!r.wasi)
        return EXIT_USAGE;
    r.store = cli_store(&o.limits, &o.config);
    if (r.store && o.timeout_ns)
        limit_time(&r, o.timeout_ns);
    status = !r.store    ? EXIT_USAGE
             : o.profile ? run_profiled(&r, argv + i, argc - i)
                         : run_file(&r, argv + i, argc - i);
    while (r.n > 0)
        chi_instance_free(r.known[--r.n].instance);
    chi_store_free(r.store);
    chi_wasi_free(r.wasi);
    return status;
}
