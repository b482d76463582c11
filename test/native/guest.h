/* guest.h - modules made from text, for the tests of traps. */
#ifndef CHI_TEST_GUEST_H
#define CHI_TEST_GUEST_H

#include <chiasm.h>
#include <chiasm_tools.h>
#include <stdarg.h>

#include "../c/check.h"

typedef struct {
    chi_store *store;
    chi_instance *instance;
} Guest;

static inline void *checked(void *p, const chi_error *err)
{
    if (!p)
        fprintf(stderr, "%u:%u: %s\n", err->line, err->column, err->message);
    CHECK(p);
    return p;
}

static inline chi_module *guest_module(const char *text)
{
    chi_error err = {0};
    return checked(
        chi_module_from_text(text, strlen(text), chi_features_all(), &err),
        &err);
}

/* Imports: as many as the module has. */
static inline chi_instance *guest_add(chi_store *s, const char *text,
                                      const chi_extern *imports)
{
    chi_error err = {0};
    chi_module *m = guest_module(text);
    chi_instance *i = chi_instance_new(s, m, imports, &err);
    chi_module_free(m);
    return checked(i, &err);
}

static inline Guest guest_new(const char *text, const chi_limits *limits,
                              const chi_extern *imports)
{
    chi_store *s = chi_store_new(limits);
    return (Guest){s, guest_add(s, text, imports)};
}

static inline void guest_free(Guest *g)
{
    chi_instance_free(g->instance);
    chi_store_free(g->store);
}

static inline chi_extern guest_export(chi_instance *i, const char *name)
{
    chi_module *m = chi_instance_module(i);
    for (uint32_t k = 0; k < chi_module_n_exports(m); k++) {
        chi_export e;
        chi_module_export(m, k, &e);
        if (e.name_len == strlen(name) && !memcmp(e.name, name, e.name_len))
            return chi_instance_export(i, k);
    }
    fprintf(stderr, "no export %s\n", name);
    exit(1);
}

static inline chi_func *guest_func(chi_instance *i, const char *name)
{
    return guest_export(i, name).func;
}

/* With one argument; for more, the slots are the caller's. */
static inline chi_code guest_call(chi_func *f, uint64_t argument,
                                  uint64_t *result)
{
    uint64_t slots[4] = {argument};
    chi_code code = chi_call(f, slots, NULL);
    if (result)
        *result = slots[0];
    return code;
}

/* Text that grows. */
typedef struct {
    FILE *file;
} Text;

static inline Text text_new(void)
{
    Text t = {tmpfile()};
    CHECK(t.file);
    return t;
}

__attribute__((format(printf, 2, 3))) static inline void text_add(
    Text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(t->file, format, args);
    va_end(args);
}

/* NUL-terminated; to be freed. */
static inline char *text_take(Text *t)
{
    long len = ftell(t->file);
    char *text = calloc((size_t)len + 1, 1);
    rewind(t->file);
    CHECK(text && fread(text, 1, (size_t)len, t->file) == (size_t)len);
    fclose(t->file);
    return text;
}

static inline bool is_interpreted(void)
{
    chi_store *s = chi_store_new(NULL);
    bool interp = chi_store_tier(s) == CHI_TIER_INTERP;
    chi_store_free(s);
    return interp;
}

#endif
