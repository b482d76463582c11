/* round_trip.c - every module comes back from its text.
 *
 *     round_trip FILE...        .wasm, or .wast for all modules in it
 *
 * For each module B0, printed flat, folded and without names: B1 =
 * parse(print(B0)) decodes to the same module, with every custom section
 * equal and in place; parse(print(B1)) is B1, byte for byte; and B1 is B0 or
 * shorter, so that B0 was not in canonical encoding.  Says how many came back
 * byte for byte, and ends with "N passed, N failed".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/parse.h"
#include "text/print.h"
#include "text/script.h"

typedef struct {
    unsigned passed, failed, same;
} Tally;

static void complain(const char *name, const char *what)
{
    fprintf(stderr, "%s: %s\n", name, what);
}

/* The sections that hold something, custom ones too, in order. */
static uint32_t next_section(const Module *m, uint32_t i)
{
    while (i < m->n_sections && m->sections[i].id && m->sections[i].len == 1
           && m->bytes[m->sections[i].start] == 0 && m->sections[i].id != 8
           && m->sections[i].id != 12)
        i++;
    return i;
}

static bool same_sections(const Module *a, const Module *b)
{
    uint32_t i = next_section(a, 0), k = next_section(b, 0);
    while (i < a->n_sections && k < b->n_sections) {
        if (a->sections[i].id != b->sections[k].id)
            return false;
        i = next_section(a, i + 1);
        k = next_section(b, k + 1);
    }
    return i == a->n_sections && k == b->n_sections;
}

static bool same_customs(const Module *a, const Module *b)
{
    if (a->n_customs != b->n_customs)
        return false;
    for (uint32_t i = 0; i < a->n_customs; i++) {
        const CustomSection *x = &a->customs[i], *y = &b->customs[i];
        if (x->len != y->len || x->name.len != y->name.len
            || memcmp(x->name.bytes, y->name.bytes, x->name.len)
            || memcmp(a->bytes + x->start, b->bytes + y->start, x->len))
            return false;
    }
    return true;
}

static bool same_functions(const Module *a, const Module *b)
{
    for (uint32_t i = 0; i < a->n_funcs; i++)
        if (a->func_type_index[i] != b->func_type_index[i])
            return false;
    for (uint32_t i = 0; i < a->n_funcs - a->n_imported_funcs; i++) {
        const Func *f = &a->funcs[i], *g = &b->funcs[i];
        if (f->n_locals != g->n_locals || f->local_slots != g->local_slots
            || f->max_height != g->max_height || f->flags != g->flags
            || f->n_branches != g->n_branches || f->n_handlers != g->n_handlers)
            return false;
    }
    return true;
}

static bool same_segments(const Module *a, const Module *b)
{
    for (uint32_t i = 0; i < a->n_datas; i++) {
        const DataSegment *x = &a->datas[i], *y = &b->datas[i];
        if (x->mode != y->mode || x->memory != y->memory || x->len != y->len
            || memcmp(a->bytes + x->start, b->bytes + y->start, x->len))
            return false;
    }
    for (uint32_t i = 0; i < a->n_elems; i++) {
        const ElemSegment *x = &a->elems[i], *y = &b->elems[i];
        if (x->mode != y->mode || x->table != y->table || x->type != y->type
            || x->count != y->count || !x->funcs != !y->funcs)
            return false;
    }
    return true;
}

static bool same_module(const Module *a, const Module *b)
{
    if (a->n_types != b->n_types || a->n_groups != b->n_groups
        || a->n_imports != b->n_imports || a->n_exports != b->n_exports
        || a->n_funcs != b->n_funcs || a->n_tables != b->n_tables
        || a->n_memories != b->n_memories || a->n_globals != b->n_globals
        || a->n_tags != b->n_tags || a->n_elems != b->n_elems
        || a->n_datas != b->n_datas || a->has_start != b->has_start
        || a->start != b->start || a->has_data_count != b->has_data_count
        || a->n_imported_funcs != b->n_imported_funcs)
        return false;
    for (uint32_t i = 0; i < a->n_types; i++)
        if (a->types[i] != b->types[i])
            return false;
    return same_functions(a, b) && same_segments(a, b) && same_sections(a, b);
}

static bool parse_printed(const char *name, const Module *m, PrintOptions o,
                          TextModule *t)
{
    Writer text = {0}, message = {0};
    Error err = {0};
    bool ok = print_module(m, o, &text);
    if (!ok)
        complain(name, "does not print");
    else if (!text_parse((const char *)text.data, text.len, m->features, t,
                         &err)) {
        text_show_error(name, (const char *)text.data, text.len, &err,
                        &message);
        fprintf(stderr, "%.*s", (int)message.len, (const char *)message.data);
        ok = false;
    }
    t->text = NULL;
    writer_free(&text);
    writer_free(&message);
    return ok;
}

static bool compare(const char *name, const Module *m, const Module *m1,
                    PrintOptions o)
{
    TextModule t = {0};
    if (!same_module(m, m1) || !same_customs(m, m1)) {
        complain(name, "comes back as another module");
        return false;
    }
    if (m1->len > m->len
        || (m1->len == m->len && memcmp(m1->bytes, m->bytes, m->len))) {
        complain(name, "canonical, but other bytes come back");
        return false;
    }
    if (!parse_printed(name, m1, o, &t))
        return false;
    bool stable = t.len == m1->len && !memcmp(t.bytes, m1->bytes, t.len);
    if (!stable)
        complain(name, "printing and parsing again gives other bytes");
    text_free(&t);
    return stable;
}

static bool check_mode(const char *name, const Module *m, PrintOptions o,
                       bool *same)
{
    TextModule t = {0};
    Error err = {0};
    if (!parse_printed(name, m, o, &t))
        return false;
    Module *m1 = module_new(t.bytes, t.len, m->features, &err);
    text_free(&t);
    if (!m1) {
        complain(name, err.message);
        return false;
    }
    *same = m1->len == m->len && !memcmp(m1->bytes, m->bytes, m->len);
    bool ok = compare(name, m, m1, o);
    module_free(m1);
    return ok;
}

/* What does not decode is not looked at. */
static void check_bytes(const char *name, const uint8_t *bytes, size_t len,
                        Tally *tally)
{
    static const PrintOptions modes[] = {
        {false, true}, {true, true}, {false, false}};
    Error err = {0};
    Module *m = module_new(bytes, len, feature_all(), &err);
    if (!m)
        return;
    bool ok = true, same = false;
    for (int i = 0; i < 3 && ok; i++)
        ok = check_mode(name, m, modes[i], &same);
    tally->same += same;
    ok ? tally->passed++ : tally->failed++;
    module_free(m);
}

static void check_script(const char *name, const char *text, size_t len,
                         Tally *tally)
{
    Script *s = script_new(text, len, feature_all());
    Command c;
    Error err = {0};
    while (script_next(s, &c, &err)) {
        char place[300];
        snprintf(place, sizeof place, "%s:%u", name, c.line);
        if (c.module.bytes)
            check_bytes(place, c.module.bytes, c.module.len, tally);
    }
    if (err.code != ERR_OK) {
        complain(name, err.message);
        tally->failed++;
    }
    script_free(s);
}

static char *read_file(const char *name, size_t *len)
{
    FILE *f = fopen(name, "rb");
    Writer w = {0};
    if (!f)
        return NULL;
    for (int c; (c = getc(f)) != EOF;)
        writer_byte(&w, (uint8_t)c);
    fclose(f);
    return (char *)writer_take(&w, len);
}

int main(int argc, char **argv)
{
    Tally tally = {0};
    for (int i = 1; i < argc; i++) {
        size_t len, n = strlen(argv[i]);
        char *bytes = read_file(argv[i], &len);
        if (!bytes) {
            complain(argv[i], "cannot be read");
            tally.failed++;
        } else if (n > 5 && !strcmp(argv[i] + n - 5, ".wast")) {
            check_script(argv[i], bytes, len, &tally);
        } else {
            check_bytes(argv[i], (const uint8_t *)bytes, len, &tally);
        }
        free(bytes);
    }
    printf("%u of %u modules come back byte for byte, the others shorter\n",
           tally.same, tally.passed + tally.failed);
    printf("%u passed, %u failed\n", tally.passed, tally.failed);
    return tally.failed != 0;
}
