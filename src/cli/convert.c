/* print, parse, strip, show, objdump, validate: a file in, text or a file
 * out. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

typedef struct {
    const char *out;  /* NULL: stdout */
    const char *func; /* of FLAG_FUNC */
    unsigned flags;
    int status;
} Options;

typedef struct {
    const char *name;
    unsigned flag;
} Flag;
enum { FLAG_NATIVE = 1 << 16, FLAG_FUNC = 1 << 17 }; /* with a value */

/* Reads options; flags must be among `known` (ended by NULL). */
static bool read_options(int argc, char **argv, int *i, const Flag *known,
                         Options *o)
{
    const char *name, *value;
    *i = 1;
    while (cli_option(argc, argv, i, &name, &value)) {
        const Flag *f = known;
        while (f->name && strcmp(f->name, name))
            f++;
        if (f->name) {
            o->flags |= f->flag;
            if (f->flag == FLAG_FUNC
                && !(o->func = cli_value(argc, argv, i, value)))
                o->status = cli_usage(argv[0], "%s wants a value", name);
        } else if (!strcmp(name, "-o") || !strcmp(name, "--output")) {
            o->out = cli_value(argc, argv, i, value);
        } else if (!cli_common(argc, argv, i, name, value, &o->status)) {
            o->status = cli_usage(argv[0], "unknown option %s", name);
        }
        if (o->status)
            return false;
    }
    if (*i >= argc)
        o->status = cli_usage(argv[0], "a file is wanted");
    return *i < argc;
}

/* Loads the one file that remains. */
static chi_module *load_one(int argc, char **argv, int i, CliFile *f,
                            Options *o)
{
    if (i + 1 < argc) {
        o->status = cli_usage(argv[0], "one file is wanted");
        return NULL;
    }
    o->status = EXIT_INPUT;
    if (!cli_read(argv[i], f))
        return NULL;
    chi_module *m = cli_load(f);
    if (m)
        o->status = EXIT_DONE;
    else
        cli_free(f);
    return m;
}

/* Writes text that was allocated, and frees all. */
static int finish(chi_module *m, CliFile *f, const Options *o, void *text,
                  size_t len)
{
    bool ok = cli_write(o->out ? o->out : "-", text, len);
    chi_text_free(text);
    chi_module_free(m);
    cli_free(f);
    return ok ? EXIT_DONE : EXIT_INPUT;
}

int command_print(int argc, char **argv)
{
    static const Flag flags[] = {
        {"--fold", CHI_PRINT_FOLD}, {"--no-names", CHI_PRINT_NO_NAMES}, {0}};
    Options o = {0};
    int i;
    CliFile f;
    chi_module *m = read_options(argc, argv, &i, flags, &o)
                        ? load_one(argc, argv, i, &f, &o)
                        : NULL;
    if (!m)
        return o.status;
    size_t len;
    char *text = chi_module_print(m, o.flags, &len);
    return finish(m, &f, &o, text, len);
}

int command_parse(int argc, char **argv)
{
    static const Flag flags[] = {{"--no-check", 1}, {0}};
    Options o = {0};
    int i;
    CliFile f;
    if (!read_options(argc, argv, &i, flags, &o))
        return o.status;
    if (i + 1 < argc)
        return cli_usage(argv[0], "one file is wanted");
    if (!cli_read(argv[i], &f))
        return EXIT_INPUT;
    /* Checked by default: what does not validate is no module. */
    chi_error err = {0};
    size_t len = 0;
    uint8_t *bytes = NULL;
    if (o.flags) {
        bytes = chi_text_parse(f.data, f.len, cli_features(f.name), &len, &err);
        if (!bytes)
            cli_error(&f, &err);
    } else {
        chi_module *m = cli_load(&f);
        if (m) {
            const uint8_t *b = chi_module_bytes(m, &len);
            bool ok = cli_write(o.out ? o.out : "-", b, len);
            chi_module_free(m);
            cli_free(&f);
            return ok ? EXIT_DONE : EXIT_INPUT;
        }
    }
    bool ok = bytes && cli_write(o.out ? o.out : "-", bytes, len);
    chi_text_free(bytes);
    cli_free(&f);
    return ok ? EXIT_DONE : EXIT_INPUT;
}

int command_strip(int argc, char **argv)
{
    static const Flag flags[] = {{"--keep-names", 1}, {0}};
    Options o = {0};
    int i;
    CliFile f;
    chi_module *m = read_options(argc, argv, &i, flags, &o)
                        ? load_one(argc, argv, i, &f, &o)
                        : NULL;
    if (!m)
        return o.status;
    size_t len;
    uint8_t *bytes = chi_module_strip(m, o.flags, &len);
    return finish(m, &f, &o, bytes, len);
}

int command_show(int argc, char **argv)
{
    static const Flag flags[] = {{"--sections", CHI_DUMP_SECTIONS},
                                 {"--sizes", CHI_DUMP_SIZES},
                                 {"--bytes", CHI_DUMP_BYTES},
                                 {0}};
    Options o = {0};
    int i;
    CliFile f;
    chi_module *m = read_options(argc, argv, &i, flags, &o)
                        ? load_one(argc, argv, i, &f, &o)
                        : NULL;
    if (!m)
        return o.status;
    size_t len;
    char *text = o.flags ? chi_module_dump(m, o.flags, &len)
                         : chi_module_interface(m, &len);
    return finish(m, &f, &o, text, len);
}

int command_objdump(int argc, char **argv)
{
    static const Flag flags[] = {
        {"--native", FLAG_NATIVE}, {"--func", FLAG_FUNC}, {0}};
    Options o = {0};
    int i;
    CliFile f;
    if (!read_options(argc, argv, &i, flags, &o))
        return o.status;
    if (o.flags == FLAG_FUNC)
        return cli_usage(argv[0], "--func goes with --native");
    chi_module *m = load_one(argc, argv, i, &f, &o);
    if (!m)
        return o.status;
    if (o.flags) {
        int status = cli_objdump_native(&f, m, o.func, o.out);
        chi_module_free(m);
        cli_free(&f);
        return status;
    }
    size_t len;
    char *text = chi_module_dump(m, CHI_DUMP_SECTIONS | CHI_DUMP_CODE, &len);
    return finish(m, &f, &o, text, len);
}

typedef struct {
    const CliFile *file;
    unsigned count;
} Check;

enum { ERRORS_SHOWN = 100 };

static void report(void *env, const chi_error *err)
{
    Check *c = env;
    if (c->count++ < ERRORS_SHOWN)
        cli_error(c->file, err);
}

int command_validate(int argc, char **argv)
{
    static const Flag flags[] = {{0}};
    Options o = {0};
    int i;
    if (!read_options(argc, argv, &i, flags, &o))
        return o.status;
    int status = EXIT_DONE;
    for (; i < argc; i++) {
        CliFile f;
        if (!cli_read(argv[i], &f)) {
            status = EXIT_INPUT;
            continue;
        }
        Check c = {&f, 0};
        chi_features which = cli_features(f.name);
        if (cli_is_binary(&f))
            chi_module_check((const uint8_t *)f.data, f.len, which, report, &c);
        else
            chi_text_check(f.data, f.len, which, report, &c);
        if (c.count > ERRORS_SHOWN)
            fprintf(stderr, "%s: error: and %u more\n", f.name,
                    c.count - ERRORS_SHOWN);
        if (c.count)
            status = EXIT_INPUT;
        cli_free(&f);
    }
    return status;
}

int command_compile(int argc, char **argv)
{
    static const Flag flags[] = {{0}};
    Options o = {0};
    int i;
    CliFile f;
    if (!read_options(argc, argv, &i, flags, &o))
        return o.status;
    if (!o.out)
        return cli_usage(argv[0], "-o OUT is wanted");
    chi_module *m = load_one(argc, argv, i, &f, &o);
    if (!m)
        return o.status;
    chi_error err;
    bool done = chi_module_compile(m, o.out, &err);
    if (!done)
        cli_error(&f, &err);
    chi_module_free(m);
    cli_free(&f);
    return done ? EXIT_DONE : EXIT_INPUT;
}
