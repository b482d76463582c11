#include "base/utf8.h"
#include "text/parse_part.h"

static const char *const kind_words[] = {"func", "table", "memory", "global",
                                         "tag"};
static const Space kind_spaces[] = {SPACE_FUNC, SPACE_TABLE, SPACE_MEMORY,
                                    SPACE_GLOBAL, SPACE_TAG};
/* By Space: the subsection of its names. */
static const NameSpace name_maps[SPACE_COUNT] = {
    NAMES_TYPE,   NAMES_FUNC, NAMES_TABLE, NAMES_MEMORY,
    NAMES_GLOBAL, NAMES_TAG,  NAMES_ELEM,  NAMES_DATA};

/* Starts an entry of a section; what is written next is its bytes. */
static Buffer *entry(Parser *p, SectionOrder section, const char *at)
{
    Buffer *b = &p->sections[section];
    buffer_mark(b, parser_offset(p, at));
    b->count++;
    return b;
}

/* --- imports and exports -------------------------------------------------- */

static void write_export(Parser *p, ExternKind kind, uint32_t index,
                         const char *at)
{
    Buffer *b = entry(p, SECTION_EXPORT, at);
    parser_name(p, &b->w);
    writer_byte(&b->w, (uint8_t)kind);
    writer_u32(&b->w, index);
    parser_close(p);
}

static void inline_exports(Parser *p, ExternKind kind, uint32_t index)
{
    for (const char *at = p->tok.at; parser_take_left(p, "export");
         at = p->tok.at)
        write_export(p, kind, index, at);
}

static void table_type(Parser *p, Writer *w)
{
    Writer limits = {0};
    bool is64 = parse_type_address(p);
    parse_type_limits(p, &limits, is64, false);
    parse_type_ref(p, w);
    writer_bytes(w, limits.data, limits.len);
    writer_free(&limits);
}

static void tag_type(Parser *p, Writer *w)
{
    writer_byte(w, 0);
    writer_u32(w, parse_type_use(p, false));
}

/* Parameters of an imported function may have names too. */
static uint32_t func_type(Parser *p)
{
    p->serial++;
    p->n_locals = 0;
    return parse_type_use(p, true);
}

/* What an import is, behind its two names and its identifier. */
static void import_type(Parser *p, ExternKind kind, uint32_t index,
                        const char *at)
{
    if (p->defined) {
        parser_fail(p, at,
                    "import after a definition (of a %s); imports "
                    "stand first",
                    p->defined);
        return;
    }
    Writer *w = &p->sections[SECTION_IMPORT].w;
    writer_byte(w, (uint8_t)kind);
    switch (kind) {
    case EXTERN_FUNC:
        writer_u32(w, func_type(p));
        name_map_close_inner(&p->names[NAMES_LOCAL], index);
        break;
    case EXTERN_TABLE: table_type(p, w); break;
    case EXTERN_MEMORY:
        parse_type_limits(p, w, parse_type_address(p), true);
        break;
    case EXTERN_GLOBAL: parse_type_global(p, w); break;
    case EXTERN_TAG: tag_type(p, w); break;
    }
    parser_close(p);
}

/* (import "module" "name"), inline. */
static bool inline_import(Parser *p, ExternKind kind, uint32_t index)
{
    const char *at = p->tok.at;
    if (!parser_take_left(p, "import"))
        return false;
    Buffer *b = entry(p, SECTION_IMPORT, at);
    parser_name(p, &b->w);
    parser_name(p, &b->w);
    parser_close(p);
    import_type(p, kind, index, at);
    return true;
}

static bool take_kind(Parser *p, ExternKind *kind)
{
    for (int i = 0; i < 5; i++)
        if (parser_take_left(p, kind_words[i])) {
            *kind = (ExternKind)i;
            return true;
        }
    parser_unexpected(p, "`(func`, `(table`, `(memory`, `(global` or `(tag`");
    return false;
}

static void field_import(Parser *p, const char *at)
{
    Buffer *b = entry(p, SECTION_IMPORT, at);
    parser_name(p, &b->w);
    parser_name(p, &b->w);
    ExternKind kind;
    if (!take_kind(p, &kind))
        return;
    Space space = kind_spaces[kind];
    uint32_t index = p->at[space]++;
    parser_named(p, &p->names[name_maps[space]], index);
    import_type(p, kind, index, at);
    parser_close(p);
}

static void field_export(Parser *p, const char *at)
{
    Buffer *b = entry(p, SECTION_EXPORT, at);
    parser_name(p, &b->w);
    ExternKind kind;
    if (!take_kind(p, &kind))
        return;
    writer_byte(&b->w, (uint8_t)kind);
    writer_u32(&b->w, parser_index(p, kind_spaces[kind]));
    parser_close(p);
    parser_close(p);
}

/* --- functions ------------------------------------------------------------ */

/* Equal neighbours make one run; the type of the one that grows is in
 * p->scratch, those that are done are in p->runs. */
typedef struct {
    uint32_t n_runs, count;
} Locals;

static void close_run(Parser *p, Locals *l)
{
    if (!l->count)
        return;
    l->n_runs++;
    writer_u32(&p->runs, l->count);
    writer_bytes(&p->runs, p->scratch.w.data, p->scratch.w.len);
    l->count = 0;
}

static void add_local(Parser *p, Locals *l)
{
    Writer *last = &p->scratch.w, *type = &p->params;
    type->len = 0;
    parse_type_value(p, type);
    if (!parser_ok(p))
        return;
    p->n_locals++;
    if (l->count && type->len == last->len
        && memcmp(type->data, last->data, last->len) == 0) {
        l->count++;
        return;
    }
    close_run(p, l);
    last->len = 0;
    writer_bytes(last, type->data, type->len);
    l->count = 1;
}

static void read_locals(Parser *p, Locals *l)
{
    while (parser_take_left(p, "local")) {
        const char *at = p->tok.at;
        Name name;
        uint32_t symbol = parser_optional_symbol(p);
        bool annotated = parser_name_annotation(p, &name);
        if (parser_ok(p) && symbol != NO_SYMBOL) {
            parser_bind_local(p, symbol, at);
            if (!annotated)
                name = p->symbols.names[symbol];
        }
        if (annotated || symbol != NO_SYMBOL) {
            name_map_add_inner(&p->names[NAMES_LOCAL], p->n_locals, name);
            add_local(p, l);
        } else {
            while (parser_ok(p) && p->tok.kind != TOKEN_RIGHT)
                add_local(p, l);
        }
        parser_close(p);
    }
    close_run(p, l);
}

static uint32_t leb_size(uint64_t v)
{
    uint32_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

/* The hints of one function, whose instructions begin `start` bytes into its
 * body. */
static void write_hints(Parser *p, uint32_t index, uint32_t start)
{
    if (!p->n_hints)
        return;
    Writer *w = &p->hint_section;
    p->n_hinted++;
    writer_u32(w, index);
    writer_u32(w, p->n_hints);
    for (uint32_t i = 0; i < p->n_hints; i++) {
        writer_u32(w, p->hints[i].offset + start);
        writer_u32(w, 1);
        writer_byte(w, p->hints[i].value);
    }
    p->n_hints = 0;
}

static void write_body(Parser *p, Buffer *code, uint32_t index, const Locals *l)
{
    uint32_t head = leb_size(l->n_runs) + (uint32_t)p->runs.len;
    writer_u64(&code->w, head + p->body.w.len);
    writer_u32(&code->w, l->n_runs);
    writer_bytes(&code->w, p->runs.data, p->runs.len);
    write_hints(p, index, head);
    buffer_append(code, &p->body);
}

static void field_func(Parser *p, uint32_t index, const char *at)
{
    Locals l = {0};
    uint32_t type = func_type(p);
    writer_u32(&entry(p, SECTION_FUNC, at)->w, type);
    p->runs.len = p->scratch.w.len = 0;
    read_locals(p, &l);
    p->scratch.w.len = 0;
    name_map_close_inner(&p->names[NAMES_LOCAL], index);
    p->n_blocks = p->n_hints = 0;
    Buffer *code = entry(p, SECTION_CODE, at);
    parse_code_expr(p, &p->body);
    name_map_close_inner(&p->names[NAMES_LABEL], index);
    write_body(p, code, index, &l);
}

/* --- segments ------------------------------------------------------------- */

/* Text of a constant expression in elements: (item ...) or one instruction. */
static void element_expr(Parser *p, Buffer *out)
{
    if (parser_take_left(p, "item")) {
        parse_code_expr(p, out);
        parser_close(p);
    } else {
        parse_code_folded(p, out);
    }
}

/* Elements to the closing parenthesis, into p->scratch; gives how many. */
static uint32_t elements(Parser *p, bool exprs)
{
    uint32_t n = 0;
    for (; parser_ok(p) && p->tok.kind != TOKEN_RIGHT; n++) {
        if (exprs)
            element_expr(p, &p->scratch);
        else
            writer_u32(&p->scratch.w, parser_index(p, SPACE_FUNC));
    }
    return n;
}

/* (offset ...) or one folded instruction. */
static void offset_expr(Parser *p, Buffer *out)
{
    if (parser_take_left(p, "offset")) {
        parse_code_expr(p, out);
        parser_close(p);
    } else {
        parse_code_folded(p, out);
    }
}

static void zero_offset(Buffer *b, bool is64)
{
    parse_imm_opcode(is64 ? OP_I64_CONST : OP_I32_CONST, &b->w);
    writer_s32(&b->w, 0);
    parse_imm_opcode(OP_END, &b->w);
}

static bool is_funcref(const Writer *type)
{
    return type->len == 1 && type->data[0] == HEAP_FUNC;
}

/* The kind of a segment's elements, its count and p->scratch; `type` is empty
 * for function indices.  flags: of the segment, for what stands there. */
static void write_elements(Parser *p, Buffer *b, const Writer *type,
                           uint32_t flags, uint32_t count)
{
    if (flags & 3) { /* bits 0 and 1 clear: the type is implied */
        if (type->len)
            writer_bytes(&b->w, type->data, type->len);
        else
            writer_byte(&b->w, 0);
    }
    writer_u32(&b->w, count);
    buffer_append(b, &p->scratch);
}

static void elem_list(Parser *p, Buffer *b, uint32_t flags, uint32_t table,
                      Buffer *offset)
{
    Writer type = {0};
    bool active = !(flags & 1);
    bool exprs = !parser_take(p, "func") && !(active && parser_at_index(p))
                 && !(active && p->tok.kind == TOKEN_RIGHT);
    if (exprs) {
        flags |= 4;
        parse_type_ref(p, &type);
    }
    if (active && (table || (exprs && !is_funcref(&type))))
        flags |= 2;
    uint32_t count = elements(p, exprs);
    writer_u32(&b->w, flags);
    if (active && flags & 2)
        writer_u32(&b->w, table);
    if (active)
        buffer_append(b, offset);
    write_elements(p, b, &type, flags, count);
    writer_free(&type);
}

static void field_elem(Parser *p, const char *at)
{
    uint32_t index = p->at[SPACE_ELEM]++, table = 0, flags = 1;
    Buffer *b = entry(p, SECTION_ELEM, at);
    Buffer offset = {0};
    parser_named(p, &p->names[NAMES_ELEM], index);
    if (parser_take(p, "declare")) {
        flags = 3;
    } else if (parser_take_left(p, "table")) {
        table = parser_index(p, SPACE_TABLE);
        parser_close(p);
        flags = 0;
    } else if (p->tok.kind == TOKEN_LEFT && !parse_type_at_ref(p)) {
        flags = 0;
    } else if (parser_at_index(p) && p->next.kind == TOKEN_LEFT) {
        table = parser_index(p, SPACE_TABLE); /* as before 2.0 */
        flags = 0;
    }
    if (!flags)
        offset_expr(p, &offset);
    elem_list(p, b, flags, table, &offset);
    buffer_free(&offset);
}

static void data_strings(Parser *p, Writer *w)
{
    while (p->tok.kind == TOKEN_STRING)
        parser_string(p, w);
    if (p->tok.kind != TOKEN_RIGHT)
        parser_unexpected(p, "a string or `)`");
}

static void field_data(Parser *p, const char *at)
{
    uint32_t index = p->at[SPACE_DATA]++, memory = 0;
    Buffer *b = entry(p, SECTION_DATA, at);
    parser_named(p, &p->names[NAMES_DATA], index);
    bool active = p->tok.kind == TOKEN_LEFT;
    if (parser_take_left(p, "memory")) {
        memory = parser_index(p, SPACE_MEMORY);
        parser_close(p);
    } else if (parser_at_index(p)) {
        memory = parser_index(p, SPACE_MEMORY); /* as before 2.0 */
        active = true;
    }
    writer_u32(&b->w, active ? (memory ? 2 : 0) : 1);
    if (memory)
        writer_u32(&b->w, memory);
    if (active)
        offset_expr(p, b);
    p->scratch.w.len = 0;
    data_strings(p, &p->scratch.w);
    writer_sized(&b->w, p->scratch.w.data, p->scratch.w.len);
    p->scratch.w.len = 0;
}

/* --- tables, memories, globals, tags -------------------------------------- */

/* "(elem" inside a table: its size is that of the segment. */
static void table_with_elements(Parser *p, Buffer *b, uint32_t index, bool is64,
                                const char *at)
{
    Writer type = {0};
    parse_type_ref(p, &type);
    if (!parser_take_left(p, "elem")) {
        parser_unexpected(p, "`(elem`");
        writer_free(&type);
        return;
    }
    bool exprs = p->tok.kind == TOKEN_LEFT, funcs = !exprs;
    Writer none = {0};
    uint32_t count = 0;
    bool typed = !is_funcref(&type); /* then indices become expressions */
    for (; parser_ok(p) && p->tok.kind != TOKEN_RIGHT; count++) {
        if (exprs) {
            element_expr(p, &p->scratch);
            continue;
        }
        if (typed)
            parse_imm_opcode(OP_REF_FUNC, &p->scratch.w);
        writer_u32(&p->scratch.w, parser_index(p, SPACE_FUNC));
        if (typed)
            parse_imm_opcode(OP_END, &p->scratch.w);
    }
    parser_close(p);
    writer_bytes(&b->w, type.data, type.len);
    writer_byte(&b->w, (uint8_t)(1 | is64 << 2));
    writer_u32(&b->w, count);
    writer_u32(&b->w, count);
    Buffer *e = entry(p, SECTION_ELEM, at);
    p->at[SPACE_ELEM]++;
    bool indices = funcs && !typed;
    uint32_t flags =
        (indices ? 0u : 4u) | (index || (!indices && typed) ? 2u : 0u);
    writer_u32(&e->w, flags);
    if (flags & 2)
        writer_u32(&e->w, index);
    zero_offset(e, is64);
    write_elements(p, e, indices ? &none : &type, flags, count);
    writer_free(&type);
}

static void field_table(Parser *p, uint32_t index, const char *at)
{
    Buffer *b = entry(p, SECTION_TABLE, at);
    bool is64 = parse_type_address(p);
    if (parse_type_at_ref(p)) {
        table_with_elements(p, b, index, is64, at);
        return;
    }
    Writer limits = {0}, type = {0};
    parse_type_limits(p, &limits, is64, false);
    parse_type_ref(p, &type);
    bool has_init = p->tok.kind != TOKEN_RIGHT;
    if (has_init)
        writer_bytes(&b->w, "\x40", 2);
    writer_bytes(&b->w, type.data, type.len);
    writer_bytes(&b->w, limits.data, limits.len);
    if (has_init)
        parse_code_expr(p, b);
    writer_free(&limits);
    writer_free(&type);
}

/* (pagesize n)? "(data" inside a memory: its size is that of the bytes. */
static void memory_with_data(Parser *p, Buffer *b, uint32_t index, bool is64,
                             const char *at)
{
    uint64_t page = 65536;
    const char *page_at = p->tok.at;
    bool paged = parser_take_left(p, "pagesize");
    if (paged) {
        page = parser_u64(p, "page size");
        if (!page || page & (page - 1))
            parser_fail(p, page_at, "invalid page size: no power of two");
        parser_close(p);
    }
    if (!parser_take_left(p, "data"))
        parser_unexpected(p, "a size or `(data`");
    p->scratch.w.len = 0;
    data_strings(p, &p->scratch.w);
    parser_close(p);
    if (!parser_ok(p))
        return;
    uint64_t len = p->scratch.w.len, pages = len / page + (len % page != 0);
    writer_byte(&b->w, (uint8_t)(1 | is64 << 2 | paged << 3));
    writer_u64(&b->w, pages);
    writer_u64(&b->w, pages);
    uint32_t log2 = 0;
    while (log2 < 63 && (uint64_t)1 << log2 < page)
        log2++;
    if (paged)
        writer_u32(&b->w, log2);
    Buffer *d = entry(p, SECTION_DATA, at);
    p->at[SPACE_DATA]++;
    writer_u32(&d->w, index ? 2 : 0);
    if (index)
        writer_u32(&d->w, index);
    zero_offset(d, is64);
    writer_sized(&d->w, p->scratch.w.data, len);
    p->scratch.w.len = 0;
}

static void field_memory(Parser *p, uint32_t index, const char *at)
{
    Buffer *b = entry(p, SECTION_MEMORY, at);
    bool is64 = parse_type_address(p);
    if (p->tok.kind == TOKEN_LEFT)
        memory_with_data(p, b, index, is64, at);
    else
        parse_type_limits(p, &b->w, is64, true);
}

static void field_global(Parser *p, const char *at)
{
    Buffer *b = entry(p, SECTION_GLOBAL, at);
    parse_type_global(p, &b->w);
    parse_code_expr(p, b);
}

/* A func, table, memory, global or tag, defined or imported. */
static void field_external(Parser *p, ExternKind kind, const char *at)
{
    Space space = kind_spaces[kind];
    uint32_t index = p->at[space]++;
    parser_named(p, &p->names[name_maps[space]], index);
    inline_exports(p, kind, index);
    if (inline_import(p, kind, index))
        return;
    if (!p->defined)
        p->defined = kind_words[kind];
    switch (kind) {
    case EXTERN_FUNC: field_func(p, index, at); break;
    case EXTERN_TABLE: field_table(p, index, at); break;
    case EXTERN_MEMORY: field_memory(p, index, at); break;
    case EXTERN_GLOBAL: field_global(p, at); break;
    case EXTERN_TAG: tag_type(p, &entry(p, SECTION_TAG, at)->w); break;
    }
    parser_close(p);
}

/* --- the rest ------------------------------------------------------------- */

static void field_start(Parser *p, const char *at)
{
    if (p->has_start)
        parser_fail(p, at, "multiple start sections");
    p->has_start = true;
    buffer_mark(&p->sections[SECTION_START], parser_offset(p, at));
    writer_u32(&p->sections[SECTION_START].w, parser_index(p, SPACE_FUNC));
}

/* (before s) or (after s). */
static uint32_t read_place(Parser *p)
{
    static const char *const words[SECTION_COUNT] = {
        "type",   "import", "func", "table",     "memory", "tag", "global",
        "export", "start",  "elem", "datacount", "code",   "data"};
    uint32_t before = parser_at_left(p, "before");
    if (!before && !parser_at_left(p, "after")) {
        parser_fail(p, p->tok.at, "@custom annotation: malformed placement");
        return 0;
    }
    parser_advance(p);
    parser_advance(p);
    uint32_t place = PLACE_COUNT;
    for (uint32_t i = 0; i < SECTION_COUNT; i++)
        if (parser_at(p, words[i]))
            place = 2 * i + 2 - before;
    if (parser_at(p, "first"))
        place = 0;
    if (parser_at(p, "last"))
        place = PLACE_LAST;
    if (place == PLACE_COUNT) {
        parser_fail(p, p->tok.at, "@custom annotation: malformed section kind");
        return 0;
    }
    parser_advance(p);
    parser_close(p);
    return place;
}

/* Behind "(@custom": "name" place? "bytes"*. */
static void field_custom(Parser *p)
{
    if (p->tok.kind != TOKEN_STRING) {
        parser_fail(p, p->tok.at, "@custom annotation: missing section name");
        return;
    }
    Writer content = {0};
    parser_name(p, &content);
    if (content.len == 5 && memcmp(content.data, "\4name", 5) == 0)
        p->has_name_section = true;
    uint32_t place = PLACE_LAST;
    if (p->tok.kind == TOKEN_LEFT)
        place = read_place(p);
    while (p->tok.kind == TOKEN_STRING)
        parser_string(p, &content);
    if (p->tok.kind != TOKEN_RIGHT && parser_ok(p))
        parser_fail(p, p->tok.at, "@custom annotation: unexpected token");
    parser_close(p);
    writer_byte(&p->customs[place], 0);
    writer_sized(&p->customs[place], content.data, content.len);
    writer_free(&content);
}

static void field_annotation(Parser *p)
{
    if (token_is(&p->tok, "(@custom") || token_is(&p->tok, "(@\"custom\"")) {
        parser_advance(p);
        field_custom(p);
    } else if (token_is(&p->tok, "(@data_count")) {
        parser_advance(p);
        p->uses_data = true;
        parser_close(p);
    } else {
        parser_unexpected(p, "a module field");
    }
}

void parse_field(Parser *p)
{
    const char *at = p->tok.at;
    if (p->tok.kind == TOKEN_ANNOTATION) {
        field_annotation(p);
        return;
    }
    for (int i = 0; i < 5; i++)
        if (parser_take_left(p, kind_words[i])) {
            field_external(p, (ExternKind)i, at);
            return;
        }
    if (parser_take_left(p, "import")) {
        field_import(p, at);
        return;
    }
    if (parser_take_left(p, "export")) {
        field_export(p, at);
        return;
    }
    if (parser_take_left(p, "start"))
        field_start(p, at);
    else if (parser_take_left(p, "elem"))
        field_elem(p, at);
    else if (parser_take_left(p, "data"))
        field_data(p, at);
    else
        parser_unexpected(p, "a module field");
    parser_close(p);
}
