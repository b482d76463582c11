#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color;
static bool features_given;
static chi_features features;

bool cli_option(int argc, char **argv, int *i, const char **name,
                const char **value)
{
    static char buffer[64];
    if (*i >= argc || argv[*i][0] != '-' || !argv[*i][1])
        return false;
    const char *arg = argv[(*i)++];
    if (!strcmp(arg, "--"))
        return false;
    const char *equals = strchr(arg, '=');
    size_t n = equals ? (size_t)(equals - arg) : strlen(arg);
    if (n >= sizeof buffer)
        n = sizeof buffer - 1;
    memcpy(buffer, arg, n);
    buffer[n] = 0;
    *name = buffer;
    *value = equals ? equals + 1 : NULL;
    return true;
}

const char *cli_value(int argc, char **argv, int *i, const char *value)
{
    if (value)
        return value;
    return *i < argc ? argv[(*i)++] : NULL;
}

int cli_usage(const char *command, const char *format, ...)
{
    fprintf(stderr, "chiasm %s: ", command);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry: chiasm help %s\n", command);
    return EXIT_USAGE;
}

static bool set_color(const char *value)
{
    static const char *const names[] = {"auto", "always", "never"};
    for (int k = 0; k < 3; k++)
        if (value && !strcmp(value, names[k])) {
            color = k;
            return true;
        }
    return false;
}

/* "1.0", "2.0", "3.0", "all", or names with commas between. */
static bool set_features(const char *value)
{
    if (!value)
        return false;
    features_given = true;
    features = 0;
    if (!strcmp(value, "all"))
        features = chi_features_all();
    else if (value[0] >= '1' && value[0] <= '3' && !strcmp(value + 1, ".0"))
        features = chi_features_edition((unsigned)(value[0] - '0'));
    if (features)
        return true;
    while (*value) {
        size_t n = strcspn(value, ",");
        unsigned k = 0;
        const char *name;
        while ((name = chi_feature_name(k))
               && (strlen(name) != n || memcmp(name, value, n)))
            k++;
        if (!name)
            return false;
        features |= (chi_features)1 << k;
        value += n + (value[n] == ',');
    }
    return true;
}

bool cli_common(int argc, char **argv, int *i, const char *name,
                const char *value, int *status)
{
    *status = EXIT_DONE;
    if (!strcmp(name, "--color")) {
        if (!set_color(cli_value(argc, argv, i, value)))
            *status = cli_usage(argv[0], "--color is auto, always or never");
        return true;
    }
    if (!strcmp(name, "--features")) {
        if (!set_features(cli_value(argc, argv, i, value)))
            *status = cli_usage(argv[0], "--features: all, 1.0, 2.0, 3.0, or "
                                         "names with commas between");
        return true;
    }
    return false;
}

bool cli_color(void)
{
    return color == COLOR_ALWAYS
           || (color == COLOR_AUTO && isatty(STDERR_FILENO));
}

/* The threads proposal stands on an older core. */
static chi_features features_of_folder(const char *file)
{
    if (!strstr(file, "proposals/threads"))
        return chi_features_all();
    chi_features f = chi_features_edition(1);
    const char *name;
    for (unsigned k = 0; (name = chi_feature_name(k)); k++)
        if (!strcmp(name, "threads") || !strcmp(name, "bulk-memory")
            || !strcmp(name, "sign-extension") || !strcmp(name, "multi-value")
            || !strcmp(name, "saturating-float-to-int"))
            f |= (chi_features)1 << k;
    return f;
}

chi_features cli_features(const char *file)
{
    return features_given ? features : features_of_folder(file);
}

static bool read_all(FILE *f, CliFile *out)
{
    size_t capacity = 1 << 16;
    out->data = malloc(capacity);
    while (out->data) {
        out->len += fread(out->data + out->len, 1, capacity - out->len - 1, f);
        if (out->len < capacity - 1)
            break;
        capacity *= 2;
        char *larger = realloc(out->data, capacity);
        if (!larger)
            free(out->data);
        out->data = larger;
    }
    if (out->data)
        out->data[out->len] = 0;
    return out->data && !ferror(f);
}

bool cli_read(const char *path, CliFile *out)
{
    bool is_stdin = !strcmp(path, "-");
    *out = (CliFile){.name = is_stdin ? "<stdin>" : path};
    FILE *f = is_stdin ? stdin : fopen(path, "rb");
    bool ok = f && read_all(f, out);
    if (!ok)
        fprintf(stderr, "%s: error: %s\n", out->name, strerror(errno));
    if (f && !is_stdin)
        fclose(f);
    if (!ok)
        cli_free(out);
    return ok;
}

void cli_free(CliFile *f)
{
    free(f->data);
    f->data = NULL;
}

bool cli_write(const char *path, const void *data, size_t len)
{
    bool is_stdout = !strcmp(path, "-");
    FILE *f = is_stdout ? stdout : fopen(path, "wb");
    bool ok = f && fwrite(data, 1, len, f) == len;
    if (f)
        ok = (is_stdout ? fflush(f) : fclose(f)) == 0 && ok;
    if (!ok)
        fprintf(stderr, "%s: error: %s\n", path, strerror(errno));
    return ok;
}

bool cli_is_binary(const CliFile *f)
{
    return f->len >= 4 && !memcmp(f->data, "\0asm", 4);
}

void cli_error(const CliFile *f, const chi_error *err)
{
    bool binary = cli_is_binary(f);
    char *text = chi_error_show(err, f->name, binary ? NULL : f->data,
                                binary ? 0 : f->len, cli_color());
    fputs(text, stderr);
    chi_text_free(text);
}

chi_module *cli_load(const CliFile *f)
{
    chi_error err = {0};
    chi_features which = cli_features(f->name);
    bool compiled = f->len >= 8 && !memcmp(f->data, "\0chiasm", 8);
    chi_module *m =
        compiled ? chi_module_open(f->name, which, &err)
        : cli_is_binary(f)
            ? chi_module_new((const uint8_t *)f->data, f->len, which, &err)
            : chi_module_from_text(f->data, f->len, which, &err);
    if (!m)
        cli_error(f, &err);
    return m;
}

void cli_warn_of_tier(void)
{
    const char *why;
    if (chi_native_missed(&why))
        fprintf(stderr,
                "chiasm: warning: interpreting, for no machine code can run "
                "here: %s\n",
                why);
}

chi_store *cli_store(const chi_limits *limits, const chi_config *config)
{
    chi_error err = {0};
    chi_store *s = chi_store_new(limits);
    if (s && !chi_store_configure(s, config, &err)) {
        fprintf(stderr, "chiasm: %s\n", err.message);
        chi_store_free(s);
        return NULL;
    }
    if (config->tier == CHI_TIER_AUTO)
        cli_warn_of_tier();
    return s;
}
