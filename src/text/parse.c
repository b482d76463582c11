#include "text/parse.h"

#include <stdlib.h>

#include "text/parse_part.h"
#include "text/show.h"

/* --- first pass: what a module defines ------------------------------------ */

static const struct {
    const char *word;
    Space space;
} spaces[] = {{"func", SPACE_FUNC},     {"table", SPACE_TABLE},
              {"memory", SPACE_MEMORY}, {"global", SPACE_GLOBAL},
              {"tag", SPACE_TAG},       {"elem", SPACE_ELEM},
              {"data", SPACE_DATA},     {"type", SPACE_TYPE}};

static Space space_of_keyword(const Token *t)
{
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (token_is(t, spaces[i].word))
            return spaces[i].space;
    return SPACE_COUNT;
}

/* Behind the keyword of something that has an index. */
static void gather_one(Parser *p, Space space)
{
    parser_bind(p, space, p->counts[space]++);
}

/* (import "m" "n" (kind ...)), behind its keyword. */
static void gather_import(Parser *p)
{
    while (p->tok.kind == TOKEN_STRING)
        parser_advance(p);
    if (p->tok.kind != TOKEN_LEFT)
        return; /* the second pass will complain */
    Space space = space_of_keyword(&p->next);
    parser_advance(p);
    parser_advance(p);
    if (space < SPACE_ELEM && space != SPACE_TYPE)
        gather_one(p, space);
    parser_skip_group(p);
}

static void gather_rec(Parser *p)
{
    while (parser_take_left(p, "type")) {
        gather_one(p, SPACE_TYPE);
        parser_skip_group(p);
    }
}

/* An inline segment takes an index of its own. */
static void gather_inline(Parser *p, const char *word, Space space)
{
    for (size_t depth = 0; p->tok.kind != TOKEN_END; parser_advance(p)) {
        if (p->tok.kind == TOKEN_RIGHT && depth-- == 0)
            return;
        if (depth == 0 && parser_at_left(p, word))
            p->counts[space]++;
        if (p->tok.kind == TOKEN_LEFT || p->tok.kind == TOKEN_ANNOTATION)
            depth++;
    }
}

/* One field, the cursor behind its parenthesis. */
static void gather_field(Parser *p)
{
    Token t = p->tok;
    parser_advance(p);
    Space space = t.kind == TOKEN_KEYWORD ? space_of_keyword(&t) : SPACE_COUNT;
    if (space != SPACE_COUNT)
        gather_one(p, space);
    if (space == SPACE_TABLE)
        gather_inline(p, "elem", SPACE_ELEM);
    else if (space == SPACE_MEMORY)
        gather_inline(p, "data", SPACE_DATA);
    else if (token_is(&t, "rec"))
        gather_rec(p);
    else if (token_is(&t, "import"))
        gather_import(p);
    parser_skip_group(p);
}

typedef struct {
    const char **at;
    uint32_t n, capacity;
} Places;

static void add_place(Places *l, const char *at)
{
    if (l->n == l->capacity) {
        l->capacity = l->capacity + l->capacity / 2 + 16;
        l->at = intern_resize(l->at, l->capacity, sizeof *l->at);
    }
    l->at[l->n++] = at;
}

static bool at_field(const Parser *p)
{
    return p->tok.kind == TOKEN_LEFT || p->tok.kind == TOKEN_ANNOTATION;
}

static bool at_type(const Parser *p)
{
    return parser_at_left(p, "type") || parser_at_left(p, "rec");
}

/* All fields; remembers where types stand. */
static void gather(Parser *p, Places *types)
{
    while (at_field(p) && parser_ok(p)) {
        if (at_type(p))
            add_place(types, p->tok.at);
        bool annotation = p->tok.kind == TOKEN_ANNOTATION;
        parser_advance(p);
        if (annotation)
            parser_skip_group(p);
        else
            gather_field(p);
    }
}

/* --- second pass ----------------------------------------------------------- */

static void encode_types(Parser *p, const Places *types)
{
    for (uint32_t i = 0; i < types->n && parser_ok(p); i++) {
        const char *at = types->at[i];
        parser_seek(p, at);
        if (parser_take_left(p, "rec"))
            parse_type_rec(p, at);
        else if (parser_take_left(p, "type"))
            parse_type_definition(p, at);
    }
}

static void encode_fields(Parser *p)
{
    while (at_field(p) && parser_ok(p)) {
        if (!at_type(p)) {
            parse_field(p);
            continue;
        }
        parser_advance(p);
        parser_skip_group(p);
    }
}

/* --- the whole binary ------------------------------------------------------ */

typedef struct {
    Writer w;
    TextPosition *positions;
    uint32_t n;
} Output;

static const uint8_t section_ids[SECTION_COUNT] = {1, 2, 3, 4,  5,  13, 6,
                                                   7, 8, 9, 12, 10, 11};

/* A section of vectors has its count in front. */
static void put_section(Output *o, SectionOrder order, const Buffer *b)
{
    Writer count = {0};
    if (order != SECTION_START && order != SECTION_DATA_COUNT)
        writer_u32(&count, b->count);
    writer_byte(&o->w, section_ids[order]);
    writer_u64(&o->w, count.len + b->w.len);
    writer_bytes(&o->w, count.data, count.len);
    writer_free(&count);
    for (uint32_t i = 0; i < b->n_positions; i++) {
        TextPosition at = b->positions[i];
        at.binary += (uint32_t)o->w.len;
        o->positions[o->n++] = at;
    }
    writer_bytes(&o->w, b->w.data, b->w.len);
}

static void put_custom(Output *o, const char *name, const Writer *content)
{
    Writer w = {0};
    writer_sized(&w, name, strlen(name));
    writer_bytes(&w, content->data, content->len);
    writer_byte(&o->w, 0);
    writer_sized(&o->w, w.data, w.len);
    writer_free(&w);
}

static void put_names(Parser *p, Output *o)
{
    Writer w = {0};
    if (p->has_module_name) {
        Writer name = {0};
        writer_sized(&name, p->module_name.bytes, p->module_name.len);
        writer_byte(&w, 0);
        writer_sized(&w, name.data, name.len);
        writer_free(&name);
    }
    for (uint8_t i = 1; i < NAMES_COUNT; i++) {
        const NameMap *m = &p->names[i];
        if (!m->count)
            continue;
        Writer head = {0};
        writer_u32(&head, m->count);
        writer_byte(&w, i);
        writer_u64(&w, head.len + m->w.len);
        writer_bytes(&w, head.data, head.len);
        writer_bytes(&w, m->w.data, m->w.len);
        writer_free(&head);
    }
    if (w.len && !p->has_name_section)
        put_custom(o, "name", &w);
    writer_free(&w);
}

static void put_hints(Parser *p, Output *o)
{
    if (!p->n_hinted)
        return;
    Writer w = {0};
    writer_u32(&w, p->n_hinted);
    writer_bytes(&w, p->hint_section.data, p->hint_section.len);
    put_custom(o, "metadata.code.branch_hint", &w);
    writer_free(&w);
}

static bool is_present(const Parser *p, SectionOrder s)
{
    if (s == SECTION_START || s == SECTION_DATA_COUNT)
        return p->sections[s].w.len != 0;
    return p->sections[s].count != 0;
}

static void put_place(Parser *p, Output *o, uint32_t place)
{
    writer_bytes(&o->w, p->customs[place].data, p->customs[place].len);
}

static void assemble(Parser *p, Output *o)
{
    if (p->uses_data)
        writer_u32(&p->sections[SECTION_DATA_COUNT].w, p->at[SPACE_DATA]);
    size_t n = 1;
    for (int i = 0; i < SECTION_COUNT; i++)
        n += p->sections[i].n_positions;
    o->positions = intern_resize(NULL, n, sizeof *o->positions);
    writer_bytes(&o->w, "\0asm\1\0\0\0", 8);
    put_place(p, o, 0);
    for (uint32_t i = 0; i < SECTION_COUNT; i++) {
        put_place(p, o, 2 * i + 1);
        if (i == SECTION_CODE)
            put_hints(p, o);
        if (is_present(p, (SectionOrder)i))
            put_section(o, (SectionOrder)i, &p->sections[i]);
        put_place(p, o, 2 * i + 2);
    }
    put_names(p, o);
    put_place(p, o, PLACE_LAST);
}

/* --- entry ------------------------------------------------------------------ */

/* "(module", its name, and what kind it is. */
static void read_module_head(Parser *p)
{
    parser_advance(p);
    parser_advance(p);
    parser_take(p, "definition"); /* in scripts */
    Name name;
    uint32_t symbol = parser_optional_symbol(p);
    bool annotated = parser_name_annotation(p, &name);
    if (annotated)
        p->module_name = name;
    else if (symbol != NO_SYMBOL)
        p->module_name = p->symbols.names[symbol];
    p->has_module_name = parser_ok(p) && (annotated || symbol != NO_SYMBOL);
}

static void read_fields(Parser *p)
{
    Places types = {0};
    const char *from = p->tok.at;
    gather(p, &types);
    encode_types(p, &types);
    parser_seek(p, from);
    encode_fields(p);
    free(types.at);
}

/* "binary" strings: the bytes themselves. */
static void read_binary(Parser *p, Output *o)
{
    parser_advance(p);
    while (p->tok.kind == TOKEN_STRING)
        parser_string(p, &o->w);
}

static void read_module(Parser *p, Output *o)
{
    bool wrapped = parser_at_left(p, "module");
    if (wrapped)
        read_module_head(p);
    bool binary = wrapped && parser_at(p, "binary");
    if (binary)
        read_binary(p, o);
    else
        read_fields(p);
    if (wrapped && p->tok.kind != TOKEN_RIGHT)
        parser_unexpected(p, "a module field or `)`");
    else if (wrapped)
        parser_close(p);
    if (p->tok.kind != TOKEN_END)
        parser_unexpected(p,
                          wrapped ? "the end of the text" : "a module field");
    if (!binary && parser_ok(p))
        assemble(p, o);
}

bool text_parse_part(const char *text, size_t from, size_t to, Features f,
                     TextModule *out, Error *err)
{
    *out = (TextModule){0};
    if (to >= UINT32_MAX)
        return error_set(err, ERR_LIMIT, ERROR_NO_OFFSET,
                         "a text of %zu bytes; the limit is 2^32 - 2", to);
    Output o = {0};
    Parser *p = intern_resize(NULL, 1, sizeof *p);
    parser_start(p, text, from, to, f, err);
    read_module(p, &o);
    parser_end(p);
    free(p);
    if (err->code != ERR_OK) {
        writer_free(&o.w);
        free(o.positions);
        return false;
    }
    size_t len;
    uint8_t *bytes = writer_take(&o.w, &len);
    *out = (TextModule){bytes, len, o.positions, o.n, text, show_places_new()};
    return true;
}

bool text_parse(const char *text, size_t len, Features f, TextModule *out,
                Error *err)
{
    return text_parse_part(text, 0, len, f, out, err);
}

void text_free(TextModule *t)
{
    free(t->bytes);
    free(t->positions);
    show_places_free(t->places);
    *t = (TextModule){0};
}
