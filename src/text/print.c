#include "text/print.h"

#include <stdlib.h>

#include "text/lex.h"
#include "text/printer.h"
#include "wasm/walk.h"

/* Text larger than this is of no use to anyone, but a few bytes of hostile
 * binary can ask for it. */
enum { TEXT_LIMIT = 1 << 30, DEEPEST = 24 };

void printer_line(Printer *p)
{
    if (p->one_line) {
        writer_byte(p->out, ' ');
        return;
    }
    if (p->out->len > TEXT_LIMIT)
        error_set(&p->err, ERR_LIMIT, ERROR_NO_OFFSET,
                  "the text exceeds %d bytes", TEXT_LIMIT);
    static const char blanks[2 * DEEPEST + 1] =
        "                                                ";
    writer_byte(p->out, '\n');
    writer_bytes(p->out, blanks,
                 2u * (p->depth < DEEPEST ? p->depth : DEEPEST));
}

void printer_index(Printer *p, NameSpace space, uint32_t index)
{
    const Named *n = print_name_of(p, space, index);
    if (n && n->id.len)
        print_id(n->id, p->out);
    else
        writer_printf(p->out, "%u", index);
}

static bool same_name(Name a, Name b)
{
    return a.len == b.len && (!a.len || memcmp(a.bytes, b.bytes, a.len) == 0);
}

void printer_name_annotation(Printer *p, const Named *n)
{
    if (!n->name.bytes || (n->id.len && same_name(n->name, n->id)))
        return;
    writer_text(p->out, " (@name ");
    print_text(n->name.bytes, n->name.len, p->out);
    writer_byte(p->out, ')');
}

void printer_named(Printer *p, const Named *n)
{
    if (n->id.len) {
        writer_byte(p->out, ' ');
        print_id(n->id, p->out);
    }
    printer_name_annotation(p, n);
}

void printer_define(Printer *p, NameSpace space, uint32_t index)
{
    const Named *n = print_name_of(p, space, index);
    if (n && n->id.len) {
        writer_byte(p->out, ' ');
        print_id(n->id, p->out);
    }
    writer_printf(p->out, " (;%u;)", index);
    if (n)
        printer_name_annotation(p, n);
}

/* --- imports, exports, start ------------------------------------------------------ */

static const char *const kind_words[] = {"func", "table", "memory", "global",
                                         "tag"};
static const NameSpace kind_names[] = {NAMES_FUNC, NAMES_TABLE, NAMES_MEMORY,
                                       NAMES_GLOBAL, NAMES_TAG};

static void print_name(Printer *p, Reader *r)
{
    uint32_t len = reader_u32(r);
    const uint8_t *bytes = reader_bytes(r, len);
    writer_byte(p->out, ' ');
    print_text(bytes ? (const char *)bytes : "", bytes ? len : 0, p->out);
}

static void print_imported_function(Printer *p, Reader *r, uint32_t index)
{
    uint32_t type = reader_u32(r);
    const TypeDef *t = p->m->func_types[index];
    print_name_function(p, index, t->func.n_params, NULL);
    print_type_use(p, type, true);
}

static void print_imports(Printer *p, Reader *r)
{
    uint32_t next[5] = {0};
    for (uint32_t n = reader_u32(r); n > 0 && printer_ok(p); n--) {
        printer_line(p);
        writer_text(p->out, "(import");
        print_name(p, r);
        print_name(p, r);
        uint8_t kind = reader_byte(r);
        if (kind > EXTERN_TAG || !printer_ok(p))
            return;
        uint32_t index = next[kind]++;
        writer_printf(p->out, " (%s", kind_words[kind]);
        printer_define(p, kind_names[kind], index);
        switch ((ExternKind)kind) {
        case EXTERN_FUNC: print_imported_function(p, r, index); break;
        case EXTERN_TABLE: print_type_table(p, r); break;
        case EXTERN_MEMORY: print_type_limits(p, r); break;
        case EXTERN_GLOBAL:
            writer_byte(p->out, ' ');
            print_type_global(p, r);
            break;
        case EXTERN_TAG:
            reader_byte(r);
            print_type_use(p, reader_u32(r), false);
            break;
        }
        writer_text(p->out, "))");
    }
}

static void print_exports(Printer *p, Reader *r)
{
    for (uint32_t n = reader_u32(r); n > 0 && printer_ok(p); n--) {
        printer_line(p);
        writer_text(p->out, "(export");
        print_name(p, r);
        uint8_t kind = reader_byte(r);
        if (kind > EXTERN_TAG || !printer_ok(p))
            return;
        writer_printf(p->out, " (%s ", kind_words[kind]);
        printer_index(p, kind_names[kind], reader_u32(r));
        writer_text(p->out, "))");
    }
}

static void print_start(Printer *p, Reader *r)
{
    printer_line(p);
    writer_text(p->out, "(start ");
    printer_index(p, NAMES_FUNC, reader_u32(r));
    writer_byte(p->out, ')');
}

/* --- tables, memories, globals, tags ------------------------------------------------ */

static void print_field(Printer *p, const char *word, NameSpace space,
                        uint32_t index)
{
    printer_line(p);
    writer_printf(p->out, "(%s", word);
    printer_define(p, space, index);
}

static void print_tables(Printer *p, Reader *r)
{
    uint32_t index = p->m->n_imported_tables;
    for (uint32_t n = reader_u32(r); n > 0 && printer_ok(p); n--) {
        print_field(p, "table", NAMES_TABLE, index++);
        bool has_init = r->p < r->end && *r->p == 0x40;
        if (has_init)
            reader_bytes(r, 2);
        print_type_table(p, r);
        if (has_init)
            print_fold_const(p, r, NULL);
        writer_byte(p->out, ')');
    }
}

static void print_memories(Printer *p, Reader *r)
{
    uint32_t index = p->m->n_imported_memories;
    for (uint32_t n = reader_u32(r); n > 0 && printer_ok(p); n--) {
        print_field(p, "memory", NAMES_MEMORY, index++);
        print_type_limits(p, r);
        writer_byte(p->out, ')');
    }
}

static void print_tags(Printer *p, Reader *r)
{
    uint32_t index = p->m->n_imported_tags;
    for (uint32_t n = reader_u32(r); n > 0 && printer_ok(p); n--) {
        print_field(p, "tag", NAMES_TAG, index++);
        reader_byte(r);
        print_type_use(p, reader_u32(r), false);
        writer_byte(p->out, ')');
    }
}

static void print_globals(Printer *p, Reader *r)
{
    uint32_t index = p->m->n_imported_globals;
    for (uint32_t n = reader_u32(r); n > 0 && printer_ok(p); n--) {
        print_field(p, "global", NAMES_GLOBAL, index++);
        writer_byte(p->out, ' ');
        print_type_global(p, r);
        print_fold_const(p, r, NULL);
        writer_byte(p->out, ')');
    }
}

/* --- segments -------------------------------------------------------------------------- */

static void print_element_list(Printer *p, Reader *r, bool exprs)
{
    for (uint32_t n = reader_u32(r); n > 0 && printer_ok(p); n--) {
        if (exprs) {
            print_fold_const(p, r, "item");
            continue;
        }
        writer_byte(p->out, ' ');
        printer_index(p, NAMES_FUNC, reader_u32(r));
    }
}

/* See WebAssembly 3.0, 5.5.12: bit 0 passive or declared, bit 1 declared or
 * with a table, bit 2 expressions. */
static void print_element(Printer *p, Reader *r)
{
    uint32_t flags = reader_u32(r);
    bool active = !(flags & 1), exprs = flags & 4;
    uint32_t table = active && flags & 2 ? reader_u32(r) : 0;
    if (table) {
        writer_text(p->out, " (table ");
        printer_index(p, NAMES_TABLE, table);
        writer_byte(p->out, ')');
    }
    if (active)
        print_fold_const(p, r, "offset");
    else if (flags & 2)
        writer_text(p->out, " declare");
    if (!exprs) {
        if (flags & 3)
            reader_byte(r);
        writer_text(p->out, " func");
    } else if (flags & 3) {
        writer_byte(p->out, ' ');
        print_type_value(p, r);
    } else {
        writer_text(p->out, " funcref");
    }
    print_element_list(p, r, exprs);
}

static void print_elements(Printer *p, Reader *r)
{
    uint32_t count = reader_u32(r);
    for (uint32_t i = 0; i < count && printer_ok(p); i++) {
        print_field(p, "elem", NAMES_ELEM, i);
        print_element(p, r);
        writer_byte(p->out, ')');
    }
}

/* In pieces that fit a line. */
static void print_long_bytes(Printer *p, const uint8_t *bytes, size_t len)
{
    enum { PIECE = 64 };
    p->depth++;
    for (size_t i = 0; i < len; i += PIECE) {
        size_t n = len - i < PIECE ? len - i : PIECE;
        if (len > PIECE)
            printer_line(p);
        else
            writer_byte(p->out, ' ');
        print_bytes(bytes + i, n, p->out);
    }
    p->depth--;
}

static void print_data(Printer *p, Reader *r)
{
    uint32_t count = reader_u32(r);
    for (uint32_t i = 0; i < count && printer_ok(p); i++) {
        print_field(p, "data", NAMES_DATA, i);
        uint32_t flags = reader_u32(r);
        uint32_t memory = flags & 2 ? reader_u32(r) : 0;
        if (memory) {
            writer_text(p->out, " (memory ");
            printer_index(p, NAMES_MEMORY, memory);
            writer_byte(p->out, ')');
        }
        if (!(flags & 1))
            print_fold_const(p, r, "offset");
        uint32_t len = reader_u32(r);
        const uint8_t *bytes = reader_bytes(r, len);
        if (bytes)
            print_long_bytes(p, bytes, len);
        writer_byte(p->out, ')');
    }
}

/* --- custom sections --------------------------------------------------------------------- */

static const char *section_word(uint8_t id)
{
    static const char *const words[] = {
        "first",  "type",  "import", "func", "table", "memory",    "global",
        "export", "start", "elem",   "code", "data",  "datacount", "tag"};
    return id < sizeof words / sizeof *words ? words[id] : "last";
}

/* Behind all known sections, the parser puts the name section between what is
 * (after data) and what has no place. */
static void print_place(Printer *p, const CustomSection *c, uint32_t index)
{
    bool last = c->offset >= p->last_known;
    if (last && (!p->names_exact || index > p->name_section))
        return;
    if (last)
        writer_text(p->out, " (after data)");
    else if (c->after)
        writer_printf(p->out, " (after %s)", section_word(c->after));
    else
        writer_text(p->out, " (before first)");
}

static void print_custom(Printer *p, const CustomSection *c, uint32_t index)
{
    bool is_names = index == p->name_section;
    if (is_names && p->names_exact && !p->labels_unused)
        return;
    if (p->hints_exact && index == p->hint_section)
        return;
    printer_line(p);
    writer_text(p->out, "(@custom ");
    print_text(c->name.bytes, c->name.len, p->out);
    print_place(p, c, index);
    print_long_bytes(p, p->m->bytes + c->start, c->len);
    writer_byte(p->out, ')');
}

/* --- the module -------------------------------------------------------------------------- */

static void print_functions(Printer *p)
{
    const Module *m = p->m;
    for (uint32_t i = 0; i < m->n_funcs - m->n_imported_funcs; i++)
        if (printer_ok(p))
            print_code_function(p, &m->funcs[i]);
}

static void print_section(Printer *p, const SectionInfo *s)
{
    Reader r = printer_reader(p, s->start, s->start + s->len);
    switch (s->id) {
    case 1: print_type_section(p, &r); break;
    case 2: print_imports(p, &r); break;
    case 4: print_tables(p, &r); break;
    case 5: print_memories(p, &r); break;
    case 6: print_globals(p, &r); break;
    case 7: print_exports(p, &r); break;
    case 8: print_start(p, &r); break;
    case 9: print_elements(p, &r); break;
    case 10: print_functions(p); break;
    case 11: print_data(p, &r); break;
    case 13: print_tags(p, &r); break;
    default: break; /* functions come with their code; data count below */
    }
}

static void print_sections(Printer *p)
{
    const Module *m = p->m;
    uint32_t custom = 0;
    for (uint32_t i = 0; i < m->n_sections; i++)
        if (m->sections[i].id)
            p->last_known = m->sections[i].offset;
    for (uint32_t i = 0; i < m->n_sections && printer_ok(p); i++) {
        if (m->sections[i].id)
            print_section(p, &m->sections[i]);
        else if (custom < m->n_customs)
            print_custom(p, &m->customs[custom], custom);
        custom += m->sections[i].id == 0;
    }
    if (m->has_data_count && !p->uses_data) {
        printer_line(p);
        writer_text(p->out, "(@data_count)");
    }
}

static void free_printer(Printer *p)
{
    arena_free(&p->arena);
    arena_free(&p->scratch);
    intern_free(&p->label_ids);
    free(p->labels);
}

Printer *print_new(const Module *m, PrintOptions o, Writer *out)
{
    Printer *p = intern_resize(NULL, 1, sizeof *p);
    *p = (Printer){.m = m, .out = out, .o = o};
    print_type_scan(p);
    print_name_load(p);
    return p;
}

void print_free(Printer *p)
{
    if (!p)
        return;
    free_printer(p);
    free(p);
}

Op print_instruction(Printer *p, Reader *r)
{
    Op op = walk_op(r);
    if (op == OP_COUNT)
        return op;
    if (print_code_is_block(op))
        print_code_head(p, r, op, UINT32_MAX);
    else
        print_code_plain(p, r, op);
    return op;
}

bool print_module(const Module *m, PrintOptions o, Writer *out)
{
    Printer p = {.m = m, .out = out, .o = o};
    print_type_scan(&p);
    print_name_load(&p);
    print_name_hints(&p);
    writer_text(out, "(module");
    const Named *name = print_name_of(&p, NAMES_MODULE, 0);
    if (name)
        printer_named(&p, name);
    p.depth = 1;
    size_t before = out->len;
    print_sections(&p);
    writer_text(out, out->len > before ? "\n)\n" : ")\n");
    bool ok = printer_ok(&p);
    free_printer(&p);
    return ok;
}

void print_interface(const Module *m, Writer *out)
{
    for (uint32_t i = 0; i < m->n_imports; i++) {
        const Import *im = &m->imports[i];
        writer_text(out, "(import ");
        print_text(im->module.bytes, im->module.len, out);
        writer_byte(out, ' ');
        print_text(im->name.bytes, im->name.len, out);
        writer_byte(out, ' ');
        print_extern_type(m, im->kind, im->index, out);
        writer_text(out, ")\n");
    }
    for (uint32_t i = 0; i < m->n_exports; i++) {
        const Export *ex = &m->exports[i];
        writer_text(out, "(export ");
        print_text(ex->name.bytes, ex->name.len, out);
        writer_byte(out, ' ');
        print_extern_type(m, ex->kind, ex->index, out);
        writer_text(out, ")\n");
    }
}
