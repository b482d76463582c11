/* Machine code for people, at the public border. */
#include <stdlib.h>

#include "api/api.h"
#include "native/listing.h"
#include "text/print.h"

/* ---- the code */

static MemoryForm best_form(const chi_config *c)
{
    static const MemoryForm forms[] = {MEMORY_WIDE, MEMORY_WIDE, MEMORY_DENSE,
                                       MEMORY_EXPLICIT};
    return c->signals == CHI_NO ? MEMORY_EXPLICIT : forms[c->form];
}

static bool take_parts(const Listing *l, chi_native *out)
{
    out->parts = malloc((l->n_marks + 1) * sizeof *out->parts);
    for (uint32_t k = 0; out->parts && k < l->n_marks; k++) {
        Position p = l->marks[k];
        out->parts[k] = (chi_native_part){p.code, p.offset & ~POSITION_DATA,
                                          p.offset & POSITION_DATA};
    }
    out->n_parts = l->n_marks;
    return out->parts;
}

bool chi_module_native(const chi_module *m, uint32_t func, const chi_config *c,
                       chi_native *out, chi_error *err)
{
    static const chi_config usual;
    const Module *module = module_of(m);
    Error e = {0};
    Listing l = {0};
    *out = (chi_native){.func = func};
    if (func < module->n_imported_funcs || func >= module->n_funcs)
        error_set(&e, ERR_ARGUMENT, ERROR_NO_OFFSET,
                  "function %u is not one that the module defines", func);
    else if (listing_make(module, module_func(module, func),
                          best_form(c ? c : &usual), c ? c->registers : 0, &l,
                          &e)
             && !take_parts(&l, out))
        error_set(&e, ERR_MEMORY, ERROR_NO_OFFSET, "out of memory");
    out->bytes = l.bytes;
    out->size = l.size;
    free(l.marks);
    if (e.code == ERR_OK)
        return true;
    chi_native_free(out);
    api_error(err, &e);
    return false;
}

void chi_native_free(chi_native *n)
{
    free(n->bytes);
    free(n->parts);
    *n = (chi_native){0};
}

/* ---- as text */

typedef struct {
    const chi_native *n;
    const chi_native_line *lines, *lines_end; /* those that are left */
    Writer *w;
} Machine;

static void print_row(const Machine *p, uint32_t from, uint32_t to,
                      const char *text)
{
    enum { COLUMNS = 8 };
    writer_printf(p->w, "      %6x ", p->n->base + from);
    for (uint32_t k = from; k < to; k++)
        writer_printf(p->w, " %02x", p->n->bytes[k]);
    for (uint32_t k = to - from; *text && k < COLUMNS; k++)
        writer_text(p->w, "   ");
    writer_printf(p->w, "%s%s\n", *text ? "  " : "", text);
}

/* Bytes that nobody has disassembled. */
static void print_bytes_of(const Machine *p, uint32_t from, uint32_t to,
                           const char *text)
{
    uint32_t row = *text ? 8 : 16;
    while (from < to) {
        uint32_t end = *text ? (from / row + 1) * row : from + row;
        print_row(p, from, end < to ? end : to, text);
        from = end;
    }
}

static void print_machine(Machine *p, uint32_t from, uint32_t to)
{
    while (p->lines < p->lines_end && p->lines->code < from)
        p->lines++;
    while (from < to) {
        if (p->lines == p->lines_end || p->lines->code >= to) {
            print_bytes_of(p, from, to, "");
            return;
        }
        if (p->lines->code > from)
            print_bytes_of(p, from, p->lines->code, "");
        const chi_native_line *line = p->lines++;
        from = to;
        if (p->lines < p->lines_end && p->lines->code < to)
            from = p->lines->code;
        print_row(p, line->code, from, line->text);
    }
}

/* The instructions from one offset to another: what the compiler takes along
 * with one has no part of its own. */
typedef struct {
    const Module *m;
    const Func *f;
    Printer *printer;
    ApiPlace place;
    Writer *w;
} Wat;

static void print_wat(Wat *p, uint32_t from, uint32_t to, bool aside)
{
    Error err = {0};
    const Module *m = p->m;
    Reader r = {m->bytes, m->bytes + from, m->bytes + p->f->end, &err};
    while (reader_left(&r) && reader_offset(&r) < to) {
        uint32_t at = (uint32_t)reader_offset(&r);
        if (!aside)
            api_show_place(m, &p->place, at, p->w);
        writer_printf(p->w, " %06x  ", at);
        print_instruction(p->printer, &r);
        writer_text(p->w, aside ? "  ; out of line\n" : "\n");
    }
}

/* Where the next part begins that is not aside. */
static uint32_t next_offset(const Wat *p, const chi_native *n, uint32_t k)
{
    uint32_t at = n->parts[k].offset;
    for (k++; k < n->n_parts; k++)
        if (!n->parts[k].data && n->parts[k].offset > at)
            return n->parts[k].offset;
    return p->f->end;
}

static void print_parts(Wat *wat, Machine *p)
{
    const chi_native *n = p->n;
    uint32_t shown = 0, last = 0; /* end of what was shown; what was last */
    print_machine(p, 0, n->n_parts ? n->parts[0].code : n->size);
    for (uint32_t k = 0; k < n->n_parts; k++) {
        const chi_native_part *part = &n->parts[k];
        uint32_t end = k + 1 < n->n_parts ? part[1].code : n->size;
        if (part->data) {
            print_bytes_of(p, part->code, end, "(data)");
            continue;
        }
        if (part->offset >= shown) {
            shown = next_offset(wat, n, k);
            print_wat(wat, part->offset, shown, false);
        } else if (end > part->code && part->offset != last) {
            print_wat(wat, part->offset, part->offset + 1, true);
        }
        last = part->offset;
        print_machine(p, part->code, end);
    }
}

char *chi_native_print(const chi_module *m, const chi_native *n,
                       const chi_native_line *lines, uint32_t n_lines,
                       size_t *len)
{
    Writer w = {0};
    const Module *module = module_of(m);
    const Func *f = module_func(module, n->func);
    Machine p = {n, lines, lines + n_lines, &w};
    api_show_function(module, f, &w);
    writer_printf(&w, "  ; %u bytes, %u of machine code\n", f->end - f->start,
                  n->size);
    Printer *printer = print_new(module, (PrintOptions){.names = true}, &w);
    Wat wat = {.m = module, .f = f, .printer = printer, .w = &w};
    print_parts(&wat, &p);
    print_free(printer);
    return api_take_text(&w, len);
}
