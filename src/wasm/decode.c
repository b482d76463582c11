#include "wasm/decode.h"

#include <stdlib.h>

int decode_fail(Reader *r, ErrorCode code, uint64_t offset, const char *format,
                ...)
{
    va_list args;
    va_start(args, format);
    error_set_va(r->err, code, offset, format, args);
    va_end(args);
    r->p = r->end;
    return 0;
}

bool decode_need(Reader *r, const Module *m, Feature f, const char *what)
{
    if (decode_has(m, f))
        return true;
    return decode_fail(r, ERR_MALFORMED, reader_offset(r),
                       "%s needs the feature %s", what, feature_text[f]);
}

uint32_t decode_count(Reader *r, uint32_t limit, uint32_t least,
                      const char *what)
{
    uint64_t at = reader_offset(r);
    uint32_t n = reader_u32(r);
    if (n > reader_left(r) / least)
        return (uint32_t)decode_fail(
            r, ERR_MALFORMED, at,
            "length out of bounds: %u %s in %zu bytes: unexpected end",
            (unsigned)n, what, reader_left(r));
    if (n > limit)
        return (uint32_t)decode_fail(r, ERR_LIMIT, at, "%u %s; the limit is %u",
                                     (unsigned)n, what, (unsigned)limit);
    return n;
}

enum {
    SECTION_CUSTOM,
    SECTION_TYPE,
    SECTION_IMPORT,
    SECTION_FUNC,
    SECTION_TABLE,
    SECTION_MEMORY,
    SECTION_GLOBAL,
    SECTION_EXPORT,
    SECTION_START,
    SECTION_ELEM,
    SECTION_CODE,
    SECTION_DATA,
    SECTION_DATA_COUNT,
    SECTION_TAG,
    SECTION_COUNT
};

enum { LIMIT_SECTIONS = 100000 };

/* The place of each section in the order that the format prescribes. */
static const uint8_t section_place[SECTION_COUNT] = {
    [SECTION_TYPE] = 1,   [SECTION_IMPORT] = 2,      [SECTION_FUNC] = 3,
    [SECTION_TABLE] = 4,  [SECTION_MEMORY] = 5,      [SECTION_TAG] = 6,
    [SECTION_GLOBAL] = 7, [SECTION_EXPORT] = 8,      [SECTION_START] = 9,
    [SECTION_ELEM] = 10,  [SECTION_DATA_COUNT] = 11, [SECTION_CODE] = 12,
    [SECTION_DATA] = 13,
};

static void read_start(Reader *r, Module *m)
{
    m->has_start = true;
    m->start = reader_u32(r);
}

static void read_data_count(Reader *r, Module *m)
{
    if (!decode_need(r, m, FEATURE_BULK, "a data count section"))
        return;
    uint64_t at = reader_offset(r);
    m->has_data_count = true;
    m->n_datas = reader_u32(r);
    if (m->n_datas > LIMIT_DATAS)
        decode_fail(r, ERR_LIMIT, at, "%u data segments; the limit is %d",
                    (unsigned)m->n_datas, LIMIT_DATAS);
}

static void read_body(Reader *r, Module *m, uint32_t i)
{
    uint64_t at = reader_offset(r);
    uint32_t size = reader_u32(r);
    Func *f = &m->funcs[i];
    f->index = m->n_imported_funcs + i;
    f->type = m->func_types[f->index];
    f->type_index = m->func_type_index[f->index];
    f->start = (uint32_t)reader_offset(r);
    reader_bytes(r, size);
    if (size > LIMIT_BODY_BYTES)
        decode_fail(r, ERR_LIMIT, at, "a body of %u bytes; the limit is %d",
                    (unsigned)size, LIMIT_BODY_BYTES);
    if (reader_ok(r)) /* one without an end is not checked */
        f->end = f->start + size;
}

static uint32_t count_defined(const Module *m)
{
    return m->n_funcs - m->n_imported_funcs;
}

static void read_code(Reader *r, Module *m)
{
    m->code_bytes = (uint32_t)reader_left(r);
    uint32_t n = decode_count(r, LIMIT_FUNCTIONS, 1, "functions");
    if (n != count_defined(m) && reader_ok(r))
        reader_fail(r, "function and code section have inconsistent lengths");
    if (!reader_ok(r))
        return;
    m->funcs = arena_new(&m->arena, Func, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        read_body(r, m, i);
}

static void read_section(Reader *r, Module *m, uint8_t id)
{
    switch (id) {
    case SECTION_TYPE: decode_type_section(r, m); break;
    case SECTION_IMPORT: decode_import_section(r, m); break;
    case SECTION_FUNC: decode_func_section(r, m); break;
    case SECTION_TABLE: decode_table_section(r, m); break;
    case SECTION_MEMORY: decode_memory_section(r, m); break;
    case SECTION_TAG: decode_tag_section(r, m); break;
    case SECTION_GLOBAL: decode_global_section(r, m); break;
    case SECTION_EXPORT: decode_export_section(r, m); break;
    case SECTION_START: read_start(r, m); break;
    case SECTION_ELEM: decode_elem_section(r, m); break;
    case SECTION_DATA_COUNT: read_data_count(r, m); break;
    case SECTION_CODE: read_code(r, m); break;
    default: decode_data_section(r, m); break;
    }
    if (r->p < r->end && reader_ok(r))
        reader_fail(r, "section size mismatch");
}

/* The lists of sections grow in heap blocks; the arena gets them at the end. */
typedef struct {
    Module *m;
    SectionInfo *sections;
    CustomSection *customs;
    uint32_t sections_capacity, customs_capacity;
    uint8_t last; /* id of the last known section, 0: none */
} Lists;

static void *grow(void *data, uint32_t n, uint32_t *capacity, size_t size)
{
    if (n < *capacity)
        return data;
    *capacity = *capacity ? *capacity * 2 : 16;
    data = realloc(data, *capacity * size);
    if (!data)
        abort();
    return data;
}

static void add_section(Lists *l, SectionInfo s)
{
    l->sections =
        grow(l->sections, l->m->n_sections, &l->sections_capacity, sizeof s);
    l->sections[l->m->n_sections++] = s;
}

static void add_custom(Lists *l, Reader *r, uint32_t offset)
{
    CustomSection c = {.name = decode_name(r), .offset = offset};
    c.after = l->last;
    c.start = (uint32_t)reader_offset(r);
    c.len = (uint32_t)reader_left(r);
    l->customs =
        grow(l->customs, l->m->n_customs, &l->customs_capacity, sizeof c);
    l->customs[l->m->n_customs++] = c;
}

static void check_order(Lists *l, Reader *r, uint8_t id, uint64_t at)
{
    if (id >= SECTION_COUNT)
        decode_fail(r, ERR_MALFORMED, at, "malformed section id %u", id);
    else if (l->last && section_place[id] <= section_place[l->last])
        decode_fail(r, ERR_MALFORMED, at,
                    "unexpected content after last section: section %u stands "
                    "after section %u",
                    id, l->last);
    else
        l->last = id;
}

static void read_one(Lists *l, Reader *r)
{
    SectionInfo s = {.offset = (uint32_t)reader_offset(r)};
    s.id = reader_byte(r);
    if (s.id != SECTION_CUSTOM)
        check_order(l, r, s.id, s.offset);
    if (l->m->n_sections == LIMIT_SECTIONS)
        decode_fail(r, ERR_LIMIT, s.offset, "more than %d sections",
                    LIMIT_SECTIONS);
    s.len = reader_u32(r);
    if (s.len > reader_left(r))
        reader_fail(r,
                    "length out of bounds: unexpected end of section %u: %u "
                    "bytes wanted, %zu left",
                    s.id, (unsigned)s.len, reader_left(r));
    if (!reader_ok(r))
        return;
    s.start = (uint32_t)reader_offset(r);
    Reader content = {r->start, r->p, r->p + s.len, r->err};
    r->p = content.end;
    add_section(l, s);
    if (s.id == SECTION_CUSTOM)
        add_custom(l, &content, s.offset);
    else
        read_section(&content, l->m, s.id);
}

static void read_header(Reader *r)
{
    static const uint8_t magic[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    size_t left = reader_left(r);
    if (memcmp(r->p, magic, left < 4 ? left : 4) != 0) {
        reader_fail(r, "magic header not detected");
        return;
    }
    const uint8_t *bytes = reader_bytes(r, 8);
    if (bytes && memcmp(bytes, magic, 8) != 0) {
        r->p = bytes + 4;
        reader_fail(r, "unknown binary version %u", bytes[4]);
    }
}

static bool is_hints(const CustomSection *c)
{
    static const char name[] = "metadata.code.branch_hint";
    return c->name.len == sizeof name - 1
           && memcmp(c->name.bytes, name, sizeof name - 1) == 0;
}

/* Finds the record of each function in a section of branch hints; a broken
 * one ends the reading without an error.  See the branch hinting proposal. */
static void read_hints(Module *m, const CustomSection *c)
{
    Error err = {0};
    Reader r = {m->bytes, m->bytes + c->start, m->bytes + c->start + c->len,
                &err};
    uint32_t n = reader_u32(&r);
    for (uint32_t i = 0; i < n && reader_ok(&r); i++) {
        uint32_t index = reader_u32(&r);
        const uint8_t *record = r.p;
        uint32_t count = reader_u32(&r);
        for (uint32_t j = 0; j < count && reader_ok(&r); j++) {
            reader_u32(&r);
            reader_bytes(&r, reader_u32(&r));
        }
        if (reader_ok(&r) && index >= m->n_imported_funcs && index < m->n_funcs)
            m->funcs[index - m->n_imported_funcs].hints = record;
    }
}

static void check_lengths(Reader *r, const Module *m)
{
    if (!m->funcs && count_defined(m))
        reader_fail(r, "function and code section have inconsistent lengths");
    if (!m->datas && m->n_datas)
        reader_fail(r, "data count and data section have inconsistent lengths");
}

bool decode_module(Module *m, Error *err)
{
    Reader r = {m->bytes, m->bytes, m->bytes + m->len, err};
    Lists l = {.m = m};
    read_header(&r);
    while (r.p < r.end && reader_ok(&r))
        read_one(&l, &r);
    if (reader_ok(&r))
        check_lengths(&r, m);
    m->sections =
        arena_copy(&m->arena, l.sections, m->n_sections * sizeof *m->sections);
    m->customs =
        arena_copy(&m->arena, l.customs, m->n_customs * sizeof *m->customs);
    free(l.sections);
    free(l.customs);
    for (uint32_t i = 0; i < m->n_customs && m->funcs; i++)
        if (is_hints(&m->customs[i]))
            read_hints(m, &m->customs[i]);
    return reader_ok(&r);
}
