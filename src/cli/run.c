/* run: calls an exported function, with arguments by its type. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

typedef struct {
    const char *invoke;
    chi_limits limits;
    struct {
        const char *name, *file;
    } preload[16];
    int n_preload;
} RunOptions;

static bool read_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 0);
    *out = n;
    return *text && *text != '-' && !*end && !errno;
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
        const char *v = cli_value(argc, argv, i, value);
        if (!v)
            return cli_usage(argv[0], "%s wants a value", name);
        if (!strcmp(name, "--invoke")) {
            o->invoke = v;
        } else if (!strcmp(name, "--fuel")) {
            if (!read_number(v, &o->limits.fuel))
                return cli_usage(argv[0], "--fuel: not a number: %s", v);
        } else if (!strcmp(name, "--max-memory")) {
            if (!read_number(v, &o->limits.memory))
                return cli_usage(argv[0], "--max-memory: not a number: %s", v);
        } else if (!strcmp(name, "--tier")) {
            if (strcmp(v, "auto") && strcmp(v, "interp"))
                return cli_usage(argv[0], "--tier %s: not built yet", v);
        } else if (!strcmp(name, "--preload")) {
            char *equals = strchr(v, '=');
            if (!equals || o->n_preload == 16)
                return cli_usage(argv[0], "--preload wants NAME=FILE");
            *equals = 0;
            o->preload[o->n_preload].name = v;
            o->preload[o->n_preload++].file = equals + 1;
        } else if (!strcmp(name, "--dir") || !strcmp(name, "--env")
                   || !strcmp(name, "--timeout")
                   || !strcmp(name, "--profile")) {
            return cli_usage(argv[0], "%s: not built yet", name);
        } else {
            return cli_usage(argv[0], "unknown option %s", name);
        }
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
            fprintf(stderr, "  at 0x%x in $%.*s\n", frame.offset,
                    (int)info.name_len, info.name);
        else
            fprintf(stderr, "  at 0x%x in function %u\n", frame.offset,
                    frame.function);
    }
}

static int status_of(chi_code code)
{
    return chi_code_is_trap(code) || code == CHI_EXCEPTION ? EXIT_TRAP
                                                           : EXIT_INPUT;
}

typedef struct {
    chi_store *store;
    struct {
        const char *name;
        chi_instance *instance;
    } known[16];
    int n;
} Linker;

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

/* Resolves the imports from what is preloaded; says all that is missing. */
static bool resolve(const Linker *l, const CliFile *f, chi_module *m,
                    chi_extern *imports)
{
    bool ok = true;
    for (uint32_t k = 0; k < chi_module_n_imports(m); k++) {
        chi_import i;
        chi_module_import(m, k, &i);
        bool found = false;
        for (int j = 0; j < l->n && !found; j++)
            found = strlen(l->known[j].name) == i.module_len
                    && !memcmp(l->known[j].name, i.module, i.module_len)
                    && find_export(l->known[j].instance, i.name, i.name_len,
                                   &imports[k]);
        if (found)
            continue;
        char type[200];
        chi_externtype_print(&i.type, m, type, sizeof type);
        fprintf(stderr, "%s: error: import \"%.*s\" \"%.*s\" %s is missing\n",
                f->name, (int)i.module_len, i.module, (int)i.name_len, i.name,
                type);
        ok = false;
    }
    return ok;
}

static chi_instance *instantiate(Linker *l, const CliFile *f, int *status)
{
    *status = EXIT_INPUT;
    chi_module *m = cli_load(f);
    if (!m)
        return NULL;
    chi_extern *imports =
        calloc((size_t)chi_module_n_imports(m) + 1, sizeof *imports);
    chi_instance *i = NULL;
    chi_error err = {0};
    if (imports && resolve(l, f, m, imports)) {
        i = chi_instance_new(l->store, m, imports, &err);
        if (!i) {
            print_failure(f, l->store, &err);
            *status = status_of(err.code);
        }
    }
    free(imports);
    chi_module_free(m);
    return i;
}

static int invoke(const CliFile *f, chi_instance *in, const char *name,
                  char **args, int n_args)
{
    chi_extern x;
    if (!find_export(in, name, strlen(name), &x) || x.kind != CHI_FUNC) {
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
    uint64_t *slots = calloc((size_t)n + 2, sizeof *slots), *at = slots;
    int status = slots ? EXIT_DONE : EXIT_INPUT;
    for (int k = 0; k < n_args && !status; k++) {
        if (!read_argument(args[k], t.types[k], at)) {
            char type[100];
            chi_type_print(t.types[k], NULL, type, sizeof type);
            status = cli_usage("run", "argument %d of %s is an %s: \"%s\"",
                               k + 1, name, type, args[k]);
        }
        at += t.types[k] == CHI_V128 ? 2 : 1;
    }
    chi_error err = {0};
    if (!status && chi_call(x.func, slots, &err) != CHI_OK) {
        print_failure(f, chi_instance_store(in), &err);
        status = status_of(err.code);
    } else if (!status) {
        at = slots;
        for (uint32_t k = 0; k < t.n_results; k++) {
            print_result(t.types[t.n_params + k], at);
            at += t.types[t.n_params + k] == CHI_V128 ? 2 : 1;
        }
    }
    free(slots);
    return status;
}

int command_run(int argc, char **argv)
{
    RunOptions o = {.limits = chi_limits_default()};
    int i, status = read_options(argc, argv, &i, &o);
    if (status)
        return status;
    Linker l = {.store = chi_store_new(&o.limits)};
    CliFile f = {0};
    chi_instance *in = NULL;
    for (int k = 0; k < o.n_preload && !status; k++) {
        status = EXIT_INPUT;
        if (!cli_read(o.preload[k].file, &f))
            break;
        l.known[l.n].name = o.preload[k].name;
        l.known[l.n].instance = instantiate(&l, &f, &status);
        cli_free(&f);
        if (!l.known[l.n].instance)
            break;
        l.n++;
        status = EXIT_DONE;
    }
    if (!status && !cli_read(argv[i], &f))
        status = EXIT_INPUT;
    if (!status)
        in = instantiate(&l, &f, &status);
    if (in)
        status = invoke(&f, in, o.invoke ? o.invoke : "_start", argv + i + 1,
                        argc - i - 1);
    chi_instance_free(in);
    while (l.n > 0)
        chi_instance_free(l.known[--l.n].instance);
    cli_free(&f);
    chi_store_free(l.store);
    return status;
}
