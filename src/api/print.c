/* Modules as text for people, at the public border. */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/writer.h"
#include "text/print.h"
#include "wasm/dylink.h"
#include "wasm/encode.h"

char *api_take_text(Writer *w, size_t *len)
{
    size_t n;
    writer_byte(w, 0);
    char *text = (char *)writer_take(w, &n);
    if (len)
        *len = n - 1;
    return text;
}

char *chi_module_print(const chi_module *m, unsigned flags, size_t *len)
{
    Writer w = {0};
    PrintOptions o = {.fold = flags & CHI_PRINT_FOLD,
                      .names = !(flags & CHI_PRINT_NO_NAMES)};
    print_module(module_of(m), o, &w);
    return api_take_text(&w, len);
}

char *chi_module_interface(const chi_module *m, size_t *len)
{
    Writer w = {0};
    print_interface(module_of(m), &w);
    return api_take_text(&w, len);
}

/* A function type's numbers are the caller's; the printer wants a record. */
static void print_functype(const Module *m, const chi_functype *t, Writer *w)
{
    FuncType f = {t->n_params, t->n_results, t->param_slots, t->result_slots,
                  t->types};
    print_func_type(m, &f, w);
}

static void print_externtype(const Module *m, const chi_externtype *t,
                             Writer *w)
{
    Limits limits = {t->min, t->max, t->is64, t->shared};
    switch (t->kind) {
    case CHI_FUNC:
        writer_text(w, "(func");
        print_functype(m, &t->func, w);
        break;
    case CHI_TAG:
        writer_text(w, "(tag");
        print_functype(m, &t->func, w);
        break;
    case CHI_TABLE:
        writer_text(w, "(table");
        print_limits(&limits, w);
        writer_text(w, " ");
        print_type(m, t->type, w);
        break;
    case CHI_MEM: {
        MemoryType memory = {limits, (uint8_t)__builtin_ctz(t->page_size)};
        writer_text(w, "(memory");
        print_memory_type(&memory, w);
        break;
    }
    case CHI_GLOBAL:
        writer_text(w, t->mutable_ ? "(global (mut " : "(global ");
        print_type(m, t->type, w);
        if (t->mutable_)
            writer_text(w, ")");
        break;
    }
    writer_text(w, ")");
}

int chi_externtype_print(const chi_externtype *t, const chi_module *m,
                         char *out, size_t size)
{
    Writer w = {0};
    print_externtype(module_of(m), t, &w);
    size_t len;
    char *text = api_take_text(&w, &len);
    int n = snprintf(out, size, "%s", text);
    free(text);
    return n;
}

uint8_t *chi_module_strip(const chi_module *m, bool keep_names, size_t *len)
{
    Writer w = {0};
    encode_stripped(module_of(m), keep_names, &w);
    return writer_take(&w, len);
}

/* ---- dumps */

static const char *const section_names[] = {
    "custom", "type",  "import", "function", "table", "memory",    "global",
    "export", "start", "elem",   "code",     "data",  "datacount", "tag"};

static void section_title(const Module *m, const SectionInfo *s, Writer *w)
{
    writer_text(w, s->id < sizeof section_names / sizeof *section_names
                       ? section_names[s->id]
                       : "unknown");
    for (uint32_t k = 0; s->id == 0 && k < m->n_customs; k++)
        if (m->customs[k].offset == s->offset) {
            writer_text(w, " ");
            print_text(m->customs[k].name.bytes, m->customs[k].name.len, w);
        }
}

static void dump_dylink_names(const char *what, const Name *names, uint32_t n,
                              Writer *w)
{
    for (uint32_t k = 0; k < n; k++) {
        writer_text(w, what);
        print_text(names[k].bytes, names[k].len, w);
        writer_text(w, "\n");
    }
}

static void dump_dylink_symbols(const char *what, const DylinkSymbol *symbols,
                                uint32_t n, Writer *w)
{
    static const char *const flags[] = {
        "weak",     "local",         "hidden",   "",    "undefined",
        "exported", "explicit name", "no strip", "TLS", "absolute"};
    enum { FLAGS = sizeof flags / sizeof *flags };
    for (uint32_t k = 0; k < n; k++) {
        const DylinkSymbol *s = &symbols[k];
        writer_text(w, what);
        if (s->module.len) {
            print_text(s->module.bytes, s->module.len, w);
            writer_text(w, " ");
        }
        print_text(s->name.bytes, s->name.len, w);
        for (unsigned j = 0; j < FLAGS; j++)
            if (s->flags >> j & 1 && *flags[j])
                writer_printf(w, " %s", flags[j]);
        if (s->flags & 8 || s->flags >> FLAGS)
            writer_printf(w, " 0x%x", s->flags);
        writer_text(w, "\n");
    }
}

#define INDENT "                     "

static void dump_dylink(const Dylink *d, Writer *w)
{
    if (d->has_memory)
        writer_printf(w,
                      INDENT "memory %u bytes at a multiple of 2^%u, "
                             "table %u elements at a multiple of 2^%u\n",
                      d->memory_bytes, d->memory_align_log2, d->table_elements,
                      d->table_align_log2);
    dump_dylink_names(INDENT "needs ", d->needed, d->n_needed, w);
    dump_dylink_names(INDENT "looks in ", d->paths, d->n_paths, w);
    dump_dylink_symbols(INDENT "import ", d->imports, d->n_imports, w);
    dump_dylink_symbols(INDENT "export ", d->exports, d->n_exports, w);
    if (d->remark.code != ERR_OK)
        writer_printf(w, INDENT "remark: at 0x%llx: %s\n",
                      (unsigned long long)d->remark.offset, d->remark.message);
}

static void dump_sections(const Module *m, Writer *w)
{
    Arena arena = {0};
    Dylink d;
    bool has_dylink = dylink_read(m, &arena, &d);
    writer_text(w, "  offset     bytes  section\n");
    for (uint32_t k = 0; k < m->n_sections; k++) {
        const SectionInfo *s = &m->sections[k];
        writer_printf(w, "0x%06x %9u  ", s->start, s->len);
        section_title(m, s, w);
        writer_text(w, "\n");
        if (has_dylink && s->offset == d.section)
            dump_dylink(&d, w);
    }
    arena_free(&arena);
}

/* Rows of 16 bytes from `start` to `end`. */
static void dump_rows(const Module *m, uint32_t start, uint32_t end, Writer *w)
{
    for (uint32_t at = start; at < end; at += 16) {
        uint32_t n = end - at < 16 ? end - at : 16;
        writer_printf(w, "%06x ", at);
        for (uint32_t k = 0; k < 16; k++)
            if (k < n)
                writer_printf(w, " %02x", m->bytes[at + k]);
            else
                writer_text(w, "   ");
        writer_text(w, "  ");
        for (uint32_t k = 0; k < n; k++) {
            uint8_t c = m->bytes[at + k];
            writer_byte(w, c >= 0x20 && c < 0x7f ? c : '.');
        }
        writer_text(w, "\n");
    }
}

static void dump_bytes(const Module *m, Writer *w)
{
    writer_text(w, "; magic and version\n");
    dump_rows(m, 0, 8, w);
    for (uint32_t k = 0; k < m->n_sections; k++) {
        const SectionInfo *s = &m->sections[k];
        writer_text(w, "; section ");
        section_title(m, s, w);
        writer_printf(w, ", %u bytes\n", s->len);
        dump_rows(m, s->offset, s->start, w);
        dump_rows(m, s->start, s->start + s->len, w);
    }
}

void api_show_function(const Module *m, const Func *f, Writer *w)
{
    char buf[16];
    Name name = names_of_function(m, f->index, buf);
    writer_printf(w, "func %u ", f->index);
    print_text(name.bytes, name.len, w);
    print_func_type(m, &f->type->func, w);
}

void api_show_place(const Module *m, ApiPlace *place, uint32_t at, Writer *w)
{
    Source *s = &place->source;
    if (at < s->end)
        return;
    bool known = dwarf_source(m, at, s);
    if (known && (s->line != place->line || strcmp(s->file, place->file))) {
        writer_printf(w, "        ; %s:%u\n", s->file, s->line);
        memcpy(place->file, s->file, sizeof s->file);
    }
    place->line = known ? s->line : 0;
}

static void dump_function(const Module *m, const Func *f, Printer *p, Writer *w)
{
    ApiPlace place = {0};
    Error err = {0};
    Reader r = {m->bytes, m->bytes + f->code, m->bytes + f->end, &err};
    writer_text(w, "\n");
    api_show_function(m, f, w);
    writer_printf(w, "  ; %u bytes\n", f->end - f->start);
    while (r.p < r.end) {
        enum { SHOWN = 8 };
        const uint8_t *at = r.p;
        Writer text = {0};
        api_show_place(m, &place, (uint32_t)(at - m->bytes), w);
        /* The printer appends to w; measure what it read first. */
        size_t mark = w->len;
        if (print_instruction(p, &r) == OP_COUNT)
            break;
        writer_bytes(&text, w->data + mark, w->len - mark);
        w->len = mark;
        writer_printf(w, " %06x ", (unsigned)(at - m->bytes));
        size_t n = (size_t)(r.p - at);
        for (size_t k = 0; k < SHOWN; k++)
            if (k < n)
                writer_printf(w, " %02x", at[k]);
            else
                writer_text(w, "   ");
        writer_text(w, n > SHOWN ? "+ " : "  ");
        writer_bytes(w, text.data, text.len);
        writer_text(w, "\n");
        writer_free(&text);
    }
}

static void dump_code(const Module *m, Writer *w)
{
    Printer *p = print_new(m, (PrintOptions){.names = true}, w);
    for (uint32_t k = 0; k < m->n_funcs - m->n_imported_funcs; k++)
        dump_function(m, &m->funcs[k], p, w);
    print_free(p);
}

static int larger_first(const void *a, const void *b)
{
    const Func *f = *(const Func *const *)a, *g = *(const Func *const *)b;
    uint32_t x = f->end - f->start, y = g->end - g->start;
    return x != y ? (x < y) - (x > y) : (f > g) - (f < g);
}

static void dump_sizes(const Module *m, Writer *w)
{
    enum { LARGEST = 20 };
    writer_text(w, "   bytes  share  section\n");
    for (uint32_t k = 0; k < m->n_sections; k++) {
        const SectionInfo *s = &m->sections[k];
        uint32_t size = s->start + s->len - s->offset;
        writer_printf(w, "%8u %5.1f%%  ", size, 100.0 * size / m->len);
        section_title(m, s, w);
        writer_text(w, "\n");
    }
    uint32_t n = m->n_funcs - m->n_imported_funcs;
    const Func **order = malloc((n + 1) * sizeof *order);
    if (!order)
        return;
    for (uint32_t k = 0; k < n; k++)
        order[k] = &m->funcs[k];
    qsort(order, n, sizeof *order, larger_first);
    writer_printf(w, "\n   bytes  share  function (%u in all)\n", n);
    for (uint32_t k = 0; k < n && k < LARGEST; k++) {
        uint32_t size = order[k]->end - order[k]->start;
        writer_printf(w, "%8u %5.1f%%  ", size, 100.0 * size / m->len);
        api_show_function(m, order[k], w);
        writer_text(w, "\n");
    }
    free(order);
}

char *chi_module_dump(const chi_module *m, unsigned what, size_t *len)
{
    Writer w = {0};
    const Module *module = module_of(m);
    if (what & CHI_DUMP_SECTIONS)
        dump_sections(module, &w);
    if (what & CHI_DUMP_SIZES)
        dump_sizes(module, &w);
    if (what & CHI_DUMP_BYTES)
        dump_bytes(module, &w);
    if (what & CHI_DUMP_CODE)
        dump_code(module, &w);
    return api_take_text(&w, len);
}
