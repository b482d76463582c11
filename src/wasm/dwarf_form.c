#include "wasm/dwarf_form.h"

static DwarfSection find_section(const Module *m, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t k = 0; k < m->n_customs; k++) {
        const CustomSection *c = &m->customs[k];
        if (c->name.len == len && !memcmp(c->name.bytes, name, len))
            return (DwarfSection){m->bytes + c->start, c->len};
    }
    return (DwarfSection){m->bytes, 0};
}

/* All of its strings end, or there are none. */
static DwarfSection find_strings(const Module *m, const char *name)
{
    DwarfSection s = find_section(m, name);
    if (s.len && s.bytes[s.len - 1])
        s.len = 0;
    return s;
}

DwarfSections dwarf_form_sections(const Module *m)
{
    return (DwarfSections){
        .line = find_section(m, ".debug_line"),
        .info = find_section(m, ".debug_info"),
        .abbrev = find_section(m, ".debug_abbrev"),
        .strings = find_strings(m, ".debug_str"),
        .line_strings = find_strings(m, ".debug_line_str"),
    };
}

uint64_t dwarf_form_number(Reader *r, uint32_t bytes)
{
    uint64_t value = 0;
    const uint8_t *p = bytes <= 8 ? reader_bytes(r, bytes) : NULL;
    if (p)
        memcpy(&value, p, bytes);
    else
        reader_fail(r, "a number of %u bytes", bytes);
    return value;
}

Reader dwarf_form_unit(Reader *r, DwarfWidth *w)
{
    uint64_t len = dwarf_form_number(r, 4);
    w->is_64 = len == UINT32_MAX;
    if (w->is_64)
        len = dwarf_form_number(r, 8);
    const uint8_t *p = len <= reader_left(r) ? reader_bytes(r, len) : NULL;
    if (!p) {
        reader_fail(r, "a unit longer than its section");
        return *r;
    }
    return (Reader){r->start, p, p + len, r->err};
}

const char *dwarf_form_string(Reader *r)
{
    const uint8_t *end = reader_left(r) ? memchr(r->p, 0, reader_left(r)) : 0;
    if (!end) {
        reader_fail(r, "a string without an end");
        return NULL;
    }
    const char *text = (const char *)r->p;
    r->p = end + 1;
    return text;
}

static const char *string_at(DwarfSection s, uint64_t offset)
{
    return offset < s.len ? (const char *)s.bytes + offset : NULL;
}

/* Bytes of a form; above WIDE not as simple. */
enum {
    WIDE = 16,
    NOTHING,
    ADDRESS,
    OFFSET,
    LEB,
    SIGNED,
    STRING,
    BLOCK,
    BLOCK_1,
    BLOCK_2,
    BLOCK_4,
    STRP,
    LINE_STRP,
    REF_ADDRESS
};
/* By number: DW_FORM_addr is 1. */
static const uint8_t form_kind[] = {
    0,           ADDRESS, 0,       BLOCK_2, BLOCK_4, 2,      4,    8,
    STRING,      BLOCK,   BLOCK_1, 1,       1,       SIGNED, STRP, LEB,
    REF_ADDRESS, 1,       2,       4,       8,       LEB,    0,    OFFSET,
    BLOCK,       NOTHING, LEB,     LEB,     4,       OFFSET, WIDE, LINE_STRP,
    8,           NOTHING, LEB,     LEB,     8,       1,      2,    3,
    4,           1,       2,       3,       4,
};

static void skip(Reader *r, uint64_t n)
{
    if (n <= reader_left(r))
        r->p += n;
    else
        reader_fail(r, "a block longer than its unit");
}

DwarfValue dwarf_form_value(Reader *r, uint64_t form, const DwarfWidth *w,
                            const DwarfSections *s)
{
    DwarfValue v = {0};
    unsigned kind = form < sizeof form_kind ? form_kind[form] : 0;
    switch (kind) {
    case 0: reader_fail(r, "a form that is not known"); break;
    case WIDE: skip(r, WIDE); break;
    case NOTHING: break;
    case ADDRESS: v.number = dwarf_form_number(r, w->address); break;
    case OFFSET: v.number = dwarf_form_offset(r, w); break;
    case REF_ADDRESS: /* version 2 took it for an address */
        if (w->version == 2)
            dwarf_form_number(r, w->address);
        else
            dwarf_form_offset(r, w);
        break;
    case LEB: v.number = reader_u64(r); break;
    case SIGNED: reader_s64(r); break;
    case STRING: v.text = dwarf_form_string(r); break;
    case BLOCK: skip(r, reader_u64(r)); break;
    case BLOCK_1: skip(r, dwarf_form_number(r, 1)); break;
    case BLOCK_2: skip(r, dwarf_form_number(r, 2)); break;
    case BLOCK_4: skip(r, dwarf_form_number(r, 4)); break;
    case STRP: v.text = string_at(s->strings, dwarf_form_offset(r, w)); break;
    case LINE_STRP:
        v.text = string_at(s->line_strings, dwarf_form_offset(r, w));
        break;
    default: v.number = dwarf_form_number(r, kind);
    }
    return v;
}
