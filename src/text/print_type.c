#include "text/printer.h"

static const char *heap_name(uint32_t code)
{
    switch (code) {
    case HEAP_FUNC: return "func";
    case HEAP_EXTERN: return "extern";
    case HEAP_ANY: return "any";
    case HEAP_EQ: return "eq";
    case HEAP_I31: return "i31";
    case HEAP_STRUCT: return "struct";
    case HEAP_ARRAY: return "array";
    case HEAP_EXN: return "exn";
    case HEAP_NONE: return "none";
    case HEAP_NOFUNC: return "nofunc";
    case HEAP_NOEXTERN: return "noextern";
    case HEAP_NOEXN: return "noexn";
    default: return "?";
    }
}

static const char *nullable_name(uint32_t code)
{
    switch (code) {
    case HEAP_NONE: return "nullref";
    case HEAP_NOFUNC: return "nullfuncref";
    case HEAP_NOEXTERN: return "nullexternref";
    case HEAP_NOEXN: return "nullexnref";
    case HEAP_FUNC: return "funcref";
    case HEAP_EXTERN: return "externref";
    case HEAP_ANY: return "anyref";
    case HEAP_EQ: return "eqref";
    case HEAP_I31: return "i31ref";
    case HEAP_STRUCT: return "structref";
    case HEAP_ARRAY: return "arrayref";
    case HEAP_EXN: return "exnref";
    default: return "?";
    }
}

static const char *number_name(uint32_t kind)
{
    switch (kind) {
    case T_I32: return "i32";
    case T_I64: return "i64";
    case T_F32: return "f32";
    case T_F64: return "f64";
    case T_V128: return "v128";
    case T_I8: return "i8";
    case T_I16: return "i16";
    default: return NULL;
    }
}

/* --- from bytes ------------------------------------------------------------ */

void print_type_heap(Printer *p, Reader *r)
{
    int64_t v = reader_s33(r);
    if (v < 0)
        writer_text(p->out, heap_name((uint32_t)v & 0x7f));
    else
        printer_index(p, NAMES_TYPE, (uint32_t)v);
}

void print_type_ref(Printer *p, bool nullable, Reader *r)
{
    if (nullable && r->p < r->end && (*r->p & 0xc0) == 0x40) {
        writer_text(p->out, nullable_name(reader_byte(r)));
        return;
    }
    writer_text(p->out, nullable ? "(ref null " : "(ref ");
    print_type_heap(p, r);
    writer_byte(p->out, ')');
}

void print_type_value(Printer *p, Reader *r)
{
    uint8_t code = reader_byte(r);
    const char *number = number_name(code);
    if (number)
        writer_text(p->out, number);
    else if (code == KIND_REF || code == KIND_REF_NULL)
        print_type_ref(p, code == KIND_REF_NULL, r);
    else
        writer_text(p->out, nullable_name(code));
}

void print_type_skip(Reader *r)
{
    uint8_t code = reader_byte(r);
    if (code == KIND_REF || code == KIND_REF_NULL)
        reader_s33(r);
}

static void skip_values(Reader *r, uint32_t n)
{
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        print_type_skip(r);
}

static void skip_fields(Reader *r, uint32_t n)
{
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        print_type_skip(r);
        reader_byte(r);
    }
}

static void skip_composite(Reader *r)
{
    switch (reader_byte(r)) {
    case 0x60:
        skip_values(r, reader_u32(r));
        skip_values(r, reader_u32(r));
        break;
    case 0x5f: skip_fields(r, reader_u32(r)); break;
    default: skip_fields(r, 1); break;
    }
}

static bool at_sub(const Reader *r)
{
    return r->p < r->end && (*r->p == 0x4f || *r->p == 0x50);
}

static bool at_group(const Reader *r) { return r->p < r->end && *r->p == 0x4e; }

static uint32_t group_size(Reader *r)
{
    if (!at_group(r))
        return 1;
    reader_byte(r);
    return reader_u32(r);
}

static void scan_types(Printer *p, Reader *r)
{
    uint32_t groups = reader_u32(r), type = 0;
    for (uint32_t g = 0; g < groups && reader_ok(r); g++) {
        uint32_t n = group_size(r);
        for (uint32_t i = 0; i < n && type < p->m->n_types; i++) {
            if (at_sub(r)) {
                reader_byte(r);
                for (uint32_t k = reader_u32(r); k > 0 && reader_ok(r); k--)
                    reader_u32(r);
            }
            p->type_at[type++] = (uint32_t)reader_offset(r);
            skip_composite(r);
        }
    }
}

void print_type_scan(Printer *p)
{
    p->type_at = arena_new(&p->arena, uint32_t, p->m->n_types + 1);
    for (uint32_t i = 0; i < p->m->n_sections; i++) {
        const SectionInfo *s = &p->m->sections[i];
        if (s->id != 1)
            continue;
        Reader r = printer_reader(p, s->start, s->start + s->len);
        scan_types(p, &r);
    }
}

/* Values in one group, "(param i32 i32)", or with names each alone. */
static void print_values(Printer *p, Reader *r, const char *word, uint32_t n,
                         const Named *names)
{
    bool named = false;
    for (uint32_t i = 0; names && i < n; i++)
        named |= names[i].name.bytes != NULL;
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        if (named || i == 0)
            writer_printf(p->out, " (%s", word);
        if (named)
            printer_named(p, &names[i]);
        writer_byte(p->out, ' ');
        print_type_value(p, r);
        if (named || i + 1 == n)
            writer_byte(p->out, ')');
    }
}

static void print_signature(Printer *p, Reader *r, const Named *names)
{
    print_values(p, r, "param", reader_u32(r), names);
    print_values(p, r, "result", reader_u32(r), NULL);
}

static Reader type_reader(Printer *p, uint32_t type)
{
    uint32_t at = type < p->m->n_types ? p->type_at[type] : p->m->len;
    return printer_reader(p, at, p->m->len);
}

void print_type_use(Printer *p, uint32_t type, bool named)
{
    writer_text(p->out, " (type ");
    printer_index(p, NAMES_TYPE, type);
    writer_byte(p->out, ')');
    Reader r = type_reader(p, type);
    if (type < p->m->n_types && reader_byte(&r) == 0x60)
        print_signature(p, &r, named ? p->locals : NULL);
}

static void print_field_type(Printer *p, Reader *r)
{
    Reader ahead = *r;
    print_type_skip(&ahead);
    bool is_mutable = reader_byte(&ahead) == 1;
    if (is_mutable)
        writer_text(p->out, "(mut ");
    print_type_value(p, r);
    reader_byte(r);
    if (is_mutable)
        writer_byte(p->out, ')');
}

void print_type_global(Printer *p, Reader *r) { print_field_type(p, r); }

static void print_struct(Printer *p, Reader *r, uint32_t type)
{
    uint32_t n = reader_u32(r);
    const Named *names = print_name_fields(p, type);
    writer_text(p->out, "(struct");
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        writer_text(p->out, " (field");
        if (names)
            printer_named(p, &names[i]);
        writer_byte(p->out, ' ');
        print_field_type(p, r);
        writer_byte(p->out, ')');
    }
    writer_byte(p->out, ')');
}

static void print_composite(Printer *p, Reader *r, uint32_t type)
{
    switch (reader_byte(r)) {
    case 0x60:
        writer_text(p->out, "(func");
        print_signature(p, r, NULL);
        writer_byte(p->out, ')');
        break;
    case 0x5f: print_struct(p, r, type); break;
    default:
        writer_text(p->out, "(array ");
        print_field_type(p, r);
        writer_byte(p->out, ')');
        break;
    }
}

static void print_one_type(Printer *p, Reader *r, uint32_t type)
{
    printer_line(p);
    writer_text(p->out, "(type");
    printer_define(p, NAMES_TYPE, type);
    writer_byte(p->out, ' ');
    bool sub = at_sub(r);
    if (sub) {
        bool is_final = reader_byte(r) == 0x4f;
        writer_text(p->out, is_final ? "(sub final " : "(sub ");
        for (uint32_t n = reader_u32(r); n > 0 && reader_ok(r); n--) {
            printer_index(p, NAMES_TYPE, reader_u32(r));
            writer_byte(p->out, ' ');
        }
    }
    print_composite(p, r, type);
    writer_text(p->out, sub ? "))" : ")");
}

void print_type_section(Printer *p, Reader *r)
{
    uint32_t groups = reader_u32(r), type = 0;
    for (uint32_t g = 0; g < groups && reader_ok(r); g++) {
        uint32_t n = group_size(r);
        if (n != 1) {
            printer_line(p);
            writer_text(p->out, "(rec");
            p->depth++;
        }
        for (uint32_t i = 0; i < n && reader_ok(r); i++)
            print_one_type(p, r, type++);
        if (n == 1)
            continue;
        p->depth--;
        if (n)
            printer_line(p);
        writer_byte(p->out, ')');
    }
}

void print_type_limits(Printer *p, Reader *r)
{
    uint8_t flags = reader_byte(r);
    if (flags & 4)
        writer_text(p->out, " i64");
    writer_printf(p->out, " %llu", (unsigned long long)reader_u64(r));
    if (flags & 1)
        writer_printf(p->out, " %llu", (unsigned long long)reader_u64(r));
    if (flags & 2)
        writer_text(p->out, " shared");
    uint32_t log2 = flags & 8 ? reader_u32(r) : 0;
    if (flags & 8)
        writer_printf(p->out, " (pagesize %llu)", 1ull << (log2 & 63));
}

/* In the text the limits come first. */
void print_type_table(Printer *p, Reader *r)
{
    Reader type = *r;
    print_type_skip(r);
    print_type_limits(p, r);
    writer_byte(p->out, ' ');
    print_type_value(p, &type);
}

/* --- from decoded types ----------------------------------------------------- */

void print_type(const Module *m, Type t, Writer *out)
{
    const char *number = number_name(type_kind(t));
    if (number) {
        writer_text(out, number);
        return;
    }
    uint32_t heap = type_heap(t);
    bool nullable = type_is_nullable(t);
    if (heap & HEAP_ABSTRACT && nullable) {
        writer_text(out, nullable_name(heap & 0xff));
        return;
    }
    writer_text(out, nullable ? "(ref null " : "(ref ");
    if (heap & HEAP_ABSTRACT)
        writer_text(out, heap_name(heap & 0xff));
    else
        writer_printf(out, "%u", module_type_index((void *)m, heap));
    writer_byte(out, ')');
}

static void print_list(const Module *m, const char *word, const Type *types,
                       uint32_t n, Writer *out)
{
    if (!n)
        return;
    writer_printf(out, " (%s", word);
    for (uint32_t i = 0; i < n; i++) {
        writer_byte(out, ' ');
        print_type(m, types[i], out);
    }
    writer_byte(out, ')');
}

void print_func_type(const Module *m, const FuncType *f, Writer *out)
{
    print_list(m, "param", f->types, f->n_params, out);
    print_list(m, "result", f->types + f->n_params, f->n_results, out);
}

void print_limits(const Limits *l, Writer *out)
{
    if (l->is64)
        writer_text(out, " i64");
    writer_printf(out, " %llu", (unsigned long long)l->min);
    if (l->max != NO_MAX)
        writer_printf(out, " %llu", (unsigned long long)l->max);
    if (l->shared)
        writer_text(out, " shared");
}

void print_memory_type(const MemoryType *t, Writer *out)
{
    print_limits(&t->limits, out);
    if (t->page_log2 != 16)
        writer_printf(out, " (pagesize %llu)", 1ull << (t->page_log2 & 63));
}

void print_extern_type(const Module *m, ExternKind kind, uint32_t index,
                       Writer *out)
{
    switch (kind) {
    case EXTERN_FUNC:
        writer_text(out, "(func");
        print_func_type(m, &m->func_types[index]->func, out);
        break;
    case EXTERN_TABLE:
        writer_text(out, "(table");
        print_limits(&m->tables[index].limits, out);
        writer_byte(out, ' ');
        print_type(m, m->tables[index].type, out);
        break;
    case EXTERN_MEMORY:
        writer_text(out, "(memory");
        print_memory_type(&m->memories[index], out);
        break;
    case EXTERN_GLOBAL:
        writer_text(out,
                    m->globals[index].mutable ? "(global (mut " : "(global ");
        print_type(m, m->globals[index].type, out);
        writer_text(out, m->globals[index].mutable ? ")" : "");
        break;
    case EXTERN_TAG:
        writer_text(out, "(tag");
        print_func_type(m, &m->tags[index]->func, out);
        break;
    }
    writer_byte(out, ')');
}
